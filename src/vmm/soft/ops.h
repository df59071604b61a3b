/*
 * How operations are written: operands, memory, and going on to the next one.
 */
#ifndef VMM_SOFT_OPS_H
#define VMM_SOFT_OPS_H

#ifndef __clang__
#pragma GCC optimize("no-partial-inlining", "no-ipa-icf")
#endif

#include "vmm/soft/code.h"

static inline struct soft_next
soft_go(const struct soft_op *op, uint64_t acc)
{
	return (struct soft_next){ op, acc };
}

/* On to operation o. v: for acc */
#define NEXT_ACC(o, v) return soft_go((o), (v))
/* Nothing passed on: whatever is in the register */
#define NEXT(o)                           \
	do {                              \
		uint64_t any_;            \
		__asm__("" : "=r"(any_)); \
		NEXT_ACC(o, any_);        \
	} while (0)
/* Out of the block: rip is set. */
#define LEAVE return soft_go(NULL, 0)
/* Another handler for the same operation */
#define INSTEAD(handler) return handler(cpu, op, 0)
/* The end of operations that write a register of 4 or 8 bytes */
#define SET_NEXT(bits, v)                                  \
	do {                                               \
		uint##bits##_t set_ = (uint##bits##_t)(v); \
		SET##bits(op->dst, set_);                  \
		NEXT_ACC(op + 1, set_);                    \
	} while (0)

#define OP(name)                      \
	static struct soft_next name( \
	    struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc)

/* Byte offsets for soft_op.base/index */
#define OP_REG(r) ((uint8_t)((r)*8))
#define OP_ZERO OP_REG(X86_GPR_COUNT)
#define OP_RIP OP_REG(X86_GPR_COUNT + 1) /* base_rip follows gpr[] */

#define R8(o) (*(uint8_t *)((char *)cpu + (o)))
#define R16(o) (*(uint16_t *)((char *)cpu + (o)))
#define R32(o) (*(uint32_t *)((char *)cpu + (o)))
#define R64(o) (*(uint64_t *)((char *)cpu + (o)))
/* As a destination: 32-bit results clear the upper half. */
#define SET8(o, v) (R8(o) = (uint8_t)(v))
#define SET16(o, v) (R16(o) = (uint16_t)(v))
#define SET32(o, v) (R64(o) = (uint32_t)(v))
#define SET64(o, v) (R64(o) = (uint64_t)(v))

#define HOT __attribute__((always_inline)) static inline
#define COLD __attribute__((noinline, cold))

/* The addresses of enum soft_ea_kind */
#define EA_S (R64(op->base) + (uint64_t)(int64_t)op->disp)
#define EA_F                                             \
	(R64(op->base) + (R64(op->index) << op->scale) + \
	    (uint64_t)(int64_t)op->disp + cpu->segbase[op->seg])

#define EA_L                                                                  \
	((uint64_t)(uint32_t)(R64(op->base) + (R64(op->index) << op->scale) + \
	    (uint64_t)(int64_t)op->disp))

COLD uint64_t soft_op_ea(
    struct soft_cpu *cpu, const struct soft_op *op, unsigned size, bool write);
COLD uint64_t soft_op_read(struct soft_cpu *cpu, const struct soft_op *op,
    uint64_t lin, unsigned size);
COLD void soft_op_write(struct soft_cpu *cpu, const struct soft_op *op,
    uint64_t lin, unsigned size, uint64_t v);
COLD void *soft_op_rmw(struct soft_cpu *cpu, const struct soft_op *op,
    uint64_t lin, unsigned size);
COLD struct soft_next
soft_op_link_miss(struct soft_cpu *cpu, const struct soft_op *op);

#define OP_MEM(bits) soft_mem##bits
#define OP_RMW_END(p)                             \
	do {                                      \
		if (unlikely(cpu->rmw_size != 0)) \
			soft_rmw_end(cpu, (p));   \
	} while (0)

/*
 * Operations with a memory operand come in two: the one in the table knows the
 * TLB hit only, needs no stack frame, and leaves everything else to its twin
 * by a tail call.
 *
 * OP_LOAD: the value is in s_. OP_RMW: a pointer is in p_. OP_STORE: value is
 * an expression without side effects. sp: the address is an expression, not
 * the ModRM operand. tail: how to go on.
 */
/* clang-format off */
#define OP_TWIN(name) \
	COLD static struct soft_next name##_slow(                         \
	    struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc)
#define OP_LOAD_FAST(name, slow, bits, address, tail, ...)                 \
	OP(name)                                                          \
	{                                                                 \
		uint64_t lin_ = (address);                                \
		const struct soft_tlb *e_ =                               \
		    &cpu->tlb[lin_ >> 12 & (SOFT_TLB_SIZE - 1)];          \
		uint64_t off_ = lin_ ^ e_->r;                             \
		uint##bits##_t s_;                                        \
		if (unlikely(off_ > 4096 - bits / 8))                     \
			INSTEAD(slow);                             \
		s_ = *(const volatile OP_MEM(bits) *)(e_->host + off_);   \
		__VA_ARGS__                                               \
		tail;                                                     \
	}
#define OP_LOAD_AT(name, bits, address, tail, ...)                        \
	OP_TWIN(name)                                                     \
	{                                                                 \
		uint##bits##_t s_ = (uint##bits##_t)soft_op_read(         \
		    cpu, op, address, bits / 8);                          \
		__VA_ARGS__                                               \
		tail;                                                     \
	}                                                                 \
	OP_LOAD_FAST(name, name##_slow, bits, address, tail, __VA_ARGS__)
#define OP_STORE_AT(name, bits, address, value, tail, ...)                \
	OP_TWIN(name)                                                     \
	{                                                                 \
		soft_op_write(cpu, op, address, bits / 8,                 \
		    (uint##bits##_t)(value));                             \
		__VA_ARGS__                                               \
		tail;                                                     \
	}                                                                 \
	OP(name)                                                          \
	{                                                                 \
		uint64_t lin_ = (address);                                \
		const struct soft_tlb *e_ =                               \
		    &cpu->tlb[lin_ >> 12 & (SOFT_TLB_SIZE - 1)];          \
		uint64_t off_ = lin_ ^ e_->w;                             \
		if (unlikely(off_ > 4096 - bits / 8))                     \
			INSTEAD(name##_slow);                      \
		*(volatile OP_MEM(bits) *)(e_->host + off_) =             \
		    (uint##bits##_t)(value);                              \
		__VA_ARGS__                                               \
		tail;                                                     \
	}
#define OP_RMW_AT(name, bits, address, tail, ...)                         \
	OP_TWIN(name)                                                     \
	{                                                                 \
		OP_MEM(bits) *p_ =                                        \
		    soft_op_rmw(cpu, op, address, bits / 8);              \
		__VA_ARGS__                                               \
		OP_RMW_END(p_);                                           \
		tail;                                                     \
	}                                                                 \
	OP(name)                                                          \
	{                                                                 \
		uint64_t lin_ = (address);                                \
		const struct soft_tlb *e_ =                               \
		    &cpu->tlb[lin_ >> 12 & (SOFT_TLB_SIZE - 1)];          \
		uint64_t off_ = lin_ ^ e_->w;                             \
		OP_MEM(bits) *p_;                                         \
		if (unlikely(off_ > 4096 - bits / 8))                     \
			INSTEAD(name##_slow);                      \
		p_ = (OP_MEM(bits) *)(e_->host + off_);                   \
		__VA_ARGS__                                               \
		tail;                                                     \
	}
/* Computing a general address may fault: these are slow twins only. */
#define OP_LOAD_G(name, bits, tail, ...)                                  \
	OP(name)                                                          \
	{                                                                 \
		uint##bits##_t s_ = soft_read##bits(                      \
		    cpu, soft_op_ea(cpu, op, bits / 8, false));           \
		__VA_ARGS__                                               \
		tail;                                                     \
	}
#define OP_STORE_G(name, bits, value, tail, ...)                          \
	OP(name)                                                          \
	{                                                                 \
		uint64_t lin_ = soft_op_ea(cpu, op, bits / 8, true);      \
		soft_write##bits(cpu, lin_, (uint##bits##_t)(value));     \
		__VA_ARGS__                                               \
		tail;                                                     \
	}
#define OP_RMW_G(name, bits, tail, ...)                                   \
	OP(name)                                                          \
	{                                                                 \
		OP_MEM(bits) *p_ = soft_rmw_begin(                        \
		    cpu, soft_op_ea(cpu, op, bits / 8, true), bits / 8);  \
		__VA_ARGS__                                               \
		OP_RMW_END(p_);                                           \
		tail;                                                     \
	}
#define OP_LOCK_G(name, bits, tail, ...)                                  \
	OP(name)                                                          \
	{                                                                 \
		OP_MEM(bits) *p_ = soft_lock_begin(                       \
		    cpu, soft_op_ea(cpu, op, bits / 8, true), bits / 8);  \
		__VA_ARGS__                                               \
		OP_RMW_END(p_);                                           \
		tail;                                                     \
	}
/* All three ways to compute the address: name_S, name_F, name_L, name_G */
#define OP_LOAD(name, bits, ...)                                          \
	OP_LOAD_AT(name##_S, bits, EA_S, NEXT(op + 1), __VA_ARGS__)       \
	OP_LOAD_AT(name##_F, bits, EA_F, NEXT(op + 1), __VA_ARGS__)       \
	OP_LOAD_AT(name##_L, bits, EA_L, NEXT(op + 1), __VA_ARGS__)       \
	OP_LOAD_G(name##_G, bits, NEXT(op + 1), __VA_ARGS__)
/* The same, ending in a register that takes v */
#define OP_LOAD_SET(name, bits, dbits, v, ...)                            \
	OP_LOAD_AT(name##_S, bits, EA_S, SET_NEXT(dbits, v), __VA_ARGS__) \
	OP_LOAD_AT(name##_F, bits, EA_F, SET_NEXT(dbits, v), __VA_ARGS__) \
	OP_LOAD_AT(name##_L, bits, EA_L, SET_NEXT(dbits, v), __VA_ARGS__) \
	OP_LOAD_G(name##_G, bits, SET_NEXT(dbits, v), __VA_ARGS__)
#define OP_STORE(name, bits, value)                                       \
	OP_STORE_AT(name##_S, bits, EA_S, value, NEXT(op + 1),)           \
	OP_STORE_AT(name##_F, bits, EA_F, value, NEXT(op + 1),)           \
	OP_STORE_AT(name##_L, bits, EA_L, value, NEXT(op + 1),)           \
	OP_STORE_G(name##_G, bits, value, NEXT(op + 1),)
#define OP_RMW(name, bits, ...)                                           \
	OP_RMW_AT(name##_S, bits, EA_S, NEXT(op + 1), __VA_ARGS__)        \
	OP_RMW_AT(name##_F, bits, EA_F, NEXT(op + 1), __VA_ARGS__)        \
	OP_RMW_AT(name##_L, bits, EA_L, NEXT(op + 1), __VA_ARGS__)        \
	OP_RMW_G(name##_G, bits, NEXT(op + 1), __VA_ARGS__)
/* clang-format on */

/* After an ALU instruction: its flags in AX. */
#define GET_FLAGS "\n\tlahf\n\tseto %%al"

/* clang-format off */
#define SFX8 "b"
#define SFX16 "w"
#define SFX32 "l"
#define SFX64 "q"

/* d op= s, flags in cpu->fl, none read */
#define ALU_NEW(name, bits, d, s) do {                                    \
	uint16_t fl_;                                                     \
	__asm__(name SFX##bits " %2, %0" GET_FLAGS                        \
	    : "+r"(d), "=&a"(fl_) : "r"(s) : "cc");                        \
	cpu->fl = fl_;                                                    \
} while (0)
/* CMP, TEST: flags only */
#define ALU_CMP(name, bits, d, s) do {                                   \
	uint16_t fl_;                                                     \
	__asm__(name SFX##bits " %2, %1" GET_FLAGS                        \
	    : "=a"(fl_) : "r"(d), "r"(s) : "cc");                         \
	cpu->fl = fl_;                                                    \
} while (0)

/* clang-format on */

#define LEAVE_ON_REQUEST(target)                                 \
	do {                                                     \
		cpu->base_rip = (target);                        \
		if (unlikely(atomic_load_explicit(               \
			&cpu->request, memory_order_relaxed))) { \
			cpu->rip = cpu->base_rip;                \
			LEAVE;                                   \
		}                                                \
	} while (0)

/* clang-format off */
/* To a fixed target inside the page */
#define GO_IN_PAGE                                                        \
	cpu->insns += op->count;                                          \
	LEAVE_ON_REQUEST(cpu->base_rip + (uint64_t)(int64_t)op->disp);    \
	if (likely(op->link != NULL))                                     \
		NEXT(op->link->ops);                                      \
	return soft_op_link_miss(cpu, op)
/* clang-format on */

/* ---- conditions on soft_cpu.fl ---- */
#define FL_OF 0x0001u
#define FL_CF 0x0100u
#define FL_PF 0x0400u
#define FL_AF 0x1000u
#define FL_ZF 0x4000u
#define FL_SF 0x8000u

HOT bool
soft_cond(unsigned fl, unsigned cc)
{
	bool v;

	switch (cc >> 1) {
	case 0:
		v = fl & FL_OF;
		break;
	case 1:
		v = fl & FL_CF;
		break;
	case 2:
		v = fl & FL_ZF;
		break;
	case 3:
		v = fl & (FL_CF | FL_ZF);
		break;
	case 4:
		v = fl & FL_SF;
		break;
	case 5:
		v = fl & FL_PF;
		break;
	case 6:
		v = (fl >> 15 ^ fl) & 1;
		break;
	default:
		v = ((fl >> 15 ^ fl) & 1) | (fl & FL_ZF);
		break;
	}
	return v ^ (cc & 1);
}

/* Handlers by operation and form, for lower.c. Sizes: 0-3 = 1, 2, 4, 8. */
enum soft_alu {
	SOFT_ADD,
	SOFT_OR,
	SOFT_ADC,
	SOFT_SBB,
	SOFT_AND,
	SOFT_SUB,
	SOFT_XOR,
	SOFT_CMP,
	SOFT_TEST,
	SOFT_ALU_COUNT
};
enum soft_ea_kind {
	SOFT_EA_S, /* 64-bit: base + disp */
	SOFT_EA_F, /* 64-bit: + index, + segment base */
	SOFT_EA_L, /* 32-bit code with flat segments (cpu->flat32) */
	SOFT_EA_G, /* everything else */
	SOFT_EA_COUNT
};
enum soft_form { /* memory forms: + enum soft_ea_kind */
	SOFT_RR,
	SOFT_RI,
	SOFT_RM,
	SOFT_MR = SOFT_RM + SOFT_EA_COUNT,
	SOFT_MI = SOFT_MR + SOFT_EA_COUNT,
	SOFT_LOCK_MR = SOFT_MI + SOFT_EA_COUNT,
	SOFT_LOCK_MI,
	SOFT_FORM_COUNT
};
extern soft_fn *const soft_alu_ops[SOFT_ALU_COUNT][4][SOFT_FORM_COUNT];
extern soft_fn *const soft_mov_ops[4][SOFT_FORM_COUNT];
/* The same without flags, flow.c: up to the loads. NULL for CMP and TEST. */
#define SOFT_QUIET_FORMS (SOFT_RM + SOFT_EA_G)
extern soft_fn *const soft_alu_quiet[SOFT_ALU_COUNT][4][SOFT_QUIET_FORMS];

enum soft_unary { SOFT_INC, SOFT_DEC, SOFT_NEG, SOFT_NOT, SOFT_UNARY_COUNT };
enum soft_unary_form {
	SOFT_U_R,
	SOFT_U_M, /* + enum soft_ea_kind */
	SOFT_U_LOCK = SOFT_U_M + SOFT_EA_COUNT,
	SOFT_U_COUNT
};
extern soft_fn *const soft_unary_ops[SOFT_UNARY_COUNT][4][SOFT_U_COUNT];
extern soft_fn *const soft_unary_quiet[SOFT_UNARY_COUNT][4]; /* SOFT_U_R */

enum soft_shift {
	SOFT_ROL,
	SOFT_ROR,
	SOFT_RCL,
	SOFT_RCR,
	SOFT_SHL,
	SOFT_SHR,
	SOFT_SAR,
	SOFT_SHIFT_COUNT
};
enum soft_shift_form {
	SOFT_S_RI,
	SOFT_S_RC,
	SOFT_S_MI,
	SOFT_S_MC,
	SOFT_S_COUNT
};
extern soft_fn *const soft_shift_ops[SOFT_SHIFT_COUNT][4][SOFT_S_COUNT];
/* SOFT_S_RI, SOFT_S_RC; NULL for RCL, RCR */
extern soft_fn *const soft_shift_quiet[SOFT_SHIFT_COUNT][4][2];

/* MOVZX, MOVSX: [signed][source size 0-2][destination size 1-3][form] */
extern soft_fn *const soft_movx_ops[2][3][4][SOFT_RM + SOFT_EA_COUNT];
extern soft_fn *const soft_lea_ops[3]; /* 16, 32, 64 bits; in 64-bit code */
extern soft_fn *const soft_cmov_ops[16][3]; /* register forms */
extern soft_fn *const soft_setcc_ops[16];
extern soft_fn *const soft_push_r, *const soft_push_i, *const soft_pop_r;
extern soft_fn *const soft_push_m[2]; /* by enum soft_ea_kind */
extern soft_fn *const soft_op_nop;
extern soft_fn *const soft_imul_ops[3][2]; /* 16, 32, 64: r,r; r,r,imm */
extern soft_fn *const soft_imul_quiet[3][2];

/*
 * Forms that take an operand from acc, sizes 4 and 8: [with flags, quiet]. They
 * are worth it because a value that goes through memory from one operation to
 * the next takes five cycles more.
 */
enum soft_acc_form {
	SOFT_ACC_RR_DST,
	SOFT_ACC_RR_SRC,
	SOFT_ACC_RI,
	SOFT_ACC_COUNT
};
extern soft_fn *const soft_alu_acc[SOFT_ALU_COUNT][2][2][SOFT_ACC_COUNT];
extern soft_fn *const soft_shift_acc[SOFT_SHIFT_COUNT][2][2]; /* SOFT_S_RI */
extern soft_fn *const soft_mov_acc[2]; /* SOFT_RR */
extern soft_fn *const soft_load_acc[2]; /* MOV, SOFT_RM + SOFT_EA_S */

/*
 * flow.c: which flags an operation reads and writes, as the FL_ bits of fl.
 */
#define FL_ALL (FL_OF | FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF)
struct soft_flow {
	uint16_t reads, writes; /* writes: for certain, and all it changes */
	bool leaves; /* may fault, end the block or have it end here */
	soft_fn *plain; /* the handler that lower.c chose */
	soft_fn *quiet; /* the handler that changes no flag, or NULL */
	uint8_t acc; /* register that it passes on, as in soft_op, or NONE */
	/* the forms that take acc: by with flags, quiet; NULL: none */
	soft_fn *dst[2], *src[2], *base;
};
#define SOFT_FLOW_NONE 0xff
extern const struct soft_flow soft_flow_unknown;
void soft_flow_of(
    struct soft_flow *ret, const struct soft_op *op, const struct x86_insn *in);
/* n operations of a block: take quiet handlers where flags are dead. */
void
soft_flow_elide(struct soft_op *ops, const struct soft_flow *flow, unsigned n);
/* Then: take forms that get operands from the operation before. */
void
soft_flow_chain(struct soft_op *ops, const struct soft_flow *flow, unsigned n);

/*
 * op_fuse.c: a handler that does two operations in a row, or NULL. It stands in
 * the first one's place and reads the operands of both where they are.
 */
soft_fn *soft_fuse(const struct soft_op *first, const struct soft_op *second);
extern soft_fn *const soft_push_push, *const soft_pop_pop;

enum soft_link { SOFT_IN_PAGE, SOFT_X64, SOFT_X32, SOFT_X16, SOFT_LINK_COUNT };
extern soft_fn *const soft_jmp_ops[SOFT_LINK_COUNT];
extern soft_fn *const soft_jcc_ops[16][SOFT_LINK_COUNT];
extern soft_fn *const soft_call_ops[2]; /* 64-bit: in page, not */
extern soft_fn *const soft_ret_op; /* 64-bit, imm = bytes to drop */
extern soft_fn *const soft_jmp_r, *const soft_call_r;
extern soft_fn *const soft_jmp_m[SOFT_EA_COUNT],
    *const soft_call_m[SOFT_EA_COUNT];

/* 32-bit code with flat segments */
extern soft_fn *const soft_push32_r, *const soft_push32_i, *const soft_pop32_r;
extern soft_fn *const soft_call32_ops[2], *const soft_ret32_op;
extern soft_fn *const soft_jmp32_r, *const soft_call32_r;
extern soft_fn *const soft_jmp32_m, *const soft_call32_m;

/* Reached through struct x86_insn: imm is a soft_insn_fn. */
typedef void soft_insn_fn(struct soft_cpu *cpu, const struct x86_insn *in);
extern soft_fn *const soft_op_insn, *const soft_op_insn_end;
extern soft_fn *const soft_op_fault;

/* lower.c; which of them a mnemonic is, or -1 */
int soft_alu_of(unsigned mn);
int soft_unary_of(unsigned mn);
int soft_shift_of(unsigned mn);
enum soft_ea_kind
soft_lower_ea(struct soft_op *op, const struct x86_insn *in, unsigned off);
/*
 * op_simd.c: FP and SIMD without a memory operand, and with one: [4, 8, 16, 32
 * bytes][store][SOFT_EA_S, SOFT_EA_F]. dst: bits of fp_live that it needs.
 */
extern soft_fn *const soft_fp_reg_op;
extern soft_fn *const soft_fp_mem_ops[4][2][2];
void soft_lower_fpsimd(struct soft_cpu *cpu, struct soft_op *op,
    const struct x86_insn *in, unsigned off);
/* A faster handler, where there is one: op_alu.c, op_string.c */
void soft_lower_wide(struct soft_op *op, const struct x86_insn *in);
void soft_lower_string(struct soft_op *op, const struct x86_insn *in);
/* string.c: n elements of size bytes by the host's instruction */
void soft_rep_movs(void *dst, const void *src, unsigned size, uint64_t n);
void soft_rep_stos(void *dst, uint64_t v, unsigned size, uint64_t n);
/* By mnemonic; NULL = not implemented. insn.c */
soft_insn_fn *soft_insn_for(const struct x86_row *row);

#endif
