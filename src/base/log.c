/*
 * The log. A line is built on the stack and goes out in one write(2) of at most
 * LINE_MAX_BYTES, which pipes and O_APPEND files take whole. No locks are held
 * and no C library service with a lock or a file behind it (time zones,
 * locales) is used: the log must work in a signal-ridden, sandboxed, freshly
 * forked process.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define LINE_MAX_BYTES 4096 /* PIPE_BUF */
#define MSG_MAX_BYTES 2048
/* Kept free while texts are added: a cut mark, quote, brace, newline. */
#define LINE_TAIL 8

#define LIMIT_PER_WINDOW 8
#define NS_PER_S UINT64_C(1000000000)

struct line {
	enum log_format format;
	size_t len;
	char text[LINE_MAX_BYTES];
};

static int log_fd = STDERR_FILENO;
static enum log_format log_format = LOG_HUMAN;
static enum log_level log_max = LOG_INFO;
static bool log_terminal; /* it may be raw, for a guest's console */

static const char *const level_names[] = {
	[LOG_ERR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

void
log_setup(int fd, enum log_format format, enum log_level max_level)
{
	__atomic_store_n(&log_fd, fd, __ATOMIC_RELAXED);
	__atomic_store_n(&log_terminal, isatty(fd) == 1, __ATOMIC_RELAXED);
	__atomic_store_n(&log_format, format, __ATOMIC_RELAXED);
	__atomic_store_n(&log_max, max_level, __ATOMIC_RELAXED);
}

bool
log_enabled(enum log_level level)
{
	return level <= __atomic_load_n(&log_max, __ATOMIC_RELAXED);
}

int
log_level_parse(const char *name, enum log_level *ret)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {
		{ "error", LOG_ERR },
		{ "err", LOG_ERR },
		{ "warn", LOG_WARN },
		{ "warning", LOG_WARN },
		{ "info", LOG_INFO },
		{ "debug", LOG_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcasecmp(name, names[i].name) == 0) {
			*ret = names[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

/* Add n bytes, all or none, leaving the tail free. */
static bool
line_put(struct line *l, const char *s, size_t n)
{
	if (l->len + n > sizeof(l->text) - LINE_TAIL)
		return false;
	memcpy(l->text + l->len, s, n);
	l->len += n;
	return true;
}

/* Use the room that line_put() leaves. */
static void
line_put_tail(struct line *l, const char *s)
{
	size_t n = MIN(strlen(s), sizeof(l->text) - l->len);

	memcpy(l->text + l->len, s, n);
	l->len += n;
}

/*
 * Length of the valid UTF-8 sequence at s and its code point; 0 when it is
 * invalid (RFC 3629: no surrogates, no overlong forms). Stops at the NUL.
 */
static size_t
utf8_take(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n;
	uint32_t c;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	c = s[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/*
 * Code points that would act on a terminal or on a reader's eye instead of
 * being shown: C0 and C1 controls, line separators, direction overrides.
 */
static bool
is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) ||
	    (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* The escape for one code point, or an empty text when it needs none. */
static void
escape_char(enum log_format format, uint32_t c, char *out, size_t size)
{
	static const char letters[] = "\bb\tt\nn\ff\rr";

	out[0] = '\0';
	if (c == '\\' || c == '"') {
		snprintf(out, size, "\\%c", (char)c);
		return;
	}
	if (!is_unsafe(c))
		return;
	for (const char *p = letters; c < 0x20 && *p != '\0'; p += 2) {
		if ((uint32_t)*p == c) {
			snprintf(out, size, "\\%c", p[1]);
			return;
		}
	}
	if (format == LOG_HUMAN && c < 0x80)
		snprintf(out, size, "\\x%02x", (unsigned)c);
	else
		snprintf(out, size, "\\u%04x", (unsigned)c);
}

/* Add a text, escaped; cut with "..." when the line is full. */
static void
line_put_text(struct line *l, const char *s, bool quoted)
{
	const unsigned char *p = (const unsigned char *)s;
	enum log_format escapes = l->format;
	char esc[16];
	uint32_t c;
	size_t n;
	bool fits;

	for (; *p != '\0'; p += n) {
		n = utf8_take(p, &c);
		if (n == 0) {
			/* In JSON the reader sees \xNN as text. */
			snprintf(esc, sizeof(esc),
			    escapes == LOG_JSON ? "\\\\x%02x" : "\\x%02x", *p);
			n = 1;
		} else if (c == '"' && !quoted) {
			esc[0] = '\0';
		} else {
			escape_char(escapes, c, esc, sizeof(esc));
		}
		if (esc[0] != '\0')
			fits = line_put(l, esc, strlen(esc));
		else
			fits = line_put(l, (const char *)p, n);
		if (!fits) {
			line_put_tail(l, "...");
			return;
		}
	}
}

/* Year, month, day from days since 1970-01-01 (proleptic Gregorian). */
static void
civil_date(int64_t days, int *y, int *m, int *d)
{
	/* Count from 0000-03-01, so that leap days end the years. */
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2));
}

/* gmtime_r() would look for a time zone file, which a sandbox forbids. */
static void
line_put_time(struct line *l)
{
	struct timespec ts;
	char text[64];
	int y, m, d, s;

	clock_gettime(CLOCK_REALTIME, &ts);
	civil_date(ts.tv_sec / 86400, &y, &m, &d);
	s = (int)(ts.tv_sec % 86400);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", y,
	    m, d, s / 3600, s / 60 % 60, s % 60, ts.tv_nsec / 1000);
	line_put(l, text, strlen(text));
}

static bool
needs_quotes(const char *s)
{
	return *s == '\0' || s[strcspn(s, " =\"")] != '\0';
}

static void
line_put_field(struct line *l, const char *key, const char *value)
{
	bool quoted = l->format == LOG_JSON || needs_quotes(value);
	size_t start = l->len;

	if (l->format == LOG_JSON) {
		/* A key that does not fit takes its field with it. */
		if (!line_put(l, ",\"", 2))
			return;
		line_put_text(l, key, true);
		if (!line_put(l, "\":\"", 3)) {
			l->len = start;
			return;
		}
	} else {
		if (!line_put(l, " ", 1))
			return;
		line_put_text(l, key, false);
		if (!line_put(l, quoted ? "=\"" : "=", quoted ? 2 : 1)) {
			l->len = start;
			return;
		}
	}
	line_put_text(l, value, quoted);
	if (quoted)
		line_put_tail(l, "\"");
}

static void
line_put_head(
    struct line *l, enum log_level level, const char *subsys, const char *msg)
{
	char text[16];

	if (l->format == LOG_JSON) {
		line_put(l, "{\"time\":\"", 9);
		line_put_time(l);
		line_put(l, "\"", 1);
		line_put_field(l, "level", level_names[level]);
		line_put_field(l, "subsys", subsys);
		line_put_field(l, "msg", msg);
		return;
	}
	line_put_time(l);
	snprintf(text, sizeof(text), " %-5s ", level_names[level]);
	line_put(l, text, strlen(text));
	line_put_text(l, subsys, false);
	line_put(l, ": ", 2);
	line_put_text(l, msg, false);
}

/* extra: one more field ahead of the others, or NULL. */
static void
log_emit(enum log_level level, const char *subsys, const char *msg,
    const struct log_field *extra, const struct log_field *fields)
{
	bool terminal = __atomic_load_n(&log_terminal, __ATOMIC_RELAXED);
	int saved = errno;
	struct line l;

	l.format = __atomic_load_n(&log_format, __ATOMIC_RELAXED);
	l.len = 0;
	line_put_head(&l, level, subsys, msg);
	if (extra != NULL)
		line_put_field(&l, extra->key, extra->value);
	for (; fields != NULL && fields->key != NULL; fields++)
		line_put_field(&l, fields->key, fields->value);
	if (l.format == LOG_JSON)
		line_put_tail(&l, terminal ? "}\r\n" : "}\n");
	else
		line_put_tail(&l, terminal ? "\r\n" : "\n");
	/* A reader that is gone or slow must not stop the machine. */
	(void)fd_write_nosig(
	    __atomic_load_n(&log_fd, __ATOMIC_RELAXED), l.text, l.len);
	errno = saved;
}

void
log_event(enum log_level level, const char *subsys, const char *msg,
    const struct log_field *fields)
{
	if (log_enabled(level))
		log_emit(level, subsys, msg, NULL, fields);
}

static void __attribute__((format(printf, 4, 0)))
log_vmsg(enum log_level level, const char *subsys,
    const struct log_field *extra, const char *fmt, va_list ap)
{
	char msg[MSG_MAX_BYTES];
	int n;

	n = vsnprintf(msg, sizeof(msg), fmt, ap);
	if (n < 0)
		msg[0] = '\0';
	else if ((size_t)n >= sizeof(msg))
		memcpy(msg + sizeof(msg) - 4, "...", 4);
	log_emit(level, subsys, msg, extra, NULL);
}

void
log_msg(enum log_level level, const char *subsys, const char *fmt, ...)
{
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	log_vmsg(level, subsys, NULL, fmt, ap);
	va_end(ap);
}

/*
 * Count one line in its window. False: drop it. *ret_dropped: how many were
 * dropped before this line.
 */
static bool
limit_take(struct log_limit *lim, unsigned *ret_dropped)
{
	struct timespec ts;
	uint64_t now, start;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	start = __atomic_load_n(&lim->window_ns, __ATOMIC_ACQUIRE);
	if ((start == 0 || now - start >= NS_PER_S) &&
	    __atomic_compare_exchange_n(&lim->window_ns, &start, now, false,
		__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		__atomic_store_n(&lim->count, 0, __ATOMIC_RELEASE);
	if (__atomic_fetch_add(&lim->count, 1, __ATOMIC_ACQ_REL) >=
	    LIMIT_PER_WINDOW) {
		__atomic_fetch_add(&lim->dropped, 1, __ATOMIC_RELAXED);
		return false;
	}
	*ret_dropped = __atomic_exchange_n(&lim->dropped, 0, __ATOMIC_RELAXED);
	return true;
}

void
log_ratelimited(struct log_limit *lim, enum log_level level, const char *subsys,
    const char *fmt, ...)
{
	char number[16];
	struct log_field extra = { "suppressed", number };
	unsigned dropped;
	va_list ap;

	if (!log_enabled(level) || !limit_take(lim, &dropped))
		return;
	snprintf(number, sizeof(number), "%u", dropped);
	va_start(ap, fmt);
	log_vmsg(level, subsys, dropped != 0 ? &extra : NULL, fmt, ap);
	va_end(ap);
}
