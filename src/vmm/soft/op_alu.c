/*
 * Operations: two-operand and one-operand arithmetic, shifts.
 *
 * The host's instruction does the work on the host's registers or directly on
 * guest memory; its flags are the guest's flags.
 */
#include "vmm/soft/ops.h"

/* clang-format off */
/* d op= s, flags in cpu->fl. pre: "sahf\n\t" where CF is an input. */
#define ALU(pre, name, bits, d, s) do {                                  \
	uint16_t fl_ = cpu->fl;                                           \
	__asm__(pre name SFX##bits " %2, %0" GET_FLAGS                    \
	    : "+r"(d), "+a"(fl_) : "r"(s) : "cc");                        \
	cpu->fl = fl_;                                                    \
} while (0)
#define ALU_NOIN(name, bits, d, s) do {                                  \
	uint16_t fl_;                                                     \
	__asm__(name SFX##bits " %2, %0" GET_FLAGS                        \
	    : "+r"(d), "=a"(fl_) : "r"(s) : "cc");                        \
	cpu->fl = fl_;                                                    \
} while (0)
#define ALU_MEM(lock, pre, name, bits, p, s) do {                        \
	uint16_t fl_ = cpu->fl;                                           \
	__asm__ volatile(pre lock name SFX##bits " %2, %0" GET_FLAGS      \
	    : "+m"(*(p)), "+a"(fl_) : "r"(s) : "cc", "memory");           \
	cpu->fl = fl_;                                                    \
} while (0)
#define T(bits) uint##bits##_t

/* Operations that write their first operand */
#define DEF_RW(name, pre, bits)                                           \
OP(name##bits##_rr)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = R##bits(op->src);               \
	ALU(pre, #name, bits, d, s);                                      \
	SET##bits(op->dst, d);                                            \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(name##bits##_ri)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = (T(bits))op->imm;               \
	ALU(pre, #name, bits, d, s);                                      \
	SET##bits(op->dst, d);                                            \
	NEXT(op + 1);                                                     \
}                                                                         \
OP_LOAD(name##bits##_rm, bits,                                            \
	T(bits) d = R##bits(op->dst);                                     \
	ALU(pre, #name, bits, d, s_);                                     \
	SET##bits(op->dst, d);)                                           \
OP_RMW(name##bits##_mr, bits,                                             \
	T(bits) s = R##bits(op->src);                                     \
	ALU_MEM("", pre, #name, bits, p_, s);)                            \
OP_RMW(name##bits##_mi, bits,                                             \
	T(bits) s = (T(bits))op->imm;                                     \
	ALU_MEM("", pre, #name, bits, p_, s);)                            \
OP_LOCK_G(name##bits##_lock_mr, bits, NEXT(op + 1),                        \
	T(bits) s = R##bits(op->src);                                     \
	ALU_MEM("lock ", pre, #name, bits, p_, s);)                       \
OP_LOCK_G(name##bits##_lock_mi, bits, NEXT(op + 1),                        \
	T(bits) s = (T(bits))op->imm;                                     \
	ALU_MEM("lock ", pre, #name, bits, p_, s);)

/* CMP, TEST */
#define DEF_RO(name, pre, bits)                                           \
OP(name##bits##_rr)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = R##bits(op->src);               \
	ALU_CMP(#name, bits, d, s);                                       \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(name##bits##_ri)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = (T(bits))op->imm;               \
	ALU_CMP(#name, bits, d, s);                                       \
	NEXT(op + 1);                                                     \
}                                                                         \
OP_LOAD(name##bits##_rm, bits,                                            \
	T(bits) d = R##bits(op->dst);                                     \
	ALU_CMP(#name, bits, d, s_);)                                     \
OP_LOAD(name##bits##_mr, bits,                                            \
	T(bits) s = R##bits(op->src);                                     \
	ALU_CMP(#name, bits, s_, s);)                                     \
OP_LOAD(name##bits##_mi, bits,                                            \
	T(bits) s = (T(bits))op->imm;                                     \
	ALU_CMP(#name, bits, s_, s);)

#define SIZES(DEF, name, pre) \
	DEF(name, pre, 8) DEF(name, pre, 16) DEF(name, pre, 32) DEF(name, pre, 64)
SIZES(DEF_RW, add, "")
SIZES(DEF_RW, or, "")
SIZES(DEF_RW, adc, "sahf\n\t")
SIZES(DEF_RW, sbb, "sahf\n\t")
SIZES(DEF_RW, and, "")
SIZES(DEF_RW, sub, "")
SIZES(DEF_RW, xor, "")
SIZES(DEF_RO, cmp, "")
SIZES(DEF_RO, test, "")

#define ROW_RO(name, bits) { name##bits##_rr, name##bits##_ri,            \
	name##bits##_rm_S, name##bits##_rm_F, name##bits##_rm_L, name##bits##_rm_G,          \
	name##bits##_mr_S, name##bits##_mr_F, name##bits##_mr_L, name##bits##_mr_G,          \
	name##bits##_mi_S, name##bits##_mi_F, name##bits##_mi_L, name##bits##_mi_G,          \
	NULL, NULL },
#define ROW_RW(name, bits) { name##bits##_rr, name##bits##_ri,            \
	name##bits##_rm_S, name##bits##_rm_F, name##bits##_rm_L, name##bits##_rm_G,          \
	name##bits##_mr_S, name##bits##_mr_F, name##bits##_mr_L, name##bits##_mr_G,          \
	name##bits##_mi_S, name##bits##_mi_F, name##bits##_mi_L, name##bits##_mi_G,          \
	name##bits##_lock_mr, name##bits##_lock_mi },
#define ROWS(ROW, name) { ROW(name, 8) ROW(name, 16) ROW(name, 32) ROW(name, 64) },

soft_fn *const soft_alu_ops[SOFT_ALU_COUNT][4][SOFT_FORM_COUNT] = {
	ROWS(ROW_RW, add) ROWS(ROW_RW, or) ROWS(ROW_RW, adc) ROWS(ROW_RW, sbb)
	ROWS(ROW_RW, and) ROWS(ROW_RW, sub) ROWS(ROW_RW, xor)
	ROWS(ROW_RO, cmp) ROWS(ROW_RO, test)
};

/* ---- one operand; sahf keeps CF for INC, DEC and everything for NOT ---- */
#define UN(lock, name, bits, constraint, d) do {                          \
	uint16_t fl_ = cpu->fl;                                           \
	__asm__ volatile("sahf\n\t" lock name SFX##bits " %0" GET_FLAGS   \
	    : constraint(d), "+a"(fl_) : : "cc", "memory");               \
	cpu->fl = fl_;                                                    \
} while (0)
/* NOT touches no flag, and OF is not in AH. */
#define UN_NOT(lock, name, bits, constraint, d)                           \
	__asm__ volatile(lock name SFX##bits " %0"                        \
	    : constraint(d) : : "memory")

#define DEF_UN(name, DO, bits)                                            \
OP(name##bits##_r)                                                        \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	DO("", #name, bits, "+r", d);                                     \
	SET##bits(op->dst, d);                                            \
	NEXT(op + 1);                                                     \
}                                                                         \
OP_RMW(name##bits##_m, bits, DO("", #name, bits, "+m", *p_);)             \
OP_LOCK_G(name##bits##_m_lock, bits, NEXT(op + 1),                            \
	DO("lock ", #name, bits, "+m", *p_);)
SIZES(DEF_UN, inc, UN)
SIZES(DEF_UN, dec, UN)
SIZES(DEF_UN, neg, UN)
SIZES(DEF_UN, not, UN_NOT)
#define ROW_UN(name, bits) { name##bits##_r, name##bits##_m_S,            \
	name##bits##_m_F, name##bits##_m_L, name##bits##_m_G, name##bits##_m_lock },
soft_fn *const soft_unary_ops[SOFT_UNARY_COUNT][4][SOFT_U_COUNT] = {
	ROWS(ROW_UN, inc) ROWS(ROW_UN, dec) ROWS(ROW_UN, neg) ROWS(ROW_UN, not)
};

/*
 * ---- shifts and rotates ----
 * OF is not part of what sahf loads, but a count of 0 is caught here, and for
 * other counts the instruction writes OF (or leaves it undefined).
 */
#define SHIFT(name, bits, constraint, d, count) do {                      \
	uint16_t fl_ = cpu->fl;                                           \
	uint8_t cl_ = (uint8_t)((count) & ((bits) == 64 ? 63 : 31));      \
	if (cl_ != 0) {                                                   \
		__asm__ volatile("sahf\n\t" name SFX##bits " %%cl, %0"    \
		    GET_FLAGS                                             \
		    : constraint(d), "+a"(fl_) : "c"(cl_) : "cc", "memory"); \
		cpu->fl = fl_;                                            \
	}                                                                 \
} while (0)
#define DEF_SH(name, pre, bits)                                           \
OP(name##bits##_ri)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	SHIFT(#name, bits, "+r", d, op->imm);                             \
	SET##bits(op->dst, d);                                            \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(name##bits##_rc)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	SHIFT(#name, bits, "+r", d, cpu->gpr[X86_RCX]);                   \
	SET##bits(op->dst, d);                                            \
	NEXT(op + 1);                                                     \
}                                                                         \
OP_RMW_G(name##bits##_mi, bits, NEXT(op + 1),                             \
	SHIFT(#name, bits, "+m", *p_, op->imm);)                          \
OP_RMW_G(name##bits##_mc, bits, NEXT(op + 1),                             \
	SHIFT(#name, bits, "+m", *p_, cpu->gpr[X86_RCX]);)
SIZES(DEF_SH, rol, )
SIZES(DEF_SH, ror, )
SIZES(DEF_SH, rcl, )
SIZES(DEF_SH, rcr, )
SIZES(DEF_SH, shl, )
SIZES(DEF_SH, shr, )
SIZES(DEF_SH, sar, )
#define ROW_SH(name, bits) { name##bits##_ri, name##bits##_rc,            \
	name##bits##_mi, name##bits##_mc },
soft_fn *const soft_shift_ops[SOFT_SHIFT_COUNT][4][SOFT_S_COUNT] = {
	ROWS(ROW_SH, rol) ROWS(ROW_SH, ror) ROWS(ROW_SH, rcl) ROWS(ROW_SH, rcr)
	ROWS(ROW_SH, shl) ROWS(ROW_SH, shr) ROWS(ROW_SH, sar)
};

#define DEF_IMUL(bits)                                                    \
OP(imul##bits##_rr)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = R##bits(op->src);               \
	ALU_NOIN("imul", bits, d, s);                                     \
	SET##bits(op->dst, d);                                            \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(imul##bits##_rri)                                                      \
{                                                                         \
	T(bits) d = R##bits(op->src), s = (T(bits))op->imm;               \
	ALU_NOIN("imul", bits, d, s);                                     \
	SET##bits(op->dst, d);                                            \
	NEXT(op + 1);                                                     \
}
DEF_IMUL(16) DEF_IMUL(32) DEF_IMUL(64)
soft_fn *const soft_imul_ops[3][2] = { { imul16_rr, imul16_rri },
	{ imul32_rr, imul32_rri }, { imul64_rr, imul64_rri } };
/* clang-format on */
