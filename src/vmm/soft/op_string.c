/*
 * Operations: REP MOVS and REP STOS in 64-bit code, as long as everything lies
 * in one page on both sides and both are in the TLB. What is left over, and all
 * other string instructions, are in string.c.
 *
 * The host's own REP MOVS takes longer to start than it takes to copy a few
 * lines: short copies go by plain moves.
 */
#include "vmm/soft/insn.h"
#include "vmm/soft/ops.h"

#define SHORT 256

typedef uint64_t block16
    __attribute__((vector_size(16), may_alias, aligned(1)));

/*
 * Each byte is written once; rising addresses, so that it may also move down.
 * The start goes by 8 bytes: what a program has just stored is forwarded to
 * loads of the same size, not to wider ones.
 */
HOT void
copy_short(uint8_t *d, const uint8_t *s, uint64_t n)
{
	if (n >= 8) {
		*(volatile soft_mem64 *)d = *(const volatile soft_mem64 *)s;
		n -= 8;
		d += 8;
		s += 8;
	}
	for (; n >= 16; n -= 16, d += 16, s += 16)
		*(volatile block16 *)d = *(const volatile block16 *)s;
#define PART(bits)                                       \
	if (n & (bits / 8)) {                            \
		*(volatile soft_mem##bits *)d =          \
		    *(const volatile soft_mem##bits *)s; \
		d += bits / 8;                           \
		s += bits / 8;                           \
	}
	PART(64)
	PART(32)
	PART(16)
#undef PART
	if (n & 1)
		*(volatile uint8_t *)d = *(const volatile uint8_t *)s;
}

/* scale: of the element */
OP(rep_movs)
{
	uint64_t n = cpu->gpr[X86_RCX], bytes = n << op->scale;
	uint64_t src = cpu->gpr[X86_RSI], dst = cpu->gpr[X86_RDI];
	const struct soft_tlb *from =
	    &cpu->tlb[src >> 12 & (SOFT_TLB_SIZE - 1)];
	const struct soft_tlb *to = &cpu->tlb[dst >> 12 & (SOFT_TLB_SIZE - 1)];
	uint64_t s_off = src ^ from->r, d_off = dst ^ to->w;
	uint8_t *s, *d;

	if (unlikely(n - 1 >= 4096 || s_off >= 4096 || d_off >= 4096 ||
		bytes > 4096 - s_off || bytes > 4096 - d_off ||
		(cpu->rflags & X86_FL_DF)))
		INSTEAD(soft_op_insn);
	s = from->host + s_off;
	d = to->host + d_off;
	if (bytes <= SHORT && (uintptr_t)d - (uintptr_t)s >= bytes)
		copy_short(d, s, bytes);
	else
		soft_rep_movs(d, s, 1u << op->scale, n);
	cpu->gpr[X86_RSI] = src + bytes;
	cpu->gpr[X86_RDI] = dst + bytes;
	cpu->gpr[X86_RCX] = 0;
	NEXT(op + 1);
}

OP(rep_stos)
{
	uint64_t n = cpu->gpr[X86_RCX], bytes = n << op->scale;
	uint64_t dst = cpu->gpr[X86_RDI];
	const struct soft_tlb *to = &cpu->tlb[dst >> 12 & (SOFT_TLB_SIZE - 1)];
	uint64_t d_off = dst ^ to->w;

	if (unlikely(n - 1 >= 4096 || d_off >= 4096 || bytes > 4096 - d_off ||
		(cpu->rflags & X86_FL_DF)))
		INSTEAD(soft_op_insn);
	soft_rep_stos(to->host + d_off, cpu->gpr[X86_RAX], 1u << op->scale, n);
	cpu->gpr[X86_RDI] = dst + bytes;
	cpu->gpr[X86_RCX] = 0;
	NEXT(op + 1);
}

void
soft_lower_string(struct soft_op *op, const struct x86_insn *in)
{
	bool movs = in->row->mn == X86_MN_MOVS;

	if ((!movs && in->row->mn != X86_MN_STOS) || in->mode != 8 ||
	    in->adsize != 8 || !(in->pfx & (X86_PFX_REP | X86_PFX_REPNE)) ||
	    (movs && in->seg >= X86_FS))
		return;
	op->fn = movs ? rep_movs : rep_stos;
	op->scale = 0;
	if (in->opcode & 1)
		op->scale = in->opsize == 8 ? 3 : in->opsize == 4 ? 2 : 1;
}
