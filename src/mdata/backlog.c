/*
 * One page with a header, a ring of the guest's bytes, an answer. Bytes are
 * written before the header that tells of them.
 */
#include "mdata/backlog.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define MAGIC UINT64_C(0x314b434142444d7a) /* "zMDBACK1" */
#define IN_AT 4096
#define OUT_AT (IN_AT + MDATA_BACKLOG_IN)

struct head {
	uint64_t magic, last_ns;
	uint32_t in_off, in_len, out_len, out_sent, overlong;
	uint32_t unused;
};

static int
put(int fd, const void *data, size_t n, off_t at)
{
	ssize_t rc;

	do {
		rc = pwrite(fd, data, n, at);
	} while (rc == -1 && errno == EINTR);
	if (rc == -1)
		return -errno;
	return (size_t)rc == n ? 0 : -ENOSPC;
}

static int
put_head(struct mdata_backlog *b)
{
	const struct head h = { .magic = MAGIC,
		.last_ns = b->last_ns,
		.in_off = b->in_off,
		.in_len = b->in_len,
		.out_len = b->out_len,
		.out_sent = b->out_sent,
		.overlong = b->overlong };

	return put(b->fd, &h, sizeof(h), 0);
}

void
mdata_backlog_open(struct mdata_backlog *b, int fd)
{
	struct head h;

	*b = (struct mdata_backlog){ .fd = fd };
	if (fd_pread_full(fd, &h, sizeof(h), 0) != sizeof(h) ||
	    h.magic != MAGIC || h.in_off >= MDATA_BACKLOG_IN ||
	    h.in_len > MDATA_BACKLOG_IN || h.out_len > MDATA_OUT_MAX ||
	    h.out_sent > h.out_len)
		return;
	b->in_off = h.in_off;
	b->in_len = h.in_len;
	b->out_len = h.out_len;
	b->out_sent = h.out_sent;
	b->overlong = h.overlong != 0;
	b->last_ns = h.last_ns;
	b->grown = true;
}

/* The ring's bytes from 'at' on lie in one or two pieces. */
static size_t
piece(const struct mdata_backlog *b, size_t at, size_t n, off_t *ret)
{
	size_t pos = (b->in_off + at) % MDATA_BACKLOG_IN;

	*ret = (off_t)(IN_AT + pos);
	return MIN(n, MDATA_BACKLOG_IN - pos);
}

int
mdata_backlog_add(
    struct mdata_backlog *b, const void *data, size_t n, uint64_t now)
{
	off_t at = 0;
	size_t k;
	int rc;

	if (b->overlong || n > MDATA_BACKLOG_IN - b->in_len) {
		b->overlong = true;
		b->in_len = 0;
		rc = put_head(b);
		return rc < 0 ? rc : -ENOSPC;
	}
	k = piece(b, b->in_len, n, &at);
	b->grown = true;
	rc = put(b->fd, data, k, at);
	if (rc == 0 && k < n)
		rc = put(b->fd, (const uint8_t *)data + k, n - k, IN_AT);
	if (rc < 0)
		return rc;
	b->in_len += (uint32_t)n;
	b->last_ns = now;
	return put_head(b);
}

ssize_t
mdata_backlog_peek(
    const struct mdata_backlog *b, size_t at, void *data, size_t n)
{
	off_t pos = 0;
	ssize_t got;

	if (at >= b->in_len)
		return 0;
	n = piece(b, at, MIN(n, b->in_len - at), &pos);
	got = fd_pread_full(b->fd, data, n, pos);
	return got >= 0 && (size_t)got < n ? -EIO : got;
}

int
mdata_backlog_done(
    struct mdata_backlog *b, size_t n, const void *answer, size_t rest)
{
	int rc = 0;

	n = MIN(n, b->in_len);
	if (rest > MDATA_OUT_MAX)
		return -EMSGSIZE;
	if (rest > 0)
		rc = put(b->fd, answer, rest, OUT_AT);
	if (rc < 0)
		return rc;
	b->grown |= rest > 0;
	b->in_len -= (uint32_t)n;
	b->in_off =
	    b->in_len == 0 ? 0 : (uint32_t)((b->in_off + n) % MDATA_BACKLOG_IN);
	b->overlong = false;
	b->out_len = (uint32_t)rest;
	b->out_sent = 0;
	return put_head(b);
}

ssize_t
mdata_backlog_answer(const struct mdata_backlog *b, void *data, size_t n)
{
	ssize_t got;

	n = MIN(n, b->out_len - b->out_sent);
	got = fd_pread_full(b->fd, data, n, (off_t)(OUT_AT + b->out_sent));
	return got >= 0 && (size_t)got < n ? -EIO : got;
}

int
mdata_backlog_sent(struct mdata_backlog *b, size_t n)
{
	b->out_sent += (uint32_t)MIN(n, b->out_len - b->out_sent);
	if (b->out_sent == b->out_len)
		b->out_sent = b->out_len = 0;
	return put_head(b);
}

void
mdata_backlog_clear(struct mdata_backlog *b)
{
	*b = (struct mdata_backlog){ .fd = b->fd, .last_ns = b->last_ns };
	if (ftruncate(b->fd, 0) == -1)
		(void)put_head(b);
}
