/*
 * virtio-console with a hostile guest, and a client on its second port that
 * sends the first bytes of each input.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define FUZZ_QUEUES 6
#include "virtio_ops.h"

static int client = -1;

static void
open_client(void)
{
	char opts[64];
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		sv) != 0)
		abort();
	client = sv[0];
	snprintf(opts, sizeof(opts), "agent=fd=%d,log=none", sv[1]);
	fuzz_open("virtio-console", opts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char sink[4096];

	if (client < 0)
		open_client();
	if (send(client, data, MIN(size, 32u), MSG_NOSIGNAL) < 0)
		errno = 0; /* full: the guest reads nothing */
	fuzz_run(data, size);
	while (recv(client, sink, sizeof(sink), 0) > 0)
		continue;
	return 0;
}
