/*
 * FLDENV, FNSTENV, FRSTOR, FNSAVE: the x87 environment in its four formats
 * (Intel SDM vol. 1, figures 8-9 to 8-12), made from and put into the FXSAVE
 * image in cpu->xsave.
 */
#include "vmm/soft/fpu.h"

#define FSW_TOP(fsw) (((fsw) >> 11) & 7)
#define FSW_ES 0x8080u /* error summary, and B which copies it */
#define FCW_MASKS 0x3fu
#define FCW_VALID 0x1f7fu /* bit 6 reads 1 */
#define REGS_SIZE 80

struct env {
	uint16_t fcw, fsw, ftw; /* ftw: two bits a register */
	uint16_t fop;
	uint64_t fip, fdp;
};

static uint16_t
get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void
put16(uint8_t *p, uint32_t v)
{
	uint16_t w = (uint16_t)v;

	memcpy(p, &w, sizeof(w));
}

static void
put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

/*
 * The image has the registers in the order of the stack. Another TOP renames
 * them, their places in the register file stay.
 */
void
soft_fp_set_top(struct soft_cpu *cpu, unsigned top)
{
	uint8_t regs[8][16];
	uint16_t fsw = get16(cpu->xsave + SOFT_X87_FSW);
	unsigned shift = top - FSW_TOP(fsw);

	memcpy(regs, cpu->xsave + SOFT_ST(0), sizeof(regs));
	for (unsigned i = 0; i < 8; i++)
		memcpy(cpu->xsave + SOFT_ST(i), regs[(i + shift) & 7], 16);
	put16(cpu->xsave + SOFT_X87_FSW, (fsw & ~0x3800u) | top << 11);
}

static bool
real_mode(const struct soft_cpu *cpu)
{
	return !(cpu->cr0 & X86_CR0_PE) || (cpu->rflags & X86_FL_VM) != 0;
}

/* Tag of a register that is in use: 0 valid, 1 zero, 2 special. */
static unsigned
tag_of(const uint8_t *st)
{
	uint64_t m;
	unsigned e = get16(st + 8) & 0x7fff;

	memcpy(&m, st, sizeof(m));
	if (e == 0)
		return m == 0 ? 1 : 2;
	return e == 0x7fff || m >> 63 == 0 ? 2 : 0;
}

static uint16_t
full_tags(const struct soft_cpu *cpu)
{
	unsigned used = cpu->xsave[SOFT_X87_FTW];
	unsigned top = FSW_TOP(get16(cpu->xsave + SOFT_X87_FSW));
	unsigned tags = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned tag = 3;

		if (used >> i & 1)
			tag = tag_of(cpu->xsave + SOFT_ST((i - top) & 7));
		tags |= tag << (2 * i);
	}
	return (uint16_t)tags;
}

static struct env
current_env(const struct soft_cpu *cpu)
{
	const uint8_t *x = cpu->xsave;
	struct env e = {
		.fcw = get16(x + SOFT_X87_FCW),
		.fsw = get16(x + SOFT_X87_FSW),
		.ftw = full_tags(cpu),
		.fop = get16(x + SOFT_X87_FOP) & 0x7ff,
	};

	memcpy(&e.fip, x + SOFT_X87_FIP, sizeof(e.fip));
	memcpy(&e.fdp, x + SOFT_X87_FDP, sizeof(e.fdp));
	return e;
}

/* ES follows from the flags and the masks. */
static void
set_env(struct soft_cpu *cpu, const struct env *e)
{
	uint8_t *x = cpu->xsave;
	uint16_t fcw = (e->fcw & FCW_VALID) | 0x40;
	uint16_t fsw = e->fsw & (uint16_t)~FSW_ES;
	unsigned used = 0;

	if ((fsw & ~fcw & FCW_MASKS) != 0)
		fsw |= FSW_ES;
	for (unsigned i = 0; i < 8; i++)
		if ((e->ftw >> (2 * i) & 3) != 3)
			used |= 1u << i;
	soft_fp_set_top(cpu, FSW_TOP(fsw));
	put16(x + SOFT_X87_FCW, fcw);
	put16(x + SOFT_X87_FSW, fsw);
	x[SOFT_X87_FTW] = (uint8_t)used;
	put16(x + SOFT_X87_FOP, e->fop & 0x7ff);
	memcpy(x + SOFT_X87_FIP, &e->fip, sizeof(e->fip));
	memcpy(x + SOFT_X87_FDP, &e->fdp, sizeof(e->fdp));
}

static void
pack32(const struct env *e, bool real, uint8_t *p)
{
	put32(p, 0xffff0000u | e->fcw);
	put32(p + 4, 0xffff0000u | e->fsw);
	put32(p + 8, 0xffff0000u | e->ftw);
	if (real) {
		put32(p + 12, (uint32_t)(0xffff0000u | (e->fip & 0xffff)));
		put32(p + 16, (uint32_t)(e->fip >> 16 & 0xffff) << 12 | e->fop);
		put32(p + 20, (uint32_t)(0xffff0000u | (e->fdp & 0xffff)));
		put32(p + 24, (uint32_t)(e->fdp >> 16 & 0xffff) << 12);
		return;
	}
	put32(p + 12, (uint32_t)e->fip);
	put32(p + 16, (uint32_t)e->fop << 16);
	put32(p + 20, (uint32_t)e->fdp);
	put32(p + 24, 0xffff0000u);
}

static void
pack16(const struct env *e, bool real, uint8_t *p)
{
	put16(p, e->fcw);
	put16(p + 2, e->fsw);
	put16(p + 4, e->ftw);
	put16(p + 6, (uint32_t)e->fip);
	put16(p + 10, (uint32_t)e->fdp);
	put16(p + 8, real ? (uint32_t)(e->fip >> 16 & 15) << 12 | e->fop : 0);
	put16(p + 12, real ? (uint32_t)(e->fdp >> 16 & 15) << 12 : 0);
}

static void
unpack32(const uint8_t *p, bool real, struct env *e)
{
	uint32_t w = get32(p + 16);

	e->fcw = get16(p);
	e->fsw = get16(p + 4);
	e->ftw = get16(p + 8);
	if (real) {
		e->fip = get16(p + 12) | (w >> 12 & 0xffff) << 16;
		e->fop = w & 0x7ff;
		e->fdp = get16(p + 20) | (get32(p + 24) >> 12 & 0xffff) << 16;
	} else {
		e->fip = get32(p + 12);
		e->fop = w >> 16 & 0x7ff;
		e->fdp = get32(p + 20);
	}
}

static void
unpack16(const uint8_t *p, bool real, struct env *e)
{
	e->fcw = get16(p);
	e->fsw = get16(p + 2);
	e->ftw = get16(p + 4);
	e->fip = get16(p + 6);
	e->fdp = get16(p + 10);
	e->fop = 0;
	if (real) {
		e->fop = get16(p + 8) & 0x7ff;
		e->fip |= (uint64_t)(get16(p + 8) >> 12) << 16;
		e->fdp |= (uint64_t)(get16(p + 12) >> 12) << 16;
	}
}

static unsigned
env_size(const struct x86_insn *in)
{
	return in->opsize == 2 ? 14 : 28;
}

static void
pack(const struct soft_cpu *cpu, const struct x86_insn *in, uint8_t *p)
{
	struct env e = current_env(cpu);

	if (in->opsize == 2)
		pack16(&e, real_mode(cpu), p);
	else
		pack32(&e, real_mode(cpu), p);
}

static void
unpack(struct soft_cpu *cpu, const struct x86_insn *in, const uint8_t *p)
{
	struct env e;

	if (in->opsize == 2)
		unpack16(p, real_mode(cpu), &e);
	else
		unpack32(p, real_mode(cpu), &e);
	set_env(cpu, &e);
}

/* FLDENV and FRSTOR are waiting instructions. */
static void
check_pending(struct soft_cpu *cpu)
{
	if (get16(cpu->xsave + SOFT_X87_FSW) & 0x80)
		soft_raise(cpu, X86_EXC_MF);
}

void
soft_fp_fldenv(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	uint8_t image[28];
	uint64_t lin;

	soft_fp_sync(cpu);
	check_pending(cpu);
	lin = soft_ea(cpu, in, env_size(in), false);
	soft_read(cpu, lin, image, env_size(in));
	unpack(cpu, in, image);
}

void
soft_fp_fnstenv(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	uint8_t image[28];

	soft_fp_sync(cpu);
	pack(cpu, in, image);
	soft_write(
	    cpu, soft_ea(cpu, in, env_size(in), true), image, env_size(in));
	cpu->xsave[SOFT_X87_FCW] |= FCW_MASKS;
	cpu->xsave[SOFT_X87_FSW] &= 0x7f;
	cpu->xsave[SOFT_X87_FSW + 1] &= 0x7f;
}

void
soft_fp_frstor(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	uint8_t image[28 + REGS_SIZE];
	unsigned n = env_size(in);

	soft_fp_sync(cpu);
	check_pending(cpu);
	soft_read(
	    cpu, soft_ea(cpu, in, n + REGS_SIZE, false), image, n + REGS_SIZE);
	unpack(cpu, in, image);
	for (unsigned i = 0; i < 8; i++) {
		memset(cpu->xsave + SOFT_ST(i), 0, 16);
		memcpy(cpu->xsave + SOFT_ST(i), image + n + 10 * i, 10);
	}
}

void
soft_fp_fnsave(struct soft_cpu *cpu, const struct x86_insn *in,
    const struct soft_fp_thunk *t)
{
	uint8_t image[28 + REGS_SIZE];
	unsigned n = env_size(in);

	soft_fp_sync(cpu);
	pack(cpu, in, image);
	for (unsigned i = 0; i < 8; i++)
		memcpy(image + n + 10 * i, cpu->xsave + SOFT_ST(i), 10);
	soft_write(
	    cpu, soft_ea(cpu, in, n + REGS_SIZE, true), image, n + REGS_SIZE);
	soft_fp_set_top(cpu, 0);
	memset(cpu->xsave, 0, SOFT_MXCSR);
	put16(cpu->xsave + SOFT_X87_FCW, 0x037f);
}
