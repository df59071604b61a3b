/*
 * Copies of disks. The kernel copies where it can (copy_file_range shares
 * blocks on some file systems, and moves them on servers), else we do.
 */
#include "store/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"

#define CHUNK (1U << 20)
#define SMALL_CHUNK (64U << 10) /* where zeros are not written */
#define KERNEL_CHUNK (64U << 20)
#define DEPTH_MAX 16
#define PATH_SIZE 4096

struct copy {
	int from, to;
	bool kernel; /* copy_file_range works here */
	bool device; /* the target is a device: its holes have old bytes */
	bool zeros; /* the target has nothing but zeros */
	char *chunk; /* CHUNK bytes */
};

int
copy_size(int fd, uint64_t *ret)
{
	struct stat st;
	uint64_t size;

	if (fstat(fd, &st) != 0)
		return -errno;
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size) != 0)
		return -errno;
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = size;
	return 0;
}

static bool
unsupported(int error)
{
	return error == EXDEV || error == EINVAL || error == EOPNOTSUPP ||
	    error == ENOSYS || error == EBADF || error == EPERM;
}

bool
copy_is_zero(const void *bytes, size_t n)
{
	const char *p = bytes;

	/* equal to itself one byte on: all bytes are as the first */
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static int
copy_chunk(struct copy *c, size_t n, off_t at)
{
	ssize_t rc;

	if (c->zeros && copy_is_zero(c->chunk, n))
		return 0;
	for (size_t done = 0; done < n; done += (size_t)rc) {
		rc = pwrite(c->to, c->chunk + done, n - done, at + (off_t)done);
		if (rc < 0 && errno == EINTR)
			rc = 0;
		else if (rc <= 0)
			return rc < 0 ? -errno : -EIO;
	}
	return 0;
}

/* One step by the kernel, or by reading and writing. */
static ssize_t
copy_step(struct copy *c, off_t at, off_t end)
{
	off_t in = at, out = at;
	size_t left = (size_t)(end - at);
	ssize_t n;
	int rc;

	if (c->kernel) {
		n = copy_file_range(
		    c->from, &in, c->to, &out, MIN(left, KERNEL_CHUNK), 0);
		if (n >= 0 || !unsupported(errno))
			return n < 0 ? -errno : n;
		c->kernel = false;
	}
	n = pread(
	    c->from, c->chunk, MIN(left, c->zeros ? SMALL_CHUNK : CHUNK), at);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	rc = copy_chunk(c, (size_t)n, at);
	return rc < 0 ? rc : n;
}

static int
copy_range(struct copy *c, off_t at, off_t end)
{
	ssize_t n;

	while (at < end) {
		n = copy_step(c, at, end);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		at += n;
	}
	return 0;
}

/* A hole: of a file nothing, of a device zeros. */
static int
copy_hole(const struct copy *c, off_t at, off_t end)
{
	uint64_t range[2] = { (uint64_t)at, (uint64_t)(end - at) };

	if (!c->device || c->zeros || at == end)
		return 0;
	return ioctl(c->to, BLKZEROOUT, range) == 0 ? 0 : -errno;
}

/* Block devices know no holes: all of it is data. */
static int
next_data(int fd, off_t at, off_t size, off_t *data, off_t *hole)
{
	*data = lseek(fd, at, SEEK_DATA);
	if (*data < 0 && errno == ENXIO) {
		*data = *hole = size;
		return 0;
	}
	if (*data < 0 && errno == EINVAL) {
		*data = at;
		*hole = size;
		return 0;
	}
	if (*data < 0)
		return -errno;
	*hole = lseek(fd, *data, SEEK_HOLE);
	return *hole < 0 ? -errno : 0;
}

static int
copy_sparse(struct copy *c, off_t size)
{
	off_t at = 0, data = 0, hole = 0;
	int rc = 0;

	while (rc == 0 && at < size) {
		rc = next_data(c->from, at, size, &data, &hole);
		data = MIN(data, size);
		hole = MIN(hole, size);
		if (rc == 0)
			rc = copy_hole(c, at, data);
		if (rc == 0)
			rc = copy_range(c, data, hole);
		at = hole;
	}
	return rc;
}

static int
copy(int from, int to, bool zeros)
{
	struct copy c = {
		.from = from, .to = to, .kernel = !zeros, .zeros = zeros
	};
	uint64_t size, room;
	struct stat st;
	int rc;

	if (fstat(to, &st) != 0)
		return -errno;
	c.device = S_ISBLK(st.st_mode);
	if (!c.device && ioctl(to, FICLONE, from) == 0)
		return 0;
	rc = copy_size(from, &size);
	if (rc < 0)
		return rc;
	if (size > INT64_MAX)
		return -EFBIG;
	if (c.device && copy_size(to, &room) == 0 && room < size)
		return -EFBIG;
	if (!c.device && ftruncate(to, (off_t)size) != 0)
		return -errno;
	c.chunk = alloc_bytes(CHUNK);
	rc = c.chunk == NULL ? -ENOMEM : copy_sparse(&c, (off_t)size);
	str_cleanup_free(&c.chunk);
	return rc;
}

int
copy_disk(int from, int to)
{
	return copy(from, to, false);
}

int
copy_to_zeros(int from, int to)
{
	return copy(from, to, true);
}

/* shared: share blocks or fail, and let the caller sync. */
static int
file_at(const char *from, const char *to, unsigned mode, bool shared,
    struct error *err)
{
	cleanup_close int in = -1, out = -1;
	struct stat st;
	int rc;

	in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (in < 0 && errno == ENOENT && shared)
		return 0;
	if (in < 0 || fstat(in, &st) != 0)
		return error_sys(err, errno, "%s", from);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s: not a file", from);
	out =
	    open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		return error_sys(err, errno, "%s", to);
	if (shared)
		rc = ioctl(out, FICLONE, in) == 0 ? 0 : -errno;
	else
		rc = copy_disk(in, out);
	if (rc == 0 &&
	    (fchmod(out, mode & 07777) != 0 || (!shared && fsync(out) != 0)))
		rc = -errno;
	if (rc == 0)
		return 0;
	unlink(to);
	return error_sys(err, -rc, "cannot %s %s to %s",
	    shared ? "share the blocks of" : "copy", from, to);
}

int
copy_file(const char *from, const char *to, unsigned mode, struct error *err)
{
	return file_at(from, to, mode, false, err);
}

/* ---- trees ---- */

/* A folder in both trees, at a depth. */
struct branch {
	const char *from, *to;
	int depth;
	bool shared;
};

static int tree_at(const struct branch *b, struct error *err);

static int
tree_entry(const struct branch *b, const struct stat *st, struct error *err)
{
	int rc = 0;

	if (S_ISDIR(st->st_mode))
		rc = tree_at(b, err);
	else if (S_ISREG(st->st_mode))
		rc = file_at(b->from, b->to, st->st_mode, b->shared, err);
	else
		return 0;
	if (rc == 0 && lchown(b->to, st->st_uid, st->st_gid) != 0 &&
	    (!b->shared || errno != ENOENT))
		rc = error_sys(err, errno, "%s", b->to);
	return rc;
}

static int
tree_all(DIR *d, const struct branch *b, struct error *err)
{
	char src[PATH_SIZE], dst[PATH_SIZE];
	const struct branch next = { src, dst, b->depth + 1, b->shared };
	struct dirent *e;
	struct stat st;
	int rc = 0;

	while (rc == 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (str_format(src, sizeof(src), "%s/%s", b->from, e->d_name) <
			0 ||
		    str_format(dst, sizeof(dst), "%s/%s", b->to, e->d_name) < 0)
			return error_set(err, ENAMETOOLONG, "%s", e->d_name);
		if (lstat(src, &st) == 0)
			rc = tree_entry(&next, &st, err);
		else if (errno != ENOENT)
			rc = error_sys(err, errno, "%s", src);
	}
	return rc;
}

static int
finish_dir(const struct branch *b, mode_t mode, struct error *err)
{
	cleanup_close int fd =
	    open(b->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fchmod(fd, mode & 07777) != 0 ||
	    (!b->shared && fsync(fd) != 0))
		return error_sys(err, errno, "%s", b->to);
	return 0;
}

static int
tree_at(const struct branch *b, struct error *err)
{
	struct stat st;
	DIR *d;
	int rc;

	if (b->depth == DEPTH_MAX)
		return error_set(err, ELOOP, "%s: folders too deep", b->from);
	d = opendir(b->from);
	if (d == NULL || fstat(dirfd(d), &st) != 0 ||
	    mkdir(b->to, st.st_mode & 07777) != 0) {
		rc = error_sys(
		    err, errno, "cannot copy folder %s to %s", b->from, b->to);
	} else {
		rc = tree_all(d, b, err);
		if (rc == 0)
			rc = finish_dir(b, st.st_mode, err);
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

static int
tree(const char *from, const char *to, bool shared, struct error *err)
{
	const struct branch top = { from, to, 0, shared };
	struct stat st;

	if (lstat(from, &st) != 0)
		return error_sys(err, errno, "%s", from);
	return tree_entry(&top, &st, err);
}

int
copy_tree(const char *from, const char *to, struct error *err)
{
	return tree(from, to, false, err);
}

/* ---- sharing ---- */

int
copy_tree_shared(const char *from, const char *to, struct error *err)
{
	return tree(from, to, true, err);
}

static int
sync_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	cleanup_close int fd = -1;

	if (type != FTW_F && type != FTW_DP)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && fsync(fd) == 0 ? 0 : -1;
}

int
copy_tree_sync(const char *path, struct error *err)
{
	if (nftw(path, sync_entry, DEPTH_MAX, FTW_PHYS | FTW_DEPTH) != 0)
		return error_sys(err, errno, "%s", path);
	return 0;
}

/* Files that never had a name: nothing of it stays. */
int
copy_can_share(const char *from, const char *to)
{
	char block[4096] = "";
	cleanup_close int in = open(from, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600),
			  out = open(to, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (in < 0 || out < 0 ||
	    pwrite(in, block, sizeof(block), 0) != sizeof(block) ||
	    ioctl(out, FICLONE, in) != 0)
		return -errno;
	return 0;
}
