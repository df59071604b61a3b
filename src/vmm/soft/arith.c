/*
 * Integer instructions by the host's own: multiplication, division, bit
 * operations, compare-and-exchange, BMI, ADX.
 */
#include "vmm/soft/atomic.h"
#include "vmm/soft/insn.h"

INSN(mul)
{
	uint64_t s = soft_get(cpu, in, 0), *a = &cpu->gpr[X86_RAX];
	unsigned size = x86_op_bytes(in, 0);
	unsigned __int128 p;
	uint64_t hi, lo = soft_reg(cpu, X86_RAX, size == 1 ? 2 : size);
	bool over;

	if (size == 1)
		lo &= 0xff;
	p = (unsigned __int128)lo * s;
	if (size == 1)
		soft_set_reg(cpu, X86_RAX, 2, (uint64_t)p);
	else if (size < 8) {
		soft_set_reg(cpu, X86_RAX, size, (uint64_t)p);
		soft_set_reg(cpu, X86_RDX, size, (uint64_t)p >> (8 * size));
	} else {
		*a = (uint64_t)p;
		cpu->gpr[X86_RDX] = (uint64_t)(p >> 64);
	}
	hi = size == 8 ? (uint64_t)(p >> 64) : (uint64_t)p >> (8 * size);
	over = hi != 0;
	/* SF ZF AF PF are undefined: left alone */
	cpu->fl = (cpu->fl & (uint16_t) ~(FL_CF | FL_OF)) |
	    (over ? FL_CF | FL_OF : 0);
}

static int64_t
sign_extend(uint64_t v, unsigned size)
{
	unsigned sh = 64 - 8 * size;

	return (int64_t)(v << sh) >> sh;
}

INSN(imul1)
{
	unsigned size = x86_op_bytes(in, 0);
	int64_t s = sign_extend(soft_get(cpu, in, 0), size);
	int64_t a = sign_extend(cpu->gpr[X86_RAX], size);
	__int128 p = (__int128)a * s;
	bool over = p != sign_extend((uint64_t)p, size);

	if (size == 1)
		soft_set_reg(cpu, X86_RAX, 2, (uint64_t)p);
	else if (size < 8) {
		soft_set_reg(cpu, X86_RAX, size, (uint64_t)p);
		soft_set_reg(cpu, X86_RDX, size, (uint64_t)p >> (8 * size));
	} else {
		cpu->gpr[X86_RAX] = (uint64_t)p;
		cpu->gpr[X86_RDX] = (uint64_t)(p >> 64);
	}
	cpu->fl = (cpu->fl & (uint16_t) ~(FL_CF | FL_OF)) |
	    (over ? FL_CF | FL_OF : 0);
}

/* Quotient and remainder to AL/AH or rAX/rDX. */
static void
set_quotient(struct soft_cpu *cpu, unsigned size, uint64_t q, uint64_t r)
{
	if (size == 1) {
		soft_set_reg(cpu, X86_RAX, 2, (q & 0xff) | (r & 0xff) << 8);
		return;
	}
	soft_set_reg(cpu, X86_RAX, size, q);
	soft_set_reg(cpu, X86_RDX, size, r);
}

static unsigned __int128
dividend(struct soft_cpu *cpu, unsigned size)
{
	uint64_t a = soft_reg(cpu, X86_RAX, size == 1 ? 2 : size);

	if (size == 1)
		return a;
	return (unsigned __int128)soft_reg(cpu, X86_RDX, size) << (8 * size) |
	    a;
}

INSN(div)
{
	unsigned size = x86_op_bytes(in, 0);
	uint64_t d = soft_get(cpu, in, 0), hi, lo, q, r;
	unsigned __int128 n = dividend(cpu, size);

	hi = (uint64_t)(n >> (size == 8 ? 64 : 8 * size));
	if (d == 0 || hi >= d)
		soft_raise(cpu, X86_EXC_DE);
	lo = (uint64_t)n;
	if (size < 8) {
		q = lo / d;
		r = lo % d;
	} else
		__asm__("divq %4"
			: "=a"(q), "=d"(r)
			: "a"(lo), "d"(hi), "r"(d)
			: "cc");
	set_quotient(cpu, size, q, r);
}

INSN(idiv)
{
	unsigned size = x86_op_bytes(in, 0), bits = 8 * size;
	int64_t d = sign_extend(soft_get(cpu, in, 0), size);
	unsigned __int128 n = dividend(cpu, size), an, q, max;
	unsigned __int128 ad =
	    d < 0 ? -(unsigned __int128)d : (unsigned __int128)d;
	bool nneg, qneg;
	uint64_t r;

	if (d == 0)
		soft_raise(cpu, X86_EXC_DE);
	nneg = (n >> (2 * bits - 1)) & 1;
	if (bits < 64 && nneg)
		n |= ~(unsigned __int128)0 << (2 * bits);
	an = nneg ? -n : n;
	qneg = nneg != (d < 0);
	q = an / ad;
	r = (uint64_t)(an % ad);
	max = ((unsigned __int128)1 << (bits - 1)) - (qneg ? 0 : 1);
	if (q > max)
		soft_raise(cpu, X86_EXC_DE);
	set_quotient(
	    cpu, size, qneg ? -(uint64_t)q : (uint64_t)q, nneg ? -r : r);
}

/* ---- bits ---- */

/* Address and bit number for a bit string beyond the operand. */
static uint64_t
bit_string(struct soft_cpu *cpu, const struct x86_insn *in, unsigned size,
    unsigned *ret_bit, bool write)
{
	uint64_t off = soft_ea_offset(cpu, in);
	int64_t bit;

	if (x86_op_class(in, 1) == X86_OC_G) {
		bit = sign_extend(cpu->gpr[in->reg], size);
		off += (uint64_t)(bit >> (size == 8          ? 6
						 : size == 4 ? 5
							     : 4)) *
		    size;
		if (in->adsize == 4)
			off = (uint32_t)off;
		else if (in->adsize == 2)
			off = (uint16_t)off;
	} else
		bit = (int64_t)in->imm;
	*ret_bit = (unsigned)bit & (8 * size - 1);
	return soft_seg_lin(cpu, in->seg, off, size, write);
}

/* The new value of the operand. */
static uint64_t
bit_result(unsigned mn, uint64_t v, uint64_t mask)
{
	switch (mn) {
	case X86_MN_BTS:
		return v | mask;
	case X86_MN_BTR:
		return v & ~mask;
	case X86_MN_BTC:
		return v ^ mask;
	default:
		return v;
	}
}

static uint64_t
load(const void *p, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

/* OR, AND-NOT or XOR a mask into memory; returns what was there. */
static uint64_t
bit_locked(void *p, unsigned size, unsigned mn, uint64_t mask)
{
	uint64_t old = load(p, size), v;

	do {
		if (mn == X86_MN_BTS)
			v = old | mask;
		else
			v = mn == X86_MN_BTR ? old & ~mask : old ^ mask;
	} while (!soft_cmpxchg(p, size, &old, v));
	return old;
}

INSN(bt)
{
	unsigned mn = in->row->mn, size = in->opsize, bit;
	uint64_t v, lin;
	void *p;

	if (in->mod == 3) {
		v = soft_reg(cpu, in->rm, size);
		bit = (unsigned)(x86_op_class(in, 1) == X86_OC_G
			      ? cpu->gpr[in->reg]
			      : in->imm) &
		    (8 * size - 1);
		if (mn != X86_MN_BT)
			soft_set_reg(cpu, in->rm, size,
			    bit_result(mn, v, UINT64_C(1) << bit));
	} else {
		lin = bit_string(cpu, in, size, &bit, mn != X86_MN_BT);
		if (mn == X86_MN_BT)
			v = size == 2   ? soft_read16(cpu, lin)
			    : size == 4 ? soft_read32(cpu, lin)
					: soft_read64(cpu, lin);
		else {
			p = in->pfx & X86_PFX_LOCK
			    ? soft_lock_begin(cpu, lin, size)
			    : soft_rmw_begin(cpu, lin, size);
			if (in->pfx & X86_PFX_LOCK)
				v = bit_locked(p, size, mn, UINT64_C(1) << bit);
			else {
				uint64_t n;

				v = load(p, size);
				n = bit_result(mn, v, UINT64_C(1) << bit);
				memcpy(p, &n, size);
			}
			soft_rmw_end(cpu, p);
		}
	}
	cpu->fl = (cpu->fl & (uint16_t)~FL_CF) | (v >> bit & 1 ? FL_CF : 0);
}

static void
set_zf(struct soft_cpu *cpu, bool zf)
{
	cpu->fl = (cpu->fl & (uint16_t)~FL_ZF) | (zf ? FL_ZF : 0);
}

INSN(bsx)
{
	uint64_t v = soft_get(cpu, in, 1), r;

	set_zf(cpu, v == 0);
	if (v == 0) {
		/* Undefined by Intel; all CPUs leave it, but 32-bit forms
		 * of some clear the upper half: left alone. */
		return;
	}
	r = in->row->mn == X86_MN_BSF ? (uint64_t)__builtin_ctzll(v)
				      : 63u - (uint64_t)__builtin_clzll(v);
	soft_set_reg(cpu, in->reg, in->opsize, r);
}

INSN(xzcnt)
{
	bool tz = in->row->mn == X86_MN_TZCNT;
	unsigned bits = 8u * in->opsize;
	uint64_t v = soft_get(cpu, in, 1), r;

	if (!soft_has(cpu, tz ? X86_FEAT_BMI1 : X86_FEAT_LZCNT)) {
		/* F3 is ignored on CPUs without them: BSF, BSR */
		set_zf(cpu, v == 0);
		if (v != 0)
			soft_set_reg(cpu, in->reg, in->opsize,
			    tz ? (uint64_t)__builtin_ctzll(v)
			       : 63u - (uint64_t)__builtin_clzll(v));
		return;
	}
	if (v == 0)
		r = bits;
	else if (tz)
		r = (uint64_t)__builtin_ctzll(v);
	else
		r = (uint64_t)__builtin_clzll(v) - (64 - bits);
	cpu->fl = (cpu->fl & (uint16_t) ~(FL_CF | FL_ZF)) |
	    (v == 0 ? FL_CF : 0) | (r == 0 ? FL_ZF : 0);
	soft_set_reg(cpu, in->reg, in->opsize, r);
}

INSN(popcnt)
{
	uint64_t v = soft_get(cpu, in, 1);

	cpu->fl = v == 0 ? FL_ZF : 0;
	soft_set_reg(
	    cpu, in->reg, in->opsize, (uint64_t)__builtin_popcountll(v));
}

/* clang-format off */
#define SHXD(name, sfx, type) do {                                        \
	type d_ = (type)d;                                                \
	__asm__("sahf\n\t" name sfx " %%cl, %3, %0" GET_FLAGS             \
	    : "+r"(d_), "+a"(fl) : "c"(count), "r"((type)s) : "cc");      \
	d = d_;                                                           \
} while (0)
/* clang-format on */

INSN(shxd)
{
	unsigned size = in->opsize;
	bool left = in->row->mn == X86_MN_SHLD;
	uint64_t s = soft_reg(cpu, in->reg, size), d;
	uint8_t count =
	    (uint8_t)(x86_op_class(in, 2) == X86_OC_CL ? cpu->gpr[X86_RCX]
						       : in->imm);
	uint16_t fl = cpu->fl;
	void *p = NULL;

	count &= size == 8 ? 63 : 31;
	if (in->mod == 3)
		d = soft_reg(cpu, in->rm, size);
	else {
		p = soft_rmw_begin(cpu, soft_ea(cpu, in, size, true), size);
		d = load(p, size);
	}
	if (count != 0) {
		if (size == 2 && left)
			SHXD("shld", "w", uint16_t);
		else if (size == 2)
			SHXD("shrd", "w", uint16_t);
		else if (size == 4 && left)
			SHXD("shld", "l", uint32_t);
		else if (size == 4)
			SHXD("shrd", "l", uint32_t);
		else if (left)
			SHXD("shld", "q", uint64_t);
		else
			SHXD("shrd", "q", uint64_t);
		cpu->fl = fl;
	}
	if (p) {
		memcpy(p, &d, size);
		soft_rmw_end(cpu, p);
	} else
		soft_set_reg(cpu, in->rm, size, d);
}

/* ---- atomic read-modify-write ---- */

void
soft_compare(struct soft_cpu *cpu, uint64_t a, uint64_t b, unsigned size)
{
	uint16_t fl;

	if (size == 1)
		__asm__("cmpb %2, %1" GET_FLAGS
			: "=a"(fl)
			: "r"((uint8_t)a), "r"((uint8_t)b)
			: "cc");
	else if (size == 2)
		__asm__("cmpw %2, %1" GET_FLAGS
			: "=a"(fl)
			: "r"((uint16_t)a), "r"((uint16_t)b)
			: "cc");
	else if (size == 4)
		__asm__("cmpl %2, %1" GET_FLAGS
			: "=a"(fl)
			: "r"((uint32_t)a), "r"((uint32_t)b)
			: "cc");
	else
		__asm__("cmpq %2, %1" GET_FLAGS
			: "=a"(fl)
			: "r"(a), "r"(b)
			: "cc");
	cpu->fl = fl;
}

/*
 * Whether a 32-bit destination that keeps its value has its upper half cleared
 * differs between processors: the host decides.
 */
static void
cmpxchg_r32(struct soft_cpu *cpu, unsigned dst, uint64_t src)
{
	uint64_t acc = cpu->gpr[X86_RAX], d = cpu->gpr[dst];

	__asm__("cmpxchgl %k2, %k1" : "+a"(acc), "+r"(d) : "r"(src) : "cc");
	cpu->gpr[X86_RAX] = acc;
	cpu->gpr[dst] = d;
}

INSN(cmpxchg)
{
	unsigned size = x86_op_bytes(in, 0);
	uint64_t src = soft_get(cpu, in, 1), old, acc;
	bool ok;
	void *p;

	acc = size == 1 ? (uint8_t)cpu->gpr[X86_RAX]
			: soft_reg(cpu, X86_RAX, size);
	if (in->mod == 3) {
		old = soft_get(cpu, in, 0);
		ok = old == acc;
		if (size == 4)
			cmpxchg_r32(cpu, in->rm, src);
		else
			soft_put(cpu, in, 0, ok ? src : old);
	} else {
		p = soft_lock_begin(cpu, soft_ea(cpu, in, size, true), size);
		old = acc;
		ok = soft_cmpxchg(p, size, &old, src);
		soft_rmw_end(cpu, p);
	}
	soft_compare(cpu, acc, old, size);
	if (ok || (in->mod == 3 && size == 4))
		return;
	if (size == 1)
		*(uint8_t *)&cpu->gpr[X86_RAX] = (uint8_t)old;
	else
		soft_set_reg(cpu, X86_RAX, size, old);
}

INSN(cmpxchg8b)
{
	unsigned size = in->opsize == 8 ? 16 : 8;
	uint64_t lin = soft_ea(cpu, in, size, true), old;
	uint64_t lo = cpu->gpr[X86_RAX], hi = cpu->gpr[X86_RDX];
	bool ok;
	void *p;

	if (size == 16) {
		if (lin & 15)
			soft_raise_error(cpu, X86_EXC_GP, 0);
		p = soft_lock_begin(cpu, lin, 16);
		__asm__ volatile(
		    "lock cmpxchg16b %1"
		    : "=@ccz"(ok), "+m"(*(unsigned __int128 *)p), "+a"(lo),
		    "+d"(hi)
		    : "b"(cpu->gpr[X86_RBX]), "c"(cpu->gpr[X86_RCX])
		    : "memory");
		soft_rmw_end(cpu, p);
	} else {
		p = soft_lock_begin(cpu, lin, 8);
		old = (uint32_t)lo | hi << 32;
		ok = soft_cmpxchg(p, 8, &old,
		    (uint32_t)cpu->gpr[X86_RBX] | cpu->gpr[X86_RCX] << 32);
		soft_rmw_end(cpu, p);
		lo = (uint32_t)old;
		hi = old >> 32;
	}
	set_zf(cpu, ok);
	if (!ok) {
		cpu->gpr[X86_RAX] = lo;
		cpu->gpr[X86_RDX] = hi;
	}
}

/* Flags of a + b. */
static void
add_flags(struct soft_cpu *cpu, uint64_t a, uint64_t b, unsigned size)
{
	/* clang-format off */
#define ADD(sfx, type) do {                                               \
	type d_ = (type)a;                                                \
	__asm__("add" sfx " %2, %0" GET_FLAGS                             \
	    : "+r"(d_), "=a"(fl) : "r"((type)b) : "cc");                  \
} while (0)
	/* clang-format on */
	uint16_t fl;

	if (size == 1)
		ADD("b", uint8_t);
	else if (size == 2)
		ADD("w", uint16_t);
	else if (size == 4)
		ADD("l", uint32_t);
	else
		ADD("q", uint64_t);
#undef ADD
	cpu->fl = fl;
}

INSN(xadd)
{
	unsigned size = x86_op_bytes(in, 0);
	uint64_t s = soft_get(cpu, in, 1), d;
	void *p;

	if (in->mod == 3) {
		d = soft_get(cpu, in, 0);
		soft_put(cpu, in, 1, d);
		soft_put(cpu, in, 0, d + s);
	} else {
		p = soft_lock_begin(cpu, soft_ea(cpu, in, size, true), size);
		d = soft_xadd(p, size, s);
		soft_rmw_end(cpu, p);
		soft_put(cpu, in, 1, d);
	}
	add_flags(cpu, d, s, size);
}

/* ---- extensions ---- */

INSN(crc32)
{
	unsigned size = x86_op_bytes(in, 1);
	uint64_t v = soft_get(cpu, in, 1), r = cpu->gpr[in->reg];
	uint32_t c = (uint32_t)r;

	if (size == 1)
		__asm__("crc32b %1, %0" : "+r"(c) : "r"((uint8_t)v));
	else if (size == 2)
		__asm__("crc32w %1, %0" : "+r"(c) : "r"((uint16_t)v));
	else if (size == 4)
		__asm__("crc32l %1, %0" : "+r"(c) : "r"((uint32_t)v));
	else {
		r = c;
		__asm__("crc32q %1, %0" : "+r"(r) : "r"(v));
		c = (uint32_t)r;
	}
	cpu->gpr[in->reg] = c;
}

INSN(adx)
{
	unsigned size = in->opsize == 8 ? 8 : 4;
	unsigned flag = in->row->mn == X86_MN_ADCX ? FL_CF : FL_OF;
	uint64_t s = soft_get(cpu, in, 1), d = soft_reg(cpu, in->reg, size);
	unsigned __int128 sum =
	    (unsigned __int128)s + d + (cpu->fl & flag ? 1 : 0);
	bool carry = size == 8 ? sum >> 64 : sum >> 32;

	cpu->fl = (cpu->fl & (uint16_t)~flag) | (carry ? flag : 0);
	soft_set_reg(cpu, in->reg, size, (uint64_t)sum);
}

static uint64_t
pext(uint64_t v, uint64_t mask)
{
	uint64_t r = 0;

	for (unsigned k = 0; mask; mask &= mask - 1, k++)
		r |= (v >> __builtin_ctzll(mask) & 1) << k;
	return r;
}

static uint64_t
pdep(uint64_t v, uint64_t mask)
{
	uint64_t r = 0;

	for (; mask; mask &= mask - 1, v >>= 1)
		if (v & 1)
			r |= mask & -mask;
	return r;
}

static void
bmi_flags(struct soft_cpu *cpu, uint64_t r, unsigned size, bool cf)
{
	cpu->fl = (r == 0 ? FL_ZF : 0) | (r >> (8 * size - 1) & 1 ? FL_SF : 0) |
	    (cf ? FL_CF : 0);
}

INSN(bmi)
{
	unsigned size = in->opsize == 8 ? 8 : 4, n;
	uint64_t a, b, r, m = size == 8 ? ~UINT64_C(0) : 0xffffffff;
	unsigned __int128 p;

	a = soft_get(cpu, in, 1);
	b = in->row->op[2] != X86_OP___ ? soft_get(cpu, in, 2) : 0;
	n = (unsigned)b & (8 * size - 1);
	switch (in->row->mn) {
	case X86_MN_ANDN:
		r = ~a & b & m;
		bmi_flags(cpu, r, size, false);
		break;
	case X86_MN_BLSR:
		r = a & (a - 1);
		bmi_flags(cpu, r, size, a == 0);
		break;
	case X86_MN_BLSMSK:
		r = (a ^ (a - 1)) & m;
		bmi_flags(cpu, r, size, a == 0);
		break;
	case X86_MN_BLSI:
		r = a & -a;
		bmi_flags(cpu, r, size, a != 0);
		break;
	case X86_MN_BZHI:
		n = b & 0xff;
		r = n < 8 * size ? a & ((UINT64_C(1) << n) - 1) : a;
		bmi_flags(cpu, r, size, n >= 8 * size);
		break;
	case X86_MN_BEXTR:
		n = b >> 8 & 0xff;
		r = (b & 0xff) < 8 * size ? a >> (b & 0xff) : 0;
		r = n < 64 ? r & ((UINT64_C(1) << n) - 1) : r;
		cpu->fl = r == 0 ? FL_ZF : 0;
		break;
	case X86_MN_PEXT:
		r = pext(a, b);
		break;
	case X86_MN_PDEP:
		r = pdep(a, b);
		break;
	case X86_MN_MULX:
		p = (unsigned __int128)b * soft_reg(cpu, X86_RDX, size);
		r = size == 8 ? (uint64_t)(p >> 64) : (uint64_t)p >> 32;
		soft_put(cpu, in, 1, (uint64_t)p);
		break;
	case X86_MN_SHLX:
		r = a << n;
		break;
	case X86_MN_SHRX:
		r = a >> n;
		break;
	case X86_MN_SARX:
		r = (uint64_t)(sign_extend(a, size) >> n);
		break;
	default: /* RORX */
		r = n ? a >> n | a << (8 * size - n) : a;
		break;
	}
	soft_put(cpu, in, 0, r & m);
}

INSN(rdrand)
{
	unsigned char ok;
	uint64_t v = 0;

	if (in->row->mn == X86_MN_RDRAND)
		__asm__ volatile("rdrand %0" : "=r"(v), "=@ccc"(ok));
	else
		__asm__ volatile("rdseed %0" : "=r"(v), "=@ccc"(ok));
	cpu->fl = ok ? FL_CF : 0;
	soft_put(cpu, in, 0, ok ? v : 0);
}

/* ---- decimal, Intel SDM vol. 2 pages of the instructions ---- */

static void
set_szp(struct soft_cpu *cpu, uint8_t al, uint32_t keep)
{
	uint32_t f = keep;

	if (al == 0)
		f |= X86_FL_ZF;
	if (al & 0x80)
		f |= X86_FL_SF;
	if (!__builtin_parity(al))
		f |= X86_FL_PF;
	soft_set_arith_flags(cpu, f);
}

static void
daa_das(struct soft_cpu *cpu, bool add)
{
	uint8_t al = (uint8_t)cpu->gpr[X86_RAX], old = al;
	uint32_t f = soft_arith_flags(cpu), out = 0;

	if ((al & 15) > 9 || (f & X86_FL_AF)) {
		if (add ? al > 0xff - 6 : al < 6)
			out |= X86_FL_CF;
		out |= f & X86_FL_CF;
		al = add ? al + 6 : al - 6;
		out |= X86_FL_AF;
	}
	if (old > 0x99 || (f & X86_FL_CF)) {
		al = add ? al + 0x60 : al - 0x60;
		out |= X86_FL_CF;
	} else if (add)
		out &= ~X86_FL_CF;
	*(uint8_t *)&cpu->gpr[X86_RAX] = al;
	set_szp(cpu, al, out);
}

INSN(decimal)
{
	uint16_t ax = (uint16_t)cpu->gpr[X86_RAX];
	uint32_t f = soft_arith_flags(cpu);
	uint8_t al = (uint8_t)ax, ah = (uint8_t)(ax >> 8);
	uint8_t base = (uint8_t)in->imm;
	bool adj = (al & 15) > 9 || (f & X86_FL_AF);

	switch (in->row->mn) {
	case X86_MN_DAA:
	case X86_MN_DAS:
		daa_das(cpu, in->row->mn == X86_MN_DAA);
		return;
	case X86_MN_AAA:
		if (adj)
			ax = (uint16_t)(ax + 0x106);
		break;
	case X86_MN_AAS:
		if (adj)
			ax = (uint16_t)(ax - 6 - 0x100);
		break;
	case X86_MN_AAM:
		if (base == 0)
			soft_raise(cpu, X86_EXC_DE);
		al = (uint8_t)ax % base;
		ax = (uint16_t)((uint8_t)ax / base << 8 | al);
		soft_set_reg(cpu, X86_RAX, 2, ax);
		set_szp(cpu, al, 0);
		return;
	default: /* AAD */
		al = (uint8_t)(al + ah * base);
		soft_set_reg(cpu, X86_RAX, 2, al);
		set_szp(cpu, al, 0);
		return;
	}
	soft_set_reg(cpu, X86_RAX, 2, ax & 0xff0f);
	f &= ~(X86_FL_AF | X86_FL_CF);
	soft_set_arith_flags(cpu, adj ? f | X86_FL_AF | X86_FL_CF : f);
}
