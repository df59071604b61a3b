/*
 * Segments, stacks and event delivery.
 *
 * Source: Intel SDM vol. 3, chapters 5 (protection), 6 (events), 7 (tasks), 20
 * (real and virtual-8086 mode).
 */
#ifndef VMM_SOFT_SEG_H
#define VMM_SOFT_SEG_H

#include "vmm/soft/cpu.h"

static inline bool
soft_real(const struct soft_cpu *cpu)
{
	return !(cpu->cr0 & X86_CR0_PE);
}

static inline bool
soft_vm86(const struct soft_cpu *cpu)
{
	return cpu->rflags & X86_FL_VM;
}

static inline unsigned
soft_iopl(const struct soft_cpu *cpu)
{
	return cpu->rflags >> 12 & 3;
}

/* #GP(0) unless CPL is 0. */
void soft_need_cpl0(struct soft_cpu *cpu);

/* MOV to Sreg, POP Sreg, LDS...: all checks, then the register. */
void soft_load_seg(struct soft_cpu *cpu, unsigned seg, uint16_t sel);
/* Real-mode contents. */
void soft_set_seg_real(struct soft_cpu *cpu, unsigned seg, uint16_t sel);
void soft_load_ldt(struct soft_cpu *cpu, uint16_t sel);
void soft_load_tr(struct soft_cpu *cpu, uint16_t sel);
/* LAR, LSL, VERR, VERW: false if the selector does not qualify. */
bool soft_probe_desc(
    struct soft_cpu *cpu, uint16_t sel, uint64_t *ret_desc, uint64_t *ret_high);
uint32_t soft_desc_attr(uint64_t desc);
uint32_t soft_desc_limit(uint64_t desc);
uint64_t soft_desc_base(uint64_t desc);
/* Flat CS and SS as SYSCALL and its kin make them. */
void
soft_set_flat_cs(struct soft_cpu *cpu, uint16_t sel, unsigned dpl, bool code64);
void soft_set_flat_ss(struct soft_cpu *cpu, uint16_t sel, unsigned dpl);

/* ---- the stack in use; size: 2, 4, 8 ---- */

/* A stack pointer that is moved first and committed when all went well. */
struct soft_stack {
	uint64_t sp;
	uint64_t mask; /* of the part of rSP that counts */
	uint64_t base;
	bool flat; /* no segment checks: 64-bit, or inner stack checked */
	bool system; /* supervisor rights */
	uint32_t limit, attr;
	uint16_t fault_sel; /* error code of #SS */
};
void soft_stack_current(struct soft_cpu *cpu, struct soft_stack *st);
void soft_stack_push(
    struct soft_cpu *cpu, struct soft_stack *st, unsigned size, uint64_t v);
uint64_t
soft_stack_pop(struct soft_cpu *cpu, struct soft_stack *st, unsigned size);
void soft_stack_commit(struct soft_cpu *cpu, const struct soft_stack *st);
void soft_push(struct soft_cpu *cpu, unsigned size, uint64_t v);
uint64_t soft_pop(struct soft_cpu *cpu, unsigned size);

/* ---- far transfers (far.c); size = operand size ---- */
void soft_far_jump(
    struct soft_cpu *cpu, uint16_t sel, uint64_t off, unsigned size, bool call);
void soft_far_return(struct soft_cpu *cpu, unsigned size, unsigned drop);
void soft_iret(struct soft_cpu *cpu, unsigned size);
/* RIP of a near branch, with the limit or canonical check. */
void soft_near_jump(struct soft_cpu *cpu, uint64_t rip, unsigned size);
/* Check a code descriptor for a transfer, load CS with it. */
void
soft_set_cs(struct soft_cpu *cpu, uint16_t sel, uint64_t desc, unsigned cpl);
/* The second half of a long-mode system descriptor; false: past the limit. */
bool soft_desc_high(struct soft_cpu *cpu, uint16_t sel, uint64_t *ret);
uint64_t soft_read_desc(struct soft_cpu *cpu, uint16_t sel, unsigned vector);
/* SS:rSP for a privilege level from the TSS. */
void soft_tss_stack(
    struct soft_cpu *cpu, unsigned dpl, uint16_t *ret_ss, uint64_t *ret_sp);
void soft_inner_stack(struct soft_cpu *cpu, uint16_t ss, uint64_t sp,
    unsigned dpl, struct soft_stack *st, uint64_t *ret_desc);
void
soft_set_desc(struct soft_cpu *cpu, unsigned seg, uint16_t sel, uint64_t desc);

/* ---- task switches (task.c) ---- */
enum soft_task {
	SOFT_TASK_JMP,
	SOFT_TASK_CALL,
	SOFT_TASK_EVENT, /* through a task gate in the IDT */
	SOFT_TASK_IRET
};
/*
 * To the task whose TSS is sel; how it was reached was checked (gate, DPL). RIP
 * to be saved is cpu->rip. An error code goes onto the new stack.
 */
void soft_task_switch(struct soft_cpu *cpu, uint16_t sel, enum soft_task how,
    bool has_error, uint32_t error);
/* IRET with NT: to the task in the back link. */
void soft_task_return(struct soft_cpu *cpu);

/* ---- events (event.c) ---- */
enum soft_event {
	SOFT_EV_EXC,
	SOFT_EV_EXTERNAL,
	SOFT_EV_SOFT, /* INT3, INTO */
	SOFT_EV_INTN, /* INT n: minds IOPL in virtual-8086 mode */
	SOFT_EV_INT1
};
/*
 * Deliver through IVT or IDT: RIP to be saved is cpu->rip. May raise in turn.
 */
void soft_deliver(struct soft_cpu *cpu, unsigned vector, enum soft_event kind,
    bool has_error, uint32_t error);
/*
 * The exception that was raised (exc_*), with double and triple fault. Returns
 * false on triple fault.
 */
bool soft_deliver_exception(struct soft_cpu *cpu);

#endif
