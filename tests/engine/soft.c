/*
 * The software engine as an executor: one vCPU at CPL 3 in 64-bit mode behind
 * page tables of its own, stepped past the run loop so that faults are seen
 * and not delivered.
 */
#include "soft.h"

#include <cpuid.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "vmm/engine.h"
#include "vmm/soft/exec.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/mmu.h"
#include "vmm/soft/vm.h"
#include "void.h"

#define RAM_SIZE (16u << 20)
#define PA_PML4 0x100000u
#define PA_PDPT 0x101000u
#define PA_PD 0x102000u
#define PA_PT_CODE 0x103000u
#define PA_PT_DATA 0x104000u
#define PA_CODE 0x200000u
#define PA_DATA 0x300000u

#define PTE_P 1u
#define PTE_RW 2u
#define PTE_US 4u
#define PTE_AD 0x60u
#define PTE_TABLE (PTE_P | PTE_RW | PTE_US | PTE_AD)
#define PTE_NX (UINT64_C(1) << 63)

/* Descriptor attributes of user code */
#define CODE64_ATTR 0xa0fb
#define CODE32_ATTR 0xc0fb

static struct soft_cpu *cpu;
static uint8_t *ram;
static struct engine_vm *vm;
static struct engine_vcpu *vcpu;
static struct vm_mem *mem;

static void
no_write(void *m, uint16_t port, unsigned width, uint32_t value)
{
}

static const struct engine_client client = VOID_CLIENT(no_write);

static void
put64(uint64_t pa, uint64_t v)
{
	memcpy(ram + pa, &v, sizeof(v));
}

static void
make_tables(void)
{
	put64(PA_PML4, PA_PDPT | PTE_TABLE);
	put64(PA_PDPT, PA_PD | PTE_TABLE);
	put64(PA_PD + 8 * (CODE_ADDR >> 21), PA_PT_CODE | PTE_TABLE);
	put64(PA_PD + 8 * (DATA_ADDR >> 21), PA_PT_DATA | PTE_TABLE);
	for (unsigned i = 0; i < CODE_SIZE / PAGE; i++)
		put64(PA_PT_CODE + 8 * i, (PA_CODE + i * PAGE) | PTE_TABLE);
	for (unsigned i = 0; i < DATA_SIZE / PAGE; i++)
		put64(PA_PT_DATA + 8 * i,
		    (PA_DATA + i * PAGE) | PTE_P | PTE_US | PTE_AD | PTE_NX |
			(i < DATA_RW / PAGE ? PTE_RW : 0));
}

/*
 * All that the host has of what the opcode table knows, whatever the engine
 * offers to guests.
 */
static void
host_features(struct cpuid_table *t)
{
	uint32_t r[4];

	for (size_t i = 0; i < t->count; i++) {
		struct cpuid_leaf *l = &t->row[i];

		if (l->leaf == 1) {
			__cpuid(1, r[0], r[1], r[2], r[3]);
			l->ecx |= r[2] & ~(1u << 3);
			l->edx |= r[3];
		} else if (l->leaf == 7) {
			__cpuid_count(7, 0, r[0], r[1], r[2], r[3]);
			l->ebx |= r[1];
			l->ecx |= r[2] & (1u << 22);
		} else if (l->leaf == 0x80000001) {
			__cpuid(0x80000001, r[0], r[1], r[2], r[3]);
			l->ecx |= r[2] & (1u << 5);
		}
	}
}

static void
user_mode(struct vcpu_state *st)
{
	const uint32_t data = 0xc0f3, code = CODE64_ATTR;

	vcpu_state_flat64(st, PA_PML4);
	for (unsigned i = 0; i < X86_SEG_COUNT; i++) {
		st->seg[i].sel = 0x2b;
		st->seg[i].attr = i == X86_CS ? code : data;
	}
	st->seg[X86_CS].sel = 0x33;
	st->seg[X86_GS].base = GS_BASE;
	st->tr.limit = 0x3f; /* no I/O bitmap */
	st->cr0 = 0x80050033;
	st->cr4 |=
	    X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE;
	st->efer |= X86_EFER_NX | X86_EFER_SCE;
	st->xcr0 = 7;
	st->rflags = 0x202;
}

int
soft_test_init(void)
{
	static struct vcpu_state st;
	static struct cpuid_table tab, supported;
	struct vm_mem_config mc = { .size = RAM_SIZE };
	struct engine_vm_config vc = { .client = &client, .max_vcpus = 1 };
	struct engine_vcpu_config cc = { .cpuid = &tab };
	struct cpu_topology topo = { 1, 1, 1, 1 };
	struct error err = ERROR_INIT;
	uint64_t hz;

	if (vm_mem_create(&mc, &mem, &err) < 0 ||
	    engine_soft.cpuid_supported(&supported, &hz, &err) < 0 ||
	    cpuid_make(&supported, &topo, 0, hz, &tab, &err) < 0)
		return -err.code;
	vc.mem = mem;
	if (engine_soft.vm_create(&vc, &vm, &err) < 0)
		return -err.code;
	host_features(&tab);
	ram = vm_mem_ram(mem, GPA(0), RAM_SIZE);
	make_tables();
	if (engine_soft.vcpu_create(vm, &cc, &vcpu, &err) < 0)
		return -err.code;
	user_mode(&st);
	if (engine_soft.vcpu_set(vcpu, &st) < 0)
		return -EINVAL;
	cpu = &vcpu->cpu;
	soft_fp_enter_thread(cpu);
	return 0;
}

void
soft_test_destroy(void)
{
	engine_soft.vcpu_destroy(vcpu);
	engine_soft.vm_destroy(vm);
	vm_mem_destroy(mem);
}

uint8_t *
soft_test_code(void)
{
	return ram + PA_CODE;
}

uint8_t *
soft_test_data(void)
{
	return ram + PA_DATA;
}

static unsigned watch_seen;

/* As the run loop does for one instruction. */
static void
step(void)
{
	cpu->shadow = 0;
	cpu->sti_at = ~UINT64_C(0);
	cpu->exec->single(cpu);
}

/* A block ends after its first instruction, and nothing runs from there on. */
static unsigned
after_first(const struct x86_insn *in)
{
	return watch_seen++ != 0;
}

/* The same by a block, if one can be made and the next is where it ends. */
static bool
step_block(void)
{
	static struct soft_watch watch = { .stop = after_first };
	const uint8_t *p = ram + PA_CODE + (cpu->rip - CODE_ADDR);
	struct x86_insn in;

	if (x86_decode(&in, p, X86_MAX_INSN, cpu->mode) <= 0 ||
	    (cpu->rip & 0xfff) + in.len > 4096 ||
	    (in.row->attr & (X86_A_BR | X86_A_STOP | X86_A_STR)))
		return false;
	/* the case was put there past the engine */
	soft_code_written(cpu, PA_CODE + (cpu->rip - CODE_ADDR), X86_MAX_INSN);
	watch_seen = 0;
	watch.stopped = 0;
	watch.budget = INT_MAX;
	cpu->watch = &watch;
	cpu->shadow = 0;
	cpu->sti_at = ~UINT64_C(0);
	atomic_store(&cpu->request, 0);
	cpu->exec->run(cpu);
	cpu->watch = NULL;
	return true;
}

static void
set_mode(unsigned mode)
{
	if (cpu->mode == mode)
		return;
	cpu->seg[X86_CS].attr = mode == 8 ? CODE64_ATTR : CODE32_ATTR;
	soft_mode_changed(cpu);
}

void
soft_test_run(struct regs *r, unsigned mode, bool fp, struct fault *f)
{
	static unsigned turn;
	int why;

	set_mode(mode);

	memcpy(cpu->gpr, r->gpr, sizeof(r->gpr));
	cpu->rip = r->rip;
	soft_set_rflags(cpu, r->rflags);
	if (fp)
		memcpy(cpu->xsave, r->xsave, XSAVE_SIZE);
	/* Half of the cases find everything in place. */
	if (fp && (r->gpr[0] & 1) != 0)
		soft_fp_make_live(cpu, SOFT_FP_LIVE);
	*f = (struct fault){ .vector = -1 };
	why = setjmp(cpu->fault);
	if (why != SOFT_LEAVE_NONE)
		cpu->exec->left(cpu, (enum soft_leave)why);
	cpu->watch = NULL;
	if (why == SOFT_LEAVE_NONE || why == SOFT_LEAVE_RESTART) {
		/* every other case as a block */
		if (turn++ % 2 == 0 || !step_block())
			step();
	} else {
		f->vector = why == SOFT_LEAVE_RAISE ? cpu->exc_vector : 1000;
		f->error = cpu->exc_has_error ? cpu->exc_error : 0;
		f->cr2 = cpu->cr2;
	}
	atomic_store(&cpu->request, 0);
	soft_fp_sync(cpu);
	memcpy(r->gpr, cpu->gpr, sizeof(r->gpr));
	r->rip = cpu->rip;
	r->rflags = soft_rflags(cpu);
	if (fp)
		memcpy(r->xsave, cpu->xsave, XSAVE_SIZE);
}

void
soft_test_set_code(uint64_t rip, const uint8_t *p, unsigned n)
{
	memcpy(ram + PA_CODE + (rip - CODE_ADDR), p, n);
	soft_code_written(cpu, PA_CODE + (rip - CODE_ADDR), n);
}

void
soft_test_run_blocks(struct regs *r, struct fault *f)
{
	int why;

	set_mode(8);
	memcpy(cpu->gpr, r->gpr, sizeof(r->gpr));
	cpu->rip = r->rip;
	soft_set_rflags(cpu, r->rflags);
	memcpy(cpu->xsave, r->xsave, XSAVE_SIZE);
	atomic_store(&cpu->request, 0);
	why = setjmp(cpu->fault);
	if (why != SOFT_LEAVE_NONE)
		cpu->exec->left(cpu, (enum soft_leave)why);
	while (why == SOFT_LEAVE_NONE || why == SOFT_LEAVE_RESTART) {
		cpu->exec->run(cpu);
		cpu->shadow = 0;
		cpu->sti_at = ~UINT64_C(0);
		atomic_store(&cpu->request, 0);
	}
	f->vector = why == SOFT_LEAVE_RAISE ? cpu->exc_vector : 1000;
	f->error = cpu->exc_has_error ? cpu->exc_error : 0;
	f->cr2 = cpu->cr2;
	soft_fp_sync(cpu);
	memcpy(r->gpr, cpu->gpr, sizeof(r->gpr));
	r->rip = cpu->rip;
	r->rflags = soft_rflags(cpu);
	memcpy(r->xsave, cpu->xsave, XSAVE_SIZE);
}

void
soft_test_set_control(uint64_t cr0, uint64_t cr4, uint64_t xcr0)
{
	cpu->cr0 = cr0;
	cpu->cr4 = cr4;
	cpu->xcr0 = xcr0;
	soft_fp_recheck(cpu);
	soft_mode_changed(cpu);
}
