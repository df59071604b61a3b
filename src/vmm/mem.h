/*
 * Guest memory: RAM as one memfd (MAP_NORESERVE), mapped below the PCI hole
 * and above 4 GiB, and ROM images.
 *
 * Guest RAM changes under our hands at any moment: copy once, check, use the
 * copy. Nothing here returns a structure that lies in guest memory.
 *
 * Threads: the map is built before the first vCPU runs and is constant after;
 * all functions below the "use" line may then be called from any thread.
 */
#ifndef VMM_MEM_H
#define VMM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/types.h"

#define MEM_MAX_REGIONS 16

struct vm_mem;

struct vm_mem_config {
	uint64_t size; /* bytes of RAM, a multiple of 1 MiB, >= 1 MiB */
	uint64_t page_size; /* 0 = ordinary pages, else 2 MiB or 1 GiB */
	bool wired; /* lock and populate at once */
	bool in_core; /* leave RAM in core dumps */
	bool overcommit; /* do not compare size with what the host has */
};

enum mem_kind { MEM_RAM, MEM_ROM };

struct mem_region {
	const char *name;
	gpa_t base;
	uint64_t size;
	uint8_t *host;
	enum mem_kind kind;
	int fd; /* memfd behind it, and where in it */
	uint64_t fd_offset;
	uint32_t slot; /* number for the engine */
};

/*
 * Refuses, before anything is allocated, what the host cannot give: more than
 * its available memory (unless overcommit) or cgroup limit, more hugepages than
 * are free.
 */
int vm_mem_create(
    const struct vm_mem_config *conf, struct vm_mem **ret, struct error *err);
void vm_mem_destroy(struct vm_mem *mem); /* NULL is allowed */
/* A read-only image of 'size' bytes (page multiple), first 'len' from data. */
int vm_mem_add_rom(struct vm_mem *mem, const char *name, gpa_t base,
    uint64_t size, const void *data, size_t len, struct error *err);

uint64_t vm_mem_size(const struct vm_mem *mem); /* RAM in all */
uint64_t vm_mem_low_size(const struct vm_mem *mem); /* RAM below 4 GiB */
uint64_t vm_mem_high_size(const struct vm_mem *mem); /* RAM above 4 GiB */
size_t vm_mem_regions(const struct vm_mem *mem, const struct mem_region **ret);

/* ---- use ---- */

/*
 * Host address of guest RAM [gpa, gpa+len): NULL unless the whole range lies in
 * one RAM region (len 0 is refused). A DMA target: ROM and holes yield NULL.
 */
void *vm_mem_ram(const struct vm_mem *mem, gpa_t gpa, uint64_t len);
/* Copy from RAM or ROM / to RAM; whole range or -EFAULT and nothing copied. */
int vm_mem_read(const struct vm_mem *mem, gpa_t gpa, void *dst, size_t len);
int vm_mem_write(struct vm_mem *mem, gpa_t gpa, const void *src, size_t len);
int vm_mem_zero(struct vm_mem *mem, gpa_t gpa, size_t len);

/*
 * An engine that keeps what it has read of RAM (decoded code) hears of the
 * VMM's own writes here: called after each vm_mem_dirty(), on the writer's
 * thread. Set before the first vCPU runs; one watcher, NULL = none.
 */
typedef void (*vm_mem_watch_fn)(void *arg, gpa_t gpa, uint64_t len);
void vm_mem_watch(struct vm_mem *mem, vm_mem_watch_fn fn, void *arg);

/*
 * Every write of the VMM to guest RAM that does not go through vm_mem_write()
 * or vm_mem_zero() is told here, after it was made.
 *
 * Dirty tracking of the VMM's own writes (device DMA). The engine tracks the
 * guest's. While off, vm_mem_dirty() costs one load.
 */
void vm_mem_dirty(struct vm_mem *mem, const void *host, uint64_t len);
int vm_mem_dirty_start(struct vm_mem *mem, struct error *err);
void vm_mem_dirty_stop(struct vm_mem *mem);
/* Take (and clear) the bitmap of a region: 1 bit a 4 KiB page, OR-ed in. */
void vm_mem_dirty_take(struct vm_mem *mem, uint32_t slot, uint64_t *bitmap);

#endif
