/*
 * The engine table of the software engine.
 */
#include "vmm/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/soft/exec.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/mmu.h"
#include "vmm/soft/run.h"
#include "vmm/soft/vm.h"

struct engine_vm {
	struct soft_vm vm;
};

/* ---- TSC ---- */

static uint64_t
monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t
measure_tsc(void)
{
	uint64_t t0 = monotonic_ns(), c0 = soft_host_tsc(), t1, c1;

	do
		t1 = monotonic_ns();
	while (t1 - t0 < 20000000);
	c1 = soft_host_tsc();
	return (
	    uint64_t)((unsigned __int128)(c1 - c0) * 1000000000u / (t1 - t0));
}

uint64_t
soft_tsc_hz(void)
{
	static _Atomic uint64_t cached;
	uint64_t hz = atomic_load(&cached);

	if (hz == 0) {
		/* whole MHz, as in CPUID 15h */
		hz = (measure_tsc() + 500000) / 1000000 * 1000000;
		atomic_store(&cached, hz);
	}
	return hz;
}

static int
soft_probe(struct error *err)
{
	/* The interpreter borrows the host's integer instructions. */
	if (!__builtin_cpu_supports("sse4.2") ||
	    !__builtin_cpu_supports("popcnt"))
		return error_set(err, ENOTSUP,
		    "the software engine needs a CPU with SSE4.2 and POPCNT");
	return 0;
}

static int
soft_cpuid_supported(
    struct cpuid_table *ret, uint64_t *ret_tsc_hz, struct error *err)
{
	uint64_t hz = soft_tsc_hz();

	soft_cpuid_model(ret, hz);
	*ret_tsc_hz = hz;
	return 0;
}

/* ---- VM ---- */

void
soft_vm_map_regions(struct soft_vm *vm)
{
	const struct mem_region *r;
	size_t n = vm_mem_regions(vm->mem, &r);
	uint32_t page = 0;

	for (size_t i = 0; i < n; i++) {
		vm->region[i] = (struct soft_region){
			.base = r[i].base.v,
			.size = r[i].size,
			.host = r[i].host,
			.rom = r[i].kind == MEM_ROM,
			.slot = r[i].slot,
			.first_page = page,
		};
		page += (uint32_t)((r[i].size + 4095) >> 12);
	}
	vm->nregions = (unsigned)n;
	vm->npages = page;
}

/* Threads of the engine take no signals. */
int
soft_thread_create(pthread_t *thr, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(thr, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

static void
soft_vm_destroy(struct engine_vm *evm)
{
	struct soft_vm *vm = &evm->vm;

	if (evm == NULL)
		return;
	vm_mem_watch(vm->mem, NULL, NULL);
	soft_vm_timer_stop(vm);
	for (unsigned i = 0; i < vm->nregions; i++)
		free(vm->region[i].dirty);
	if (vm->wmapped)
		munmap((void *)vm->wmapped, vm->npages);
	pthread_mutex_destroy(&vm->lock);
	free((void *)vm->cpus);
	free(vm->deadline);
	free(evm);
}

static int
soft_vm_create(const struct engine_vm_config *conf, struct engine_vm **ret,
    struct error *err)
{
	struct engine_vm *evm;
	struct soft_vm *vm;
	void *p;

	if (conf->lockstep && conf->max_vcpus > 1)
		return error_set(err, EINVAL,
		    "soft.lockstep follows one virtual CPU, not %u; give "
		    "cpus=1",
		    conf->max_vcpus);
	evm = calloc(1, sizeof(*evm));
	if (evm == NULL)
		return error_set(err, ENOMEM, "software engine: no memory");
	vm = &evm->vm;
	vm->client = conf->client;
	vm->machine = conf->machine;
	vm->mem = conf->mem;
	vm->strict_msr = conf->strict_msr;
	vm->exit_on_pause = conf->exit_on_pause;
	vm->x2apic_ids = conf->x2apic_ids;
	vm->lockstep = conf->lockstep;
	vm->tsc_hz = soft_tsc_hz();
	vm->tsc_base = soft_host_tsc();
	vm->max_cpus = conf->max_vcpus;
	pthread_mutex_init(&vm->lock, NULL);
	soft_vm_map_regions(vm);
	vm->cpus = calloc(conf->max_vcpus, sizeof(vm->cpus[0]));
	vm->deadline = calloc(conf->max_vcpus, sizeof(vm->deadline[0]));
	p = mmap(NULL, vm->npages, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	vm->wmapped = p == MAP_FAILED ? NULL : p;
	if (soft_vm_timer_start(vm) < 0 || vm->wmapped == NULL ||
	    vm->cpus == NULL || vm->deadline == NULL) {
		soft_vm_destroy(evm);
		return error_set(err, ENOMEM, "software engine: no memory");
	}
	for (unsigned i = 0; i < conf->max_vcpus; i++)
		vm->deadline[i] = UINT64_MAX;
	vm_mem_watch(vm->mem, soft_code_dma, vm);
	*ret = evm;
	return 0;
}

/* ---- LAPIC callbacks ---- */

static void
cb_send(void *arg, const struct lapic_message *msg)
{
	struct soft_cpu *cpu = arg;

	soft_vm_message(cpu->vm, cpu, msg);
}

static void
cb_wake(void *arg)
{
	soft_request(arg, SOFT_REQ_EVENT);
}

static void
cb_nmi(void *arg)
{
	struct soft_cpu *cpu = arg;

	atomic_store(&cpu->nmi_pending, 1);
	soft_request(cpu, SOFT_REQ_EVENT);
}

static void
cb_eoi(void *arg, uint8_t vector)
{
	struct soft_cpu *cpu = arg;

	soft_fp_sync(cpu);
	cpu->vm->client->eoi(cpu->vm->machine, vector);
}

static void
cb_deadline(void *arg, uint64_t tsc)
{
	struct soft_cpu *cpu = arg;

	if (tsc != UINT64_MAX)
		tsc -= cpu->tsc_offset;
	soft_vm_set_deadline(cpu->vm, cpu->id, tsc);
}

static uint64_t
cb_tsc(void *arg)
{
	struct soft_cpu *cpu = arg;

	return soft_host_tsc() + cpu->tsc_offset;
}

static const struct lapic_ops lapic_callbacks = {
	.send = cb_send,
	.wake = cb_wake,
	.nmi = cb_nmi,
	.eoi = cb_eoi,
	.deadline = cb_deadline,
	.tsc = cb_tsc,
};

/* ---- vCPU ---- */

static void
soft_vcpu_destroy(struct engine_vcpu *v)
{
	struct soft_cpu *cpu;

	if (v == NULL)
		return;
	cpu = &v->cpu;
	if (cpu->code)
		log_debug("soft",
		    "vCPU %u: %" PRIu64 " instructions, %" PRIu64
		    " blocks made, %" PRIu64 " hit by writes, %" PRIu64
		    " cache flushes",
		    cpu->id, cpu->insns, cpu->code->translations,
		    cpu->code->invalidations, cpu->code->flushes);
	if (cpu->vm->cpus[cpu->id] == cpu) {
		soft_vm_set_deadline(cpu->vm, cpu->id, UINT64_MAX);
		atomic_store(&cpu->vm->cpus[cpu->id], NULL);
	}
	cpu->exec->destroy(cpu);
	soft_fp_destroy(cpu);
	lapic_destroy(cpu->lapic);
	soft_code_destroy(cpu->code);
	free((void *)cpu->cpuid);
	munmap(v, sizeof(*v));
}

static int
soft_vcpu_create(struct engine_vm *evm, const struct engine_vcpu_config *conf,
    struct engine_vcpu **ret, struct error *err)
{
	struct soft_vm *vm = &evm->vm;
	struct engine_vcpu *v;
	struct cpuid_table *tab;
	struct soft_cpu *cpu;
	int rc;

	if (conf->id >= vm->max_cpus)
		return error_set(
		    err, EINVAL, "vCPU %u: at most %u", conf->id, vm->max_cpus);
	v = mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v == MAP_FAILED)
		return error_set(err, ENOMEM, "vCPU %u: no memory", conf->id);
	cpu = &v->cpu;
	cpu->vm = vm;
	cpu->id = conf->id;
	cpu->apic_id = conf->apic_id;
	cpu->tsc_offset = -vm->tsc_base;
	tab = malloc(sizeof(*tab));
	cpu->exec = vm->lockstep ? &soft_exec_lockstep : &soft_exec_threaded;
	cpu->code = soft_code_create(vm, true);
	cpu->lapic = lapic_create(conf->apic_id, conf->id == 0, conf->x2apic,
	    vm->tsc_hz, &lapic_callbacks, cpu);
	if (tab == NULL || cpu->code == NULL || cpu->lapic == NULL) {
		free(tab);
		soft_vcpu_destroy(v);
		return error_set(err, ENOMEM, "vCPU %u: no memory", conf->id);
	}
	*tab = *conf->cpuid;
	cpu->cpuid = tab;
	soft_cpu_features(cpu);
	rc = soft_fp_create(cpu);
	if (rc == 0)
		rc = cpu->exec->create(cpu);
	if (rc < 0) {
		soft_vcpu_destroy(v);
		return error_sys(
		    err, -rc, "vCPU %u: memory for host code", conf->id);
	}
	soft_cpu_reset(cpu, false);
	cpu->run_state = conf->id == 0 ? VCPU_RUNNABLE : VCPU_UNINITIALIZED;
	pthread_mutex_lock(&vm->lock);
	atomic_store(&vm->cpus[conf->id], cpu);
	if (atomic_load(&vm->ncpus) < conf->id + 1)
		atomic_store(&vm->ncpus, conf->id + 1);
	pthread_mutex_unlock(&vm->lock);
	*ret = v;
	return 0;
}

static enum engine_exit
soft_vcpu_run(struct engine_vcpu *v)
{
	return soft_cpu_run(&v->cpu);
}

static void
soft_vcpu_kick(struct engine_vcpu *v)
{
	soft_request(&v->cpu, SOFT_REQ_KICK);
}

static void
soft_vcpu_report(struct engine_vcpu *v, struct engine_report *ret)
{
	*ret = v->cpu.report;
}

static int
soft_vcpu_get(struct engine_vcpu *v, struct vcpu_state *ret)
{
	soft_cpu_settle(&v->cpu);
	soft_cpu_get(&v->cpu, ret);
	return 0;
}

static int
soft_vcpu_set(struct engine_vcpu *v, const struct vcpu_state *st)
{
	return soft_cpu_set(&v->cpu, st);
}

static int
soft_vcpu_single_step(struct engine_vcpu *v, bool on)
{
	v->cpu.step = on;
	return 0;
}

static int
soft_nmi(struct engine_vcpu *v)
{
	cb_nmi(&v->cpu);
	return 0;
}

static bool
soft_vcpu_is_dead(struct engine_vcpu *v)
{
	struct soft_cpu *cpu = &v->cpu;

	if (atomic_load(&cpu->nmi_pending) || atomic_load(&cpu->init_pending))
		return false;
	switch (cpu->run_state) {
	case VCPU_UNINITIALIZED:
		return true;
	case VCPU_INIT_RECEIVED:
		return atomic_load(&cpu->sipi) == 0;
	case VCPU_HALTED:
		return !(cpu->rflags & X86_FL_IF);
	default:
		return false;
	}
}

/* ---- interrupts ---- */

/* Intel SDM vol. 3, 10.11: message address and data */
static int
soft_msi(struct engine_vm *evm, uint64_t addr, uint32_t data)
{
	struct lapic_message m = {
		.dest = addr >> 12 & 0xff,
		.logical = addr >> 2 & 1,
		.vector = data & 0xff,
		.delivery = data >> 8 & 7,
		.level = data >> 15 & 1,
		.assert = true,
	};

	if ((addr >> 20 & 0xfff) != 0xfee)
		return -EINVAL;
	if (evm->vm.x2apic_ids) {
		/* KVM's extension: id bits 31:8 in address bits 63:40 */
		m.dest |= (addr >> 32) & 0xffffff00;
		m.dest_x2apic = m.dest > 0xff;
	}
	return (int)soft_vm_message(&evm->vm, NULL, &m);
}

static void
soft_extint(struct engine_vm *evm, bool level)
{
	struct soft_cpu *cpu = atomic_load(&evm->vm.cpus[0]);

	atomic_store(&evm->vm.extint, level);
	if (level && cpu)
		soft_request(cpu, SOFT_REQ_EVENT);
}

/* Every EOI of a level-triggered vector is reported anyway. */
static int
soft_ioapic_route(struct engine_vm *evm, unsigned pin, uint64_t addr,
    uint32_t data, bool masked)
{
	return 0;
}

/*
 * A notify register's handler, which the client finds in a few steps, signals
 * the very eventfd that would be bound here; and nobody asks for irqfds.
 */
static int
soft_irqfd(struct engine_vm *evm, int fd, uint64_t addr, uint32_t data, bool on)
{
	return -ENOSYS;
}

static int
soft_ioeventfd(struct engine_vm *evm, int fd, uint64_t addr, unsigned len,
    uint64_t value, unsigned flags, bool on)
{
	return -ENOSYS;
}

/* ---- dirty log ---- */

/*
 * Take back the TLB entries that store past the log, and wait until they are
 * gone: what was stored through them then is in memory before the caller copies
 * the pages that it was told of. A vCPU that sleeps or is out of its run loop
 * handles the request before it stores anything.
 */
static void
recall_writes(struct soft_vm *vm)
{
	uint64_t epoch = atomic_fetch_add(&vm->dirty_epoch, 1) + 1;
	struct soft_cpu *cpu;

	for (unsigned i = 0; i < atomic_load(&vm->ncpus); i++) {
		cpu = atomic_load(&vm->cpus[i]);
		if (cpu)
			soft_request(cpu, SOFT_REQ_DIRTY);
	}
	for (unsigned i = 0; i < atomic_load(&vm->ncpus); i++) {
		cpu = atomic_load(&vm->cpus[i]);
		if (cpu == NULL)
			continue;
		while (atomic_load(&cpu->dirty_epoch) < epoch &&
		    atomic_load(&cpu->running) &&
		    !atomic_load(&cpu->sleeping) &&
		    !pthread_equal(cpu->thread, pthread_self()))
			usleep(20);
	}
}

static int
soft_dirty_start(struct engine_vm *evm, struct error *err)
{
	struct soft_vm *vm = &evm->vm;

	for (unsigned i = 0; i < vm->nregions; i++) {
		struct soft_region *r = &vm->region[i];
		size_t words = ((r->size >> 12) + 63) / 64;

		/* stays until the VM goes: vCPUs may be using it */
		if (r->dirty == NULL)
			r->dirty = calloc(words, 8);
		if (r->dirty == NULL)
			return error_set(
			    err, ENOMEM, "no memory for the dirty log");
		memset(r->dirty, 0, words * 8);
	}
	atomic_store(&vm->dirty_on, true);
	recall_writes(vm);
	return 0;
}

static int
soft_dirty_stop(struct engine_vm *evm)
{
	atomic_store(&evm->vm.dirty_on, false);
	return 0;
}

static int
soft_dirty_get(struct engine_vm *evm, uint32_t slot, uint64_t *bitmap)
{
	struct soft_vm *vm = &evm->vm;

	for (unsigned i = 0; i < vm->nregions; i++) {
		struct soft_region *r = &vm->region[i];
		size_t words = ((r->size >> 12) + 63) / 64;

		if (r->slot != slot)
			continue;
		if (r->dirty == NULL)
			return -EINVAL;
		for (size_t k = 0; k < words; k++)
			bitmap[k] = __atomic_exchange_n(
			    &r->dirty[k], 0, __ATOMIC_SEQ_CST);
		/* later stores have to be seen again */
		recall_writes(vm);
		return 0;
	}
	return -ENOENT;
}

const struct engine_ops engine_soft = {
	.name = "soft",
	.probe = soft_probe,
	.cpuid_supported = soft_cpuid_supported,
	.vm_create = soft_vm_create,
	.vm_destroy = soft_vm_destroy,
	.vcpu_create = soft_vcpu_create,
	.vcpu_destroy = soft_vcpu_destroy,
	.vcpu_run = soft_vcpu_run,
	.vcpu_kick = soft_vcpu_kick,
	.vcpu_report = soft_vcpu_report,
	.vcpu_get = soft_vcpu_get,
	.vcpu_set = soft_vcpu_set,
	.vcpu_single_step = soft_vcpu_single_step,
	.nmi = soft_nmi,
	.vcpu_is_dead = soft_vcpu_is_dead,
	.msi = soft_msi,
	.extint = soft_extint,
	.ioapic_route = soft_ioapic_route,
	.irqfd = soft_irqfd,
	.ioeventfd = soft_ioeventfd,
	.dirty_start = soft_dirty_start,
	.dirty_stop = soft_dirty_stop,
	.dirty_get = soft_dirty_get,
};
