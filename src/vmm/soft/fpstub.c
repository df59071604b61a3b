/*
 * Stand-in until the FP and SIMD executor lands: what a kernel needs to find
 * an FPU.
 */
#include "vmm/soft/insn.h"

int
soft_exec_fpsimd(struct soft_cpu *cpu, const struct x86_insn *in)
{
	switch (in->row->mn) {
	case X86_MN_FNINIT:
		memset(cpu->xsave, 0, 24);
		cpu->xsave[0] = 0x7f;
		cpu->xsave[1] = 0x03;
		return 0;
	case X86_MN_FNCLEX:
	case X86_MN_FWAIT:
	case X86_MN_EMMS:
		return 0;
	case X86_MN_FNSTCW:
		soft_write(cpu, soft_ea(cpu, in, 2, true),
		    cpu->xsave + SOFT_X87_FCW, 2);
		return 0;
	case X86_MN_FNSTSW:
		if (in->mod == 3)
			soft_set_reg(cpu, X86_RAX, 2, 0);
		else
			soft_write(cpu, soft_ea(cpu, in, 2, true),
			    cpu->xsave + SOFT_X87_FSW, 2);
		return 0;
	case X86_MN_LDMXCSR:
		soft_read(cpu, soft_ea(cpu, in, 4, false),
		    cpu->xsave + SOFT_MXCSR, 4);
		return 0;
	case X86_MN_STMXCSR:
		soft_write(
		    cpu, soft_ea(cpu, in, 4, true), cpu->xsave + SOFT_MXCSR, 4);
		return 0;
	default:
		return -1;
	}
}
