/*
 * Lock-step: memory of the two. Pages that the subject stores to in a unit are
 * kept as they were, and once more for the shadow to change; what devices
 * answered is kept for the shadow too.
 */
#include <errno.h>
#include <sys/mman.h>

#include "vmm/soft/lockstep.h"
#include "vmm/soft/vm.h"

#define PAGE UINT64_C(4096)

static uint8_t *
map_pages(void)
{
	void *p = mmap(NULL, LOCKSTEP_PAGES * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int
lockstep_mem_create(struct soft_lockstep *ls)
{
	ls->before = map_pages();
	ls->copy = map_pages();
	return ls->before == NULL || ls->copy == NULL ? -ENOMEM : 0;
}

void
lockstep_mem_destroy(struct soft_lockstep *ls)
{
	if (ls->before != NULL)
		munmap(ls->before, LOCKSTEP_PAGES * PAGE);
	if (ls->copy != NULL)
		munmap(ls->copy, LOCKSTEP_PAGES * PAGE);
}

/* ---- pages ---- */

static uint16_t *
slot(struct soft_lockstep *ls, uint64_t page)
{
	unsigned h =
	    (unsigned)((page >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 52);

	while (ls->hash[h] != 0 && ls->page[ls->hash[h] - 1] != page)
		h = (h + 1) & (LOCKSTEP_HASH - 1);
	return &ls->hash[h];
}

uint8_t *
lockstep_guest(struct soft_lockstep *ls, uint64_t pa)
{
	struct soft_region *r = soft_region_of(ls->a->vm, pa);

	return r == NULL ? NULL : r->host + (pa - r->base);
}

void
lockstep_mem_begin(struct soft_lockstep *ls)
{
	if (ls->npages > 0)
		memset(ls->hash, 0, sizeof(ls->hash));
	ls->npages = 0;
	ls->nptes = 0;
	ls->crowded = false;
	/* The next store to each page is told again. */
	soft_tlb_protect_all(ls->a);
}

static uint16_t
keep_page(struct soft_lockstep *ls, uint64_t page)
{
	uint16_t *s = slot(ls, page);

	if (*s != 0)
		return *s;
	if (ls->npages == LOCKSTEP_PAGES) {
		ls->crowded = true;
		return 0;
	}
	if (ls->npages >= LOCKSTEP_PAGES_SOFT)
		atomic_fetch_or(&ls->a->request, SOFT_REQ_WATCH);
	memcpy(ls->before + ls->npages * PAGE, lockstep_guest(ls, page), PAGE);
	memcpy(
	    ls->copy + ls->npages * PAGE, ls->before + ls->npages * PAGE, PAGE);
	ls->page[ls->npages++] = page;
	*s = (uint16_t)ls->npages;
	return *s;
}

void
soft_lockstep_store(struct soft_cpu *cpu, uint64_t pa)
{
	if (cpu->ls->active)
		keep_page(cpu->ls, pa & ~(PAGE - 1));
}

bool
soft_lockstep_told(const struct soft_cpu *cpu, uint64_t pa)
{
	return cpu->ls->active && *slot(cpu->ls, pa & ~(PAGE - 1)) != 0;
}

void *
soft_lockstep_view(struct soft_cpu *cpu, uint64_t pa)
{
	struct soft_lockstep *ls = cpu->ls;
	uint64_t page = pa & ~(PAGE - 1);
	uint16_t i = *slot(ls, page);
	uint8_t *p =
	    i != 0 ? ls->copy + (i - 1u) * PAGE : lockstep_guest(ls, page);

	return p == NULL ? NULL : p + (pa - page);
}

bool
lockstep_mem_differs(struct soft_lockstep *ls, uint64_t *ret_pa)
{
	const uint8_t *a, *b;

	for (unsigned i = 0; i < ls->nptes; i++) {
		uint16_t k = *slot(ls, ls->pte[i].pa & ~(PAGE - 1));
		uint32_t *e;

		/* The subject may have walked where the shadow has not. */
		if (k == 0)
			continue;
		e = (uint32_t *)(ls->copy + (k - 1u) * PAGE +
		    (ls->pte[i].pa & (PAGE - 1)));
		a = lockstep_guest(ls, ls->pte[i].pa & ~(PAGE - 1)) +
		    (ls->pte[i].pa & (PAGE - 1));
		*e |= *(const uint32_t *)a & (uint32_t)ls->pte[i].bits;
	}
	for (unsigned i = 0; i < ls->npages; i++) {
		a = lockstep_guest(ls, ls->page[i]);
		b = ls->copy + i * PAGE;
		if (memcmp(a, b, PAGE) == 0)
			continue;
		for (unsigned k = 0; k < PAGE; k++)
			if (a[k] != b[k]) {
				*ret_pa = ls->page[i] + k;
				return true;
			}
	}
	return false;
}

void
lockstep_mem_rollback(struct soft_lockstep *ls)
{
	for (unsigned i = 0; i < ls->npages; i++) {
		memcpy(lockstep_guest(ls, ls->page[i]), ls->before + i * PAGE,
		    PAGE);
		soft_code_written(ls->a, ls->page[i], PAGE);
	}
	lockstep_mem_begin(ls);
}

static void
shadow_pte(struct soft_lockstep *ls, uint64_t pa, uint64_t bits)
{
	uint16_t k = *slot(ls, pa & ~(PAGE - 1));
	uint64_t set = 0;

	for (unsigned i = 0; i < ls->nptes; i++)
		if (ls->pte[i].pa == pa)
			set |= ls->pte[i].bits;
	if (k != 0) /* they are in the low half */
		*(uint32_t *)(ls->copy + (k - 1u) * PAGE + (pa & (PAGE - 1))) |=
		    (uint32_t)(set & bits);
}

bool
soft_lockstep_pte(struct soft_cpu *cpu, uint64_t pa, uint64_t bits)
{
	struct soft_lockstep *ls = cpu->ls;

	if (soft_is_shadow(cpu)) {
		shadow_pte(ls, pa, bits);
		return true;
	}
	if (!ls->active)
		return false;
	atomic_fetch_or(&ls->a->request, SOFT_REQ_WATCH);
	keep_page(ls, pa & ~(PAGE - 1));
	if (ls->nptes == LOCKSTEP_PTES)
		ls->crowded = true;
	else
		ls->pte[ls->nptes++] = (struct lockstep_pte){ pa, bits };
	return false;
}

/* ---- the shadow's translations ---- */

static bool
subject_has(struct soft_lockstep *ls, uint64_t lin, enum soft_access acc,
    enum soft_mmu mmu, uint64_t *ret_pa)
{
	unsigned i = lin >> 12 & (SOFT_TLB_SIZE - 1);
	const struct soft_tlb *e = &ls->a->tlbs[mmu][i];
	const struct soft_tlb_meta *m = &ls->a->meta[mmu][i];
	uint64_t off = lin ^
	    (acc == SOFT_READ           ? e->r
		    : acc == SOFT_WRITE ? m->w
					: e->x);

	*ret_pa = m->pa | off;
	return off < PAGE;
}

void
soft_lockstep_translate(struct soft_cpu *cpu, uint64_t lin,
    enum soft_access acc, enum soft_mmu mmu, struct soft_page *ret)
{
	struct soft_lockstep *ls = cpu->ls;
	struct soft_region *r;
	uint32_t error = 0;

	/* For the bits that it sets, when the subject's walks did. */
	if (ls->nptes > 0)
		soft_walk(cpu, lin, acc, mmu, &ret->pa, &error);
	if (!subject_has(ls, lin, acc, mmu, &ret->pa) &&
	    !soft_walk(cpu, lin, acc, mmu, &ret->pa, &error)) {
		cpu->cr2 = lin;
		soft_raise_error(cpu, X86_EXC_PF, error);
	}
	ret->global = false;
	ret->host = NULL;
	ret->writable = false;
	r = soft_region_of(cpu->vm, ret->pa);
	if (r == NULL || soft_is_lapic(cpu, ret->pa))
		return;
	ret->writable = !r->rom;
	if (ret->writable && acc == SOFT_WRITE &&
	    keep_page(ls, ret->pa & ~(PAGE - 1)) == 0)
		soft_fail(cpu, "lock-step: too many pages");
	ret->host = soft_lockstep_view(cpu, ret->pa);
}

/* ---- devices ---- */

void
soft_lockstep_io(
    struct soft_cpu *cpu, uint64_t pa, unsigned size, bool write, uint64_t v)
{
	struct soft_lockstep *ls = cpu->ls;

	if (!ls->active)
		return;
	ls->stats.mmio++;
	/* Flash: what others read there changes in the middle of the unit. */
	if (write && soft_region_of(cpu->vm, pa) != NULL)
		ls->flash = true;
	if (ls->nio == LOCKSTEP_IO) {
		ls->crowded = true;
		return;
	}
	if (ls->nio >= LOCKSTEP_IO / 2)
		atomic_fetch_or(&ls->a->request, SOFT_REQ_WATCH);
	ls->io[ls->nio++] = (struct lockstep_io){
		.pa = pa, .value = v, .size = (uint8_t)size, .write = write
	};
}

bool
soft_lockstep_replay(
    struct soft_cpu *cpu, uint64_t pa, unsigned size, bool write, uint64_t *v)
{
	struct soft_lockstep *ls = cpu->ls;
	unsigned *next;
	const struct lockstep_io *io;

	if (soft_is_shadow(cpu))
		next = &ls->next_io;
	else if (ls->again)
		next = &ls->next_again;
	else
		return false;
	io = &ls->io[*next];
	if (*next >= ls->nio || io->pa != pa || io->size != size ||
	    io->write != write || (write && io->value != *v)) {
		if (soft_is_shadow(cpu))
			ls->shadow_error = "access to a device";
		soft_fail(cpu, "lock-step: access to a device differs");
	}
	(*next)++;
	*v = io->value;
	return true;
}
