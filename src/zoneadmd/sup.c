/*
 * Beginning, end, and the loop between them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/event.h"
#include "zoneadmd/fault.h"
#include "zoneadmd/impl.h"

#define IDLE_NS (5 * NS_PER_S)
#define TICK_MS 1000
#define INDEX_MAX (16U << 20)

void
sup_log(struct sup *sup, const char *fmt, ...)
{
	char text[900], line[960];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "zoneadmd: %s", text);
	logfile_line(&sup->platform, line);
}

/* ---- state ---- */

/* The index's word, without the part of zone/ that reads XML. */
static int
read_index(struct sup *sup, struct zone_entry *ret, struct error *err)
{
	struct zone_index *ix = NULL;
	const struct zone_entry *e;
	char path[SUP_PATH];
	struct buf b;
	int rc;

	str_format(path, sizeof(path), "%s/etc/zones/index", sup->conf.root);
	buf_init(&b, INDEX_MAX);
	rc = fd_read_file(AT_FDCWD, path, &b);
	if (rc == 0 && buf_str(&b) != NULL)
		ix = zone_index_parse((char *)b.data, b.len);
	buf_fini(&b);
	if (rc < 0)
		return error_sys(err, -rc, "%s", path);
	if (ix == NULL)
		return error_set(err, ENOMEM, "out of memory");
	e = zone_index_find(ix, sup->conf.zone);
	if (e == NULL) {
		rc = error_set(
		    err, ENOENT, "there is no zone '%s'", sup->conf.zone);
	} else {
		*ret = *e;
		ret->path = NULL;
		strcpy(sup->uuid, e->uuid);
		if (str_format(sup->zonepath, sizeof(sup->zonepath), "%s%s",
			sup->conf.root, e->path) < 0)
			rc = error_set(
			    err, ENAMETOOLONG, "zonepath: path too long");
	}
	zone_index_free(ix);
	return rc;
}

enum zone_state
sup_state(struct sup *sup)
{
	struct zone_entry e;

	if (sup->state > ZONE_STATE_INSTALLED)
		return sup->state;
	return read_index(sup, &e, NULL) == 0 ? e.state : ZONE_STATE_CONFIGURED;
}

int
sup_record(struct sup *sup, struct error *err)
{
	struct nvlist *rec = nvlist_create(), *jail = NULL;
	struct child *ch = &sup->child;
	uint64_t pid = ch->jail != NULL ? (uint64_t)jail_pid(ch->jail) : 0;
	int rc;

	if (sup->state <= ZONE_STATE_INSTALLED && sup->step[0] == '\0') {
		nvlist_free(rec);
		return zone_live_forget(sup->dir);
	}
	rc = rec != NULL ? 0 : -ENOMEM;
	if (rc == 0 && ch->jail != NULL)
		rc = jail_save(ch->jail, &jail);
	if (rc == 0)
		rc = nvlist_add_str(rec, "state", zone_state_name(sup->state));
	if (rc == 0)
		rc = nvlist_add_str(rec, "step", sup->step);
	if (rc == 0)
		rc = nvlist_add_u64(rec, "instance", sup->instance);
	if (rc == 0)
		rc = nvlist_add_u64(rec, "pid", pid);
	if (rc == 0 && sup->cpus[0] != '\0')
		rc = nvlist_add_str(rec, "cpus", sup->cpus);
	if (rc == 0 && sup->mdata.port >= 0)
		rc = nvlist_add_bool(rec, "metadata", true);
	if (rc == 0 && jail != NULL)
		rc = nvlist_add_list(rec, "jail", jail);
	else if (rc == 0 && sup->foreseen != NULL)
		rc = nvlist_add_list(rec, "foreseen", sup->foreseen);
	if (rc == 0)
		rc = nvlist_add_strs(rec, "sockets",
		    (const char *const *)sup->sockets, sup->nsockets);
	if (rc == 0)
		rc = sup_links_save(sup, rec);
	rc = rc < 0 ? error_sys(err, -rc, "record of the zone")
		    : zone_live_write(sup->dir, rec, err);
	nvlist_free(jail);
	nvlist_free(rec);
	return rc;
}

void
sup_event(
    struct sup *sup, const char *event, const char *cause, const char *status)
{
	const struct zone_event ev = { .zone = sup->conf.zone,
		.uuid = sup->uuid,
		.event = event,
		.cause = cause,
		.status = status };

	(void)zone_event_write(sup->conf.root, &ev, NULL);
	sup_log(sup, "%s: %s%s%s", event, cause != NULL ? cause : "",
	    status != NULL ? ", status " : "", status != NULL ? status : "");
}

void
sup_event_net(
    struct sup *sup, const char *event, const char *net, const char *cause)
{
	const struct zone_event ev = { .zone = sup->conf.zone,
		.uuid = sup->uuid,
		.event = event,
		.net = net,
		.cause = cause };

	(void)zone_event_write(sup->conf.root, &ev, NULL);
	sup_log(sup, "%s %s: %s", event, net, cause);
}

int
sup_enter(struct sup *sup, enum zone_state state, const char *step,
    const char *cause, struct error *err)
{
	enum zone_state from = sup->state;
	const struct zone_event ev = { .zone = sup->conf.zone,
		.uuid = sup->uuid,
		.event = "state",
		.from = zone_state_name(from),
		.to = zone_state_name(state),
		.cause = cause };
	int rc;

	sup->state = state;
	sup->step = step;
	rc = sup_record(sup, err);
	if (state == from)
		return rc;
	(void)zone_event_write(sup->conf.root, &ev, NULL);
	sup_log(sup, "%s -> %s: %s", ev.from, ev.to, cause);
	return rc;
}

void
sup_open_logs(struct sup *sup)
{
	cleanup_close int path = -1;

	if (sup->logs >= 0)
		return;
	path = open(
	    sup->zonepath, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (path < 0)
		return;
	(void)mkdirat(path, "logs", 0700);
	sup->logs = openat(
	    path, "logs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	logfile_open(&sup->platform, sup->logs);
	logfile_open(&sup->conlog, sup->logs);
}

/* ---- signals ---- */

static void
on_signal(void *arg, int signo)
{
	struct sup *sup = arg;

	if (signo == SIGTERM || signo == SIGINT) {
		sup->leave = true;
		return;
	}
	logfile_reopen(&sup->platform);
	logfile_reopen(&sup->conlog);
}

static int
add_signals(struct sup *sup, struct error *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(signals) && rc == 0; i++)
		rc = mevent_add_signal(sup->loop, signals[i], on_signal, sup,
		    &sup->signals[i], err);
	return rc;
}

/* ---- the loop ---- */

int
sup_wait(struct sup *sup, bool (*done)(struct sup *), uint64_t deadline_ns,
    struct error *err)
{
	uint64_t now;
	int ms, rc;

	while (!done(sup)) {
		now = mevent_now_ns();
		if (deadline_ns != 0 && now >= deadline_ns)
			return error_set(err, ETIMEDOUT, "no answer in time");
		ms = TICK_MS;
		if (deadline_ns != 0 && deadline_ns - now < NS_PER_S)
			ms = (int)((deadline_ns - now) / 1000000) + 1;
		rc = mevent_loop_once(sup->loop, ms);
		if (rc < 0)
			return error_sys(err, -rc, "event loop");
	}
	return 0;
}

/* Nothing to do for a while, and nothing to look after. */
static bool
idle(struct sup *sup)
{
	uint64_t now = mevent_now_ns();

	if (sup->state > ZONE_STATE_INSTALLED || sup_busy(sup) ||
	    console_in_use(&sup->console)) {
		sup->idle_ns = 0;
		return false;
	}
	if (sup->idle_ns == 0)
		sup->idle_ns = now;
	return now - sup->idle_ns >= IDLE_NS;
}

int
sup_run(struct sup *sup, struct error *err)
{
	struct error late = ERROR_INIT;
	int rc;

	while (!sup->leave && !idle(sup)) {
		rc = mevent_loop_once(sup->loop, TICK_MS);
		if (rc < 0)
			return error_sys(err, -rc, "event loop");
		if (sup->child.gone)
			sup_ended(sup);
		sup_work(sup);
		sup_slirps_tick(sup);
		if (sup->shutdown != NULL &&
		    mevent_now_ns() >= sup->shutdown_ns) {
			error_set(&late, ETIMEDOUT,
			    "the guest did not power off in time; 'halt' "
			    "stops it at once");
			sup_shutdown_over(sup, -ETIMEDOUT, &late);
		}
	}
	return 0;
}

/* ---- beginning and end ---- */

static int
take_lock(struct sup *sup, struct error *err)
{
	int rc;

	sup->lock = openat(sup->dir, "zoneadmd.lock",
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sup->lock < 0)
		return error_sys(err, errno, "zoneadmd.lock");
	rc = fd_lock_ofd(sup->lock, true);
	if (rc == -EAGAIN)
		return 1;
	return rc < 0 ? error_sys(err, -rc, "zoneadmd.lock") : 0;
}

static int
begin(struct sup *sup, struct error *err)
{
	struct zone_entry e;
	int rc;

	rc = read_index(sup, &e, err);
	if (rc < 0)
		return rc;
	sup->dir = zone_live_open(sup->conf.root, sup->conf.zone, true, err);
	if (sup->dir < 0)
		return sup->dir;
	rc = take_lock(sup, err);
	if (rc != 0)
		return rc;
	sup_fault(FAULT_START_LOCKED, 0);
	rc = mevent_loop_create(&sup->loop, err);
	if (rc == 0)
		rc = add_signals(sup, err);
	if (rc < 0)
		return rc;
	sup_open_logs(sup);
	console_init(&sup->console, sup->loop, &sup->conlog);
	rc = sup_recover(sup, err);
	/* who reaches us for a request finds the console too */
	if (rc == 0)
		rc = console_serve(&sup->console, sup->dir, err);
	if (rc == 0)
		rc = sup_serve(sup, err);
	if (rc == 0)
		sup_fault(FAULT_START_SERVING, 0);
	return rc;
}

int
sup_start(const struct sup_conf *conf, struct sup **ret, struct error *err)
{
	struct sup *sup = alloc_zero(1, sizeof(*sup));
	int rc;

	if (sup == NULL)
		return error_set(err, ENOMEM, "out of memory");
	sup->conf = *conf;
	sup->dir = sup->logs = sup->lock = sup->listen = -1;
	sup->state = ZONE_STATE_INSTALLED;
	sup->step = "";
	child_init(&sup->child);
	console_init(&sup->console, NULL, NULL);
	mdata_init(&sup->mdata);
	logfile_init(&sup->platform, "platform.log");
	logfile_init(&sup->conlog, "console.log");
	rc = begin(sup, err);
	if (rc != 0) {
		sup_free(sup);
		return rc;
	}
	*ret = sup;
	return 0;
}

static void
forget_child(struct sup *sup)
{
	struct child *ch = &sup->child;

	mevent_delete(ch->control_ev);
	mevent_delete(ch->exit_ev);
	mevent_delete(ch->log_ev);
	fd_close(&ch->control);
	fd_close(&ch->log);
	jail_free(ch->jail);
	child_init(ch);
}

void
sup_free(struct sup *sup)
{
	if (sup == NULL)
		return;
	mdata_end(sup);
	if (sup->loop != NULL) {
		sup_serve_end(sup);
		console_fini(&sup->console);
	}
	forget_child(sup);
	sup_slirps_forget(sup);
	sup_links_forget(sup);
	for (size_t i = 0; i < ARRAY_LEN(sup->signals); i++)
		mevent_delete(sup->signals[i]);
	mevent_loop_destroy(sup->loop);
	for (size_t i = 0; i < sup->nsockets; i++)
		free(sup->sockets[i]);
	nvlist_free(sup->snap);
	nvlist_free(sup->foreseen);
	logfile_close(&sup->platform);
	logfile_close(&sup->conlog);
	fd_close(&sup->logs);
	fd_close(&sup->lock);
	fd_close(&sup->dir);
	free(sup);
}
