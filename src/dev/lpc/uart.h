/*
 * A 16550A UART on a byte stream.
 *
 * Source: National Semiconductor PC16550D datasheet (1995), section 8
 * (registers) and 8.4-8.6 (FIFOs, interrupts, loopback); the PC's gate of the
 * interrupt by OUT2 is from the IBM Asynchronous Adapter.
 *
 * Bits take no time on this line: what is written is sent at once, and the
 * receiver FIFO is filled as fast as the guest empties it, with a pause after
 * each 256 bytes: half of the time is left to the guest. The line is never
 * overrun from outside; the back end waits. When the back end is full, THRE
 * stays clear until it has room. A reset of the receiver also drops what waits
 * in a socket.
 *
 * Threads: registers on vCPU threads, input on the loop's; one lock.
 */
#ifndef DEV_LPC_UART_H
#define DEV_LPC_UART_H

#include <stdint.h>

#include "base/error.h"
#include "vmm/vm.h"

struct uart;

/* name: "com1"; spec: see dev/tty/tty.h. */
int uart_create(struct vm *vm, const char *name, uint16_t port, unsigned gsi,
    const char *spec, struct uart **ret, struct error *err);
void uart_destroy(struct uart *u); /* NULL is allowed */
/* For a back end with "wait": block until its client is there. */
int uart_wait_client(struct uart *u, struct error *err);

#endif
