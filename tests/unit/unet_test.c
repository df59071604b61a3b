/*
 * A user-mode network: its addresses, what the guest may send into it, and the
 * loop with a guest that is quick, slow, wrong or gone.
 */
#include "unet/unet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "tap.h"
#include "unet/impl.h"

/* ---- addresses ---- */

static const struct {
	const char *guest, *guest6, *gateway, *gateway6; /* NULL: not said */
	const char *text; /* "GATEWAY DNS [GATEWAY6 DNS6]", or of the error */
} networks[] = {
	{ .text = "10.0.2.2 10.0.2.3" },
	{ "192.0.2.7/24", .text = "192.0.2.2 192.0.2.3" },
	{ "192.0.2.2/24", .text = "192.0.2.3 192.0.2.4" },
	{ "192.0.2.3/24", .text = "192.0.2.2 192.0.2.4" },
	{ "192.0.2.4/29", .text = "192.0.2.2 192.0.2.3" },
	{ "192.0.2.7/24", .gateway = "192.0.2.1",
	    .text = "192.0.2.1 192.0.2.3" },
	{ "192.0.2.7/24", .gateway = "192.0.2.3",
	    .text = "192.0.2.3 192.0.2.4" },
	{ "10.200.3.4/8", .text = "10.0.0.2 10.0.0.3" },
	{ NULL, "fd00::15/64", .text = "10.0.2.2 10.0.2.3 fd00::2 fd00::3" },
	{ NULL, "fd00::2/64", .text = "10.0.2.2 10.0.2.3 fd00::3 fd00::4" },
	{ NULL, "fd00:1:2:3:4:5:6:7/120", NULL, "fd00:1:2:3:4:5:6:1",
	    "10.0.2.2 10.0.2.3 fd00:1:2:3:4:5:6:1 fd00:1:2:3:4:5:6:2" },
	{ "192.0.2.7", .text = "address '192.0.2.7': write ADDRESS/PREFIX" },
	{ "192.0.2.7/30", .text = "a prefix of 8 to 29" },
	{ "192.0.2/24", .text = "address '192.0.2/24'" },
	{ "192.0.2.0/24", .text = "the guest's address 192.0.2.0: no host's" },
	{ "192.0.2.255/24", .text = "the guest's address 192.0.2.255: no" },
	{ "192.0.2.7/24", .gateway = "192.0.3.1",
	    .text = "the gateway 192.0.3.1: no host's address in" },
	{ "192.0.2.7/24", .gateway = "192.0.2.7",
	    .text = "the gateway 192.0.2.7: that is another's" },
	{ .gateway = "x", .text = "gateway 'x': not an IP address" },
	{ .gateway6 = "fd00::1", .text = "without an IPv6 address" },
	{ NULL, "fd00::15/40", .text = "IPv6 with 48 to 120" },
	{ NULL, "fd00::15/64", NULL, "fd01::1",
	    "the gateway fd01::1: no other host's" },
	{ NULL, "fd00::15/64", NULL, "fd00::15", "no other host's" },
};

static int
settle(size_t i, struct unet_conf *c, struct error *err)
{
	int rc = 0;

	unet_conf_init(c);
	if (networks[i].guest != NULL)
		rc = unet_conf_address(c, networks[i].guest, err);
	if (rc == 0 && networks[i].guest6 != NULL)
		rc = unet_conf_address(c, networks[i].guest6, err);
	if (rc == 0 && networks[i].gateway != NULL)
		rc = unet_conf_gateway(c, networks[i].gateway, err);
	if (rc == 0 && networks[i].gateway6 != NULL)
		rc = unet_conf_gateway(c, networks[i].gateway6, err);
	return rc == 0 ? unet_conf_settle(c, err) : rc;
}

static void
addresses(void)
{
	char text[256], a[4][INET6_ADDRSTRLEN];

	for (size_t i = 0; i < ARRAY_LEN(networks); i++) {
		struct error err = ERROR_INIT;
		struct unet_conf c;

		tap_context("network %zu", i);
		if (settle(i, &c, &err) < 0) {
			tap_check_has(err.text, networks[i].text);
			continue;
		}
		inet_ntop(AF_INET, &c.gateway, a[0], sizeof(a[0]));
		inet_ntop(AF_INET, &c.dns, a[1], sizeof(a[1]));
		inet_ntop(AF_INET6, &c.gateway6, a[2], sizeof(a[2]));
		inet_ntop(AF_INET6, &c.dns6, a[3], sizeof(a[3]));
		str_format(text, sizeof(text), c.ipv6 ? "%s %s %s %s" : "%s %s",
		    a[0], a[1], a[2], a[3]);
		tap_check_str(text, networks[i].text);
	}
}

static void
sizes(void)
{
	struct error err = ERROR_INIT;
	struct unet_conf c;

	unet_conf_init(&c);
	c.mtu = UNET_MTU_MAX;
	tap_check_int(unet_conf_settle(&c, &err), 0);
	c.mtu = UNET_MTU_MAX + 1;
	tap_check_int(unet_conf_settle(&c, &err), -EINVAL);
	tap_check_has(err.text, "mtu 65522");
}

/* ---- what the guest may send ---- */

static void
put(uint8_t *frame, const char *hex, size_t *n)
{
	unsigned byte;

	for (*n = 0; *hex != '\0'; hex += *hex == ' ' ? 1 : 2)
		if (*hex != ' ' && sscanf(hex, "%2x", &byte) == 1)
			frame[(*n)++] = (uint8_t)byte;
}

#define MACS "ffffffffffff020000000001 "
#define IP4(frag, proto, to) \
	MACS "0800 45000028 0000" frag " 40" proto "0000 0a00020f " to " "
#define IP6(next, to) MACS "86dd 60000000 0014" next "40 " V6(15) " " to " "
#define V6(last) "fd00000000000000 00000000000000" #last

static const struct {
	const char *what, *frame;
	bool pass;
} frames[] = {
	{ "nothing", "", false },
	{ "too short", "ffffffffffff 020000000001 08", false },
	{ "ARP", MACS "0806 0001", true },
	{ "another protocol", MACS "88b5", true },
	{ "IPv4 cut", MACS "0800 4500", false },
	{ "TCP to the world", IP4("0000", "06", "c0000201") "04d2 0050", true },
	{ "TCP to the gateway", IP4("0000", "06", "0a000202") "04d2 0050",
	    true },
	{ "to 127.0.0.1", IP4("0000", "06", "7f000001") "04d2 0050", false },
	{ "to 127.255.1.2", IP4("0000", "11", "7fff0102") "04d2 0050", false },
	{ "to 0.0.0.0", IP4("0000", "06", "00000000") "04d2 0050", false },
	{ "to 0.1.2.3", IP4("0000", "06", "00010203") "04d2 0050", false },
	{ "broadcast", IP4("0000", "11", "ffffffff") "0044 0043", true },
	{ "DNS by UDP", IP4("0000", "11", "0a000203") "04d2 0035", true },
	{ "DNS by TCP", IP4("0000", "06", "0a000203") "04d2 0035", true },
	{ "echo to DNS", IP4("0000", "01", "0a000203") "0800", true },
	{ "TCP 22 to DNS", IP4("0000", "06", "0a000203") "04d2 0016", false },
	{ "UDP 123 to DNS", IP4("0000", "11", "0a000203") "04d2 007b", false },
	{ "DNS without a port", IP4("0000", "11", "0a000203") "04d2", false },
	{ "DNS, options before",
	    MACS "0800 46000028 00000000 40060000 0a00020f 0a000203 01010101 "
		 "04d2 0035",
	    true },
	{ "port hidden by options",
	    MACS "0800 46000028 00000000 40060000 0a00020f 0a000203 01010035 "
		 "04d2 0016",
	    false },
	{ "DNS, header longer than all",
	    MACS "0800 4f000028 00000000 40060000 0a00020f 0a000203 04d2 0035",
	    false },
	{ "DNS, more fragments", IP4("2000", "11", "0a000203") "04d2 0035",
	    false },
	{ "DNS, later fragment", IP4("0001", "11", "0a000203") "04d2 0035",
	    false },
	{ "IPv6 cut", MACS "86dd 6000", false },
	{ "IPv6 to the world",
	    IP6("06", "20010db800000000 0000000000000001") "04d2 0050", true },
	{ "to ::1", IP6("06", "0000000000000000 0000000000000001") "04d2 0050",
	    false },
	{ "to ::", IP6("06", "0000000000000000 0000000000000000") "04d2 0050",
	    false },
	{ "to ::127.0.0.1",
	    IP6("06", "0000000000000000 000000007f000001") "04d2 0050", false },
	{ "to ::ffff:127.0.0.1",
	    IP6("06", "0000000000000000 0000ffff7f000001") "04d2 0050", false },
	{ "DNS by IPv6", IP6("11", V6(03)) "04d2 0035", true },
	{ "TCP 22 to DNS by IPv6", IP6("06", V6(03)) "04d2 0016", false },
	{ "DNS by IPv6, cut", IP6("06", V6(03)) "04", false },
	{ "neighbour discovery", IP6("3a", V6(03)) "8700", true },
};

static void
passing(void)
{
	struct error err = ERROR_INIT;
	struct unet_conf c;

	unet_conf_init(&c);
	tap_check_int(unet_conf_address(&c, "fd00::15/64", &err), 0);
	tap_check_int(unet_conf_settle(&c, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		uint8_t all[128], *f;
		size_t n;

		put(all, frames[i].frame, &n);
		/* of its own size: a byte too far is seen by ASan */
		f = malloc(n + (n == 0));
		tap_check(f != NULL);
		memcpy(f, all, n);
		tap_context("%s", frames[i].what);
		tap_check_int(unet_may_pass(&c, f, n), frames[i].pass);
		free(f);
	}
}

/* ---- the loop ---- */

struct net {
	struct unet *un;
	int guest, host;
	pthread_t thread;
	int rc;
};

static void *
serve(void *arg)
{
	struct net *n = arg;

	n->rc = unet_serve(n->un, n->host);
	return NULL;
}

/* A network that reaches nobody. */
static void
start(struct net *n)
{
	struct error err = ERROR_INIT;
	struct unet_conf c;
	int pair[2];

	if (unshare(CLONE_NEWNET) != 0)
		tap_note("on the host's network");
	unet_conf_init(&c);
	tap_check_int(unet_conf_settle(&c, &err), 0);
	if (unet_open(&c, &n->un, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_int(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	n->guest = pair[0];
	n->host = pair[1];
	n->rc = 1;
	tap_check_int(pthread_create(&n->thread, NULL, serve, n), 0);
}

/* The guest goes; the loop must end by that alone. */
static void
stop(struct net *n)
{
	if (n->guest >= 0)
		close(n->guest);
	pthread_join(n->thread, NULL);
	tap_check_int(n->rc, 0);
	close(n->host);
	unet_close(n->un);
}

static size_t
ask_arp(uint8_t f[64])
{
	size_t n;

	put(f,
	    MACS "0806 00010800 06040001 020000000001 0a00020f "
		 "000000000000 0a000202",
	    &n);
	return n;
}

/* The network lives: it answers. */
static void
alive(struct net *n)
{
	uint8_t f[64], got[2048];
	size_t len = ask_arp(f);

	tap_check_int(send(n->guest, f, len, 0), (ssize_t)len);
	do {
		tap_check(recv(n->guest, got, sizeof(got), 0) > 0);
	} while (load_be16(got + 12) != 0x0806 || load_be16(got + 20) != 2);
	tap_check_mem(got + 28, "\x0a\x00\x02\x02", 4);
}

static void
answers(void)
{
	struct net n;

	start(&n);
	alive(&n);
	stop(&n);
}

static void
no_frames(void)
{
	static uint8_t big[UNET_FRAME_MAX + 5000];
	static const size_t lens[] = { 0, 1, 13, 14, 15, 33, 1514, 9014,
		UNET_FRAME_MAX, UNET_FRAME_MAX + 1, sizeof(big) };
	struct net n;

	start(&n);
	memset(big, 0xff, sizeof(big));
	for (size_t type = 0; type < 4; type++) {
		static const uint16_t types[] = { 0xffff, 0x0800, 0x86dd,
			0x0806 };

		store_be16(big + 12, types[type]);
		for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
			tap_context("%zu bytes", lens[i]);
			tap_check_int(
			    send(n.guest, big, lens[i], 0), (ssize_t)lens[i]);
			alive(&n);
		}
	}
	stop(&n);
}

/* The guest goes while it has not read, and while frames of its own wait. */
static void
gone(void)
{
	uint8_t f[64];
	size_t len = ask_arp(f);

	for (int i = 0; i < 20; i++) {
		struct net n;

		start(&n);
		for (int k = 0; k < i * 4; k++)
			tap_check(send(n.guest, f, len, 0) > 0);
		stop(&n);
	}
}

/*
 * A guest that asks and never reads: what waits for it is bounded, it goes on
 * being heard, and once it reads the network is whole.
 */
static void
slow_guest(void)
{
	uint8_t ping[1514], got[2048], ask[64];
	size_t asked = ask_arp(ask);
	unsigned answers_seen = 0;
	ssize_t size;
	struct net n;
	size_t len;

	start(&n);
	alive(&n);
	put(ping, IP4("0000", "01", "0a000202") "0800 f7ff 0000 0000", &len);
	memset(ping + len, 0, sizeof(ping) - len);
	store_be16(ping + 16, 1500);
	store_be16(ping + 24, 0x5d11); /* checksum of that header */
	memcpy(ping, "\x52\x55\x0a\x00\x02\x02", 6);
	/* 30 MB of answers; each send waits until the network has taken it */
	for (int i = 0; i < 20000; i++)
		tap_check_int(
		    send(n.guest, ping, sizeof(ping), 0), sizeof(ping));
	/* the last one is that of a question for which there is room again */
	do {
		struct pollfd p = { .fd = n.guest, .events = POLLIN };

		if (poll(&p, 1, 200) != 1)
			tap_check(send(n.guest, ask, asked, 0) > 0);
		size = recv(n.guest, got, sizeof(got), 0);
		answers_seen += size == sizeof(ping);
	} while (load_be16(got + 12) != 0x0806 || load_be16(got + 20) != 2);
	tap_note("%u answers were kept", answers_seen);
	tap_check(answers_seen > 100 && answers_seen < 5000);
	alive(&n);
	stop(&n);
}

/* A configured IPv6 network: its gateway answers to neighbour discovery. */
static void
answers_ipv6(void)
{
	struct error err = ERROR_INIT;
	uint8_t f[128], got[2048];
	struct unet_conf c;
	struct net n;
	int pair[2];
	size_t len;

	unet_conf_init(&c);
	tap_check_int(unet_conf_address(&c, "fd00::15/64", &err), 0);
	tap_check_int(unet_conf_settle(&c, &err), 0);
	if (unet_open(&c, &n.un, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_int(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	n.guest = pair[0];
	n.host = pair[1];
	tap_check_int(pthread_create(&n.thread, NULL, serve, &n), 0);
	put(f,
	    "3333ff000002 020000000001 86dd 60000000 00203aff " V6(
		15) " ff0200"
		    "0000000"
		    "0000000"
		    " 0001ff"
		    "000002 "
		    "87007d8"
		    "3 "
		    "0000000"
		    "0 " V6(02) " 0101 020000000001",
	    &len);
	tap_check_int(send(n.guest, f, len, 0), (ssize_t)len);
	do {
		tap_check(recv(n.guest, got, sizeof(got), 0) > 0);
	} while (load_be16(got + 12) != 0x86dd || got[54] != 136);
	tap_check_mem(got + 62, f + 62, 16);
	stop(&n);
}

/* A UDP socket on the loopback of a network namespace of this test. */
static int
own_loopback(uint16_t *ret_port)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	int fd;

	if (unshare(CLONE_NEWNET) != 0)
		tap_skip("this user may not make a network namespace");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	tap_check_int(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	tap_check_int(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	tap_check_int(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static size_t
ask_udp(uint8_t f[64], uint16_t port)
{
	size_t n;

	put(f,
	    MACS "0800 45000020 00000000 401162bd 0a00020f 0a000202 "
		 "1111 0000 000c 0000 61736b21",
	    &n);
	store_be16(f + 36, port);
	return n;
}

/*
 * What a guest sends before the loop has looked at anything gets its answer:
 * the library's clock was 0 then, and the connection expired at once. So it was
 * after each long silence, too.
 */
static void
first_answer(void)
{
	struct sockaddr_in from;
	struct error err = ERROR_INIT;
	uint8_t f[64], got[2048];
	struct unet_conf c;
	socklen_t n = sizeof(from);
	struct net net;
	uint16_t port = 0;
	int pair[2], echo = own_loopback(&port);
	size_t len;

	unet_conf_init(&c);
	c.loopback = true;
	tap_check_int(unet_conf_settle(&c, &err), 0);
	if (unet_open(&c, &net.un, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_int(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	net.guest = pair[0];
	net.host = pair[1];
	len = ask_arp(f);
	tap_check_int(send(net.guest, f, len, 0), (ssize_t)len);
	len = ask_udp(f, port);
	tap_check_int(send(net.guest, f, len, 0), (ssize_t)len);
	tap_check_int(pthread_create(&net.thread, NULL, serve, &net), 0);
	tap_check_int(
	    recvfrom(echo, got, sizeof(got), 0, (struct sockaddr *)&from, &n),
	    4);
	alive(&net); /* a round of the loop later */
	tap_check_int(
	    sendto(echo, "yes!", 4, 0, (struct sockaddr *)&from, n), 4);
	do {
		tap_check(recv(net.guest, got, sizeof(got), 0) > 0);
	} while (load_be16(got + 12) != 0x0800);
	tap_check_mem(got + 42, "yes!", 4);
	stop(&net);
	close(echo);
}

static const struct tap_test tests[] = {
	TAP_TEST(addresses),
	TAP_TEST(sizes),
	TAP_TEST(passing),
	TAP_TEST(answers),
	TAP_TEST(answers_ipv6),
	TAP_TEST(first_answer),
	TAP_TEST(no_frames),
	TAP_TEST(gone),
	TAP_TEST(slow_guest),
};
TAP_MAIN(tests)
