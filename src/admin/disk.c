/*
 * Disks that install makes: blank and sparse, or with an image's contents.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/impl.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/assign.h"
#include "zone/type.h"

#define COPY_CHUNK (1U << 20)

static int
copy_range(int from, int to, off_t at, off_t end, char *chunk)
{
	ssize_t n;
	size_t want;

	while (at < end) {
		want = (size_t)MIN((uint64_t)(end - at), COPY_CHUNK);
		n = pread(from, chunk, want, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		if (pwrite(to, chunk, (size_t)n, at) != n)
			return errno != 0 ? -errno : -EIO;
		at += n;
	}
	return 0;
}

/* Holes stay holes. */
static int
copy_sparse(int from, int to, off_t size)
{
	cleanup_free char *chunk = alloc_bytes(COPY_CHUNK);
	off_t data = 0, hole;
	int rc = 0;

	if (chunk == NULL)
		return -ENOMEM;
	while (rc == 0 && data < size) {
		data = lseek(from, data, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		rc = copy_range(from, to, data, hole, chunk);
		data = hole;
	}
	return rc;
}

static int
copy_image(const char *image, int to, uint64_t *size, struct error *err)
{
	cleanup_close int from = -1;
	struct stat st;
	int rc = 0;

	from = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (from < 0 || fstat(from, &st) != 0)
		return error_sys(err, errno, "image %s", image);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "image %s: not a file", image);
	if (ioctl(to, FICLONE, from) != 0) {
		if (ftruncate(to, st.st_size) != 0)
			rc = -errno;
		if (rc == 0)
			rc = copy_sparse(from, to, st.st_size);
	}
	*size = MAX(*size, (uint64_t)st.st_size);
	return rc < 0 ? error_sys(err, -rc, "image %s", image) : 0;
}

static int
make_disk(const char *path, uint64_t size, const char *image, struct error *err)
{
	cleanup_close int fd = -1;
	struct stat st;
	int rc = 0;

	fd = open(
	    path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_sys(err, errno, "disk %s", path);
	if (image != NULL)
		rc = copy_image(image, fd, &size, err);
	if (rc == 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size < size &&
	    ftruncate(fd, (off_t)size) != 0)
		rc = error_sys(err, errno, "disk %s", path);
	if (rc == 0 && fsync(fd) != 0)
		rc = error_sys(err, errno, "disk %s", path);
	if (rc < 0)
		unlink(path);
	return rc;
}

int
admin_copy_file(const char *from, const char *to, struct error *err)
{
	return make_disk(to, 0, from, err);
}

static uint64_t
disk_size(const struct zone_res *disk)
{
	const char *text = zone_res_lookup(disk, "size");
	uint64_t size = 0;

	if (text != NULL)
		(void)zone_type_number(ZONE_RAM, 0, text, &size);
	return size;
}

/* The one that says so, else the first. */
static const struct zone_res *
boot_disk(const struct zone_conf *conf)
{
	const struct zone_res *r, *first = NULL;
	size_t at = ZONE_NEW;

	while ((r = zone_conf_next_disk(conf, &at)) != NULL) {
		if (zone_res_flag(r, "boot"))
			return r;
		if (first == NULL)
			first = r;
	}
	return first;
}

int
admin_make_disks(struct admin *a, const struct zone_conf *conf,
    const char *image, struct error *err)
{
	const struct zone_res *boot = boot_disk(conf), *r;
	const char *from;
	char path[ADMIN_PATH];
	size_t at = ZONE_NEW;
	uint64_t size;
	int rc = 0;

	if (image != NULL && boot == NULL)
		return error_set(err, EINVAL,
		    "there is no disk for the image; 'add disk' first");
	while (rc == 0 && (r = zone_conf_next_disk(conf, &at)) != NULL) {
		from = r == boot ? image : NULL;
		size = disk_size(r);
		rc = admin_path(a, zone_conf_get(conf, "zonepath"),
		    zone_res_disk_path(r), path, sizeof(path), err);
		if (rc == 0 && access(path, F_OK) == 0 && from != NULL)
			rc = error_set(err, EEXIST,
			    "disk %s is there already; the image would "
			    "overwrite it",
			    path);
		else if (rc == 0 && access(path, F_OK) != 0 &&
		    (size > 0 || from != NULL))
			rc = make_disk(path, size, from, err);
	}
	return rc;
}
