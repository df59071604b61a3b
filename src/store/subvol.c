/*
 * btrfs subvolumes, by the kernel's own calls (linux/btrfs.h): a path's last
 * part is a name in the folder before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "store/volume_impl.h"

static int
open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static int
open_parent(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	char parent[STORE_PATH];
	int rc;

	if (slash == NULL || slash == path)
		return -EINVAL;
	rc = str_format(
	    parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	if (rc == 0)
		rc = str_format(name, size, "%s", slash + 1);
	return rc < 0 ? rc : open_dir(parent);
}

static int
by_name(const char *path, unsigned long request)
{
	struct btrfs_ioctl_vol_args args = { 0 };
	cleanup_close int dir = open_parent(path, args.name, sizeof(args.name));

	if (dir < 0)
		return dir;
	return ioctl(dir, request, &args) == 0 ? 0 : -errno;
}

int
subvol_make(const char *path)
{
	return by_name(path, BTRFS_IOC_SUBVOL_CREATE);
}

int
subvol_copy(const char *from, const char *to)
{
	struct btrfs_ioctl_vol_args_v2 args = { 0 };
	cleanup_close int dir = open_parent(to, args.name, sizeof(args.name));
	cleanup_close int source = open_dir(from);

	if (dir < 0 || source < 0)
		return dir < 0 ? dir : source;
	args.fd = source;
	return ioctl(dir, BTRFS_IOC_SNAP_CREATE_V2, &args) == 0 ? 0 : -errno;
}

bool
subvol_is(const char *path)
{
	struct statfs fs;
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_ino == BTRFS_FIRST_FREE_OBJECTID && statfs(path, &fs) == 0 &&
	    fs.f_type == BTRFS_SUPER_MAGIC;
}

int
subvol_remove(const char *path)
{
	return by_name(path, BTRFS_IOC_SNAP_DESTROY);
}

int
subvol_limit(const char *path, uint64_t bytes)
{
	/* all ones take a limit away; group 0 is the subvolume's own */
	struct btrfs_ioctl_qgroup_limit_args args = {
		.lim = { .flags = BTRFS_QGROUP_LIMIT_MAX_RFER,
		    .max_rfer = bytes }
	};
	cleanup_close int fd = open_dir(path);

	if (fd < 0)
		return fd;
	return ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, &args) == 0 ? 0 : -errno;
}
