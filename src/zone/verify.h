/*
 * Is a configuration right as a whole?
 */
#ifndef ZONE_VERIFY_H
#define ZONE_VERIFY_H

#include "base/error.h"
#include "zone/brand.h"
#include "zone/conf.h"

/*
 * Check everything that can be said without looking at the host: required
 * properties, what the brand allows and fixes, rules between properties, and
 * the values of attrs and pairs that are other names of rows. The error names
 * the resource, the property and the value.
 *
 * brand is the one that the configuration names; NULL leaves its rules out.
 */
int zone_verify(const struct zone_conf *conf, const struct zone_brand *brand,
    struct error *err);

/* The rules of nets alone, for brands that have all their rows. */
int zone_verify_nets(const struct zone_conf *conf, struct error *err);

/* Does it hold a secret, so that its file is for the owner only? */
bool zone_conf_secret(const struct zone_conf *conf);

#endif
