/*
 * opcodes.def as data.
 */
#include "vmm/x86/decode.h"

#include "vmm/x86/match.h"

#define EQ(b) X86_MR_EQ, b
#define D(n) X86_MR_DIGIT, n
#define D_M(n) X86_MR_DIGIT_M, n
#define D_R(n) X86_MR_DIGIT_R, n
#define RM X86_MR_ANY, 0
#define RM_M X86_MR_MEM, 0
#define RM_R X86_MR_REG, 0
#define NO X86_MR_NONE, 0

const struct x86_row x86_rows[] = {
#define X86_ROW(                                                          \
    map_, opcode_, pfx_, modrm_, mode_, mn_, a, b, c, d, fl, feat, attr_) \
	X86_ROW_(map_, opcode_, pfx_, modrm_, mode_, mn_, a, b, c, d, fl, \
	    feat, attr_)
#define X86_ROW_(                                                            \
    map_, opcode_, pfx_, mr_, dig_, mode_, mn_, a, b, c, d, fl, feat, attr_) \
	{ X86_MN_##mn_, X86_MAP_##map_, opcode_, X86_MP_##pfx_, mr_, dig_,   \
		X86_MODE_##mode_,                                            \
		{ X86_OP_##a, X86_OP_##b, X86_OP_##c, X86_OP_##d },          \
		X86_FC_##fl, X86_FEAT_##feat, attr_ },
#include "vmm/x86/opcodes.def"
};
const size_t x86_row_count = sizeof(x86_rows) / sizeof(x86_rows[0]);

const struct x86_flag_info x86_flag_info[] = {
#define X(name, r, w, u) [X86_FC_##name] = { r, w, u },
	X86_FLAG_CLASSES(X)
#undef X
};

const struct x86_operand_info x86_operand_info[] = {
	[X86_OP___] = { X86_OC_NONE, X86_SZ_none },
#define X86_OPERAND(token, class_, size_) \
	[X86_OP_##token] = { X86_OC_##class_, X86_SZ_##size_ },
#include "vmm/x86/opcodes.def"
};

const char *const x86_mnemonics[] = {
#define X86_MNEMONIC(id, text) text,
#include "vmm/x86/opcodes.def"
};
