/*
 * The table of frames against the rules in user space.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "frames.h"
#include "link/guard_impl.h"
#include "link/guard_user.h"
#include "tap.h"

static void
configure(void *arg, const struct link_spec *spec)
{
	struct guard_user *g = arg;
	struct error err = ERROR_INIT;

	if (guard_config_make(spec, &g->cfg, &err) < 0)
		tap_fail("%s", err.text);
}

static void
begin(void *arg, const struct link_spec *spec)
{
	memset(arg, 0, sizeof(struct guard_user));
	((struct guard_user *)arg)->now = 1;
	configure(arg, spec);
}

static int
send_frame(void *arg, bool out, const uint8_t *frame, size_t n)
{
	return guard_user_frame(arg, out, frame, n);
}

static void
pass_time(void *arg, unsigned seconds)
{
	((struct guard_user *)arg)->now += seconds * UINT64_C(1000000000);
}

static void
end(void *arg)
{
}

static void
the_table_holds_in_user_space(void)
{
	cleanup_free struct guard_user *g = calloc(1, sizeof(*g));
	const struct frames_ops ops = { "user", g, begin, configure, send_frame,
		pass_time, end };
	unsigned n;

	tap_check(g != NULL);
	n = frames_run(&ops);
	tap_note("%u frames", n);
	tap_check(n >= 60);
}

/* No more of everything than the program has room for. */
static void
what_has_no_room_is_refused(void)
{
	struct guard_config cfg;
	struct error err = ERROR_INIT;
	struct link_spec spec;

	tap_check(frames_link("protect=mac", &spec));
	spec.nallowed = LINK_ALLOWED_MAX + 1;
	tap_check(guard_config_make(&spec, &cfg, &err) < 0);
	tap_check_has(err.text, "65 allowed addresses");
	spec.nallowed = 0;
	spec.vlan = 4095;
	tap_check(guard_config_make(&spec, &cfg, &err) < 0);
	tap_check_has(err.text, "vlan 4095");
	tap_check(frames_link("allowed=10.0.0.0/33", &spec));
	tap_check(guard_config_make(&spec, &cfg, &err) < 0);
	tap_check_has(err.text, "prefix of 33 bits");
}

static const struct tap_test tests[] = {
	TAP_TEST(the_table_holds_in_user_space),
	TAP_TEST(what_has_no_room_is_refused),
};
TAP_MAIN(tests)
