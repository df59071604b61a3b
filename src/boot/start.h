/*
 * What a kernel finds in memory beside its own image: page tables, descriptor
 * table, zero page or PVH start info, BIOS data area. Each function writes one
 * structure into guest RAM; -EFAULT when RAM does not reach there.
 */
#ifndef BOOT_START_H
#define BOOT_START_H

#include <stdint.h>

#include "boot/boot.h"
#include "boot/image.h"

/* Where things ended up, for the structures that point to them. */
struct start_info {
	const struct image_plan *plan;
	const struct e820_map *e820;
	uint64_t cmdline; /* address of the text */
	uint64_t initrd, initrd_size; /* size 0: none */
	uint64_t rsdp; /* 0: none */
};

/* Identity map of the first 4 GiB in 2 MiB pages at BOOT_PAGE_TABLES. */
int start_write_page_tables(struct vm_mem *mem);
/*
 * A GDT at BOOT_GDT with the descriptors that st's segment registers already
 * hold, so that the guest may reload them; sets st->gdtr.
 */
int start_write_gdt(struct vm_mem *mem, struct vcpu_state *st);
/* EBDA segment and size of base memory, which kernels look up. */
int start_write_bda(struct vm_mem *mem);
/* struct boot_params at BOOT_ZERO_PAGE (boot.rst, zero-page.rst). */
int start_write_zero_page(struct vm_mem *mem, const struct start_info *si);
/* struct hvm_start_info version 1 at BOOT_PVH_INFO (Xen's PVH ABI). */
int start_write_pvh(struct vm_mem *mem, const struct start_info *si);

/* boot_load() into a memory, without a machine around it. */
int start_load(struct vm_mem *mem, const struct boot_image *img,
    const struct boot_acpi *acpi, const struct e820_map *e820,
    struct vcpu_state *ret, struct error *err);

#endif
