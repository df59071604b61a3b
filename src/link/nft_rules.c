/*
 * A load that goes beyond the frame makes a rule not match. So every rule says
 * what may pass, and what is behind the last one of a chain drops: a frame that
 * is too short for a question is dropped, not let through.
 *
 * What BPF checks and this does not: DHCP's client id (the client's hardware
 * address is) and a second one of DHCPv6, options of neighbour discovery behind
 * the second, those of a router's advertisement behind the first.
 */
#include "link/nft_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "link/guard.h"

#define BURST_MS 10
#define BURST_MIN (64 * 1024)

struct rules {
	const struct link_spec *spec;
	struct buf *b;
	char mac[18], mac_hex[15]; /* as nft reads an address; as a number */
	uint8_t linklocal[16];
};

static bool
has(const struct rules *r, unsigned mode)
{
	return (r->spec->protect & mode) != 0;
}

/* "drop FOR": count it for that reason, and drop it. */
#define DROP(name) "counter name n_" name " drop\n"

static void
line(struct rules *r, const char *text)
{
	(void)buf_printf(r->b, "%s", text);
}

/* Is the byte at that bit there? Then go on in that chain. */
static void
reaches(struct rules *r, const char *header, unsigned bit, const char *chain)
{
	(void)buf_printf(r->b, "@%s,%u,8 0 goto %s\n@%s,%u,8 != 0 goto %s\n",
	    header, bit, chain, header, bit, chain);
}

/* ---- sets ---- */

static void
prefixes(struct rules *r, int family, const char *name, const char *type)
{
	char text[INET6_ADDRSTRLEN];
	const char *comma = "";

	(void)buf_printf(
	    r->b, "set %s { type %s; flags interval; auto-merge;", name, type);
	for (size_t i = 0; i < r->spec->nallowed; i++) {
		const struct link_prefix *p = &r->spec->allowed[i];

		if (p->family != family)
			continue;
		inet_ntop(family, p->addr, text, sizeof(text));
		(void)buf_printf(r->b, "%s %s/%u",
		    *comma == '\0' ? " elements = {" : comma, text, p->prefix);
		comma = ",";
	}
	if (family == AF_INET6) {
		inet_ntop(family, r->linklocal, text, sizeof(text));
		(void)buf_printf(r->b, "%s %s",
		    *comma == '\0' ? " elements = {" : comma, text);
		comma = ",";
	}
	(void)buf_printf(r->b, "%s }\n", *comma == '\0' ? "" : " };");
}

static void
ports(struct rules *r)
{
	(void)buf_printf(r->b,
	    "set blocked { type inet_service; flags interval; auto-merge;");
	for (size_t i = 0; i < r->spec->nports; i++)
		(void)buf_printf(r->b, "%s %u-%u",
		    i == 0 ? " elements = {" : ",", r->spec->ports[i].first,
		    r->spec->ports[i].last);
	(void)buf_printf(r->b, "%s }\n", r->spec->nports == 0 ? "" : " };");
}

/* An address that was learned is at that bit? Then go on in that chain. */
static void
learned(struct rules *r, unsigned methods, const char *header, unsigned bit,
    unsigned len, const char *chain)
{
	static const struct {
		unsigned method;
		const char *set;
	} rows[] = { { LINK_DYN_DHCPV4, LINK_NFT_DHCPV4 },
		{ LINK_DYN_DHCPV6, LINK_NFT_DHCPV6 },
		{ LINK_DYN_SLAAC, LINK_NFT_SLAAC } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((rows[i].method & methods & r->spec->dynamic) != 0)
			(void)buf_printf(r->b, "@%s,%u,%u @%s goto %s\n",
			    header, bit, len, rows[i].set, chain);
}

static void
learned4(struct rules *r, const char *header, unsigned bit, const char *chain)
{
	learned(r, LINK_DYN_DHCPV4, header, bit, 32, chain);
}

static void
learned6(struct rules *r, const char *header, unsigned bit, const char *chain)
{
	learned(r, LINK_DYN_DHCPV6 | LINK_DYN_SLAAC, header, bit, 128, chain);
}

/* ---- from the guest: Ethernet ---- */

static void
from_ethernet(struct rules *r)
{
	const char *other =
	    has(r, LINK_PROTECT_RESTRICTED) ? "restricted" : "vlan";

	if (has(r, LINK_PROTECT_MAC)) {
		(void)buf_printf(
		    r->b, "ether saddr %s goto from2\n" DROP("mac"), r->mac);
		line(r, "}\nchain from2 {\n");
	}
	line(r,
	    "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 " DROP(
		"linklocal"));
	(void)buf_printf(r->b,
	    "ether type { 0x8100, 0x88a8 } counter name n_%s drop\n", other);
	line(r, "ether type ip goto ip4\n");
	line(r, "ether type ip6 goto ipv6\n");
	line(r, "ether type arp goto arp4\n");
	line(r,
	    has(r, LINK_PROTECT_RESTRICTED) ? DROP("restricted")
					    : "goto pass\n");
}

static void
limit(struct rules *r)
{
	uint64_t rate = r->spec->maxbw / 8, burst = rate * BURST_MS / 1000;

	if (rate == 0)
		return;
	(void)buf_printf(r->b,
	    "limit rate over %" PRIu64 " bytes/second burst %" PRIu64
	    " bytes " DROP("rate"),
	    rate, burst > BURST_MIN ? burst : BURST_MIN);
}

/* ---- ARP ---- */

/* Sender's address where there is no hardware address before it. */
static void
arp_bare(struct rules *r)
{
	for (size_t i = 0; i < r->spec->nallowed; i++) {
		const struct link_prefix *p = &r->spec->allowed[i];
		uint32_t addr, mask;

		if (p->family != AF_INET)
			continue;
		memcpy(&addr, p->addr, 4);
		mask = p->prefix == 0 ? 0 : UINT32_MAX << (32 - p->prefix);
		addr = ntohl(addr) & mask;
		(void)buf_printf(r->b,
		    "@nh,64,32 & 0x%08x == 0x%08x goto pass\n", mask, addr);
	}
}

static void
arp(struct rules *r)
{
	line(r, "chain arp4 {\n");
	if (!has(r, LINK_PROTECT_IP)) {
		reaches(r, "nh", 216, "pass");
		line(r, DROP("malformed") "}\n");
		return;
	}
	/* to its end: the target's address */
	(void)buf_printf(r->b,
	    "@nh,40,8 4 @nh,32,8 6 @nh,64,48 %s goto arp_sender\n", r->mac_hex);
	line(r, "@nh,40,8 4 @nh,32,8 0 goto arp_bare\n" DROP("arp"));
	line(r, "}\nchain arp_sender {\n");
	line(r, "arp saddr ip 0.0.0.0 ");
	line(r,
	    has(r, LINK_PROTECT_STRICT) ? "arp operation != reply goto pass\n"
					: "goto pass\n");
	line(r, "arp saddr ip @allowed4 goto pass\n");
	learned4(r, "nh", 112, "pass");
	line(r, DROP("arp"));
	line(r, "}\nchain arp_bare {\n");
	line(r, "@nh,64,32 0 goto pass\n");
	arp_bare(r);
	learned4(r, "nh", 64, "pass");
	line(r, DROP("arp") "}\n");
}

/* ---- IPv4 ---- */

static void
ip4(struct rules *r)
{
	line(r, "chain ip4 {\n@nh,0,8 != 0x45-0x4f " DROP("malformed"));
	if (has(r, LINK_PROTECT_IP)) {
		line(r, "ip saddr 0.0.0.0 goto ip4_in\n");
		line(r, "ip saddr @allowed4 goto ip4_in\n");
		learned4(r, "nh", 96, "ip4_in");
		line(r, DROP("ipv4"));
	} else {
		line(r, "ip saddr 0.0.0.0 goto ip4_in\n");
		line(r, "ip saddr != 0.0.0.0 goto ip4_in\n" DROP("malformed"));
	}
	line(r,
	    "}\nchain ip4_in {\n"
	    "ip frag-off & 0x1fff != 0 goto pass\n"
	    "ip protocol tcp goto tcp_from\n"
	    "ip protocol udp goto udp4\n"
	    "goto pass\n"
	    "}\nchain tcp_from {\n"
	    "tcp dport @blocked " DROP("port"));
	reaches(r, "th", 152, "pass");
	line(r, DROP("malformed") "}\nchain udp4 {\n");
	reaches(r, "th", 56, "udp4_in");
	line(r,
	    DROP("malformed") "}\nchain udp4_in {\n"
			      "udp dport { 67, 68 } goto dhcp4\n"
			      "goto pass\n"
			      "}\n");
}

/* BOOTP's 236 bytes behind UDP's 8 (RFC 951), and a magic number. */
static void
dhcp4(struct rules *r)
{
	line(r, "chain dhcp4 {\n");
	if (!has(r, LINK_PROTECT_DHCP)) {
		line(r, "goto pass\n}\n");
		return;
	}
	line(r, "ip frag-off & 0x2000 != 0 " DROP("fragment"));
	if (has(r, LINK_PROTECT_STRICT))
		line(r, "@th,64,8 2 " DROP("dhcp"));
	reaches(r, "th", 8 * (8 + 236) + 24, "dhcp4_in");
	line(r, DROP("dhcp") "}\nchain dhcp4_in {\n");
	(void)buf_printf(
	    r->b, "@th,80,8 6 @th,288,48 %s goto pass\n", r->mac_hex);
	line(r, "@th,80,8 != 6 goto pass\n" DROP("dhcp") "}\n");
}

/* ---- IPv6 ---- */

/*
 * A message of this type whose options begin at bit 'at': none, or the
 * link-layer address is this link's; a nonce (RFC 7527) may be before it.
 */
static void
nd_options(struct rules *r, unsigned type, unsigned at, unsigned option)
{
	(void)buf_printf(r->b, "chain nd_%u {\n", type);
	(void)buf_printf(r->b,
	    "@th,%u,8 %u @th,%u,8 1 @th,%u,48 %s goto pass\n", at, option,
	    at + 8, at + 16, r->mac_hex);
	(void)buf_printf(r->b,
	    "@th,%u,16 0x0e01 @th,%u,8 %u @th,%u,8 1 @th,%u,48 %s goto pass\n",
	    at, at + 64, option, at + 72, at + 80, r->mac_hex);
	/* one behind the nonce that is another, then a nonce alone */
	(void)buf_printf(
	    r->b, "@th,%u,16 0x0e01 @th,%u,8 0 " DROP("nd"), at, at + 64);
	(void)buf_printf(
	    r->b, "@th,%u,16 0x0e01 @th,%u,8 != 0 " DROP("nd"), at, at + 64);
	(void)buf_printf(
	    r->b, "@th,%u,16 0x0e01 @th,%u,48 0 goto pass\n", at, at + 16);
	(void)buf_printf(
	    r->b, "@th,%u,16 0x0e01 @th,%u,48 != 0 goto pass\n", at, at + 16);
	(void)buf_printf(r->b, "@th,%u,8 0 " DROP("nd"), at);
	(void)buf_printf(r->b, "@th,%u,8 != 0 " DROP("nd"), at);
	/* no options, but the message is whole */
	reaches(r, "th", at - 8, "pass");
	line(r, DROP("nd") "}\n");
}

static void
na_target(struct rules *r, const uint8_t *addr, unsigned prefix)
{
	char mask[33], value[33];

	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = prefix > i * 8 ? prefix - i * 8 : 0;
		unsigned m = bits >= 8 ? 0xff : 0xff00U >> bits & 0xff;

		snprintf(mask + 2 * i, 3, "%02x", m);
		snprintf(value + 2 * i, 3, "%02x", addr[i] & m);
	}
	(void)buf_printf(
	    r->b, "@th,64,128 & 0x%s == 0x%s goto nd_136\n", mask, value);
}

static void
nd(struct rules *r)
{
	nd_options(r, 133, 64, 1);
	nd_options(r, 135, 192, 1);
	nd_options(r, 136, 192, 2);
	line(r, "chain na {\n");
	na_target(r, r->linklocal, 128);
	for (size_t i = 0; i < r->spec->nallowed; i++)
		if (r->spec->allowed[i].family == AF_INET6)
			na_target(r, r->spec->allowed[i].addr,
			    r->spec->allowed[i].prefix);
	learned6(r, "th", 64, "nd_136");
	line(r, DROP("nd") "}\nchain ra {\n");
	(void)buf_printf(
	    r->b, "@th,128,8 1 @th,144,48 != %s " DROP("nd"), r->mac_hex);
	reaches(r, "th", 120, "pass");
	line(r, DROP("nd") "}\nchain icmp6 {\n");
	reaches(r, "th", 24, "icmp6_in");
	line(r, DROP("malformed") "}\nchain icmp6_in {\n");
	if (has(r, LINK_PROTECT_STRICT))
		line(r, "@th,0,8 134 " DROP("ra"));
	if (has(r, LINK_PROTECT_IP)) {
		line(r, "@th,0,8 133-137 exthdr frag exists " DROP("fragment"));
		line(r, "@th,0,8 133 goto nd_133\n");
		line(r, "@th,0,8 134 goto ra\n");
		line(r, "@th,0,8 135 goto nd_135\n");
		line(r, "@th,0,8 136 goto na\n");
	}
	line(r, "goto pass\n}\n");
}

/*
 * The kernel's own walk ends at an authentication header: what is behind it is
 * dropped where the guard would have to look.
 */
static void
ah6(struct rules *r)
{
	bool nd = has(r, LINK_PROTECT_IP | LINK_PROTECT_STRICT);
	bool dhcp = has(r, LINK_PROTECT_DHCP | LINK_PROTECT_STRICT);
	bool tcp = r->spec->nports > 0;

	line(r, "chain ah6 {\n");
	if (nd)
		line(r, "@th,0,8 58 " DROP("nd"));
	if (dhcp)
		line(r, "@th,0,8 17 " DROP("dhcp6"));
	if (tcp)
		line(r, "@th,0,8 6 " DROP("port"));
	if (nd || dhcp || tcp) /* more headers */
		(void)buf_printf(r->b,
		    "@th,0,8 { 0, 43, 44, 51, 60 } counter name n_%s drop\n",
		    nd         ? "nd"
			: dhcp ? "dhcp6"
			       : "port");
	reaches(r, "th", 88, "pass");
	line(r, DROP("malformed") "}\n");
}

static void
ip6(struct rules *r)
{
	line(r, "chain ipv6 {\n@nh,0,4 != 6 " DROP("malformed"));
	line(r, "ip6 saddr :: goto ip6_in\n");
	if (has(r, LINK_PROTECT_IP)) {
		line(r, "ip6 saddr @allowed6 goto ip6_in\n");
		learned6(r, "nh", 64, "ip6_in");
		line(r, DROP("ipv6"));
	} else
		line(r, "ip6 saddr != :: goto ip6_in\n" DROP("malformed"));
	line(r,
	    "}\nchain ip6_in {\n"
	    "frag frag-off != 0 goto pass\n"
	    "meta l4proto icmpv6 goto icmp6\n"
	    "meta l4proto tcp goto tcp_from\n"
	    "meta l4proto udp goto udp6\n"
	    "meta l4proto ah goto ah6\n"
	    "meta l4proto != { icmpv6, tcp, udp } goto pass\n" DROP(
		"malformed"));
	line(r, "}\nchain udp6 {\n");
	reaches(r, "th", 56, "udp6_in");
	line(r,
	    DROP("malformed") "}\nchain udp6_in {\n"
			      "udp dport { 546, 547 } goto dhcp6\n"
			      "goto pass\n");
	line(r, "}\n");
}

/* A listed id, in pieces of what a rule can compare. */
static void
listed_cid(struct rules *r, const struct link_cid *cid)
{
	(void)buf_printf(r->b, "@th,96,16 1 @th,112,16 %u", cid->len);
	for (unsigned at = 0; at < cid->len; at += 16) {
		unsigned n = cid->len - at < 16 ? cid->len - at : 16;

		(void)buf_printf(r->b, " @th,%u,%u 0x", 128 + at * 8, n * 8);
		for (unsigned i = 0; i < n; i++)
			(void)buf_printf(r->b, "%02x", cid->bytes[at + i]);
	}
	line(r, " goto pass\n");
}

/* The client's id is looked for where clients put it: first (RFC 8415). */
static void
duids(struct rules *r)
{
	/* DUID-LLT and DUID-LL of the link */
	(void)buf_printf(r->b,
	    "@th,96,16 1 @th,112,16 14 @th,128,16 1 @th,192,48 %s goto pass\n",
	    r->mac_hex);
	(void)buf_printf(r->b,
	    "@th,96,16 1 @th,112,16 10 @th,128,16 3 @th,160,48 %s goto pass\n",
	    r->mac_hex);
	for (size_t i = 0; i < r->spec->ncids; i++)
		listed_cid(r, &r->spec->cids[i]);
}

/* Servers' messages, relays' (12, 13), then clients'. */
static void
dhcp6(struct rules *r)
{
	bool clients = has(r, LINK_PROTECT_DHCP);

	line(r, "chain dhcp6 {\n");
	if (!has(r, LINK_PROTECT_DHCP | LINK_PROTECT_STRICT)) {
		line(r, "goto pass\n}\n");
		return;
	}
	line(r, "exthdr frag exists ");
	line(r, clients ? DROP("fragment") : "goto pass\n");
	line(r,
	    has(r, LINK_PROTECT_STRICT) ? "@th,64,8 { 2, 7, 10 } " DROP("dhcp6")
					: "@th,64,8 { 2, 7, 10 } goto pass\n");
	line(r, "@th,64,8 { 12, 13 } " DROP("dhcp6"));
	if (!clients || r->spec->any_cid)
		reaches(r, "th", 88, "pass");
	else
		duids(r);
	line(r, DROP("dhcp6") "}\n");
}

/* ---- to the guest ---- */

/* strict and ip-nospoof: to the link alone, but not to an address it has. */
static void
to_address(struct rules *r)
{
	line(r, "chain to4 {\n");
	/* a DHCPv4 server's answer is for an address to be */
	if ((r->spec->dynamic & LINK_DYN_DHCPV4) != 0)
		line(r,
		    "ip frag-off & 0x3fff == 0 udp sport 67 udp dport 68 goto "
		    "to_pass\n");
	line(r, "ip daddr >= 224.0.0.0 goto to_pass\n");
	line(r, "ip daddr @allowed4 goto to_pass\n");
	learned4(r, "nh", 128, "to_pass");
	line(r, DROP("inbound") "}\nchain to6 {\n");
	line(r, "ip6 daddr ff00::/8 goto to_pass\n");
	line(r, "ip6 daddr @allowed6 goto to_pass\n");
	learned6(r, "nh", 192, "to_pass");
	line(r, DROP("inbound") "}\n");
}

static void
to_guest(struct rules *r)
{
	line(r, "chain to_pass {\n");
	limit(r);
	line(r, "counter name n_received accept\n}\n");
	to_address(r);
	(void)buf_printf(r->b,
	    "chain to { type filter hook egress device \"%s\" priority 0; "
	    "policy accept;\n",
	    r->spec->name);
	line(r, "ether type { 0x8100, 0x88a8 } " DROP("vlan-in"));
	if (has(r, LINK_PROTECT_STRICT)) {
		(void)buf_printf(r->b,
		    "ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00 goto "
		    "to_pass\nether daddr != %s " DROP("inbound"),
		    r->mac);
		if (has(r, LINK_PROTECT_IP))
			line(r,
			    "ether type ip goto to4\n"
			    "ether type ip6 goto to6\n");
	}
	line(r, "goto to_pass\n}\n");
}

/* ---- the table ---- */

static void
names(struct rules *r)
{
	static const char *const counters[] = {
#define X(id, name, illumos) name,
		LINK_DROPS(X)
#undef X
		    "sent",
		"received",
	};

	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		(void)buf_printf(r->b, "counter n_%s { }\n", counters[i]);
}

/* The table may be there: rules and elements go, counters stay. */
static void
fresh(struct rules *r)
{
	static const char *const sets[][2] = {
		{ "allowed4", "ipv4_addr" },
		{ "allowed6", "ipv6_addr" },
		{ "blocked", "inet_service" },
	};
	static const char *const kept[][2] = {
		{ LINK_NFT_DHCPV4,
		    "typeof @nh,96,32; flags timeout; size 1024;" },
		{ LINK_NFT_DHCPV6,
		    "typeof @nh,64,128; flags timeout; size 1024;" },
		{ LINK_NFT_SLAAC,
		    "typeof @nh,64,128; flags timeout; size 1024;" },
		{ LINK_NFT_LEARNER, "type mark;" },
	};
	static const char *const chains[] = { "from2", "pass", "arp4",
		"arp_sender", "arp_bare", "ip4", "ip4_in", "tcp_from", "udp4",
		"udp4_in", "dhcp4", "dhcp4_in", "nd_133", "nd_135", "nd_136",
		"na", "ra", "icmp6", "icmp6_in", "ipv6", "ip6_in", "udp6",
		"udp6_in", "dhcp6", "ah6", "to_pass", "to4", "to6" };
	const char *name = r->spec->name;

	(void)buf_printf(r->b, "add table netdev " LINK_NFT_TABLE "\n", name);
	(void)buf_printf(r->b, "flush table netdev " LINK_NFT_TABLE "\n", name);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		(void)buf_printf(r->b,
		    "add set netdev " LINK_NFT_TABLE
		    " %s { type %s; flags interval; auto-merge; }\n"
		    "flush set netdev " LINK_NFT_TABLE " %s\n",
		    name, sets[i][0], sets[i][1], name, sets[i][0]);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		(void)buf_printf(r->b,
		    "add set netdev " LINK_NFT_TABLE " %s { %s }\n", name,
		    kept[i][0], kept[i][1]);
	/* a goto wants its chain to be there */
	for (size_t i = 0; i < ARRAY_LEN(chains); i++)
		(void)buf_printf(r->b,
		    "add chain netdev " LINK_NFT_TABLE " %s\n", name,
		    chains[i]);
}

static void
addresses(struct rules *r)
{
	const uint8_t *m = r->spec->mac;
	const uint8_t id[8] = { m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4],
		m[5] };

	snprintf(r->mac, sizeof(r->mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0],
	    m[1], m[2], m[3], m[4], m[5]);
	snprintf(r->mac_hex, sizeof(r->mac_hex), "0x%02x%02x%02x%02x%02x%02x",
	    m[0], m[1], m[2], m[3], m[4], m[5]);
	r->linklocal[0] = 0xfe;
	r->linklocal[1] = 0x80;
	memcpy(r->linklocal + 8, id, sizeof(id));
}

static int
possible(const struct link_spec *spec, struct error *err)
{
	if (spec->vlan != 0 && !spec->bridge_tags)
		return error_set(err, EOPNOTSUPP,
		    "vlan-id %u: without BPF this host's filter (nftables) "
		    "cannot push a tag, and no bridge that filters VLANs does "
		    "it; turn that on ('ip link set BRIDGE type bridge "
		    "vlan_filtering 1'), or name a bridge of that VLAN as "
		    "global-nic and clear vlan-id",
		    spec->vlan);
	return 0;
}

int
link_nft_rules(const struct link_spec *spec, struct buf *ret, struct error *err)
{
	struct rules r = { .spec = spec, .b = ret };
	int rc = possible(spec, err);

	if (rc < 0)
		return rc;
	addresses(&r);
	fresh(&r);
	(void)buf_printf(
	    ret, "table netdev " LINK_NFT_TABLE " {\n", spec->name);
	names(&r);
	prefixes(&r, AF_INET, "allowed4", "ipv4_addr");
	prefixes(&r, AF_INET6, "allowed6", "ipv6_addr");
	ports(&r);
	line(&r, "chain pass {\n");
	limit(&r);
	line(&r, "counter name n_sent accept\n}\n");
	arp(&r);
	ip4(&r);
	dhcp4(&r);
	nd(&r);
	ah6(&r);
	ip6(&r);
	dhcp6(&r);
	(void)buf_printf(ret,
	    "chain from { type filter hook ingress device \"%s\" priority 0; "
	    "policy drop;\n",
	    spec->name);
	from_ethernet(&r);
	line(&r, "}\n");
	to_guest(&r);
	line(&r, "}\n");
	return buf_error(ret) < 0 ? error_set(err, ENOMEM, "out of memory") : 0;
}
