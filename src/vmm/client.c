/*
 * What the engines ask of the machine: accesses that their memory did not take,
 * and acknowledgements.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "vmm/vm_impl.h"

/* x86.strictio: nothing decoded an access, which ends the machine. */
static void
client_unclaimed(struct vm *vm, const char *what, uint64_t addr, unsigned width)
{
	static struct log_limit limit;
	char cause[96];

	if (vm->conf.strict_io) {
		snprintf(cause, sizeof(cause),
		    "%s of %u bytes at 0x%" PRIx64 " that nothing decodes",
		    what, width, addr);
		vm_stop(vm, VM_STOP_ERROR, cause);
	} else if (log_enabled(LOG_DEBUG)) {
		log_ratelimited(&limit, LOG_DEBUG, "vmm",
		    "%s of %u bytes at 0x%" PRIx64 " that nothing decodes",
		    what, width, addr);
	}
}

static uint64_t
client_pio_read(void *m, uint16_t port, unsigned width)
{
	struct vm *vm = m;
	uint64_t v;

	if (!bus_read(vm->pio, port, width, &v))
		client_unclaimed(vm, "port read", port, width);
	return v;
}

static void
client_pio_write(void *m, uint16_t port, unsigned width, uint32_t value)
{
	struct vm *vm = m;

	if (!bus_write(vm->pio, port, width, value))
		client_unclaimed(vm, "port write", port, width);
}

static uint64_t
client_mmio_read(void *m, gpa_t gpa, unsigned width)
{
	struct vm *vm = m;
	uint64_t v;

	bus_read(vm->mmio, gpa.v, width, &v);
	return v;
}

static void
client_mmio_write(void *m, gpa_t gpa, unsigned width, uint64_t value)
{
	struct vm *vm = m;

	bus_write(vm->mmio, gpa.v, width, value);
}

static void
client_eoi(void *m, uint8_t vector)
{
	struct vm *vm = m;

	ioapic_eoi(vm->irq.ioapic, vector);
}

static int
client_extint_ack(void *m)
{
	struct vm *vm = m;

	return pic_ack(vm->irq.pic);
}

const struct engine_client vm_client = {
	.pio_read = client_pio_read,
	.pio_write = client_pio_write,
	.mmio_read = client_mmio_read,
	.mmio_write = client_mmio_write,
	.eoi = client_eoi,
	.extint_ack = client_extint_ack,
};
