/*
 * What the handlers are that have a form in place, from the tables of ops.h.
 */
#include "vmm/soft/chain_shape.h"

#include <pthread.h>

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
	struct shape s = { .mem = DEST, .keeps = true, .size = 3, .bytes = 8 };

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
add_fp(void)
{
	struct shape s = { .kind = FP };

	add(soft_fp_reg_op, s);
	for (unsigned size = 0; size < 4; size++)
		for (unsigned store = 0; store < 2; store++) {
			s.bytes = (uint8_t)(4u << size);
			s.mem = store ? DEST : SOURCE;
			add_mem(soft_fp_mem_ops[size][store], s);
		}
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
	add_fp();
	for (unsigned cc = 0; cc < 16; cc++)
		add(soft_setcc_ops[cc],
		    (struct shape){ .kind = SETCC, .code = (uint8_t)cc });
	add(soft_op_nop, (struct shape){ .kind = NOP });
}

void
chain_shape_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fill);
}

const struct shape *
chain_shape(soft_fn *fn)
{
	const struct shape *s = slot(fn);

	return s->fn != NULL ? s : NULL;
}
