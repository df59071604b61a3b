/*
 * The I/O APIC, through its registers.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "tap.h"
#include "vmm/ioapic.h"
#include "vmm/memmap.h"

struct message {
	uint64_t addr;
	uint32_t data;
};

static struct bus *bus;
static struct ioapic *io;
static struct message sent[16];
static unsigned nsent, mask_changes;
static int taken = 1;
static struct {
	struct message m;
	bool masked;
} route[IOAPIC_PINS];

static int
on_msi(void *arg, uint64_t addr, uint32_t data)
{
	tap_check(nsent < ARRAY_LEN(sent));
	sent[nsent++] = (struct message){ addr, data };
	return taken;
}

static void
on_route(void *arg, unsigned pin, uint64_t addr, uint32_t data, bool masked)
{
	tap_check(pin < IOAPIC_PINS);
	route[pin].m = (struct message){ addr, data };
	route[pin].masked = masked;
}

static void
on_masks(void *arg)
{
	mask_changes++;
}

static void
create(void)
{
	const struct ioapic_client client = { on_msi, on_route, on_masks, NULL,
		NULL };

	tap_check_int(bus_create(0, &bus), 0);
	tap_check_int(ioapic_create(&client, &io), 0);
	tap_check_int(ioapic_attach(io, bus, NULL), 0);
}

static void
destroy(void)
{
	ioapic_destroy(io);
	bus_destroy(bus);
}

static void
write_reg(unsigned index, uint32_t v)
{
	tap_check(bus_write(bus, MEMMAP_IOAPIC, 4, index));
	tap_check(bus_write(bus, MEMMAP_IOAPIC + 0x10, 4, v));
}

static uint32_t
read_reg(unsigned index)
{
	uint64_t v;

	tap_check(bus_write(bus, MEMMAP_IOAPIC, 4, index));
	tap_check(bus_read(bus, MEMMAP_IOAPIC + 0x10, 4, &v));
	return (uint32_t)v;
}

static void
set_pin(unsigned pin, uint32_t high, uint32_t low)
{
	write_reg(0x11 + 2 * pin, high);
	write_reg(0x10 + 2 * pin, low);
}

static void
registers(void)
{
	create();
	tap_check_u64(read_reg(1), 0x00170020);
	write_reg(0, 0xff000000);
	tap_check_u64(read_reg(0), 0x0f000000);
	tap_check_u64(read_reg(2), 0x0f000000);
	tap_check_u64(read_reg(0x10), 0x10000);
	write_reg(0x10, 0xffffffff);
	write_reg(0x11, 0xffffffff);
	/* Delivery status and remote IRR are not the guest's. */
	tap_check_u64(read_reg(0x10), 0x1afff);
	tap_check_u64(read_reg(0x11), 0xff000000);
	tap_check_u64(read_reg(0x3f), 0x00000000);
	tap_check_u64(read_reg(0x40), 0); /* past the last pin */
	write_reg(0x40, 0);
	write_reg(0xff, 0);
	destroy();
}

static void
access_widths(void)
{
	uint64_t v;

	create();
	tap_check(bus_write(bus, MEMMAP_IOAPIC, 1, 0x10));
	tap_check(bus_write(bus, MEMMAP_IOAPIC + 0x10, 1, 0)); /* dropped */
	tap_check(bus_write(bus, MEMMAP_IOAPIC + 0x10, 2, 0));
	tap_check(bus_read(bus, MEMMAP_IOAPIC + 0x10, 4, &v));
	tap_check_u64(v, 0x10000);
	tap_check(bus_write(bus, MEMMAP_IOAPIC + 0x10, 8, 0x12345));
	tap_check(bus_read(bus, MEMMAP_IOAPIC + 0x10, 8, &v));
	tap_check_u64(v, 0x10000 | (0x2345 & 0xafff));
	tap_check(bus_read(bus, MEMMAP_IOAPIC + 0x13, 4, &v));
	tap_check_u64(v, 0);
	tap_check(bus_write(bus, MEMMAP_IOAPIC + 0xff8, 8, 1));
	destroy();
}

static void
edge(void)
{
	create();
	set_pin(4, 0x02000000, 0x34);
	ioapic_set_line(io, 4, true);
	tap_check_u64(nsent, 1);
	tap_check_u64(sent[0].addr, 0xfee02000);
	tap_check_u64(sent[0].data, 0x4034);
	ioapic_set_line(io, 4, true);
	tap_check_u64(nsent, 1);
	ioapic_set_line(io, 4, false);
	ioapic_set_line(io, 4, true);
	tap_check_u64(nsent, 2);
	/* An edge while masked is lost. */
	ioapic_set_line(io, 4, false);
	write_reg(0x18, 0x10034);
	ioapic_set_line(io, 4, true);
	write_reg(0x18, 0x34);
	tap_check_u64(nsent, 2);
	ioapic_set_line(io, 24, true);
	destroy();
}

static void
level(void)
{
	create();
	set_pin(16, 0, 0x8041);
	ioapic_set_line(io, 16, true);
	tap_check_u64(nsent, 1);
	tap_check_u64(sent[0].data, 0xc041);
	tap_check_u64(read_reg(0x30), 0xc041); /* remote IRR */
	/* Neither a second rise nor an unmask sends again before the EOI. */
	ioapic_set_line(io, 16, false);
	ioapic_set_line(io, 16, true);
	write_reg(0x30, 0x18041);
	write_reg(0x30, 0x8041);
	tap_check_u64(nsent, 1);
	ioapic_eoi(io, 0x42); /* somebody else's */
	tap_check_u64(nsent, 1);
	ioapic_eoi(io, 0x41); /* the line is up: again */
	tap_check_u64(nsent, 2);
	ioapic_set_line(io, 16, false);
	/* The EOI register does the same. */
	tap_check(bus_write(bus, MEMMAP_IOAPIC + 0x40, 4, 0x41));
	tap_check_u64(read_reg(0x30), 0x8041);
	tap_check_u64(nsent, 2);
	destroy();
}

static void
level_while_masked(void)
{
	create();
	set_pin(16, 0, 0x18041);
	ioapic_set_line(io, 16, true);
	tap_check_u64(nsent, 0);
	write_reg(0x30, 0x8041);
	tap_check_u64(nsent, 1);
	/* Masked in service: the EOI clears, and unmasking sends. */
	write_reg(0x30, 0x18041);
	ioapic_eoi(io, 0x41);
	tap_check_u64(nsent, 1);
	tap_check_u64(read_reg(0x30), 0x18041);
	write_reg(0x30, 0x8041);
	tap_check_u64(nsent, 2);
	/* Edge and back to level drops remote IRR. */
	write_reg(0x30, 0x10041);
	tap_check_u64(read_reg(0x30), 0x10041);
	destroy();
}

/* A message that no local APIC takes leaves no remote IRR behind. */
static void
level_not_taken(void)
{
	create();
	taken = 0;
	set_pin(16, 0, 0x8041);
	ioapic_set_line(io, 16, true);
	tap_check_u64(read_reg(0x30), 0x8041);
	taken = 1;
	write_reg(0x31, 0x01000000);
	tap_check_u64(nsent, 2);
	tap_check_u64(read_reg(0x30), 0xc041);
	destroy();
}

static void
delivery_modes(void)
{
	static const struct {
		uint32_t low;
		bool sends;
		struct message m;
	} cases[] = {
		{ 0x0050, true, { 0xfee03000, 0x4050 } }, /* fixed */
		{ 0x0850, true, { 0xfee03004, 0x4050 } }, /* logical */
		{ 0x0950, true, { 0xfee0300c, 0x4150 } }, /* lowest priority */
		{ 0x0250, false, { 0, 0 } }, /* SMI */
		{ 0x0400, true, { 0xfee03000, 0x4400 } }, /* NMI */
		{ 0x8400, true, { 0xfee03000, 0x4400 } }, /* is an edge */
		{ 0x0500, true, { 0xfee03000, 0x4500 } }, /* INIT */
		{ 0x0700, false, { 0, 0 } }, /* ExtINT */
		{ 0x0350, false, { 0, 0 } }, /* reserved */
		{ 0x0650, false, { 0, 0 } },
	};
	size_t i;

	create();
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		nsent = 0;
		set_pin(9, 0x03000000, cases[i].low);
		ioapic_set_line(io, 9, true);
		ioapic_set_line(io, 9, false);
		tap_check_u64(nsent, cases[i].sends);
		tap_check(route[9].masked == !cases[i].sends);
		if (!cases[i].sends)
			continue;
		tap_check_u64(sent[0].addr, cases[i].m.addr);
		tap_check_u64(sent[0].data, cases[i].m.data);
		tap_check_u64(route[9].m.addr, cases[i].m.addr);
		tap_check_u64(route[9].m.data, cases[i].m.data);
	}
	destroy();
}

static void
masks(void)
{
	create();
	tap_check(ioapic_is_masked(io));
	write_reg(0x12, 0x20);
	tap_check(!ioapic_is_masked(io));
	tap_check_u64(mask_changes, 1);
	write_reg(0x14, 0x21);
	write_reg(0x12, 0x10020);
	tap_check_u64(mask_changes, 1);
	write_reg(0x14, 0x10021);
	tap_check(ioapic_is_masked(io));
	tap_check_u64(mask_changes, 2);
	destroy();
}

/* A level pin in service and a masked one move to another chip. */
static void
state(void)
{
	struct ioapic_state st, again;
	unsigned n;

	create();
	write_reg(0x10 + 2 * 17, 0x8041);
	write_reg(0x10 + 2 * 17 + 1, 0x03000000);
	write_reg(0x10 + 2 * 4, 0x10055);
	ioapic_set_line(io, 17, true);
	tap_check_u64(nsent, 1);
	ioapic_get_state(io, &st);
	destroy();
	memset(route, 0, sizeof(route));
	n = mask_changes;
	create();
	tap_check_int(ioapic_set_state(io, &st), 0);
	tap_check_u64(nsent, 1); /* nothing is sent again */
	tap_check_u64(mask_changes, n + 1);
	tap_check_u64(route[17].m.addr, 0xfee03000);
	tap_check(!route[17].masked && route[4].masked);
	ioapic_get_state(io, &again);
	tap_check_mem(&again, &st, sizeof(st));
	tap_check_u64(read_reg(0x10 + 2 * 17), 0xc041); /* remote IRR */
	ioapic_set_line(io, 17, true); /* the device says it again */
	tap_check_u64(nsent, 1);
	ioapic_eoi(io, 0x41);
	tap_check_u64(nsent, 2);
	st.rte[3] |= 1u << 17;
	tap_check_int(ioapic_set_state(io, &st), -EINVAL);
	st.rte[3] = again.rte[3];
	st.version++;
	tap_check_int(ioapic_set_state(io, &st), -EINVAL);
	again.lines |= 1u << 24;
	tap_check_int(ioapic_set_state(io, &again), -EINVAL);
	destroy();
}

static const struct tap_test tests[] = {
	TAP_TEST(registers),
	TAP_TEST(access_widths),
	TAP_TEST(edge),
	TAP_TEST(level),
	TAP_TEST(level_while_masked),
	TAP_TEST(level_not_taken),
	TAP_TEST(delivery_modes),
	TAP_TEST(masks),
	TAP_TEST(state),
};
TAP_MAIN(tests)
