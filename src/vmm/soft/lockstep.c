/*
 * Lock-step: units, and the search for the first difference in one.
 */
#include "vmm/soft/lockstep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/vm.h"

#define DMA_PATIENCE_MS 2000

/* ---- what ends a unit ---- */

enum { BOTH, ALONE, OBSERVER };

/*
 * ALONE: what they do can't be done twice, or gives something else each time.
 * OBSERVER: puts flags somewhere that may be undefined.
 */
static const uint8_t special[X86_MN_COUNT] = {
	[X86_MN_IN] = ALONE,
	[X86_MN_OUT] = ALONE,
	[X86_MN_INS] = ALONE,
	[X86_MN_OUTS] = ALONE,
	[X86_MN_HLT] = ALONE,
	[X86_MN_RDTSC] = ALONE,
	[X86_MN_RDTSCP] = ALONE,
	[X86_MN_RDPMC] = ALONE,
	[X86_MN_RDRAND] = ALONE,
	[X86_MN_RDSEED] = ALONE,
	[X86_MN_RDMSR] = ALONE,
	[X86_MN_WRMSR] = ALONE,
	[X86_MN_MOV_CR] = ALONE,
	[X86_MN_MOV_DR] = ALONE,
	[X86_MN_LMSW] = ALONE,
	[X86_MN_INVLPG] = ALONE,
	[X86_MN_INVPCID] = ALONE,
	[X86_MN_VMCALL] = ALONE,
	[X86_MN_VMMCALL] = ALONE,
	[X86_MN_PUSHF] = OBSERVER,
	[X86_MN_LAHF] = OBSERVER,
	[X86_MN_SYSCALL] = OBSERVER,
	[X86_MN_INT] = OBSERVER,
	[X86_MN_INT1] = OBSERVER,
	[X86_MN_INT3] = OBSERVER,
	[X86_MN_INTO] = OBSERVER,
};

static unsigned
ends_unit(const struct x86_insn *in)
{
	return special[in->row->mn];
}

/* ---- a unit ---- */

static void
begin(struct soft_lockstep *ls, int budget)
{
	struct soft_cpu *a = ls->a;

	soft_fp_sync(a);
	lockstep_copy_state(ls->start, a);
	lockstep_copy_state(ls->b, a);
	lockstep_mem_begin(ls);
	ls->insns0 = a->insns;
	ls->dma0 = atomic_load_explicit(&a->vm->dma, memory_order_relaxed);
	ls->watch.stopped = BOTH;
	ls->watch.budget = budget;
	ls->done = 0;
	ls->undefined = 0;
	ls->shadow_error = NULL;
	ls->flash = false;
	ls->active = true;
}

/* MMIO of the unit that begins; not when one is repeated. */
static void
begin_io(struct soft_lockstep *ls)
{
	ls->nio = ls->next_io = 0;
}

static struct lockstep_fault
fault_of(const struct soft_cpu *cpu, enum soft_leave why)
{
	return (struct lockstep_fault){
		.why = why,
		.vector = cpu->exc_vector,
		.has_error = cpu->exc_has_error,
		.error = cpu->exc_has_error ? cpu->exc_error : 0,
		.cr2 = cpu->cr2,
	};
}

/*
 * The shadow goes as far as the subject went: n instructions, and if that was
 * left by a fault or in the middle of a string instruction, on to there.
 */
static enum soft_leave
follow(struct soft_lockstep *ls, uint64_t n, enum soft_leave why)
{
	int own = setjmp(ls->b->fault);

	if (own != SOFT_LEAVE_NONE)
		return (enum soft_leave)own;
	for (; ls->done < n; ls->done++)
		lockstep_shadow_step(ls);
	if (why == SOFT_LEAVE_NONE)
		return SOFT_LEAVE_NONE;
	for (; ls->done < n + SOFT_BLOCK_INSNS; ls->done++) {
		if (why == SOFT_LEAVE_RESTART && ls->b->rip == ls->a->rip) {
			lockstep_shadow_repeat(ls, ls->a->gpr[X86_RCX]);
			return SOFT_LEAVE_RESTART;
		}
		lockstep_shadow_step(ls);
	}
	return SOFT_LEAVE_NONE;
}

/* NULL: subject and shadow agree. */
static const char *
check(struct soft_lockstep *ls, enum soft_leave why, struct lockstep_fault *fa,
    struct lockstep_fault *fb)
{
	enum soft_leave own;

	soft_fp_sync(ls->a);
	*fa = fault_of(ls->a, why);
	ls->active = false;
	if (ls->crowded || ls->flash)
		return NULL;
	own = follow(ls, ls->a->insns - ls->insns0, why);
	soft_fp_sync(ls->b);
	*fb = fault_of(ls->b, own);
	return lockstep_compare(ls, fa, fb);
}

/* ---- the first difference ---- */

/* A block or an instruction of a unit that is repeated. */
static enum soft_leave
run_again(struct soft_lockstep *ls, bool block)
{
	struct soft_cpu *a = ls->a;
	uint64_t insns = a->insns;
	int why = setjmp(a->fault);

	if (why != SOFT_LEAVE_NONE)
		return (enum soft_leave)why;
	if (block)
		ls->subject->run(a);
	if (a->insns == insns)
		ls->subject->single(a);
	return SOFT_LEAVE_NONE;
}

/*
 * Repeat the unit that began with 'start' block by block, or instruction by
 * instruction, until something differs, and return what; the unit is then that
 * block or instruction. Guest memory is as it was before the unit.
 */
static const char *
repeat(struct soft_lockstep *ls, const struct soft_cpu *start, uint64_t insns,
    bool blocks, struct lockstep_fault *fa, struct lockstep_fault *fb)
{
	struct soft_cpu *a = ls->a;
	enum soft_leave why = SOFT_LEAVE_NONE;
	const char *what = NULL;
	uint64_t last = a->insns + insns;

	lockstep_copy_state(a, start);
	ls->next_io = ls->next_again = 0;
	ls->again = true;
	while (what == NULL && why == SOFT_LEAVE_NONE && a->insns < last) {
		begin(ls, 1);
		why = run_again(ls, blocks);
		atomic_store(&a->request, 0);
		what = check(ls, why, fa, fb);
	}
	ls->again = false;
	return what;
}

/* Find out where in the unit it begins. The guest does not go on after this. */
static void
narrow(struct soft_lockstep *ls, const char *what, struct lockstep_fault *fa,
    struct lockstep_fault *fb)
{
	struct soft_cpu *a = ls->a, *start;
	struct lockstep_fault f[2];
	uint64_t insns = ls->done + (fa->why != SOFT_LEAVE_NONE);
	const char *w;
	jmp_buf kept;

	ls->failed = true;
	start = malloc(sizeof(*start));
	if (start == NULL) {
		lockstep_report(ls, what, "", fa, fb);
		return;
	}
	*start = *ls->start;
	memcpy(kept, a->fault, sizeof(kept));
	lockstep_report(ls, what, " (whole unit)", fa, fb);
	lockstep_mem_rollback(ls);
	w = repeat(ls, start, insns, true, &f[0], &f[1]);
	if (w == NULL) {
		log_err("lockstep",
		    "block by block there is no difference: links, or what "
		    "the unit began with");
	} else {
		lockstep_report(ls, w, " (a block)", &f[0], &f[1]);
		*start = *ls->start;
		insns = ls->done + (f[0].why != SOFT_LEAVE_NONE);
		lockstep_mem_rollback(ls);
		w = repeat(ls, start, insns, false, &f[0], &f[1]);
		if (w != NULL)
			lockstep_report(
			    ls, w, " (one instruction)", &f[0], &f[1]);
		else
			log_err("lockstep",
			    "its instructions by themselves do not differ: a "
			    "fused operation, or a stale block");
	}
	memcpy(a->fault, kept, sizeof(kept));
	/* What is shown of the vCPU is how it was before. */
	lockstep_copy_state(a, ls->start);
	free(start);
}

/* false: a difference was reported. */
static bool
end(struct soft_lockstep *ls, enum soft_leave why)
{
	struct soft_cpu *a = ls->a;
	struct lockstep_fault fa, fb;
	const char *what = check(ls, why, &fa, &fb);

	ls->stats.units++;
	ls->stats.faults += why == SOFT_LEAVE_RAISE;
	if (ls->crowded) {
		ls->stats.crowded++;
		return true;
	}
	if (ls->flash) {
		ls->stats.dma++;
		return true;
	}
	if (what == NULL) {
		ls->stats.insns += ls->done;
		return true;
	}
	/* DMA is told of after the fact, by a thread that may have to wait. */
	for (unsigned ms = 0; ms < DMA_PATIENCE_MS; ms++) {
		if (atomic_load(&a->vm->dma) != ls->dma0) {
			ls->stats.dma++;
			return true;
		}
		usleep(1000);
	}
	narrow(ls, what, &fa, &fb);
	return false;
}

/* ---- the executor ---- */

/* The report is made. */
static _Noreturn void
give_up(struct soft_lockstep *ls)
{
	longjmp(ls->a->fault, SOFT_LEAVE_FAIL);
}

static void
checked_single(struct soft_lockstep *ls)
{
	begin(ls, 0);
	begin_io(ls);
	ls->subject->single(ls->a);
	if (!end(ls, SOFT_LEAVE_NONE))
		give_up(ls);
}

/* The instruction that a unit ended before. */
static void
stopped(struct soft_lockstep *ls)
{
	if (ls->watch.stopped == OBSERVER) {
		checked_single(ls);
		return;
	}
	ls->stats.alone++;
	ls->subject->single(ls->a);
}

static void
run(struct soft_cpu *a)
{
	struct soft_lockstep *ls = a->ls;

	lockstep_shadow_enter(ls);
	if (ls->failed)
		give_up(ls);
	do {
		begin(ls, LOCKSTEP_BLOCKS);
		begin_io(ls);
		ls->subject->run(a);
		atomic_fetch_and(&a->request, ~(uint32_t)SOFT_REQ_WATCH);
		if (!end(ls, SOFT_LEAVE_NONE))
			give_up(ls);
		if (ls->watch.stopped != BOTH && !soft_must_leave(a))
			stopped(ls);
	} while (!soft_must_leave(a));
}

static void
single(struct soft_cpu *a)
{
	a->ls->stats.alone++;
	a->ls->subject->single(a);
}

static bool
left(struct soft_cpu *a, enum soft_leave why)
{
	struct soft_lockstep *ls = a->ls;

	atomic_fetch_and(&a->request, ~(uint32_t)SOFT_REQ_WATCH);
	ls->subject->left(a, why);
	return !ls->active || end(ls, why);
}

static struct soft_block *
prepare(struct soft_cpu *a, uint64_t pa, const uint8_t *code, unsigned len)
{
	return a->ls->subject->prepare(a, pa, code, len);
}

static void
stale(struct soft_cpu *a, struct soft_block *b)
{
	a->ls->subject->stale(a, b);
}

static void
flushed(struct soft_cpu *a)
{
	a->ls->subject->flushed(a);
}

static void
destroy(struct soft_cpu *a)
{
	struct soft_lockstep *ls = a->ls;

	if (ls == NULL)
		return;
	log_info("lockstep",
	    "vCPU %u: %" PRIu64 " instructions in %" PRIu64
	    " units compared, %" PRIu64 " by the host, %" PRIu64
	    " by functions, %" PRIu64 " by handlers; %" PRIu64
	    " faults, %" PRIu64 " device accesses; not compared: %" PRIu64
	    " instructions, %" PRIu64 " units with DMA or flash, %" PRIu64
	    " that wrote too much",
	    a->id, ls->stats.insns, ls->stats.units, ls->stats.host,
	    ls->stats.function, ls->stats.handler, ls->stats.faults,
	    ls->stats.mmio, ls->stats.alone, ls->stats.dma, ls->stats.crowded);
	ls->subject->destroy(a);
	a->ls = NULL;
	a->watch = NULL;
	lockstep_shadow_destroy(ls);
	lockstep_mem_destroy(ls);
	free(ls->start);
	munmap(ls, sizeof(*ls));
}

static int
create(struct soft_cpu *a)
{
	struct soft_lockstep *ls = mmap(NULL, sizeof(*ls),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ls == MAP_FAILED)
		return -ENOMEM;
	a->ls = ls;
	ls->a = a;
	ls->subject = &soft_exec_threaded;
	ls->watch.stop = ends_unit;
	a->watch = &ls->watch;
	ls->start = calloc(1, sizeof(*ls->start));
	if (ls->subject->create(a) < 0 || ls->start == NULL ||
	    lockstep_mem_create(ls) < 0 || lockstep_shadow_create(ls) == NULL)
		return -ENOMEM; /* destroy() follows */
	return 0;
}

void
soft_lockstep_set_subject(
    struct soft_cpu *cpu, const struct soft_executor *subject)
{
	cpu->ls->subject = subject;
}

const struct lockstep_stats *
soft_lockstep_stats(const struct soft_cpu *cpu)
{
	return &cpu->ls->stats;
}

const struct soft_executor soft_exec_lockstep = {
	.name = "lockstep",
	.create = create,
	.destroy = destroy,
	.prepare = prepare,
	.run = run,
	.single = single,
	.stale = stale,
	.flushed = flushed,
	.left = left,
};
