/*
 * Descriptors that the process was given, by the paths that its configuration
 * names. What a machine opens it opens through here, so that inside a zone,
 * where there is nothing to open, the same configuration works.
 *
 * Filled before the machine is built, by the thread that builds it.
 */
#ifndef BASE_PASSED_H
#define BASE_PASSED_H

#include <stdbool.h>

/* fd belongs to the table from now on. -EEXIST, -ENOMEM. */
int passed_add(const char *path, int fd);
/*
 * As open(2) without O_CREAT: a duplicate of what was passed for path (-EACCES
 * when it was not passed for writing and flags ask for it), close-on-exec; else
 * what open(2) does. Status flags are those of the one who passed it. Negative
 * errno.
 */
int passed_open(const char *path, int flags);
/* Was there one passed for path? */
bool passed_has(const char *path);
/* Close all. */
void passed_clear(void);

#endif
