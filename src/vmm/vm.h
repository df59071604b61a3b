/*
 * The machine's frame: memory, buses, interrupt controllers, vCPU threads and
 * the main event loop. Devices hang themselves on it.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mevent.h"
#include "vmm/bus.h"
#include "vmm/engine.h"
#include "vmm/mem.h"

/* Why a machine stopped; the value is bhyve(8)'s exit status. */
enum vm_stop {
	VM_STOP_RESET = 0,
	VM_STOP_POWEROFF = 1,
	VM_STOP_HALT = 2,
	VM_STOP_TRIPLE_FAULT = 3,
	VM_STOP_ERROR = 4,
};

struct vm_config {
	const char *name;
	struct vm_mem_config mem;
	struct cpu_topology topo;
	const struct engine_ops *engine;
	bool x2apic;
	bool strict_msr;
	bool strict_io;
	bool exit_on_pause;
	bool lockstep; /* the software engine checks itself */
	bool no_step; /* what KVM cannot emulate ends the machine */
};

struct vm;
struct ioapic;
struct pic;

int vm_create(const struct vm_config *conf, struct vm **ret, struct error *err);
/* Stops what runs, joins threads, frees all. NULL is allowed. */
void vm_destroy(struct vm *vm);

const char *vm_name(const struct vm *vm);
struct vm_mem *vm_mem(struct vm *vm);
struct bus *vm_pio(struct vm *vm);
struct bus *vm_mmio(struct vm *vm);
struct mevent_loop *vm_loop(struct vm *vm); /* the main loop */
const struct cpu_topology *vm_topology(const struct vm *vm);
const struct engine_ops *vm_engine_ops(const struct vm *vm);
struct engine_vm *vm_engine(struct vm *vm);

/*
 * Pin a vCPU's thread to host CPUs (a list as "0-1,3"; several calls add up).
 * Before vm_prepare, which starts the threads.
 */
int vm_pin(struct vm *vm, unsigned vcpu, const char *cpus, struct error *err);
/* State in which a vCPU starts; before vm_run. Default: reset state. */
int
vm_set_vcpu_state(struct vm *vm, unsigned vcpu, const struct vcpu_state *st);
/*
 * Create the engine's VM and the vCPUs (after memory, ROMs and devices are
 * there), ready to run: no guest instruction yet. Separate from vm_run, so that
 * "ready" can be reported and a sandbox entered in between. The vCPUs' threads
 * exist after it and wait: a seccomp filter needs TSYNC to reach them, a
 * Landlock domain is inherited only when entered before.
 */
int vm_prepare(struct vm *vm, struct error *err);
/*
 * Run the main loop on the caller's thread until the machine stops and every
 * vCPU has left the devices' handlers.
 */
enum vm_stop vm_run(struct vm *vm);

/*
 * Ask the machine to stop; the first reason wins. Any thread, also from a bus
 * handler; does not wait. cause: for the log and the exit event.
 */
void vm_stop(struct vm *vm, enum vm_stop reason, const char *cause);
/* The cause text of the stop that won ("" while running). */
const char *vm_stop_cause(const struct vm *vm);

/*
 * Interrupt lines. gsi 0-15 go to the PIC and the I/O APIC, 16-23 to the I/O
 * APIC. A line's level is the OR of its sources: each source passes its own
 * address as 'source' and its own level. Any thread.
 */
void vm_irq_set(struct vm *vm, unsigned gsi, const void *source, bool level);
void vm_irq_pulse(struct vm *vm, unsigned gsi);
/*
 * Would a rising edge of the line change anything in the PIC or the I/O APIC?
 * A periodic source need not wake anybody while not. fn is called when that may
 * have become true, on any thread, without a lock of the controllers; one
 * listener, NULL ends it and waits for a call in progress.
 */
bool vm_irq_notices(struct vm *vm, unsigned gsi);
void vm_irq_listen(struct vm *vm, void (*fn)(void *arg), void *arg);
/*
 * PIRQ routing (LPC bridge registers 60-63h, 68-6bh): also drive ISA line irq
 * (0-15) of the PIC from PIRQ n (0-7); irq < 0 = not routed.
 */
void vm_pirq_route(struct vm *vm, unsigned pirq, int irq);
/* The edge/level control registers 4d0h/4d1h are the PIC's. */
int vm_msi(struct vm *vm, uint64_t addr, uint32_t data);
int vm_nmi(struct vm *vm, unsigned vcpu);

/*
 * Stop all vCPUs at an instruction boundary / let them go on. Pauses count.
 * vm_pause() waits for them; -EDEADLK on a vCPU's own thread. Meanwhile calls
 * posted to the main loop run, also if it is the caller's: a vCPU that resets a
 * device of the main loop waits for one (mevent_call_wait).
 */
int vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
/* Only before vm_run, while paused or after the stop: else -EBUSY. */
int vm_get_vcpu_state(struct vm *vm, unsigned vcpu, struct vcpu_state *ret);

/*
 * A thread with an event loop of its own, for a device's data path. Signals
 * are blocked in it. name: at most 15 characters.
 */
struct iothread;
int iothread_create(const char *name, struct iothread **ret, struct error *err);
struct mevent_loop *iothread_loop(struct iothread *thr);
void iothread_destroy(struct iothread *thr); /* joins; NULL is allowed */

#endif
