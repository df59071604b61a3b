/*
 * The real-time clock and CMOS memory.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dev/lpc/clock.h"
#include "dev/lpc/rtc.h"
#include "fake_vm.h"
#include "tap.h"

static struct vm *vm;
static struct rtc *rtc;
/* 2026-11-22 17:14:29 UTC, a Sunday */
static uint64_t wall_now = UINT64_C(1795367669) * NS_PER_S;

static uint64_t
wall(void)
{
	return wall_now;
}

static void
start(bool localtime)
{
	struct error err = ERROR_INIT;

	vm = fake_vm_create(UINT64_C(3) << 30);
	tap_check(vm != NULL);
	tap_check_int(rtc_create(vm, localtime, &rtc, &err), 0);
}

static void
start_fake(void)
{
	lpc_clock_override(NULL, wall);
	start(false);
}

static void
finish(void)
{
	rtc_destroy(rtc);
	fake_vm_destroy(vm);
}

static uint8_t
get(unsigned reg)
{
	fake_out(vm, 0x70, 1, reg);
	return (uint8_t)fake_in(vm, 0x71, 1);
}

static void
set(unsigned reg, unsigned v)
{
	fake_out(vm, 0x70, 1, reg);
	fake_out(vm, 0x71, 1, v);
}

static void
check_time(const char *want)
{
	char got[64];

	snprintf(got, sizeof(got), "%02x%02x-%02x-%02x %02x:%02x:%02x wd %x",
	    get(0x32), get(9), get(8), get(7), get(4), get(2), get(0), get(6));
	tap_check_str(got, want);
}

static void
shows_time(void)
{
	start_fake();
	check_time("2026-11-22 17:14:29 wd 1");
	wall_now += 31 * NS_PER_S;
	check_time("2026-11-22 17:15:00 wd 1");
	/* the NMI bit of the index is ignored */
	tap_check_u64(get(0x80), 0x00);
	tap_check_u64(get(0x84), 0x17);
	set(0x0b, 0x06); /* binary */
	tap_check_u64(get(9), 26);
	tap_check_u64(get(4), 17);
	tap_check_u64(get(2), 15);
	set(0x0b, 0x00); /* 12 hours, BCD */
	tap_check_u64(get(4), 0x85);
	wall_now += UINT64_C(7) * 3600 * NS_PER_S;
	tap_check_u64(get(4), 0x12); /* midnight */
	set(0x0b, 0x04);
	wall_now += UINT64_C(12) * 3600 * NS_PER_S;
	tap_check_u64(get(4), 0x8c); /* noon */
	tap_check_u64(get(0x0d), 0x80);
	tap_check_u64(fake_in(vm, 0x70, 1), 0xff);
	finish();
}

static void
set_time(void)
{
	start_fake();
	set(0x0b, 0x82); /* SET: the clock stands */
	set(0x00, 0x30);
	set(0x02, 0x59);
	set(0x04, 0x23);
	set(0x07, 0x31);
	set(0x08, 0x12);
	set(0x09, 0x99);
	set(0x32, 0x19);
	wall_now += 100 * NS_PER_S;
	tap_check_u64(get(0), 0x30);
	set(0x0b, 0x02);
	check_time("1999-12-31 23:59:30 wd 6");
	wall_now += 30 * NS_PER_S;
	check_time("2000-01-01 00:00:00 wd 7");
	/* one register of a running clock */
	set(0x09, 0x26);
	check_time("2026-01-01 00:00:00 wd 5");
	/* nonsense does no harm */
	for (unsigned r = 0; r < 10; r++)
		set(r, 0xff);
	set(0x32, 0xff);
	get(0);
	set(0x32, 0x00);
	set(0x09, 0x00);
	get(9);
	finish();
}

static void
update_in_progress(void)
{
	start_fake();
	wall_now -= wall_now % NS_PER_S;
	tap_check_u64(get(0x0a), 0x26);
	wall_now += NS_PER_S - 200000;
	tap_check_u64(get(0x0a), 0xa6);
	set(0x0b, 0x82); /* none while the clock stands */
	tap_check_u64(get(0x0a), 0x26);
	finish();
}

static void
flags_without_interrupts(void)
{
	start_fake();
	set(0x0a, 0x26);
	get(0x0c);
	wall_now += 2000000;
	tap_check_u64(get(0x0c) & 0x40, 0x40);
	tap_check_u64(get(0x0c), 0);
	wall_now += NS_PER_S;
	tap_check_u64(get(0x0c) & 0xd0, 0x50);
	tap_check(!fake_irq(vm, GSI_RTC));
	set(0x0a, 0x20);
	get(0x0c);
	wall_now += 500000;
	tap_check_u64(get(0x0c) & 0x40, 0);
	finish();
}

static void
alarm_flag(void)
{
	start_fake(); /* 17:14:29 */
	set(0x05, 0x17);
	set(0x03, 0x15);
	set(0x01, 0x10);
	get(0x0c);
	wall_now += 40 * NS_PER_S;
	tap_check_u64(get(0x0c) & 0x20, 0);
	wall_now += 1 * NS_PER_S;
	tap_check_u64(get(0x0c) & 0x20, 0x20);
	tap_check_u64(get(0x0c) & 0x20, 0);
	/* every minute at second 10 */
	set(0x05, 0xff);
	set(0x03, 0xc0);
	wall_now += 60 * NS_PER_S;
	tap_check_u64(get(0x0c) & 0x20, 0x20);
	/* an hour that does not exist never rings */
	set(0x05, 0x99);
	get(0x0c);
	wall_now += UINT64_C(48) * 3600 * NS_PER_S;
	tap_check_u64(get(0x0c) & 0x20, 0);
	finish();
}

static void
pump(int ms)
{
	uint64_t end = mevent_now_ns() + (uint64_t)ms * 1000000;

	while (mevent_now_ns() < end)
		mevent_loop_once(vm->loop, 1);
}

static bool
rises(void)
{
	uint64_t end = mevent_now_ns() + 20 * NS_PER_S;

	while (!fake_irq(vm, GSI_RTC) && mevent_now_ns() < end)
		mevent_loop_once(vm->loop, 100);
	return fake_irq(vm, GSI_RTC);
}

/* With the real clock: a line that falls when C is read, and no tick else. */
static void
interrupts(void)
{
	start(false);
	set(0x0a, 0x26);
	pump(5);
	tap_check_u64(vm->edges[GSI_RTC], 0);
	set(0x0b, 0x42); /* 1024 Hz */
	tap_check(rises());
	pump(10);
	tap_check_u64(vm->edges[GSI_RTC], 1);
	tap_check_u64(get(0x0c) & 0xc0, 0xc0);
	tap_check(!fake_irq(vm, GSI_RTC));
	tap_check(rises());
	set(0x0b, 0x02);
	tap_check(!fake_irq(vm, GSI_RTC));
	get(0x0c);
	pump(10);
	tap_check(!fake_irq(vm, GSI_RTC));
	/* update-ended comes once a second */
	set(0x0a, 0x20);
	set(0x0b, 0x12);
	tap_check(rises());
	tap_check_u64(get(0x0c) & 0x90, 0x90);
	finish();
}

static void
cmos(void)
{
	start_fake();
	/* 3 GiB: 2816 MiB below the hole, 256 MiB above 4 GiB */
	tap_check_u64(get(0x15) | get(0x16) << 8, 640);
	tap_check_u64(get(0x17) | get(0x18) << 8, 63 * 1024);
	tap_check_u64(get(0x30) | get(0x31) << 8, 63 * 1024);
	tap_check_u64(get(0x34) | get(0x35) << 8, (2816 - 16) * 16);
	tap_check_u64(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 256 * 16);
	tap_check_u64(get(0x5f), 1);
	tap_check_u64(get(0x0f), 0);
	set(0x0f, 0xfe);
	tap_check_u64(get(0x0f), 0xfe);
	set(0x7f, 0x5a);
	tap_check_u64(get(0xff), 0x5a);
	finish();
}

static void
local_time(void)
{
	setenv("TZ", "XXX-05:30", 1);
	lpc_clock_override(NULL, wall);
	start(true);
	check_time("2026-11-22 22:44:29 wd 1");
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(shows_time),
	TAP_TEST(set_time),
	TAP_TEST(update_in_progress),
	TAP_TEST(flags_without_interrupts),
	TAP_TEST(alarm_flag),
	TAP_TEST(interrupts),
	TAP_TEST(cmos),
	TAP_TEST(local_time),
};
TAP_MAIN(tests)
