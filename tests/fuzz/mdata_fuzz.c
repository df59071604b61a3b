/*
 * A guest's bytes into metadata sessions. Whatever they are: the output is
 * bounded, every answer is whole lines, a frame that is answered is one that
 * parses, taking stops while an answer waits, and it does not matter in which
 * pieces the bytes come: a second session gets them one by one and must say the
 * same. A line that begins with "!" is turned into a right frame around its
 * words, so that mutations get past the checksum. Each line is tried as base64
 * and as a frame, too.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mdata/b64.h"
#include "mdata/frame.h"
#include "mdata/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct guest {
	struct mdata_session *s;
	size_t piece; /* bytes at once */
	char kept_key[MDATA_KEY_MAX + 1];
	struct buf said;
};

static void
check_key(const char *key)
{
	if (key[0] == '\0' || strlen(key) > MDATA_KEY_MAX ||
	    strpbrk(key, "\n\r\t") != NULL)
		abort();
}

static int
get(void *arg, const char *key, struct buf *value, struct buf *why)
{
	check_key(key);
	if (key[0] == 'n')
		return -ENOENT;
	return buf_append_str(value, key);
}

static int
keys(void *arg, struct buf *names, struct buf *why)
{
	struct guest *g = arg;

	return buf_append_str(names, g->kept_key);
}

static int
put(void *arg, const char *key, const void *value, size_t n, struct buf *why)
{
	struct guest *g = arg;

	check_key(key);
	if (n == 0 || n > MDATA_GUEST_VALUE_MAX)
		abort();
	strcpy(g->kept_key, key);
	return 0;
}

static int
del(void *arg, const char *key, struct buf *why)
{
	check_key(key);
	return 0;
}

static const struct mdata_ops ops = { get, keys, put, del };

/* All that waits; it must end a line. */
static void
drain(struct guest *g)
{
	const uint8_t *p;
	size_t n;

	while ((p = mdata_session_output(g->s, &n)) != NULL) {
		if (n > MDATA_OUT_MAX || p[n - 1] != '\n')
			abort();
		n = n > 3 ? n / 2 : n;
		buf_append(&g->said, p, n);
		mdata_session_sent(g->s, n);
	}
}

static void
feed_one(struct guest *g, const uint8_t *p, size_t n, uint64_t now)
{
	while (n > 0) {
		size_t some = n < g->piece ? n : g->piece;
		size_t got = mdata_session_input(g->s, p, some, now);

		if (got > some)
			abort();
		p += got;
		n -= got;
		drain(g);
	}
}

static void
feed(struct guest g[2], const uint8_t *p, size_t n, uint64_t now)
{
	feed_one(&g[0], p, n, now);
	feed_one(&g[1], p, n, now);
	if (g[0].said.len != g[1].said.len ||
	    (g[0].said.len > 0 &&
		memcmp(g[0].said.data, g[1].said.data, g[0].said.len) != 0))
		abort();
	buf_reset(&g[0].said);
	buf_reset(&g[1].said);
}

/* What decodes has one encoding, and what is encoded decodes. */
static void
try_base64(const uint8_t *p, size_t n)
{
	struct buf a, b;

	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	if (b64_decode(&a, (const char *)p, n) == 0 &&
	    (b64_encode(&b, a.data, a.len) != 0 || b.len != n ||
		(n > 0 && memcmp(b.data, p, n) != 0)))
		abort();
	buf_reset(&a);
	buf_reset(&b);
	if (b64_encode(&a, p, n) != 0 ||
	    b64_decode(&b, (const char *)a.data, a.len) != 0 || b.len != n ||
	    (n > 0 && memcmp(b.data, p, n) != 0))
		abort();
	buf_fini(&a);
	buf_fini(&b);
}

static void
try_frame(const uint8_t *p, size_t n)
{
	const char *line = (const char *)p;
	struct mdata_frame f;

	if (mdata_frame_parse(line, n, &f) < 0)
		return;
	if (f.id[0] == '\0' || strlen(f.id) > MDATA_ID_MAX ||
	    f.word[0] == '\0' ||
	    (f.payload != NULL &&
		(f.payload < line || f.payload + f.payload_len > line + n)))
		abort();
}

/* "!WORD TEXT": a frame of that word and payload. */
static void
feed_frame(struct guest g[2], const uint8_t *p, size_t n, uint64_t now)
{
	const uint8_t *blank = memchr(p, ' ', n);
	size_t word_len = blank != NULL ? (size_t)(blank - p) : n;
	struct mdata_frame f;
	char word[16] = "";
	struct buf line;

	if (word_len == 0 || word_len >= sizeof(word))
		return;
	memcpy(word, p, word_len);
	if (strlen(word) != word_len)
		return;
	buf_init(&line, MDATA_LINE_MAX);
	if (mdata_frame_write(&line, "0123abcd", word,
		blank != NULL ? blank + 1 : NULL,
		blank != NULL ? n - word_len - 1 : 0) == 0) {
		if (mdata_frame_parse(
			(const char *)line.data, line.len - 1, &f) < 0 ||
		    strcmp(f.word, word) != 0)
			abort();
		feed(g, line.data, line.len, now);
	}
	buf_fini(&line);
}

static void
line(struct guest g[2], const uint8_t *p, size_t n, bool ended, uint64_t now)
{
	if (p[0] == '!')
		feed_frame(g, p + 1, n - 1 - ended, now);
	else
		feed(g, p, n, now);
	try_base64(p, n - ended);
	try_frame(p, n - ended);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest g[2] = { { .piece = SIZE_MAX }, { .piece = 1 } };
	uint64_t now = 0;

	for (size_t i = 0; i < 2; i++) {
		g[i].s = mdata_session_create(&ops, &g[i]);
		buf_init(&g[i].said, 64 << 20);
	}
	while (g[0].s != NULL && g[1].s != NULL && size > 0) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t n = nl != NULL ? (size_t)(nl - data) + 1 : size;

		now += 100000000;
		line(g, data, n, nl != NULL, now);
		data += n;
		size -= n;
	}
	for (size_t i = 0; i < 2; i++) {
		mdata_session_free(g[i].s);
		buf_fini(&g[i].said);
	}
	return 0;
}
