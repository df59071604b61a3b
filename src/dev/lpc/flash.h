/*
 * A NOR flash chip for firmware variables: blocks of 4 KiB, a byte wide,
 * Intel's command set as far as firmware uses it: read array, status,
 * identifier and CFI query, byte program, block erase.
 *
 * Sources: Intel, Common Flash Memory Interface and Command Sets (AP-646);
 * JEDEC JESD68.01 (query table); OvmfPkg/QemuFlashFvbServicesRuntimeDxe, which
 * programs without erasing first and knows the chip by a status of 0 after
 * "clear status".
 *
 * The guest reads at memory speed, since the chip is a ROM region; its writes
 * come here. While the chip shows something else than its contents, it does so
 * in the block of the last command only.
 *
 * What is programmed is in the file when the write returns, and on the medium
 * when the machine ends. The file may be shared with nobody: it is locked.
 *
 * Threads: vCPU threads; one lock.
 */
#ifndef DEV_LPC_FLASH_H
#define DEV_LPC_FLASH_H

#include <stdint.h>

#include "base/error.h"
#include "vmm/vm.h"

#define FLASH_BLOCK UINT64_C(4096)

struct flash;

/*
 * data: the contents, size bytes, a multiple of FLASH_BLOCK; copied. fd: open
 * for writing; the flash owns it, also when this fails.
 */
int flash_create(struct vm *vm, gpa_t base, const void *data, uint64_t size,
    int fd, struct flash **ret, struct error *err);
void flash_destroy(struct flash *fl); /* NULL is allowed */

#endif
