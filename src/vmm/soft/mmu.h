/*
 * Address translation of the software engine: page walks, TLB upkeep, and the
 * slow paths of memory access.
 *
 * Source: Intel SDM vol. 3, chapter 4.
 */
#ifndef VMM_SOFT_MMU_H
#define VMM_SOFT_MMU_H

#include "vmm/soft/cpu.h"

enum soft_access { SOFT_READ, SOFT_WRITE, SOFT_FETCH };

/*
 * Translate for an access; raises #PF, #GP, #SS. Enters the page in the TLB.
 * mmu says with whose rights.
 */
void soft_translate(struct soft_cpu *cpu, uint64_t lin, enum soft_access acc,
    enum soft_mmu mmu, struct soft_page *ret);
/* The same without raising or TLB: false if it would fault. For reports. */
bool
soft_translate_quiet(struct soft_cpu *cpu, uint64_t lin, struct soft_page *ret);

/*
 * Only walk: no TLB, nothing is raised. false: *ret_error is the #PF's. lin is
 * canonical.
 */
bool soft_walk(struct soft_cpu *cpu, uint64_t lin, enum soft_access acc,
    enum soft_mmu mmu, uint64_t *ret_pa, uint32_t *ret_error);

/* Everything; or everything but global pages (CR3 write). */
void soft_tlb_flush(struct soft_cpu *cpu, bool global_too);
void soft_tlb_invlpg(struct soft_cpu *cpu, uint64_t lin);
/* Stores to the page must take the slow path from now on. */
void soft_tlb_protect_page(struct soft_cpu *cpu, const uint8_t *host);
/* The same for all pages (dirty log). */
void soft_tlb_protect_all(struct soft_cpu *cpu);
void soft_tlb_init(struct soft_cpu *cpu);

static inline bool
soft_is_lapic(struct soft_cpu *cpu, uint64_t pa)
{
	return ((pa ^ lapic_base(cpu->lapic)) & UINT64_C(0xffffffffff000)) ==
	    0 &&
	    lapic_mmio_enabled(cpu->lapic);
}

/* CR0, CR3, CR4, EFER, CPL or AC changed: choose TLB and execution mode. */
void soft_mode_changed(struct soft_cpu *cpu);
/* A segment register was loaded: flat32. */
void soft_flat_changed(struct soft_cpu *cpu);
/* Load the PAE page-directory pointers from CR3; false: reserved bits set. */
bool soft_load_pdptes(struct soft_cpu *cpu, uint64_t cr3);

/*
 * System accesses with supervisor rights whatever CPL is: descriptor tables,
 * TSS, and the stacks of event delivery.
 */
uint64_t soft_sys_read(struct soft_cpu *cpu, uint64_t lin, unsigned size);
void soft_sys_write(
    struct soft_cpu *cpu, uint64_t lin, unsigned size, uint64_t value);
/* Fault now if the writes to come would. */
void soft_sys_probe_write(struct soft_cpu *cpu, uint64_t lin, unsigned size);

/* Copy between guest-physical memory and us; false: not RAM. */
bool soft_phys_write(
    struct soft_cpu *cpu, uint64_t pa, const void *src, unsigned size);

#endif
