/*
 * Matching columns of opcodes.def, private to tables.c and decode.c.
 */
#ifndef VMM_X86_MATCH_H
#define VMM_X86_MATCH_H

enum { X86_MP_ANY, X86_MP_NP, X86_MP_P66, X86_MP_PF3, X86_MP_PF2 };
enum {
	X86_MR_NONE,
	X86_MR_ANY,
	X86_MR_MEM,
	X86_MR_REG,
	X86_MR_DIGIT,
	X86_MR_DIGIT_M,
	X86_MR_DIGIT_R,
	X86_MR_EQ
};
enum { X86_MODE_ANY, X86_MODE_I64, X86_MODE_O64 };

#endif
