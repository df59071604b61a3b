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
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
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
};

static void
on_readable(void *arg, unsigned q)
{
	struct seen *s = arg;
	struct iovec iov = { s->frame, sizeof(s->frame) };
	ssize_t r;

	s->readable++;
	while ((r = net_recv(s->nb, q, &iov, 1)) >= 0)
		s->len = r;
}

static void
on_writable(void *arg, unsigned q)
{
	struct seen *s = arg;

	s->writable++;
}

static const struct net_ops ops = { on_readable, on_writable };

static void
run_until(struct mevent_loop *loop, const unsigned *count)
{
	unsigned i;

	for (i = 0; i < 100 && *count == 0; i++)
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
	tap_check_int(net_attach(s.nb, 0, loop, &ops, &s, &err), 0);
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

static const struct tap_test tests[] = {
	TAP_TEST(parse),
	TAP_TEST(refusals),
	TAP_TEST(macs),
	TAP_TEST(slirp_answers_arp),
	TAP_TEST(tap_moves_frames),
	TAP_TEST(tap_with_queues),
};
TAP_MAIN(tests)
