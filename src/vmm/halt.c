/*
 * A guest that executed HLT with interrupts off on every processor is over, and
 * bhyve(8) then exits with status 2. With the local APIC in the kernel, HLT
 * blocks inside the engine, so somebody has to look. Looking costs wake-ups,
 * and an idle guest must not cause any; hence it is done only while no external
 * interrupt can arrive: every I/O APIC pin and the whole PIC are masked. A
 * running Linux guest always has a pin unmasked (the SCI at least). While it
 * boots, and after it shut its interrupts off to halt, it has none.
 *
 * A look is a round: all vCPUs leave the engine and park, and only then each
 * one is asked, so that none can wake another one that has answered already.
 * The main loop does not wait for any of that.
 */
#include "vmm/vm_impl.h"

#include "base/str.h"

#define FIRST_WAIT_NS UINT64_C(100000000)
#define LAST_WAIT_NS UINT64_C(4000000000)

static void
halt_rearm_locked(struct vm *vm)
{
	struct halt *halt = &vm->halt;

	mevent_timer_set(halt->timer, halt->wait_ns, 0);
	halt->wait_ns = MIN(halt->wait_ns * 2, LAST_WAIT_NS);
}

static void
halt_timer(void *arg, uint64_t expirations)
{
	struct vm *vm = arg;
	bool look = false;

	pthread_mutex_lock(&vm->lock);
	if (vm->halt.quiet && !vm_is_stopped(vm)) {
		if (vm_may_run_locked(vm)) {
			vm->halt.phase = HALT_PARKING;
			look = true;
		} else {
			halt_rearm_locked(vm);
		}
	}
	pthread_mutex_unlock(&vm->lock);
	if (look)
		vm_kick_all(vm);
}

void
halt_masks_changed(struct vm *vm)
{
	bool quiet;

	pthread_mutex_lock(&vm->lock);
	quiet = vm->running && irq_is_quiet(vm);
	if (quiet != vm->halt.quiet) {
		vm->halt.quiet = quiet;
		vm->halt.wait_ns = FIRST_WAIT_NS;
		if (quiet)
			halt_rearm_locked(vm);
		else
			mevent_timer_set(vm->halt.timer, 0, 0);
	}
	pthread_mutex_unlock(&vm->lock);
}

/* The round is over. */
static void
halt_conclude_locked(struct vm *vm)
{
	bool over = vm->halt.dead == vm->nvcpus && vm->halt.quiet;

	vm->halt.phase = HALT_IDLE;
	pthread_cond_broadcast(&vm->cond);
	if (!over) {
		if (vm->halt.quiet)
			halt_rearm_locked(vm);
		return;
	}
	pthread_mutex_unlock(&vm->lock);
	vm_stop(vm, VM_STOP_HALT, "every vCPU halted with interrupts off");
	pthread_mutex_lock(&vm->lock);
}

bool
halt_step_locked(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct halt *halt = &vm->halt;
	bool dead;

	if (halt->phase == HALT_PARKING && vm->parked == vm->nvcpus) {
		halt->phase = HALT_ASKING;
		halt->round++;
		halt->left = vm->nvcpus;
		halt->dead = 0;
		pthread_cond_broadcast(&vm->cond);
	}
	if (halt->phase != HALT_ASKING || vcpu->halt_round == halt->round)
		return false;
	vcpu->halt_round = halt->round;
	pthread_mutex_unlock(&vm->lock);
	dead = vm->conf.engine->vcpu_is_dead(vcpu->engine);
	pthread_mutex_lock(&vm->lock);
	halt->dead += dead;
	if (--halt->left == 0)
		halt_conclude_locked(vm);
	return true;
}

int
halt_create(struct vm *vm, struct error *err)
{
	return mevent_add_timer(vm->loop, halt_timer, vm, &vm->halt.timer, err);
}

void
halt_destroy(struct vm *vm)
{
	mevent_delete(vm->halt.timer);
	vm->halt.timer = NULL;
}
