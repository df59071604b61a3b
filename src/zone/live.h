/*
 * What of a zone is live: ROOT/run/zhyve/NAME, the folder of its supervisor,
 * and the record in there of the process that is the zone. docs/zones.md lists
 * the files.
 *
 * The record is replaced at once, not synced: it is worthless after a restart
 * of the host, and says so (boot id).
 */
#ifndef ZONE_LIVE_H
#define ZONE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/nvlist.h"
#include "zone/store.h"

#define ZONE_LIVE_PATH 1200 /* bytes of a path that these functions make */

/* ROOT/run/zhyve, or ROOT/run/zhyve/ZONE; -ENAMETOOLONG. */
int zone_live_path(const char *root, const char *zone, char *buf, size_t size);
/* Open the zone's folder; 'make' makes it, 0700, when it is not there. */
int zone_live_open(
    const char *root, const char *zone, bool make, struct error *err);

struct zone_live {
	enum zone_state state; /* READY and further; INSTALLED: being made */
	const char *step; /* what was begun and not ended, "" for nothing */
	uint64_t instance; /* another number for each boot */
	pid_t pid; /* 0: none yet */
	bool alive; /* that very process lives, since this start of the host */
	struct nvlist *record; /* all of it; the texts above lie in there */
};
/*
 * Read the record. -ENOENT: there is none. -EINVAL: damaged. The caller frees
 * with zone_live_fini().
 */
int zone_live_read(const char *root, const char *zone, struct zone_live *ret);
void zone_live_fini(struct zone_live *live);
/*
 * Complete a record (version, boot id, start time of "pid") and put it in
 * place of the old one, in the folder dir. The caller has added "state",
 * "step", "instance" and "pid", and may add more.
 */
int zone_live_write(int dir, struct nvlist *record, struct error *err);
/* No process, nothing to clean up any more. */
int zone_live_forget(int dir);

/* Start time of a process, in ticks since the host's start; -ESRCH. */
int zone_live_start_time(pid_t pid, uint64_t *ret);
/*
 * A zone's state: that of its process if it has one, else the index's. A zone
 * whose supervisor is in the middle of a boot is still installed.
 */
enum zone_state zone_live_state(const char *root, const struct zone_entry *e);

/* Write without syncing, but at once: a file that only this start needs. */
int zone_live_put(
    int dir, const char *name, const void *data, size_t n, struct error *err);

#endif
