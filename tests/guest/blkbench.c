/*
 * virtio-blk speed: 4 KiB random reads and 128 KiB sequential reads, with depth
 * requests in flight. Prints "RESULT name value unit" lines. Time is the TSC's,
 * calibrated on the PM timer. Runs under zhyve and QEMU alike.
 */
#include "virtio.h"

#define DEPTH 32
#define RUN_MS 1500

struct slot {
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} hdr;
	volatile uint8_t status;
};

static struct vdev d;
static struct vq q;
static struct slot slots[DEPTH] __attribute__((aligned(64)));
static uint8_t data[DEPTH][131072] __attribute__((aligned(4096)));
static uint64_t tsc_per_ms, nsect;
static volatile struct vring_desc tab[DEPTH][3] __attribute__((aligned(64)));

static void
calibrate(void)
{
	uint64_t t = rdtsc();

	delay_us(100000);
	tsc_per_ms = (rdtsc() - t) / 100;
}

static void
submit(unsigned i, uint64_t sector, uint32_t len)
{
	slots[i].hdr.type = 0;
	slots[i].hdr.sector = sector;
	slots[i].status = 0xff;
	tab[i][1].len = len;
	vq_add(&q, (uint16_t)i);
}

static void
prepare(void)
{
	unsigned i;

	for (i = 0; i < DEPTH; i++) {
		tab[i][0] = (struct vring_desc){ (uint64_t)&slots[i].hdr, 16,
			DESC_NEXT, 1 };
		tab[i][1] = (struct vring_desc){ (uint64_t)data[i], 4096,
			DESC_NEXT | DESC_WRITE, 2 };
		tab[i][2] = (struct vring_desc){ (uint64_t)&slots[i].status, 1,
			DESC_WRITE, 0 };
		vq_desc(&q, i, tab[i], 48, DESC_INDIRECT, 0);
	}
}

static uint64_t rnd = 88172645463325252ull;
static uint64_t seq;

static uint64_t
next_sector(bool random, uint32_t len)
{
	uint64_t n = nsect / (len / 512);

	if (!random)
		return seq++ % n * (len / 512);
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return rnd % n * (len / 512);
}

static void
run(const char *name, unsigned depth, bool random, uint32_t len)
{
	uint64_t t0 = rdtsc(), end = t0 + tsc_per_ms * RUN_MS, n = 0, bad = 0;
	unsigned inflight = 0, i;
	bool kick;

	for (i = 0; i < depth; i++, inflight++)
		submit(i, next_sector(random, len), len);
	vq_kick(&q);
	while (inflight > 0) {
		kick = false;
		while (q.used[1] != q.last_used) {
			i = VQ_USED(&q, q.last_used).id % DEPTH;
			q.last_used++;
			n++;
			bad += slots[i].status != 0;
			inflight--;
			if (rdtsc() < end) {
				submit(i, next_sector(random, len), len);
				inflight++;
				kick = true;
			}
		}
		/* the device may not want to know: flags bit 0 */
		if (kick && !(q.used[0] & 1))
			vq_kick(&q);
		cpu_pause();
	}
	t0 = rdtsc() - t0;
	print("RESULT %s %lu per_s\n", name, n * 1000 * tsc_per_ms / t0);
	if (bad != 0)
		print("RESULT %s-errors %lu n\n", name, bad);
}

void
user_main(void)
{
	if (!vdev_open(&d, 2, 0) || !vdev_negotiate(&d, UINT64_C(1) << 28) ||
	    !vdev_queue(&d, 0, 128, -1, &q)) {
		print("Bail out! no disk\n");
		power_off();
	}
	vdev_ready(&d);
	nsect = mmio_read32(d.cfg) | (uint64_t)mmio_read32(d.cfg + 4) << 32;
	calibrate();
	prepare();
	run("randread-4k-qd1", 1, true, 4096);
	run("randread-4k-qd32", DEPTH, true, 4096);
	run("seqread-128k-qd8", 8, false, 131072);
	print("DONE\n");
	power_off();
}
