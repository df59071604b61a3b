/*
 * Snapshots in pools of ZFS: WHERE/ZONE@vmsnap-NAME, and one of that name of
 * each volume, made at once.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/tree.h"
#include "store/volume_impl.h"
#include "store/zfs_run.h"

static void
swap_letter(char *text, char from, char to)
{
	for (; (text = strchr(text, from)) != NULL; text++)
		*text = to;
}

/*
 * WHERE/ZONE@vmsnap-NAME, of a volume with /VOLUME behind the zone. zfs allows
 * blanks in names, which our names have not, and no '%'.
 */
static int
snapshot_of(const struct pool *p, const char *zone, const char *volume,
    const char *name, char *buf, struct error *err)
{
	char rest[ZFS_WORD];

	if (str_format(rest, sizeof(rest), "%s%s@" ZFS_SNAP "%s",
		volume != NULL ? "/" : "", volume != NULL ? volume : "",
		name) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", p->where);
	swap_letter(rest, '%', ' ');
	return zfs_dataset(p, zone, rest, buf, err);
}

int
zfs_snap_take(const struct pool *p, const char *zone, const char *name,
    bool live, struct error *err)
{
	char snap[ZFS_WORD];
	int rc = snapshot_of(p, zone, NULL, name, snap, err);

	return rc < 0 ? rc : ZFS(err, "snapshot", "-r", snap);
}

int
zfs_snap_delete(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char snap[ZFS_WORD];
	int rc = snapshot_of(p, zone, NULL, name, snap, err);

	if (rc == 0)
		rc = ZFS_PATIENT(err, "destroy", "-r", snap);
	return rc == -ENOENT ? snapshot_missing(p, zone, name, err) : rc;
}

/*
 * One volume. A later one is not in the snapshot, and goes; if it should be in
 * there, somebody has removed that part of the snapshot, and nothing goes.
 */
static int
roll_volume(const struct pool *p, const char *zone, const char *volume,
    const char *name, uint64_t made, struct error *err)
{
	char set[ZFS_WORD], snap[ZFS_WORD];
	uint64_t born = 0;
	int rc = snapshot_of(p, zone, volume, name, snap, err);

	if (rc == 0)
		rc = zfs_zvol(p, zone, volume, "", set, err);
	if (rc == 0)
		rc = ZFS_PATIENT(err, "rollback", "-r", snap);
	if (rc != -ENOENT)
		return rc;
	rc = zfs_number(set, "createtxg", &born, err);
	if (rc == 0 && born <= made)
		rc = error_set(err, EIO,
		    "zvol %s is older than snapshot '%s', and not in it", set,
		    name);
	if (rc < 0)
		return rc;
	return zfs_zvol_remove(set, err);
}

static int
roll_volumes(const struct pool *p, const char *zone, const char *name,
    uint64_t made, struct error *err)
{
	struct volume_list l = { NULL };
	struct volume_id id;
	int rc = zfs_list(p, zone, &l, err);

	for (size_t i = 0; rc == 0 && i < l.n; i++)
		if (!l.v[i].half && volume_parse(l.v[i].conf_path, &id) == 0)
			rc = roll_volume(p, zone, id.name, name, made, err);
	volume_list_free(&l);
	return rc;
}

/* What is no part of a snapshot (logs) is kept beside meanwhile. */
static int
roll_place(
    const struct pool *p, const char *zone, const char *snap, struct error *err)
{
	char at[ZFS_WORD], aside[ZFS_WORD];
	int rc = zfs_place(p, zone, "", at, err);

	if (rc == 0)
		rc = zfs_place(p, zone, HALF, aside, err);
	if (rc == 0)
		rc = tree_remove(aside, err);
	if (rc == 0 && mkdir(aside, 0700) != 0)
		rc = error_sys(err, errno, "%s", aside);
	if (rc == 0)
		rc = dir_keep_others(at, aside, err);
	if (rc == 0)
		rc = ZFS_PATIENT(err, "rollback", "-r", snap);
	if (rc == 0)
		rc = dir_keep_others(aside, at, err);
	return rc < 0 ? rc : tree_remove(aside, err);
}

/* The zone's place last: while its newer snapshots are there, it is begun. */
int
zfs_snap_rollback(
    const struct pool *p, const char *zone, const char *name, struct error *err)
{
	char snap[ZFS_WORD];
	uint64_t made = 0;
	int rc = snapshot_of(p, zone, NULL, name, snap, err);

	if (rc == 0)
		rc = zfs_number(snap, "createtxg", &made, err);
	if (rc == -ENOENT)
		return snapshot_missing(p, zone, name, err);
	if (rc == 0)
		rc = roll_volumes(p, zone, name, made, err);
	return rc < 0 ? rc : roll_place(p, zone, snap, err);
}

/* The zone's place and its volumes have one each: they are one. */
static int
snap_line(void *arg, char *line)
{
	struct snapshot_list *to = arg;
	char *name = strsep(&line, "\t"), *made = strsep(&line, "\t");
	char *used = line;
	struct snapshot_info s = { .created = 0 };
	uint64_t seconds;

	name = strstr(name, "@" ZFS_SNAP);
	if (name == NULL || made == NULL || used == NULL ||
	    str_format(s.name, sizeof(s.name), "%s",
		name + strlen("@" ZFS_SNAP)) < 0 ||
	    str_to_u64(made, 0, INT64_MAX, &seconds) < 0 ||
	    str_to_u64(used, 0, UINT64_MAX, &s.used) < 0)
		return 0;
	swap_letter(s.name, ' ', '%');
	for (size_t i = to->n; i > 0; i--)
		if (strcmp(to->v[i - 1].name, s.name) == 0) {
			to->v[i - 1].used += s.used;
			return 0;
		}
	s.created = (int64_t)seconds;
	return snapshot_list_add(to, &s);
}

int
zfs_snap_list(const struct pool *p, const char *zone, struct snapshot_list *l,
    struct error *err)
{
	struct zfs z = { .n = 0 };
	char set[ZFS_WORD];

	if (zfs_dataset(p, zone, "", set, err) < 0)
		return -ENAMETOOLONG;
	ZFS_WORDS(&z, "list", "-H", "-p", "-r", "-t", "snapshot", "-s",
	    "createtxg", "-o", "name,creation,used", set);
	return zfs_each_line(&z, snap_line, l, err);
}
