/*
 * Differential tests of the software engine: every row of the opcode table,
 * one instruction at a time, against the CPU it runs on.
 *
 * The work is done in a child process, as a bug may take it down; what it was
 * doing is in shared memory.
 */
#include <errno.h>
#include <getopt.h>
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

#define MAX_ROWS 2048
#define PER_TURN 48
#define REPORTS_PER_ROW 2
#define TRIES 400

struct row_stat {
	uint64_t runs, faults, failures;
};

struct shared {
	struct row_stat row[MAX_ROWS];
	unsigned current; /* row */
	uint64_t turn; /* seed of its cases is made of this */
	struct regs before;
	uint8_t insn[16];
	unsigned mode;
	unsigned running; /* 1 natively, 2 on soft */
	bool finished;
};

struct options {
	double seconds;
	uint64_t seed;
	uint64_t cases; /* at least so many */
	const char *row;
	const char *omit; /* row that is left out, though it should run */
	uint32_t attr, attr_value; /* filter by attributes */
	bool list, verbose;
};

static struct shared *sh;
static struct options opt = { .seconds = 20, .seed = 1 };

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static const char *
row_name(size_t i)
{
	return x86_mnemonics[x86_rows[i].mn];
}

static bool
row_named(size_t i, const char *name)
{
	char number[16];

	snprintf(number, sizeof(number), "%zu", i);
	return strcmp(name, row_name(i)) == 0 || strcmp(name, number) == 0;
}

static bool
row_selected(size_t i)
{
	if ((x86_rows[i].attr & opt.attr) != opt.attr_value)
		return false;
	return opt.row == NULL || row_named(i, opt.row);
}

/* ---- reports ---- */

static void
print_hex(const char *name, const uint8_t *p, unsigned n)
{
	printf("#   %s", name);
	for (unsigned i = n; i-- > 0;)
		printf("%02x%s", p[i], i % 8 == 0 && i != 0 ? "_" : "");
	printf("\n");
}

static void
print_insn(const struct regs *r, unsigned mode, const uint8_t *bytes)
{
	char text[128];
	size_t n = x86_disasm(text, sizeof(text), bytes, 15, mode * 8, r->rip);

	printf("#   ");
	for (size_t i = 0; i < (n == 0 ? 15 : n); i++)
		printf("%02x ", bytes[i]);
	printf("  %s\n", text);
}

static void
print_fault(const char *who, const struct regs *r, const struct fault *f)
{
	printf("#   %s: ", who);
	if (f->vector < 0)
		printf("ok");
	else
		printf("vector %d error %#lx cr2 %#lx", f->vector,
		    (unsigned long)f->error, (unsigned long)f->cr2);
	printf(" rip %#lx flags %#lx\n", (unsigned long)r->rip,
	    (unsigned long)r->rflags);
}

static void
print_regs(
    const struct regs *before, const struct regs *nat, const struct regs *soft)
{
	for (unsigned i = 0; i < 16; i++) {
		printf("#   r%-2u %016lx", i, (unsigned long)before->gpr[i]);
		if (nat->gpr[i] != before->gpr[i] ||
		    soft->gpr[i] != before->gpr[i])
			printf(" native %016lx soft %016lx%s",
			    (unsigned long)nat->gpr[i],
			    (unsigned long)soft->gpr[i],
			    nat->gpr[i] != soft->gpr[i] ? " <--" : "");
		printf("\n");
	}
}

static void
print_area(const char *name, const struct regs *before, const struct regs *nat,
    const struct regs *soft, unsigned off, unsigned n)
{
	const uint8_t *a = nat->xsave + off, *b = soft->xsave + off;
	const uint8_t *o = before->xsave + off;

	if (memcmp(a, b, n) == 0 && memcmp(a, o, n) == 0)
		return;
	printf("#   %s%s\n", name, memcmp(a, b, n) != 0 ? " <--" : "");
	print_hex("  before ", o, n);
	print_hex("  native ", a, n);
	print_hex("  soft   ", b, n);
}

static void
print_fp(
    const struct regs *before, const struct regs *nat, const struct regs *soft)
{
	char name[16];

	print_hex("FCW ", before->xsave + XS_FCW, 2);
	print_area("FSW", before, nat, soft, XS_FSW, 2);
	print_area("FTW", before, nat, soft, XS_FTW, 1);
	print_hex("MXCSR ", before->xsave + XS_MXCSR, 4);
	print_area("MXCSR", before, nat, soft, XS_MXCSR, 4);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "ST%u", i);
		print_area(name, before, nat, soft, XS_ST + 16 * i, 10);
	}
	for (unsigned i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "XMM%u", i);
		print_area(name, before, nat, soft, XS_XMM + 16 * i, 16);
		snprintf(name, sizeof(name), "YMM%u high", i);
		print_area(name, before, nat, soft, XS_YMMH + 16 * i, 16);
	}
}

static void
print_memory(const uint8_t *nat, const uint8_t *soft)
{
	unsigned shown = 0;

	for (unsigned i = 0; i < DATA_SIZE && shown < 8; i++)
		if (nat[i] != soft[i]) {
			printf("#   [%#lx] native %02x soft %02x\n",
			    (unsigned long)(DATA_ADDR + i), nat[i], soft[i]);
			shown++;
		}
}

/* ---- one case ---- */

/*
 * Interruptible instructions may end early natively after a fault in the
 * middle; both states must then agree like any other.
 */
static void
run_case(size_t row, struct testcase *tc, struct regs *before)
{
	static struct regs nat, soft;
	uint8_t *ndata = native_data_writable(), *sdata = soft_test_data();
	struct fault nf, sf;
	const char *what;

	nat = *before;
	soft = *before;
	sh->before = *before;
	sh->mode = tc->mode;
	memcpy(sh->insn, native_code + (before->rip - CODE_ADDR), 15);
	if (tc->branch) { /* it may arrive anywhere */
		memset(native_code, 0xcc, CODE_SIZE);
		memset(soft_test_code(), 0xcc, CODE_SIZE);
		memcpy(native_code + (before->rip - CODE_ADDR), sh->insn, 15);
	}
	memcpy(soft_test_code() + (before->rip - CODE_ADDR), sh->insn, 15);
	sh->running = 1;
	native_run(&nat, tc->in.len, tc->mode, tc->fp, tc->branch, &nf);
	sh->running = 2;
	soft_test_run(&soft, tc->mode, tc->fp, &sf);
	sh->running = 0;
	sh->row[row].runs++;
	sh->row[row].faults += nf.vector >= 0;
	what = compare_case(tc, before, &nat, &nf, &soft, &sf);
	if (what == NULL && !memory_undefined(&tc->in, &nf) &&
	    memcmp(ndata, sdata, DATA_SIZE) != 0)
		what = "memory";
	memset(native_code + (before->rip - CODE_ADDR), 0xcc, 16);
	memset(soft_test_code() + (before->rip - CODE_ADDR), 0xcc, 16);
	if (what == NULL)
		return;
	if (sh->row[row].failures++ < REPORTS_PER_ROW || opt.verbose) {
		printf("# row %zu %s: %s differs (seed %lu)\n", row,
		    row_name(row), what, (unsigned long)opt.seed);
		print_insn(before, tc->mode, sh->insn);
		print_fault("native", &nat, &nf);
		print_fault("soft  ", &soft, &sf);
		print_regs(before, &nat, &soft);
		if (tc->fp)
			print_fp(before, &nat, &soft);
		print_memory(ndata, sdata);
		fflush(stdout);
	}
	memcpy(sdata, ndata, DATA_SIZE);
}

static void
run_row(size_t row, uint64_t turn)
{
	static struct testcase tc;
	static struct regs before;
	uint8_t *data = native_data_writable();
	struct rng g;

	rng_seed(&g, opt.seed * 1000003 + turn * 4099 + row);
	for (unsigned i = 0; i < PER_TURN; i++) {
		unsigned tries = TRIES;

		while (tries > 0 &&
		    !gen_case(
			&g, &x86_rows[row], native_code, &before, data, &tc)) {
			memset(native_code, 0xcc, CODE_SIZE);
			tries--;
		}
		if (tries == 0)
			return;
		/* The generator wrote operands. */
		memcpy(soft_test_data(), data, DATA_SIZE);
		run_case(row, &tc, &before);
	}
}

/* ---- processes ---- */

static void
fill_memory(void)
{
	struct rng g;
	uint8_t *data = native_data_writable();

	rng_seed(&g, opt.seed);
	memset(native_code, 0xcc, CODE_SIZE);
	memset(soft_test_code(), 0xcc, CODE_SIZE);
	for (unsigned i = 0; i < DATA_SIZE; i++)
		data[i] = (uint8_t)rng_next(&g);
	for (unsigned i = 0; i < DATA_SIZE; i += PAGE)
		(void)*(volatile uint8_t *)(native_data + i);
}

/* Every row had its turn, and time and cases are over. */
static bool
enough(double deadline)
{
	uint64_t runs = 0;

	if (sh->turn == 0 || now() <= deadline)
		return false;
	for (size_t i = 0; opt.cases != 0 && i < x86_row_count; i++)
		runs += sh->row[i].runs;
	return runs >= opt.cases;
}

static _Noreturn void
worker(double deadline)
{
	int rc = native_init();

	if (rc == 0)
		rc = soft_test_init();
	if (rc < 0) {
		printf("# cannot start: %s\n", strerror(-rc));
		_exit(2);
	}
	fill_memory();
	for (;; sh->turn++, sh->current = 0) {
		for (; sh->current < x86_row_count; sh->current++) {
			size_t row = sh->current;

			if (!row_selected(row) ||
			    gen_excluded(&x86_rows[row]) != NULL ||
			    (opt.omit != NULL && row_named(row, opt.omit)))
				continue;
			alarm(60);
			run_row(row, sh->turn);
			if (enough(deadline))
				goto out;
		}
		/* Also if no row can run. */
		if (now() > deadline && (opt.cases == 0 || enough(deadline)))
			break;
	}
out:
	sh->finished = true;
	fflush(stdout);
	_exit(0);
}

/* false: the child died; go on with the next row. */
static bool
run_worker(double deadline)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		worker(deadline);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return true;
	if (sh->finished || (WIFEXITED(status) && WEXITSTATUS(status) == 2))
		return true;
	printf("# row %u %s: died by signal %d while running %s\n", sh->current,
	    row_name(sh->current), WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	    sh->running == 1       ? "natively"
		: sh->running == 2 ? "on soft"
				   : "-");
	print_insn(&sh->before, sh->mode, sh->insn);
	sh->row[sh->current].failures++;
	sh->current++;
	return false;
}

static int
summary(void)
{
	uint64_t runs = 0, faults = 0, failures = 0;
	unsigned hit = 0, missed = 0, skipped = 0, bad = 0;

	for (size_t i = 0; i < x86_row_count; i++) {
		const struct row_stat *s = &sh->row[i];

		if (!row_selected(i))
			continue;
		runs += s->runs;
		faults += s->faults;
		failures += s->failures;
		if (gen_excluded(&x86_rows[i]) != NULL) {
			skipped++;
			continue;
		}
		hit += s->runs != 0;
		if (s->runs == 0) {
			printf("# row %zu %s: never run\n", i, row_name(i));
			missed++;
		}
		if (s->failures != 0) {
			printf("# row %zu %s: %lu of %lu differ\n", i,
			    row_name(i), (unsigned long)s->failures,
			    (unsigned long)s->runs);
			bad++;
		}
	}
	printf("%lu cases (%lu faults) on %u rows, %u rows not testable "
	       "natively, %u never run; %lu differences in %u rows\n",
	    (unsigned long)runs, (unsigned long)faults, hit, skipped, missed,
	    (unsigned long)failures, bad);
	return failures != 0 || missed != 0 || hit == 0;
}

static void
list_rows(void)
{
	for (size_t i = 0; i < x86_row_count; i++) {
		const char *why = gen_excluded(&x86_rows[i]);

		printf("%zu %s%s%s\n", i, row_name(i),
		    why != NULL ? ": not tested, " : "",
		    why != NULL ? why : "");
	}
}

static int
usage(const char *name)
{
	fprintf(stderr,
	    "usage: %s [--seconds n] [--cases n] [--seed n] "
	    "[--row name|number] [--omit name|number] [--fp] [--integer] "
	    "[--list] [--verbose]\n",
	    name);
	return 2;
}

int
main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "cases", required_argument, NULL, 'c' },
		{ "omit", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 'S' },
		{ "row", required_argument, NULL, 'r' },
		{ "fp", no_argument, NULL, 'f' },
		{ "integer", no_argument, NULL, 'i' },
		{ "list", no_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 }
	};
	double deadline;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 's':
			opt.seconds = atof(optarg);
			break;
		case 'S':
			opt.seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			opt.cases = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			opt.omit = optarg;
			break;
		case 'r':
			opt.row = optarg;
			break;
		case 'f':
		case 'i':
			opt.attr = X86_A_FPSIMD;
			opt.attr_value = c == 'f' ? X86_A_FPSIMD : 0;
			break;
		case 'l':
			opt.list = true;
			break;
		case 'v':
			opt.verbose = true;
			break;
		default:
			return usage(argv[0]);
		}
	}
	if (opt.list) {
		list_rows();
		return 0;
	}
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED || x86_row_count > MAX_ROWS)
		return 2;
	deadline = now() + opt.seconds;
	while (!run_worker(deadline))
		;
	return summary();
}
