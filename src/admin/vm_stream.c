/*
 * The records of a stream.
 */
#include "admin/vm_stream.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/fd.h"

#define HEAD_LEN 16
#define RECORD_LEN 24

static const char magic[8] = "zhyveVM\n";

static int
put(struct stream *s, const void *data, size_t n, struct error *err)
{
	int rc = fd_write_all(s->fd, data, n);

	return rc < 0 ? error_sys(err, -rc, "cannot write the stream") : 0;
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

static int
take(struct stream *s, void *data, size_t n, struct error *err)
{
	ssize_t got = fd_read_full(s->fd, data, n);

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
	n = fd_read_full(fd, head, sizeof(head));
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
