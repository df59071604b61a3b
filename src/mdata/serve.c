/*
 * Connections, and their few messages.
 */
#include "mdata/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/nvlist.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "mdata/port.h"

#define NAME_MAX_ZONE 64
#define UUID_LEN 36
#define FACTS_MAX 4096 /* names; a message bounds their bytes */

/* What comes beside 'zone', in this order. */
enum { FD_PORT, FD_CONFIG, FD_ZONES, FD_BACKLOG, FD_COUNT };

struct conn {
	struct conn *next, **link;
	struct mdata_server *server;
	int fd;
	struct mevent *ev;
	struct mdata_port *port; /* NULL: none was handed over */
};

struct mdata_server {
	struct mdata_server_conf conf;
	struct mevent *listen_ev, *timer, *linger;
	struct work_pool *pool;
	struct conn *conns;
	size_t nconns;
	bool ticking;
	uint64_t connects;
	struct log_limit limit;
};

/* ---- answers ---- */

/* A supervisor that does not read has to come again. */
static void
say(struct conn *c, struct nvlist *msg, int rc)
{
	if (rc == 0)
		rc = ipc_send(c->fd, msg, NULL, 0);
	if (rc < 0)
		log_ratelimited(&c->server->limit, LOG_WARN,
		    c->port != NULL ? mdata_port_zone(c->port) : "mdata",
		    "cannot answer: error %d", -rc);
	nvlist_free(msg);
}

static void
on_ask(void *arg, const char *stamp)
{
	struct nvlist *msg = ipc_message("facts?");
	struct conn *c = arg;

	say(c, msg,
	    msg != NULL ? nvlist_add_str(msg, "stamp", stamp) : -ENOMEM);
}

/* Into the zone's log: who looks after the zone looks there. */
static void
on_note(void *arg, const char *text)
{
	struct nvlist *msg = ipc_message("note");
	struct conn *c = arg;

	say(c, msg, msg != NULL ? nvlist_add_str(msg, "text", text) : -ENOMEM);
}

static void
on_wake(void *arg)
{
	struct conn *c = arg;
	struct mdata_server *s = c->server;

	if (!s->ticking)
		(void)mevent_timer_set(
		    s->timer, MDATA_PORT_TICK_NS, MDATA_PORT_TICK_NS);
	s->ticking = true;
}

/* ---- connections ---- */

static void
drop(struct conn *c)
{
	struct mdata_server *s = c->server;

	if (c->port != NULL)
		log_info(mdata_port_zone(c->port), "is given back");
	mdata_port_free(c->port);
	mevent_delete(c->ev);
	close(c->fd);
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	free(c);
	s->nconns--;
	if (s->listen_ev != NULL)
		mevent_set_what(s->listen_ev, MEVENT_READ);
	if (s->nconns == 0 && s->conf.linger_ns > 0)
		(void)mevent_timer_set(s->linger, s->conf.linger_ns, 0);
}

static struct conn *
find(struct mdata_server *s, const char *zone)
{
	for (struct conn *c = s->conns; c != NULL; c = c->next)
		if (c->port != NULL &&
		    strcmp(mdata_port_zone(c->port), zone) == 0)
			return c;
	return NULL;
}

/* ---- what supervisors say ---- */

static bool
is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The port and the backlog were in a zone's hands. */
static int
check_fds(const int fds[FD_COUNT], struct error *err)
{
	int type = 0;
	socklen_t n = sizeof(type);

	if (getsockopt(fds[FD_PORT], SOL_SOCKET, SO_TYPE, &type, &n) != 0 ||
	    type != SOCK_STREAM)
		return error_set(err, EINVAL, "the port is no socket");
	if (!is_dir(fds[FD_CONFIG]) || !is_dir(fds[FD_ZONES]))
		return error_set(err, EINVAL, "a folder is none");
	if (fcntl(fds[FD_BACKLOG], F_GET_SEALS) < 0)
		return error_set(err, EINVAL, "the backlog is no memfd");
	return 0;
}

static int
say_zone(struct conn *c, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	struct mdata_port_conf conf = { .loop = c->server->conf.loop,
		.pool = c->server->pool,
		.long_ns = MDATA_PORT_LONG_NS,
		.ask = on_ask,
		.note = on_note,
		.wake = on_wake,
		.arg = c };
	struct mdata_port *port = NULL;
	struct conn *old;
	int rc;

	if (nvlist_get_str(msg, "zone", &conf.zone) < 0 ||
	    nvlist_get_str(msg, "uuid", &conf.uuid) < 0 || nfds != FD_COUNT ||
	    conf.zone[0] == '\0' || strlen(conf.zone) > NAME_MAX_ZONE ||
	    strchr(conf.zone, '/') != NULL || strlen(conf.uuid) > UUID_LEN)
		return error_set(err, EPROTO,
		    "zone: its name, uuid and %d descriptors", FD_COUNT);
	rc = check_fds(fds, err);
	if (rc < 0)
		return rc;
	/* a supervisor that was killed may not be gone for us yet */
	old = find(c->server, conf.zone);
	if (old != NULL && old != c)
		drop(old);
	mdata_port_free(c->port);
	c->port = NULL;
	conf.port = fds[FD_PORT];
	conf.config = fds[FD_CONFIG];
	conf.zones = fds[FD_ZONES];
	conf.backlog = fds[FD_BACKLOG];
	rc = mdata_port_create(&conf, &port, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < nfds; i++)
		fds[i] = -1;
	c->port = port;
	c->server->connects++;
	log_info(mdata_port_zone(port), "is served");
	return 0;
}

static int
say_reset(struct conn *c, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	if (c->port != NULL)
		mdata_port_reset(c->port);
	return 0;
}

static int
say_facts(struct conn *c, const struct nvlist *msg, int *fds, size_t nfds,
    struct error *err)
{
	const char *const *names = NULL, *const *values = NULL;
	const char *stamp = "";
	bool failed = false;
	size_t n = 0, k = 0;

	(void)nvlist_get_bool(msg, "failed", &failed);
	if (failed && c->port != NULL)
		mdata_port_no_facts(c->port);
	if (failed)
		return 0;

	(void)nvlist_get_str(msg, "stamp", &stamp);
	if (nvlist_get_strs(msg, "keys", &names, &n) < 0 ||
	    nvlist_get_strs(msg, "values", &values, &k) < 0 || n != k ||
	    n > FACTS_MAX)
		return error_set(err, EPROTO, "facts: keys and their values");
	if (c->port != NULL)
		mdata_port_facts(c->port, stamp, names, values, n);
	return 0;
}

static int
add_counters(struct nvlist *msg, const struct mdata_port *p)
{
	const struct mdata_counters *s = mdata_port_session_counters(p);
	const struct mdata_port_counters *n = mdata_port_counters(p);
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "requests", s->requests },
		{ "answers", s->answers },
		{ "bad_frames", s->bad_frames },
		{ "echoes", s->echoes },
		{ "unknown", s->unknown },
		{ "overlong", s->overlong },
		{ "puts", s->puts },
		{ "deletes", s->deletes },
		{ "in", n->in },
		{ "out", n->out },
		{ "facts", n->facts },
		{ "limited", n->limited },
		{ "full", n->full },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		rc = nvlist_add_u64(msg, rows[i].name, rows[i].value);
	return rc;
}

static int
say_stat(struct conn *c, const struct nvlist *in, int *fds, size_t nfds,
    struct error *err)
{
	const struct mdata_server *s = c->server;
	struct nvlist *msg = ipc_message("stat");
	struct conn *of = c;
	const char *zone;
	int rc = msg != NULL ? 0 : -ENOMEM;

	if (nvlist_get_str(in, "zone", &zone) == 0)
		of = find(c->server, zone);
	if (rc == 0)
		rc = nvlist_add_u64(msg, "connections", s->nconns);
	if (rc == 0)
		rc = nvlist_add_u64(msg, "connects", s->connects);
	if (rc == 0 && of != NULL && of->port != NULL)
		rc = add_counters(msg, of->port);
	say(c, msg, rc);
	return 0;
}

static const struct {
	const char *type;
	int (*fn)(struct conn *c, const struct nvlist *msg, int *fds,
	    size_t nfds, struct error *err);
} words[] = {
	{ "zone", say_zone },
	{ "reset", say_reset },
	{ "facts", say_facts },
	{ "stat?", say_stat },
};

static int
obey(struct conn *c, const char *type, const struct nvlist *msg, int *fds,
    size_t nfds, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].type, type) == 0)
			return words[i].fn(c, msg, fds, nfds, err);
	return error_set(err, EPROTO, "message '%.32s' is unknown", type);
}

static void
on_conn(void *arg, int fd, unsigned what)
{
	struct error err = ERROR_INIT;
	struct conn *c = arg;
	struct nvlist *msg = NULL;
	const char *type = NULL;
	int fds[FD_COUNT], rc;
	size_t nfds = 0;

	rc = ipc_recv(c->fd, &msg, &type, fds, FD_COUNT, &nfds, &err);
	if (rc == -EAGAIN)
		return;
	if (rc == 1)
		rc = obey(c, type, msg, fds, nfds, &err) < 0 ? -EPROTO : 1;
	for (size_t i = 0; i < nfds; i++)
		fd_close(&fds[i]);
	nvlist_free(msg);
	if (rc < 0)
		log_ratelimited(&c->server->limit, LOG_WARN,
		    c->port != NULL ? mdata_port_zone(c->port) : "mdata", "%s",
		    err.text);
	if (rc <= 0)
		drop(c);
}

static void
on_listen(void *arg, int fd, unsigned what)
{
	struct mdata_server *s = arg;
	struct conn *c;
	uid_t uid = (uid_t)-1;
	pid_t pid;
	int sock;

	sock =
	    accept4(s->conf.listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (sock < 0) {
		/* out of descriptors: until some come back */
		if (errno != EAGAIN && s->nconns > 0)
			mevent_set_what(s->listen_ev, 0);
		return;
	}
	c = alloc_zero(1, sizeof(*c));
	if (c == NULL || s->nconns >= MDATA_SERVE_MAX ||
	    ipc_peer(sock, &uid, &pid) < 0 || uid != s->conf.uid ||
	    mevent_add_fd(s->conf.loop, sock, MEVENT_READ, on_conn, c, &c->ev,
		NULL) < 0) {
		free(c);
		close(sock);
		return;
	}
	c->server = s;
	c->fd = sock;
	c->link = &s->conns;
	c->next = s->conns;
	if (c->next != NULL)
		c->next->link = &c->next;
	s->conns = c;
	s->nconns++;
	(void)mevent_timer_set(s->linger, 0, 0);
}

/* ---- time ---- */

static void
on_timer(void *arg, uint64_t expirations)
{
	uint64_t now = mevent_now_ns();
	struct mdata_server *s = arg;
	struct conn *c, *next;
	bool more = false;

	for (c = s->conns; c != NULL; c = next) {
		next = c->next;
		if (c->port == NULL)
			continue;
		if (mdata_port_broken(c->port))
			drop(c);
		else
			more |= mdata_port_tick(c->port, now);
	}
	if (more)
		return;
	/* what large values took is the host's again */
	malloc_trim(0);
	s->ticking = false;
	(void)mevent_timer_set(s->timer, 0, 0);
}

static void
on_linger(void *arg, uint64_t expirations)
{
	struct mdata_server *s = arg;

	if (s->nconns == 0)
		mevent_loop_stop(s->conf.loop);
}

/* ---- beginning and end ---- */

int
mdata_server_create(const struct mdata_server_conf *conf,
    struct mdata_server **ret, struct error *err)
{
	struct mdata_server *s = alloc_zero(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return error_set(err, ENOMEM, "out of memory");
	s->conf = *conf;
	rc = mevent_add_timer(conf->loop, on_timer, s, &s->timer, err);
	if (rc == 0 && conf->threads > 0)
		rc = work_pool_create(conf->loop, conf->threads, &s->pool, err);
	if (rc == 0)
		rc =
		    mevent_add_timer(conf->loop, on_linger, s, &s->linger, err);
	if (rc == 0)
		rc = mevent_add_fd(conf->loop, conf->listen, MEVENT_READ,
		    on_listen, s, &s->listen_ev, err);
	if (rc == 0 && conf->linger_ns > 0)
		rc = mevent_timer_set(s->linger, conf->linger_ns, 0);
	if (rc < 0) {
		mdata_server_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void
mdata_server_free(struct mdata_server *s)
{
	if (s == NULL)
		return;
	s->conf.linger_ns = 0;
	mevent_delete(s->listen_ev);
	s->listen_ev = NULL;
	while (s->conns != NULL)
		drop(s->conns);
	work_pool_free(s->pool);
	mevent_delete(s->timer);
	mevent_delete(s->linger);
	free(s);
}
