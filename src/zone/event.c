/*
 * Writers lock the file, so that a line which a full disk cut can be taken
 * back, and one of them alone rotates.
 */
#include "zone/event.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "zone/live.h"

#define LINE_BYTES 8192
#define LOCK_TRIES 200
#define OPEN_TRIES 8

void
zone_json_str(struct buf *b, const char *text)
{
	buf_put_u8(b, '"');
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n')
			buf_append_str(b, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_put_u8(b, c);
	}
	buf_put_u8(b, '"');
}

void
zone_time_str(struct buf *b)
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    ts.tv_nsec / 1000);
}

int
zone_event_path(const char *root, bool old, char *buf, size_t size)
{
	return str_format(
	    buf, size, "%s/run/zhyve/events%s", root, old ? ".0" : "");
}

static void
make_line(const struct zone_event *ev, struct buf *b)
{
	const struct {
		const char *key, *value;
	} fields[] = {
		{ "zone", ev->zone },
		{ "uuid", ev->uuid },
		{ "event", ev->event },
		{ "net", ev->net },
		{ "from", ev->from },
		{ "to", ev->to },
		{ "cause", ev->cause },
		{ "status", ev->status },
	};

	buf_append_str(b, "{\"time\":\"");
	zone_time_str(b);
	buf_put_u8(b, '"');
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (fields[i].value != NULL) {
			buf_printf(b, ",\"%s\":", fields[i].key);
			zone_json_str(b, fields[i].value);
		}
	buf_append_str(b, "}\n");
}

static void
wait_lock(int fd)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (fd_lock_ofd(fd, true) != -EAGAIN)
			return;
		nanosleep(&ms, NULL);
	}
}

/* The file that the path names now, locked, with room in it. */
static int
open_events(const char *root, struct error *err)
{
	char path[ZONE_LIVE_PATH], old[ZONE_LIVE_PATH];
	struct stat st, now;
	int fd;

	if (zone_event_path(root, false, path, sizeof(path)) < 0 ||
	    zone_event_path(root, true, old, sizeof(old)) < 0)
		return error_set(err, ENAMETOOLONG, "root: path too long");
	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = open(path,
		    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return error_sys(err, errno, "%s", path);
		wait_lock(fd);
		if (fstat(fd, &st) == 0 && stat(path, &now) == 0 &&
		    st.st_ino == now.st_ino) {
			if (st.st_size < ZONE_EVENT_MAX)
				return fd;
			rename(path, old);
		}
		close(fd);
	}
	return error_set(err, EBUSY, "%s: changes all the time", path);
}

int
zone_event_write(
    const char *root, const struct zone_event *ev, struct error *err)
{
	cleanup_close int fd = -1;
	struct stat st;
	struct buf b;
	int rc;

	buf_init(&b, LINE_BYTES);
	make_line(ev, &b);
	rc = buf_error(&b);
	if (rc < 0)
		rc = error_sys(err, -rc, "event");
	else
		rc = fd = open_events(root, err);
	if (rc >= 0 && fstat(fd, &st) == 0) {
		rc = fd_write_all(fd, b.data, b.len);
		if (rc < 0 && ftruncate(fd, st.st_size) != 0)
			rc = -errno;
		if (rc < 0)
			error_sys(err, -rc, "events");
	}
	buf_fini(&b);
	return rc < 0 ? rc : 0;
}
