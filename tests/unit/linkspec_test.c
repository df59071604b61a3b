/*
 * Links described, and NIC tags: lists and files of any kind are read or
 * refused with a sentence.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "link/nictag.h"
#include "link/spec.h"
#include "tap.h"

static struct nvlist *
plain_list(void)
{
	struct nvlist *l = nvlist_create();

	tap_check(l != NULL);
	nvlist_add_str(l, "zone", "web");
	nvlist_add_str(l, "net", "net0");
	nvlist_add_str(l, "mac", "02:08:20:00:00:01");
	return l;
}

static void
least_list(void)
{
	struct nvlist *l = plain_list();
	struct error err = ERROR_INIT;
	struct link_spec s;

	if (link_spec_read(l, 5, &s, &err) < 0)
		tap_fail("%s", err.text);
	tap_check_str(s.name, "z5_net0");
	tap_check_str(s.tag, "");
	tap_check_int(s.queues, 1);
	tap_check_int(s.vlan + s.mtu + s.protect + s.dynamic, 0);
	tap_check_int(s.nallowed + s.ncids + s.nports, 0);
	tap_check(!s.any_cid && s.maxbw == 0);
	nvlist_free(l);
}

static void
full_list(void)
{
	static const char *const allowed[] = { "10.0.0.5/24", "2001:db8::/32",
		"192.0.2.1" };
	static const char *const dynamic[] = { "slaac", "dhcpv4" };
	static const char *const cids[] = { "0x01020a", "*", "0xfF" };
	static const char *const blocked[] = { "25", "6000-6063" };
	static const uint8_t mac[] = { 2, 8, 0x20, 0, 0, 1 };
	struct nvlist *l = plain_list();
	struct error err = ERROR_INIT;
	struct link_spec s;

	nvlist_add_str(l, "tag", "external");
	nvlist_add_u64(l, "vlan", 4094);
	nvlist_add_u64(l, "mtu", 9000);
	nvlist_add_u64(l, "queues", 16);
	nvlist_add_u64(l, "protect", 0x1f);
	nvlist_add_u64(l, "maxbw", 100000000);
	nvlist_add_strs(l, "allowed", allowed, ARRAY_LEN(allowed));
	nvlist_add_strs(l, "dynamic", dynamic, ARRAY_LEN(dynamic));
	nvlist_add_strs(l, "cids", cids, ARRAY_LEN(cids));
	nvlist_add_strs(l, "blocked", blocked, ARRAY_LEN(blocked));
	if (link_spec_read(l, 7, &s, &err) < 0)
		tap_fail("%s", err.text);
	tap_check_str(s.zone, "web");
	tap_check_str(s.tag, "external");
	tap_check_mem(s.mac, mac, 6);
	tap_check_int(s.vlan, 4094);
	tap_check_int(s.mtu, 9000);
	tap_check_int(s.queues, 16);
	tap_check_int(s.protect, 0x1f);
	tap_check_u64(s.maxbw, 100000000);
	tap_check_int(s.nallowed, 3);
	tap_check_int(s.allowed[0].family, AF_INET);
	tap_check_int(s.allowed[0].prefix, 24);
	tap_check_mem(s.allowed[0].addr, "\x0a\0\0\x05", 4);
	tap_check_int(s.allowed[1].family, AF_INET6);
	tap_check_int(s.allowed[1].prefix, 32);
	tap_check_int(s.allowed[2].prefix, 32);
	tap_check_int(s.dynamic, LINK_DYN_SLAAC | LINK_DYN_DHCPV4);
	tap_check(s.any_cid);
	tap_check_int(s.ncids, 2);
	tap_check_int(s.cids[0].len, 3);
	tap_check_mem(s.cids[0].bytes, "\x01\x02\x0a", 3);
	tap_check_int(s.cids[1].bytes[0], 0xff);
	tap_check_int(s.nports, 2);
	tap_check_int(s.ports[0].first, 25);
	tap_check_int(s.ports[0].last, 25);
	tap_check_int(s.ports[1].last, 6063);
	nvlist_free(l);
}

/* One value in place of the plain list's, one word of the refusal. */
static void
refused_texts(void)
{
	static const struct {
		const char *field, *value, *want;
	} rows[] = {
		{ "net", "", "net ?: net: a name of 1 to 64" },
		{ "net", "a b", "a byte 0x20" },
		{ "zone", "", "net net0: zone: a name" },
		{ "zone", "a\nb", "a byte 0x0a" },
		{ "tag", "", "tag: a name" },
		{ "mac", "02:08:20:00:00", "mac '02:08:20:00:00'" },
		{ "mac", "01:00:5e:00:00:01", "of a group" },
		{ "mac", "0:0:0:0:0:0", "of nobody" },
		{ "vlan", "5", "vlan" },
		{ "mtu", "5", "mtu" },
		{ "maxbw", "5", "maxbw: a number" },
		{ "allowed", "10.0.0.1", "allowed: no list" },
		{ "bandwith", "5", "there is no field 'bandwith'" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nvlist *l = plain_list();
		struct error err = ERROR_INIT;
		struct link_spec s;

		tap_context("%s '%s'", rows[i].field, rows[i].value);
		nvlist_add_str(l, rows[i].field, rows[i].value);
		tap_check_int(link_spec_read(l, 5, &s, &err), -EINVAL);
		tap_check_has(err.text, rows[i].want);
		nvlist_free(l);
	}
}

static void
refused_numbers(void)
{
	static const struct {
		const char *field;
		uint64_t value;
	} rows[] = { { "vlan", 4095 }, { "vlan", UINT64_C(1) << 32 },
		{ "mtu", 575 }, { "mtu", 9217 }, { "queues", 0 },
		{ "queues", 17 }, { "protect", 0x20 }, { "net", 1 },
		{ "mac", 1 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nvlist *l = plain_list();
		struct error err = ERROR_INIT;
		struct link_spec s;

		tap_context("%s %ju", rows[i].field, (uintmax_t)rows[i].value);
		nvlist_add_u64(l, rows[i].field, rows[i].value);
		tap_check_int(link_spec_read(l, 5, &s, &err), -EINVAL);
		tap_check_has(err.text, rows[i].field);
		nvlist_free(l);
	}
}

static void
refused_arrays(void)
{
	static const struct {
		const char *field, *value;
	} rows[] = { { "allowed", "10.0.0.1/33" }, { "allowed", "10.0.0.1/" },
		{ "allowed", "10.0.0.1/024" }, { "allowed", "10.0.0/24" },
		{ "allowed", "::1/129" }, { "allowed", "::1/+4" },
		{ "allowed", "" }, { "dynamic", "dhcp" }, { "cids", "0x" },
		{ "cids", "0x123" }, { "cids", "1234" }, { "cids", "0xgg" },
		{ "blocked", "0" }, { "blocked", "65536" },
		{ "blocked", "10-9" }, { "blocked", "1-" }, { "blocked", "-1" },
		{ "blocked", "010" } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nvlist *l = plain_list();
		struct error err = ERROR_INIT;
		struct link_spec s;

		tap_context("%s '%s'", rows[i].field, rows[i].value);
		nvlist_add_strs(l, rows[i].field, &rows[i].value, 1);
		tap_check_int(link_spec_read(l, 5, &s, &err), -EINVAL);
		tap_check_has(err.text, "net net0: ");
		tap_check_has(err.text, rows[i].field);
		nvlist_free(l);
	}
}

static void
too_many(void)
{
	static const struct {
		const char *field, *value;
		size_t most;
	} rows[] = { { "allowed", "10.0.0.1/32", LINK_ALLOWED_MAX },
		{ "cids", "0x01", LINK_CIDS_MAX },
		{ "blocked", "25", LINK_PORTS_MAX },
		{ "dynamic", "slaac", 3 } };
	const char *v[LINK_ALLOWED_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nvlist *l = plain_list();
		struct error err = ERROR_INIT;
		struct link_spec s;

		tap_context("%s", rows[i].field);
		for (size_t k = 0; k < ARRAY_LEN(v); k++)
			v[k] = rows[i].value;
		nvlist_add_strs(l, rows[i].field, v, rows[i].most);
		tap_check_int(link_spec_read(l, 5, &s, &err), 0);
		nvlist_add_strs(l, rows[i].field, v, rows[i].most + 1);
		tap_check_int(link_spec_read(l, 5, &s, &err), -E2BIG);
		nvlist_free(l);
	}
}

static void
names(void)
{
	struct link_spec s = { .zone = "web", .net = "net0" };
	char a[LINK_NAME_MAX + 1], b[LINK_NAME_MAX + 1];

	link_name("/w", &s, 123, 0, a);
	tap_check_str(a, "z123_net0");
	link_name("/w", &s, 123, 1, a);
	tap_check_int(strlen(a), 14);
	link_name("/w", &s, 123, 1, b);
	tap_check_str(a, b); /* the same, always */
	link_name("/x", &s, 123, 1, b);
	tap_check(strcmp(a, b) != 0);
	link_name("/w", &s, 123, 2, b);
	tap_check(strcmp(a, b) != 0);
	/* neither too long nor what the kernel refuses */
	strcpy(s.net, "a-rather-long-name");
	link_name("", &s, 1, 0, a);
	tap_check_has(a, "z_");
	strcpy(s.net, "a/b");
	link_name("", &s, 1, 0, a);
	tap_check_has(a, "z_");
	strcpy(s.net, "net0");
	link_name("", &s, UINT64_MAX, 0, a);
	tap_check_has(a, "z_");
}

/* ---- NIC tags ---- */

static char root[] = "/tmp/linkspec.XXXXXX";

static void
new_root(void)
{
	if (mkdtemp(root) == NULL)
		tap_fail("mkdtemp");
}

static void
drop_root(void)
{
	static const char *const names_of[] = { "/etc/zones/nictags",
		"/etc/zones/.nictags.lock", "/etc/zones", "/etc", "" };
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names_of); i++) {
		str_format(path, sizeof(path), "%s%s", root, names_of[i]);
		tap_check_int(remove(path), 0);
	}
}

static void
write_tags(const char *text)
{
	char path[128];

	str_format(path, sizeof(path), "%s/etc/zones/nictags", root);
	tap_check_int(fd_write_file_atomic(
			  AT_FDCWD, path, text, strlen(text), 0644, NULL),
	    0);
}

static void
check_file(const char *want)
{
	char path[128];
	struct buf b;

	str_format(path, sizeof(path), "%s/etc/zones/nictags", root);
	buf_init(&b, 4096);
	tap_check_int(fd_read_file(AT_FDCWD, path, &b), 0);
	tap_check_str(buf_str(&b), want);
	buf_fini(&b);
}

static void
tags_change(void)
{
	struct nictag ext = { "external", NICTAG_BRIDGE, "br0", 0 };
	struct nictag stub = { "stub0", NICTAG_STUB, "-", 1400 };
	struct nictags tags = { NULL };
	struct error err = ERROR_INIT;

	new_root();
	tap_check_int(nictags_read(root, &tags, &err), 0);
	tap_check_int(tags.n, 0);
	tap_check_int(nictag_add(root, &ext, &err), 0);
	write_tags("# ours\nexternal bridge br0 0 # out\n\n");
	tap_check_int(nictag_add(root, &stub, &err), 0);
	tap_check_int(nictag_add(root, &stub, &err), -EEXIST);
	tap_check_has(err.text, "NIC tag stub0 is there already");
	check_file("# ours\nexternal bridge br0 0 # out\n\n"
		   "stub0 stub - 1400\n");
	strcpy(ext.target, "br1");
	tap_check_int(nictag_update(root, &ext, &err), 0);
	tap_check_int(nictag_delete(root, "nobody", &err), -ENOENT);
	tap_check_has(err.text, "there is no NIC tag 'nobody'");
	tap_check_int(nictags_read(root, &tags, &err), 0);
	tap_check_int(tags.n, 2);
	tap_check_str(nictags_find(&tags, "external")->target, "br1");
	tap_check_int(nictags_find(&tags, "stub0")->mtu, 1400);
	tap_check(nictags_find(&tags, "stub") == NULL);
	nictags_free(&tags);
	tap_check_int(nictag_delete(root, "stub0", &err), 0);
	check_file("# ours\nexternal bridge br1 0\n\n");
	drop_root();
}

static void
tags_refused(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "a bridge\n", "nictags:1: TAG KIND TARGET MTU" },
		{ "#\na bridge b 1 2\n", "nictags:2: TAG KIND TARGET MTU" },
		{ "a switch b 0\n", "kind 'switch'" },
		{ "a-b bridge b 0\n", "NIC tag 'a-b'" },
		{ "a bridge b/c 0\n", "'b/c' is no name of an interface" },
		{ "a bridge sixteen-letters- 0\n", "a name too long" },
		{ "a stub b 0\n", "'b' is no name" },
		{ "a bridge b x\n", "mtu 'x'" },
		{ "a bridge b 100\n", "mtu 100" },
		{ "a bridge b 0\na stub - 0\n", "a is there twice" },
		{ "thirteen_long link eth0 0\n", "longer than 15" },
	};
	struct nictags tags = { NULL };

	new_root();
	close(nictags_lock(root, NULL));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		tap_context("row %zu", i);
		write_tags(rows[i].text);
		tap_check_int(nictags_read(root, &tags, &err), -EINVAL);
		tap_check_has(err.text, rows[i].want);
		/* a file that is not understood is not written over */
		tap_check_int(nictag_delete(root, "a", &err), -EINVAL);
		check_file(rows[i].text);
	}
	drop_root();
}

static const struct tap_test tests[] = {
	TAP_TEST(least_list),
	TAP_TEST(full_list),
	TAP_TEST(refused_texts),
	TAP_TEST(refused_numbers),
	TAP_TEST(refused_arrays),
	TAP_TEST(too_many),
	TAP_TEST(names),
	TAP_TEST(tags_change),
	TAP_TEST(tags_refused),
};
TAP_MAIN(tests)
