/*
 * Readings of the tree that both the check and the build need.
 */
#ifndef MACHINE_SETTINGS_H
#define MACHINE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"
#include "dev/pci/pci.h"
#include "vmm/cpuid.h"
#include "vmm/mem.h"

/*
 * cpus = sockets x cores x threads. What is absent is computed: cpus from the
 * others, sockets from cpus.
 */
int settings_topology(const struct config_node *root, struct cpu_topology *ret,
    struct error *err);
int settings_memory(const struct config_node *root, struct vm_mem_config *ret,
    struct error *err);
/* The name's own UUID when none is set: from host name and VM name. */
int settings_uuid(
    const struct config_node *root, uint8_t ret[16], struct error *err);

/*
 * Call fn for every "pci.B.S.F" in order of the addresses. Fails on names that
 * are no addresses, and with what fn says.
 */
typedef int (*settings_pci_fn)(void *arg, struct pci_addr addr,
    const struct config_node *node, struct error *err);
int settings_each_pci(const struct config_node *root, settings_pci_fn fn,
    void *arg, struct error *err);
/*
 * Parts below name what they were given in words of their own ("kernel /x: "):
 * when the text begins so, let it begin with the option instead.
 */
void
settings_option_error(struct error *err, const char *what, const char *option);

/* Does the error begin with the name that the bus gives this device? */
bool settings_is_about(const struct error *err, struct pci_addr addr,
    const struct config_node *node);
/* Let an error about this device begin with "-s 4,virtio-blk,/path". */
int settings_pci_error(
    struct error *err, struct pci_addr addr, const struct config_node *node);

#endif
