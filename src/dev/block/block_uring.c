/*
 * Reads, writes and flushes by io_uring. One io_uring_enter() starts a batch;
 * what the page cache answers at once is collected right after it, without
 * another wake-up. The ring's own descriptor tells the loop of the rest.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/block/block_impl.h"

struct block_uring {
	struct block_dev *bd;
	struct io_uring ring;
	struct mevent *event;
	unsigned inflight; /* in the ring or in the kernel */
};

int block_uring_refuse;

static void
uring_readable(void *arg, int fd, unsigned what)
{
	const struct block_uring *u = arg;

	block_run(u->bd);
}

static int
uring_register(struct io_uring *ring, unsigned op, void *arg, unsigned n)
{
	long rc = syscall(SYS_io_uring_register, ring->ring_fd, op, arg, n);

	return rc == -1 ? -errno : 0;
}

/*
 * A ring is a second way into the kernel that no filter of system calls sees:
 * it gets the six operations of a disk and no others, for good.
 */
static int
uring_restrict(struct io_uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_READ, IORING_OP_WRITE,
		IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
		IORING_OP_FALLOCATE };
	struct io_uring_restriction res[ARRAY_LEN(ops)] = { 0 };
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		res[i].opcode = IORING_RESTRICTION_SQE_OP;
		res[i].sqe_op = ops[i];
	}
	/* liburing 2.3 declares functions for these two and lacks them */
	rc = uring_register(
	    ring, IORING_REGISTER_RESTRICTIONS, res, ARRAY_LEN(res));
	if (rc == 0)
		rc =
		    uring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (rc < 0)
		io_uring_queue_exit(ring);
	return rc;
}

static int
uring_setup(struct io_uring *ring)
{
	/* Completions need no interruption of the thread: it comes by. */
	struct io_uring_params par = {
		.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_R_DISABLED,
	};
	int rc;

	if (block_uring_refuse != 0)
		return -block_uring_refuse;
	rc = io_uring_queue_init_params(BLOCK_URING_DEPTH, ring, &par);
	if (rc == -EINVAL) /* before Linux 5.19 */
		rc = io_uring_queue_init(
		    BLOCK_URING_DEPTH, ring, IORING_SETUP_R_DISABLED);
	return rc == 0 ? uring_restrict(ring) : rc;
}

int
block_uring_create(struct block_dev *bd, struct block_uring **ret)
{
	struct block_uring *u;
	int rc;

	u = alloc_zero(1, sizeof(*u));
	if (u == NULL)
		return -ENOMEM;
	u->bd = bd;
	rc = uring_setup(&u->ring);
	if (rc != 0) {
		free(u);
		return rc;
	}
	/*
	 * The file is not registered with the ring: the kernel takes rings
	 * apart after the process has ended, and would keep the image locked
	 * until then.
	 */
	rc = mevent_add_fd(bd->loop, u->ring.ring_fd, MEVENT_READ,
	    uring_readable, u, &u->event, NULL);
	if (rc != 0) {
		block_uring_destroy(u);
		return rc;
	}
	*ret = u;
	return 0;
}

void
block_uring_destroy(struct block_uring *u)
{
	if (u == NULL)
		return;
	mevent_delete(u->event);
	io_uring_queue_exit(&u->ring);
	free(u);
}

static void
uring_prep_rw(
    struct io_uring_sqe *sqe, struct block_dev *bd, struct block_req *req)
{
	struct block_piece p;
	bool read = req->op == BLOCK_READ;
	int fd = bd->fd;

	block_next_piece(bd, req, &p);
	if (p.n == 1 && p.one.iov_len <= INT32_MAX) {
		/* Without a vector the kernel has less to copy and check. */
		unsigned len = (unsigned)p.one.iov_len;

		if (read)
			io_uring_prep_read(
			    sqe, fd, p.one.iov_base, len, p.offset);
		else
			io_uring_prep_write(
			    sqe, fd, p.one.iov_base, len, p.offset);
	} else if (read) {
		io_uring_prep_readv(sqe, fd, p.iov, (unsigned)p.n, p.offset);
	} else {
		io_uring_prep_writev(sqe, fd, p.iov, (unsigned)p.n, p.offset);
	}
}

static void
uring_prep(struct block_uring *u, struct block_req *req)
{
	/* There are as many entries as requests may be in flight. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	bool sync = req->op == BLOCK_FLUSH || block_state(req)->syncing;
	int fd = u->bd->fd;

	if (sqe == NULL) {
		u->inflight--;
		block_finish(u->bd, req, -EBUSY);
		return;
	}
	if (sync)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else if (req->op == BLOCK_READ || req->op == BLOCK_WRITE)
		uring_prep_rw(sqe, u->bd, req);
	else
		io_uring_prep_fallocate(sqe, fd, block_range_mode(req),
		    (off_t)req->offset, (off_t)req->len);
	io_uring_sqe_set_data(sqe, req);
}

void
block_uring_start(struct block_uring *u, struct block_req *req)
{
	u->inflight++;
	uring_prep(u, req);
}

bool
block_uring_submit(struct block_uring *u)
{
	int rc;

	while (io_uring_sq_ready(&u->ring) != 0) {
		rc = io_uring_submit(&u->ring);
		if (rc == -EINTR)
			continue;
		/* Out of memory for the moment; some end, then try again. */
		if (rc <= 0)
			return false;
	}
	return true;
}

/* As block_piece_done(), of a discard or zeroes. */
static int
uring_range_done(struct block_dev *bd, struct block_req *req, int res)
{
	struct block_state *st = block_state(req);

	/* A hint; a medium that cannot take it has obeyed. */
	if (req->op == BLOCK_DISCARD)
		return block_not_offered(res) ? 0 : res;
	if (res != 0 || !bd->direct || st->syncing)
		return res;
	st->syncing = true;
	return 1;
}

static int
uring_step(struct block_dev *bd, struct block_req *req, int res)
{
	if (res == -EINTR || res == -EAGAIN)
		return 1;
	if (req->op == BLOCK_READ || req->op == BLOCK_WRITE)
		return block_piece_done(bd, req, res);
	if (req->op == BLOCK_FLUSH)
		return res;
	return uring_range_done(bd, req, res);
}

static void
uring_complete(struct block_uring *u, struct block_req *req, int res)
{
	int rc = uring_step(u->bd, req, res);

	if (rc == 1) {
		uring_prep(u, req);
		/* Someone must come and submit it. */
		u->bd->completed++;
		return;
	}
	u->inflight--;
	/* Zeroes can always be written. */
	if (req->op == BLOCK_WRITE_ZEROES && block_not_offered(rc))
		block_start_pooled(u->bd, req);
	else
		block_finish(u->bd, req, rc);
}

void
block_uring_reap(struct block_uring *u, bool wait)
{
	struct io_uring_cqe *cqe;

	if (wait)
		(void)io_uring_submit_and_wait(&u->ring, 1);
	while (io_uring_peek_cqe(&u->ring, &cqe) == 0 && cqe != NULL) {
		struct block_req *req = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		uring_complete(u, req, res);
	}
}

unsigned
block_uring_inflight(const struct block_uring *u)
{
	return u->inflight;
}
