/*
 * Instructions that an emulator in a hypervisor tends to lack, executed in ring
 * 0 and on device memory: whoever executes them, the results are the CPU's.
 * Their faults arrive in the guest's handlers.
 */
#include "guest.h"

#define CR4_OSXSAVE (UINT64_C(1) << 18)
#define IOAPIC UINT64_C(0xfec00000)
#define LAPIC UINT64_C(0xfee00000)
#define HOLE UINT64_C(0x7fffff000000) /* mapped nowhere */

struct gate {
	uint16_t off0, sel;
	uint8_t ist, attr;
	uint16_t off1;
	uint32_t off2, zero;
} __attribute__((packed));

/* What the handlers below have seen; resume: where to go on after a fault. */
volatile uint64_t step_vector, step_error, step_cr2, step_resume, step_count;

/* One handler for each vector: it notes, and leaves the frame as it was. */
__asm__(".macro step_stub n, err\n"
	"step_trap\\n:\n"
	"	incq step_count\n"
	"	movq $\\n, step_vector\n"
	"	pushq %rax\n"
	"	movq %cr2, %rax\n"
	"	movq %rax, step_cr2\n"
	"	.if \\err\n"
	"	movq 8(%rsp), %rax\n"
	"	movq %rax, step_error\n"
	"	popq %rax\n"
	"	addq $8, %rsp\n"
	"	.else\n"
	"	popq %rax\n"
	"	.endif\n"
	"	.if \\n == 16\n"
	"	fnclex\n"
	"	.endif\n"
	"	cmpq $0, step_resume\n"
	"	je 1f\n"
	"	pushq %rax\n"
	"	movq step_resume, %rax\n"
	"	movq %rax, 8(%rsp)\n"
	"	popq %rax\n"
	"	movq $0, step_resume\n"
	"1:	iretq\n"
	".endm\n"
	"step_stub 3, 0\n"
	"step_stub 13, 1\n"
	"step_stub 14, 1\n"
	"step_stub 16, 0\n");
void step_trap3(void), step_trap13(void), step_trap14(void), step_trap16(void);

static uint64_t
set_gate(uint64_t n)
{
	static void (*const stub[32])(void) = { [3] = step_trap3,
		[13] = step_trap13,
		[14] = step_trap14,
		[16] = step_trap16 };
	struct {
		uint16_t limit;
		struct gate *base;
	} __attribute__((packed)) idt;
	uint64_t at = (uint64_t)stub[n];

	__asm__ volatile("sidt %0" : "=m"(idt));
	idt.base[n].off0 = (uint16_t)at;
	idt.base[n].off1 = (uint16_t)(at >> 16);
	idt.base[n].off2 = (uint32_t)(at >> 32);
	return 0;
}

static uint64_t
do_int3(uint64_t unused)
{
	__asm__ volatile("int3" ::: "memory");
	return step_count;
}

static uint64_t
do_int_n(uint64_t unused)
{
	__asm__ volatile("int $3" ::: "memory");
	return step_count;
}

/* ---- integers ---- */

static uint64_t
do_popcnt(uint64_t v)
{
	uint64_t r;

	__asm__ volatile("popcnt %1, %0" : "=r"(r) : "r"(v) : "cc");
	return r;
}

static uint64_t
do_rdtscp(uint64_t unused)
{
	uint32_t lo, hi, aux;

	__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	return (uint64_t)hi << 32 | lo;
}

static uint64_t pair[2] __attribute__((aligned(16)));

static uint64_t
do_cmpxchg16b(uint64_t expect)
{
	uint64_t lo = expect, hi = 0x2222;
	uint8_t zf;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(zf), "+m"(pair), "+a"(lo), "+d"(hi)
			 : "b"(UINT64_C(0x3333)), "c"(UINT64_C(0x4444)));
	return zf ? 1 : lo;
}

static void
test_integer(void)
{
	uint64_t t[3];

	ok(ring0(do_popcnt, UINT64_C(0xf0f0000000000001)) == 9, "POPCNT");
	t[0] = rdtsc();
	t[1] = ring0(do_rdtscp, 0);
	t[2] = rdtsc();
	ok(t[0] <= t[1] && t[1] <= t[2], "RDTSCP between two RDTSCs");
	pair[0] = 0x1111;
	pair[1] = 0x2222;
	ok(ring0(do_cmpxchg16b, 0x9999) == 0x1111 && pair[0] == 0x1111,
	    "CMPXCHG16B, not equal");
	ok(ring0(do_cmpxchg16b, 0x1111) == 1 && pair[0] == 0x3333 &&
		pair[1] == 0x4444,
	    "CMPXCHG16B, equal");
}

/* ---- faults of such instructions ---- */

static uint64_t
do_fault(uint64_t at)
{
	step_count = 0;
	step_cr2 = 0;
	__asm__ volatile("leaq 1f(%%rip), %%rax\n"
			 "	movq %%rax, step_resume\n"
			 "	lock cmpxchg16b (%0)\n"
			 "1:"
			 :
			 : "D"(at)
			 : "rax", "rbx", "rcx", "rdx", "cc", "memory");
	return step_vector;
}

static void
test_faults(void)
{
	bool good = ring0(do_fault, HOLE) == 14 && step_count == 1 &&
	    step_error == 2 && step_cr2 == HOLE;

	ok(good, "page fault of CMPXCHG16B (error %x, %lx)",
	    (unsigned)step_error, step_cr2);
	ok(ring0(do_fault, (uint64_t)pair + 8) == 13 && step_count == 1 &&
		step_error == 0,
	    "and its #GP when not aligned");
}

/* ---- x87 ---- */

static uint64_t
do_fwait(uint64_t divide)
{
	static const uint16_t unmasked = 0x37b; /* all but #Z masked */

	step_count = 0;
	__asm__ volatile("fninit; fwait" ::: "memory");
	if (divide)
		__asm__ volatile("fldcw %0\n"
				 "	fldz\n"
				 "	fld1\n"
				 "	fdiv %%st(1)\n"
				 "	fwait\n"
				 "	fninit" ::"m"(unmasked)
				 : "memory");
	return step_count;
}

static void
test_x87(void)
{
	ok(ring0(do_fwait, 0) == 0, "FWAIT");
	ok(ring0(do_fwait, 1) == 1 && step_vector == 16,
	    "#MF of a division by zero");
}

/* ---- XSAVE ---- */

static uint8_t image[4096] __attribute__((aligned(64)));
static uint8_t vector_in[64], vector_out[64];
static uint64_t xcr0;

static uint64_t
do_osxsave(uint64_t want)
{
	uint64_t cr4;
	uint32_t lo = (uint32_t)want, hi = 0;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | CR4_OSXSAVE));
	__asm__ volatile("xsetbv" ::"c"(0), "a"(lo), "d"(hi));
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return lo;
}

#define XSAVE_ROUND(name, save, load)                              \
	static uint64_t name(uint64_t mask)                        \
	{                                                          \
		uint32_t lo = (uint32_t)mask;                      \
		__asm__ volatile("vmovdqu %2, %%ymm3\n"            \
				 "	" save " %0\n"             \
				 "	vpxor %%ymm3, %%ymm3, %%ymm3\n" \
				 "	" load " %0\n"             \
				 "	vmovdqu %%ymm3, %1\n"           \
				 "	vzeroupper"                     \
				 : "+m"(image), "=m"(vector_out)   \
				 : "m"(vector_in), "a"(lo), "d"(0) \
				 : "memory");                      \
		return *(uint64_t *)(image + 512);                 \
	}
XSAVE_ROUND(round_xsave, "xsave64", "xrstor64")
XSAVE_ROUND(round_xsavec, "xsavec64", "xrstor64")
XSAVE_ROUND(round_xsaves, "xsaves64", "xrstors64")

static void
one_round(const char *name, uint64_t (*fn)(uint64_t))
{
	unsigned i;

	for (i = 0; i < sizeof(vector_in); i++)
		vector_in[i] = (uint8_t)(i * 7 + 1);
	memset(image, 0, sizeof(image));
	memset(vector_out, 0, sizeof(vector_out));
	ok((ring0(fn, 7) & 6) == 6 && memcmp(vector_out, vector_in, 32) == 0,
	    "%s and back", name);
}

static void
test_xsave(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	if (!(r[2] >> 28 & 1)) {
		skip("XSAVE", "the CPU model has no AVX");
		return;
	}
	xcr0 = ring0(do_osxsave, 7);
	if (!ok(xcr0 == 7, "XSETBV"))
		return;
	one_round("XSAVE", round_xsave);
	cpuid(0xd, 1, r);
	if (r[0] & 2)
		one_round("XSAVEC", round_xsavec);
	if (r[0] & 8)
		one_round("XSAVES", round_xsaves);
}

/* ---- vectors and devices, from ring 3 and ring 0 ---- */

static uint64_t
do_vector_read(uint64_t at)
{
	uint32_t v;

	__asm__ volatile("vmovd (%1), %%xmm1\n"
			 "	vmovd %%xmm1, %0"
			 : "=r"(v)
			 : "r"(at)
			 : "memory");
	return v;
}

static uint64_t
do_vector_select(uint64_t index)
{
	__asm__ volatile("vmovd %0, %%xmm1\n"
			 "	vmovd %%xmm1, (%1)" ::"r"((uint32_t)index),
			 "r"(IOAPIC)
			 : "memory");
	return 0;
}

static void
test_devices(void)
{
	uint32_t version, id = lapic_id();

	mmio_write32(IOAPIC, 1);
	version = mmio_read32(IOAPIC + 0x10);
	mmio_write32(IOAPIC, 0);
	do_vector_select(1);
	ok(do_vector_read(IOAPIC + 0x10) == version,
	    "vector moves to and from a device");
	mmio_write32(IOAPIC, 0);
	ring0(do_vector_select, 1);
	ok(ring0(do_vector_read, IOAPIC + 0x10) == version,
	    "the same in ring 0");
	if (strcmp(cmdline(), "x2apic") != 0)
		ok(do_vector_read(LAPIC + 0x20) >> 24 == id,
		    "a vector load of the local APIC's id");
}

/* ---- atomicity against other processors ---- */

#define ROUNDS 3000
static volatile uint32_t go, finished;
static uint64_t shared[2] __attribute__((aligned(16)));

static uint64_t
do_count(uint64_t n)
{
	uint64_t lo, hi;
	uint8_t zf;

	while (n-- > 0) {
		lo = shared[0];
		hi = shared[1];
		do {
			__asm__ volatile(
			    "lock cmpxchg16b %1"
			    : "=@ccz"(zf), "+m"(shared), "+a"(lo), "+d"(hi)
			    : "b"(lo + 1), "c"(hi + 2));
		} while (!zf);
	}
	return 0;
}

static void
count(void)
{
	while (!go)
		cpu_pause();
	/* This one in user mode, where the processor does it itself. */
	do_count(ROUNDS * 10);
	__atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
	for (;;)
		halt_wait();
}

static bool
is_finished(void *unused)
{
	return finished != 0;
}

static void
test_atomic(void)
{
	if (!ap_start(1, count)) {
		skip("CMPXCHG16B against another CPU", "there is one only");
		return;
	}
	go = 1;
	ring0(do_count, ROUNDS);
	ok(wait_until(is_finished, NULL, 60000), "the other CPU counted");
	ok(shared[0] == ROUNDS * 11 && shared[1] == ROUNDS * 22,
	    "CMPXCHG16B is atomic between CPUs (%u)", (unsigned)shared[0]);
}

void
user_main(void)
{
	static const uint8_t vector[] = { 3, 13, 14, 16 };
	unsigned i;

	for (i = 0; i < sizeof(vector); i++)
		ring0(set_gate, vector[i]);
	lapic_enable();
	ok(ring0(do_int3, 0) == 1 && step_vector == 3, "INT3");
	ok(ring0(do_int_n, 0) == 2 && step_vector == 3, "INT n");
	test_integer();
	test_faults();
	test_x87();
	test_xsave();
	test_devices();
	test_atomic();
	tap_done();
}
