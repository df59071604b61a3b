/*
 * Volumes: the disks of zones, by one interface over what the host has. A pool
 * is a line of ROOT/etc/zones/pools: "NAME KIND WHERE"; without the file there
 * is one, "zones file /var/lib/zhyve/zones". Kinds: file (sparse files,
 * reflinks where the file system has them), btrfs (a subvolume a zone), zfs
 * (zvols; WHERE is a dataset).
 *
 * A volume is named POOL/UUID/NAME. Zones' configurations name it as SmartOS
 * does, /dev/zvol/rdsk/POOL/UUID/NAME (also dsk, and POOL/UUID-NAME);
 * volume_path() says where it really is. Snapshots are of all volumes of a
 * zone at once, by name: letters, digits, -_.:%, 64 at most.
 *
 * A crash leaves what volume_list() shows as half made ("NAME.new"), which the
 * next create of that name replaces; nothing else.
 */
#ifndef STORE_VOLUME_H
#define STORE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define VOLUME_NAME_MAX 255
#define SNAPSHOT_NAME_MAX 64

struct volume_pools; /* of one root */
int volume_pools_open(
    const char *root, struct volume_pools **ret, struct error *err);
void volume_pools_close(struct volume_pools *pools); /* NULL is allowed */

/*
 * The path of a configuration (any path) to the host's, without ROOT in front
 * when it is none of a pool's. -ENOENT: of a pool that is not there.
 */
int volume_path(struct volume_pools *pools, const char *conf_path, char *buf,
    size_t size, struct error *err);
/* The other way: what a configuration is to say for a volume. */
int volume_conf_path(
    const char *pool, const char *zone, const char *name, char *buf, size_t n);

struct volume_spec {
	const char *pool, *zone, *name; /* zone: its UUID */
	uint64_t size; /* bytes, multiple of 512; 0: the origin's */
	const char *origin; /* image's file or another volume to begin as */
	uint64_t block_size; /* zfs; 0: default */
	uint64_t refreservation; /* bytes kept free for it, at most size */
	const char *compression; /* NULL: off */
};
int volume_create(struct volume_pools *pools, const struct volume_spec *spec,
    struct error *err);
/* Grows; shrinks only if 'shrink'. */
int volume_resize(struct volume_pools *pools, const char *conf_path,
    uint64_t size, bool shrink, struct error *err);
int volume_remove(
    struct volume_pools *pools, const char *conf_path, struct error *err);
/* The zone's place in a pool, made 0700 or removed with everything in it. */
int volume_zone_path(struct volume_pools *pools, const char *pool,
    const char *zone, char *buf, size_t size, struct error *err);
int volume_zone_remove(struct volume_pools *pools, const char *pool,
    const char *zone, struct error *err);

struct volume_info {
	char conf_path[VOLUME_NAME_MAX + 64];
	uint64_t size, used; /* bytes */
	bool half; /* being made, or left so by a crash */
};
struct volume_list {
	struct volume_info *v;
	size_t n;
};
int volume_list(struct volume_pools *pools, const char *pool, const char *zone,
    struct volume_list *ret, struct error *err);
void volume_list_free(struct volume_list *l);

/* ---- snapshots, of all volumes of a zone and of its config folder ---- */

struct snapshot_info {
	char name[SNAPSHOT_NAME_MAX + 1];
	int64_t created; /* seconds since 1970 */
	uint64_t used;
};
struct snapshot_list {
	struct snapshot_info *v;
	size_t n;
};
int snapshot_create(struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err);
/* The zone does not run. Newer snapshots go. */
int snapshot_rollback(struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err);
int snapshot_delete(struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err);
int snapshot_list(struct volume_pools *pools, const char *pool,
    const char *zone, struct snapshot_list *ret, struct error *err);
void snapshot_list_free(struct snapshot_list *l);

#endif
