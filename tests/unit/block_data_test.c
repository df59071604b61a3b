/*
 * Block back ends: random operations, many at once, against a reference, for
 * every way of doing I/O, on files and block devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "block_rig.h"
#include "tap.h"

#define SIZE (2 * MiB)
#define SLOTS 24
#define MAX_SEGS 7
#define OPS 3000

struct op {
	struct block_req req;
	struct iovec iov[MAX_SEGS], copy[MAX_SEGS];
	uint8_t *buf;
	uint8_t want[64 * KiB];
	bool busy;
};

struct torture {
	struct block_dev *bd;
	uint8_t *ref;
	struct op op[SLOTS];
	unsigned seed, done, batches;
	unsigned misalign; /* bytes that buffers are off a page */
};

static unsigned
rnd(struct torture *t, unsigned n)
{
	t->seed = t->seed * 1103515245u + 12345u;
	return (t->seed >> 12) % n;
}

static bool
overlaps_busy(const struct torture *t, uint64_t off, uint64_t len)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct op *o = &t->op[i];

		if (o->busy && off < o->req.offset + o->req.len &&
		    o->req.offset < off + len)
			return true;
	}
	return false;
}

static void
on_torture(struct block_req *req, int status)
{
	struct op *o = container_of(req, struct op, req);
	struct torture *t = req->arg;

	tap_check_int(status, 0);
	tap_check(memcmp(o->iov, o->copy, sizeof(o->iov)) == 0);
	if (req->op == BLOCK_READ)
		tap_check_mem(o->buf, o->want, req->len);
	o->busy = false;
	t->done++;
}

static void
on_batch(void *arg)
{
	struct torture *t = arg;

	t->batches++;
}

static void
split(struct torture *t, struct op *o)
{
	uint64_t left = o->req.len, at = 0;
	int n = 0;

	memset(o->iov, 0, sizeof(o->iov));
	while (left > 0) {
		uint64_t part = n == MAX_SEGS - 1 ? left : 1 + rnd(t, 9000);

		/* The aligned way takes whole sectors only. */
		if (t->misalign == 0 && part != left)
			part = ROUND_UP(part, (uint64_t)512);
		part = MIN(part, left);
		o->iov[n++] = (struct iovec){ o->buf + at, part };
		at += part;
		left -= part;
	}
	memcpy(o->copy, o->iov, sizeof(o->iov));
	o->req.iovcnt = n;
}

static void
start_op(struct torture *t, struct op *o)
{
	static const enum block_op ops[] = { BLOCK_READ, BLOCK_READ, BLOCK_READ,
		BLOCK_WRITE, BLOCK_WRITE, BLOCK_WRITE, BLOCK_FLUSH,
		BLOCK_DISCARD, BLOCK_WRITE_ZEROES };
	uint64_t len = (1 + rnd(t, 128)) * 512;
	uint64_t off = rnd(t, (unsigned)(SIZE - len) / 512) * 512;

	if (overlaps_busy(t, off, len))
		return;
	o->req = (struct block_req){ .op = ops[rnd(t, ARRAY_LEN(ops))],
		.offset = off,
		.len = len,
		.iov = o->iov,
		.unmap = rnd(t, 2) != 0,
		.done = on_torture,
		.arg = t };
	split(t, o);
	if (o->req.op == BLOCK_READ)
		memcpy(o->want, t->ref + off, len);
	if (o->req.op == BLOCK_WRITE) {
		memset(o->buf, (int)rnd(t, 256), len);
		o->buf[len / 2] = (uint8_t)rnd(t, 256);
		memcpy(t->ref + off, o->buf, len);
	}
	if (o->req.op == BLOCK_DISCARD || o->req.op == BLOCK_WRITE_ZEROES)
		memset(t->ref + off, 0, len);
	o->busy = true;
	block_submit(t->bd, &o->req);
}

/* Put the brig_path behind a loop device, when there are any for us. */
static int
attach_loop(void)
{
	struct loop_config conf = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int dev, n;

	if (ctl == -1)
		tap_skip("no loop devices");
	conf.fd = (uint32_t)open(brig_path, O_RDWR | O_CLOEXEC);
	for (unsigned i = 0;; i++) {
		if ((n = ioctl(ctl, LOOP_CTL_GET_FREE)) < 0)
			tap_skip("no loop devices");
		str_format(brig_path, sizeof(brig_path), "/dev/loop%d", n);
		dev = open(brig_path, O_RDWR | O_CLOEXEC);
		if (dev != -1 && ioctl(dev, LOOP_CONFIGURE, &conf) == 0)
			break;
		/* EBUSY: somebody else got the same number */
		if (dev == -1 || errno != EBUSY || i == 1000)
			tap_skip("no loop device: %s", strerror(errno));
		close(dev);
	}
	close(ctl);
	close((int)conf.fd);
	return dev;
}

static bool use_loop;

static void
torture(const char *opts, const char *aio, unsigned misalign)
{
	int dev = -1;
	struct torture *t = calloc(1, sizeof(*t));
	uint8_t *all = malloc(SIZE);

	tap_check(t != NULL && all != NULL);
	brig_image(SIZE);
	if (use_loop)
		dev = attach_loop();
	t->bd = brig_start(opts);
	fd_close(&dev); /* gone with the last user */
	tap_check_str(block_info(t->bd)->aio, aio);
	tap_check(t->bd->is_device == use_loop);
	t->ref = calloc(1, SIZE);
	t->seed = 42;
	t->misalign = misalign;
	block_on_batch(t->bd, on_batch, t);
	for (unsigned i = 0; i < SLOTS; i++) {
		void *p = NULL;

		tap_check_int(posix_memalign(&p, 4096, 80 * KiB), 0);
		t->op[i].buf = (uint8_t *)p + misalign;
	}
	while (t->done < OPS) {
		for (unsigned i = 0; i < SLOTS; i++)
			if (!t->op[i].busy)
				start_op(t, &t->op[i]);
		block_kick(t->bd);
		tap_check_int(
		    mevent_loop_once(brig_loop, rnd(t, 4) == 0 ? 5 : 0), 0);
	}
	while (block_inflight(t->bd) != 0)
		tap_check_int(mevent_loop_once(brig_loop, 5000), 0);
	tap_note("%u requests in %u batches", t->done, t->batches);
	tap_check(t->batches <= t->done && t->batches > 0);
	for (uint64_t at = 0; at < SIZE; at += MiB / 2)
		tap_check_int(
		    brig_rw(t->bd, BLOCK_READ, at,
			t->misalign != 0 ? all + at : all + at, MiB / 2),
		    0);
	tap_check(memcmp(all, t->ref, SIZE) == 0);
	brig_end(t->bd);
	for (unsigned i = 0; i < SLOTS; i++)
		free(t->op[i].buf - misalign);
	free(t->ref);
	free(t);
	free(all);
}

static void
data_by_io_uring(void)
{
	torture(",aio=io_uring", "io_uring", 0);
}

static void
data_by_io_uring_synced(void)
{
	torture(",aio=io_uring,sync", "io_uring", 0);
}

static void
data_by_threads(void)
{
	torture(",aio=threads", "threads", 0);
}

static void
data_by_io_uring_direct(void)
{
	torture(",aio=io_uring,nocache", "io_uring", 0);
}

static void
data_by_io_uring_direct_misaligned(void)
{
	torture(",aio=io_uring,nocache", "io_uring", 3);
}

static void
data_by_threads_direct_misaligned(void)
{
	torture(",aio=threads,nocache,direct", "threads", 1);
}

static void
data_on_a_block_device(void)
{
	use_loop = true;
	torture(",aio=io_uring", "io_uring", 0);
}

static void
data_on_a_block_device_threads_direct(void)
{
	use_loop = true;
	torture(",aio=threads,nocache", "threads", 5);
}

static void
data_by_threads_when_refused(void)
{
	block_uring_refuse = ENOSYS;
	brig_image(8192);
	brig_refused(brig_path, ",aio=io_uring", "the host refuses io_uring");
	torture("", "threads", 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(data_by_io_uring),
	TAP_TEST(data_by_io_uring_synced),
	TAP_TEST(data_by_threads),
	TAP_TEST(data_by_io_uring_direct),
	TAP_TEST(data_by_io_uring_direct_misaligned),
	TAP_TEST(data_by_threads_direct_misaligned),
	TAP_TEST(data_on_a_block_device),
	TAP_TEST(data_on_a_block_device_threads_direct),
	TAP_TEST(data_by_threads_when_refused),
};
TAP_MAIN(tests)
