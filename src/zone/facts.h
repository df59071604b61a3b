/*
 * The facts of a zone that its guest may know: the "sdc:" keys of its metadata
 * (docs/metadata.md). What is not in the list of facts.c never gets there: no
 * password, nothing of internal_metadata.
 */
#ifndef ZONE_FACTS_H
#define ZONE_FACTS_H

#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/nvlist.h"
#include "zone/store.h"

#define ZONE_FACTS_MAX (56 * 1024) /* bytes; all of it is one message */
#define ZONE_ROUTES_MAX (64 * 1024) /* bytes of routes.json */

/* NULL and 0: nobody knows. */
struct zone_facts_in {
	const struct zone_conf *conf;
	const char *uuid; /* of the zone */
	const char *datacenter, *server; /* name, UUID */
	const char *routes; /* text of routes.json */
	time_t modified; /* the configuration, seconds of the epoch */
};

/*
 * keys, values: string arrays of one length. An array or object is JSON, whose
 * parts (sdc:nics.0.mac) are whoever's who answers. -EINVAL: a net, or
 * routes.json, cannot be understood; -E2BIG.
 */
int zone_facts_make(
    const struct zone_facts_in *in, struct nvlist **ret, struct error *err);
/* As above, of a zone of the store, the host's file and routes.json. */
int zone_facts_load(const struct zone_store *store, const char *name,
    struct nvlist **ret, struct error *err);

/*
 * What ROOT/etc/zones/host says of the host: lines of NAME VALUE, '#' begins a
 * comment. datacenter_name, server_uuid. -ENOENT, -ENAMETOOLONG.
 */
int zone_host_get(
    const struct zone_store *store, const char *name, char *buf, size_t size);

#endif
