/*
 * The table of frames (frames.txt): which link, which frame, what becomes of
 * it. One table for everything that guards a link: the BPF programs and
 * nftables on a real tap, and the rules' user-space build.
 */
#ifndef LINK_FRAMES_H
#define LINK_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/spec.h"

#define FRAME_MAX 4096
#define FRAME_PASS (-1) /* a verdict; else enum link_drop */

extern const uint8_t frames_me[6]; /* the link's address */

/* Words as in frames.txt; false: not understood. */
bool frames_link(const char *words, struct link_spec *ret);
bool frames_build(const char *words, bool out, uint8_t *buf, size_t *ret_n);

struct frames_ops {
	const char *name; /* rows that say "not NAME" are left out */
	void *arg;
	void (*begin)(void *arg, const struct link_spec *spec);
	void (*update)(void *arg, const struct link_spec *spec);
	/* The verdict; fails by itself when frame and counter disagree. */
	int (*send)(void *arg, bool out, const uint8_t *frame, size_t n);
	void (*wait)(void *arg, unsigned seconds);
	void (*end)(void *arg);
};
/* Checks every row by tap.h; returns how many frames. */
unsigned frames_run(const struct frames_ops *ops);
int frames_wanted(void); /* of the frame that is being sent */
const char *frames_verdict(int verdict);

#endif
