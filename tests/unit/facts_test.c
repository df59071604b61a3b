/*
 * What a guest may know of its zone, in the forms of the data dictionary of
 * SmartOS, which cloud-init reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "tap.h"
#include "zone/facts.h"
#include "zone/nic.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"
#include "zone_util.h"

#define UUID "1d5b8e7c-c004-4f69-bf0c-c98918e35bd5"
#define ATTR(name, value)                               \
	"add attr; set name=" name "; set type=string;" \
	"set value=\"" value "\"; end; "

static struct zone_conf *
conf_of(const char *text)
{
	struct zone_conf *conf = zone_conf_create();
	struct error err = ERROR_INIT;

	tap_check_int(
	    zone_apply(conf, "set zonename=z; set zonepath=/zones/z", &err), 0);
	tap_check_int(zone_conf_set_text(conf, "brand", "bhyve", &err), 0);
	tap_check_int(zone_conf_set_text(conf, "debugid", "7", &err), 0);
	if (zone_apply(conf, text, &err) < 0)
		tap_fail("%s", err.text);
	return conf;
}

/* The value of a key, or NULL. */
static const char *
value_of(const struct nvlist *facts, const char *key)
{
	const char *const *keys = NULL, *const *values = NULL;
	size_t n = 0, m = 0;

	tap_check_int(nvlist_get_strs(facts, "keys", &keys, &n), 0);
	tap_check_int(nvlist_get_strs(facts, "values", &values, &m), 0);
	tap_check_u64(n, m);
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i], key) == 0)
			return values[i];
	return NULL;
}

static struct nvlist *
make(const struct zone_facts_in *in)
{
	struct nvlist *facts = NULL;
	struct error err = ERROR_INIT;

	if (zone_facts_make(in, &facts, &err) < 0)
		tap_fail("%s", err.text);
	return facts;
}

struct want {
	const char *key, *value; /* NULL: not there */
};

static void
check(const struct nvlist *facts, const struct want *want, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *got = value_of(facts, want[i].key);

		tap_context("%s", want[i].key);
		if (want[i].value == NULL)
			tap_check(got == NULL);
		else
			tap_check_str(
			    got != NULL ? got : "(nothing)", want[i].value);
	}
}

/* A zone that says nothing: what must be there is. */
static void
the_least(void)
{
	static const struct want want[] = {
		{ "sdc:uuid", UUID },
		{ "sdc:zonename", "z" },
		{ "sdc:hostname", "z" },
		{ "sdc:nics", "[]" },
		{ "sdc:resolvers", "[]" },
		{ "sdc:routes", "[]" },
		{ "sdc:internal_metadata_namespaces", "[]" },
		{ "sdc:brand", "bhyve" },
		{ "sdc:state", "running" },
		{ "sdc:ram", "256" },
		{ "sdc:vcpus", "1" },
		{ "sdc:zonedid", "7" },
		{ "sdc:alias", NULL },
		{ "sdc:dns_domain", NULL },
		{ "sdc:owner_uuid", NULL },
		{ "sdc:server_uuid", NULL },
		{ "sdc:datacenter_name", NULL },
		{ "sdc:image_uuid", NULL },
		{ "sdc:max_physical_memory", NULL },
		{ "sdc:last_modified", NULL },
	};
	struct zone_conf *conf = conf_of("");
	struct nvlist *facts = make(&(struct zone_facts_in){
	    .conf = conf, .uuid = "1D5B8E7C-C004-4F69-BF0C-C98918E35BD5" });

	check(facts, want, ARRAY_LEN(want));
	nvlist_free(facts);
	zone_conf_free(conf);
}

static void
texts_and_numbers(void)
{
	static const struct want want[] = {
		{ "sdc:alias", "web01" },
		{ "sdc:hostname", "web01.example" },
		{ "sdc:dns_domain", "example.com" },
		{ "sdc:owner_uuid", "00000000-0000-0000-0000-0000000000aa" },
		{ "sdc:image_uuid", UUID },
		{ "sdc:package_name", "small" },
		{ "sdc:package_version", "1.0" },
		{ "sdc:create_timestamp", "2026-11-23T00:00:00.000Z" },
		{ "sdc:last_modified", "2001-09-09T01:46:40.000Z" },
		{ "sdc:resolvers", "[\"192.0.2.53\",\"2001:db8::53\"]" },
		{ "sdc:internal_metadata_namespaces", "[\"docker\",\"foo\"]" },
		{ "sdc:datacenter_name", "us-west-1" },
		{ "sdc:server_uuid", UUID },
		{ "sdc:ram", "2048" },
		{ "sdc:vcpus", "4" },
		{ "sdc:max_physical_memory", "3072" },
		{ "sdc:max_swap", "4096" },
		{ "sdc:max_locked_memory", "1024" },
		{ "sdc:max_lwps", "2000" },
		{ "sdc:cpu_cap", "150" },
		{ "sdc:cpu_shares", "100" },
		{ "sdc:quota", "10" },
		{ "sdc:autoboot", "true" },
		{ "sdc:limit_priv", "default,-net_access" },
	};
	struct zone_conf *conf = conf_of(ATTR("alias", "web01") ATTR(
	    "hostname", "web01.example") ATTR("dns-domain",
	    "example.com") ATTR("owner-uuid",
	    "00000000-0000-0000-0000-0000000000AA") ATTR("dataset-uuid",
	    UUID) ATTR("package-name", "small") ATTR("package-version",
	    "1.0") ATTR("create-timestamp",
	    "2026-11-23T00:00:00.000Z") ATTR("resolvers",
	    "192.0.2.53,2001:db8::53") ATTR("internal-metadata-"
					    "namespaces",
	    "docker,foo") ATTR("quota",
	    "10") "set autoboot=true; set limitpriv=default,-net_access;"
		  "add capped-memory; set guest=2G; set physical=3G; set "
		  "swap=4G;"
		  "set locked=1G; end; add vcpu; set "
		  "ncpus=\"sockets=2,cores=2\"; "
		  "end; set max-lwps=2000; add capped-cpu; set ncpus=1.5; end;"
		  "set cpu-shares=100");
	struct nvlist *facts = make(&(struct zone_facts_in){ .conf = conf,
	    .uuid = UUID,
	    .datacenter = "us-west-1",
	    .server = UUID,
	    .modified = 1000000000 });

	check(facts, want, ARRAY_LEN(want));
	nvlist_free(facts);
	zone_conf_free(conf);
}

/* No password, wherever it may stand, and no metadata of the operator's. */
static void
secrets_stay(void)
{
	struct zone_conf *conf = conf_of(ATTR("vnc_password", "c2VjcmV0") ATTR(
	    "root_pw", "secret") ATTR("internal_metadata",
	    "secret") "add cloud-init; set password=secret; set sshkey=secret; "
		      "end;"
		      "add vnc; set listen=secret; end; set bootargs=secret;"
		      "add guest; set options=secret; set cmdline=secret; end");
	struct nvlist *facts =
	    make(&(struct zone_facts_in){ .conf = conf, .uuid = UUID });
	struct buf b;

	buf_init(&b, 1 << 20);
	tap_check_int(nvlist_pack(facts, &b), 0);
	tap_check(memmem(b.data, b.len, "secret", 6) == NULL);
	tap_check(memmem(b.data, b.len, "c2VjcmV0", 8) == NULL);
	buf_fini(&b);
	nvlist_free(facts);
	zone_conf_free(conf);
}

/* cloud-init's conversion needs these members of each element, and no others.
 */
static void
nics_are_what_cloud_init_reads(void)
{
	struct zone_conf *conf =
	    conf_of("add net; set physical=net0; set primary=true;"
		    "set mac-addr=2:8:20:a:11:22; set mtu=1500;"
		    "set ips=10.0.0.5/24,fd00:1::5/64;"
		    "set gateways=10.0.0.1,fd00:1::1; end;"
		    "add net; set physical=net1;"
		    "set mac-addr=2:8:20:a:11:23; set ips=dhcp; end");
	struct nvlist *facts =
	    make(&(struct zone_facts_in){ .conf = conf, .uuid = UUID });
	json_t *list = json_loads(value_of(facts, "sdc:nics"), 0, NULL), *nic;
	const char *name = NULL, *mac = NULL, *ip0 = NULL, *ip1 = NULL;
	const char *gw0 = NULL, *gw1 = NULL;
	int primary = 0, mtu = 0;

	tap_check_u64(json_array_size(list), 2);
	nic = json_array_get(list, 0);
	tap_check_int(
	    json_unpack(nic, "{s:s,s:s,s:b,s:i,s:[s,s],s:[s,s]}", "interface",
		&name, "mac", &mac, "primary", &primary, "mtu", &mtu, "ips",
		&ip0, &ip1, "gateways", &gw0, &gw1),
	    0);
	tap_check_str(name, "net0");
	tap_check_str(mac, "02:08:20:0a:11:22");
	tap_check_int(primary, 1);
	tap_check_int(mtu, 1500);
	tap_check_str(ip1, "fd00:1::5/64");
	tap_check_str(gw1, "fd00:1::1");
	nic = json_array_get(list, 1);
	tap_check_int(
	    json_unpack(nic, "{s:s,s:[s]}", "interface", &name, "ips", &ip0),
	    0);
	tap_check_str(ip0, "dhcp");
	tap_check(json_object_get(nic, "primary") == NULL);
	tap_check(json_object_get(nic, "mtu") == NULL);
	json_decref(list);
	nvlist_free(facts);
	zone_conf_free(conf);
}

/* Guests look for gateways at the primary NIC: a single one is it. */
static void
a_single_nic_is_primary(void)
{
	struct zone_conf *conf = conf_of("add net; set physical=net0; end");
	struct nvlist *facts =
	    make(&(struct zone_facts_in){ .conf = conf, .uuid = UUID });

	tap_check_str(value_of(facts, "sdc:nics"),
	    "[{\"interface\":\"net0\",\"ips\":[\"dhcp\"],\"model\":\"virtio\","
	    "\"primary\":true}]");
	nvlist_free(facts);
	zone_conf_free(conf);
}

#define NETS                                            \
	"add net; set physical=net0; set primary=true;" \
	"set mac-addr=2:8:20:a:11:22;"                  \
	"set ips=10.0.0.5/24,fd00:1::5/64; end;"        \
	"add net; set physical=net1; set ips=dhcp; end"

static void
routes(void)
{
	static const struct {
		const char *file, *want;
	} rows[] = {
		{ "{}", "[]" },
		{ "{\"172.16.0.0/12\": \"10.0.0.254\"}",
		    "[{\"linklocal\":false,\"dst\":\"172.16.0.0/12\","
		    "\"gateway\":\"10.0.0.254\"}]" },
		{ "{\"10.2.0.0/16\": \"nics[0]\"}",
		    "[{\"linklocal\":true,\"dst\":\"10.2.0.0/16\","
		    "\"gateway\":\"10.0.0.5\"}]" },
		{ "{\"fd00:2::/64\": \"macs[02:08:20:0A:11:22]\"}",
		    "[{\"linklocal\":true,\"dst\":\"fd00:2::/64\","
		    "\"gateway\":\"fd00:1::5\"}]" },
		/* nobody knows yet which address it will be */
		{ "{\"10.2.0.0/16\": \"nics[1]\"}", "[]" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_conf *conf = conf_of(NETS);
		struct nvlist *facts = make(&(struct zone_facts_in){
		    .conf = conf, .uuid = UUID, .routes = rows[i].file });

		tap_context("%s", rows[i].file);
		tap_check_str(value_of(facts, "sdc:routes"), rows[i].want);
		nvlist_free(facts);
		zone_conf_free(conf);
	}
}

static void
wrong_routes_are_named(void)
{
	static const struct {
		const char *file, *want;
	} rows[] = {
		{ "[]", "routes.json: not an object" },
		{ "{", "routes.json:1: " },
		{ "{\"a\": \"10.0.0.1\"}", "routes.json: 'a' is no network" },
		{ "{\"10.0.0.0/8\": 1}",
		    "'10.0.0.0/8': the gateway is no text" },
		{ "{\"10.0.0.0/8\": \"fd00::1\"}",
		    "the gateway is no address" },
		{ "{\"10.0.0.0/8\": \"10.0.0.1/8\"}", "no address" },
		{ "{\"10.0.0.0/8\": \"nics[2]\"}", "the zone has no such net" },
		{ "{\"10.0.0.0/8\": \"nics[x]\"}", "the zone has no such net" },
		{ "{\"10.0.0.0/8\": \"nics[]\"}", "the gateway is no address" },
		{ "{\"10.0.0.0/8\": \"macs[02:08:20:0a:11:99]\"}",
		    "the zone has no such net" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_conf *conf = conf_of(NETS);
		struct zone_facts_in in = {
			.conf = conf, .uuid = UUID, .routes = rows[i].file
		};
		struct nvlist *facts = NULL;
		struct error err = ERROR_INIT;

		tap_context("%s", rows[i].file);
		tap_check_int(zone_facts_make(&in, &facts, &err), -EINVAL);
		tap_check_has(err.text, rows[i].want);
		tap_check(facts == NULL);
		zone_conf_free(conf);
	}
}

static void
too_much_is_refused(void)
{
	struct zone_conf *conf = conf_of("");
	struct error err = ERROR_INIT;
	struct nvlist *facts = NULL;
	struct zone_facts_in in = { .conf = conf, .uuid = UUID };
	struct buf b;

	buf_init(&b, 1 << 20);
	for (int i = 0; i < 2000; i++)
		buf_printf(&b, "%s\"10.%d.%d.0/24\":\"10.0.0.1\"",
		    i > 0 ? "," : "{", i / 250, i % 250);
	buf_append_str(&b, "}");
	in.routes = buf_str(&b);
	tap_check_int(zone_facts_make(&in, &facts, &err), -E2BIG);
	tap_check_has(
	    err.text, "routes: the facts for the guest are more than");
	buf_fini(&b);
	zone_conf_free(conf);
}

/* Wherever memory ends, it is said, and nothing is lost. */
static void
memory_ends(void)
{
	struct zone_conf *conf = conf_of(
	    NETS " set cpu-shares=100;" ATTR("resolvers", "192.0.2.53"));
	const struct zone_facts_in in = { .conf = conf,
		.uuid = UUID,
		.routes = "{\"172.16.0.0/12\": \"nics[0]\"}" };
	struct nvlist *facts = NULL, *link = NULL;
	struct zone_nics nics = { NULL, 0 };
	struct error err;
	int rc = -1;

	for (unsigned long n = 1; rc < 0; n++) {
		tap_context("allocation %lu", n);
		err = (struct error)ERROR_INIT;
		alloc_fail_at(n);
		rc = zone_facts_make(&in, &facts, &err);
		alloc_fail_at(0);
		tap_check(rc == 0 || rc == -ENOMEM);
		tap_check(rc == 0 || err.text[0] != '\0');
	}
	nvlist_free(facts);
	tap_check_int(zone_nics_read(conf, &nics, &err), 0);
	rc = -1;
	for (unsigned long n = 1; rc < 0; n++) {
		tap_context("allocation %lu", n);
		alloc_fail_at(n);
		rc = zone_nic_link(&nics.v[0], "z", 1, &link, &err);
		alloc_fail_at(0);
		tap_check(rc == 0 || rc == -ENOMEM);
	}
	nvlist_free(link);
	zone_nics_fini(&nics);
	zone_conf_free(conf);
}

/* ---- of a store ---- */

static void
put_file(const char *root, const char *path, const char *text)
{
	char full[256];

	str_format(full, sizeof(full), "%s/%s", root, path);
	tap_check_int(fd_write_file_atomic(
			  AT_FDCWD, full, text, strlen(text), 0644, NULL),
	    0);
}

static void
put_dir(const char *root, const char *path)
{
	char full[256];

	str_format(full, sizeof(full), "%s/%s", root, path);
	tap_check_int(mkdir(full, 0755), 0);
}

static void
of_a_store(void)
{
	char root[] = "/tmp/facts.XXXXXX", path[256], command[64];
	struct zone_conf *conf = conf_of(NETS);
	struct zone_store *store = NULL;
	struct nvlist *facts = NULL;
	struct error err = ERROR_INIT;
	char text[64];
	struct buf xml;

	tap_check(mkdtemp(root) != NULL);
	put_dir(root, "etc");
	put_dir(root, "etc/zones");
	put_dir(root, "zones");
	put_dir(root, "zones/z");
	buf_init(&xml, ZONE_XML_MAX);
	zone_xml_write(conf, &xml);
	put_file(root, "etc/zones/z.xml", buf_str(&xml));
	buf_fini(&xml);
	put_file(root, "etc/zones/index", "z:installed:/zones/z:" UUID "\n");
	put_file(root, "etc/zones/host",
	    "# of this host\ndatacenter_name  us-west-1 # here\n"
	    "server_uuid nonsense\n");
	tap_check_int(zone_store_open(root, &store, &err), 0);
	tap_check_int(zone_host_get(store, "datacenter_name", text, 64), 0);
	tap_check_str(text, "us-west-1");
	tap_check_int(zone_host_get(store, "name", text, 64), -ENOENT);
	/* no folder for routes */
	if (zone_facts_load(store, "z", &facts, &err) < 0)
		tap_fail("%s", err.text);
	tap_check_str(value_of(facts, "sdc:uuid"), UUID);
	tap_check_str(value_of(facts, "sdc:datacenter_name"), "us-west-1");
	tap_check(value_of(facts, "sdc:server_uuid") == NULL);
	tap_check_str(value_of(facts, "sdc:routes"), "[]");
	tap_check(value_of(facts, "sdc:last_modified") != NULL);
	nvlist_free(facts);
	facts = NULL;
	put_dir(root, "zones/z/config");
	put_file(root, "zones/z/config/routes.json",
	    "{\"10.9.0.0/16\": \"10.0.0.9\"}");
	tap_check_int(zone_facts_load(store, "z", &facts, &err), 0);
	tap_check_has(value_of(facts, "sdc:routes"), "\"10.9.0.0/16\"");
	nvlist_free(facts);
	/* the folder is somebody else's: a link in it is not followed */
	str_format(path, sizeof(path), "%s/zones/z/config/routes.json", root);
	tap_check_int(unlink(path), 0);
	tap_check_int(symlink("/etc/passwd", path), 0);
	tap_check(zone_facts_load(store, "z", &facts, &err) < 0);
	tap_check_has(err.text, "routes.json");
	tap_check_int(unlink(path), 0);
	tap_check_int(mkfifo(path, 0600), 0);
	tap_check(zone_facts_load(store, "z", &facts, &err) < 0);
	zone_store_close(store);
	zone_conf_free(conf);
	str_format(command, sizeof(command), "rm -r %s", root);
	tap_check_int(system(command), 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(the_least),
	TAP_TEST(texts_and_numbers),
	TAP_TEST(secrets_stay),
	TAP_TEST(nics_are_what_cloud_init_reads),
	TAP_TEST(a_single_nic_is_primary),
	TAP_TEST(routes),
	TAP_TEST(wrong_routes_are_named),
	TAP_TEST(too_much_is_refused),
	TAP_TEST(memory_ends),
	TAP_TEST(of_a_store),
};
TAP_MAIN(tests)
