/*
 * Reading a frame, for the guard: where its headers are and what they say.
 * Compiled twice, into the BPF program (guard.bpf.c) and for user space
 * (guard_user.h), which differ in what is below "The includer
 * defines". Nothing is believed that was not read: every header is loaded at a
 * checked offset into a buffer of its own, and a datagram ends where its own
 * length says, so that nothing hides in padding.
 *
 * Loops have constant bounds, for the verifier; what exceeds them cannot be
 * seen through and is dropped by whoever asked.
 */
#ifndef LINK_GUARD_FRAME_H
#define LINK_GUARD_FRAME_H

#include <stddef.h>

#include "link/guard_abi.h"

#define GUARD_PASS (-1) /* else one of enum link_drop */

#define GUARD_INLINE static inline __attribute__((always_inline, unused))
/*
 * One that the verifier looks at once, by itself, and not again for each way
 * that leads there. It gets numbers, the source, and memory that may be NULL.
 */
#ifdef __bpf__
#define GUARD_GLOBAL __attribute__((noinline))
typedef struct __sk_buff guard_source;
#else
#define GUARD_GLOBAL static __attribute__((unused))
typedef struct guard_user guard_source;
#endif
/* One step of guard_loop(); nonzero ends it. */
#define GUARD_STEP static __attribute__((noinline, unused)) long

struct guard_frame {
	const struct guard_config *cfg;
	guard_source *from;
	__u32 len; /* in bytes, with the Ethernet header, without a tag */
	__u32 tagged; /* a tag that is not among the bytes: 0, or its type */
	__u32 vid;
	__u32 l3; /* offset of the network header, 0 until known */
	__u32 type;
	__u8 dst[6], src[6];
	__u8 h[20]; /* the header that is read; the stack is small */
};

/*
 * The includer defines:
 *   guard_loop     calls step(i, arg) for i from 0, at most n times; the
 *                  verifier then looks at one step, not at n. Kernels before
 *                  6.7 believe that there is only one: what a step leaves for
 *                  the next one, or for who comes behind, begins with
 *                  guard_zero(), so that nothing is known of it
 *   guard_zero     0, which the verifier does not know
 *   guard_load     n bytes at off; negative when the frame has not got them
 *   guard_config_of  the configuration, NULL: none
 *   guard_now      boot time, ns
 *   guard_learned  until when, 0: never
 *   guard_learn    until 0: forget it
 *   guard_pend     a transaction begins now
 *   guard_pending  when it began, which ends it; 0: it did not
 */
struct guard_walk;
GUARD_INLINE void
guard_loop(__u32 n, long (*step)(__u32 i, void *arg), struct guard_walk *arg);
GUARD_INLINE __u32 guard_zero(const struct guard_config *cfg);
GUARD_INLINE long guard_load(guard_source *from, __u32 off, void *to, __u32 n);
GUARD_INLINE const struct guard_config *guard_config_of(guard_source *from);
GUARD_INLINE __u64 guard_now(void);
GUARD_INLINE __u64 guard_learned(
    guard_source *from, const struct guard_key *key);
GUARD_INLINE void
guard_learn(guard_source *from, const struct guard_key *key, __u64 until);
GUARD_INLINE void guard_pend(guard_source *from, const struct guard_pending *t);
GUARD_INLINE __u64 guard_pending(
    guard_source *from, const struct guard_pending *t);

enum { /* EtherTypes (IEEE), protocols (IANA) */
	GUARD_IPV4 = 0x0800,
	GUARD_ARP = 0x0806,
	GUARD_IPV6 = 0x86dd,
	GUARD_8021Q = 0x8100,
	GUARD_8021AD = 0x88a8,
	GUARD_HOPOPTS = 0,
	GUARD_TCP = 6,
	GUARD_UDP = 17,
	GUARD_ROUTING = 43,
	GUARD_FRAGMENT = 44,
	GUARD_AH = 51,
	GUARD_ICMP6 = 58,
	GUARD_DSTOPTS = 60,
};

#define GUARD_ETH_LEN 14
#define GUARD_IP4_LEN 20
#define GUARD_IP6_LEN 40
#define GUARD_EXT_MAX 8 /* extension headers */

GUARD_INLINE __u32
guard_be16(const __u8 *p)
{
	return (__u32)p[0] << 8 | p[1];
}

GUARD_INLINE __u32
guard_be32(const __u8 *p)
{
	return guard_be16(p) << 16 | guard_be16(p + 2);
}

GUARD_INLINE struct guard_addr6
guard_be128(const __u8 *p)
{
	return (struct guard_addr6){
		(__u64)guard_be32(p) << 32 | guard_be32(p + 4),
		(__u64)guard_be32(p + 8) << 32 | guard_be32(p + 12),
	};
}

GUARD_INLINE int
guard_same_mac(const __u8 *a, const __u8 *b)
{
	return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) |
		   (a[4] ^ b[4]) | (a[5] ^ b[5])) == 0;
}

GUARD_INLINE int
guard_has(const struct guard_config *cfg, __u32 protect)
{
	return (cfg->protect & protect) != 0;
}

GUARD_INLINE int
guard_learns(const struct guard_config *cfg, __u32 methods)
{
	return (cfg->dynamic & methods) != 0;
}

/* Options of a message, one after the other, by guard_loop(). */
struct guard_walk {
	guard_source *from;
	const struct guard_config *cfg;
	void *to; /* what is read goes there */
	__u32 off, end;
	__u32 arg;
	__u32 found, bad; /* begin with guard_zero() */
};

/* What follows a network header. */
struct guard_l4 {
	__u32 proto;
	__u32 off, end; /* within the frame */
	__u32 part; /* of a datagram */
};
enum { GUARD_WHOLE, GUARD_FIRST, GUARD_LATER }; /* part */

struct guard_ip4 {
	struct guard_l4 l4;
	__u32 src, dst;
};
struct guard_ip6 {
	struct guard_l4 l4;
	__u32 hops;
	struct guard_addr6 src, dst;
};

/* Ethernet; a tag among the bytes is not looked behind. */
GUARD_INLINE int
guard_read_ethernet(struct guard_frame *f)
{
	__u8 *h = f->h;

	if (guard_load(f->from, 0, h, GUARD_ETH_LEN) < 0)
		return LINK_DROP_MALFORMED;
	__builtin_memcpy(f->dst, h, 6);
	__builtin_memcpy(f->src, h + 6, 6);
	f->type = guard_be16(h + 12);
	f->l3 = GUARD_ETH_LEN;
	return GUARD_PASS;
}

/* RFC 791. */
GUARD_INLINE int
guard_read_ip4(struct guard_frame *f, struct guard_ip4 *ret)
{
	__u32 len, total, frag;
	__u8 *h = f->h;

	if (guard_load(f->from, f->l3, h, GUARD_IP4_LEN) < 0)
		return LINK_DROP_MALFORMED;
	len = (h[0] & 15) * 4;
	total = guard_be16(h + 2);
	frag = guard_be16(h + 6);
	if (h[0] >> 4 != 4 || len < GUARD_IP4_LEN || total < len ||
	    f->len < f->l3 + total)
		return LINK_DROP_MALFORMED;
	ret->src = guard_be32(h + 12);
	ret->dst = guard_be32(h + 16);
	ret->l4.proto = h[9];
	ret->l4.off = f->l3 + len;
	ret->l4.end = f->l3 + total;
	ret->l4.part = (frag & 0x1fff) != 0 ? GUARD_LATER
	    : (frag & 0x2000) != 0          ? GUARD_FIRST
					    : GUARD_WHOLE;
	return GUARD_PASS;
}

/*
 * The extension headers (RFC 8200 section 4) from off, of type 'proto'. One
 * that is cut is as malformed in a first fragment, which must have them all
 * (RFC 7112). Returns where it ended, the type and the part; 0: malformed.
 */
#define GUARD_AT(off, proto, part) \
	((__u64)(off) << 16 | (__u64)(proto) << 8 | (part))

GUARD_GLOBAL __u64
guard_skip_extensions(guard_source *from, __u32 off, __u32 end, __u32 proto)
{
	__u32 part = GUARD_WHOLE;
	__u8 h[8];

	for (__u32 i = 0; i < GUARD_EXT_MAX; i++) {
		__u32 p = proto;

		if (p != GUARD_HOPOPTS && p != GUARD_ROUTING &&
		    p != GUARD_DSTOPTS && p != GUARD_AH && p != GUARD_FRAGMENT)
			return GUARD_AT(off, p, part);
		if (off + 8 > end || guard_load(from, off, h, sizeof(h)) < 0)
			return 0;
		proto = h[0];
		if (p == GUARD_FRAGMENT) {
			off += 8;
			if (guard_be16(h + 2) >> 3 != 0)
				return GUARD_AT(off, proto, GUARD_LATER);
			/* one that is alone counts as first: RFC 6980 */
			part = GUARD_FIRST;
		} else if (p == GUARD_AH)
			off += (h[1] + 2u) * 4;
		else
			off += (h[1] + 1u) * 8;
		if (off > end)
			return 0;
	}
	return 0;
}

/* RFC 8200. A length of 0 (a jumbogram's, RFC 2675) is the frame's rest. */
GUARD_INLINE int
guard_read_ip6(struct guard_frame *f, struct guard_ip6 *ret)
{
	__u8 *h = f->h, proto;
	__u32 len;
	__u64 at;

	if (guard_load(f->from, f->l3 + 8, h, 16) < 0)
		return LINK_DROP_MALFORMED;
	ret->src = guard_be128(h);
	if (guard_load(f->from, f->l3 + 24, h, 16) < 0)
		return LINK_DROP_MALFORMED;
	ret->dst = guard_be128(h);
	if (guard_load(f->from, f->l3, h, 8) < 0)
		return LINK_DROP_MALFORMED;
	len = guard_be16(h + 4);
	proto = h[6];
	ret->hops = h[7];
	ret->l4.end = len != 0 ? f->l3 + GUARD_IP6_LEN + len : f->len;
	if (h[0] >> 4 != 6 || f->len < ret->l4.end)
		return LINK_DROP_MALFORMED;
	at = guard_skip_extensions(
	    f->from, f->l3 + GUARD_IP6_LEN, ret->l4.end, proto);
	ret->l4.off = (__u32)(at >> 16);
	ret->l4.proto = at >> 8 & 0xff;
	ret->l4.part = at & 0xff;
	return at != 0 ? GUARD_PASS : LINK_DROP_MALFORMED;
}

/*
 * Source and destination port. A header that is not whole is malformed, in a
 * first fragment (of at least 8 bytes) too.
 */
GUARD_INLINE int
guard_read_ports(struct guard_frame *f, const struct guard_l4 *l4, __u32 *sport,
    __u32 *dport)
{
	__u32 need = l4->proto == GUARD_TCP && l4->part == GUARD_WHOLE ? 20 : 8;
	__u8 *h = f->h;

	if (l4->off + need > l4->end || guard_load(f->from, l4->off, h, 4) < 0)
		return LINK_DROP_MALFORMED;
	*sport = guard_be16(h);
	*dport = guard_be16(h + 2);
	return GUARD_PASS;
}

/* Whether the link may use an address. */

GUARD_INLINE int
guard_allowed4(const struct guard_config *cfg, __u32 addr)
{
	for (__u32 i = 0; i < LINK_ALLOWED_MAX && i < cfg->n4; i++)
		if (((addr ^ cfg->v4[i].addr) & cfg->v4[i].mask) == 0)
			return 1;
	return 0;
}

GUARD_INLINE int
guard_allowed6(const struct guard_config *cfg, __u64 high, __u64 low)
{
	for (__u32 i = 0; i < LINK_ALLOWED_MAX && i < cfg->n6; i++) {
		const struct guard_net6 *n = &cfg->v6[i];

		if ((((high ^ n->addr.high) & n->mask.high) |
			((low ^ n->addr.low) & n->mask.low)) == 0)
			return 1;
	}
	return 0;
}

GUARD_INLINE struct guard_key
guard_key4(__u32 addr)
{
	struct guard_key key = { .method = LINK_DYN_DHCPV4 };

	for (int i = 0; i < 4; i++)
		key.addr[12 + i] = (__u8)(addr >> (24 - 8 * i));
	return key;
}

GUARD_INLINE struct guard_key
guard_key6(__u32 method, struct guard_addr6 a)
{
	struct guard_key key = { .method = method };

	for (int i = 0; i < 8; i++) {
		key.addr[i] = (__u8)(a.high >> (56 - 8 * i));
		key.addr[8 + i] = (__u8)(a.low >> (56 - 8 * i));
	}
	return key;
}

GUARD_INLINE int
guard_is_learned(guard_source *from, const struct guard_key *key)
{
	__u64 until = guard_learned(from, key);

	return until != 0 && until > guard_now();
}

GUARD_GLOBAL int
guard_own4(guard_source *from, __u32 addr)
{
	const struct guard_config *cfg = guard_config_of(from);
	struct guard_key key;

	if (cfg == NULL)
		return 0;
	if (guard_allowed4(cfg, addr))
		return 1;
	if (!guard_learns(cfg, LINK_DYN_DHCPV4))
		return 0;
	key = guard_key4(addr);
	return guard_is_learned(from, &key);
}

GUARD_GLOBAL int
guard_own6(guard_source *from, __u64 high, __u64 low)
{
	const struct guard_config *cfg = guard_config_of(from);
	struct guard_key key;

	if (cfg == NULL)
		return 0;
	if ((high == cfg->linklocal.high && low == cfg->linklocal.low) ||
	    guard_allowed6(cfg, high, low))
		return 1;
	key = guard_key6(LINK_DYN_DHCPV6, (struct guard_addr6){ high, low });
	if (guard_learns(cfg, LINK_DYN_DHCPV6) && guard_is_learned(from, &key))
		return 1;
	key.method = LINK_DYN_SLAAC;
	return guard_learns(cfg, LINK_DYN_SLAAC) &&
	    guard_is_learned(from, &key);
}

/* As a source: :: as well, which asks whether an address is free. */
GUARD_INLINE int
guard_may_send6(guard_source *from, struct guard_addr6 a)
{
	return (a.high | a.low) == 0 || guard_own6(from, a.high, a.low);
}

#endif
