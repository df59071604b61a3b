/*
 * What the guest sees of the processor: topology, masks, frequencies.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "tap.h"
#include "vmm/cpuid.h"

static struct cpuid_table host, guest;

static void
put(uint32_t leaf, uint32_t sub, uint32_t has, uint32_t a, uint32_t b,
    uint32_t c, uint32_t d)
{
	tap_check(host.count < CPUID_MAX_LEAVES);
	host.row[host.count++] =
	    (struct cpuid_leaf){ leaf, sub, has, a, b, c, d };
}

/* An engine that offers everything. */
static void
make_host(bool amd)
{
	host.count = 0;
	if (amd)
		put(0, 0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65);
	else
		put(0, 0, 0, 0x20, 0x756e6547, 0x6c65746e, 0x49656e69);
	put(1, 0, 0, 0xa0671, 0x55aa0855, ~0u, ~0u);
	put(4, 0, 1, 0xfc004121, 0x02c0003f, 0x3f, 0);
	put(4, 3, 1, 0xfc004163, 0x03c0003f, 0x7ffff, 0);
	put(6, 0, 0, ~0u, ~0u, ~0u, ~0u);
	put(7, 0, 1, 2, ~0u, ~0u, ~0u);
	put(7, 1, 1, ~0u, ~0u, ~0u, ~0u);
	put(7, 2, 1, ~0u, ~0u, ~0u, ~0u);
	put(0xa, 0, 0, ~0u, ~0u, ~0u, ~0u);
	put(0xd, 0, 1, 0x602e7, 0x2b00, 0x2b00, 0);
	put(0xd, 1, 1, 0x1f, 0x2b00, 0x1800, 0);
	put(0xd, 2, 1, 0x100, 0x240, 0, 0);
	put(0xd, 5, 1, 0x40, 0x440, 0, 0);
	put(0xd, 6, 1, 0x200, 0x480, 0, 0);
	put(0xd, 7, 1, 0x400, 0x680, 0, 0);
	put(0xd, 9, 1, 8, 0xa80, 0, 0);
	put(0xd, 17, 1, 0x40, 0xac0, 0, 0);
	put(0xd, 18, 1, 0x2000, 0xb00, 0, 0);
	put(0x14, 0, 1, ~0u, ~0u, ~0u, ~0u);
	put(0x80000000, 0, 0, 0x80000023, 0, 0, 0);
	put(0x80000001, 0, 0, 0, 0, ~0u, ~0u);
	put(0x80000008, 0, 0, 0x3930, ~0u, ~0u, 0);
	put(0x8000000a, 0, 0, ~0u, ~0u, ~0u, ~0u);
	put(0x8000001d, 0, 1, 0xfc004121, 0x02c0003f, 0x3f, 0);
	put(0x80000022, 0, 0, ~0u, ~0u, ~0u, ~0u);
}

static const uint32_t *
look(uint32_t leaf, uint32_t sub)
{
	static uint32_t out[4];

	cpuid_lookup(&guest, leaf, sub, out);
	return out;
}

static void
make(const struct cpu_topology *topo, unsigned vcpu)
{
	struct error err = ERROR_INIT;

	if (cpuid_make(&host, topo, vcpu, UINT64_C(2599998000), &guest, &err) !=
	    0)
		tap_fail("%s", err.text);
}

static void
refused(void)
{
	static const struct {
		struct cpu_topology topo;
		const char *part;
	} bad[] = {
		{ { 4, 2, 2, 2 }, "makes 8 vCPUs, but cpus=4" },
		{ { 0, 1, 1, 1 }, "0 vCPUs" },
		{ { 1, 0, 1, 1 }, "sockets=0" },
		{ { 1025, 1, 1025, 1 }, "1 to 1024" },
		{ { 1, 65536, 65536, 1 }, "1 to 1024" },
	};
	struct error err = ERROR_INIT;
	size_t i;

	make_host(false);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		tap_check_int(topology_check(&bad[i].topo, &err), -EINVAL);
		tap_check_has(err.text, bad[i].part);
	}
	tap_check_int(cpuid_make(&host, &(struct cpu_topology){ 2, 2, 1, 1 }, 2,
			  0, &guest, &err),
	    -EINVAL);
	host.count = 0;
	tap_check_int(cpuid_make(&host, &(struct cpu_topology){ 1, 1, 1, 1 }, 0,
			  0, &guest, &err),
	    -EINVAL);
}

static void
apic_ids(void)
{
	const struct cpu_topology flat = { 3, 1, 3, 1 };
	const struct cpu_topology four = { 4, 2, 2, 1 };
	const struct cpu_topology eight = { 8, 2, 2, 2 };
	const struct cpu_topology odd = { 12, 2, 3, 2 };
	unsigned i;

	for (i = 0; i < 3; i++)
		tap_check_u64(topology_apic_id(&flat, i), i);
	for (i = 0; i < 4; i++)
		tap_check_u64(topology_apic_id(&four, i), i);
	for (i = 0; i < 8; i++)
		tap_check_u64(topology_apic_id(&eight, i), i);
	/* Three cores take two bits. */
	tap_check_u64(topology_apic_id(&odd, 5), 5);
	tap_check_u64(topology_apic_id(&odd, 6), 8);
	tap_check_u64(topology_apic_id(&odd, 11), 13);
}

static void
check_levels(
    uint32_t leaf, const uint32_t smt[3], const uint32_t core[3], uint32_t id)
{
	const uint32_t *r = look(leaf, 0);

	tap_check_mem(r, smt, 3 * sizeof(r[0]));
	tap_check_u64(r[3], id);
	r = look(leaf, 1);
	tap_check_mem(r, core, 3 * sizeof(r[0]));
	r = look(leaf, 2);
	tap_check_u64(r[0] | r[1], 0);
	tap_check_u64(r[3], id);
	r = look(leaf, 7);
	tap_check_u64(r[2], 7);
	tap_check_u64(r[3], id);
}

static void
intel_one(void)
{
	const uint32_t smt[3] = { 0, 1, 0x100 }, core[3] = { 0, 1, 0x201 };

	make_host(false);
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	check_levels(0xb, smt, core, 0);
	check_levels(0x1f, smt, core, 0);
	tap_check_u64(look(1, 0)[1], 0x00010800);
	tap_check_u64(look(1, 0)[3] & (1u << 28), 0); /* HTT */
	tap_check_u64(look(4, 0)[0], 0x121);
	tap_check_u64(look(4, 3)[0], 0x163);
}

static void
intel_three(void)
{
	const uint32_t smt[3] = { 0, 1, 0x100 }, core[3] = { 2, 3, 0x201 };

	make_host(false);
	make(&(struct cpu_topology){ 3, 1, 3, 1 }, 2);
	check_levels(0xb, smt, core, 2);
	tap_check_u64(look(1, 0)[1], 0x02040800);
	tap_check(look(1, 0)[3] & (1u << 28));
	tap_check_u64(look(4, 0)[0], 0x0c000121); /* 4 core ids, own L1 */
	tap_check_u64(look(4, 3)[0], 0x0c00c163); /* L3 for 4 ids */
}

static void
intel_four(void)
{
	const uint32_t smt[3] = { 0, 1, 0x100 }, core[3] = { 1, 2, 0x201 };

	make_host(false);
	make(&(struct cpu_topology){ 4, 2, 2, 1 }, 3);
	check_levels(0xb, smt, core, 3);
	tap_check_u64(look(1, 0)[1], 0x03020800);
	tap_check_u64(look(4, 3)[0], 0x04004163);
}

static void
intel_eight(void)
{
	const uint32_t smt[3] = { 1, 2, 0x100 }, core[3] = { 2, 4, 0x201 };

	make_host(false);
	make(&(struct cpu_topology){ 8, 2, 2, 2 }, 7);
	check_levels(0xb, smt, core, 7);
	check_levels(0x1f, smt, core, 7);
	tap_check_u64(look(1, 0)[1], 0x07040800);
	tap_check_u64(look(4, 0)[0], 0x04004121); /* L1 for 2 threads */
	tap_check_u64(look(4, 3)[0], 0x0400c163);
}

static void
amd_eight(void)
{
	const uint32_t *r;

	make_host(true);
	make(&(struct cpu_topology){ 8, 2, 2, 2 }, 6);
	r = look(0x80000008, 0);
	tap_check_u64(r[0], 0x3930);
	tap_check_u64(r[2], 0x2003); /* 4 threads, 2 bits of id */
	r = look(0x8000001e, 0);
	tap_check_u64(r[0], 6);
	tap_check_u64(r[1], 0x103); /* core 3, 2 threads each */
	tap_check_u64(look(0x8000001d, 0)[0], 0x4121);
	tap_check(look(0x80000001, 0)[2] & (1u << 22)); /* TOPOEXT */
	tap_check(look(0x80000001, 0)[2] & (1u << 1)); /* CMP_LEGACY */
	tap_check_u64(look(0x80000001, 0)[2] & (1u << 2), 0); /* SVM */
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	tap_check_u64(look(0x80000008, 0)[2], 0);
	tap_check_u64(look(0x80000001, 0)[2] & (1u << 1), 0);
}

static void
masks(void)
{
	const uint32_t *r;

	make_host(false);
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	r = look(1, 0);
	tap_check_u64(r[2] & (1u << 3 | 1u << 5 | 1u << 15 | 1u << 27), 0);
	tap_check(r[2] & (1u << 31)); /* hypervisor */
	tap_check(r[2] & (1u << 21) && r[2] & (1u << 24)); /* x2APIC, TSC-D */
	tap_check_u64(look(6, 0)[0], 4);
	r = look(7, 0);
	tap_check_u64(r[0], 2);
	tap_check_u64(r[1] & (1u << 2 | 1u << 11 | 1u << 25), 0);
	tap_check(r[1] & (1u << 5) && r[1] & (1u << 16)); /* AVX2, 512F */
	tap_check_u64(r[3] & (1u << 22 | 1u << 24 | 1u << 25), 0); /* AMX */
	/* The PMU, PT, SVM and their like are not there. */
	tap_check_u64(look(0xa, 0)[0], 0);
	tap_check_u64(look(0x14, 0)[0], 0);
	tap_check_u64(look(0x8000000a, 0)[0], 0);
}

static void
xsave(void)
{
	make_host(false);
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	tap_check_u64(look(0xd, 0)[0], 0x2e7);
	tap_check_u64(look(0xd, 0)[2], 0xa88); /* without AMX */
	tap_check(look(0xd, 0)[1] <= 0xa88);
	tap_check_u64(look(0xd, 1)[0], 0xf);
	tap_check_u64(look(0xd, 1)[2], 0); /* no supervisor state */
	tap_check_u64(look(0xd, 18)[0], 0);
	tap_check_u64(look(0xd, 7)[0], 0x400);
	/* Without XSAVE the whole leaf is gone. */
	host.row[1].ecx &= ~(1u << 26);
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	tap_check_u64(look(0xd, 0)[0], 0);
}

static void
frequencies(void)
{
	const uint32_t *r;
	uint64_t hz;

	make_host(true);
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	tap_check_u64(look(0, 0)[0], 0x16);
	r = look(0x15, 0);
	tap_check_u64(r[2], 1000000000);
	/* Linux computes in 32 bits of kHz. */
	tap_check((uint64_t)r[1] * 1000000 <= UINT32_MAX);
	hz = (uint64_t)r[2] * r[1] / r[0];
	tap_check(hz > UINT64_C(2599998000) - 2600 &&
	    hz < UINT64_C(2599998000) + 2600); /* 1 ppm */
	tap_check_u64(look(0x16, 0)[0], 2599);
	r = look(0x40000010, 0);
	tap_check_u64(r[0], 2599998);
	tap_check_u64(r[1], 1000000);
}

static void
hypervisor(void)
{
	const uint32_t *r;

	make_host(false);
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	r = look(0x40000000, 0);
	tap_check_u64(r[0], 0x40000010);
	tap_check_mem(&r[1], "bhyve bhyve ", 12);
	put(0x40000000, 0, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	put(0x40000001, 0, 0, 0x01007efb, 0, 0, 7);
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	r = look(0x40000000, 0);
	tap_check_u64(r[0], 0x40000010);
	tap_check_mem(&r[1], "KVMKVMKVM\0\0\0", 12);
	/* No asynchronous page faults, no extended destinations. */
	tap_check_u64(look(0x40000001, 0)[0], 0x01002aeb);
	tap_check_u64(look(0x40000001, 0)[3], 0);
}

static void
out_of_range(void)
{
	uint32_t last[4];

	make_host(false);
	make(&(struct cpu_topology){ 1, 1, 1, 1 }, 0);
	memcpy(last, look(0x1f, 0), sizeof(last));
	tap_check_mem(look(0x20, 0), last, sizeof(last));
	tap_check_mem(look(0x3fffffff, 0), last, sizeof(last));
	tap_check_mem(look(0x40000011, 0), last, sizeof(last));
	tap_check_mem(look(0x80000022, 0), last, sizeof(last));
	tap_check_mem(look(0xffffffff, 0), last, sizeof(last));
	tap_check_u64(look(0x17, 0)[0], 0); /* in range, nothing there */
}

static const struct tap_test tests[] = {
	TAP_TEST(refused),
	TAP_TEST(apic_ids),
	TAP_TEST(intel_one),
	TAP_TEST(intel_three),
	TAP_TEST(intel_four),
	TAP_TEST(intel_eight),
	TAP_TEST(amd_eight),
	TAP_TEST(masks),
	TAP_TEST(xsave),
	TAP_TEST(frequencies),
	TAP_TEST(hypervisor),
	TAP_TEST(out_of_range),
};
TAP_MAIN(tests)
