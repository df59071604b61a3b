/*
 * Test cases: an instruction of a row of the opcode table with random but
 * useful registers, operands and memory addresses.
 */
#ifndef ENGINE_GEN_H
#define ENGINE_GEN_H

#include "state.h"
#include "vmm/x86/decode.h"

struct rng {
	uint64_t s[2];
};
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/* 0..n-1 */
static inline unsigned
rng_below(struct rng *r, unsigned n)
{
	return (unsigned)((rng_next(r) >> 32) * n >> 32);
}

struct testcase {
	struct x86_insn in;
	unsigned mode; /* 4 or 8 */
	bool fp; /* FP state counts */
	bool branch; /* RIP counts */
};

/* Why can't the row run natively in a test? NULL: it can. */
const char *gen_excluded(const struct x86_row *row);
/*
 * A case of the row: bytes at r->rip go to code (of CODE_SIZE), r is filled.
 * data: the window, some of which may be changed to give the operand a value.
 * false: try again.
 */
bool gen_case(struct rng *g, const struct x86_row *row, uint8_t *code,
    struct regs *r, uint8_t *data, struct testcase *ret);
/* FP state with random content, as XSAVE writes it. */
void gen_fp_state(struct rng *g, uint8_t *xsave, bool avx);

/*
 * For sequences: bytes of an instruction of the row whose memory operand is
 * near a register, and registers most of which point into the window.
 */
bool gen_step(
    struct rng *g, const struct x86_row *row, uint8_t *p, struct x86_insn *ret);
void gen_sequence_regs(struct rng *g, struct regs *r, uint8_t *data);

/* ---- comparing ---- */

/* Did the fault leave a store half done? */
bool memory_undefined(const struct x86_insn *in, const struct fault *nat);
/* NULL: equal; else what differs. */
const char *compare_case(const struct testcase *tc, const struct regs *before,
    const struct regs *nat, const struct fault *nf, const struct regs *soft,
    const struct fault *sf);

#endif
