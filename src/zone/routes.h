/*
 * The static routes that a zone's guest is told.
 */
#ifndef ZONE_ROUTES_H
#define ZONE_ROUTES_H

#include "zone/nic.h"

/*
 * From routes.json, an object of {"172.16.0.0/12": "10.0.0.254"}, to the array
 * that guests get, appended. A gateway is an address, or nics[N] or macs[MAC]:
 * the guest's own address on that NIC, which makes the route link-local; a NIC
 * without one (DHCP) makes no route. text NULL: no routes.
 */
int zone_routes_json(const char *text, const struct zone_nics *nics,
    struct buf *b, struct error *err);

#endif
