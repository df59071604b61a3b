/*
 * The guard on a real tap: the table of frames, frames by chance, changes while
 * frames flow, and an attacher that is killed at every step.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/fd.h"
#include "base/str.h"
#include "frames.h"
#include "link/guard_impl.h"
#include "tap.h"
#include "wire.h"

#define NAME "guarded"

/* What the kernel does not let us do is no failure of the guard. */
static void
need_bpf(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe", 4, 4, 1, NULL);

	if (geteuid() != 0)
		tap_skip("root makes taps and loads programs");
	if (fd < 0)
		tap_skip("bpf(2): %s", strerror(-fd));
	close(fd);
}

static void
counters(struct link_counters *ret)
{
	struct error err = ERROR_INIT;

	if (link_guard_counters(NAME, ret, &err) < 0)
		tap_fail("%s", err.text);
}

/* --- the table */

struct rig {
	struct wire wire;
	enum link_guard_kind kind;
	unsigned vlan;
	/* what is looked for */
	uint8_t want[FRAME_MAX + 4];
	size_t nwant;
	unsigned arrived, others;
};

static void
rig_begin(void *arg, const struct link_spec *spec)
{
	struct rig *r = arg;

	wire_guard(&r->wire, spec, r->kind);
	r->vlan = spec->vlan;
}

static void
rig_update(void *arg, const struct link_spec *spec)
{
	struct error err = ERROR_INIT;

	if (link_guard_update(spec, &err) < 0)
		tap_fail("%s", err.text);
}

static void
rig_end(void *arg)
{
	struct rig *r = arg;
	struct error err = ERROR_INIT;

	fd_close(&r->wire.guarded);
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
	return why;
}

static void
run_table(enum link_guard_kind kind, const char *name)
{
	cleanup_free struct rig *r = calloc(1, sizeof(*r));
	const struct frames_ops ops = { name, r, rig_begin, rig_update,
		rig_send, rig_wait, rig_end };
	unsigned n;

	tap_check(r != NULL);
	r->kind = kind;
	wire_open(&r->wire);
	n = frames_run(&ops);
	tap_note("%u frames", n);
	tap_check(n >= 60);
	wire_close(&r->wire);
}

static void
the_table_holds_by_bpf(void)
{
	need_bpf();
	run_table(LINK_GUARD_BPF, "bpf");
}

static void
the_table_holds_by_nftables(void)
{
	if (geteuid() != 0)
		tap_skip("root makes taps and filters");
	run_table(LINK_GUARD_NFT, "nft");
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
	run_table(LINK_GUARD_AUTO, "nft");
}

/* As kernels before 6.6 have it. */
static void
the_table_holds_in_clsact(void)
{
	need_bpf();
	guard_bpf_no_tcx = true;
	run_table(LINK_GUARD_BPF, "bpf");
}

/* --- by chance */

static uint32_t seed = 1;

static uint32_t
chance(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)(seed >> 8) * n) >> 24);
}

static void
spec_of(struct link_spec *spec, const char *words)
{
	if (!frames_link(words, spec))
		tap_fail("'%s'?", words);
}

struct seen {
	unsigned own, foreign;
};

static void
look_at_source(void *arg, const uint8_t *frame, size_t n)
{
	struct seen *s = arg;

	if (n >= 12 && memcmp(frame + 6, frames_me, 6) == 0)
		s->own++;
	else
		s->foreign++;
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

/* --- while it runs */

struct flow {
	unsigned always, sometimes, never;
};

/* By the last byte of IPv4's source. */
static void
look_at_ip(void *arg, const uint8_t *frame, size_t n)
{
	struct flow *f = arg;

	f->always += n > 29 && frame[29] == 5;
	f->sometimes += n > 29 && frame[29] == 6;
	f->never += n > 29 && frame[29] == 7;
}

static pid_t
updater(const struct link_spec *specs)
{
	struct error err = ERROR_INIT;
	pid_t pid = fork();

	for (unsigned i = 0; pid == 0; i++)
		if (link_guard_update(&specs[i % 2], &err) < 0)
			_exit(1);
	return pid;
}

/*
 * What both configurations allow always passes, what neither does
 * never, whichever is being put into place.
 */
static void
an_update_is_never_half_there(void)
{
	static const char *const words[] = { "ip4 src=10.0.0.5 udp",
		"ip4 src=10.0.0.6 udp", "ip4 src=10.0.0.7 udp" };
	struct link_spec specs[2];
	uint8_t frame[FRAME_MAX];
	struct flow flow = { 0 };
	struct wire w;
	int status;
	pid_t pid;
	size_t n;

	need_bpf();
	spec_of(&specs[0], "protect=mac,ip allowed=10.0.0.5/32");
	spec_of(
	    &specs[1], "protect=mac,ip,dhcp allowed=10.0.0.6/32,10.0.0.5/32");
	wire_open(&w);
	wire_guard(&w, &specs[0], LINK_GUARD_BPF);
	pid = updater(specs);
	for (int i = 0; i < 15000; i++) {
		tap_check(frames_build(words[i % 3], true, frame, &n));
		wire_send(w.guarded, frame, n);
		if (i % 48 == 47)
			wire_peer(&w, look_at_ip, &flow);
	}
	tap_check_int(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	wire_peer(&w, look_at_ip, &flow);
	tap_check_int(flow.always, 5000);
	tap_check_int(flow.never, 0);
	tap_note("%u of 5000 by the wider one", flow.sometimes);
	wire_close(&w);
}

static int
map_named(const char *name)
{
	struct error err = ERROR_INIT;
	int fd = guard_bpf_map(NAME, name, &err);

	if (fd < 0)
		tap_fail("%s", err.text);
	return fd;
}

static void
without_a_configuration_nothing_passes(void)
{
	struct link_counters c;
	struct link_spec spec;
	struct seen seen = { 0 };
	uint8_t frame[FRAME_MAX], buf[FRAME_MAX];
	uint32_t zero = 0;
	struct wire w;
	size_t n;
	int map;

	need_bpf();
	spec_of(&spec, "protect=");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	map = map_named("guard_config");
	tap_check_int(bpf_map_delete_elem(map, &zero), 0);
	while (wire_receive(w.guarded, buf, sizeof(buf)) > 0)
		;
	tap_check(frames_build("ip4 udp", true, frame, &n));
	wire_send(w.guarded, frame, n);
	tap_check(frames_build("ip4 udp", false, frame, &n));
	wire_send(w.peer, frame, n);
	wire_peer(&w, look_at_source, &seen);
	counters(&c);
	tap_check(c.drops[LINK_DROP_CLOSED] >= 2);
	tap_check_int(seen.own + seen.foreign, 0);
	tap_check_int(wire_receive(w.guarded, buf, sizeof(buf)), 0);
	close(map);
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

/* --- what cannot be */

static void
refusals_say_why(void)
{
	struct error err = ERROR_INIT;
	struct link_counters c;
	struct link_spec spec;
	struct wire w;
	int ring, counts;

	need_bpf();
	wire_open(&w);
	spec_of(&spec, "protect=mac");
	tap_check_int(link_guard_attach(&spec, LINK_GUARD_BPF, &err), -ENODEV);
	tap_check_has(err.text, "there is no interface " NAME);
	w.guarded = wire_tap(NAME);
	tap_check_int(link_guard_counters(NAME, &c, &err), -ENOENT);
	tap_check_int(link_guard_update(&spec, &err), -ENOENT);
	tap_check_int(
	    link_guard_watch(NAME, &ring, &counts, &err), -EOPNOTSUPP);
	wire_up(NAME);
	tap_check_int(link_guard_attach(&spec, LINK_GUARD_BPF, &err), -EBUSY);
	tap_check_has(err.text, NAME " is up");
	fd_close(&w.guarded);
	for (int tcx = 0; tcx < 2; tcx++) {
		guard_bpf_no_tcx = tcx == 0;
		w.guarded = wire_tap(NAME);
		tap_check_int(
		    link_guard_attach(&spec, LINK_GUARD_BPF, &err), 0);
		tap_check_int(
		    link_guard_attach(&spec, LINK_GUARD_BPF, &err), -EEXIST);
		spec.vlan = 5000;
		tap_check_int(link_guard_update(&spec, &err), -EINVAL);
		spec.vlan = 0;
		fd_close(&w.guarded);
	}
	wire_close(&w);
}

/* --- kill -9 */

/* As zonelink does it, to its end. */
static _Noreturn void
attacher(const struct link_spec *spec)
{
	struct error err = ERROR_INIT;

	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	if (link_guard_attach(spec, LINK_GUARD_BPF, &err) < 0)
		_exit(1);
	wire_up(spec->name);
	wire_join(spec->name);
	_exit(0);
}

/* Killed when it enters or leaves its nth system call; false: it ended.
 */
static bool
killed_at(const struct link_spec *spec, unsigned n, unsigned *ret_calls)
{
	pid_t pid = fork();
	unsigned calls = 0;
	int status;

	if (pid == 0)
		attacher(spec);
	tap_check(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	while (calls < n) {
		tap_check_int(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		tap_check_int(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			tap_check_int(WEXITSTATUS(status), 0);
			*ret_calls = calls;
			return false;
		}
		tap_check(WIFSTOPPED(status));
		calls++;
	}
	kill(pid, SIGKILL);
	tap_check_int(waitpid(pid, &status, 0), pid);
	return true;
}

static void
nothing_leaks(struct wire *w)
{
	struct seen seen = { 0 };
	uint8_t frame[FRAME_MAX];
	size_t n;

	tap_check(frames_build("ip4 udp", true, frame, &n));
	frame[6] ^= 2;
	for (int i = 0; i < 20; i++)
		wire_send(w->guarded, frame, n);
	wire_peer(w, look_at_source, &seen);
	tap_check_int(seen.foreign, 0);
}

static void
killed_anywhere_it_stays_closed(void)
{
	unsigned total = 0, tried = 0, step;
	struct link_spec spec;
	struct wire w;

	need_bpf();
	spec_of(&spec, "protect=mac");
	wire_open(&w);
	wire_settle(&w);
	w.guarded = wire_tap(NAME);
	tap_check(!killed_at(&spec, 100000, &total));
	nothing_leaks(&w);
	fd_close(&w.guarded);
	tap_check(total > 20);
	/* the end, where it is attached and set up, step by step */
	for (unsigned n = 1; n <= total; n += step) {
		step = n + 60 < total ? total / 20 : 1;
		tap_context("killed at %u of %u", n, total);
		w.guarded = wire_tap(NAME);
		killed_at(&spec, n, &total);
		nothing_leaks(&w);
		fd_close(&w.guarded);
		tried++;
	}
	tap_note("%u steps of %u", tried, total);
	wire_close(&w);
}

/* Program and maps go with the interface, whoever attached them has
 * ended. */
static void
all_of_it_goes_with_the_tap(void)
{
	uint32_t zero = 0;
	struct link_spec spec;
	struct bpf_map_info info = { 0 };
	unsigned len = sizeof(info), i;
	struct wire w;
	int map, fd;

	need_bpf();
	spec_of(&spec, "protect=mac");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	map = map_named("guard_config");
	tap_check_int(bpf_obj_get_info_by_fd(map, &info, &len), 0);
	tap_check_int(bpf_map_lookup_elem(map, &zero, &zero), 0);
	close(map);
	wire_close(&w);
	for (i = 0; i < WIRE_LIMIT_S * 100; i++) {
		fd = bpf_map_get_fd_by_id(info.id);
		if (fd == -ENOENT)
			break;
		close(fd);
		usleep(10000);
	}
	tap_check_int(fd, -ENOENT);
}

static const struct tap_test tests[] = {
	TAP_TEST_TIMEOUT(the_table_holds_by_bpf, 300),
	TAP_TEST_TIMEOUT(the_table_holds_by_nftables, 300),
	TAP_TEST_TIMEOUT(without_bpf_there_is_nftables, 300),
	TAP_TEST_TIMEOUT(the_table_holds_in_clsact, 300),
	TAP_TEST_TIMEOUT(no_foreign_address_gets_out, 120),
	TAP_TEST_TIMEOUT(an_update_is_never_half_there, 120),
	TAP_TEST_TIMEOUT(without_a_configuration_nothing_passes, 120),
	TAP_TEST_TIMEOUT(more_than_maxbw_is_dropped, 120),
	TAP_TEST_TIMEOUT(learned_addresses_are_bounded, 120),
	TAP_TEST_TIMEOUT(drops_are_told, 120),
	TAP_TEST_TIMEOUT(refusals_say_why, 60),
	TAP_TEST_TIMEOUT(killed_anywhere_it_stays_closed, 300),
	TAP_TEST_TIMEOUT(all_of_it_goes_with_the_tap, 120),
};
TAP_MAIN(tests)
