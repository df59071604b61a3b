/*
 * zhyve without a zone: this program plays the supervisor on the other end of
 * the control socket. ZHYVE_BHYVE is the program, ZHYVE_GUESTS the folder of
 * the test guests, ZHYVE_ENGINE the engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "ipc/ipc.h"
#include "jail/priv.h"
#include "tap.h"

#define PATIENCE_MS 60000

struct zone {
	pid_t pid;
	int control, console;
	char record[256]; /* path of the exit record */
};

/* As the jail does it: the program's descriptors at their places. */
static void
child(int control, int record)
{
	const char *options = getenv("ASAN_OPTIONS");
	int null = open("/dev/null", O_RDWR);
	char text[256];

	/* a locked process lets nobody look at it, LeakSanitizer included */
	snprintf(text, sizeof(text), "%s:detect_leaks=0",
	    options != NULL ? options : "");
	setenv("ASAN_OPTIONS", text, 1);
	dup2(null, 0);
	dup2(control, 3);
	dup2(record, 6);
	execl(getenv("ZHYVE_BHYVE"), "zhyve", (char *)NULL);
	_exit(127);
}

static void
start(struct zone *z)
{
	int sv[2], record, high;

	snprintf(z->record, sizeof(z->record), "%s/exit", tap_tmpdir());
	record = open(z->record, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	tap_check(record >= 0);
	tap_check_int(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	high = fcntl(sv[1], F_DUPFD_CLOEXEC, 20);
	z->pid = fork();
	tap_check(z->pid >= 0);
	if (z->pid == 0)
		child(high, fcntl(record, F_DUPFD_CLOEXEC, 20));
	close(high);
	close(record);
	close(sv[1]);
	z->control = sv[0];
	z->console = -1;
}

static void
tell(struct zone *z, struct nvlist *msg, int fd)
{
	tap_check(msg != NULL);
	tap_check_int(ipc_send(z->control, msg, &fd, fd >= 0 ? 1 : 0), 0);
	nvlist_free(msg);
}

static void
pass(struct zone *z, const char *path, int fd)
{
	struct nvlist *msg = ipc_message("file");

	tap_check(fd >= 0);
	tap_check_int(nvlist_add_str(msg, "path", path), 0);
	tell(z, msg, fd);
	close(fd);
}

/* The next message, which must be of that type; its list is the caller's. */
static struct nvlist *
expect(struct zone *z, const char *want)
{
	struct pollfd p = { .fd = z->control, .events = POLLIN };
	struct error err = ERROR_INIT;
	struct nvlist *msg = NULL;
	const char *type = "none", *text = "";

	tap_check_int(poll(&p, 1, PATIENCE_MS), 1);
	tap_check_int(
	    ipc_recv(z->control, &msg, &type, NULL, 0, NULL, &err), 1);
	if (nvlist_get_str(msg, "text", &text) == 0)
		tap_note("%s: %s", type, text);
	tap_check_str(type, want);
	return msg;
}

static int
status(struct zone *z)
{
	int st;

	tap_check_int(waitpid(z->pid, &st, 0), z->pid);
	tap_check(WIFEXITED(st));
	close(z->control);
	fd_close(&z->console);
	return WEXITSTATUS(st);
}

/* The paths are names only: what they mean is what was passed. */
static void
build(struct zone *z, const char *guest, const char *cmdline)
{
	const char *args[] = { "bhyve", "-m", "32", "-s", "0,hostbridge", "-s",
		"31,lpc", "-l", "com1,/dev/zconsole", "-o", NULL, "-o",
		"boot.kernel=/the/kernel", "-o", NULL, "SYSbhyve-1" };
	uint64_t privs[JAIL_PRIV_WORDS] = { 0 };
	char path[512], engine[64], line[256];
	struct nvlist *msg = ipc_message("build");
	int sv[2];

	snprintf(path, sizeof(path), "%s/%s",
	    guest[0] == '/' ? "" : getenv("ZHYVE_GUESTS"), guest);
	snprintf(engine, sizeof(engine), "engine=%s", getenv("ZHYVE_ENGINE"));
	snprintf(line, sizeof(line), "boot.cmdline=%s", cmdline);
	args[10] = engine;
	args[14] = line;
	pass(z, "/the/kernel", open(path, O_RDONLY | O_CLOEXEC));
	tap_check_int(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	pass(z, "/dev/zconsole", sv[1]);
	z->console = sv[0];
	if (strcmp(getenv("ZHYVE_ENGINE"), "kvm") == 0)
		pass(z, "/dev/kvm", open("/dev/kvm", O_RDWR | O_CLOEXEC));
	tap_check_int(
	    nvlist_add_strs(msg, "args", args, sizeof(args) / sizeof(args[0])),
	    0);
	tap_check_int(nvlist_add_u64s(msg, "privs", privs, JAIL_PRIV_WORDS), 0);
	tell(z, msg, -1);
}

static void
start_guest(struct zone *z, const char *guest, const char *cmdline)
{
	start(z);
	build(z, guest, cmdline);
	nvlist_free(expect(z, "ready"));
	tell(z, ipc_message("run"), -1);
	nvlist_free(expect(z, "running"));
}

static void
expect_exit(struct zone *z, uint64_t want, const char *cause)
{
	struct nvlist *msg = expect(z, "exit");
	const char *text = NULL;
	char line[256], record[256];
	uint64_t got = 99;
	ssize_t n;
	int fd;

	tap_check_int(nvlist_get_u64(msg, "status", &got), 0);
	tap_check_int(got, want);
	tap_check_int(nvlist_get_str(msg, "cause", &text), 0);
	tap_check(strstr(text, cause) != NULL);
	snprintf(record, sizeof(record), "%ju %s\n", (uintmax_t)want, text);
	tap_check_int(status(z), (int)want);
	fd = open(z->record, O_RDONLY | O_CLOEXEC);
	n = fd_read_full(fd, line, sizeof(line) - 1);
	tap_check(n > 0);
	line[n] = '\0';
	tap_check_str(line, record);
	close(fd);
	nvlist_free(msg);
}

static void
runs_when_told(void)
{
	struct zone z;
	struct nvlist *msg;
	const char *engine = NULL;
	char text[4096];
	uint64_t n = 0;
	ssize_t got;

	start(&z);
	build(&z, "ends.elf", "end=poweroff");
	msg = expect(&z, "ready");
	tap_check_int(nvlist_get_str(msg, "engine", &engine), 0);
	tap_check_str(engine, getenv("ZHYVE_ENGINE"));
	tap_check_int(nvlist_get_u64(msg, "memory", &n), 0);
	tap_check_int(n, 32 << 20);
	nvlist_free(msg);
	/* nothing has run */
	tap_check_int(recv(z.console, text, sizeof(text), MSG_DONTWAIT), -1);
	tell(&z, ipc_message("run"), -1);
	nvlist_free(expect(&z, "running"));
	got = fd_read_full(z.console, text, sizeof(text) - 1);
	tap_check(got > 0);
	text[got] = '\0';
	tap_check(strstr(text, "1..") != NULL);
	expect_exit(&z, 1, "");
}

static void
reset_is_status_zero(void)
{
	struct zone z;

	start_guest(&z, "ends.elf", "end=reboot");
	expect_exit(&z, 0, "");
}

static void
orders_while_it_runs(void)
{
	struct nvlist *msg = ipc_message("poweroff");
	struct zone z;

	start_guest(&z, "idle.elf", "");
	tell(&z, ipc_message("dance"), -1); /* a line in the log */
	tap_check_int(send(z.control, "rubbish", 7, MSG_NOSIGNAL), 7);
	tap_check_int(nvlist_add_str(msg, "cause", "halted by a test"), 0);
	tell(&z, msg, -1);
	expect_exit(&z, 1, "halted by a test");
}

static void
order_about_pause(struct zone *z, const char *type, uint64_t id, uint64_t s)
{
	struct nvlist *msg = ipc_message(type);

	tap_check_int(nvlist_add_u64(msg, "id", id), 0);
	tap_check_int(nvlist_add_u64(msg, "seconds", s), 0);
	tell(z, msg, -1);
}

static void
expect_pause(struct zone *z, const char *type, uint64_t want, bool want_held)
{
	struct nvlist *msg = expect(z, type);
	uint64_t id = 0;
	bool held = !want_held;

	tap_check_int(nvlist_get_u64(msg, "id", &id), 0);
	tap_check_u64(id, want);
	tap_check_int(nvlist_get_bool(msg, "held", &held), 0);
	tap_check_int(held, want_held);
	nvlist_free(msg);
}

/* A pause ends by its resume, or alone; and a paused machine can be stopped. */
static void
pauses(void)
{
	struct nvlist *msg = ipc_message("poweroff");
	struct zone z;

	start_guest(&z, "idle.elf", "");
	order_about_pause(&z, "resume", 1, 1);
	expect_pause(&z, "resumed", 1, false);
	order_about_pause(&z, "pause", 2, 0); /* lines in the log */
	order_about_pause(&z, "pause", 2, 61);
	order_about_pause(&z, "pause", 2, 60);
	expect_pause(&z, "paused", 2, true);
	order_about_pause(&z, "resume", 1, 1);
	expect_pause(&z, "resumed", 1, false);
	order_about_pause(&z, "resume", 2, 1);
	expect_pause(&z, "resumed", 2, true);
	order_about_pause(&z, "pause", 3, 1);
	expect_pause(&z, "paused", 3, true);
	sleep(2);
	order_about_pause(&z, "resume", 3, 1);
	expect_pause(&z, "resumed", 3, false);
	order_about_pause(&z, "pause", 4, 60);
	expect_pause(&z, "paused", 4, true);
	tell(&z, msg, -1);
	expect_exit(&z, 1, "zoneadmd");
}

static void
never_run(void)
{
	struct nvlist *msg = ipc_message("poweroff");
	struct zone z;

	start(&z);
	build(&z, "idle.elf", "");
	nvlist_free(expect(&z, "ready"));
	tell(&z, msg, -1);
	nvlist_free(expect(&z, "running"));
	expect_exit(&z, 1, "zoneadmd");
}

static void
says_what_is_wrong(void)
{
	struct zone z;
	struct nvlist *msg;
	const char *text = NULL;

	start(&z);
	build(&z, "/etc/passwd", "");
	msg = expect(&z, "failed");
	tap_check_int(nvlist_get_str(msg, "text", &text), 0);
	tap_check(strstr(text, "/the/kernel") != NULL);
	nvlist_free(msg);
	tap_check_int(status(&z), 4);
}

static void
orders_out_of_order(void)
{
	static const char *const types[] = { "run", "nmi", "build", "file",
		"powerbutton", "pause", "resume", "x" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct zone z;

		tap_context("%s", types[i]);
		start(&z);
		tell(&z, ipc_message(types[i]), -1);
		nvlist_free(expect(&z, "failed"));
		tap_check_int(status(&z), 4);
	}
}

static void
nobody_is_there(void)
{
	struct zone z;

	start(&z);
	close(z.control);
	z.control = -1;
	tap_check_int(status(&z), 4);
}

static const struct tap_test tests[] = {
	TAP_TEST(runs_when_told),
	TAP_TEST(reset_is_status_zero),
	TAP_TEST(orders_while_it_runs),
	TAP_TEST(pauses),
	TAP_TEST(never_run),
	TAP_TEST(says_what_is_wrong),
	TAP_TEST(orders_out_of_order),
	TAP_TEST(nobody_is_there),
};
TAP_MAIN(tests)
