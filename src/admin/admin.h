/*
 * What operators' programs do to zones: list them, ask their supervisors,
 * install them and take them away again.
 *
 * One admin is used by one thread. Whatever changes a zone on disk holds its
 * admin.lock; the states of the index say how far it came, so a crash leaves
 * 'incomplete', which uninstall removes.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "store/volume.h"
#include "zone/live.h"
#include "zone/store.h"

struct admin {
	struct zone_store *store;
	const char *root; /* of the store */
	const char *brands; /* folder of brands; NULL: the installed one */
	const char *zoneadmd; /* program; NULL: the installed one */
	struct volume_pools *pools; /* NULL until admin_pools() */
};
int admin_open(const char *root, struct admin *ret, struct error *err);
void admin_close(struct admin *a);
/* Where a disk of a configuration is on this host; it may be a volume's name.
 */
int admin_disk_path(struct admin *a, const char *zonepath, const char *path,
    char *buf, size_t size, struct error *err);
/* The pools of its root, borrowed; read at the first call. */
int admin_pools(struct admin *a, struct volume_pools **ret, struct error *err);

/* ---- list ---- */

struct admin_zone {
	char name[ZONE_NAME_MAX + 1];
	enum zone_state state;
	char uuid[ZONE_UUID_LEN + 1];
	char *path, *brand, *ip_type; /* brand "" when its file is damaged */
	uint64_t did; /* number for life, 0: unknown */
	bool autoboot;
};
struct admin_list {
	struct admin_zone *v;
	size_t n;
};
/*
 * All zones, in the order of the index; without 'conf' the fields that only
 * the configuration has are empty, and nothing is parsed.
 */
int admin_list(
    struct admin *a, bool conf, struct admin_list *ret, struct error *err);
void admin_list_free(struct admin_list *l);
/* -ENOENT; name is checked first. */
int admin_find(struct admin *a, const char *name, struct admin_zone *ret,
    struct error *err);
void admin_zone_fini(struct admin_zone *z);

/* ---- requests to a supervisor ---- */

struct admin_request {
	const char *command; /* zoneadmd/matrix.h has the names */
	const char *const *args; /* boot arguments */
	size_t nargs;
	bool debug, reboot;
	uint64_t timeout; /* seconds; 0: the supervisor's own */
};
/*
 * Start the zone's supervisor if there is none, have the request carried out.
 * *notes (may be NULL) receives what it says to success. A supervisor that
 * ends without an answer is started once more: every request may be repeated.
 */
int admin_request(struct admin *a, const char *zone,
    const struct admin_request *rq, struct buf *notes, struct error *err);
/*
 * Have the machine of a zone that runs stand still: no vCPU runs until
 * admin_resume(), or the process ends, or so many seconds are over. What its
 * devices were asked for before may still be carried out. *ret_fd is the
 * pause.
 */
int admin_pause(struct admin *a, const char *zone, uint64_t seconds,
    int *ret_fd, struct error *err);
/* Closes it. An error: it cannot be said that it stood still all the time. */
int admin_resume(int fd, const char *zone, struct error *err);
/*
 * Connect to a socket in the zone's folder ("zoneadmd.sock", "console.sock"),
 * and start the supervisor for that.
 */
int admin_connect(struct admin *a, const char *zone, const char *socket,
    int type, struct error *err);

/* ---- links of a zone that runs ---- */

struct admin_link {
	char net[65], name[16], guard[8]; /* guard: "bpf", "nft" */
	bool wanted; /* ask about it */
	const struct nvlist *link; /* the question's, borrowed; NULL: none */
	struct nvlist *stat; /* the answer, NULL: none */
};
struct admin_links {
	struct admin_link *v;
	size_t n;
	uint64_t did;
	struct zone_conf *conf; /* as it was at the boot */
};
/* -ESRCH: it does not run. */
int admin_links_load(struct admin *a, const char *zone, struct admin_links *ret,
    struct error *err);
void admin_links_free(struct admin_links *l);
/*
 * Ask zonelink (ipc/ipc.h) about those that are wanted. The first failure is
 * the error; the others are asked nonetheless.
 */
int admin_links_ask(struct admin *a, const char *zone, const char *verb,
    struct admin_links *l, struct error *err);
/* Put the protection that a stored configuration wants in force. */
int admin_links_apply(struct admin *a, const char *zone, struct admin_links *l,
    const struct zone_conf *stored, struct error *err);
/* The net with that name (physical); NULL. */
const struct zone_res *
admin_net_find(const struct zone_conf *conf, const char *name);

/* ---- install and its like ---- */

/* Hold until closed: who installs, moves, ... this zone. -EBUSY. */
int admin_lock(struct admin *a, const char *zone, struct error *err);

struct admin_install {
	const char *image; /* raw file for the boot disk; NULL: none */
	const char *const *args; /* for the brand's hook */
	size_t nargs;
};
/*
 * Configured to installed: zonepath, disks that have a size, the brand's hook.
 * A failure takes back what was made.
 */
int admin_install(struct admin *a, const char *zone,
    const struct admin_install *in, struct error *err);
/* Back to configured: all below the zonepath goes. -EBUSY: it runs. */
int admin_uninstall(struct admin *a, const char *zone, struct error *err);
int admin_mark_incomplete(struct admin *a, const char *zone, struct error *err);
/*
 * Configured to installed, as a copy of a zone that does not run: the nth disk
 * of the source, if it is a file, becomes the nth disk unless that is there.
 */
int admin_clone(
    struct admin *a, const char *zone, const char *source, struct error *err);
/*
 * Another zonepath, on the same file system. Paths of disks in it follow. If
 * it is interrupted, the same move once more ends it.
 */
int admin_move(
    struct admin *a, const char *zone, const char *zonepath, struct error *err);
/*
 * Installed to configured: the zonepath stays, with the configuration in it
 * (SUNWdetached.xml), for 'zonecfg create -a' anywhere. only_show: put it into
 * *manifest, and do nothing.
 */
int admin_detach(struct admin *a, const char *zone, bool only_show,
    struct buf *manifest, struct error *err);
/* Configured to installed, with a zonepath that is there; force: unchecked. */
int
admin_attach(struct admin *a, const char *zone, bool force, struct error *err);
/* Would a zone of this manifest be right here? */
int admin_check_manifest(struct admin *a, const char *path, struct error *err);
/* Could it be installed and booted? */
int admin_verify(struct admin *a, const char *zone, struct error *err);

#endif
