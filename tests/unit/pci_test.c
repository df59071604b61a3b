/*
 * The PCI core through its registers, as a guest sees it: configuration space
 * at every width and offset, BARs, ECAM, address assignment, the bridges.
 */
#include "pci_util.h"

/* ---- configuration space ---- */

static void
identity(void)
{
	standard();
	tap_check_u64(cfg_in(0, 0, 4), 0x29c08086);
	tap_check_u64(cfg_in(0, 0x2c, 4), 0x11001af4);
	tap_check_u64(cfg_in(31, 0, 4), 0x29188086);
	tap_check_u64(cfg_in(31, 8, 4) >> 8, 0x060100);
	tap_check_u64(cfg_in(4, 0, 4), DEVICE << 16 | VENDOR);
	tap_check_u64(cfg_in(4, 2, 2), DEVICE);
	tap_check_u64(cfg_in(4, 3, 1), DEVICE >> 8);
	tap_check_u64(cfg_in(5, 0, 4), 0xffffffff);
	tap_check_u64(fake_load(vm, ECAM(4, 0), 4), DEVICE << 16 | VENDOR);
	tap_check_u64(fake_load(vm, ECAM(5, 0), 4), 0xffffffff);
	/* without the enable bit there is no configuration cycle */
	fake_out(vm, 0xcf8, 4, 4u << 11);
	tap_check_u64(fake_in(vm, 0xcfc, 4), 0xffffffff);
	tap_check_u64(fake_in(vm, 0xcf8, 4), 4u << 11);
	/* bytes and words do not reach the address */
	fake_out(vm, 0xcf8, 2, 0xffff);
	fake_out(vm, 0xcfa, 1, 0xff);
	tap_check_u64(fake_in(vm, 0xcf8, 4), 4u << 11);
	finish();
	tap_check_u64(finis, 1);
}

/* What a wide read gives is what the byte reads give. */
static void
reads_of_every_width(void)
{
	uint8_t byte[PCI_CFG_SIZE + 8];

	standard();
	memset(byte, 0xff, sizeof(byte));
	for (unsigned off = 0; off < PCI_CFG_SIZE; off++)
		byte[off] = (uint8_t)fake_load(vm, ECAM(4, off), 1);
	for (unsigned off = 0; off < PCI_CFG_SIZE; off++) {
		for (unsigned width = 2; width <= 8; width *= 2) {
			uint64_t v = fake_load(vm, ECAM(4, off), width);

			tap_check_mem(&v, &byte[off], width);
		}
	}
	finish();
}

/* Writes of every width at every offset: only writable bits change. */
static void
writes_of_every_width(void)
{
	static uint8_t before[PCI_CFG_SIZE];

	standard();
	for (unsigned slot = 0; slot < 32; slot++) {
		struct pci_dev *pd =
		    pci_bus_find(pb, (struct pci_addr){ 0, (uint8_t)slot, 0 });

		if (pd == NULL)
			continue;
		memcpy(before, pd->cfg, sizeof(before));
		for (unsigned w = 1; w <= 8; w *= 2) {
			for (unsigned off = 0; off < PCI_CFG_SIZE; off++) {
				pci_cfg_write(pd, off, w, UINT64_MAX);
				pci_cfg_write(pd, off, w, 0);
				pci_cfg_write(
				    pd, off, w, UINT64_C(0x5aa5c33c96690ff0));
			}
		}
		for (unsigned off = 0; off < PCI_CFG_SIZE; off++)
			tap_check_u64(
			    (before[off] ^ pd->cfg[off]) & ~pd->wmask[off], 0);
	}
	finish();
}

static void
command_bits(void)
{
	standard();
	cfg_out(4, PCI_COMMAND, 2, 0xffff);
	tap_check_u64(cfg_in(4, PCI_COMMAND, 2), 0x0547);
	tap_check(pci_bus_master(last));
	cfg_out(4, PCI_COMMAND, 2, 0);
	tap_check_u64(cfg_in(4, PCI_COMMAND, 2), 0);
	tap_check(!pci_bus_master(last));
	/* the bridges always decode */
	cfg_out(31, PCI_COMMAND, 2, 0xffff);
	tap_check_u64(cfg_in(31, PCI_COMMAND, 2), 0x0147);
	cfg_out(31, PCI_COMMAND, 2, 0);
	tap_check_u64(cfg_in(31, PCI_COMMAND, 2), 0x0007);
	tap_check_u64(cfg_in(0, PCI_COMMAND, 2), 0x0006);
	finish();
}

static void
capability_list(void)
{
	unsigned at, seen = 0;

	standard();
	tap_check_u64(cfg_in(4, PCI_STATUS, 2) & PCI_STATUS_CAPS, 0x10);
	for (at = (unsigned)cfg_in(4, PCI_CAP_PTR, 1); at != 0;
	     at = (unsigned)cfg_in(4, at + 1, 1)) {
		tap_check(at >= 0x40 && at % 4 == 0 && seen < 4);
		switch (cfg_in(4, at, 1)) {
		case PCI_CAP_ID_MSIX:
			tap_check_u64(cfg_in(4, at + 2, 2), 99);
			tap_check_u64(cfg_in(4, at + 4, 4), 0x4002);
			tap_check_u64(cfg_in(4, at + 8, 4), 0x5002);
			break;
		case PCI_CAP_ID_MSI:
			tap_check_u64(cfg_in(4, at + 2, 2), 0x0180);
			break;
		case PCI_CAP_ID_EXPRESS:
			tap_check_u64(cfg_in(4, at + 2, 2), 0x0092);
			break;
		default:
			tap_fail("capability %u", at);
		}
		seen++;
	}
	tap_check_u64(seen, 3);
	tap_check_u64(fake_load(vm, ECAM(4, 0x100), 4), 0);
	finish();
}

/* ---- BARs ---- */

static void
bar_sizing(void)
{
	standard();
	cfg_out(4, 0x10, 4, 0xffffffff);
	tap_check_u64(cfg_in(4, 0x10, 4), 0xffffffe1); /* 32 ports */
	cfg_out(4, 0x14, 4, 0xffffffff);
	tap_check_u64(cfg_in(4, 0x14, 4), 0xfffff000);
	cfg_out(4, 0x18, 4, 0xffffffff);
	cfg_out(4, 0x1c, 4, 0xffffffff);
	tap_check_u64(cfg_in(4, 0x18, 4), 0xffff8004); /* 32 KiB */
	tap_check_u64(cfg_in(4, 0x1c, 4), 0xffffffff);
	cfg_out(4, 0x20, 4, 0xffffffff);
	tap_check_u64(cfg_in(4, 0x20, 4), 0);
	cfg_out(4, 0x30, 4, 0xffffffff); /* no ROM */
	tap_check_u64(cfg_in(4, 0x30, 4), 0);
	finish();
}

static void
bars_are_assigned(void)
{
	uint64_t base, size, at;

	standard();
	pci_bus_window64(pb, &base, &size);
	tap_check_u64(base, UINT64_C(1) << 32);
	tap_check_u64(cfg_in(4, 0x10, 4), 0x6001);
	tap_check_u64(cfg_in(4, 0x14, 4), MEMMAP_PCI32_BASE);
	tap_check_u64(cfg_in(4, 0x18, 4), (uint32_t)base | 4);
	tap_check_u64(cfg_in(4, 0x1c, 4), base >> 32);
	/* decoding is off until the guest turns it on */
	tap_check(!pci_bar_addr(last, 0, &at));
	tap_check_u64(fake_in(vm, 0x6000, 1), 0xff);
	cfg_out(4, PCI_COMMAND, 2, PCI_COMMAND_IO);
	tap_check(pci_bar_addr(last, 0, &at));
	tap_check_u64(at, 0x6000);
	tap_check(!pci_bar_addr(last, 1, &at));
	tap_check_u64(fake_in(vm, 0x6004, 2), 0x0402);
	cfg_out(4, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEM);
	tap_check_u64(moved.n, 3);
	tap_check_u64(moved.addr, base);
	tap_check(moved.enabled);
	tap_check_u64(
	    fake_load(vm, base + 0x10, 8), UINT64_C(2) << 32 | 0x1000 | 8);
	fake_store(vm, MEMMAP_PCI32_BASE, 4, 0x1234);
	tap_check_u64(bar_value[1], 0x1234);
	cfg_out(4, PCI_COMMAND, 2, 0);
	tap_check_u64(moved.n, 6);
	tap_check(!moved.enabled);
	tap_check_u64(fake_in(vm, 0x6004, 2), 0xffff);
	finish();
}

static void
bars_move(void)
{
	uint64_t at;

	standard();
	cfg_out(4, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEM);
	cfg_out(4, 0x10, 4, 0x7000);
	tap_check_u64(fake_in(vm, 0x6000, 1), 0xff);
	tap_check_u64(fake_in(vm, 0x7000, 1), 0x01);
	/* all ones, in whole or in half, decodes nothing */
	cfg_out(4, 0x14, 4, 0xffffffff);
	tap_check(!pci_bar_addr(last, 1, &at));
	cfg_out(4, 0x1c, 4, 0);
	cfg_out(4, 0x18, 4, 0xffffffff);
	tap_check(!pci_bar_addr(last, 2, &at));
	cfg_out(4, 0x18, 4, 0);
	tap_check(!pci_bar_addr(last, 2, &at));
	/* memory wins */
	cfg_out(4, 0x14, 4, 0x100000);
	tap_check(!pci_bar_addr(last, 1, &at));
	cfg_out(4, 0x14, 4, 0xd0000000);
	tap_check(pci_bar_addr(last, 1, &at));
	/* ports end at 64 Ki */
	cfg_out(4, 0x10, 4, 0x10000);
	tap_check(!pci_bar_addr(last, 0, &at));
	cfg_out(4, 0x10, 4, 0xffe0);
	tap_check(pci_bar_addr(last, 0, &at));
	finish();
}

/* What cannot decode because another is there, decodes when that one leaves. */
static void
bars_overlap(void)
{
	uint64_t at;
	struct pci_dev *a, *b;

	start();
	tap_check_int(add(0, 1, 0, "testdev", NULL), 0);
	a = last;
	tap_check_int(add(0, 2, 0, "testdev", NULL), 0);
	b = last;
	tap_check_int(pci_bus_assign(pb, &err), 0);
	cfg_out(1, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	cfg_out(2, 0x14, 4, cfg_in(1, 0x14, 4));
	cfg_out(2, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	tap_check(pci_bar_addr(a, 1, &at));
	tap_check(!pci_bar_addr(b, 1, &at));
	tap_check_u64(pb->refused, 1);
	cfg_out(1, 0x14, 4, 0xd0000000);
	tap_check(pci_bar_addr(a, 1, &at));
	tap_check(pci_bar_addr(b, 1, &at));
	tap_check_u64(pb->refused, 0);
	/* a BAR over the ECAM window waits for that, too */
	cfg_out(2, 0x14, 4, (uint32_t)MEMMAP_ECAM_BASE);
	tap_check(!pci_bar_addr(b, 1, &at));
	cfg_out(2, PCI_COMMAND, 2, 0);
	tap_check_u64(pb->refused, 0);
	finish();
}

static void
impossible_bars(void)
{
	start();
	tap_check_int(add(0, 1, 0, "testdev", "0"), 0);
	tap_check_int(pci_add_bar(last, 6, PCI_BAR_IO, 4, &err), -EINVAL);
	tap_check_int(pci_add_bar(last, 5, PCI_BAR_MEM64, 4, &err), -EINVAL);
	tap_check_int(pci_add_bar(last, 0, PCI_BAR_IO, 257, &err), -EINVAL);
	tap_check_int(pci_add_bar(last, 0, PCI_BAR_MEM32, 0, &err), -EINVAL);
	tap_check_int(pci_add_bar(last, 0, PCI_BAR_MEM64, 4096, &err), 0);
	tap_check_int(pci_add_bar(last, 1, PCI_BAR_MEM32, 4, &err), -EINVAL);
	tap_check_int(pci_add_bar(last, 0, PCI_BAR_MEM32, 4, &err), -EINVAL);
	tap_check_int(pci_add_msix(last, 1, 0, 0, &err), -EINVAL);
	tap_check_int(pci_add_msix(last, 1, 3, 0, &err), -EINVAL);
	tap_check_int(pci_add_msix(last, 2049, 0, 0, &err), -EINVAL);
	tap_check_int(pci_add_msix(last, 0, 0, 0, &err), -EINVAL);
	finish();
}

static void
window_is_full(void)
{
	start();
	tap_check_int(add(0, 1, 0, "testdev", "2"), 0);
	tap_check_int(add(0, 2, 0, "testdev", "2"), 0);
	tap_check_int(pci_bus_assign(pb, &err), -ENOSPC);
	tap_check_has(err.text, "testdev 0:2:0: BAR 0 of 524288 KiB");
	tap_check_has(err.text, "32-bit PCI memory window is full");
	finish();
}

static void
io_window_is_full(void)
{
	start();
	for (unsigned i = 0; i < 161; i++)
		tap_check_int(add(0, i / 8, i % 8, "testdev", "3"), 0);
	tap_check_int(pci_bus_assign(pb, &err), -ENOSPC);
	tap_check_has(err.text, "PCI I/O port window is full");
	finish();
}

static void
window64_is_full(void)
{
	start();
	for (unsigned i = 0; i < 3; i++)
		tap_check_int(add(0, i, 0, "testdev", "4"), 0);
	tap_check_int(pci_bus_assign(pb, &err), -ENOSPC);
	tap_check_has(err.text, "64-bit PCI memory window is full");
	finish();
}

/* ---- windows of buses ---- */

static void
check_range(struct pci_range r, uint64_t base, uint64_t end)
{
	tap_check_u64(r.base, base);
	tap_check_u64(r.base + r.size, end);
}

static void
windows_of_one_bus_are_the_machines(void)
{
	struct pci_windows w;
	uint64_t base, size;

	standard();
	pci_bus_windows(pb, 0, &w);
	check_range(w.io, MEMMAP_PCI_IO_BASE, MEMMAP_PCI_IO_END);
	check_range(w.mem32, MEMMAP_PCI32_BASE, MEMMAP_PCI32_END);
	pci_bus_window64(pb, &base, &size);
	check_range(w.mem64, base, base + size);
	finish();
}

static void
windows_of_buses_are_disjoint(void)
{
	struct pci_windows w[3];
	uint64_t base, size;

	start();
	tap_check_int(add(0, 4, 0, "testdev", NULL), 0);
	tap_check_int(add(2, 1, 0, "testdev", NULL), 0);
	tap_check_int(add(9, 0, 0, "testdev", NULL), 0);
	tap_check_int(pci_bus_assign(pb, &err), 0);
	pci_bus_window64(pb, &base, &size);
	pci_bus_windows(pb, 0, &w[0]);
	pci_bus_windows(pb, 2, &w[1]);
	pci_bus_windows(pb, 9, &w[2]);
	check_range(w[0].io, MEMMAP_PCI_IO_BASE, MEMMAP_PCI_IO_BASE + 0x100);
	check_range(
	    w[1].io, MEMMAP_PCI_IO_BASE + 0x100, MEMMAP_PCI_IO_BASE + 0x200);
	check_range(w[2].io, MEMMAP_PCI_IO_BASE + 0x200, MEMMAP_PCI_IO_END);
	check_range(w[0].mem32, MEMMAP_PCI32_BASE, MEMMAP_PCI32_BASE + MiB);
	check_range(
	    w[1].mem32, MEMMAP_PCI32_BASE + MiB, MEMMAP_PCI32_BASE + 2 * MiB);
	check_range(w[2].mem32, MEMMAP_PCI32_BASE + 2 * MiB, MEMMAP_PCI32_END);
	check_range(w[0].mem64, base, w[1].mem64.base);
	check_range(w[2].mem64, w[1].mem64.base + w[1].mem64.size, base + size);
	tap_check(w[1].mem64.size >= MiB && w[0].mem64.size >= MiB);
	pci_bus_windows(pb, 10, &w[0]);
	tap_check_u64(w[0].io.size + w[0].mem32.size + w[0].mem64.size, 0);
	finish();
}

/* ---- slots ---- */

static void
slots_are_checked(void)
{
	const struct pci_addr no_slot = { 0, 32, 0 }, no_func = { 0, 1, 8 };
	struct config_node *node;

	start();
	tap_check_int(add(0, 4, 0, "testdev", NULL), 0);
	tap_check_int(add(0, 4, 0, "testdev", NULL), -EEXIST);
	tap_check_has(err.text, "two devices in one slot");
	node = config_find_node(root, "pci.0.4.0");
	tap_check_int(pci_bus_add(pb, no_slot, node, &err), -EINVAL);
	tap_check_has(err.text, "slot 32 does not exist");
	tap_check_int(pci_bus_add(pb, no_func, node, &err), -EINVAL);
	tap_check_has(err.text, "functions 0 to 7");
	tap_check_int(add(0, 5, 1, "testdev", NULL), 0);
	tap_check_int(pci_bus_assign(pb, &err), -EINVAL);
	tap_check_has(err.text, "has no function 0");
	tap_check_int(add(0, 5, 0, "testdev", NULL), 0);
	tap_check_int(pci_bus_assign(pb, &err), 0);
	tap_check_u64(cfg_in(5, PCI_HEADER_TYPE, 1), 0x80);
	tap_check_u64(cfg_in(4, PCI_HEADER_TYPE, 1), 0x00);
	/* found in order of address */
	tap_check_u64(pci_dev_addr(pci_bus_next(pb, NULL)).slot, 4);
	tap_check_str(pci_dev_name(pci_bus_next(pb, NULL)), "testdev 0:4:0");
	tap_check(pci_bus_next(pb, last) != NULL);
	finish();
}

static void
models_are_checked(void)
{
	start();
	tap_check_int(add(0, 4, 0, "tstdev", NULL), -ENOENT);
	tap_check_has(err.text, "unknown PCI device model 'tstdev'");
	tap_check_has(err.text, "did you mean 'testdev'?");
	tap_check_int(add(0, 5, 0, "testdev", "999"), -EINVAL);
	tap_check_has(err.text, "testdev 0:5:0");
	tap_check_int(add(0, 6, 0, "test-alias", NULL), 0);
	tap_check_int(add(0, 31, 0, "lpc", NULL), 0);
	tap_check_int(add(0, 30, 0, "lpc", NULL), -EEXIST);
	tap_check_int(add(1, 0, 0, "lpc", NULL), -EINVAL);
	tap_check_has(err.text, "bus 0");
	tap_check(pci_bus_find(pb, (struct pci_addr){ 1, 0, 0 }) == NULL);
	finish();
}

static void
bridge_identities(void)
{
	struct config_node *node;

	start();
	node = config_make_node(root, "pci.0.0.0");
	tap_check_int(config_set(node, "model", "i440fx", &err), 0);
	tap_check_int(add(0, 0, 0, "hostbridge", NULL), 0);
	tap_check_u64(cfg_in(0, 0, 4), 0x12378086);
	cfg_out(0, 0x59, 1, 0xff);
	tap_check_u64(cfg_in(0, 0x59, 1), 0x30);
	/* no PCIEXBAR here */
	cfg_out(0, 0x60, 4, 0xe0000001);
	tap_check_u64(pci_bus_ecam_base(pb), MEMMAP_ECAM_BASE);
	tap_check_int(add(0, 1, 0, "amd_hostbridge", NULL), 0);
	tap_check_u64(cfg_in(1, 0, 4), 0x74321022);
	node = config_make_node(root, "pci.0.2.0");
	tap_check_int(config_set(node, "vendor", "0x1234", &err), 0);
	tap_check_int(config_set(node, "pcireg.device", "0x5678", &err), 0);
	tap_check_int(add(0, 2, 0, "hostbridge", NULL), 0);
	tap_check_u64(cfg_in(2, 0, 4), 0x56781234);
	finish();
}

static void
lpc_identity(void)
{
	start();
	tap_check_int(config_set(root, "lpc.pcireg.device", "0x7000", &err), 0);
	pci_bus_set_lpc_conf(pb, config_find_node(root, "lpc"));
	tap_check_int(add(0, 31, 0, "lpc", NULL), 0);
	tap_check_u64(cfg_in(31, 0, 4), 0x70008086);
	finish();
}

/* ---- chipset registers ---- */

static void
ecam_moves(void)
{
	const uint64_t to = UINT64_C(0xe0000000);

	standard();
	tap_check_u64(pci_bus_ecam_base(pb), MEMMAP_ECAM_BASE);
	tap_check_u64(cfg_in(0, 0x60, 4), (uint32_t)MEMMAP_ECAM_BASE | 1);
	/* as OVMF does it: upper half, then base and enable */
	cfg_out(0, 0x64, 4, 0);
	cfg_out(0, 0x60, 4, (uint32_t)to | 1);
	tap_check_u64(pci_bus_ecam_base(pb), to);
	tap_check_u64(fake_load(vm, ECAM(4, 0), 4), 0xffffffff);
	tap_check_u64(fake_load(vm, to + (4 << 15), 4), DEVICE << 16 | VENDOR);
	/* 64 MiB: bus 63 is the last */
	fake_store(vm, to + 0x60, 4, (uint32_t)to | 5);
	tap_check_u64(pb->ecam_size, 64 << 20);
	tap_check(!bus_decodes(vm->mmio, to + (64 << 20)));
	/* off, and a reserved length */
	cfg_out(0, 0x60, 4, (uint32_t)to);
	tap_check_u64(pci_bus_ecam_base(pb), 0);
	cfg_out(0, 0x60, 4, (uint32_t)to | 7);
	tap_check_u64(pci_bus_ecam_base(pb), 0);
	cfg_out(0, 0x64, 4, 0xffffffff);
	cfg_out(0, 0x60, 4, 1);
	tap_check_u64(pci_bus_ecam_base(pb), UINT64_C(0xf00000000));
	finish();
}

static uint16_t pm_base;
static bool pm_on;

static void
on_pmbase(void *arg, uint16_t base, bool enabled)
{
	pm_base = base;
	pm_on = enabled;
}

static void
lpc_registers(void)
{
	standard();
	pci_bus_on_pmbase(pb, on_pmbase, NULL);
	tap_check_u64(cfg_in(31, 0x40, 4), PORT_PMBASE | 1);
	tap_check_u64(cfg_in(31, 0x44, 1), 0x80);
	cfg_out(31, 0x40, 4, 0xffffffff);
	tap_check_u64(cfg_in(31, 0x40, 4), 0xff81);
	cfg_out(31, 0x40, 4, 0xb001);
	tap_check_u64(pm_base, 0xb000);
	tap_check(pm_on);
	cfg_out(31, 0x44, 1, 0);
	tap_check(!pm_on);
	for (unsigned i = 0; i < 8; i++)
		tap_check_int(vm->pirq[i], -1);
	cfg_out(31, 0x60, 4, 0x0b0b0a0a);
	cfg_out(31, 0x68, 4, 0x0b0b0a80);
	tap_check_int(vm->pirq[0], 10);
	tap_check_int(vm->pirq[3], 11);
	tap_check_int(vm->pirq[4], -1);
	tap_check_int(vm->pirq[5], 10);
	cfg_out(31, 0x61, 1, 0x08); /* reserved for the RTC */
	tap_check_int(vm->pirq[1], -1);
	cfg_out(31, 0xf0, 4, 0xfed1c001);
	tap_check_u64(cfg_in(31, 0xf0, 4), 0xfed1c001);
	finish();
}

static void
reset_control(void)
{
	standard();
	fake_out(vm, 0xcf9, 1, 0x02);
	tap_check_u64(vm->stops, 0);
	fake_out(vm, 0xcf9, 1, 0x06);
	tap_check_u64(vm->stops, 1);
	tap_check_u64(vm->reason, VM_STOP_RESET);
	tap_check_str(vm->cause, "guest wrote 0x06 to port 0xcf9");
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(identity),
	TAP_TEST(reads_of_every_width),
	TAP_TEST(writes_of_every_width),
	TAP_TEST(command_bits),
	TAP_TEST(capability_list),
	TAP_TEST(bar_sizing),
	TAP_TEST(bars_are_assigned),
	TAP_TEST(bars_move),
	TAP_TEST(bars_overlap),
	TAP_TEST(impossible_bars),
	TAP_TEST(window_is_full),
	TAP_TEST(io_window_is_full),
	TAP_TEST(window64_is_full),
	TAP_TEST(windows_of_one_bus_are_the_machines),
	TAP_TEST(windows_of_buses_are_disjoint),
	TAP_TEST(slots_are_checked),
	TAP_TEST(models_are_checked),
	TAP_TEST(bridge_identities),
	TAP_TEST(lpc_identity),
	TAP_TEST(ecam_moves),
	TAP_TEST(lpc_registers),
	TAP_TEST(reset_control),
};
TAP_MAIN(tests)
