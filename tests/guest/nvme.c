/*
 * An NVMe controller, driven without an operating system: polled and by MSI-X,
 * data checked; then rules broken, and after each a reset brings it back.
 */
#include "nvme.h"

static uint8_t *buf, *back;
static uint64_t *list;

static void
test_data(void)
{
	unsigned i;

	for (i = 0; i < 65536; i++)
		buf[i] = (uint8_t)(i * 7 + (i >> 8));
	for (i = 0; i < 15; i++)
		list[i] = (uint64_t)buf + 4096 * (i + 1);
	ok(run(1, rw(1, 8, 128, buf, list)) == 0, "write 64 KiB by a list");
	for (i = 0; i < 15; i++)
		list[i] = (uint64_t)back + 4096 * (i + 1);
	ok(run(1, rw(2, 8, 128, back, list)) == 0, "read it");
	ok(memcmp(buf, back, 65536) == 0, "the data is the same");
	ok(run(1, rw(2, 9, 1, back + 2048, NULL)) == 0 &&
		memcmp(buf + 512, back + 2048, 512) == 0,
	    "one block into the middle of a page");
	ok(run(1, (struct sqe){ .nsid = 1 }) == 0, "flush");
	ok(run(1, rw(8, 8, 8, NULL, NULL)) == 0 &&
		run(1, rw(2, 8, 16, back, back + 4096)) == 0 && back[0] == 0 &&
		back[4095] == 0 && memcmp(buf + 4096, back + 4096, 4096) == 0,
	    "write zeroes");
}

static bool
irq_came(void *arg)
{
	return irq_count[V_IO] > *(uint32_t *)arg;
}

static void
test_depth(void)
{
	uint32_t before = irq_count[V_IO];
	unsigned i, good = 0;

	for (i = 0; i < QUEUE - 1; i++)
		put(1, rw(2, 8 + i * 8, 8, back + i * 4096, NULL));
	ring(1);
	for (i = 0; i < QUEUE - 1; i++)
		good += reap(1, PATIENCE) == 0;
	ok(good == QUEUE - 1, "%u commands at once", good);
	ok(memcmp(buf + 8 * 512, back + 4096, (QUEUE - 2) * 4096) == 0,
	    "each with its own data");
	ok(wait_until(irq_came, &before, PATIENCE), "interrupts came (%u)",
	    irq_count[V_IO] - before);
}

/* What no driver does: it must answer, or at least come back. */
static void
test_breaches(void)
{
	static const struct {
		const char *what;
		struct sqe c;
	} rows[] = {
		{ "data aimed at MMIO",
		    { .opcode = 2, .nsid = 1, .prp1 = 0xfec00000 } },
		{ "an address that wraps",
		    { .opcode = 1, .nsid = 1, .prp1 = ~UINT64_C(3) } },
		{ "a list in a hole",
		    { .opcode = 2,
			.nsid = 1,
			.prp1 = 0x200000,
			.prp2 = 0xfee00000,
			.cdw = { 0, 0, 255 } } },
		{ "blocks past the end",
		    { .opcode = 2,
			.nsid = 1,
			.prp1 = 0x200000,
			.cdw = { ~0u, ~0u, 0 } } },
		{ "more data than allowed",
		    { .opcode = 2,
			.nsid = 1,
			.prp1 = 0x200000,
			.cdw = { 0, 0, 0xffff } } },
		{ "an unknown command", { .opcode = 0xee, .nsid = 1 } },
	};
	unsigned i, s;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s = run(1, rows[i].c);
		ok(s != 0 && s != NONE, "%s: refused (%x)", rows[i].what, s);
	}
	for (i = 0; i < 0x400; i += 4)
		mmio_write32(bar + 0x1000 + i, ~0u);
	ok(open_queues() && run(1, rw(2, 8, 1, back, NULL)) == 0,
	    "junk in all doorbells: works after a reset");
	for (i = 0; i < 15; i++)
		put(1, rw(2, i * 64, 8, back, NULL));
	ring(1);
	ok(run(0, (struct sqe){ .cdw = { 1 } }) == 0 &&
		run(0, (struct sqe){ .opcode = 4, .cdw = { 1 } }) == 0,
	    "queues deleted with commands in flight");
	ok(open_queues(), "and made again");
	for (i = 0; i < 15; i++)
		put(1, rw(1, i * 64, 8, back, NULL));
	ring(1);
	mmio_write32(bar + R_CC, 0);
	mmio_write32(bar + R_CC, CC_ON);
	ok(open_queues() && run(1, rw(2, 8, 1, back, NULL)) == 0,
	    "switched off and on during writes: works after a reset");
}

void
user_main(void)
{
	lapic_enable();
	sti();
	if (!ok(find_controller(0xfb5d, 0x0a0a), "there is a controller"))
		tap_done();
	ok(pci_read(&fn, 8, 4) >> 8 == 0x010802, "of the NVMe class");
	buf = balloc(65536, 4096);
	back = balloc(65536, 4096);
	list = balloc(4096, 4096);
	if (!ok(open_queues(), "it comes up"))
		tap_done();
	test_data();
	test_depth();
	ok(open_words(), "doorbells in memory");
	test_data();
	test_depth();
	for (unsigned i = 0; i < 16; i++)
		words[i] = ~0u;
	ok(open_queues() && open_words() &&
		run(1, rw(2, 8, 1, back, NULL)) == 0,
	    "junk in them: works after a reset");
	test_breaches();
	tap_done();
}
