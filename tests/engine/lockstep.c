/*
 * Lock-step finds what it is for: executors with a planted bug each, under a
 * guest that would not notice.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "tap.h"
#include "vmm/soft/chain.h"
#include "vmm/soft/lockstep.h"
#include "vmm/soft/ops.h"
#include "vmm/soft/vm.h"
#include "void.h"

#define RAM (8u << 20)
#define PML4 0x100000u
#define PDPT 0x101000u
#define PD 0x102000u
#define CODE 0x200000u
#define DATA 0x300000u
#define STACK 0x400000u
#define ROUNDS 30000u

extern const uint8_t guest[], guest_end[], at_imul[], at_and[], at_store[],
    at_nop[], at_cmp[], at_div[], at_dec[], guest_smc[], at_patched[];

/* One page; the port ends it. */
__asm__(".balign 64\n"
	"guest:\n"
	"	movl $30000, %ecx\n"
	"	movl $0x300000, %edi\n"
	"1:\n"
	"at_imul: imulq %rbx, %rax\n"
	"at_and: andq %rax, %rdx\n"
	"at_store: movq %rax, (%rdi)\n"
	"at_nop: nop\n"
	"	pushq %rax\n"
	"	popq %rsi\n"
	"	addq $12346, %rbx\n"
	"	addsd %xmm1, %xmm0\n"
	"	fldpi\n"
	"	fstpl 8(%rdi)\n"
	"	movl $1000, %eax\n"
	"	xorl %edx, %edx\n"
	"	movl $7, %r9d\n"
	"at_div: divl %r9d\n"
	"	movq %rsi, %rax\n"
	"at_cmp: cmpq %rbx, %rsi\n"
	"	jb 2f\n"
	"	incq %r8\n"
	"2:\n"
	"at_dec: decl %ecx\n"
	"	jnz 1b\n"
	"	outb %al, $0x10\n"
	".balign 64\n"
	"guest_smc:\n"
	"	movl $3000, %r9d\n"
	"3:	movl %r9d, at_patched + 1(%rip)\n"
	"	jmp at_patched\n"
	".balign 64\n"
	"at_patched: movl $0, %eax\n"
	"	addl %eax, %r10d\n"
	"	decl %r9d\n"
	"	jnz 3b\n"
	"	outb %al, $0x10\n"
	"guest_end:\n");

static struct vm_mem *mem;
static struct engine_vm *vm;
static struct engine_vcpu *vcpu;
static uint8_t *ram;
static int log_fd;

/* ---- the machine ---- */

static void
stop(void *m, uint16_t port, unsigned width, uint32_t value)
{
	engine_soft.vcpu_kick(vcpu);
}

static const struct engine_client client = VOID_CLIENT(stop);

static void
put64(uint64_t pa, uint64_t v)
{
	memcpy(ram + pa, &v, sizeof(v));
}

static uint64_t
address(const uint8_t *label)
{
	return CODE + (uint64_t)(label - guest);
}

static void
create(const uint8_t *entry)
{
	static struct vcpu_state st;
	static struct cpuid_table tab, supported;
	struct vm_mem_config mc = { .size = RAM };
	struct engine_vm_config vc = {
		.client = &client, .max_vcpus = 1, .lockstep = true
	};
	struct engine_vcpu_config cc = { .cpuid = &tab };
	struct cpu_topology topo = { 1, 1, 1, 1 };
	struct error err = ERROR_INIT;
	uint64_t hz;

	tap_check_int(vm_mem_create(&mc, &mem, &err), 0);
	vc.mem = mem;
	tap_check_int(engine_soft.cpuid_supported(&supported, &hz, &err), 0);
	tap_check_int(cpuid_make(&supported, &topo, 0, hz, &tab, &err), 0);
	tap_check_int(engine_soft.vm_create(&vc, &vm, &err), 0);
	ram = vm_mem_ram(mem, GPA(0), RAM);
	put64(PML4, PDPT | 0x27);
	put64(PDPT, PD | 0x27);
	for (unsigned i = 0; i < RAM >> 21; i++)
		put64(PD + 8 * i, (uint64_t)i << 21 | 0xe7);
	memcpy(ram + CODE, guest, (size_t)(guest_end - guest));
	tap_check_int(engine_soft.vcpu_create(vm, &cc, &vcpu, &err), 0);
	vcpu_state_flat64(&st, PML4);
	st.cr4 |= X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	st.rip = address(entry);
	st.gpr[X86_RSP] = STACK;
	st.gpr[X86_RAX] = 0x123456789abcdef1;
	st.gpr[X86_RBX] = 0xfedcba9876543211;
	st.gpr[X86_RDX] = UINT64_MAX;
	tap_check_int(engine_soft.vcpu_set(vcpu, &st), 0);
	log_fd = memfd_create("log", MFD_CLOEXEC);
	log_setup(log_fd, LOG_HUMAN, LOG_INFO);
}

static void
destroy(void)
{
	engine_soft.vcpu_destroy(vcpu);
	engine_soft.vm_destroy(vm);
	vm_mem_destroy(mem);
	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_INFO);
	close(log_fd);
}

/* ---- planted bugs ---- */

static const uint8_t *where; /* label of the instruction */
static soft_fn *handler; /* in its place */
static void (*spoil)(struct soft_cpu *cpu); /* after it ran by itself */

static struct soft_block *
bad_prepare(
    struct soft_cpu *cpu, uint64_t pa, const uint8_t *code, unsigned left)
{
	struct soft_block *b = soft_exec_threaded.prepare(cpu, pa, code, left);
	bool bad = false;

	for (unsigned i = 0; b != NULL && handler != NULL && i < b->nops; i++)
		if (b->ops[i].len != 0 &&
		    pa + b->ops[i].off == address(where)) {
			b->ops[i].fn = handler;
			bad = true;
		}
	if (bad)
		soft_chain_break(cpu, b);
	return b;
}

static void
bad_single(struct soft_cpu *cpu)
{
	bool here = spoil != NULL && cpu->rip == address(where);

	soft_exec_threaded.single(cpu);
	if (here)
		spoil(cpu);
}

static void
deaf(struct soft_cpu *cpu, struct soft_block *b)
{
}

/* The guest runs to its end, or until a report. */
static enum engine_exit
run(const struct soft_executor *subject, struct engine_report *rep)
{
	enum engine_exit r;

	soft_lockstep_set_subject(&vcpu->cpu, subject);
	r = engine_soft.vcpu_run(vcpu);
	engine_soft.vcpu_report(vcpu, rep);
	return r;
}

static enum engine_exit
run_bad(const uint8_t *label, soft_fn *fn, void (*fix)(struct soft_cpu *),
    struct engine_report *rep)
{
	static struct soft_executor bad;

	bad = soft_exec_threaded;
	bad.prepare = bad_prepare;
	bad.single = bad_single;
	where = label;
	handler = fn;
	spoil = fix;
	create(guest);
	return run(&bad, rep);
}

static void
check_text(const char *text, const char *want)
{
	if (strstr(text, want) == NULL)
		tap_fail("no \"%s\" in: %s", want, text);
}

static void
check_log(const char *want)
{
	static char text[1 << 16];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	tap_check(n > 0);
	text[n] = '\0';
	check_text(text, want);
}

/* ---- no bug ---- */

static void
agrees(void)
{
	const struct lockstep_stats *s;
	struct engine_report rep;

	create(guest);
	tap_check_int(run(&soft_exec_threaded, &rep), ENGINE_EXIT_KICKED);
	s = soft_lockstep_stats(&vcpu->cpu);
	tap_check(s->insns > ROUNDS * 18);
	tap_check_int((int)(s->insns - s->host - s->function - s->handler), 0);
	tap_check(s->host > ROUNDS * 11);
	tap_check(s->handler >= ROUNDS * 3); /* FP */
	tap_check_int((int)s->alone, 1); /* OUT */
	tap_check(s->units > 50);
	destroy();
}

static void
agrees_on_new_code(void)
{
	struct engine_report rep;

	create(guest_smc);
	tap_check_int(run(&soft_exec_threaded, &rep), ENGINE_EXIT_KICKED);
	/* 3000 + 2999 + ... + 1 */
	tap_check_int((int)vcpu->cpu.gpr[X86_R10], 3000 * 3001 / 2);
	destroy();
}

/* ---- results ---- */

OP(wrong_imul)
{
	R64(op->dst) = R64(op->dst) * R64(op->src) + 2;
	NEXT(op + 1);
}

static void
spoil_rax(struct soft_cpu *cpu)
{
	cpu->gpr[X86_RAX] += 2;
}

static void
wrong_register(void)
{
	struct engine_report rep;

	tap_check_int(
	    run_bad(at_imul, wrong_imul, spoil_rax, &rep), ENGINE_EXIT_FAILED);
	check_text(
	    rep.reason, "difference in RAX, 1 instructions from 0x20000a");
	check_log("imul rax,rbx");
	check_log("RAX differs");
	check_log("(one instruction)");
	/* What the vCPU shows is the state before it. */
	tap_check_int((int)vcpu->cpu.rip, (int)address(at_imul));
	tap_check_int(memcmp(rep.insn, at_imul, 4), 0);
	/* It stays so. */
	tap_check_int(engine_soft.vcpu_run(vcpu), ENGINE_EXIT_FAILED);
	destroy();
}

/* DEC leaves CF alone. */
OP(wrong_flag)
{
	SET32(op->dst, R32(op->dst) - 1);
	ALU_CMP("cmp", 32, R32(op->dst), 0u);
	cpu->fl |= FL_CF;
	NEXT(op + 1);
}

static void
wrong_flags(void)
{
	struct engine_report rep;

	tap_check_int(
	    run_bad(at_dec, wrong_flag, NULL, &rep), ENGINE_EXIT_FAILED);
	check_text(rep.reason, "difference in flags, ");
	check_log("dec ecx");
	destroy();
}

OP(undefined_flag)
{
	R64(op->dst) &= R64(op->src);
	cpu->fl = (R64(op->dst) == 0 ? FL_ZF : 0) |
	    (R64(op->dst) >> 63 ? FL_SF : 0) | FL_AF;
	if (!__builtin_parity((uint8_t)R64(op->dst)))
		cpu->fl |= FL_PF;
	NEXT(op + 1);
}

/* AF after AND */
static void
undefined_flags_pass(void)
{
	struct engine_report rep;

	tap_check_int(
	    run_bad(at_and, undefined_flag, NULL, &rep), ENGINE_EXIT_KICKED);
	destroy();
}

/* ---- memory ---- */

OP(no_store)
{
	NEXT(op + 1);
}

static void
missing_store(void)
{
	struct engine_report rep;

	tap_check_int(
	    run_bad(at_store, no_store, NULL, &rep), ENGINE_EXIT_FAILED);
	check_text(rep.reason, "difference in memory, ");
	check_log("memory differs at physical 0x300000");
	check_log("its instructions by themselves do not differ");
	destroy();
}

OP(more_store)
{
	soft_write32(cpu, DATA + 0x2ffc, 0xbad);
	NEXT(op + 1);
}

static void
extra_store(void)
{
	struct engine_report rep;

	tap_check_int(
	    run_bad(at_nop, more_store, NULL, &rep), ENGINE_EXIT_FAILED);
	check_text(rep.reason, "difference in memory, ");
	check_log("memory differs at physical 0x302ffc");
	destroy();
}

/* ---- control ---- */

/* The comparison is right, the branch behind it never taken. */
OP(never_taken)
{
	ALU_CMP("cmp", 64, R64(op->dst), R64(op->src));
	NEXT(op + 2);
}

static void
wrong_pair(void)
{
	struct engine_report rep;

	tap_check_int(
	    run_bad(at_cmp, never_taken, NULL, &rep), ENGINE_EXIT_FAILED);
	check_log("cmp rsi,rbx");
	check_log("its instructions by themselves do not differ");
	destroy();
}

OP(raises)
{
	cpu->cur_off = op->off;
	soft_raise(cpu, X86_EXC_DE);
}

static void
wrong_fault(void)
{
	struct engine_report rep;

	tap_check_int(run_bad(at_div, raises, NULL, &rep), ENGINE_EXIT_FAILED);
	check_log("fault of subject: exception, vector 0");
	check_log("fault of shadow: none");
	destroy();
}

/* Blocks go on after their code was changed, by the links to them. */
static void
stale_block(void)
{
	struct soft_executor bad = soft_exec_threaded;
	struct engine_report rep;

	bad.stale = deaf;
	create(guest_smc);
	tap_check_int(run(&bad, &rep), ENGINE_EXIT_FAILED);
	check_log("difference: ");
	check_log("block by block there is no difference: links");
	destroy();
}

static const struct tap_test tests[] = {
	TAP_TEST(agrees),
	TAP_TEST(agrees_on_new_code),
	TAP_TEST(wrong_register),
	TAP_TEST(wrong_flags),
	TAP_TEST(undefined_flags_pass),
	TAP_TEST(missing_store),
	TAP_TEST(extra_store),
	TAP_TEST(wrong_pair),
	TAP_TEST(wrong_fault),
	TAP_TEST(stale_block),
};
TAP_MAIN(tests)
