/*
 * What may be tested natively, and what of the result is defined.
 */
#include <string.h>

#include "gen.h"
#include "vmm/x86/match.h"
#include "vmm/x86/undefined.h"

/*
 * Rows whose effect is the host kernel's, another privilege's or time's. What
 * only faults at CPL 3 stays in.
 */
static const struct {
	uint16_t mn;
	const char *why;
} excluded[] = {
	{ X86_MN_INT, "enters the host's kernel" },
	{ X86_MN_INT3, "enters the host's kernel" },
	{ X86_MN_INT1, "enters the host's kernel" },
	{ X86_MN_SYSCALL, "enters the host's kernel" },
	{ X86_MN_SYSENTER, "enters the host's kernel" },
	{ X86_MN_VMCALL, "hypercall" },
	{ X86_MN_VMMCALL, "hypercall" },
	{ X86_MN_CPUID, "differs by policy" },
	{ X86_MN_XGETBV, "differs by policy" },
	{ X86_MN_RDTSC, "time" },
	{ X86_MN_RDTSCP, "time" },
	{ X86_MN_RDPMC, "performance counters" },
	{ X86_MN_RDPID, "host's processor number" },
	{ X86_MN_RDRAND, "random" },
	{ X86_MN_RDSEED, "random" },
	{ X86_MN_RDFSBASE, "host's thread pointer" },
	{ X86_MN_RDGSBASE, "CR4.FSGSBASE of the host" },
	{ X86_MN_WRFSBASE, "host's thread pointer" },
	{ X86_MN_WRGSBASE, "host's segment base" },
	{ X86_MN_CALLF, "host's descriptors" },
	{ X86_MN_JMPF, "host's descriptors" },
	{ X86_MN_RETF, "host's descriptors" },
	{ X86_MN_IRET, "host's descriptors" },
	{ X86_MN_LAR, "host's descriptors" },
	{ X86_MN_LSL, "host's descriptors" },
	{ X86_MN_VERR, "host's descriptors" },
	{ X86_MN_VERW, "host's descriptors" },
	{ X86_MN_INTO, "a trap" },
	{ X86_MN_LES, "host's descriptors" },
	{ X86_MN_LDS, "host's descriptors" },
	{ X86_MN_LSS, "host's descriptors" },
	{ X86_MN_LFS, "host's descriptors" },
	{ X86_MN_LGS, "host's descriptors" },
	{ X86_MN_SGDT, "UMIP" },
	{ X86_MN_SIDT, "UMIP" },
	{ X86_MN_SLDT, "UMIP" },
	{ X86_MN_STR, "UMIP" },
	{ X86_MN_SMSW, "UMIP" },
	{ X86_MN_XSAVEOPT, "may leave out what did not change" },
	{ X86_MN_XSAVEC, "not offered: only a stepper has it" },
	{ X86_MN_XSAVES, "not offered: only a stepper has it" },
	{ X86_MN_XRSTORS, "not offered: only a stepper has it" },
	{ X86_MN_STAC, "faults by the host's CPUID" },
	{ X86_MN_CLAC, "faults by the host's CPUID" },
};

const char *
gen_excluded(const struct x86_row *row)
{
	for (size_t i = 0; i < sizeof(excluded) / sizeof(excluded[0]); i++)
		if (excluded[i].mn == row->mn)
			return excluded[i].why;
	for (unsigned i = 0; i < 4; i++) {
		unsigned class = x86_operand_info[row->op[i]].class;

		if (class == X86_OC_S || class >= X86_OC_SREG_ES)
			return "host's descriptors";
	}
	return NULL;
}

static const char *
compare_fp(const struct regs *a, const struct regs *b)
{
	static const char *const st[] = { "ST0", "ST1", "ST2", "ST3", "ST4",
		"ST5", "ST6", "ST7" };

	if (memcmp(a->xsave + XS_FCW, b->xsave + XS_FCW, 2) != 0)
		return "FCW";
	if (memcmp(a->xsave + XS_FSW, b->xsave + XS_FSW, 2) != 0)
		return "FSW";
	if (a->xsave[XS_FTW] != b->xsave[XS_FTW])
		return "FTW";
	if (memcmp(a->xsave + XS_MXCSR, b->xsave + XS_MXCSR, 4) != 0)
		return "MXCSR";
	for (unsigned i = 0; i < 8; i++)
		if (memcmp(a->xsave + XS_ST + 16 * i, b->xsave + XS_ST + 16 * i,
			10) != 0)
			return st[i];
	if (memcmp(a->xsave + XS_XMM, b->xsave + XS_XMM, 256) != 0)
		return "XMM";
	if (memcmp(a->xsave + XS_YMMH, b->xsave + XS_YMMH, 256) != 0)
		return "YMM";
	return NULL;
}

/*
 * Operands that the processor accesses in pieces, in an order of its own: x87
 * ones of 10 bytes and more, masked stores. After a fault some pieces may have
 * been written, and CR2 may be the address of any.
 */
static bool
in_pieces(const struct x86_insn *in)
{
	return in->mem_size == 10 || in->mem_size == 14 || in->mem_size == 28 ||
	    in->mem_size > 64 ||
	    (in->row->attr & (X86_A_VMASK | X86_A_MASKMOV | X86_A_FPSTATE)) !=
	    0;
}

/*
 * Linux sets P in the error code that it shows for its own half of the address
 * space, so as not to tell what is mapped there.
 */
static const char *
compare_fault(const struct x86_insn *in, const struct fault *nat,
    const struct fault *soft)
{
	uint64_t ignore = 0;

	if (nat->vector != soft->vector)
		return "vector";
	if (in->row->attr & X86_A_FPSTATE) /* any part of the image */
		return NULL;
	if (nat->vector == 14 && nat->cr2 >= UINT64_C(0x7ffffffff000))
		ignore = 1;
	if ((nat->vector == 13 || nat->vector == 14) &&
	    ((nat->error ^ soft->error) & ~ignore) != 0)
		return "error code";
	if (in_pieces(in))
		ignore = PAGE - 1;
	else
		ignore = 0;
	if (nat->vector == 14 && ((nat->cr2 ^ soft->cr2) & ~ignore) != 0)
		return "CR2";
	return NULL;
}

/*
 * FP state after a fault is as before it, but: the switch from x87 to MMX
 * happens on some processors even if the store after it faults; and gathers may
 * be further than the element that faults.
 */
static bool
fp_undefined(const struct x86_insn *in, const struct fault *nat)
{
	if (nat->vector < 12 || nat->vector > 14)
		return false;
	return x86_op_class(in, 0) == X86_OC_Q ||
	    x86_op_class(in, 1) == X86_OC_P ||
	    (in->row->attr & (X86_A_GATHER | X86_A_MASKMOV)) != 0;
}

bool
memory_undefined(const struct x86_insn *in, const struct fault *nat)
{
	return nat->vector >= 12 && nat->vector <= 14 && in_pieces(in);
}

/* PUSH and CALL with memory: which of source and stack is looked at first is
 * open. */
static bool
two_operands_fault(const struct x86_insn *in, const struct fault *nat,
    const struct fault *soft)
{
	return (in->row->mn == X86_MN_PUSH || in->row->mn == X86_MN_CALL) &&
	    in->mem_size != 0 && nat->vector >= 12 && nat->vector <= 14 &&
	    soft->vector >= 12 && soft->vector <= 14;
}

/*
 * Outside 64-bit code: an access across the end of a 4 GiB segment may be a
 * limit violation or not (Intel SDM vol. 3, 5.3), and nothing is mapped there
 * natively. AMD has SYSRET, Intel has not.
 */
static bool
mode_fault(const struct x86_insn *in, const struct fault *nat,
    const struct fault *soft)
{
	if (in->mode == 8)
		return false;
	if (in->row->mn == X86_MN_SYSRET)
		return true;
	return (soft->vector == 12 || soft->vector == 13) &&
	    (in->has_modrm || (in->row->attr & X86_A_STR) != 0 ||
		nat->cr2 >= 0xfffff000);
}

/*
 * Bytes that a masked store leaves out may fault or not (Intel SDM vol. 2,
 * MASKMOVQ).
 */
static bool
fault_undefined(const struct x86_insn *in, const struct fault *nat,
    const struct fault *soft)
{
	bool state = in->row->attr & X86_A_FPSTATE;

	if ((in->row->attr & X86_A_MASKMOV) != 0 && nat->vector == 14)
		return true;
	/* Not canonical or not aligned? The order is open. */
	if (state && nat->vector == 12 && soft->vector == 13)
		return true;
	/* Some pieces are in Linux' last page, some not canonical. */
	if (in_pieces(in) && nat->vector == 14 &&
	    nat->cr2 >> 12 == UINT64_C(0x7ffffffff) && soft->vector != 14)
		return true;
	/* The host knows more components than the engine. */
	if (in->row->mn == X86_MN_XRSTOR && nat->vector < 0 &&
	    soft->vector == 13)
		return true;
	return two_operands_fault(in, nat, soft) || mode_fault(in, nat, soft);
}

/*
 * With REP and 32-bit addresses processors differ in clearing the upper halves
 * of the registers when nothing is left to do.
 */
static uint64_t
defined_bits(const struct x86_insn *in, unsigned reg)
{
	if (in->mode != 8)
		return UINT32_MAX;
	if ((in->row->attr & X86_A_STR) && in->adsize == 4 &&
	    (in->pfx & (X86_PFX_REP | X86_PFX_REPNE)) != 0 &&
	    (reg == 1 || reg == 6 || reg == 7))
		return UINT32_MAX;
	return UINT64_MAX;
}

const char *
compare_case(const struct testcase *tc, const struct regs *before,
    const struct regs *nat, const struct fault *nf, const struct regs *soft,
    const struct fault *sf)
{
	static const char *const name[] = { "RAX", "RCX", "RDX", "RBX", "RSP",
		"RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13",
		"R14", "R15" };
	const char *what;
	uint32_t mask = X86_FL_ARITH | X86_FL_DF | X86_FL_NT | X86_FL_AC |
	    X86_FL_ID | X86_FL_IF;

	/* The native executor's own pages lie there. */
	if (sf->vector == 14 &&
	    sf->cr2 - CTX_ADDR < STUB_ADDR + PAGE - CTX_ADDR)
		return NULL;
	/* By chance in the child's own program, libraries or stack. */
	if (sf->vector == 14 && nf->vector < 0 && sf->cr2 >= OWN_ADDR)
		return NULL;
	if (fault_undefined(&tc->in, nf, sf))
		return NULL;
	what = compare_fault(&tc->in, nf, sf);
	if (what != NULL)
		return what;
	if (nat->rip != soft->rip)
		return "RIP";
	/* POPA may have loaded some registers when it faults. */
	if (x86_undefined_result(&tc->in, before->gpr[1]) ||
	    (tc->in.row->mn == X86_MN_POPA && nf->vector >= 0))
		return NULL;
	for (unsigned i = 0; i < 16; i++)
		if (((nat->gpr[i] ^ soft->gpr[i]) & defined_bits(&tc->in, i)) !=
		    0)
			return name[i];
	if (nf->vector < 0)
		mask &= ~x86_undefined_flags(&tc->in, before->gpr[1]);
	if (((nat->rflags ^ soft->rflags) & mask) != 0)
		return "RFLAGS";
	if (!tc->fp || fp_undefined(&tc->in, nf))
		return NULL;
	return compare_fp(nat, soft);
}
