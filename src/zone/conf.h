/*
 * A zone's configuration in memory: the global properties and the resources,
 * shaped by zone/table.h. What is in it is right value by value; whether it is
 * right as a whole is zone_verify()'s question.
 *
 * Resource controls that have an alias (set cpu-shares, add capped-cpu) are
 * kept once, as rctl resources; the alias properties mirror them.
 *
 * Not thread-safe. Out of memory is an error like any other: a call that fails
 * leaves the configuration as it was.
 */
#ifndef ZONE_CONF_H
#define ZONE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "zone/table.h"

struct zone_conf;
struct zone_res;

/*
 * A value. Simple: text[0]. Complex: one text a field, in the row's order.
 */
struct zone_val {
	char *text[ZONE_FIELDS_MAX];
};

/*
 * A value as somebody wrote it, its fields named but not looked up yet. Simple
 * when nfields is 0.
 */
struct zone_raw_field {
	const char *name, *text;
};
struct zone_raw {
	const char *text;
	size_t nfields;
	struct zone_raw_field fields[ZONE_FIELDS_MAX + 1];
};

/* ---- one resource; also the global scope ---- */

struct zone_res *zone_res_create(const struct zone_rtype *type);
struct zone_res *zone_res_dup(const struct zone_res *res);
void zone_res_free(struct zone_res *res); /* NULL is allowed */
const struct zone_rtype *zone_res_type(const struct zone_res *res);

/*
 * Replace the values of a property by n others; a property that is no list
 * takes exactly one. An empty text unsets an optional property. Errors begin
 * with the property's name.
 */
int zone_res_set(struct zone_res *res, const struct zone_prop *p,
    const struct zone_raw *raw, size_t n, struct error *err);
/* A list property: append one value; -EEXIST when it is there already. */
int zone_res_add(struct zone_res *res, const struct zone_prop *p,
    const struct zone_raw *raw, struct error *err);
/* Remove one value of a list; -ENOENT. */
int zone_res_remove(struct zone_res *res, const struct zone_prop *p,
    const struct zone_raw *raw, struct error *err);
/* Unset. -EINVAL for a required property of the global scope. */
int zone_res_clear(
    struct zone_res *res, const struct zone_prop *p, struct error *err);
/* Are all required properties there? */
int zone_res_complete(const struct zone_res *res, struct error *err);
/* Whether a property has this value; of a list, one of its values. */
int zone_res_matches(const struct zone_res *res, const struct zone_prop *p,
    const struct zone_raw *raw, bool *ret, struct error *err);

size_t zone_res_count(const struct zone_res *res, const struct zone_prop *p);
const struct zone_val *
zone_res_value(const struct zone_res *res, const struct zone_prop *p, size_t i);
/* By name, which must be a row's: the simple value, or NULL when unset. */
const char *zone_res_get(const struct zone_res *res, const char *prop);
/* As above, or the row's default when unset. */
const char *zone_res_effective(const struct zone_res *res, const char *prop);
/* The value of the pair of that name in the list 'property', or NULL. */
const char *zone_res_pair(const struct zone_res *res, const char *name);
/* Nothing is set but mirrors of resource controls. */
bool zone_res_only_alias(const struct zone_res *res);

/* ---- the configuration ---- */

struct zone_conf *zone_conf_create(void); /* blank; NULL: out of memory */
struct zone_conf *zone_conf_dup(const struct zone_conf *conf);
void zone_conf_free(struct zone_conf *conf); /* NULL is allowed */
/* Everything equal, in the same order. */
bool zone_conf_equal(const struct zone_conf *a, const struct zone_conf *b);

/* The global scope, to read. */
const struct zone_res *zone_conf_global(const struct zone_conf *conf);
/* Short for zone_res_get() of the global scope. */
const char *zone_conf_get(const struct zone_conf *conf, const char *prop);
int zone_conf_set(struct zone_conf *conf, const struct zone_prop *p,
    const struct zone_raw *raw, struct error *err);
/* The same with a plain text, by name. */
int zone_conf_set_text(struct zone_conf *conf, const char *prop,
    const char *text, struct error *err);
int zone_conf_clear(
    struct zone_conf *conf, const struct zone_prop *p, struct error *err);

/*
 * Resources are numbered from 0 in the order in which they came. A number holds
 * until a resource is removed, or one with aliases is put.
 */
size_t zone_conf_count(const struct zone_conf *conf);
const struct zone_res *zone_conf_at(const struct zone_conf *conf, size_t i);
/* The next of a type behind 'prev' (NULL: the first), or NULL. */
const struct zone_res *zone_conf_next(const struct zone_conf *conf,
    const struct zone_rtype *type, const struct zone_res *prev);
const struct zone_res *
zone_conf_first(const struct zone_conf *conf, const char *type);

#define ZONE_NEW SIZE_MAX
/*
 * What 'add' begins with: a new resource (*ret_at is ZONE_NEW), or, of a type
 * that is there once and so far only mirrors resource controls, a copy of that
 * one and its number. -EEXIST when there is one already. The caller puts *ret
 * or frees it.
 */
int zone_conf_begin(const struct zone_conf *conf, const struct zone_rtype *type,
    struct zone_res **ret, size_t *ret_at, struct error *err);
/*
 * Take a resource into the configuration, as a new one or in place of number
 * 'at'. Checked: required properties, a second of its kind, a second with the
 * same key (-EEXIST). res belongs to the configuration after success, and stays
 * the caller's after failure.
 */
int zone_conf_put(
    struct zone_conf *conf, size_t at, struct zone_res *res, struct error *err);
/*
 * The same for a configuration that is given up if this fails, and faster: res
 * is the configuration's, or gone, in any case.
 */
int zone_conf_put_fresh(
    struct zone_conf *conf, size_t at, struct zone_res *res, struct error *err);
/* Take it out; aliases take their resource control along. */
int zone_conf_drop(struct zone_conf *conf, size_t at, struct error *err);

/*
 * What holds for a row of a single resource or of the global scope, whichever
 * way it was said: by the property ("vcpu", "ncpus"), by an attr of one of the
 * row's other names, by the default. NULL when nothing says anything.
 */
const char *zone_conf_lookup(
    const struct zone_conf *conf, const char *type, const char *prop);
/*
 * The same for a property of one resource: the property, or a value in its
 * 'property' list by one of the row's other names (of disk, for a device).
 */
const char *zone_res_lookup(const struct zone_res *res, const char *prop);

/*
 * The privileged limit of a resource control, with the side rules:
 * max-processes follows max-lwps when unset, max-lwps is ten times
 * max-processes when unset. -ENOENT: no limit.
 */
int
zone_conf_limit(const struct zone_conf *conf, const char *rctl, uint64_t *ret);

#endif
