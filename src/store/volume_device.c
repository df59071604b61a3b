/*
 * Block devices of the host, which are there before a zone and after it: they
 * are written to and measured, never made, resized or removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "store/copy.h"
#include "store/volume_impl.h"

bool
device_is(const char *path)
{
	struct stat st;

	return path[0] == '/' && stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static int
open_device(const char *path, int flags, uint64_t *size, struct error *err)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK), rc;

	if (fd < 0 && errno == EBUSY)
		return error_set(err, EBUSY,
		    "%s: in use by the host; unmount it first", path);
	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	rc = copy_size(fd, size);
	if (rc == 0)
		return fd;
	close(fd);
	return error_sys(err, -rc, "%s", path);
}

int
device_stat(const char *path, struct volume_info *ret, struct error *err)
{
	struct volume_info v = { .half = false };
	cleanup_close int fd = open_device(path, O_RDONLY, &v.size, err);

	if (fd < 0)
		return fd;
	v.used = v.size;
	if (str_format(v.conf_path, sizeof(v.conf_path), "%s", path) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", path);
	*ret = v;
	return 0;
}

int
device_resize(const char *path, uint64_t size, struct error *err)
{
	struct volume_info v;
	int rc = device_stat(path, &v, err);

	if (rc < 0 || v.size == size)
		return rc;
	return error_set(err, EOPNOTSUPP,
	    "%s is a device of %ju bytes: it cannot be resized", path,
	    (uintmax_t)v.size);
}

int
device_fill(
    const char *path, uint64_t size, const char *origin, struct error *err)
{
	cleanup_close int to = -1, from = -1;
	uint64_t room = 0, has = 0;
	int rc;

	/* O_EXCL: not while it is mounted */
	rc = to = open_device(path, O_RDWR | O_EXCL, &room, err);
	if (rc >= 0 && origin != NULL)
		rc = from = open(origin, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (to >= 0 && rc < 0)
		rc = error_sys(err, errno, "%s", origin);
	if (rc >= 0 && from >= 0 && (rc = copy_size(from, &has)) < 0)
		rc = error_sys(err, -rc, "%s", origin);
	if (rc >= 0 && MAX(size, has) > room)
		rc = error_set(err, EFBIG,
		    "%s has %ju bytes, the disk is to have %ju", path,
		    (uintmax_t)room, (uintmax_t)MAX(size, has));
	if (rc < 0 || from < 0)
		return rc < 0 ? rc : 0;
	rc = copy_disk(from, to);
	if (rc == 0 && fsync(to) != 0)
		rc = -errno;
	return rc < 0
	    ? error_sys(err, -rc, "cannot copy %s to %s", origin, path)
	    : 0;
}
