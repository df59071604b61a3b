/*
 * Flags that nobody reads. Most arithmetic is followed by more arithmetic: its
 * flags are overwritten before anything looks at them, and a handler that does
 * not produce them is half as long.
 *
 * Flags must be right wherever the guest can see them: where the block ends, at
 * every operation that may fault, leave, or write to the block itself. So all
 * of them count as read there, and only operations on registers stand between
 * dropped flags and the ones that replace them.
 *
 * And values that the next operation uses: the registers of the guest are in
 * memory, and what one operation stores there the next one gets only after the
 * store has been forwarded. So an operation hands its result to the next also
 * in a register (acc in code.h), and there are forms that take an operand from
 * it.
 */
#include "vmm/soft/ops.h"

const struct soft_flow soft_flow_unknown = { .leaves = true,
	.acc = SOFT_FLOW_NONE };

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
	if (size < 2)
		return;
	if (form < SOFT_MR && k != SOFT_CMP && k != SOFT_TEST)
		f->acc = op->dst;
	for (unsigned q = 0; q < 2; q++) {
		soft_fn *const *acc = soft_alu_acc[k][size - 2][q];

		if (form == SOFT_RR) {
			f->dst[q] = acc[SOFT_ACC_RR_DST];
			f->src[q] = acc[SOFT_ACC_RR_SRC];
		} else if (form == SOFT_RI)
			f->dst[q] = acc[SOFT_ACC_RI];
	}
}

static void
flow_unary(
    struct soft_flow *f, const struct soft_op *op, unsigned k, unsigned size)
{
	if (op->fn != soft_unary_ops[k][size][SOFT_U_R])
		return;
	f->leaves = false;
	f->quiet = soft_unary_quiet[k][size];
	if (size >= 2)
		f->acc = op->dst;
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
		return;
	}
	if (size >= 2) {
		f->acc = op->dst;
		f->dst[0] = soft_shift_acc[k][size - 2][0];
		f->dst[1] = soft_shift_acc[k][size - 2][1];
	}
	if ((op->imm & (size == 3 ? 63 : 31)) != 0)
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
				if (size > 0)
					f->acc = op->dst;
			}
}

static void
flow_mov(struct soft_flow *f, const struct soft_op *op, unsigned size)
{
	soft_fn *const *forms = soft_mov_ops[size];
	bool rr = op->fn == forms[SOFT_RR], ri = op->fn == forms[SOFT_RI];

	f->leaves = !rr && !ri;
	if (size < 2)
		return;
	if (rr)
		f->src[0] = soft_mov_acc[size - 2];
	if (op->fn == forms[SOFT_RM + SOFT_EA_S])
		f->base = soft_load_acc[size - 2];
	if (rr || ri)
		f->acc = op->dst;
	for (unsigned ea = SOFT_EA_S; ea < SOFT_EA_COUNT; ea++)
		if (op->fn == forms[SOFT_RM + ea])
			f->acc = op->dst;
}

/* Instructions on registers that do not change flags. */
static void
flow_move(struct soft_flow *f, const struct soft_op *op,
    const struct x86_insn *in, unsigned size)
{
	unsigned mn = in->row->mn;

	switch (mn) {
	case X86_MN_MOV:
		flow_mov(f, op, size);
		return;
	case X86_MN_MOVZX:
	case X86_MN_MOVSX:
	case X86_MN_MOVSXD:
		f->leaves = in->mod != 3;
		if (size >= 2 && op->fn != soft_op_insn)
			f->acc = op->dst;
		return;
	case X86_MN_LEA:
		f->leaves = op->fn == soft_op_insn;
		if (size >= 2 && !f->leaves)
			f->acc = op->dst;
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

	*f = soft_flow_unknown;
	f->plain = op->fn;
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

/* Forms that take what the operation before passes on. */
static void
take_acc(struct soft_op *op, const struct soft_flow *f, unsigned acc)
{
	bool quiet = f->quiet != NULL && op->fn == f->quiet;

	/* a pair (op_fuse.c) stays one */
	if (acc == SOFT_FLOW_NONE || (!quiet && op->fn != f->plain))
		return;
	if (f->base != NULL && op->base == acc)
		op->fn = f->base;
	else if (f->dst[quiet] != NULL && op->dst == acc)
		op->fn = f->dst[quiet];
	else if (f->src[quiet] != NULL && op->src == acc)
		op->fn = f->src[quiet];
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

void
soft_flow_chain(struct soft_op *ops, const struct soft_flow *flow, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		take_acc(&ops[i], &flow[i], flow[i - 1].acc);
}
