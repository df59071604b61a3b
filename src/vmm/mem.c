/*
 * RAM is one memfd: other processes (vhost-user, a migration's helper) can map
 * it, and both engines see the same pages. Each region is mapped aligned so
 * that huge pages can back it, between guard pages.
 */
#include "vmm/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "vmm/memhost.h"
#include "vmm/memmap.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define MEM_MAX_RAM (UINT64_C(1) << 46) /* half of what a process can map */
#define MEM_ALIGN (2 * MiB)

/* What mmap gave, to give it back. */
struct reservation {
	void *base;
	size_t len;
};

struct vm_mem {
	size_t nregions;
	struct mem_region region[MEM_MAX_REGIONS];
	struct reservation held[MEM_MAX_REGIONS];
	int fd[MEM_MAX_REGIONS]; /* -1, or owned */
	uint64_t low, high;
	uint64_t page_size;
	atomic_bool tracking;
	vm_mem_watch_fn watch;
	void *watch_arg;
	_Atomic uint64_t *dirty[MEM_MAX_REGIONS];
};

static bool
range_in(uint64_t base, uint64_t size, uint64_t addr, uint64_t len)
{
	return addr >= base && addr - base <= size &&
	    len <= size - (addr - base);
}

static size_t
bitmap_words(uint64_t size)
{
	return (size_t)((size / PAGE_SIZE_4K + 63) / 64);
}

/* Reserve addresses with a guard on either side; returns the usable start. */
static uint8_t *
reserve(uint64_t size, uint64_t align, struct reservation *ret)
{
	size_t len = (size_t)(size + 2 * align);
	uint8_t *p;

	p = mmap(NULL, len, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	ret->base = p;
	ret->len = len;
	/* At least a page is left before it, and after it. */
	return (uint8_t *)ROUND_UP((uintptr_t)p + PAGE_SIZE_4K, align);
}

static int
map_region(struct vm_mem *mem, const struct mem_region *reg, struct error *err)
{
	const uint64_t align = MAX(MEM_ALIGN, mem->page_size);
	size_t n = mem->nregions;
	int flags = MAP_SHARED | MAP_FIXED;
	uint8_t *at;

	at = reserve(reg->size, align, &mem->held[n]);
	if (at == NULL)
		return error_sys(err, errno,
		    "no room to map %" PRIu64 " MiB of guest memory",
		    reg->size / MiB);
	mem->region[n] = *reg;
	mem->region[n].slot = (uint32_t)n;
	mem->nregions++;
	/* A huge page mapping without reserve would end in SIGBUS. */
	if (mem->page_size == 0 || reg->kind == MEM_ROM)
		flags |= MAP_NORESERVE;
	if (mmap(at, (size_t)reg->size, PROT_READ | PROT_WRITE, flags, reg->fd,
		(off_t)reg->fd_offset) == MAP_FAILED)
		return error_sys(err, errno,
		    "cannot map guest memory %s of %" PRIu64 " MiB", reg->name,
		    reg->size / MiB);
	mem->region[n].host = at;
	return 0;
}

static int
populate(const struct mem_region *reg, bool lock, struct error *err)
{
	if (madvise(reg->host, (size_t)reg->size, MADV_POPULATE_WRITE) != 0 &&
	    errno != EINVAL)
		return error_sys(err, errno,
		    "cannot allocate all of guest memory (%s, %" PRIu64 " MiB)",
		    reg->name, reg->size / MiB);
	if (lock && mlock(reg->host, (size_t)reg->size) != 0)
		return error_sys(err, errno,
		    "cannot wire %" PRIu64 " MiB of guest memory: raise "
		    "ulimit -l or give CAP_IPC_LOCK",
		    reg->size / MiB);
	return 0;
}

static int
config_check(const struct vm_mem_config *conf, struct error *err)
{
	const uint64_t page = conf->page_size;

	if (conf->size < MiB || conf->size % MiB != 0)
		return error_set(err, EINVAL,
		    "guest memory of %" PRIu64 " bytes is not a positive "
		    "number of MiB",
		    conf->size);
	if (conf->size > MEM_MAX_RAM)
		return error_set(err, EINVAL,
		    "guest memory of %" PRIu64 " MiB is above the limit of "
		    "%" PRIu64 " MiB",
		    conf->size / MiB, MEM_MAX_RAM / MiB);
	if (page != 0 && page != 2 * MiB && page != GiB)
		return error_set(err, EINVAL,
		    "page size %" PRIu64 " is neither 2 MiB nor 1 GiB", page);
	if (page != 0 && conf->size % page != 0)
		return error_set(err, EINVAL,
		    "guest memory of %" PRIu64 " MiB is not a multiple of the "
		    "page size, %" PRIu64 " MiB",
		    conf->size / MiB, page / MiB);
	return 0;
}

static int
open_ram(struct vm_mem *mem, uint64_t size, struct error *err)
{
	unsigned flags = 0;
	int fd;

	if (mem->page_size == 2 * MiB)
		flags = MFD_HUGETLB | MFD_HUGE_2MB;
	else if (mem->page_size == GiB)
		flags = MFD_HUGETLB | MFD_HUGE_1GB;
	fd = fd_memfd("guest-ram", (size_t)size, flags);
	if (fd < 0)
		return error_sys(err, -fd,
		    "cannot make a memfd of %" PRIu64 " MiB", size / MiB);
	mem->fd[0] = fd;
	return 0;
}

static int
map_ram(struct vm_mem *mem, const struct vm_mem_config *conf, struct error *err)
{
	struct mem_region reg = { .kind = MEM_RAM, .fd = mem->fd[0] };
	size_t i;
	int rc;

	reg.name = "low";
	reg.base = GPA(0);
	reg.size = mem->low;
	rc = map_region(mem, &reg, err);
	if (rc == 0 && mem->high != 0) {
		reg.name = "high";
		reg.base = GPA(MEMMAP_HIGH_RAM);
		reg.size = mem->high;
		reg.fd_offset = mem->low;
		rc = map_region(mem, &reg, err);
	}
	for (i = 0; rc == 0 && i < mem->nregions; i++) {
		if (!conf->in_core)
			madvise(mem->region[i].host,
			    (size_t)mem->region[i].size, MADV_DONTDUMP);
		if (conf->page_size == 0)
			madvise(mem->region[i].host,
			    (size_t)mem->region[i].size, MADV_HUGEPAGE);
		if (conf->wired || conf->page_size != 0)
			rc = populate(&mem->region[i], conf->wired, err);
	}
	return rc;
}

int
vm_mem_create(
    const struct vm_mem_config *conf, struct vm_mem **ret, struct error *err)
{
	struct mem_host host;
	struct vm_mem *mem;
	uint64_t low_end;
	size_t i;
	int rc;

	rc = config_check(conf, err);
	if (rc != 0)
		return rc;
	mem_host_read(&host, conf->page_size);
	rc = mem_host_check(&host, conf, err);
	if (rc != 0)
		return rc;
	mem = alloc_zero(1, sizeof(*mem));
	if (mem == NULL)
		return error_sys(err, ENOMEM, "guest memory");
	for (i = 0; i < MEM_MAX_REGIONS; i++)
		mem->fd[i] = -1;
	mem->page_size = conf->page_size;
	/* The high part starts in the file where the low one ends. */
	low_end =
	    ROUND_DOWN(MEMMAP_LOW_RAM_END, MAX(conf->page_size, PAGE_SIZE_4K));
	mem->low = MIN(conf->size, low_end);
	mem->high = conf->size - mem->low;
	rc = open_ram(mem, conf->size, err);
	if (rc == 0)
		rc = map_ram(mem, conf, err);
	if (rc != 0) {
		vm_mem_destroy(mem);
		return rc;
	}
	*ret = mem;
	return 0;
}

void
vm_mem_destroy(struct vm_mem *mem)
{
	size_t i;

	if (mem == NULL)
		return;
	for (i = 0; i < mem->nregions; i++)
		munmap(mem->held[i].base, mem->held[i].len);
	for (i = 0; i < MEM_MAX_REGIONS; i++) {
		fd_close(&mem->fd[i]);
		free(mem->dirty[i]);
	}
	free(mem);
}

static const struct mem_region *
find_overlap(const struct vm_mem *mem, uint64_t base, uint64_t size)
{
	const struct mem_region *reg;
	size_t i;

	for (i = 0; i < mem->nregions; i++) {
		reg = &mem->region[i];
		if (base < reg->base.v + reg->size && reg->base.v < base + size)
			return reg;
	}
	return NULL;
}

static int
rom_check(const struct vm_mem *mem, const char *name, gpa_t base, uint64_t size,
    size_t len, struct error *err)
{
	const struct mem_region *other;
	uint64_t end;

	if (size == 0 || size % PAGE_SIZE_4K != 0 || size > GiB ||
	    base.v % PAGE_SIZE_4K != 0 || len > size ||
	    __builtin_add_overflow(base.v, size, &end))
		return error_set(err, EINVAL,
		    "ROM %s: %zu bytes in a window of 0x%" PRIx64
		    " at 0x%" PRIx64 " do not fit (whole pages, at most 1 GiB)",
		    name, len, size, base.v);
	other = find_overlap(mem, base.v, size);
	if (other != NULL)
		return error_set(err, EEXIST,
		    "ROM %s at 0x%" PRIx64 "-0x%" PRIx64 " overlaps %s at "
		    "0x%" PRIx64 "-0x%" PRIx64,
		    name, base.v, end - 1, other->name, other->base.v,
		    other->base.v + other->size - 1);
	if (mem->nregions == MEM_MAX_REGIONS)
		return error_set(err, ENOSPC,
		    "ROM %s: there are %u memory regions already", name,
		    MEM_MAX_REGIONS);
	return 0;
}

int
vm_mem_add_rom(struct vm_mem *mem, const char *name, gpa_t base, uint64_t size,
    const void *data, size_t len, struct error *err)
{
	struct mem_region reg = {
		.name = name, .base = base, .size = size, .kind = MEM_ROM
	};
	size_t n = mem->nregions;
	int rc;

	rc = rom_check(mem, name, base, size, len, err);
	if (rc != 0)
		return rc;
	reg.fd = fd_memfd(name, (size_t)size, 0);
	if (reg.fd < 0)
		return error_sys(
		    err, -reg.fd, "ROM %s: cannot make a memfd", name);
	mem->fd[n] = reg.fd;
	rc = map_region(mem, &reg, err);
	if (rc == 0) {
		memcpy(mem->region[n].host, data, len);
		return 0;
	}
	if (mem->nregions > n) {
		munmap(mem->held[n].base, mem->held[n].len);
		mem->nregions = n;
	}
	fd_close(&mem->fd[n]);
	return rc;
}

uint64_t
vm_mem_size(const struct vm_mem *mem)
{
	return mem->low + mem->high;
}

uint64_t
vm_mem_low_size(const struct vm_mem *mem)
{
	return mem->low;
}

uint64_t
vm_mem_high_size(const struct vm_mem *mem)
{
	return mem->high;
}

size_t
vm_mem_regions(const struct vm_mem *mem, const struct mem_region **ret)
{
	*ret = mem->region;
	return mem->nregions;
}

void *
vm_mem_ram(const struct vm_mem *mem, gpa_t gpa, uint64_t len)
{
	if (len == 0)
		return NULL;
	if (range_in(0, mem->low, gpa.v, len))
		return mem->region[0].host + gpa.v;
	if (range_in(MEMMAP_HIGH_RAM, mem->high, gpa.v, len))
		return mem->region[1].host + (gpa.v - MEMMAP_HIGH_RAM);
	return NULL;
}

static const uint8_t *
find_readable(const struct vm_mem *mem, gpa_t gpa, uint64_t len)
{
	const struct mem_region *reg;
	size_t i;

	for (i = 0; i < mem->nregions; i++) {
		reg = &mem->region[i];
		if (range_in(reg->base.v, reg->size, gpa.v, len))
			return reg->host + (gpa.v - reg->base.v);
	}
	return NULL;
}

int
vm_mem_read(const struct vm_mem *mem, gpa_t gpa, void *dst, size_t len)
{
	const uint8_t *src;

	src = find_readable(mem, gpa, len);
	if (src == NULL)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

int
vm_mem_write(struct vm_mem *mem, gpa_t gpa, const void *src, size_t len)
{
	void *dst;

	dst = vm_mem_ram(mem, gpa, len);
	if (dst == NULL)
		return -EFAULT;
	memcpy(dst, src, len);
	vm_mem_dirty(mem, dst, len);
	return 0;
}

int
vm_mem_zero(struct vm_mem *mem, gpa_t gpa, size_t len)
{
	void *dst;

	dst = vm_mem_ram(mem, gpa, len);
	if (dst == NULL)
		return -EFAULT;
	memset(dst, 0, len);
	vm_mem_dirty(mem, dst, len);
	return 0;
}

static void
mark_pages(_Atomic uint64_t *bits, uint64_t first, uint64_t last)
{
	for (; first <= last; first++)
		atomic_fetch_or_explicit(&bits[first / 64],
		    UINT64_C(1) << (first % 64), memory_order_release);
}

void
vm_mem_dirty(struct vm_mem *mem, const void *host, uint64_t len)
{
	const struct mem_region *reg;
	uint64_t off;
	size_t i;

	bool tracking =
	    atomic_load_explicit(&mem->tracking, memory_order_acquire);

	if ((!tracking && mem->watch == NULL) || len == 0)
		return;
	for (i = 0; i < mem->nregions; i++) {
		reg = &mem->region[i];
		if (!range_in(
			(uintptr_t)reg->host, reg->size, (uintptr_t)host, len))
			continue;
		off = (uint64_t)((const uint8_t *)host - reg->host);
		if (tracking && mem->dirty[i] != NULL)
			mark_pages(mem->dirty[i], off / PAGE_SIZE_4K,
			    (off + len - 1) / PAGE_SIZE_4K);
		if (mem->watch != NULL)
			mem->watch(
			    mem->watch_arg, gpa_add(reg->base, off), len);
		return;
	}
}

void
vm_mem_watch(struct vm_mem *mem, vm_mem_watch_fn fn, void *arg)
{
	mem->watch_arg = arg;
	mem->watch = fn;
}

int
vm_mem_dirty_start(struct vm_mem *mem, struct error *err)
{
	size_t i, w, words;

	for (i = 0; i < mem->nregions; i++) {
		if (mem->region[i].kind != MEM_RAM)
			continue;
		words = bitmap_words(mem->region[i].size);
		/* Kept after a stop: a writer may still be inside. */
		if (mem->dirty[i] == NULL)
			mem->dirty[i] = alloc_zero(words, sizeof(uint64_t));
		if (mem->dirty[i] == NULL)
			return error_sys(err, ENOMEM, "dirty page bitmap");
		for (w = 0; w < words; w++)
			atomic_store_explicit(
			    &mem->dirty[i][w], 0, memory_order_relaxed);
	}
	atomic_store_explicit(&mem->tracking, true, memory_order_release);
	return 0;
}

void
vm_mem_dirty_stop(struct vm_mem *mem)
{
	atomic_store_explicit(&mem->tracking, false, memory_order_release);
}

void
vm_mem_dirty_take(struct vm_mem *mem, uint32_t slot, uint64_t *bitmap)
{
	size_t w, words;

	if (slot >= mem->nregions || mem->dirty[slot] == NULL)
		return;
	words = bitmap_words(mem->region[slot].size);
	for (w = 0; w < words; w++) {
		if (atomic_load_explicit(
			&mem->dirty[slot][w], memory_order_relaxed) == 0)
			continue;
		bitmap[w] |= atomic_exchange_explicit(
		    &mem->dirty[slot][w], 0, memory_order_acq_rel);
	}
}
