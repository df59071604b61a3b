/*
 * The files that a firmware is given. fw_cfg itself is replaced by a list.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "boot/boot.h"
#include "boot/tables.h"
#include "tap.h"
#include "vmm/memmap.h"

#define MAX_FILES 16

struct fw_cfg {
	unsigned n;
	unsigned fail_at; /* 0 = never */
	struct {
		char name[56];
		struct buf data;
	} file[MAX_FILES];
	unsigned nitems;
	struct {
		uint16_t key;
		uint8_t data[16];
	} item[MAX_FILES];
};

int
fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t n)
{
	if (fw->fail_at != 0 && fw->n + 1 == fw->fail_at)
		return -ENOMEM;
	tap_check(fw->n < MAX_FILES && strlen(name) < 56);
	strcpy(fw->file[fw->n].name, name);
	buf_init(&fw->file[fw->n].data, MiB);
	tap_check_int(buf_append(&fw->file[fw->n].data, data, n), 0);
	fw->n++;
	return 0;
}

int
fw_cfg_add_item(struct fw_cfg *fw, uint16_t key, const void *data, size_t n)
{
	tap_check(fw->nitems < MAX_FILES && n <= sizeof(fw->item[0].data));
	fw->item[fw->nitems].key = key;
	memcpy(fw->item[fw->nitems++].data, data, n);
	return 0;
}

static uint64_t
item(const struct fw_cfg *fw, uint16_t key)
{
	for (unsigned i = 0; i < fw->nitems; i++)
		if (fw->item[i].key == key)
			return load_le64(fw->item[i].data);
	tap_fail("no item %#x", key);
}

static const struct buf *
file(const struct fw_cfg *fw, const char *name)
{
	for (unsigned i = 0; i < fw->n; i++) {
		if (strcmp(fw->file[i].name, name) == 0)
			return &fw->file[i].data;
	}
	tap_fail("no file %s", name);
}

static void
release(struct fw_cfg *fw)
{
	for (unsigned i = 0; i < fw->n; i++)
		buf_fini(&fw->file[i].data);
	fw->n = fw->nitems = 0;
}

/* ---- a machine ---- */

static struct boot_machine bm;
static struct fw_cfg fw;
static struct error err;

static void
make_machine(uint64_t ram)
{
	struct vm_config conf = { .name = "t",
		.mem = { .size = ram, .overcommit = true },
		.topo = { 2, 2, 1, 1 },
		.engine = &engine_kvm };

	memset(&fw, 0, sizeof(fw));
	tap_check_int(vm_create(&conf, &bm.vm, &err), 0);
	tap_check_int(pci_bus_create(bm.vm, &bm.pci, &err), 0);
	bm.config = config_create();
	bm.topo = vm_topology(bm.vm);
	bm.fw_cfg = &fw;
}

static void
drop_machine(void)
{
	pci_bus_destroy(bm.pci);
	vm_destroy(bm.vm);
	config_free((struct config_node *)bm.config);
	release(&fw);
}

static void
all_files_are_there(void)
{
	const struct buf *b;

	make_machine(64 * MiB);
	tap_check_int(boot_fw_cfg_export(&bm, true, &err), 0);
	b = file(&fw, "etc/acpi/rsdp");
	tap_check_mem(b->data, "RSD PTR ", 8);
	b = file(&fw, "etc/acpi/tables");
	tap_check_mem(b->data, "FACP", 4);
	tap_check_mem(file(&fw, "etc/acpi/facs")->data, "FACS", 4);
	b = file(&fw, "etc/table-loader");
	tap_check_u64(b->len % 128, 0);
	tap_check_u64(load_le32(b->data), 1);
	b = file(&fw, "etc/smbios/smbios-anchor");
	tap_check_u64(b->len, 31);
	tap_check_u64(load_le16(b->data + 0x16),
	    file(&fw, "etc/smbios/smbios-tables")->len);
	b = file(&fw, "etc/system-states");
	tap_check_u64(b->len, 6);
	tap_check_u64(b->data[3] & 0x80, 0); /* no S3 */
	tap_check_u64(b->data[5], 0x85);
	tap_check_u64(item(&fw, FW_CFG_NB_CPUS), 2);
	tap_check_u64(item(&fw, FW_CFG_MAX_CPUS), 2);
	tap_check_u64(item(&fw, FW_CFG_RAM_SIZE), 64 * MiB);
	tap_check_u64(item(&fw, FW_CFG_NOGRAPHIC), 0); /* no com1 */
	drop_machine();
}

static void
memory_map_is_all_ram(void)
{
	const struct e820_entry *e;
	const struct buf *b;

	make_machine(64 * MiB);
	tap_check_int(boot_fw_cfg_export(&bm, true, &err), 0);
	b = file(&fw, "etc/e820");
	tap_check_u64(b->len, 2 * sizeof(*e));
	e = (const struct e820_entry *)b->data;
	tap_check_u64(e[0].size, 64 * MiB);
	drop_machine();
	make_machine(4 * GiB);
	tap_check_int(boot_fw_cfg_export(&bm, true, &err), 0);
	b = file(&fw, "etc/e820");
	tap_check_u64(b->len, 3 * sizeof(*e));
	e = (const struct e820_entry *)b->data;
	tap_check_u64(e[0].size + e[2].size, 4 * GiB);
	tap_check_u64(e[2].addr, 4 * GiB);
	drop_machine();
}

static void
a_refused_file_is_named(void)
{
	make_machine(64 * MiB);
	for (fw.fail_at = 1;; fw.fail_at++) {
		int rc = boot_fw_cfg_export(&bm, true, &err);

		release(&fw);
		if (rc == 0)
			break;
		tap_check_int(rc, -ENOMEM);
		tap_check_has(err.text, "cannot add fw_cfg file etc/");
	}
	tap_check_u64(fw.fail_at, 9);
	drop_machine();
}

/*
 * On the bus any device will do: only its place counts. Afterwards the tree
 * says that it is a disk.
 */
static void
add_disk(struct pci_addr addr, const char *bootindex)
{
	struct config_node *root = (struct config_node *)bm.config;
	struct config_node *node;
	char key[64];

	snprintf(
	    key, sizeof(key), "pci.%u.%u.%u", addr.bus, addr.slot, addr.func);
	node = config_make_node(root, key);
	tap_check_int(config_set(node, "device", "virtio-rnd", &err), 0);
	tap_check_int(pci_bus_add(bm.pci, addr, node, &err), 0);
	tap_check_int(config_set(node, "device", "virtio-blk", &err), 0);
	if (bootindex != NULL)
		tap_check_int(
		    config_set(node, "bootindex", bootindex, &err), 0);
}

static void
add_drive(struct pci_addr addr, const char *device, const char *key,
    const char *bootindex)
{
	struct config_node *root = (struct config_node *)bm.config;
	char name[64];

	add_disk(addr, NULL);
	snprintf(name, sizeof(name), "pci.%u.%u.%u.device", addr.bus, addr.slot,
	    addr.func);
	tap_check_int(config_set(root, name, device, &err), 0);
	snprintf(name, sizeof(name), "pci.%u.%u.%u.%s", addr.bus, addr.slot,
	    addr.func, key);
	tap_check_int(config_set(root, name, bootindex, &err), 0);
}

static void
boot_order_and_roots(void)
{
	make_machine(64 * MiB);
	add_disk((struct pci_addr){ 0, 3, 0 }, NULL);
	add_disk((struct pci_addr){ 0, 31, 1 }, "7");
	add_disk((struct pci_addr){ 2, 4, 0 }, "0");
	add_drive(
	    (struct pci_addr){ 0, 5, 2 }, "ahci", "port.11.bootindex", "3");
	add_drive((struct pci_addr){ 0, 6, 0 }, "nvme", "bootindex", "4");
	tap_check_int(boot_fw_cfg_export(&bm, false, &err), 0);
	tap_check_str((const char *)file(&fw, "bootorder")->data,
	    "/pci@i0cf8,2/scsi@4/disk@0,0\n"
	    "/pci@i0cf8/pci8086,2922@5,2/drive@b/disk@0\n"
	    "/pci@i0cf8/pci8086,5845@6/namespace@1,0\n"
	    "/pci@i0cf8/scsi@1f,1/disk@0,0");
	tap_check_u64(load_le64(file(&fw, "etc/extra-pci-roots")->data), 1);
	drop_machine();
}

static const struct tap_test tests[] = {
	TAP_TEST(all_files_are_there),
	TAP_TEST(memory_map_is_all_ram),
	TAP_TEST(boot_order_and_roots),
	TAP_TEST(a_refused_file_is_named),
};
TAP_MAIN(tests)
