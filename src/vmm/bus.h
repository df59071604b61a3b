/*
 * Address decoding of one space (port I/O or memory-mapped I/O): an ordered set
 * of windows, each with its handlers.
 *
 * This is the one helper that every register window goes through. A handler is
 * called only with an offset and width that lie wholly in its window and with
 * a width that the window accepts. Everything else reads as all ones, and
 * writes to it are dropped.
 *
 * Threads: handlers run on the vCPU's thread, concurrently for different
 * vCPUs; a device locks itself. Windows may be added, moved and removed while
 * vCPUs run; a handler may be running on another thread still when
 * bus_remove() returns, so devices live as long as the machine.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct bus;

struct bus_ops {
	/* offset: from the window's base; width: 1, 2, 4 or 8 bytes */
	uint64_t (*read)(void *dev, uint64_t offset, unsigned width);
	void (*write)(
	    void *dev, uint64_t offset, unsigned width, uint64_t value);
};

/* Accepted widths */
#define BUS_W1 1
#define BUS_W2 2
#define BUS_W4 4
#define BUS_W8 8
#define BUS_WANY 15
/*
 * Split what is wider than a byte into byte accesses at rising offsets (ISA
 * devices of 8 bits, e.g. a UART). Alone, without other widths.
 */
#define BUS_BYTEWISE 16

struct bus_window {
	const char *name; /* for the log and for conflicts; not copied */
	uint64_t base;
	uint64_t size;
	unsigned widths; /* mask of BUS_W* */
	const struct bus_ops *ops;
	void *dev;
};

/* limit: number of addresses in the space (0x10000 for ports, 0 = 2^64). */
int bus_create(uint64_t limit, struct bus **ret);
void bus_destroy(struct bus *bus);
/* -EEXIST when it overlaps another window (error names both). */
int bus_add(struct bus *bus, const struct bus_window *win, struct error *err);
/* The window with this base, size and device; -ENOENT. */
int bus_remove(struct bus *bus, uint64_t base, uint64_t size, const void *dev);

/* Returns false when nothing decoded the access (x86.strictio). */
bool
bus_read(struct bus *bus, uint64_t addr, unsigned width, uint64_t *ret_value);
bool bus_write(struct bus *bus, uint64_t addr, unsigned width, uint64_t value);
/* Is there a window over the address? For ioeventfd and DMA checks. */
bool bus_decodes(struct bus *bus, uint64_t addr);

#endif
