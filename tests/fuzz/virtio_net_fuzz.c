/*
 * virtio-net with a hostile guest, over libslirp in a network namespace without
 * any link: what the guest sends can reach nobody.
 */
#include <sched.h>
#include <stdio.h>

#define FUZZ_QUEUES 3
#include "virtio_ops.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (rig.vm == NULL && unshare(CLONE_NEWNET) != 0 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
		perror("virtio_net_fuzz: no network namespace");
		abort();
	}
	fuzz_open("virtio-net", "slirp,legacy=true");
	fuzz_run(data, size);
	return 0;
}
