/*
 * What somebody tries who has taken a process over: each attempt in a process
 * of its own that first goes behind its walls, and what comes of it.
 */
#ifndef UNIT_ATTEMPT_H
#define UNIT_ATTEMPT_H

#include <signal.h>

/* Outcomes: 0, an errno value, or a signal's number negated. */
#define KILLED (-SIGSYS)

/* walls(arg) in a child, then fn(); walls' value if that is not 0. */
int attempt_made(int (*walls)(const void *), const void *arg, int (*fn)(void));
/* Of a call that returns -1 with errno. */
int attempt_result(long rc);

int attempt_exec(void);
int attempt_exec_memory(void);
int attempt_fork(void);
int attempt_inet(void); /* a socket of that family */
int attempt_ptrace(void);
int attempt_setuid(void);
int attempt_unix(void);

#endif
