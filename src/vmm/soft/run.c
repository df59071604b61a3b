/*
 * The run loop: blocks, and between them events.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/soft/debug.h"
#include "vmm/soft/exec.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/insn.h"
#include "vmm/soft/run.h"
#include "vmm/soft/vm.h"

void
soft_raise_error(struct soft_cpu *cpu, unsigned vector, uint32_t error)
{
	/* EXT: no instruction asked for the event in progress. */
	if (cpu->in_event && vector >= X86_EXC_TS && vector <= X86_EXC_GP)
		error |= 1;
	cpu->exc_vector = (uint8_t)vector;
	cpu->exc_has_error = 1;
	cpu->exc_error = error;
	cpu->rip = soft_insn_rip(cpu);
	longjmp(cpu->fault, SOFT_LEAVE_RAISE);
}

void
soft_raise(struct soft_cpu *cpu, unsigned vector)
{
	cpu->exc_vector = (uint8_t)vector;
	cpu->exc_has_error = 0;
	cpu->exc_error = 0;
	cpu->rip = soft_insn_rip(cpu);
	longjmp(cpu->fault, SOFT_LEAVE_RAISE);
}

void
soft_restart(struct soft_cpu *cpu)
{
	cpu->rip = soft_insn_rip(cpu);
	longjmp(cpu->fault, SOFT_LEAVE_RESTART);
}

void
soft_fail(struct soft_cpu *cpu, const char *reason)
{
	snprintf(cpu->report.reason, sizeof(cpu->report.reason), "%s", reason);
	cpu->rip = soft_insn_rip(cpu);
	longjmp(cpu->fault, SOFT_LEAVE_FAIL);
}

/* ---- waiting ---- */

void
soft_request(struct soft_cpu *cpu, uint32_t bits)
{
	atomic_fetch_or(&cpu->request, bits);
	if (atomic_load(&cpu->sleeping))
		syscall(SYS_futex, &cpu->request, FUTEX_WAKE_PRIVATE, INT_MAX,
		    NULL, NULL, 0);
}

void
soft_cpu_wait(struct soft_cpu *cpu)
{
	soft_fp_sync(cpu);
	atomic_store(&cpu->sleeping, 1);
	if (syscall(SYS_futex, &cpu->request, FUTEX_WAIT_PRIVATE, 0, NULL, NULL,
		0) < 0 &&
	    errno == EINTR)
		atomic_fetch_or(&cpu->request, SOFT_REQ_KICK);
	atomic_store(&cpu->sleeping, 0);
}

/* ---- INIT and SIPI ---- */

static void
take_init(struct soft_cpu *cpu)
{
	soft_cpu_reset(cpu, true);
	lapic_reset(cpu->lapic, true);
	cpu->run_state = cpu->id == 0 ? VCPU_RUNNABLE : VCPU_INIT_RECEIVED;
}

static void
take_sipi(struct soft_cpu *cpu, unsigned vector)
{
	if (cpu->run_state != VCPU_INIT_RECEIVED)
		return;
	cpu->seg[X86_CS].sel = (uint16_t)(vector << 8);
	cpu->seg[X86_CS].base = (uint64_t)vector << 12;
	cpu->rip = 0;
	cpu->run_state = VCPU_RUNNABLE;
	soft_mode_changed(cpu);
}

/* ---- interrupts ---- */

/* Deliver what comes from outside; the next fault is not a double one. */
static void
deliver_external(struct soft_cpu *cpu, unsigned vector)
{
	cpu->run_state = VCPU_RUNNABLE;
	cpu->base_rip = cpu->rip;
	cpu->cur_off = 0;
	cpu->delivering = -1;
	cpu->exc_set_rf = false;
	/* Others may wait behind it. */
	cpu->irq_waiting = true;
	soft_deliver(cpu, vector, SOFT_EV_EXTERNAL, false, 0);
}

static bool
extint_ready(struct soft_cpu *cpu)
{
	return cpu->id == 0 &&
	    atomic_load_explicit(&cpu->vm->extint, memory_order_relaxed) &&
	    lapic_extint_enabled(cpu->lapic);
}

static void
interrupts(struct soft_cpu *cpu)
{
	const struct engine_client *c = cpu->vm->client;
	bool open = (cpu->rflags & X86_FL_IF) && !cpu->shadow &&
	    cpu->rip != cpu->sti_at;
	int vector;

	if (atomic_load_explicit(&cpu->nmi_pending, memory_order_relaxed) &&
	    !cpu->nmi_masked && !cpu->shadow) {
		atomic_store(&cpu->nmi_pending, 0);
		cpu->nmi_masked = 1;
		deliver_external(cpu, X86_EXC_NMI);
		return;
	}
	cpu->irq_waiting = false;
	if (lapic_pending(cpu->lapic) >= 0) {
		if (!open) {
			cpu->irq_waiting = true;
			return;
		}
		vector = lapic_ack(cpu->lapic);
		if (vector >= 0) {
			deliver_external(cpu, (unsigned)vector);
			return;
		}
	}
	if (extint_ready(cpu)) {
		if (!open) {
			cpu->irq_waiting = true;
			return;
		}
		soft_fp_sync(cpu);
		vector = c->extint_ack(cpu->vm->machine);
		if (vector >= 0)
			deliver_external(cpu, (unsigned)vector & 0xff);
	}
}

static void
inject(struct soft_cpu *cpu)
{
	cpu->inject.on = false;
	if (!cpu->inject.exception) {
		deliver_external(cpu, cpu->inject.vector);
		return;
	}
	cpu->base_rip = cpu->rip;
	cpu->cur_off = 0;
	cpu->delivering = -1;
	if (cpu->inject.has_error)
		soft_raise_error(cpu, cpu->inject.vector, cpu->inject.error);
	soft_raise(cpu, cpu->inject.vector);
}

void
soft_cpu_settle(struct soft_cpu *cpu)
{
	uint32_t sipi;

	if (atomic_exchange(&cpu->init_pending, 0))
		take_init(cpu);
	sipi = atomic_exchange(&cpu->sipi, 0);
	if (sipi)
		take_sipi(cpu, sipi & 0xff);
}

/* The dirty log has to see the next store to each page. */
static void
recall_writes(struct soft_cpu *cpu)
{
	uint64_t epoch = atomic_load(&cpu->vm->dirty_epoch);

	soft_tlb_protect_all(cpu);
	atomic_store(&cpu->dirty_epoch, epoch);
}

/* false: leave vcpu_run, cpu->exit is set. */
static bool
events(struct soft_cpu *cpu)
{
	uint32_t req = atomic_exchange(&cpu->request, 0);

	if (req & SOFT_REQ_STOP)
		soft_cpu_park(cpu);
	if (req & SOFT_REQ_CODE)
		soft_code_requests(cpu);
	if (req & SOFT_REQ_DIRTY)
		recall_writes(cpu);
	if (req & SOFT_REQ_TIMER)
		lapic_timer(cpu->lapic);
	if (req & SOFT_REQ_KICK) {
		/* what is left waits for the next run */
		atomic_fetch_or(&cpu->request, SOFT_REQ_EVENT);
		cpu->exit = ENGINE_EXIT_KICKED;
		return false;
	}
	soft_cpu_settle(cpu);
	if (unlikely(cpu->inject.on)) {
		inject(cpu);
		return true;
	}
	if (cpu->run_state == VCPU_RUNNABLE || cpu->run_state == VCPU_HALTED)
		interrupts(cpu);
	if (cpu->run_state != VCPU_RUNNABLE && atomic_load(&cpu->request) == 0)
		soft_cpu_wait(cpu);
	return true;
}

/* ---- one instruction ---- */

/* One instruction by itself. */
static void
single(struct soft_cpu *cpu)
{
	if ((cpu->debug & SOFT_DEBUG_EXEC) && !cpu->shadow &&
	    soft_debug_exec(cpu))
		return;
	cpu->debug &= ~SOFT_DEBUG_ONCE;
	cpu->shadow = 0;
	cpu->sti_at = ~UINT64_C(0);
	/* Those that load flags decide what they leave (SDM vol. 3, 18.3). */
	cpu->step_trap = cpu->rflags & X86_FL_TF;
	cpu->rflags &= ~(uint64_t)X86_FL_RF;
	cpu->exec->single(cpu);
	if (cpu->step_trap && !cpu->shadow)
		soft_debug_hit(cpu, SOFT_DR6_BS);
	cpu->step_trap = false;
}

/* ---- the loop ---- */

static enum engine_exit
loop(struct soft_cpu *cpu)
{
	for (;;) {
		/* before interrupts: table 6-2 of the manual */
		if (unlikely(cpu->debug & SOFT_DEBUG_PENDING) && !cpu->shadow)
			soft_debug_trap(cpu);
		if (unlikely(atomic_load_explicit(
				 &cpu->request, memory_order_relaxed) ||
			cpu->run_state != VCPU_RUNNABLE)) {
			if (!events(cpu))
				return cpu->exit;
			if (cpu->run_state != VCPU_RUNNABLE)
				continue;
		}
		if (unlikely(soft_needs_single(cpu))) {
			single(cpu);
			if (!cpu->step)
				continue;
			/* The caller has no place for a trap that waits. */
			if ((cpu->debug & SOFT_DEBUG_PENDING) && !cpu->shadow)
				soft_debug_trap(cpu);
			return ENGINE_EXIT_DEBUG;
		} else
			cpu->exec->run(cpu);
	}
}

/* Bytes at RIP for the report. */
static void
report_bytes(struct soft_cpu *cpu)
{
	struct soft_page pg;
	uint64_t lin;

	cpu->report.insn_len = 0;
	for (unsigned i = 0; i < sizeof(cpu->report.insn); i++) {
		lin = cpu->rip + i;
		if (cpu->mode != 8)
			lin = (uint32_t)(lin + cpu->seg[X86_CS].base);
		if (!soft_translate_quiet(cpu, lin, &pg))
			break;
		cpu->report.insn[i] = *pg.host;
		cpu->report.insn_len++;
	}
}

/*
 * A string instruction between two iterations, or one that starts again alone:
 * what was met so far is trapped now.
 */
static void
restarted(struct soft_cpu *cpu)
{
	if (cpu->step_trap)
		soft_debug_hit(cpu, SOFT_DR6_BS);
	/* A breakpoint at it was passed before (SDM vol. 3, 18.3.1.1). */
	if (cpu->debug & (SOFT_DEBUG_EXEC | SOFT_DEBUG_PENDING))
		cpu->rflags |= X86_FL_RF;
	cpu->step_trap = false;
}

static enum engine_exit
run(struct soft_cpu *cpu)
{
	int why = setjmp(cpu->fault);

	if (why != SOFT_LEAVE_NONE) {
		atomic_fetch_and(&cpu->request, ~(uint32_t)SOFT_REQ_STEP);
		if (!cpu->exec->left(cpu, (enum soft_leave)why))
			why = SOFT_LEAVE_FAIL;
	}
	switch (why) {
	case SOFT_LEAVE_RAISE:
		/* Faults in delivery see what was being delivered. */
		cpu->base_rip = cpu->rip;
		cpu->cur_off = 0;
		cpu->shadow = 0;
		cpu->step_trap = false;
		if (!cpu->in_event)
			soft_debug_forget(cpu);
		if (!soft_deliver_exception(cpu)) {
			snprintf(cpu->report.reason, sizeof(cpu->report.reason),
			    "triple fault, last vector %u", cpu->exc_vector);
			report_bytes(cpu);
			cpu->delivering = -1;
			cpu->in_event = false;
			return ENGINE_EXIT_TRIPLE_FAULT;
		}
		if (cpu->step)
			return ENGINE_EXIT_DEBUG;
		break;
	case SOFT_LEAVE_FAIL:
		report_bytes(cpu);
		cpu->delivering = -1;
		cpu->in_event = false;
		return ENGINE_EXIT_FAILED;
	case SOFT_LEAVE_RESTART:
		restarted(cpu);
		if (cpu->stepper != NULL)
			return ENGINE_EXIT_DEBUG;
		break;
	default:
		cpu->delivering = -1;
		break;
	}
	return loop(cpu);
}

enum engine_exit
soft_cpu_run(struct soft_cpu *cpu)
{
	enum engine_exit r;

	cpu->thread = pthread_self();
	soft_fp_enter_thread(cpu);
	atomic_store(&cpu->running, 1);
	r = run(cpu);
	soft_fp_sync(cpu);
	atomic_store(&cpu->running, 0);
	return r;
}
