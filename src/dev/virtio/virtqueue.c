/*
 * Split virtqueues (virtio 1.2, 2.7), the device's side.
 *
 * The guest owns every byte of a ring and may change it at any moment. Each
 * index, flag and descriptor is therefore loaded once, by a volatile or atomic
 * access that the compiler cannot repeat, and only the copy is checked and
 * used.
 */
#include <errno.h>
#include <stdint.h>

#include "base/str.h"
#include "dev/virtio/virtio_impl.h"

#define DESC_SIZE 16

/* A descriptor's second word: len, flags, next (2.7.5). */
struct desc_copy {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* Indirect tables have no alignment of their own. */
struct loose64 {
	uint64_t v;
} __attribute__((packed, may_alias));

static struct desc_copy
desc_load(const struct vring_desc *table, unsigned i)
{
	const volatile struct loose64 *w =
	    (const volatile struct loose64 *)(const void *)(table + i);
	uint64_t addr = w[0].v, rest = w[1].v;

	return (struct desc_copy){
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

/*
 * The two event indexes lie behind the other side's ring (2.7.6, 2.7.8).
 */
static uint16_t *
vq_used_event(const struct virtqueue *vq)
{
	return &vq->avail->ring[vq->size];
}

static uint16_t *
vq_avail_event(const struct virtqueue *vq)
{
	return (uint16_t *)(void *)&vq->used->ring[vq->size];
}

/*
 * Store, and let no later load of the guest's half be done before it: the full
 * barrier that 2.7.7.1 and 2.7.13 ask for. An exchange is one on x86, and TSan
 * understands it, which it does not of a fence.
 */
static void
vq_store_fenced(struct virtqueue *vq, uint16_t *p, uint16_t value)
{
	(void)__atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);
	vm_mem_dirty(vq->vd->mem, p, sizeof(*p));
}

static void *
vq_resolve(const struct virtqueue *vq, uint64_t gpa, uint64_t len, unsigned al)
{
	if (gpa % al != 0)
		return NULL;
	return vm_mem_ram(vq->vd->mem, GPA(gpa), len);
}

int
vq_start(struct virtqueue *vq, uint64_t features)
{
	const struct vq_regs *r = &vq->regs;
	uint64_t event = (features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) ? 2 : 0;
	uint64_t n = r->size;

	if (n == 0 || n > vq->max_size || (n & (n - 1)) != 0)
		return -EINVAL;
	vq->desc = vq_resolve(vq, r->desc, n * DESC_SIZE, 16);
	vq->avail = vq_resolve(vq, r->avail, 4 + n * 2 + event, 2);
	vq->used = vq_resolve(vq, r->used, 4 + n * 8 + event, 4);
	if (vq->desc == NULL || vq->avail == NULL || vq->used == NULL)
		return -EINVAL;
	vq->size = r->size;
	vq->event_idx = event != 0;
	vq->indirect = (features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)) != 0;
	vq->want_notify = vq->told_notify = true;
	vq->can_unpop = false;
	vq->pushed = false;
	vq->next_avail = vq->seen_avail = 0;
	vq->next_used = vq->signalled = vq->held = 0;
	vq->inuse = 0;
	vq->live = true;
	return 0;
}

void
vq_stop(struct virtqueue *vq)
{
	vq->live = false;
	vq->inuse = 0;
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
}

unsigned
vq_index(const struct virtqueue *vq)
{
	return vq->index;
}

unsigned
vq_size(const struct virtqueue *vq)
{
	return vq->size;
}

bool
vq_enabled(const struct virtqueue *vq)
{
	return vq->live;
}

/* ---- the walker ---- */

struct walk {
	struct virtqueue *vq;
	struct vq_chain *ch;
	unsigned max_iov;
	unsigned ndesc; /* descriptors seen, the one of a table included */
	const char *why; /* what is wrong, for the log */
};

static int
walk_bad(struct walk *w, const char *why)
{
	w->why = why;
	return -EPROTO;
}

/* Add one segment to the chain. */
static int
walk_segment(struct walk *w, const struct desc_copy *d)
{
	struct vq_chain *ch = w->ch;
	bool write = (d->flags & VRING_DESC_F_WRITE) != 0;
	uint32_t *sum = write ? &ch->write_len : &ch->read_len;
	unsigned n = (unsigned)ch->nread + ch->nwrite;
	void *host;

	if (d->len == 0)
		return walk_bad(w, "a segment is empty");
	if (!write && ch->nwrite != 0)
		return walk_bad(w, "a readable segment follows a writable one");
	if (n == w->max_iov)
		return walk_bad(w, "more segments than the device takes");
	host = vm_mem_ram(w->vq->vd->mem, GPA(d->addr), d->len);
	if (host == NULL)
		return walk_bad(w, "a segment is not in guest memory");
	if (__builtin_add_overflow(*sum, d->len, sum))
		return walk_bad(w, "a request of 4 GiB or more");
	ch->iov[n] = (struct iovec){ .iov_base = host, .iov_len = d->len };
	if (write)
		ch->nwrite++;
	else
		ch->nread++;
	return 0;
}

/*
 * Follow a list in one table of 'count' descriptors from index i. Of the
 * queue's own table it may end in an indirect descriptor, then 'ret_table' is
 * that. No more than 'limit' steps, so that a loop ends.
 */
static int
walk_list(struct walk *w, const struct vring_desc *table, unsigned count,
    unsigned i, unsigned limit, struct desc_copy *ret_table)
{
	struct desc_copy d;
	int rc;

	for (unsigned step = 0;; step++) {
		if (i >= count)
			return walk_bad(w, "a descriptor index is too large");
		if (step == limit)
			return walk_bad(w, "a chain is longer than the queue");
		d = desc_load(table, i);
		if ((d.flags & VRING_DESC_F_INDIRECT) != 0) {
			if (ret_table == NULL)
				return walk_bad(w, "an indirect table nests");
			*ret_table = d;
			return 0;
		}
		rc = walk_segment(w, &d);
		if (rc != 0)
			return rc;
		if ((d.flags & VRING_DESC_F_NEXT) == 0)
			return 0;
		i = d.next;
	}
}

/* The table that an indirect descriptor names; 2.7.5.3. */
static int
walk_indirect(struct walk *w, const struct desc_copy *d)
{
	const struct vring_desc *table;

	if (!w->vq->indirect)
		return walk_bad(w, "an indirect table was not negotiated");
	if ((d->flags & VRING_DESC_F_NEXT) != 0)
		return walk_bad(w, "a descriptor follows an indirect table");
	if (d->len == 0 || d->len % DESC_SIZE != 0)
		return walk_bad(w, "an indirect table has an odd length");
	table = vm_mem_ram(w->vq->vd->mem, GPA(d->addr), d->len);
	if (table == NULL)
		return walk_bad(w, "an indirect table is not in guest memory");
	/* A driver may make the queue small and its tables not. */
	return walk_list(
	    w, table, d->len / DESC_SIZE, 0, w->vq->max_size, NULL);
}

static int
walk_chain(struct walk *w)
{
	struct desc_copy table = { .flags = 0 };
	uint32_t sum;
	int rc;

	rc = walk_list(
	    w, w->vq->desc, w->vq->size, w->ch->head, w->vq->size, &table);
	if (rc == 0 && (table.flags & VRING_DESC_F_INDIRECT) != 0)
		rc = walk_indirect(w, &table);
	if (rc == 0 &&
	    __builtin_add_overflow(w->ch->read_len, w->ch->write_len, &sum))
		return walk_bad(w, "a request of 4 GiB or more");
	return rc;
}

/*
 * Is there an entry that was not popped? Looks at the guest's index only when
 * all that was seen before is used up, to leave its cache line alone.
 */
static int
vq_look(struct virtqueue *vq)
{
	uint16_t n;

	if (vq->next_avail != vq->seen_avail)
		return 1;
	vq->seen_avail = __atomic_load_n(&vq->avail->idx, __ATOMIC_SEQ_CST);
	n = (uint16_t)(vq->seen_avail - vq->next_avail);
	if (n <= vq->size)
		return n != 0;
	virtio_vbroken(vq->vd,
	    "queue %u: the available index jumped from %u to %u", vq->index,
	    vq->next_avail, vq->seen_avail);
	return -EPROTO;
}

/*
 * Publish where the guest shall notify us, then look again: an entry made
 * available between our last look and the store would else be missed. The
 * barrier pairs with the driver's between its index and its look at ours.
 */
static int
vq_arm(struct virtqueue *vq)
{
	if (vq->event_idx)
		vq_store_fenced(vq, vq_avail_event(vq), vq->next_avail);
	else
		vq_store_fenced(vq, &vq->used->flags,
		    vq->told_notify ? 0 : VRING_USED_F_NO_NOTIFY);
	return vq_look(vq);
}

bool
vq_peek(struct virtqueue *vq)
{
	return vq->live && virtio_may_dma(vq->vd) && vq_look(vq) != 0;
}

int
vq_pop(struct virtqueue *vq, struct vq_chain *ch, struct iovec *iov,
    unsigned max_iov)
{
	struct walk w = { .vq = vq, .ch = ch, .max_iov = max_iov };
	int rc;

	if (ATOMIC_GET(&vq->vd->broken))
		return -EPROTO;
	vq->can_unpop = false;
	if (!vq->live || !virtio_may_dma(vq->vd))
		return 0;
	rc = vq_look(vq);
	if (rc == 0 && vq->want_notify && vq->event_idx)
		rc = vq_arm(vq);
	if (rc <= 0)
		return rc;
	*ch = (struct vq_chain){
		.head = __atomic_load_n(
		    &vq->avail->ring[vq->next_avail & (vq->size - 1)],
		    __ATOMIC_RELAXED),
		.iov = iov,
	};
	if (vq->inuse == vq->size)
		rc = walk_bad(&w, "more requests than entries");
	else
		rc = walk_chain(&w);
	if (rc != 0) {
		virtio_vbroken(vq->vd, "queue %u, head %u: %s", vq->index,
		    ch->head, w.why);
		return rc;
	}
	vq->next_avail++;
	vq->inuse++;
	vq->can_unpop = true;
	return 1;
}

void
vq_unpop(struct virtqueue *vq)
{
	if (!vq->live || !vq->can_unpop)
		return;
	vq->can_unpop = false;
	vq->next_avail--;
	vq->inuse--;
}

void
vq_dirty(struct virtqueue *vq, const struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		vm_mem_dirty(vq->vd->mem, iov[i].iov_base, iov[i].iov_len);
}

void
vq_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct vring_used_elem *e;

	vq->can_unpop = false;
	if (!vq->live || vq->inuse == 0 || !virtio_may_dma(vq->vd))
		return;
	vq->inuse--;
	vq->pushed = true;
	e = &vq->used->ring[vq->next_used & (vq->size - 1)];
	__atomic_store_n(&e->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&e->len, written, __ATOMIC_RELAXED);
	vm_mem_dirty(vq->vd->mem, e, sizeof(*e));
	/* The guest sees the entry before the index that covers it. */
	__atomic_store_n(&vq->used->idx, ++vq->next_used, __ATOMIC_RELEASE);
}

/*
 * Has 'event' been passed by the steps from old to new? (2.7.7.2; the numbers
 * wrap at 65536.)
 */
static bool
vq_passed(uint16_t event, uint16_t old, uint16_t new)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static bool
vq_wants_interrupt(struct virtqueue *vq)
{
	uint16_t old = vq->signalled;

	if (!vq->event_idx)
		return (__atomic_load_n(&vq->avail->flags, __ATOMIC_SEQ_CST) &
			   VRING_AVAIL_F_NO_INTERRUPT) == 0;
	vq->signalled = vq->next_used;
	return vq_passed(__atomic_load_n(vq_used_event(vq), __ATOMIC_SEQ_CST),
	    old, vq->next_used);
}

void
vq_flush(struct virtqueue *vq)
{
	if (!vq->live || !vq->pushed)
		return;
	vq->pushed = false;
	/* Our index first, then their wish; pairs with the driver's barrier. */
	vq_store_fenced(vq, &vq->used->idx, vq->next_used);
	if (vq_wants_interrupt(vq))
		virtio_queue_interrupt(vq);
}

bool
vq_hold(struct virtqueue *vq)
{
	if (!vq->event_idx) {
		vq_flush(vq);
		return false;
	}
	vq->held = vq->next_used;
	return vq->live && vq->pushed;
}

bool
vq_release(struct virtqueue *vq)
{
	uint16_t old = vq->signalled, mark = vq->held, event;

	if (!vq->live || !vq->pushed || !vq->event_idx) {
		vq_flush(vq);
		return false;
	}
	/* Our index first, as in vq_flush() */
	vq_store_fenced(vq, &vq->used->idx, vq->next_used);
	event = __atomic_load_n(vq_used_event(vq), __ATOMIC_SEQ_CST);
	if (vq_passed(event, old, mark)) {
		vq_flush(vq);
		return false;
	}
	vq->signalled = mark;
	vq->pushed = mark != vq->next_used;
	return vq_hold(vq);
}

bool
vq_want_notify(struct virtqueue *vq, bool want)
{
	vq->want_notify = want;
	if (!vq->live || !virtio_may_dma(vq->vd))
		return false;
	/* With event indexes an index left behind is as good as "don't". */
	if (!vq->event_idx && !want && vq->told_notify)
		vq_store_fenced(vq, &vq->used->flags, VRING_USED_F_NO_NOTIFY);
	vq->told_notify = want;
	if (!want || ATOMIC_GET(&vq->vd->broken))
		return false;
	return vq_arm(vq) > 0;
}
