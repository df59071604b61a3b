/*
 * User-mode networking by libslirp: the guest sees 10.0.2.0/24 with a gateway,
 * DHCP and DNS that live in this process; connections leave as ordinary
 * sockets.
 *
 * The library (and glib behind it) is loaded only when it is asked for, so that
 * no other machine pays for it.
 *
 * Threads: everything runs on the loop that queue 0 was attached to.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "dev/net/net_impl.h"

#define SLIRP_MAX_FDS 256
/* Frames that wait for the guest; more are dropped. */
#define SLIRP_BACKLOG 64
#define SLIRP_MAX_FRAME 65536

/* The part of the library that we use, found at run time. */
struct slirp_lib {
	void *handle;
	__typeof__(slirp_new) *create;
	__typeof__(slirp_cleanup) *cleanup;
	__typeof__(slirp_input) *input;
	__typeof__(slirp_pollfds_fill) *fill;
	__typeof__(slirp_pollfds_poll) *poll;
	__typeof__(slirp_add_hostfwd) *add_hostfwd;
};

struct frame {
	struct frame *next;
	size_t len;
	uint8_t data[];
};

struct slirp_timer {
	struct slirp_net *sn;
	SlirpTimerCb fn;
	void *arg;
	struct mevent *ev;
};

struct slirp_net {
	struct net_backend nb;
	struct slirp_lib lib;
	Slirp *slirp;
	struct mevent *wake; /* "readable" and "look at the sockets again" */
	struct mevent *tick; /* slirp's own time-outs */
	struct pollfd fds[SLIRP_MAX_FDS];
	struct mevent *fd_ev[SLIRP_MAX_FDS];
	unsigned nfds;
	struct frame *head, **tail;
	unsigned backlog;
};

static void slirp_settle(struct slirp_net *sn);

/* ---- what the library calls ---- */
static ssize_t
cb_send_packet(const void *data, size_t len, void *opaque)
{
	struct slirp_net *sn = opaque;
	struct frame *f;

	if (sn->backlog >= SLIRP_BACKLOG || len > SLIRP_MAX_FRAME)
		return (ssize_t)len;
	f = malloc(sizeof(*f) + len);
	if (f == NULL)
		return (ssize_t)len;
	f->next = NULL;
	f->len = len;
	memcpy(f->data, data, len);
	*sn->tail = f;
	sn->tail = &f->next;
	sn->backlog++;
	if (sn->nb.q[0].want_recv && sn->wake != NULL)
		mevent_notify(sn->wake);
	return (ssize_t)len;
}

static void
cb_guest_error(const char *msg, void *opaque)
{
	static struct log_limit lim;

	log_ratelimited(&lim, LOG_WARN, "slirp", "%s", msg);
}

static int64_t
cb_clock(void *opaque)
{
	return (int64_t)mevent_now_ns();
}

static void
timer_fired(void *arg, uint64_t n)
{
	struct slirp_timer *t = arg;

	t->fn(t->arg);
	slirp_settle(t->sn);
}

static void *
cb_timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
	struct slirp_net *sn = opaque;
	struct slirp_timer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->sn = sn;
	t->fn = fn;
	t->arg = arg;
	return t;
}

static void
cb_timer_free(void *timer, void *opaque)
{
	struct slirp_timer *t = timer;

	if (t == NULL)
		return;
	mevent_delete(t->ev);
	free(t);
}

/* The library makes its timers before there is a loop; give them one late. */
static void
cb_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	struct slirp_timer *t = timer;
	struct slirp_net *sn = opaque;

	if (t == NULL || sn->nb.q[0].ops == NULL)
		return;
	if (t->ev == NULL &&
	    mevent_add_timer(sn->nb.q[0].loop, timer_fired, t, &t->ev, NULL) !=
		0)
		return;
	mevent_timer_set_abs(t->ev, (uint64_t)expire_ms * 1000000, 0);
}

static void
cb_register_fd(int fd, void *opaque)
{
}

/*
 * The library is about to close fd; its number may come back as another socket
 * before we look again.
 */
static void
cb_unregister_fd(int fd, void *opaque)
{
	struct slirp_net *sn = opaque;
	unsigned i;

	for (i = 0; i < sn->nfds; i++) {
		if (sn->fds[i].fd != fd)
			continue;
		mevent_delete(sn->fd_ev[i]);
		sn->fd_ev[i] = NULL;
		sn->fds[i].fd = -1;
	}
}

static void
cb_notify(void *opaque)
{
	struct slirp_net *sn = opaque;

	if (sn->wake != NULL)
		mevent_notify(sn->wake);
}

static const SlirpCb callbacks = {
	.send_packet = cb_send_packet,
	.guest_error = cb_guest_error,
	.clock_get_ns = cb_clock,
	.timer_new = cb_timer_new,
	.timer_free = cb_timer_free,
	.timer_mod = cb_timer_mod,
	.register_poll_fd = cb_register_fd,
	.unregister_poll_fd = cb_unregister_fd,
	.notify = cb_notify,
};

/* ---- the library's poll(2) shape on our event loop ---- */
static int
add_poll(int fd, int events, void *opaque)
{
	struct slirp_net *sn = opaque;
	struct pollfd *p;

	if (sn->nfds == SLIRP_MAX_FDS)
		return -1;
	p = &sn->fds[sn->nfds];
	p->fd = fd;
	p->events = (short)(((events & SLIRP_POLL_IN) ? POLLIN : 0) |
	    ((events & SLIRP_POLL_OUT) ? POLLOUT : 0) |
	    ((events & SLIRP_POLL_PRI) ? POLLPRI : 0));
	p->revents = 0;
	return (int)sn->nfds++;
}

static int
get_revents(int idx, void *opaque)
{
	struct slirp_net *sn = opaque;
	short r;

	if (idx < 0 || (unsigned)idx >= sn->nfds)
		return 0;
	r = sn->fds[idx].revents;
	return ((r & POLLIN) ? SLIRP_POLL_IN : 0) |
	    ((r & POLLOUT) ? SLIRP_POLL_OUT : 0) |
	    ((r & POLLPRI) ? SLIRP_POLL_PRI : 0) |
	    ((r & POLLERR) ? SLIRP_POLL_ERR : 0) |
	    ((r & POLLHUP) ? SLIRP_POLL_HUP : 0);
}

static void
fd_event(void *arg, int fd, unsigned what)
{
	struct slirp_net *sn = arg;

	poll(sn->fds, sn->nfds, 0);
	sn->lib.poll(sn->slirp, 0, get_revents, sn);
	slirp_settle(sn);
}

static void
tick_fired(void *arg, uint64_t n)
{
	fd_event(arg, -1, 0);
}

static void
drop_events(struct slirp_net *sn)
{
	unsigned i;

	for (i = 0; i < SLIRP_MAX_FDS; i++) {
		mevent_delete(sn->fd_ev[i]);
		sn->fd_ev[i] = NULL;
	}
}

/*
 * Ask the library anew which sockets matter and for how long it may sleep.
 * Events are made afresh only when the set changed.
 */
static void
slirp_settle(struct slirp_net *sn)
{
	struct pollfd old[SLIRP_MAX_FDS];
	unsigned i, nold = sn->nfds;
	uint32_t timeout = UINT32_MAX;

	memcpy(old, sn->fds, nold * sizeof(old[0]));
	sn->nfds = 0;
	sn->lib.fill(sn->slirp, &timeout, add_poll, sn);
	for (i = 0; i < sn->nfds || i < nold; i++) {
		if (i < nold && i < sn->nfds && old[i].fd == sn->fds[i].fd &&
		    old[i].events == sn->fds[i].events && sn->fd_ev[i] != NULL)
			continue;
		mevent_delete(sn->fd_ev[i]);
		sn->fd_ev[i] = NULL;
	}
	for (i = 0; i < sn->nfds; i++) {
		if (sn->fd_ev[i] == NULL)
			mevent_add_fd(sn->nb.q[0].loop, sn->fds[i].fd,
			    ((sn->fds[i].events & POLLIN) ? MEVENT_READ : 0) |
				((sn->fds[i].events & POLLOUT) ? MEVENT_WRITE
							       : 0),
			    fd_event, sn, &sn->fd_ev[i], NULL);
	}
	mevent_timer_set(sn->tick,
	    timeout == UINT32_MAX ? 0 : (uint64_t)timeout * 1000000 + 1, 0);
}

static void
woken(void *arg)
{
	struct slirp_net *sn = arg;
	struct net_queue *nq = &sn->nb.q[0];

	slirp_settle(sn);
	if (nq->want_send) {
		nq->want_send = false;
		nq->ops->writable(nq->arg, 0);
	}
	if (nq->want_recv && sn->head != NULL)
		nq->ops->readable(nq->arg, 0);
}

/* ---- the back end's table ---- */
static int
slirp_attach(struct net_backend *nb, unsigned q, struct mevent_loop *loop,
    const struct net_ops *ops, void *arg, struct error *err)
{
	struct slirp_net *sn = (struct slirp_net *)nb;
	int r = mevent_add_notifier(loop, woken, sn, &sn->wake, err);

	if (r == 0)
		r = mevent_add_timer(loop, tick_fired, sn, &sn->tick, err);
	if (r != 0) {
		mevent_delete(sn->wake);
		sn->wake = NULL;
		return r;
	}
	mevent_notify(sn->wake);
	return 0;
}

static void
slirp_detach(struct net_backend *nb, unsigned q)
{
	struct slirp_net *sn = (struct slirp_net *)nb;

	mevent_delete(sn->wake);
	mevent_delete(sn->tick);
	sn->wake = sn->tick = NULL;
	drop_events(sn);
}

static void
slirp_want(struct net_backend *nb, unsigned q)
{
	struct slirp_net *sn = (struct slirp_net *)nb;

	if (sn->wake != NULL &&
	    ((nb->q[0].want_recv && sn->head != NULL) || nb->q[0].want_send))
		mevent_notify(sn->wake);
}

static int
slirp_no_offloads(struct net_backend *nb, unsigned offloads)
{
	return offloads == 0 ? 0 : -EINVAL;
}

static int
slirp_any_hdr_len(struct net_backend *nb, unsigned len)
{
	return 0;
}

/* The library wants a packet in one piece. */
static ssize_t
slirp_send(struct net_backend *nb, unsigned q, const struct iovec *iov, int n)
{
	struct slirp_net *sn = (struct slirp_net *)nb;
	static _Thread_local uint8_t pkt[2048];
	size_t len = 0, skip = nb->hdr_len, k, total = 0;
	int i;

	for (i = 0; i < n; i++) {
		total += iov[i].iov_len;
		k = MIN(skip, iov[i].iov_len);
		skip -= k;
		if (iov[i].iov_len - k > sizeof(pkt) - len)
			return (ssize_t)total; /* beyond the MTU: dropped */
		memcpy(pkt + len, (uint8_t *)iov[i].iov_base + k,
		    iov[i].iov_len - k);
		len += iov[i].iov_len - k;
	}
	if (len >= 14) {
		sn->lib.input(sn->slirp, pkt, (int)len);
		mevent_notify(sn->wake);
	}
	return (ssize_t)total;
}

static ssize_t
slirp_recv(struct net_backend *nb, unsigned q, const struct iovec *iov, int n)
{
	struct slirp_net *sn = (struct slirp_net *)nb;
	struct frame *f = sn->head;
	size_t pos = 0, k, part, total;
	int i;

	if (f == NULL)
		return -EAGAIN;
	total = nb->hdr_len + f->len;
	for (i = 0; i < n && pos < total; i++) {
		uint8_t *to = iov[i].iov_base;
		size_t room = iov[i].iov_len;

		if (pos < nb->hdr_len) { /* an all-zero header */
			k = MIN(room, nb->hdr_len - pos);
			memset(to, 0, k);
			to += k;
			room -= k;
			pos += k;
		}
		part = pos - nb->hdr_len;
		if (pos >= nb->hdr_len && room > 0) {
			k = MIN(room, f->len - part);
			memcpy(to, f->data + part, k);
			pos += k;
		}
	}
	sn->head = f->next;
	if (sn->head == NULL)
		sn->tail = &sn->head;
	sn->backlog--;
	free(f);
	return (ssize_t)pos;
}

static void
slirp_close(struct net_backend *nb)
{
	struct slirp_net *sn = (struct slirp_net *)nb;
	struct frame *f;

	if (sn->slirp != NULL)
		sn->lib.cleanup(sn->slirp);
	while ((f = sn->head) != NULL) {
		sn->head = f->next;
		free(f);
	}
	if (sn->lib.handle != NULL)
		dlclose(sn->lib.handle);
	free(sn);
}

static const struct net_kind slirp_kind = {
	.name = "slirp",
	.close = slirp_close,
	.set_offloads = slirp_no_offloads,
	.set_hdr_len = slirp_any_hdr_len,
	.attach = slirp_attach,
	.detach = slirp_detach,
	.want = slirp_want,
	.send = slirp_send,
	.recv = slirp_recv,
};

static int
load_lib(struct slirp_lib *lib, struct error *err)
{
	const struct {
		const char *name;
		void **fn;
	} want[] = {
		{ "slirp_new", (void **)&lib->create },
		{ "slirp_cleanup", (void **)&lib->cleanup },
		{ "slirp_input", (void **)&lib->input },
		{ "slirp_pollfds_fill", (void **)&lib->fill },
		{ "slirp_pollfds_poll", (void **)&lib->poll },
		{ "slirp_add_hostfwd", (void **)&lib->add_hostfwd },
	};
	size_t i;

	lib->handle = dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL);
	if (lib->handle == NULL)
		return error_set(err, ENOENT,
		    "slirp: cannot load libslirp.so.0 (%s); install the "
		    "package libslirp0",
		    dlerror());
	for (i = 0; i < ARRAY_LEN(want); i++) {
		*want[i].fn = dlsym(lib->handle, want[i].name);
		if (*want[i].fn == NULL)
			return error_set(err, ENOENT,
			    "slirp: libslirp.so.0 has no %s; install a newer "
			    "libslirp0",
			    want[i].name);
	}
	return 0;
}

/* "addr:port", addr may be empty. */
static int
parse_endpoint(
    char *text, const char *dflt, struct in_addr *addr, uint64_t *port)
{
	char *colon = strrchr(text, ':');

	if (colon == NULL)
		return -EINVAL;
	*colon = '\0';
	if (inet_pton(AF_INET, *text != '\0' ? text : dflt, addr) != 1)
		return -EINVAL;
	return str_to_u64(colon + 1, 1, 65535, port);
}

/* proto:hostaddr:hostport-guestaddr:guestport, semicolons between. */
static int
add_forward(struct slirp_net *sn, char *text, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(text);
	struct in_addr host, guest;
	uint64_t hport, gport;
	char *dash;

	if (copy == NULL)
		return error_set(err, ENOMEM, "hostfwd: out of memory");
	dash = strchr(copy, '-');
	if (dash != NULL)
		*dash++ = '\0';
	if (dash == NULL ||
	    (strncmp(copy, "tcp:", 4) != 0 && strncmp(copy, "udp:", 4) != 0) ||
	    parse_endpoint(copy + 4, "0.0.0.0", &host, &hport) != 0 ||
	    parse_endpoint(dash, "10.0.2.15", &guest, &gport) != 0)
		return error_set(err, EINVAL,
		    "hostfwd=%s: write tcp|udp:hostaddr:port-guestaddr:port, "
		    "as "
		    "tcp:127.0.0.1:2222-10.0.2.15:22",
		    text);
	if (sn->lib.add_hostfwd(sn->slirp, copy[0] == 'u', host, (int)hport,
		guest, (int)gport) != 0)
		return error_sys(err, errno,
		    "hostfwd=%s: cannot listen on port %u", text,
		    (unsigned)hport);
	return 0;
}

static int
add_forwards(struct slirp_net *sn, const char *list, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(list);
	char *rest = copy, *word;
	int r = 0;

	if (copy == NULL)
		return error_set(err, ENOMEM, "hostfwd: out of memory");
	while (r == 0 && (word = strsep(&rest, ";")) != NULL)
		r = add_forward(sn, word, err);
	return r;
}

int
net_slirp_open(const char *hostfwd, struct net_backend **ret, struct error *err)
{
	struct slirp_net *sn = calloc(1, sizeof(*sn));
	SlirpConfig cfg = { .version = 1, .in_enabled = true };
	int r;

	if (sn == NULL)
		return error_set(err, ENOMEM, "slirp: out of memory");
	sn->nb.kind = &slirp_kind;
	sn->nb.nqueues = 1;
	sn->nb.hdr_len = NET_HDR_LEN;
	sn->tail = &sn->head;
	r = load_lib(&sn->lib, err);
	if (r == 0) {
		inet_pton(AF_INET, "10.0.2.0", &cfg.vnetwork);
		inet_pton(AF_INET, "255.255.255.0", &cfg.vnetmask);
		inet_pton(AF_INET, "10.0.2.2", &cfg.vhost);
		inet_pton(AF_INET, "10.0.2.15", &cfg.vdhcp_start);
		inet_pton(AF_INET, "10.0.2.3", &cfg.vnameserver);
		sn->slirp = sn->lib.create(&cfg, &callbacks, sn);
		if (sn->slirp == NULL)
			r = error_set(err, EIO, "slirp: cannot start");
	}
	if (r == 0 && hostfwd != NULL)
		r = add_forwards(sn, hostfwd, err);
	if (r != 0) {
		slirp_close(&sn->nb);
		return r;
	}
	*ret = &sn->nb;
	return 0;
}
