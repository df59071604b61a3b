/*
 * Debug registers and traps, alignment checks.
 */
#include "vmm/soft/debug.h"

#include "vmm/soft/mmu.h"
#include "vmm/soft/seg.h"

/* DR7's R/W fields */
enum { BP_EXEC, BP_WRITE, BP_IO, BP_ACCESS };

static unsigned
bp_type(const struct soft_cpu *cpu, unsigned i)
{
	return cpu->dr[7] >> (16 + 4 * i) & 3;
}

static uint64_t
bp_size(const struct soft_cpu *cpu, unsigned i)
{
	static const uint8_t size[] = { 1, 2, 8, 4 };

	return size[cpu->dr[7] >> (18 + 4 * i) & 3];
}

/* Does [at, at+size) meet breakpoint i? Its address is cut to its size. */
static bool
bp_meets(const struct soft_cpu *cpu, unsigned i, uint64_t at, unsigned size)
{
	uint64_t len = bp_size(cpu, i), bp = cpu->dr[i] & ~(len - 1);

	return at - bp < len || bp - at < size;
}

void
soft_debug_changed(struct soft_cpu *cpu)
{
	uint8_t exec = 0, data = 0, io = 0;

	for (unsigned i = 0; i < 4; i++) {
		if (!(cpu->dr[7] >> (2 * i) & 3))
			continue;
		if (bp_type(cpu, i) == BP_EXEC)
			exec |= 1u << i;
		else if (bp_type(cpu, i) != BP_IO)
			data |= 1u << i;
		else if (cpu->cr4 & X86_CR4_DE)
			io |= 1u << i;
		if (data >> i & 1)
			soft_tlb_invlpg(cpu, cpu->dr[i]);
	}
	cpu->data_bps = data;
	cpu->io_bps = io;
	cpu->debug &= ~SOFT_DEBUG_EXEC;
	if (exec)
		cpu->debug |= SOFT_DEBUG_EXEC;
	cpu->access_checks &= ~SOFT_CHECK_DATA;
	if (data)
		cpu->access_checks |= SOFT_CHECK_DATA;
}

void
soft_debug_hit(struct soft_cpu *cpu, uint32_t dr6)
{
	cpu->debug_hits |= dr6;
	cpu->debug |= SOFT_DEBUG_PENDING;
}

void
soft_debug_forget(struct soft_cpu *cpu)
{
	cpu->debug_hits = 0;
	cpu->debug &= ~SOFT_DEBUG_PENDING;
}

/* RF in the saved flags: only for faults by no instruction breakpoint. */
static void
deliver(struct soft_cpu *cpu, uint32_t dr6)
{
	cpu->dr[6] |= dr6;
	cpu->run_state = VCPU_RUNNABLE;
	cpu->base_rip = cpu->rip;
	cpu->cur_off = 0;
	cpu->delivering = X86_EXC_DB;
	cpu->exc_set_rf = false;
	soft_deliver(cpu, X86_EXC_DB, SOFT_EV_EXC, false, 0);
	cpu->delivering = -1;
}

void
soft_debug_trap(struct soft_cpu *cpu)
{
	uint32_t hits = cpu->debug_hits;

	soft_debug_forget(cpu);
	deliver(cpu, hits);
}

bool
soft_debug_exec(struct soft_cpu *cpu)
{
	uint64_t lin = cpu->mode == 8
	    ? cpu->rip
	    : (uint32_t)(cpu->rip + cpu->seg[X86_CS].base);
	uint32_t hit = 0;

	if (cpu->rflags & X86_FL_RF)
		return false;
	for (unsigned i = 0; i < 4; i++)
		if ((cpu->dr[7] >> (2 * i) & 3) && bp_type(cpu, i) == BP_EXEC &&
		    cpu->dr[i] == lin)
			hit |= 1u << i;
	if (hit)
		deliver(cpu, hit);
	return hit != 0;
}

/*
 * The running instruction met a breakpoint. Inside a block it starts again,
 * alone; an event's own accesses cannot, and its handler is what is trapped.
 */
static void
met(struct soft_cpu *cpu, uint32_t hit)
{
	if (hit == 0)
		return;
	if (!cpu->in_event &&
	    !(atomic_load_explicit(&cpu->request, memory_order_relaxed) &
		SOFT_REQ_STEP)) {
		cpu->debug |= SOFT_DEBUG_ONCE;
		soft_restart(cpu);
	}
	soft_debug_hit(cpu, hit);
}

/* Natural alignment of an operand; images have that of their elements. */
static unsigned
alignment(unsigned size)
{
	unsigned low = size & -size;

	if (size == 10) /* an x87 register */
		return 8;
	return low < 8 ? low : 8;
}

void
soft_debug_access(struct soft_cpu *cpu, uint64_t lin, unsigned size, bool write)
{
	uint32_t hit = 0;

	if ((cpu->access_checks & SOFT_CHECK_ALIGN) &&
	    (lin & (alignment(size) - 1)))
		soft_raise_error(cpu, X86_EXC_AC, 0);
	for (unsigned i = 0; i < 4; i++)
		if ((cpu->data_bps >> i & 1) &&
		    (write || bp_type(cpu, i) == BP_ACCESS) &&
		    bp_meets(cpu, i, lin, size))
			hit |= 1u << i;
	met(cpu, hit);
}

bool
soft_debug_in_page(const struct soft_cpu *cpu, uint64_t lin)
{
	for (unsigned i = 0; i < 4; i++)
		if ((cpu->data_bps >> i & 1) && (cpu->dr[i] ^ lin) >> 12 == 0)
			return true;
	return false;
}

void
soft_debug_io(struct soft_cpu *cpu, uint16_t port, unsigned size)
{
	uint32_t hit = 0;

	for (unsigned i = 0; i < 4; i++)
		if ((cpu->io_bps >> i & 1) && bp_meets(cpu, i, port, size))
			hit |= 1u << i;
	met(cpu, hit);
}
