/*
 * Doorbells: the registers (3.1.24, 3.1.25), those in the guest's memory (5.7,
 * 7.13), and the data thread's sleep between them.
 *
 * While the thread is awake it looks at all submission queues by itself, and a
 * register that is written wakes nobody. Before it sleeps it says so twice: in
 * 'asleep' for the registers, and in each queue's EventIdx, the value that the
 * guest rings for when it passes it. Then it looks once more; each side writes
 * its own word before it reads the other's, so that one of them sees the other.
 *
 * What the guest wrote is copied once, and may be anything.
 */
#include "base/str.h"
#include "dev/nvme/nvme_impl.h"
#include "vmm/vm.h"

#define ROUNDS 8 /* before other events have their turn */

/* ---- the registers, on a vCPU's thread ---- */

/*
 * Values are kept as they come, the data thread judges them. Nothing here
 * waits.
 */
void
nvme_doorbell_write(struct nvme *n, uint64_t off, uint32_t v)
{
	uint64_t id = off / 8;

	if (id > n->nqueues)
		return;
	__atomic_fetch_add(&n->rings, 1, __ATOMIC_RELAXED);
	if (off % 8 == 0) {
		ATOMIC_SET(&n->sq[id].doorbell, v);
		__atomic_store_n(&n->sq[id].rung, true, __ATOMIC_SEQ_CST);
		if (__atomic_exchange_n(&n->asleep, false, __ATOMIC_SEQ_CST))
			mevent_notify(n->bell);
		return;
	}
	__atomic_store_n(&n->cq[id].doorbell, v, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&n->cq[id].stalled, false, __ATOMIC_SEQ_CST))
		mevent_notify(n->settle);
	nvme_intx_update(n);
}

/* ---- in the guest's memory ---- */

/*
 * Linux and others use the registers alone for the admin queue, whatever was
 * agreed on.
 */
static void
shadow_set(struct nvme *n, struct nvme_shadow *sh, unsigned id, bool cq)
{
	unsigned at = 2 * id + cq;

	*sh = (struct nvme_shadow){ 0 };
	if (id == 0 || n->shadow_value == NULL)
		return;
	sh->value = n->shadow_value + at;
	sh->event = n->shadow_event + at;
}

static void
shadow_store(struct nvme *n, uint32_t *word, uint32_t v)
{
	if (__atomic_load_n(word, __ATOMIC_RELAXED) == v)
		return;
	__atomic_store_n(word, v, __ATOMIC_SEQ_CST);
	vm_mem_dirty(n->mem, word, sizeof(*word));
}

/* Both words, as a queue begins. */
static void
shadow_begin(struct nvme *n, const struct nvme_shadow *sh, uint32_t v)
{
	if (sh->value == NULL)
		return;
	shadow_store(n, sh->value, v);
	shadow_store(n, sh->event, v);
}

static uint32_t
shadow_get(const struct nvme_shadow *sh, const uint32_t *doorbell)
{
	return __atomic_load_n(
	    sh->value != NULL ? sh->value : doorbell, __ATOMIC_SEQ_CST);
}

uint32_t
nvme_cq_doorbell(const struct nvme_cq *cq)
{
	return shadow_get(&cq->shadow, &cq->doorbell);
}

void
nvme_sq_shadow(struct nvme_sq *sq)
{
	uint32_t now = shadow_get(&sq->shadow, &sq->doorbell);

	shadow_set(sq->n, &sq->shadow, sq->id, false);
	shadow_begin(sq->n, &sq->shadow, now);
}

void
nvme_cq_shadow(struct nvme *n, struct nvme_cq *cq)
{
	uint32_t now = nvme_cq_doorbell(cq);

	shadow_set(n, &cq->shadow, cq->id, true);
	shadow_begin(n, &cq->shadow, now);
}

void
nvme_cq_ask(struct nvme *n, struct nvme_cq *cq)
{
	__atomic_store_n(&cq->stalled, true, __ATOMIC_SEQ_CST);
	if (cq->shadow.event != NULL && pci_bus_master(n->pd))
		shadow_store(n, cq->shadow.event, cq->head);
}

/* A page of doorbells, in RAM. */
static uint32_t *
shadow_page(struct nvme *n, uint64_t gpa)
{
	_Static_assert(NVME_QUEUES * 8 <= NVME_PAGE, "one page holds them all");

	return gpa % NVME_PAGE == 0 ? vm_mem_ram(n->mem, GPA(gpa), NVME_PAGE)
				    : NULL;
}

bool
nvme_has_shadows(const struct nvme *n)
{
	return n->shadows && pci_msix_enabled(n->pd);
}

uint16_t
nvme_doorbells(struct nvme *n, struct nvme_req *req)
{
	uint32_t *value = shadow_page(n, req->sqe.prp1);
	uint32_t *event = shadow_page(n, req->sqe.prp2);

	if (!nvme_has_shadows(n))
		return NVME_INVALID_OPCODE;
	if (value == NULL || event == NULL)
		return NVME_INVALID_FIELD;
	n->shadow_value = value;
	n->shadow_event = event;
	/* Those that are open go on from where they are. */
	for (unsigned i = 1; i <= n->nqueues; i++) {
		if (n->sq[i].live)
			nvme_sq_shadow(&n->sq[i]);
		if (n->cq[i].live)
			nvme_cq_shadow(n, &n->cq[i]);
	}
	return NVME_OK;
}

/* ---- the data thread ---- */

/* May commands be taken? */
static bool
sq_may_run(const struct nvme_sq *sq)
{
	return sq->live && sq->deleting == NULL &&
	    (!sq->starved || sq->free != NULL) && pci_bus_master(sq->n->pd);
}

static bool
sq_has_work(const struct nvme_sq *sq)
{
	uint32_t tail;

	if (__atomic_load_n(&sq->rung, __ATOMIC_SEQ_CST) && !sq->live)
		return true;
	if (!sq_may_run(sq))
		return false;
	tail = shadow_get(&sq->shadow, &sq->doorbell);
	return tail != sq->head && (tail < sq->size || tail != sq->bad);
}

static bool
any_work(void *arg)
{
	const struct nvme *n = arg;

	for (unsigned i = 0; i <= n->nqueues; i++)
		if (sq_has_work(&n->sq[i]))
			return true;
	return false;
}

static void
sq_serve(struct nvme_sq *sq)
{
	uint32_t tail;

	if (ATOMIC_GET(&sq->rung)) {
		ATOMIC_SET(&sq->rung, false);
		sq->bad = 0; /* said again: told again */
		if (!sq->live)
			nvme_event(sq->n, NVME_EVENT_BAD_DOORBELL);
	}
	if (!sq_may_run(sq))
		return;
	tail = shadow_get(&sq->shadow, &sq->doorbell);
	if (tail < sq->size) {
		nvme_sq_take(sq, tail);
	} else if (tail != sq->bad) {
		sq->bad = tail;
		nvme_event(sq->n, NVME_EVENT_BAD_VALUE);
	}
}

static bool
poll(struct nvme *n)
{
	if (!block_poll_is_due(&n->poll, n->bd))
		return false;
	nvme_interrupt(n);
	return block_poll(&n->poll, any_work, n);
}

/* false: something has come. */
static bool
fall_asleep(struct nvme *n)
{
	for (unsigned i = 1; i <= n->nqueues; i++) {
		const struct nvme_sq *sq = &n->sq[i];

		if (sq->shadow.event != NULL && pci_bus_master(n->pd))
			shadow_store(n, sq->shadow.event, sq->head);
	}
	__atomic_store_n(&n->asleep, true, __ATOMIC_SEQ_CST);
	if (!any_work(n))
		return true;
	ATOMIC_SET(&n->asleep, false);
	return false;
}

static void
serve(struct nvme *n)
{
	block_poll_awake(&n->poll);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i <= n->nqueues; i++)
			sq_serve(&n->sq[i]);
		block_kick(n->bd);
		if (any_work(n) || poll(n))
			continue;
		if (fall_asleep(n)) {
			block_poll_asleep(&n->poll);
			return;
		}
	}
	/* A guest that is this fast must let others have their turn. */
	mevent_notify(n->bell);
}

static void
bell_rung(void *arg)
{
	struct nvme *n = arg;

	ATOMIC_SET(&n->asleep, false);
	if (n->enabled) {
		serve(n);
		nvme_interrupt(n);
		return;
	}
	ATOMIC_SET(&n->asleep, true);
	for (unsigned i = 0; i <= n->nqueues; i++)
		ATOMIC_SET(&n->sq[i].rung, false);
}

int
nvme_doorbells_init(struct nvme *n, struct error *err)
{
	n->asleep = true;
	return mevent_add_notifier(
	    iothread_loop(n->thr), bell_rung, n, &n->bell, err);
}
