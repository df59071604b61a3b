/*
 * A guard's life: what changes while frames flow, what cannot be attached, an
 * attacher that is killed at every step, and what is left afterwards.
 */
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/fd.h"
#include "frames.h"
#include "link/guard_impl.h"
#include "rig.h"
#include "tap.h"

static int
map_named(const char *name)
{
	struct error err = ERROR_INIT;
	int fd = guard_bpf_map(NAME, name, &err);

	if (fd < 0)
		tap_fail("%s", err.text);
	return fd;
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

	if (pid != 0)
		return pid;
	for (unsigned i = 0;; i++)
		if (link_guard_update(&specs[i % 2], &err) < 0)
			_exit(1);
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

/* --- what cannot be */

/* One whose program reads configurations of another version keeps its own. */
static void
another_versions_guard_is_left_alone(void)
{
	struct error err = ERROR_INIT;
	struct guard_config cfg;
	struct link_spec spec;
	uint32_t zero = 0, id;
	struct wire w;
	int outer, inner;

	need_bpf();
	spec_of(&spec, "protect=mac");
	wire_open(&w);
	wire_guard(&w, &spec, LINK_GUARD_BPF);
	outer = map_named("guard_config");
	tap_check_int(bpf_map_lookup_elem(outer, &zero, &id), 0);
	inner = bpf_map_get_fd_by_id(id);
	tap_check_int(bpf_map_lookup_elem(inner, &zero, &cfg), 0);
	cfg.version++;
	tap_check_int(bpf_map_update_elem(inner, &zero, &cfg, BPF_ANY), 0);
	tap_check_int(link_guard_update(&spec, &err), -EPROTO);
	tap_check_has(err.text, "attached by another version");
	close(inner);
	close(outer);
	wire_close(&w);
}

static void
refusals_say_why(void)
{
	struct error err = ERROR_INIT;
	struct link_counters c;
	struct link_spec spec;
	struct wire w;
	int ring, counts, rc;

	need_bpf();
	wire_open(&w);
	spec_of(&spec, "protect=mac");
	tap_check_int(link_guard_attach(&spec, LINK_GUARD_BPF, &err), -ENODEV);
	tap_check_has(err.text, "there is no interface " NAME);
	strcpy(spec.name, "}");
	tap_check_int(link_guard_attach(&spec, LINK_GUARD_NFT, &err), -EIO);
	tap_check_has(err.text, "}: nftables: Error: ");
	strcpy(spec.name, NAME);
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
		guard_bpf_no_clsact = tcx == 1;
		w.guarded = wire_tap(NAME);
		rc = link_guard_attach(&spec, LINK_GUARD_BPF, &err);
		if (tcx == 1 && rc == -EOPNOTSUPP)
			break;
		tap_check_int(rc, 0);
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
	link_guard_settle((int)if_nametoindex(spec->name));
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
	TAP_TEST(an_update_is_never_half_there),
	TAP_TEST(without_a_configuration_nothing_passes),
	TAP_TEST(another_versions_guard_is_left_alone),
	TAP_TEST(refusals_say_why),
	TAP_TEST_TIMEOUT(killed_anywhere_it_stays_closed, 300),
	TAP_TEST(all_of_it_goes_with_the_tap),
};
TAP_MAIN(tests)
