/*
 * The frame that everything hangs in: what is built when, who may run, and the
 * one reason why it ended.
 */
#include "vmm/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "vmm/vm_impl.h"

#define APIC_BASE_X2APIC 0xc00 /* EXTD and EN */

static int
vm_alloc(const struct vm_config *conf, struct vm **ret)
{
	struct vm *vm;
	unsigned i;

	vm = alloc_zero(1, sizeof(*vm));
	if (vm == NULL)
		return -ENOMEM;
	vm->conf = *conf;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->cond, NULL);
	pthread_mutex_init(&vm->irq.lock, NULL);
	pthread_mutex_init(&vm->irq.listen_lock, NULL);
	vm->nvcpus = conf->topo.cpus;
	vm->name = alloc_strdup(conf->name);
	vm->vcpu = alloc_zero(vm->nvcpus, sizeof(vm->vcpu[0]));
	if (vm->name == NULL || vm->vcpu == NULL) {
		vm->nvcpus = 0;
		vm_destroy(vm);
		return -ENOMEM;
	}
	vm->conf.name = vm->name;
	for (i = 0; i < vm->nvcpus; i++) {
		vm->vcpu[i].vm = vm;
		vm->vcpu[i].id = i;
	}
	*ret = vm;
	return 0;
}

static int
vm_build(struct vm *vm, struct error *err)
{
	int rc;

	rc = vm_mem_create(&vm->conf.mem, &vm->mem, err);
	if (rc != 0)
		return rc;
	rc = bus_create(0x10000, &vm->pio);
	if (rc == 0)
		rc = bus_create(0, &vm->mmio);
	if (rc != 0)
		return error_sys(err, -rc, "address decoding");
	rc = mevent_loop_create(&vm->loop, err);
	if (rc == 0)
		rc = halt_create(vm, err);
	if (rc == 0)
		rc = irq_create(vm, err);
	return rc;
}

int
vm_create(const struct vm_config *conf, struct vm **ret, struct error *err)
{
	struct vm *vm = NULL;
	int rc;

	rc = topology_check(&conf->topo, err);
	if (rc != 0)
		return rc;
	rc = vm_alloc(conf, &vm);
	if (rc != 0)
		return error_sys(err, -rc, "machine '%s'", conf->name);
	rc = vm_build(vm, err);
	if (rc != 0) {
		vm_destroy(vm);
		return rc;
	}
	*ret = vm;
	return 0;
}

static void
vm_end_threads(struct vm *vm)
{
	unsigned i;

	pthread_mutex_lock(&vm->lock);
	vm->dying = true;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	vm_kick_all(vm);
	for (i = 0; i < vm->nvcpus; i++)
		vcpu_join(&vm->vcpu[i]);
}

void
vm_destroy(struct vm *vm)
{
	unsigned i;

	if (vm == NULL)
		return;
	vm_end_threads(vm);
	if (vm->steps != 0)
		log_info("vmm",
		    "%" PRIu64 " instructions that engine %s does not know "
		    "were executed in software",
		    vm->steps, vm->conf.engine->name);
	for (i = 0; i < vm->nvcpus; i++) {
		if (vm->vcpu[i].engine != NULL)
			vm->conf.engine->vcpu_destroy(vm->vcpu[i].engine);
		step_destroy(&vm->vcpu[i]);
		free(vm->vcpu[i].initial);
	}
	if (vm->engine != NULL)
		vm->conf.engine->vm_destroy(vm->engine);
	halt_destroy(vm);
	irq_destroy(vm);
	mevent_loop_destroy(vm->loop);
	bus_destroy(vm->pio);
	bus_destroy(vm->mmio);
	vm_mem_destroy(vm->mem);
	pthread_mutex_destroy(&vm->irq.lock);
	pthread_mutex_destroy(&vm->irq.listen_lock);
	pthread_mutex_destroy(&vm->lock);
	pthread_cond_destroy(&vm->cond);
	free(vm->vcpu);
	free(vm->name);
	free(vm);
}

const char *
vm_name(const struct vm *vm)
{
	return vm->name;
}

struct vm_mem *
vm_mem(struct vm *vm)
{
	return vm->mem;
}

struct bus *
vm_pio(struct vm *vm)
{
	return vm->pio;
}

struct bus *
vm_mmio(struct vm *vm)
{
	return vm->mmio;
}

struct mevent_loop *
vm_loop(struct vm *vm)
{
	return vm->loop;
}

const struct cpu_topology *
vm_topology(const struct vm *vm)
{
	return &vm->conf.topo;
}

const struct engine_ops *
vm_engine_ops(const struct vm *vm)
{
	return vm->conf.engine;
}

struct engine_vm *
vm_engine(struct vm *vm)
{
	return vm->engine;
}

/* ---- before the first instruction ---- */

/* "a" or "a-b" up to a comma; steps over it. */
static int
parse_cpu_range(const char **text, cpu_set_t *set)
{
	const long host = sysconf(_SC_NPROCESSORS_CONF);
	unsigned first, last;
	int n = 0, m = 0;

	/* %u would also take a sign or blanks. */
	if (strspn(*text, "0123456789,-") != strlen(*text) || **text == '-' ||
	    strstr(*text, "--") != NULL ||
	    sscanf(*text, "%9u%n-%9u%n", &first, &n, &last, &m) < 1)
		return -EINVAL;
	if (m == 0)
		last = first;
	*text += m != 0 ? m : n;
	if (last < first || (long)last >= host || last >= CPU_SETSIZE)
		return -ERANGE;
	for (; first <= last; first++)
		CPU_SET(first, set);
	if (**text == ',' && (*text)[1] != '\0')
		++*text;
	else if (**text != '\0')
		return -EINVAL;
	return 0;
}

int
vm_pin(struct vm *vm, unsigned vcpu, const char *cpus, struct error *err)
{
	const char *p = cpus;
	cpu_set_t set;
	int rc;

	CPU_ZERO(&set);
	if (vcpu >= vm->nvcpus)
		return error_set(err, EINVAL,
		    "cannot pin vCPU %u: there are %u, from 0 on", vcpu,
		    vm->nvcpus);
	do {
		rc = parse_cpu_range(&p, &set);
	} while (rc == 0 && *p != '\0');
	if (rc == -ERANGE)
		return error_set(err, EINVAL,
		    "vCPU %u: host CPUs '%s' do not exist, there are %ld", vcpu,
		    cpus, sysconf(_SC_NPROCESSORS_CONF));
	if (rc != 0)
		return error_set(err, EINVAL,
		    "vCPU %u: host CPUs '%s' are no list like 0-1,3", vcpu,
		    cpus);
	if (vm->vcpu[vcpu].pinned)
		CPU_OR(&set, &set, &vm->vcpu[vcpu].cpus);
	vm->vcpu[vcpu].cpus = set;
	vm->vcpu[vcpu].pinned = true;
	return 0;
}

static int
vcpu_apply_state(struct vcpu *vcpu, void *arg)
{
	return vcpu->vm->conf.engine->vcpu_set(vcpu->engine, arg);
}

static int
vcpu_read_state(struct vcpu *vcpu, void *arg)
{
	return vcpu->vm->conf.engine->vcpu_get(vcpu->engine, arg);
}

int
vm_set_vcpu_state(struct vm *vm, unsigned id, const struct vcpu_state *st)
{
	struct vcpu_state *copy;
	struct vcpu *vcpu;

	if (id >= vm->nvcpus)
		return -EINVAL;
	vcpu = &vm->vcpu[id];
	if (vcpu->has_thread)
		return vm_on_vcpu(
		    vm, id, vcpu_apply_state, (void *)(uintptr_t)st);
	copy = alloc_bytes(sizeof(*copy));
	if (copy == NULL)
		return -ENOMEM;
	*copy = *st;
	if (vm->conf.x2apic)
		copy->apic_base |= APIC_BASE_X2APIC;
	free(vcpu->initial);
	vcpu->initial = copy;
	return 0;
}

static int
vm_create_engine(struct vm *vm, struct error *err)
{
	const struct engine_vm_config conf = {
		.client = &vm_client,
		.machine = vm,
		.mem = vm->mem,
		.max_vcpus = vm->nvcpus,
		.x2apic_ids =
		    topology_apic_id(&vm->conf.topo, vm->nvcpus - 1) > 254,
		.strict_msr = vm->conf.strict_msr,
		.exit_on_pause = vm->conf.exit_on_pause,
		.lockstep = vm->conf.lockstep,
		.stepped = step_wanted(&vm->conf),
	};
	struct engine_vm *ev;
	int rc;

	rc = vm->conf.engine->vm_create(&conf, &ev, err);
	if (rc == 0)
		atomic_store(&vm->engine, ev);
	return rc;
}

static int
vm_create_vcpu(struct vm *vm, struct vcpu *vcpu,
    const struct cpuid_table *supported, uint64_t tsc_hz, struct error *err)
{
	cleanup_free struct cpuid_table *tab = alloc_bytes(sizeof(*tab));
	struct engine_vcpu_config conf = { .id = vcpu->id };
	int rc;

	if (tab == NULL)
		return error_sys(err, ENOMEM, "vCPU %u", vcpu->id);
	rc = cpuid_make(supported, &vm->conf.topo, vcpu->id, tsc_hz, tab, err);
	if (rc != 0)
		return rc;
	conf.apic_id = topology_apic_id(&vm->conf.topo, vcpu->id);
	conf.cpuid = tab;
	conf.x2apic = vm->conf.x2apic;
	rc =
	    vm->conf.engine->vcpu_create(vm->engine, &conf, &vcpu->engine, err);
	if (rc == 0)
		rc = step_create(vcpu, err);
	if (rc == 0)
		rc = vcpu_start(vcpu, err);
	if (rc != 0 || vcpu->initial == NULL)
		return rc;
	rc = vm_on_vcpu(vm, vcpu->id, vcpu_apply_state, vcpu->initial);
	if (rc != 0)
		return error_sys(err, -rc,
		    "the engine refuses the initial state of vCPU %u",
		    vcpu->id);
	return 0;
}

int
vm_prepare(struct vm *vm, struct error *err)
{
	cleanup_free struct cpuid_table *supported = NULL;
	uint64_t tsc_hz;
	unsigned i;
	int rc;

	if (vm->engine != NULL)
		return error_set(
		    err, EALREADY, "machine '%s' is prepared", vm->name);
	supported = alloc_bytes(sizeof(*supported));
	if (supported == NULL)
		return error_sys(err, ENOMEM, "machine '%s'", vm->name);
	rc = vm->conf.engine->cpuid_supported(supported, &tsc_hz, err);
	if (rc == 0)
		rc = vm_create_engine(vm, err);
	for (i = 0; rc == 0 && i < vm->nvcpus; i++)
		rc = vm_create_vcpu(vm, &vm->vcpu[i], supported, tsc_hz, err);
	return rc;
}

/* ---- running ---- */

enum vm_stop
vm_run(struct vm *vm)
{
	int rc;

	pthread_mutex_lock(&vm->lock);
	vm->running = true;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	halt_masks_changed(vm);
	do {
		rc = mevent_loop_run(vm->loop);
	} while (rc == 0 && !vm_is_stopped(vm));
	if (rc != 0)
		vm_stop(vm, VM_STOP_ERROR, "the main event loop failed");
	/* Devices may be taken down after this: no vCPU is in them any more. */
	vm_wait_parked(vm, true);
	return vm->reason;
}

static const char *
stop_name(enum vm_stop reason)
{
	static const char *const name[] = { [VM_STOP_RESET] = "reset",
		[VM_STOP_POWEROFF] = "power-off",
		[VM_STOP_HALT] = "halt",
		[VM_STOP_TRIPLE_FAULT] = "triple fault",
		[VM_STOP_ERROR] = "error" };

	return name[reason];
}

void
vm_stop(struct vm *vm, enum vm_stop reason, const char *cause)
{
	int none = STOP_NONE;
	bool running;

	if (!atomic_compare_exchange_strong(&vm->stop, &none, STOP_CLAIMED))
		return;
	vm->reason = reason;
	snprintf(vm->cause, sizeof(vm->cause), "%s", cause);
	pthread_mutex_lock(&vm->lock);
	atomic_store(&vm->stop, STOP_PUBLISHED);
	pthread_cond_broadcast(&vm->cond);
	if (vm->parked == vm->nvcpus)
		mevent_loop_stop(vm->loop);
	running = vm->running;
	pthread_mutex_unlock(&vm->lock);
	/* Before the run the vCPUs are parked, or being made just now. */
	if (running)
		vm_kick_all(vm);
	log_event(reason == VM_STOP_ERROR ? LOG_ERR : LOG_INFO, "vmm",
	    "stopped",
	    (struct log_field[]){ { "vm", vm->name },
		{ "reason", stop_name(reason) }, { "cause", vm->cause },
		{ NULL, NULL } });
}

const char *
vm_stop_cause(const struct vm *vm)
{
	return vm_is_stopped(vm) ? vm->cause : "";
}

int
vm_nmi(struct vm *vm, unsigned vcpu)
{
	if (vcpu >= vm->nvcpus || vm->vcpu[vcpu].engine == NULL)
		return -EINVAL;
	return vm->conf.engine->nmi(vm->vcpu[vcpu].engine);
}

static bool
vm_on_vcpu_thread(const struct vm *vm)
{
	unsigned i;

	for (i = 0; i < vm->nvcpus; i++)
		if (vm->vcpu[i].has_thread &&
		    pthread_equal(vm->vcpu[i].thread, pthread_self()))
			return true;
	return false;
}

int
vm_pause(struct vm *vm)
{
	if (vm->engine == NULL)
		return -ENXIO;
	if (vm_on_vcpu_thread(vm))
		return -EDEADLK;
	pthread_mutex_lock(&vm->lock);
	vm->pauses++;
	pthread_mutex_unlock(&vm->lock);
	vm_kick_all(vm);
	vm_wait_parked(vm, mevent_loop_is_current(vm->loop));
	return 0;
}

void
vm_resume(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->pauses > 0)
		vm->pauses--;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
}

int
vm_get_vcpu_state(struct vm *vm, unsigned vcpu, struct vcpu_state *ret)
{
	return vm_on_vcpu(vm, vcpu, vcpu_read_state, ret);
}
