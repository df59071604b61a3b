/*
 * What the guest sees of the CPU: one policy for every engine.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CPUID_MAX_LEAVES 128

struct cpuid_leaf {
	uint32_t leaf;
	uint32_t subleaf;
	uint32_t has_subleaf; /* 0: any ECX gives this row */
	uint32_t eax, ebx, ecx, edx;
};

struct cpuid_table {
	size_t count;
	struct cpuid_leaf row[CPUID_MAX_LEAVES];
};

/* sockets * cores * threads = vCPUs */
struct cpu_topology {
	unsigned cpus, sockets, cores, threads;
};

/*
 * Frequency of the local APICs' timers and of the crystal that leaf 0x15 names
 * (Linux takes them for the same). KVM's is fixed; an engine must have it too,
 * so that a timer count that was saved means the same time on every engine.
 */
#define CPUID_APIC_HZ UINT64_C(1000000000)

/* At least one vCPU, the product right: 0 or -EINVAL. */
int topology_check(const struct cpu_topology *topo, struct error *err);
/* APIC id of a vCPU: packed by the topology, power-of-two field widths. */
uint32_t topology_apic_id(const struct cpu_topology *topo, unsigned vcpu);

/*
 * From what an engine supports, make the table of one vCPU: features masked
 * by policy (no VMX/SVM, no MONITOR, no PMU, hypervisor bit set), topology in
 * leaves 1, 4, 0xb, 0x1f, 0x8000001d/1e, 0x80000008, APIC id, TSC frequency in
 * 0x15/0x16 and 0x40000010, KVM signature leaves when the engine has kvmclock.
 */
int
cpuid_make(const struct cpuid_table *supported, const struct cpu_topology *topo,
    unsigned vcpu, uint64_t tsc_hz, struct cpuid_table *ret, struct error *err);
/*
 * Add the rows about the TSC's frequency to a table that was made without
 * (tsc_hz 0). 0 or -ENOSPC.
 */
int cpuid_set_tsc(struct cpuid_table *tab, uint64_t tsc_hz);
/* As the CPUID instruction: out-of-range leaves give the highest basic one. */
void cpuid_lookup(const struct cpuid_table *tab, uint32_t leaf,
    uint32_t subleaf, uint32_t out[4]);

#endif
