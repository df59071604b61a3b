/*
 * Inside of the block back end.
 *
 *   block.c         queueing, completion, what to do next of a request
 *   block_open.c    configuration, opening, locking, geometry
 *   block_sync.c    one request done by system calls that block
 *   block_pool.c    threads for those
 *   block_uring.c   reads, writes and flushes by io_uring (block_nouring.c:
 * not)
 */
#ifndef DEV_BLOCK_BLOCK_IMPL_H
#define DEV_BLOCK_BLOCK_IMPL_H

#include "dev/block/block.h"

/* O_DIRECT with memory that is not aligned for it goes through these. */
#define BLOCK_BOUNCE_SIZE (256u << 10)
#define BLOCK_BOUNCE_MAX 8
#define BLOCK_URING_DEPTH 128
#define BLOCK_POOL_DEPTH 64
#define BLOCK_POOL_THREADS 8

/* struct block_req's priv: how far a request has come. */
struct block_state {
	uint64_t done; /* bytes */
	void *bounce; /* NULL: straight from and to the caller's memory */
	struct iovec saved; /* iov[idx] as the caller gave it */
	int32_t idx; /* first segment that is not through */
	bool cut; /* iov[idx] was shortened, 'saved' holds it */
	bool refused; /* the request makes no sense */
	bool syncing; /* the sync behind a range of zeroes is on its way */
	int32_t result;
	uint32_t pad;
};

/* What to read or write next. */
struct block_piece {
	struct iovec *iov;
	int n;
	struct iovec one; /* when n is 1 */
	uint64_t offset;
};

struct block_uring;
struct block_pool;

struct block_dev {
	struct mevent_loop *loop;
	struct block_info info;
	int fd;
	char *path; /* for messages */
	bool is_device; /* a block device, else a regular file */
	bool nocache; /* O_DIRECT */
	bool direct; /* O_DSYNC */
	uint32_t mem_align, io_align; /* what O_DIRECT asks for */

	struct block_req *first, **last; /* submitted, not started */
	unsigned nqueued;
	unsigned inflight; /* started, not completed */
	unsigned bounces; /* bounce buffers in use */
	unsigned completed; /* in this round */
	bool running; /* block_run() is at work */
	void (*batch)(void *arg);
	void *batch_arg;

	struct mevent *again; /* notifier: come back to this device */
	struct block_uring *uring; /* NULL: the pool does all */
	struct block_pool *pool; /* made when first needed */
};

static inline struct block_state *
block_state(struct block_req *req)
{
	_Static_assert(sizeof(struct block_state) <= sizeof(req->priv),
	    "block_req has room for block_state");
	return (struct block_state *)(void *)req->priv;
}

/* ---- block.c ---- */
/* Take part of the work; for the two back ends and the notifier. */
void block_run(struct block_dev *bd);
/* By a thread: what io_uring does not do here. Started already. */
void block_start_pooled(struct block_dev *bd, struct block_req *req);
/* Does the medium, or the host, not know the operation? */
bool block_not_offered(int rc);
/* fallocate(2)'s mode for a discard or zeroes on a regular file. */
int block_range_mode(const struct block_req *req);
/* The request is over; calls done(). */
void block_finish(struct block_dev *bd, struct block_req *req, int status);
/* The next part of a read or write; fills the bounce buffer of a write. */
void block_next_piece(
    struct block_dev *bd, struct block_req *req, struct block_piece *ret);
/*
 * A part ended with n bytes or -errno: 1: there is more to do (again, or the
 * rest); 0: all done; or what the request failed with.
 */
int block_piece_done(struct block_dev *bd, struct block_req *req, int n);

/* ---- block_sync.c, any thread ---- */
int block_sync(struct block_dev *bd, struct block_req *req);

/* ---- block_pool.c ---- */
int block_pool_create(struct block_dev *bd, struct block_pool **ret);
void block_pool_destroy(struct block_pool *pool); /* NULL is allowed */
void block_pool_start(struct block_pool *pool, struct block_req *req);
/* Complete what is ready; when 'wait', until something is. */
void block_pool_reap(struct block_pool *pool, bool wait);
unsigned block_pool_inflight(const struct block_pool *pool);

/* ---- block_uring.c ---- */
/* -ENOSYS, -EPERM and the like when the host refuses io_uring. */
int block_uring_create(struct block_dev *bd, struct block_uring **ret);
void block_uring_destroy(struct block_uring *u); /* NULL is allowed */
/* Put the next part of a request into the ring. */
void block_uring_start(struct block_uring *u, struct block_req *req);
/* Tell the kernel; false: it could not take all of it now. */
bool block_uring_submit(struct block_uring *u);
void block_uring_reap(struct block_uring *u, bool wait);
unsigned block_uring_inflight(const struct block_uring *u);
/* For tests: io_uring_setup fails with this errno value when not 0. */
extern int block_uring_refuse;

#endif
