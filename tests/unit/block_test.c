/*
 * Block back ends: data against a reference for both ways of doing I/O, locks,
 * options, geometry, ends of files, what happens without io_uring.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "dev/block/block_impl.h"
#include "tap.h"

static const struct config_key keys[] = { BLOCK_CONFIG_KEYS, { NULL } };

static struct mevent_loop *loop;
static char image[512];

static void
make_image(uint64_t size)
{
	int fd;

	tap_check_int(
	    str_format(image, sizeof(image), "%s/disk.img", tap_tmpdir()), 0);
	fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	tap_check(fd >= 0);
	tap_check_int(ftruncate(fd, (off_t)size), 0);
	close(fd);
	if (loop == NULL)
		tap_check_int(mevent_loop_create(&loop, NULL), 0);
}

static int
open_path(const char *path, const char *opts, struct block_dev **ret,
    struct error *err)
{
	struct config_node *node = config_create();
	char text[600];
	int rc;

	tap_check(node != NULL);
	tap_check_int(str_format(text, sizeof(text), "%s%s", path, opts), 0);
	rc = block_parse(node, text, err);
	if (rc == 0)
		rc = block_open(loop, node, keys, ret, err);
	config_free(node);
	return rc;
}

static struct block_dev *
open_ok(const char *opts)
{
	struct error err = ERROR_INIT;
	struct block_dev *bd;

	if (open_path(image, opts, &bd, &err) == 0)
		return bd;
	if (strstr(err.text, "refuses io_uring") != NULL)
		tap_skip("%s", err.text);
	tap_fail("%s: %s", opts, err.text);
}

static void
open_fails(const char *path, const char *opts, const char *part)
{
	struct error err = ERROR_INIT;
	struct block_dev *bd;

	tap_check(open_path(path, opts, &bd, &err) < 0);
	tap_check_has(err.text, part);
}

static void
finish(struct block_dev *bd)
{
	block_close(bd);
	mevent_loop_destroy(loop);
	loop = NULL;
}

/* ---- requests one by one ---- */

struct wait {
	bool over;
	int status;
};

static void
on_done(struct block_req *req, int status)
{
	struct wait *w = req->arg;

	tap_check(!w->over);
	w->over = true;
	w->status = status;
}

static int
run(struct block_dev *bd, struct block_req *req)
{
	struct wait w = { false, 0 };

	req->arg = &w;
	req->done = on_done;
	block_submit(bd, req);
	tap_check(!w.over);
	block_kick(bd);
	while (!w.over)
		tap_check_int(mevent_loop_once(loop, 5000), 0);
	tap_check_int(block_inflight(bd), 0);
	return w.status;
}

static int
rw(struct block_dev *bd, enum block_op op, uint64_t off, void *p, size_t n)
{
	struct iovec iov = { p, n };
	struct block_req req = {
		.op = op, .offset = off, .len = n, .iov = &iov, .iovcnt = 1
	};

	return run(bd, &req);
}

static int
range(struct block_dev *bd, enum block_op op, uint64_t off, uint64_t n)
{
	struct block_req req = { .op = op, .offset = off, .len = n };

	return run(bd, &req);
}

/* ---- random operations against a reference ---- */

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

/* Put the image behind a loop device, when there are any for us. */
static int
attach_loop(void)
{
	struct loop_config conf = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int dev, n;

	if (ctl == -1)
		tap_skip("no loop devices");
	conf.fd = (uint32_t)open(image, O_RDWR | O_CLOEXEC);
	for (unsigned i = 0;; i++) {
		if ((n = ioctl(ctl, LOOP_CTL_GET_FREE)) < 0)
			tap_skip("no loop devices");
		str_format(image, sizeof(image), "/dev/loop%d", n);
		dev = open(image, O_RDWR | O_CLOEXEC);
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
	make_image(SIZE);
	if (use_loop)
		dev = attach_loop();
	t->bd = open_ok(opts);
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
		    mevent_loop_once(loop, rnd(t, 4) == 0 ? 5 : 0), 0);
	}
	while (block_inflight(t->bd) != 0)
		tap_check_int(mevent_loop_once(loop, 5000), 0);
	tap_note("%u requests in %u batches", t->done, t->batches);
	tap_check(t->batches <= t->done && t->batches > 0);
	for (uint64_t at = 0; at < SIZE; at += MiB / 2)
		tap_check_int(
		    rw(t->bd, BLOCK_READ, at,
			t->misalign != 0 ? all + at : all + at, MiB / 2),
		    0);
	tap_check(memcmp(all, t->ref, SIZE) == 0);
	finish(t->bd);
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

/* Nothing but the disk's operations can be had from it any more. */
static void
ring_is_restricted(void)
{
	struct block_dev *bd;
	char path[64], what[64];
	unsigned rings = 0;

	make_image(16 * KiB);
	bd = open_ok(",aio=io_uring");
	for (int fd = 3; fd < 100; fd++) {
		uint8_t probe[64] = { 0 };
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if ((n = readlink(path, what, sizeof(what) - 1)) <= 0)
			continue;
		what[n] = '\0';
		if (strcmp(what, "anon_inode:[io_uring]") != 0)
			continue;
		rings++;
		/* any registration: 8 asks which operations there are */
		tap_check_int(
		    syscall(SYS_io_uring_register, fd, 8, probe, 1), -1);
		tap_check_int(errno, EACCES);
	}
	tap_check_u64(rings, 1);
	finish(bd);
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
	make_image(8192);
	open_fails(image, ",aio=io_uring", "the host refuses io_uring");
	torture("", "threads", 0);
}

/* ---- single matters ---- */

static void
both(void (*fn)(const char *opts))
{
	fn(",aio=threads");
	fn(",aio=io_uring");
}

/* More than the host moves at once: several parts, then the rest. */
static void
one_large_request(const char *opts)
{
	struct block_dev *bd;
	uint8_t *a = malloc(16 * MiB), *b = malloc(16 * MiB);
	char all[64];

	tap_check(a != NULL && b != NULL);
	make_image(16 * MiB);
	str_format(all, sizeof(all), "%s,nocache", opts);
	bd = open_ok(all);
	for (size_t i = 0; i < 16 * MiB; i++)
		a[i] = (uint8_t)(i * 7 + (i >> 12));
	/* malloc's 16 bytes before it make it misaligned: by bounces */
	tap_check_int(rw(bd, BLOCK_WRITE, 0, a, 16 * MiB), 0);
	tap_check_int(rw(bd, BLOCK_READ, 0, b, 16 * MiB), 0);
	tap_check(memcmp(a, b, 16 * MiB) == 0);
	free(a);
	free(b);
	finish(bd);
}

static void
large(void)
{
	both(one_large_request);
}

static void
ranges(const char *opts)
{
	static uint8_t buf[1024];
	struct block_dev *bd;
	struct iovec iov = { buf, 512 };
	struct block_req lies = {
		.op = BLOCK_READ, .len = 1024, .iov = &iov, .iovcnt = 1
	};

	make_image(8192);
	bd = open_ok(opts);
	tap_check_int(rw(bd, BLOCK_READ, 7680, buf, 512), 0);
	tap_check_int(rw(bd, BLOCK_READ, 7680, buf, 1024), -EINVAL);
	tap_check_int(rw(bd, BLOCK_READ, 8192, buf, 512), -EINVAL);
	tap_check_int(rw(bd, BLOCK_READ, 8192, buf, 0), 0);
	tap_check_int(rw(bd, BLOCK_READ, 100, buf, 512), -EINVAL);
	tap_check_int(rw(bd, BLOCK_READ, 0, buf, 100), -EINVAL);
	tap_check_int(rw(bd, BLOCK_WRITE, ~UINT64_C(511), buf, 1024), -EINVAL);
	tap_check_int(range(bd, BLOCK_DISCARD, 0, UINT64_MAX - 511), -EINVAL);
	tap_check_int(range(bd, BLOCK_DISCARD, 512, 0), 0);
	tap_check_int(range(bd, BLOCK_WRITE_ZEROES, 512, 512), 0);
	tap_check_int(range(bd, BLOCK_FLUSH, 0, 0), 0);
	tap_check_int(run(bd, &lies), -EINVAL);
	finish(bd);
}

static void
out_of_range(void)
{
	both(ranges);
}

static void
shrunk(const char *opts)
{
	static uint8_t buf[8192];
	struct iovec iov[3] = { { buf, 1000 }, { buf + 1000, 4000 },
		{ buf + 5000, 3192 } };
	struct iovec copy[3];
	struct block_req req = {
		.op = BLOCK_READ, .len = 8192, .iov = iov, .iovcnt = 3
	};
	struct block_dev *bd;

	make_image(8192);
	bd = open_ok(opts);
	tap_check_int(truncate(image, 3000), 0);
	memcpy(copy, iov, sizeof(iov));
	tap_check_int(run(bd, &req), -EIO);
	tap_check(memcmp(iov, copy, sizeof(iov)) == 0);
	tap_check_int(truncate(image, 8192), 0);
	tap_check_int(run(bd, &req), 0);
	finish(bd);
}

static void
image_shrinks(void)
{
	both(shrunk);
}

static void
read_only(const char *opts)
{
	static uint8_t buf[512];
	struct block_dev *bd;
	char all[64];

	make_image(8192);
	str_format(all, sizeof(all), "%s,ro", opts);
	bd = open_ok(all);
	tap_check(block_info(bd)->readonly);
	tap_check(!block_info(bd)->can_discard);
	tap_check_int(rw(bd, BLOCK_READ, 0, buf, 512), 0);
	tap_check_int(rw(bd, BLOCK_WRITE, 0, buf, 512), -EROFS);
	tap_check_int(range(bd, BLOCK_DISCARD, 0, 512), -EROFS);
	tap_check_int(range(bd, BLOCK_WRITE_ZEROES, 0, 512), -EROFS);
	tap_check_int(range(bd, BLOCK_FLUSH, 0, 0), 0);
	finish(bd);
}

static void
ro(void)
{
	both(read_only);
}

static void
discard_frees_space(void)
{
	uint8_t *buf = malloc(MiB);
	struct block_dev *bd;
	struct stat before, after;

	make_image(MiB);
	bd = open_ok("");
	memset(buf, 7, MiB);
	tap_check_int(rw(bd, BLOCK_WRITE, 0, buf, MiB), 0);
	tap_check_int(range(bd, BLOCK_FLUSH, 0, 0), 0);
	tap_check_int(stat(image, &before), 0);
	tap_check_int(range(bd, BLOCK_DISCARD, 0, MiB / 2), 0);
	tap_check_int(stat(image, &after), 0);
	tap_check(after.st_blocks < before.st_blocks);
	tap_check_int(after.st_size, (int64_t)MiB);
	tap_check_int(rw(bd, BLOCK_READ, 0, buf, MiB), 0);
	tap_check_int(buf[0], 0);
	tap_check_int(buf[MiB - 1], 7);
	free(buf);
	finish(bd);
}

/* A memory file system has no ZERO_RANGE: zeroes are written then. */
static void
zeroes_where_not_offered(const char *opts)
{
	uint8_t *buf = malloc(MiB);
	struct block_dev *bd;
	int fd;

	make_image(512);
	str_format(image, sizeof(image), "/dev/shm/zhyve-block-%d", getpid());
	fd = open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		tap_skip("no /dev/shm");
	unlink(image);
	tap_check_int(ftruncate(fd, (off_t)MiB), 0);
	str_format(image, sizeof(image), "/dev/fd/%d", fd);
	bd = open_ok(opts);
	close(fd);
	memset(buf, 7, MiB);
	tap_check_int(rw(bd, BLOCK_WRITE, 0, buf, MiB), 0);
	tap_check_int(range(bd, BLOCK_WRITE_ZEROES, 4096, 200 * KiB), 0);
	tap_check_int(range(bd, BLOCK_DISCARD, 512 * KiB, 4096), 0);
	tap_check_int(rw(bd, BLOCK_READ, 0, buf, MiB), 0);
	for (uint64_t i = 0; i < 512 * KiB; i++)
		tap_check(
		    buf[i] == (i >= 4096 && i < 4096 + 200 * KiB ? 0 : 7));
	free(buf);
	finish(bd);
}

static void
zeroes_fall_back(void)
{
	both(zeroes_where_not_offered);
}

/* ---- draining ---- */

struct many {
	struct block_req req;
	struct iovec iov;
	unsigned *done, *canceled;
};

static void
on_many(struct block_req *req, int status)
{
	struct many *m = container_of(req, struct many, req);

	++*m->done;
	if (status == -ECANCELED)
		++*m->canceled;
	else
		tap_check_int(status, 0);
}

static void
drained(const char *opts)
{
	static uint8_t buf[300][4096];
	static struct many m[300];
	unsigned done = 0, canceled = 0;
	struct block_dev *bd;

	make_image(4 * MiB);
	bd = open_ok(opts);
	for (unsigned i = 0; i < 300; i++) {
		m[i].iov = (struct iovec){ buf[i], 4096 };
		m[i].done = &done;
		m[i].canceled = &canceled;
		m[i].req = (struct block_req){ .op = BLOCK_WRITE,
			.offset = i * 4096,
			.len = 4096,
			.iov = &m[i].iov,
			.iovcnt = 1,
			.done = on_many };
		block_submit(bd, &m[i].req);
		if (i == 199)
			block_kick(bd);
	}
	tap_check_int(block_inflight(bd), 300 - done);
	block_drain(bd);
	tap_check_int(done, 300);
	tap_check(canceled >= 100);
	tap_check_int(block_inflight(bd), 0);
	finish(bd);
}

static void
drain(void)
{
	both(drained);
}

static void
close_waits(void)
{
	static uint8_t buf[4096];
	struct iovec iov = { buf, sizeof(buf) };
	unsigned done = 0, canceled = 0;
	struct many m = { .req = { .op = BLOCK_WRITE,
			      .len = 4096,
			      .iov = &iov,
			      .iovcnt = 1,
			      .done = on_many },
		.done = &done,
		.canceled = &canceled };
	struct block_dev *bd;

	make_image(4 * MiB);
	bd = open_ok(",direct");
	block_submit(bd, &m.req);
	block_kick(bd);
	finish(bd);
	tap_check_int(done, 1);
	tap_check_int(canceled, 0);
}

/* ---- opening ---- */

static void
locks(void)
{
	struct error err = ERROR_INIT;
	struct block_dev *a, *b;

	make_image(8192);
	a = open_ok("");
	open_fails(image, "",
	    "disk.img: in use by another process "
	    "(exclusive lock refused); stop the other VM");
	open_fails(image, ",ro", "shared lock refused");
	block_close(a);
	a = open_ok(",ro");
	tap_check_int(open_path(image, ",ro", &b, &err), 0);
	open_fails(image, "", "exclusive lock refused");
	block_close(b);
	block_close(a);
	finish(open_ok(""));
}

static void
bad_options(void)
{
	make_image(8192);
	open_fails("/nonexistent/disk", "", "/nonexistent/disk: cannot open");
	open_fails("/dev/null", "", "neither a file nor a block device");
	open_fails(tap_tmpdir(), ",ro", "neither a file nor");
	open_fails("", "", "needs the path");
	open_fails(image, ",", "empty");
	open_fails(image, ",=1", "empty");
	open_fails(image, ",sectorsize=1000", "512 or 4096");
	open_fails(image, ",sectorsize=4096/512", "at least the logical");
	open_fails(image, ",sectorsize=512/3000", "power of two");
	open_fails(image, ",nocache=perhaps", "nocache");
	open_fails("/dev/fd/x", "", "no number");
	open_fails("/dev/fd/999", "", "/dev/fd/999");
	make_image(511);
	open_fails(image, "", "shorter than one sector of 512");
	make_image(1024);
	open_fails(image, ",sectorsize=4096", "one sector of 4096");
	mevent_loop_destroy(loop);
}

static void
geometry(void)
{
	struct block_dev *bd;

	make_image(8192 + 100);
	bd = open_ok("");
	tap_check_u64(block_info(bd)->size, 8192);
	tap_check_u64(block_info(bd)->sector_size, 512);
	tap_check(block_info(bd)->can_discard);
	block_close(bd);
	bd = open_ok(",sectorsize=4096,nodelete");
	tap_check_u64(block_info(bd)->size, 8192);
	tap_check_u64(block_info(bd)->sector_size, 4096);
	tap_check_u64(block_info(bd)->physical_size, 4096);
	tap_check(!block_info(bd)->can_discard);
	tap_check_int(rw(bd, BLOCK_READ, 512, image, 512), -EINVAL);
	block_close(bd);
	bd = open_ok(",sectorsize=512/8192");
	tap_check_u64(block_info(bd)->physical_size, 8192);
	finish(bd);
}

static void
inherited_descriptor(void)
{
	static uint8_t buf[512] = "hello";
	struct error err = ERROR_INIT;
	struct block_dev *bd;
	char path[32];
	int fd;

	make_image(8192);
	fd = open(image, O_RDONLY | O_CLOEXEC);
	str_format(path, sizeof(path), "/dev/fd/%d", fd);
	open_fails(path, "", "not open for reading and writing");
	open_fails(path, ",direct,ro", "O_DSYNC");
	tap_check_int(open_path(path, ",ro", &bd, &err), 0);
	block_close(bd);
	close(fd);
	fd = open(image, O_RDWR | O_CLOEXEC);
	str_format(path, sizeof(path), "/dev/fd/%d", fd);
	tap_check_int(open_path(path, "", &bd, &err), 0);
	close(fd);
	tap_check_int(rw(bd, BLOCK_WRITE, 0, buf, 512), 0);
	finish(bd);
}

static const struct tap_test tests[] = {
	TAP_TEST(data_by_io_uring),
	TAP_TEST(ring_is_restricted),
	TAP_TEST(data_by_io_uring_synced),
	TAP_TEST(data_by_threads),
	TAP_TEST(data_by_io_uring_direct),
	TAP_TEST(data_by_io_uring_direct_misaligned),
	TAP_TEST(data_by_threads_direct_misaligned),
	TAP_TEST(data_on_a_block_device),
	TAP_TEST(data_on_a_block_device_threads_direct),
	TAP_TEST(data_by_threads_when_refused),
	TAP_TEST(large),
	TAP_TEST(out_of_range),
	TAP_TEST(image_shrinks),
	TAP_TEST(ro),
	TAP_TEST(discard_frees_space),
	TAP_TEST(zeroes_fall_back),
	TAP_TEST(drain),
	TAP_TEST(close_waits),
	TAP_TEST(locks),
	TAP_TEST(bad_options),
	TAP_TEST(geometry),
	TAP_TEST(inherited_descriptor),
};
TAP_MAIN(tests)
