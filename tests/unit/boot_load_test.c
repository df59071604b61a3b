/*
 * Loading into real guest memory: what a kernel finds, for both protocols, and
 * the memory map that it is told.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/str.h"
#include "boot/boot.h"
#include "boot/start.h"
#include "boot_synth.h"
#include "tap.h"
#include "vmm/memmap.h"

static struct vm_mem *mem;
static struct vcpu_state st;
static struct e820_map map;
static struct error err;
static char kernel_path[256], initrd_path[256];

static void
make_memory(uint64_t size)
{
	struct vm_mem_config conf = { .size = size, .overcommit = true };

	tap_check_int(vm_mem_create(&conf, &mem, &err), 0);
	e820_make(mem, 0, 0, MEMMAP_ECAM_BASE, &map);
}

static void
write_file(char path[256], const char *name, const void *data, size_t n)
{
	snprintf(path, 256, "%s/%s", tap_tmpdir(), name);
	tap_check_int(fd_write_file_atomic(-1, path, data, n, 0600, &err), 0);
}

static void
write_bzimage(void)
{
	static uint8_t bz[SYNTH_BZ_SIZE];

	synth_bzimage(bz);
	write_file(kernel_path, "bz", bz, sizeof(bz));
}

static void
write_elf(void)
{
	static struct synth_elf e;

	synth_elf64(&e);
	write_file(kernel_path, "elf", &e, sizeof(e));
}

static int
load(const char *cmdline, const char *initrd, const struct boot_acpi *acpi)
{
	struct boot_image img = { kernel_path, initrd, cmdline };

	return start_load(mem, &img, acpi, &map, &st, &err);
}

static uint64_t
peek(uint64_t gpa, unsigned width)
{
	uint64_t v = 0;

	tap_check_int(vm_mem_read(mem, GPA(gpa), &v, width), 0);
	return v;
}

static void
check_text(uint64_t gpa, const char *want)
{
	char got[64];

	tap_check_int(vm_mem_read(mem, GPA(gpa), got, sizeof(got)), 0);
	got[sizeof(got) - 1] = '\0';
	tap_check_str(got, want);
}

/* ---- page tables, descriptors ---- */

/* Walk the identity map as a CPU would. */
static uint64_t
walk(uint64_t va)
{
	uint64_t e = peek(st.cr3 + 8 * (va >> 39 & 511), 8);

	tap_check_u64(e & 0x83, 3);
	e = peek((e & ~UINT64_C(0xfff)) + 8 * (va >> 30 & 511), 8);
	tap_check_u64(e & 0x83, 3);
	e = peek((e & ~UINT64_C(0xfff)) + 8 * (va >> 21 & 511), 8);
	tap_check_u64(e & 0x83, 0x83);
	return (e & ~UINT64_C(0x1fffff)) | (va & 0x1fffff);
}

static void
check_descriptor(const struct x86_seg *seg)
{
	uint64_t d = peek(st.gdtr.base + (seg->sel & ~7u), 8);
	uint64_t limit = (d & 0xffff) | (d >> 32 & 0xf0000);

	tap_check(seg->sel != 0 && seg->sel + 7u <= st.gdtr.limit);
	tap_check_u64((d >> 40) & 0xf0ff, seg->attr & 0xf0ff);
	if (seg->attr & X86_ATTR_G)
		limit = limit << 12 | 0xfff;
	tap_check_u64(limit, seg->limit);
	tap_check_u64((d >> 16 & 0xffffff) | (d >> 56) << 24, seg->base);
}

static void
check_descriptors(void)
{
	tap_check_u64(st.gdtr.base, BOOT_GDT);
	check_descriptor(&st.seg[X86_CS]);
	check_descriptor(&st.seg[X86_DS]);
	check_descriptor(&st.seg[X86_ES]);
	check_descriptor(&st.seg[X86_SS]);
	check_descriptor(&st.tr);
}

/* ---- Linux ---- */

static void
linux_starts_in_64_bit_mode(void)
{
	write_bzimage();
	make_memory(128 * MiB);
	tap_check_int(load("a=b", NULL, NULL), 0);
	tap_check_u64(st.rip, SYNTH_BZ_PREF + 0x200);
	tap_check_u64(st.gpr[X86_RSI], BOOT_ZERO_PAGE);
	tap_check_u64(st.gpr[X86_RSP], BOOT_STACK);
	tap_check_u64(st.seg[X86_CS].sel, 0x10);
	tap_check_u64(st.seg[X86_DS].sel, 0x18);
	tap_check_u64(st.rflags, 2);
	tap_check_u64(st.cr3, BOOT_PAGE_TABLES);
	check_descriptors();
	for (uint64_t va = 0; va < 4 * GiB; va += 61 * MiB + 4096)
		tap_check_u64(walk(va), va);
	tap_check_u64(peek(SYNTH_BZ_PREF, 1), 0x90);
	tap_check_u64(peek(SYNTH_BZ_PREF + SYNTH_BZ_PAYLOAD - 1, 1), 0x90);
	tap_check_u64(peek(SYNTH_BZ_PREF + SYNTH_BZ_PAYLOAD, 1), 0);
	vm_mem_destroy(mem);
}

static void
linux_zero_page_is_filled(void)
{
	struct boot_acpi acpi = { GPA(0xe0000), 127 * MiB, MiB };
	static uint8_t initrd[5000];

	memset(initrd, 0x77, sizeof(initrd));
	write_bzimage();
	write_file(initrd_path, "initrd", initrd, sizeof(initrd));
	make_memory(128 * MiB);
	e820_make(mem, acpi.base, acpi.size, MEMMAP_ECAM_BASE, &map);
	tap_check_int(load("console=ttyS0", initrd_path, &acpi), 0);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x070, 8), 0xe0000);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x1e8, 1), map.count);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x1ef, 1), 0); /* sentinel */
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x1fe, 2), 0xaa55);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x202, 4), 0x53726448);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x210, 1), 0xff);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x211, 1), 0x01);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x214, 4), SYNTH_BZ_PREF);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x218, 4), 127 * MiB - 8192);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x21c, 4), sizeof(initrd));
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x0c0, 8), 0);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x228, 4), BOOT_CMDLINE);
	tap_check_u64(peek(BOOT_ZERO_PAGE + 0x250, 8), 0); /* setup_data */
	tap_check_u64(peek(127 * MiB - 8192, 1), 0x77);
	tap_check_u64(peek(127 * MiB - 8192 + 4999, 2), 0x77);
	check_text(BOOT_CMDLINE, "console=ttyS0");
	tap_check_u64(peek(0x40e, 2), BOOT_EBDA >> 4);
	tap_check_u64(peek(0x413, 2), 639);
	for (unsigned i = 0; i < map.count; i++) {
		tap_check_u64(peek(BOOT_ZERO_PAGE + 0x2d0 + i * 20, 8),
		    map.entry[i].addr);
		tap_check_u64(peek(BOOT_ZERO_PAGE + 0x2d0 + i * 20 + 16, 4),
		    map.entry[i].type);
	}
	vm_mem_destroy(mem);
}

static void
linux_cmdline_limit_is_the_headers(void)
{
	char text[3000];

	write_bzimage();
	make_memory(128 * MiB);
	memset(text, 'x', sizeof(text));
	text[2047] = '\0';
	tap_check_int(load(text, NULL, NULL), 0);
	text[2047] = 'x';
	text[2048] = '\0';
	tap_check_int(load(text, NULL, NULL), -E2BIG);
	tap_check_has(err.text, "boot.cmdline: 2048 characters");
	tap_check_has(err.text, "at most 2047");
	vm_mem_destroy(mem);
}

static void
linux_that_does_not_fit_is_refused(void)
{
	write_bzimage();
	make_memory(16 * MiB);
	tap_check_int(load(NULL, NULL, NULL), -ENOMEM);
	tap_check_has(err.text, kernel_path);
	tap_check_has(err.text, "give the machine 19M or more");
	vm_mem_destroy(mem);
}

/* ---- PVH ---- */

static void
pvh_starts_in_32_bit_mode(void)
{
	uint64_t info = BOOT_PVH_INFO, mod, memmap;

	write_elf();
	write_file(initrd_path, "initrd", "abc", 3);
	make_memory(64 * MiB);
	tap_check_int(load("quiet", initrd_path, NULL), 0);
	tap_check_u64(st.rip, SYNTH_ELF_ENTRY);
	tap_check_u64(st.gpr[X86_RBX], BOOT_PVH_INFO);
	tap_check_u64(st.cr0 & 0x80000001, 1);
	tap_check_u64(st.rflags, 2);
	check_descriptors();
	tap_check_u64(peek(info, 4), 0x336ec578);
	tap_check_u64(peek(info + 4, 4), 1);
	tap_check_u64(peek(info + 12, 4), 1);
	mod = peek(info + 16, 8);
	tap_check_u64(peek(mod, 8), 64 * MiB - 4096);
	tap_check_u64(peek(mod + 8, 8), 3);
	check_text(peek(info + 24, 8), "quiet");
	tap_check_u64(peek(info + 32, 8), 0);
	memmap = peek(info + 40, 8);
	tap_check_u64(peek(info + 48, 4), map.count);
	for (unsigned i = 0; i < map.count; i++) {
		tap_check_u64(peek(memmap + 24 * i, 8), map.entry[i].addr);
		tap_check_u64(peek(memmap + 24 * i + 8, 8), map.entry[i].size);
		tap_check_u64(peek(memmap + 24 * i + 16, 4), map.entry[i].type);
	}
	tap_check_u64(peek(SYNTH_ELF_TEXT, 1), 0xf4);
	tap_check_u64(peek(SYNTH_ELF_DATA + 255, 2), 0xda);
	check_text(64 * MiB - 4096, "abc");
	vm_mem_destroy(mem);
}

static void
pvh_without_modules(void)
{
	write_elf();
	make_memory(4 * MiB);
	tap_check_int(load(NULL, NULL, NULL), 0);
	tap_check_u64(peek(BOOT_PVH_INFO + 12, 4), 0);
	tap_check_u64(peek(BOOT_PVH_INFO + 16, 8), 0);
	check_text(BOOT_CMDLINE, "");
	vm_mem_destroy(mem);
}

static void
missing_files_are_named(void)
{
	write_elf();
	make_memory(4 * MiB);
	tap_check_int(load(NULL, "/nonexistent/i", NULL), -ENOENT);
	tap_check_has(err.text, "initrd /nonexistent/i: cannot open");
	snprintf(kernel_path, sizeof(kernel_path), "/nonexistent/k");
	tap_check_int(load(NULL, NULL, NULL), -ENOENT);
	tap_check_has(err.text, "kernel /nonexistent/k: cannot open");
	vm_mem_destroy(mem);
}

/* ---- e820 ---- */

static uint64_t
sum_of(enum e820_type type)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < map.count; i++) {
		if (map.entry[i].type == type)
			sum += map.entry[i].size;
	}
	return sum;
}

static void
check_map(uint64_t size, uint64_t acpi_size)
{
	uint64_t low, hole = 0x100000 - BOOT_EBDA, end = 0;

	make_memory(size);
	low = vm_mem_low_size(mem);
	e820_make(mem, low - acpi_size, acpi_size, MEMMAP_ECAM_BASE, &map);
	for (unsigned i = 0; i < map.count; i++) {
		tap_check(map.entry[i].size > 0);
		tap_check(map.entry[i].addr >= end);
		end = map.entry[i].addr + map.entry[i].size;
	}
	tap_check_u64(sum_of(E820_RAM), size - hole - acpi_size);
	tap_check_u64(sum_of(E820_ACPI), acpi_size);
	vm_mem_destroy(mem);
}

static void
e820_is_sorted_and_disjoint(void)
{
	static const uint64_t sizes[] = { 1, 2, 3, 16, 127, 128, 1024, 2815,
		2816, 2817, 3072, 4095, 4096, 4097, 8192, 65536 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		check_map(sizes[i] * MiB, 0);
		if (sizes[i] > 1)
			check_map(sizes[i] * MiB, 0x5000);
	}
}

static void
e820_reserves_what_is_not_ram(void)
{
	make_memory(4 * GiB);
	tap_check_u64(map.entry[0].addr, 0);
	tap_check_u64(map.entry[0].size, BOOT_EBDA);
	for (unsigned i = 0; i < map.count; i++) {
		const struct e820_entry *e = &map.entry[i];

		if (e->type == E820_RAM)
			tap_check(
			    vm_mem_ram(mem, GPA(e->addr), e->size) != NULL);
		if (e->addr == MEMMAP_ECAM_BASE)
			tap_check_u64(e->size, MEMMAP_ECAM_SIZE);
	}
	tap_check_u64(map.entry[map.count - 1].addr, 4 * GiB);
	vm_mem_destroy(mem);
}

static const struct tap_test tests[] = {
	TAP_TEST(linux_starts_in_64_bit_mode),
	TAP_TEST(linux_zero_page_is_filled),
	TAP_TEST(linux_cmdline_limit_is_the_headers),
	TAP_TEST(linux_that_does_not_fit_is_refused),
	TAP_TEST(pvh_starts_in_32_bit_mode),
	TAP_TEST(pvh_without_modules),
	TAP_TEST(missing_files_are_named),
	TAP_TEST(e820_is_sorted_and_disjoint),
	TAP_TEST(e820_reserves_what_is_not_ram),
};
TAP_MAIN(tests)
