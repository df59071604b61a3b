/*
 * Hardware task switches: far jumps, calls and events through a TSS or a task
 * gate, and IRET with NT.
 *
 * Source: Intel SDM vol. 3, chapter 8 "Task Management": 8.3 (the order of
 * steps), table 8-1 (checks). Everything that can fault in the old task is read
 * or probed first; from the commit on, faults belong to the new task.
 */
#include "vmm/soft/debug.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/mmu.h"
#include "vmm/soft/seg.h"

#define TYPE(attr) ((attr)&15)
#define TSS_BUSY 2u /* in the type */
#define TSS_32 8u
#define DR7_LOCAL 0x155u /* L0-L3, LE */

/* Offsets in the two forms of a TSS. Fields are 'word' bytes apart. */
struct layout {
	uint8_t word;
	uint8_t limit; /* least */
	uint8_t ip, flags, gpr, seg, nseg, ldt;
};

static const struct layout layout16 = { .word = 2,
	.limit = 0x2b,
	.ip = 0x0e,
	.flags = 0x10,
	.gpr = 0x12,
	.seg = 0x22,
	.nseg = 4,
	.ldt = 0x2a };
static const struct layout layout32 = { .word = 4,
	.limit = 0x67,
	.ip = 0x20,
	.flags = 0x24,
	.gpr = 0x28,
	.seg = 0x48,
	.nseg = 6,
	.ldt = 0x60 };
#define TSS32_CR3 0x1c
#define TSS32_TRAP 0x64

/* A task's state as its TSS has it. */
struct task {
	const struct layout *layout;
	struct x86_seg tss;
	uint64_t desc_at; /* linear address of the descriptor's byte 5 */
	uint8_t desc_type; /* that byte */
	uint32_t ip, flags, gpr[8], cr3;
	uint16_t seg[X86_SEG_COUNT], ldt;
	bool trap;
};

static const struct layout *
layout_of(uint32_t attr)
{
	return attr & TSS_32 ? &layout32 : &layout16;
}

/* The descriptor: in the GDT, a TSS, busy or not as how wants it, present. */
static void
find(struct soft_cpu *cpu, uint16_t sel, enum soft_task how, struct task *t)
{
	unsigned vector = how == SOFT_TASK_IRET ? X86_EXC_TS : X86_EXC_GP;
	unsigned busy = how == SOFT_TASK_IRET ? TSS_BUSY : 0;
	uint64_t desc;
	uint32_t attr;

	if ((sel & 4) || (sel & ~3u) == 0)
		soft_raise_error(cpu, vector, sel & ~3u);
	desc = soft_read_desc(cpu, sel, vector);
	attr = soft_desc_attr(desc);
	if ((attr & X86_ATTR_S) || (TYPE(attr) & ~TSS_32) != (1 | busy))
		soft_raise_error(cpu, vector, sel & ~3u);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_NP, sel & ~3u);
	t->layout = layout_of(attr);
	t->tss.sel = sel;
	t->tss.attr = attr | TSS_BUSY;
	t->tss.limit = soft_desc_limit(desc);
	t->tss.base = soft_desc_base(desc);
	t->desc_at = cpu->gdtr.base + (sel & ~7u) + 5;
	t->desc_type = desc >> 40 & 0xff;
	if (t->tss.limit < t->layout->limit)
		soft_raise_error(cpu, X86_EXC_TS, sel & ~3u);
}

static uint32_t
field(struct soft_cpu *cpu, const struct task *t, unsigned off, unsigned size)
{
	return (uint32_t)soft_sys_read(cpu, t->tss.base + off, size);
}

static void
read_task(struct soft_cpu *cpu, struct task *t)
{
	const struct layout *l = t->layout;
	/* What a 16-bit TSS lacks: upper halves are ones, flags and FS GS 0. */
	uint32_t high = l->word == 2 ? 0xffff0000 : 0;

	t->ip = field(cpu, t, l->ip, l->word);
	t->flags = field(cpu, t, l->flags, l->word);
	for (unsigned i = 0; i < 8; i++)
		t->gpr[i] = high | field(cpu, t, l->gpr + i * l->word, l->word);
	for (unsigned i = 0; i < l->nseg; i++)
		t->seg[i] = (uint16_t)field(cpu, t, l->seg + i * l->word, 2);
	t->ldt = (uint16_t)field(cpu, t, l->ldt, 2);
	if (l->word == 4) {
		t->cr3 = field(cpu, t, TSS32_CR3, 4);
		t->trap = field(cpu, t, TSS32_TRAP, 2) & 1;
	}
}

/* All writes to come, so that they cannot fault halfway. */
static void
probe(struct soft_cpu *cpu, const struct task *to, enum soft_task how)
{
	const struct layout *l = layout_of(cpu->tr.attr);

	if (cpu->tr.limit < l->limit)
		soft_raise_error(cpu, X86_EXC_TS, cpu->tr.sel & ~3u);
	soft_sys_probe_write(
	    cpu, cpu->tr.base + l->ip, l->seg + l->nseg * l->word - l->ip);
	if (how == SOFT_TASK_JMP || how == SOFT_TASK_IRET)
		soft_sys_probe_write(
		    cpu, cpu->gdtr.base + (cpu->tr.sel & ~7u) + 5, 1);
	if (how != SOFT_TASK_IRET)
		soft_sys_probe_write(cpu, to->desc_at, 1);
	if (how == SOFT_TASK_CALL || how == SOFT_TASK_EVENT)
		soft_sys_probe_write(cpu, to->tss.base, 2);
}

/* The running task into its TSS; cpu->rip is where it will go on. */
static void
save(struct soft_cpu *cpu, enum soft_task how)
{
	const struct layout *l = layout_of(cpu->tr.attr);
	uint64_t base = cpu->tr.base, flags = soft_rflags(cpu);

	if (how == SOFT_TASK_IRET)
		flags &= ~(uint64_t)X86_FL_NT;
	if (cpu->exc_set_rf)
		flags |= X86_FL_RF;
	soft_sys_write(cpu, base + l->ip, l->word, cpu->rip);
	soft_sys_write(cpu, base + l->flags, l->word, flags);
	for (unsigned i = 0; i < 8; i++)
		soft_sys_write(
		    cpu, base + l->gpr + i * l->word, l->word, cpu->gpr[i]);
	for (unsigned i = 0; i < l->nseg; i++)
		soft_sys_write(
		    cpu, base + l->seg + i * l->word, 2, cpu->seg[i].sel);
}

static void
mark_busy(struct soft_cpu *cpu, const struct task *to, enum soft_task how)
{
	uint64_t old = cpu->gdtr.base + (cpu->tr.sel & ~7u) + 5;

	if (how == SOFT_TASK_JMP || how == SOFT_TASK_IRET)
		soft_sys_write(
		    cpu, old, 1, soft_sys_read(cpu, old, 1) & ~TSS_BUSY);
	if (how != SOFT_TASK_IRET)
		soft_sys_write(cpu, to->desc_at, 1, to->desc_type | TSS_BUSY);
	if (how == SOFT_TASK_CALL || how == SOFT_TASK_EVENT)
		soft_sys_write(cpu, to->tss.base, 2, cpu->tr.sel);
}

/* CR3 of a 32-bit TSS counts while paging is on. */
static void
switch_cr3(struct soft_cpu *cpu, const struct task *t)
{
	if (t->layout->word != 4 || !(cpu->cr0 & X86_CR0_PG))
		return;
	if ((cpu->cr4 & X86_CR4_PAE) && !soft_load_pdptes(cpu, t->cr3))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->cr3 = t->cr3;
	soft_tlb_flush(cpu, false);
}

/* Registers, and selectors without their descriptors. */
static void
load_registers(struct soft_cpu *cpu, const struct task *t, enum soft_task how)
{
	uint32_t flags = t->flags;

	cpu->tr = t->tss;
	cpu->cr0 |= X86_CR0_TS;
	soft_fp_recheck(cpu);
	cpu->dr[7] &= ~(uint64_t)DR7_LOCAL;
	soft_debug_changed(cpu);
	if (how == SOFT_TASK_CALL || how == SOFT_TASK_EVENT)
		flags |= X86_FL_NT;
	for (unsigned i = 0; i < 8; i++)
		cpu->gpr[i] = t->gpr[i];
	for (unsigned i = 0; i < X86_SEG_COUNT; i++) {
		cpu->seg[i].sel = t->seg[i];
		cpu->seg[i].attr = X86_ATTR_UNUSABLE;
	}
	cpu->ldtr.sel = t->ldt;
	cpu->ldtr.attr = X86_ATTR_UNUSABLE;
	soft_set_rflags(cpu, flags);
	cpu->cpl = t->seg[X86_CS] & 3;
	cpu->rip = cpu->base_rip = t->ip;
	cpu->cur_off = 0;
	cpu->shadow = 0;
	soft_mode_changed(cpu);
}

static _Noreturn void
ts(struct soft_cpu *cpu, uint16_t sel)
{
	soft_raise_error(cpu, X86_EXC_TS, sel & ~3u);
}

static void
load_ldt(struct soft_cpu *cpu, uint16_t sel)
{
	uint64_t desc;
	uint32_t attr;

	if ((sel & ~3u) == 0)
		return;
	if (sel & 4)
		ts(cpu, sel);
	desc = soft_read_desc(cpu, sel, X86_EXC_TS);
	attr = soft_desc_attr(desc);
	if ((attr & X86_ATTR_S) || TYPE(attr) != 2 || !(attr & X86_ATTR_P))
		ts(cpu, sel);
	cpu->ldtr.base = soft_desc_base(desc);
	cpu->ldtr.limit = soft_desc_limit(desc);
	cpu->ldtr.attr = attr;
}

static uint64_t
segment(struct soft_cpu *cpu, uint16_t sel, uint32_t *ret_attr)
{
	uint64_t desc = soft_read_desc(cpu, sel, X86_EXC_TS);

	*ret_attr = soft_desc_attr(desc);
	if (!(*ret_attr & X86_ATTR_S))
		ts(cpu, sel);
	return desc;
}

static void
load_cs(struct soft_cpu *cpu, uint16_t sel)
{
	unsigned rpl = sel & 3, dpl;
	uint64_t desc;
	uint32_t attr;

	if ((sel & ~3u) == 0)
		ts(cpu, sel);
	desc = segment(cpu, sel, &attr);
	dpl = X86_ATTR_DPL(attr);
	if (!(TYPE(attr) & 8) || (TYPE(attr) & 4 ? dpl > rpl : dpl != rpl))
		ts(cpu, sel);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_NP, sel & ~3u);
	soft_set_cs(cpu, sel, desc, rpl);
}

static void
load_ss(struct soft_cpu *cpu, uint16_t sel)
{
	uint64_t desc;
	uint32_t attr;

	if ((sel & ~3u) == 0)
		ts(cpu, sel);
	desc = segment(cpu, sel, &attr);
	if ((TYPE(attr) & 10) != 2 || (sel & 3) != cpu->cpl ||
	    X86_ATTR_DPL(attr) != cpu->cpl)
		ts(cpu, sel);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_SS, sel & ~3u);
	soft_set_desc(cpu, X86_SS, sel, desc);
}

static void
load_data(struct soft_cpu *cpu, unsigned seg, uint16_t sel)
{
	uint64_t desc;
	uint32_t attr;
	unsigned dpl;

	if ((sel & ~3u) == 0)
		return;
	desc = segment(cpu, sel, &attr);
	dpl = X86_ATTR_DPL(attr);
	if ((TYPE(attr) & 10) == 8 ||
	    ((TYPE(attr) & 12) != 12 && (dpl < cpu->cpl || dpl < (sel & 3u))))
		ts(cpu, sel);
	if (!(attr & X86_ATTR_P))
		soft_raise_error(cpu, X86_EXC_NP, sel & ~3u);
	soft_set_desc(cpu, seg, sel, desc);
}

static void
load_segments(struct soft_cpu *cpu, const struct task *t)
{
	static const uint8_t data[] = { X86_ES, X86_DS, X86_FS, X86_GS };

	load_ldt(cpu, t->ldt);
	if (soft_vm86(cpu)) {
		for (unsigned i = 0; i < X86_SEG_COUNT; i++)
			soft_set_seg_real(cpu, i, t->seg[i]);
	} else {
		load_cs(cpu, t->seg[X86_CS]);
		load_ss(cpu, t->seg[X86_SS]);
		for (unsigned i = 0; i < sizeof(data); i++)
			load_data(cpu, data[i], t->seg[data[i]]);
	}
	soft_mode_changed(cpu);
}

void
soft_task_switch(struct soft_cpu *cpu, uint16_t sel, enum soft_task how,
    bool has_error, uint32_t error)
{
	struct task t = { 0 };

	find(cpu, sel, how, &t);
	read_task(cpu, &t);
	probe(cpu, &t, how);
	save(cpu, how);
	mark_busy(cpu, &t, how);
	load_registers(cpu, &t, how);
	switch_cr3(cpu, &t);
	load_segments(cpu, &t);
	if (has_error)
		soft_push(cpu, t.layout->word, error);
	if (cpu->rip > cpu->seg[X86_CS].limit)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if (t.trap)
		soft_debug_hit(cpu, SOFT_DR6_BT);
}

void
soft_task_return(struct soft_cpu *cpu)
{
	uint16_t link = (uint16_t)soft_sys_read(cpu, cpu->tr.base, 2);

	soft_task_switch(cpu, link, SOFT_TASK_IRET, false, 0);
}
