/*
 * A zone's walls. jail_plan_make() computes, from data alone, the list of
 * steps; jail_plan_print() shows them (a test's golden file, an operator's -n);
 * and jail_spawn() carries them out: user, mount, pid, net, ipc, uts and cgroup
 * namespaces, uid map, a root of read-only mounts and tmpfs, /dev, limits, no
 * capabilities, no_new_privs, and then the program, as pid 1.
 *
 * docs/zones.md has the table of walls.
 */
#ifndef JAIL_JAIL_H
#define JAIL_JAIL_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/nvlist.h"
#include "jail/cgroup.h"
#include "jail/priv.h"

enum jail_mount_kind {
	JAIL_BIND, /* 'what' of the host at 'where' of the zone; a symbolic
			link of the host at the same place is made again */
	JAIL_TMPFS, /* at 'where'; the program's own */
	JAIL_DEVICE, /* node 'what' below the host's /dev, same place in the
			zone; one that the host lacks is left out */
	JAIL_SYMLINK, /* 'where' below /dev points to 'what' */
};
/*
 * opt, commas between, NULL for none: ro rw nosuid nodev noexec nosymfollow (a
 * mount is nosuid and nodev in any case), and of a tmpfs size=, nr_inodes=,
 * mode= (50m, 4096, 0755).
 */
struct jail_mount {
	enum jail_mount_kind kind;
	const char *what, *where;
	const char *opt;
};

/* What is asked for; texts are borrowed until the plan is made. */
struct jail_spec {
	const char *name; /* host name in the zone */
	const char *group; /* its cgroups' name on the host; NULL: name */
	uint32_t uid_base; /* first host uid and gid of the zone's range */
	uint32_t uid_count;
	const struct jail_mount *mounts;
	size_t nmounts;
	struct jail_limits limits;
	struct jail_privset privs;
	uint64_t nofile; /* RLIMIT_NOFILE, at least 128; 0: the caller's */
};

struct jail_plan;
int jail_plan_make(
    const struct jail_spec *spec, struct jail_plan **ret, struct error *err);
/* One step a line: verb, arguments. */
int jail_plan_print(const struct jail_plan *plan, struct buf *b);
/*
 * What jail_clean() needs if the caller dies inside jail_spawn(): keep it
 * safe before the spawn.
 */
int jail_plan_save(const struct jail_plan *plan, struct nvlist **ret);
void jail_plan_free(struct jail_plan *plan); /* NULL is allowed */

/* The program runs as this user of the zone, with no capability. */
#define JAIL_UID 1
#define JAIL_FD_MAX 64
struct jail_fd {
	int from; /* of the caller */
	int to; /* of the program, below JAIL_FD_MAX */
};
struct jail_program {
	int exe; /* executed by descriptor: its path need not be in the zone */
	char *const *argv;
	char *const *envp;
	const struct jail_fd *fds; /* everything else is closed */
	size_t nfds;
};

struct jail; /* a running one */
/*
 * Carry out the plan. A failure in the child is reported with its step's text,
 * and nothing is left behind. The child's parent is the caller. Limits that
 * this host cannot set are in err->text of a call that returns 1. Threads of
 * the caller are no obstacle; SIGCHLD is not needed and not waited for.
 */
int jail_spawn(const struct jail_plan *plan, const struct jail_program *prog,
    struct jail **ret, struct error *err);
pid_t jail_pid(const struct jail *jail);
int jail_pidfd(const struct jail *jail); /* readable when it has ended */
struct cgroup *jail_cgroup(struct jail *jail);
/* Save, and find again in another process: -ESRCH when it lives no more. */
int jail_save(const struct jail *jail, struct nvlist **ret);
int
jail_attach(const struct nvlist *saved, struct jail **ret, struct error *err);
/*
 * A descriptor of the program, duplicated (pidfd_getfd(2)). It may be anything:
 * check it.
 */
int jail_take_fd(const struct jail *jail, int fd);
/*
 * Wait for its end. How it ended: a wait status, or -ECHILD when only a parent
 * could know and this kernel tells nobody else (before 6.15).
 */
int jail_wait(struct jail *jail, int *ret_status);
int jail_kill(struct jail *jail, int signo);
/*
 * Kill, reap, remove what was made, free. On failure it is still there, to try
 * again.
 */
int jail_destroy(struct jail *jail, struct error *err);
void jail_free(struct jail *jail); /* forgets it, lets it live */
/* Clean up after one that jail_attach() did not find any more. */
int jail_clean(const struct nvlist *saved, struct error *err);

#endif
