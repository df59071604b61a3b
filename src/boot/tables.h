/*
 * Sets of tables that point to each other, built before anybody knows their
 * addresses: blobs of bytes, and a list of pointers and checksums to fill in.
 * Either we place them (a kernel booted directly) or the guest's firmware does,
 * told by the same list as "etc/table-loader" (QEMU's bios-linker-loader).
 */
#ifndef BOOT_TABLES_H
#define BOOT_TABLES_H

#include <stdint.h>

#include "base/buf.h"

#define TABLES_MAX_BLOBS 3
#define TABLES_MAX_FIXUPS 96

enum blob_zone { BLOB_HIGH = 1, BLOB_FSEG = 2 }; /* the loader's numbers */

struct blob {
	const char *file; /* "etc/acpi/tables" */
	enum blob_zone zone;
	uint32_t align;
	uint64_t gpa; /* where it was placed */
	struct buf data;
};

enum fixup_kind { FIXUP_POINTER, FIXUP_CHECKSUM };

struct fixup {
	enum fixup_kind kind;
	uint8_t blob, target; /* target: of a pointer */
	uint8_t size; /* of a pointer: 4 or 8 */
	uint32_t at; /* offset of the pointer or checksum byte */
	uint32_t start, len; /* what the checksum covers */
};

struct tables {
	unsigned nblobs, nfixups;
	struct blob blob[TABLES_MAX_BLOBS];
	struct fixup fixup[TABLES_MAX_FIXUPS];
	int failed; /* sticky, see tables_error() */
};

void tables_init(struct tables *t);
void tables_fini(struct tables *t);
/* A new blob's number; it must fit in max bytes. */
unsigned tables_add_blob(struct tables *t, const char *file,
    enum blob_zone zone, uint32_t align, size_t max);
struct buf *tables_data(struct tables *t, unsigned blob);
/* The size bytes at 'at' become the address of target's byte 'offset'. */
void tables_pointer(struct tables *t, unsigned blob, uint32_t at, uint8_t size,
    unsigned target, uint32_t offset);
/* The byte at 'at' makes the bytes [start, start+len) sum up to 0. */
void tables_checksum(
    struct tables *t, unsigned blob, uint32_t at, uint32_t start, uint32_t len);
int tables_error(const struct tables *t);
/* Sum of n bytes modulo 256: 0 over whatever carries a checksum. */
uint8_t tables_sum(const void *p, size_t n);

/* Fill in pointers and checksums by each blob's gpa. Once. */
void tables_apply(struct tables *t);
/* The loader's commands for a firmware, instead of tables_apply(). */
int tables_loader(const struct tables *t, struct buf *ret);

#endif
