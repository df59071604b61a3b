/*
 * The interpreter by threaded operations: the first executor. A block's body is
 * an array of struct soft_op, whose handlers return the next one (ops.h); host
 * code calls one after the other (chain.h), and branches keep links to the
 * blocks that they lead to.
 */
#include "vmm/soft/chain.h"
#include "vmm/soft/exec.h"
#include "vmm/soft/ops.h"

/* ---- operations of a watched executor ---- */

OP(op_budget)
{
	if (--cpu->watch->budget == 0)
		atomic_fetch_or(&cpu->request, SOFT_REQ_WATCH);
	NEXT(op + 1);
}

OP(op_stop)
{
	cpu->rip = cpu->base_rip + op->off;
	cpu->insns += op->count;
	cpu->watch->stopped = op->aux;
	LEAVE;
}

/* count: instructions before it */
static void
lower_stop(struct soft_op *op, unsigned off, unsigned count, unsigned why)
{
	op->aux = (uint8_t)why;
	op->fn = op_stop;
	op->off = (uint16_t)off;
	op->count = (uint16_t)count;
}

/* ---- making blocks ---- */

/* Decode errors as the operation that raises them. */
static bool
decode_error(struct soft_op *op, int len, unsigned off)
{
	if (len == X86_DECODE_UD || len == X86_DECODE_LONG) {
		soft_lower_fault(
		    op, off, len == X86_DECODE_UD ? X86_EXC_UD : X86_EXC_GP);
		return true;
	}
	return false;
}

/* The code at cpu->rip: n bytes of it to the page's end, then the next page. */
struct single_code {
	uint64_t lin;
	const uint8_t *host;
	unsigned n;
};

/* Raises the fetch's fault: only when the instruction does go on there. */
static const uint8_t *
next_page(struct soft_cpu *cpu, const struct single_code *at)
{
	uint64_t lin = at->lin + at->n, pa;

	return soft_fetch_page(cpu, cpu->mode == 8 ? lin : (uint32_t)lin, &pa);
}

static unsigned
block_mode(const struct soft_cpu *cpu)
{
	return cpu->xgen[0] & SOFT_MODE_BITS;
}

/* Is it the instruction at RIP, in this mode? */
static bool
single_is(struct soft_cpu *cpu, const struct soft_single *s,
    const struct single_code *at)
{
	unsigned first = s->len < at->n ? s->len : at->n;

	if (s->len == 0 || s->mode != block_mode(cpu) ||
	    memcmp(s->bytes, at->host, first) != 0)
		return false;
	return first == s->len ||
	    memcmp(s->bytes + first, next_page(cpu, at), s->len - first) == 0;
}

/* Decode into it; its length, or what x86_decode() says is wrong. */
static int
single_decode(
    struct soft_cpu *cpu, struct soft_single *s, const struct single_code *at)
{
	unsigned n = at->n < X86_MAX_INSN ? at->n : X86_MAX_INSN;
	int len;

	s->len = 0;
	memcpy(s->bytes, at->host, n);
	len = x86_decode(&s->insn, s->bytes, n, cpu->mode);
	if (len != X86_DECODE_MORE)
		return len;
	memcpy(s->bytes + n, next_page(cpu, at), X86_MAX_INSN - n);
	return x86_decode(&s->insn, s->bytes, X86_MAX_INSN, cpu->mode);
}

/* A block of the one instruction at RIP, valid until the next call. */
static const struct soft_op *
make_single(struct soft_cpu *cpu)
{
	uint64_t rip = cpu->rip, pa;
	struct soft_single *s =
	    &cpu->code->single[(rip ^ rip >> 12) & (SOFT_SINGLES - 1)];
	struct single_code at;
	unsigned n;
	bool end;
	int len;

	cpu->base_rip = rip;
	cpu->cur_off = 0;
	at.lin = soft_fetch_lin(cpu);
	at.host = soft_fetch_page(cpu, at.lin, &pa);
	at.n = 4096 - (pa & 0xfff);
	if (single_is(cpu, s, &at) && !soft_past_limit(cpu, s->len))
		return s->ops;
	len = single_decode(cpu, s, &at);
	if (len > 0 && soft_past_limit(cpu, (unsigned)len))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	memset(s->ops, 0, sizeof(s->ops));
	s->ops[0].count = s->ops[1].count = 1;
	if (cpu->stepper != NULL && len == X86_DECODE_UD)
		soft_fail(cpu, "an instruction that it does not know");
	if (decode_error(&s->ops[0], len, 0))
		return s->ops;
	n = soft_lower(cpu, s->ops, &s->insn, 0, SOFT_NO_PA, &end);
	if (!end)
		soft_lower_next(cpu, &s->ops[n], (unsigned)len, 1);
	s->mode = (uint8_t)block_mode(cpu);
	s->len = (uint8_t)len;
	return s->ops;
}

/* Decoded, but not in the cache yet. */
struct draft {
	struct soft_op ops[SOFT_BLOCK_INSNS * 2 + 4];
	struct soft_flow flow[SOFT_BLOCK_INSNS * 2 + 4];
	uint8_t kind[SOFT_BLOCK_INSNS * 2 + 4]; /* enum soft_chain_kind */
	unsigned nops, bytes;
};

static void
optimize(struct draft *d)
{
	struct soft_op *ops = d->ops;
	soft_fn *fused;

	soft_flow_elide(ops, d->flow, d->nops);
	for (unsigned i = 0; i + 1 < d->nops; i++) {
		fused = soft_fuse(&ops[i], &ops[i + 1]);
		if (fused != NULL) {
			ops[i].fn = fused;
			d->kind[i++] = SOFT_CHAIN_PAIR;
		}
	}
	soft_flow_chain(ops, d->flow, d->nops);
}

/* Operations of the code at host; false: not even one instruction fits. */
static bool
draft_block(struct soft_cpu *cpu, struct draft *d, uint64_t pa,
    const uint8_t *code, unsigned left)
{
	struct soft_code *c = cpu->code;
	unsigned off = 0, n = 0, i, k, why;
	struct x86_insn insn;
	struct x86_insn *keep;
	struct soft_op *ops = d->ops;
	bool end = false;
	int len;

	memset(ops, 0, sizeof(d->ops));
	memset(d->kind, SOFT_CHAIN_PLAIN, sizeof(d->kind));
	for (k = 0; k < sizeof(d->flow) / sizeof(d->flow[0]); k++)
		d->flow[k] = soft_flow_unknown;
	if (cpu->watch != NULL)
		ops[n++].fn = op_budget;
	for (i = 0; i < SOFT_BLOCK_INSNS && !end; i++) {
		len = x86_decode(&insn, code + off, left - off, cpu->mode);
		if (len == X86_DECODE_MORE) {
			if (off == 0)
				return false;
			break;
		}
		if (decode_error(&ops[n], len, off)) {
			ops[n++].count = (uint16_t)i;
			off++;
			end = true;
			break;
		}
		why = cpu->watch != NULL ? cpu->watch->stop(&insn) : 0;
		if (why != 0) {
			lower_stop(&ops[n++], off, i, why);
			off += (unsigned)len;
			end = true;
			break;
		}
		keep = (struct x86_insn *)(c->arena + c->used);
		*keep = insn;
		k = soft_lower(cpu, &ops[n], keep, off, pa, &end);
		ops[n].count = ops[n + 1].count = (uint16_t)(i + 1);
		if (ops[n].insn == keep)
			c->used += (sizeof(insn) + 7) & ~(size_t)7;
		soft_flow_of(&d->flow[n], &ops[n], keep);
		if (!end && (insn.row->attr & X86_A_BR))
			d->kind[n] = (uint8_t)(SOFT_CHAIN_JCC +
			    (insn.row->mn - X86_MN_JO));
		n += k;
		off += (unsigned)len;
		if (off >= left) { /* to the page's last byte */
			i++;
			break;
		}
	}
	if (!end)
		soft_lower_next(cpu, &ops[n++], off, i);
	d->kind[n - 1] = SOFT_CHAIN_END;
	d->nops = n;
	d->bytes = off;
	optimize(d);
	return true;
}

_Static_assert(sizeof(struct soft_block) + sizeof(struct draft) +
	    SOFT_BLOCK_INSNS * (sizeof(struct x86_insn) + 8) <=
	SOFT_BLOCK_ROOM,
    "a block fits");

static struct soft_block *
prepare(struct soft_cpu *cpu, uint64_t pa, const uint8_t *code, unsigned left)
{
	struct soft_block *b;
	struct x86_insn first;
	struct draft d;

	/* Often asked for: an instruction that crosses a page never gets one */
	if (left < X86_MAX_INSN &&
	    x86_decode(&first, code, left, cpu->mode) == X86_DECODE_MORE)
		return NULL;
	if (!draft_block(cpu, &d, pa, code, left))
		return NULL;
	b = soft_code_alloc(cpu, sizeof(*b) + d.nops * sizeof(d.ops[0]));
	memcpy(b->ops, d.ops, d.nops * sizeof(d.ops[0]));
	b->bytes = (uint16_t)d.bytes;
	b->nops = (uint16_t)d.nops;
	soft_chain_make(cpu, b, d.kind);
	return b;
}

/* ---- running ---- */

/* One operation after the other, until they leave. */
static void
run_ops(struct soft_cpu *cpu, const struct soft_op *op)
{
	struct soft_next n = { op, 0 };

	while (n.op)
		n = n.op->fn(cpu, n.op, n.acc);
}

static void
run_block(struct soft_cpu *cpu, const struct soft_block *b)
{
	struct soft_next n = { b->ops, 0 };

	cpu->base_rip = cpu->rip;
	while (n.op) {
		if (n.op->fn == soft_op_stale)
			n = soft_op_stale(cpu, n.op, n.acc);
		else if (soft_block_of(n.op)->chain_size != 0)
			n = soft_chain_run(cpu, n.op);
		else
			return run_ops(cpu, n.op);
	}
}

static void
single(struct soft_cpu *cpu)
{
	const struct soft_op *ops;

	atomic_fetch_or(&cpu->request, SOFT_REQ_STEP);
	ops = make_single(cpu);
	cpu->base_rip = cpu->rip;
	run_ops(cpu, ops);
	atomic_fetch_and(&cpu->request, ~(uint32_t)SOFT_REQ_STEP);
}

static void
unlink_pending(struct soft_cpu *cpu)
{
	cpu->code->link_from = cpu->code->stale = NULL;
}

/*
 * The block at RIP; the branch that led here gets its link. NULL: one
 * instruction at a time.
 */
static struct soft_block *
next_block(struct soft_cpu *cpu)
{
	struct soft_code *c = cpu->code;
	struct soft_op *from = c->link_from, *stale = c->stale;
	uint64_t flushes = c->flushes;
	struct soft_block *b;
	bool lasting;

	unlink_pending(cpu);
	b = soft_code_find(cpu, &lasting);
	if (unlikely(b != NULL && soft_past_limit(cpu, b->bytes)))
		return NULL;
	if (!lasting || flushes != c->flushes)
		return b;
	if (from) {
		from->link = b;
		from->gen = cpu->xgen[cpu->rip >> 63];
	}
	if (stale)
		stale->link = b;
	return b;
}

/*
 * RIP may have changed since the last run (an interrupt, one step): a branch
 * that waits for its link must not get what is found there.
 */
static void
run(struct soft_cpu *cpu)
{
	const struct soft_block *b;

	unlink_pending(cpu);
	do {
		b = next_block(cpu);
		if (likely(b != NULL))
			run_block(cpu, b);
		else
			single(cpu);
	} while (likely(!soft_must_leave(cpu)) &&
	    (cpu->watch == NULL || !cpu->watch->stopped));
}

static void
stale(struct soft_cpu *cpu, struct soft_block *b)
{
	for (unsigned i = 0; i < b->nops; i++)
		b->ops[i].fn = soft_op_stale;
	b->ops[0].link = NULL;
	soft_chain_break(cpu, b);
}

static void
flushed(struct soft_cpu *cpu)
{
	unlink_pending(cpu);
	soft_chain_flush(cpu);
}

static bool
left(struct soft_cpu *cpu, enum soft_leave why)
{
	soft_chain_left(cpu);
	return true;
}

const struct soft_executor soft_exec_threaded = {
	.name = "threaded",
	.create = soft_chain_create,
	.destroy = soft_chain_destroy,
	.prepare = prepare,
	.run = run,
	.single = single,
	.stale = stale,
	.flushed = flushed,
	.left = left,
};
