/*
 * Programs that go into the background: the parent returns when the service is
 * there, or prints why it is not.
 */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include <limits.h>

#include "base/error.h"

/* The caller's working folder is not ours for ever: whole, no '/' at its end.
 */
int daemon_root(const char *root, char ret[PATH_MAX], struct error *err);
/*
 * Run serve(arg, report) in a process of its own, with a session, / as working
 * folder and nothing as standard input and output; it tells how it began by
 * daemon_report(), and its result is that process's exit status. Returns what
 * it told: 0 or an error.
 */
int
daemon_start(int (*serve)(void *arg, int report), void *arg, struct error *err);
/* Once: failed, NULL for well begun. report -1: nobody is told. */
void daemon_report(int report, const struct error *failed);

#endif
