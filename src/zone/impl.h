/*
 * What the files of zone/ share, and nobody else sees.
 */
#ifndef ZONE_IMPL_H
#define ZONE_IMPL_H

#include "zone/conf.h"

/* The values of one property. */
struct zone_values {
	struct zone_val *v;
	size_t n;
};

struct zone_res {
	const struct zone_rtype *type;
	struct zone_values *props; /* one for each row of the type */
	size_t n; /* rows */
	size_t at; /* its number, while a configuration has it */
};

struct zone_conf {
	struct zone_res *global;
	struct zone_res **res;
	size_t n;
};

/* The property of that name, which must be a row. */
const struct zone_prop *
zone_prop_row(const struct zone_rtype *t, const char *name);
/* A property that is set already gets this one kept text (or NULL: none). */
int zone_res_store(
    struct zone_res *res, const struct zone_prop *p, const char *text);
bool zone_val_equal(const struct zone_prop *p, const struct zone_val *a,
    const struct zone_val *b);

/* Append or replace without any check but memory and number. */
int zone_conf_attach(
    struct zone_conf *conf, size_t at, struct zone_res *res, struct error *err);
void zone_conf_detach(struct zone_conf *conf, size_t at);
void zone_conf_swap(struct zone_conf *a, struct zone_conf *b);
size_t
zone_conf_find(const struct zone_conf *conf, const struct zone_rtype *type);

/* Does the type have properties that are aliases of resource controls? */
bool zone_rtype_aliased(const struct zone_rtype *t);
/* Turn the alias properties of a resource into rctl resources. */
int zone_alias_store(
    struct zone_conf *conf, const struct zone_res *res, struct error *err);
/* Make the alias properties say what the rctl resources say. */
int zone_alias_mirror(struct zone_conf *conf, struct error *err);

/* ---- type_net.c ---- */

/*
 * The next word of a list; *n is its length, which may be 0. *list is NULL
 * behind the last, and then so is the result.
 */
const char *zone_word(const char **list, char sep, size_t *n);
/*
 * HOSTS, IPS, CIDS, PORTS, RATE, FORWARDS: -EINVAL and the wrong word, -E2BIG.
 */
int zone_net_check(
    enum zone_type type, const char *text, const char **ret_word, size_t *n);
size_t zone_net_most(enum zone_type type); /* words of a list */
int zone_rate_parse(const char *text, uint64_t *ret); /* bit/s */

#endif
