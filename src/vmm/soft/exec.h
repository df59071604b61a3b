/*
 * The executor seam: what turns blocks of guest code into effects on a vCPU.
 * Finding blocks, telling of writes to code, translation of addresses, events
 * and state belong to others (code.h, mmu.h, run.c, state.c); an executor knows
 * what a block's body is and how to run from one block to the next.
 *
 * threaded.c is the interpreter by threaded operations. lockstep.c drives
 * another executor and checks what it did.
 *
 * Threads: all of it on the vCPU's thread.
 */
#ifndef VMM_SOFT_EXEC_H
#define VMM_SOFT_EXEC_H

#include "vmm/soft/code.h"

struct soft_executor {
	const char *name;
	/*
	 * Own state of a vCPU, when it is made and unmade. 0 or -errno. destroy
	 * may be called without create, or after it failed.
	 */
	int (*create)(struct soft_cpu *cpu);
	void (*destroy)(struct soft_cpu *cpu);
	/*
	 * Make a block of the code that lies at physical address pa, left bytes
	 * up to the page's end, in the mode cpu is in. It is allocated by
	 * soft_code_alloc(), at most SOFT_BLOCK_ROOM in all; bytes and body are
	 * set, the rest is the cache's. NULL: not even one instruction fits.
	 */
	struct soft_block *(*prepare)(struct soft_cpu *cpu, uint64_t pa,
	    const uint8_t *code, unsigned left);
	/*
	 * Run from cpu->rip on, block after block, until the loop has to look:
	 * soft_must_leave(). What cpu->request asks for is seen at every
	 * branch. Faults leave by soft_raise() and its kin, RIP at the
	 * instruction.
	 */
	void (*run)(struct soft_cpu *cpu);
	/* One instruction by itself, not from the cache. */
	void (*single)(struct soft_cpu *cpu);
	/*
	 * The block was hit by a write and can't be found any more, but it may
	 * be running: the instruction in progress ends, and none after it may
	 * be taken from this block. Its memory stays until flushed().
	 */
	void (*stale)(struct soft_cpu *cpu, struct soft_block *b);
	/* All blocks are gone. */
	void (*flushed)(struct soft_cpu *cpu);
	/*
	 * run() or single() was left by a fault (exc_*), by soft_restart() or
	 * by soft_fail(): before anything is done about it. false:
	 * ENGINE_EXIT_FAILED, the report is filled in.
	 */
	bool (*left)(struct soft_cpu *cpu, enum soft_leave why);
};

extern const struct soft_executor soft_exec_threaded;
extern const struct soft_executor soft_exec_lockstep;

/*
 * Somebody looks over the executor's shoulder (soft_cpu.watch, NULL: nobody).
 * Blocks that are made meanwhile
 *  - leave before each instruction for which stop() is not 0, with that in
 *    stopped and RIP there, every time they get to it;
 *  - count budget down, and set SOFT_REQ_WATCH when it has come to 0.
 */
struct soft_watch {
	unsigned (*stop)(const struct x86_insn *in);
	unsigned stopped;
	int budget;
};

/* Run one instruction by itself: TF, RF, shadows, breakpoints, single step? */
static inline bool
soft_needs_single(const struct soft_cpu *cpu)
{
	return (cpu->rflags & (X86_FL_TF | X86_FL_RF)) || cpu->shadow ||
	    cpu->step || cpu->debug || cpu->rip == cpu->sti_at;
}

static inline bool
soft_must_leave(const struct soft_cpu *cpu)
{
	return atomic_load_explicit(&cpu->request, memory_order_relaxed) != 0 ||
	    cpu->run_state != VCPU_RUNNABLE || soft_needs_single(cpu);
}

#endif
