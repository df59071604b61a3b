/*
 * The keyboard controller, ports 60h and 64h: what firmware and kernels probe,
 * and its reset line. A keyboard answers that nobody types on; there is no
 * mouse.
 *
 * Sources: Intel 8042 as in the IBM AT Technical Reference (1984), section 1,
 * "Keyboard controller" (status, commands, output port); IBM PS/2 Technical
 * Reference (1990), keyboard commands.
 *
 * Threads: vCPU threads; one lock.
 */
#ifndef DEV_LPC_KBC_H
#define DEV_LPC_KBC_H

#include "base/error.h"
#include "vmm/vm.h"

struct kbc;

int kbc_create(struct vm *vm, struct kbc **ret, struct error *err);
void kbc_destroy(struct kbc *kbc); /* NULL is allowed */

#endif
