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

static const struct tap_test tests[] = {
	TAP_TEST_TIMEOUT(the_table_holds_by_bpf, 300),
	TAP_TEST_TIMEOUT(the_table_holds_by_nftables, 300),
	TAP_TEST_TIMEOUT(without_bpf_there_is_nftables, 300),
};
TAP_MAIN(tests)
