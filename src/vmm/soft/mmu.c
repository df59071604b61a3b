/*
 * Page walks and the TLB.
 *
 * One direct-mapped TLB for each kind of privilege, so that a hit needs no
 * permission check. A CR3 write must be cheap (Linux's text patching does
 * thousands): entries that are not global are listed when they are filled, and
 * the flush walks the list, so its cost was paid by the fills already.
 */
#include "vmm/soft/mmu.h"

#include "vmm/soft/code.h"
#include "vmm/soft/debug.h"
#include "vmm/soft/lockstep.h"
#include "vmm/soft/vm.h"

#define PTE_P UINT64_C(1)
#define PTE_W UINT64_C(2)
#define PTE_U UINT64_C(4)
#define PTE_A UINT64_C(0x20)
#define PTE_D UINT64_C(0x40)
#define PTE_PS UINT64_C(0x80)
#define PTE_G UINT64_C(0x100)
#define PTE_NX (UINT64_C(1) << 63)
#define PTE_ADDR UINT64_C(0x000ffffffffff000)

#define PF_P 1u
#define PF_W 2u
#define PF_U 4u
#define PF_RSVD 8u
#define PF_I 16u

struct walk {
	uint64_t pa; /* of the 4 KiB page */
	unsigned shift;
	bool global;
	bool dirty; /* D is set: writes need no walk */
	bool writable; /* by permissions */
	uint32_t error; /* of the #PF, when the walk fails */
};

static void *
host_of(struct soft_cpu *cpu, uint64_t pa, bool *ret_ram)
{
	struct soft_region *r = soft_region_of(cpu->vm, pa);

	if (r == NULL)
		return NULL;
	if (ret_ram)
		*ret_ram = !r->rom;
	if (unlikely(cpu->ls != NULL) && soft_is_shadow(cpu))
		return soft_lockstep_view(cpu, pa);
	return r->host + (pa - r->base);
}

/*
 * Set A (and D) in the table entry at pa. false: the entry changed under us,
 * walk again.
 */
static bool
set_bits(struct soft_cpu *cpu, uint64_t pa, void *p, bool wide, uint64_t old,
    uint64_t bits)
{
	uint32_t old32 = (uint32_t)old;
	bool ok;

	if ((old & bits) == bits)
		return true;
	if (unlikely(cpu->ls != NULL) && soft_lockstep_pte(cpu, pa, bits))
		return true;
	if (wide)
		ok = __atomic_compare_exchange_n((uint64_t *)p, &old,
		    old | bits, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	else
		ok = __atomic_compare_exchange_n((uint32_t *)p, &old32,
		    old32 | (uint32_t)bits, false, __ATOMIC_SEQ_CST,
		    __ATOMIC_SEQ_CST);
	/* A store like any other to those who log them. */
	if (ok)
		soft_code_written(cpu, pa, wide ? 8 : 4);
	return ok;
}

struct level {
	unsigned shift, bits;
};

/* clang-format off */
static const struct level levels_4[] = { { 39, 9 }, { 30, 9 }, { 21, 9 }, { 12, 9 } };
static const struct level levels_pae[] = { { 21, 9 }, { 12, 9 } };
static const struct level levels_32[] = { { 22, 10 }, { 12, 10 } };
/* clang-format on */

static uint64_t
reserved_bits(
    struct soft_cpu *cpu, bool wide, unsigned shift, bool leaf, uint64_t pte)
{
	uint64_t rsvd = cpu->maxphys_rsvd;

	if (!wide)
		return leaf && shift == 22 ? pte & UINT64_C(1) << 21 : 0;
	if (!(cpu->efer & X86_EFER_NX))
		rsvd |= PTE_NX;
	if (!soft_long(cpu))
		rsvd |= UINT64_C(0x7ff) << 52;
	if (leaf && shift > 12)
		rsvd |= ((UINT64_C(1) << shift) - 1) & ~UINT64_C(0x1fff);
	if (shift == 39)
		rsvd |= PTE_PS;
	return pte & rsvd;
}

/* May the access be made, given the permissions of all levels? */
static bool
permitted(struct soft_cpu *cpu, enum soft_access acc, enum soft_mmu mmu,
    bool user, bool write, bool nx)
{
	if (acc == SOFT_FETCH && nx)
		return false;
	if (mmu == SOFT_MMU_USER)
		return user && (acc != SOFT_WRITE || write);
	if (user && acc == SOFT_FETCH && (cpu->cr4 & X86_CR4_SMEP))
		return false;
	if (user && acc != SOFT_FETCH && (cpu->cr4 & X86_CR4_SMAP) &&
	    mmu != SOFT_MMU_KERNEL_AC)
		return false;
	return acc != SOFT_WRITE || write || !(cpu->cr0 & X86_CR0_WP);
}

/* One attempt; 1 = done, 0 = fault (ret->error), -1 = again. */
static int
walk_once(struct soft_cpu *cpu, uint64_t lin, enum soft_access acc,
    enum soft_mmu mmu, struct walk *ret)
{
	bool wide = cpu->cr4 & X86_CR4_PAE, user = true, write = true;
	bool nx = false, ram;
	const struct level *lv;
	unsigned n, i, shift;
	uint64_t table, pte, mask, set, at;
	void *p;

	ret->error = 0;
	if (soft_long(cpu)) {
		lv = levels_4;
		n = 4;
		table = cpu->cr3 & PTE_ADDR;
	} else if (wide) {
		lv = levels_pae;
		n = 2;
		pte = cpu->pdpte[lin >> 30 & 3];
		if (!(pte & PTE_P))
			return 0;
		table = pte & PTE_ADDR;
	} else {
		lv = levels_32;
		n = 2;
		table = cpu->cr3 & 0xfffff000;
	}
	for (i = 0;; i++) {
		shift = lv[i].shift;
		mask = (UINT64_C(1) << lv[i].bits) - 1;
		at = table + (lin >> shift & mask) * (wide ? 8 : 4);
		p = host_of(cpu, at, &ram);
		if (p == NULL)
			return 0;
		pte = wide ? __atomic_load_n((uint64_t *)p, __ATOMIC_RELAXED)
			   : __atomic_load_n((uint32_t *)p, __ATOMIC_RELAXED);
		if (!(pte & PTE_P))
			return 0;
		user = user && (pte & PTE_U);
		write = write && (pte & PTE_W);
		nx = nx || (wide && (pte & PTE_NX));
		if (i == n - 1 ||
		    ((pte & PTE_PS) && shift != 39 &&
			(wide || (cpu->cr4 & X86_CR4_PSE))))
			break;
		if (reserved_bits(cpu, wide, shift, false, pte)) {
			ret->error = PF_P | PF_RSVD;
			return 0;
		}
		if (ram && !set_bits(cpu, at, p, wide, pte, PTE_A))
			return -1;
		table = pte & PTE_ADDR;
	}
	ret->error = PF_P;
	if (reserved_bits(cpu, wide, shift, true, pte)) {
		ret->error |= PF_RSVD;
		return 0;
	}
	if (!permitted(cpu, acc, mmu, user, write, nx))
		return 0;
	set = PTE_A | (acc == SOFT_WRITE ? PTE_D : 0);
	if (ram && !set_bits(cpu, at, p, wide, pte, set))
		return -1;
	ret->shift = shift;
	ret->pa = pte & PTE_ADDR;
	if (!wide && shift == 22)
		ret->pa = (pte & 0xffc00000) | (pte & 0x1fe000) << 19;
	mask = (UINT64_C(1) << shift) - 1;
	ret->pa = ((ret->pa & ~mask) | (lin & mask)) & ~UINT64_C(0xfff);
	ret->global = (pte & PTE_G) && (cpu->cr4 & X86_CR4_PGE);
	ret->dirty = (pte | set) & PTE_D;
	ret->writable = permitted(cpu, SOFT_WRITE, mmu, user, write, nx);
	return 1;
}

static bool
walk(struct soft_cpu *cpu, uint64_t lin, enum soft_access acc,
    enum soft_mmu mmu, struct walk *ret)
{
	int r;

	if (!(cpu->cr0 & X86_CR0_PG)) {
		ret->pa = lin & 0xfffff000;
		ret->shift = 12;
		ret->global = false;
		ret->dirty = ret->writable = true;
		return true;
	}
	if (!soft_long(cpu))
		lin = (uint32_t)lin;
	do
		r = walk_once(cpu, lin, acc, mmu, ret);
	while (r < 0);
	if (r > 0)
		return true;
	if (acc == SOFT_WRITE)
		ret->error |= PF_W;
	if (mmu == SOFT_MMU_USER)
		ret->error |= PF_U;
	if (acc == SOFT_FETCH &&
	    ((cpu->cr4 & X86_CR4_SMEP) ||
		((cpu->efer & X86_EFER_NX) && (cpu->cr4 & X86_CR4_PAE))))
		ret->error |= PF_I;
	return false;
}

bool
soft_walk(struct soft_cpu *cpu, uint64_t lin, enum soft_access acc,
    enum soft_mmu mmu, uint64_t *ret_pa, uint32_t *ret_error)
{
	struct walk w;
	bool ok = walk(cpu, lin, acc, mmu, &w);

	*ret_pa = w.pa | (lin & 0xfff);
	*ret_error = w.error;
	return ok;
}

static void
list_nonglobal(struct soft_cpu *cpu, enum soft_mmu mmu, unsigned i)
{
	struct soft_tlb_meta *m = &cpu->meta[mmu][i];

	if (m->listed)
		return;
	m->listed = true;
	cpu->nonglobal[cpu->nonglobal_count++] =
	    (uint16_t)(mmu * SOFT_TLB_SIZE + i);
}

static void
clear_entry(struct soft_cpu *cpu, unsigned mmu, unsigned i)
{
	struct soft_tlb *e = &cpu->tlbs[mmu][i];

	e->r = e->w = e->x = cpu->meta[mmu][i].w = SOFT_TLB_NONE(i);
}

/*
 * The page is memory: enter it. A tag whose access was not asked for is set
 * only where no further check could fail or set a bit.
 */
static void
fill(struct soft_cpu *cpu, uint64_t lin, enum soft_access acc,
    enum soft_mmu mmu, const struct walk *w, uint8_t *host, bool ram)
{
	unsigned i = lin >> 12 & (SOFT_TLB_SIZE - 1);
	struct soft_tlb *e = &cpu->tlbs[mmu][i];
	struct soft_tlb_meta *m = &cpu->meta[mmu][i];
	uint64_t page = lin & ~UINT64_C(0xfff);

	if (e->host != host || (e->r != page && e->x != page) || m->pa != w->pa)
		clear_entry(cpu, mmu, i);
	e->host = host;
	m->pa = w->pa;
	m->shift = (uint8_t)w->shift;
	m->global = w->global && cpu->stepper == NULL;
	if (w->shift > 12)
		cpu->large_seen |= UINT64_C(1) << (lin >> 30 & 63);
	if (!m->global)
		list_nonglobal(cpu, mmu, i);
	if (acc == SOFT_FETCH) {
		e->x = page;
		return;
	}
	if (unlikely(cpu->data_bps) && soft_debug_in_page(cpu, page))
		return;
	e->r = page;
	if (!ram || !w->writable || !w->dirty)
		return;
	m->w = page;
	if (soft_code_write_needs_slow(cpu, w->pa, acc == SOFT_WRITE))
		e->w = SOFT_TLB_NONE(i);
	else
		e->w = page;
}

/*
 * STAC opens a view of its own for a few accesses. What it may do includes all
 * that the kernel's view without AC and the user's may: no walk then.
 */
static bool
borrow(struct soft_cpu *cpu, uint64_t lin, enum soft_access acc,
    struct soft_page *ret)
{
	static const uint8_t views[] = { SOFT_MMU_KERNEL, SOFT_MMU_USER };
	unsigned i = lin >> 12 & (SOFT_TLB_SIZE - 1);
	uint64_t page = lin & ~UINT64_C(0xfff);
	struct soft_tlb_meta *m = &cpu->meta[SOFT_MMU_KERNEL_AC][i];
	struct soft_tlb *e = &cpu->tlbs[SOFT_MMU_KERNEL_AC][i];
	bool listed = m->listed;

	for (unsigned k = 0; k < 2; k++) {
		const struct soft_tlb *from = &cpu->tlbs[views[k]][i];

		if ((acc == SOFT_WRITE ? from->w : from->r) != page)
			continue;
		*e = *from;
		e->x = SOFT_TLB_NONE(i);
		*m = cpu->meta[views[k]][i];
		m->listed = listed;
		if (!m->global)
			list_nonglobal(cpu, SOFT_MMU_KERNEL_AC, i);
		ret->pa = m->pa | (lin & 0xfff);
		ret->host = e->host + (lin & 0xfff);
		ret->writable = acc == SOFT_WRITE;
		ret->global = m->global;
		return true;
	}
	return false;
}

void
soft_translate(struct soft_cpu *cpu, uint64_t lin, enum soft_access acc,
    enum soft_mmu mmu, struct soft_page *ret)
{
	struct walk w;
	bool ram = false;
	uint8_t *host;

	if (soft_long(cpu)) {
		if (unlikely(!soft_canonical(lin)))
			soft_raise_error(cpu,
			    acc != SOFT_FETCH && cpu->mem_seg == X86_SS
				? X86_EXC_SS
				: X86_EXC_GP,
			    0);
	} else
		lin = (uint32_t)lin;
	if (unlikely(cpu->ls != NULL) && soft_is_shadow(cpu)) {
		soft_lockstep_translate(cpu, lin, acc, mmu, ret);
		return;
	}
	if (mmu == SOFT_MMU_KERNEL_AC && acc != SOFT_FETCH && !cpu->ls &&
	    borrow(cpu, lin, acc, ret))
		return;
	if (unlikely(!walk(cpu, lin, acc, mmu, &w))) {
		cpu->cr2 = lin;
		soft_raise_error(cpu, X86_EXC_PF, w.error);
	}
	host = host_of(cpu, w.pa, &ram);
	if (unlikely(soft_is_lapic(cpu, w.pa)))
		host = NULL;
	ret->pa = w.pa | (lin & 0xfff);
	ret->host = host ? host + (lin & 0xfff) : NULL;
	ret->writable = ram;
	ret->global = w.global;
	if (unlikely(cpu->ls != NULL) && host != NULL && ram &&
	    acc == SOFT_WRITE)
		soft_lockstep_store(cpu, w.pa);
	if (host != NULL)
		fill(cpu, lin, acc, mmu, &w, host, ram);
}

bool
soft_translate_quiet(struct soft_cpu *cpu, uint64_t lin, struct soft_page *ret)
{
	struct walk w;
	uint8_t *host;

	if (soft_long(cpu) ? !soft_canonical(lin) : lin >> 32)
		return false;
	if (!walk(cpu, lin, SOFT_READ, SOFT_MMU_KERNEL_AC, &w))
		return false;
	host = host_of(cpu, w.pa, NULL);
	if (host == NULL)
		return false;
	ret->pa = w.pa | (lin & 0xfff);
	ret->host = host + (lin & 0xfff);
	return true;
}

void
soft_tlb_flush(struct soft_cpu *cpu, bool global_too)
{
	struct soft_tlb_meta *m;
	unsigned id;

	cpu->xgen[0] += 16;
	if (global_too || !(cpu->cr4 & X86_CR4_PGE))
		cpu->xgen[1] += 16;
	if (global_too) {
		for (unsigned u = 0; u < SOFT_MMU_COUNT; u++)
			for (unsigned i = 0; i < SOFT_TLB_SIZE; i++) {
				clear_entry(cpu, u, i);
				cpu->meta[u][i].listed = false;
			}
		cpu->nonglobal_count = 0;
		cpu->large_seen = 0;
		return;
	}
	for (unsigned k = 0; k < cpu->nonglobal_count; k++) {
		id = cpu->nonglobal[k];
		m = &cpu->meta[id / SOFT_TLB_SIZE][id % SOFT_TLB_SIZE];
		m->listed = false;
		if (!m->global)
			clear_entry(
			    cpu, id / SOFT_TLB_SIZE, id % SOFT_TLB_SIZE);
	}
	cpu->nonglobal_count = 0;
}

static void
invalidate_large(struct soft_cpu *cpu, uint64_t lin)
{
	for (unsigned u = 0; u < SOFT_MMU_COUNT; u++)
		for (unsigned i = 0; i < SOFT_TLB_SIZE; i++) {
			struct soft_tlb *e = &cpu->tlbs[u][i];
			struct soft_tlb_meta *m = &cpu->meta[u][i];
			uint64_t none = SOFT_TLB_NONE(i);
			uint64_t page = e->r != none ? e->r : e->x;

			if (page != none && m->shift > 12 &&
			    (page ^ lin) >> m->shift == 0)
				clear_entry(cpu, u, i);
		}
}

void
soft_tlb_invlpg(struct soft_cpu *cpu, uint64_t lin)
{
	unsigned i = lin >> 12 & (SOFT_TLB_SIZE - 1);
	uint64_t page = lin & ~UINT64_C(0xfff);

	if (soft_code_page_executed(cpu, lin))
		cpu->xgen[lin >> 63] += 16;
	if (cpu->large_seen >> (lin >> 30 & 63) & 1) {
		cpu->xgen[lin >> 63] += 16;
		invalidate_large(cpu, lin);
	}
	for (unsigned u = 0; u < SOFT_MMU_COUNT; u++)
		if (cpu->tlbs[u][i].r == page || cpu->tlbs[u][i].x == page ||
		    cpu->meta[u][i].w == page)
			clear_entry(cpu, u, i);
}

void
soft_tlb_protect_page(struct soft_cpu *cpu, const uint8_t *host)
{
	for (unsigned u = 0; u < SOFT_MMU_COUNT; u++)
		for (unsigned i = 0; i < SOFT_TLB_SIZE; i++)
			if (cpu->tlbs[u][i].host == host)
				cpu->tlbs[u][i].w = SOFT_TLB_NONE(i);
}

void
soft_tlb_protect_all(struct soft_cpu *cpu)
{
	for (unsigned u = 0; u < SOFT_MMU_COUNT; u++)
		for (unsigned i = 0; i < SOFT_TLB_SIZE; i++)
			cpu->tlbs[u][i].w = SOFT_TLB_NONE(i);
}

void
soft_tlb_init(struct soft_cpu *cpu)
{
	for (unsigned i = 0; i < SOFT_TLB_SIZE; i++)
		cpu->no_tlb[i].r = cpu->no_tlb[i].w = cpu->no_tlb[i].x =
		    SOFT_TLB_NONE(i);
	cpu->xgen[0] = cpu->xgen[1] = 16;
	soft_tlb_flush(cpu, true);
}

/* Writable, expanding up, all of the address space. */
static bool
flat_data(const struct x86_seg *s)
{
	return s->base == 0 && s->limit == 0xffffffff &&
	    (s->attr & (X86_ATTR_UNUSABLE | X86_ATTR_S | 14)) ==
	    (X86_ATTR_S | 2);
}

/* flat32, and the mode in the low bits of the generations. */
static void
set_code_mode(struct soft_cpu *cpu)
{
	const struct x86_seg *s = cpu->seg;
	unsigned mode = cpu->mode == 8 ? 2 : cpu->mode == 4 ? 1 : 0;

	cpu->flat32 = cpu->mode == 4 && (cpu->cr0 & X86_CR0_PE) &&
	    s[X86_CS].base == 0 && s[X86_CS].limit == 0xffffffff &&
	    flat_data(&s[X86_DS]) && flat_data(&s[X86_ES]) &&
	    flat_data(&s[X86_SS]) && (s[X86_SS].attr & X86_ATTR_DB);
	if (cpu->flat32)
		mode = 3;
	mode |= cpu->cpl == 3 ? 4 : 0;
	mode |= soft_cs_tight(cpu) ? 8 : 0;
	cpu->xgen[0] = (cpu->xgen[0] & ~UINT64_C(15)) | mode;
	cpu->xgen[1] = (cpu->xgen[1] & ~UINT64_C(15)) | mode;
}

void
soft_flat_changed(struct soft_cpu *cpu)
{
	if (cpu->mode == 4)
		set_code_mode(cpu);
}

void
soft_mode_changed(struct soft_cpu *cpu)
{
	if (!(cpu->cr0 & X86_CR0_PE))
		cpu->cpl = 0;
	else if (cpu->rflags & X86_FL_VM)
		cpu->cpl = 3;
	if (cpu->cpl == 3)
		cpu->mmu = SOFT_MMU_USER;
	else if ((cpu->cr4 & X86_CR4_SMAP) && (cpu->rflags & X86_FL_AC))
		cpu->mmu = SOFT_MMU_KERNEL_AC;
	else
		cpu->mmu = SOFT_MMU_KERNEL;
	cpu->tlb = cpu->tlbs[cpu->mmu];
	cpu->access_checks &= ~SOFT_CHECK_ALIGN;
	if (unlikely((cpu->rflags & X86_FL_AC) && (cpu->cr0 & X86_CR0_AM) &&
		cpu->cpl == 3)) {
		cpu->access_checks |= SOFT_CHECK_ALIGN;
		cpu->tlb = cpu->no_tlb;
	}
	if (soft_long(cpu) && (cpu->seg[X86_CS].attr & X86_ATTR_L))
		cpu->mode = 8;
	else
		cpu->mode = cpu->seg[X86_CS].attr & X86_ATTR_DB ? 4 : 2;
	/* What was found to lie within the limit does not any more. */
	if (cpu->mode != 8 && cpu->seg[X86_CS].limit != cpu->code_limit) {
		cpu->code_limit = cpu->seg[X86_CS].limit;
		cpu->xgen[0] += 16;
		cpu->xgen[1] += 16;
	}
	set_code_mode(cpu);
	for (unsigned i = 0; i < X86_SEG_COUNT; i++)
		cpu->segbase[i] = cpu->mode == 8 && i != X86_FS && i != X86_GS
		    ? 0
		    : cpu->seg[i].base;
}

bool
soft_load_pdptes(struct soft_cpu *cpu, uint64_t cr3)
{
	uint64_t pdpte[4], *p = host_of(cpu, cr3 & 0xffffffe0, NULL);

	if (p == NULL)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		pdpte[i] = __atomic_load_n(&p[i], __ATOMIC_RELAXED);
		if ((pdpte[i] & PTE_P) &&
		    (pdpte[i] & (cpu->maxphys_rsvd | PTE_NX | 0x1e6)))
			return false;
	}
	memcpy(cpu->pdpte, pdpte, sizeof(pdpte));
	return true;
}

bool
soft_phys_write(
    struct soft_cpu *cpu, uint64_t pa, const void *src, unsigned size)
{
	struct soft_region *r = soft_region_of(cpu->vm, pa);

	if (r == NULL || r->rom || size > r->size - (pa - r->base))
		return false;
	memcpy(r->host + (pa - r->base), src, size);
	soft_code_written(cpu, pa, size);
	return true;
}
