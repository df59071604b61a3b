/*
 * PCI configuration space: both access ways agree, BARs size and move, and
 * writes of every width at every offset do no harm.
 */
#include "guest.h"

static uint64_t ecam;

static uint64_t
ecam_addr(const struct pci_fn *f, unsigned off)
{
	return ecam +
	    ((uint64_t)f->bus << 20 | (uint64_t)f->slot << 15 |
		(uint64_t)f->func << 12 | off);
}

static void
test_ecam(const struct pci_fn *f)
{
	unsigned off, bad = 0;

	for (off = 0; off < 256; off += 4) {
		if (mmio_read32(ecam_addr(f, off)) != pci_read(f, off, 4))
			bad++;
	}
	ok(bad == 0, "%u.%u: ECAM and CF8 agree (%u differ)", f->slot, f->func,
	    bad);
	ok(mmio_read8(ecam_addr(f, 1)) == (f->vendor >> 8) &&
		mmio_read16(ecam_addr(f, 2)) == f->device,
	    "%u.%u: narrow ECAM reads", f->slot, f->func);
}

/* Write all-ones and junk everywhere, restoring what the guest needs. */
static void
hostile_writes(const struct pci_fn *f)
{
	unsigned off, w;
	uint32_t save[64];

	for (off = 0; off < 256; off += 4)
		save[off / 4] = pci_read(f, off, 4);
	pci_write(f, 4, 2, 0);
	for (off = 0; off < 4096; off++) {
		for (w = 1; w <= 8; w *= 2) {
			if ((off & (w - 1)) != 0 && off > 64)
				continue;
			if (off >= 4 && off < 8)
				continue;
			if (w == 1)
				mmio_write8(ecam_addr(f, off), 0xff);
			else if (w == 2)
				mmio_write16(ecam_addr(f, off), 0xa55a);
			else if (w == 4)
				mmio_write32(ecam_addr(f, off), 0xdeadbeef);
			else
				mmio_write64(ecam_addr(f, off), ~0ull);
		}
	}
	for (off = 8; off < 256; off += 4)
		pci_write(f, off, 4, save[off / 4]);
	pci_write(f, 4, 2, save[1] & 0xffff);
	ok(pci_read(f, 0, 4) == save[0], "%u.%u: ids survive every write",
	    f->slot, f->func);
	ok(pci_read(f, 8, 4) == save[2], "%u.%u: so does the class", f->slot,
	    f->func);
}

static void
test_bar_move(const struct pci_fn *f)
{
	unsigned i;
	uint32_t lo, v;
	uint64_t at;

	for (i = 0; i < 6; i++) {
		lo = pci_read(f, 0x10 + 4 * i, 4);
		if (lo & 1 || (lo & ~15u) == 0)
			continue;
		at = pci_bar(f, i);
		pci_enable(f);
		v = mmio_read32(at);
		pci_write(f, 4, 2, 4); /* decoding off */
		ok(mmio_read32(at) == 0xffffffff,
		    "%u.%u BAR %u: silent without decoding", f->slot, f->func,
		    i);
		pci_write(f, 0x10 + 4 * i, 4, 0xf8000000);
		if ((lo & 6) == 4)
			pci_write(f, 0x14 + 4 * i, 4, 0);
		pci_enable(f);
		ok(mmio_read32(0xf8000000) == v, "%u.%u BAR %u: moved", f->slot,
		    f->func, i);
		pci_write(f, 0x10 + 4 * i, 4, lo);
		if ((lo & 6) == 4)
			pci_write(f, 0x14 + 4 * i, 4, (uint32_t)(at >> 32));
		ok(mmio_read32(at) == v, "%u.%u BAR %u: and back", f->slot,
		    f->func, i);
		if ((lo & 6) == 4)
			i++;
	}
}

void
user_main(void)
{
	struct pci_fn f;
	unsigned n, i, count = 0;
	uint32_t lo;

	if (!ok(pci_find(0x8086, 0x29c0, 0, &f) && f.slot == 0,
		"host bridge 8086:29c0 at 0.0"))
		tap_done();
	ok(pci_read(&f, 0x2c, 4) == 0x11001af4, "its subsystem is 1af4:1100");
	lo = pci_read(&f, 0x60, 4);
	ecam = (lo & 0xf0000000) | (uint64_t)pci_read(&f, 0x64, 4) << 32;
	ok(lo & 1 && ecam != 0, "PCIEXBAR is enabled (%lx)", ecam);
	map_phys(ecam, 0x10000000);
	for (n = 0; pci_find(0xffff, 0xffff, n, &f); n++) {
		count++;
		print("# %u.%u %x:%x\n", f.slot, f.func, f.vendor, f.device);
		test_ecam(&f);
		if (f.vendor == 0x1af4) {
			test_bar_move(&f);
			hostile_writes(&f);
			/* the function still works */
			for (i = 0; i < 6; i++)
				pci_bar(&f, i);
		}
	}
	ok(count >= 2, "%u functions found", count);
	f.slot = 29;
	f.func = 0;
	f.bus = 0;
	ok(pci_read(&f, 0, 4) == 0xffffffff, "an empty slot reads all ones");
	f.bus = 200;
	ok(pci_read(&f, 0, 4) == 0xffffffff, "an absent bus too");
	ok(mmio_read32(ecam_addr(&f, 0)) == 0xffffffff, "by ECAM too");
	/* move ECAM as OVMF does, and look again */
	pci_find(0x8086, 0x29c0, 0, &f);
	pci_write(&f, 0x60, 4, 0xd0000001);
	ecam = 0xd0000000;
	ok(mmio_read32(ecam_addr(&f, 0)) == 0x29c08086, "ECAM moves");
	tap_done();
}
