/*
 * A jail that runs: made by a spawn, or found again.
 */
#ifndef JAIL_LIFE_H
#define JAIL_LIFE_H

#include "jail/jail.h"

/* Takes pidfd and cg; on failure they stay the caller's. */
int life_new(const char *name, pid_t pid, int pidfd, struct cgroup *cg,
    struct jail **ret, struct error *err);

#endif
