/*
 * FXSAVE, XSAVE and their inverses, XCR0. The state lives in the layout of a
 * standard-format XSAVE area, so these copy.
 *
 * Source: Intel SDM vol. 1, 10.5 (FXSAVE) and chapter 13 (XSAVE). All enabled
 * components count as in use (13.6 lets the processor say so).
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/insn.h"

#define MXCSR_MASK 0xffffu
#define XSTATE_X87 1u
#define XSTATE_SSE 2u
#define XSTATE_AVX 4u

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

static void
xsave(struct soft_cpu *cpu, uint64_t lin, uint64_t rfbm)
{
	const uint8_t *x = cpu->xsave;
	uint8_t head[32];
	uint64_t bv;

	soft_probe_write(cpu, lin, rfbm & XSTATE_AVX ? 832 : 576);
	bv = soft_read64(cpu, lin + SOFT_XSTATE_BV);
	memcpy(head, x, sizeof(head));
	put32(head + 28, MXCSR_MASK);
	if (rfbm & XSTATE_X87) {
		soft_write(cpu, lin, head, 24);
		soft_write(cpu, lin + SOFT_ST(0), x + SOFT_ST(0), 128);
	}
	if (rfbm & (XSTATE_SSE | XSTATE_AVX))
		soft_write(cpu, lin + SOFT_MXCSR, head + SOFT_MXCSR, 8);
	if (rfbm & XSTATE_SSE)
		soft_write(
		    cpu, lin + SOFT_XMM(0), x + SOFT_XMM(0), xmm_bytes(cpu));
	if (rfbm & XSTATE_AVX)
		soft_write(
		    cpu, lin + SOFT_YMMH(0), x + SOFT_YMMH(0), xmm_bytes(cpu));
	soft_write64(cpu, lin + SOFT_XSTATE_BV, bv | rfbm);
}

static void
xrstor(struct soft_cpu *cpu, uint64_t lin, uint64_t rfbm)
{
	uint8_t img[832] __attribute__((aligned(8)));
	uint8_t *x = cpu->xsave;
	unsigned n = xmm_bytes(cpu);
	uint64_t bv, zero[2]; /* bytes 8-23 of the header (13.8) */

	soft_read(cpu, lin, img, 576);
	memcpy(&bv, img + SOFT_XSTATE_BV, 8);
	memcpy(zero, img + SOFT_XSTATE_BV + 8, 16);
	if ((zero[0] | zero[1]) != 0 || (bv & ~cpu->xcr0))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if ((rfbm & (XSTATE_SSE | XSTATE_AVX)) &&
	    (image32(img + SOFT_MXCSR) & ~MXCSR_MASK))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if (rfbm & bv & XSTATE_AVX)
		soft_read(cpu, lin + 576, img + 576, 256);
	else
		memset(img + 576, 0, 256);
	if (rfbm & XSTATE_X87) {
		if (bv & XSTATE_X87) {
			memcpy(x, img, 24);
			memcpy(x + SOFT_ST(0), img + SOFT_ST(0), 128);
		} else
			init_x87(x);
	}
	if (rfbm & (XSTATE_SSE | XSTATE_AVX))
		memcpy(x + SOFT_MXCSR, img + SOFT_MXCSR, 4);
	if (rfbm & XSTATE_SSE) {
		if (!(bv & XSTATE_SSE))
			memset(img + SOFT_XMM(0), 0, 256);
		memcpy(x + SOFT_XMM(0), img + SOFT_XMM(0), n);
	}
	if (rfbm & XSTATE_AVX)
		memcpy(x + SOFT_YMMH(0), img + SOFT_YMMH(0), n);
	soft_fp_sanitize(cpu);
}

INSN(xsave)
{
	bool store = in->row->mn != X86_MN_XRSTOR;
	uint64_t lin, rfbm;

	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		soft_raise(cpu, X86_EXC_UD);
	if (cpu->cr0 & X86_CR0_TS)
		soft_raise(cpu, X86_EXC_NM);
	soft_fp_sync(cpu);
	lin = soft_ea(cpu, in, 576, store);
	need_aligned(cpu, lin, 64);
	rfbm = (uint32_t)cpu->gpr[X86_RAX] | cpu->gpr[X86_RDX] << 32;
	rfbm &= cpu->xcr0;
	if (store)
		xsave(cpu, lin, rfbm);
	else
		xrstor(cpu, lin, rfbm);
}

INSN(xgetbv)
{
	uint64_t v;

	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		soft_raise(cpu, X86_EXC_UD);
	if (in->row->mn == X86_MN_XGETBV) {
		/* XINUSE, ECX = 1, is part of XSAVEC: not offered */
		if ((uint32_t)cpu->gpr[X86_RCX] != 0)
			soft_raise_error(cpu, X86_EXC_GP, 0);
		cpu->gpr[X86_RAX] = (uint32_t)cpu->xcr0;
		cpu->gpr[X86_RDX] = cpu->xcr0 >> 32;
		return;
	}
	soft_need_cpl0(cpu);
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
