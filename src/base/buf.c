/*
 * The growable buffer. Failure is sticky so that builders of tables, packets
 * and packed lists read as a list of appends with one check at the end.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"

#define BUF_FIRST 64

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_fini(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->data);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = 0;
}

int
buf_error(const struct buf *b)
{
	return b->failed;
}

/* Make room for 'need' bytes in total. */
static int
buf_grow(struct buf *b, size_t need)
{
	size_t cap = b->cap != 0 ? b->cap : BUF_FIRST;
	void *data;

	if (need <= b->cap)
		return 0;
	while (cap < need) {
		if (__builtin_mul_overflow(cap, 2, &cap))
			cap = need;
	}
	/* One byte beyond the limit is the room for buf_str()'s NUL. */
	if (cap > b->max)
		cap = MAX(b->max, need);
	data = alloc_resize(b->data, cap, 1);
	if (data == NULL)
		return b->failed = -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

void *
buf_reserve(struct buf *b, size_t n)
{
	size_t need;

	if (b->failed != 0)
		return NULL;
	if (__builtin_add_overflow(b->len, n, &need) || need > b->max) {
		b->failed = -ENOSPC;
		return NULL;
	}
	/* Never NULL on success, even for no bytes at all. */
	if (buf_grow(b, need != 0 ? need : 1) != 0)
		return NULL;
	return b->data + b->len;
}

int
buf_append(struct buf *b, const void *data, size_t n)
{
	void *p;

	p = buf_reserve(b, n);
	if (p == NULL)
		return b->failed;
	if (n != 0)
		memcpy(p, data, n);
	b->len += n;
	return 0;
}

int
buf_append_zero(struct buf *b, size_t n)
{
	void *p;

	p = buf_reserve(b, n);
	if (p == NULL)
		return b->failed;
	memset(p, 0, n);
	b->len += n;
	return 0;
}

int
buf_append_str(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n, rc;
	char *p;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	rc = n < 0 ? -EINVAL : 0;
	if (rc == 0 && b->failed == 0 && buf_reserve(b, (size_t)n) != NULL) {
		/* vsnprintf() insists on a NUL; grow past the limit for it. */
		if (buf_grow(b, b->len + (size_t)n + 1) == 0) {
			p = (char *)b->data + b->len;
			vsnprintf(p, (size_t)n + 1, fmt, again);
			b->len += (size_t)n;
		}
	}
	va_end(again);
	if (rc != 0 && b->failed == 0)
		b->failed = rc;
	return b->failed;
}

int
buf_put_u8(struct buf *b, uint8_t v)
{
	return buf_append(b, &v, 1);
}

int
buf_put_le16(struct buf *b, uint16_t v)
{
	uint8_t raw[2];

	store_le16(raw, v);
	return buf_append(b, raw, sizeof(raw));
}

int
buf_put_le32(struct buf *b, uint32_t v)
{
	uint8_t raw[4];

	store_le32(raw, v);
	return buf_append(b, raw, sizeof(raw));
}

int
buf_put_le64(struct buf *b, uint64_t v)
{
	uint8_t raw[8];

	store_le64(raw, v);
	return buf_append(b, raw, sizeof(raw));
}

int
buf_put_be32(struct buf *b, uint32_t v)
{
	uint8_t raw[4];

	store_be32(raw, v);
	return buf_append(b, raw, sizeof(raw));
}

int
buf_put_be64(struct buf *b, uint64_t v)
{
	uint8_t raw[8];

	store_be64(raw, v);
	return buf_append(b, raw, sizeof(raw));
}

int
buf_align(struct buf *b, size_t align)
{
	return buf_append_zero(b, -b->len & (align - 1));
}

const char *
buf_str(struct buf *b)
{
	if (b->failed != 0 || b->len == SIZE_MAX)
		return NULL;
	if (buf_grow(b, b->len + 1) != 0)
		return NULL;
	b->data[b->len] = '\0';
	return (const char *)b->data;
}

int
buf_print(const struct buf *b, FILE *f)
{
	errno = -b->failed;
	if (b->failed == 0 &&
	    (b->len == 0 || fwrite(b->data, 1, b->len, f) == b->len) &&
	    fflush(f) == 0)
		return 0;
	return errno != 0 ? -errno : -EIO;
}
