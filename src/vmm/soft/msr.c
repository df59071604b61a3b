/*
 * Model-specific registers: those that guests were seen to touch.
 *
 * Source: Intel SDM vol. 4; AMD APM vol. 2, appendix A; for kvmclock Linux,
 * Documentation/virt/kvm/x86/msr.rst.
 */
#include "vmm/soft/insn.h"
#include "vmm/soft/step.h"
#include "vmm/soft/vm.h"

enum {
	MSR_TSC = 0x10,
	MSR_KVM_WALL_OLD = 0x11,
	MSR_KVM_TIME_OLD = 0x12,
	MSR_PLATFORM_ID = 0x17,
	MSR_APIC_BASE = 0x1b,
	MSR_SMI_COUNT = 0x34,
	MSR_FEATURE_CTL = 0x3a,
	MSR_TSC_ADJUST = 0x3b,
	MSR_SPEC_CTRL = 0x48,
	MSR_PRED_CMD = 0x49,
	MSR_UCODE_REV = 0x8b,
	MSR_PLATFORM_INFO = 0xce,
	MSR_MTRR_CAP = 0xfe,
	MSR_ARCH_CAP = 0x10a,
	MSR_FLUSH_CMD = 0x10b,
	MSR_MISC_FEATURES = 0x140,
	MSR_SYSENTER_CS = 0x174,
	MSR_SYSENTER_ESP,
	MSR_SYSENTER_EIP,
	MSR_MCG_CAP = 0x179,
	MSR_MCG_STATUS = 0x17a,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_DEBUGCTL = 0x1d9,
	MSR_MTRR_VAR = 0x200,
	MSR_MTRR_FIX_64K = 0x250,
	MSR_MTRR_FIX_16K = 0x258,
	MSR_MTRR_FIX_4K = 0x268,
	MSR_PAT = 0x277,
	MSR_MTRR_DEF = 0x2ff,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_X2APIC = 0x800,
	MSR_KVM_WALL = 0x4b564d00,
	MSR_KVM_TIME = 0x4b564d01,
};
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u
#define MSR_AMD_SYSCFG 0xc0010010u
#define MSR_AMD_HWCR 0xc0010015u
#define MSR_AMD_DE_CFG 0xc0011029u

/*
 * "Not affected" by what Linux has mitigations for: RDCL_NO, IBRS_ALL,
 * SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO,
 * FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO. Whether that
 * is true depends on the host; guest code only runs through the interpreter.
 */
#define ARCH_CAP_VALUE                                                 \
	(UINT64_C(0x17b) | 7u << 13 | 1u << 20 | 1u << 24 | 3u << 26 | \
	    UINT64_C(1) << 62)

/* Where an MSR that is plain storage lives; NULL = it is not one. */
static uint64_t *
storage(struct soft_cpu *cpu, uint32_t msr)
{
	if (msr >= MSR_MTRR_VAR && msr < MSR_MTRR_VAR + 16)
		return &cpu->mtrr_var[msr - MSR_MTRR_VAR];
	if (msr >= MSR_MTRR_FIX_4K && msr < MSR_MTRR_FIX_4K + 8)
		return &cpu->mtrr_fix[3 + msr - MSR_MTRR_FIX_4K];
	switch (msr) {
	case MSR_MTRR_FIX_64K:
		return &cpu->mtrr_fix[0];
	case MSR_MTRR_FIX_16K:
	case MSR_MTRR_FIX_16K + 1:
		return &cpu->mtrr_fix[1 + msr - MSR_MTRR_FIX_16K];
	case MSR_MTRR_DEF:
		return &cpu->mtrr_def;
	case MSR_PAT:
		return &cpu->pat;
	case MSR_SYSENTER_CS:
		return &cpu->sysenter_cs;
	case MSR_SYSENTER_ESP:
		return &cpu->sysenter_esp;
	case MSR_SYSENTER_EIP:
		return &cpu->sysenter_eip;
	case MSR_MISC_ENABLE:
		return &cpu->misc_enable;
	case MSR_MISC_FEATURES:
		return &cpu->misc_features;
	case MSR_FEATURE_CTL:
		return &cpu->feature_ctl;
	case MSR_SPEC_CTRL:
		return &cpu->spec_ctrl;
	case MSR_MCG_STATUS:
		return &cpu->mcg_status;
	case MSR_DEBUGCTL:
		return &cpu->debugctl;
	case MSR_TSC_ADJUST:
		return &cpu->tsc_adjust;
	case MSR_STAR:
		return &cpu->star;
	case MSR_LSTAR:
		return &cpu->lstar;
	case MSR_CSTAR:
		return &cpu->cstar;
	case MSR_SFMASK:
		return &cpu->sfmask;
	case MSR_KERNEL_GS_BASE:
		return &cpu->kernel_gs_base;
	case MSR_TSC_AUX:
		return &cpu->tsc_aux;
	case MSR_FS_BASE:
		return &cpu->seg[X86_FS].base;
	case MSR_GS_BASE:
		return &cpu->seg[X86_GS].base;
	case MSR_AMD_SYSCFG:
		return &cpu->amd_syscfg;
	case MSR_AMD_HWCR:
		return &cpu->amd_hwcr;
	case MSR_AMD_DE_CFG:
		return &cpu->amd_de_cfg;
	default:
		return NULL;
	}
}

bool
soft_msr_read(struct soft_cpu *cpu, uint32_t msr, uint64_t *ret)
{
	uint64_t *p = storage(cpu, msr);

	if (cpu->stepper != NULL)
		return soft_step_msr(cpu, msr, false, ret);
	if (p != NULL) {
		*ret = *p;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE ||
	    (msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100))
		return lapic_msr_read(cpu->lapic, msr, ret) == 0;
	switch (msr) {
	case MSR_TSC:
		*ret = soft_guest_tsc(cpu);
		return true;
	case MSR_APIC_BASE:
		*ret = lapic_base(cpu->lapic);
		return true;
	case MSR_EFER:
		*ret = cpu->efer;
		return true;
	case MSR_MTRR_CAP:
		*ret = 0x508; /* 8 variable, fixed, WC */
		return true;
	case MSR_ARCH_CAP:
		*ret = ARCH_CAP_VALUE;
		return true;
	case MSR_UCODE_REV:
		*ret = UINT64_C(0x100000000);
		return true;
	case MSR_KVM_TIME:
		*ret = cpu->kvm_time;
		return true;
	case MSR_KVM_TIME_OLD:
		*ret = cpu->kvm_time_old;
		return true;
	case MSR_KVM_WALL:
	case MSR_KVM_WALL_OLD:
		*ret = cpu->kvm_wall;
		return true;
	case MSR_PLATFORM_ID:
	case MSR_PLATFORM_INFO:
	case MSR_SMI_COUNT:
	case MSR_MCG_CAP:
		*ret = 0;
		return true;
	default:
		*ret = 0;
		return !cpu->vm->strict_msr;
	}
}

static bool
write_efer(struct soft_cpu *cpu, uint64_t v)
{
	uint64_t allowed =
	    X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NX;
	uint64_t change;

	if (v & ~allowed)
		return false;
	v = (v & ~(uint64_t)X86_EFER_LMA) | (cpu->efer & X86_EFER_LMA);
	change = v ^ cpu->efer;
	if ((change & X86_EFER_LME) && (cpu->cr0 & X86_CR0_PG))
		return false;
	cpu->efer = v;
	if (change & X86_EFER_NX)
		soft_tlb_flush(cpu, true);
	soft_mode_changed(cpu);
	return true;
}

static bool
pat_valid(uint64_t v)
{
	for (unsigned i = 0; i < 8; i++, v >>= 8)
		if ((v & 0xff) > 7 || (v & 0xff) == 2 || (v & 0xff) == 3)
			return false;
	return true;
}

static bool
write_special(struct soft_cpu *cpu, uint32_t msr, uint64_t v)
{
	uint64_t now;

	switch (msr) {
	case MSR_TSC:
		now = soft_guest_tsc(cpu);
		cpu->tsc_offset += v - now;
		cpu->tsc_adjust += v - now;
		return true;
	case MSR_APIC_BASE:
		if (lapic_set_base(cpu->lapic, v) < 0)
			return false;
		soft_tlb_flush(cpu, true);
		return true;
	case MSR_EFER:
		return write_efer(cpu, v);
	case MSR_KVM_TIME:
		cpu->kvm_time = v;
		return soft_kvmclock_write(cpu, v);
	case MSR_KVM_TIME_OLD:
		cpu->kvm_time_old = v;
		return soft_kvmclock_write(cpu, v);
	case MSR_KVM_WALL:
	case MSR_KVM_WALL_OLD:
		cpu->kvm_wall = v;
		return soft_kvmclock_wall(cpu, v);
	case MSR_UCODE_REV:
	case MSR_PRED_CMD:
	case MSR_FLUSH_CMD:
	case MSR_SMI_COUNT:
		return true;
	default:
		return !cpu->vm->strict_msr;
	}
}

bool
soft_msr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t v)
{
	uint64_t *p = storage(cpu, msr);

	if (cpu->stepper != NULL)
		return soft_step_msr(cpu, msr, true, &v);
	if (p == NULL) {
		if (msr == MSR_TSC_DEADLINE ||
		    (msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100)) {
			if (lapic_msr_write(cpu->lapic, msr, v) < 0)
				return false;
			if (cpu->irq_waiting)
				atomic_fetch_or(&cpu->request, SOFT_REQ_EVENT);
			return true;
		}
		return write_special(cpu, msr, v);
	}
	switch (msr) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
		if (!soft_canonical(v))
			return false;
		cpu->segbase[msr == MSR_FS_BASE ? X86_FS : X86_GS] = v;
		break;
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_KERNEL_GS_BASE:
	case MSR_SYSENTER_ESP:
	case MSR_SYSENTER_EIP:
		if (!soft_canonical(v))
			return false;
		break;
	case MSR_PAT:
		if (!pat_valid(v))
			return false;
		break;
	case MSR_TSC_AUX:
		if (v >> 32)
			return false;
		break;
	case MSR_SFMASK:
		v = (uint32_t)v;
		break;
	case MSR_TSC_ADJUST:
		cpu->tsc_offset += v - cpu->tsc_adjust;
		break;
	default:
		break;
	}
	*p = v;
	return true;
}
