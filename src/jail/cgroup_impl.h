/*
 * Groups as folders: where hierarchies are (cgroup_find.c), the zone's folders
 * in them (cgroup.c), the files with limits and figures (cgroup_limit.c).
 */
#ifndef JAIL_CGROUP_IMPL_H
#define JAIL_CGROUP_IMPL_H

#include <limits.h>

#include "jail/cgroup.h"

#define CGROUP_DIRS 12

/* Controllers as bits. */
enum cgroup_ctl {
	CTL_CPU,
	CTL_CPUACCT,
	CTL_CPUSET,
	CTL_MEMORY,
	CTL_PIDS,
	CTL_IO,
	CTL_FREEZER,
	CTL_COUNT
};
#define CTL(name) (1U << CTL_##name)

struct cgroup_dir {
	char *path;
	bool v2;
	unsigned ctl;
};

struct cgroup {
	struct cgroup_dir dirs[CGROUP_DIRS];
	size_t n;
};

/*
 * Folders of the caller's own groups, one for each hierarchy that is of use
 * here. Cleared with cgroup_dirs_fini().
 */
int cgroup_find(struct cgroup *ret, struct error *err);
void cgroup_dirs_fini(struct cgroup *cg);
/* "cpu,memory" <-> bits; unknown names are left out. v2 says "io". */
unsigned cgroup_ctl_parse(const char *names, size_t n);
void cgroup_ctl_print(unsigned ctl, bool v2, char *buf, size_t size);

/*
 * In the folder 'dir': 0 or -errno. A text that the kernel refuses in part is
 * refused as a whole.
 */
int cgroup_put(const char *dir, const char *file, const char *text);
int cgroup_get(const char *dir, const char *file, char *buf, size_t size);

/* What a v1 cpuset needs before it takes a process. */
int cgroup_cpuset_inherit(const char *dir);
/* all: also those that are not limited (which sets them back). */
int cgroup_apply(struct cgroup *cg, const struct jail_limits *limits, bool all,
    struct error *err);

/*
 * What a new process needs to start in the groups: the folder in cgroup2 (-1:
 * none) for clone3(2), and the "tasks" files of the others. The caller closes.
 */
int cgroup_entries(struct cgroup *cg, int *ret_group, int *fds, size_t max,
    size_t *ret_n, struct error *err);
/* The folders that cgroup_create() would make, as cgroup_save() has them. */
int cgroup_foresee(const char *name, struct nvlist **ret, struct error *err);

/*
 * Tests: read /proc and groups below this folder ("" is the host), and put
 * into a new group the files that a kernel would.
 */
extern const char *cgroup_prefix;
extern void (*cgroup_made_hook)(const char *dir);

#endif
