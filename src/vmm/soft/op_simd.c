/*
 * Operations: x87, MMX, SSE and AVX by their thunks (fpu.h). The general one
 * does everything; the others take the cases that matter, where nothing has to
 * be checked but one byte and the TLB, and end in the thunk.
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/ops.h"

/* soft_op.aux */
enum { FP_X87, FP_MMX, FP_SSE, FP_AVX, FP_FWAIT };

static unsigned
fp_kind(const struct x86_insn *in)
{
	bool vector = false, mmx = false;

	if (in->row->mn == X86_MN_FWAIT)
		return FP_FWAIT;
	if (in->row->map >= X86_MAP_V0F)
		return FP_AVX;
	if (in->row->feature == X86_FEAT_X87)
		return FP_X87;
	for (unsigned i = 0; i < 2; i++) {
		unsigned c = x86_op_class(in, i);

		vector |= c == X86_OC_V || c == X86_OC_W || c == X86_OC_U;
		mmx |= c == X86_OC_P || c == X86_OC_Q || c == X86_OC_N;
	}
	if (!vector && (mmx || in->row->feature == X86_FEAT_MMX))
		return FP_MMX;
	return FP_SSE;
}

static uint8_t
on_bit(unsigned kind)
{
	static const uint8_t bit[] = { SOFT_FP_X87_ON, SOFT_FP_X87_ON,
		SOFT_FP_SSE_ON, SOFT_FP_AVX_ON, 0 };

	return bit[kind];
}

/*
 * Intel SDM vol. 3, tables 2-2 (CR0.EM, MP, TS) and 13-1; vol. 1, 13.2, for
 * AVX.
 */
static void
check_fp(struct soft_cpu *cpu, unsigned kind)
{
	bool avx = (cpu->cr4 & X86_CR4_OSXSAVE) && (cpu->xcr0 & 6) == 6 &&
	    (cpu->cr0 & X86_CR0_PE) && !(cpu->rflags & X86_FL_VM);

	if (kind == FP_FWAIT) {
		if ((cpu->cr0 & X86_CR0_MP) && (cpu->cr0 & X86_CR0_TS))
			soft_raise(cpu, X86_EXC_NM);
		return;
	}
	if (kind == FP_X87 && (cpu->cr0 & (X86_CR0_EM | X86_CR0_TS)))
		soft_raise(cpu, X86_EXC_NM);
	if (kind == FP_AVX && !avx)
		soft_raise(cpu, X86_EXC_UD);
	if ((kind == FP_MMX || kind == FP_SSE) && (cpu->cr0 & X86_CR0_EM))
		soft_raise(cpu, X86_EXC_UD);
	if (kind == FP_SSE && !(cpu->cr4 & X86_CR4_OSFXSR))
		soft_raise(cpu, X86_EXC_UD);
	if (cpu->cr0 & X86_CR0_TS)
		soft_raise(cpu, X86_EXC_NM);
	cpu->fp_live |= on_bit(kind);
}

static const struct soft_fp_thunk *
find_thunk(struct soft_cpu *cpu, const struct soft_op *op)
{
	const struct soft_fp_thunk *t = soft_fp_find(cpu, op->insn);
	struct soft_op *w = (struct soft_op *)op;

	if (t == NULL)
		soft_fail(cpu, "FP or SIMD instruction");
	w->imm = (uint64_t)t;
	w->gen = (w->gen & ~UINT64_C(0xffffffff)) | t->serial;
	return t;
}

#define THUNK ((const struct soft_fp_thunk *)op->imm)

/* The serial number is in the low half of gen, FOP in the high half. */
HOT bool
ready(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return likely(((op->dst & ~cpu->fp_live) |
			  (THUNK->serial ^ (uint32_t)op->gen)) == 0);
}

OP(fp_any)
{
	const struct soft_fp_thunk *t = THUNK;

	cpu->cur_off = op->off;
	check_fp(cpu, op->aux);
	if (t->serial != (uint32_t)op->gen)
		t = find_thunk(cpu, op);
	soft_fp_run(cpu, op->insn, t);
	NEXT(op + 1);
}

OP(fp_r)
{
	if (unlikely(!ready(cpu, op)))
		INSTEAD(fp_any);
	cpu->cur_off = op->off;
	return THUNK->code(cpu, NULL, op);
}

soft_fn *const soft_fp_reg_op = fp_r;

/* src: alignment - 1 */
/* clang-format off */
#define DEF_MEM(name, bytes, address, tag)                                \
OP(name)                                                                  \
{                                                                         \
	uint64_t lin = (address);                                         \
	const struct soft_tlb *e =                                        \
	    &cpu->tlb[lin >> 12 & (SOFT_TLB_SIZE - 1)];                   \
	uint64_t off = lin ^ e->tag;                                      \
	if (unlikely(off > 4096 - (bytes) || (lin & op->src) != 0 ||      \
		!ready(cpu, op)))                                         \
		INSTEAD(fp_any);                                   \
	cpu->cur_off = op->off;                                           \
	cpu->fp_data = lin;                                               \
	return THUNK->code(cpu, e->host + off, op);                       \
}
#define DEF_SIZES(bytes)                                                  \
	DEF_MEM(load_S_##bytes, bytes, EA_S, r)                           \
	DEF_MEM(load_F_##bytes, bytes, EA_F, r)                           \
	DEF_MEM(store_S_##bytes, bytes, EA_S, w)                          \
	DEF_MEM(store_F_##bytes, bytes, EA_F, w)
DEF_SIZES(4) DEF_SIZES(8) DEF_SIZES(16) DEF_SIZES(32)
#define ROW_SIZES(bytes) { { load_S_##bytes, load_F_##bytes },            \
	{ store_S_##bytes, store_F_##bytes } },
soft_fn *const soft_fp_mem_ops[4][2][2] = {
	ROW_SIZES(4) ROW_SIZES(8) ROW_SIZES(16) ROW_SIZES(32)
};
/* clang-format on */

static int
size_index(unsigned bytes)
{
	return bytes == 4 ? 0
	    : bytes == 8  ? 1
	    : bytes == 16 ? 2
	    : bytes == 32 ? 3
			  : -1;
}

void
soft_lower_fpsimd(struct soft_cpu *cpu, struct soft_op *op,
    const struct x86_insn *in, unsigned off)
{
	const struct soft_fp_thunk *t = soft_fp_find(cpu, in);
	unsigned kind = fp_kind(in);
	enum soft_ea_kind ea;
	int size;

	op->aux = (uint8_t)kind;
	op->insn = in;
	op->fn = fp_any;
	op->imm = (uint64_t)(t != NULL ? t : &soft_fp_no_thunk);
	op->gen = (uint64_t)((in->opcode & 7u) << 8 | in->modrm) << 32 |
	    (t != NULL ? t->serial : 1);
	if (t == NULL || in->mode != 8 || t->special != NULL ||
	    kind == FP_FWAIT)
		return;
	op->dst = t->live | on_bit(kind);
	if (t->mem == SOFT_FP_NO_MEM) {
		op->fn = fp_r;
		return;
	}
	size = size_index(t->size);
	/* FDP counts from the segment's base. */
	if (size < 0 || (t->x87 && in->seg >= X86_FS))
		return;
	ea = soft_lower_ea(op, in, off);
	op->aux = (uint8_t)kind;
	op->src = t->align;
	if (ea != SOFT_EA_G)
		op->fn = soft_fp_mem_ops[size][t->mem == SOFT_FP_STORE][ea];
}
