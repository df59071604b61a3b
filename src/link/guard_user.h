/*
 * The guard's rules in user space: the same headers that the BPF program is
 * made of, over a buffer. For who learns addresses beside nftables, tests and
 * fuzzing.
 */
#ifndef LINK_GUARD_USER_H
#define LINK_GUARD_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/guard.h"
#include "link/guard_abi.h"

struct guard_user {
	struct guard_config cfg;
	uint64_t now; /* ns; the caller's clock */
	__u64 sold[2];
	const uint8_t *frame; /* without a tag, as the kernel keeps it */
	size_t n;
	struct {
		struct guard_key key;
		uint64_t until;
	} learned[GUARD_LEARNED_MAX];
	struct {
		struct guard_pending key;
		uint64_t began;
	} pending[GUARD_PENDING_MAX];
	size_t next_learned, next_pending; /* to be used, or replaced */
	/* NULL, or told of each change; until 0: it ends, if it was there */
	void (*changed)(void *arg, const struct guard_key *key, uint64_t until);
	void *changed_arg;
};

/* -1 passes, else enum link_drop. out: from the guest. */
int guard_user_frame(
    struct guard_user *g, bool out, const uint8_t *frame, size_t n);

#endif
