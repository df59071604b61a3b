/*
 * Operations: moves, stack, conditional moves; and the slow halves of memory
 * access.
 */
#include "vmm/soft/ops.h"

uint64_t
soft_op_ea(
    struct soft_cpu *cpu, const struct soft_op *op, unsigned size, bool write)
{
	cpu->cur_off = op->off;
	return soft_ea(cpu, op->insn, size, write);
}

uint64_t
soft_op_read(
    struct soft_cpu *cpu, const struct soft_op *op, uint64_t lin, unsigned size)
{
	cpu->cur_off = op->off;
	cpu->mem_seg = op->seg;
	return soft_read_slow(cpu, lin, size);
}

void
soft_op_write(struct soft_cpu *cpu, const struct soft_op *op, uint64_t lin,
    unsigned size, uint64_t v)
{
	cpu->cur_off = op->off;
	cpu->mem_seg = op->seg;
	soft_write_slow(cpu, lin, size, v);
}

void *
soft_op_rmw(
    struct soft_cpu *cpu, const struct soft_op *op, uint64_t lin, unsigned size)
{
	cpu->cur_off = op->off;
	cpu->mem_seg = op->seg;
	return soft_rmw_begin(cpu, lin, size);
}

OP(op_nop)
{
	NEXT(op + 1);
}
soft_fn *const soft_op_nop = op_nop;

/* clang-format off */
#define T(bits) uint##bits##_t
#define DEF_MOV(bits)                                                     \
OP(mov##bits##_rr)                                                        \
{                                                                         \
	SET_NEXT(bits, R##bits(op->src));                                                     \
}                                                                         \
OP(mov##bits##_ri)                                                        \
{                                                                         \
	SET_NEXT(bits, op->imm);                                                      \
}                                                                         \
OP_LOAD_SET(mov##bits##_rm, bits, bits, s_,)                    \
OP_STORE(mov##bits##_mr, bits, R##bits(op->src))                          \
OP_STORE(mov##bits##_mi, bits, op->imm)
DEF_MOV(8) DEF_MOV(16) DEF_MOV(32) DEF_MOV(64)
#define ROW_MOV(bits) { mov##bits##_rr, mov##bits##_ri,                   \
	mov##bits##_rm_S, mov##bits##_rm_F, mov##bits##_rm_L, mov##bits##_rm_G,             \
	mov##bits##_mr_S, mov##bits##_mr_F, mov##bits##_mr_L, mov##bits##_mr_G,             \
	mov##bits##_mi_S, mov##bits##_mi_F, mov##bits##_mi_L, mov##bits##_mi_G, NULL, NULL },
soft_fn *const soft_mov_ops[4][SOFT_FORM_COUNT] = {
	ROW_MOV(8) ROW_MOV(16) ROW_MOV(32) ROW_MOV(64)
};

/* From acc: the source, or the base of the address */
#define DEF_MOV_ACC(bits)                                                 \
OP(mov##bits##_rr_acc)                                                    \
{                                                                         \
	SET_NEXT(bits, acc);                                              \
}                                                                         \
OP_LOAD_FAST(mov##bits##_rm_acc, mov##bits##_rm_S_slow, bits,             \
	acc + (uint64_t)(int64_t)op->disp, SET_NEXT(bits, s_),)
DEF_MOV_ACC(32) DEF_MOV_ACC(64)
soft_fn *const soft_mov_acc[2] = { mov32_rr_acc, mov64_rr_acc };
soft_fn *const soft_load_acc[2] = { mov32_rm_acc, mov64_rm_acc };

#define DEF_MOVX(name, stype, sbits, dbits)                               \
OP(name##sbits##_##dbits##_rr)                                            \
{                                                                         \
	SET_NEXT(dbits, (stype)R##sbits(op->src));                                                     \
}                                                                         \
OP_LOAD_SET(name##sbits##_##dbits##_rm, sbits, dbits, (stype)s_,)
#define DEF_MOVX3(name, st, sbits) DEF_MOVX(name, st, sbits, 16)          \
	DEF_MOVX(name, st, sbits, 32) DEF_MOVX(name, st, sbits, 64)
DEF_MOVX3(movz, uint8_t, 8) DEF_MOVX3(movz, uint16_t, 16) DEF_MOVX3(movz, uint32_t, 32)
DEF_MOVX3(movs, int8_t, 8) DEF_MOVX3(movs, int16_t, 16) DEF_MOVX3(movs, int32_t, 32)
#define ROW_X(name, s, d) { name##s##_##d##_rr, NULL, name##s##_##d##_rm_S, \
	name##s##_##d##_rm_F, name##s##_##d##_rm_L, name##s##_##d##_rm_G },
#define ROWS_X(name, s) { { NULL }, ROW_X(name, s, 16) ROW_X(name, s, 32) ROW_X(name, s, 64) },
soft_fn *const soft_movx_ops[2][3][4][SOFT_RM + SOFT_EA_COUNT] = {
	{ ROWS_X(movz, 8) ROWS_X(movz, 16) ROWS_X(movz, 32) },
	{ ROWS_X(movs, 8) ROWS_X(movs, 16) ROWS_X(movs, 32) },
};

#define DEF_LEA(bits)                                                     \
OP(lea##bits)                                                             \
{                                                                         \
	SET_NEXT(bits, R64(op->base) + (R64(op->index) << op->scale) +    \
	    (uint64_t)(int64_t)op->disp);                                                     \
}
DEF_LEA(16) DEF_LEA(32) DEF_LEA(64)
soft_fn *const soft_lea_ops[3] = { lea16, lea32, lea64 };

#define DEF_CC(cc)                                                        \
OP(cmov16_##cc)                                                           \
{                                                                         \
	if (soft_cond(cpu->fl, cc))                                       \
		SET16(op->dst, R16(op->src));                             \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(cmov32_##cc)                                                           \
{                                                                         \
	SET32(op->dst, soft_cond(cpu->fl, cc) ? R32(op->src) : R32(op->dst)); \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(cmov64_##cc)                                                           \
{                                                                         \
	SET64(op->dst, soft_cond(cpu->fl, cc) ? R64(op->src) : R64(op->dst)); \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(setcc_##cc)                                                            \
{                                                                         \
	SET8(op->dst, soft_cond(cpu->fl, cc));                            \
	NEXT(op + 1);                                                     \
}
DEF_CC(0) DEF_CC(1) DEF_CC(2) DEF_CC(3) DEF_CC(4) DEF_CC(5) DEF_CC(6) DEF_CC(7)
DEF_CC(8) DEF_CC(9) DEF_CC(10) DEF_CC(11) DEF_CC(12) DEF_CC(13) DEF_CC(14) DEF_CC(15)
#define ROW_CC(cc) { cmov16_##cc, cmov32_##cc, cmov64_##cc },
soft_fn *const soft_cmov_ops[16][3] = {
	ROW_CC(0) ROW_CC(1) ROW_CC(2) ROW_CC(3) ROW_CC(4) ROW_CC(5)
	ROW_CC(6) ROW_CC(7) ROW_CC(8) ROW_CC(9) ROW_CC(10) ROW_CC(11)
	ROW_CC(12) ROW_CC(13) ROW_CC(14) ROW_CC(15)
};
soft_fn *const soft_setcc_ops[16] = { setcc_0, setcc_1, setcc_2, setcc_3,
	setcc_4, setcc_5, setcc_6, setcc_7, setcc_8, setcc_9, setcc_10,
	setcc_11, setcc_12, setcc_13, setcc_14, setcc_15 };
/* clang-format on */

/* ---- stack, 64-bit code ---- */

#define SP cpu->gpr[X86_RSP]
/* clang-format off */
OP_STORE_AT(push_r, 64, SP - 8, R64(op->src), NEXT(op + 1), SP -= 8;)
OP_STORE_AT(push_i, 64, SP - 8, op->imm, NEXT(op + 1), SP -= 8;)
OP_LOAD_AT(pop_r, 64, SP, NEXT(op + 1), SP += 8; R64(op->dst) = s_;)
OP_LOAD_AT(push_m_s, 64, EA_S, NEXT(op + 1),
	cpu->cur_off = op->off;
	cpu->mem_seg = X86_SS;
	soft_write64(cpu, SP - 8, s_);
	SP -= 8;)
OP_LOAD_AT(push_m_f, 64, EA_F, NEXT(op + 1),
	cpu->cur_off = op->off;
	cpu->mem_seg = X86_SS;
	soft_write64(cpu, SP - 8, s_);
	SP -= 8;)
/* clang-format on */

/* clang-format off */
OP_STORE_AT(push32_r, 32, (uint32_t)(SP - 4), R32(op->src), NEXT(op + 1),
	SP = (uint32_t)(SP - 4);)
OP_STORE_AT(push32_i, 32, (uint32_t)(SP - 4), op->imm, NEXT(op + 1),
	SP = (uint32_t)(SP - 4);)
OP_LOAD_AT(pop32_r, 32, (uint64_t)(uint32_t)SP, NEXT(op + 1),
	SP = (uint32_t)(SP + 4); R64(op->dst) = s_;)
/* clang-format on */
soft_fn *const soft_push32_r = push32_r, *const soft_push32_i = push32_i,
	       *const soft_pop32_r = pop32_r;
soft_fn *const soft_push_r = push_r, *const soft_push_i = push_i,
	       *const soft_pop_r = pop_r;
soft_fn *const soft_push_m[2] = { push_m_s, push_m_f };

/* ---- whole instructions ---- */

OP(op_insn)
{
	cpu->cur_off = op->off;
	((soft_insn_fn *)op->imm)(cpu, op->insn);
	NEXT(op + 1);
}

OP(op_insn_end)
{
	uint64_t rip = cpu->base_rip + op->off + op->len;

	cpu->cur_off = op->off;
	cpu->insns += op->count;
	/* as in soft_lower_next() */
	cpu->rip = cpu->mode == 8 ? rip : (uint32_t)rip;
	((soft_insn_fn *)op->imm)(cpu, op->insn);
	LEAVE;
}

OP(op_fault)
{
	cpu->cur_off = op->off;
	if (op->imm == X86_EXC_UD)
		soft_raise(cpu, X86_EXC_UD);
	soft_raise_error(cpu, (unsigned)op->imm, 0);
}

soft_fn *const soft_op_insn = op_insn, *const soft_op_insn_end = op_insn_end,
	       *const soft_op_fault = op_fault;
