/*
 * The firmware configuration device: by port, by DMA, and by a guest that aims
 * DMA where it should not.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "dev/fw_cfg.h"
#include "fake_vm.h"
#include "tap.h"

#define RAM (UINT64_C(4) << 20)
#define REQUEST 0x1000
#define TARGET 0x2000

static struct vm *vm;
static struct fw_cfg *fw;

static void
start(void)
{
	struct error err = ERROR_INIT;

	vm = fake_vm_create(RAM);
	tap_check(vm != NULL);
	tap_check_int(fw_cfg_create(vm, &fw, &err), 0);
	tap_check_int(fw_cfg_add_u16(fw, FW_CFG_NB_CPUS, 3), 0);
	tap_check_int(fw_cfg_add_u64(fw, FW_CFG_RAM_SIZE, RAM), 0);
	tap_check_int(fw_cfg_add_file(fw, "opt/zz", "last", 4), 0);
	tap_check_int(fw_cfg_add_file(fw, "etc/e820", "0123456789", 10), 0);
	tap_check_int(fw_cfg_add_file(fw, "opt/empty", "", 0), 0);
}

static void
finish(void)
{
	fw_cfg_destroy(fw);
	fake_vm_destroy(vm);
}

static void
select_key(unsigned key)
{
	fake_out(vm, 0x510, 2, key);
}

static void
read_port(void *to, size_t n)
{
	uint8_t *p = to;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)fake_in(vm, 0x511, 1);
}

static void
by_port(void)
{
	uint8_t b[16];

	start();
	select_key(FW_CFG_SIGNATURE);
	read_port(b, 6);
	tap_check_mem(b, "QEMU\0\0", 6); /* zeros behind the end */
	select_key(FW_CFG_ID);
	read_port(b, 4);
	tap_check_u64(load_le32(b), 3);
	select_key(FW_CFG_NB_CPUS | 0x4000);
	read_port(b, 2);
	tap_check_u64(load_le16(b), 3);
	select_key(FW_CFG_RAM_SIZE);
	read_port(b, 8);
	tap_check_u64(load_le64(b), RAM);
	select_key(0x1234);
	tap_check_u64(fake_in(vm, 0x511, 1), 0);
	select_key(0xffff);
	tap_check_u64(fake_in(vm, 0x511, 1), 0);
	finish();
}

static void
directory(void)
{
	static const char *const names[] = { "etc/e820", "opt/empty",
		"opt/zz" };
	static const uint32_t sizes[] = { 10, 0, 4 };
	uint8_t b[4 + 3 * 64];

	start();
	select_key(FW_CFG_FILE_DIR);
	read_port(b, sizeof(b));
	tap_check_u64(load_be32(b), 3);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *e = b + 4 + 64 * i;

		tap_check_u64(load_be32(e), sizes[i]);
		tap_check_u64(load_be16(e + 4), 0x20 + i);
		tap_check_str((const char *)e + 8, names[i]);
	}
	select_key(0x22);
	read_port(b, 5);
	tap_check_mem(b, "last", 5);
	select_key(0x23);
	tap_check_u64(fake_in(vm, 0x511, 1), 0);
	/* the numbers are given away */
	tap_check_int(fw_cfg_add_file(fw, "late", "", 0), -EBUSY);
	finish();
}

static void
bad_contents(void)
{
	char name[64];

	start();
	memset(name, 'n', sizeof(name));
	name[56] = '\0';
	tap_check_int(fw_cfg_add_file(fw, name, "", 0), -ENAMETOOLONG);
	name[55] = '\0';
	tap_check_int(fw_cfg_add_file(fw, name, "", 0), 0);
	tap_check_int(fw_cfg_add_file(fw, name, "", 0), -EEXIST);
	tap_check_int(fw_cfg_add_file(fw, "", "", 0), -ENAMETOOLONG);
	tap_check_int(fw_cfg_add_u32(fw, FW_CFG_ID, 0), -EEXIST);
	tap_check_int(fw_cfg_add_u32(fw, 0x20, 0), -EINVAL);
	tap_check_int(fw_cfg_add_u32(fw, FW_CFG_FILE_DIR, 0), -EINVAL);
	finish();
}

/* Run one request at REQUEST; returns the control word that comes back. */
static uint32_t
dma_at(uint64_t at, uint32_t control, uint32_t n, uint64_t addr)
{
	uint8_t req[16];

	store_be32(req, control);
	store_be32(req + 4, n);
	store_be64(req + 8, addr);
	vm_mem_write(vm->mem, GPA(at), req, sizeof(req));
	fake_out(vm, 0x514, 4, __builtin_bswap32((uint32_t)(at >> 32)));
	fake_out(vm, 0x518, 4, __builtin_bswap32((uint32_t)at));
	if (vm_mem_read(vm->mem, GPA(at), req, 4) < 0)
		return UINT32_MAX;
	return load_be32(req);
}

static uint32_t
dma(uint32_t control, uint32_t n, uint64_t addr)
{
	return dma_at(REQUEST, control, n, addr);
}

#define SELECT(key) (0x08u | (uint32_t)(key) << 16)
#define READ 0x02u
#define SKIP 0x04u
#define WRITE 0x10u

static void
by_dma(void)
{
	uint8_t b[32], want[32] = { 0 };

	start();
	tap_check_u64(fake_in(vm, 0x514, 4), 0x554d4551);
	tap_check_u64(fake_in(vm, 0x518, 4), 0x47464320);
	tap_check_u64(dma(SELECT(0x20) | READ, 4, TARGET), 0);
	vm_mem_read(vm->mem, GPA(TARGET), b, 4);
	tap_check_mem(b, "0123", 4);
	tap_check_u64(dma(SKIP, 2, 0), 0);
	/* the rest, and zeros where it ends */
	memset(b, 0xff, sizeof(b));
	vm_mem_write(vm->mem, GPA(TARGET), b, sizeof(b));
	tap_check_u64(dma(READ, 20, TARGET), 0);
	vm_mem_read(vm->mem, GPA(TARGET), b, 21);
	memcpy(want, "6789", 4);
	want[20] = 0xff;
	tap_check_mem(b, want, 21);
	tap_check_u64(dma(SELECT(0x999) | READ, 4, TARGET), 0);
	tap_check_u64(dma(0, 4, TARGET), 0);
	tap_check_u64(dma(SKIP, UINT32_MAX, 0), 0);
	finish();
}

static void
hostile_dma(void)
{
	uint8_t before[16], after[16];

	start();
	/* targets outside memory, also in part */
	tap_check_u64(dma(SELECT(0x20) | READ, 4, RAM), 1);
	tap_check_u64(dma(SELECT(0x20) | READ, 4, RAM - 2), 1);
	tap_check_u64(dma(SELECT(0x20) | READ, 4, UINT64_MAX - 1), 1);
	tap_check_u64(dma(SELECT(0x20) | READ, 4, MEMMAP_ECAM_BASE), 1);
	tap_check_u64(dma(SELECT(0x20) | READ, UINT32_MAX, TARGET), 1);
	tap_check_u64(dma(READ, 0, UINT64_MAX), 0);
	/* nothing can be written */
	tap_check_u64(dma(SELECT(0x20) | WRITE, 4, TARGET), 1);
	/* a request that is not in memory, or half */
	dma_at(RAM, SELECT(0x20) | READ, 4, TARGET);
	dma_at(RAM - 8, SELECT(0x20) | READ, 4, TARGET);
	dma_at(UINT64_MAX - 3, READ, 4, TARGET);
	/* one whose data lands on itself */
	tap_check_u64(dma(SELECT(0x20) | READ, 16, REQUEST), 0);
	/* odd accesses start nothing */
	vm_mem_read(vm->mem, GPA(REQUEST), before, sizeof(before));
	fake_out(vm, 0x518, 1, 0);
	fake_out(vm, 0x51a, 2, 0x0010);
	fake_out(vm, 0x516, 4, 0x00100000);
	vm_mem_read(vm->mem, GPA(REQUEST), after, sizeof(after));
	tap_check_mem(after, before, sizeof(after));
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(by_port),
	TAP_TEST(directory),
	TAP_TEST(bad_contents),
	TAP_TEST(by_dma),
	TAP_TEST(hostile_dma),
};
TAP_MAIN(tests)
