/*
 * The controller's states (3.1.5, 3.1.6, 7.6) and its asynchronous events
 * (5.2).
 *
 * The registers are followed on the data thread. A disable is remembered apart
 * from CC, so that one which is enabled again at once is a reset all the same.
 */
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "dev/nvme/nvme_impl.h"

static void
csts_change(struct nvme *n, uint32_t clear, uint32_t set)
{
	__atomic_and_fetch(&n->csts, ~clear, __ATOMIC_ACQ_REL);
	__atomic_or_fetch(&n->csts, set, __ATOMIC_ACQ_REL);
}

/* ---- enable ---- */

static const char *
start_queues(struct nvme *n)
{
	uint32_t aqa;
	uint64_t asq, acq;

	pthread_mutex_lock(&n->lock);
	aqa = n->aqa;
	asq = n->asq;
	acq = n->acq;
	pthread_mutex_unlock(&n->lock);
	if (nvme_cq_open(n, 0, acq, (aqa >> 16) + 1, 0, true) != NVME_OK)
		return "the admin completion queue is too small or not in "
		       "memory";
	if (nvme_sq_open(n, 0, asq, (aqa & 0xfff) + 1, 0) != NVME_OK)
		return "the admin submission queue is too small or not in "
		       "memory";
	return NULL;
}

static void
start(struct nvme *n, uint32_t cc)
{
	static struct log_limit limit;
	const char *wrong = NULL;

	if (NVME_CC_CSS(cc) != 0 || NVME_CC_MPS(cc) != 0 ||
	    NVME_CC_AMS(cc) != 0)
		wrong = "CC asks for what CAP does not offer";
	else
		wrong = start_queues(n);
	if (wrong != NULL) {
		log_ratelimited(&limit, LOG_WARN, pci_dev_name(n->pd),
		    "the guest enabled the controller wrongly: %s; "
		    "it waits for a reset",
		    wrong);
		nvme_cq_close(&n->cq[0]);
		csts_change(n, 0, NVME_CSTS_CFS);
		return;
	}
	nvme_features_reset(n);
	n->enabled = true;
	csts_change(n, 0, NVME_CSTS_RDY);
}

/* ---- reset ---- */

/* DELETEs that wait are not answered any more. */
static void
drop_deletes(struct nvme *n)
{
	for (unsigned i = 0; i <= n->nqueues; i++) {
		struct nvme_req *req = n->sq[i].deleting;

		n->sq[i].deleting = NULL;
		if (req != NULL)
			nvme_req_put(req);
	}
}

/* What a run came to; how seldom the guest left for its doorbells. */
static void
tell_counts(struct nvme *n)
{
	uint64_t rings = __atomic_exchange_n(&n->rings, 0, __ATOMIC_RELAXED);

	if (n->taken > 0)
		log_debug(pci_dev_name(n->pd),
		    "%llu commands, %llu writes to doorbells",
		    (unsigned long long)n->taken, (unsigned long long)rings);
	n->taken = 0;
}

void
nvme_stop(struct nvme *n)
{
	struct nvme_events *ev = &n->ev;

	n->enabled = false;
	n->draining = true;
	drop_deletes(n);
	block_drain(n->bd);
	while (ev->nwaiting > 0)
		nvme_req_put(ev->waiting[--ev->nwaiting]);
	ev->pending = ev->masked = false;
	n->shadow_value = n->shadow_event = NULL;
	for (unsigned i = 0; i <= n->nqueues; i++)
		nvme_cq_close(&n->cq[i]);
	for (unsigned i = 0; i <= n->nqueues; i++)
		nvme_sq_close(&n->sq[i]);
	n->draining = false;
	n->shut_busy = false;
	tell_counts(n);
	ATOMIC_SET(&n->intms, 0);
	nvme_intx_update(n);
	csts_change(n, NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST, 0);
}

/* ---- shutdown, 7.6.2 ---- */

static void
shut_done(struct block_req *br, int status)
{
	struct nvme *n = br->arg;

	/* A medium that fails now has been told of before. */
	(void)status;
	n->shut_busy = false;
	if (!n->draining)
		csts_change(n, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE);
}

static void
shut(struct nvme *n)
{
	csts_change(n, NVME_CSTS_SHST, NVME_CSTS_SHST_BUSY);
	n->shut_busy = true;
	n->shut = (struct block_req){
		.op = BLOCK_FLUSH,
		.done = shut_done,
		.arg = n,
	};
	block_submit(n->bd, &n->shut);
	block_kick(n->bd);
}

void
nvme_settle(void *arg)
{
	struct nvme *n = arg;
	uint32_t cc;

	if (n->closing)
		return;
	if (__atomic_exchange_n(&n->reset_wanted, false, __ATOMIC_ACQ_REL))
		nvme_stop(n);
	cc = ATOMIC_GET(&n->cc);
	if ((cc & NVME_CC_EN) != 0 && !n->enabled &&
	    (n->csts & NVME_CSTS_CFS) == 0)
		start(n, cc);
	if (NVME_CC_SHN(cc) != 0 && (n->csts & NVME_CSTS_SHST) == 0 &&
	    !n->shut_busy)
		shut(n);
	if (!n->enabled)
		return;
	nvme_queues_run(n);
	nvme_interrupt(n);
}

/* ---- asynchronous events ---- */

/* Type, information and the log page that tells more. */
static void
event_tell(struct nvme *n)
{
	struct nvme_events *ev = &n->ev;
	struct nvme_req *req;

	if (!ev->pending || ev->masked || ev->nwaiting == 0)
		return;
	req = ev->waiting[--ev->nwaiting];
	req->result = NVME_EVENT_ERROR | (uint32_t)ev->info << 8 |
	    (uint32_t)NVME_LOG_ERROR << 16;
	ev->pending = false;
	ev->masked = true;
	nvme_complete(req, NVME_OK);
}

void
nvme_event(struct nvme *n, uint8_t info)
{
	/* One of them is enough to tell: they are the guest's own faults. */
	if (n->ev.pending || n->ev.masked)
		return;
	n->ev.pending = true;
	n->ev.info = info;
	event_tell(n);
}

uint16_t
nvme_event_request(struct nvme *n, struct nvme_req *req)
{
	if (n->ev.nwaiting == NVME_EVENTS)
		return NVME_AER_LIMIT;
	n->ev.waiting[n->ev.nwaiting++] = req;
	event_tell(n);
	return NVME_PENDING;
}

void
nvme_event_unmask(struct nvme *n)
{
	n->ev.masked = false;
	event_tell(n);
}

bool
nvme_event_abort(struct nvme *n, uint16_t cid)
{
	struct nvme_events *ev = &n->ev;

	for (unsigned i = 0; i < ev->nwaiting; i++) {
		struct nvme_req *req = ev->waiting[i];

		if (req->sqe.cid != cid)
			continue;
		ev->waiting[i] = ev->waiting[--ev->nwaiting];
		nvme_complete(req, NVME_ABORTED);
		return true;
	}
	return false;
}
