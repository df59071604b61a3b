/*
 * One thing, several names: resource controls that are also properties, and
 * properties that are also attrs (or pairs of a device or a net).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/impl.h"
#include "zone/type.h"

static size_t
find_rctl(const struct zone_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n; i++)
		if (strcmp(conf->res[i]->type->name, "rctl") == 0 &&
		    strcmp(zone_res_get(conf->res[i], "name"), name) == 0)
			return i;
	return ZONE_NEW;
}

/* The limit of an rctl that says no more than the alias can; else NULL. */
static const char *
alias_limit(const struct zone_res *rctl, const struct zone_prop *p)
{
	const struct zone_prop *row = zone_prop_row(rctl->type, "value");
	const struct zone_val *v;

	if (zone_res_count(rctl, row) != 1)
		return NULL;
	v = zone_res_value(rctl, row, 0);
	if (strcmp(v->text[0], "privileged") != 0 ||
	    strcmp(v->text[2], p->action) != 0)
		return NULL;
	return v->text[1];
}

static int
rctl_create(const struct zone_prop *p, const char *text, struct zone_res **ret,
    struct error *err)
{
	struct zone_res *res = zone_res_create(zone_rtype_find("rctl"));
	struct zone_raw value = { .nfields = 3 };
	char limit[32] = "";
	uint64_t n = 0;
	int rc;

	if (res == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = zone_type_number(p->type, p->scale, text, &n);
	str_format(limit, sizeof(limit), "%" PRIu64, n);
	value.fields[0] = (struct zone_raw_field){ "priv", "privileged" };
	value.fields[1] = (struct zone_raw_field){ "limit", limit };
	value.fields[2] = (struct zone_raw_field){ "action", p->action };
	if (rc < 0)
		error_set(err, -rc, "%s: '%s' is too big", p->name, text);
	if (rc == 0)
		rc = zone_res_set(res, zone_prop_row(res->type, "name"),
		    &(struct zone_raw){ .text = p->rctl }, 1, err);
	if (rc == 0)
		rc = zone_res_set(
		    res, zone_prop_row(res->type, "value"), &value, 1, err);
	if (rc < 0) {
		zone_res_free(res);
		return rc;
	}
	*ret = res;
	return 0;
}

static int
store_one(struct zone_conf *conf, const struct zone_res *res,
    const struct zone_prop *p, struct error *err)
{
	size_t at = find_rctl(conf, p->rctl);
	const char *text = zone_res_get(res, p->name);
	struct zone_res *rctl = NULL;
	int rc;

	if (at != ZONE_NEW && alias_limit(conf->res[at], p) == NULL) {
		if (text == NULL)
			return 0;
		return error_set(err, EBUSY,
		    "%s: the zone has an rctl %s that says more; "
		    "use 'select rctl name=%s'",
		    p->name, p->rctl, p->rctl);
	}
	if (text == NULL) {
		if (at != ZONE_NEW)
			zone_conf_detach(conf, at);
		return 0;
	}
	rc = rctl_create(p, text, &rctl, err);
	if (rc < 0)
		return rc;
	rc = zone_conf_attach(conf, at, rctl, err);
	if (rc < 0)
		zone_res_free(rctl);
	return rc;
}

/* Attaching moves no resource, detaching an rctl frees only that rctl. */
int
zone_alias_store(
    struct zone_conf *conf, const struct zone_res *res, struct error *err)
{
	int rc = 0;

	for (const struct zone_prop *p = res->type->props;
	     p->name != NULL && rc == 0; p++)
		if (p->rctl != NULL)
			rc = store_one(conf, res, p, err);
	return rc;
}

/* The text that a row's rctl gives it; empty when none does. */
static void
mirrored(const struct zone_conf *conf, const struct zone_prop *p, char *buf,
    size_t size)
{
	size_t at = find_rctl(conf, p->rctl);
	const char *limit;
	uint64_t n;

	buf[0] = '\0';
	limit = at != ZONE_NEW ? alias_limit(conf->res[at], p) : NULL;
	if (limit == NULL || zone_type_number(ZONE_UINT, 1, limit, &n) != 0)
		return;
	(void)zone_type_format(p->type, p->scale, n, buf, size);
}

static int
mirror_res(struct zone_conf *conf, struct zone_res *res)
{
	char text[32];
	int rc = 0;

	for (const struct zone_prop *p = res->type->props;
	     p->name != NULL && rc == 0; p++) {
		if (p->rctl == NULL)
			continue;
		mirrored(conf, p, text, sizeof(text));
		rc = zone_res_store(res, p, text[0] != '\0' ? text : NULL);
	}
	return rc;
}

static bool
has_any(const struct zone_res *res)
{
	for (const struct zone_prop *p = res->type->props; p->name; p++)
		if (zone_res_count(res, p) > 0)
			return true;
	return false;
}

static int
mirror_type(
    struct zone_conf *conf, const struct zone_rtype *t, struct error *err)
{
	size_t at = zone_conf_find(conf, t);
	struct zone_res *res =
	    at == ZONE_NEW ? zone_res_create(t) : conf->res[at];
	int rc = res == NULL ? -ENOMEM : mirror_res(conf, res);

	if (rc < 0) {
		if (at == ZONE_NEW)
			zone_res_free(res);
		return error_set(err, ENOMEM, "out of memory");
	}
	if (at != ZONE_NEW) {
		if (!has_any(res))
			zone_conf_detach(conf, at);
		return 0;
	}
	if (!has_any(res)) {
		zone_res_free(res);
		return 0;
	}
	rc = zone_conf_attach(conf, ZONE_NEW, res, err);
	if (rc < 0)
		zone_res_free(res);
	return rc;
}

int
zone_alias_mirror(struct zone_conf *conf, struct error *err)
{
	int rc = 0;

	if (mirror_res(conf, conf->global) != 0)
		return error_set(err, ENOMEM, "out of memory");
	for (const struct zone_rtype *t = zone_rtypes + 1;
	     t->name != NULL && rc == 0; t++)
		if (zone_rtype_aliased(t))
			rc = mirror_type(conf, t, err);
	return rc;
}

/* ---- what holds, whichever way it was said ---- */

static const char *
attr_of(const struct zone_conf *conf, const char *aliases)
{
	const struct zone_rtype *t = zone_rtype_find("attr");

	for (const struct zone_res *r = zone_conf_next(conf, t, NULL);
	     r != NULL; r = zone_conf_next(conf, t, r))
		if (zone_list_has(aliases, ',', zone_res_get(r, "name")))
			return zone_res_get(r, "value");
	return NULL;
}

const char *
zone_conf_lookup(
    const struct zone_conf *conf, const char *type, const char *prop)
{
	const struct zone_rtype *t =
	    strcmp(type, "global") == 0 ? ZONE_GLOBAL : zone_rtype_find(type);
	const struct zone_prop *p = zone_prop_row(t, prop);
	const struct zone_res *res =
	    t == ZONE_GLOBAL ? conf->global : zone_conf_next(conf, t, NULL);
	const char *v = res != NULL ? zone_res_get(res, prop) : NULL;

	if (v == NULL && p->aliases != NULL)
		v = attr_of(conf, p->aliases);
	return v != NULL ? v : p->dflt;
}

const char *
zone_res_lookup(const struct zone_res *res, const char *prop)
{
	const struct zone_rtype *t = res->type;
	const struct zone_prop *p = zone_prop_find(t, prop);
	const char *names, *word, *v;
	char name[64];
	size_t n;

	if (p != NULL && zone_res_count(res, p) > 0)
		return zone_res_value(res, p, 0)->text[0];
	if (p == NULL)
		p = zone_prop_row(zone_rtype_find("disk"), prop);
	names = p->aliases;
	if (zone_prop_find(t, "property") == NULL || p->aliases == NULL)
		return p->dflt;
	/* the first name is the one that says more: gateways, gateway */
	while ((word = zone_word(&names, ',', &n)) != NULL) {
		str_format(name, sizeof(name), "%.*s", (int)n, word);
		v = zone_res_pair(res, name);
		if (v != NULL)
			return v;
	}
	return p->dflt;
}

static int
limit_of(const struct zone_conf *conf, const char *rctl, uint64_t *ret)
{
	size_t at = find_rctl(conf, rctl);
	const struct zone_prop *row;
	const struct zone_val *v;

	if (at == ZONE_NEW)
		return -ENOENT;
	row = zone_prop_row(conf->res[at]->type, "value");
	for (size_t i = 0; i < zone_res_count(conf->res[at], row); i++) {
		v = zone_res_value(conf->res[at], row, i);
		if (strcmp(v->text[0], "privileged") == 0)
			return zone_type_number(ZONE_UINT, 1, v->text[1], ret);
	}
	return -ENOENT;
}

int
zone_conf_limit(const struct zone_conf *conf, const char *rctl, uint64_t *ret)
{
	int rc = limit_of(conf, rctl, ret);

	if (rc == 0)
		return 0;
	if (strcmp(rctl, "zone.max-processes") == 0)
		return limit_of(conf, "zone.max-lwps", ret);
	if (strcmp(rctl, "zone.max-lwps") == 0) {
		rc = limit_of(conf, "zone.max-processes", ret);
		if (rc == 0 && __builtin_mul_overflow(*ret, 10, ret))
			*ret = UINT64_MAX;
	}
	return rc;
}
