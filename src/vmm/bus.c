/*
 * The window table is read on every port and MMIO exit and written only when a
 * guest moves a BAR, so it is a sorted array behind a sequence lock: a reader
 * writes nothing that is shared and starts over when a writer was at work. A
 * window is copied out before its handler runs.
 *
 * Fields are loaded with acquire and stored with release order; that alone
 * keeps them between the two looks at the sequence number. A table that became
 * too small stays allocated until the bus goes (tables double, so the sum is
 * bounded), because a reader may still be looking at it.
 */
#include "vmm/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"

#define BUS_FIRST_ROWS 32
#define BUS_MAX_ROWS 4096

struct row {
	_Atomic uint64_t base;
	_Atomic uint64_t last; /* inclusive */
	_Atomic unsigned widths;
	const struct bus_ops *_Atomic ops;
	void *_Atomic dev;
	const char *_Atomic name;
};

struct table {
	struct table *older;
	size_t cap;
	struct row row[];
};

struct bus {
	pthread_mutex_t lock; /* writers */
	uint64_t last; /* highest address of the space */
	_Atomic unsigned seq; /* odd while a writer works */
	_Atomic size_t count;
	struct table *_Atomic table;
};

#define GET(field) atomic_load_explicit(&(field), memory_order_acquire)
#define PUT(field, v) atomic_store_explicit(&(field), (v), memory_order_release)

static struct table *
table_new(size_t cap)
{
	struct table *tab;

	tab = alloc_zero(1, sizeof(*tab) + cap * sizeof(tab->row[0]));
	if (tab != NULL)
		tab->cap = cap;
	return tab;
}

int
bus_create(uint64_t limit, struct bus **ret)
{
	struct table *tab;
	struct bus *bus;

	bus = alloc_zero(1, sizeof(*bus));
	tab = table_new(BUS_FIRST_ROWS);
	if (bus == NULL || tab == NULL) {
		free(bus);
		free(tab);
		return -ENOMEM;
	}
	pthread_mutex_init(&bus->lock, NULL);
	bus->last = limit - 1;
	PUT(bus->table, tab);
	*ret = bus;
	return 0;
}

void
bus_destroy(struct bus *bus)
{
	struct table *tab, *older;

	if (bus == NULL)
		return;
	for (tab = GET(bus->table); tab != NULL; tab = older) {
		older = tab->older;
		free(tab);
	}
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

static void
row_copy(struct row *to, const struct row *from)
{
	PUT(to->base, GET(from->base));
	PUT(to->last, GET(from->last));
	PUT(to->widths, GET(from->widths));
	PUT(to->ops, GET(from->ops));
	PUT(to->dev, GET(from->dev));
	PUT(to->name, GET(from->name));
}

/* Number of rows whose base is <= addr. */
static size_t
table_upper(const struct table *tab, size_t count, uint64_t addr)
{
	size_t lo = 0, hi = count, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (GET(tab->row[mid].base) <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
bus_write_begin(struct bus *bus)
{
	atomic_fetch_add_explicit(&bus->seq, 1, memory_order_acq_rel);
}

static void
bus_write_end(struct bus *bus)
{
	atomic_fetch_add_explicit(&bus->seq, 1, memory_order_acq_rel);
}

/* Make room for one more row. */
static int
bus_grow_locked(struct bus *bus)
{
	struct table *tab = GET(bus->table), *bigger;
	size_t i;

	if (GET(bus->count) < tab->cap)
		return 0;
	if (tab->cap >= BUS_MAX_ROWS)
		return -ENOSPC;
	bigger = table_new(tab->cap * 2);
	if (bigger == NULL)
		return -ENOMEM;
	for (i = 0; i < tab->cap; i++)
		row_copy(&bigger->row[i], &tab->row[i]);
	bigger->older = tab;
	PUT(bus->table, bigger);
	return 0;
}

static int
bus_check_free_locked(struct bus *bus, const struct bus_window *win,
    uint64_t last, size_t at, struct error *err)
{
	struct table *tab = GET(bus->table);
	const struct row *other = NULL;

	if (at > 0 && GET(tab->row[at - 1].last) >= win->base)
		other = &tab->row[at - 1];
	else if (at < GET(bus->count) && GET(tab->row[at].base) <= last)
		other = &tab->row[at];
	if (other == NULL)
		return 0;
	return error_set(err, EEXIST,
	    "%s at 0x%" PRIx64 "-0x%" PRIx64 " overlaps %s at 0x%" PRIx64
	    "-0x%" PRIx64,
	    win->name, win->base, last, GET(other->name), GET(other->base),
	    GET(other->last));
}

static int
bus_add_locked(struct bus *bus, const struct bus_window *win, uint64_t last,
    struct error *err)
{
	size_t at, i, count = GET(bus->count);
	struct table *tab;
	int rc;

	at = table_upper(GET(bus->table), count, win->base);
	rc = bus_check_free_locked(bus, win, last, at, err);
	if (rc != 0)
		return rc;
	rc = bus_grow_locked(bus);
	if (rc != 0)
		return error_sys(err, -rc,
		    "no room for the window of %s "
		    "beside %zu others",
		    win->name, count);
	tab = GET(bus->table);
	bus_write_begin(bus);
	for (i = count; i > at; i--)
		row_copy(&tab->row[i], &tab->row[i - 1]);
	PUT(tab->row[at].base, win->base);
	PUT(tab->row[at].last, last);
	PUT(tab->row[at].widths, win->widths);
	PUT(tab->row[at].ops, win->ops);
	PUT(tab->row[at].dev, win->dev);
	PUT(tab->row[at].name, win->name);
	PUT(bus->count, count + 1);
	bus_write_end(bus);
	return 0;
}

int
bus_add(struct bus *bus, const struct bus_window *win, struct error *err)
{
	uint64_t last;
	int rc;

	if (win->size == 0 ||
	    __builtin_add_overflow(win->base, win->size - 1, &last) ||
	    last > bus->last)
		return error_set(err, EINVAL,
		    "%s: window of 0x%" PRIx64 " at 0x%" PRIx64
		    " does not fit below 0x%" PRIx64,
		    win->name, win->size, win->base, bus->last);
	pthread_mutex_lock(&bus->lock);
	rc = bus_add_locked(bus, win, last, err);
	pthread_mutex_unlock(&bus->lock);
	return rc;
}

static int
bus_remove_locked(
    struct bus *bus, uint64_t base, uint64_t size, const void *dev)
{
	size_t at, count = GET(bus->count);
	struct table *tab = GET(bus->table);

	at = table_upper(tab, count, base);
	if (at == 0)
		return -ENOENT;
	at--;
	if (GET(tab->row[at].base) != base || GET(tab->row[at].dev) != dev ||
	    GET(tab->row[at].last) != base + (size - 1))
		return -ENOENT;
	bus_write_begin(bus);
	for (; at + 1 < count; at++)
		row_copy(&tab->row[at], &tab->row[at + 1]);
	PUT(bus->count, count - 1);
	bus_write_end(bus);
	return 0;
}

int
bus_remove(struct bus *bus, uint64_t base, uint64_t size, const void *dev)
{
	int rc;

	pthread_mutex_lock(&bus->lock);
	rc = bus_remove_locked(bus, base, size, dev);
	pthread_mutex_unlock(&bus->lock);
	return rc;
}

struct hit {
	uint64_t offset;
	uint64_t room; /* bytes from offset to the window's end */
	unsigned widths;
	const struct bus_ops *ops;
	void *dev;
};

/* One look; false in *ret_stable when a writer got in between. */
static bool
bus_find_once(
    const struct bus *bus, uint64_t addr, struct hit *hit, bool *ret_stable)
{
	unsigned seq = GET(bus->seq);
	const struct table *tab = GET(bus->table);
	size_t count = GET(bus->count), at;
	const struct row *row;
	uint64_t last = 0;
	bool found = false;

	if (count > tab->cap)
		count = tab->cap;
	at = table_upper(tab, count, addr);
	if (at > 0) {
		row = &tab->row[at - 1];
		hit->offset = addr - GET(row->base);
		last = GET(row->last);
		hit->room = last - addr + 1;
		hit->widths = GET(row->widths);
		hit->ops = GET(row->ops);
		hit->dev = GET(row->dev);
		found = addr <= last;
	}
	*ret_stable = (seq & 1) == 0 && GET(bus->seq) == seq;
	return found;
}

static bool
bus_find(const struct bus *bus, uint64_t addr, struct hit *hit)
{
	bool found, stable;

	for (;;) {
		found = bus_find_once(bus, addr, hit, &stable);
		if (stable)
			return found;
		sched_yield();
	}
}

static uint64_t
width_mask(unsigned width)
{
	return width >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1;
}

static bool
width_is_valid(unsigned width)
{
	return width == 1 || width == 2 || width == 4 || width == 8;
}

/* May the handler see this access as it is, or cut into bytes? */
static bool
hit_takes(const struct hit *hit, unsigned width)
{
	if (width > hit->room)
		return false;
	return (hit->widths & (width | BUS_BYTEWISE)) != 0;
}

bool
bus_read(struct bus *bus, uint64_t addr, unsigned width, uint64_t *ret_value)
{
	uint64_t v = 0;
	struct hit hit;
	unsigned i;

	*ret_value = width_mask(width);
	if (!width_is_valid(width) || !bus_find(bus, addr, &hit))
		return false;
	if (!hit_takes(&hit, width) || hit.ops->read == NULL)
		return true;
	if ((hit.widths & BUS_BYTEWISE) == 0) {
		v = hit.ops->read(hit.dev, hit.offset, width);
	} else {
		for (i = 0; i < width; i++)
			v |= (hit.ops->read(hit.dev, hit.offset + i, 1) & 0xff)
			    << (8 * i);
	}
	*ret_value = v & width_mask(width);
	return true;
}

bool
bus_write(struct bus *bus, uint64_t addr, unsigned width, uint64_t value)
{
	struct hit hit;
	unsigned i;

	if (!width_is_valid(width) || !bus_find(bus, addr, &hit))
		return false;
	if (!hit_takes(&hit, width) || hit.ops->write == NULL)
		return true;
	if ((hit.widths & BUS_BYTEWISE) == 0) {
		hit.ops->write(
		    hit.dev, hit.offset, width, value & width_mask(width));
	} else {
		for (i = 0; i < width; i++)
			hit.ops->write(hit.dev, hit.offset + i, 1,
			    (value >> (8 * i)) & 0xff);
	}
	return true;
}

bool
bus_decodes(struct bus *bus, uint64_t addr)
{
	struct hit hit;

	return bus_find(bus, addr, &hit);
}
