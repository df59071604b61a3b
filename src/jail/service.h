/*
 * Walls for a service of ours outside of the zones: a process that was started
 * as root closes itself off. It keeps the descriptors it has, and lives by
 * those that are passed to it.
 */
#ifndef JAIL_SERVICE_H
#define JAIL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "jail/lock.h"
#include "jail/lock_rules.h"

struct jail_service {
	uid_t uid; /* its own, and its group; 0: not of root's, stays so */
	uint64_t nofile; /* RLIMIT_NOFILE, as far as the hard limit goes */
	uint64_t fsize; /* RLIMIT_FSIZE, bytes */
	uint64_t threads; /* RLIMIT_NPROC, besides the first */
	uint64_t data; /* RLIMIT_DATA, bytes; 0: as it is */
	bool host; /* keeps the host's network and mounts; see 'keep' */
	struct lock_keep keep;
	const struct lock_rule *calls; /* besides lock_service_rules */
	size_t ncalls;
};
/*
 * Namespaces of its own (mounts: an empty, read-only root; network, IPC, host
 * name), limits, user and group, no capability and none to be had, Landlock,
 * seccomp. While there is one thread. A path cannot be opened any more, nor a
 * socket made, but what 'host' and 'keep' are for. Walls that this kernel lacks
 * are in err of a call that returns 1.
 */
int jail_service_enter(const struct jail_service *spec, struct error *err);

#endif
