/*
 * Statements that change the configuration in memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "session.h"
#include "zone/type.h"

static int
no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

static const struct zone_rtype *
scope(const struct session *s)
{
	return s->res != NULL ? zone_res_type(s->res) : ZONE_GLOBAL;
}

/* Does the brand have it? */
static int
allowed(struct session *s, const struct zone_rtype *t,
    const struct zone_prop *p, struct error *err)
{
	if (s->brand == NULL || zone_brand_allows(s->brand, t, p))
		return 0;
	return error_set(err, EPERM, "brand %s has no %s '%s'%s%s",
	    zone_brand_name(s->brand), p != NULL ? "property" : "resource",
	    p != NULL ? p->name : t->name,
	    p != NULL && t != ZONE_GLOBAL ? " of " : "",
	    p != NULL && t != ZONE_GLOBAL ? t->name : "");
}

static int
find_prop(struct session *s, const struct zone_arg *a,
    const struct zone_prop **ret, struct error *err)
{
	int rc = zone_prop_get(scope(s), a->name, ret, err);

	return rc < 0 ? rc : allowed(s, scope(s), *ret, err);
}

/* "PROPERTY VALUE", of add and remove inside a resource. */
static int
list_args(struct session *s, const struct zone_stmt *stmt,
    const struct zone_prop **ret_p, struct zone_arg *ret_values,
    struct zone_raw *word, struct error *err)
{
	const struct zone_arg *a = stmt->args;
	int rc;

	if (stmt->nargs != 2 || a[0].name == NULL || a[0].assigned ||
	    (a[1].name != NULL && a[1].assigned))
		return session_usage(
		    s, stmt, err, "takes a property and a value");
	rc = find_prop(s, &a[0], ret_p, err);
	if (rc < 0)
		return rc;
	*ret_values = a[1];
	if (a[1].name != NULL) {
		*word = (struct zone_raw){ .text = a[1].name };
		ret_values->values = word;
		ret_values->nvalues = 1;
	}
	return 0;
}

/* All values or none: a copy of the resource takes them. */
static int
change_list(struct session *s, const struct zone_stmt *stmt, struct error *err,
    int (*change)(struct zone_res *, const struct zone_prop *,
	const struct zone_raw *, struct error *))
{
	const struct zone_prop *p = NULL;
	struct zone_arg values = { 0 };
	struct zone_raw word;
	struct zone_res *copy;
	int rc;

	rc = list_args(s, stmt, &p, &values, &word, err);
	if (rc < 0)
		return rc;
	copy = zone_res_dup(s->res);
	if (copy == NULL)
		return no_memory(err);
	for (size_t i = 0; i < values.nvalues && rc == 0; i++)
		rc = change(copy, p, &values.values[i], err);
	if (rc < 0) {
		zone_res_free(copy);
		return error_prefix(err, "%s", zone_res_type(s->res)->name);
	}
	zone_res_free(s->res);
	s->res = copy;
	return 0;
}

/* ---- the zone: add, select, remove ---- */

int
do_ADD(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	const struct zone_rtype *t = NULL;
	int rc;

	if (s->res != NULL)
		return change_list(s, stmt, err, zone_res_add);
	if (stmt->nargs != 1 || stmt->args[0].name == NULL ||
	    stmt->args[0].assigned)
		return session_usage(s, stmt, err, "takes one resource");
	rc = zone_rtype_get(stmt->args[0].name, &t, err);
	if (rc == 0)
		rc = allowed(s, t, NULL, err);
	if (rc < 0)
		return error_prefix(err, "add");
	rc = zone_conf_begin(s->conf, t, &s->res, &s->at, err);
	return rc < 0 ? error_prefix(err, "add") : 0;
}

/* Does a resource agree with all "property=value" of a statement? */
static int
matches(const struct zone_res *r, const struct zone_stmt *stmt, bool *ret,
    struct error *err)
{
	const struct zone_arg *a;
	const struct zone_prop *p = NULL;
	bool one = true;
	int rc;

	*ret = true;
	for (size_t i = 1; i < stmt->nargs; i++) {
		a = &stmt->args[i];
		rc = zone_prop_get(zone_res_type(r), a->name, &p, err);
		for (size_t k = 0; rc == 0 && k < a->nvalues; k++) {
			rc = zone_res_matches(r, p, &a->values[k], &one, err);
			*ret = *ret && one;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * The resources that "TYPE [PROPERTY=VALUE]..." names: the number of the first
 * from 'from' on, or ZONE_NEW.
 */
static int
next_match(struct session *s, const struct zone_rtype *t,
    const struct zone_stmt *stmt, size_t from, size_t *ret, struct error *err)
{
	const struct zone_res *r;
	bool yes = false;
	int rc;

	for (size_t i = from; (r = zone_conf_at(s->conf, i)) != NULL; i++) {
		if (zone_res_type(r) != t)
			continue;
		rc = matches(r, stmt, &yes, err);
		if (rc < 0)
			return rc;
		if (yes) {
			*ret = i;
			return 0;
		}
	}
	*ret = ZONE_NEW;
	return 0;
}

/* The form of the arguments, and that the properties exist at all. */
static int
filter_args(struct session *s, const struct zone_stmt *stmt,
    const struct zone_rtype **ret, struct error *err)
{
	const struct zone_arg *a = stmt->args;
	const struct zone_prop *p;
	int rc;

	if (stmt->nargs < 1 || a[0].name == NULL || a[0].assigned)
		return session_usage(s, stmt, err, "takes a resource");
	rc = zone_rtype_get(a[0].name, ret, err);
	for (size_t i = 1; i < stmt->nargs && rc == 0; i++) {
		if (a[i].name == NULL || !a[i].assigned)
			return session_usage(s, stmt, err,
			    "behind the resource come property=value");
		rc = zone_prop_get(*ret, a[i].name, &p, err);
	}
	return rc < 0 ? error_prefix(err, "%s", zone_verbs[stmt->verb].name)
		      : 0;
}

int
do_SELECT(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	const struct zone_rtype *t = NULL;
	size_t at = ZONE_NEW, more = ZONE_NEW;
	int rc;

	rc = filter_args(s, stmt, &t, err);
	if (rc == 0 && stmt->nargs == 1 && (t->flags & ZR_SINGLE) == 0)
		return session_usage(
		    s, stmt, err, "a property=value must say which one");
	if (rc == 0)
		rc = next_match(s, t, stmt, 0, &at, err);
	if (rc == 0 && at != ZONE_NEW)
		rc = next_match(s, t, stmt, at + 1, &more, err);
	if (rc < 0)
		return rc;
	if (at == ZONE_NEW)
		return error_set(err, ENOENT, "select: there is no %s%s",
		    t->name, stmt->nargs > 1 ? " like that" : "");
	if (more != ZONE_NEW)
		return error_set(err, EINVAL,
		    "select: there is more than one %s like that; say more",
		    t->name);
	s->res = zone_res_dup(zone_conf_at(s->conf, at));
	s->at = at;
	return s->res == NULL ? no_memory(err) : 0;
}

static int
count_matches(struct session *s, const struct zone_rtype *t,
    const struct zone_stmt *stmt, size_t *ret, struct error *err)
{
	size_t at = 0, n = 0;
	int rc;

	for (;; at++, n++) {
		rc = next_match(s, t, stmt, at, &at, err);
		if (rc < 0)
			return rc;
		if (at == ZONE_NEW)
			break;
	}
	*ret = n;
	return 0;
}

static int
remove_res(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	const struct zone_rtype *t = NULL;
	size_t n = 0, at = 0;
	int rc;

	rc = filter_args(s, stmt, &t, err);
	if (rc == 0)
		rc = count_matches(s, t, stmt, &n, err);
	if (rc < 0)
		return rc;
	if (n == 0 && zone_stmt_opt(stmt, 'F'))
		return 0;
	if (n == 0)
		return error_set(err, ENOENT, "remove: there is no %s%s",
		    t->name, stmt->nargs > 1 ? " like that" : "");
	if (n > 1) {
		rc = session_consent(
		    s, stmt, err, "this removes %zu %s resources", n, t->name);
		if (rc < 0)
			return rc;
	}
	while (rc == 0) {
		rc = next_match(s, t, stmt, 0, &at, err);
		if (rc < 0 || at == ZONE_NEW)
			break;
		s->changed = true;
		rc = zone_conf_drop(s->conf, at, err);
	}
	return rc;
}

int
do_REMOVE(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	if (s->res != NULL)
		return change_list(s, stmt, err, zone_res_remove);
	return remove_res(s, stmt, err);
}

/* ---- inside a resource ---- */

int
do_END(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	int rc;

	if (stmt->nargs != 0)
		return session_usage(s, stmt, err, "takes no argument");
	rc = zone_conf_put(s->conf, s->at, s->res, err);
	if (rc < 0)
		return rc;
	s->res = NULL;
	s->changed = true;
	return 0;
}

int
do_CANCEL(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	if (stmt->nargs != 0)
		return session_usage(s, stmt, err, "takes no argument");
	session_close_res(s);
	return 0;
}

/* ---- set and clear ---- */

static int
set_name(struct session *s, const char *name, struct error *err)
{
	struct zone_index *ix = NULL;
	int rc;

	if (strcmp(name, s->name) == 0)
		return 0;
	rc = zone_store_index(s->store, &ix, err);
	if (rc == 0 && zone_index_find(ix, name) != NULL)
		rc = error_set(err, EEXIST,
		    "zonename: there is a zone '%s' already", name);
	zone_index_free(ix);
	return rc;
}

static int
set_brand(struct session *s, const char *name, struct error *err)
{
	struct zone_brand *brand = NULL;
	int rc;

	rc = zone_brand_load(s->brand_dir, name, &brand, err);
	zone_brand_free(brand);
	return rc < 0 ? error_prefix(err, "brand") : 0;
}

/* Rules about single properties that need more than the value. */
static int
check_global(struct session *s, const struct zone_prop *p, const char *text,
    struct error *err)
{
	const char *old = zone_conf_get(s->conf, p->name);
	const char *fixed =
	    s->brand != NULL ? zone_brand_fixed(s->brand, p) : NULL;
	bool same = old != NULL && strcmp(old, text) == 0;

	if (fixed != NULL && strcmp(fixed, text) != 0)
		return error_set(err, EPERM,
		    "%s: '%.64s' cannot be; with brand %s it is always '%s'",
		    p->name, text, zone_brand_name(s->brand), fixed);
	if (strcmp(p->name, "zonename") == 0)
		return set_name(s, text, err);
	if (!same && s->state != ZONE_STATE_CONFIGURED &&
	    (strcmp(p->name, "brand") == 0 || strcmp(p->name, "zonepath") == 0))
		return error_set(err, EPERM,
		    "%s: cannot change: the zone is %s", p->name,
		    zone_state_name(s->state));
	if (strcmp(p->name, "brand") == 0)
		return set_brand(s, text, err);
	return 0;
}

static int
set_global(struct session *s, const struct zone_prop *p,
    const struct zone_arg *a, struct error *err)
{
	int rc;

	if (a->nvalues != 1)
		return error_set(
		    err, EINVAL, "%s: takes one value, not a list", p->name);
	if (a->values[0].text == NULL)
		return error_set(err, EINVAL,
		    "%s: takes a plain value, not (name=value,...)", p->name);
	rc = check_global(s, p, a->values[0].text, err);
	if (rc == 0)
		rc = zone_conf_set(s->conf, p, a->values, err);
	if (rc < 0)
		return rc;
	s->changed = true;
	session_refresh_brand(s);
	return 0;
}

int
do_SET(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	const struct zone_arg *a = stmt->args;
	const struct zone_prop *p = NULL;
	int rc;

	if (stmt->nargs != 1 || a->name == NULL || !a->assigned)
		return session_usage(s, stmt, err, "takes property=value");
	rc = find_prop(s, a, &p, err);
	if (rc == 0 && s->res == NULL)
		rc = set_global(s, p, a, err);
	else if (rc == 0)
		rc = zone_res_set(s->res, p, a->values, a->nvalues, err);
	if (rc < 0 && s->res != NULL)
		return error_prefix(err, "%s", zone_res_type(s->res)->name);
	return rc;
}

int
do_CLEAR(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	const struct zone_arg *a = stmt->args;
	const struct zone_prop *p = NULL;
	int rc;

	if (stmt->nargs != 1 || a->name == NULL || a->assigned)
		return session_usage(s, stmt, err, "takes one property");
	rc = find_prop(s, a, &p, err);
	if (rc < 0)
		return rc;
	if (s->res != NULL)
		return zone_res_clear(s->res, p, err);
	rc = zone_conf_clear(s->conf, p, err);
	if (rc == 0)
		s->changed = true;
	return rc;
}
