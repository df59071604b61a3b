/*
 * PCI: functions, configuration space, BARs, capabilities, interrupts.
 *
 * Sources: PCI Local Bus Specification 3.0 (chapter 6 configuration space,
 * 6.8 MSI and MSI-X), PCI Firmware Specification 3.0 (MCFG), PCI Express Base
 * 3.0 (7.2.2 ECAM).
 *
 * A device model is one constant struct pci_model, listed in the explicit table
 * pci_models[] (models.c). Its configuration arrives as a node of the
 * configuration tree; the node's keys are described by the model's key table,
 * from which checking, defaults, "-s help" and the manual come.
 *
 * Threads: config-space and BAR handlers run on vCPU threads; the core calls
 * cfg hooks with the function's lock held, BAR handlers without any lock.
 * pci_msix_send(), pci_msi_send() and pci_intx_set() may be called from any
 * thread.
 */
#ifndef DEV_PCI_PCI_H
#define DEV_PCI_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"
#include "vmm/bus.h"
#include "vmm/vm.h"

struct pci_bus; /* the root complex: all buses of the machine */
struct pci_dev;

struct pci_addr {
	uint8_t bus, slot, func;
};

enum pci_bar_type { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_model {
	const char *name; /* "virtio-blk" */
	const char *alias; /* another name that -s accepts, or NULL */
	const char *help; /* one line for "-s help" */
	const struct config_key *keys; /* ends with a row without a name */
	/*
	 * Turn the text after "-s slot,name," into values of the node. NULL:
	 * plain key=value list, commas between (a word alone is key=true).
	 */
	int (*parse)(
	    struct config_node *node, const char *opts, struct error *err);
	/*
	 * Build the device: identity, BARs, capabilities, back ends. conf has
	 * been checked against keys. On failure nothing is left behind.
	 */
	int (*init)(struct pci_dev *pd, const struct config_node *conf,
	    struct error *err);
	void (*fini)(struct pci_dev *pd);
	/* BAR accesses; idx 0-5, offset within the BAR, see bus.h. */
	uint64_t (*bar_read)(
	    struct pci_dev *pd, unsigned idx, uint64_t offset, unsigned width);
	void (*bar_write)(struct pci_dev *pd, unsigned idx, uint64_t offset,
	    unsigned width, uint64_t value);
	/*
	 * Device-specific configuration registers (offset >= 0x40, outside
	 * capabilities that the core handles). Return false to let the core
	 * read plain storage / write through the writable mask. NULL allowed.
	 * width is 1, 2 or 4 and off a multiple of it.
	 */
	bool (*cfg_read)(
	    struct pci_dev *pd, unsigned off, unsigned width, uint32_t *ret);
	bool (*cfg_write)(
	    struct pci_dev *pd, unsigned off, unsigned width, uint32_t value);
};

/* All device models, NULL-terminated. */
extern const struct pci_model *const pci_models[];
const struct pci_model *pci_model_find(const char *name);

/*
 * Check a function's node ("pci.B.S.F"): its model is known, every key is a key
 * of that model, values fit. pci_bus_add() does it too.
 */
int pci_conf_check(const struct config_node *conf, const struct pci_model **ret,
    struct error *err);

/* ---- root complex ---- */
int pci_bus_create(struct vm *vm, struct pci_bus **ret, struct error *err);
void pci_bus_destroy(struct pci_bus *pb); /* fini of all functions */
/*
 * Build one function from its node ("pci.B.S.F"). Refuses an occupied address.
 */
int pci_bus_add(struct pci_bus *pb, struct pci_addr addr,
    const struct config_node *conf, struct error *err);
/*
 * After all functions are there: check function 0 of multi-function slots, give
 * BARs addresses (the kernel booted directly finds them assigned; firmware may
 * move them), INTx pins and lines. Fails when a BAR does not fit.
 */
int pci_bus_assign(struct pci_bus *pb, struct error *err);
struct pci_dev *pci_bus_find(struct pci_bus *pb, struct pci_addr addr);
/* For boot tables. Iterate in order of address: pass NULL first. */
struct pci_dev *pci_bus_next(struct pci_bus *pb, struct pci_dev *pd);
uint64_t pci_bus_ecam_base(struct pci_bus *pb); /* 0 = turned off */
/* Window of 64-bit BARs: [base, base+size). */
void pci_bus_window64(struct pci_bus *pb, uint64_t *base, uint64_t *size);
/*
 * Which part of the machine's windows pci_bus_assign() gave to one bus: those
 * of all buses are disjoint and fill them. Size 0: nothing of that kind.
 */
struct pci_range {
	uint64_t base, size;
};
struct pci_windows {
	struct pci_range io, mem32, mem64;
};
void pci_bus_windows(struct pci_bus *pb, unsigned bus, struct pci_windows *ret);
/* Interrupt routing, the same on every bus: PIRQ (0-7) of slot's pin. */
unsigned pci_pirq_of(unsigned slot, unsigned pin);

/*
 * The LPC bridge's PMBASE and its enable bit changed: the platform moves the
 * power management block (platform_attach_pci()).
 */
typedef void (*pci_pmbase_fn)(void *arg, uint16_t base, bool enabled);
void pci_bus_on_pmbase(struct pci_bus *pb, pci_pmbase_fn fn, void *arg);
/* The tree's node "lpc" with the bridge's pcireg.* keys; NULL = none. */
void pci_bus_set_lpc_conf(struct pci_bus *pb, const struct config_node *lpc);

/* ---- for device models ---- */
struct vm *pci_dev_vm(struct pci_dev *pd);
struct pci_bus *pci_dev_bus(struct pci_dev *pd);
struct pci_addr pci_dev_addr(const struct pci_dev *pd);
const char *pci_dev_name(const struct pci_dev *pd); /* "virtio-blk 0:4:0" */
const struct pci_model *pci_dev_model(const struct pci_dev *pd);
void *pci_dev_priv(struct pci_dev *pd);
void pci_dev_set_priv(struct pci_dev *pd, void *priv);

void pci_set_id(struct pci_dev *pd, uint16_t vendor, uint16_t device,
    uint16_t subvendor, uint16_t subdevice, uint8_t revision);
/* class, subclass, programming interface */
void pci_set_class(struct pci_dev *pd, uint8_t class, uint8_t sub, uint8_t pi);
/* Raw configuration bytes and the mask of guest-writable bits. */
void pci_cfg_set(struct pci_dev *pd, unsigned off, unsigned width, uint32_t v);
uint32_t pci_cfg_get(const struct pci_dev *pd, unsigned off, unsigned width);
void pci_cfg_set_wmask(
    struct pci_dev *pd, unsigned off, unsigned width, uint32_t mask);

/*
 * Size is rounded up to a power of two (>= 4 for I/O, >= 4096 for memory). A
 * MEM64 BAR takes idx and idx+1.
 */
int pci_add_bar(struct pci_dev *pd, unsigned idx, enum pci_bar_type type,
    uint64_t size, struct error *err);
/* Where the guest has the BAR now; false while decoding is off. */
bool pci_bar_addr(struct pci_dev *pd, unsigned idx, uint64_t *ret);
/*
 * Called (on a vCPU's thread, function lock held) when a BAR appears at or
 * leaves an address, so that a device can move its ioeventfds. One per device.
 */
typedef void (*pci_bar_moved_fn)(
    struct pci_dev *pd, unsigned idx, uint64_t addr, bool enabled);
void pci_set_bar_moved(struct pci_dev *pd, pci_bar_moved_fn fn);

/* Append a vendor or other capability of len bytes (header included): returns
 * its offset, or -ENOSPC. The first two bytes are set by the core. */
int pci_add_cap(struct pci_dev *pd, uint8_t id, const void *data, uint8_t len);
/*
 * MSI-X with the table and PBA in BAR 'bar' at bar_offset (table first, PBA
 * behind it, both page-aligned; see pci_msix_bar_size). The core handles these
 * accesses before the model sees the BAR.
 */
int pci_add_msix(struct pci_dev *pd, unsigned nvectors, unsigned bar,
    uint64_t bar_offset, struct error *err);
uint64_t pci_msix_bar_size(unsigned nvectors);
int pci_add_msi(struct pci_dev *pd, struct error *err); /* one vector */
bool pci_msix_enabled(const struct pci_dev *pd);
bool pci_msi_enabled(const struct pci_dev *pd);
/* Masked vectors become pending. vector out of range is ignored. */
void pci_msix_send(struct pci_dev *pd, unsigned vector);
void pci_msi_send(struct pci_dev *pd);
/* Give the function an INTx pin (by slot), for pci_intx_set(). */
void pci_add_intx(struct pci_dev *pd);
void pci_intx_set(struct pci_dev *pd, bool level);
/* Bus-master enable: a device must not touch guest memory without it. */
bool pci_bus_master(const struct pci_dev *pd);
/* PCI Express capability as root-complex integrated endpoint. */
int pci_add_pcie(struct pci_dev *pd);

#endif
