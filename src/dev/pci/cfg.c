/*
 * Configuration space: the ports CF8h/CFCh and the ECAM window in front of it,
 * and what a write to a register sets off.
 *
 * Sources: PCI Local Bus Specification 3.0, 3.2.2.3.2 (configuration mechanism
 * #1); PCI Express Base 3.0, 7.2.2 (ECAM); Intel ICH9 datasheet (316972),
 * 13.7 (reset control register CF9h).
 *
 * The reset control register lives here and not with the other reset ports,
 * because it lies inside the address register: only accesses of 32 bits at
 * CF8h reach the address, only bytes at CF9h the reset register.
 */
#include <errno.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "dev/pci/pci_internal.h"
#include "dev/platform.h"
#include "vmm/memmap.h"

#define CFG_PORT_ADDRESS 0xcf8
#define CFG_PORT_DATA 0xcfc
#define CFG_ADDRESS_ENABLE 0x80000000u
#define CFG_ADDRESS_WMASK 0x80fffffcu
#define RST_CPU 0x04 /* writing it resets */

#define ECAM_BUS_SHIFT 20
#define ECAM_SLOT_SHIFT 15
#define ECAM_FUNC_SHIFT 12

/* ---- raw storage ---- */

uint32_t
pci_cfg_get(const struct pci_dev *pd, unsigned off, unsigned width)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < width && off + i < PCI_CFG_SIZE; i++)
		v |= (uint32_t)pd->cfg[off + i] << (8 * i);
	return v;
}

void
pci_cfg_set(struct pci_dev *pd, unsigned off, unsigned width, uint32_t v)
{
	for (unsigned i = 0; i < width && off + i < PCI_CFG_SIZE; i++)
		pd->cfg[off + i] = (uint8_t)(v >> (8 * i));
}

void
pci_cfg_set_wmask(
    struct pci_dev *pd, unsigned off, unsigned width, uint32_t mask)
{
	for (unsigned i = 0; i < width && off + i < PCI_CFG_SIZE; i++)
		pd->wmask[off + i] = (uint8_t)(mask >> (8 * i));
}

void
pci_cfg_store(struct pci_dev *pd, unsigned off, unsigned width, uint32_t v)
{
	for (unsigned i = 0; i < width && off + i < PCI_CFG_SIZE; i++) {
		uint8_t m = pd->wmask[off + i];
		uint8_t b = (uint8_t)(v >> (8 * i));

		pd->cfg[off + i] = (uint8_t)((pd->cfg[off + i] & ~m) | (b & m));
	}
}

void
pci_set_id(struct pci_dev *pd, uint16_t vendor, uint16_t device,
    uint16_t subvendor, uint16_t subdevice, uint8_t revision)
{
	pci_cfg_set(pd, PCI_VENDOR, 2, vendor);
	pci_cfg_set(pd, PCI_DEVICE, 2, device);
	pci_cfg_set(pd, PCI_SUBVENDOR, 2, subvendor);
	pci_cfg_set(pd, PCI_SUBDEVICE, 2, subdevice);
	pci_cfg_set(pd, PCI_REVISION, 1, revision);
}

void
pci_set_class(struct pci_dev *pd, uint8_t class, uint8_t sub, uint8_t pi)
{
	pci_cfg_set(pd, PCI_CLASS_PI, 1, pi);
	pci_cfg_set(pd, PCI_SUBCLASS, 1, sub);
	pci_cfg_set(pd, PCI_CLASS, 1, class);
}

void
pci_fix_command(struct pci_dev *pd, uint16_t bits)
{
	uint32_t mask =
	    pd->wmask[PCI_COMMAND] | (uint32_t)pd->wmask[PCI_COMMAND + 1] << 8;

	pci_cfg_set(pd, PCI_COMMAND, 2, bits);
	pci_cfg_set_wmask(pd, PCI_COMMAND, 2, mask & ~(uint32_t)bits);
	pd->command = bits;
}

/* ---- one function ---- */

/* Capabilities whose registers the core understands are not the model's. */
static bool
core_owns(const struct pci_dev *pd, unsigned off, unsigned width)
{
	if (off < PCI_HEADER_END)
		return true;
	return (pd->msix.n != 0 &&
		   pci_overlaps(off, width, pd->msix.cap, PCI_MSIX_LEN)) ||
	    (pd->msi.cap != 0 &&
		pci_overlaps(off, width, pd->msi.cap, PCI_MSI_LEN)) ||
	    (pd->pcie_cap != 0 &&
		pci_overlaps(off, width, pd->pcie_cap, PCI_EXP_LEN));
}

/* off is a multiple of width, width is 1, 2 or 4 */
static uint32_t
read_aligned(struct pci_dev *pd, unsigned off, unsigned width)
{
	uint32_t v;

	pthread_mutex_lock(&pd->lock);
	if (core_owns(pd, off, width) || pd->model->cfg_read == NULL ||
	    !pd->model->cfg_read(pd, off, width, &v))
		v = pci_cfg_get(pd, off, width) |
		    pci_intr_cfg_bits(pd, off, width);
	pthread_mutex_unlock(&pd->lock);
	return v;
}

static void
write_aligned(struct pci_dev *pd, unsigned off, unsigned width, uint32_t v)
{
	bool left = true; /* after a hook we do not know */

	pthread_mutex_lock(&pd->lock);
	if (core_owns(pd, off, width) || pd->model->cfg_write == NULL ||
	    !pd->model->cfg_write(pd, off, width, v)) {
		pci_cfg_store(pd, off, width, v);
		left = false;
		if (pci_overlaps(off, width, PCI_COMMAND, 2) ||
		    pci_overlaps(
			off, width, PCI_BAR0, PCI_BAR_END - PCI_BAR0)) {
			pd->command = (uint16_t)pci_cfg_get(pd, PCI_COMMAND, 2);
			left = pci_bar_update_locked(pd);
		}
		pci_intr_cfg_written_locked(pd);
	}
	pthread_mutex_unlock(&pd->lock);
	if (left && pd->pb->refused != 0)
		pci_bar_retry(pd->pb);
}

uint64_t
pci_cfg_read(struct pci_dev *pd, unsigned off, unsigned width)
{
	uint64_t v = 0;
	unsigned step = width == 8 ? 4 : width;

	if ((off & (step - 1)) != 0)
		step = 1;
	for (unsigned i = 0; i < width; i += step) {
		uint64_t part = off + i < PCI_CFG_SIZE
		    ? read_aligned(pd, off + i, step)
		    : UINT64_MAX >> (64 - 8 * step);

		v |= part << (8 * i);
	}
	return v;
}

void
pci_cfg_write(struct pci_dev *pd, unsigned off, unsigned width, uint64_t v)
{
	unsigned step = width == 8 ? 4 : width;

	if ((off & (step - 1)) != 0)
		step = 1;
	for (unsigned i = 0; i < width && off + i < PCI_CFG_SIZE; i += step)
		write_aligned(pd, off + i, step, (uint32_t)(v >> (8 * i)));
}

/* ---- ports CF8h-CFFh ---- */

static uint64_t
address_read(void *dev, uint64_t offset, unsigned width)
{
	struct pci_bus *pb = dev;

	if (offset == 0 && width == 4)
		return pb->address;
	return offset == 1 && width == 1 ? 0 : UINT64_MAX;
}

static void
address_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct pci_bus *pb = dev;
	char cause[48];

	if (offset == 0 && width == 4) {
		pb->address = (uint32_t)value & CFG_ADDRESS_WMASK;
	} else if (offset == PORT_RESET - CFG_PORT_ADDRESS && width == 1 &&
	    (value & RST_CPU) != 0) {
		str_format(cause, sizeof(cause),
		    "guest wrote 0x%02x to port 0xcf9", (unsigned)value);
		vm_stop(pb->vm, VM_STOP_RESET, cause);
	}
}

static struct pci_dev *
data_target(const struct pci_bus *pb, unsigned *ret_off)
{
	uint32_t a = pb->address;

	if ((a & CFG_ADDRESS_ENABLE) == 0)
		return NULL;
	*ret_off = a & 0xfc;
	return pci_lookup(pb, a >> 16 & 0xff, a >> 11 & 0x1f, a >> 8 & 7);
}

static uint64_t
data_read(void *dev, uint64_t offset, unsigned width)
{
	unsigned off;
	struct pci_dev *pd = data_target(dev, &off);

	return pd == NULL ? UINT64_MAX
			  : pci_cfg_read(pd, off + (unsigned)offset, width);
}

static void
data_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	unsigned off;
	struct pci_dev *pd = data_target(dev, &off);

	if (pd != NULL)
		pci_cfg_write(pd, off + (unsigned)offset, width, value);
}

/* ---- ECAM ---- */

static struct pci_dev *
ecam_target(const struct pci_bus *pb, uint64_t offset)
{
	return pci_lookup(pb, offset >> ECAM_BUS_SHIFT,
	    offset >> ECAM_SLOT_SHIFT & 0x1f, offset >> ECAM_FUNC_SHIFT & 7);
}

static uint64_t
ecam_read(void *dev, uint64_t offset, unsigned width)
{
	struct pci_dev *pd = ecam_target(dev, offset);

	return pd == NULL ? UINT64_MAX
			  : pci_cfg_read(pd, offset % PCI_CFG_SIZE, width);
}

static void
ecam_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct pci_dev *pd = ecam_target(dev, offset);

	if (pd != NULL)
		pci_cfg_write(pd, offset % PCI_CFG_SIZE, width, value);
}

static const struct bus_ops address_ops = { address_read, address_write };
static const struct bus_ops data_ops = { data_read, data_write };
static const struct bus_ops ecam_ops = { ecam_read, ecam_write };

static int
ecam_add(struct pci_bus *pb, uint64_t base, uint64_t size, struct error *err)
{
	const struct bus_window win = { "PCI ECAM", base, size, BUS_WANY,
		&ecam_ops, pb };
	int rc = bus_add(vm_mmio(pb->vm), &win, err);

	if (rc == 0) {
		pb->ecam_base = base;
		pb->ecam_size = size;
	}
	return rc;
}

void
pci_ecam_move(struct pci_bus *pb, uint64_t base, uint64_t size)
{
	static struct log_limit limit;
	struct error err = ERROR_INIT;

	pthread_mutex_lock(&pb->ecam_lock);
	if (pb->ecam_base != 0 &&
	    (pb->ecam_base != base || pb->ecam_size != size)) {
		bus_remove(vm_mmio(pb->vm), pb->ecam_base, pb->ecam_size, pb);
		pb->ecam_base = 0;
	}
	if (pb->ecam_base == 0 && base != 0 && size != 0 &&
	    ecam_add(pb, base, size, &err) < 0)
		log_ratelimited(&limit, LOG_WARN, "pci",
		    "the guest's PCIEXBAR is not decoded: %s", err.text);
	pthread_mutex_unlock(&pb->ecam_lock);
}

int
pci_cfg_windows_add(struct pci_bus *pb, struct error *err)
{
	struct bus *pio = vm_pio(pb->vm);
	const struct bus_window address = { "PCI address", CFG_PORT_ADDRESS, 4,
		BUS_W1 | BUS_W4, &address_ops, pb };
	const struct bus_window data = { "PCI data", CFG_PORT_DATA, 4,
		BUS_W1 | BUS_W2 | BUS_W4, &data_ops, pb };
	int rc;

	rc = bus_add(pio, &address, err);
	if (rc < 0)
		return rc;
	rc = bus_add(pio, &data, err);
	if (rc == 0) {
		rc = ecam_add(pb, MEMMAP_ECAM_BASE, MEMMAP_ECAM_SIZE, err);
		if (rc == 0)
			return 0;
		bus_remove(pio, CFG_PORT_DATA, 4, pb);
	}
	bus_remove(pio, CFG_PORT_ADDRESS, 4, pb);
	return rc;
}

void
pci_cfg_windows_remove(struct pci_bus *pb)
{
	struct bus *pio = vm_pio(pb->vm);

	bus_remove(pio, CFG_PORT_ADDRESS, 4, pb);
	bus_remove(pio, CFG_PORT_DATA, 4, pb);
	if (pb->ecam_base != 0)
		bus_remove(vm_mmio(pb->vm), pb->ecam_base, pb->ecam_size, pb);
}
