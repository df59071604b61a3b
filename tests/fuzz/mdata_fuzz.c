/*
 * A guest's bytes into a metadata session, in pieces. Whatever they are: the
 * output is bounded, every answer is whole lines, a frame that is answered is
 * one that parses, and taking stops while an answer waits. A line that begins
 * with "!" is turned into a right frame around its words, so that mutations
 * get past the checksum.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mdata/frame.h"
#include "mdata/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char kept_key[MDATA_KEY_MAX + 1];

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
	return buf_append_str(names, kept_key);
}

static int
put(void *arg, const char *key, const void *value, size_t n, struct buf *why)
{
	check_key(key);
	if (n == 0 || n > MDATA_GUEST_VALUE_MAX)
		abort();
	strcpy(kept_key, key);
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
drain(struct mdata_session *s)
{
	const uint8_t *p;
	size_t n;

	while ((p = mdata_session_output(s, &n)) != NULL) {
		if (n > MDATA_OUT_MAX || p[n - 1] != '\n')
			abort();
		mdata_session_sent(s, n > 3 ? n / 2 : n);
	}
}

static void
feed(struct mdata_session *s, const uint8_t *p, size_t n, uint64_t now)
{
	while (n > 0) {
		size_t got = mdata_session_input(s, p, n, now);

		if (got > n)
			abort();
		p += got;
		n -= got;
		drain(s);
	}
}

/* "!WORD TEXT": a frame of that word and payload. */
static void
feed_frame(struct mdata_session *s, const uint8_t *p, size_t n, uint64_t now)
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
		feed(s, line.data, line.len, now);
	}
	buf_fini(&line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mdata_session *s = mdata_session_create(&ops, NULL);
	uint64_t now = 0;

	while (s != NULL && size > 0) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t n = nl != NULL ? (size_t)(nl - data) + 1 : size;

		now += 100000000;
		if (data[0] == '!')
			feed_frame(s, data + 1, n - 1 - (nl != NULL), now);
		else
			feed(s, data, n, now);
		data += n;
		size -= n;
	}
	mdata_session_free(s);
	return 0;
}
