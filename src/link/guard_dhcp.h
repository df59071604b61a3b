/*
 * DHCP as the guard sees it: whose client a message is of, and the addresses
 * that servers give (RFC 2131, 2132, 8415).
 */
#ifndef LINK_GUARD_DHCP_H
#define LINK_GUARD_DHCP_H

#include "link/guard_frame.h"

#define GUARD_DHCP4_SERVER 67
#define GUARD_DHCP4_CLIENT 68
#define GUARD_DHCP6_CLIENT 546
#define GUARD_DHCP6_SERVER 547
#define GUARD_OPTIONS_MAX 64 /* in a message */
/* How long an answer may take. */
#define GUARD_PENDING_NS (120 * 1000000000ull)

/* --- client ids */

/* The next 8 bytes of the n (not 0) that are left, zeros behind the last. */
GUARD_INLINE __u64
guard_load_chunk(guard_source *from, __u32 off, __u32 n)
{
	__u64 chunk = 0, k = n < 8 ? n : 8;

	/* nothing, but every verifier sees that it is 1 to 8 */
	__asm__ volatile("" : "+r"(k));
	k = ((k - 1) & 7) + 1;
	guard_load(from, off, &chunk, k);
	return chunk;
}

/* The id at off is the nth of the operator's list. */
GUARD_GLOBAL int
guard_is_cid(guard_source *from, __u32 off, __u32 len, __u32 n)
{
	const struct guard_config *cfg = guard_config_of(from);

	if (cfg == NULL || len == 0 || n >= cfg->ncids)
		return 0;
	/* checked in the register that is used, so that the verifier sees it */
	__asm__ volatile("" : "+r"(n));
	if (n >= LINK_CIDS_MAX || cfg->cids[n].len != len)
		return 0;
	for (__u32 c = 0; c < GUARD_CID_CHUNKS && c * 8 < len; c++)
		if (cfg->cids[n].chunk[c] !=
		    guard_load_chunk(from, off + c * 8, len - c * 8))
			return 0;
	return 1;
}

GUARD_GLOBAL int
guard_listed_cid(guard_source *from, __u32 off, __u32 len)
{
	for (__u32 n = 0; n < LINK_CIDS_MAX; n++)
		if (guard_is_cid(from, off, len, n))
			return 1;
	return 0;
}

/* Type 1 and the link's address (RFC 2132 section 9.14). */
GUARD_INLINE int
guard_own_cid4(
    guard_source *from, const struct guard_config *cfg, __u32 off, __u32 len)
{
	__u8 id[7];

	return len == 7 && guard_load(from, off, id, 7) == 0 && id[0] == 1 &&
	    guard_same_mac(id + 1, cfg->mac);
}

/* DUID-LL or DUID-LLT of the link (RFC 8415 section 11), or a listed one. */
GUARD_GLOBAL int
guard_is_duid(guard_source *from, __u32 off, __u32 len)
{
	const struct guard_config *cfg = guard_config_of(from);
	__u8 id[4], mac[6];

	if (cfg == NULL)
		return 0;
	if ((len == 10 || len == 14) && guard_load(from, off, id, 4) == 0 &&
	    guard_be16(id) == (len == 10 ? 3 : 1) && guard_be16(id + 2) == 1 &&
	    guard_load(from, off + len - 6, mac, 6) == 0 &&
	    guard_same_mac(mac, cfg->mac))
		return 1;
	return guard_listed_cid(from, off, len);
}

/* --- DHCPv4 */

#define GUARD_BOOTP_LEN 236
#define GUARD_DHCP4_OPTIONS 240 /* after the magic number */

enum { /* options, and message types */
	GUARD_OPT_REQUESTED = 50,
	GUARD_OPT_LEASE = 51,
	GUARD_OPT_OVERLOAD = 52,
	GUARD_OPT_TYPE = 53,
	GUARD_OPT_CID = 61,
	GUARD_OPT_END = 255,
	GUARD_DHCP_REQUEST = 3,
	GUARD_DHCP_DECLINE = 4,
	GUARD_DHCP_ACK = 5,
	GUARD_DHCP_RELEASE = 7,
};

struct guard_dhcp4_options {
	__u32 type, lease, requested;
	__u32 cid_off, cid_len, ncids;
	__u32 overload; /* options elsewhere, too */
	__u32 broken; /* no end was found */
};
struct guard_dhcp4 {
	__u8 h[8]; /* operation, address's type and length, hops, xid */
	__u8 ip[8]; /* the client's and "your" */
	__u8 chaddr[6];
	struct guard_dhcp4_options o;
};

GUARD_GLOBAL int
guard_dhcp4_option(guard_source *from, struct guard_dhcp4_options *o,
    __u32 code, __u32 off, __u32 len)
{
	__u8 v[4] = { 0 };

	if (o == NULL)
		return 0;
	if (code == GUARD_OPT_CID) {
		o->cid_off = off;
		o->cid_len = len;
		o->ncids++;
	} else if (code == GUARD_OPT_OVERLOAD)
		o->overload++;
	else if (code == GUARD_OPT_TYPE && len == 1) {
		if (guard_load(from, off, v, 1) == 0)
			o->type = v[0];
	} else if (code == GUARD_OPT_LEASE && len == 4) {
		if (guard_load(from, off, v, 4) == 0)
			o->lease = guard_be32(v);
	} else if (code == GUARD_OPT_REQUESTED && len == 4) {
		if (guard_load(from, off, v, 4) == 0)
			o->requested = guard_be32(v);
	}
	return 0;
}

GUARD_STEP
guard_step_options4(__u32 i, void *arg)
{
	struct guard_walk *w = arg;
	__u8 h[2] = { 0 };

	if (w->off >= w->end || guard_load(w->from, w->off, h, 1) < 0)
		return 1;
	if (h[0] == GUARD_OPT_END) {
		w->off = w->end;
		return 1;
	}
	w->off++;
	if (h[0] == 0)
		return 0;
	if (w->off >= w->end || guard_load(w->from, w->off, h + 1, 1) < 0 ||
	    w->off + 1 + h[1] > w->end)
		return 1;
	guard_dhcp4_option(w->from, w->to, h[0], w->off + 1, h[1]);
	w->off += 1 + h[1];
	return 0;
}

GUARD_GLOBAL int
guard_read_options4(
    guard_source *from, __u32 off, __u32 end, struct guard_dhcp4_options *o)
{
	struct guard_walk w = {
		.from = from,
		.to = o,
		.off = off,
		.end = end,
	};

	if (o == NULL)
		return 0;
	guard_loop(GUARD_OPTIONS_MAX, guard_step_options4, &w);
	o->broken = w.off != end;
	return 0;
}

/* off: behind UDP's header. Negative: too short for a BOOTP message. */
GUARD_INLINE int
guard_read_dhcp4(
    guard_source *from, __u32 off, __u32 end, struct guard_dhcp4 *m)
{
	__u8 magic[4];

	if (off + GUARD_BOOTP_LEN > end ||
	    guard_load(from, off, m->h, sizeof(m->h)) < 0 ||
	    guard_load(from, off + 12, m->ip, sizeof(m->ip)) < 0 ||
	    guard_load(from, off + 28, m->chaddr, sizeof(m->chaddr)) < 0)
		return -1;
	/* without the magic number it is BOOTP, which has no options */
	if (off + GUARD_DHCP4_OPTIONS <= end &&
	    guard_load(from, off + GUARD_BOOTP_LEN, magic, 4) == 0 &&
	    guard_be32(magic) == 0x63825363)
		guard_read_options4(
		    from, off + GUARD_DHCP4_OPTIONS, end, &m->o);
	return 0;
}

GUARD_INLINE int
guard_foreign_chaddr(
    const struct guard_config *cfg, const struct guard_dhcp4 *m)
{
	return m->h[2] == 6 && !guard_same_mac(m->chaddr, cfg->mac);
}

/*
 * Whether what the guest sends is of another client. Ids are joined when an
 * option comes twice (RFC 3396), so two are an id that nobody compared.
 */
GUARD_INLINE int
guard_dhcp4_spoofs(guard_source *from, const struct guard_config *cfg,
    const struct guard_dhcp4 *m)
{
	__u32 off = m->o.cid_off, len = m->o.cid_len;

	if (guard_foreign_chaddr(cfg, m))
		return 1;
	if (m->h[0] == 2 && guard_has(cfg, LINK_PROTECT_STRICT))
		return 1;
	if (cfg->any_cid)
		return 0;
	if (m->o.broken || m->o.overload || m->o.ncids > 1)
		return 1;
	return m->o.ncids == 1 && !guard_own_cid4(from, cfg, off, len) &&
	    !guard_listed_cid(from, off, len);
}

/* What the guest says of its addresses. */
GUARD_INLINE void
guard_dhcp4_sent(guard_source *from, const struct guard_dhcp4 *m)
{
	struct guard_pending t = { LINK_DYN_DHCPV4, guard_be32(m->h + 4) };
	struct guard_key key;

	if (m->o.type == GUARD_DHCP_REQUEST)
		guard_pend(from, &t);
	if (m->o.type != GUARD_DHCP_RELEASE && m->o.type != GUARD_DHCP_DECLINE)
		return;
	key = guard_key4(m->o.type == GUARD_DHCP_RELEASE ? guard_be32(m->ip)
							 : m->o.requested);
	guard_learn(from, &key, 0);
}

GUARD_GLOBAL int
guard_dhcp4_from(guard_source *from, __u32 off, __u32 end)
{
	const struct guard_config *cfg = guard_config_of(from);
	struct guard_dhcp4 m = { 0 };
	int protects;

	if (cfg == NULL)
		return LINK_DROP_CLOSED;
	protects = guard_has(cfg, LINK_PROTECT_DHCP);
	if (!protects && !guard_learns(cfg, LINK_DYN_DHCPV4))
		return GUARD_PASS;
	if (guard_read_dhcp4(from, off, end, &m) < 0)
		return protects ? LINK_DROP_DHCP : GUARD_PASS;
	if (protects && guard_dhcp4_spoofs(from, cfg, &m))
		return LINK_DROP_DHCP;
	if (guard_learns(cfg, LINK_DYN_DHCPV4))
		guard_dhcp4_sent(from, &m);
	return GUARD_PASS;
}

/* Seconds from now, for ever if they are all ones. */
GUARD_INLINE __u64
guard_until(__u32 seconds)
{
	return seconds == 0xffffffff ? ~0ull
				     : guard_now() + seconds * 1000000000ull;
}

/* A server's ACK to what the guest asked: the address is the link's. */
GUARD_GLOBAL int
guard_dhcp4_to(guard_source *from, __u32 off, __u32 end)
{
	const struct guard_config *cfg = guard_config_of(from);
	struct guard_pending t = { .method = LINK_DYN_DHCPV4 };
	struct guard_dhcp4 m = { 0 };
	struct guard_key key;
	__u64 began;

	if (cfg == NULL || guard_read_dhcp4(from, off, end, &m) < 0 ||
	    m.h[0] != 2 || m.h[2] != 6 || guard_foreign_chaddr(cfg, &m) ||
	    m.o.type != GUARD_DHCP_ACK || m.o.lease == 0)
		return 0;
	t.xid = guard_be32(m.h + 4);
	began = guard_pending(from, &t);
	if (began == 0 || guard_now() - began > GUARD_PENDING_NS)
		return 0;
	key = guard_key4(guard_be32(m.ip + 4));
	guard_learn(from, &key, guard_until(m.o.lease));
	return 0;
}

/* --- DHCPv6 */

enum { /* options, and message types */
	GUARD_OPT6_CLIENTID = 1,
	GUARD_OPT6_IA_NA = 3,
	GUARD_OPT6_IA_TA = 4,
	GUARD_OPT6_IAADDR = 5,
	GUARD_DHCP6_SOLICIT = 1,
	GUARD_DHCP6_ADVERTISE = 2,
	GUARD_DHCP6_REQUEST = 3,
	GUARD_DHCP6_CONFIRM = 4,
	GUARD_DHCP6_RENEW = 5,
	GUARD_DHCP6_REBIND = 6,
	GUARD_DHCP6_REPLY = 7,
	GUARD_DHCP6_RELEASE = 8,
	GUARD_DHCP6_DECLINE = 9,
	GUARD_DHCP6_RECONFIGURE = 10,
	GUARD_DHCP6_RELAY_FORW = 12,
	GUARD_DHCP6_RELAY_REPL = 13,
};

/* One option's head, code and length in 16 bits each; negative: it is cut. */
GUARD_GLOBAL long
guard_option6(guard_source *from, __u32 off, __u32 end)
{
	__u8 h[4];

	if (off + 4 > end || guard_load(from, off, h, 4) < 0 ||
	    off + 4 + guard_be16(h + 2) > end)
		return -1;
	return guard_be32(h);
}

GUARD_STEP
guard_step_duid(__u32 i, void *arg)
{
	struct guard_walk *w = arg;
	__u32 code, len;
	long head;

	if (w->off >= w->end)
		return 1;
	head = guard_option6(w->from, w->off, w->end);
	code = head >> 16 & 0xffff;
	len = head & 0xffff;
	if (head < 0) {
		w->bad = 1;
		return 1;
	}
	w->off += 4;
	if (code == GUARD_OPT6_CLIENTID) {
		if (w->found != 0 || !guard_is_duid(w->from, w->off, len))
			w->bad = 1;
		w->found = 1;
	}
	w->off += len;
	return w->bad != 0;
}

/* The message's client, in its outer options, is not the link. */
GUARD_GLOBAL int
guard_foreign_duid(guard_source *from, __u32 off, __u32 end)
{
	const struct guard_config *cfg = guard_config_of(from);
	struct guard_walk w = { .from = from, .off = off, .end = end };

	if (cfg == NULL)
		return 1;
	w.found = w.bad = guard_zero(cfg);
	guard_loop(GUARD_OPTIONS_MAX, guard_step_duid, &w);
	return w.bad != 0 || w.off != end;
}

GUARD_STEP
guard_step_ia(__u32 i, void *arg)
{
	struct guard_walk *w = arg;
	long head = guard_option6(w->from, w->off, w->end);
	__u32 code = head >> 16 & 0xffff, len = head & 0xffff, valid;
	struct guard_key key;
	__u8 h[24];

	if (head < 0)
		return 1;
	if (code == GUARD_OPT6_IAADDR && len >= 24 &&
	    guard_load(w->from, w->off + 4, h, 24) == 0) {
		key = guard_key6(LINK_DYN_DHCPV6, guard_be128(h));
		valid = guard_be32(h + 20);
		guard_learn(w->from, &key,
		    w->arg || valid == 0 ? 0 : guard_until(valid));
	}
	w->off += 4 + len;
	return 0;
}

/* The addresses of one association: learned while valid, or forgotten. */
GUARD_GLOBAL int
guard_learn_ia(guard_source *from, __u32 off, __u32 end, __u32 forget)
{
	struct guard_walk w = {
		.from = from,
		.off = off,
		.end = end,
		.arg = forget,
	};

	guard_loop(GUARD_OPTIONS_MAX / 4, guard_step_ia, &w);
	return 0;
}

GUARD_STEP
guard_step_reply6(__u32 i, void *arg)
{
	struct guard_walk *w = arg;
	long head = guard_option6(w->from, w->off, w->end);
	__u32 code = head >> 16 & 0xffff, len = head & 0xffff;
	__u32 fixed = code == GUARD_OPT6_IA_NA ? 12 : 4;

	if (head < 0)
		return 1;
	w->off += 4;
	if ((code == GUARD_OPT6_IA_NA || code == GUARD_OPT6_IA_TA) &&
	    len >= fixed)
		guard_learn_ia(w->from, w->off + fixed, w->off + len, w->arg);
	w->off += len;
	return 0;
}

/* Those of a message, in its associations for (temporary) addresses. */
GUARD_GLOBAL int
guard_learn_reply6(guard_source *from, __u32 off, __u32 end, __u32 forget)
{
	struct guard_walk w = {
		.from = from,
		.off = off,
		.end = end,
		.arg = forget,
	};

	guard_loop(GUARD_OPTIONS_MAX, guard_step_reply6, &w);
	return 0;
}

GUARD_INLINE int
guard_dhcp6_spoofs(guard_source *from, const struct guard_config *cfg,
    __u32 type, __u32 off, __u32 end)
{
	if (type == GUARD_DHCP6_ADVERTISE || type == GUARD_DHCP6_REPLY ||
	    type == GUARD_DHCP6_RECONFIGURE)
		return guard_has(cfg, LINK_PROTECT_STRICT);
	/* another client's message in an envelope */
	if (type == GUARD_DHCP6_RELAY_FORW || type == GUARD_DHCP6_RELAY_REPL)
		return 1;
	return guard_has(cfg, LINK_PROTECT_DHCP) && !cfg->any_cid &&
	    guard_foreign_duid(from, off, end);
}

GUARD_INLINE void
guard_dhcp6_sent(
    guard_source *from, __u32 type, __u32 xid, __u32 off, __u32 end)
{
	struct guard_pending t = { LINK_DYN_DHCPV6, xid };

	if (type == GUARD_DHCP6_SOLICIT || type == GUARD_DHCP6_REQUEST ||
	    type == GUARD_DHCP6_RENEW || type == GUARD_DHCP6_REBIND)
		guard_pend(from, &t);
	if (type == GUARD_DHCP6_RELEASE || type == GUARD_DHCP6_DECLINE)
		guard_learn_reply6(from, off, end, 1);
}

GUARD_GLOBAL int
guard_dhcp6_from(guard_source *from, __u32 off, __u32 end)
{
	const struct guard_config *cfg = guard_config_of(from);
	int protects;
	__u8 h[4];

	if (cfg == NULL)
		return LINK_DROP_CLOSED;
	protects = guard_has(cfg, LINK_PROTECT_DHCP | LINK_PROTECT_STRICT);
	if (!protects && !guard_learns(cfg, LINK_DYN_DHCPV6))
		return GUARD_PASS;
	if (off + 4 > end || guard_load(from, off, h, 4) < 0)
		return protects ? LINK_DROP_DHCP6 : GUARD_PASS;
	if (protects && guard_dhcp6_spoofs(from, cfg, h[0], off + 4, end))
		return LINK_DROP_DHCP6;
	if (guard_learns(cfg, LINK_DYN_DHCPV6))
		guard_dhcp6_sent(
		    from, h[0], guard_be32(h) & 0xffffff, off + 4, end);
	return GUARD_PASS;
}

/* A server's answer, to the link alone. */
GUARD_GLOBAL int
guard_dhcp6_to(guard_source *from, __u32 off, __u32 end)
{
	struct guard_pending t = { .method = LINK_DYN_DHCPV6 };
	__u64 began;
	__u8 h[4];

	if (off + 4 > end || guard_load(from, off, h, 4) < 0 ||
	    h[0] != GUARD_DHCP6_REPLY)
		return 0;
	t.xid = guard_be32(h) & 0xffffff;
	began = guard_pending(from, &t);
	if (began != 0 && guard_now() - began <= GUARD_PENDING_NS)
		guard_learn_reply6(from, off + 4, end, 0);
	return 0;
}

#endif
