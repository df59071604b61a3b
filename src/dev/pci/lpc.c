/*
 * The LPC bridge: the way to what is left of the ISA bus.
 *
 * Source: Intel ICH9 datasheet (316972), 13.1: PMBASE 40h, ACPI_CNTL 44h,
 * GPIOBASE 48h, PIRQ[A-D]_ROUT 60h-63h, PIRQ[E-H]_ROUT 68h-6bh, LPC_I/O_DEC
 * 80h, GEN_PMCON A0h, BIOS_CNTL DCh, RCBA F0h.
 *
 * PMBASE and PIRQ routes act, the rest is storage: firmware writes it and reads
 * back what it wrote. The devices behind the bridge are dev/lpc.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "dev/pci/models.h"
#include "dev/pci/pci_internal.h"
#include "dev/platform.h"
#include "vmm/memmap.h"

#define PMBASE 0x40
#define PMBASE_ADDR 0xff80u
#define ACPI_CNTL 0x44
#define ACPI_CNTL_ENABLE 0x80u
#define GPIOBASE 0x48
#define PIRQ_A 0x60
#define PIRQ_E 0x68
#define PIRQ_OFF 0x80u /* not routed to an ISA line */
#define LPC_IO_DEC 0x80
#define LPC_GEN_DEC 0x84
#define GEN_PMCON_1 0xa0
#define GEN_PMCON_3 0xa4
#define BIOS_CNTL 0xdc
#define RCBA 0xf0

static const struct config_key lpc_bridge_keys[] = {
	{ "pcireg.vendor", CONFIG_UINT, "0x8086", "0..0xffff", 0,
	    "PCI vendor id" },
	{ "pcireg.device", CONFIG_UINT, "0x2918", "0..0xffff", 0,
	    "PCI device id" },
	{ "pcireg.revid", CONFIG_UINT, "2", "0..0xff", 0, "PCI revision" },
	{ "pcireg.subvendor", CONFIG_UINT, "0x1af4", "0..0xffff", 0,
	    "PCI subsystem vendor id" },
	{ "pcireg.subdevice", CONFIG_UINT, "0x1100", "0..0xffff", 0,
	    "PCI subsystem id" },
	{ NULL },
};

/* ISA lines that a PIRQ may go to; the others are reserved (13.1.17). */
#define PIRQ_LINES 0xdef8u

static void
route_pirq(struct pci_dev *pd, unsigned pirq)
{
	unsigned reg = pirq < 4 ? PIRQ_A + pirq : PIRQ_E + pirq - 4;
	uint32_t v = pci_cfg_get(pd, reg, 1);
	unsigned line = v & 0x0f;
	bool off = (v & PIRQ_OFF) != 0 || (PIRQ_LINES >> line & 1) == 0;

	vm_pirq_route(pd->pb->vm, pirq, off ? -1 : (int)line);
}

static void
move_pm(struct pci_dev *pd)
{
	struct pci_bus *pb = pd->pb;
	uint16_t base = (uint16_t)(pci_cfg_get(pd, PMBASE, 2) & PMBASE_ADDR);
	bool on = (pci_cfg_get(pd, ACPI_CNTL, 1) & ACPI_CNTL_ENABLE) != 0;

	if (pb->pmbase_fn != NULL)
		pb->pmbase_fn(pb->pmbase_arg, base, on);
}

static bool
lpc_cfg_write(struct pci_dev *pd, unsigned off, unsigned width, uint32_t value)
{
	pci_cfg_store(pd, off, width, value);
	if (pci_overlaps(off, width, PMBASE, 2) ||
	    pci_overlaps(off, width, ACPI_CNTL, 1))
		move_pm(pd);
	for (unsigned i = 0; i < 8; i++)
		if (pci_overlaps(
			off, width, i < 4 ? PIRQ_A + i : PIRQ_E + i - 4, 1))
			route_pirq(pd, i);
	return true;
}

static void
lpc_registers(struct pci_dev *pd)
{
	/* 13.1.3: always decoding; OVMF takes it for an ISA bridge by that. */
	pci_fix_command(
	    pd, PCI_COMMAND_IO | PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	pci_cfg_set(pd, PMBASE, 4, PORT_PMBASE | PCI_BAR_IO_SPACE);
	pci_cfg_set_wmask(pd, PMBASE, 4, PMBASE_ADDR);
	pci_cfg_set(pd, ACPI_CNTL, 1, ACPI_CNTL_ENABLE);
	pci_cfg_set_wmask(pd, ACPI_CNTL, 1, 0x87);
	pci_cfg_set(pd, GPIOBASE, 4, PCI_BAR_IO_SPACE);
	pci_cfg_set_wmask(pd, GPIOBASE, 4, 0xff80);
	for (unsigned i = 0; i < 4; i++) {
		pci_cfg_set(pd, PIRQ_A + i, 1, PIRQ_OFF);
		pci_cfg_set_wmask(pd, PIRQ_A + i, 1, 0x8f);
		pci_cfg_set(pd, PIRQ_E + i, 1, PIRQ_OFF);
		pci_cfg_set_wmask(pd, PIRQ_E + i, 1, 0x8f);
	}
	pci_cfg_set_wmask(pd, LPC_IO_DEC, 4, 0x3fff1377);
	for (unsigned i = 0; i < 4; i++)
		pci_cfg_set_wmask(pd, LPC_GEN_DEC + 4 * i, 4, 0x00fcfffd);
	pci_cfg_set_wmask(pd, GEN_PMCON_1, 2, 0x073f);
	pci_cfg_set_wmask(pd, GEN_PMCON_3, 1, 0xff);
	pci_cfg_set_wmask(pd, BIOS_CNTL, 1, 0x1f);
	pci_cfg_set_wmask(pd, RCBA, 4, 0xffffc001);
}

/* bhyve_config(5) has these keys at the lpc node; here they win. */
static int
lpc_id(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	static const char *const keys[] = { "pcireg.vendor", "pcireg.device",
		"pcireg.subvendor", "pcireg.subdevice", "pcireg.revid" };
	const struct config_node *lpc = pd->pb->lpc_conf;
	uint64_t v[ARRAY_LEN(keys)];
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		rc = -ENOENT;
		if (lpc != NULL)
			rc =
			    config_get_uint(lpc, lpc_keys, keys[i], &v[i], err);
		if (rc == -ENOENT)
			rc = config_get_uint(
			    conf, lpc_bridge_keys, keys[i], &v[i], err);
		if (rc < 0)
			return rc;
	}
	pci_set_id(pd, (uint16_t)v[0], (uint16_t)v[1], (uint16_t)v[2],
	    (uint16_t)v[3], (uint8_t)v[4]);
	return 0;
}

static int
lpc_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	struct pci_bus *pb = pd->pb;
	int rc;

	if (pd->addr.bus != 0)
		return error_set(err, EINVAL,
		    "the LPC bridge must be on bus 0; use -s 31,lpc");
	if (pb->have_lpc)
		return error_set(err, EEXIST,
		    "there is an LPC bridge already; one is enough");
	rc = lpc_id(pd, conf, err);
	if (rc < 0)
		return rc;
	pci_set_class(pd, 0x06, 0x01, 0x00);
	lpc_registers(pd);
	for (unsigned i = 0; i < 8; i++)
		route_pirq(pd, i);
	pb->have_lpc = true;
	return 0;
}

const struct pci_model pci_model_lpc = {
	.name = "lpc",
	.help = "PCI-ISA bridge (ICH9 LPC); bus 0 only, one only",
	.keys = lpc_bridge_keys,
	.init = lpc_init,
	.cfg_write = lpc_cfg_write,
};
