/*
 * Tables for a firmware: it allocates memory for the blobs, fills in the
 * pointers as the loader's commands say, and hands them on. File names and
 * formats are QEMU's (docs/specs/fw_cfg.rst, docs/specs/acpi_*.rst), which
 * OVMF and SeaBIOS look for.
 */
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "boot/acpi.h"
#include "boot/boot.h"
#include "boot/buses.h"
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

/* ---- what is no table ---- */

/* SeaBIOS takes COM1 for its screen when there is no graphics. */
static int
add_items(const struct boot_machine *bm, struct error *err)
{
	uint16_t cpus = (uint16_t)bm->topo->cpus;
	struct fw_cfg *fw = bm->fw_cfg;
	int rc = fw_cfg_add_u16(fw, FW_CFG_NB_CPUS, cpus);

	if (rc == 0)
		rc = fw_cfg_add_u16(fw, FW_CFG_MAX_CPUS, cpus);
	if (rc == 0)
		rc = fw_cfg_add_u16(
		    fw, FW_CFG_NOGRAPHIC, lpc_com_present(bm->config, 0));
	if (rc == 0)
		rc = fw_cfg_add_u64(
		    fw, FW_CFG_RAM_SIZE, vm_mem_size(vm_mem(bm->vm)));
	if (rc == 0)
		rc = fw_cfg_add_item(
		    fw, FW_CFG_UUID, bm->uuid, sizeof(bm->uuid));
	return rc == 0 ? 0 : error_sys(err, -rc, "fw_cfg");
}

/* How many root bridges there are beside bus 0's. */
static int
add_roots(const struct boot_machine *bm, struct error *err)
{
	struct boot_buses buses;
	uint8_t n[8];

	boot_buses_find(bm->pci, &buses);
	if (buses.n == 1)
		return 0;
	store_le64(n, buses.n - 1);
	return add_file(bm, "etc/extra-pci-roots", n, sizeof(n), err);
}

/*
 * OpenFirmware's path of a device, as both firmwares match it: SeaBIOS by the
 * beginning, OVMF by the whole.
 */
static const struct {
	const char *device, *unit, *below;
} of_names[] = {
	{ "ahci", "pci8086,2922", "" },
	{ "nvme", "pci8086,5845", "/namespace@1,0" },
	{ "virtio-blk", "scsi", "/disk@0,0" },
};

/* Ports of a SATA controller are drives below it. */
#define NO_PORT (-1)
#define PORTS 32

static int
add_path(const struct boot_machine *bm, struct pci_addr addr, int port,
    struct buf *b)
{
	const char *device;
	char key[40], bus[8] = "", func[4] = "", drive[24] = "";

	str_format(key, sizeof(key), "pci.%u.%u.%u.device", addr.bus, addr.slot,
	    addr.func);
	device = config_get_raw(bm->config, key);
	if (addr.bus != 0)
		str_format(bus, sizeof(bus), ",%x", addr.bus);
	if (addr.func != 0)
		str_format(func, sizeof(func), ",%x", addr.func);
	if (port != NO_PORT)
		str_format(
		    drive, sizeof(drive), "/drive@%x/disk@0", (unsigned)port);
	for (size_t i = 0; device != NULL && i < ARRAY_LEN(of_names); i++) {
		if (strcmp(of_names[i].device, device) != 0)
			continue;
		return buf_printf(b, "%s/pci@i0cf8%s/%s@%x%s%s%s",
		    b->len > 0 ? "\n" : "", bus, of_names[i].unit, addr.slot,
		    func, of_names[i].below, drive);
	}
	return 0;
}

/* The place of the device, or of one on its port, in the boot order, or -1. */
static int
boot_index(const struct boot_machine *bm, struct pci_addr addr, int port)
{
	const char *text;
	uint64_t v;
	char key[48], sub[16] = "";

	if (port != NO_PORT)
		str_format(sub, sizeof(sub), "port.%d.", port);
	str_format(key, sizeof(key), "pci.%u.%u.%u.%sbootindex", addr.bus,
	    addr.slot, addr.func, sub);
	text = config_get_raw(bm->config, key);
	return text != NULL && str_to_u64(text, 0, UINT8_MAX, &v) == 0 ? (int)v
								       : -1;
}

struct boot_entry {
	struct pci_addr addr;
	int port, index;
};

/* All that have a place in the order, by slot and port. */
static int
find_entries(const struct boot_machine *bm, struct buf *ret)
{
	struct pci_dev *pd = NULL;
	int rc = 0;

	while ((pd = pci_bus_next(bm->pci, pd)) != NULL)
		for (int n = NO_PORT; n < PORTS && rc >= 0; n++) {
			struct boot_entry e = { pci_dev_addr(pd), n,
				boot_index(bm, pci_dev_addr(pd), n) };

			if (e.index >= 0)
				rc = buf_append(ret, &e, sizeof(e));
		}
	return rc;
}

/* Lines of paths, best first; equal ones as they were found. */
static int
add_bootorder(const struct boot_machine *bm, struct error *err)
{
	struct buf b, list;
	int rc;

	buf_init(&b, 64 * KiB);
	buf_init(&list, 64 * KiB);
	rc = find_entries(bm, &list);
	for (int i = 0; i <= UINT8_MAX; i++)
		for (size_t at = 0; at < list.len && rc >= 0;
		     at += sizeof(struct boot_entry)) {
			struct boot_entry e;

			memcpy(&e, list.data + at, sizeof(e));
			if (e.index == i)
				rc = add_path(bm, e.addr, e.port, &b);
		}
	if (rc >= 0 && b.len > 0)
		rc = buf_append(&b, "", 1); /* OVMF wants the NUL */
	if (rc < 0)
		error_sys(err, -rc, "fw_cfg file bootorder");
	else if (b.len > 0)
		rc = add_file(bm, "bootorder", b.data, b.len, err);
	buf_fini(&b);
	buf_fini(&list);
	return rc;
}

int
boot_fw_cfg_export(const struct boot_machine *bm, bool acpi, struct error *err)
{
	int rc = acpi ? add_acpi(bm, err) : 0;

	if (rc == 0)
		rc = add_smbios(bm, err);
	if (rc == 0)
		rc = add_e820(bm, err);
	if (rc == 0)
		rc = add_states(bm, err);
	if (rc == 0)
		rc = add_items(bm, err);
	if (rc == 0)
		rc = add_roots(bm, err);
	return rc == 0 ? add_bootorder(bm, err) : rc;
}
