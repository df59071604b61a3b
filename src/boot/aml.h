/*
 * A writer of AML, ACPI's byte code (ACPI 6.5, chapter 20), for the part of
 * the namespace that depends on the configuration. Only what our SSDT needs:
 * scopes, devices, names, packages, methods that choose between objects,
 * buffers with resource templates (chapter 6.4).
 *
 *	aml_device(a, "COM1");
 *		aml_name(a, "_HID"), aml_eisaid(a, "PNP0501");
 *	aml_end(a);
 *
 * Errors stick (aml_error), so that a builder may write on and check once.
 */
#ifndef BOOT_AML_H
#define BOOT_AML_H

#include <stdint.h>

#include "base/buf.h"

#define AML_MAX_DEPTH 8

struct aml {
	struct buf *out; /* borrowed */
	size_t open[AML_MAX_DEPTH]; /* where a package length will stand */
	unsigned depth;
	int failed;
};

void aml_init(struct aml *a, struct buf *out);
/* 0 when all that was opened has been closed and all memory was there. */
int aml_error(const struct aml *a);

/*
 * Opened until aml_end(). path: segments of up to 4 characters with dots
 * between, '\' in front for the root ("\\_SB.PCI0"); short ones are padded.
 */
void aml_scope(struct aml *a, const char *path);
void aml_device(struct aml *a, const char *path);
void aml_package(struct aml *a, unsigned count); /* of count (< 256) terms */
void aml_method(struct aml *a, const char *name); /* without arguments */
void aml_if(struct aml *a, const char *path); /* an integer that is not 0 */
void aml_end(struct aml *a);
void aml_return(struct aml *a, const char *path); /* of an object */

/* The object follows: aml_name(a, "_UID"), aml_int(a, 1). */
void aml_name(struct aml *a, const char *path);

void aml_int(struct aml *a, uint64_t v);
void aml_str(struct aml *a, const char *s); /* ASCII */
void aml_path(struct aml *a, const char *path); /* reference to an object */
void aml_eisaid(struct aml *a, const char *id); /* "PNP0A08" */
/* Buffer with the resource template in crs, an end tag added. */
void aml_crs(struct aml *a, const struct buf *crs);

/* ---- resource descriptors, appended to a template ---- */

/* Decodes 16 bits; consumed by the device. */
void crs_io(struct buf *crs, uint16_t base, uint8_t len);
void crs_irq(struct buf *crs, unsigned irq); /* ISA: edge, high, not shared */

enum crs_use { CRS_PRODUCED = 0, CRS_CONSUMED = 1 };
void crs_bus_window(struct buf *crs, uint8_t first, uint8_t last);
void crs_io_window(struct buf *crs, uint16_t first, uint16_t last);
/* 32 bits wide, not cached, read-write. */
void crs_mem32_window(struct buf *crs, uint32_t first, uint32_t last);
void crs_mem64(struct buf *crs, enum crs_use use, uint64_t base, uint64_t size);

#endif
