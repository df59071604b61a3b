/*
 * See the header. Nothing is kept that a successor would need: the sets are in
 * the kernel, and a transaction whose beginning was not seen is begun anew by
 * the client.
 */
#include "link/nft_learn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "link/guard_impl.h"
#include "link/guard_user.h"
#include "link/nft_rules.h"
#include "link/nft_set.h"

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define FRAME_MOST 16384
#define TURN_FRAMES 64
#define TURN_CHANGES 32 /* of one frame: a router's prefixes, say */
#define PAUSE_US 2000
#define PAUSE_CHANGED_US 20000
#define LOOK_MS 1000
#define BACKLOG (256 * 1024) /* bytes that may wait */

struct nft_learner {
	int packets, sets, ifindex;
	unsigned changes; /* in this turn */
	bool down; /* the interface was, when we heard of it last */
	char name[LINK_NAME_MAX + 1], table[32];
	struct guard_user guard;
	uint8_t frame[FRAME_MOST];
};

/*
 * What can teach something, without a tag: UDP to DHCP's ports (IPv4's behind
 * options, too), routers' advertisements. Classic BPF, which needs no bpf(2).
 * Offsets count from the Ethernet header.
 */
static const struct sock_filter teaches[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 18),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 6),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 14),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 67, 10, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 68, 9, 10),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 9),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 2),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 54),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 134, 4, 5),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 4),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 56),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 546, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 547, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, FRAME_MOST),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

/* ---- what was learned ---- */

static const struct set {
	unsigned method;
	const char *name;
	size_t at; /* of the address within a key */
} sets[] = {
	{ LINK_DYN_DHCPV4, LINK_NFT_DHCPV4, 12 },
	{ LINK_DYN_DHCPV6, LINK_NFT_DHCPV6, 0 },
	{ LINK_DYN_SLAAC, LINK_NFT_SLAAC, 0 },
};

/* What cannot be carried out is not learned; the next message tries again. */
static void
learned(void *arg, const struct guard_key *key, uint64_t until)
{
	struct nft_learner *l = arg;
	uint64_t ms = 0;

	if (l->changes++ >= TURN_CHANGES)
		return;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const uint8_t *addr = key->addr + sets[i].at;
		size_t n = sizeof(key->addr) - sets[i].at;

		if (sets[i].method != key->method)
			continue;
		if (until <= l->guard.now) {
			(void)nft_set_take(
			    l->sets, l->table, sets[i].name, addr, n);
			return;
		}
		if (until != UINT64_MAX)
			ms = (until - l->guard.now) / NS_PER_MS + 1;
		(void)nft_set_put(l->sets, l->table, sets[i].name, addr, n, ms);
	}
}

/* ---- frames ---- */

static uint64_t
now(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/*
 * One that is down can come up, or go: of that a socket is told only while it
 * is up, so who waits has to look.
 */
static bool
is_gone(struct nft_learner *l)
{
	struct sockaddr_ll at = { 0 };
	socklen_t n = sizeof(at);
	struct ifreq ifr = { 0 };

	if (getsockname(l->packets, (struct sockaddr *)&at, &n) != 0 ||
	    at.sll_ifindex != l->ifindex)
		return true;
	memcpy(ifr.ifr_name, l->name, sizeof(l->name));
	l->down = ioctl(l->packets, SIOCGIFFLAGS, &ifr) != 0 ||
	    (ifr.ifr_flags & IFF_UP) == 0;
	return false;
}

void
nft_learner_wait(const struct nft_learner *l)
{
	struct pollfd p = { .fd = l->packets, .events = POLLIN };

	(void)usleep(l->changes > 0 ? PAUSE_CHANGED_US : PAUSE_US);
	(void)poll(&p, 1, l->down ? LOOK_MS : -1);
}

int
nft_learner_turn(struct nft_learner *l)
{
	struct sockaddr_ll from;
	socklen_t n;
	ssize_t got;

	l->changes = 0;
	if (l->down && is_gone(l))
		return 0;
	for (int i = 0; i < TURN_FRAMES && l->changes == 0; i++) {
		n = sizeof(from);
		got = recvfrom(l->packets, l->frame, sizeof(l->frame),
		    MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &n);
		if (got < 0 && errno == EAGAIN)
			break;
		if (got < 0 && errno != EINTR && is_gone(l))
			return 0;
		if (got <= 0 || got > (ssize_t)sizeof(l->frame))
			continue;
		l->guard.now = now();
		(void)guard_user_frame(&l->guard,
		    from.sll_pkttype != PACKET_OUTGOING, l->frame, (size_t)got);
	}
	return 1;
}

/* ---- opening ---- */

/*
 * The rules' verdict on what the guest sends is the same but for sources, which
 * a learner that began later does not know.
 */
static int
configure(
    struct nft_learner *l, const struct link_spec *spec, struct error *err)
{
	struct link_spec s = *spec;

	s.protect &= ~(unsigned)LINK_PROTECT_IP;
	s.maxbw = 0;
	s.vlan = 0;
	l->guard.changed = learned;
	l->guard.changed_arg = l;
	return guard_config_make(&s, &l->guard.cfg, err);
}

static int
listen_to(struct nft_learner *l)
{
	const struct sock_fprog prog = { .len = ARRAY_LEN(teaches),
		.filter = (struct sock_filter *)(uintptr_t)teaches };
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = l->ifindex };
	const int backlog = BACKLOG;

	/* no protocol yet: nothing comes before the filter is there */
	l->packets = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (l->packets < 0 ||
	    setsockopt(l->packets, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
		sizeof(prog)) != 0 ||
	    setsockopt(l->packets, SOL_SOCKET, SO_RCVBUF, &backlog,
		sizeof(backlog)) != 0 ||
	    bind(l->packets, (const struct sockaddr *)&at, sizeof(at)) != 0)
		return -errno;
	l->sets = nft_set_open();
	return l->sets < 0 ? l->sets : 0;
}

int
nft_learner_open(
    const struct link_spec *spec, struct nft_learner **ret, struct error *err)
{
	struct nft_learner *l = alloc_zero(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return error_set(err, ENOMEM, "out of memory");
	l->packets = l->sets = -1;
	l->ifindex = (int)if_nametoindex(spec->name);
	rc = l->ifindex != 0
	    ? configure(l, spec, err)
	    : error_set(err, ENODEV, "there is no interface %s", spec->name);
	if (rc == 0)
		rc = str_format(l->name, sizeof(l->name), "%s", spec->name);
	if (rc == 0)
		rc = str_format(
		    l->table, sizeof(l->table), LINK_NFT_TABLE, spec->name);
	if (rc == 0 && (rc = listen_to(l)) < 0)
		rc = error_sys(err, -rc,
		    "ips: addresses that are learned (dhcp, addrconf) need BPF "
		    "or a packet socket, which this host refuses; give "
		    "addresses, or set allow-ip-spoofing=true");
	if (rc < 0) {
		nft_learner_close(l);
		return rc;
	}
	*ret = l;
	return 0;
}

void
nft_learner_close(struct nft_learner *l)
{
	if (l == NULL)
		return;
	fd_close(&l->packets);
	fd_close(&l->sets);
	free(l);
}

void
nft_learner_fds(const struct nft_learner *l, int ret[2])
{
	ret[0] = l->packets;
	ret[1] = l->sets;
}
