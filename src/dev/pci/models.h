/*
 * The device models, one extern a model; models.c makes the table of them.
 */
#ifndef DEV_PCI_MODELS_H
#define DEV_PCI_MODELS_H

#include "dev/pci/pci.h"

extern const struct pci_model pci_model_hostbridge;
extern const struct pci_model pci_model_amd_hostbridge;
extern const struct pci_model pci_model_lpc;
extern const struct pci_model pci_model_ahci;
extern const struct pci_model pci_model_ahci_hd;
extern const struct pci_model pci_model_ahci_cd;
extern const struct pci_model pci_model_nvme;
extern const struct pci_model pci_model_virtio_blk;
extern const struct pci_model pci_model_virtio_console;
extern const struct pci_model pci_model_virtio_net;
extern const struct pci_model pci_model_virtio_rnd;

#endif
