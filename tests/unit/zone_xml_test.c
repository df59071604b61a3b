/*
 * Files: XML both ways, damaged XML, the index, and what the store does to
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "tap.h"
#include "zone/store.h"
#include "zone/text.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"
#include "zone_util.h"

static struct zone_conf *
read_ok(const char *text)
{
	struct zone_conf *conf = NULL;
	struct error err = ERROR_INIT;

	if (zone_xml_read("f", text, strlen(text), &conf, &err) < 0)
		tap_fail("%s", err.text);
	return conf;
}

static void
random_zones_survive(void)
{
	struct zone_conf *a, *b = NULL;
	struct error err = ERROR_INIT;
	struct buf xml, again;

	for (uint64_t seed = 0; seed < 400; seed++) {
		tap_context("seed %d", (int)seed);
		a = zone_random(seed, NULL, "z");
		buf_init(&xml, ZONE_XML_MAX);
		buf_init(&again, ZONE_XML_MAX);
		zone_xml_write(a, &xml);
		if (zone_xml_read("f", xml.data, xml.len, &b, &err) < 0)
			tap_fail("%s\n%s", err.text, buf_str(&xml));
		tap_check(zone_conf_equal(a, b));
		zone_xml_write(b, &again);
		tap_check_str(buf_str(&again), buf_str(&xml));
		buf_fini(&xml);
		buf_fini(&again);
		zone_conf_free(a);
		zone_conf_free(b);
	}
}

/* As illumos writes it: aliases as rctls, elements in any order. */
static void
files_of_illumos(void)
{
	struct zone_conf *conf = read_ok(
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<!-- a comment --><zone name=\"z\" zonepath=\"/zones/z\" "
	    "autoboot=\"false\" brand=\"bhyve\" debugid=\"17\" "
	    "bootargs=\"\" pool=\"\">\n"
	    "<rctl name=\"zone.max-swap\"><rctl-value priv=\"privileged\""
	    " limit=\"1073741824\" action=\"deny\"/></rctl>\n"
	    "<package name=\"SUNWx\" version=\"1\"/>\n"
	    "<mcap physcap=\"2147483648\"/>\n"
	    "<pset ncpu_min=\"1\" ncpu_max=\"4\"/>\n"
	    "<tmp_pool importance=\"3\"/>\n"
	    "<attr value=\"&lt;&#228;&amp;\" type='string' name=\"a\"/>\n"
	    "</zone>");
	const struct zone_res *r = zone_conf_first(conf, "capped-memory");

	tap_check_str(zone_conf_get(conf, "debugid"), "17");
	tap_check(zone_conf_get(conf, "bootargs") == NULL);
	tap_check_str(zone_res_get(r, "physical"), "2G");
	tap_check_str(zone_res_get(r, "swap"), "1G");
	r = zone_conf_first(conf, "dedicated-cpu");
	tap_check_str(zone_res_get(r, "ncpus"), "1-4");
	tap_check_str(zone_res_get(r, "importance"), "3");
	r = zone_conf_first(conf, "attr");
	tap_check_str(zone_res_get(r, "value"), "<\xc3\xa4&");
	zone_conf_free(conf);
}

static void
doctype_is_no_harm(void)
{
	zone_conf_free(read_ok(
	    "<!DOCTYPE zone PUBLIC \"-//Sun Microsystems Inc//DTD Zones//EN\" "
	    "\"file:///nonexistent/zonecfg.dtd.1\">\n<zone name=\"z\"/>"));
	zone_conf_free(
	    read_ok("<!DOCTYPE zone SYSTEM \"http://192.0.2.1/x.dtd\">"
		    "<zone name=\"z\"/>"));
}

#define ZONE(inner) "<zone name=\"z\">\n" inner "\n</zone>"

static const struct {
	const char *text, *want;
} damaged[] = {
	{ "", "f:1: the file is empty" },
	{ "x", "f:1: damaged XML" },
	{ "<zone", "f:1: damaged XML" },
	{ "<zone name=\"z\">\n<net\n", "f:3: damaged XML" },
	{ "<zone name=\"z\">", "f:1: damaged XML" },
	{ "<zone name=\"z\" name=\"y\"/>", "f:1: damaged XML" },
	{ "<zone name=\"\xff\"/>", "f:1: damaged XML" },
	{ "<a/>", "f:1: the outermost element must be 'zone'" },
	{ "<zone/>", "f:1: the zone has no attribute 'name'" },
	{ "<zone name=\"z\" version=\"2\"/>", "f:1: version '2' is not 1" },
	{ "<zone name=\"z\" colour=\"red\"/>",
	    "f:1: 'colour' is no attribute of 'zone'" },
	{ "<zone name=\"z/\"/>", "f:1: zonename: 'z/' is no zone name" },
	{ ZONE("<nett/>"), "f:2: 'nett' is no element of a zone" },
	{ ZONE("text"), "f:1: text between the elements of 'zone'" },
	{ ZONE("<network/>"), "f:2: net: physical is missing" },
	{ ZONE("<network physical=\"a\" vlan-id=\"x\"/>"),
	    "f:2: vlan-id: 'x' is wrong; it takes a number" },
	{ ZONE("<network physical=\"a\">\n<fsoption name=\"x\"/></network>"),
	    "f:3: 'fsoption' is no element of 'network'" },
	{ ZONE("<network physical=\"a\"/>\n<network physical=\"a\"/>"),
	    "f:3: net: there is one with physical 'a' already" },
	{ ZONE("<network physical=\"a\"><net-attr name=\"b\"/></network>"),
	    "f:2: property: 'value' is missing" },
	{ ZONE("<network physical=\"a\"><net-attr nam=\"b\"/></network>"),
	    "did you mean 'name'?" },
	{ ZONE("<network physical=\"a\"><net-attr a=\"\" b=\"\" c=\"\" d=\"\" "
	       "e=\"\"/></network>"),
	    "f:2: too many attributes of 'net-attr'" },
	{ ZONE("<network physical=\"a\"><net-attr/></network>"),
	    "f:2: 'net-attr' has no attributes" },
	{ ZONE("<network physical=\"&quot;\"/>"),
	    "f:2: physical: a value cannot hold a double quote" },
	{ ZONE("<network physical=\"a&#10;b\"/>"), "control character \\x0a" },
	{ ZONE("<filesystem directory=\"/a\" special=\"b\" type=\"c\">"
	       "<fsoption/></filesystem>"),
	    "f:2: 'fsoption' takes one attribute, name" },
	{ ZONE("<tmp_pool importance=\"1\"/>"),
	    "f:2: 'tmp_pool' without a 'pset' before it" },
	{ ZONE("<pset ncpu_min=\"4\" ncpu_max=\"1\"/>"),
	    "f:2: ncpus: '4-1' is a range that ends before it begins" },
	{ ZONE("<pset ncpu_max=\"1\"/>"), "f:2: dedicated-cpu: ncpus is" },
	{ ZONE("<rctl name=\"zone.max-lwps\"/>"), "value is missing" },
	{ ZONE("<rctl name=\"zone.x\"><rctl-value priv=\"privileged\" "
	       "limit=\"1\" action=\"none\"/></rctl>"),
	    "f:2: name: 'zone.x' is no resource control" },
	{ "<!DOCTYPE zone [<!ENTITY a \"b\">]>\n<zone name=\"&a;\"/>",
	    "declares entities or attributes" },
	{ "<!DOCTYPE zone [<!ENTITY a SYSTEM \"/etc/passwd\">]>"
	  "<zone name=\"z\">&a;</zone>",
	    "declares entities or attributes" },
	{ "<!DOCTYPE zone [<!ENTITY % a SYSTEM \"/etc/passwd\">%a;]>"
	  "<zone name=\"z\"/>",
	    "declares entities or attributes" },
	{ "<!DOCTYPE zone [<!ATTLIST zone name CDATA \"z\">]><zone/>",
	    "declares entities or attributes" },
	{ "<zone name=\"&undefined;\"/>", "f:1: damaged XML" },
};

static void
damage_has_a_line_and_a_reason(void)
{
	struct zone_conf *conf = NULL;
	struct error err;

	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		tap_context("%s", damaged[i].text);
		err = (struct error)ERROR_INIT;
		tap_check(zone_xml_read("f", damaged[i].text,
			      strlen(damaged[i].text), &conf, &err) < 0);
		tap_check(conf == NULL);
		tap_check(strncmp(err.text, "f:", 2) == 0);
		tap_check_has(err.text, damaged[i].want);
		tap_check(strchr(err.text, '\n') == NULL);
	}
}

/* Every cut of a right file is an error with a line, or is still right. */
static void
cut_files(void)
{
	struct zone_conf *a = zone_random(3, NULL, "z"), *b;
	struct error err;
	struct buf xml;

	buf_init(&xml, ZONE_XML_MAX);
	zone_xml_write(a, &xml);
	for (size_t n = 0; n + 2 < xml.len; n++) {
		b = NULL;
		err = (struct error)ERROR_INIT;
		tap_context("cut at %zu", n);
		tap_check(zone_xml_read("f", xml.data, n, &b, &err) < 0);
		tap_check(strncmp(err.text, "f:", 2) == 0);
		tap_check(b == NULL);
	}
	buf_fini(&xml);
	zone_conf_free(a);
}

static void
deep_and_big(void)
{
	struct zone_conf *conf = NULL;
	struct error err = ERROR_INIT;
	struct buf b;

	buf_init(&b, 64U << 20);
	buf_append_str(&b, "<zone name=\"z\">");
	for (int i = 0; i < 100000; i++)
		buf_append_str(&b, "<package>");
	tap_check(zone_xml_read("f", b.data, b.len, &conf, &err) < 0);
	tap_check_has(err.text, "f:1: damaged XML");
	buf_reset(&b);
	buf_append_zero(&b, ZONE_XML_MAX + 1);
	tap_check_int(zone_xml_read("f", b.data, b.len, &conf, &err), -EFBIG);
	buf_fini(&b);
}

/* ---- the index ---- */

static void
index_keeps_what_it_does_not_know(void)
{
	static const char text[] =
	    "# a comment: kept\n"
	    "global:installed:/:\n"
	    "a:configured:/zones/a:\n"
	    "b:running:/zones/b:\n"
	    ":installed:/zones/c:\n"
	    "d:installed:\"/zones/d:1\":8c1e5a0e-9a51-4c0c-8f2e-0f3bd1d0f3a4\n"
	    "e:installed:\"/zones/e\n"
	    "\n"
	    "f:incomplete:/zones/f";
	struct zone_index *ix = zone_index_parse(text, strlen(text));
	const struct zone_entry *e;
	struct buf b;

	tap_check_u64(zone_index_count(ix), 4);
	e = zone_index_find(ix, "d");
	tap_check_str(e->path, "/zones/d:1");
	tap_check(zone_index_find_uuid(
		      ix, "8C1E5A0E-9A51-4C0C-8F2E-0F3BD1D0F3A4") == e);
	tap_check(zone_index_find(ix, "b") == NULL);
	tap_check(zone_index_find_uuid(ix, "") == NULL);
	tap_check_str(zone_index_at(ix, 3)->name, "f");
	tap_check(zone_index_at(ix, 4) == NULL);
	buf_init(&b, 4096);
	zone_index_write(ix, &b);
	tap_check_str(buf_str(&b),
	    "# a comment: kept\n"
	    "global:installed:/:\n"
	    "a:configured:/zones/a:\n"
	    "b:running:/zones/b:\n"
	    ":installed:/zones/c:\n"
	    "d:installed:\"/zones/d:1\":8c1e5a0e-9a51-4c0c-8f2e-0f3bd1d0f3a4\n"
	    "e:installed:\"/zones/e\n"
	    "\n"
	    "f:incomplete:/zones/f:\n");
	buf_fini(&b);
	tap_check_int(zone_index_remove(ix, "global"), -EPERM);
	tap_check_int(zone_index_put(ix, "global", e), -EPERM);
	tap_check_int(zone_index_remove(ix, "nobody"), -ENOENT);
	tap_check_int(zone_index_remove(ix, "d"), 0);
	tap_check_u64(zone_index_count(ix), 3);
	zone_index_free(ix);
}

static void
states(void)
{
	enum zone_state s;

	tap_check_int(zone_state_parse("shutting_down", &s), 0);
	tap_check_u64(s, 5);
	tap_check_str(zone_state_name(ZONE_STATE_MOUNTED), "mounted");
	tap_check_int(zone_state_parse("asleep", &s), -EINVAL);
}

/* ---- the store ---- */

static struct zone_store *
store(void)
{
	struct zone_store *s = NULL;

	tap_check_int(zone_store_open(tap_tmpdir(), &s, NULL), 0);
	return s;
}

static struct zone_conf *
zone_named(const char *name)
{
	struct zone_conf *conf = zone_conf_create();
	char path[128];

	snprintf(path, sizeof(path), "/zones/%s", name);
	tap_check_int(zone_conf_set_text(conf, "zonename", name, NULL), 0);
	tap_check_int(zone_conf_set_text(conf, "zonepath", path, NULL), 0);
	tap_check_int(zone_conf_set_text(conf, "brand", "bhyve", NULL), 0);
	return conf;
}

static bool
file_exists(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/etc/zones/%s", tap_tmpdir(), name);
	return access(path, F_OK) == 0;
}

static struct zone_entry
entry(const struct zone_store *s, const char *name)
{
	struct zone_entry e = { .name = "" };
	struct zone_index *ix = NULL;

	tap_check_int(zone_store_index(s, &ix, NULL), 0);
	if (zone_index_find(ix, name) != NULL)
		e = *zone_index_find(ix, name);
	e.path = NULL;
	zone_index_free(ix);
	return e;
}

static void
save_load_delete(void)
{
	struct zone_store *s = store();
	struct zone_conf *conf = zone_named("a"), *back = NULL;
	struct error err = ERROR_INIT;

	tap_check_int(
	    zone_store_load(s, "a", false, &back, NULL, &err), -ENOENT);
	tap_check_int(zone_store_save(s, NULL, conf, NULL, &err), 0);
	tap_check_int(zone_store_load(s, "a", false, &back, NULL, &err), 0);
	tap_check(zone_conf_equal(conf, back));
	tap_check_str(zone_conf_get(back, "debugid"), "1");
	tap_check_int(zone_store_save(s, NULL, conf, NULL, &err), -EEXIST);
	/* a rename */
	tap_check_int(zone_conf_set_text(conf, "zonename", "b", NULL), 0);
	tap_check_int(zone_store_save(s, "a", conf, NULL, &err), 0);
	tap_check(!file_exists("a.xml") && file_exists("b.xml"));
	tap_check_str(entry(s, "a").name, "");
	tap_check_int(zone_store_delete(s, "a", &err), -ENOENT);
	tap_check_int(
	    zone_store_set_state(s, "b", ZONE_STATE_INSTALLED, &err), 0);
	tap_check_int(zone_store_delete(s, "b", &err), -EBUSY);
	tap_check_has(err.text, "uninstall it before");
	tap_check_int(
	    zone_store_set_state(s, "b", ZONE_STATE_CONFIGURED, &err), 0);
	tap_check_int(zone_store_delete(s, "b", &err), 0);
	tap_check(!file_exists("b.xml"));
	zone_conf_free(back);
	zone_conf_free(conf);
	zone_store_close(s);
}

static void
what_is_taken_is_seen(void)
{
	struct zone_store *s = store();
	struct zone_conf *a = zone_named("a"), *b = zone_named("b");
	struct error err = ERROR_INIT;

	tap_check_int(zone_conf_set_text(a, "uuid",
			  "8c1e5a0e-9a51-4c0c-8f2e-0f3bd1d0f3a4", NULL),
	    0);
	tap_check_int(zone_store_save(s, NULL, a, NULL, &err), 0);
	tap_check_int(zone_conf_set_text(b, "zonepath", "/zones/a", NULL), 0);
	tap_check_int(zone_store_conflict(s, "b", b, &err), -EEXIST);
	tap_check_has(err.text, "zonepath: '/zones/a' is that of zone 'a'");
	tap_check_int(zone_conf_set_text(b, "zonepath", "/zones/b", NULL), 0);
	tap_check_int(zone_conf_set_text(b, "uuid",
			  "8C1E5A0E-9A51-4C0C-8F2E-0F3BD1D0F3A4", NULL),
	    0);
	tap_check_int(zone_store_conflict(s, "b", b, &err), -EEXIST);
	tap_check_has(err.text, "is that of zone 'a'");
	tap_check_int(zone_store_conflict(s, "a", a, &err), 0);
	tap_check_int(zone_store_save(s, NULL, b, NULL, &err), 0);
	zone_conf_free(a);
	zone_conf_free(b);
	zone_store_close(s);
}

static void
installed_zones_keep_their_place(void)
{
	struct zone_store *s = store();
	struct zone_conf *a = zone_named("a");
	struct error err = ERROR_INIT;
	struct zone_entry e;

	tap_check_int(zone_store_save(s, NULL, a, NULL, &err), 0);
	tap_check_str(entry(s, "a").uuid, "");
	tap_check_int(
	    zone_store_set_state(s, "a", ZONE_STATE_INSTALLED, &err), 0);
	e = entry(s, "a");
	tap_check_u64(strlen(e.uuid), ZONE_UUID_LEN);
	tap_check_int(zone_conf_set_text(a, "bootargs", "x", NULL), 0);
	tap_check_int(zone_store_save(s, "a", a, NULL, &err), 0);
	tap_check_str(entry(s, "a").uuid, e.uuid);
	tap_check_u64(entry(s, "a").state, ZONE_STATE_INSTALLED);
	tap_check_int(zone_conf_set_text(a, "zonepath", "/zones/x", NULL), 0);
	tap_check_int(zone_store_save(s, "a", a, NULL, &err), -EPERM);
	tap_check_has(err.text, "'/zones/a' cannot become '/zones/x'");
	tap_check_int(
	    zone_store_set_state(s, "a", ZONE_STATE_INCOMPLETE, &err), 0);
	tap_check_str(entry(s, "a").uuid, "");
	tap_check_int(
	    zone_store_set_state(s, "a", ZONE_STATE_RUNNING, &err), -EINVAL);
	zone_conf_free(a);
	zone_store_close(s);
}

static void
a_pinned_uuid_stays(void)
{
	static const char uuid[] = "8c1e5a0e-9a51-4c0c-8f2e-0f3bd1d0f3a4";
	struct zone_store *s = store();
	struct zone_conf *a = zone_named("a");

	tap_check_int(zone_conf_set_text(a, "uuid", uuid, NULL), 0);
	tap_check_int(zone_store_save(s, NULL, a, NULL, NULL), 0);
	tap_check_str(entry(s, "a").uuid, uuid);
	for (int st = ZONE_STATE_INSTALLED; st >= 0; st--) {
		tap_check_int(
		    zone_store_set_state(s, "a", (enum zone_state)st, NULL), 0);
		tap_check_str(entry(s, "a").uuid, uuid);
	}
	zone_conf_free(a);
	zone_store_close(s);
}

static void
somebody_elses_change_is_seen(void)
{
	struct zone_store *s = store();
	struct zone_conf *a = zone_named("a"), *mine = NULL;
	struct error err = ERROR_INIT;
	struct buf base;

	buf_init(&base, ZONE_XML_MAX);
	tap_check_int(zone_store_save(s, NULL, a, NULL, &err), 0);
	tap_check_int(zone_store_load(s, "a", false, &mine, &base, &err), 0);
	tap_check_int(zone_conf_set_text(a, "bootargs", "x", NULL), 0);
	tap_check_int(zone_store_save(s, "a", a, NULL, &err), 0);
	tap_check_int(zone_store_save(s, "a", mine, &base, &err), -EBUSY);
	tap_check_has(err.text, "changed by somebody else");
	tap_check_int(zone_store_delete(s, "a", &err), 0);
	tap_check_int(zone_store_save(s, "a", mine, &base, &err), -ENOENT);
	buf_fini(&base);
	zone_conf_free(a);
	zone_conf_free(mine);
	zone_store_close(s);
}

/* A file that does not fit leaves the old one and no other. */
static void
full_disk(void)
{
	struct zone_store *s = store();
	struct zone_conf *a = zone_named("a"), *back = NULL;
	struct rlimit limit = { 16, 16 };
	struct error err = ERROR_INIT;

	tap_check_int(zone_store_save(s, NULL, a, NULL, &err), 0);
	signal(SIGXFSZ, SIG_IGN);
	tap_check_int(setrlimit(RLIMIT_FSIZE, &limit), 0);
	tap_check_int(zone_conf_set_text(a, "bootargs", "x", NULL), 0);
	tap_check(zone_store_save(s, "a", a, NULL, &err) < 0);
	tap_check_int(zone_store_load(s, "a", false, &back, NULL, &err), 0);
	tap_check(zone_conf_get(back, "bootargs") == NULL);
	zone_conf_free(back);
	zone_conf_free(a);
	zone_store_close(s);
}

/* Many processes add zones at once: none is lost. */
static void
writers_wait_for_each_other(void)
{
	enum { WRITERS = 4, EACH = 8 };
	struct zone_store *s = store();
	struct zone_index *ix = NULL;
	struct zone_conf *conf;
	char name[32];
	int status;

	for (int w = 0; w < WRITERS; w++) {
		if (fork() != 0)
			continue;
		for (int i = 0; i < EACH; i++) {
			snprintf(name, sizeof(name), "z%d-%d", w, i);
			conf = zone_named(name);
			if (zone_store_save(s, NULL, conf, NULL, NULL) != 0)
				_exit(1);
			zone_conf_free(conf);
		}
		zone_store_close(s);
		_exit(0);
	}
	for (int w = 0; w < WRITERS; w++) {
		tap_check(wait(&status) > 0);
		tap_check_int(status, 0);
	}
	tap_check_int(zone_store_index(s, &ix, NULL), 0);
	tap_check_u64(zone_index_count(ix), WRITERS * EACH);
	zone_index_free(ix);
	conf = zone_named("last");
	tap_check_int(zone_store_save(s, NULL, conf, NULL, NULL), 0);
	tap_check_str(zone_conf_get(conf, "debugid"), "33");
	zone_conf_free(conf);
	zone_store_close(s);
}

static void
secrets_are_for_the_owner(void)
{
	struct zone_store *s = store();
	struct zone_conf *a = zone_named("a");
	char path[512];
	struct stat st;

	tap_check_int(zone_apply(a, "add vnc; set password=x; end", NULL), 0);
	tap_check_int(zone_store_save(s, NULL, a, NULL, NULL), 0);
	snprintf(path, sizeof(path), "%s/etc/zones/a.xml", tap_tmpdir());
	tap_check_int(stat(path, &st), 0);
	tap_check_u64(st.st_mode & 0777, 0600);
	zone_conf_free(a);
	zone_store_close(s);
}

static void
registering(void)
{
	struct zone_store *s = store();
	struct zone_conf *a = zone_named("a");
	struct error err = ERROR_INIT;
	char path[512];

	tap_check_int(zone_store_register(s, "a", &err), -ENOENT);
	tap_check_int(zone_store_save(s, NULL, a, NULL, &err), 0);
	snprintf(path, sizeof(path), "%s/etc/zones/index", tap_tmpdir());
	tap_check_int(unlink(path), 0);
	tap_check_int(zone_store_register(s, "a", &err), 0);
	tap_check_str(entry(s, "a").name, "a");
	tap_check_int(zone_store_register(s, "a", &err), -EEXIST);
	zone_conf_free(a);
	zone_store_close(s);
}

/* Each allocation fails once: the files are the old or the new ones. */
static void
memory_runs_out(void)
{
	struct zone_store *s = store();
	struct zone_conf *a = zone_named("a"), *back;
	struct error err;
	int rc = -1;

	tap_check_int(zone_store_save(s, NULL, a, NULL, NULL), 0);
	tap_check_int(zone_conf_set_text(a, "bootargs", "x", NULL), 0);
	for (unsigned long n = 1; rc < 0; n++) {
		err = (struct error)ERROR_INIT;
		alloc_fail_at(n);
		rc = zone_store_save(s, "a", a, NULL, &err);
		alloc_fail_at(0);
		back = NULL;
		tap_check_int(
		    zone_store_load(s, "a", false, &back, NULL, NULL), 0);
		tap_check(rc < 0 || zone_conf_equal(a, back));
		tap_check_str(entry(s, "a").name, "a");
		zone_conf_free(back);
		tap_check(n < 5000);
	}
	zone_conf_free(a);
	zone_store_close(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(random_zones_survive),
	TAP_TEST(files_of_illumos),
	TAP_TEST(doctype_is_no_harm),
	TAP_TEST(damage_has_a_line_and_a_reason),
	TAP_TEST(cut_files),
	TAP_TEST(deep_and_big),
	TAP_TEST(index_keeps_what_it_does_not_know),
	TAP_TEST(states),
	TAP_TEST(save_load_delete),
	TAP_TEST(what_is_taken_is_seen),
	TAP_TEST(installed_zones_keep_their_place),
	TAP_TEST(a_pinned_uuid_stays),
	TAP_TEST(somebody_elses_change_is_seen),
	TAP_TEST(full_disk),
	TAP_TEST(writers_wait_for_each_other),
	TAP_TEST(secrets_are_for_the_owner),
	TAP_TEST(registering),
	TAP_TEST(memory_runs_out),
};
TAP_MAIN(tests)
