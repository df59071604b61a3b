/*
 * zoneadm events: the file of events, followed. It is rotated under our hands:
 * what is left in the old one comes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "zone/event.h"
#include "zone/live.h"
#include "zoneadm.h"

#define CHUNK 16384
#define POLL_US 200000
#define LINE_BYTES (2 * CHUNK)

struct follow {
	struct command *c;
	char path[ZONE_LIVE_PATH];
	char key[ZONE_NAME_MAX + 16]; /* of the wanted zone's lines; "" */
	int fd; /* -1: there is no file yet */
	char line[LINE_BYTES];
	size_t len;
};

/* Lines of a zone begin with its time and its name. */
static bool
is_wanted(const struct follow *f, const char *line)
{
	const char *at = strstr(line, ",\"zone\":");

	return f->key[0] == '\0' ||
	    (at != NULL && strncmp(at, f->key, strlen(f->key)) == 0);
}

/* -1: nobody reads what we write. */
static int
put_lines(struct follow *f)
{
	char *line = f->line, *end;

	while ((end = memchr(line, '\n', f->len - (size_t)(line - f->line))) !=
	    NULL) {
		*end = '\0';
		if (is_wanted(f, line) && (puts(line) < 0))
			return -1;
		line = end + 1;
	}
	f->len -= (size_t)(line - f->line);
	memmove(f->line, line, f->len);
	if (f->len == sizeof(f->line))
		f->len = 0; /* no line of ours is that long */
	return fflush(stdout) == 0 ? 0 : -1;
}

static int
read_rest(struct follow *f)
{
	ssize_t n;

	while (f->fd >= 0) {
		n = read(f->fd, f->line + f->len,
		    MIN(sizeof(f->line) - f->len, CHUNK));
		if (n <= 0)
			return 0;
		f->len += (size_t)n;
		if (put_lines(f) < 0)
			return -1;
	}
	return 0;
}

/* Another file has its name now? Then on with that one. */
static int
read_all(struct follow *f)
{
	struct stat mine, now;
	int fd;

	for (;;) {
		if (read_rest(f) < 0)
			return -1;
		if (stat(f->path, &now) != 0 ||
		    (f->fd >= 0 && fstat(f->fd, &mine) == 0 &&
			mine.st_ino == now.st_ino))
			return 0;
		/* lines written between our read and the rename */
		if (read_rest(f) < 0)
			return -1;
		fd = open(f->path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return 0;
		fd_close(&f->fd);
		f->fd = fd;
	}
}

static int
begin(struct follow *f, bool past, struct error *err)
{
	const char *root = f->c->admin->root;
	char old[ZONE_LIVE_PATH];
	int rc;

	rc = zone_event_path(root, false, f->path, sizeof(f->path));
	if (rc == 0)
		rc = zone_event_path(root, true, old, sizeof(old));
	if (rc < 0)
		return error_set(err, ENAMETOOLONG, "root: path too long");
	if (f->c->zone != NULL)
		str_format(
		    f->key, sizeof(f->key), ",\"zone\":\"%s\",", f->c->zone);
	if (past) {
		f->fd = open(old, O_RDONLY | O_CLOEXEC);
		rc = read_rest(f);
		fd_close(&f->fd);
		return rc;
	}
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->fd >= 0)
		(void)lseek(f->fd, 0, SEEK_END);
	return 0;
}

/* A user of a host has 128 instances of inotify; without one, look at times. */
static int
poll_file(struct follow *f)
{
	while (read_all(f) == 0)
		usleep(POLL_US);
	return 0;
}

static int
watch(struct follow *f, struct error *err)
{
	const char *root = f->c->admin->root;
	char events[4096] __attribute__((aligned(8)));
	cleanup_close int dir = zone_live_open(root, NULL, true, err);
	cleanup_close int in = inotify_init1(IN_CLOEXEC);
	char path[ZONE_LIVE_PATH];

	if (dir < 0)
		return dir;
	if (in < 0 && errno == EMFILE)
		return poll_file(f);
	if (zone_live_path(root, NULL, path, sizeof(path)) < 0 || in < 0 ||
	    inotify_add_watch(in, path, IN_CREATE | IN_MOVED_TO | IN_MODIFY) <
		0)
		return error_sys(err, errno, "cannot watch %s", f->path);
	while (read_all(f) == 0)
		if (read(in, events, sizeof(events)) < 0 && errno != EINTR)
			return error_sys(err, errno, "%s", f->path);
	return 0;
}

int
cmd_events(struct command *c)
{
	static struct follow f = { .fd = -1 };
	struct error err = ERROR_INIT;
	bool past = false, follow = true;
	int opt, rc;

	while ((opt = getopt(c->argc, c->argv, "+an")) != -1) {
		if (opt == '?')
			return usage(c, NULL);
		past = true;
		follow = follow && opt != 'n';
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	f.c = c;
	rc = begin(&f, past, &err);
	if (rc == 0 && follow)
		rc = watch(&f, &err);
	else if (rc == 0)
		rc = read_all(&f);
	fd_close(&f.fd);
	return rc < 0 && err.code != 0 ? failed(c, &err) : EXIT_OK;
}
