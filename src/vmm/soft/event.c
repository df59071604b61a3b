/*
 * Delivery of exceptions and interrupts through IVT and IDT.
 */
#include "vmm/soft/debug.h"
#include "vmm/soft/mmu.h"
#include "vmm/soft/seg.h"

#define TYPE(attr) ((attr)&15)

struct idt_gate {
	uint16_t sel;
	uint64_t off;
	unsigned type, dpl, ist;
	bool present;
};

static _Noreturn void
idt_fault(struct soft_cpu *cpu, unsigned vec, unsigned gate)
{
	soft_raise_error(cpu, vec, gate * 8 + 2);
}

static void
read_gate(struct soft_cpu *cpu, unsigned vector, struct idt_gate *g)
{
	unsigned size = soft_long(cpu) ? 16 : 8;
	uint64_t lin = cpu->idtr.base + vector * size, lo, hi = 0;

	if (vector * size + size - 1 > cpu->idtr.limit)
		idt_fault(cpu, X86_EXC_GP, vector);
	lo = soft_sys_read(cpu, lin, 8);
	if (size == 16)
		hi = soft_sys_read(cpu, lin + 8, 8);
	g->sel = lo >> 16 & 0xffff;
	g->off = (lo & 0xffff) | (lo >> 32 & 0xffff0000) | hi << 32;
	g->type = lo >> 40 & 31;
	g->dpl = lo >> 45 & 3;
	g->present = lo >> 47 & 1;
	g->ist = size == 16 ? lo >> 32 & 7 : 0;
}

static void
deliver_real(struct soft_cpu *cpu, unsigned vector)
{
	uint64_t entry;
	struct soft_stack st;

	if (vector * 4 + 3 > cpu->idtr.limit)
		idt_fault(cpu, X86_EXC_GP, vector);
	entry = soft_sys_read(cpu, cpu->idtr.base + vector * 4, 4);
	soft_stack_current(cpu, &st);
	soft_stack_push(cpu, &st, 2, soft_rflags(cpu) & 0xffff);
	soft_stack_push(cpu, &st, 2, cpu->seg[X86_CS].sel);
	soft_stack_push(cpu, &st, 2, cpu->rip);
	soft_stack_commit(cpu, &st);
	cpu->rflags &=
	    ~(uint64_t)(X86_FL_IF | X86_FL_TF | X86_FL_AC | X86_FL_RF);
	soft_set_seg_real(cpu, X86_CS, (uint16_t)(entry >> 16));
	cpu->rip = entry & 0xffff;
	soft_mode_changed(cpu);
}

static uint64_t
ist_stack(struct soft_cpu *cpu, unsigned ist)
{
	unsigned off = 36 + (ist - 1) * 8;

	if (off + 7 > cpu->tr.limit)
		soft_raise_error(cpu, X86_EXC_TS, cpu->tr.sel & ~3u);
	return soft_sys_read(cpu, cpu->tr.base + off, 8);
}

/*
 * Check the handler's code segment and that it starts inside; returns its
 * descriptor and new CPL.
 */
static uint64_t
handler_cs(struct soft_cpu *cpu, const struct idt_gate *g, uint64_t off,
    unsigned *ret_cpl)
{
	uint16_t sel = g->sel;
	uint64_t desc;
	uint32_t attr;
	unsigned dpl;

	if ((sel & ~3u) == 0)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	desc = soft_read_desc(cpu, sel, X86_EXC_GP);
	attr = soft_desc_attr(desc);
	dpl = X86_ATTR_DPL(attr);
	if (!(attr & X86_ATTR_S) || !(TYPE(attr) & 8) || dpl > cpu->cpl)
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	if (soft_long(cpu) && (!(attr & X86_ATTR_L) || (attr & X86_ATTR_DB)))
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_NP, sel & ~3u);
	if (soft_long(cpu) ? !soft_canonical(off) : off > soft_desc_limit(desc))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	*ret_cpl = TYPE(attr) & 4 ? cpu->cpl : dpl;
	return desc;
}

static void
clear_flags(struct soft_cpu *cpu, bool interrupt_gate)
{
	cpu->rflags &=
	    ~(uint64_t)(X86_FL_TF | X86_FL_NT | X86_FL_RF | X86_FL_VM);
	if (interrupt_gate)
		cpu->rflags &= ~(uint64_t)X86_FL_IF;
}

static void
push_frame(struct soft_cpu *cpu, struct soft_stack *st, unsigned size,
    bool has_error, uint32_t error)
{
	uint64_t flags = soft_rflags(cpu);

	if (cpu->exc_set_rf)
		flags |= X86_FL_RF;
	soft_stack_push(cpu, st, size, flags);
	soft_stack_push(cpu, st, size, cpu->seg[X86_CS].sel);
	soft_stack_push(cpu, st, size, cpu->rip);
	if (has_error)
		soft_stack_push(cpu, st, size, error);
}

static void
deliver_long(struct soft_cpu *cpu, const struct idt_gate *g, bool has_error,
    uint32_t error)
{
	unsigned cpl, old = cpu->cpl;
	uint64_t desc = handler_cs(cpu, g, g->off, &cpl), sp, unused;
	struct soft_stack st;
	uint16_t ss;

	if (g->ist)
		sp = ist_stack(cpu, g->ist);
	else if (cpl < old)
		soft_tss_stack(cpu, cpl, &ss, &sp);
	else
		sp = cpu->gpr[X86_RSP];
	if (cpl != old || g->ist)
		soft_inner_stack(cpu, (uint16_t)cpl, sp, cpl, &st, &unused);
	else {
		soft_stack_current(cpu, &st);
		/* also from compatibility mode */
		st.flat = true;
		st.mask = ~UINT64_C(0);
		st.sp = sp;
	}
	st.sp &= ~UINT64_C(15);
	soft_stack_push(cpu, &st, 8, cpu->seg[X86_SS].sel);
	soft_stack_push(cpu, &st, 8, cpu->gpr[X86_RSP]);
	push_frame(cpu, &st, 8, has_error, error);
	clear_flags(cpu, (g->type & 1) == 0);
	cpu->rip = g->off;
	soft_set_cs(cpu, g->sel, desc, cpl);
	if (cpl != old) {
		cpu->seg[X86_SS].sel = (uint16_t)cpl;
		cpu->seg[X86_SS].limit = 0;
		cpu->seg[X86_SS].base = 0;
		cpu->seg[X86_SS].attr = X86_ATTR_UNUSABLE | cpl << 5;
	}
	cpu->gpr[X86_RSP] = st.sp;
	soft_mode_changed(cpu);
}

static void
deliver_protected(struct soft_cpu *cpu, const struct idt_gate *g,
    bool has_error, uint32_t error)
{
	static const uint8_t vm86_order[] = { X86_GS, X86_FS, X86_DS, X86_ES };
	unsigned cpl, old = cpu->cpl, size = g->type & 8 ? 4 : 2;
	uint64_t off = size == 2 ? g->off & 0xffff : g->off;
	uint64_t desc = handler_cs(cpu, g, off, &cpl), sp, ss_desc = 0;
	bool from_vm86 = soft_vm86(cpu);
	struct soft_stack st;
	uint16_t ss = 0;

	if (from_vm86 && cpl != 0)
		soft_raise_error(cpu, X86_EXC_GP, g->sel & ~3u);
	if (cpl < old) {
		soft_tss_stack(cpu, cpl, &ss, &sp);
		soft_inner_stack(cpu, ss, sp, cpl, &st, &ss_desc);
		if (from_vm86)
			for (unsigned i = 0; i < 4; i++)
				soft_stack_push(cpu, &st, size,
				    cpu->seg[vm86_order[i]].sel);
		soft_stack_push(cpu, &st, size, cpu->seg[X86_SS].sel);
		soft_stack_push(cpu, &st, size, cpu->gpr[X86_RSP]);
	} else
		soft_stack_current(cpu, &st);
	push_frame(cpu, &st, size, has_error, error);
	clear_flags(cpu, (g->type & 1) == 0);
	if (from_vm86)
		for (unsigned i = 0; i < 4; i++) {
			cpu->seg[vm86_order[i]].sel = 0;
			cpu->seg[vm86_order[i]].attr = X86_ATTR_UNUSABLE;
		}
	cpu->rip = off;
	soft_set_cs(cpu, g->sel, desc, cpl);
	if (cpl < old)
		soft_set_desc(cpu, X86_SS, ss, ss_desc);
	soft_mode_changed(cpu);
	soft_stack_commit(cpu, &st);
}

static void
deliver(struct soft_cpu *cpu, unsigned vector, enum soft_event kind,
    bool has_error, uint32_t error)
{
	bool soft = kind == SOFT_EV_SOFT || kind == SOFT_EV_INTN;
	struct idt_gate g;

	if (soft_real(cpu)) {
		deliver_real(cpu, vector);
		return;
	}
	if (kind == SOFT_EV_INTN && soft_vm86(cpu) && soft_iopl(cpu) < 3)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	read_gate(cpu, vector, &g);
	if (g.type != 14 && g.type != 15 &&
	    (soft_long(cpu) || (g.type != 5 && g.type != 6 && g.type != 7)))
		idt_fault(cpu, X86_EXC_GP, vector);
	if (soft && g.dpl < cpu->cpl)
		idt_fault(cpu, X86_EXC_GP, vector);
	if (!g.present)
		idt_fault(cpu, X86_EXC_NP, vector);
	if (g.type == 5)
		soft_task_switch(cpu, g.sel, SOFT_TASK_EVENT, has_error, error);
	else if (soft_long(cpu))
		deliver_long(cpu, &g, has_error, error);
	else
		deliver_protected(cpu, &g, has_error, error);
}

void
soft_deliver(struct soft_cpu *cpu, unsigned vector, enum soft_event kind,
    bool has_error, uint32_t error)
{
	cpu->in_event = kind != SOFT_EV_SOFT && kind != SOFT_EV_INTN;
	deliver(cpu, vector, kind, has_error, error);
	cpu->in_event = false;
	/* The handler is not single-stepped, and may use the registers. */
	cpu->step_trap = false;
	if (kind == SOFT_EV_EXC && vector == X86_EXC_DB)
		cpu->dr[7] &= ~(uint64_t)SOFT_DR7_GD;
}

static bool
contributory(unsigned v)
{
	return v == X86_EXC_DE || (v >= X86_EXC_TS && v <= X86_EXC_GP);
}

bool
soft_deliver_exception(struct soft_cpu *cpu)
{
	unsigned v = cpu->exc_vector;
	int first = cpu->delivering;

	/* Intel SDM vol. 3, table 6-5 */
	if (first == X86_EXC_DF)
		return false;
	if (first >= 0 &&
	    ((contributory((unsigned)first) && contributory(v)) ||
		(first == X86_EXC_PF &&
		    (contributory(v) || v == X86_EXC_PF)))) {
		v = X86_EXC_DF;
		cpu->exc_has_error = 1;
		cpu->exc_error = 0;
	}
	cpu->delivering = (int)v;
	/* Only faults are raised; traps know their way by themselves. */
	cpu->exc_set_rf = true;
	soft_deliver(cpu, v, SOFT_EV_EXC, cpu->exc_has_error && !soft_real(cpu),
	    cpu->exc_error);
	cpu->exc_set_rf = false;
	cpu->delivering = -1;
	return true;
}
