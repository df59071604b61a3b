/*
 * The ACPI tables of a machine, from a description that needs no machine.
 */
#ifndef BOOT_ACPI_H
#define BOOT_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/boot.h"
#include "boot/buses.h"
#include "boot/tables.h"

struct acpi_desc {
	const struct cpu_topology *topo;
	uint64_t ecam_base; /* 0: none */
	const struct boot_buses *buses;
	uint32_t lpc_adr; /* slot << 16 | function of the LPC bridge */
	bool com[4];
	bool fw_cfg;
};

/* Blobs of the set. */
enum { ACPI_BLOB_RSDP, ACPI_BLOB_TABLES, ACPI_BLOB_FACS };

/* Largest size of all tables together (4096 CPUs take 300 KiB). */
#define ACPI_TABLES_MAX (1024 * 1024)

/* buses: room for what ret points to. */
void acpi_describe(const struct boot_machine *bm, struct boot_buses *buses,
    struct acpi_desc *ret);
/* t is initialised here; tables_fini() in any case. */
int acpi_build(const struct acpi_desc *d, struct tables *t, struct error *err);

/* Place and apply t: the tables at the top of low RAM, RSDP and FACS below. */
int acpi_place(struct vm_mem *mem, struct tables *t, struct boot_acpi *ret,
    struct error *err);

/* Size of the common header; its fields (ACPI 6.5, table 5.4). */
#define ACPI_HEADER_SIZE 36
#define ACPI_LENGTH_OFF 4
#define ACPI_CHECKSUM_OFF 9

/* Begin a table: its offset in b. acpi_end() sets the length. */
uint32_t acpi_begin(struct buf *b, const char sig[4], uint8_t revision);
void acpi_end(struct tables *t, uint32_t at);

/* The constant namespace, as iasl compiled it. */
extern const uint8_t *const acpi_dsdt;
extern const size_t acpi_dsdt_size;
/* The variable one; where it begins. */
int
acpi_put_ssdt(const struct acpi_desc *d, struct tables *t, uint32_t *ret_at);

#endif
