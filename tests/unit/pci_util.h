/*
 * What the tests of the PCI core share: a machine with a bridge or two and a
 * device of the tests' own, and the guest's ways to configuration space.
 */
#ifndef UNIT_PCI_UTIL_H
#define UNIT_PCI_UTIL_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "dev/pci/models.h"
#include "dev/pci/pci_internal.h"
#include "fake_vm.h"
#include "tap.h"

#define VENDOR 0x1af4
#define DEVICE 0x1050

/* ---- a device of the test's own ---- */

static struct pci_dev *last; /* the last one built */
static uint64_t bar_value[PCI_NBARS];
static struct {
	unsigned n;
	unsigned idx;
	uint64_t addr;
	bool enabled;
} moved;
static unsigned finis;

static const struct config_key dev_keys[] = {
	{ "bars", CONFIG_UINT, "1", "0..1000", 0, "which set of BARs" },
	{ NULL },
};

static void
on_moved(struct pci_dev *pd, unsigned idx, uint64_t addr, bool enabled)
{
	moved.n++;
	moved.idx = idx;
	moved.addr = addr;
	moved.enabled = enabled;
}

static int
dev_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	uint64_t set;
	int rc = config_get_uint(conf, dev_keys, "bars", &set, err);

	if (rc < 0)
		return rc;
	last = pd;
	pci_set_id(pd, VENDOR, DEVICE, 0x1af4, 0x1100, 1);
	pci_set_class(pd, 0x02, 0x00, 0x00);
	pci_set_bar_moved(pd, on_moved);
	pci_add_intx(pd);
	switch (set) {
	case 0:
		return 0;
	case 1:
		rc = pci_add_bar(pd, 0, PCI_BAR_IO, 20, err);
		if (rc == 0)
			rc = pci_add_bar(pd, 1, PCI_BAR_MEM32, 100, err);
		if (rc == 0)
			rc = pci_add_bar(pd, 2, PCI_BAR_MEM64,
			    pci_msix_bar_size(100) + 0x4000, err);
		if (rc == 0)
			rc = pci_add_msix(pd, 100, 2, 0x4000, err);
		if (rc == 0)
			rc = pci_add_msi(pd, err);
		if (rc == 0 && pci_add_pcie(pd) < 0)
			rc = error_set(err, ENOSPC, "no room for PCIe");
		return rc;
	case 2:
		return pci_add_bar(pd, 0, PCI_BAR_MEM32, 512 << 20, err);
	case 3:
		return pci_add_bar(pd, 0, PCI_BAR_IO, 256, err);
	case 4:
		return pci_add_bar(
		    pd, 0, PCI_BAR_MEM64, UINT64_C(16) << 30, err);
	default:
		return error_set(err, EINVAL, "bars=%d", (int)set);
	}
}

static void
dev_fini(struct pci_dev *pd)
{
	finis++;
}

static uint64_t
dev_read(struct pci_dev *pd, unsigned idx, uint64_t offset, unsigned width)
{
	return (uint64_t)idx << 32 | offset << 8 | width;
}

static void
dev_write(struct pci_dev *pd, unsigned idx, uint64_t offset, unsigned width,
    uint64_t value)
{
	bar_value[idx] = value;
}

static const struct pci_model dev_model = {
	.name = "testdev",
	.alias = "test-alias",
	.help = "test",
	.keys = dev_keys,
	.init = dev_init,
	.fini = dev_fini,
	.bar_read = dev_read,
	.bar_write = dev_write,
};

const struct pci_model *const pci_models[] = { &pci_model_hostbridge,
	&pci_model_amd_hostbridge, &pci_model_lpc, &dev_model, NULL };

/* ---- building ---- */

static struct vm *vm;
static struct pci_bus *pb;
static struct config_node *root;
static struct error err;

static inline void
start(void)
{
	vm = fake_vm_create(64 << 20);
	tap_check(vm != NULL);
	root = config_create();
	tap_check_int(pci_bus_create(vm, &pb, &err), 0);
}

static inline void
finish(void)
{
	pci_bus_destroy(pb);
	config_free(root);
	fake_vm_destroy(vm);
}

static inline int
add(unsigned bus, unsigned slot, unsigned func, const char *device,
    const char *bars)
{
	char path[64];
	struct config_node *node;

	snprintf(path, sizeof(path), "pci.%u.%u.%u", bus, slot, func);
	node = config_make_node(root, path);
	tap_check_int(config_set(node, "device", device, &err), 0);
	if (bars != NULL)
		tap_check_int(config_set(node, "bars", bars, &err), 0);
	return pci_bus_add(pb,
	    (struct pci_addr){ (uint8_t)bus, (uint8_t)slot, (uint8_t)func },
	    node, &err);
}

static inline void
standard(void)
{
	start();
	tap_check_int(add(0, 0, 0, "hostbridge", NULL), 0);
	tap_check_int(add(0, 31, 0, "lpc", NULL), 0);
	tap_check_int(add(0, 4, 0, "testdev", NULL), 0);
	tap_check_int(pci_bus_assign(pb, &err), 0);
}

static inline void
cf8(unsigned slot, unsigned reg)
{
	fake_out(vm, 0xcf8, 4, 0x80000000u | slot << 11 | (reg & 0xfc));
}

static inline uint64_t
cfg_in(unsigned slot, unsigned reg, unsigned width)
{
	cf8(slot, reg);
	return fake_in(vm, (uint16_t)(0xcfc + (reg & 3)), width);
}

static inline void
cfg_out(unsigned slot, unsigned reg, unsigned width, uint64_t v)
{
	cf8(slot, reg);
	fake_out(vm, (uint16_t)(0xcfc + (reg & 3)), width, v);
}

#define ECAM(slot, reg) (MEMMAP_ECAM_BASE + ((uint64_t)(slot) << 15) + (reg))

#endif
