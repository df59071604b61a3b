/*
 * The host CPU as an executor. All registers are loaded from a context at a
 * fixed low address, so that none is needed to find it; the code after the
 * instruction jumps to the exit, a fault gets there through a signal handler
 * on its own stack.
 */
#include "native.h"

#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

uint8_t *const native_code = (uint8_t *)CODE_ADDR;
uint8_t *const native_data = (uint8_t *)DATA_ADDR;
static uint8_t *data_alias;

/* Offsets are repeated in the assembly below. */
struct context {
	uint64_t gpr[16]; /* 0 */
	uint64_t rip; /* 0x80 */
	uint64_t rflags; /* 0x88 */
	uint64_t host_rsp; /* 0x90 */
	uint64_t fp; /* 0x98 */
	uint32_t far_rip; /* 0xa0 */
	uint16_t far_cs;
	uint64_t pad[3];
	uint8_t xsave[4096] __attribute__((aligned(64))); /* 0xc0 */
};
#define CTX ((struct context *)CTX_ADDR)
_Static_assert(offsetof(struct context, xsave) == 0xc0, "assembly");

void native_enter(void);
void native_exit(void);
void native_exit_fault(void);
void native_far(void);

/* Linux' selectors of user code and data */
#define CS32 0x23
#define CS64 0x33
#define DS 0x2b

__asm__(".text\n"
	".globl native_enter\n"
	"native_enter:\n"
	"	push %rbx\n push %rbp\n push %r12\n"
	"	push %r13\n push %r14\n push %r15\n"
	"	movq %rsp, 0x20350090\n"
	"	cmpq $0, 0x20350098\n"
	"	je 1f\n"
	"	movl $7, %eax\n xorl %edx, %edx\n"
	"	xrstor64 0x203500c0\n"
	"1:	pushq 0x20350088\n popfq\n"
	"	movq 0x20350000, %rax\n movq 0x20350008, %rcx\n"
	"	movq 0x20350010, %rdx\n movq 0x20350018, %rbx\n"
	"	movq 0x20350020, %rsp\n movq 0x20350028, %rbp\n"
	"	movq 0x20350030, %rsi\n movq 0x20350038, %rdi\n"
	"	movq 0x20350040, %r8\n movq 0x20350048, %r9\n"
	"	movq 0x20350050, %r10\n movq 0x20350058, %r11\n"
	"	movq 0x20350060, %r12\n movq 0x20350068, %r13\n"
	"	movq 0x20350070, %r14\n movq 0x20350078, %r15\n"
	"	jmp *0x20350080\n"
	".globl native_far\n"
	"native_far:\n"
	"	ljmpl *0x203500a0\n"
	".globl native_exit\n"
	"native_exit:\n"
	"	movq %rax, 0x20350000\n movq %rcx, 0x20350008\n"
	"	movq %rdx, 0x20350010\n movq %rbx, 0x20350018\n"
	"	movq %rsp, 0x20350020\n movq %rbp, 0x20350028\n"
	"	movq %rsi, 0x20350030\n movq %rdi, 0x20350038\n"
	"	movq %r8, 0x20350040\n movq %r9, 0x20350048\n"
	"	movq %r10, 0x20350050\n movq %r11, 0x20350058\n"
	"	movq %r12, 0x20350060\n movq %r13, 0x20350068\n"
	"	movq %r14, 0x20350070\n movq %r15, 0x20350078\n"
	"	movq 0x20350090, %rsp\n"
	"	pushfq\n popq 0x20350088\n"
	"	cmpq $0, 0x20350098\n"
	"	je native_exit_fault\n"
	"	movl $7, %eax\n xorl %edx, %edx\n"
	"	xsave64 0x203500c0\n"
	".globl native_exit_fault\n"
	"native_exit_fault:\n"
	"	movq 0x20350090, %rsp\n"
	"	cld\n"
	"	fninit\n"
	"	vzeroupper\n"
	"	pushq $0x1f80\n ldmxcsr (%rsp)\n popq %rax\n"
	"	pop %r15\n pop %r14\n pop %r13\n"
	"	pop %r12\n pop %rbp\n pop %rbx\n"
	"	ret\n");

static void put_jump(uint8_t *p);

static struct fault signal_fault;

/* Order of gregs[] to ours */
static const int greg[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP,
	REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12,
	REG_R13, REG_R14, REG_R15 };

/* The frame has the CPU's XSAVE image behind the pointer. */
static void
take_fp(const ucontext_t *uc)
{
	const uint8_t *image = (const uint8_t *)uc->uc_mcontext.fpregs;
	uint64_t bv;

	memcpy(CTX->xsave, image, XSAVE_SIZE);
	memcpy(&bv, image + XS_HEADER, sizeof(bv));
	if (!(bv & 4))
		memset(CTX->xsave + XS_YMMH, 0, 256);
}

static void
on_signal(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;
	greg_t *g = uc->uc_mcontext.gregs;

	if ((uint64_t)g[REG_RIP] - CODE_ADDR > CODE_SIZE &&
	    g[REG_TRAPNO] != 14 && g[REG_TRAPNO] != 13) {
		signal(sig, SIG_DFL);
		return;
	}
	for (unsigned i = 0; i < 16; i++)
		CTX->gpr[i] = (uint64_t)g[greg[i]];
	CTX->rip = (uint64_t)g[REG_RIP];
	CTX->rflags = (uint64_t)g[REG_EFL];
	if (CTX->fp)
		take_fp(uc);
	signal_fault.vector = (int)g[REG_TRAPNO];
	signal_fault.error = (uint64_t)g[REG_ERR];
	signal_fault.cr2 = (uint64_t)g[REG_CR2];
	g[REG_EFL] &= ~(greg_t)0x40500; /* AC DF TF */
	g[REG_RIP] = (greg_t)(uintptr_t)native_exit_fault;
	g[REG_CSGSFS] = (g[REG_CSGSFS] & ~(greg_t)0xffff) | CS64;
}

static int
map_fixed(uint64_t addr, size_t size, int prot, int fd)
{
	void *p = mmap((void *)addr, size, prot,
	    MAP_FIXED_NOREPLACE |
		(fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
	    fd, 0);

	return p == MAP_FAILED ? -errno : 0;
}

static int
map_regions(void)
{
	int fd = memfd_create("data", MFD_CLOEXEC), rc;

	if (fd < 0 || ftruncate(fd, DATA_SIZE) != 0)
		return -errno;
	rc = map_fixed(
	    CTX_ADDR, sizeof(struct context), PROT_READ | PROT_WRITE, -1);
	if (rc == 0)
		rc = map_fixed(CODE_ADDR, CODE_SIZE,
		    PROT_READ | PROT_WRITE | PROT_EXEC, -1);
	if (rc == 0)
		rc = map_fixed(
		    STUB_ADDR, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
	if (rc == 0)
		rc =
		    map_fixed(DATA_ADDR, DATA_SIZE, PROT_READ | PROT_WRITE, fd);
	if (rc == 0 && mprotect(native_data + DATA_RW, PAGE, PROT_READ) != 0)
		rc = -errno;
	data_alias =
	    mmap(NULL, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (rc == 0 && data_alias == MAP_FAILED)
		rc = -errno;
	close(fd);
	return rc;
}

uint8_t *
native_data_writable(void)
{
	return data_alias;
}

int
native_init(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
		SIGTRAP };
	static uint8_t stack[65536] __attribute__((aligned(64)));
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK };
	int rc = map_regions();

	if (rc < 0)
		return rc;
	put_jump((uint8_t *)STUB_ADDR);
	/* 64-bit code does not care, 32-bit code needs them. */
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(DS));
	if (sigaltstack(&ss, NULL) != 0)
		return -errno;
	sigfillset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &sa, NULL) != 0)
			return -errno;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE) != 0)
		return -errno;
	return 0;
}

/* 64-bit code: jmp *0(%rip) and the address behind it */
static void
put_jump(uint8_t *p)
{
	uint64_t to = (uint64_t)(uintptr_t)native_exit;

	p[0] = 0xff;
	p[1] = 0x25;
	memset(p + 2, 0, 4);
	memcpy(p + 6, &to, sizeof(to));
}

/* 32-bit code goes back to 64-bit code in the stub page first. */
static void
put_exit(uint8_t *p, unsigned mode)
{
	uint32_t to = STUB_ADDR;
	uint16_t cs = CS64;

	if (mode == 8) {
		put_jump(p);
		return;
	}
	p[0] = 0xea;
	memcpy(p + 1, &to, sizeof(to));
	memcpy(p + 5, &cs, sizeof(cs));
}

void
native_run(struct regs *r, unsigned len, unsigned mode, bool fp, bool branch,
    struct fault *ret)
{
	uint8_t *next = (uint8_t *)r->rip + len, kept[14];
	uint64_t next_rip = r->rip + len;
	bool room = next + sizeof(kept) <= native_code + CODE_SIZE;

	memcpy(CTX->gpr, r->gpr, sizeof(r->gpr));
	CTX->rip = mode == 8 ? r->rip : (uint64_t)(uintptr_t)native_far;
	CTX->far_rip = (uint32_t)r->rip;
	CTX->far_cs = CS32;
	CTX->rflags = r->rflags;
	CTX->fp = fp;
	if (fp)
		memcpy(CTX->xsave, r->xsave, XSAVE_SIZE);
	if (room) {
		memcpy(kept, next, sizeof(kept));
		if (!branch)
			put_exit(next, mode);
	}
	signal_fault = (struct fault){ .vector = -1 };
	native_enter();
	memcpy(r->gpr, CTX->gpr, sizeof(r->gpr));
	r->rflags = CTX->rflags;
	if (fp)
		memcpy(r->xsave, CTX->xsave, XSAVE_SIZE);
	if (room)
		memcpy(next, kept, sizeof(kept));
	*ret = signal_fault;
	r->rip = ret->vector < 0 ? next_rip : CTX->rip;
	/* The code page is full of INT3: a branch arrived there. */
	if (branch && ret->vector == 3) {
		r->rip--;
		ret->vector = -1;
	}
	/*
	 * Or somewhere that can't be fetched from: it did its work too, and
	 * the fault is the next instruction's.
	 */
	if (branch && ret->vector == 14 && (ret->error & 16) != 0)
		ret->vector = -1;
}
