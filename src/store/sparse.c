#include "store/sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "store/copy.h"

#define DIRECT_MIN (64U << 10) /* shorter runs are gathered by the kernel */
#define AHEAD (64 << 20) /* bytes that the file is longer than its data */
#define PUSH (8 << 20) /* bytes, then the kernel begins to write them out */

void
sparse_begin(struct sparse *s, int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*s = (struct sparse){ .fd = fd };
	s->direct = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
}

void
sparse_end(struct sparse *s)
{
	fd_close(&s->direct);
}

/*
 * Behind a file's end some file systems take more than is written, and let one
 * write in at a time.
 */
void
sparse_grow(struct sparse *s, off_t end)
{
	if (end > s->length && ftruncate(s->fd, end + AHEAD) == 0)
		s->length = end + AHEAD;
}

/* As much of a run as goes the same way. */
static ssize_t
write_part(const struct sparse *s, const uint8_t *p, size_t n, off_t at)
{
	ssize_t rc;

	if (s->direct >= 0 && n >= DIRECT_MIN && at % SPARSE_PAGE == 0) {
		rc = pwrite(s->direct, p, n - n % SPARSE_PAGE, at);
		if (rc >= 0 || errno != EINVAL)
			return rc;
	}
	return pwrite(s->fd, p, n, at);
}

static int
write_run(const struct sparse *s, const uint8_t *p, size_t n, off_t at)
{
	ssize_t rc;

	while (n > 0) {
		rc = write_part(s, p, n, at);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return rc < 0 ? -errno : -EIO;
		p += rc;
		at += rc;
		n -= (size_t)rc;
	}
	return 0;
}

/* What is not zeros, in runs. */
int
sparse_write(const struct sparse *s, const uint8_t *p, size_t n, off_t at)
{
	off_t push = (at + (off_t)n) / PUSH * PUSH;
	size_t from = 0, i = 0, page;
	int rc = 0;

	while (rc == 0 && i < n) {
		page = MIN(SPARSE_PAGE, n - i);
		if (copy_is_zero(p + i, page)) {
			rc = write_run(s, p + from, i - from, at + (off_t)from);
			from = i + page;
		}
		i += page;
	}
	if (rc == 0 && n > from)
		rc = write_run(s, p + from, n - from, at + (off_t)from);
	if (push > at)
		(void)sync_file_range(
		    s->fd, push - PUSH, PUSH, SYNC_FILE_RANGE_WRITE);
	return rc;
}
