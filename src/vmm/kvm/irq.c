/*
 * Interrupts into KVM. Three ways: a message at once (KVM_SIGNAL_MSI), an
 * eventfd whose message is in the routing table (irqfd), and the PIC's vector
 * handed over when the boot processor can take it.
 *
 * The routing table: GSI 0-23 are the I/O APIC's pins, there only so that KVM
 * knows which vectors' EOIs must exit; GSI 24 and up are irqfds. Setting it is
 * slow (it waits for readers), so it is set only when a change matters: not
 * when a pin is masked, since a route too many merely makes an exit too many.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

#define FIRST_IRQFD_GSI IOAPIC_PINS
#define MSI_DATA_LEVEL (UINT32_C(1) << 15)

int
kvm_op_msi(struct engine_vm *vm, uint64_t addr, uint32_t data)
{
	struct kvm_msi req = {
		.address_lo = (uint32_t)addr,
		.address_hi = (uint32_t)(addr >> 32),
		.data = data,
	};

	return kvm_ioctl_ptr(vm->fd, KVM_SIGNAL_MSI, &req);
}

/* ---- the routing table ---- */

static struct kvm_irq_routing_entry
route_entry(uint32_t gsi, uint64_t addr, uint32_t data)
{
	struct kvm_irq_routing_entry e = { .gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI };

	e.u.msi.address_lo = (uint32_t)addr;
	e.u.msi.address_hi = (uint32_t)(addr >> 32);
	e.u.msi.data = data;
	return e;
}

static int
routes_commit_locked(struct engine_vm *vm)
{
	cleanup_free struct kvm_irq_routing *tab = NULL;
	size_t i;

	if (vm->batch > 0) {
		vm->batch_dirty = true;
		return 0;
	}
	tab = alloc_zero(1,
	    sizeof(*tab) +
		(IOAPIC_PINS + vm->nslots) * sizeof(tab->entries[0]));
	if (tab == NULL)
		return -ENOMEM;
	for (i = 0; i < IOAPIC_PINS; i++)
		if (vm->pin[i].level)
			tab->entries[tab->nr++] = route_entry(
			    (uint32_t)i, vm->pin[i].addr, vm->pin[i].data);
	for (i = 0; i < vm->nslots; i++)
		if (vm->slot[i].fd >= 0)
			tab->entries[tab->nr++] =
			    route_entry((uint32_t)(FIRST_IRQFD_GSI + i),
				vm->slot[i].addr, vm->slot[i].data);
	vm->batch_dirty = false;
	return kvm_ioctl_ptr(vm->fd, KVM_SET_GSI_ROUTING, tab);
}

int
kvm_op_ioapic_route(struct engine_vm *vm, unsigned pin, uint64_t addr,
    uint32_t data, bool masked)
{
	struct kvm_pin *p;
	int rc = 0;

	if (pin >= IOAPIC_PINS || masked)
		return 0;
	p = &vm->pin[pin];
	pthread_mutex_lock(&vm->route_lock);
	if ((data & MSI_DATA_LEVEL) == 0) {
		p->level = false; /* goes with the next commit */
	} else if (!p->level || p->addr != addr || p->data != data) {
		*p = (struct kvm_pin){ true, addr, data };
		rc = routes_commit_locked(vm);
	}
	pthread_mutex_unlock(&vm->route_lock);
	return rc;
}

/* ---- irqfd ---- */

static int
irqfd_ioctl(struct engine_vm *vm, size_t i, bool on)
{
	struct kvm_irqfd req = {
		.fd = (uint32_t)vm->slot[i].fd,
		.gsi = (uint32_t)(FIRST_IRQFD_GSI + i),
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};
	int rc = 0;

	if (vm->slot[i].bound != on)
		rc = kvm_ioctl_ptr(vm->fd, KVM_IRQFD, &req);
	if (rc == 0)
		vm->slot[i].bound = on;
	return rc;
}

/* The slot of this fd, or a free one: index, or -errno. */
static ssize_t
irqfd_find_locked(struct engine_vm *vm, int fd)
{
	struct kvm_irqfd_slot *bigger;
	ssize_t unused = -1;
	size_t i, more;

	for (i = 0; i < vm->nslots; i++) {
		if (vm->slot[i].fd == fd)
			return (ssize_t)i;
		if (vm->slot[i].fd < 0 && unused < 0)
			unused = (ssize_t)i;
	}
	if (unused >= 0)
		return unused;
	more = MIN(vm->nslots + 16, (size_t)vm->max_routes - IOAPIC_PINS);
	if (more <= vm->nslots)
		return -ENOSPC;
	bigger = alloc_resize(vm->slot, more, sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	for (i = vm->nslots; i < more; i++)
		bigger[i] = (struct kvm_irqfd_slot){ .fd = -1 };
	unused = (ssize_t)vm->nslots;
	vm->slot = bigger;
	vm->nslots = more;
	return unused;
}

static int
irqfd_on_locked(struct engine_vm *vm, int fd, uint64_t addr, uint32_t data)
{
	struct kvm_irqfd_slot *slot;
	ssize_t i;
	int rc = 0;

	i = irqfd_find_locked(vm, fd);
	if (i < 0)
		return (int)i;
	slot = &vm->slot[i];
	if (slot->fd != fd || slot->addr != addr || slot->data != data) {
		slot->fd = fd;
		slot->addr = addr;
		slot->data = data;
		rc = routes_commit_locked(vm);
	}
	/* In a batch the table comes first, then the eventfds. */
	if (rc == 0 && vm->batch == 0)
		rc = irqfd_ioctl(vm, (size_t)i, true);
	if (rc != 0 && !slot->bound)
		slot->fd = -1;
	return rc;
}

static int
irqfd_off_locked(struct engine_vm *vm, int fd)
{
	size_t i;
	int rc;

	for (i = 0; i < vm->nslots; i++)
		if (vm->slot[i].fd == fd)
			break;
	if (i == vm->nslots)
		return -ENOENT;
	rc = irqfd_ioctl(vm, i, false);
	vm->slot[i].fd = -1;
	vm->slot[i].bound = false;
	return rc;
}

int
kvm_op_irqfd(
    struct engine_vm *vm, int fd, uint64_t addr, uint32_t data, bool on)
{
	int rc;

	if (fd < 0)
		return -EBADF;
	pthread_mutex_lock(&vm->route_lock);
	rc =
	    on ? irqfd_on_locked(vm, fd, addr, data) : irqfd_off_locked(vm, fd);
	pthread_mutex_unlock(&vm->route_lock);
	return rc;
}

static int
batch_end_locked(struct engine_vm *vm)
{
	size_t i;
	int rc = 0, one;

	if (vm->batch_dirty)
		rc = routes_commit_locked(vm);
	for (i = 0; rc == 0 && i < vm->nslots; i++) {
		if (vm->slot[i].fd < 0 || vm->slot[i].bound)
			continue;
		one = irqfd_ioctl(vm, i, true);
		if (one != 0)
			rc = one;
	}
	return rc;
}

int
kvm_op_irq_batch(struct engine_vm *vm, bool begin)
{
	int rc = 0;

	pthread_mutex_lock(&vm->route_lock);
	if (begin)
		vm->batch++;
	else if (vm->batch > 0 && --vm->batch == 0)
		rc = batch_end_locked(vm);
	pthread_mutex_unlock(&vm->route_lock);
	return rc;
}

int
kvm_op_ioeventfd(struct engine_vm *vm, int fd, uint64_t addr, unsigned len,
    uint64_t value, unsigned flags, bool on)
{
	struct kvm_ioeventfd req = {
		.datamatch = value, .addr = addr, .len = len, .fd = fd
	};

	if (flags & ENGINE_IOEVENT_PIO)
		req.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (flags & ENGINE_IOEVENT_MATCH)
		req.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	if (!on)
		req.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	return kvm_ioctl_ptr(vm->fd, KVM_IOEVENTFD, &req);
}

/* ---- the PIC's vector ---- */

void
kvm_op_extint(struct engine_vm *vm, bool level)
{
	struct engine_vcpu *bsp;

	atomic_store(&vm->extint, level);
	bsp = atomic_load(&vm->bsp);
	if (level && bsp != NULL)
		kvm_poke(bsp);
}

void
kvm_inject_extint(struct engine_vcpu *vcpu)
{
	struct engine_vm *vm = vcpu->vm;
	struct kvm_run *run = vcpu->run;
	struct kvm_interrupt req;

	run->request_interrupt_window = 0;
	if (vcpu->vector < 0 && !atomic_load(&vm->extint))
		return;
	if (vcpu->vector < 0 && run->ready_for_interrupt_injection)
		vcpu->vector = vm->client->extint_ack(vm->machine);
	if (vcpu->vector >= 0) {
		req.irq = (uint32_t)vcpu->vector;
		/* -EEXIST: the one before was not delivered yet. */
		if (kvm_ioctl_ptr(vcpu->fd, KVM_INTERRUPT, &req) == 0) {
			vcpu->vector = -1;
			vcpu->queued = true;
		}
		run->ready_for_interrupt_injection = 0;
	}
	run->request_interrupt_window =
	    vcpu->vector >= 0 || atomic_load(&vm->extint);
}

/*
 * KVM_INTERRUPT leaves the vector in a place that no ioctl shows. Entering the
 * guest with a signal pending moves it to the events in flight and runs nothing
 * of the guest; a halted vCPU needs a second turn, to wake up first.
 */
void
kvm_settle_extint(struct engine_vcpu *vcpu)
{
	union {
		struct kvm_signal_mask head;
		uint8_t room[sizeof(struct kvm_signal_mask) + 8];
	} mask = { .head.len = 8 };
	struct kvm_signal_mask *none = NULL;
	sigset_t kick, old;
	unsigned turn;

	if (!vcpu->queued || vcpu->tid != gettid())
		return;
	sigemptyset(&kick);
	sigaddset(&kick, KVM_KICK_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &kick, &old);
	pthread_kill(pthread_self(), KVM_KICK_SIGNAL);
	/* All blocked but the kick while in KVM_RUN */
	memset(mask.head.sigset, 0xff, 8);
	mask.head.sigset[(KVM_KICK_SIGNAL - 1) / 8] &=
	    (uint8_t) ~(1u << ((KVM_KICK_SIGNAL - 1) % 8));
	kvm_ioctl_ptr(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	for (turn = 0; turn < 2; turn++)
		kvm_ioctl(vcpu->fd, KVM_RUN, 0);
	kvm_ioctl_ptr(vcpu->fd, KVM_SET_SIGNAL_MASK, none);
	sigtimedwait(&kick, NULL, &(struct timespec){ 0, 0 });
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	vcpu->queued = false;
}
