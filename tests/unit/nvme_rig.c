#include "nvme_rig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int
nrig_open(struct nrig *n, const char *opts, struct error *err)
{
	int rc;

	memset(n, 0, sizeof(*n));
	rc = rig_open(&n->r, "nvme", opts, true, err);
	if (rc == 0 && !pci_bar_addr(n->r.pd, 0, &n->r.bar))
		return error_set(err, ENODEV, "no BAR");
	return rc;
}

void
nrig_close(struct nrig *n)
{
	rig_close(&n->r);
}

uint32_t
nrig_reg(struct nrig *n, unsigned off)
{
	return (uint32_t)rig_read(&n->r, off, 4);
}

void
nrig_set(struct nrig *n, unsigned off, uint32_t v)
{
	rig_write(&n->r, off, 4, v);
}

void
nrig_doorbell(struct nrig *n, unsigned q, bool cq, uint32_t v)
{
	nrig_set(n, NVME_DOORBELLS + q * 8 + (cq ? 4 : 0), v);
}

uint32_t *
nrig_word(struct nrig *n, uint64_t page, unsigned q, bool cq)
{
	return (uint32_t *)(void *)rig_ram(&n->r, page + q * 8 + (cq ? 4 : 0));
}

/* As drivers have it (7.13): the register is for values that pass the event. */
static void
move(struct nrig *n, unsigned q, bool cq, uint32_t v)
{
	uint32_t *word, old, event;

	if (n->values != 0 && q != 0) {
		word = nrig_word(n, n->values, q, cq);
		old = *word;
		__atomic_store_n(word, v, __ATOMIC_SEQ_CST);
		event = __atomic_load_n(
		    nrig_word(n, n->events, q, cq), __ATOMIC_SEQ_CST);
		if ((uint16_t)(v - event - 1) >= (uint16_t)(v - old))
			return;
	}
	n->rings += q != 0;
	nrig_doorbell(n, q, cq, v);
}

unsigned
nrig_shadow(struct nrig *n, uint64_t values, uint64_t events)
{
	unsigned status = nrig_do(n, 0,
	    (struct nvme_sqe){ .opcode = NVME_ADMIN_DOORBELLS,
		.prp1 = values,
		.prp2 = events });

	if (status == 0) {
		n->values = values;
		n->events = events;
	}
	return status;
}

bool
nrig_csts(struct nrig *n, uint32_t mask, uint32_t want)
{
	for (unsigned i = 0; i < RIG_PATIENCE * 10; i++) {
		if ((nrig_reg(n, NVME_CSTS) & mask) == want)
			return true;
		usleep(100);
	}
	return false;
}

static void
queue_reset(struct nrig *n, unsigned q, uint32_t size)
{
	n->q[q].sq_size = n->q[q].cq_size = size;
	n->q[q].tail = n->q[q].head = 0;
	n->q[q].phase = 1;
	memset(rig_ram(&n->r, NRIG_SQ(q)), 0, 0x10000);
}

bool
nrig_enable(struct nrig *n)
{
	rig_msix(&n->r);
	n->values = n->events = 0;
	queue_reset(n, 0, 16);
	nrig_set(n, NVME_AQA, 15 << 16 | 15);
	rig_write(&n->r, NVME_ASQ, 8, NRIG_SQ(0));
	rig_write(&n->r, NVME_ACQ, 8, NRIG_CQ(0));
	nrig_set(n, NVME_CC, 4u << 20 | 6u << 16 | NVME_CC_EN);
	return nrig_csts(n, 3, NVME_CSTS_RDY);
}

bool
nrig_disable(struct nrig *n)
{
	nrig_set(n, NVME_CC, 0);
	return nrig_csts(n, 3, 0);
}

void
nrig_put(struct nrig *n, unsigned q, const struct nvme_sqe *c)
{
	memcpy(rig_ram(&n->r, NRIG_SQ(q) + n->q[q].tail * sizeof(*c)), c,
	    sizeof(*c));
	n->q[q].tail = (n->q[q].tail + 1) % n->q[q].sq_size;
}

void
nrig_ring(struct nrig *n, unsigned q)
{
	move(n, q, false, n->q[q].tail);
}

unsigned
nrig_peek(struct nrig *n, unsigned q, unsigned ms)
{
	uint64_t at = NRIG_CQ(q) + n->q[q].head * sizeof(n->last);
	uint64_t *e = (void *)rig_ram(&n->r, at);
	uint64_t end = mevent_now_ns() + ms * UINT64_C(1000000), half[2];

	for (;;) {
		half[1] = __atomic_load_n(e + 1, __ATOMIC_ACQUIRE);
		half[0] = __atomic_load_n(e, __ATOMIC_RELAXED);
		memcpy(&n->last, half, sizeof(half));
		if ((n->last.status & 1) == n->q[q].phase)
			break;
		if (mevent_now_ns() > end)
			return NRIG_NONE;
		usleep(50);
	}
	n->q[q].head = (n->q[q].head + 1) % n->q[q].cq_size;
	if (n->q[q].head == 0)
		n->q[q].phase ^= 1;
	return n->last.status >> 1;
}

unsigned
nrig_wait(struct nrig *n, unsigned q, unsigned ms)
{
	unsigned status = nrig_peek(n, q, ms);

	if (status != NRIG_NONE)
		move(n, q, true, n->q[q].head);
	return status;
}

unsigned
nrig_do(struct nrig *n, unsigned q, struct nvme_sqe c)
{
	nrig_put(n, q, &c);
	nrig_ring(n, q);
	return nrig_wait(n, q, RIG_PATIENCE);
}

bool
nrig_queue(struct nrig *n, unsigned q, uint32_t size)
{
	queue_reset(n, q, size);
	return nrig_do(n, 0,
		   (struct nvme_sqe){ .opcode = NVME_ADMIN_CREATE_CQ,
		       .prp1 = NRIG_CQ(q),
		       .cdw10 = (size - 1) << 16 | q,
		       .cdw11 = q << 16 | 3 }) == 0 &&
	    nrig_do(n, 0,
		(struct nvme_sqe){ .opcode = NVME_ADMIN_CREATE_SQ,
		    .prp1 = NRIG_SQ(q),
		    .cdw10 = (size - 1) << 16 | q,
		    .cdw11 = q << 16 | 1 }) == 0;
}
