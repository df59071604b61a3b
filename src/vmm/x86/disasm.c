/*
 * Text of a decoded instruction.
 */
#include "vmm/x86/disasm.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/state.h"
#include "vmm/x86/decode.h"

struct text {
	char *buf;
	size_t size, len;
};

static const char *const seg_names[] = { "es", "cs", "ss", "ds", "fs", "gs",
	"?", "?" };

static void __attribute__((format(printf, 2, 3)))
put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->len + 1 >= t->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < t->size - t->len ? (size_t)n
						       : t->size - t->len - 1;
}

static void
put_gpr(struct text *t, const struct x86_insn *in, unsigned r, unsigned size)
{
	static const char *const low[] = { "ax", "cx", "dx", "bx", "sp", "bp",
		"si", "di" };
	static const char *const byte[] = { "al", "cl", "dl", "bl", "ah", "ch",
		"dh", "bh" };
	static const char *const rex[] = { "spl", "bpl", "sil", "dil" };

	r &= 15;
	if (r >= 8) {
		put(t, "r%u%s", r,
		    size == 1       ? "b"
			: size == 2 ? "w"
			: size == 4 ? "d"
				    : "");
		return;
	}
	if (size == 1) {
		put(t, "%s",
		    (in->pfx & X86_PFX_REX) && r >= 4 ? rex[r - 4] : byte[r]);
		return;
	}
	put(t, "%s%s", size == 8 ? "r" : size == 4 ? "e" : "", low[r]);
}

static void
put_disp(struct text *t, int64_t disp, bool first)
{
	if (first)
		put(t, "0x%" PRIx64, (uint64_t)disp);
	else if (disp < 0)
		put(t, "-0x%" PRIx64, (uint64_t)-disp);
	else if (disp > 0)
		put(t, "+0x%" PRIx64, (uint64_t)disp);
}

static void
put_mem(struct text *t, const struct x86_insn *in, unsigned size)
{
	bool first = true;
	const char *name = NULL;

	switch (size) {
	case 1:
		name = "byte";
		break;
	case 2:
		name = "word";
		break;
	case 4:
		name = "dword";
		break;
	case 8:
		name = "qword";
		break;
	case 10:
		name = "tbyte";
		break;
	case 16:
		name = "xmmword";
		break;
	case 32:
		name = "ymmword";
		break;
	default:
		break;
	}
	if (name && in->mem_size)
		put(t, "%s ptr ", name);
	if (in->pfx & X86_PFX_SEG)
		put(t, "%s:", seg_names[in->seg]);
	put(t, "[");
	if (in->base == X86_REG_RIP) {
		put(t, "rip");
		first = false;
	} else if (in->base != X86_REG_NONE) {
		put_gpr(t, in, in->base, in->adsize);
		first = false;
	}
	if (in->index != X86_REG_NONE) {
		put(t, "%s", first ? "" : "+");
		put_gpr(t, in, in->index, in->adsize);
		put(t, "*%u", 1u << in->scale);
		first = false;
	}
	put_disp(t, in->disp, first);
	put(t, "]");
}

static void
put_vec(struct text *t, const struct x86_insn *in, unsigned r, unsigned size)
{
	put(t, "%cmm%u", size == 32 ? 'y' : 'x', r);
}

static void
put_imm(struct text *t, const struct x86_insn *in, unsigned size)
{
	uint64_t v = in->imm;

	if (size < 8)
		v &= (UINT64_C(1) << (8 * size)) - 1;
	put(t, "0x%" PRIx64, v);
}

static void
put_operand(struct text *t, const struct x86_insn *in, unsigned n, uint64_t rip)
{
	enum x86_opclass class = x86_op_class(in, n);
	unsigned size = x86_op_bytes(in, n);
	uint64_t target;

	switch (class) {
	case X86_OC_NONE:
		break;
	case X86_OC_E:
	case X86_OC_M:
	case X86_OC_R:
		if (in->mod != 3)
			put_mem(t, in, size);
		else
			put_gpr(t, in, in->rm, size);
		break;
	case X86_OC_G:
		put_gpr(t, in, in->reg, size);
		break;
	case X86_OC_Z:
		put_gpr(t, in, (in->opcode & 7) | (in->rex & 1) << 3, size);
		break;
	case X86_OC_B:
		put_gpr(t, in, in->vvvv, size);
		break;
	case X86_OC_I:
		put_imm(t, in, size);
		break;
	case X86_OC_IS:
		put_imm(t, in, in->opsize);
		break;
	case X86_OC_I2:
		put(t, "0x%x", in->imm2);
		break;
	case X86_OC_J:
		target = rip + in->len + in->imm;
		if (in->mode != 8)
			target &= in->opsize == 2 ? 0xffff : 0xffffffff;
		put(t, "0x%" PRIx64, target);
		break;
	case X86_OC_A:
		put(t, "0x%x:0x%" PRIx64, in->imm2,
		    in->imm & (in->opsize == 2 ? 0xffff : 0xffffffff));
		break;
	case X86_OC_O:
		put(t, "%s:[0x%" PRIx64 "]", seg_names[in->seg],
		    (uint64_t)in->disp);
		break;
	case X86_OC_S:
		put(t, "%s", seg_names[in->reg & 7]);
		break;
	case X86_OC_C:
		put(t, "cr%u", in->reg);
		break;
	case X86_OC_D:
		put(t, "dr%u", in->reg);
		break;
	case X86_OC_X:
		put(t, "%s:[", seg_names[in->seg]);
		put_gpr(t, in, X86_RSI, in->adsize);
		put(t, "]");
		break;
	case X86_OC_Y:
		put(t, "es:[");
		put_gpr(t, in, X86_RDI, in->adsize);
		put(t, "]");
		break;
	case X86_OC_V:
		put_vec(t, in, in->reg, size);
		break;
	case X86_OC_W:
	case X86_OC_U:
		if (in->mod != 3)
			put_mem(t, in, size);
		else
			put_vec(t, in, in->rm, size);
		break;
	case X86_OC_H:
		put_vec(t, in, in->vvvv, size);
		break;
	case X86_OC_L:
		put_vec(t, in, in->imm >> 4 & 15, size);
		break;
	case X86_OC_P:
		put(t, "mm%u", in->reg & 7);
		break;
	case X86_OC_Q:
	case X86_OC_N:
		if (in->mod != 3)
			put_mem(t, in, size);
		else
			put(t, "mm%u", in->rm & 7);
		break;
	case X86_OC_ACC:
		put_gpr(t, in, X86_RAX, size);
		break;
	case X86_OC_CL:
		put(t, "cl");
		break;
	case X86_OC_DX:
		put(t, "dx");
		break;
	case X86_OC_ONE:
		put(t, "1");
		break;
	case X86_OC_ST0:
		put(t, "st(0)");
		break;
	case X86_OC_STI:
		put(t, "st(%u)", in->rm & 7);
		break;
	case X86_OC_SREG_ES:
	case X86_OC_SREG_CS:
	case X86_OC_SREG_SS:
	case X86_OC_SREG_DS:
	case X86_OC_SREG_FS:
	case X86_OC_SREG_GS:
		put(t, "%s", seg_names[class - X86_OC_SREG_ES]);
		break;
	}
}

/* Names that depend on the operand size. */
static const char *
mnemonic(const struct x86_insn *in)
{
	unsigned w = in->opsize == 2 ? 0 : in->opsize == 4 ? 1 : 2;

	switch (in->row->mn) {
	case X86_MN_CBW:
		return (const char *[]){ "cbw", "cwde", "cdqe" }[w];
	case X86_MN_CWD:
		return (const char *[]){ "cwd", "cdq", "cqo" }[w];
	case X86_MN_JCXZ:
		return in->adsize == 2 ? "jcxz"
		    : in->adsize == 4  ? "jecxz"
				       : "jrcxz";
	case X86_MN_CMPXCHG8B:
		return in->opsize == 8 ? "cmpxchg16b" : "cmpxchg8b";
	default:
		return x86_mnemonics[in->row->mn];
	}
}

static void
put_string_suffix(struct text *t, const struct x86_insn *in)
{
	unsigned size = in->opcode & 1 ? in->opsize : 1;

	put(t, "%c", " bw d   q"[size]);
}

size_t
x86_disasm(char *buf, size_t size, const uint8_t *bytes, size_t n,
    unsigned mode_bits, uint64_t rip)
{
	struct text t = { buf, size, 0 };
	struct x86_insn in;
	int len = x86_decode(&in, bytes, n, mode_bits / 8);

	buf[0] = '\0';
	if (len <= 0) {
		put(&t, "%s", len == X86_DECODE_MORE ? "(short)" : "(bad)");
		return 0;
	}
	if (in.pfx & X86_PFX_LOCK)
		put(&t, "lock ");
	if (in.row->attr & X86_A_STR) {
		if (in.pfx & X86_PFX_REP)
			put(&t, "rep ");
		else if (in.pfx & X86_PFX_REPNE)
			put(&t, "repne ");
	}
	put(&t, "%s", mnemonic(&in));
	if (in.row->attr & X86_A_STR) {
		put_string_suffix(&t, &in);
		return (size_t)len;
	}
	for (unsigned i = 0; i < 4 && in.row->op[i] != X86_OP___; i++) {
		put(&t, i ? "," : " ");
		put_operand(&t, &in, i, rip);
	}
	return (size_t)len;
}
