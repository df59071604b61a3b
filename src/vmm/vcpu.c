/*
 * A vCPU's thread is in the engine, or parked: before the first instruction,
 * while paused, after the stop. Parked threads can be given work, because an
 * engine wants a vCPU's functions called on its own thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "vmm/vm_impl.h"

bool
vm_is_stopped(const struct vm *vm)
{
	return atomic_load(&vm->stop) == STOP_PUBLISHED;
}

bool
vm_may_run_locked(const struct vm *vm)
{
	return vm->running && !vm_is_stopped(vm) && vm->pauses == 0 &&
	    vm->halt.phase == HALT_IDLE;
}

void
vm_kick_all(struct vm *vm)
{
	unsigned i;

	for (i = 0; i < vm->nvcpus; i++)
		if (vm->vcpu[i].engine != NULL)
			vm->conf.engine->vcpu_kick(vm->vcpu[i].engine);
}

static bool
all_parked(void *arg)
{
	struct vm *vm = arg;
	bool all;

	pthread_mutex_lock(&vm->lock);
	all = vm->parked == vm->nvcpus;
	pthread_mutex_unlock(&vm->lock);
	return all;
}

static void
count_loop_wait(struct vm *vm, int n)
{
	pthread_mutex_lock(&vm->lock);
	vm->loop_waits += (unsigned)n;
	pthread_mutex_unlock(&vm->lock);
}

void
vm_wait_parked(struct vm *vm, bool on_loop)
{
	if (on_loop) {
		count_loop_wait(vm, 1);
		mevent_serve_calls(vm->loop, all_parked, vm);
		count_loop_wait(vm, -1);
		return;
	}
	pthread_mutex_lock(&vm->lock);
	while (vm->parked < vm->nvcpus)
		pthread_cond_wait(&vm->cond, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

static void
vcpu_do_work_locked(struct vcpu *vcpu)
{
	struct vcpu_work *work = vcpu->work;

	vcpu->work = NULL;
	pthread_mutex_unlock(&vcpu->vm->lock);
	work->rc = work->fn(vcpu, work->arg);
	pthread_mutex_lock(&vcpu->vm->lock);
	work->done = true;
	pthread_cond_broadcast(&vcpu->vm->cond);
}

/* Stay until the guest may run; false when the thread is to end. */
static bool
vcpu_park(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	pthread_mutex_lock(&vm->lock);
	vm->parked++;
	if (vm->parked == vm->nvcpus) {
		pthread_cond_broadcast(&vm->cond);
		if (vm_is_stopped(vm))
			mevent_loop_stop(vm->loop);
		if (vm->loop_waits != 0)
			mevent_wake(vm->loop);
	}
	while (!vm->dying) {
		if (vcpu->work != NULL)
			vcpu_do_work_locked(vcpu);
		else if (halt_step_locked(vcpu))
			continue;
		else if (vm_may_run_locked(vm))
			break;
		else
			pthread_cond_wait(&vm->cond, &vm->lock);
	}
	vm->parked--;
	pthread_mutex_unlock(&vm->lock);
	return !vm->dying;
}

static void
vcpu_failed(struct vcpu *vcpu)
{
	struct engine_report report = { 0 };
	char cause[256];

	vcpu->vm->conf.engine->vcpu_report(vcpu->engine, &report);
	snprintf(cause, sizeof(cause), "vCPU %u: %s", vcpu->id, report.reason);
	vcpu_log_failure(vcpu);
	vm_stop(vcpu->vm, VM_STOP_ERROR, cause);
}

static void
vcpu_triple_fault(struct vcpu *vcpu)
{
	char cause[64];

	snprintf(cause, sizeof(cause), "triple fault on vCPU %u", vcpu->id);
	vm_stop(vcpu->vm, VM_STOP_TRIPLE_FAULT, cause);
}

static enum engine_exit
vcpu_run(struct vcpu *vcpu)
{
	const struct engine_ops *eng = vcpu->vm->conf.engine;
	enum engine_exit exit;

	do {
		exit = eng->vcpu_run(vcpu->engine);
		if (exit == ENGINE_EXIT_EMULATION)
			exit = step_run(vcpu);
	} while (exit == ENGINE_EXIT_EMULATION);
	return exit;
}

static void *
vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	bool entered = false;
	char name[16];

	snprintf(name, sizeof(name), "vcpu %u", vcpu->id);
	pthread_setname_np(pthread_self(), name);
	while (vcpu_park(vcpu)) {
		if (!entered)
			thread_enter(THREAD_VCPU);
		entered = true;
		switch (vcpu_run(vcpu)) {
		case ENGINE_EXIT_EMULATION:
		case ENGINE_EXIT_KICKED:
		case ENGINE_EXIT_DEBUG:
			break;
		case ENGINE_EXIT_TRIPLE_FAULT:
			vcpu_triple_fault(vcpu);
			break;
		case ENGINE_EXIT_FAILED:
			vcpu_failed(vcpu);
			break;
		}
	}
	return NULL;
}

int
vcpu_start(struct vcpu *vcpu, struct error *err)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int rc;

	pthread_attr_init(&attr);
	if (vcpu->pinned)
		pthread_attr_setaffinity_np(
		    &attr, sizeof(vcpu->cpus), &vcpu->cpus);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&vcpu->thread, &attr, vcpu_main, vcpu);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return error_sys(err, rc,
		    "cannot start the thread of vCPU %u%s", vcpu->id,
		    vcpu->pinned ? " on the host CPUs it is pinned to" : "");
	vcpu->has_thread = true;
	return 0;
}

void
vcpu_join(struct vcpu *vcpu)
{
	if (!vcpu->has_thread)
		return;
	pthread_join(vcpu->thread, NULL);
	vcpu->has_thread = false;
}

int
vm_on_vcpu(struct vm *vm, unsigned id, int (*fn)(struct vcpu *vcpu, void *arg),
    void *arg)
{
	struct vcpu_work work = { .fn = fn, .arg = arg, .rc = -EBUSY };
	struct vcpu *vcpu;

	if (id >= vm->nvcpus || !vm->vcpu[id].has_thread)
		return -EINVAL;
	vcpu = &vm->vcpu[id];
	pthread_mutex_lock(&vm->lock);
	while (vcpu->work != NULL)
		pthread_cond_wait(&vm->cond, &vm->lock);
	if (!vm->running || vm->pauses != 0 || vm_is_stopped(vm)) {
		vcpu->work = &work;
		pthread_cond_broadcast(&vm->cond);
		while (!work.done)
			pthread_cond_wait(&vm->cond, &vm->lock);
	}
	pthread_mutex_unlock(&vm->lock);
	return work.rc;
}
