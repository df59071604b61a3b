/*
 * A machine without devices: reads are all ones, nothing interrupts.
 */
#ifndef ENGINE_VOID_H
#define ENGINE_VOID_H

#include <stdint.h>

#include "vmm/engine.h"

static uint64_t
no_read(void *m, uint16_t port, unsigned width)
{
	return UINT64_MAX;
}

static uint64_t
no_mmio_read(void *m, gpa_t gpa, unsigned width)
{
	return UINT64_MAX;
}

static void
no_mmio_write(void *m, gpa_t gpa, unsigned width, uint64_t value)
{
}

static void
no_eoi(void *m, uint8_t vector)
{
}

static int
no_extint(void *m)
{
	return -1;
}

/* Writes to ports are the test's. */
#define VOID_CLIENT(write)                                              \
	{                                                               \
		.pio_read = no_read, .pio_write = write,                \
		.mmio_read = no_mmio_read, .mmio_write = no_mmio_write, \
		.eoi = no_eoi, .extint_ack = no_extint,                 \
	}

#endif
