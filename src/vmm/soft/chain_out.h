/*
 * Writing host code; private to the chain files.
 *
 * Registers in a chain: RBX the vCPU, RBP the arena of the operations, RDX acc.
 * Pieces may change all registers that calls do.
 */
#ifndef VMM_SOFT_CHAIN_OUT_H
#define VMM_SOFT_CHAIN_OUT_H

#include <stddef.h>

#include "vmm/soft/fpu.h"
#include "vmm/soft/ops.h"

#define CHAIN_KEPT 4

struct chain_out {
	uint8_t *w; /* where it is written */
	const uint8_t *x; /* and where it will run */
	bool flags; /* the host's flags are those of fl */
	uint8_t live; /* bits that fp_live has for certain */
	uint16_t vectors; /* lower halves that are in the host's registers */
	/* guest registers in R8-R11, the value that memory has: number + 1 */
	uint8_t kept[CHAIN_KEPT];
	uint8_t next; /* of kept[], to be replaced */
};

/* Jumps to code that calls the handler instead: displacements */
struct chain_slow {
	uint8_t *jump[2];
	unsigned n;
};

static inline void
chain_put(struct chain_out *o, const void *p, unsigned n)
{
	memcpy(o->w, p, n);
	o->w += n;
	o->x += n;
}

#define PUT(o, ...)                                   \
	do {                                          \
		const uint8_t b_[] = { __VA_ARGS__ }; \
		chain_put((o), b_, sizeof(b_));       \
	} while (0)

static inline void
chain_put32(struct chain_out *o, uint32_t v)
{
	chain_put(o, &v, 4);
}

/* ModRM for a field of the vCPU at byte off */
static inline void
chain_field(struct chain_out *o, unsigned reg, size_t off)
{
	if (off < 128) {
		PUT(o, (uint8_t)(0x43 | reg << 3), (uint8_t)off);
	} else {
		PUT(o, (uint8_t)(0x83 | reg << 3));
		chain_put32(o, (uint32_t)off);
	}
}

/* Where the guest register at byte off is kept: R8-R11, or -1 */
static inline int
chain_kept(const struct chain_out *o, size_t off)
{
	for (int k = 0; k < CHAIN_KEPT; k++)
		if (off % 8 == 0 && o->kept[k] == off / 8 + 1)
			return k;
	return -1;
}

/* The register of which byte off is a part was written in memory. */
static inline void
chain_forget(struct chain_out *o, size_t off)
{
	int k = chain_kept(o, off & ~(size_t)7);

	if (k >= 0)
		o->kept[k] = 0;
}

#define CPU_FL offsetof(struct soft_cpu, fl)

/* The host's flags as fl says: movzwl, add $127 (OF is bit 0), sahf */
static inline void
chain_flags(struct chain_out *o)
{
	if (o->flags)
		return;
	PUT(o, 0x0f, 0xb7);
	chain_field(o, 0, CPU_FL);
	PUT(o, 0x04, 0x7f, 0x9e);
	o->flags = true;
}

/*
 * chain_inline.c: the operation itself, without a call; false: it has to be
 * called, nothing was written. The same in effect as the handler, acc and flags
 * too.
 */
bool chain_inline(
    struct chain_out *o, const struct soft_op *op, struct chain_slow *ret_slow);
/*
 * Push base_rip + off as a return address; what does not hit the TLB jumps, by
 * the displacement returned.
 */
uint8_t *chain_push_rip(struct chain_out *o, unsigned off);

/*
 * chain_fp.c: FP and SIMD. form: with the operand's address in RCX; false: it
 * has to be called.
 */
bool chain_fp_form(const struct soft_op *op, struct soft_fp_form *ret);
/* May it run? The displacement of the jump if not, or NULL */
uint8_t *chain_fp_check(struct chain_out *o, const struct soft_op *op);
/* Run it; for x87 the operand's linear address is in RSI. */
void chain_fp(struct chain_out *o, const struct soft_op *op,
    const struct soft_fp_form *f);
/* Load what o says is kept in registers. */
void chain_reload(struct chain_out *o);
/* Lower halves of vector registers. */
void chain_fp_load(struct chain_out *o, uint16_t vectors);

#endif
