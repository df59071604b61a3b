/*
 * Chains of calls.
 *
 * While a chain runs: RBX is the vCPU, RBP the arena of the operations, the
 * stack is aligned for calls, and each call is made with the same stack
 * pointer, that in chain_sp.
 */
#include "vmm/soft/chain.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/soft/chain_out.h"
#include "vmm/soft/chain_shape.h"
#include "vmm/soft/codemem.h"
#include "vmm/soft/fpu_cache.h"

#define CHAIN_SIZE CODEMEM_MAX
/* of one block: no operation needs more */
#define OP_MAX 512u
#define CHAIN_MAX ((SOFT_BLOCK_INSNS * 2 + 4) * OP_MAX)

typedef struct soft_next
enter_fn(struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc);

struct soft_chain {
	struct soft_codemem mem;
	size_t used, stubs; /* bytes of it; of these, code of no block */
	enter_fn *enter;
	const uint8_t *leave; /* return, RAX and RDX are the result */
	const uint8_t *asked; /* RIP is base_rip; leave */
};

/* ---- writing code ---- */

/* A 32-bit displacement from its own end */
static void
put_to(struct chain_out *o, const uint8_t *target)
{
	chain_put32(o, (uint32_t)(target - (o->x + 4)));
}

/* The displacement at jump (written at w) leads to here. */
static void
land(const struct chain_out *o, uint8_t *w)
{
	uint32_t d = (uint32_t)(o->w - (w + 4));

	memcpy(w, &d, 4);
}

static bool
near(const uint8_t *from, const uint8_t *to)
{
	int64_t d = to - from;

	return d > INT32_MIN + 4096 && d < INT32_MAX - 4096;
}

/* fn(cpu, op, acc) */
static void
put_call(struct chain_out *o, const struct soft_code *c,
    const struct soft_op *op, soft_fn *fn)
{
	const uint8_t *to = (const uint8_t *)(uintptr_t)fn;

	PUT(o, 0x48, 0x8d, 0xb5); /* lea op(%rbp), %rsi */
	chain_put32(o, (uint32_t)((const uint8_t *)op - c->arena));
	PUT(o, 0x48, 0x89, 0xdf); /* mov %rbx, %rdi */
	if (near(o->x, to)) {
		PUT(o, 0xe8);
		put_to(o, to);
	} else {
		PUT(o, 0x48, 0xb8); /* mov $fn, %rax; call *%rax */
		chain_put(o, &to, 8);
		PUT(o, 0xff, 0xd0);
	}
	o->flags = false;
	o->live = 0;
	o->vectors = 0;
	memset(o->kept, 0, sizeof(o->kept));
}

/* On to the operation in RAX, the first of a block, or NULL. */
static void
put_dispatch(struct chain_out *o, const struct soft_chain *ch)
{
	PUT(o, 0x48, 0x85, 0xc0, 0x0f, 0x84); /* test %rax, %rax; jz leave */
	put_to(o, ch->leave);
	PUT(o, 0xff, 0x60, 0xf8); /* jmp *-8(%rax) */
}

static void
put_stubs(struct soft_chain *ch)
{
	struct chain_out o = { .w = ch->mem.write, .x = ch->mem.exec };

	ch->enter = (enter_fn *)(uintptr_t)o.x;
	PUT(&o, 0xf3, 0x0f, 0x1e, 0xfa); /* endbr64 */
	PUT(&o, 0x53, 0x55, 0x48, 0x83, 0xec, 0x08);
	PUT(&o, 0x48, 0x89, 0xfb); /* mov %rdi, %rbx */
	PUT(&o, 0x48, 0x8b, 0xaf); /* mov arena(%rdi), %rbp */
	chain_put32(&o, offsetof(struct soft_cpu, arena));
	PUT(&o, 0x48, 0x89, 0xa7); /* mov %rsp, chain_sp(%rdi) */
	chain_put32(&o, offsetof(struct soft_cpu, chain_sp));
	PUT(&o, 0xff, 0x66, 0xf8); /* jmp *-8(%rsi) */
	ch->leave = o.x;
	PUT(&o, 0x48, 0x83, 0xc4, 0x08, 0x5d, 0x5b, 0xc3);
	ch->asked = o.x;
	PUT(&o, 0x48, 0x8b); /* mov base_rip, %rax; mov %rax, rip */
	chain_field(&o, 0, offsetof(struct soft_cpu, base_rip));
	PUT(&o, 0x48, 0x89);
	chain_field(&o, 0, offsetof(struct soft_cpu, rip));
	PUT(&o, 0x31, 0xc0, 0xe9); /* xor %eax, %eax; jmp leave */
	put_to(&o, ch->leave);
	ch->used = ch->stubs =
	    ((size_t)(o.w - ch->mem.write) + 63) & ~(size_t)63;
}

/* ---- memory ---- */

int
soft_chain_create(struct soft_cpu *cpu)
{
	struct soft_chain *ch = calloc(1, sizeof(*ch));
	int rc;

	if (ch == NULL)
		return -ENOMEM;
	/* Near the handlers, so that calls reach them. */
	rc = soft_codemem_create(&ch->mem, "soft-chain", CHAIN_SIZE,
	    CODEMEM_NEAR, (const void *)(uintptr_t)soft_op_stale);
	if (rc < 0) {
		free(ch);
		return rc;
	}
	cpu->code->chain = ch;
	cpu->fp->chain = &ch->mem;
	cpu->arena = cpu->code->arena;
	chain_shape_init();
	put_stubs(ch);
	return 0;
}

void
soft_chain_destroy(struct soft_cpu *cpu)
{
	struct soft_chain *ch = cpu->code != NULL ? cpu->code->chain : NULL;

	if (ch == NULL)
		return;
	if (cpu->fp != NULL)
		cpu->fp->chain = NULL;
	soft_codemem_destroy(&ch->mem);
	free(ch);
	cpu->code->chain = NULL;
}

void
soft_chain_flush(struct soft_cpu *cpu)
{
	struct soft_chain *ch = cpu->code->chain;

	if (ch != NULL)
		ch->used = ch->stubs;
}

/* ---- branches ---- */

/* What waits for its code out of line */
struct late {
	struct chain_slow from; /* the jumps to it */
	const uint8_t *back; /* NULL: it ends the block */
	uint16_t op;
	struct chain_out state; /* that the way back has */
	bool taken; /* a branch; else a call of the handler */
	uint8_t cc;
};

struct chain_draft {
	struct chain_out o;
	const struct soft_code *c;
	struct late late[SOFT_BLOCK_INSNS * 3 + 8];
	unsigned nlate;
};

static void
put_late(struct chain_draft *d, struct chain_slow from, unsigned op, bool back)
{
	d->late[d->nlate++] = (struct late){ .from = from,
		.back = back ? d->o.x : NULL,
		.op = (uint16_t)op,
		.state = d->o };
}

/* jcc to code that is to come */
static uint8_t *
put_jump(struct chain_out *o, unsigned cc)
{
	PUT(o, 0x0f, (uint8_t)(0x80 | cc));
	chain_put32(o, 0);
	return o->w - 4;
}

static void
put_arena(struct chain_draft *d, const void *p)
{
	chain_put32(&d->o, (uint32_t)((const uint8_t *)p - d->c->arena));
}

/* RDX: base_rip, moved to the target; leave if something is asked. */
static void
put_move_rip(struct chain_draft *d, const struct soft_op *op)
{
	struct chain_out *o = &d->o;

	PUT(o, 0x48, 0x8b); /* mov base_rip, %rdx; add $disp; mov back */
	chain_field(o, 2, offsetof(struct soft_cpu, base_rip));
	PUT(o, 0x48, 0x81, 0xc2);
	chain_put32(o, (uint32_t)op->disp);
	PUT(o, 0x48, 0x89);
	chain_field(o, 2, offsetof(struct soft_cpu, base_rip));
	PUT(o, 0x48, 0x83); /* addq $count, insns */
	chain_field(o, 0, offsetof(struct soft_cpu, insns));
	PUT(o, (uint8_t)op->count);
	PUT(o, 0x83); /* cmpl $0, request; jne asked */
	chain_field(o, 7, offsetof(struct soft_cpu, request));
	PUT(o, 0, 0x0f, 0x85);
	put_to(o, d->c->chain->asked);
}
_Static_assert(CHAIN_MAX <= UINT16_MAX, "chain_size");
_Static_assert(SOFT_BLOCK_INSNS < 128, "put_move_rip: count is a byte");

/* To the block in RAX */
static void
put_enter(struct chain_out *o)
{
	PUT(o, 0x48, 0x83, 0xc0, offsetof(struct soft_block, ops));
	PUT(o, 0xff, 0x60, 0xf8); /* jmp *-8(%rax) */
}
_Static_assert(offsetof(struct soft_block, ops) ==
	    offsetof(struct soft_block, chain) + 8 &&
	offsetof(struct soft_block, ops) < 128,
    "put_enter");

static struct soft_next
link_miss_x(struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc)
{
	struct soft_op *w = (struct soft_op *)op;

	w->imm = cpu->base_rip;
	w->gen = 0;
	return soft_op_link_miss(cpu, op);
}

static struct soft_next
link_miss(struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc)
{
	return soft_op_link_miss(cpu, op);
}

/* As GO_IN_PAGE of ops.h */
static void
put_go_in_page(struct chain_draft *d, const struct soft_op *op)
{
	struct chain_out *o = &d->o;
	uint8_t *none;

	put_move_rip(d, op);
	PUT(o, 0x48, 0x8b, 0x85); /* mov link, %rax; test; jz none */
	put_arena(d, &op->link);
	PUT(o, 0x48, 0x85, 0xc0);
	none = put_jump(o, 4);
	put_enter(o);
	land(o, none);
	put_call(o, d->c, op, link_miss);
	PUT(o, 0xe9);
	put_to(o, d->c->chain->leave);
}

/* As GO_X(uint64_t) of op_branch.c */
static void
put_go_x64(struct chain_draft *d, const struct soft_op *op)
{
	struct chain_out *o = &d->o;
	uint8_t *other, *old;

	put_move_rip(d, op);
	PUT(o, 0x48, 0x3b, 0x95); /* cmp imm, %rdx; jne other */
	put_arena(d, &op->imm);
	other = put_jump(o, 5);
	PUT(o, 0x48, 0xc1, 0xea, 63); /* shr $63, %rdx */
	PUT(o, 0x48, 0x8b, 0x94, 0xd3); /* mov xgen(%rbx, %rdx, 8), %rdx */
	chain_put32(o, offsetof(struct soft_cpu, xgen));
	PUT(o, 0x48, 0x3b, 0x95); /* cmp gen, %rdx; jne old */
	put_arena(d, &op->gen);
	old = put_jump(o, 5);
	PUT(o, 0x48, 0x8b, 0x85); /* mov link, %rax */
	put_arena(d, &op->link);
	put_enter(o);
	land(o, other);
	land(o, old);
	put_call(o, d->c, op, link_miss_x);
	PUT(o, 0xe9);
	put_to(o, d->c->chain->leave);
}

/* Of a taken branch with a fixed target */
static void
put_go(struct chain_draft *d, const struct soft_op *op, enum soft_link link)
{
	if (link == SOFT_IN_PAGE) {
		put_go_in_page(d, op);
	} else if (link == SOFT_X64) {
		put_go_x64(d, op);
	} else {
		put_call(&d->o, d->c, op, soft_jmp_ops[link]);
		put_dispatch(&d->o, d->c->chain);
	}
}

static enum soft_link
link_of(const struct soft_op *op, soft_fn *const *ops)
{
	unsigned k = 0;

	while (k < SOFT_LINK_COUNT && op->fn != ops[k])
		k++;
	return (enum soft_link)k;
}

/* The operation that ends a block */
static void
put_end(struct chain_draft *d, const struct soft_op *op, unsigned i)
{
	enum soft_link link = link_of(op, soft_jmp_ops);
	struct chain_slow slow = { .n = 1 };

	if (link < SOFT_LINK_COUNT) {
		put_go(d, op, link);
		return;
	}
	for (unsigned k = 0; k < 2; k++)
		if (op->fn == soft_call_ops[k]) {
			slow.jump[0] = chain_push_rip(&d->o, op->off + op->len);
			put_late(d, slow, i, false);
			put_go(d, op, k == 0 ? SOFT_IN_PAGE : SOFT_X64);
			return;
		}
	put_call(&d->o, d->c, op, op->fn);
	put_dispatch(&d->o, d->c->chain);
}

/* ---- blocks ---- */

static void
put_op(
    struct chain_draft *d, const struct soft_op *op, unsigned i, unsigned kind)
{
	struct chain_slow slow = { .n = 0 };

	if (kind >= SOFT_CHAIN_JCC) {
		chain_flags(&d->o);
		slow.jump[slow.n++] = put_jump(&d->o, kind - SOFT_CHAIN_JCC);
		put_late(d, slow, i, false);
		d->late[d->nlate - 1].taken = true;
		d->late[d->nlate - 1].cc = (uint8_t)(kind - SOFT_CHAIN_JCC);
	} else if (kind == SOFT_CHAIN_END) {
		put_end(d, op, i);
	} else if (chain_inline(&d->o, op, &slow)) {
		if (slow.n != 0)
			put_late(d, slow, i, true);
	} else {
		put_call(&d->o, d->c, op, op->fn);
	}
}

/* Again, after a handler that may have accessed a device; acc stays. */
static struct soft_next
make_live(
    struct soft_cpu *cpu, const struct soft_op *op, uint64_t acc, uint64_t what)
{
	soft_fp_make_live(cpu, (unsigned)what);
	return soft_go(op, acc);
}

static void
put_out_of_line(
    struct chain_draft *d, const struct soft_op *op, const struct late *l)
{
	for (unsigned k = 0; k < l->from.n; k++)
		land(&d->o, l->from.jump[k]);
	d->o.flags = false;
	if (l->taken) {
		put_go(d, op, link_of(op, soft_jcc_ops[l->cc]));
		return;
	}
	put_call(&d->o, d->c, op, op->fn);
	if (l->back == NULL) {
		put_dispatch(&d->o, d->c->chain);
		return;
	}
	if (l->state.live & SOFT_FP_LIVE) {
		PUT(&d->o, 0xb9); /* mov $what, %ecx */
		chain_put32(&d->o, l->state.live & SOFT_FP_LIVE);
		put_call(&d->o, d->c, op, (soft_fn *)(uintptr_t)make_live);
	}
	memcpy(d->o.kept, l->state.kept, sizeof(d->o.kept));
	chain_reload(&d->o);
	chain_fp_load(&d->o, l->state.vectors);
	if (l->state.flags)
		chain_flags(&d->o);
	PUT(&d->o, 0xe9);
	put_to(&d->o, l->back);
}

void
soft_chain_make(struct soft_cpu *cpu, struct soft_block *b, const uint8_t *kind)
{
	struct soft_code *c = cpu->code;
	struct soft_chain *ch = c->chain;
	struct chain_draft d; /* no need to clear all of it */

	b->chain = ch->leave;
	b->chain_size = 0;
	if (ch->used + CHAIN_MAX > CHAIN_SIZE)
		return;
	d.c = c;
	d.nlate = 0;
	d.o = (struct chain_out){ .w = ch->mem.write + ch->used,
		.x = ch->mem.exec + ch->used };
	b->chain = d.o.x;
	for (unsigned i = 0; i < b->nops; i++) {
		put_op(&d, &b->ops[i], i, kind[i]);
		i += kind[i] == SOFT_CHAIN_PAIR;
	}
	for (unsigned k = 0; k < d.nlate; k++)
		put_out_of_line(&d, &b->ops[d.late[k].op], &d.late[k]);
	b->chain_size = (uint16_t)(d.o.x - b->chain);
	ch->used += (b->chain_size + 15u) & ~15u;
	if (ch->used + CHAIN_MAX > CHAIN_SIZE)
		c->full = true;
}

void
soft_chain_break(struct soft_cpu *cpu, struct soft_block *b)
{
	const struct soft_chain *ch = cpu->code->chain;
	const uint8_t **ret = cpu->chain_sp;

	if (ret != NULL && (size_t)(ret[-1] - b->chain) <= b->chain_size)
		ret[-1] = ch->leave;
	b->chain = ch->leave;
	b->chain_size = 0;
}

struct soft_next
soft_chain_run(struct soft_cpu *cpu, const struct soft_op *op)
{
	struct soft_next n = cpu->code->chain->enter(cpu, op, 0);

	cpu->chain_sp = NULL;
	return n;
}
