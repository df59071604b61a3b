/*
 * The table of privileges.
 */
#ifndef JAIL_PRIV_IMPL_H
#define JAIL_PRIV_IMPL_H

#include "jail/priv.h"

/* What keeps a zone from what a privilege is about. */
enum priv_wall {
	WALL_CAP = 1 << 0, /* a capability that is dropped, bounding set too */
	WALL_USERNS = 1 << 1,
	WALL_PIDNS = 1 << 2,
	WALL_NETNS = 1 << 3,
	WALL_IPCNS = 1 << 4,
	WALL_UTSNS = 1 << 5,
	WALL_MOUNT = 1 << 6, /* read-only mounts of its own namespace */
	WALL_CGROUP = 1 << 7,
	WALL_LANDLOCK = 1 << 8,
	WALL_SECCOMP = 1 << 9,
	WALL_PRCTL = 1 << 10, /* no_new_privs, MDWE, securebits, rlimits */
	WALL_NONE = 1 << 11, /* nothing on Linux is like it */
};

struct priv_row {
	const char *name;
	bool basic; /* every process has it, unless it is taken away */
	unsigned walls; /* of enum priv_wall */
	/*
	 * System calls that the lock leaves to a holder and answers with EPERM
	 * without it; blanks between. Only what a monitor has a use for.
	 */
	const char *calls;
};

extern const struct priv_row jail_privs[];
extern const size_t jail_nprivs; /* at most JAIL_PRIV_WORDS * 64 */

#endif
