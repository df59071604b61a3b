/*
 * Instructions as functions: the table by mnemonic, data movement, stack,
 * flags.
 */
#include "vmm/soft/insn.h"
#include "vmm/soft/atomic.h"

/* clang-format off */
#define MN8(a, b, c, d, e, f, g, h, fn) [X86_MN_##a] = fn, [X86_MN_##b] = fn, \
	[X86_MN_##c] = fn, [X86_MN_##d] = fn, [X86_MN_##e] = fn,          \
	[X86_MN_##f] = fn, [X86_MN_##g] = fn, [X86_MN_##h] = fn
#define MN4(a, b, c, d, fn) [X86_MN_##a] = fn, [X86_MN_##b] = fn,         \
	[X86_MN_##c] = fn, [X86_MN_##d] = fn
#define MN1(a, fn) [X86_MN_##a] = soft_insn_##fn

static soft_insn_fn *const table[X86_MN_COUNT] = {
	MN1(MOV, mov), MN1(XCHG, xchg), MN1(LEA, lea), MN1(PUSH, push),
	MN1(POP, pop), MN1(PUSHA, pusha), MN1(POPA, popa), MN1(ENTER, enter),
	MN1(LEAVE, leave), MN1(IMUL, imul), MN1(MOVSXD, movsxd),
	MN1(CBW, cbw), MN1(CWD, cwd), MN1(XLAT, xlat), MN1(BSWAP, bswap),
	MN1(MOVBE, movbe), MN1(MOVNTI, movnti), MN1(NOP, nop),
	MN1(PREFETCH, nop), MN1(PREFETCHW, nop), MN1(SALC, salc),
	MN1(BOUND, bound), MN1(CLC, flagop), MN1(STC, flagop),
	MN1(CMC, flagop), MN1(CLD, flagop), MN1(STD, flagop),
	MN1(PUSHF, pushf), MN1(POPF, popf), MN1(LAHF, lahf), MN1(SAHF, sahf),
	MN8(CMOVO, CMOVNO, CMOVB, CMOVAE, CMOVE, CMOVNE, CMOVBE, CMOVA, soft_insn_cmov),
	MN8(CMOVS, CMOVNS, CMOVP, CMOVNP, CMOVL, CMOVGE, CMOVLE, CMOVG, soft_insn_cmov),
	MN8(SETO, SETNO, SETB, SETAE, SETE, SETNE, SETBE, SETA, soft_insn_setcc),
	MN8(SETS, SETNS, SETP, SETNP, SETL, SETGE, SETLE, SETG, soft_insn_setcc),
	MN8(JO, JNO, JB, JAE, JE, JNE, JBE, JA, soft_insn_jcc),
	MN8(JS, JNS, JP, JNP, JL, JGE, JLE, JG, soft_insn_jcc),
	MN1(CLFLUSH, clflush), MN1(CLFLUSHOPT, clflush), MN1(CLWB, clflush),
	MN1(LFENCE, nop), MN1(MFENCE, nop), MN1(SFENCE, nop),

	MN1(MUL, mul), MN1(IMUL1, imul1), MN1(DIV, div), MN1(IDIV, idiv),
	MN4(BT, BTS, BTR, BTC, soft_insn_bt), MN1(BSF, bsx), MN1(BSR, bsx),
	MN1(TZCNT, xzcnt), MN1(LZCNT, xzcnt), MN1(POPCNT, popcnt),
	MN1(SHLD, shxd), MN1(SHRD, shxd), MN1(CMPXCHG, cmpxchg),
	MN1(CMPXCHG8B, cmpxchg8b), MN1(XADD, xadd), MN1(CRC32, crc32),
	MN1(ADCX, adx), MN1(ADOX, adx),
	MN8(ANDN, BLSR, BLSMSK, BLSI, BZHI, PEXT, PDEP, MULX, soft_insn_bmi),
	MN4(BEXTR, SHLX, SARX, SHRX, soft_insn_bmi), MN1(RORX, bmi),
	MN4(DAA, DAS, AAA, AAS, soft_insn_decimal), MN1(AAM, decimal),
	MN1(AAD, decimal), MN1(RDRAND, rdrand), MN1(RDSEED, rdrand),

	MN1(JMP, jmp), MN1(CALL, call), MN1(RET, ret), MN1(LOOP, loop),
	MN1(LOOPE, loop), MN1(LOOPNE, loop), MN1(JCXZ, jcxz),
	MN1(JMPF, jmpf), MN1(CALLF, callf), MN1(RETF, retf), MN1(IRET, iret),
	MN4(INT, INT3, INT1, INTO, soft_insn_int), MN1(SYSCALL, syscall),
	MN1(SYSRET, sysret), MN1(SYSENTER, sysenter), MN1(SYSEXIT, sysexit),
	MN1(LES, lxs), MN1(LDS, lxs), MN1(LSS, lxs), MN1(LFS, lxs),
	MN1(LGS, lxs),

	MN1(MOVS, movs), MN1(STOS, stos), MN1(LODS, lods), MN1(SCAS, scas),
	MN1(CMPS, cmps), MN1(INS, ins), MN1(OUTS, outs),

	MN1(IN, in), MN1(OUT, out), MN1(HLT, hlt), MN1(CLI, cli),
	MN1(STI, sti), MN1(PAUSE, pause), MN1(CPUID, cpuid),
	MN1(RDTSC, rdtsc), MN1(RDTSCP, rdtsc), MN1(RDPID, rdpid),
	MN1(RDMSR, rdmsr), MN1(WRMSR, wrmsr), MN1(RDPMC, rdpmc),
	MN1(MOV_CR, mov_cr), MN1(MOV_DR, mov_dr), MN1(CLTS, clts),
	MN1(SMSW, smsw), MN1(LMSW, lmsw), MN1(LGDT, lgdt), MN1(LIDT, lgdt),
	MN1(SGDT, sgdt), MN1(SIDT, sgdt), MN1(SLDT, sldt), MN1(STR, sldt),
	MN1(LLDT, lldt), MN1(LTR, lldt), MN1(LAR, lar), MN1(LSL, lar),
	MN1(VERR, verr), MN1(VERW, verr), MN1(ARPL, arpl),
	MN1(INVLPG, invlpg), MN1(INVPCID, invpcid), MN1(WBINVD, wbinvd),
	MN1(INVD, wbinvd), MN1(SWAPGS, swapgs),
	MN4(RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE, soft_insn_fsgsbase),
	MN1(CLAC, clac), MN1(STAC, clac), MN1(VMCALL, vmcall),
	MN1(VMMCALL, vmcall),

	MN1(FXSAVE, fxsave), MN1(FXRSTOR, fxsave), MN1(XSAVE, xsave),
	MN1(XSAVEOPT, xsave), MN1(XSAVEC, xsave), MN1(XSAVES, xsave),
	MN1(XRSTOR, xsave), MN1(XRSTORS, xsave), MN1(XGETBV, xgetbv),
	MN1(XSETBV, xgetbv),
};
/* clang-format on */

soft_insn_fn *
soft_insn_for(const struct x86_row *row)
{
	return table[row->mn];
}

static int
reg_of(const struct x86_insn *in, unsigned n)
{
	switch ((unsigned)x86_op_class(in, n)) {
	case X86_OC_E:
	case X86_OC_R:
		return in->mod == 3 ? in->rm : -1;
	case X86_OC_G:
		return in->reg;
	case X86_OC_Z:
		return (in->opcode & 7) | (in->rex & 1) << 3;
	case X86_OC_B:
		return in->vvvv;
	case X86_OC_ACC:
		return X86_RAX;
	case X86_OC_CL:
		return X86_RCX;
	case X86_OC_DX:
		return X86_RDX;
	default:
		return -1;
	}
}

uint64_t
soft_get(struct soft_cpu *cpu, const struct x86_insn *in, unsigned n)
{
	unsigned c = x86_op_class(in, n), size = x86_op_bytes(in, n);
	int r = reg_of(in, n);

	if (r >= 0)
		return size == 1 ? *soft_reg8(cpu, in, (unsigned)r)
				 : soft_reg(cpu, (unsigned)r, size);
	switch (c) {
	case X86_OC_E:
	case X86_OC_M:
		return soft_read_sized(
		    cpu, soft_ea(cpu, in, size, false), size);
	case X86_OC_O:
		return soft_read_sized(cpu,
		    soft_seg_lin(cpu, in->seg, (uint64_t)in->disp, size, false),
		    size);
	case X86_OC_S:
		return cpu->seg[in->reg & 7].sel;
	case X86_OC_ONE:
		return 1;
	default:
		if (c >= X86_OC_SREG_ES)
			return cpu->seg[c - X86_OC_SREG_ES].sel;
		return in->imm;
	}
}

void
soft_put(
    struct soft_cpu *cpu, const struct x86_insn *in, unsigned n, uint64_t v)
{
	unsigned c = x86_op_class(in, n), size = x86_op_bytes(in, n);
	int r = reg_of(in, n);

	if (r >= 0) {
		if (size == 1)
			*soft_reg8(cpu, in, (unsigned)r) = (uint8_t)v;
		else
			soft_set_reg(cpu, (unsigned)r, size, v);
		return;
	}
	if ((in->row->attr & X86_A_MEM16) && c == X86_OC_E)
		size = 2;
	if (c == X86_OC_O)
		soft_write_sized(cpu,
		    soft_seg_lin(cpu, in->seg, (uint64_t)in->disp, size, true),
		    size, v);
	else
		soft_write_sized(cpu, soft_ea(cpu, in, size, true), size, v);
}

/* ---- moves ---- */

INSN(mov)
{
	uint64_t v;

	if (x86_op_class(in, 0) == X86_OC_S) {
		if (in->reg == X86_CS || (in->reg & 7) >= X86_SEG_COUNT)
			soft_raise(cpu, X86_EXC_UD);
		v = soft_get(cpu, in, 1);
		soft_load_seg(cpu, in->reg & 7, (uint16_t)v);
		if (in->reg == X86_SS)
			cpu->shadow = 1;
		return;
	}
	if (x86_op_class(in, 1) == X86_OC_S && (in->reg & 7) >= X86_SEG_COUNT)
		soft_raise(cpu, X86_EXC_UD);
	soft_put(cpu, in, 0, soft_get(cpu, in, 1));
}

INSN(xchg)
{
	unsigned size = x86_op_bytes(in, 0);
	uint64_t a, b;
	void *p;

	if (in->mod == 3 || !in->has_modrm) {
		a = soft_get(cpu, in, 0);
		b = soft_get(cpu, in, 1);
		soft_put(cpu, in, 0, b);
		soft_put(cpu, in, 1, a);
		return;
	}
	b = soft_get(cpu, in, 1);
	p = soft_lock_begin(cpu, soft_ea(cpu, in, size, true), size);
	a = soft_xchg(p, size, b);
	soft_rmw_end(cpu, p);
	soft_put(cpu, in, 1, a);
}

INSN(lea)
{
	soft_set_reg(cpu, in->reg, in->opsize, soft_ea_offset(cpu, in));
}

INSN(movsxd)
{
	uint64_t v = soft_get(cpu, in, 1);

	soft_set_reg(cpu, in->reg, in->opsize, (uint64_t)(int32_t)v);
}

INSN(cbw)
{
	uint64_t *a = &cpu->gpr[X86_RAX];

	if (in->opsize == 2)
		soft_set_reg(cpu, X86_RAX, 2, (uint64_t)(int8_t)*a);
	else if (in->opsize == 4)
		soft_set_reg(cpu, X86_RAX, 4, (uint64_t)(int16_t)*a);
	else
		*a = (uint64_t)(int32_t)*a;
}

INSN(cwd)
{
	uint64_t a = soft_reg(cpu, X86_RAX, in->opsize);
	bool neg = a >> (8 * in->opsize - 1) & 1;

	soft_set_reg(cpu, X86_RDX, in->opsize, neg ? ~UINT64_C(0) : 0);
}

INSN(cmov)
{
	uint64_t v = soft_get(cpu, in, 1);

	if (!soft_cond(cpu->fl, in->opcode & 15))
		v = soft_reg(cpu, in->reg, in->opsize);
	soft_set_reg(cpu, in->reg, in->opsize, v);
}

INSN(setcc)
{
	soft_put(cpu, in, 0, soft_cond(cpu->fl, in->opcode & 15));
}

INSN(xlat)
{
	uint64_t off = cpu->gpr[X86_RBX] + (uint8_t)cpu->gpr[X86_RAX];

	if (in->adsize == 4)
		off = (uint32_t)off;
	else if (in->adsize == 2)
		off = (uint16_t)off;
	*(uint8_t *)&cpu->gpr[X86_RAX] =
	    soft_read8(cpu, soft_seg_lin(cpu, in->seg, off, 1, false));
}

INSN(bswap)
{
	uint64_t v = soft_get(cpu, in, 0);

	if (in->opsize == 8)
		v = __builtin_bswap64(v);
	else if (in->opsize == 4)
		v = __builtin_bswap32((uint32_t)v);
	else
		v = 0; /* undefined; what CPUs do */
	soft_put(cpu, in, 0, v);
}

INSN(movbe)
{
	uint64_t v = soft_get(cpu, in, 1);

	v = __builtin_bswap64(v) >> (64 - 8 * in->opsize);
	soft_put(cpu, in, 0, v);
}

INSN(movnti)
{
	soft_put(cpu, in, 0, soft_get(cpu, in, 1));
}

INSN(nop)
{
}

/* Caches are the host's business, but the line must be readable. */
INSN(clflush)
{
	soft_probe_read(cpu, soft_ea(cpu, in, 1, false), 1);
}

INSN(imul)
{
	uint64_t a = soft_get(cpu, in, 1), b;
	uint16_t fl;

	b = in->row->op[2] != X86_OP___ ? in->imm
					: soft_reg(cpu, in->reg, in->opsize);
	if (in->opsize == 2) {
		uint16_t d = (uint16_t)a;
		__asm__("imulw %2, %0" GET_FLAGS
			: "+r"(d), "=a"(fl)
			: "r"((uint16_t)b)
			: "cc");
		a = d;
	} else if (in->opsize == 4) {
		uint32_t d = (uint32_t)a;
		__asm__("imull %2, %0" GET_FLAGS
			: "+r"(d), "=a"(fl)
			: "r"((uint32_t)b)
			: "cc");
		a = d;
	} else
		__asm__("imulq %2, %0" GET_FLAGS
			: "+r"(a), "=a"(fl)
			: "r"(b)
			: "cc");
	cpu->fl = fl;
	soft_set_reg(cpu, in->reg, in->opsize, a);
}

INSN(salc)
{
	*(uint8_t *)&cpu->gpr[X86_RAX] = cpu->fl & FL_CF ? 0xff : 0;
}

INSN(bound)
{
	unsigned n = in->opsize;
	uint64_t lin = soft_ea(cpu, in, 2 * n, false);
	int64_t lo = n == 2 ? (int16_t)soft_read16(cpu, lin)
			    : (int32_t)soft_read32(cpu, lin);
	int64_t v =
	    n == 2 ? (int16_t)cpu->gpr[in->reg] : (int32_t)cpu->gpr[in->reg];
	int64_t hi;

	/* The upper bound is only read for an index that passed the lower. */
	if (v < lo)
		soft_raise(cpu, X86_EXC_BR);
	hi = n == 2 ? (int16_t)soft_read16(cpu, lin + 2)
		    : (int32_t)soft_read32(cpu, lin + 4);
	if (v > hi)
		soft_raise(cpu, X86_EXC_BR);
}

/* ---- stack ---- */

INSN(push)
{
	uint64_t v = soft_get(cpu, in, 0);

	soft_push(cpu, in->opsize, v);
}

INSN(pop)
{
	unsigned c = x86_op_class(in, 0);
	struct soft_stack st;
	uint64_t v, old = cpu->gpr[X86_RSP];

	soft_stack_current(cpu, &st);
	v = soft_stack_pop(cpu, &st, in->opsize);
	if (c >= X86_OC_SREG_ES) {
		soft_load_seg(cpu, c - X86_OC_SREG_ES, (uint16_t)v);
		soft_stack_commit(cpu, &st);
		if (c == X86_OC_SREG_SS)
			cpu->shadow = 1;
		return;
	}
	if (c == X86_OC_E && in->mod != 3) {
		/* The address uses rSP after the pop. */
		uint64_t lin;

		soft_stack_commit(cpu, &st);
		lin = soft_ea_offset(cpu, in);
		cpu->gpr[X86_RSP] = old;
		lin = soft_seg_lin(cpu, in->seg, lin, in->opsize, true);
		soft_write_sized(cpu, lin, in->opsize, v);
		soft_stack_commit(cpu, &st);
		return;
	}
	soft_stack_commit(cpu, &st);
	soft_put(cpu, in, 0, v);
}

INSN(pusha)
{
	struct soft_stack st;

	soft_stack_current(cpu, &st);
	for (unsigned r = 0; r < 8; r++)
		soft_stack_push(cpu, &st, in->opsize, cpu->gpr[r]);
	soft_stack_commit(cpu, &st);
}

INSN(popa)
{
	struct soft_stack st;
	uint64_t v[8];

	soft_stack_current(cpu, &st);
	for (unsigned r = 8; r-- > 0;)
		v[r] = soft_stack_pop(cpu, &st, in->opsize);
	soft_stack_commit(cpu, &st);
	for (unsigned r = 0; r < 8; r++)
		if (r != X86_RSP)
			soft_set_reg(cpu, r, in->opsize, v[r]);
}

INSN(enter)
{
	unsigned size = in->opsize, level = in->imm2 & 31;
	unsigned alloc = (uint16_t)in->imm;
	struct soft_stack st, frame;
	uint64_t fp;

	soft_stack_current(cpu, &st);
	frame = st;
	soft_stack_push(cpu, &st, size, cpu->gpr[X86_RBP]);
	fp = st.sp;
	if (level > 0) {
		frame.sp = cpu->gpr[X86_RBP];
		for (unsigned i = 1; i < level; i++) {
			struct soft_stack f = frame;

			f.sp = frame.sp - size * i;
			soft_stack_push(
			    cpu, &st, size, soft_stack_pop(cpu, &f, size));
		}
		soft_stack_push(cpu, &st, size, fp);
	}
	st.sp = (st.sp & ~st.mask) | ((st.sp - alloc) & st.mask);
	/* The new top must be writable (Intel SDM vol. 2, ENTER). */
	soft_probe_write(cpu, st.base + (st.sp & st.mask), size);
	soft_set_reg(cpu, X86_RBP, size, fp);
	soft_stack_commit(cpu, &st);
}

INSN(leave)
{
	struct soft_stack st;
	uint64_t v;

	soft_stack_current(cpu, &st);
	st.sp = (st.sp & ~st.mask) | (cpu->gpr[X86_RBP] & st.mask);
	v = soft_stack_pop(cpu, &st, in->opsize);
	soft_stack_commit(cpu, &st);
	soft_set_reg(cpu, X86_RBP, in->opsize, v);
}

/* ---- flags ---- */

void
soft_set_rflags(struct soft_cpu *cpu, uint64_t v)
{
	uint64_t old = cpu->rflags;

	soft_set_arith_flags(cpu, (uint32_t)v);
	cpu->rflags = (v &
			  (X86_FL_TF | X86_FL_IF | X86_FL_DF | X86_FL_IOPL |
			      X86_FL_NT | X86_FL_RF | X86_FL_VM | X86_FL_AC |
			      X86_FL_VIF | X86_FL_VIP | X86_FL_ID)) |
	    2;
	if ((cpu->rflags & ~old) & X86_FL_IF)
		soft_if_changed(cpu);
	if ((cpu->rflags ^ old) & (X86_FL_AC | X86_FL_VM))
		soft_mode_changed(cpu);
}

INSN(flagop)
{
	switch (in->row->mn) {
	case X86_MN_CLC:
		cpu->fl &= (uint16_t)~FL_CF;
		break;
	case X86_MN_STC:
		cpu->fl |= FL_CF;
		break;
	case X86_MN_CMC:
		cpu->fl ^= FL_CF;
		break;
	case X86_MN_CLD:
		cpu->rflags &= ~(uint64_t)X86_FL_DF;
		break;
	default:
		cpu->rflags |= X86_FL_DF;
		break;
	}
}

INSN(pushf)
{
	uint64_t v = soft_rflags(cpu) & ~(uint64_t)(X86_FL_VM | X86_FL_RF);

	if (soft_vm86(cpu) && soft_iopl(cpu) < 3)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	soft_push(cpu, in->opsize, v);
}

INSN(popf)
{
	uint64_t v, m = X86_FL_ARITH | X86_FL_TF | X86_FL_DF | X86_FL_NT;

	if (soft_vm86(cpu) && soft_iopl(cpu) < 3)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	v = soft_pop(cpu, in->opsize);
	if (in->opsize > 2)
		m |= X86_FL_AC | X86_FL_ID;
	if (cpu->cpl <= soft_iopl(cpu))
		m |= X86_FL_IF;
	if (cpu->cpl == 0)
		m |= X86_FL_IOPL;
	v = (v & m) | (soft_rflags(cpu) & ~m);
	if (in->opsize > 2)
		v &= ~(uint64_t)X86_FL_RF;
	soft_set_rflags(cpu, v);
}

INSN(lahf)
{
	*((uint8_t *)&cpu->gpr[X86_RAX] + 1) =
	    (uint8_t)(soft_arith_flags(cpu) | 2);
}

INSN(sahf)
{
	uint8_t ah = *((uint8_t *)&cpu->gpr[X86_RAX] + 1);

	soft_set_arith_flags(
	    cpu, (ah & 0xd5u) | (soft_arith_flags(cpu) & X86_FL_OF));
}
