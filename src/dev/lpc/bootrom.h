/*
 * The firmware image ("-l bootrom,romfile[,varfile]"): read-only memory that
 * ends at 4 GiB, where the boot processor starts, and below it a flash chip
 * with the firmware's variables. The last 128 KiB of the image also lie below 1
 * MiB, as RAM: a BIOS goes on there.
 *
 * Keys: lpc.bootrom, lpc.bootvars (bhyve_config(5)). Paths of the form
 * /dev/fd/N are descriptors that the parent process passed on.
 *
 * Sources: Intel SDM volume 3, 10.1.4 (first instruction at FFFFFFF0h); Intel
 * 3 Series Express Chipset datasheet (316966), system BIOS area.
 */
#ifndef DEV_LPC_BOOTROM_H
#define DEV_LPC_BOOTROM_H

#include "base/config.h"
#include "base/error.h"
#include "vmm/vm.h"

#define BOOTROM_MAX (UINT64_C(16) << 20) /* image and variables together */

struct bootrom;

/* *ret is NULL when the tree names no image. Before the vCPUs are made. */
int bootrom_create(struct vm *vm, const struct config_node *root,
    struct bootrom **ret, struct error *err);
void bootrom_destroy(struct bootrom *rom); /* NULL is allowed */

#endif
