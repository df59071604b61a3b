/*
 * What every kernel image has in common: reading the file, telling its kind,
 * finding a place for the initrd.
 */
#include "boot/image.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/passed.h"
#include "base/str.h"
#include "vmm/memmap.h"
#include "vmm/types.h"

int
image_open(struct image_src *src, const char *what, const char *path,
    struct error *err)
{
	cleanup_close int fd = -1;
	struct stat st;

	/* O_NONBLOCK: a FIFO must be refused, not waited for. */
	fd = passed_open(path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return error_sys(err, -fd, "%s %s: cannot open", what, path);
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "%s %s: fstat", what, path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL,
		    "%s %s: is not a regular file; name the image itself", what,
		    path);
	if (st.st_size == 0)
		return error_set(err, EINVAL, "%s %s: is empty", what, path);
	*src = (struct image_src){
		.name = path,
		.size = (uint64_t)st.st_size,
		.fd = fd,
	};
	fd = -1;
	return 0;
}

void
image_close(struct image_src *src)
{
	if (src->bytes == NULL)
		fd_close(&src->fd);
}

int
image_read(const struct image_src *src, uint64_t off, void *dst, uint64_t n)
{
	ssize_t got;

	if (off > src->size || n > src->size - off)
		return -ENODATA;
	if (src->bytes != NULL) {
		memcpy(dst, src->bytes + off, n);
		return 0;
	}
	got = fd_pread_full(src->fd, dst, n, (off_t)off);
	if (got < 0)
		return (int)got;
	return (uint64_t)got == n ? 0 : -ENODATA;
}

enum image_kind
image_identify(const struct image_src *src)
{
	char magic[4];

	if (image_read(src, 0, magic, 4) == 0 &&
	    memcmp(magic, "\177ELF", 4) == 0)
		return IMAGE_ELF;
	if (image_read(src, 0x202, magic, 4) == 0 &&
	    memcmp(magic, "HdrS", 4) == 0)
		return IMAGE_BZIMAGE;
	return IMAGE_UNKNOWN;
}

int
image_plan(const struct image_src *src, const struct image_room *room,
    struct image_plan *ret, struct error *err)
{
	switch (image_identify(src)) {
	case IMAGE_BZIMAGE:
		return bzimage_plan(src, room, ret, err);
	case IMAGE_ELF:
		return elf_plan(src, room, ret, err);
	case IMAGE_UNKNOWN:
		break;
	}
	return error_set(err, ENOEXEC,
	    "kernel %s: neither a bzImage ('HdrS' at 0x202) nor an ELF file; "
	    "give a Linux bzImage or an ELF kernel with a PVH note",
	    src->name);
}

int
image_place_initrd(const struct image_plan *plan,
    const struct image_src *initrd, const struct image_room *room,
    uint64_t high_size, uint64_t *ret_gpa, struct error *err)
{
	uint64_t end = MIN(plan->initrd_max, room->low_end);

	end = ROUND_DOWN(end, PAGE_SIZE_4K);
	if (initrd->size <= end) {
		uint64_t gpa = ROUND_DOWN(end - initrd->size, PAGE_SIZE_4K);

		if (gpa >= plan->end) {
			*ret_gpa = gpa;
			return 0;
		}
	}
	if (plan->initrd_high && initrd->size <= high_size) {
		*ret_gpa = MEMMAP_HIGH_RAM +
		    ROUND_DOWN(high_size - initrd->size, PAGE_SIZE_4K);
		return 0;
	}
	return error_set(err, ENOMEM,
	    "initrd %s: %llu KiB do not fit between the kernel's end at %#llx "
	    "and %#llx; give the machine more memory",
	    initrd->name, (unsigned long long)((initrd->size + 1023) / KiB),
	    (unsigned long long)plan->end, (unsigned long long)end);
}
