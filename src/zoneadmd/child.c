/*
 * The zone's process, seen from outside: what it is given, what it says, how it
 * ends. Everything it says is a guest's word as soon as a guest has broken out:
 * it is checked, bounded, and never decides more than its own zone's fate.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "zoneadmd/fault.h"
#include "zoneadmd/impl.h"

#define LOG_CHUNK 8192
#define DRAIN_ROUNDS 64
#define RECORD "exit"
/* A killed process may say nothing of its status: what 'error' is to bhyve. */
#define STATUS_UNKNOWN (4 << 8)

void
child_init(struct child *ch)
{
	*ch = (struct child){ .control = -1, .log = -1 };
}

/* ---- what it says ---- */

static void
copy_text(char *to, size_t size, const struct nvlist *msg, const char *name)
{
	const char *text = "";

	(void)nvlist_get_str(msg, name, &text);
	str_format(to, size, "%.*s", (int)size - 1, text);
}

static void
heard_ready(struct sup *sup, const struct nvlist *msg)
{
	char engine[32];
	uint64_t cpus = 0, memory = 0;

	copy_text(engine, sizeof(engine), msg, "engine");
	(void)nvlist_get_u64(msg, "cpus", &cpus);
	(void)nvlist_get_u64(msg, "memory", &memory);
	sup_log(sup, "machine built: engine %s, %ju CPUs, %ju MiB", engine,
	    (uintmax_t)cpus, (uintmax_t)(memory / MiB));
	sup->child.ready = true;
}

static void
heard_failed(struct sup *sup, const struct nvlist *msg)
{
	copy_text(sup->child.text, sizeof(sup->child.text), msg, "text");
	sup->child.failed = true;
}

static void
heard_running(struct sup *sup, const struct nvlist *msg)
{
	sup->child.running = true;
}

static void
heard_link(struct sup *sup, const struct nvlist *msg)
{
	const char *net = "";

	(void)nvlist_get_str(msg, "net", &net);
	sup_slirp_down(sup, net);
}

static void
heard_exit(struct sup *sup, const struct nvlist *msg)
{
	struct child *ch = &sup->child;

	if (nvlist_get_u64(msg, "status", &ch->status) < 0 || ch->status > 255)
		return;
	copy_text(ch->cause, sizeof(ch->cause), msg, "cause");
	ch->said = true;
}

static bool
of_last_pause(const struct sup *sup, const struct nvlist *msg)
{
	uint64_t id = 0;

	return nvlist_get_u64(msg, "id", &id) == 0 && id == sup->child.pause_id;
}

static void
heard_paused(struct sup *sup, const struct nvlist *msg)
{
	if (of_last_pause(sup, msg))
		sup->child.paused = true;
}

static void
heard_resumed(struct sup *sup, const struct nvlist *msg)
{
	if (!of_last_pause(sup, msg))
		return;
	sup->child.resumed = true;
	(void)nvlist_get_bool(msg, "held", &sup->child.held);
}

static const struct {
	const char *type;
	void (*fn)(struct sup *sup, const struct nvlist *msg);
} words[] = {
	{ "ready", heard_ready },
	{ "failed", heard_failed },
	{ "running", heard_running },
	{ "link", heard_link },
	{ "paused", heard_paused },
	{ "resumed", heard_resumed },
	{ "exit", heard_exit },
};

/* false: there is nothing more now */
static bool
hear(struct sup *sup)
{
	struct child *ch = &sup->child;
	struct error err = ERROR_INIT;
	struct nvlist *msg = NULL;
	const char *type = NULL;
	int rc;

	rc = ipc_recv(ch->control, &msg, &type, NULL, 0, NULL, &err);
	if (rc == -EPROTO) {
		sup_log(sup, "the zone's process: %s", err.text);
		return true;
	}
	if (rc <= 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].type, type) == 0)
			words[i].fn(sup, msg);
	nvlist_free(msg);
	return true;
}

static void
on_control(void *arg, int fd, unsigned what)
{
	struct sup *sup = arg;

	if (!hear(sup) && (what & MEVENT_HANGUP) != 0) {
		mevent_delete(sup->child.control_ev);
		sup->child.control_ev = NULL;
	}
}

static void
on_end(void *arg, int fd, unsigned what)
{
	struct sup *sup = arg;

	mevent_delete(sup->child.exit_ev);
	sup->child.exit_ev = NULL;
	sup->child.gone = true;
}

static bool
read_log(struct sup *sup)
{
	char data[LOG_CHUNK];
	ssize_t n;

	do {
		n = read(sup->child.log, data, sizeof(data));
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	logfile_feed(&sup->platform, data, (size_t)n);
	return true;
}

static void
on_log(void *arg, int fd, unsigned what)
{
	struct sup *sup = arg;

	if (!read_log(sup) && (what & MEVENT_HANGUP) != 0) {
		mevent_delete(sup->child.log_ev);
		sup->child.log_ev = NULL;
	}
}

/* All that it said before it ended. */
static void
drain(struct sup *sup)
{
	struct child *ch = &sup->child;

	for (int i = 0; ch->control >= 0 && i < DRAIN_ROUNDS; i++)
		if (!hear(sup))
			break;
	for (int i = 0; ch->log >= 0 && i < DRAIN_ROUNDS; i++)
		if (!read_log(sup))
			break;
	console_detach(&sup->console);
}

static int
listen_to(struct sup *sup, struct error *err)
{
	struct child *ch = &sup->child;
	int rc = 0;

	if (ch->control >= 0)
		rc = mevent_add_fd(sup->loop, ch->control, MEVENT_READ,
		    on_control, sup, &ch->control_ev, err);
	if (rc == 0 && ch->log >= 0)
		rc = mevent_add_fd(sup->loop, ch->log, MEVENT_READ, on_log, sup,
		    &ch->log_ev, err);
	if (rc == 0)
		rc = mevent_add_fd(sup->loop, jail_pidfd(ch->jail), MEVENT_READ,
		    on_end, sup, &ch->exit_ev, err);
	return rc;
}

/* ---- spawn ---- */

struct ends {
	int null, record, exe;
	int control[2]; /* its, ours */
	int log[2]; /* ours to read, its to write */
};

static void
close_ends(struct ends *e)
{
	fd_close(&e->null);
	fd_close(&e->record);
	fd_close(&e->exe);
	fd_close(&e->control[0]);
	fd_close(&e->control[1]);
	fd_close(&e->log[0]);
	fd_close(&e->log[1]);
}

static int
open_ends(struct sup *sup, struct ends *e, struct error *err)
{
	const char *init = "";

	*e = (struct ends){ -1, -1, -1, { -1, -1 }, { -1, -1 } };
	(void)nvlist_get_str(sup->snap, "initname", &init);
	e->exe = open(init, O_RDONLY | O_CLOEXEC);
	if (e->exe < 0)
		return error_sys(err, errno, "the brand's program %s", init);
	e->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	e->record = openat(sup->dir, RECORD,
	    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* a log that nobody reads stops nobody: both ends do not block */
	if (e->null < 0 || e->record < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->control) !=
		0 ||
	    pipe2(e->log, O_CLOEXEC | O_NONBLOCK) != 0 ||
	    fd_set_nonblock(e->control[1], true) != 0)
		return error_sys(err, errno, "descriptors of the zone");
	return 0;
}

int
child_spawn(struct sup *sup, const struct jail_plan *plan, const int console[2],
    struct error *err)
{
	static char name[] = "zhyve", locale[] = "LC_ALL=C";
	char *const argv[] = { name, NULL }, *const envp[] = { locale, NULL };
	struct child *ch = &sup->child;
	struct ends e;
	int rc;

	rc = open_ends(sup, &e, err);
	if (rc == 0) {
		const struct jail_fd fds[] = {
			{ e.null, 0 },
			{ e.log[1], 1 },
			{ e.log[1], 2 },
			{ e.control[0], ZHYVE_FD_CONTROL },
			{ e.control[1], ZHYVE_FD_OURS },
			{ console[1], ZHYVE_FD_CONSOLE },
			{ e.record, ZHYVE_FD_RECORD },
			{ e.log[0], ZHYVE_FD_LOG },
			{ sup->mdata.port, ZHYVE_FD_PORT },
			{ sup->mdata.backlog, ZHYVE_FD_BACKLOG },
		};
		const struct jail_program prog = { .exe = e.exe,
			.argv = argv,
			.envp = envp,
			.fds = fds,
			.nfds =
			    ARRAY_LEN(fds) - (sup->mdata.port < 0 ? 2 : 0) };

		rc = jail_spawn(plan, &prog, &ch->jail, err);
		if (rc == 1) {
			sup_log(sup, "%s", err->text);
			rc = 0;
		}
	}
	if (rc == 0) {
		ch->control = e.control[1];
		ch->log = e.log[0];
		e.control[1] = e.log[0] = -1;
		rc = listen_to(sup, err);
	}
	close_ends(&e);
	return rc;
}

/* ---- taking it back ---- */

/* It can be anything that a hostile process has. */
static bool
is_socket(int fd, int want)
{
	int domain = 0, type = 0;
	socklen_t n = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
	    domain == AF_UNIX &&
	    (n = sizeof(type),
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0) &&
	    type == want;
}

static bool
is_pipe(int fd, int unused)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static bool
is_memfd(int fd, int unused)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

static int
take(struct sup *sup, int number, bool (*is)(int, int), int want)
{
	int fd = jail_take_fd(sup->child.jail, number);

	if (fd < 0)
		sup_log(
		    sup, "descriptor %d of the zone: error %d", number, -fd);
	else if (!is(fd, want) || fd_set_nonblock(fd, true) < 0) {
		sup_log(sup,
		    "descriptor %d of the zone is not what it was: left alone",
		    number);
		fd_close(&fd);
	}
	return fd < 0 ? -1 : fd;
}

static void
take_metadata(struct sup *sup)
{
	int port = take(sup, ZHYVE_FD_PORT, is_socket, SOCK_STREAM);
	int backlog = take(sup, ZHYVE_FD_BACKLOG, is_memfd, 0);

	if (port >= 0 && backlog >= 0) {
		mdata_take(sup, port, backlog);
		return;
	}
	fd_close(&port);
	fd_close(&backlog);
}

int
child_reattach(struct sup *sup, const struct nvlist *saved, struct error *err)
{
	struct child *ch = &sup->child;
	int console, rc;

	rc = jail_attach(saved, &ch->jail, err);
	if (rc < 0)
		return rc;
	ch->control = take(sup, ZHYVE_FD_OURS, is_socket, SOCK_SEQPACKET);
	ch->log = take(sup, ZHYVE_FD_LOG, is_pipe, 0);
	console = take(sup, ZHYVE_FD_CONSOLE, is_socket, SOCK_STREAM);
	if (sup->mdata.wanted)
		take_metadata(sup);
	ch->ready = ch->running = true;
	ch->since_ns = mevent_now_ns();
	rc = listen_to(sup, err);
	if (rc == 0 && console >= 0)
		rc = console_attach(&sup->console, console, err);
	else
		fd_close(&console);
	return rc;
}

/* ---- speaking ---- */

static bool
never(struct sup *sup)
{
	return sup->child.gone;
}

int
child_send(struct sup *sup, const struct nvlist *msg, int fd, struct error *err)
{
	int rc;

	for (;;) {
		rc = ipc_send(sup->child.control, msg, &fd, fd >= 0 ? 1 : 0);
		if (rc != -EAGAIN || sup->child.gone)
			break;
		/* it has not read the last ones yet */
		(void)sup_wait(
		    sup, never, mevent_now_ns() + NS_PER_S / 100, NULL);
	}
	return rc < 0 ? error_sys(err, -rc, "the zone's process") : 0;
}

int
child_say(struct sup *sup, const char *type)
{
	struct nvlist *msg;
	int rc;

	if (sup->child.control < 0)
		return -ENOTCONN;
	msg = ipc_message(type);
	rc = msg != NULL ? ipc_send(sup->child.control, msg, NULL, 0) : -ENOMEM;
	nvlist_free(msg);
	return rc;
}

/* ---- its end ---- */

static const char *
signal_cause(struct sup *sup, int signo)
{
	struct jail_usage usage = { 0 };

	if (signo == SIGSYS)
		return "privilege violation (SIGSYS)";
	if (signo == SIGKILL && sup->child.jail != NULL &&
	    cgroup_usage(jail_cgroup(sup->child.jail), &usage) == 0 &&
	    usage.oom_kills > 0)
		return "out of memory";
	return NULL;
}

/* What it wrote last, when nobody listened. */
static void
read_record(struct sup *sup)
{
	struct child *ch = &sup->child;
	char *end = NULL;
	unsigned long n;
	struct buf b;

	buf_init(&b, 512);
	if (fd_read_file(sup->dir, RECORD, &b) == 0 && buf_str(&b) != NULL &&
	    b.len > 0) {
		n = strtoul((char *)b.data, &end, 10);
		if (n <= 255 && end != (char *)b.data && *end == ' ') {
			end[strcspn(end, "\n")] = '\0';
			ch->status = n;
			str_format(
			    ch->cause, sizeof(ch->cause), "%.100s", end + 1);
			ch->said = true;
		}
	}
	buf_fini(&b);
}

int
child_verdict(struct sup *sup, char *cause, size_t size)
{
	static const char *const ends[] = { "guest reset", "guest power-off",
		"guest halt", "triple fault", "error" };
	struct child *ch = &sup->child;
	const char *why = NULL;
	int status = STATUS_UNKNOWN, rc = -ECHILD;

	drain(sup);
	if (!ch->said)
		read_record(sup);
	if (ch->jail != NULL)
		rc = jail_wait(ch->jail, &status);
	if (rc < 0)
		status = ch->said ? (int)ch->status << 8 : STATUS_UNKNOWN;
	if (rc == 0 && WIFSIGNALED(status)) {
		why = signal_cause(sup, WTERMSIG(status));
		str_format(cause, size,
		    why != NULL ? "%s%s%s" : "%s %s (SIG%s)",
		    why != NULL ? why : "signal",
		    why != NULL ? "" : strsignal(WTERMSIG(status)),
		    why != NULL ? "" : sigabbrev_np(WTERMSIG(status)));
		return status;
	}
	if (ch->failed)
		why = ch->text;
	else if (ch->said && ch->cause[0] != '\0')
		why = ch->cause;
	else if (rc < 0 && !ch->said)
		why = "ended while no supervisor was there";
	else if (WEXITSTATUS(status) < (int)ARRAY_LEN(ends))
		why = ends[WEXITSTATUS(status)];
	else
		why = "unknown exit status";
	str_format(cause, size, "%.*s", (int)size - 1, why);
	return status;
}

int
child_await(struct sup *sup, bool (*done)(struct sup *), unsigned seconds,
    const char *what, struct error *err)
{
	char cause[200];
	int rc;

	rc = sup_wait(sup, done, mevent_now_ns() + seconds * NS_PER_S, err);
	if (rc < 0)
		return error_prefix(err, "%s", what);
	if (sup->child.failed)
		return error_set(err, EIO, "%s", sup->child.text);
	if (sup->child.gone) {
		child_verdict(sup, cause, sizeof(cause));
		return error_set(err, EIO, "%s: %s", what, cause);
	}
	return sup->cancel
	    ? error_set(err, ECANCELED, "halted by another request")
	    : 0;
}

int
child_destroy(struct sup *sup, struct error *err)
{
	struct child *ch = &sup->child;
	struct jail *jail = ch->jail;
	int rc;

	if (jail != NULL && !ch->gone)
		(void)jail_kill(jail, SIGKILL);
	sup_fault(FAULT_HALT_KILLED, 0);
	drain(sup);
	mevent_delete(ch->control_ev);
	mevent_delete(ch->exit_ev);
	mevent_delete(ch->log_ev);
	fd_close(&ch->control);
	fd_close(&ch->log);
	child_init(ch);
	if (unlinkat(sup->dir, RECORD, 0) != 0 && errno != ENOENT)
		sup_log(sup, "%s: error %d", RECORD, errno);
	rc = jail != NULL ? jail_destroy(jail, err) : 0;
	if (rc < 0) {
		/* it is there still: the next halt tries again */
		ch->jail = jail;
		ch->gone = true;
	}
	return rc;
}
