/*
 * The inside of struct vm. Private to the files of src/vmm itself.
 *
 * Locks, outer before inner: irq.lock, the PIC's, the I/O APIC's, an engine's
 * own. vm.lock is a leaf: nothing is called with it held but the engine's
 * vcpu_kick and mevent functions.
 */
#ifndef VMM_VM_IMPL_H
#define VMM_VM_IMPL_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "vmm/ioapic.h"
#include "vmm/memmap.h"
#include "vmm/pic.h"
#include "vmm/vm.h"

struct vcpu;
struct vcpu_stepper;

/* Something to do on a parked vCPU's thread. */
struct vcpu_work {
	int (*fn)(struct vcpu *vcpu, void *arg);
	void *arg;
	int rc;
	bool done;
};

struct vcpu {
	struct vm *vm;
	unsigned id;
	struct engine_vcpu *engine;
	struct vcpu_state *initial; /* set before the engine's vCPU exists */
	pthread_t thread;
	bool has_thread;
	bool pinned;
	cpu_set_t cpus;
	struct vcpu_work *work; /* vm.lock */
	unsigned halt_round; /* vm.lock: the last one answered */
	struct vcpu_stepper *step; /* or NULL */
};

/* Sources that hold a line up; the line is up while there are any. */
struct irq_line {
	const void **source;
	size_t count, cap;
};

struct irq {
	pthread_mutex_t lock;
	struct irq_line line[GSI_COUNT];
	int pirq[8]; /* ISA input that PIRQ n drives too, or -1 */
	struct pic *pic;
	struct ioapic *ioapic;
	pthread_mutex_t listen_lock; /* the two below; outside of all others */
	void (*listen)(void *arg);
	void *listen_arg;
};

/* See halt.c. All under vm.lock. */
struct halt {
	struct mevent *timer;
	uint64_t wait_ns;
	bool quiet;
	enum { HALT_IDLE, HALT_PARKING, HALT_ASKING } phase;
	unsigned round, left, dead;
};

enum { STOP_NONE, STOP_CLAIMED, STOP_PUBLISHED };

struct vm {
	struct vm_config conf;
	char *name;
	struct vm_mem *mem;
	struct bus *pio, *mmio;
	struct mevent_loop *loop;
	struct irq irq;
	struct engine_vm *_Atomic engine; /* devices may look before it is */
	struct vcpu *vcpu;
	unsigned nvcpus;

	_Atomic uint64_t steps; /* instructions that the engine left to us */

	atomic_int stop; /* STOP_* */
	enum vm_stop reason;
	char cause[256];

	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool running, dying;
	unsigned pauses;
	unsigned parked; /* vCPU threads outside of the engine */
	unsigned loop_waits; /* the main loop's thread waits for parked */
	struct halt halt;
};

/* irq.c */
int irq_create(struct vm *vm, struct error *err);
void irq_destroy(struct vm *vm);
bool irq_is_quiet(const struct vm *vm); /* no line can reach a vCPU */

/* client.c */
extern const struct engine_client vm_client;

/* vcpu.c */
int vcpu_start(struct vcpu *vcpu, struct error *err);
void vcpu_join(struct vcpu *vcpu);
void vm_kick_all(struct vm *vm);
/*
 * Wait until every vCPU is parked. on_loop: this is the main loop's thread,
 * whose posted calls go on being served: a vCPU may be waiting for one.
 */
void vm_wait_parked(struct vm *vm, bool on_loop);
bool vm_may_run_locked(const struct vm *vm);
bool vm_is_stopped(const struct vm *vm);
/*
 * Run fn on the vCPU's thread: -EBUSY unless the machine is paused, not yet
 * running or stopped; else fn's result.
 */
int vm_on_vcpu(struct vm *vm, unsigned vcpu,
    int (*fn)(struct vcpu *vcpu, void *arg), void *arg);

/* step.c */
bool step_wanted(const struct vm_config *conf);
int step_create(struct vcpu *vcpu, struct error *err);
void step_destroy(struct vcpu *vcpu);
/*
 * After ENGINE_EXIT_EMULATION. Returns that if the vCPU is to go on, else what
 * else came of it.
 */
enum engine_exit step_run(struct vcpu *vcpu);

/* report.c */
unsigned vcpu_code_bits(const struct vcpu_state *st); /* 16, 32, 64 */
/* All that is known of a vCPU that cannot go on, to the log. */
void vcpu_log_failure(struct vcpu *vcpu);

/* halt.c */
int halt_create(struct vm *vm, struct error *err);
void halt_destroy(struct vm *vm);
void halt_masks_changed(struct vm *vm); /* any thread */
/* A parked vCPU's part; true when it did something (vm.lock was dropped). */
bool halt_step_locked(struct vcpu *vcpu);

#endif
