/*
 * The guard's rules: what a frame of the guest, or to it, is dropped for, and
 * the limit of the bandwidth. The order of the checks is that of the reasons a
 * frame is counted for; docs/network.md has it as a table.
 */
#ifndef LINK_GUARD_RULES_H
#define LINK_GUARD_RULES_H

#include "link/guard_dhcp.h"
#include "link/guard_frame.h"

/* Types of neighbour discovery (RFC 4861 section 4). */
enum { GUARD_RS = 133, GUARD_RA, GUARD_NS, GUARD_NA, GUARD_REDIRECT };

/* Length of its fixed part; 0: another ICMPv6 message. */
GUARD_INLINE __u32
guard_nd_len(__u32 type)
{
	return type == GUARD_RS                    ? 8
	    : type == GUARD_RA                     ? 16
	    : type == GUARD_NS || type == GUARD_NA ? 24
	    : type == GUARD_REDIRECT               ? 40
						   : 0;
}

#define GUARD_ND_SLLA 1
#define GUARD_ND_TLLA 2
#define GUARD_ND_PREFIX 3

GUARD_STEP
guard_step_nd(__u32 i, void *arg)
{
	struct guard_walk *w = arg;
	__u8 h[8];

	if (w->off >= w->end)
		return 1;
	if (w->off + 8 > w->end || guard_load(w->from, w->off, h, 8) < 0 ||
	    h[1] == 0 ||
	    (h[0] == w->arg && !guard_same_mac(h + 2, w->cfg->mac))) {
		w->bad = 1;
		return 1;
	}
	w->off += h[1] * 8u;
	return 0;
}

/* An option of type 'want' names another link-layer address. */
GUARD_GLOBAL int
guard_nd_foreign(guard_source *from, __u32 off, __u32 end, __u32 want)
{
	const struct guard_config *cfg = guard_config_of(from);
	struct guard_walk w = {
		.from = from,
		.cfg = cfg,
		.off = off,
		.end = end,
		.arg = want,
	};

	if (cfg == NULL)
		return 1;
	w.bad = guard_zero(cfg);
	guard_loop(GUARD_OPTIONS_MAX, guard_step_nd, &w);
	return w.bad != 0 || w.off != end;
}

/* ip-nospoof, what neighbour discovery says inside. */
GUARD_GLOBAL int
guard_nd_from(guard_source *from, __u32 type, __u32 off, __u32 end)
{
	__u32 len = guard_nd_len(type);
	__u8 h[24];

	if (off + len > end)
		return LINK_DROP_ND;
	if (type == GUARD_REDIRECT)
		return GUARD_PASS;
	if (type == GUARD_NA &&
	    (guard_load(from, off, h, 24) < 0 ||
		!guard_may_send6(from, guard_be128(h + 8))))
		return LINK_DROP_ND;
	return guard_nd_foreign(from, off + len, end,
		   type == GUARD_NA ? GUARD_ND_TLLA : GUARD_ND_SLLA)
	    ? LINK_DROP_ND
	    : GUARD_PASS;
}

GUARD_INLINE int
guard_icmp6_from(struct guard_frame *f, const struct guard_l4 *l4)
{
	__u8 type;

	if (l4->off + 4 > l4->end || guard_load(f->from, l4->off, f->h, 1) < 0)
		return LINK_DROP_MALFORMED;
	type = f->h[0];
	if (guard_nd_len(type) == 0)
		return GUARD_PASS;
	if (type == GUARD_RA && guard_has(f->cfg, LINK_PROTECT_STRICT))
		return LINK_DROP_RA;
	if (!guard_has(f->cfg, LINK_PROTECT_IP))
		return GUARD_PASS;
	if (l4->part != GUARD_WHOLE)
		return LINK_DROP_FRAGMENT;
	return guard_nd_from(f->from, type, l4->off, l4->end);
}

GUARD_INLINE int
guard_blocked(const struct guard_config *cfg, __u32 port)
{
	for (__u32 i = 0; i < LINK_PORTS_MAX && i < cfg->nports; i++)
		if (port >= cfg->ports[i].first && port <= cfg->ports[i].last)
			return 1;
	return 0;
}

/* From the guest, above IP; 'v6': above IPv6. */
GUARD_INLINE int
guard_l4_from(struct guard_frame *f, const struct guard_l4 *l4, int v6)
{
	__u32 sport = 0, dport = 0, dhcp;
	int why;

	if (l4->part == GUARD_LATER)
		return GUARD_PASS;
	if (v6 && l4->proto == GUARD_ICMP6)
		return guard_icmp6_from(f, l4);
	if (l4->proto != GUARD_UDP && l4->proto != GUARD_TCP)
		return GUARD_PASS;
	why = guard_read_ports(f, l4, &sport, &dport);
	if (why != GUARD_PASS)
		return why;
	if (l4->proto == GUARD_TCP)
		return guard_blocked(f->cfg, dport) ? LINK_DROP_PORT
						    : GUARD_PASS;
	dhcp = v6 ? dport == GUARD_DHCP6_CLIENT || dport == GUARD_DHCP6_SERVER
		  : dport == GUARD_DHCP4_CLIENT || dport == GUARD_DHCP4_SERVER;
	if (!dhcp)
		return GUARD_PASS;
	if (l4->part != GUARD_WHOLE)
		return guard_has(f->cfg, LINK_PROTECT_DHCP) ? LINK_DROP_FRAGMENT
							    : GUARD_PASS;
	return v6 ? guard_dhcp6_from(f->from, l4->off + 8, l4->end)
		  : guard_dhcp4_from(f->from, l4->off + 8, l4->end);
}

GUARD_INLINE int
guard_ip4_from(struct guard_frame *f)
{
	struct guard_ip4 h;
	int why = guard_read_ip4(f, &h);

	if (why != GUARD_PASS)
		return why;
	/* most have one address: asked without a call */
	if (guard_has(f->cfg, LINK_PROTECT_IP) && h.src != 0 &&
	    (f->cfg->n4 == 0 ||
		((h.src ^ f->cfg->v4[0].addr) & f->cfg->v4[0].mask) != 0) &&
	    !guard_own4(f->from, h.src))
		return LINK_DROP_IPV4;
	return guard_l4_from(f, &h.l4, 0);
}

GUARD_INLINE int
guard_ip6_from(struct guard_frame *f)
{
	struct guard_ip6 h;
	int why = guard_read_ip6(f, &h);

	if (why != GUARD_PASS)
		return why;
	if (guard_has(f->cfg, LINK_PROTECT_IP) &&
	    !guard_may_send6(f->from, h.src))
		return LINK_DROP_IPV6;
	return guard_l4_from(f, &h.l4, 1);
}

/* RFC 826; as in illumos, without a hardware address as well. */
GUARD_INLINE int
guard_arp_from(struct guard_frame *f)
{
	__u32 hlen, plen, op, spa;
	__u8 *h = f->h;

	if (guard_load(f->from, f->l3, h, 8) < 0)
		return LINK_DROP_MALFORMED;
	hlen = h[4];
	plen = h[5];
	op = guard_be16(h + 6);
	if (f->len < f->l3 + 8 + 2 * (hlen + plen))
		return LINK_DROP_MALFORMED;
	if (!guard_has(f->cfg, LINK_PROTECT_IP))
		return GUARD_PASS;
	if (plen != 4 || (hlen != 0 && hlen != 6))
		return LINK_DROP_ARP;
	if (guard_load(f->from, f->l3 + 8, h, 4) < 0)
		return LINK_DROP_MALFORMED;
	spa = guard_be32(h);
	if (hlen == 6) {
		if (guard_load(f->from, f->l3 + 8, h, 10) < 0)
			return LINK_DROP_MALFORMED;
		spa = guard_be32(h + 6);
		if (!guard_same_mac(h, f->cfg->mac))
			return LINK_DROP_ARP;
	}
	if (spa == 0)
		return op == 2 && guard_has(f->cfg, LINK_PROTECT_STRICT)
		    ? LINK_DROP_ARP
		    : GUARD_PASS;
	return guard_own4(f->from, spa) ? GUARD_PASS : LINK_DROP_ARP;
}

/* 01:80:c2:00:00:00 to 0f (IEEE 802.1Q table 8-1). */
GUARD_INLINE int
guard_linklocal_group(const __u8 *mac)
{
	return mac[0] == 1 && mac[1] == 0x80 && mac[2] == 0xc2 &&
	    (mac[3] | mac[4] | (mac[5] & 0xf0)) == 0;
}

/* A tag of the guest's own: only the link's, which it will have anyway. */
GUARD_INLINE int
guard_tag_from(struct guard_frame *f)
{
	if (f->type != GUARD_8021Q && f->type != GUARD_8021AD &&
	    (f->tagged == 0 ||
		(f->tagged == GUARD_8021Q && f->cfg->vlan != 0 &&
		    f->vid == f->cfg->vlan)))
		return GUARD_PASS;
	return guard_has(f->cfg, LINK_PROTECT_RESTRICTED) ? LINK_DROP_RESTRICTED
							  : LINK_DROP_VLAN;
}

/* What the guest sends. A tag of the link's is to be pushed behind. */
GUARD_INLINE int
guard_from_guest(struct guard_frame *f)
{
	int why = guard_read_ethernet(f);

	if (why != GUARD_PASS)
		return why;
	if (guard_has(f->cfg, LINK_PROTECT_MAC) &&
	    !guard_same_mac(f->src, f->cfg->mac))
		return LINK_DROP_MAC;
	if (guard_linklocal_group(f->dst))
		return LINK_DROP_LINKLOCAL;
	why = guard_tag_from(f);
	if (why != GUARD_PASS)
		return why;
	if (f->type == GUARD_IPV4)
		return guard_ip4_from(f);
	if (f->type == GUARD_IPV6)
		return guard_ip6_from(f);
	if (f->type == GUARD_ARP)
		return guard_arp_from(f);
	return guard_has(f->cfg, LINK_PROTECT_RESTRICTED) ? LINK_DROP_RESTRICTED
							  : GUARD_PASS;
}

/* --- to the guest */

#define GUARD_TWO_HOURS (7200 * 1000000000ull)

/*
 * A prefix that the guest makes an address of. As in the guest, nobody can end
 * one in less than two hours (RFC 4862 section 5.5.3 e).
 */
GUARD_GLOBAL int
guard_learn_prefix(guard_source *from, __u32 off)
{
	const struct guard_config *cfg = guard_config_of(from);
	__u64 now = guard_now(), until, old;
	struct guard_addr6 a;
	struct guard_key key;
	__u8 h[32];

	if (cfg == NULL || guard_load(from, off, h, 32) < 0)
		return 0;
	a = guard_be128(h + 16);
	/* 64 bits, autonomous (RFC 4861 section 4.6.2) */
	if (h[2] != 64 || (h[3] & 0x40) == 0 || a.high >> 54 == 0x3fa)
		return 0;
	a.low = cfg->linklocal.low;
	key = guard_key6(LINK_DYN_SLAAC, a);
	until = guard_until(guard_be32(h + 4));
	old = guard_learned(from, &key);
	if (until < now + GUARD_TWO_HOURS && old > until)
		until =
		    old < now + GUARD_TWO_HOURS ? old : now + GUARD_TWO_HOURS;
	if (until > now)
		guard_learn(from, &key, until);
	return 0;
}

GUARD_STEP
guard_step_ra(__u32 i, void *arg)
{
	struct guard_walk *w = arg;
	__u8 h[2];

	if (w->off + 8 > w->end || guard_load(w->from, w->off, h, 2) < 0 ||
	    h[1] == 0 || w->off + h[1] * 8u > w->end)
		return 1;
	if (h[0] == GUARD_ND_PREFIX && h[1] == 4)
		guard_learn_prefix(w->from, w->off);
	w->off += h[1] * 8u;
	return 0;
}

/* A router's advertisement (RFC 4861 section 6.1.2). */
GUARD_GLOBAL int
guard_learn_ra(guard_source *from, __u32 off, __u32 end)
{
	struct guard_walk w = { .from = from, .off = off + 16, .end = end };
	__u8 h[2];

	if (off + 16 > end || guard_load(from, off, h, 2) < 0 || h[1] != 0)
		return 0;
	guard_loop(GUARD_OPTIONS_MAX, guard_step_ra, &w);
	return 0;
}

/* Nonzero: an answer of a DHCPv4 server, which may be for an address to be. */
GUARD_INLINE int
guard_hear4(struct guard_frame *f, const struct guard_ip4 *h)
{
	__u32 sport = 0, dport = 0;

	if (!guard_learns(f->cfg, LINK_DYN_DHCPV4) ||
	    h->l4.proto != GUARD_UDP || h->l4.part != GUARD_WHOLE ||
	    guard_read_ports(f, &h->l4, &sport, &dport) != GUARD_PASS ||
	    sport != GUARD_DHCP4_SERVER || dport != GUARD_DHCP4_CLIENT)
		return 0;
	guard_dhcp4_to(f->from, h->l4.off + 8, h->l4.end);
	return 1;
}

GUARD_INLINE void
guard_hear6(struct guard_frame *f, const struct guard_ip6 *h)
{
	__u32 sport = 0, dport = 0;

	if (h->l4.part != GUARD_WHOLE)
		return;
	if (guard_learns(f->cfg, LINK_DYN_SLAAC) &&
	    h->l4.proto == GUARD_ICMP6 && h->hops == 255 &&
	    h->src.high >> 54 == 0x3fa &&
	    guard_load(f->from, h->l4.off, f->h, 1) == 0 && f->h[0] == GUARD_RA)
		guard_learn_ra(f->from, h->l4.off, h->l4.end);
	if (guard_learns(f->cfg, LINK_DYN_DHCPV6) && h->l4.proto == GUARD_UDP &&
	    guard_read_ports(f, &h->l4, &sport, &dport) == GUARD_PASS &&
	    dport == GUARD_DHCP6_CLIENT && guard_same_mac(f->dst, f->cfg->mac))
		guard_dhcp6_to(f->from, h->l4.off + 8, h->l4.end);
}

/*
 * Strict: nothing that is for another station; with ip-nospoof nothing to an
 * address that the link has not got, as far as the frame is for it alone.
 */
GUARD_INLINE int
guard_foreign_to(struct guard_frame *f)
{
	return (f->dst[0] & 1) == 0 && !guard_same_mac(f->dst, f->cfg->mac);
}

GUARD_INLINE int
guard_filters_ip(struct guard_frame *f)
{
	return guard_has(f->cfg, LINK_PROTECT_STRICT) &&
	    guard_has(f->cfg, LINK_PROTECT_IP) && (f->dst[0] & 1) == 0;
}

GUARD_INLINE int
guard_ip4_to(struct guard_frame *f)
{
	struct guard_ip4 h;

	if ((!guard_filters_ip(f) && !guard_learns(f->cfg, LINK_DYN_DHCPV4)) ||
	    guard_read_ip4(f, &h) != GUARD_PASS)
		return GUARD_PASS;
	if (guard_hear4(f, &h) || !guard_filters_ip(f))
		return GUARD_PASS;
	return h.dst >= 0xe0000000 || guard_own4(f->from, h.dst)
	    ? GUARD_PASS
	    : LINK_DROP_INBOUND;
}

GUARD_INLINE int
guard_ip6_to(struct guard_frame *f)
{
	struct guard_ip6 h;

	if ((!guard_filters_ip(f) &&
		!guard_learns(f->cfg, LINK_DYN_DHCPV6 | LINK_DYN_SLAAC)) ||
	    guard_read_ip6(f, &h) != GUARD_PASS)
		return GUARD_PASS;
	guard_hear6(f, &h);
	if (!guard_filters_ip(f))
		return GUARD_PASS;
	return h.dst.high >> 56 == 0xff ||
		guard_own6(f->from, h.dst.high, h.dst.low)
	    ? GUARD_PASS
	    : LINK_DROP_INBOUND;
}

/* A tag of vid 0 is a priority alone. */
GUARD_INLINE int
guard_tag_to(struct guard_frame *f)
{
	if (f->type == GUARD_8021Q || f->type == GUARD_8021AD ||
	    (f->tagged != 0 && f->tagged != GUARD_8021Q))
		return LINK_DROP_VLAN_IN;
	return (f->tagged != 0 ? f->vid : 0) == f->cfg->vlan
	    ? GUARD_PASS
	    : LINK_DROP_VLAN_IN;
}

/* What is for the guest. A tag is to be taken off behind. */
GUARD_INLINE int
guard_to_guest(struct guard_frame *f)
{
	int why = guard_read_ethernet(f);

	if (why == GUARD_PASS)
		why = guard_tag_to(f);
	if (why != GUARD_PASS)
		return why;
	if (guard_has(f->cfg, LINK_PROTECT_STRICT) && guard_foreign_to(f))
		return LINK_DROP_INBOUND;
	if (f->type == GUARD_IPV4)
		return guard_ip4_to(f);
	if (f->type == GUARD_IPV6)
		return guard_ip6_to(f);
	return GUARD_PASS;
}

/* --- maxbw */

/*
 * Time that was sold ahead, up to a burst of it: *sold is when the last frame
 * will have been sent at that rate.
 */
GUARD_INLINE int
guard_in_rate(const struct guard_config *cfg, __u64 *sold, __u32 len, __u64 now)
{
	__u64 from = *sold > now ? *sold : now;
	__u64 until = from + len * 8000000000ull / cfg->maxbw;

	if (until - now > cfg->burst)
		return 0;
	*sold = until;
	return 1;
}

#endif
