/*
 * Programs that a brand brings along: "PROGRAM WORD...", blanks between, %z for
 * the zone's name and %R for its zonepath, %% for a per cent sign (%B, the
 * brand's folder, is done when the brand is read). A value is
 * put into its word whole: there is no shell, and nothing to quote.
 */
#ifndef ZONE_HOOK_H
#define ZONE_HOOK_H

#include <sys/types.h>

#include "base/error.h"

#define ZONE_HOOK_WORDS 64
/* The descriptor that a hook finds its input file at, if it gets one. */
#define ZONE_HOOK_FD 3

/*
 * The argument vector of a template, with 'extra' (ended by NULL, may be NULL)
 * behind it. *ret is freed with zone_hook_free(). -ENOENT: the template is
 * empty, there is nothing to run.
 */
int zone_hook_argv(const char *template, const char *zone, const char *zonepath,
    const char *const *extra, char ***ret, struct error *err);
void zone_hook_free(char **argv); /* NULL is allowed */

/*
 * Run a program to its end, with an environment of PATH alone, standard input
 * from /dev/null, output and errors where ours go, and input (-1: none) as
 * descriptor 3. 0, the program's exit status, or a negative errno when it could
 * not be started or was killed; err says which for all but 0.
 */
int zone_hook_run(char *const *argv, int input, struct error *err);

/* Descriptors of a hook that is only started; -1 where ours will do. */
struct zone_hook_io {
	int input; /* 3; -1: closed */
	int output, errors; /* 1 and 2 */
};
/* Only start it: the caller waits for *ret. */
int zone_hook_start(char *const *argv, const struct zone_hook_io *io,
    pid_t *ret, struct error *err);
/* What zone_hook_run() makes of a wait status. */
int zone_hook_status(const char *program, int status, struct error *err);

/* One word of a template; the caller frees it. */
int zone_hook_expand(const char *word, const char *zone, const char *zonepath,
    char **ret, struct error *err);

#endif
