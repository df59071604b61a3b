/*
 * bzImage through Linux's 64-bit boot protocol (boot.rst): the real-mode part
 * is left out, its setup header goes into the zero page, and the 64-bit entry
 * of the protected-mode part is called.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "boot/boot.h"
#include "boot/image.h"
#include "vmm/memmap.h"

/* Offsets in the file: "The Real-Mode Kernel Header". */
#define HDR_SETUP_SECTS 0x1f1
#define HDR_SYSSIZE 0x1f4 /* in units of 16 bytes */
#define HDR_BOOT_FLAG 0x1fe
#define HDR_JUMP_LEN 0x201
#define HDR_MAGIC 0x202
#define HDR_VERSION 0x206
#define HDR_LOADFLAGS 0x211
#define HDR_INITRD_MAX 0x22c
#define HDR_KERNEL_ALIGN 0x230
#define HDR_RELOCATABLE 0x234
#define HDR_XLOADFLAGS 0x236
#define HDR_CMDLINE_SIZE 0x238
#define HDR_PREF_ADDRESS 0x258
#define HDR_INIT_SIZE 0x260
#define HDR_LAST 0x268 /* protocol 2.12 ends here */

#define VERSION_2_12 0x020c
#define LOADFLAG_HIGH 0x01
#define XLF_KERNEL_64 0x0001
#define XLF_ABOVE_4G 0x0002
#define ENTRY64_OFF 0x200

struct bzimage {
	const struct image_src *src;
	uint8_t head[LINUX_SETUP_END]; /* start of the file */
	uint32_t head_end; /* where its setup header ends */
	uint64_t payload_off, payload_len;
	uint64_t load, align;
	bool relocatable;
};

static int
read_head(struct bzimage *bz, struct error *err)
{
	const char *name = bz->src->name;
	unsigned version;

	if (image_read(bz->src, 0, bz->head,
		MIN(bz->src->size, sizeof(bz->head))) < 0 ||
	    bz->src->size < HDR_LAST)
		return error_set(err, ENOEXEC,
		    "kernel %s: %llu bytes are too short for a bzImage; the "
		    "file is damaged",
		    name, (unsigned long long)bz->src->size);
	if (load_le16(bz->head + HDR_BOOT_FLAG) != 0xaa55 ||
	    memcmp(bz->head + HDR_MAGIC, "HdrS", 4) != 0)
		return error_set(err, ENOEXEC,
		    "kernel %s: no bzImage: boot flag 0xaa55 or 'HdrS' is "
		    "missing",
		    name);
	version = load_le16(bz->head + HDR_VERSION);
	if (version < VERSION_2_12)
		return error_set(err, ENOEXEC,
		    "kernel %s: boot protocol %u.%02u; 2.12 or newer is needed "
		    "(Linux 3.8)",
		    name, version >> 8, version & 0xff);
	bz->head_end = MIN((uint64_t)HDR_MAGIC + bz->head[HDR_JUMP_LEN],
	    MIN(LINUX_SETUP_END, bz->src->size));
	if (bz->head_end < HDR_LAST)
		return error_set(err, ENOEXEC,
		    "kernel %s: setup header ends at %#x, but protocol %u.%02u "
		    "reaches to %#x; the file is damaged",
		    name, bz->head_end, version >> 8, version & 0xff, HDR_LAST);
	return 0;
}

static int
check_flags(const struct bzimage *bz, struct error *err)
{
	if (!(load_le16(bz->head + HDR_XLOADFLAGS) & XLF_KERNEL_64))
		return error_set(err, ENOEXEC,
		    "kernel %s: no 64-bit entry point (xloadflags %#x); give "
		    "an x86-64 kernel",
		    bz->src->name, load_le16(bz->head + HDR_XLOADFLAGS));
	if (!(bz->head[HDR_LOADFLAGS] & LOADFLAG_HIGH))
		return error_set(err, ENOEXEC,
		    "kernel %s: is a zImage (loadflags %#x); give a bzImage",
		    bz->src->name, bz->head[HDR_LOADFLAGS]);
	return 0;
}

static int
find_payload(struct bzimage *bz, struct error *err)
{
	unsigned sects = bz->head[HDR_SETUP_SECTS];
	uint64_t left;

	if (sects == 0)
		sects = 4; /* as boot.rst has it, for old kernels */
	bz->payload_off = (uint64_t)(sects + 1) * 512;
	bz->payload_len = (uint64_t)load_le32(bz->head + HDR_SYSSIZE) * 16;
	left = bz->src->size - MIN(bz->src->size, bz->payload_off);
	if (bz->payload_len <= ENTRY64_OFF)
		return error_set(err, ENOEXEC,
		    "kernel %s: header gives the kernel proper %llu bytes; the "
		    "file is damaged",
		    bz->src->name, (unsigned long long)bz->payload_len);
	/* The header counts paragraphs; memtest86+ leaves its last one open. */
	if (bz->payload_len > left && bz->payload_len - left < 16)
		bz->payload_len = left;
	if (bz->payload_len > left)
		return error_set(err, ENOEXEC,
		    "kernel %s: truncated: the kernel proper has %llu bytes "
		    "by its header, the file holds %llu",
		    bz->src->name, (unsigned long long)bz->payload_len,
		    (unsigned long long)left);
	return 0;
}

/*
 * A relocatable kernel still runs at pref_address or above (boot.rst,
 * init_size), so a lower spot gains nothing.
 */
static int
choose_address(struct bzimage *bz, struct error *err)
{
	uint64_t pref = load_le64(bz->head + HDR_PREF_ADDRESS);

	bz->relocatable = bz->head[HDR_RELOCATABLE] != 0;
	bz->align = load_le32(bz->head + HDR_KERNEL_ALIGN);
	if (pref > UINT32_MAX)
		return error_set(err, ENOEXEC,
		    "kernel %s: preferred address %#llx is above 4 GiB",
		    bz->src->name, (unsigned long long)pref);
	bz->load = pref;
	if (!bz->relocatable && pref < BOOT_KERNEL)
		return error_set(err, ENOEXEC,
		    "kernel %s: is not relocatable and wants address %#llx; "
		    "1 MiB is the lowest",
		    bz->src->name, (unsigned long long)pref);
	if (!bz->relocatable)
		return 0;
	if (bz->align < PAGE_SIZE_4K || bz->align > GiB ||
	    (bz->align & (bz->align - 1)) != 0)
		return error_set(err, ENOEXEC,
		    "kernel %s: kernel_alignment %#llx is not a power of two "
		    "from 4 KiB to 1 GiB",
		    bz->src->name, (unsigned long long)bz->align);
	bz->load = ROUND_UP(MAX(pref, (uint64_t)BOOT_KERNEL), bz->align);
	return 0;
}

static int
check_room(const struct bzimage *bz, const struct image_room *room,
    uint64_t *ret_end, struct error *err)
{
	uint64_t need =
	    MAX(load_le32(bz->head + HDR_INIT_SIZE), bz->payload_len);

	*ret_end = bz->load + need;
	if (*ret_end <= room->low_end)
		return 0;
	if (*ret_end > MEMMAP_LOW_RAM_END)
		return error_set(err, ENOMEM,
		    "kernel %s: wants %llu KiB at %#llx, but memory below "
		    "4 GiB ends at %#llx in every machine; link it lower",
		    bz->src->name, (unsigned long long)((need + 1023) / KiB),
		    (unsigned long long)bz->load,
		    (unsigned long long)MEMMAP_LOW_RAM_END);
	return error_set(err, ENOMEM,
	    "kernel %s: needs %llu KiB of memory from address %#llx, but RAM "
	    "for it ends at %#llx; give the machine %lluM or more",
	    bz->src->name, (unsigned long long)((need + 1023) / KiB),
	    (unsigned long long)bz->load, (unsigned long long)room->low_end,
	    (unsigned long long)(ROUND_UP(*ret_end, MiB) / MiB + 1));
}

static void
fill_plan(const struct bzimage *bz, uint64_t end, struct image_plan *ret)
{
	uint32_t cmdline_max = load_le32(bz->head + HDR_CMDLINE_SIZE);
	unsigned xlf = load_le16(bz->head + HDR_XLOADFLAGS);

	memset(ret, 0, sizeof(*ret));
	ret->proto = IMAGE_LINUX64;
	ret->nsegs = 1;
	ret->seg[0] = (struct image_seg){
		.off = bz->payload_off,
		.len = bz->payload_len,
		.gpa = bz->load,
		.mem_len = end - bz->load,
	};
	ret->entry = bz->load + ENTRY64_OFF;
	ret->end = end;
	ret->initrd_high = (xlf & XLF_ABOVE_4G) != 0;
	/* initrd_addr_max speaks of kernels without XLF_ABOVE_4G. */
	ret->initrd_max = ret->initrd_high
	    ? UINT64_C(1) << 32
	    : (uint64_t)load_le32(bz->head + HDR_INITRD_MAX) + 1;
	ret->cmdline_max =
	    MIN(cmdline_max != 0 ? cmdline_max : 255, BOOT_CMDLINE_SIZE - 1);
	ret->setup_len = bz->head_end - LINUX_SETUP_OFF;
	memcpy(ret->setup, bz->head + LINUX_SETUP_OFF, ret->setup_len);
}

int
bzimage_plan(const struct image_src *src, const struct image_room *room,
    struct image_plan *ret, struct error *err)
{
	struct bzimage bz = { .src = src };
	uint64_t end;
	int rc;

	if ((rc = read_head(&bz, err)) < 0 ||
	    (rc = check_flags(&bz, err)) < 0 ||
	    (rc = find_payload(&bz, err)) < 0 ||
	    (rc = choose_address(&bz, err)) < 0 ||
	    (rc = check_room(&bz, room, &end, err)) < 0)
		return rc;
	fill_plan(&bz, end, ret);
	return 0;
}
