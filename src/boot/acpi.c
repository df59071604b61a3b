/*
 * The fixed-format ACPI tables and the pointers between all of them.
 */
#include "boot/acpi.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "dev/platform.h"
#include "vmm/memmap.h"

#define OEM_ID "ZHYVE "
#define OEM_TABLE_ID "ZHYVEPC "
#define CREATOR_ID "ZHYV"

uint32_t
acpi_begin(struct buf *b, const char sig[4], uint8_t revision)
{
	uint32_t at;

	buf_align(b, 16);
	at = (uint32_t)b->len;
	buf_append(b, sig, 4);
	buf_put_le32(b, 0); /* length: acpi_end() */
	buf_put_u8(b, revision);
	buf_put_u8(b, 0); /* checksum */
	buf_append(b, OEM_ID, 6);
	buf_append(b, OEM_TABLE_ID, 8);
	buf_put_le32(b, 1);
	buf_append(b, CREATOR_ID, 4);
	buf_put_le32(b, 1);
	return at;
}

void
acpi_end(struct tables *t, uint32_t at)
{
	struct buf *b = tables_data(t, ACPI_BLOB_TABLES);
	uint32_t len = (uint32_t)b->len - at;

	if (buf_error(b) < 0)
		return;
	store_le32(b->data + at + ACPI_LENGTH_OFF, len);
	tables_checksum(t, ACPI_BLOB_TABLES, at + ACPI_CHECKSUM_OFF, at, len);
}

/* ---- FADT ---- */

#define FADT_SIZE 276
#define FADT_REVISION 6
#define FADT_MINOR 3

/* Offsets, ACPI 6.5 table 5.9 */
enum {
	FADT_FACS = 36,
	FADT_DSDT = 40,
	FADT_PROFILE = 45,
	FADT_SCI_INT = 46,
	FADT_SMI_CMD = 48,
	FADT_ACPI_ENABLE = 52,
	FADT_ACPI_DISABLE = 53,
	FADT_PM1A_EVT = 56,
	FADT_PM1A_CNT = 64,
	FADT_PM_TMR = 76,
	FADT_GPE0 = 80,
	FADT_PM1_EVT_LEN = 88,
	FADT_PM1_CNT_LEN = 89,
	FADT_PM_TMR_LEN = 91,
	FADT_GPE0_LEN = 92,
	FADT_P_LVL2_LAT = 96,
	FADT_P_LVL3_LAT = 98,
	FADT_CENTURY = 108,
	FADT_BOOT_ARCH = 109,
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116,
	FADT_RESET_VALUE = 128,
	FADT_MINOR_VERSION = 131,
	FADT_X_FACS = 132,
	FADT_X_DSDT = 140,
	FADT_X_PM1A_EVT = 148,
	FADT_X_PM1A_CNT = 172,
	FADT_X_PM_TMR = 208,
	FADT_X_GPE0 = 220,
	FADT_HYPERVISOR = 268,
};

#define PROFILE_SERVER 4
#define CMOS_CENTURY 0x32
#define NO_C2 101 /* > 100 and > 1000 microseconds: */
#define NO_C3 1001 /* these states do not exist */

/* Table 5.11: ISA devices are there, no VGA; no 8042 (bit 1), so that guests do
 * not look for it; the RTC is there (bit 5 clear); ASPM is not the guest's. */
#define BOOT_LEGACY_DEVICES 0x0001
#define BOOT_NO_VGA 0x0004
#define BOOT_NO_ASPM 0x0010

/* Table 5.10 */
#define FLAG_WBINVD (1u << 0)
#define FLAG_PROC_C1 (1u << 2)
#define FLAG_NO_SLEEP_BUTTON (1u << 5) /* the power button is a fixed event */
#define FLAG_NO_FIXED_RTC (1u << 6)
#define FLAG_RESET_REG (1u << 10)
#define FLAG_HEADLESS (1u << 12)

enum gas_access { GAS_BYTE = 1, GAS_WORD = 2, GAS_DWORD = 3 };

/* 5.2.3.2: generic address in I/O space */
static void
set_gas(uint8_t *p, unsigned bits, enum gas_access access, uint16_t port)
{
	p[0] = 1;
	p[1] = (uint8_t)bits;
	p[2] = 0;
	p[3] = (uint8_t)access;
	store_le64(p + 4, port);
}

static void
fill_pm_blocks(uint8_t *f)
{
	store_le32(f + FADT_PM1A_EVT, PORT_PMBASE + PM1A_EVT_OFF);
	store_le32(f + FADT_PM1A_CNT, PORT_PMBASE + PM1A_CNT_OFF);
	store_le32(f + FADT_PM_TMR, PORT_PMBASE + PM_TMR_OFF);
	store_le32(f + FADT_GPE0, PORT_PMBASE + PM_GPE0_OFF);
	f[FADT_PM1_EVT_LEN] = 4;
	f[FADT_PM1_CNT_LEN] = 2;
	f[FADT_PM_TMR_LEN] = 4;
	f[FADT_GPE0_LEN] = PM_GPE0_LEN;
	set_gas(f + FADT_X_PM1A_EVT, 32, GAS_WORD, PORT_PMBASE + PM1A_EVT_OFF);
	set_gas(f + FADT_X_PM1A_CNT, 16, GAS_WORD, PORT_PMBASE + PM1A_CNT_OFF);
	set_gas(f + FADT_X_PM_TMR, 32, GAS_DWORD, PORT_PMBASE + PM_TMR_OFF);
	set_gas(f + FADT_X_GPE0, PM_GPE0_LEN * 8, GAS_BYTE,
	    PORT_PMBASE + PM_GPE0_OFF);
}

static void
fill_fadt(uint8_t *f)
{
	f[FADT_PROFILE] = PROFILE_SERVER;
	store_le16(f + FADT_SCI_INT, GSI_SCI);
	store_le32(f + FADT_SMI_CMD, PORT_SMI_CMD);
	f[FADT_ACPI_ENABLE] = PM_ACPI_ENABLE;
	f[FADT_ACPI_DISABLE] = PM_ACPI_DISABLE;
	fill_pm_blocks(f);
	store_le16(f + FADT_P_LVL2_LAT, NO_C2);
	store_le16(f + FADT_P_LVL3_LAT, NO_C3);
	f[FADT_CENTURY] = CMOS_CENTURY;
	store_le16(f + FADT_BOOT_ARCH,
	    BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_ASPM);
	store_le32(f + FADT_FLAGS,
	    FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_SLEEP_BUTTON |
		FLAG_NO_FIXED_RTC | FLAG_RESET_REG | FLAG_HEADLESS);
	set_gas(f + FADT_RESET_REG, 8, GAS_BYTE, PORT_RESET);
	f[FADT_RESET_VALUE] = PORT_RESET_VALUE;
	f[FADT_MINOR_VERSION] = FADT_MINOR;
	memcpy(f + FADT_HYPERVISOR, "zhyve\0\0", 8);
}

static uint32_t
put_fadt(struct tables *t)
{
	struct buf *b = tables_data(t, ACPI_BLOB_TABLES);
	uint32_t at = acpi_begin(b, "FACP", FADT_REVISION);

	if (buf_append_zero(b, FADT_SIZE - ACPI_HEADER_SIZE) < 0)
		return at;
	fill_fadt(b->data + at);
	store_le32(b->data + at + ACPI_LENGTH_OFF, FADT_SIZE);
	return at;
}

static void
link_fadt(struct tables *t, uint32_t at, uint32_t dsdt)
{
	tables_pointer(
	    t, ACPI_BLOB_TABLES, at + FADT_FACS, 4, ACPI_BLOB_FACS, 0);
	tables_pointer(
	    t, ACPI_BLOB_TABLES, at + FADT_X_FACS, 8, ACPI_BLOB_FACS, 0);
	tables_pointer(
	    t, ACPI_BLOB_TABLES, at + FADT_DSDT, 4, ACPI_BLOB_TABLES, dsdt);
	tables_pointer(
	    t, ACPI_BLOB_TABLES, at + FADT_X_DSDT, 8, ACPI_BLOB_TABLES, dsdt);
	tables_checksum(
	    t, ACPI_BLOB_TABLES, at + ACPI_CHECKSUM_OFF, at, FADT_SIZE);
}

/* iasl has set its length and checksum. */
static uint32_t
put_dsdt(struct tables *t)
{
	struct buf *b = tables_data(t, ACPI_BLOB_TABLES);
	uint32_t at;

	buf_align(b, 16);
	at = (uint32_t)b->len;
	buf_append(b, acpi_dsdt, acpi_dsdt_size);
	return at;
}

/* 5.2.10; version 2 is the newest, it has no checksum. */
static void
put_facs(struct tables *t)
{
	struct buf *b = tables_data(t, ACPI_BLOB_FACS);

	buf_append(b, "FACS", 4);
	buf_put_le32(b, 64);
	buf_append_zero(b, 24);
	buf_put_u8(b, 2);
	buf_append_zero(b, 31);
}

/* ---- MADT ---- */

#define MADT_PCAT_COMPAT 1 /* the two 8259 are there */
#define MADT_CPU_ENABLED 1
#define IRQ_ACTIVE_HIGH 0x1
#define IRQ_EDGE 0x4
#define IRQ_LEVEL 0xc
#define ALL_CPUS8 0xff
#define ALL_CPUS32 0xffffffff

/* 5.2.12.2 and 5.2.12.12: 8-bit numbers where they fit. */
static bool
put_madt_cpu(struct buf *b, uint32_t uid, uint32_t apic_id)
{
	if (uid < 255 && apic_id < 255) {
		buf_put_le16(b, 8 << 8 | 0);
		buf_put_u8(b, (uint8_t)uid);
		buf_put_u8(b, (uint8_t)apic_id);
		buf_put_le32(b, MADT_CPU_ENABLED);
		return false;
	}
	buf_put_le16(b, 16 << 8 | 9);
	buf_put_le16(b, 0);
	buf_put_le32(b, apic_id);
	buf_put_le32(b, MADT_CPU_ENABLED);
	buf_put_le32(b, uid);
	return true;
}

/* 5.2.12.5: ISA interrupt irq is on gsi. */
static void
put_override(struct buf *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	buf_put_le16(b, 10 << 8 | 2);
	buf_put_u8(b, 0);
	buf_put_u8(b, irq);
	buf_put_le32(b, gsi);
	buf_put_le16(b, flags);
}

/* 5.2.12.7 and 5.2.12.13: NMI is on LINT1 of every CPU. */
static void
put_nmi(struct buf *b, bool x2apic)
{
	buf_put_le16(b, 6 << 8 | 4);
	buf_put_u8(b, ALL_CPUS8);
	buf_put_le16(b, IRQ_ACTIVE_HIGH | IRQ_EDGE);
	buf_put_u8(b, 1);
	if (!x2apic)
		return;
	buf_put_le16(b, 12 << 8 | 10);
	buf_put_le16(b, IRQ_ACTIVE_HIGH | IRQ_EDGE);
	buf_put_le32(b, ALL_CPUS32);
	buf_put_u8(b, 1);
	buf_append_zero(b, 3);
}

static uint32_t
put_madt(const struct acpi_desc *d, struct tables *t)
{
	struct buf *b = tables_data(t, ACPI_BLOB_TABLES);
	uint32_t at = acpi_begin(b, "APIC", 5);
	bool x2apic = false;

	buf_put_le32(b, (uint32_t)MEMMAP_LAPIC);
	buf_put_le32(b, MADT_PCAT_COMPAT);
	for (unsigned i = 0; i < d->topo->cpus; i++)
		x2apic |= put_madt_cpu(b, i, topology_apic_id(d->topo, i));
	/* 5.2.12.3: I/O APIC 0, its pins are GSIs 0-23 */
	buf_put_le16(b, 12 << 8 | 1);
	buf_put_le16(b, 0);
	buf_put_le32(b, (uint32_t)MEMMAP_IOAPIC);
	buf_put_le32(b, 0);
	put_override(b, 0, 2, 0);
	put_override(b, GSI_SCI, GSI_SCI, IRQ_ACTIVE_HIGH | IRQ_LEVEL);
	put_nmi(b, x2apic);
	acpi_end(t, at);
	return at;
}

/* ---- small ones ---- */

/* PCI Firmware Specification 3.3, table 4-3 */
static uint32_t
put_mcfg(const struct acpi_desc *d, struct tables *t)
{
	struct buf *b = tables_data(t, ACPI_BLOB_TABLES);
	uint32_t at = acpi_begin(b, "MCFG", 1);

	buf_append_zero(b, 8);
	buf_put_le64(b, d->ecam_base);
	buf_put_le16(b, 0); /* segment */
	buf_put_u8(b, 0);
	buf_put_u8(b, 255);
	buf_append_zero(b, 4);
	acpi_end(t, at);
	return at;
}

/* Microsoft: Serial Port Console Redirection Table, revision 2 */
static uint32_t
put_spcr(struct tables *t)
{
	struct buf *b = tables_data(t, ACPI_BLOB_TABLES);
	uint32_t at = acpi_begin(b, "SPCR", 2);
	uint8_t gas[12];

	set_gas(gas, 8, GAS_BYTE, lpc_com_ports[0].port);
	buf_put_le32(b, 0); /* full 16550 */
	buf_append(b, gas, sizeof(gas));
	buf_put_u8(b, 3); /* on the PIC and on the I/O APIC: */
	buf_put_u8(b, (uint8_t)lpc_com_ports[0].gsi);
	buf_put_le32(b, lpc_com_ports[0].gsi);
	buf_put_u8(b, 7); /* 115200 */
	buf_put_u8(b, 0); /* no parity */
	buf_put_u8(b, 1); /* 1 stop bit */
	buf_put_u8(b, 0); /* no flow control */
	buf_put_u8(b, 3); /* ANSI terminal */
	buf_put_u8(b, 0);
	buf_put_le32(b, UINT32_MAX); /* not a PCI device */
	buf_append_zero(b, 12);
	acpi_end(t, at);
	return at;
}

/*
 * Microsoft: Windows ACPI Emulated Devices Table. Neither the RTC nor the PM
 * timer needs the workarounds for real chips.
 */
static uint32_t
put_waet(struct tables *t)
{
	uint32_t at = acpi_begin(tables_data(t, ACPI_BLOB_TABLES), "WAET", 1);

	buf_put_le32(tables_data(t, ACPI_BLOB_TABLES), 3);
	acpi_end(t, at);
	return at;
}

/* ---- roots ---- */

#define ROOT_MAX 8
struct roots {
	unsigned n;
	uint32_t at[ROOT_MAX];
};

static void
add_root(struct roots *r, uint32_t at)
{
	r->at[r->n++] = at;
}

/* 5.2.7, 5.2.8: RSDT with 4-byte and XSDT with 8-byte pointers */
static uint32_t
put_root_table(
    struct tables *t, const struct roots *r, const char *sig, uint8_t size)
{
	struct buf *b = tables_data(t, ACPI_BLOB_TABLES);
	uint32_t at = acpi_begin(b, sig, 1);

	buf_append_zero(b, (size_t)r->n * size);
	for (unsigned i = 0; i < r->n; i++)
		tables_pointer(t, ACPI_BLOB_TABLES,
		    at + ACPI_HEADER_SIZE + i * size, size, ACPI_BLOB_TABLES,
		    r->at[i]);
	acpi_end(t, at);
	return at;
}

/* 5.2.5.3 */
static void
put_rsdp(struct tables *t, uint32_t rsdt, uint32_t xsdt)
{
	struct buf *b = tables_data(t, ACPI_BLOB_RSDP);

	buf_append(b, "RSD PTR ", 8);
	buf_put_u8(b, 0); /* checksum of the first 20 bytes */
	buf_append(b, OEM_ID, 6);
	buf_put_u8(b, 2); /* revision */
	buf_put_le32(b, 0);
	buf_put_le32(b, 36);
	buf_put_le64(b, 0);
	buf_append_zero(b, 4); /* checksum of all, reserved */
	tables_pointer(t, ACPI_BLOB_RSDP, 16, 4, ACPI_BLOB_TABLES, rsdt);
	tables_pointer(t, ACPI_BLOB_RSDP, 24, 8, ACPI_BLOB_TABLES, xsdt);
	tables_checksum(t, ACPI_BLOB_RSDP, 8, 0, 20);
	tables_checksum(t, ACPI_BLOB_RSDP, 32, 0, 36);
}

static void
add_blobs(struct tables *t)
{
	tables_init(t);
	tables_add_blob(t, "etc/acpi/rsdp", BLOB_FSEG, 16, 64);
	tables_add_blob(t, "etc/acpi/tables", BLOB_HIGH, 64, ACPI_TABLES_MAX);
	/* Beside the RSDP, in memory that a guest never takes as its own. */
	tables_add_blob(t, "etc/acpi/facs", BLOB_FSEG, 64, 64);
}

int
acpi_build(const struct acpi_desc *d, struct tables *t, struct error *err)
{
	struct roots roots = { 0 };
	uint32_t fadt, rsdt, xsdt, ssdt = 0;
	int rc;

	add_blobs(t);
	put_facs(t);
	fadt = put_fadt(t);
	add_root(&roots, fadt);
	rc = acpi_put_ssdt(d, t, &ssdt);
	add_root(&roots, ssdt);
	add_root(&roots, put_madt(d, t));
	if (d->ecam_base != 0)
		add_root(&roots, put_mcfg(d, t));
	if (d->com[0])
		add_root(&roots, put_spcr(t));
	add_root(&roots, put_waet(t));
	rsdt = put_root_table(t, &roots, "RSDT", 4);
	xsdt = put_root_table(t, &roots, "XSDT", 8);
	put_rsdp(t, rsdt, xsdt);
	/* Last, so that a newer iasl moves no other table. */
	link_fadt(t, fadt, put_dsdt(t));
	if (rc == 0)
		rc = tables_error(t);
	return rc == 0 ? 0
		       : error_sys(err, -rc, "cannot build the ACPI tables");
}
