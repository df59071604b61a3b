/*
 * Addresses that real clients get from real servers: dnsmasq on the bridge, and
 * in a network namespace of its own, behind the guarded tap, busybox's udhcpc,
 * ISC's dhclient and the kernel's autoconfiguration.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "frames.h"
#include "link/nft_learn.h"
#include "rig.h"
#include "tap.h"

#define LEASE_S "120" /* the least that dnsmasq gives */

#define GIVEN4 "10.44.0.50"
#define GIVEN6 "fd44::50"
#define MADE6 "fd44::8:20ff:feaa:bbcc" /* of frames_me */

struct net {
	struct wire wire;
	int server, client; /* namespaces */
	int eth0;
	pid_t relay, dnsmasq, learner; /* -1: there is none */
};

static enum link_guard_kind kind = LINK_GUARD_BPF;

/* --- programs */

static void
need(const char *program)
{
	char cmd[64];

	tap_check_int(
	    str_format(cmd, sizeof(cmd),
		"PATH=$PATH:/usr/sbin:/sbin command -v %s >/dev/null", program),
	    0);
	if (system(cmd) != 0)
		tap_skip("%s is not installed", program);
}

/* A shell command there, in the test's folder, as is what it says: output. */
static pid_t
start(int ns, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static pid_t
start(int ns, const char *fmt, ...)
{
	char cmd[1024], all[1200];
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	tap_check_int(str_format(all, sizeof(all),
			  "cd %s; exec 3>&2 >>output 2>&1; "
			  "PATH=$PATH:/usr/sbin:/sbin; %s",
			  tap_tmpdir(), cmd),
	    0);
	pid = fork();
	if (pid != 0)
		return pid;
	if (setns(ns, CLONE_NEWNET) == -1)
		_exit(99);
	execl("/bin/sh", "sh", "-c", all, (char *)NULL);
	_exit(98);
}

static int
finish(pid_t pid)
{
	int status;

	tap_check_int(waitpid(pid, &status, 0), pid);
	return status;
}

static void
end(pid_t pid, int sig)
{
	kill(pid, sig);
	finish(pid);
}

static void
script(const char *name, const char *text)
{
	struct error err = ERROR_INIT;
	char path[256];

	tap_check_int(
	    str_format(path, sizeof(path), "%s/%s", tap_tmpdir(), name), 0);
	tap_check_int(fd_write_file_atomic(
			  AT_FDCWD, path, text, strlen(text), 0700, &err),
	    0);
}

/* --- the net */

/* What one tap hears the other says; headers of virtio as they are. */
static _Noreturn void
relay(int a, int b)
{
	struct pollfd p[] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };
	static uint8_t buf[65536 + 64];
	ssize_t n;

	for (;;) {
		poll(p, 2, -1);
		while ((n = read(a, buf, sizeof(buf))) > 0)
			if (write(b, buf, (size_t)n) != n)
				break;
		while ((n = read(b, buf, sizeof(buf))) > 0)
			if (write(a, buf, (size_t)n) != n)
				break;
	}
}

/* As zonelink has it, but for its walls; 'ready' hears that it listens. */
static _Noreturn void
learner(struct net *n, const struct link_spec *spec, int ready)
{
	struct error err = ERROR_INIT;
	struct nft_learner *l;

	fd_close(&n->wire.guarded); /* or the tap would stay */
	if (nft_learner_open(spec, &l, &err) < 0 || write(ready, "", 1) != 1)
		_exit(1);
	do
		nft_learner_wait(l);
	while (nft_learner_turn(l) == 1);
	_exit(0);
}

/* A reply whose question nobody heard would teach nothing. */
static void
start_learner(struct net *n, const struct link_spec *spec)
{
	int ready[2];
	char c;

	tap_check_int(pipe2(ready, O_CLOEXEC), 0);
	n->learner = fork();
	if (n->learner == 0)
		learner(n, spec, ready[1]);
	close(ready[1]);
	tap_check_int(read(ready[0], &c, 1), 1);
	close(ready[0]);
}

static void
net_open(struct net *n, const char *words)
{
	struct link_spec spec;

	if (kind == LINK_GUARD_BPF)
		need_bpf();
	else if (geteuid() != 0)
		tap_skip("root makes taps and filters");
	need("dnsmasq");
	spec_of(&spec, words);
	wire_open(&n->wire);
	n->server = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	tap_check_int(unshare(CLONE_NEWNET), 0);
	n->client = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	n->eth0 = wire_tap("eth0");
	tap_check_int(setns(n->server, CLONE_NEWNET), 0);
	tap_check_int(finish(start(n->server,
			  "echo 0 >/proc/sys/net/ipv6/conf/wire/disable_ipv6; "
			  "ip link set lo up && ip addr add 10.44.0.1/24 dev "
			  "wire && ip addr add fd44::1/64 dev wire nodad")),
	    0);
	wire_guard(&n->wire, &spec, kind);
	n->learner = -1;
	if (kind == LINK_GUARD_NFT)
		start_learner(n, &spec);
	n->relay = fork();
	if (n->relay == 0)
		relay(n->wire.guarded, n->eth0);
	tap_check_int(
	    finish(start(n->client,
		"echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip link set "
		"eth0 address 02:08:20:aa:bb:cc && ip link set lo up && ip "
		"link set eth0 up")),
	    0);
	n->dnsmasq = 0;
}

static void
serve(struct net *n, const char *ranges)
{
	n->dnsmasq = start(n->server,
	    "exec dnsmasq -k -C /dev/null -u root -p 0 -i wire -z -x '' "
	    "--log-facility=$PWD/log --log-dhcp --dhcp-leasefile=leases "
	    "--dhcp-authoritative %s",
	    ranges);
}

static void
net_close(struct net *n)
{
	end(n->dnsmasq, SIGTERM);
	end(n->relay, SIGKILL);
	close(n->eth0);
	wire_close(&n->wire);
	if (n->learner > 0)
		tap_check_int(finish(n->learner), 0);
	close(n->server);
	close(n->client);
}

/* Whether the guard lets such a source pass. */
static bool
passes(struct net *n, const char *words)
{
	struct link_counters before, after;
	uint8_t frame[FRAME_MAX];
	size_t len;

	tap_check(frames_build(words, true, frame, &len));
	counters(&before);
	wire_send(n->wire.guarded, frame, len);
	counters(&after);
	return after.drops[LINK_DROP_IPV4] == before.drops[LINK_DROP_IPV4] &&
	    after.drops[LINK_DROP_IPV6] == before.drops[LINK_DROP_IPV6];
}

static void
becomes(struct net *n, bool want, const char *words, unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10; i++) {
		if (passes(n, words) == want)
			return;
		usleep(100000);
	}
	(void)finish(start(n->server, "cat output log >&3"));
	tap_fail("'%s' %s", words, want ? "never passes" : "passes for ever");
}

static void
reaches(struct net *n, const char *from, const char *to)
{
	tap_check_int(finish(start(n->client,
			  "n=0; until ping -c 1 -W 2 -I %s %s; do n=$((n+1)); "
			  "[ $n -lt 30 ] || exit 1; done",
			  from, to)),
	    0);
}

/* --- clients */

static pid_t
udhcpc(struct net *n)
{
	need("busybox");
	script("bound4",
	    "#!/bin/sh\ncase $1 in bound|renew) ip addr replace $ip/24 dev "
	    "$interface ;; esac\n");
	return start(n->client,
	    "exec busybox udhcpc -f -i eth0 -t 100 -T 1 -s ./bound4");
}

#define DHCLIENT \
	"dhclient -6 -D LL -lf $PWD/leases6 -pf $PWD/pid6 -sf $PWD/bound6 "

static pid_t
dhclient(struct net *n)
{
	script("bound6",
	    "#!/bin/sh\ncase $reason in BOUND6|RENEW6|REBIND6) ip addr replace "
	    "$new_ip6_address/64 dev $interface nodad ;; esac\n");
	return start(n->client, "exec " DHCLIENT "-d eth0");
}

/* --- */

static void
a_lease_of_dhcpv4_passes_until_it_is_released(void)
{
	struct net n;
	pid_t client;

	net_open(&n, "protect=mac,ip,dhcp,strict dynamic=dhcpv4");
	tap_check(!passes(&n, "ip4 src=" GIVEN4 " udp"));
	serve(&n, "--dhcp-range=" GIVEN4 "," GIVEN4 ",255.255.255.0," LEASE_S);
	client = udhcpc(&n);
	becomes(&n, true, "ip4 src=" GIVEN4 " udp", WIRE_LIMIT_S);
	reaches(&n, GIVEN4, "10.44.0.1");
	tap_check(!passes(&n, "ip4 src=10.44.0.51 udp"));
	tap_check(!passes(&n, "ip4 src=10.44.0.1 udp"));
	kill(client, SIGUSR2);
	becomes(&n, false, "ip4 src=" GIVEN4 " udp", WIRE_LIMIT_S);
	end(client, SIGTERM);
	net_close(&n);
}

static void
a_lease_of_dhcpv6_passes_until_it_is_released(void)
{
	struct net n;
	pid_t client;

	need("dhclient");
	net_open(&n, "protect=mac,ip,dhcp,strict dynamic=dhcpv6");
	tap_check(!passes(&n, "ip6 src=" GIVEN6 " udp"));
	serve(&n, "--dhcp-range=" GIVEN6 "," GIVEN6 ",64," LEASE_S);
	client = dhclient(&n);
	becomes(&n, true, "ip6 src=" GIVEN6 " udp", WIRE_LIMIT_S);
	reaches(&n, GIVEN6, "fd44::1");
	tap_check(!passes(&n, "ip6 src=fd44::51 udp"));
	tap_check(!passes(&n, "ip6 src=" MADE6 " udp"));
	tap_check_int(finish(start(n.client, DHCLIENT "-r eth0")), 0);
	becomes(&n, false, "ip6 src=" GIVEN6 " udp", WIRE_LIMIT_S);
	finish(client);
	net_close(&n);
}

static void
an_address_of_an_advertised_prefix_passes(void)
{
	struct net n;

	net_open(&n, "protect=mac,ip,dhcp,strict dynamic=slaac");
	tap_check(!passes(&n, "ip6 src=" MADE6 " udp"));
	serve(&n, "--enable-ra --dhcp-range=fd44::,ra-only");
	becomes(&n, true, "ip6 src=" MADE6 " udp", WIRE_LIMIT_S);
	reaches(&n, MADE6, "fd44::1");
	tap_check(!passes(&n, "ip6 src=" GIVEN6 " udp"));
	tap_check(!passes(&n, "ip6 src=fd45::8:20ff:feaa:bbcc udp"));
	net_close(&n);
}

/* Nobody says that they do. */
static void
leases_end_by_themselves(void)
{
	pid_t client4, client6;
	struct net n;

	need("dhclient");
	net_open(&n, "protect=mac,ip,dhcp,strict dynamic=dhcpv4,dhcpv6");
	serve(&n,
	    "--dhcp-range=" GIVEN4 "," GIVEN4 ",255.255.255.0," LEASE_S
	    " --dhcp-range=" GIVEN6 "," GIVEN6 ",64," LEASE_S);
	client4 = udhcpc(&n);
	client6 = dhclient(&n);
	becomes(&n, true, "ip4 src=" GIVEN4 " udp", WIRE_LIMIT_S);
	becomes(&n, true, "ip6 src=" GIVEN6 " udp", WIRE_LIMIT_S);
	end(client4, SIGKILL);
	end(client6, SIGKILL);
	becomes(&n, false, "ip4 src=" GIVEN4 " udp", 120 + WIRE_LIMIT_S);
	becomes(&n, false, "ip6 src=" GIVEN6 " udp", 120 + WIRE_LIMIT_S);
	net_close(&n);
}

static void
by_nftables_a_lease_of_dhcpv4_passes(void)
{
	kind = LINK_GUARD_NFT;
	a_lease_of_dhcpv4_passes_until_it_is_released();
}

static void
by_nftables_a_lease_of_dhcpv6_passes(void)
{
	kind = LINK_GUARD_NFT;
	a_lease_of_dhcpv6_passes_until_it_is_released();
}

static void
by_nftables_an_address_of_a_prefix_passes(void)
{
	kind = LINK_GUARD_NFT;
	an_address_of_an_advertised_prefix_passes();
}

static void
by_nftables_leases_end_by_themselves(void)
{
	kind = LINK_GUARD_NFT;
	leases_end_by_themselves();
}

static const struct tap_test tests[] = {
	TAP_TEST_TIMEOUT(by_nftables_a_lease_of_dhcpv4_passes, 240),
	TAP_TEST_TIMEOUT(by_nftables_a_lease_of_dhcpv6_passes, 240),
	TAP_TEST_TIMEOUT(by_nftables_an_address_of_a_prefix_passes, 240),
	TAP_TEST_TIMEOUT(by_nftables_leases_end_by_themselves, 600),
	TAP_TEST_TIMEOUT(a_lease_of_dhcpv4_passes_until_it_is_released, 240),
	TAP_TEST_TIMEOUT(a_lease_of_dhcpv6_passes_until_it_is_released, 240),
	TAP_TEST_TIMEOUT(an_address_of_an_advertised_prefix_passes, 240),
	TAP_TEST_TIMEOUT(leases_end_by_themselves, 600),
};
TAP_MAIN(tests)
