/*
 * What a net resource means, however it is said: what the guest is told, what
 * the guard lets through, the list for the link.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "link/spec.h"
#include "tap.h"
#include "zone/nic.h"
#include "zone_util.h"

#define BASE "set zonename=z; set zonepath=/zones/z; set brand=bhyve; "
#define PAIR(name, value) "add property (name=" name ",value=\"" value "\"); "

static struct zone_conf *
conf_of(const char *net)
{
	struct zone_conf *conf = zone_conf_create();
	char text[4096];
	struct error err = ERROR_INIT;

	str_format(text, sizeof(text),
	    BASE "add net; set physical=net0; "
		 "set mac-addr=2:8:20:a:11:22; %s end",
	    net);
	if (zone_apply(conf, text, &err) < 0)
		tap_fail("%s", err.text);
	return conf;
}

static int
read_net(const struct zone_conf *conf, struct zone_nic *ret, struct error *err)
{
	return zone_nic_read(zone_conf_first(conf, "net"), ret, err);
}

/* "name=value" lines of a list, arrays with blanks between. */
static void
print_link(const struct nvlist *link, struct buf *b)
{
	for (const struct nvpair *p = nvlist_next(link, NULL); p != NULL;
	     p = nvlist_next(link, p)) {
		const char *const *strs = NULL;
		const char *text = NULL;
		uint64_t v = 0;
		size_t n = 0;

		buf_printf(b, "%s=", nvpair_name(p));
		if (nvpair_get_str(p, &text) == 0)
			buf_append_str(b, text);
		else if (nvpair_get_u64(p, &v) == 0)
			buf_printf(b, "%ju", (uintmax_t)v);
		else if (nvpair_get_strs(p, &strs, &n) == 0)
			for (size_t i = 0; i < n; i++)
				buf_printf(
				    b, "%s%s", i > 0 ? " " : "", strs[i]);
		buf_append_str(b, "\n");
	}
}

#define HEAD "zone=z\nnet=net0\nmac=2:8:20:a:11:22\n"

static void
links(void)
{
	static const struct {
		const char *net, *want;
	} rows[] = {
		/* nothing said: all protection, everything learned */
		{ "",
		    HEAD "vlan=0\nmtu=0\nqueues=4\nprotect=15\nmaxbw=0\n"
			 "dynamic=dhcpv4 dhcpv6 slaac\ncids=*\n" },
		{ "set global-nic=external; set vlan-id=20; set mtu=9000; "
		  "set ips=10.0.0.5/24; set maxbw=5M; ",
		    HEAD "tag=external\nvlan=20\nmtu=9000\nqueues=4\n"
			 "protect=15\nmaxbw=5000000\nallowed=10.0.0.5/32\n" },
		/* an address counts once, networks lose their host part */
		{ "set ips=10.0.0.5/24,fd00::5/64; "
		  "set allowed-address=10.0.0.5/24,10.0.0.6/24; "
		  "set allowed-ips=192.0.2.77/28,fd00::/8; ",
		    "allowed=10.0.0.5/32 fd00::5/128 10.0.0.6/32 192.0.2.64/28 "
		    "fd00::/8\n" },
		{ "set ips=dhcp; ", "maxbw=0\ndynamic=dhcpv4\ncids=*\n" },
		{ "set ips=10.0.0.5/24,addrconf; ",
		    "allowed=10.0.0.5/32\ndynamic=dhcpv6 slaac\ncids=*\n" },
		{ "set ips=dhcp; set allowed-dhcp-cids=0x0102,0xff; ",
		    "cids=0x0102 0xff\n" },
		/* an address that is allowed is not asked for */
		{ "set allowed-ips=10.0.0.0/24; ",
		    "maxbw=0\nallowed=10.0.0.0/24\n" },
		{ "set allow-mac-spoofing=true; ", "protect=14\n" },
		{ "set allow-ip-spoofing=true; ", "protect=13\n" },
		{ "set allow-dhcp-spoofing=true; ", "protect=9\n" },
		{ "set allow-restricted-traffic=true; ", "protect=7\n" },
		{ "set strict=true; ", "protect=31\n" },
		{ "set blocked-outgoing-ports=25,6000-6063; ",
		    "blocked=25 6000-6063\n" },
		/* as SmartOS says it */
		{ PAIR("ips", "172.26.17.211/24") PAIR("allowed_ips",
		      "10.9.0.0/16") PAIR("allow_mac_spoofing", "true")
			PAIR("blocked_outgoing_ports", "25")
			    PAIR("allowed_dhcp_cids", "0x01"),
		    "protect=14\nmaxbw=0\nallowed=172.26.17.211/32 "
		    "10.9.0.0/16\ncids=0x01\nblocked=25\n" },
		{ PAIR("dhcp_server", "true"), "protect=9\n" },
		{ PAIR("ip", "10.1.1.1") PAIR("netmask", "255.255.0.0"),
		    "allowed=10.1.1.1/32\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_conf *conf = conf_of(rows[i].net);
		struct error err = ERROR_INIT;
		struct nvlist *link = NULL;
		struct zone_nic nic;
		struct buf b;

		tap_context("%s", rows[i].net);
		if (read_net(conf, &nic, &err) < 0 ||
		    zone_nic_link(&nic, "z", 4, &link, &err) < 0)
			tap_fail("%s", err.text);
		buf_init(&b, 1 << 16);
		print_link(link, &b);
		tap_check_has(buf_str(&b), rows[i].want);
		buf_fini(&b);
		nvlist_free(link);
		zone_conf_free(conf);
	}
}

static void
the_bits_are_the_links(void)
{
	tap_check_int(LINK_PROTECT_MAC | LINK_PROTECT_IP | LINK_PROTECT_DHCP |
		LINK_PROTECT_RESTRICTED | LINK_PROTECT_STRICT,
	    31);
	tap_check_int(LINK_PROTECT_MAC, 15 - 14);
	tap_check_int(LINK_PROTECT_IP, 15 - 13);
	tap_check_int(LINK_PROTECT_IP | LINK_PROTECT_DHCP, 15 - 9);
	tap_check_int(LINK_PROTECT_RESTRICTED, 15 - 7);
	tap_check_int(LINK_PROTECT_STRICT, 31 - 15);
	tap_check_int(ZONE_NIC_ALLOWED_MAX, LINK_ALLOWED_MAX);
	tap_check_int(ZONE_NIC_PORTS_MAX, LINK_PORTS_MAX);
}

static void
json(void)
{
	static const struct {
		const char *net, *want;
	} rows[] = {
		{ "set global-nic=external; set vlan-id=20; set mtu=1500; "
		  "set ips=10.0.0.5/24,fd00:1::5/64; set primary=true; "
		  "set gateways=10.0.0.1,fd00:1::1; set network-uuid="
		  "1d5b8e7c-c004-4f69-bf0c-c98918e35bd5; ",
		    "{\"interface\":\"net0\",\"mac\":\"02:08:20:0a:11:22\","
		    "\"vlan_id\":20,\"nic_tag\":\"external\","
		    "\"ip\":\"10.0.0.5\","
		    "\"ips\":[\"10.0.0.5/24\",\"fd00:1::5/64\"],"
		    "\"netmask\":\"255.255.255.0\",\"gateway\":\"10.0.0.1\","
		    "\"gateways\":[\"10.0.0.1\",\"fd00:1::1\"],\"network_"
		    "uuid\":"
		    "\"1d5b8e7c-c004-4f69-bf0c-c98918e35bd5\","
		    "\"model\":\"virtio\",\"mtu\":1500,\"primary\":true}" },
		{ "",
		    "{\"interface\":\"net0\",\"mac\":\"02:08:20:0a:11:22\","
		    "\"ips\":[],\"model\":\"virtio\"}" },
		{ "set primary=true; ", "\"ips\":[\"dhcp\"]," },
		{ "set global-nic=slirp; ",
		    "\"nic_tag\":\"slirp\",\"ips\":[\"dhcp\"]," },
		{ "set ips=dhcp,addrconf; ",
		    "\"ips\":[\"dhcp\",\"addrconf\"],\"ip\":\"dhcp\"," },
		/* the older ways to say it */
		{ "set allowed-address=192.0.2.7/24; set defrouter=192.0.2.1; ",
		    "\"ip\":\"192.0.2.7\",\"ips\":[\"192.0.2.7/24\"],"
		    "\"netmask\":\"255.255.255.0\","
		    "\"gateway\":\"192.0.2.1\",\"gateways\":[\"192.0.2.1\"]" },
		{ PAIR("ip", "10.1.1.1") PAIR("netmask", "255.255.0.0")
			PAIR("gateway", "10.1.0.1"),
		    "\"ip\":\"10.1.1.1\",\"ips\":[\"10.1.1.1/16\"],"
		    "\"netmask\":\"255.255.0.0\",\"gateway\":\"10.1.0.1\","
		    "\"gateways\":[\"10.1.0.1\"]" },
		/* both, as vmadm writes them: the list says more */
		{ PAIR("gateway", "10.0.0.1") PAIR("gateways",
		      "10.0.0.1,fd00::1") PAIR("ips", "10.0.0.5/24"),
		    "\"gateways\":[\"10.0.0.1\",\"fd00::1\"]" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_conf *conf = conf_of(rows[i].net);
		struct error err = ERROR_INIT;
		struct zone_nic nic;
		struct buf b;

		tap_context("%s", rows[i].net);
		if (read_net(conf, &nic, &err) < 0)
			tap_fail("%s", err.text);
		buf_init(&b, 1 << 16);
		tap_check_int(zone_nic_json(&nic, 0, &b), 0);
		tap_check_has(buf_str(&b), rows[i].want);
		buf_fini(&b);
		zone_conf_free(conf);
	}
}

/* A name that no guest takes is replaced. */
static void
interfaces_have_names(void)
{
	static const struct {
		const char *physical, *want;
	} rows[] = {
		{ "web0", "\"interface\":\"web0\"" },
		{ "0web", "\"interface\":\"net3\"" },
		{ "a/b", "\"interface\":\"net3\"" },
		{ "abcdefghijklmnop", "\"interface\":\"net3\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_conf *conf = zone_conf_create();
		struct zone_nic nic;
		char text[128];
		struct buf b;

		str_format(text, sizeof(text), "add net; set physical=%s; end",
		    rows[i].physical);
		tap_check_int(zone_apply(conf, text, NULL), 0);
		tap_check_int(read_net(conf, &nic, NULL), 0);
		buf_init(&b, 1 << 16);
		tap_check_int(zone_nic_json(&nic, 3, &b), 0);
		tap_check_has(buf_str(&b), rows[i].want);
		buf_fini(&b);
		zone_conf_free(conf);
	}
}

static void
pairs_are_checked(void)
{
	static const struct {
		const char *net, *want;
	} rows[] = {
		{ PAIR("ips", "10.0.0.5"),
		    "ips: '10.0.0.5' is wrong; it takes IP addresses with "
		    "/prefix, dhcp, addrconf, commas between" },
		{ PAIR("ips", "10.0.0.5/24,x"), "ips: 'x' is wrong" },
		{ PAIR("ip", "x"), "ip: 'x' is no address" },
		{ PAIR("ip", "10.0.0.5") PAIR("netmask", "255.0.255.0"),
		    "netmask: '255.0.255.0' is no mask" },
		{ PAIR("gateway", "10.0.0.1/24"), "gateways: '10.0.0.1/24'" },
		{ PAIR("mtu", "70000"), "mtu: 70000 is not in 576..9216" },
		{ PAIR("maxbw", "fast"), "maxbw: 'fast' is wrong" },
		{ PAIR("blocked_outgoing_ports", "25,0"),
		    "blocked-outgoing-ports: '0' is wrong; it takes ports" },
		{ PAIR("allowed_dhcp_cids", "0x123"),
		    "allowed-dhcp-cids: '0x123' is wrong" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_conf *conf = conf_of(rows[i].net);
		struct error err = ERROR_INIT;
		struct zone_nic nic;

		tap_context("%s", rows[i].net);
		tap_check(read_net(conf, &nic, &err) < 0);
		tap_check(err.code != 0);
		tap_check_has(err.text, rows[i].want);
		zone_conf_free(conf);
	}
}

static void
lists_have_an_end(void)
{
	struct zone_conf *conf = conf_of("");
	const struct zone_res *net = zone_conf_first(conf, "net");
	struct zone_res *res = zone_res_dup(net);
	struct error err = ERROR_INIT;
	struct zone_nic nic;
	struct buf b;

	buf_init(&b, 1 << 16);
	for (int i = 0; i < 65; i++)
		buf_printf(&b, "%s10.0.0.%d", i > 0 ? "," : "", i);
	tap_check_int(
	    zone_res_set(res, zone_prop_find(zone_res_type(res), "allowed-ips"),
		&(struct zone_raw){ .text = buf_str(&b) }, 1, &err),
	    0);
	tap_check_int(zone_nic_read(res, &nic, &err), -E2BIG);
	tap_check_has(err.text, "allowed-ips: more than 64 allowed addresses");
	buf_fini(&b);
	zone_res_free(res);
	zone_conf_free(conf);
}

static const struct tap_test tests[] = {
	TAP_TEST(links),
	TAP_TEST(the_bits_are_the_links),
	TAP_TEST(json),
	TAP_TEST(interfaces_have_names),
	TAP_TEST(pairs_are_checked),
	TAP_TEST(lists_have_an_end),
};
TAP_MAIN(tests)
