/*
 * The decoder: prefixes, opcode, ModRM, then the rows of the opcode in turn.
 */
#include "vmm/x86/decode.h"

#include <stdatomic.h>
#include <string.h>

#include "vmm/state.h"
#include "vmm/x86/match.h"

/* Index of the first row of an opcode + 1; 0 = none. */
static uint16_t first_row[X86_MAP_COUNT][256];
static atomic_int index_ready;

struct cursor {
	struct x86_insn *in;
	const uint8_t *p;
	size_t n; /* readable, at most 15 */
	size_t at;
	bool limited; /* n was cut to 15 */
	int err;
};

/* Racing threads write the same values. */
static void
build_index(void)
{
	for (size_t i = x86_row_count; i-- > 0;)
		first_row[x86_rows[i].map][x86_rows[i].opcode] =
		    (uint16_t)(i + 1);
	atomic_store_explicit(&index_ready, 1, memory_order_release);
}

static uint8_t
fetch8(struct cursor *c)
{
	if (c->at >= c->n) {
		if (!c->err)
			c->err = c->limited ? X86_DECODE_LONG : X86_DECODE_MORE;
		return 0;
	}
	return c->p[c->at++];
}

/* Sign-extended value of 1, 2, 4 or 8 bytes. */
static int64_t
fetch(struct cursor *c, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)fetch8(c) << (8 * i);
	switch (size) {
	case 1:
		return (int8_t)v;
	case 2:
		return (int16_t)v;
	case 4:
		return (int32_t)v;
	default:
		return (int64_t)v;
	}
}

static void
decode_ea16(struct cursor *c)
{
	static const uint8_t base[8] = { X86_RBX, X86_RBX, X86_RBP, X86_RBP,
		X86_RSI, X86_RDI, X86_RBP, X86_RBX };
	static const uint8_t index[8] = { X86_RSI, X86_RDI, X86_RSI, X86_RDI,
		X86_REG_NONE, X86_REG_NONE, X86_REG_NONE, X86_REG_NONE };
	struct x86_insn *in = c->in;
	unsigned rm = in->modrm & 7;

	in->base = base[rm];
	in->index = index[rm];
	if (in->mod == 0 && rm == 6) {
		in->base = X86_REG_NONE;
		in->disp = fetch(c, 2);
	} else if (in->mod == 1)
		in->disp = fetch(c, 1);
	else if (in->mod == 2)
		in->disp = fetch(c, 2);
}

static void
decode_ea(struct cursor *c)
{
	struct x86_insn *in = c->in;
	unsigned rm = in->modrm & 7;
	unsigned sib;

	if (rm == 4) {
		sib = fetch8(c);
		in->scale = sib >> 6;
		in->index = (sib >> 3 & 7) | (in->rex & 2) << 2;
		if (in->index == X86_RSP)
			in->index = X86_REG_NONE;
		in->base = (sib & 7) | (in->rex & 1) << 3;
		if (in->mod == 0 && (sib & 7) == 5) {
			in->base = X86_REG_NONE;
			in->disp = fetch(c, 4);
		}
	} else if (in->mod == 0 && rm == 5) {
		in->base = in->mode == 8 ? X86_REG_RIP : X86_REG_NONE;
		in->disp = fetch(c, 4);
	} else
		in->base = rm | (in->rex & 1) << 3;
	if (in->mod == 1)
		in->disp = fetch(c, 1);
	else if (in->mod == 2)
		in->disp = fetch(c, 4);
}

static void
decode_modrm(struct cursor *c, bool no_memory)
{
	struct x86_insn *in = c->in;

	in->has_modrm = 1;
	in->modrm_at = (uint8_t)c->at;
	in->modrm = fetch8(c);
	in->mod = in->modrm >> 6;
	if (no_memory)
		in->mod = 3;
	in->reg = (in->modrm >> 3 & 7) | (in->rex & 4) << 1;
	in->rm = (in->modrm & 7) | (in->rex & 1) << 3;
	if (in->mod == 3)
		return;
	if (in->adsize == 2)
		decode_ea16(c);
	else
		decode_ea(c);
	if (!(in->pfx & X86_PFX_SEG) &&
	    (in->base == X86_RSP || in->base == X86_RBP))
		in->seg = X86_SS;
}

static bool
is_prefix(struct x86_insn *in, uint8_t b)
{
	static const uint8_t segs[] = { X86_ES, X86_CS, X86_SS, X86_DS };

	switch (b) {
	case 0x66:
		in->pfx |= X86_PFX_66;
		return true;
	case 0x67:
		in->pfx |= X86_PFX_67;
		return true;
	case 0xf0:
		in->pfx |= X86_PFX_LOCK;
		return true;
	case 0xf2:
		in->pfx = (in->pfx & ~X86_PFX_REP) | X86_PFX_REPNE;
		return true;
	case 0xf3:
		in->pfx = (in->pfx & ~X86_PFX_REPNE) | X86_PFX_REP;
		return true;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		/* Ignored in 64-bit mode, Intel SDM vol. 1, 3.4.2.1 */
		if (in->mode != 8) {
			in->seg = segs[b >> 3 & 3];
			in->pfx |= X86_PFX_SEG;
		}
		return true;
	case 0x64:
	case 0x65:
		in->seg = b == 0x64 ? X86_FS : X86_GS;
		in->pfx |= X86_PFX_SEG;
		return true;
	default:
		return false;
	}
}

static uint8_t
decode_prefixes(struct cursor *c)
{
	struct x86_insn *in = c->in;
	uint8_t b = fetch8(c);

	for (; !c->err; b = fetch8(c)) {
		if (is_prefix(in, b)) {
			/* REX counts only right before the opcode. */
			in->rex = 0;
			in->pfx &= (uint8_t)~X86_PFX_REX;
		} else if (in->mode == 8 && (b & 0xf0) == 0x40) {
			in->rex = b & 15;
			in->pfx |= X86_PFX_REX;
		} else
			break;
	}
	return b;
}

/* After C4 or C5. Returns the map or -1. */
static int
decode_vex(struct cursor *c, bool three)
{
	struct x86_insn *in = c->in;
	uint8_t b = fetch8(c);
	int map = X86_MAP_V0F;

	if (in->pfx &
	    (X86_PFX_66 | X86_PFX_REP | X86_PFX_REPNE | X86_PFX_LOCK |
		X86_PFX_REX))
		return -1;
	in->pfx |= X86_PFX_VEX | X86_PFX_REX;
	in->rex = b & 0x80 ? 0 : 4;
	if (three) {
		in->rex |= (b & 0x40 ? 0 : 2) | (b & 0x20 ? 0 : 1);
		if ((b & 31) < 1 || (b & 31) > 3)
			return -1;
		map += (b & 31) - 1;
		b = fetch8(c);
		in->rex |= b & 0x80 ? 8 : 0;
	}
	in->vvvv = ~(b >> 3) & 15;
	in->vl = b >> 2 & 1;
	in->vpp = b & 3;
	if (in->mode != 8)
		in->rex &= 8;
	return map;
}

static int
decode_opcode(struct cursor *c, uint8_t b)
{
	struct x86_insn *in = c->in;
	int map = X86_MAP_M1;

	if ((b == 0xc4 || b == 0xc5) &&
	    (in->mode == 8 || (c->at < c->n && c->p[c->at] >= 0xc0))) {
		map = decode_vex(c, b == 0xc4);
		if (map < 0)
			return -1;
		b = fetch8(c);
	} else if (b == 0x0f) {
		map = X86_MAP_M0F;
		b = fetch8(c);
		if (b == 0x38 || b == 0x3a) {
			map = b == 0x38 ? X86_MAP_M38 : X86_MAP_M3A;
			b = fetch8(c);
		}
	}
	in->opcode = b;
	in->opcode_at = (uint8_t)(c->at - 1);
	return map;
}

static bool
modrm_matches(const struct x86_row *row, const struct x86_insn *in)
{
	bool mem = in->mod != 3;
	unsigned digit = in->modrm >> 3 & 7;

	switch (row->modrm) {
	case X86_MR_MEM:
		return mem;
	case X86_MR_REG:
		return !mem;
	case X86_MR_DIGIT:
		return digit == row->digit;
	case X86_MR_DIGIT_M:
		return mem && digit == row->digit;
	case X86_MR_DIGIT_R:
		return !mem && digit == row->digit;
	case X86_MR_EQ:
		return in->modrm == row->digit;
	default:
		return true;
	}
}

static const struct x86_row *
find_row(const struct x86_insn *in, unsigned map, unsigned mp)
{
	unsigned i = first_row[map][in->opcode];
	const struct x86_row *row;

	if (i == 0)
		return NULL;
	for (i--; i < x86_row_count; i++) {
		row = &x86_rows[i];
		if (row->map != map || row->opcode != in->opcode)
			break;
		if (row->pfx != X86_MP_ANY && row->pfx != mp)
			continue;
		if (row->mode != X86_MODE_ANY &&
		    (row->mode == X86_MODE_O64) != (in->mode == 8))
			continue;
		if (!modrm_matches(row, in))
			continue;
		/* 90 is XCHG R8,rAX with REX.B */
		if (row->mn == X86_MN_NOP && in->opcode == 0x90 &&
		    map == X86_MAP_M1 && (in->rex & 1))
			continue;
		return row;
	}
	return NULL;
}

static bool
any_modrm(unsigned map, uint8_t opcode)
{
	unsigned i = first_row[map][opcode];

	return i != 0 && x86_rows[i - 1].modrm != X86_MR_NONE;
}

unsigned
x86_operand_bytes(const struct x86_insn *in, enum x86_opsize size, bool mem)
{
	unsigned vec = in->vl ? 32 : 16;
	unsigned y = in->opsize == 8 ? 8 : 4;

	switch (size) {
	case X86_SZ_none:
		return 0;
	case X86_SZ_b:
		return 1;
	case X86_SZ_w:
		return 2;
	case X86_SZ_d:
	case X86_SZ_ss:
		return 4;
	case X86_SZ_q:
	case X86_SZ_sd:
		return 8;
	case X86_SZ_v:
		return in->opsize;
	case X86_SZ_y:
		return y;
	case X86_SZ_z:
		return in->opsize == 2 ? 2 : 4;
	case X86_SZ_a:
		return 2u * in->opsize;
	case X86_SZ_p:
		return 2u + in->opsize;
	case X86_SZ_s:
		return in->mode == 8 ? 10 : 6;
	case X86_SZ_x:
		return vec;
	case X86_SZ_dq:
		return 16;
	case X86_SZ_qq:
		return 32;
	case X86_SZ_t:
		return 10;
	case X86_SZ_h:
		return vec / 2;
	case X86_SZ_f:
		return vec / 4;
	case X86_SZ_e:
		return vec / 8;
	case X86_SZ_ddup:
		return in->vl ? 32 : 8;
	case X86_SZ_fs:
		return in->rex & 8 ? 8 : 4;
	case X86_SZ_env:
		return in->opsize == 2 ? 14 : 28;
	case X86_SZ_state:
		return in->opsize == 2 ? 94 : 108;
	case X86_SZ_yb:
		return mem ? 1 : y;
	case X86_SZ_yw:
		return mem ? 2 : y;
	case X86_SZ_yd:
		return mem ? 4 : y;
	}
	return 0;
}

static void
fetch_imm(struct cursor *c, unsigned size)
{
	c->in->imm_at = (uint8_t)c->at;
	c->in->imm_size = (uint8_t)size;
	c->in->imm = (uint64_t)fetch(c, size);
}

/* Immediates and moffs in operand order; the memory operand's size. */
static void
decode_operands(struct cursor *c)
{
	struct x86_insn *in = c->in;
	const struct x86_operand_info *o;
	unsigned size;

	for (unsigned i = 0; i < 4; i++) {
		o = &x86_operand_info[in->row->op[i]];
		size = x86_operand_bytes(
		    in, (enum x86_opsize)o->size, in->mod != 3);
		switch (o->class) {
		case X86_OC_I:
		case X86_OC_IS:
		case X86_OC_L:
			fetch_imm(c, o->class == X86_OC_L ? 1 : size);
			break;
		case X86_OC_I2:
			in->imm2 = fetch8(c);
			break;
		case X86_OC_J:
			fetch_imm(c, size);
			break;
		case X86_OC_A:
			fetch_imm(c, in->opsize == 2 ? 2 : 4);
			in->imm2 = (uint16_t)fetch(c, 2);
			break;
		case X86_OC_O:
			in->disp = fetch(c, in->adsize);
			if (in->adsize == 4)
				in->disp = (uint32_t)in->disp;
			else if (in->adsize == 2)
				in->disp = (uint16_t)in->disp;
			break;
		case X86_OC_E:
		case X86_OC_M:
		case X86_OC_W:
		case X86_OC_Q:
			if (in->mod != 3 && !in->mem_size)
				in->mem_size = (uint8_t)size;
			break;
		default:
			break;
		}
	}
	if (in->row->attr & X86_A_NOMEM)
		in->mem_size = 0;
	else if ((in->row->attr & X86_A_MEM16) && in->mod != 3)
		in->mem_size = 2;
	else if (in->row->attr & X86_A_CX)
		in->mem_size = in->opsize == 8 ? 16 : 8;
}

/* VEX.L, W and vvvv that the row does not use must have their fixed value. */
static bool
vex_valid(const struct x86_insn *in)
{
	bool any_l = in->row->attr & X86_A_VZERO, need_l1 = false;
	bool uses_v = false;

	for (unsigned i = 0; i < 4; i++) {
		const struct x86_operand_info *o =
		    &x86_operand_info[in->row->op[i]];

		if (o->class == X86_OC_H || o->class == X86_OC_B)
			uses_v = !(in->row->attr & X86_A_MRG) || in->mod == 3;
		switch (o->size) {
		case X86_SZ_x:
		case X86_SZ_ss:
		case X86_SZ_sd:
		case X86_SZ_fs:
		case X86_SZ_h:
		case X86_SZ_f:
		case X86_SZ_e:
		case X86_SZ_ddup:
			any_l = true;
			break;
		case X86_SZ_qq:
			need_l1 = true;
			break;
		default:
			break;
		}
	}
	if (need_l1 ? !in->vl : !any_l && in->vl)
		return false;
	if (in->row->attr & (in->rex & 8 ? X86_A_W0 : X86_A_W1))
		return false;
	return uses_v || in->vvvv == 0;
}

static void
set_sizes(struct x86_insn *in)
{
	bool p66 = in->pfx & X86_PFX_66, p67 = in->pfx & X86_PFX_67;

	in->opsize = in->mode == 8 ? 4 : in->mode;
	/* VEX.W changes no sizes outside 64-bit code. */
	if ((in->rex & 8) && in->mode == 8)
		in->opsize = 8;
	else if (p66)
		in->opsize = in->opsize == 2 ? 4 : 2;
	in->adsize = in->mode;
	if (p67)
		in->adsize = in->mode == 4 ? 2 : 4;
}

static void
adjust_opsize(struct x86_insn *in)
{
	if (in->mode != 8)
		return;
	if (in->row->attr & X86_A_F64)
		in->opsize = 8;
	else if ((in->row->attr & X86_A_D64) && in->opsize == 4)
		in->opsize = 8;
}

static int
decode_rest(struct cursor *c)
{
	struct x86_insn *in = c->in;
	uint8_t b = decode_prefixes(c);
	unsigned mp;
	int map;

	set_sizes(in);
	map = c->err ? -1 : decode_opcode(c, b);
	if (c->err)
		return c->err;
	if (map < 0)
		return X86_DECODE_UD;
	if (in->pfx & X86_PFX_VEX)
		set_sizes(in);
	if (any_modrm((unsigned)map, in->opcode))
		decode_modrm(c,
		    map == X86_MAP_M0F && in->opcode >= 0x20 &&
			in->opcode <= 0x23);
	if (c->err)
		return c->err;
	if (in->pfx & X86_PFX_VEX) {
		static const uint8_t pp[] = { X86_MP_NP, X86_MP_P66, X86_MP_PF3,
			X86_MP_PF2 };
		mp = pp[in->vpp];
	} else if (in->pfx & X86_PFX_REP)
		mp = X86_MP_PF3;
	else if (in->pfx & X86_PFX_REPNE)
		mp = X86_MP_PF2;
	else
		mp = in->pfx & X86_PFX_66 ? X86_MP_P66 : X86_MP_NP;
	in->row = find_row(in, (unsigned)map, mp);
	if (in->row == NULL)
		return X86_DECODE_UD;
	adjust_opsize(in);
	decode_operands(c);
	if (c->err)
		return c->err;
	if ((in->pfx & X86_PFX_VEX) && !vex_valid(in))
		return X86_DECODE_UD;
	/* The check above takes all four bits. */
	if (in->mode != 8)
		in->vvvv &= 7;
	if ((in->pfx & X86_PFX_LOCK) &&
	    (!(in->row->attr & X86_A_LOCK) || in->mod == 3 || !in->has_modrm))
		return X86_DECODE_UD;
	return (int)c->at;
}

int
x86_decode(struct x86_insn *ret, const uint8_t *p, size_t n, unsigned mode)
{
	struct cursor c = { .in = ret, .p = p };
	int len;

	if (!atomic_load_explicit(&index_ready, memory_order_acquire))
		build_index();
	c.limited = n >= X86_MAX_INSN;
	c.n = c.limited ? X86_MAX_INSN : n;
	memset(ret, 0, sizeof(*ret));
	ret->mode = (uint8_t)mode;
	ret->seg = X86_DS;
	ret->base = ret->index = X86_REG_NONE;
	ret->mod = 3;
	len = decode_rest(&c);
	memcpy(ret->bytes, p, c.at);
	if (len > 0)
		ret->len = (uint8_t)len;
	return len;
}
