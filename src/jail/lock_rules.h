/*
 * What the lock leaves to the monitor, as rows: system calls by role, and the
 * arguments that some of them must have.
 */
#ifndef JAIL_LOCK_RULES_H
#define JAIL_LOCK_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ROLE_VCPU 1
#define ROLE_IO 2

enum lock_answer {
	ANSWER_YES,
	ANSWER_EPERM, /* libraries try it and live without */
	ANSWER_ENOSYS, /* so that the C library takes an older way */
	ANSWER_ENOTTY,
};

/* One comparison: (argument & mask) == value. mask 0: nothing is compared. */
struct lock_arg {
	unsigned n;
	uint64_t mask, value;
};

/* All rows are for the process; 'roles' also for those threads. */
struct lock_rule {
	const char *call;
	unsigned roles;
	enum lock_answer answer;
	struct lock_arg arg;
	const char *what; /* the argument in words; NULL with no comparison */
	bool kvm; /* only with that engine */
	const char *priv; /* EPERM without it; NULL: priv_table.c's calls */
	bool own_pid; /* the argument is our pid, filled in */
};

extern const struct lock_rule lock_rules[];
extern const size_t lock_nrules;

/* What programs that are no monitors have in common. */
extern const struct lock_rule lock_service_rules[];
extern const size_t lock_nservice_rules;
/*
 * A filter of those and of these rows, for the process, whatever threads there
 * are. Roles, privileges and engines are no matter.
 */
int lock_calls_of(const struct lock_rule *rules, size_t n, struct error *err);

#endif
