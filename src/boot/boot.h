/*
 * Loaders and tables: what stands in guest memory when the first instruction
 * runs.
 *
 * Sources: Linux Documentation/arch/x86/boot.rst (boot protocol 2.15), the Xen
 * PVH boot ABI (hvm_start_info), ACPI 6.5, SMBIOS 3.6 (DSP0134), Intel
 * MultiProcessor Specification 1.4.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/error.h"
#include "dev/pci/pci.h"
#include "dev/platform.h"
#include "vmm/vm.h"

/* Where things lie for a kernel booted directly. */
#define BOOT_GDT 0x500
#define BOOT_PVH_INFO 0x6000
#define BOOT_ZERO_PAGE 0x7000
#define BOOT_STACK 0x8ff0
#define BOOT_PAGE_TABLES 0x9000 /* PML4, PDPT, 4 PDs: 6 pages */
#define BOOT_CMDLINE 0x20000
#define BOOT_CMDLINE_SIZE 0x10000 /* with the NUL */
#define BOOT_EBDA 0x9fc00 /* MP table lives here */
#define BOOT_TABLES 0xe0000 /* RSDP, SMBIOS entry; up to 0xfffff */
#define BOOT_KERNEL 0x100000

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };
struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));
#define E820_MAX 32
struct e820_map {
	unsigned count;
	struct e820_entry entry[E820_MAX]; /* sorted, disjoint */
};
/*
 * The machine's memory as the guest is told it. acpi_base/size: the RAM at the
 * top of low memory that ACPI tables took (size 0: none). ecam_base 0: none.
 */
void e820_make(const struct vm_mem *mem, uint64_t acpi_base, uint64_t acpi_size,
    uint64_t ecam_base, struct e820_map *ret);

/* Everything the tables say about the machine. */
struct boot_machine {
	struct vm *vm;
	struct pci_bus *pci;
	const struct config_node *config; /* the whole tree */
	const struct cpu_topology *topo;
	uint8_t uuid[16]; /* RFC 4122 byte order */
	bool mptable; /* x86.mptable */
	struct fw_cfg *fw_cfg; /* NULL: the machine has none */
};

/*
 * ACPI: RSDP at BOOT_TABLES, the rest at the top of low RAM; returns where.
 * RSDP, XSDT, RSDT, FADT, FACS, DSDT (static part, compiled by iasl at build
 * time), SSDT (CPUs, COM ports, PCI windows; written by aml.h), MADT, MCFG,
 * SPCR when com1 is there, WAET.
 */
struct boot_acpi {
	gpa_t rsdp;
	uint64_t base, size; /* RAM taken at the top of low memory */
};
int boot_acpi_write(
    const struct boot_machine *bm, struct boot_acpi *ret, struct error *err);
/* SMBIOS 3 entry point (and 2.8 one) in the F segment, tables behind. */
int boot_smbios_write(const struct boot_machine *bm, struct error *err);
int boot_mptable_write(const struct boot_machine *bm, struct error *err);

/*
 * The same tables for a firmware to place, as files of bm->fw_cfg: etc/acpi/...
 * with etc/table-loader (when acpi), etc/smbios/..., etc/e820,
 * etc/system-states; and what it wants to know beside them: CPUs, memory, UUID,
 * root buses, the boot order by the devices' bootindex. Instead of the three
 * functions above and e820_make().
 */
int
boot_fw_cfg_export(const struct boot_machine *bm, bool acpi, struct error *err);

/* Key tables of the nodes bios, system, board, chassis (SMBIOS). */
extern const struct config_key smbios_keys[];
extern const struct config_key boot_keys[]; /* boot.kernel .initrd .cmdline */

struct boot_image {
	const char *kernel; /* path: bzImage, or ELF with a PVH note */
	const char *initrd; /* path or NULL */
	const char *cmdline; /* text or NULL */
};
/*
 * Load the kernel, by its own magic number: bzImage through the 64-bit
 * protocol, ELF through PVH. Fills the boot processor's start state. Files are
 * hostile: every offset and size is checked against file and RAM. Guest RAM
 * must be fresh (all zero): what a kernel wants zeroed is not written. acpi
 * may be NULL: no tables.
 */
int boot_load(const struct boot_machine *bm, const struct boot_image *img,
    const struct boot_acpi *acpi, const struct e820_map *e820,
    struct vcpu_state *ret, struct error *err);

#endif
