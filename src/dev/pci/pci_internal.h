/*
 * What the files of the PCI core share.
 *
 * Locks, in the order in which they are taken: the function's 'lock' (its
 * configuration space and where its BARs are), then 'intr_lock' (MSI-X table,
 * pending bits, INTx level), then the machine's own. What other threads ask
 * about (is the function a bus master, where is a BAR) is kept in atomics.
 */
#ifndef DEV_PCI_PCI_INTERNAL_H
#define DEV_PCI_PCI_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "dev/pci/pci.h"
#include "dev/pci/pci_regs.h"

#define PCI_NBARS 6
#define PCI_SLOTS 32u
#define PCI_FUNCS 8u
#define PCI_BUSES 256u

struct pci_bar {
	struct pci_dev *pd; /* a bus window's handler gets the BAR */
	unsigned idx;
	enum pci_bar_type type;
	uint64_t size;
	_Atomic uint64_t mapped; /* where the window is now, 0 = nowhere */
	bool refused; /* decoding is on, but the place was not free */
};

struct pci_msix_entry {
	uint64_t addr;
	uint32_t data;
	uint32_t ctrl;
};

struct pci_msix {
	unsigned n; /* vectors; 0 = no MSI-X */
	unsigned cap;
	unsigned bar;
	uint64_t offset; /* of the table in the BAR */
	uint64_t pba; /* of the pending bits, from 'offset' */
	uint64_t size; /* of both */
	bool mask_all;
	struct pci_msix_entry *table;
	uint64_t *pending;
};

struct pci_msi {
	unsigned cap; /* 0 = no MSI */
	/* copies of the registers, for senders on other threads */
	uint64_t addr;
	uint32_t data;
	bool masked;
	_Atomic bool pending;
};

struct pci_dev {
	struct pci_bus *pb;
	struct pci_dev *next; /* all functions, by address */
	struct pci_addr addr;
	const struct pci_model *model;
	void *priv;
	char name[48];

	pthread_mutex_t lock;
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t wmask[PCI_CFG_SIZE];
	struct pci_bar bar[PCI_NBARS];
	pci_bar_moved_fn bar_moved;
	unsigned cap_next; /* where the next capability goes */
	unsigned cap_last; /* the last one, 0 = none yet */
	unsigned pcie_cap;
	_Atomic uint16_t command;

	pthread_mutex_t intr_lock;
	struct pci_msix msix;
	struct pci_msi msi;
	_Atomic bool msix_on;
	_Atomic bool msi_on;
	bool intx; /* has a pin */
	unsigned gsi;
	_Atomic bool intx_level; /* as the device wants it */
	bool intx_out; /* as the interrupt controllers see it */
};

struct pci_bus {
	struct vm *vm;
	struct pci_dev *devs; /* sorted by address; constant while running */
	struct pci_dev **slot[PCI_BUSES]; /* slot * 8 + func; NULL = empty */
	_Atomic uint32_t address; /* port CF8h */
	_Atomic unsigned refused; /* BARs that wait for their place */

	pthread_mutex_t ecam_lock;
	_Atomic uint64_t ecam_base; /* 0 = off */
	uint64_t ecam_size;

	pci_pmbase_fn pmbase_fn;
	void *pmbase_arg;
	const struct config_node *lpc_conf; /* node "lpc", or NULL */
	bool have_lpc;
};

struct pci_dev *pci_lookup(
    const struct pci_bus *pb, unsigned bus, unsigned slot, unsigned func);

/* cfg.c: register the configuration windows, reach one function's space. */
int pci_cfg_windows_add(struct pci_bus *pb, struct error *err);
void pci_cfg_windows_remove(struct pci_bus *pb);
/* Any offset and width; what leaves the function's space reads as ones. */
uint64_t pci_cfg_read(struct pci_dev *pd, unsigned off, unsigned width);
void
pci_cfg_write(struct pci_dev *pd, unsigned off, unsigned width, uint64_t v);
/* Store through the writable mask; for models' cfg_write hooks. */
void
pci_cfg_store(struct pci_dev *pd, unsigned off, unsigned width, uint32_t v);
/* Command bits that are always set and that the guest cannot change. */
void pci_fix_command(struct pci_dev *pd, uint16_t bits);
/* Move the ECAM window; size 0 turns it off. For a model's cfg_write hook. */
void pci_ecam_move(struct pci_bus *pb, uint64_t base, uint64_t size);

/* bar.c; function lock held */
uint64_t pci_bar_base(const struct pci_dev *pd, unsigned idx);
/* Make the bus windows agree with the registers; true when one left. */
bool pci_bar_update_locked(struct pci_dev *pd);
void pci_bar_unmap_all_locked(struct pci_dev *pd);
/* Try again what was refused, after a window left. No lock held. */
void pci_bar_retry(struct pci_bus *pb);
void pci_bar_set_base(struct pci_dev *pd, unsigned idx, uint64_t base);

/* intr.c */
bool pci_msix_overlaps(
    const struct pci_dev *pd, unsigned bar, uint64_t off, unsigned width);
uint64_t pci_msix_read(struct pci_dev *pd, uint64_t off, unsigned width);
void pci_msix_write(
    struct pci_dev *pd, uint64_t off, unsigned width, uint64_t value);
/* A register of an interrupt capability, or the command register changed. */
void pci_intr_cfg_written_locked(struct pci_dev *pd);
uint32_t
pci_intr_cfg_bits(const struct pci_dev *pd, unsigned off, unsigned width);
void pci_intr_fini(struct pci_dev *pd);

static inline bool
pci_overlaps(unsigned off, unsigned width, unsigned base, unsigned len)
{
	return off < base + len && base < off + width;
}

#endif
