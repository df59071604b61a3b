/*
 * The CPU that this engine offers: x86-64-v3 where the host is one, else v2, as
 * Intel so that Linux takes TSC
 * and APIC timer frequency from CPUID, with the "not affected" bits that spare
 * it page-table isolation and retpolines (enhanced IBRS is offered and costs
 * one MSR write at boot).
 *
 * Left out: MONITOR, PMU, VMX, PCID, SMEP/SMAP (a flush or a TLB of its own
 * for nothing gained), everything beyond AVX2.
 */
#include "vmm/soft/lapic.h"
#include "vmm/soft/run.h"

static uint32_t
host(uint32_t leaf, uint32_t sub, unsigned reg)
{
	uint32_t r[4];

	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
	return r[reg];
}

static void
add(struct cpuid_table *t, uint32_t leaf, int sub, uint32_t a, uint32_t b,
    uint32_t c, uint32_t d)
{
	struct cpuid_leaf *l = &t->row[t->count++];

	*l = (struct cpuid_leaf){ leaf, sub < 0 ? 0 : (uint32_t)sub, sub >= 0,
		a, b, c, d };
}

static uint32_t
text(const char *s)
{
	uint32_t v;

	memcpy(&v, s, 4);
	return v;
}

#define BIT(n) (1u << (n))

void
soft_cpuid_model(struct cpuid_table *t, uint64_t tsc_hz)
{
	static const char brand[48] = "zhyve software CPU";
	/* SSE3 CX16 x2APIC TSC_DEADLINE XSAVE hypervisor; rest as the host */
	uint32_t c1 = BIT(0) | BIT(13) | BIT(21) | BIT(24) | BIT(26) | BIT(31);
	uint32_t c1_host = BIT(1) | BIT(9) | BIT(19) | BIT(20) | BIT(22) |
	    BIT(23) | BIT(25) | BIT(30);
	/* FPU DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT
	 * PSE36 CLFSH MMX FXSR SSE SSE2 */
	uint32_t d1 = 0x078bfbfd;
	/* FSGSBASE TSC_ADJUST SMEP ERMS SMAP; BMI1/2 need VEX decoding only */
	uint32_t b7 = BIT(0) | BIT(1) | BIT(7) | BIT(9) | BIT(20) | BIT(23);
	uint32_t b7_host = BIT(3) | BIT(8) | BIT(18) | BIT(19) | BIT(29);
	/* FSRM SPEC_CTRL ARCH_CAPABILITIES SSBD */
	uint32_t d7 = BIT(4) | BIT(26) | BIT(29);

	/* The upper halves live in the host's: all of AVX2 or nothing. */
	bool avx =
	    __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");

	t->count = 0;
	if (avx) {
		c1_host |= BIT(12) | BIT(28) | BIT(29);
		b7_host |= BIT(5);
	}
	c1 |= host(1, 0, 2) & c1_host;
	b7 |= host(7, 0, 1) & b7_host;
	add(t, 0, -1, 0x16, text("Genu"), text("ntel"), text("ineI"));
	add(t, 1, -1, 0x000806f8, 8u << 8, c1, d1);
	add(t, 2, -1, 0x00feff01, 0, 0, 0);
	/* L1D 48K, L1I 32K, L2 2M, L3 32M */
	add(t, 4, 0, 0x00000121, 0x02c0003f, 0x3f, 0);
	add(t, 4, 1, 0x00000122, 0x01c0003f, 0x3f, 0);
	add(t, 4, 2, 0x00000143, 0x03c0003f, 0x7ff, 0);
	add(t, 4, 3, 0x00000163, 0x03c0003f, 0x7fff, 0);
	add(t, 4, 4, 0, 0, 0, 0);
	add(t, 6, -1, BIT(2), 0, 0, 0); /* ARAT */
	add(t, 7, 0, 2, b7, BIT(22) & host(7, 0, 2), d7);
	add(t, 7, 1, 0, 0, 0, 0);
	add(t, 7, 2, 0, 0, 0, BIT(4)); /* BHI_CTRL: no software loop */
	add(t, 0xb, 0, 0, 1, 0x100, 0);
	add(t, 0xb, 1, 0, 1, 0x201, 0);
	add(t, 0xb, 2, 0, 0, 2, 0);
	/* XSAVE: x87, SSE, AVX; XSAVEOPT */
	add(t, 0xd, 0, avx ? 7 : 3, 576, avx ? 832 : 576, 0);
	add(t, 0xd, 1, 1, 0, 0, 0);
	if (avx)
		add(t, 0xd, 2, 256, 576, 0, 0);
	/* TSC = crystal * numerator / denominator; the crystal also clocks
	 * the APIC timer */
	add(t, 0x15, -1, (uint32_t)(LAPIC_TIMER_HZ / 1000),
	    (uint32_t)(tsc_hz / 1000), (uint32_t)LAPIC_TIMER_HZ, 0);
	add(t, 0x16, -1, (uint32_t)(tsc_hz / 1000000),
	    (uint32_t)(tsc_hz / 1000000), 100, 0);
	/* KVM's signature: CLOCKSOURCE, CLOCKSOURCE2, CLOCKSOURCE_STABLE */
	add(t, 0x40000000, -1, 0x40000001, text("KVMK"), text("VMKV"),
	    text("M\0\0\0"));
	add(t, 0x40000001, -1, BIT(0) | BIT(3) | BIT(24), 0, 0, 0);
	add(t, 0x80000000, -1, 0x80000008, 0, 0, 0);
	/* LAHF, LZCNT as the host, PREFETCHW; SYSCALL NX 1G RDTSCP LM */
	add(t, 0x80000001, -1, 0, 0,
	    BIT(0) | (host(0x80000001, 0, 2) & BIT(5)) | BIT(8),
	    BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29));
	for (unsigned i = 0; i < 3; i++)
		add(t, 0x80000002 + i, -1, text(brand + 16 * i),
		    text(brand + 16 * i + 4), text(brand + 16 * i + 8),
		    text(brand + 16 * i + 12));
	add(t, 0x80000006, -1, 0, 0, 0x08007040, 0);
	add(t, 0x80000007, -1, 0, 0, 0, BIT(8)); /* invariant TSC */
	add(t, 0x80000008, -1, 48u << 8 | 40, 0, 0, 0);
}
