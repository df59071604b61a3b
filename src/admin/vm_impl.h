/*
 * What the files of VMs share.
 */
#ifndef ADMIN_VM_IMPL_H
#define ADMIN_VM_IMPL_H

#include "admin/impl.h"
#include "admin/vm.h"
#include "store/volume.h"
#include "zone/xmldoc.h"

/* A VM at work on: its lock, its configuration as it was read, its pools. */
struct vm_work {
	struct admin *a;
	const struct vm *vm;
	int lock; /* -1: none */
	enum zone_state state; /* since the lock is held */
	struct zone_conf *conf;
	struct buf base; /* bytes of conf */
	struct volume_pools *pools;
};
/* Lock, read, in one of these states (mask of 1 << state). */
int vm_work_begin(struct vm_work *w, struct admin *a, const struct vm *vm,
    unsigned states, const char *what, struct error *err);
void vm_work_end(struct vm_work *w);
/* Verify and write the configuration. */
int vm_work_save(struct vm_work *w, struct zone_conf *conf, struct error *err);

/* A manifest's property: its text or NULL; its MiB in bytes, 0 for none. */
const char *vm_text(const json_t *o, const char *name);
uint64_t vm_mib(const json_t *o, const char *name);

/* The pool of the VM itself. Free it. */
char *vm_pool(const struct zone_conf *conf);
/* Verify against its brand. */
int vm_verify(struct admin *a, const struct zone_conf *conf, struct error *err);
/* Set autoboot, if it is another. */
int vm_set_autoboot(
    struct admin *a, const struct vm *vm, bool on, struct error *err);
/* A random UUID. */
int vm_uuid(char ret[ZONE_UUID_LEN + 1], struct error *err);

/* ---- disks ---- */

/* The image's size in bytes, and where its disk is. -ENOENT */
int vm_image(struct admin *a, const char *uuid, uint64_t *ret_size,
    char path[ADMIN_PATH], struct error *err);
/*
 * Complete the disks of a manifest: sizes of images, UUIDs, paths, of the VM
 * 'uuid'. taken (may be NULL): a configuration whose volumes are not to be hit.
 */
int vm_disks_complete(struct admin *a, json_t *disks, const char *uuid,
    const char *pool, const struct zone_conf *taken, struct error *err);
/* Make the volume of a disk that is complete; nothing for what is there. */
int vm_disk_make(struct admin *a, const struct volume_pools *pools,
    const json_t *disk, struct error *err);
/* Its volume of this VM, if it is one. */
int vm_disk_remove(const struct volume_pools *pools, const char *uuid,
    const char *path, struct error *err);

/* ---- compression and refreservation of update_disks (vm_room.c) ---- */

int vm_room_check(
    const struct vm_work *w, const json_t *payload, struct error *err);
/*
 * All but less refreservation, before w->conf is replaced; undo takes it back.
 * note (may be NULL): what a pool cannot do.
 */
int vm_room_grow(const struct vm_work *w, const json_t *payload,
    struct buf *note, struct error *err);
void vm_room_undo(const struct vm_work *w, const json_t *payload);
/* Less refreservation, when the configuration is written. */
int vm_room_give_back(
    const struct vm_work *w, const json_t *payload, struct error *err);

/* ---- what a VM may take (vm_quota.c) ---- */

/*
 * Put quota in force, or lift it while disks change. note (may be NULL): that
 * the pool cannot.
 */
int vm_quota(const struct volume_pools *pools, const char *uuid,
    const struct zone_conf *conf, bool lift, struct buf *note,
    struct error *err);
/*
 * Is there room in flexible_disk_size for the disks of conf, the snapshots, and
 * one more of them, if there is to be? -ENOSPC
 */
int vm_flexible(const struct vm_work *w, const struct zone_conf *conf,
    bool snapshot, struct error *err);
/* A line for people; note may be NULL. */
void vm_note(struct buf *note, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define VM_POOLS_MAX 16
struct vm_pools {
	char name[VM_POOLS_MAX][POOL_NAME_MAX + 1];
	size_t n;
};
/* Where it has volumes; its own pool first. */
int vm_pools(const struct vm_work *w, struct vm_pools *ret, struct error *err);

/* ---- files beside the configuration ---- */

/* ZONEPATH/config, made if it is not there. A descriptor. */
int vm_config_dir(struct admin *a, const struct zone_conf *conf, bool make,
    struct error *err);
/* customer_metadata, internal_metadata, tags or routes. New reference. */
int vm_file_get(int dir, const char *which, json_t **ret, struct error *err);
/*
 * Set the members of 'set', then remove the keys of 'remove'; each may be NULL.
 */
int vm_file_change(int dir, const char *which, const json_t *set,
    const json_t *remove, struct error *err);

/*
 * Limits of a zone that runs, made those of conf; of memory at least those of
 * 'least' (may be NULL).
 */
int vm_apply(struct admin *a, const char *zone, const struct zone_conf *conf,
    const struct zone_conf *least, struct error *err);

/* Everything of it, in any state but running. The lock is not held. */
int vm_remove(
    struct admin *a, const char *name, const char *uuid, struct error *err);

#endif
