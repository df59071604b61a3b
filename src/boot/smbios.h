/*
 * SMBIOS structures (DSP0134), from a description that needs no machine.
 */
#ifndef BOOT_SMBIOS_H
#define BOOT_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/error.h"
#include "vmm/cpuid.h"
#include "vmm/mem.h"

/* Texts that the configuration gives, in the order of smbios_keys[]. */
enum smbios_text {
	SMBIOS_BIOS_VENDOR,
	SMBIOS_BIOS_VERSION,
	SMBIOS_BIOS_DATE,
	SMBIOS_SYS_MANUFACTURER,
	SMBIOS_SYS_PRODUCT,
	SMBIOS_SYS_VERSION,
	SMBIOS_SYS_SERIAL,
	SMBIOS_SYS_SKU,
	SMBIOS_SYS_FAMILY,
	SMBIOS_BOARD_MANUFACTURER,
	SMBIOS_BOARD_PRODUCT,
	SMBIOS_BOARD_VERSION,
	SMBIOS_BOARD_SERIAL,
	SMBIOS_BOARD_ASSET,
	SMBIOS_BOARD_LOCATION,
	SMBIOS_CHASSIS_MANUFACTURER,
	SMBIOS_CHASSIS_VERSION,
	SMBIOS_CHASSIS_SERIAL,
	SMBIOS_CHASSIS_ASSET,
	SMBIOS_CHASSIS_SKU,
	SMBIOS_TEXTS
};

struct smbios_desc {
	char *text[SMBIOS_TEXTS]; /* NULL or "": not specified */
	uint8_t uuid[16]; /* RFC 4122 byte order */
	const struct cpu_topology *topo;
	uint64_t low_ram, high_ram; /* bytes below and above 4 GiB */
};

/* Read the texts from the tree and check them; smbios_desc_fini() in any case.
 */
int smbios_read_config(
    const struct config_node *root, struct smbios_desc *ret, struct error *err);
void smbios_desc_fini(struct smbios_desc *d);

#define SMBIOS_TABLES_MAX (48 * 1024)
struct smbios_tables {
	struct buf data; /* all structures, end marker included */
	unsigned count;
	unsigned largest; /* bytes of the largest structure */
};
/* ret is initialised here; buf_fini(&ret->data) in any case. */
int smbios_build(
    const struct smbios_desc *d, struct smbios_tables *ret, struct error *err);

/* The same for a whole machine; buf_fini(&ret->data) in any case. */
struct boot_machine;
int smbios_build_machine(const struct boot_machine *bm,
    struct smbios_tables *ret, struct error *err);

/* Entry points for structures at address gpa (5.2.1 and 5.2.2). */
#define SMBIOS_ENTRY3_SIZE 24
#define SMBIOS_ENTRY2_SIZE 31
void smbios_entry3(const struct smbios_tables *t, uint64_t gpa,
    uint8_t ret[SMBIOS_ENTRY3_SIZE]);
void smbios_entry2(const struct smbios_tables *t, uint32_t gpa,
    uint8_t ret[SMBIOS_ENTRY2_SIZE]);

/* Entry points and structures into the F segment. */
int smbios_place(struct vm_mem *mem, const struct smbios_tables *t);

#endif
