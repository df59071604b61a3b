/*
 * Snapshots in pools that are folders. One is a folder WHERE/.snapshots/ZONE/
 * NAME with all of it in 'data'; its time of change is when it was made, and no
 * two have the same, so that they have an order whatever the clock does.
 *
 * A rollback makes the zone's whole place anew beside it (ZONE.new) and
 * exchanges the two at once. Names that end in .new are leftovers: whoever
 * comes next removes them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tree.h"
#include "store/copy.h"
#include "store/volume_impl.h"

#define NS INT64_C(1000000000)

/* What of a zone's place belongs to a snapshot; the rest is of today. */
static const char *const parts[] = { "disks", "config", "uefivars" };

static bool
is_part(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strcmp(parts[i], name) == 0)
			return true;
	return false;
}

/* WHERE/.snapshots/ZONE, /NAME, /SUFFIX behind it */
static int
snap_path(const struct pool *p, const char *zone, const char *name,
    const char *suffix, char *buf, struct error *err)
{
	if (str_format(buf, STORE_PATH, "%s/.snapshots/%s%s%s%s", p->host, zone,
		name != NULL ? "/" : "", name != NULL ? name : "", suffix) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", p->host);
	return 0;
}

/* A snapshot's folder: the subvolume in it first. */
static int
remove_snapshot(const struct pool *p, const char *path, struct error *err)
{
	char data[STORE_PATH];
	int rc;

	if (str_format(data, sizeof(data), "%s/data", path) < 0)
		return error_set(err, ENAMETOOLONG, "%s", path);
	rc = dir_tree_remove(p, data, err);
	return rc < 0 ? rc : tree_remove(path, err);
}

/* ---- lists ---- */

struct found {
	char name[SNAPSHOT_NAME_MAX + 1];
	int64_t ns; /* since 1970 */
};

static int
by_time(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

/* Leftovers go on the way, if 'clean'. The caller frees *ret. */
static int
find_all(const struct pool *p, const char *zone, bool clean, struct found **ret,
    size_t *ret_n, struct error *err)
{
	char dir[STORE_PATH], path[STORE_PATH], name[NAME_MAX + 1];
	struct found *v = NULL, *more;
	struct dirent *e;
	struct stat st;
	size_t n = 0;
	DIR *d;
	int rc;

	rc = snap_path(p, zone, NULL, "", dir, err);
	d = rc == 0 ? opendir(dir) : NULL;
	if (rc == 0 && d == NULL && errno != ENOENT)
		rc = error_sys(err, errno, "%s", dir);
	while (rc == 0 && d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) !=
			0 ||
		    str_format(name, sizeof(name), "%s", e->d_name) < 0)
			continue;
		if (volume_name_half(name)) {
			rc = snap_path(p, zone, e->d_name, "", path, err);
			if (rc == 0 && clean)
				rc = remove_snapshot(p, path, err);
			continue;
		}
		more = alloc_resize(v, n + 1, sizeof(*v));
		if (more == NULL) {
			rc = error_sys(err, ENOMEM, "snapshots");
			continue;
		}
		v = more;
		v[n].ns = st.st_mtim.tv_sec * NS + st.st_mtim.tv_nsec;
		n += str_format(v[n].name, sizeof(v[n].name), "%s", name) == 0;
	}
	if (d != NULL)
		closedir(d);
	if (rc < 0) {
		free(v);
		return rc;
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), by_time);
	*ret = v;
	*ret_n = n;
	return 0;
}

/* Blocks of everything below. */
static uint64_t
used_below(const char *path, int depth)
{
	char sub[STORE_PATH];
	uint64_t sum = 0;
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(path);

	while (d != NULL && depth < 16 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    str_format(sub, sizeof(sub), "%s/%s", path, e->d_name) <
			0 ||
		    lstat(sub, &st) != 0)
			continue;
		sum += S_ISDIR(st.st_mode) ? used_below(sub, depth + 1)
					   : (uint64_t)st.st_blocks * 512;
	}
	if (d != NULL)
		closedir(d);
	return sum;
}

int
dir_snap_list(const struct pool *p, const char *zone, struct snapshot_list *l,
    struct error *err)
{
	struct snapshot_info info;
	struct found *v = NULL;
	char path[STORE_PATH];
	size_t n = 0;
	int rc;

	rc = find_all(p, zone, false, &v, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = snap_path(p, zone, v[i].name, "", path, err);
		info = (struct snapshot_info){ .created = v[i].ns / NS };
		memcpy(info.name, v[i].name, sizeof(info.name));
		if (rc == 0)
			info.used = used_below(path, 0);
		if (rc == 0 && snapshot_list_add(l, &info) < 0)
			rc = error_sys(err, ENOMEM, "snapshots");
	}
	free(v);
	return rc;
}

int
snapshot_missing(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	return error_set(err, ENOENT,
	    "zone %s has no snapshot '%s' in pool '%s'", zone, name, p->name);
}

/* ---- create ---- */

/* Copy what belongs to a snapshot. */
static int
copy_parts(const char *from, const char *to, bool live, struct error *err)
{
	char src[STORE_PATH], dst[STORE_PATH];
	int rc = 0;

	if (mkdir(to, 0700) != 0)
		return error_sys(err, errno, "%s", to);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(parts); i++) {
		if (str_format(src, sizeof(src), "%s/%s", from, parts[i]) < 0 ||
		    str_format(dst, sizeof(dst), "%s/%s", to, parts[i]) < 0)
			return error_set(err, ENAMETOOLONG, "%s", from);
		if (access(src, F_OK) == 0)
			rc = live ? copy_tree_shared(src, dst, err)
				  : copy_tree(src, dst, err);
	}
	return rc < 0 || live ? rc : dir_sync(to, err);
}

static int
copy_place(const struct pool *p, const char *from, const char *to, bool live,
    struct error *err)
{
	int rc;

	if (p->ops != &volume_btrfs_ops)
		return copy_parts(from, to, live, err);
	rc = subvol_copy(from, to);
	return rc < 0
	    ? error_sys(err, -rc, "cannot make a snapshot of %s", from)
	    : 0;
}

/* Later than all others. */
static int
stamp(const char *path, int64_t after, struct error *err)
{
	struct timespec ts[2];
	int64_t now;

	clock_gettime(CLOCK_REALTIME, &ts[1]);
	now = MAX(ts[1].tv_sec * NS + ts[1].tv_nsec, after + NS / 1000);
	ts[1].tv_sec = now / NS;
	ts[1].tv_nsec = now % NS;
	ts[0] = ts[1];
	if (utimensat(AT_FDCWD, path, ts, AT_SYMLINK_NOFOLLOW) != 0)
		return error_sys(err, errno, "%s", path);
	return dir_sync(path, err);
}

/* Everything but the disks is small: those are written out before. */
static int
prepare_live(
    const struct pool *p, const char *zone, const char *half, struct error *err)
{
	char place[STORE_PATH], disks[STORE_PATH];
	int rc;

	rc = dir_path(p, zone, NULL, place, err);
	if (rc == 0)
		rc = dir_path(p, zone, "disks", disks, err);
	if (rc == 0 && p->ops != &volume_btrfs_ops) {
		rc = copy_can_share(place, half);
		if (rc < 0)
			rc = error_set(err, EOPNOTSUPP,
			    "files of pool '%s' in %s cannot share blocks (%s)",
			    p->name, p->host, strerror(-rc));
	}
	if (rc == 0 && access(disks, F_OK) == 0)
		rc = copy_tree_sync(disks, err);
	return rc;
}

/* NAME.new, beside the others. */
static int
make_half(const struct pool *p, const char *zone, const char *name, bool live,
    struct error *err)
{
	char half[STORE_PATH], dir[STORE_PATH];
	struct error late = ERROR_INIT;
	int rc;

	rc = snap_path(p, zone, NULL, "", dir, err);
	if (rc == 0)
		rc = snap_path(p, zone, name, HALF, half, err);
	if (rc == 0)
		rc = tree_make_dirs(dir, 0700, err);
	if (rc == 0 && mkdir(half, 0700) != 0)
		rc = error_sys(err, errno, "%s", half);
	if (rc < 0)
		return rc;
	if (live)
		rc = prepare_live(p, zone, half, err);
	if (rc < 0) {
		(void)remove_snapshot(p, half, &late);
		(void)rmdir(dir);
	}
	return rc;
}

int
dir_snap_begin(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err)
{
	struct found *v = NULL;
	char place[STORE_PATH];
	size_t n = 0;
	int rc;

	rc = dir_path(p, zone, NULL, place, err);
	if (rc == 0 && access(place, F_OK) != 0)
		rc = error_set(err, ENOENT, "zone %s has nothing in pool '%s'",
		    zone, p->name);
	if (rc == 0)
		rc = find_all(p, zone, true, &v, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			rc = error_set(err, EEXIST,
			    "zone %s has a snapshot '%s' already", zone, name);
	free(v);
	return rc < 0 ? rc : make_half(p, zone, name, live, err);
}

int
dir_snap_take(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err)
{
	char data[STORE_PATH], place[STORE_PATH];
	int rc;

	rc = snap_path(p, zone, name, HALF "/data", data, err);
	if (rc == 0)
		rc = dir_path(p, zone, NULL, place, err);
	return rc < 0 ? rc : copy_place(p, place, data, live, err);
}

/* Later than all others, it is one of them. */
static int
publish(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char half[STORE_PATH], path[STORE_PATH] = "", dir[STORE_PATH];
	struct found *v = NULL;
	size_t n = 0;
	int rc;

	rc = snap_path(p, zone, NULL, "", dir, err);
	if (rc == 0)
		rc = snap_path(p, zone, name, HALF, half, err);
	if (rc == 0)
		rc = snap_path(p, zone, name, "", path, err);
	if (rc == 0)
		rc = find_all(p, zone, false, &v, &n, err);
	if (rc == 0)
		rc = stamp(half, n > 0 ? v[n - 1].ns : 0, err);
	if (rc == 0 && rename(half, path) != 0)
		rc = error_sys(err, errno, "%s", path);
	free(v);
	return rc < 0 ? rc : dir_sync(dir, err);
}

int
dir_snap_end(const struct pool *p, const char *zone, const char *name,
    bool live, bool keep, struct error *err)
{
	char half[STORE_PATH], data[STORE_PATH], dir[STORE_PATH];
	struct error late = ERROR_INIT;
	int rc;

	rc = snap_path(p, zone, name, HALF, half, err);
	if (rc == 0)
		rc = snap_path(p, zone, name, HALF "/data", data, err);
	if (rc == 0)
		rc = snap_path(p, zone, NULL, "", dir, err);
	if (rc == 0 && keep && live && p->ops != &volume_btrfs_ops)
		rc = copy_tree_sync(data, err);
	if (rc == 0 && keep)
		rc = publish(p, zone, name, err);
	if (rc < 0 || !keep) {
		(void)remove_snapshot(p, half, &late);
		(void)rmdir(dir);
	}
	return rc;
}

/* ---- delete ---- */

static int
drop(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char path[STORE_PATH], half[STORE_PATH] = "";
	int rc;

	rc = snap_path(p, zone, name, "", path, err);
	if (rc == 0)
		rc = snap_path(p, zone, name, HALF, half, err);
	if (rc == 0)
		rc = remove_snapshot(p, half, err);
	/* from here on it is no snapshot, whatever happens */
	if (rc == 0 && rename(path, half) != 0)
		rc = errno == ENOENT ? snapshot_missing(p, zone, name, err)
				     : error_sys(err, errno, "%s", path);
	return rc < 0 ? rc : remove_snapshot(p, half, err);
}

int
dir_snap_delete(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char dir[STORE_PATH];
	int rc = snap_path(p, zone, NULL, "", dir, err);

	if (rc == 0)
		rc = drop(p, zone, name, err);
	if (rc == 0 && rmdir(dir) != 0 && errno == ENOTEMPTY)
		rc = dir_sync(dir, err);
	return rc;
}

int
dir_snapshots_remove(const struct pool *p, const char *zone, struct error *err)
{
	struct found *v = NULL;
	char dir[STORE_PATH];
	size_t n = 0;
	int rc;

	rc = snap_path(p, zone, NULL, "", dir, err);
	if (rc == 0)
		rc = find_all(p, zone, true, &v, &n, err);
	while (rc == 0 && n > 0)
		rc = drop(p, zone, v[--n].name, err);
	free(v);
	return rc < 0 ? rc : tree_remove(dir, err);
}

/* ---- rollback ---- */

int
dir_keep_others(const char *from, const char *to, struct error *err)
{
	char src[STORE_PATH], dst[STORE_PATH];
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(from);
	int rc = 0;

	if (d == NULL)
		return error_sys(err, errno, "%s", from);
	while (rc == 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, ".zfs") == 0 || is_part(e->d_name))
			continue;
		if (str_format(src, sizeof(src), "%s/%s", from, e->d_name) <
			0 ||
		    str_format(dst, sizeof(dst), "%s/%s", to, e->d_name) < 0)
			rc = error_set(err, ENAMETOOLONG, "%s", from);
		if (rc == 0 && lstat(dst, &st) == 0)
			rc = S_ISDIR(st.st_mode) ? tree_remove(dst, err)
			    : unlink(dst) == 0
			    ? 0
			    : error_sys(err, errno, "%s", dst);
		if (rc == 0)
			rc = copy_tree(src, dst, err);
	}
	closedir(d);
	return rc < 0 ? rc : dir_sync(to, err);
}

static int
roll_back(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char data[STORE_PATH], place[STORE_PATH], half[STORE_PATH];
	struct error late = ERROR_INIT;
	int rc;

	rc = snap_path(p, zone, name, "/data", data, err);
	if (rc == 0)
		rc = dir_path(p, zone, NULL, place, err);
	if (rc == 0 && str_format(half, sizeof(half), "%s" HALF, place) < 0)
		rc = error_set(err, ENAMETOOLONG, "%s", place);
	if (rc == 0)
		rc = dir_tree_remove(p, half, err);
	if (rc < 0)
		return rc;
	rc = copy_place(p, data, half, false, err);
	if (rc == 0)
		rc = dir_keep_others(place, half, err);
	if (rc == 0 &&
	    renameat2(AT_FDCWD, half, AT_FDCWD, place, RENAME_EXCHANGE) != 0)
		rc = error_sys(err, errno, "%s", place);
	if (rc == 0)
		rc = dir_sync(p->host, err);
	/* before: what was begun; after: what was */
	if (dir_tree_remove(p, half, &late) < 0 && rc == 0)
		rc = error_set(err, late.code, "%s", late.text);
	return rc;
}

int
dir_snap_rollback(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	struct found *v = NULL;
	size_t n = 0, at = 0;
	int rc;

	rc = find_all(p, zone, true, &v, &n, err);
	while (rc == 0 && at < n && strcmp(v[at].name, name) != 0)
		at++;
	if (rc == 0 && at == n)
		rc = snapshot_missing(p, zone, name, err);
	if (rc == 0)
		rc = roll_back(p, zone, name, err);
	while (rc == 0 && n > at + 1)
		rc = drop(p, zone, v[--n].name, err);
	free(v);
	return rc;
}
