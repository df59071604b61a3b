/*
 * Kernel images: from the bytes of a file to a plan of what goes where. The
 * planners are pure: they read only through struct image_src, touch no guest
 * and can be fuzzed. Files are hostile; a plan that was returned holds.
 *
 * Sources: Linux Documentation/arch/x86/boot.rst (protocol 2.12 and newer),
 * System V ABI chapters 4 and 5 (ELF), Xen docs/misc/pvh.pandoc and
 * public/elfnote.h (PVH).
 */
#ifndef BOOT_IMAGE_H
#define BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A file, or bytes in memory that stand for one. */
struct image_src {
	const char *name; /* for messages */
	uint64_t size;
	const uint8_t *bytes; /* read from here, if not NULL, */
	int fd; /* else with pread(2) */
};

/*
 * Open a regular file for reading. what: "kernel", "initrd". The caller closes
 * with image_close().
 */
int image_open(struct image_src *src, const char *what, const char *path,
    struct error *err);
void image_close(struct image_src *src);
/* Exactly n bytes at off; -ENODATA when the file does not hold them. */
int
image_read(const struct image_src *src, uint64_t off, void *dst, uint64_t n);

/* Memory that a kernel may take: RAM [BOOT_KERNEL, low_end). */
struct image_room {
	uint64_t low_end; /* end of usable RAM below 4 GiB */
};

/* File bytes [off, off+len) go to gpa; zeroes up to mem_len follow. */
struct image_seg {
	uint64_t off, len;
	uint64_t gpa, mem_len;
};

enum image_proto { IMAGE_LINUX64, IMAGE_PVH };

#define IMAGE_MAX_SEGS 32
/* Place of the Linux setup header in the file and in the zero page. */
#define LINUX_SETUP_OFF 0x1f1
#define LINUX_SETUP_END 0x290

struct image_plan {
	enum image_proto proto;
	unsigned nsegs;
	struct image_seg seg[IMAGE_MAX_SEGS];
	uint64_t entry;
	uint64_t end; /* first byte behind all that the kernel needs at start */
	uint64_t initrd_max; /* an initrd's end may not be above this */
	bool initrd_high; /* ... or it may lie above 4 GiB */
	uint32_t cmdline_max; /* length without the NUL */
	uint32_t setup_len; /* IMAGE_LINUX64: bytes used of setup */
	uint8_t setup[LINUX_SETUP_END - LINUX_SETUP_OFF];
};

enum image_kind { IMAGE_UNKNOWN, IMAGE_BZIMAGE, IMAGE_ELF };
enum image_kind image_identify(const struct image_src *src);
int bzimage_plan(const struct image_src *src, const struct image_room *room,
    struct image_plan *ret, struct error *err);
int elf_plan(const struct image_src *src, const struct image_room *room,
    struct image_plan *ret, struct error *err);
/* By the file's magic number. */
int image_plan(const struct image_src *src, const struct image_room *room,
    struct image_plan *ret, struct error *err);

/*
 * Where an initrd of 'size' bytes goes: page-aligned, as high as it can below
 * plan->initrd_max, else (if allowed) at the top of RAM above 4 GiB.
 */
int image_place_initrd(const struct image_plan *plan,
    const struct image_src *initrd, const struct image_room *room,
    uint64_t high_size, uint64_t *ret_gpa, struct error *err);

#endif
