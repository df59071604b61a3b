/*
 * The memory map that the guest is told (ACPI 6.5, chapter 15).
 */
#include "base/str.h"
#include "boot/boot.h"
#include "vmm/memmap.h"

static void
add(struct e820_map *map, uint64_t start, uint64_t end, enum e820_type type)
{
	if (start >= end || map->count == E820_MAX)
		return;
	map->entry[map->count++] =
	    (struct e820_entry){ start, end - start, type };
}

void
e820_make(const struct vm_mem *mem, uint64_t acpi_base, uint64_t acpi_size,
    uint64_t ecam_base, struct e820_map *ret)
{
	uint64_t low = vm_mem_low_size(mem), high = vm_mem_high_size(mem);
	uint64_t acpi_end = acpi_base + acpi_size;

	if (acpi_size == 0)
		acpi_base = acpi_end = low;
	ret->count = 0;
	add(ret, 0, MIN(low, BOOT_EBDA), E820_RAM);
	/* EBDA; then ACPI's RSDP, SMBIOS and MP table in the E and F segments.
	 * What is between them (VGA, option ROMs) is no memory at all. */
	add(ret, BOOT_EBDA, 0xa0000, E820_RESERVED);
	add(ret, BOOT_TABLES, BOOT_KERNEL, E820_RESERVED);
	add(ret, BOOT_KERNEL, acpi_base, E820_RAM);
	add(ret, acpi_base, acpi_end, E820_ACPI);
	add(ret, acpi_end, low, E820_RAM);
	if (ecam_base != 0)
		add(ret, ecam_base, ecam_base + MEMMAP_ECAM_SIZE,
		    E820_RESERVED);
	/* KVM's private pages and the boot ROM. */
	add(ret, MEMMAP_KVM_IDENTITY, MEMMAP_ROM_END, E820_RESERVED);
	add(ret, MEMMAP_HIGH_RAM, MEMMAP_HIGH_RAM + high, E820_RAM);
}
