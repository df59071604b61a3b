/*
 * 32-bit paging with and without PSE, and PAE paging: page faults, rights,
 * large pages, reserved bits, A and D bits, and the PDPTE registers.
 *
 * Source: Intel SDM vol. 3, 4.3 (32-bit paging), 4.4 (PAE paging and the
 * PDPTEs), 4.7 (error codes).
 */
#include "sys.h"

struct legacy {
	uint32_t cr3, cr4, cr0, efer, eip, esp, cpl, edi, eax;
	uint32_t vector, error, cr2;
};
void legacy_run(struct legacy *l);
void legacy_init(void);

enum mode { M32, PSE, PAE };
enum access { READ, WRITE, EXEC };
enum { WP0 = 1, NXE = 2, SMEP = 4 };
#define FINE (-1)
#define MAPPED UINT32_C(0x1000000) /* as it is, for the harness */
#define USER_LIN UINT32_C(0x40000000) /* code, stack */
#define TEST_LIN UINT32_C(0x80c05000)
#define OFF 0x140
#define R51 (UINT64_C(1) << 51)
#define R21 (UINT64_C(1) << 21)
#define STUB_SIZE 32

static uint64_t *pdpt, *pd[4], *pt; /* PAE */
static uint32_t *dir, *tab; /* 32-bit */
static uint8_t *code, *stack;
static uint64_t *data;
static bool has_smep;
static unsigned maxphys;

/* clang-format off */
SYS_CODE(read, ".code32; movl (%edi), %eax; ud2; .code64");
SYS_CODE(write, ".code32; movl %eax, (%edi); ud2; .code64");
SYS_CODE(exec, ".code32; jmp *%edi; .code64");

struct row {
	const char *what;
	uint8_t mode, leaf, access, cpl, with;
	uint64_t e2, e1; /* PDE, PTE */
	int error;
};

static const struct row rows[] = {
{ "32: user read", M32, 1, READ, 3, 0, PWU, PWU, FINE },
{ "32: user write", M32, 1, WRITE, 3, 0, PWU, PWU, FINE },
{ "32: user fetch", M32, 1, EXEC, 3, 0, PWU, PWU, FINE },
{ "32: PS without PSE is ignored", M32, 1, WRITE, 3, 0, PWU | PS, PWU, FINE },
{ "32: PTE not present", M32, 1, READ, 3, 0, PWU, W | U, eU },
{ "32: PDE not present", M32, 1, WRITE, 0, 0, W | U, PWU, eW },
{ "32: user read of a supervisor page", M32, 1, READ, 3, 0, PWU, P | W, eP | eU },
{ "32: U clear in the PDE", M32, 1, READ, 3, 0, P | W, PWU, eP | eU },
{ "32: user write, W clear in the PDE", M32, 1, WRITE, 3, 0, P | U, PWU, eP | eU | eW },
{ "32: WP: kernel write of a read-only page", M32, 1, WRITE, 0, 0, PWU, P | U, eP | eW },
{ "32: WP clear: kernel write of a read-only page", M32, 1, WRITE, 0, WP0, PWU, P, FINE },
{ "32: a fetch has no I/D", M32, 1, EXEC, 3, 0, PWU, W | U, eU },
{ "32: nor has it with NXE, which is PAE's", M32, 1, EXEC, 3, NXE, PWU, W | U, eU },
{ "32: fetch of a supervisor page with NXE", M32, 1, EXEC, 3, NXE, PWU, P | W, eP | eU },
{ "32: with SMEP it has", M32, 1, EXEC, 3, SMEP, PWU, W | U, eU | eI },
{ "32: SMEP: kernel fetch of a user page", M32, 1, EXEC, 0, SMEP, PWU, PWU, eP | eI },
{ "PSE: 4 KiB page", PSE, 1, WRITE, 3, 0, PWU, PWU, FINE },
{ "PSE: 4 MiB page, user write", PSE, 2, WRITE, 3, 0, PWU | PS, 0, FINE },
{ "PSE: 4 MiB page, user fetch", PSE, 2, EXEC, 3, 0, PWU | PS, 0, FINE },
{ "PSE: 4 MiB page, read-only", PSE, 2, WRITE, 3, 0, P | U | PS, 0, eP | eU | eW },
{ "PSE: 4 MiB page, supervisor", PSE, 2, READ, 3, 0, P | W | PS, 0, eP | eU },
{ "PSE: 4 MiB page not present", PSE, 2, READ, 3, 0, W | U | PS, 0, eU },
{ "PSE: bit 21 of a 4 MiB page is reserved", PSE, 2, READ, 3, 0, PWU | PS | R21, 0, eP | eU | eR },
{ "PSE: bit 21, kernel write", PSE, 2, WRITE, 0, 0, PWU | PS | R21, 0, eP | eW | eR },
{ "PAE: 4 KiB page, user write", PAE, 1, WRITE, 3, 0, PWU, PWU, FINE },
{ "PAE: 4 KiB page, user fetch", PAE, 1, EXEC, 3, 0, PWU, PWU, FINE },
{ "PAE: PTE not present", PAE, 1, READ, 3, 0, PWU, W | U, eU },
{ "PAE: PDE not present", PAE, 1, WRITE, 3, 0, W | U, PWU, eU | eW },
{ "PAE: user write of a read-only page", PAE, 1, WRITE, 3, 0, PWU, P | U, eP | eU | eW },
{ "PAE: kernel write of a read-only page", PAE, 1, WRITE, 0, 0, PWU, P | U, eP | eW },
{ "PAE: a fetch without NXE has no I/D", PAE, 1, EXEC, 3, 0, PWU, P | W, eP | eU },
{ "PAE: with NXE it has", PAE, 1, EXEC, 3, NXE, PWU, P | W, eP | eU | eI },
{ "PAE: NX in the PTE", PAE, 1, EXEC, 3, NXE, PWU, PWU | NX, eP | eU | eI },
{ "PAE: NX in the PDE", PAE, 1, EXEC, 0, NXE, PWU | NX, PWU, eP | eI },
{ "PAE: NX, read", PAE, 1, READ, 3, NXE, PWU, PWU | NX, FINE },
{ "PAE: NX without NXE is reserved", PAE, 1, READ, 3, 0, PWU, PWU | NX, eP | eU | eR },
{ "PAE: bit 51 of the PTE is reserved", PAE, 1, READ, 3, 0, PWU, PWU | R51, eP | eU | eR },
{ "PAE: bit 62 of the PTE is reserved", PAE, 1, READ, 3, 0, PWU, PWU | UINT64_C(1) << 62, eP | eU | eR },
{ "PAE: bit 52 of the PDE is reserved", PAE, 1, WRITE, 0, NXE, PWU | UINT64_C(1) << 52, PWU, eP | eW | eR },
{ "PAE: 2 MiB page, user write", PAE, 2, WRITE, 3, 0, PWU | PS, 0, FINE },
{ "PAE: 2 MiB page, bit 13 is reserved", PAE, 2, READ, 3, 0, PWU | PS | 1u << 13, 0, eP | eU | eR },
{ "PAE: 2 MiB page, NX", PAE, 2, EXEC, 3, NXE, PWU | PS | NX, 0, eP | eU | eI },
};
/* clang-format on */

/* ---- tables ---- */

static void
build_tables(void)
{
	uint32_t *low, *user;
	uint64_t *upd, *upt;

	dir = balloc(4096, 4096);
	tab = balloc(4096, 4096);
	user = balloc(4096, 4096);
	pdpt = balloc(4096, 4096);
	for (unsigned i = 0; i < 4; i++) {
		pd[i] = balloc(4096, 4096);
		pdpt[i] = (uint64_t)pd[i] | P;
	}
	pt = balloc(4096, 4096);
	upt = balloc(4096, 4096);
	data = balloc(4096, 4096);
	code = balloc(4096, 4096);
	stack = balloc(4096, 4096);
	for (uint32_t a = 0; a < MAPPED; a += 4096) {
		if (a % 0x400000 == 0)
			dir[a >> 22] = (uint32_t)(uint64_t)balloc(4096, 4096) |
			    (uint32_t)(P | W);
		low = (uint32_t *)(uint64_t)(dir[a >> 22] & ~0xfffu);
		low[a >> 12 & 1023] = a | (uint32_t)(P | W);
		if (a % 0x200000 == 0)
			pd[0][a >> 21] = a | P | W | PS;
	}
	dir[USER_LIN >> 22] = (uint32_t)((uint64_t)user | PWU);
	user[0] = (uint32_t)((uint64_t)code | P | U);
	user[1] = (uint32_t)((uint64_t)stack | PWU);
	upd = pd[USER_LIN >> 30];
	upd[0] = (uint64_t)upt | PWU;
	upt[0] = (uint64_t)code | P | U;
	upt[1] = (uint64_t)stack | PWU;
	SYS_COPY(code + READ * STUB_SIZE, read);
	SYS_COPY(code + WRITE * STUB_SIZE, write);
	SYS_COPY(code + EXEC * STUB_SIZE, exec);
}

static uint32_t
lin_of(const struct row *r)
{
	uint32_t mask = r->mode == PAE ? 0x1fffff : 0x3fffff;

	if (r->leaf == 1)
		return TEST_LIN + OFF;
	return (TEST_LIN & ~mask) + ((uint32_t)(uint64_t)data & mask) + OFF;
}

static uint64_t
leaf_of(const struct row *r)
{
	uint32_t lin = lin_of(r);

	if (r->mode == PAE)
		return r->leaf == 2 ? pd[lin >> 30][lin >> 21 & 511]
				    : pt[lin >> 12 & 511];
	return r->leaf == 2 ? dir[lin >> 22] : tab[lin >> 12 & 1023];
}

static void
set_entries(const struct row *r)
{
	uint32_t lin = lin_of(r), mask = r->mode == PAE ? 0x1fffff : 0x3fffff;
	uint64_t e2 = r->leaf == 2 ? ((uint64_t)data & ~(uint64_t)mask) | r->e2
	    : r->mode == PAE       ? (uint64_t)pt | r->e2
				   : (uint64_t)tab | r->e2;
	uint64_t e1 = (uint64_t)data | r->e1;

	if (r->mode == PAE) {
		pd[lin >> 30][lin >> 21 & 511] = e2;
		pt[lin >> 12 & 511] = e1;
	} else {
		dir[lin >> 22] = (uint32_t)e2;
		tab[lin >> 12 & 1023] = (uint32_t)e1;
	}
}

static void
prepare(struct legacy *l, unsigned mode, unsigned with, unsigned access,
    unsigned cpl, uint32_t lin)
{
	uint32_t off = access * STUB_SIZE;

	memset(l, 0, sizeof(*l));
	l->cr3 = (uint32_t)(uint64_t)(mode == PAE ? (void *)pdpt : dir);
	l->cr4 = 0x600 |
	    (mode == PAE          ? CR4_PAE
		    : mode == PSE ? CR4_PSE
				  : 0) |
	    (with & SMEP ? CR4_SMEP : 0);
	l->cr0 = 0x80000033 | (with & WP0 ? 0 : CR0_WP);
	l->efer = with & NXE ? EFER_NXE : 0;
	l->cpl = cpl;
	l->eip = cpl == 3 ? USER_LIN + off : (uint32_t)(uint64_t)code + off;
	l->esp =
	    cpl == 3 ? USER_LIN + 0x2000 : (uint32_t)(uint64_t)stack + 4096;
	l->edi = lin;
	l->eax = 0x22220b0f;
}

static bool
run_row(const struct row *r)
{
	uint32_t lin = lin_of(r), eip;
	uint64_t want;
	struct legacy l;
	bool good;

	data[OFF / 8] = 0x0b0f;
	set_entries(r);
	want = leaf_of(r);
	prepare(&l, r->mode, r->with, r->access, r->cpl, lin);
	eip = r->access == EXEC ? lin : l.eip;
	legacy_run(&l);
	if (r->error == FINE) {
		good = l.vector == SYS_UD;
		want |= A | (r->access == WRITE ? D : 0);
		if (r->access == WRITE && (uint32_t)data[OFF / 8] != 0x22220b0f)
			good = false;
	} else
		good = l.vector == 14 && l.error == (uint32_t)r->error &&
		    l.cr2 == lin && l.eip == eip && data[OFF / 8] == 0x0b0f;
	if (leaf_of(r) != want)
		good = false;
	if (!good)
		print("# vector %u error %x cr2 %x eip %x; expected %d %x %x, "
		      "leaf %lx, expected %lx\n",
		    l.vector, l.error, l.cr2, l.eip, r->error, lin, eip,
		    leaf_of(r), want);
	return good;
}

/* ---- PDPTEs: registers, loaded by MOV CR3 and some others ---- */

/*
 * Ring 0: a load, the PDPTE at ESI cleared in memory, the translation dropped,
 * a load. Between them nothing, or what loads the PDPTEs.
 */
#define CLEARED(name, between)                                       \
	SYS_CODE(name,                                               \
	    ".code32; movl (%edi), %eax; movl $0, (%esi); movl $0, " \
	    "4(%esi)\n" between                                      \
	    "\ninvlpg (%edi); movl (%edi), %eax; ud2; .code64")
CLEARED(pdpte_memory, "");
CLEARED(pdpte_cr3, "movl %cr3, %eax; movl %eax, %cr3");
CLEARED(pdpte_pge, "movl %cr4, %eax; xorl $0x80, %eax; movl %eax, %cr4");
CLEARED(pdpte_pse, "movl %cr4, %eax; xorl $0x10, %eax; movl %eax, %cr4");
CLEARED(pdpte_cd, "movl %cr0, %eax; xorl $0x40000000, %eax; movl %eax, %cr0");
CLEARED(pdpte_wp, "movl %cr0, %eax; xorl $0x10000, %eax; movl %eax, %cr0");

/* clang-format off */
static const struct {
	const char *what;
	const char *start, *end;
	uint32_t vector;
} cleared[] = {
#define ROW(name) sys_##name, sys_##name##_end
{ "PAE: a PDPTE cleared in memory stays in its register", ROW(pdpte_memory), SYS_UD },
{ "PAE: MOV CR3 loads it", ROW(pdpte_cr3), 14 },
{ "PAE: MOV CR4 that changes PGE loads it", ROW(pdpte_pge), 14 },
{ "PAE: MOV CR4 that changes PSE loads it", ROW(pdpte_pse), 14 },
{ "PAE: MOV CR0 that changes CD loads it", ROW(pdpte_cd), 14 },
{ "PAE: MOV CR0 that changes WP does not", ROW(pdpte_wp), SYS_UD },
};
/* clang-format on */

static void
test_cleared(void)
{
	static const struct row page = { "", PAE, 1, READ, 0, 0, PWU, PWU,
		FINE };
	uint64_t *e = &pdpt[TEST_LIN >> 30], was = *e;
	uint8_t *at = code + 8 * STUB_SIZE;
	uint32_t esi = (uint32_t)(uint64_t)e;
	struct legacy l;

	set_entries(&page);
	for (unsigned i = 0; i < sizeof(cleared) / sizeof(cleared[0]); i++) {
		at[0] = 0xbe; /* mov $esi, %esi */
		memcpy(at + 1, &esi, 4);
		memcpy(at + 5, cleared[i].start,
		    (size_t)(cleared[i].end - cleared[i].start));
		prepare(&l, PAE, 0, 8, 0, lin_of(&page));
		legacy_run(&l);
		*e = was;
		if (!ok(l.vector == cleared[i].vector, "%s", cleared[i].what))
			print("# vector %u error %x cr2 %x\n", l.vector,
			    l.error, l.cr2);
	}
	*e = 0;
	prepare(&l, PAE, 0, READ, 0, lin_of(&page));
	legacy_run(&l);
	ok(l.vector == 14 && l.error == 0 && l.cr2 == lin_of(&page),
	    "PAE: a PDPTE not present");
	*e = was;
}

static void
test_pdptes(void)
{
	/* clang-format off */
	static const struct {
		const char *what;
		uint64_t pdpte;
		uint32_t vector;
	} loads[] = {
	{ "PAE: bit 1 of a PDPTE is reserved: #GP of the load", P | W, 13 },
	{ "PAE: bit 8 of a PDPTE is reserved", P | G, 13 },
	{ "PAE: bit 5 of a PDPTE is reserved", P | A, 13 },
	{ "PAE: bit 63 of a PDPTE is reserved", P | NX, 13 },
	{ "PAE: PWT and PCD of a PDPTE are not", P | 0x18, SYS_UD },
	{ "PAE: reserved bits of a PDPTE not present do not count", W | G, SYS_UD },
	};
	/* clang-format on */
	SYS_CODE(load_cr3, ".code32; movl %edi, %cr3; ud2; .code64");
	struct legacy l;

	for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		uint64_t *t = balloc(4096, 4096);

		memcpy(t, pdpt, 32);
		t[3] = (t[3] & ADDR) | loads[i].pdpte;
		SYS_COPY(code + 8 * STUB_SIZE, load_cr3);
		prepare(&l, PAE, 0, 8, 0, (uint32_t)(uint64_t)t);
		legacy_run(&l);
		if (!ok(l.vector == loads[i].vector, "%s", loads[i].what))
			print("# vector %u error %x\n", l.vector, l.error);
	}
}

static uint64_t
run_all(uint64_t unused)
{
	const struct row *r;

	legacy_init();
	build_tables();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = &rows[i];
		if ((r->with & SMEP) && !has_smep)
			skip(r->what, "the CPU model has no SMEP");
		else if (((r->e2 | r->e1) & R51) && maxphys > 51)
			skip(r->what, "all address bits are in use");
		else
			ok(run_row(r), "%s", r->what);
	}
	test_pdptes();
	test_cleared();
	return 0;
}

void
user_main(void)
{
	uint32_t r[4];

	if (sys_ring0_emulated()) {
		skip("legacy paging", "this KVM emulates ring 0");
		tap_done();
	}
	cpuid(7, 0, r);
	has_smep = r[1] >> 7 & 1;
	cpuid(0x80000008, 0, r);
	maxphys = r[0] & 0xff;
	ring0(run_all, 0);
	tap_done();
}
