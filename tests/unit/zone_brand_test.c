/*
 * Brands: config.xml and platform.xml, right and wrong; hooks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "tap.h"
#include "zone/brand.h"
#include "zone/hook.h"
#include "zone/platform.h"

/* A brand 'b' whose file holds this text. */
static const char *
brand_with(const char *file, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/b", tap_tmpdir());
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/b/%s", tap_tmpdir(), file);
	tap_check_int(fd_write_file_atomic(
			  AT_FDCWD, path, text, strlen(text), 0600, NULL),
	    0);
	return tap_tmpdir();
}

static void
bhyve_is_whole(void)
{
	const struct zone_brand_priv *privs;
	struct zone_brand *b = NULL;
	struct error err = ERROR_INIT;

	if (zone_brand_load(BRAND_DIR, "bhyve", &b, &err) < 0)
		tap_fail("%s", err.text);
	tap_check(zone_brand_privs(b, &privs) > 10);
	tap_check_str(privs[0].name, "net_rawaccess");
	tap_check_str(privs[0].ip_type, "exclusive");
	tap_check_str(zone_brand_text(b, "initname"), BRAND_DIR "/bhyve/zhyve");
	tap_check_str(
	    zone_brand_text(b, "boot"), BRAND_DIR "/bhyve/boot %z %R");
	tap_check_str(zone_brand_text(b, "modname"), "");
	/* every row that is some brand's only is this brand's */
	for (const struct zone_rtype *t = zone_rtypes; t->name; t++)
		for (const struct zone_prop *p = t->props; p->name; p++) {
			tap_context("%s %s", t->name, p->name);
			if ((p->flags & ZP_BRANDED) != 0)
				tap_check(zone_brand_allows(b, t, p));
		}
	zone_brand_free(b);
}

static void
a_brand_that_lists_nothing(void)
{
	struct zone_brand *b = NULL;
	const struct zone_rtype *net = zone_rtype_find("net");

	tap_check_int(
	    zone_brand_load(
		brand_with("config.xml", "<brand name=\"b\"/>"), "b", &b, NULL),
	    0);
	tap_check(zone_brand_allows(b, net, zone_prop_find(net, "address")));
	tap_check(!zone_brand_allows(b, net, zone_prop_find(net, "pci-slot")));
	tap_check(!zone_brand_allows(b, zone_rtype_find("vcpu"), NULL));
	zone_brand_free(b);
}

static void
what_is_off_is_off(void)
{
	struct zone_brand *b = NULL;
	const struct zone_rtype *net = zone_rtype_find("net");

	tap_check_int(
	    zone_brand_load(
		brand_with("config.xml",
		    "<brand><resource name=\"net\">"
		    "<property name=\"physical\"/>"
		    "<property name=\"model\" enabled=\"false\"/></resource>"
		    "<resource name=\"fs\" enabled=\"false\">"
		    "<property name=\"dir\"/></resource></brand>"),
		"b", &b, NULL),
	    0);
	tap_check(zone_brand_allows(b, net, NULL));
	tap_check(zone_brand_allows(b, net, zone_prop_find(net, "physical")));
	tap_check(!zone_brand_allows(b, net, zone_prop_find(net, "model")));
	tap_check(!zone_brand_allows(b, net, zone_prop_find(net, "vlan-id")));
	tap_check(!zone_brand_allows(b, zone_rtype_find("fs"), NULL));
	tap_check(!zone_brand_allows(b, zone_rtype_find("attr"), NULL));
	zone_brand_free(b);
}

struct wrong {
	const char *text, *want;
};

static const struct wrong wrong_brands[] = {
	{ "", "config.xml:1: the file is empty" },
	{ "<zone/>", "outermost element must be 'brand'" },
	{ "<brand>\n<instal/></brand>",
	    ":2: 'instal' is no element of a brand; did you mean 'install'?" },
	{ "<brand><resource/></brand>", ":1: no name" },
	{ "<brand><resource name=\"nett\"/></brand>", "did you mean 'net'?" },
	{ "<brand><resource name=\"net\" enabled=\"1\"/></brand>",
	    "enabled='1' is neither" },
	{ "<brand><resource name=\"net\"><prop/></resource></brand>",
	    "'prop' inside a resource" },
	{ "<brand><resource name=\"net\"><property/></resource></brand>",
	    "no name" },
	{ "<brand><resource name=\"net\"><property name=\"adress\"/>"
	  "</resource></brand>",
	    "did you mean 'address'?" },
	{ "<brand><resource name=\"net\"><property name=\"model\" "
	  "fixed-value=\"x\"/></resource></brand>",
	    "only simple properties of the global scope" },
	{ "<brand><resource name=\"global\"><property name=\"ip-type\" "
	  "fixed-value=\"x\"/></resource></brand>",
	    "ip-type: 'x' is not one of" },
	{ "<brand><privilege set=\"some\" name=\"net_access\"/></brand>",
	    "set must be default, prohibited or required" },
	{ "<brand><privilege set=\"default\"/></brand>", "no name" },
	{ "<brand><privilege set=\"default\" name=\"net_acces\"/></brand>",
	    "did you mean 'net_access'?" },
};

static void
wrong_brands_are_refused(void)
{
	struct zone_brand *b = NULL;
	struct error err;

	for (size_t i = 0; i < ARRAY_LEN(wrong_brands); i++) {
		tap_context("%s", wrong_brands[i].text);
		err = (struct error)ERROR_INIT;
		tap_check(zone_brand_load(
			      brand_with("config.xml", wrong_brands[i].text),
			      "b", &b, &err) < 0);
		tap_check_has(err.text, wrong_brands[i].want);
		tap_check(b == NULL);
	}
	tap_check_int(zone_brand_load(BRAND_DIR, "lx", &b, &err), -ENOENT);
	tap_check_has(err.text, "there is no brand 'lx'");
	tap_check_has(err.text, "there are: bhyve");
	tap_check(zone_brand_load(BRAND_DIR, "../x", &b, &err) < 0);
	tap_check(b == NULL);
}

static void
platform(void)
{
	struct zone_platform *p = NULL;
	struct error err = ERROR_INIT;
	bool usr = false, kvm = false;

	if (zone_platform_load(BRAND_DIR, "bhyve", &p, &err) < 0)
		tap_fail("%s", err.text);
	tap_check(p->exclusive_ip);
	for (size_t i = 0; i < p->n; i++) {
		const struct zone_platform_row *r = &p->rows[i];

		usr |= r->kind == ZONE_GLOBAL_MOUNT &&
		    strcmp(r->where, "/usr") == 0 &&
		    strncmp(r->opt, "ro,", 3) == 0;
		kvm |= r->kind == ZONE_DEVICE && strcmp(r->what, "kvm") == 0;
	}
	tap_check(usr && kvm);
	zone_platform_free(p);
}

static const struct wrong wrong_platforms[] = {
	{ "<platform>\n<dev/></platform>",
	    "platform.xml:2: 'dev' is no element of a platform" },
	{ "<platform><device/></platform>", "'device' needs the attribute" },
	{ "<platform><mount special=\"a\" directory=\"b\"/></platform>",
	    "'mount' needs the attribute 'type'" },
	{ "<platform><symlink source=\"a\" target=\"b\" opt=\"c\"/></platform>",
	    "'opt' is no attribute of 'symlink'" },
	{ "<platform><device match=\"a&#10;b\"/></platform>",
	    "match: a value cannot hold the control character" },
	{ "<platform>text</platform>", "text between the elements" },
};

static void
wrong_platforms_are_refused(void)
{
	struct zone_platform *p = NULL;
	struct error err;

	for (size_t i = 0; i < ARRAY_LEN(wrong_platforms); i++) {
		tap_context("%s", wrong_platforms[i].text);
		err = (struct error)ERROR_INIT;
		tap_check(zone_platform_load(brand_with("platform.xml",
						 wrong_platforms[i].text),
			      "b", &p, &err) < 0);
		tap_check_has(err.text, wrong_platforms[i].want);
		tap_check(p == NULL);
	}
	tap_check_int(zone_platform_load(BRAND_DIR, "lx", &p, &err), -ENOENT);
}

static void
hooks_are_words(void)
{
	static const char *const extra[] = { "x y", NULL };
	char **argv = NULL;
	struct error err = ERROR_INIT;

	tap_check_int(zone_hook_argv("  /bin/a -z %z\t%R/x%%y ", "web",
			  "/zones/a b;c", extra, &argv, &err),
	    0);
	tap_check_str(argv[0], "/bin/a");
	tap_check_str(argv[2], "web");
	tap_check_str(argv[3], "/zones/a b;c/x%y");
	tap_check_str(argv[4], "x y");
	tap_check(argv[5] == NULL);
	zone_hook_free(argv);
	argv = NULL;
	tap_check_int(
	    zone_hook_argv(" \n", "z", "/", NULL, &argv, &err), -ENOENT);
	tap_check_int(
	    zone_hook_argv("a %q", "z", "/", NULL, &argv, &err), -EINVAL);
	tap_check_int(
	    zone_hook_argv("a %", "z", "/", NULL, &argv, &err), -EINVAL);
	tap_check(argv == NULL);
}

/* What a hook of this template, and a last word, comes to. */
static int
ran(const char *template, const char *last, struct error *err)
{
	const char *const extra[] = { last, NULL };
	char **argv = NULL;
	int rc;

	tap_check_int(zone_hook_argv(template, "z", "/", extra, &argv, err), 0);
	rc = zone_hook_run(argv, -1, err);
	zone_hook_free(argv);
	return rc;
}

static void
hooks_run(void)
{
	struct error err = ERROR_INIT;

	tap_check_int(ran("/bin/true", NULL, &err), 0);
	tap_check_int(ran("/bin/false", NULL, &err), 1);
	tap_check_str(err.text, "/bin/false: exit status 1");
	tap_check_int(ran("/nonexistent", NULL, &err), -ENOENT);
	tap_check_int(ran("/bin/sh -c", "kill -9 $$", &err), -EINTR);
	tap_check_has(err.text, "killed by signal 9");
	tap_check_int(
	    ran("/bin/sh -c", "test -z \"$HOME\" && ! read x", &err), 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(bhyve_is_whole),
	TAP_TEST(a_brand_that_lists_nothing),
	TAP_TEST(what_is_off_is_off),
	TAP_TEST(wrong_brands_are_refused),
	TAP_TEST(platform),
	TAP_TEST(wrong_platforms_are_refused),
	TAP_TEST(hooks_are_words),
	TAP_TEST(hooks_run),
};
TAP_MAIN(tests)
