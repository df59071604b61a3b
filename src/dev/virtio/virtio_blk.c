/*
 * virtio-blk (virtio 1.2, 5.2): requests from the guest's queues to a block
 * back end, on a thread of the device's own.
 *
 * A notification empties a queue into the back end's queue and kicks it once;
 * data moves between the medium and the guest's memory without a copy here;
 * one interrupt per queue ends a batch of completions. The number of requests
 * in work is bounded; while all are in use the rest waits in the guest's ring.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/block/block.h"
#include "dev/block/poll.h"
#include "dev/pci/models.h"
#include "dev/virtio/virtio.h"

#define BLK_QUEUE_SIZE 256
#define BLK_SEG_MAX 126
#define BLK_IOV (BLK_SEG_MAX + 2) /* header and status */
#define BLK_MAX_QUEUES 16
#define BLK_POOL 128 /* requests in work, all queues together, at least ... */
#define BLK_POOL_MIN 16 /* ... this many a queue */
#define BLK_RANGES 16
#define BLK_RANGE_SECTORS (1u << 21) /* 1 GiB */
#define BLK_ROUNDS 8
#define SECTOR 512

struct blk;

struct blk_queue {
	struct blk *b;
	struct virtqueue *vq; /* NULL until the first start */
	struct blk_req *free;
	unsigned made, max; /* requests */
	bool starved; /* stopped for want of a request */
};

struct blk_req {
	struct block_req br;
	struct blk_queue *q;
	struct blk_req *next; /* free, or waiting to be submitted again */
	struct virtio_blk_outhdr hdr; /* our copy */
	struct vq_chain ch;
	uint8_t *status; /* in guest memory */
	struct iovec *data;
	unsigned ndata;
	uint64_t data_len;
	bool synced; /* the flush of a write-through request is on its way */
	unsigned range, nranges;
	union {
		struct iovec iov[BLK_IOV];
		struct virtio_blk_discard_write_zeroes ranges[BLK_RANGES];
	};
};

struct blk {
	struct virtio_dev *vd;
	struct iothread *thr;
	struct block_dev *bd;
	struct virtio_blk_config cfg;
	char serial[VIRTIO_BLK_ID_BYTES + 1];
	bool writeback; /* atomic */
	uint64_t features; /* negotiated */
	/* while a reset waits */
	bool draining;
	const struct blk_queue *drain_queue; /* NULL: all */
	struct blk_req *again; /* cancelled, but of another queue */
	struct block_poll poll; /* with one queue */
	unsigned nqueues;
	struct blk_queue q[BLK_MAX_QUEUES];
};

static const struct config_key blk_keys[] = {
	BLOCK_CONFIG_KEYS,
	VIRTIO_CONFIG_KEYS,
	{ "queues", CONFIG_UINT, "1", "1..16", 0, "request queues" },
	BLOCK_POLL_KEY,
	{ NULL },
};

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
	br->offset = sector * SECTOR;
	br->len = len;
	br->iov = req->data;
	br->iovcnt = (int)req->ndata;
	br->done = blk_done;
	br->arg = req;
	/* A sector number beyond 2^55 must not become a small one. */
	if (sector > UINT64_MAX / SECTOR)
		br->offset = UINT64_MAX - SECTOR + 1;
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
	    (uint64_t)r->num_sectors * SECTOR);
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

static void
blk_notify(void *dev, struct virtqueue *vq)
{
	struct blk *b = dev;
	struct blk_queue *q = &b->q[vq_index(vq)];

	block_poll_awake(&b->poll);
	blk_run_queue(q);
}

/* The back end has completed some. */
static void
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

static void
blk_start(void *dev, uint64_t features)
{
	struct blk *b = dev;

	b->features = features;
	for (unsigned i = 0; i < b->nqueues; i++)
		b->q[i].vq = virtio_queue(b->vd, i);
}

static void
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

static void
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

/* ---- configuration ---- */

static void
blk_cfg_read(void *dev, unsigned off, void *data, unsigned len)
{
	const struct blk *b = dev;
	struct virtio_blk_config cfg = b->cfg;

	cfg.wce = __atomic_load_n(&b->writeback, __ATOMIC_ACQUIRE);
	memcpy(data, (const uint8_t *)&cfg + off, len);
}

static void
blk_cfg_write(void *dev, unsigned off, const void *data, unsigned len)
{
	struct blk *b = dev;
	const uint8_t *p = data;

	if (off == offsetof(struct virtio_blk_config, wce) && len == 1)
		__atomic_store_n(&b->writeback, p[0] != 0, __ATOMIC_RELEASE);
}

static const struct virtio_model blk_model = {
	.name = "virtio-blk",
	.id = 2,
	.pci_class = 0x01, /* mass storage */
	.pci_subclass = 0x00,
	.features = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
	    VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
	    VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH),
	.cfg_read = blk_cfg_read,
	.cfg_write = blk_cfg_write,
	.start = blk_start,
	.reset = blk_reset,
	.notify = blk_notify,
	.queue_reset = blk_queue_reset,
};

static uint64_t
blk_features(const struct blk *b)
{
	const struct block_info *in = block_info(b->bd);
	uint64_t f = 0;

	if (b->nqueues > 1)
		f |= VIRTIO_BIT(VIRTIO_BLK_F_MQ);
	if (in->readonly)
		return f | VIRTIO_BIT(VIRTIO_BLK_F_RO);
	f |= VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) |
	    VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (in->can_discard)
		f |= VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
	return f;
}

static void
blk_fill_config(struct blk *b)
{
	const struct block_info *in = block_info(b->bd);
	struct virtio_blk_config *c = &b->cfg;
	uint32_t ratio = in->physical_size / in->sector_size;

	c->capacity = in->size / SECTOR;
	c->seg_max = BLK_SEG_MAX;
	c->blk_size = in->sector_size;
	c->physical_block_exp = (uint8_t)__builtin_ctz(ratio);
	c->min_io_size = (uint16_t)MIN(ratio, (uint32_t)UINT16_MAX);
	c->num_queues = (uint16_t)b->nqueues;
	if (in->can_discard) {
		c->max_discard_sectors = BLK_RANGE_SECTORS;
		c->max_discard_seg = BLK_RANGES;
		c->discard_sector_alignment = in->physical_size / SECTOR;
	}
	if (!in->readonly) {
		c->max_write_zeroes_sectors = BLK_RANGE_SECTORS;
		c->max_write_zeroes_seg = BLK_RANGES;
		c->write_zeroes_may_unmap = in->can_discard;
	}
}

static int
blk_read_serial(
    struct blk *b, const struct config_node *conf, struct error *err)
{
	cleanup_free char *ser = NULL;
	cleanup_free char *path = NULL;
	int rc;

	rc = config_get_str(conf, blk_keys, "ser", &ser, err);
	if (rc == 0 && strlen(ser) > VIRTIO_BLK_ID_BYTES)
		return error_set(err, EINVAL,
		    "ser=%s: a serial number has at most %u characters", ser,
		    VIRTIO_BLK_ID_BYTES);
	if (rc == 0) {
		memcpy(b->serial, ser, strlen(ser));
		return 0;
	}
	if (rc != -ENOENT)
		return rc;
	rc = config_get_str(conf, blk_keys, "path", &path, err);
	if (rc == 0)
		block_default_serial(path, b->serial, sizeof(b->serial));
	return rc;
}

/* ---- building ---- */

static int
blk_init_queues(struct blk *b, unsigned n, struct error *err)
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

static void
blk_close_on_loop(void *arg)
{
	struct blk *b = arg;

	block_close(b->bd);
	b->bd = NULL;
}

static void
blk_free(struct blk *b)
{
	struct blk_req *req;

	virtio_fini(b->vd);
	if (b->bd != NULL)
		(void)mevent_call_wait(
		    iothread_loop(b->thr), blk_close_on_loop, b);
	iothread_destroy(b->thr);
	for (unsigned i = 0; i < b->nqueues; i++)
		while ((req = b->q[i].free) != NULL) {
			b->q[i].free = req->next;
			free(req);
		}
	free(b);
}

static int
blk_open(struct blk *b, struct pci_dev *pd, const struct config_node *conf,
    struct error *err)
{
	struct pci_addr a = pci_dev_addr(pd);
	char name[16];
	int rc;

	(void)str_format(
	    name, sizeof(name), "blk %u:%u:%u", a.bus, a.slot, a.func);
	rc = iothread_create(name, &b->thr, err);
	if (rc == 0)
		rc = block_open(
		    iothread_loop(b->thr), conf, blk_keys, &b->bd, err);
	if (rc == 0)
		block_on_batch(b->bd, blk_batch, b);
	return rc;
}

static int
blk_build(struct blk *b, struct pci_dev *pd, const struct config_node *conf,
    struct error *err)
{
	struct virtio_config vc = {
		.model = &blk_model,
		.dev = b,
		.queue_size = BLK_QUEUE_SIZE,
		.cfg_size = offsetof(
		    struct virtio_blk_config, max_secure_erase_sectors),
	};
	uint64_t n = 1;
	int rc;

	rc = config_get_uint(conf, blk_keys, "queues", &n, err);
	if (rc == 0)
		rc = block_poll_init(&b->poll, conf, blk_keys, err);
	if (n > 1)
		b->poll.max = 0; /* the others of this thread must not wait */
	if (rc == 0)
		rc = virtio_read_config(conf, blk_keys, &vc, err);
	if (rc == 0)
		rc = blk_init_queues(b, (unsigned)n, err);
	if (rc == 0)
		rc = blk_read_serial(b, conf, err);
	if (rc == 0)
		rc = blk_open(b, pd, conf, err);
	if (rc != 0)
		return rc;
	b->writeback = true;
	blk_fill_config(b);
	vc.nqueues = b->nqueues;
	vc.features = blk_features(b);
	vc.loop = iothread_loop(b->thr);
	return virtio_init(pd, &vc, &b->vd, err);
}

static int
blk_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	struct blk *b;
	int rc;

	b = alloc_zero(1, sizeof(*b));
	if (b == NULL)
		return error_sys(err, ENOMEM, "virtio-blk");
	rc = blk_build(b, pd, conf, err);
	if (rc != 0)
		blk_free(b);
	return rc;
}

static void
blk_fini(struct pci_dev *pd)
{
	blk_free(virtio_priv(pd));
}

const struct pci_model pci_model_virtio_blk = {
	.name = "virtio-blk",
	.help = "virtio disk on a raw image or block device",
	.keys = blk_keys,
	.parse = block_parse,
	.init = blk_init,
	.fini = blk_fini,
	.bar_read = virtio_bar_read,
	.bar_write = virtio_bar_write,
	.cfg_read = virtio_cfg_read,
	.cfg_write = virtio_cfg_write,
};
