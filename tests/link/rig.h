/*
 * What the tests of a guard on a real tap share.
 */
#ifndef LINK_RIG_H
#define LINK_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "link/guard.h"
#include "wire.h"

#define NAME "guarded"

/* What the kernel does not let us do is no failure of the guard: skips. */
void need_bpf(void);
void counters(struct link_counters *ret);
void spec_of(struct link_spec *spec, const char *words); /* of frames.txt */

/* Frames of the link's own source address, and all others. */
struct seen {
	unsigned own, foreign;
};
void look_at_source(void *arg, const uint8_t *frame, size_t n);

#endif
