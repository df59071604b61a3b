/*
 * Frames over a socket: one end of a connected pair (AF_UNIX, SOCK_SEQPACKET)
 * that was passed or inherited, a message an Ethernet frame. A zone without a
 * link has it, with a user-mode network or a switch at the other end.
 *
 * The other end is as little to be trusted as the guest: what it sends is a
 * frame or nothing, and when it is gone the guest sees its cable pulled.
 *
 * Both ways without blocking, bounded by the socket's buffer: a full one makes
 * the guest's queue wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/passed.h"
#include "base/str.h"
#include "dev/net/net_impl.h"

#define FRAME_MIN 14
#define IOV_MAX_PACKET 257

struct packet_net {
	struct net_backend nb;
	struct packet_net *next;
	char name[48];
	bool down;
	int plug; /* a new socket, until the loop takes it; atomic */
	void (*on_close)(void *arg); /* who serves the other end */
	void *arg;
};

static struct packet_net *links;
static void (*down_fn)(void *arg, const char *name);
static void *down_arg;

/* ---- the link's end ---- */

static void
go_down(struct packet_net *pn)
{
	struct net_queue *nq = &pn->nb.q[0];

	if (pn->down)
		return;
	pn->down = true;
	log_warn(
	    "net", "%s: the other end is gone: the link is down", pn->name);
	mevent_delete(nq->ev);
	nq->ev = NULL;
	if (nq->ops != NULL && nq->ops->link != NULL)
		nq->ops->link(nq->arg, false);
	if (down_fn != NULL)
		down_fn(down_arg, pn->name);
}

/* What waits to be sent waits for nobody: it is dropped. */
static void
go_down_for_all(struct packet_net *pn)
{
	struct net_queue *nq = &pn->nb.q[0];

	go_down(pn);
	if (nq->want_send)
		nq->ops->writable(nq->arg, 0);
}

static bool
is_gone(int fd)
{
	struct pollfd pfd = { .fd = fd };

	return poll(&pfd, 1, 0) == 1 &&
	    (pfd.revents & (POLLHUP | POLLERR)) != 0;
}

static void
packet_event(void *arg, int fd, unsigned what)
{
	struct net_queue *nq = arg;

	if (what & MEVENT_WRITE)
		nq->ops->writable(nq->arg, 0);
	if (what & MEVENT_READ)
		nq->ops->readable(nq->arg, 0);
	if (what & MEVENT_HANGUP)
		go_down_for_all((struct packet_net *)nq->nb);
}

/* ---- frames ---- */

/* in without its first 'skip' bytes; the number of segments, 0: nothing left */
static int
skip_header(
    const struct iovec *in, int n, size_t skip, struct iovec *out, int max)
{
	int k = 0;

	for (int i = 0; i < n && k < max; i++) {
		size_t cut = MIN(skip, in[i].iov_len);

		skip -= cut;
		if (in[i].iov_len == cut)
			continue;
		out[k].iov_base = (uint8_t *)in[i].iov_base + cut;
		out[k++].iov_len = in[i].iov_len - cut;
	}
	return k;
}

static size_t
total_of(const struct iovec *iov, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

static void
clear_header(const struct iovec *iov, int n, size_t len)
{
	for (int i = 0; i < n && len > 0; i++) {
		size_t part = MIN(len, iov[i].iov_len);

		memset(iov[i].iov_base, 0, part);
		len -= part;
	}
}

static ssize_t
packet_send(struct net_backend *nb, unsigned q, const struct iovec *iov, int n)
{
	struct packet_net *pn = (struct packet_net *)nb;
	struct iovec part[IOV_MAX_PACKET];
	struct msghdr msg = { .msg_iov = part };
	size_t len = total_of(iov, n);
	ssize_t r;

	/* no frame, or nobody to have it: gone as on a wire */
	if (n > IOV_MAX_PACKET || len < nb->hdr_len + FRAME_MIN ||
	    len > nb->hdr_len + NET_MAX_FRAME || pn->down)
		return (ssize_t)len;
	msg.msg_iovlen =
	    (size_t)skip_header(iov, n, nb->hdr_len, part, IOV_MAX_PACKET);
	do {
		r = sendmsg(nb->q[0].fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return -EAGAIN;
	if (r < 0 && (errno == EPIPE || errno == ECONNRESET))
		go_down(pn);
	return (ssize_t)len;
}

/* 0: a message that is no frame was thrown away. */
static ssize_t
packet_recv(struct net_backend *nb, unsigned q, const struct iovec *iov, int n)
{
	struct packet_net *pn = (struct packet_net *)nb;
	struct iovec part[IOV_MAX_PACKET];
	struct msghdr msg = { .msg_iov = part };
	ssize_t r;

	if (pn->down)
		return -EAGAIN;
	msg.msg_iovlen = (size_t)skip_header(
	    iov, MIN(n, IOV_MAX_PACKET), nb->hdr_len, part, IOV_MAX_PACKET);
	do {
		r = recvmsg(nb->q[0].fd, &msg, MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN)
		return -EAGAIN;
	/* an empty message looks like the end, and is none */
	if (r < 0 || (r == 0 && is_gone(nb->q[0].fd))) {
		go_down_for_all(pn);
		return -EAGAIN;
	}
	if (r < FRAME_MIN || r > NET_MAX_FRAME || (msg.msg_flags & MSG_TRUNC))
		return 0;
	clear_header(iov, n, nb->hdr_len);
	return r + (ssize_t)nb->hdr_len;
}

/* ---- the back end's table ---- */

static int
packet_attach(struct net_backend *nb, unsigned q, struct mevent_loop *loop,
    const struct net_ops *ops, void *arg, struct error *err)
{
	return mevent_add_fd(
	    loop, nb->q[q].fd, 0, packet_event, &nb->q[q], &nb->q[q].ev, err);
}

static void
packet_detach(struct net_backend *nb, unsigned q)
{
	mevent_delete(nb->q[q].ev);
	nb->q[q].ev = NULL;
}

static void
packet_want(struct net_backend *nb, unsigned q)
{
	struct net_queue *nq = &nb->q[q];

	if (nq->ev != NULL)
		mevent_set_what(nq->ev,
		    (nq->want_recv ? MEVENT_READ : 0) |
			(nq->want_send ? MEVENT_WRITE : 0));
}

static int
packet_no_offloads(struct net_backend *nb, unsigned offloads)
{
	return offloads == 0 ? 0 : -EINVAL;
}

static int
packet_any_hdr_len(struct net_backend *nb, unsigned len)
{
	return 0;
}

static void
packet_close(struct net_backend *nb)
{
	struct packet_net *pn = (struct packet_net *)nb;

	for (struct packet_net **p = &links; *p != NULL; p = &(*p)->next)
		if (*p == pn) {
			*p = pn->next;
			break;
		}
	fd_close(&pn->plug);
	fd_close(&nb->q[0].fd);
	if (pn->on_close != NULL)
		pn->on_close(pn->arg);
	free(pn);
}

static const struct net_kind packet_kind = {
	.name = "packet",
	.close = packet_close,
	.set_offloads = packet_no_offloads,
	.set_hdr_len = packet_any_hdr_len,
	.attach = packet_attach,
	.detach = packet_detach,
	.want = packet_want,
	.send = packet_send,
	.recv = packet_recv,
};

/* ---- opening ---- */

static int
check_socket(int fd, const char *name, struct error *err)
{
	int domain = 0, type = 0;
	socklen_t n = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 ||
	    domain != AF_UNIX || type != SOCK_SEQPACKET)
		return error_set(err, EINVAL,
		    "%s: not an end of a socket pair (UNIX, SOCK_SEQPACKET)",
		    name);
	return 0;
}

int
net_packet_new(int fd, const char *name, void (*on_close)(void *arg), void *arg,
    struct net_backend **ret, struct error *err)
{
	struct packet_net *pn;
	int rc = check_socket(fd, name, err);

	if (rc != 0)
		return rc;
	pn = alloc_zero(1, sizeof(*pn));
	if (pn == NULL)
		return error_set(err, ENOMEM, "%s: out of memory", name);
	pn->nb.kind = &packet_kind;
	pn->nb.nqueues = 1;
	pn->nb.hdr_len = NET_HDR_LEN;
	pn->nb.q[0].fd = fd;
	pn->plug = -1;
	pn->on_close = on_close;
	pn->arg = arg;
	str_format(pn->name, sizeof(pn->name), "%.40s", name);
	pn->next = links;
	links = pn;
	*ret = &pn->nb;
	return 0;
}

int
net_packet_open(const char *name, struct net_backend **ret, struct error *err)
{
	uint64_t number;
	int fd, rc;

	if (strncmp(name, "fd=", 3) == 0) {
		if (str_to_u64(name + 3, 3, 1 << 20, &number) != 0 ||
		    fcntl((int)number, F_GETFD) < 0)
			return error_set(
			    err, EINVAL, "%s: no inherited descriptor", name);
		fd = (int)number;
	} else if (passed_has(name)) {
		fd = passed_open(name, O_RDWR);
		if (fd < 0)
			return error_sys(err, -fd, "%s", name);
	} else {
		return error_set(err, ENOENT,
		    "%s: no socket was passed by that name (type=packet is "
		    "for zones, or give fd=N)",
		    name);
	}
	rc = net_packet_new(fd, name, NULL, NULL, ret, err);
	if (rc != 0)
		fd_close(&fd);
	return rc;
}

/* ---- another socket ---- */

void
net_on_down(void (*fn)(void *arg, const char *name), void *arg)
{
	down_fn = fn;
	down_arg = arg;
}

/* On the loop. */
static void
take_plug(void *arg)
{
	struct packet_net *pn = arg;
	struct net_queue *nq = &pn->nb.q[0];
	struct error err = ERROR_INIT;
	int fd = __atomic_exchange_n(&pn->plug, -1, __ATOMIC_ACQ_REL);

	if (fd < 0 || nq->ops == NULL) {
		fd_close(&fd);
		return;
	}
	mevent_delete(nq->ev);
	nq->ev = NULL;
	fd_close(&nq->fd);
	nq->fd = fd;
	if (packet_attach(&pn->nb, 0, nq->loop, nq->ops, nq->arg, &err) != 0) {
		log_warn("net", "%s: %s", pn->name, err.text);
		return;
	}
	pn->down = false;
	log_info("net", "%s: the link is up again", pn->name);
	packet_want(&pn->nb, 0);
	if (nq->ops->link != NULL)
		nq->ops->link(nq->arg, true);
	if (nq->want_recv)
		nq->ops->readable(nq->arg, 0);
}

int
net_plug(const char *name, int fd, struct error *err)
{
	struct packet_net *pn = links;
	int rc, old;

	while (pn != NULL && strcmp(pn->name, name) != 0)
		pn = pn->next;
	if (pn == NULL || pn->nb.q[0].ops == NULL)
		return error_set(err, ENOENT, "%.64s: no such link", name);
	rc = check_socket(fd, name, err);
	if (rc != 0)
		return rc;
	old = __atomic_exchange_n(&pn->plug, fd, __ATOMIC_ACQ_REL);
	fd_close(&old);
	/* if it cannot be told now, the next one takes it or it goes unused */
	if (mevent_call(pn->nb.q[0].loop, take_plug, pn) != 0)
		log_warn("net", "%s: out of memory", pn->name);
	return 0;
}
