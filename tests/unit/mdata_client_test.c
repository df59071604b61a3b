/*
 * The guest's side, against the real session whose answers a table of faults
 * spoils: what a serial line and hosts other than ours have been seen to do.
 * The clock is the test's; nothing waits.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "mdata/client.h"
#include "mdata/session.h"
#include "tap.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

static uint8_t kept[MDATA_GUEST_VALUE_MAX];
static size_t kept_len;

static int
get(void *arg, const char *key, struct buf *value, struct buf *why)
{
	if (strcmp(key, "kept") == 0)
		return buf_append(value, kept, kept_len);
	if (strcmp(key, "refused") == 0)
		return buf_append_str(why, "not for you"), -EPERM;
	if (strcmp(key, "empty") == 0)
		return 0;
	return -ENOENT;
}

static int
keys(void *arg, struct buf *names, struct buf *why)
{
	return buf_append_str(names, "kept\nother");
}

static int
put(void *arg, const char *key, const void *value, size_t n, struct buf *why)
{
	if (strcmp(key, "kept") != 0)
		return -EPERM;
	memcpy(kept, value, n);
	kept_len = n;
	return 0;
}

static int
del(void *arg, const char *key, struct buf *why)
{
	return strcmp(key, "kept") == 0 ? 0 : -EPERM;
}

static const struct mdata_ops ops = { get, keys, put, del };

/* ---- a host with faults ---- */

struct host {
	struct mdata_session *s;
	struct buf wire; /* on its way to the client */
	uint64_t now;
	unsigned lines; /* answers so far */
};

static void
plain(struct host *h, const char *line, size_t n)
{
	buf_append(&h->wire, line, n);
}

static void
crlf(struct host *h, const char *line, size_t n)
{
	buf_append(&h->wire, line, n - 1);
	buf_append_str(&h->wire, "\r\n");
}

static void
upper_crc(struct host *h, const char *line, size_t n)
{
	size_t at = h->wire.len;
	unsigned blanks = 0;

	plain(h, line, n);
	for (; n > 2 && memcmp(line, "V2 ", 3) == 0 && blanks < 3; at++) {
		char *c = (char *)&h->wire.data[at];

		blanks += *c == ' ';
		if (blanks == 2)
			*c = (char)toupper(*c);
	}
}

static void
junk(struct host *h, const char *line, size_t n)
{
	buf_append(&h->wire, "\xff", 1);
	plain(h, line, n);
}

/* Two answers for one LF; the second is late for what comes next. */
static void
twice(struct host *h, const char *line, size_t n)
{
	plain(h, line, n);
	if (strncmp(line, "invalid", 7) == 0)
		plain(h, line, n);
}

static void
stale(struct host *h, const char *line, size_t n)
{
	if (h->lines == 2)
		buf_append_str(&h->wire,
		    "invalid command\nFAILURE\nSUCCESS\nV2_OK\n"
		    "V2 17 d79a3bc8 0f1e2d3e NOTFOUND\nV2 16 f6696b1a\n");
	plain(h, line, n);
}

static void
no_v2(struct host *h, const char *line, size_t n)
{
	if (strncmp(line, "V2_OK", 5) == 0)
		buf_append_str(&h->wire, "FAILURE\n");
	else
		plain(h, line, n);
}

static void
no_v2_crlf(struct host *h, const char *line, size_t n)
{
	if (strncmp(line, "V2_OK", 5) == 0)
		buf_append_str(&h->wire, "FAILURE\r\n");
	else
		crlf(h, line, n);
}

/* Deaf for its first ten seconds, and what came then is lost. */
static void
late(struct host *h, const char *line, size_t n)
{
	if (h->now >= 10 * SECOND)
		plain(h, line, n);
}

static void
one_lost(struct host *h, const char *line, size_t n)
{
	if (h->lines != 3)
		plain(h, line, n);
}

/* Killed while it wrote the third answer. */
static void
one_cut(struct host *h, const char *line, size_t n)
{
	plain(h, line, h->lines == 3 ? n / 2 : n);
}

static void
bit_error(struct host *h, const char *line, size_t n)
{
	plain(h, line, n);
	if (h->lines == 3)
		h->wire.data[h->wire.len - 4] ^= 1;
}

static void
wrong_id(struct host *h, const char *line, size_t n)
{
	if (n > 3 && memcmp(line, "V2 ", 3) == 0)
		buf_append_str(&h->wire, "V2 17 d79a3bc8 0f1e2d3e NOTFOUND\n");
	else
		plain(h, line, n);
}

static void
deaf(struct host *h, const char *line, size_t n)
{
}

/* A terminal that sends back what it is sent, besides. */
static void
flood(struct host *h, const char *line, size_t n)
{
	static char noise[65536];

	memset(noise, '#', sizeof(noise));
	for (size_t i = 0; h->lines == 3 && i < 300; i++)
		buf_append(&h->wire, noise, sizeof(noise));
	plain(h, line, n);
}

/* The client's lines to the session; each answer's lines through the fault. */
static void
host_take(struct host *h, struct mdata_client *c,
    void (*fault)(struct host *h, const char *line, size_t n))
{
	size_t n, out;
	const uint8_t *p = mdata_client_output(c, &n), *q, *nl;

	if (p == NULL)
		return;
	n = mdata_session_input(h->s, p, n, h->now);
	mdata_client_sent(c, n, h->now);
	while ((q = mdata_session_output(h->s, &out)) != NULL) {
		h->lines++;
		while (out > 0) {
			nl = memchr(q, '\n', out);
			n = (size_t)(nl - q) + 1;
			fault(h, (const char *)q, n);
			q += n;
			out -= n;
			mdata_session_sent(h->s, n);
		}
	}
}

/* Until there is a result, or the time is up. chunk: bytes at once. */
static void
converse(struct mdata_client *c, uint64_t limit, size_t chunk,
    void (*fault)(struct host *h, const char *line, size_t n))
{
	struct host h = { .s = mdata_session_create(&ops, NULL) };
	size_t at = 0, n;

	buf_init(&h.wire, 64 << 20);
	mdata_client_start(c, h.now);
	while (mdata_client_result(c) == MDATA_PENDING && h.now < limit) {
		host_take(&h, c, fault);
		n = h.wire.len - at < chunk ? h.wire.len - at : chunk;
		if (n > 0) {
			mdata_client_input(c, h.wire.data + at, n, h.now);
			at += n;
			h.now += 5 * MS;
		} else if (mdata_client_output(c, &n) == NULL) {
			h.now = mdata_client_deadline(c);
		}
		mdata_client_tick(c, h.now);
	}
	buf_fini(&h.wire);
	mdata_session_free(h.s);
}

static void
faults(void)
{
	static const struct {
		const char *name;
		void (*fault)(struct host *h, const char *line, size_t n);
		size_t chunk;
		enum mdata_result result; /* of a GET within five minutes */
		unsigned rounds;
	} rows[] = {
		{ "none", plain, 4096, MDATA_SUCCESS, 1 },
		{ "slow bytes", plain, 1, MDATA_SUCCESS, 1 },
		{ "CR LF", crlf, 4096, MDATA_SUCCESS, 1 },
		{ "checksum in upper case", upper_crc, 7, MDATA_SUCCESS, 1 },
		{ "a byte before each line", junk, 4096, MDATA_SUCCESS, 1 },
		{ "two answers to one LF", twice, 4096, MDATA_SUCCESS, 1 },
		{ "answers to others before", stale, 4096, MDATA_SUCCESS, 1 },
		{ "version 1", no_v2, 4096, MDATA_SUCCESS, 1 },
		{ "version 1, slow bytes", no_v2, 1, MDATA_SUCCESS, 1 },
		{ "version 1, CR LF", no_v2_crlf, 4096, MDATA_SUCCESS, 1 },
		{ "late", late, 4096, MDATA_SUCCESS, 5 },
		{ "an answer is lost", one_lost, 4096, MDATA_SUCCESS, 2 },
		{ "an answer is cut", one_cut, 4096, MDATA_SUCCESS, 2 },
		{ "a bit is wrong", bit_error, 4096, MDATA_SUCCESS, 2 },
		{ "noise without end", flood, 65536, MDATA_SUCCESS, 2 },
		{ "only another's answer", wrong_id, 4096, MDATA_PENDING, 7 },
		{ "nobody", deaf, 4096, MDATA_PENDING, 98 },
	};
	/* dots, a NUL, bytes that are no text, and no LF at the end */
	static const char value[] = ".a\n..b\n\n.\nnul \0 \xff\xfe end";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mdata_client *c = NULL;

		tap_context("%s", rows[i].name);
		memcpy(kept, value, sizeof(value) - 1);
		kept_len = sizeof(value) - 1;
		tap_check_int(
		    mdata_client_create(MDATA_GET, "kept", NULL, 0, true, &c),
		    0);
		converse(c, 300 * SECOND, rows[i].chunk, rows[i].fault);
		tap_check_int(mdata_client_result(c), rows[i].result);
		tap_check_int(mdata_client_rounds(c), rows[i].rounds);
		if (rows[i].result == MDATA_SUCCESS) {
			const struct buf *v = mdata_client_value(c);

			tap_check_int(v->len, sizeof(value) - 1);
			tap_check(memcmp(v->data, value, v->len) == 0);
			tap_check_int(mdata_client_deadline(c), UINT64_MAX);
		}
		mdata_client_free(c);
	}
}

static void
verbs(void)
{
	static const struct {
		enum mdata_verb verb;
		const char *key, *value;
		void (*fault)(struct host *h, const char *line, size_t n);
		bool serial;
		enum mdata_result result;
		const char *answer; /* NULL: whatever it is */
	} rows[] = {
		{ MDATA_PUT, "kept", "bl ue\n", plain, true, MDATA_SUCCESS,
		    NULL },
		{ MDATA_GET, "kept", "", plain, true, MDATA_SUCCESS,
		    "bl ue\n" },
		{ MDATA_GET, "kept", "", plain, false, MDATA_SUCCESS,
		    "bl ue\n" },
		{ MDATA_GET, "kept", "", no_v2, false, MDATA_SUCCESS,
		    "bl ue\n" },
		{ MDATA_GET, "empty", "", plain, true, MDATA_SUCCESS, "" },
		{ MDATA_GET, "empty", "", no_v2, true, MDATA_SUCCESS, "" },
		{ MDATA_GET, "nope", "", plain, true, MDATA_NOTFOUND, "" },
		{ MDATA_GET, "nope", "", no_v2, true, MDATA_NOTFOUND, "" },
		{ MDATA_GET, "refused", "", plain, true, MDATA_FAILURE,
		    "not for you" },
		{ MDATA_GET, "refused", "", no_v2, true, MDATA_FAILURE, "" },
		{ MDATA_KEYS, NULL, "", plain, true, MDATA_SUCCESS,
		    "kept\nother" },
		{ MDATA_KEYS, NULL, "", no_v2, true, MDATA_SUCCESS,
		    "kept\nother" },
		{ MDATA_PUT, "other", "x", plain, true, MDATA_FAILURE, NULL },
		{ MDATA_PUT, "kept", "", plain, true, MDATA_FAILURE, NULL },
		{ MDATA_PUT, "kept", "x", no_v2, true, MDATA_READONLY, NULL },
		{ MDATA_DELETE, "kept", "", plain, true, MDATA_SUCCESS, NULL },
		{ MDATA_DELETE, "kept", "", no_v2, true, MDATA_READONLY, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mdata_client *c = NULL;
		struct buf *v;

		tap_context("row %zu", i);
		tap_check_int(mdata_client_create(rows[i].verb, rows[i].key,
				  rows[i].value, strlen(rows[i].value),
				  rows[i].serial, &c),
		    0);
		converse(c, 60 * SECOND, 4096, rows[i].fault);
		tap_check_int(mdata_client_result(c), rows[i].result);
		v = (struct buf *)mdata_client_value(c);
		if (rows[i].answer != NULL)
			tap_check_str(buf_str(v), rows[i].answer);
		mdata_client_free(c);
	}
}

static void
long_values(void)
{
	static uint8_t value[MDATA_GUEST_VALUE_MAX + 1];
	struct mdata_client *c = NULL;

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 7 + i / 251);
	tap_check_int(mdata_client_create(
			  MDATA_PUT, "kept", value, sizeof(value), true, &c),
	    -E2BIG);
	tap_check_int(mdata_client_create(MDATA_PUT, "kept", value,
			  sizeof(value) - 1, true, &c),
	    0);
	kept_len = 0;
	converse(c, 60 * SECOND, 4096, plain);
	tap_check_int(mdata_client_result(c), MDATA_SUCCESS);
	mdata_client_free(c);
	tap_check_int(
	    mdata_client_create(MDATA_GET, "kept", NULL, 0, true, &c), 0);
	converse(c, 600 * SECOND, 100, plain);
	tap_check_int(mdata_client_result(c), MDATA_SUCCESS);
	tap_check_int(mdata_client_value(c)->len, sizeof(value) - 1);
	tap_check(
	    memcmp(mdata_client_value(c)->data, value, sizeof(value) - 1) == 0);
	mdata_client_free(c);
}

static void
wrong_keys(void)
{
	static char longest[MDATA_KEY_MAX + 2];
	static const char *const rows[] = { "", " a", "a ", "a\nb", "a\x7f",
		longest, NULL };
	struct mdata_client *c = NULL;

	memset(longest, 'k', sizeof(longest) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_context("row %zu", i);
		tap_check_int(
		    mdata_client_create(MDATA_GET, rows[i], NULL, 0, true, &c),
		    -EINVAL);
	}
	tap_check_int(
	    mdata_client_create(MDATA_GET, longest + 1, NULL, 0, true, &c), 0);
	mdata_client_free(c);
}

/* A right frame that holds no base64: trying again would not help. */
static void
broken_payload(void)
{
	struct mdata_client *c = NULL;
	const uint8_t *p;
	char body[64], line[96];
	size_t n;

	mdata_client_create(MDATA_GET, "kept", NULL, 0, false, &c);
	mdata_client_start(c, 0);
	mdata_client_input(c, (const uint8_t *)"V2_OK\n", 6, 1);
	p = mdata_client_output(c, &n);
	tap_check(p != NULL && n > 23);
	snprintf(body, sizeof(body), "%.8s SUCCESS a*b=", (const char *)p + 15);
	snprintf(line, sizeof(line), "V2 %zu %08lx %s\n", strlen(body),
	    crc32(0, (const uint8_t *)body, (uInt)strlen(body)), body);
	mdata_client_input(c, (const uint8_t *)line, strlen(line), 2);
	tap_check_int(mdata_client_result(c), MDATA_BROKEN);
	mdata_client_free(c);
}

static const struct tap_test tests[] = { TAP_TEST(faults), TAP_TEST(verbs),
	TAP_TEST(long_values), TAP_TEST(wrong_keys), TAP_TEST(broken_payload) };
TAP_MAIN(tests)
