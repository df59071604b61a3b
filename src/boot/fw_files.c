/*
 * Tables for a firmware: it allocates memory for the blobs, fills in the
 * pointers as the loader's commands say, and hands them on. File names and
 * formats are QEMU's (docs/specs/fw_cfg.rst, docs/specs/acpi_*.rst), which
 * OVMF and SeaBIOS look for.
 */
#include "base/str.h"
#include "boot/acpi.h"
#include "boot/boot.h"
#include "boot/smbios.h"
#include "dev/platform.h"
#include "vmm/memmap.h"

static int
add_file(const struct boot_machine *bm, const char *name, const void *data,
    size_t n, struct error *err)
{
	int rc = fw_cfg_add_file(bm->fw_cfg, name, data, n);

	return rc == 0 ? 0
		       : error_sys(err, -rc, "cannot add fw_cfg file %s", name);
}

static int
add_acpi(const struct boot_machine *bm, struct error *err)
{
	struct boot_buses buses;
	struct acpi_desc d;
	struct tables t;
	struct buf loader;
	int rc;

	acpi_describe(bm, &buses, &d);
	buf_init(&loader, ACPI_TABLES_MAX);
	rc = acpi_build(&d, &t, err);
	if (rc == 0 && (rc = tables_loader(&t, &loader)) < 0)
		error_sys(err, -rc, "cannot build etc/table-loader");
	for (unsigned i = 0; rc == 0 && i < t.nblobs; i++)
		rc = add_file(bm, t.blob[i].file, t.blob[i].data.data,
		    t.blob[i].data.len, err);
	if (rc == 0)
		rc = add_file(
		    bm, "etc/table-loader", loader.data, loader.len, err);
	tables_fini(&t);
	buf_fini(&loader);
	return rc;
}

/*
 * The 2.8 entry point: both firmwares know it, also old builds, and set its
 * address themselves.
 */
static int
add_smbios(const struct boot_machine *bm, struct error *err)
{
	uint8_t anchor[SMBIOS_ENTRY2_SIZE];
	struct smbios_tables t;
	int rc = smbios_build_machine(bm, &t, err);

	if (rc == 0) {
		smbios_entry2(&t, 0, anchor);
		rc = add_file(bm, "etc/smbios/smbios-anchor", anchor,
		    sizeof(anchor), err);
	}
	if (rc == 0)
		rc = add_file(bm, "etc/smbios/smbios-tables", t.data.data,
		    t.data.len, err);
	buf_fini(&t.data);
	return rc;
}

/* All RAM: the firmware takes out of it what it reserves for itself. */
static int
add_e820(const struct boot_machine *bm, struct error *err)
{
	struct vm_mem *mem = vm_mem(bm->vm);
	uint64_t high = vm_mem_high_size(mem);
	struct e820_entry map[] = {
		{ 0, vm_mem_low_size(mem), E820_RAM },
		{ MEMMAP_KVM_IDENTITY, 4 * PAGE_SIZE_4K, E820_RESERVED },
		{ MEMMAP_HIGH_RAM, high, E820_RAM },
	};
	size_t n = ARRAY_LEN(map) - (high == 0);

	return add_file(bm, "etc/e820", map, n * sizeof(map[0]), err);
}

/* A byte per S-state: bit 7 it exists, bits 0-2 its SLP_TYPa. */
#define STATE_EXISTS 0x80

static int
add_states(const struct boot_machine *bm, struct error *err)
{
	static const uint8_t states[6] = { STATE_EXISTS, 0, 0, 0, 0,
		STATE_EXISTS | PM_S5_TYP };

	return add_file(bm, "etc/system-states", states, sizeof(states), err);
}

int
boot_fw_cfg_export(const struct boot_machine *bm, struct error *err)
{
	int rc = add_acpi(bm, err);

	if (rc == 0)
		rc = add_smbios(bm, err);
	if (rc == 0)
		rc = add_e820(bm, err);
	return rc == 0 ? add_states(bm, err) : rc;
}
