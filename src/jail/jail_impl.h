/*
 * The plan as data, shared by who makes it, who carries it out on the host's
 * side and who does in the zone.
 */
#ifndef JAIL_JAIL_IMPL_H
#define JAIL_JAIL_IMPL_H

#include <limits.h>
#include <stdbool.h>

#include "jail/cgroup_impl.h"
#include "jail/jail.h"

enum jail_who { JAIL_BEFORE, JAIL_AFTER, JAIL_INSIDE };

struct jail_run;
struct jail_step;
/* Inside: no memory, no locks, no stdio; 0 or -errno. */
typedef int (*jail_step_fn)(struct jail_run *run, const struct jail_step *step);

struct jail_verb {
	const char *name;
	enum jail_who who;
	jail_step_fn fn;
};

struct jail_step {
	const struct jail_verb *verb;
	char *what, *where, *data; /* owned; NULL: none */
	uint64_t flags; /* of a mount; else a number */
	unsigned slot; /* of 'sources' */
	bool optional; /* its source may be missing */
};

struct jail_plan {
	char *name, *group;
	uint32_t uid_base, uid_count;
	struct jail_limits limits; /* cpus: owned */
	uint64_t nofile;
	struct jail_step *steps;
	size_t nsteps;
	unsigned nsources;
};

/* What the caller opened for the zone to attach. */
struct jail_source {
	int fd; /* a detached mount, -1: none */
	bool dir;
	char *link; /* it is a symbolic link with this text */
};

struct jail_run {
	const struct jail_plan *plan;
	const struct jail_program *prog;
	struct jail_source *sources;
	struct cgroup *cg;
	int entries[CGROUP_DIRS]; /* "tasks" files to join */
	size_t nentries;
	int group; /* folder in cgroup2 to start in, -1 */
	pid_t pid;
	int pidfd;
	int go; /* inside: read end; end of file: the caller died */
	int report; /* inside: write end, close-on-exec */
	int exe;
	bool notice; /* err has a notice */
	struct error *err;
};

/* One table of verbs; both sides add their functions to it by name. */
#define JAIL_VERBS(X)            \
	X(groups, JAIL_BEFORE)   \
	X(open, JAIL_BEFORE)     \
	X(map, JAIL_AFTER)       \
	X(rlimit, JAIL_AFTER)    \
	X(enter, JAIL_INSIDE)    \
	X(wait, JAIL_INSIDE)     \
	X(user, JAIL_INSIDE)     \
	X(session, JAIL_INSIDE)  \
	X(hostname, JAIL_INSIDE) \
	X(private, JAIL_INSIDE)  \
	X(sysctl, JAIL_INSIDE)   \
	X(root, JAIL_INSIDE)     \
	X(attach, JAIL_INSIDE)   \
	X(tmpfs, JAIL_INSIDE)    \
	X(link, JAIL_INSIDE)     \
	X(pivot, JAIL_INSIDE)    \
	X(seal, JAIL_INSIDE)     \
	X(fds, JAIL_INSIDE)      \
	X(bound, JAIL_INSIDE)    \
	X(secure, JAIL_INSIDE)   \
	X(drop, JAIL_INSIDE)     \
	X(mdwe, JAIL_INSIDE)     \
	X(exec, JAIL_INSIDE)

enum jail_verb_id {
#define X(n, who) JAIL_V_##n,
	JAIL_VERBS(X)
#undef X
	    JAIL_NVERBS
};
extern const struct jail_verb jail_verbs[JAIL_NVERBS];
#define X(n, who) \
	int jail_do_##n(struct jail_run *run, const struct jail_step *step);
JAIL_VERBS(X)
#undef X

/* Carry out the steps inside; never returns. */
_Noreturn void jail_inside(struct jail_run *run);
/* What a step is, for an error: "attach /usr at /usr". */
void jail_step_text(const struct jail_step *step, char *buf, size_t size);

/*
 * A test's hook, called before each step on the side that takes it; NULL. The
 * steps of a plan are numbered from 0.
 */
extern void (*jail_step_hook)(unsigned step, enum jail_who who);

#endif
