/*
 * Handing over, again and again if need be. One timer does the next step; a
 * server that ends at once, again and again, is started ever more slowly.
 */
#include "zoneadmd/mdata.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "mdata/config.h"
#include "zone/hook.h"
#include "zone/snap.h"
#include "zoneadmd/impl.h"

#define PORT_PATH "/tmp/vm.ttyb"
#define PORT_ARG "com2,socket," PORT_PATH
#define MS UINT64_C(1000000)
#define SOON (20 * MS) /* it is there, and busy */
#define STEP (100 * MS)
#define SLOWEST 6 /* doubled that often */
#define LASTED (10 * NS_PER_S)
#define TOLD 3
#define TOLD_AGAIN 1000
#define STAMP_MAX 512
#define ERRORS_MAX 300

static void later(struct sup *sup, uint64_t ns);

void
mdata_init(struct metadata *m)
{
	*m = (struct metadata){ .port = -1,
		.backlog = -1,
		.server = -1,
		.program = { .pidfd = -1, .output = -1, .errors = -1 } };
}

/* ---- programs in the background ---- */

static void
forget_program(struct mdata_program *p)
{
	mevent_delete(p->ev);
	fd_close(&p->pidfd);
	fd_close(&p->output);
	fd_close(&p->errors);
	*p = (struct mdata_program){ .pidfd = -1, .output = -1, .errors = -1 };
}

/* What it said, or what became of it; "" when all is well. */
static void
read_failure(const struct mdata_program *p, int status, char *text, size_t size)
{
	char said[ERRORS_MAX];
	ssize_t n;

	text[0] = '\0';
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	n = fd_pread_full(p->errors, said, sizeof(said) - 1, 0);
	said[MAX(n, 0)] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (said[0] != '\0')
		str_format(text, size, "%s", said);
	else
		str_format(text, size, "ended with status %d", status);
}

static void
on_program(void *arg, int fd, unsigned what)
{
	struct sup *sup = arg;
	struct mdata_program p = sup->mdata.program;
	char failed[ERRORS_MAX + 32];
	int status = 0;

	if (waitpid(p.pid, &status, WNOHANG) == 0)
		return;
	read_failure(&p, status, failed, sizeof(failed));
	mevent_delete(p.ev);
	p.ev = NULL;
	sup->mdata.program =
	    (struct mdata_program){ .pidfd = -1, .output = -1, .errors = -1 };
	p.done(sup, p.output, failed);
	forget_program(&p);
}

static int
start_program(struct sup *sup, const char *const *argv,
    void (*done)(struct sup *sup, int output, const char *failed))
{
	struct mdata_program *p = &sup->mdata.program;
	int rc;

	p->done = done;
	p->output = fd_memfd("output", 0, 0);
	p->errors = fd_memfd("errors", 0, 0);
	rc = p->output < 0 || p->errors < 0 ? -ENOMEM : 0;
	if (rc == 0) {
		const struct zone_hook_io io = { -1, p->output, p->errors };

		rc = zone_hook_start(
		    (char *const *)(uintptr_t)argv, &io, &p->pid, NULL);
	}
	if (rc == 0) {
		p->pidfd = pidfd_open(p->pid, 0);
		rc = p->pidfd < 0
		    ? -errno
		    : mevent_add_fd(sup->loop, p->pidfd, MEVENT_READ,
			  on_program, sup, &p->ev, NULL);
		if (rc < 0) {
			kill(p->pid, SIGKILL);
			waitpid(p->pid, NULL, 0);
		}
	}
	if (rc < 0)
		forget_program(p);
	return rc;
}

/* ---- facts ---- */

/* ZONEPATH/config, made if need be, and all in it the server's. */
static int
open_config(struct sup *sup, struct error *err)
{
	cleanup_close int zonepath = open(
	    sup->zonepath, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (zonepath < 0)
		return error_sys(err, errno, "%s", sup->zonepath);
	return mdata_config_open(zonepath, true, err);
}

/* Of a configuration that nobody understands: the former ones have to do. */
static struct nvlist *
no_facts(struct sup *sup, const char *why)
{
	struct nvlist *msg = ipc_message("facts");

	sup_log(sup, "facts for the guest: %s", why);
	if (msg != NULL && nvlist_add_bool(msg, "failed", true) < 0) {
		nvlist_free(msg);
		return NULL;
	}
	return msg;
}

static struct nvlist *
read_facts(struct sup *sup, int output, const char *failed)
{
	struct error err = ERROR_INIT;
	struct nvlist *msg = NULL;
	struct buf b;
	ssize_t n;
	void *p;

	if (failed[0] != '\0')
		return no_facts(sup, failed);
	buf_init(&b, IPC_MAX);
	p = buf_reserve(&b, IPC_MAX);
	n = p != NULL ? fd_pread_full(output, p, IPC_MAX, 0) : -ENOMEM;
	if (n < 0 || nvlist_unpack(b.data, (size_t)n, &msg, &err) < 0)
		msg = no_facts(sup, n < 0 ? "out of memory" : err.text);
	buf_fini(&b);
	return msg;
}

static void want_facts(struct sup *sup);

static void
facts_made(struct sup *sup, int output, const char *failed)
{
	struct metadata *m = &sup->mdata;
	struct nvlist *msg;
	int rc;

	if (m->server < 0 || m->stamp == NULL)
		return;
	msg = read_facts(sup, output, failed);
	rc = msg != NULL ? nvlist_add_str(msg, "stamp", m->stamp) : -ENOMEM;
	if (rc == 0)
		rc = ipc_send(m->server, msg, NULL, 0);
	if (rc < 0)
		sup_log(sup, "facts for the guest: error %d", -rc);
	nvlist_free(msg);
	free(m->stamp);
	m->stamp = NULL;
}

static void
want_facts(struct sup *sup)
{
	const struct sup_conf *c = &sup->conf;
	const char *const argv[] = { c->snap, "-m", "-z", c->zone, "-R",
		c->root, NULL };

	cleanup_close int config = -1;

	if (sup->mdata.program.pid != 0 || sup->mdata.stamp == NULL)
		return;
	config = open_config(sup, NULL);
	if (start_program(sup, argv, facts_made) < 0)
		later(sup, NS_PER_S);
}

/* ---- the server ---- */

static void
drop_server(struct sup *sup)
{
	struct metadata *m = &sup->mdata;

	mevent_delete(m->server_ev);
	m->server_ev = NULL;
	fd_close(&m->server);
	free(m->stamp);
	m->stamp = NULL;
}

static void
on_server(void *arg, int fd, unsigned what)
{
	struct sup *sup = arg;
	struct metadata *m = &sup->mdata;
	struct nvlist *msg = NULL;
	const char *type = NULL, *stamp = "", *text = "";
	int rc;

	rc = ipc_recv(m->server, &msg, &type, NULL, 0, NULL, NULL);
	if (rc == -EAGAIN)
		return;
	if (rc == 1 && strcmp(type, "note") == 0 &&
	    nvlist_get_str(msg, "text", &text) == 0)
		sup_log(sup, "metadata: %.400s", text);
	if (rc == 1 && strcmp(type, "facts?") == 0) {
		(void)nvlist_get_str(msg, "stamp", &stamp);
		free(m->stamp);
		m->stamp = alloc_strndup(stamp, STAMP_MAX);
		want_facts(sup);
	}
	nvlist_free(msg);
	if (rc == 1)
		return;
	drop_server(sup);
	/* the first time at once: it was killed; then it may be our guest */
	if (mevent_now_ns() - m->since_ns >= LASTED)
		m->tries = 0;
	if (m->tries < TOLD || m->tries % TOLD_AGAIN == 0)
		sup_log(sup,
		    "the metadata server has gone: to be handed over again");
	later(sup, m->tries == 0 ? 0 : STEP << MIN(m->tries, SLOWEST));
	m->tries++;
}

static int
send_zone(struct sup *sup, int sock, int config, int zones)
{
	struct metadata *m = &sup->mdata;
	const int fds[] = { m->port, config, zones, m->backlog };
	struct nvlist *msg = ipc_message("zone");
	int rc = msg != NULL ? 0 : -ENOMEM;

	if (rc == 0)
		rc = nvlist_add_str(msg, "zone", sup->conf.zone);
	if (rc == 0)
		rc = nvlist_add_str(msg, "uuid", sup->uuid);
	if (rc == 0)
		rc = ipc_send(sock, msg, fds, ARRAY_LEN(fds));
	nvlist_free(msg);
	return rc;
}

static int
hand_over(struct sup *sup, int sock, struct error *err)
{
	cleanup_close int config = -1, zones = -1;
	char path[SUP_PATH];
	int rc;

	if (str_format(path, sizeof(path), "%s/etc/zones", sup->conf.root) < 0)
		return error_set(err, ENAMETOOLONG, "root: path too long");
	zones = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (zones < 0)
		return error_sys(err, errno, "%s", path);
	config = open_config(sup, err);
	if (config < 0)
		return config;
	rc = send_zone(sup, sock, config, zones);
	return rc < 0 ? error_sys(err, -rc, "metadata server") : 0;
}

/* Try again, ever later; told of at first, and then now and again. */
static void
try_later(struct sup *sup, uint64_t ns, const char *why)
{
	struct metadata *m = &sup->mdata;

	if (why != NULL && (m->tries < TOLD || m->tries % TOLD_AGAIN == 0))
		sup_log(sup, "metadata server: %s", why);
	later(sup, ns << MIN(m->tries, SLOWEST));
	m->tries++;
}

static void
server_started(struct sup *sup, int output, const char *failed)
{
	if (failed[0] != '\0')
		try_later(sup, STEP, failed);
	else
		later(sup, 0);
}

static void
start_server(struct sup *sup)
{
	const struct sup_conf *c = &sup->conf;
	const char *const argv[] = { c->mdata, c->root[0] != '\0' ? "-R" : NULL,
		c->root, NULL };

	sup->mdata.started = true;
	if (c->mdata == NULL || start_program(sup, argv, server_started) < 0)
		try_later(sup, NS_PER_S, "cannot be started");
}

/* One try. */
static void
try_server(struct sup *sup)
{
	struct metadata *m = &sup->mdata;
	struct error err = ERROR_INIT;
	int sock = mdata_server_dial(sup->conf.root), rc;

	if (sock == -EAGAIN) {
		try_later(sup, SOON, NULL);
		return;
	}
	if (sock < 0) {
		if (!m->started)
			start_server(sup);
		else
			try_later(sup, STEP, NULL);
		m->started = m->started && m->program.pid != 0;
		return;
	}
	m->started = false;
	rc = hand_over(sup, sock, &err);
	if (rc == 0)
		rc = mevent_add_fd(sup->loop, sock, MEVENT_READ, on_server, sup,
		    &m->server_ev, &err);
	if (rc == 0) {
		m->server = sock;
		m->since_ns = mevent_now_ns();
		return;
	}
	close(sock);
	try_later(sup, STEP, err.text);
}

/* ---- time ---- */

static void
on_timer(void *arg, uint64_t expirations)
{
	struct sup *sup = arg;

	if (sup->mdata.port < 0 || sup->mdata.program.pid != 0)
		return;
	if (sup->mdata.server >= 0)
		want_facts(sup);
	else
		try_server(sup);
}

static void
later(struct sup *sup, uint64_t ns)
{
	struct metadata *m = &sup->mdata;

	if (m->port < 0 ||
	    (m->timer == NULL &&
		mevent_add_timer(sup->loop, on_timer, sup, &m->timer, NULL) <
		    0))
		return;
	(void)mevent_timer_set(m->timer, MAX(ns, 1), 0);
}

/* ---- the port ---- */

void
mdata_plan(struct sup *sup, const struct nvlist *cmd)
{
	const char *const *args = NULL;
	size_t n = 0, len = strlen(PORT_ARG);

	sup->mdata.wanted = false;
	(void)nvlist_get_strs(cmd, "bhyve_args", &args, &n);
	for (size_t i = 0; i < n; i++)
		if (strncmp(args[i], PORT_ARG, len) == 0 &&
		    (args[i][len] == '\0' || args[i][len] == ','))
			sup->mdata.wanted = true;
}

int
mdata_dial(struct sup *sup, int dir, const char *path, struct error *err)
{
	struct metadata *m = &sup->mdata;
	int backlog, port;

	if (!m->wanted || strcmp(path, PORT_PATH) != 0)
		return 0;
	port = ipc_connect(
	    dir, strrchr(path, '/') + 1, SOCK_STREAM | SOCK_NONBLOCK);
	if (port < 0)
		return error_sys(err, -port, "metadata port %s", path);
	backlog = fd_memfd("metadata", 0, MFD_ALLOW_SEALING);
	if (backlog < 0) {
		close(port);
		return error_sys(err, -backlog, "metadata port %s", path);
	}
	mdata_take(sup, port, backlog);
	return 0;
}

void
mdata_take(struct sup *sup, int port, int backlog)
{
	mdata_end(sup);
	sup->mdata.port = port;
	sup->mdata.backlog = backlog;
}

void
mdata_begin(struct sup *sup)
{
	if (sup->mdata.port >= 0)
		later(sup, 0);
}

void
mdata_end(struct sup *sup)
{
	struct metadata *m = &sup->mdata;

	if (m->program.pid != 0) {
		kill(m->program.pid, SIGKILL);
		while (waitpid(m->program.pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	forget_program(&m->program);
	drop_server(sup);
	mevent_delete(m->timer);
	fd_close(&m->port);
	fd_close(&m->backlog);
	mdata_init(m);
}
