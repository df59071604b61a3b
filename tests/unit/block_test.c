/*
 * Block back ends: requests one by one, locks, options, geometry, ends of
 * files. Data is in block_data_test.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "block_rig.h"
#include "dev/block/poll.h"
#include "tap.h"

/* Nothing but the disk's operations can be had from it any more. */
static void
ring_is_restricted(void)
{
	struct block_dev *bd;
	char path[64], what[64];
	unsigned rings = 0;

	brig_image(16 * KiB);
	bd = brig_start(",aio=io_uring");
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
	brig_end(bd);
}

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
	brig_image(16 * MiB);
	str_format(all, sizeof(all), "%s,nocache", opts);
	bd = brig_start(all);
	for (size_t i = 0; i < 16 * MiB; i++)
		a[i] = (uint8_t)(i * 7 + (i >> 12));
	/* malloc's 16 bytes before it make it misaligned: by bounces */
	tap_check_int(brig_rw(bd, BLOCK_WRITE, 0, a, 16 * MiB), 0);
	tap_check_int(brig_rw(bd, BLOCK_READ, 0, b, 16 * MiB), 0);
	tap_check(memcmp(a, b, 16 * MiB) == 0);
	free(a);
	free(b);
	brig_end(bd);
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

	brig_image(8192);
	bd = brig_start(opts);
	tap_check_int(brig_rw(bd, BLOCK_READ, 7680, buf, 512), 0);
	tap_check_int(brig_rw(bd, BLOCK_READ, 7680, buf, 1024), -EINVAL);
	tap_check_int(brig_rw(bd, BLOCK_READ, 8192, buf, 512), -EINVAL);
	tap_check_int(brig_rw(bd, BLOCK_READ, 8192, buf, 0), 0);
	tap_check_int(brig_rw(bd, BLOCK_READ, 100, buf, 512), -EINVAL);
	tap_check_int(brig_rw(bd, BLOCK_READ, 0, buf, 100), -EINVAL);
	tap_check_int(
	    brig_rw(bd, BLOCK_WRITE, ~UINT64_C(511), buf, 1024), -EINVAL);
	tap_check_int(
	    brig_range(bd, BLOCK_DISCARD, 0, UINT64_MAX - 511), -EINVAL);
	tap_check_int(brig_range(bd, BLOCK_DISCARD, 512, 0), 0);
	tap_check_int(brig_range(bd, BLOCK_WRITE_ZEROES, 512, 512), 0);
	tap_check_int(brig_range(bd, BLOCK_FLUSH, 0, 0), 0);
	tap_check_int(brig_run(bd, &lies), -EINVAL);
	brig_end(bd);
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

	brig_image(8192);
	bd = brig_start(opts);
	tap_check_int(truncate(brig_path, 3000), 0);
	memcpy(copy, iov, sizeof(iov));
	tap_check_int(brig_run(bd, &req), -EIO);
	tap_check(memcmp(iov, copy, sizeof(iov)) == 0);
	tap_check_int(truncate(brig_path, 8192), 0);
	tap_check_int(brig_run(bd, &req), 0);
	brig_end(bd);
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

	brig_image(8192);
	str_format(all, sizeof(all), "%s,ro", opts);
	bd = brig_start(all);
	tap_check(block_info(bd)->readonly);
	tap_check(!block_info(bd)->can_discard);
	tap_check_int(brig_rw(bd, BLOCK_READ, 0, buf, 512), 0);
	tap_check_int(brig_rw(bd, BLOCK_WRITE, 0, buf, 512), -EROFS);
	tap_check_int(brig_range(bd, BLOCK_DISCARD, 0, 512), -EROFS);
	tap_check_int(brig_range(bd, BLOCK_WRITE_ZEROES, 0, 512), -EROFS);
	tap_check_int(brig_range(bd, BLOCK_FLUSH, 0, 0), 0);
	brig_end(bd);
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

	brig_image(MiB);
	bd = brig_start("");
	memset(buf, 7, MiB);
	tap_check_int(brig_rw(bd, BLOCK_WRITE, 0, buf, MiB), 0);
	tap_check_int(brig_range(bd, BLOCK_FLUSH, 0, 0), 0);
	tap_check_int(stat(brig_path, &before), 0);
	tap_check_int(brig_range(bd, BLOCK_DISCARD, 0, MiB / 2), 0);
	tap_check_int(stat(brig_path, &after), 0);
	tap_check(after.st_blocks < before.st_blocks);
	tap_check_int(after.st_size, (int64_t)MiB);
	tap_check_int(brig_rw(bd, BLOCK_READ, 0, buf, MiB), 0);
	tap_check_int(buf[0], 0);
	tap_check_int(buf[MiB - 1], 7);
	free(buf);
	brig_end(bd);
}

/* A memory file system has no ZERO_RANGE: zeroes are written then. */
static void
zeroes_where_not_offered(const char *opts)
{
	uint8_t *buf = malloc(MiB);
	struct block_dev *bd;
	int fd;

	brig_image(512);
	str_format(
	    brig_path, sizeof(brig_path), "/dev/shm/zhyve-block-%d", getpid());
	fd = open(brig_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		tap_skip("no /dev/shm");
	unlink(brig_path);
	tap_check_int(ftruncate(fd, (off_t)MiB), 0);
	str_format(brig_path, sizeof(brig_path), "/dev/fd/%d", fd);
	bd = brig_start(opts);
	close(fd);
	memset(buf, 7, MiB);
	tap_check_int(brig_rw(bd, BLOCK_WRITE, 0, buf, MiB), 0);
	tap_check_int(brig_range(bd, BLOCK_WRITE_ZEROES, 4096, 200 * KiB), 0);
	tap_check_int(brig_range(bd, BLOCK_DISCARD, 512 * KiB, 4096), 0);
	tap_check_int(brig_rw(bd, BLOCK_READ, 0, buf, MiB), 0);
	for (uint64_t i = 0; i < 512 * KiB; i++)
		tap_check(
		    buf[i] == (i >= 4096 && i < 4096 + 200 * KiB ? 0 : 7));
	free(buf);
	brig_end(bd);
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

	brig_image(4 * MiB);
	bd = brig_start(opts);
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
	brig_end(bd);
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

	brig_image(4 * MiB);
	bd = brig_start(",direct");
	block_submit(bd, &m.req);
	block_kick(bd);
	brig_end(bd);
	tap_check_int(done, 1);
	tap_check_int(canceled, 0);
}

/* ---- opening ---- */

static void
locks(void)
{
	struct error err = ERROR_INIT;
	struct block_dev *a, *b;

	brig_image(8192);
	a = brig_start("");
	brig_refused(brig_path, "",
	    "disk.img: in use by another process "
	    "(exclusive lock refused); stop the other VM");
	brig_refused(brig_path, ",ro", "shared lock refused");
	block_close(a);
	a = brig_start(",ro");
	tap_check_int(brig_open(brig_path, ",ro", &b, &err), 0);
	brig_refused(brig_path, "", "exclusive lock refused");
	block_close(b);
	block_close(a);
	brig_end(brig_start(""));
}

static void
bad_options(void)
{
	brig_image(8192);
	brig_refused("/nonexistent/disk", "", "/nonexistent/disk: cannot open");
	brig_refused("/dev/null", "", "neither a file nor a block device");
	brig_refused(tap_tmpdir(), ",ro", "neither a file nor");
	brig_refused("", "", "needs the path");
	brig_refused(brig_path, ",", "empty");
	brig_refused(brig_path, ",=1", "empty");
	brig_refused(brig_path, ",sectorsize=1000", "512 or 4096");
	brig_refused(brig_path, ",sectorsize=4096/512", "at least the logical");
	brig_refused(brig_path, ",sectorsize=512/3000", "power of two");
	brig_refused(brig_path, ",nocache=perhaps", "nocache");
	brig_refused("/dev/fd/x", "", "no number");
	brig_refused("/dev/fd/999", "", "/dev/fd/999");
	brig_image(511);
	brig_refused(brig_path, "", "shorter than one sector of 512");
	brig_image(1024);
	brig_refused(brig_path, ",sectorsize=4096", "one sector of 4096");
	mevent_loop_destroy(brig_loop);
}

static void
geometry(void)
{
	struct block_dev *bd;

	brig_image(8192 + 100);
	bd = brig_start("");
	tap_check_u64(block_info(bd)->size, 8192);
	tap_check_u64(block_info(bd)->sector_size, 512);
	tap_check(block_info(bd)->can_discard);
	block_close(bd);
	bd = brig_start(",sectorsize=4096,nodelete");
	tap_check_u64(block_info(bd)->size, 8192);
	tap_check_u64(block_info(bd)->sector_size, 4096);
	tap_check_u64(block_info(bd)->physical_size, 4096);
	tap_check(!block_info(bd)->can_discard);
	tap_check_int(brig_rw(bd, BLOCK_READ, 512, brig_path, 512), -EINVAL);
	block_close(bd);
	bd = brig_start(",sectorsize=512/8192");
	tap_check_u64(block_info(bd)->physical_size, 8192);
	brig_end(bd);
}

static void
inherited_descriptor(void)
{
	static uint8_t buf[512] = "hello";
	struct error err = ERROR_INIT;
	struct block_dev *bd;
	char path[32];
	int fd;

	brig_image(8192);
	fd = open(brig_path, O_RDONLY | O_CLOEXEC);
	str_format(path, sizeof(path), "/dev/fd/%d", fd);
	brig_refused(path, "", "not open for reading and writing");
	brig_refused(path, ",direct,ro", "O_DSYNC");
	tap_check_int(brig_open(path, ",ro", &bd, &err), 0);
	block_close(bd);
	close(fd);
	fd = open(brig_path, O_RDWR | O_CLOEXEC);
	str_format(path, sizeof(path), "/dev/fd/%d", fd);
	tap_check_int(brig_open(path, "", &bd, &err), 0);
	close(fd);
	tap_check_int(brig_rw(bd, BLOCK_WRITE, 0, buf, 512), 0);
	brig_end(bd);
}

/* ---- looking for the next request ---- */

static bool
at_the_third_look(void *arg)
{
	unsigned *looks = arg;

	return ++*looks == 3;
}

/* A sleep that lasted longer, or not as long, as the longest wait may be. */
static void
sleep_and_wake(struct block_poll *p, bool briefly)
{
	uint64_t max = p->max;

	block_poll_asleep(p);
	p->asleep_since -= briefly ? 0 : max + 1;
	p->max = briefly ? UINT64_MAX : max;
	block_poll_awake(p);
	p->max = max;
	p->ns = MIN(p->ns, max);
}

static void
wait_follows_sleep(void)
{
	struct block_poll p = { .max = 20000 };
	struct block_dev *bd;
	unsigned looks = 0;

	brig_image(8192);
	bd = brig_start("");
	tap_check(!block_poll_is_due(&p, bd));
	for (uint64_t want = 4000; want <= 32000; want *= 2) {
		sleep_and_wake(&p, true);
		tap_check_u64(p.ns, MIN(want, p.max));
		tap_check(block_poll_is_due(&p, bd));
	}
	block_poll_awake(&p); /* it did not sleep */
	tap_check_u64(p.ns, 20000);
	for (uint64_t want = 10000; want >= 5000; want /= 2) {
		sleep_and_wake(&p, false);
		tap_check_u64(p.ns, want);
	}
	sleep_and_wake(&p, false);
	tap_check(!block_poll_is_due(&p, bd));
	p.ns = UINT64_C(60000000000);
	tap_check(block_poll(&p, at_the_third_look, &looks));
	tap_check_u64(looks, 3);
	p.ns = 1;
	tap_check(!block_poll(&p, at_the_third_look, &looks));
	brig_end(bd);
}

static const struct tap_test tests[] = {
	TAP_TEST(ring_is_restricted),
	TAP_TEST(large),
	TAP_TEST(out_of_range),
	TAP_TEST(image_shrinks),
	TAP_TEST(ro),
	TAP_TEST(discard_frees_space),
	TAP_TEST(zeroes_fall_back),
	TAP_TEST(drain),
	TAP_TEST(close_waits),
	TAP_TEST(wait_follows_sleep),
	TAP_TEST(locks),
	TAP_TEST(bad_options),
	TAP_TEST(geometry),
	TAP_TEST(inherited_descriptor),
};
TAP_MAIN(tests)
