/*
 * The loop around libslirp: one poll(2) over the frames' socket and the sockets
 * of the guest's connections, as the library is made for.
 *
 * Back-pressure. Frames that the other end has no room for wait here, and as
 * long as any waits the guest's connections are not read: what comes for it
 * stays with its senders, whose TCP slows down. What the library makes even so
 * (acknowledgements, timers) is bounded and dropped beyond.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "unet/impl.h"

#define MAX_FDS 4096
#define WAITING_MAX (2 * MiB)
#define BUDGET 64 /* frames before the connections get their turn */
/*
 * The library never wishes to sleep for longer than a second; with that wish
 * none of its timers runs, and then a wake-up now and then will do.
 */
#define WISH_IDLE 1000
#define IDLE_MS 30000
#define NS_PER_S INT64_C(1000000000)

struct frame {
	struct frame *next;
	size_t len;
	uint8_t data[];
};

struct unet_timer {
	struct unet_timer *next;
	struct unet *un;
	SlirpTimerCb fn;
	void *arg;
	int64_t expire_ms; /* INT64_MAX: not armed */
};

struct unet {
	struct unet_conf conf;
	struct unet_lib lib;
	Slirp *slirp;
	int fd; /* -1 while nobody serves */
	struct pollfd *fds; /* [0] is the frames' */
	unsigned nfds, max_fds;
	struct frame *head, **tail;
	size_t waiting; /* bytes */
	struct unet_timer *timers;
	uint8_t buf[UNET_FRAME_MAX];
};

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* ---- frames to the guest ---- */

/* 0; -EAGAIN: there is no room. What cannot be sent at all is dropped. */
static int
put_frame(struct unet *un, const void *data, size_t len)
{
	ssize_t n;

	do {
		n = send(un->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? -EAGAIN : 0;
}

static void
keep_frame(struct unet *un, const void *data, size_t len)
{
	struct frame *f;

	if (un->waiting + len > WAITING_MAX)
		return;
	f = alloc_bytes(sizeof(*f) + len);
	if (f == NULL)
		return;
	f->next = NULL;
	f->len = len;
	memcpy(f->data, data, len);
	*un->tail = f;
	un->tail = &f->next;
	un->waiting += len;
}

static void
drop_first(struct unet *un)
{
	struct frame *f = un->head;

	un->head = f->next;
	if (un->head == NULL)
		un->tail = &un->head;
	un->waiting -= f->len;
	free(f);
}

static void
flush(struct unet *un)
{
	while (un->head != NULL &&
	    put_frame(un, un->head->data, un->head->len) == 0)
		drop_first(un);
}

/* ---- what the library calls ---- */

static ssize_t
cb_send_packet(const void *data, size_t len, void *opaque)
{
	struct unet *un = opaque;

	if (un->fd < 0 || len < UNET_FRAME_MIN || len > UNET_FRAME_MAX)
		return (ssize_t)len;
	if (un->head != NULL || put_frame(un, data, len) != 0)
		keep_frame(un, data, len);
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
	return now_ns();
}

static void *
cb_timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
	struct unet *un = opaque;
	struct unet_timer *t = alloc_zero(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->un = un;
	t->fn = fn;
	t->arg = arg;
	t->expire_ms = INT64_MAX;
	t->next = un->timers;
	un->timers = t;
	return t;
}

static void
cb_timer_free(void *timer, void *opaque)
{
	struct unet *un = opaque;

	for (struct unet_timer **p = &un->timers; *p != NULL; p = &(*p)->next)
		if (*p == timer) {
			*p = (*p)->next;
			break;
		}
	free(timer);
}

static void
cb_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	struct unet_timer *t = timer;

	if (t != NULL)
		t->expire_ms = expire_ms;
}

static void
cb_nothing_fd(int fd, void *opaque)
{
}

static void
cb_notify(void *opaque)
{
}

static const SlirpCb callbacks = {
	.send_packet = cb_send_packet,
	.guest_error = cb_guest_error,
	.clock_get_ns = cb_clock,
	.timer_new = cb_timer_new,
	.timer_free = cb_timer_free,
	.timer_mod = cb_timer_mod,
	.register_poll_fd = cb_nothing_fd,
	.unregister_poll_fd = cb_nothing_fd,
	.notify = cb_notify,
};

/* ---- the library's part of a round ---- */

static const struct {
	int slirp;
	short poll;
} conditions[] = {
	{ SLIRP_POLL_IN, POLLIN },
	{ SLIRP_POLL_OUT, POLLOUT },
	{ SLIRP_POLL_PRI, POLLPRI },
	{ SLIRP_POLL_ERR, POLLERR },
	{ SLIRP_POLL_HUP, POLLHUP },
};

static bool
more_room(struct unet *un)
{
	unsigned n = un->max_fds * 2;
	struct pollfd *fds;

	if (n > MAX_FDS ||
	    (fds = alloc_resize(un->fds, n, sizeof(*fds))) == NULL)
		return false;
	un->fds = fds;
	un->max_fds = n;
	return true;
}

static int
add_poll(int fd, int events, void *opaque)
{
	struct unet *un = opaque;
	struct pollfd *p;

	if (un->nfds == un->max_fds && !more_room(un))
		return -1; /* it waits until others have ended */
	p = &un->fds[un->nfds];
	*p = (struct pollfd){ .fd = fd };
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
		if (events & conditions[i].slirp)
			p->events |= conditions[i].poll;
	return (int)un->nfds++;
}

static int
get_revents(int idx, void *opaque)
{
	struct unet *un = opaque;
	int r = 0;

	if (idx < 1 || (unsigned)idx >= un->nfds)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
		if (un->fds[idx].revents & conditions[i].poll)
			r |= conditions[i].slirp;
	return r;
}

static void
run_timers(struct unet *un)
{
	int64_t now = now_ns() / 1000000;
	struct unet_timer *t, *next;

	for (t = un->timers; t != NULL; t = next) {
		next = t->next;
		if (t->expire_ms > now)
			continue;
		t->expire_ms = INT64_MAX;
		t->fn(t->arg);
	}
}

/* For how long poll(2) may sleep: the library's wish and the timers. */
static int
timeout_of(const struct unet *un, uint32_t wish)
{
	int64_t now = now_ns() / 1000000;
	int64_t left = wish >= WISH_IDLE ? IDLE_MS : wish;

	for (const struct unet_timer *t = un->timers; t != NULL; t = t->next)
		if (t->expire_ms != INT64_MAX)
			left = MIN(left, MAX(t->expire_ms - now, 0));
	return (int)left;
}

/* ---- frames from the guest ---- */

static void
take_frame(struct unet *un, size_t len)
{
	static struct log_limit lim;

	if (len < UNET_FRAME_MIN || len > sizeof(un->buf)) {
		log_ratelimited(&lim, LOG_WARN, "slirp",
		    "a frame of %zu bytes from the guest was dropped", len);
		return;
	}
	if (unet_may_pass(&un->conf, un->buf, len))
		un->lib.input(un->slirp, un->buf, (int)len);
}

/* false: the other end is closed. hup: poll(2) has said so. */
static bool
take_frames(struct unet *un, bool hup)
{
	ssize_t n;

	for (unsigned i = 0; i < BUDGET; i++) {
		/* the length is the message's own, whatever was cut */
		n = recv(
		    un->fd, un->buf, sizeof(un->buf), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN && !hup;
		/* an empty message, or the end: poll(2) knows, next time */
		if (n == 0)
			return !hup;
		take_frame(un, (size_t)n);
	}
	return true;
}

/* ---- */

/* One round; 0, 1: the other end is closed, or a negative errno. */
static int
serve_once(struct unet *un)
{
	uint32_t wish = UINT32_MAX;
	bool held = un->head != NULL;
	int n;

	un->nfds = 1;
	un->fds[0] = (struct pollfd){ .fd = un->fd,
		.events = (short)(POLLIN | (held ? POLLOUT : 0)) };
	un->lib.fill(un->slirp, &wish, add_poll, un);
	n = poll(un->fds, held ? 1 : un->nfds, timeout_of(un, wish));
	if (n < 0 && errno != EINTR)
		return -errno;
	if (n < 0)
		un->fds[0].revents = 0;
	if (un->fds[0].revents & (POLLOUT | POLLHUP | POLLERR))
		flush(un);
	/* before the guest's frames: it sets the library's clock */
	un->lib.poll(un->slirp, n < 0, get_revents, un);
	if ((un->fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
	    !take_frames(un, (un->fds[0].revents & POLLHUP) != 0))
		return 1;
	run_timers(un);
	return 0;
}

int
unet_serve(struct unet *un, int fd)
{
	int rc;

	un->fd = fd;
	do {
		rc = serve_once(un);
	} while (rc == 0);
	un->fd = -1;
	while (un->head != NULL)
		drop_first(un);
	return rc < 0 ? rc : 0;
}

/* ---- beginning and end ---- */

static int
create(struct unet *un, struct error *err)
{
	const struct unet_conf *c = &un->conf;
	SlirpConfig cfg = {
		.version = 1,
		.in_enabled = true,
		.vhost = c->gateway,
		.vdhcp_start = c->guest,
		.vnameserver = c->dns,
		.in6_enabled = c->ipv6,
		.vprefix_len = (uint8_t)c->prefix6,
		.vhost6 = c->gateway6,
		.vnameserver6 = c->dns6,
		.if_mtu = c->mtu,
		.if_mru = c->mtu,
		.disable_host_loopback = !c->loopback,
	};

	cfg.vnetmask.s_addr = htonl(~(UINT32_MAX >> c->prefix));
	cfg.vnetwork.s_addr = c->guest.s_addr & cfg.vnetmask.s_addr;
	cfg.vprefix_addr6 = c->guest6;
	for (unsigned i = c->prefix6; i < 128; i++)
		cfg.vprefix_addr6.s6_addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	un->slirp = un->lib.create(&cfg, &callbacks, un);
	return un->slirp != NULL ? 0
				 : error_set(err, EIO, "slirp: cannot start");
}

int
unet_open(const struct unet_conf *conf, struct unet **ret, struct error *err)
{
	struct unet *un = alloc_zero(1, sizeof(*un));
	int rc;

	if (un == NULL)
		return error_set(err, ENOMEM, "slirp: out of memory");
	un->conf = *conf;
	un->conf.hostfwd = NULL;
	un->fd = -1;
	un->tail = &un->head;
	un->max_fds = 32;
	un->fds = alloc_zero(un->max_fds, sizeof(*un->fds));
	rc = un->fds != NULL ? unet_lib_open(&un->lib, err)
			     : error_set(err, ENOMEM, "slirp: out of memory");
	if (rc == 0)
		rc = create(un, err);
	if (rc == 0 && conf->hostfwd != NULL)
		rc = unet_forward(
		    &un->lib, un->slirp, conf->hostfwd, conf->guest, err);
	if (rc != 0) {
		unet_close(un);
		return rc;
	}
	*ret = un;
	return 0;
}

void
unet_close(struct unet *un)
{
	if (un == NULL)
		return;
	if (un->slirp != NULL)
		un->lib.cleanup(un->slirp);
	unet_lib_close(&un->lib);
	while (un->head != NULL)
		drop_first(un);
	while (un->timers != NULL)
		cb_timer_free(un->timers, un);
	free(un->fds);
	free(un);
}
