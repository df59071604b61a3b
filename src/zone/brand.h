/*
 * A brand: what kind of zone it is, as data. brands/NAME/config.xml says which
 * programs act on the zone, which privileges it has, and which resources and
 * properties of zone/table.h make sense for it.
 */
#ifndef ZONE_BRAND_H
#define ZONE_BRAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "zone/table.h"

struct zone_brand;

/* dir, or where brands are installed when it is NULL. */
const char *zone_brand_dir(const char *dir);
/*
 * dir: the folder with the brands, NULL for the installed one. -ENOENT: there
 * is no such brand (the error lists those that are).
 */
int zone_brand_load(const char *dir, const char *name, struct zone_brand **ret,
    struct error *err);
void zone_brand_free(struct zone_brand *brand); /* NULL is allowed */
const char *zone_brand_name(const struct zone_brand *brand);

/*
 * May a zone of this brand have the resource (p NULL) or the property? What the
 * file does not list is not allowed; a file that lists nothing allows all but
 * the rows of other brands.
 */
bool zone_brand_allows(const struct zone_brand *brand,
    const struct zone_rtype *type, const struct zone_prop *p);
/* The one value that a global property may have, or NULL. */
const char *
zone_brand_fixed(const struct zone_brand *brand, const struct zone_prop *p);

/*
 * Text of an element: "initname", "install", "boot", ...; "" when it is empty
 * or absent. Hooks are one program and its arguments, blanks between, without a
 * shell; %z is the zone's name, %R its zonepath. %B, the brand's folder, is
 * replaced already.
 */
const char *
zone_brand_text(const struct zone_brand *brand, const char *element);

enum zone_priv_set {
	ZONE_PRIV_DEFAULT,
	ZONE_PRIV_PROHIBITED,
	ZONE_PRIV_REQUIRED
};
struct zone_brand_priv {
	enum zone_priv_set set;
	const char *name;
	const char *ip_type; /* "shared", "exclusive", NULL: both */
};
/* Number of privilege rows; *ret is theirs. */
size_t zone_brand_privs(
    const struct zone_brand *brand, const struct zone_brand_priv **ret);

#endif
