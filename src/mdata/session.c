/*
 * Lines, and what is answered to them.
 */
#include "mdata/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "mdata/b64.h"
#include "mdata/frame.h"

#define MS UINT64_C(1000000)
#define BLANK_QUIET (200 * MS)
#define UNKNOWN_WINDOW (1000 * MS)
#define UNKNOWN_MAX 10
#define WHY_MAX 100

struct mdata_session {
	const struct mdata_ops *ops;
	void *arg;
	struct buf line, out;
	size_t sent; /* of out */
	bool overlong; /* drop until the next LF */
	uint64_t last_input; /* when the last byte came */
	bool blanked; /* "invalid command" was said to an empty line */
	uint64_t blank_at; /* when */
	uint64_t window_at;
	unsigned window_n; /* answers to unknown lines since */
	struct mdata_counters n;
};

struct mdata_session *
mdata_session_create(const struct mdata_ops *ops, void *arg)
{
	struct mdata_session *s = alloc_zero(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->ops = ops;
	s->arg = arg;
	buf_init(&s->line, MDATA_LINE_MAX);
	buf_init(&s->out, MDATA_OUT_MAX);
	return s;
}

void
mdata_session_free(struct mdata_session *s)
{
	if (s == NULL)
		return;
	buf_fini(&s->line);
	buf_fini(&s->out);
	free(s);
}

/* Give the memory back, too: most guests are quiet for most of their life. */
static void
empty(struct buf *b)
{
	size_t max = b->max;

	buf_fini(b);
	buf_init(b, max);
}

void
mdata_session_reset(struct mdata_session *s)
{
	empty(&s->line);
	empty(&s->out);
	s->sent = 0;
	s->overlong = false;
	s->blanked = false;
}

const struct mdata_counters *
mdata_session_counters(const struct mdata_session *s)
{
	return &s->n;
}

/* ---- requests, whichever version they came in ---- */

enum outcome { OUT_SUCCESS, OUT_NOTFOUND, OUT_FAILURE };
static const char *const outcome_names[] = { "SUCCESS", "NOTFOUND", "FAILURE" };

/* What is asked, and what came of it: a value, or why not. */
struct request {
	struct mdata_session *s;
	const char *key; /* decoded argument; "" */
	const char *arg; /* the same, not checked as a key */
	size_t arg_len;
	struct buf value, why;
};

static enum outcome
fail(struct request *rq, const char *text)
{
	buf_reset(&rq->why);
	buf_append_str(&rq->why, text);
	return OUT_FAILURE;
}

static enum outcome
outcome_of(struct request *rq, int rc)
{
	if (rc == 0 && buf_error(&rq->value) == 0)
		return OUT_SUCCESS;
	return rc == -ENOENT ? OUT_NOTFOUND : OUT_FAILURE;
}

static size_t
trim(const char **p, size_t n)
{
	while (n > 0 && strchr(" \t\r", **p) != NULL && **p != '\0') {
		(*p)++;
		n--;
	}
	while (n > 0 && strchr(" \t\r", (*p)[n - 1]) != NULL)
		n--;
	return n;
}

/* The argument as a key, with its NUL; NULL when it cannot be one. */
static char *
take_key(const char *p, size_t n)
{
	n = trim(&p, n);
	return mdata_is_key(p, n) ? strndup(p, n) : NULL;
}

static enum outcome
do_get(struct request *rq)
{
	cleanup_free char *key = take_key(rq->arg, rq->arg_len);

	if (key == NULL)
		return fail(rq, "Invalid GET Request");
	return outcome_of(
	    rq, rq->s->ops->get(rq->s->arg, key, &rq->value, &rq->why));
}

static enum outcome
do_keys(struct request *rq)
{
	return outcome_of(
	    rq, rq->s->ops->keys(rq->s->arg, &rq->value, &rq->why));
}

static enum outcome
do_delete(struct request *rq)
{
	cleanup_free char *key = take_key(rq->arg, rq->arg_len);
	int rc;

	if (key == NULL)
		return fail(rq, "Invalid DELETE Request");
	rc = rq->s->ops->del(rq->s->arg, key, &rq->why);
	rq->s->n.deletes += rc == 0;
	if (rc != 0 && rc != -ENOENT)
		return OUT_FAILURE;
	buf_append_str(&rq->value, "OK");
	return OUT_SUCCESS;
}

/* base64(key) BLANK base64(value): both within the decoded payload. */
static int
split_put(struct request *rq, char **ret_key, struct buf *value)
{
	const char *p = rq->arg, *blank;
	size_t n = trim(&p, rq->arg_len);
	struct buf key;
	int rc;

	blank = memchr(p, ' ', n);
	if (blank == NULL)
		return -EINVAL;
	buf_init(&key, MDATA_KEY_MAX + 16);
	rc = b64_decode(&key, p, (size_t)(blank - p));
	if (rc == 0)
		rc = b64_decode(value, blank + 1, n - (size_t)(blank + 1 - p));
	if (rc == 0) {
		*ret_key = take_key((const char *)key.data, key.len);
		rc = *ret_key != NULL && value->len > 0 ? 0 : -EINVAL;
	}
	buf_fini(&key);
	return rc;
}

static enum outcome
do_put(struct request *rq)
{
	cleanup_free char *key = NULL;
	struct buf value;
	int rc;

	buf_init(&value, MDATA_GUEST_VALUE_MAX + 4);
	rc = split_put(rq, &key, &value);
	if (rc == 0 && value.len > MDATA_GUEST_VALUE_MAX)
		rc = -ENOSPC;
	if (rc == 0) {
		rc = rq->s->ops->put(
		    rq->s->arg, key, value.data, value.len, &rq->why);
		rq->s->n.puts += rc == 0;
	} else {
		fail(rq,
		    rc == -ENOSPC ? "The value is too long"
				  : "Invalid PUT Request");
	}
	buf_fini(&value);
	if (rc != 0)
		return OUT_FAILURE;
	buf_append_str(&rq->value, "OK");
	return OUT_SUCCESS;
}

static const struct verb {
	const char *name;
	enum outcome (*fn)(struct request *rq);
	bool v1; /* version 1 has it; it only reads */
	bool wants_arg; /* in version 1 */
} verbs[] = {
	{ "GET", do_get, true, true },
	{ "KEYS", do_keys, true, false },
	{ "PUT", do_put, false, false },
	{ "DELETE", do_delete, false, false },
};

static const struct verb *
find_verb(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strlen(verbs[i].name) == n &&
		    memcmp(verbs[i].name, name, n) == 0)
			return &verbs[i];
	return NULL;
}

static void
request_init(struct request *rq, struct mdata_session *s)
{
	*rq = (struct request){ .s = s };
	buf_init(&rq->value, MDATA_VALUE_MAX);
	buf_init(&rq->why, WHY_MAX);
}

static void
request_fini(struct request *rq)
{
	buf_fini(&rq->value);
	buf_fini(&rq->why);
}

/* ---- answers ---- */

/* An answer is whole or not there: half a line would spoil the next. */
static void
keep_or_drop(struct mdata_session *s, size_t before)
{
	if (buf_error(&s->out) == 0) {
		s->n.answers++;
		return;
	}
	s->out.failed = 0;
	s->out.len = before;
}

static void
say(struct mdata_session *s, const char *text)
{
	size_t before = s->out.len;

	buf_append_str(&s->out, text);
	buf_append(&s->out, "\n", 1);
	keep_or_drop(s, before);
}

/* Lines that begin with a dot get another one; a dot alone is the end. */
static void
say_v1_value(struct mdata_session *s, const struct buf *value)
{
	size_t before = s->out.len, at = 0;

	buf_append_str(&s->out, "SUCCESS\n");
	do {
		const char *p = (const char *)value->data + at;
		const char *nl =
		    at < value->len ? memchr(p, '\n', value->len - at) : NULL;
		size_t n = nl != NULL ? (size_t)(nl - p) : value->len - at;

		if (n > 0 && p[0] == '.')
			buf_append(&s->out, ".", 1);
		if (n > 0)
			buf_append(&s->out, p, n);
		buf_append(&s->out, "\n", 1);
		at += n + 1;
	} while (at <= value->len);
	buf_append_str(&s->out, ".\n");
	keep_or_drop(s, before);
}

static void
answer_frame(struct mdata_session *s, const struct mdata_frame *f)
{
	const struct verb *verb = find_verb(f->word, strlen(f->word));
	size_t before = s->out.len;
	enum outcome out;
	struct request rq;
	struct buf arg;
	const struct buf *payload;
	int rc = 0;

	request_init(&rq, s);
	buf_init(&arg, MDATA_LINE_MAX);
	if (f->payload != NULL)
		rc = b64_decode(&arg, f->payload, f->payload_len);
	rq.arg = rc == 0 && arg.len > 0 ? (const char *)arg.data : "";
	rq.arg_len = rc == 0 ? arg.len : 0;
	if (verb != NULL) {
		out = verb->fn(&rq);
	} else {
		buf_printf(&rq.why, "Unknown command %s", f->word);
		out = OUT_FAILURE;
	}
	payload = out == OUT_SUCCESS ? &rq.value : &rq.why;
	mdata_frame_write(&s->out, f->id, outcome_names[out],
	    out == OUT_NOTFOUND ? NULL : payload->data, payload->len);
	keep_or_drop(s, before);
	buf_fini(&arg);
	request_fini(&rq);
}

static void
answer_v1(
    struct mdata_session *s, const struct verb *verb, const char *arg, size_t n)
{
	struct request rq;
	enum outcome out;

	request_init(&rq, s);
	rq.arg = arg;
	rq.arg_len = n;
	out = verb->fn(&rq);
	if (out == OUT_SUCCESS)
		say_v1_value(s, &rq.value);
	else
		say(s, outcome_names[out]);
	request_fini(&rq);
}

/* ---- lines ---- */

static void
answer_blank(struct mdata_session *s, uint64_t now)
{
	if (s->blanked && now - s->blank_at < BLANK_QUIET)
		return;
	s->blanked = true;
	s->blank_at = now;
	say(s, "invalid command");
}

/* What only we say; it comes back from a terminal that echoes. */
static bool
is_echo(const char *line, size_t n)
{
	static const char *const ours[] = { "invalid command", "FAILURE",
		"NOTFOUND", "SUCCESS", "V2_OK", "." };

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (strlen(ours[i]) == n && memcmp(ours[i], line, n) == 0)
			return true;
	return false;
}

static bool
is_our_frame(const struct mdata_frame *f)
{
	for (size_t i = 0; i < ARRAY_LEN(outcome_names); i++)
		if (strcmp(f->word, outcome_names[i]) == 0)
			return true;
	return false;
}

static void
answer_unknown(struct mdata_session *s, uint64_t now)
{
	s->n.unknown++;
	if (now - s->window_at >= UNKNOWN_WINDOW) {
		s->window_at = now;
		s->window_n = 0;
	}
	if (s->window_n++ < UNKNOWN_MAX)
		say(s, "FAILURE");
}

static void
take_frame(struct mdata_session *s, const char *line, size_t n)
{
	struct mdata_frame f;

	if (mdata_frame_parse(line, n, &f) < 0)
		s->n.bad_frames++;
	else if (is_our_frame(&f))
		s->n.echoes++;
	else
		answer_frame(s, &f);
}

static void
take_text(struct mdata_session *s, const char *line, size_t n, uint64_t now)
{
	const char *blank = memchr(line, ' ', n);
	size_t word = blank != NULL ? (size_t)(blank - line) : n, left;
	const struct verb *verb = find_verb(line, word);
	const char *arg = line + word;

	left = trim(&arg, n - word);
	if (word == 9 && memcmp(line, "NEGOTIATE", 9) == 0)
		say(s,
		    left == 0 ? "invalid command"
			: left == 2 && memcmp(arg, "V2", 2) == 0 ? "V2_OK"
								 : "FAILURE");
	else if (verb == NULL || !verb->v1)
		answer_unknown(s, now);
	else if (verb->wants_arg && left == 0)
		say(s, "invalid command");
	else
		answer_v1(s, verb, arg, left);
}

static void
take_line(struct mdata_session *s, const char *line, size_t n, uint64_t now)
{
	while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL)
		n--;
	s->n.requests++;
	if (n == 0 || line[0] == ' ' || line[0] == '\t') {
		answer_blank(s, now);
	} else if (is_echo(line, n)) {
		s->n.echoes++;
	} else {
		s->blanked = false;
		if (n >= 3 && memcmp(line, "V2 ", 3) == 0)
			take_frame(s, line, n);
		else
			take_text(s, line, n, now);
	}
}

/* Bytes up to and without the LF at nl, or all of them when it is NULL. */
static void
collect(struct mdata_session *s, const uint8_t *data, size_t n)
{
	if (s->overlong)
		return;
	if (buf_append(&s->line, data, n) == 0)
		return;
	s->overlong = true;
	s->n.overlong++;
	empty(&s->line);
}

size_t
mdata_session_input(
    struct mdata_session *s, const uint8_t *data, size_t n, uint64_t now)
{
	size_t taken = 0;

	if ((s->line.len > 0 || s->overlong) &&
	    now - s->last_input >= MDATA_LINE_IDLE_NS) {
		empty(&s->line);
		s->overlong = false;
	}
	s->last_input = now;
	while (taken < n && s->out.len == 0) {
		const uint8_t *p = data + taken;
		const uint8_t *nl = memchr(p, '\n', n - taken);
		size_t len = nl != NULL ? (size_t)(nl - p) : n - taken;

		collect(s, p, len);
		taken += len;
		if (nl == NULL)
			break;
		taken++;
		if (!s->overlong)
			take_line(s,
			    s->line.len > 0 ? (const char *)s->line.data : "",
			    s->line.len, now);
		s->overlong = false;
		empty(&s->line);
	}
	return taken;
}

const uint8_t *
mdata_session_output(const struct mdata_session *s, size_t *ret_n)
{
	*ret_n = s->out.len - s->sent;
	return *ret_n > 0 ? s->out.data + s->sent : NULL;
}

void
mdata_session_sent(struct mdata_session *s, size_t n)
{
	s->sent += MIN(n, s->out.len - s->sent);
	if (s->sent < s->out.len)
		return;
	empty(&s->out);
	s->sent = 0;
}
