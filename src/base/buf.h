/*
 * A growable byte buffer with a hard limit, a bounded reader, and unaligned
 * loads and stores in both byte orders.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * Owner frees with buf_fini(). After a failed append the buffer is unchanged
 * and 'failed' stays set (sticky), so a builder may append many times and check
 * once with buf_error().
 */
struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max; /* never grows beyond this many bytes */
	int failed; /* 0 or a negative errno: -ENOMEM, -ENOSPC */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b); /* NULL is allowed */
void buf_reset(struct buf *b); /* length 0, memory kept, failure cleared */
int buf_error(const struct buf *b);
/* Room for n more bytes, not yet counted in len; NULL on failure. */
void *buf_reserve(struct buf *b, size_t n);
int buf_append(struct buf *b, const void *data, size_t n);
int buf_append_zero(struct buf *b, size_t n);
int buf_append_str(struct buf *b, const char *s); /* without the NUL */
int buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int buf_put_u8(struct buf *b, uint8_t v);
int buf_put_le16(struct buf *b, uint16_t v);
int buf_put_le32(struct buf *b, uint32_t v);
int buf_put_le64(struct buf *b, uint64_t v);
int buf_put_be32(struct buf *b, uint32_t v);
int buf_put_be64(struct buf *b, uint64_t v);
/* Pad with zero bytes until len is a multiple of align (a power of two). */
int buf_align(struct buf *b, size_t align);
/* NUL-terminate (not counted in len) and return the text; NULL on failure. */
const char *buf_str(struct buf *b);
/* All of it to f, flushed. 0, or -errno (also in errno): the buffer's failure
 * or the stream's. */
int buf_print(const struct buf *b, FILE *f);

/* A bounded reader over bytes that it does not own. */
struct rd {
	const uint8_t *p;
	const uint8_t *end;
};

static inline struct rd
rd_make(const void *p, size_t n)
{
	return (struct rd){ p, (const uint8_t *)p + n };
}
static inline size_t
rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}
/* Next n bytes, or NULL (and nothing consumed) if fewer are left. */
static inline const uint8_t *
rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (rd_left(r) < n)
		return NULL;
	r->p += n;
	return p;
}

#define BUF_LOADSTORE(bits, name, conv)                            \
	static inline uint##bits##_t load_##name(const void *p)    \
	{                                                          \
		uint##bits##_t v;                                  \
		memcpy(&v, p, sizeof(v));                          \
		return conv(v);                                    \
	}                                                          \
	static inline void store_##name(void *p, uint##bits##_t v) \
	{                                                          \
		v = conv(v);                                       \
		memcpy(p, &v, sizeof(v));                          \
	}
#define BUF_SAME(v) (v)
/* The host is x86-64, hence little-endian. */
BUF_LOADSTORE(16, le16, BUF_SAME)
BUF_LOADSTORE(32, le32, BUF_SAME)
BUF_LOADSTORE(64, le64, BUF_SAME)
BUF_LOADSTORE(16, be16, __builtin_bswap16)
BUF_LOADSTORE(32, be32, __builtin_bswap32)
BUF_LOADSTORE(64, be64, __builtin_bswap64)

#endif
