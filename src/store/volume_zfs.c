/*
 * Pools of ZFS, by its program zfs. A zone's place is a dataset, its volumes
 * are zvols below it, so that one recursive snapshot has all of them. Snapshots
 * are named as SmartOS names them, @vmsnap-NAME; those that clones are of
 * @zhyve-ZONE-NAME, by the clone's names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "base/tree.h"
#include "store/copy.h"
#include "store/volume_impl.h"
#include "store/zfs_run.h"

#define WORDS 24
#define WORD 512
#define DEVICE_WAIT 100 /* tenths of a second, until udev made its link */

#define ZVOL_NAME _IOR(0x12, 125, char[256]) /* BLKZNAME of OpenZFS */

/* ---- names ---- */

int
zfs_dataset(const struct pool *p, const char *zone, const char *rest, char *buf,
    struct error *err)
{
	if (str_format(buf, ZFS_WORD, "%s/%s%s", p->where, zone, rest) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", p->where);
	return 0;
}

/* WHERE/ZONE/NAME, and what may be behind it */
int
zfs_zvol(const struct pool *p, const char *zone, const char *name,
    const char *behind, char *buf, struct error *err)
{
	char rest[ZFS_WORD];

	if (str_format(rest, sizeof(rest), "/%s%s", name, behind) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", name);
	return zfs_dataset(p, zone, rest, buf, err);
}

/* Its folder, where the dataset is mounted, and what may be behind it */
int
zfs_place(const struct pool *p, const char *zone, const char *behind, char *buf,
    struct error *err)
{
	if (str_format(buf, ZFS_WORD, "%s/%s%s", p->host, zone, behind) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", p->host);
	return 0;
}

/* ---- devices ---- */

const char *zvol_dir = "/dev/zvol";
unsigned zvol_patience = 30;

/* What it leads to: some of those who open it follow no links. */
static int
zfs_path(const struct pool *p, const char *zone, const char *name, char *buf,
    size_t size)
{
	char link[STORE_PATH], *real;
	int rc = str_format(
	    link, sizeof(link), "%s/%s/%s/%s", zvol_dir, p->where, zone, name);

	if (rc < 0)
		return rc;
	real = realpath(link, NULL);
	rc = str_format(buf, size, "%s", real != NULL ? real : link);
	free(real);
	return rc;
}

/* Whose device is it? */
static bool
device_name(int fd, char name[256])
{
	name[0] = '\0';
	if (ioctl(fd, ZVOL_NAME, name) != 0)
		return false;
	name[255] = '\0';
	return true;
}

/*
 * Numbers of devices are used again: a link that udev has not removed yet may
 * lead to somebody else's volume. What is no zvol cannot say.
 */
static bool
is_device_of(int fd, const char *set)
{
	char name[256];

	return !device_name(fd, name) || strcmp(name, set) == 0;
}

/*
 * While others make volumes the kernel lets nobody open one for a while. udev
 * then does not learn its name, and tries no more: it is told of it again.
 */
static void
tell_udev(const char *set)
{
	char path[NAME_MAX + 32], name[256];
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	int fd;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "zd", 2) != 0)
			continue;
		str_format(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && device_name(fd, name) &&
		    strcmp(name, set) == 0) {
			close(fd);
			str_format(path, sizeof(path), "/sys/block/%s/uevent",
			    e->d_name);
			fd = open(path, O_WRONLY | O_CLOEXEC);
			(void)!write(fd, "change", 6);
		}
		fd_close(&fd);
	}
	if (d != NULL)
		closedir(d);
}

/* udev makes the link some time after zfs has ended. */
static int
open_device(const char *set, int flags, struct error *err)
{
	char path[STORE_PATH];
	int fd, code;

	if (str_format(path, sizeof(path), "%s/%s", zvol_dir, set) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", set);
	for (unsigned i = 1;; i++) {
		fd = open(path, flags | O_CLOEXEC);
		if (fd >= 0 && is_device_of(fd, set))
			return fd;
		code = fd < 0 ? errno : ENOENT;
		fd_close(&fd);
		if (i > 10 * zvol_patience)
			break;
		if (i % 20 == 0 && code == ENOENT)
			tell_udev(set);
		(void)poll(NULL, 0, 100);
	}
	if (code == ENOENT)
		return error_set(err, ENODEV,
		    "%s: the zvol is there, its device did not come within "
		    "%u s; does udev run, and is its volmode not none?",
		    path, zvol_patience);
	return error_sys(err, code, "%s", path);
}

static int
fill_device(const char *set, const char *origin, struct error *err)
{
	cleanup_close int from = -1, to = -1;
	int rc;

	from = open(origin, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (from < 0)
		return error_sys(err, errno, "%s", origin);
	rc = to = open_device(set, O_RDWR | O_EXCL, err);
	if (rc < 0)
		return rc;
	rc = copy_to_zeros(from, to);
	if (rc == 0 && fsync(to) != 0)
		rc = -errno;
	return rc < 0 ? error_sys(err, -rc, "cannot copy %s to %s", origin, set)
		      : 0;
}

/* ---- clones ---- */

static int
heir_line(void *arg, char *line)
{
	char *clones = line, *clone = arg;
	const char *snap = strsep(&clones, "\t");
	const char *first = strsep(&clones, ",");

	if (*clone == '\0' && snap != NULL && first != NULL &&
	    strchr(first, '/') != NULL)
		(void)str_format(clone, ZFS_WORD, "%s", first);
	return 0;
}

static int
drop_line(void *arg, char *line)
{
	(void)arg;
	line[strcspn(line, "\t")] = '\0';
	if (strstr(line, "@" ZFS_SNAP) != NULL)
		(void)ZFS(NULL, "destroy", line);
	return 0;
}

/*
 * A volume that is to go, and has clones: one of them gets the blocks that they
 * share, and the snapshots that the others are of. The zone's own snapshots
 * would go there, too, so they are removed before.
 */
static int
hand_over(const char *set, struct error *err)
{
	char clone[ZFS_WORD] = "";
	struct zfs z = { .n = 0 };
	int rc;

	ZFS_WORDS(&z, "list", "-H", "-d", "1", "-t", "snapshot", "-S",
	    "createtxg", "-o", "name,clones", set);
	rc = zfs_each_line(&z, heir_line, clone, err);
	if (rc < 0 || clone[0] == '\0')
		return rc;
	rc = zfs_each_line(&z, drop_line, NULL, err);
	return rc < 0 ? rc : ZFS(err, "promote", clone);
}

/* With its snapshots. */
int
zfs_zvol_remove(const char *set, struct error *err)
{
	int rc = hand_over(set, err);

	return rc < 0 ? rc : ZFS_PATIENT(err, "destroy", "-r", set);
}

/* ---- a zone's place ---- */

static int
zfs_zone_create(const struct pool *p, const char *zone, struct error *err)
{
	char set[ZFS_WORD], at[ZFS_WORD], option[ZFS_WORD];
	int rc = zfs_dataset(p, zone, "", set, err);

	if (rc == 0)
		rc = zfs_place(p, zone, "", at, err);
	if (rc == 0 &&
	    str_format(option, sizeof(option), "mountpoint=%s", at) < 0)
		rc = error_set(err, ENAMETOOLONG, "%.160s", at);
	if (rc < 0)
		return rc;
	if (ZFS(NULL, "list", "-H", "-o", "name", set) == 0)
		return 0;
	rc = ZFS(err, "create", "-p", "-o", option, set);
	if (rc == 0 && chmod(at, 0700) != 0 && errno != ENOENT)
		rc = error_sys(err, errno, "%s", at);
	return rc;
}

static int
zfs_zone_remove(const struct pool *p, const char *zone, struct error *err)
{
	char set[ZFS_WORD], at[ZFS_WORD], half[ZFS_WORD];
	struct volume_list l = { NULL };
	struct volume_id id;
	int rc = zfs_dataset(p, zone, "", set, err);

	if (rc == 0)
		rc = zfs_place(p, zone, "", at, err);
	if (rc == 0)
		rc = zfs_place(p, zone, HALF, half, err);
	if (rc == 0)
		rc = tree_remove(half, err);
	if (rc < 0 || ZFS(NULL, "list", "-H", "-o", "name", set) == -ENOENT)
		return rc;
	rc = zfs_list(p, zone, &l, err);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		if (volume_parse(l.v[i].conf_path, &id) == 0 &&
		    (rc = zfs_zvol(p, zone, id.name, l.v[i].half ? HALF : "",
			 half, err)) == 0)
			rc = hand_over(half, err);
	volume_list_free(&l);
	if (rc == 0)
		rc = ZFS_PATIENT(err, "destroy", "-r", set);
	/* zfs removes the folders of inherited mountpoints only */
	return rc < 0 ? rc : tree_remove(at, err);
}

/* Of the dataset alone: zvols below it are no part of it. */
static int
zfs_zone_quota(
    const struct pool *p, const char *zone, uint64_t quota, struct error *err)
{
	char set[ZFS_WORD], text[64] = "refquota=none";
	int rc = zfs_dataset(p, zone, "", set, err);

	if (quota != 0)
		str_format(
		    text, sizeof(text), "refquota=%ju", (uintmax_t)quota);
	return rc < 0 ? rc : ZFS(err, "set", text, set);
}

/* ---- one volume ---- */

static int
check_fits(const char *origin, uint64_t has, uint64_t *size, struct error *err)
{
	if (*size != 0 && has > *size)
		return error_set(err, EFBIG,
		    "%s has %ju bytes, the volume is to have %ju", origin,
		    (uintmax_t)has, (uintmax_t)*size);
	if (*size == 0)
		*size = has;
	return 0;
}

static int
origin_size(const char *origin, uint64_t *size, struct error *err)
{
	cleanup_close int fd =
	    open(origin, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint64_t has = 0;
	int rc;

	if (fd < 0)
		return error_sys(err, errno, "%s", origin);
	rc = copy_size(fd, &has);
	return rc < 0 ? error_sys(err, -rc, "%s", origin)
		      : check_fits(origin, has, size, err);
}

static void
add_options(struct zfs *z, const struct volume_spec *s)
{
	if (s->refreservation != 0) {
		zfs_add(z, "-o");
		zfs_add(z, "refreservation=%ju", (uintmax_t)s->refreservation);
	}
	if (s->compression != NULL) {
		zfs_add(z, "-o");
		zfs_add(z, "compression=%s", s->compression);
	}
}

/* zfs makes the size a multiple of its blocks', which are 8 or 16 KiB. */
static int
make_zvol(const struct volume_spec *s, const char *set, uint64_t size,
    struct error *err)
{
	struct zfs z = { .n = 0 };

	ZFS_WORDS(&z, "create", "-s", "-V");
	zfs_add(&z, "%ju", (uintmax_t)size);
	if (s->block_size != 0) {
		zfs_add(&z, "-b");
		zfs_add(&z, "%ju", (uintmax_t)s->block_size);
	}
	add_options(&z, s);
	zfs_add(&z, "%s", set);
	return zfs_run(&z, NULL, err);
}

/* Unlike create, set takes multiples of the blocks' size only. */
static int
set_size(const char *set, uint64_t size, struct error *err)
{
	uint64_t block = 0, kept = 0;
	char text[64];
	int rc = zfs_number(set, "volblocksize", &block, err);

	if (rc == 0)
		rc = zfs_number(set, "refreservation", &kept, err);
	if (rc < 0)
		return rc;
	size = ROUND_UP(size, MAX(block, (uint64_t)SECTOR));
	if (kept > size) {
		str_format(
		    text, sizeof(text), "refreservation=%ju", (uintmax_t)size);
		rc = ZFS(err, "set", text, set);
	}
	str_format(text, sizeof(text), "volsize=%ju", (uintmax_t)size);
	return rc < 0 ? rc : ZFS(err, "set", text, set);
}

/* Of a volume of this pool a clone, which shares all its blocks. */
static int
clone_zvol(const struct pool *p, const struct volume_spec *s,
    const struct volume_id *from, const char *set, struct error *err)
{
	char origin[ZFS_WORD], snap[ZFS_WORD];
	uint64_t has = 0, size = s->size;
	struct zfs z = { .n = 0 };
	int rc = zfs_zvol(p, from->zone, from->name, "", origin, err);

	if (rc == 0)
		rc = zfs_number(origin, "volsize", &has, err);
	if (rc == 0)
		rc = check_fits(origin, has, &size, err);
	if (rc == 0 &&
	    str_format(snap, sizeof(snap), "%s@zhyve-%s-%s", origin, s->zone,
		s->name) < 0)
		rc = error_set(err, ENAMETOOLONG, "%s", p->where);
	if (rc < 0)
		return rc;
	/* with -d it goes when its clone goes, and at once if there is none */
	(void)ZFS(NULL, "destroy", "-d", snap);
	rc = ZFS(err, "snapshot", snap);
	ZFS_WORDS(&z, "clone");
	add_options(&z, s);
	ZFS_WORDS(&z, snap, set);
	if (rc == 0)
		rc = zfs_run(&z, NULL, err);
	if (rc == 0 && size != has)
		rc = set_size(set, size, err);
	(void)ZFS(NULL, "destroy", "-d", snap);
	return rc;
}

/* In its place, with a device that can be opened. */
static int
finish(const char *half, const char *set, struct error *err)
{
	int rc = ZFS_PATIENT(err, "rename", half, set), fd;

	if (rc < 0)
		return rc;
	fd = open_device(set, O_RDONLY, err);
	if (fd < 0)
		(void)ZFS_PATIENT(NULL, "destroy", "-r", set);
	rc = MIN(fd, 0);
	fd_close(&fd);
	return rc;
}

static int
zfs_create(const struct pool *p, const struct volume_spec *spec,
    const struct volume_id *from, struct error *err)
{
	char set[ZFS_WORD], half[ZFS_WORD];
	uint64_t size = spec->size;
	bool clone = from != NULL && strcmp(from->pool, p->name) == 0;
	int rc;

	rc = zfs_zvol(p, spec->zone, spec->name, "", set, err);
	if (rc == 0)
		rc = zfs_zvol(p, spec->zone, spec->name, HALF, half, err);
	if (rc < 0)
		return rc;
	if (ZFS(NULL, "list", "-H", "-o", "name", set) == 0)
		return error_set(
		    err, EEXIST, "there is a zvol %s already", set);
	if (!clone && spec->origin != NULL)
		rc = origin_size(spec->origin, &size, err);
	if (rc == 0)
		rc = ZFS_PATIENT(err, "destroy", "-r", half);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	rc = clone ? clone_zvol(p, spec, from, half, err)
		   : make_zvol(spec, half, size, err);
	/* not ours: somebody else has begun */
	if (rc == -EEXIST)
		return error_set(err, EBUSY, "somebody makes zvol %s", set);
	if (rc == 0 && !clone && spec->origin != NULL)
		rc = fill_device(half, spec->origin, err);
	if (rc == 0)
		rc = finish(half, set, err);
	if (rc < 0)
		(void)ZFS_PATIENT(NULL, "destroy", "-r", half);
	return rc;
}

static int
zfs_resize(const struct pool *p, const char *zone, const char *name,
    uint64_t size, bool shrink, struct error *err)
{
	char set[ZFS_WORD];
	int rc = zfs_zvol(p, zone, name, "", set, err);

	return rc < 0 ? rc : set_size(set, size, err);
}

static int
set_property(const struct pool *p, const char *zone, const char *name,
    const char *property, struct error *err)
{
	char set[ZFS_WORD];
	int rc = zfs_zvol(p, zone, name, "", set, err);

	return rc < 0 ? rc : ZFS(err, "set", property, set);
}

static int
zfs_compress(const struct pool *p, const char *zone, const char *name,
    const char *how, struct error *err)
{
	char text[64];

	str_format(text, sizeof(text), "compression=%.40s", how);
	return set_property(p, zone, name, text, err);
}

static int
zfs_reserve(const struct pool *p, const char *zone, const char *name,
    uint64_t size, bool less, struct error *err)
{
	char text[64] = "refreservation=none";

	if (size != 0)
		str_format(
		    text, sizeof(text), "refreservation=%ju", (uintmax_t)size);
	return set_property(p, zone, name, text, err);
}

static int
zfs_remove(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char set[ZFS_WORD], half[ZFS_WORD];
	int gone, rc = zfs_zvol(p, zone, name, "", set, err);

	if (rc == 0)
		rc = zfs_zvol(p, zone, name, HALF, half, err);
	if (rc < 0)
		return rc;
	gone = ZFS_PATIENT(NULL, "destroy", "-r", half);
	rc = zfs_zvol_remove(set, err);
	return rc == -ENOENT && gone == 0 ? 0 : rc;
}

/* ---- lists ---- */

static int
list_line(
    const struct pool *p, const char *zone, char *line, struct volume_list *l)
{
	char *name = strsep(&line, "\t"), *size = strsep(&line, "\t");
	struct volume_info v = { .half = false };
	char *used = line, *last = strrchr(name, '/');

	if (last == NULL || size == NULL || used == NULL ||
	    str_to_u64(size, 0, UINT64_MAX, &v.size) < 0 ||
	    str_to_u64(used, 0, UINT64_MAX, &v.used) < 0)
		return 0;
	v.half = volume_name_half(last + 1);
	if (!volume_name_ok(last + 1))
		return 0;
	volume_conf_path(
	    p->name, zone, last + 1, v.conf_path, sizeof(v.conf_path));
	return volume_list_add(l, &v);
}

struct lines {
	const struct pool *p;
	const char *zone;
	void *to;
	int (*fn)(const struct pool *p, const char *zone, void *arg,
	    struct error *err);
	struct error *err;
};

static int
volume_line(void *arg, char *line)
{
	struct lines *l = arg;

	return list_line(l->p, l->zone, line, l->to);
}

int
zfs_list(const struct pool *p, const char *zone, struct volume_list *l,
    struct error *err)
{
	struct lines lines = { .p = p, .zone = zone, .to = l };
	struct zfs z = { .n = 0 };
	char set[ZFS_WORD];

	if (zfs_dataset(p, zone, "", set, err) < 0)
		return -ENAMETOOLONG;
	ZFS_WORDS(&z, "list", "-H", "-p", "-r", "-t", "volume", "-o",
	    "name,volsize,used", set);
	return zfs_each_line(&z, volume_line, &lines, err);
}

static int
zone_line(void *arg, char *line)
{
	struct lines *l = arg;
	const char *last = strrchr(line, '/');
	uint8_t uuid[16];

	if (last == NULL || strlen(last + 1) != VOLUME_ZONE_LEN ||
	    str_to_uuid(last + 1, uuid) < 0)
		return 0;
	return l->fn(l->p, last + 1, l->to, l->err);
}

static int
zfs_zones(const struct pool *p,
    int (*fn)(
	const struct pool *p, const char *zone, void *arg, struct error *err),
    void *arg, struct error *err)
{
	struct lines lines = { .p = p, .to = arg, .fn = fn, .err = err };
	struct zfs z = { .n = 0 };

	ZFS_WORDS(&z, "list", "-H", "-d", "1", "-t", "filesystem", "-o", "name",
	    p->where);
	return zfs_each_line(&z, zone_line, &lines, err);
}

/* ---- snapshots (snapshot_zfs.c) ---- */

static int
zfs_snap_begin(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err)
{
	return 0;
}

static int
zfs_snap_end(const struct pool *p, const char *zone, const char *name,
    bool live, bool keep, struct error *err)
{
	return keep ? 0 : zfs_snap_delete(p, zone, name, err);
}

const struct volume_ops volume_zfs_ops = { .kind = "zfs",
	.dataset = true,
	.atomic = true,
	.path = zfs_path,
	.zone_create = zfs_zone_create,
	.zone_remove = zfs_zone_remove,
	.zone_quota = zfs_zone_quota,
	.create = zfs_create,
	.resize = zfs_resize,
	.compress = zfs_compress,
	.reserve = zfs_reserve,
	.remove = zfs_remove,
	.list = zfs_list,
	.zones = zfs_zones,
	.snap_begin = zfs_snap_begin,
	.snap_take = zfs_snap_take,
	.snap_end = zfs_snap_end,
	.snap_rollback = zfs_snap_rollback,
	.snap_delete = zfs_snap_delete,
	.snap_list = zfs_snap_list };
