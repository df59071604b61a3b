/*
 * Inside of the network back ends: one constant table of functions a kind.
 */
#ifndef DEV_NET_NET_IMPL_H
#define DEV_NET_NET_IMPL_H

#include "dev/net/net.h"

struct net_kind {
	const char *name; /* for error texts */
	void (*close)(struct net_backend *nb);
	int (*set_offloads)(struct net_backend *nb, unsigned offloads);
	int (*set_hdr_len)(struct net_backend *nb, unsigned len);
	int (*attach)(struct net_backend *nb, unsigned q,
	    struct mevent_loop *loop, const struct net_ops *ops, void *arg,
	    struct error *err);
	void (*detach)(struct net_backend *nb, unsigned q);
	void (*want)(struct net_backend *nb, unsigned q);
	ssize_t (*send)(struct net_backend *nb, unsigned q,
	    const struct iovec *iov, int iovcnt);
	ssize_t (*recv)(struct net_backend *nb, unsigned q,
	    const struct iovec *iov, int iovcnt);
};

#define NET_MAX_QUEUES 16

struct net_queue {
	struct net_backend *nb;
	unsigned index;
	struct mevent_loop *loop;
	const struct net_ops *ops;
	void *arg;
	struct mevent *ev;
	int fd;
	bool want_recv, want_send;
};

/* First member of every kind's own structure. */
struct net_backend {
	const struct net_kind *kind;
	unsigned nqueues;
	unsigned offloads; /* what it can take */
	unsigned hdr_len;
	struct net_queue q[NET_MAX_QUEUES];
};

int net_tap_open(const char *name, unsigned queues, struct net_backend **ret,
    struct error *err);
/* "N[:N...]": inherited tap queues, taken over (closed with the back end). */
int net_fd_open(const char *list, struct net_backend **ret, struct error *err);
/* Frames over a socket that was passed by this name, or inherited ("fd=N"). */
int
net_packet_open(const char *name, struct net_backend **ret, struct error *err);
/*
 * The same for a socket at hand, which is the back end's when it succeeds. Once
 * that is closed on_close (NULL: none) is called.
 */
int net_packet_new(int fd, const char *name, void (*on_close)(void *arg),
    void *arg, struct net_backend **ret, struct error *err);
int net_slirp_open(const char *hostfwd, unsigned mtu, struct net_backend **ret,
    struct error *err);

#endif
