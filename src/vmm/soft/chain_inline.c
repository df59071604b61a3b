/*
 * Operations that are done in place: host code that does the same as the
 * handler, without the call. What a handler is, the tables of ops.h say. A
 * memory operand is looked up in the TLB, and what does not hit goes to the
 * handler.
 *
 * RDX is the result, RCX the host's address of the memory operand; flags go to
 * fl by "lahf; seto %al", as in the handlers.
 */
#include <pthread.h>

#include "vmm/soft/chain_out.h"

enum kind {
	NONE,
	ALU, /* code: of "op r, r/m"; ext: of "op r/m, imm" */
	IMUL,
	SHIFT, /* ext */
	UNARY, /* code, ext */
	MOV, /* from here on, flags of the host stay */
	EXTEND, /* code, wide: two bytes */
	LEA,
	CMOV, /* code: condition */
	SETCC,
	NOP,
	PUSH,
	PUSH2,
	POP,
	POP2,
};
enum operand { FROM_REG, FROM_IMM, FROM_ACC, FROM_MEM };
enum place { NO_MEM, SOURCE, DEST }; /* of the memory operand */

struct shape {
	soft_fn *fn;
	uint8_t kind, code, ext;
	uint8_t size; /* 0-3 */
	uint8_t mem, bytes; /* enum place; its size */
	bool indexed; /* SOFT_EA_F, not SOFT_EA_S */
	bool base_acc; /* acc is the base's value */
	bool dst_acc; /* acc is the destination's value */
	uint8_t src; /* enum operand */
	bool in, out; /* flags are read, written */
	bool keeps; /* no result in a register */
	bool keeps_mem; /* nor in memory: CMP, TEST */
};

#define SLOTS 2048
static struct shape shapes[SLOTS];

static struct shape *
slot(soft_fn *fn)
{
	uint64_t h = (uintptr_t)fn * UINT64_C(0x9e3779b97f4a7c15) >> 53;

	while (shapes[h].fn != NULL && shapes[h].fn != fn)
		h = (h + 1) % SLOTS;
	return &shapes[h];
}

static void
add(soft_fn *fn, struct shape s)
{
	if (fn == NULL)
		return;
	s.fn = fn;
	*slot(fn) = s;
}

/* ---- what the handlers are ---- */

/* Intel SDM vol. 2, opcode map: "op r, r/m" and the /digit of group 1 */
static const struct {
	uint8_t code, ext;
	bool in, keeps;
} alu_codes[SOFT_ALU_COUNT] = {
	[SOFT_ADD] = { 0x03, 0, false, false },
	[SOFT_OR] = { 0x0b, 1, false, false },
	[SOFT_ADC] = { 0x13, 2, true, false },
	[SOFT_SBB] = { 0x1b, 3, true, false },
	[SOFT_AND] = { 0x23, 4, false, false },
	[SOFT_SUB] = { 0x2b, 5, false, false },
	[SOFT_XOR] = { 0x33, 6, false, false },
	[SOFT_CMP] = { 0x3b, 7, false, true },
	[SOFT_TEST] = { 0x85, 0, false, true },
};

/* The forms of a handler with a memory operand: S and F */
static void
add_mem(soft_fn *const *forms, struct shape s)
{
	for (unsigned ea = SOFT_EA_S; ea <= SOFT_EA_F; ea++) {
		s.indexed = ea == SOFT_EA_F;
		add(forms[ea], s);
	}
}

static void
add_alu_mem(unsigned k, unsigned size, struct shape s)
{
	s.bytes = (uint8_t)(1u << size);
	s.mem = SOURCE;
	s.src = FROM_MEM;
	s.out = true;
	add_mem(&soft_alu_ops[k][size][SOFT_RM], s);
	s.out = false;
	add_mem(&soft_alu_quiet[k][size][SOFT_RM], s);
	s.mem = DEST;
	s.out = true;
	s.src = FROM_REG;
	add_mem(&soft_alu_ops[k][size][SOFT_MR], s);
	s.src = FROM_IMM;
	add_mem(&soft_alu_ops[k][size][SOFT_MI], s);
}

static void
add_alu(unsigned k, unsigned size)
{
	struct shape s = { .kind = ALU,
		.code = alu_codes[k].code,
		.ext = alu_codes[k].ext,
		.in = alu_codes[k].in,
		.keeps = alu_codes[k].keeps,
		.keeps_mem = alu_codes[k].keeps,
		.size = (uint8_t)size };

	add_alu_mem(k, size, s);
	for (unsigned quiet = 0; quiet < 2; quiet++) {
		soft_fn *const *plain =
		    quiet ? soft_alu_quiet[k][size] : soft_alu_ops[k][size];
		soft_fn *const *acc;

		s.out = !quiet;
		s.dst_acc = false;
		s.src = FROM_REG;
		add(plain[SOFT_RR], s);
		s.src = FROM_IMM;
		add(plain[SOFT_RI], s);
		if (size < 2)
			continue;
		acc = soft_alu_acc[k][size - 2][quiet];
		s.dst_acc = true;
		add(acc[SOFT_ACC_RI], s);
		s.src = FROM_REG;
		add(acc[SOFT_ACC_RR_DST], s);
		s.dst_acc = false;
		s.src = FROM_ACC;
		add(acc[SOFT_ACC_RR_SRC], s);
	}
}

static void
add_shifts(unsigned size)
{
	static const uint8_t ext[SOFT_SHIFT_COUNT] = { 0, 1, 2, 3, 4, 5, 7 };
	struct shape s = { .kind = SHIFT, .size = (uint8_t)size };

	for (unsigned k = 0; k < SOFT_SHIFT_COUNT; k++) {
		s.ext = ext[k];
		s.dst_acc = false;
		s.out = false;
		add(soft_shift_quiet[k][size][SOFT_S_RI], s);
		s.dst_acc = true;
		add(soft_shift_acc[k][size - 2][1], s);
		if (k < SOFT_SHL)
			continue;
		s.out = true;
		add(soft_shift_acc[k][size - 2][0], s);
		s.dst_acc = false;
		add(soft_shift_ops[k][size][SOFT_S_RI], s);
	}
}

static void
add_unary(unsigned size)
{
	static const struct {
		uint8_t code, ext;
		bool in, out;
	} rows[SOFT_UNARY_COUNT] = { { 0xff, 0, true, true },
		{ 0xff, 1, true, true }, { 0xf7, 3, false, true },
		{ 0xf7, 2, false, false } };

	for (unsigned k = 0; k < SOFT_UNARY_COUNT; k++) {
		struct shape s = { .kind = UNARY,
			.code = rows[k].code,
			.ext = rows[k].ext,
			.size = (uint8_t)size };

		add(soft_unary_quiet[k][size], s);
		s.in = rows[k].in;
		s.out = rows[k].out;
		add(soft_unary_ops[k][size][SOFT_U_R], s);
	}
}

static void
add_mov(unsigned size)
{
	struct shape s = { .kind = MOV,
		.size = (uint8_t)size,
		.bytes = (uint8_t)(1u << size) };

	add(soft_mov_ops[size][SOFT_RR], s);
	s.mem = DEST;
	add_mem(&soft_mov_ops[size][SOFT_MR], s);
	s.src = FROM_IMM;
	add_mem(&soft_mov_ops[size][SOFT_MI], s);
	s.mem = SOURCE;
	s.src = FROM_MEM;
	add_mem(&soft_mov_ops[size][SOFT_RM], s);
	if (size < 2)
		return;
	s.base_acc = true;
	add(soft_load_acc[size - 2], s);
	s.base_acc = false;
	s.mem = NO_MEM;
	s.src = FROM_IMM;
	add(soft_mov_ops[size][SOFT_RI], s);
	s.src = FROM_ACC;
	add(soft_mov_acc[size - 2], s);
}

static void
add_extend(unsigned size)
{
	static const uint8_t codes[2][3] = { { 0xb6, 0xb7, 0 },
		{ 0xbe, 0xbf, 0x63 } };

	for (unsigned sign = 0; sign < 2; sign++)
		for (unsigned from = 0; from < 3; from++) {
			soft_fn *const *forms = soft_movx_ops[sign][from][size];
			struct shape s = { .kind = EXTEND,
				.code = codes[sign][from],
				.size = (uint8_t)size,
				.bytes = (uint8_t)(1u << from) };

			if (s.code == 0 || (from == 2 && size != 3))
				continue;
			add(forms[SOFT_RR], s);
			s.mem = SOURCE;
			s.src = FROM_MEM;
			add_mem(&forms[SOFT_RM], s);
		}
}

static void
add_moves(unsigned size)
{
	struct shape s = { .kind = LEA, .size = (uint8_t)size };

	add_extend(size);
	add(soft_lea_ops[size - 1], s);
	s.kind = CMOV;
	for (unsigned cc = 0; cc < 16; cc++) {
		s.code = (uint8_t)cc;
		add(soft_cmov_ops[cc][size - 1], s);
	}
	s = (struct shape){ .kind = IMUL, .size = (uint8_t)size };
	for (unsigned imm = 0; imm < 2; imm++) {
		s.src = imm ? FROM_IMM : FROM_REG;
		s.out = false;
		add(soft_imul_quiet[size - 1][imm], s);
		s.out = true;
		add(soft_imul_ops[size - 1][imm], s);
	}
}

static void
add_stack(void)
{
	struct shape s = { .mem = DEST, .keeps = true, .bytes = 8 };

	s.kind = PUSH;
	add(soft_push_r, s);
	s.src = FROM_IMM;
	add(soft_push_i, s);
	s.bytes = 16;
	s.kind = PUSH2;
	add(soft_push_push, s);
	s.mem = SOURCE;
	s.kind = POP2;
	add(soft_pop_pop, s);
	s.bytes = 8;
	s.kind = POP;
	add(soft_pop_r, s);
}

static void
fill(void)
{
	for (unsigned size = 0; size < 4; size++) {
		for (unsigned k = 0; k < SOFT_ALU_COUNT; k++)
			add_alu(k, size);
		add_mov(size);
		if (size < 2)
			continue;
		add_shifts(size);
		add_unary(size);
		add_moves(size);
	}
	add_stack();
	for (unsigned cc = 0; cc < 16; cc++)
		add(soft_setcc_ops[cc],
		    (struct shape){ .kind = SETCC, .code = (uint8_t)cc });
	add(soft_op_nop, (struct shape){ .kind = NOP });
}

void
chain_inline_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fill);
}

/* ---- code ---- */

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

static void
load(struct chain_out *o, const struct shape *s, unsigned reg, unsigned off)
{
	opcode(o, s, 0x8b);
	chain_field(o, reg, off);
}

static void
load64(struct chain_out *o, unsigned reg, size_t off)
{
	PUT(o, 0x48, 0x8b);
	chain_field(o, reg, off);
}

/* All of it from 4 bytes on: a 32-bit result has cleared the upper half. */
static void
store(struct chain_out *o, const struct shape *s, unsigned off)
{
	struct shape all = { .size = s->size < 2 ? s->size : 3 };

	opcode(o, &all, 0x89);
	chain_field(o, RDX, off);
}

/* ModRM: the source operand where it is */
static void
source(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	if (s->src == FROM_MEM)
		PUT(o, RDX << 3 | RCX); /* (%rcx) */
	else
		chain_field(o, RDX, op->src);
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
	opcode(o, s, s->code);
	if (s->src == FROM_ACC)
		PUT(o, 0xc0 | RDX << 3 | RCX);
	else
		source(o, s, op);
	return true;
}

static bool
put_imul(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	if (s->src == FROM_REG) {
		load(o, s, RDX, op->dst);
		rex(o, s);
		PUT(o, 0x0f, 0xaf);
		chain_field(o, RDX, op->src);
		return true;
	}
	rex(o, s);
	PUT(o, 0x69);
	chain_field(o, RDX, op->src);
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
		opcode(o, s, 0x8b);
		source(o, s, op);
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
	rex(o, s);
	if (s->code != 0x63)
		PUT(o, 0x0f);
	PUT(o, s->code);
	source(o, s, op);
	return true;
}

/* add or sub $n, rsp */
static void
move_sp(struct chain_out *o, int8_t n)
{
	PUT(o, 0x48, 0x83); /* addq */
	chain_field(o, 0, 8 * X86_RSP);
	PUT(o, (uint8_t)n);
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
	PUT(o, 0x48, 0x89);
	chain_field(o, RDX, op->dst);
	return true;
}

static bool
put_pop2(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	PUT(o, 0x48, 0x8b, RDX << 3 | RCX);
	PUT(o, 0x48, 0x8b, 0x41, 8); /* mov 8(%rcx), %rax */
	move_sp(o, 16);
	PUT(o, 0x48, 0x89);
	chain_field(o, RDX, op->dst);
	PUT(o, 0x48, 0x89);
	chain_field(o, RAX, op[1].dst);
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
	rex(o, s);
	PUT(o, 0x0f, 0x40 | s->code);
	chain_field(o, RDX, op->src);
	return true;
}

static bool
put_setcc(struct chain_out *o, const struct shape *s, const struct soft_op *op)
{
	chain_flags(o);
	PUT(o, 0x0f, 0x90 | s->code);
	chain_field(o, 0, op->dst);
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

bool
chain_inline(struct chain_out *o, const struct soft_op *op, uint8_t **ret_slow)
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
	const struct shape *s = slot(op->fn);

	*ret_slow = NULL;
	if (s->fn == NULL || refused(s, op))
		return false;
	if (s->kind >= PUSH) {
		load64(o, RCX, 8 * X86_RSP);
		if (s->mem == DEST)
			PUT(o, 0x48, 0x83, 0xe9, s->bytes); /* sub */
		*ret_slow = put_tlb(o, s);
	} else if (s->mem != NO_MEM) {
		put_address(o, s, op);
		*ret_slow = put_tlb(o, s);
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
