/*
 * A running machine's state moves from one engine to the other and goes on
 * there: what an engine saves the other one understands.
 */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "guest.h"
#include "tap.h"

GUEST_ENTRY(move);
GUEST_ENTRY(isr_move);

#define DATA_GO (GUEST_DATA + 4)
#define DATA_TICKS (GUEST_DATA + 8)
#define DATA_IN (GUEST_DATA + 0x100) /* 32 bytes of vector, a double */
#define DATA_OUT (GUEST_DATA + 0x200)
#define DATA_DOUBLE 0x40
#define RAM_SIZE (4 * MiB)

static uint8_t saved_ram[RAM_SIZE];
static struct vcpu_state saved;

static uint8_t *
ram(struct guest *g)
{
	uint8_t *p = vm_mem_ram(vm_mem(g->vm), GPA(0), RAM_SIZE);

	tap_check(p != NULL);
	return p;
}

static void
fill(uint8_t *mem)
{
	const double pi = 3.25;
	unsigned i;

	for (i = 0; i < 32; i++)
		mem[DATA_IN + i] = (uint8_t)(0xa0 + 3 * i);
	memcpy(mem + DATA_IN + DATA_DOUBLE, &pi, sizeof(pi));
}

static void *
run(void *arg)
{
	struct guest *g = arg;

	tap_check_int(vm_run(g->vm), VM_STOP_RESET);
	return NULL;
}

/* Until the timer has interrupted the loop a few times; then all of it. */
static void
save(const struct engine_ops *engine)
{
	struct vm_config conf = guest_config(1);
	pthread_t thread;
	struct guest g;

	conf.engine = engine;
	guest_create(&g, &conf, guest_move);
	guest_set_gate(&g, 0x41, guest_isr_move);
	fill(ram(&g));
	guest_prepare(&g);
	tap_check_int(pthread_create(&thread, NULL, run, &g), 0);
	while (__atomic_load_n((uint32_t *)(void *)(ram(&g) + DATA_TICKS),
		   __ATOMIC_RELAXED) < 3)
		usleep(1000);
	tap_check_int(vm_pause(g.vm), 0);
	tap_check_int(vm_get_vcpu_state(g.vm, 0, &saved), 0);
	memcpy(saved_ram, ram(&g), RAM_SIZE);
	vm_stop(g.vm, VM_STOP_RESET, "it moves");
	vm_resume(g.vm);
	pthread_join(thread, NULL);
	guest_destroy(&g);
}

static void
go_on(const struct engine_ops *engine)
{
	static const uint32_t want[] = { 0x1234, 7, 0x77 };
	struct vm_config conf = guest_config(1);
	struct guest g;
	uint8_t *mem;

	conf.engine = engine;
	guest_create(&g, &conf, guest_move);
	mem = ram(&g);
	memcpy(mem, saved_ram, RAM_SIZE);
	store_le32(mem + DATA_GO, 1);
	tap_check_int(vm_set_vcpu_state(g.vm, 0, &saved), 0);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, ARRAY_LEN(want));
	tap_check_mem(mem + DATA_OUT, mem + DATA_IN, 32);
	tap_check_mem(
	    mem + DATA_OUT + DATA_DOUBLE, mem + DATA_IN + DATA_DOUBLE, 8);
	guest_destroy(&g);
}

static void
move(const struct engine_ops *from, const struct engine_ops *to)
{
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
		tap_skip("the host has no AVX");
	save(from);
	go_on(to);
}

static void
soft_to_kvm(void)
{
	move(&engine_soft, &engine_kvm);
}

static void
kvm_to_soft(void)
{
	move(&engine_kvm, &engine_soft);
}

static void
kvm_to_kvm(void)
{
	move(&engine_kvm, &engine_kvm);
}

static void
soft_to_soft(void)
{
	move(&engine_soft, &engine_soft);
}

static const struct tap_test tests[] = {
	TAP_TEST(soft_to_soft),
	TAP_TEST(kvm_to_kvm),
	TAP_TEST(soft_to_kvm),
	TAP_TEST(kvm_to_soft),
};
TAP_MAIN(tests)
