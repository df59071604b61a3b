/*
 * One rule, one function; the table at the end is the list of rules.
 */
#include "zone/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/impl.h"
#include "zone/type.h"

#define SLOTS_MAX 256

struct verify {
	const struct zone_conf *conf;
	const struct zone_brand *brand; /* may be NULL */
	struct error *err;
};

#define FOREACH(r, conf, name)                                       \
	for (const struct zone_res *r = zone_conf_first(conf, name); \
	     r != NULL; r = zone_conf_next(conf, zone_rtype_find(name), r))

static bool
is(const char *value, const char *word)
{
	return value != NULL && strcmp(value, word) == 0;
}

static const char *
ip_type(const struct verify *v)
{
	const char *set = zone_conf_get(v->conf, "ip-type"), *fixed = NULL;

	if (v->brand != NULL)
		fixed = zone_brand_fixed(
		    v->brand, zone_prop_row(ZONE_GLOBAL, "ip-type"));
	return set != NULL ? set : fixed != NULL ? fixed : "shared";
}

static int
rule_required(const struct verify *v)
{
	const struct zone_res *g = zone_conf_global(v->conf);

	for (const struct zone_prop *p = ZONE_GLOBAL->props; p->name; p++)
		if ((p->flags & ZP_REQUIRED) != 0 && zone_res_count(g, p) == 0)
			return error_set(v->err, EINVAL,
			    "%s is not set; use 'set %s=...'", p->name,
			    p->name);
	return 0;
}

static int
rule_zonepath(const struct verify *v)
{
	static const char *const taken[] = { "/", "/dev", "/proc", "/sys",
		"/etc", "/usr", "/bin", "/sbin", "/lib", "/boot", "/run" };
	const char *path = zone_conf_get(v->conf, "zonepath");

	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (strcmp(path, taken[i]) == 0)
			return error_set(v->err, EINVAL,
			    "zonepath: '%s' belongs to the host", path);
	return 0;
}

static int
brand_res(const struct verify *v, const struct zone_res *r)
{
	const struct zone_rtype *t = zone_res_type(r);
	const char *where = t == ZONE_GLOBAL ? "the zone" : t->name;

	if (!zone_brand_allows(v->brand, t, NULL))
		return error_set(v->err, EINVAL,
		    "%s: zones of brand %s have no such resource", t->name,
		    zone_brand_name(v->brand));
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if (zone_res_count(r, p) > 0 &&
		    !zone_brand_allows(v->brand, t, p))
			return error_set(v->err, EINVAL,
			    "%s: brand %s has no property %s", where,
			    zone_brand_name(v->brand), p->name);
	return 0;
}

static int
rule_brand(const struct verify *v)
{
	const struct zone_res *g = zone_conf_global(v->conf);
	const char *fixed;
	int rc;

	if (v->brand == NULL)
		return 0;
	rc = brand_res(v, g);
	for (size_t i = 0; rc == 0 && i < zone_conf_count(v->conf); i++)
		rc = brand_res(v, zone_conf_at(v->conf, i));
	for (const struct zone_prop *p = ZONE_GLOBAL->props;
	     rc == 0 && p->name != NULL; p++) {
		fixed = zone_brand_fixed(v->brand, p);
		if (fixed != NULL && zone_res_count(g, p) > 0 &&
		    strcmp(zone_res_get(g, p->name), fixed) != 0)
			rc = error_set(v->err, EINVAL,
			    "%s: '%s' cannot be; with brand %s it is always "
			    "'%s'",
			    p->name, zone_res_get(g, p->name),
			    zone_brand_name(v->brand), fixed);
	}
	return rc;
}

static int
rule_fs(const struct verify *v)
{
	static const char *const refused[] = { "proc", "mntfs", "autofs",
		"cachefs", "nfs", "nfs4" };
	const char *dir, *type;

	FOREACH(r, v->conf, "fs")
	{
		dir = zone_res_get(r, "dir");
		type = zone_res_get(r, "type");
		for (size_t i = 0; i < ARRAY_LEN(refused); i++)
			if (strcmp(type, refused[i]) == 0)
				return error_set(v->err, EINVAL,
				    "fs %s: type '%s' cannot be given to a "
				    "zone",
				    dir, type);
		if (strcmp(dir, "/") == 0)
			return error_set(v->err, EINVAL,
			    "fs: dir '/' is the zone's own root");
		if (is(type, "lofs") && zone_res_get(r, "special")[0] != '/')
			return error_set(v->err, EINVAL,
			    "fs %s: special '%s' must begin with '/'", dir,
			    zone_res_get(r, "special"));
	}
	return 0;
}

/* The rows that only one kind of network stack has. */
static int
net_one(const struct verify *v, const struct zone_res *r)
{
	static const char *const exclusive[] = { "allowed-address", "mac-addr",
		"vlan-id", "global-nic" };
	const char *name = zone_res_get(r, "physical");

	if (is(ip_type(v), "exclusive")) {
		if (zone_res_get(r, "address") != NULL)
			return error_set(v->err, EINVAL,
			    "net %s: address '%s': a zone with ip-type "
			    "exclusive sets its own; use allowed-address",
			    name, zone_res_get(r, "address"));
		return 0;
	}
	if (zone_res_get(r, "address") == NULL)
		return error_set(v->err, EINVAL,
		    "net %s: address is missing; ip-type shared needs it",
		    name);
	for (size_t i = 0; i < ARRAY_LEN(exclusive); i++)
		if (zone_res_get(r, exclusive[i]) != NULL)
			return error_set(v->err, EINVAL,
			    "net %s: %s is for ip-type exclusive only", name,
			    exclusive[i]);
	return 0;
}

static int
same_mac(const struct verify *v, const struct zone_res *a)
{
	const char *mine = zone_res_get(a, "mac-addr"), *other;
	uint8_t x[6], y[6];

	if (mine == NULL || str_to_mac(mine, x) != 0)
		return 0;
	FOREACH(b, v->conf, "net")
	{
		if (b == a)
			break;
		other = zone_res_get(b, "mac-addr");
		if (other != NULL && str_to_mac(other, y) == 0 &&
		    memcmp(x, y, sizeof(x)) == 0)
			return error_set(v->err, EINVAL,
			    "net %s: mac-addr '%s' is that of net %s",
			    zone_res_get(a, "physical"), mine,
			    zone_res_get(b, "physical"));
	}
	return 0;
}

static int
rule_net(const struct verify *v)
{
	const struct zone_res *primary = NULL;
	int rc = 0;

	FOREACH(r, v->conf, "net")
	{
		rc = net_one(v, r);
		if (rc == 0)
			rc = same_mac(v, r);
		if (rc < 0)
			return rc;
		if (!is(zone_res_lookup(r, "primary"), "true"))
			continue;
		if (primary != NULL)
			return error_set(v->err, EINVAL,
			    "net %s: primary: net %s is the primary one "
			    "already",
			    zone_res_get(r, "physical"),
			    zone_res_get(primary, "physical"));
		primary = r;
	}
	return 0;
}

static int
rule_nics(const struct verify *v)
{
	const struct zone_rtype *net = zone_rtype_find("net");

	if (v->brand == NULL ||
	    !zone_brand_allows(v->brand, net, zone_prop_row(net, "ips")))
		return 0;
	return zone_verify_nets(v->conf, v->err);
}

static int
rule_rctl(const struct verify *v)
{
	const struct zone_prop *row =
	    zone_prop_row(zone_rtype_find("rctl"), "value");
	const char *priv;

	FOREACH(r, v->conf, "rctl")
	for (size_t i = 0; i < zone_res_count(r, row); i++) {
		priv = zone_res_value(r, row, i)->text[0];
		if (strcmp(priv, "privileged") != 0)
			return error_set(v->err, EINVAL,
			    "rctl %s: priv '%s': a zone's limits are "
			    "'privileged'",
			    zone_res_get(r, "name"), priv);
	}
	return 0;
}

/* The type that an attr itself claims. */
static int
attr_type(const struct verify *v, const struct zone_res *r)
{
	static const struct {
		const char *word;
		enum zone_type type;
	} types[] = { { "int", ZONE_INT }, { "uint", ZONE_UINT },
		{ "boolean", ZONE_ENUM }, { "string", ZONE_STRING } };
	const char *name = zone_res_get(r, "name");
	cleanup_free char *kept = NULL;
	int rc = 0;

	if (strncmp(name, "zone", 4) == 0)
		return error_set(v->err, EINVAL,
		    "attr %s: names that begin with 'zone' are reserved", name);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (is(zone_res_get(r, "type"), types[i].word))
			rc = zone_type_check(types[i].type, "true|false",
			    zone_res_get(r, "value"), &kept, v->err);
	return rc < 0 ? error_prefix(v->err, "attr %s: value", name) : 0;
}

/*
 * An attr that is another name of a row has the row's type. Only for brands
 * that have the row: elsewhere the name may mean anything.
 */
static int
attr_alias(const struct verify *v, const struct zone_res *r)
{
	const char *name = zone_res_get(r, "name"), *said;
	const char *value = zone_res_get(r, "value");
	const struct zone_rtype *t = NULL;
	const struct zone_prop *p = zone_attr_row(name, &t);
	cleanup_free char *kept = NULL;
	const struct zone_res *first;

	if (p == NULL || v->brand == NULL || !zone_brand_allows(v->brand, t, p))
		return 0;
	if (value[0] != '\0' &&
	    zone_type_check(p->type, p->range, value, &kept, v->err) < 0)
		return error_prefix(v->err, "attr %s: value", name);
	first = zone_conf_first(v->conf, t->name);
	said = first != NULL ? zone_res_get(first, p->name) : NULL;
	if (said != NULL && !is(kept, said))
		return error_set(v->err, EINVAL,
		    "attr %s says '%.64s' and %s %s says '%.64s'; remove one",
		    name, value, t->name, p->name, said);
	return 0;
}

/*
 * Attrs that say what the guest is told (zone/facts.h) and are no row. Only for
 * brands that tell.
 */
static int
attr_fact(const struct verify *v, const struct zone_res *r)
{
	static const struct {
		const char *name;
		enum zone_type type;
		bool list; /* commas between */
	} facts[] = {
		{ "hostname", ZONE_HOSTNAME },
		{ "owner-uuid", ZONE_UUID },
		{ "image-uuid", ZONE_UUID },
		{ "dataset-uuid", ZONE_UUID },
		{ "internal-metadata-namespaces", ZONE_IDENT, .list = true },
	};
	const struct zone_rtype *tell = zone_rtype_find("cloud-init");
	const char *name = zone_res_get(r, "name"), *word;
	const char *value = zone_res_get(r, "value");
	size_t n = 0;
	int rc = 0;

	if (value[0] == '\0' || v->brand == NULL ||
	    !zone_brand_allows(v->brand, tell, NULL))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		if (!is(name, facts[i].name))
			continue;
		while (rc == 0 &&
		    (word = zone_word(
			 &value, facts[i].list ? ',' : '\0', &n)) != NULL) {
			cleanup_free char *one = alloc_strndup(word, n);
			cleanup_free char *kept = NULL;

			if (one == NULL)
				return error_set(
				    v->err, ENOMEM, "out of memory");
			rc = zone_type_check(
			    facts[i].type, NULL, one, &kept, v->err);
		}
	}
	return rc < 0 ? error_prefix(v->err, "attr %s: value", name) : 0;
}

static int
rule_attr(const struct verify *v)
{
	int rc = 0;

	FOREACH(r, v->conf, "attr")
	{
		rc = attr_type(v, r);
		if (rc == 0)
			rc = attr_fact(v, r);
		if (rc == 0)
			rc = attr_alias(v, r);
		if (rc < 0)
			break;
	}
	return rc;
}

/* What a resource is called: its first required property. */
static const char *
name_of(const struct zone_res *r)
{
	const struct zone_prop *p = zone_res_type(r)->props;

	while (p->name != NULL && (p->flags & ZP_REQUIRED) == 0)
		p++;
	return p->name != NULL && zone_res_count(r, p) > 0
	    ? zone_res_value(r, p, 0)->text[0]
	    : "";
}

static int
pair_check(const struct verify *v, const struct zone_res *r,
    const struct zone_val *pair)
{
	const struct zone_rtype *t = zone_res_type(r);
	const struct zone_prop *p = zone_pair_row(t, pair->text[0]);
	cleanup_free char *kept = NULL;
	const char *said;

	/* SmartOS leaves nothing behind where a NIC has none */
	if (p == NULL ||
	    (pair->text[1][0] == '\0' && strcmp(t->name, "net") == 0))
		return 0;
	if (zone_type_check(p->type, p->range, pair->text[1], &kept, v->err) <
	    0)
		return error_prefix(v->err, "%s %.128s: property %s", t->name,
		    name_of(r), pair->text[0]);
	if (zone_prop_find(t, p->name) == NULL)
		return 0;
	said = zone_res_get(r, p->name);
	if (said != NULL && strcmp(said, kept) != 0)
		return error_set(v->err, EINVAL,
		    "%s: property %s says '%.64s' and %s says '%.64s'; remove "
		    "one",
		    t->name, pair->text[0], kept, p->name, said);
	return 0;
}

static int
rule_pairs(const struct verify *v)
{
	static const char *const with[] = { "net", "device", "disk" };
	const struct zone_prop *row;
	int rc = 0;

	if (v->brand == NULL ||
	    !zone_brand_allows(v->brand, zone_rtype_find("disk"), NULL))
		return 0;
	for (size_t k = 0; k < ARRAY_LEN(with); k++)
		FOREACH(r, v->conf, with[k])
		{
			row = zone_prop_row(zone_res_type(r), "property");
			for (size_t i = 0; i < zone_res_count(r, row); i++) {
				rc =
				    pair_check(v, r, zone_res_value(r, row, i));
				if (rc < 0)
					return rc;
			}
		}
	return 0;
}

static int
rule_boot(const struct verify *v)
{
	static const char *const with[] = { "device", "disk" };
	static const char *const key[] = { "match", "path" };
	const char *boot = NULL, *name;

	for (size_t k = 0; k < ARRAY_LEN(with); k++)
		FOREACH(r, v->conf, with[k])
		{
			name = zone_res_get(r, key[k]);
			if (!is(zone_res_lookup(r, "boot"), "true"))
				continue;
			if (boot != NULL)
				return error_set(v->err, EINVAL,
				    "%s %.160s: boot: %.160s is the boot disk "
				    "already",
				    with[k], name, boot);
			boot = name;
		}
	return 0;
}

/* Slots that are said explicitly; the others are found at boot. */
static int
rule_slots(const struct verify *v)
{
	static const char *const with[] = { "device", "disk", "net" };
	struct zone_slot seen[SLOTS_MAX], s;
	const char *text;
	size_t n = 0;

	for (size_t k = 0; k < ARRAY_LEN(with); k++)
		FOREACH(r, v->conf, with[k])
		{
			text = zone_res_lookup(r, "pci-slot");
			if (text == NULL || zone_slot_parse(text, &s) != 0)
				continue;
			for (size_t i = 0; i < n; i++)
				if (memcmp(&seen[i], &s, sizeof(s)) == 0)
					return error_set(v->err, EINVAL,
					    "%s: pci-slot '%s' (%u:%u:%u) is "
					    "taken by another one",
					    with[k], text, s.bus, s.dev,
					    s.func);
			if (n < SLOTS_MAX)
				seen[n++] = s;
		}
	return 0;
}

static int
rule_cpu(const struct verify *v)
{
	static const char *const excluded[] = { "pool", "cpu-shares" };

	if (zone_conf_first(v->conf, "dedicated-cpu") == NULL)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(excluded); i++)
		if (zone_conf_get(v->conf, excluded[i]) != NULL)
			return error_set(v->err, EINVAL,
			    "dedicated-cpu and %s exclude each other; clear "
			    "one",
			    excluded[i]);
	if (zone_conf_first(v->conf, "capped-cpu") != NULL)
		return error_set(v->err, EINVAL,
		    "dedicated-cpu and capped-cpu exclude each other; remove "
		    "one");
	return 0;
}

static int
rule_memory(const struct verify *v)
{
	const struct zone_res *r = zone_conf_first(v->conf, "capped-memory");
	const char *physical, *locked;
	uint64_t p, l;

	if (r == NULL)
		return 0;
	physical = zone_res_get(r, "physical");
	locked = zone_res_get(r, "locked");
	if (physical == NULL || locked == NULL)
		return 0;
	if (zone_type_number(ZONE_SIZE, 1, physical, &p) == 0 &&
	    zone_type_number(ZONE_SIZE, 1, locked, &l) == 0 && l > p)
		return error_set(v->err, EINVAL,
		    "capped-memory: locked '%s' is more than physical '%s'",
		    locked, physical);
	return 0;
}

static int
rule_pins(const struct verify *v)
{
	const struct zone_res *r = zone_conf_first(v->conf, "vcpu");
	const struct zone_prop *row;
	struct zone_topology t;
	uint64_t vcpu;
	const char *n;

	if (r == NULL)
		return 0;
	n = zone_conf_lookup(v->conf, "vcpu", "ncpus");
	if (zone_topology_parse(n, &t, v->err) < 0)
		return error_prefix(v->err, "vcpu: ncpus");
	row = zone_prop_row(zone_res_type(r), "pin");
	for (size_t i = 0; i < zone_res_count(r, row); i++) {
		n = zone_res_value(r, row, i)->text[0];
		if (zone_type_number(ZONE_UINT, 1, n, &vcpu) == 0 &&
		    vcpu >= t.cpus)
			return error_set(v->err, EINVAL,
			    "vcpu: pin: there is no virtual CPU %s; they are 0 "
			    "to %" PRIu64,
			    n, t.cpus - 1);
	}
	return 0;
}

int
zone_verify(const struct zone_conf *conf, const struct zone_brand *brand,
    struct error *err)
{
	static int (*const rules[])(const struct verify *) = {
		rule_required,
		rule_zonepath,
		rule_brand,
		rule_fs,
		rule_net,
		rule_rctl,
		rule_attr,
		rule_pairs,
		rule_nics,
		rule_boot,
		rule_slots,
		rule_cpu,
		rule_memory,
		rule_pins,
	};
	const struct verify v = { conf, brand, err };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rules) && rc == 0; i++)
		rc = rules[i](&v);
	return rc;
}

bool
zone_conf_secret(const struct zone_conf *conf)
{
	const struct zone_rtype *t;
	const struct zone_res *r;
	const struct zone_prop *p;

	for (size_t i = 0; i < conf->n; i++) {
		r = conf->res[i];
		for (p = r->type->props; p->name != NULL; p++)
			if ((p->flags & ZP_SECRET) != 0 &&
			    zone_res_count(r, p) > 0)
				return true;
		if (strcmp(r->type->name, "attr") != 0)
			continue;
		p = zone_attr_row(zone_res_get(r, "name"), &t);
		if (p != NULL && (p->flags & ZP_SECRET) != 0)
			return true;
	}
	return false;
}
