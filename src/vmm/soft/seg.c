/*
 * Segment registers: loading, checking, addressing; the stack.
 */
#include "vmm/soft/seg.h"

#include "vmm/soft/mmu.h"

#define DESC_P (UINT64_C(1) << 47)
#define TYPE(attr) ((attr)&15)

uint32_t
soft_desc_attr(uint64_t desc)
{
	return desc >> 40 & 0xf0ff;
}

uint32_t
soft_desc_limit(uint64_t desc)
{
	uint32_t limit = (desc & 0xffff) | (desc >> 32 & 0xf0000);

	return desc >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

uint64_t
soft_desc_base(uint64_t desc)
{
	return (desc >> 16 & 0xffffff) | (desc >> 32 & 0xff000000);
}

void
soft_need_cpl0(struct soft_cpu *cpu)
{
	if (cpu->cpl != 0)
		soft_raise_error(cpu, X86_EXC_GP, 0);
}

/* false: outside the table. */
static bool
desc_address(struct soft_cpu *cpu, uint16_t sel, uint64_t *ret)
{
	if (sel & 4) {
		if ((cpu->ldtr.attr & X86_ATTR_UNUSABLE) ||
		    (sel | 7u) > cpu->ldtr.limit)
			return false;
		*ret = cpu->ldtr.base + (sel & ~7u);
	} else {
		if ((sel | 7u) > cpu->gdtr.limit)
			return false;
		*ret = cpu->gdtr.base + (sel & ~7u);
	}
	return true;
}

uint64_t
soft_read_desc(struct soft_cpu *cpu, uint16_t sel, unsigned vector)
{
	uint64_t lin;

	if (!desc_address(cpu, sel, &lin))
		soft_raise_error(cpu, vector, sel & ~3u);
	return soft_sys_read(cpu, lin, 8);
}

bool
soft_desc_high(struct soft_cpu *cpu, uint16_t sel, uint64_t *ret)
{
	uint64_t lin;

	if ((sel | 7u) + 8 > (sel & 4 ? cpu->ldtr.limit : cpu->gdtr.limit) ||
	    !desc_address(cpu, sel, &lin))
		return false;
	*ret = soft_sys_read(cpu, lin + 8, 8);
	return true;
}

static void
set_accessed(struct soft_cpu *cpu, uint16_t sel, uint64_t desc)
{
	uint64_t lin;

	if ((desc >> 40 & 1) || !(desc >> 44 & 1))
		return;
	if (desc_address(cpu, sel, &lin))
		soft_sys_write(cpu, lin + 5, 1, (desc >> 40 & 0xff) | 1);
}

static void
set_base(struct soft_cpu *cpu, unsigned seg, uint64_t base)
{
	/* Links and jump cache know RIP, not linear addresses. */
	if (seg == X86_CS && cpu->seg[seg].base != base) {
		cpu->xgen[0] += 16;
		cpu->xgen[1] += 16;
	}
	cpu->seg[seg].base = base;
	cpu->segbase[seg] =
	    cpu->mode == 8 && seg != X86_FS && seg != X86_GS ? 0 : base;
}

/* Checks are done: load the hidden part, set the accessed bit. */
void
soft_set_desc(struct soft_cpu *cpu, unsigned seg, uint16_t sel, uint64_t desc)
{
	set_accessed(cpu, sel, desc);
	cpu->seg[seg].sel = sel;
	cpu->seg[seg].limit = soft_desc_limit(desc);
	cpu->seg[seg].attr = soft_desc_attr(desc) | 1;
	set_base(cpu, seg, soft_desc_base(desc));
	soft_flat_changed(cpu);
}

void
soft_set_seg_real(struct soft_cpu *cpu, unsigned seg, uint16_t sel)
{
	cpu->seg[seg].sel = sel;
	if (soft_vm86(cpu)) {
		cpu->seg[seg].limit = 0xffff;
		cpu->seg[seg].attr = 0xf3;
	} else if (seg == X86_CS)
		cpu->seg[seg].attr =
		    0x93 | (cpu->seg[seg].attr & (X86_ATTR_DB | X86_ATTR_G));
	set_base(cpu, seg, (uint64_t)sel << 4);
}

static void
load_null(struct soft_cpu *cpu, unsigned seg, uint16_t sel)
{
	if (seg == X86_SS &&
	    (cpu->mode != 8 || cpu->cpl == 3 || (sel & 3) != cpu->cpl))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->seg[seg].sel = sel;
	cpu->seg[seg].limit = 0;
	cpu->seg[seg].attr = X86_ATTR_UNUSABLE | (unsigned)cpu->cpl << 5;
	set_base(cpu, seg, 0);
	soft_flat_changed(cpu);
}

static void
check_ss(struct soft_cpu *cpu, uint16_t sel, uint32_t attr)
{
	if ((sel & 3) != cpu->cpl || !(attr & X86_ATTR_S) ||
	    (TYPE(attr) & 10) != 2 || X86_ATTR_DPL(attr) != cpu->cpl)
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_SS, sel & ~3u);
}

static void
check_data(struct soft_cpu *cpu, uint16_t sel, uint32_t attr)
{
	bool code = TYPE(attr) & 8, conforming = TYPE(attr) & 4;

	if (!(attr & X86_ATTR_S) || (code && !(TYPE(attr) & 2)))
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	if (!(code && conforming) &&
	    ((sel & 3u) > X86_ATTR_DPL(attr) || cpu->cpl > X86_ATTR_DPL(attr)))
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_NP, sel & ~3u);
}

void
soft_load_seg(struct soft_cpu *cpu, unsigned seg, uint16_t sel)
{
	uint64_t desc;

	if (soft_real(cpu) || soft_vm86(cpu)) {
		soft_set_seg_real(cpu, seg, sel);
		return;
	}
	if ((sel & ~3u) == 0) {
		load_null(cpu, seg, sel);
		return;
	}
	desc = soft_read_desc(cpu, sel, X86_EXC_GP);
	if (seg == X86_SS)
		check_ss(cpu, sel, soft_desc_attr(desc));
	else
		check_data(cpu, sel, soft_desc_attr(desc));
	soft_set_desc(cpu, seg, sel, desc);
}

/* LDT and TSS descriptors have 16 bytes in long mode. */
static void
load_system(
    struct soft_cpu *cpu, struct x86_seg *s, uint16_t sel, uint64_t desc)
{
	uint64_t high = 0;

	if (soft_long(cpu)) {
		if (!soft_desc_high(cpu, sel, &high) || (high >> 40 & 31))
			soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
		if (!soft_canonical(soft_desc_base(desc) | high << 32))
			soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	}
	s->sel = sel;
	s->limit = soft_desc_limit(desc);
	s->attr = soft_desc_attr(desc);
	s->base = soft_desc_base(desc) | high << 32;
}

void
soft_load_ldt(struct soft_cpu *cpu, uint16_t sel)
{
	uint64_t desc;
	uint32_t attr;

	if ((sel & ~3u) == 0) {
		cpu->ldtr.sel = sel;
		cpu->ldtr.attr = X86_ATTR_UNUSABLE;
		return;
	}
	if (sel & 4)
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	desc = soft_read_desc(cpu, sel, X86_EXC_GP);
	attr = soft_desc_attr(desc);
	if ((attr & X86_ATTR_S) || TYPE(attr) != 2)
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_NP, sel & ~3u);
	load_system(cpu, &cpu->ldtr, sel, desc);
}

void
soft_load_tr(struct soft_cpu *cpu, uint16_t sel)
{
	uint64_t desc, lin;
	uint32_t attr;

	if ((sel & ~3u) == 0)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if (sel & 4)
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	desc = soft_read_desc(cpu, sel, X86_EXC_GP);
	attr = soft_desc_attr(desc);
	if ((attr & X86_ATTR_S) ||
	    (TYPE(attr) != 9 && (soft_long(cpu) || TYPE(attr) != 1)))
		soft_raise_error(cpu, X86_EXC_GP, sel & ~3u);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_NP, sel & ~3u);
	load_system(cpu, &cpu->tr, sel, desc);
	cpu->tr.attr |= 2; /* busy */
	desc_address(cpu, sel, &lin);
	soft_sys_write(cpu, lin + 5, 1, (desc >> 40 & 0xff) | 2);
}

bool
soft_probe_desc(
    struct soft_cpu *cpu, uint16_t sel, uint64_t *ret_desc, uint64_t *ret_high)
{
	uint64_t lin;

	if ((sel & ~3u) == 0 || !desc_address(cpu, sel, &lin))
		return false;
	*ret_desc = soft_sys_read(cpu, lin, 8);
	*ret_high = 0;
	return true;
}

void
soft_set_flat_cs(struct soft_cpu *cpu, uint16_t sel, unsigned dpl, bool code64)
{
	cpu->seg[X86_CS].sel = sel;
	cpu->seg[X86_CS].limit = 0xffffffff;
	cpu->seg[X86_CS].attr = 0x8b | X86_ATTR_S | dpl << 5 | X86_ATTR_G |
	    (code64 ? X86_ATTR_L : X86_ATTR_DB);
	set_base(cpu, X86_CS, 0);
}

void
soft_set_flat_ss(struct soft_cpu *cpu, uint16_t sel, unsigned dpl)
{
	cpu->seg[X86_SS].sel = sel;
	cpu->seg[X86_SS].limit = 0xffffffff;
	cpu->seg[X86_SS].attr =
	    0x83 | X86_ATTR_S | dpl << 5 | X86_ATTR_G | X86_ATTR_DB;
	set_base(cpu, X86_SS, 0);
}

/* ---- addresses ---- */

static _Noreturn void
seg_fault(struct soft_cpu *cpu, unsigned seg)
{
	soft_raise_error(cpu, seg == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
}

static bool
within_limit(uint32_t limit, uint32_t attr, uint32_t off, unsigned size)
{
	uint32_t last = off + size - 1;
	uint32_t top = attr & X86_ATTR_DB ? 0xffffffff : 0xffff;

	if (size > 1 && last < off)
		return false;
	/* expand-down data */
	if ((attr & X86_ATTR_S) && (TYPE(attr) & 12) == 4)
		return off > limit && last <= top;
	return last <= limit;
}

uint64_t
soft_seg_lin(
    struct soft_cpu *cpu, unsigned seg, uint64_t off, unsigned size, bool write)
{
	const struct x86_seg *s = &cpu->seg[seg];
	unsigned type = TYPE(s->attr);

	cpu->mem_seg = (uint8_t)seg;
	if (cpu->mode == 8)
		return off + cpu->segbase[seg];
	if (!soft_real(cpu)) {
		if (unlikely(s->attr & X86_ATTR_UNUSABLE))
			seg_fault(cpu, seg);
		if (write ? (type & 8) || !(type & 2) : (type & 10) == 8)
			seg_fault(cpu, seg);
	}
	if (unlikely(!within_limit(s->limit, s->attr, (uint32_t)off, size)))
		seg_fault(cpu, seg);
	return (uint32_t)(s->base + off);
}

uint64_t
soft_ea_offset(struct soft_cpu *cpu, const struct x86_insn *in)
{
	uint64_t a = (uint64_t)in->disp;

	if (in->base == X86_REG_RIP)
		a += soft_insn_rip(cpu) + in->len;
	else
		a += cpu->gpr[in->base];
	a += cpu->gpr[in->index] << in->scale;
	if (in->adsize == 4)
		return (uint32_t)a;
	return in->adsize == 2 ? (uint16_t)a : a;
}

uint64_t
soft_ea(
    struct soft_cpu *cpu, const struct x86_insn *in, unsigned size, bool write)
{
	uint64_t off;

	/* in->index and in->base 16 = the register that is always 0 */
	off = soft_ea_offset(cpu, in);
	return soft_seg_lin(cpu, in->seg, off, size ? size : 1, write);
}

/* ---- stack ---- */

void
soft_stack_current(struct soft_cpu *cpu, struct soft_stack *st)
{
	const struct x86_seg *ss = &cpu->seg[X86_SS];

	st->sp = cpu->gpr[X86_RSP];
	st->flat = cpu->mode == 8;
	st->mask = st->flat          ? ~UINT64_C(0)
	    : ss->attr & X86_ATTR_DB ? 0xffffffff
				     : 0xffff;
	st->base = st->flat ? 0 : ss->base;
	/* One that is not there has room for nothing. */
	st->limit = ss->attr & X86_ATTR_UNUSABLE ? 0 : ss->limit;
	st->attr = ss->attr & X86_ATTR_UNUSABLE ? 0 : ss->attr;
	st->system = false;
	st->fault_sel = 0;
}

static uint64_t
stack_lin(struct soft_cpu *cpu, const struct soft_stack *st, unsigned size)
{
	uint64_t off = st->sp & st->mask;

	cpu->mem_seg = X86_SS;
	if (st->flat)
		return off;
	if (unlikely(!within_limit(st->limit, st->attr, (uint32_t)off, size)))
		soft_raise_error(cpu, X86_EXC_SS, st->fault_sel);
	return (uint32_t)(st->base + off);
}

void
soft_stack_push(
    struct soft_cpu *cpu, struct soft_stack *st, unsigned size, uint64_t v)
{
	uint64_t lin;

	st->sp = (st->sp & ~st->mask) | ((st->sp - size) & st->mask);
	lin = stack_lin(cpu, st, size);
	if (st->system)
		soft_sys_write(cpu, lin, size, v);
	else
		soft_write_slow(cpu, lin, size, v);
}

uint64_t
soft_stack_pop(struct soft_cpu *cpu, struct soft_stack *st, unsigned size)
{
	uint64_t lin = stack_lin(cpu, st, size);

	st->sp = (st->sp & ~st->mask) | ((st->sp + size) & st->mask);
	return soft_read_slow(cpu, lin, size);
}

void
soft_stack_commit(struct soft_cpu *cpu, const struct soft_stack *st)
{
	cpu->gpr[X86_RSP] =
	    (cpu->gpr[X86_RSP] & ~st->mask) | (st->sp & st->mask);
	if (st->mask == 0xffffffff)
		cpu->gpr[X86_RSP] &= 0xffffffff;
}

void
soft_push(struct soft_cpu *cpu, unsigned size, uint64_t v)
{
	struct soft_stack st;

	soft_stack_current(cpu, &st);
	soft_stack_push(cpu, &st, size, v);
	soft_stack_commit(cpu, &st);
}

uint64_t
soft_pop(struct soft_cpu *cpu, unsigned size)
{
	struct soft_stack st;
	uint64_t v;

	soft_stack_current(cpu, &st);
	v = soft_stack_pop(cpu, &st, size);
	soft_stack_commit(cpu, &st);
	return v;
}
