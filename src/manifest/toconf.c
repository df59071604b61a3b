/*
 * From a checked manifest to a zone's configuration. What the configuration
 * says in SmartOS's way (attrs, devices, pairs) stays said in that way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "manifest/impl.h"
#include "zone/assign.h"

#define LIMITPRIV                                                   \
	"default,-file_link_any,-net_access,-proc_fork,-proc_info," \
	"-proc_session"
#define METADATA_PORT "socket,/tmp/vm.ttyb"

static int
no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

/* ---- one resource ---- */

static int
set_prop(
    struct zone_res *res, const char *prop, const char *text, struct error *err)
{
	const struct zone_prop *p = zone_prop_find(zone_res_type(res), prop);
	const struct zone_raw raw = { .text = text };

	if (text == NULL || text[0] == '\0')
		return zone_res_clear(res, p, err);
	return zone_res_set(res, p, &raw, 1, err);
}

/* Take out each pair that says this row, by whichever name. */
static int
drop_pairs(struct zone_res *res, const struct row *r,
    const struct zone_prop *row, struct error *err)
{
	const struct zone_prop *list =
	    zone_prop_find(zone_res_type(res), "property");
	struct zone_raw raw = { .nfields = 2 };
	const struct zone_val *v;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < zone_res_count(res, list);) {
		v = zone_res_value(res, list, i);
		if (strcmp(v->text[0], r->pair ? r->pair : "") != 0 &&
		    strcmp(v->text[0], r->p.name) != 0 &&
		    !(row != NULL &&
			zone_list_has(row->aliases, ',', v->text[0]))) {
			i++;
			continue;
		}
		raw.fields[0] = (struct zone_raw_field){ "name", v->text[0] };
		raw.fields[1] = (struct zone_raw_field){ "value", v->text[1] };
		rc = zone_res_remove(res, list, &raw, err);
	}
	return rc;
}

static int
set_list(struct zone_res *res, const struct zone_prop *p, const json_t *list,
    struct error *err)
{
	struct zone_raw raw[MANIFEST_ITEMS_MAX] = { { .text = NULL } };
	size_t n = json_array_size(list);

	if (n == 0)
		return zone_res_clear(res, p, err);
	for (size_t i = 0; i < n && i < ARRAY_LEN(raw); i++)
		raw[i].text = json_string_value(json_array_get(list, i));
	return zone_res_set(res, p, raw, n, err);
}

/* A row of a NIC or disk: by its property, else as a pair. */
int
row_set_item(struct zone_res *res, const struct row *r, const json_t *v,
    struct error *err)
{
	const struct zone_rtype *t = zone_res_type(res);
	const struct zone_prop *p = r->prop ? zone_prop_find(t, r->prop) : NULL;
	const struct zone_prop *alias = p;
	cleanup_free char *text = row_text(r, v);
	struct zone_raw raw = { .nfields = 2 };
	int rc;

	if (text == NULL)
		return no_memory(err);
	if (alias == NULL && r->prop != NULL && strcmp(t->name, "device") == 0)
		alias = zone_prop_find(zone_rtype_find("disk"), r->prop);
	rc = drop_pairs(res, r, alias, err);
	if (rc < 0 || r->prop == NULL || p == NULL)
		goto pair;
	if ((p->flags & ZP_LIST) != 0)
		return set_list(res, p, v, err);
	return set_prop(res, r->prop, text, err);
pair:
	if (rc < 0 || r->pair == NULL || json_is_null(v) || text[0] == '\0')
		return rc;
	raw.fields[0] = (struct zone_raw_field){ "name", r->pair };
	raw.fields[1] = (struct zone_raw_field){ "value", text };
	return zone_res_add(res, zone_prop_find(t, "property"), &raw, err);
}

int
row_set_at(struct zone_conf *conf, size_t at, const struct row *r,
    const json_t *v, struct error *err)
{
	struct zone_res *res = zone_res_dup(zone_conf_at(conf, at));
	int rc;

	if (res == NULL)
		return no_memory(err);
	rc = row_set_item(res, r, v, err);
	if (rc == 0)
		rc = zone_conf_put(conf, at, res, err);
	if (rc < 0)
		zone_res_free(res);
	return rc;
}

static int
set_item(struct zone_res *res, const char *scope, const json_t *item,
    struct error *err)
{
	int rc = 0;

	EACH_ROW(r, scope)
	{
		const json_t *v = json_object_get(item, r->p.name);

		if (v == NULL || (r->flags & (ROW_ONCE | ROW_OLD)) != 0 ||
		    strcmp(r->p.name, "path") == 0)
			continue;
		rc = row_set_item(res, r, v, err);
		if (rc < 0)
			return error_prefix(err, "%s", r->p.name);
	}
	return rc;
}

/* ---- NICs and disks of a configuration ---- */

/* "net0", or the first that no NIC has. */
static void
choose_interface(const struct zone_conf *conf, char text[16])
{
	const struct zone_rtype *net = zone_rtype_find("net");
	const struct zone_res *res;

	for (unsigned n = 0;; n++) {
		str_format(text, 16, "net%u", n);
		res = NULL;
		while ((res = zone_conf_next(conf, net, res)) != NULL)
			if (strcmp(zone_res_get(res, "physical"), text) == 0)
				break;
		if (res == NULL)
			return;
	}
}

static int
begin_item(const struct zone_conf *conf, const char *scope, const json_t *item,
    struct zone_res **ret, struct error *err)
{
	bool nic = strcmp(scope, "nics") == 0;
	const char *key = json_string_value(
	    json_object_get(item, nic ? "interface" : "path"));
	struct zone_res *res =
	    zone_res_create(zone_rtype_find(nic ? "net" : "disk"));
	char text[16];
	int rc;

	if (res == NULL)
		return no_memory(err);
	if (key == NULL && nic) {
		choose_interface(conf, text);
		key = text;
	}
	rc = key == NULL ? error_set(err, EINVAL, "a disk has no path")
			 : set_prop(res, nic ? "physical" : "path", key, err);
	if (rc < 0)
		zone_res_free(res);
	else
		*ret = res;
	return rc;
}

static int
add_items(struct zone_conf *conf, const char *scope, const json_t *items,
    struct error *err)
{
	struct zone_res *res = NULL;
	const json_t *item;
	size_t i;
	int rc = 0;

	json_array_foreach(items, i, item)
	{
		rc = begin_item(conf, scope, item, &res, err);
		if (rc == 0) {
			rc = set_item(res, scope, item, err);
			if (rc == 0)
				rc = zone_conf_put(conf, ZONE_NEW, res, err);
			if (rc < 0)
				zone_res_free(res);
		}
		if (rc < 0)
			return error_prefix(err, "%s.%zu", scope, i);
	}
	return rc;
}

static bool
same_key(const struct zone_res *res, bool nic, const char *key)
{
	const char *has =
	    nic ? zone_res_get(res, "mac-addr") : zone_res_disk_path(res);
	uint8_t a[6], b[6];

	if (has == NULL)
		return false;
	if (nic && str_to_mac(has, a) == 0 && str_to_mac(key, b) == 0)
		return memcmp(a, b, sizeof(a)) == 0;
	return strcmp(has, key) == 0;
}

size_t
manifest_find_item(
    const struct zone_conf *conf, const char *scope, const char *key)
{
	bool nic = strcmp(scope, "nics") == 0;
	const struct zone_res *res;

	for (size_t i = 0; i < zone_conf_count(conf); i++) {
		res = zone_conf_at(conf, i);
		if (nic ? strcmp(zone_res_type(res)->name, "net") != 0
			: !zone_res_is_disk(res))
			continue;
		if (same_key(res, nic, key))
			return i;
	}
	return ZONE_NEW;
}

static int
find(const struct zone_conf *conf, const char *scope, const char *key,
    size_t *ret, struct error *err)
{
	bool nic = strcmp(scope, "nics") == 0;

	*ret = manifest_find_item(conf, scope, key);
	if (*ret != ZONE_NEW)
		return 0;
	return error_set(err, ENOENT, "the VM has no %s with %s '%.160s'",
	    nic ? "NIC" : "disk", nic ? "MAC address" : "path", key);
}

/* Another one becomes the primary NIC, the boot disk: the old one ceases. */
static int
yield(struct zone_conf *conf, const char *scope, size_t at, struct error *err)
{
	bool nic = strcmp(scope, "nics") == 0;
	const struct row *r = row_find(scope, nic ? "primary" : "boot");
	json_t *no = json_null();
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < zone_conf_count(conf); i++) {
		const struct zone_res *was = zone_conf_at(conf, i);
		bool kind = nic ? strcmp(zone_res_type(was)->name, "net") == 0
				: zone_res_is_disk(was);

		if (!kind || i == at || !zone_res_flag(was, r->p.name))
			continue;
		rc = row_set_at(conf, i, r, no, err);
	}
	return rc;
}

/* An address without its mask, or the other way round: see old_ip(). */
static bool
half_ip(const char *text)
{
	struct in_addr a;

	return text != NULL &&
	    (text[0] == '/' || inet_pton(AF_INET, text, &a) == 1);
}

/* What the change leaves out is as it was: *ret, to be released. */
static int
whole_ips(const struct zone_res *res, const json_t *item, json_t **ret,
    struct error *err)
{
	json_t *ips = json_object_get(item, "ips"), *was = NULL, *own;
	const char *half = json_string_value(json_array_get(ips, 0)), *old;
	const char *slash;
	char text[80];
	int rc;

	*ret = json_copy((json_t *)(uintptr_t)item);
	if (*ret == NULL)
		return no_memory(err);
	if (!half_ip(half))
		return 0;
	rc = manifest_item_json(res, "nics", &was, err);
	if (rc < 0)
		return rc;
	own = json_object_get(was, "ips");
	old = json_string_value(json_array_get(own, 0));
	slash = old != NULL ? strchr(old, '/') : NULL;
	if (slash == NULL || strchr(old, ':') != NULL) {
		rc = error_set(err, EINVAL,
		    "the NIC has no IPv4 address to change a part of; give "
		    "ips, as [\"192.0.2.5/24\"]");
	} else {
		if (half[0] == '/')
			str_format(text, sizeof(text), "%.*s%s",
			    (int)(slash - old), old, half);
		else
			str_format(text, sizeof(text), "%s%s", half, slash);
		json_array_set_new(own, 0, json_string(text));
		json_object_set(*ret, "ips", own);
	}
	json_decref(was);
	return rc;
}

static int
update_item(struct zone_res *res, const char *scope, const json_t *item,
    struct error *err)
{
	json_t *whole = NULL;
	int rc;

	if (strcmp(scope, "nics") != 0)
		return set_item(res, scope, item, err);
	rc = whole_ips(res, item, &whole, err);
	if (rc == 0)
		rc = set_item(res, scope, whole, err);
	json_decref(whole);
	return rc;
}

static int
update_items(struct zone_conf *conf, const char *scope, const json_t *items,
    struct error *err)
{
	bool nic = strcmp(scope, "nics") == 0;
	struct zone_res *res;
	const json_t *item;
	size_t i, at;
	int rc = 0;

	json_array_foreach(items, i, item)
	{
		rc = find(conf, scope,
		    json_string_value(
			json_object_get(item, nic ? "mac" : "path")),
		    &at, err);
		if (rc < 0)
			return rc;
		res = zone_res_dup(zone_conf_at(conf, at));
		if (res == NULL)
			return no_memory(err);
		if (json_is_true(
			json_object_get(item, nic ? "primary" : "boot")))
			rc = yield(conf, scope, at, err);
		if (rc == 0)
			rc = update_item(res, scope, item, err);
		if (rc == 0)
			rc = zone_conf_put(conf, at, res, err);
		if (rc < 0) {
			zone_res_free(res);
			return rc;
		}
	}
	return rc;
}

static int
remove_items(struct zone_conf *conf, const char *scope, const json_t *keys,
    struct error *err)
{
	const json_t *key;
	size_t i, at;
	int rc = 0;

	json_array_foreach(keys, i, key)
	{
		rc = find(conf, scope, json_string_value(key), &at, err);
		if (rc == 0)
			rc = zone_conf_drop(conf, at, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* A new primary or boot one among those that are added. */
static int
yield_to_new(struct zone_conf *conf, const char *scope, const json_t *items,
    struct error *err)
{
	bool nic = strcmp(scope, "nics") == 0;
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		if (json_is_true(
			json_object_get(item, nic ? "primary" : "boot")))
			return yield(conf, scope, ZONE_NEW, err);
	}

	return 0;
}

/* ---- properties of the VM ---- */

static size_t
find_attr(const struct zone_conf *conf, const char *aliases)
{
	for (size_t i = 0; aliases != NULL && i < zone_conf_count(conf); i++) {
		const struct zone_res *res = zone_conf_at(conf, i);

		if (strcmp(zone_res_type(res)->name, "attr") == 0 &&
		    zone_list_has(aliases, ',', zone_res_get(res, "name")))
			return i;
	}
	return ZONE_NEW;
}

static const char *
attr_type(const struct row *r)
{
	if (r->p.type == MANIFEST_BOOL)
		return "boolean";
	return r->p.type == MANIFEST_INT ? "uint" : "string";
}

static int
set_attr(struct zone_conf *conf, const struct row *r, const char *name,
    size_t at, const char *text, struct error *err)
{
	struct zone_res *res;
	int rc = 0;

	if (text[0] == '\0')
		return at == ZONE_NEW ? 0 : zone_conf_drop(conf, at, err);
	res = at == ZONE_NEW ? zone_res_create(zone_rtype_find("attr"))
			     : zone_res_dup(zone_conf_at(conf, at));
	if (res == NULL)
		return no_memory(err);
	if (at == ZONE_NEW)
		rc = set_prop(res, "name", name, err);
	if (rc == 0 && at == ZONE_NEW)
		rc = set_prop(res, "type", attr_type(r), err);
	if (rc == 0)
		rc = set_prop(res, "value", text, err);
	if (rc == 0)
		rc = zone_conf_put(conf, at, res, err);
	if (rc < 0)
		zone_res_free(res);
	return rc;
}

/* Nothing said but the property that goes: the resource goes with it. */
static bool
is_bare(const struct zone_res *res)
{
	const struct zone_rtype *t = zone_res_type(res);

	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if (zone_res_count(res, p) > 0)
			return false;
	return true;
}

static int
set_single(struct zone_conf *conf, const struct row *r, const char *text,
    struct error *err)
{
	const struct zone_rtype *t = zone_rtype_find(r->res);
	const struct zone_prop *p = zone_prop_find(t, r->prop);
	struct zone_res *res = NULL;
	size_t at = 0;
	int rc = 0;

	while (at < zone_conf_count(conf) &&
	    zone_res_type(zone_conf_at(conf, at)) != t)
		at++;
	if (at == zone_conf_count(conf))
		at = ZONE_NEW;
	if (at == ZONE_NEW && text[0] == '\0')
		return 0;
	if (text[0] == '\0' && (p->flags & ZP_REQUIRED) != 0)
		return zone_conf_drop(conf, at, err);
	res = at == ZONE_NEW ? zone_res_create(t)
			     : zone_res_dup(zone_conf_at(conf, at));
	if (res == NULL)
		return no_memory(err);
	rc = set_prop(res, r->prop, text, err);
	if (rc == 0 && is_bare(res)) {
		zone_res_free(res);
		return zone_conf_drop(conf, at, err);
	}
	if (rc == 0)
		rc = zone_conf_put(conf, at, res, err);
	if (rc < 0)
		zone_res_free(res);
	return rc;
}

static int
set_global(struct zone_conf *conf, const struct row *r, const char *text,
    struct error *err)
{
	if (text[0] == '\0')
		return zone_conf_clear(
		    conf, zone_prop_find(ZONE_GLOBAL, r->prop), err);
	return zone_conf_set_text(conf, r->prop, text, err);
}

/* What a row's number is already stays as it is said: 4, or 2 x 2. */
static bool
says_so(const struct zone_conf *conf, const struct row *r, const json_t *v)
{
	json_t *now = manifest_get(conf, r->p.name);
	bool same = now != NULL && r->unit == UNIT_CPUS && json_equal(now, v);

	json_decref(now);
	return same && zone_conf_first(conf, r->res) != NULL;
}

static int
set_row(struct zone_conf *conf, const struct row *r, const json_t *v,
    struct error *err)
{
	cleanup_free char *text = row_text(r, v);
	const struct zone_rtype *t;
	size_t at;

	if (text == NULL)
		return no_memory(err);
	if (says_so(conf, r, v))
		return 0;
	if (strcmp(r->res, "attr") == 0)
		return set_attr(
		    conf, r, r->prop, find_attr(conf, r->prop), text, err);
	if (strcmp(r->res, "global") == 0)
		return set_global(conf, r, text, err);
	t = zone_rtype_find(r->res);
	at = find_attr(conf, zone_prop_find(t, r->prop)->aliases);
	/* resolvers are SmartOS's attr from the start */
	if (at != ZONE_NEW ||
	    (strcmp(r->p.name, "resolvers") == 0 &&
		zone_conf_first(conf, r->res) == NULL))
		return set_attr(conf, r, r->p.name, at, text, err);
	return set_single(conf, r, text, err);
}

static int
set_rows(struct zone_conf *conf, const json_t *m, bool *boot, struct error *err)
{
	int rc;

	EACH_ROW(r, "")
	{
		const json_t *v = json_object_get(m, r->p.name);

		if (v == NULL || r->res == NULL ||
		    r->p.update == MANIFEST_UPDATE_FACT)
			continue;
		rc = set_row(conf, r, v, err);
		if (rc < 0)
			return error_prefix(err, "%s", r->p.name);
		*boot = *boot || r->p.update == MANIFEST_UPDATE_BOOT;
	}
	return 0;
}

/* What every VM of ours has: as the brand's template, and a metadata port. */
static int
set_frame(struct zone_conf *conf, const json_t *m, const char *zonepath,
    struct error *err)
{
	static const struct row com2 = { .res = "lpc", .prop = "com2" };
	const char *uuid = json_string_value(json_object_get(m, "uuid"));
	int rc;

	rc = zone_conf_set_text(conf, "zonename", uuid ? uuid : "", err);
	if (rc == 0)
		rc = zone_conf_set_text(conf, "zonepath", zonepath, err);
	if (rc == 0)
		rc = zone_conf_set_text(conf, "ip-type", "exclusive", err);
	if (rc == 0)
		rc = zone_conf_set_text(conf, "limitpriv", LIMITPRIV, err);
	if (rc == 0)
		rc = set_single(conf, &com2, METADATA_PORT, err);
	return rc;
}

int
manifest_to_conf(const json_t *m, const char *zonepath, struct zone_conf **ret,
    struct error *err)
{
	struct zone_conf *conf = zone_conf_create();
	bool boot = false;
	int rc;

	if (conf == NULL)
		return no_memory(err);
	rc = set_frame(conf, m, zonepath, err);
	if (rc == 0)
		rc = set_rows(conf, m, &boot, err);
	if (rc == 0)
		rc = add_items(conf, "disks", json_object_get(m, "disks"), err);
	if (rc == 0)
		rc = add_items(conf, "nics", json_object_get(m, "nics"), err);
	if (rc < 0)
		zone_conf_free(conf);
	else
		*ret = conf;
	return rc;
}

/* ---- update ---- */

/* Limits that follow ram go on following it, unless they are said. */
static int
follow_ram(const struct zone_conf *was, struct zone_conf *conf,
    const json_t *payload, struct error *err)
{
	static const char *const names[] = { "max_physical_memory",
		"max_swap" };
	json_int_t old, now, limit;
	json_t *v;
	int rc = 0;

	v = manifest_get(was, "ram");
	old = json_integer_value(v);
	json_decref(v);
	now = json_integer_value(json_object_get(payload, "ram"));
	for (size_t i = 0; rc == 0 && now > 0 && i < ARRAY_LEN(names); i++) {
		v = manifest_get(was, names[i]);
		limit = json_integer_value(v);
		json_decref(v);
		if (json_object_get(payload, names[i]) != NULL || limit == 0 ||
		    (limit != old + 1024 && limit >= now))
			continue;
		v = json_integer(now + 1024);
		rc = v == NULL ? no_memory(err)
			       : set_row(conf, row_find("", names[i]), v, err);
		json_decref(v);
	}
	return rc;
}

/* Does an element of update_nics change what only a boot can? */
static bool
needs_boot(const char *verb, const char *scope, const json_t *items)
{
	const json_t *item;
	const char *key;
	json_t *v;
	size_t i;

	if (strcmp(verb, "update_") != 0)
		return true;
	json_array_foreach(items, i, item)
	{
		json_object_foreach((json_t *)(uintptr_t)item, key, v)
		{
			const struct row *r = row_find(scope, key);

			if (r == NULL || r->p.update == MANIFEST_UPDATE_BOOT)
				return true;
		}
	}
	return false;
}

static int
update(struct zone_conf *conf, const json_t *payload, bool *boot,
    struct error *err)
{
	static const char *const scopes[] = { "disks", "nics" };
	static const struct {
		const char *verb;
		int (*fn)(struct zone_conf *conf, const char *scope,
		    const json_t *items, struct error *err);
	} steps[] = {
		{ "remove_", remove_items },
		{ "update_", update_items },
		{ "add_", yield_to_new },
		{ "add_", add_items },
	};
	char name[32];
	int rc;

	rc = set_rows(conf, payload, boot, err);
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		for (size_t k = 0; rc == 0 && k < ARRAY_LEN(steps); k++) {
			const json_t *v;

			str_format(name, sizeof(name), "%s%s", steps[k].verb,
			    scopes[i]);
			v = json_object_get(payload, name);
			if (v == NULL)
				continue;
			*boot =
			    *boot || needs_boot(steps[k].verb, scopes[i], v);
			rc = steps[k].fn(conf, scopes[i], v, err);
		}
	return rc;
}

int
manifest_update_conf(const json_t *payload, const struct zone_conf *was,
    struct zone_conf **ret, bool *ret_boot, struct error *err)
{
	struct zone_conf *conf = zone_conf_dup(was);
	bool boot = false;
	int rc;

	if (conf == NULL)
		return no_memory(err);
	rc = update(conf, payload, &boot, err);
	if (rc == 0)
		rc = follow_ram(was, conf, payload, err);
	if (rc == 0 &&
	    (json_object_get(payload, "remove_nics") != NULL ||
		json_object_get(payload, "remove_disks") != NULL))
		rc = manifest_settle(conf, err);
	if (rc < 0) {
		zone_conf_free(conf);
		return rc;
	}
	*ret = conf;
	*ret_boot = boot;
	return 0;
}
