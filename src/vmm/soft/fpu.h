/*
 * FP and SIMD instructions as host instructions on guest state.
 *
 * Every instruction form gets a thunk, a few bytes of host code that loads the
 * vector registers which the instruction names from cpu->xsave, runs the
 * guest's own instruction with its memory operand rewritten to a host pointer
 * and its general register to RAX, and stores the result. So results, flags
 * and exceptions are those of the CPU.
 *
 * x87 and MMX registers and MXCSR are not moved for each instruction: they stay
 * in the host's registers ("live") until soft_fp_sync(). The engine's own code
 * uses neither x87 nor SSE arithmetic, so it can run in between; code of others
 * must not. soft_fp_sync() is therefore called before the machine's callbacks,
 * before vcpu_run returns, and before cpu->xsave is read or changed.
 *
 * Chains (chain.h) have the same code in place.
 *
 * Unmasked exceptions: SIMD ones, and pending x87 ones that the next waiting
 * instruction reports, arrive as SIGFPE with the host's RIP in such code; the
 * handler goes on in soft_fp_failed() and the guest gets #XM or #MF. The same
 * goes for what the host refuses with #UD or #GP.
 *
 * Thunks live in a bounded cache of the vCPU. When it is full all of them go.
 *
 * Threads: everything belongs to the vCPU's thread.
 */
#ifndef VMM_SOFT_FPU_H
#define VMM_SOFT_FPU_H

#include "vmm/soft/cpu.h"

/*
 * soft_cpu.fp_live: what is in the host's registers, and which instructions
 * were found to be allowed since the control registers changed last.
 */
#define SOFT_FP_X87 0x01
#define SOFT_FP_MXCSR 0x02
#define SOFT_FP_LIVE 0x03
#define SOFT_FP_X87_ON 0x10 /* and MMX */
#define SOFT_FP_SSE_ON 0x20
#define SOFT_FP_AVX_ON 0x40

enum soft_fp_mem { SOFT_FP_NO_MEM, SOFT_FP_LOAD, SOFT_FP_STORE };

struct soft_op;
/*
 * Runs the instruction; mem is the rewritten memory operand. With op it is an
 * operation and returns the next one; NULL: nothing. Instructions
 * that fail end in soft_raise().
 */
typedef struct soft_next
soft_fp_code(struct soft_cpu *cpu, void *mem, const struct soft_op *op);

#define SOFT_FP_KEY 16

struct soft_fp_thunk {
	soft_fp_code *code;
	/* Does more than run code; NULL: it is all. */
	void (*special)(struct soft_cpu *cpu, const struct x86_insn *in,
	    const struct soft_fp_thunk *t);
	uint32_t serial; /* of the cache's content */
	uint8_t live; /* SOFT_FP_X87, SOFT_FP_MXCSR */
	uint8_t mem; /* enum soft_fp_mem */
	uint8_t size; /* of the memory operand */
	uint8_t align; /* its alignment - 1 where unaligned means #GP(0) */
	bool waits; /* reports a pending x87 exception */
	bool x87; /* leaves its address in FIP, FDP and FOP */
	uint8_t key[SOFT_FP_KEY];
	uint16_t next; /* in its hash chain, index + 1 */
};

/* The vCPU's thunk cache. 0 or -errno. */
int soft_fp_create(struct soft_cpu *cpu);
void soft_fp_destroy(struct soft_cpu *cpu); /* without one is allowed */

/*
 * This thread runs the vCPU from now on: faults in thunks are the guest's, and
 * the thread takes their signals. Call it before running.
 */
void soft_fp_enter_thread(struct soft_cpu *cpu);

/*
 * The thunk of an FPSIMD instruction, made if need be; NULL: the host can't.
 * It stays valid while its serial number stays the same.
 */
const struct soft_fp_thunk *
soft_fp_find(struct soft_cpu *cpu, const struct x86_insn *in);
/*
 * Execute an FPSIMD instruction. The caller has checked what is common: CR0.EM
 * and TS, CR4.OSFXSR, XCR0 for VEX. This checks alignment (X86_A_AL: #GP(0)),
 * pending x87 errors (#MF) and unmasked SIMD exceptions (#XM, or #UD without
 * CR4.OSXMMEXCPT).
 */
void soft_fp_run(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t);

/*
 * x87, MMX and MXCSR back to cpu->xsave, the host's own state in the registers.
 * Cheap when nothing is live.
 */
void soft_fp_sync_slow(struct soft_cpu *cpu);

static inline void
soft_fp_sync(struct soft_cpu *cpu)
{
	if (unlikely((cpu->fp_live & SOFT_FP_LIVE) != 0))
		soft_fp_sync_slow(cpu);
}

/* CR0, CR4 or XCR0 changed: look again at what is allowed. */
static inline void
soft_fp_recheck(struct soft_cpu *cpu)
{
	cpu->fp_live &= SOFT_FP_LIVE;
}

/*
 * State from outside was put into cpu->xsave: make of it what the CPU makes
 * (reserved bits of FCW and MXCSR, FSW.ES).
 */
void soft_fp_sanitize(struct soft_cpu *cpu);

/* Of an operation that has none; serial number 0. */
extern const struct soft_fp_thunk soft_fp_no_thunk;
/* ---- inside ---- */

void soft_fp_make_live(struct soft_cpu *cpu, unsigned what);
/* Where a thunk that failed goes on; the stack is the thunk's. */
_Noreturn void soft_fp_failed(struct soft_cpu *cpu, unsigned vector);

/* simd_emit.c: host code of an instruction and what to do around it. */
#define SOFT_FP_CODE_MAX 256
struct soft_fp_form {
	uint8_t insn[16]; /* host instruction */
	uint8_t len;
	uint8_t gpr; /* guest register that RAX stands for, 16 = none */
	uint8_t gpr_dir; /* SOFT_FP_LOAD: read, SOFT_FP_STORE: written */
	uint16_t load, store; /* vector registers, a bit each */
	bool vex, wide; /* wide: load the upper halves too */
	bool flags_in, flags_out;
	bool strings, strings_index, strings_mask; /* PCMPxSTRx */
	bool address, memory; /* x87: leaves FIP, FOP; FDP */
};
/*
 * pointer: host register with the operand's address, RSI or RCX. false: not to
 * be run this way (a special one without host code).
 */
bool soft_fp_make_form(
    const struct x86_insn *in, unsigned pointer, struct soft_fp_form *ret);
/* The thunk at p (SOFT_FP_CODE_MAX bytes); returns its length. */
unsigned soft_fp_emit(const struct soft_fp_form *f, uint8_t *p);
/*
 * What it does to the guest's registers alone: loads, instruction, stores,
 * flags. The vCPU is in host register cpu; of the vector registers in "have"
 * the lower halves are loaded, and all that it names are so afterwards. Changes
 * RAX.
 */
unsigned soft_fp_emit_body(
    const struct soft_fp_form *f, unsigned cpu, unsigned have, uint8_t *p);
/* Load the lower halves of vector registers. */
unsigned soft_fp_emit_loads(unsigned regs, unsigned cpu, uint8_t *p);
unsigned soft_fp_live_needs(const struct x86_insn *in);
/* x87, and not a control instruction: it leaves its address in FIP. */
bool soft_fp_leaves_address(const struct x86_insn *in);

/* fpu_env.c: change TOP of the synced state. */
void soft_fp_set_top(struct soft_cpu *cpu, unsigned top);

typedef void soft_fp_special(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t);
/* fpu_env.c, simd_mask.c: instructions that are more than their thunk. */
soft_fp_special soft_fp_fldenv, soft_fp_fnstenv, soft_fp_frstor, soft_fp_fnsave,
    soft_fp_fninit, soft_fp_ldmxcsr, soft_fp_stmxcsr, soft_fp_vzero,
    soft_fp_maskmov, soft_fp_vmaskmov, soft_fp_gather;

#endif
