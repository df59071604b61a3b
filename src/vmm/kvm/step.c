/*
 * KVM's side of a single step by another engine: as few calls as it takes to
 * read what one instruction can need, and writes only of what it changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

/* In newer headers (Linux 5.15) */
#ifndef KVM_CAP_EXIT_ON_EMULATION_FAILURE
#define KVM_CAP_EXIT_ON_EMULATION_FAILURE 204
#endif

#define VECTOR_UD 6

/*
 * Of instructions other than RDMSR and WRMSR: SYSENTER and SYSEXIT, SYSCALL
 * and SYSRET, SWAPGS, the TSC, RDTSCP and RDPID (which a guest's CPUID may
 * lack: KVM reads up to the first that it refuses).
 */
static const uint32_t used_msrs[] = { 0x174, 0x175, 0x176, 0xc0000081,
	0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0x10, 0xc0000103 };
#define USED_MSRS (sizeof(used_msrs) / sizeof(used_msrs[0]))
#define MSR_TSC 0x10

union used_list {
	struct kvm_msrs head;
	uint8_t room[sizeof(struct kvm_msrs) +
	    USED_MSRS * sizeof(struct kvm_msr_entry)];
};

/*
 * Without this KVM gives user code of the guest a #UD where its emulator fails
 * (an access to a device by a vector instruction), and nobody is asked.
 */
void
kvm_enable_emulation_exits(int vm_fd)
{
	if (kvm_has(vm_fd, KVM_CAP_EXIT_ON_EMULATION_FAILURE) > 0)
		kvm_enable(vm_fd, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1);
}

/* ---- reading ---- */

static bool
is_prefix(uint8_t b)
{
	static const uint8_t list[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
		0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return memchr(list, b, sizeof(list)) != NULL;
}

/*
 * The instructions that fail most, which use neither FP state nor MSRs: INT3,
 * INT, IRET, CLAC and STAC, CMPXCHG16B, POPCNT. All others may. The REX byte is
 * taken for one outside of 64-bit code, too: the opcodes below are no less
 * harmless there.
 */
static bool
is_plain(const struct engine_report *rep)
{
	const uint8_t *p = rep->insn, *end = p + rep->insn_len;

	while (p < end && is_prefix(*p))
		p++;
	if (p < end && (*p & 0xf0) == 0x40)
		p++;
	if (end - p < 3)
		return false;
	if (p[0] >= 0xcc && p[0] <= 0xcf)
		return true;
	if (p[0] != 0x0f)
		return false;
	return p[1] == 0xb8 ||
	    (p[1] == 0x01 && (p[2] == 0xca || p[2] == 0xcb)) ||
	    (p[1] == 0xc7 && (p[2] & 0x38) == 8 && p[2] < 0xc0);
}

static int
get_used_msrs(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	union used_list list = { 0 };
	const struct kvm_msr_entry *e = list.head.entries;
	size_t i;
	int n;

	list.head.nmsrs = USED_MSRS;
	for (i = 0; i < USED_MSRS; i++)
		list.head.entries[i].index = used_msrs[i];
	n = kvm_ioctl_ptr(vcpu->fd, KVM_GET_MSRS, &list);
	if (n < 0)
		return n;
	for (i = 0; i < (size_t)n && i < USED_MSRS; i++)
		st->msrs[i] = (struct x86_msr){ e[i].index, 0, e[i].data };
	st->nmsrs = (uint32_t)i;
	return 0;
}

/*
 * Older kernels have queued a #UD when they report the failure: it goes. Any
 * other event is one that was being delivered.
 */
static int
get_step_events(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	struct kvm_vcpu_events *ev = &vcpu->step_events;
	int rc;

	if (vcpu->run->kvm_valid_regs != 0) {
		*ev = vcpu->run->s.regs.events;
	} else {
		rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_VCPU_EVENTS, ev);
		if (rc != 0)
			return rc;
	}
	if (ev->nmi.injected || ev->interrupt.injected ||
	    (ev->exception.injected && ev->exception.nr != VECTOR_UD))
		return -EBUSY;
	kvm_events_from(ev, st);
	st->exc_injected = 0;
	st->run_state = VCPU_RUNNABLE;
	return 0;
}

/*
 * A vCPU that needs steps has KVM leave its registers in the run area at each
 * exit from now on, which is cheaper than to ask.
 */
static int
get_step_regs(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	const int all =
	    KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
	struct kvm_run *run = vcpu->run;

	if (run->kvm_valid_regs != 0) {
		kvm_regs_from(&run->s.regs.regs, &run->s.regs.sregs, st);
		return 0;
	}
	if ((kvm_has(vcpu->vm->fd, KVM_CAP_SYNC_REGS) & all) == all)
		run->kvm_valid_regs = (uint64_t)all;
	return kvm_get_regs(vcpu, st);
}

static int
step_get(struct engine_vcpu *vcpu, struct vcpu_state *ret)
{
	int rc;

	rc = get_step_events(vcpu, ret);
	if (rc == 0)
		rc = get_step_regs(vcpu, ret);
	if (rc == 0)
		rc = kvm_get_debugregs(vcpu, ret);
	ret->nmsrs = 0;
	ret->xsave_size = 0;
	if (rc != 0 || is_plain(&vcpu->report))
		return rc;
	rc = kvm_get_xsave(vcpu, ret);
	return rc == 0 ? get_used_msrs(vcpu, ret) : rc;
}

/* ---- writing ---- */

static bool
sregs_differ(const struct vcpu_state *a, const struct vcpu_state *b)
{
	return memcmp(a->seg, b->seg, sizeof(a->seg)) != 0 ||
	    memcmp(&a->tr, &b->tr, sizeof(a->tr)) != 0 ||
	    memcmp(&a->ldtr, &b->ldtr, sizeof(a->ldtr)) != 0 ||
	    memcmp(&a->gdtr, &b->gdtr, sizeof(a->gdtr)) != 0 ||
	    memcmp(&a->idtr, &b->idtr, sizeof(a->idtr)) != 0 ||
	    a->cr0 != b->cr0 || a->cr2 != b->cr2 || a->cr3 != b->cr3 ||
	    a->cr4 != b->cr4 || a->cr8 != b->cr8 || a->efer != b->efer;
}

static int
set_used_msrs(struct engine_vcpu *vcpu, const struct vcpu_state *was,
    const struct vcpu_state *st)
{
	uint64_t value;
	uint32_t i;
	int rc;

	for (i = 0; i < st->nmsrs && i < USED_MSRS; i++) {
		value = st->msrs[i].value;
		if (value == was->msrs[i].value || st->msrs[i].index == MSR_TSC)
			continue;
		rc = kvm_stepped_ops.msr(vcpu, st->msrs[i].index, true, &value);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* NMIs that arrived since are not overwritten: no flag says they are valid. */
static int
set_step_events(struct engine_vcpu *vcpu, const struct vcpu_state *was,
    const struct vcpu_state *st)
{
	struct kvm_vcpu_events *ev = &vcpu->step_events;

	if (!ev->exception.injected && !st->exc_injected &&
	    was->shadow == st->shadow && was->nmi_masked == st->nmi_masked)
		return 0;
	memset(&ev->exception, 0, sizeof(ev->exception));
	ev->exception.injected = st->exc_injected;
	ev->exception.nr = st->exc_vector;
	ev->interrupt.shadow =
	    st->shadow ? KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
	ev->nmi.masked = st->nmi_masked;
	ev->flags = KVM_VCPUEVENT_VALID_SHADOW;
	return kvm_ioctl_ptr(vcpu->fd, KVM_SET_VCPU_EVENTS, ev);
}

static int
step_set(struct engine_vcpu *vcpu, const struct vcpu_state *was,
    const struct vcpu_state *st)
{
	struct kvm_mp_state halted = { .mp_state = KVM_MP_STATE_HALTED };
	int rc = 0;

	if (sregs_differ(was, st))
		rc = kvm_set_sregs(vcpu, st);
	if (rc == 0)
		rc = kvm_set_gprs(vcpu, st);
	if (rc == 0 && was->xsave_size != 0 &&
	    (was->xcr0 != st->xcr0 ||
		memcmp(was->xsave, st->xsave, sizeof(st->xsave)) != 0))
		rc = kvm_set_xsave(vcpu, st);
	if (rc == 0 && memcmp(was->dr, st->dr, sizeof(st->dr)) != 0)
		rc = kvm_set_debugregs(vcpu, st);
	if (rc == 0)
		rc = set_used_msrs(vcpu, was, st);
	if (rc == 0)
		rc = set_step_events(vcpu, was, st);
	if (rc == 0 && st->run_state == VCPU_HALTED)
		rc = kvm_ioctl_ptr(vcpu->fd, KVM_SET_MP_STATE, &halted);
	/* It may no longer be: KVM says so after the next run. */
	vcpu->run->ready_for_interrupt_injection = 0;
	if (rc != 0)
		return rc < 0 ? rc : -EIO;
	return vcpu->stepping && !st->exc_injected;
}

/* ---- what is not in the state ---- */

static int
step_msr(struct engine_vcpu *vcpu, uint32_t index, bool write, uint64_t *value)
{
	union used_list req = { .head.nmsrs = 1 };
	struct kvm_msr_entry *e = req.head.entries;
	uint64_t quiet;
	int rc;

	e->index = index;
	e->data = *value;
	rc = kvm_ioctl_ptr(vcpu->fd, write ? KVM_SET_MSRS : KVM_GET_MSRS, &req);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		if (kvm_unknown_msr(
			vcpu, index, write ? "writes" : "reads", &quiet))
			return -EPERM;
		e->data = quiet;
	}
	if (!write)
		*value = e->data;
	return 0;
}

static int
step_apic_read(struct engine_vcpu *vcpu, unsigned offset, uint32_t *ret)
{
	struct kvm_lapic_state k;
	int rc;

	if (offset > sizeof(k.regs) - 4)
		return -EINVAL;
	rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_LAPIC, &k);
	if (rc == 0)
		*ret = load_le32((const uint8_t *)k.regs + offset);
	return rc;
}

/* ---- pages written past KVM ---- */

static size_t
log_words(const struct mem_region *reg)
{
	return (size_t)((reg->size / PAGE_SIZE_4K + 63) / 64);
}

int
kvm_written_start(struct engine_vm *vm)
{
	const struct mem_region *reg;
	size_t i, n = vm_mem_regions(vm->mem, &reg);

	for (i = 0; vm->stepped && i < n; i++) {
		if (reg[i].kind != MEM_RAM)
			continue;
		/* Stays until the VM goes: steps may be using it. */
		if (vm->written[i] == NULL)
			vm->written[i] =
			    alloc_zero(log_words(&reg[i]), sizeof(uint64_t));
		if (vm->written[i] == NULL)
			return -ENOMEM;
	}
	atomic_store(&vm->log_on, vm->stepped);
	return 0;
}

void
kvm_written_stop(struct engine_vm *vm)
{
	atomic_store(&vm->log_on, false);
}

void
kvm_written_free(struct engine_vm *vm)
{
	size_t i;

	for (i = 0; i < MEM_MAX_REGIONS; i++)
		free(vm->written[i]);
}

void
kvm_written_get(
    struct engine_vm *vm, const struct mem_region *reg, uint64_t *bitmap)
{
	uint64_t *log = vm->written[reg->slot];
	size_t i;

	for (i = 0; log != NULL && i < log_words(reg); i++)
		if (__atomic_load_n(&log[i], __ATOMIC_RELAXED) != 0)
			bitmap[i] |=
			    __atomic_exchange_n(&log[i], 0, __ATOMIC_SEQ_CST);
}

static void
step_written(struct engine_vcpu *vcpu, gpa_t gpa, uint64_t len)
{
	struct engine_vm *vm = vcpu->vm;
	const struct mem_region *reg;
	size_t i, n;
	uint64_t page, last;

	if (!atomic_load(&vm->log_on))
		return;
	n = vm_mem_regions(vm->mem, &reg);
	for (i = 0; i < n; i++) {
		if (gpa.v - reg[i].base.v >= reg[i].size ||
		    vm->written[i] == NULL)
			continue;
		page = (gpa.v - reg[i].base.v) / PAGE_SIZE_4K;
		last = MIN(gpa.v - reg[i].base.v + len, reg[i].size) - 1;
		for (; page <= last / PAGE_SIZE_4K; page++)
			__atomic_fetch_or(&vm->written[i][page / 64],
			    UINT64_C(1) << (page % 64), __ATOMIC_SEQ_CST);
	}
}

const struct engine_stepped_ops kvm_stepped_ops = {
	.get = step_get,
	.set = step_set,
	.msr = step_msr,
	.apic_read = step_apic_read,
	.written = step_written,
};
