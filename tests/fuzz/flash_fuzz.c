/*
 * The flash chip under a guest that does anything: a stream of memory accesses
 * around its window (see fake_op_stream()). Afterwards "read array" shows what
 * the file holds, at every address.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "dev/lpc/flash.h"
#include "fake_vm.h"

#define BASE UINT64_C(0xffc00000)
#define SIZE (3 * FLASH_BLOCK)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t seen[SIZE], file[SIZE];
	struct vm *vm = fake_vm_create(1 << 20);
	struct error err = ERROR_INIT;
	struct flash *fl;
	int fd = fd_memfd("vars", SIZE, 0), look = dup(fd);

	memset(file, 0x5a, SIZE);
	if (vm == NULL || look < 0 || pwrite(fd, file, SIZE, 0) != SIZE ||
	    flash_create(vm, GPA(BASE), file, SIZE, fd, &fl, &err) < 0)
		abort();
	fake_op_stream(vm, data, n, 0, 1, BASE - 16, SIZE + 32);
	/* "no command", once more if it was data, and read array */
	fake_store(vm, BASE, 1, 0xff);
	fake_store(vm, BASE, 1, 0xff);
	if (vm_mem_read(vm->mem, GPA(BASE), seen, SIZE) < 0 ||
	    pread(look, file, SIZE, 0) != SIZE || memcmp(seen, file, SIZE) != 0)
		abort();
	if (vm->stops != 0 || vm->nmsi != 0)
		abort();
	close(look);
	flash_destroy(fl);
	fake_vm_destroy(vm);
	return 0;
}
