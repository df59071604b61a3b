/*
 * The NICs of a zone together, and the routes that its guest is told.
 */
#ifndef ZONE_ROUTES_H
#define ZONE_ROUTES_H

#include "zone/nic.h"

struct zone_nics {
	struct zone_nic *v; /* as long as the configuration lives */
	size_t n;
};
/* All nets; a single one is the primary one. Errors name the net. */
int zone_nics_read(
    const struct zone_conf *conf, struct zone_nics *ret, struct error *err);
void zone_nics_fini(struct zone_nics *nics);

/*
 * From routes.json, an object of {"172.16.0.0/12": "10.0.0.254"}, to the array
 * that guests get, appended. A gateway is an address, or nics[N] or macs[MAC]:
 * the guest's own address on that NIC, which makes the route link-local; a NIC
 * without one (DHCP) makes no route. text NULL: no routes.
 */
int zone_routes_json(const char *text, const struct zone_nics *nics,
    struct buf *b, struct error *err);

#endif
