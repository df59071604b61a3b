/*
 * Running a vCPU, its reset and its state.
 */
#ifndef VMM_SOFT_RUN_H
#define VMM_SOFT_RUN_H

#include "vmm/soft/cpu.h"

enum engine_exit soft_cpu_run(struct soft_cpu *cpu);
/* INIT and SIPI that have arrived take effect. */
void soft_cpu_settle(struct soft_cpu *cpu);
/* RESET, or INIT (which keeps FP state, MTRRs, TSC); not the LAPIC. */
void soft_cpu_reset(struct soft_cpu *cpu, bool init);
/* features, maxphys_rsvd from the CPUID table */
void soft_cpu_features(struct soft_cpu *cpu);
void soft_cpu_get(struct soft_cpu *cpu, struct vcpu_state *ret);
int soft_cpu_set(struct soft_cpu *cpu, const struct vcpu_state *st);
/*
 * The part that is plain registers: no FP state, MSRs, LAPIC (but for CR8 read)
 * and pending events; the caller calls soft_mode_changed() after set.
 */
void soft_cpu_get_core(struct soft_cpu *cpu, struct vcpu_state *ret);
void soft_cpu_set_core(struct soft_cpu *cpu, const struct vcpu_state *st);
/* FP state; get leaves in st->xsave what this engine does not know. */
void soft_cpu_get_xsave(struct soft_cpu *cpu, struct vcpu_state *st);
void soft_cpu_set_xsave(struct soft_cpu *cpu, const struct vcpu_state *st);
/* model.c: the CPUID leaves of this engine */
void soft_cpuid_model(struct cpuid_table *ret, uint64_t tsc_hz);

#endif
