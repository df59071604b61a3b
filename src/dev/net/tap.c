/*
 * tap: packets by readv and writev on queues of /dev/net/tun, one descriptor a
 * queue, with virtio-net headers and the kernel's offloads (Linux
 * Documentation/networking/tuntap.rst; include/uapi/linux/if_tun.h).
 *
 * The interface must exist: whoever owns the host's network makes it and says
 * who may use it. A tap that this process made would carry nothing anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/passed.h"
#include "base/str.h"
#include "dev/net/net_impl.h"

#define TAP_OFFLOADS (NET_OFF_CSUM | NET_OFF_TSO4 | NET_OFF_TSO6 | NET_OFF_ECN)

static unsigned
tun_offload_bits(unsigned off)
{
	static const struct {
		unsigned ours, tun;
	} map[] = {
		{ NET_OFF_CSUM, TUN_F_CSUM },
		{ NET_OFF_TSO4, TUN_F_TSO4 },
		{ NET_OFF_TSO6, TUN_F_TSO6 },
		{ NET_OFF_ECN, TUN_F_TSO_ECN },
	};
	unsigned bits = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(map); i++) {
		if (off & map[i].ours)
			bits |= map[i].tun;
	}
	return bits;
}

static int
tap_set_offloads(struct net_backend *nb, unsigned offloads)
{
	unsigned long bits = tun_offload_bits(offloads);

	/* one call: offloads belong to the interface, not to a queue */
	return ioctl(nb->q[0].fd, TUNSETOFFLOAD, bits) == 0 ? 0 : -errno;
}

static int
tap_set_hdr_len(struct net_backend *nb, unsigned len)
{
	int n = (int)len;

	return ioctl(nb->q[0].fd, TUNSETVNETHDRSZ, &n) == 0 ? 0 : -errno;
}

static void
tap_event(void *arg, int fd, unsigned what)
{
	struct net_queue *nq = arg;

	if (what & MEVENT_WRITE)
		nq->ops->writable(nq->arg, nq->index);
	if (what & MEVENT_READ)
		nq->ops->readable(nq->arg, nq->index);
	/*
	 * The interface was deleted: an error condition that stays. Without
	 * this, level-triggered epoll would spin on it.
	 */
	if ((what & MEVENT_HANGUP) && nq->ev != NULL) {
		log_warn("tap", "the network interface is gone");
		mevent_delete(nq->ev);
		nq->ev = NULL;
	}
}

static int
tap_attach(struct net_backend *nb, unsigned q, struct mevent_loop *loop,
    const struct net_ops *ops, void *arg, struct error *err)
{
	return mevent_add_fd(
	    loop, nb->q[q].fd, 0, tap_event, &nb->q[q], &nb->q[q].ev, err);
}

static void
tap_detach(struct net_backend *nb, unsigned q)
{
	mevent_delete(nb->q[q].ev);
	nb->q[q].ev = NULL;
}

static void
tap_want(struct net_backend *nb, unsigned q)
{
	struct net_queue *nq = &nb->q[q];

	if (nq->ev != NULL)
		mevent_set_what(nq->ev,
		    (nq->want_recv ? MEVENT_READ : 0) |
			(nq->want_send ? MEVENT_WRITE : 0));
}

static ssize_t
tap_send(struct net_backend *nb, unsigned q, const struct iovec *iov, int n)
{
	ssize_t r;

	do {
		r = writev(nb->q[q].fd, iov, n);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t
tap_recv(struct net_backend *nb, unsigned q, const struct iovec *iov, int n)
{
	ssize_t r;

	do {
		r = readv(nb->q[q].fd, iov, n);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static void
tap_close(struct net_backend *nb)
{
	unsigned i;

	for (i = 0; i < nb->nqueues; i++)
		fd_close(&nb->q[i].fd);
	free(nb);
}

static const struct net_kind tap_kind = {
	.name = "tap",
	.close = tap_close,
	.set_offloads = tap_set_offloads,
	.set_hdr_len = tap_set_hdr_len,
	.attach = tap_attach,
	.detach = tap_detach,
	.want = tap_want,
	.send = tap_send,
	.recv = tap_recv,
};

static struct net_backend *
tap_new(void)
{
	struct net_backend *nb = calloc(1, sizeof(*nb));
	unsigned i;

	if (nb == NULL)
		return NULL;
	nb->kind = &tap_kind;
	nb->offloads = TAP_OFFLOADS;
	for (i = 0; i < NET_MAX_QUEUES; i++)
		nb->q[i].fd = -1;
	return nb;
}

/* Header size and offloads as every user expects them at the start. */
static int
tap_setup(struct net_backend *nb, const char *name, struct error *err)
{
	int r = tap_set_hdr_len(nb, NET_HDR_LEN);

	nb->hdr_len = NET_HDR_LEN;
	if (r == 0)
		r = tap_set_offloads(nb, 0);
	if (r != 0)
		return error_sys(err, -r,
		    "%s: cannot set up virtio-net headers (not a tap with "
		    "vnet_hdr?)",
		    name);
	return 0;
}

static int
tap_open_queue(const char *name, bool multi, int *ret, struct error *err)
{
	cleanup_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = { 0 };

	if (fd < 0)
		return error_sys(err, errno,
		    "%s: cannot open /dev/net/tun (run as a user who may, or "
		    "pass the tap as fd=N)",
		    name);
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
	    (multi ? IFF_MULTI_QUEUE : 0));
	strcpy(ifr.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &ifr) != 0) {
		if (errno == EBUSY)
			return error_set(
			    err, EBUSY, "%s: in use by another process", name);
		if (errno == EINVAL)
			return error_set(err, EINVAL,
			    "%s: not a tap%s; make it with 'ip tuntap add "
			    "%s mode tap%s'",
			    name, multi ? " with multi_queue" : "", name,
			    multi ? " multi_queue" : "");
		return error_sys(
		    err, errno, "%s: cannot attach to the tap", name);
	}
	*ret = fd;
	fd = -1;
	return fd_set_nonblock(*ret, true);
}

/* Queues that were passed: their names are the tap's, a colon, the number. */
static int
tap_take_passed(struct net_backend *nb, const char *name, unsigned queues,
    struct error *err)
{
	char path[32];
	int r = 0;

	for (unsigned i = 0; i < queues && r == 0; i++) {
		str_format(path, sizeof(path), "%s:%u", name, i);
		/* whoever passes them may have fewer */
		if (i > 0 && !passed_has(path))
			break;
		r = passed_open(path, O_RDWR);
		if (r < 0)
			return error_sys(err, -r,
			    "%s: queue %u of %u was not passed", name, i,
			    queues);
		nb->q[i].fd = r;
		nb->nqueues = i + 1;
		r = fd_set_nonblock(nb->q[i].fd, true);
	}
	return r;
}

static int
tap_open_queues(struct net_backend *nb, const char *name, unsigned queues,
    struct error *err)
{
	int r = 0;

	if (if_nametoindex(name) == 0)
		return error_set(err, ENODEV,
		    "%s: no such network interface; make it with 'ip tuntap "
		    "add %s mode tap'",
		    name, name);
	for (unsigned i = 0; i < queues && r == 0; i++) {
		r = tap_open_queue(name, queues > 1, &nb->q[i].fd, err);
		nb->nqueues = i + 1;
	}
	return r;
}

int
net_tap_open(const char *name, unsigned queues, struct net_backend **ret,
    struct error *err)
{
	struct net_backend *nb;
	char first[32];
	int r;

	if (*name == '\0' || strlen(name) >= IFNAMSIZ)
		return error_set(err, EINVAL,
		    "'%s' is no interface name: 1 to %d characters", name,
		    IFNAMSIZ - 1);
	nb = tap_new();
	if (nb == NULL)
		return error_set(err, ENOMEM, "%s: out of memory", name);
	str_format(first, sizeof(first), "%s:0", name);
	r = passed_has(first) ? tap_take_passed(nb, name, queues, err)
			      : tap_open_queues(nb, name, queues, err);
	if (r == 0)
		r = tap_setup(nb, name, err);
	if (r != 0) {
		tap_close(nb);
		return r;
	}
	*ret = nb;
	return 0;
}

int
net_fd_open(const char *list, struct net_backend **ret, struct error *err)
{
	struct net_backend *nb = tap_new();
	cleanup_free char *copy = alloc_strdup(list);
	char *rest = copy, *word;
	uint64_t fd;
	int r = 0;

	if (nb == NULL || copy == NULL) {
		free(nb);
		return error_set(err, ENOMEM, "fd=%s: out of memory", list);
	}
	while (r == 0 && (word = strsep(&rest, ":")) != NULL) {
		if (nb->nqueues == NET_MAX_QUEUES ||
		    str_to_u64(word, 3, 1 << 20, &fd) != 0 ||
		    fcntl((int)fd, F_GETFD) < 0)
			r = error_set(err, EINVAL,
			    "fd=%s: '%s' is no inherited descriptor (at most "
			    "%d, colons between)",
			    list, word, NET_MAX_QUEUES);
		else
			nb->q[nb->nqueues++].fd = (int)fd;
	}
	if (r == 0)
		r = fd_set_nonblock(nb->q[0].fd, true);
	if (r == 0)
		r = tap_setup(nb, "fd", err);
	if (r != 0) {
		tap_close(nb);
		return r;
	}
	*ret = nb;
	return 0;
}
