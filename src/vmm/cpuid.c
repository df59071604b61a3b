/*
 * What the engine offers goes through a table of allowed bits; what describes
 * the machine rather than the processor's abilities (topology, frequencies,
 * the hypervisor's signature) is made here. A feature that is in no row of the
 * table is not for guests, until somebody has thought about it.
 */
#include "vmm/cpuid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define ANY_SUBLEAF UINT32_MAX
#define ALL UINT32_MAX
#define BIT(n) (UINT32_C(1) << (n))

#define MAX_CPUS 1024

#define VENDOR_INTEL_EBX 0x756e6547

/* Highest leaves that this file knows what to do with. */
#define BASIC_LEAST UINT32_C(0x16)
#define BASIC_MOST UINT32_C(0x1f)
#define EXT_LEAST UINT32_C(0x80000008)
#define EXT_MOST UINT32_C(0x80000021)
#define HYPER_BASE UINT32_C(0x40000000)
#define HYPER_FEATURES UINT32_C(0x40000001)
#define HYPER_TIMING UINT32_C(0x40000010)

/*
 * XSAVE components that a struct vcpu_state has room for: x87, SSE, AVX,
 * AVX-512, PKRU.
 */
#define XCR0_ALLOWED UINT32_C(0x2e7)

/* Leaf 1 ECX: not DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT, SDBG,
 * xTPR, PDCM, DCA, OSXSAVE (the engine's) */
#define LEAF1_ECX_DENIED                                                \
	(BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | \
	    BIT(10) | BIT(11) | BIT(14) | BIT(15) | BIT(18) | BIT(27))
#define LEAF1_HYPERVISOR BIT(31)
/* Leaf 1 EDX: not PSN, DS, ACPI, HTT (made), TM, IA64, PBE */
#define LEAF1_EDX_DENIED \
	(BIT(18) | BIT(21) | BIT(22) | BIT(28) | BIT(29) | BIT(30) | BIT(31))
#define LEAF1_HTT BIT(28)
/* Leaf 7 EBX: not SGX, HLE, RTM, RDT-M, MPX, RDT-A, PT */
#define LEAF7_EBX_DENIED \
	(BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) | BIT(25))
/* Leaf 7 ECX: not WAITPKG, SHSTK, TME, MAWAU, KL, BUS_LOCK, ENQCMD, SGX_LC, PKS
 */
#define LEAF7_ECX_DENIED                                                \
	(BIT(5) | BIT(7) | BIT(13) | (UINT32_C(0x1f) << 17) | BIT(23) | \
	    BIT(24) | BIT(29) | BIT(30) | BIT(31))
/* Leaf 7 EDX: not UINTR, HYBRID, PCONFIG, LBR, IBT, AMX */
#define LEAF7_EDX_DENIED                                                      \
	(BIT(5) | BIT(15) | BIT(18) | BIT(19) | BIT(20) | BIT(22) | BIT(24) | \
	    BIT(25))
/* 80000001h ECX: LAHF, CR8, LZCNT, SSE4A, MISALIGN, PREFETCHW, XOP, FMA4, TBM
 */
#define EXT1_ECX_ALLOWED                                                 \
	(BIT(0) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) | \
	    BIT(16) | BIT(21))
#define EXT1_CMP_LEGACY BIT(1)
#define EXT1_TOPOEXT BIT(22)
/* 80000008h EBX: CLZERO, XSAVEERPTR, WBNOINVD, IBPB, IBRS and STIBP in their
 * kinds, SSBD, SSB_NO, PSFD */
#define EXT8_EBX_ALLOWED                                                    \
	(BIT(0) | BIT(2) | BIT(9) | BIT(12) | BIT(14) | BIT(15) | BIT(16) | \
	    BIT(17) | BIT(18) | BIT(19) | BIT(24) | BIT(26) | BIT(28))
/* KVM: clock, no I/O delay, clock 2, steal time, EOI, unhalt, TLB flush, IPI,
 * yield, stable clock. Not asynchronous page faults: RAM is not swapped. */
#define KVM_FEATURES_ALLOWED                                            \
	(BIT(0) | BIT(1) | BIT(3) | BIT(5) | BIT(6) | BIT(7) | BIT(9) | \
	    BIT(11) | BIT(13) | BIT(24))

/* Bits that pass from the engine to the guest. */
struct allow {
	uint32_t leaf, subleaf;
	uint32_t eax, ebx, ecx, edx;
};

static const struct allow allowed[] = {
	{ 0x0, ANY_SUBLEAF, 0, ALL, ALL, ALL },
	{ 0x1, ANY_SUBLEAF, ALL, 0xff00, ~LEAF1_ECX_DENIED, ~LEAF1_EDX_DENIED },
	{ 0x2, ANY_SUBLEAF, ALL, ALL, ALL, ALL },
	{ 0x4, ANY_SUBLEAF, 0x3fff, ALL, ALL, ALL },
	{ 0x6, ANY_SUBLEAF, BIT(2), 0, 0, 0 }, /* ARAT */
	{ 0x7, 0, 0, ~LEAF7_EBX_DENIED, ~LEAF7_ECX_DENIED, ~LEAF7_EDX_DENIED },
	{ 0x7, 1,
	    BIT(0) | BIT(1) | BIT(2) | BIT(4) | BIT(5) | BIT(7) | BIT(10) |
		BIT(11) | BIT(12) | BIT(23),
	    0, 0, BIT(4) | BIT(5) | BIT(10) | BIT(14) },
	{ 0x7, 2, 0, 0, 0, 0x3f }, /* speculation controls */
	{ 0xd, 0, XCR0_ALLOWED, ALL, 0, 0 },
	{ 0xd, 1, 0xf, ALL, 0, 0 }, /* no supervisor state */
	{ 0xd, ANY_SUBLEAF, ALL, ALL, ALL, ALL },
	{ 0x80000000, ANY_SUBLEAF, 0, ALL, ALL, ALL },
	{ 0x80000001, ANY_SUBLEAF, ALL, ALL, EXT1_ECX_ALLOWED, ALL },
	{ 0x80000002, ANY_SUBLEAF, ALL, ALL, ALL, ALL },
	{ 0x80000003, ANY_SUBLEAF, ALL, ALL, ALL, ALL },
	{ 0x80000004, ANY_SUBLEAF, ALL, ALL, ALL, ALL },
	{ 0x80000005, ANY_SUBLEAF, ALL, ALL, ALL, ALL },
	{ 0x80000006, ANY_SUBLEAF, ALL, ALL, ALL, ALL },
	{ 0x80000007, ANY_SUBLEAF, 0, 0, 0, BIT(8) }, /* invariant TSC */
	{ 0x80000008, ANY_SUBLEAF, ALL, EXT8_EBX_ALLOWED, 0, 0 },
	{ 0x80000019, ANY_SUBLEAF, ALL, ALL, ALL, ALL }, /* 1 GiB TLB */
	{ 0x8000001a, ANY_SUBLEAF, ALL, ALL, ALL, ALL },
	{ 0x8000001d, ANY_SUBLEAF, 0x3fff, ALL, ALL, ALL },
	/* no nested data breakpoints, LFENCE serializes, null selector */
	{ 0x80000021, ANY_SUBLEAF, BIT(0) | BIT(2) | BIT(6), 0, 0, 0 },
};

/* ---- topology ---- */

int
topology_check(const struct cpu_topology *topo, struct error *err)
{
	uint64_t product;

	if (topo->cpus == 0 || topo->cpus > MAX_CPUS)
		return error_set(err, EINVAL, "%u vCPUs: there must be 1 to %u",
		    topo->cpus, MAX_CPUS);
	if (topo->sockets == 0 || topo->cores == 0 || topo->threads == 0 ||
	    topo->sockets > MAX_CPUS || topo->cores > MAX_CPUS ||
	    topo->threads > MAX_CPUS)
		return error_set(err, EINVAL,
		    "sockets=%u, cores=%u, threads=%u: each must be 1 to %u",
		    topo->sockets, topo->cores, topo->threads, MAX_CPUS);
	product = (uint64_t)topo->sockets * topo->cores * topo->threads;
	if (product != topo->cpus)
		return error_set(err, EINVAL,
		    "sockets=%u x cores=%u x threads=%u makes %" PRIu64
		    " vCPUs, but cpus=%u",
		    topo->sockets, topo->cores, topo->threads, product,
		    topo->cpus);
	return 0;
}

/* Width of a field that holds the numbers below n. */
static unsigned
field_bits(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

static unsigned
thread_bits(const struct cpu_topology *topo)
{
	return field_bits(topo->threads);
}

static unsigned
package_bits(const struct cpu_topology *topo)
{
	return thread_bits(topo) + field_bits(topo->cores);
}

uint32_t
topology_apic_id(const struct cpu_topology *topo, unsigned vcpu)
{
	unsigned thread = vcpu % topo->threads;
	unsigned core = vcpu / topo->threads % topo->cores;
	unsigned socket = vcpu / topo->threads / topo->cores;

	return (uint32_t)(socket << package_bits(topo) |
	    core << thread_bits(topo) | thread);
}

/* ---- the table ---- */

struct maker {
	const struct cpu_topology *topo;
	uint32_t apic_id;
	bool amd;
	bool xsave;
	struct cpuid_table *out;
};

static const struct cpuid_leaf *
find_row(const struct cpuid_table *tab, uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid_leaf *row;
	size_t i;

	for (i = 0; i < tab->count; i++) {
		row = &tab->row[i];
		if (row->leaf == leaf &&
		    (!row->has_subleaf || row->subleaf == subleaf))
			return row;
	}
	return NULL;
}

/* The row to write, made if need be; NULL when the table is full. */
static struct cpuid_leaf *
make_row(
    struct cpuid_table *tab, uint32_t leaf, uint32_t subleaf, bool has_subleaf)
{
	struct cpuid_leaf *row;

	row = (struct cpuid_leaf *)(uintptr_t)find_row(tab, leaf, subleaf);
	if (row != NULL)
		return row;
	if (tab->count == CPUID_MAX_LEAVES)
		return NULL;
	row = &tab->row[tab->count++];
	*row = (struct cpuid_leaf){
		.leaf = leaf, .subleaf = subleaf, .has_subleaf = has_subleaf
	};
	return row;
}

static int
set_row(struct cpuid_table *tab, const struct cpuid_leaf *v)
{
	struct cpuid_leaf *row;

	row = make_row(tab, v->leaf, v->subleaf, v->has_subleaf != 0);
	if (row == NULL)
		return -ENOSPC;
	*row = *v;
	return 0;
}

static const struct allow *
find_allow(const struct cpuid_leaf *row)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(allowed); i++)
		if (allowed[i].leaf == row->leaf &&
		    (allowed[i].subleaf == ANY_SUBLEAF ||
			allowed[i].subleaf == row->subleaf))
			return &allowed[i];
	return NULL;
}

/* Save areas of components that were taken out of XCR0 go too. */
static bool
is_dropped_component(const struct cpuid_leaf *row)
{
	return row->leaf == 0xd && row->subleaf >= 2 &&
	    (row->subleaf > 31 || !(XCR0_ALLOWED & BIT(row->subleaf)));
}

static int
copy_allowed(struct maker *mk, const struct cpuid_table *supported)
{
	const struct allow *allow;
	struct cpuid_leaf row;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < supported->count; i++) {
		row = supported->row[i];
		allow = find_allow(&row);
		if (allow == NULL || is_dropped_component(&row) ||
		    (row.leaf == 0xd && !mk->xsave))
			continue;
		row.eax &= allow->eax;
		row.ebx &= allow->ebx;
		row.ecx &= allow->ecx;
		row.edx &= allow->edx;
		rc = set_row(mk->out, &row);
	}
	return rc;
}

static uint32_t
clamp_u32(uint32_t v, uint32_t least, uint32_t most)
{
	return MAX(least, MIN(v, most));
}

/* The highest leaf of each range, once it is known what there is. */
static int
make_ranges(struct maker *mk, const struct cpuid_table *supported)
{
	const struct cpuid_leaf *basic = find_row(supported, 0, 0);
	const struct cpuid_leaf *ext = find_row(supported, 0x80000000, 0);
	struct cpuid_leaf *row;

	row = make_row(mk->out, 0, 0, false);
	if (row == NULL)
		return -ENOSPC;
	row->eax = clamp_u32(basic->eax, BASIC_LEAST, BASIC_MOST);
	row = make_row(mk->out, 0x80000000, 0, false);
	if (row == NULL)
		return -ENOSPC;
	row->eax = clamp_u32(ext != NULL ? ext->eax : 0,
	    mk->amd ? 0x8000001e : EXT_LEAST, EXT_MOST);
	row = make_row(mk->out, 7, 0, true);
	if (row == NULL)
		return -ENOSPC;
	row->eax = find_row(mk->out, 7, 2) != NULL ? 2
	    : find_row(mk->out, 7, 1) != NULL      ? 1
						   : 0;
	return 0;
}

static int
make_leaf1(struct maker *mk)
{
	unsigned bits = package_bits(mk->topo);
	struct cpuid_leaf *row;

	row = make_row(mk->out, 1, 0, false);
	if (row == NULL)
		return -ENOSPC;
	row->ebx |= (mk->apic_id & 0xff) << 24;
	row->ebx |= MIN(1u << bits, 255u) << 16;
	row->ecx |= LEAF1_HYPERVISOR;
	if (bits > 0)
		row->edx |= LEAF1_HTT;
	return 0;
}

/* Intel's leaf 4 and AMD's 8000001dh: who shares a cache. */
static void
make_caches(struct maker *mk)
{
	unsigned core = thread_bits(mk->topo), package = package_bits(mk->topo);
	struct cpuid_leaf *row;
	unsigned level, shared;
	size_t i;

	for (i = 0; i < mk->out->count; i++) {
		row = &mk->out->row[i];
		if ((row->leaf != 4 && row->leaf != 0x8000001d) ||
		    (row->eax & 0x1f) == 0)
			continue;
		level = (row->eax >> 5) & 7;
		shared = (1u << (level >= 3 ? package : core)) - 1;
		row->eax |= MIN(shared, 0xfffu) << 14;
		if (row->leaf == 4)
			row->eax |= MIN((1u << (package - core)) - 1, 0x3fu)
			    << 26;
	}
}

/* Extended topology, Intel SDM vol. 2A, CPUID leaves 0Bh and 1Fh. */
static int
make_extended_topology(struct maker *mk, uint32_t leaf)
{
	const struct cpu_topology *topo = mk->topo;
	const struct cpuid_leaf rows[] = {
		{ leaf, 0, 1, thread_bits(topo), topo->threads, 1 << 8 | 0,
		    mk->apic_id },
		{ leaf, 1, 1, package_bits(topo), topo->threads * topo->cores,
		    2 << 8 | 1, mk->apic_id },
		{ leaf, 2, 1, 0, 0, 2, mk->apic_id },
	};
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ARRAY_LEN(rows); i++)
		rc = set_row(mk->out, &rows[i]);
	return rc;
}

/* AMD APM vol. 3, E.4.7 and E.4.17. */
static int
make_amd_topology(struct maker *mk)
{
	const struct cpu_topology *topo = mk->topo;
	unsigned bits = package_bits(topo);
	struct cpuid_leaf *row;

	row = make_row(mk->out, 0x80000008, 0, false);
	if (row == NULL)
		return -ENOSPC;
	row->ecx =
	    MIN(bits, 15u) << 12 | MIN(topo->cores * topo->threads - 1, 0xffu);
	row = make_row(mk->out, 0x80000001, 0, false);
	if (row == NULL)
		return -ENOSPC;
	row->ecx |= EXT1_TOPOEXT;
	if (bits > 0)
		row->ecx |= EXT1_CMP_LEGACY;
	return set_row(mk->out,
	    &(struct cpuid_leaf){ .leaf = 0x8000001e,
		.eax = mk->apic_id,
		.ebx = (topo->threads - 1) << 8 |
		    ((mk->apic_id >> thread_bits(topo)) & 0xff) });
}

static int
make_topology(struct maker *mk, const struct cpuid_table *supported)
{
	const struct cpuid_leaf *basic = find_row(supported, 0, 0);
	int rc;

	rc = make_leaf1(mk);
	make_caches(mk);
	if (rc == 0)
		rc = make_extended_topology(mk, 0xb);
	if (rc == 0 && !mk->amd && basic->eax >= 0x1f)
		rc = make_extended_topology(mk, 0x1f);
	if (rc == 0 && mk->amd)
		rc = make_amd_topology(mk);
	return rc;
}

/*
 * TSC : crystal as a fraction. Linux multiplies the numerator with the crystal
 * in kHz in 32 bits, so it must stay below 2^32 / 10^6; the best such fraction
 * is some parts in 10^7 off at worst.
 */
static void
tsc_ratio(uint64_t tsc_hz, uint32_t *ret_num, uint32_t *ret_den)
{
	const uint64_t most = UINT32_MAX / (CPUID_APIC_HZ / 1000);
	uint64_t den, num, off, best = UINT64_MAX, best_den = 1;

	*ret_num = *ret_den = 1;
	for (den = 1; den <= most; den++) {
		num = (tsc_hz * den + CPUID_APIC_HZ / 2) / CPUID_APIC_HZ;
		if (num > most)
			break;
		off = tsc_hz * den > num * CPUID_APIC_HZ
		    ? tsc_hz * den - num * CPUID_APIC_HZ
		    : num * CPUID_APIC_HZ - tsc_hz * den;
		/* off/den < best/best_den */
		if (best == UINT64_MAX || off * best_den < best * den) {
			best = off;
			best_den = den;
			*ret_num = (uint32_t)num;
			*ret_den = (uint32_t)den;
		}
	}
}

int
cpuid_set_tsc(struct cpuid_table *tab, uint64_t tsc_hz)
{
	const uint32_t mhz = (uint32_t)(tsc_hz / 1000000);
	struct cpuid_leaf row = { .leaf = 0x15, .ecx = CPUID_APIC_HZ };
	int rc;

	if (tsc_hz == 0 || tsc_hz > UINT64_C(100000000000))
		return 0;
	tsc_ratio(tsc_hz, &row.ebx, &row.eax);
	rc = set_row(tab, &row);
	if (rc == 0)
		rc = set_row(tab,
		    &(struct cpuid_leaf){
			.leaf = 0x16, .eax = mhz, .ebx = mhz, .ecx = 100 });
	if (rc != 0)
		return rc;
	return set_row(tab,
	    &(struct cpuid_leaf){ .leaf = HYPER_TIMING,
		.eax = (uint32_t)(tsc_hz / 1000),
		.ebx = CPUID_APIC_HZ / 1000 });
}

/* An engine with a paravirtual clock says so with KVM's own leaves. */
static int
make_hypervisor(struct maker *mk, const struct cpuid_table *supported)
{
	static const char bhyve[12] = "bhyve bhyve ";
	const struct cpuid_leaf *sig = find_row(supported, HYPER_BASE, 0);
	const struct cpuid_leaf *feat = find_row(supported, HYPER_FEATURES, 0);
	struct cpuid_leaf row = { .leaf = HYPER_BASE, .eax = HYPER_TIMING };
	int rc;

	memcpy(&row.ebx, bhyve, 4);
	memcpy(&row.ecx, bhyve + 4, 4);
	memcpy(&row.edx, bhyve + 8, 4);
	if (sig != NULL) {
		row.ebx = sig->ebx;
		row.ecx = sig->ecx;
		row.edx = sig->edx;
	}
	rc = set_row(mk->out, &row);
	if (rc == 0 && sig != NULL && feat != NULL)
		rc = set_row(mk->out,
		    &(struct cpuid_leaf){ .leaf = HYPER_FEATURES,
			.eax = feat->eax & KVM_FEATURES_ALLOWED });
	return rc;
}

/* Size of the standard save area with every allowed component. */
static void
make_xsave_size(struct maker *mk)
{
	uint32_t end, most = 576;
	struct cpuid_leaf *row;
	size_t i;

	for (i = 0; i < mk->out->count; i++) {
		row = &mk->out->row[i];
		if (row->leaf == 0xd && row->subleaf >= 2) {
			end = row->ebx + row->eax;
			most = MAX(most, end);
		}
	}
	row = (struct cpuid_leaf *)(uintptr_t)find_row(mk->out, 0xd, 0);
	if (row != NULL && row->eax != 0) {
		row->ecx = most;
		row->ebx = MIN(row->ebx, most);
	}
}

int
cpuid_make(const struct cpuid_table *supported, const struct cpu_topology *topo,
    unsigned vcpu, uint64_t tsc_hz, struct cpuid_table *ret, struct error *err)
{
	const struct cpuid_leaf *vendor = find_row(supported, 0, 0);
	const struct cpuid_leaf *one = find_row(supported, 1, 0);
	struct maker mk = { .topo = topo, .out = ret };
	int rc;

	rc = topology_check(topo, err);
	if (rc != 0)
		return rc;
	if (vcpu >= topo->cpus || vendor == NULL || one == NULL)
		return error_set(err, EINVAL,
		    "no CPUID table for vCPU %u of %u", vcpu, topo->cpus);
	mk.apic_id = topology_apic_id(topo, vcpu);
	mk.amd = vendor->ebx != VENDOR_INTEL_EBX;
	mk.xsave = (one->ecx & BIT(26)) != 0;
	ret->count = 0;
	rc = copy_allowed(&mk, supported);
	if (rc == 0)
		rc = make_ranges(&mk, supported);
	if (rc == 0)
		rc = make_topology(&mk, supported);
	if (rc == 0)
		rc = make_hypervisor(&mk, supported);
	if (rc == 0)
		rc = cpuid_set_tsc(ret, tsc_hz);
	if (rc != 0)
		return error_set(err, -rc,
		    "more than %u CPUID leaves for vCPU %u", CPUID_MAX_LEAVES,
		    vcpu);
	make_xsave_size(&mk);
	return 0;
}

static uint32_t
range_end(const struct cpuid_table *tab, uint32_t base)
{
	const struct cpuid_leaf *row = find_row(tab, base, 0);

	return row != NULL ? row->eax : 0;
}

void
cpuid_lookup(const struct cpuid_table *tab, uint32_t leaf, uint32_t subleaf,
    uint32_t out[4])
{
	const struct cpuid_leaf *row;
	uint32_t base = leaf & 0xc0000000;

	memset(out, 0, 4 * sizeof(out[0]));
	if (leaf > range_end(tab, base))
		leaf = range_end(tab, 0);
	row = find_row(tab, leaf, subleaf);
	if (row != NULL) {
		out[0] = row->eax;
		out[1] = row->ebx;
		out[2] = row->ecx;
		out[3] = row->edx;
	} else if (leaf == 0xb || leaf == 0x1f) {
		/* Past the last level: only the level and the APIC id. */
		row = find_row(tab, leaf, 0);
		out[2] = subleaf & 0xff;
		out[3] = row != NULL ? row->edx : 0;
	}
}
