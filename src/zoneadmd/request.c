/*
 * Requests of operators' programs: taken from their sockets, put in a row,
 * carried out one after the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "zoneadmd/impl.h"

#define NOTES_MAX 4096
#define SHUTDOWN_SECONDS 60
#define SHUTDOWN_MOST 86400
#define PAUSE_SECONDS 10
#define PAUSE_MOST 60

/* ---- answers ---- */

static void
free_job(struct job *job)
{
	nvlist_free(job->msg);
	buf_fini(&job->notes);
	free(job);
}

void
sup_answer(struct sup *sup, struct job *job, int rc, const struct error *err)
{
	struct nvlist *msg = ipc_message("reply");
	const char *text;

	if (rc < 0)
		text = err != NULL ? err->text : "failed";
	else
		text = buf_str(&job->notes);
	if (msg != NULL && job->client != NULL &&
	    nvlist_add_u64(msg, "id", job->id) == 0 &&
	    nvlist_add_u64(msg, "code", rc < 0 ? (uint64_t)-rc : 0) == 0 &&
	    nvlist_add_str(msg, "text", text != NULL ? text : "") == 0 &&
	    nvlist_add_str(msg, "state", zone_state_name(sup_state(sup))) == 0)
		(void)ipc_send(job->client->fd, msg, NULL, 0);
	nvlist_free(msg);
	free_job(job);
}

void
sup_shutdown_over(struct sup *sup, int rc, const struct error *err)
{
	struct job *job = sup->shutdown;

	sup->shutdown = NULL;
	sup_answer(sup, job, rc, err);
}

bool
sup_busy(const struct sup *sup)
{
	for (size_t i = 0; i < SUP_CLIENTS; i++)
		if (sup->clients[i].sup != NULL)
			return true;
	return sup->jobs != NULL || sup->shutdown != NULL;
}

/* ---- clients ---- */

static void
drop_client(struct client *cl)
{
	struct sup *sup = cl->sup;

	for (struct job *j = sup->jobs; j != NULL; j = j->next)
		if (j->client == cl)
			j->client = NULL;
	if (sup->job != NULL && sup->job->client == cl)
		sup->job->client = NULL;
	if (sup->shutdown != NULL && sup->shutdown->client == cl)
		sup->shutdown->client = NULL;
	/* whoever died over its copy: the guest goes on */
	if (sup->pauser == cl) {
		sup->pauser = NULL;
		child_let_go(sup);
	}
	mevent_delete(cl->ev);
	fd_close(&cl->fd);
	*cl = (struct client){ .fd = -1 };
}

static int
parse_request(
    struct job *job, const char *type, struct nvlist *msg, struct error *err)
{
	const char *name = NULL;

	if (strcmp(type, "request") != 0 ||
	    nvlist_get_u64(msg, "id", &job->id) < 0 ||
	    nvlist_get_str(msg, "command", &name) < 0)
		return error_set(err, EPROTO, "not a request");
	if (sup_command_parse(name, &job->command) < 0)
		return error_set(
		    err, EPROTO, "there is no command '%.32s'", name);
	return 0;
}

static void
enqueue(struct client *cl, const char *type, struct nvlist *msg)
{
	struct job *job = alloc_zero(1, sizeof(*job)), **end;
	struct sup *sup = cl->sup;
	struct error err = ERROR_INIT;

	if (job == NULL) {
		nvlist_free(msg);
		drop_client(cl);
		return;
	}
	buf_init(&job->notes, NOTES_MAX);
	job->msg = msg;
	job->client = cl;
	if (parse_request(job, type, msg, &err) < 0) {
		sup_answer(sup, job, -EPROTO, &err);
		return;
	}
	if (job->command == SUP_STATUS) {
		sup_answer(sup, job, 0, NULL);
		return;
	}
	/* who halts does not wait for a boot that hangs */
	if (job->command == SUP_HALT)
		sup->cancel = true;
	for (end = &sup->jobs; *end != NULL; end = &(*end)->next)
		continue;
	*end = job;
}

static void
on_client(void *arg, int fd, unsigned what)
{
	struct client *cl = arg;
	struct nvlist *msg = NULL;
	const char *type = NULL;
	int rc;

	rc = ipc_recv(cl->fd, &msg, &type, NULL, 0, NULL, NULL);
	if (rc == 1)
		enqueue(cl, type, msg);
	else if (rc != -EAGAIN)
		drop_client(cl);
}

static void
on_connect(void *arg, int listener, unsigned what)
{
	struct sup *sup = arg;
	struct client *cl = NULL;
	uid_t uid = (uid_t)-1;
	pid_t pid;
	int fd;

	fd = accept4(sup->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	for (size_t i = 0; i < SUP_CLIENTS && cl == NULL; i++)
		if (sup->clients[i].sup == NULL)
			cl = &sup->clients[i];
	if (cl == NULL || ipc_peer(fd, &uid, &pid) < 0 || uid != geteuid() ||
	    mevent_add_fd(
		sup->loop, fd, MEVENT_READ, on_client, cl, &cl->ev, NULL) < 0) {
		close(fd);
		return;
	}
	cl->sup = sup;
	cl->fd = fd;
}

int
sup_serve(struct sup *sup, struct error *err)
{
	sup->listen =
	    ipc_listen(sup->dir, "zoneadmd.sock", SOCK_SEQPACKET, err);
	if (sup->listen < 0)
		return sup->listen;
	return mevent_add_fd(sup->loop, sup->listen, MEVENT_READ, on_connect,
	    sup, &sup->listen_ev, err);
}

void
sup_serve_end(struct sup *sup)
{
	static const struct error gone = { EAGAIN,
		"the supervisor was told to end; try again" };
	struct job *job;

	while ((job = sup->jobs) != NULL) {
		sup->jobs = job->next;
		sup_answer(sup, job, -EAGAIN, &gone);
	}
	if (sup->shutdown != NULL)
		sup_shutdown_over(sup, -EAGAIN, &gone);
	if (sup->listen >= 0) {
		(void)unlinkat(sup->dir, "zoneadmd.sock", 0);
		(void)unlinkat(sup->dir, "console.sock", 0);
	}
	for (size_t i = 0; i < SUP_CLIENTS; i++)
		if (sup->clients[i].sup != NULL)
			drop_client(&sup->clients[i]);
	mevent_delete(sup->listen_ev);
	sup->listen_ev = NULL;
	fd_close(&sup->listen);
}

/* ---- what is done ---- */

static int
act_refuse(struct sup *sup, struct job *job, struct error *err)
{
	return error_set(err, EINVAL, "zone '%s' is %s: %s is not possible",
	    sup->conf.zone, zone_state_name(sup_state(sup)),
	    sup_command_names[job->command]);
}

static int
act_already(struct sup *sup, struct job *job, struct error *err)
{
	buf_printf(&job->notes, "zone '%s' is already %s", sup->conf.zone,
	    job->command == SUP_READY      ? "ready"
		: job->command == SUP_BOOT ? "booted"
					   : "halted");
	return 0;
}

static int
act_ready(struct sup *sup, struct job *job, struct error *err)
{
	int rc = sup_ready(sup, job, err);

	if (rc == 0)
		console_notice(&sup->console, "Zone readied");
	return rc;
}

static int
boot_told(struct sup *sup, struct job *job, bool ready, struct error *err)
{
	int rc;

	console_notice(&sup->console, "Zone booting up");
	rc = ready ? sup_ready(sup, job, err) : 0;
	if (rc == 0)
		rc = sup_boot(sup, job, err);
	if (rc < 0) {
		sup_log(sup, "boot failed: %s", err->text);
		console_notice(&sup->console, err->text);
		console_notice(&sup->console, "Zone boot failed");
	}
	return rc;
}

static int
act_boot(struct sup *sup, struct job *job, struct error *err)
{
	return boot_told(sup, job, false, err);
}

static int
act_ready_boot(struct sup *sup, struct job *job, struct error *err)
{
	return boot_told(sup, job, true, err);
}

static int
act_halt(struct sup *sup, struct job *job, struct error *err)
{
	int rc = sup_halted(sup, "halted by an operator", err);

	if (rc == 0)
		console_notice(&sup->console, "Zone halted");
	if (sup->shutdown != NULL && rc == 0)
		sup_shutdown_over(sup, 0, NULL);
	return rc;
}

static int
act_ready_again(struct sup *sup, struct job *job, struct error *err)
{
	int rc = sup_halted(sup, "made ready by an operator", err);

	return rc < 0 ? rc : act_ready(sup, job, err);
}

static int
act_reboot(struct sup *sup, struct job *job, struct error *err)
{
	int rc;

	console_notice(&sup->console, "Zone rebooting");
	rc = sup_halted(sup, "rebooted by an operator", err);
	return rc < 0 ? rc : boot_told(sup, job, true, err);
}

/* Answered when the guest is down. */
static int
act_shutdown(struct sup *sup, struct job *job, struct error *err)
{
	uint64_t seconds = SHUTDOWN_SECONDS;
	int rc;

	if (sup->shutdown != NULL)
		return error_set(err, EALREADY,
		    "zone '%s' is being shut down already", sup->conf.zone);
	(void)nvlist_get_u64(job->msg, "timeout", &seconds);
	sup->shutdown_reboot = false;
	(void)nvlist_get_bool(job->msg, "reboot", &sup->shutdown_reboot);
	rc = child_say(sup, "powerbutton");
	if (rc < 0)
		return error_sys(err, -rc, "the zone's process");
	sup_event(sup, "powerbutton", "shut down by an operator", NULL);
	sup->shutdown_ns =
	    mevent_now_ns() + MIN(seconds, SHUTDOWN_MOST) * NS_PER_S;
	sup->shutdown = job;
	return 1;
}

static int
act_leave(struct sup *sup, struct job *job, struct error *err)
{
	console_notice(
	    &sup->console, "Zone is being uninstalled.  Disconnecting...");
	sup->leave = true;
	return 0;
}

static int
act_nmi(struct sup *sup, struct job *job, struct error *err)
{
	int rc = child_say(sup, "nmi");

	return rc < 0 ? error_sys(err, -rc, "the zone's process") : 0;
}

/* For as long as the client stays connected, and does not say resume. */
static int
act_pause(struct sup *sup, struct job *job, struct error *err)
{
	uint64_t seconds = PAUSE_SECONDS;
	int rc;

	if (sup->pauser != NULL)
		return error_set(
		    err, EBUSY, "zone '%s' is paused already", sup->conf.zone);
	(void)nvlist_get_u64(job->msg, "timeout", &seconds);
	rc = child_pause(sup, (unsigned)MIN(MAX(seconds, 1), PAUSE_MOST), err);
	if (rc < 0)
		return rc;
	sup->pauser = job->client;
	if (job->client == NULL)
		child_let_go(sup);
	return 0;
}

static int
act_resume(struct sup *sup, struct job *job, struct error *err)
{
	if (sup->pauser == NULL || sup->pauser != job->client)
		return error_set(err, EINVAL, "zone '%s' is not paused for you",
		    sup->conf.zone);
	sup->pauser = NULL;
	return child_resume(sup, err);
}

static int (*const acts[])(struct sup *, struct job *, struct error *) = {
	[ACT_REFUSE] = act_refuse,
	[ACT_ALREADY] = act_already,
	[ACT_READY] = act_ready,
	[ACT_READY_BOOT] = act_ready_boot,
	[ACT_BOOT] = act_boot,
	[ACT_READY_AGAIN] = act_ready_again,
	[ACT_HALT] = act_halt,
	[ACT_SHUTDOWN] = act_shutdown,
	[ACT_REBOOT] = act_reboot,
	[ACT_LEAVE] = act_leave,
	[ACT_STATUS] = act_already,
	[ACT_NMI] = act_nmi,
	[ACT_PAUSE] = act_pause,
	[ACT_RESUME] = act_resume,
};

static bool
halt_waits(const struct sup *sup)
{
	for (const struct job *j = sup->jobs; j != NULL; j = j->next)
		if (j->command == SUP_HALT)
			return true;
	return false;
}

void
sup_work(struct sup *sup)
{
	struct error err;
	struct job *job;
	int rc;

	while (!sup->leave && (job = sup->jobs) != NULL) {
		sup->jobs = job->next;
		job->next = NULL;
		sup->job = job;
		err = (struct error)ERROR_INIT;
		/* the process may have ended while another job was done */
		if (sup->child.gone)
			sup_ended(sup);
		sup->cancel = halt_waits(sup);
		rc = acts[sup_act_of(sup_state(sup), job->command)](
		    sup, job, &err);
		sup->job = NULL;
		if (rc <= 0)
			sup_answer(sup, job, rc, &err);
	}
	sup->cancel = false;
}
