/*
 * What a machine needs and nobody chose: PCI slots of disks and NICs, Ethernet
 * addresses. Chosen once, before a boot, and kept in the configuration, so that
 * a guest finds its devices where it left them.
 */
#ifndef ZONE_ASSIGN_H
#define ZONE_ASSIGN_H

#include <stdbool.h>

#include "base/error.h"
#include "zone/conf.h"
#include "zone/type.h"

/* Devices of bus 0, as the brand lays them out (docs/zones.md). */
enum zone_pci_dev {
	ZONE_PCI_HOSTBRIDGE = 0,
	ZONE_PCI_CDROM = 3,
	ZONE_PCI_BOOTDISK = 4,
	ZONE_PCI_DISK = 5,
	ZONE_PCI_NET = 6,
	ZONE_PCI_RNG = 10,
	ZONE_PCI_FBUF = 30,
	ZONE_PCI_LPC = 31,
};

/*
 * Choose. *ret_changed: conf has something new, which is to be saved. Errors
 * name the resource: a slot that is taken or reserved, a ninth function, a
 * function without its function 0, NICs of which none is the primary one.
 */
int zone_assign(struct zone_conf *conf, bool *ret_changed, struct error *err);

/* Is it something that the guest sees as a disk? A device needs a model. */
bool zone_res_is_disk(const struct zone_res *res);
/* Its path: a disk's path, a device's match. */
const char *zone_res_disk_path(const struct zone_res *res);
/* The next disk or device that is one, behind *at, which begins as ZONE_NEW. */
const struct zone_res *
zone_conf_next_disk(const struct zone_conf *conf, size_t *at);
/* The slot of a disk or NIC of a configuration that was assigned. */
int zone_res_slot(const struct zone_res *res, struct zone_slot *ret);
/* A boolean row, whichever way it is said. */
bool zone_res_flag(const struct zone_res *res, const char *prop);

#endif
