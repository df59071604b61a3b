/*
 * SMBIOS structures of a real machine, in the F segment.
 */
#include <string.h>

#include "boot/boot.h"
#include "boot/smbios.h"

/* Entry points are looked for at multiples of 16 from f0000h on. */
#define ENTRY3_ADDR 0xf0000
#define ENTRY2_ADDR 0xf0020
#define TABLES_ADDR 0xf0040

_Static_assert(TABLES_ADDR + SMBIOS_TABLES_MAX <= BOOT_KERNEL,
    "the structures fit below 1 MiB");

int
smbios_place(struct vm_mem *mem, const struct smbios_tables *t)
{
	uint8_t entry3[SMBIOS_ENTRY3_SIZE], entry2[SMBIOS_ENTRY2_SIZE];
	int rc;

	smbios_entry3(t, TABLES_ADDR, entry3);
	smbios_entry2(t, TABLES_ADDR, entry2);
	if ((rc = vm_mem_write(mem, GPA(ENTRY3_ADDR), entry3, sizeof(entry3))) <
		0 ||
	    (rc = vm_mem_write(mem, GPA(ENTRY2_ADDR), entry2, sizeof(entry2))) <
		0)
		return rc;
	return vm_mem_write(mem, GPA(TABLES_ADDR), t->data.data, t->data.len);
}

int
smbios_build_machine(
    const struct boot_machine *bm, struct smbios_tables *ret, struct error *err)
{
	struct vm_mem *mem = vm_mem(bm->vm);
	struct smbios_desc d;
	int rc;

	*ret = (struct smbios_tables){ 0 };
	rc = smbios_read_config(bm->config, &d, err);
	d.topo = bm->topo;
	d.low_ram = vm_mem_low_size(mem);
	d.high_ram = vm_mem_high_size(mem);
	memcpy(d.uuid, bm->uuid, sizeof(d.uuid));
	if (rc == 0)
		rc = smbios_build(&d, ret, err);
	smbios_desc_fini(&d);
	return rc;
}

int
boot_smbios_write(const struct boot_machine *bm, struct error *err)
{
	struct smbios_tables t;
	int rc = smbios_build_machine(bm, &t, err);

	if (rc == 0) {
		rc = smbios_place(vm_mem(bm->vm), &t);
		if (rc < 0)
			error_sys(err, -rc, "cannot write the SMBIOS tables");
	}
	buf_fini(&t.data);
	return rc;
}
