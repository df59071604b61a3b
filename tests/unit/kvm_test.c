/*
 * The machine's frame on /dev/kvm: tiny guests, one for each thing that can go
 * between a guest and the machine.
 */
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "guest.h"
#include "tap.h"

GUEST_ENTRY(pio);
GUEST_ENTRY(mmio);
GUEST_ENTRY(triple_fault);
GUEST_ENTRY(halt);
GUEST_ENTRY(spin);

static void
need_kvm(void)
{
	struct error err = ERROR_INIT;

	if (engine_kvm.probe(&err) != 0)
		tap_skip("no KVM: %s", err.text);
}

static void
create(struct guest *g, const uint8_t *entry)
{
	need_kvm();
	guest_create(g, &engine_kvm, 1, entry);
}

static void
port_accesses(void)
{
	static const uint32_t want[] = { 0x44, 0x3344, 0x11223344, 0xcafe, 0xa1,
		0xa2, 0xa3 };
	struct guest g;

	create(&g, guest_pio);
	g.answer = 0xcafe;
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, ARRAY_LEN(want));
	tap_check_str(vm_stop_cause(g.vm), "the guest asked for it");
	guest_destroy(&g);
}

static uint64_t
mmio_read(void *dev, uint64_t offset, unsigned width)
{
	return 0x1000 * width + offset;
}

static void
mmio_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	uint64_t *seen = dev;

	seen[offset / 4] = value;
}

static void
mmio_accesses(void)
{
	static const struct bus_ops ops = { mmio_read, mmio_write };
	static const uint32_t want[] = { 0x4008, 0xffffffff };
	uint64_t seen[4] = { 0 };
	struct guest g;

	create(&g, guest_mmio);
	tap_check_int(bus_add(vm_mmio(g.vm),
			  &(struct bus_window){
			      "test", 0xe0000000, 16, BUS_WANY, &ops, seen },
			  NULL),
	    0);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, ARRAY_LEN(want));
	tap_check_u64(seen[0], 0x55667788);
	tap_check_u64(seen[1], 0x99);
	guest_destroy(&g);
}

static void
triple_fault(void)
{
	struct guest g;

	create(&g, guest_triple_fault);
	tap_check_int(guest_run(&g), VM_STOP_TRIPLE_FAULT);
	guest_destroy(&g);
}

static void
halt(void)
{
	struct guest g;

	create(&g, guest_halt);
	tap_check_int(guest_run(&g), VM_STOP_HALT);
	guest_destroy(&g);
}

static const struct tap_test tests[] = {
	TAP_TEST(port_accesses),
	TAP_TEST(mmio_accesses),
	TAP_TEST(triple_fault),
	TAP_TEST(halt),
};
TAP_MAIN(tests)
