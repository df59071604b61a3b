/*
 * User-mode networking: a small IP network for one guest, whose gateway, DHCP
 * and name server libslirp plays. The guest's connections leave as ordinary
 * sockets of this process, so no privilege, link or bridge is needed.
 *
 * Frames come and go over one end of a socket pair (AF_UNIX, SOCK_SEQPACKET): a
 * message is an Ethernet frame without its checksum, 14 to UNET_FRAME_MAX
 * bytes; others are dropped. The one at the other end is a guest: nothing it
 * sends does more than keep its own network busy.
 *
 * The library (and glib behind it) is loaded when it is asked for, so that no
 * other machine pays for it.
 *
 * Threads: unet_serve() belongs to one thread; the rest is for when it does not
 * run. Several networks in one process share the library's clock and resolver.
 */
#ifndef UNET_UNET_H
#define UNET_UNET_H

#include <netinet/in.h>
#include <stdbool.h>

#include "base/error.h"

#define UNET_FRAME_MIN 14
#define UNET_FRAME_MAX 65550
#define UNET_MTU_MIN 68
#define UNET_MTU_MAX 65521 /* what libslirp takes */

/* A network; addresses that are 0 are chosen by unet_conf_settle(). */
struct unet_conf {
	struct in_addr guest; /* what DHCP gives out */
	unsigned prefix;
	struct in_addr gateway, dns;
	bool ipv6; /* there is an IPv6 network as well */
	struct in6_addr guest6;
	unsigned prefix6;
	struct in6_addr gateway6, dns6;
	unsigned mtu; /* 0: 1500 */
	bool loopback; /* the gateway's ports are the host's loopback's */
	/* "proto:addr:port-guestaddr:port;...", NULL: none; borrowed */
	const char *hostfwd;
};

/* 10.0.2.15/24 behind 10.0.2.2, no IPv6, no forwards, no loopback. */
void unet_conf_init(struct unet_conf *conf);
/*
 * "10.0.2.15/24" or "fd00::15/64": the guest's address and with it the network.
 * One of each family.
 */
int
unet_conf_address(struct unet_conf *conf, const char *text, struct error *err);
int
unet_conf_gateway(struct unet_conf *conf, const char *text, struct error *err);
/* Choose what was not said, check that all fits into the network. */
int unet_conf_settle(struct unet_conf *conf, struct error *err);

struct unet;
/*
 * Load the library and listen for the forwards. conf is settled; it may go
 * away afterwards.
 */
int
unet_open(const struct unet_conf *conf, struct unet **ret, struct error *err);
/*
 * Carry frames until the other end of fd is closed. fd stays the caller's. 0,
 * or a negative errno when it cannot go on.
 */
int unet_serve(struct unet *un, int fd);
void unet_close(struct unet *un); /* NULL is allowed */

#endif
