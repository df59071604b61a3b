/*
 * Pairs of operations in one handler: what costs an interpreter most is the
 * jump from one operation to the next, and these pairs are every eighth
 * instruction: a comparison or a counter with its branch, pushes and pops in a
 * row.
 *
 * The pair's handler stands in the first operation; the second one stays as it
 * was and is reached alone when the first leaves the fast path.
 */
#include "vmm/soft/ops.h"

#define T(bits) uint##bits##_t

/* clang-format off */
/* The branch of the second operation; op becomes that. */
#define BRANCH(cc)                                                        \
	op++;                                                             \
	if (!soft_cond(cpu->fl, cc))                                      \
		NEXT(op + 1);                                             \
	GO_IN_PAGE

#define RR(name, bits, cc)                                                \
OP(name##bits##_rr_##cc)                                                  \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = R##bits(op->src);               \
	ALU_CMP(#name, bits, d, s);                                       \
	BRANCH(cc);                                                       \
}
#define RI(name, bits, cc)                                                \
OP(name##bits##_ri_##cc)                                                  \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = (T(bits))op->imm;               \
	ALU_CMP(#name, bits, d, s);                                       \
	BRANCH(cc);                                                       \
}
/* Ends of loops: counters */
#define RW(name, bits, cc)                                                \
OP(name##bits##_ri_##cc)                                                  \
{                                                                         \
	T(bits) d = R##bits(op->dst), s = (T(bits))op->imm;               \
	ALU_NEW(#name, bits, d, s);                                       \
	SET##bits(op->dst, d);                                            \
	BRANCH(cc);                                                       \
}
/* Memory at base + disp; on a miss the plain operation. */
#define LOAD(bits, alu, index, form)                                      \
	uint64_t lin_ = EA_S;                                             \
	const struct soft_tlb *e_ =                                       \
	    &cpu->tlb[lin_ >> 12 & (SOFT_TLB_SIZE - 1)];                  \
	uint64_t off_ = lin_ ^ e_->r;                                     \
	T(bits) s_;                                                       \
	if (unlikely(off_ > 4096 - bits / 8))                             \
		INSTEAD(soft_alu_ops[alu][index][form + SOFT_EA_S]); \
	s_ = *(const volatile soft_mem##bits *)(e_->host + off_)
#define RM(name, bits, alu, index, cc)                                    \
OP(name##bits##_rm_##cc)                                                  \
{                                                                         \
	LOAD(bits, alu, index, SOFT_RM);                                  \
	T(bits) d = R##bits(op->dst);                                     \
	ALU_CMP(#name, bits, d, s_);                                      \
	BRANCH(cc);                                                       \
}
#define MR(name, bits, alu, index, cc)                                    \
OP(name##bits##_mr_##cc)                                                  \
{                                                                         \
	LOAD(bits, alu, index, SOFT_MR);                                  \
	T(bits) s = R##bits(op->src);                                     \
	ALU_CMP(#name, bits, s_, s);                                      \
	BRANCH(cc);                                                       \
}
#define MI(name, bits, alu, index, cc)                                    \
OP(name##bits##_mi_##cc)                                                  \
{                                                                         \
	LOAD(bits, alu, index, SOFT_MI);                                  \
	T(bits) s = (T(bits))op->imm;                                     \
	ALU_CMP(#name, bits, s_, s);                                      \
	BRANCH(cc);                                                       \
}

#define DEF(cc)                                                           \
	RR(cmp, 8, cc) RR(cmp, 32, cc) RR(cmp, 64, cc)                    \
	RI(cmp, 8, cc) RI(cmp, 32, cc) RI(cmp, 64, cc)                    \
	RR(test, 8, cc) RR(test, 32, cc) RR(test, 64, cc)                 \
	RI(test, 8, cc) RI(test, 32, cc)                                  \
	RW(add, 32, cc) RW(add, 64, cc) RW(sub, 32, cc) RW(sub, 64, cc)   \
	RW(and, 32, cc)                                                   \
	RM(cmp, 32, SOFT_CMP, 2, cc) RM(cmp, 64, SOFT_CMP, 3, cc)         \
	MR(cmp, 32, SOFT_CMP, 2, cc) MR(cmp, 64, SOFT_CMP, 3, cc)         \
	MI(cmp, 8, SOFT_CMP, 0, cc) MI(cmp, 32, SOFT_CMP, 2, cc)          \
	MI(cmp, 64, SOFT_CMP, 3, cc) MI(test, 8, SOFT_TEST, 0, cc)
DEF(0) DEF(1) DEF(2) DEF(3) DEF(4) DEF(5) DEF(6) DEF(7)
DEF(8) DEF(9) DEF(10) DEF(11) DEF(12) DEF(13) DEF(14) DEF(15)

#define PAIRS 24
static soft_fn *const branch_pairs[16][PAIRS] = {
#define ROW(cc) {                                                         \
	cmp8_rr_##cc, cmp32_rr_##cc, cmp64_rr_##cc,                       \
	cmp8_ri_##cc, cmp32_ri_##cc, cmp64_ri_##cc,                       \
	test8_rr_##cc, test32_rr_##cc, test64_rr_##cc,                    \
	test8_ri_##cc, test32_ri_##cc,                                    \
	add32_ri_##cc, add64_ri_##cc, sub32_ri_##cc, sub64_ri_##cc,       \
	and32_ri_##cc,                                                    \
	cmp32_rm_##cc, cmp64_rm_##cc, cmp32_mr_##cc, cmp64_mr_##cc,       \
	cmp8_mi_##cc, cmp32_mi_##cc, cmp64_mi_##cc, test8_mi_##cc },
	ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5) ROW(6) ROW(7)
	ROW(8) ROW(9) ROW(10) ROW(11) ROW(12) ROW(13) ROW(14) ROW(15)
};
/* The first operation of each column. */
static const struct {
	uint8_t alu, size, form;
} firsts[PAIRS] = {
	{ SOFT_CMP, 0, SOFT_RR }, { SOFT_CMP, 2, SOFT_RR }, { SOFT_CMP, 3, SOFT_RR },
	{ SOFT_CMP, 0, SOFT_RI }, { SOFT_CMP, 2, SOFT_RI }, { SOFT_CMP, 3, SOFT_RI },
	{ SOFT_TEST, 0, SOFT_RR }, { SOFT_TEST, 2, SOFT_RR }, { SOFT_TEST, 3, SOFT_RR },
	{ SOFT_TEST, 0, SOFT_RI }, { SOFT_TEST, 2, SOFT_RI },
	{ SOFT_ADD, 2, SOFT_RI }, { SOFT_ADD, 3, SOFT_RI }, { SOFT_SUB, 2, SOFT_RI },
	{ SOFT_SUB, 3, SOFT_RI }, { SOFT_AND, 2, SOFT_RI },
	{ SOFT_CMP, 2, SOFT_RM }, { SOFT_CMP, 3, SOFT_RM },
	{ SOFT_CMP, 2, SOFT_MR }, { SOFT_CMP, 3, SOFT_MR },
	{ SOFT_CMP, 0, SOFT_MI }, { SOFT_CMP, 2, SOFT_MI }, { SOFT_CMP, 3, SOFT_MI },
	{ SOFT_TEST, 0, SOFT_MI },
};

/* ---- stack: one look at the TLB for both ---- */

OP(push_push)
{
	uint64_t lin = cpu->gpr[X86_RSP] - 16;
	const struct soft_tlb *e = &cpu->tlb[lin >> 12 & (SOFT_TLB_SIZE - 1)];
	uint64_t off = lin ^ e->w;
	uint8_t *p;

	if (unlikely(off > 4096 - 16 || op[1].src == OP_REG(X86_RSP)))
		INSTEAD(soft_push_r);
	p = e->host + off;
	*(volatile soft_mem64 *)(p + 8) = R64(op->src);
	*(volatile soft_mem64 *)p = R64(op[1].src);
	cpu->gpr[X86_RSP] = lin;
	NEXT(op + 2);
}

OP(pop_pop)
{
	uint64_t lin = cpu->gpr[X86_RSP];
	const struct soft_tlb *e = &cpu->tlb[lin >> 12 & (SOFT_TLB_SIZE - 1)];
	uint64_t off = lin ^ e->r;
	uint64_t a, b;

	if (unlikely(off > 4096 - 16 || op->dst == OP_REG(X86_RSP)))
		INSTEAD(soft_pop_r);
	a = *(const volatile soft_mem64 *)(e->host + off);
	b = *(const volatile soft_mem64 *)(e->host + off + 8);
	cpu->gpr[X86_RSP] = lin + 16;
	R64(op->dst) = a;
	R64(op[1].dst) = b;
	NEXT(op + 2);
}
/* clang-format on */

static soft_fn *
fuse_branch(const struct soft_op *first, unsigned cc)
{
	soft_fn *fn;

	for (unsigned i = 0; i < PAIRS; i++) {
		fn =
		    soft_alu_ops[firsts[i].alu][firsts[i].size][firsts[i].form];
		if (first->fn == fn)
			return branch_pairs[cc][i];
	}
	return NULL;
}

soft_fn *
soft_fuse(const struct soft_op *first, const struct soft_op *second)
{
	if (first->fn == soft_push_r && second->fn == soft_push_r)
		return push_push;
	if (first->fn == soft_pop_r && second->fn == soft_pop_r)
		return pop_pop;
	for (unsigned cc = 0; cc < 16; cc++)
		if (second->fn == soft_jcc_ops[cc][SOFT_IN_PAGE])
			return fuse_branch(first, cc);
	return NULL;
}
