/*
 * Which operations are done in place, and what they are; private to the chain
 * files.
 */
#ifndef VMM_SOFT_CHAIN_SHAPE_H
#define VMM_SOFT_CHAIN_SHAPE_H

#include "vmm/soft/ops.h"

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
	FP,
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

/* Make the table; once, before the first look. */
void chain_shape_init(void);
/* Of a handler, or NULL: it is to be called. */
const struct shape *chain_shape(soft_fn *fn);

#endif
