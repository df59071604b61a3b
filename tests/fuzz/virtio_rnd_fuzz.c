/*
 * virtio-rnd and the transport with a hostile guest.
 */
#include "virtio_ops.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_open("virtio-rnd", "legacy=true");
	fuzz_run(data, size);
	return 0;
}
