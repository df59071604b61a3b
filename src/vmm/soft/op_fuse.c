/*
 * Pairs of operations in one handler: pushes and pops in a row, with one look
 * at the TLB for both.
 *
 * The pair's handler stands in the first operation; the second one stays as it
 * was. A first operation may have written to this very block: the second one's
 * handler is looked at after it.
 */
#include "vmm/soft/ops.h"

COLD static struct soft_next
one_by_one(struct soft_cpu *cpu, const struct soft_op *op, soft_fn *first)
{
	first(cpu, op, 0);
	return op[1].fn(cpu, op + 1, 0);
}

OP(push_push)
{
	uint64_t lin = cpu->gpr[X86_RSP] - 16;
	const struct soft_tlb *e = &cpu->tlb[lin >> 12 & (SOFT_TLB_SIZE - 1)];
	uint64_t off = lin ^ e->w;
	uint8_t *p;

	if (unlikely(off > 4096 - 16 || op[1].src == OP_REG(X86_RSP)))
		return one_by_one(cpu, op, soft_push_r);
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
		return one_by_one(cpu, op, soft_pop_r);
	a = *(const volatile soft_mem64 *)(e->host + off);
	b = *(const volatile soft_mem64 *)(e->host + off + 8);
	cpu->gpr[X86_RSP] = lin + 16;
	R64(op->dst) = a;
	R64(op[1].dst) = b;
	NEXT(op + 2);
}
soft_fn *const soft_push_push = push_push, *const soft_pop_pop = pop_pop;

soft_fn *
soft_fuse(const struct soft_op *first, const struct soft_op *second)
{
	if (first->fn == soft_push_r && second->fn == soft_push_r)
		return push_push;
	if (first->fn == soft_pop_r && second->fn == soft_pop_r)
		return pop_pop;
	return NULL;
}
