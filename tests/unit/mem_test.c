/*
 * Guest memory: where it is, what is refused, dirty tracking.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/str.h"
#include "tap.h"
#include "vmm/mem.h"
#include "vmm/memhost.h"
#include "vmm/memmap.h"

static struct vm_mem *
create(uint64_t size)
{
	const struct vm_mem_config conf = { .size = size, .overcommit = true };
	struct error err = ERROR_INIT;
	struct vm_mem *mem;

	if (vm_mem_create(&conf, &mem, &err) != 0)
		tap_fail("%s", err.text);
	return mem;
}

static void
refuses(const struct vm_mem_config *conf, int code, const char *part)
{
	struct error err = ERROR_INIT;
	struct vm_mem *mem;

	tap_check_int(vm_mem_create(conf, &mem, &err), -code);
	tap_check_has(err.text, part);
}

static void
layout_below_hole(void)
{
	struct vm_mem *mem = create(16 * MiB);
	const struct mem_region *reg;

	tap_check_u64(vm_mem_size(mem), 16 * MiB);
	tap_check_u64(vm_mem_low_size(mem), 16 * MiB);
	tap_check_u64(vm_mem_high_size(mem), 0);
	tap_check_u64(vm_mem_regions(mem, &reg), 1);
	tap_check_u64((uintptr_t)reg->host % (2 * MiB), 0);
	vm_mem_destroy(mem);
}

static void
layout_around_hole(void)
{
	struct vm_mem *mem = create(MEMMAP_LOW_RAM_END + 64 * MiB);
	const struct mem_region *reg;

	tap_check_u64(vm_mem_low_size(mem), MEMMAP_LOW_RAM_END);
	tap_check_u64(vm_mem_high_size(mem), 64 * MiB);
	tap_check_u64(vm_mem_regions(mem, &reg), 2);
	tap_check_u64(reg[1].base.v, MEMMAP_HIGH_RAM);
	tap_check_u64(reg[1].fd_offset, MEMMAP_LOW_RAM_END);
	tap_check_int(reg[1].fd, reg[0].fd);
	tap_check(vm_mem_ram(mem, GPA(MEMMAP_LOW_RAM_END), 1) == NULL);
	tap_check(vm_mem_ram(mem, GPA(MEMMAP_LOW_RAM_END - 1), 1) != NULL);
	tap_check(vm_mem_ram(mem, GPA(MEMMAP_LOW_RAM_END - 1), 2) == NULL);
	tap_check(vm_mem_ram(mem, GPA(MEMMAP_HIGH_RAM - 1), 2) == NULL);
	tap_check(vm_mem_ram(mem, GPA(MEMMAP_HIGH_RAM), 64 * MiB) != NULL);
	tap_check(vm_mem_ram(mem, GPA(MEMMAP_HIGH_RAM), 64 * MiB + 1) == NULL);
	vm_mem_destroy(mem);
}

static void
bounds(void)
{
	struct vm_mem *mem = create(2 * MiB);
	uint8_t b[4] = { 1, 2, 3, 4 };

	tap_check(vm_mem_ram(mem, GPA(0), 0) == NULL);
	tap_check(vm_mem_ram(mem, GPA(0), 2 * MiB) != NULL);
	tap_check(vm_mem_ram(mem, GPA(1), 2 * MiB) == NULL);
	tap_check(vm_mem_ram(mem, GPA(2 * MiB), 1) == NULL);
	tap_check(vm_mem_ram(mem, GPA(UINT64_MAX), 1) == NULL);
	tap_check(vm_mem_ram(mem, GPA(UINT64_MAX), 2) == NULL);
	tap_check(vm_mem_ram(mem, GPA(1), UINT64_MAX) == NULL);
	tap_check(vm_mem_ram(mem, GPA(UINT64_MAX - 1), UINT64_MAX) == NULL);
	tap_check_int(vm_mem_write(mem, GPA(2 * MiB - 4), b, 4), 0);
	tap_check_int(vm_mem_write(mem, GPA(2 * MiB - 3), b, 4), -EFAULT);
	memset(b, 0, sizeof(b));
	tap_check_int(vm_mem_read(mem, GPA(2 * MiB - 4), b, 4), 0);
	tap_check_int(b[3], 4);
	tap_check_int(vm_mem_zero(mem, GPA(2 * MiB - 1), 1), 0);
	tap_check_int(vm_mem_zero(mem, GPA(2 * MiB), 1), -EFAULT);
	tap_check_int(vm_mem_read(mem, GPA(2 * MiB - 1), b, 1), 0);
	tap_check_int(b[0], 0);
	vm_mem_destroy(mem);
}

static void
rom(void)
{
	struct vm_mem *mem = create(2 * MiB);
	struct error err = ERROR_INIT;
	uint8_t b[4] = { 9, 8, 7, 6 };
	const struct mem_region *reg;

	tap_check_int(vm_mem_add_rom(mem, "rom", GPA(0xffffe000), 0x2000, b,
			  sizeof(b), &err),
	    0);
	memset(b, 0xff, sizeof(b));
	tap_check_int(vm_mem_read(mem, GPA(0xffffe000), b, 4), 0);
	tap_check_int(b[0], 9);
	tap_check_int(vm_mem_write(mem, GPA(0xffffe000), b, 4), -EFAULT);
	tap_check(vm_mem_ram(mem, GPA(0xffffe000), 4) == NULL);
	tap_check_int(vm_mem_read(mem, GPA(0xffffffff), b, 2), -EFAULT);
	tap_check_u64(vm_mem_regions(mem, &reg), 2);
	tap_check_int(reg[1].kind, MEM_ROM);
	tap_check_u64(reg[1].slot, 1);
	vm_mem_destroy(mem);
}

static void
rom_refused(void)
{
	struct vm_mem *mem = create(2 * MiB);
	struct error err = ERROR_INIT;
	const struct mem_region *reg;
	unsigned i;

	tap_check_int(
	    vm_mem_add_rom(mem, "x", GPA(MiB), 0x1000, "", 0, &err), -EEXIST);
	tap_check_has(err.text, "overlaps low");
	tap_check_int(
	    vm_mem_add_rom(mem, "x", GPA(0x80000800), 0x1000, "", 0, &err),
	    -EINVAL);
	tap_check_int(
	    vm_mem_add_rom(mem, "x", GPA(0x80000000), 0x800, "", 0, &err),
	    -EINVAL);
	tap_check_int(
	    vm_mem_add_rom(mem, "x", GPA(0x80000000), 0, "", 0, &err), -EINVAL);
	tap_check_int(vm_mem_add_rom(mem, "x", GPA(UINT64_MAX - 0xfff), 0x2000,
			  "", 0, &err),
	    -EINVAL);
	for (i = 1; i < MEM_MAX_REGIONS; i++)
		tap_check_int(vm_mem_add_rom(mem, "x",
				  GPA(0x80000000 + i * UINT64_C(0x1000)),
				  0x1000, "", 0, &err),
		    0);
	tap_check_int(
	    vm_mem_add_rom(mem, "x", GPA(0x90000000), 0x1000, "", 0, &err),
	    -ENOSPC);
	tap_check_u64(vm_mem_regions(mem, &reg), MEM_MAX_REGIONS);
	vm_mem_destroy(mem);
}

static void
config_refused(void)
{
	refuses(&(struct vm_mem_config){ .size = 0 }, EINVAL, "MiB");
	refuses(&(struct vm_mem_config){ .size = MiB + 1 }, EINVAL, "1048577");
	refuses(&(struct vm_mem_config){ .size = UINT64_C(1) << 50 }, EINVAL,
	    "limit");
	refuses(&(struct vm_mem_config){ .size = MiB, .page_size = 4096 },
	    EINVAL, "page size 4096");
	refuses(
	    &(struct vm_mem_config){ .size = 3 * MiB, .page_size = 2 * MiB },
	    EINVAL, "multiple");
}

static void
host_checks(void)
{
	const struct mem_host rich = { UINT64_MAX, 0, UINT64_MAX, UINT64_MAX,
		UINT64_MAX };
	struct vm_mem_config conf = { .size = 64 * MiB };
	struct error err = ERROR_INIT;
	struct mem_host host = rich;

	tap_check_int(mem_host_check(&host, &conf, &err), 0);
	host.available = 63 * MiB;
	tap_check_int(mem_host_check(&host, &conf, &err), -ENOMEM);
	tap_check_has(err.text, "has available, 63 MiB");
	conf.overcommit = true;
	tap_check_int(mem_host_check(&host, &conf, &err), 0);
	host.cgroup = 63 * MiB;
	tap_check_int(mem_host_check(&host, &conf, &err), -ENOMEM);
	tap_check_has(err.text, "control group");
	host = rich;
	host.address_space = MiB;
	tap_check_int(mem_host_check(&host, &conf, &err), -ENOMEM);
	tap_check_has(err.text, "ulimit -v");
	host = rich;
	conf.page_size = 2 * MiB;
	host.hugepages = 62 * MiB;
	tap_check_int(mem_host_check(&host, &conf, &err), -ENOMEM);
	tap_check_has(err.text, "needs 32 huge pages of 2 MiB, 31 are free");
	/* Huge pages were set aside; what else is free does not matter. */
	host.hugepages = 64 * MiB;
	host.available = 0;
	tap_check_int(mem_host_check(&host, &conf, &err), 0);
}

static void
host_is_read(void)
{
	struct mem_host host;

	mem_host_read(&host, 2 * MiB);
	tap_note("available %u MiB, cgroup %u MiB",
	    (unsigned)(host.available / MiB), (unsigned)(host.cgroup / MiB));
	tap_check(host.available > MiB && host.available < UINT64_MAX);
	/* More than any host has: refused before anything is made. */
	refuses(
	    &(struct vm_mem_config){ .size = 32 * 1024 * GiB }, ENOMEM, "MiB");
}

static void
address_space_limit(void)
{
	unsigned long pages = 0;
	struct rlimit lim;
	FILE *f;

	f = fopen("/proc/self/statm", "re");
	tap_check(f != NULL && fscanf(f, "%lu", &pages) == 1);
	fclose(f);
	lim.rlim_cur = lim.rlim_max = pages * PAGE_SIZE_4K + GiB;
	tap_check_int(setrlimit(RLIMIT_AS, &lim), 0);
	refuses(&(struct vm_mem_config){ .size = 2 * GiB, .overcommit = true },
	    ENOMEM, "ulimit -v");
}

static void
wired(void)
{
	const struct vm_mem_config conf = {
		.size = 2 * MiB, .wired = true, .in_core = true
	};
	struct error err = ERROR_INIT;
	struct vm_mem *mem;

	if (vm_mem_create(&conf, &mem, &err) != 0)
		tap_skip("%s", err.text);
	vm_mem_destroy(mem);
}

static void
hugepages(void)
{
	const struct vm_mem_config conf = { .size = 2 * MiB,
		.page_size = 2 * MiB };
	struct error err = ERROR_INIT;
	struct vm_mem *mem;

	if (vm_mem_create(&conf, &mem, &err) != 0)
		tap_skip("%s", err.text);
	tap_check(vm_mem_ram(mem, GPA(0), 2 * MiB) != NULL);
	vm_mem_destroy(mem);
}

static void
dirty(void)
{
	struct vm_mem *mem = create(2 * MiB);
	uint64_t bits[512 / 64] = { 0 };
	struct error err = ERROR_INIT;

	tap_check_int(vm_mem_zero(mem, GPA(0), 1), 0); /* not tracked yet */
	tap_check_int(vm_mem_dirty_start(mem, &err), 0);
	tap_check_int(vm_mem_zero(mem, GPA(0x1fff), 2), 0); /* pages 1, 2 */
	tap_check_int(vm_mem_zero(mem, GPA(2 * MiB - 1), 1), 0);
	bits[1] = 1; /* kept: bits are OR-ed in */
	vm_mem_dirty_take(mem, 0, bits);
	tap_check_u64(bits[0], 6);
	tap_check_u64(bits[1], 1);
	tap_check_u64(bits[7], UINT64_C(1) << 63);
	memset(bits, 0, sizeof(bits));
	vm_mem_dirty_take(mem, 0, bits);
	vm_mem_dirty_take(mem, 5, bits);
	tap_check_u64(bits[0] | bits[7], 0);
	vm_mem_dirty(mem, bits, sizeof(bits)); /* no guest memory: ignored */
	vm_mem_dirty_stop(mem);
	tap_check_int(vm_mem_zero(mem, GPA(0), 1), 0);
	vm_mem_dirty_take(mem, 0, bits);
	tap_check_u64(bits[0], 0);
	vm_mem_destroy(mem);
}

static const struct tap_test tests[] = {
	TAP_TEST(layout_below_hole),
	TAP_TEST(layout_around_hole),
	TAP_TEST(bounds),
	TAP_TEST(rom),
	TAP_TEST(rom_refused),
	TAP_TEST(config_refused),
	TAP_TEST(host_checks),
	TAP_TEST(host_is_read),
	TAP_TEST(address_space_limit),
	TAP_TEST(wired),
	TAP_TEST(hugepages),
	TAP_TEST(dirty),
};
TAP_MAIN(tests)
