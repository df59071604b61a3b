/*
 * The log. It goes to a packet socket here, so that each write(2) arrives as a
 * packet of its own and can be counted.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "tap.h"

struct sink {
	int out; /* the log's end */
	int in;
	char line[8192];
};

static void
sink_open(struct sink *s, enum log_format format, enum log_level level)
{
	int socks[2];

	tap_check_int(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks), 0);
	s->out = socks[0];
	s->in = socks[1];
	log_setup(s->out, format, level);
}

static void
sink_close(struct sink *s)
{
	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_INFO);
	close(s->out);
	close(s->in);
}

/* The next line without its newline; NULL when there is none. */
static char *
sink_next(struct sink *s)
{
	ssize_t n = recv(s->in, s->line, sizeof(s->line) - 1, MSG_DONTWAIT);

	if (n == -1)
		return NULL;
	tap_check(n > 0);
	s->line[n] = '\0';
	/* One line a write: one newline, at the end. */
	tap_check(strchr(s->line, '\n') == &s->line[n - 1]);
	s->line[n - 1] = '\0';
	return s->line;
}

/* What follows the time, whose form is checked on the way. */
static const char *
human_rest(struct sink *s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.ddddddZ ";
	const char *line = sink_next(s);

	tap_check(line != NULL);
	for (const char *p = shape; *p != '\0'; p++, line++)
		tap_check(
		    *p == 'd' ? *line >= '0' && *line <= '9' : *line == *p);
	return line;
}

static const char *
json_rest(struct sink *s)
{
	const char *line = sink_next(s);

	tap_check(line != NULL);
	tap_check(strncmp(line, "{\"time\":\"20", 11) == 0);
	tap_check(strncmp(line + 35, "Z\",", 3) == 0);
	return line + 38;
}

static void
human_lines(void)
{
	static const struct log_field fields[] = { { "cpu", "0" },
		{ "path", "/a b" }, { "empty", "" }, { "q", "a\"b" },
		{ NULL } };
	struct sink s;

	sink_open(&s, LOG_HUMAN, LOG_DEBUG);
	errno = EPERM;
	log_info("vmm", "guest %s", "off");
	tap_check_int(errno, EPERM);
	tap_check_str(human_rest(&s), "info  vmm: guest off");
	log_err("kvm", "x");
	tap_check_str(human_rest(&s), "error kvm: x");
	log_warn("kvm", "x");
	tap_check_str(human_rest(&s), "warn  kvm: x");
	log_debug("kvm", "x");
	tap_check_str(human_rest(&s), "debug kvm: x");
	log_event(LOG_INFO, "vmm", "hi", fields);
	tap_check_str(human_rest(&s),
	    "info  vmm: hi cpu=0 path=\"/a b\" empty=\"\" q=\"a\\\"b\"");
	log_event(LOG_INFO, "vmm", "say \"hi\"", NULL);
	tap_check_str(human_rest(&s), "info  vmm: say \"hi\"");
	tap_check(sink_next(&s) == NULL);
	sink_close(&s);
}

static void
json_lines(void)
{
	static const struct log_field fields[] = { { "cpu", "0" },
		{ "q\"k", "a\"b\\c" }, { NULL } };
	struct sink s;

	sink_open(&s, LOG_JSON, LOG_INFO);
	log_event(LOG_WARN, "vmm", "he said \"hi\"", fields);
	tap_check_str(json_rest(&s),
	    "\"level\":\"warn\",\"subsys\":\"vmm\",\"msg\":\"he said "
	    "\\\"hi\\\"\",\"cpu\":\"0\",\"q\\\"k\":\"a\\\"b\\\\c\"}");
	sink_close(&s);
}

static void
time_is_now(void)
{
	struct sink s;
	char want[32];
	struct timespec before, after;
	struct tm tm;

	sink_open(&s, LOG_HUMAN, LOG_INFO);
	do {
		/* time(2) is that of the last tick */
		clock_gettime(CLOCK_REALTIME, &before);
		log_info("t", "x");
		sink_next(&s);
		clock_gettime(CLOCK_REALTIME, &after);
	} while (before.tv_sec != after.tv_sec);
	gmtime_r(&before.tv_sec, &tm);
	strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.", &tm);
	s.line[strlen(want)] = '\0';
	tap_check_str(s.line, want);
	sink_close(&s);
}

static void
levels_filter(void)
{
	struct sink s;
	enum log_level level = LOG_ERR;

	sink_open(&s, LOG_HUMAN, LOG_WARN);
	tap_check(log_enabled(LOG_ERR) && log_enabled(LOG_WARN));
	tap_check(!log_enabled(LOG_INFO));
	log_info("x", "no");
	log_debug("x", "no");
	log_event(LOG_INFO, "x", "no", NULL);
	tap_check(sink_next(&s) == NULL);
	sink_close(&s);
	tap_check_int(log_level_parse("warning", &level), 0);
	tap_check_int((int)level, LOG_WARN);
	tap_check_int(log_level_parse("Error", &level), 0);
	tap_check_int((int)level, LOG_ERR);
	tap_check_int(log_level_parse("debug", &level), 0);
	tap_check_int(log_level_parse("loud", &level), -EINVAL);
	tap_check_int((int)level, LOG_DEBUG);
}

/* What a guest may put into a text, and how it comes out. */
static const struct {
	const char *text, *human, *json;
} escapes[] = {
	{ "plain", "plain", "plain" },
	{ "a\nb", "a\\nb", "a\\nb" },
	{ "a\r\tb", "a\\r\\tb", "a\\r\\tb" },
	{ "\x1b[2J", "\\x1b[2J", "\\u001b[2J" },
	{ "\x7f", "\\x7f", "\\u007f" },
	{ "a\\nb", "a\\\\nb", "a\\\\nb" },
	{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
	/* C1 controls, line separator, right-to-left override */
	{ "\xc2\x9b", "\\u009b", "\\u009b" },
	{ "\xe2\x80\xa8", "\\u2028", "\\u2028" },
	{ "\xe2\x80\xae", "\\u202e", "\\u202e" },
	/* a lone byte, a cut sequence, overlong, surrogate, too big */
	{ "a\xff", "a\\xff", "a\\\\xff" },
	{ "\xe2\x82", "\\xe2\\x82", "\\\\xe2\\\\x82" },
	{ "\xc0\xaf", "\\xc0\\xaf", "\\\\xc0\\\\xaf" },
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\\\xe0\\\\x80\\\\xaf" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\\\xed\\\\xa0\\\\x80" },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
	    "\\\\xf4\\\\x90\\\\x80\\\\x80" },
	{ "\x80", "\\x80", "\\\\x80" },
};

static void
texts_are_escaped(void)
{
	struct log_field fields[2] = { { NULL }, { NULL } };
	struct sink s;
	char want[256];

	for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
		tap_context("case %zu", i);
		sink_open(&s, LOG_HUMAN, LOG_INFO);
		log_info("t", "%s", escapes[i].text);
		str_format(want, sizeof(want), "info  t: %s", escapes[i].human);
		tap_check_str(human_rest(&s), want);
		sink_close(&s);
		sink_open(&s, LOG_JSON, LOG_INFO);
		fields[0].key = escapes[i].text;
		fields[0].value = escapes[i].text;
		log_event(LOG_INFO, escapes[i].text, escapes[i].text, fields);
		str_format(want, sizeof(want),
		    "\"level\":\"info\",\"subsys\":\"%s\",\"msg\":\"%s\","
		    "\"%s\":\"%s\"}",
		    escapes[i].json, escapes[i].json, escapes[i].json,
		    escapes[i].json);
		tap_check_str(json_rest(&s), want);
		sink_close(&s);
	}
}

static void
lines_cannot_be_forged(void)
{
	static const struct log_field fields[] = {
		{ "k\n{\"level\":\"error\"}", "v\"}\n{\"forged\":\"yes\"}" },
		{ NULL }
	};
	struct sink s;

	sink_open(&s, LOG_HUMAN, LOG_INFO);
	log_info("t", "x\n2026-01-01T00:00:00.000000Z error vmm: forged");
	/* sink_next() refuses a second newline. */
	tap_check_has(human_rest(&s), "x\\n2026");
	sink_close(&s);
	sink_open(&s, LOG_JSON, LOG_INFO);
	log_event(LOG_INFO, "t", "m\"}\n{\"a\":\"b", fields);
	tap_check_has(json_rest(&s), "\"msg\":\"m\\\"}\\n{\\\"a\\\":\\\"b\",");
	sink_close(&s);
}

/* Texts that end near the limit, with each kind of character at the cut. */
static void
long_lines_are_cut_well(void)
{
	static const char *const fill[] = { "a", "\n", "\"", "\x1b", "\xff",
		"\xf0\x9f\x98\x80", "\xe2\x80\xae" };
	struct log_field fields[3] = { { NULL }, { "second", "2" }, { NULL } };
	const char *line;
	struct sink s;
	char text[6000];
	size_t n, len;

	for (size_t f = 0; f < ARRAY_LEN(fill); f++) {
		len = strlen(fill[f]);
		for (size_t size = 3900; size < 4100; size++) {
			for (n = 0; n + len <= size; n += len)
				memcpy(text + n, fill[f], len);
			text[n] = '\0';
			fields[0] = (struct log_field){ "first", text };
			sink_open(&s, LOG_JSON, LOG_INFO);
			log_event(LOG_INFO, "t", "m", fields);
			line = json_rest(&s);
			n = strlen(s.line);
			tap_check(n < 4096);
			tap_check_str(&s.line[n - 2], "\"}");
			tap_check_has(line, "\"first\":\"");
			sink_close(&s);
		}
	}
	sink_open(&s, LOG_HUMAN, LOG_INFO);
	memset(text, 'b', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("t", "%s", text);
	line = human_rest(&s);
	tap_check_str(line + strlen(line) - 5, "bb...");
	log_event(LOG_INFO, text, "m", NULL);
	line = human_rest(&s);
	tap_check(strlen(s.line) < 4096);
	sink_close(&s);
}

static void
gone_or_slow_reader_does_no_harm(void)
{
	int fds[2];

	tap_check_int(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	log_setup(fds[1], LOG_HUMAN, LOG_INFO);
	for (int i = 0; i < 5000; i++)
		log_info("t", "a line that nobody reads");
	close(fds[0]);
	/* SIGPIPE would end the process. */
	log_info("t", "nobody is there");
	close(fds[1]);
	log_info("t", "nothing is there");
}

#define THREADS 4
#define LINES 200

static void *
log_thread(void *arg)
{
	static struct log_limit limit;

	for (int i = 0; i < LINES; i++) {
		log_info("thread", "line from %s", (const char *)arg);
		log_ratelimited(&limit, LOG_DEBUG, "thread", "not shown");
		log_ratelimited(&limit, LOG_INFO, "limited", "shown at times");
	}
	return NULL;
}

static void
threads_write_whole_lines(void)
{
	pthread_t threads[THREADS];
	unsigned lines = 0, limited = 0;
	FILE *fp;
	char path[128], line[256];
	int fd;

	str_format(path, sizeof(path), "%s/log", tap_tmpdir());
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	log_setup(fd, LOG_HUMAN, LOG_INFO);
	for (int i = 0; i < THREADS; i++)
		tap_check_int(pthread_create(&threads[i], NULL, log_thread,
				  (void *)(uintptr_t) "somewhere"),
		    0);
	/* Another thread may change the setup meanwhile. */
	log_setup(fd, LOG_HUMAN, LOG_INFO);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_INFO);
	close(fd);
	fp = fopen(path, "re");
	while (fgets(line, sizeof(line), fp) != NULL) {
		if (strstr(line, " limited: ") != NULL) {
			limited++;
			continue;
		}
		lines++;
		tap_check_str(line + 28, "info  thread: line from somewhere\n");
	}
	fclose(fp);
	tap_check_u64(lines, THREADS * LINES);
	tap_note("%u limited lines", limited);
	tap_check(limited >= 8 && limited < THREADS * LINES);
}

/* All within the limit's second: another try for a machine that took longer. */
static void
write_much(struct sink *s, struct log_limit *limit)
{
	struct timespec a, b;

	do {
		while (sink_next(s) != NULL)
			;
		memset(limit, 0, sizeof(*limit));
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (int i = 0; i < 20; i++)
			log_ratelimited(
			    limit, LOG_INFO, "dev", "bad write %d", i);
		clock_gettime(CLOCK_MONOTONIC, &b);
	} while ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >=
	    1000000000);
}

static void
guest_messages_are_limited(void)
{
	static struct log_limit limit, other;
	struct timespec second = { 1, 50000000 };
	struct sink s;

	sink_open(&s, LOG_HUMAN, LOG_INFO);
	write_much(&s, &limit);
	for (int i = 0; i < 8; i++) {
		tap_check_has(human_rest(&s), "info  dev: bad write");
		tap_check(strstr(s.line, "suppressed") == NULL);
	}
	tap_check(sink_next(&s) == NULL);
	/* Another call site has its own account. */
	log_ratelimited(&other, LOG_INFO, "dev", "else");
	tap_check_str(human_rest(&s), "info  dev: else");
	nanosleep(&second, NULL);
	log_ratelimited(&limit, LOG_INFO, "dev", "again");
	tap_check_str(human_rest(&s), "info  dev: again suppressed=12");
	log_ratelimited(&limit, LOG_INFO, "dev", "again");
	tap_check_str(human_rest(&s), "info  dev: again");
	sink_close(&s);
}

static const struct tap_test tests[] = {
	TAP_TEST(human_lines),
	TAP_TEST(json_lines),
	TAP_TEST(time_is_now),
	TAP_TEST(levels_filter),
	TAP_TEST(texts_are_escaped),
	TAP_TEST(lines_cannot_be_forged),
	TAP_TEST(long_lines_are_cut_well),
	TAP_TEST(gone_or_slow_reader_does_no_harm),
	TAP_TEST(threads_write_whole_lines),
	TAP_TEST(guest_messages_are_limited),
};
TAP_MAIN(tests)
