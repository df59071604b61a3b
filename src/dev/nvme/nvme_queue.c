/*
 * Submission and completion queues (4.1, 4.6, 7.2), and interrupts.
 *
 * The number of commands in work is bounded for each queue; while all are in
 * use the rest waits in the guest's ring. A completion that finds its queue
 * full waits in the command that it is about.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/nvme/nvme_impl.h"
#include "vmm/vm.h"

#define BUDGET 128 /* commands taken before others have their turn */
/* The admin queue's: events and DELETEs that wait, and one at work. */
#define ADMIN_SLOTS (NVME_EVENTS + NVME_MAX_IO_QUEUES + 1)

/* ---- requests and their pool ---- */

static struct nvme_req *
req_make(struct nvme_sq *sq)
{
	struct nvme_req *req;

	if (sq->made == sq->max)
		return NULL;
	req = alloc_zero(1, sizeof(*req));
	if (req == NULL)
		return NULL;
	req->sq = sq;
	sq->made++;
	return req;
}

static struct nvme_req *
req_get(struct nvme_sq *sq)
{
	struct nvme_req *req = sq->free;

	if (req == NULL)
		req = req_make(sq);
	else
		sq->free = req->next;
	if (req == NULL)
		return NULL;
	sq->inflight++;
	req->result = 0;
	req->synced = false;
	req->niov = req->range = req->nranges = 0;
	return req;
}

void
nvme_req_put(struct nvme_req *req)
{
	struct nvme_sq *sq = req->sq;
	struct nvme_req *del = sq->deleting;

	free(req->ranges);
	req->ranges = NULL;
	req->next = sq->free;
	sq->free = req;
	sq->inflight--;
	if (sq->inflight == 0 && del != NULL) {
		nvme_sq_close(sq);
		nvme_complete(del, NVME_OK);
	}
}

/* ---- completion ---- */

static bool
cq_has_room(struct nvme *n, struct nvme_cq *cq)
{
	uint32_t head;

	if (!pci_bus_master(n->pd))
		return false;
	head = nvme_cq_doorbell(cq);
	if (head < cq->size)
		cq->head = head;
	else
		nvme_event(n, NVME_EVENT_BAD_VALUE);
	return (cq->tail + 1) % cq->size != cq->head;
}

/*
 * Full: be woken by the doorbell. Said before the second look, so that a write
 * in between is not lost.
 */
static bool
cq_ready(struct nvme *n, struct nvme_cq *cq)
{
	if (cq_has_room(n, cq))
		return true;
	nvme_cq_ask(n, cq);
	return cq_has_room(n, cq);
}

static void
cq_post(struct nvme *n, struct nvme_cq *cq, struct nvme_req *req)
{
	struct nvme_cqe *e =
	    (void *)(cq->ring + (size_t)cq->tail * sizeof(struct nvme_cqe));
	uint64_t half[2];
	struct nvme_cqe copy = {
		.result = req->result,
		.sqhd = (uint16_t)req->sq->head,
		.sqid = req->sq->id,
		.cid = req->sqe.cid,
		.status = (uint16_t)(req->status << 1 | cq->phase),
	};

	memcpy(half, &copy, sizeof(copy));
	__atomic_store_n((uint64_t *)(void *)e, half[0], __ATOMIC_RELAXED);
	/* The phase is in this one: the guest sees the entry from here on. */
	__atomic_store_n((uint64_t *)(void *)e + 1, half[1], __ATOMIC_RELEASE);
	vm_mem_dirty(n->mem, e, sizeof(*e));
	if (cq->tail + 1 == cq->size)
		cq->phase ^= 1;
	ATOMIC_SET(&cq->tail, (cq->tail + 1) % cq->size);
	cq->raise = true;
}

void
nvme_complete(struct nvme_req *req, uint16_t status)
{
	struct nvme_sq *sq = req->sq;
	struct nvme_cq *cq = sq->cq;
	struct nvme *n = sq->n;

	req->status = status;
	if (status != NVME_OK)
		nvme_log_error(n, req);
	/* Nobody is told what a queue that goes has done. */
	if (sq->deleting == NULL && (cq->wait != NULL || !cq_ready(n, cq))) {
		req->next = NULL;
		*cq->wait_last = req;
		cq->wait_last = &req->next;
		return;
	}
	if (sq->deleting == NULL || cq_has_room(n, cq))
		cq_post(n, cq, req);
	nvme_req_put(req);
}

/* What waited for room, in order. */
static void
cq_run(struct nvme *n, struct nvme_cq *cq)
{
	struct nvme_req *req;

	while ((req = cq->wait) != NULL && cq_ready(n, cq)) {
		cq->wait = req->next;
		if (cq->wait == NULL)
			cq->wait_last = &cq->wait;
		cq_post(n, cq, req);
		nvme_req_put(req);
	}
}

/* Drop the completions of one submission queue, or of all (NULL). */
static void
cq_forget(struct nvme_cq *cq, const struct nvme_sq *sq)
{
	struct nvme_req *req = cq->wait, *next;

	cq->wait = NULL;
	cq->wait_last = &cq->wait;
	for (; req != NULL; req = next) {
		next = req->next;
		req->next = NULL;
		if (sq == NULL || req->sq == sq) {
			nvme_req_put(req);
			continue;
		}
		*cq->wait_last = req;
		cq->wait_last = &req->next;
	}
}

/* ---- interrupts ---- */

static bool
intx_wanted(struct nvme *n)
{
	uint32_t masked = ATOMIC_GET(&n->intms);

	for (unsigned i = 0; i <= n->nqueues; i++) {
		const struct nvme_cq *cq = &n->cq[i];

		if (ATOMIC_GET(&cq->irq) && (masked & 1) == 0 &&
		    ATOMIC_GET(&cq->tail) != ATOMIC_GET(&cq->doorbell))
			return true;
	}
	return false;
}

void
nvme_intx_update(struct nvme *n)
{
	if (pci_msix_enabled(n->pd))
		return;
	pthread_mutex_lock(&n->irq_lock);
	pci_intx_set(n->pd, intx_wanted(n));
	pthread_mutex_unlock(&n->irq_lock);
}

void
nvme_interrupt(struct nvme *n)
{
	bool any = false;

	for (unsigned i = 0; i <= n->nqueues; i++) {
		struct nvme_cq *cq = &n->cq[i];

		if (!cq->raise)
			continue;
		cq->raise = false;
		any = true;
		if (cq->irq && pci_msix_enabled(n->pd))
			pci_msix_send(n->pd, cq->vector);
	}
	if (any)
		nvme_intx_update(n);
}

/* ---- submission ---- */

static void
sq_take(struct nvme_sq *sq, struct nvme_req *req)
{
	struct nvme *n = sq->n;
	uint16_t status;

	memcpy(&req->sqe, sq->ring + (size_t)sq->head * sizeof(req->sqe),
	    sizeof(req->sqe));
	/* The compiler must not look there again: the guest writes too. */
	__asm__ volatile("" ::: "memory");
	sq->head = (sq->head + 1) % sq->size;
	n->taken++;
	status = sq->id == 0 ? nvme_admin(n, req) : nvme_io(n, req);
	if (status != NVME_PENDING)
		nvme_complete(req, status);
}

void
nvme_sq_take(struct nvme_sq *sq, uint32_t tail)
{
	sq->starved = false;
	for (unsigned i = 0; i < BUDGET && sq->head != tail; i++) {
		struct nvme_req *req = req_get(sq);

		if (req == NULL) {
			sq->starved = true;
			return;
		}
		sq_take(sq, req);
	}
}

void
nvme_queues_run(struct nvme *n)
{
	for (unsigned i = 0; i <= n->nqueues; i++)
		if (n->cq[i].live)
			cq_run(n, &n->cq[i]);
	for (unsigned i = 0; i <= n->nqueues; i++)
		if (n->sq[i].starved && n->sq[i].free != NULL)
			mevent_notify(n->bell);
}

/* ---- life of a queue ---- */

static uint16_t
queue_check(
    struct nvme *n, uint64_t gpa, uint32_t size, unsigned shift, uint8_t **ret)
{
	if (size < 2)
		return NVME_QSIZE_INVALID;
	if (gpa % NVME_PAGE != 0)
		return NVME_PRP_OFFSET;
	*ret = vm_mem_ram(n->mem, GPA(gpa), (uint64_t)size << shift);
	return *ret != NULL ? NVME_OK : NVME_DATA_TRANSFER;
}

uint16_t
nvme_cq_open(struct nvme *n, unsigned id, uint64_t gpa, uint32_t size,
    uint16_t vector, bool irq)
{
	struct nvme_cq *cq = &n->cq[id];
	uint16_t status;

	status = queue_check(n, gpa, size, NVME_CQE_SHIFT, &cq->ring);
	if (status != NVME_OK)
		return status;
	cq->id = (uint16_t)id;
	cq->size = size;
	cq->head = 0;
	cq->phase = 1;
	cq->nsq = 0;
	cq->vector = vector;
	cq->raise = false;
	cq->wait = NULL;
	cq->wait_last = &cq->wait;
	ATOMIC_SET(&cq->tail, 0);
	ATOMIC_SET(&cq->doorbell, 0);
	ATOMIC_SET(&cq->stalled, false);
	nvme_cq_shadow(n, cq);
	ATOMIC_SET(&cq->irq, irq);
	cq->live = true;
	return NVME_OK;
}

uint16_t
nvme_sq_open(
    struct nvme *n, unsigned id, uint64_t gpa, uint32_t size, unsigned cqid)
{
	struct nvme_sq *sq = &n->sq[id];
	uint8_t *ring;
	uint16_t status;

	status = queue_check(n, gpa, size, NVME_SQE_SHIFT, &ring);
	if (status != NVME_OK)
		return status;
	/* One from the start: a queue never stalls for memory. */
	if (sq->free == NULL && (sq->free = req_make(sq)) == NULL)
		return NVME_INTERNAL;
	sq->ring = ring;
	sq->size = size;
	sq->head = 0;
	sq->starved = false;
	sq->deleting = NULL;
	sq->cq = &n->cq[cqid];
	sq->cq->nsq++;
	sq->bad = 0;
	ATOMIC_SET(&sq->doorbell, 0);
	ATOMIC_SET(&sq->rung, false);
	nvme_sq_shadow(sq);
	sq->live = true;
	return NVME_OK;
}

void
nvme_cq_close(struct nvme_cq *cq)
{
	if (!cq->live)
		return;
	cq_forget(cq, NULL);
	cq->live = false;
	cq->raise = false;
	ATOMIC_SET(&cq->irq, false);
	cq->ring = NULL;
	cq->shadow = (struct nvme_shadow){ 0 };
}

void
nvme_sq_close(struct nvme_sq *sq)
{
	if (!sq->live)
		return;
	sq->live = false;
	sq->starved = false;
	sq->deleting = NULL;
	sq->cq->nsq--;
	sq->ring = NULL;
	sq->shadow = (struct nvme_shadow){ 0 };
	ATOMIC_SET(&sq->rung, false);
}

void
nvme_sq_delete(struct nvme_sq *sq, struct nvme_req *req)
{
	struct nvme_cq *cq = sq->cq;

	if (sq->inflight == 0) {
		nvme_sq_close(sq);
		nvme_complete(req, NVME_OK);
		return;
	}
	sq->deleting = req;
	cq_forget(cq, sq);
}

void
nvme_queues_init(struct nvme *n)
{
	for (unsigned i = 0; i <= n->nqueues; i++) {
		struct nvme_sq *sq = &n->sq[i];

		sq->n = n;
		sq->id = (uint16_t)i;
		sq->max = i == 0 ? ADMIN_SLOTS : n->slots;
		n->cq[i].wait_last = &n->cq[i].wait;
	}
}

void
nvme_queues_fini(struct nvme *n)
{
	struct nvme_req *req;

	for (unsigned i = 0; i <= n->nqueues; i++) {
		while ((req = n->sq[i].free) != NULL) {
			n->sq[i].free = req->next;
			free(req);
		}
	}
}
