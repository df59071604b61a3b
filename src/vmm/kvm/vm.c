/*
 * The KVM engine: a VM and the table that offers it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/kvm/kvm_impl.h"
#include "vmm/memmap.h"

/* In newer headers */
#ifndef KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE
#define KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE 1
#endif

/* Real mode on old Intel processors needs these pages of guest addresses. */
static int
set_helper_pages(int fd)
{
	uint64_t identity = MEMMAP_KVM_IDENTITY;
	int rc = 0;

	if (kvm_has(fd, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0)
		rc = kvm_ioctl_ptr(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (rc == 0 && kvm_has(fd, KVM_CAP_SET_TSS_ADDR) > 0)
		rc = kvm_ioctl(fd, KVM_SET_TSS_ADDR, MEMMAP_KVM_TSS);
	return rc;
}

static int
set_features(struct engine_vm *vm, const struct engine_vm_config *conf,
    struct error *err)
{
	int rc;

	rc = kvm_enable(vm->fd, KVM_CAP_SPLIT_IRQCHIP, IOAPIC_PINS);
	if (rc != 0)
		return kvm_error(err, -rc, "KVM refuses a split irqchip");
	rc = set_helper_pages(vm->fd);
	if (rc != 0)
		return kvm_error(err, -rc, "KVM refuses its helper pages");
	rc = kvm_enable_msr_exits(vm->fd);
	if (rc != 0)
		return kvm_error(err, -rc, "KVM refuses MSR exits");
	if (conf->x2apic_ids) {
		rc = kvm_enable(vm->fd, KVM_CAP_X2APIC_API,
		    KVM_X2APIC_API_USE_32BIT_IDS |
			KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
		if (rc != 0)
			return kvm_error(
			    err, -rc, "KVM refuses APIC ids above 254");
		vm->x2apic_format = true;
	}
	if (vm->stepped)
		kvm_enable_emulation_exits(vm->fd);
	if (kvm_has(vm->fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) > 0)
		vm->manual_dirty =
		    kvm_enable(vm->fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) == 0;
	return 0;
}

static int
map_memory(struct engine_vm *vm, struct error *err)
{
	const struct mem_region *reg;
	size_t i, n = vm_mem_regions(vm->mem, &reg);
	int rc;

	for (i = 0; i < n; i++) {
		rc = kvm_map_region(vm, &reg[i], 0);
		if (rc != 0)
			return error_sys(err, -rc,
			    "KVM refuses guest memory '%s', 0x%" PRIx64
			    " bytes at 0x%" PRIx64,
			    reg[i].name, reg[i].size, reg[i].base.v);
	}
	return 0;
}

static int
vm_init(struct engine_vm *vm, const struct engine_vm_config *conf,
    struct error *err)
{
	cleanup_close int kvm = kvm_open(err);
	int rc, size, max;

	if (kvm < 0)
		return kvm;
	rc = kvm_install_kick_handler();
	if (rc != 0)
		return error_sys(err, -rc, "cannot handle the kick signal");
	size = kvm_ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return error_set(
		    err, EPROTO, "KVM's run area of %d bytes", size);
	vm->run_size = (size_t)size;
	vm->fd = kvm_ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return kvm_error(err, -vm->fd, "cannot create a VM in KVM");
	max = kvm_has(vm->fd, KVM_CAP_MAX_VCPUS);
	if (max > 0 && conf->max_vcpus > (unsigned)max)
		return error_set(err, EINVAL,
		    "%u vCPUs: this host's KVM has at most %d", conf->max_vcpus,
		    max);
	max = kvm_has(vm->fd, KVM_CAP_IRQ_ROUTING);
	vm->max_routes = max > IOAPIC_PINS ? (unsigned)max : IOAPIC_PINS;
	rc = set_features(vm, conf, err);
	if (rc == 0)
		rc = map_memory(vm, err);
	return rc;
}

static void
kvm_op_vm_destroy(struct engine_vm *vm)
{
	if (vm == NULL)
		return;
	fd_close(&vm->fd);
	kvm_written_free(vm);
	pthread_mutex_destroy(&vm->route_lock);
	free(vm->slot);
	free(vm);
}

static int
kvm_op_vm_create(const struct engine_vm_config *conf, struct engine_vm **ret,
    struct error *err)
{
	struct engine_vm *vm;
	int rc;

	vm = alloc_zero(1, sizeof(*vm));
	if (vm == NULL)
		return error_sys(err, ENOMEM, "VM");
	vm->fd = -1;
	vm->client = conf->client;
	vm->machine = conf->machine;
	vm->mem = conf->mem;
	vm->strict_msr = conf->strict_msr;
	vm->stepped = conf->stepped;
	pthread_mutex_init(&vm->route_lock, NULL);
	rc = vm_init(vm, conf, err);
	if (rc != 0) {
		kvm_op_vm_destroy(vm);
		return rc;
	}
	*ret = vm;
	return 0;
}

const struct engine_ops engine_kvm = {
	.name = "kvm",
	.probe = kvm_op_probe,
	.cpuid_supported = kvm_op_cpuid_supported,
	.vm_create = kvm_op_vm_create,
	.vm_destroy = kvm_op_vm_destroy,
	.vcpu_create = kvm_op_vcpu_create,
	.vcpu_destroy = kvm_op_vcpu_destroy,
	.vcpu_run = kvm_op_vcpu_run,
	.vcpu_kick = kvm_op_vcpu_kick,
	.vcpu_report = kvm_op_vcpu_report,
	.vcpu_get = kvm_op_vcpu_get,
	.vcpu_set = kvm_op_vcpu_set,
	.vcpu_single_step = kvm_op_vcpu_single_step,
	.nmi = kvm_op_nmi,
	.vcpu_is_dead = kvm_op_vcpu_is_dead,
	.msi = kvm_op_msi,
	.extint = kvm_op_extint,
	.ioapic_route = kvm_op_ioapic_route,
	.irqfd = kvm_op_irqfd,
	.irq_batch = kvm_op_irq_batch,
	.ioeventfd = kvm_op_ioeventfd,
	.dirty_start = kvm_op_dirty_start,
	.dirty_stop = kvm_op_dirty_stop,
	.dirty_get = kvm_op_dirty_get,
	.stepped = &kvm_stepped_ops,
};
