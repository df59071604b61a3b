/*
 * Inside of the local APIC model: register numbers and bits (Intel SDM vol. 3,
 * table 10-1), what lapic.c and lapic_timer.c share.
 */
#ifndef VMM_SOFT_LAPIC_REGS_H
#define VMM_SOFT_LAPIC_REGS_H

#include <stdatomic.h>

#include "vmm/soft/lapic.h"

/* Offset in the window / 16 = MSR - 0x800 */
enum lapic_reg {
	LAPIC_ID = 0x02,
	LAPIC_VERSION = 0x03,
	LAPIC_TPR = 0x08,
	LAPIC_APR = 0x09,
	LAPIC_PPR = 0x0a,
	LAPIC_EOI = 0x0b,
	LAPIC_RRD = 0x0c,
	LAPIC_LDR = 0x0d,
	LAPIC_DFR = 0x0e,
	LAPIC_SVR = 0x0f,
	LAPIC_ISR = 0x10, /* 8 registers each */
	LAPIC_TMR = 0x18,
	LAPIC_IRR = 0x20,
	LAPIC_ESR = 0x28,
	LAPIC_ICR = 0x30,
	LAPIC_ICR2 = 0x31,
	LAPIC_LVT_TIMER = 0x32,
	LAPIC_LVT_THERMAL = 0x33,
	LAPIC_LVT_PERF = 0x34,
	LAPIC_LVT_LINT0 = 0x35,
	LAPIC_LVT_LINT1 = 0x36,
	LAPIC_LVT_ERROR = 0x37,
	LAPIC_TIMER_INITIAL = 0x38,
	LAPIC_TIMER_CURRENT = 0x39,
	LAPIC_TIMER_DIVIDE = 0x3e,
	LAPIC_SELF_IPI = 0x3f,
};
#define LAPIC_NREGS 0x40

#define LAPIC_BASE_BSP (UINT64_C(1) << 8)
#define LAPIC_BASE_X2APIC (UINT64_C(1) << 10)
#define LAPIC_BASE_ENABLE (UINT64_C(1) << 11)
#define LAPIC_BASE_ADDR UINT64_C(0x000ffffffffff000)

#define LAPIC_VERSION_VALUE 0x00050014u /* integrated, 6 LVT entries */

#define LAPIC_SVR_ENABLE 0x100u
#define LAPIC_SVR_BITS 0x3ffu /* vector, enable, focus checking */

#define LAPIC_LVT_PENDING 0x1000u /* delivery status, read-only */
#define LAPIC_LVT_LEVEL 0x8000u
#define LAPIC_LVT_MASKED 0x10000u
#define LAPIC_LVT_TIMER_MODE 0x60000u
#define LAPIC_LVT_PERIODIC 0x20000u
#define LAPIC_LVT_DEADLINE 0x40000u
#define LAPIC_LVT_DELIVERY(v) ((enum lapic_delivery)(((v) >> 8) & 7))

#define LAPIC_ICR_BITS 0x000ccfffu
#define LAPIC_ICR_PENDING 0x1000u

/* ESR (10.5.3) */
#define LAPIC_ESR_SEND_VECTOR 0x20u
#define LAPIC_ESR_RECV_VECTOR 0x40u
#define LAPIC_ESR_REGISTER 0x80u

struct lapic {
	_Atomic uint32_t reg[LAPIC_NREGS];
	_Atomic uint32_t esr_new; /* errors since the last write of ESR */
	_Atomic uint64_t base; /* IA32_APIC_BASE */
	uint32_t id;
	const struct lapic_ops *ops;
	void *arg;
	uint64_t tsc_hz;
	/* guest TSC at which the count ends or the deadline is; or NEVER */
	uint64_t timer_due;
};
#define LAPIC_NEVER UINT64_MAX

static inline uint32_t
lapic_reg_read(const struct lapic *l, unsigned reg)
{
	return atomic_load_explicit(&l->reg[reg], memory_order_relaxed);
}

static inline void
lapic_reg_write(struct lapic *l, unsigned reg, uint32_t value)
{
	atomic_store_explicit(&l->reg[reg], value, memory_order_relaxed);
}

static inline bool
lapic_enabled(const struct lapic *l)
{
	return l->base & LAPIC_BASE_ENABLE;
}

static inline bool
lapic_x2apic(const struct lapic *l)
{
	return l->base & LAPIC_BASE_X2APIC;
}

/* lapic.c: deliver a local vector (10.5.1). */
void lapic_local_event(struct lapic *l, unsigned lvt);

/* lapic_timer.c */
uint32_t lapic_timer_current(const struct lapic *l);
void lapic_timer_stop(struct lapic *l);
void lapic_timer_set_initial(struct lapic *l, uint32_t count);
void lapic_timer_set_divide(struct lapic *l, uint32_t value);
void lapic_timer_set_lvt(struct lapic *l, uint32_t lvt);
void lapic_timer_resume(struct lapic *l, uint32_t current);

#endif
