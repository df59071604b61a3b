/*
 * The host bridge, usually at 0:0:0.
 *
 * Source: Intel 3 Series Express Chipset Family datasheet (316966), 5.1 (device
 * 0 registers): PCIEXBAR 60h, PAM0-6 90h-96h, SMRAM 9Dh.
 *
 * Its ids decide what firmware believes to stand on: 8086:29c0 is Q35, where
 * the ECAM window obeys PCIEXBAR. Subsystem 1af4:1100 is what SeaBIOS wants to
 * see before it trusts fw_cfg. PAM and SMRAM are storage only: the memory
 * behind them is RAM for reading and writing from the start.
 */
#include <errno.h>

#include "base/str.h"
#include "dev/pci/models.h"
#include "dev/pci/pci_internal.h"
#include "vmm/memmap.h"

#define PCIEXBAR 0x60 /* 64 bits */
#define PCIEXBAR_ENABLE 1u
#define PCIEXBAR_LENGTH_SHIFT 1 /* 0: 256 MiB, 1: 128 MiB, 2: 64 MiB */
#define PAM0 0x90
#define PAM6 0x96
#define SMRAM 0x9d
#define ESMRAMC 0x9e

#define SUBSYS_VENDOR 0x1af4
#define SUBSYS_DEVICE 0x1100

struct bridge_id {
	const char *name;
	uint16_t vendor, device;
};

static const struct bridge_id bridge_ids[] = {
	{ "q35", 0x8086, 0x29c0 },
	{ "i440fx", 0x8086, 0x1237 },
	{ "netapp", 0x1275, 0x1275 },
	{ "amd", 0x1022, 0x7432 },
};
#define BRIDGE_NAMES "q35|i440fx|netapp|amd"

static const struct config_key hostbridge_keys[] = {
	{ "model", CONFIG_ENUM, "q35", BRIDGE_NAMES, 0,
	    "whose identity the bridge has" },
	{ "vendor", CONFIG_UINT, NULL, "0..0xffff", 0, "PCI vendor id" },
	{ "devid", CONFIG_UINT, NULL, "0..0xffff", 0, "PCI device id" },
	{ "pcireg.vendor", CONFIG_UINT, NULL, "0..0xffff", 0, "PCI vendor id" },
	{ "pcireg.device", CONFIG_UINT, NULL, "0..0xffff", 0, "PCI device id" },
	{ NULL },
};

/* The first of the two keys that is set replaces *id. */
static int
id_override(const struct config_node *conf, const char *key, const char *alias,
    uint16_t *id, struct error *err)
{
	uint64_t v;
	int rc = config_get_uint(conf, hostbridge_keys, key, &v, err);

	if (rc == -ENOENT)
		rc = config_get_uint(conf, hostbridge_keys, alias, &v, err);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		*id = (uint16_t)v;
	return rc;
}

static void
q35_registers(struct pci_dev *pd)
{
	pci_fix_command(pd, PCI_COMMAND_MEM | PCI_COMMAND_MASTER); /* 5.1.3 */
	pci_cfg_set(
	    pd, PCIEXBAR, 4, (uint32_t)MEMMAP_ECAM_BASE | PCIEXBAR_ENABLE);
	pci_cfg_set_wmask(pd, PCIEXBAR, 4, 0xfc000007);
	pci_cfg_set_wmask(pd, PCIEXBAR + 4, 4, 0x0000000f);
	pci_cfg_set_wmask(pd, PAM0, 1, 0x30);
	for (unsigned r = PAM0 + 1; r <= PAM6; r++)
		pci_cfg_set_wmask(pd, r, 1, 0x33);
	pci_cfg_set(pd, SMRAM, 1, 0x02);
	pci_cfg_set_wmask(pd, SMRAM, 1, 0x70);
	pci_cfg_set_wmask(pd, ESMRAMC, 1, 0x87);
}

/* The 440FX has its PAM bytes elsewhere (datasheet 290549, 3.2.14). */
static void
i440fx_registers(struct pci_dev *pd)
{
	pci_cfg_set_wmask(pd, 0x59, 1, 0x30);
	for (unsigned r = 0x5a; r <= 0x5f; r++)
		pci_cfg_set_wmask(pd, r, 1, 0x33);
	pci_cfg_set(pd, 0x72, 1, 0x02);
	pci_cfg_set_wmask(pd, 0x72, 1, 0x70);
}

static int
bridge_init(struct pci_dev *pd, struct bridge_id id,
    const struct config_node *conf, struct error *err)
{
	int rc;

	rc = id_override(conf, "vendor", "pcireg.vendor", &id.vendor, err);
	if (rc == 0)
		rc = id_override(
		    conf, "devid", "pcireg.device", &id.device, err);
	if (rc < 0)
		return rc;
	pci_set_id(pd, id.vendor, id.device, SUBSYS_VENDOR, SUBSYS_DEVICE, 0);
	pci_set_class(pd, 0x06, 0x00, 0x00);
	if (id.vendor == 0x8086 && id.device == 0x29c0 && pd->addr.bus == 0 &&
	    pd->addr.slot == 0 && pd->addr.func == 0)
		q35_registers(pd);
	else if (id.vendor == 0x8086 && id.device == 0x1237)
		i440fx_registers(pd);
	return 0;
}

static int
hostbridge_init(
    struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	uint64_t which;
	int rc = config_get_uint(conf, hostbridge_keys, "model", &which, err);

	if (rc < 0)
		return rc;
	return bridge_init(pd, bridge_ids[which], conf, err);
}

static int
amd_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	return bridge_init(pd, bridge_ids[3], conf, err);
}

static bool
hostbridge_cfg_write(
    struct pci_dev *pd, unsigned off, unsigned width, uint32_t value)
{
	uint64_t v, size;

	/* Without a writable bit this is no Q35. */
	if (!pci_overlaps(off, width, PCIEXBAR, 8) || pd->wmask[PCIEXBAR] == 0)
		return false;
	pci_cfg_store(pd, off, width, value);
	v = pci_cfg_get(pd, PCIEXBAR, 4) |
	    (uint64_t)pci_cfg_get(pd, PCIEXBAR + 4, 4) << 32;
	size = MEMMAP_ECAM_SIZE >> (v >> PCIEXBAR_LENGTH_SHIFT & 3);
	/* Length 3 is reserved. */
	if ((v & PCIEXBAR_ENABLE) == 0 || size < MEMMAP_ECAM_SIZE / 4)
		size = 0;
	pci_ecam_move(pd->pb, size == 0 ? 0 : v & ~(size - 1), size);
	return true;
}

const struct pci_model pci_model_hostbridge = {
	.name = "hostbridge",
	.help = "host bridge (Q35 unless model= says otherwise)",
	.keys = hostbridge_keys,
	.init = hostbridge_init,
	.cfg_write = hostbridge_cfg_write,
};

const struct pci_model pci_model_amd_hostbridge = {
	.name = "amd_hostbridge",
	.help = "host bridge with AMD's identity",
	.keys = hostbridge_keys,
	.init = amd_init,
	.cfg_write = hostbridge_cfg_write,
};
