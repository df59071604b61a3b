/*
 * The block cache.
 */
#include "vmm/soft/code.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/str.h"
#include "vmm/soft/exec.h"
#include "vmm/soft/lockstep.h"
#include "vmm/soft/mmu.h"
#include "vmm/soft/step.h"
#include "vmm/soft/vm.h"

#define ARENA_SIZE (UINT64_C(64) << 20)
#define HUGE (UINT64_C(2) << 20) /* page of the host; divides ARENA_SIZE */

static void *
map_zero(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * As map_zero(), in huge pages where the host has them: every operation that
 * runs is read from here, and a kernel's network path alone is a megabyte.
 */
static void *
map_huge(size_t size)
{
	uint8_t *p = map_zero(size + HUGE), *start;
	size_t before;

	if (p == NULL)
		return NULL;
	start = (uint8_t *)ROUND_UP((uintptr_t)p, HUGE);
	before = (size_t)(start - p);
	if (before != 0)
		munmap(p, before);
	munmap(start + size, HUGE - before);
	(void)madvise(start, size, MADV_HUGEPAGE);
	return start;
}

struct soft_code *
soft_code_create(struct soft_vm *vm, bool keeps)
{
	struct soft_code *c = map_zero(sizeof(*c) + vm->npages * 8u);

	if (c == NULL)
		return NULL;
	c->size = keeps ? ARENA_SIZE : 0;
	c->arena = keeps ? map_huge(c->size) : NULL;
	if (keeps && c->arena == NULL) {
		munmap(c, sizeof(*c) + vm->npages * 8u);
		return NULL;
	}
	c->lines = (_Atomic uint64_t *)(c + 1);
	pthread_mutex_init(&c->lock, NULL);
	c->npages = vm->npages;
	return c;
}

void
soft_code_destroy(struct soft_code *c)
{
	if (c == NULL)
		return;
	if (c->arena != NULL)
		munmap(c->arena, c->size);
	pthread_mutex_destroy(&c->lock);
	munmap(c, sizeof(*c) + c->npages * 8u);
}

static unsigned
page_slot(uint64_t pa)
{
	return (pa >> 12 ^ pa >> 24) & 0xfff;
}

static unsigned
hash_slot(uint64_t pa, unsigned mode)
{
	uint64_t h = (pa << 4 | mode) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(h >> (64 - SOFT_HASH_BITS));
}

static uint64_t
line_mask(uint64_t pa, unsigned size)
{
	unsigned first = pa >> 6 & 63, last;

	last = ((pa & 0xfff) + size - 1) >> 6;
	if (last > 63)
		last = 63;
	return (~UINT64_C(0) >> (63 - (last - first))) << first;
}

void
soft_code_flush(struct soft_cpu *cpu)
{
	struct soft_code *c = cpu->code;
	struct soft_region *r;

	for (unsigned i = 0; i < 1u << 12; i++) {
		for (struct soft_block *b = c->page[i]; b; b = b->page_next) {
			r = soft_region_of(cpu->vm, b->pa);
			atomic_store_explicit(&c->lines[soft_page_no(r, b->pa)],
			    0, memory_order_relaxed);
		}
		c->page[i] = NULL;
	}
	memset(c->hash, 0, sizeof(c->hash));
	memset(c->jump, 0, sizeof(c->jump));
	c->used = 0;
	c->full = false;
	c->flushes++;
	cpu->exec->flushed(cpu);
}

/* ---- writes to code ---- */

static void
post(struct soft_cpu *cpu, uint64_t pa, unsigned size)
{
	struct soft_code *c = cpu->code;

	pthread_mutex_lock(&c->lock);
	if (c->nqueue < SOFT_CODE_QUEUE) {
		c->queue[c->nqueue].pa = pa;
		c->queue[c->nqueue].size = size;
	}
	if (c->nqueue <= SOFT_CODE_QUEUE)
		c->nqueue++;
	c->posted++;
	pthread_mutex_unlock(&c->lock);
	soft_request(cpu, SOFT_REQ_CODE);
}

static void
kill_block(struct soft_cpu *cpu, struct soft_block *b)
{
	struct soft_code *c = cpu->code;
	struct soft_block **p = &c->hash[hash_slot(b->pa, b->mode)];

	while (*p && *p != b)
		p = &(*p)->hash_next;
	if (*p)
		*p = b->hash_next;
	b->valid = false;
	cpu->exec->stale(cpu, b);
	c->invalidations++;
}

static void
invalidate(struct soft_cpu *cpu, uint64_t pa, unsigned size)
{
	struct soft_code *c = cpu->code;
	struct soft_block **p = &c->page[page_slot(pa)], *b;
	struct soft_region *r = soft_region_of(cpu->vm, pa);
	uint64_t lines = 0;

	while ((b = *p) != NULL) {
		if ((b->pa ^ pa) >> 12 != 0) {
			p = &b->page_next;
		} else if (b->pa < pa + size && pa < b->pa + b->bytes) {
			*p = b->page_next;
			kill_block(cpu, b);
		} else {
			lines |= line_mask(b->pa, b->bytes);
			p = &b->page_next;
		}
	}
	atomic_store_explicit(
	    &c->lines[soft_page_no(r, pa)], lines, memory_order_relaxed);
}

static void
mark_dirty(struct soft_region *r, uint64_t pa)
{
	uint64_t page = (pa - r->base) >> 12;

	__atomic_fetch_or(
	    &r->dirty[page >> 6], UINT64_C(1) << (page & 63), __ATOMIC_RELAXED);
}

void
soft_code_written(struct soft_cpu *cpu, uint64_t pa, unsigned size)
{
	struct soft_vm *vm = cpu->vm;
	struct soft_region *r = soft_region_of(vm, pa);
	unsigned n = atomic_load_explicit(&vm->ncpus, memory_order_relaxed);
	struct soft_cpu *other;
	uint32_t page;
	uint64_t mask;

	if (r == NULL || (unlikely(cpu->ls != NULL) && soft_is_shadow(cpu)))
		return;
	if (cpu->stepper != NULL) {
		soft_step_written(cpu, pa, size);
		return;
	}
	page = soft_page_no(r, pa);
	mask = line_mask(pa, size);
	if (unlikely(atomic_load_explicit(&vm->dirty_on, memory_order_relaxed)))
		mark_dirty(r, pa);
	if (cpu->code->lines[page] & mask)
		invalidate(cpu, pa, size);
	if (n > 1)
		atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; n > 1 && i < n; i++) {
		other =
		    atomic_load_explicit(&vm->cpus[i], memory_order_acquire);
		if (other == NULL || other == cpu)
			continue;
		if (atomic_load_explicit(
			&other->code->lines[page], memory_order_relaxed) &
		    mask)
			post(other, pa, size);
	}
}

bool
soft_code_write_needs_slow(struct soft_cpu *cpu, uint64_t pa, bool write)
{
	struct soft_vm *vm = cpu->vm;
	struct soft_region *r = soft_region_of(vm, pa);
	unsigned n = atomic_load_explicit(&vm->ncpus, memory_order_relaxed);
	uint32_t page = soft_page_no(r, pa);
	struct soft_cpu *other;
	uint64_t bit;

	if (cpu->stepper != NULL)
		return true; /* its owner is told of each store */
	if (unlikely(cpu->ls != NULL) && !soft_lockstep_told(cpu, pa))
		return true;
	/* Before the bitmaps are read: see first_code() */
	atomic_store(&vm->wmapped[page], 1);
	if (unlikely(
		atomic_load_explicit(&vm->dirty_on, memory_order_relaxed))) {
		if (write)
			mark_dirty(r, pa);
		bit = (pa - r->base) >> 12;
		if (!(__atomic_load_n(&r->dirty[bit >> 6], __ATOMIC_RELAXED) >>
			    (bit & 63) &
			1))
			return true;
	}
	if (cpu->code->lines[page])
		return true;
	for (unsigned i = 0; n > 1 && i < n; i++) {
		other =
		    atomic_load_explicit(&vm->cpus[i], memory_order_acquire);
		if (other && atomic_load(&other->code->lines[page]))
			return true;
	}
	return false;
}

void
soft_code_requests(struct soft_cpu *cpu)
{
	struct soft_code *c = cpu->code;
	struct soft_region *r;
	uint64_t pa[SOFT_CODE_QUEUE], posted;
	unsigned size[SOFT_CODE_QUEUE], n;

	pthread_mutex_lock(&c->lock);
	n = c->nqueue;
	c->nqueue = 0;
	posted = c->posted;
	for (unsigned i = 0; i < n && i < SOFT_CODE_QUEUE; i++) {
		pa[i] = c->queue[i].pa;
		size[i] = c->queue[i].size;
	}
	pthread_mutex_unlock(&c->lock);
	if (n > SOFT_CODE_QUEUE) {
		soft_tlb_protect_all(cpu);
		soft_code_flush(cpu);
		n = 0;
	}
	for (unsigned i = 0; i < n; i++) {
		r = soft_region_of(cpu->vm, pa[i]);
		if (size[i] > 0)
			invalidate(cpu, pa[i], size[i]);
		else
			soft_tlb_protect_page(cpu, r->host + (pa[i] - r->base));
	}
	atomic_store(&c->handled, posted);
}

void
soft_code_dma(void *arg, gpa_t gpa, uint64_t len)
{
	struct soft_vm *vm = arg;
	struct soft_region *r = soft_region_of(vm, gpa.v);
	unsigned n = atomic_load(&vm->ncpus), part;
	struct soft_cpu *cpu;
	uint64_t pa = gpa.v;

	atomic_fetch_add_explicit(&vm->dma, 1, memory_order_relaxed);
	for (; r != NULL && len > 0; pa += part, len -= part) {
		part = (unsigned)(4096 - (pa & 4095));
		if (part > len)
			part = (unsigned)len;
		atomic_thread_fence(memory_order_seq_cst);
		for (unsigned i = 0; i < n; i++) {
			cpu = atomic_load(&vm->cpus[i]);
			if (cpu != NULL &&
			    (atomic_load(
				 &cpu->code->lines[soft_page_no(r, pa)]) &
				line_mask(pa, part)) != 0)
				post(cpu, pa, part);
		}
	}
}

/*
 * Until another vCPU has done what was posted to it. One that sleeps or is out
 * of its run loop does that before it stores anything. Meanwhile it may wait
 * for us in the same way.
 */
static void
await(struct soft_cpu *cpu, struct soft_cpu *other)
{
	uint64_t posted;

	pthread_mutex_lock(&other->code->lock);
	posted = other->code->posted;
	pthread_mutex_unlock(&other->code->lock);
	while (atomic_load(&other->code->handled) < posted &&
	    atomic_load(&other->running) && !atomic_load(&other->sleeping)) {
		soft_code_requests(cpu);
		sched_yield();
	}
}

/*
 * The first code of a page is about to be read, and its lines are marked: from
 * here on every store to it must look at them. Entries of a TLB that allow to
 * store past that go, everywhere, before we read.
 */
static void
first_code(struct soft_cpu *cpu, struct soft_region *r, uint64_t page_pa)
{
	struct soft_vm *vm = cpu->vm;
	unsigned n = atomic_load(&vm->ncpus);
	struct soft_cpu *other;
	uint32_t page = soft_page_no(r, page_pa);

	if (!atomic_exchange(&vm->wmapped[page], 0))
		return;
	soft_tlb_protect_page(cpu, r->host + (page_pa - r->base));
	for (unsigned i = 0; n > 1 && i < n; i++) {
		other = atomic_load(&vm->cpus[i]);
		if (other && other != cpu)
			post(other, page_pa, 0);
	}
	for (unsigned i = 0; n > 1 && i < n; i++) {
		other = atomic_load(&vm->cpus[i]);
		if (other && other != cpu)
			await(cpu, other);
	}
}

/* ---- building ---- */

uint64_t
soft_fetch_lin(struct soft_cpu *cpu)
{
	uint64_t rip = cpu->rip;

	if (cpu->mode == 8)
		return rip;
	if (unlikely((uint32_t)rip > cpu->seg[X86_CS].limit))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	return (uint32_t)(rip + cpu->seg[X86_CS].base);
}

uint8_t *
soft_fetch_page(struct soft_cpu *cpu, uint64_t lin, uint64_t *ret_pa)
{
	unsigned i = lin >> 12 & (SOFT_TLB_SIZE - 1);
	const struct soft_tlb *e = &cpu->tlb[i];
	struct soft_page pg;
	uint64_t off = lin ^ e->x;

	if (likely(off <= 4095)) {
		*ret_pa = cpu->meta[cpu->mmu][i].pa | off;
		return e->host + off;
	}
	soft_translate(cpu, lin, SOFT_FETCH, (enum soft_mmu)cpu->mmu, &pg);
	if (pg.host == NULL)
		soft_fail(cpu, "instruction fetch outside memory");
	*ret_pa = pg.pa;
	return pg.host;
}

static void
mark_lines(struct soft_code *c, uint32_t page, uint64_t pa, unsigned size)
{
	uint64_t mask = line_mask(pa, size);

	if ((atomic_load(&c->lines[page]) & mask) != mask)
		atomic_fetch_or(&c->lines[page], mask);
}

void *
soft_code_alloc(struct soft_cpu *cpu, size_t size)
{
	struct soft_code *c = cpu->code;
	void *p = c->arena + c->used;

	c->used += (size + 7) & ~(size_t)7;
	return p;
}

/* The block can be found from now on. */
static void
enlist(struct soft_cpu *cpu, struct soft_block *b, uint64_t pa)
{
	struct soft_code *c = cpu->code;

	b->pa = pa;
	b->mode = cpu->xgen[0] & SOFT_MODE_BITS;
	b->valid = true;
	b->hash_next = c->hash[hash_slot(pa, b->mode)];
	c->hash[hash_slot(pa, b->mode)] = b;
	b->page_next = c->page[page_slot(pa)];
	c->page[page_slot(pa)] = b;
	c->translations++;
}

/*
 * NULL: no block can be made of it (the instruction crosses the page, others
 * write here without end, or no code is kept); the instruction is to be run by
 * itself.
 */
static struct soft_block *
build(struct soft_cpu *cpu, uint64_t pa, const uint8_t *host)
{
	struct soft_code *c = cpu->code;
	struct soft_region *r = soft_region_of(cpu->vm, pa);
	uint32_t page = soft_page_no(r, pa);
	unsigned left = 4096 - (pa & 0xfff), tries;
	uint8_t code[SOFT_BLOCK_BYTES];
	struct soft_block *b;
	size_t used;

	if (c->size == 0)
		return NULL;
	if (c->full || c->used + SOFT_BLOCK_ROOM > c->size)
		soft_code_flush(cpu);
	if (left > SOFT_BLOCK_BYTES)
		left = SOFT_BLOCK_BYTES;
	/* Again if what was done while waiting took the mark away. */
	while (!r->rom && !atomic_load(&c->lines[page])) {
		mark_lines(c, page, pa, 1);
		first_code(cpu, r, pa & ~UINT64_C(0xfff));
	}
	for (tries = 0; tries < 4; tries++) {
		used = c->used;
		memcpy(code, host, left);
		b = cpu->exec->prepare(cpu, pa, code, left);
		if (b == NULL)
			return NULL;
		mark_lines(c, page, pa, b->bytes);
		atomic_thread_fence(memory_order_seq_cst);
		if (memcmp(code, host, b->bytes) == 0) {
			enlist(cpu, b, pa);
			return b;
		}
		c->used = used;
	}
	return NULL;
}

static struct soft_block *
find_pa(struct soft_cpu *cpu, uint64_t pa)
{
	unsigned mode = cpu->xgen[0] & SOFT_MODE_BITS;
	struct soft_block *b = cpu->code->hash[hash_slot(pa, mode)];

	while (b && (b->pa != pa || b->mode != mode))
		b = b->hash_next;
	return b;
}

struct soft_block *
soft_code_find(struct soft_cpu *cpu, bool *ret_lasting)
{
	struct soft_code *c = cpu->code;
	uint64_t rip = cpu->rip, gen = cpu->xgen[rip >> 63], lin, pa;
	struct soft_jump *j = soft_jump_slot(cpu, rip);
	struct soft_block *b;
	uint8_t *host;
	unsigned bloom;

	if (j->rip == rip && j->gen == gen && j->block->valid) {
		*ret_lasting = true;
		return j->block;
	}
	*ret_lasting = false;
	cpu->base_rip = rip;
	cpu->cur_off = 0;
	lin = soft_fetch_lin(cpu);
	host = soft_fetch_page(cpu, lin, &pa);
	b = find_pa(cpu, pa);
	if (b == NULL)
		b = build(cpu, pa, host);
	if (b == NULL)
		return NULL;
	bloom = soft_code_bloom(lin);
	c->executed[bloom >> 6] |= UINT64_C(1) << (bloom & 63);
	/*
	 * A page of the high half that is not global dies with a CR3 write,
	 * but its generation does not.
	 */
	if (rip >> 63 &&
	    !cpu->meta[cpu->mmu][lin >> 12 & (SOFT_TLB_SIZE - 1)].global &&
	    (cpu->cr4 & X86_CR4_PGE))
		return b;
	j->rip = rip;
	j->gen = gen;
	j->block = b;
	*ret_lasting = true;
	return b;
}
