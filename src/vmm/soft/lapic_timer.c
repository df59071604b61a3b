/*
 * The local APIC's timer (Intel SDM vol. 3, 10.5.4) as arithmetic on the
 * guest's TSC: nothing counts, the current count is computed when asked for.
 */
#include "vmm/soft/lapic_regs.h"

/*
 * A periodic timer that asks for less than 20 us gets this: more is of no use
 * to a guest, but could keep the thread in the timer for ever.
 */
#define PERIODS_MAX_HZ 50000

typedef unsigned __int128 u128;

static unsigned
divide_shift(const struct lapic *l)
{
	uint32_t dcr = lapic_reg_read(l, LAPIC_TIMER_DIVIDE);
	unsigned code = (dcr & 3) | ((dcr >> 1) & 4);

	return (code + 1) & 7; /* 0b111 divides by 1 (figure 10-10) */
}

static uint32_t
timer_mode(const struct lapic *l)
{
	return lapic_reg_read(l, LAPIC_LVT_TIMER) & LAPIC_LVT_TIMER_MODE;
}

static bool
deadline_mode(const struct lapic *l)
{
	return timer_mode(l) == LAPIC_LVT_DEADLINE;
}

/* Counts to TSC ticks, rounded up. Below 2^32 * 2^7 * tsc_hz / 25 MHz. */
static uint64_t
count_to_tsc(const struct lapic *l, uint32_t count)
{
	u128 t = ((u128)count << divide_shift(l)) * l->tsc_hz;

	return (uint64_t)((t + LAPIC_TIMER_HZ - 1) / LAPIC_TIMER_HZ);
}

static uint64_t
tsc_now(const struct lapic *l)
{
	return l->ops->tsc(l->arg);
}

static void
arm(struct lapic *l, uint64_t due)
{
	l->timer_due = due;
	l->ops->deadline(l->arg, due);
}

static void
arm_count(struct lapic *l, uint32_t count)
{
	arm(l, count == 0 ? LAPIC_NEVER : tsc_now(l) + count_to_tsc(l, count));
}

void
lapic_timer_stop(struct lapic *l)
{
	arm(l, LAPIC_NEVER);
}

/* A periodic count that ended and was not polled yet has begun again. */
uint32_t
lapic_timer_current(const struct lapic *l)
{
	uint64_t now, left;
	u128 count;

	if (l->timer_due == LAPIC_NEVER || deadline_mode(l))
		return 0;
	now = tsc_now(l);
	if (now < l->timer_due) {
		left = l->timer_due - now;
	} else if (timer_mode(l) == LAPIC_LVT_PERIODIC) {
		uint64_t period =
		    count_to_tsc(l, lapic_reg_read(l, LAPIC_TIMER_INITIAL));

		if (period == 0)
			return 0;
		left = period - (now - l->timer_due) % period;
	} else {
		return 0;
	}
	count = ((u128)left * LAPIC_TIMER_HZ / l->tsc_hz) >> divide_shift(l);
	return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

void
lapic_timer_set_initial(struct lapic *l, uint32_t count)
{
	/* In TSC-deadline mode writes are ignored (10.5.4.1). */
	if (deadline_mode(l))
		return;
	lapic_reg_write(l, LAPIC_TIMER_INITIAL, count);
	arm_count(l, count);
}

void
lapic_timer_set_divide(struct lapic *l, uint32_t value)
{
	uint32_t current = lapic_timer_current(l);

	lapic_reg_write(l, LAPIC_TIMER_DIVIDE, value & 0xb);
	if (!deadline_mode(l))
		arm_count(l, current);
}

/*
 * A change between TSC-deadline and the counting modes disarms the timer; one
 * between one-shot and periodic lets the count go on.
 */
void
lapic_timer_set_lvt(struct lapic *l, uint32_t lvt)
{
	bool was = deadline_mode(l);

	lapic_reg_write(l, LAPIC_LVT_TIMER, lvt);
	if (was == deadline_mode(l))
		return;
	lapic_reg_write(l, LAPIC_TIMER_INITIAL, 0);
	lapic_timer_stop(l);
}

void
lapic_timer_resume(struct lapic *l, uint32_t current)
{
	if (deadline_mode(l))
		lapic_timer_stop(l); /* the MSR follows */
	else
		arm_count(l, current);
}

/* IA32_TSC_DEADLINE reads 0 when disarmed or in another mode (10.5.4.1). */
uint64_t
lapic_tsc_deadline(const struct lapic *l)
{
	if (!deadline_mode(l) || l->timer_due == LAPIC_NEVER)
		return 0;
	return l->timer_due;
}

void
lapic_set_tsc_deadline(struct lapic *l, uint64_t tsc)
{
	if (!lapic_enabled(l) || !deadline_mode(l))
		return;
	arm(l, tsc == 0 ? LAPIC_NEVER : tsc);
}

/* Periods missed while the thread did not run are one interrupt. */
static void
next_period(struct lapic *l, uint64_t now)
{
	uint64_t period =
	    count_to_tsc(l, lapic_reg_read(l, LAPIC_TIMER_INITIAL));

	if (period < l->tsc_hz / PERIODS_MAX_HZ)
		period = l->tsc_hz / PERIODS_MAX_HZ + 1;
	arm(l, l->timer_due + ((now - l->timer_due) / period + 1) * period);
}

void
lapic_timer(struct lapic *l)
{
	uint64_t now;

	if (l->timer_due == LAPIC_NEVER)
		return;
	now = tsc_now(l);
	if (now < l->timer_due)
		return;
	if (timer_mode(l) == LAPIC_LVT_PERIODIC &&
	    lapic_reg_read(l, LAPIC_TIMER_INITIAL) != 0)
		next_period(l, now);
	else
		lapic_timer_stop(l);
	lapic_local_event(l, LAPIC_LVT_TIMER);
}
