/*
 * Operations: branches. Every way from block to block looks at 'request', so
 * that loops can be left.
 */
#include "vmm/soft/ops.h"

COLD static void
bad_target(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->cur_off = op->off;
	soft_raise_error(cpu, X86_EXC_GP, 0);
}

struct soft_next
soft_op_stale(struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc)
{
	/* Decoded anew meanwhile? */
	if (op->off == 0 && op->link && op->link->valid)
		NEXT(op->link->ops);
	cpu->rip = cpu->base_rip + op->off;
	/* Those before it; what stands for no instruction has no length. */
	cpu->insns += (uint64_t)op->count - (op->len != 0);
	if (op->off == 0)
		cpu->code->stale = (struct soft_op *)op;
	LEAVE;
}

struct soft_next
soft_op_link_miss(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->rip = cpu->base_rip;
	cpu->code->link_from = (struct soft_op *)op;
	LEAVE;
}

/* clang-format off */
/* To a fixed target, checked against its generation */
#define GO_X(type)                                                        \
	type to_ = (type)(cpu->base_rip + (uint64_t)(int64_t)op->disp);   \
	cpu->insns += op->count;                                          \
	LEAVE_ON_REQUEST(to_);                                            \
	if (likely(op->imm == to_ &&                                      \
		op->gen == cpu->xgen[(uint64_t)to_ >> 63]))               \
		NEXT(op->link->ops);                                      \
	((struct soft_op *)op)->imm = to_;                                \
	((struct soft_op *)op)->gen = 0;                                  \
	return soft_op_link_miss(cpu, op)
/*
 * A target that is not canonical faults before anything is done (Intel SDM vol.
 * 2, JMP, CALL, RET).
 */
#define CHECK_TARGET(to)                                                  \
	do {                                                              \
		if (unlikely((int64_t)((to) << 16) >> 16 != (int64_t)(to))) \
			bad_target(cpu, op);                              \
	} while (0)

/* To a computed target, by the jump cache */
#define GO_RIP(target)                                                    \
	uint64_t to_ = (target);                                          \
	struct soft_jump *j_;                                             \
	cpu->insns += op->count;                                          \
	LEAVE_ON_REQUEST(to_);                                            \
	j_ = soft_jump_slot(cpu, to_);                                    \
	if (likely(j_->rip == to_ && j_->gen == cpu->xgen[to_ >> 63]))    \
		NEXT(j_->block->ops);                                     \
	cpu->rip = to_;                                                   \
	LEAVE

OP(jmp_in) { GO_IN_PAGE; }
OP(jmp_x64) { GO_X(uint64_t); }
OP(jmp_x32) { GO_X(uint32_t); }
OP(jmp_x16) { GO_X(uint16_t); }
soft_fn *const soft_jmp_ops[SOFT_LINK_COUNT] = { jmp_in, jmp_x64, jmp_x32, jmp_x16 };

/* Not taken: the block goes on. */
#define DEF_JCC(cc)                                                       \
OP(jcc_in_##cc)                                                           \
{                                                                         \
	if (!soft_cond(cpu->fl, cc))                                      \
		NEXT(op + 1);                                             \
	GO_IN_PAGE;                                                       \
}                                                                         \
OP(jcc_x64_##cc)                                                          \
{                                                                         \
	if (!soft_cond(cpu->fl, cc))                                      \
		NEXT(op + 1);                                             \
	GO_X(uint64_t);                                                   \
}                                                                         \
OP(jcc_x32_##cc)                                                          \
{                                                                         \
	if (!soft_cond(cpu->fl, cc))                                      \
		NEXT(op + 1);                                             \
	GO_X(uint32_t);                                                   \
}                                                                         \
OP(jcc_x16_##cc)                                                          \
{                                                                         \
	if (!soft_cond(cpu->fl, cc))                                      \
		NEXT(op + 1);                                             \
	GO_X(uint16_t);                                                   \
}
DEF_JCC(0) DEF_JCC(1) DEF_JCC(2) DEF_JCC(3) DEF_JCC(4) DEF_JCC(5) DEF_JCC(6) DEF_JCC(7)
DEF_JCC(8) DEF_JCC(9) DEF_JCC(10) DEF_JCC(11) DEF_JCC(12) DEF_JCC(13) DEF_JCC(14) DEF_JCC(15)
#define ROW_JCC(cc) { jcc_in_##cc, jcc_x64_##cc, jcc_x32_##cc, jcc_x16_##cc },
soft_fn *const soft_jcc_ops[16][SOFT_LINK_COUNT] = {
	ROW_JCC(0) ROW_JCC(1) ROW_JCC(2) ROW_JCC(3) ROW_JCC(4) ROW_JCC(5)
	ROW_JCC(6) ROW_JCC(7) ROW_JCC(8) ROW_JCC(9) ROW_JCC(10) ROW_JCC(11)
	ROW_JCC(12) ROW_JCC(13) ROW_JCC(14) ROW_JCC(15)
};

/* ---- 64-bit calls ---- */
#define SP cpu->gpr[X86_RSP]
#define RETURN_RIP (cpu->base_rip + op->off + op->len)

#define CALL(name, GO)                                                    \
	OP_STORE_AT(name, 64, SP - 8, RETURN_RIP, GO, SP -= 8;)
CALL(call_in, GO_IN_PAGE)
CALL(call_x, GO_X(uint64_t))
soft_fn *const soft_call_ops[2] = { call_in, call_x };

OP_LOAD_AT(ret_64, 64, SP, GO_RIP(s_), CHECK_TARGET(s_); SP += 8 + op->imm;)
soft_fn *const soft_ret_op = ret_64;

OP(jmp_r)
{
	uint64_t target_ = R64(op->src);
	CHECK_TARGET(target_);
	GO_RIP(target_);
}
/*
 * The target may be rSP itself. The processor has written the return address
 * when it looks at the target.
 */
OP_STORE_AT(call_r, 64, SP - 8, RETURN_RIP, GO_RIP(target_),
	uint64_t target_ = R64(op->src); CHECK_TARGET(target_); SP -= 8;)
soft_fn *const soft_jmp_r = jmp_r, *const soft_call_r = call_r;

#define PUSH_RETURN                                                       \
	cpu->cur_off = op->off;                                           \
	cpu->mem_seg = X86_SS;                                            \
	soft_write64(cpu, SP - 8, RETURN_RIP);                            \
	CHECK_TARGET(s_);                                                 \
	SP -= 8;
OP_LOAD_AT(jmp_m_S, 64, EA_S, GO_RIP(s_), CHECK_TARGET(s_);)
OP_LOAD_AT(jmp_m_F, 64, EA_F, GO_RIP(s_), CHECK_TARGET(s_);)
OP_LOAD_G(jmp_m_G, 64, GO_RIP(s_), CHECK_TARGET(s_);)
OP_LOAD_AT(call_m_S, 64, EA_S, GO_RIP(s_), PUSH_RETURN)
OP_LOAD_AT(call_m_F, 64, EA_F, GO_RIP(s_), PUSH_RETURN)
OP_LOAD_G(call_m_G, 64, GO_RIP(s_), PUSH_RETURN)
soft_fn *const soft_jmp_m[SOFT_EA_COUNT] = { jmp_m_S, jmp_m_F, NULL, jmp_m_G };
soft_fn *const soft_call_m[SOFT_EA_COUNT] = { call_m_S, call_m_F, NULL, call_m_G };

/* ---- calls in 32-bit code with flat segments ---- */
#define SP32 ((uint32_t)SP)
#define CALL32(name, GO)                                                  \
	OP_STORE_AT(name, 32, (uint32_t)(SP32 - 4), RETURN_RIP, GO,       \
		SP = (uint32_t)(SP32 - 4);)
CALL32(call32_in, GO_IN_PAGE)
CALL32(call32_x, GO_X(uint32_t))
soft_fn *const soft_call32_ops[2] = { call32_in, call32_x };
OP_LOAD_AT(ret32, 32, (uint64_t)SP32, GO_RIP(s_),
	SP = (uint32_t)(SP32 + 4 + op->imm);)
soft_fn *const soft_ret32_op = ret32;
OP(jmp32_r) { GO_RIP(R32(op->src)); }
OP_STORE_AT(call32_r, 32, (uint32_t)(SP32 - 4), RETURN_RIP, GO_RIP(target_),
	uint32_t target_ = R32(op->src); SP = (uint32_t)(SP32 - 4);)
OP_LOAD_AT(jmp32_m, 32, EA_L, GO_RIP(s_),)
OP_LOAD_AT(call32_m, 32, EA_L, GO_RIP(s_),
	cpu->cur_off = op->off;
	cpu->mem_seg = X86_SS;
	soft_write32(cpu, (uint32_t)(SP32 - 4), (uint32_t)RETURN_RIP);
	SP = (uint32_t)(SP32 - 4);)
soft_fn *const soft_jmp32_r = jmp32_r, *const soft_call32_r = call32_r;
soft_fn *const soft_jmp32_m = jmp32_m, *const soft_call32_m = call32_m;
/* clang-format on */
