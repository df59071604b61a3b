/*
 * Instructions that access only some elements of memory: MASKMOVQ, MASKMOVDQU,
 * VMASKMOV, VPMASKMOV and the gathers. Elements that are masked off must not
 * fault, so these go element by element unless the whole operand is plain RAM.
 */
#include "vmm/soft/fpu.h"

#define VEC_MAX 32

struct vec {
	uint8_t b[VEC_MAX];
};

static void
load_vec(const struct soft_cpu *cpu, unsigned reg, struct vec *v)
{
	memcpy(v->b, cpu->xsave + SOFT_XMM(reg), 16);
	memcpy(v->b + 16, cpu->xsave + SOFT_YMMH(reg), 16);
}

/* n bytes; VEX instructions clear the rest. */
static void
store_vec(struct soft_cpu *cpu, unsigned reg, struct vec *v, unsigned n)
{
	memset(v->b + n, 0, VEC_MAX - n);
	memcpy(cpu->xsave + SOFT_XMM(reg), v->b, 16);
	memcpy(cpu->xsave + SOFT_YMMH(reg), v->b + 16, 16);
}

/* The sign of element i of 'size' bytes */
static bool
element_on(const struct vec *mask, unsigned i, unsigned size)
{
	return mask->b[i * size + size - 1] >> 7;
}

/* A byte that is not canonical comes before page faults of others. */
static void
check_canonical(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	uint64_t last = lin + size - 1;

	if (soft_canonical(lin) && soft_canonical(last))
		return;
	soft_raise_error(
	    cpu, cpu->mem_seg == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
}

/* ---- VMASKMOV ---- */

static void
check_elements(struct soft_cpu *cpu, const struct vec *mask, uint64_t lin,
    unsigned size, unsigned total)
{
	for (unsigned i = 0; i < total / size; i++)
		if (element_on(mask, i, size))
			check_canonical(cpu, lin + i * size, size);
}

static void
masked_load(struct soft_cpu *cpu, const struct x86_insn *in, uint64_t lin,
    unsigned size, unsigned total)
{
	struct vec mask, v = { { 0 } };

	load_vec(cpu, in->vvvv, &mask);
	check_elements(cpu, &mask, lin, size, total);
	for (unsigned i = 0; i < total / size; i++)
		if (element_on(&mask, i, size))
			soft_read(cpu, lin + i * size, v.b + i * size, size);
	store_vec(cpu, in->reg, &v, total);
}

static void
masked_store(struct soft_cpu *cpu, const struct x86_insn *in, uint64_t lin,
    unsigned size, unsigned total)
{
	struct vec mask, v;

	load_vec(cpu, in->vvvv, &mask);
	load_vec(cpu, in->reg, &v);
	check_elements(cpu, &mask, lin, size, total);
	for (unsigned i = 0; i < total / size; i++)
		if (element_on(&mask, i, size))
			soft_probe_write(cpu, lin + i * size, size);
	for (unsigned i = 0; i < total / size; i++)
		if (element_on(&mask, i, size))
			soft_write(cpu, lin + i * size, v.b + i * size, size);
}

/*
 * 38 2C-2F (PS, PD by the low bit) and 8C, 8E (D, Q by VEX.W); bit 1 of the
 * opcode is the direction. Segment limits are checked for the whole operand.
 */
void
soft_fp_vmaskmov(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	bool store = in->opcode & 2;
	bool wide =
	    in->opcode < 0x80 ? (in->opcode & 1) != 0 : (in->rex & 8) != 0;
	uint64_t lin = soft_ea(cpu, in, t->size, store);
	void *p = store ? soft_host_write(cpu, lin, t->size)
			: soft_host_read(cpu, lin, t->size);

	if (likely(p != NULL)) {
		t->code(cpu, p, NULL);
		return;
	}
	if (store)
		masked_store(cpu, in, lin, wide ? 8 : 4, t->size);
	else
		masked_load(cpu, in, lin, wide ? 8 : 4, t->size);
}

/* ---- MASKMOVQ, MASKMOVDQU ---- */

/* MMX instructions reset TOP and mark all registers as in use. */
static void
enter_mmx(struct soft_cpu *cpu)
{
	soft_fp_set_top(cpu, 0);
	cpu->xsave[SOFT_X87_FTW] = 0xff;
}

/* DS:rDI, also by another segment and with a smaller address size */
static uint64_t
string_address(struct soft_cpu *cpu, const struct x86_insn *in, unsigned size)
{
	uint64_t off = soft_reg(cpu, X86_RDI, in->adsize);

	return soft_seg_lin(cpu, in->seg, off, size, true);
}

void
soft_fp_maskmov(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	bool mmx = x86_op_class(in, 0) == X86_OC_P;
	unsigned n = mmx ? 8 : 16;
	uint8_t v[16], mask[16];
	uint64_t lin;

	if (mmx) {
		soft_fp_sync(cpu);
		if (cpu->xsave[SOFT_X87_FSW] & 0x80)
			soft_raise(cpu, X86_EXC_MF);
	}
	lin = string_address(cpu, in, n);
	check_canonical(cpu, lin, n);
	if (mmx) {
		/* The image has registers by their place below TOP. */
		unsigned top = cpu->xsave[SOFT_X87_FSW + 1] >> 3 & 7;

		memcpy(v, cpu->xsave + SOFT_ST((in->reg - top) & 7), n);
		memcpy(mask, cpu->xsave + SOFT_ST((in->rm - top) & 7), n);
	} else {
		memcpy(v, cpu->xsave + SOFT_XMM(in->reg), n);
		memcpy(mask, cpu->xsave + SOFT_XMM(in->rm), n);
	}
	for (unsigned i = 0; i < n; i++)
		if (mask[i] >> 7)
			soft_probe_write(cpu, lin + i, 1);
	if (mmx)
		enter_mmx(cpu);
	for (unsigned i = 0; i < n; i++)
		if (mask[i] >> 7)
			soft_write(cpu, lin + i, v + i, 1);
}

/* ---- gathers ---- */

struct gather {
	unsigned index_reg, index_size, size, count;
	uint64_t base; /* offset without the index */
};

/*
 * The decoder takes "no index" from the SIB byte as for other instructions;
 * here it is vector register 4.
 */
static unsigned
vsib_index(const struct x86_insn *in)
{
	uint8_t sib = in->bytes[in->modrm_at + 1];

	return (sib >> 3 & 7) | (in->rex & 2) << 2;
}

/* 90-93: bit 0 = qword indices, VEX.W = qword data. */
static struct gather
gather_shape(struct soft_cpu *cpu, const struct x86_insn *in)
{
	struct x86_insn plain = *in;
	unsigned total = in->vl ? 32 : 16;
	struct gather g = { .index_reg = vsib_index(in),
		.index_size = in->opcode & 1 ? 8 : 4,
		.size = in->rex & 8 ? 8 : 4 };

	g.count = total / (g.size > g.index_size ? g.size : g.index_size);
	plain.index = X86_REG_NONE;
	g.base = soft_ea_offset(cpu, &plain);
	return g;
}

static uint64_t
gather_address(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct gather *g, const struct vec *index, unsigned i)
{
	uint64_t off;

	if (g->index_size == 8) {
		memcpy(&off, index->b + 8 * i, 8);
	} else {
		int32_t d;

		memcpy(&d, index->b + 4 * i, 4);
		off = (uint64_t)(int64_t)d;
	}
	off = g->base + (off << in->scale);
	if (in->adsize == 4)
		off = (uint32_t)off;
	return soft_seg_lin(cpu, in->seg, off, g->size, false);
}

/*
 * A fault at one element leaves those before it done, with their mask bits
 * cleared (Intel SDM vol. 2, VGATHERDPS).
 */
void
soft_fp_gather(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	struct gather g;
	struct vec index, mask, dst;
	unsigned width;

	if (in->adsize == 2 || (in->modrm & 7) != 4)
		soft_raise(cpu, X86_EXC_UD);
	g = gather_shape(cpu, in);
	if (in->reg == in->vvvv || in->reg == g.index_reg ||
	    in->vvvv == g.index_reg)
		soft_raise(cpu, X86_EXC_UD);
	load_vec(cpu, g.index_reg, &index);
	load_vec(cpu, in->vvvv, &mask);
	load_vec(cpu, in->reg, &dst);
	width = g.count * g.size;
	for (unsigned i = 0; i < g.count; i++) {
		if (!element_on(&mask, i, g.size))
			continue;
		soft_read(cpu, gather_address(cpu, in, &g, &index, i),
		    dst.b + i * g.size, g.size);
		memset(mask.b + i * g.size, 0, g.size);
		store_vec(cpu, in->vvvv, &mask, in->vl ? 32 : 16);
		store_vec(cpu, in->reg, &dst, in->vl ? 32 : 16);
	}
	memset(mask.b, 0, sizeof(mask.b));
	store_vec(cpu, in->vvvv, &mask, 16);
	store_vec(cpu, in->reg, &dst, width);
}
