/*
 * Lock-step: integer instructions of 64-bit code as the host's own. A thunk is
 * the guest's instruction, with its memory operand rewritten to a host pointer
 * in a register that it does not name, between loads and stores of the
 * registers that it does name. The shadow vCPU and the code are in one mapping,
 * so that RIP-relative addresses reach its registers and all of the general
 * ones are free.
 *
 * A fault (#DE) leaves registers as they are, so the thunk then goes on at its
 * tail; its thread has an alternate signal stack, as RSP may be the guest's.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

#include "vmm/soft/fpu.h"
#include "vmm/soft/lockstep.h"

#define ALTSTACK 65536

/* ---- which ---- */

/* Mnemonics that run natively, and general registers that they imply. */
#define A (1u << X86_RAX)
#define C (1u << X86_RCX)
#define D (1u << X86_RDX)
#define B (1u << X86_RBX)
#define YES (1u << 31)
/* clang-format off */
#define CC16(p) [X86_MN_##p##O] = YES, [X86_MN_##p##NO] = YES,            \
	[X86_MN_##p##B] = YES, [X86_MN_##p##AE] = YES,                    \
	[X86_MN_##p##E] = YES, [X86_MN_##p##NE] = YES,                    \
	[X86_MN_##p##BE] = YES, [X86_MN_##p##A] = YES,                    \
	[X86_MN_##p##S] = YES, [X86_MN_##p##NS] = YES,                    \
	[X86_MN_##p##P] = YES, [X86_MN_##p##NP] = YES,                    \
	[X86_MN_##p##L] = YES, [X86_MN_##p##GE] = YES,                    \
	[X86_MN_##p##LE] = YES, [X86_MN_##p##G] = YES
#define MN(name, regs) [X86_MN_##name] = YES | (regs)
static const uint32_t native[X86_MN_COUNT] = {
	MN(ADD, 0), MN(OR, 0), MN(ADC, 0), MN(SBB, 0), MN(AND, 0), MN(SUB, 0),
	MN(XOR, 0), MN(CMP, 0), MN(TEST, 0), MN(INC, 0), MN(DEC, 0),
	MN(NEG, 0), MN(NOT, 0), MN(ROL, 0), MN(ROR, 0), MN(RCL, 0),
	MN(RCR, 0), MN(SHL, 0), MN(SHR, 0), MN(SAR, 0), MN(MOV, 0),
	MN(MOVZX, 0), MN(MOVSX, 0), MN(MOVSXD, 0), MN(IMUL, 0),
	MN(MUL, A | D), MN(IMUL1, A | D), MN(DIV, A | D), MN(IDIV, A | D),
	MN(CBW, A), MN(CWD, A | D), MN(BSWAP, 0), MN(XCHG, 0), MN(XADD, 0),
	MN(CMPXCHG, A), MN(CMPXCHG8B, A | B | C | D), MN(BT, 0), MN(BTS, 0),
	MN(BTR, 0), MN(BTC, 0), MN(BSF, 0), MN(BSR, 0), MN(TZCNT, 0),
	MN(LZCNT, 0), MN(POPCNT, 0), MN(SHLD, 0), MN(SHRD, 0), MN(CRC32, 0),
	MN(ADCX, 0), MN(ADOX, 0), MN(ANDN, 0), MN(BLSR, 0), MN(BLSMSK, 0),
	MN(BLSI, 0), MN(BZHI, 0), MN(PEXT, 0), MN(PDEP, 0), MN(MULX, D),
	MN(BEXTR, 0), MN(SHLX, 0), MN(SARX, 0), MN(SHRX, 0), MN(RORX, 0),
	MN(MOVBE, 0), MN(MOVNTI, 0), MN(LAHF, A), MN(SAHF, A), MN(CLC, 0),
	MN(STC, 0), MN(CMC, 0), CC16(SET), CC16(CMOV),
};
/* clang-format on */
#undef A
#undef B
#undef C
#undef D

static bool
has_memory(const struct x86_insn *in)
{
	return in->has_modrm && in->mod != 3;
}

bool
lockstep_host_eligible(const struct x86_insn *in)
{
	const uint32_t no = X86_A_BR | X86_A_STOP | X86_A_IO | X86_A_STR |
	    X86_A_UD | X86_A_FPSIMD | X86_A_FPSTATE | X86_A_CRDR;
	unsigned mn = in->row->mn;

	if (in->mode != 8 || !native[mn] || (in->row->attr & no) ||
	    (has_memory(in) && (in->row->attr & (X86_A_BITSTR | X86_A_NOMEM))))
		return false;
	/* Beyond 16 bits of a 16-bit shift the result is undefined. */
	if ((mn == X86_MN_SHLD || mn == X86_MN_SHRD) && in->opsize == 2)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		unsigned c = x86_op_class(in, i);

		if (c == X86_OC_O || c == X86_OC_S || c >= X86_OC_SREG_ES)
			return false;
	}
	return true;
}

/* The register of a byte operand may be a high byte of another. */
static unsigned
named(const struct x86_insn *in, unsigned n, unsigned reg)
{
	if (x86_op_bytes(in, n) == 1 && !(in->pfx & X86_PFX_REX) && reg >= 4 &&
	    reg < 8)
		return reg - 4;
	return reg;
}

/* Every register the instruction may read or write, but for addresses. */
static unsigned
registers(const struct x86_insn *in)
{
	unsigned used = native[in->row->mn] & 0xffff;

	for (unsigned i = 0; i < 4; i++)
		switch ((unsigned)x86_op_class(in, i)) {
		case X86_OC_E:
		case X86_OC_R:
			if (in->mod == 3)
				used |= 1u << named(in, i, in->rm);
			break;
		case X86_OC_G:
			used |= 1u << named(in, i, in->reg);
			break;
		case X86_OC_Z:
			used |= 1u << named(in, i,
				    (in->opcode & 7) | (in->rex & 1) << 3);
			break;
		case X86_OC_B:
			used |= 1u << in->vvvv;
			break;
		case X86_OC_ACC:
			used |= 1u << X86_RAX;
			break;
		case X86_OC_CL:
			used |= 1u << X86_RCX;
			break;
		default:
			break;
		}
	return used;
}

/* ---- code ---- */

struct out {
	uint8_t *p; /* written here */
	const uint8_t *at; /* runs here */
	unsigned n;
};

static void
put(struct out *o, unsigned b)
{
	o->p[o->n++] = (uint8_t)b;
}

/* opcode (with REX) reg, field of the shadow */
static void
put_field(struct out *o, unsigned rex, unsigned op, unsigned reg, void *field)
{
	int64_t disp;

	if (rex | reg >> 3)
		put(o, 0x40 | rex | (reg >> 3 & 1) << 2);
	if (op > 0xff)
		put(o, op >> 8);
	put(o, op & 0xff);
	put(o, (reg & 7) << 3 | 5);
	disp = (const uint8_t *)field - (o->at + o->n + 4);
	for (unsigned i = 0; i < 4; i++)
		put(o, (unsigned)(disp >> (8 * i)) & 0xff);
}

#define MOV_LOAD 0x8b
#define MOV_STORE 0x89
#define REX_W 8

/* Registers that hold the pointer, best first: no REX, no displacement. */
static unsigned
pointer_for(unsigned used)
{
	static const uint8_t choice[] = { X86_RDI, X86_RSI, X86_RBX, X86_RDX,
		X86_RCX, X86_RBP };
	unsigned i = 0;

	while (i < sizeof(choice) - 1 && (used >> choice[i] & 1))
		i++;
	return choice[i];
}

static void
put_insn(struct out *o, const struct x86_insn *in, unsigned pointer)
{
	static const uint8_t third[] = {
		[X86_MAP_M38] = 0x38, [X86_MAP_M3A] = 0x3a
	};
	unsigned map = in->row->map, rex = in->rex & 15u, modrm = in->modrm;
	bool mem = has_memory(in);

	if (mem) {
		rex &= ~3u;
		modrm =
		    (modrm & 0x38) | pointer | (pointer == X86_RBP ? 0x40 : 0);
	}
	if (in->pfx & X86_PFX_VEX) {
		put(o, 0xc4);
		put(o,
		    (rex & 4 ? 0 : 0x80) | 0x40 | (rex & 1 ? 0 : 0x20) |
			(map - X86_MAP_V0F + 1));
		put(o,
		    (rex & 8 ? 0x80 : 0) | (~in->vvvv & 15u) << 3 |
			(in->vl ? 4 : 0) | in->vpp);
	} else {
		if (in->pfx & X86_PFX_66)
			put(o, 0x66);
		if (in->pfx & X86_PFX_REP)
			put(o, 0xf3);
		if (in->pfx & X86_PFX_REPNE)
			put(o, 0xf2);
		if (in->pfx & X86_PFX_LOCK)
			put(o, 0xf0);
		if (in->pfx & X86_PFX_REX)
			put(o, 0x40 | rex);
		if (map != X86_MAP_M1)
			put(o, 0x0f);
		if (map == X86_MAP_M38 || map == X86_MAP_M3A)
			put(o, third[map]);
	}
	put(o, in->opcode);
	if (in->has_modrm)
		put(o, modrm);
	if (mem && pointer == X86_RBP)
		put(o, 0);
	for (unsigned i = 0; i < in->imm_size; i++)
		put(o, in->bytes[in->imm_at + i]);
}

#define CALLEE_SAVED 0xf028u /* RBX RBP R12-R15 */

static void
push_pop(struct out *o, unsigned op, unsigned r)
{
	if (r >= 8)
		put(o, 0x41);
	put(o, op | (r & 7));
}

static void
put_bytes(struct out *o, const char *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put(o, (uint8_t)bytes[i]);
}

/* All code is gone: what runs next may have been something else before. */
static void
forget_code(struct soft_lockstep *ls)
{
	uint32_t a = 0, b, c = 0, d;

	ls->code_used = 0;
	/* It serializes. */
	__asm__ volatile("cpuid"
			 : "+a"(a), "=b"(b), "+c"(c), "=d"(d)
			 :
			 : "memory");
}

bool
lockstep_host_make(struct soft_lockstep *ls, const struct x86_insn *in,
    struct lockstep_thunk *ret)
{
	struct soft_cpu *b = ls->b;
	struct out o;
	unsigned used = registers(in), saved, pointer = pointer_for(used);
	bool rsp = used >> X86_RSP & 1;

	if (ls->code_used + LOCKSTEP_THUNK > LOCKSTEP_CODE) {
		forget_code(ls);
		return false;
	}
	o = (struct out){ ls->code.write + ls->code_used,
		ls->code.exec + ls->code_used, 0 };
	saved = (used | (has_memory(in) ? 1u << pointer : 0)) & CALLEE_SAVED;
	put_bytes(&o, "\xf3\x0f\x1e\xfa", 4); /* endbr64 */
	for (unsigned r = 0; r < 16; r++)
		if (saved >> r & 1)
			push_pop(&o, 0x50, r);
	if (rsp) /* the host's, to a field that the shadow has no use for */
		put_field(&o, REX_W, MOV_STORE, X86_RSP, &b->insns);
	if (has_memory(in) && pointer != X86_RDI)
		put_bytes(&o,
		    (char[]){ 0x48, (char)0x89,
			(char)(0xc0 | X86_RDI << 3 | pointer) },
		    3);
	/* movzwl fl, %eax; add $127, %al; sahf: OF, then the others */
	put_field(&o, 0, 0x0fb7, X86_RAX, &b->fl);
	put_bytes(&o, "\x04\x7f\x9e", 3);
	for (unsigned r = 0; r < 16; r++)
		if (used >> r & 1)
			put_field(&o, REX_W, MOV_LOAD, r, &b->gpr[r]);
	put_insn(&o, in, pointer);
	ret->tail = o.at + o.n;
	for (unsigned r = 0; r < 16; r++)
		if (used >> r & 1)
			put_field(&o, REX_W, MOV_STORE, r, &b->gpr[r]);
	if (rsp)
		put_field(&o, REX_W, MOV_LOAD, X86_RSP, &b->insns);
	put_bytes(&o, "\x9f\x0f\x90\xc0\x66", 5); /* lahf; seto %al; mov16 */
	put_field(&o, 0, MOV_STORE, X86_RAX, &b->fl);
	for (unsigned r = 16; r-- > 0;)
		if (saved >> r & 1)
			push_pop(&o, 0x58, r);
	put(&o, 0xc3);
	ret->code = o.at;
	ls->code_used += (o.n + 15) & ~15u;
	return true;
}

/* ---- faults ---- */

static _Thread_local struct soft_lockstep *thread_ls;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before[NSIG];
static int once_error;

static const int signals[] = { SIGFPE, SIGILL, SIGSEGV };

static void
on_signal(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	greg_t *g = uc->uc_mcontext.gregs;
	struct soft_lockstep *ls = thread_ls;
	const struct sigaction *sa = &before[sig];

	if (ls != NULL && soft_codemem_has(&ls->code, (uint64_t)g[REG_RIP])) {
		ls->host_fault = (unsigned)g[REG_TRAPNO] + 1;
		g[REG_RIP] = (greg_t)(uintptr_t)ls->tail;
	} else if (sa->sa_flags & SA_SIGINFO) {
		sa->sa_sigaction(sig, si, ctx);
	} else {
		signal(sig, SIG_DFL);
	}
}

static void
install(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &sa, &before[signals[i]]) != 0)
			once_error = -errno;
}

void
lockstep_shadow_enter(struct soft_lockstep *ls)
{
	stack_t ss = { .ss_sp = ls->altstack, .ss_size = ALTSTACK }, old;

	if (thread_ls == ls)
		return;
	thread_ls = ls;
	if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE))
		sigaltstack(&ss, NULL);
}

/* at: address space for the code, after the shadow. */
int
lockstep_host_create(struct soft_lockstep *ls, uint8_t *at)
{
	/* After the FP thunks' handlers: ours pass on to them. */
	pthread_once(&once, install);
	if (once_error != 0)
		return once_error;
	ls->altstack = malloc(ALTSTACK);
	if (ls->altstack == NULL)
		return -ENOMEM;
	return soft_codemem_create(
	    &ls->code, "lockstep", LOCKSTEP_CODE, CODEMEM_AT, at);
}

void
lockstep_host_destroy(struct soft_lockstep *ls)
{
	stack_t ss = { .ss_flags = SS_DISABLE }, old;

	if (thread_ls == ls) {
		thread_ls = NULL;
		if (sigaltstack(NULL, &old) == 0 && old.ss_sp == ls->altstack)
			sigaltstack(&ss, NULL);
	}
	soft_codemem_destroy(&ls->code);
	free(ls->altstack);
}
