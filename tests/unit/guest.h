/*
 * Tiny guests for the tests of the machine's frame: code of guest_code.S, a
 * flat 32-bit processor state, and a port to talk to the test.
 */
#ifndef UNIT_GUEST_H
#define UNIT_GUEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/vm.h"

/* on_kvm.c or on_soft.c says which; skips the test when it is not here. */
extern const struct engine_ops *const test_engine;
void guest_need_engine(void);

/* Where things are in the guest; guest_code.S knows it too. */
#define GUEST_CODE 0x1000
#define GUEST_IDT 0x4000
#define GUEST_GDT 0x5000
#define GUEST_STACK 0x7000
#define GUEST_DATA 0x10000
#define GUEST_PORT 0x500 /* 4 ports: what is written is noted */
#define GUEST_STOP_PORT 0x510 /* a write powers off */

#define GUEST_NOTES 64

struct guest {
	struct vm *vm;
	/* Called on the vCPU's thread after a note was taken; may be NULL. */
	void (*on_note)(struct guest *g, uint32_t value);
	void *arg;
	pthread_mutex_t lock;
	uint32_t note[GUEST_NOTES];
	unsigned notes;
	void (*after)(struct guest *g);
	uint32_t answer; /* what a read of GUEST_PORT gives */
};

/* Machine code of guest_code.S, with entry points by name. */
#define GUEST_ENTRY(name) extern const uint8_t guest_##name[]
extern const uint8_t guest_base[], guest_end[];

/* 4 MiB, the given number of sockets with a vCPU each; change at will. */
struct vm_config guest_config(unsigned vcpus);
/* A machine whose boot processor starts at 'entry', flat 32-bit. */
void guest_create(
    struct guest *g, const struct vm_config *conf, const uint8_t *entry);
/* Interrupt gate for a vector. */
void guest_set_gate(struct guest *g, unsigned vector, const uint8_t *entry);
void guest_prepare(struct guest *g); /* fails the test when it fails */
enum vm_stop guest_run(struct guest *g); /* prepare and run */
/* Call fn(g) on the main loop after some time. */
void guest_after_ms(struct guest *g, unsigned ms, void (*fn)(struct guest *g));
void guest_power_off(struct guest *g); /* for guest_after_ms */
void guest_destroy(struct guest *g);
uint32_t guest_addr(const uint8_t *entry); /* in the guest */
/* Fail the test unless exactly these values were noted. */
void guest_check_notes(struct guest *g, const uint32_t *want, unsigned n);

#endif
