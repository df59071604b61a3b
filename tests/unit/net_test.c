/*
 * Network back ends: what configuration asks for, slirp's side of a
 * conversation, and a tap in a network namespace of the test's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "base/passed.h"
#include "dev/net/net.h"
#include "tap.h"

static const struct config_key keys[] = { NET_CONFIG_KEYS, { NULL } };

static struct config_node *
node_of(const char *opts)
{
	struct config_node *n = config_create();
	struct error err = ERROR_INIT;

	tap_check(n != NULL);
	tap_check_int(net_parse(n, opts, &err), 0);
	return n;
}

/* The error text of opening what opts say. */
static void
refused(const char *opts, const char *want)
{
	struct config_node *n = node_of(opts);
	struct net_backend *nb = NULL;
	struct error err = ERROR_INIT;

	tap_context("%s", opts);
	tap_check(net_open(n, keys, &nb, &err) < 0);
	tap_check(nb == NULL);
	if (strstr(err.text, want) == NULL)
		tap_check_str(err.text, want);
	config_free(n);
}

static void
parse(void)
{
	struct config_node *n = node_of("tap3,mac=58:9c:fc:1:2:3,mtu=9000,x");

	tap_check_str(config_get_raw(n, "backend"), "tap3");
	tap_check_str(config_get_raw(n, "mac"), "58:9c:fc:1:2:3");
	tap_check_str(config_get_raw(n, "mtu"), "9000");
	tap_check_str(config_get_raw(n, "x"), "true");
	config_free(n);
	n = node_of("");
	tap_check(config_get_raw(n, "backend") == NULL);
	config_free(n);
}

static void
refusals(void)
{
	refused("", "no network back end given");
	refused("vale0", "no network back end 'vale0'");
	refused("tap_nowhere", "no such network interface");
	refused("tap0123456789abcdef", "is no interface name");
	refused("fd=x", "no inherited descriptor");
	refused("fd=700", "no inherited descriptor");
	refused("lo,type=tap", "lo");
	refused("tap0,hostfwd=tcp::1-:2", "hostfwd goes with");
	refused("slirp,hostfwd=tcp:1", "write tcp|udp:");
	refused("slirp,hostfwd=icmp:1.2.3.4:5-10.0.2.15:5", "write tcp|udp:");
	refused("slirp,hostfwd=tcp:1.2.3.4:99999-10.0.2.15:5", "write tcp|");
	refused("tap0,queues=17", "queues");
	refused("slirp,mtu=65535", "mtu 65535");
	refused("net0,type=packet", "no socket was passed");
	refused("fd=x,type=packet", "no inherited descriptor");
	refused("fd=700,type=packet", "no inherited descriptor");
	refused("net0,type=packet,hostfwd=tcp::1-:2", "hostfwd goes with");
}

static void
macs(void)
{
	static const char *const bad[] = { "", "1:2:3", "01:02:03:04:05:06",
		"00:00:00:00:00:00", "58:9c:fc:00:11:22:33", "zz:0:0:0:0:0" };
	struct config_node *n = node_of("tap0");
	struct error err = ERROR_INIT;
	uint8_t a[6], b[6], c[6];
	size_t i;

	tap_check_int(net_mac(n, keys, "vm0", 4, 0, a, &err), 0);
	tap_check_int(net_mac(n, keys, "vm0", 4, 0, b, &err), 0);
	tap_check_int(net_mac(n, keys, "vm1", 4, 0, c, &err), 0);
	tap_check(memcmp(a, b, 6) == 0);
	tap_check(memcmp(a, c, 6) != 0);
	tap_check(memcmp(a, "\x58\x9c\xfc", 3) == 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tap_context("mac=%s", bad[i]);
		tap_check_int(config_set(n, "mac", bad[i], &err), 0);
		memcpy(b, a, 6);
		tap_check(net_mac(n, keys, "vm0", 4, 0, b, &err) < 0);
		tap_check(memcmp(a, b, 6) == 0);
	}
	config_free(n);
}

struct seen {
	struct net_backend *nb;
	unsigned readable, writable;
	uint8_t frame[4096];
	ssize_t len;
	unsigned dropped, downs, ups; /* what was no frame; the link */
};

static void
on_readable(void *arg, unsigned q)
{
	struct seen *s = arg;
	struct iovec iov = { s->frame, sizeof(s->frame) };
	ssize_t r;

	s->readable++;
	while ((r = net_recv(s->nb, q, &iov, 1)) >= 0)
		if (r == 0)
			s->dropped++;
		else
			s->len = r;
}

/* The test's frames alone: a kernel with IPv6 has its own to say on a tap. */
static void
on_readable_tap(void *arg, unsigned q)
{
	struct seen *s = arg;
	uint8_t frame[sizeof(s->frame)];
	struct iovec iov = { frame, sizeof(frame) };
	ssize_t r;

	while ((r = net_recv(s->nb, q, &iov, 1)) >= 0)
		if (memcmp(frame + NET_HDR_LEN + 12, "\x88\xb5", 2) == 0) {
			s->readable++;
			s->len = r;
			memcpy(s->frame, frame, sizeof(frame));
		}
}

static void
on_writable(void *arg, unsigned q)
{
	struct seen *s = arg;

	s->writable++;
}

static void
on_link(void *arg, bool up)
{
	struct seen *s = arg;

	s->downs += !up;
	s->ups += up;
}

static const struct net_ops ops = { on_readable, on_writable, on_link };
static const struct net_ops tap_ops = { on_readable_tap, on_writable, on_link };

static void
run_until(struct mevent_loop *loop, const unsigned *count)
{
	uint64_t end = mevent_now_ns() + UINT64_C(20000000000);

	while (*count == 0 && mevent_now_ns() < end)
		mevent_loop_once(loop, 50);
	tap_check(*count > 0);
}

static void
slirp_answers_arp(void)
{
	static uint8_t arp[NET_HDR_LEN + 42] = { [12] = 0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		2,
		0,
		0,
		0,
		0,
		1,
		8,
		6,
		0,
		1,
		8,
		0,
		6,
		4,
		0,
		1,
		2,
		0,
		0,
		0,
		0,
		1,
		10,
		0,
		2,
		15,
		0,
		0,
		0,
		0,
		0,
		0,
		10,
		0,
		2,
		2 };
	struct config_node *n = node_of("slirp");
	struct iovec iov[2] = { { arp, 7 }, { arp + 7, sizeof(arp) - 7 } };
	struct error err = ERROR_INIT;
	struct mevent_loop *loop;
	struct seen s = { 0 };

	tap_check_int(mevent_loop_create(&loop, &err), 0);
	tap_check_int(net_open(n, keys, &s.nb, &err), 0);
	tap_check_u64(net_offloads(s.nb), 0);
	tap_check_int(net_attach(s.nb, 0, loop, &ops, &s, &err), 0);
	net_want_recv(s.nb, 0, true);
	tap_check_int(net_send(s.nb, 0, iov, 2), sizeof(arp));
	run_until(loop, &s.readable);
	tap_check(s.len >= NET_HDR_LEN + 42);
	tap_check_u64(s.frame[12 + 21], 2); /* a reply */
	tap_check(memcmp(s.frame + 12 + 28, "\x0a\x00\x02\x02", 4) == 0);
	/* frames that are no frames */
	iov[1].iov_len = 3;
	tap_check_int(net_send(s.nb, 0, iov, 2), 10);
	tap_check_int(net_send(s.nb, 0, iov, 0), 0);
	net_detach(s.nb, 0);
	net_close(s.nb);
	mevent_loop_destroy(loop);
	config_free(n);
}

/* A tap "tap0" in a namespace of this test's process; false: not allowed. */
static bool
own_tap(short flags)
{
	struct ifreq ifr = { .ifr_name = "tap0" };
	int s, fd, on = 1;

	if (unshare(CLONE_NEWNET) != 0)
		return false;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags);
	tap_check_int(ioctl(fd, TUNSETIFF, &ifr), 0);
	tap_check_int(ioctl(fd, TUNSETPERSIST, on), 0);
	close(fd);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_flags = IFF_UP;
	tap_check_int(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	close(s);
	return true;
}

static void
tap_moves_frames(void)
{
	struct config_node *n = node_of("tap0");
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
		.sll_protocol = htons(0x88b5) };
	uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,
		1, 0x88, 0xb5, 'h', 'i' };
	uint8_t out[NET_HDR_LEN + 60] = { 0 }, got[100];
	struct iovec iov = { out, sizeof(out) };
	struct net_backend *second = NULL;
	struct error err = ERROR_INIT;
	struct mevent_loop *loop;
	struct seen s = { 0 };
	int sock;

	if (!own_tap(0))
		tap_skip("this user may not make a tap in a namespace");
	tap_check_int(mevent_loop_create(&loop, &err), 0);
	if (net_open(n, keys, &s.nb, &err) != 0)
		tap_check_str(err.text, "");
	tap_check(net_offloads(s.nb) & NET_OFF_TSO4);
	tap_check(net_open(n, keys, &second, &err) < 0);
	tap_check(strstr(err.text, "in use") != NULL);
	tap_check_int(net_attach(s.nb, 0, loop, &tap_ops, &s, &err), 0);
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5));
	tap_check(sock >= 0);
	ll.sll_ifindex = (int)if_nametoindex("tap0");
	tap_check_int(bind(sock, (struct sockaddr *)&ll, sizeof(ll)), 0);
	/* from the host to the guest */
	net_want_recv(s.nb, 0, true);
	tap_check_int(send(sock, frame, sizeof(frame), 0), sizeof(frame));
	run_until(loop, &s.readable);
	tap_check_int(s.len, NET_HDR_LEN + 60);
	tap_check(memcmp(s.frame + NET_HDR_LEN, frame, 60) == 0);
	/* and back, until our own frame shows */
	memcpy(out + NET_HDR_LEN, frame, 60);
	out[NET_HDR_LEN + 20] = 77;
	tap_check_int(net_send(s.nb, 0, &iov, 1), sizeof(out));
	do {
		tap_check(recv(sock, got, sizeof(got), 0) >= 60);
	} while (got[20] != 77);
	/* quiet while it is not wanted */
	net_want_recv(s.nb, 0, false);
	s.readable = 0;
	send(sock, frame, sizeof(frame), 0);
	mevent_loop_once(loop, 50);
	tap_check_u64(s.readable, 0);
	close(sock);
	net_close(s.nb);
	mevent_loop_destroy(loop);
	config_free(n);
}

static void
tap_with_queues(void)
{
	struct config_node *n = node_of("tap0,queues=4");
	struct net_backend *nb = NULL;
	struct error err = ERROR_INIT;

	if (!own_tap(IFF_MULTI_QUEUE))
		tap_skip("this user may not make a tap in a namespace");
	if (net_open(n, keys, &nb, &err) != 0)
		tap_check_str(err.text, "");
	tap_check_u64(net_queues(nb), 4);
	net_close(nb);
	config_set(n, "queues", "1", &err);
	tap_check(net_open(n, keys, &nb, &err) < 0);
	tap_check(strstr(err.text, "not a tap") != NULL);
	config_free(n);
}

/* ---- frames over a socket ---- */

struct wire {
	struct mevent_loop *loop;
	struct seen s;
	int peer;
};

static void
wire_open(struct wire *w, bool passed)
{
	struct config_node *n;
	struct error err = ERROR_INIT;
	char opts[64] = "net0,type=packet";
	int pair[2];

	*w = (struct wire){ .peer = -1 };
	tap_check_int(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	w->peer = pair[0];
	if (passed)
		tap_check_int(passed_add("net0", pair[1]), 0);
	else
		snprintf(opts, sizeof(opts), "fd=%d,type=packet", pair[1]);
	n = node_of(opts);
	tap_check_int(mevent_loop_create(&w->loop, &err), 0);
	if (net_open(n, keys, &w->s.nb, &err) != 0)
		tap_fail("%s", err.text);
	config_free(n);
	passed_clear(); /* as before the lock: the back end has its own */
	tap_check_u64(net_offloads(w->s.nb), 0);
	tap_check_u64(net_queues(w->s.nb), 1);
	tap_check_int(net_attach(w->s.nb, 0, w->loop, &ops, &w->s, &err), 0);
}

static void
wire_close(struct wire *w)
{
	if (w->peer >= 0)
		close(w->peer);
	net_close(w->s.nb);
	mevent_loop_destroy(w->loop);
}

static void
packet_moves_frames(void)
{
	uint8_t out[NET_HDR_LEN + 60], got[100];
	struct iovec iov[3] = { { out, 5 }, { out + 5, 30 }, { out + 35, 37 } };
	struct wire w;

	for (int passed = 0; passed < 2; passed++) {
		wire_open(&w, passed);
		memset(out, 0xee, NET_HDR_LEN);
		for (unsigned i = 0; i < 60; i++)
			out[NET_HDR_LEN + i] = (uint8_t)i;
		tap_check_int(net_send(w.s.nb, 0, iov, 3), sizeof(out));
		tap_check_int(recv(w.peer, got, sizeof(got), 0), 60);
		tap_check_mem(got, out + NET_HDR_LEN, 60);
		/* and back, behind a header of zeros */
		tap_check_int(send(w.peer, got, 60, 0), 60);
		memset(w.s.frame, 0xff, sizeof(w.s.frame));
		mevent_loop_once(w.loop, 0);
		tap_check_u64(w.s.readable, 0); /* it was not wanted yet */
		net_want_recv(w.s.nb, 0, true);
		run_until(w.loop, &w.s.readable);
		tap_check_int(w.s.len, NET_HDR_LEN + 60);
		memset(out, 0, NET_HDR_LEN);
		tap_check_mem(w.s.frame, out, sizeof(out));
		/* the shorter header of old drivers */
		tap_check_int(net_set_hdr_len(w.s.nb, 10), 0);
		tap_check_int(net_send(w.s.nb, 0, iov, 3), sizeof(out));
		tap_check_int(recv(w.peer, got, sizeof(got), 0), 62);
		wire_close(&w);
	}
}

/* From the other end: what is no frame is counted, the next one arrives. */
static void
packet_drops_no_frames(void)
{
	static uint8_t big[NET_MAX_FRAME + 9000];
	static const size_t lens[] = { 0, 1, 13, 4096, NET_MAX_FRAME + 1,
		sizeof(big) };
	struct wire w;

	wire_open(&w, false);
	net_want_recv(w.s.nb, 0, true);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		tap_context("%zu bytes", lens[i]);
		w.s.dropped = 0;
		w.s.readable = 0;
		w.s.len = 0;
		tap_check_int(send(w.peer, big, lens[i], 0), (ssize_t)lens[i]);
		tap_check_int(send(w.peer, big, 14, 0), 14);
		run_until(w.loop, &w.s.readable);
		tap_check_u64(w.s.dropped, 1);
		tap_check_int(w.s.len, NET_HDR_LEN + 14);
	}
	tap_check_u64(w.s.downs, 0);
	wire_close(&w);
}

static void
packet_sends_no_other(void)
{
	static uint8_t big[NET_HDR_LEN + NET_MAX_FRAME + 1];
	struct iovec iov = { big, 0 };
	uint8_t got[16];
	struct wire w;

	wire_open(&w, false);
	for (unsigned i = 0; i < 2; i++) {
		iov.iov_len = i == 0 ? NET_HDR_LEN + 13 : sizeof(big);
		tap_check_int(
		    net_send(w.s.nb, 0, &iov, 1), (ssize_t)iov.iov_len);
	}
	tap_check_int(net_send(w.s.nb, 0, &iov, 0), 0);
	tap_check_int(recv(w.peer, got, sizeof(got), MSG_DONTWAIT), -1);
	iov.iov_len = NET_HDR_LEN + NET_MAX_FRAME;
	tap_check_int(net_send(w.s.nb, 0, &iov, 1), (ssize_t)iov.iov_len);
	tap_check_int(recv(w.peer, got, sizeof(got), MSG_TRUNC), NET_MAX_FRAME);
	wire_close(&w);
}

static void
packet_waits_for_room(void)
{
	static uint8_t out[NET_HDR_LEN + 1514];
	struct iovec iov = { out, sizeof(out) };
	unsigned sent = 0, i;
	struct wire w;

	wire_open(&w, false);
	while (net_send(w.s.nb, 0, &iov, 1) == (ssize_t)sizeof(out))
		tap_check(++sent < 100000);
	tap_check_int(net_send(w.s.nb, 0, &iov, 1), -EAGAIN);
	net_want_send(w.s.nb, 0, true);
	mevent_loop_once(w.loop, 0);
	tap_check_u64(w.s.writable, 0);
	for (i = 0; i < sent; i++)
		tap_check_int(recv(w.peer, out, sizeof(out), 0), 1514);
	run_until(w.loop, &w.s.writable);
	tap_check_int(net_send(w.s.nb, 0, &iov, 1), sizeof(out));
	wire_close(&w);
}

/*
 * The other end is killed: what it still sent arrives, the link goes down once,
 * and the guest's frames are lost without anybody waiting for them.
 */
static void
packet_loses_its_peer(void)
{
	uint8_t out[NET_HDR_LEN + 60] = { 0 };
	struct iovec iov = { out, sizeof(out) };
	struct wire w;

	for (unsigned how = 0; how < 4; how++) {
		tap_context("way %u", how);
		wire_open(&w, false);
		if (how != 1)
			net_want_recv(w.s.nb, 0, true);
		if (how == 2) /* it has not read all */
			net_send(w.s.nb, 0, &iov, 1);
		if (how == 3) { /* a sender waits */
			while (net_send(w.s.nb, 0, &iov, 1) > 0)
				;
			net_want_send(w.s.nb, 0, true);
		}
		send(w.peer, out, 20, 0);
		close(w.peer);
		w.peer = -1;
		run_until(w.loop, &w.s.downs);
		if (how == 0)
			tap_check_int(w.s.len, NET_HDR_LEN + 20);
		if (how == 3)
			tap_check(w.s.writable > 0);
		tap_check_int(net_send(w.s.nb, 0, &iov, 1), sizeof(out));
		tap_check_int(net_recv(w.s.nb, 0, &iov, 1), -EAGAIN);
		/* quiet from now on */
		w.s.readable = w.s.writable = 0;
		for (unsigned i = 0; i < 10; i++)
			mevent_loop_once(w.loop, 0);
		tap_check_u64(w.s.readable + w.s.writable, 0);
		tap_check_u64(w.s.downs, 1);
		wire_close(&w);
	}
}

static void
on_down(void *arg, const char *name)
{
	tap_check_str(name, "net0");
	++*(unsigned *)arg;
}

/* Another socket for a link that is down, and for one that is not. */
static void
packet_is_plugged_again(void)
{
	uint8_t out[NET_HDR_LEN + 60] = { 0 };
	struct iovec iov = { out, sizeof(out) };
	struct error err = ERROR_INIT;
	unsigned told = 0;
	struct wire w;
	int pair[2];

	net_on_down(on_down, &told);
	wire_open(&w, true);
	net_want_recv(w.s.nb, 0, true);
	for (unsigned i = 0; i < 3; i++) {
		tap_context("round %u", i);
		if (i != 1) {
			close(w.peer);
			run_until(w.loop, &told);
		}
		tap_check_int(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		if (i == 1) {
			/* two at once: the last one counts */
			tap_check_int(net_plug("net0", pair[1], &err), 0);
			close(pair[0]);
			tap_check_int(
			    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		}
		tap_check_int(net_plug("net0", pair[1], &err), 0);
		w.s.ups = w.s.readable = told = 0;
		tap_check_int(send(pair[0], out, 30, 0), 30);
		run_until(w.loop, &w.s.readable);
		tap_check_u64(w.s.ups, 1);
		tap_check_int(w.s.len, NET_HDR_LEN + 30);
		if (i == 1)
			close(w.peer);
		w.peer = pair[0];
		tap_check_int(net_send(w.s.nb, 0, &iov, 1), sizeof(out));
		tap_check_int(recv(w.peer, out, sizeof(out), 0), 60);
	}
	tap_check_int(pipe(pair), 0);
	tap_check_int(net_plug("net0", pair[0], &err), -EINVAL);
	tap_check_int(net_plug("net1", pair[0], &err), -ENOENT);
	tap_check_has(err.text, "net1: no such link");
	close(pair[0]);
	close(pair[1]);
	/* one that nobody took any more */
	tap_check_int(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	tap_check_int(net_plug("net0", pair[1], &err), 0);
	close(pair[0]);
	wire_close(&w);
	tap_check_int(net_plug("net0", 0, &err), -ENOENT);
	net_on_down(NULL, NULL);
}

static void
packet_wants_a_pair(void)
{
	char opts[64];
	int pair[2];

	tap_check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	snprintf(opts, sizeof(opts), "fd=%d,type=packet", pair[0]);
	refused(opts, "not an end of a socket pair");
	close(pair[1]);
	tap_check_int(pipe(pair), 0);
	snprintf(opts, sizeof(opts), "fd=%d,type=packet", pair[0]);
	refused(opts, "not an end of a socket pair");
	close(pair[1]);
}

static const struct tap_test tests[] = {
	TAP_TEST(parse),
	TAP_TEST(refusals),
	TAP_TEST(macs),
	TAP_TEST(slirp_answers_arp),
	TAP_TEST(tap_moves_frames),
	TAP_TEST(tap_with_queues),
	TAP_TEST(packet_moves_frames),
	TAP_TEST(packet_drops_no_frames),
	TAP_TEST(packet_sends_no_other),
	TAP_TEST(packet_waits_for_room),
	TAP_TEST(packet_loses_its_peer),
	TAP_TEST(packet_is_plugged_again),
	TAP_TEST(packet_wants_a_pair),
};
TAP_MAIN(tests)
