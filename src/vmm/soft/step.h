/*
 * The stepper: one instruction of a vCPU that another engine runs
 * (struct engine_stepper_ops). It is a soft_cpu of its own whose cpu->stepper
 * is set; these are the places where such a one differs.
 */
#ifndef VMM_SOFT_STEP_H
#define VMM_SOFT_STEP_H

#include "vmm/soft/cpu.h"

/* RAM was written: for the owner's dirty log. */
void soft_step_written(struct soft_cpu *cpu, uint64_t pa, unsigned size);
uint32_t soft_step_apic_read(struct soft_cpu *cpu, unsigned offset);
/* false = #GP */
bool
soft_step_msr(struct soft_cpu *cpu, uint32_t msr, bool write, uint64_t *value);
/* What only the owner can do, since it is about state that is its own. */
static inline void
soft_step_refuse(struct soft_cpu *cpu, const char *what)
{
	if (cpu->stepper != NULL)
		soft_fail(cpu, what);
}

#endif
