/*
 * Differential tests of blocks: a few random instructions in a row, natively
 * and as a block of the engine. This covers what single instructions do not:
 * operations that stand for two instructions, RIP of faults in the middle, FP
 * state that is live from one instruction to the next, new code in place of
 * old.
 *
 * HLT ends a sequence: it faults at CPL 3. The code page is full of it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gen.h"
#include "native.h"
#include "soft.h"
#include "vmm/x86/disasm.h"
#include "vmm/x86/match.h"

#define STEPS_MAX 8
#define BYTES_MAX (15 * (STEPS_MAX + 1))
#define HLT 0xf4
#define REPORTS 12

struct sequence {
	struct regs before;
	uint8_t code[BYTES_MAX];
	unsigned len;
	uint32_t undefined; /* flags, at any time in it */
};

struct shared {
	uint64_t runs, ends, failures, turn;
	struct sequence seq;
	bool finished;
};

static struct shared *sh;
static uint16_t pool[2048]; /* rows that may be in a sequence */
static unsigned npool, nsimple; /* the first are is_simple() */
static uint16_t fp_pool[2048]; /* of them, FP and SIMD */
static unsigned nfp;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool
eligible(const struct x86_row *row)
{
	const uint32_t no = X86_A_BR | X86_A_STOP | X86_A_IO | X86_A_STR |
	    X86_A_UD | X86_A_FPSTATE | X86_A_GATHER | X86_A_MASKMOV |
	    X86_A_CRDR | X86_A_BITSTR;

	if (gen_excluded(row) != NULL || (row->attr & no) != 0 ||
	    row->mode == X86_MODE_I64)
		return false;
	switch ((int)row->mn) {
	case X86_MN_POPF: /* TF, AC */
	case X86_MN_ENTER:
	case X86_MN_CLI:
	case X86_MN_STI:
	case X86_MN_SHLD:
	case X86_MN_SHRD:
	case X86_MN_HLT:
	/* FDP and FOP: ours are always kept, CPUID 7 EBX bit 6 is clear. */
	case X86_MN_FNSAVE:
	case X86_MN_FNSTENV:
		return false;
	default:
		break;
	}
	for (unsigned i = 0; i < 4; i++)
		if (x86_operand_info[row->op[i]].class == X86_OC_O)
			return false;
	return true;
}

/* One-byte opcodes, and the others that compilers use most */
static bool
is_simple(const struct x86_row *row)
{
	unsigned mn = row->mn;

	if (row->map == X86_MAP_M1)
		return !(row->attr & X86_A_FPSIMD);
	return (mn >= X86_MN_SETO && mn <= X86_MN_SETG) ||
	    (mn >= X86_MN_CMOVO && mn <= X86_MN_CMOVG) || mn == X86_MN_MOVZX ||
	    mn == X86_MN_MOVSX || mn == X86_MN_IMUL;
}

static void
make_pool(void)
{
	for (unsigned pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < x86_row_count; i++)
			if (eligible(&x86_rows[i]) &&
			    is_simple(&x86_rows[i]) == (pass == 0))
				pool[npool++] = (uint16_t)i;
		if (pass == 0)
			nsimple = npool;
	}
	for (unsigned i = 0; i < npool; i++)
		if (x86_rows[pool[i]].attr & X86_A_FPSIMD)
			fp_pool[nfp++] = pool[i];
}

/* fp: nearly all of a sequence are FP and SIMD instructions. */
static const struct x86_row *
pick(struct rng *g, bool fp)
{
	if (fp && rng_below(g, 4) != 0)
		return &x86_rows[fp_pool[rng_below(g, nfp)]];
	return &x86_rows[pool[rng_below(g, 3) != 0 ? rng_below(g, nsimple)
						   : rng_below(g, npool)]];
}

/* Shifts and rotates pass flags on rather than use them. */
static bool
uses(const struct x86_row *row, uint32_t flags)
{
	if (row->flags == X86_FC_SHIFT || row->flags == X86_FC_ROT)
		return false;
	return (x86_flag_info[row->flags].read & flags) != 0;
}

static void
make_sequence(struct rng *g, struct sequence *s)
{
	unsigned steps = 2 + rng_below(g, STEPS_MAX - 1);
	bool fp = rng_below(g, 3) == 0;
	struct x86_insn in;

	s->len = 0;
	s->undefined = 0;
	for (unsigned i = 0; i < steps; i++) {
		const struct x86_row *row = pick(g, fp);

		if (uses(row, s->undefined) ||
		    !gen_step(g, row, s->code + s->len, &in))
			continue;
		s->len += in.len;
		s->undefined |= x86_flag_info[row->flags].undefined;
	}
	if (rng_below(g, 2) == 0 && s->undefined == 0) { /* Jcc rel8 */
		s->code[s->len++] = (uint8_t)(0x70 | rng_below(g, 16));
		s->code[s->len++] = (uint8_t)(1 + rng_below(g, 40));
	}
	gen_sequence_regs(g, &s->before, native_data_writable());
	s->before.rip = CODE_ADDR + 256 + rng_below(g, 2048);
}

static void
print_memory(void)
{
	const uint8_t *nd = native_data_writable(), *sd = soft_test_data();
	unsigned shown = 0;

	for (unsigned i = 0; i < DATA_SIZE && shown < 8; i++)
		if (nd[i] != sd[i]) {
			printf("#   [%lx] native %02x soft %02x\n",
			    (unsigned long)(DATA_ADDR + i), nd[i], sd[i]);
			shown++;
		}
}

static void
report(const char *what, const struct sequence *s, const struct regs *nat,
    const struct fault *nf, const struct regs *soft, const struct fault *sf)
{
	char text[96];
	size_t n;

	printf("# turn %lu: %s differs\n", (unsigned long)sh->turn, what);
	for (unsigned i = 0; i < s->len; i += n) {
		n = x86_disasm(text, sizeof(text), s->code + i, s->len - i, 64,
		    s->before.rip + i);
		printf(
		    "#   %lx %s\n", (unsigned long)(s->before.rip + i), text);
		if (n == 0)
			break;
	}
	printf("#   native vector %d error %lx cr2 %lx rip %lx flags %lx\n",
	    nf->vector, (unsigned long)nf->error, (unsigned long)nf->cr2,
	    (unsigned long)nat->rip, (unsigned long)nat->rflags);
	printf("#   soft   vector %d error %lx cr2 %lx rip %lx flags %lx\n",
	    sf->vector, (unsigned long)sf->error, (unsigned long)sf->cr2,
	    (unsigned long)soft->rip, (unsigned long)soft->rflags);
	for (unsigned i = 0; i < 16; i++)
		if (nat->gpr[i] != soft->gpr[i])
			printf("#   r%u before %lx native %lx soft %lx\n", i,
			    (unsigned long)s->before.gpr[i],
			    (unsigned long)nat->gpr[i],
			    (unsigned long)soft->gpr[i]);
	print_memory();
	fflush(stdout);
}

static void
run_sequence(const struct sequence *s)
{
	static struct regs nat, soft;
	static struct testcase tc;
	uint8_t *nd = native_data_writable(), *sd = soft_test_data();
	uint64_t off = s->before.rip - CODE_ADDR;
	struct fault nf, sf;
	const char *what;

	memcpy(sd, nd, DATA_SIZE);
	memcpy(native_code + off, s->code, s->len);
	soft_test_set_code(s->before.rip, s->code, s->len);
	nat = s->before;
	soft = s->before;
	native_run(&nat, 0, 8, true, true, &nf);
	soft_test_run_blocks(&soft, &sf);
	sh->runs++;
	tc.fp = true;
	if (nat.rip - CODE_ADDR < CODE_SIZE - 16)
		x86_decode(&tc.in, (uint8_t *)nat.rip, 15, 8);
	sh->ends +=
	    nat.rip - CODE_ADDR < CODE_SIZE && *(uint8_t *)nat.rip == HLT;
	soft.rflags = (soft.rflags & ~(uint64_t)s->undefined) |
	    (nat.rflags & s->undefined);
	what = tc.in.row == NULL
	    ? "length"
	    : compare_case(&tc, &s->before, &nat, &nf, &soft, &sf);
	if (what == NULL && nf.vector == sf.vector &&
	    !memory_undefined(&tc.in, &nf) && memcmp(nd, sd, DATA_SIZE) != 0)
		what = "memory";
	if (what != NULL && sh->failures++ < REPORTS)
		report(what, s, &nat, &nf, &soft, &sf);
	memset(native_code + off, HLT, s->len);
	soft_test_set_code(s->before.rip, native_code + off, s->len);
}

static _Noreturn void
worker(double deadline, uint64_t seed)
{
	struct rng g;

	if (native_init() < 0 || soft_test_init() < 0)
		_exit(2);
	make_pool();
	memset(native_code, HLT, CODE_SIZE);
	memset(soft_test_code(), HLT, CODE_SIZE);
	for (unsigned i = 0; i < DATA_SIZE; i += PAGE)
		(void)*(volatile uint8_t *)(native_data + i);
	for (; now() < deadline; sh->turn++) {
		rng_seed(&g, seed * 1000003 + sh->turn);
		make_sequence(&g, &sh->seq);
		alarm(60);
		run_sequence(&sh->seq);
	}
	sh->finished = true;
	fflush(stdout);
	_exit(0);
}

int
main(int argc, char **argv)
{
	double deadline = now() + (argc > 1 ? atof(argv[1]) : 10);
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	struct regs none = { 0 };
	struct fault nofault = { 0 };
	int status;
	pid_t pid;

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		return 2;
	while (!sh->finished) {
		fflush(stdout);
		pid = fork();
		if (pid == 0)
			worker(deadline, seed);
		if (pid < 0 || waitpid(pid, &status, 0) != pid ||
		    (WIFEXITED(status) && WEXITSTATUS(status) == 2))
			return 2;
		if (sh->finished)
			break;
		sh->failures++;
		report("process died, everything", &sh->seq, &none, &nofault,
		    &none, &nofault);
		sh->turn++;
	}
	printf("%lu sequences, %lu to their end; %lu differences\n",
	    (unsigned long)sh->runs, (unsigned long)sh->ends,
	    (unsigned long)sh->failures);
	return sh->failures != 0;
}
