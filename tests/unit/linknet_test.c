/*
 * Bridges of NIC tags and ports, in a network namespace of the test's own.
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
#include "base/str.h"
#include "link/net.h"
#include "link/tap.h"
#include "tap.h"

static struct link_net *net;
static bool small_port;
static char root[] = "/tmp/linknet.XXXXXX";

static void
begin(void)
{
	struct error err = ERROR_INIT;

	if (unshare(CLONE_NEWNET) == -1)
		tap_skip("no network namespace: %s", strerror(errno));
	if (access("/dev/net/tun", R_OK | W_OK) == -1)
		tap_skip("/dev/net/tun: %s", strerror(errno));
	if (mkdtemp(root) == NULL)
		tap_fail("mkdtemp");
	if (link_net_open(&net, &err) < 0)
		tap_fail("%s", err.text);
}

static void
end(void)
{
	static const char *const names[] = { "/etc/zones/nictags",
		"/etc/zones/.nictags.lock", "/etc/zones", "/etc", "" };
	char path[128];

	link_net_close(net);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		str_format(path, sizeof(path), "%s%s", root, names[i]);
		(void)remove(path);
	}
}

static void
add_bridge(const char *name)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	tap_check_int(ioctl(s, SIOCBRADDBR, name), 0);
	close(s);
}

static void
add_tag(
    const char *name, enum nictag_kind kind, const char *target, unsigned mtu)
{
	struct nictag tag = { .kind = kind, .mtu = mtu };
	struct error err = ERROR_INIT;

	strcpy(tag.name, name);
	strcpy(tag.target, target);
	if (nictag_add(root, &tag, &err) < 0)
		tap_fail("%s", err.text);
}

static struct link_net_info
info_of(const char *ifname)
{
	struct link_net_info info = { .mtu = 0 };
	struct error err = ERROR_INIT;

	if (link_net_info(net, ifname, &info, &err) < 0)
		tap_fail("%s", err.text);
	return info;
}

/* A port of a zone, its queue in *fd; 0 or what link_net_attach() says. */
static int
port(const char *zone, const char *name, uint8_t last, const char *bridge,
    unsigned protect, int *fd, struct error *err)
{
	struct link_spec s = { .net = "net0",
		.mac = { 2, 8, 0x20, 0, 0, last },
		.protect = protect };
	int rc;

	strcpy(s.zone, zone);
	strcpy(s.name, name);
	if (link_tap_queues(name, 1, fd, err) < 0)
		tap_fail("%s", err->text);
	rc = link_net_attach(
	    net, &s, bridge, small_port ? 600 : 1400, false, err);
	if (rc < 0)
		fd_close(fd);
	return rc;
}

static int
read_brport(const char *ifname, const char *name)
{
	char path[128], text[16] = "";
	FILE *f;

	/* sysfs shows the network of who mounted it */
	if (unshare(CLONE_NEWNS) == -1)
		return -1;
	str_format(path, sizeof(path),
	    "mount --make-rprivate /; mount -t sysfs sys /sys 2>&-; cat "
	    "/sys/class/net/%s/brport/%s",
	    ifname, name);
	f = popen(path, "r");
	if (f == NULL || fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	if (f != NULL)
		pclose(f);
	return text[0] == '\0' ? -1 : atoi(text);
}

static void
a_port(void)
{
	struct error err = ERROR_INIT;
	struct link_net_info info;
	int fd = -1;

	begin();
	add_bridge("br0");
	if (port("web", "z1_net0", 1, "br0", LINK_PROTECT_MAC, &fd, &err) < 0)
		tap_fail("%s", err.text);
	info = info_of("z1_net0");
	tap_check_str(info.alias, "zone web net net0");
	tap_check_str(info.bridge, "br0");
	tap_check_int(info.mtu, 1400);
	tap_check(info.up);
	tap_check_int(read_brport("z1_net0", "learning"), 0);
	tap_check_int(read_brport("z1_net0", "unicast_flood"), 0);
	fd_close(&fd);
	tap_check_int(if_nametoindex("z1_net0"), 0);
	end();
}

static void
one_address_once(void)
{
	struct error err = ERROR_INIT;
	struct ifreq ifr = { .ifr_name = "veth" };
	int a = -1, b = -1, c = -1, s;

	begin();
	add_bridge("br0");
	add_bridge("br1");
	tap_check_int(port("web", "z1_net0", 1, "br0", 1, &a, &err), 0);
	tap_check_int(port("db", "z2_net0", 1, "br0", 1, &b, &err), -EEXIST);
	tap_check_has(err.text,
	    "mac 02:08:20:00:00:01 is in use on bridge br0 by zone 'web', net "
	    "net0");
	tap_check_int(if_nametoindex("z2_net0"), 0);
	/* another bridge is another matter, and so is another time */
	tap_check_int(port("db", "z2_net0", 1, "br1", 1, &b, &err), 0);
	fd_close(&a);
	tap_check_int(port("mail", "z3_net0", 1, "br0", 1, &a, &err), 0);
	/* a port that has the address itself */
	strcpy(ifr.ifr_name, "other");
	tap_check_int(link_tap_queues("other", 1, &c, &err), 0);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_hwaddr.sa_family = 1; /* ARPHRD_ETHER */
	memcpy(ifr.ifr_hwaddr.sa_data, "\x02\x08\x20\0\0\x09", 6);
	tap_check_int(ioctl(s, SIOCSIFHWADDR, &ifr), 0);
	ifr = (struct ifreq){ .ifr_name = "br0" };
	ifr.ifr_ifindex = (int)if_nametoindex("other");
	tap_check_int(ioctl(s, SIOCBRADDIF, &ifr), 0);
	close(s);
	fd_close(&b);
	tap_check_int(port("db", "z2_net0", 9, "br0", 1, &b, &err), -EEXIST);
	tap_check_has(err.text, "is in use on bridge br0 by its port other");
	fd_close(&a);
	fd_close(&c);
	end();
}

static void
a_stub(void)
{
	struct nictag tag = { "stub0", NICTAG_STUB, "-", 1400 };
	struct error err = ERROR_INIT;
	char bridge[16];
	unsigned mtu;
	int fd = -1;

	begin();
	add_tag("stub0", NICTAG_STUB, "-", 1400);
	for (int i = 0; i < 2; i++) {
		if (link_net_bridge(net, root, "stub0", bridge, &mtu, &err) < 0)
			tap_fail("%s", err.text);
		tap_check_str(bridge, "nt_stub0");
		tap_check_int(mtu, 1400);
	}
	tap_check(info_of("nt_stub0").up);
	tap_check_has(info_of("nt_stub0").alias, "nictag stub0 of /tmp/");
	/* another world's tag of that name has another bridge */
	tap_check_int(link_net_forget_tag(net, "/elsewhere", &tag, &err) < 0 ||
		if_nametoindex("nt_stub0") != 0,
	    1);
	tap_check_int(port("web", "z1_net0", 1, "nt_stub0", 1, &fd, &err), 0);
	tap_check_int(link_net_forget_tag(net, root, &tag, &err), -EBUSY);
	tap_check_has(
	    err.text, "stub0 is in use by z1_net0 (zone web net net0)");
	fd_close(&fd);
	tap_check_int(link_net_forget_tag(net, root, &tag, &err), 0);
	tap_check_int(if_nametoindex("nt_stub0"), 0);
	tap_check_int(link_net_forget_tag(net, root, &tag, &err), 0);
	/* somebody's own bridge is not taken */
	add_bridge("nt_stub0");
	tap_check_int(
	    link_net_bridge(net, root, "stub0", bridge, &mtu, &err), 0);
	tap_check_int(
	    link_net_bridge(net, "", "nt_stub0", bridge, &mtu, &err), 0);
	end();
}

/* Below 1280 there is no IPv6 that could be told to be quiet. */
static void
a_small_stub(void)
{
	struct error err = ERROR_INIT;
	char bridge[16];
	unsigned mtu;
	int fd = -1;

	begin();
	add_tag("small", NICTAG_STUB, "-", 600);
	if (link_net_bridge(net, root, "small", bridge, &mtu, &err) < 0)
		tap_fail("%s", err.text);
	tap_check_int(mtu, 600);
	small_port = true;
	if (port("web", "z1_net0", 1, bridge, 1, &fd, &err) < 0)
		tap_fail("%s", err.text);
	tap_check_int(info_of("z1_net0").mtu, 600);
	fd_close(&fd);
	end();
}

static void
set_address(const char *ifname)
{
	static const uint8_t ip[] = { 192, 0, 2, 7 };
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(ifr.ifr_name, ifname);
	ifr.ifr_addr.sa_family = AF_INET;
	memcpy(ifr.ifr_addr.sa_data + 2, ip, 4);
	tap_check_int(ioctl(s, SIOCSIFADDR, &ifr), 0);
	close(s);
}

static void
a_link(void)
{
	struct error err = ERROR_INIT;
	char bridge[16];
	unsigned mtu;
	int phys = -1, used = -1;

	begin();
	tap_check_int(link_tap_queues("phys0", 1, &phys, &err), 0);
	tap_check_int(link_tap_queues("phys1", 1, &used, &err), 0);
	set_address("phys1");
	add_tag("ext", NICTAG_LINK, "phys0", 0);
	add_tag("adm", NICTAG_LINK, "phys1", 0);
	add_tag("gone", NICTAG_LINK, "phys2", 0);
	add_tag("big", NICTAG_LINK, "phys0", 9000);
	for (int i = 0; i < 2; i++) {
		if (link_net_bridge(net, root, "ext", bridge, &mtu, &err) < 0)
			tap_fail("%s", err.text);
		tap_check_str(info_of("phys0").bridge, "nt_ext");
		tap_check(info_of("phys0").up);
	}
	tap_check(link_net_bridge(net, root, "adm", bridge, &mtu, &err) < 0);
	tap_check_has(err.text,
	    "NIC tag adm: link phys1 has address 192.0.2.7/24: as a port of a "
	    "bridge it would cut the host off");
	tap_check_str(info_of("phys1").bridge, "");
	tap_check_int(if_nametoindex("nt_adm"), 0);
	tap_check(link_net_bridge(net, root, "gone", bridge, &mtu, &err) < 0);
	tap_check_has(err.text, "NIC tag gone: there is no interface phys2");
	tap_check(link_net_bridge(net, root, "big", bridge, &mtu, &err) < 0);
	tap_check_has(err.text, "phys0 is a port of nt_ext");
	fd_close(&phys);
	fd_close(&used);
	end();
}

static void
refused(void)
{
	static const struct {
		const char *tag, *want;
	} rows[] = {
		{ "nobody", "there is no bridge 'nobody', and no NIC tag" },
		{ "a-name-longer-than-15", "there is no NIC tag 'a-name" },
		{ "lo", "'lo' is no bridge" },
		{ "lost", "NIC tag lost is bridge br9, which is not there" },
		{ "tap", "'lo' is no bridge" },
	};
	char bridge[16];
	unsigned mtu;

	begin();
	add_tag("lost", NICTAG_BRIDGE, "br9", 0);
	add_tag("tap", NICTAG_BRIDGE, "lo", 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		tap_context("%s", rows[i].tag);
		tap_check(link_net_bridge(
			      net, root, rows[i].tag, bridge, &mtu, &err) < 0);
		tap_check_has(err.text, rows[i].want);
	}
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(a_port),
	TAP_TEST(one_address_once),
	TAP_TEST(a_stub),
	TAP_TEST(a_small_stub),
	TAP_TEST(a_link),
	TAP_TEST(refused),
};
TAP_MAIN(tests)
