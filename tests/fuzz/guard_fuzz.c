/*
 * Frames into the guard's rules, both ways, under any of its modes. What is
 * let through is read a second time, by a reader that knows nothing of the
 * first one's code, and must be nobody else's.
 *
 * Input: two bytes of modes, then frames: a byte of flags (1: to the guest, 2:
 * over an hour later), two of length, the bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "link/guard_impl.h"
#include "link/guard_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t me[6] = { 0x02, 0x08, 0x20, 0xaa, 0xbb, 0xcc };
static const uint8_t ll[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x20,
	0xff, 0xfe, 0xaa, 0xbb, 0xcc };
static const uint8_t own6[16] = { 0xfd, [15] = 5 };
static const uint8_t none[16];

static void
must(int ok)
{
	if (!ok)
		abort();
}

static unsigned
two(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void
configure(struct guard_user *g, unsigned modes)
{
	struct link_spec s = {
		.name = "fuzzed",
		.protect = modes & 0x1f,
		.dynamic = modes >> 5 & 7,
		.vlan = modes & 0x100 ? 5 : 0,
		.any_cid = (modes & 0x200) != 0,
		.nallowed = 2,
		.allowed = { { AF_INET, 32, { 10, 0, 0, 5 } },
		    { AF_INET6, 128, { 0xfd, [15] = 5 } } },
		.nports = 1,
		.ports = { { 25, 26 } },
		.ncids = 2,
		.cids = { { 2, { 0xff, 0x99 } },
		    { 17, { [1] = 1, 2, 3, 4, 5, 6, 7, 8 } } },
	};

	memcpy(s.mac, me, 6);
	must(guard_config_make(&s, &g->cfg, NULL) == 0);
}

/* --- what was let out, read by somebody else */

static void
ours6(const struct guard_user *g, const uint8_t *addr)
{
	must((g->cfg.dynamic & (LINK_DYN_DHCPV6 | LINK_DYN_SLAAC)) != 0 ||
	    memcmp(addr, ll, 16) == 0 || memcmp(addr, own6, 16) == 0 ||
	    memcmp(addr, none, 16) == 0);
}

/* l4: of 'n' bytes, whole or the first of its datagram. */
static void
let_out_udp(const struct guard_user *g, const uint8_t *l4, size_t n, int v6)
{
	unsigned to;

	must(n >= 8);
	to = two(l4 + 2);
	if (v6) {
		/* a server's, with strict */
		if ((g->cfg.protect & LINK_PROTECT_STRICT) != 0 &&
		    (to == 546 || to == 547))
			must(
			    n >= 12 && l4[8] != 2 && l4[8] != 7 && l4[8] != 10);
		return;
	}
	if ((g->cfg.protect & LINK_PROTECT_DHCP) == 0)
		return;
	if (to != 67 && to != 68)
		return;
	must(n >= 8 + 236);
	must(l4[8 + 2] != 6 || memcmp(l4 + 8 + 28, me, 6) == 0);
	if (g->cfg.protect & LINK_PROTECT_STRICT)
		must(l4[8] != 2);
}

static void
let_out_nd(const struct guard_user *g, const uint8_t *p, size_t n)
{
	must(n >= 4);
	if (p[0] == 134)
		must((g->cfg.protect & LINK_PROTECT_STRICT) == 0);
	if (p[0] != 136 || (g->cfg.protect & LINK_PROTECT_IP) == 0)
		return;
	must(n >= 24);
	ours6(g, p + 8);
	if (n >= 32 && p[24] == 2)
		must(memcmp(p + 26, me, 6) == 0);
}

static void
let_out4(const struct guard_user *g, const uint8_t *p, size_t n)
{
	static const uint8_t own[4] = { 10, 0, 0, 5 };
	size_t len = n >= 20 ? (p[0] & 15u) * 4 : 0;

	must(n >= 20 && p[0] >> 4 == 4 && len >= 20 && two(p + 2) >= len &&
	    two(p + 2) <= n);
	n = two(p + 2);
	if ((g->cfg.protect & LINK_PROTECT_IP) != 0 &&
	    (g->cfg.dynamic & LINK_DYN_DHCPV4) == 0)
		must(memcmp(p + 12, own, 4) == 0 ||
		    memcmp(p + 12, none, 4) == 0);
	if ((two(p + 6) & 0x1fff) != 0)
		return;
	if (p[9] == 17)
		let_out_udp(g, p + len, n - len, 0);
	if (p[9] == 6)
		must(n - len >= 4 && two(p + len + 2) != 25 &&
		    two(p + len + 2) != 26);
}

static void
let_out6(const struct guard_user *g, const uint8_t *p, size_t n)
{
	must(n >= 40 && p[0] >> 4 == 6 && two(p + 4) <= n - 40);
	if (two(p + 4) != 0)
		n = two(p + 4) + 40;
	if (g->cfg.protect & LINK_PROTECT_IP)
		ours6(g, p + 8);
	if (p[6] == 58)
		let_out_nd(g, p + 40, n - 40);
	if (p[6] == 17)
		let_out_udp(g, p + 40, n - 40, 1);
	if (p[6] == 6)
		must(n - 40 >= 4 && two(p + 42) != 25 && two(p + 42) != 26);
}

static void
let_out_arp(const struct guard_user *g, const uint8_t *p, size_t n)
{
	must(n >= 8 && n >= 8 + 2u * p[4] + 2u * p[5]);
	if ((g->cfg.protect & LINK_PROTECT_IP) == 0)
		return;
	must(p[5] == 4 && (p[4] == 0 || p[4] == 6));
	if (p[4] == 6)
		must(memcmp(p + 8, me, 6) == 0);
	if ((g->cfg.dynamic & LINK_DYN_DHCPV4) == 0)
		must(memcmp(p + 8 + p[4], "\x0a\0\0\x05", 4) == 0 ||
		    memcmp(p + 8 + p[4], none, 4) == 0);
}

static void
let_out(const struct guard_user *g, const uint8_t *p, size_t n)
{
	unsigned type;
	size_t at = 14;

	must(n >= 14);
	if (g->cfg.protect & LINK_PROTECT_MAC)
		must(memcmp(p + 6, me, 6) == 0);
	must(memcmp(p, "\x01\x80\xc2\0\0", 5) != 0 || p[5] > 15);
	type = two(p + 12);
	if (type == 0x8100 && n >= 18) {
		must(g->cfg.vlan == 5 && (two(p + 14) & 0xfff) == 5);
		type = two(p + 16);
		at = 18;
	}
	must(type != 0x8100 && type != 0x88a8);
	if (g->cfg.protect & LINK_PROTECT_RESTRICTED)
		must(type == 0x0800 || type == 0x86dd || type == 0x0806);
	if (type == 0x0800)
		let_out4(g, p + at, n - at);
	if (type == 0x86dd)
		let_out6(g, p + at, n - at);
	if (type == 0x0806)
		let_out_arp(g, p + at, n - at);
}

static void
let_in(const struct guard_user *g, const uint8_t *p, size_t n)
{
	unsigned vid = 0;

	must(n >= 14);
	if (n >= 18 && two(p + 12) == 0x8100)
		vid = two(p + 14) & 0xfff;
	must(vid == g->cfg.vlan);
	if (g->cfg.protect & LINK_PROTECT_STRICT)
		must((p[0] & 1) != 0 || memcmp(p, me, 6) == 0);
}

/* A reason comes of a mode that is on. */
static void
has_reason(const struct guard_user *g, int out, int why)
{
	static const struct {
		uint32_t modes;
		uint8_t why, out;
	} rows[] = {
		{ LINK_PROTECT_MAC, LINK_DROP_MAC, 1 },
		{ LINK_PROTECT_RESTRICTED, LINK_DROP_RESTRICTED, 1 },
		{ LINK_PROTECT_IP, LINK_DROP_IPV4, 1 },
		{ LINK_PROTECT_IP, LINK_DROP_ARP, 1 },
		{ LINK_PROTECT_IP, LINK_DROP_IPV6, 1 },
		{ LINK_PROTECT_IP, LINK_DROP_ND, 1 },
		{ LINK_PROTECT_DHCP, LINK_DROP_DHCP, 1 },
		{ LINK_PROTECT_DHCP | LINK_PROTECT_STRICT, LINK_DROP_DHCP6, 1 },
		{ LINK_PROTECT_IP | LINK_PROTECT_DHCP, LINK_DROP_FRAGMENT, 1 },
		{ ~0u, LINK_DROP_LINKLOCAL, 1 },
		{ ~0u, LINK_DROP_MALFORMED, 1 },
		{ ~0u, LINK_DROP_MALFORMED, 0 },
		{ ~0u, LINK_DROP_VLAN, 1 },
		{ ~0u, LINK_DROP_VLAN_IN, 0 },
		{ LINK_PROTECT_STRICT, LINK_DROP_RA, 1 },
		{ LINK_PROTECT_STRICT, LINK_DROP_INBOUND, 0 },
		{ ~0u, LINK_DROP_PORT, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].why == why && rows[i].out == out &&
		    ((rows[i].modes & g->cfg.protect) != 0 ||
			rows[i].modes == ~0u))
			return;
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guard_user g;

	if (size < 2)
		return 0;
	memset(&g, 0, sizeof(g));
	g.now = 1;
	configure(&g, two(data));
	data += 2;
	size -= 2;
	while (size > 3) {
		size_t n = two(data + 1);
		int out = (data[0] & 1) == 0, why;

		if (data[0] & 2)
			g.now += UINT64_C(3601000000000);
		data += 3;
		size -= 3;
		n = n < size ? n : size;
		why = guard_user_frame(&g, out, data, n);
		if (why != -1)
			has_reason(&g, out, why);
		else if (out)
			let_out(&g, data, n);
		else
			let_in(&g, data, n);
		data += n;
		size -= n;
	}
	return 0;
}
