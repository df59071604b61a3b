/*
 * SATA speed: queued 4 KiB random reads and 128 KiB sequential reads of the
 * disk on port 0 of an AHCI controller. Prints "RESULT name value unit" lines
 * as blkbench.c does. Runs under zhyve and QEMU alike.
 */
#include "guest.h"

#define DEPTH 32
#define RUN_MS 1500
#define PX(r) (hba + 0x100 + (r))
#define P_CLB 0x00
#define P_FB 0x08
#define P_IS 0x10
#define P_CMD 0x18
#define P_TFD 0x20
#define P_SERR 0x30
#define P_SACT 0x34
#define P_CI 0x38

static struct {
	uint8_t clb[1024];
	uint8_t fb[256];
	uint8_t pad[768];
	uint8_t table[DEPTH][256];
} port __attribute__((aligned(4096)));
static uint8_t data[DEPTH][131072] __attribute__((aligned(4096)));
static uint64_t hba, tsc_per_ms, nsect;
static uint64_t rnd = 88172645463325252ull, seq;

static void
calibrate(void)
{
	uint64_t t = rdtsc();

	delay_us(100000);
	tsc_per_ms = (rdtsc() - t) / 100;
}

static void
prepare(unsigned i, uint8_t cmd, uint64_t lba, uint32_t len)
{
	uint8_t *t = port.table[i];
	uint64_t words[] = { (uint64_t)data[i], (uint64_t)(len - 1) << 32 };
	uint32_t hdr[4] = { 5 | 1 << 16, 0, (uint32_t)(uint64_t)t, 0 };

	t[0] = 0x27;
	t[1] = 0x80;
	t[2] = cmd;
	t[3] = (uint8_t)(len / 512);
	t[11] = (uint8_t)(len / 512 >> 8);
	memcpy(&t[4], &lba, 3);
	t[7] = 0x40;
	t[8] = (uint8_t)(lba >> 24);
	t[12] = (uint8_t)(i << 3);
	memcpy(&t[0x80], words, sizeof(words));
	memcpy(&port.clb[i * 32], hdr, sizeof(hdr));
}

static bool
start(void)
{
	unsigned n = 0;

	mmio_write32(hba + 0x04, 0x80000000);
	mmio_write32(PX(P_CMD), 6); /* spin up, power on */
	mmio_write32(PX(P_CLB), (uint32_t)(uint64_t)port.clb);
	mmio_write32(PX(P_FB), (uint32_t)(uint64_t)port.fb);
	mmio_write32(PX(P_CMD), 0x16);
	mmio_write32(PX(P_SERR), 0xffffffff);
	while ((mmio_read32(PX(P_TFD)) & 0x88) != 0 && n++ < 1000)
		delay_us(1000);
	mmio_write32(PX(P_CMD), 0x17);
	prepare(0, 0xec, 0, 512);
	mmio_write32(PX(P_CI), 1);
	while ((mmio_read32(PX(P_CI)) & 1) != 0 && n++ < 1000)
		delay_us(1000);
	memcpy(&nsect, &data[0][200], 8);
	return n < 1000;
}

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
submit(uint32_t mask, bool random, uint32_t len)
{
	for (uint32_t m = mask; m != 0; m &= m - 1)
		prepare((unsigned)__builtin_ctz(m), 0x60,
		    next_sector(random, len), len);
	if (mask == 0)
		return;
	mmio_write32(PX(P_SACT), mask);
	mmio_write32(PX(P_CI), mask);
}

static void
run(const char *name, unsigned depth, bool random, uint32_t len)
{
	uint64_t t0 = rdtsc(), end = t0 + tsc_per_ms * RUN_MS, n = 0;
	uint32_t all = depth == 32 ? 0xffffffff : (1u << depth) - 1, busy = all;

	submit(all, random, len);
	while (busy != 0) {
		uint32_t done = busy & ~mmio_read32(PX(P_SACT));

		for (uint32_t m = done; m != 0; m &= m - 1)
			n++;
		mmio_write32(PX(P_IS), 0xffffffff);
		if (rdtsc() < end)
			submit(done, random, len);
		else
			busy &= ~done;
	}
	t0 = rdtsc() - t0;
	print("RESULT %s %lu per_s\n", name, n * 1000 * tsc_per_ms / t0);
	if ((mmio_read32(PX(P_TFD)) & 1) != 0)
		print("RESULT %s-errors 1 n\n", name);
}

void
user_main(void)
{
	struct pci_fn fn;

	if (pci_find(0x8086, 0x2922, 0, &fn)) {
		pci_enable(&fn);
		hba = pci_bar(&fn, 5);
		pci_enable(&fn);
	}
	if (hba == 0 || !start()) {
		print("Bail out! no disk\n");
		power_off();
	}
	calibrate();
	run("sata-randread-4k-qd1", 1, true, 4096);
	run("sata-randread-4k-qd32", DEPTH, true, 4096);
	run("sata-seqread-128k-qd8", 8, false, 131072);
	print("DONE\n");
	power_off();
}
