/*
 * virtio-rng: bytes come, of the length asked for, and differ.
 */
#include "virtio.h"

static struct vdev d;
static struct vq q;
static uint8_t a[256], b[256];

static uint32_t
ask(uint8_t *p, uint32_t n)
{
	struct vring_used_elem u;

	memset(p, 0, n);
	vq_desc(&q, 0, p, n, DESC_WRITE, 0);
	vq_add(&q, 0);
	vq_kick(&q);
	return vq_wait(&q, 2000, &u) ? u.len : 0;
}

void
user_main(void)
{
	unsigned i, zero = 0;

	if (!ok(vdev_open(&d, 4, 0) && vdev_negotiate(&d, 0) &&
		    vdev_queue(&d, 0, 8, -1, &q),
		"device comes up"))
		tap_done();
	vdev_ready(&d);
	ok(ask(a, 256) == 256 && ask(b, 256) == 256, "256 bytes twice");
	for (i = 0; i < 256; i++)
		zero += a[i] == 0;
	ok(zero < 32, "they are not zeros");
	ok(memcmp(a, b, 256) != 0, "and not the same");
	/* a read-only descriptor: nothing to write into, must not hang */
	vq_desc(&q, 0, a, 16, 0, 0);
	vq_add(&q, 0);
	vq_kick(&q);
	delay_us(2000);
	vdev_reset(&d);
	ok(vdev_negotiate(&d, 0) && vdev_queue(&d, 0, 8, -1, &q),
	    "reset after a useless request");
	vdev_ready(&d);
	ok(ask(a, 16) == 16, "works after it");
	tap_done();
}
