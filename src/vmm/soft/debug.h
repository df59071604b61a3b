/*
 * Debug registers and traps, alignment checks.
 *
 * Source: Intel SDM vol. 3, chapter 18 (debug registers and exceptions), table
 * 6-7 (alignment).
 *
 * All of it is free while nothing is armed: a page with a data breakpoint never
 * gets a TLB tag for data, and with alignment checks on, the TLB in use is one
 * without tags, so that each access takes the slow path, where
 * soft_cpu.access_checks is looked at. There an access that concerns a
 * breakpoint makes its instruction start again by itself (SOFT_DEBUG_ONCE), as
 * only then can it be followed by a trap.
 */
#ifndef VMM_SOFT_DEBUG_H
#define VMM_SOFT_DEBUG_H

#include "vmm/soft/cpu.h"

#define SOFT_DR6_BD (1u << 13)
#define SOFT_DR6_BS (1u << 14)
#define SOFT_DR6_BT (1u << 15)
#define SOFT_DR7_GD (1u << 13)

/* DR0-DR3, DR7 or CR4.DE changed. */
void soft_debug_changed(struct soft_cpu *cpu);
/*
 * A condition for #DB (bits of DR6) was met: the trap comes after the running
 * instruction, or the next one in the shadow of MOV SS.
 */
void soft_debug_hit(struct soft_cpu *cpu, uint32_t dr6);
/* The instruction faulted: it meets them again. */
void soft_debug_forget(struct soft_cpu *cpu);
/* Deliver what soft_debug_hit() left. */
void soft_debug_trap(struct soft_cpu *cpu);
/* Deliver #DB if an instruction breakpoint is at RIP. Returns true if so. */
bool soft_debug_exec(struct soft_cpu *cpu);
/* An access by the program, before it is made: alignment, breakpoints. */
void soft_debug_access(
    struct soft_cpu *cpu, uint64_t lin, unsigned size, bool write);
/* A data breakpoint is in the page. */
bool soft_debug_in_page(const struct soft_cpu *cpu, uint64_t lin);
/* A port is about to be accessed. */
void soft_debug_io(struct soft_cpu *cpu, uint16_t port, unsigned size);

#endif
