/*
 * Where zonelink can be killed by a test: in builds for tests the environment
 * ZHYVE_FAULT=STEP makes the process kill itself there; other builds know
 * nothing of it.
 */
#ifndef LINK_FAULT_H
#define LINK_FAULT_H

#define LINK_FAULTS(X)        \
	X(QUEUES, "queues")   \
	X(GUARD, "guard")     \
	X(ATTACH, "attached") \
	X(ANSWER, "answered")

enum link_fault {
#define X(id, name) LINK_FAULT_##id,
	LINK_FAULTS(X)
#undef X
	    LINK_NFAULTS
};

#ifdef ZHYVE_FAULTS
void link_fault(enum link_fault step);
extern const char *const link_fault_names[LINK_NFAULTS];
#else
static inline void
link_fault(enum link_fault step)
{
}
#endif

#endif
