/*
 * A UART under a guest that does anything: the first 64 bytes come in over the
 * line, the rest is a stream of port accesses (see fake_op_stream()).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "dev/lpc/uart.h"
#include "fake_vm.h"

#define BASE 0x3f8
#define LINE_BYTES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct vm *vm = fake_vm_create(1 << 20);
	struct error err = ERROR_INIT;
	size_t line = MIN(n, LINE_BYTES);
	int fd[2], small = 1; /* a line that is soon full */
	struct uart *u;
	char spec[32];

	if (vm == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
		abort();
	(void)setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	snprintf(spec, sizeof(spec), "fd=%d", fd[0]);
	if (uart_create(vm, "com1", BASE, GSI_COM1, spec, &u, &err) < 0)
		abort();
	close(fd[0]);
	if (send(fd[1], data, line, MSG_NOSIGNAL) < 0)
		abort();
	mevent_loop_once(vm->loop, 0);
	fake_op_stream(vm, data + line, n - line, BASE - 2, 12, 0, 1);
	mevent_loop_once(vm->loop, 0);
	/* nothing but an interrupt line leaves the device */
	if (vm->stops != 0 || vm->nmsi != 0)
		abort();
	close(fd[1]);
	mevent_loop_once(vm->loop, 0);
	uart_destroy(u);
	fake_vm_destroy(vm);
	return 0;
}
