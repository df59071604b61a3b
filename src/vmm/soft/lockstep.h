/*
 * Lock-step: an executor that drives another one, the subject, and checks what
 * it did by a second, slow one that shares as little with it as can be.
 *
 * The subject runs for real, for a few hundred blocks at a time: a unit. Then a
 * shadow vCPU goes the same way from the same start, instruction by
 * instruction: each is fetched from memory and decoded anew, then run as the
 * host's own instruction on the guest's operands, or by its function in insn.c,
 * or by the handler of one operation. Registers, flags, FP state, faults and
 * all memory must then be the same. This finds what tests of single
 * instructions can't: wrong links, fused operations, stale blocks, state that
 * one instruction leaves for the next.
 *
 * Memory. Before the subject's first store to a page in a unit, the page is
 * copied; the shadow sees and changes the copies, and in the end they must look
 * like the page does. Guest memory is never taken back, so the guest's course
 * is the subject's. Translations come from the subject's TLB, where it has the
 * page, and from the shadow's own walks of the page tables as they were.
 *
 * What can't be done twice: system instructions (ports, MSRs, control
 * registers, time, random numbers) end a unit, and the subject alone runs them;
 * so do instructions under TF or in shadows, and delivery of events between
 * units. MMIO is done by the subject and logged: the shadow reads from the log
 * and its writes are compared with it. DMA may change memory under both: a unit
 * that differs while there was some is counted, not reported, and so is one
 * that writes to flash. One vCPU only.
 *
 * Flags that are undefined after an instruction (x86/undefined.h) are not
 * compared; instructions that put all flags somewhere start a unit of their
 * own, in which the shadow has the subject's.
 */
#ifndef VMM_SOFT_LOCKSTEP_H
#define VMM_SOFT_LOCKSTEP_H

#include "vmm/soft/codemem.h"
#include "vmm/soft/exec.h"
#include "vmm/soft/mmu.h"

#define LOCKSTEP_BLOCKS 400 /* in a unit */
#define LOCKSTEP_PAGES 1024 /* stored to in a unit, at most */
#define LOCKSTEP_PAGES_SOFT 128 /* the unit ends soon */
#define LOCKSTEP_HASH 4096
#define LOCKSTEP_IO 512
#define LOCKSTEP_PTES 512
#define LOCKSTEP_CACHE 8192 /* decoded instructions */
#define LOCKSTEP_CODE (1u << 20) /* bytes of host code */
#define LOCKSTEP_THUNK 160 /* bytes of one */

struct lockstep_insn;

/* What the subject did with a device or the local APIC. */
struct lockstep_io {
	uint64_t pa, value;
	uint8_t size;
	bool write;
};

/* Bits that the subject's page walks set. */
struct lockstep_pte {
	uint64_t pa, bits;
};

struct lockstep_fault {
	enum soft_leave why;
	uint8_t vector, has_error;
	uint32_t error;
	uint64_t cr2;
};

struct lockstep_stats {
	uint64_t insns; /* checked; of these by: */
	uint64_t host, function, handler;
	uint64_t alone; /* not checked: subject alone */
	uint64_t units, faults, mmio;
	uint64_t dma; /* units not compared because of DMA, or flash */
	uint64_t crowded; /* because a log was full */
};

struct soft_lockstep {
	struct soft_cpu *a, *b; /* the vCPU, its shadow */
	const struct soft_executor *subject;
	struct soft_watch watch;
	struct lockstep_stats stats;
	bool active; /* a unit is under way */
	bool again; /* the subject repeats a unit: MMIO by the log */
	bool failed; /* a difference was reported */
	bool crowded; /* a log of this unit is full */
	bool flash; /* the unit wrote to ROM, which may have obeyed */
	uint64_t insns0; /* the subject's count when the unit began */
	uint64_t dma0;
	uint64_t done; /* instructions of the shadow */
	uint32_t undefined; /* flags of the shadow */
	const char *shadow_error; /* it could not follow */

	/* pages stored to: as they were, and as the shadow makes them */
	uint64_t page[LOCKSTEP_PAGES];
	uint8_t *before, *copy;
	unsigned npages;
	uint16_t hash[LOCKSTEP_HASH]; /* index + 1 */

	struct lockstep_io io[LOCKSTEP_IO];
	unsigned nio, next_io, next_again;
	struct lockstep_pte pte[LOCKSTEP_PTES];
	unsigned nptes;

	/* shadow's decoded instructions and their thunks */
	struct lockstep_insn *cache;
	struct soft_codemem code;
	unsigned code_used;
	unsigned host_fault; /* vector + 1 */
	const uint8_t *tail; /* of the running thunk */
	uint8_t *altstack;

	struct soft_cpu *start; /* state at the unit's start (no TLB) */
};

static inline bool
soft_is_shadow(const struct soft_cpu *cpu)
{
	return cpu == cpu->ls->b;
}

/* The vCPU has soft_exec_lockstep; for tests. The default is the threaded. */
void soft_lockstep_set_subject(
    struct soft_cpu *cpu, const struct soft_executor *subject);
const struct lockstep_stats *soft_lockstep_stats(const struct soft_cpu *cpu);

/* ---- called by mmu.c and mem.c while soft_cpu.ls is set ---- */

/* The subject is about to store to the page of pa. */
void soft_lockstep_store(struct soft_cpu *cpu, uint64_t pa);
/* May the subject store to it without telling? */
bool soft_lockstep_told(const struct soft_cpu *cpu, uint64_t pa);
/*
 * A walk is about to set bits in the entry at pa. true: it is the shadow's,
 * whose copy got those that the subject set in this unit.
 */
bool soft_lockstep_pte(struct soft_cpu *cpu, uint64_t pa, uint64_t bits);
/* The shadow: where it finds physical memory; NULL: not memory. */
void *soft_lockstep_view(struct soft_cpu *cpu, uint64_t pa);
/* The shadow: soft_translate() */
void soft_lockstep_translate(struct soft_cpu *cpu, uint64_t lin,
    enum soft_access acc, enum soft_mmu mmu, struct soft_page *ret);
/*
 * An access to a device: true: *v is the result (or the write is done), by the
 * log. Else the subject does it and tells by soft_lockstep_io().
 */
bool soft_lockstep_replay(
    struct soft_cpu *cpu, uint64_t pa, unsigned size, bool write, uint64_t *v);
void soft_lockstep_io(
    struct soft_cpu *cpu, uint64_t pa, unsigned size, bool write, uint64_t v);

/* ---- inside ---- */

/* lockstep_mem.c */
int lockstep_mem_create(struct soft_lockstep *ls);
void lockstep_mem_destroy(struct soft_lockstep *ls);
void lockstep_mem_begin(struct soft_lockstep *ls);
/* Guest memory; NULL: not memory. */
uint8_t *lockstep_guest(struct soft_lockstep *ls, uint64_t pa);
/* First byte that differs, as its physical address; false: none. */
bool lockstep_mem_differs(struct soft_lockstep *ls, uint64_t *ret_pa);
/* Undo all stores of the unit. */
void lockstep_mem_rollback(struct soft_lockstep *ls);

/* lockstep_shadow.c */
struct soft_cpu *lockstep_shadow_create(struct soft_lockstep *ls);
void lockstep_shadow_destroy(struct soft_lockstep *ls);
/* The thread takes faults of thunks. */
void lockstep_shadow_enter(struct soft_lockstep *ls);
/* The next instruction of the shadow; may longjmp to its fault. */
void lockstep_shadow_step(struct soft_lockstep *ls);
/* A repeated string instruction, until the count register is left. */
void lockstep_shadow_repeat(struct soft_lockstep *ls, uint64_t left);

/* lockstep_host.c */
struct lockstep_thunk {
	const uint8_t *code; /* NULL: not a host instruction */
	const uint8_t *tail; /* where it goes on after a fault */
};
/* false: no room for code */
bool lockstep_host_make(struct soft_lockstep *ls, const struct x86_insn *in,
    struct lockstep_thunk *ret);
bool lockstep_host_eligible(const struct x86_insn *in);
int lockstep_host_create(struct soft_lockstep *ls, uint8_t *at);
void lockstep_host_destroy(struct soft_lockstep *ls);

/* lockstep_report.c */
void lockstep_copy_state(struct soft_cpu *to, const struct soft_cpu *from);
/* What differs between subject and shadow; NULL: nothing. */
const char *lockstep_compare(struct soft_lockstep *ls,
    const struct lockstep_fault *fa, const struct lockstep_fault *fb);
/* Log it, fill in the vCPU's report. note: what is known of where. */
void
lockstep_report(struct soft_lockstep *ls, const char *what, const char *note,
    const struct lockstep_fault *fa, const struct lockstep_fault *fb);

#endif
