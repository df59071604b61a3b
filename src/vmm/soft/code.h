/*
 * Decoded code: blocks of operations, the cache that finds them, and what
 * happens when the guest writes to code.
 *
 * A block is straight-line code inside one page, made once and kept by physical
 * address, code size and privilege (user or not). What is in it is the
 * executor's (exec.h). The threaded one's operations are handlers with their
 * operands; each handler returns the next operation. Branches to a known place
 * keep a link to the block there.
 *
 * Links and the jump cache are valid for a generation of mappings (xgen in
 * cpu.h): flushing translations starts a new generation, so nothing has to be
 * searched. A link inside a page needs no check, as block and target move
 * together.
 *
 * Self-modifying code: each vCPU has a bitmap of 64-byte lines with code for
 * every page; stores to such pages take the slow path and look. Of a block that
 * is hit the executor is told: the running instruction ends and the next one is
 * decoded anew. Blocks are freed only all at once, when the arena is full.
 *
 * Threads: a block cache belongs to its vCPU. Other vCPUs and devices read the
 * line bitmap and post ranges that they wrote. So that no write is missed: the
 * builder sets the bits of a block's lines, then compares what it decoded with
 * what stands there now; the writer writes, then reads the bits; a fence on
 * both sides. Writers that go past the bitmap, by a TLB entry from before the
 * page had code, are waited for (first_code()).
 */
#ifndef VMM_SOFT_CODE_H
#define VMM_SOFT_CODE_H

#include <pthread.h>

#include "vmm/soft/cpu.h"

struct soft_op;
/*
 * Runs the operation and returns the next one (in RAX). NULL: leave the block,
 * rip is set. acc: what the operation before it put in its destination, if that
 * one passes it on (flow.c); returned in RDX, where the next one has it.
 */
typedef struct soft_next
soft_fn(struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc);

struct soft_op {
	soft_fn *fn;
	uint8_t dst, src; /* byte offsets into gpr[] */
	uint8_t base, index; /* likewise */
	uint8_t scale, seg;
	uint8_t len; /* of the instruction */
	uint8_t aux;
	uint16_t off; /* of the instruction, from the block's start */
	uint16_t count; /* instructions in the block up to here */
	int32_t disp; /* branches: target, from the block's start */
	uint64_t imm; /* branches: RIP for which link is good */
	union {
		const struct x86_insn *insn;
		struct soft_block *link;
	};
	uint64_t gen; /* xgen for which link is good; 0 = never */
};

struct soft_block {
	uint64_t pa;
	struct soft_block *hash_next;
	struct soft_block *page_next;
	uint16_t bytes;
	uint8_t mode; /* low bits of xgen */
	bool valid;
	/* The body, the executor's (exec.h). */
	uint16_t nops, chain_size;
	const uint8_t *chain; /* chain.h; right before ops */
	struct soft_op ops[];
};

#define SOFT_MODE_BITS 15 /* of xgen: the execution mode */
#define SOFT_BLOCK_INSNS 48
#define SOFT_BLOCK_BYTES (SOFT_BLOCK_INSNS * X86_MAX_INSN)
#define SOFT_BLOCK_ROOM 16384u /* of the arena, for one block */
#define SOFT_HASH_BITS 15
#define SOFT_JC_BITS 12
#define SOFT_CODE_QUEUE 64

struct soft_jump {
	uint64_t rip;
	uint64_t gen;
	struct soft_block *block;
};

/*
 * An instruction that runs by itself: it crosses a page, or must not have
 * company. What it was lowered to is good for its bytes, wherever they stand,
 * and for the mode; whoever looks it up compares both.
 */
struct soft_single {
	uint8_t len; /* 0: none */
	uint8_t mode; /* as in a block */
	uint8_t bytes[X86_MAX_INSN];
	struct soft_op ops[4];
	struct x86_insn insn;
};
#define SOFT_SINGLES 512

struct soft_code {
	struct soft_jump jump[1 << SOFT_JC_BITS];
	struct soft_block *hash[1 << SOFT_HASH_BITS];
	struct soft_block *page[1 << 12]; /* lists by hash of the page */
	uint8_t *arena;
	size_t used, size;
	bool full; /* the executor's own memory: flush before the next */
	/* By page number: 64-byte lines with code in this cache. */
	_Atomic uint64_t *lines;
	uint64_t executed[64]; /* Bloom filter of linear code pages */
	uint64_t flushes, translations, invalidations;

	pthread_mutex_t lock;
	struct {
		uint64_t pa;
		unsigned size; /* 0: the page's write entries only */
	} queue[SOFT_CODE_QUEUE];
	unsigned nqueue; /* > SOFT_CODE_QUEUE: too many, drop all */
	uint64_t posted; /* how many ever; under lock */
	_Atomic uint64_t handled; /* of these */

	uint32_t npages;

	/* threaded.c: */
	struct soft_chain *chain;
	struct soft_op *link_from; /* branch that waits for its link */
	struct soft_op *stale; /* first op of a block that was hit */
	struct soft_single single[SOFT_SINGLES];
};

/* keeps: blocks are made; else it is for instructions one by one. */
struct soft_code *soft_code_create(struct soft_vm *vm, bool keeps);
void soft_code_destroy(struct soft_code *code);
void soft_code_flush(struct soft_cpu *cpu);

/*
 * The block at cpu->rip, prepared if need be; raises fetch faults. NULL: none
 * can be made, the instruction is to be run by itself. ret_lasting: it stays
 * the block for this RIP as long as xgen stays and it is valid, so that it may
 * be linked to.
 */
struct soft_block *soft_code_find(struct soft_cpu *cpu, bool *ret_lasting);
/* Memory of a block that is being prepared. */
void *soft_code_alloc(struct soft_cpu *cpu, size_t size);
/* Linear address of RIP for a fetch; checks CS's limit. */
uint64_t soft_fetch_lin(struct soft_cpu *cpu);
/* Of the bytes of code at RIP, some lie past the limit of CS. */
static inline bool
soft_past_limit(const struct soft_cpu *cpu, unsigned bytes)
{
	return cpu->mode != 8 && cpu->rip + bytes - 1 > cpu->seg[X86_CS].limit;
}

/* Physical and host address of the code at lin, or a fetch fault. */
uint8_t *soft_fetch_page(struct soft_cpu *cpu, uint64_t lin, uint64_t *ret_pa);

/*
 * Must stores to the page go through soft_code_written()? write: this is one;
 * marks the page dirty.
 */
bool soft_code_write_needs_slow(struct soft_cpu *cpu, uint64_t pa, bool write);
/* RAM was written past the fast path: hit code goes, log the page. */
void soft_code_written(struct soft_cpu *cpu, uint64_t pa, unsigned size);
/* RAM was written by the machine (DMA), after the fact. Any thread. */
void soft_code_dma(void *vm, gpa_t gpa, uint64_t len);
/* SOFT_REQ_CODE: what others wrote. */
void soft_code_requests(struct soft_cpu *cpu);

static inline unsigned
soft_code_bloom(uint64_t lin)
{
	return (unsigned)((lin >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 52);
}

static inline bool
soft_code_page_executed(const struct soft_cpu *cpu, uint64_t lin)
{
	unsigned b = soft_code_bloom(lin);

	return cpu->code->executed[b >> 6] >> (b & 63) & 1;
}

static inline struct soft_jump *
soft_jump_slot(const struct soft_cpu *cpu, uint64_t rip)
{
	uint64_t h = rip ^ rip >> SOFT_JC_BITS;

	return &cpu->code->jump[h & ((1 << SOFT_JC_BITS) - 1)];
}

/*
 * lower.c: turn one instruction into operations (at most 2); the block ends
 * with it if *ret_end. insn stays with the operation. pa: of the block, tells
 * whether a branch stays in its page; SOFT_NO_PA: never. Returns how many.
 */
#define SOFT_NO_PA (~UINT64_C(0))
unsigned soft_lower(struct soft_cpu *cpu, struct soft_op *ops,
    const struct x86_insn *insn, unsigned off, uint64_t pa, bool *ret_end);
/* The operation that goes on at off, after a block without a branch. */
void soft_lower_next(
    struct soft_cpu *cpu, struct soft_op *op, unsigned off, unsigned count);
/* An instruction that faults: vector #UD or #GP. */
void soft_lower_fault(struct soft_op *op, unsigned off, unsigned vector);

/* What stands in an invalid block. */
struct soft_next
soft_op_stale(struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc);

#endif
