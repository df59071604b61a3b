/*
 * What a zone of a brand finds when it starts, as data: the rows of
 * brands/NAME/platform.xml.
 */
#ifndef ZONE_PLATFORM_H
#define ZONE_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum zone_platform_kind {
	ZONE_GLOBAL_MOUNT, /* made from outside, of something of the host */
	ZONE_MOUNT, /* made inside */
	ZONE_DEVICE, /* a node below /dev that the zone sees */
	ZONE_SYMLINK, /* a link below /dev */
};

/* Texts may hold %z (zone) and %R (zonepath); NULL: not given. */
struct zone_platform_row {
	enum zone_platform_kind kind;
	char *what; /* special; match of a device; source of a link */
	char *where; /* directory; name of a device inside; target of a link */
	char *type; /* of a mount */
	char *opt; /* of a mount, commas between */
	char *ip_type; /* of a device: only with this ip-type */
};

struct zone_platform {
	bool exclusive_ip; /* a network stack of its own is possible */
	struct zone_platform_row *rows; /* in the order of the file */
	size_t n;
};

/* dir as in zone_brand_load(). Errors say file, line and reason. */
int zone_platform_load(const char *dir, const char *brand,
    struct zone_platform **ret, struct error *err);
void zone_platform_free(struct zone_platform *p); /* NULL is allowed */

#endif
