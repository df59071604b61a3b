/*
 * For the tests of zone/: statements applied to a configuration without the
 * zonecfg program, and random valid configurations.
 */
#ifndef UNIT_ZONE_UTIL_H
#define UNIT_ZONE_UTIL_H

#include "base/buf.h"
#include "base/error.h"
#include "zone/brand.h"
#include "zone/conf.h"

/*
 * set, add, clear, end and remove of a text; 'create' is passed over. The first
 * error ends it.
 */
int zone_apply(struct zone_conf *conf, const char *text, struct error *err);
/* The whole export, NUL-terminated; the caller ends the buffer. */
const char *zone_export_text(const struct zone_conf *conf, struct buf *b);

/*
 * A random configuration of which every value is right, with every kind of
 * value sooner or later. With a brand it passes zone_verify() too. The same
 * seed gives the same zone.
 */
struct zone_conf *
zone_random(uint64_t seed, const struct zone_brand *brand, const char *name);

#endif
