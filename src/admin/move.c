/*
 * Zones that change their place: cloned, moved, detached, attached.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/impl.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tree.h"
#include "store/copy.h"
#include "store/volume.h"
#include "zone/assign.h"
#include "zone/brand.h"
#include "zone/verify.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"

#define MANIFEST "SUNWdetached.xml"

/* ---- clone ---- */

static bool
is_file(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Of a pool, which may share its blocks with another of its volumes. */
static bool
is_volume(const struct zone_res *disk)
{
	struct volume_id id;

	return volume_parse(zone_res_disk_path(disk), &id) == 0;
}

static int
disk_path(struct admin *a, const struct zone_conf *conf,
    const struct zone_res *disk, char *buf, struct error *err)
{
	return admin_disk_path(a, zone_conf_get(conf, "zonepath"),
	    zone_res_disk_path(disk), buf, ADMIN_PATH, err);
}

static int
copy_disks(struct admin *a, const struct zone_conf *from,
    const struct zone_conf *to, struct error *err)
{
	char src[ADMIN_PATH], dst[ADMIN_PATH];
	size_t i = ZONE_NEW, k = ZONE_NEW;
	const struct zone_res *f, *t;
	int rc = 0;

	while (rc == 0 && (t = zone_conf_next_disk(to, &k)) != NULL &&
	    (f = zone_conf_next_disk(from, &i)) != NULL) {
		rc = disk_path(a, from, f, src, err);
		if (rc == 0)
			rc = disk_path(a, to, t, dst, err);
		if (rc == 0 && (is_volume(f) || is_file(src)) &&
		    access(src, F_OK) == 0 && access(dst, F_OK) != 0)
			rc = admin_make_disk(a, zone_res_disk_path(t), dst, 0,
			    is_volume(f) && is_volume(t) ? zone_res_disk_path(f)
							 : src,
			    err);
	}
	return rc;
}

/* The firmware's variables: what to boot is in there. */
static int
copy_vars(const char *from, const char *to, struct error *err)
{
	char src[ADMIN_PATH + 16], dst[ADMIN_PATH + 16];

	str_format(src, sizeof(src), "%s/uefivars", from);
	str_format(dst, sizeof(dst), "%s/uefivars", to);
	return is_file(src) ? copy_file(src, dst, 0600, err) : 0;
}

static int
clone(struct admin *a, const char *zone, const char *path,
    const struct zone_conf *conf, const struct zone_conf *source,
    struct error *err)
{
	const char *other = zone_conf_get(source, "zonepath");
	const char *const args[] = { zone_conf_get(source, "zonename"), NULL };
	char from[ADMIN_PATH];
	bool empty = tree_is_empty(path);
	uint64_t there = admin_disks_there(a, conf);
	int rc;

	rc = admin_path(a, other, other, from, sizeof(from), err);
	if (rc == 0)
		rc = zone_store_set_state(
		    a->store, zone, ZONE_STATE_INCOMPLETE, err);
	if (rc < 0)
		return rc;
	rc = admin_make_place(a, conf, path, err);
	if (rc == 0)
		rc = copy_disks(a, source, conf, err);
	if (rc == 0)
		rc = copy_vars(from, path, err);
	if (rc == 0)
		rc = admin_make_disks(a, conf, NULL, err);
	if (rc == 0)
		rc = admin_hook(a, conf, "clone", args, err);
	if (rc == 0)
		rc = zone_store_set_state(
		    a->store, zone, ZONE_STATE_INSTALLED, err);
	if (rc == 0)
		return 0;
	admin_undo_install(a, conf, empty ? path : NULL, there);
	return rc;
}

int
admin_clone(
    struct admin *a, const char *zone, const char *source, struct error *err)
{
	cleanup_close int lock = -1, other = -1;
	struct zone_conf *conf = NULL, *from = NULL;
	char path[ADMIN_PATH];
	int rc;

	if (strcmp(zone, source) == 0)
		return error_set(err, EINVAL, "a zone cannot clone itself");
	rc = lock = admin_lock_in(a, zone, ADMIN_IN(CONFIGURED), "clone", err);
	if (rc >= 0)
		rc = other = admin_lock_in(
		    a, source, ADMIN_IN(INSTALLED), "cloning it", err);
	if (rc >= 0)
		rc = admin_load(a, zone, &conf, path, err);
	if (rc == 0)
		rc = zone_store_load(a->store, source, false, &from, NULL, err);
	if (rc == 0)
		rc = clone(a, zone, path, conf, from, err);
	zone_conf_free(conf);
	zone_conf_free(from);
	return rc < 0 ? rc : 0;
}

/* ---- move ---- */

/* A path in the old zonepath, in the new one. */
static int
new_path(
    const char *path, const char *old, const char *now, char *buf, size_t size)
{
	size_t n = strlen(old);

	if (strncmp(path, old, n) != 0 || path[n] != '/')
		return -ENOENT;
	return str_format(buf, size, "%s%s", now, path + n);
}

static int
move_disks(
    struct zone_conf *conf, const char *old, const char *now, struct error *err)
{
	struct zone_raw raw = { .text = NULL };
	const struct zone_prop *p;
	struct zone_res *res;
	char path[ADMIN_PATH];
	size_t at = ZONE_NEW;
	int rc = 0;

	while (rc == 0 && zone_conf_next_disk(conf, &at) != NULL) {
		const struct zone_res *was = zone_conf_at(conf, at);

		if (new_path(zone_res_disk_path(was), old, now, path,
			sizeof(path)) < 0)
			continue;
		res = zone_res_dup(was);
		if (res == NULL)
			return error_set(err, ENOMEM, "out of memory");
		raw.text = path;
		p = zone_prop_find(zone_res_type(res), "path");
		if (p == NULL)
			p = zone_prop_find(zone_res_type(res), "match");
		rc = zone_res_set(res, p, &raw, 1, err);
		if (rc == 0)
			rc = zone_conf_put(conf, at, res, err);
		if (rc < 0)
			zone_res_free(res);
	}
	return rc;
}

static int
make_parent(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char parent[ADMIN_PATH];

	if (slash == path)
		return 0;
	str_format(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	return tree_make_dirs(parent, 0755, err);
}

/* By name alone: what was begun and killed before is taken as done. */
static int
move_data(const char *from, const char *to, struct error *err)
{
	struct stat st;
	bool there = lstat(to, &st) == 0;
	int rc;

	if (there && lstat(from, &st) != 0 && errno == ENOENT)
		return 0;
	if (there && rmdir(to) != 0)
		return error_set(err, EEXIST, "%s is there already", to);
	rc = make_parent(to, err);
	if (rc < 0)
		return rc;
	if (rename(from, to) == 0)
		return 0;
	if (errno == EXDEV)
		return error_set(err, EXDEV,
		    "%s is on another file system: clone the zone instead", to);
	return error_sys(err, errno, "cannot move %s to %s", from, to);
}

static int
move(struct admin *a, const char *zone, const char *zonepath, struct error *err)
{
	char from[ADMIN_PATH], to[ADMIN_PATH], old[ADMIN_PATH];
	struct zone_conf *conf = NULL;
	const char *was;
	struct buf base;
	int rc;

	buf_init(&base, ZONE_XML_MAX);
	rc = zone_store_load(a->store, zone, false, &conf, &base, err);
	if (rc == 0) {
		was = zone_conf_get(conf, "zonepath");
		str_format(old, sizeof(old), "%s", was);
		rc = admin_path(a, was, was, from, sizeof(from), err);
	}
	if (rc == 0)
		rc = zone_conf_set_text(conf, "zonepath", zonepath, err);
	if (rc == 0)
		rc = move_disks(conf, old, zonepath, err);
	if (rc == 0)
		rc = zone_store_conflict(a->store, zone, conf, err);
	if (rc == 0)
		rc = admin_path(a, zonepath, zonepath, to, sizeof(to), err);
	if (rc == 0)
		rc = move_data(from, to, err);
	if (rc == 0)
		rc = zone_store_move(a->store, conf, &base, err);
	buf_fini(&base);
	zone_conf_free(conf);
	return rc;
}

int
admin_move(
    struct admin *a, const char *zone, const char *zonepath, struct error *err)
{
	static const unsigned states =
	    ADMIN_IN(INSTALLED) | ADMIN_IN(INCOMPLETE);
	cleanup_close int lock = admin_lock_in(a, zone, states, "move", err);

	return lock < 0 ? lock : move(a, zone, zonepath, err);
}

/* ---- detach, attach ---- */

static int
manifest_path(
    struct admin *a, const struct zone_conf *conf, char *buf, struct error *err)
{
	const char *zonepath = zone_conf_get(conf, "zonepath");
	char path[ADMIN_PATH];
	int rc;

	rc = admin_path(a, zonepath, zonepath, path, sizeof(path), err);
	if (rc == 0 && str_format(buf, ADMIN_PATH, "%s/" MANIFEST, path) < 0)
		rc = error_set(err, ENAMETOOLONG, "%s", path);
	return rc;
}

int
admin_detach(struct admin *a, const char *zone, bool only_show,
    struct buf *manifest, struct error *err)
{
	cleanup_close int lock =
	    admin_lock_in(a, zone, ADMIN_IN(INSTALLED), "detach", err);
	struct zone_conf *conf = NULL;
	char path[ADMIN_PATH];
	int rc = lock;

	if (rc >= 0)
		rc = zone_store_load(a->store, zone, false, &conf, NULL, err);
	if (rc < 0)
		return rc;
	zone_xml_write(conf, manifest);
	if (buf_error(manifest) < 0)
		rc = error_set(err, ENOMEM, "out of memory");
	if (rc == 0 && !only_show) {
		rc = manifest_path(a, conf, path, err);
		if (rc == 0)
			rc = admin_hook(a, conf, "detach", NULL, err);
		if (rc == 0)
			rc = fd_write_file_atomic(AT_FDCWD, path,
			    manifest->data, manifest->len, 0600, err);
		if (rc == 0)
			rc = zone_store_set_state(
			    a->store, zone, ZONE_STATE_CONFIGURED, err);
	}
	zone_conf_free(conf);
	return rc;
}

/* What is there must be a zone's. */
static int
check_attached(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return error_sys(err, errno, "zonepath %s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return error_set(err, EPERM,
		    "zonepath %s: must be a folder of root's, mode 0700", path);
	return 0;
}

static int
attach(struct admin *a, const char *zone, bool force, struct error *err)
{
	char path[ADMIN_PATH], manifest[ADMIN_PATH];
	struct zone_conf *conf = NULL;
	const char *zonepath;
	int rc;

	rc = force ? zone_store_load(a->store, zone, false, &conf, NULL, err)
		   : admin_load(a, zone, &conf, path, err);
	if (rc < 0)
		return rc;
	zonepath = zone_conf_get(conf, "zonepath");
	rc = admin_path(a, zonepath, zonepath, path, sizeof(path), err);
	if (rc == 0)
		rc = check_attached(path, err);
	if (rc == 0 && !force)
		rc = admin_hook(a, conf, "attach", NULL, err);
	if (rc == 0)
		rc = admin_make_zonepath(path, err);
	if (rc == 0)
		rc = zone_store_set_state(
		    a->store, zone, ZONE_STATE_INSTALLED, err);
	if (rc == 0 && manifest_path(a, conf, manifest, NULL) == 0)
		(void)unlink(manifest);
	zone_conf_free(conf);
	return rc;
}

int
admin_attach(struct admin *a, const char *zone, bool force, struct error *err)
{
	cleanup_close int lock =
	    admin_lock_in(a, zone, ADMIN_IN(CONFIGURED), "attach", err);

	return lock < 0 ? lock : attach(a, zone, force, err);
}

int
admin_check_manifest(struct admin *a, const char *path, struct error *err)
{
	struct zone_brand *brand = NULL;
	struct zone_conf *conf = NULL;
	const char *name;
	int rc;

	rc = zone_conf_load_file(
	    strcmp(path, "-") == 0 ? "/dev/stdin" : path, &conf, NULL, err);
	if (rc < 0)
		return rc;
	name = zone_conf_get(conf, "brand");
	rc = zone_brand_load(a->brands, name != NULL ? name : "", &brand, err);
	if (rc == 0)
		rc = zone_verify(conf, brand, err);
	zone_brand_free(brand);
	zone_conf_free(conf);
	return rc;
}
