/*
 * Operations: two-operand and one-operand arithmetic, shifts.
 *
 * The host's instruction does the work on the host's registers or directly on
 * guest memory; its flags are the guest's flags.
 */
#include "vmm/soft/ops.h"

/* clang-format off */
/*
 * As ALU_NEW in ops.h; IN: CF is an input. The others must not even load
 * fl: a chain of operations, each waiting for the last one's flags, takes
 * longer than all the rest of them.
 */
#define ALU_IN(name, bits, d, s) do {                                     \
	uint16_t fl_ = cpu->fl;                                           \
	__asm__("sahf\n\t" name SFX##bits " %2, %0" GET_FLAGS             \
	    : "+r"(d), "+a"(fl_) : "r"(s) : "cc");                        \
	cpu->fl = fl_;                                                    \
} while (0)
#define ALU_MEM_IN(lock, name, bits, p, s) do {                           \
	uint16_t fl_ = cpu->fl;                                           \
	__asm__ volatile("sahf\n\t" lock name SFX##bits " %2, %0" GET_FLAGS \
	    : "+m"(*(p)), "+a"(fl_) : "r"(s) : "cc", "memory");           \
	cpu->fl = fl_;                                                    \
} while (0)
#define ALU_MEM_NEW(lock, name, bits, p, s) do {                          \
	uint16_t fl_;                                                     \
	__asm__ volatile(lock name SFX##bits " %2, %0" GET_FLAGS          \
	    : "+m"(*(p)), "=&a"(fl_) : "r"(s) : "cc", "memory");           \
	cpu->fl = fl_;                                                    \
} while (0)
/* Without flags */
#define ALU_QUIET_IN(name, bits, d, s)                                    \
	__asm__("sahf\n\t" name SFX##bits " %1, %0"                       \
	    : "+r"(d) : "r"(s), "a"(cpu->fl) : "cc")
#define ALU_QUIET_NEW(name, bits, d, s)                                   \
	__asm__(name SFX##bits " %1, %0" : "+r"(d) : "r"(s) : "cc")
#define T(bits) uint##bits##_t

/* Operations that write their first operand */
#define DEF_RW(name, KIND, bits)                                           \
OP(name##bits##_rr)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = R##bits(op->src);               \
	ALU_##KIND(#name, bits, d, s);                                      \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(name##bits##_ri)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = (T(bits))op->imm;               \
	ALU_##KIND(#name, bits, d, s);                                      \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP_LOAD_SET(name##bits##_rm, bits, bits, d,                               \
	T(bits) d = R##bits(op->dst);                                     \
	ALU_##KIND(#name, bits, d, s_);)                                  \
OP_RMW(name##bits##_mr, bits,                                             \
	T(bits) s = R##bits(op->src);                                     \
	ALU_MEM_##KIND("", #name, bits, p_, s);)                            \
OP_RMW(name##bits##_mi, bits,                                             \
	T(bits) s = (T(bits))op->imm;                                     \
	ALU_MEM_##KIND("", #name, bits, p_, s);)                          \
OP_LOCK_G(name##bits##_lock_mr, bits, NEXT(op + 1),                       \
	T(bits) s = R##bits(op->src);                                     \
	ALU_MEM_##KIND("lock ", #name, bits, p_, s);)                     \
OP_LOCK_G(name##bits##_lock_mi, bits, NEXT(op + 1),                       \
	T(bits) s = (T(bits))op->imm;                                     \
	ALU_MEM_##KIND("lock ", #name, bits, p_, s);)

/*
 * Flags that nobody reads. A load that misses the TLB takes the other's slow
 * half, flags and all: a page walk may write to this very block.
 */
#define QUIET_RM(name, KIND, bits, ea)                                    \
OP_LOAD_FAST(name##bits##_rm_##ea##_q, name##bits##_rm_##ea##_slow, bits, \
	EA_##ea, SET_NEXT(bits, d),                                       \
	T(bits) d = R##bits(op->dst);                                     \
	ALU_QUIET_##KIND(#name, bits, d, s_);)
#define DEF_QUIET(name, KIND, bits)                                       \
OP(name##bits##_rr_q)                                                     \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = R##bits(op->src);               \
	ALU_QUIET_##KIND(#name, bits, d, s);                              \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(name##bits##_ri_q)                                                     \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = (T(bits))op->imm;               \
	ALU_QUIET_##KIND(#name, bits, d, s);                              \
	SET_NEXT(bits, d);                                                \
}                                                                         \
QUIET_RM(name, KIND, bits, S)                                             \
QUIET_RM(name, KIND, bits, F)                                             \
QUIET_RM(name, KIND, bits, L)

/* CMP, TEST */
#define DEF_RO(name, KIND, bits)                                           \
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

#define SIZES(DEF, name, kind) \
	DEF(name, kind, 8) DEF(name, kind, 16) DEF(name, kind, 32) DEF(name, kind, 64)
SIZES(DEF_RW, add, NEW)
SIZES(DEF_RW, or, NEW)
SIZES(DEF_RW, adc, IN)
SIZES(DEF_RW, sbb, IN)
SIZES(DEF_RW, and, NEW)
SIZES(DEF_RW, sub, NEW)
SIZES(DEF_RW, xor, NEW)
SIZES(DEF_QUIET, add, NEW)
SIZES(DEF_QUIET, or, NEW)
SIZES(DEF_QUIET, adc, IN)
SIZES(DEF_QUIET, sbb, IN)
SIZES(DEF_QUIET, and, NEW)
SIZES(DEF_QUIET, sub, NEW)
SIZES(DEF_QUIET, xor, NEW)
SIZES(DEF_RO, cmp, NEW)
SIZES(DEF_RO, test, NEW)

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

#define ROW_Q(name, bits) { name##bits##_rr_q, name##bits##_ri_q,         \
	name##bits##_rm_S_q, name##bits##_rm_F_q, name##bits##_rm_L_q },
soft_fn *const soft_alu_quiet[SOFT_ALU_COUNT][4][SOFT_QUIET_FORMS] = {
	ROWS(ROW_Q, add) ROWS(ROW_Q, or) ROWS(ROW_Q, adc) ROWS(ROW_Q, sbb)
	ROWS(ROW_Q, and) ROWS(ROW_Q, sub) ROWS(ROW_Q, xor)
};

/* An operand from acc. q: _q and QUIET_, or nothing */
#define ACC_RW(name, KIND, bits, q, QUIET)                                \
OP(name##bits##_rr_d##q)                                                  \
{                                                                         \
	T(bits) d = (T(bits))acc, s = R##bits(op->src);                   \
	ALU_##QUIET##KIND(#name, bits, d, s);                             \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(name##bits##_rr_s##q)                                                  \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = (T(bits))acc;                   \
	ALU_##QUIET##KIND(#name, bits, d, s);                             \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(name##bits##_ri_d##q)                                                  \
{                                                                         \
	T(bits) d = (T(bits))acc, s = (T(bits))op->imm;                   \
	ALU_##QUIET##KIND(#name, bits, d, s);                             \
	SET_NEXT(bits, d);                                                \
}
#define ACC_RO(name, bits)                                                \
OP(name##bits##_rr_d)                                                     \
{                                                                         \
	T(bits) s = R##bits(op->src);                                     \
	ALU_CMP(#name, bits, (T(bits))acc, s);                            \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(name##bits##_rr_s)                                                     \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	ALU_CMP(#name, bits, d, (T(bits))acc);                            \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(name##bits##_ri_d)                                                     \
{                                                                         \
	T(bits) s = (T(bits))op->imm;                                     \
	ALU_CMP(#name, bits, (T(bits))acc, s);                            \
	NEXT(op + 1);                                                     \
}
#define ACC_ALL(name, KIND)                                               \
	ACC_RW(name, KIND, 32, , ) ACC_RW(name, KIND, 32, _q, QUIET_)     \
	ACC_RW(name, KIND, 64, , ) ACC_RW(name, KIND, 64, _q, QUIET_)
ACC_ALL(add, NEW) ACC_ALL(or, NEW) ACC_ALL(adc, IN) ACC_ALL(sbb, IN)
ACC_ALL(and, NEW) ACC_ALL(sub, NEW) ACC_ALL(xor, NEW)
ACC_RO(cmp, 32) ACC_RO(cmp, 64) ACC_RO(test, 32) ACC_RO(test, 64)
#define ROW_ACC(name, bits, q)                                            \
	{ name##bits##_rr_d##q, name##bits##_rr_s##q, name##bits##_ri_d##q }
#define ROWS_ACC(name) {                                                  \
	{ ROW_ACC(name, 32, ), ROW_ACC(name, 32, _q) },                   \
	{ ROW_ACC(name, 64, ), ROW_ACC(name, 64, _q) } },
#define ROWS_ACC_RO(name) { { ROW_ACC(name, 32, ) }, { ROW_ACC(name, 64, ) } },
soft_fn *const soft_alu_acc[SOFT_ALU_COUNT][2][2][SOFT_ACC_COUNT] = {
	ROWS_ACC(add) ROWS_ACC(or) ROWS_ACC(adc) ROWS_ACC(sbb) ROWS_ACC(and)
	ROWS_ACC(sub) ROWS_ACC(xor) ROWS_ACC_RO(cmp) ROWS_ACC_RO(test)
};

/* ---- one operand; sahf keeps CF for INC, DEC and everything for NOT ---- */
#define UN(lock, name, bits, constraint, d) do {                          \
	uint16_t fl_ = cpu->fl;                                           \
	__asm__ volatile("sahf\n\t" lock name SFX##bits " %0" GET_FLAGS   \
	    : constraint(d), "+a"(fl_) : : "cc", "memory");               \
	cpu->fl = fl_;                                                    \
} while (0)
/* NEG sets all of them. */
#define UN_NEG(lock, name, bits, constraint, d) do {                      \
	uint16_t fl_;                                                     \
	__asm__ volatile(lock name SFX##bits " %0" GET_FLAGS              \
	    : constraint(d), "=&a"(fl_) : : "cc", "memory");              \
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
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP_RMW(name##bits##_m, bits, DO("", #name, bits, "+m", *p_);)             \
OP_LOCK_G(name##bits##_m_lock, bits, NEXT(op + 1),                            \
	DO("lock ", #name, bits, "+m", *p_);)
SIZES(DEF_UN, inc, UN)
SIZES(DEF_UN, dec, UN)
SIZES(DEF_UN, neg, UN_NEG)
SIZES(DEF_UN, not, UN_NOT)
#define DEF_UN_Q(name, KIND, bits)                                        \
OP(name##bits##_r_q)                                                      \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	__asm__(#name SFX##bits " %0" : "+r"(d) : : "cc");                \
	SET_NEXT(bits, d);                                                \
}
SIZES(DEF_UN_Q, inc, )
SIZES(DEF_UN_Q, dec, )
SIZES(DEF_UN_Q, neg, )
#define ROW_UN_Q(name, bits) name##bits##_r_q,
soft_fn *const soft_unary_quiet[SOFT_UNARY_COUNT][4] = {
	ROWS(ROW_UN_Q, inc) ROWS(ROW_UN_Q, dec) ROWS(ROW_UN_Q, neg)
};
#define ROW_UN(name, bits) { name##bits##_r, name##bits##_m_S,            \
	name##bits##_m_F, name##bits##_m_L, name##bits##_m_G, name##bits##_m_lock },
soft_fn *const soft_unary_ops[SOFT_UNARY_COUNT][4][SOFT_U_COUNT] = {
	ROWS(ROW_UN, inc) ROWS(ROW_UN, dec) ROWS(ROW_UN, neg) ROWS(ROW_UN, not)
};

/*
 * ---- shifts and rotates ----
 * A count of 0 changes no flag. Others: shifts write them all (AF is
 * undefined), rotates write CF and OF. OF is not part of what sahf loads, but
 * the instruction writes it, or leaves it undefined.
 */
#define SHIFT_COUNT(bits, count) ((uint8_t)((count) & ((bits) == 64 ? 63 : 31)))
#define SHIFT_IN(name, bits, constraint, d, count) do {                   \
	uint16_t fl_ = cpu->fl;                                           \
	uint8_t cl_ = SHIFT_COUNT(bits, count);                           \
	if (cl_ != 0) {                                                   \
		__asm__ volatile("sahf\n\t" name SFX##bits " %%cl, %0"    \
		    GET_FLAGS                                             \
		    : constraint(d), "+a"(fl_) : "c"(cl_) : "cc", "memory"); \
		cpu->fl = fl_;                                            \
	}                                                                 \
} while (0)
#define SHIFT_NEW(name, bits, constraint, d, count) do {                  \
	uint16_t fl_;                                                     \
	uint8_t cl_ = SHIFT_COUNT(bits, count);                           \
	if (cl_ != 0) {                                                   \
		__asm__ volatile(name SFX##bits " %%cl, %0" GET_FLAGS     \
		    : constraint(d), "=&a"(fl_) : "c"(cl_) : "cc", "memory"); \
		cpu->fl = fl_;                                            \
	}                                                                 \
} while (0)
#define DEF_SH(name, KIND, bits)                                           \
OP(name##bits##_ri)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	SHIFT_##KIND(#name, bits, "+r", d, op->imm);                             \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(name##bits##_rc)                                                       \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	SHIFT_##KIND(#name, bits, "+r", d, cpu->gpr[X86_RCX]);                   \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP_RMW_G(name##bits##_mi, bits, NEXT(op + 1),                             \
	SHIFT_##KIND(#name, bits, "+m", *p_, op->imm);)                          \
OP_RMW_G(name##bits##_mc, bits, NEXT(op + 1),                             \
	SHIFT_##KIND(#name, bits, "+m", *p_, cpu->gpr[X86_RCX]);)
SIZES(DEF_SH, rol, IN)
SIZES(DEF_SH, ror, IN)
SIZES(DEF_SH, rcl, IN)
SIZES(DEF_SH, rcr, IN)
SIZES(DEF_SH, shl, NEW)
SIZES(DEF_SH, shr, NEW)
SIZES(DEF_SH, sar, NEW)
#define SHIFT_QUIET(name, bits, d, count)                                 \
	__asm__(name SFX##bits " %%cl, %0"                                \
	    : "+r"(d) : "c"((uint8_t)(count)) : "cc")
#define DEF_SH_Q(name, KIND, bits)                                        \
OP(name##bits##_ri_q)                                                     \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	SHIFT_QUIET(#name, bits, d, op->imm);                             \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(name##bits##_rc_q)                                                     \
{                                                                         \
	T(bits) d = R##bits(op->dst);                                     \
	SHIFT_QUIET(#name, bits, d, cpu->gpr[X86_RCX]);                   \
	SET_NEXT(bits, d);                                                \
}
SIZES(DEF_SH_Q, rol, )
SIZES(DEF_SH_Q, ror, )
SIZES(DEF_SH_Q, shl, )
SIZES(DEF_SH_Q, shr, )
SIZES(DEF_SH_Q, sar, )
#define ROW_SH_Q(name, bits) { name##bits##_ri_q, name##bits##_rc_q },
soft_fn *const soft_shift_quiet[SOFT_SHIFT_COUNT][4][2] = {
	[SOFT_ROL] = ROWS(ROW_SH_Q, rol) [SOFT_ROR] = ROWS(ROW_SH_Q, ror)
	[SOFT_SHL] = ROWS(ROW_SH_Q, shl) [SOFT_SHR] = ROWS(ROW_SH_Q, shr)
	[SOFT_SAR] = ROWS(ROW_SH_Q, sar)
};
#define SHIFT_ACC(name, KIND, bits)                                       \
OP(name##bits##_ri_d)                                                     \
{                                                                         \
	T(bits) d = (T(bits))acc;                                         \
	SHIFT_##KIND(#name, bits, "+r", d, op->imm);                      \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(name##bits##_ri_d_q)                                                   \
{                                                                         \
	T(bits) d = (T(bits))acc;                                         \
	SHIFT_QUIET(#name, bits, d, op->imm);                             \
	SET_NEXT(bits, d);                                                \
}
#define SHIFT_ACC2(name, KIND) SHIFT_ACC(name, KIND, 32) SHIFT_ACC(name, KIND, 64)
SHIFT_ACC2(rol, IN) SHIFT_ACC2(ror, IN)
SHIFT_ACC2(shl, NEW) SHIFT_ACC2(shr, NEW) SHIFT_ACC2(sar, NEW)
#define ROW_SH_ACC(name) { { name##32_ri_d, name##32_ri_d_q },            \
	{ name##64_ri_d, name##64_ri_d_q } }
soft_fn *const soft_shift_acc[SOFT_SHIFT_COUNT][2][2] = {
	[SOFT_ROL] = ROW_SH_ACC(rol), [SOFT_ROR] = ROW_SH_ACC(ror),
	[SOFT_SHL] = ROW_SH_ACC(shl), [SOFT_SHR] = ROW_SH_ACC(shr),
	[SOFT_SAR] = ROW_SH_ACC(sar)
};
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
	ALU_NEW("imul", bits, d, s);                                     \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(imul##bits##_rri)                                                      \
{                                                                         \
	T(bits) d = R##bits(op->src), s = (T(bits))op->imm;               \
	ALU_NEW("imul", bits, d, s);                                     \
	SET_NEXT(bits, d);                                                \
}                                                                         \
OP(imul##bits##_rr_q)                                                     \
{                                                                         \
	SET_NEXT(bits, (uint64_t)R##bits(op->dst) * R##bits(op->src)); \
}                                                                         \
OP(imul##bits##_rri_q)                                                    \
{                                                                         \
	SET_NEXT(bits, (uint64_t)R##bits(op->src) * op->imm); \
}
DEF_IMUL(16) DEF_IMUL(32) DEF_IMUL(64)
soft_fn *const soft_imul_ops[3][2] = { { imul16_rr, imul16_rri },
	{ imul32_rr, imul32_rri }, { imul64_rr, imul64_rri } };
soft_fn *const soft_imul_quiet[3][2] = { { imul16_rr_q, imul16_rri_q },
	{ imul32_rr_q, imul32_rri_q }, { imul64_rr_q, imul64_rri_q } };

/*
 * ---- rAX, rDX by a register ----
 * Quotients that fit for certain; what may not is left to the function. Flags
 * after divisions are undefined, after multiplications all but CF and OF.
 */
#define RAX cpu->gpr[X86_RAX]
#define RDX cpu->gpr[X86_RDX]
/* all ones where the sign bit is set */
#define SIGN_OF(v, bits) ((T(bits))(0 - (T(bits))((v) >> ((bits)-1))))
#define DEF_WIDE(bits)                                                    \
OP(div##bits)                                                             \
{                                                                         \
	T(bits) a = (T(bits))RAX, d = (T(bits))RDX, s = R##bits(op->src); \
	if (unlikely(d >= s))                                             \
		INSTEAD(soft_op_insn);                                    \
	__asm__("div" SFX##bits " %2" : "+a"(a), "+d"(d) : "r"(s) : "cc"); \
	RAX = a;                                                          \
	RDX = d;                                                          \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(idiv##bits)                                                            \
{                                                                         \
	T(bits) a = (T(bits))RAX, d = (T(bits))RDX, s = R##bits(op->src); \
	if (unlikely(d != SIGN_OF(a, bits) ||                             \
		s + 1 < 2))                                               \
		INSTEAD(soft_op_insn);                                    \
	__asm__("idiv" SFX##bits " %2" : "+a"(a), "+d"(d) : "r"(s) : "cc"); \
	RAX = a;                                                          \
	RDX = d;                                                          \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(mul##bits)                                                             \
{                                                                         \
	T(bits) a = (T(bits))RAX, d, s = R##bits(op->src);                \
	__asm__("mul" SFX##bits " %2" : "+a"(a), "=d"(d) : "r"(s) : "cc"); \
	RAX = a;                                                          \
	RDX = d;                                                          \
	cpu->fl = (cpu->fl & (uint16_t)~(FL_CF | FL_OF)) |                \
	    (d != 0 ? FL_CF | FL_OF : 0);                                 \
	NEXT(op + 1);                                                     \
}                                                                         \
OP(imul##bits)                                                            \
{                                                                         \
	T(bits) a = (T(bits))RAX, d, s = R##bits(op->src);                \
	__asm__("imul" SFX##bits " %2" : "+a"(a), "=d"(d) : "r"(s) : "cc"); \
	RAX = a;                                                          \
	RDX = d;                                                          \
	cpu->fl = (cpu->fl & (uint16_t)~(FL_CF | FL_OF)) |                \
	    (d != SIGN_OF(a, bits) ? FL_CF | FL_OF : 0);                  \
	NEXT(op + 1);                                                     \
}
DEF_WIDE(32)
DEF_WIDE(64)
/* clang-format on */

void
soft_lower_wide(struct soft_op *op, const struct x86_insn *in)
{
	static const struct {
		uint16_t mn;
		soft_fn *fn[2];
	} rows[] = { { X86_MN_DIV, { div32, div64 } },
		{ X86_MN_IDIV, { idiv32, idiv64 } },
		{ X86_MN_MUL, { mul32, mul64 } },
		{ X86_MN_IMUL, { imul32, imul64 } } };
	unsigned bytes = x86_op_bytes(in, 0);

	if (in->mod != 3 || bytes < 4 || in->row->op[1] != X86_OP___)
		return;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (in->row->mn == rows[i].mn) {
			op->src = OP_REG(in->rm);
			op->fn = rows[i].fn[bytes == 8];
		}
}
