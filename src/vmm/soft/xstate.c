/*
 * FXSAVE, XSAVE and their inverses, XCR0. The state lives in the layout of a
 * standard-format XSAVE area, so these copy.
 *
 * Source: Intel SDM vol. 1, 10.5 (FXSAVE) and chapter 13 (XSAVE). All enabled
 * components count as in use (13.6 lets the processor say so).
 */
#include "base/str.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/insn.h"
#include "vmm/soft/step.h"

#define MXCSR_MASK 0xffffu
#define XSTATE_X87 1u
#define XSTATE_SSE 2u
#define XSTATE_AVX 4u
#define XCOMP_COMPACT (UINT64_C(1) << 63)
#define SOFT_XCOMP_BV (SOFT_XSTATE_BV + 8)
#define MXCSR_INIT 0x1f80u
#define MSR_XSS 0xda0

static uint32_t
image32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static void
init_x87(uint8_t *x)
{
	static const uint8_t fcw[2] = { 0x7f, 0x03 };

	memset(x, 0, 24);
	memset(x + SOFT_ST(0), 0, 128);
	memcpy(x, fcw, 2);
}

/* XMM registers that the mode has. */
static unsigned
xmm_bytes(struct soft_cpu *cpu)
{
	return cpu->mode == 8 ? 256 : 128;
}

static void
need_aligned(struct soft_cpu *cpu, uint64_t lin, unsigned align)
{
	if (lin & (align - 1))
		soft_raise_error(cpu, X86_EXC_GP, 0);
}

INSN(fxsave)
{
	uint8_t img[512];
	uint64_t lin;
	uint32_t mxcsr;

	if (cpu->cr0 & (X86_CR0_EM | X86_CR0_TS))
		soft_raise(cpu, X86_EXC_NM);
	soft_fp_sync(cpu);
	lin = soft_ea(cpu, in, 512, in->row->mn == X86_MN_FXSAVE);
	need_aligned(cpu, lin, 16);
	if (in->row->mn == X86_MN_FXSAVE) {
		memcpy(img, cpu->xsave, SOFT_XMM(0) + 256);
		put32(img + 28, MXCSR_MASK);
		if (in->opsize != 8)
			put32(img + 12, 0);
		soft_probe_write(cpu, lin, 512);
		soft_write(cpu, lin, img, SOFT_XMM(0) + xmm_bytes(cpu));
		return;
	}
	soft_read(cpu, lin, img, 512);
	mxcsr = image32(img + SOFT_MXCSR);
	if (mxcsr & ~MXCSR_MASK)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	memcpy(cpu->xsave, img, 28);
	memcpy(cpu->xsave + SOFT_ST(0), img + SOFT_ST(0), 128 + xmm_bytes(cpu));
	soft_fp_sanitize(cpu);
}

/* ---- components beyond x87 and SSE ---- */

struct component {
	unsigned off; /* in the image; in the standard format also in ours */
	unsigned home; /* in cpu->xsave */
	unsigned size; /* what the mode has of it */
};

/*
 * Walk the components of bits, from 2 on. In the compacted format they follow
 * each other (13.4.3), comp says which. *n is 1 before the first.
 */
static bool
next_component(struct soft_cpu *cpu, uint64_t bits, uint64_t comp, unsigned *n,
    unsigned *end, struct component *ret)
{
	uint32_t r[4];
	unsigned off;

	while (++*n < 63) {
		if (!((bits | comp) >> *n & 1))
			continue;
		cpuid_lookup(cpu->cpuid, 0xd, *n, r);
		if (r[0] == 0 || r[1] + r[0] > sizeof(cpu->xsave))
			continue;
		off = r[1];
		if (comp & XCOMP_COMPACT) {
			off = r[2] & 2 ? (*end + 63) & ~63u : *end;
			*end = off + r[0];
		} else if (off + r[0] > *end) {
			*end = off + r[0];
		}
		if (!(bits >> *n & 1))
			continue;
		*ret = (struct component){ off, r[1], r[0] };
		/* YMM8-15 and ZMM8-31 are not in 32-bit code. */
		if (cpu->mode != 8 && (*n == 2 || *n == 6))
			ret->size /= 2;
		else if (cpu->mode != 8 && *n == 7)
			ret->size = 0;
		return true;
	}
	return false;
}

/* Bytes from the image's start to the end of the components. */
static unsigned
image_size(struct soft_cpu *cpu, uint64_t bits, uint64_t comp)
{
	unsigned n = 1, end = 576;
	struct component c;

	while (next_component(cpu, bits, comp, &n, &end, &c))
		;
	return end;
}

static void
copy_components(
    struct soft_cpu *cpu, uint64_t lin, uint64_t bits, uint64_t comp, bool save)
{
	unsigned n = 1, end = 576, part;
	struct component c;

	while (next_component(cpu, bits, comp, &n, &end, &c))
		for (unsigned i = 0; i < c.size; i += part) {
			part = MIN(c.size - i, 512u);
			if (save)
				soft_write(cpu, lin + c.off + i,
				    cpu->xsave + c.home + i, part);
			else
				soft_read(cpu, lin + c.off + i,
				    cpu->xsave + c.home + i, part);
		}
}

static void
clear_components(struct soft_cpu *cpu, uint64_t bits)
{
	unsigned n = 1, end = 576;
	struct component c;

	while (next_component(cpu, bits, 0, &n, &end, &c))
		memset(cpu->xsave + c.home, 0, c.size);
}

/* ---- XSAVE and its kin ---- */

static void
save(struct soft_cpu *cpu, uint64_t lin, uint64_t rfbm, bool compact)
{
	const uint8_t *x = cpu->xsave;
	uint64_t comp = compact ? rfbm | XCOMP_COMPACT : 0, bv = 0;
	uint64_t mxcsr = compact ? XSTATE_SSE : XSTATE_SSE | XSTATE_AVX;
	uint8_t head[32];

	soft_probe_write(cpu, lin, image_size(cpu, rfbm, comp));
	if (!compact)
		bv = soft_read64(cpu, lin + SOFT_XSTATE_BV);
	memcpy(head, x, sizeof(head));
	put32(head + 28, MXCSR_MASK);
	if (rfbm & XSTATE_X87) {
		soft_write(cpu, lin, head, 24);
		soft_write(cpu, lin + SOFT_ST(0), x + SOFT_ST(0), 128);
	}
	if (rfbm & mxcsr)
		soft_write(cpu, lin + SOFT_MXCSR, head + SOFT_MXCSR, 8);
	if (rfbm & XSTATE_SSE)
		soft_write(
		    cpu, lin + SOFT_XMM(0), x + SOFT_XMM(0), xmm_bytes(cpu));
	copy_components(cpu, lin, rfbm, comp, true);
	soft_write64(cpu, lin + SOFT_XSTATE_BV, bv | rfbm);
	if (compact)
		soft_write64(cpu, lin + SOFT_XCOMP_BV, comp);
}

/* The header: 13.8 (standard) and 13.8.2, 13.12 (compacted). */
static void
check_header(struct soft_cpu *cpu, const uint8_t *img, uint64_t bv,
    uint64_t comp, bool must_compact)
{
	uint64_t zero[6], bad = bv & ~cpu->xcr0;

	memcpy(zero, img + SOFT_XCOMP_BV + 8, sizeof(zero));
	bad |= zero[0];
	if (comp & XCOMP_COMPACT) {
		if (!soft_has(cpu, X86_FEAT_XSAVEC))
			bad = 1;
		bad |= (comp & ~XCOMP_COMPACT & ~cpu->xcr0) | (bv & ~comp);
		for (unsigned i = 1; i < 6; i++)
			bad |= zero[i];
	} else {
		bad |= comp;
		if (must_compact)
			bad = 1;
	}
	if (bad != 0)
		soft_raise_error(cpu, X86_EXC_GP, 0);
}

static void
restore_legacy(struct soft_cpu *cpu, uint8_t *img, uint64_t rfbm, uint64_t bv,
    bool compact)
{
	uint64_t mxcsr = compact ? XSTATE_SSE : XSTATE_SSE | XSTATE_AVX;
	uint8_t *x = cpu->xsave;

	if (rfbm & XSTATE_X87) {
		if (bv & XSTATE_X87) {
			memcpy(x, img, 24);
			memcpy(x + SOFT_ST(0), img + SOFT_ST(0), 128);
		} else
			init_x87(x);
	}
	if (compact && !(bv & XSTATE_SSE))
		put32(img + SOFT_MXCSR, MXCSR_INIT);
	if (rfbm & mxcsr)
		memcpy(x + SOFT_MXCSR, img + SOFT_MXCSR, 4);
	if (rfbm & XSTATE_SSE) {
		if (!(bv & XSTATE_SSE))
			memset(img + SOFT_XMM(0), 0, 256);
		memcpy(x + SOFT_XMM(0), img + SOFT_XMM(0), xmm_bytes(cpu));
	}
}

static void
restore(struct soft_cpu *cpu, uint64_t lin, uint64_t rfbm, bool must_compact)
{
	uint8_t img[576] __attribute__((aligned(8)));
	uint64_t bv, comp;
	bool compact;

	soft_read(cpu, lin, img, 512);
	soft_read(cpu, lin + 512, img + 512, 64);
	memcpy(&bv, img + SOFT_XSTATE_BV, 8);
	memcpy(&comp, img + SOFT_XCOMP_BV, 8);
	check_header(cpu, img, bv, comp, must_compact);
	compact = comp & XCOMP_COMPACT;
	if ((rfbm & (compact ? bv & XSTATE_SSE : XSTATE_SSE | XSTATE_AVX)) &&
	    (image32(img + SOFT_MXCSR) & ~MXCSR_MASK))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	soft_probe_read(cpu, lin, image_size(cpu, rfbm & bv, comp));
	restore_legacy(cpu, img, rfbm, bv, compact);
	clear_components(cpu, rfbm & ~bv);
	copy_components(cpu, lin, rfbm & bv, comp, false);
	soft_fp_sanitize(cpu);
}

/* Supervisor components are nobody's here: IA32_XSS is to be 0. */
static void
need_supervisor(struct soft_cpu *cpu)
{
	uint64_t xss;

	soft_need_cpl0(cpu);
	if (!soft_msr_read(cpu, MSR_XSS, &xss) || xss != 0)
		soft_fail(cpu, "supervisor state in an XSAVE area");
}

INSN(xsave)
{
	unsigned mn = in->row->mn;
	bool load = mn == X86_MN_XRSTOR || mn == X86_MN_XRSTORS;
	uint64_t lin, rfbm;

	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		soft_raise(cpu, X86_EXC_UD);
	if (mn == X86_MN_XSAVES || mn == X86_MN_XRSTORS)
		need_supervisor(cpu);
	if (cpu->cr0 & X86_CR0_TS)
		soft_raise(cpu, X86_EXC_NM);
	soft_fp_sync(cpu);
	lin = soft_ea(cpu, in, 576, !load);
	need_aligned(cpu, lin, 64);
	rfbm = (uint32_t)cpu->gpr[X86_RAX] | cpu->gpr[X86_RDX] << 32;
	rfbm &= cpu->xcr0;
	if (load)
		restore(cpu, lin, rfbm, mn == X86_MN_XRSTORS);
	else
		save(
		    cpu, lin, rfbm, mn == X86_MN_XSAVEC || mn == X86_MN_XSAVES);
}

INSN(xgetbv)
{
	uint64_t v;

	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		soft_raise(cpu, X86_EXC_UD);
	if (in->row->mn == X86_MN_XGETBV) {
		/* ECX = 1, XINUSE: all of them */
		if ((uint32_t)cpu->gpr[X86_RCX] >
		    (soft_has(cpu, X86_FEAT_XSAVEC) ? 1 : 0))
			soft_raise_error(cpu, X86_EXC_GP, 0);
		cpu->gpr[X86_RAX] = (uint32_t)cpu->xcr0;
		cpu->gpr[X86_RDX] = cpu->xcr0 >> 32;
		return;
	}
	soft_need_cpl0(cpu);
	soft_step_refuse(cpu, "XSETBV");
	v = (uint32_t)cpu->gpr[X86_RAX] | cpu->gpr[X86_RDX] << 32;
	if ((uint32_t)cpu->gpr[X86_RCX] != 0 || !(v & XSTATE_X87) ||
	    ((v & XSTATE_AVX) && !(v & XSTATE_SSE)) ||
	    (v &
		~(uint64_t)(XSTATE_X87 | XSTATE_SSE |
		    (soft_has(cpu, X86_FEAT_AVX) ? XSTATE_AVX : 0))))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->xcr0 = v;
	soft_fp_recheck(cpu);
}

void
soft_xsave_cpuid(struct soft_cpu *cpu, uint32_t subleaf, uint32_t r[4])
{
	if (subleaf == 0 && r[0] != 0)
		r[1] = cpu->xcr0 & XSTATE_AVX ? 832 : 576;
}
