/*
 * Capabilities and interrupts of a function: MSI-X, MSI, INTx.
 *
 * Sources: PCI Local Bus Specification 3.0, 6.7 (capability list), 6.8.1 (MSI),
 * 6.8.2 and 6.8.3.5 (MSI-X, masking and pending), 2.2.6 (INTx), 6.2.2 and 6.2.3
 * (interrupt disable and status); PCI Express Base 3.0, 7.8.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "dev/pci/pci_internal.h"
#include "vmm/memmap.h"

#define MSIX_PAGE UINT64_C(4096)

/* ---- capabilities ---- */

int
pci_add_cap(struct pci_dev *pd, uint8_t id, const void *data, uint8_t len)
{
	unsigned at = pd->cap_next;

	if (len < 2 || at + len > PCI_CFG_CONVENTIONAL)
		return -ENOSPC;
	memcpy(&pd->cfg[at], data, len);
	pd->cfg[at] = id;
	pd->cfg[at + 1] = 0;
	if (pd->cap_last == 0)
		pd->cfg[PCI_CAP_PTR] = (uint8_t)at;
	else
		pd->cfg[pd->cap_last + 1] = (uint8_t)at;
	pd->cfg[PCI_STATUS] |= PCI_STATUS_CAPS;
	pd->cap_last = at;
	pd->cap_next = ROUND_UP(at + len, 4);
	return (int)at;
}

/*
 * 7.8.2: version 2, type "root complex integrated endpoint"; 7.8.3: role-based
 * error reporting, which every function of today must claim; 7.8.4: the
 * writable part of device control. There is no link.
 */
int
pci_add_pcie(struct pci_dev *pd)
{
	uint8_t cap[PCI_EXP_LEN] = { 0 };
	int at;

	store_le16(&cap[2], 0x2 | 0x9 << 4);
	store_le32(&cap[4], 1u << 15);
	at = pci_add_cap(pd, PCI_CAP_ID_EXPRESS, cap, sizeof(cap));
	if (at < 0)
		return at;
	pd->pcie_cap = (unsigned)at;
	pci_cfg_set_wmask(pd, pd->pcie_cap + 8, 2, 0x78ff);
	return at;
}

/* ---- MSI-X ---- */

static uint64_t
msix_table_size(unsigned n)
{
	return ROUND_UP((uint64_t)n * PCI_MSIX_ENTRY, MSIX_PAGE);
}

uint64_t
pci_msix_bar_size(unsigned nvectors)
{
	return msix_table_size(nvectors) +
	    ROUND_UP((nvectors + UINT64_C(63)) / 64 * 8, MSIX_PAGE);
}

int
pci_add_msix(struct pci_dev *pd, unsigned nvectors, unsigned bar,
    uint64_t bar_offset, struct error *err)
{
	struct pci_msix *mx = &pd->msix;
	uint8_t cap[PCI_MSIX_LEN] = { 0 };
	uint64_t size = pci_msix_bar_size(nvectors);
	int at;

	if (mx->n != 0 || nvectors == 0 || nvectors > PCI_MSIX_MAX ||
	    bar >= PCI_NBARS || bar_offset % MSIX_PAGE != 0 ||
	    bar_offset > UINT32_MAX - size ||
	    pd->bar[bar].size < bar_offset + size)
		return error_set(err, EINVAL,
		    "%s: %u MSI-X vectors do not fit BAR %u", pd->name,
		    nvectors, bar);
	store_le16(&cap[PCI_MSG_CTRL], (uint16_t)(nvectors - 1));
	store_le32(&cap[PCI_MSIX_TABLE], (uint32_t)bar_offset | bar);
	mx->pba = msix_table_size(nvectors);
	store_le32(&cap[PCI_MSIX_PBA], (uint32_t)(bar_offset + mx->pba) | bar);
	mx->table = alloc_zero(nvectors, sizeof(mx->table[0]));
	mx->pending = alloc_zero((nvectors + 63) / 64, sizeof(uint64_t));
	if (mx->table == NULL || mx->pending == NULL)
		return error_set(err, ENOMEM, "%s: out of memory", pd->name);
	at = pci_add_cap(pd, PCI_CAP_ID_MSIX, cap, sizeof(cap));
	if (at < 0)
		return error_set(
		    err, ENOSPC, "%s: no room for MSI-X", pd->name);
	pci_cfg_set_wmask(pd, (unsigned)at + PCI_MSG_CTRL, 2,
	    PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	for (unsigned i = 0; i < nvectors; i++)
		mx->table[i].ctrl = PCI_MSIX_ENTRY_MASKED;
	mx->cap = (unsigned)at;
	mx->bar = bar;
	mx->offset = bar_offset;
	mx->size = size;
	mx->n = nvectors;
	return 0;
}

bool
pci_msix_overlaps(
    const struct pci_dev *pd, unsigned bar, uint64_t off, unsigned width)
{
	const struct pci_msix *mx = &pd->msix;

	return mx->n != 0 && bar == mx->bar && off < mx->offset + mx->size &&
	    off + width > mx->offset;
}

/* Send what is pending on the vector, if it may be sent now. */
static void
msix_kick(struct pci_dev *pd, unsigned vector)
{
	struct pci_msix *mx = &pd->msix;
	uint64_t bit = UINT64_C(1) << (vector % 64), addr = 0;
	uint32_t data = 0;
	bool send;

	pthread_mutex_lock(&pd->intr_lock);
	send = pd->msix_on && !mx->mask_all &&
	    (mx->table[vector].ctrl & PCI_MSIX_ENTRY_MASKED) == 0 &&
	    (mx->pending[vector / 64] & bit) != 0;
	if (send) {
		mx->pending[vector / 64] &= ~bit;
		addr = mx->table[vector].addr;
		data = mx->table[vector].data;
	}
	pthread_mutex_unlock(&pd->intr_lock);
	if (send)
		vm_msi(pd->pb->vm, addr, data);
}

void
pci_msix_send(struct pci_dev *pd, unsigned vector)
{
	struct pci_msix *mx = &pd->msix;
	struct pci_msix_entry e = { 0 };
	bool send = false;

	if (vector >= mx->n || !pci_bus_master(pd))
		return;
	pthread_mutex_lock(&pd->intr_lock);
	if (pd->msix_on) {
		e = mx->table[vector];
		send = !mx->mask_all && (e.ctrl & PCI_MSIX_ENTRY_MASKED) == 0;
		if (!send)
			mx->pending[vector / 64] |= UINT64_C(1)
			    << (vector % 64);
	}
	pthread_mutex_unlock(&pd->intr_lock);
	if (send)
		vm_msi(pd->pb->vm, e.addr, e.data);
}

static uint32_t
msix_get(const struct pci_msix *mx, uint64_t off)
{
	if (off / PCI_MSIX_ENTRY < mx->n) {
		const struct pci_msix_entry *e =
		    &mx->table[off / PCI_MSIX_ENTRY];

		switch (off % PCI_MSIX_ENTRY) {
		case 0:
			return (uint32_t)e->addr;
		case 4:
			return (uint32_t)(e->addr >> 32);
		case 8:
			return e->data;
		default:
			return e->ctrl;
		}
	}
	if (off >= mx->pba && (off - mx->pba) / 8 < (mx->n + 63) / 64)
		return (uint32_t)(mx->pending[(off - mx->pba) / 8] >>
		    (off % 8 * 8));
	return 0;
}

/*
 * 6.8.2: drivers use aligned accesses of 4 or 8 bytes; nothing is promised for
 * others, so they read as ones and are not written.
 */
static bool
msix_valid(const struct pci_msix *mx, uint64_t off, unsigned width)
{
	return (width == 4 || width == 8) && off % width == 0 &&
	    off + width <= mx->size;
}

uint64_t
pci_msix_read(struct pci_dev *pd, uint64_t off, unsigned width)
{
	uint64_t v;

	if (!msix_valid(&pd->msix, off, width))
		return UINT64_MAX;
	pthread_mutex_lock(&pd->intr_lock);
	v = msix_get(&pd->msix, off);
	if (width == 8)
		v |= (uint64_t)msix_get(&pd->msix, off + 4) << 32;
	pthread_mutex_unlock(&pd->intr_lock);
	return v;
}

static void
msix_set(struct pci_msix *mx, uint64_t off, uint32_t v)
{
	struct pci_msix_entry *e = &mx->table[off / PCI_MSIX_ENTRY];

	switch (off % PCI_MSIX_ENTRY) {
	case 0:
		e->addr = (e->addr & ~UINT64_C(0xffffffff)) | (v & ~3u);
		break;
	case 4:
		e->addr = (uint32_t)e->addr | (uint64_t)v << 32;
		break;
	case 8:
		e->data = v;
		break;
	default:
		e->ctrl = v & PCI_MSIX_ENTRY_MASKED;
		break;
	}
}

void
pci_msix_write(struct pci_dev *pd, uint64_t off, unsigned width, uint64_t value)
{
	struct pci_msix *mx = &pd->msix;

	if (!msix_valid(mx, off, width) || off / PCI_MSIX_ENTRY >= mx->n)
		return;
	pthread_mutex_lock(&pd->intr_lock);
	msix_set(mx, off, (uint32_t)value);
	if (width == 8)
		msix_set(mx, off + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&pd->intr_lock);
	msix_kick(pd, (unsigned)(off / PCI_MSIX_ENTRY));
}

bool
pci_msix_enabled(const struct pci_dev *pd)
{
	return pd->msix_on;
}

/* ---- MSI: one vector, 64-bit address, maskable ---- */

int
pci_add_msi(struct pci_dev *pd, struct error *err)
{
	uint8_t cap[PCI_MSI_LEN] = { 0 };
	int at;

	store_le16(&cap[PCI_MSG_CTRL], PCI_MSI_64BIT | PCI_MSI_MASKABLE);
	at = pci_add_cap(pd, PCI_CAP_ID_MSI, cap, sizeof(cap));
	if (at < 0)
		return error_set(err, ENOSPC, "%s: no room for MSI", pd->name);
	pd->msi.cap = (unsigned)at;
	/* 6.8.1.3: enable and multiple message enable are writable. */
	pci_cfg_set_wmask(pd, pd->msi.cap + PCI_MSG_CTRL, 2, 0x0071);
	pci_cfg_set_wmask(pd, pd->msi.cap + PCI_MSI_ADDR, 4, 0xfffffffc);
	pci_cfg_set_wmask(pd, pd->msi.cap + PCI_MSI_ADDR + 4, 4, 0xffffffff);
	pci_cfg_set_wmask(pd, pd->msi.cap + PCI_MSI_DATA, 2, 0xffff);
	pci_cfg_set_wmask(pd, pd->msi.cap + PCI_MSI_MASK, 4, 1);
	return 0;
}

bool
pci_msi_enabled(const struct pci_dev *pd)
{
	return pd->msi_on;
}

void
pci_msi_send(struct pci_dev *pd)
{
	uint64_t addr = 0;
	uint32_t data = 0;
	bool send = false;

	if (!pci_bus_master(pd))
		return;
	pthread_mutex_lock(&pd->intr_lock);
	if (pd->msi_on) {
		send = !pd->msi.masked;
		pd->msi.pending = !send;
		addr = pd->msi.addr;
		data = pd->msi.data;
	}
	pthread_mutex_unlock(&pd->intr_lock);
	if (send)
		vm_msi(pd->pb->vm, addr, data);
}

/* ---- INTx ---- */

void
pci_add_intx(struct pci_dev *pd)
{
	pd->intx = true;
	pd->gsi = GSI_PIRQ0 + pci_pirq_of(pd->addr.slot, pd->addr.func & 3);
	pd->cfg[PCI_INTR_PIN] = (uint8_t)((pd->addr.func & 3) + 1);
	pd->wmask[PCI_COMMAND + 1] |= PCI_COMMAND_INTX_OFF >> 8;
}

/* intr_lock held, so that levels reach the controllers in order */
static void
intx_update(struct pci_dev *pd)
{
	bool out = pd->intx_level && !pd->msix_on && !pd->msi_on &&
	    (pd->command & PCI_COMMAND_INTX_OFF) == 0;

	if (out != pd->intx_out) {
		pd->intx_out = out;
		vm_irq_set(pd->pb->vm, pd->gsi, pd, out);
	}
}

void
pci_intx_set(struct pci_dev *pd, bool level)
{
	if (!pd->intx)
		return;
	pthread_mutex_lock(&pd->intr_lock);
	pd->intx_level = level;
	intx_update(pd);
	pthread_mutex_unlock(&pd->intr_lock);
}

bool
pci_bus_master(const struct pci_dev *pd)
{
	return (pd->command & PCI_COMMAND_MASTER) != 0;
}

/* ---- registers that changed ---- */

/* Bits of configuration space that follow the device and not the guest. */
uint32_t
pci_intr_cfg_bits(const struct pci_dev *pd, unsigned off, unsigned width)
{
	unsigned pending = pd->msi.cap + PCI_MSI_PENDING;

	if (pci_overlaps(off, width, PCI_STATUS, 1) && pd->intx_level)
		return (uint32_t)PCI_STATUS_INTX << (8 * (PCI_STATUS - off));
	if (pd->msi.cap != 0 && pci_overlaps(off, width, pending, 1) &&
	    pd->msi.pending)
		return 1u << (8 * (pending - off));
	return 0;
}

static void
msi_load(struct pci_dev *pd)
{
	struct pci_msi *ms = &pd->msi;

	ms->addr = pci_cfg_get(pd, ms->cap + PCI_MSI_ADDR, 4) |
	    (uint64_t)pci_cfg_get(pd, ms->cap + PCI_MSI_ADDR + 4, 4) << 32;
	ms->data = pci_cfg_get(pd, ms->cap + PCI_MSI_DATA, 2);
	ms->masked = (pci_cfg_get(pd, ms->cap + PCI_MSI_MASK, 4) & 1) != 0;
	pd->msi_on =
	    (pci_cfg_get(pd, ms->cap + PCI_MSG_CTRL, 2) & PCI_MSI_ENABLE) != 0;
}

static void
msix_load(struct pci_dev *pd)
{
	struct pci_msix *mx = &pd->msix;
	uint32_t ctrl = pci_cfg_get(pd, mx->cap + PCI_MSG_CTRL, 2);
	bool on = (ctrl & PCI_MSIX_ENABLE) != 0;

	mx->mask_all = (ctrl & PCI_MSIX_MASK_ALL) != 0;
	if (pd->msix_on && !on)
		memset(mx->pending, 0, (mx->n + 63) / 64 * sizeof(uint64_t));
	pd->msix_on = on;
}

void
pci_intr_cfg_written_locked(struct pci_dev *pd)
{
	struct pci_msix *mx = &pd->msix;
	bool msi = false, msix = false;

	pthread_mutex_lock(&pd->intr_lock);
	if (pd->msi.cap != 0) {
		msi_load(pd);
		msi = pd->msi_on && pd->msi.pending && !pd->msi.masked;
		if (!pd->msi_on)
			pd->msi.pending = false;
	}
	if (mx->n != 0) {
		msix_load(pd);
		for (unsigned i = 0; i < (mx->n + 63) / 64; i++)
			msix |= mx->pending[i] != 0;
	}
	intx_update(pd);
	pthread_mutex_unlock(&pd->intr_lock);

	if (msi)
		pci_msi_send(pd);
	for (unsigned i = 0; msix && i < mx->n; i++)
		msix_kick(pd, i);
}

void
pci_intr_fini(struct pci_dev *pd)
{
	pci_intx_set(pd, false);
	free(pd->msix.table);
	free(pd->msix.pending);
}
