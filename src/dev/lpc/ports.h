/*
 * Single ports: system control A (92h), POST code (80h), debug console (402h).
 *
 * Sources: IBM PS/2 Technical Reference (1990), "System control port A";
 * Intel ICH9 datasheet (316972), 13.7 (fast A20 and init); SeaBIOS
 * src/hw/serialio.c for what the debug console must read as.
 *
 * Threads: vCPU threads; one lock.
 */
#ifndef DEV_LPC_PORTS_H
#define DEV_LPC_PORTS_H

#include "base/error.h"
#include "vmm/vm.h"

struct ports;

int ports_create(struct vm *vm, struct ports **ret, struct error *err);
void ports_destroy(struct ports *p); /* NULL is allowed */

#endif
