/*
 * Manifests: what is refused, and that what is accepted comes back out of the
 * configuration that it became, whatever it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "manifest/manifest.h"
#include "tap.h"
#include "zone/assign.h"
#include "zone/brand.h"
#include "zone/verify.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"
#include "zone_util.h"

#define UUID "11111111-2222-4333-8444-555555555555"
#define SEEDS 300

static json_t *
parse(const char *text)
{
	struct error err = ERROR_INIT;
	json_t *v = NULL;

	tap_context("%s", text);
	tap_check_int(manifest_load(text, strlen(text), &v, &err), 0);
	return v;
}

/* ---- faults ---- */

static int
faults_of(const char *text, enum manifest_use use, json_t **ret)
{
	struct manifest_faults f;
	json_t *m = parse(text);
	int rc;

	tap_check_int(manifest_faults_init(&f), 0);
	rc =
	    manifest_check(m, use, use == MANIFEST_UPDATE ? "bhyve" : NULL, &f);
	*ret = manifest_faults_json(&f);
	manifest_faults_fini(&f);
	json_decref(m);
	return rc;
}

/* Manifest, list, name in it, part of the sentence. */
static void
each_fault_is_named(void)
{
	static const struct {
		const char *text, *list, *name, *why;
	} rows[] = {
		{ "{}", "missing_properties", "brand", "it is needed" },
		{ "{\"brand\":\"bhyve\",\"rma\":1}", "bad_properties", "rma",
		    "did you mean 'ram'?" },
		{ "{\"brand\":\"bhyve\",\"ram\":\"1\"}", "bad_values", "ram",
		    "\"1\" is not a whole number" },
		{ "{\"brand\":\"bhyve\",\"ram\":0}", "bad_values", "ram",
		    "0 is not in 1.." },
		{ "{\"brand\":\"bhyve\",\"vcpus\":255}", "bad_values", "vcpus",
		    "255 is not in 1..254" },
		{ "{\"brand\":\"bhyve\",\"vcpus\":1.5}", "bad_values", "vcpus",
		    "1.5 is not a whole number" },
		{ "{\"brand\":\"bhyve\",\"autoboot\":\"true\"}", "bad_values",
		    "autoboot", "is not true or false" },
		{ "{\"brand\":\"bhyve\",\"state\":\"running\"}",
		    "bad_properties", "state", "cannot be set" },
		{ "{\"brand\":\"bhyve\",\"alias\":\"a\\\"b\"}", "bad_values",
		    "alias", "double quote" },
		{ "{\"brand\":\"bhyve\",\"hostname\":\"-x\"}", "bad_values",
		    "hostname", "is not a host name" },
		{ "{\"brand\":\"bhyve\",\"uuid\":\"1\"}", "bad_values", "uuid",
		    "is not a UUID" },
		{ "{\"brand\":\"bhyve\",\"tags\":{\"a\":[]}}", "bad_values",
		    "tags", "neither a string" },
		{ "{\"brand\":\"bhyve\",\"nics\":{}}", "bad_values", "nics",
		    "is not an array" },
		{ "{\"brand\":\"bhyve\",\"nics\":[7]}", "bad_values", "nics.0",
		    "not an object" },
		{ "{\"brand\":\"bhyve\",\"nics\":[{\"mac\":\"x\"}]}",
		    "bad_values", "nics.0.mac", "an Ethernet address" },
		{ "{\"brand\":\"bhyve\",\"nics\":[{\"mac\":"
		  "\"03:00:00:00:00:01\"}]}",
		    "bad_values", "nics.0.mac", "an Ethernet address" },
		{ "{\"brand\":\"bhyve\",\"nics\":[{\"ip\":\"10.0.0.1\"}]}",
		    "missing_properties", "nics.0.netmask", "ip needs it" },
		{ "{\"brand\":\"bhyve\",\"nics\":[{\"ip\":\"10.0.0.1\","
		  "\"netmask\":\"255.0.255.0\"}]}",
		    "bad_values", "nics.0.netmask", "is not a mask as" },
		{ "{\"brand\":\"bhyve\",\"create_timestamp\":\"2026-11-23\"}",
		    "bad_values", "create_timestamp", "is not a time as" },
		{ "{\"brand\":\"bhyve\",\"nics\":[{\"vlan_id\":4095}]}",
		    "bad_values", "nics.0.vlan_id", "0..4094" },
		{ "{\"brand\":\"bhyve\",\"nics\":[{\"primary\":true},"
		  "{\"primary\":true}]}",
		    "bad_values", "nics.1.primary", "nics.0 says so already" },
		{ "{\"brand\":\"bhyve\",\"nics\":[{\"mac\":"
		  "\"02:00:00:00:00:0a\"},{\"mac\":\"2:0:0:0:0:A\"}]}",
		    "bad_values", "nics.1.mac", "is that of nics.0" },
		{ "{\"brand\":\"bhyve\",\"disks\":[{}]}", "missing_properties",
		    "disks.0.size", "has a size" },
		{ "{\"brand\":\"bhyve\",\"disks\":[{\"size\":1,"
		  "\"image_uuid\":\"" UUID "\"}]}",
		    "bad_values", "disks.0.size", "the image's size" },
		{ "{\"brand\":\"bhyve\",\"disks\":[{\"size\":1,"
		  "\"block_size\":1000}]}",
		    "bad_values", "disks.0.block_size", "no power of 2" },
		{ "{\"brand\":\"bhyve\",\"disks\":[{\"size\":1,"
		  "\"refreservation\":2}]}",
		    "bad_values", "disks.0.refreservation", "more than" },
		{ "{\"brand\":\"bhyve\",\"disks\":[{\"media\":\"cdrom\"}]}",
		    "missing_properties", "disks.0.path", "a CD needs it" },
		{ "{\"brand\":\"bhyve\",\"disks\":[{\"size\":9,"
		  "\"boot\":true},{\"size\":9,\"boot\":true}]}",
		    "bad_values", "disks.1.boot", "disks.0 says so already" },
		{ "{\"brand\":\"bhyve\",\"disks\":[{\"size\":9}],"
		  "\"flexible_disk_size\":8}",
		    "bad_values", "flexible_disk_size", "together, 9" },
		{ "{\"brand\":\"bhyve\",\"ram\":512,"
		  "\"max_physical_memory\":256}",
		    "bad_values", "max_physical_memory", "less than ram" },
		{ "{\"brand\":\"bhyve\",\"nics\":[{\"ips\":"
		  "[\"10.0.0.5/24\"]},{\"ips\":[\"10.0.0.5/24\"]}]}",
		    "bad_values", "nics", "10.0.0.5 is given to" },
		{ "{\"brand\":\"bhyve\",\"disks\":[{\"size\":1,"
		  "\"pci_slot\":\"0:9:1\"}]}",
		    "bad_values", "disks", "no guest looks at" },
		{ "{\"brand\":\"bhyve\",\"add_nics\":[]}", "bad_properties",
		    "add_nics", "it is for update" },
	};
	json_t *f, *why;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tap_check_int(
		    faults_of(rows[i].text, MANIFEST_CREATE, &f), -EINVAL);
		tap_check_str(json_string_value(json_array_get(
				  json_object_get(f, rows[i].list), 0)),
		    rows[i].name);
		why = json_array_get(json_object_get(f, "why"), 0);
		tap_check_has(json_string_value(why), rows[i].why);
		tap_check_u64(json_array_size(json_object_get(f, "why")), 1);
		json_decref(f);
	}
}

static void
updates_are_checked(void)
{
	static const struct {
		const char *text, *list, *name, *why;
	} rows[] = {
		{ "{\"brand\":\"bhyve\"}", "bad_properties", "brand",
		    "cannot be changed" },
		{ "{\"uuid\":\"" UUID "\"}", "bad_properties", "uuid",
		    "cannot be changed" },
		{ "{\"nics\":[]}", "bad_properties", "nics", "use add_nics" },
		{ "{\"tags\":{}}", "bad_properties", "tags", "use set_tags" },
		{ "{\"set_nics\":[]}", "bad_properties", "set_nics",
		    "no such property" },
		{ "{\"update_nics\":[{\"mtu\":1500}]}", "missing_properties",
		    "update_nics.0.mac", "which one" },
		{ "{\"update_disks\":[{\"path\":\"/x\",\"zpool\":\"y\"}]}",
		    "bad_properties", "update_disks.0.zpool",
		    "cannot be changed" },
		{ "{\"remove_nics\":\"x\"}", "bad_values", "remove_nics",
		    "array of names" },
		{ "{\"set_tags\":[]}", "bad_values", "set_tags",
		    "is not an object" },
		{ "{\"ram\":null}", "bad_values", "ram", "cannot be unset" },
	};
	json_t *f, *why;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tap_check_int(
		    faults_of(rows[i].text, MANIFEST_UPDATE, &f), -EINVAL);
		tap_check_str(json_string_value(json_array_get(
				  json_object_get(f, rows[i].list), 0)),
		    rows[i].name);
		why = json_array_get(json_object_get(f, "why"), 0);
		tap_check_has(json_string_value(why), rows[i].why);
		json_decref(f);
	}
}

static void
all_faults_in_one_answer(void)
{
	json_t *f;

	tap_check_int(faults_of("{\"brand\":\"kvm\",\"a\":1,\"b\":2,\"ram\":[],"
				"\"disks\":[{},{\"size\":\"x\"}],"
				"\"nics\":[{\"ips\":[\"1\"]}]}",
			  MANIFEST_CREATE, &f),
	    -EINVAL);
	tap_check_str(
	    json_string_value(json_object_get(f, "bad_brand")), "kvm");
	tap_check_u64(json_array_size(json_object_get(f, "bad_properties")), 2);
	tap_check_u64(json_array_size(json_object_get(f, "bad_values")), 3);
	tap_check_u64(
	    json_array_size(json_object_get(f, "missing_properties")), 1);
	json_decref(f);
}

/* A name goes to a terminal: it can write there, but nothing else. */
static void
names_are_made_harmless(void)
{
	const char *why;
	json_t *f;

	tap_check_int(
	    faults_of("{\"brand\":\"bhyve\",\"a\\u001b[2J\\nb\\u009bc\":1}",
		MANIFEST_CREATE, &f),
	    -EINVAL);
	why = json_string_value(json_array_get(json_object_get(f, "why"), 0));
	tap_check_str(why, "a?[2J?b??c: there is no such property");
	tap_check_str(json_string_value(json_array_get(
			  json_object_get(f, "bad_properties"), 0)),
	    "a?[2J?b??c");
	json_decref(f);
}

static void
json_is_bounded(void)
{
	cleanup_free char *deep = alloc_bytes(100001);
	struct error err = ERROR_INIT;
	json_t *v = NULL;

	memset(deep, '[', 100000);
	tap_check_int(manifest_load(deep, 100000, &v, &err), -EINVAL);
	tap_check_int(manifest_load(deep, MANIFEST_MAX + 1, &v, &err), -EFBIG);
	tap_check_int(
	    manifest_load("{\"a\":1,\"a\":2}", 13, &v, &err), -EINVAL);
	tap_check_has(err.text, "line 1, column");
	tap_check(v == NULL);
}

/* ---- random manifests ---- */

struct random {
	uint64_t s;
};

static uint64_t
draw(struct random *r, uint64_t n)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s % n;
}

static json_t *
random_int(struct random *r, const char *range)
{
	const char *dots = strstr(range, "..");
	long long min = atoll(range), max = atoll(dots + 2);

	return json_integer(
	    min + (long long)draw(r, (uint64_t)(max - min) + 1));
}

/* What only some texts are. */
static const struct {
	const char *name;
	const char *values[3];
} texts[] = {
	{ "bootrom", { "bios", "uefi", "/rom" } },
	{ "vnc_password", { "secret", "a", "12345678" } },
	{ "kernel", { "/boot/vmlinuz", "/k", "/a b" } },
	{ "initrd", { "/boot/initrd", "/i", "/i-1" } },
	{ "zpool", { "zones", "fast", "zones" } },
	{ "guest_block_size", { "512", "512/4096", "4096" } },
	{ "compression", { "on", "gzip-9", "lz4" } },
	{ "pci_slot", { "0:7:0", "0:8:0", "0:9:0" } },
	{ "serial", { "S1", "disk-2", "a.b" } },
	{ "resolvers", { "8.8.8.8", "fd00::53", "1.1.1.1" } },
	{ "allowed_ips", { "10.0.0.6", "10.9.0.0/16", "fd00::/64" } },
	{ "allowed_dhcp_cids", { "0x01ab", "0xffff00", "0x0001" } },
	{ "blocked_outgoing_ports", { "25-26", "6000-6063", "1-9" } },
	{ "maxbw", { "100M", "1G", "10M" } },
	{ "create_timestamp",
	    { "2026-11-22T17:14:29.000Z", "2020-01-02T03:04:05Z",
		"2020-01-02T03:04:05.6+01:30" } },
};

static const char *
random_text(struct random *r, const struct manifest_prop *p, char buf[32])
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i].name, p->name) == 0)
			return texts[i].values[draw(r, 3)];
	str_format(buf, 32, "v%u", (unsigned)draw(r, 1000));
	return buf;
}

static json_t *
random_word(struct random *r, const char *range)
{
	size_t n = 1, i;

	for (const char *q = range; *q != '\0'; q++)
		n += *q == '|';
	i = draw(r, n);
	while (i-- > 0)
		range = strchr(range, '|') + 1;
	return json_stringn(range, strcspn(range, "|"));
}

static json_t *
random_value(struct random *r, const struct manifest_prop *p)
{
	char buf[64];
	json_t *v;

	switch (p->type) {
	case MANIFEST_BOOL:
		return json_true();
	case MANIFEST_INT:
		return random_int(r, p->range);
	case MANIFEST_UUID:
		str_format(buf, sizeof(buf), "%08x-0000-4000-8000-%012x",
		    (unsigned)draw(r, UINT32_MAX),
		    (unsigned)draw(r, UINT32_MAX));
		return json_string(buf);
	case MANIFEST_LIST:
		v = json_array();
		json_array_append_new(v, json_string(random_text(r, p, buf)));
		return v;
	case MANIFEST_STRING:
		return p->range != NULL ? random_word(r, p->range)
					: json_string(random_text(r, p, buf));
	case MANIFEST_MAP:
	case MANIFEST_ITEMS:
		break;
	}
	return NULL;
}

static bool
left_out(const struct manifest_prop *p)
{
	static const char *const names[] = { "brand", "uuid", "disks", "nics",
		"max_physical_memory", "max_swap", "max_locked_memory",
		"flexible_disk_size", "path", "mac", "interface", "boot",
		"primary", "image_uuid", "size", "block_size", "refreservation",
		"nocreate", "media", "pci_slot", "gateways", "ips", "ip",
		"gateway", "netmask", "dhcp_server", "hostfwd",
		"dangerous_allow_shrink", "vlan_id", "cpu_cap" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], p->name) == 0)
			return true;
	return p->type == MANIFEST_MAP || p->update == MANIFEST_UPDATE_FACT;
}

static void
random_rows(struct random *r, const char *scope, json_t *o)
{
	const struct manifest_prop *p = NULL;

	while ((p = manifest_next(p)) != NULL)
		if (strcmp(p->scope, scope) == 0 && !left_out(p) &&
		    draw(r, 2) == 0)
			json_object_set_new(o, p->name, random_value(r, p));
}

static json_t *
random_items(struct random *r, const char *scope)
{
	bool nic = strcmp(scope, "nics") == 0;
	json_t *list = json_array(), *o;
	size_t n = draw(r, 4);
	char text[64];

	for (size_t i = 0; i < n; i++) {
		o = json_object();
		random_rows(r, scope, o);
		if (nic) {
			str_format(text, sizeof(text), "02:00:00:00:00:%02x",
			    (unsigned)i);
			json_object_set_new(o, "mac", json_string(text));
			str_format(
			    text, sizeof(text), "10.0.%u.5/24", (unsigned)i);
			json_object_set_new(
			    o, "ips", json_pack("[s, s]", text, "addrconf"));
			json_object_set_new(o, "vlan_id",
			    json_integer((json_int_t)draw(r, 4095)));
		} else {
			str_format(text, sizeof(text),
			    "/dev/zvol/rdsk/zones/" UUID "/disk%zu", i);
			json_object_set_new(o, "path", json_string(text));
			json_object_set_new(o, "size",
			    json_integer(1 + (json_int_t)draw(r, 1 << 20)));
		}
		if (i == 0 && draw(r, 2) == 0)
			json_object_set_new(
			    o, nic ? "primary" : "boot", json_true());
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
random_manifest(uint64_t seed)
{
	struct random r = { seed * 0x9e3779b97f4a7c15 + 1 };
	json_t *m = json_pack("{s:s, s:s}", "brand", "bhyve", "uuid", UUID);

	random_rows(&r, "", m);
	json_object_set_new(
	    m, "cpu_cap", json_integer(1 + (json_int_t)draw(&r, 1000)));
	json_object_set_new(m, "disks", random_items(&r, "disks"));
	json_object_set_new(m, "nics", random_items(&r, "nics"));
	return m;
}

/* Everything in 'want' is in 'got', the same. */
static void
check_within(const json_t *want, const json_t *got, const char *where)
{
	const char *key;
	json_t *v, *w;
	char *a, *b;

	json_object_foreach((json_t *)(uintptr_t)want, key, v)
	{
		w = json_object_get(got, key);
		if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
			tap_check_u64(json_array_size(w), json_array_size(v));
			for (size_t i = 0; i < json_array_size(v); i++)
				check_within(json_array_get(v, i),
				    json_array_get(w, i), key);
			continue;
		}
		if (json_is_array(v) && json_array_size(v) == 0 && w == NULL)
			continue;
		a = json_dumps(v, JSON_ENCODE_ANY);
		b = w != NULL ? json_dumps(w, JSON_ENCODE_ANY) : strdup("-");
		tap_context("%s %s", where, key);
		tap_check_str(b, a);
		free(a);
		free(b);
	}
}

static struct zone_conf *
to_conf(json_t *m, const struct zone_brand *brand)
{
	struct zone_conf *conf = NULL;
	struct error err = ERROR_INIT;
	struct manifest_faults f;
	bool changed;
	char *dump;

	tap_check_int(manifest_faults_init(&f), 0);
	if (manifest_check(m, MANIFEST_CREATE, NULL, &f) < 0) {
		dump = json_dumps(f.why, JSON_INDENT(1));
		tap_fail("%s", dump);
	}
	manifest_faults_fini(&f);
	if (manifest_to_conf(m, "/zones/" UUID, &conf, &err) < 0 ||
	    zone_assign(conf, &changed, &err) < 0 ||
	    zone_verify(conf, brand, &err) < 0)
		tap_fail("%s", err.text);
	return conf;
}

static void
random_manifests_come_back(void)
{
	struct zone_brand *brand = NULL;
	struct error err = ERROR_INIT;
	struct zone_conf *conf, *copy;
	json_t *m, *back = NULL;
	struct buf b;

	tap_check_int(zone_brand_load(BRAND_DIR, "bhyve", &brand, &err), 0);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		m = random_manifest(seed);
		conf = to_conf(m, brand);
		/* through the file, as it is read again */
		buf_init(&b, ZONE_XML_MAX);
		zone_xml_write(conf, &b);
		tap_check_int(
		    zone_xml_read("x", b.data, b.len, &copy, &err), 0);
		tap_check(zone_conf_equal(conf, copy));
		tap_check_int(manifest_from_conf(copy, &back, &err), 0);
		check_within(m, back, "seed");
		buf_fini(&b);
		zone_conf_free(conf);
		zone_conf_free(copy);
		json_decref(m);
		json_decref(back);
	}
	zone_brand_free(brand);
}

/* Whatever zonecfg makes can be shown, and changed without losing anything. */
static void
zones_of_zonecfg_are_vms(void)
{
	struct zone_brand *brand = NULL;
	struct error err = ERROR_INIT;
	struct zone_conf *conf, *now = NULL;
	json_t *back = NULL, *payload = parse("{\"alias\":\"new\"}");
	bool boot;

	tap_check_int(zone_brand_load(BRAND_DIR, "bhyve", &brand, &err), 0);
	for (uint64_t seed = 1; seed <= SEEDS / 3; seed++) {
		conf = zone_random(seed, brand, "z");
		tap_context("seed %ju", (uintmax_t)seed);
		tap_check_int(manifest_from_conf(conf, &back, &err), 0);
		json_decref(back);
		if (manifest_update_conf(payload, conf, &now, &boot, &err) < 0)
			tap_fail("%s", err.text);
		back = manifest_get(now, "alias");
		tap_check_str(json_string_value(back), "new");
		json_decref(back);
		tap_check_u64(zone_conf_count(now) - zone_conf_count(conf),
		    manifest_get(conf, "alias") == NULL);
		zone_conf_free(conf);
		zone_conf_free(now);
	}
	json_decref(payload);
	zone_brand_free(brand);
}

/* ---- update ---- */

static struct zone_conf *
updated(const struct zone_conf *conf, const char *text, bool *boot)
{
	struct zone_conf *now = NULL;
	struct error err = ERROR_INIT;
	struct manifest_faults f;
	json_t *payload = parse(text);

	tap_check_int(manifest_faults_init(&f), 0);
	tap_check_int(manifest_check(payload, MANIFEST_UPDATE, "bhyve", &f), 0);
	manifest_faults_fini(&f);
	if (manifest_update_conf(payload, conf, &now, boot, &err) < 0)
		tap_fail("%s", err.text);
	json_decref(payload);
	return now;
}

static void
check_number(const struct zone_conf *conf, const char *prop, int64_t want)
{
	json_t *v = manifest_get(conf, prop);

	tap_check_int(v != NULL ? json_integer_value(v) : -1, want);
	json_decref(v);
}

static void
memory_follows_ram(void)
{
	struct zone_brand *brand = NULL;
	struct error err = ERROR_INIT;
	struct zone_conf *conf, *now;
	json_t *m = parse("{\"brand\":\"bhyve\",\"uuid\":\"" UUID "\","
			  "\"ram\":512}");
	bool boot = false;

	tap_check_int(zone_brand_load(BRAND_DIR, "bhyve", &brand, &err), 0);
	conf = to_conf(m, brand);
	check_number(conf, "max_physical_memory", 1536);
	now = updated(conf, "{\"ram\":2048}", &boot);
	tap_check(boot);
	check_number(now, "ram", 2048);
	check_number(now, "max_physical_memory", 3072);
	check_number(now, "max_swap", 3072);
	zone_conf_free(now);
	now =
	    updated(conf, "{\"ram\":600,\"max_physical_memory\":4000}", &boot);
	check_number(now, "max_physical_memory", 4000);
	zone_conf_free(now);
	now = updated(conf, "{\"cpu_cap\":150,\"alias\":\"x\"}", &boot);
	tap_check(!boot);
	check_number(now, "cpu_cap", 150);
	zone_conf_free(conf);
	conf = updated(now, "{\"cpu_cap\":0}", &boot);
	check_number(conf, "cpu_cap", -1);
	zone_conf_free(now);
	zone_conf_free(conf);
	json_decref(m);
	zone_brand_free(brand);
}

static void
nics_and_disks_change(void)
{
	struct zone_brand *brand = NULL;
	struct error err = ERROR_INIT;
	struct zone_conf *conf, *now;
	json_t *m = parse(
	    "{\"brand\":\"bhyve\",\"uuid\":\"" UUID "\",\"nics\":["
	    "{\"mac\":\"02:00:00:00:00:01\"},{\"mac\":\"02:00:00:00:00:02\"}],"
	    "\"disks\":[{\"path\":\"/a\",\"size\":1,\"boot\":true}]}");
	json_t *nics, *payload, *ports;
	bool boot = false;

	tap_check_int(zone_brand_load(BRAND_DIR, "bhyve", &brand, &err), 0);
	conf = to_conf(m, brand);
	now = updated(conf,
	    "{\"update_nics\":[{\"mac\":\"02:00:00:00:00:02\","
	    "\"primary\":true,\"mtu\":1400,"
	    "\"blocked_outgoing_ports\":[25,\"6000-6063\"]}],"
	    "\"remove_nics\":[\"2:0:0:0:0:1\"],"
	    "\"add_nics\":[{\"mac\":\"02:00:00:00:00:03\",\"ips\":[\"dhcp\"]}],"
	    "\"add_disks\":[{\"path\":\"/b\",\"size\":2}]}",
	    &boot);
	nics = manifest_get(now, "nics");
	tap_check_u64(json_array_size(nics), 2);
	tap_check_str(json_string_value(json_object_get(
			  json_array_get(nics, 1), "interface")),
	    "net0");
	tap_check(
	    json_is_true(json_object_get(json_array_get(nics, 0), "primary")));
	ports =
	    json_object_get(json_array_get(nics, 0), "blocked_outgoing_ports");
	tap_check_int(json_integer_value(json_array_get(ports, 0)), 25);
	tap_check_str(json_string_value(json_array_get(ports, 1)), "6000-6063");
	tap_check_int(zone_verify(now, brand, &err), 0);
	json_decref(nics);
	payload = parse("{\"remove_nics\":[\"02:00:00:00:00:09\"]}");
	zone_conf_free(conf);
	conf = NULL;
	tap_check_int(
	    manifest_update_conf(payload, now, &conf, &boot, &err), -ENOENT);
	tap_check_has(err.text, "no NIC with MAC address '02:00:00:00:00:09'");
	tap_check(conf == NULL);
	json_decref(payload);
	json_decref(m);
	zone_conf_free(now);
	zone_brand_free(brand);
}

/* The old names for an address, one without the other. */
static void
addresses_change_in_part(void)
{
	static const struct {
		const char *change, *want;
	} rows[] = {
		{ "\"ip\":\"10.0.0.6\"", "[\"10.0.0.6/24\", \"addrconf\"]" },
		{ "\"netmask\":\"255.255.0.0\"",
		    "[\"10.0.0.5/16\", \"addrconf\"]" },
		{ "\"ip\":\"10.1.0.6\",\"netmask\":\"255.0.0.0\"",
		    "[\"10.1.0.6/8\"]" },
		{ "\"ip\":\"dhcp\"", "[\"dhcp\"]" },
		{ "\"ip\":null", NULL },
	};
	struct zone_brand *brand = NULL;
	struct error err = ERROR_INIT;
	struct zone_conf *conf, *now;
	json_t *m = parse("{\"brand\":\"bhyve\",\"uuid\":\"" UUID
			  "\",\"nics\":[{\"mac\":\"02:00:00:00:00:01\","
			  "\"ips\":[\"10.0.0.5/24\",\"addrconf\"]}]}");
	char text[256], *got;
	json_t *nics;
	bool boot;

	tap_check_int(zone_brand_load(BRAND_DIR, "bhyve", &brand, &err), 0);
	conf = to_conf(m, brand);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("%s", rows[i].change);
		snprintf(text, sizeof(text),
		    "{\"update_nics\":[{\"mac\":\"02:00:00:00:00:01\",%s}]}",
		    rows[i].change);
		now = updated(conf, text, &boot);
		nics = manifest_get(now, "nics");
		got =
		    json_dumps(json_object_get(json_array_get(nics, 0), "ips"),
			JSON_ENCODE_ANY);
		tap_check_str(got, rows[i].want);
		free(got);
		json_decref(nics);
		zone_conf_free(now);
	}
	now = updated(conf,
	    "{\"update_nics\":[{\"mac\":\"02:00:00:00:00:01\","
	    "\"ips\":[\"dhcp\"]}]}",
	    &boot);
	zone_conf_free(conf);
	conf = NULL;
	json_decref(m);
	m = parse("{\"update_nics\":[{\"mac\":\"02:00:00:00:00:01\","
		  "\"ips\":[\"/24\"]}]}");
	tap_check_int(
	    manifest_update_conf(m, now, &conf, &boot, &err), -EINVAL);
	tap_check_has(err.text, "no IPv4 address to change a part of");
	json_decref(m);
	zone_conf_free(now);
	zone_brand_free(brand);
}

/* SmartOS's own way of saying it: read, changed in place, not said twice. */
static void
smartos_stays_smartos(void)
{
	static const char text[] =
	    "set zonepath=/zones/x; set brand=bhyve; set ip-type=exclusive; "
	    "add net; set physical=net0; set mac-addr=c2:ba:60:58:bf:78; "
	    "add property (name=gateway,value=\"172.26.17.1\"); "
	    "add property (name=ips,value=\"172.26.17.211/24\"); "
	    "add property (name=primary,value=\"true\"); end; "
	    "add device; set match=/dev/zvol/rdsk/zones/" UUID "/disk0; "
	    "add property (name=boot,value=\"true\"); "
	    "add property (name=model,value=\"virtio\"); "
	    "add property (name=image-size,value=\"10240\"); end; "
	    "add attr; set name=ram; set type=string; set value=2048; end";
	struct zone_conf *conf = zone_conf_create(), *now;
	struct error err = ERROR_INIT;
	json_t *disks;
	bool boot;

	tap_check_int(zone_apply(conf, text, &err), 0);
	check_number(conf, "ram", 2048);
	disks = manifest_get(conf, "disks");
	tap_check_int(json_integer_value(json_object_get(
			  json_array_get(disks, 0), "image_size")),
	    10240);
	json_decref(disks);
	now = updated(conf,
	    "{\"ram\":4096,\"update_disks\":[{\"path\":"
	    "\"/dev/zvol/rdsk/zones/" UUID "/disk0\",\"model\":\"nvme\"}]}",
	    &boot);
	check_number(now, "ram", 4096);
	tap_check(zone_conf_first(now, "capped-memory") == NULL);
	tap_check_str(
	    zone_res_pair(zone_conf_first(now, "device"), "model"), "nvme");
	zone_conf_free(conf);
	zone_conf_free(now);
}

static void
words_become_json(void)
{
	static const struct {
		const char *prop, *value, *json; /* NULL: refused */
	} rows[] = {
		{ "ram", "512", "512" },
		{ "ram", "5x", NULL },
		{ "vnc_port", "-1", "-1" },
		{ "alias", "512", "\"512\"" },
		{ "autoboot", "true", "true" },
		{ "autoboot", "yes", NULL },
		{ "resolvers", "1.1.1.1,8.8.8.8",
		    "[\"1.1.1.1\", \"8.8.8.8\"]" },
		{ "set_tags", "{\"a\":1}", "{\"a\": 1}" },
		{ "set_tags", "{a:1}", NULL },
		{ "nonsense", "x", "\"x\"" },
	};
	struct error err = ERROR_INIT;
	json_t *o = json_object();
	char *dump;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("%s=%s", rows[i].prop, rows[i].value);
		tap_check_int(
		    manifest_add_text(o, rows[i].prop, rows[i].value, &err),
		    rows[i].json != NULL ? 0 : -EINVAL);
		if (rows[i].json == NULL)
			continue;
		dump = json_dumps(
		    json_object_get(o, rows[i].prop), JSON_ENCODE_ANY);
		tap_check_str(dump, rows[i].json);
		free(dump);
	}
	json_decref(o);
}

static const struct tap_test tests[] = {
	TAP_TEST(each_fault_is_named),
	TAP_TEST(updates_are_checked),
	TAP_TEST(all_faults_in_one_answer),
	TAP_TEST(names_are_made_harmless),
	TAP_TEST(json_is_bounded),
	TAP_TEST(random_manifests_come_back),
	TAP_TEST(zones_of_zonecfg_are_vms),
	TAP_TEST(memory_follows_ram),
	TAP_TEST(nics_and_disks_change),
	TAP_TEST(addresses_change_in_part),
	TAP_TEST(smartos_stays_smartos),
	TAP_TEST(words_become_json),
};
TAP_MAIN(tests)
