/*
 * Reset, and the exchange of state with the machine.
 *
 * Source: Intel SDM vol. 3, table 10-1 (state after RESET and INIT).
 */
#include <errno.h>

#include "base/str.h"
#include "vmm/soft/debug.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/insn.h"
#include "vmm/soft/run.h"
#include "vmm/soft/vm.h"

void
soft_cpu_reset(struct soft_cpu *cpu, bool init)
{
	uint64_t sig = 0x600;
	uint32_t r[4];

	cpuid_lookup(cpu->cpuid, 1, 0, r);
	sig = r[0];
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu->gpr[X86_RDX] = sig;
	cpu->rip = 0xfff0;
	cpu->rflags = 2;
	cpu->fl = 0;
	for (unsigned i = 0; i < X86_SEG_COUNT; i++)
		cpu->seg[i] = (struct x86_seg){ .limit = 0xffff, .attr = 0x93 };
	cpu->seg[X86_CS].sel = 0xf000;
	cpu->seg[X86_CS].base = 0xffff0000;
	cpu->seg[X86_CS].attr = 0x9b;
	cpu->tr = (struct x86_seg){ .limit = 0xffff, .attr = 0x8b };
	cpu->ldtr = (struct x86_seg){ .limit = 0xffff, .attr = 0x82 };
	cpu->gdtr = cpu->idtr = (struct x86_dtable){ .limit = 0xffff };
	cpu->cr0 = init ? (cpu->cr0 & (X86_CR0_CD | X86_CR0_NW)) | X86_CR0_ET
			: 0x60000010;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->efer = 0;
	soft_fp_recheck(cpu);
	if (!init)
		cpu->xcr0 = 1; /* INIT leaves it */
	memset(cpu->dr, 0, sizeof(cpu->dr));
	cpu->dr[6] = 0xffff0ff0;
	cpu->dr[7] = 0x400;
	cpu->shadow = 0;
	cpu->sti_at = ~UINT64_C(0);
	cpu->inject.on = false;
	cpu->nmi_masked = 0;
	soft_debug_changed(cpu);
	cpu->debug = 0;
	cpu->debug_hits = 0;
	cpu->cpl = 0;
	cpu->delivering = -1;
	if (!init) {
		soft_fp_reset(cpu);
		cpu->pat = UINT64_C(0x0007040600070406);
		cpu->misc_enable = 1; /* fast strings */
		cpu->feature_ctl = 1; /* locked, no VMX */
		cpu->mtrr_def = 0xc06; /* enabled, write-back */
	}
	soft_tlb_init(cpu);
	soft_mode_changed(cpu);
}

void
soft_cpu_features(struct soft_cpu *cpu)
{
	/* clang-format off */
	static const struct {
		uint32_t leaf;
		uint8_t reg, bit;
	} where[X86_FEAT_COUNT] = {
		[X86_FEAT_X87] = { 1, 3, 0 }, [X86_FEAT_CX8] = { 1, 3, 8 },
		[X86_FEAT_MMX] = { 1, 3, 23 }, [X86_FEAT_FXSR] = { 1, 3, 24 },
		[X86_FEAT_SSE] = { 1, 3, 25 }, [X86_FEAT_SSE2] = { 1, 3, 26 },
		[X86_FEAT_SSE3] = { 1, 2, 0 }, [X86_FEAT_PCLMUL] = { 1, 2, 1 },
		[X86_FEAT_SSSE3] = { 1, 2, 9 }, [X86_FEAT_FMA] = { 1, 2, 12 },
		[X86_FEAT_SSE41] = { 1, 2, 19 }, [X86_FEAT_SSE42] = { 1, 2, 20 },
		[X86_FEAT_MOVBE] = { 1, 2, 22 }, [X86_FEAT_POPCNT] = { 1, 2, 23 },
		[X86_FEAT_AES] = { 1, 2, 25 }, [X86_FEAT_XSAVE] = { 1, 2, 26 },
		[X86_FEAT_AVX] = { 1, 2, 28 }, [X86_FEAT_F16C] = { 1, 2, 29 },
		[X86_FEAT_RDRAND] = { 1, 2, 30 }, [X86_FEAT_CLFLUSH] = { 1, 3, 19 },
		[X86_FEAT_FSGSBASE] = { 7, 1, 0 }, [X86_FEAT_BMI1] = { 7, 1, 3 },
		[X86_FEAT_AVX2] = { 7, 1, 5 }, [X86_FEAT_BMI2] = { 7, 1, 8 },
		[X86_FEAT_INVPCID] = { 7, 1, 10 }, [X86_FEAT_RDSEED] = { 7, 1, 18 },
		[X86_FEAT_ADX] = { 7, 1, 19 }, [X86_FEAT_SMAP] = { 7, 1, 20 },
		[X86_FEAT_CLFLUSHOPT] = { 7, 1, 23 }, [X86_FEAT_CLWB] = { 7, 1, 24 },
		[X86_FEAT_SHA] = { 7, 1, 29 }, [X86_FEAT_RDPID] = { 7, 2, 22 },
		[X86_FEAT_RDTSCP] = { 0x80000001, 3, 27 },
		[X86_FEAT_LZCNT] = { 0x80000001, 2, 5 },
	};
	/* clang-format on */
	uint32_t r[4];
	unsigned bits;

	cpu->features = UINT64_C(1) << X86_FEAT_BASE;
	for (unsigned f = 0; f < X86_FEAT_COUNT; f++) {
		if (where[f].leaf == 0)
			continue;
		cpuid_lookup(cpu->cpuid, where[f].leaf, 0, r);
		if (r[where[f].reg] >> where[f].bit & 1)
			cpu->features |= UINT64_C(1) << f;
	}
	if (soft_has(cpu, X86_FEAT_XSAVE)) {
		cpuid_lookup(cpu->cpuid, 0xd, 1, r);
		if (r[0] & 1)
			cpu->features |= UINT64_C(1) << X86_FEAT_XSAVEOPT;
		if (r[0] & 2)
			cpu->features |= UINT64_C(1) << X86_FEAT_XSAVEC;
		if (r[0] & 8)
			cpu->features |= UINT64_C(1) << X86_FEAT_XSAVES;
	}
	cpuid_lookup(cpu->cpuid, 0x80000008, 0, r);
	bits = r[0] & 0xff;
	if (bits < 36 || bits > 52)
		bits = 36;
	cpu->maxphys_rsvd =
	    ((UINT64_C(1) << 52) - 1) & ~((UINT64_C(1) << bits) - 1);
}

/* MSRs that are state of their own in struct vcpu_state.msrs. */
static const uint32_t saved_msrs[] = { 0x10, 0x3a, 0x3b, 0x48, 0x140, 0x174,
	0x175, 0x176, 0x1a0, 0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206,
	0x207, 0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f, 0x250,
	0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
	0x277, 0x2ff, 0x6e0, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
	0xc0000102, 0xc0000103, 0x4b564d00, 0x4b564d01, 0x12 };
_Static_assert(
    sizeof(saved_msrs) / sizeof(saved_msrs[0]) <= VCPU_STATE_MSRS, "msrs");

static void
get_events(struct soft_cpu *cpu, struct vcpu_state *s)
{
	s->run_state = cpu->run_state;
	s->shadow = cpu->shadow || cpu->rip == cpu->sti_at;
	s->nmi_pending = atomic_load(&cpu->nmi_pending) != 0;
	s->nmi_masked = cpu->nmi_masked;
	s->sipi_vector = atomic_load(&cpu->sipi);
	if (!cpu->inject.on)
		return;
	if (cpu->inject.exception) {
		s->exc_injected = 1;
		s->exc_vector = cpu->inject.vector;
		s->exc_has_error = cpu->inject.has_error;
		s->exc_error = cpu->inject.error;
	} else {
		s->int_injected = 1;
		s->int_vector = cpu->inject.vector;
	}
}

void
soft_cpu_get_core(struct soft_cpu *cpu, struct vcpu_state *s)
{
	memcpy(s->gpr, cpu->gpr, sizeof(s->gpr));
	s->rip = cpu->rip;
	s->rflags = soft_rflags(cpu);
	memcpy(s->seg, cpu->seg, sizeof(s->seg));
	/* CPL is SS.DPL for those who load this (Intel SDM 24.4.1) */
	s->seg[X86_SS].attr =
	    (s->seg[X86_SS].attr & ~0x60u) | (uint32_t)cpu->cpl << 5;
	s->tr = cpu->tr;
	s->ldtr = cpu->ldtr;
	s->gdtr = cpu->gdtr;
	s->idtr = cpu->idtr;
	s->cr0 = cpu->cr0;
	s->cr2 = cpu->cr2;
	s->cr3 = cpu->cr3;
	s->cr4 = cpu->cr4;
	s->cr8 = lapic_cr8(cpu->lapic);
	s->efer = cpu->efer;
	s->xcr0 = cpu->xcr0;
	memcpy(s->dr, cpu->dr, sizeof(s->dr));
}

void
soft_cpu_get(struct soft_cpu *cpu, struct vcpu_state *s)
{
	size_t n = sizeof(saved_msrs) / sizeof(saved_msrs[0]);
	uint64_t v;

	memset(s, 0, sizeof(*s));
	soft_cpu_get_core(cpu, s);
	s->apic_base = lapic_base(cpu->lapic);
	get_events(cpu, s);
	for (size_t i = 0; i < n; i++) {
		if (!soft_msr_read(cpu, saved_msrs[i], &v))
			continue;
		s->msrs[s->nmsrs].index = saved_msrs[i];
		s->msrs[s->nmsrs++].value = v;
	}
	soft_cpu_get_xsave(cpu, s);
	lapic_save(cpu->lapic, s->lapic);
}

#define KNOWN_XSAVE 832u /* x87, SSE, AVX */

void
soft_cpu_set_xsave(struct soft_cpu *cpu, const struct vcpu_state *s)
{
	uint64_t bv = 3;

	if (s->xsave_size >= 576)
		memcpy(&bv, s->xsave + SOFT_XSTATE_BV, 8);
	soft_fp_reset(cpu);
	/* x87's initial state is FNINIT's */
	cpu->xsave[SOFT_X87_FCW] = 0x7f;
	cpu->xsave[SOFT_X87_FCW + 1] = 0x03;
	if (s->xsave_size < 512)
		return;
	if (bv & 1) {
		memcpy(cpu->xsave, s->xsave, 24);
		memcpy(cpu->xsave + SOFT_ST(0), s->xsave + SOFT_ST(0), 128);
	}
	if (bv & 6)
		memcpy(cpu->xsave + SOFT_MXCSR, s->xsave + SOFT_MXCSR, 4);
	soft_fp_sanitize(cpu);
	if (bv & 2)
		memcpy(cpu->xsave + SOFT_XMM(0), s->xsave + SOFT_XMM(0), 256);
	if ((bv & 4) && s->xsave_size >= 832)
		memcpy(cpu->xsave + SOFT_YMMH(0), s->xsave + SOFT_YMMH(0), 256);
	/* A stepper saves and restores what it cannot compute with. */
	if (cpu->stepper != NULL && s->xsave_size > KNOWN_XSAVE)
		memcpy(cpu->xsave + KNOWN_XSAVE, s->xsave + KNOWN_XSAVE,
		    s->xsave_size - KNOWN_XSAVE);
}

/* Returns whether it was different. */
static bool
copy_part(struct vcpu_state *s, const struct soft_cpu *cpu, unsigned off,
    unsigned size)
{
	if (memcmp(s->xsave + off, cpu->xsave + off, size) == 0)
		return false;
	memcpy(s->xsave + off, cpu->xsave + off, size);
	return true;
}

void
soft_cpu_get_xsave(struct soft_cpu *cpu, struct vcpu_state *s)
{
	bool avx = soft_has(cpu, X86_FEAT_AVX), new;
	uint64_t bv;

	soft_fp_sync(cpu);
	new = copy_part(s, cpu, 0, SOFT_MXCSR + 4);
	new |= copy_part(s, cpu, SOFT_ST(0), 128 + 256);
	if (avx)
		new |= copy_part(s, cpu, SOFT_YMMH(0), 256);
	s->xsave_size = MAX(s->xsave_size, avx ? KNOWN_XSAVE : 576u);
	memcpy(&bv, s->xsave + SOFT_XSTATE_BV, 8);
	if (cpu->stepper != NULL &&
	    copy_part(s, cpu, KNOWN_XSAVE, VCPU_STATE_XSAVE - KNOWN_XSAVE))
		bv |= cpu->xcr0 & ~UINT64_C(7);
	/* Else what was in its initial state still is. */
	if (new)
		bv |= avx ? 7 : 3;
	memcpy(s->xsave + SOFT_XSTATE_BV, &bv, 8);
}

void
soft_cpu_set_core(struct soft_cpu *cpu, const struct vcpu_state *s)
{
	unsigned ss_dpl = X86_ATTR_DPL(s->seg[X86_SS].attr);

	memcpy(cpu->gpr, s->gpr, sizeof(s->gpr));
	cpu->rip = s->rip;
	cpu->rflags = 2;
	memcpy(cpu->seg, s->seg, sizeof(s->seg));
	cpu->tr = s->tr;
	cpu->ldtr = s->ldtr;
	cpu->gdtr = s->gdtr;
	cpu->idtr = s->idtr;
	cpu->cr0 = s->cr0 | X86_CR0_ET;
	cpu->cr2 = s->cr2;
	cpu->cr3 = s->cr3;
	cpu->cr4 = s->cr4;
	soft_fp_recheck(cpu);
	cpu->efer = s->efer;
	memcpy(cpu->dr, s->dr, sizeof(s->dr));
	cpu->debug = 0;
	cpu->debug_hits = 0;
	soft_debug_changed(cpu);
	cpu->cpl = (s->cr0 & X86_CR0_PE) ? (uint8_t)ss_dpl : 0;
	soft_set_rflags(cpu, s->rflags);
	cpu->run_state = s->run_state;
	cpu->shadow = s->shadow;
	cpu->sti_at = ~UINT64_C(0);
	cpu->nmi_masked = s->nmi_masked;
	cpu->delivering = -1;
}

static void
set_inject(struct soft_cpu *cpu, const struct vcpu_state *s)
{
	cpu->inject.on = s->exc_injected || s->int_injected;
	cpu->inject.exception = s->exc_injected;
	cpu->inject.vector = s->exc_injected ? s->exc_vector : s->int_vector;
	cpu->inject.has_error = s->exc_injected && s->exc_has_error;
	cpu->inject.error = s->exc_error;
}

int
soft_cpu_set(struct soft_cpu *cpu, const struct vcpu_state *s)
{
	if (s->run_state > VCPU_HALTED || s->nmsrs > VCPU_STATE_MSRS ||
	    s->xsave_size > VCPU_STATE_XSAVE)
		return -EINVAL;
	soft_cpu_set_core(cpu, s);
	cpu->xcr0 = (s->xcr0 & (soft_has(cpu, X86_FEAT_AVX) ? 7 : 3)) | 1;
	soft_cpu_set_xsave(cpu, s);
	lapic_set_base(cpu->lapic, s->apic_base);
	lapic_restore(cpu->lapic, s->lapic);
	lapic_set_cr8(cpu->lapic, s->cr8 & 15);
	soft_tlb_init(cpu);
	soft_mode_changed(cpu);
	if ((cpu->cr0 & X86_CR0_PG) && (cpu->cr4 & X86_CR4_PAE) &&
	    !soft_long(cpu))
		soft_load_pdptes(cpu, cpu->cr3);
	for (uint32_t i = 0; i < s->nmsrs; i++)
		soft_msr_write(cpu, s->msrs[i].index, s->msrs[i].value);
	set_inject(cpu, s);
	atomic_store(&cpu->nmi_pending, s->nmi_pending);
	atomic_fetch_or(&cpu->request, SOFT_REQ_EVENT);
	return 0;
}
