/*
 * See fake_vm.h.
 */
#include "fake_vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vm *
fake_vm_create(uint64_t ram)
{
	const struct vm_mem_config conf = { .size = ram, .overcommit = true };
	struct vm *vm = calloc(1, sizeof(*vm));
	struct error err = ERROR_INIT;

	if (vm == NULL)
		return NULL;
	pthread_mutex_init(&vm->lock, NULL);
	vm->topo = (struct cpu_topology){ 2, 1, 2, 1 };
	if (vm_mem_create(&conf, &vm->mem, &err) < 0 ||
	    bus_create(0x10000, &vm->pio) < 0 || bus_create(0, &vm->mmio) < 0 ||
	    mevent_loop_create(&vm->loop, &err) < 0) {
		fprintf(stderr, "# fake vm: %s\n", err.text);
		return NULL;
	}
	return vm;
}

void
fake_vm_destroy(struct vm *vm)
{
	mevent_loop_destroy(vm->loop);
	bus_destroy(vm->pio);
	bus_destroy(vm->mmio);
	vm_mem_destroy(vm->mem);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

/* ---- the guest ---- */

uint64_t
fake_in(struct vm *vm, uint16_t port, unsigned width)
{
	uint64_t v = UINT64_MAX;

	bus_read(vm->pio, port, width, &v);
	return v & (UINT64_MAX >> (64 - 8 * width));
}

void
fake_out(struct vm *vm, uint16_t port, unsigned width, uint64_t v)
{
	bus_write(vm->pio, port, width, v & (UINT64_MAX >> (64 - 8 * width)));
}

uint64_t
fake_load(struct vm *vm, uint64_t addr, unsigned width)
{
	uint64_t v = UINT64_MAX;

	bus_read(vm->mmio, addr, width, &v);
	return v & (UINT64_MAX >> (64 - 8 * width));
}

void
fake_store(struct vm *vm, uint64_t addr, unsigned width, uint64_t v)
{
	bus_write(vm->mmio, addr, width, v & (UINT64_MAX >> (64 - 8 * width)));
}

static void
one_op(struct vm *vm, uint8_t op, uint64_t addr, unsigned width, uint64_t v)
{
	bool memory = (op & 0x10) != 0;

	if ((op & 4) != 0) {
		if (memory)
			fake_store(vm, addr, width, v);
		else
			fake_out(vm, (uint16_t)addr, width, v);
	} else if (memory) {
		fake_load(vm, addr, width);
	} else {
		fake_in(vm, (uint16_t)addr, width);
	}
	if ((op & 8) != 0)
		mevent_loop_once(vm->loop, 0);
}

void
fake_op_stream(struct vm *vm, const uint8_t *data, size_t n, uint16_t io_base,
    uint16_t io_span, uint64_t mem_base, uint64_t mem_span)
{
	for (size_t at = 0; at + 3 <= n;) {
		uint8_t op = data[at];
		unsigned width = 1u << (op & ((op & 0x10) != 0 ? 3 : 1));
		uint64_t off = data[at + 1] | (uint64_t)data[at + 2] << 8;
		uint64_t v = 0;

		at += 3;
		if ((op & 0x10) == 0 && (op & 2) != 0)
			width = 4;
		if ((op & 4) != 0) {
			size_t take = n - at < width ? n - at : width;

			memcpy(&v, data + at, take);
			at += take;
		}
		if ((op & 0x10) != 0)
			one_op(vm, op, mem_base + off % mem_span, width, v);
		else
			one_op(vm, op, io_base + off % io_span, width, v);
	}
}

/* ---- vmm/vm.h: what devices use ---- */

struct vm_mem *
vm_mem(struct vm *vm)
{
	return vm->mem;
}

struct bus *
vm_pio(struct vm *vm)
{
	return vm->pio;
}

struct bus *
vm_mmio(struct vm *vm)
{
	return vm->mmio;
}

struct mevent_loop *
vm_loop(struct vm *vm)
{
	return vm->loop;
}

const struct cpu_topology *
vm_topology(const struct vm *vm)
{
	return &vm->topo;
}

static bool
line_up(const struct vm *vm, unsigned gsi)
{
	for (size_t i = 0; i < FAKE_SOURCES; i++)
		if (vm->source[gsi][i] != NULL)
			return true;
	return false;
}

void
vm_irq_set(struct vm *vm, unsigned gsi, const void *source, bool level)
{
	const void *from = level ? NULL : source;
	bool was;

	pthread_mutex_lock(&vm->lock);
	was = line_up(vm, gsi);
	for (size_t i = 0; i < FAKE_SOURCES; i++) {
		if (vm->source[gsi][i] == source && level)
			break;
		if (vm->source[gsi][i] == from) {
			vm->source[gsi][i] = level ? source : NULL;
			break;
		}
	}
	if (!was && line_up(vm, gsi))
		vm->edges[gsi]++;
	pthread_mutex_unlock(&vm->lock);
}

bool
fake_irq(struct vm *vm, unsigned gsi)
{
	bool up;

	pthread_mutex_lock(&vm->lock);
	up = line_up(vm, gsi);
	pthread_mutex_unlock(&vm->lock);
	return up;
}

void
vm_irq_pulse(struct vm *vm, unsigned gsi)
{
	static const char pulse;

	vm_irq_set(vm, gsi, &pulse, true);
	vm_irq_set(vm, gsi, &pulse, false);
}

void
vm_pirq_route(struct vm *vm, unsigned pirq, int irq)
{
	vm->pirq[pirq] = irq;
}

int
vm_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->nmsi < FAKE_MSI_MAX) {
		vm->msi[vm->nmsi].addr = addr;
		vm->msi[vm->nmsi].data = data;
	}
	vm->nmsi++;
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

void
vm_stop(struct vm *vm, enum vm_stop reason, const char *cause)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->stops++ == 0) {
		vm->reason = reason;
		snprintf(vm->cause, sizeof(vm->cause), "%s", cause);
	}
	pthread_mutex_unlock(&vm->lock);
}

const char *
vm_stop_cause(const struct vm *vm)
{
	return vm->cause;
}

/* ---- the rest, so that the real frame is not linked ---- */

int
vm_create(const struct vm_config *conf, struct vm **ret, struct error *err)
{
	return error_set(err, ENOSYS, "this is a fake");
}

void
vm_destroy(struct vm *vm)
{
}

const char *
vm_name(const struct vm *vm)
{
	return "fake";
}

const struct engine_ops *
vm_engine_ops(const struct vm *vm)
{
	static const struct engine_ops none = { .name = "none" };

	return &none;
}

struct engine_vm *
vm_engine(struct vm *vm)
{
	return NULL;
}

int
vm_pin(struct vm *vm, unsigned vcpu, const char *cpus, struct error *err)
{
	return error_set(err, ENOSYS, "this is a fake");
}

int
vm_set_vcpu_state(struct vm *vm, unsigned vcpu, const struct vcpu_state *st)
{
	return -ENOSYS;
}

int
vm_prepare(struct vm *vm, struct error *err)
{
	return error_set(err, ENOSYS, "this is a fake");
}

enum vm_stop
vm_run(struct vm *vm)
{
	return VM_STOP_ERROR;
}

int
vm_nmi(struct vm *vm, unsigned vcpu)
{
	return -ENOSYS;
}

int
vm_pause(struct vm *vm)
{
	return -ENOSYS;
}

void
vm_resume(struct vm *vm)
{
}

int
vm_get_vcpu_state(struct vm *vm, unsigned vcpu, struct vcpu_state *ret)
{
	return -ENOSYS;
}

/* Somebody always listens here. */
bool
vm_irq_notices(struct vm *vm, unsigned gsi)
{
	return true;
}

void
vm_irq_listen(struct vm *vm, void (*fn)(void *arg), void *arg)
{
}
