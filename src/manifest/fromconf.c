/*
 * What a configuration says, as JSON: whichever way it is said, whoever wrote
 * it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "manifest/impl.h"
#include "zone/assign.h"

static int
no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

/* ---- the VM ---- */

/* Of a row of the global scope, an attr, or a resource that is there once. */
static const char *
said(const struct zone_conf *conf, const struct row *r)
{
	const struct zone_rtype *attr = zone_rtype_find("attr"), *t;
	const struct zone_res *res = NULL;
	const char *v;

	if (strcmp(r->res, "global") == 0)
		return zone_conf_get(conf, r->prop);
	t = zone_rtype_find(r->res);
	if (t != attr) {
		res = zone_conf_first(conf, r->res);
		v = res != NULL ? zone_res_get(res, r->prop) : NULL;
		if (v != NULL)
			return v;
		res = NULL;
	}
	while ((res = zone_conf_next(conf, attr, res)) != NULL) {
		const char *name = zone_res_get(res, "name");

		if (t == attr
			? strcmp(name, r->prop) == 0
			: zone_list_has(
			      zone_prop_find(t, r->prop)->aliases, ',', name))
			return zone_res_get(res, "value");
	}
	return NULL;
}

static json_t *
get_row(const struct zone_conf *conf, const struct row *r)
{
	const char *text = r->res != NULL ? said(conf, r) : NULL;
	json_t *v = NULL;

	if (text != NULL)
		v = row_json(r, text);
	if (v == NULL && (r->flags & (ROW_SHOW | ROW_FILL)) != 0 &&
	    (r->flags & ROW_FILE) == 0 && r->p.dflt != NULL &&
	    strcmp(r->p.name, "autoboot") != 0)
		v = row_json(r, r->p.dflt);
	return v;
}

/* ---- NICs and disks ---- */

static json_t *
list_json(const struct zone_res *res, const struct zone_prop *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < zone_res_count(res, p); i++)
		json_array_append_new(
		    list, json_string(zone_res_value(res, p, i)->text[0]));
	return list;
}

static const char *
pair_of(const struct zone_res *res, const struct row *r,
    const struct zone_prop *row)
{
	const struct zone_prop *list =
	    zone_prop_find(zone_res_type(res), "property");
	const struct zone_val *v;

	for (size_t i = 0; i < zone_res_count(res, list); i++) {
		v = zone_res_value(res, list, i);
		if ((r->pair != NULL && strcmp(v->text[0], r->pair) == 0) ||
		    strcmp(v->text[0], r->p.name) == 0 ||
		    (row != NULL &&
			zone_list_has(row->aliases, ',', v->text[0])))
			return v->text[1];
	}
	return NULL;
}

static json_t *
item_row_json(const struct zone_res *res, const struct row *r)
{
	const struct zone_rtype *t = zone_res_type(res);
	const struct zone_prop *p, *row;
	const char *text = NULL;

	if (strcmp(r->p.name, "path") == 0)
		return json_string(zone_res_disk_path(res));
	p = r->prop != NULL ? zone_prop_find(t, r->prop) : NULL;
	if (p != NULL && (p->flags & ZP_LIST) != 0 &&
	    zone_res_count(res, p) > 0)
		return list_json(res, p);
	if (p != NULL && (p->flags & ZP_LIST) == 0)
		text = zone_res_get(res, r->prop);
	row = p;
	if (row == NULL && r->prop != NULL && strcmp(t->name, "device") == 0)
		row = zone_prop_find(zone_rtype_find("disk"), r->prop);
	if (text == NULL)
		text = pair_of(res, r, row);
	return text != NULL ? row_json(r, text) : NULL;
}

/* What came as a number goes as one. */
static void
show_numbers(json_t *list)
{
	json_t *e;
	uint64_t n;
	size_t i;

	json_array_foreach(list, i, e)
	{
		if (str_to_u64(json_string_value(e), 0, INT64_MAX, &n) == 0)
			json_array_set_new(
			    list, i, json_integer((json_int_t)n));
	}
}

/* false says what nothing says: SmartOS never shows it. */
static bool
tells_nothing(const json_t *v)
{
	return json_is_false(v) ||
	    (json_is_array(v) && json_array_size(v) == 0);
}

static void
add_old_ip(json_t *nic)
{
	const json_t *ips = json_object_get(nic, "ips");
	const char *ip = json_string_value(json_array_get(ips, 0));
	const char *slash = ip != NULL ? strchr(ip, '/') : NULL;
	struct in_addr mask;
	char text[INET_ADDRSTRLEN];
	uint64_t n;
	json_t *gw;

	gw = json_array_get(json_object_get(nic, "gateways"), 0);
	if (gw != NULL)
		json_object_set(nic, "gateway", gw);
	if (ip == NULL || strchr(ip, ':') != NULL)
		return;
	json_object_set_new(nic, "ip",
	    slash != NULL ? json_stringn(ip, (size_t)(slash - ip))
			  : json_string(ip));
	if (slash == NULL || str_to_u64(slash + 1, 0, 32, &n) < 0)
		return;
	mask.s_addr = htonl(n == 0 ? 0 : UINT32_MAX << (32 - n));
	json_object_set_new(nic, "netmask",
	    json_string(inet_ntop(AF_INET, &mask, text, sizeof(text))));
}

int
manifest_item_json(const struct zone_res *res, const char *scope, json_t **ret,
    struct error *err)
{
	json_t *item = json_object(), *v;

	if (item == NULL)
		return no_memory(err);
	EACH_ROW(r, scope)
	{
		if ((r->flags & (ROW_ONCE | ROW_OLD)) != 0)
			continue;
		v = item_row_json(res, r);
		if (v == NULL && (r->flags & ROW_FILL) != 0)
			v = row_json(r, r->p.dflt);
		if (v == NULL || tells_nothing(v)) {
			json_decref(v);
			continue;
		}
		if ((r->flags & ROW_NUMBERS) != 0)
			show_numbers(v);
		if (json_object_set_new(item, r->p.name, v) != 0) {
			json_decref(item);
			return no_memory(err);
		}
	}
	if (strcmp(scope, "nics") == 0)
		add_old_ip(item);
	*ret = item;
	return 0;
}

static int
items_json(const struct zone_conf *conf, const char *scope, json_t **ret,
    struct error *err)
{
	bool nic = strcmp(scope, "nics") == 0;
	json_t *list = json_array(), *item = NULL;
	int rc = list != NULL ? 0 : no_memory(err);

	for (size_t i = 0; rc == 0 && i < zone_conf_count(conf); i++) {
		const struct zone_res *res = zone_conf_at(conf, i);

		if (nic ? strcmp(zone_res_type(res)->name, "net") != 0
			: !zone_res_is_disk(res))
			continue;
		rc = manifest_item_json(res, scope, &item, err);
		if (rc == 0 && json_array_append_new(list, item) != 0)
			rc = no_memory(err);
	}
	if (rc < 0)
		json_decref(list);
	else
		*ret = list;
	return rc;
}

/* ---- the whole ---- */

json_t *
manifest_get(const struct zone_conf *conf, const char *prop)
{
	const struct row *r = row_find("", prop);
	json_t *v = NULL;

	if (r == NULL)
		return NULL;
	if (r->p.type != MANIFEST_ITEMS)
		return get_row(conf, r);
	if (r->p.update != MANIFEST_UPDATE_FACT)
		(void)items_json(conf, prop, &v, NULL);
	return v;
}

int
manifest_from_conf(
    const struct zone_conf *conf, json_t **ret, struct error *err)
{
	json_t *m = json_object(), *v;
	int rc = m != NULL ? 0 : no_memory(err);

	EACH_ROW(r, "")
	{
		v = NULL;
		if (rc < 0)
			break;
		if (r->p.type != MANIFEST_ITEMS)
			v = get_row(conf, r);
		else if (r->p.update != MANIFEST_UPDATE_FACT)
			rc = items_json(conf, r->p.name, &v, err);
		if (v != NULL && json_object_set_new(m, r->p.name, v) != 0)
			rc = no_memory(err);
	}
	if (rc < 0)
		json_decref(m);
	else
		*ret = m;
	return rc;
}
