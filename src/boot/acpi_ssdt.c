/*
 * The SSDT: the part of the namespace that depends on the configuration. The
 * routing tables come from pci_pirq_of(), so they cannot differ from what the
 * PCI core does.
 */
#include <stdio.h>

#include "boot/acpi.h"
#include "boot/aml.h"
#include "dev/platform.h"
#include "vmm/memmap.h"

#define CRS_MAX 512
#define PIRQ_COUNT 8

/* ACPI 6.5, 8.4: a device per processor; _UID as in the MADT. */
static void
put_cpus(struct aml *a, const struct acpi_desc *d)
{
	for (unsigned i = 0; i < d->topo->cpus; i++) {
		char name[8];

		snprintf(name, sizeof(name), "C%03X", i & 0xfff);
		aml_device(a, name);
		aml_name(a, "_HID");
		aml_str(a, "ACPI0007");
		aml_name(a, "_UID");
		aml_int(a, i);
		aml_end(a);
	}
}

/*
 * PCI Firmware Specification 4.1.2: the ECAM range must be reserved by a
 * motherboard resource.
 */
static void
put_ecam(struct aml *a, const struct acpi_desc *d)
{
	struct buf crs;

	buf_init(&crs, CRS_MAX);
	crs_mem64(&crs, CRS_CONSUMED, d->ecam_base, MEMMAP_ECAM_SIZE);
	aml_device(a, "ECAM");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0C02");
	aml_name(a, "_UID");
	aml_int(a, 2);
	aml_name(a, "_CRS");
	aml_crs(a, &crs);
	aml_end(a);
	buf_fini(&crs);
}

/* QEMU docs/specs/fw_cfg.rst: ports 510h-51bh */
static void
put_fw_cfg(struct aml *a)
{
	struct buf crs;

	buf_init(&crs, CRS_MAX);
	crs_io(&crs, 0x510, 12);
	aml_device(a, "FWCF");
	aml_name(a, "_HID");
	aml_str(a, "QEMU0002");
	aml_name(a, "_STA");
	aml_int(a, 0x0b);
	aml_name(a, "_CRS");
	aml_crs(a, &crs);
	aml_end(a);
	buf_fini(&crs);
}

static void
crs_io_range(struct buf *crs, uint64_t first, uint64_t end)
{
	if (first < end)
		crs_io_window(crs, (uint16_t)first, (uint16_t)(end - 1));
}

/*
 * 6.2.2: what a root bridge takes and what it passes on. Bus 0 has the ports of
 * the ISA devices, too, around CF8h. We and OVMF assign 32-bit BARs below
 * MEMMAP_PCI32_END, SeaBIOS right below the I/O APIC: so the last bus goes up
 * to there.
 */
static void
put_root_crs(struct aml *a, const struct boot_bus *bus)
{
	const struct pci_windows *w = &bus->win;
	uint64_t io_end = w->io.base + w->io.size;
	uint64_t mem32_end = w->mem32.base + w->mem32.size;
	struct buf crs;

	if (mem32_end == MEMMAP_PCI32_END)
		mem32_end = MEMMAP_IOAPIC;
	buf_init(&crs, CRS_MAX);
	crs_bus_window(&crs, bus->number, bus->last);
	if (bus->number == 0) {
		crs_io(&crs, 0xcf8, 8);
		crs_io_range(&crs, 0, 0xcf8);
		crs_io_range(&crs, 0xd00, io_end);
	} else {
		crs_io_range(&crs, w->io.base, io_end);
	}
	if (w->mem32.base < mem32_end)
		crs_mem32_window(
		    &crs, (uint32_t)w->mem32.base, (uint32_t)mem32_end - 1);
	if (w->mem64.size != 0)
		crs_mem64(&crs, CRS_PRODUCED, w->mem64.base, w->mem64.size);
	aml_name(a, "_CRS");
	aml_crs(a, &crs);
	buf_fini(&crs);
}

static const char *const link_names[PIRQ_COUNT] = {
	"\\_SB.PCI0.LPC.LNKA",
	"\\_SB.PCI0.LPC.LNKB",
	"\\_SB.PCI0.LPC.LNKC",
	"\\_SB.PCI0.LPC.LNKD",
	"\\_SB.PCI0.LPC.LNKE",
	"\\_SB.PCI0.LPC.LNKF",
	"\\_SB.PCI0.LPC.LNKG",
	"\\_SB.PCI0.LPC.LNKH",
};

/* 6.2.13: packages of address, pin, source, source index. */
static void
put_route(struct aml *a, unsigned slot, unsigned pin, bool apic)
{
	unsigned pirq = pci_pirq_of(slot, pin) % PIRQ_COUNT;

	aml_package(a, 4);
	aml_int(a, (uint64_t)slot << 16 | 0xffff);
	aml_int(a, pin);
	if (apic)
		aml_int(a, 0);
	else
		aml_path(a, link_names[pirq]);
	aml_int(a, apic ? GSI_PIRQ0 + pirq : 0);
	aml_end(a);
}

/* Only slots that hold something: nothing can be plugged in later. */
static void
put_routes(
    struct aml *a, const struct boot_bus *bus, const char *name, bool apic)
{
	unsigned n = (unsigned)__builtin_popcount(bus->slots);

	aml_name(a, name);
	aml_package(a, 4 * n);
	for (unsigned slot = 0; slot < 32; slot++) {
		if (!(bus->slots >> slot & 1))
			continue;
		for (unsigned pin = 0; pin < 4; pin++)
			put_route(a, slot, pin, apic);
	}
	aml_end(a);
}

/* 6.2.13: by what the guest said to \_PIC. */
static void
put_prt(struct aml *a, const struct boot_bus *bus)
{
	put_routes(a, bus, "PRTA", true);
	put_routes(a, bus, "PRTP", false);
	aml_method(a, "_PRT");
	aml_if(a, "\\PICM");
	aml_return(a, "PRTA");
	aml_end(a);
	aml_return(a, "PRTP");
	aml_end(a);
}

/* A root bridge besides PCI0, which is in the DSDT. */
static void
put_root(struct aml *a, const struct boot_bus *bus)
{
	char name[8];

	snprintf(name, sizeof(name), "PC%02X", bus->number);
	aml_device(a, name);
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0A03");
	aml_name(a, "_UID");
	aml_int(a, bus->number);
	aml_name(a, "_BBN");
	aml_int(a, bus->number);
	put_root_crs(a, bus);
	put_prt(a, bus);
	aml_end(a);
}

static void
put_com(struct aml *a, unsigned n)
{
	const struct uart_ports *p = &lpc_com_ports[n];
	char name[8];
	struct buf crs;

	buf_init(&crs, CRS_MAX);
	crs_io(&crs, p->port, 8);
	crs_irq(&crs, p->gsi);
	snprintf(name, sizeof(name), "COM%u", n + 1);
	aml_device(a, name);
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0501");
	aml_name(a, "_UID");
	aml_int(a, n + 1);
	aml_name(a, "_CRS");
	aml_crs(a, &crs);
	aml_end(a);
	buf_fini(&crs);
}

int
acpi_put_ssdt(const struct acpi_desc *d, struct tables *t, uint32_t *ret_at)
{
	struct buf *b = tables_data(t, ACPI_BLOB_TABLES);
	uint32_t at = acpi_begin(b, "SSDT", 2);
	struct aml a;

	aml_init(&a, b);
	aml_scope(&a, "\\_SB");
	aml_name(&a, "LADR");
	aml_int(&a, d->lpc_adr);
	put_cpus(&a, d);
	if (d->ecam_base != 0)
		put_ecam(&a, d);
	if (d->fw_cfg)
		put_fw_cfg(&a);
	for (unsigned i = 1; i < d->buses->n; i++)
		put_root(&a, &d->buses->bus[i]);
	aml_end(&a);

	aml_scope(&a, "\\_SB.PCI0");
	put_root_crs(&a, &d->buses->bus[0]);
	put_prt(&a, &d->buses->bus[0]);
	aml_end(&a);

	aml_scope(&a, "\\_SB.PCI0.LPC");
	for (unsigned n = 0; n < 4; n++) {
		if (d->com[n])
			put_com(&a, n);
	}
	aml_end(&a);
	acpi_end(t, at);
	*ret_at = at;
	return aml_error(&a);
}
