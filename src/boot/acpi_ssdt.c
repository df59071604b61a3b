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

/*
 * 6.2.2: what the root bridge takes and what it passes on. We and OVMF assign
 * 32-bit BARs below MEMMAP_PCI32_END, SeaBIOS right below the I/O APIC.
 */
static void
put_root_crs(struct aml *a, const struct acpi_desc *d)
{
	struct buf crs;

	buf_init(&crs, CRS_MAX);
	crs_bus_window(&crs, 0, 255);
	crs_io(&crs, 0xcf8, 8);
	crs_io_window(&crs, 0, 0xcf7);
	crs_io_window(&crs, 0xd00, MEMMAP_PCI_IO_END - 1);
	crs_mem32_window(
	    &crs, (uint32_t)MEMMAP_PCI32_BASE, (uint32_t)MEMMAP_IOAPIC - 1);
	if (d->mem64_size != 0)
		crs_mem64(&crs, CRS_PRODUCED, d->mem64_base, d->mem64_size);
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
    struct aml *a, const struct acpi_desc *d, const char *name, bool apic)
{
	unsigned n = (unsigned)__builtin_popcount(d->slots);

	aml_name(a, name);
	aml_package(a, 4 * n);
	for (unsigned slot = 0; slot < 32; slot++) {
		if (!(d->slots >> slot & 1))
			continue;
		for (unsigned pin = 0; pin < 4; pin++)
			put_route(a, slot, pin, apic);
	}
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
	aml_end(&a);

	aml_scope(&a, "\\_SB.PCI0");
	put_root_crs(&a, d);
	put_routes(&a, d, "PRTA", true);
	put_routes(&a, d, "PRTP", false);
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
