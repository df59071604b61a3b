/*
 * A zone's resource limits, on cgroup v2, v1 and hosts with both: one table of
 * limits, each with its file and value form on either. Hierarchies are found in
 * /proc/self/mountinfo and nested below the caller's own group
 * (/proc/self/cgroup); on v2 below the nearest group above that may have limits
 * for its children, since one with processes of its own may not.
 */
#ifndef JAIL_CGROUP_H
#define JAIL_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/nvlist.h"

#define JAIL_UNLIMITED UINT64_MAX

/*
 * illumos units; JAIL_UNLIMITED (or NULL) where nothing is said. 100 shares and
 * an I/O weight of 100 are what a group has that says nothing. On Linux a
 * process is one task as a thread is: lwps and processes both count tasks, and
 * the smaller one rules.
 */
struct jail_limits {
	uint64_t cpu_shares; /* weight; zone.cpu-shares */
	uint64_t cpu_cap; /* per cent of one CPU; zone.cpu-cap */
	uint64_t physical; /* bytes; max-physical-memory, capped-memory */
	uint64_t locked; /* bytes; zone.max-locked-memory (RLIMIT_MEMLOCK) */
	uint64_t swap; /* bytes of memory and swap; zone.max-swap */
	uint64_t lwps; /* zone.max-lwps */
	uint64_t processes; /* zone.max-processes */
	uint64_t io_weight; /* 1..1000; zone.zfs-io-priority */
	const char *cpus; /* cpu list; dedicated-cpu */
};

/*
 * From the "limits" of zone/snap.h, which may be NULL; cpus is not touched.
 * I/O weights are brought into their range.
 */
void jail_limits_read(const struct nvlist *nvl, struct jail_limits *ret);

struct jail_usage {
	uint64_t cpu_ns; /* since the group was made */
	uint64_t memory; /* bytes charged: guest memory, page cache */
	uint64_t io_read, io_written; /* bytes */
	uint64_t oom_kills;
};

struct cgroup;

/*
 * Make the zone's groups ("zhyve-NAME") and set the limits. A limit that this
 * host has no controller for is in err->text of a call that returns 1 (a
 * notice, all else is done). Empty groups of that name are made anew; -EBUSY
 * when processes are in them.
 */
int cgroup_create(const char *name, const struct jail_limits *limits,
    struct cgroup **ret, struct error *err);
/*
 * Find groups again, from cgroup_save()'s list; those that are gone are no
 * error.
 */
int cgroup_attach(
    const struct nvlist *saved, struct cgroup **ret, struct error *err);
int cgroup_save(const struct cgroup *cg, struct nvlist **ret);
int cgroup_limit(
    struct cgroup *cg, const struct jail_limits *limits, struct error *err);
int cgroup_enter(struct cgroup *cg, pid_t pid, struct error *err);
int cgroup_usage(const struct cgroup *cg, struct jail_usage *ret);
/* A frozen group would keep SIGKILL waiting (v1). */
void cgroup_thaw(struct cgroup *cg);
/* Kill what is in there, wait, remove; safe to repeat. */
int cgroup_remove(struct cgroup *cg, struct error *err);
void cgroup_free(struct cgroup *cg); /* forgets; NULL is allowed */

#endif
