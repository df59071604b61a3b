/*
 * What vCPUs share: messages between LAPICs, and the thread that watches their
 * timers.
 */
#include "vmm/soft/vm.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

static struct soft_cpu *
cpu_at(struct soft_vm *vm, unsigned i)
{
	return atomic_load_explicit(&vm->cpus[i], memory_order_acquire);
}

static unsigned
cpu_count(struct soft_vm *vm)
{
	return atomic_load_explicit(&vm->ncpus, memory_order_acquire);
}

static bool
addressed(struct soft_cpu *cpu, struct soft_cpu *from,
    const struct lapic_message *msg)
{
	switch (msg->shorthand) {
	case LAPIC_TO_SELF:
		return cpu == from;
	case LAPIC_TO_ALL:
		return true;
	case LAPIC_TO_OTHERS:
		return cpu != from;
	default:
		return lapic_match(
		    cpu->lapic, msg->dest, msg->dest_x2apic, msg->logical);
	}
}

static bool
deliver_one(struct soft_cpu *cpu, const struct lapic_message *msg)
{
	switch (msg->delivery) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		return lapic_accept(cpu->lapic, msg->vector, msg->level);
	case LAPIC_NMI:
		atomic_store(&cpu->nmi_pending, 1);
		soft_request(cpu, SOFT_REQ_EVENT);
		break;
	case LAPIC_INIT:
		if (msg->level && !msg->assert)
			break; /* de-assert: nothing since the Pentium 4 */
		atomic_store(&cpu->init_pending, 1);
		soft_request(cpu, SOFT_REQ_EVENT);
		break;
	case LAPIC_SIPI:
		atomic_store(&cpu->sipi, 0x100u | msg->vector);
		soft_request(cpu, SOFT_REQ_EVENT);
		break;
	default:
		return false;
	}
	return true;
}

/* The addressed vCPU of lowest priority, in turn among equals. */
static unsigned
deliver_lowest(
    struct soft_vm *vm, struct soft_cpu *from, const struct lapic_message *msg)
{
	unsigned n = cpu_count(vm), start, p, best = ~0u;
	struct soft_cpu *to = NULL, *cpu;

	start = atomic_fetch_add(&vm->lowest_next, 1);
	for (unsigned i = 0; i < n; i++) {
		cpu = cpu_at(vm, (start + i) % n);
		if (cpu == NULL || !addressed(cpu, from, msg))
			continue;
		p = lapic_priority(cpu->lapic);
		if (p < best) {
			best = p;
			to = cpu;
		}
	}
	return to != NULL && deliver_one(to, msg);
}

unsigned
soft_vm_message(
    struct soft_vm *vm, struct soft_cpu *from, const struct lapic_message *msg)
{
	unsigned n = cpu_count(vm), taken = 0;
	struct soft_cpu *cpu;

	if (msg->delivery == LAPIC_LOWEST)
		return deliver_lowest(vm, from, msg);
	for (unsigned i = 0; i < n; i++) {
		cpu = cpu_at(vm, i);
		if (cpu && addressed(cpu, from, msg))
			taken += deliver_one(cpu, msg);
	}
	return taken;
}

/* ---- stopping the others ---- */

/*
 * Standing still: out of the run loop, asleep, or parked. Whoever leaves one of
 * these states looks at 'request' before it touches guest memory, and the
 * request was made before the state was looked at.
 */
static bool
still(struct soft_cpu *cpu)
{
	return atomic_load(&cpu->parked) || atomic_load(&cpu->sleeping) ||
	    !atomic_load(&cpu->running);
}

void
soft_vm_stop_others(struct soft_cpu *cpu)
{
	struct soft_vm *vm = cpu->vm;
	struct soft_cpu *other, *none = NULL;
	unsigned n = cpu_count(vm);

	if (n == 1)
		return;
	if (!atomic_compare_exchange_strong(&vm->stopper, &none, cpu)) {
		sched_yield();
		soft_restart(cpu);
	}
	for (unsigned i = 0; i < n; i++) {
		other = cpu_at(vm, i);
		if (other != NULL && other != cpu)
			atomic_fetch_or(&other->request, SOFT_REQ_STOP);
	}
	for (unsigned i = 0; i < n; i++) {
		other = cpu_at(vm, i);
		while (other != NULL && other != cpu && !still(other)) {
			/* It may be waiting for us. */
			if (atomic_load(&cpu->request) &
			    ~(uint32_t)SOFT_REQ_STEP) {
				soft_vm_go_on(cpu);
				soft_restart(cpu);
			}
			sched_yield();
		}
	}
}

void
soft_vm_go_on(struct soft_cpu *cpu)
{
	if (atomic_load_explicit(&cpu->vm->stopper, memory_order_relaxed) ==
	    cpu)
		atomic_store(&cpu->vm->stopper, NULL);
}

void
soft_cpu_park(struct soft_cpu *cpu)
{
	do {
		atomic_store(&cpu->parked, 1);
		while (atomic_load(&cpu->vm->stopper) != NULL)
			sched_yield();
		atomic_store(&cpu->parked, 0);
		/* The next one may have seen us parked. */
	} while (atomic_fetch_and(&cpu->request, ~(uint32_t)SOFT_REQ_STOP) &
	    SOFT_REQ_STOP);
}

/* ---- timers ---- */

static uint64_t
earliest(struct soft_vm *vm)
{
	uint64_t t = UINT64_MAX;

	for (unsigned i = 0; i < cpu_count(vm); i++)
		if (vm->deadline[i] < t)
			t = vm->deadline[i];
	return t;
}

static void
wait_until(struct soft_vm *vm, uint64_t tsc)
{
	uint64_t now = soft_host_tsc(), ns;
	struct timespec ts;

	if (tsc <= now)
		return;
	ns = (uint64_t)((unsigned __int128)(tsc - now) * 1000000000u /
	    vm->tsc_hz);
	if (ns > UINT64_C(1000000000))
		ns = 1000000000u;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ns += (uint64_t)ts.tv_nsec;
	ts.tv_sec += (time_t)(ns / 1000000000u);
	ts.tv_nsec = (long)(ns % 1000000000u);
	pthread_cond_timedwait(&vm->timer_cond, &vm->timer_lock, &ts);
}

static void *
timer_thread(void *arg)
{
	struct soft_vm *vm = arg;
	struct soft_cpu *cpu;
	uint64_t now;

	pthread_mutex_lock(&vm->timer_lock);
	while (!vm->timer_stop) {
		now = soft_host_tsc();
		for (unsigned i = 0; i < cpu_count(vm); i++) {
			if (vm->deadline[i] > now)
				continue;
			vm->deadline[i] = UINT64_MAX;
			cpu = cpu_at(vm, i);
			if (cpu)
				soft_request(cpu, SOFT_REQ_TIMER);
		}
		vm->timer_next = earliest(vm);
		if (vm->timer_next == UINT64_MAX)
			pthread_cond_wait(&vm->timer_cond, &vm->timer_lock);
		else
			wait_until(vm, vm->timer_next);
	}
	pthread_mutex_unlock(&vm->timer_lock);
	return NULL;
}

void
soft_vm_set_deadline(struct soft_vm *vm, unsigned id, uint64_t host_tsc)
{
	pthread_mutex_lock(&vm->timer_lock);
	vm->deadline[id] = host_tsc;
	/* A later one is found when the thread wakes for the old one. */
	if (host_tsc < vm->timer_next)
		pthread_cond_signal(&vm->timer_cond);
	pthread_mutex_unlock(&vm->timer_lock);
}

int
soft_vm_timer_start(struct soft_vm *vm)
{
	pthread_condattr_t attr;
	int r;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->timer_cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&vm->timer_lock, NULL);
	vm->timer_next = UINT64_MAX;
	r = soft_thread_create(&vm->timer_thread, timer_thread, vm);
	vm->timer_started = r == 0;
	return r;
}

void
soft_vm_timer_stop(struct soft_vm *vm)
{
	if (vm->timer_started) {
		pthread_mutex_lock(&vm->timer_lock);
		vm->timer_stop = true;
		pthread_cond_signal(&vm->timer_cond);
		pthread_mutex_unlock(&vm->timer_lock);
		pthread_join(vm->timer_thread, NULL);
	}
	pthread_cond_destroy(&vm->timer_cond);
	pthread_mutex_destroy(&vm->timer_lock);
}
