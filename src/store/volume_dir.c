/*
 * Pools that are folders: plain files, and btrfs, where a zone's place is a
 * subvolume. What is being made has the suffix HALF and is locked by its maker,
 * so that another knows a leftover from work.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "base/tree.h"
#include "store/copy.h"
#include "store/half.h"
#include "store/volume_impl.h"

/* ---- paths ---- */

int
dir_path(const struct pool *p, const char *zone, const char *sub, char *buf,
    struct error *err)
{
	if (str_format(buf, STORE_PATH, "%s/%s%s%s", p->host, zone,
		sub != NULL ? "/" : "", sub != NULL ? sub : "") < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", p->host);
	return 0;
}

static int
dir_volume_path(const struct pool *p, const char *zone, const char *name,
    char *buf, size_t size)
{
	return str_format(buf, size, "%s/%s/disks/%s", p->host, zone, name);
}

int
dir_sync(const char *path, struct error *err)
{
	cleanup_close int fd =
	    open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
		return error_sys(err, errno, "%s", path);
	return 0;
}

/* ---- a zone's place ---- */

int
dir_tree_make(const struct pool *p, const char *path, struct error *err)
{
	int rc;

	if (p->ops == &volume_btrfs_ops)
		rc = subvol_make(path);
	else
		rc = mkdir(path, 0700) == 0 ? 0 : -errno;
	if (rc == -ENOTTY)
		return error_set(err, ENOTTY,
		    "pool '%s': %s is not on btrfs; make it one of kind file",
		    p->name, p->host);
	if (rc < 0 && rc != -EEXIST)
		return error_sys(err, -rc, "%s", path);
	return 0;
}

/* A subvolume goes at once, with all that is in it. */
int
dir_tree_remove(const struct pool *p, const char *path, struct error *err)
{
	int rc = -ENOTTY;

	if (p->ops == &volume_btrfs_ops && subvol_is(path))
		rc = subvol_remove(path);
	if (rc == -ENOENT)
		return 0;
	return rc < 0 ? tree_remove(path, err) : 0;
}

static int
dir_zone_create(const struct pool *p, const char *zone, struct error *err)
{
	char path[STORE_PATH], disks[STORE_PATH];
	struct stat st;
	int rc;

	rc = dir_path(p, zone, NULL, path, err);
	if (rc == 0)
		rc = dir_path(p, zone, "disks", disks, err);
	if (rc < 0 || (lstat(disks, &st) == 0 && S_ISDIR(st.st_mode)))
		return rc;
	rc = tree_make_dirs(p->host, 0711, err);
	if (rc == 0)
		rc = dir_tree_make(p, path, err);
	if (rc == 0 && chmod(path, 0700) != 0)
		rc = error_sys(err, errno, "%s", path);
	if (rc == 0 && mkdir(disks, 0700) != 0 && errno != EEXIST)
		rc = error_sys(err, errno, "%s", disks);
	if (rc == 0)
		rc = dir_sync(path, err);
	return rc < 0 ? rc : dir_sync(p->host, err);
}

static int
dir_zone_remove(const struct pool *p, const char *zone, struct error *err)
{
	char path[STORE_PATH], half[STORE_PATH];
	int rc;

	rc = dir_path(p, zone, NULL, path, err);
	if (rc == 0 && str_format(half, sizeof(half), "%s" HALF, path) < 0)
		rc = error_set(err, ENAMETOOLONG, "%s", path);
	if (rc == 0)
		rc = dir_snapshots_remove(p, zone, err);
	if (rc == 0)
		rc = dir_tree_remove(p, half, err);
	if (rc == 0)
		rc = dir_tree_remove(p, path, err);
	if (rc == 0 && access(p->host, F_OK) == 0)
		rc = dir_sync(p->host, err);
	return rc;
}

/* ---- one volume ---- */

static int
fill_from(int fd, const char *origin, uint64_t *size, struct error *err)
{
	cleanup_close int from = -1;
	uint64_t has;
	int rc;

	from = open(origin, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (from < 0)
		return error_sys(err, errno, "%s", origin);
	rc = copy_size(from, &has);
	if (rc < 0)
		return error_sys(err, -rc, "%s", origin);
	if (*size != 0 && has > *size)
		return error_set(err, EFBIG,
		    "%s has %ju bytes, the volume is to have %ju", origin,
		    (uintmax_t)has, (uintmax_t)*size);
	rc = copy_disk(from, fd);
	if (rc < 0)
		return error_sys(err, -rc, "cannot copy %s", origin);
	if (*size == 0)
		*size = ROUND_UP(has, (uint64_t)SECTOR);
	return 0;
}

/* Some file systems cannot keep room for later: theirs is a wish. */
static int
reserve(int fd, uint64_t size)
{
	int rc;

	if (size == 0)
		return 0;
	do {
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
	} while (rc != 0 && errno == EINTR);
	return rc == 0 || errno == EOPNOTSUPP ? 0 : -errno;
}

static int
fill(
    int fd, const struct volume_spec *spec, const char *path, struct error *err)
{
	uint64_t size = spec->size;
	int rc = 0;

	if (spec->origin != NULL)
		rc = fill_from(fd, spec->origin, &size, err);
	if (rc < 0)
		return rc;
	if (ftruncate(fd, (off_t)size) != 0)
		return error_sys(
		    err, errno, "%s, %ju MiB", path, (uintmax_t)(size / MiB));
	rc = reserve(fd, MIN(spec->refreservation, size));
	if (rc < 0)
		return error_sys(err, -rc,
		    "%s: cannot keep %ju MiB free for it (refreservation)",
		    path, (uintmax_t)(spec->refreservation / MiB));
	return fsync(fd) == 0 ? 0 : error_sys(err, errno, "%s", path);
}

/*
 * btrfs compresses a file by its property; SmartOS's names for it, roughly.
 * Without one it does as it is mounted; kernels before 5.14 have no "none".
 */
#define COMPRESSION "btrfs.compression"
static int
set_compression(int fd, const char *name)
{
	const char *kind = strcmp(name, "off") == 0 ? "none"
	    : strncmp(name, "gzip", 4) == 0         ? "zlib"
						    : "zstd";

	if (fsetxattr(fd, COMPRESSION, kind, strlen(kind), 0) == 0)
		return 0;
	if (errno == EINVAL && strcmp(kind, "none") == 0 &&
	    (fremovexattr(fd, COMPRESSION) == 0 || errno == ENODATA))
		return 0;
	return -errno;
}

static int
taken(const struct volume_spec *s, struct error *err)
{
	return error_set(err, EEXIST,
	    "there is a volume /dev/zvol/rdsk/%s/%s/%s already", s->pool,
	    s->zone, s->name);
}

static int
dir_create(const struct pool *p, const struct volume_spec *spec,
    const struct volume_id *from, struct error *err)
{
	char disks[STORE_PATH], path[STORE_PATH], half[STORE_PATH];
	cleanup_close int fd = -1;
	int rc;

	rc = dir_path(p, spec->zone, "disks", disks, err);
	if (rc == 0 &&
	    (str_format(path, sizeof(path), "%s/%s", disks, spec->name) < 0 ||
		str_format(half, sizeof(half), "%s" HALF, path) < 0))
		rc = error_set(err, ENAMETOOLONG, "%s", disks);
	if (rc < 0)
		return rc;
	if (access(path, F_OK) == 0)
		return taken(spec, err);
	rc = fd = half_open(half, err);
	if (rc < 0)
		return rc;
	if (spec->compression != NULL && strcmp(spec->compression, "off") != 0)
		(void)set_compression(fd, spec->compression);
	rc = fill(fd, spec, path, err);
	if (rc == 0 &&
	    renameat2(AT_FDCWD, half, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
		rc = errno == EEXIST ? taken(spec, err)
				     : error_sys(err, errno, "%s", path);
	if (rc < 0)
		unlink(half);
	return rc < 0 ? rc : dir_sync(disks, err);
}

static int
open_volume(const struct pool *p, const char *zone, const char *name,
    char path[STORE_PATH], struct error *err)
{
	int fd;

	if (dir_volume_path(p, zone, name, path, STORE_PATH) < 0)
		return error_set(err, ENAMETOOLONG, "%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? error_sys(err, errno, "%s", path) : fd;
}

static int
dir_compress(const struct pool *p, const char *zone, const char *name,
    const char *how, struct error *err)
{
	char path[STORE_PATH];
	cleanup_close int fd = open_volume(p, zone, name, path, err);
	int rc = fd < 0 ? fd : set_compression(fd, how);

	if (fd < 0 || rc == 0)
		return rc;
	if (rc == -EOPNOTSUPP && strcmp(how, "off") == 0)
		return 0;
	if (rc == -EOPNOTSUPP)
		return error_set(err, EOPNOTSUPP,
		    "pool '%s' does not compress: %s is not on btrfs", p->name,
		    p->host);
	return error_sys(err, -rc, "%s: compression", path);
}

static int
punch(int fd, off_t at, off_t end)
{
	return at < end &&
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
		    end - at) != 0
	    ? -errno
	    : 0;
}

static int
punch_zeros(int fd, off_t at, off_t end)
{
	uint8_t page[4096];
	int rc = 0;

	for (ssize_t n; rc == 0 && at < end; at += n) {
		n = pread(fd, page, MIN(sizeof(page), (size_t)(end - at)), at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		if (copy_is_zero(page, (size_t)n))
			rc = punch(fd, at, at + n);
	}
	return rc;
}

/*
 * What was kept free and not written to is a hole for SEEK_HOLE, unless it was
 * read and is cached, or is on tmpfs, where what was kept twice is data of
 * zeros: behind 'from' the holes give their blocks back. Nobody may write
 * meanwhile.
 */
static int
give_back(int fd, off_t from)
{
	off_t end = lseek(fd, 0, SEEK_END), at = from, data;
	struct statfs fs;
	int rc = 0;

	if (end < 0 || fsync(fd) != 0 || fstatfs(fd, &fs) != 0)
		return -errno;
	(void)posix_fadvise(fd, from, 0, POSIX_FADV_DONTNEED);
	while (rc == 0 && at < end) {
		data = lseek(fd, at, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			return -errno;
		if (data < 0 || data > end)
			data = end;
		rc = punch(fd, at, data);
		at = data < end ? lseek(fd, data, SEEK_HOLE) : end;
		if (at < 0)
			return -errno;
		if (rc == 0 && fs.f_type == TMPFS_MAGIC)
			rc = punch_zeros(fd, data, at);
	}
	return rc;
}

static int
dir_reserve(const struct pool *p, const char *zone, const char *name,
    uint64_t size, bool less, struct error *err)
{
	char path[STORE_PATH];
	cleanup_close int fd = open_volume(p, zone, name, path, err);
	int rc;

	if (fd < 0)
		return fd;
	rc = reserve(fd, size);
	if (rc == 0 && less)
		rc = give_back(fd, (off_t)size);
	if (rc == -EOPNOTSUPP)
		rc = 0;
	return rc < 0 ? error_sys(err, -rc,
			    "%s: cannot keep %ju MiB free for it "
			    "(refreservation)",
			    path, (uintmax_t)(size / MiB))
		      : 0;
}

static int
dir_resize(const struct pool *p, const char *zone, const char *name,
    uint64_t size, bool shrink, struct error *err)
{
	char path[STORE_PATH];
	cleanup_close int fd = open_volume(p, zone, name, path, err);

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)size) != 0 || fsync(fd) != 0)
		return error_sys(
		    err, errno, "%s, %ju MiB", path, (uintmax_t)(size / MiB));
	return 0;
}

static int
dir_remove(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char disks[STORE_PATH], path[STORE_PATH], half[STORE_PATH];
	bool gone;
	int rc;

	rc = dir_path(p, zone, "disks", disks, err);
	if (rc == 0 &&
	    (str_format(path, sizeof(path), "%s/%s", disks, name) < 0 ||
		str_format(half, sizeof(half), "%s" HALF, path) < 0))
		rc = error_set(err, ENAMETOOLONG, "%s", disks);
	if (rc < 0)
		return rc;
	gone = unlink(half) == 0;
	if (unlink(path) != 0 && (errno != ENOENT || !gone))
		return errno == ENOENT
		    ? error_set(err, ENOENT,
			  "there is no volume /dev/zvol/rdsk/%s/%s/%s", p->name,
			  zone, name)
		    : error_sys(err, errno, "%s", path);
	return dir_sync(disks, err);
}

/* ---- lists ---- */

static int
list_entry(const struct pool *p, const char *zone, int dir, const char *entry,
    struct volume_list *l)
{
	struct volume_info v = { .half = false };
	char name[NAME_MAX + 1];
	struct stat st;

	str_format(name, sizeof(name), "%s", entry);
	v.half = volume_name_half(name);
	if (!volume_name_ok(name) ||
	    fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return 0;
	v.size = (uint64_t)st.st_size;
	v.used = (uint64_t)st.st_blocks * 512;
	volume_conf_path(p->name, zone, name, v.conf_path, sizeof(v.conf_path));
	return volume_list_add(l, &v);
}

static int
dir_list(const struct pool *p, const char *zone, struct volume_list *l,
    struct error *err)
{
	char path[STORE_PATH];
	struct dirent *e;
	DIR *d;
	int rc;

	rc = dir_path(p, zone, "disks", path, err);
	if (rc < 0)
		return rc;
	d = opendir(path);
	if (d == NULL)
		return errno == ENOENT ? 0 : error_sys(err, errno, "%s", path);
	while (rc == 0 && (e = readdir(d)) != NULL)
		rc = list_entry(p, zone, dirfd(d), e->d_name, l);
	closedir(d);
	return rc < 0 ? error_sys(err, -rc, "%s", path) : 0;
}

static int
dir_zones(const struct pool *p,
    int (*fn)(
	const struct pool *p, const char *zone, void *arg, struct error *err),
    void *arg, struct error *err)
{
	DIR *d = opendir(p->host);
	uint8_t uuid[16];
	struct dirent *e;
	int rc = 0;

	if (d == NULL)
		return errno == ENOENT ? 0
				       : error_sys(err, errno, "%s", p->host);
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (strlen(e->d_name) == VOLUME_ZONE_LEN &&
		    str_to_uuid(e->d_name, uuid) == 0)
			rc = fn(p, e->d_name, arg, err);
	closedir(d);
	return rc;
}

/* ---- quotas ---- */

static int
file_zone_quota(
    const struct pool *p, const char *zone, uint64_t quota, struct error *err)
{
	if (quota == 0)
		return 0;
	return error_set(err, EOPNOTSUPP,
	    "pool '%s' is of plain files and limits no zone", p->name);
}

/* The subvolume has the volumes in it: they are given their sizes. */
static int
btrfs_zone_quota(
    const struct pool *p, const char *zone, uint64_t quota, struct error *err)
{
	uint64_t limit = quota != 0 ? quota : UINT64_MAX;
	struct volume_list l = { NULL };
	char path[STORE_PATH];
	int rc;

	rc = dir_path(p, zone, NULL, path, err);
	if (rc == 0)
		rc = dir_list(p, zone, &l, err);
	for (size_t i = 0; i < l.n; i++)
		limit += MIN(l.v[i].size, UINT64_MAX - limit);
	volume_list_free(&l);
	if (rc < 0)
		return rc;
	rc = subvol_limit(path, limit);
	if (rc == -ENOTCONN && quota == 0)
		return 0;
	if (rc == -ENOTCONN || rc == -ENOTTY)
		return error_set(err, EOPNOTSUPP,
		    "quotas of btrfs are off in pool '%s'; 'btrfs quota enable "
		    "%s' turns them on",
		    p->name, p->host);
	return rc < 0 ? error_sys(err, -rc, "%s: quota", path) : 0;
}

#define DIR_OPS                                                             \
	.path = dir_volume_path, .zone_create = dir_zone_create,            \
	.zone_remove = dir_zone_remove, .create = dir_create,               \
	.resize = dir_resize, .compress = dir_compress,                     \
	.reserve = dir_reserve, .remove = dir_remove, .list = dir_list,     \
	.zones = dir_zones, .snap_begin = dir_snap_begin,                   \
	.snap_take = dir_snap_take, .snap_end = dir_snap_end,               \
	.snap_rollback = dir_snap_rollback, .snap_delete = dir_snap_delete, \
	.snap_list = dir_snap_list

const struct volume_ops volume_file_ops = {
	.kind = "file", .zone_quota = file_zone_quota, DIR_OPS
};
const struct volume_ops volume_btrfs_ops = {
	.kind = "btrfs", .atomic = true, .zone_quota = btrfs_zone_quota, DIR_OPS
};
