/*
 * The configuration: global scope and resources, and what is one zone's only
 * once.
 */
#include "zone/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/impl.h"
#include "zone/type.h"

static int
no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

struct zone_conf *
zone_conf_create(void)
{
	struct zone_conf *conf = alloc_zero(1, sizeof(*conf));

	if (conf == NULL)
		return NULL;
	conf->global = zone_res_create(ZONE_GLOBAL);
	if (conf->global == NULL) {
		free(conf);
		return NULL;
	}
	return conf;
}

void
zone_conf_free(struct zone_conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->n; i++)
		zone_res_free(conf->res[i]);
	free(conf->res);
	zone_res_free(conf->global);
	free(conf);
}

struct zone_conf *
zone_conf_dup(const struct zone_conf *conf)
{
	struct zone_conf *copy = alloc_zero(1, sizeof(*copy));

	if (copy == NULL)
		return NULL;
	copy->global = zone_res_dup(conf->global);
	copy->res = alloc_zero(conf->n, sizeof(struct zone_res *));
	if (copy->global == NULL || copy->res == NULL)
		goto failed;
	for (; copy->n < conf->n; copy->n++) {
		copy->res[copy->n] = zone_res_dup(conf->res[copy->n]);
		if (copy->res[copy->n] == NULL)
			goto failed;
		copy->res[copy->n]->at = copy->n;
	}
	return copy;
failed:
	zone_conf_free(copy);
	return NULL;
}

void
zone_conf_swap(struct zone_conf *a, struct zone_conf *b)
{
	struct zone_conf t = *a;

	*a = *b;
	*b = t;
}

static bool
prop_equal(const struct zone_res *a, const struct zone_res *b,
    const struct zone_prop *p)
{
	if (zone_res_count(a, p) != zone_res_count(b, p))
		return false;
	for (size_t i = 0; i < zone_res_count(a, p); i++)
		if (!zone_val_equal(
			p, zone_res_value(a, p, i), zone_res_value(b, p, i)))
			return false;
	return true;
}

static bool
res_equal(const struct zone_res *a, const struct zone_res *b)
{
	if (a->type != b->type)
		return false;
	for (const struct zone_prop *p = a->type->props; p->name; p++)
		if (!prop_equal(a, b, p))
			return false;
	return true;
}

bool
zone_conf_equal(const struct zone_conf *a, const struct zone_conf *b)
{
	const struct zone_res *x, *y;

	if (!res_equal(a->global, b->global) || a->n != b->n)
		return false;
	/* order counts within a type only: that is what files keep */
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++) {
		x = zone_conf_next(a, t, NULL);
		y = zone_conf_next(b, t, NULL);
		while (x != NULL && y != NULL && res_equal(x, y)) {
			x = zone_conf_next(a, t, x);
			y = zone_conf_next(b, t, y);
		}
		if (x != NULL || y != NULL)
			return false;
	}
	return true;
}

const struct zone_res *
zone_conf_global(const struct zone_conf *conf)
{
	return conf->global;
}

const char *
zone_conf_get(const struct zone_conf *conf, const char *prop)
{
	return zone_res_get(conf->global, prop);
}

size_t
zone_conf_count(const struct zone_conf *conf)
{
	return conf->n;
}

const struct zone_res *
zone_conf_at(const struct zone_conf *conf, size_t i)
{
	return i < conf->n ? conf->res[i] : NULL;
}

const struct zone_res *
zone_conf_next(const struct zone_conf *conf, const struct zone_rtype *type,
    const struct zone_res *prev)
{
	for (size_t i = prev != NULL ? prev->at + 1 : 0; i < conf->n; i++)
		if (conf->res[i]->type == type)
			return conf->res[i];
	return NULL;
}

size_t
zone_conf_find(const struct zone_conf *conf, const struct zone_rtype *type)
{
	size_t i = 0;

	while (i < conf->n && conf->res[i]->type != type)
		i++;
	return i < conf->n ? i : ZONE_NEW;
}

const struct zone_res *
zone_conf_first(const struct zone_conf *conf, const char *type)
{
	return zone_conf_next(conf, zone_rtype_find(type), NULL);
}

/* ---- changing ---- */

int
zone_conf_attach(
    struct zone_conf *conf, size_t at, struct zone_res *res, struct error *err)
{
	struct zone_res **grown;

	if (at != ZONE_NEW) {
		zone_res_free(conf->res[at]);
		conf->res[at] = res;
		res->at = at;
		return 0;
	}
	if (conf->n == ZONE_RES_MAX)
		return error_set(err, E2BIG, "more than %d resources in a zone",
		    ZONE_RES_MAX);
	grown = alloc_resize(conf->res, conf->n + 1, sizeof(struct zone_res *));
	if (grown == NULL)
		return no_memory(err);
	conf->res = grown;
	res->at = conf->n;
	grown[conf->n++] = res;
	return 0;
}

void
zone_conf_detach(struct zone_conf *conf, size_t at)
{
	zone_res_free(conf->res[at]);
	memmove(&conf->res[at], &conf->res[at + 1],
	    (conf->n - at - 1) * sizeof(struct zone_res *));
	conf->n--;
	for (; at < conf->n; at++)
		conf->res[at]->at = at;
}

static int
has_one(const struct zone_rtype *t, struct error *err)
{
	return error_set(err, EEXIST,
	    "%s: the zone has one already, and has only one; use 'select %s'",
	    t->name, t->name);
}

int
zone_conf_begin(const struct zone_conf *conf, const struct zone_rtype *type,
    struct zone_res **ret, size_t *ret_at, struct error *err)
{
	size_t at = ZONE_NEW;
	struct zone_res *res;

	if ((type->flags & ZR_SINGLE) != 0)
		at = zone_conf_find(conf, type);
	/* a type without an element is controls and nothing else */
	if (at != ZONE_NEW &&
	    (type->xml == NULL || !zone_res_only_alias(conf->res[at])))
		return has_one(type, err);
	res = at == ZONE_NEW ? zone_res_create(type)
			     : zone_res_dup(conf->res[at]);
	if (res == NULL)
		return no_memory(err);
	*ret = res;
	*ret_at = at;
	return 0;
}

static bool
same_key(const struct zone_res *a, const struct zone_res *b)
{
	bool any = false;

	for (const struct zone_prop *p = a->type->props; p->name; p++)
		if ((p->flags & ZP_KEY) != 0) {
			any = true;
			if (!prop_equal(a, b, p))
				return false;
		}
	return any;
}

static int
check_unique(const struct zone_conf *conf, size_t at,
    const struct zone_res *res, struct error *err)
{
	const struct zone_prop *key = res->type->props;

	for (size_t i = 0; i < conf->n; i++) {
		if (i == at || conf->res[i]->type != res->type)
			continue;
		if ((res->type->flags & ZR_SINGLE) != 0)
			return has_one(res->type, err);
		if (!same_key(conf->res[i], res))
			continue;
		while (
		    (key->flags & ZP_KEY) == 0 || zone_res_count(res, key) == 0)
			key++;
		return error_set(err, EEXIST,
		    "%s: there is one with %s '%.128s' already",
		    res->type->name, key->name,
		    zone_res_value(res, key, 0)->text[0]);
	}
	return 0;
}

bool
zone_rtype_aliased(const struct zone_rtype *t)
{
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if (p->rctl != NULL)
			return true;
	return false;
}

/* Change a copy, and let the copy count when all went well. */
static int
put_aliased(struct zone_conf *conf, size_t at, const struct zone_res *res,
    struct error *err)
{
	struct zone_conf *next = zone_conf_dup(conf);
	struct zone_res *mine = zone_res_dup(res);
	int rc;

	if (next == NULL || mine == NULL) {
		zone_conf_free(next);
		zone_res_free(mine);
		return no_memory(err);
	}
	rc = zone_conf_attach(next, at, mine, err);
	if (rc < 0)
		zone_res_free(mine);
	if (rc == 0 && zone_rtype_aliased(res->type))
		rc = zone_alias_store(next, mine, err);
	if (rc == 0)
		rc = zone_alias_mirror(next, err);
	if (rc == 0)
		zone_conf_swap(conf, next);
	zone_conf_free(next);
	return rc;
}

int
zone_conf_put(
    struct zone_conf *conf, size_t at, struct zone_res *res, struct error *err)
{
	int rc;

	rc = zone_res_complete(res, err);
	if (rc == 0)
		rc = check_unique(conf, at, res, err);
	if (rc < 0)
		return rc;
	if (strcmp(res->type->name, "rctl") != 0 &&
	    !zone_rtype_aliased(res->type))
		return zone_conf_attach(conf, at, res, err);
	rc = put_aliased(conf, at, res, err);
	if (rc == 0)
		zone_res_free(res);
	return rc;
}

int
zone_conf_put_fresh(
    struct zone_conf *conf, size_t at, struct zone_res *res, struct error *err)
{
	bool aliased = zone_rtype_aliased(res->type);
	bool mirrors = aliased || strcmp(res->type->name, "rctl") == 0;
	int rc;

	rc = zone_res_complete(res, err);
	if (rc == 0)
		rc = check_unique(conf, at, res, err);
	if (rc == 0)
		rc = zone_conf_attach(conf, at, res, err);
	if (rc < 0) {
		zone_res_free(res);
		return rc;
	}
	if (aliased)
		rc = zone_alias_store(conf, res, err);
	return rc < 0 || !mirrors ? rc : zone_alias_mirror(conf, err);
}

int
zone_conf_drop(struct zone_conf *conf, size_t at, struct error *err)
{
	const struct zone_rtype *type = conf->res[at]->type;
	struct zone_conf *next;
	struct zone_res *none;
	int rc;

	if (strcmp(type->name, "rctl") != 0 && !zone_rtype_aliased(type)) {
		zone_conf_detach(conf, at);
		return 0;
	}
	next = zone_conf_dup(conf);
	none = zone_res_create(type);
	if (next == NULL || none == NULL) {
		rc = no_memory(err);
	} else {
		zone_conf_detach(next, at);
		rc = zone_rtype_aliased(type)
		    ? zone_alias_store(next, none, err)
		    : 0;
		if (rc == 0)
			rc = zone_alias_mirror(next, err);
		if (rc == 0)
			zone_conf_swap(conf, next);
	}
	zone_res_free(none);
	zone_conf_free(next);
	return rc;
}

/* Global aliases go through a copy, as resources with aliases do. */
static int
global_aliased(struct zone_conf *conf, const struct zone_prop *p,
    const struct zone_raw *raw, struct error *err)
{
	struct zone_conf *next = zone_conf_dup(conf);
	int rc;

	if (next == NULL)
		return no_memory(err);
	rc = raw != NULL ? zone_res_set(next->global, p, raw, 1, err)
			 : zone_res_clear(next->global, p, err);
	if (rc == 0)
		rc = zone_alias_store(next, next->global, err);
	if (rc == 0)
		rc = zone_alias_mirror(next, err);
	if (rc == 0)
		zone_conf_swap(conf, next);
	zone_conf_free(next);
	return rc;
}

int
zone_conf_set(struct zone_conf *conf, const struct zone_prop *p,
    const struct zone_raw *raw, struct error *err)
{
	if (p->rctl != NULL)
		return global_aliased(conf, p, raw, err);
	return zone_res_set(conf->global, p, raw, 1, err);
}

int
zone_conf_set_text(struct zone_conf *conf, const char *prop, const char *text,
    struct error *err)
{
	const struct zone_raw raw = { .text = text };

	return zone_conf_set(conf, zone_prop_row(ZONE_GLOBAL, prop), &raw, err);
}

int
zone_conf_clear(
    struct zone_conf *conf, const struct zone_prop *p, struct error *err)
{
	if (p->rctl != NULL)
		return global_aliased(conf, p, NULL, err);
	return zone_res_clear(conf->global, p, err);
}
