/*
 * 4-level paging: page faults with every error code, permissions, A and D
 * bits, large pages, reserved bits, NX, WP, SMEP, SMAP.
 *
 * Each row is run with translations flushed, and once more after a permitted
 * access has brought the page into the TLB: what is cached must not weaken a
 * check. Ring-3 rows are the host CPU's own answer on KVM.
 *
 * Source: Intel SDM vol. 3, 4.5 (entries), 4.6 (access rights), 4.7 (error
 * codes), 4.8 (A and D).
 */
#include "sys.h"

#define R51 (UINT64_C(1) << 51) /* above MAXPHYADDR */
#define R13 (UINT64_C(1) << 13) /* inside a large page's number */
#define AVL (UINT64_C(0x7ff) << 52 & ~NX) /* for software */
#define FINE (-1)

enum access { READ, WRITE, RMW, EXEC };
enum {
	WP0 = 1,
	NXE0 = 2,
	SMEP = 4,
	SMAP = 8,
	AC = 16,
};

static uint64_t *tables[5]; /* [4] = PML4, [3] = PDPT, ... of the test area */
static uint64_t *data; /* the page that all mappings lead to */
static char *user_code; /* kernel's address of it */
static uint64_t cr4_base;
static unsigned maxphys;
static bool only_user, has_smep, has_smap, has_nx, has_1g;

#define USER_BASE (UINT64_C(2) << 39) /* code page, stack page */
#define TEST_BASE (UINT64_C(1) << 39)
#define TEST_LIN (TEST_BASE | UINT64_C(2) << 30 | 3u << 21 | 4u << 12)
#define OFF 0x140

struct row {
	const char *what;
	uint8_t leaf; /* level of the page: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB */
	uint8_t access, cpl, with;
	uint64_t e4, e3, e2, e1; /* entries, levels down to the leaf */
	int error;
};

/* clang-format off */
static const struct row rows[] = {
/* not present: bit P clear in the code, whatever else is wrong */
{ "not present, kernel read", 1, READ, 0, 0, PWU, PWU, PWU, W | U, 0 },
{ "not present, kernel write", 1, WRITE, 0, 0, PWU, PWU, PWU, W | U, eW },
{ "not present, user read", 1, READ, 3, 0, PWU, PWU, PWU, W | U, eU },
{ "not present, user write", 1, WRITE, 3, 0, PWU, PWU, PWU, W | U, eU | eW },
{ "not present, user read-modify-write is a write", 1, RMW, 3, 0, PWU, PWU, PWU, W | U, eU | eW },
{ "not present, user fetch", 1, EXEC, 3, 0, PWU, PWU, PWU, W | U, eU | eI },
{ "not present, kernel fetch", 1, EXEC, 0, 0, PWU, PWU, PWU, W | U, eI },
{ "not present, fetch, without NXE and SMEP there is no I/D", 1, EXEC, 3, NXE0, PWU, PWU, PWU, W | U, eU },
{ "not present with reserved bits set: no RSVD", 1, READ, 3, 0, PWU, PWU, PWU, W | U | R51, eU },
{ "PDE not present", 1, READ, 3, 0, PWU, PWU, W | U, PWU, eU },
{ "PDPTE not present", 1, WRITE, 3, 0, PWU, W | U, PWU, PWU, eU | eW },
{ "PML4E not present", 1, READ, 3, 0, W | U, PWU, PWU, PWU, eU },
{ "2 MiB page not present", 2, WRITE, 3, 0, PWU, PWU, W | U | PS, 0, eU | eW },
{ "1 GiB page not present", 3, READ, 0, 0, PWU, W | U | PS, 0, 0, 0 },
/* rights: AND of all levels */
{ "user read", 1, READ, 3, 0, PWU, PWU, PWU, PWU, FINE },
{ "user write", 1, WRITE, 3, 0, PWU, PWU, PWU, PWU, FINE },
{ "user read-modify-write", 1, RMW, 3, 0, PWU, PWU, PWU, PWU, FINE },
{ "user fetch", 1, EXEC, 3, 0, PWU, PWU, PWU, PWU, FINE },
{ "software bits in every entry", 1, WRITE, 3, 0, PWU | AVL, PWU | AVL, PWU | AVL, PWU | AVL, FINE },
{ "G in upper entries is ignored", 1, WRITE, 3, 0, PWU, PWU | G, PWU | G, PWU | G, FINE },
{ "user read of a supervisor page", 1, READ, 3, 0, PWU, PWU, PWU, P | W, eP | eU },
{ "user write of a supervisor page", 1, WRITE, 3, 0, PWU, PWU, PWU, P | W, eP | eU | eW },
{ "user fetch of a supervisor page", 1, EXEC, 3, 0, PWU, PWU, PWU, P | W, eP | eU | eI },
{ "U clear in the PDE", 1, READ, 3, 0, PWU, PWU, P | W, PWU, eP | eU },
{ "U clear in the PDPTE", 1, READ, 3, 0, PWU, P | W, PWU, PWU, eP | eU },
{ "U clear in the PML4E", 1, READ, 3, 0, P | W, PWU, PWU, PWU, eP | eU },
{ "user write of a read-only page", 1, WRITE, 3, 0, PWU, PWU, PWU, P | U, eP | eU | eW },
{ "user read-modify-write of a read-only page", 1, RMW, 3, 0, PWU, PWU, PWU, P | U, eP | eU | eW },
{ "user read of a read-only page", 1, READ, 3, 0, PWU, PWU, PWU, P | U, FINE },
{ "W clear in the PDE", 1, WRITE, 3, 0, PWU, PWU, P | U, PWU, eP | eU | eW },
{ "W clear in the PDPTE", 1, WRITE, 3, 0, PWU, P | U, PWU, PWU, eP | eU | eW },
{ "W clear in the PML4E", 1, WRITE, 3, 0, P | U, PWU, PWU, PWU, eP | eU | eW },
{ "kernel write of a supervisor page", 1, WRITE, 0, 0, PWU, PWU, PWU, P | W, FINE },
{ "kernel write of a user page", 1, WRITE, 0, 0, PWU, PWU, PWU, PWU, FINE },
{ "kernel fetch of a user page", 1, EXEC, 0, 0, PWU, PWU, PWU, PWU, FINE },
{ "WP: kernel write of a read-only supervisor page", 1, WRITE, 0, 0, PWU, PWU, PWU, P, eP | eW },
{ "WP: kernel write of a read-only user page", 1, WRITE, 0, 0, PWU, PWU, PWU, P | U, eP | eW },
{ "WP clear: kernel write of a read-only supervisor page", 1, WRITE, 0, WP0, PWU, PWU, PWU, P, FINE },
{ "WP clear: kernel write of a read-only user page", 1, WRITE, 0, WP0, PWU, PWU, PWU, P | U, FINE },
{ "WP clear: W clear in the PDE", 1, RMW, 0, WP0, PWU, PWU, P | U, PWU, FINE },
{ "WP clear: user write still faults", 1, WRITE, 3, WP0, PWU, PWU, PWU, P | U, eP | eU | eW },
/* NX */
{ "NX: user fetch", 1, EXEC, 3, 0, PWU, PWU, PWU, PWU | NX, eP | eU | eI },
{ "NX: user read", 1, READ, 3, 0, PWU, PWU, PWU, PWU | NX, FINE },
{ "NX: user write", 1, WRITE, 3, 0, PWU, PWU, PWU, PWU | NX, FINE },
{ "NX: kernel fetch", 1, EXEC, 0, 0, PWU, PWU, PWU, P | W | NX, eP | eI },
{ "NX in the PDE", 1, EXEC, 3, 0, PWU, PWU, PWU | NX, PWU, eP | eU | eI },
{ "NX in the PDPTE", 1, EXEC, 3, 0, PWU, PWU | NX, PWU, PWU, eP | eU | eI },
{ "NX in the PML4E", 1, EXEC, 3, 0, PWU | NX, PWU, PWU, PWU, eP | eU | eI },
{ "NX on a 2 MiB page", 2, EXEC, 3, 0, PWU, PWU, PWU | PS | NX, 0, eP | eU | eI },
{ "NX on a 1 GiB page", 3, EXEC, 3, 0, PWU, PWU | PS | NX, 0, 0, eP | eU | eI },
{ "NX without NXE is reserved, read", 1, READ, 3, NXE0, PWU, PWU, PWU, PWU | NX, eP | eU | eR },
{ "NX without NXE is reserved, fetch", 1, EXEC, 3, NXE0, PWU, PWU, PWU, PWU | NX, eP | eU | eR },
{ "NX in the PML4E without NXE is reserved", 1, WRITE, 3, NXE0, PWU | NX, PWU, PWU, PWU, eP | eU | eR | eW },
{ "supervisor fetch violation without NXE has no I/D", 1, EXEC, 3, NXE0, PWU, PWU, PWU, P | W, eP | eU },
/* reserved bits */
{ "reserved bit 51 in the PTE", 1, READ, 3, 0, PWU, PWU, PWU, PWU | R51, eP | eU | eR },
{ "reserved bit 51 in the PDE", 1, READ, 3, 0, PWU, PWU, PWU | R51, PWU, eP | eU | eR },
{ "reserved bit 51 in the PDPTE", 1, WRITE, 3, 0, PWU, PWU | R51, PWU, PWU, eP | eU | eR | eW },
{ "reserved bit 51 in the PML4E", 1, EXEC, 3, 0, PWU | R51, PWU, PWU, PWU, eP | eU | eR | eI },
{ "reserved bit 51, kernel read", 1, READ, 0, 0, PWU, PWU, PWU, PWU | R51, eP | eR },
{ "reserved bit before the rights: supervisor page", 1, READ, 3, 0, PWU, PWU, PWU, P | W | R51, eP | eU | eR },
{ "reserved bit above an entry not present", 1, READ, 3, 0, PWU, PWU, PWU | R51, 0, eP | eU | eR },
{ "PS in the PML4E is reserved", 1, READ, 3, 0, PWU | PS, PWU, PWU, PWU, eP | eU | eR },
{ "bit 13 of a 2 MiB page is reserved", 2, READ, 3, 0, PWU, PWU, PWU | PS | R13, 0, eP | eU | eR },
{ "bit 20 of a 2 MiB page is reserved", 2, WRITE, 3, 0, PWU, PWU, PWU | PS | 1u << 20, 0, eP | eU | eR | eW },
{ "bit 13 of a 1 GiB page is reserved", 3, READ, 3, 0, PWU, PWU | PS | R13, 0, 0, eP | eU | eR },
{ "bit 29 of a 1 GiB page is reserved", 3, READ, 3, 0, PWU, PWU | PS | 1u << 29, 0, 0, eP | eU | eR },
{ "PAT bit 12 of a 2 MiB page is not", 2, READ, 3, 0, PWU, PWU, PWU | PS | 1u << 12, 0, FINE },
{ "bit 7 of a PTE is PAT", 1, READ, 3, 0, PWU, PWU, PWU, PWU | 0x80, FINE },
/* large pages */
{ "2 MiB page, user write", 2, WRITE, 3, 0, PWU, PWU, PWU | PS, 0, FINE },
{ "2 MiB page, user fetch", 2, EXEC, 3, 0, PWU, PWU, PWU | PS, 0, FINE },
{ "2 MiB page, read-only", 2, WRITE, 3, 0, PWU, PWU, P | U | PS, 0, eP | eU | eW },
{ "2 MiB page, supervisor", 2, READ, 3, 0, PWU, PWU, P | W | PS, 0, eP | eU },
{ "1 GiB page, user write", 3, WRITE, 3, 0, PWU, PWU | PS, 0, 0, FINE },
{ "1 GiB page, user fetch", 3, EXEC, 3, 0, PWU, PWU | PS, 0, 0, FINE },
{ "1 GiB page, read-only", 3, RMW, 3, 0, PWU, P | U | PS, 0, 0, eP | eU | eW },
{ "1 GiB page, U clear above", 3, READ, 3, 0, P | W, PWU | PS, 0, 0, eP | eU },
{ "1 GiB page, kernel write", 3, WRITE, 0, 0, PWU, P | W | PS, 0, 0, FINE },
/* SMEP */
{ "SMEP: kernel fetch of a user page", 1, EXEC, 0, SMEP, PWU, PWU, PWU, PWU, eP | eI },
{ "SMEP: I/D also without NXE", 1, EXEC, 0, SMEP | NXE0, PWU, PWU, PWU, PWU, eP | eI },
{ "SMEP: I/D of a page not present without NXE", 1, EXEC, 3, SMEP | NXE0, PWU, PWU, PWU, W | U, eU | eI },
{ "SMEP: kernel fetch, U clear in the PDE", 1, EXEC, 0, SMEP, PWU, PWU, P | W, PWU, FINE },
{ "SMEP: kernel fetch of a 2 MiB user page", 2, EXEC, 0, SMEP, PWU, PWU, PWU | PS, 0, eP | eI },
{ "SMEP: kernel read of a user page", 1, READ, 0, SMEP, PWU, PWU, PWU, PWU, FINE },
{ "SMEP: user fetch", 1, EXEC, 3, SMEP, PWU, PWU, PWU, PWU, FINE },
{ "SMEP: AC changes nothing", 1, EXEC, 0, SMEP | AC, PWU, PWU, PWU, PWU, eP | eI },
/* SMAP */
{ "SMAP: kernel read of a user page", 1, READ, 0, SMAP, PWU, PWU, PWU, PWU, eP },
{ "SMAP: kernel write of a user page", 1, WRITE, 0, SMAP, PWU, PWU, PWU, PWU, eP | eW },
{ "SMAP: kernel read-modify-write of a user page", 1, RMW, 0, SMAP, PWU, PWU, PWU, PWU, eP | eW },
{ "SMAP: with AC, read", 1, READ, 0, SMAP | AC, PWU, PWU, PWU, PWU, FINE },
{ "SMAP: with AC, write", 1, WRITE, 0, SMAP | AC, PWU, PWU, PWU, PWU, FINE },
{ "SMAP: with AC, a read-only user page", 1, WRITE, 0, SMAP | AC, PWU, PWU, PWU, P | U, eP | eW },
{ "SMAP: with AC and WP clear, a read-only user page", 1, WRITE, 0, SMAP | AC | WP0, PWU, PWU, PWU, P | U, FINE },
{ "SMAP: WP clear alone does not help", 1, WRITE, 0, SMAP | WP0, PWU, PWU, PWU, PWU, eP | eW },
{ "SMAP: kernel read of a supervisor page", 1, READ, 0, SMAP, PWU, PWU, PWU, P | W, FINE },
{ "SMAP: U clear in the PML4E makes it one", 1, WRITE, 0, SMAP, P | W, PWU, PWU, PWU, FINE },
{ "SMAP: kernel read of a 2 MiB user page", 2, READ, 0, SMAP, PWU, PWU, PWU | PS, 0, eP },
{ "SMAP: fetches are SMEP's matter", 1, EXEC, 0, SMAP, PWU, PWU, PWU, PWU, FINE },
{ "SMAP: user read", 1, READ, 3, SMAP, PWU, PWU, PWU, PWU, FINE },
{ "SMAP: AC in ring 3 gives nothing", 1, READ, 3, SMAP | AC, PWU, PWU, PWU, P | W, eP | eU },
};
/* clang-format on */

/* What runs at both privileges; the address is in RDI. */
SYS_CODE(read, "movq (%rdi), %rax; ud2");
SYS_CODE(write, "movq %rax, (%rdi); ud2");
SYS_CODE(rmw, "addq %rax, (%rdi); ud2");
SYS_CODE(exec, "jmp *%rdi");
#define STUB_SIZE 32

/* ---- tables ---- */

static uint64_t
lin_of(const struct row *r)
{
	uint64_t pa = (uint64_t)data, base = TEST_LIN;

	if (r->leaf == 2)
		base = (base & ~UINT64_C(0x1fffff)) | (pa & 0x1ff000);
	else if (r->leaf == 3)
		base = (base & ~UINT64_C(0x3fffffff)) | (pa & 0x3ffff000);
	return base + OFF;
}

static uint64_t *
entry(unsigned level)
{
	return &tables[level][TEST_LIN >> (12 + 9 * (level - 1)) & 511];
}

static void
set_entries(const struct row *r)
{
	uint64_t e[5] = { 0, r->e1, r->e2, r->e3, r->e4 }, pa;

	for (unsigned l = 4; l >= r->leaf; l--) {
		pa = l == r->leaf ? (uint64_t)data : (uint64_t)tables[l - 1];
		if (l == r->leaf && l > 1)
			pa &= ~((UINT64_C(1) << (12 + 9 * (l - 1))) - 1);
		*entry(l) = pa | e[l];
	}
}

static void
build_tables(void)
{
	tables[4] = sys_space();
	for (unsigned l = 1; l < 4; l++)
		tables[l] = balloc(4096, 4096);
	data = balloc(4096, 4096);
	user_code = balloc(4096, 4096);
	*sys_pte(tables[4], USER_BASE) = (uint64_t)user_code | P | U;
	*sys_pte(tables[4], USER_BASE + 4096) =
	    (uint64_t)balloc(4096, 4096) | PWU;
	SYS_COPY(user_code + READ * STUB_SIZE, read);
	SYS_COPY(user_code + WRITE * STUB_SIZE, write);
	SYS_COPY(user_code + RMW * STUB_SIZE, rmw);
	SYS_COPY(user_code + EXEC * STUB_SIZE, exec);
}

/* ---- one access ---- */

static void
set_mode(unsigned with)
{
	uint64_t cr0 = read_cr0() | CR0_WP, cr4 = cr4_base;
	uint64_t efer = rdmsr_0(MSR_EFER) | EFER_NXE;

	if (with & WP0)
		cr0 &= ~CR0_WP;
	if (with & SMEP)
		cr4 |= CR4_SMEP;
	if (with & SMAP)
		cr4 |= CR4_SMAP;
	if (with & NXE0)
		efer &= ~EFER_NXE;
	wrmsr_0(MSR_EFER, efer);
	write_cr0(cr0);
	write_cr4(cr4);
}

static void
go(unsigned access, unsigned cpl, bool ac, uint64_t lin, struct sys_regs *s)
{
	unsigned off = access * STUB_SIZE;

	sys_regs_init(s, cpl,
	    cpl == 3 ? (char *)USER_BASE + off : user_code + off,
	    cpl == 3 ? USER_BASE + 0x2000 : (uint64_t)user_code + 4096);
	s->f.rdi = lin;
	s->f.rax = access == RMW ? 0 : UINT64_C(0x1122334455660b0f);
	if (ac)
		s->f.rflags |= 0x40000;
	sys_run(s);
}

/* As the row says? Else a line about it. */
static bool
as_expected(const struct row *r, const struct sys_regs *s, uint64_t lin)
{
	uint64_t rip = r->access == EXEC ? lin
	    : r->cpl == 3                ? USER_BASE + r->access * STUB_SIZE
			  : (uint64_t)user_code + r->access * STUB_SIZE;

	if (r->error == FINE) {
		if (s->f.vector == SYS_UD)
			return true;
	} else if (s->f.vector == 14 && s->f.error == (uint64_t)r->error &&
	    s->cr2 == lin && s->f.rip == rip)
		return true;
	print("# vector %u error %x cr2 %lx rip %lx; expected error %d cr2 "
	      "%lx rip %lx\n",
	    (unsigned)s->f.vector, (unsigned)s->f.error, s->cr2, s->f.rip,
	    r->error, lin, rip);
	return false;
}

/* A everywhere and D in the leaf after an access; untouched by a fault. */
static bool
bits_right(const struct row *r, uint64_t leaf_before)
{
	uint64_t want = leaf_before, got = *entry(r->leaf);
	bool good = true;

	if (r->error == FINE) {
		want |= A;
		if (r->access == WRITE || r->access == RMW)
			want |= D;
		for (unsigned l = 4; l > r->leaf; l--)
			if ((*entry(l) & (A | D)) != A)
				good = false;
	}
	if (got != want)
		good = false;
	if (!good)
		print("# leaf %lx, expected %lx; PML4E %lx\n", got, want,
		    *entry(4));
	return good;
}

/* Bring the page into the TLB with all rights, then have the row's again. */
static void
prime(const struct row *r, uint64_t lin)
{
	static const uint8_t kinds[] = { READ, WRITE, EXEC };
	struct row full = {
		.leaf = r->leaf, .e4 = PWU, .e3 = PWU, .e2 = PWU, .e1 = PWU
	};
	struct sys_regs s;

	full.e3 |= r->leaf == 3 ? PS : 0;
	full.e2 |= r->leaf == 2 ? PS : 0;
	set_entries(&full);
	set_mode(0);
	write_cr3((uint64_t)tables[4]);
	for (unsigned cpl = only_user ? 3 : 0; cpl <= 3; cpl += 3)
		for (unsigned i = 0; i < 3; i++)
			go(kinds[i], cpl, false, lin, &s);
	set_entries(r);
	invlpg(lin);
}

/* The other access in the same mode, so that part of the page is cached. */
static void
touch(const struct row *r, uint64_t lin)
{
	struct sys_regs s;

	if (!only_user)
		go(READ, 0, true, lin, &s);
	go(READ, 3, false, lin, &s);
	if (!only_user)
		go(EXEC, 0, false, lin, &s);
}

static bool
run_row(const struct row *r, bool primed)
{
	uint64_t lin = lin_of(r), before;
	struct sys_regs s;
	bool good;

	data[OFF / 8] = 0x0b0f; /* UD2, for fetches */
	if (primed)
		prime(r, lin);
	set_entries(r);
	set_mode(r->with);
	write_cr3((uint64_t)tables[4]);
	if (primed)
		touch(r, lin);
	data[OFF / 8] = 0x0b0f;
	before = *entry(r->leaf);
	go(r->access, r->cpl, r->with & AC, lin, &s);
	good = as_expected(r, &s, lin) && bits_right(r, before);
	if (good && r->error == FINE && r->access == WRITE &&
	    data[OFF / 8] != s.f.rax) {
		print("# the data did not arrive\n");
		good = false;
	}
	if (good && r->error != FINE && data[OFF / 8] != 0x0b0f) {
		print("# a write went through in spite of the fault\n");
		good = false;
	}
	set_mode(0);
	return good;
}

/* ---- implicit accesses: a descriptor in the page under test ---- */

extern uint64_t gdt[];
SYS_CODE(load_ds, "movl $0x0f, %eax; movl %eax, %ds; ud2");
#define LDT_SELECTOR 0x18 /* two entries that nobody uses */

/* clang-format off */
static const struct {
	const char *what;
	uint8_t cpl, with;
	uint64_t e1;
	int error;
} implicit[] = {
{ "a descriptor in a supervisor page, ring 3", 3, 0, P | W, FINE },
{ "a descriptor in a page not present, ring 3: no U", 3, 0, W | U, 0 },
{ "a descriptor in a user page, ring 0", 0, 0, PWU, FINE },
{ "SMAP: a descriptor in a user page, ring 0", 0, SMAP, PWU, eP },
{ "SMAP: AC does not help there", 0, SMAP | AC, PWU, eP },
{ "SMAP: a descriptor in a user page, ring 3", 3, SMAP, PWU, eP },
{ "SMAP: a descriptor in a supervisor page, ring 3", 3, SMAP, P | W, FINE },
};
/* clang-format on */

static void
test_implicit(void)
{
	const uint64_t base = TEST_LIN, at = TEST_LIN + 8;
	struct row page = { .leaf = 1, .e4 = PWU, .e3 = PWU, .e2 = PWU };
	uint64_t was[2] = { gdt[3], gdt[4] };
	struct sys_regs s;
	bool good;

	SYS_COPY(user_code + 4 * STUB_SIZE, load_ds);
	data[1] = UINT64_C(0x00cff3000000ffff);
	gdt[3] = 4095 | (base & 0xffffff) << 16 | UINT64_C(0x82) << 40 |
	    (base >> 24 & 0xff) << 56;
	gdt[4] = base >> 32;
	__asm__ volatile("lldt %w0" ::"r"(LDT_SELECTOR));
	for (unsigned i = 0; i < sizeof(implicit) / sizeof(implicit[0]); i++) {
		if ((implicit[i].with & SMAP) && !has_smap) {
			skip(implicit[i].what, "the CPU model has no SMAP");
			continue;
		}
		page.e1 = implicit[i].e1;
		set_entries(&page);
		set_mode(implicit[i].with);
		write_cr3((uint64_t)tables[4]);
		go(4, implicit[i].cpl, implicit[i].with & AC, 0, &s);
		set_mode(0);
		__asm__ volatile("mov %0, %%ds" ::"r"(0x10));
		good = implicit[i].error == FINE ? s.f.vector == SYS_UD
						 : s.f.vector == 14 &&
			s.f.error == (uint64_t)implicit[i].error && s.cr2 == at;
		if (!ok(good, "%s", implicit[i].what))
			print("# vector %u error %x cr2 %lx\n",
			    (unsigned)s.f.vector, (unsigned)s.f.error, s.cr2);
	}
	__asm__ volatile("lldt %w0" ::"r"(0));
	gdt[3] = was[0];
	gdt[4] = was[1];
}

static const char *
reason_to_skip(const struct row *r)
{
	const uint64_t all = r->e4 | r->e3 | r->e2 | r->e1;

	if (r->cpl == 0 && only_user)
		return "this KVM emulates ring 0";
	if (((r->with & SMEP) && !has_smep) || ((r->with & SMAP) && !has_smap))
		return "the CPU model has no SMEP or SMAP";
	if ((all & R51) && maxphys > 51)
		return "all address bits are in use";
	if (((all & NX) || (r->with & NXE0)) && !has_nx)
		return "the CPU model has no NX";
	if (r->leaf == 3 && !has_1g)
		return "the CPU model has no 1 GiB pages";
	return NULL;
}

static uint64_t
run_all(uint64_t unused)
{
	uint64_t cr3 = read_cr3(), efer = rdmsr_0(MSR_EFER);
	const char *why;

	sys_init();
	cr4_base = read_cr4();
	build_tables();
	write_cr3((uint64_t)tables[4]);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		why = reason_to_skip(&rows[i]);
		if (why != NULL) {
			skip(rows[i].what, why);
			continue;
		}
		ok(run_row(&rows[i], false) && run_row(&rows[i], true), "%s",
		    rows[i].what);
	}
	if (only_user)
		skip("implicit accesses", "this KVM emulates ring 0");
	else
		test_implicit();
	write_cr4(cr4_base);
	wrmsr_0(MSR_EFER, efer);
	write_cr3(cr3);
	sys_done();
	return 0;
}

void
user_main(void)
{
	uint32_t r[4];

	only_user = sys_ring0_emulated();
	cpuid(7, 0, r);
	has_smep = r[1] >> 7 & 1;
	has_smap = r[1] >> 20 & 1;
	cpuid(0x80000001, 0, r);
	has_nx = r[3] >> 20 & 1;
	has_1g = r[3] >> 26 & 1;
	cpuid(0x80000008, 0, r);
	maxphys = r[0] & 0xff;
	ring0(run_all, 0);
	tap_done();
}
