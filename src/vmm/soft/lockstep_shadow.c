/*
 * Lock-step: the shadow vCPU, which goes instruction by instruction.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vmm/soft/fpu.h"
#include "vmm/soft/insn.h"
#include "vmm/soft/lockstep.h"
#include "vmm/x86/undefined.h"

enum kind {
	KIND_HOST, /* the host's instruction */
	KIND_FUNCTION, /* of insn.c */
	KIND_HANDLER, /* of the threaded interpreter, alone */
};

/* Found by address, good while the bytes are the same. */
struct lockstep_insn {
	struct x86_insn in;
	uint8_t bytes[X86_MAX_INSN + 1];
	uint8_t len; /* 0: empty */
	uint8_t mode; /* low bits of xgen */
	uint8_t kind;
	soft_insn_fn *fn;
	struct lockstep_thunk thunk;
	struct soft_op ops[4];
};

/* ---- making and unmaking ---- */

static size_t
shadow_size(void)
{
	return (sizeof(struct soft_cpu) + 4095) & ~(size_t)4095;
}

static int
make(struct soft_lockstep *ls, struct soft_cpu *b)
{
	const struct soft_cpu *a = ls->a;

	if (mprotect(b, shadow_size(), PROT_READ | PROT_WRITE) != 0)
		return -errno;
	b->ls = ls;
	b->vm = a->vm;
	b->id = a->id;
	b->apic_id = a->apic_id;
	b->lapic = a->lapic;
	b->cpuid = a->cpuid;
	b->fp = a->fp;
	b->exec = a->exec;
	b->features = a->features;
	b->maxphys_rsvd = a->maxphys_rsvd;
	b->code = soft_code_create(a->vm, false);
	ls->cache = calloc(LOCKSTEP_CACHE, sizeof(ls->cache[0]));
	if (b->code == NULL || ls->cache == NULL)
		return -ENOMEM;
	soft_tlb_init(b); /* nothing is ever entered */
	return lockstep_host_create(ls, (uint8_t *)b + shadow_size());
}

/* NULL: no memory, or no code memory. */
struct soft_cpu *
lockstep_shadow_create(struct soft_lockstep *ls)
{
	void *p = mmap(NULL, shadow_size() + LOCKSTEP_CODE, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	ls->b = p;
	return make(ls, ls->b) < 0 ? NULL : ls->b;
}

void
lockstep_shadow_destroy(struct soft_lockstep *ls)
{
	if (ls->b == NULL)
		return;
	lockstep_host_destroy(ls);
	soft_code_destroy(ls->b->code);
	free(ls->cache);
	munmap(ls->b, shadow_size() + LOCKSTEP_CODE);
	ls->b = NULL;
}

/* ---- fetching and decoding ---- */

/* Bytes at RIP, up to the end of the page; more: of the next one too. */
static unsigned
fetch(struct soft_cpu *b, uint8_t buf[X86_MAX_INSN], bool more)
{
	uint64_t lin = soft_fetch_lin(b);
	unsigned n = 4096 - (lin & 0xfff);
	struct soft_page pg;

	if (n > X86_MAX_INSN)
		n = X86_MAX_INSN;
	soft_translate(b, lin, SOFT_FETCH, (enum soft_mmu)b->mmu, &pg);
	if (pg.host == NULL)
		soft_fail(b, "instruction fetch outside memory");
	memcpy(buf, pg.host, n);
	if (!more || n == X86_MAX_INSN)
		return n;
	lin = b->mode == 8 ? lin + n : (uint32_t)(lin + n);
	soft_translate(b, lin, SOFT_FETCH, (enum soft_mmu)b->mmu, &pg);
	if (pg.host == NULL)
		soft_fail(b, "instruction fetch outside memory");
	memcpy(buf + n, pg.host, X86_MAX_INSN - n);
	return X86_MAX_INSN;
}

static void
forget_thunks(struct soft_lockstep *ls)
{
	for (unsigned i = 0; i < LOCKSTEP_CACHE; i++)
		ls->cache[i].len = 0;
}

/* How the instruction will be run. */
static void
choose(struct soft_lockstep *ls, struct lockstep_insn *e)
{
	struct soft_cpu *b = ls->b;
	bool end;
	unsigned n;

	e->kind = KIND_HANDLER;
	n = soft_lower(b, e->ops, &e->in, 0, SOFT_NO_PA, &end);
	if (!end)
		soft_lower_next(b, &e->ops[n], e->in.len, 1);
	if (e->ops[0].fn == soft_op_fault ||
	    (e->in.row->attr & X86_A_FPSIMD) != 0)
		return;
	e->fn = soft_insn_for(e->in.row);
	if (e->fn != NULL)
		e->kind = KIND_FUNCTION;
	if (!lockstep_host_eligible(&e->in))
		return;
	if (!lockstep_host_make(ls, &e->in, &e->thunk)) {
		forget_thunks(ls);
		lockstep_host_make(ls, &e->in, &e->thunk);
	}
	e->kind = KIND_HOST;
}

static void
check_limit(struct soft_cpu *b, unsigned len)
{
	if (soft_past_limit(b, len))
		soft_raise_error(b, X86_EXC_GP, 0);
}

static struct lockstep_insn *
next_insn(struct soft_lockstep *ls)
{
	struct soft_cpu *b = ls->b;
	struct lockstep_insn *e =
	    &ls->cache[(b->rip ^ b->rip >> 13) & (LOCKSTEP_CACHE - 1)];
	uint8_t buf[X86_MAX_INSN];
	unsigned n = fetch(b, buf, false);
	int len;

	if (e->len != 0 && e->len <= n &&
	    e->mode == (b->xgen[0] & SOFT_MODE_BITS) &&
	    memcmp(e->bytes, buf, e->len) == 0) {
		check_limit(b, e->len);
		return e;
	}
	e->len = 0;
	memset(e->ops, 0, sizeof(e->ops));
	len = x86_decode(&e->in, buf, n, b->mode);
	if (len == X86_DECODE_MORE) {
		n = fetch(b, buf, true);
		len = x86_decode(&e->in, buf, n, b->mode);
	}
	if (len < 0) {
		e->kind = KIND_HANDLER;
		soft_lower_fault(&e->ops[0], 0,
		    len == X86_DECODE_UD ? X86_EXC_UD : X86_EXC_GP);
		return e;
	}
	check_limit(b, (unsigned)len);
	choose(ls, e);
	memcpy(e->bytes, buf, (unsigned)len);
	e->mode = b->xgen[0] & SOFT_MODE_BITS;
	e->len = (uint8_t)len;
	return e;
}

/* ---- running ---- */

static void
call_thunk(struct soft_lockstep *ls, const struct lockstep_insn *e, void *mem)
{
	unsigned vector;

	ls->tail = e->thunk.tail;
	((void (*)(void *))(uintptr_t)e->thunk.code)(mem);
	if (likely(ls->host_fault == 0))
		return;
	vector = ls->host_fault - 1;
	ls->host_fault = 0;
	if (vector == X86_EXC_DE || vector == X86_EXC_UD)
		soft_raise(ls->b, vector);
	soft_raise_error(ls->b, X86_EXC_GP, 0);
}

static void
run_host(struct soft_lockstep *ls, const struct lockstep_insn *e)
{
	uint8_t bounce[16] __attribute__((aligned(16))) = { 0 };
	struct soft_cpu *b = ls->b;
	const struct x86_insn *in = &e->in;
	unsigned size = in->mem_size;
	bool writes = !(in->row->attr & X86_A_RO1), uses;
	uint64_t lin;
	void *p;

	if (!in->has_modrm || in->mod == 3) {
		call_thunk(ls, e, NULL);
		return;
	}
	uses =
	    x86_op_class(in, 0) == X86_OC_E || x86_op_class(in, 0) == X86_OC_M;
	writes = writes && uses;
	lin = soft_ea(b, in, size, writes);
	if (size == 16 && (lin & 15))
		soft_raise_error(b, X86_EXC_GP, 0);
	if (!writes) {
		soft_read(b, lin, bounce, size);
		call_thunk(ls, e, bounce);
	} else if (in->row->attr & X86_A_WO1) {
		soft_probe_write(b, lin, size);
		call_thunk(ls, e, bounce);
		soft_write(b, lin, bounce, size);
	} else {
		p = soft_rmw_begin(b, lin, size);
		call_thunk(ls, e, p);
		soft_rmw_end(b, p);
	}
}

static uint64_t
next_rip(const struct soft_cpu *b, unsigned len)
{
	uint64_t rip = b->base_rip + len;

	return b->mode == 8 ? rip : (uint32_t)rip;
}

static void
run_handler(struct soft_cpu *b, const struct lockstep_insn *e)
{
	struct soft_next n = { e->ops, 0 };

	atomic_store_explicit(&b->request, SOFT_REQ_STEP, memory_order_relaxed);
	while (n.op)
		n = n.op->fn(b, n.op, n.acc);
	atomic_store_explicit(&b->request, 0, memory_order_relaxed);
}

/* A count of 0 leaves flags as they were, undefined ones too. */
static void
note_flags(struct soft_lockstep *ls, const struct x86_insn *in, uint64_t rcx)
{
	const struct x86_flag_info *fi = &x86_flag_info[in->row->flags];

	if (fi->written == 0 && fi->undefined == 0)
		return;
	if (in->row->flags != X86_FC_SHIFT && in->row->flags != X86_FC_ROT &&
	    in->row->flags != X86_FC_RCR)
		ls->undefined &= ~fi->written;
	ls->undefined |= x86_undefined_flags(in, rcx);
}

void
lockstep_shadow_step(struct soft_lockstep *ls)
{
	struct soft_cpu *b = ls->b;
	uint64_t rcx = b->gpr[X86_RCX];
	struct lockstep_insn *e;

	atomic_store_explicit(&b->request, 0, memory_order_relaxed);
	b->base_rip = b->rip;
	b->cur_off = 0;
	b->shadow = 0;
	e = next_insn(ls);
	switch (e->kind) {
	case KIND_HOST:
		run_host(ls, e);
		b->rip = next_rip(b, e->len);
		ls->stats.host++;
		break;
	case KIND_FUNCTION:
		b->rip = next_rip(b, e->len);
		e->fn(b, &e->in);
		ls->stats.function++;
		break;
	default:
		run_handler(b, e);
		ls->stats.handler++;
		break;
	}
	note_flags(ls, &e->in, rcx);
}

/*
 * The subject was interrupted with left iterations to go, so this is no end:
 * flags of comparisons are as before.
 */
void
lockstep_shadow_repeat(struct soft_lockstep *ls, uint64_t left)
{
	struct soft_cpu *b = ls->b;
	uint16_t fl = b->fl;
	struct lockstep_insn *e;
	uint64_t rcx = b->gpr[X86_RCX], rip = b->rip;

	b->base_rip = rip;
	b->cur_off = 0;
	e = next_insn(ls);
	if (e->kind != KIND_FUNCTION || !(e->in.row->attr & X86_A_STR))
		return;
	soft_set_reg(b, X86_RCX, e->in.adsize, rcx - left);
	if (soft_reg(b, X86_RCX, e->in.adsize) != 0)
		e->fn(b, &e->in);
	soft_set_reg(b, X86_RCX, e->in.adsize, left);
	b->fl = fl;
	b->rip = rip;
}
