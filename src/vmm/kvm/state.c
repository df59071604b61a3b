/*
 * The whole state of a vCPU between KVM's many structures and our one.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

#define APIC_BASE_EXTD 0x400
#define LAPIC_ID 0x20
#define MSR_CHUNK VCPU_STATE_MSRS

union msr_list {
	struct kvm_msrs head;
	uint8_t room[sizeof(struct kvm_msrs) +
	    MSR_CHUNK * sizeof(struct kvm_msr_entry)];
};

/* ---- segments ---- */

static struct x86_seg
seg_from_kvm(const struct kvm_segment *k)
{
	return (struct x86_seg){
		.base = k->base,
		.limit = k->limit,
		.sel = k->selector,
		.attr = (uint32_t)((k->type & 15) | (k->s & 1) << 4 |
		    (k->dpl & 3) << 5 | (k->present & 1) << 7 |
		    (k->avl & 1) << 12 | (k->l & 1) << 13 | (k->db & 1) << 14 |
		    (k->g & 1) << 15 | (k->unusable & 1) << 16),
	};
}

static struct kvm_segment
seg_to_kvm(const struct x86_seg *s)
{
	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->sel,
		.type = s->attr & 15,
		.s = (s->attr >> 4) & 1,
		.dpl = X86_ATTR_DPL(s->attr),
		.present = (s->attr >> 7) & 1,
		.avl = (s->attr >> 12) & 1,
		.l = (s->attr >> 13) & 1,
		.db = (s->attr >> 14) & 1,
		.g = (s->attr >> 15) & 1,
		.unusable = (s->attr >> 16) & 1,
	};
}

static void
sregs_from_kvm(const struct kvm_sregs *k, struct vcpu_state *st)
{
	st->seg[X86_ES] = seg_from_kvm(&k->es);
	st->seg[X86_CS] = seg_from_kvm(&k->cs);
	st->seg[X86_SS] = seg_from_kvm(&k->ss);
	st->seg[X86_DS] = seg_from_kvm(&k->ds);
	st->seg[X86_FS] = seg_from_kvm(&k->fs);
	st->seg[X86_GS] = seg_from_kvm(&k->gs);
	st->tr = seg_from_kvm(&k->tr);
	st->ldtr = seg_from_kvm(&k->ldt);
	st->gdtr = (struct x86_dtable){ k->gdt.base, k->gdt.limit, { 0 } };
	st->idtr = (struct x86_dtable){ k->idt.base, k->idt.limit, { 0 } };
	st->cr0 = k->cr0;
	st->cr2 = k->cr2;
	st->cr3 = k->cr3;
	st->cr4 = k->cr4;
	st->cr8 = k->cr8;
	st->efer = k->efer;
	st->apic_base = k->apic_base;
}

static void
sregs_to_kvm(const struct vcpu_state *st, struct kvm_sregs *k)
{
	memset(k, 0, sizeof(*k));
	k->es = seg_to_kvm(&st->seg[X86_ES]);
	k->cs = seg_to_kvm(&st->seg[X86_CS]);
	k->ss = seg_to_kvm(&st->seg[X86_SS]);
	k->ds = seg_to_kvm(&st->seg[X86_DS]);
	k->fs = seg_to_kvm(&st->seg[X86_FS]);
	k->gs = seg_to_kvm(&st->seg[X86_GS]);
	k->tr = seg_to_kvm(&st->tr);
	k->ldt = seg_to_kvm(&st->ldtr);
	k->gdt.base = st->gdtr.base;
	k->gdt.limit = st->gdtr.limit;
	k->idt.base = st->idtr.base;
	k->idt.limit = st->idtr.limit;
	k->cr0 = st->cr0;
	k->cr2 = st->cr2;
	k->cr3 = st->cr3;
	k->cr4 = st->cr4;
	k->cr8 = st->cr8;
	k->efer = st->efer;
	k->apic_base = st->apic_base;
}

/* ---- general registers: KVM's order is not the encoding's ---- */

static void
regs_from_kvm(const struct kvm_regs *k, struct vcpu_state *st)
{
	const uint64_t gpr[X86_GPR_COUNT] = { k->rax, k->rcx, k->rdx, k->rbx,
		k->rsp, k->rbp, k->rsi, k->rdi, k->r8, k->r9, k->r10, k->r11,
		k->r12, k->r13, k->r14, k->r15 };

	memcpy(st->gpr, gpr, sizeof(gpr));
	st->rip = k->rip;
	st->rflags = k->rflags;
}

static void
regs_to_kvm(const struct vcpu_state *st, struct kvm_regs *k)
{
	*k = (struct kvm_regs){
		.rax = st->gpr[X86_RAX],
		.rcx = st->gpr[X86_RCX],
		.rdx = st->gpr[X86_RDX],
		.rbx = st->gpr[X86_RBX],
		.rsp = st->gpr[X86_RSP],
		.rbp = st->gpr[X86_RBP],
		.rsi = st->gpr[X86_RSI],
		.rdi = st->gpr[X86_RDI],
		.r8 = st->gpr[X86_R8],
		.r9 = st->gpr[X86_R9],
		.r10 = st->gpr[X86_R10],
		.r11 = st->gpr[X86_R11],
		.r12 = st->gpr[X86_R12],
		.r13 = st->gpr[X86_R13],
		.r14 = st->gpr[X86_R14],
		.r15 = st->gpr[X86_R15],
		.rip = st->rip,
		.rflags = st->rflags,
	};
}

/* ---- events ---- */

void
kvm_events_from(const struct kvm_vcpu_events *k, struct vcpu_state *st)
{
	st->exc_injected = k->exception.injected;
	st->exc_vector = k->exception.nr;
	st->exc_has_error = k->exception.has_error_code;
	st->exc_error = k->exception.error_code;
	st->int_injected = k->interrupt.injected;
	st->int_vector = k->interrupt.nr;
	st->int_soft = k->interrupt.soft;
	st->shadow = k->interrupt.shadow != 0;
	/* One on its way is one to come, and not yet masked by itself. */
	st->nmi_pending = k->nmi.pending != 0 || k->nmi.injected;
	st->nmi_masked = k->nmi.masked && !k->nmi.injected;
	st->sipi_vector = k->sipi_vector;
}

static void
events_to_kvm(const struct vcpu_state *st, struct kvm_vcpu_events *k)
{
	memset(k, 0, sizeof(*k));
	k->exception.injected = st->exc_injected;
	k->exception.nr = st->exc_vector;
	k->exception.has_error_code = st->exc_has_error;
	k->exception.error_code = st->exc_error;
	k->interrupt.injected = st->int_injected;
	k->interrupt.nr = st->int_vector;
	k->interrupt.soft = st->int_soft;
	k->interrupt.shadow =
	    st->shadow ? KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
	k->nmi.pending = st->nmi_pending;
	k->nmi.masked = st->nmi_masked;
	k->sipi_vector = st->sipi_vector;
	k->flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
	    KVM_VCPUEVENT_VALID_SIPI_VECTOR | KVM_VCPUEVENT_VALID_SHADOW;
}

static const struct {
	uint8_t run_state;
	uint32_t mp_state;
} run_states[] = {
	{ VCPU_RUNNABLE, KVM_MP_STATE_RUNNABLE },
	{ VCPU_UNINITIALIZED, KVM_MP_STATE_UNINITIALIZED },
	{ VCPU_INIT_RECEIVED, KVM_MP_STATE_INIT_RECEIVED },
	{ VCPU_INIT_RECEIVED, KVM_MP_STATE_SIPI_RECEIVED },
	{ VCPU_HALTED, KVM_MP_STATE_HALTED },
};

static uint8_t
run_state_from_kvm(uint32_t mp_state)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(run_states); i++)
		if (run_states[i].mp_state == mp_state)
			return run_states[i].run_state;
	return VCPU_RUNNABLE;
}

static uint32_t
run_state_to_kvm(uint8_t run_state)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(run_states); i++)
		if (run_states[i].run_state == run_state)
			return run_states[i].mp_state;
	return KVM_MP_STATE_RUNNABLE;
}

/* ---- the parts, one function a direction ---- */

static int
get_lapic(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	struct kvm_lapic_state k;
	int rc;

	rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_LAPIC, &k);
	if (rc != 0)
		return rc;
	memcpy(st->lapic, k.regs, sizeof(st->lapic));
	/* Ours is what the guest reads: 32 bits of id in x2APIC mode. */
	if ((st->apic_base & APIC_BASE_EXTD) && !vcpu->vm->x2apic_format)
		store_le32(st->lapic + LAPIC_ID,
		    load_le32(st->lapic + LAPIC_ID) >> 24);
	return 0;
}

static int
set_lapic(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	bool wide = (st->apic_base & APIC_BASE_EXTD) && vcpu->vm->x2apic_format;
	struct kvm_lapic_state k;

	memcpy(k.regs, st->lapic, sizeof(k.regs));
	/* The id is the topology's; KVM takes no other. */
	store_le32((uint8_t *)k.regs + LAPIC_ID,
	    wide ? vcpu->apic_id : vcpu->apic_id << 24);
	return kvm_ioctl_ptr(vcpu->fd, KVM_SET_LAPIC, &k);
}

int
kvm_get_xsave(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	struct kvm_xcrs xcrs;
	struct kvm_xsave xsave;
	int rc;

	_Static_assert(sizeof(xsave.region) == VCPU_STATE_XSAVE, "");
	rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_XSAVE, &xsave);
	if (rc == 0)
		rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_XCRS, &xcrs);
	if (rc != 0)
		return rc;
	memcpy(st->xsave, xsave.region, sizeof(st->xsave));
	st->xsave_size = sizeof(st->xsave);
	st->xcr0 = xcrs.nr_xcrs > 0 ? xcrs.xcrs[0].value : 1;
	return 0;
}

int
kvm_set_xsave(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1,
		.xcrs = { { .value = st->xcr0 } } };
	struct kvm_xsave xsave = { 0 };
	int rc;

	if (st->xsave_size > sizeof(xsave.region))
		return -EINVAL;
	memcpy(xsave.region, st->xsave, st->xsave_size);
	rc = kvm_ioctl_ptr(vcpu->fd, KVM_SET_XCRS, &xcrs);
	if (rc == 0)
		rc = kvm_ioctl_ptr(vcpu->fd, KVM_SET_XSAVE, &xsave);
	return rc;
}

static int
get_msrs(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	const struct engine_vm *vm = vcpu->vm;
	union msr_list list = { 0 };
	int i, n;

	list.head.nmsrs = (uint32_t)vm->nsaved_msrs;
	for (i = 0; i < (int)vm->nsaved_msrs; i++)
		list.head.entries[i].index = vm->saved_msr[i];
	n = kvm_ioctl_ptr(vcpu->fd, KVM_GET_MSRS, &list);
	if (n < 0)
		return n;
	for (i = 0; i < n && i < MSR_CHUNK; i++)
		st->msrs[i] = (struct x86_msr){ list.head.entries[i].index, 0,
			list.head.entries[i].data };
	st->nmsrs = (uint32_t)i;
	return n == (int)vm->nsaved_msrs ? 0 : -EIO;
}

/* A state from another engine may have registers that this KVM lacks. */
static int
set_msrs(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	union msr_list list;
	uint32_t first = 0, n;
	int rc;

	if (st->nmsrs > MSR_CHUNK)
		return -EINVAL;
	while (first < st->nmsrs) {
		memset(&list.head, 0, sizeof(list.head));
		for (n = 0; first + n < st->nmsrs; n++)
			list.head.entries[n] = (struct kvm_msr_entry){
				.index = st->msrs[first + n].index,
				.data = st->msrs[first + n].value
			};
		list.head.nmsrs = n;
		rc = kvm_ioctl_ptr(vcpu->fd, KVM_SET_MSRS, &list);
		if (rc < 0)
			return rc;
		first += (uint32_t)rc;
		if ((uint32_t)rc == n)
			break;
		log_msg(st->msrs[first].value == 0 ? LOG_DEBUG : LOG_WARN,
		    "kvm", "vCPU %u: MSR 0x%x cannot be set to 0x%llx",
		    vcpu->id, st->msrs[first].index,
		    (unsigned long long)st->msrs[first].value);
		first++;
	}
	return 0;
}

int
kvm_get_debugregs(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	struct kvm_debugregs k;
	int rc;

	rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_DEBUGREGS, &k);
	if (rc != 0)
		return rc;
	memcpy(st->dr, k.db, sizeof(k.db));
	st->dr[6] = k.dr6;
	st->dr[7] = k.dr7;
	return 0;
}

int
kvm_set_debugregs(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	struct kvm_debugregs k = { .dr6 = st->dr[6], .dr7 = st->dr[7] };

	memcpy(k.db, st->dr, sizeof(k.db));
	return kvm_ioctl_ptr(vcpu->fd, KVM_SET_DEBUGREGS, &k);
}

static int
get_events(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	int rc;

	/* First the state: asking for it delivers INIT and SIPI. */
	rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_MP_STATE, &mp);
	if (rc == 0)
		rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_VCPU_EVENTS, &events);
	if (rc != 0)
		return rc;
	kvm_events_from(&events, st);
	st->run_state = run_state_from_kvm(mp.mp_state);
	if (atomic_load(&vcpu->nmi))
		st->nmi_pending = 1;
	return 0;
}

static int
set_events(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	struct kvm_mp_state mp = { .mp_state =
				       run_state_to_kvm(st->run_state) };
	struct kvm_vcpu_events events;
	int rc;

	events_to_kvm(st, &events);
	rc = kvm_ioctl_ptr(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
	if (rc == 0)
		rc = kvm_ioctl_ptr(vcpu->fd, KVM_SET_MP_STATE, &mp);
	return rc;
}

void
kvm_regs_from(const struct kvm_regs *regs, const struct kvm_sregs *sregs,
    struct vcpu_state *st)
{
	regs_from_kvm(regs, st);
	sregs_from_kvm(sregs, st);
}

int
kvm_get_regs(struct engine_vcpu *vcpu, struct vcpu_state *st)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int rc;

	rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_REGS, &regs);
	if (rc == 0)
		rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_SREGS, &sregs);
	if (rc != 0)
		return rc;
	regs_from_kvm(&regs, st);
	sregs_from_kvm(&sregs, st);
	return 0;
}

int
kvm_set_gprs(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	struct kvm_regs regs;

	regs_to_kvm(st, &regs);
	return kvm_ioctl_ptr(vcpu->fd, KVM_SET_REGS, &regs);
}

int
kvm_set_sregs(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	struct kvm_sregs sregs;

	sregs_to_kvm(st, &sregs);
	return kvm_ioctl_ptr(vcpu->fd, KVM_SET_SREGS, &sregs);
}

int
kvm_op_vcpu_get(struct engine_vcpu *vcpu, struct vcpu_state *ret)
{
	int rc;

	memset(ret, 0, sizeof(*ret));
	kvm_settle_extint(vcpu);
	rc = get_events(vcpu, ret);
	if (rc == 0)
		rc = kvm_get_regs(vcpu, ret);
	if (rc == 0)
		rc = get_lapic(vcpu, ret);
	if (rc == 0)
		rc = kvm_get_xsave(vcpu, ret);
	if (rc == 0)
		rc = kvm_get_debugregs(vcpu, ret);
	if (rc == 0)
		rc = get_msrs(vcpu, ret);
	return rc;
}

int
kvm_op_vcpu_set(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	int rc;

	rc = kvm_set_sregs(vcpu, st);
	if (rc == 0)
		rc = kvm_set_gprs(vcpu, st);
	if (rc == 0)
		rc = kvm_set_xsave(vcpu, st);
	if (rc == 0)
		rc = set_lapic(vcpu, st);
	if (rc == 0)
		rc = set_msrs(vcpu, st); /* the deadline needs the LAPIC */
	if (rc == 0)
		rc = kvm_set_debugregs(vcpu, st);
	if (rc == 0)
		rc = set_events(vcpu, st);
	return rc;
}
