/*
 * Blocks as host code: a chain of calls of the block's handlers, one after the
 * other, each with its operation. The handlers do all the work as before, but
 * what follows what is told by direct calls and returns, and by a jump for each
 * branch that is that branch's alone. A host CPU foresees these; the one
 * indirect jump at the end of a handler, which goes wherever the guest's next
 * instruction says, it foresees in short loops only.
 *
 * When the code memory is full blocks run without chains until the block cache
 * is flushed.
 *
 * Threads: all of it on the vCPU's thread.
 */
#ifndef VMM_SOFT_CHAIN_H
#define VMM_SOFT_CHAIN_H

#include "vmm/soft/code.h"

/* What an operation is, for the chain. */
enum soft_chain_kind {
	SOFT_CHAIN_PLAIN, /* goes on to the next operation */
	SOFT_CHAIN_END, /* goes where it says, never to the next one */
	SOFT_CHAIN_PAIR, /* stands for the next one too (op_fuse.c) */
	SOFT_CHAIN_JCC, /* + condition (0-15): taken, as END; else as PLAIN */
};

/* Code memory of a vCPU, after its FP thunks. 0 or -errno. */
int soft_chain_create(struct soft_cpu *cpu);
void soft_chain_destroy(struct soft_cpu *cpu); /* without one is allowed */
/* All blocks are gone. */
void soft_chain_flush(struct soft_cpu *cpu);
/* The chain of a block whose operations are complete; kind: of each. */
void soft_chain_make(
    struct soft_cpu *cpu, struct soft_block *b, const uint8_t *kind);
/* The block has none any more; if it is running, the current call returns to
 * soft_chain_run()'s caller. */
void soft_chain_break(struct soft_cpu *cpu, struct soft_block *b);
/*
 * Run from the first operation of a block, block after block. The next
 * operation is that of a block without a chain; NULL: leave, rip is set.
 */
struct soft_next soft_chain_run(struct soft_cpu *cpu, const struct soft_op *op);

/* The chain was left by longjmp(). */
static inline void
soft_chain_left(struct soft_cpu *cpu)
{
	cpu->chain_sp = NULL;
}

static inline struct soft_block *
soft_block_of(const struct soft_op *first)
{
	return (struct soft_block *)((char *)first -
	    offsetof(struct soft_block, ops));
}

#endif
