/*
 * Operations that are done in place: host code that does the same as the
 * handler, without the call. A memory operand is looked up in the TLB, and what
 * does not hit goes to the handler.
 *
 * RDX is the result, RCX the host's address of the memory operand; flags go to
 * fl by "lahf; seto %al", as in the handlers. Results are kept in R8-R11 too,
 * until something is called: a value that goes through memory from one
 * operation to the next takes five cycles more.
 */
#include "vmm/soft/chain_out.h"
#include "vmm/soft/chain_shape.h"

#define RAX 0u
#define RCX 1u
#define RDX 2u

static void
rex(struct chain_out *o, const struct shape *s)
{
	if (s->size == 3)
		PUT(o, 0x48);
}

/* Prefix and opcode; that for bytes is the one before. */
static void
opcode(struct chain_out *o, const struct shape *s, unsigned code)
{
	if (s->size == 1)
		PUT(o, 0x66);
	rex(o, s);
	PUT(o, (uint8_t)(code - (s->size == 0)));
}

/* "code reg, r/m" with a guest register, or a field of the vCPU, as r/m */
static void
with_reg(
    struct chain_out *o, unsigned size, unsigned code, unsigned reg, size_t off)
{
	int k = chain_kept(o, off);
	unsigned bits = (size == 3 ? 8 : 0) | (k >= 0 ? 1 : 0);

	if (size == 1)
		PUT(o, 0x66);
	if (bits != 0)
		PUT(o, (uint8_t)(0x40 | bits));
	if (code > 0xff)
		PUT(o, (uint8_t)(code >> 8));
	PUT(o, (uint8_t)code);
	if (k >= 0)
		PUT(o, (uint8_t)(0xc0 | reg << 3 | (unsigned)k));
	else
		chain_field(o, reg, off);
}

static void
load(struct chain_out *o, const struct shape *s, unsigned reg, unsigned off)
{
	with_reg(o, s->size, 0x8b - (s->size == 0), reg, off);
}

static void
load64(struct chain_out *o, unsigned reg, size_t off)
{
	with_reg(o, 3, 0x8b, reg, off);
}

/* mov between R8-R11 and memory */
static void
move_kept(struct chain_out *o, uint8_t code, unsigned k)
{
	PUT(o, 0x4c, code);
	chain_field(o, k, 8 * (size_t)(o->kept[k] - 1));
}

void
chain_reload(struct chain_out *o)
{
	for (unsigned k = 0; k < CHAIN_KEPT; k++)
		if (o->kept[k] != 0)
			move_kept(o, 0x8b, k);
}

/* One of R8-R11 for the guest register */
static unsigned
keep(struct chain_out *o, size_t off)
{
	int k = chain_kept(o, off);

	if (k < 0) {
		k = o->next;
		o->next = (uint8_t)((k + 1) % CHAIN_KEPT);
		o->kept[k] = (uint8_t)(off / 8 + 1);
	}
	return (unsigned)k;
}

/* All of it from 4 bytes on: a 32-bit result has cleared the upper half. */
static void
store(struct chain_out *o, const struct shape *s, unsigned off)
{
	struct shape all = { .size = s->size < 2 ? s->size : 3 };

	opcode(o, &all, 0x89);
	chain_field(o, RDX, off);
	if (all.size == 3)
		PUT(o, 0x49, 0x89, (uint8_t)(0xd0 | keep(o, off)));
	else
		chain_forget(o, off);
}

/* "code %rdx, r/m" with the source operand; code may have two bytes */
static void
source(struct chain_out *o, const struct shape *s, const struct soft_op *op,
    unsigned code)
{
	if (s->src != FROM_MEM) {
		with_reg(o, s->size, code, RDX, op->src);
		return;
	}
	if (s->size == 1)
		PUT(o, 0x66);
	rex(o, s);
	if (code > 0xff)
		PUT(o, (uint8_t)(code >> 8));
	PUT(o, (uint8_t)code, RDX << 3 | RCX); /* (%rcx) */
}

static bool
is_byte(int64_t v)
{
	return v >= -128 && v < 128;
}

/* Of the operand's size, 4 bytes at most */
static void
put_imm(struct chain_out *o, const struct shape *s, uint64_t imm)
{
	chain_put(o, &imm, s->size < 2 ? 1u << s->size : 4);
}

static bool
imm_fits(const struct shape *s, const struct soft_op *op)
{
	return s->src != FROM_IMM || s->size < 3 ||
	    (int64_t)op->imm == (int32_t)op->imm;
}

static void
put_flags(struct chain_out *o, const struct shape *s)
{
	if (!s->out) {
		o->flags = o->flags && s->kind >= MOV;
		return;
	}
	PUT(o, 0x9f, 0x0f, 0x90, 0xc0, 0x66, 0x89); /* lahf, seto, mov */
	chain_field(o, 0, CPU_FL);
	o->flags = true;
}

/* RCX: lin to the host's address; returns the jump for what is not there. */
static uint8_t *
put_tlb(struct chain_out *o, const struct shape *s)
{
	uint8_t tag = s->mem == DEST && !s->keeps_mem
	    ? offsetof(struct soft_tlb, w)
	    : offsetof(struct soft_tlb, r);
	uint8_t *jump;

	PUT(o, 0x89, 0xc8, 0xc1, 0xe8, 0x07); /* mov %ecx, %eax; shr $7 */
	PUT(o, 0x25); /* and $mask, %eax */
	chain_put32(o, (SOFT_TLB_SIZE - 1) << 5);
	PUT(o, 0x48, 0x03); /* add tlb(%rbx), %rax */
	chain_field(o, 0, offsetof(struct soft_cpu, tlb));
	PUT(o, 0x48, 0x33, 0x48, tag); /* xor tag(%rax), %rcx */
	PUT(o, 0x48, 0x81, 0xf9); /* cmp $last, %rcx; ja */
	chain_put32(o, 4096u - s->bytes);
	PUT(o, 0x0f, 0x87);
	chain_put32(o, 0);
	jump = o->w - 4;
	PUT(o, 0x48, 0x03, 0x48, offsetof(struct soft_tlb, host));
	o->flags = false;
	return jump;
}
_Static_assert(sizeof(struct soft_tlb) == 32, "put_tlb");

/* RCX: the address; acc is still in RDX. */
static void
put_address(
    struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	if (s->base_acc) {
		PUT(o, 0x48, 0x8d, 0x8a); /* lea disp(%rdx), %rcx */
		chain_put32(o, (uint32_t)op->disp);
		return;
	}
	load64(o, RCX, op->base);
	if (!s->indexed) {
		if (op->disp != 0) {
			PUT(o, 0x48, 0x8d, 0x89); /* lea disp(%rcx), %rcx */
			chain_put32(o, (uint32_t)op->disp);
		}
		return;
	}
	load64(o, RAX, op->index);
	/* lea disp(%rcx, %rax, scale), %rcx */
	PUT(o, 0x48, 0x8d, 0x8c, (uint8_t)(op->scale << 6 | RAX << 3 | RCX));
	chain_put32(o, (uint32_t)op->disp);
	if (op->seg == X86_FS || op->seg == X86_GS) {
		PUT(o, 0x48, 0x03); /* add segbase, %rcx */
		chain_field(
		    o, RCX, offsetof(struct soft_cpu, segbase) + 8u * op->seg);
	}
}

static void
put_group1(struct chain_out *o, const struct shape *s, int64_t imm, uint8_t rm)
{
	uint8_t modrm = (uint8_t)(rm | s->ext << 3);

	if (s->code == 0x85) { /* TEST has a group of its own */
		opcode(o, s, 0xf7);
		PUT(o, rm);
		put_imm(o, s, (uint64_t)imm);
	} else if (s->size > 0 && is_byte(imm)) {
		opcode(o, s, 0x83);
		PUT(o, modrm, (uint8_t)imm);
	} else {
		opcode(o, s, 0x81);
		PUT(o, modrm);
		put_imm(o, s, (uint64_t)imm);
	}
}

static bool
put_alu(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	int32_t imm = (int32_t)op->imm;

	if (s->in)
		chain_flags(o);
	if (s->mem == DEST) {
		if (s->src == FROM_IMM) {
			put_group1(o, s, imm, RCX);
			return true;
		}
		load(o, s, RDX, op->src);
		opcode(o, s, s->code == 0x85 ? 0x85u : s->code - 2u);
		PUT(o, RDX << 3 | RCX);
		return true;
	}
	if (s->src == FROM_ACC)
		PUT(o, 0x48, 0x89, 0xd1); /* mov %rdx, %rcx */
	if (!s->dst_acc)
		load(o, s, RDX, op->dst);
	if (s->src == FROM_IMM) {
		put_group1(o, s, imm, 0xc0 | RDX);
		return true;
	}
	if (s->src != FROM_ACC) {
		source(o, s, op, s->code - (s->size == 0));
		return true;
	}
	opcode(o, s, s->code);
	PUT(o, 0xc0 | RDX << 3 | RCX);
	return true;
}

static bool
put_imul(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	if (s->src == FROM_REG) {
		load(o, s, RDX, op->dst);
		source(o, s, op, 0x0faf);
		return true;
	}
	with_reg(o, s->size, 0x69, RDX, op->src);
	chain_put32(o, (uint32_t)op->imm);
	return true;
}

static bool
put_shift(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	uint8_t count = op->imm & (s->size == 3 ? 63 : 31);

	if (count == 0)
		return false;
	if (!s->dst_acc)
		load(o, s, RDX, op->dst);
	rex(o, s);
	PUT(o, 0xc1, (uint8_t)(0xc0 | s->ext << 3 | RDX), count);
	return true;
}

static bool
put_unary(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	if (s->in)
		chain_flags(o);
	load(o, s, RDX, op->dst);
	rex(o, s);
	PUT(o, s->code, (uint8_t)(0xc0 | s->ext << 3 | RDX));
	return true;
}

static bool
put_mov(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	uint64_t imm = s->size == 3 ? op->imm : (uint32_t)op->imm;

	if (s->mem == DEST) {
		if (s->src == FROM_IMM) {
			opcode(o, s, 0xc7);
			PUT(o, RCX);
			put_imm(o, s, imm);
			return true;
		}
		load(o, s, RDX, op->src);
		opcode(o, s, 0x89);
		PUT(o, RDX << 3 | RCX);
	} else if (s->src == FROM_REG || s->src == FROM_MEM) {
		source(o, s, op, 0x8b - (s->size == 0));
	} else if (s->src == FROM_ACC) {
		if (s->size != 3)
			PUT(o, 0x89, 0xd2); /* mov %edx, %edx */
	} else if (imm == (uint32_t)imm) {
		PUT(o, 0xba); /* mov $imm, %edx */
		chain_put32(o, (uint32_t)imm);
	} else {
		PUT(o, 0x48, 0xba);
		chain_put(o, &imm, 8);
	}
	return true;
}

static bool
put_extend(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	source(o, s, op, s->code == 0x63 ? 0x63u : 0x0f00u | s->code);
	return true;
}

/* add or sub $n, rsp */
static void
move_sp(struct chain_out *o, int8_t n)
{
	int old = chain_kept(o, 8 * X86_RSP);
	unsigned k = keep(o, 8 * X86_RSP);

	if (old < 0)
		move_kept(o, 0x8b, k);
	PUT(o, 0x49, 0x83, (uint8_t)(0xc0 | k), (uint8_t)n);
	move_kept(o, 0x89, k);
}

static bool
put_push(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	if (s->src == FROM_IMM) {
		PUT(o, 0x48, 0xc7, RCX);
		chain_put32(o, (uint32_t)op->imm);
	} else {
		load64(o, RDX, op->src);
		PUT(o, 0x48, 0x89, RDX << 3 | RCX);
	}
	move_sp(o, -8);
	return true;
}

static bool
put_push2(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	load64(o, RDX, op->src);
	PUT(o, 0x48, 0x89, 0x40 | RDX << 3 | RCX, 8);
	load64(o, RDX, op[1].src);
	PUT(o, 0x48, 0x89, RDX << 3 | RCX);
	move_sp(o, -16);
	return true;
}

static bool
put_pop(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	PUT(o, 0x48, 0x8b, RDX << 3 | RCX);
	move_sp(o, 8);
	store(o, s, op->dst);
	return true;
}

static bool
put_pop2(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	PUT(o, 0x48, 0x8b, RDX << 3 | RCX);
	PUT(o, 0x48, 0x8b, 0x41, 8); /* mov 8(%rcx), %rax */
	move_sp(o, 16);
	store(o, s, op->dst);
	PUT(o, 0x48, 0x89);
	chain_field(o, RAX, op[1].dst);
	chain_forget(o, op[1].dst);
	return true;
}

/* lea disp(%rdx, %rcx, scale), %rdx */
static bool
put_lea(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	bool indexed = op->index != OP_ZERO;

	load64(o, RDX, op->base);
	if (indexed)
		load64(o, RCX, op->index);
	rex(o, s);
	PUT(o, 0x8d);
	PUT(o, indexed ? 0x94 : 0x92);
	if (indexed)
		PUT(o, (uint8_t)(op->scale << 6 | RCX << 3 | RDX));
	chain_put32(o, (uint32_t)op->disp);
	return true;
}

static bool
put_cmov(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	chain_flags(o);
	load(o, s, RDX, op->dst);
	source(o, s, op, 0x0f40u | s->code);
	return true;
}

static bool
put_setcc(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	chain_flags(o);
	PUT(o, 0x0f, 0x90 | s->code);
	chain_field(o, 0, op->dst);
	chain_forget(o, op->dst);
	return true;
}

static bool
put_nop(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	return true;
}

/* The handler does it in another order, or the code has no form for it. */
static bool
refused(const struct shape *s, const struct soft_op *op)
{
	if (s->kind == PUSH2)
		return op[1].src == OP_REG(X86_RSP);
	if (s->kind == POP2)
		return op->dst == OP_REG(X86_RSP);
	if (s->kind == PUSH)
		return s->src == FROM_IMM &&
		    (int64_t)op->imm != (int32_t)op->imm;
	return !(s->kind == MOV && s->mem == NO_MEM) && !imm_fits(s, op);
}

/* Alignment is looked at by the instruction itself: #GP. */
static bool
put_fp(struct chain_out *o, const struct shape *s, const struct soft_op *op,
    struct chain_slow *slow)
{
	struct soft_fp_form f;

	if (!chain_fp_form(op, &f))
		return false;
	slow->jump[0] = chain_fp_check(o, op);
	slow->n = slow->jump[0] != NULL;
	if (s->mem != NO_MEM) {
		put_address(o, s, op);
		PUT(o, 0x48, 0x89, 0xce); /* mov %rcx, %rsi */
		slow->jump[slow->n++] = put_tlb(o, s);
	}
	chain_fp(o, op, &f);
	return true;
}

bool
chain_inline(
    struct chain_out *o, const struct soft_op *op, struct chain_slow *ret_slow)
{
	static bool (*const put[])(struct chain_out *, const struct shape *,
	    const struct soft_op *) = { [ALU] = put_alu,
		[IMUL] = put_imul,
		[SHIFT] = put_shift,
		[UNARY] = put_unary,
		[MOV] = put_mov,
		[EXTEND] = put_extend,
		[LEA] = put_lea,
		[CMOV] = put_cmov,
		[SETCC] = put_setcc,
		[NOP] = put_nop,
		[PUSH] = put_push,
		[PUSH2] = put_push2,
		[POP] = put_pop,
		[POP2] = put_pop2 };
	const struct shape *s = chain_shape(op->fn);

	ret_slow->n = 0;
	if (s == NULL || refused(s, op))
		return false;
	if (s->kind == FP)
		return put_fp(o, s, op, ret_slow);
	if (s->kind >= PUSH) {
		load64(o, RCX, 8 * X86_RSP);
		if (s->mem == DEST)
			PUT(o, 0x48, 0x83, 0xe9, s->bytes); /* sub */
		ret_slow->jump[ret_slow->n++] = put_tlb(o, s);
	} else if (s->mem != NO_MEM) {
		put_address(o, s, op);
		ret_slow->jump[ret_slow->n++] = put_tlb(o, s);
	}
	if (!put[s->kind](o, s, op))
		return false;
	put_flags(o, s);
	if (s->mem == DEST || s->kind >= PUSH)
		return true;
	if (!s->keeps && s->kind != SETCC && s->kind != NOP)
		store(o, s, op->dst);
	return true;
}

uint8_t *
chain_push_rip(struct chain_out *o, unsigned off)
{
	static const struct shape s = { .mem = DEST, .bytes = 8 };
	uint8_t *slow;

	load64(o, RCX, 8 * X86_RSP);
	PUT(o, 0x48, 0x83, 0xe9, 8); /* sub $8, %rcx */
	slow = put_tlb(o, &s);
	load64(o, RDX, offsetof(struct soft_cpu, base_rip));
	PUT(o, 0x48, 0x81, 0xc2); /* add $off, %rdx; mov to (%rcx) */
	chain_put32(o, off);
	PUT(o, 0x48, 0x89, RDX << 3 | RCX);
	move_sp(o, -8);
	return slow;
}
