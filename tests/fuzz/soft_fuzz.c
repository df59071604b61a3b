/*
 * Any bytes as guest code on the software engine, in every mode: the host
 * process must neither crash nor hang. The first byte of the input chooses the
 * mode, the second how it is run, the rest is code, its data, and its stack.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "vmm/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define RAM_SIZE (UINT64_C(4) << 20)
#define GDT 0x1000
#define IDT 0x2000
#define TSS 0x3000
#define PML4 0x4000 /* and PDPT, PD behind it */
#define PAE_PT 0x8000
#define CODE 0x10000
#define RUN_US 2000
#define STEPS 300

static struct engine_vcpu *running;

static uint64_t
pio_read(void *m, uint16_t port, unsigned width)
{
	return port * UINT64_C(0x0101010101);
}

static void
pio_write(void *m, uint16_t port, unsigned width, uint32_t value)
{
}

static uint64_t
mmio_read(void *m, gpa_t gpa, unsigned width)
{
	return gpa.v * 3;
}

static void
mmio_write(void *m, gpa_t gpa, unsigned width, uint64_t value)
{
}

static void
eoi(void *m, uint8_t vector)
{
}

static int
extint_ack(void *m)
{
	return 0x20;
}

static const struct engine_client client = { pio_read, pio_write, mmio_read,
	mmio_write, eoi, extint_ack };

static void
on_alarm(int sig)
{
	engine_soft.vcpu_kick(running);
}

static void
put64(uint8_t *ram, uint64_t at, uint64_t v)
{
	memcpy(ram + at, &v, 8);
}

/* Descriptors 08-48: code and data of all sizes and levels; TSS at 50h. */
static void
make_tables(uint8_t *ram, bool lng)
{
	static const uint64_t desc[] = { 0, UINT64_C(0x00009b000000ffff),
		UINT64_C(0x00cf9b000000ffff), UINT64_C(0x00af9b000000ffff),
		UINT64_C(0x00cf93000000ffff), UINT64_C(0x0000fb000000ffff),
		UINT64_C(0x00cffb000000ffff), UINT64_C(0x00affb000000ffff),
		UINT64_C(0x00cff3000000ffff), UINT64_C(0x0000970100001fff),
		UINT64_C(0x00008b0030000067), 0,
		/* call gate to 10h, task gate, LDT */
		UINT64_C(0x0000ec0200100100), UINT64_C(0x0000e50000500000),
		UINT64_C(0x00008200100000ff) };
	uint64_t code = CODE + 0x800;

	memcpy(ram + GDT, desc, sizeof(desc));
	for (unsigned v = 0; v < 256; v++)
		put64(ram, IDT + (lng ? 16 : 8) * v,
		    (code & 0xffff) | (lng ? 0x18u : 0x10u) << 16 |
			(v & 1 ? UINT64_C(0xee00) : UINT64_C(0x8f00)) << 32 |
			(code >> 16) << 48);
	put64(ram, TSS + 4, 0x80000);
	put64(ram, TSS + 8, 0x20);
	put64(ram, TSS + 36, 0x90000);
	put64(ram, PML4, (PML4 + 0x1000) | 7);
	put64(ram, PML4 + 8 * 511, (PML4 + 0x1000) | 7);
	put64(ram, PML4 + 0x1000, (PML4 + 0x2000) | 7);
	put64(ram, PML4 + 0x1000 + 8 * 511, (PML4 + 0x2000) | 7);
	put64(ram, PML4 + 0x1000 + 8, UINT64_C(0x40000000) | 0x87);
	put64(ram, PML4 + 0x2000, (PML4 + 0x3000) | 7);
	put64(ram, PML4 + 0x2000 + 8, 0x200000 | 0x87);
	put64(ram, PML4 + 0x2000 + 8 * 511, 0x87);
	for (unsigned i = 0; i < 512; i++)
		put64(ram, PML4 + 0x3000 + 8 * i,
		    i * UINT64_C(4096) | (i % 61 == 60 ? 0 : 7));
}

static void
set_seg(struct x86_seg *s, uint16_t sel, uint32_t attr, uint32_t limit)
{
	*s = (struct x86_seg){ .limit = limit, .attr = attr, .sel = sel };
}

/* 0: real, 1: protected 16, 2: 32, 3: 32 paged, 4: long, 5: long user,
 * 6: compatibility user, 7: virtual 8086 */
static void
make_state(struct vcpu_state *st, unsigned mode, const uint8_t *seed)
{
	bool user = mode >= 5, lng = mode >= 4 && mode != 7;
	uint32_t dpl = user ? 0x60 : 0, size;

	vcpu_state_reset(st, 0, true);
	for (unsigned i = 0; i < 16; i++)
		st->gpr[i] = seed[i] * UINT64_C(0x10001) + (i << 12);
	st->gpr[X86_RSP] = 0x18000;
	st->rflags = 2 | (seed[16] & 0x2d5u) << 0;
	st->gdtr.base = GDT;
	st->gdtr.limit = 0x77;
	st->cr4 = 0x600 | (seed[17] & 1 ? 0x80 : 0);
	if (mode == 0) {
		st->idtr.limit = 0x3ff;
		set_seg(&st->seg[X86_CS], 0, 0x9b, 0xffff);
		st->gpr[X86_RSP] = 0x8000;
		st->rip = CODE - 0x10000 + 0x7c00;
		return;
	}
	st->rip = CODE;
	st->idtr.base = IDT;
	st->idtr.limit = 0xfff;
	st->cr0 = 0x11;
	set_seg(&st->tr, 0x50, 0x8b, 0x67);
	st->tr.base = TSS;
	size = lng && mode != 6 ? 0x2000 : mode == 1 ? 0 : 0x4000;
	for (unsigned i = 0; i < X86_SEG_COUNT; i++)
		set_seg(&st->seg[i], user ? 0x43 : 0x20,
		    0x8093u | dpl | (mode == 1 ? 0 : 0x4000), 0xffffffff);
	set_seg(&st->seg[X86_CS],
	    (uint16_t)((user ? 0x2b : 0x08) +
		(size == 0x2000          ? 0x10
			: size == 0x4000 ? 8
					 : 0)),
	    0x809bu | dpl | size, 0xffffffff);
	if (mode == 7) {
		st->rflags |= 0x20000;
		for (unsigned i = 0; i < X86_SEG_COUNT; i++)
			set_seg(&st->seg[i], 0, 0xf3, 0xffff);
		st->rip = 0x7c00;
	}
	if (mode >= 3) {
		st->cr0 |= 0x80010000;
		st->cr3 = PML4;
		st->cr4 |= 0x20;
		if (!lng)
			st->cr3 = PML4 + 0x1000;
	}
	if (lng)
		st->efer = 0xd01;
}

static void
run(struct engine_vcpu *v, unsigned how)
{
	struct itimerval t = { .it_value.tv_usec = RUN_US };
	struct itimerval off = { 0 };

	if (how & 1) {
		engine_soft.vcpu_single_step(v, true);
		t.it_value.tv_usec = 10 * RUN_US;
		setitimer(ITIMER_REAL, &t, NULL);
		for (unsigned i = 0; i < STEPS; i++)
			if (engine_soft.vcpu_run(v) != ENGINE_EXIT_DEBUG)
				break;
	} else {
		setitimer(ITIMER_REAL, &t, NULL);
		engine_soft.vcpu_run(v);
	}
	setitimer(ITIMER_REAL, &off, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct vm_mem_config mc = { .size = RAM_SIZE, .overcommit = true };
	struct engine_vm_config vc = {
		.client = &client, .max_vcpus = 1, .strict_msr = true
	};
	static struct cpuid_table cpuid;
	static struct vcpu_state st;
	struct engine_vcpu_config cc = { .cpuid = &cpuid };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct error err = ERROR_INIT;
	uint8_t seed[18] = { 0 }, *ram;
	struct vm_mem *mem;
	struct engine_vm *vm;
	uint64_t hz;
	size_t len;

	if (n < 20)
		return 0;
	memcpy(seed, data + n - sizeof(seed), sizeof(seed));
	len = n - 2 < 0x4000 ? n - 2 : 0x4000;
	if (vm_mem_create(&mc, &mem, &err) < 0)
		abort();
	ram = vm_mem_ram(mem, GPA(0), RAM_SIZE);
	make_tables(ram, (data[0] & 7) >= 4 && (data[0] & 7) < 7);
	memcpy(ram + 0x7c00, data + 2, len < 0x800 ? len : 0x800);
	memcpy(ram + CODE, data + 2, len);
	memcpy(ram + CODE + 0x800, data + 2 + len / 2, len - len / 2);
	vc.mem = mem;
	if (engine_soft.cpuid_supported(&cpuid, &hz, &err) < 0 ||
	    engine_soft.vm_create(&vc, &vm, &err) < 0 ||
	    engine_soft.vcpu_create(vm, &cc, &running, &err) < 0)
		abort();
	make_state(&st, data[0] & 7, seed);
	if (engine_soft.vcpu_set(running, &st) < 0)
		abort();
	sigaction(SIGALRM, &sa, NULL);
	run(running, data[1]);
	engine_soft.vcpu_get(running, &st);
	engine_soft.vcpu_destroy(running);
	engine_soft.vm_destroy(vm);
	vm_mem_destroy(mem);
	return 0;
}
