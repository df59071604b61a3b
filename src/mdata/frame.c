/*
 * Reading and writing frames. Clients compare ours to the byte; theirs are read
 * as strictly, but for more than one blank between fields, which the reference
 * takes as well.
 */
#include "mdata/frame.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/str.h"
#include "mdata/b64.h"

bool
mdata_is_key(const char *key, size_t n)
{
	if (n == 0 || n > MDATA_KEY_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)key[i] < 0x20 || key[i] == 0x7f)
			return false;
	return true;
}

struct field {
	const char *p;
	size_t n;
};

/* The next field at *at, blanks before it skipped; empty at the end. */
static struct field
next_field(const char **at, const char *end)
{
	struct field f;

	while (*at < end && **at == ' ')
		(*at)++;
	f.p = *at;
	while (*at < end && **at != ' ')
		(*at)++;
	f.n = (size_t)(*at - f.p);
	return f;
}

static bool
is_lower_hex(const struct field *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (strchr("0123456789abcdef", f->p[i]) == NULL ||
		    f->p[i] == '\0')
			return false;
	return f->n > 0;
}

static int
copy_field(const struct field *f, char *buf, size_t size)
{
	if (f->n == 0 || f->n >= size || memchr(f->p, '\0', f->n) != NULL)
		return -EINVAL;
	memcpy(buf, f->p, f->n);
	buf[f->n] = '\0';
	return 0;
}

static int
check_body(const char *body, size_t n, const struct field *len,
    const struct field *crc)
{
	char text[16], want[9];
	uint64_t v;

	if (copy_field(len, text, sizeof(text)) < 0 ||
	    strspn(text, "0123456789") != len->n || n == 0)
		return -EINVAL;
	/* a leading 0 is no octal here */
	if (str_to_u64(text + MIN(strspn(text, "0"), len->n - 1), 0, SIZE_MAX,
		&v) < 0 ||
	    v != n)
		return -EINVAL;
	snprintf(want, sizeof(want), "%08lx",
	    crc32(0, (const uint8_t *)body, (uInt)n));
	return crc->n == 8 && memcmp(crc->p, want, 8) == 0 ? 0 : -EINVAL;
}

int
mdata_frame_parse(const char *line, size_t n, struct mdata_frame *ret)
{
	const char *at = line, *end = line + n;
	struct field v2 = next_field(&at, end), len = next_field(&at, end),
		     crc = next_field(&at, end), id, word, payload;

	if (v2.n != 2 || memcmp(v2.p, "V2", 2) != 0)
		return -EINVAL;
	while (at < end && *at == ' ')
		at++;
	if (check_body(at, (size_t)(end - at), &len, &crc) < 0)
		return -EINVAL;
	id = next_field(&at, end);
	word = next_field(&at, end);
	payload = next_field(&at, end);
	if (!is_lower_hex(&id) ||
	    copy_field(&id, ret->id, sizeof(ret->id)) < 0 ||
	    copy_field(&word, ret->word, sizeof(ret->word)) < 0 ||
	    next_field(&at, end).n != 0)
		return -EINVAL;
	ret->payload = payload.n > 0 ? payload.p : NULL;
	ret->payload_len = payload.n;
	return 0;
}

int
mdata_frame_write(struct buf *b, const char *id, const char *word,
    const void *payload, size_t n)
{
	struct buf body;
	int rc;

	buf_init(&body, b->max);
	buf_printf(&body, "%s %s", id, word);
	if (payload != NULL && n > 0) {
		buf_append_str(&body, " ");
		b64_encode(&body, payload, n);
	}
	rc = buf_error(&body);
	if (rc == 0)
		rc = buf_printf(b, "V2 %zu %08lx ", body.len,
		    crc32(0, body.data, (uInt)body.len));
	if (rc == 0)
		rc = buf_append(b, body.data, body.len);
	if (rc == 0)
		rc = buf_append(b, "\n", 1);
	buf_fini(&body);
	return rc;
}
