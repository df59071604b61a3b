/*
 * What the files of store/volume* share: a pool, and the table of functions
 * that its kind is.
 */
#ifndef STORE_VOLUME_IMPL_H
#define STORE_VOLUME_IMPL_H

#include "store/half.h"
#include "store/volume.h"

#define STORE_PATH 4096
#define SECTOR 512

struct pool {
	char name[POOL_NAME_MAX + 1];
	const struct volume_ops *ops;
	char *where; /* as the pools file has it */
	char *host; /* a folder: with the root in front */
	const char *root;
};

/* Names are checked, zones are UUIDs, before any of these is called. */
struct volume_ops {
	const char *kind;
	bool dataset; /* WHERE is no path */
	bool atomic; /* snapshots are of one moment */
	int (*path)(const struct pool *p, const char *zone, const char *name,
	    char *buf, size_t size);
	int (*zone_create)(
	    const struct pool *p, const char *zone, struct error *err);
	int (*zone_remove)(
	    const struct pool *p, const char *zone, struct error *err);
	int (*zone_quota)(const struct pool *p, const char *zone,
	    uint64_t quota, struct error *err);
	/* origin: a path of the host; from: where it is, if a volume */
	int (*create)(const struct pool *p, const struct volume_spec *spec,
	    const struct volume_id *from, struct error *err);
	int (*resize)(const struct pool *p, const char *zone, const char *name,
	    uint64_t size, bool shrink, struct error *err);
	int (*compress)(const struct pool *p, const char *zone,
	    const char *name, const char *how, struct error *err);
	int (*reserve)(const struct pool *p, const char *zone, const char *name,
	    uint64_t size, bool less, struct error *err);
	int (*remove)(const struct pool *p, const char *zone, const char *name,
	    struct error *err);
	/* Appends; half made ones with their names' suffix. */
	int (*list)(const struct pool *p, const char *zone,
	    struct volume_list *l, struct error *err);
	int (*zones)(const struct pool *p,
	    int (*fn)(const struct pool *p, const char *zone, void *arg,
		struct error *err),
	    void *arg, struct error *err);
	/* live: in little time, while the disks are kept still */
	int (*snap_begin)(const struct pool *p, const char *zone,
	    const char *name, bool live, struct error *err);
	int (*snap_take)(const struct pool *p, const char *zone,
	    const char *name, bool live, struct error *err);
	int (*snap_end)(const struct pool *p, const char *zone,
	    const char *name, bool live, bool keep, struct error *err);
	int (*snap_rollback)(const struct pool *p, const char *zone,
	    const char *name, struct error *err);
	int (*snap_delete)(const struct pool *p, const char *zone,
	    const char *name, struct error *err);
	int (*snap_list)(const struct pool *p, const char *zone,
	    struct snapshot_list *l, struct error *err);
};

extern const struct volume_ops volume_file_ops, volume_btrfs_ops,
    volume_zfs_ops;

const struct pool *pool_find(
    const struct volume_pools *pools, const char *name, struct error *err);
bool volume_name_ok(const char *name);
/* Is the name one that is being made? Its suffix is cut off. */
bool volume_name_half(char *name);
int volume_list_add(struct volume_list *l, const struct volume_info *v);
int snapshot_list_add(struct snapshot_list *l, const struct snapshot_info *s);
/* -ENOENT: there is no such snapshot, as a sentence. */
int snapshot_missing(const struct pool *p, const char *zone, const char *name,
    struct error *err);

/* ---- pools that are folders (volume_dir.c, snapshot_dir.c) ---- */

/* WHERE/ZONE, WHERE/ZONE/SUB */
int dir_path(const struct pool *p, const char *zone, const char *sub, char *buf,
    struct error *err);
int dir_sync(const char *path, struct error *err);
/* A folder or a subvolume, as the kind has it, and as a copy of another. */
int dir_tree_make(const struct pool *p, const char *path, struct error *err);
int dir_tree_remove(const struct pool *p, const char *path, struct error *err);
int
dir_snapshots_remove(const struct pool *p, const char *zone, struct error *err);
/*
 * Of every name in 'from' that is no part of a snapshot: into 'to' what it is
 * today, in place of what is there.
 */
int dir_keep_others(const char *from, const char *to, struct error *err);
int dir_snap_begin(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err);
int dir_snap_take(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err);
int dir_snap_end(const struct pool *p, const char *zone, const char *name,
    bool live, bool keep, struct error *err);
int dir_snap_rollback(const struct pool *p, const char *zone, const char *name,
    struct error *err);
int dir_snap_delete(const struct pool *p, const char *zone, const char *name,
    struct error *err);
int dir_snap_list(const struct pool *p, const char *zone,
    struct snapshot_list *l, struct error *err);

/* ---- block devices, by their paths (volume_device.c) ---- */

bool device_is(const char *path);
int device_stat(const char *path, struct volume_info *ret, struct error *err);
int device_resize(const char *path, uint64_t size, struct error *err);
/* Has it room for that? Then the origin (NULL: none) is copied to it. */
int device_fill(
    const char *path, uint64_t size, const char *origin, struct error *err);

/* ---- zvols (volume_zfs.c, snapshot_zfs.c) ---- */

/* Tests have their own. */
extern const char *zvol_dir; /* where udev's links are: /dev/zvol */
extern unsigned zvol_patience; /* seconds that they may take */

/* WHERE/ZONE, and what is to be behind it: "", "@SNAPSHOT" */
int zfs_dataset(const struct pool *p, const char *zone, const char *behind,
    char *buf, struct error *err);
/* WHERE/ZONE/NAME, the same way */
int zfs_zvol(const struct pool *p, const char *zone, const char *name,
    const char *behind, char *buf, struct error *err);
/* The folder where the dataset is mounted, the same way */
int zfs_place(const struct pool *p, const char *zone, const char *behind,
    char *buf, struct error *err);
/* With its snapshots; its clones stay. */
int zfs_zvol_remove(const char *set, struct error *err);
int zfs_list(const struct pool *p, const char *zone, struct volume_list *l,
    struct error *err);
int zfs_snap_take(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err);
int zfs_snap_rollback(const struct pool *p, const char *zone, const char *name,
    struct error *err);
int zfs_snap_delete(const struct pool *p, const char *zone, const char *name,
    struct error *err);
int zfs_snap_list(const struct pool *p, const char *zone,
    struct snapshot_list *l, struct error *err);

/* ---- subvolumes (subvol.c); negative errno ---- */

int subvol_make(const char *path);
/* A snapshot that can be written to. */
int subvol_copy(const char *from, const char *to);
bool subvol_is(const char *path);
int subvol_remove(const char *path);
/*
 * The most that it may refer to, in bytes; UINT64_MAX: no limit. -ENOTCONN:
 * quotas are off on that file system.
 */
int subvol_limit(const char *path, uint64_t bytes);

#endif
