/*
 * From installed to ready to running, and back down: the steps of docs/zones.md
 * in their order. Each is recorded before it begins, so that who comes after a
 * crash knows what may have been done.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "zone/snap.h"
#include "zoneadmd/fault.h"
#include "zoneadmd/impl.h"

#define BUILD_SECONDS 120
#define RUN_SECONDS 20
#define POWEROFF_SECONDS 5
#define CMD_MAX (1U << 20)

/* commands, as hooks know them */
#define CMD_READY 0
#define CMD_BOOT 1
#define CMD_HALT 4

/* A guest that resets at once, again and again, is slowed down. */
#define QUICK_NS NS_PER_S
#define QUICK_RESETS 3

/* ---- ready ---- */

static int
check_zonepath(struct sup *sup, struct error *err)
{
	struct stat st;

	if (lstat(sup->zonepath, &st) != 0)
		return error_sys(err, errno, "zonepath %s", sup->zonepath);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return error_set(err, EPERM,
		    "zonepath %s: must be a folder of root's, mode 0700",
		    sup->zonepath);
	return 0;
}

/* Arguments of the boot: the request's, else the configured ones. */
static int
boot_args(struct sup *sup, struct job *job, char *text, size_t size,
    const char **argv, size_t max)
{
	const char *const *args = NULL;
	const char *conf = "";
	size_t n = 0;
	char *save = NULL;

	if (job != NULL && nvlist_get_strs(job->msg, "args", &args, &n) == 0 &&
	    n > 0) {
		if (n > max)
			return -E2BIG;
		memcpy(argv, args, n * sizeof(*argv));
		return 0;
	}
	(void)nvlist_get_str(sup->snap, "bootargs", &conf);
	if (str_format(text, size, "%s", conf) < 0)
		return -E2BIG;
	for (char *w = strtok_r(text, " \t", &save); w != NULL;
	     w = strtok_r(NULL, " \t", &save)) {
		if (n == max)
			return -E2BIG;
		argv[n++] = w;
	}
	return 0;
}

/* What machine? The brand's boot hook says. */
static int
machine_cmd(
    struct sup *sup, struct job *job, struct nvlist **ret, struct error *err)
{
	const char *argv[32] = { NULL };
	char text[1024];
	struct buf b;
	int rc;

	if (boot_args(sup, job, text, sizeof(text), argv, ARRAY_LEN(argv) - 1) <
	    0)
		return error_set(err, E2BIG, "too many boot arguments");
	buf_init(&b, CMD_MAX);
	rc = sup_hook(sup, "boot", argv, &b, err);
	if (rc == -ENOENT)
		rc = error_set(err, ENOENT,
		    "the brand has no boot hook: nothing says what to run");
	if (rc == 0)
		rc = zone_live_put(sup->dir, "zhyve.cmd", b.data, b.len, err);
	if (rc == 0) {
		rc = nvlist_unpack(b.data, b.len, ret, err);
		if (rc < 0)
			rc = error_prefix(err, "hook boot");
	}
	buf_fini(&b);
	return rc;
}

static int
send_files(struct sup *sup, const struct sup_files *files, struct error *err)
{
	struct nvlist *msg;
	int rc = 0;

	for (size_t i = 0; i < files->n && rc == 0; i++) {
		const struct sup_file *f = &files->v[i];

		if (f->fd < 0)
			continue;
		msg = ipc_message("file");
		if (msg == NULL || nvlist_add_str(msg, "path", f->path) < 0 ||
		    nvlist_add_str(msg, "kind", f->kind) < 0)
			rc = error_set(err, ENOMEM, "out of memory");
		if (rc == 0)
			rc = child_send(sup, msg, f->fd, err);
		nvlist_free(msg);
	}
	return rc;
}

static int
send_build(struct sup *sup, const struct nvlist *cmd,
    const struct jail_privset *privs, struct error *err)
{
	struct nvlist *msg = ipc_message("build");
	const char *const *args = NULL;
	size_t n = 0;
	int rc = msg != NULL ? 0 : -ENOMEM;

	if (nvlist_get_strs(cmd, "bhyve_args", &args, &n) < 0 || n == 0) {
		nvlist_free(msg);
		return error_set(
		    err, EINVAL, "hook boot: no bhyve_args in its answer");
	}
	if (rc == 0)
		rc = nvlist_add_strs(msg, "args", args, n);
	if (rc == 0)
		rc =
		    nvlist_add_u64s(msg, "privs", privs->bits, JAIL_PRIV_WORDS);
	rc = rc < 0 ? error_sys(err, -rc, "arguments of the machine")
		    : child_send(sup, msg, -1, err);
	nvlist_free(msg);
	return rc;
}

static bool
built(struct sup *sup)
{
	return sup->child.ready || sup->child.failed || sup->child.gone ||
	    sup->cancel;
}

/* Processes and descriptors; console[1] becomes the console's. */
static int
start_machine(struct sup *sup, const struct nvlist *cmd, int console[2],
    struct error *err)
{
	struct jail_privset privs = { { 0 } };
	struct sup_files files = { NULL };
	struct jail_plan *plan = NULL;
	int rc, fd;

	mdata_plan(sup, cmd);
	rc = sup_plan(sup, &plan, &privs, err);
	if (rc == 0)
		rc = sup_files_open(sup, cmd, console[0], &files, err);
	/* from here on there may be a process and groups: say which */
	if (rc == 0 && (rc = jail_plan_save(plan, &sup->foreseen)) < 0)
		rc = error_sys(err, -rc, "plan of the zone");
	if (rc == 0)
		rc = sup_enter(sup, sup->state, "spawn", "", err);
	sup_fault(FAULT_READY_OPENED, 0);
	if (rc == 0)
		rc = child_spawn(sup, plan, console, err);
	if (rc == 0)
		rc = sup_slirps_enter(sup, err);
	jail_plan_free(plan);
	nvlist_free(sup->foreseen);
	sup->foreseen = NULL;
	if (rc == 0) {
		sup_fault(FAULT_READY_SPAWNED, jail_pid(sup->child.jail));
		rc = sup_record(sup, err);
		fd = console[1];
		console[1] = -1;
		if (rc == 0)
			rc = console_attach(&sup->console, fd, err);
		sup_fault(FAULT_READY_RECORDED, jail_pid(sup->child.jail));
		mdata_begin(sup);
	}
	if (rc == 0)
		rc = send_files(sup, &files, err);
	if (rc == 0)
		rc = send_build(sup, cmd, &privs, err);
	sup_files_close(&files);
	if (rc == 0)
		sup_fault(FAULT_READY_SENT, jail_pid(sup->child.jail));
	/* a process that has ended says why better than a broken socket */
	if (rc == 0 || (rc == -EPIPE && sup->child.jail != NULL))
		rc = child_await(
		    sup, built, BUILD_SECONDS, "building the machine", err);
	return rc;
}

static int
make_ready(struct sup *sup, struct job *job, struct error *err)
{
	int console[2] = { -1, -1 };
	struct nvlist *cmd = NULL;
	int rc;

	rc = machine_cmd(sup, job, &cmd, err);
	sup_fault(FAULT_READY_HOOK, 0);
	if (rc == 0 &&
	    (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) != 0 ||
		(rc = fd_set_nonblock(console[1], true)) != 0))
		rc = error_sys(err, rc < 0 ? -rc : errno, "console");
	if (rc == 0)
		rc = start_machine(sup, cmd, console, err);
	if (rc == 0)
		sup_fault(FAULT_READY_BUILT, jail_pid(sup->child.jail));
	fd_close(&console[0]);
	fd_close(&console[1]);
	nvlist_free(cmd);
	return rc;
}

/* ---- down ---- */

static void
unlink_sockets(struct sup *sup)
{
	for (size_t i = 0; i < sup->nsockets; i++) {
		(void)unlink(sup->sockets[i]);
		free(sup->sockets[i]);
	}
	sup->nsockets = 0;
}

/*
 * Nothing of the machine stays. What cannot be removed leaves the zone down,
 * and the next halt tries again.
 */
static int
tear_down(struct sup *sup, const char *cause, struct error *err)
{
	int rc;

	rc = child_destroy(sup, err);
	if (rc == 0)
		rc = sup_links_down(sup, err);
	mdata_end(sup);
	sup_slirps_end(sup);
	sup_fault(FAULT_HALT_CLEANED, 0);
	unlink_sockets(sup);
	(void)unlinkat(sup->dir, "zhyve.cmd", 0);
	if (rc < 0) {
		sup_log(sup, "%s", err != NULL ? err->text : "not down");
		(void)sup_enter(sup, ZONE_STATE_DOWN, "clean", cause, NULL);
		return rc;
	}
	return 0;
}

static void
drop_snapshot(struct sup *sup)
{
	(void)unlinkat(sup->dir, "snapshot.xml", 0);
	nvlist_free(sup->snap);
	sup->snap = NULL;
}

/* A ready or boot that did not come to its end. */
static void
undo(struct sup *sup, enum zone_state state, const char *cause)
{
	struct error err = ERROR_INIT;

	if (sup_statechange(sup, true, state, CMD_HALT, &err) < 0)
		sup_log(sup, "%s", err.text);
	if (tear_down(sup, cause, &err) == 0)
		(void)sup_enter(sup, ZONE_STATE_INSTALLED, "", cause, NULL);
	drop_snapshot(sup);
}

int
sup_ready(struct sup *sup, struct job *job, struct error *err)
{
	struct timespec now;
	int rc;

	sup_open_logs(sup);
	rc = check_zonepath(sup, err);
	if (rc == 0)
		rc = sup_snapshot(sup, err);
	if (rc < 0)
		return rc;
	clock_gettime(CLOCK_REALTIME, &now);
	sup->instance = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
	rc = sup_enter(sup, ZONE_STATE_INSTALLED, "ready", "", err);
	sup_fault(FAULT_READY_BEGUN, 0);
	if (rc == 0)
		rc = sup_statechange(
		    sup, false, ZONE_STATE_INSTALLED, CMD_READY, err);
	if (rc == 0)
		rc = make_ready(sup, job, err);
	if (rc == 0)
		rc = sup_statechange(
		    sup, true, ZONE_STATE_INSTALLED, CMD_READY, err);
	if (rc == 0)
		rc = sup_enter(sup, ZONE_STATE_READY, "", "ready", err);
	if (rc < 0) {
		undo(sup, ZONE_STATE_READY, err->text);
		return rc;
	}
	sup_fault(FAULT_READY_DONE, jail_pid(sup->child.jail));
	return 0;
}

/* ---- boot ---- */

static bool
runs(struct sup *sup)
{
	return sup->child.running || sup->child.failed || sup->child.gone ||
	    sup->cancel;
}

/*
 * A guest may end within a blink: that it has begun is what was asked for, and
 * how it ended is told by who looks after it.
 */
static int
await_running(struct sup *sup, struct error *err)
{
	int rc = child_await(sup, runs, RUN_SECONDS, "starting the guest", err);

	if (rc < 0 && sup->child.running && sup->child.gone)
		return 0;
	return rc;
}

int
sup_boot(struct sup *sup, struct job *job, struct error *err)
{
	int rc;

	rc = sup_enter(sup, ZONE_STATE_READY, "boot", "", err);
	sup_fault(FAULT_BOOT_BEGUN, jail_pid(sup->child.jail));
	if (rc == 0)
		rc = sup_statechange(
		    sup, false, ZONE_STATE_INSTALLED, CMD_BOOT, err);
	if (rc == 0) {
		rc = child_say(sup, "run");
		if (rc < 0 && !sup->child.gone)
			rc = error_sys(err, -rc, "the zone's process");
		else
			rc = 0;
	}
	if (rc == 0)
		sup_fault(FAULT_BOOT_RUN, jail_pid(sup->child.jail));
	if (rc == 0)
		rc = await_running(sup, err);
	if (rc == 0) {
		sup_fault(FAULT_BOOT_RUNNING, jail_pid(sup->child.jail));
		sup->child.since_ns = mevent_now_ns();
		rc = sup_enter(sup, ZONE_STATE_RUNNING, "", "boot", err);
	}
	if (rc == 0)
		rc = sup_statechange(
		    sup, true, ZONE_STATE_INSTALLED, CMD_BOOT, err);
	if (rc < 0) {
		undo(sup, ZONE_STATE_RUNNING, err->text);
		return rc;
	}
	sup_fault(FAULT_BOOT_DONE, jail_pid(sup->child.jail));
	return 0;
}

/* ---- halt ---- */

/* ZONEPATH/lastexited: when, wait status (-1: an operator's halt), why. */
static void
write_last(struct sup *sup, int status, const char *cause)
{
	char path[SUP_PATH + 16], text[400];
	struct error err = ERROR_INIT;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	str_format(text, sizeof(text), "%jd.%06ld %d %.200s\n",
	    (intmax_t)now.tv_sec, now.tv_nsec / 1000, status, cause);
	str_format(path, sizeof(path), "%s/lastexited", sup->zonepath);
	if (fd_write_file_atomic(
		AT_FDCWD, path, text, strlen(text), 0644, &err) < 0)
		sup_log(sup, "%s", err.text);
}

static bool
gone(struct sup *sup)
{
	return sup->child.gone;
}

/* Let it close its disks; if it does not, it is killed. */
static void
ask_to_end(struct sup *sup, const char *cause)
{
	struct nvlist *msg;

	if (sup->child.gone || sup->child.control < 0 ||
	    (msg = ipc_message("poweroff")) == NULL)
		return;
	if (nvlist_add_str(msg, "cause", cause) == 0 &&
	    ipc_send(sup->child.control, msg, NULL, 0) == 0)
		(void)sup_wait(sup, gone,
		    mevent_now_ns() + POWEROFF_SECONDS * NS_PER_S, NULL);
	nvlist_free(msg);
}

int
sup_halt(struct sup *sup, const char *cause, struct error *err)
{
	enum zone_state was = sup->state;
	struct error late = ERROR_INIT;
	int rc;

	rc = sup_statechange(sup, false, was, CMD_HALT, err);
	if (rc < 0)
		return rc;
	rc = sup_enter(sup, ZONE_STATE_SHUTTING_DOWN, "halt", cause, err);
	if (rc < 0)
		sup_log(sup, "%s", err->text);
	sup_fault(FAULT_HALT_BEGUN,
	    sup->child.jail != NULL ? jail_pid(sup->child.jail) : 0);
	ask_to_end(sup, cause);
	rc = tear_down(sup, cause, err);
	if (sup_statechange(sup, true, was, CMD_HALT, &late) < 0)
		sup_log(sup, "%s", late.text);
	if (rc < 0)
		return rc;
	drop_snapshot(sup);
	rc = sup_enter(sup, ZONE_STATE_INSTALLED, "", cause, err);
	sup_fault(FAULT_HALT_DONE, 0);
	return rc;
}

int
sup_halted(struct sup *sup, const char *cause, struct error *err)
{
	bool ran = sup->state != ZONE_STATE_READY;
	int rc = sup_halt(sup, cause, err);

	sup->quick_resets = 0;
	if (rc == 0 && ran) {
		sup_event(sup, "exit", cause, "-1");
		write_last(sup, -1, cause);
	}
	return rc;
}

/* ---- the end of the process ---- */

static bool
forever(struct sup *sup)
{
	return sup->cancel || sup->leave;
}

static void
again(struct sup *sup, uint64_t ran_ns)
{
	struct error err = ERROR_INIT;
	int rc = 0;

	console_notice(&sup->console, "Zone rebooting");
	sup->quick_resets = ran_ns < QUICK_NS ? sup->quick_resets + 1 : 0;
	if (sup->quick_resets > QUICK_RESETS) {
		sup_log(sup, "resets within %d s of its start, again: waits",
		    (int)(QUICK_NS / NS_PER_S));
		(void)sup_wait(sup, forever, mevent_now_ns() + NS_PER_S, NULL);
	}
	/* a halt that came meanwhile finds the zone halted */
	if (sup->cancel || sup->leave)
		return;
	rc = sup_ready(sup, NULL, &err);
	if (rc == 0)
		rc = sup_boot(sup, NULL, &err);
	if (rc == 0)
		return;
	sup_log(sup, "%s", err.text);
	console_notice(&sup->console, err.text);
	console_notice(&sup->console, "Zone boot failed");
	console_notice(&sup->console, "Zone halted");
}

void
sup_ended(struct sup *sup)
{
	char cause[200], number[16];
	struct error err = ERROR_INIT;
	uint64_t ran_ns = mevent_now_ns() - sup->child.since_ns;
	bool reboot;
	int status;

	status = child_verdict(sup, cause, sizeof(cause));
	str_format(number, sizeof(number), "%d", status);
	sup_event(sup, "exit", cause, number);
	write_last(sup, status, cause);
	reboot = status == 0 && sup->state == ZONE_STATE_RUNNING;
	if (sup->shutdown != NULL)
		reboot = sup->shutdown_reboot;
	if (sup_halt(sup, cause, &err) < 0) {
		sup_log(sup, "%s", err.text);
		reboot = false;
	}
	if (reboot)
		again(sup, ran_ns);
	else
		console_notice(&sup->console, "Zone halted");
	if (sup->shutdown != NULL)
		sup_shutdown_over(sup, 0, NULL);
}

/* ---- after a supervisor that was killed ---- */

static int
load_record(struct sup *sup, const struct zone_live *live)
{
	const char *const *paths = NULL;
	const char *cpus = "";
	size_t n = 0;

	if (sup_links_load(sup, live->record) < 0)
		return -ENOMEM;
	sup->instance = live->instance;
	(void)nvlist_get_str(live->record, "cpus", &cpus);
	(void)nvlist_get_bool(live->record, "metadata", &sup->mdata.wanted);
	str_format(sup->cpus, sizeof(sup->cpus), "%s", cpus);
	if (nvlist_get_strs(live->record, "sockets", &paths, &n) < 0 ||
	    n > SUP_SOCKETS)
		return 0;
	for (size_t i = 0; i < n; i++) {
		sup->sockets[i] = alloc_strdup(paths[i]);
		if (sup->sockets[i] == NULL)
			return -ENOMEM;
		sup->nsockets++;
	}
	return 0;
}

static int
clean_up(struct sup *sup, const struct nvlist *jail, struct error *err)
{
	struct error late = ERROR_INIT;
	int rc = 0;

	sup_log(sup, "cleans up after a supervisor that was killed");
	if (sup->child.jail != NULL)
		rc = child_destroy(sup, err);
	else if (jail != NULL)
		rc = jail_clean(jail, err);
	if (rc == 0)
		rc = sup_links_down(sup, err);
	mdata_end(sup);
	unlink_sockets(sup);
	(void)unlinkat(sup->dir, "zhyve.cmd", 0);
	(void)unlinkat(sup->dir, "exit", 0);
	if (sup_statechange(sup, true, ZONE_STATE_RUNNING, CMD_HALT, &late) < 0)
		sup_log(sup, "%s", late.text);
	drop_snapshot(sup);
	if (rc < 0) {
		(void)sup_enter(
		    sup, ZONE_STATE_DOWN, "clean", "cannot clean up", NULL);
		sup_log(sup, "%s", err->text);
		return 0;
	}
	return sup_enter(sup, ZONE_STATE_INSTALLED, "", "cleaned up", err);
}

/* It has ended while nobody looked: say how, as far as it is known. */
static void
tell_end(struct sup *sup)
{
	char cause[200], number[16];
	int status = child_verdict(sup, cause, sizeof(cause));

	str_format(number, sizeof(number), "%d", status);
	sup_event(sup, "exit", cause, number);
	write_last(sup, status, cause);
}

int
sup_recover(struct sup *sup, struct error *err)
{
	const struct nvlist *jail = NULL;
	struct zone_live live;
	bool whole;
	int rc;

	rc = zone_live_read(sup->conf.root, sup->conf.zone, &live);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0) {
		sup_log(sup, "the record is damaged: error %d", -rc);
		sup->step = "";
		return clean_up(sup, NULL, err);
	}
	rc = load_record(sup, &live);
	sup->state = live.state;
	(void)nvlist_get_list(live.record, "jail", &jail);
	whole = live.step[0] == '\0' && live.state > ZONE_STATE_INSTALLED;
	if (rc == 0 && (whole || live.step[0] != '\0') &&
	    (sup_snapshot(sup, err) < 0))
		sup_log(sup, "%s", err->text);
	if (jail != NULL)
		rc = child_reattach(sup, jail, err);
	if (rc == 0 && whole && sup->child.jail != NULL) {
		sup_log(sup, "goes on with process %d", (int)live.pid);
		mdata_begin(sup);
		sup_links_watch(sup);
		sup_slirps_load(sup);
	} else {
		if (whole && rc == -ESRCH)
			tell_end(sup);
		/* killed between the spawn and the record of it */
		if (jail == NULL)
			(void)nvlist_get_list(live.record, "foreseen", &jail);
		rc = clean_up(sup, jail, err);
	}
	zone_live_fini(&live);
	return rc;
}
