/*
 * A vCPU and its run loop.
 *
 * Kicks without a race: the kicker sets run->immediate_exit, which KVM looks at
 * when KVM_RUN begins, and sends a signal only if the vCPU may be past that
 * point. in_run is stored before KVM_RUN and loaded after immediate_exit was
 * stored, both sequentially consistent: one of the two sides sees the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "vmm/kvm/kvm_impl.h"

#define RFLAGS_IF 0x200
#define APIC_BASE_X2APIC 0xc00 /* EXTD and EN */

static int
set_x2apic(struct engine_vcpu *vcpu)
{
	struct kvm_sregs sregs;
	int rc;

	rc = kvm_ioctl_ptr(vcpu->fd, KVM_GET_SREGS, &sregs);
	if (rc != 0)
		return rc;
	sregs.apic_base |= APIC_BASE_X2APIC;
	return kvm_ioctl_ptr(vcpu->fd, KVM_SET_SREGS, &sregs);
}

static int
vcpu_init(struct engine_vcpu *vcpu, const struct engine_vcpu_config *conf,
    struct error *err)
{
	int rc;

	/* KVM's vCPU number is the APIC id that the local APIC starts with. */
	vcpu->fd = kvm_ioctl(vcpu->vm->fd, KVM_CREATE_VCPU, conf->apic_id);
	if (vcpu->fd < 0)
		return kvm_error(err, -vcpu->fd, "cannot create a vCPU in KVM");
	vcpu->run = mmap(NULL, vcpu->vm->run_size, PROT_READ | PROT_WRITE,
	    MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return kvm_error(err, errno, "cannot map a vCPU of KVM");
	}
	rc = kvm_set_cpuid(vcpu->fd, conf->cpuid);
	if (rc != 0)
		return kvm_error(err, -rc, "KVM refuses the CPUID table");
	rc = conf->x2apic ? set_x2apic(vcpu) : 0;
	if (rc != 0)
		return kvm_error(err, -rc, "KVM refuses x2APIC mode");
	return 0;
}

int
kvm_op_vcpu_create(struct engine_vm *vm, const struct engine_vcpu_config *conf,
    struct engine_vcpu **ret, struct error *err)
{
	struct engine_vcpu *vcpu;
	int rc;

	vcpu = alloc_zero(1, sizeof(*vcpu));
	if (vcpu == NULL)
		return error_sys(err, ENOMEM, "vCPU %u", conf->id);
	vcpu->vm = vm;
	vcpu->id = conf->id;
	vcpu->apic_id = conf->apic_id;
	vcpu->vector = -1;
	rc = vcpu_init(vcpu, conf, err);
	if (rc != 0) {
		kvm_op_vcpu_destroy(vcpu);
		return rc;
	}
	if (conf->id == 0) {
		kvm_find_saved_msrs(vm, vcpu->fd);
		atomic_store(&vm->bsp, vcpu);
	}
	*ret = vcpu;
	return 0;
}

void
kvm_op_vcpu_destroy(struct engine_vcpu *vcpu)
{
	struct engine_vcpu *self = vcpu;

	if (vcpu == NULL)
		return;
	atomic_compare_exchange_strong(&vcpu->vm->bsp, &self, NULL);
	if (vcpu->run != NULL)
		munmap(vcpu->run, vcpu->vm->run_size);
	fd_close(&vcpu->fd);
	free(vcpu);
}

void
kvm_poke(struct engine_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (atomic_load(&vcpu->in_run))
		syscall(SYS_tgkill, getpid(), atomic_load(&vcpu->tid),
		    KVM_KICK_SIGNAL);
}

void
kvm_op_vcpu_kick(struct engine_vcpu *vcpu)
{
	atomic_store(&vcpu->kicked, true);
	kvm_poke(vcpu);
}

int
kvm_op_nmi(struct engine_vcpu *vcpu)
{
	/* KVM_NMI waits for the vCPU to leave KVM_RUN: let its thread do it. */
	atomic_store(&vcpu->nmi, true);
	kvm_poke(vcpu);
	return 0;
}

/* The first run says which thread it is. */
static void
adopt_thread(struct engine_vcpu *vcpu)
{
	sigset_t kick;

	if (atomic_load_explicit(&vcpu->tid, memory_order_relaxed) != 0)
		return;
	sigemptyset(&kick);
	sigaddset(&kick, KVM_KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	atomic_store(&vcpu->tid, gettid());
}

static int
enter_guest(struct engine_vcpu *vcpu)
{
	int rc;

	if (atomic_load(&vcpu->nmi) && atomic_exchange(&vcpu->nmi, false))
		kvm_ioctl(vcpu->fd, KVM_NMI, 0);
	if (vcpu->id == 0)
		kvm_inject_extint(vcpu);
	atomic_store(&vcpu->in_run, true);
	rc = kvm_ioctl(vcpu->fd, KVM_RUN, 0);
	atomic_store_explicit(&vcpu->in_run, false, memory_order_release);
	return rc;
}

enum engine_exit
kvm_op_vcpu_run(struct engine_vcpu *vcpu)
{
	int rc;

	adopt_thread(vcpu);
	for (;;) {
		rc = enter_guest(vcpu);
		if (rc >= 0) {
			rc = kvm_handle_exit(vcpu);
			if (rc != KVM_EXIT_GO_ON)
				return (enum engine_exit)rc;
			continue;
		}
		/* EAGAIN: a processor that waited for SIPI got it. */
		if (rc != -EINTR && rc != -EAGAIN)
			return kvm_fail(vcpu, "KVM_RUN: %s%s", strerror(-rc),
			    rc == -EFAULT ? " (the host cannot provide a page "
					    "of guest memory)"
					  : "");
		__atomic_store_n(
		    &vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (atomic_exchange(&vcpu->kicked, false))
			return ENGINE_EXIT_KICKED;
	}
}

void
kvm_op_vcpu_report(struct engine_vcpu *vcpu, struct engine_report *ret)
{
	if (vcpu->report.insn_len == 0)
		kvm_fetch_bytes(vcpu);
	*ret = vcpu->report;
}

int
kvm_op_vcpu_single_step(struct engine_vcpu *vcpu, bool on)
{
	struct kvm_guest_debug req = { 0 };

	vcpu->stepping = on;
	if (on)
		req.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
	return kvm_ioctl_ptr(vcpu->fd, KVM_SET_GUEST_DEBUG, &req);
}

bool
kvm_op_vcpu_is_dead(struct engine_vcpu *vcpu)
{
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_regs regs;

	if (atomic_load(&vcpu->nmi) ||
	    kvm_ioctl_ptr(vcpu->fd, KVM_GET_MP_STATE, &mp) != 0)
		return false;
	if (mp.mp_state == KVM_MP_STATE_UNINITIALIZED ||
	    mp.mp_state == KVM_MP_STATE_INIT_RECEIVED)
		return true;
	if (mp.mp_state != KVM_MP_STATE_HALTED ||
	    kvm_ioctl_ptr(vcpu->fd, KVM_GET_REGS, &regs) != 0 ||
	    kvm_ioctl_ptr(vcpu->fd, KVM_GET_VCPU_EVENTS, &events) != 0)
		return false;
	return (regs.rflags & RFLAGS_IF) == 0 && !events.nmi.pending &&
	    !events.nmi.injected && !events.smi.pending;
}
