/*
 * What the guard costs a stream between two taps of one bridge: frames are
 * written to one tap and read from the other, by turns through a pair without
 * a guard and a pair with one at both ends, and the time of each turn printed
 * ("SIZE plain NS", "SIZE guarded NS": nanoseconds a frame). Makes a network
 * namespace of its own; needs root.
 *
 *	tapstream ROUNDS
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>

#include "base/str.h"
#include "link/guard.h"

#define TURN 20000 /* frames */
#define BATCH 64

static void
control(const char *name, unsigned long request, struct ifreq *ifr)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr->ifr_name, IFNAMSIZ, "%s", name);
	if (s == -1 || ioctl(s, request, ifr) == -1)
		err(1, "%s", name);
	close(s);
}

static int
tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	if (fd == -1 || ioctl(fd, TUNSETIFF, &ifr) == -1)
		err(1, "tap %s", name);
	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) == -1)
		err(1, "offload");
	return fd;
}

static void
up(const char *name, const char *bridge)
{
	struct ifreq ifr = { 0 };

	control(name, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP;
	control(name, SIOCSIFFLAGS, &ifr);
	if (bridge == NULL)
		return;
	ifr = (struct ifreq){ .ifr_ifindex = (int)if_nametoindex(name) };
	control(bridge, SIOCBRADDIF, &ifr);
}

struct pair {
	const char *name, *from_name, *to_name;
	int from, to;
	uint8_t from_mac[6], to_mac[6];
};

/* As SmartOS has it, an address of either family. */
static void
guard(const char *name, const uint8_t mac[6], const char *addr)
{
	struct link_spec s = { .queues = 1,
		.nallowed = 2,
		.protect = LINK_PROTECT_MAC | LINK_PROTECT_IP |
		    LINK_PROTECT_DHCP | LINK_PROTECT_RESTRICTED };
	struct error e = ERROR_INIT;

	snprintf(s.name, sizeof(s.name), "%s", name);
	memcpy(s.mac, mac, 6);
	s.allowed[0] = (struct link_prefix){ AF_INET, 32, { 0 } };
	inet_pton(AF_INET, addr, s.allowed[0].addr);
	s.allowed[1] = (struct link_prefix){ AF_INET6, 128, { 0xfd } };
	if (link_guard_attach(&s, LINK_GUARD_BPF, &e) < 0)
		errx(1, "%s", e.text);
	link_guard_settle((int)if_nametoindex(name)); /* as zonelink does */
}

/* Ethernet, IPv4 and TCP; 'size' bytes in all, offloaded above 1514. */
static size_t
frame(const struct pair *p, uint8_t *buf, size_t size)
{
	struct virtio_net_hdr hdr = { 0 };
	uint8_t *ip = buf + sizeof(hdr) + 14, *tcp = ip + 20;
	uint32_t sum = 0;

	memset(buf, 0, sizeof(hdr) + size);
	if (size > 1514) {
		hdr = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.hdr_len = 54,
			.gso_size = 1460,
			.csum_start = 34,
			.csum_offset = 16,
		};
	}
	memcpy(buf, &hdr, sizeof(hdr));
	memcpy(buf + sizeof(hdr), p->to_mac, 6);
	memcpy(buf + sizeof(hdr) + 6, p->from_mac, 6);
	buf[sizeof(hdr) + 12] = 8;
	ip[0] = 0x45;
	ip[2] = (uint8_t)((size - 14) >> 8);
	ip[3] = (uint8_t)(size - 14);
	ip[8] = 64;
	ip[9] = 6;
	inet_pton(AF_INET, "10.0.0.1", ip + 12);
	inet_pton(AF_INET, "10.0.0.2", ip + 16);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	tcp[12] = 0x50;
	tcp[13] = 0x10;
	return sizeof(hdr) + size;
}

/* Nanoseconds of our CPU time a frame; each has to arrive. */
static double
turn(const struct pair *p, const uint8_t *buf, size_t n)
{
	static uint8_t in[70000];
	struct timespec a, b;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (unsigned i = 0; i < TURN; i += BATCH) {
		unsigned got = 0;

		for (unsigned k = 0; k < BATCH; k++)
			if (write(p->from, buf, n) != (ssize_t)n)
				err(1, "write");
		while (got < BATCH) {
			ssize_t r = read(p->to, in, sizeof(in));

			if (r == (ssize_t)n)
				got++;
			else if (r == -1 && errno != EAGAIN)
				err(1, "read");
		}
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 +
		   (double)(b.tv_nsec - a.tv_nsec)) /
	    TURN;
}

/* Until a frame of one comes out of the other, both ways: ports forward then,
 * and know who is where. */
static void
settle(const struct pair *p)
{
	struct pair back = {
		.from_name = p->to_name, .from = p->to, .to = p->from
	};
	uint8_t buf[2000], in[2000];
	ssize_t n;

	memcpy(back.from_mac, p->to_mac, 6);
	memcpy(back.to_mac, p->from_mac, 6);
	for (int i = 0; i < 6000; i++) {
		n = (ssize_t)frame(p, buf, 64);
		if (write(p->from, buf, (size_t)n) == n) {
			usleep(10000);
			while (read(p->to, in, sizeof(in)) > 0)
				i = 6000;
		}
	}
	n = (ssize_t)frame(&back, buf, 64);
	buf[sizeof(struct virtio_net_hdr) + 14 + 15] = 2; /* its address */
	if (write(p->to, buf, (size_t)n) != n)
		err(1, "write");
	usleep(10000);
	while (read(p->from, in, sizeof(in)) > 0 ||
	    read(p->to, in, sizeof(in)) > 0)
		;
}

static void
open_pair(struct pair *p, bool guarded)
{
	char bridge[IFNAMSIZ];

	snprintf(bridge, sizeof(bridge), "br_%s", p->name);
	control(bridge, SIOCBRADDBR, &(struct ifreq){ 0 });
	up(bridge, NULL);
	p->from = tap(p->from_name);
	p->to = tap(p->to_name);
	if (guarded) {
		guard(p->from_name, p->from_mac, "10.0.0.1");
		guard(p->to_name, p->to_mac, "10.0.0.2");
	}
	up(p->from_name, bridge);
	up(p->to_name, bridge);
	settle(p);
}

int
main(int argc, char **argv)
{
	static const size_t sizes[] = { 64, 1514, 65014 };
	static uint8_t buf[70000];
	struct pair pairs[] = {
		{ "plain", "p0", "p1", -1, -1, { 2, 0, 0, 0, 1, 1 },
		    { 2, 0, 0, 0, 1, 2 } },
		{ "guarded", "g0", "g1", -1, -1, { 2, 0, 0, 0, 2, 1 },
		    { 2, 0, 0, 0, 2, 2 } },
	};
	int rounds = argc > 1 ? atoi(argv[1]) : 5;

	if (unshare(CLONE_NEWNET) == -1)
		err(1, "no network namespace");
	open_pair(&pairs[0], false);
	open_pair(&pairs[1], true);
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
		for (int i = 0; i < rounds; i++)
			for (int k = 0; k < 2; k++) {
				/* by turns, each first as often */
				struct pair *p = &pairs[k ^ (i & 1)];
				size_t n = frame(p, buf, sizes[s]);

				printf("%zu %s %.1f\n", sizes[s], p->name,
				    turn(p, buf, n));
				fflush(stdout);
			}
	return 0;
}
