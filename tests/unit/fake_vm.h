/*
 * A machine's frame for tests of devices: real buses, memory and event loop,
 * no vCPUs. It remembers what the devices ask of it. It defines all of
 * vmm/vm.h, so the real frame stays out of the program.
 */
#ifndef UNIT_FAKE_VM_H
#define UNIT_FAKE_VM_H

#include <pthread.h>

#include "vmm/memmap.h"
#include "vmm/vm.h"

#define FAKE_MSI_MAX 64
#define FAKE_SOURCES 8

struct vm {
	struct vm_mem *mem;
	struct bus *pio, *mmio;
	struct mevent_loop *loop;
	struct cpu_topology topo;

	pthread_mutex_t lock;
	const void *source[GSI_COUNT][FAKE_SOURCES]; /* who holds the line up */
	unsigned edges[GSI_COUNT]; /* rising ones */
	int pirq[8];
	struct {
		uint64_t addr;
		uint32_t data;
	} msi[FAKE_MSI_MAX]; /* the first ones */
	unsigned nmsi;
	unsigned stops;
	enum vm_stop reason; /* of the first */
	char cause[128];
};

struct vm *fake_vm_create(uint64_t ram); /* NULL on failure */
void fake_vm_destroy(struct vm *vm);
bool fake_irq(struct vm *vm, unsigned gsi); /* is the line up? */

/* As the guest's accesses: what nobody decodes reads as ones. */
uint64_t fake_in(struct vm *vm, uint16_t port, unsigned width);
void fake_out(struct vm *vm, uint16_t port, unsigned width, uint64_t v);
uint64_t fake_load(struct vm *vm, uint64_t addr, unsigned width);
void fake_store(struct vm *vm, uint64_t addr, unsigned width, uint64_t v);

/*
 * Drive the guest's side from fuzz input: each operation takes an opcode byte
 * (bits 0-1 width, 2 write, 3 loop round, 4 memory), an address byte pair
 * relative to 'base' below 'span', and the data of a write.
 */
void fake_op_stream(struct vm *vm, const uint8_t *data, size_t n,
    uint16_t io_base, uint16_t io_span, uint64_t mem_base, uint64_t mem_span);

#endif
