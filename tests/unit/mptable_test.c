/*
 * The MP table, parsed as the specification has it.
 */
#include <string.h>

#include "base/str.h"
#include "boot/boot.h"
#include "boot/mptable.h"
#include "boot/tables.h"
#include "dev/pci/pci.h"
#include "tap.h"

static const unsigned sizes[] = { 20, 8, 8, 8, 8 };
static struct buf b;
static struct boot_buses buses;

static const struct boot_buses *
one_bus(uint32_t slots)
{
	buses.n = 1;
	buses.bus[0] = (struct boot_bus){ 0, 255, slots };
	return &buses;
}

/* Checks header and order of entries; counts them by type. */
static void
parse(const struct cpu_topology *topo, const struct boot_buses *all,
    unsigned count[5])
{
	const uint8_t *h, *p;
	unsigned last = 0, n;

	buf_init(&b, 64 * KiB);
	tap_check_int(mptable_build(topo, all, &b), 0);
	memset(count, 0, 5 * sizeof(*count));
	h = b.data;
	tap_check_mem(h, "PCMP", 4);
	tap_check_u64(load_le16(h + 4), b.len);
	tap_check_u64(h[6], 4);
	tap_check_u64(tables_sum(h, b.len), 0);
	tap_check_u64(load_le32(h + 36), 0xfee00000);
	n = load_le16(h + 34);
	for (p = h + 44; p < h + b.len; p += sizes[p[0]], n--) {
		tap_check(p[0] >= last && p[0] < 5);
		last = p[0];
		count[p[0]]++;
	}
	tap_check(p == h + b.len);
	tap_check_u64(n, 0);
}

/* The pin that a source interrupt of a bus goes to, or -1. */
static int
pin_of(unsigned bus, unsigned irq)
{
	const uint8_t *h = b.data;

	for (const uint8_t *p = h + 44; p < h + b.len; p += sizes[p[0]]) {
		if (p[0] == 3 && p[1] == 0 && p[4] == bus && p[5] == irq)
			return p[7];
	}
	return -1;
}

static void
one_cpu(void)
{
	static const struct cpu_topology topo = { 1, 1, 1, 1 };
	unsigned count[5];

	parse(&topo, one_bus(0), count);
	tap_check_u64(count[0], 1);
	tap_check_u64(b.data[44 + 3], 3); /* enabled, boot processor */
	tap_check_u64(count[1], 2);
	tap_check_u64(count[2], 1);
	tap_check_u64(count[3], 16);
	tap_check_u64(count[4], 2);
	tap_check_int(pin_of(1, 0), 2);
	tap_check_int(pin_of(1, 2), -1);
	tap_check_int(pin_of(1, 4), 4);
	tap_check_int(pin_of(1, 9), 9);
	buf_fini(&b);
}

static void
pci_pins_follow_the_core(void)
{
	static const struct cpu_topology topo = { 2, 2, 1, 1 };
	uint32_t slots = 0x80000018;
	unsigned count[5];

	parse(&topo, one_bus(slots), count);
	tap_check_u64(count[3], 16 + 3 * 4);
	for (unsigned slot = 0; slot < 32; slot++) {
		for (unsigned pin = 0; pin < 4; pin++) {
			int want = slots >> slot & 1
			    ? 16 + (int)pci_pirq_of(slot, pin)
			    : -1;

			tap_check_int(pin_of(0, slot << 2 | pin), want);
		}
	}
	buf_fini(&b);
}

static void
several_buses(void)
{
	static const struct cpu_topology topo = { 1, 1, 1, 1 };
	unsigned count[5];

	buses.n = 3;
	buses.bus[0] = (struct boot_bus){ 0, 0, 1 };
	buses.bus[1] = (struct boot_bus){ 1, 4, 2 };
	buses.bus[2] = (struct boot_bus){ 5, 255, 4 };
	parse(&topo, &buses, count);
	tap_check_u64(count[1], 4);
	tap_check_int(pin_of(2, 4), 4); /* ISA is bus 2 */
	tap_check_int(pin_of(5, 2 << 2), 16 + (int)pci_pirq_of(2, 0));
	tap_check_int(pin_of(5, 1 << 2), -1);
	buf_fini(&b);
}

static void
only_8_bit_apic_ids(void)
{
	static const struct cpu_topology topo = { 600, 1, 600, 1 };
	unsigned count[5];

	parse(&topo, one_bus(0), count);
	tap_check_u64(count[0], 255);
	buf_fini(&b);
}

static void
pointer_and_place(void)
{
	static const struct cpu_topology topo = { 4, 1, 4, 1 };
	struct vm_mem_config conf = { .size = 16 * MiB, .overcommit = true };
	uint8_t ptr[16], sig[4];
	struct vm_mem *mem;
	struct error err;

	tap_check_int(vm_mem_create(&conf, &mem, &err), 0);
	tap_check_int(mptable_place(mem, &topo, one_bus(1)), 0);
	tap_check_int(
	    vm_mem_read(mem, GPA(BOOT_EBDA + 0x10), ptr, sizeof(ptr)), 0);
	tap_check_mem(ptr, "_MP_", 4);
	tap_check_u64(tables_sum(ptr, 16), 0);
	tap_check_u64(ptr[8], 1);
	tap_check_int(vm_mem_read(mem, GPA(load_le32(ptr + 4)), sig, 4), 0);
	tap_check_mem(sig, "PCMP", 4);
	vm_mem_destroy(mem);
}

static const struct tap_test tests[] = {
	TAP_TEST(one_cpu),
	TAP_TEST(pci_pins_follow_the_core),
	TAP_TEST(several_buses),
	TAP_TEST(only_8_bit_apic_ids),
	TAP_TEST(pointer_and_place),
};
TAP_MAIN(tests)
