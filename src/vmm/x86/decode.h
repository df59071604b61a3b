/*
 * Decoder of x86 instructions in 16-, 32- and 64-bit code, fed by opcodes.def.
 *
 * Source: Intel SDM vol. 2, chapter 2 (formats) and appendix A (opcode maps).
 * Columns of opcodes.def:
 *
 * map      M1, M0F, M38, M3A: legacy maps; V0F, V38, V3A: the VEX maps.
 * prefix   ANY: 66 is the operand size and F2/F3 are not looked at; NP, P66,
 *          PF3, PF2: mandatory (the last of F2/F3, else 66).
 * modrm    NO; RM any, RM_M only memory, RM_R only register; D(n), D_M(n),
 *          D_R(n): reg field n; EQ(b): the whole byte.
 * mode     ANY, I64 = invalid in 64-bit code, O64 = only there.
 * flags    class, see X86_FLAG_CLASSES.
 * feature  CPUID feature that the row needs; the executor checks it.
 *
 * Operand sizes beyond those of the SDM: yb, yw, yd = a whole register, but 1,
 * 2, 4 bytes of memory; h, f, e = a half, quarter, eighth of the vector; ss, sd
 * = 4, 8 bytes; ddup = 8 bytes, 32 with VEX.L; fs = 4 or 8 by VEX.W; env and
 * state = x87 environment and state, 14/28 and 94/108 bytes.
 *
 * Pure functions: no state, any thread.
 */
#ifndef VMM_X86_DECODE_H
#define VMM_X86_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define X86_MAX_INSN 15

enum x86_mn {
#define X86_MNEMONIC(id, text) X86_MN_##id,
#include "vmm/x86/opcodes.def"
	X86_MN_COUNT
};

enum x86_opclass {
	X86_OC_NONE,
	X86_OC_E, /* modrm.rm: general register or memory */
	X86_OC_M, /* modrm.rm: memory */
	X86_OC_R, /* modrm.rm: general register */
	X86_OC_G, /* modrm.reg: general register */
	X86_OC_Z, /* low three bits of the opcode and REX.B */
	X86_OC_B, /* VEX.vvvv: general register */
	X86_OC_I, /* immediate */
	X86_OC_IS, /* imm8, sign-extended to the operand size */
	X86_OC_I2, /* second immediate of ENTER */
	X86_OC_J, /* displacement from the end of the instruction, in imm */
	X86_OC_A, /* selector (imm2) : offset (imm) */
	X86_OC_O, /* moffs, address in disp */
	X86_OC_S, /* modrm.reg: segment register */
	X86_OC_C, /* modrm.reg: control register */
	X86_OC_D, /* modrm.reg: debug register */
	X86_OC_X, /* DS:rSI */
	X86_OC_Y, /* ES:rDI */
	X86_OC_V, /* modrm.reg: vector register */
	X86_OC_W, /* modrm.rm: vector register or memory */
	X86_OC_U, /* modrm.rm: vector register */
	X86_OC_H, /* VEX.vvvv: vector register */
	X86_OC_L, /* imm8[7:4]: vector register */
	X86_OC_P, /* modrm.reg: MMX register */
	X86_OC_Q, /* modrm.rm: MMX register or memory */
	X86_OC_N, /* modrm.rm: MMX register */
	X86_OC_ACC,
	X86_OC_CL,
	X86_OC_DX,
	X86_OC_ONE,
	X86_OC_ST0,
	X86_OC_STI, /* modrm.rm: x87 stack register */
	X86_OC_SREG_ES, /* the six in the order of enum x86_sreg */
	X86_OC_SREG_CS,
	X86_OC_SREG_SS,
	X86_OC_SREG_DS,
	X86_OC_SREG_FS,
	X86_OC_SREG_GS,
};

enum x86_opsize {
	X86_SZ_none,
	X86_SZ_b,
	X86_SZ_w,
	X86_SZ_d,
	X86_SZ_q,
	X86_SZ_v,
	X86_SZ_y,
	X86_SZ_z,
	X86_SZ_a,
	X86_SZ_p,
	X86_SZ_s,
	X86_SZ_x,
	X86_SZ_dq,
	X86_SZ_qq,
	X86_SZ_t,
	X86_SZ_ss,
	X86_SZ_sd,
	X86_SZ_h,
	X86_SZ_f,
	X86_SZ_e,
	X86_SZ_ddup,
	X86_SZ_fs,
	X86_SZ_env,
	X86_SZ_state,
	X86_SZ_yb,
	X86_SZ_yw,
	X86_SZ_yd,
};

enum x86_operand {
	X86_OP___, /* none */
#define X86_OPERAND(token, class, size) X86_OP_##token,
#include "vmm/x86/opcodes.def"
	X86_OP_COUNT
};

/* RFLAGS */
#define X86_FL_CF 0x0001u
#define X86_FL_PF 0x0004u
#define X86_FL_AF 0x0010u
#define X86_FL_ZF 0x0040u
#define X86_FL_SF 0x0080u
#define X86_FL_TF 0x0100u
#define X86_FL_IF 0x0200u
#define X86_FL_DF 0x0400u
#define X86_FL_OF 0x0800u
#define X86_FL_IOPL 0x3000u
#define X86_FL_NT 0x4000u
#define X86_FL_RF 0x10000u
#define X86_FL_VM 0x20000u
#define X86_FL_AC 0x40000u
#define X86_FL_VIF 0x80000u
#define X86_FL_VIP 0x100000u
#define X86_FL_ID 0x200000u
#define X86_FL_ARITH \
	(X86_FL_CF | X86_FL_PF | X86_FL_AF | X86_FL_ZF | X86_FL_SF | X86_FL_OF)

/*
 * Flag classes: name, flags read, written, undefined afterwards. For shifts and
 * rotates by a count the table states the worst case; "read" also covers flags
 * that stay as they are in some cases.
 */
/* clang-format off */
#define X86_FLAG_CLASSES(X)                                               \
	X(NONE,    0, 0, 0)                                               \
	X(ARITH,   0, X86_FL_ARITH, 0)                                    \
	X(ADC,     X86_FL_CF, X86_FL_ARITH, 0)                            \
	X(LOGIC,   0, X86_FL_ARITH & ~X86_FL_AF, X86_FL_AF)               \
	X(INCDEC,  0, X86_FL_ARITH & ~X86_FL_CF, 0)                       \
	X(SHIFT,   X86_FL_ARITH, X86_FL_ARITH & ~X86_FL_AF, X86_FL_AF | X86_FL_OF) \
	X(ROT,     X86_FL_CF | X86_FL_OF, X86_FL_CF | X86_FL_OF, X86_FL_OF) \
	X(RCR,     X86_FL_CF | X86_FL_OF, X86_FL_CF | X86_FL_OF, X86_FL_OF) \
	X(MUL,     0, X86_FL_CF | X86_FL_OF, X86_FL_SF | X86_FL_ZF | X86_FL_AF | X86_FL_PF) \
	X(DIV,     0, 0, X86_FL_ARITH)                                    \
	X(BS,      0, X86_FL_ZF, X86_FL_ARITH & ~X86_FL_ZF)               \
	X(BT,      0, X86_FL_CF, X86_FL_OF | X86_FL_SF | X86_FL_AF | X86_FL_PF) \
	X(COMIS,   0, X86_FL_ARITH, 0)                                    \
	X(POPCNT,  0, X86_FL_ARITH, 0)                                    \
	X(XZCNT,   0, X86_FL_CF | X86_FL_ZF, X86_FL_OF | X86_FL_SF | X86_FL_AF | X86_FL_PF) \
	X(ANDN,    0, X86_FL_ARITH & ~(X86_FL_AF | X86_FL_PF), X86_FL_AF | X86_FL_PF) \
	X(BLS,     0, X86_FL_ARITH & ~(X86_FL_AF | X86_FL_PF), X86_FL_AF | X86_FL_PF) \
	X(BEXTR,   0, X86_FL_ZF | X86_FL_CF | X86_FL_OF, X86_FL_AF | X86_FL_SF | X86_FL_PF) \
	X(ADCX,    X86_FL_CF, X86_FL_CF, 0)                               \
	X(ADOX,    X86_FL_OF, X86_FL_OF, 0)                               \
	X(RDRAND,  0, X86_FL_ARITH, 0)                                    \
	X(CCO,     X86_FL_OF, 0, 0)                                       \
	X(CCC,     X86_FL_CF, 0, 0)                                       \
	X(CCZ,     X86_FL_ZF, 0, 0)                                       \
	X(CCBE,    X86_FL_CF | X86_FL_ZF, 0, 0)                           \
	X(CCS,     X86_FL_SF, 0, 0)                                       \
	X(CCP,     X86_FL_PF, 0, 0)                                       \
	X(CCL,     X86_FL_SF | X86_FL_OF, 0, 0)                           \
	X(CCLE,    X86_FL_SF | X86_FL_OF | X86_FL_ZF, 0, 0)               \
	X(CMC,     X86_FL_CF, X86_FL_CF, 0)                               \
	X(SETC,    0, X86_FL_CF, 0)                                       \
	X(ZF,      0, X86_FL_ZF, 0)                                       \
	X(SZP,     0, X86_FL_SF | X86_FL_ZF | X86_FL_PF, X86_FL_OF | X86_FL_AF | X86_FL_CF) \
	X(DECIMAL, X86_FL_CF | X86_FL_AF, X86_FL_ARITH & ~X86_FL_OF, X86_FL_OF) \
	X(ASCII,   X86_FL_CF | X86_FL_AF, X86_FL_CF | X86_FL_AF, X86_FL_OF | X86_FL_SF | X86_FL_ZF | X86_FL_PF) \
	X(SAHF,    0, X86_FL_ARITH & ~X86_FL_OF, 0)                       \
	X(LAHF,    X86_FL_ARITH & ~X86_FL_OF, 0, 0)                       \
	X(PUSHF,   ~0u, 0, 0)                                             \
	X(POPF,    ~0u, ~0u, 0)                                           \
	X(INT,     ~0u, ~0u, 0)                                           \
	X(IFW,     0, X86_FL_IF, 0)                                       \
	X(DFW,     0, X86_FL_DF, 0)                                       \
	X(DFR,     X86_FL_DF, 0, 0)                                       \
	X(STRCMP,  X86_FL_DF | X86_FL_ARITH, X86_FL_ARITH, 0)

#define X86_FEATURES(X)                                                   \
	X(BASE) X(X87) X(CX8) X(MMX) X(FXSR) X(SSE) X(SSE2) X(SSE3)       \
	X(SSSE3) X(SSE41) X(SSE42) X(POPCNT) X(MOVBE) X(AES) X(PCLMUL)    \
	X(SHA) X(RDRAND) X(RDSEED) X(RDTSCP) X(RDPID) X(LZCNT) X(BMI1)    \
	X(BMI2) X(ADX) X(XSAVE) X(XSAVEOPT) X(XSAVEC) X(XSAVES) X(AVX) X(AVX2) X(FMA) X(F16C) \
	X(FSGSBASE) X(SMAP) X(INVPCID) X(CLFLUSH) X(CLFLUSHOPT) X(CLWB)
/* clang-format on */

enum x86_flag_class {
#define X(name, r, w, u) X86_FC_##name,
	X86_FLAG_CLASSES(X)
#undef X
};

enum x86_feature {
#define X(name) X86_FEAT_##name,
	X86_FEATURES(X)
#undef X
	    X86_FEAT_COUNT
};

/* Row attributes */
enum {
	X86_A_RO1 = 1 << 0, /* operand 1 is only read */
	X86_A_WO1 = 1 << 1, /* operand 1 is only written; neither: both */
	X86_A_LOCK = 1 << 2, /* LOCK is allowed with a memory operand */
	X86_A_D64 = 1 << 3, /* operand size is 64 by default in 64-bit code */
	X86_A_F64 = 1 << 4, /* operand size is always 64 there */
	X86_A_BR = 1 << 5, /* changes RIP */
	X86_A_STOP = 1 << 6, /* may change mode or mapping: ends a block */
	X86_A_STR = 1 << 7, /* string instruction, takes REP */
	X86_A_IO = 1 << 8, /* port access */
	X86_A_UD = 1 << 9, /* defined to be undefined */
	X86_A_FPSIMD = 1 << 10, /* x87/MMX/SSE/AVX: soft_exec_fpsimd() */
	X86_A_FPSTATE = 1 << 11, /* FXSAVE, XSAVE and their inverses */
	X86_A_AL = 1 << 12, /* a vector-sized memory operand is aligned */
	X86_A_NOMEM = 1 << 13, /* no access by the ModRM memory operand */
	X86_A_MEM16 = 1 << 14, /* Ev in memory is always 2 bytes */
	X86_A_BITSTR = 1 << 15, /* bit offset reaches beyond the operand */
	X86_A_CRDR = 1 << 16, /* modrm.mod is ignored, a register */
	X86_A_CX = 1 << 17, /* CMPXCHG8B/16B: 2 * opsize of memory */
	X86_A_XMM0 = 1 << 18, /* XMM0 is an implicit operand */
	X86_A_MRG = 1 << 19, /* VEX.vvvv is used by the register form only */
	X86_A_MASKMOV = 1 << 20, /* implicit byte-masked store to DS:rDI */
	X86_A_VMASK = 1 << 21, /* only elements under the mask are accessed */
	X86_A_GATHER = 1 << 22, /* vector-indexed loads (VSIB) */
	X86_A_PCMPSTR = 1 << 23, /* writes ECX or XMM0, flags */
	X86_A_VZERO = 1 << 24, /* VZEROUPPER, VZEROALL by VEX.L */
	X86_A_I256 = 1 << 25, /* the 256-bit form needs AVX2 */
	X86_A_W0 = 1 << 26, /* VEX.W must be 0 */
	X86_A_W1 = 1 << 27, /* VEX.W must be 1 */
};

struct x86_row {
	uint16_t mn; /* enum x86_mn */
	uint8_t map; /* X86_MAP_* */
	uint8_t opcode;
	uint8_t pfx, modrm, digit, mode; /* matching; private to decode.c */
	uint8_t op[4]; /* enum x86_operand */
	uint8_t flags; /* enum x86_flag_class */
	uint8_t feature; /* enum x86_feature */
	uint32_t attr;
};
extern const struct x86_row x86_rows[];
extern const size_t x86_row_count;

struct x86_flag_info {
	uint32_t read, written, undefined;
};
extern const struct x86_flag_info x86_flag_info[];

struct x86_operand_info {
	uint8_t class; /* enum x86_opclass */
	uint8_t size; /* enum x86_opsize */
};
extern const struct x86_operand_info x86_operand_info[];
extern const char *const x86_mnemonics[];

enum {
	X86_MAP_M1,
	X86_MAP_M0F,
	X86_MAP_M38,
	X86_MAP_M3A,
	X86_MAP_V0F,
	X86_MAP_V38,
	X86_MAP_V3A,
	X86_MAP_COUNT
};

/* x86_insn.pfx */
#define X86_PFX_LOCK 0x01
#define X86_PFX_REP 0x02 /* F3 */
#define X86_PFX_REPNE 0x04 /* F2; the last of F2/F3 counts */
#define X86_PFX_66 0x08
#define X86_PFX_67 0x10
#define X86_PFX_SEG 0x20 /* an override was given (and is in seg) */
#define X86_PFX_REX 0x40
#define X86_PFX_VEX 0x80

#define X86_REG_NONE 16 /* base, index */
#define X86_REG_RIP 17 /* base: disp counts from the instruction's end */

/* One decoded instruction. */
struct x86_insn {
	const struct x86_row *row;
	uint8_t len;
	uint8_t mode; /* 2, 4, 8: 16-, 32-, 64-bit code */
	uint8_t opsize; /* 2, 4, 8: v operands, after defaults and REX.W */
	uint8_t adsize; /* 2, 4, 8 */
	uint8_t pfx;
	uint8_t rex; /* W R X B = 8 4 2 1, from REX or VEX */
	uint8_t seg; /* enum x86_sreg of the memory operand (and of X) */
	uint8_t opcode;
	uint8_t modrm; /* the byte */
	uint8_t has_modrm;
	uint8_t mod; /* 3 = register form */
	uint8_t reg, rm; /* with REX/VEX bits; rm only for mod 3 */
	uint8_t base, index, scale; /* scale: shift count 0-3 */
	uint8_t vvvv; /* VEX.vvvv, already inverted: a register number */
	uint8_t vl; /* VEX.L: 0, 1 */
	uint8_t vpp; /* VEX.pp: 0, 1 = 66, 2 = F3, 3 = F2 */
	uint8_t mem_size; /* bytes of the ModRM memory operand, 0 = none */
	uint8_t opcode_at, modrm_at; /* offsets in bytes[] */
	uint8_t imm_at, imm_size;
	uint16_t imm2; /* ENTER's level, far pointer's selector */
	int64_t disp; /* sign-extended; moffs: the address */
	uint64_t imm; /* sign-extended from its size (imm8 of Ib too) */
	uint8_t bytes[X86_MAX_INSN + 1];
};

enum x86_decode_error {
	X86_DECODE_MORE = -1, /* needs more bytes than n */
	X86_DECODE_UD = -2, /* no such instruction */
	X86_DECODE_LONG = -3, /* longer than 15 bytes: #GP */
};

/*
 * Decode the instruction at p, of which n bytes can be read. mode: 2, 4 or 8.
 * Returns its length or enum x86_decode_error. ret is written in any case; its
 * bytes[] hold what was looked at. LOCK where it is not allowed is
 * X86_DECODE_UD.
 */
int x86_decode(struct x86_insn *ret, const uint8_t *p, size_t n, unsigned mode);

/* Bytes of an operand of this size letter; mem: its memory form. */
unsigned
x86_operand_bytes(const struct x86_insn *in, enum x86_opsize size, bool mem);

static inline enum x86_opclass
x86_op_class(const struct x86_insn *in, unsigned n)
{
	return (enum x86_opclass)x86_operand_info[in->row->op[n]].class;
}

static inline unsigned
x86_op_bytes(const struct x86_insn *in, unsigned n)
{
	return x86_operand_bytes(in,
	    (enum x86_opsize)x86_operand_info[in->row->op[n]].size,
	    in->mod != 3);
}

#endif
