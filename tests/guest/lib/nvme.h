/*
 * A small NVMe driver for the test guests: the admin queue and one pair of I/O
 * queues. Included by the guests that have use for it.
 */
#ifndef GUEST_NVME_H
#define GUEST_NVME_H

#include "guest.h"

#ifndef QUEUE
#define QUEUE 16 /* entries, at most 64 */
#endif
#define V_IO 0x62
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
/* Doorbells in memory, a word each as the registers; NULL: registers only. */
static volatile uint32_t *words, *events;

static inline bool
csts_is(void *want)
{
	return (mmio_read32(bar + R_CSTS) & 3) == *(uint32_t *)want;
}

static inline bool
turn(bool on)
{
	uint32_t want = on;
	unsigned i;

	words = NULL;
	for (i = 0; on && i < 2; i++) {
		memset((void *)q[i].cq, 0, QUEUE * sizeof(struct cqe));
		q[i].tail = q[i].head = 0;
		q[i].phase = 1;
	}
	mmio_write32(bar + R_AQA, (QUEUE - 1) << 16 | (QUEUE - 1));
	mmio_write64(bar + R_ASQ, (uint64_t)q[0].sq);
	mmio_write64(bar + R_ACQ, (uint64_t)q[0].cq);
	mmio_write32(bar + R_CC, on ? CC_ON : 0);
	return wait_until(csts_is, &want, PATIENCE);
}

static inline bool
came(void *arg)
{
	struct queue *w = arg;

	return (w->cq[w->head].status & 1) == w->phase;
}

/* A doorbell; the register when the value passes the event's. */
static inline void
move(unsigned i, bool cq, unsigned v)
{
	unsigned at = 2 * i + cq, old;

	if (words != NULL && i != 0) {
		old = words[at];
		__asm__ volatile("" ::: "memory");
		words[at] = v;
		__sync_synchronize();
		if ((uint16_t)(v - events[at] - 1) >= (uint16_t)(v - old))
			return;
	}
	mmio_write32(bar + 0x1000 + at * 4, v);
}

/* Status of the next completion, or NONE. */
static inline unsigned
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
	move(i, true, w->head);
	return status;
}

static inline void
put(unsigned i, struct sqe c)
{
	struct queue *w = &q[i];

	w->sq[w->tail] = c;
	w->tail = (w->tail + 1) % QUEUE;
}

static inline void
ring(unsigned i)
{
	move(i, false, q[i].tail);
}

static inline unsigned
run(unsigned i, struct sqe c)
{
	put(i, c);
	ring(i);
	return reap(i, PATIENCE);
}

static inline struct sqe
rw(unsigned opcode, uint64_t lba, unsigned blocks, void *p, void *prp2)
{
	return (struct sqe){ .opcode = (uint8_t)opcode,
		.nsid = 1,
		.prp1 = (uint64_t)p,
		.prp2 = (uint64_t)prp2,
		.cdw = { (uint32_t)lba, (uint32_t)(lba >> 32), blocks - 1 } };
}

static inline bool
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

/* Use doorbells in memory, if the controller knows them. */
static inline bool
open_words(void)
{
	uint8_t *id = balloc(4096, 4096);
	volatile uint32_t *w = balloc(4096, 4096), *e = balloc(4096, 4096);

	if (run(0,
		(struct sqe){
		    .opcode = 6, .prp1 = (uint64_t)id, .cdw = { 1 } }) != 0 ||
	    (id[257] & 1) == 0)
		return false;
	memset((void *)w, 0, 4096);
	memset((void *)e, 0, 4096);
	if (run(0,
		(struct sqe){ .opcode = 0x7c,
		    .prp1 = (uint64_t)w,
		    .prp2 = (uint64_t)e }) != 0)
		return false;
	words = w;
	events = e;
	return true;
}

/* The first controller, its I/O queue's interrupts at V_IO. */
static inline bool
find_controller(uint16_t vendor, uint16_t device)
{
	unsigned i;

	if (!pci_find(vendor, device, 0, &fn))
		return false;
	pci_enable(&fn);
	bar = pci_bar(&fn, 0);
	pci_msix_set(&fn, 1, V_IO);
	for (i = 0; i < 2; i++) {
		q[i].sq = balloc(4096, 4096);
		q[i].cq = balloc(4096, 4096);
	}
	return true;
}

#endif
