/*
 * fw_cfg under a guest that does anything: the first 256 bytes lie at the start
 * of its memory (DMA requests), the rest is a stream of port accesses.
 */
#include <stdlib.h>

#include "base/str.h"
#include "dev/fw_cfg.h"
#include "fake_vm.h"

#define MEMORY_BYTES 256u
#define BASE 0x510

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct vm *vm = fake_vm_create(1 << 20);
	struct error err = ERROR_INIT;
	size_t mem = MIN(n, MEMORY_BYTES);
	struct fw_cfg *fw;

	if (vm == NULL || fw_cfg_create(vm, &fw, &err) < 0)
		abort();
	if (fw_cfg_add_u16(fw, FW_CFG_NB_CPUS, 2) < 0 ||
	    fw_cfg_add_file(fw, "etc/e820", "0123456789abcdef", 16) < 0 ||
	    fw_cfg_add_file(fw, "bootorder", "", 0) < 0)
		abort();
	if (mem > 0 && vm_mem_write(vm->mem, GPA(0), data, mem) < 0)
		abort();
	fake_op_stream(vm, data + mem, n - mem, BASE, 16, 0, 1);
	if (vm->stops != 0 || vm->nmsi != 0)
		abort();
	fw_cfg_destroy(fw);
	fake_vm_destroy(vm);
	return 0;
}
