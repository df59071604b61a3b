/*
 * Model-specific registers: which ones a saved state has, and what happens on
 * an access to one that KVM does not know.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

/*
 * Everything of a vCPU that is in an MSR and not elsewhere in its state. The
 * TSC comes before what is counted against it.
 */
static const uint32_t saved[] = {
	0x10, /* TSC */
	0x3b, /* TSC_ADJUST */
	0x3a, /* FEATURE_CONTROL */
	0x48, /* SPEC_CTRL */
	0x8b, /* microcode revision */
	0x140, /* MISC_FEATURES_ENABLES */
	0x174, 0x175, 0x176, /* SYSENTER */
	0x17a, 0x17b, /* MCG_STATUS, MCG_CTL */
	0x1a0, /* MISC_ENABLE */
	0x1d9, /* DEBUGCTL */
	0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207, /* MTRRs */
	0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f, 0x250, 0x258,
	0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
	0x277, /* PAT */
	0x2ff, /* MTRRdefType */
	0xda0, /* XSS */
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, /* SYSCALL */
	0xc0000102, /* KERNEL_GS_BASE */
	0xc0000103, /* TSC_AUX */
	0xc0010015, /* HWCR */
	0xc001011f, /* VIRT_SPEC_CTRL */
	0x4b564d00, 0x4b564d01, /* kvmclock */
	0x4b564d03, 0x4b564d04, /* steal time, EOI */
	0x6e0, /* TSC_DEADLINE */
};
_Static_assert(sizeof(saved) / sizeof(saved[0]) <= KVM_MAX_SAVED_MSRS, "");

/*
 * KVM reads a list up to the first that it refuses. One call a refusal, since
 * every ioctl on a vCPU loads and unloads its state.
 */
void
kvm_find_saved_msrs(struct engine_vm *vm, int vcpu_fd)
{
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) +
		    sizeof(saved) / sizeof(saved[0]) *
			sizeof(struct kvm_msr_entry)];
	} req;
	size_t at = 0, i, n;
	int rc;

	vm->nsaved_msrs = 0;
	while (at < ARRAY_LEN(saved)) {
		memset(&req, 0, sizeof(req));
		n = ARRAY_LEN(saved) - at;
		req.head.nmsrs = (uint32_t)n;
		for (i = 0; i < n; i++)
			req.head.entries[i].index = saved[at + i];
		rc = kvm_ioctl_ptr(vcpu_fd, KVM_GET_MSRS, &req);
		for (i = 0; rc > 0 && i < (size_t)rc && i < n; i++)
			vm->saved_msr[vm->nsaved_msrs++] = saved[at + i];
		at += i + 1; /* past the refused one */
	}
}

int
kvm_enable_msr_exits(int vm_fd)
{
	if (kvm_has(vm_fd, KVM_CAP_X86_USER_SPACE_MSR) <= 0)
		return 0;
	return kvm_enable(
	    vm_fd, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN);
}

/*
 * MSRs that guests touch without asking first, believing the processor's
 * family: read as a constant, writes dropped, even when unknown ones fault.
 */
static const struct quiet_msr {
	uint32_t first, last;
	uint64_t value;
} quiet_msrs[] = {
	/* Intel SDM vol. 4 */
	{ 0x17, 0x17, 0 }, /* PLATFORM_ID */
	{ 0x2a, 0x2a, 0 }, /* EBL_CR_POWERON */
	{ 0x34, 0x34, 0 }, /* SMI_COUNT */
	{ 0x79, 0x79, 0 }, /* BIOS_UPDT_TRIG */
	{ 0x8b, 0x8b, 0 }, /* BIOS_SIGN_ID */
	{ 0xcd, 0xce, 0 }, /* FSB_FREQ, PLATFORM_INFO */
	{ 0xe7, 0xe8, 0 }, /* MPERF, APERF */
	{ 0x119, 0x119, 0 }, /* BBL_CR_CTL */
	{ 0x140, 0x140, 0 }, /* MISC_FEATURES_ENABLES */
	{ 0x198, 0x199, 0 }, /* PERF_STATUS, PERF_CTL */
	{ 0x19a, 0x19c, 0 }, /* thermal */
	{ 0x1a2, 0x1a2, 0 }, /* TEMPERATURE_TARGET */
	{ 0x1ad, 0x1ad, 0 }, /* TURBO_RATIO_LIMIT */
	{ 0x1b0, 0x1b2, 0 }, /* energy bias, package thermal */
	{ 0x1fc, 0x1fc, 0 }, /* POWER_CTL */
	{ 0x2e0, 0x2e0, 0 }, /* NO_EVICT_MODE */
	{ 0x606, 0x606, 0 }, /* RAPL_POWER_UNIT */
	{ 0x610, 0x641, 0 }, /* RAPL */
	{ 0x64e, 0x64f, 0 }, /* PPERF */
	/* AMD PPRs */
	{ 0xc0010000, 0xc0010007, 0 }, /* legacy counters */
	{ 0xc0010010, 0xc0010010, 0 }, /* SYSCFG */
	{ 0xc0010015, 0xc0010015, 0 }, /* HWCR */
	{ 0xc001001a, 0xc001001d, 0 }, /* TOP_MEM */
	{ 0xc001001f, 0xc001001f, 0 }, /* NB_CFG */
	{ 0xc0010020, 0xc0010020, 0 }, /* PATCH_LOADER */
	{ 0xc0010055, 0xc0010055, 0 }, /* INT_PENDING */
	{ 0xc0010058, 0xc0010058, 0 }, /* MMIO configuration: none */
	{ 0xc0010061, 0xc0010064, 0 }, /* P-states */
	{ 0xc0010114, 0xc0010114, 0x10 }, /* VM_CR: SVM disabled */
	{ 0xc0010140, 0xc0010141, 0 }, /* OSVW */
	{ 0xc0011004, 0xc0011005, 0 }, /* CPUID features */
	{ 0xc0011020, 0xc0011023, 0 }, /* LS_CFG to DC_CFG */
	{ 0xc0011029, 0xc001102d, 0x2 }, /* DE_CFG: LFENCE serializes */
};

static const struct quiet_msr *
find_quiet(uint32_t index)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(quiet_msrs); i++)
		if (index >= quiet_msrs[i].first && index <= quiet_msrs[i].last)
			return &quiet_msrs[i];
	return NULL;
}

bool
kvm_unknown_msr(struct engine_vcpu *vcpu, uint32_t index, const char *what,
    uint64_t *ret_value)
{
	static struct log_limit limit;
	const struct quiet_msr *quiet = find_quiet(index);

	*ret_value = quiet != NULL ? quiet->value : 0;
	if (quiet == NULL && log_enabled(LOG_DEBUG))
		log_ratelimited(&limit, LOG_DEBUG, "kvm",
		    "vCPU %u %s unknown MSR 0x%x", vcpu->id, what, index);
	return quiet == NULL && vcpu->vm->strict_msr;
}

void
kvm_exit_rdmsr(struct engine_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t value;

	run->msr.error = kvm_unknown_msr(vcpu, run->msr.index, "reads", &value);
	run->msr.data = value;
}

void
kvm_exit_wrmsr(struct engine_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t unused;

	run->msr.error =
	    kvm_unknown_msr(vcpu, run->msr.index, "writes", &unused);
}
