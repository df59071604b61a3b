/*
 * Address decoding: windows, widths, and lookups while windows move.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/str.h"
#include "tap.h"
#include "vmm/bus.h"

struct seen {
	unsigned calls;
	uint64_t offset, value;
	unsigned width;
	uint8_t byte[8];
};

static uint64_t
seen_read(void *dev, uint64_t offset, unsigned width)
{
	struct seen *s = dev;

	s->calls++;
	s->offset = offset;
	s->width = width;
	return UINT64_C(0x8877665544332211) + offset;
}

static void
seen_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct seen *s = dev;

	s->calls++;
	s->offset = offset;
	s->width = width;
	s->value = value;
	if (offset < sizeof(s->byte))
		s->byte[offset] = (uint8_t)value;
}

static const struct bus_ops ops = { seen_read, seen_write };

static struct bus *
create(uint64_t limit)
{
	struct bus *bus;

	tap_check_int(bus_create(limit, &bus), 0);
	return bus;
}

static int
add(struct bus *bus, uint64_t base, uint64_t size, unsigned widths, void *dev,
    struct error *err)
{
	const struct bus_window win = { "new", base, size, widths, &ops, dev };

	return bus_add(bus, &win, err);
}

static void
widths(void)
{
	struct bus *bus = create(0x10000);
	struct seen s = { 0 };
	uint64_t v;

	tap_check_int(add(bus, 0x100, 8, BUS_W1 | BUS_W4, &s, NULL), 0);
	tap_check(bus_read(bus, 0x104, 4, &v));
	tap_check_u64(v, 0x44332215);
	tap_check_u64(s.offset, 4);
	tap_check(bus_write(bus, 0x107, 1, 0x1ff));
	tap_check_u64(s.value, 0xff);
	tap_check_u64(s.calls, 2);
	/* A width that it does not take, and one past its end. */
	tap_check(bus_read(bus, 0x100, 2, &v));
	tap_check_u64(v, 0xffff);
	tap_check(bus_write(bus, 0x106, 4, 0));
	tap_check(bus_read(bus, 0x100, 3, &v) == false);
	tap_check_u64(s.calls, 2);
	/* Outside. */
	tap_check(!bus_read(bus, 0xff, 1, &v));
	tap_check_u64(v, 0xff);
	tap_check(!bus_read(bus, 0x108, 8, &v));
	tap_check_u64(v, UINT64_MAX);
	tap_check(!bus_write(bus, 0x108, 1, 0));
	tap_check(bus_decodes(bus, 0x107) && !bus_decodes(bus, 0x108));
	bus_destroy(bus);
}

static void
bytewise(void)
{
	struct bus *bus = create(0x10000);
	struct seen s = { 0 };
	uint64_t v;

	tap_check_int(add(bus, 0x20, 4, BUS_BYTEWISE, &s, NULL), 0);
	tap_check(bus_write(bus, 0x20, 4, 0x04030201));
	tap_check_u64(s.calls, 4);
	tap_check_mem(s.byte, "\1\2\3\4", 4);
	tap_check(bus_read(bus, 0x22, 2, &v));
	tap_check_u64(v, 0x1413); /* 0x11 + offset, each */
	tap_check_u64(s.width, 1);
	tap_check(bus_read(bus, 0x23, 2, &v));
	tap_check_u64(v, 0xffff);
	bus_destroy(bus);
}

static void
overlaps(void)
{
	struct error err = ERROR_INIT;
	struct bus *bus = create(0x10000);

	tap_check_int(add(bus, 0x100, 0x10, BUS_WANY, NULL, &err), 0);
	tap_check_int(add(bus, 0x10f, 1, BUS_WANY, NULL, &err), -EEXIST);
	tap_check_has(err.text, "0x100-0x10f");
	tap_check_int(add(bus, 0xf0, 0x11, BUS_WANY, NULL, &err), -EEXIST);
	tap_check_int(add(bus, 0xf0, 0x100, BUS_WANY, NULL, &err), -EEXIST);
	tap_check_int(add(bus, 0x104, 4, BUS_WANY, NULL, &err), -EEXIST);
	tap_check_int(add(bus, 0xf0, 0x10, BUS_WANY, NULL, &err), 0);
	tap_check_int(add(bus, 0x110, 0xfef0, BUS_WANY, NULL, &err), 0);
	bus_destroy(bus);
}

static void
limits(void)
{
	struct error err = ERROR_INIT;
	struct bus *bus = create(0x10000);
	uint64_t v;

	tap_check_int(add(bus, 0xffff, 1, BUS_WANY, NULL, &err), 0);
	tap_check_int(add(bus, 0xffff, 2, BUS_WANY, NULL, &err), -EINVAL);
	tap_check_int(add(bus, 0x10000, 1, BUS_WANY, NULL, &err), -EINVAL);
	tap_check_int(add(bus, 5, 0, BUS_WANY, NULL, &err), -EINVAL);
	bus_destroy(bus);
	bus = create(0);
	tap_check_int(
	    add(bus, UINT64_MAX - 7, 8, BUS_WANY, &(struct seen){ 0 }, &err),
	    0);
	tap_check_int(add(bus, UINT64_MAX, 2, BUS_WANY, NULL, &err), -EINVAL);
	tap_check(bus_read(bus, UINT64_MAX, 1, &v));
	tap_check_u64(v, 0x18);
	tap_check(bus_read(bus, UINT64_MAX, 2, &v));
	tap_check_u64(v, 0xffff);
	bus_destroy(bus);
}

static void
removal(void)
{
	struct bus *bus = create(0x10000);
	struct seen s = { 0 };

	tap_check_int(add(bus, 0x100, 8, BUS_WANY, &s, NULL), 0);
	tap_check_int(bus_remove(bus, 0x100, 4, &s), -ENOENT);
	tap_check_int(bus_remove(bus, 0x101, 8, &s), -ENOENT);
	tap_check_int(bus_remove(bus, 0x100, 8, &bus), -ENOENT);
	tap_check_int(bus_remove(bus, 0x50, 8, &s), -ENOENT);
	tap_check_int(bus_remove(bus, 0x100, 8, &s), 0);
	tap_check_int(bus_remove(bus, 0x100, 8, &s), -ENOENT);
	tap_check(!bus_decodes(bus, 0x100));
	bus_destroy(bus);
}

/* Many windows in any order, found each; the table has its end. */
static void
many(void)
{
	struct bus *bus = create(0);
	uint64_t v;
	unsigned i, at;

	for (i = 0; i < 4096; i++) {
		at = (i * 1357) & 4095;
		tap_check_int(add(bus, at * UINT64_C(16), 8, BUS_WANY,
				  &(struct seen){ 0 }, NULL),
		    0);
	}
	tap_check_int(add(bus, 4096 * 16, 8, BUS_WANY, NULL, NULL), -ENOSPC);
	for (i = 0; i < 4096; i++) {
		tap_check(bus_decodes(bus, i * UINT64_C(16) + 7));
		tap_check(!bus_decodes(bus, i * UINT64_C(16) + 8));
	}
	tap_check(!bus_read(bus, 8, 1, &v));
	bus_destroy(bus);
}

/* One window stays, one moves, one comes and goes; the first is never lost. */
static struct bus *race_bus;
static bool race_over;

static void *
race_reader(void *arg)
{
	unsigned long n = 0;
	uint64_t v;

	while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED)) {
		tap_check(bus_read(race_bus, 0x1000, 4, &v));
		tap_check_u64(v, 0x5a);
		if (bus_read(race_bus, 0x800, 4, &v))
			tap_check_u64(v, 0x5a);
		n++;
	}
	tap_check(n > 0);
	return NULL;
}

static uint64_t
fixed_read(void *dev, uint64_t offset, unsigned width)
{
	return 0x5a;
}

static const struct bus_ops fixed_ops = { fixed_read, NULL };

static void
concurrent(void)
{
	struct bus_window win = { "stays", 0x1000, 16, BUS_WANY, &fixed_ops,
		NULL };
	pthread_t reader[2];
	unsigned i, n;

	race_bus = create(0);
	tap_check_int(bus_add(race_bus, &win, NULL), 0);
	for (i = 0; i < 2; i++)
		tap_check_int(
		    pthread_create(&reader[i], NULL, race_reader, NULL), 0);
	for (n = 0; n < 20000; n++) {
		win.base = 0x800 - (n % 3) * 0x100;
		tap_check_int(bus_add(race_bus, &win, NULL), 0);
		tap_check_int(bus_remove(race_bus, win.base, 16, NULL), 0);
		/* Growth while readers look. */
		win.base = 0x2000 + n * UINT64_C(32);
		if (n < 200)
			tap_check_int(bus_add(race_bus, &win, NULL), 0);
	}
	__atomic_store_n(&race_over, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(reader[i], NULL);
	bus_destroy(race_bus);
}

static const struct tap_test tests[] = {
	TAP_TEST(widths),
	TAP_TEST(bytewise),
	TAP_TEST(overlaps),
	TAP_TEST(limits),
	TAP_TEST(removal),
	TAP_TEST(many),
	TAP_TEST(concurrent),
};
TAP_MAIN(tests)
