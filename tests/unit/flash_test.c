/*
 * The flash chip as a firmware drives it, and as a hostile guest does; the file
 * behind it after every step.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/lpc/flash.h"
#include "fake_vm.h"
#include "tap.h"

#define BASE UINT64_C(0xffc00000)
#define SIZE (4 * FLASH_BLOCK)

static struct vm *vm;
static struct flash *fl;
static char path[64];
static uint8_t contents[SIZE];

static void
start(int mode)
{
	struct error err = ERROR_INIT;
	int fd;

	snprintf(path, sizeof(path), "/tmp/flash-test.XXXXXX");
	fd = mkstemp(path);
	tap_check(fd >= 0);
	for (size_t i = 0; i < SIZE; i++)
		contents[i] = (uint8_t)(i * 7 + i / 4096 + 1);
	tap_check_int(write(fd, contents, SIZE), SIZE);
	close(fd);
	vm = fake_vm_create(4 * MiB);
	tap_check(vm != NULL);
	fd = open(path, mode | O_CLOEXEC);
	tap_check_int(
	    flash_create(vm, GPA(BASE), contents, SIZE, fd, &fl, &err), 0);
}

static void
finish(void)
{
	flash_destroy(fl);
	fake_vm_destroy(vm);
	unlink(path);
}

static void
put(uint64_t off, uint8_t v)
{
	fake_store(vm, BASE + off, 1, v);
}

/* As an engine reads: from the region. */
static uint8_t
get(uint64_t off)
{
	uint8_t v = 0;

	tap_check_int(vm_mem_read(vm->mem, GPA(BASE + off), &v, 1), 0);
	tap_check_u64(fake_load(vm, BASE + off, 1), v);
	return v;
}

/* The guest sees what the test has in contents, and the file holds it. */
static void
check_contents(void)
{
	static uint8_t b[SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	tap_check_int(vm_mem_read(vm->mem, GPA(BASE), b, SIZE), 0);
	tap_check_mem(b, contents, SIZE);
	memset(b, 0, SIZE);
	tap_check_int(pread(fd, b, SIZE, 0), SIZE);
	tap_check_mem(b, contents, SIZE);
	close(fd);
}

/* What QemuFlashDetected() of OVMF does. */
static void
firmware_recognises_it(void)
{
	uint8_t before;

	start(O_RDWR);
	before = get(0x10);
	tap_check(before != 0x50 && before != 0x70 && before != 0);
	put(0x10, 0x50);
	tap_check_u64(get(0x10), before); /* no RAM */
	put(0x10, 0x70);
	tap_check_u64(get(0x10), 0); /* no ROM */
	put(0x10, 0xff);
	tap_check_u64(get(0x10), before);
	check_contents();
	finish();
}

static void
programs_and_erases(void)
{
	start(O_RDWR);
	for (unsigned i = 0; i < 3; i++) {
		put(5000 + i, 0x10);
		put(5000 + i, (uint8_t)(0xa0 + i));
		contents[5000 + i] = (uint8_t)(0xa0 + i);
	}
	tap_check_u64(get(5000) & 0x80, 0x80); /* status until ... */
	put(5000, 0xff);
	check_contents();
	put(2 * 4096 + 17, 0x20);
	put(2 * 4096 + 17, 0xd0);
	memset(contents + 2 * 4096, 0xff, 4096);
	tap_check_u64(get(2 * 4096), 0x80);
	tap_check_u64(get(4096), contents[4096]); /* elsewhere the array */
	put(0, 0xff);
	check_contents();
	/* a wider store programs as many bytes */
	fake_store(vm, BASE + 64, 4, 0x40);
	fake_store(vm, BASE + 64, 4, 0x44332211);
	store_le32(contents + 64, 0x44332211);
	put(64, 0xff);
	check_contents();
	/* into the next block, while the chip answers in the first */
	put(4094, 0x10);
	fake_store(vm, BASE + 4094, 4, 0x88776655);
	store_le32(contents + 4094, 0x88776655);
	tap_check_u64(get(4094), 0x80);
	tap_check_u64(get(4097), 0x88);
	put(0, 0xff);
	check_contents();
	finish();
}

static void
wrong_sequences_change_nothing(void)
{
	start(O_RDWR);
	put(100, 0x20);
	put(100, 0x12); /* no confirmation */
	tap_check_u64(get(100), 0xb0);
	put(100, 0x50);
	put(100, 0x70);
	tap_check_u64(get(100), 0);
	put(100, 0xe8); /* no such command */
	put(100, 0x33);
	check_contents();
	/* at the end: nothing behind it is touched */
	fake_store(vm, BASE + SIZE - 2, 4, 0x10);
	fake_store(vm, BASE + SIZE - 1, 1, 0x10);
	fake_store(vm, BASE + SIZE - 1, 8, 0);
	put(0, 0xff); /* the program command still waits for its byte */
	contents[0] = 0xff;
	put(0, 0xff);
	check_contents();
	finish();
}

static void
tells_what_it_is(void)
{
	start(O_RDWR);
	put(0x55, 0x98);
	tap_check_u64(get(0x10), 'Q');
	tap_check_u64(get(0x11), 'R');
	tap_check_u64(get(0x12), 'Y');
	tap_check_u64(get(0x13), 1);
	tap_check_u64(get(0x27), 14); /* 16 KiB */
	tap_check_u64(get(0x2d), 3); /* blocks - 1 */
	tap_check_u64(get(0x2f), 0x10); /* of 0x10 * 256 bytes */
	put(4096, 0x90);
	tap_check_u64(get(0x10), contents[0x10]);
	tap_check_u64(get(4096), 0x89);
	put(4096, 0xff);
	check_contents();
	finish();
}

/* A file that cannot be written: the chip reports it and stays as it was. */
static void
a_write_error_is_a_chip_error(void)
{
	start(O_RDONLY);
	put(9, 0x10);
	put(9, 0x00);
	tap_check_u64(get(9), 0x90);
	put(9, 0x20);
	put(9, 0xd0);
	tap_check_u64(get(9), 0xb0);
	put(9, 0xff);
	check_contents();
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(firmware_recognises_it),
	TAP_TEST(programs_and_erases),
	TAP_TEST(wrong_sequences_change_nothing),
	TAP_TEST(tells_what_it_is),
	TAP_TEST(a_write_error_is_a_chip_error),
};
TAP_MAIN(tests)
