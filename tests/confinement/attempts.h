/*
 * What a monitor that was taken over would try: each attempt with what it must
 * get from the namespaces alone, and after the lock.
 */
#ifndef CONFINEMENT_ATTEMPTS_H
#define CONFINEMENT_ATTEMPTS_H

#include <stddef.h>

/* Results beside errno values and 0 for success. */
#define BY_SIGSYS (-1) /* ended for a call that the lock lacks */
#define BY_SIGKILL (-2) /* ended for its memory */
#define REFUSED (-3) /* any error: kernels differ */
#define UNTRIED (-4) /* would reach outside, or depends on the host */

struct attempt {
	const char *name;
	int walls, lock; /* expected */
	int (*fn)(long arg); /* 0 or an errno value */
	long arg;
	int (*prepare)(void); /* before the lock; its value must be 0 */
};

extern const struct attempt attempts[];
extern const size_t nattempts;

/* Set in the zone: pid of a process outside, and passed descriptors. */
extern int outside_pid;
#define FD_READ_ONLY 3 /* a file of the host */
#define FD_WRITABLE 4
#define FD_SOCKET 5 /* its other end is the host's */

/* What the zone is given; attempts to use it up find these. */
#define ZONE_TASKS 20
#define ZONE_MEMORY_MIB 64

#endif
