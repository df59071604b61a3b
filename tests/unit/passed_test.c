/*
 * Passed descriptors: found by path, access modes, duplicates.
 */
#include "base/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static int
file(const char *name, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", tap_tmpdir(), name);
	fd = open(path, flags | O_CREAT | O_CLOEXEC, 0600);
	tap_check(fd >= 0);
	return fd;
}

static void
passed_comes_first(void)
{
	char byte = 0;
	int fd = file("disk", O_RDWR), got;

	tap_check_int(pwrite(fd, "x", 1, 0), 1);
	tap_check_int(passed_add("/not/there", fd), 0);
	tap_check_int(passed_add("/not/there", fd), -EEXIST);
	tap_check(passed_has("/not/there"));
	got = passed_open("/not/there", O_RDONLY);
	tap_check(got >= 3 && got != fd);
	tap_check_int(fcntl(got, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	tap_check_int(pread(got, &byte, 1, 0), 1);
	tap_check_int(byte, 'x');
	close(got);
	passed_clear();
	tap_check_int(fcntl(fd, F_GETFD), -1);
	tap_check_int(passed_open("/not/there", O_RDONLY), -ENOENT);
}

static void
access_is_what_was_passed(void)
{
	static const struct {
		int have, want, rc;
	} rows[] = {
		{ O_RDONLY, O_RDONLY, 0 },
		{ O_RDONLY, O_RDWR, -EACCES },
		{ O_RDONLY, O_WRONLY, -EACCES },
		{ O_WRONLY, O_WRONLY, 0 },
		{ O_WRONLY, O_RDONLY, -EACCES },
		{ O_RDWR, O_RDONLY, 0 },
		{ O_RDWR, O_WRONLY, 0 },
		{ O_RDWR, O_RDWR, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd;

		tap_context("row %zu", i);
		tap_check_int(passed_add("/p", file("f", rows[i].have)), 0);
		fd = passed_open("/p", rows[i].want);
		tap_check_int(fd < 0 ? fd : 0, rows[i].rc);
		if (fd >= 0)
			close(fd);
		passed_clear();
	}
}

static void
others_are_opened(void)
{
	int fd = passed_open("/dev/null", O_RDWR);

	tap_check(fd >= 0);
	tap_check_int(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	tap_check(!passed_has("/dev/null"));
}

static const struct tap_test tests[] = { TAP_TEST(passed_comes_first),
	TAP_TEST(access_is_what_was_passed), TAP_TEST(others_are_opened) };
TAP_MAIN(tests)
