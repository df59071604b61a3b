/*
 * The table of all PCI device models: the only place that names them. A model
 * adds its extern line and its row here.
 */
#include "dev/pci/models.h"

#include <stddef.h>

const struct pci_model *const pci_models[] = {
	&pci_model_hostbridge,
	&pci_model_amd_hostbridge,
	&pci_model_lpc,
	&pci_model_ahci,
	&pci_model_ahci_hd,
	&pci_model_ahci_cd,
	&pci_model_nvme,
	&pci_model_virtio_blk,
	&pci_model_virtio_console,
	&pci_model_virtio_net,
	&pci_model_virtio_rnd,
	NULL,
};
