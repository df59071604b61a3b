/*
 * A store for tests of volumes: pools in etc/zones/pools of the test's folder,
 * two zones, and what is in them as text. Results stand until the eighth next
 * call of the same function.
 */
#ifndef UNIT_VOLUME_UTIL_H
#define UNIT_VOLUME_UTIL_H

#include "store/volume.h"
#include "store_util.h"

/* Zones, and paths of their volumes in pool 'zones'. */
#define Z "1d5b8e7c-c004-4f69-bf0c-c98918e35bd5"
#define Y "2d5b8e7c-c004-4f69-bf0c-c98918e35bd5"
#define V(name) "/dev/zvol/rdsk/zones/" Z "/" name
#define W(name) "/dev/zvol/rdsk/zones/" Y "/" name

extern struct error err; /* of the last call */

/* The test's folder is the root; text: of the file of pools, NULL for none. */
int vol_open(const char *text, struct volume_pools **ret);
/* Pool 'zones' in fs/pool, on a file system of its own if fs is not NULL. */
struct volume_pools *vol_world(const struct store_fs *fs);
/* In pool 'zones', with all else as it is by default. */
int vol_make(struct volume_pools *p, const char *zone, const char *name,
    uint64_t size, const char *origin);
/* Where the host has what a configuration names so. */
const char *vol_host(struct volume_pools *p, const char *conf);
/* "name size[ half]; " of each, without the beginning that all have */
const char *vol_listed(struct volume_pools *p, const char *zone);
/* Names of snapshots, a blank behind each. */
const char *vol_snapshots(struct volume_pools *p, const char *zone);

#endif
