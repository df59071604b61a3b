/*
 * Looking actively for a guest's next request.
 *
 * A guest that waits for each answer before it asks again is served without an
 * exit and a wake-up a request: the disk's thread looks on for a while before
 * it sleeps. How long follows from how long it slept. All on that thread.
 */
#ifndef DEV_BLOCK_POLL_H
#define DEV_BLOCK_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"

struct block_dev;

/* All zero: never look. */
struct block_poll {
	uint64_t max; /* ns */
	uint64_t ns; /* how long now; 0: not at all */
	uint64_t asleep_since; /* 0: it did not sleep */
};

#define BLOCK_POLL_KEY                                              \
	{                                                           \
		"poll", CONFIG_UINT, "50", "0..1000", 0,            \
		    "longest active wait for the next request, in " \
		    "microseconds"                                  \
	}

/* keys: a table that includes BLOCK_POLL_KEY. */
int block_poll_init(struct block_poll *p, const struct config_node *node,
    const struct config_key *keys, struct error *err);
/* The thread goes to sleep; the guest was told to ring. */
void block_poll_asleep(struct block_poll *p);
/* The guest rang. */
void block_poll_awake(struct block_poll *p);
/*
 * Is there a wait at all? Not while bd has requests in work: their end must not
 * wait.
 */
bool block_poll_is_due(const struct block_poll *p, const struct block_dev *bd);
/* Call look(arg) until it is true, which is the answer, or the time is over. */
bool block_poll(const struct block_poll *p, bool (*look)(void *arg), void *arg);

#endif
