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
#define TSS_B 0x3100 /* further tasks, 32 and 16 bits */
#define TSS_C 0x3200
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

/* A task that lands in the code, in ring 0 or 3 or virtual-8086 mode. */
static void
make_tasks(uint8_t *ram, uint8_t how)
{
	uint32_t ring = how & 1 ? 0x43 : 0x20;

	put64(ram, TSS_B + 4, 0x80000);
	put64(ram, TSS_B + 8, 0x20);
	put64(ram, TSS_B + 0x1c, PML4 + 0x1000);
	put64(ram, TSS_B + 0x20, CODE + 0x800);
	put64(ram, TSS_B + 0x24, 2 | (how & 2 ? 0x20000 : 0));
	put64(ram, TSS_B + 0x38, 0x70000);
	for (unsigned i = 0; i < 6; i++)
		put64(ram, TSS_B + 0x48 + 4 * i, ring);
	put64(
	    ram, TSS_B + 0x4c, (how & 1 ? 0x33 : 0x10) | (uint64_t)ring << 32);
	put64(ram, TSS_B + 0x64, how & 4 ? 1 : 0);
	put64(ram, TSS_C + 0x0e, UINT64_C(0x20800));
	put64(ram, TSS_C + 0x1a, 0x7000);
	put64(ram, TSS_C + 0x22, UINT64_C(0x0020002000080020));
	put64(ram, TSS_C + 0x2a, 0);
}

/*
 * Descriptors 08-48: code and data of all sizes and levels; TSS at 50h; gates
 * 60h, 68h; LDT 70h; other tasks 78h, 80h, their gate 88h; 90h- odd limits.
 */
static void
make_tables(uint8_t *ram, bool lng, uint8_t how)
{
	static const uint64_t desc[] = { 0, UINT64_C(0x00009b000000ffff),
		UINT64_C(0x00cf9b000000ffff), UINT64_C(0x00af9b000000ffff),
		UINT64_C(0x00cf93000000ffff), UINT64_C(0x0000fb000000ffff),
		UINT64_C(0x00cffb000000ffff), UINT64_C(0x00affb000000ffff),
		UINT64_C(0x00cff3000000ffff), UINT64_C(0x0000970100001fff),
		UINT64_C(0x00008b0030000067), 0,
		/* call gate to 10h, task gate, LDT */
		UINT64_C(0x0000ec0200100100), UINT64_C(0x0000e50000500000),
		UINT64_C(0x00008200100000ff), UINT64_C(0x0000e90031000067),
		UINT64_C(0x0000e1003200002b), UINT64_C(0x0000e50000780000),
		UINT64_C(0x00409b01000008ff), UINT64_C(0x00009b01000008ff),
		UINT64_C(0x0040970000000fff) };
	uint64_t code = CODE + 0x800;

	memcpy(ram + GDT, desc, sizeof(desc));
	for (unsigned v = 0; v < 256; v++)
		put64(ram, IDT + (lng ? 16 : 8) * v,
		    (code & 0xffff) | (lng ? 0x18u : 0x10u) << 16 |
			(v & 1 ? UINT64_C(0xee00) : UINT64_C(0x8f00)) << 32 |
			(code >> 16) << 48);
	for (unsigned v = 9; v < 256 && !lng; v += 16)
		put64(ram, IDT + 8 * v, UINT64_C(0x0000e50000780000));
	make_tasks(ram, how);
	put64(ram, TSS, 0x78); /* back link */
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

enum {
	REAL,
	PROT16,
	PROT32,
	PROT32_PAGED,
	LONG,
	LONG_USER,
	COMPAT_USER,
	V86,
	PROT16_USER,
	PROT32_USER,
	PROT32_PAGED_USER,
	COMPAT,
	MODES
};

static const struct {
	bool user, lng, paged;
	uint16_t size; /* L and D of CS */
} modes[MODES] = {
	[REAL] = { 0 },
	[PROT16] = { .size = 0 },
	[PROT32] = { .size = 0x4000 },
	[PROT32_PAGED] = { .paged = true, .size = 0x4000 },
	[LONG] = { .lng = true, .paged = true, .size = 0x2000 },
	[LONG_USER] = { .user = true,
	    .lng = true,
	    .paged = true,
	    .size = 0x2000 },
	[COMPAT_USER] = { .user = true,
	    .lng = true,
	    .paged = true,
	    .size = 0x4000 },
	[V86] = { .user = true, .paged = true, .size = 0x4000 },
	[PROT16_USER] = { .user = true, .size = 0 },
	[PROT32_USER] = { .user = true, .size = 0x4000 },
	[PROT32_PAGED_USER] = { .user = true, .paged = true, .size = 0x4000 },
	[COMPAT] = { .lng = true, .paged = true, .size = 0x4000 },
};

/* Breakpoints of all kinds near code, data and stack; alignment checks. */
static void
make_debug(struct vcpu_state *st, const uint8_t *seed)
{
	st->dr[0] = CODE + (seed[0] & 63);
	st->dr[1] = 0x17ff0 + (seed[1] & 15);
	st->dr[2] = seed[2] & 1 ? CODE + 0x800 : seed[2];
	st->dr[3] = seed[3] * UINT64_C(0x101);
	st->dr[6] = 0xffff0ff0;
	st->dr[7] = 0x400 | seed[4] | (uint64_t)seed[5] << 16 |
	    (uint64_t)seed[6] << 24 | (seed[7] & 1 ? 0x2000 : 0);
	st->cr4 |= seed[7] & 2 ? 8 : 0;
	st->cr0 |= 0x40000;
	st->rflags |= (seed[7] & 4 ? 0x40000 : 0) | (seed[7] & 8 ? 0x4000 : 0) |
	    (seed[7] & 0x30) << 8;
}

static void
make_state(struct vcpu_state *st, unsigned mode, const uint8_t *seed)
{
	bool user = modes[mode].user, lng = modes[mode].lng;
	uint32_t dpl = user ? 0x60 : 0, size = modes[mode].size;

	vcpu_state_reset(st, 0, true);
	for (unsigned i = 0; i < 16; i++)
		st->gpr[i] = seed[i] * UINT64_C(0x10001) + (i << 12);
	st->gpr[X86_RSP] = 0x18000;
	st->rflags = 2 | (seed[16] & 0x2d5u) << 0;
	st->gdtr.base = GDT;
	st->gdtr.limit = 0xa7;
	st->cr4 = 0x600 | (seed[17] & 1 ? 0x80 : 0);
	if (mode == REAL) {
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
	for (unsigned i = 0; i < X86_SEG_COUNT; i++)
		set_seg(&st->seg[i], user ? 0x43 : 0x20,
		    0x8093u | dpl | (size == 0 ? 0 : 0x4000), 0xffffffff);
	set_seg(&st->seg[X86_CS],
	    (uint16_t)((user ? 0x2b : 0x08) +
		(size == 0x2000          ? 0x10
			: size == 0x4000 ? 8
					 : 0)),
	    0x809bu | dpl | size, 0xffffffff);
	if (mode == V86) {
		st->rflags |= 0x20000;
		for (unsigned i = 0; i < X86_SEG_COUNT; i++)
			set_seg(&st->seg[i], 0, 0xf3, 0xffff);
		st->rip = 0x7c00;
	}
	if (modes[mode].paged) {
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
	unsigned mode;
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
	mode = data[0] % MODES;
	make_tables(ram, modes[mode].lng, data[1] >> 2);
	memcpy(ram + 0x7c00, data + 2, len < 0x800 ? len : 0x800);
	memcpy(ram + CODE, data + 2, len);
	memcpy(ram + CODE + 0x800, data + 2 + len / 2, len - len / 2);
	vc.mem = mem;
	if (engine_soft.cpuid_supported(&cpuid, &hz, &err) < 0 ||
	    engine_soft.vm_create(&vc, &vm, &err) < 0 ||
	    engine_soft.vcpu_create(vm, &cc, &running, &err) < 0)
		abort();
	make_state(&st, mode, seed);
	if (data[1] & 2)
		make_debug(&st, seed);
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
