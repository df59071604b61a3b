/*
 * The program zfs, run.
 */
#include "store/zfs_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define BUSY_WAIT 100 /* tenths of a second */
#define OUTPUT_MAX (4U << 20)

extern char **environ;

void
zfs_add(struct zfs *z, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (z->n == ZFS_WORDS_MAX) {
		z->cut = true;
		return;
	}
	va_start(ap, fmt);
	n = vsnprintf(z->word[z->n++], ZFS_WORD, fmt, ap);
	va_end(ap);
	z->cut |= n < 0 || n >= ZFS_WORD;
}

/* ---- running it ---- */

static int
zfs_spawn(char *const *argv, int out, int errors, pid_t *ret)
{
	posix_spawn_file_actions_t io;
	int rc = posix_spawn_file_actions_init(&io);

	if (rc != 0)
		return -rc;
	rc = posix_spawn_file_actions_addopen(&io, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&io, out, 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&io, errors, 2);
	if (rc == 0)
		rc = posix_spawnp(ret, "zfs", &io, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&io);
	return -rc;
}

/* Both to their ends; what is too much is read and dropped. */
static void
collect(int fds[2], struct buf *to[2])
{
	struct pollfd p[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };
	char chunk[4096];
	ssize_t n;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		for (int i = 0; i < 2; i++) {
			if (p[i].fd < 0 || p[i].revents == 0)
				continue;
			n = read(p[i].fd, chunk, sizeof(chunk));
			if (n > 0)
				(void)buf_append(to[i], chunk, (size_t)n);
			else if (n == 0 || errno != EINTR)
				p[i].fd = -1;
		}
	}
}

/* The end of "cannot open 'x': dataset does not exist", without the names. */
static int
zfs_code(const char *text, size_t n)
{
	static const struct {
		const char *says;
		int code;
	} rows[] = {
		{ "does not exist", ENOENT },
		{ "could not find any snapshots", ENOENT },
		{ "exists", EEXIST },
		{ "out of space", ENOSPC },
		{ "busy", EBUSY },
		{ "permission denied", EPERM },
	};
	const char *why = memmem(text, n, ": ", 2);

	if (why != NULL) {
		n -= (size_t)(why - text);
		text = why;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (memmem(text, n, rows[i].says, strlen(rows[i].says)) != NULL)
			return rows[i].code;
	return EIO;
}

static int
zfs_failed(int status, struct buf *said, const char *what, struct error *err)
{
	const char *text = buf_str(said);
	size_t n = text != NULL ? strcspn(text, "\n") : 0;

	if (n == 0)
		return error_set(err, EIO, "zfs %s: ended with status %d", what,
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return error_set(
	    err, zfs_code(text, n), "zfs %s: %.*s", what, (int)n, text);
}

int
zfs_run(const struct zfs *z, struct buf *out, struct error *err)
{
	int a[2] = { -1, -1 }, b[2] = { -1, -1 }, ends[2], status = 0, rc = 0;
	char *argv[ZFS_WORDS_MAX + 2] = { (char[]){ "zfs" } };
	struct buf drop, said, *to[2] = { out != NULL ? out : &drop, &said };
	pid_t pid;

	if (z->cut)
		return error_set(err, E2BIG, "zfs %s: too long", z->word[0]);
	for (size_t i = 0; i < z->n; i++)
		argv[i + 1] = (char *)(uintptr_t)z->word[i];
	buf_init(&drop, 4096);
	buf_init(&said, 4096);
	if (pipe2(a, O_CLOEXEC) != 0 || pipe2(b, O_CLOEXEC) != 0)
		rc = -errno;
	if (rc == 0)
		rc = zfs_spawn(argv, a[1], b[1], &pid);
	fd_close(&a[1]);
	fd_close(&b[1]);
	if (rc == 0) {
		ends[0] = a[0];
		ends[1] = b[0];
		collect(ends, to);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	fd_close(&a[0]);
	fd_close(&b[0]);
	if (rc < 0)
		rc = error_sys(err, -rc, "cannot run zfs");
	else if (status != 0)
		rc = zfs_failed(status, &said, z->word[0], err);
	else if (out != NULL && buf_error(out) != 0)
		rc = error_set(err, E2BIG, "zfs %s: says too much", z->word[0]);
	buf_fini(&said);
	buf_fini(&drop);
	return rc;
}

void
zfs_words(struct zfs *z, const char *const *words)
{
	for (; *words != NULL; words++)
		zfs_add(z, "%s", *words);
}

int
zfs_do(struct error *err, const char *const *words)
{
	struct zfs z = { .n = 0 };

	zfs_words(&z, words);
	return zfs_run(&z, NULL, err);
}

int
zfs_patient(struct error *err, const char *const *words)
{
	int rc = -EBUSY;

	for (int i = 0; rc == -EBUSY && i < BUSY_WAIT; i++) {
		if (i > 0)
			(void)poll(NULL, 0, 100);
		rc = zfs_do(err, words);
	}
	return rc;
}

/* ---- what it prints ---- */

int
zfs_number(const char *set, const char *prop, uint64_t *ret, struct error *err)
{
	struct zfs z = { .n = 0 };
	char *text, *end;
	struct buf out;
	int rc;

	buf_init(&out, ZFS_WORD);
	ZFS_WORDS(&z, "list", "-H", "-p", "-o", prop, set);
	rc = zfs_run(&z, &out, err);
	text = rc == 0 ? (char *)(uintptr_t)buf_str(&out) : NULL;
	if (text != NULL && (end = strchr(text, '\n')) != NULL)
		*end = '\0';
	if (rc == 0 &&
	    (text == NULL || str_to_u64(text, 0, UINT64_MAX, ret) < 0))
		rc = error_set(
		    err, EIO, "zfs list: %s of %s is no number", prop, set);
	buf_fini(&out);
	return rc;
}

int
zfs_each_line(const struct zfs *z, int (*fn)(void *arg, char *line), void *arg,
    struct error *err)
{
	struct buf out;
	char *text, *line;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	rc = zfs_run(z, &out, err);
	if (rc == 0 && buf_str(&out) == NULL)
		rc = error_sys(err, ENOMEM, "zfs");
	text = (char *)out.data;
	while (rc == 0 && (line = strsep(&text, "\n")) != NULL)
		if (*line != '\0' && fn(arg, line) < 0)
			rc = error_sys(err, ENOMEM, "zfs");
	buf_fini(&out);
	return rc == -ENOENT ? 0 : rc;
}
