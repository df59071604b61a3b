/*
 * virtio-blk's requests, from the guest's queues to a block back end.
 *
 * A notification empties a queue into the back end's queue and kicks it once;
 * data moves between the medium and the guest's memory without a copy here;
 * one interrupt per queue ends a batch of completions. The number of requests
 * in work is bounded; while all are in use the rest waits in the guest's ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/virtio/virtio_blk_impl.h"

#define BLK_POOL 128 /* requests in work, all queues together, at least ... */
#define BLK_POOL_MIN 16 /* ... this many a queue */
#define BLK_ROUNDS 8

/* ---- requests and their pool ---- */

static struct blk_req *
blk_req_make(struct blk_queue *q)
{
	struct blk_req *req;

	if (q->made == q->max)
		return NULL;
	req = alloc_zero(1, sizeof(*req));
	if (req == NULL)
		return NULL;
	req->q = q;
	q->made++;
	return req;
}

static struct blk_req *
blk_req_get(struct blk_queue *q)
{
	struct blk_req *req = q->free;

	if (req == NULL)
		return blk_req_make(q);
	q->free = req->next;
	return req;
}

static void
blk_req_put(struct blk_req *req)
{
	req->next = req->q->free;
	req->q->free = req;
}

/* ---- the guest's bytes ---- */

/*
 * Copy the first n bytes of the segments to buf and step over them. false:
 * there are fewer.
 */
static bool
iov_take(struct iovec **iov, unsigned *cnt, void *buf, size_t n)
{
	uint8_t *p = buf;

	while (n > 0 && *cnt > 0) {
		struct iovec *v = *iov;
		size_t part = MIN(n, v->iov_len);

		memcpy(p, v->iov_base, part);
		p += part;
		n -= part;
		v->iov_base = (uint8_t *)v->iov_base + part;
		v->iov_len -= part;
		if (v->iov_len == 0) {
			++*iov;
			--*cnt;
		}
	}
	/* The compiler must not look there again: the guest writes too. */
	__asm__ volatile("" ::: "memory");
	return n == 0;
}

static size_t
iov_put(const struct iovec *iov, unsigned cnt, const void *buf, size_t n)
{
	const uint8_t *p = buf;
	size_t left = n;

	for (; left > 0 && cnt > 0; iov++, cnt--) {
		size_t part = MIN(left, iov->iov_len);

		memcpy(iov->iov_base, p, part);
		p += part;
		left -= part;
	}
	return n - left;
}

/* ---- the end of a request ---- */

static bool
blk_reads_medium(const struct blk_req *req)
{
	return req->hdr.type == VIRTIO_BLK_T_IN ||
	    req->hdr.type == VIRTIO_BLK_T_GET_ID;
}

static void
blk_complete(struct blk_req *req, uint8_t status)
{
	struct virtqueue *vq = req->q->vq;
	struct iovec last = { req->status, 1 };

	if (blk_reads_medium(req))
		vq_dirty(vq, req->data, req->ndata);
	*req->status = status;
	vq_dirty(vq, &last, 1);
	vq_push(vq, req->ch.head, req->ch.write_len);
	blk_req_put(req);
}

static uint8_t
blk_status(int rc)
{
	if (rc == 0)
		return VIRTIO_BLK_S_OK;
	return rc == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/* ---- requests to the back end ---- */

static void blk_done(struct block_req *br, int status);

static void
blk_submit(struct blk_req *req, enum block_op op, uint64_t sector, uint64_t len)
{
	struct block_req *br = &req->br;

	br->op = op;
	br->offset = sector * BLK_SECTOR;
	br->len = len;
	br->iov = req->data;
	br->iovcnt = (int)req->ndata;
	br->done = blk_done;
	br->arg = req;
	/* A sector number beyond 2^55 must not become a small one. */
	if (sector > UINT64_MAX / BLK_SECTOR)
		br->offset = UINT64_MAX - BLK_SECTOR + 1;
	block_submit(req->q->b->bd, br);
}

static void
blk_submit_range(struct blk_req *req)
{
	const struct virtio_blk_discard_write_zeroes *r =
	    &req->ranges[req->range];
	bool discard = req->hdr.type == VIRTIO_BLK_T_DISCARD;

	req->br.unmap = (r->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0 &&
	    req->q->b->cfg.write_zeroes_may_unmap;
	blk_submit(req, discard ? BLOCK_DISCARD : BLOCK_WRITE_ZEROES, r->sector,
	    (uint64_t)r->num_sectors * BLK_SECTOR);
}

/*
 * Must a write be on the medium before it is reported? Yes for a driver that
 * cannot flush, or turned the write cache off (5.2.5.1, 5.2.6.2).
 */
static bool
blk_write_through(const struct blk *b)
{
	if ((b->features & VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE)) != 0)
		return !__atomic_load_n(&b->writeback, __ATOMIC_ACQUIRE);
	return (b->features & VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)) == 0;
}

/* Has the request another step? Then it is on its way. */
static bool
blk_next_step(struct blk_req *req)
{
	bool writes = req->hdr.type == VIRTIO_BLK_T_OUT ||
	    req->hdr.type == VIRTIO_BLK_T_WRITE_ZEROES;

	if (req->range + 1 < req->nranges) {
		req->range++;
		blk_submit_range(req);
		return true;
	}
	if (writes && !req->synced && blk_write_through(req->q->b)) {
		req->synced = true;
		blk_submit(req, BLOCK_FLUSH, 0, 0);
		return true;
	}
	return false;
}

/* A reset waits: is this request not to be answered any more? */
static bool
blk_drained(struct blk *b, struct blk_req *req, int status)
{
	if (b->drain_queue == NULL || b->drain_queue == req->q) {
		blk_req_put(req);
		return true;
	}
	if (status != -ECANCELED)
		return false;
	req->next = b->again;
	b->again = req;
	return true;
}

static void
blk_done(struct block_req *br, int status)
{
	struct blk_req *req = br->arg;
	struct blk *b = req->q->b;

	if (b->draining && blk_drained(b, req, status))
		return;
	if (status == 0 && blk_next_step(req))
		return;
	blk_complete(req, blk_status(status));
}

/* ---- what the guest asks for, 5.2.6 ---- */

static void
blk_do_ranges(struct blk_req *req)
{
	bool discard = req->hdr.type == VIRTIO_BLK_T_DISCARD;
	uint32_t flags = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	struct virtio_blk_discard_write_zeroes r[BLK_RANGES];
	unsigned n = (unsigned)(req->data_len / sizeof(r[0]));

	if (discard && req->q->b->cfg.max_discard_seg == 0) {
		blk_complete(req, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	if (n == 0 || n > BLK_RANGES || req->data_len != n * sizeof(r[0]) ||
	    !iov_take(&req->data, &req->ndata, r, req->data_len)) {
		blk_complete(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if ((r[i].flags & ~flags) != 0) {
			blk_complete(req, VIRTIO_BLK_S_UNSUPP);
			return;
		}
		if (r[i].num_sectors > BLK_RANGE_SECTORS) {
			blk_complete(req, VIRTIO_BLK_S_IOERR);
			return;
		}
	}
	/* The segments are not needed any more, their room is. */
	memcpy(req->ranges, r, n * sizeof(r[0]));
	req->ndata = 0;
	req->nranges = n;
	blk_submit_range(req);
}

static void
blk_do_get_id(struct blk_req *req)
{
	/* Padded with zeroes; 20 bytes without a terminator are fine. */
	(void)iov_put(
	    req->data, req->ndata, req->q->b->serial, VIRTIO_BLK_ID_BYTES);
	blk_complete(req, VIRTIO_BLK_S_OK);
}

static void
blk_dispatch(struct blk_req *req)
{
	switch (req->hdr.type) {
	case VIRTIO_BLK_T_IN:
		blk_submit(req, BLOCK_READ, req->hdr.sector, req->data_len);
		break;
	case VIRTIO_BLK_T_OUT:
		blk_submit(req, BLOCK_WRITE, req->hdr.sector, req->data_len);
		break;
	case VIRTIO_BLK_T_FLUSH:
		blk_submit(req, BLOCK_FLUSH, 0, 0);
		break;
	case VIRTIO_BLK_T_GET_ID:
		blk_do_get_id(req);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		blk_do_ranges(req);
		break;
	default:
		blk_complete(req, VIRTIO_BLK_S_UNSUPP);
		break;
	}
}

/*
 * Split the chain: 16 bytes of header first of what we read, the status last of
 * what we write, data between, however it is cut into segments (2.7.4).
 */
static const char *
blk_parse(struct blk_req *req)
{
	struct vq_chain *ch = &req->ch;
	struct iovec *in = ch->iov, *out = ch->iov + ch->nread, *last;
	unsigned nin = ch->nread, nout = ch->nwrite;

	if (!iov_take(&in, &nin, &req->hdr, sizeof(req->hdr)))
		return "a request has no header";
	if (nout == 0)
		return "a request has no room for its status";
	last = &out[nout - 1];
	last->iov_len--;
	req->status = (uint8_t *)last->iov_base + last->iov_len;
	if (last->iov_len == 0)
		nout--;
	if (blk_reads_medium(req)) {
		req->data = out;
		req->ndata = nout;
		req->data_len = ch->write_len - 1;
	} else {
		req->data = in;
		req->ndata = nin;
		req->data_len = ch->read_len - sizeof(req->hdr);
	}
	req->synced = false;
	req->range = req->nranges = 0;
	return NULL;
}

/* 1: took one; 0: none there; -ENOBUFS: none free; -EPROTO: broken. */
static int
blk_take_one(struct blk_queue *q)
{
	struct blk_req *req;
	const char *wrong;
	int rc;

	req = blk_req_get(q);
	if (req == NULL)
		return -ENOBUFS;
	rc = vq_pop(q->vq, &req->ch, req->iov, BLK_IOV);
	if (rc != 1) {
		blk_req_put(req);
		return rc;
	}
	wrong = blk_parse(req);
	if (wrong != NULL) {
		blk_req_put(req);
		virtio_broken(q->b->vd, wrong);
		return -EPROTO;
	}
	blk_dispatch(req);
	return 1;
}

static bool
blk_is_asked(void *arg)
{
	const struct blk_queue *q = arg;

	return vq_peek(q->vq);
}

static bool
blk_poll(struct blk_queue *q)
{
	struct blk *b = q->b;

	if (!block_poll_is_due(&b->poll, b->bd))
		return false;
	vq_flush(q->vq);
	return block_poll(&b->poll, blk_is_asked, q);
}

static void
blk_run_queue(struct blk_queue *q)
{
	struct blk *b = q->b;
	unsigned round;
	int rc;

	for (round = 0; round < BLK_ROUNDS; round++) {
		vq_want_notify(q->vq, false);
		do {
			rc = blk_take_one(q);
		} while (rc == 1);
		block_kick(b->bd);
		/* The kick may have ended some already. */
		q->starved = rc == -ENOBUFS && q->free == NULL;
		if (rc == -EPROTO || q->starved)
			break;
		if (rc == 0 && !blk_poll(q) && !vq_want_notify(q->vq, true)) {
			block_poll_asleep(&b->poll);
			break;
		}
	}
	/* A guest that is this fast must let others have their turn. */
	if (round == BLK_ROUNDS)
		vq_again(q->vq);
	vq_flush(q->vq);
}

void
blk_notify(void *dev, struct virtqueue *vq)
{
	struct blk *b = dev;
	struct blk_queue *q = &b->q[vq_index(vq)];

	block_poll_awake(&b->poll);
	blk_run_queue(q);
}

/* The back end has completed some. */
void
blk_batch(void *arg)
{
	struct blk *b = arg;

	for (unsigned i = 0; i < b->nqueues; i++) {
		struct blk_queue *q = &b->q[i];

		if (q->starved && q->free != NULL) {
			q->starved = false;
			vq_again(q->vq);
		}
		if (q->vq != NULL)
			vq_flush(q->vq);
	}
}

/* ---- start and reset ---- */

void
blk_start(void *dev, uint64_t features)
{
	struct blk *b = dev;

	b->features = features;
	for (unsigned i = 0; i < b->nqueues; i++)
		b->q[i].vq = virtio_queue(b->vd, i);
}

void
blk_reset(void *dev)
{
	struct blk *b = dev;

	b->draining = true;
	b->drain_queue = NULL;
	block_drain(b->bd);
	b->draining = false;
	b->features = 0;
	__atomic_store_n(&b->writeback, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < b->nqueues; i++)
		b->q[i].starved = false;
}

void
blk_queue_reset(void *dev, struct virtqueue *vq)
{
	struct blk *b = dev;
	struct blk_queue *q = &b->q[vq_index(vq)];
	struct blk_req *req;

	b->draining = true;
	b->drain_queue = q;
	block_drain(b->bd);
	b->draining = false;
	q->starved = false;
	while ((req = b->again) != NULL) {
		b->again = req->next;
		block_submit(b->bd, &req->br);
	}
	block_kick(b->bd);
	blk_batch(b);
}

/* ---- the pool's life ---- */

int
blk_queues_init(struct blk *b, unsigned n, struct error *err)
{
	b->nqueues = n;
	for (unsigned i = 0; i < n; i++) {
		struct blk_queue *q = &b->q[i];
		struct blk_req *req;

		q->b = b;
		q->max = MAX(BLK_POOL / n, (unsigned)BLK_POOL_MIN);
		/* One each from the start: a queue never stalls for memory. */
		req = blk_req_make(q);
		if (req == NULL)
			return error_sys(err, ENOMEM, "virtio-blk");
		blk_req_put(req);
	}
	return 0;
}

void
blk_queues_fini(struct blk *b)
{
	struct blk_req *req;

	for (unsigned i = 0; i < b->nqueues; i++)
		while ((req = b->q[i].free) != NULL) {
			b->q[i].free = req->next;
			free(req);
		}
}
