/*
 * Memory access beyond the TLB's fast path: page crossing, MMIO, ROM, stores
 * to pages with code or in need of a dirty mark.
 */
#include "vmm/soft/code.h"
#include "vmm/soft/debug.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/lockstep.h"
#include "vmm/soft/mmu.h"
#include "vmm/soft/step.h"
#include "vmm/soft/vm.h"

/* Outside memory: at most 8 bytes, a power of two, in one go. */
static uint64_t
device_read1(struct soft_cpu *cpu, uint64_t pa, unsigned size)
{
	const struct engine_client *c = cpu->vm->client;
	uint64_t v;

	if (unlikely(cpu->ls != NULL) &&
	    soft_lockstep_replay(cpu, pa, size, false, &v))
		return v;
	if (soft_is_lapic(cpu, pa)) {
		v = cpu->stepper != NULL
		    ? soft_step_apic_read(cpu, pa & 0xff0)
		    : lapic_mmio_read(cpu->lapic, pa & 0xff0);
		v >>= 8 * (pa & 15 & 7);
	} else {
		soft_fp_sync(cpu);
		v = c->mmio_read(cpu->vm->machine, GPA(pa), size);
	}
	if (unlikely(cpu->ls != NULL))
		soft_lockstep_io(cpu, pa, size, false, v);
	return v;
}

static void
device_write1(struct soft_cpu *cpu, uint64_t pa, unsigned size, uint64_t v)
{
	const struct engine_client *c = cpu->vm->client;

	if (unlikely(cpu->ls != NULL)) {
		if (soft_lockstep_replay(cpu, pa, size, true, &v))
			return;
		soft_lockstep_io(cpu, pa, size, true, v);
	}
	if (soft_is_lapic(cpu, pa)) {
		if (cpu->stepper != NULL)
			soft_fail(cpu, "a write to the local APIC's page");
		if ((pa & 3) == 0)
			lapic_mmio_write(cpu->lapic, pa & 0xfff, (uint32_t)v);
		return;
	}
	soft_fp_sync(cpu);
	c->mmio_write(cpu->vm->machine, GPA(pa), size, v);
}

/* Largest naturally aligned piece. */
static unsigned
piece(uint64_t pa, unsigned left)
{
	unsigned n = 8;

	while (n > left || (pa & (n - 1)))
		n /= 2;
	return n;
}

static void
page_read(struct soft_cpu *cpu, const struct soft_page *pg, uint8_t *dst,
    unsigned size)
{
	uint64_t pa = pg->pa, v;
	unsigned n;

	if (pg->host) {
		memcpy(dst, pg->host, size);
		return;
	}
	while (size > 0) {
		n = piece(pa, size);
		v = device_read1(cpu, pa, n);
		memcpy(dst, &v, n);
		dst += n;
		pa += n;
		size -= n;
	}
}

static void
page_write(struct soft_cpu *cpu, const struct soft_page *pg, const uint8_t *src,
    unsigned size)
{
	uint64_t pa = pg->pa, v;
	unsigned n;

	if (pg->host && pg->writable) {
		memcpy(pg->host, src, size);
		soft_code_written(cpu, pa, size);
		return;
	}
	while (size > 0) {
		n = piece(pa, size);
		v = 0;
		memcpy(&v, src, n);
		device_write1(cpu, pa, n, v);
		src += n;
		pa += n;
		size -= n;
	}
}

/*
 * Translate a range of at most 4 KiB: one page, or two. Returns the bytes in
 * the first. A second page beyond the canonical range comes first.
 */
static unsigned
translate2(struct soft_cpu *cpu, uint64_t lin, unsigned size,
    enum soft_access acc, enum soft_mmu mmu, struct soft_page pg[2])
{
	unsigned first = 4096 - (lin & 0xfff);

	if (unlikely(first < size && lin + first == UINT64_C(1) << 47))
		soft_translate(cpu, lin + first, acc, mmu, &pg[1]);
	soft_translate(cpu, lin, acc, mmu, &pg[0]);
	if (first >= size)
		return size;
	soft_translate(cpu, lin + first, acc, mmu, &pg[1]);
	return first;
}

static void
read_as(struct soft_cpu *cpu, uint64_t lin, void *dst, unsigned size,
    enum soft_mmu mmu)
{
	struct soft_page pg[2];
	unsigned first = translate2(cpu, lin, size, SOFT_READ, mmu, pg);

	page_read(cpu, &pg[0], dst, first);
	if (first < size)
		page_read(cpu, &pg[1], (uint8_t *)dst + first, size - first);
}

static void
write_as(struct soft_cpu *cpu, uint64_t lin, const void *src, unsigned size,
    enum soft_mmu mmu)
{
	struct soft_page pg[2];
	unsigned first = translate2(cpu, lin, size, SOFT_WRITE, mmu, pg);

	page_write(cpu, &pg[0], src, first);
	if (first < size)
		page_write(
		    cpu, &pg[1], (const uint8_t *)src + first, size - first);
}

/* What comes before an access by the program that has no TLB tag. */
static inline void
check(struct soft_cpu *cpu, uint64_t lin, unsigned size, bool write)
{
	if (unlikely(cpu->access_checks))
		soft_debug_access(cpu, lin, size, write);
}

void
soft_read(struct soft_cpu *cpu, uint64_t lin, void *dst, unsigned size)
{
	const void *p = soft_host_read(cpu, lin, size);

	if (likely(p)) {
		memcpy(dst, p, size);
		return;
	}
	check(cpu, lin, size, false);
	read_as(cpu, lin, dst, size, (enum soft_mmu)cpu->mmu);
}

void
soft_write(struct soft_cpu *cpu, uint64_t lin, const void *src, unsigned size)
{
	void *p = soft_host_write(cpu, lin, size);

	if (likely(p)) {
		memcpy(p, src, size);
		return;
	}
	check(cpu, lin, size, true);
	write_as(cpu, lin, src, size, (enum soft_mmu)cpu->mmu);
}

/* Aligned accesses must stay single: other vCPUs watch. */
static uint64_t
load_sized(const void *p, unsigned size)
{
	switch (size) {
	case 1:
		return *(const volatile soft_mem8 *)p;
	case 2:
		return *(const volatile soft_mem16 *)p;
	case 4:
		return *(const volatile soft_mem32 *)p;
	default:
		return *(const volatile soft_mem64 *)p;
	}
}

static void
store_sized(void *p, unsigned size, uint64_t v)
{
	switch (size) {
	case 1:
		*(volatile soft_mem8 *)p = (uint8_t)v;
		break;
	case 2:
		*(volatile soft_mem16 *)p = (uint16_t)v;
		break;
	case 4:
		*(volatile soft_mem32 *)p = (uint32_t)v;
		break;
	default:
		*(volatile soft_mem64 *)p = v;
		break;
	}
}

static uint64_t
read_slow_as(
    struct soft_cpu *cpu, uint64_t lin, unsigned size, enum soft_mmu mmu)
{
	struct soft_page pg;
	uint64_t v = 0;

	if (unlikely((lin & 0xfff) + size > 4096)) {
		read_as(cpu, lin, &v, size, mmu);
		return v;
	}
	soft_translate(cpu, lin, SOFT_READ, mmu, &pg);
	if (likely(pg.host))
		return load_sized(pg.host, size);
	page_read(cpu, &pg, (uint8_t *)&v, size);
	return v;
}

uint64_t
soft_read_slow(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	check(cpu, lin, size, false);
	return read_slow_as(cpu, lin, size, (enum soft_mmu)cpu->mmu);
}

static void
write_slow_as(struct soft_cpu *cpu, uint64_t lin, unsigned size, uint64_t v,
    enum soft_mmu mmu)
{
	unsigned i = lin >> 12 & (SOFT_TLB_SIZE - 1);
	struct soft_tlb_meta *m = &cpu->meta[mmu][i];
	struct soft_page pg;

	/* The translation is known, but there is or was code, or the log. */
	if ((lin ^ m->w) <= 4096 - size) {
		pg.pa = m->pa | (lin & 0xfff);
		if (unlikely(cpu->ls != NULL))
			soft_lockstep_store(cpu, pg.pa);
		store_sized(cpu->tlbs[mmu][i].host + (lin & 0xfff), size, v);
		soft_code_written(cpu, pg.pa, size);
		if (!soft_code_write_needs_slow(cpu, pg.pa, true))
			cpu->tlbs[mmu][i].w = m->w;
		return;
	}
	if (unlikely((lin & 0xfff) + size > 4096)) {
		write_as(cpu, lin, &v, size, mmu);
		return;
	}
	soft_translate(cpu, lin, SOFT_WRITE, mmu, &pg);
	if (likely(pg.host && pg.writable)) {
		store_sized(pg.host, size, v);
		soft_code_written(cpu, pg.pa, size);
	} else
		page_write(cpu, &pg, (const uint8_t *)&v, size);
}

void
soft_write_slow(
    struct soft_cpu *cpu, uint64_t lin, unsigned size, uint64_t value)
{
	check(cpu, lin, size, true);
	write_slow_as(cpu, lin, size, value, (enum soft_mmu)cpu->mmu);
}

static void
probe(struct soft_cpu *cpu, uint64_t lin, unsigned size, enum soft_access acc,
    enum soft_mmu mmu)
{
	struct soft_page pg[2];

	translate2(cpu, lin, size, acc, mmu, pg);
}

void
soft_probe_write(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	if (soft_host_write(cpu, lin, size))
		return;
	check(cpu, lin, size, true);
	probe(cpu, lin, size, SOFT_WRITE, (enum soft_mmu)cpu->mmu);
}

void
soft_probe_read(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	if (soft_host_read(cpu, lin, size))
		return;
	check(cpu, lin, size, false);
	probe(cpu, lin, size, SOFT_READ, (enum soft_mmu)cpu->mmu);
}

/* Work on a copy. */
static void *
bounce(struct soft_cpu *cpu, unsigned size, unsigned first)
{
	const struct soft_page *pg = cpu->rmw_page;

	page_read(cpu, &pg[0], cpu->rmw_bounce, first);
	if (first < size)
		page_read(cpu, &pg[1], cpu->rmw_bounce + first, size - first);
	cpu->rmw_first = first;
	cpu->rmw_size = size;
	return cpu->rmw_bounce;
}

static unsigned
rmw_translate(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	check(cpu, lin, size, true);
	return translate2(
	    cpu, lin, size, SOFT_WRITE, (enum soft_mmu)cpu->mmu, cpu->rmw_page);
}

void *
soft_rmw_begin(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	void *p = soft_host_write(cpu, lin, size);
	unsigned first;

	cpu->rmw_size = 0;
	if (likely(p))
		return p;
	first = rmw_translate(cpu, lin, size);
	if (first == size && cpu->rmw_page[0].host &&
	    cpu->rmw_page[0].writable) {
		cpu->rmw_size = size;
		return cpu->rmw_page[0].host;
	}
	return bounce(cpu, size, first);
}

/*
 * The host's LOCK would do for two lines of one page, but it stops the host's
 * other CPUs, and some hosts punish or kill processes for it.
 */
void *
soft_lock_begin(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	unsigned first;

	/* A stepper can't stop the others: they are not of this engine. */
	if (likely((lin & 63) + size <= 64) || cpu->stepper != NULL)
		return soft_rmw_begin(cpu, lin, size);
	cpu->rmw_size = 0;
	first = rmw_translate(cpu, lin, size);
	if (cpu->rmw_page[0].host && (first == size || cpu->rmw_page[1].host))
		soft_vm_stop_others(cpu);
	return bounce(cpu, size, first);
}

void
soft_rmw_end(struct soft_cpu *cpu, void *p)
{
	const struct soft_page *pg = cpu->rmw_page;
	unsigned size = cpu->rmw_size, first = cpu->rmw_first;

	if (likely(size == 0))
		return;
	cpu->rmw_size = 0;
	if (p != cpu->rmw_bounce) {
		soft_code_written(cpu, pg[0].pa, size);
		return;
	}
	page_write(cpu, &pg[0], cpu->rmw_bounce, first);
	if (first < size)
		page_write(cpu, &pg[1], cpu->rmw_bounce + first, size - first);
	soft_vm_go_on(cpu);
}

/*
 * Implicit accesses have the supervisor's rights, without what AC allows
 * (Intel SDM vol. 3, 4.6.1).
 */
#define SYSTEM_MMU SOFT_MMU_KERNEL

uint64_t
soft_sys_read(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	cpu->mem_seg = X86_DS;
	return read_slow_as(cpu, lin, size, SYSTEM_MMU);
}

void
soft_sys_write(
    struct soft_cpu *cpu, uint64_t lin, unsigned size, uint64_t value)
{
	write_slow_as(cpu, lin, size, value, SYSTEM_MMU);
}

void
soft_sys_probe_write(struct soft_cpu *cpu, uint64_t lin, unsigned size)
{
	probe(cpu, lin, size, SOFT_WRITE, SYSTEM_MMU);
}
