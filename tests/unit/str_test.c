#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static void
numbers(void)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "00", 0, 0 },
		{ "017", 0, 15 },
		{ "0x1f", 0, 31 },
		{ "0XfF", 0, 255 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "0xffffffffffffffff", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "0x10000000000000000", -ERANGE, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "08", -EINVAL, 0 },
		{ "0x", -EINVAL, 0 },
		{ "0xg", -EINVAL, 0 },
		{ "12a", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "99999999999999999999999999x", -EINVAL, 0 },
	};
	uint64_t v;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		tap_context("'%s'", cases[i].text);
		v = 77;
		tap_check_int(
		    str_to_u64(cases[i].text, 0, UINT64_MAX, &v), cases[i].rc);
		tap_check_u64(v, cases[i].rc == 0 ? cases[i].value : 77);
	}
}

static void
numbers_have_a_range(void)
{
	uint64_t v = 77;

	tap_check_int(str_to_u64("4", 5, 7, &v), -ERANGE);
	tap_check_int(str_to_u64("8", 5, 7, &v), -ERANGE);
	tap_check_u64(v, 77);
	tap_check_int(str_to_u64("5", 5, 7, &v), 0);
	tap_check_int(str_to_u64("7", 5, 7, &v), 0);
	tap_check_u64(v, 7);
}

static void
sizes(void)
{
	static const struct {
		const char *text;
		uint64_t unit;
		int rc;
		uint64_t value;
	} cases[] = {
		{ "512", 0, 0, 512 },
		{ "512", 1, 0, 512 },
		{ "512", MiB, 0, 512 * MiB },
		{ "1k", MiB, 0, KiB },
		{ "3K", 0, 0, 3 * KiB },
		{ "2m", 0, 0, 2 * MiB },
		{ "2M", 0, 0, 2 * MiB },
		{ "1g", 0, 0, GiB },
		{ "1T", 0, 0, 1024 * GiB },
		{ "1GB", 0, 0, GiB },
		{ "1GiB", 0, 0, GiB },
		{ "1Gb", 0, 0, GiB },
		{ "0x10M", 0, 0, 16 * MiB },
		{ "0", MiB, 0, 0 },
		{ "16777215T", 0, 0, 16777215 * (1024 * GiB) },
		{ "16777216T", 0, -ERANGE, 0 },
		{ "18446744073709551615", MiB, -ERANGE, 0 },
		{ "99999999999999999999", 0, -ERANGE, 0 },
		{ "", 0, -EINVAL, 0 },
		{ "M", 0, -EINVAL, 0 },
		{ "1X", 0, -EINVAL, 0 },
		{ "1Mi", 0, -EINVAL, 0 },
		{ "1MBB", 0, -EINVAL, 0 },
		{ "1 M", 0, -EINVAL, 0 },
		{ "1B", 0, -EINVAL, 0 },
		{ "-1M", 0, -EINVAL, 0 },
		{ "1.5G", 0, -EINVAL, 0 },
	};
	uint64_t v;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		tap_context("'%s'", cases[i].text);
		v = 77;
		tap_check_int(
		    str_to_size(cases[i].text, cases[i].unit, &v), cases[i].rc);
		tap_check_u64(v, cases[i].rc == 0 ? cases[i].value : 77);
	}
}

static void
booleans(void)
{
	static const char *const yes[] = { "true", "on", "yes", "1", "TRUE",
		"On", "yEs" };
	static const char *const no[] = { "false", "off", "no", "0", "FALSE" };
	static const char *const bad[] = { "", "2", "t", "enabled", "true ",
		"nope" };
	bool v;

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		v = false;
		tap_check_int(str_to_bool(yes[i], &v), 0);
		tap_check(v);
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		v = true;
		tap_check_int(str_to_bool(no[i], &v), 0);
		tap_check(!v);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		tap_check_int(str_to_bool(bad[i], &v), -EINVAL);
}

static void
mac_addresses(void)
{
	static const char *const bad[] = { "", "58:9c:fc:00:11",
		"58:9c:fc:00:11:22:33", "58-9c-fc-00-11-22",
		"58:9c:fc:00:11:2g", "589c:fc:00:11:22",
		"58:9c:fc:00:11:", ":9c:fc:00:11:22", "58:9c:fc:00:11:222",
		"58:9c:fc:00:11:22 " };
	uint8_t mac[6] = { 0 };

	tap_check_int(str_to_mac("58:9C:fc:00:11:22", mac), 0);
	tap_check_mem(mac, "\x58\x9c\xfc\x00\x11\x22", 6);
	tap_check_int(str_to_mac("2:8:20:a:b0:1", mac), 0);
	tap_check_mem(mac, "\x02\x08\x20\x0a\xb0\x01", 6);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		tap_context("'%s'", bad[i]);
		tap_check_int(str_to_mac(bad[i], mac), -EINVAL);
		tap_check_mem(mac, "\x02\x08\x20\x0a\xb0\x01", 6);
	}
}

static void
uuids(void)
{
	static const char *const bad[] = { "",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c88",
		"6ba7b8109dad-11d1-80b4-00c04fd430c8",
		"6ba7b810-9dad-11d1-80b4-00c04fd430cg",
		"{6ba7b810-9dad-11d1-80b4-00c04fd430c8}" };
	uint8_t uuid[16] = { 0 };

	tap_check_int(
	    str_to_uuid("6ba7b810-9DAD-11d1-80b4-00c04fd430c8", uuid), 0);
	tap_check_mem(uuid,
	    "\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8",
	    16);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		tap_check_int(str_to_uuid(bad[i], uuid), -EINVAL);
	tap_check_u64(uuid[0], 0x6b);
}

static void
nearest_names(void)
{
	static const char *const names[] = { "path", "nocache", "nodelete",
		"sync", "direct", "ro", "sectorsize", "device", "bootindex" };
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "pth", "path" },
		{ "paht", "path" }, /* a swap counts once */
		{ "PATH", "path" },
		{ "patch", "path" },
		{ "no-cache", "nocache" },
		{ "nodelet", "nodelete" },
		{ "sectorszie", "sectorsize" },
		{ "dev", "device" }, /* a shortened name */
		{ "boot", "bootindex" },
		{ "rw", "ro" },
		{ "x", NULL },
		{ "xyzzy", NULL },
		{ "", NULL },
		{ "completely-different", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		tap_context("'%s'", cases[i].text);
		tap_check_str(
		    str_nearest(cases[i].text, names, ARRAY_LEN(names)),
		    cases[i].want);
	}
	tap_check_str(str_nearest("a", NULL, 0), NULL);
}

static void
nearest_of_long_names(void)
{
	char longer[200], longest[65];
	const char *names[2] = { longer, longest };

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	tap_check_str(str_nearest(longer, names, 2), NULL);
	tap_check_str(str_nearest(longest, names, 2), longest);
}

static void
formatting_that_does_not_fit(void)
{
	char buf[8] = "kept";

	tap_check_int(str_format(buf, sizeof(buf), "%d", 1234567), 0);
	tap_check_str(buf, "1234567");
	tap_check_int(
	    str_format(buf, sizeof(buf), "%d", 12345678), -ENAMETOOLONG);
	tap_check_str(buf, "");
	tap_check_int(str_format(NULL, 0, "x"), -ENAMETOOLONG);
}

static void
cleanup_frees(void)
{
	cleanup_free char *p = malloc(10);
	cleanup_free void *none = NULL;

	tap_check(p != NULL && none == NULL);
	errno = EPERM;
	str_cleanup_free(&p);
	tap_check_int(errno, EPERM);
	p = NULL;
}

static void
arithmetic_macros(void)
{
	struct outer {
		int a;
		int b;
	} o = { 1, 2 };

	tap_check_u64(ROUND_UP(UINT64_C(0x100000001), 0x1000), 0x100001000);
	tap_check_u64(ROUND_UP(4096, 4096), 4096);
	tap_check_u64(ROUND_DOWN(UINT64_C(0x100000fff), 0x1000), 0x100000000);
	tap_check_int(MIN(-1, 1), -1);
	tap_check_int(MAX(-1, 1), 1);
	tap_check(container_of(&o.b, struct outer, b) == &o);
}

static const struct tap_test tests[] = {
	TAP_TEST(numbers),
	TAP_TEST(numbers_have_a_range),
	TAP_TEST(sizes),
	TAP_TEST(booleans),
	TAP_TEST(mac_addresses),
	TAP_TEST(uuids),
	TAP_TEST(nearest_names),
	TAP_TEST(nearest_of_long_names),
	TAP_TEST(formatting_that_does_not_fit),
	TAP_TEST(cleanup_frees),
	TAP_TEST(arithmetic_macros),
};
TAP_MAIN(tests)
