/*
 * One write(2) for each piece of stream, whole lines only.
 */
#include "zoneadmd/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "zone/event.h"

/* A stream's piece of newlines alone becomes many times as much. */
#define OUT_MAX (2U << 20)

void
logfile_init(struct logfile *lf, const char *name)
{
	*lf = (struct logfile){ .dir = -1, .fd = -1, .name = name };
}

void
logfile_open(struct logfile *lf, int dir)
{
	fd_close(&lf->fd);
	lf->dir = dir;
}

void
logfile_reopen(struct logfile *lf)
{
	fd_close(&lf->fd);
}

static int
open_file(struct logfile *lf)
{
	struct stat st;

	if (lf->fd < 0)
		lf->fd = openat(lf->dir, lf->name,
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			O_NONBLOCK,
		    0600);
	if (lf->fd < 0 || fstat(lf->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return -EIO;
	return 0;
}

static void
rotate(struct logfile *lf, size_t more)
{
	char old[256];
	struct stat st;

	if (fstat(lf->fd, &st) != 0 ||
	    (uint64_t)st.st_size + more <= LOGFILE_MAX || st.st_size == 0)
		return;
	snprintf(old, sizeof(old), "%s.0", lf->name);
	if (renameat(lf->dir, lf->name, lf->dir, old) != 0)
		return;
	fd_close(&lf->fd);
	(void)open_file(lf);
}

static void
put(struct logfile *lf, const struct buf *b)
{
	struct stat st;

	if (lf->dir < 0 || b->len == 0)
		return;
	if (open_file(lf) < 0) {
		lf->lost += b->len;
		fd_close(&lf->fd);
		return;
	}
	rotate(lf, b->len);
	if (lf->fd < 0 || fstat(lf->fd, &st) != 0) {
		lf->lost += b->len;
		return;
	}
	if (fd_write_all(lf->fd, b->data, b->len) == 0) {
		lf->lost = 0;
		return;
	}
	/* no half lines */
	lf->lost += b->len;
	if (ftruncate(lf->fd, st.st_size) != 0)
		fd_close(&lf->fd);
}

static void
begin(struct logfile *lf, struct buf *b)
{
	if (lf->lost > 0 && b->len == 0) {
		zone_time_str(b);
		buf_printf(b, " [%" PRIu64 " bytes lost]\n", lf->lost);
	}
	zone_time_str(b);
	buf_put_u8(b, ' ');
}

static void
end_line(struct logfile *lf, struct buf *b)
{
	unsigned char c;

	begin(lf, b);
	for (size_t i = 0; i < lf->len; i++) {
		c = (unsigned char)lf->line[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			buf_printf(b, "\\x%02x", c);
		else
			buf_put_u8(b, c);
	}
	buf_put_u8(b, '\n');
	lf->len = 0;
}

void
logfile_feed(struct logfile *lf, const void *data, size_t n)
{
	const char *p = data;
	struct buf b;

	buf_init(&b, OUT_MAX);
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || lf->len == sizeof(lf->line))
			end_line(lf, &b);
		if (p[i] != '\n' && p[i] != '\r')
			lf->line[lf->len++] = p[i];
	}
	put(lf, &b);
	buf_fini(&b);
}

void
logfile_line(struct logfile *lf, const char *text)
{
	struct buf b;

	buf_init(&b, OUT_MAX);
	if (lf->len > 0)
		end_line(lf, &b);
	for (const char *p = text; *p != '\0'; p++) {
		if (lf->len == sizeof(lf->line))
			end_line(lf, &b);
		lf->line[lf->len++] = *p == '\n' ? ' ' : *p;
	}
	end_line(lf, &b);
	put(lf, &b);
	buf_fini(&b);
}

void
logfile_close(struct logfile *lf)
{
	struct buf b;

	buf_init(&b, OUT_MAX);
	if (lf->len > 0)
		end_line(lf, &b);
	put(lf, &b);
	buf_fini(&b);
	fd_close(&lf->fd);
	lf->dir = -1;
}
