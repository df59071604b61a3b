/*
 * virtio-blk and the transport, both interfaces, with a hostile guest.
 */
#include "virtio_ops.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char opts[64];

	if (fd == -1) {
		fd = fuzz_image();
		(void)str_format(
		    opts, sizeof(opts), "/dev/fd/%d,legacy,queues=2", fd);
		fuzz_open("virtio-blk", opts);
	}
	fuzz_run(data, size);
	return 0;
}
