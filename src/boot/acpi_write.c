/*
 * ACPI tables of a real machine, placed in guest memory by ourselves.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "boot/acpi.h"
#include "vmm/memmap.h"

#define RSDP_ADDR BOOT_TABLES
#define FACS_ADDR (BOOT_TABLES + 0x40)
#define LPC_DEFAULT_ADR 0x1f0000 /* where Q35 has it */

void
acpi_describe(const struct boot_machine *bm, struct boot_buses *buses,
    struct acpi_desc *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->topo = bm->topo;
	ret->ecam_base = pci_bus_ecam_base(bm->pci);
	boot_buses_find(bm->pci, buses);
	ret->buses = buses;
	ret->lpc_adr = LPC_DEFAULT_ADR;
	for (struct pci_dev *pd = pci_bus_next(bm->pci, NULL); pd != NULL;
	     pd = pci_bus_next(bm->pci, pd)) {
		struct pci_addr addr = pci_dev_addr(pd);

		if (strcmp(pci_dev_model(pd)->name, "lpc") == 0)
			ret->lpc_adr = (uint32_t)addr.slot << 16 | addr.func;
	}
	for (unsigned n = 0; n < ARRAY_LEN(ret->com); n++)
		ret->com[n] = lpc_com_present(bm->config, n);
	ret->fw_cfg = bm->fw_cfg != NULL;
}

int
acpi_place(struct vm_mem *mem, struct tables *t, struct boot_acpi *ret,
    struct error *err)
{
	uint64_t low = vm_mem_low_size(mem);
	uint64_t size =
	    ROUND_UP(tables_data(t, ACPI_BLOB_TABLES)->len, PAGE_SIZE_4K);
	int rc = 0;

	if (low < BOOT_KERNEL + size)
		return error_set(err, ENOMEM,
		    "memory.size: %llu KiB leave no room for %llu KiB of ACPI "
		    "tables above 1 MiB; give the machine 2M or more",
		    (unsigned long long)(low / KiB),
		    (unsigned long long)(size / KiB));
	ret->base = ROUND_DOWN(low - size, PAGE_SIZE_4K);
	ret->size = low - ret->base;
	ret->rsdp = GPA(RSDP_ADDR);
	t->blob[ACPI_BLOB_RSDP].gpa = RSDP_ADDR;
	t->blob[ACPI_BLOB_FACS].gpa = FACS_ADDR;
	t->blob[ACPI_BLOB_TABLES].gpa = ret->base;
	tables_apply(t);
	for (unsigned i = 0; rc == 0 && i < t->nblobs; i++)
		rc = vm_mem_write(mem, GPA(t->blob[i].gpa),
		    t->blob[i].data.data, t->blob[i].data.len);
	return rc == 0 ? 0
		       : error_sys(err, -rc, "cannot write the ACPI tables");
}

int
boot_acpi_write(
    const struct boot_machine *bm, struct boot_acpi *ret, struct error *err)
{
	struct acpi_desc d;
	struct tables t;
	struct boot_acpi acpi;
	struct boot_buses buses;
	int rc;

	acpi_describe(bm, &buses, &d);
	rc = acpi_build(&d, &t, err);
	if (rc == 0)
		rc = acpi_place(vm_mem(bm->vm), &t, &acpi, err);
	if (rc == 0)
		*ret = acpi;
	tables_fini(&t);
	return rc;
}
