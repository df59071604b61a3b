/*
 * Base64 by table.
 */
#include "mdata/b64.h"

#include <errno.h>
#include <stdint.h>

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789+/";

int
b64_encode(struct buf *b, const void *data, size_t n)
{
	const uint8_t *p = data;
	char *out = buf_reserve(b, (n + 2) / 3 * 4);

	if (out == NULL)
		return buf_error(b);
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)p[i] << 16;

		if (left > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (left > 2)
			v |= p[i + 2];
		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
		*out++ = left > 2 ? alphabet[v & 63] : '=';
	}
	b->len += (n + 2) / 3 * 4;
	return 0;
}

/* 0..63, or -1 */
static int
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The last group may end in "=" or "=="; unused bits must be zero. */
static int
decode_group(const char *p, size_t keep, uint8_t *out)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		int d = i <= keep ? value_of(p[i]) : p[i] == '=' ? 0 : -1;

		if (d < 0)
			return -EINVAL;
		v = v << 6 | (uint32_t)d;
	}
	if ((v & ((1u << (24 - 8 * keep)) - 1)) != 0)
		return -EINVAL;
	for (size_t i = 0; i < keep; i++)
		out[i] = (uint8_t)(v >> (16 - 8 * i));
	return 0;
}

int
b64_decode(struct buf *b, const char *text, size_t n)
{
	size_t pad = 0, len;
	uint8_t *out;

	if (n % 4 != 0)
		return -EINVAL;
	while (pad < 2 && pad < n && text[n - 1 - pad] == '=')
		pad++;
	len = n / 4 * 3 - pad;
	out = buf_reserve(b, n / 4 * 3);
	if (out == NULL)
		return buf_error(b);
	for (size_t i = 0; i < n; i += 4) {
		size_t keep = i + 4 == n ? 3 - pad : 3;

		if (decode_group(text + i, keep, out) < 0)
			return -EINVAL;
		out += keep;
	}
	b->len += len;
	return 0;
}
