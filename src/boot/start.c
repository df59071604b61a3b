/*
 * The structures that a kernel booted directly finds in low memory.
 */
#include "boot/start.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* ---- both protocols ---- */

#define PTE_PRESENT 0x01
#define PTE_WRITE 0x02
#define PTE_LARGE 0x80
#define PAGE_TABLE_GIB 4

int
start_write_page_tables(struct vm_mem *mem)
{
	uint64_t table[512] = { 0 };
	uint64_t pdpt = BOOT_PAGE_TABLES + PAGE_SIZE_4K;
	uint64_t pd = pdpt + PAGE_SIZE_4K;
	int rc;

	table[0] = pdpt | PTE_PRESENT | PTE_WRITE;
	rc = vm_mem_write(mem, GPA(BOOT_PAGE_TABLES), table, sizeof(table));
	for (unsigned i = 0; i < PAGE_TABLE_GIB; i++)
		table[i] = (pd + i * PAGE_SIZE_4K) | PTE_PRESENT | PTE_WRITE;
	if (rc == 0)
		rc = vm_mem_write(mem, GPA(pdpt), table, sizeof(table));
	for (unsigned g = 0; rc == 0 && g < PAGE_TABLE_GIB; g++) {
		for (unsigned i = 0; i < 512; i++)
			table[i] = (g * GiB + i * 2 * MiB) | PTE_PRESENT |
			    PTE_WRITE | PTE_LARGE;
		rc = vm_mem_write(
		    mem, GPA(pd + g * PAGE_SIZE_4K), table, sizeof(table));
	}
	return rc;
}

#define GDT_ENTRIES 8

/* Intel SDM vol. 3, figure 3-8; figure 8-4 for the TSS's upper half. */
static void
gdt_set(uint64_t gdt[GDT_ENTRIES], const struct x86_seg *seg)
{
	unsigned i = seg->sel >> 3;
	uint64_t limit = seg->limit;

	if (i == 0 || i >= GDT_ENTRIES || (seg->attr & X86_ATTR_UNUSABLE))
		return;
	if (seg->attr & X86_ATTR_G)
		limit >>= 12;
	gdt[i] = (limit & 0xffff) | (seg->base & 0xffffff) << 16 |
	    (uint64_t)(seg->attr & 0xf0ff) << 40 | (limit >> 16 & 0xf) << 48 |
	    (seg->base >> 24 & 0xff) << 56;
	if (!(seg->attr & X86_ATTR_S) && i + 1 < GDT_ENTRIES)
		gdt[i + 1] = seg->base >> 32;
}

int
start_write_gdt(struct vm_mem *mem, struct vcpu_state *st)
{
	uint64_t gdt[GDT_ENTRIES] = { 0 };

	gdt_set(gdt, &st->tr);
	for (unsigned i = 0; i < X86_SEG_COUNT; i++)
		gdt_set(gdt, &st->seg[i]);
	st->gdtr.base = BOOT_GDT;
	st->gdtr.limit = sizeof(gdt) - 1;
	return vm_mem_write(mem, GPA(BOOT_GDT), gdt, sizeof(gdt));
}

#define BDA_EBDA_SEGMENT 0x40e
#define BDA_BASE_KIB 0x413

int
start_write_bda(struct vm_mem *mem)
{
	uint16_t segment = BOOT_EBDA >> 4, kib = BOOT_EBDA / KiB;
	int rc = vm_mem_write(mem, GPA(BDA_EBDA_SEGMENT), &segment, 2);

	return rc < 0 ? rc : vm_mem_write(mem, GPA(BDA_BASE_KIB), &kib, 2);
}

/* ---- Linux ---- */

/* Offsets in struct boot_params (zero-page.rst) */
#define ZP_ACPI_RSDP 0x070
#define ZP_EXT_RAMDISK_IMAGE 0x0c0
#define ZP_EXT_RAMDISK_SIZE 0x0c4
#define ZP_EXT_CMDLINE 0x0c8
#define ZP_E820_COUNT 0x1e8
#define ZP_VID_MODE 0x1fa
#define ZP_LOADER_TYPE 0x210
#define ZP_LOADFLAGS 0x211
#define ZP_CODE32_START 0x214
#define ZP_RAMDISK_IMAGE 0x218
#define ZP_RAMDISK_SIZE 0x21c
#define ZP_CMDLINE 0x228
#define ZP_SETUP_DATA 0x250
#define ZP_E820 0x2d0
#define ZP_E820_MAX 128

#define LOADER_UNKNOWN 0xff
#define LOADFLAG_CAN_USE_HEAP 0x80
#define VID_MODE_NORMAL 0xffff

int
start_write_zero_page(struct vm_mem *mem, const struct start_info *si)
{
	uint8_t zp[4096] = { 0 };

	_Static_assert(E820_MAX <= ZP_E820_MAX, "the zero page holds 128");
	memcpy(zp + LINUX_SETUP_OFF, si->plan->setup, si->plan->setup_len);
	zp[ZP_LOADER_TYPE] = LOADER_UNKNOWN;
	/* No heap and no real-mode code of the kernel's is in memory. */
	zp[ZP_LOADFLAGS] &= (uint8_t)~LOADFLAG_CAN_USE_HEAP;
	/* The file's own value would be a pointer that the kernel follows. */
	store_le64(zp + ZP_SETUP_DATA, 0);
	store_le16(zp + ZP_VID_MODE, VID_MODE_NORMAL);
	store_le32(zp + ZP_CODE32_START, (uint32_t)si->plan->seg[0].gpa);
	store_le64(zp + ZP_ACPI_RSDP, si->rsdp);
	store_le32(zp + ZP_CMDLINE, (uint32_t)si->cmdline);
	store_le32(zp + ZP_EXT_CMDLINE, (uint32_t)(si->cmdline >> 32));
	store_le32(zp + ZP_RAMDISK_IMAGE, (uint32_t)si->initrd);
	store_le32(zp + ZP_EXT_RAMDISK_IMAGE, (uint32_t)(si->initrd >> 32));
	store_le32(zp + ZP_RAMDISK_SIZE, (uint32_t)si->initrd_size);
	store_le32(zp + ZP_EXT_RAMDISK_SIZE, (uint32_t)(si->initrd_size >> 32));
	zp[ZP_E820_COUNT] = (uint8_t)si->e820->count;
	memcpy(zp + ZP_E820, si->e820->entry,
	    si->e820->count * sizeof(si->e820->entry[0]));
	return vm_mem_write(mem, GPA(BOOT_ZERO_PAGE), zp, sizeof(zp));
}

/* ---- PVH ---- */

#define PVH_MAGIC 0x336ec578
#define PVH_MODLIST (BOOT_PVH_INFO + 0x40)
#define PVH_MEMMAP BOOT_ZERO_PAGE /* the zero page is not used then */

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};
struct hvm_modlist_entry {
	uint64_t paddr, size, cmdline, reserved;
};
struct hvm_memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved; /* types as in E820 */
};

int
start_write_pvh(struct vm_mem *mem, const struct start_info *si)
{
	struct hvm_memmap_entry map[E820_MAX] = { 0 };
	struct hvm_modlist_entry mod = { si->initrd, si->initrd_size, 0, 0 };
	struct hvm_start_info info = {
		.magic = PVH_MAGIC,
		.version = 1,
		.nr_modules = si->initrd_size != 0,
		.modlist = si->initrd_size != 0 ? PVH_MODLIST : 0,
		.cmdline = si->cmdline,
		.rsdp = si->rsdp,
		.memmap = PVH_MEMMAP,
		.memmap_entries = si->e820->count,
	};
	int rc;

	for (unsigned i = 0; i < si->e820->count; i++) {
		const struct e820_entry *e = &si->e820->entry[i];

		map[i] =
		    (struct hvm_memmap_entry){ e->addr, e->size, e->type, 0 };
	}
	if ((rc = vm_mem_write(mem, GPA(BOOT_PVH_INFO), &info, sizeof(info))) <
		0 ||
	    (rc = vm_mem_write(mem, GPA(PVH_MODLIST), &mod, sizeof(mod))) < 0)
		return rc;
	return vm_mem_write(mem, GPA(PVH_MEMMAP), map, sizeof(map));
}
