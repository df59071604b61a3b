/*
 * NVMe speed: 4 KiB random reads at depth 1 and 32, 128 KiB sequential reads.
 * Prints "RESULT name value unit" lines; polls, so that the device is what is
 * measured. Doorbells are in memory, as Linux has them; by registers with
 * "plain" on the command line. Time is the TSC's, calibrated on the PM timer.
 * Runs under zhyve and QEMU alike.
 */
#define QUEUE 64
#include "nvme.h"

#define DEPTH 32
#define RUN_MS 1500

static uint8_t data[DEPTH][131072] __attribute__((aligned(4096)));
static uint64_t lists[DEPTH][512] __attribute__((aligned(4096)));
static uint64_t tsc_per_ms, blocks;

static void
calibrate(void)
{
	uint64_t t = rdtsc();

	delay_us(100000);
	tsc_per_ms = (rdtsc() - t) / 100;
}

static void
start(unsigned slot, uint64_t lba, unsigned count)
{
	struct sqe c = rw(2, lba, count, data[slot], lists[slot]);

	c.cid = (uint16_t)slot;
	put(1, c);
}

/* Commands of 'count' blocks a second, with 'depth' in flight. */
static uint64_t
measure(unsigned depth, unsigned count, bool random)
{
	uint64_t end, begin, done = 0, at = 0, seed = 1;
	unsigned i, slot;

	for (i = 0; i < depth; i++, at += count)
		start(i, at, count);
	ring(1);
	begin = rdtsc();
	end = begin + tsc_per_ms * RUN_MS;
	while (rdtsc() < end) {
		bool any = false;

		while (came(&q[1])) {
			slot = q[1].cq[q[1].head].cid;
			q[1].head = (q[1].head + 1) % QUEUE;
			if (q[1].head == 0)
				q[1].phase ^= 1;
			seed = seed * 6364136223846793005 + 1442695040888963407;
			at = random ? (seed >> 33) % (blocks / 8) * 8
			    : at + count >= blocks ? 0
						   : at + count;
			start(slot, at, count);
			done++;
			any = true;
		}
		if (any) {
			move(1, true, q[1].head);
			ring(1);
		}
	}
	done = done * 1000 * tsc_per_ms / (rdtsc() - begin);
	for (i = 0; i < depth; i++)
		reap(1, 5000);
	return done;
}

void
user_main(void)
{
	unsigned i, j;

	lapic_enable();
	sti();
	calibrate();
	if (!find_controller(0xfb5d, 0x0a0a) &&
	    !find_controller(0x1b36, 0x0010)) {
		print("no NVMe controller\n");
		power_off();
	}
	if (!open_queues()) {
		print("the controller does not come up\n");
		power_off();
	}
	if (cmdline()[0] != 'p')
		print("# doorbells %s\n", open_words() ? "in memory" : "plain");
	for (i = 0; i < DEPTH; i++)
		for (j = 0; j < 31; j++)
			lists[i][j] = (uint64_t)data[i] + 4096 * (j + 1);
	run(0,
	    (struct sqe){ .opcode = 6, .nsid = 1, .prp1 = (uint64_t)data[0] });
	blocks = *(uint64_t *)data[0];
	print("RESULT nvme_4k_qd1 %lu iops\n", measure(1, 8, true));
	print("RESULT nvme_4k_qd32 %lu iops\n", measure(32, 8, true));
	print("RESULT nvme_128k_qd32 %lu MiB/s\n", measure(32, 256, false) / 8);
	power_off();
}
