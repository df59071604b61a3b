/*
 * The engine seam: what runs guest instructions. kvm/ and soft/ implement this
 * table; devices, loaders, snapshots and migration see nothing else of them.
 *
 * An engine owns: instruction execution, the local APICs (xAPIC and x2APIC,
 * IPIs, INIT/SIPI, timer), MSRs, CPUID, kvmclock, HLT. The machine owns:
 * memory, buses, PIC, PIT, I/O APIC.
 *
 * Threads: a vCPU's functions are called on its own thread, except vcpu_kick
 * and nmi, which any thread may call (vcpu_kick also from a signal handler).
 * State is read and written only while the vCPU is not in vcpu_run. VM-level
 * functions may be called from any thread.
 */
#ifndef VMM_ENGINE_H
#define VMM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/cpuid.h"
#include "vmm/mem.h"
#include "vmm/state.h"
#include "vmm/types.h"

struct engine_vm; /* opaque, one per engine */
struct engine_vcpu;

/*
 * What an engine asks of the machine, always on the vCPU's thread and with no
 * engine lock held. width: 1, 2, 4 (ports); 1, 2, 4, 8 (MMIO).
 */
struct engine_client {
	uint64_t (*pio_read)(void *m, uint16_t port, unsigned width);
	void (*pio_write)(
	    void *m, uint16_t port, unsigned width, uint32_t value);
	uint64_t (*mmio_read)(void *m, gpa_t gpa, unsigned width);
	void (*mmio_write)(void *m, gpa_t gpa, unsigned width, uint64_t value);
	/* A local APIC got an EOI for a level-triggered vector. */
	void (*eoi)(void *m, uint8_t vector);
	/*
	 * INTA cycle: the PIC's vector, or -1 when its INT line has dropped.
	 */
	int (*extint_ack)(void *m);
};

struct engine_vm_config {
	const struct engine_client *client;
	void *machine; /* first argument of the client's functions */
	struct vm_mem *mem; /* every region of it is mapped by vm_create */
	unsigned max_vcpus;
	bool x2apic_ids; /* APIC ids above 254 exist */
	bool strict_msr; /* unknown MSRs fault; else read 0, writes dropped */
	bool exit_on_pause; /* a hint; KVM decides by itself */
	bool lockstep; /* check each instruction by a second way; soft only */
	bool stepped; /* somebody steps after ENGINE_EXIT_EMULATION */
};

struct engine_vcpu_config {
	unsigned id; /* 0 = boot processor */
	uint32_t apic_id;
	const struct cpuid_table *cpuid;
	bool x2apic; /* start in x2APIC mode */
};

enum engine_exit {
	ENGINE_EXIT_KICKED, /* vcpu_kick, or any signal */
	ENGINE_EXIT_TRIPLE_FAULT,
	/* The engine cannot go on; vcpu_report says why. */
	ENGINE_EXIT_FAILED,
	ENGINE_EXIT_DEBUG, /* single step done, breakpoint */
	/*
	 * The engine cannot execute the instruction at RIP, another one may
	 * (struct engine_stepped_ops); vcpu_report says why. Only with
	 * engine_vm_config.stepped.
	 */
	ENGINE_EXIT_EMULATION,
};

struct engine_report {
	char reason[160];
	uint8_t insn[15]; /* bytes at RIP, as many as could be read */
	unsigned insn_len;
};

enum {
	ENGINE_IOEVENT_PIO = 1, /* port space, else MMIO */
	ENGINE_IOEVENT_MATCH = 2, /* only writes of 'value' */
};

/*
 * What the engine of a vCPU gives to one that executes a single instruction for
 * it, after ENGINE_EXIT_EMULATION and on the vCPU's thread. The local APIC and
 * the MSRs stay with the vCPU's engine.
 */
struct engine_stepped_ops {
	/*
	 * The state that one instruction can need: no LAPIC page, of the MSRs
	 * those that instructions use by themselves and the TSC (10h). Without
	 * MSRs and FP state (xsave_size 0) for an instruction that needs none.
	 * -EBUSY: an event is being delivered, the instruction is not next.
	 */
	int (*get)(struct engine_vcpu *vcpu, struct vcpu_state *ret);
	/*
	 * Put back what differs. was: what get gave. > 0: done, and the vCPU
	 * was to stop after one instruction (vcpu_single_step).
	 */
	int (*set)(struct engine_vcpu *vcpu, const struct vcpu_state *was,
	    const struct vcpu_state *st);
	/* An MSR at once, for RDMSR and WRMSR. < 0: #GP. */
	int (*msr)(struct engine_vcpu *vcpu, uint32_t index, bool write,
	    uint64_t *value);
	/* A register of the xAPIC page, offset a multiple of 16 below 1024. */
	int (*apic_read)(
	    struct engine_vcpu *vcpu, unsigned offset, uint32_t *ret);
	/* RAM was written past the engine: for its dirty log. */
	void (*written)(struct engine_vcpu *vcpu, gpa_t gpa, uint64_t len);
};

struct engine_stepper_config {
	const struct engine_client *client;
	void *machine;
	struct vm_mem *mem;
	const struct engine_stepped_ops *owner;
	struct engine_vcpu *vcpu; /* first argument of the owner's functions */
	unsigned id;
};

enum engine_step {
	ENGINE_STEP_DONE, /* executed, or its fault delivered */
	ENGINE_STEP_TRIPLE_FAULT,
	ENGINE_STEP_CANNOT, /* nothing of *st changed */
};

struct engine_stepper;

/*
 * The other side: executes one instruction of a vCPU of another engine, or the
 * part of a REP string up to the next page. One stepper a vCPU, used on its
 * thread only; nothing of the vCPU is kept between two steps.
 */
struct engine_stepper_ops {
	int (*create)(const struct engine_stepper_config *conf,
	    struct engine_stepper **ret, struct error *err);
	void (*destroy)(struct engine_stepper *stepper); /* NULL is allowed */
	/* why: filled with CANNOT */
	enum engine_step (*step)(struct engine_stepper *stepper,
	    struct vcpu_state *st, char *why, size_t size);
};

struct engine_ops {
	const char *name; /* "kvm", "soft" */

	/*
	 * Can this engine run here at all? 0, or why not.
	 */
	int (*probe)(struct error *err);
	/*
	 * CPUID leaves that this engine can offer; tsc_hz of its guests, or 0
	 * when only a vCPU can tell: vcpu_create then adds the rows about it
	 * (cpuid_set_tsc).
	 */
	int (*cpuid_supported)(
	    struct cpuid_table *ret, uint64_t *ret_tsc_hz, struct error *err);

	int (*vm_create)(const struct engine_vm_config *conf,
	    struct engine_vm **ret, struct error *err);
	void (*vm_destroy)(struct engine_vm *vm);

	int (*vcpu_create)(struct engine_vm *vm,
	    const struct engine_vcpu_config *conf, struct engine_vcpu **ret,
	    struct error *err);
	void (*vcpu_destroy)(struct engine_vcpu *vcpu);
	/*
	 * Run until something happens that the machine's loop must know.
	 * HLT, IPIs and start-up of APs are handled inside. Called on the
	 * thread that the vCPU belongs to from the first call on.
	 */
	enum engine_exit (*vcpu_run)(struct engine_vcpu *vcpu);
	/*
	 * Make vcpu_run return ENGINE_EXIT_KICKED soon; sticky if it is not
	 * running now.
	 */
	void (*vcpu_kick)(struct engine_vcpu *vcpu);
	void (*vcpu_report)(
	    struct engine_vcpu *vcpu, struct engine_report *ret);
	int (*vcpu_get)(struct engine_vcpu *vcpu, struct vcpu_state *ret);
	int (*vcpu_set)(struct engine_vcpu *vcpu, const struct vcpu_state *st);
	/* Report ENGINE_EXIT_DEBUG after each instruction. */
	int (*vcpu_single_step)(struct engine_vcpu *vcpu, bool on);
	int (*nmi)(struct engine_vcpu *vcpu);
	/*
	 * In HLT with RFLAGS.IF clear and no event pending, or an AP that was
	 * never started? Asked on the vCPU's thread after a kick.
	 */
	bool (*vcpu_is_dead)(struct engine_vcpu *vcpu);

	/*
	 * Message-signalled interrupt: the address and data of the write. > 0:
	 * a local APIC took it, 0: none did (disabled, no such), < 0: error.
	 */
	int (*msi)(struct engine_vm *vm, uint64_t addr, uint32_t data);
	/*
	 * The PIC's INT output changed. While high, the boot processor calls
	 * client->extint_ack as soon as it can take the interrupt (LINT0 in
	 * ExtINT mode, virtual wire).
	 */
	void (*extint)(struct engine_vm *vm, bool level);
	/*
	 * The redirection of an I/O APIC pin, so that the engine reports EOIs
	 * of level-triggered ones. addr/data as an MSI would have them.
	 */
	int (*ioapic_route)(struct engine_vm *vm, unsigned pin, uint64_t addr,
	    uint32_t data, bool masked);

	/*
	 * Signals on eventfd 'fd' become the MSI (on), or no longer (off).
	 * Rebinding the same fd replaces the message. -ENOSYS: not offered.
	 */
	int (*irqfd)(struct engine_vm *vm, int fd, uint64_t addr, uint32_t data,
	    bool on);
	/*
	 * Between begin and its end, irqfd changes may be held back and made
	 * at once (turning on a device's many vectors). Nests; NULL: not
	 * needed.
	 */
	int (*irq_batch)(struct engine_vm *vm, bool begin);
	/*
	 * A guest write to addr of len bytes (0: any) signals fd instead of
	 * coming to the bus. -ENOSYS: not offered; the write then comes
	 * through the client.
	 */
	int (*ioeventfd)(struct engine_vm *vm, int fd, uint64_t addr,
	    unsigned len, uint64_t value, unsigned flags, bool on);

	/*
	 * Dirty log of a RAM slot: 1 bit a 4 KiB page. get overwrites the
	 * bitmap and clears the log.
	 */
	int (*dirty_start)(struct engine_vm *vm, struct error *err);
	int (*dirty_stop)(struct engine_vm *vm);
	int (*dirty_get)(struct engine_vm *vm, uint32_t slot, uint64_t *bitmap);

	/* NULL: the engine executes everything by itself. */
	const struct engine_stepped_ops *stepped;
};

extern const struct engine_ops engine_kvm;
extern const struct engine_ops engine_soft;
extern const struct engine_stepper_ops engine_soft_stepper;

/*
 * "auto", "kvm", "soft". auto: KVM when it is present and fast by
 * kvm_calibrate(), else soft; says which and why in the log.
 */
int engine_choose(
    const char *name, const struct engine_ops **ret, struct error *err);

struct kvm_speed {
	double ring0_mips; /* guest ring 0, long mode, dec/jnz loop */
	uint64_t elapsed_ns;
	bool fast; /* not emulated: at least 100 MIPS */
};
/* Run a short ring-0 loop in a scratch VM; bounded to ~20 ms. */
int kvm_calibrate(struct kvm_speed *ret, struct error *err);

#endif
