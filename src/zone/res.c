/*
 * One resource: its properties and their values.
 */
#include <assert.h>
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

static void
val_free(struct zone_val *v)
{
	for (size_t i = 0; i < ZONE_FIELDS_MAX; i++)
		free(v->text[i]);
}

static void
values_free(struct zone_values *vs)
{
	for (size_t i = 0; i < vs->n; i++)
		val_free(&vs->v[i]);
	free(vs->v);
	*vs = (struct zone_values){ 0 };
}

bool
zone_val_equal(const struct zone_prop *p, const struct zone_val *a,
    const struct zone_val *b)
{
	for (size_t i = 0; i < zone_field_count(p); i++)
		if (strcmp(a->text[i], b->text[i]) != 0)
			return false;
	return true;
}

static struct zone_values *
values_of(const struct zone_res *res, const struct zone_prop *p)
{
	return &res->props[zone_prop_index(res->type, p)];
}

struct zone_res *
zone_res_create(const struct zone_rtype *type)
{
	struct zone_res *res = alloc_zero(1, sizeof(*res));

	if (res == NULL)
		return NULL;
	res->type = type;
	res->n = zone_prop_count(type);
	res->props = alloc_zero(res->n, sizeof(*res->props));
	if (res->props == NULL) {
		free(res);
		return NULL;
	}
	for (const struct zone_prop *p = type->props; p->name != NULL; p++)
		if ((p->flags & ZP_ALWAYS) != 0 &&
		    zone_res_store(res, p, p->dflt) != 0) {
			zone_res_free(res);
			return NULL;
		}
	return res;
}

void
zone_res_free(struct zone_res *res)
{
	if (res == NULL)
		return;
	for (size_t i = 0; i < res->n; i++)
		values_free(&res->props[i]);
	free(res->props);
	free(res);
}

const struct zone_rtype *
zone_res_type(const struct zone_res *res)
{
	return res->type;
}

static int
val_dup(const struct zone_val *v, struct zone_val *ret)
{
	struct zone_val copy = { 0 };

	for (size_t i = 0; i < ZONE_FIELDS_MAX; i++) {
		if (v->text[i] == NULL)
			continue;
		copy.text[i] = alloc_strdup(v->text[i]);
		if (copy.text[i] == NULL) {
			val_free(&copy);
			return -ENOMEM;
		}
	}
	*ret = copy;
	return 0;
}

static int
values_dup(const struct zone_values *vs, struct zone_values *ret)
{
	if (vs->n == 0)
		return 0;
	ret->v = alloc_zero(vs->n, sizeof(*ret->v));
	if (ret->v == NULL)
		return -ENOMEM;
	for (; ret->n < vs->n; ret->n++)
		if (val_dup(&vs->v[ret->n], &ret->v[ret->n]) != 0)
			return -ENOMEM;
	return 0;
}

struct zone_res *
zone_res_dup(const struct zone_res *res)
{
	struct zone_res *copy = zone_res_create(res->type);

	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < res->n; i++) {
		values_free(&copy->props[i]);
		if (values_dup(&res->props[i], &copy->props[i]) != 0) {
			zone_res_free(copy);
			return NULL;
		}
	}
	return copy;
}

/* ---- from what was written to values ---- */

static int
field_from(const struct zone_prop *p, const struct zone_raw_field *raw,
    struct zone_val *v, struct error *err)
{
	int i = zone_field_find(p, raw->name), rc;
	const char *names[ZONE_FIELDS_MAX];

	if (i < 0) {
		for (size_t k = 0; k < zone_field_count(p); k++)
			names[k] = p->fields[k].name;
		error_set(
		    err, EINVAL, "'%.64s' is no part of a value", raw->name);
		error_add_hint(
		    err, str_nearest(raw->name, names, zone_field_count(p)));
		return -EINVAL;
	}
	if (v->text[i] != NULL)
		return error_set(err, EINVAL, "'%s' is given twice", raw->name);
	rc = zone_type_check(
	    p->fields[i].type, p->fields[i].range, raw->text, &v->text[i], err);
	return rc < 0 ? error_prefix(err, "%s", raw->name) : 0;
}

static int
complex_from(const struct zone_prop *p, const struct zone_raw *raw,
    struct zone_val *v, struct error *err)
{
	int rc;

	for (size_t i = 0; i < raw->nfields; i++) {
		rc = field_from(p, &raw->fields[i], v, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < zone_field_count(p); i++)
		if (v->text[i] == NULL)
			return error_set(err, EINVAL,
			    "'%s' is missing in (...)", p->fields[i].name);
	/* 'priv' is the old word for the same */
	if (strcmp(p->fields[0].name, "priv") == 0 &&
	    strcmp(v->text[0], "priv") == 0) {
		free(v->text[0]);
		v->text[0] = alloc_strdup("privileged");
		if (v->text[0] == NULL)
			return no_memory(err);
	}
	return 0;
}

static int
val_from(const struct zone_prop *p, const struct zone_raw *raw,
    struct zone_val *ret, struct error *err)
{
	struct zone_val v = { 0 };
	int rc;

	if (p->fields != NULL && raw->nfields == 0)
		rc = error_set(err, EINVAL,
		    "'%.64s' is not of the form (%s=...,%s=...%s)", raw->text,
		    p->fields[0].name, p->fields[1].name,
		    zone_field_count(p) > 2 ? ",..." : "");
	else if (p->fields == NULL && raw->nfields != 0)
		rc = error_set(
		    err, EINVAL, "takes a plain value, not (name=value,...)");
	else if (p->fields != NULL)
		rc = complex_from(p, raw, &v, err);
	else
		rc = zone_type_check(
		    p->type, p->range, raw->text, &v.text[0], err);
	if (rc < 0) {
		val_free(&v);
		return error_prefix(err, "%s", p->name);
	}
	*ret = v;
	return 0;
}

static int
values_append(struct zone_values *vs, const struct zone_prop *p,
    struct zone_val *v, struct error *err)
{
	struct zone_val *grown;

	if (vs->n == ZONE_LIST_MAX)
		return error_set(err, E2BIG, "%s: more than %d values", p->name,
		    ZONE_LIST_MAX);
	for (size_t i = 0; i < vs->n; i++)
		if (zone_val_equal(p, &vs->v[i], v))
			return error_set(err, EEXIST,
			    "%s: the value is in the list already", p->name);
	grown = alloc_resize(vs->v, vs->n + 1, sizeof(*grown));
	if (grown == NULL)
		return no_memory(err);
	vs->v = grown;
	grown[vs->n++] = *v;
	return 0;
}

static int
values_add(struct zone_values *vs, const struct zone_prop *p,
    const struct zone_raw *raw, struct error *err)
{
	struct zone_val v;
	int rc;

	rc = val_from(p, raw, &v, err);
	if (rc < 0)
		return rc;
	rc = values_append(vs, p, &v, err);
	if (rc < 0)
		val_free(&v);
	return rc;
}

static bool
is_empty(const struct zone_prop *p, const struct zone_raw *raw)
{
	return p->fields == NULL && raw->nfields == 0 && raw->text[0] == '\0';
}

int
zone_res_set(struct zone_res *res, const struct zone_prop *p,
    const struct zone_raw *raw, size_t n, struct error *err)
{
	struct zone_values fresh = { 0 };
	int rc = 0;

	if ((p->flags & ZP_LIST) == 0 && n != 1)
		return error_set(
		    err, EINVAL, "%s: takes one value, not a list", p->name);
	if (n == 1 && is_empty(p, raw) &&
	    (p->flags & (ZP_REQUIRED | ZP_LIST)) == 0)
		return zone_res_clear(res, p, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = values_add(&fresh, p, &raw[i], err);
	if (rc < 0) {
		values_free(&fresh);
		return rc;
	}
	values_free(values_of(res, p));
	*values_of(res, p) = fresh;
	return 0;
}

static int
need_list(const struct zone_prop *p, struct error *err)
{
	if ((p->flags & ZP_LIST) != 0)
		return 0;
	return error_set(err, EINVAL,
	    "%s: is no list; use 'set %s=...' and 'clear %s'", p->name, p->name,
	    p->name);
}

int
zone_res_add(struct zone_res *res, const struct zone_prop *p,
    const struct zone_raw *raw, struct error *err)
{
	int rc = need_list(p, err);

	return rc < 0 ? rc : values_add(values_of(res, p), p, raw, err);
}

int
zone_res_remove(struct zone_res *res, const struct zone_prop *p,
    const struct zone_raw *raw, struct error *err)
{
	struct zone_values *vs = values_of(res, p);
	struct zone_val v;
	size_t i = 0;
	int rc;

	rc = need_list(p, err);
	if (rc == 0)
		rc = val_from(p, raw, &v, err);
	if (rc < 0)
		return rc;
	while (i < vs->n && !zone_val_equal(p, &vs->v[i], &v))
		i++;
	val_free(&v);
	if (i == vs->n)
		return error_set(
		    err, ENOENT, "%s: no such value in the list", p->name);
	val_free(&vs->v[i]);
	memmove(&vs->v[i], &vs->v[i + 1], (vs->n - i - 1) * sizeof(*vs->v));
	vs->n--;
	return 0;
}

int
zone_res_store(
    struct zone_res *res, const struct zone_prop *p, const char *text)
{
	struct zone_values fresh = { 0 };

	if (text != NULL) {
		fresh.v = alloc_zero(1, sizeof(*fresh.v));
		if (fresh.v == NULL)
			return -ENOMEM;
		fresh.v[0].text[0] = alloc_strdup(text);
		if (fresh.v[0].text[0] == NULL) {
			free(fresh.v);
			return -ENOMEM;
		}
		fresh.n = 1;
	}
	values_free(values_of(res, p));
	*values_of(res, p) = fresh;
	return 0;
}

int
zone_res_clear(
    struct zone_res *res, const struct zone_prop *p, struct error *err)
{
	if (res->type == ZONE_GLOBAL && (p->flags & ZP_REQUIRED) != 0)
		return error_set(
		    err, EINVAL, "%s: every zone must have one", p->name);
	if (zone_res_store(res, p, (p->flags & ZP_ALWAYS) ? p->dflt : NULL))
		return no_memory(err);
	return 0;
}

int
zone_res_complete(const struct zone_res *res, struct error *err)
{
	bool any = false;

	for (const struct zone_prop *p = res->type->props; p->name; p++) {
		any |= zone_res_count(res, p) > 0;
		if ((p->flags & ZP_REQUIRED) != 0 &&
		    zone_res_count(res, p) == 0)
			return error_set(err, EINVAL,
			    "%s: %s is missing, which is required",
			    res->type->name, p->name);
	}
	if (!any)
		return error_set(err, EINVAL,
		    "%s: no property is set; 'cancel' gives it up",
		    res->type->name);
	return 0;
}

int
zone_res_matches(const struct zone_res *res, const struct zone_prop *p,
    const struct zone_raw *raw, bool *ret, struct error *err)
{
	const struct zone_values *vs = values_of(res, p);
	struct zone_val v;
	int rc;

	rc = val_from(p, raw, &v, err);
	if (rc < 0)
		return rc;
	*ret = false;
	for (size_t i = 0; i < vs->n; i++)
		*ret |= zone_val_equal(p, &vs->v[i], &v);
	val_free(&v);
	return 0;
}

/* ---- reading ---- */

size_t
zone_res_count(const struct zone_res *res, const struct zone_prop *p)
{
	return values_of(res, p)->n;
}

const struct zone_val *
zone_res_value(const struct zone_res *res, const struct zone_prop *p, size_t i)
{
	return &values_of(res, p)->v[i];
}

const struct zone_prop *
zone_prop_row(const struct zone_rtype *t, const char *name)
{
	const struct zone_prop *p = zone_prop_find(t, name);

	assert(p != NULL);
	return p;
}

const char *
zone_res_get(const struct zone_res *res, const char *prop)
{
	const struct zone_prop *p = zone_prop_row(res->type, prop);

	if (zone_res_count(res, p) == 0)
		return NULL;
	return zone_res_value(res, p, 0)->text[0];
}

const char *
zone_res_effective(const struct zone_res *res, const char *prop)
{
	const char *v = zone_res_get(res, prop);

	return v != NULL ? v : zone_prop_row(res->type, prop)->dflt;
}

const char *
zone_res_pair(const struct zone_res *res, const char *name)
{
	const struct zone_prop *p = zone_prop_find(res->type, "property");

	for (size_t i = 0; p != NULL && i < zone_res_count(res, p); i++)
		if (strcmp(zone_res_value(res, p, i)->text[0], name) == 0)
			return zone_res_value(res, p, i)->text[1];
	return NULL;
}

bool
zone_res_only_alias(const struct zone_res *res)
{
	for (const struct zone_prop *p = res->type->props; p->name; p++)
		if (p->rctl == NULL && zone_res_count(res, p) > 0)
			return false;
	return true;
}
