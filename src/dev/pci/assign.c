/*
 * What firmware would do before the first guest instruction: check the slots,
 * give every BAR an address, every pin its line. Firmware that boots finds
 * decoding off and may do it all again.
 *
 * Sources: PCI Local Bus Specification 3.0, 6.2.1 (header type), 6.2.4
 * (interrupt line); Intel ICH9 datasheet (316972), 13.1.17 (PIRQ routing).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/pci/pci_internal.h"
#include "vmm/memmap.h"

#define PCI64_ALIGN GiB

/*
 * Q35's wiring, which firmware repeats: slots 0-24 rotate over PIRQE-PIRQH,
 * slots 25-31 use PIRQA-PIRQD in order.
 */
unsigned
pci_pirq_of(unsigned slot, unsigned pin)
{
	return slot <= 24 ? 4 + ((slot + pin) & 3) : pin & 3;
}

void
pci_bus_window64(struct pci_bus *pb, uint64_t *base, uint64_t *size)
{
	uint64_t high = vm_mem_high_size(vm_mem(pb->vm));

	*base = ROUND_UP(MEMMAP_HIGH_RAM + high, PCI64_ALIGN);
	*size = MEMMAP_PCI64_SIZE;
}

static int
check_slots(struct pci_bus *pb, struct error *err)
{
	for (struct pci_dev *pd = pb->devs; pd != NULL; pd = pd->next) {
		struct pci_addr a = pd->addr;
		struct pci_dev *zero = pci_lookup(pb, a.bus, a.slot, 0);

		if (a.func == 0)
			continue;
		if (zero == NULL)
			return error_set(err, EINVAL,
			    "%s: slot %u:%u has no function 0, so the guest "
			    "would not look at its other functions; add a "
			    "device at %u:%u:0",
			    pd->name, a.bus, a.slot, a.bus, a.slot);
		zero->cfg[PCI_HEADER_TYPE] |= PCI_HEADER_MULTIFUNC;
		pd->cfg[PCI_HEADER_TYPE] |= PCI_HEADER_MULTIFUNC;
	}
	return 0;
}

/* Lines that firmware picks for PIRQs; the I/O APIC does without them. */
static const uint8_t isa_lines[4] = { 10, 10, 11, 11 };

static void
assign_intx(struct pci_bus *pb)
{
	for (struct pci_dev *pd = pb->devs; pd != NULL; pd = pd->next) {
		unsigned pin = pd->addr.func & 3;
		unsigned slot = pd->addr.slot;

		if (!pd->intx)
			continue;
		pd->gsi = GSI_PIRQ0 + pci_pirq_of(slot, pin);
		pd->cfg[PCI_INTR_LINE] =
		    isa_lines[(slot <= 24 ? slot + pin : pin) & 3];
	}
}

struct bar_list {
	struct pci_bar **bar;
	size_t n;
};

struct window {
	const char *name;
	uint64_t next, end;
	uint64_t granule; /* of the borders between buses */
};
#define PCI_IO_GRANULE 0x100
#define PCI_MEM_GRANULE MiB

/*
 * Bus by bus, so that each is a window of its own; there the largest first,
 * which packs without gaps; then by address, to be repeatable.
 */
static int
bar_compare(const void *a, const void *b)
{
	const struct pci_bar *x = *(struct pci_bar *const *)a;
	const struct pci_bar *y = *(struct pci_bar *const *)b;
	const struct pci_addr *p = &x->pd->addr, *q = &y->pd->addr;

	if (p->bus != q->bus)
		return p->bus - q->bus;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (p->slot != q->slot)
		return p->slot - q->slot;
	if (p->func != q->func)
		return p->func - q->func;
	return (int)x->idx - (int)y->idx;
}

static int
bars_collect(struct pci_bus *pb, struct bar_list *ret)
{
	size_t n = 0;

	for (struct pci_dev *pd = pb->devs; pd != NULL; pd = pd->next)
		n += PCI_NBARS;
	ret->n = 0;
	ret->bar = alloc_zero(n, sizeof(ret->bar[0]));
	if (ret->bar == NULL)
		return -ENOMEM;
	for (struct pci_dev *pd = pb->devs; pd != NULL; pd = pd->next)
		for (unsigned i = 0; i < PCI_NBARS; i++)
			if (pd->bar[i].type != PCI_BAR_NONE)
				ret->bar[ret->n++] = &pd->bar[i];
	qsort(ret->bar, ret->n, sizeof(ret->bar[0]), bar_compare);
	return 0;
}

static unsigned
window_index(enum pci_bar_type type)
{
	return type == PCI_BAR_IO ? 0 : type == PCI_BAR_MEM32 ? 1 : 2;
}

static void
windows_init(struct pci_bus *pb, struct window w[3])
{
	uint64_t base64, size64;

	pci_bus_window64(pb, &base64, &size64);
	w[0] = (struct window){ "PCI I/O port", MEMMAP_PCI_IO_BASE,
		MEMMAP_PCI_IO_END, PCI_IO_GRANULE };
	w[1] = (struct window){ "32-bit PCI memory", MEMMAP_PCI32_BASE,
		MEMMAP_PCI32_END, PCI_MEM_GRANULE };
	w[2] = (struct window){ "64-bit PCI memory", base64, base64 + size64,
		PCI_MEM_GRANULE };
}

static int
assign_bar(struct pci_bar *bar, struct window *w, struct error *err)
{
	uint64_t base = ROUND_UP(w->next, bar->size);

	if (base > w->end || w->end - base < bar->size)
		return error_set(err, ENOSPC,
		    "%s: BAR %u of %llu KiB does not fit: the %s window is "
		    "full; remove devices or make this BAR smaller",
		    bar->pd->name, bar->idx,
		    (unsigned long long)((bar->size + 1023) / 1024), w->name);
	pci_bar_set_base(bar->pd, bar->idx, base);
	w->next = base + bar->size;
	return 0;
}

static int
assign_bars(struct pci_bus *pb, const struct bar_list *list, struct error *err)
{
	struct window w[3];
	int rc = 0;

	windows_init(pb, w);
	for (size_t i = 0; i < list->n && rc == 0; i++) {
		struct pci_bar *bar = list->bar[i];

		if (i > 0 &&
		    bar->pd->addr.bus != list->bar[i - 1]->pd->addr.bus) {
			for (unsigned k = 0; k < 3; k++)
				w[k].next = ROUND_UP(w[k].next, w[k].granule);
		}
		rc = assign_bar(bar, &w[window_index(bar->type)], err);
	}
	return rc;
}

int
pci_bus_assign(struct pci_bus *pb, struct error *err)
{
	struct bar_list list = { NULL, 0 };
	int rc;

	rc = check_slots(pb, err);
	if (rc < 0)
		return rc;
	assign_intx(pb);
	rc = bars_collect(pb, &list);
	if (rc < 0)
		return error_set(err, ENOMEM, "PCI: out of memory");
	rc = assign_bars(pb, &list, err);
	free(list.bar);
	return rc;
}

/*
 * Where the window of 'bus' begins: the lowest BAR from this bus on, the
 * machine's window for bus 0, its end when nothing follows.
 */
static uint64_t
window_border(
    struct pci_bus *pb, unsigned bus, unsigned index, const struct window *w)
{
	uint64_t lowest = w->end;

	if (bus == 0)
		return w->next;
	for (struct pci_dev *pd = pb->devs; pd != NULL; pd = pd->next) {
		for (unsigned i = 0; pd->addr.bus >= bus && i < PCI_NBARS;
		     i++) {
			const struct pci_bar *bar = &pd->bar[i];

			if (bar->type != PCI_BAR_NONE &&
			    window_index(bar->type) == index)
				lowest = MIN(lowest,
				    ROUND_DOWN(
					pci_bar_base(pd, i), w->granule));
		}
	}
	return lowest;
}

void
pci_bus_windows(struct pci_bus *pb, unsigned bus, struct pci_windows *ret)
{
	struct pci_range *range[3] = { &ret->io, &ret->mem32, &ret->mem64 };
	struct window w[3];

	windows_init(pb, w);
	for (unsigned k = 0; k < 3; k++) {
		uint64_t first = window_border(pb, bus, k, &w[k]);
		uint64_t end = window_border(pb, bus + 1, k, &w[k]);

		*range[k] = (struct pci_range){ first, end - first };
	}
}
