/*
 * The PCI core under a guest that does anything to configuration space, ECAM,
 * the chipset's registers and a BAR with an MSI-X table, while the device sends
 * interrupts.
 *
 * An operation: opcode (bits 0-1 width, 2 write, 3-5 what), 16 bits of address,
 * the data of a write.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "dev/pci/models.h"
#include "dev/pci/pci_internal.h"
#include "fake_vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* ---- a device with one of everything ---- */

static int
dev_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	int rc;

	pci_set_id(pd, 0x1af4, 0x1050, 0x1af4, 0x1100, 1);
	pci_set_class(pd, 0x02, 0x00, 0x00);
	pci_add_intx(pd);
	rc = pci_add_bar(pd, 0, PCI_BAR_IO, 32, err);
	if (rc == 0)
		rc = pci_add_bar(pd, 1, PCI_BAR_MEM32, 4096, err);
	if (rc == 0)
		rc = pci_add_bar(
		    pd, 2, PCI_BAR_MEM64, pci_msix_bar_size(70), err);
	if (rc == 0)
		rc = pci_add_msix(pd, 70, 2, 0, err);
	if (rc == 0)
		rc = pci_add_msi(pd, err);
	if (rc == 0 && pci_add_pcie(pd) < 0)
		rc = -ENOSPC;
	return rc;
}

static const struct pci_model dev_model = {
	.name = "fuzzdev",
	.init = dev_init,
};

const struct pci_model *const pci_models[] = { &pci_model_hostbridge,
	&pci_model_lpc, &dev_model, NULL };

static struct pci_dev *
add(struct pci_bus *pb, struct config_node *root, const char *path,
    struct pci_addr addr, const char *model)
{
	struct config_node *node = config_make_node(root, path);
	struct error err = ERROR_INIT;

	if (node == NULL || config_set(node, "device", model, &err) < 0 ||
	    pci_bus_add(pb, addr, node, &err) < 0)
		abort();
	return pci_bus_find(pb, addr);
}

static void
access_memory(struct vm *vm, uint64_t addr, uint8_t op, uint64_t v)
{
	unsigned width = 1u << (op & 3);

	if ((op & 4) != 0)
		fake_store(vm, addr, width, v);
	else
		fake_load(vm, addr, width);
}

static void
access_port(struct vm *vm, uint16_t port, uint8_t op, uint64_t v)
{
	unsigned width = (op & 3) == 3 ? 4 : 1u << (op & 3);

	if ((op & 4) != 0)
		fake_out(vm, port, width, v);
	else
		fake_in(vm, port, width);
}

static void
one(struct vm *vm, struct pci_bus *pb, struct pci_dev *pd, uint8_t op,
    unsigned off, uint64_t v)
{
	uint64_t at;

	switch (op >> 3 & 7) {
	case 0:
	case 1:
		access_port(vm, (uint16_t)(0xcf8 + off % 8), op, v);
		break;
	case 2: /* slots 0 and 1 */
	case 3:
		access_memory(vm, pci_bus_ecam_base(pb) + off, op, v);
		break;
	case 4:
		if (pci_bar_addr(pd, 2, &at))
			access_memory(vm, at + off % pd->bar[2].size, op, v);
		break;
	case 5:
		access_port(vm, (uint16_t)off, op, v);
		break;
	case 6:
		pci_msix_send(pd, off & 0x7f);
		pci_msi_send(pd);
		break;
	default:
		pci_intx_set(pd, (off & 1) != 0);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct vm *vm = fake_vm_create(1 << 20);
	struct config_node *root = config_create();
	struct error err = ERROR_INIT;
	struct pci_bus *pb;
	struct pci_dev *pd, *other;

	log_setup(2, LOG_HUMAN, LOG_ERR);
	if (vm == NULL || root == NULL || pci_bus_create(vm, &pb, &err) < 0)
		abort();
	add(pb, root, "pci.0.0.0", (struct pci_addr){ 0, 0, 0 }, "hostbridge");
	pd =
	    add(pb, root, "pci.0.1.0", (struct pci_addr){ 0, 1, 0 }, "fuzzdev");
	other =
	    add(pb, root, "pci.0.1.1", (struct pci_addr){ 0, 1, 1 }, "fuzzdev");
	add(pb, root, "pci.0.1.2", (struct pci_addr){ 0, 1, 2 }, "lpc");
	if (pci_bus_assign(pb, &err) < 0)
		abort();
	for (size_t at = 0; at + 3 <= n;) {
		uint8_t op = data[at];
		unsigned off = data[at + 1] | (unsigned)data[at + 2] << 8;
		uint64_t v = 0;

		at += 3;
		if ((op & 4) != 0) {
			size_t take = MIN(n - at, (size_t)1 << (op & 3));

			memcpy(&v, data + at, take);
			at += take;
		}
		one(vm, pb, (op & 0x80) != 0 ? other : pd, op, off, v);
	}
	pci_bus_destroy(pb);
	config_free(root);
	fake_vm_destroy(vm);
	return 0;
}
