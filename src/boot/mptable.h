/*
 * The MP table (Intel MultiProcessor Specification 1.4), for guests that do
 * not read ACPI.
 */
#ifndef BOOT_MPTABLE_H
#define BOOT_MPTABLE_H

#include <stdint.h>

#include "base/buf.h"
#include "boot/buses.h"
#include "vmm/cpuid.h"
#include "vmm/mem.h"

/* The floating pointer, 16 bytes, for a configuration table at gpa (4.1). */
void mptable_pointer(uint32_t gpa, uint8_t ret[16]);
/*
 * The configuration table (4.2), appended to b. CPUs whose APIC id needs more
 * than 8 bits are left out.
 */
int mptable_build(const struct cpu_topology *topo,
    const struct boot_buses *buses, struct buf *b);

/* Pointer into the EBDA, configuration table into the E segment. */
int mptable_place(struct vm_mem *mem, const struct cpu_topology *topo,
    const struct boot_buses *buses);

#endif
