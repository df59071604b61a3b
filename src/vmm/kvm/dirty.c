/*
 * Memory slots and their dirty logs.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

/* Pages write-protected again at a time; a multiple of 64, as KVM asks. */
#define CLEAR_PAGES UINT64_C(0x40000)

int
kvm_map_region(
    struct engine_vm *vm, const struct mem_region *reg, uint32_t flags)
{
	struct kvm_userspace_memory_region req = {
		.slot = reg->slot,
		.flags = flags | (reg->kind == MEM_ROM ? KVM_MEM_READONLY : 0),
		.guest_phys_addr = reg->base.v,
		.memory_size = reg->size,
		.userspace_addr = (uintptr_t)reg->host,
	};

	return kvm_ioctl_ptr(vm->fd, KVM_SET_USER_MEMORY_REGION, &req);
}

static int
set_flags(struct engine_vm *vm, uint32_t flags)
{
	const struct mem_region *reg;
	size_t i, n = vm_mem_regions(vm->mem, &reg);
	int rc;

	for (i = 0; i < n; i++) {
		if (reg[i].kind != MEM_RAM)
			continue;
		rc = kvm_map_region(vm, &reg[i], flags);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
kvm_op_dirty_start(struct engine_vm *vm, struct error *err)
{
	int rc;

	rc = kvm_written_start(vm);
	if (rc == 0)
		rc = set_flags(vm, KVM_MEM_LOG_DIRTY_PAGES);
	if (rc < 0)
		return kvm_error(err, -rc, "cannot start KVM's dirty log");
	return 0;
}

int
kvm_op_dirty_stop(struct engine_vm *vm)
{
	kvm_written_stop(vm);
	return set_flags(vm, 0);
}

/* In pieces: each holds KVM's MMU lock while it protects pages. */
static int
clear_log(struct engine_vm *vm, const struct mem_region *reg, uint64_t *bitmap)
{
	const uint64_t pages = reg->size / PAGE_SIZE_4K;
	struct kvm_clear_dirty_log req = { .slot = reg->slot };
	uint64_t first;
	int rc;

	for (first = 0; first < pages; first += CLEAR_PAGES) {
		req.first_page = first;
		req.num_pages = (uint32_t)MIN(CLEAR_PAGES, pages - first);
		req.dirty_bitmap = bitmap + first / 64;
		rc = kvm_ioctl_ptr(vm->fd, KVM_CLEAR_DIRTY_LOG, &req);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
kvm_op_dirty_get(struct engine_vm *vm, uint32_t slot, uint64_t *bitmap)
{
	struct kvm_dirty_log req = { .slot = slot, .dirty_bitmap = bitmap };
	const struct mem_region *reg;
	size_t n = vm_mem_regions(vm->mem, &reg);
	int rc;

	if (slot >= n || reg[slot].kind != MEM_RAM)
		return -EINVAL;
	rc = kvm_ioctl_ptr(vm->fd, KVM_GET_DIRTY_LOG, &req);
	if (rc < 0)
		return rc;
	rc = vm->manual_dirty ? clear_log(vm, &reg[slot], bitmap) : 0;
	kvm_written_get(vm, &reg[slot], bitmap);
	return rc;
}
