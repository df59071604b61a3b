/*
 * What the host can still give, read before any guest memory is allocated.
 * Private to vmm.
 */
#ifndef VMM_MEMHOST_H
#define VMM_MEMHOST_H

#include <stdint.h>

#include "base/error.h"
#include "vmm/mem.h"

/* Bytes; UINT64_MAX = no limit, or not known. */
struct mem_host {
	uint64_t available; /* MemAvailable + SwapFree of proc(5) meminfo */
	uint64_t swap; /* SwapFree */
	uint64_t cgroup; /* the lowest memory + swap limit above us */
	uint64_t address_space; /* RLIMIT_AS less what is mapped now */
	uint64_t hugepages; /* free and unreserved, of the page size asked */
};

/* What cannot be read (no procfs in a sandbox) stays unknown. */
void mem_host_read(struct mem_host *ret, uint64_t page_size);
/* 0, or -ENOMEM with what is short and what to do. */
int mem_host_check(const struct mem_host *host,
    const struct vm_mem_config *conf, struct error *err);

#endif
