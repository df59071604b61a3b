/*
 * String instructions. With REP and rising addresses they work in chunks that
 * stay inside a page on both sides, by the host's own REP instructions; the
 * rest goes element by element. Registers are right after each chunk, so a
 * fault or an interrupt in between needs nothing else.
 */
#include "vmm/soft/debug.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/insn.h"
#include "vmm/soft/vm.h"

static uint64_t
cut(uint64_t v, unsigned adsize)
{
	return adsize == 8 ? v : adsize == 4 ? (uint32_t)v : (uint16_t)v;
}

static unsigned
element(const struct x86_insn *in)
{
	if (!(in->opcode & 1))
		return 1;
	if (in->row->attr & X86_A_IO || in->row->mn == X86_MN_INS ||
	    in->row->mn == X86_MN_OUTS)
		return in->opsize == 2 ? 2 : 4;
	return in->opsize;
}

static bool
rep(const struct x86_insn *in)
{
	return in->pfx & (X86_PFX_REP | X86_PFX_REPNE);
}

static void
advance(struct soft_cpu *cpu, const struct x86_insn *in, unsigned reg,
    uint64_t bytes)
{
	uint64_t v = cpu->gpr[reg];

	v = cpu->rflags & X86_FL_DF ? v - bytes : v + bytes;
	soft_set_reg(cpu, reg, in->adsize, v);
}

/* n iterations done. */
static void
count_down(struct soft_cpu *cpu, const struct x86_insn *in, uint64_t n)
{
	soft_set_reg(cpu, X86_RCX, in->adsize, cpu->gpr[X86_RCX] - n);
}

static uint64_t
counter(struct soft_cpu *cpu, const struct x86_insn *in)
{
	return rep(in) ? cut(cpu->gpr[X86_RCX], in->adsize) : 1;
}

static uint64_t
lin_of(struct soft_cpu *cpu, const struct x86_insn *in, unsigned reg,
    unsigned seg, unsigned size, bool write)
{
	return soft_seg_lin(
	    cpu, seg, cut(cpu->gpr[reg], in->adsize), size, write);
}

/* Let events in between chunks: the instruction starts again. */
static void
breathe(struct soft_cpu *cpu, uint64_t left)
{
	if (left > 0 &&
	    unlikely(atomic_load_explicit(&cpu->request, memory_order_relaxed)))
		soft_restart(cpu);
}

/*
 * Elements from the address that fit into its page, at most n; 0 = the slow
 * way (backwards, not flat, stepped, element crosses the page).
 */
static uint64_t
chunk(struct soft_cpu *cpu, const struct x86_insn *in, unsigned reg,
    uint64_t lin, unsigned size, uint64_t n)
{
	uint64_t room = (4096 - (lin & 0xfff)) / size;
	uint64_t wrap;

	if ((cpu->rflags & X86_FL_DF) ||
	    (atomic_load_explicit(&cpu->request, memory_order_relaxed) &
		SOFT_REQ_STEP))
		return 0;
	if (cpu->mode != 8) {
		/* limits are checked for one element only: stay careful */
		wrap = in->adsize == 2 ? 0x10000 : UINT64_C(0x100000000);
		wrap -= cut(cpu->gpr[reg], in->adsize);
		if (cpu->seg[X86_ES].limit != 0xffffffff ||
		    cpu->seg[in->seg].limit != 0xffffffff || wrap < 4096)
			return 0;
	}
	return n < room ? n : room;
}

void
soft_rep_movs(void *dst, const void *src, unsigned size, uint64_t n)
{
	switch (size) {
	case 1:
		__asm__ volatile("rep movsb"
				 : "+D"(dst), "+S"(src), "+c"(n)
				 :
				 : "memory");
		break;
	case 2:
		__asm__ volatile("rep movsw"
				 : "+D"(dst), "+S"(src), "+c"(n)
				 :
				 : "memory");
		break;
	case 4:
		__asm__ volatile("rep movsl"
				 : "+D"(dst), "+S"(src), "+c"(n)
				 :
				 : "memory");
		break;
	default:
		__asm__ volatile("rep movsq"
				 : "+D"(dst), "+S"(src), "+c"(n)
				 :
				 : "memory");
		break;
	}
}

void
soft_rep_stos(void *dst, uint64_t v, unsigned size, uint64_t n)
{
	switch (size) {
	case 1:
		__asm__ volatile("rep stosb"
				 : "+D"(dst), "+c"(n)
				 : "a"(v)
				 : "memory");
		break;
	case 2:
		__asm__ volatile("rep stosw"
				 : "+D"(dst), "+c"(n)
				 : "a"(v)
				 : "memory");
		break;
	case 4:
		__asm__ volatile("rep stosl"
				 : "+D"(dst), "+c"(n)
				 : "a"(v)
				 : "memory");
		break;
	default:
		__asm__ volatile("rep stosq"
				 : "+D"(dst), "+c"(n)
				 : "a"(v)
				 : "memory");
		break;
	}
}

INSN(movs)
{
	unsigned size = element(in);
	uint64_t left = counter(cpu, in), src, dst, n, m;
	const void *s;
	void *d;

	while (left > 0) {
		src = lin_of(cpu, in, X86_RSI, in->seg, size, false);
		dst = lin_of(cpu, in, X86_RDI, X86_ES, size, true);
		n = chunk(cpu, in, X86_RSI, src, size, left);
		m = chunk(cpu, in, X86_RDI, dst, size, n);
		n = m < n ? m : n;
		if (n > 1 && (s = soft_host_read(cpu, src, 1)) != NULL &&
		    (d = soft_host_write(cpu, dst, 1)) != NULL) {
			soft_rep_movs(d, s, size, n);
		} else {
			n = 1;
			cpu->mem_seg = in->seg;
			m = soft_read_sized(cpu, src, size);
			cpu->mem_seg = X86_ES;
			soft_write_sized(cpu, dst, size, m);
		}
		advance(cpu, in, X86_RSI, n * size);
		advance(cpu, in, X86_RDI, n * size);
		if (rep(in))
			count_down(cpu, in, n);
		left -= n;
		breathe(cpu, left);
	}
}

INSN(stos)
{
	unsigned size = element(in);
	uint64_t left = counter(cpu, in), dst, n;
	void *d;

	while (left > 0) {
		dst = lin_of(cpu, in, X86_RDI, X86_ES, size, true);
		n = chunk(cpu, in, X86_RDI, dst, size, left);
		if (n > 1 && (d = soft_host_write(cpu, dst, 1)) != NULL) {
			soft_rep_stos(d, cpu->gpr[X86_RAX], size, n);
		} else {
			n = 1;
			soft_write_sized(cpu, dst, size, cpu->gpr[X86_RAX]);
		}
		advance(cpu, in, X86_RDI, n * size);
		if (rep(in))
			count_down(cpu, in, n);
		left -= n;
		breathe(cpu, left);
	}
}

INSN(lods)
{
	unsigned size = element(in);
	uint64_t left = counter(cpu, in), v;

	while (left > 0) {
		v = soft_read_sized(
		    cpu, lin_of(cpu, in, X86_RSI, in->seg, size, false), size);
		if (size == 1)
			*(uint8_t *)&cpu->gpr[X86_RAX] = (uint8_t)v;
		else
			soft_set_reg(cpu, X86_RAX, size, v);
		advance(cpu, in, X86_RSI, size);
		if (rep(in))
			count_down(cpu, in, 1);
		left--;
		breathe(cpu, left);
	}
}

/* REPE goes on while equal, REPNE while not. */
static bool
goes_on(struct soft_cpu *cpu, const struct x86_insn *in)
{
	return !(cpu->fl & FL_ZF) == !(in->pfx & X86_PFX_REP);
}

/*
 * What interrupts a repeated comparison, a fault too, finds the flags from
 * before the instruction (Intel SDM vol. 2, REP).
 */
INSN(scas)
{
	unsigned size = element(in);
	uint64_t left = counter(cpu, in), v;
	uint16_t before = cpu->fl;

	while (left > 0) {
		v = soft_read_sized(
		    cpu, lin_of(cpu, in, X86_RDI, X86_ES, size, false), size);
		advance(cpu, in, X86_RDI, size);
		soft_compare(cpu, cpu->gpr[X86_RAX], v, size);
		if (!rep(in))
			return;
		count_down(cpu, in, 1);
		left--;
		if (left == 0 || !goes_on(cpu, in))
			return;
		cpu->fl = before;
		breathe(cpu, left);
	}
}

INSN(cmps)
{
	unsigned size = element(in);
	uint64_t left = counter(cpu, in), a, b;
	uint16_t before = cpu->fl;

	while (left > 0) {
		b = soft_read_sized(
		    cpu, lin_of(cpu, in, X86_RDI, X86_ES, size, false), size);
		a = soft_read_sized(
		    cpu, lin_of(cpu, in, X86_RSI, in->seg, size, false), size);
		advance(cpu, in, X86_RSI, size);
		advance(cpu, in, X86_RDI, size);
		soft_compare(cpu, a, b, size);
		if (!rep(in))
			return;
		count_down(cpu, in, 1);
		left--;
		if (left == 0 || !goes_on(cpu, in))
			return;
		cpu->fl = before;
		breathe(cpu, left);
	}
}

static void
need_io(struct soft_cpu *cpu, uint16_t port, unsigned size)
{
	if (!soft_io_allowed(cpu, port, size))
		soft_raise_error(cpu, X86_EXC_GP, 0);
}

INSN(ins)
{
	unsigned size = element(in);
	uint16_t port = (uint16_t)cpu->gpr[X86_RDX];
	uint64_t left = counter(cpu, in), v, lin;

	need_io(cpu, port, size);
	soft_fp_sync(cpu);
	while (left > 0) {
		lin = lin_of(cpu, in, X86_RDI, X86_ES, size, true);
		soft_probe_write(cpu, lin, size);
		if (unlikely(cpu->io_bps))
			soft_debug_io(cpu, port, size);
		v = cpu->vm->client->pio_read(cpu->vm->machine, port, size);
		soft_write_sized(cpu, lin, size, v);
		advance(cpu, in, X86_RDI, size);
		if (rep(in))
			count_down(cpu, in, 1);
		left--;
		breathe(cpu, left);
	}
}

INSN(outs)
{
	unsigned size = element(in);
	uint16_t port = (uint16_t)cpu->gpr[X86_RDX];
	uint64_t left = counter(cpu, in), v;

	need_io(cpu, port, size);
	soft_fp_sync(cpu);
	while (left > 0) {
		v = soft_read_sized(
		    cpu, lin_of(cpu, in, X86_RSI, in->seg, size, false), size);
		if (unlikely(cpu->io_bps))
			soft_debug_io(cpu, port, size);
		cpu->vm->client->pio_write(
		    cpu->vm->machine, port, size, (uint32_t)v);
		advance(cpu, in, X86_RSI, size);
		if (rep(in))
			count_down(cpu, in, 1);
		left--;
		breathe(cpu, left);
	}
}
