/*
 * Undefined flags and results.
 */
#include "vmm/x86/undefined.h"

static unsigned
count_of(const struct x86_insn *in, uint64_t rcx)
{
	for (unsigned i = 1; i < 3; i++)
		switch ((unsigned)x86_op_class(in, i)) {
		case X86_OC_I:
		case X86_OC_IS:
			return in->imm & 0xff;
		case X86_OC_CL:
			return rcx & 0xff;
		case X86_OC_ONE:
			return 1;
		default:
			break;
		}
	return 1;
}

/*
 * Intel SDM vol. 2, the pages of the instructions: a count of 0 changes no
 * flag; OF is defined for a count of 1 only; CF of SHL and SHR is undefined for
 * counts of the operand size or more, as are the results of SHLD and SHRD then.
 */
static uint32_t
undefined_shift(const struct x86_insn *in, uint64_t rcx)
{
	bool shift = in->row->flags == X86_FC_SHIFT;
	unsigned size = x86_op_bytes(in, 0) * 8;
	unsigned n = count_of(in, rcx) & (size == 64 ? 63 : 31);
	uint32_t u = shift ? X86_FL_AF : 0;

	if (n == 0)
		return 0;
	if (in->row->flags == X86_FC_RCR && n % (size + 1) == 0)
		return X86_FL_OF;
	if (n != 1)
		u |= X86_FL_OF;
	if (shift && n >= size)
		u |= X86_FL_CF;
	if ((in->row->mn == X86_MN_SHLD || in->row->mn == X86_MN_SHRD) &&
	    n > size)
		u |= X86_FL_ARITH;
	return u;
}

uint32_t
x86_undefined_flags(const struct x86_insn *in, uint64_t rcx)
{
	switch (in->row->flags) {
	case X86_FC_SHIFT:
	case X86_FC_ROT:
	case X86_FC_RCR:
		return undefined_shift(in, rcx);
	default:
		return x86_flag_info[in->row->flags].undefined;
	}
}

bool
x86_undefined_result(const struct x86_insn *in, uint64_t rcx)
{
	return (in->row->mn == X86_MN_SHLD || in->row->mn == X86_MN_SHRD) &&
	    x86_op_bytes(in, 0) == 2 && (count_of(in, rcx) & 31) > 16;
}
