/*
 * A guest that sends what no link of a zone lets through, ten frames a second:
 * another's address, and a type of its own.
 */
#include "virtio.h"

static struct vdev d;
static struct vq rx, tx;
static uint8_t out[12 + 64] __attribute__((aligned(4096)));

static void
send(uint8_t last, uint16_t type)
{
	struct vring_used_elem u;
	unsigned i;

	memset(out, 0, sizeof(out));
	for (i = 0; i < 6; i++) {
		out[12 + i] = 0xff;
		out[12 + 6 + i] = mmio_read8(d.cfg + i);
	}
	out[12 + 11] += last;
	out[12 + 12] = (uint8_t)(type >> 8);
	out[12 + 13] = (uint8_t)type;
	vq_desc(&tx, 0, out, sizeof(out), 0, 0);
	vq_add(&tx, 0);
	vq_kick(&tx);
	vq_wait(&tx, 2000, &u);
}

void
user_main(void)
{
	lapic_enable();
	sti();
	if (!vdev_open(&d, 1, 0) || !vdev_negotiate(&d, UINT64_C(1) << 5) ||
	    !vdev_queue(&d, 0, 64, -1, &rx) ||
	    !vdev_queue(&d, 1, 64, -1, &tx)) {
		print("NO NIC\n");
		for (;;)
			halt_wait();
	}
	vdev_ready(&d);
	print("SPOOF\n");
	for (;;) {
		send(1, 0x0806);
		send(0, 0x88b5);
		delay_us(200000);
	}
}
