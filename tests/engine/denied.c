/*
 * FP and SIMD instructions that the control registers deny, which can't be seen
 * at CPL 3 of the host: a table of what has to come (Intel SDM vol. 2, the
 * exception lists; vol. 3, table 2-2).
 */
#include <signal.h>
#include <string.h>

#include "soft.h"
#include "tap.h"
#include "vmm/soft/cpu.h"

#define CR0 UINT64_C(0x80050033)
#define CR4 \
	(X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE)
#define OK (-1)

/* Instructions; memory operands are at RDI. */
#define FADD "\xd8\xc1"
#define FWAIT "\x9b"
#define FNINIT "\xdb\xe3"
#define PADDB_MM "\x0f\xfc\xc1"
#define PADDB_XMM "\x66\x0f\xfc\xc1"
#define ADDPS "\x0f\x58\xc1"
#define DIVPS "\x0f\x5e\xc1"
#define VADDPS "\xc5\xf8\x58\xc1"
#define MOVAPS "\x0f\x28\x07"
#define MOVUPS "\x0f\x10\x07"
#define VMOVAPS "\xc5\xfc\x28\x07"
#define VADDPS_M "\xc5\xfc\x58\x07"
#define FADD_M "\xd8\x07"
#define LDMXCSR "\x0f\xae\x17"

static const struct row {
	const char *insn;
	uint64_t cr0, cr4; /* bits flipped */
	uint64_t xcr0;
	int vector;
	uint32_t mxcsr; /* 0: the usual one */
	uint16_t fcw, fsw;
	uint64_t offset; /* of RDI */
} rows[] = {
	{ ADDPS, 0, 0, 7, OK },
	{ VADDPS, 0, 0, 7, OK },
	{ FADD, 0, 0, 7, OK },
	{ PADDB_MM, 0, 0, 7, OK },
	{ FADD, X86_CR0_TS, 0, 7, X86_EXC_NM },
	{ FNINIT, X86_CR0_TS, 0, 7, X86_EXC_NM },
	{ PADDB_MM, X86_CR0_TS, 0, 7, X86_EXC_NM },
	{ PADDB_XMM, X86_CR0_TS, 0, 7, X86_EXC_NM },
	{ ADDPS, X86_CR0_TS, 0, 7, X86_EXC_NM },
	{ VADDPS, X86_CR0_TS, 0, 7, X86_EXC_NM },
	{ FWAIT, X86_CR0_TS, 0, 7, X86_EXC_NM },
	{ FWAIT, X86_CR0_TS | X86_CR0_MP, 0, 7, OK },
	{ FADD, X86_CR0_EM, 0, 7, X86_EXC_NM },
	{ PADDB_MM, X86_CR0_EM, 0, 7, X86_EXC_UD },
	{ ADDPS, X86_CR0_EM, 0, 7, X86_EXC_UD },
	{ FWAIT, X86_CR0_EM, 0, 7, OK },
	{ ADDPS, 0, X86_CR4_OSFXSR, 7, X86_EXC_UD },
	{ LDMXCSR, 0, X86_CR4_OSFXSR, 7, X86_EXC_UD },
	{ PADDB_MM, 0, X86_CR4_OSFXSR, 7, OK },
	{ FADD, 0, X86_CR4_OSFXSR, 7, OK },
	{ VADDPS, 0, X86_CR4_OSXSAVE, 7, X86_EXC_UD },
	{ ADDPS, 0, X86_CR4_OSXSAVE, 7, OK },
	{ VADDPS, 0, 0, 3, X86_EXC_UD },
	{ ADDPS, 0, 0, 1, OK },
	/* 0 / 0 unmasked */
	{ DIVPS, 0, 0, 7, X86_EXC_XM, 0x1f00 },
	{ DIVPS, 0, X86_CR4_OSXMMEXCPT, 7, X86_EXC_UD, 0x1f00 },
	{ DIVPS, 0, 0, 7, OK, 0x1f80 },
	/* a pending x87 exception */
	{ FADD, 0, 0, 7, X86_EXC_MF, 0, 0x37e, 0x8081 },
	{ FWAIT, 0, 0, 7, X86_EXC_MF, 0, 0x37e, 0x8081 },
	{ PADDB_MM, 0, 0, 7, X86_EXC_MF, 0, 0x37e, 0x8081 },
	{ FADD_M, 0, 0, 7, X86_EXC_MF, 0, 0x37e, 0x8081, DATA_SIZE },
	{ FNINIT, 0, 0, 7, OK, 0, 0x37e, 0x8081 },
	{ ADDPS, 0, 0, 7, OK, 0, 0x37e, 0x8081 },
	/* alignment and pages */
	{ MOVAPS, 0, 0, 7, OK, .offset = 16 },
	{ MOVAPS, 0, 0, 7, X86_EXC_GP, .offset = 8 },
	{ MOVUPS, 0, 0, 7, OK, .offset = PAGE - 3 },
	{ VMOVAPS, 0, 0, 7, X86_EXC_GP, .offset = 16 },
	{ VADDPS_M, 0, 0, 7, OK, .offset = PAGE - 1 },
	{ MOVUPS, 0, 0, 7, X86_EXC_PF, .offset = DATA_SIZE - 15 },
	{ LDMXCSR, 0, 0, 7, X86_EXC_GP, .offset = 64 },
};

static void
run(const struct row *w, size_t i, bool warm)
{
	static const uint8_t hlt = 0xf4;
	struct regs r = { .rip = CODE_ADDR + 64, .rflags = 0x202 };
	uint32_t mxcsr = w->mxcsr != 0 ? w->mxcsr : 0x1f80;
	uint16_t fcw = w->fcw != 0 ? w->fcw : 0x37f;
	size_t n = strlen(w->insn);
	struct fault f;

	memcpy(r.xsave + XS_FCW, &fcw, 2);
	memcpy(r.xsave + XS_FSW, &w->fsw, 2);
	memcpy(r.xsave + XS_MXCSR, &mxcsr, 4);
	r.xsave[XS_FTW] = 0xff;
	r.gpr[7] = DATA_ADDR + w->offset;
	soft_test_set_code(r.rip, (const uint8_t *)w->insn, (unsigned)n);
	soft_test_set_code(r.rip + n, &hlt, 1);
	/* Once where all is allowed: nothing of that may stay. */
	if (warm) {
		struct regs first = r;

		soft_test_set_control(CR0, CR4, 7);
		soft_test_run_blocks(&first, &f);
	}
	soft_test_set_control(CR0 ^ w->cr0, CR4 ^ w->cr4, w->xcr0);
	soft_test_run_blocks(&r, &f);
	/* HLT behind it faults at CPL 3. */
	if (f.vector == X86_EXC_GP && r.rip == CODE_ADDR + 64 + n)
		f.vector = OK;
	if (f.vector != w->vector)
		tap_fail("row %zu: vector %d, not %d", i, f.vector, w->vector);
}

/* As the machine's vCPU threads do */
static void
block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGFPE);
	sigaddset(&set, SIGILL);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void
table(void)
{
	block_signals();
	tap_check_int(soft_test_init(), 0);
	memset(soft_test_data() + 64, 0xff, 64);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(&rows[i], i, false);
		run(&rows[i], i, true);
	}
	soft_test_destroy();
}

static const struct tap_test tests[] = {
	TAP_TEST(table),
};
TAP_MAIN(tests)
