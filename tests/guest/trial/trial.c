/*
 * Runs the rows of a system-mode test guest (trial.h): makes the tables, enters
 * the row, compares.
 */
#include "trial.h"
#include "guest.h"

struct row {
	const char *name;
	uint64_t mode, flags;
	const char *code, *code_end;
	const struct poke *pokes, *pokes_end;
	const struct want *wants, *wants_end;
};

struct poke {
	uint64_t at, value, size;
};

struct want {
	const char *name;
	uint64_t at, value, mask;
};

extern const struct row __start_rows[], __stop_rows[];
extern char stubs32[], stubs64[], low_start[], low_end[], low_stubs[];
void enter(void);

#define MEM(at) ((void *)(uint64_t)(at))
#define GET(field) (*(volatile uint64_t *)MEM(field))

/* ---- tables ---- */

static void
put(uint64_t at, uint64_t value, unsigned size)
{
	memcpy(MEM(at), &value, size);
}

static uint64_t
desc(uint32_t base, uint32_t limit, uint32_t attr)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
	    (uint64_t)(attr & 0xf0ff) << 40 |
	    (uint64_t)(limit & 0xf0000) << 32 |
	    (uint64_t)(base & 0xff000000) << 32;
}

static uint64_t
gate(uint16_t sel, uint32_t off, unsigned attr, unsigned params)
{
	return (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)params << 32 |
	    (uint64_t)attr << 40 | (uint64_t)(off >> 16) << 48;
}

#define FLAT 0xfffff

/* clang-format off */
static const struct {
	uint16_t sel;
	uint32_t base, limit, attr;
} segs[] = {
	{ S_C64, 0, FLAT, 0xa09b }, { S_D32, 0, FLAT, 0xc093 },
	{ S_C32, 0, FLAT, 0xc09b }, { S_C16, CODE, 0xffff, 0x009b },
	{ S_D16, STACKS, 0xffff, 0x0093 },
	{ S_C32R3, 0, FLAT, 0xc0fb }, { S_D32R3, 0, FLAT, 0xc0f3 },
	{ S_C64R3, 0, FLAT, 0xa0fb },
	{ S_C32R1, 0, FLAT, 0xc0bb }, { S_D32R1, 0, FLAT, 0xc0b3 },
	{ S_C32R2, 0, FLAT, 0xc0db }, { S_D32R2, 0, FLAT, 0xc0d3 },
	{ S_TSS, TSS_A, 0x3ff, 0x0089 }, { S_TSS64, TSS_A + 0x800, 0x3ff, 0x0089 },
	{ S_LDT, LDT, 0x1f, 0x0082 },
	{ S_LOW16, LOW, 0xffff, 0x009b }, { S_LOWD, 0, 0xffff, 0x0093 },
	{ S_TB, TSS_B, 0x67, 0x0089 }, { S_TC, TSS_C, 0x2b, 0x0081 },
	{ S_NPD, 0, FLAT, 0xc013 }, { S_RO, DATA, 0xfff, 0x4091 },
	{ S_XO, DATA, 0xfff, 0x4099 }, { S_XR, DATA, 0xfff, 0x409b },
	{ S_CONF, 0, FLAT, 0xc09f }, { S_NPC, 0, FLAT, 0xc01b },
	{ S_CLIM, CODE, 0x1ff, 0x409b }, { S_LIM, DATA, 0xff, 0x4093 },
	{ S_DOWN, DATA, 0xfff, 0x4097 }, { S_DOWN16, DATA, 0xfff, 0x0097 },
	{ S_LD, 0, FLAT, 0xe09b }, { S_TSHORT, TSS_B, 0x66, 0x0089 },
	{ S_TNP, TSS_B, 0x67, 0x0009 }, { S_CONF3, 0, FLAT, 0xc0ff },
	{ S_SSLIM, STACKS, 0xf0f, 0x4093 }, { S_TD, TSS_D, 0x67, 0x0089 },
};

static const struct {
	uint16_t at, sel;
	uint32_t off;
	uint8_t attr, params;
} gates[] = {
	{ S_TGATE, S_TB, 0, 0xe5, 0 },
	{ S_G32, S_C32, LANDING, 0xec, 0 }, { S_G32P, S_C32, LANDING, 0xec, 2 },
	{ S_G16, S_C16, LANDING - CODE, 0xe4, 2 },
	{ S_GNP, S_C32, LANDING, 0x6c, 0 }, { S_G0, S_C32, LANDING, 0x8c, 0 },
	{ S_GDATA, S_D32, LANDING, 0xec, 0 }, { S_GNULL, 0, LANDING, 0xec, 0 },
	{ S_GR3, S_C32R3, LANDING, 0xec, 0 }, { S_GR1, S_C32R1 & ~3, LANDING, 0xec, 0 },
	{ S_G64, S_C64, LANDING, 0xec, 0 }, { S_G64C, S_C32, LANDING, 0xec, 0 },
};

/* type: of the 32-bit form; 14 and 15 are the same in long mode. */
static const struct {
	uint8_t vector, attr;
	uint16_t sel; /* 1: the harness's */
	uint32_t off;
} idt_gates[] = {
	{ V_TASK, 0xe5, S_TB, 0 }, { V_TRAP3, 0xef, 1, 0 },
	{ V_INT0, 0x8e, 1, 0 }, { V_NP, 0x6e, 1, 0 }, { V_TYPE, 0xec, 1, 0 },
	{ V_NULL, 0xee, 0, LANDING }, { V_DATA, 0xee, S_D32, LANDING },
	{ V_NPC, 0xee, S_NPC, LANDING }, { V_I16, 0xe6, S_C16, LANDING - CODE },
	{ V_R3, 0xee, S_C32R3, LANDING }, { V_CONF, 0xee, S_CONF, LANDING },
	{ V_LIMIT, 0xee, S_CLIM, 0x200 }, { V_IST1, 0xee, 1, 0 },
};
/* clang-format on */

static void
make_gdt(void)
{
	memset(MEM(GDT), 0, 0x200);
	for (unsigned i = 0; i < sizeof(segs) / sizeof(segs[0]); i++)
		put(GDT + (segs[i].sel & ~7u),
		    desc(segs[i].base, segs[i].limit, segs[i].attr), 8);
	for (unsigned i = 0; i < sizeof(gates) / sizeof(gates[0]); i++)
		put(GDT + gates[i].at,
		    gate(gates[i].sel, gates[i].off, gates[i].attr,
			gates[i].params),
		    8);
	memset(MEM(LDT), 0, 0x20);
	put(LDT, desc(0, FLAT, 0xc093), 8);
	put(LDT + 8, desc(0, FLAT, 0xc09b), 8);
	put(LDT + 16, desc(TSS_B, 0x67, 0x0089), 8);
}

static void
put_gate(bool lng, unsigned v, uint16_t sel, uint32_t off, unsigned attr)
{
	unsigned ist = lng && v == V_IST1;

	put(IDT + (lng ? 16 : 8) * v, gate(sel, off, attr, ist), 8);
	if (lng)
		put(IDT + 16 * v + 8, 0, 8);
}

static void
make_idt(bool lng)
{
	uint32_t stubs = (uint32_t)(uint64_t)(lng ? stubs64 : stubs32), at;
	uint16_t cs = lng ? S_C64 : S_C32;
	unsigned v;

	for (v = 0; v < 64; v++) {
		/* push, push, jmp: 9 bytes in 16 */
		put_gate(lng, v, cs, stubs + 16 * v, 0x8e);
		put(IVT + 4 * v,
		    (LOW >> 4) << 16 |
			(uint32_t)(low_stubs - low_start + 8 * v),
		    4);
	}
	for (unsigned i = 0; i < sizeof(idt_gates) / sizeof(idt_gates[0]);
	     i++) {
		v = idt_gates[i].vector;
		at = idt_gates[i].off;
		if (idt_gates[i].sel == 1)
			put_gate(lng, v, cs, stubs + 16 * v, idt_gates[i].attr);
		else
			put_gate(
			    lng, v, idt_gates[i].sel, at, idt_gates[i].attr);
	}
}

static void
make_tss32(uint32_t at, uint32_t sp)
{
	memset(MEM(at), 0, 0x68);
	put(at + 0x04, SP0, 4);
	put(at + 0x08, S_D32, 4);
	put(at + 0x0c, SP1, 4);
	put(at + 0x10, S_D32R1, 4);
	put(at + 0x14, SP2, 4);
	put(at + 0x18, S_D32R2, 4);
	put(at + 0x20, LANDING, 4);
	put(at + 0x24, 2, 4);
	put(at + 0x38, sp, 4);
	for (unsigned i = 0; i < 6; i++)
		put(at + 0x48 + 4 * i, i == 1 ? S_C32 : S_D32, 4);
	put(at + 0x66, 0x68, 2);
}

static void
make_tss(void)
{
	make_tss32(TSS_A, 0);
	/* no ports but 0x80 and 0x84-0x87 */
	memset(MEM(TSS_A + 0x68), 0xff, 0x398);
	put(TSS_A + 0x68 + 0x80 / 8, 0x0e, 1);
	make_tss32(TSS_B, SP_B);
	make_tss32(TSS_D, SP_D);
	memset(MEM(TSS_C), 0, 0x2c);
	put(TSS_C + 0x02, SP0 - STACKS, 2);
	put(TSS_C + 0x04, S_D16, 2);
	put(TSS_C + 0x0e, LANDING - CODE, 2);
	put(TSS_C + 0x10, 2, 2);
	put(TSS_C + 0x1a, SP_C, 2);
	put(TSS_C + 0x22, S_D32, 2);
	put(TSS_C + 0x24, S_C16, 2);
	put(TSS_C + 0x26, S_D16, 2);
	put(TSS_C + 0x28, S_D32, 2);
	/* 64-bit */
	memset(MEM(TSS_A + 0x800), 0, 0x68);
	put(TSS_A + 0x804, SP0, 8);
	put(TSS_A + 0x80c, SP1, 8);
	put(TSS_A + 0x814, SP2, 8);
	put(TSS_A + 0x824, SP_IST1, 8);
	put(TSS_A + 0x866, 0x68, 2);
	memset(MEM(TSS_A + 0x868), 0xff, 0x398);
	put(TSS_A + 0x868 + 0x80 / 8, 0x0e, 1);
}

static void
make_pages(uint32_t pd, uint32_t pt)
{
	for (uint32_t i = 0; i < 1024; i++) {
		put(pd + 4 * i, i << 22 | 0x87, 4); /* 4 MiB */
		put(pt + 4 * i, i << 12 | 7, 4);
	}
	put(pd, pt | 7, 4);
}

/* ---- a row ---- */

/* clang-format off */
static const struct {
	uint8_t class, ring;
	uint16_t cs, ss, ds;
} modes[] = {
	[M_REAL] = { 0, 0, CODE >> 4, STACKS >> 4, DATA >> 4 },
	[M_P16] = { 1, 0, S_C16, S_D16, S_D32 },
	[M_P32] = { 1, 0, S_C32, S_D32, S_D32 },
	[M_P32R1] = { 1, 1, S_C32R1, S_D32R1, S_D32R3 },
	[M_P32R2] = { 1, 2, S_C32R2, S_D32R2, S_D32R3 },
	[M_P32R3] = { 1, 3, S_C32R3, S_D32R3, S_D32R3 },
	[M_V86] = { 1, 3, CODE >> 4, STACKS >> 4, DATA >> 4 },
	[M_C32] = { 2, 0, S_C32, S_D32, S_D32 },
	[M_C32R3] = { 2, 3, S_C32R3, S_D32R3, S_D32R3 },
	[M_L64] = { 2, 0, S_C64, S_D32, S_D32 },
	[M_L64R3] = { 2, 3, S_C64R3, S_D32R3, S_D32R3 },
	[M_P32PG] = { 1, 0, S_C32, S_D32, S_D32 },
};
/* clang-format on */

static bool
based(unsigned mode)
{
	return mode == M_REAL || mode == M_V86 || mode == M_P16;
}

static void
prepare(const struct row *r)
{
	unsigned m = (unsigned)r->mode, class = modes[m].class;
	size_t size = (size_t)(r->code_end - r->code);

	memset(MEM(GOT), 0, GOT_COUNT * 8);
	memset(MEM(RAW), 0, RAW_SIZE);
	memset(MEM(STACKS), 0, 0x10000);
	memset(MEM(DATA), 0, 0x2000);
	memset(MEM(CODE), 0xcc, 0x1000);
	memcpy(MEM(CODE), r->code, size);
	put(LANDING, 0x0b0f, 2); /* UD2 */
	memcpy(MEM(LOW), low_start, (size_t)(low_end - low_start));
	make_gdt();
	make_idt(class == 2);
	make_tss();
	memset(MEM(START + ST_DR), 0, 40);
	put(START + ST_CLASS, class, 4);
	put(START + ST_CS, modes[m].cs, 4);
	put(START + ST_IP, based(m) ? 0 : CODE, 4);
	put(START + ST_FL, 2 | (uint32_t)r->flags | (m == M_V86 ? 0x20000 : 0),
	    4);
	put(START + ST_SS, modes[m].ss, 4);
	put(START + ST_SP,
	    (based(m) ? 0 : STACKS + modes[m].ring * 0x1000) + STACK_SIZE, 4);
	put(START + ST_DS, modes[m].ds, 4);
	put(START + ST_CR0, class == 2 ? 0x80010033 : 0x33, 4);
	put(START + ST_CR4, class == 2 ? 0x620 : 0x600, 4);
	if (m == M_P32PG) {
		make_pages(PD_A, PT_A);
		make_pages(PD_B, PT_B);
		put(PT_B + (DATA >> 12) * 4, (DATA + 0x1000) | 7, 4);
		put(START + ST_CR0, 0x80010033, 4);
		put(START + ST_CR3, PD_A, 4);
		put(START + ST_CR4, 0x610, 4);
	}
	put(START + ST_OUTER, modes[m].ring != 0, 4);
	for (const struct poke *p = r->pokes; p < r->pokes_end; p++)
		put(p->at, p->value, (unsigned)p->size);
}

static bool
has_error(uint64_t v)
{
	return v == 8 || (v >= 10 && v <= 14) || v == 17;
}

/* Handlers are 32-bit code unless the row said otherwise. */
static void
decode32(void)
{
	const uint32_t *w = MEM(RAW);
	uint64_t sp = GET(got_hsp) + 4 * 13;
	bool outer;

	GET(got_gs) = (uint16_t)w[0];
	GET(got_fs) = (uint16_t)w[1];
	GET(got_es) = (uint16_t)w[2];
	GET(got_ds) = (uint16_t)w[3];
	GET(got_di) = w[4];
	GET(got_si) = w[5];
	GET(got_bp) = w[6];
	GET(got_bx) = w[8];
	GET(got_dx) = w[9];
	GET(got_cx) = w[10];
	GET(got_ax) = w[11];
	GET(got_vec) = w[12];
	GET(got_err) = w[13];
	GET(got_ip) = w[14];
	GET(got_cs) = (uint16_t)w[15];
	GET(got_fl) = w[16];
	outer = (w[16] & 0x20000) || (w[15] & 3) != (GET(got_hcs) & 3);
	GET(got_sp) = outer ? w[17] : sp + 4 * 4;
	GET(got_ss) = outer ? (uint16_t)w[18] : GET(got_hss);
	GET(got_hsp) = sp + (has_error(w[12]) ? 0 : 4);
	if (w[16] & 0x20000) {
		GET(got_ves) = (uint16_t)w[19];
		GET(got_vgs) = (uint16_t)w[22];
	}
}

static void
decode64(void)
{
	const uint64_t *w = MEM(RAW);

	GET(got_gs) = w[0];
	GET(got_fs) = w[1];
	GET(got_es) = w[2];
	GET(got_ds) = w[3];
	GET(got_di) = w[4];
	GET(got_si) = w[5];
	GET(got_bp) = w[6];
	GET(got_bx) = w[7];
	GET(got_dx) = w[8];
	GET(got_cx) = w[9];
	GET(got_ax) = w[10];
	GET(got_vec) = w[11];
	GET(got_err) = (uint32_t)w[12];
	GET(got_ip) = w[13];
	GET(got_cs) = w[14];
	GET(got_fl) = w[15];
	GET(got_sp) = w[16];
	GET(got_ss) = w[17];
	GET(got_hsp) += 8 * (has_error(w[11]) ? 12 : 13);
}

static void
decode16(void)
{
	const uint16_t *w = MEM(RAW);
	const uint32_t *d = (const void *)(w + 4);

	GET(got_gs) = w[0];
	GET(got_fs) = w[1];
	GET(got_es) = w[2];
	GET(got_ds) = w[3];
	GET(got_di) = d[0];
	GET(got_si) = d[1];
	GET(got_bp) = d[2];
	GET(got_bx) = d[4];
	GET(got_dx) = d[5];
	GET(got_cx) = d[6];
	GET(got_ax) = d[7];
	GET(got_vec) = w[20];
	GET(got_err) = NO_ERR; /* real mode pushes none */
	GET(got_ip) = w[22];
	GET(got_cs) = w[23];
	GET(got_fl) = w[24];
	GET(got_sp) = (uint16_t)(GET(got_hsp) + 50);
	GET(got_ss) = GET(got_hss);
	GET(got_hsp) = (uint16_t)(GET(got_hsp) + 44);
}

static void
decode(const struct row *r)
{
	uint64_t cs;

	if (modes[r->mode].class == 2)
		decode64();
	else if (GET(got_hcs) == LOW >> 4)
		decode16();
	else
		decode32();
	cs = GET(got_cs);
	/* from the row's start, whatever the segment's base */
	if (!(GET(got_fl) & 0x20000) && cs != CODE >> 4 && cs != S_C16 &&
	    cs != S_CLIM)
		GET(got_ip) -= CODE;
}

static uint64_t
run_rows(uint64_t arg)
{
	uint64_t v;
	bool good;

	for (const struct row *r = __start_rows; r < __stop_rows; r++) {
		prepare(r);
		enter();
		decode(r);
		good = true;
		for (const struct want *w = r->wants; w < r->wants_end; w++) {
			memcpy(&v, MEM(w->at), 8);
			if ((v & w->mask) == (w->value & w->mask))
				continue;
			print("# %s: %s is %lx, should be %lx\n", r->name,
			    w->name, v & w->mask, w->value & w->mask);
			good = false;
		}
		ok(good, "%s", r->name);
	}
	tap_done();
	return arg;
}

void
user_main(void)
{
	ring0(run_rows, 0);
}
