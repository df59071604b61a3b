/*
 * The harness of system-mode tests, see sys.h.
 */
#include "sys.h"

void sys_enter(struct trap_frame *f);
void sys_back(void) __attribute__((noreturn));

static struct sys_regs *running;
static char trap_stack[8192] __attribute__((aligned(16)));

static bool
on_trap(struct trap_frame *f)
{
	struct sys_regs *r = running;

	if (r == NULL)
		return false;
	running = NULL;
	__asm__ volatile("mov %%cr2, %0" : "=r"(r->cr2));
	r->f = *f;
	sys_back();
}

void
sys_init(void)
{
	trap_hook = on_trap;
	guest_trap_stack(trap_stack + sizeof(trap_stack));
}

void
sys_done(void)
{
	trap_hook = NULL;
	guest_trap_stack(NULL);
}

void
sys_run(struct sys_regs *r)
{
	running = r;
	__asm__ volatile("mov %0, %%cr2" ::"r"(UINT64_C(0)));
	sys_enter(&r->f);
}

void
sys_regs_init(struct sys_regs *r, unsigned cpl, const void *rip, uint64_t rsp)
{
	memset(r, 0, sizeof(*r));
	r->f.rip = (uint64_t)rip;
	r->f.cs = cpl == 3 ? SYS_CS3 : SYS_CS0;
	r->f.ss = cpl == 3 ? SYS_SS3 : SYS_SS0;
	r->f.rsp = rsp;
	r->f.rflags = 2;
}

uint64_t *
sys_space(void)
{
	extern uint64_t pml4[512];
	uint64_t *p = balloc(4096, 4096);

	p[0] = pml4[0] & ~U;
	return p;
}

uint64_t *
sys_pte(uint64_t *space, uint64_t lin)
{
	uint64_t *t = space, *e;

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		e = &t[lin >> shift & 511];
		if (!(*e & P))
			*e = (uint64_t)balloc(4096, 4096) | PWU;
		t = (uint64_t *)(*e & ADDR);
	}
	return &t[lin >> 12 & 511];
}

bool
sys_is_soft(void)
{
	uint32_t r[4];

	cpuid(0x80000002, 0, r);
	return memcmp(r, "zhyve software C", 16) == 0;
}

static uint64_t
loop(uint64_t n)
{
	uint64_t t = rdtsc();

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
	return rdtsc() - t;
}

/* The shortest of a few runs: a busy host stretches some of them. */
bool
sys_ring0_emulated(void)
{
	uint64_t kernel = UINT64_MAX, user = UINT64_MAX, t;

	for (unsigned i = 0; i < 5; i++) {
		t = ring0(loop, 2000);
		kernel = t < kernel ? t : kernel;
		t = loop(2000);
		user = t < user ? t : user;
	}
	return kernel > 16 * user;
}
