/*
 * What the BPF program has from the kernel, by plain memory.
 */
#include "link/guard_user.h"

#include <stdlib.h>
#include <string.h>

#include "link/guard_rules.h"

static void
guard_loop(__u32 n, long (*step)(__u32 i, void *arg), struct guard_walk *arg)
{
	for (__u32 i = 0; i < n && step(i, arg) == 0; i++)
		continue;
}

static __u32
guard_zero(const struct guard_config *cfg)
{
	return 0;
}

static long
guard_load(guard_source *from, __u32 off, void *to, __u32 n)
{
	if (off > from->n || from->n - off < n)
		return -1;
	memcpy(to, from->frame + off, n);
	return 0;
}

static const struct guard_config *
guard_config_of(guard_source *from)
{
	return &from->cfg;
}

/* The program's clock has no argument: it is one's at a time. */
static __thread uint64_t clock_now;

static __u64
guard_now(void)
{
	return clock_now;
}

static __u64
guard_learned(guard_source *from, const struct guard_key *key)
{
	for (size_t i = 0; i < GUARD_LEARNED_MAX; i++)
		if (memcmp(&from->learned[i].key, key, sizeof(*key)) == 0)
			return from->learned[i].until;
	return 0;
}

static void
tell(struct guard_user *g, const struct guard_key *key, uint64_t until)
{
	if (g->changed != NULL)
		g->changed(g->changed_arg, key, until);
}

static void
guard_learn(guard_source *from, const struct guard_key *key, __u64 until)
{
	size_t i = 0;

	while (i < GUARD_LEARNED_MAX &&
	    memcmp(&from->learned[i].key, key, sizeof(*key)) != 0)
		i++;
	if (i == GUARD_LEARNED_MAX && until != 0) {
		i = from->next_learned++ % GUARD_LEARNED_MAX;
		if (from->learned[i].until != 0)
			tell(from, &from->learned[i].key, 0);
	}
	if (i < GUARD_LEARNED_MAX) {
		from->learned[i].key = *key;
		from->learned[i].until = until;
	}
	tell(from, key, until);
}

static void
guard_pend(guard_source *from, const struct guard_pending *t)
{
	size_t i = from->next_pending++ % GUARD_PENDING_MAX;

	from->pending[i].key = *t;
	from->pending[i].began = clock_now;
}

static __u64
guard_pending(guard_source *from, const struct guard_pending *t)
{
	uint64_t began = 0;

	for (size_t i = 0; i < GUARD_PENDING_MAX; i++)
		if (memcmp(&from->pending[i].key, t, sizeof(*t)) == 0 &&
		    from->pending[i].began != 0) {
			began = from->pending[i].began;
			from->pending[i].began = 0;
		}
	return began;
}

/* The first tag goes aside, as in the kernel, before a filter sees a frame. */
static uint8_t *
untagged(const uint8_t *frame, size_t *n, struct guard_frame *f)
{
	uint32_t type = *n >= 18 ? guard_be16(frame + 12) : 0;
	uint8_t *copy;

	if (type == GUARD_8021Q || type == GUARD_8021AD) {
		f->tagged = type;
		f->vid = guard_be16(frame + 14) & 0xfff;
	}
	copy = malloc(*n + 1); /* exact but for nothing at all */
	if (copy == NULL)
		return NULL;
	if (f->tagged == 0) {
		memcpy(copy, frame, *n);
		return copy;
	}
	memcpy(copy, frame, 12);
	memcpy(copy + 12, frame + 16, *n - 16);
	*n -= 4;
	return copy;
}

int
guard_user_frame(struct guard_user *g, bool out, const uint8_t *frame, size_t n)
{
	struct guard_frame f = { .cfg = &g->cfg, .from = g };
	uint8_t *copy = untagged(frame, &n, &f);
	int why;

	if (copy == NULL)
		return LINK_DROP_CLOSED;
	clock_now = g->now;
	g->frame = copy;
	g->n = n;
	f.len = (uint32_t)n;
	why = out ? guard_from_guest(&f) : guard_to_guest(&f);
	if (why == GUARD_PASS && g->cfg.maxbw != 0 &&
	    !guard_in_rate(&g->cfg, &g->sold[out], f.len, g->now))
		why = LINK_DROP_RATE;
	g->frame = NULL;
	free(copy);
	return why;
}
