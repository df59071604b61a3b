/*
 * A host's bytes into the guest's client. Whatever they are: what it says is
 * whole lines, what it took for the value is bounded, a result is final, and
 * there is always a time at which it goes on. A line that begins with "!" is
 * turned into a frame that answers the request ("!SUCCESS text"); "@" lets the
 * time pass. The first byte says what is asked, and how.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mdata/client.h"
#include "mdata/frame.h"
#include "mdata/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct host {
	struct mdata_client *c;
	uint64_t now;
	char id[9]; /* of the last request */
};

/* Take what it says. */
static void
drain(struct host *h)
{
	size_t n;
	const uint8_t *p = mdata_client_output(h->c, &n);
	struct mdata_frame f;

	if (p == NULL)
		return;
	if (p[n - 1] != '\n')
		abort();
	if (n > 3 && memcmp(p, "V2 ", 3) == 0) {
		if (mdata_frame_parse((const char *)p, n - 1, &f) < 0 ||
		    strlen(f.id) != 8)
			abort();
		memcpy(h->id, f.id, sizeof(h->id));
	}
	while (mdata_client_output(h->c, &n) != NULL)
		mdata_client_sent(h->c, (n + 1) / 2, h->now);
}

static void
answer(struct host *h, const uint8_t *p, size_t n)
{
	const uint8_t *blank = memchr(p, ' ', n);
	size_t word_len = blank != NULL ? (size_t)(blank - p) : n;
	char word[16] = "";
	struct buf line;

	if (word_len == 0 || word_len >= sizeof(word) || h->id[0] == '\0')
		return;
	memcpy(word, p, word_len);
	buf_init(&line, MDATA_CLIENT_LINE_MAX);
	if (mdata_frame_write(&line, h->id, word,
		blank != NULL ? blank + 1 : NULL,
		blank != NULL ? n - word_len - 1 : 0) == 0)
		mdata_client_input(h->c, line.data, line.len, h->now);
	buf_fini(&line);
}

static void
step(struct host *h, const uint8_t *p, size_t n)
{
	enum mdata_result before = mdata_client_result(h->c);

	h->now += 1000000;
	if (p[0] == '!')
		answer(h, p + 1, n - 1 - (p[n - 1] == '\n'));
	else if (p[0] == '@' && before == MDATA_PENDING)
		mdata_client_tick(h->c, h->now = mdata_client_deadline(h->c));
	else
		mdata_client_input(h->c, p, n, h->now);
	drain(h);
	if (before != MDATA_PENDING && mdata_client_result(h->c) != before)
		abort();
	if ((mdata_client_result(h->c) == MDATA_PENDING) !=
	    (mdata_client_deadline(h->c) != UINT64_MAX))
		abort();
	if (mdata_client_value(h->c)->len > MDATA_CLIENT_LINE_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host h = { .c = NULL };
	enum mdata_verb verb;

	if (size == 0)
		return 0;
	verb = (enum mdata_verb)(data[0] & 3);
	if (mdata_client_create(verb, verb == MDATA_KEYS ? NULL : "key", "v", 1,
		(data[0] & 4) != 0, &h.c) < 0)
		return 0;
	data++;
	size--;
	mdata_client_start(h.c, 0);
	drain(&h);
	while (size > 0) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t n = nl != NULL ? (size_t)(nl - data) + 1 : size;

		step(&h, data, n);
		data += n;
		size -= n;
	}
	mdata_client_free(h.c);
	return 0;
}
