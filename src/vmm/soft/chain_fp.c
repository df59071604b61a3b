/*
 * FP and SIMD operations in place. A chain has the code of their thunks
 * (fpu.h), without the way there: one check in a block, not one for each
 * operation, and a vector register that was loaded or stored stays where it is
 * until something is called. The place in cpu->xsave is always right.
 */
#include "vmm/soft/chain_out.h"

#define RAX 0u
#define RSI 6u
#define X87(field) (offsetof(struct soft_cpu, xsave) + SOFT_X87_##field)

bool
chain_fp_form(const struct soft_op *op, struct soft_fp_form *ret)
{
	return soft_fp_make_form(op->insn, X86_RCX, ret) && !ret->strings;
}

uint8_t *
chain_fp_check(struct chain_out *o, const struct soft_op *op)
{
	uint8_t need = op->dst & (uint8_t)~o->live;

	if (need == 0)
		return NULL;
	o->flags = false;
	o->live |= need;
	PUT(o, 0x8a); /* mov fp_live, %al; not %al; test $need, %al; jnz */
	chain_field(o, RAX, offsetof(struct soft_cpu, fp_live));
	PUT(o, 0xf6, 0xd0, 0xa8, need, 0x0f, 0x85);
	chain_put32(o, 0);
	return o->w - 4;
}

/* FIP, FOP and FDP; the host's flags stay. */
static void
put_x87_address(
    struct chain_out *o, const struct soft_op *op, const struct soft_fp_form *f)
{
	PUT(o, 0x48, 0x8b); /* mov base_rip, %rax; lea off(%rax), %rax */
	chain_field(o, RAX, offsetof(struct soft_cpu, base_rip));
	PUT(o, 0x48, 0x8d, 0x80);
	chain_put32(o, op->off);
	PUT(o, 0x48, 0x89);
	chain_field(o, RAX, X87(FIP));
	PUT(o, 0xb8); /* mov $fop, %eax; mov %ax, FOP */
	chain_put32(o, (uint32_t)(op->gen >> 32));
	PUT(o, 0x66, 0x89);
	chain_field(o, RAX, X87(FOP));
	if (f->memory) {
		PUT(o, 0x48, 0x89);
		chain_field(o, RSI, X87(FDP));
	}
}

void
chain_fp(
    struct chain_out *o, const struct soft_op *op, const struct soft_fp_form *f)
{
	unsigned n;

	PUT(o, 0xc7); /* movl $off, cur_off */
	chain_field(o, 0, offsetof(struct soft_cpu, cur_off));
	chain_put32(o, op->off);
	n = soft_fp_emit_body(f, X86_RBX, o->vectors, o->w);
	o->w += n;
	o->x += n;
	o->vectors |= f->load | f->store;
	if (f->gpr_dir == SOFT_FP_STORE)
		chain_forget(o, OP_REG(f->gpr));
	if (f->address)
		put_x87_address(o, op, f);
	if (f->flags_in || f->flags_out)
		o->flags = f->flags_out;
}

void
chain_fp_load(struct chain_out *o, uint16_t vectors)
{
	unsigned n = soft_fp_emit_loads(vectors, X86_RBX, o->w);

	o->w += n;
	o->x += n;
}
