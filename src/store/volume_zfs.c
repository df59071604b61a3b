/*
 * Pools of ZFS, by its program zfs (found in PATH, run without a shell). A
 * zone's place is a dataset, its volumes are zvols below it, so that one
 * recursive snapshot has all of them. Snapshots are named as SmartOS names
 * them, @vmsnap-NAME.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "store/copy.h"
#include "store/volume_impl.h"

#define WORDS 24
#define WORD 512
#define OUTPUT_MAX (4U << 20)
#define SNAP "vmsnap-"
#define DEVICE_WAIT 100 /* tenths of a second, until udev made its link */

extern char **environ;

struct zfs {
	char word[WORDS][WORD];
	size_t n;
	bool cut;
};

static void zfs_add(struct zfs *z, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void
zfs_add(struct zfs *z, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (z->n == WORDS) {
		z->cut = true;
		return;
	}
	va_start(ap, fmt);
	n = vsnprintf(z->word[z->n++], WORD, fmt, ap);
	va_end(ap);
	z->cut |= n < 0 || n >= WORD;
}

/* ---- running it ---- */

static int
zfs_spawn(char *const *argv, int out, int errors, pid_t *ret)
{
	posix_spawn_file_actions_t io;
	int rc = posix_spawn_file_actions_init(&io);

	if (rc != 0)
		return -rc;
	rc = posix_spawn_file_actions_addopen(&io, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&io, out, 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&io, errors, 2);
	if (rc == 0)
		rc = posix_spawnp(ret, "zfs", &io, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&io);
	return -rc;
}

/* Both to their ends; what is too much is read and dropped. */
static void
collect(int fds[2], struct buf *to[2])
{
	struct pollfd p[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };
	char chunk[4096];
	ssize_t n;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		for (int i = 0; i < 2; i++) {
			if (p[i].fd < 0 || p[i].revents == 0)
				continue;
			n = read(p[i].fd, chunk, sizeof(chunk));
			if (n > 0)
				(void)buf_append(to[i], chunk, (size_t)n);
			else if (n == 0 || errno != EINTR)
				p[i].fd = -1;
		}
	}
}

/* "cannot open 'x': dataset does not exist": what zfs says is the sentence. */
static int
zfs_failed(int status, struct buf *said, const char *what, struct error *err)
{
	const char *text = buf_str(said);
	size_t n = text != NULL ? strcspn(text, "\n") : 0;
	int code = EIO;

	if (n == 0)
		return error_set(err, code, "zfs %s: ended with status %d",
		    what, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	if (memmem(text, n, "does not exist", 14) != NULL)
		code = ENOENT;
	else if (memmem(text, n, "exists", 6) != NULL)
		code = EEXIST;
	else if (memmem(text, n, "out of space", 12) != NULL)
		code = ENOSPC;
	else if (memmem(text, n, "busy", 4) != NULL)
		code = EBUSY;
	return error_set(err, code, "zfs %s: %.*s", what, (int)n, text);
}

/* out: may be NULL */
static int
zfs_run(const struct zfs *z, struct buf *out, struct error *err)
{
	int a[2] = { -1, -1 }, b[2] = { -1, -1 }, ends[2], status = 0, rc = 0;
	char *argv[WORDS + 2] = { (char[]){ "zfs" } };
	struct buf drop, said, *to[2] = { out != NULL ? out : &drop, &said };
	pid_t pid;

	if (z->cut)
		return error_set(err, E2BIG, "zfs %s: too long", z->word[0]);
	for (size_t i = 0; i < z->n; i++)
		argv[i + 1] = (char *)(uintptr_t)z->word[i];
	buf_init(&drop, 4096);
	buf_init(&said, 4096);
	if (pipe2(a, O_CLOEXEC) != 0 || pipe2(b, O_CLOEXEC) != 0)
		rc = -errno;
	if (rc == 0)
		rc = zfs_spawn(argv, a[1], b[1], &pid);
	fd_close(&a[1]);
	fd_close(&b[1]);
	if (rc == 0) {
		ends[0] = a[0];
		ends[1] = b[0];
		collect(ends, to);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	fd_close(&a[0]);
	fd_close(&b[0]);
	if (rc < 0)
		rc = error_sys(err, -rc, "cannot run zfs");
	else if (status != 0)
		rc = zfs_failed(status, &said, z->word[0], err);
	else if (out != NULL && buf_error(out) != 0)
		rc = error_set(err, E2BIG, "zfs %s: says too much", z->word[0]);
	buf_fini(&said);
	buf_fini(&drop);
	return rc;
}

static void
zfs_words(struct zfs *z, const char *const *words)
{
	for (; *words != NULL; words++)
		zfs_add(z, "%s", *words);
}
#define ZFS_WORDS(z, ...) \
	zfs_words(z, (const char *const[]){ __VA_ARGS__, NULL })

static int
zfs_do(struct error *err, const char *const *words)
{
	struct zfs z = { .n = 0 };

	zfs_words(&z, words);
	return zfs_run(&z, NULL, err);
}
#define ZFS(err, ...) zfs_do(err, (const char *const[]){ __VA_ARGS__, NULL })

/* ---- a zone's place ---- */

static int
dataset(const struct pool *p, const char *zone, const char *rest, char *buf,
    struct error *err)
{
	if (str_format(buf, WORD, "%s/%s%s", p->where, zone, rest) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", p->where);
	return 0;
}

static int
zfs_path(const struct pool *p, const char *zone, const char *name, char *buf,
    size_t size)
{
	return str_format(
	    buf, size, "/dev/zvol/%s/%s/%s", p->where, zone, name);
}

static int
zfs_zone_create(const struct pool *p, const char *zone, struct error *err)
{
	char set[WORD], at[WORD];
	int rc = dataset(p, zone, "", set, err);

	if (rc == 0 &&
	    str_format(at, sizeof(at), "mountpoint=%s/%s", p->host, zone) < 0)
		rc = error_set(err, ENAMETOOLONG, "%.160s", p->host);
	if (rc < 0)
		return rc;
	if (ZFS(NULL, "list", "-H", "-o", "name", set) == 0)
		return 0;
	rc = ZFS(err, "create", "-p", "-o", at, set);
	if (rc == 0 && chmod(at + strlen("mountpoint="), 0700) != 0 &&
	    errno != ENOENT)
		rc = error_sys(err, errno, "%s", at + strlen("mountpoint="));
	return rc;
}

static int
zfs_zone_remove(const struct pool *p, const char *zone, struct error *err)
{
	char set[WORD];
	int rc = dataset(p, zone, "", set, err);

	if (rc < 0 || ZFS(NULL, "list", "-H", "-o", "name", set) == -ENOENT)
		return rc;
	return ZFS(err, "destroy", "-r", set);
}

/* Of the dataset alone: zvols below it are no part of it. */
static int
zfs_zone_quota(
    const struct pool *p, const char *zone, uint64_t quota, struct error *err)
{
	char set[WORD], text[64] = "refquota=none";

	if (dataset(p, zone, "", set, err) < 0)
		return -ENAMETOOLONG;
	if (quota != 0)
		str_format(
		    text, sizeof(text), "refquota=%ju", (uintmax_t)quota);
	return ZFS(err, "set", text, set);
}

/* ---- one volume ---- */

static int
open_device(const char *path, struct error *err)
{
	int fd = -1;

	for (int i = 0; i < DEVICE_WAIT; i++) {
		fd = open(path, O_RDWR | O_CLOEXEC | O_EXCL);
		if (fd >= 0 || (errno != ENOENT && errno != EBUSY))
			break;
		(void)poll(NULL, 0, 100);
	}
	return fd < 0 ? error_sys(err, errno, "%s", path) : fd;
}

static int
fill_device(const char *set, const char *origin, struct error *err)
{
	cleanup_close int from = -1, to = -1;
	char path[WORD + 16];
	int rc;

	str_format(path, sizeof(path), "/dev/zvol/%s", set);
	from = open(origin, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (from < 0)
		return error_sys(err, errno, "%s", origin);
	rc = to = open_device(path, err);
	if (rc < 0)
		return rc;
	rc = copy_disk(from, to);
	if (rc == 0 && fsync(to) != 0)
		rc = -errno;
	return rc < 0
	    ? error_sys(err, -rc, "cannot copy %s to %s", origin, path)
	    : 0;
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
	if (rc < 0)
		return error_sys(err, -rc, "%s", origin);
	if (*size != 0 && has > *size)
		return error_set(err, EFBIG,
		    "%s has %ju bytes, the volume is to have %ju", origin,
		    (uintmax_t)has, (uintmax_t)*size);
	if (*size == 0)
		*size = has;
	return 0;
}

static int
make_zvol(const struct volume_spec *s, const char *set, uint64_t size,
    struct error *err)
{
	struct zfs z = { .n = 0 };
	uint64_t block = s->block_size != 0 ? s->block_size : 8192;

	zfs_add(&z, "create");
	zfs_add(&z, "-s");
	zfs_add(&z, "-V");
	zfs_add(&z, "%ju", (uintmax_t)ROUND_UP(size, block));
	if (s->block_size != 0) {
		zfs_add(&z, "-b");
		zfs_add(&z, "%ju", (uintmax_t)s->block_size);
	}
	if (s->refreservation != 0) {
		zfs_add(&z, "-o");
		zfs_add(&z, "refreservation=%ju", (uintmax_t)s->refreservation);
	}
	if (s->compression != NULL) {
		zfs_add(&z, "-o");
		zfs_add(&z, "compression=%s", s->compression);
	}
	zfs_add(&z, "%s", set);
	return zfs_run(&z, NULL, err);
}

/* Of a volume of this pool a clone, which shares all its blocks. */
static int
clone_zvol(const struct pool *p, const struct volume_spec *s,
    const struct volume_id *from, const char *set, struct error *err)
{
	char snap[WORD], size[64];
	int rc;

	if (str_format(snap, sizeof(snap), "%s/%s/%s@zhyve-%s-%s", p->where,
		from->zone, from->name, s->zone, s->name) < 0)
		return error_set(err, ENAMETOOLONG, "%s", p->where);
	rc = ZFS(err, "snapshot", snap);
	if (rc == 0)
		rc = ZFS(err, "clone", snap, set);
	if (rc == 0 && s->size != 0) {
		str_format(
		    size, sizeof(size), "volsize=%ju", (uintmax_t)s->size);
		rc = ZFS(err, "set", size, set);
	}
	/* with -d it goes when its clone goes, and at once if there is none */
	(void)ZFS(NULL, "destroy", "-d", snap);
	return rc;
}

static int
zfs_create(const struct pool *p, const struct volume_spec *spec,
    const struct volume_id *from, struct error *err)
{
	char set[WORD], half[WORD], name[WORD];
	uint64_t size = spec->size;
	bool clone = from != NULL && strcmp(from->pool, p->name) == 0;
	int rc;

	str_format(name, sizeof(name), "/%s", spec->name);
	rc = dataset(p, spec->zone, name, set, err);
	str_format(name, sizeof(name), "/%s" HALF, spec->name);
	if (rc == 0)
		rc = dataset(p, spec->zone, name, half, err);
	if (rc < 0)
		return rc;
	if (ZFS(NULL, "list", "-H", "-o", "name", set) == 0)
		return error_set(
		    err, EEXIST, "there is a zvol %s already", set);
	(void)ZFS(NULL, "destroy", "-r", half);
	if (!clone && spec->origin != NULL)
		rc = origin_size(spec->origin, &size, err);
	if (rc == 0)
		rc = clone ? clone_zvol(p, spec, from, half, err)
			   : make_zvol(spec, half, size, err);
	if (rc == 0 && !clone && spec->origin != NULL)
		rc = fill_device(half, spec->origin, err);
	if (rc == 0)
		rc = ZFS(err, "rename", half, set);
	if (rc < 0)
		(void)ZFS(NULL, "destroy", "-r", half);
	return rc;
}

static int
zfs_resize(const struct pool *p, const char *zone, const char *name,
    uint64_t size, bool shrink, struct error *err)
{
	char set[WORD], text[64];

	str_format(text, sizeof(text), "/%s", name);
	if (dataset(p, zone, text, set, err) < 0)
		return -ENAMETOOLONG;
	str_format(text, sizeof(text), "volsize=%ju", (uintmax_t)size);
	return ZFS(err, "set", text, set);
}

/* One property of a volume. */
static int
set_property(const struct pool *p, const char *zone, const char *name,
    const char *property, struct error *err)
{
	char set[WORD], text[VOLUME_NAME_MAX + 8];

	str_format(text, sizeof(text), "/%s", name);
	if (dataset(p, zone, text, set, err) < 0)
		return -ENAMETOOLONG;
	return ZFS(err, "set", property, set);
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
	char set[WORD], half[WORD], text[VOLUME_NAME_MAX + 8];
	int rc, gone;

	str_format(text, sizeof(text), "/%s", name);
	rc = dataset(p, zone, text, set, err);
	if (rc < 0 || str_format(half, sizeof(half), "%s" HALF, set) < 0)
		return -ENAMETOOLONG;
	gone = ZFS(NULL, "destroy", "-r", half);
	rc = ZFS(err, "destroy", "-r", set);
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

/* fn of each line that zfs prints; nothing if the dataset is not there. */
static int
each_line(struct zfs *z, int (*fn)(void *arg, char *line), void *arg,
    struct error *err)
{
	struct buf out;
	char *text, *line;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	rc = zfs_run(z, &out, err);
	if (rc == 0 && buf_str(&out) == NULL)
		rc = error_sys(err, ENOMEM, "zfs");
	text = (char *)out.data;
	while (rc == 0 && (line = strsep(&text, "\n")) != NULL)
		if (*line != '\0' && fn(arg, line) < 0)
			rc = error_sys(err, ENOMEM, "zfs");
	buf_fini(&out);
	return rc == -ENOENT ? 0 : rc;
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

static int
zfs_list(const struct pool *p, const char *zone, struct volume_list *l,
    struct error *err)
{
	struct lines lines = { .p = p, .zone = zone, .to = l };
	struct zfs z = { .n = 0 };
	char set[WORD];

	if (dataset(p, zone, "", set, err) < 0)
		return -ENAMETOOLONG;
	ZFS_WORDS(&z, "list", "-H", "-p", "-r", "-t", "volume", "-o",
	    "name,volsize,used", set);
	return each_line(&z, volume_line, &lines, err);
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
	return each_line(&z, zone_line, &lines, err);
}

/* ---- snapshots ---- */

static int
zfs_snap_begin(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err)
{
	return 0;
}

static int
zfs_snap_take(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err)
{
	char set[WORD], at[WORD];

	str_format(at, sizeof(at), "@" SNAP "%s", name);
	if (dataset(p, zone, at, set, err) < 0)
		return -ENAMETOOLONG;
	return ZFS(err, "snapshot", "-r", set);
}

static int
zfs_snap_delete(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char set[WORD], at[WORD];

	str_format(at, sizeof(at), "@" SNAP "%s", name);
	if (dataset(p, zone, at, set, err) < 0)
		return -ENAMETOOLONG;
	return ZFS(err, "destroy", "-r", set);
}

static int
zfs_snap_end(const struct pool *p, const char *zone, const char *name,
    bool live, bool keep, struct error *err)
{
	return keep ? 0 : zfs_snap_delete(p, zone, name, err);
}

/* The zone's place last: while its newer snapshots are there, it is begun. */
static int
zfs_snap_rollback(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	struct volume_list l = { NULL };
	char set[WORD], at[WORD];
	struct volume_id id;
	int rc = zfs_list(p, zone, &l, err);

	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		if (l.v[i].half || volume_parse(l.v[i].conf_path, &id) < 0)
			continue;
		str_format(at, sizeof(at), "/%s@" SNAP "%s", id.name, name);
		rc = dataset(p, zone, at, set, err);
		if (rc == 0)
			rc = ZFS(err, "rollback", "-r", set);
	}
	volume_list_free(&l);
	str_format(at, sizeof(at), "@" SNAP "%s", name);
	if (rc == 0)
		rc = dataset(p, zone, at, set, err);
	return rc < 0 ? rc : ZFS(err, "rollback", "-r", set);
}

static int
snap_line(void *arg, char *line)
{
	struct lines *l = arg;
	char *name = strsep(&line, "\t"), *made = strsep(&line, "\t");
	char *used = line;
	struct snapshot_info s = { .created = 0 };
	uint64_t seconds;

	name = strstr(name, "@" SNAP);
	if (name == NULL || made == NULL || used == NULL ||
	    str_format(s.name, sizeof(s.name), "%s", name + strlen("@" SNAP)) <
		0 ||
	    str_to_u64(made, 0, INT64_MAX, &seconds) < 0 ||
	    str_to_u64(used, 0, UINT64_MAX, &s.used) < 0)
		return 0;
	s.created = (int64_t)seconds;
	return snapshot_list_add(l->to, &s);
}

static int
zfs_snap_list(const struct pool *p, const char *zone, struct snapshot_list *l,
    struct error *err)
{
	struct lines lines = { .p = p, .zone = zone, .to = l };
	struct zfs z = { .n = 0 };
	char set[WORD];

	if (dataset(p, zone, "", set, err) < 0)
		return -ENAMETOOLONG;
	ZFS_WORDS(&z, "list", "-H", "-p", "-d", "1", "-t", "snapshot", "-s",
	    "createtxg", "-o", "name,creation,used", set);
	return each_line(&z, snap_line, &lines, err);
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
