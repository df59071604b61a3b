/*
 * Base address registers: the sizing protocol, and the windows on the port and
 * memory buses that follow what the guest writes.
 *
 * Sources: PCI Local Bus Specification 3.0, 6.2.5.1 (address maps, sizing).
 *
 * The size of a BAR is in its writable mask alone: the bits below the size read
 * as zero, so writing all ones and reading back needs no special case. While a
 * BAR holds the all-ones value of that protocol it decodes nothing.
 */
#include <errno.h>

#include "base/log.h"
#include "base/str.h"
#include "dev/pci/pci_internal.h"

#define BAR_IO_MIN 4u
#define BAR_MEM_MIN 4096u

static unsigned
bar_reg(unsigned idx)
{
	return PCI_BAR0 + 4 * idx;
}

/* The upper half of a 64-bit BAR is not free either. */
static bool
bar_free(const struct pci_dev *pd, unsigned idx)
{
	return pd->bar[idx].type == PCI_BAR_NONE &&
	    (idx == 0 || pd->bar[idx - 1].type != PCI_BAR_MEM64);
}

int
pci_add_bar(struct pci_dev *pd, unsigned idx, enum pci_bar_type type,
    uint64_t size, struct error *err)
{
	bool io = type == PCI_BAR_IO, wide = type == PCI_BAR_MEM64;
	uint64_t rounded = io ? BAR_IO_MIN : BAR_MEM_MIN;
	uint64_t max = io ? 256 : wide ? UINT64_C(1) << 40 : 1 * GiB;
	uint64_t mask;

	if (type == PCI_BAR_NONE || idx + (wide ? 2u : 1u) > PCI_NBARS ||
	    !bar_free(pd, idx) || (wide && !bar_free(pd, idx + 1)) ||
	    size == 0 || size > max)
		return error_set(err, EINVAL,
		    "%s: BAR %u of %#llx bytes is impossible", pd->name, idx,
		    (unsigned long long)size);
	while (rounded < size)
		rounded *= 2;
	mask = ~(rounded - 1);
	pd->bar[idx].type = type;
	pd->bar[idx].size = rounded;
	pci_cfg_set(pd, bar_reg(idx), 4,
	    io         ? PCI_BAR_IO_SPACE
		: wide ? PCI_BAR_MEM_64
		       : 0);
	pci_cfg_set_wmask(pd, bar_reg(idx), 4, (uint32_t)mask);
	if (wide)
		pci_cfg_set_wmask(
		    pd, bar_reg(idx + 1), 4, (uint32_t)(mask >> 32));
	pd->wmask[PCI_COMMAND] |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEM;
	return 0;
}

void
pci_set_bar_moved(struct pci_dev *pd, pci_bar_moved_fn fn)
{
	pd->bar_moved = fn;
}

/* What the registers say, wherever that is. */
uint64_t
pci_bar_base(const struct pci_dev *pd, unsigned idx)
{
	const struct pci_bar *bar = &pd->bar[idx];
	uint64_t v = pci_cfg_get(pd, bar_reg(idx), 4);

	if (bar->type == PCI_BAR_MEM64)
		v |= (uint64_t)pci_cfg_get(pd, bar_reg(idx + 1), 4) << 32;
	return v & ~(bar->size - 1);
}

void
pci_bar_set_base(struct pci_dev *pd, unsigned idx, uint64_t base)
{
	pci_cfg_store(pd, bar_reg(idx), 4, (uint32_t)base);
	if (pd->bar[idx].type == PCI_BAR_MEM64)
		pci_cfg_store(pd, bar_reg(idx + 1), 4, (uint32_t)(base >> 32));
}

bool
pci_bar_addr(struct pci_dev *pd, unsigned idx, uint64_t *ret)
{
	uint64_t at = idx < PCI_NBARS ? pd->bar[idx].mapped : 0;

	if (at == 0)
		return false;
	*ret = at;
	return true;
}

/* Memory that the engine maps wins over any window, so do not pretend. */
static bool
on_memory(struct pci_dev *pd, uint64_t base, uint64_t size)
{
	const struct mem_region *r;
	size_t n = vm_mem_regions(vm_mem(pd->pb->vm), &r);

	for (size_t i = 0; i < n; i++)
		if (base < r[i].base.v + r[i].size && r[i].base.v < base + size)
			return true;
	return false;
}

/* Where the BAR should decode now; 0 = nowhere. */
static uint64_t
bar_wanted(struct pci_dev *pd, const struct pci_bar *bar)
{
	uint64_t base, limit;
	bool io = bar->type == PCI_BAR_IO;

	if (bar->type == PCI_BAR_NONE ||
	    (pd->command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEM)) == 0)
		return 0;
	base = pci_bar_base(pd, bar->idx);
	/* All ones, whole or lower half: the guest is asking for the size. */
	if (io)
		limit = UINT64_C(0x10000);
	else
		limit = base >> 32 == 0 ? UINT64_C(0xffffffff) : UINT64_MAX;
	if (base > limit - bar->size)
		return 0;
	return base;
}

/* ---- accesses ---- */

static uint64_t
window_read(void *dev, uint64_t offset, unsigned width)
{
	struct pci_bar *bar = dev;
	struct pci_dev *pd = bar->pd;

	if (pci_msix_overlaps(pd, bar->idx, offset, width))
		return pci_msix_read(pd, offset - pd->msix.offset, width);
	if (pd->model->bar_read == NULL)
		return UINT64_MAX;
	return pd->model->bar_read(pd, bar->idx, offset, width);
}

static void
window_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct pci_bar *bar = dev;
	struct pci_dev *pd = bar->pd;

	if (pci_msix_overlaps(pd, bar->idx, offset, width))
		pci_msix_write(pd, offset - pd->msix.offset, width, value);
	else if (pd->model->bar_write != NULL)
		pd->model->bar_write(pd, bar->idx, offset, width, value);
}

static const struct bus_ops window_ops = { window_read, window_write };

static struct bus *
bar_bus(struct pci_bar *bar)
{
	struct vm *vm = bar->pd->pb->vm;

	return bar->type == PCI_BAR_IO ? vm_pio(vm) : vm_mmio(vm);
}

static void
bar_unmap(struct pci_bar *bar)
{
	struct pci_dev *pd = bar->pd;
	uint64_t at = bar->mapped;

	bar->mapped = 0;
	bus_remove(bar_bus(bar), at, bar->size, bar);
	if (pd->bar_moved != NULL)
		pd->bar_moved(pd, bar->idx, at, false);
}

static void
bar_refuse(struct pci_bar *bar, uint64_t at, const char *why)
{
	static struct log_limit limit;

	if (bar->refused)
		return;
	bar->refused = true;
	bar->pd->pb->refused++;
	log_ratelimited(&limit, LOG_WARN, bar->pd->name,
	    "BAR %u at %#llx is not decoded: %s", bar->idx,
	    (unsigned long long)at, why);
}

static void
bar_map(struct pci_bar *bar, uint64_t at)
{
	struct pci_dev *pd = bar->pd;
	bool io = bar->type == PCI_BAR_IO;
	const struct bus_window win = { pd->name, at, bar->size,
		io ? BUS_W1 | BUS_W2 | BUS_W4 : BUS_WANY, &window_ops, bar };
	struct error err = ERROR_INIT;

	if (!io && on_memory(pd, at, bar->size)) {
		bar_refuse(bar, at, "guest memory is there");
		return;
	}
	if (bus_add(bar_bus(bar), &win, &err) < 0) {
		bar_refuse(bar, at, err.text);
		return;
	}
	bar->mapped = at;
	if (pd->bar_moved != NULL)
		pd->bar_moved(pd, bar->idx, at, true);
}

bool
pci_bar_update_locked(struct pci_dev *pd)
{
	bool left = false;
	uint64_t want[PCI_NBARS];

	/* First take away, then add: a function may swap its own BARs. */
	for (unsigned i = 0; i < PCI_NBARS; i++) {
		want[i] = bar_wanted(pd, &pd->bar[i]);
		if (pd->bar[i].mapped != 0 && pd->bar[i].mapped != want[i]) {
			bar_unmap(&pd->bar[i]);
			left = true;
		}
	}
	for (unsigned i = 0; i < PCI_NBARS; i++) {
		struct pci_bar *bar = &pd->bar[i];

		if (want[i] != 0 && bar->mapped == 0)
			bar_map(bar, want[i]);
		if (bar->refused && (want[i] == 0 || bar->mapped != 0)) {
			bar->refused = false;
			pd->pb->refused--;
		}
	}
	return left;
}

void
pci_bar_unmap_all_locked(struct pci_dev *pd)
{
	pd->bar_moved = NULL;
	for (unsigned i = 0; i < PCI_NBARS; i++)
		if (pd->bar[i].mapped != 0)
			bar_unmap(&pd->bar[i]);
}

void
pci_bar_retry(struct pci_bus *pb)
{
	for (struct pci_dev *pd = pb->devs; pd != NULL; pd = pd->next) {
		pthread_mutex_lock(&pd->lock);
		pci_bar_update_locked(pd);
		pthread_mutex_unlock(&pd->lock);
	}
}
