/*
 * KVM's list of CPUID leaves to ours and back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

#define MAX_ENTRIES 256

#define LEAF1_TSC_DEADLINE (UINT32_C(1) << 24)

static struct kvm_cpuid2 *
cpuid_alloc(size_t n)
{
	return alloc_zero(
	    1, sizeof(struct kvm_cpuid2) + n * sizeof(struct kvm_cpuid_entry2));
}

/* Zero rows say nothing: what is not listed reads as zero. */
static bool
entry_is_empty(const struct kvm_cpuid_entry2 *e)
{
	if ((e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) && e->index == 0)
		return false;
	return (e->eax | e->ebx | e->ecx | e->edx) == 0 && e->function != 0;
}

static int
table_from_kvm(const struct kvm_cpuid2 *list, struct cpuid_table *ret)
{
	const struct kvm_cpuid_entry2 *e;
	uint32_t i;

	ret->count = 0;
	for (i = 0; i < list->nent && i < MAX_ENTRIES; i++) {
		e = &list->entries[i];
		if (entry_is_empty(e))
			continue;
		if (ret->count == CPUID_MAX_LEAVES)
			return -ENOSPC;
		ret->row[ret->count++] = (struct cpuid_leaf){
			.leaf = e->function,
			.subleaf = e->index,
			.has_subleaf =
			    (e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
			.eax = e->eax,
			.ebx = e->ebx,
			.ecx = e->ecx,
			.edx = e->edx,
		};
	}
	return 0;
}

int
kvm_op_cpuid_supported(
    struct cpuid_table *ret, uint64_t *ret_tsc_hz, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *list = cpuid_alloc(MAX_ENTRIES);
	cleanup_close int kvm = -1;
	size_t i;
	int rc;

	if (list == NULL)
		return error_sys(err, ENOMEM, "CPUID leaves of KVM");
	kvm = kvm_open(err);
	if (kvm < 0)
		return kvm;
	list->nent = MAX_ENTRIES;
	rc = kvm_ioctl_ptr(kvm, KVM_GET_SUPPORTED_CPUID, list);
	if (rc >= 0)
		rc = table_from_kvm(list, ret);
	if (rc < 0)
		return error_sys(err, -rc, "CPUID leaves of KVM");
	/* Not in the list, because it depends on the irqchip's kind. */
	for (i = 0; i < ret->count; i++)
		if (ret->row[i].leaf == 1 &&
		    kvm_has(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
			ret->row[i].ecx |= LEAF1_TSC_DEADLINE;
	*ret_tsc_hz = 0; /* a vCPU knows it: kvm_set_cpuid() */
	return 0;
}

static int
set_list(int vcpu_fd, const struct cpuid_table *tab)
{
	cleanup_free struct kvm_cpuid2 *list = cpuid_alloc(tab->count);
	const struct cpuid_leaf *row;
	size_t i;

	if (list == NULL)
		return -ENOMEM;
	list->nent = (uint32_t)tab->count;
	for (i = 0; i < tab->count; i++) {
		row = &tab->row[i];
		list->entries[i] = (struct kvm_cpuid_entry2){
			.function = row->leaf,
			.index = row->subleaf,
			.flags = row->has_subleaf
			    ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX
			    : 0,
			.eax = row->eax,
			.ebx = row->ebx,
			.ecx = row->ecx,
			.edx = row->edx,
		};
	}
	return kvm_ioctl_ptr(vcpu_fd, KVM_SET_CPUID2, list);
}

int
kvm_set_cpuid(int vcpu_fd, const struct cpuid_table *tab)
{
	cleanup_free struct cpuid_table *own = alloc_bytes(sizeof(*own));
	int khz, rc = 0;

	if (own == NULL)
		return -ENOMEM;
	memcpy(own, tab, sizeof(*own));
	khz = kvm_ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);
	if (khz > 0)
		rc = cpuid_set_tsc(own, (uint64_t)khz * 1000);
	return rc == 0 ? set_list(vcpu_fd, own) : rc;
}
