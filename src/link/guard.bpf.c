/*
 * The guard as a pair of BPF programs in a tap's hooks. Each tap has an
 * instance of its own, with maps of its own, none of which is pinned: they live
 * exactly as long as the filters do, and those as long as the interface.
 *
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "link/guard_rules.h"

char guard_license[] SEC("license") = "Dual BSD/GPL";

/* One slot: another configuration takes the place of the last at once. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(
	    values, struct {
		    __uint(type, BPF_MAP_TYPE_ARRAY);
		    __uint(max_entries, 1);
		    __uint(key_size, sizeof(__u32));
		    __uint(value_size, sizeof(struct guard_config));
	    });
} guard_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard_counts);
} guard_counts SEC(".maps");

/* Of each direction, by enum way. */
struct guard_state {
	struct bpf_spin_lock lock;
	__u32 spare;
	__u64 sold; /* guard_in_rate() */
	__u64 told; /* when the last event was sent */
};
enum way { FROM_GUEST, TO_GUEST, WAYS };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WAYS);
	__type(key, __u32);
	__type(value, struct guard_state);
} guard_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GUARD_LEARNED_MAX);
	__type(key, struct guard_key);
	__type(value, __u64);
} guard_learned_m SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GUARD_PENDING_MAX);
	__type(key, struct guard_pending);
	__type(value, __u64);
} guard_pending_m SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} guard_events SEC(".maps");

GUARD_INLINE void
guard_loop(__u32 n, long (*step)(__u32 i, void *arg), struct guard_walk *arg)
{
	bpf_loop(n, step, arg, 0);
}

GUARD_INLINE __u32
guard_zero(const struct guard_config *cfg)
{
	return cfg->spare;
}

GUARD_INLINE long
guard_load(guard_source *from, __u32 off, void *to, __u32 n)
{
	return bpf_skb_load_bytes(from, off, to, n);
}

GUARD_INLINE __u64
guard_now(void)
{
	return bpf_ktime_get_boot_ns();
}

GUARD_INLINE __u64
guard_learned(guard_source *from, const struct guard_key *key)
{
	__u64 *until = bpf_map_lookup_elem(&guard_learned_m, key);

	return until != NULL ? *until : 0;
}

GUARD_INLINE void
guard_learn(guard_source *from, const struct guard_key *key, __u64 until)
{
	if (until == 0)
		bpf_map_delete_elem(&guard_learned_m, key);
	else
		bpf_map_update_elem(&guard_learned_m, key, &until, BPF_ANY);
}

GUARD_INLINE void
guard_pend(guard_source *from, const struct guard_pending *t)
{
	__u64 now = guard_now();

	bpf_map_update_elem(&guard_pending_m, t, &now, BPF_ANY);
}

GUARD_INLINE __u64
guard_pending(guard_source *from, const struct guard_pending *t)
{
	__u64 *p = bpf_map_lookup_elem(&guard_pending_m, t), began;

	if (p == NULL)
		return 0;
	began = *p;
	bpf_map_delete_elem(&guard_pending_m, t);
	return began;
}

GUARD_INLINE const struct guard_config *
guard_config_of(guard_source *from)
{
	__u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&guard_config, &zero);
	const struct guard_config *cfg;

	/* used, or the compiler would not pass it to global functions */
	__asm__ volatile("" : : "r"(from));
	if (inner == NULL)
		return NULL;
	cfg = bpf_map_lookup_elem(inner, &zero);
	return cfg != NULL && cfg->version == GUARD_CONFIG_VERSION ? cfg : NULL;
}

GUARD_INLINE int
in_rate(const struct guard_config *cfg, __u32 way, __u32 len)
{
	struct guard_state *s;
	__u64 now;
	int ok;

	if (cfg->maxbw == 0)
		return 1;
	s = bpf_map_lookup_elem(&guard_state, &way);
	if (s == NULL)
		return 0;
	now = guard_now();
	bpf_spin_lock(&s->lock);
	ok = guard_in_rate(cfg, &s->sold, len, now);
	bpf_spin_unlock(&s->lock);
	return ok;
}

/* Tell who waits, once in a second for both directions. */
GUARD_INLINE void
tell(__u32 reason)
{
	struct guard_event e = { .when = guard_now(), .reason = reason };
	__u32 zero = 0, mine = 0;
	struct guard_state *s = bpf_map_lookup_elem(&guard_state, &zero);

	if (s == NULL || e.when - s->told < 1000000000ull)
		return;
	bpf_spin_lock(&s->lock);
	if (e.when - s->told >= 1000000000ull) {
		s->told = e.when;
		mine = 1;
	}
	bpf_spin_unlock(&s->lock);
	if (mine)
		bpf_ringbuf_output(&guard_events, &e, sizeof(e), 0);
}

GUARD_INLINE int
drop(__u32 reason)
{
	__u32 zero = 0;
	struct guard_counts *c = bpf_map_lookup_elem(&guard_counts, &zero);

	/* checked in the register that is used */
	__asm__ volatile("" : "+r"(reason));
	if (c != NULL && reason < LINK_DROP_COUNT)
		c->drops[reason]++;
	tell(reason);
	return TC_ACT_SHOT;
}

GUARD_INLINE int
pass(enum way way, struct __sk_buff *skb, __u32 len)
{
	__u32 zero = 0, n = skb->gso_segs > 1 ? skb->gso_segs : 1;
	struct guard_counts *c = bpf_map_lookup_elem(&guard_counts, &zero);

	if (c == NULL)
		return TC_ACT_SHOT;
	if (way == FROM_GUEST) {
		c->sent += n;
		c->sent_bytes += len;
	} else {
		c->received += n;
		c->received_bytes += len;
	}
	return TC_ACT_OK;
}

GUARD_INLINE void
frame_of(
    struct guard_frame *f, struct __sk_buff *skb, const struct guard_config *c)
{
	f->cfg = c;
	f->from = skb;
	f->len = skb->len;
	if (skb->vlan_present) {
		f->tagged = bpf_ntohs(skb->vlan_proto);
		f->vid = skb->vlan_tci & 0xfff;
	}
}

SEC("tc")
int
guard_from(struct __sk_buff *skb)
{
	const struct guard_config *cfg = guard_config_of(skb);
	struct guard_frame f = { 0 };
	int why;

	if (cfg == NULL)
		return drop(LINK_DROP_CLOSED);
	frame_of(&f, skb, cfg);
	why = guard_from_guest(&f);
	if (why != GUARD_PASS)
		return drop((__u32)why);
	if (!in_rate(cfg, FROM_GUEST, f.len))
		return drop(LINK_DROP_RATE);
	/* its own tag goes: the priority is not the guest's to choose */
	if (f.tagged != 0 && bpf_skb_vlan_pop(skb) < 0)
		return drop(LINK_DROP_VLAN);
	if (cfg->vlan != 0 &&
	    bpf_skb_vlan_push(skb, bpf_htons(GUARD_8021Q), cfg->vlan) < 0)
		return drop(LINK_DROP_VLAN);
	return pass(FROM_GUEST, skb, f.len);
}

/*
 * A tag can be among the bytes here, of a frame that the host made. Taken off
 * first, for the kernel keeps one of two aside then.
 */
SEC("tc")
int
guard_to(struct __sk_buff *skb)
{
	const struct guard_config *cfg = guard_config_of(skb);
	struct guard_frame f = { 0 };
	__u8 type[4];
	int why;

	if (cfg == NULL)
		return drop(LINK_DROP_CLOSED);
	frame_of(&f, skb, cfg);
	if (f.tagged == 0 && bpf_skb_load_bytes(skb, 12, type, 4) == 0 &&
	    guard_be16(type) == GUARD_8021Q) {
		f.tagged = GUARD_8021Q;
		f.vid = guard_be16(type + 2) & 0xfff;
		if (bpf_skb_vlan_pop(skb) < 0 || skb->vlan_present)
			return drop(LINK_DROP_VLAN_IN);
		f.len = skb->len;
	} else if (f.tagged != 0 && f.vid == cfg->vlan) {
		if (bpf_skb_vlan_pop(skb) < 0 || skb->vlan_present)
			return drop(LINK_DROP_VLAN_IN);
		f.len = skb->len;
	}
	why = guard_to_guest(&f);
	if (why != GUARD_PASS)
		return drop((__u32)why);
	if (!in_rate(cfg, TO_GUEST, f.len))
		return drop(LINK_DROP_RATE);
	return pass(TO_GUEST, skb, f.len);
}
