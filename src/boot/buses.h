/*
 * PCI buses as boot tables name them: a root bridge each, since nothing
 * connects them (bhyve's "-s bus:slot:func").
 */
#ifndef BOOT_BUSES_H
#define BOOT_BUSES_H

#include <stdint.h>

#include "dev/pci/pci.h"

#define BOOT_MAX_BUSES 256

struct boot_bus {
	uint8_t number;
	uint8_t last; /* the bridge owns [number, last] */
	uint32_t slots; /* bit n: slot n is occupied */
	struct pci_windows win;
};

struct boot_buses {
	unsigned n; /* at least 1: bus 0 */
	struct boot_bus bus[BOOT_MAX_BUSES];
};

void boot_buses_find(struct pci_bus *pci, struct boot_buses *ret);

#endif
