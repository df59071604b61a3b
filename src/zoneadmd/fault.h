/*
 * Where a supervisor or an operator's command can be killed by a test: the
 * steps, once. In builds for tests the environment ZHYVE_FAULT=STEP makes the
 * process kill itself there, ZHYVE_FAULT=STEP:zhyve kills the zone's process
 * instead; other builds know nothing of it.
 */
#ifndef ZONEADMD_FAULT_H
#define ZONEADMD_FAULT_H

#include <sys/types.h>

#define SUP_FAULTS(X)                       \
	X(START_LOCKED, "start-locked")     \
	X(START_SERVING, "start-serving")   \
	X(READY_BEGUN, "ready-begun")       \
	X(READY_HOOK, "ready-hook")         \
	X(READY_OPENED, "ready-opened")     \
	X(READY_SPAWNED, "ready-spawned")   \
	X(READY_RECORDED, "ready-recorded") \
	X(READY_SENT, "ready-sent")         \
	X(READY_BUILT, "ready-built")       \
	X(READY_DONE, "ready-done")         \
	X(BOOT_BEGUN, "boot-begun")         \
	X(BOOT_RUN, "boot-run")             \
	X(BOOT_RUNNING, "boot-running")     \
	X(BOOT_DONE, "boot-done")           \
	X(HALT_BEGUN, "halt-begun")         \
	X(HALT_KILLED, "halt-killed")       \
	X(HALT_CLEANED, "halt-cleaned")     \
	X(HALT_DONE, "halt-done")

enum sup_fault {
#define X(id, name) FAULT_##id,
	SUP_FAULTS(X)
#undef X
	    SUP_NFAULTS
};

#ifdef ZHYVE_FAULTS
/* pid: the zone's process, 0 for none. */
void sup_fault(enum sup_fault step, pid_t pid);
extern const char *const sup_fault_names[SUP_NFAULTS];
#else
static inline void
sup_fault(enum sup_fault step, pid_t pid)
{
}
#endif

#endif
