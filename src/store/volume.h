/*
 * Volumes: the disks of zones, by one interface over what the host has. A pool
 * is a line of ROOT/etc/zones/pools: "NAME KIND WHERE"; without the file there
 * is one, "zones file /var/lib/zhyve/zones". Kinds: file (sparse files,
 * reflinks where the file system has them), btrfs (a subvolume a zone), zfs
 * (zvols, by the program zfs; WHERE is a dataset).
 *
 * A volume is named POOL/UUID/NAME. Zones' configurations name it as SmartOS
 * does, /dev/zvol/rdsk/POOL/UUID/NAME (also dsk or neither, and
 * POOL/UUID-NAME); volume_path() says where it really is. NAME: letters,
 * digits, -_.: and a letter or digit first, 64 at most. Snapshots are of all
 * volumes of a zone in a pool at once, by name: letters, digits, -_.:%, 64 at
 * most.
 *
 * Of file and btrfs pools, WHERE/UUID is the zone's place (and what its
 * zonepath is to be), disks/NAME in it a volume, WHERE/.snapshots/UUID/NAME a
 * snapshot: of disks, config and uefivars of the place (btrfs: of all of it).
 *
 * A block device of the host goes by its path: volume_stat(), volume_create()
 * (pool NULL; name: the path) and volume_resize() take it, and volume_remove()
 * leaves it alone.
 *
 * A crash leaves what volume_list() shows as half made ("NAME.new"), which the
 * next create of that name replaces; nothing else. Several processes may use it
 * at once, and several threads one struct volume_pools; but a zone's snapshots
 * and its removal are one caller's at a time (whoever holds its admin.lock).
 */
#ifndef STORE_VOLUME_H
#define STORE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define POOL_NAME_MAX 63
#define VOLUME_NAME_MAX 64
#define VOLUME_ZONE_LEN 36 /* a UUID */
#define VOLUME_CONF_PATH_MAX 192 /* with its NUL */
#define SNAPSHOT_NAME_MAX 64

struct volume_pools; /* of one root */
int volume_pools_open(
    const char *root, struct volume_pools **ret, struct error *err);
void volume_pools_close(struct volume_pools *pools); /* NULL is allowed */
/* The nth pool's name, borrowed; NULL behind the last. The first is default. */
const char *volume_pool_name(const struct volume_pools *pools, size_t nth);
/*
 * Are its snapshots of one moment by themselves, so that a zone may run
 * meanwhile? Else (file) it must be stopped, or stand still while
 * snapshot_take() works. false also if there is no such pool.
 */
bool volume_pool_atomic(const struct volume_pools *pools, const char *pool);

struct volume_id {
	char pool[POOL_NAME_MAX + 1], zone[VOLUME_ZONE_LEN + 1];
	char name[VOLUME_NAME_MAX + 1];
};
/* What a configuration's path names. -ENOENT: no path of a volume. -EINVAL */
int volume_parse(const char *conf_path, struct volume_id *ret);
/*
 * The path of a configuration (any path) to the host's: with ROOT in front if
 * it is a volume's, as it is if it is none of a pool's, or if the host has just
 * that name and the pool has no such volume. -ENOENT: of a pool that is not
 * there.
 */
int volume_path(const struct volume_pools *pools, const char *conf_path,
    char *buf, size_t size, struct error *err);
/* The other way: what a configuration is to say for a volume. */
int volume_conf_path(
    const char *pool, const char *zone, const char *name, char *buf, size_t n);

struct volume_spec {
	const char *pool, *zone,
	    *name; /* zone: its UUID; pool NULL: a device */
	uint64_t size; /* bytes, multiple of 512; 0: the origin's */
	const char *origin; /* to begin as: an image's path, a volume's
			       (configuration's form); NULL: zeros */
	uint64_t block_size; /* zfs; 0: default */
	uint64_t refreservation; /* bytes kept free for it, at most size */
	const char
	    *compression; /* NULL: off. A wish, which some cannot grant */
};
/*
 * Makes the zone's place too. All or nothing. -EEXIST; -EBUSY: somebody else
 * makes it; -ENOSPC; -EFBIG: the origin is larger than size.
 */
int volume_create(const struct volume_pools *pools,
    const struct volume_spec *spec, struct error *err);
/* Grows; shrinks only if 'shrink' (-EPERM). Its zone does not run. */
int volume_resize(const struct volume_pools *pools, const char *conf_path,
    uint64_t size, bool shrink, struct error *err);
/*
 * Of what is written from now on; what is there stays as it is. -EOPNOTSUPP:
 * the pool cannot. NULL: off.
 */
int volume_set_compression(const struct volume_pools *pools,
    const char *conf_path, const char *compression, struct error *err);
/*
 * Bytes, at most its size. less: what was kept free beyond that is given back,
 * and its zone does not run.
 */
int volume_set_refreservation(const struct volume_pools *pools,
    const char *conf_path, uint64_t size, bool less, struct error *err);
/* -ENOENT. What is half made is removed by its name, too. */
int volume_remove(
    const struct volume_pools *pools, const char *conf_path, struct error *err);
/*
 * The zone's place in a pool as configurations name it, without ROOT: what the
 * zonepath is to be. It need not be there.
 */
int volume_zone_path(const struct volume_pools *pools, const char *pool,
    const char *zone, char *buf, size_t size, struct error *err);
/* Make it, 0700, if it is not there. */
int volume_zone_create(const struct volume_pools *pools, const char *pool,
    const char *zone, struct error *err);
/*
 * Limit what it takes beside its volumes, in bytes; 0: no limit. Once more
 * after volumes came, went or have another size, and after a rollback.
 * -EOPNOTSUPP: the pool cannot, err says why.
 */
int volume_zone_quota(const struct volume_pools *pools, const char *pool,
    const char *zone, uint64_t quota, struct error *err);
/* Remove it with everything in it, and its snapshots; 0 if it is not there. */
int volume_zone_remove(const struct volume_pools *pools, const char *pool,
    const char *zone, struct error *err);

struct volume_info {
	char conf_path[VOLUME_CONF_PATH_MAX];
	uint64_t size, used; /* bytes; used: blocks, shared ones too */
	bool half; /* being made, or left so by a crash */
};
struct volume_list {
	struct volume_info *v;
	size_t n;
};
/* By name; zone NULL: of all zones, by UUID and name. */
int volume_list(const struct volume_pools *pools, const char *pool,
    const char *zone, struct volume_list *ret, struct error *err);
void volume_list_free(struct volume_list *l);
int volume_stat(const struct volume_pools *pools, const char *conf_path,
    struct volume_info *ret, struct error *err);

/* ---- snapshots, of all volumes of a zone and of its config folder ---- */

struct snapshot_info {
	char name[SNAPSHOT_NAME_MAX + 1];
	int64_t created; /* seconds since 1970 */
	uint64_t used; /* bytes; blocks, shared ones too, but of zfs */
};
struct snapshot_list {
	struct snapshot_info *v;
	size_t n;
};
/* The zone does not run, unless volume_pool_atomic(). -EEXIST */
int snapshot_create(const struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err);
/*
 * The same in steps, for a zone that runs: what takes time is done before and
 * after the moment. begin says -EOPNOTSUPP where a moment cannot be had, as the
 * file system shares no blocks. Every begin needs its end: keep makes the
 * snapshot be there, else nothing of it stays.
 */
struct snapshot;
int snapshot_begin(const struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct snapshot **ret,
    struct error *err);
int snapshot_take(struct snapshot *s, struct error *err);
int snapshot_end(struct snapshot *s, bool keep, struct error *err);
/*
 * The zone does not run. At once (zfs: one volume after the other). Newer
 * snapshots go. What is not in a snapshot (logs) stays as it is. -ENOENT
 */
int snapshot_rollback(const struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err);
int snapshot_delete(const struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err);
/* Oldest first. */
int snapshot_list(const struct volume_pools *pools, const char *pool,
    const char *zone, struct snapshot_list *ret, struct error *err);
void snapshot_list_free(struct snapshot_list *l);

#endif
