/*
 * The records of a stream.
 */
#include "admin/vm_stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"
#include "base/str.h"

#define HEAD_LEN 16
#define RECORD_LEN 24

static const char magic[8] = "zhyveVM\n";

static int
put(struct stream *s, const void *data, size_t n, struct error *err)
{
	struct pollfd out = { .fd = s->fd, .events = POLLOUT };
	const char *p = data;
	ssize_t rc = 0;

	while (n > 0) {
		rc = fd_write_nosig(s->fd, p, n);
		if (rc == -EAGAIN)
			(void)poll(&out, 1, -1);
		else if (rc < 0)
			return error_sys(
			    err, (int)-rc, "cannot write the stream");
		p += MAX(rc, 0);
		n -= (size_t)MAX(rc, 0);
	}
	return 0;
}

static uint32_t
crc(const void *data, size_t n)
{
	return (uint32_t)crc32(0, data, (unsigned)n);
}

int
stream_begin(struct stream *s, int fd, struct error *err)
{
	uint8_t head[HEAD_LEN] = { 0 };

	*s = (struct stream){ .fd = fd };
	memcpy(head, magic, sizeof(magic));
	store_be32(head + 8, STREAM_VERSION);
	return put(s, head, sizeof(head), err);
}

int
stream_put(struct stream *s, enum stream_type type, const void *data, size_t n,
    struct error *err)
{
	uint8_t h[RECORD_LEN] = { 0 };
	int rc;

	if (n > STREAM_RECORD_MAX)
		return error_set(err, E2BIG, "a record of %zu bytes", n);
	store_be32(h, (uint32_t)type);
	store_be64(h + 8, n);
	store_be32(h + 16, crc(data, n));
	store_be32(h + 20, crc(h, 20));
	s->records++;
	rc = put(s, h, sizeof(h), err);
	return rc < 0 || n == 0 ? rc : put(s, data, n, err);
}

/* ---- reading ---- */

ssize_t
stream_read(struct stream *s, void *data, size_t n)
{
	struct pollfd in = { .fd = s->fd, .events = POLLIN };
	size_t done = 0;
	ssize_t rc = 1;

	while (done < n && rc != 0) {
		rc = read(s->fd, (char *)data + done, n - done);
		if (rc < 0 && errno == EAGAIN)
			(void)poll(&in, 1, -1);
		else if (rc < 0 && errno != EINTR)
			return -errno;
		done += (size_t)MAX(rc, 0);
	}
	return (ssize_t)done;
}

static int
take(struct stream *s, void *data, size_t n, struct error *err)
{
	ssize_t got = stream_read(s, data, n);

	if (got < 0)
		return error_sys(err, (int)-got, "cannot read the stream");
	if ((size_t)got < n)
		return error_set(err, EPROTO,
		    "the stream is cut off, in record %ju",
		    (uintmax_t)s->records + 1);
	return 0;
}

int
stream_open(struct stream *s, int fd, struct error *err)
{
	uint8_t head[HEAD_LEN];
	ssize_t n;

	*s = (struct stream){ .fd = fd };
	n = stream_read(s, head, sizeof(head));
	if (n < 0)
		return error_sys(err, (int)-n, "cannot read the stream");
	if (n != sizeof(head) || memcmp(head, magic, sizeof(magic)) != 0)
		return error_set(
		    err, EPROTO, "this is nothing that 'vmadm send' wrote");
	if (load_be32(head + 8) != STREAM_VERSION)
		return error_set(err, EPROTO,
		    "the stream has version %u; this vmadm reads version %d",
		    load_be32(head + 8), STREAM_VERSION);
	return 0;
}

int
stream_get(
    struct stream *s, enum stream_type *ret, struct buf *b, struct error *err)
{
	uint8_t h[RECORD_LEN];
	uint64_t n;
	void *to;
	int rc = take(s, h, sizeof(h), err);

	if (rc < 0)
		return rc;
	n = load_be64(h + 8);
	if (load_be32(h + 20) != crc(h, 20) || n > STREAM_RECORD_MAX ||
	    load_be32(h) < STREAM_CONF || load_be32(h) > STREAM_END)
		return error_set(err, EPROTO,
		    "the stream is damaged: the head of record %ju",
		    (uintmax_t)s->records + 1);
	buf_reset(b);
	to = buf_reserve(b, (size_t)n + 1);
	if (to == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = take(s, to, (size_t)n, err);
	if (rc < 0)
		return rc;
	b->len = (size_t)n;
	s->records++;
	if (load_be32(h + 16) != crc(b->data, b->len))
		return error_set(err, EPROTO,
		    "the stream is damaged: record %ju has another checksum",
		    (uintmax_t)s->records);
	*ret = (enum stream_type)load_be32(h);
	return 0;
}
