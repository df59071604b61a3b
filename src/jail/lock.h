/*
 * The lock that zhyve puts on itself after its machine is built and before the
 * first guest instruction: Landlock without any rule, and seccomp filters per
 * thread role, made from the privilege set. Nothing undoes them. A violation
 * kills the process with SIGSYS; the supervisor reports it.
 */
#ifndef JAIL_LOCK_H
#define JAIL_LOCK_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "jail/priv.h"

enum lock_role {
	LOCK_PROCESS, /* all threads: what any of them needs */
	LOCK_VCPU, /* on top, in each vCPU thread */
	LOCK_IO, /* on top, in threads of block devices */
};
struct lock_spec {
	struct jail_privset privs;
	bool kvm; /* the machine's engine is KVM */
};

/* No path can be opened any more; no TCP, no signals or sockets to outside. */
int lock_paths(struct error *err);
/* LOCK_PROCESS is for all threads there are (TSYNC); others for the caller. */
int lock_calls(
    enum lock_role role, const struct lock_spec *spec, struct error *err);
/* The system calls that a role may make, one a line, for the manual and tests.
 */
int
lock_print(enum lock_role role, const struct lock_spec *spec, struct buf *b);

#endif
