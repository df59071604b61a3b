/*
 * Control transfer as functions: near branches outside 64-bit code, far ones,
 * system calls, software interrupts. cpu->rip holds the next instruction.
 */
#include "vmm/soft/debug.h"
#include "vmm/soft/insn.h"

INSN(jmp)
{
	uint64_t to = x86_op_class(in, 0) == X86_OC_J ? cpu->rip + in->imm
						      : soft_get(cpu, in, 0);

	soft_near_jump(cpu, to, in->opsize);
}

INSN(call)
{
	uint64_t to = x86_op_class(in, 0) == X86_OC_J ? cpu->rip + in->imm
						      : soft_get(cpu, in, 0);
	uint64_t next = cpu->rip;
	struct soft_stack st;

	if (in->mode != 8) {
		soft_near_jump(cpu, to, in->opsize);
		soft_push(cpu, in->opsize, next);
		return;
	}
	/* In 64-bit code it is written before the target is looked at. */
	soft_stack_current(cpu, &st);
	soft_stack_push(cpu, &st, in->opsize, next);
	soft_near_jump(cpu, to, in->opsize);
	soft_stack_commit(cpu, &st);
}

INSN(ret)
{
	struct soft_stack st;
	uint64_t to;

	soft_stack_current(cpu, &st);
	to = soft_stack_pop(cpu, &st, in->opsize);
	soft_near_jump(cpu, to, in->opsize);
	if (in->row->op[0] != X86_OP___)
		st.sp = (st.sp & ~st.mask) |
		    ((st.sp + (uint16_t)in->imm) & st.mask);
	soft_stack_commit(cpu, &st);
}

INSN(jcc)
{
	if (soft_cond(cpu->fl, in->opcode & 15))
		soft_near_jump(cpu, cpu->rip + in->imm, in->opsize);
}

INSN(loop)
{
	uint64_t n = soft_reg(cpu, X86_RCX, in->adsize) - 1;
	bool zf = cpu->fl & FL_ZF;
	bool taken = in->adsize == 8 ? n != 0
	    : in->adsize == 4        ? (uint32_t)n != 0
				     : (uint16_t)n != 0;

	if (in->row->mn == X86_MN_LOOPE)
		taken = taken && zf;
	else if (in->row->mn == X86_MN_LOOPNE)
		taken = taken && !zf;
	if (taken)
		soft_near_jump(cpu, cpu->rip + in->imm, in->opsize);
	soft_set_reg(cpu, X86_RCX, in->adsize, n);
}

INSN(jcxz)
{
	if (soft_reg(cpu, X86_RCX, in->adsize) == 0)
		soft_near_jump(cpu, cpu->rip + in->imm, in->opsize);
}

/* m16:16, m16:32, m16:64 */
static void
read_far(struct soft_cpu *cpu, const struct x86_insn *in, uint64_t *ret_off,
    uint16_t *ret_sel)
{
	unsigned size = in->opsize;
	uint64_t lin = soft_ea(cpu, in, size + 2, false);

	*ret_off = 0;
	soft_read(cpu, lin, ret_off, size);
	*ret_sel = soft_read16(cpu, lin + size);
}

static void
far_transfer(struct soft_cpu *cpu, const struct x86_insn *in, bool call)
{
	uint64_t off = in->imm;
	uint16_t sel = in->imm2;

	if (x86_op_class(in, 0) != X86_OC_A)
		read_far(cpu, in, &off, &sel);
	else
		off &= in->opsize == 2 ? 0xffff : 0xffffffff;
	soft_far_jump(cpu, sel, off, in->opsize, call);
}

INSN(jmpf)
{
	far_transfer(cpu, in, false);
}

INSN(callf)
{
	far_transfer(cpu, in, true);
}

INSN(retf)
{
	soft_far_return(cpu, in->opsize,
	    in->row->op[0] == X86_OP___ ? 0 : (uint16_t)in->imm);
}

INSN(iret)
{
	soft_iret(cpu, in->opsize);
}

INSN(lxs)
{
	static const uint8_t seg_of[] = { X86_SS, 0, X86_FS, X86_GS, X86_ES,
		X86_DS };
	uint64_t off;
	uint16_t sel;

	read_far(cpu, in, &off, &sel);
	/* B2 B4 B5 C4 C5 */
	soft_load_seg(cpu,
	    seg_of[in->opcode < 0xc0 ? in->opcode - 0xb2 : in->opcode - 0xc0],
	    sel);
	soft_set_reg(cpu, in->reg, in->opsize, off);
}

INSN(int)
{
	switch (in->row->mn) {
	case X86_MN_INT3:
		soft_deliver(cpu, X86_EXC_BP, SOFT_EV_SOFT, false, 0);
		break;
	case X86_MN_INT1:
		soft_deliver(cpu, X86_EXC_DB, SOFT_EV_INT1, false, 0);
		break;
	case X86_MN_INTO:
		if (cpu->fl & FL_OF)
			soft_deliver(cpu, X86_EXC_OF, SOFT_EV_SOFT, false, 0);
		break;
	default:
		soft_deliver(cpu, (uint8_t)in->imm, SOFT_EV_INTN, false, 0);
		break;
	}
}

/* ---- system calls: Intel SDM vol. 2 pages of the instructions ---- */

INSN(syscall)
{
	uint16_t sel = cpu->star >> 32 & 0xfffc;
	uint64_t flags;

	/* The model is an Intel one: in 64-bit code only. */
	if (!(cpu->efer & X86_EFER_SCE) || cpu->mode != 8)
		soft_raise(cpu, X86_EXC_UD);
	cpu->gpr[X86_RCX] = cpu->rip;
	flags = soft_rflags(cpu) & ~(uint64_t)X86_FL_RF;
	cpu->gpr[X86_R11] = flags;
	cpu->rip = cpu->lstar;
	soft_set_rflags(cpu, flags & ~cpu->sfmask);
	cpu->step_trap = cpu->step_trap && (cpu->rflags & X86_FL_TF);
	soft_set_flat_cs(cpu, sel, 0, true);
	soft_set_flat_ss(cpu, (uint16_t)(sel + 8), 0);
	cpu->cpl = 0;
	soft_mode_changed(cpu);
}

INSN(sysret)
{
	uint16_t sel = cpu->star >> 48;
	uint64_t to = cpu->gpr[X86_RCX];

	if (!(cpu->efer & X86_EFER_SCE) || cpu->mode != 8)
		soft_raise(cpu, X86_EXC_UD);
	soft_need_cpl0(cpu);
	if (in->opsize == 8 && !soft_canonical(to))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	soft_set_rflags(cpu, cpu->gpr[X86_R11] & 0x3c7fd7);
	/* As if it were the system call that was stepped. */
	if (cpu->rflags & X86_FL_TF)
		soft_debug_hit(cpu, SOFT_DR6_BS);
	cpu->step_trap = false;
	if (in->opsize == 8) {
		cpu->rip = to;
		soft_set_flat_cs(cpu, (uint16_t)(sel + 16) | 3, 3, true);
	} else {
		cpu->rip = (uint32_t)to;
		soft_set_flat_cs(cpu, sel | 3, 3, false);
	}
	soft_set_flat_ss(cpu, (uint16_t)(sel + 8) | 3, 3);
	cpu->cpl = 3;
	soft_mode_changed(cpu);
}

INSN(sysenter)
{
	uint16_t sel = cpu->sysenter_cs & 0xfffc;
	bool lng = soft_long(cpu);

	if (soft_real(cpu) || sel == 0)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->rflags &= ~(uint64_t)(X86_FL_VM | X86_FL_IF | X86_FL_RF);
	cpu->gpr[X86_RSP] =
	    lng ? cpu->sysenter_esp : (uint32_t)cpu->sysenter_esp;
	cpu->rip = lng ? cpu->sysenter_eip : (uint32_t)cpu->sysenter_eip;
	soft_set_flat_cs(cpu, sel, 0, lng);
	soft_set_flat_ss(cpu, (uint16_t)(sel + 8), 0);
	cpu->cpl = 0;
	soft_mode_changed(cpu);
}

INSN(sysexit)
{
	uint16_t sel = cpu->sysenter_cs & 0xfffc;
	bool to64 = in->opsize == 8;

	if (soft_real(cpu) || sel == 0)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	soft_need_cpl0(cpu);
	if (to64 &&
	    (!soft_canonical(cpu->gpr[X86_RCX]) ||
		!soft_canonical(cpu->gpr[X86_RDX])))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->gpr[X86_RSP] =
	    to64 ? cpu->gpr[X86_RCX] : (uint32_t)cpu->gpr[X86_RCX];
	cpu->rip = to64 ? cpu->gpr[X86_RDX] : (uint32_t)cpu->gpr[X86_RDX];
	sel = (uint16_t)(sel + (to64 ? 32 : 16)) | 3;
	soft_set_flat_cs(cpu, sel, 3, to64);
	soft_set_flat_ss(cpu, (uint16_t)(sel + 8), 3);
	cpu->cpl = 3;
	soft_mode_changed(cpu);
}
