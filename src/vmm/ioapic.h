/*
 * The I/O APIC: 24 inputs that become messages to local APICs. Sources: Intel
 * 82093AA datasheet (290566), Intel ICH9 datasheet 13.5 (version 20h with the
 * EOI register at offset 40h).
 *
 * Threads: every function may be called from any thread. The client's functions
 * are called with the I/O APIC's lock held and must not call back, except
 * masks_changed, which is called without.
 */
#ifndef VMM_IOAPIC_H
#define VMM_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/bus.h"

#define IOAPIC_PINS 24

struct ioapic;

struct ioapic_client {
	/* Send a message: > 0 taken, 0 no local APIC took it, < 0 error. */
	int (*msi)(void *arg, uint64_t addr, uint32_t data);
	/* A redirection changed; as engine_ops.ioapic_route. */
	void (*route)(
	    void *arg, unsigned pin, uint64_t addr, uint32_t data, bool masked);
	/* ioapic_is_masked() may have changed. */
	void (*masks_changed)(void *arg);
	void *arg;
};

int ioapic_create(const struct ioapic_client *client, struct ioapic **ret);
void ioapic_destroy(struct ioapic *io); /* NULL is allowed */
int ioapic_attach(struct ioapic *io, struct bus *mmio, struct error *err);

void ioapic_set_line(struct ioapic *io, unsigned pin, bool level);
/* A local APIC ended a level-triggered interrupt. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);
/* No pin is unmasked. Lock-free. */
bool ioapic_is_masked(const struct ioapic *io);

#endif
