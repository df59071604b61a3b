/*
 * Files to firmware in memory. See bootrom.h.
 *
 * The files come from anywhere: nothing is believed but that they are regular,
 * and what is mapped is a copy.
 */
#include "dev/lpc/bootrom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/passed.h"
#include "base/str.h"
#include "dev/lpc/flash.h"
#include "dev/platform.h"
#include "vmm/memmap.h"

#define DEV_FD "/dev/fd/"
#define LEGACY_END MiB
#define LEGACY_SIZE (128 * KiB)

struct bootrom {
	struct flash *flash; /* NULL: no variables */
};

/* One file, as it was when the machine was built. */
struct image {
	int fd;
	uint8_t *data;
	uint64_t size;
};

static void
image_drop(struct image *img)
{
	fd_close(&img->fd);
	free(img->data);
}

static int
open_file(const char *path, int mode, struct error *err)
{
	uint64_t n;
	int fd;

	if (strncmp(path, DEV_FD, strlen(DEV_FD)) != 0) {
		/* Nonblocking: a FIFO must not hold us before we look. */
		fd = passed_open(path, mode | O_NOCTTY | O_NONBLOCK);
		return fd >= 0 ? fd : error_sys(err, -fd, "cannot open");
	}
	if (str_to_u64(path + strlen(DEV_FD), 0, INT32_MAX, &n) < 0)
		return error_set(err, EINVAL, "no number of a file descriptor");
	fd = fcntl((int)n, F_GETFL);
	if (fd < 0)
		return error_sys(err, errno, "cannot use the descriptor");
	if (mode == O_RDWR && (fd & O_ACCMODE) != O_RDWR)
		return error_set(
		    err, EACCES, "is not open for reading and writing");
	fd = fcntl((int)n, F_DUPFD_CLOEXEC, 0);
	return fd >= 0 ? fd
		       : error_sys(err, errno, "cannot use the descriptor");
}

static int
check_size(uint64_t size, uint64_t room, struct error *err)
{
	if (size != 0 && size % PAGE_SIZE_4K == 0 && size <= room)
		return 0;
	if (size > room && room < BOOTROM_MAX)
		return error_set(err, EFBIG,
		    "%ju bytes; beside the image there is room for %ju",
		    (uintmax_t)size, (uintmax_t)room);
	return error_set(err, EINVAL,
	    "%ju bytes are no firmware; its size is a multiple of 4096, at "
	    "most %ju",
	    (uintmax_t)size, (uintmax_t)room);
}

/* At most room bytes. */
static int
image_read(struct image *img, const char *path, int mode, uint64_t room,
    struct error *err)
{
	struct stat st;
	ssize_t n;
	int rc;

	img->fd = rc = open_file(path, mode, err);
	if (rc < 0)
		return rc;
	if (fstat(img->fd, &st) < 0)
		return error_sys(err, errno, "cannot look at it");
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "is not a regular file");
	img->size = (uint64_t)st.st_size;
	rc = check_size(img->size, room, err);
	if (rc < 0)
		return rc;
	img->data = alloc_bytes(img->size);
	if (img->data == NULL)
		return error_sys(err, ENOMEM, "firmware");
	n = fd_pread_full(img->fd, img->data, img->size, 0);
	if (n < 0)
		return error_sys(err, (int)-n, "cannot read");
	if ((uint64_t)n < img->size)
		return error_set(
		    err, ENODATA, "became shorter while it was being read");
	return 0;
}

static int
map_rom(struct vm *vm, const char *path, uint64_t *ret_base, struct error *err)
{
	struct image img = { .fd = -1 };
	struct vm_mem *mem = vm_mem(vm);
	uint64_t n;
	int rc = image_read(&img, path, O_RDONLY, BOOTROM_MAX, err);

	if (rc == 0) {
		*ret_base = MEMMAP_ROM_END - img.size;
		rc = vm_mem_add_rom(mem, "bootrom", GPA(*ret_base), img.size,
		    img.data, img.size, err);
	}
	if (rc == 0) {
		n = MIN(img.size, LEGACY_SIZE);
		rc = vm_mem_write(
		    mem, GPA(LEGACY_END - n), img.data + img.size - n, n);
		if (rc < 0)
			error_sys(err, -rc, "no RAM below 1 MiB");
	}
	image_drop(&img);
	return rc;
}

static int
map_flash(struct bootrom *rom, struct vm *vm, const char *path, uint64_t end,
    struct error *err)
{
	struct image img = { .fd = -1 };
	uint64_t room = BOOTROM_MAX - (MEMMAP_ROM_END - end);
	int rc = image_read(&img, path, O_RDWR, room, err);

	if (rc == 0) {
		rc = fd_lock_ofd(img.fd, true);
		if (rc == -EAGAIN)
			error_set(err, EAGAIN,
			    "in use by another process; each machine needs a "
			    "variable file of its own");
		else if (rc < 0)
			error_sys(err, -rc, "cannot lock");
	}
	if (rc == 0) {
		rc = flash_create(vm, GPA(end - img.size), img.data, img.size,
		    img.fd, &rom->flash, err);
		img.fd = -1;
	}
	image_drop(&img);
	return rc;
}

static int
get_path(const struct config_node *lpc, const char *key, char **ret,
    struct error *err)
{
	int rc = config_get_str(lpc, lpc_keys, key, ret, err);

	return rc == -ENOENT ? 0 : rc;
}

int
bootrom_create(struct vm *vm, const struct config_node *root,
    struct bootrom **ret, struct error *err)
{
	const struct config_node *lpc =
	    root != NULL ? config_find_node(root, "lpc") : NULL;
	cleanup_free char *code = NULL, *vars = NULL;
	struct bootrom *rom;
	uint64_t base;
	int rc = 0;

	*ret = NULL;
	if (lpc != NULL)
		rc = get_path(lpc, "bootrom", &code, err);
	if (rc == 0 && code != NULL)
		rc = get_path(lpc, "bootvars", &vars, err);
	if (rc < 0 || code == NULL)
		return rc;
	rom = alloc_zero(1, sizeof(*rom));
	if (rom == NULL)
		return error_sys(err, ENOMEM, "firmware");
	rc = map_rom(vm, code, &base, err);
	if (rc < 0)
		error_prefix(err, "-l bootrom,%s", code);
	if (rc == 0 && vars != NULL) {
		rc = map_flash(rom, vm, vars, base, err);
		if (rc < 0)
			error_prefix(err, "-l bootrom,%s,%s", code, vars);
	}
	if (rc < 0) {
		bootrom_destroy(rom);
		return rc;
	}
	*ret = rom;
	return 0;
}

void
bootrom_destroy(struct bootrom *rom)
{
	if (rom == NULL)
		return;
	flash_destroy(rom->flash);
	free(rom);
}
