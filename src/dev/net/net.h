/*
 * Network back ends: "tapN" (with virtio-net headers, offloads and several
 * queues), "slirp" (user-mode, libslirp), "fd=N[:N...]" (inherited tap
 * queues, zones), type=packet (frames over a socket, zones).
 *
 * Packets are carried behind a 12-byte struct virtio_net_hdr_v1 (virtio 1.x,
 * 5.1.6) in both directions.
 *
 * Threads: a queue pair belongs to the loop it was attached to.
 */
#ifndef DEV_NET_NET_H
#define DEV_NET_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/config.h"
#include "base/error.h"
#include "base/mevent.h"

#define NET_HDR_LEN 12
#define NET_MAX_FRAME 65550 /* 64 KiB GSO packet and its Ethernet header */

/* Offloads of the receiving side, as TUNSETOFFLOAD means them. */
enum net_offload {
	NET_OFF_CSUM = 1,
	NET_OFF_TSO4 = 2,
	NET_OFF_TSO6 = 4,
	NET_OFF_ECN = 8,
	NET_OFF_UFO = 16,
	NET_OFF_USO = 32,
};

struct net_backend;

struct net_ops {
	/* Frames may be waiting on queue q: call net_recv until -EAGAIN. */
	void (*readable)(void *arg, unsigned q);
	/* After net_send said -EAGAIN. */
	void (*writable)(void *arg, unsigned q);
	/* The cable was pulled or put back; NULL: nobody cares. */
	void (*link)(void *arg, bool up);
};

/* Keys: backend, type, mac, mtu, hostfwd, queues. */
#define NET_CONFIG_KEYS                                                     \
	{ "backend", CONFIG_STRING, NULL, NULL, 0,                          \
		"tapN, slirp, or fd=N for what is inherited" },             \
	    { "type", CONFIG_STRING, NULL, NULL, 0,                         \
		    "tap, packet: kind of back end that its name does not " \
		    "tell" },                                               \
	    { "hostfwd", CONFIG_STRING, NULL, NULL, 0,                      \
		    "slirp: proto:hostaddr:port-guestaddr:port;..." },      \
	    { "queues", CONFIG_UINT, "1", "1..16", 0, "queue pairs" },      \
	    { "mac", CONFIG_MAC, NULL, NULL, 0, "Ethernet address" },       \
	{                                                                   \
		"mtu", CONFIG_UINT, NULL, "68..65535", 0,                   \
		    "MTU told to the guest"                                 \
	}

int net_open(const struct config_node *node, const struct config_key *keys,
    struct net_backend **ret, struct error *err);
void net_close(struct net_backend *nb);
/* "tap0,mac=...,mtu=..." or "slirp,hostfwd=..." into the node. */
int net_parse(struct config_node *node, const char *opts, struct error *err);
unsigned net_queues(const struct net_backend *nb);
unsigned net_offloads(const struct net_backend *nb); /* what it can take */
int net_set_offloads(struct net_backend *nb, unsigned offloads);
/* 12, or 10 for a legacy driver without mergeable buffers (5.1.6.1). */
int net_set_hdr_len(struct net_backend *nb, unsigned len);
/* Start delivering readable() for queue q on the loop. */
int net_attach(struct net_backend *nb, unsigned q, struct mevent_loop *loop,
    const struct net_ops *ops, void *arg, struct error *err);
void net_detach(struct net_backend *nb, unsigned q);
/* Turn readable() on and off (off while the guest has no buffers). */
void net_want_recv(struct net_backend *nb, unsigned q, bool on);
void net_want_send(struct net_backend *nb, unsigned q, bool on);
/*
 * One packet, header first: bytes moved (from net_recv() less than a header:
 * one was there, and dropped), -EAGAIN, or another errno.
 */
ssize_t net_send(
    struct net_backend *nb, unsigned q, const struct iovec *iov, int iovcnt);
ssize_t net_recv(
    struct net_backend *nb, unsigned q, const struct iovec *iov, int iovcnt);
/*
 * For type=packet. Told of each link that goes down, by its name, on its
 * device's thread; set before there are any. fn must not wait.
 */
void net_on_down(void (*fn)(void *arg, const char *name), void *arg);
/*
 * Another socket for the link of that name, which goes up; by the thread that
 * builds and destroys devices. fd is taken over unless it fails (-ENOENT: no
 * such link; -EINVAL: not such a socket).
 */
int net_plug(const char *name, int fd, struct error *err);
/* The MAC of the node, or a stable one made from the VM's name and address. */
int net_mac(const struct config_node *node, const struct config_key *keys,
    const char *vmname, unsigned slot, unsigned func, uint8_t ret[6],
    struct error *err);

#endif
