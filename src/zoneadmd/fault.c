/*
 * See the header; empty but in builds for tests.
 */
#include "zoneadmd/fault.h"

#ifdef ZHYVE_FAULTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const sup_fault_names[SUP_NFAULTS] = {
#define X(id, name) [FAULT_##id] = name,
	SUP_FAULTS(X)
#undef X
};

/* Once in the life of a test's world: ZHYVE_FAULT_ONCE is a file that goes. */
void
sup_fault(enum sup_fault step, pid_t pid)
{
	const char *want = getenv("ZHYVE_FAULT");
	const char *once = getenv("ZHYVE_FAULT_ONCE");
	size_t n = strlen(sup_fault_names[step]);

	if (want == NULL || strncmp(want, sup_fault_names[step], n) != 0 ||
	    (want[n] != '\0' && want[n] != ':'))
		return;
	if (once != NULL && unlink(once) != 0)
		return;
	if (want[n] == '\0')
		kill(getpid(), SIGKILL);
	else if (pid > 0)
		kill(pid, SIGKILL);
}
#endif
