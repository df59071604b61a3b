/*
 * What the vCPUs of one VM share in the software engine.
 */
#ifndef VMM_SOFT_VM_H
#define VMM_SOFT_VM_H

#include <pthread.h>

#include "vmm/soft/cpu.h"

/* A memory region with what the engine keeps for each of its pages. */
struct soft_region {
	uint64_t base, size;
	uint8_t *host;
	bool rom;
	uint32_t slot;
	uint32_t first_page; /* number of its first page, over all regions */
	uint64_t *dirty; /* log, NULL while off; 1 bit a page */
};

struct engine_vcpu {
	struct soft_cpu cpu;
};

struct soft_vm {
	const struct engine_client *client;
	void *machine;
	struct vm_mem *mem;
	struct soft_region region[MEM_MAX_REGIONS];
	unsigned nregions;
	uint32_t npages;
	/*
	 * By page number: the page may be in some vCPU's TLB as writable since
	 * its code was last protected.
	 */
	_Atomic uint8_t *wmapped;
	bool strict_msr, exit_on_pause, x2apic_ids;
	_Atomic bool dirty_on;
	_Atomic uint64_t
	    dirty_epoch; /* how often write entries were recalled */
	_Atomic bool extint;
	bool lockstep; /* of a new vCPU: lockstep.h */
	_Atomic uint64_t dma; /* writes of devices to memory, so far */
	uint64_t tsc_hz;
	uint64_t tsc_base; /* host TSC when the VM was made: guest's 0 */

	pthread_mutex_t lock; /* cpus, route */
	unsigned max_cpus;
	_Atomic unsigned ncpus; /* highest id + 1 */
	struct soft_cpu *_Atomic *cpus; /* by id */
	_Atomic uint32_t lowest_next; /* lowest-priority round robin */
	/* The vCPU for which all others stand still, or NULL. */
	struct soft_cpu *_Atomic stopper;
	uint64_t route_addr[24];

	/* One thread for all LAPIC deadlines. */
	pthread_t timer_thread;
	pthread_mutex_t timer_lock;
	pthread_cond_t timer_cond;
	bool timer_stop, timer_started;
	uint64_t timer_next; /* what the thread sleeps for */
	uint64_t *deadline; /* by vCPU id, host TSC; UINT64_MAX = none */
};

/* region[] from vm->mem, engine.c */
void soft_vm_map_regions(struct soft_vm *vm);

/* NULL: not memory. */
static inline struct soft_region *
soft_region_of(struct soft_vm *vm, uint64_t pa)
{
	for (unsigned i = 0; i < vm->nregions; i++)
		if (pa - vm->region[i].base < vm->region[i].size)
			return &vm->region[i];
	return NULL;
}

static inline uint32_t
soft_page_no(const struct soft_region *r, uint64_t pa)
{
	return r->first_page + (uint32_t)((pa - r->base) >> 12);
}

/* Set request bits and wake the vCPU if it sleeps. Any thread. */
void soft_request(struct soft_cpu *cpu, uint32_t bits);
/* LAPIC's messages, MSIs. Returns how many LAPICs took it. */
unsigned soft_vm_message(
    struct soft_vm *vm, struct soft_cpu *from, const struct lapic_message *msg);
/*
 * All other vCPUs leave their blocks and wait until soft_vm_go_on(), which does
 * nothing without the former. May restart the running instruction: when another
 * vCPU was first, or to hear a request of its own.
 */
void soft_vm_stop_others(struct soft_cpu *cpu);
void soft_vm_go_on(struct soft_cpu *cpu);
/* SOFT_REQ_STOP was received: wait here. */
void soft_cpu_park(struct soft_cpu *cpu);
/* Sleep until a request arrives (HLT, waiting for SIPI). */
void soft_cpu_wait(struct soft_cpu *cpu);
void soft_vm_set_deadline(struct soft_vm *vm, unsigned id, uint64_t host_tsc);
int soft_vm_timer_start(struct soft_vm *vm);
void soft_vm_timer_stop(struct soft_vm *vm);

/* A thread that takes no signals. Returns 0 or a negative errno value. */
int soft_thread_create(pthread_t *thr, void *(*fn)(void *), void *arg);

/* Host TSC frequency; measured once. */
uint64_t soft_tsc_hz(void);

static inline uint64_t
soft_host_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

#endif
