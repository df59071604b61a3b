/*
 * How long to look for the next request. A sleep that was shorter than the
 * longest wait would have been spared by looking: the wait doubles. A longer
 * one would not: it halves, down to nothing for a guest that is idle.
 */
#include "dev/block/poll.h"

#include "base/mevent.h"
#include "base/str.h"
#include "dev/block/block.h"

#define POLL_MIN UINT64_C(4000) /* ns: shorter than this is not worth it */

int
block_poll_init(struct block_poll *p, const struct config_node *node,
    const struct config_key *keys, struct error *err)
{
	uint64_t us = 0;
	int rc = config_get_uint(node, keys, "poll", &us, err);

	*p = (struct block_poll){ .max = us * 1000 };
	return rc;
}

void
block_poll_asleep(struct block_poll *p)
{
	if (p->max > 0)
		p->asleep_since = mevent_now_ns();
}

void
block_poll_awake(struct block_poll *p)
{
	uint64_t slept;

	if (p->asleep_since == 0)
		return;
	slept = mevent_now_ns() - p->asleep_since;
	p->asleep_since = 0;
	if (slept <= p->max)
		p->ns = MIN(MAX(2 * p->ns, POLL_MIN), p->max);
	else
		p->ns = p->ns / 2 < POLL_MIN ? 0 : p->ns / 2;
}

bool
block_poll_is_due(const struct block_poll *p, const struct block_dev *bd)
{
	return p->ns > 0 && block_inflight(bd) == 0;
}

bool
block_poll(const struct block_poll *p, bool (*look)(void *arg), void *arg)
{
	uint64_t end = mevent_now_ns() + p->ns;

	do {
		for (unsigned i = 0; i < 16; i++) {
			if (look(arg))
				return true;
			__builtin_ia32_pause();
		}
	} while (mevent_now_ns() < end);
	return false;
}
