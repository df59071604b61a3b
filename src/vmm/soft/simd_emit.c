/*
 * Host code for one guest instruction.
 *
 * A thunk is called as code(cpu, mem, op): RDI = cpu, RSI = the memory operand,
 * RDX = op. Vector registers keep their numbers and the general register, of
 * which FP and SIMD instructions have at most one, becomes RAX.
 */
#include <stddef.h>

#include "vmm/soft/fpu.h"
#include "vmm/soft/ops.h"

#define OFF_GPR(n) \
	((uint32_t)(offsetof(struct soft_cpu, gpr) + 8 * (size_t)(n)))
#define OFF_FL ((uint32_t)offsetof(struct soft_cpu, fl))
#define OFF_XSAVE ((uint32_t)offsetof(struct soft_cpu, xsave))
#define OFF_XMM(n) (OFF_XSAVE + SOFT_XMM(n))
#define OFF_YMMH(n) (OFF_XSAVE + SOFT_YMMH(n))
#define OFF_RIP ((uint32_t)offsetof(struct soft_cpu, base_rip))
#define OFF_DATA ((uint32_t)offsetof(struct soft_cpu, fp_data))

#define GPR_NONE 16

/* ---- the instruction ---- */

static bool
vector_class(unsigned class)
{
	return class == X86_OC_V || class == X86_OC_W || class == X86_OC_U ||
	    class == X86_OC_H || class == X86_OC_L;
}

static unsigned
vector_number(const struct x86_insn *in, unsigned class)
{
	switch (class) {
	case X86_OC_V:
		return in->reg;
	case X86_OC_H:
		return in->vvvv;
	case X86_OC_L:
		return (in->imm >> 4) & (in->mode == 8 ? 15 : 7);
	default:
		return in->rm;
	}
}

static bool
is_memory(const struct x86_insn *in, unsigned class)
{
	return in->has_modrm && in->mod != 3 &&
	    (class == X86_OC_W || class == X86_OC_E || class == X86_OC_M ||
		class == X86_OC_Q);
}

/*
 * Which registers does it read and write? A destination is loaded too, as many
 * instructions leave a part of it alone, unless all of it is replaced.
 */
static void
find_registers(const struct x86_insn *in, struct soft_fp_form *f)
{
	uint32_t attr = in->row->attr;

	for (unsigned i = 0; i < 4; i++) {
		unsigned class = x86_op_class(in, i);
		bool written = i == 0 && !(attr & X86_A_RO1);
		bool read =
		    i != 0 || !(attr & X86_A_WO1) || (attr & X86_A_MRG) != 0;

		if (is_memory(in, class))
			continue;
		if (vector_class(class)) {
			uint16_t bit =
			    (uint16_t)(1u << vector_number(in, class));

			f->load |= read ? bit : 0;
			f->store |= written ? bit : 0;
		} else if (class == X86_OC_G || class == X86_OC_E) {
			f->gpr = class == X86_OC_G ? in->reg : in->rm;
			f->gpr_dir = written ? SOFT_FP_STORE : SOFT_FP_LOAD;
		} else if (class == X86_OC_ACC) {
			f->gpr = X86_RAX; /* FNSTSW AX */
			f->gpr_dir = SOFT_FP_STORE;
		}
	}
	if (attr & X86_A_XMM0)
		f->load |= 1;
}

static void
find_strings(const struct x86_insn *in, struct soft_fp_form *f)
{
	f->strings = true;
	f->store = 0;
	f->strings_index = in->opcode & 1; /* 61, 63: ECX; 60, 62: XMM0 */
	f->strings_mask = !f->strings_index;
}

/* modrm with memory as (pointer) and the general register as RAX. */
static uint8_t
new_modrm(const struct x86_insn *in, const struct soft_fp_form *f,
    unsigned pointer, uint8_t *rex)
{
	bool gpr_reg = false, gpr_rm = false;
	unsigned reg = in->reg, rm = in->rm, mod = 3;

	for (unsigned i = 0; i < 4 && f->gpr != GPR_NONE; i++) {
		gpr_reg |= x86_op_class(in, i) == X86_OC_G;
		gpr_rm |= x86_op_class(in, i) == X86_OC_E;
	}
	if (in->mod != 3) {
		mod = 0;
		rm = pointer;
	} else if (gpr_rm) {
		rm = 0;
	}
	if (gpr_reg)
		reg = 0;
	*rex = (uint8_t)((reg >= 8 ? 4 : 0) | (rm >= 8 ? 1 : 0));
	return (uint8_t)(mod << 6 | (reg & 7) << 3 | (rm & 7));
}

static unsigned
emit_legacy_opcode(
    const struct x86_insn *in, uint8_t rex, bool wide_gpr, uint8_t *p)
{
	static const uint8_t third[] = {
		[X86_MAP_M38] = 0x38, [X86_MAP_M3A] = 0x3a
	};
	unsigned map = in->row->map, n = 0;

	if (map != X86_MAP_M1) {
		if (in->pfx & X86_PFX_REP)
			p[n++] = 0xf3;
		else if (in->pfx & X86_PFX_REPNE)
			p[n++] = 0xf2;
		else if (in->pfx & X86_PFX_66)
			p[n++] = 0x66;
	}
	rex |= wide_gpr ? 8 : 0;
	if (rex != 0)
		p[n++] = 0x40 | rex;
	if (map != X86_MAP_M1)
		p[n++] = 0x0f;
	if (map == X86_MAP_M38 || map == X86_MAP_M3A)
		p[n++] = third[map];
	p[n++] = in->opcode;
	return n;
}

static unsigned
emit_vex_opcode(const struct x86_insn *in, uint8_t rex, bool w, uint8_t *p)
{
	unsigned map = in->row->map - X86_MAP_V0F + 1;

	p[0] = 0xc4;
	p[1] =
	    (uint8_t)((rex & 4 ? 0 : 0x80) | 0x40 | (rex & 1 ? 0 : 0x20) | map);
	p[2] = (uint8_t)((w ? 0x80 : 0) | (~in->vvvv & 15) << 3 |
	    (in->vl ? 4 : 0) | in->vpp);
	p[3] = in->opcode;
	return 4;
}

/*
 * REX.W or VEX.W only chooses the size of a general register, or it is part of
 * the VEX opcode; outside 64-bit code the former is always 32 bits.
 */
static bool
wants_w(const struct x86_insn *in, const struct soft_fp_form *f)
{
	if (!(in->rex & 8))
		return false;
	if (in->mode == 8 || !(in->pfx & X86_PFX_VEX))
		return true;
	for (unsigned i = 0; i < 4; i++)
		if (x86_op_class(in, i) == X86_OC_E ||
		    x86_op_class(in, i) == X86_OC_G)
			return false;
	return !f->strings;
}

/* A register number in imm8[7:4] has three bits outside 64-bit code. */
static uint64_t
imm_mask(const struct x86_insn *in)
{
	for (unsigned i = 0; i < 4 && in->mode != 8; i++)
		if (x86_op_class(in, i) == X86_OC_L)
			return 0x7f;
	return 0xff;
}

bool
soft_fp_make_form(
    const struct x86_insn *in, unsigned pointer, struct soft_fp_form *f)
{
	uint8_t rex = 0, modrm = 0;
	const struct x86_flag_info *fi = &x86_flag_info[in->row->flags];

	*f = (struct soft_fp_form){ .gpr = GPR_NONE };
	f->vex = in->pfx & X86_PFX_VEX;
	f->wide = f->vex && in->vl;
	f->address = soft_fp_leaves_address(in);
	f->memory = in->mem_size != 0;
	f->flags_in = fi->read != 0;
	f->flags_out = fi->written != 0;
	find_registers(in, f);
	if (in->row->attr & X86_A_PCMPSTR)
		find_strings(in, f);
	if (in->has_modrm)
		modrm = new_modrm(in, f, pointer, &rex);
	if (in->row->map == X86_MAP_M1) { /* x87: REX means nothing */
		rex = 0;
		if (in->mod == 3)
			modrm = in->modrm;
	}
	if (f->vex)
		f->len =
		    (uint8_t)emit_vex_opcode(in, rex, wants_w(in, f), f->insn);
	else
		f->len = (uint8_t)emit_legacy_opcode(in, rex,
		    in->row->map != X86_MAP_M1 && wants_w(in, f), f->insn);
	if (in->has_modrm)
		f->insn[f->len++] = modrm;
	if (in->imm_size == 1)
		f->insn[f->len++] = (uint8_t)(in->imm & imm_mask(in));
	return in->imm_size <= 1;
}

/* ---- the code around it ---- */

struct out {
	uint8_t *p;
	unsigned n;
	unsigned cpu; /* host register, without REX */
};

static void
put(struct out *o, unsigned b)
{
	o->p[o->n++] = (uint8_t)b;
}

static void
put_bytes(struct out *o, const char *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put(o, (uint8_t)bytes[i]);
}

/* modrm and disp32 for a field of the vCPU */
static void
put_field(struct out *o, unsigned reg, uint32_t disp)
{
	put(o, 0x80 | (reg & 7) << 3 | o->cpu);
	for (unsigned i = 0; i < 4; i++)
		put(o, disp >> (8 * i) & 0xff);
}

static void
mov64(struct out *o, bool store, unsigned reg, uint32_t disp)
{
	put(o, 0x48);
	put(o, store ? 0x89 : 0x8b);
	put_field(o, reg, disp);
}

/* (v)movaps between a register and its place */
static void
move_low(struct out *o, bool vex, bool store, unsigned reg)
{
	if (vex) {
		put(o, 0xc5);
		put(o, reg >= 8 ? 0x78 : 0xf8);
	} else {
		if (reg >= 8)
			put(o, 0x44);
		put(o, 0x0f);
	}
	put(o, store ? 0x29 : 0x28);
	put_field(o, reg, OFF_XMM(reg));
}

/* vinsertf128 $1 from, vextractf128 $1 to the place of the upper half */
static void
move_high(struct out *o, bool store, unsigned reg)
{
	put(o, 0xc4);
	put(o, (reg >= 8 ? 0 : 0x80) | 0x63);
	put(o, store ? 0x7d : ((~reg & 15) << 3 | 5));
	put(o, store ? 0x19 : 0x18);
	put_field(o, reg, OFF_YMMH(reg));
	put(o, 1);
}

static void
put_loads(struct out *o, const struct soft_fp_form *f, unsigned have)
{
	for (unsigned r = 0; r < 16; r++) {
		if (!(f->load >> r & 1))
			continue;
		if (!(have >> r & 1))
			move_low(o, f->vex, false, r);
		if (f->wide)
			move_high(o, false, r);
	}
	if (f->strings) {
		put_bytes(o, "\x49\x89\xd0", 3); /* mov %rdx, %r8 */
		mov64(o, false, X86_RAX, OFF_GPR(X86_RAX));
		mov64(o, false, X86_RDX, OFF_GPR(X86_RDX));
	} else if (f->gpr != GPR_NONE && f->gpr_dir == SOFT_FP_LOAD) {
		mov64(o, false, X86_RAX, OFF_GPR(f->gpr));
	}
	if (f->flags_in) { /* mov fl+1, %ah; sahf */
		put(o, 0x8a);
		put_field(o, 4, OFF_FL + 1);
		put(o, 0x9e);
	}
}

/* No instruction here may change flags before they were taken. */
static void
put_stores(struct out *o, const struct soft_fp_form *f)
{
	unsigned store = f->store | (f->strings_mask ? 1 : 0);
	bool fnstsw = f->insn[0] == 0xdf && f->insn[1] == 0xe0;

	for (unsigned r = 0; r < 16; r++) {
		if (!(store >> r & 1))
			continue;
		move_low(o, f->vex, true, r);
		if (f->vex)
			move_high(o, true, r);
	}
	if (f->strings_index) {
		mov64(o, true, X86_RCX, OFF_GPR(X86_RCX));
	} else if (f->gpr != GPR_NONE && f->gpr_dir == SOFT_FP_STORE) {
		if (fnstsw) { /* 16 bits */
			put(o, 0x66);
			put(o, 0x89);
			put_field(o, X86_RAX, OFF_GPR(f->gpr));
		} else {
			mov64(o, true, X86_RAX, OFF_GPR(f->gpr));
		}
	}
}

/* lahf; seto %al; mov %ax, fl */
static void
put_flags(struct out *o)
{
	put_bytes(o, "\x9f\x0f\x90\xc0\x66\x89", 6);
	put_field(o, X86_RAX, OFF_FL);
}

/* FIP = base_rip + op->off, FOP = the upper half of op->gen, FDP = fp_data */
static void
put_address(struct out *o, bool memory)
{
	put_bytes(o, "\x0f\xb7\x42", 3); /* movzwl off(%rdx), %eax */
	put(o, offsetof(struct soft_op, off));
	put_bytes(o, "\x48\x03", 2); /* add base_rip(%rdi), %rax */
	put_field(o, X86_RAX, OFF_RIP);
	mov64(o, true, X86_RAX, OFF_XSAVE + SOFT_X87_FIP);
	put_bytes(o, "\x8b\x42", 2); /* mov gen+4(%rdx), %eax */
	put(o, offsetof(struct soft_op, gen) + 4);
	put_bytes(o, "\x66\x89", 2);
	put_field(o, X86_RAX, OFF_XSAVE + SOFT_X87_FOP);
	if (memory) {
		mov64(o, false, X86_RAX, OFF_DATA);
		mov64(o, true, X86_RAX, OFF_XSAVE + SOFT_X87_FDP);
	}
}

/* On to the next operation, as NEXT(op + 1) of ops.h does; acc is none. */
static void
put_next(struct out *o)
{
	put_bytes(o, "\x48\x8d\x42", 3); /* lea size(%rdx), %rax */
	put(o, sizeof(struct soft_op));
	put(o, 0xc3);
}

static void
put_body(struct out *o, const struct soft_fp_form *f, unsigned have)
{
	put_loads(o, f, have);
	for (unsigned i = 0; i < f->len; i++)
		put(o, f->insn[i]);
	put_stores(o, f);
	if (f->flags_out)
		put_flags(o);
	if (f->wide)
		put_bytes(o, "\xc5\xf8\x77", 3); /* vzeroupper */
}

unsigned
soft_fp_emit_body(
    const struct soft_fp_form *f, unsigned cpu, unsigned have, uint8_t *p)
{
	struct out o = { .p = p, .cpu = cpu };

	put_body(&o, f, have);
	return o.n;
}

unsigned
soft_fp_emit_loads(unsigned regs, unsigned cpu, uint8_t *p)
{
	struct out o = { .p = p, .cpu = cpu };

	for (unsigned r = 0; r < 16; r++)
		if (regs >> r & 1)
			move_low(&o, false, false, r);
	return o.n;
}

unsigned
soft_fp_emit(const struct soft_fp_form *f, uint8_t *p)
{
	struct out o = { .p = p, .cpu = X86_RDI };
	unsigned skip;

	put_bytes(&o, "\xf3\x0f\x1e\xfa", 4); /* endbr64 */
	put_body(&o, f, 0);
	if (f->strings)
		put_bytes(&o, "\x4c\x89\xc2", 3); /* mov %r8, %rdx */
	put_bytes(&o, "\x48\x85\xd2\x74", 4); /* test %rdx, %rdx; jz */
	skip = o.n;
	put(&o, 0);
	if (f->address)
		put_address(&o, f->memory);
	put_next(&o);
	p[skip] = (uint8_t)(o.n - skip - 1);
	put(&o, 0xc3);
	return o.n;
}
_Static_assert(sizeof(struct soft_op) < 128, "put_next");

/* ---- what must be live ---- */

/*
 * Two-byte opcodes that compute in floating point (Intel SDM vol. 2, table
 * they look at MXCSR and may raise #XM.
 */
static bool
uses_mxcsr_0f(uint8_t op)
{
	return op == 0x2a || (op >= 0x2c && op <= 0x2f) ||
	    (op >= 0x51 && op <= 0x53) || (op >= 0x58 && op <= 0x5f) ||
	    op == 0x7c || op == 0x7d || op == 0xc2 || op == 0xd0 || op == 0xe6;
}

static bool
uses_mxcsr(const struct x86_insn *in)
{
	uint8_t op = in->opcode;

	switch (in->row->map) {
	case X86_MAP_M0F:
	case X86_MAP_V0F:
		return uses_mxcsr_0f(op);
	case X86_MAP_V38:
		return op == 0x13 || (op >= 0x96 && op <= 0xbf);
	case X86_MAP_M3A:
	case X86_MAP_V3A:
		return (op >= 0x08 && op <= 0x0b) || op == 0x40 || op == 0x41 ||
		    (in->row->map == X86_MAP_V3A && op == 0x1d);
	default:
		return false;
	}
}

unsigned
soft_fp_live_needs(const struct x86_insn *in)
{
	unsigned need = uses_mxcsr(in) ? SOFT_FP_MXCSR : 0;

	if (in->row->map == X86_MAP_M1 || in->row->mn == X86_MN_EMMS)
		return need | SOFT_FP_X87;
	for (unsigned i = 0; i < 4; i++) {
		unsigned class = x86_op_class(in, i);

		if (class == X86_OC_P || class == X86_OC_Q || class == X86_OC_N)
			need |= SOFT_FP_X87;
	}
	return need;
}

bool
soft_fp_leaves_address(const struct x86_insn *in)
{
	if (in->row->map != X86_MAP_M1)
		return false;
	switch ((int)in->row->mn) {
	case X86_MN_FWAIT:
	case X86_MN_FLDCW:
	case X86_MN_FNSTCW:
	case X86_MN_FNSTSW:
	case X86_MN_FNCLEX:
	case X86_MN_FNINIT:
	case X86_MN_FNENI:
	case X86_MN_FNDISI:
	case X86_MN_FNSETPM:
	case X86_MN_FLDENV:
	case X86_MN_FNSTENV:
	case X86_MN_FRSTOR:
	case X86_MN_FNSAVE:
		return false;
	default:
		return true;
	}
}
