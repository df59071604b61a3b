/*
 * What the files of admin/ share.
 */
#ifndef ADMIN_IMPL_H
#define ADMIN_IMPL_H

#include "admin/admin.h"
#include "zone/conf.h"

#define ADMIN_PATH 4096

/* A path of the zone's world: what lies in its zonepath is below the root. */
int admin_path(struct admin *a, const char *zonepath, const char *path,
    char *buf, size_t size, struct error *err);
/* Run a hook of the brand that gets name and zonepath; 0 if there is none. */
int admin_hook(struct admin *a, const struct zone_conf *conf, const char *hook,
    const char *const *args, struct error *err);
/* Disks that have a size and are not there; image: for the boot disk. */
int admin_make_disks(struct admin *a, const struct zone_conf *conf,
    const char *image, struct error *err);

/*
 * One of them: conf_path as the configuration has it, path as this host does.
 * There already: 0, with an image -EEXIST.
 */
int admin_make_disk(struct admin *a, const char *conf_path, const char *path,
    uint64_t size, const char *image, struct error *err);
/* Which disks of a configuration are there, a bit each; of the first 64. */
uint64_t admin_disks_there(struct admin *a, const struct zone_conf *conf);
/* Remove volumes of pools that are its own, by UUID; but those of 'keep'. */
int admin_remove_disks(struct admin *a, const struct zone_conf *conf,
    uint64_t keep, struct error *err);
/* Load a configuration and check it as install does; path: the zonepath. */
int admin_load(struct admin *a, const char *zone, struct zone_conf **ret,
    char *path, struct error *err);
/*
 * admin_lock() of a zone in one of these states, a mask of 1 << state; 'what'
 * is not possible in others.
 */
int admin_lock_in(struct admin *a, const char *zone, unsigned states,
    const char *what, struct error *err);
/*
 * After an install or clone that failed: configured again, without the disks
 * that it made, nor its folder, path (NULL: that was not empty before).
 */
void admin_undo_install(struct admin *a, const struct zone_conf *conf,
    const char *path, uint64_t keep);
/* Does the host have what the zone's nets name? */
int admin_check_nets(
    struct admin *a, const struct zone_conf *conf, struct error *err);
int admin_make_zonepath(const char *path, struct error *err);
/*
 * The same, for a zone whose volumes are not made yet: if a pool's place is the
 * zonepath, the pool makes it, as a dataset would be mounted over what is
 * there.
 */
int admin_make_place(struct admin *a, const struct zone_conf *conf,
    const char *path, struct error *err);
/* Run zonelink: an answer for each question, NULL where it failed. */
int admin_zonelink(struct admin *a, const char *verb,
    struct nvlist *const *questions, size_t n, struct nvlist **answers,
    struct error *err);
#define ADMIN_IN(state) (1U << ZONE_STATE_##state)

#endif
