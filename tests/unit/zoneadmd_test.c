/*
 * The supervisor's parts that need no zone: the matrix, logs, escapes of
 * zlogin, records and events.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "escape.h"
#include "tap.h"
#include "zone/event.h"
#include "zone/live.h"
#include "zoneadmd/logfile.h"
#include "zoneadmd/matrix.h"

/* ---- the matrix, cell by cell, in the words of docs/zones.md ---- */

static void
every_cell(void)
{
	/* ready boot halt shutdown reboot note_uninstalling status nmi pause
	 * resume */
	static const struct {
		enum zone_state state;
		enum sup_act acts[SUP_NCOMMANDS];
	} rows[] = {
		{ ZONE_STATE_CONFIGURED,
		    { ACT_REFUSE, ACT_REFUSE, ACT_REFUSE, ACT_REFUSE,
			ACT_REFUSE, ACT_LEAVE, ACT_STATUS, ACT_REFUSE,
			ACT_REFUSE, ACT_REFUSE } },
		{ ZONE_STATE_INCOMPLETE,
		    { ACT_REFUSE, ACT_REFUSE, ACT_REFUSE, ACT_REFUSE,
			ACT_REFUSE, ACT_LEAVE, ACT_STATUS, ACT_REFUSE,
			ACT_REFUSE, ACT_REFUSE } },
		{ ZONE_STATE_INSTALLED,
		    { ACT_READY, ACT_READY_BOOT, ACT_ALREADY, ACT_ALREADY,
			ACT_REFUSE, ACT_LEAVE, ACT_STATUS, ACT_REFUSE,
			ACT_REFUSE, ACT_REFUSE } },
		{ ZONE_STATE_READY,
		    { ACT_ALREADY, ACT_BOOT, ACT_HALT, ACT_REFUSE, ACT_REFUSE,
			ACT_REFUSE, ACT_STATUS, ACT_REFUSE, ACT_REFUSE,
			ACT_REFUSE } },
		{ ZONE_STATE_RUNNING,
		    { ACT_READY_AGAIN, ACT_ALREADY, ACT_HALT, ACT_SHUTDOWN,
			ACT_REBOOT, ACT_REFUSE, ACT_STATUS, ACT_NMI, ACT_PAUSE,
			ACT_RESUME } },
		{ ZONE_STATE_SHUTTING_DOWN,
		    { ACT_READY_AGAIN, ACT_ALREADY, ACT_HALT, ACT_SHUTDOWN,
			ACT_REBOOT, ACT_REFUSE, ACT_STATUS, ACT_NMI, ACT_PAUSE,
			ACT_RESUME } },
		{ ZONE_STATE_DOWN,
		    { ACT_READY_AGAIN, ACT_REBOOT, ACT_HALT, ACT_HALT,
			ACT_REBOOT, ACT_REFUSE, ACT_STATUS, ACT_REFUSE,
			ACT_REFUSE, ACT_REFUSE } },
	};

	for (size_t r = 0; r < ARRAY_LEN(rows); r++)
		for (size_t c = 0; c < SUP_NCOMMANDS; c++) {
			tap_context("%s, %s", zone_state_name(rows[r].state),
			    sup_command_names[c]);
			tap_check_int(
			    sup_act_of(rows[r].state, (enum sup_command)c),
			    rows[r].acts[c]);
		}
	tap_check_int(sup_act_of(ZONE_STATE_MOUNTED, SUP_BOOT), ACT_REFUSE);
}

static void
command_names(void)
{
	enum sup_command c = SUP_NMI;

	tap_check_int(sup_command_parse("note_uninstalling", &c), 0);
	tap_check_int(c, SUP_UNINSTALLING);
	tap_check_int(sup_command_parse("fly", &c), -EINVAL);
	tap_check_int(c, SUP_UNINSTALLING);
}

/* ---- logs ---- */

static char *
read_log(int dir, const char *name)
{
	static struct buf b;

	buf_fini(&b);
	buf_init(&b, 8 << 20);
	tap_check_int(fd_read_file(dir, name, &b), 0);
	return (char *)(uintptr_t)buf_str(&b);
}

static int
open_tmp(void)
{
	int dir = open(tap_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	tap_check(dir >= 0);
	return dir;
}

static void
lines_are_stamped_and_harmless(void)
{
	struct logfile lf;
	int dir = open_tmp();
	char *text;

	logfile_init(&lf, "log");
	logfile_feed(&lf, "lost\n", 5); /* nowhere to go yet */
	logfile_open(&lf, dir);
	logfile_feed(&lf, "one\r\ntw", 7);
	text = read_log(dir, "log");
	tap_check_has(text, "Z one\n");
	tap_check(strstr(text, "tw") == NULL);
	logfile_feed(&lf, "o\x1b[31m\tred\n", 11);
	tap_check_has(read_log(dir, "log"), "Z two\\x1b[31m\tred\n");
	logfile_feed(&lf, "half", 4);
	logfile_line(&lf, "of our\nown");
	text = read_log(dir, "log");
	tap_check_has(text, "Z half\n");
	tap_check_has(text, "Z of our own\n");
	logfile_feed(&lf, "end", 3);
	logfile_close(&lf);
	tap_check_has(read_log(dir, "log"), "Z end\n");
	tap_check(read_log(dir, "log")[0] == '2');
	close(dir);
}

static void
logs_stay_small(void)
{
	static char chunk[65536];
	struct logfile lf;
	int dir = open_tmp();
	struct stat st;

	memset(chunk, 'x', sizeof(chunk));
	logfile_init(&lf, "log");
	logfile_open(&lf, dir);
	for (int i = 0; i < 100; i++)
		logfile_feed(&lf, chunk, sizeof(chunk));
	logfile_close(&lf);
	tap_check_int(fstatat(dir, "log", &st, 0), 0);
	tap_check(st.st_size <= LOGFILE_MAX);
	tap_check_int(fstatat(dir, "log.0", &st, 0), 0);
	tap_check(st.st_size <= LOGFILE_MAX);
	tap_check(fstatat(dir, "log.1", &st, 0) != 0);
	/* a line without an end is cut */
	tap_check_has(read_log(dir, "log"), "x\n2");
	close(dir);
}

static void
what_stands_in_the_way_is_no_log(void)
{
	struct logfile lf;
	int dir = open_tmp();

	tap_check_int(mkfifoat(dir, "log", 0600), 0);
	logfile_init(&lf, "log");
	logfile_open(&lf, dir);
	logfile_feed(&lf, "one\n", 4);
	tap_check(lf.lost > 0);
	tap_check_int(unlinkat(dir, "log", 0), 0);
	logfile_feed(&lf, "two\n", 4);
	tap_check_has(read_log(dir, "log"), "Z two\n");
	logfile_close(&lf);
	close(dir);
}

/* ---- escapes ---- */

static void
escapes(void)
{
	static const struct {
		const char *in, *out;
		bool end;
	} rows[] = {
		{ "~.", "", true },
		{ "hello", "hello", false },
		{ "a~.", "a~.", false },
		{ "a\r~.", "a\r", true },
		{ "a\n~.rest", "a\n", true },
		{ "~~.", "~.", false },
		{ "~x", "~x", false },
		{ "~\r~.", "~\r", true },
		{ "\r~~\r~.", "\r~\r", true },
	};
	char out[64];
	size_t n, k;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct escape whole, bytes;
		bool end = false;

		tap_context("row %zu", i);
		escape_init(&whole, '~');
		tap_check_int(escape_feed(&whole, rows[i].in,
				  strlen(rows[i].in), out, &n),
		    rows[i].end);
		tap_check_int(n, strlen(rows[i].out));
		tap_check_mem(out, rows[i].out, n);
		/* the same, a byte at a time */
		escape_init(&bytes, '~');
		n = 0;
		for (const char *p = rows[i].in; *p != '\0' && !end; p++) {
			end = escape_feed(&bytes, p, 1, out + n, &k);
			n += k;
		}
		tap_check_int(end, rows[i].end);
		tap_check_int(n, strlen(rows[i].out));
		tap_check_mem(out, rows[i].out, n);
	}
}

static void
no_escape(void)
{
	struct escape e;
	char out[8];
	size_t n;

	escape_init(&e, -1);
	tap_check(!escape_feed(&e, "~.\xff.", 4, out, &n));
	tap_check_int(n, 4);
	tap_check_int(escape_parse("~"), '~');
	tap_check_int(escape_parse("^]"), 0x1d);
	tap_check_int(escape_parse("^?"), 0x7f);
	tap_check_int(escape_parse(""), -1);
	tap_check_int(escape_parse("ab"), -1);
}

/* ---- records ---- */

static struct nvlist *
record(const char *state, pid_t pid)
{
	struct nvlist *r = nvlist_create();

	tap_check(r != NULL);
	tap_check_int(nvlist_add_str(r, "state", state), 0);
	tap_check_int(nvlist_add_str(r, "step", ""), 0);
	tap_check_int(nvlist_add_u64(r, "instance", 7), 0);
	tap_check_int(nvlist_add_u64(r, "pid", (uint64_t)pid), 0);
	return r;
}

static enum zone_state
state_of(const char *root)
{
	const struct zone_entry e = { .name = "z",
		.state = ZONE_STATE_INSTALLED };

	return zone_live_state(root, &e);
}

static void
a_record_lives_as_long_as_its_process(void)
{
	const char *root = tap_tmpdir();
	struct zone_live live;
	struct nvlist *r;
	int dir, status;
	pid_t pid;

	tap_check_int(zone_live_read(root, "z", &live), -ENOENT);
	dir = zone_live_open(root, "z", true, NULL);
	tap_check(dir >= 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	r = record("running", pid);
	tap_check_int(zone_live_write(dir, r, NULL), 0);
	nvlist_free(r);
	tap_check_int(zone_live_read(root, "z", &live), 0);
	tap_check(live.alive);
	tap_check_int(live.pid, pid);
	tap_check_u64(live.instance, 7);
	zone_live_fini(&live);
	tap_check_int(state_of(root), ZONE_STATE_RUNNING);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	tap_check_int(zone_live_read(root, "z", &live), 0);
	tap_check(!live.alive);
	zone_live_fini(&live);
	tap_check_int(state_of(root), ZONE_STATE_INSTALLED);
	/* another process of that number is another process */
	r = record("running", getpid());
	tap_check_int(zone_live_write(dir, r, NULL), 0);
	tap_check_int(state_of(root), ZONE_STATE_RUNNING);
	tap_check_int(nvlist_add_u64(r, "start", 1), 0);
	{
		struct buf b;

		buf_init(&b, 65536);
		tap_check_int(nvlist_pack(r, &b), 0);
		tap_check_int(
		    zone_live_put(dir, "state", b.data, b.len, NULL), 0);
		buf_fini(&b);
	}
	nvlist_free(r);
	tap_check_int(state_of(root), ZONE_STATE_INSTALLED);
	tap_check_int(zone_live_forget(dir), 0);
	tap_check_int(zone_live_forget(dir), 0);
	close(dir);
}

static void
a_damaged_record_is_none(void)
{
	const char *root = tap_tmpdir();
	int dir = zone_live_open(root, "z", true, NULL);
	struct nvlist *r = record("asleep", 0);
	struct zone_live live;

	tap_check(dir >= 0);
	tap_check_int(zone_live_put(dir, "state", "junk", 4, NULL), 0);
	tap_check(zone_live_read(root, "z", &live) < 0);
	tap_check_int(zone_live_write(dir, r, NULL), 0);
	tap_check_int(zone_live_read(root, "z", &live), -EINVAL);
	tap_check_int(state_of(root), ZONE_STATE_INSTALLED);
	nvlist_free(r);
	close(dir);
}

/* ---- events ---- */

static void
events_are_json_lines(void)
{
	const struct zone_event ev = { .zone = "z",
		.event = "exit",
		.cause = "a \"quote\", a \\ and\na\x01line",
		.status = "256" };
	const char *root = tap_tmpdir();
	int dir = zone_live_open(root, "z", true, NULL);
	char path[ZONE_LIVE_PATH];

	tap_check(dir >= 0);
	tap_check_int(zone_event_write(root, &ev, NULL), 0);
	tap_check_int(zone_event_path(root, false, path, sizeof(path)), 0);
	tap_check_has(read_log(AT_FDCWD, path),
	    "Z\",\"zone\":\"z\",\"event\":\"exit\",\"cause\":\"a "
	    "\\\"quote\\\", a \\\\ and\\na\\u0001line\",\"status\":\"256\"}\n");
	close(dir);
}

static void
events_are_rotated_and_never_mixed(void)
{
	enum { WRITERS = 4, LINES = 3000 };
	const struct zone_event ev = { .zone = "z",
		.event = "state",
		.cause =
		    "a text that makes the file full some time, and more" };
	const char *root = tap_tmpdir();
	int dir = zone_live_open(root, "z", true, NULL), status, lines = 0;
	char path[ZONE_LIVE_PATH];
	pid_t pids[WRITERS];
	struct stat st;

	tap_check(dir >= 0);
	for (int w = 0; w < WRITERS; w++) {
		pids[w] = fork();
		if (pids[w] == 0) {
			for (int i = 0; i < LINES; i++)
				if (zone_event_write(root, &ev, NULL) < 0)
					_exit(1);
			_exit(0);
		}
	}
	for (int w = 0; w < WRITERS; w++) {
		waitpid(pids[w], &status, 0);
		tap_check_int(status, 0);
	}
	for (int old = 0; old < 2; old++) {
		char *text;

		zone_event_path(root, old == 1, path, sizeof(path));
		tap_check_int(stat(path, &st), 0);
		tap_check(st.st_size < ZONE_EVENT_MAX + 1024);
		text = read_log(AT_FDCWD, path);
		for (char *p = text; *p != '\0'; lines++) {
			char *end = strchr(p, '\n');

			tap_check(end != NULL && end - p > 100);
			tap_check_mem(p, "{\"time\":\"2", 10);
			tap_check_mem(end - 8, "d more\"}", 8);
			p = end + 1;
		}
	}
	tap_note("%d lines kept", lines);
	close(dir);
}

static const struct tap_test tests[] = {
	TAP_TEST(every_cell),
	TAP_TEST(command_names),
	TAP_TEST(lines_are_stamped_and_harmless),
	TAP_TEST(logs_stay_small),
	TAP_TEST(what_stands_in_the_way_is_no_log),
	TAP_TEST(escapes),
	TAP_TEST(no_escape),
	TAP_TEST(a_record_lives_as_long_as_its_process),
	TAP_TEST(a_damaged_record_is_none),
	TAP_TEST(events_are_json_lines),
	TAP_TEST(events_are_rotated_and_never_mixed),
};
TAP_MAIN(tests)
