/*
 * Running FP and SIMD instructions: live state, memory operands, exceptions.
 */
#include "vmm/soft/fpu.h"

#include <stddef.h>

#include "vmm/soft/fpu_cache.h"

#define MXCSR_RESET 0x1f80u
#define MXCSR_VALID 0xffffu
#define FCW_VALID 0x1f7fu
#define FCW_RESET 0x037fu

const struct soft_fp_thunk soft_fp_no_thunk;

/* ---- live state ---- */

static uint32_t
get_mxcsr(void)
{
	uint32_t v;

	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

static void
set_mxcsr(uint32_t v)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(v));
}

static uint32_t
saved_mxcsr(const struct soft_cpu *cpu)
{
	uint32_t v;

	memcpy(&v, cpu->xsave + SOFT_MXCSR, sizeof(v));
	return v;
}

void
soft_fp_make_live(struct soft_cpu *cpu, unsigned what)
{
	struct soft_fp *fp = cpu->fp;

	what &= ~(unsigned)cpu->fp_live;
	if (what == 0)
		return;
	if ((cpu->fp_live & SOFT_FP_LIVE) == 0)
		fp->host_mxcsr = get_mxcsr();
	if (what & SOFT_FP_X87) {
		uint32_t mxcsr = get_mxcsr();

		/* It loads the vector registers too, which are free. */
		__asm__ volatile("fxrstor64 %0" : : "m"(cpu->xsave));
		set_mxcsr(mxcsr);
	}
	if (what & SOFT_FP_MXCSR)
		set_mxcsr(saved_mxcsr(cpu));
	cpu->fp_live |= (uint8_t)what;
}

/*
 * FIP, FDP and FOP of the image are host addresses of thunks; the guest's are
 * in cpu->xsave all the time.
 */
static void
save_x87(struct soft_cpu *cpu)
{
	uint8_t *image = cpu->fp->image;

	__asm__ volatile("fxsave64 %0\n\tfninit" : "=m"(cpu->fp->image));
	memcpy(cpu->xsave, image, SOFT_X87_FOP);
	memcpy(cpu->xsave + SOFT_ST(0), image + SOFT_ST(0), 128);
}

void
soft_fp_sync_slow(struct soft_cpu *cpu)
{
	uint32_t mxcsr = get_mxcsr();

	if (cpu->fp_live & SOFT_FP_X87)
		save_x87(cpu);
	if (cpu->fp_live & SOFT_FP_MXCSR)
		memcpy(cpu->xsave + SOFT_MXCSR, &mxcsr, sizeof(mxcsr));
	cpu->fp_live &= (uint8_t)~SOFT_FP_LIVE;
	set_mxcsr(cpu->fp->host_mxcsr);
}

void
soft_fp_sanitize(struct soft_cpu *cpu)
{
	uint8_t *x = cpu->xsave;
	uint32_t mxcsr = saved_mxcsr(cpu) & MXCSR_VALID;
	uint16_t fcw, fsw;

	memcpy(&fcw, x + SOFT_X87_FCW, sizeof(fcw));
	memcpy(&fsw, x + SOFT_X87_FSW, sizeof(fsw));
	fcw = (fcw & FCW_VALID) | 0x40;
	/* ES, and B that copies it, follow from the flags and the masks. */
	fsw &= 0x7f7f;
	if ((fsw & ~fcw & 0x3f) != 0)
		fsw |= 0x8080;
	memcpy(x + SOFT_X87_FCW, &fcw, sizeof(fcw));
	memcpy(x + SOFT_X87_FSW, &fsw, sizeof(fsw));
	memcpy(x + SOFT_MXCSR, &mxcsr, sizeof(mxcsr));
	for (unsigned i = 0; i < 8; i++)
		memset(x + SOFT_ST(i) + 10, 0, 6);
}

void
soft_fp_reset(struct soft_cpu *cpu)
{
	uint16_t fcw = FCW_RESET;
	uint32_t mxcsr = MXCSR_RESET;

	soft_fp_sync(cpu);
	memset(cpu->xsave, 0, sizeof(cpu->xsave));
	memcpy(cpu->xsave + SOFT_X87_FCW, &fcw, sizeof(fcw));
	memcpy(cpu->xsave + SOFT_MXCSR, &mxcsr, sizeof(mxcsr));
}

/* ---- running ---- */

/*
 * Where the last x87 instruction and its operand were. Selectors are kept as 0,
 * as processors do that have dropped FCS and FDS (CPUID 7 EBX bit 13).
 */
static void
note_address(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t, uint64_t lin)
{
	uint64_t fip = soft_insn_rip(cpu);
	uint64_t fdp = lin - cpu->segbase[in->seg];
	uint16_t fop = (uint16_t)((in->opcode & 7) << 8 | in->modrm);

	if (in->mode != 8) {
		fip = (uint32_t)fip;
		fdp = (uint32_t)fdp;
	}
	memcpy(cpu->xsave + SOFT_X87_FOP, &fop, sizeof(fop));
	memcpy(cpu->xsave + SOFT_X87_FIP, &fip, sizeof(fip));
	if (t->mem != SOFT_FP_NO_MEM)
		memcpy(cpu->xsave + SOFT_X87_FDP, &fdp, sizeof(fdp));
}

void
soft_fp_failed(struct soft_cpu *cpu, unsigned vector)
{
	if (vector == X86_EXC_GP)
		soft_raise_error(cpu, vector, 0);
	if (vector == X86_EXC_XM && !(cpu->cr4 & X86_CR4_OSXMMEXCPT))
		vector = X86_EXC_UD;
	soft_raise(cpu, vector);
}

/* ---- memory operands ---- */

/*
 * A pending x87 exception comes before anything the memory operand may raise.
 * Fast accesses need no look, as the instruction itself reports it.
 */
static void
check_pending(struct soft_cpu *cpu, const struct soft_fp_thunk *t)
{
	uint16_t fsw;

	if (!t->waits)
		return;
	if (cpu->fp_live & SOFT_FP_X87)
		__asm__ volatile("fnstsw %0" : "=am"(fsw));
	else
		memcpy(&fsw, cpu->xsave + SOFT_X87_FSW, sizeof(fsw));
	if (fsw & 0x80)
		soft_raise(cpu, X86_EXC_MF);
}

static uint64_t
operand_address(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	uint64_t lin;

	if (unlikely(in->mode != 8))
		check_pending(cpu, t);
	lin = soft_ea(cpu, in, t->size, t->mem == SOFT_FP_STORE);
	if (unlikely((lin & t->align) != 0)) {
		check_pending(cpu, t);
		soft_raise_error(cpu, X86_EXC_GP, 0);
	}
	return lin;
}

static void *
load_operand(struct soft_cpu *cpu, const struct soft_fp_thunk *t, uint64_t lin)
{
	void *p = soft_host_read(cpu, lin, t->size);

	if (likely(p != NULL))
		return p;
	check_pending(cpu, t);
	soft_read(cpu, lin, cpu->fp->bounce, t->size);
	return cpu->fp->bounce;
}

/*
 * Run a store into the bounce buffer. false: it ended without storing (an
 * unmasked x87 exception), as a pattern that stays tells.
 */
static bool
run_bounced(struct soft_cpu *cpu, const struct soft_fp_thunk *t)
{
	uint8_t pattern[sizeof(cpu->fp->bounce)];

	memset(pattern, 0xa7, sizeof(pattern));
	memcpy(cpu->fp->bounce, pattern, sizeof(pattern));
	soft_fp_make_live(cpu, t->live);
	t->code(cpu, cpu->fp->bounce, NULL);
	return !t->x87 || memcmp(cpu->fp->bounce, pattern, t->size) != 0;
}

/*
 * x87 with unmasked exceptions: only an instruction that does store can have a
 * page fault, and then the registers must be as before.
 */
static void
run_store_unmasked(
    struct soft_cpu *cpu, const struct soft_fp_thunk *t, uint64_t lin)
{
	uint8_t before[SOFT_XMM(0)], after[SOFT_XMM(0)];

	soft_fp_sync(cpu);
	memcpy(before, cpu->xsave, sizeof(before));
	if (!run_bounced(cpu, t))
		return;
	soft_fp_sync(cpu);
	memcpy(after, cpu->xsave, sizeof(after));
	memcpy(cpu->xsave, before, sizeof(before));
	soft_probe_write(cpu, lin, t->size);
	memcpy(cpu->xsave, after, sizeof(after));
	soft_write(cpu, lin, cpu->fp->bounce, t->size);
}

/* A store that does not lie in one page that can just be written. */
static void
run_store_slow(
    struct soft_cpu *cpu, const struct soft_fp_thunk *t, uint64_t lin)
{
	check_pending(cpu, t);
	/* VCVTPS2PH: its exceptions come first, the flags stay. */
	if (t->live & SOFT_FP_MXCSR) {
		if (run_bounced(cpu, t))
			soft_write(cpu, lin, cpu->fp->bounce, t->size);
		return;
	}
	if (t->x87) {
		soft_fp_sync(cpu);
		if ((~cpu->xsave[SOFT_X87_FCW] & 0x3f) != 0) {
			run_store_unmasked(cpu, t, lin);
			return;
		}
	}
	soft_probe_write(cpu, lin, t->size);
	if (run_bounced(cpu, t))
		soft_write(cpu, lin, cpu->fp->bounce, t->size);
}

/* After the access: a device's callback ends live state. */
static inline void
run_live(struct soft_cpu *cpu, const struct soft_fp_thunk *t, void *mem)
{
	if (unlikely((t->live & ~cpu->fp_live) != 0))
		soft_fp_make_live(cpu, t->live);
	t->code(cpu, mem, NULL);
}

void
soft_fp_run(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	uint64_t lin = 0;
	void *p;

	if (unlikely(t->special != NULL)) {
		t->special(cpu, in, t);
		return;
	}
	if (t->mem == SOFT_FP_NO_MEM) {
		run_live(cpu, t, NULL);
	} else {
		lin = operand_address(cpu, in, t);
		p = t->mem == SOFT_FP_LOAD ? load_operand(cpu, t, lin)
					   : soft_host_write(cpu, lin, t->size);
		if (likely(p != NULL))
			run_live(cpu, t, p);
		else
			run_store_slow(cpu, t, lin);
	}
	if (t->x87)
		note_address(cpu, in, t, lin);
}

/* ---- instructions with a twist ---- */

void
soft_fp_fninit(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	soft_fp_make_live(cpu, t->live);
	t->code(cpu, NULL, NULL);
	memset(cpu->xsave + SOFT_X87_FOP, 0, SOFT_MXCSR - SOFT_X87_FOP);
}

void
soft_fp_ldmxcsr(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	uint32_t v;

	soft_read(cpu, operand_address(cpu, in, t), &v, sizeof(v));
	if ((v & ~MXCSR_VALID) != 0)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	memcpy(cpu->xsave + SOFT_MXCSR, &v, sizeof(v));
	if (cpu->fp_live & SOFT_FP_MXCSR)
		set_mxcsr(v);
}

void
soft_fp_stmxcsr(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	uint32_t v =
	    cpu->fp_live & SOFT_FP_MXCSR ? get_mxcsr() : saved_mxcsr(cpu);

	soft_write(cpu, operand_address(cpu, in, t), &v, sizeof(v));
}

/* VZEROUPPER, VZEROALL (VEX.L = 1); eight registers outside 64-bit code. */
void
soft_fp_vzero(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	size_t n = in->mode == 8 ? 16 : 8;

	memset(cpu->xsave + SOFT_YMMH(0), 0, 16 * n);
	if (in->vl)
		memset(cpu->xsave + SOFT_XMM(0), 0, 16 * n);
}
