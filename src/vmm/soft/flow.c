/*
 * Flags that nobody reads. Most arithmetic is followed by more arithmetic: its
 * flags are overwritten before anything looks at them, and a handler that does
 * not produce them is half as long.
 *
 * Flags must be right wherever the guest can see them: where the block ends, at
 * every operation that may fault, leave, or write to the block itself. So all
 * of them count as read there, and only operations on registers stand between
 * dropped flags and the ones that replace them.
 */
#include "vmm/soft/ops.h"

static unsigned
size_index(unsigned bytes)
{
	return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

static void
flow_alu(
    struct soft_flow *f, const struct soft_op *op, unsigned k, unsigned size)
{
	soft_fn *const *forms = soft_alu_ops[k][size];
	unsigned form = 0;

	while (form < SOFT_FORM_COUNT && forms[form] != op->fn)
		form++;
	if (form == SOFT_FORM_COUNT)
		return;
	f->writes = FL_ALL;
	f->reads = k == SOFT_ADC || k == SOFT_SBB ? FL_CF : 0;
	f->leaves = form > SOFT_RI;
	if (form < SOFT_QUIET_FORMS)
		f->quiet = soft_alu_quiet[k][size][form];
}

static void
flow_unary(
    struct soft_flow *f, const struct soft_op *op, unsigned k, unsigned size)
{
	if (op->fn != soft_unary_ops[k][size][SOFT_U_R])
		return;
	f->leaves = false;
	f->quiet = soft_unary_quiet[k][size];
	if (k == SOFT_INC || k == SOFT_DEC)
		f->writes = FL_ALL & ~FL_CF;
	else
		f->writes = k == SOFT_NEG ? FL_ALL : 0;
}

/*
 * A count of 0 writes nothing: a shift by CL does not end the life of earlier
 * flags, but its own may be dead.
 */
static void
flow_shift(
    struct soft_flow *f, const struct soft_op *op, unsigned k, unsigned size)
{
	bool rotate = k <= SOFT_RCR;

	if (op->fn != soft_shift_ops[k][size][SOFT_S_RI] &&
	    op->fn != soft_shift_ops[k][size][SOFT_S_RC])
		return;
	f->leaves = false;
	f->writes = rotate ? FL_CF | FL_OF : FL_ALL;
	if (k == SOFT_RCL || k == SOFT_RCR)
		f->reads = FL_CF;
	if (op->fn == soft_shift_ops[k][size][SOFT_S_RC]) {
		f->reads |= f->writes;
		f->quiet = soft_shift_quiet[k][size][SOFT_S_RC];
	} else if ((op->imm & (size == 3 ? 63 : 31)) != 0)
		f->quiet = soft_shift_quiet[k][size][SOFT_S_RI];
	else
		f->writes = 0;
}

static void
flow_imul(struct soft_flow *f, const struct soft_op *op)
{
	for (unsigned size = 0; size < 3; size++)
		for (unsigned form = 0; form < 2; form++)
			if (op->fn == soft_imul_ops[size][form]) {
				f->leaves = false;
				f->writes = FL_ALL;
				f->quiet = soft_imul_quiet[size][form];
			}
}

/* Instructions on registers that do not change flags. */
static void
flow_move(struct soft_flow *f, const struct soft_op *op,
    const struct x86_insn *in, unsigned size)
{
	unsigned mn = in->row->mn;

	switch (mn) {
	case X86_MN_MOV:
		f->leaves = op->fn != soft_mov_ops[size][SOFT_RR] &&
		    op->fn != soft_mov_ops[size][SOFT_RI];
		return;
	case X86_MN_MOVZX:
	case X86_MN_MOVSX:
	case X86_MN_MOVSXD:
		f->leaves = in->mod != 3;
		return;
	case X86_MN_LEA:
		f->leaves = op->fn == soft_op_insn;
		return;
	case X86_MN_NOP:
	case X86_MN_CBW:
	case X86_MN_CWD:
	case X86_MN_BSWAP:
		f->leaves = false;
		return;
	default:
		break;
	}
	if ((mn >= X86_MN_CMOVO && mn <= X86_MN_CMOVG) ||
	    (mn >= X86_MN_SETO && mn <= X86_MN_SETG)) {
		f->reads = FL_ALL;
		f->leaves = in->mod != 3;
	}
}

void
soft_flow_of(
    struct soft_flow *f, const struct soft_op *op, const struct x86_insn *in)
{
	unsigned mn = in->row->mn, size;
	int k;

	*f = (struct soft_flow){ .leaves = true };
	if (in->row->attr & (X86_A_BR | X86_A_STOP | X86_A_FPSIMD))
		return;
	size = size_index(x86_op_bytes(in, 0));
	if ((k = soft_alu_of(mn)) >= 0)
		flow_alu(f, op, (unsigned)k, size);
	else if ((k = soft_unary_of(mn)) >= 0)
		flow_unary(f, op, (unsigned)k, size);
	else if ((k = soft_shift_of(mn)) >= 0)
		flow_shift(f, op, (unsigned)k, size);
	else if (mn == X86_MN_IMUL)
		flow_imul(f, op);
	else
		flow_move(f, op, in, size);
}

void
soft_flow_elide(struct soft_op *ops, const struct soft_flow *flow, unsigned n)
{
	uint16_t live = FL_ALL;

	for (unsigned i = n; i-- > 0;) {
		if (flow[i].quiet != NULL && (live & flow[i].writes) == 0)
			ops[i].fn = flow[i].quiet;
		else
			live &= (uint16_t)~flow[i].writes;
		live |= flow[i].leaves ? FL_ALL : flow[i].reads;
	}
}
