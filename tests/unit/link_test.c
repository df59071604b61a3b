/*
 * Taps, in a network namespace of the test's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "base/fd.h"
#include "link/tap.h"
#include "tap.h"

static void
own_network(void)
{
	if (unshare(CLONE_NEWNET) == -1)
		tap_skip("no network namespace: %s", strerror(errno));
	if (access("/dev/net/tun", R_OK | W_OK) == -1)
		tap_skip("/dev/net/tun: %s", strerror(errno));
}

static void
add_bridge(const char *name)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	tap_check_int(ioctl(s, SIOCBRADDBR, name), 0);
	close(s);
}

static void
lives_as_long_as_its_descriptors(void)
{
	struct link_tap tap = {
		.name = "z1_net0", .queues = 2, .bridge = "br0", .mtu = 1400
	};
	struct error err = ERROR_INIT;
	struct ifreq ifr = { .ifr_name = "z1_net0" };
	int fds[2] = { -1, -1 }, s;

	own_network();
	add_bridge("br0");
	if (link_tap_create(&tap, fds, &err) < 0)
		tap_fail("%s", err.text);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	tap_check_int(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
	tap_check(ifr.ifr_flags & IFF_UP);
	tap_check_int(ioctl(s, SIOCGIFMTU, &ifr), 0);
	tap_check_int(ifr.ifr_mtu, 1400);
	close(s);
	tap_check_int(fcntl(fds[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	tap_check(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
	/* a second one of the name is somebody's */
	tap_check_int(link_tap_create(&tap, fds, &err), -EEXIST);
	tap_check_has(err.text, "z1_net0 is there already");
	fd_close(&fds[0]);
	tap_check(if_nametoindex("z1_net0") != 0);
	fd_close(&fds[1]);
	tap_check_int(if_nametoindex("z1_net0"), 0);
}

static void
refusals_leave_nothing(void)
{
	static const struct {
		struct link_tap tap;
		const char *want;
	} rows[] = {
		{ { "z1_net0", 1, "nobridge", 0 },
		    "global-nic: there is no bridge 'nobridge'" },
		{ { "z1_net0", 1, "lo", 0 }, "global-nic: 'lo' is no bridge" },
		{ { "", 1, NULL, 0 }, "'' is no interface name" },
		{ { "sixteen-letters-", 1, NULL, 0 }, "is no interface name" },
		{ { "z1_net0", 0, NULL, 0 }, "0 queues" },
		{ { "z1_net0", 17, NULL, 0 }, "17 queues" },
		{ { "z1_net0", 1, NULL, 70000 }, "cannot set MTU 70000" },
	};

	own_network();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		int fds[LINK_QUEUES_MAX];

		tap_context("row %zu", i);
		tap_check(link_tap_create(&rows[i].tap, fds, &err) < 0);
		tap_check_has(err.text, rows[i].want);
		tap_check_int(if_nametoindex("z1_net0"), 0);
	}
}

static const struct tap_test tests[] = { TAP_TEST(
					     lives_as_long_as_its_descriptors),
	TAP_TEST(refusals_leave_nothing) };
TAP_MAIN(tests)
