/*
 * An NVMe controller, driven without an operating system: polled and by MSI-X,
 * data checked; then rules broken, and after each a reset brings it back.
 */
#include "guest.h"

#define V_IO 0x62
#define QUEUE 16
#define R_CC 0x14
#define R_CSTS 0x1c
#define R_AQA 0x24
#define R_ASQ 0x28
#define R_ACQ 0x30
#define CC_ON 0x00460001
#define NONE 0xffff

struct sqe {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved, mptr, prp1, prp2;
	uint32_t cdw[6]; /* 10 to 15 */
};
struct cqe {
	uint32_t result, reserved;
	uint16_t sqhd, sqid, cid, status;
};
struct queue {
	volatile struct sqe *sq;
	volatile struct cqe *cq;
	unsigned tail, head, phase;
};

static struct pci_fn fn;
static uint64_t bar;
static struct queue q[2];
static uint8_t *buf, *back;
static uint64_t *list;

static bool
csts_is(void *want)
{
	return (mmio_read32(bar + R_CSTS) & 3) == *(uint32_t *)want;
}

static bool
turn(bool on)
{
	uint32_t want = on;
	unsigned i;

	for (i = 0; on && i < 2; i++) {
		memset((void *)q[i].cq, 0, QUEUE * sizeof(struct cqe));
		q[i].tail = q[i].head = 0;
		q[i].phase = 1;
	}
	mmio_write32(bar + R_AQA, (QUEUE - 1) << 16 | (QUEUE - 1));
	mmio_write64(bar + R_ASQ, (uint64_t)q[0].sq);
	mmio_write64(bar + R_ACQ, (uint64_t)q[0].cq);
	mmio_write32(bar + R_CC, on ? CC_ON : 0);
	return wait_until(csts_is, &want, 5000);
}

static bool
came(void *arg)
{
	struct queue *w = arg;

	return (w->cq[w->head].status & 1) == w->phase;
}

/* Status of the next completion, or NONE. */
static unsigned
reap(unsigned i, unsigned ms)
{
	struct queue *w = &q[i];
	unsigned status;

	if (!wait_until(came, w, ms))
		return NONE;
	status = w->cq[w->head].status >> 1;
	w->head = (w->head + 1) % QUEUE;
	if (w->head == 0)
		w->phase ^= 1;
	mmio_write32(bar + 0x1004 + i * 8, w->head);
	return status;
}

static void
put(unsigned i, struct sqe c)
{
	struct queue *w = &q[i];

	w->sq[w->tail] = c;
	w->tail = (w->tail + 1) % QUEUE;
}

static void
ring(unsigned i)
{
	mmio_write32(bar + 0x1000 + i * 8, q[i].tail);
}

static unsigned
run(unsigned i, struct sqe c)
{
	put(i, c);
	ring(i);
	return reap(i, 5000);
}

static struct sqe
rw(unsigned opcode, uint64_t lba, unsigned blocks, void *p, void *prp2)
{
	return (struct sqe){ .opcode = (uint8_t)opcode,
		.nsid = 1,
		.prp1 = (uint64_t)p,
		.prp2 = (uint64_t)prp2,
		.cdw = { (uint32_t)lba, (uint32_t)(lba >> 32), blocks - 1 } };
}

static bool
open_queues(void)
{
	return turn(false) && turn(true) &&
	    run(0,
		(struct sqe){ .opcode = 5,
		    .prp1 = (uint64_t)q[1].cq,
		    .cdw = { (QUEUE - 1) << 16 | 1, 1 << 16 | 3 } }) == 0 &&
	    run(0,
		(struct sqe){ .opcode = 1,
		    .prp1 = (uint64_t)q[1].sq,
		    .cdw = { (QUEUE - 1) << 16 | 1, 1 << 16 | 1 } }) == 0;
}

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
		good += reap(1, 5000) == 0;
	ok(good == QUEUE - 1, "%u commands at once", good);
	ok(memcmp(buf + 8 * 512, back + 4096, (QUEUE - 2) * 4096) == 0,
	    "each with its own data");
	ok(wait_until(irq_came, &before, 2000), "interrupts came (%u)",
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
	unsigned i;

	lapic_enable();
	sti();
	if (!ok(pci_find(0xfb5d, 0x0a0a, 0, &fn), "there is a controller"))
		tap_done();
	ok(pci_read(&fn, 8, 4) >> 8 == 0x010802, "of the NVMe class");
	pci_enable(&fn);
	bar = pci_bar(&fn, 0);
	pci_msix_set(&fn, 1, V_IO);
	for (i = 0; i < 2; i++) {
		q[i].sq = balloc(4096, 4096);
		q[i].cq = balloc(4096, 4096);
	}
	buf = balloc(65536, 4096);
	back = balloc(65536, 4096);
	list = balloc(4096, 4096);
	if (!ok(open_queues(), "it comes up"))
		tap_done();
	test_data();
	test_depth();
	test_breaches();
	tap_done();
}
