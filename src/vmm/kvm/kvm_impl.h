/*
 * The inside of the KVM engine. Interface: Linux,
 * Documentation/virt/kvm/api.rst.
 *
 * KVM runs with a split irqchip: the local APICs are its own, PIC and I/O APIC
 * are the machine's. It knows of them what it must: the vectors of
 * level-triggered pins (so that their EOIs exit), and the PIC's vector when we
 * inject it.
 *
 * Locks: engine_vm.route_lock, innermost. vCPU fields without a word are the
 * vCPU thread's own.
 */
#ifndef VMM_KVM_IMPL_H
#define VMM_KVM_IMPL_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include "vmm/engine.h"
#include "vmm/ioapic.h"

/* Takes a thread out of KVM_RUN; its handler does nothing. */
#define KVM_KICK_SIGNAL (SIGRTMIN + 1)

#define KVM_MAX_SAVED_MSRS VCPU_STATE_MSRS

struct kvm_pin {
	bool level; /* in the table, so that KVM reports its EOIs */
	uint64_t addr;
	uint32_t data;
};

struct kvm_irqfd_slot {
	int fd; /* -1 = free; else borrowed */
	bool bound;
	uint64_t addr;
	uint32_t data;
};

struct engine_vm {
	int fd;
	const struct engine_client *client;
	void *machine;
	struct vm_mem *mem;
	bool strict_msr;
	bool x2apic_format; /* KVM_X2APIC_API_USE_32BIT_IDS is on */
	bool manual_dirty; /* KVM_CLEAR_DIRTY_LOG is needed */
	bool stepped; /* another engine executes what KVM cannot */
	/* By slot: pages that it wrote while the log is on. step.c */
	uint64_t *written[MEM_MAX_REGIONS];
	_Atomic bool log_on;
	size_t run_size;
	uint32_t saved_msr[KVM_MAX_SAVED_MSRS];
	size_t nsaved_msrs;

	_Atomic bool extint; /* the PIC's INT output */
	struct engine_vcpu *_Atomic bsp;

	pthread_mutex_t route_lock;
	struct kvm_pin pin[IOAPIC_PINS];
	struct kvm_irqfd_slot *slot;
	size_t nslots;
	unsigned max_routes;
	unsigned batch; /* depth */
	bool batch_dirty;
};

struct engine_vcpu {
	struct engine_vm *vm;
	int fd;
	unsigned id;
	uint32_t apic_id;
	struct kvm_run *run;
	_Atomic pid_t tid; /* 0 before the first vcpu_run */
	_Atomic bool in_run;
	_Atomic bool kicked; /* vcpu_kick, not one of our own */
	_Atomic bool nmi;
	int vector; /* acknowledged at the PIC, not yet KVM's; or -1 */
	bool queued; /* a PIC vector may be inside KVM, undelivered */
	bool stepping; /* vcpu_single_step */
	struct kvm_vcpu_events step_events; /* as step.c has read them */
	struct engine_report report;
};

/* open.c */
int kvm_open(struct error *err); /* /dev/kvm, checked; caller closes */
/* error_sys() with what to do about the errnos of KVM calls. */
int kvm_error(struct error *err, int code, const char *what);
int kvm_ioctl(int fd, unsigned long req, unsigned long arg); /* 0.. or -errno */
int kvm_ioctl_ptr(int fd, unsigned long req, void *arg);
int kvm_has(int fd, unsigned cap); /* KVM_CHECK_EXTENSION, <= 0 = no */
int kvm_enable(int fd, unsigned cap, uint64_t arg); /* with one argument */
int kvm_install_kick_handler(void);
int kvm_op_probe(struct error *err);

/* cpuid.c */
int kvm_op_cpuid_supported(
    struct cpuid_table *ret, uint64_t *ret_tsc_hz, struct error *err);
/* Completes the table with the frequency that the vCPU's TSC has. */
int kvm_set_cpuid(int vcpu_fd, const struct cpuid_table *tab);

/* step.c */
extern const struct engine_stepped_ops kvm_stepped_ops;
void kvm_enable_emulation_exits(int vm_fd);
int kvm_written_start(struct engine_vm *vm); /* the log is about to start */
void kvm_written_stop(struct engine_vm *vm);
/* Add to a bitmap of the log what was written past KVM. */
void kvm_written_get(
    struct engine_vm *vm, const struct mem_region *reg, uint64_t *bitmap);
void kvm_written_free(struct engine_vm *vm);

/* msr.c */
/*
 * An MSR that KVM does not know: does the access fault? *ret_value: what a read
 * gives if not.
 */
bool kvm_unknown_msr(struct engine_vcpu *vcpu, uint32_t index, const char *what,
    uint64_t *ret_value);
void kvm_find_saved_msrs(struct engine_vm *vm, int vcpu_fd);
int kvm_enable_msr_exits(int vm_fd);
/* KVM_EXIT_X86_RDMSR and _WRMSR: an MSR that KVM does not know. */
void kvm_exit_rdmsr(struct engine_vcpu *vcpu);
void kvm_exit_wrmsr(struct engine_vcpu *vcpu);

/* irq.c */
int kvm_op_msi(struct engine_vm *vm, uint64_t addr, uint32_t data);
void kvm_op_extint(struct engine_vm *vm, bool level);
int kvm_op_ioapic_route(struct engine_vm *vm, unsigned pin, uint64_t addr,
    uint32_t data, bool masked);
int kvm_op_irqfd(
    struct engine_vm *vm, int fd, uint64_t addr, uint32_t data, bool on);
int kvm_op_irq_batch(struct engine_vm *vm, bool begin);
int kvm_op_ioeventfd(struct engine_vm *vm, int fd, uint64_t addr, unsigned len,
    uint64_t value, unsigned flags, bool on);
/* Before each KVM_RUN of the boot processor: hand over the PIC's vector. */
void kvm_inject_extint(struct engine_vcpu *vcpu);
/* Make a vector that is inside KVM visible to KVM_GET_VCPU_EVENTS. */
void kvm_settle_extint(struct engine_vcpu *vcpu);

/* vcpu.c */
int
kvm_op_vcpu_create(struct engine_vm *vm, const struct engine_vcpu_config *conf,
    struct engine_vcpu **ret, struct error *err);
void kvm_op_vcpu_destroy(struct engine_vcpu *vcpu);
enum engine_exit kvm_op_vcpu_run(struct engine_vcpu *vcpu);
void kvm_op_vcpu_kick(struct engine_vcpu *vcpu);
void kvm_op_vcpu_report(struct engine_vcpu *vcpu, struct engine_report *ret);
int kvm_op_vcpu_single_step(struct engine_vcpu *vcpu, bool on);
int kvm_op_nmi(struct engine_vcpu *vcpu);
bool kvm_op_vcpu_is_dead(struct engine_vcpu *vcpu);
/* Out of KVM_RUN and in again; vcpu_run does not return for it. */
void kvm_poke(struct engine_vcpu *vcpu);

/* exit.c */
#define KVM_EXIT_GO_ON (-1)
/* What a return of KVM_RUN means: an enum engine_exit, or GO_ON. */
int kvm_handle_exit(struct engine_vcpu *vcpu);
/* The bytes at the vCPU's RIP into its report. */
void kvm_fetch_bytes(struct engine_vcpu *vcpu);
/* Note why the vCPU cannot go on, with the bytes at its RIP. */
int kvm_fail(struct engine_vcpu *vcpu, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* state.c */
void kvm_regs_from(const struct kvm_regs *regs, const struct kvm_sregs *sregs,
    struct vcpu_state *st);
int kvm_get_regs(struct engine_vcpu *vcpu, struct vcpu_state *st);
int kvm_set_gprs(struct engine_vcpu *vcpu, const struct vcpu_state *st);
int kvm_set_sregs(struct engine_vcpu *vcpu, const struct vcpu_state *st);
int kvm_get_xsave(struct engine_vcpu *vcpu, struct vcpu_state *st);
int kvm_set_xsave(struct engine_vcpu *vcpu, const struct vcpu_state *st);
int kvm_get_debugregs(struct engine_vcpu *vcpu, struct vcpu_state *st);
int kvm_set_debugregs(struct engine_vcpu *vcpu, const struct vcpu_state *st);
void kvm_events_from(const struct kvm_vcpu_events *k, struct vcpu_state *st);
int kvm_op_vcpu_get(struct engine_vcpu *vcpu, struct vcpu_state *ret);
int kvm_op_vcpu_set(struct engine_vcpu *vcpu, const struct vcpu_state *st);

/* dirty.c */
int kvm_map_region(
    struct engine_vm *vm, const struct mem_region *reg, uint32_t flags);
int kvm_op_dirty_start(struct engine_vm *vm, struct error *err);
int kvm_op_dirty_stop(struct engine_vm *vm);
int kvm_op_dirty_get(struct engine_vm *vm, uint32_t slot, uint64_t *bitmap);

#endif
