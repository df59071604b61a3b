/*
 * Frames are sent and received by the taps' own descriptors, so that nothing of
 * the host's network takes part.
 */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>

#include "base/fd.h"
#include "base/str.h"
#include "tap.h"

#define BRIDGE "wire"
#define MARK_TYPE 0x88b6 /* IEEE's for experiments */

static void
control(const char *name, unsigned long request, struct ifreq *ifr)
{
	cleanup_close int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (name != NULL)
		tap_check_int(
		    str_format(ifr->ifr_name, IFNAMSIZ, "%s", name), 0);
	if (ioctl(s, request, ifr) == -1)
		tap_fail("ioctl %#lx of %s: %s", request, ifr->ifr_name,
		    strerror(errno));
}

/*
 * The host neither asks and tells by itself nor looks into what is forwarded.
 * What is not there needs no setting.
 */
static void
silence(void)
{
	static const struct {
		const char *path, *value;
	} rows[] = {
		{ "ipv6/conf/default/disable_ipv6", "1" },
		{ "bridge/bridge-nf-call-iptables", "0" },
		{ "bridge/bridge-nf-call-ip6tables", "0" },
		{ "bridge/bridge-nf-call-arptables", "0" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[128];
		int fd;

		tap_check_int(str_format(path, sizeof(path), "/proc/sys/net/%s",
				  rows[i].path),
		    0);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd == -1)
			continue;
		if (write(fd, rows[i].value, 1) != 1)
			tap_skip("%s: %s", path, strerror(errno));
		close(fd);
	}
}

static int
open_queue(const char *name, int more)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI |
				 IFF_VNET_HDR | more) };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd == -1)
		tap_skip("/dev/net/tun: %s", strerror(errno));
	tap_check_int(str_format(ifr.ifr_name, IFNAMSIZ, "%s", name), 0);
	if (ioctl(fd, TUNSETIFF, &ifr) == -1)
		tap_skip("no tap: %s", strerror(errno));
	return fd;
}

int
wire_tap(const char *name)
{
	return open_queue(name, 0);
}

int
wire_queue(const char *name)
{
	return open_queue(name, IFF_MULTI_QUEUE);
}

void
wire_host(const uint8_t *frame, size_t n)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(BRIDGE) };
	cleanup_close int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (sendto(s, frame, n, 0, (struct sockaddr *)&to, sizeof(to)) !=
	    (ssize_t)n)
		tap_fail("frame of the host: %s", strerror(errno));
}

void
wire_up(const char *name)
{
	struct ifreq ifr = { 0 };

	control(name, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP;
	control(name, SIOCSIFFLAGS, &ifr);
}

void
wire_join(const char *name)
{
	struct ifreq ifr = { .ifr_ifindex = (int)if_nametoindex(name) };

	control(BRIDGE, SIOCBRADDIF, &ifr);
}

void
wire_open(struct wire *w)
{
	*w = (struct wire){ -1, -1, -1, 0 };
	if (unshare(CLONE_NEWNET) == -1)
		tap_skip("no network namespace: %s", strerror(errno));
	silence();
	/* snooping would send reports of its own */
	if (system("ip link add " BRIDGE " type bridge mcast_snooping 0") != 0)
		tap_skip("no bridge can be made by 'ip link'");
	wire_up(BRIDGE);
	w->peer = wire_tap("peer");
	w->third = wire_tap("third");
	wire_up("peer");
	wire_up("third");
	wire_join("peer");
	wire_join("third");
}

bool
wire_send(int tap, const uint8_t *frame, size_t n)
{
	uint8_t hdr[10] = { 0 }; /* virtio-net's: nothing to say */
	struct iovec iov[] = { { hdr, sizeof(hdr) }, { (void *)frame, n } };
	ssize_t got;

	do
		got = writev(tap, iov, 2);
	while (got == -1 && (errno == EINTR || errno == EAGAIN));
	if (got == -1 && errno == EIO)
		return false;
	if (got != (ssize_t)(n + sizeof(hdr)))
		tap_fail("frame of %zu bytes: %s", n, strerror(errno));
	return true;
}

size_t
wire_receive(int tap, uint8_t *buf, size_t max)
{
	uint8_t hdr[10];
	struct iovec iov[] = { { hdr, sizeof(hdr) }, { buf, max } };
	ssize_t got;

	do
		got = readv(tap, iov, 2);
	while (got == -1 && errno == EINTR);
	return got > (ssize_t)sizeof(hdr) ? (size_t)got - sizeof(hdr) : 0;
}

static void
mark(struct wire *w, uint8_t frame[60])
{
	static const uint8_t head[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0x02, 0, 0, 0, 0x33, 0x33, MARK_TYPE >> 8, MARK_TYPE & 0xff };

	w->marks++;
	memset(frame, 0, 60);
	memcpy(frame, head, sizeof(head));
	memcpy(frame + 14, &w->marks, sizeof(w->marks));
}

static bool
is_mark(const uint8_t *frame, size_t n)
{
	return n >= 14 && frame[12] == MARK_TYPE >> 8 &&
	    frame[13] == (MARK_TYPE & 0xff);
}

/* Hears until this mark; false: not within so many ms. */
static bool
hear(struct wire *w, const uint8_t *want, int ms,
    void (*fn)(void *arg, const uint8_t *frame, size_t n), void *arg)
{
	struct pollfd p = { .fd = w->peer, .events = POLLIN };
	uint8_t buf[65536];
	size_t n;

	while (poll(&p, 1, ms) == 1)
		while ((n = wire_receive(w->peer, buf, sizeof(buf))) > 0) {
			if (n == 60 && memcmp(buf, want, 60) == 0)
				return true;
			if (!is_mark(buf, n))
				fn(arg, buf, n);
		}
	return false;
}

void
wire_peer(struct wire *w, void (*fn)(void *arg, const uint8_t *frame, size_t n),
    void *arg)
{
	uint8_t frame[60];

	mark(w, frame);
	if (!wire_send(w->third, frame, sizeof(frame)) ||
	    !hear(w, frame, WIRE_LIMIT_S * 1000, fn, arg))
		tap_fail("what the third tap sent did not reach the peer");
}

static void
ignore(void *arg, const uint8_t *frame, size_t n)
{
}

/* A port forwards when the kernel has seen its carrier: ask until it does. */
void
wire_settle(struct wire *w)
{
	uint8_t frame[60];

	for (int i = 0; i < WIRE_LIMIT_S * 20; i++) {
		mark(w, frame);
		wire_send(w->third, frame, sizeof(frame));
		if (hear(w, frame, 50, ignore, NULL))
			return;
	}
	tap_fail("the bridge does not forward");
}

static uint64_t
total(const char *name)
{
	struct error err = ERROR_INIT;
	struct link_counters c;
	uint64_t sum;

	if (link_guard_counters(name, &c, &err) < 0)
		tap_fail("%s", err.text);
	sum = c.sent + c.received;
	for (int i = 0; i < LINK_DROP_COUNT; i++)
		sum += c.drops[i];
	return sum;
}

/* The guarded port forwards, too: the guard counts what comes to it. */
static void
settle_guarded(struct wire *w, const char *name)
{
	uint64_t before = total(name);
	uint8_t frame[60];

	for (int i = 0; i < WIRE_LIMIT_S * 20; i++) {
		mark(w, frame);
		wire_send(w->third, frame, sizeof(frame));
		hear(w, frame, 50, ignore, NULL);
		if (total(name) != before)
			return;
	}
	tap_fail("the bridge does not forward to %s", name);
}

void
wire_close(struct wire *w)
{
	fd_close(&w->guarded);
	fd_close(&w->peer);
	fd_close(&w->third);
}

void
wire_guard(
    struct wire *w, const struct link_spec *spec, enum link_guard_kind kind)
{
	struct error err = ERROR_INIT;

	if (w->guarded == -1)
		w->guarded = wire_tap(spec->name);
	if (link_guard_attach(spec, kind, &err) < 0)
		tap_fail("%s", err.text);
	wire_up(spec->name);
	wire_join(spec->name);
	wire_settle(w);
	settle_guarded(w, spec->name);
}
