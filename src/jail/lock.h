/*
 * The lock that zhyve puts on itself after its machine is built and before the
 * first guest instruction: Landlock without any rule, and seccomp filters per
 * thread role, made from the privilege set. Nothing undoes them. A violation
 * kills the process with SIGSYS; the supervisor reports it.
 */
#ifndef JAIL_LOCK_H
#define JAIL_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "jail/priv.h"

enum lock_role {
	LOCK_PROCESS, /* all threads: what any of them needs */
	LOCK_VCPU, /* on top, in each vCPU thread */
	LOCK_IO, /* on top, in threads that only read and write disks */
};
struct lock_spec {
	struct jail_privset privs;
	bool kvm; /* the machine's engine is KVM */
};

/*
 * No path can be opened any more; no TCP, no signals or abstract sockets to
 * outside; not to be traced. For the calling thread and those it starts, so
 * while there is only one (a kernel with Landlock's ABI 8 includes the others);
 * before the machine is built, when all it opens was passed. 1: this kernel has
 * no Landlock (err says so).
 */
int lock_paths(struct error *err);
/* What a program of ours keeps that is no monitor. */
struct lock_keep {
	uint64_t rights; /* of Landlock's: for below passed folders */
	/*
	 * Files, and folders with all below, that may be read, ended by NULL;
	 * those that do not exist are left out. NULL: none.
	 */
	const char *const *readable;
	bool connect; /* make TCP connections */
};
int lock_paths_but(const struct lock_keep *keep, struct error *err);
/*
 * LOCK_PROCESS is for all threads there are (TSYNC), and comes first; the
 * others are for the caller, on top, and allocate nothing; spec is that of the
 * process then (NULL will do). A call that needs a privilege fails with EPERM
 * without it; whatever a monitor has no use for ends the process.
 */
int lock_calls(
    enum lock_role role, const struct lock_spec *spec, struct error *err);
/*
 * The system calls that a role may make, one row a line: "mmap (no PROT_EXEC)",
 * "openat: EPERM"; for the manual and tests.
 */
int
lock_print(enum lock_role role, const struct lock_spec *spec, struct buf *b);

#endif
