/*
 * The guard on a real tap: the table of frames, frames by chance, queues, tags,
 * limits, and who is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/fd.h"
#include "base/str.h"
#include "frames.h"
#include "link/guard_impl.h"
#include "link/nft_learn.h"
#include "rig.h"
#include "tap.h"

/* --- the table */

struct rig {
	struct wire wire;
	enum link_guard_kind kind;
	bool settle; /* into the kernel's best hooks */
	unsigned vlan;
	/* what is looked for */
	uint8_t want[FRAME_MAX + 4];
	size_t nwant;
	unsigned arrived, others;
	const char *hook;
	struct nft_learner *learner; /* of nftables, where a link learns */
};

static const char *
hook_of(const char *ifname)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS,
	    .ifindex = (int)if_nametoindex(ifname));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);

	return bpf_tc_query(&hook, &opts) == 0 ? "clsact" : "tcx";
}

/* As zonelink does it, but that it learns when we say so. */
static void
renew_learner(struct rig *r, const struct link_spec *spec)
{
	struct error err = ERROR_INIT;

	nft_learner_close(r->learner);
	r->learner = NULL;
	if (r->kind != LINK_GUARD_BPF && link_guard_learns(spec) &&
	    nft_learner_open(spec, &r->learner, &err) < 0)
		tap_fail("%s", err.text);
}

static void
rig_begin(void *arg, const struct link_spec *spec)
{
	struct rig *r = arg;

	wire_guard(&r->wire, spec, r->kind);
	if (r->settle)
		link_guard_settle((int)if_nametoindex(spec->name));
	r->vlan = spec->vlan;
	renew_learner(r, spec);
	r->hook = hook_of(spec->name);
}

static void
rig_update(void *arg, const struct link_spec *spec)
{
	struct error err = ERROR_INIT;

	if (link_guard_update(spec, &err) < 0)
		tap_fail("%s", err.text);
	renew_learner(arg, spec);
}

static void
rig_end(void *arg)
{
	struct rig *r = arg;
	struct error err = ERROR_INIT;

	fd_close(&r->wire.guarded);
	if (r->learner != NULL)
		tap_check_int(nft_learner_turn(r->learner), 0);
	nft_learner_close(r->learner);
	r->learner = NULL;
	tap_check_int(link_guard_remove(NAME, &err), 0);
}

static void
rig_wait(void *arg, unsigned seconds)
{
	struct timespec t = { .tv_sec = seconds };

	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
}

/* As it must arrive: with the link's tag outside, without one inside. */
static void
expect(struct rig *r, bool out, const uint8_t *frame, size_t n)
{
	bool tagged = n >= 18 && frame[12] == 0x81 && frame[13] == 0;
	size_t at = 12;

	memcpy(r->want, frame, 12);
	if (out && r->vlan != 0) {
		const uint8_t tag[] = { 0x81, 0, (uint8_t)(r->vlan >> 8),
			(uint8_t)r->vlan };

		memcpy(r->want + 12, tag, 4);
		at += 4;
	}
	memcpy(r->want + at, frame + 12 + (tagged ? 4 : 0),
	    n - 12 - (tagged ? 4 : 0));
	r->nwant = at + n - 12 - (tagged ? 4 : 0);
	r->arrived = r->others = 0;
}

static void
compare(void *arg, const uint8_t *frame, size_t n)
{
	struct rig *r = arg;

	if (n == r->nwant && memcmp(frame, r->want, n) == 0)
		r->arrived++;
	else
		r->others++;
}

/* The one counter that went up by one; -2: not yet. */
static int
verdict(const struct link_counters *a, const struct link_counters *b, bool out)
{
	uint64_t passed = out ? b->sent - a->sent : b->received - a->received;
	int which = passed != 0 ? FRAME_PASS : -2;
	uint64_t sum = passed;

	for (int i = 0; i < LINK_DROP_COUNT; i++) {
		sum += b->drops[i] - a->drops[i];
		if (b->drops[i] != a->drops[i])
			which = i;
	}
	if (sum > 1)
		tap_fail("one frame, counted %d times", (int)sum);
	return which;
}

static void
guest_hears(struct rig *r)
{
	uint8_t buf[FRAME_MAX + 64];
	size_t n;

	while ((n = wire_receive(r->wire.guarded, buf, sizeof(buf))) > 0)
		compare(r, buf, n);
}

static int
rig_send(void *arg, bool out, const uint8_t *frame, size_t n)
{
	struct rig *r = arg;
	struct link_counters before, after;
	int why = -2;

	guest_hears(r); /* marks, and what was flooded */
	counters(&before);
	expect(r, out, frame, n);
	tap_check(wire_send(out ? r->wire.guarded : r->wire.peer, frame, n));
	for (int i = 0; i < WIRE_LIMIT_S * 1000 && why == -2; i++) {
		if (i > 0)
			usleep(1000);
		counters(&after);
		why = verdict(&before, &after, out);
	}
	if (out)
		wire_peer(&r->wire, compare, r);
	else
		guest_hears(r);
	tap_check_int(r->others, 0);
	tap_check_int(r->arrived, why == FRAME_PASS);
	if (r->learner != NULL)
		tap_check_int(nft_learner_turn(r->learner), 1);
	return why;
}

static void
run_table(enum link_guard_kind kind, bool settle, const char *name)
{
	cleanup_free struct rig *r = calloc(1, sizeof(*r));
	const struct frames_ops ops = { name, r, rig_begin, rig_update,
		rig_send, rig_wait, rig_end };
	unsigned n;

	tap_check(r != NULL);
	r->kind = kind;
	r->settle = settle;
	wire_open(&r->wire);
	n = frames_run(&ops);
	if (kind == LINK_GUARD_BPF)
		tap_note("hook: %s", r->hook);
	tap_note("%u frames", n);
	tap_check(n >= 60);
	wire_close(&r->wire);
}

static void
the_table_holds_by_bpf(void)
{
	need_bpf();
	run_table(LINK_GUARD_BPF, true, "bpf");
}

static void
the_table_holds_by_nftables(void)
{
	if (geteuid() != 0)
		tap_skip("root makes taps and filters");
	run_table(LINK_GUARD_NFT, false, "nft");
}

/* In a user namespace of its own bpf(2) is refused, nftables is not. */
static void
without_bpf_there_is_nftables(void)
{
	cleanup_close int fd = -1;

	if (geteuid() != 0)
		tap_skip("root makes taps and filters");
	if (unshare(CLONE_NEWUSER) == -1)
		tap_skip("unshare: %s", strerror(errno));
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	tap_check_int(write(fd, "0 0 1", 5), 5);
	run_table(LINK_GUARD_AUTO, false, "nft");
}

/* As kernels before 6.6 have it, and all at first. */
static void
the_table_holds_in_clsact(void)
{
	need_bpf();
	run_table(LINK_GUARD_BPF, false, "bpf");
}

/* --- by chance */

static uint32_t seed = 1;

static uint32_t
chance(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)(seed >> 8) * n) >> 24);
}

/* One of these, with bytes changed anywhere, one in two at the address.
 */
static size_t
any_frame(uint8_t *frame)
{
	static const char *const words[] = { "ip4 udp zeros=20",
		"ip6 icmp6 type=136 target lladdr", "arp", "vlan vid=5 ip4 udp",
		"ip6 hop dopt udp zeros=9", "next=0x9000 zeros=46" };
	size_t n;

	tap_check(
	    frames_build(words[chance(ARRAY_LEN(words))], true, frame, &n));
	for (uint32_t k = chance(4); k > 0; k--)
		frame[12 + chance((uint32_t)n - 12)] = (uint8_t)chance(256);
	if (chance(2))
		frame[6 + chance(6)] ^= (uint8_t)(1 + chance(255));
	return n;
}

static void
no_foreign_address_gets_out(void)
{
	struct link_counters c;
	struct link_spec spec;
	struct seen seen = { 0 };
	uint8_t frame[FRAME_MAX];
	unsigned foreign = 0;
	struct wire w;

	need_bpf();
	spec_of(&spec, "protect=mac");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	for (int i = 0; i < 20000; i++) {
		size_t n = any_frame(frame);

		foreign += memcmp(frame + 6, frames_me, 6) != 0;
		wire_send(w.guarded, frame, n);
		if (i % 64 == 63)
			wire_peer(&w, look_at_source, &seen);
	}
	wire_peer(&w, look_at_source, &seen);
	counters(&c);
	tap_check_u64(c.drops[LINK_DROP_MAC], foreign);
	tap_check(seen.own > 1000 && foreign > 1000);
	tap_check_int(seen.foreign, 0);
	wire_close(&w);
}

/* --- limits */

static void
more_than_maxbw_is_dropped(void)
{
	struct link_counters c = { 0 };
	uint8_t frame[FRAME_MAX];
	struct link_spec spec;
	struct wire w;
	size_t n;

	need_bpf();
	spec_of(&spec, "protect=mac maxbw=1000");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	for (int way = 0; way < 2; way++) {
		uint64_t drops = c.drops[LINK_DROP_RATE], bytes;

		tap_check(
		    frames_build("ip4 udp zeros=1400", way == 0, frame, &n));
		for (int i = 0; i < 1000 && c.drops[LINK_DROP_RATE] == drops;
		     i++) {
			uint8_t buf[FRAME_MAX];

			wire_send(way == 0 ? w.guarded : w.peer, frame, n);
			while (wire_receive(w.guarded, buf, sizeof(buf)) > 0)
				;
			counters(&c);
		}
		bytes = way == 0 ? c.sent_bytes : c.received_bytes;
		/* what may be ahead; 125 byte/s come to it */
		tap_check(c.drops[LINK_DROP_RATE] > drops);
		tap_check(bytes > 256 * KiB - 2 * n);
		tap_check(bytes < 256 * KiB + WIRE_LIMIT_S * 125);
	}
	wire_close(&w);
}

/* The youngest of more leases than there is room for. */
static void
learned_addresses_are_bounded(void)
{
	uint8_t frame[FRAME_MAX], buf[FRAME_MAX];
	struct link_counters before, after;
	struct link_spec spec;
	char words[512];
	struct wire w;
	size_t n;

	need_bpf();
	spec_of(&spec, "protect=mac,ip,dhcp dynamic=dhcpv4");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	for (unsigned i = 0; i < 1500; i++) {
		str_format(words, sizeof(words),
		    "ip4 src=0.0.0.0 udp sp=68 dp=67 dhcp4 xid=%u "
		    "bytes=350103ff",
		    i);
		tap_check(frames_build(words, true, frame, &n));
		wire_send(w.guarded, frame, n);
		str_format(words, sizeof(words),
		    "ip4 udp sp=67 dp=68 dhcp4 op=2 xid=%u "
		    "yi=10.1.%u.%u "
		    "bytes=350105330400000e10ff",
		    i, i / 250, i % 250);
		tap_check(frames_build(words, false, frame, &n));
		wire_send(w.peer, frame, n);
		while (wire_receive(w.guarded, buf, sizeof(buf)) > 0)
			;
	}
	counters(&before);
	tap_check(frames_build("ip4 src=10.1.5.249 udp", true, frame, &n));
	wire_send(w.guarded, frame, n);
	tap_check(frames_build("ip4 src=10.1.0.0 udp", true, frame, &n));
	wire_send(w.guarded, frame, n);
	counters(&after);
	tap_check_u64(after.sent - before.sent, 1);
	tap_check_u64(
	    after.drops[LINK_DROP_IPV4] - before.drops[LINK_DROP_IPV4], 1);
	wire_close(&w);
}

/* An address of that source passes, or is dropped as another's. */
static bool
may_send_from(struct wire *w, const char *addr)
{
	struct link_counters before, after;
	uint8_t frame[FRAME_MAX];
	char words[64];
	size_t n;

	(void)str_format(words, sizeof(words), "ip4 src=%s udp", addr);
	tap_check(frames_build(words, true, frame, &n));
	counters(&before);
	wire_send(w->guarded, frame, n);
	counters(&after);
	tap_check_u64(after.sent + after.drops[LINK_DROP_IPV4] - before.sent -
		before.drops[LINK_DROP_IPV4],
	    1);
	return after.sent != before.sent;
}

/* A request with these options, and a server's answer to it. */
static void
lease(struct wire *w, unsigned xid, const char *options, const char *addr)
{
	uint8_t frame[FRAME_MAX], buf[FRAME_MAX];
	char words[200];
	size_t n;

	(void)str_format(words, sizeof(words),
	    "ip4 src=0.0.0.0 udp sp=68 dp=67 dhcp4 xid=%u bytes=350103%sff",
	    xid, options);
	tap_check(frames_build(words, true, frame, &n));
	wire_send(w->guarded, frame, n);
	(void)str_format(words, sizeof(words),
	    "ip4 udp sp=67 dp=68 dhcp4 op=2 xid=%u yi=%s "
	    "bytes=350105330400000e10ff",
	    xid, addr);
	tap_check(frames_build(words, false, frame, &n));
	wire_send(w->peer, frame, n);
	while (wire_receive(w->guarded, buf, sizeof(buf)) > 0)
		;
}

/*
 * The rules do not read client ids, but a lease by another's teaches nothing;
 * nor does any when the learner is gone, and what was learned stays.
 */
static void
what_nftables_learns_is_bounded(void)
{
	struct error err = ERROR_INIT;
	struct nft_learner *l;
	struct link_spec spec;
	char addr[32];
	struct wire w;

	if (geteuid() != 0)
		tap_skip("root makes taps and filters");
	spec_of(&spec, "protect=mac,ip,dhcp dynamic=dhcpv4 cid=ff99");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_NFT);
	if (nft_learner_open(&spec, &l, &err) < 0)
		tap_fail("%s", err.text);
	lease(&w, 1, "3d0701020000000077", "10.2.0.1");
	lease(&w, 2, "0000003d03020000", "10.2.0.2");
	lease(&w, 3, "0c01613d0701020820aabbcc", "10.2.0.3");
	lease(&w, 4, "3d02ff99", "10.2.0.4");
	for (int i = 0; i < 4; i++)
		tap_check_int(nft_learner_turn(l), 1);
	tap_check(!may_send_from(&w, "10.2.0.1"));
	tap_check(!may_send_from(&w, "10.2.0.2"));
	tap_check(may_send_from(&w, "10.2.0.3"));
	tap_check(may_send_from(&w, "10.2.0.4"));
	for (unsigned i = 0; i < 600; i++) {
		(void)str_format(
		    addr, sizeof(addr), "10.1.%u.%u", i / 250, i % 250);
		lease(&w, 100 + i, "", addr);
		tap_check_int(nft_learner_turn(l), 1);
	}
	tap_check(may_send_from(&w, addr));
	tap_check(!may_send_from(&w, "10.2.0.3"));
	tap_check(!may_send_from(&w, "10.1.0.87"));
	tap_check(may_send_from(&w, "10.1.0.88"));
	nft_learner_close(l);
	lease(&w, 1000, "", "10.3.0.1");
	tap_check(!may_send_from(&w, "10.3.0.1"));
	tap_check(may_send_from(&w, addr));
	wire_close(&w);
	tap_check_int(link_guard_remove(NAME, &err), 0);
}

static void
every_queue_is_guarded(void)
{
	uint8_t frame[FRAME_MAX], buf[FRAME_MAX];
	struct link_counters before, after;
	unsigned heard = 0;
	struct link_spec spec;
	struct seen seen = { 0 };
	struct wire w;
	int queues[4];
	size_t n;

	need_bpf();
	spec_of(&spec, "protect=mac");
	wire_open(&w);
	for (int i = 0; i < 4; i++)
		queues[i] = wire_queue(NAME);
	w.guarded = queues[0];
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	counters(&before);
	for (int i = 0; i < 4; i++) {
		tap_check(frames_build("ip4 udp", true, frame, &n));
		wire_send(queues[i], frame, n);
		frame[6] ^= 2;
		wire_send(queues[i], frame, n);
		while (wire_receive(queues[i], buf, sizeof(buf)) > 0)
			;
	}
	wire_peer(&w, look_at_source, &seen);
	tap_check(frames_build("ip4 udp", false, frame, &n));
	wire_send(w.peer, frame, n);
	for (int i = 0; i < 4; i++)
		while ((n = wire_receive(queues[i], buf, sizeof(buf))) > 0)
			heard += memcmp(buf, frame, 12) == 0;
	counters(&after);
	tap_check_int(seen.own, 4);
	tap_check_int(seen.foreign, 0);
	tap_check_int(heard, 1);
	tap_check_u64(
	    after.drops[LINK_DROP_MAC] - before.drops[LINK_DROP_MAC], 4);
	for (int i = 1; i < 4; i++)
		close(queues[i]);
	wire_close(&w);
}

/* Tags that are among a frame's bytes come from the host alone. */
static void
tags_among_the_bytes_are_seen(void)
{
	static const struct {
		const char *words;
		bool passes;
	} rows[] = {
		{ "src=02:00:00:00:00:01 vlan vid=5 ip4 udp", true },
		{ "src=02:00:00:00:00:01 vlan vid=6 ip4 udp", false },
		{ "src=02:00:00:00:00:01 vlan vid=5 vlan vid=6 ip4 udp",
		    false },
		{ "src=02:00:00:00:00:01 ip4 udp", false },
	};
	uint8_t frame[FRAME_MAX], buf[FRAME_MAX];
	struct link_counters before, after;
	struct link_spec spec;
	struct wire w;
	size_t n, got;

	need_bpf();
	spec_of(&spec, "protect=mac vlan=5");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("%s", rows[i].words);
		tap_check(frames_build(rows[i].words, false, frame, &n));
		while (wire_receive(w.guarded, buf, sizeof(buf)) > 0)
			;
		counters(&before);
		wire_host(frame, n);
		counters(&after);
		got = wire_receive(w.guarded, buf, sizeof(buf));
		tap_check_u64(after.drops[LINK_DROP_VLAN_IN] -
			before.drops[LINK_DROP_VLAN_IN],
		    !rows[i].passes);
		tap_check_u64(got, rows[i].passes ? n - 4 : 0);
		if (rows[i].passes)
			tap_check_mem(buf + 12, frame + 16, n - 16);
	}
	wire_close(&w);
}

/* --- who waits */

static bool
readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void
drops_are_told(void)
{
	struct error err = ERROR_INIT;
	struct link_counters c, same;
	uint8_t frame[FRAME_MAX];
	struct link_spec spec;
	int ring, counts;
	struct wire w;
	size_t n;

	need_bpf();
	spec_of(&spec, "protect=mac");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	if (link_guard_watch(NAME, &ring, &counts, &err) < 0)
		tap_fail("%s", err.text);
	tap_check(frames_build("ip4 udp", true, frame, &n));
	wire_send(w.guarded, frame, n);
	tap_check(!readable(ring, 0));
	frame[6] ^= 2;
	for (int i = 0; i < 10; i++)
		wire_send(w.guarded, frame, n);
	tap_check(readable(ring, WIRE_LIMIT_S * 1000));
	tap_check_int(link_guard_drained(ring), 0);
	tap_check(!readable(ring, 0));
	tap_check_int(link_guard_read(counts, &c), 0);
	counters(&same);
	tap_check_mem(&c, &same, sizeof(c));
	tap_check_u64(c.drops[LINK_DROP_MAC], 10);
	/* and again, once the second is over */
	for (int i = 0; i < WIRE_LIMIT_S * 10 && !readable(ring, 100); i++)
		wire_send(w.guarded, frame, n);
	tap_check(readable(ring, 0));
	close(ring);
	close(counts);
	wire_close(&w);
}

static const struct tap_test tests[] = {
	TAP_TEST_TIMEOUT(the_table_holds_by_bpf, 300),
	TAP_TEST_TIMEOUT(the_table_holds_by_nftables, 300),
	TAP_TEST_TIMEOUT(without_bpf_there_is_nftables, 300),
	TAP_TEST_TIMEOUT(the_table_holds_in_clsact, 300),
	TAP_TEST(no_foreign_address_gets_out),
	TAP_TEST(more_than_maxbw_is_dropped),
	TAP_TEST(learned_addresses_are_bounded),
	TAP_TEST(what_nftables_learns_is_bounded),
	TAP_TEST(every_queue_is_guarded),
	TAP_TEST(tags_among_the_bytes_are_seen),
	TAP_TEST(drops_are_told),
};
TAP_MAIN(tests)
