#ifndef MDATA_CALLS_H
#define MDATA_CALLS_H

#include "jail/lock_rules.h"

/* The system calls of the server, once it serves. */
extern const struct lock_rule mdata_calls[];
extern const size_t mdata_ncalls;

#endif
