/*
 * The clocks of the platform's timers, with a seam for tests that want to turn
 * the hands themselves.
 */
#ifndef DEV_LPC_CLOCK_H
#define DEV_LPC_CLOCK_H

#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)

uint64_t lpc_clock_ns(void); /* CLOCK_MONOTONIC */
uint64_t lpc_wall_ns(void); /* CLOCK_REALTIME */

/* Functions to use instead; NULL = the real clock. */
void lpc_clock_override(uint64_t (*mono)(void), uint64_t (*wall)(void));

/* n * mul / div without overflow; the result must fit 64 bits. */
static inline uint64_t
lpc_muldiv(uint64_t n, uint64_t mul, uint64_t div)
{
	return (uint64_t)((unsigned __int128)n * mul / div);
}

#endif
