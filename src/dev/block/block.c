/*
 * Block requests on their way: queued, started as far as the depth allows,
 * continued after short transfers, completed in batches.
 */
#include "dev/block/block_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

/* Rounds of start and completion before other events have their turn. */
#define RUN_ROUNDS 16
/*
 * Reads that the page cache answers are copied inside the system call that
 * starts them. Of large ones no more than this go into one, so that the guest
 * works on the first while the next are copied.
 */
#define RUN_BYTES (256 * KiB)
#define BOUNCE_ALIGN 4096

const struct block_info *
block_info(const struct block_dev *bd)
{
	return &bd->info;
}

unsigned
block_inflight(const struct block_dev *bd)
{
	return bd->nqueued + bd->inflight;
}

void
block_on_batch(struct block_dev *bd, void (*fn)(void *arg), void *arg)
{
	bd->batch = fn;
	bd->batch_arg = arg;
}

/* ---- parts of a request ---- */

static bool
is_rw(const struct block_req *req)
{
	return req->op == BLOCK_READ || req->op == BLOCK_WRITE;
}

/* Copy between the request at its place 'done' and a bounce buffer. */
static void
bounce_copy(struct block_req *req, uint8_t *buf, size_t n, bool out)
{
	struct block_state *st = block_state(req);
	uint64_t skip = st->done;

	for (int i = 0; i < req->iovcnt && n > 0; i++) {
		uint8_t *base = req->iov[i].iov_base;
		size_t len = req->iov[i].iov_len, part;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		part = MIN(len - (size_t)skip, n);
		if (out)
			memcpy(base + skip, buf, part);
		else
			memcpy(buf, base + skip, part);
		buf += part;
		n -= part;
		skip = 0;
	}
}

static size_t
bounce_len(const struct block_req *req, const struct block_state *st)
{
	return (size_t)MIN(req->len - st->done, (uint64_t)BLOCK_BOUNCE_SIZE);
}

void
block_next_piece(
    struct block_dev *bd, struct block_req *req, struct block_piece *ret)
{
	struct block_state *st = block_state(req);

	ret->offset = req->offset + st->done;
	if (st->bounce != NULL) {
		ret->one = (struct iovec){ st->bounce, bounce_len(req, st) };
		ret->iov = &ret->one;
		ret->n = 1;
		if (req->op == BLOCK_WRITE)
			bounce_copy(req, st->bounce, ret->one.iov_len, false);
		return;
	}
	ret->iov = req->iov + st->idx;
	ret->n = req->iovcnt - st->idx;
	ret->one = ret->iov[0];
}

static void
iov_restore(struct block_req *req, struct block_state *st)
{
	if (st->cut)
		req->iov[st->idx] = st->saved;
	st->cut = false;
}

/* Step over n bytes; a segment that was cut before may be cut again. */
static void
iov_advance(struct block_req *req, struct block_state *st, uint64_t n)
{
	struct iovec *v = &req->iov[st->idx];

	while (n > 0 && n >= v->iov_len) {
		n -= v->iov_len;
		iov_restore(req, st);
		st->idx++;
		v++;
	}
	if (n == 0)
		return;
	if (!st->cut)
		st->saved = *v;
	st->cut = true;
	v->iov_base = (uint8_t *)v->iov_base + n;
	v->iov_len -= n;
}

int
block_piece_done(struct block_dev *bd, struct block_req *req, int n)
{
	struct block_state *st = block_state(req);

	if (n == -EAGAIN || n == -EINTR)
		return 1;
	if (n < 0)
		return n;
	/* The image has become shorter than it was. */
	if (n == 0 || (uint64_t)n > req->len - st->done)
		return -EIO;
	if (st->bounce != NULL) {
		if (req->op == BLOCK_READ)
			bounce_copy(req, st->bounce, (size_t)n, true);
	} else if ((uint64_t)n < req->len - st->done) {
		iov_advance(req, st, (uint64_t)n);
	}
	st->done += (uint64_t)n;
	return st->done < req->len;
}

/* The guest learns only "I/O error"; the operator shall know more. */
static void
block_log_error(
    const struct block_dev *bd, const struct block_req *req, int status)
{
	static const char *const names[] = { [BLOCK_READ] = "read",
		[BLOCK_WRITE] = "write",
		[BLOCK_FLUSH] = "flush",
		[BLOCK_DISCARD] = "discard",
		[BLOCK_WRITE_ZEROES] = "write of zeroes" };
	static struct log_limit limit;

	log_ratelimited(&limit, LOG_ERR, "block",
	    "%s: %s of %llu bytes at %llu failed: %s", bd->path, names[req->op],
	    (unsigned long long)req->len, (unsigned long long)req->offset,
	    strerrordesc_np(-status));
}

void
block_finish(struct block_dev *bd, struct block_req *req, int status)
{
	struct block_state *st = block_state(req);

	iov_restore(req, st);
	if (st->bounce != NULL) {
		free(st->bounce);
		st->bounce = NULL;
		bd->bounces--;
	}
	bd->inflight--;
	bd->completed++;
	/* Not what a reset cancelled, nor what the guest should not ask. */
	if (status != 0 && status != -ECANCELED && !st->refused)
		block_log_error(bd, req, status);
	req->done(req, status);
}

/* ---- starting ---- */

static bool
iov_sum_is(const struct block_req *req, uint64_t want)
{
	uint64_t sum = 0;

	for (int i = 0; i < req->iovcnt; i++)
		if (__builtin_add_overflow(sum, req->iov[i].iov_len, &sum))
			return false;
	return sum == want;
}

static int
block_check(const struct block_dev *bd, const struct block_req *req)
{
	const struct block_info *in = &bd->info;

	if (req->op == BLOCK_FLUSH)
		return 0;
	if (req->offset % in->sector_size != 0 ||
	    req->len % in->sector_size != 0 || req->offset > in->size ||
	    req->len > in->size - req->offset)
		return -EINVAL;
	if (is_rw(req) && !iov_sum_is(req, req->len))
		return -EINVAL;
	if (req->op != BLOCK_READ && in->readonly)
		return -EROFS;
	return 0;
}

void
block_submit(struct block_dev *bd, struct block_req *req)
{
	struct block_state *st = block_state(req);

	*st = (struct block_state){ .result = block_check(bd, req) };
	st->refused = st->result != 0;
	req->next = NULL;
	*bd->last = req;
	bd->last = &req->next;
	bd->nqueued++;
}

static bool
needs_bounce(const struct block_dev *bd, const struct block_req *req)
{
	if (!bd->nocache || !is_rw(req))
		return false;
	for (int i = 0; i < req->iovcnt; i++)
		if ((uintptr_t)req->iov[i].iov_base % bd->mem_align != 0 ||
		    req->iov[i].iov_len % bd->io_align != 0)
			return true;
	return false;
}

/* 0, or -EBUSY: all bounce buffers are in use, or another errno. */
static int
bounce_take(struct block_dev *bd, struct block_req *req)
{
	struct block_state *st = block_state(req);
	size_t size = ROUND_UP(bounce_len(req, st), (size_t)BOUNCE_ALIGN);

	if (bd->bounces == BLOCK_BOUNCE_MAX)
		return -EBUSY;
	if (posix_memalign(&st->bounce, BOUNCE_ALIGN, size) != 0) {
		st->bounce = NULL;
		return -ENOMEM;
	}
	bd->bounces++;
	return 0;
}

void
block_start_pooled(struct block_dev *bd, struct block_req *req)
{
	int rc = 0;

	if (bd->pool == NULL)
		rc = block_pool_create(bd, &bd->pool);
	if (rc != 0)
		block_finish(bd, req, rc);
	else
		block_pool_start(bd->pool, req);
}

/* Ranges of a block device are ioctls, which the ring does not have. */
static bool
for_uring(const struct block_dev *bd, const struct block_req *req)
{
	return is_rw(req) || req->op == BLOCK_FLUSH || !bd->is_device;
}

/* Take the first one off the queue. */
static void
block_dequeue(struct block_dev *bd, struct block_req *req)
{
	bd->inflight++;
	bd->nqueued--;
	bd->first = req->next;
	if (bd->first == NULL)
		bd->last = &bd->first;
}

/* false: it must wait for another one to end. */
static bool
block_start(struct block_dev *bd, struct block_req *req)
{
	struct block_state *st = block_state(req);
	bool empty = req->op != BLOCK_FLUSH && req->len == 0;

	if (st->result == 0 && !empty && needs_bounce(bd, req)) {
		st->result = bounce_take(bd, req);
		if (st->result == -EBUSY) {
			st->result = 0;
			return false;
		}
	}
	block_dequeue(bd, req);
	if (st->result != 0 || empty)
		block_finish(bd, req, st->result);
	else if (bd->uring != NULL && for_uring(bd, req))
		block_uring_start(bd->uring, req);
	else
		block_start_pooled(bd, req);
	return true;
}

static void
block_reap(struct block_dev *bd)
{
	if (bd->uring != NULL)
		block_uring_reap(bd->uring, false);
	if (bd->pool != NULL)
		block_pool_reap(bd->pool, false);
}

/*
 * Start queued requests, up to the depth and a portion of data. true: there are
 * more that could start.
 */
static bool
block_start_some(struct block_dev *bd)
{
	uint64_t bytes = 0;

	while (bd->first != NULL && bd->inflight < bd->info.max_inflight) {
		struct block_req *req = bd->first;

		if (bytes >= RUN_BYTES)
			return true;
		if (is_rw(req))
			bytes += req->len;
		if (!block_start(bd, req))
			return false;
	}
	return false;
}

/*
 * Start what is queued, collect what is through, tell the owner, who may queue
 * more: until nothing moves, or others must have their turn.
 */
void
block_run(struct block_dev *bd)
{
	bool more = false, stuck = false;

	/* From a completion: the round that called it goes on with it. */
	if (bd->running)
		return;
	bd->running = true;
	for (unsigned round = 0; round < RUN_ROUNDS; round++) {
		bd->completed = 0;
		more = block_start_some(bd);
		stuck = bd->uring != NULL && !block_uring_submit(bd->uring);
		block_reap(bd);
		if (bd->completed != 0 && bd->batch != NULL)
			bd->batch(bd->batch_arg);
		if (bd->completed == 0 && !more)
			break;
	}
	bd->running = false;
	if (more || stuck || bd->completed != 0)
		mevent_notify(bd->again);
}

void
block_kick(struct block_dev *bd)
{
	block_run(bd);
}

void
block_drain(struct block_dev *bd)
{
	struct block_req *req;

	while ((req = bd->first) != NULL) {
		block_dequeue(bd, req);
		block_finish(bd, req, -ECANCELED);
	}
	while (bd->uring != NULL && block_uring_inflight(bd->uring) != 0)
		block_uring_reap(bd->uring, true);
	while (bd->pool != NULL && block_pool_inflight(bd->pool) != 0)
		block_pool_reap(bd->pool, true);
}

void
block_close(struct block_dev *bd)
{
	if (bd == NULL)
		return;
	if (bd->fd >= 0)
		block_drain(bd);
	block_uring_destroy(bd->uring);
	block_pool_destroy(bd->pool);
	mevent_delete(bd->again);
	fd_close(&bd->fd);
	free(bd->path);
	free(bd);
}
