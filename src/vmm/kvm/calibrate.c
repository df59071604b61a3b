/*
 * Some hosts offer a KVM that runs guest kernels in its instruction emulator, a
 * thousand times slower than the processor. Nothing says so but the clock: run
 * a loop in ring 0 for a moment and count its turns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/mevent.h"
#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

#define RUN_NS 20000000L
#define FAST_MIPS 100.0
#define TURNS (UINT64_C(1) << 62)

/* Guest-physical layout: page tables that map the first 2 MiB 1:1, code. */
#define PML4 0x1000
#define PDPT 0x2000
#define PD 0x3000
#define CODE 0x4000
#define PTE_PRESENT_WRITE 3
#define PTE_LARGE 0x80

/* 1: dec %rcx; jnz 1b; hlt */
static const uint8_t code[] = { 0x48, 0xff, 0xc9, 0x75, 0xfb, 0xf4 };

struct bench {
	struct vm_mem *mem;
	struct engine_vm *vm;
	struct engine_vcpu *vcpu;
};

static uint64_t
bench_read(void *m, uint16_t port, unsigned width)
{
	return UINT64_MAX;
}

static void
bench_write(void *m, uint16_t port, unsigned width, uint32_t value)
{
}

static uint64_t
bench_mmio_read(void *m, gpa_t gpa, unsigned width)
{
	return UINT64_MAX;
}

static void
bench_mmio_write(void *m, gpa_t gpa, unsigned width, uint64_t value)
{
}

static void
bench_eoi(void *m, uint8_t vector)
{
}

static int
bench_extint_ack(void *m)
{
	return -1;
}

static const struct engine_client bench_client = {
	.pio_read = bench_read,
	.pio_write = bench_write,
	.mmio_read = bench_mmio_read,
	.mmio_write = bench_mmio_write,
	.eoi = bench_eoi,
	.extint_ack = bench_extint_ack,
};

static int
bench_load(struct bench *b)
{
	uint8_t *ram = vm_mem_ram(b->mem, GPA(0), 0x10000);
	cleanup_free struct vcpu_state *st = alloc_bytes(sizeof(*st));

	if (ram == NULL || st == NULL)
		return -ENOMEM;
	store_le64(ram + PML4, PDPT | PTE_PRESENT_WRITE);
	store_le64(ram + PDPT, PD | PTE_PRESENT_WRITE);
	store_le64(ram + PD, PTE_LARGE | PTE_PRESENT_WRITE);
	memcpy(ram + CODE, code, sizeof(code));
	vcpu_state_reset(st, 0, true);
	vcpu_state_flat64(st, PML4);
	st->rip = CODE;
	st->gpr[X86_RCX] = TURNS;
	return engine_kvm.vcpu_set(b->vcpu, st);
}

static int
bench_build(struct bench *b, struct error *err)
{
	const struct vm_mem_config mem = { .size = MiB, .overcommit = true };
	const struct cpu_topology topo = { 1, 1, 1, 1 };
	cleanup_free struct cpuid_table *tab = alloc_zero(2, sizeof(*tab));
	struct engine_vcpu_config vcpu = { .id = 0 };
	struct engine_vm_config vm = { .client = &bench_client,
		.max_vcpus = 1 };
	uint64_t tsc_hz;
	int rc;

	if (tab == NULL)
		return error_sys(err, ENOMEM, "calibration");
	rc = engine_kvm.cpuid_supported(&tab[0], &tsc_hz, err);
	if (rc == 0)
		rc = cpuid_make(&tab[0], &topo, 0, tsc_hz, &tab[1], err);
	if (rc == 0)
		rc = vm_mem_create(&mem, &b->mem, err);
	vm.mem = b->mem;
	if (rc == 0)
		rc = engine_kvm.vm_create(&vm, &b->vm, err);
	vcpu.cpuid = &tab[1];
	if (rc == 0)
		rc = engine_kvm.vcpu_create(b->vm, &vcpu, &b->vcpu, err);
	if (rc != 0)
		return rc;
	rc = bench_load(b);
	return rc == 0 ? 0 : error_sys(err, -rc, "KVM refuses 64-bit mode");
}

static void
bench_free(struct bench *b)
{
	engine_kvm.vcpu_destroy(b->vcpu);
	engine_kvm.vm_destroy(b->vm);
	vm_mem_destroy(b->mem);
}

static void *
bench_stop(void *arg)
{
	const struct timespec wait = { 0, RUN_NS };
	struct bench *b = arg;

	nanosleep(&wait, NULL);
	engine_kvm.vcpu_kick(b->vcpu);
	return NULL;
}

static int
bench_run(struct bench *b, struct kvm_speed *ret, struct error *err)
{
	cleanup_free struct vcpu_state *st = alloc_bytes(sizeof(*st));
	enum engine_exit why;
	uint64_t start;
	pthread_t timer;
	int rc;

	if (st == NULL)
		return error_sys(err, ENOMEM, "calibration");
	rc = pthread_create(&timer, NULL, bench_stop, b);
	if (rc != 0)
		return error_sys(err, rc, "calibration");
	start = mevent_now_ns();
	why = engine_kvm.vcpu_run(b->vcpu);
	ret->elapsed_ns = mevent_now_ns() - start;
	pthread_join(timer, NULL);
	if (why != ENGINE_EXIT_KICKED)
		return error_set(err, EIO,
		    "KVM cannot run a loop of two instructions: %s",
		    b->vcpu->report.reason);
	rc = engine_kvm.vcpu_get(b->vcpu, st);
	if (rc != 0)
		return error_sys(err, -rc, "calibration");
	ret->ring0_mips = 2.0 * (double)(TURNS - st->gpr[X86_RCX]) * 1000.0 /
	    (double)MAX(ret->elapsed_ns, UINT64_C(1));
	ret->fast = ret->ring0_mips >= FAST_MIPS;
	return 0;
}

int
kvm_calibrate(struct kvm_speed *ret, struct error *err)
{
	struct bench b = { NULL, NULL, NULL };
	struct kvm_speed speed;
	sigset_t old;
	int rc;

	/* The run unblocks the kick signal in this thread. */
	pthread_sigmask(SIG_BLOCK, NULL, &old);
	rc = bench_build(&b, err);
	if (rc == 0)
		rc = bench_run(&b, &speed, err);
	bench_free(&b);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		*ret = speed;
	return rc;
}
