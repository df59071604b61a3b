/*
 * zhyve: bhyve as the first and only program of a zone. It opens nothing: the
 * supervisor hands over the configuration and every descriptor (ipc/ipc.h has
 * the messages), it builds the machine, locks itself, says so, and waits for
 * the word to run.
 *
 * Descriptors: 3 the control socket; 4 and 5 the other ends of control and
 * console, kept for a supervisor that comes back; 6 a file for the last word.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/passed.h"
#include "base/sanitize.h"
#include "base/str.h"
#include "base/thread.h"
#include "bhyve.h"
#include "dev/net/net.h"
#include "ipc/ipc.h"
#include "jail/lock.h"
#include "machine/machine.h"

#define CONTROL 3
#define EXIT_RECORD 6
#define PAUSE_MOST 60 /* seconds */

struct zhyve {
	struct config_node *root;
	struct machine *machine; /* NULL until it is built */
	struct mevent *control;
	struct lock_spec lock;
	bool run; /* the word was said */

	bool paused;
	uint64_t pause_id; /* whose resume ends it */
	struct mevent *pause_end; /* or this timer */
};

/* A locked process is not searched for leaks; bhyve is. */
static bool locked;
#if HAS_ASAN
int
__lsan_is_turned_off(void)
{
	return locked;
}
#endif

/* ---- what is said to the supervisor ---- */

static void
say(struct nvlist *msg)
{
	int rc = msg != NULL ? ipc_send(CONTROL, msg, NULL, 0) : -ENOMEM;

	if (rc < 0)
		log_err("zhyve", "cannot answer zoneadmd: error %d", -rc);
	nvlist_free(msg);
}

static void
say_failed(const struct error *err)
{
	struct nvlist *msg = ipc_message("failed");

	if (msg != NULL)
		nvlist_add_str(msg, "text", err->text);
	say(msg);
}

static void
say_ready(struct zhyve *z)
{
	struct nvlist *msg = ipc_message("ready");

	if (msg != NULL) {
		nvlist_add_str(msg, "engine", machine_engine(z->machine));
		nvlist_add_u64(msg, "cpus", machine_cpus(z->machine));
		nvlist_add_u64(msg, "memory", machine_memory(z->machine));
	}
	say(msg);
}

/*
 * In the file as well: it is there for a supervisor that was not while we
 * ended.
 */
static void
say_exit(enum vm_stop status, const char *cause)
{
	struct nvlist *msg = ipc_message("exit");
	char line[256];

	snprintf(line, sizeof(line), "%d %s\n", (int)status, cause);
	if (fd_write_all(EXIT_RECORD, line, strlen(line)) < 0)
		log_err("zhyve", "cannot record the exit status");
	if (msg != NULL) {
		nvlist_add_u64(msg, "status", (uint64_t)status);
		nvlist_add_str(msg, "cause", cause);
	}
	say(msg);
}

static void
say_link(void *arg)
{
	struct nvlist *msg = ipc_message("link");

	if (msg != NULL)
		nvlist_add_str(msg, "net", arg);
	say(msg);
}

/* On a device's thread; the name lives as long as the machine. */
static void
on_link_down(void *arg, const char *name)
{
	const struct zhyve *z = arg;
	struct machine *m = __atomic_load_n(&z->machine, __ATOMIC_ACQUIRE);

	if (m != NULL)
		(void)mevent_call(
		    machine_loop(m), say_link, (void *)(uintptr_t)name);
}

/* ---- orders ---- */

static int
order_file(struct zhyve *z, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	const char *path;
	int rc;

	if (nvlist_get_str(msg, "path", &path) < 0 || nfds != 1)
		return error_set(err, EPROTO, "file: a path and a descriptor");
	rc = passed_add(path, fds[0]);
	if (rc < 0)
		return error_sys(err, -rc, "file %s", path);
	fds[0] = -1;
	return 0;
}

/* getopt(3) wants an array of its own to reorder. */
static int
parse_args(struct zhyve *z, const char *const *args, size_t n,
    enum options_action *ret, struct error *err)
{
	char **argv = alloc_zero(n + 1, sizeof(*argv));
	int rc;

	if (argv == NULL)
		return error_sys(err, ENOMEM, "arguments");
	for (size_t i = 0; i < n; i++)
		argv[i] = (char *)(uintptr_t)args[i];
	rc = options_parse((int)n, argv, z->root, ret, err);
	free(argv);
	return rc;
}

/* While there is one thread; all that is opened from now on was passed. */
static int
close_paths(struct error *err)
{
	int rc = lock_paths(err);

	if (rc > 0)
		log_warn("zhyve", "%s", err->text);
	return rc < 0 ? rc : 0;
}

static int
order_build(struct zhyve *z, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	enum options_action action = OPTIONS_RUN;
	const char *const *args;
	const uint64_t *privs;
	size_t n, nprivs;
	int rc;

	if (z->machine != NULL)
		return error_set(err, EPROTO, "build: there is a machine");
	if (nvlist_get_strs(msg, "args", &args, &n) < 0 || n == 0 || n > 4096 ||
	    nvlist_get_u64s(msg, "privs", &privs, &nprivs) < 0 ||
	    nprivs != JAIL_PRIV_WORDS)
		return error_set(err, EPROTO, "build: arguments and privs");
	memcpy(z->lock.privs.bits, privs, sizeof(z->lock.privs.bits));
	rc = parse_args(z, args, n, &action, err);
	if (rc == 0 && action != OPTIONS_RUN)
		rc = error_set(err, EINVAL,
		    "the machine's arguments ask for a text, not a machine");
	if (rc == 0)
		rc = machine_check(z->root, err);
	if (rc == 0)
		rc = close_paths(err);
	if (rc == 0)
		rc = machine_build(z->root, &z->machine, err);
	return rc;
}

static int
order_run(struct zhyve *z, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	z->run = true;
	return 0;
}

static int
order_powerbutton(struct zhyve *z, const struct nvlist *msg, int *fds,
    size_t nfds, struct error *err)
{
	machine_power_button(z->machine, "zoneadmd");
	return 0;
}

static int
order_poweroff(struct zhyve *z, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	const char *cause;

	if (nvlist_get_str(msg, "cause", &cause) < 0)
		cause = "zoneadmd";
	machine_stop(z->machine, VM_STOP_POWEROFF, cause);
	z->run = true;
	return 0;
}

/* Another end of frames for a link whose other end has gone. */
static int
order_plug(struct zhyve *z, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	const char *net;
	int rc;

	if (nvlist_get_str(msg, "net", &net) < 0 || nfds != 1)
		return error_set(err, EPROTO, "plug: a net and a descriptor");
	rc = net_plug(net, fds[0], err);
	if (rc == 0)
		fds[0] = -1;
	return rc;
}

static int
order_nmi(struct zhyve *z, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	int rc = machine_nmi(z->machine);

	return rc < 0 ? error_sys(err, -rc, "nmi") : 0;
}

/* ---- pauses ---- */

static void
say_pause(const char *type, uint64_t id, bool held)
{
	struct nvlist *msg = ipc_message(type);

	if (msg != NULL) {
		nvlist_add_u64(msg, "id", id);
		nvlist_add_bool(msg, "held", held);
	}
	say(msg);
}

static void
resume(struct zhyve *z)
{
	if (!z->paused)
		return;
	z->paused = false;
	(void)mevent_timer_set(z->pause_end, 0, 0);
	machine_resume(z->machine);
}

/* Whoever wanted it is slow or dead; the guest waits for nobody. */
static void
on_pause_end(void *arg, uint64_t expirations)
{
	log_warn("zhyve", "paused for too long: the machine goes on");
	resume(arg);
}

static int
order_pause(struct zhyve *z, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	uint64_t id, seconds;
	int rc = 0;

	if (nvlist_get_u64(msg, "id", &id) < 0 ||
	    nvlist_get_u64(msg, "seconds", &seconds) < 0 || seconds == 0 ||
	    seconds > PAUSE_MOST)
		return error_set(
		    err, EPROTO, "pause: an id and 1-%d seconds", PAUSE_MOST);
	/* the end is sure before the beginning */
	rc = mevent_timer_set(z->pause_end, seconds * UINT64_C(1000000000), 0);
	if (rc == 0 && !z->paused)
		rc = machine_pause(z->machine);
	if (rc < 0)
		return error_sys(err, -rc, "pause");
	z->paused = true;
	z->pause_id = id;
	say_pause("paused", id, true);
	return 0;
}

static int
order_resume(struct zhyve *z, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	uint64_t id;
	bool held;

	if (nvlist_get_u64(msg, "id", &id) < 0)
		return error_set(err, EPROTO, "resume: an id");
	held = z->paused && id == z->pause_id;
	if (held)
		resume(z);
	say_pause("resumed", id, held);
	return 0;
}

static const struct order {
	const char *type;
	bool machine; /* needs one */
	int (*fn)(struct zhyve *z, const struct nvlist *msg, int *fds,
	    size_t nfds, struct error *err);
} orders[] = {
	{ "file", false, order_file },
	{ "build", false, order_build },
	{ "run", true, order_run },
	{ "powerbutton", true, order_powerbutton },
	{ "poweroff", true, order_poweroff },
	{ "nmi", true, order_nmi },
	{ "plug", true, order_plug },
	{ "pause", true, order_pause },
	{ "resume", true, order_resume },
};

static int
obey(struct zhyve *z, const char *type, const struct nvlist *msg, int *fds,
    size_t nfds, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		if (strcmp(orders[i].type, type) != 0)
			continue;
		if (orders[i].machine && z->machine == NULL)
			return error_set(
			    err, EPROTO, "%s: there is no machine yet", type);
		return orders[i].fn(z, msg, fds, nfds, err);
	}
	return error_set(err, EPROTO, "order '%.32s' is unknown", type);
}

/* Take one order. 1: there was one; 0: nobody will say anything any more. */
static int
take_order(struct zhyve *z, struct error *err)
{
	struct nvlist *msg = NULL;
	const char *type = NULL;
	int fds[IPC_FDS], rc, took;
	size_t nfds = 0;

	took = ipc_recv(CONTROL, &msg, &type, fds, IPC_FDS, &nfds, err);
	if (took <= 0)
		return took;
	rc = obey(z, type, msg, fds, nfds, err);
	for (size_t i = 0; i < nfds; i++)
		fd_close(&fds[i]);
	nvlist_free(msg);
	return rc < 0 ? rc : 1;
}

/* While the guest runs, a bad order is a line in the log. */
static void
on_control(void *arg, int fd, unsigned what)
{
	struct error err = ERROR_INIT;
	struct zhyve *z = arg;
	int rc = take_order(z, &err);

	if (rc < 0 && rc != -EAGAIN)
		log_err("zhyve", "%s", err.text);
	if (rc != 0 && (what & MEVENT_HANGUP) == 0)
		return;
	mevent_delete(z->control);
	z->control = NULL;
}

/* ---- life ---- */

static void
lock_thread(enum thread_role role, void *arg)
{
	static const enum lock_role roles[] = {
		[THREAD_VCPU] = LOCK_VCPU,
		[THREAD_IO] = LOCK_IO,
	};
	struct error err = ERROR_INIT;

	if (lock_calls(roles[role], NULL, &err) == 0)
		return;
	log_err("zhyve", "%s", err.text);
	_exit(VM_STOP_ERROR);
}

/* Threads that wait for blocks already stay under the process's filter. */
static int
close_calls(struct zhyve *z, struct error *err)
{
	int rc;

	passed_clear();
	z->lock.kvm = strcmp(machine_engine(z->machine), "kvm") == 0;
	rc = lock_calls(LOCK_PROCESS, &z->lock, err);
	locked = rc == 0;
	if (rc == 0)
		thread_on_enter(lock_thread, z);
	return rc;
}

/* Until the machine is built and locked. */
static int
prepare(struct zhyve *z, struct error *err)
{
	int rc = 1;

	while (rc > 0 && z->machine == NULL)
		rc = take_order(z, err);
	if (rc == 0)
		rc = error_set(err, EPIPE, "zoneadmd has gone");
	if (rc > 0)
		rc = mevent_add_timer(machine_loop(z->machine), on_pause_end, z,
		    &z->pause_end, err);
	return rc < 0 ? rc : close_calls(z, err);
}

static int
run(struct zhyve *z)
{
	struct error err = ERROR_INIT;
	enum vm_stop status;
	int rc;

	rc = prepare(z, &err);
	if (rc == 0)
		rc = mevent_add_fd(machine_loop(z->machine), CONTROL,
		    MEVENT_READ, on_control, z, &z->control, &err);
	if (rc < 0) {
		say_failed(&err);
		return VM_STOP_ERROR;
	}
	say_ready(z);
	while (!z->run && (rc = take_order(z, &err)) != 0)
		if (rc < 0)
			log_err("zhyve", "%s", err.text);
	if (!z->run)
		return VM_STOP_ERROR;
	say(ipc_message("running"));
	status = machine_run(z->machine);
	say_exit(status, machine_stop_cause(z->machine));
	return (int)status;
}

int
zhyve_main(void)
{
	struct zhyve z = { .root = config_create() };
	int status;

	/* Executed by descriptor, it would be called by that number. */
	pthread_setname_np(pthread_self(), "zhyve");
	/* Writing to a console that nobody reads is no reason to end. */
	signal(SIGPIPE, SIG_IGN);
	if (z.root == NULL)
		return VM_STOP_ERROR;
	net_on_down(on_link_down, &z);
	status = run(&z);
	mevent_delete(z.control);
	mevent_delete(z.pause_end);
	machine_destroy(z.machine);
	config_free(z.root);
	return status;
}
