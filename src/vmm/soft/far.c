/*
 * Far jumps, calls and returns, call gates, IRET.
 */
#include "vmm/soft/mmu.h"
#include "vmm/soft/seg.h"

#define TYPE(attr) ((attr)&15)

static _Noreturn void
gp(struct soft_cpu *cpu, unsigned sel)
{
	soft_raise_error(cpu, X86_EXC_GP, sel & 0xfffc);
}

void
soft_near_jump(struct soft_cpu *cpu, uint64_t rip, unsigned size)
{
	if (cpu->mode == 8) {
		if (!soft_canonical(rip))
			soft_raise_error(cpu, X86_EXC_GP, 0);
	} else {
		rip = size == 2 ? (uint16_t)rip : (uint32_t)rip;
		if (rip > cpu->seg[X86_CS].limit)
			soft_raise_error(cpu, X86_EXC_GP, 0);
	}
	cpu->rip = rip;
}

void
soft_set_cs(struct soft_cpu *cpu, uint16_t sel, uint64_t desc, unsigned cpl)
{
	soft_set_desc(cpu, X86_CS, (uint16_t)((sel & ~3u) | cpl), desc);
	cpu->cpl = (uint8_t)cpl;
	soft_mode_changed(cpu);
}

/* RIP against the segment it is about to run in. */
static void
check_target(struct soft_cpu *cpu, uint64_t desc, uint64_t rip)
{
	if (soft_long(cpu) && (soft_desc_attr(desc) & X86_ATTR_L)) {
		if (!soft_canonical(rip))
			gp(cpu, 0);
	} else if (rip > soft_desc_limit(desc))
		gp(cpu, 0);
}

/* Type and presence of a code descriptor; L and D not both. */
static void
check_code(struct soft_cpu *cpu, uint16_t sel, uint32_t attr)
{
	if (!(attr & X86_ATTR_S) || !(TYPE(attr) & 8))
		gp(cpu, sel);
	if (soft_long(cpu) && (attr & X86_ATTR_L) && (attr & X86_ATTR_DB))
		gp(cpu, sel);
}

static void
need_present(struct soft_cpu *cpu, uint16_t sel, uint32_t attr)
{
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_NP, sel & ~3u);
}

void
soft_tss_stack(
    struct soft_cpu *cpu, unsigned dpl, uint16_t *ret_ss, uint64_t *ret_sp)
{
	uint64_t base = cpu->tr.base;
	unsigned off;

	if (soft_long(cpu)) {
		off = 4 + dpl * 8;
		if (off + 7 > cpu->tr.limit)
			soft_raise_error(cpu, X86_EXC_TS, cpu->tr.sel & ~3u);
		*ret_sp = soft_sys_read(cpu, base + off, 8);
		*ret_ss = (uint16_t)dpl;
		if (!soft_canonical(*ret_sp))
			soft_raise_error(cpu, X86_EXC_SS, 0);
		return;
	}
	if (TYPE(cpu->tr.attr) & 8) {
		off = 4 + dpl * 8;
		if (off + 5 > cpu->tr.limit)
			soft_raise_error(cpu, X86_EXC_TS, cpu->tr.sel & ~3u);
		*ret_sp = soft_sys_read(cpu, base + off, 4);
		*ret_ss = (uint16_t)soft_sys_read(cpu, base + off + 4, 2);
	} else {
		off = 2 + dpl * 4;
		if (off + 3 > cpu->tr.limit)
			soft_raise_error(cpu, X86_EXC_TS, cpu->tr.sel & ~3u);
		*ret_sp = soft_sys_read(cpu, base + off, 2);
		*ret_ss = (uint16_t)soft_sys_read(cpu, base + off + 2, 2);
	}
}

void
soft_inner_stack(struct soft_cpu *cpu, uint16_t ss, uint64_t sp, unsigned dpl,
    struct soft_stack *st, uint64_t *ret_desc)
{
	uint64_t desc;
	uint32_t attr;

	st->sp = sp;
	st->system = true;
	st->fault_sel = ss & ~3u;
	*ret_desc = 0;
	if (soft_long(cpu)) {
		st->flat = true;
		st->mask = ~UINT64_C(0);
		st->base = 0;
		st->fault_sel = 0;
		return;
	}
	if ((ss & ~3u) == 0)
		soft_raise_error(cpu, X86_EXC_TS, 0);
	desc = soft_read_desc(cpu, ss, X86_EXC_TS);
	attr = soft_desc_attr(desc);
	if ((ss & 3u) != dpl || X86_ATTR_DPL(attr) != dpl ||
	    !(attr & X86_ATTR_S) || (TYPE(attr) & 10) != 2)
		soft_raise_error(cpu, X86_EXC_TS, ss & ~3u);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_SS, ss & ~3u);
	st->flat = false;
	st->mask = attr & X86_ATTR_DB ? 0xffffffff : 0xffff;
	st->base = (desc >> 16 & 0xffffff) | (desc >> 32 & 0xff000000);
	st->limit = soft_desc_limit(desc);
	st->attr = attr;
	*ret_desc = desc;
}

static void
real_far(
    struct soft_cpu *cpu, uint16_t sel, uint64_t off, unsigned size, bool call)
{
	struct soft_stack st;

	if (size == 2)
		off &= 0xffff;
	if (off > cpu->seg[X86_CS].limit)
		gp(cpu, 0);
	if (call) {
		soft_stack_current(cpu, &st);
		soft_stack_push(cpu, &st, size, cpu->seg[X86_CS].sel);
		soft_stack_push(cpu, &st, size, cpu->rip);
		soft_stack_commit(cpu, &st);
	}
	soft_set_seg_real(cpu, X86_CS, sel);
	cpu->rip = off;
	soft_mode_changed(cpu);
}

/* Load SS after a change to an inner level; long mode loads a null one. */
static void
set_inner_ss(struct soft_cpu *cpu, uint16_t ss, uint64_t desc, unsigned dpl)
{
	if (soft_long(cpu)) {
		cpu->seg[X86_SS].sel = (uint16_t)dpl;
		cpu->seg[X86_SS].limit = 0;
		cpu->seg[X86_SS].attr = X86_ATTR_UNUSABLE | dpl << 5;
		cpu->seg[X86_SS].base = 0;
	} else
		soft_set_desc(cpu, X86_SS, ss, desc);
}

struct gate {
	uint16_t sel;
	uint64_t off;
	unsigned size; /* of what it pushes */
	unsigned params;
};

/* Through a call gate to an inner level: new stack, parameters copied. */
static void
gate_inner(struct soft_cpu *cpu, const struct gate *g, uint64_t desc)
{
	unsigned dpl = X86_ATTR_DPL(soft_desc_attr(desc));
	uint64_t sp, ss_desc, param[32];
	struct soft_stack st, old;
	uint16_t ss;

	soft_tss_stack(cpu, dpl, &ss, &sp);
	soft_inner_stack(cpu, ss, sp, dpl, &st, &ss_desc);
	soft_stack_current(cpu, &old);
	for (unsigned i = 0; i < g->params; i++)
		param[i] = soft_stack_pop(cpu, &old, g->size);
	soft_stack_push(cpu, &st, g->size, cpu->seg[X86_SS].sel);
	soft_stack_push(cpu, &st, g->size, cpu->gpr[X86_RSP]);
	for (unsigned i = g->params; i-- > 0;)
		soft_stack_push(cpu, &st, g->size, param[i]);
	soft_stack_push(cpu, &st, g->size, cpu->seg[X86_CS].sel);
	soft_stack_push(cpu, &st, g->size, cpu->rip);
	cpu->rip = g->off;
	soft_set_cs(cpu, g->sel, desc, dpl);
	set_inner_ss(cpu, ss, ss_desc, dpl);
	soft_mode_changed(cpu);
	soft_stack_commit(cpu, &st);
}

static void
call_gate(struct soft_cpu *cpu, uint16_t gate_sel, uint64_t desc, bool call)
{
	uint32_t attr = soft_desc_attr(desc);
	struct gate g = { .sel = desc >> 16 & 0xffff };
	struct soft_stack st;
	uint64_t cs, high = 0;
	uint32_t cattr;

	if (X86_ATTR_DPL(attr) < cpu->cpl ||
	    X86_ATTR_DPL(attr) < (gate_sel & 3u))
		gp(cpu, gate_sel);
	need_present(cpu, gate_sel, attr);
	g.off = desc & 0xffff;
	g.size = TYPE(attr) & 8 ? 4 : 2;
	g.params = desc >> 32 & 31;
	if (TYPE(attr) & 8)
		g.off |= desc >> 32 & 0xffff0000;
	if (soft_long(cpu)) {
		if (!soft_desc_high(cpu, gate_sel, &high) || (high >> 40 & 31))
			gp(cpu, gate_sel);
		g.off |= high << 32;
		g.size = 8;
		g.params = 0;
	}
	if ((g.sel & ~3u) == 0)
		gp(cpu, 0);
	cs = soft_read_desc(cpu, g.sel, X86_EXC_GP);
	cattr = soft_desc_attr(cs);
	check_code(cpu, g.sel, cattr);
	if (X86_ATTR_DPL(cattr) > cpu->cpl ||
	    (soft_long(cpu) && !(cattr & X86_ATTR_L)))
		gp(cpu, g.sel);
	if (!call && !(TYPE(cattr) & 4) && X86_ATTR_DPL(cattr) != cpu->cpl)
		gp(cpu, g.sel);
	need_present(cpu, g.sel, cattr);
	check_target(cpu, cs, g.off);
	if (call && !(TYPE(cattr) & 4) && X86_ATTR_DPL(cattr) < cpu->cpl) {
		gate_inner(cpu, &g, cs);
		return;
	}
	if (call) {
		soft_stack_current(cpu, &st);
		soft_stack_push(cpu, &st, g.size, cpu->seg[X86_CS].sel);
		soft_stack_push(cpu, &st, g.size, cpu->rip);
		soft_stack_commit(cpu, &st);
	}
	cpu->rip = g.off;
	soft_set_cs(cpu, g.sel, cs, cpu->cpl);
}

static void
far_system(struct soft_cpu *cpu, uint16_t sel, uint64_t desc, bool call)
{
	unsigned type = TYPE(soft_desc_attr(desc));

	if (type == 12 || (type == 4 && !soft_long(cpu))) {
		call_gate(cpu, sel, desc, call);
		return;
	}
	if (soft_long(cpu) || (type != 1 && type != 5 && type != 9))
		gp(cpu, sel);
	if (X86_ATTR_DPL(soft_desc_attr(desc)) < cpu->cpl ||
	    X86_ATTR_DPL(soft_desc_attr(desc)) < (sel & 3u))
		gp(cpu, sel);
	if (type == 5) {
		need_present(cpu, sel, soft_desc_attr(desc));
		sel = desc >> 16 & 0xffff;
	}
	soft_task_switch(
	    cpu, sel, call ? SOFT_TASK_CALL : SOFT_TASK_JMP, false, 0);
}

void
soft_far_jump(
    struct soft_cpu *cpu, uint16_t sel, uint64_t off, unsigned size, bool call)
{
	struct soft_stack st;
	uint64_t desc;
	uint32_t attr;
	unsigned dpl;

	if (soft_real(cpu) || soft_vm86(cpu)) {
		real_far(cpu, sel, off, size, call);
		return;
	}
	if ((sel & ~3u) == 0)
		gp(cpu, 0);
	desc = soft_read_desc(cpu, sel, X86_EXC_GP);
	attr = soft_desc_attr(desc);
	if (!(attr & X86_ATTR_S)) {
		far_system(cpu, sel, desc, call);
		return;
	}
	check_code(cpu, sel, attr);
	dpl = X86_ATTR_DPL(attr);
	if (TYPE(attr) & 4 ? dpl > cpu->cpl
			   : (sel & 3u) > cpu->cpl || dpl != cpu->cpl)
		gp(cpu, sel);
	need_present(cpu, sel, attr);
	if (size == 2)
		off &= 0xffff;
	else if (size == 4)
		off &= 0xffffffff;
	check_target(cpu, desc, off);
	if (call) {
		soft_stack_current(cpu, &st);
		soft_stack_push(cpu, &st, size, cpu->seg[X86_CS].sel);
		soft_stack_push(cpu, &st, size, cpu->rip);
		soft_stack_commit(cpu, &st);
	}
	cpu->rip = off;
	soft_set_cs(cpu, sel, desc, cpu->cpl);
}

/* Data segments that the outer level may not use become null. */
static void
drop_segments(struct soft_cpu *cpu)
{
	static const uint8_t segs[] = { X86_ES, X86_DS, X86_FS, X86_GS };

	for (unsigned i = 0; i < 4; i++) {
		struct x86_seg *s = &cpu->seg[segs[i]];

		if ((s->attr & X86_ATTR_UNUSABLE) ||
		    X86_ATTR_DPL(s->attr) >= cpu->cpl ||
		    (TYPE(s->attr) & 12) == 12)
			continue;
		s->sel = 0;
		s->attr = X86_ATTR_UNUSABLE;
	}
}

static void
real_return(struct soft_cpu *cpu, unsigned size, unsigned drop, bool iret)
{
	struct soft_stack st;
	uint64_t rip, flags = 0;
	uint64_t keep = X86_FL_VM | X86_FL_VIF | X86_FL_VIP;
	uint16_t sel;

	if (iret && soft_vm86(cpu) && soft_iopl(cpu) < 3)
		gp(cpu, 0);
	soft_stack_current(cpu, &st);
	rip = soft_stack_pop(cpu, &st, size);
	sel = (uint16_t)soft_stack_pop(cpu, &st, size);
	if (iret) {
		flags = soft_stack_pop(cpu, &st, size);
		if (size == 2)
			keep |= ~UINT64_C(0xffff);
		if (soft_vm86(cpu))
			keep |= X86_FL_IOPL;
	}
	if (rip > cpu->seg[X86_CS].limit)
		gp(cpu, 0);
	st.sp += drop;
	soft_stack_commit(cpu, &st);
	soft_set_seg_real(cpu, X86_CS, sel);
	cpu->rip = rip;
	if (iret)
		soft_set_rflags(
		    cpu, (flags & ~keep) | (soft_rflags(cpu) & keep));
	soft_mode_changed(cpu);
}

/* CS of a far return or IRET: checked for the level in its RPL. */
static uint64_t
return_cs(struct soft_cpu *cpu, uint16_t sel, uint64_t rip)
{
	uint64_t desc;
	uint32_t attr;
	unsigned rpl = sel & 3, dpl;

	if ((sel & ~3u) == 0)
		gp(cpu, 0);
	desc = soft_read_desc(cpu, sel, X86_EXC_GP);
	attr = soft_desc_attr(desc);
	check_code(cpu, sel, attr);
	dpl = X86_ATTR_DPL(attr);
	if (rpl < cpu->cpl || (TYPE(attr) & 4 ? dpl > rpl : dpl != rpl))
		gp(cpu, sel);
	need_present(cpu, sel, attr);
	check_target(cpu, desc, rip);
	return desc;
}

/* SS of a return to an outer level. Returns its descriptor, 0 for null. */
static uint64_t
return_ss(struct soft_cpu *cpu, uint16_t sel, unsigned rpl, uint64_t cs_desc)
{
	uint64_t desc;
	uint32_t attr;

	if ((sel & ~3u) == 0) {
		if (!soft_long(cpu) ||
		    !(soft_desc_attr(cs_desc) & X86_ATTR_L) || rpl == 3 ||
		    (sel & 3u) != rpl)
			gp(cpu, 0);
		return 0;
	}
	desc = soft_read_desc(cpu, sel, X86_EXC_GP);
	attr = soft_desc_attr(desc);
	if ((sel & 3u) != rpl || X86_ATTR_DPL(attr) != rpl ||
	    !(attr & X86_ATTR_S) || (TYPE(attr) & 10) != 2)
		gp(cpu, sel);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_SS, sel & ~3u);
	return desc;
}

static void
set_outer(struct soft_cpu *cpu, uint16_t ss, uint64_t ss_desc, uint64_t sp,
    unsigned rpl, unsigned drop)
{
	uint64_t mask;

	if (ss_desc == 0) {
		cpu->seg[X86_SS].sel = ss;
		cpu->seg[X86_SS].limit = 0;
		cpu->seg[X86_SS].base = 0;
		cpu->seg[X86_SS].attr = X86_ATTR_UNUSABLE | rpl << 5;
	} else
		soft_set_desc(cpu, X86_SS, ss, ss_desc);
	if (cpu->mode == 8)
		mask = ~UINT64_C(0);
	else
		mask =
		    cpu->seg[X86_SS].attr & X86_ATTR_DB ? 0xffffffff : 0xffff;
	sp += drop;
	cpu->gpr[X86_RSP] = mask == 0xffff
	    ? (cpu->gpr[X86_RSP] & ~mask) | (sp & mask)
	    : sp & mask;
}

void
soft_far_return(struct soft_cpu *cpu, unsigned size, unsigned drop)
{
	struct soft_stack st;
	uint64_t rip, sp, desc, ss_desc;
	uint16_t sel, ss;
	unsigned rpl;

	if (soft_real(cpu) || soft_vm86(cpu)) {
		real_return(cpu, size, drop, false);
		return;
	}
	soft_stack_current(cpu, &st);
	rip = soft_stack_pop(cpu, &st, size);
	sel = (uint16_t)soft_stack_pop(cpu, &st, size);
	rpl = sel & 3;
	desc = return_cs(cpu, sel, rip);
	st.sp = (st.sp & ~st.mask) | ((st.sp + drop) & st.mask);
	if (rpl == cpu->cpl) {
		soft_stack_commit(cpu, &st);
		cpu->rip = rip;
		soft_set_cs(cpu, sel, desc, rpl);
		return;
	}
	sp = soft_stack_pop(cpu, &st, size);
	ss = (uint16_t)soft_stack_pop(cpu, &st, size);
	ss_desc = return_ss(cpu, ss, rpl, desc);
	cpu->rip = rip;
	soft_set_cs(cpu, sel, desc, rpl);
	set_outer(cpu, ss, ss_desc, sp, rpl, drop);
	drop_segments(cpu);
	soft_mode_changed(cpu);
}

static void
iret_to_vm86(struct soft_cpu *cpu, struct soft_stack *st, uint64_t rip,
    uint16_t cs, uint64_t flags)
{
	static const uint8_t order[] = { X86_ES, X86_DS, X86_FS, X86_GS };
	uint64_t sp = soft_stack_pop(cpu, st, 4);
	uint16_t ss = (uint16_t)soft_stack_pop(cpu, st, 4), sel[4];

	if (rip > 0xffff)
		gp(cpu, 0);
	for (unsigned i = 0; i < 4; i++)
		sel[i] = (uint16_t)soft_stack_pop(cpu, st, 4);
	soft_set_rflags(cpu, flags);
	soft_set_seg_real(cpu, X86_CS, cs);
	soft_set_seg_real(cpu, X86_SS, ss);
	for (unsigned i = 0; i < 4; i++)
		soft_set_seg_real(cpu, order[i], sel[i]);
	cpu->gpr[X86_RSP] = sp;
	cpu->rip = rip;
	cpu->cpl = 3;
	soft_mode_changed(cpu);
}

/* Flags that IRET may change, Intel SDM vol. 2, IRET. */
static uint64_t
iret_mask(struct soft_cpu *cpu, unsigned size, unsigned old_cpl)
{
	uint64_t m = X86_FL_ARITH | X86_FL_TF | X86_FL_DF | X86_FL_NT;

	if (size > 2)
		m |= X86_FL_RF | X86_FL_AC | X86_FL_ID;
	if (old_cpl <= soft_iopl(cpu))
		m |= X86_FL_IF;
	if (old_cpl == 0) {
		m |= X86_FL_IOPL;
		if (size > 2)
			m |= X86_FL_VIF | X86_FL_VIP;
	}
	return m;
}

void
soft_iret(struct soft_cpu *cpu, unsigned size)
{
	struct soft_stack st;
	uint64_t rip, flags, sp = 0, desc, ss_desc = 0, mask;
	uint16_t sel, ss = 0;
	unsigned rpl, old_cpl = cpu->cpl;
	bool outer;

	cpu->nmi_masked = 0;
	if (soft_real(cpu) || soft_vm86(cpu)) {
		real_return(cpu, size, 0, true);
		return;
	}
	if (cpu->rflags & X86_FL_NT) {
		if (soft_long(cpu))
			gp(cpu, 0);
		soft_task_return(cpu);
		return;
	}
	soft_stack_current(cpu, &st);
	rip = soft_stack_pop(cpu, &st, size);
	sel = (uint16_t)soft_stack_pop(cpu, &st, size);
	flags = soft_stack_pop(cpu, &st, size);
	if (size == 4 && (flags & X86_FL_VM) && cpu->cpl == 0 &&
	    !soft_long(cpu)) {
		iret_to_vm86(cpu, &st, rip, sel, flags);
		return;
	}
	rpl = sel & 3;
	outer = rpl != cpu->cpl || cpu->mode == 8;
	if (outer) {
		sp = soft_stack_pop(cpu, &st, size);
		ss = (uint16_t)soft_stack_pop(cpu, &st, size);
	}
	desc = return_cs(cpu, sel, rip);
	if (outer)
		ss_desc = return_ss(cpu, ss, rpl, desc);
	mask = iret_mask(cpu, size, old_cpl);
	if (!outer)
		soft_stack_commit(cpu, &st);
	cpu->rip = rip;
	soft_set_cs(cpu, sel, desc, rpl);
	soft_set_rflags(cpu, (flags & mask) | (soft_rflags(cpu) & ~mask));
	if (outer) {
		set_outer(cpu, ss, ss_desc, sp, rpl, 0);
		if (rpl != old_cpl)
			drop_segments(cpu);
	}
	soft_mode_changed(cpu);
}
