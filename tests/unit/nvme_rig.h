/*
 * A driver of one NVMe controller on the machine of virtio_rig.h: the test
 * builds commands, the rig rings and waits.
 */
#ifndef UNIT_NVME_RIG_H
#define UNIT_NVME_RIG_H

#include "dev/nvme/nvme_spec.h"
#include "virtio_rig.h"

/* Where things are in the rig's memory. */
#define NRIG_SQ(q) (0x10000 + (uint64_t)(q)*0x10000)
#define NRIG_CQ(q) (0x18000 + (uint64_t)(q)*0x10000)
#define NRIG_BUF UINT64_C(0x200000)
#define NRIG_QUEUES 8
#define NRIG_NONE 0xffffu /* no completion in time */

struct nrig {
	struct rig r;
	struct {
		uint32_t sq_size, cq_size;
		uint32_t tail, head;
		uint8_t phase;
	} q[NRIG_QUEUES];
	struct nvme_cqe last; /* the completion taken last */
	/* Doorbells in memory: two pages, 0: none */
	uint64_t values, events;
	unsigned rings; /* doorbell registers written for I/O queues */
};

int nrig_open(struct nrig *n, const char *opts, struct error *err);
void nrig_close(struct nrig *n);
uint32_t nrig_reg(struct nrig *n, unsigned off);
void nrig_set(struct nrig *n, unsigned off, uint32_t v);
void nrig_doorbell(struct nrig *n, unsigned q, bool cq, uint32_t v);
/* Doorbell Buffer Config; from then on the rig uses them, its status. */
unsigned nrig_shadow(struct nrig *n, uint64_t values, uint64_t events);
/* The word of a queue in a page of doorbells. */
uint32_t *nrig_word(struct nrig *n, uint64_t page, unsigned q, bool cq);
/* Until (CSTS & mask) == want; false after RIG_PATIENCE. */
bool nrig_csts(struct nrig *n, uint32_t mask, uint32_t want);
/* Admin queues of 16 entries, MSI-X, enabled. */
bool nrig_enable(struct nrig *n);
bool nrig_disable(struct nrig *n);
void nrig_put(struct nrig *n, unsigned q, const struct nvme_sqe *c);
void nrig_ring(struct nrig *n, unsigned q);
/* The next completion's status, or NRIG_NONE; 'last' is it. */
unsigned nrig_wait(struct nrig *n, unsigned q, unsigned ms);
/* Take no notice of it in the doorbell. */
unsigned nrig_peek(struct nrig *n, unsigned q, unsigned ms);
/* Submit, wait; the status without the phase. */
unsigned nrig_do(struct nrig *n, unsigned q, struct nvme_sqe c);
/* Queue pair q with these sizes. */
bool nrig_queue(struct nrig *n, unsigned q, uint32_t size);

#endif
