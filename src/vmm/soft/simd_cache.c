/*
 * The thunk cache: code memory, lookup, and the handler of fault signals.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

#include "vmm/soft/fpu_cache.h"

#define CODE_SIZE (512u * 1024)

/* The cache whose thunks this thread may be in. */
static _Thread_local struct soft_fp *thread_fp;
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;
static int handlers_error;

/* ---- signals ---- */

/*
 * SIGFPE: an unmasked exception. SIGILL and SIGSEGV by a general protection
 * fault: an encoding or an alignment that this CPU refuses though the opcode
 * table has it.
 */
static const struct {
	int sig;
	int trap;
	unsigned vector;
} signals[] = {
	{ SIGFPE, X86_EXC_MF, X86_EXC_MF },
	{ SIGFPE, X86_EXC_XM, X86_EXC_XM },
	{ SIGILL, X86_EXC_UD, X86_EXC_UD },
	{ SIGSEGV, X86_EXC_GP, X86_EXC_GP },
};
#define NSIGNALS (sizeof(signals) / sizeof(signals[0]))
static struct sigaction before[NSIG];

static void
pass_on(int sig, siginfo_t *si, void *ctx)
{
	const struct sigaction *sa = &before[sig];

	if (sa->sa_flags & SA_SIGINFO)
		sa->sa_sigaction(sig, si, ctx);
	else if (sa->sa_handler != SIG_DFL && sa->sa_handler != SIG_IGN)
		sa->sa_handler(sig);
	else
		signal(sig, SIG_DFL); /* and fault again */
}

/* In a thunk RDI is the vCPU all the time, in a chain RBX. */
static bool
is_guest_code(const struct soft_fp *fp, greg_t *g)
{
	if (soft_codemem_has(&fp->code, (uint64_t)g[REG_RIP]))
		return true;
	if (fp->chain == NULL ||
	    !soft_codemem_has(fp->chain, (uint64_t)g[REG_RIP]))
		return false;
	g[REG_RDI] = g[REG_RBX];
	g[REG_RSP] -= 8; /* as by a call */
	return true;
}

/*
 * A guest's instruction failed: go on in soft_fp_failed(). What it left in
 * MXCSR and in the x87 status comes back with the signal frame, so it is live
 * after that as if no signal had been.
 */
static void
on_signal(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	greg_t *g = uc->uc_mcontext.gregs;
	struct soft_fp *fp = thread_fp;

	for (size_t i = 0; fp != NULL && i < NSIGNALS; i++) {
		if (signals[i].sig != sig || g[REG_TRAPNO] != signals[i].trap ||
		    !is_guest_code(fp, g))
			continue;
		g[REG_RSI] = signals[i].vector;
		g[REG_RIP] = (greg_t)(uintptr_t)soft_fp_failed;
		return;
	}
	pass_on(sig, si, ctx);
}

static void
install_handlers(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < NSIGNALS; i++) {
		if (i > 0 && signals[i].sig == signals[i - 1].sig)
			continue;
		if (sigaction(signals[i].sig, &sa, &before[signals[i].sig]) ==
		    -1)
			handlers_error = -errno;
	}
}

/*
 * Threads of the machine block all signals; a fault whose signal is blocked
 * would end the process.
 */
void
soft_fp_enter_thread(struct soft_cpu *cpu)
{
	sigset_t set;

	if (thread_fp == cpu->fp)
		return;
	thread_fp = cpu->fp;
	sigemptyset(&set);
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaddset(&set, signals[i].sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- code memory ---- */

static void
forget_all(struct soft_fp *fp)
{
	memset(fp->hash, 0, sizeof(fp->hash));
	fp->used = 0;
	fp->nthunks = 0;
	fp->serial++;
	for (unsigned i = 0; i < SOFT_FP_THUNKS; i++)
		fp->thunk[i].serial = 0;
}

int
soft_fp_create(struct soft_cpu *cpu)
{
	struct soft_fp *fp;
	int rc;

	/* Vector operands in it are aligned. */
	if (posix_memalign((void **)&fp, 64, sizeof(*fp)) != 0)
		return -ENOMEM;
	memset(fp, 0, sizeof(*fp));
	cpu->fp = fp;
	pthread_once(&handlers_once, install_handlers);
	rc = handlers_error;
	if (rc == 0)
		rc = soft_codemem_create(
		    &fp->code, "soft-fp", CODE_SIZE, CODEMEM_ANYWHERE, NULL);
	if (rc < 0) {
		soft_fp_destroy(cpu);
		return rc;
	}
	forget_all(fp);
	return 0;
}

void
soft_fp_destroy(struct soft_cpu *cpu)
{
	struct soft_fp *fp = cpu->fp;

	if (fp == NULL)
		return;
	if (thread_fp == fp)
		thread_fp = NULL;
	soft_codemem_destroy(&fp->code);
	free(fp);
	cpu->fp = NULL;
}

/* ---- lookup ---- */

/* Instructions that their thunk alone does not do. */
static soft_fp_special *
special_of(const struct x86_insn *in)
{
	if (in->row->attr & X86_A_GATHER)
		return soft_fp_gather;
	if (in->row->attr & X86_A_VMASK)
		return soft_fp_vmaskmov;
	if (in->row->attr & X86_A_MASKMOV)
		return soft_fp_maskmov;
	switch ((int)in->row->mn) {
	case X86_MN_FLDENV:
		return soft_fp_fldenv;
	case X86_MN_FNSTENV:
		return soft_fp_fnstenv;
	case X86_MN_FRSTOR:
		return soft_fp_frstor;
	case X86_MN_FNSAVE:
		return soft_fp_fnsave;
	case X86_MN_FNINIT:
		return soft_fp_fninit;
	case X86_MN_LDMXCSR:
	case X86_MN_VLDMXCSR:
		return soft_fp_ldmxcsr;
	case X86_MN_STMXCSR:
	case X86_MN_VSTMXCSR:
		return soft_fp_stmxcsr;
	case X86_MN_VZEROUPPER:
		return soft_fp_vzero;
	default:
		return NULL;
	}
}

/* x87 and MMX instructions look at ES first, but for the no-wait forms. */
static bool
is_waiting(const struct x86_insn *in)
{
	if (!(soft_fp_live_needs(in) & SOFT_FP_X87))
		return false;
	switch ((int)in->row->mn) {
	case X86_MN_CVTPI2PS:
	case X86_MN_CVTPI2PD: /* only registers are MMX (SDM vol. 2) */
		return in->mod == 3;
	case X86_MN_FNSTCW:
	case X86_MN_FNSTSW:
	case X86_MN_FNCLEX:
	case X86_MN_FNINIT:
	case X86_MN_FNENI:
	case X86_MN_FNDISI:
	case X86_MN_FNSETPM:
	case X86_MN_FNSTENV:
	case X86_MN_FNSAVE:
		return false;
	default:
		return true;
	}
}

static void
describe(const struct x86_insn *in, struct soft_fp_thunk *t)
{
	uint32_t attr = in->row->attr;
	unsigned class0 = x86_op_class(in, 0);
	bool dest0 = class0 == X86_OC_E || class0 == X86_OC_M ||
	    class0 == X86_OC_W || class0 == X86_OC_Q;

	*t = (struct soft_fp_thunk){ .special = special_of(in) };
	t->live = (uint8_t)soft_fp_live_needs(in);
	t->waits = is_waiting(in);
	t->x87 = soft_fp_leaves_address(in);
	t->mem = SOFT_FP_NO_MEM;
	if (in->has_modrm && in->mod != 3 && in->mem_size != 0) {
		t->mem =
		    dest0 && !(attr & X86_A_RO1) ? SOFT_FP_STORE : SOFT_FP_LOAD;
		t->size = in->mem_size;
		if (attr & X86_A_AL)
			t->align = t->size - 1;
	}
}

/*
 * The host instruction says almost all: what it does not is which guest
 * register RAX is, and sizes of the images that special instructions handle.
 */
static void
make_key(const struct x86_insn *in, const struct soft_fp_form *f,
    uint8_t key[SOFT_FP_KEY])
{
	memset(key, 0, SOFT_FP_KEY);
	memcpy(key, f->insn, f->len);
	key[SOFT_FP_KEY - 4] = in->row->map;
	key[SOFT_FP_KEY - 3] = in->mem_size;
	key[SOFT_FP_KEY - 2] = f->gpr;
	key[SOFT_FP_KEY - 1] = f->len;
}

static unsigned
hash_key(const uint8_t key[SOFT_FP_KEY])
{
	uint64_t a, b;

	memcpy(&a, key, 8);
	memcpy(&b, key + 8, 8);
	a = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) *
	    UINT64_C(0xd6e8feb86659fd93);
	return (unsigned)(a >> (64 - SOFT_FP_HASH_BITS));
}

static struct soft_fp_thunk *
make_thunk(struct soft_fp *fp, const struct x86_insn *in,
    const struct soft_fp_form *f, const uint8_t key[SOFT_FP_KEY])
{
	struct soft_fp_thunk *t;
	unsigned h = hash_key(key);

	if (fp->nthunks == SOFT_FP_THUNKS ||
	    fp->used + SOFT_FP_CODE_MAX > CODE_SIZE)
		forget_all(fp);
	t = &fp->thunk[fp->nthunks];
	describe(in, t);
	t->serial = fp->serial;
	memcpy(t->key, key, SOFT_FP_KEY);
	t->code = (soft_fp_code *)(uintptr_t)(fp->code.exec + fp->used);
	fp->used += (soft_fp_emit(f, fp->code.write + fp->used) + 15) & ~15u;
	t->next = fp->hash[h];
	fp->hash[h] = (uint16_t)(++fp->nthunks);
	return t;
}

const struct soft_fp_thunk *
soft_fp_find(struct soft_cpu *cpu, const struct x86_insn *in)
{
	struct soft_fp *fp = cpu->fp;
	struct soft_fp_form f;
	uint8_t key[SOFT_FP_KEY];

	if (fp == NULL && soft_fp_create(cpu) < 0)
		return NULL;
	fp = cpu->fp;
	if (!soft_fp_make_form(in, X86_RSI, &f))
		return NULL;
	make_key(in, &f, key);
	for (unsigned i = fp->hash[hash_key(key)]; i != 0;
	     i = fp->thunk[i - 1].next)
		if (memcmp(fp->thunk[i - 1].key, key, SOFT_FP_KEY) == 0)
			return &fp->thunk[i - 1];
	return make_thunk(fp, in, &f, key);
}
