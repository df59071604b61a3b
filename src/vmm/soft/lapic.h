/*
 * Local APIC of the software engine: xAPIC page and x2APIC MSRs, timer, IPIs.
 *
 * Source: Intel SDM vol. 3, chapter 10 (registers 10-1, x2APIC 10-6, timer
 * 10.5.4, ICR 10.6, priorities 10.8).
 *
 * Threads: lapic_accept(), lapic_match(), lapic_priority() and
 * lapic_extint_enabled() may be called from any thread (IRR and what they read
 * are atomics); everything else only on the vCPU's own thread or while it does
 * not run. Callbacks are made without any lock of the LAPIC held.
 */
#ifndef VMM_SOFT_LAPIC_H
#define VMM_SOFT_LAPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lapic;

/* Delivery modes of ICR, LVT and MSI, Intel SDM vol. 3, 10.6.1 */
enum lapic_delivery {
	LAPIC_FIXED,
	LAPIC_LOWEST,
	LAPIC_SMI,
	LAPIC_RESERVED,
	LAPIC_NMI,
	LAPIC_INIT,
	LAPIC_SIPI,
	LAPIC_EXTINT,
};

enum lapic_shorthand {
	LAPIC_TO_DEST,
	LAPIC_TO_SELF,
	LAPIC_TO_ALL,
	LAPIC_TO_OTHERS,
};

/* What goes over the APIC bus: an IPI, or an MSI taken apart. */
struct lapic_message {
	uint32_t dest; /* 8 bits (0xff = all) or 32 (0xffffffff = all) */
	bool dest_x2apic; /* dest is 32 bits wide */
	bool logical;
	uint8_t vector;
	uint8_t delivery; /* enum lapic_delivery */
	uint8_t shorthand; /* enum lapic_shorthand */
	bool level; /* trigger mode */
	bool assert; /* level bit: INIT with 0 is "de-assert" */
};

struct lapic_ops {
	/* ICR was written (vCPU's thread); route it, also to itself. */
	void (*send)(void *arg, const struct lapic_message *msg);
	/* IRR got a bit: the vCPU has to look. Any thread. */
	void (*wake)(void *arg);
	/* An LVT entry with delivery mode NMI fired. */
	void (*nmi)(void *arg);
	/* EOI of a level-triggered vector (vCPU's thread). */
	void (*eoi)(void *arg, uint8_t vector);
	/*
	 * Call lapic_timer() when the guest's TSC reaches this; UINT64_MAX:
	 * nothing is due. Replaces the earlier deadline.
	 */
	void (*deadline)(void *arg, uint64_t tsc);
	uint64_t (*tsc)(void *arg); /* guest TSC now */
};

/* Frequency of the timer's input clock, as CPUID leaf 15h ECX says. */
#define LAPIC_TIMER_HZ UINT64_C(25000000)

/* tsc_hz: frequency of the guest's TSC. bsp: bit 8 of APIC_BASE. NULL on
 * lack of memory. */
struct lapic *lapic_create(uint32_t apic_id, bool bsp, bool x2apic,
    uint64_t tsc_hz, const struct lapic_ops *ops, void *arg);
void lapic_destroy(struct lapic *l); /* NULL is allowed */
/* Power-up or INIT; INIT keeps the APIC id and APIC_BASE. */
void lapic_reset(struct lapic *l, bool init);

/* ---- the vCPU's thread ---- */

/* IA32_APIC_BASE (1bh). set: -1 = #GP (invalid mode change, reserved bits). */
uint64_t lapic_base(const struct lapic *l);
int lapic_set_base(struct lapic *l, uint64_t value);
/* Does the page at APIC_BASE decode (xAPIC mode, enabled)? */
bool lapic_mmio_enabled(const struct lapic *l);
/* offset in the 4 KiB page, 16-byte aligned accesses of 4 bytes are defined;
 * the rest reads 0 and is dropped. */
uint32_t lapic_mmio_read(struct lapic *l, unsigned offset);
void lapic_mmio_write(struct lapic *l, unsigned offset, uint32_t value);
/* MSRs 800h-8ffh and IA32_TSC_DEADLINE (6e0h). -1 = #GP. */
int lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *ret);
int lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value);
/* CR8: bits 7:4 of TPR. */
unsigned lapic_cr8(const struct lapic *l);
void lapic_set_cr8(struct lapic *l, unsigned cr8);

/* Highest vector in IRR above PPR, or -1. Cheap: called at event checks. */
int lapic_pending(struct lapic *l);
/* Interrupt acknowledge: move that vector to ISR. -1 if none is left. */
int lapic_ack(struct lapic *l);
/* A deadline that was asked for may have been reached. */
void lapic_timer(struct lapic *l);

/* VM state: the first 1 KiB of the register page, 16-byte strides. */
void lapic_save(const struct lapic *l, uint8_t page[1024]);
void lapic_restore(struct lapic *l, const uint8_t page[1024]);
uint64_t lapic_tsc_deadline(const struct lapic *l);
void lapic_set_tsc_deadline(struct lapic *l, uint64_t tsc);

/* ---- any thread ---- */

/* Is this LAPIC addressed by the message (shorthand aside)? */
bool lapic_match(
    const struct lapic *l, uint32_t dest, bool dest_x2apic, bool logical);
/*
 * Fixed or lowest-priority interrupt arrives: IRR, TMR, then ops->wake. false:
 * refused, the APIC is disabled or the vector illegal.
 */
bool lapic_accept(struct lapic *l, uint8_t vector, bool level);
/* For lowest-priority arbitration: smaller wins. */
unsigned lapic_priority(const struct lapic *l);
/* Does LINT0 let the PIC's INTR through (ExtINT mode and unmasked, or the
 * APIC globally disabled)? */
bool lapic_extint_enabled(const struct lapic *l);

#endif
