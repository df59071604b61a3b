/*
 * A jail for tests: made of a shell of the host, with the text it prints.
 */
#ifndef UNIT_JAIL_UTIL_H
#define UNIT_JAIL_UTIL_H

#include "jail/jail.h"

#define JAIL_LIMITS_NONE                                                  \
	{                                                                 \
		.cpu_shares = JAIL_UNLIMITED, .cpu_cap = JAIL_UNLIMITED,  \
		.physical = JAIL_UNLIMITED, .locked = JAIL_UNLIMITED,     \
		.swap = JAIL_UNLIMITED, .lwps = JAIL_UNLIMITED,           \
		.processes = JAIL_UNLIMITED, .io_weight = JAIL_UNLIMITED, \
	}

/* Skips the test where walls cannot be built. */
void jail_need_root(void);
/* The mounts of the bhyve brand, and a name that no other test has. */
struct jail_spec jail_test_spec(void);
/*
 * Run a script in there, with descriptor 1 and 2 to a pipe, *ret_out its end
 * to read. Fails the test when it cannot.
 */
struct jail *
jail_test_shell(const struct jail_spec *spec, const char *script, int *ret_out);
/* Until end of file; NUL-terminated, cut. */
void jail_test_read(int fd, char *buf, size_t size);
/* Lines of this process's mountinfo, and folders of zones in its groups. */
unsigned jail_test_mounts(void);
unsigned jail_test_groups(const char *name);

#endif
