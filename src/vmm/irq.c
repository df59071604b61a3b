/*
 * Interrupt lines between the devices and the two controllers. A line is wired
 * OR: it is up while any source holds it up. ISA lines reach the PIC and the
 * I/O APIC, PIRQs reach the I/O APIC and, as the LPC bridge routes them, the
 * PIC.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "vmm/vm_impl.h"

#define ISA_COUNT 16
#define PIT_PIN 2 /* MADT: ISA 0 is I/O APIC input 2 */

static bool
irq_pic_level_locked(const struct irq *irq, unsigned isa)
{
	unsigned n;

	if (irq->line[isa].count != 0)
		return true;
	for (n = 0; n < 8; n++)
		if (irq->pirq[n] == (int)isa &&
		    irq->line[GSI_PIRQ0 + n].count != 0)
			return true;
	return false;
}

/* The controllers' inputs follow the line. */
static void
irq_drive_locked(struct irq *irq, unsigned gsi)
{
	bool level = irq->line[gsi].count != 0;
	int isa = gsi < ISA_COUNT ? (int)gsi : irq->pirq[gsi - GSI_PIRQ0];

	if (isa >= 0)
		pic_set_line(irq->pic, (unsigned)isa,
		    irq_pic_level_locked(irq, (unsigned)isa));
	/* Input 2 belongs to the PIT; ISA line 2 is the PIC's cascade. */
	if (gsi == GSI_PIT)
		ioapic_set_line(irq->ioapic, PIT_PIN, level);
	else if (gsi != PIT_PIN)
		ioapic_set_line(irq->ioapic, gsi, level);
}

static size_t
line_find(const struct irq_line *line, const void *source)
{
	size_t i;

	for (i = 0; i < line->count; i++)
		if (line->source[i] == source)
			break;
	return i;
}

static int
line_raise(struct irq_line *line, const void *source)
{
	const void **bigger;

	if (line_find(line, source) < line->count)
		return 0;
	if (line->count == line->cap) {
		bigger = alloc_resize(
		    line->source, line->cap + 8, sizeof(line->source[0]));
		if (bigger == NULL)
			return -ENOMEM;
		line->source = bigger;
		line->cap += 8;
	}
	line->source[line->count++] = source;
	return 0;
}

static void
line_lower(struct irq_line *line, const void *source)
{
	size_t i = line_find(line, source);

	if (i < line->count)
		line->source[i] = line->source[--line->count];
}

void
vm_irq_set(struct vm *vm, unsigned gsi, const void *source, bool level)
{
	struct irq *irq = &vm->irq;
	struct irq_line *line;
	int rc = 0;

	if (gsi >= GSI_COUNT)
		return;
	pthread_mutex_lock(&irq->lock);
	line = &irq->line[gsi];
	if (level)
		rc = line_raise(line, source);
	else
		line_lower(line, source);
	irq_drive_locked(irq, gsi);
	pthread_mutex_unlock(&irq->lock);
	if (rc != 0)
		log_err("vmm", "interrupt line %u: out of memory", gsi);
}

void
vm_irq_pulse(struct vm *vm, unsigned gsi)
{
	static const char pulse;

	/* Only the edge counts; a line that is up already gives none. */
	vm_irq_set(vm, gsi, &pulse, true);
	vm_irq_set(vm, gsi, &pulse, false);
}

bool
vm_irq_notices(struct vm *vm, unsigned gsi)
{
	struct irq *irq = &vm->irq;
	unsigned pin = gsi == GSI_PIT ? PIT_PIN : gsi;

	return (gsi < ISA_COUNT && pic_notices(irq->pic, gsi)) ||
	    ioapic_notices(irq->ioapic, pin);
}

void
vm_irq_listen(struct vm *vm, void (*fn)(void *arg), void *arg)
{
	struct irq *irq = &vm->irq;

	pthread_mutex_lock(&irq->listen_lock);
	irq->listen = fn;
	irq->listen_arg = arg;
	pthread_mutex_unlock(&irq->listen_lock);
}

void
vm_pirq_route(struct vm *vm, unsigned pirq, int isa)
{
	struct irq *irq = &vm->irq;
	int old;

	if (pirq >= 8)
		return;
	if (isa < 0 || isa >= ISA_COUNT)
		isa = -1;
	pthread_mutex_lock(&irq->lock);
	old = irq->pirq[pirq];
	irq->pirq[pirq] = isa;
	if (old >= 0)
		pic_set_line(irq->pic, (unsigned)old,
		    irq_pic_level_locked(irq, (unsigned)old));
	if (isa >= 0)
		pic_set_line(irq->pic, (unsigned)isa,
		    irq_pic_level_locked(irq, (unsigned)isa));
	pthread_mutex_unlock(&irq->lock);
}

int
vm_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	struct engine_vm *ev = atomic_load(&vm->engine);

	if (ev == NULL)
		return -ENXIO;
	return vm->conf.engine->msi(ev, addr, data);
}

static int
irq_msi(void *arg, uint64_t addr, uint32_t data)
{
	return vm_msi(arg, addr, data);
}

static void
irq_route(void *arg, unsigned pin, uint64_t addr, uint32_t data, bool masked)
{
	struct vm *vm = arg;
	struct engine_vm *ev = atomic_load(&vm->engine);

	if (ev != NULL)
		vm->conf.engine->ioapic_route(ev, pin, addr, data, masked);
}

static void
irq_extint(void *arg, bool level)
{
	struct vm *vm = arg;
	struct engine_vm *ev = atomic_load(&vm->engine);

	if (ev != NULL)
		vm->conf.engine->extint(ev, level);
}

static void
irq_listens(void *arg)
{
	struct vm *vm = arg;
	struct irq *irq = &vm->irq;

	pthread_mutex_lock(&irq->listen_lock);
	if (irq->listen != NULL)
		irq->listen(irq->listen_arg);
	pthread_mutex_unlock(&irq->listen_lock);
}

static void
irq_masks_changed(void *arg)
{
	halt_masks_changed(arg);
}

bool
irq_is_quiet(const struct vm *vm)
{
	return pic_is_masked(vm->irq.pic) && ioapic_is_masked(vm->irq.ioapic);
}

int
irq_create(struct vm *vm, struct error *err)
{
	const struct pic_client pic_client = { irq_extint, irq_masks_changed,
		irq_listens, vm };
	const struct ioapic_client ioapic_client = { irq_msi, irq_route,
		irq_masks_changed, irq_listens, vm };
	struct irq *irq = &vm->irq;
	unsigned n;
	int rc;

	for (n = 0; n < 8; n++)
		irq->pirq[n] = -1;
	rc = pic_create(&pic_client, &irq->pic);
	if (rc == 0)
		rc = ioapic_create(&ioapic_client, &irq->ioapic);
	if (rc != 0)
		return error_sys(err, -rc, "interrupt controllers");
	rc = pic_attach(irq->pic, vm->pio, err);
	if (rc == 0)
		rc = ioapic_attach(irq->ioapic, vm->mmio, err);
	return rc;
}

void
irq_destroy(struct vm *vm)
{
	size_t i;

	pic_destroy(vm->irq.pic);
	ioapic_destroy(vm->irq.ioapic);
	for (i = 0; i < GSI_COUNT; i++)
		free(vm->irq.line[i].source);
}
