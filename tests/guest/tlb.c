/*
 * What drops translations: INVLPG, MOV to CR3 and CR4, for data and for code
 * that was executed before, in pages of each size, global or not, in both
 * halves of the address space; and A and D that are set again afterwards.
 *
 * A page is used, its entry changed to lead elsewhere, the translation dropped;
 * then data and code must be the new ones. What a CPU may keep, but need not,
 * is not looked at.
 *
 * Source: Intel SDM vol. 3, 4.10.4.
 */
#include "sys.h"

#define LOW (UINT64_C(3) << 39)
#define HIGH UINT64_C(0xffff900000000000)
#define USER_LIN (UINT64_C(2) << 39)
#define SIZE_2M UINT64_C(0x200000)

enum drop { INVLPG, INVLPG_END, CR3, PGE_TOGGLE };
enum { GLOBAL = 1, LARGE = 2 };

struct row {
	const char *what;
	uint64_t lin;
	uint8_t cpl, kind, drop;
};

/* clang-format off */
static const struct row rows[] = {
{ "4 KiB, INVLPG, ring 0", LOW, 0, 0, INVLPG },
{ "4 KiB, INVLPG of its last byte", LOW, 0, 0, INVLPG_END },
{ "4 KiB, MOV CR3", LOW, 0, 0, CR3 },
{ "4 KiB, CR4.PGE", LOW, 0, 0, PGE_TOGGLE },
{ "4 KiB, ring 3, INVLPG", LOW, 3, 0, INVLPG },
{ "4 KiB, ring 3, MOV CR3", LOW, 3, 0, CR3 },
{ "4 KiB, ring 3, CR4.PGE", LOW, 3, 0, PGE_TOGGLE },
{ "2 MiB, INVLPG", LOW, 0, LARGE, INVLPG },
{ "2 MiB, INVLPG of its last byte", LOW, 0, LARGE, INVLPG_END },
{ "2 MiB, ring 3, INVLPG of its last byte", LOW, 3, LARGE, INVLPG_END },
{ "2 MiB, MOV CR3", LOW, 0, LARGE, CR3 },
{ "global, INVLPG", LOW, 0, GLOBAL, INVLPG },
{ "global, ring 3, INVLPG", LOW, 3, GLOBAL, INVLPG },
{ "global, CR4.PGE", LOW, 0, GLOBAL, PGE_TOGGLE },
{ "global 2 MiB, INVLPG of its last byte", LOW, 0, GLOBAL | LARGE, INVLPG_END },
{ "global 2 MiB, CR4.PGE", LOW, 3, GLOBAL | LARGE, PGE_TOGGLE },
{ "high, INVLPG", HIGH, 0, 0, INVLPG },
{ "high, MOV CR3", HIGH, 0, 0, CR3 },
{ "high, ring 3, MOV CR3", HIGH, 3, 0, CR3 },
{ "high, CR4.PGE", HIGH, 0, 0, PGE_TOGGLE },
{ "high 2 MiB, MOV CR3", HIGH, 0, LARGE, CR3 },
{ "high 2 MiB, INVLPG of its last byte", HIGH, 0, LARGE, INVLPG_END },
{ "high global, INVLPG", HIGH, 0, GLOBAL, INVLPG },
{ "high global, ring 3, INVLPG", HIGH, 3, GLOBAL, INVLPG },
{ "high global 2 MiB, INVLPG", HIGH, 0, GLOBAL | LARGE, INVLPG },
{ "high global, CR4.PGE", HIGH, 0, GLOBAL, PGE_TOGGLE },
};

/*
 * At the page's start: read the data beside, go to the next line, to the next
 * page and back a few times (so that links form), then end with a number.
 */
#define PAGE_CODE(n)                                                     \
	"6: movl $4, %ecx\n"                                             \
	"1: movq 7f+2048(%rip), %rax\n"                                  \
	"jmp 2f\n .p2align 6\n"                                          \
	"2: call 3f\n"                                                   \
	"decl %ecx\n jnz 1b\n movl $" #n ", %ebx\n ud2\n"                \
	".p2align 6\n 3: jmp 4f\n"                                       \
	".fill 4096 - (. - 6b), 1, 0x90\n"                               \
	"4: movl $" #n ", %edx\n ret\n .p2align 6\n"                     \
	"7:\n"
/* clang-format on */
SYS_CODE(one, PAGE_CODE(1));
SYS_CODE(two, PAGE_CODE(2));

static uint64_t *space;
static char *mem[2]; /* 2 MiB each: two pages of code, data */

static void
build(void)
{
	space = sys_space();
	for (unsigned i = 0; i < 2; i++) {
		mem[i] = balloc(SIZE_2M, SIZE_2M);
		if (i == 0)
			SYS_COPY(mem[i], one);
		else
			SYS_COPY(mem[i], two);
		for (unsigned k = 0; k < 64; k++)
			((uint64_t *)(mem[i] + 0x1800))[k] = i + 1;
	}
	*sys_pte(space, USER_LIN) = (uint64_t)balloc(4096, 4096) | PWU;
}

static uint64_t *
pde(uint64_t lin)
{
	uint64_t *t = space;

	for (unsigned shift = 39; shift > 21; shift -= 9)
		t = (uint64_t *)(t[lin >> shift & 511] & ADDR);
	return &t[lin >> 21 & 511];
}

/* Lead the page and its neighbour to mem[i]. */
static void
map(const struct row *r, unsigned i)
{
	uint64_t rights = PWU | (r->kind & GLOBAL ? G : 0);

	/* each kind has a 2 MiB range of its own, so that tables stay */
	if (r->kind & LARGE) {
		*pde(r->lin + SIZE_2M) = (uint64_t)mem[i] | rights | PS;
		return;
	}
	for (unsigned k = 0; k < 3; k++)
		*sys_pte(space, r->lin + 4096 * k) =
		    ((uint64_t)mem[i] + 4096 * k) | rights;
}

static uint64_t
lin_of(const struct row *r)
{
	return r->lin + (r->kind & LARGE ? SIZE_2M : 0);
}

static void
drop(const struct row *r)
{
	uint64_t lin = lin_of(r), cr4 = read_cr4();

	switch ((enum drop)r->drop) {
	case INVLPG:
		invlpg(lin);
		if (!(r->kind & LARGE))
			invlpg(lin + 4096);
		break;
	case INVLPG_END:
		invlpg(lin + (r->kind & LARGE ? SIZE_2M - 1 : 4095));
		if (!(r->kind & LARGE))
			invlpg(lin + 8191);
		break;
	case CR3:
		write_cr3((uint64_t)space);
		break;
	case PGE_TOGGLE:
		write_cr4(cr4 ^ CR4_PGE);
		write_cr4(cr4);
		break;
	default:
		break;
	}
}

static bool
run_page(const struct row *r, unsigned want)
{
	struct sys_regs s;

	sys_regs_init(&s, r->cpl, (void *)lin_of(r),
	    r->cpl == 3 ? USER_LIN + 4096
			: (*sys_pte(space, USER_LIN) & ADDR) + 4096);
	sys_run(&s);
	if (s.f.vector == SYS_UD && s.f.rax == want && s.f.rbx == want &&
	    s.f.rdx == want)
		return true;
	print("# vector %u error %x cr2 %lx: data %lu, code %lu, code of the "
	      "next page %lu, expected %u\n",
	    (unsigned)s.f.vector, (unsigned)s.f.error, s.cr2, s.f.rax, s.f.rbx,
	    s.f.rdx, want);
	return false;
}

static bool
bits_back(const struct row *r)
{
	volatile uint64_t *e =
	    r->kind & LARGE ? pde(lin_of(r)) : sys_pte(space, lin_of(r));
	uint64_t before;

	*e &= ~(A | D);
	drop(r);
	before = *e;
	if (before & (A | D)) {
		print("# A or D came without an access\n");
		return false;
	}
	*(volatile char *)lin_of(r);
	if ((*e & (A | D)) != A) {
		print("# after a read the entry is %lx\n", *e);
		return false;
	}
	*(volatile char *)(lin_of(r) + 0xff0) = 0;
	if ((*e & (A | D)) != (A | D)) {
		print("# after a write the entry is %lx\n", *e);
		return false;
	}
	return true;
}

static bool
run_row(const struct row *r)
{
	for (unsigned i = 0; i < 6; i++) {
		map(r, i & 1);
		drop(r);
		if (!run_page(r, (i & 1) + 1) || !run_page(r, (i & 1) + 1))
			return false;
	}
	return bits_back(r);
}

/* ---- MOV to control registers: what is refused ---- */

SYS_CODE(cr0, "movq %rdi, %cr0; ud2");
SYS_CODE(cr3, "movq %rdi, %cr3; ud2");
SYS_CODE(cr4, "movq %rdi, %cr4; ud2");
SYS_CODE(cr8, "movq %rdi, %cr8; ud2");
SYS_CODE(smsw, "smsw %rax; ud2");
SYS_CODE(clac, "clac; ud2");
SYS_CODE(invlpg, "invlpg (%rdi); ud2");

static void
test_refused(void)
{
	uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();
	/* clang-format off */
	const struct {
		const char *what;
		const char *start, *end;
		unsigned cpl;
		uint64_t value;
		uint32_t vector;
	} t[] = {
#define CODE(name) sys_##name, sys_##name##_end
	{ "CR0 as it is", CODE(cr0), 0, cr0, SYS_UD },
	{ "CR0: bit 32 is reserved", CODE(cr0), 0, cr0 | UINT64_C(1) << 32, 13 },
	{ "CR0: PG without PE", CODE(cr0), 0, cr0 & ~UINT64_C(1), 13 },
	{ "CR0: NW without CD", CODE(cr0), 0, cr0 | 1u << 29, 13 },
	{ "CR0: PG off in 64-bit mode", CODE(cr0), 0, cr0 & ~CR0_PG, 13 },
	{ "CR0 in ring 3", CODE(cr0), 3, cr0, 13 },
	{ "CR3: bit 51 above MAXPHYADDR", CODE(cr3), 0, cr3 | UINT64_C(1) << 51, 13 },
	{ "CR3 in ring 3", CODE(cr3), 3, cr3, 13 },
	{ "CR4 as it is", CODE(cr4), 0, cr4, SYS_UD },
	{ "CR4: PAE off in long mode", CODE(cr4), 0, cr4 & ~CR4_PAE, 13 },
	{ "CR4: bit 63 is reserved", CODE(cr4), 0, cr4 | UINT64_C(1) << 63, 13 },
	{ "CR4: bit 15 is reserved", CODE(cr4), 0, cr4 | 1u << 15, 13 },
	{ "CR8 above 15", CODE(cr8), 0, 16, 13 },
	{ "CR8 in ring 3", CODE(cr8), 3, 0, 13 },
	{ "SMSW in ring 3", CODE(smsw), 3, 0, SYS_UD },
	{ "CLAC in ring 3", CODE(clac), 3, 0, SYS_UD },
	{ "INVLPG in ring 3", CODE(invlpg), 3, 0, 13 },
	};
	/* clang-format on */
	char *page = (char *)(*sys_pte(space, USER_LIN) & ADDR);
	struct sys_regs s;

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		memcpy(page, t[i].start, (size_t)(t[i].end - t[i].start));
		sys_regs_init(&s, t[i].cpl,
		    t[i].cpl == 3 ? (void *)USER_LIN : page,
		    t[i].cpl == 3 ? USER_LIN + 4096 : (uint64_t)page + 4096);
		s.f.rdi = t[i].value;
		sys_run(&s);
		if (!ok(s.f.vector == t[i].vector && s.f.error == 0, "%s",
			t[i].what))
			print("# vector %u error %x\n", (unsigned)s.f.vector,
			    (unsigned)s.f.error);
	}
}

static uint64_t
run_all(uint64_t unused)
{
	uint64_t cr3 = read_cr3(), cr4 = read_cr4();

	sys_init();
	build();
	/* tables for all kinds, before anything is cached */
	for (unsigned k = 0; k < 2; k++) {
		sys_pte(space, k ? HIGH : LOW);
		sys_pte(space, (k ? HIGH : LOW) + SIZE_2M);
	}
	write_cr3((uint64_t)space);
	write_cr4(cr4 | CR4_PGE);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(run_row(&rows[i]), "%s", rows[i].what);
	test_refused();
	write_cr4(cr4);
	write_cr3(cr3);
	sys_done();
	return 0;
}

void
user_main(void)
{
	if (sys_ring0_emulated()) {
		skip("translations dropped", "this KVM emulates ring 0");
		tap_done();
	}
	ring0(run_all, 0);
	tap_done();
}
