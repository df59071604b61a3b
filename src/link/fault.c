/*
 * See the header. A file of its own, so that no other build has any of it.
 */
#include "link/fault.h"

#ifdef ZHYVE_FAULTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const link_fault_names[LINK_NFAULTS] = {
#define X(id, name) [LINK_FAULT_##id] = name,
	LINK_FAULTS(X)
#undef X
};

void
link_fault(enum link_fault step)
{
	const char *want = getenv("ZHYVE_FAULT");

	if (want != NULL && strcmp(want, link_fault_names[step]) == 0)
		kill(getpid(), SIGKILL);
}
#else
typedef int link_fault_unused; /* ISO C wants something here */
#endif
