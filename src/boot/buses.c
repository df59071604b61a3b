/*
 * Which PCI buses hold something, and what of the windows is theirs.
 */
#include "boot/buses.h"

void
boot_buses_find(struct pci_bus *pci, struct boot_buses *ret)
{
	uint32_t slots[BOOT_MAX_BUSES] = { 0 };

	for (struct pci_dev *pd = pci_bus_next(pci, NULL); pd != NULL;
	     pd = pci_bus_next(pci, pd)) {
		struct pci_addr addr = pci_dev_addr(pd);

		slots[addr.bus] |= 1u << addr.slot;
	}
	ret->n = 0;
	for (unsigned i = 0; i < BOOT_MAX_BUSES; i++) {
		struct boot_bus *b = &ret->bus[ret->n];

		if (i != 0 && slots[i] == 0)
			continue;
		*b = (struct boot_bus){ (uint8_t)i, UINT8_MAX, slots[i] };
		pci_bus_windows(pci, i, &b->win);
		if (i != 0)
			b[-1].last = (uint8_t)(i - 1);
		ret->n++;
	}
}
