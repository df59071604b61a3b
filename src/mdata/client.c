/*
 * Phases, each a row: what it waits for, how long, and what it does with a
 * line. See client.h.
 */
#include "mdata/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/str.h"
#include "mdata/b64.h"
#include "mdata/frame.h"
#include "mdata/session.h"

#define MS UINT64_C(1000000)
#define PAUSE (1000 * MS)
#define QUIET (100 * MS)
#define QUIET_MAX (3000 * MS) /* a line that is never quiet is tried, too */
#define HELLO (2000 * MS)
#define NEGOTIATE (6000 * MS)
#define ANSWER_V1 (6000 * MS)
#define ANSWER_V2 (45000 * MS)
#define AGAIN_MAX 4 /* further LFs, and NEGOTIATEs, within a round */
#define FRAMES_MAX 4 /* beginnings of a frame that are tried in a line */

enum phase {
	PHASE_PAUSE,
	PHASE_QUIET,
	PHASE_HELLO,
	PHASE_NEGOTIATE,
	PHASE_FRAME, /* the answer of version 2 */
	PHASE_STATUS, /* the first line of version 1's */
	PHASE_LINES, /* the value, up to the dot */
	PHASE_DONE,
};

struct mdata_client {
	enum mdata_verb verb;
	bool serial;
	char *key; /* "" for KEYS */
	struct buf payload; /* of the request's frame */

	enum phase phase;
	unsigned rounds, again;
	uint64_t since, last; /* phase begun; last byte, either way */
	size_t seen; /* bytes of this phase */
	char id[9];
	bool crlf; /* version 1: lines end in CR LF */
	bool overlong; /* drop until the next LF */
	struct buf line, out, value;
	size_t sent; /* of out */
	enum mdata_result result;
};

static const char *const verb_names[] = {
	[MDATA_GET] = "GET",
	[MDATA_PUT] = "PUT",
	[MDATA_DELETE] = "DELETE",
	[MDATA_KEYS] = "KEYS",
};

/* ---- life ---- */

/* PUT: both parts are encoded, and all of it once more in the frame. */
static int
make_payload(struct mdata_client *c, const void *value, size_t n)
{
	struct buf *b = &c->payload;

	if (c->verb != MDATA_PUT)
		return buf_append_str(b, c->key);
	b64_encode(b, c->key, strlen(c->key));
	buf_append_str(b, " ");
	b64_encode(b, value, n);
	return buf_error(b);
}

int
mdata_client_create(enum mdata_verb verb, const char *key, const void *value,
    size_t n, bool serial, struct mdata_client **ret)
{
	struct mdata_client *c;

	if (verb == MDATA_KEYS)
		key = "";
	else if (key == NULL || !mdata_is_key(key, strlen(key)) ||
	    key[0] == ' ' || key[strlen(key) - 1] == ' ')
		return -EINVAL;
	if (verb == MDATA_PUT && n > MDATA_GUEST_VALUE_MAX)
		return -E2BIG;
	c = alloc_zero(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->verb = verb;
	c->serial = serial;
	c->key = alloc_strdup(key);
	buf_init(&c->payload, MDATA_LINE_MAX);
	buf_init(&c->line, MDATA_CLIENT_LINE_MAX);
	buf_init(&c->out, MDATA_LINE_MAX);
	buf_init(&c->value, MDATA_CLIENT_LINE_MAX);
	if (c->key == NULL || make_payload(c, value, n) < 0) {
		mdata_client_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void
mdata_client_free(struct mdata_client *c)
{
	if (c == NULL)
		return;
	free(c->key);
	buf_fini(&c->payload);
	buf_fini(&c->line);
	buf_fini(&c->out);
	buf_fini(&c->value);
	free(c);
}

enum mdata_result
mdata_client_result(const struct mdata_client *c)
{
	return c->result;
}

const struct buf *
mdata_client_value(const struct mdata_client *c)
{
	return &c->value;
}

unsigned
mdata_client_rounds(const struct mdata_client *c)
{
	return c->rounds;
}

/* ---- beginnings of phases ---- */

static void
say(struct mdata_client *c, const char *text)
{
	buf_append_str(&c->out, text);
	buf_append(&c->out, "\n", 1);
}

static void
say_request(struct mdata_client *c)
{
	uint32_t id = 0;

	/* It tells answers apart; what it is matters to nobody. */
	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
		id = (uint32_t)(c->since ^ c->since >> 32) + c->rounds;
	str_format(c->id, sizeof(c->id), "%08x", id);
	mdata_frame_write(&c->out, c->id, verb_names[c->verb], c->payload.data,
	    c->payload.len);
}

static void
say_request_v1(struct mdata_client *c)
{
	buf_append_str(&c->out, verb_names[c->verb]);
	if (c->key[0] != '\0')
		buf_append_str(&c->out, " ");
	say(c, c->key);
}

static void
finish(struct mdata_client *c, enum mdata_result result)
{
	c->result = result;
	c->phase = PHASE_DONE;
}

static void
enter(struct mdata_client *c, enum phase phase, uint64_t now)
{
	c->phase = phase;
	c->since = c->last = now;
	c->seen = 0;
	c->again = 0;
	buf_reset(&c->out);
	c->sent = 0;
	if (phase == PHASE_HELLO)
		say(c, "");
	else if (phase == PHASE_NEGOTIATE)
		say(c, "NEGOTIATE V2");
	else if (phase == PHASE_FRAME)
		say_request(c);
	else if (phase == PHASE_STATUS)
		say_request_v1(c);
	if (buf_error(&c->out) != 0)
		finish(c, MDATA_BROKEN); /* out of memory */
}

void
mdata_client_start(struct mdata_client *c, uint64_t now)
{
	if (c->phase == PHASE_DONE)
		return;
	c->rounds++;
	buf_reset(&c->line);
	buf_reset(&c->value);
	c->overlong = false;
	enter(c, c->serial ? PHASE_QUIET : PHASE_NEGOTIATE, now);
}

/* ---- lines ---- */

/*
 * A control line, perhaps with noise before it: what an earlier program left on
 * the wire unfinished.
 */
static bool
ends_with(const char *line, size_t n, const char *word)
{
	size_t len = strlen(word);

	return n >= len && memcmp(line + n - len, word, len) == 0;
}

static void
on_hello(struct mdata_client *c, char *line, size_t n, uint64_t now)
{
	if (ends_with(line, n, "invalid command"))
		enter(c, PHASE_NEGOTIATE, now);
	else if (ends_with(line, n, "FAILURE") && c->again++ < AGAIN_MAX)
		say(c, ""); /* ours ended somebody's unfinished line */
}

static void
on_negotiate(struct mdata_client *c, char *line, size_t n, uint64_t now)
{
	if (ends_with(line, n, "V2_OK")) {
		enter(c, PHASE_FRAME, now);
	} else if (!ends_with(line, n, "FAILURE")) {
		return; /* "invalid command": an answer to an LF, late */
	} else if (c->again++ == 0) {
		say(c, "NEGOTIATE V2"); /* was it an answer to this? */
	} else if (c->verb == MDATA_PUT || c->verb == MDATA_DELETE) {
		finish(c, MDATA_READONLY);
	} else {
		enter(c, PHASE_STATUS, now);
	}
}

/* Some hosts print the checksum in upper case; theirs to the byte, otherwise.
 */
static void
lower_crc(char *line, const char *end)
{
	char *p = line + 3;

	while (p < end && isdigit((unsigned char)*p))
		p++;
	for (size_t i = 0; i < 9 && p < end; i++, p++)
		*p = (char)tolower((unsigned char)*p);
}

/* The frame in the line, with or without noise before it. */
static bool
find_frame(char *line, size_t n, struct mdata_frame *ret)
{
	char *at = line, *end = line + n;

	for (size_t i = 0; i < FRAMES_MAX; i++, at++) {
		at = memmem(at, (size_t)(end - at), "V2 ", 3);
		if (at == NULL)
			return false;
		lower_crc(at, end);
		if (mdata_frame_parse(at, (size_t)(end - at), ret) == 0)
			return true;
	}
	return false;
}

static enum mdata_result
result_of(const char *word, size_t n)
{
	static const struct {
		const char *word;
		enum mdata_result result;
	} rows[] = {
		{ "SUCCESS", MDATA_SUCCESS },
		{ "NOTFOUND", MDATA_NOTFOUND },
		{ "FAILURE", MDATA_FAILURE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strlen(rows[i].word) == n &&
		    memcmp(rows[i].word, word, n) == 0)
			return rows[i].result;
	return MDATA_PENDING;
}

static void
on_frame(struct mdata_client *c, char *line, size_t n, uint64_t now)
{
	struct mdata_frame f;
	enum mdata_result result;

	if (!find_frame(line, n, &f) || strcmp(f.id, c->id) != 0)
		return;
	result = result_of(f.word, strlen(f.word));
	if (result == MDATA_PENDING)
		return; /* our own request, echoed */
	if (f.payload != NULL &&
	    b64_decode(&c->value, f.payload, f.payload_len) < 0)
		result = MDATA_BROKEN;
	finish(c, result);
}

static void
on_status(struct mdata_client *c, char *line, size_t n, uint64_t now)
{
	enum mdata_result result = result_of(line, n);

	if (result == MDATA_SUCCESS) {
		buf_reset(&c->value);
		enter(c, PHASE_LINES, now);
	} else if (result != MDATA_PENDING) {
		finish(c, result);
	}
}

/* A dot ends the value; before a dot of its own stands another. */
static void
on_value(struct mdata_client *c, char *line, size_t n, uint64_t now)
{
	if (c->crlf && n > 0 && line[n - 1] == '\r')
		n--;
	if (n == 1 && line[0] == '.') {
		if (c->value.len > 0)
			c->value.len--; /* its last line has no LF */
		finish(c, MDATA_SUCCESS);
		return;
	}
	if (n > 0 && line[0] == '.') {
		line++;
		n--;
	}
	buf_append(&c->value, line, n);
	if (buf_append(&c->value, "\n", 1) < 0)
		finish(c, MDATA_BROKEN);
}

static const struct phase_row {
	uint64_t limit;
	bool renew; /* each byte does; otherwise from the phase's beginning */
	bool raw; /* lines are data: they keep the blanks at their ends */
	void (*line)(struct mdata_client *c, char *line, size_t n,
	    uint64_t now); /* NULL: bytes are dropped */
} phases[] = {
	[PHASE_PAUSE] = { PAUSE, false, false, NULL },
	[PHASE_QUIET] = { QUIET, true, false, NULL },
	[PHASE_HELLO] = { HELLO, false, false, on_hello },
	[PHASE_NEGOTIATE] = { NEGOTIATE, false, false, on_negotiate },
	[PHASE_FRAME] = { ANSWER_V2, true, false, on_frame },
	[PHASE_STATUS] = { ANSWER_V1, true, false, on_status },
	[PHASE_LINES] = { ANSWER_V1, true, true, on_value },
	[PHASE_DONE] = { 0, false, false, NULL },
};

static void
take_line(struct mdata_client *c, uint64_t now)
{
	const struct phase_row *row = &phases[c->phase];
	char *line = c->line.len > 0 ? (char *)c->line.data : (char[1]){ 0 };
	size_t n = c->line.len;

	if (!row->raw) {
		c->crlf = n > 0 && line[n - 1] == '\r';
		while (n > 0 && memchr(" \t\r", line[n - 1], 4) != NULL)
			n--;
	}
	row->line(c, line, n, now);
	buf_reset(&c->line);
}

/* ---- bytes ---- */

/* More than any answer has: not the host that we asked. */
static bool
too_much(struct mdata_client *c, size_t n, uint64_t now)
{
	c->seen += n;
	if (c->seen <= 2 * (size_t)MDATA_CLIENT_LINE_MAX)
		return false;
	enter(c, PHASE_PAUSE, now);
	return true;
}

static void
collect(struct mdata_client *c, const uint8_t *data, size_t n)
{
	if (c->overlong || buf_append(&c->line, data, n) == 0)
		return;
	buf_reset(&c->line);
	c->overlong = true;
}

void
mdata_client_input(
    struct mdata_client *c, const uint8_t *data, size_t n, uint64_t now)
{
	c->last = now;
	while (n > 0 && phases[c->phase].line != NULL) {
		const uint8_t *nl = memchr(data, '\n', n);
		size_t len = nl != NULL ? (size_t)(nl - data) : n;

		if (too_much(c, len, now))
			return;
		collect(c, data, len);
		if (nl == NULL)
			return;
		data += len + 1;
		n -= len + 1;
		if (!c->overlong)
			take_line(c, now);
		else if (c->phase >= PHASE_FRAME)
			finish(c, MDATA_BROKEN);
		c->overlong = false;
	}
}

const uint8_t *
mdata_client_output(const struct mdata_client *c, size_t *ret_n)
{
	*ret_n = c->phase == PHASE_DONE ? 0 : c->out.len - c->sent;
	return *ret_n > 0 ? c->out.data + c->sent : NULL;
}

void
mdata_client_sent(struct mdata_client *c, size_t n, uint64_t now)
{
	c->last = now;
	c->sent += MIN(n, c->out.len - c->sent);
	if (c->sent < c->out.len)
		return;
	buf_reset(&c->out);
	c->sent = 0;
}

/* ---- time ---- */

uint64_t
mdata_client_deadline(const struct mdata_client *c)
{
	const struct phase_row *row = &phases[c->phase];
	uint64_t at = (row->renew ? c->last : c->since) + row->limit;

	if (c->phase == PHASE_DONE)
		return UINT64_MAX;
	return c->phase == PHASE_QUIET ? MIN(at, c->since + QUIET_MAX) : at;
}

void
mdata_client_tick(struct mdata_client *c, uint64_t now)
{
	if (now < mdata_client_deadline(c))
		return;
	if (c->phase == PHASE_QUIET)
		enter(c, PHASE_HELLO, now);
	else if (c->phase == PHASE_PAUSE)
		mdata_client_start(c, now);
	else
		enter(c, PHASE_PAUSE, now);
}
