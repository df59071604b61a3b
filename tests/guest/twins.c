/*
 * Two disks, the first and the third, that always agree: the same number is
 * written to one, and when that is done to the other, again and again. Whoever
 * copies both at one moment finds the first at most one ahead.
 */
#include "virtio.h"

#define WORDS 512 /* of 8 bytes: a page, torn or whole */

struct disk {
	struct vdev d;
	struct vq q;
};

static struct disk disks[2];
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} hdr __attribute__((aligned(16)));
static uint64_t page[WORDS] __attribute__((aligned(4096)));
static volatile uint8_t status;

static bool
open_disk(struct disk *k, unsigned n)
{
	return vdev_open(&k->d, 2, n) && vdev_negotiate(&k->d, 0) &&
	    vdev_queue(&k->d, 0, 64, -1, &k->q) && (vdev_ready(&k->d), true);
}

static bool
write_page(struct disk *k)
{
	struct vring_used_elem u;

	hdr.type = 1;
	hdr.sector = 0;
	status = 0xee;
	vq_desc(&k->q, 0, &hdr, 16, DESC_NEXT, 1);
	vq_desc(&k->q, 1, page, sizeof(page), DESC_NEXT, 2);
	vq_desc(&k->q, 2, &status, 1, DESC_WRITE, 0);
	vq_add(&k->q, 0);
	vq_kick(&k->q);
	return vq_wait(&k->q, 20000, &u) && status == 0;
}

void
user_main(void)
{
	bool fine = open_disk(&disks[0], 0) && open_disk(&disks[1], 2);

	for (uint64_t n = 1; fine; n++) {
		for (unsigned i = 0; i < WORDS; i++)
			page[i] = n;
		fine = write_page(&disks[0]) && write_page(&disks[1]);
		if (n == 10)
			print("TWINS\n");
	}
	print("BROKEN\n");
	for (;;)
		halt_wait();
}
