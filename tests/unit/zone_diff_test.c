/*
 * What is different between two configurations, line by line.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tap.h"
#include "zone/diff.h"
#include "zone_util.h"

#define BASE "set zonename=z; set zonepath=/zones/z; set brand=bhyve; "
#define NET0 "add net; set physical=net0; set global-nic=br0; end; "
#define NET1 "add net; set physical=net1; set vlan-id=5; end; "
#define ATTR(n, v) \
	"add attr; set name=" n "; set type=string; set value=" v "; end; "

static struct zone_conf *
conf_of(const char *text)
{
	struct zone_conf *conf = zone_conf_create();
	struct error err = ERROR_INIT;
	char all[2048];

	str_format(all, sizeof(all), BASE "%s", text);
	if (zone_apply(conf, all, &err) < 0)
		tap_fail("%s: %s", text, err.text);
	return conf;
}

static void
add_line(void *arg, const struct zone_diff *d)
{
	char text[300];

	zone_diff_text(d, text, sizeof(text));
	buf_printf(arg, "%s\n", text);
}

static void
differences(void)
{
	static const struct {
		const char *was, *is, *want;
	} rows[] = {
		{ "", "", "" },
		{ NET0 NET1, NET0 NET1, "" },
		{ NET0 NET1, NET1 NET0, "" }, /* keys, not places */
		{ "", NET0, "net net0: added\n" },
		{ NET0 NET1, NET1, "net net0: removed\n" },
		{ NET0,
		    "add net; set physical=net0; set global-nic=br1; "
		    "set vlan-id=7; end",
		    "net net0: vlan-id\nnet net0: global-nic\n" },
		{ NET0, "add net; set physical=net7; set global-nic=br0; end",
		    "net net7: added\nnet net0: removed\n" },
		{ "set autoboot=true", "set bootargs=-v",
		    "global autoboot\nglobal bootargs\n" },
		{ ATTR("a", "1") ATTR("b", "2"), ATTR("b", "2") ATTR("a", "3"),
		    "attr a: value\n" },
		/* an alias is its resource control, told once */
		{ "", "set cpu-shares=7", "rctl zone.cpu-shares: added\n" },
		{ "set cpu-shares=7", "set cpu-shares=8",
		    "rctl zone.cpu-shares: value\n" },
		{ "", "add capped-cpu; set ncpus=2; end",
		    "rctl zone.cpu-cap: added\n" },
		/* of a kind that is there once */
		{ "add capped-memory; set guest=32M; end",
		    "add capped-memory; set guest=64M; end",
		    "capped-memory: guest\n" },
		{ "", "add capped-memory; set guest=64M; end",
		    "capped-memory: added\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_conf *was = conf_of(rows[i].was);
		struct zone_conf *is = conf_of(rows[i].is);
		struct buf b;

		tap_context("row %zu", i);
		buf_init(&b, 1 << 16);
		zone_conf_diff(was, is, add_line, &b);
		tap_check_str(buf_str(&b), rows[i].want);
		buf_fini(&b);
		zone_conf_free(was);
		zone_conf_free(is);
	}
}

/* Whatever they hold: none with itself, some with another. */
static void
any_two(void)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct zone_conf *a = zone_random(seed, NULL, "z");
		struct zone_conf *b = zone_conf_dup(a);
		struct zone_conf *c = zone_random(seed + 1000, NULL, "z");
		struct buf same, other;

		tap_context("seed %ju", (uintmax_t)seed);
		buf_init(&same, 1 << 22);
		buf_init(&other, 1 << 22);
		zone_conf_diff(a, b, add_line, &same);
		tap_check_u64(same.len, 0);
		zone_conf_diff(a, c, add_line, &other);
		tap_check_int(buf_error(&other), 0);
		tap_check(zone_conf_equal(a, c) || other.len > 0);
		buf_fini(&same);
		buf_fini(&other);
		zone_conf_free(a);
		zone_conf_free(b);
		zone_conf_free(c);
	}
}

static const struct tap_test tests[] = { TAP_TEST(differences),
	TAP_TEST(any_two) };
TAP_MAIN(tests)
