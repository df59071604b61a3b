/*
 * The guest-physical address map of the Q35-shaped PC. Sources: Intel ICH9 and
 * 3 Series Express Chipset datasheets for the fixed windows; edk2's OVMF for
 * the 0xB0000000 PCIEXBAR that it programs (RAM below 4 GiB ends there).
 */
#ifndef VMM_MEMMAP_H
#define VMM_MEMMAP_H

#include <stdint.h>

#define MEMMAP_LOW_RAM_END UINT64_C(0xb0000000) /* top of RAM below 4 GiB */
#define MEMMAP_ECAM_BASE                                    \
	UINT64_C(0xb0000000) /* reset value of our PCIEXBAR \
			      */
#define MEMMAP_ECAM_SIZE UINT64_C(0x10000000) /* 256 buses x 1 MiB */
#define MEMMAP_PCI32_BASE UINT64_C(0xc0000000)
#define MEMMAP_PCI32_END UINT64_C(0xfc000000)
#define MEMMAP_IOAPIC UINT64_C(0xfec00000)
#define MEMMAP_LAPIC UINT64_C(0xfee00000)
#define MEMMAP_ROM_END UINT64_C(0x100000000) /* boot ROM ends here */
#define MEMMAP_HIGH_RAM UINT64_C(0x100000000)
#define MEMMAP_PCI64_SIZE UINT64_C(0x800000000) /* 32 GiB above high RAM */
#define MEMMAP_PCI_IO_BASE 0x6000 /* PCI I/O window, as OVMF's Q35 */
#define MEMMAP_PCI_IO_END 0x10000
/* KVM's three TSS pages and identity map, below the boot ROM (Intel only). */
#define MEMMAP_KVM_IDENTITY UINT64_C(0xfeffc000)
#define MEMMAP_KVM_TSS UINT64_C(0xfeffd000)

/* Legacy fixed ports */
#define PORT_PMBASE 0x600 /* ICH9 PMBASE, 128 bytes */

/* Interrupt numbers (GSI). 0-15 are ISA lines, 16-23 PIRQA-PIRQH. */
#define GSI_PIT 0 /* on I/O APIC pin 2 by MADT override */
#define GSI_KBD 1
#define GSI_COM2 3
#define GSI_COM1 4
#define GSI_RTC 8
#define GSI_SCI 9
#define GSI_PIRQ0 16
#define GSI_COUNT 24

#endif
