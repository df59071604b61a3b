/*
 * From decoded instructions to operations: pick the handler that is made for
 * the form at hand; all others run through their function in insn.c.
 */
#include "vmm/soft/ops.h"

static unsigned
size_index(unsigned bytes)
{
	return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

static uint8_t
reg_offset(const struct x86_insn *in, unsigned r, unsigned bytes)
{
	if (bytes == 1 && !(in->pfx & X86_PFX_REX) && r >= 4 && r < 8)
		return (uint8_t)((r - 4) * 8 + 1);
	return OP_REG(r);
}

/* Register number of an operand that is one; -1 = it is something else. */
static int
operand_reg(const struct x86_insn *in, unsigned n)
{
	switch ((unsigned)x86_op_class(in, n)) {
	case X86_OC_E:
	case X86_OC_R:
		return in->mod == 3 ? in->rm : -1;
	case X86_OC_G:
		return in->reg;
	case X86_OC_Z:
		return (in->opcode & 7) | (in->rex & 1) << 3;
	case X86_OC_ACC:
		return X86_RAX;
	default:
		return -1;
	}
}

static bool
operand_imm(const struct x86_insn *in, unsigned n)
{
	unsigned c = x86_op_class(in, n);

	return c == X86_OC_I || c == X86_OC_IS;
}

static bool
operand_mem(const struct x86_insn *in, unsigned n)
{
	unsigned c = x86_op_class(in, n);

	return (c == X86_OC_E || c == X86_OC_M) && in->mod != 3;
}

/*
 * Fill in the memory operand; which way to compute its address. op->scale on
 * entry: this is 32-bit code with flat segments. op->aux: the handler needs the
 * instruction.
 */
enum soft_ea_kind
soft_lower_ea(struct soft_op *op, const struct x86_insn *in, unsigned off)
{
	enum soft_ea_kind kind = SOFT_EA_F;
	bool flat = op->scale;
	int64_t disp = in->disp;

	op->scale = 0;
	op->seg = in->seg;
	op->aux = 1;
	if (flat && in->mode == 4 && in->adsize == 4 &&
	    (in->seg == X86_DS || in->seg == X86_SS || in->seg == X86_ES))
		kind = SOFT_EA_L;
	else if (in->mode != 8 || in->adsize != 8)
		return SOFT_EA_G;
	if (in->base == X86_REG_RIP) {
		disp += off + in->len;
		op->base = OP_RIP;
	} else
		op->base =
		    in->base == X86_REG_NONE ? OP_ZERO : OP_REG(in->base);
	op->index = in->index == X86_REG_NONE ? OP_ZERO : OP_REG(in->index);
	op->scale = in->scale;
	if (disp != (int32_t)disp)
		return SOFT_EA_G;
	op->disp = (int32_t)disp;
	op->aux = 0;
	if (kind == SOFT_EA_L)
		return kind;
	if (in->index == X86_REG_NONE && in->seg != X86_FS && in->seg != X86_GS)
		return SOFT_EA_S;
	return kind;
}

/* Two-operand forms of ALU and MOV. NULL = no handler for it. */
static soft_fn *
two_operands(struct soft_op *op, const struct x86_insn *in, unsigned off,
    soft_fn *const forms[SOFT_FORM_COUNT])
{
	unsigned bytes = x86_op_bytes(in, 0);
	int r0 = operand_reg(in, 0), r1 = operand_reg(in, 1);
	bool lock = in->pfx & X86_PFX_LOCK;

	if (r0 >= 0)
		op->dst = reg_offset(in, (unsigned)r0, bytes);
	if (r1 >= 0)
		op->src = reg_offset(in, (unsigned)r1, bytes);
	op->imm = in->imm;
	if (r0 >= 0 && r1 >= 0)
		return forms[SOFT_RR];
	if (r0 >= 0 && operand_imm(in, 1))
		return forms[SOFT_RI];
	if (r0 >= 0 && operand_mem(in, 1))
		return forms[SOFT_RM + soft_lower_ea(op, in, off)];
	if (!operand_mem(in, 0))
		return NULL;
	if (r1 < 0 && !operand_imm(in, 1))
		return NULL;
	if (lock) {
		op->aux = 1;
		return forms[r1 >= 0 ? SOFT_LOCK_MR : SOFT_LOCK_MI];
	}
	if (r1 >= 0)
		return forms[SOFT_MR + soft_lower_ea(op, in, off)];
	return forms[SOFT_MI + soft_lower_ea(op, in, off)];
}

int
soft_alu_of(unsigned mn)
{
	switch (mn) {
	case X86_MN_ADD:
		return SOFT_ADD;
	case X86_MN_OR:
		return SOFT_OR;
	case X86_MN_ADC:
		return SOFT_ADC;
	case X86_MN_SBB:
		return SOFT_SBB;
	case X86_MN_AND:
		return SOFT_AND;
	case X86_MN_SUB:
		return SOFT_SUB;
	case X86_MN_XOR:
		return SOFT_XOR;
	case X86_MN_CMP:
		return SOFT_CMP;
	case X86_MN_TEST:
		return SOFT_TEST;
	default:
		return -1;
	}
}

int
soft_unary_of(unsigned mn)
{
	switch (mn) {
	case X86_MN_INC:
		return SOFT_INC;
	case X86_MN_DEC:
		return SOFT_DEC;
	case X86_MN_NEG:
		return SOFT_NEG;
	case X86_MN_NOT:
		return SOFT_NOT;
	default:
		return -1;
	}
}

int
soft_shift_of(unsigned mn)
{
	switch (mn) {
	case X86_MN_ROL:
		return SOFT_ROL;
	case X86_MN_ROR:
		return SOFT_ROR;
	case X86_MN_RCL:
		return SOFT_RCL;
	case X86_MN_RCR:
		return SOFT_RCR;
	case X86_MN_SHL:
		return SOFT_SHL;
	case X86_MN_SHR:
		return SOFT_SHR;
	case X86_MN_SAR:
		return SOFT_SAR;
	default:
		return -1;
	}
}

static soft_fn *
lower_unary(struct soft_op *op, const struct x86_insn *in, unsigned off,
    soft_fn *const forms[SOFT_U_COUNT])
{
	int r = operand_reg(in, 0);

	if (r >= 0) {
		op->dst = reg_offset(in, (unsigned)r, x86_op_bytes(in, 0));
		return forms[SOFT_U_R];
	}
	if (in->pfx & X86_PFX_LOCK) {
		op->aux = 1;
		return forms[SOFT_U_LOCK];
	}
	return forms[SOFT_U_M + soft_lower_ea(op, in, off)];
}

static soft_fn *
lower_shift(struct soft_op *op, const struct x86_insn *in,
    soft_fn *const forms[SOFT_S_COUNT])
{
	int r = operand_reg(in, 0);
	bool cl = x86_op_class(in, 1) == X86_OC_CL;

	op->imm = x86_op_class(in, 1) == X86_OC_ONE ? 1 : in->imm;
	if (r < 0) {
		op->aux = 1;
		return forms[cl ? SOFT_S_MC : SOFT_S_MI];
	}
	op->dst = reg_offset(in, (unsigned)r, x86_op_bytes(in, 0));
	return forms[cl ? SOFT_S_RC : SOFT_S_RI];
}

static soft_fn *
lower_movx(
    struct soft_op *op, const struct x86_insn *in, unsigned off, bool is_signed)
{
	unsigned sbytes = x86_op_bytes(in, 1), dbytes = x86_op_bytes(in, 0);
	unsigned si = size_index(sbytes), di = size_index(dbytes);
	int r = operand_reg(in, 1);

	op->dst = OP_REG(in->reg);
	if (r < 0)
		return soft_movx_ops[is_signed][si][di]
				    [SOFT_RM + soft_lower_ea(op, in, off)];
	op->src = reg_offset(in, (unsigned)r, sbytes);
	return soft_movx_ops[is_signed][si][di][SOFT_RR];
}

static soft_fn *
lower_lea(struct soft_op *op, const struct x86_insn *in, unsigned off)
{
	if (soft_lower_ea(op, in, off) == SOFT_EA_G)
		return NULL;
	op->dst = OP_REG(in->reg);
	return soft_lea_ops[size_index(in->opsize) - 1];
}

static soft_fn *
lower_push_pop(struct soft_op *op, const struct x86_insn *in, unsigned off)
{
	bool flat = op->scale && in->mode == 4 && in->opsize == 4;
	int r = operand_reg(in, 0);
	enum soft_ea_kind ea;

	if (!flat && (in->mode != 8 || in->opsize != 8))
		return NULL;
	op->seg = X86_SS;
	if (in->row->mn == X86_MN_POP) {
		if (r < 0)
			return NULL;
		op->dst = OP_REG(r);
		return flat ? soft_pop32_r : soft_pop_r;
	}
	if (r >= 0) {
		op->src = OP_REG(r);
		return flat ? soft_push32_r : soft_push_r;
	}
	if (operand_imm(in, 0)) {
		op->imm = in->imm;
		return flat ? soft_push32_i : soft_push_i;
	}
	if (!operand_mem(in, 0))
		return NULL;
	ea = soft_lower_ea(op, in, off);
	return ea > SOFT_EA_F ? NULL : soft_push_m[ea];
}

static soft_fn *
lower_imul(struct soft_op *op, const struct x86_insn *in)
{
	int r = operand_reg(in, 1);

	if (r < 0)
		return NULL;
	op->dst = OP_REG(in->reg);
	op->src = OP_REG(r);
	op->imm = in->imm;
	return soft_imul_ops[size_index(in->opsize) - 1]
			    [in->row->op[2] != X86_OP___];
}

static soft_fn *
lower_data(struct soft_op *op, const struct x86_insn *in, unsigned off)
{
	unsigned mn = in->row->mn, size = size_index(x86_op_bytes(in, 0));
	int k;

	if ((k = soft_alu_of(mn)) >= 0)
		return two_operands(op, in, off, soft_alu_ops[k][size]);
	if ((k = soft_unary_of(mn)) >= 0)
		return lower_unary(op, in, off, soft_unary_ops[k][size]);
	if ((k = soft_shift_of(mn)) >= 0)
		return lower_shift(op, in, soft_shift_ops[k][size]);
	if (mn >= X86_MN_CMOVO && mn <= X86_MN_CMOVG) {
		if (operand_reg(in, 1) < 0)
			return NULL;
		op->dst = OP_REG(in->reg);
		op->src = OP_REG(in->rm);
		return soft_cmov_ops[mn - X86_MN_CMOVO][size - 1];
	}
	if (mn >= X86_MN_SETO && mn <= X86_MN_SETG) {
		if (in->mod != 3)
			return NULL;
		op->dst = reg_offset(in, in->rm, 1);
		return soft_setcc_ops[mn - X86_MN_SETO];
	}
	switch (mn) {
	case X86_MN_MOV:
		return two_operands(op, in, off, soft_mov_ops[size]);
	case X86_MN_MOVZX:
	case X86_MN_MOVSX:
	case X86_MN_MOVSXD:
		if (mn == X86_MN_MOVSXD && in->opsize != 8)
			return NULL;
		return lower_movx(op, in, off, mn != X86_MN_MOVZX);
	case X86_MN_LEA:
		return lower_lea(op, in, off);
	case X86_MN_PUSH:
	case X86_MN_POP:
		return lower_push_pop(op, in, off);
	case X86_MN_IMUL:
		return lower_imul(op, in);
	case X86_MN_NOP:
	case X86_MN_PREFETCH:
	case X86_MN_PREFETCHW:
		return soft_op_nop;
	default:
		return NULL;
	}
}

static enum soft_link
link_kind(const struct x86_insn *in, uint64_t pa, int64_t target, bool flat32)
{
	bool inside =
	    pa != SOFT_NO_PA && ((pa & 0xfff) + (uint64_t)target) >> 12 == 0;

	if (inside && (in->mode == 8 || (flat32 && in->opsize == 4)))
		return SOFT_IN_PAGE;
	if (in->mode == 4)
		return in->opsize == 2 ? SOFT_X16 : SOFT_X32;
	if (in->mode == 2)
		return SOFT_X16;
	return SOFT_X64;
}

/* CALL, JMP and RET in 32-bit code with flat segments */
static unsigned
lower_branch32(struct soft_op *op, const struct x86_insn *in, unsigned off,
    enum soft_link kind)
{
	unsigned mn = in->row->mn;
	bool call = mn == X86_MN_CALL;

	if (mn == X86_MN_RET) {
		op->seg = X86_SS;
		op->imm = in->row->op[0] == X86_OP___ ? 0 : in->imm & 0xffff;
		op->fn = soft_ret32_op;
		return 1;
	}
	if (!call && mn != X86_MN_JMP)
		return 0;
	if (x86_op_class(in, 0) == X86_OC_J) {
		op->seg = X86_SS;
		op->fn = soft_call32_ops[kind != SOFT_IN_PAGE];
		op->link = NULL;
		return 1;
	}
	if (in->mod == 3) {
		op->seg = X86_SS;
		op->src = OP_REG(in->rm);
		op->fn = call ? soft_call32_r : soft_jmp32_r;
		return 1;
	}
	op->scale = 1;
	if (soft_lower_ea(op, in, off) != SOFT_EA_L)
		return 0;
	op->fn = call ? soft_call32_m : soft_jmp32_m;
	return 1;
}

/* Returns 0 when the branch has to go through its function. */
static unsigned
lower_branch(struct soft_cpu *cpu, struct soft_op *op,
    const struct x86_insn *in, unsigned off, uint64_t pa, bool *ret_end)
{
	unsigned mn = in->row->mn;
	int64_t target = (int64_t)off + in->len + (int64_t)in->imm;
	enum soft_link kind = link_kind(in, pa, target, cpu->flat32);
	enum soft_ea_kind ea;

	/* Targets that may lie past the limit. */
	if (soft_cs_tight(cpu) || (in->mode == 2 && in->opsize == 4))
		return 0;
	op->disp = (int32_t)target;
	op->gen = 0;
	if (mn >= X86_MN_JO && mn <= X86_MN_JG) {
		if (op->disp != target)
			return 0;
		op->fn = soft_jcc_ops[mn - X86_MN_JO][kind];
		op->link = NULL;
		/* Not taken, the block goes on. */
		*ret_end = false;
		return 1;
	}
	if (mn == X86_MN_JMP && x86_op_class(in, 0) == X86_OC_J) {
		if (op->disp != target)
			return 0;
		op->fn = soft_jmp_ops[kind];
		op->link = NULL;
		return 1;
	}
	if (cpu->flat32 && in->opsize == 4 && op->disp == target)
		return lower_branch32(op, in, off, kind);
	if (in->mode != 8)
		return 0;
	switch (mn) {
	case X86_MN_CALL:
		if (x86_op_class(in, 0) == X86_OC_J) {
			if (op->disp != target)
				return 0;
			op->seg = X86_SS;
			op->fn = soft_call_ops[kind != SOFT_IN_PAGE];
			op->link = NULL;
			return 1;
		}
		if (in->mod == 3) {
			op->seg = X86_SS;
			op->src = OP_REG(in->rm);
			op->fn = soft_call_r;
			return 1;
		}
		ea = soft_lower_ea(op, in, off);
		op->fn = soft_call_m[ea];
		return 1;
	case X86_MN_JMP:
		if (in->mod == 3) {
			op->src = OP_REG(in->rm);
			op->fn = soft_jmp_r;
			return 1;
		}
		ea = soft_lower_ea(op, in, off);
		op->fn = soft_jmp_m[ea];
		return 1;
	case X86_MN_RET:
		op->seg = X86_SS;
		op->imm = in->row->op[0] == X86_OP___ ? 0 : in->imm & 0xffff;
		op->fn = soft_ret_op;
		return 1;
	default:
		return 0;
	}
}

void
soft_lower_next(
    struct soft_cpu *cpu, struct soft_op *op, unsigned off, unsigned count)
{
	/* Also in 16-bit code: it runs past the limit, it does not wrap. */
	op->fn = soft_jmp_ops[cpu->mode == 8 ? SOFT_X64 : SOFT_X32];
	op->off = (uint16_t)off;
	op->disp = (int32_t)off;
	op->count = (uint16_t)count;
	op->gen = 0;
	op->link = NULL;
}

void
soft_lower_fault(struct soft_op *op, unsigned off, unsigned vector)
{
	op->fn = soft_op_fault;
	op->off = (uint16_t)off;
	op->imm = vector;
}

static bool
offered(struct soft_cpu *cpu, const struct x86_insn *in)
{
	const struct x86_row *row = in->row;

	if (!soft_has(cpu, (enum x86_feature)row->feature))
		return false;
	return !((row->attr & X86_A_I256) && in->vl) ||
	    soft_has(cpu, X86_FEAT_AVX2);
}

unsigned
soft_lower(struct soft_cpu *cpu, struct soft_op *op, const struct x86_insn *in,
    unsigned off, uint64_t pa, bool *ret_end)
{
	const struct x86_row *row = in->row;
	soft_insn_fn *fn;
	unsigned n;

	op->insn = in;
	op->off = (uint16_t)off;
	op->len = in->len;
	op->seg = in->seg;
	*ret_end = row->attr & (X86_A_BR | X86_A_STOP);
	if ((row->attr & X86_A_UD) ||
	    (!offered(cpu, in) && row->mn != X86_MN_TZCNT &&
		row->mn != X86_MN_LZCNT)) {
		*ret_end = true;
		soft_lower_fault(op, off, X86_EXC_UD);
		return 1;
	}
	if (row->attr & X86_A_FPSIMD) {
		soft_lower_fpsimd(cpu, op, in, off);
		return 1;
	}
	if (row->attr & X86_A_BR) {
		n = lower_branch(cpu, op, in, off, pa, ret_end);
		if (n > 0)
			return n;
		op->insn = in;
	} else {
		op->scale = cpu->flat32;
		op->fn = lower_data(op, in, off);
		if (op->fn != NULL) {
			if (!op->aux)
				op->insn = NULL;
			return 1;
		}
	}
	fn = soft_insn_for(row);
	op->imm = (uint64_t)fn;
	if (fn == NULL) {
		*ret_end = true;
		soft_lower_fault(op, off, X86_EXC_UD);
		return 1;
	}
	op->fn = *ret_end ? soft_op_insn_end : soft_op_insn;
	soft_lower_wide(op, in);
	soft_lower_string(op, in);
	return 1;
}
