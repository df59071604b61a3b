/*
 * Random instructions of a row, and registers that make them do something:
 * addresses that hit the data window or just miss it, counts that end, corner
 * values of integers and floating point.
 */
#include "gen.h"

#include <string.h>

#include "vmm/x86/match.h"

/* ---- numbers ---- */

void
rng_seed(struct rng *r, uint64_t seed)
{
	r->s[0] = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	r->s[1] = ~seed;
	for (unsigned i = 0; i < 8; i++)
		rng_next(r);
}

/* xorshift128+ */
uint64_t
rng_next(struct rng *r)
{
	uint64_t a = r->s[0], b = r->s[1];

	r->s[0] = b;
	a ^= a << 23;
	r->s[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
	return r->s[1] + b;
}

static bool
chance(struct rng *g, unsigned one_in)
{
	return rng_below(g, one_in) == 0;
}

static uint64_t
corner(struct rng *g)
{
	static const uint64_t values[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff,
		0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
		UINT64_C(0x7fffffffffffffff), UINT64_C(0x8000000000000000),
		UINT64_MAX, UINT64_C(0xffffffff80000000),
		UINT64_C(0x0102030405060708), UINT64_C(0x5555555555555555) };

	switch (rng_below(g, 4)) {
	case 0:
		return values[rng_below(g, sizeof(values) / sizeof(values[0]))];
	case 1:
		return UINT64_C(1) << rng_below(g, 64);
	case 2:
		return rng_next(g) & 0x3f;
	default:
		return rng_next(g);
	}
}

static uint32_t
corner_f32(struct rng *g)
{
	static const uint32_t v[] = { 0, 0x80000000, 0x3f800000, 0xbf800000,
		0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001,
		0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000,
		0xcf000000, 0x5f000000, 0x3f000000, 0x40490fdb };

	if (chance(g, 2))
		return v[rng_below(g, sizeof(v) / sizeof(v[0]))];
	return chance(g, 2) ? (uint32_t)rng_next(g)
			    : 0x3f000000 + (uint32_t)(rng_next(g) & 0x3ffffff);
}

static uint64_t
corner_f64(struct rng *g)
{
	static const uint64_t v[] = { 0, UINT64_C(1) << 63,
		UINT64_C(0x3ff0000000000000), UINT64_C(0xbff0000000000000),
		UINT64_C(0x7ff0000000000000), UINT64_C(0xfff0000000000000),
		UINT64_C(0x7ff8000000000000), UINT64_C(0x7ff0000000000001), 1,
		UINT64_C(0x800fffffffffffff), UINT64_C(0x0010000000000000),
		UINT64_C(0x7fefffffffffffff), UINT64_C(0x41e0000000000000),
		UINT64_C(0x43e0000000000000), UINT64_C(0x36a0000000000000),
		UINT64_C(0x47efffffe0000000), UINT64_C(0x400921fb54442d18) };

	if (chance(g, 2))
		return v[rng_below(g, sizeof(v) / sizeof(v[0]))];
	return chance(g, 2) ? rng_next(g)
			    : UINT64_C(0x3fe0000000000000) +
		(rng_next(g) & UINT64_C(0x7fffffffffffff));
}

static void
corner_f80(struct rng *g, uint8_t *p)
{
	static const uint16_t exps[] = { 0, 0x7fff, 0x3fff, 0x4000, 0x403e,
		0x403d, 0x3f81, 0x43fe, 0x7ffe, 1, 0x3c01, 0x407e };
	uint64_t m = chance(g, 3) ? rng_next(g) : corner(g);
	uint16_t e = chance(g, 2)
	    ? exps[rng_below(g, sizeof(exps) / sizeof(exps[0]))]
	    : (uint16_t)(0x3ff0 + rng_below(g, 64));

	/* Mostly normal numbers; pseudo-denormals and unnormals at times. */
	if (!chance(g, 8) && e != 0)
		m |= UINT64_C(1) << 63;
	if (chance(g, 6))
		m = e == 0 ? 0 : UINT64_C(1) << 63;
	e |= chance(g, 2) ? 0x8000 : 0;
	memcpy(p, &m, 8);
	memcpy(p + 8, &e, 2);
}

static void
corner_vector(struct rng *g, uint8_t *p)
{
	unsigned kind = rng_below(g, 4);

	for (unsigned i = 0; i < 16; i += 8) {
		uint64_t v = 0;

		switch (kind) {
		case 0:
			v = corner_f32(g) | (uint64_t)corner_f32(g) << 32;
			break;
		case 1:
			v = corner_f64(g);
			break;
		case 2:
			v = corner(g);
			break;
		default:
			v = rng_next(g);
		}
		memcpy(p + i, &v, 8);
	}
}

static void
put16(uint8_t *p, unsigned v)
{
	uint16_t w = (uint16_t)v;

	memcpy(p, &w, 2);
}

static void
gen_x87(struct rng *g, uint8_t *x)
{
	unsigned fcw = 0x37f, fsw = rng_below(g, 0x10000) & 0x7fff;

	if (chance(g, 2))
		fcw = (rng_below(g, 0x10000) & 0x0f00) | 0x7f;
	if (chance(g, 5))
		fcw = (fcw & ~0x3fu) | rng_below(g, 64);
	if (!chance(g, 16)) /* a pending exception only at times */
		fsw &= fcw | ~0x3fu;
	fsw &= ~0x80u;
	if ((fsw & 0x3f & ~fcw) != 0)
		fsw |= 0x8080;
	if (!(fsw & 1)) /* SF without IE does not happen */
		fsw &= ~0x40u;
	put16(x + XS_FCW, fcw);
	put16(x + XS_FSW, fsw);
	x[XS_FTW] = chance(g, 3) ? (uint8_t)rng_next(g) : 0xff;
	for (unsigned i = 0; i < 8; i++)
		corner_f80(g, x + XS_ST + 16 * i);
}

void
gen_fp_state(struct rng *g, uint8_t *x, bool avx)
{
	uint32_t mxcsr = 0x1f80;
	uint64_t bv = avx ? 7 : 3;

	memset(x, 0, XSAVE_SIZE);
	gen_x87(g, x);
	if (chance(g, 2))
		mxcsr = (uint32_t)(rng_next(g) & 0xe07f) | 0x1f80;
	if (chance(g, 5))
		mxcsr &= ~(uint32_t)(rng_next(g) & 0x1f80);
	memcpy(x + XS_MXCSR, &mxcsr, 4);
	for (unsigned i = 0; i < 16; i++) {
		corner_vector(g, x + XS_XMM + 16 * i);
		if (avx)
			corner_vector(g, x + XS_YMMH + 16 * i);
	}
	memcpy(x + XS_HEADER, &bv, 8);
}

/* ---- bytes ---- */

struct bytes {
	uint8_t b[32];
	unsigned n;
};

static void
put(struct bytes *b, unsigned v)
{
	b->b[b->n++] = (uint8_t)v;
}

static uint8_t
make_modrm(struct rng *g, const struct x86_row *row)
{
	uint8_t m = (uint8_t)rng_next(g);

	switch (row->modrm) {
	case X86_MR_MEM:
		return m >= 0xc0 ? m & 0x7f : m;
	case X86_MR_REG:
		return m | 0xc0;
	case X86_MR_DIGIT:
		return (m & 0xc7) | row->digit << 3;
	case X86_MR_DIGIT_M:
		m = (m & 0xc7) | row->digit << 3;
		return m >= 0xc0 ? m & 0x7f : m;
	case X86_MR_DIGIT_R:
		return (m & 7) | 0xc0 | row->digit << 3;
	case X86_MR_EQ:
		return row->digit;
	default:
		return m;
	}
}

static void
make_prefixes(
    struct rng *g, const struct x86_row *row, unsigned mode, struct bytes *b)
{
	bool any = row->pfx == X86_MP_ANY;

	if (chance(g, 12))
		put(b, 0x67);
	if (mode == 8 && chance(g, 16)) /* GS is null in 32-bit code */
		put(b, 0x65);
	if (chance(g, 32))
		put(b, 0x3e);
	if ((row->attr & X86_A_LOCK) ? chance(g, 4) : chance(g, 200))
		put(b, 0xf0);
	if (row->pfx == X86_MP_P66 || (any && chance(g, 4)) ||
	    ((row->pfx == X86_MP_PF2 || row->pfx == X86_MP_PF3) &&
		chance(g, 16)))
		put(b, 0x66);
	if (row->pfx == X86_MP_PF3 ||
	    (any && (row->attr & X86_A_STR) && chance(g, 3)))
		put(b, 0xf3);
	else if (row->pfx == X86_MP_PF2 ||
	    (any && (row->attr & X86_A_STR) && chance(g, 3)))
		put(b, 0xf2);
	if (mode == 8 && chance(g, 2))
		put(b, 0x40 | rng_below(g, 16));
}

static void
make_legacy(
    struct rng *g, const struct x86_row *row, unsigned mode, struct bytes *b)
{
	make_prefixes(g, row, mode, b);
	if (row->map != X86_MAP_M1)
		put(b, 0x0f);
	if (row->map == X86_MAP_M38)
		put(b, 0x38);
	if (row->map == X86_MAP_M3A)
		put(b, 0x3a);
}

static void
make_vex(
    struct rng *g, const struct x86_row *row, unsigned mode, struct bytes *b)
{
	static const uint8_t pp[] = { [X86_MP_NP] = 0,
		[X86_MP_P66] = 1,
		[X86_MP_PF3] = 2,
		[X86_MP_PF2] = 3 };
	unsigned last = pp[row->pfx] | (rng_below(g, 2) << 2);
	unsigned fixed = mode == 8 ? 0 : 0xc0; /* else LES and LDS */

	last |= chance(g, 2) ? 0x78 : rng_below(g, 16) << 3;
	if (chance(g, 12))
		put(b, 0x67);
	if (mode == 8 && chance(g, 16))
		put(b, 0x65);
	if (row->map == X86_MAP_V0F && chance(g, 2)) {
		put(b, 0xc5);
		put(b, last | rng_below(g, 2) << 7 | fixed);
		return;
	}
	put(b, 0xc4);
	put(b, rng_below(g, 8) << 5 | (row->map - X86_MAP_V0F + 1u) | fixed);
	put(b, last | rng_below(g, 2) << 7);
}

static void
make_bytes(
    struct rng *g, const struct x86_row *row, unsigned mode, struct bytes *b)
{
	unsigned end;

	b->n = 0;
	if (row->map >= X86_MAP_V0F)
		make_vex(g, row, mode, b);
	else
		make_legacy(g, row, mode, b);
	put(b, row->opcode);
	if (row->modrm != X86_MR_NONE)
		put(b, make_modrm(g, row));
	end = b->n;
	while (b->n < sizeof(b->b))
		put(b,
		    chance(g, 3) ? (unsigned)corner(g) : (unsigned)rng_next(g));
	b->n = end;
}

/* ---- addresses ---- */

/* Where the operand of 'size' bytes goes. */
static uint64_t
target(struct rng *g, unsigned size)
{
	unsigned s = size == 0 ? 1 : size > 64 ? 64 : size;

	switch (rng_below(g, 40)) {
	case 0: /* from one page into the next */
	case 1:
	case 2:
	case 3:
		return DATA_ADDR + PAGE - rng_below(g, s);
	case 4: /* read-only */
		return DATA_ADDR + DATA_RW + rng_below(g, PAGE - 64);
	case 5: /* partly read-only */
		return DATA_ADDR + DATA_RW - rng_below(g, s);
	case 6: /* partly not there */
		return DATA_ADDR + DATA_SIZE - rng_below(g, s);
	case 7:
		return DATA_ADDR - rng_below(g, s);
	case 8: /* large operands are accessed in pieces */
		if (s > 32 || (s & (s - 1)) != 0)
			break;
		return UINT64_C(0x0000800000000000) - rng_below(g, s);
	case 9:
		return corner(g);
	default:
		break;
	}
	if (chance(g, 2))
		return DATA_ADDR + 64 * rng_below(g, DATA_RW / 64 - 2);
	return DATA_ADDR + rng_below(g, DATA_RW - 128);
}

static void
set_addr_reg(
    struct rng *g, struct regs *r, unsigned reg, uint64_t v, unsigned adsize)
{
	if (adsize == 2)
		v &= 0xffff;
	if (adsize == 4)
		v = (uint32_t)v | (rng_next(g) & ~UINT64_C(0xffffffff));
	r->gpr[reg] = v;
}

static uint64_t
seg_base(const struct x86_insn *in)
{
	return in->seg == 5 ? GS_BASE : 0;
}

static void
patch(uint8_t *code, unsigned at, uint64_t v, unsigned n)
{
	memcpy(code + at, &v, n);
}

/* The disp32 that is the whole address. */
static void
aim_displacement(
    const struct x86_insn *in, uint8_t *code, uint64_t rip, uint64_t to)
{
	unsigned at = in->modrm_at + 1u;

	if ((in->modrm & 7) == 4)
		at++;
	if (in->base == X86_REG_RIP)
		to -= rip + in->len;
	patch(code, at, to, 4);
}

/* Give registers or displacement the values that lead to 'to'. */
static void
aim(struct rng *g, const struct x86_insn *in, uint8_t *code, struct regs *r,
    uint64_t to)
{
	uint64_t index = 0;

	if (in->adsize == 2) /* 64 KiB reach no window */
		return;
	to -= seg_base(in);
	if (in->base == X86_REG_RIP ||
	    (in->base == X86_REG_NONE && in->index == X86_REG_NONE)) {
		aim_displacement(in, code, r->rip, to);
		return;
	}
	if (in->index != X86_REG_NONE && in->index != in->base) {
		if (in->base == X86_REG_NONE) {
			set_addr_reg(g, r, in->index,
			    (to - (uint64_t)in->disp) >> in->scale, in->adsize);
			return;
		}
		index = chance(g, 8) ? corner(g) : rng_below(g, 256) - 128;
		set_addr_reg(g, r, in->index, index, in->adsize);
	}
	if (in->base != X86_REG_NONE)
		set_addr_reg(g, r, in->base,
		    to - (uint64_t)in->disp - (index << in->scale), in->adsize);
}

static void
aim_gather(
    struct rng *g, const struct x86_insn *in, uint8_t *code, struct regs *r)
{
	struct x86_insn plain = *in;
	uint8_t sib = in->bytes[in->modrm_at + 1];
	unsigned reg = (sib >> 3 & 7) | (in->rex & 2) << 2;
	bool wide = in->opcode & 1, wild = chance(g, 8);

	plain.index = X86_REG_NONE;
	aim(g, &plain, code, r, DATA_ADDR + PAGE);
	for (unsigned i = 0; i < (wide ? 4u : 8u); i++) {
		int64_t v = wild && chance(g, 4)
		    ? (int64_t)corner(g)
		    : (int64_t)rng_below(g, 900) - 450;
		unsigned n = wide ? 8 : 4, o = i * n;
		uint8_t *p = o < 16 ? r->xsave + XS_XMM + 16 * reg + o
				    : r->xsave + XS_YMMH + 16 * reg + o - 16;

		memcpy(p, &v, n);
	}
}

static bool
has_class(const struct x86_insn *in, enum x86_opclass class)
{
	for (unsigned i = 0; i < 4; i++)
		if (x86_op_class(in, i) == class)
			return true;
	return false;
}

/* Not into the instruction itself */
static uint64_t
code_target(struct rng *g, uint64_t rip)
{
	uint64_t to = CODE_ADDR + 64 + rng_below(g, CODE_SIZE - 192);

	return to - (rip - 16) < 48 ? to + 48 : to;
}

/* A value for the operand in the window. */
static void
set_operand(struct rng *g, const struct x86_insn *in, uint8_t *data,
    uint64_t to, struct regs *r)
{
	uint64_t off = to - DATA_ADDR;
	uint8_t v[64];

	if (off > DATA_RW - sizeof(v))
		return;
	for (unsigned i = 0; i < sizeof(v); i += 16)
		if ((in->row->attr & X86_A_FPSIMD) && in->mem_size == 10)
			corner_f80(g, v + i);
		else if (in->row->attr & X86_A_FPSIMD)
			corner_vector(g, v + i);
		else {
			uint64_t w[2] = { corner(g), corner(g) };

			memcpy(v + i, w, 16);
		}
	if ((in->row->attr & X86_A_BR) && !chance(g, 10)) {
		uint64_t c = code_target(g, r->rip);

		memcpy(v, &c, 8);
	}
	if ((in->row->attr & X86_A_CX) && chance(g, 2)) {
		memcpy(v, &r->gpr[0], in->opsize == 8 ? 8 : 4);
		memcpy(v + (in->opsize == 8 ? 8 : 4), &r->gpr[2], 8);
	}
	/* POPF must not switch on what the host's kernel would act on. */
	if (in->row->mn == X86_MN_POPF) {
		v[1] &= 0x8e; /* TF NT IOPL */
		v[2] &= 0x20; /* RF VM AC VIF VIP */
	}
	memcpy(data + off, v, sizeof(v));
}

/* FXSAVE and XSAVE images */
#define STATE_MAX 1024

static uint64_t
state_target(struct rng *g)
{
	if (chance(g, 8))
		return target(g, 64);
	return DATA_ADDR + 64 * rng_below(g, (DATA_RW - STATE_MAX) / 64);
}

/*
 * Mostly an image that can be loaded. EDX:EAX asks for no more than the
 * engine knows.
 */
static void
set_state_image(struct rng *g, uint8_t *data, uint64_t to, struct regs *r)
{
	uint64_t off = to - DATA_ADDR, bv = rng_below(g, 8);

	r->gpr[0] = rng_below(g, 8);
	r->gpr[2] = 0;
	if (off > DATA_RW - STATE_MAX)
		return;
	gen_fp_state(g, data + off, true);
	memcpy(data + off + XS_HEADER, &bv, sizeof(bv));
	if (chance(g, 8))
		data[off + XS_MXCSR + rng_below(g, 4)] = (uint8_t)rng_next(g);
	if (chance(g, 8))
		data[off + XS_HEADER + 8 + rng_below(g, 56)] =
		    (uint8_t)rng_next(g);
}

static void
set_string_regs(struct rng *g, const struct x86_insn *in, struct regs *r)
{
	if (has_class(in, X86_OC_X))
		set_addr_reg(g, r, 6, target(g, 8) - seg_base(in), in->adsize);
	if (has_class(in, X86_OC_Y))
		set_addr_reg(g, r, 7, target(g, 8), in->adsize);
	if (in->row->attr & X86_A_MASKMOV)
		set_addr_reg(g, r, 7, target(g, 16) - seg_base(in), in->adsize);
	set_addr_reg(g, r, 1,
	    chance(g, 6)       ? 0
		: chance(g, 2) ? rng_below(g, 8)
			       : rng_below(g, 100),
	    in->adsize);
}

static void
set_special_regs(struct rng *g, const struct x86_insn *in, uint8_t *code,
    struct regs *r, uint8_t *data)
{
	if ((in->row->attr & (X86_A_STR | X86_A_MASKMOV)) != 0)
		set_string_regs(g, in, r);
	else if (in->row->mn == X86_MN_XLAT)
		set_addr_reg(g, r, 3,
		    target(g, 1) - seg_base(in) - (r->gpr[0] & 0xff),
		    in->adsize);
	if (has_class(in, X86_OC_O))
		patch(code, in->len - in->adsize,
		    target(g, in->opsize) - seg_base(in), in->adsize);
	if (in->row->mn == X86_MN_DIV || in->row->mn == X86_MN_IDIV)
		if (chance(g, 2))
			r->gpr[2] = r->gpr[0] >> 63 ? UINT64_MAX : 0;
	if ((in->row->attr & X86_A_BITSTR) && chance(g, 2))
		r->gpr[in->reg] =
		    (uint64_t)(int64_t)((int)rng_below(g, 4000) - 2000);
	/* Stack: the top is in the window and may be a return address. */
	if (in->row->mn == X86_MN_POPF) /* AC must not get on */
		r->gpr[4] = DATA_ADDR + rng_below(g, DATA_RW - 128);
	else if (!chance(g, 24))
		r->gpr[4] = target(g, 16);
	if (in->row->mn == X86_MN_LEAVE && !chance(g, 8))
		r->gpr[5] = target(g, 16);
	if (in->mod == 3 || !in->has_modrm)
		set_operand(g, in, data, r->gpr[4], r);
	if ((in->row->attr & X86_A_BR) && in->mod == 3 && in->has_modrm &&
	    !chance(g, 8))
		r->gpr[in->rm] = code_target(g, r->rip);
	if (in->row->mn == X86_MN_JCXZ && chance(g, 2))
		r->gpr[1] = 0;
}

static void
random_regs(struct rng *g, unsigned mode, struct regs *r)
{
	for (unsigned i = 0; i < 16; i++)
		r->gpr[i] = mode == 8 || i < 8 ? corner(g) : 0;
	r->rflags = (rng_next(g) & 0x8d5) | 0x202;
	if (chance(g, 4))
		r->rflags |= 0x400;
}

/*
 * A branch into its own bytes would run what lies there, and so would one to
 * the pages of the native executor.
 */
static bool
goes_astray(const struct x86_insn *in, uint64_t rip)
{
	uint64_t to = rip + in->len + in->imm;

	if (!has_class(in, X86_OC_J))
		return false;
	return to - rip < in->len ||
	    (uint32_t)to - CTX_ADDR < STUB_ADDR + PAGE - CTX_ADDR;
}

bool
gen_case(struct rng *g, const struct x86_row *row, uint8_t *code,
    struct regs *r, uint8_t *data, struct testcase *tc)
{
	struct bytes b;
	uint64_t to = 0;
	uint8_t *p;
	int len;

	tc->mode = row->mode == X86_MODE_I64 ||
		(row->mode == X86_MODE_ANY && chance(g, 3))
	    ? 4
	    : 8;
	make_bytes(g, row, tc->mode, &b);
	len = x86_decode(&tc->in, b.b, sizeof(b.b), tc->mode);
	if (len <= 0 || tc->in.row != row)
		return false;
	random_regs(g, tc->mode, r);
	r->rip = CODE_ADDR + 1024 + rng_below(g, 2048);
	if (chance(g, 16)) /* across a page */
		r->rip = CODE_ADDR + PAGE - rng_below(g, (unsigned)len);
	p = code + (r->rip - CODE_ADDR);
	memcpy(p, b.b, (size_t)len);
	tc->fp = row->attr & (X86_A_FPSIMD | X86_A_FPSTATE);
	tc->branch = row->attr & X86_A_BR;
	if (tc->fp)
		gen_fp_state(g, r->xsave, true);
	set_special_regs(g, &tc->in, p, r, data);
	if (row->attr & X86_A_GATHER) {
		if ((tc->in.modrm & 7) == 4)
			aim_gather(g, &tc->in, p, r);
	} else if (tc->in.has_modrm && tc->in.mod != 3) {
		to = row->attr & X86_A_FPSTATE ? state_target(g)
					       : target(g, tc->in.mem_size);
		aim(g, &tc->in, p, r, to);
		set_operand(g, &tc->in, data, to, r);
		if (row->attr & X86_A_FPSTATE)
			set_state_image(g, data, to, r);
	}
	/* Displacements were patched. */
	x86_decode(&tc->in, p, (size_t)len, tc->mode);
	for (unsigned i = 0; i < 16 && tc->mode != 8; i++)
		r->gpr[i] = (uint32_t)r->gpr[i];
	return tc->in.row == row && !goes_astray(&tc->in, r->rip);
}

/* ---- sequences ---- */

bool
gen_step(
    struct rng *g, const struct x86_row *row, uint8_t *p, struct x86_insn *in)
{
	struct bytes b;

	for (unsigned i = 0; i < 60; i++) {
		make_bytes(g, row, 8, &b);
		if (x86_decode(in, b.b, sizeof(b.b), 8) <= 0 || in->row != row)
			continue;
		if (in->has_modrm && in->mod != 3 &&
		    (in->base >= X86_REG_NONE || in->mod == 2 ||
			in->adsize != 8 || in->seg >= 4 ||
			(in->index != X86_REG_NONE && !chance(g, 4))))
			continue;
		memcpy(p, b.b, in->len);
		return true;
	}
	return false;
}

void
gen_sequence_regs(struct rng *g, struct regs *r, uint8_t *data)
{
	random_regs(g, 8, r);
	for (unsigned i = 0; i < 16; i++)
		if (i == 4 || !chance(g, 3))
			r->gpr[i] = DATA_ADDR + 256 +
			    8 * rng_below(g, (DATA_RW - 512) / 8);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t v = corner_f64(g);

		memcpy(data + 8 * rng_below(g, DATA_RW / 8), &v, 8);
	}
	gen_fp_state(g, r->xsave, true);
}
