/*
 * Calls that may not come back, such as to a disk that hangs, off a loop: jobs
 * run on threads of a pool, and their end is told on the loop. However many
 * hang, the others go on: threads that are at one job for long do not count,
 * and others are made, up to a maximum.
 *
 * Threads: all functions are the loop's thread's. Job memory is the caller's,
 * from submit until done() or a cancel that succeeds. No wake-ups while nothing
 * is to be done.
 */
#ifndef BASE_WORK_H
#define BASE_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/mevent.h"

struct work_pool;
struct work {
	/* the caller's; unchanged from submit to the end */
	void (*run)(void *arg); /* on a thread of the pool */
	void (*done)(void *arg); /* then, on the loop's */
	void *arg;
	const char *key; /* jobs of one key run one after the other */
	/* the pool's */
	enum { WORK_NONE, WORK_QUEUED, WORK_RUNNING, WORK_DONE } state;
	uint64_t began_ns;
	TAILQ_ENTRY(work) link;
};

/* max: threads, >= 1; made when there is work for them. */
int work_pool_create(struct mevent_loop *loop, unsigned max,
    struct work_pool **ret, struct error *err);
/*
 * No done() is called any more; jobs that have not begun never do. Does not
 * wait for one that runs: its thread and its memory have to last. NULL is
 * allowed.
 */
void work_pool_free(struct work_pool *pool);
/* w must be none of the pool's now. */
void work_submit(struct work_pool *pool, struct work *w);
/* false: it runs; done() will be called. true: it will not. */
bool work_cancel(struct work_pool *pool, struct work *w);
unsigned work_threads(struct work_pool *pool); /* how many there are now */

#endif
