/*
 * The I/O APIC: 24 inputs that become messages to local APICs. Sources: Intel
 * 82093AA datasheet (290566), Intel ICH9 datasheet 13.5 (version 20h with the
 * EOI register at offset 40h).
 *
 * Threads: every function may be called from any thread. The client's functions
 * are called with the I/O APIC's lock held and must not call back, except
 * masks_changed and listens, which are called without.
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
	/* ioapic_notices() is true for one more pin. */
	void (*listens)(void *arg);
	void *arg;
};

int ioapic_create(const struct ioapic_client *client, struct ioapic **ret);
void ioapic_destroy(struct ioapic *io); /* NULL is allowed */
int ioapic_attach(struct ioapic *io, struct bus *mmio, struct error *err);

void ioapic_set_line(struct ioapic *io, unsigned pin, bool level);
/* A local APIC ended a level-triggered interrupt. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);
/* The pin is not masked: an edge is no news otherwise. Lock-free. */
bool ioapic_notices(const struct ioapic *io, unsigned pin);
/* No pin is unmasked. Lock-free. */
bool ioapic_is_masked(const struct ioapic *io);

/* Everything that it keeps. Plain data. */
#define IOAPIC_STATE_VERSION 1
struct ioapic_state {
	uint32_t version;
	uint32_t lines; /* input levels, bit 0 = pin 0 */
	uint64_t rte[IOAPIC_PINS]; /* redirection entries as registers */
	uint8_t select, id;
	uint8_t pad[6];
};

/*
 * For a paused machine. set tells the client every redirection, sends nothing
 * and takes the input levels as they were: sources say theirs again and cause
 * no second edge. -EINVAL: another version, or bits that the chip has not.
 */
void ioapic_get_state(struct ioapic *io, struct ioapic_state *ret);
int ioapic_set_state(struct ioapic *io, const struct ioapic_state *st);

#endif
