/*
 * kvmclock: the paravirtual clock that stock kernels prefer over everything
 * else. Time is the TSC, which starts at 0 with the VM on all vCPUs, so the
 * structures are written once and never change.
 *
 * Source: Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst.
 */
#include <time.h>

#include "vmm/soft/insn.h"
#include "vmm/soft/vm.h"

struct pv_time {
	uint32_t version;
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad[2];
};
_Static_assert(sizeof(struct pv_time) == 32, "pvclock_vcpu_time_info");

#define PV_TSC_STABLE 1

bool
soft_kvmclock_write(struct soft_cpu *cpu, uint64_t v)
{
	struct pv_time t = { .version = 2, .flags = PV_TSC_STABLE };
	uint64_t hz = cpu->vm->tsc_hz;

	if (!(v & 1))
		return true;
	/* ns = (ticks << shift) * mul >> 32 */
	while (hz <= UINT64_C(1000000000)) {
		hz *= 2;
		t.tsc_shift++;
	}
	t.tsc_to_system_mul = (uint32_t)((UINT64_C(1000000000) << 32) / hz);
	t.tsc_timestamp = cpu->tsc_offset + cpu->vm->tsc_base;
	return soft_phys_write(cpu, v & ~UINT64_C(3), &t, sizeof(t));
}

bool
soft_kvmclock_wall(struct soft_cpu *cpu, uint64_t gpa)
{
	uint64_t ns, hz = cpu->vm->tsc_hz;
	struct timespec now;
	uint32_t w[3];

	/* Wall-clock time when system_time was 0. */
	clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	ns -= (uint64_t)((unsigned __int128)(soft_host_tsc() -
			     cpu->vm->tsc_base) *
	    1000000000u / hz);
	w[0] = 2;
	w[1] = (uint32_t)(ns / 1000000000u);
	w[2] = (uint32_t)(ns % 1000000000u);
	return soft_phys_write(cpu, gpa & ~UINT64_C(3), w, sizeof(w));
}
