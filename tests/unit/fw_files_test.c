/*
 * The files that a firmware is given. fw_cfg itself is replaced by a list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	fw->n = 0;
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
	tap_check_int(boot_fw_cfg_export(&bm, &err), 0);
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
	drop_machine();
}

static void
memory_map_is_all_ram(void)
{
	const struct e820_entry *e;
	const struct buf *b;

	make_machine(64 * MiB);
	tap_check_int(boot_fw_cfg_export(&bm, &err), 0);
	b = file(&fw, "etc/e820");
	tap_check_u64(b->len, 2 * sizeof(*e));
	e = (const struct e820_entry *)b->data;
	tap_check_u64(e[0].size, 64 * MiB);
	drop_machine();
	make_machine(4 * GiB);
	tap_check_int(boot_fw_cfg_export(&bm, &err), 0);
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
		int rc = boot_fw_cfg_export(&bm, &err);

		release(&fw);
		if (rc == 0)
			break;
		tap_check_int(rc, -ENOMEM);
		tap_check_has(err.text, "cannot add fw_cfg file etc/");
	}
	tap_check_u64(fw.fail_at, 9);
	drop_machine();
}

static const struct tap_test tests[] = {
	TAP_TEST(all_files_are_there),
	TAP_TEST(memory_map_is_all_ram),
	TAP_TEST(a_refused_file_is_named),
};
TAP_MAIN(tests)
