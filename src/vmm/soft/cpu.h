/*
 * One virtual CPU of the software engine, and what its rooms (executor, MMU,
 * segmentation, events, FP/SIMD) agree on.
 *
 * Faults. An instruction that faults calls soft_raise(), which does not return:
 * it goes back to the run loop by longjmp, where the event is delivered with
 * RIP at the instruction. So: read and check everything first, write registers
 * last; probe what is written second (soft_probe_write). No function that can
 * reach soft_raise() may hold a lock or memory.
 *
 * Flags. OF SF ZF AF PF CF live in fl, the other bits in rflags. fl is what
 * "lahf; seto %al" leaves in AX, because ALU handlers run the host's own
 * instruction and keep its flags: two cheap instructions, no lazy recomputation
 * and the undefined flags of the host. Use the accessors.
 *
 * RIP. While a block runs, base_rip is the address of the block and cur_off the
 * offset of the running instruction in it (set for handlers that are reached
 * through struct x86_insn); soft_insn_rip() adds them.
 *
 * Threads: all of it belongs to the vCPU's thread but 'request', which any
 * thread may set bits in.
 */
#ifndef VMM_SOFT_CPU_H
#define VMM_SOFT_CPU_H

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vmm/engine.h"
#include "vmm/soft/lapic.h"
#include "vmm/x86/decode.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ---- software TLB ---- */

#define SOFT_TLB_BITS 11
#define SOFT_TLB_SIZE (1u << SOFT_TLB_BITS)
/* Tag that nothing matches: a page that has another index than i. */
#define SOFT_TLB_NONE(i) ((uint64_t)((i) ^ 1) << 12)

/*
 * r, w, x: linear address of the page if it may be read, written, fetched
 * from; (address ^ tag) is then the offset in the page, so that one unsigned
 * compare with 4096 - size covers match and page crossing. w is only set while
 * a store needs no bookkeeping: dirty bit set, no code in the page, page
 * already in the dirty log. MMIO pages are never entered.
 */
struct soft_tlb {
	uint64_t r, w, x;
	uint8_t *host;
};

struct soft_tlb_meta {
	uint64_t w; /* as soft_tlb.w, but the store needs bookkeeping */
	uint64_t pa; /* of the 4 KiB page */
	uint8_t shift; /* size of the mapping: 12, 21, 22, 30 */
	bool global;
	bool listed; /* in the list of non-global entries */
};

/* Which of the three TLBs: privilege and SMAP state decide permissions. */
enum soft_mmu { SOFT_MMU_KERNEL, SOFT_MMU_USER, SOFT_MMU_KERNEL_AC };
#define SOFT_MMU_COUNT 3

/* ---- requests to a vCPU, in 'request' ---- */
enum {
	SOFT_REQ_KICK = 1 << 0, /* leave vcpu_run */
	SOFT_REQ_EVENT = 1 << 1, /* look for interrupts, NMI, INIT, SIPI */
	SOFT_REQ_TIMER = 1 << 2, /* the LAPIC's deadline has passed */
	SOFT_REQ_CODE = 1 << 3, /* other vCPUs' writes to code pages */
	SOFT_REQ_STEP = 1 << 4, /* leave blocks after each instruction */
	SOFT_REQ_DIRTY = 1 << 5, /* drop write entries of the TLB */
	SOFT_REQ_STOP = 1 << 6, /* another vCPU wants all others to wait */
	SOFT_REQ_WATCH = 1 << 7, /* leave blocks: exec.h, struct soft_watch */
};

/* How an instruction that does not end leaves: to run.c, by longjmp. */
enum soft_leave {
	SOFT_LEAVE_NONE,
	SOFT_LEAVE_RAISE, /* exc_* */
	SOFT_LEAVE_RESTART,
	SOFT_LEAVE_FAIL, /* report */
};

/* Why instructions run one by one, in 'debug' (debug.h) */
enum {
	SOFT_DEBUG_EXEC = 1 << 0, /* instruction breakpoints are armed */
	SOFT_DEBUG_ONCE = 1 << 1, /* the next instruction */
	SOFT_DEBUG_PENDING = 1 << 2, /* debug_hits waits to be delivered */
};
/* What the slow path of an access looks at, in 'access_checks' (debug.h) */
enum {
	SOFT_CHECK_ALIGN = 1 << 0, /* #AC */
	SOFT_CHECK_DATA = 1 << 1, /* data breakpoints are armed */
};

/* Exception vectors, Intel SDM vol. 3, table 6-1 */
enum {
	X86_EXC_DE = 0,
	X86_EXC_DB = 1,
	X86_EXC_NMI = 2,
	X86_EXC_BP = 3,
	X86_EXC_OF = 4,
	X86_EXC_BR = 5,
	X86_EXC_UD = 6,
	X86_EXC_NM = 7,
	X86_EXC_DF = 8,
	X86_EXC_TS = 10,
	X86_EXC_NP = 11,
	X86_EXC_SS = 12,
	X86_EXC_GP = 13,
	X86_EXC_PF = 14,
	X86_EXC_MF = 16,
	X86_EXC_AC = 17,
	X86_EXC_XM = 19,
};

#define X86_CR0_PE (1u << 0)
#define X86_CR0_MP (1u << 1)
#define X86_CR0_EM (1u << 2)
#define X86_CR0_TS (1u << 3)
#define X86_CR0_ET (1u << 4)
#define X86_CR0_NE (1u << 5)
#define X86_CR0_WP (1u << 16)
#define X86_CR0_AM (1u << 18)
#define X86_CR0_NW (1u << 29)
#define X86_CR0_CD (1u << 30)
#define X86_CR0_PG (1u << 31)
#define X86_CR4_VME (1u << 0)
#define X86_CR4_PVI (1u << 1)
#define X86_CR4_TSD (1u << 2)
#define X86_CR4_DE (1u << 3)
#define X86_CR4_PSE (1u << 4)
#define X86_CR4_PAE (1u << 5)
#define X86_CR4_MCE (1u << 6)
#define X86_CR4_PGE (1u << 7)
#define X86_CR4_PCE (1u << 8)
#define X86_CR4_OSFXSR (1u << 9)
#define X86_CR4_OSXMMEXCPT (1u << 10)
#define X86_CR4_UMIP (1u << 11)
#define X86_CR4_FSGSBASE (1u << 16)
#define X86_CR4_OSXSAVE (1u << 18)
#define X86_CR4_SMEP (1u << 20)
#define X86_CR4_SMAP (1u << 21)
#define X86_EFER_SCE (1u << 0)
#define X86_EFER_LME (1u << 8)
#define X86_EFER_LMA (1u << 10)
#define X86_EFER_NX (1u << 11)

/* XSAVE area, standard format (Intel SDM vol. 1, 13.4) */
#define SOFT_XSAVE_SIZE 4096
#define SOFT_X87_FCW 0
#define SOFT_X87_FSW 2
#define SOFT_X87_FTW 4 /* abridged: a bit per physical register, 1 = valid */
#define SOFT_X87_FOP 6
#define SOFT_X87_FIP 8
#define SOFT_X87_FDP 16
#define SOFT_MXCSR 24
#define SOFT_ST(n) (32 + 16 * (n)) /* ST(n), MM registers by physical no. */
#define SOFT_XMM(n) (160 + 16 * (n))
#define SOFT_XSTATE_BV 512
#define SOFT_YMMH(n) (576 + 16 * (n)) /* upper halves */

struct soft_vm;
struct soft_fp; /* FP thunks, fpu.h */
struct soft_code; /* block cache of a vCPU, code.h */
struct soft_executor; /* what runs blocks, exec.h */
struct soft_watch;
struct soft_lockstep; /* lockstep.h */
struct engine_stepper; /* step.h */

/* What an operation returns: code.h, soft_fn */
struct soft_op;
struct soft_next {
	const struct soft_op *op;
	uint64_t acc;
};

struct soft_cpu {
	/* what the fast paths touch */
	uint64_t gpr[X86_GPR_COUNT + 1]; /* the last is always 0 */
	uint64_t base_rip; /* of the running block */
	struct soft_tlb *tlb; /* tlbs[mmu] */
	uint64_t segbase[8]; /* effective; 0 for ES CS SS DS in 64-bit */
	uint16_t fl; /* OF SF ZF AF PF CF, see above */
	uint8_t mode; /* code size: 2, 4, 8 */
	uint8_t cpl;
	_Atomic uint32_t request;
	/*
	 * Generation of code mappings of the low and the high half of the
	 * address space, with the execution mode in the low bits.
	 */
	uint64_t xgen[2];
	const uint8_t *arena; /* of the code cache, for chain.c */
	const uint8_t **chain_sp; /* stack of the chain that runs, or NULL */
	uint32_t cur_off; /* running instruction, from base_rip */
	uint8_t mem_seg; /* segment of the access (#SS or #GP) */

	/*
	 * RIP outside blocks; inside, handlers of branches and of STOP rows
	 * find the next instruction's address here and may change it.
	 */
	uint64_t rip;
	uint64_t rflags; /* without the six arithmetic flags; bit 1 set */
	struct x86_seg seg[X86_SEG_COUNT], tr, ldtr;
	struct x86_dtable gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, xcr0, efer;
	uint64_t dr[8];
	uint64_t pdpte[4]; /* PAE */

	/* events */
	uint8_t mmu; /* enum soft_mmu */
	uint32_t code_limit; /* of CS, for which xgen is good */
	uint8_t shadow; /* interrupts wait one instruction (STI, MOV SS) */
	uint8_t nmi_masked;
	uint8_t run_state; /* enum vcpu_run_state */
	bool irq_waiting; /* an interrupt waits for IF or the shadow */
	uint8_t exc_vector, exc_has_error; /* being raised */
	bool exc_set_rf;
	bool flat32; /* 32-bit code; CS DS ES SS have base 0, limit 4G */
	bool in_event; /* soft_deliver() of what no instruction asked for */
	bool step_trap; /* the instruction that runs alone ends in #DB */
	uint8_t debug; /* SOFT_DEBUG_ */
	uint8_t access_checks; /* SOFT_CHECK_ */
	uint8_t data_bps, io_bps; /* bit i: DR0-3 is a breakpoint on those */
	uint32_t debug_hits; /* bits for DR6 of the #DB to come */
	uint64_t sti_at; /* no events at this RIP: STI was just before */
	unsigned pauses;
	uint32_t exc_error;
	int delivering; /* vector that is being delivered, or -1 */
	/*
	 * From a saved state: an event that was being delivered, which comes
	 * before the next instruction.
	 */
	struct {
		bool on, exception, has_error;
		uint8_t vector;
		uint32_t error;
	} inject;
	_Atomic uint32_t nmi_pending, init_pending, sleeping;
	_Atomic uint32_t running; /* inside soft_cpu_run() */
	_Atomic uint32_t parked; /* SOFT_REQ_STOP was heard */
	_Atomic uint32_t sipi; /* 0x100 | vector */
	jmp_buf fault;

	/*
	 * Its x87 part and MXCSR may be live in the host's registers: call
	 * soft_fp_sync() of fpu.h before touching it.
	 */
	uint8_t xsave[SOFT_XSAVE_SIZE] __attribute__((aligned(64)));
	struct soft_fp *fp;
	uint8_t fp_live; /* SOFT_FP_X87 and on, fpu.h */
	uint64_t fp_data; /* operand of the running x87 operation */

	/* MSRs without a home of their own */
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t tsc_offset, tsc_aux, tsc_adjust;
	uint64_t pat, mtrr_def, mtrr_fix[11], mtrr_var[16];
	uint64_t misc_enable, spec_ctrl, feature_ctl, misc_features;
	uint64_t amd_syscfg, amd_hwcr, amd_de_cfg;
	uint64_t kvm_wall, kvm_time, kvm_time_old, debugctl, mcg_status;

	/*
	 * The read-modify-write in progress, if its end has something to do
	 * (rmw_size is not 0): the physical address and what of it lies in
	 * the first page; host is NULL for devices.
	 */
	struct soft_page {
		uint64_t pa; /* of the address itself */
		uint8_t *host; /* of the address itself; NULL = not memory */
		bool writable; /* host may be written (RAM, not ROM) */
		bool global;
	} rmw_page[2];
	unsigned rmw_size, rmw_first;
	uint8_t rmw_bounce[64] __attribute__((aligned(64)));

	_Atomic uint64_t dirty_epoch; /* of the VM, that this vCPU has seen */
	pthread_t thread; /* while running */
	unsigned id;
	uint32_t apic_id;
	struct soft_vm *vm;
	struct engine_stepper *stepper; /* runs for another engine, or NULL */
	struct lapic *lapic;
	struct soft_code *code;
	const struct soft_executor *exec;
	struct soft_watch *watch; /* NULL: nobody watches the executor */
	struct soft_lockstep *ls; /* NULL: not in lock-step, lockstep.h */
	const struct cpuid_table *cpuid; /* own copy */
	uint64_t features; /* 1 << enum x86_feature, from cpuid */
	enum engine_exit exit;
	struct engine_report report;
	bool step; /* vcpu_single_step */
	uint64_t insns; /* executed, counted by blocks */

	struct soft_tlb tlbs[SOFT_MMU_COUNT][SOFT_TLB_SIZE];
	struct soft_tlb no_tlb[SOFT_TLB_SIZE]; /* without tags (debug.h) */
	struct soft_tlb_meta meta[SOFT_MMU_COUNT][SOFT_TLB_SIZE];
	unsigned nonglobal_count; /* entries in nonglobal[] */
	uint16_t nonglobal[SOFT_MMU_COUNT * SOFT_TLB_SIZE];
	uint64_t large_seen; /* bit (lin >> 30 & 63): large pages were used */
	uint64_t maxphys_rsvd; /* address bits that PTEs must not have */
};

static inline bool
soft_has(const struct soft_cpu *cpu, enum x86_feature f)
{
	return cpu->features >> f & 1;
}

/* 48-bit linear addresses */
static inline bool
soft_canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static inline bool
soft_long(const struct soft_cpu *cpu)
{
	return cpu->efer & X86_EFER_LMA;
}

/* CS ends before its offsets do: branches have to look. */
static inline bool
soft_cs_tight(const struct soft_cpu *cpu)
{
	return cpu->mode != 8 &&
	    cpu->seg[X86_CS].limit < (cpu->mode == 4 ? 0xffffffff : 0xffff);
}

static inline uint64_t
soft_insn_rip(const struct soft_cpu *cpu)
{
	return cpu->base_rip + cpu->cur_off;
}

/* ---- flags ---- */

/* fl to and from the layout of RFLAGS */
static inline uint32_t
soft_arith_flags(const struct soft_cpu *cpu)
{
	return (cpu->fl >> 8 & 0xd5u) | (cpu->fl & 1u) << 11;
}

static inline void
soft_set_arith_flags(struct soft_cpu *cpu, uint32_t f)
{
	cpu->fl = (uint16_t)((f & 0xd5u) << 8 | (f >> 11 & 1u));
}

static inline uint64_t
soft_rflags(const struct soft_cpu *cpu)
{
	return cpu->rflags | soft_arith_flags(cpu);
}

/* All of RFLAGS; the caller checked what may change. flags.c */
void soft_set_rflags(struct soft_cpu *cpu, uint64_t value);

/* ---- exceptions ---- */

_Noreturn void soft_raise(struct soft_cpu *cpu, unsigned vector);
_Noreturn void
soft_raise_error(struct soft_cpu *cpu, unsigned vector, uint32_t error);
/* Leave the block; the running instruction starts again. */
_Noreturn void soft_restart(struct soft_cpu *cpu);
/* The engine cannot emulate this: ENGINE_EXIT_FAILED with the reason. */
_Noreturn void soft_fail(struct soft_cpu *cpu, const char *reason);

/* ---- memory: linear addresses, privilege of the running code ---- */

uint64_t soft_read_slow(struct soft_cpu *cpu, uint64_t lin, unsigned size);
void soft_write_slow(
    struct soft_cpu *cpu, uint64_t lin, unsigned size, uint64_t value);
/*
 * 1..64 bytes (and up to 512 for state images); all or nothing as far as
 * faults go: both pages are looked at before a byte is written.
 */
void soft_read(struct soft_cpu *cpu, uint64_t lin, void *dst, unsigned size);
void
soft_write(struct soft_cpu *cpu, uint64_t lin, const void *src, unsigned size);
/* Fault now if a write (read) of [lin, lin+size) would. */
void soft_probe_write(struct soft_cpu *cpu, uint64_t lin, unsigned size);
void soft_probe_read(struct soft_cpu *cpu, uint64_t lin, unsigned size);
/*
 * Host address for a read-modify-write of 1..64 bytes, write permission
 * checked. In one RAM page it is guest memory itself, so that the host's LOCK
 * instructions act on it; else (MMIO, page crossing) it is a copy that
 * soft_rmw_end() writes back. Nothing between the two may fault.
 *
 * soft_lock_begin() is for LOCK: an operand that crosses a 64-byte line is a
 * copy too, and all other vCPUs stand still until soft_rmw_end().
 */
void *soft_rmw_begin(struct soft_cpu *cpu, uint64_t lin, unsigned size);
void *soft_lock_begin(struct soft_cpu *cpu, uint64_t lin, unsigned size);
void soft_rmw_end(struct soft_cpu *cpu, void *p);

/*
 * Host address of a plain RAM access, or NULL when it takes the slow way
 * (then use soft_read, soft_write). For vector loads and stores.
 */
static inline void *
soft_host_read(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	const struct soft_tlb *e = &cpu->tlb[lin >> 12 & (SOFT_TLB_SIZE - 1)];
	uint64_t off = lin ^ e->r;

	return likely(off <= 4096 - size) ? e->host + off : NULL;
}

static inline void *
soft_host_write(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	const struct soft_tlb *e = &cpu->tlb[lin >> 12 & (SOFT_TLB_SIZE - 1)];
	uint64_t off = lin ^ e->w;

	return likely(off <= 4096 - size) ? e->host + off : NULL;
}

/* clang-format off */
#define SOFT_ACCESS(bits)                                                  \
	typedef uint##bits##_t soft_mem##bits                              \
	    __attribute__((may_alias, aligned(1)));                        \
	static inline uint##bits##_t                                       \
	soft_read##bits(struct soft_cpu *cpu, uint64_t lin)                \
	{                                                                  \
		const void *p = soft_host_read(cpu, lin, bits / 8);        \
		return likely(p) ? *(const volatile soft_mem##bits *)p     \
		    : (uint##bits##_t)soft_read_slow(cpu, lin, bits / 8);  \
	}                                                                  \
	static inline void                                                 \
	soft_write##bits(                                                  \
	    struct soft_cpu *cpu, uint64_t lin, uint##bits##_t v)          \
	{                                                                  \
		void *p = soft_host_write(cpu, lin, bits / 8);             \
		if (likely(p))                                             \
			*(volatile soft_mem##bits *)p = v;                 \
		else                                                       \
			soft_write_slow(cpu, lin, bits / 8, v);            \
	}
/* clang-format on */
SOFT_ACCESS(8)
SOFT_ACCESS(16)
SOFT_ACCESS(32)
SOFT_ACCESS(64)

static inline uint64_t
soft_read_sized(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	switch (size) {
	case 1:
		return soft_read8(cpu, lin);
	case 2:
		return soft_read16(cpu, lin);
	case 4:
		return soft_read32(cpu, lin);
	default:
		return soft_read64(cpu, lin);
	}
}

static inline void
soft_write_sized(struct soft_cpu *cpu, uint64_t lin, unsigned size, uint64_t v)
{
	switch (size) {
	case 1:
		soft_write8(cpu, lin, (uint8_t)v);
		break;
	case 2:
		soft_write16(cpu, lin, (uint16_t)v);
		break;
	case 4:
		soft_write32(cpu, lin, (uint32_t)v);
		break;
	default:
		soft_write64(cpu, lin, v);
		break;
	}
}

/*
 * Linear address of the ModRM memory operand, for an access of size bytes:
 * segment limits and rights are checked outside 64-bit code, canonical form is
 * left to the access itself. Sets mem_seg.
 */
uint64_t soft_ea(
    struct soft_cpu *cpu, const struct x86_insn *in, unsigned size, bool write);
/* The offset alone, cut to the address size (LEA, bit strings, INVLPG). */
uint64_t soft_ea_offset(struct soft_cpu *cpu, const struct x86_insn *in);
/* seg:off to linear, with the same checks. */
uint64_t soft_seg_lin(struct soft_cpu *cpu, unsigned seg, uint64_t off,
    unsigned size, bool write);

/* ---- registers by number and size, as instructions name them ---- */

static inline uint64_t
soft_reg(const struct soft_cpu *cpu, unsigned r, unsigned size)
{
	switch (size) {
	case 2:
		return (uint16_t)cpu->gpr[r];
	case 4:
		return (uint32_t)cpu->gpr[r];
	default:
		return cpu->gpr[r];
	}
}

/* 4-byte writes clear the upper half. */
static inline void
soft_set_reg(struct soft_cpu *cpu, unsigned r, unsigned size, uint64_t v)
{
	switch (size) {
	case 2:
		cpu->gpr[r] = (cpu->gpr[r] & ~UINT64_C(0xffff)) | (uint16_t)v;
		break;
	case 4:
		cpu->gpr[r] = (uint32_t)v;
		break;
	default:
		cpu->gpr[r] = v;
		break;
	}
}

/* Byte registers: AH CH DH BH are 4-7 without REX. */
static inline uint8_t *
soft_reg8(struct soft_cpu *cpu, const struct x86_insn *in, unsigned r)
{
	if (!(in->pfx & X86_PFX_REX) && r >= 4 && r < 8)
		return (uint8_t *)&cpu->gpr[r - 4] + 1;
	return (uint8_t *)&cpu->gpr[r];
}

/* ---- FP and SIMD ---- */

/* FNINIT and MXCSR reset, all registers 0 (RESET). */
void soft_fp_reset(struct soft_cpu *cpu);

#endif
