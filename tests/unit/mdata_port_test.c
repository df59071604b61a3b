/*
 * A port of a zone's, served: what a guest sees while facts are late, servers
 * die, answers are not read and lines have no end.
 */
#include "mdata/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "mdata/backlog.h"
#include "mdata/frame.h"
#include "tap.h"

#define UUID "5a1c1e0e-6e3f-4f0a-9d1b-0c5d7a1b2c3d"
#define BLANK "invalid command\n"

static struct mevent_loop *loop;
static struct mdata_port *port;
static char dir_path[64], asked[512];
static int dir, guest, ours, backlog;
static bool prompt; /* facts are answered at once */
static unsigned questions, wakes;
static uint64_t long_ns; /* machines may be slow: none but where it matters */

static void
answer_facts(void)
{
	static const char *const names[] = { "sdc:uuid", "sdc:hostname" };
	static const char *const values[] = { UUID, "web01" };

	mdata_port_facts(port, asked, names, values, 2);
}

static void
on_ask(void *arg, const char *stamp)
{
	questions++;
	snprintf(asked, sizeof(asked), "%s", stamp);
}

static void
on_wake(void *arg)
{
	wakes++;
}

static void
put_file(const char *name, const char *text)
{
	int fd =
	    openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	tap_check_int(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

/* A server takes over what there is. */
static void
serve(void)
{
	const struct mdata_port_conf conf = { .loop = loop,
		.zone = "z1",
		.uuid = UUID,
		.port = dup(ours),
		.config = dup(dir),
		.zones = dup(dir),
		.backlog = dup(backlog),
		.long_ns = long_ns,
		.ask = on_ask,
		.wake = on_wake };
	struct error err = ERROR_INIT;

	tap_check_int(mdata_port_create(&conf, &port, &err), 0);
}

static void
begin(void)
{
	int pair[2];

	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_ERR);
	strcpy(dir_path, "/tmp/mdata_port.XXXXXX");
	tap_check(mkdtemp(dir_path) != NULL);
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file("z1.xml", "<zone/>");
	tap_check_int(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	guest = pair[0];
	ours = pair[1];
	tap_check_int(fd_set_nonblock(guest, true), 0);
	backlog = fd_memfd("backlog", 0, MFD_ALLOW_SEALING);
	tap_check_int(mevent_loop_create(&loop, NULL), 0);
	prompt = true;
	questions = wakes = 0;
	serve();
}

static void
end(void)
{
	static const char *const names[] = { "metadata.json", ".lock", "z1.xml",
		"tags.json" };

	mdata_port_free(port);
	mevent_loop_destroy(loop);
	close(guest);
	close(ours);
	close(backlog);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir, names[i], 0);
	close(dir);
	tap_check_int(rmdir(dir_path), 0);
}

/* Until nothing more happens. */
static void
run(void)
{
	unsigned had = questions - 1;

	for (int i = 0; i < 40; i++) {
		(void)mevent_loop_once(loop, 0);
		if (prompt && questions > 0 && had != questions) {
			had = questions;
			answer_facts();
		}
	}
}

static void
say(const char *text)
{
	tap_check_int(write(guest, text, strlen(text)), strlen(text));
	run();
}

static const char *
hear(void)
{
	static char text[MDATA_OUT_MAX + 1];
	size_t n = 0;
	ssize_t rc;

	while ((rc = read(guest, text + n, sizeof(text) - 1 - n)) > 0) {
		n += (size_t)rc;
		run();
	}
	text[n] = '\0';
	return text;
}

static const char *
talk(const char *text)
{
	say(text);
	return hear();
}

static void
talks(void)
{
	begin();
	run();
	/* asked before the guest did */
	tap_check_int(questions, 1);
	tap_check_str(hear(), "");
	tap_check_str(talk("\n"), BLANK);
	tap_check_str(talk("NEGOTIATE V2\n"), "V2_OK\n");
	tap_check_str(talk("GET sdc:hostname\n"), "SUCCESS\nweb01\n.\n");
	tap_check_str(talk("V2 21 8bf2602b 0f1e2d3e GET bm9wZQ==\n"),
	    "V2 17 d79a3bc8 0f1e2d3e NOTFOUND\n");
	/* several at once are answered one after the other */
	tap_check_str(talk("GET nope\nGET nope\nKEYS\n"),
	    "NOTFOUND\nNOTFOUND\nSUCCESS\n\n.\n");
	tap_check_int(questions, 1);
	tap_check_int(mdata_port_session_counters(port)->requests, 7);
	end();
}

/* Slowly, a byte at a time, as from a UART. */
static void
bytes(void)
{
	static const char text[] = "GET sdc:hostname\n";

	begin();
	for (const char *p = text; *p != '\0'; p++)
		say((char[]){ *p, '\0' });
	tap_check_str(hear(), "SUCCESS\nweb01\n.\n");
	end();
}

static void
edits(void)
{
	begin();
	run();
	tap_check_str(talk("GET a\n"), "NOTFOUND\n");
	put_file("metadata.json", "{\"customer_metadata\": {\"a\": \"1\"}}");
	tap_check_str(talk("GET a\n"), "SUCCESS\n1\n.\n");
	tap_check_int(questions, 1);
	/* a zone's configuration, and what else facts are made of */
	put_file("z1.xml", "<zone name='z1'/>");
	tap_check_str(talk("GET a\n"), "SUCCESS\n1\n.\n");
	tap_check_int(questions, 2);
	put_file("tags.json", "{\"t\": 1}");
	tap_check_str(talk("GET sdc:tags.t\n"), "SUCCESS\n1\n.\n");
	tap_check_int(questions, 3);
	tap_check_str(talk("GET a\nGET a\n"), "SUCCESS\n1\n.\nSUCCESS\n1\n.\n");
	tap_check_int(questions, 3);
	end();
}

/* Who asks whether anybody is there hears so; who wants to know waits. */
static void
late_facts(void)
{
	begin();
	prompt = false;
	tap_check_str(talk("\n"), BLANK);
	tap_check_str(talk("NEGOTIATE V2\n"), "V2_OK\n");
	tap_check_str(talk("GET sdc:uuid\nGET nope\n"), "");
	tap_check_str(talk("KEYS\n"), "");
	tap_check_int(questions, 1);
	answer_facts();
	run();
	tap_check_str(hear(), "SUCCESS\n" UUID "\n.\nNOTFOUND\nSUCCESS\n\n.\n");
	end();
}

/* Facts that are never those of the files: each line has one question. */
static void
never_right(void)
{
	begin();
	prompt = false;
	run();
	for (int i = 0; i < 3; i++) {
		snprintf(asked, sizeof(asked), "wrong %d", i);
		answer_facts();
		tap_check_str(talk("GET nope\n"), "NOTFOUND\n");
		tap_check_str(talk("GET nope\n"), "");
		tap_check_int(questions, 2 + i * 2 - i);
	}
	end();
}

/* Supervisors that say nothing: with former facts the guest goes on. */
static void
mute(void)
{
	uint64_t later = mevent_now_ns() + UINT64_C(1000000000000);

	begin();
	prompt = false;
	tap_check_str(talk("GET nope\n"), "");
	tap_check(mdata_port_tick(port, later));
	run();
	tap_check_str(hear(), "");
	tap_check_int(questions, 2);
	answer_facts();
	run();
	tap_check_str(hear(), "NOTFOUND\n");
	put_file("z1.xml", "<zone>2</zone>");
	tap_check_str(talk("GET nope\n"), "");
	later += UINT64_C(1000000000000);
	tap_check(mdata_port_tick(port, later));
	run();
	tap_check_str(hear(), "NOTFOUND\n");
	/* nor can they be made: at once with those that are there */
	put_file("z1.xml", "<zone>33</zone>");
	tap_check_str(talk("GET nope\n"), "");
	mdata_port_no_facts(port);
	run();
	tap_check_str(hear(), "NOTFOUND\n");
	end();
}

/* A configuration that cannot be understood, from the start. */
static void
no_facts(void)
{
	uint64_t now;

	begin();
	prompt = false;
	tap_check_str(talk("GET sdc:uuid\n"), "");
	tap_check_int(questions, 1);
	now = mevent_now_ns();
	mdata_port_no_facts(port);
	tap_check(mdata_port_tick(port, now + UINT64_C(1000000000)));
	tap_check_int(questions, 1);
	tap_check(mdata_port_tick(port, now + UINT64_C(1000000000000)));
	tap_check_int(questions, 2);
	answer_facts();
	run();
	tap_check_str(hear(), "SUCCESS\n" UUID "\n.\n");
	end();
}

/* Killed anywhere in a line: the next server has all of it. */
static void
killed_in_a_line(void)
{
	static const char line[] = "GET sdc:hostname\n";

	begin();
	for (size_t at = 0; at < sizeof(line) - 1; at++) {
		char part[32];

		tap_context("after %zu bytes", at);
		snprintf(part, sizeof(part), "%.*s", (int)at, line);
		say(part);
		tap_check_str(hear(), "");
		mdata_port_free(port);
		serve();
		tap_check_str(talk(line + at), "SUCCESS\nweb01\n.\n");
	}
	end();
}

/* Killed before it answered what it had read. */
static void
killed_before_an_answer(void)
{
	begin();
	prompt = false;
	tap_check_str(talk("GET sdc:hostname\nGET no"), "");
	mdata_port_free(port);
	prompt = true;
	serve();
	run();
	tap_check_str(hear(), "SUCCESS\nweb01\n.\n");
	tap_check_str(talk("pe\n"), "NOTFOUND\n");
	end();
}

static void
big_value(size_t n)
{
	char *value = malloc(n + 1), *json = malloc(n + 64);

	memset(value, 'x', n);
	value[n] = '\0';
	sprintf(json, "{\"customer_metadata\": {\"big\": \"%s\"}}", value);
	put_file("metadata.json", json);
	free(value);
	free(json);
}

/* A guest that does not read; servers that die meanwhile. */
static void
killed_in_an_answer(void)
{
	size_t n = MDATA_VALUE_MAX - 100;
	int small = 4096;

	begin();
	setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	big_value(n);
	say("GET big\nGET nope\n");
	tap_check_int(mdata_port_counters(port)->full, 1);
	tap_check(mdata_port_counters(port)->out < n);
	mdata_port_free(port);
	serve();
	run();
	mdata_port_free(port);
	serve();
	run();
	tap_check_int(strlen(hear()), 8 + n + 3 + 9);
	end();
}

static void
too_long(void)
{
	size_t n = 4096;
	char *part = malloc(n + 1);

	begin();
	memset(part, 'V', n);
	part[n] = '\0';
	for (size_t sent = 0; sent < 3 * MDATA_LINE_MAX; sent += n)
		say(part);
	tap_check_str(hear(), "");
	/* its end, and what comes with it */
	tap_check_str(talk("V\nGET nope\nGET sdc"), "NOTFOUND\n");
	tap_check_str(talk(":hostname\n"), "SUCCESS\nweb01\n.\n");
	tap_check_int(mdata_port_session_counters(port)->overlong, 1);
	/* a server that takes over in the middle does not answer its rest */
	for (size_t sent = 0; sent < 2 * MDATA_LINE_MAX; sent += n)
		say(part);
	mdata_port_free(port);
	serve();
	tap_check_str(talk("rest of it\nGET nope\n"), "NOTFOUND\n");
	free(part);
	end();
}

/* The longest that is allowed is no line too long. */
static void
longest(void)
{
	static char value[MDATA_GUEST_VALUE_MAX];
	struct buf inner, line;
	char key[64];

	begin();
	memset(value, 'v', sizeof(value));
	buf_init(&inner, MDATA_LINE_MAX);
	buf_init(&line, MDATA_LINE_MAX);
	buf_printf(&inner, "a2V5 ");
	for (size_t i = 0; i < sizeof(value) / 3; i++)
		buf_append_str(&inner, "dnZ2");
	buf_append_str(&inner, "dg==");
	tap_check_int(
	    mdata_frame_write(&line, "0a", "PUT", inner.data, inner.len), 0);
	for (size_t at = 0; at < line.len; at += 1000) {
		size_t n = line.len - at < 1000 ? line.len - at : 1000;

		tap_check_int(write(guest, line.data + at, n), n);
		run();
		/* in the middle of it another server comes */
		if (at == 50000) {
			mdata_port_free(port);
			serve();
		}
	}
	snprintf(key, sizeof(key), "%.60s", hear());
	tap_check(strstr(key, " 0a SUCCESS T0s=\n") != NULL);
	tap_check_int(strlen(talk("GET key\n")), 8 + MDATA_GUEST_VALUE_MAX + 3);
	buf_fini(&inner);
	buf_fini(&line);
	end();
}

static void
half_a_line(void)
{
	begin();
	tap_check_str(talk("GET sdc:host"), "");
	usleep(2100000);
	tap_check_str(talk("GET nope\n"), "NOTFOUND\n");
	tap_check_str(talk("GET sdc:host"), "");
	mdata_port_reset(port);
	tap_check_str(talk("GET nope\n"), "NOTFOUND\n");
	end();
}

/* 16 changes, then as many as there are ticks; nothing is lost. */
static void
many_changes(void)
{
	static const char put[] =
	    "V2 37 f0e72fba 0f1e2d3d PUT WTI5c2IzST0gWW13Z2RXVUs=\n";
	static const char ok[] = "V2 21 f80a8aed 0f1e2d3d SUCCESS T0s=\n";
	unsigned answers = 0, ticks = 0;

	begin();
	for (int i = 0; i < 40; i++)
		say(put);
	while (answers < 40 && ticks < 100) {
		answers += (unsigned)(strlen(hear()) / strlen(ok));
		if (ticks == 0)
			tap_check_int(answers, 16);
		tap_check(mdata_port_tick(port, mevent_now_ns()));
		run();
		ticks++;
	}
	tap_check_int(answers, 40);
	tap_check(ticks >= 24);
	tap_check_int(mdata_port_counters(port)->limited, 24);
	end();
}

/* Who takes the server's time waits for it: the others are served. */
static void
slow_lines(void)
{
	int lock;

	long_ns = MDATA_PORT_LONG_NS;
	begin();
	long_ns = 0;
	lock = openat(dir, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	tap_check_int(fd_lock_ofd(lock, true), 0);
	/* it is tried for 20 ms */
	tap_check(strstr(talk("V2 37 f0e72fba 0f1e2d3d PUT WTI5c2IzST0gWW13Z2RX"
			      "VUs=\n"),
		      " FAILURE ") != NULL);
	close(lock);
	tap_check_str(talk("GET nope\n"), "");
	tap_check_int(mdata_port_counters(port)->limited, 1);
	for (int i = 0; i < 600; i++) {
		usleep(20000);
		tap_check(mdata_port_tick(port, mevent_now_ns()));
		run();
		if (mdata_port_session_counters(port)->requests == 2)
			break;
	}
	tap_check_str(hear(), "NOTFOUND\n");
	end();
}

static void
quiet_gives_back(void)
{
	uint64_t later = mevent_now_ns() + UINT64_C(1000000000000);
	struct stat st;

	begin();
	big_value(100000);
	say("GET big\n");
	tap_check_int(strlen(hear()), 8 + 100000 + 3);
	tap_check(mdata_port_tick(port, mevent_now_ns()));
	tap_check(!mdata_port_tick(port, later));
	tap_check_int(fstat(backlog, &st), 0);
	tap_check_int(st.st_size, 0);
	tap_check_int(strlen(talk("GET big\n")), 8 + 100000 + 3);
	end();
}

/* Whatever a hostile process left in the memfd. */
static void
hostile_backlog(void)
{
	uint32_t seed = 1;

	begin();
	for (unsigned i = 0; i < 300; i++) {
		uint8_t head[48];

		say("GET a");
		mdata_port_free(port);
		tap_check_int(pread(backlog, head, sizeof(head), 0), 48);
		for (unsigned k = 0; k < 1 + i % 4; k++) {
			seed = seed * 1664525 + 1013904223;
			head[8 + (seed >> 8) % 40] = (uint8_t)(seed >> 24);
		}
		tap_check_int(pwrite(backlog, head, sizeof(head), 0), 48);
		if (i % 3 == 0)
			tap_check_int(ftruncate(backlog, 60 + i), 0);
		serve();
		run();
		(void)hear();
		(void)mdata_port_tick(port, mevent_now_ns());
		run();
		(void)hear();
		mdata_port_reset(port);
		mdata_port_free(port);
		tap_check_int(ftruncate(backlog, 0), 0);
		serve();
	}
	end();
}

static void
hang_up(void)
{
	begin();
	say("GET nope\n");
	tap_check_int(shutdown(guest, SHUT_RDWR), 0);
	run();
	(void)mdata_port_tick(port, mevent_now_ns());
	tap_check(!mdata_port_broken(port));
	end();
}

static const struct tap_test tests[] = { TAP_TEST(talks), TAP_TEST(bytes),
	TAP_TEST(edits), TAP_TEST(late_facts), TAP_TEST(never_right),
	TAP_TEST(mute), TAP_TEST(no_facts), TAP_TEST(killed_in_a_line),
	TAP_TEST(killed_before_an_answer), TAP_TEST(killed_in_an_answer),
	TAP_TEST(too_long), TAP_TEST(longest), TAP_TEST(half_a_line),
	TAP_TEST(many_changes), TAP_TEST(slow_lines),
	TAP_TEST(quiet_gives_back), TAP_TEST(hostile_backlog),
	TAP_TEST(hang_up) };
TAP_MAIN(tests)
