/*
 * See clock.h.
 */
#include "dev/lpc/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t (*mono_fn)(void);
static uint64_t (*wall_fn)(void);

static uint64_t
clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
lpc_clock_ns(void)
{
	return mono_fn != NULL ? mono_fn() : clock_read(CLOCK_MONOTONIC);
}

uint64_t
lpc_wall_ns(void)
{
	return wall_fn != NULL ? wall_fn() : clock_read(CLOCK_REALTIME);
}

void
lpc_clock_override(uint64_t (*mono)(void), uint64_t (*wall)(void))
{
	mono_fn = mono;
	wall_fn = wall;
}
