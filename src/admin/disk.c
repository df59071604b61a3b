/*
 * Disks that install makes: blank and sparse, or with an image's contents.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/impl.h"
#include "base/fd.h"
#include "base/str.h"
#include "store/copy.h"
#include "store/volume.h"
#include "zone/assign.h"
#include "zone/type.h"

static int
copy_image(const char *image, int to, uint64_t *size, struct error *err)
{
	cleanup_close int from = -1;
	uint64_t has = 0;
	int rc;

	from = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (from < 0)
		return error_sys(err, errno, "image %s", image);
	rc = copy_size(from, &has);
	if (rc == -EINVAL)
		return error_set(err, EINVAL, "image %s: not a file", image);
	if (rc == 0)
		rc = copy_disk(from, to);
	*size = MAX(*size, has);
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

/* A disk that a pool keeps. */
static int
make_volume(struct admin *a, const struct volume_id *id, uint64_t size,
    const char *image, struct error *err)
{
	const struct volume_spec spec = { .pool = id->pool,
		.zone = id->zone,
		.name = id->name,
		.size = size,
		.origin = image };
	struct volume_pools *pools = NULL;
	int rc = admin_pools(a, &pools, err);

	return rc == 0 ? volume_create(pools, &spec, err) : rc;
}

int
admin_make_disk(struct admin *a, const char *conf_path, const char *path,
    uint64_t size, const char *image, struct error *err)
{
	struct volume_id id;

	if (access(path, F_OK) == 0)
		return image == NULL
		    ? 0
		    : error_set(err, EEXIST,
			  "disk %s is there already; the image would "
			  "overwrite it",
			  path);
	if (size == 0 && image == NULL)
		return 0;
	return volume_parse(conf_path, &id) == 0
	    ? make_volume(a, &id, size, image, err)
	    : make_disk(path, size, image, err);
}

int
admin_make_disks(struct admin *a, const struct zone_conf *conf,
    const char *image, struct error *err)
{
	const struct zone_res *boot = boot_disk(conf), *r;
	char path[ADMIN_PATH];
	size_t at = ZONE_NEW;
	int rc = 0;

	if (image != NULL && boot == NULL)
		return error_set(err, EINVAL,
		    "there is no disk for the image; 'add disk' first");
	while (rc == 0 && (r = zone_conf_next_disk(conf, &at)) != NULL) {
		rc = admin_disk_path(a, zone_conf_get(conf, "zonepath"),
		    zone_res_disk_path(r), path, sizeof(path), err);
		if (rc == 0)
			rc = admin_make_disk(a, zone_res_disk_path(r), path,
			    disk_size(r), r == boot ? image : NULL, err);
	}
	return rc;
}

/* The zone's own: of its UUID. */
static bool
is_own(const struct zone_conf *conf, const struct zone_res *disk,
    struct volume_id *id)
{
	const char *uuid = zone_conf_get(conf, "uuid");

	return volume_parse(zone_res_disk_path(disk), id) == 0 &&
	    uuid != NULL && strcasecmp(id->zone, uuid) == 0;
}

/* The pool whose place for it is the zonepath, and has a volume of it. */
static int
own_pool(const struct volume_pools *pools, const struct zone_conf *conf,
    struct volume_id *ret)
{
	const char *zonepath = zone_conf_get(conf, "zonepath");
	const struct zone_res *r;
	char path[ADMIN_PATH];
	size_t at = ZONE_NEW;

	while ((r = zone_conf_next_disk(conf, &at)) != NULL)
		if (is_own(conf, r, ret) &&
		    volume_zone_path(pools, ret->pool, ret->zone, path,
			sizeof(path), NULL) == 0 &&
		    strcmp(path, zonepath) == 0)
			return 0;
	return -ENOENT;
}

int
admin_make_place(struct admin *a, const struct zone_conf *conf,
    const char *path, struct error *err)
{
	struct volume_pools *pools = NULL;
	struct volume_id id;
	int rc = admin_pools(a, &pools, err);

	if (rc == 0 && own_pool(pools, conf, &id) == 0)
		rc = volume_zone_create(pools, id.pool, id.zone, err);
	return rc < 0 ? rc : admin_make_zonepath(path, err);
}

uint64_t
admin_disks_there(struct admin *a, const struct zone_conf *conf)
{
	char path[ADMIN_PATH];
	const struct zone_res *r;
	size_t at = ZONE_NEW;
	uint64_t there = 0;

	for (size_t i = 0; (r = zone_conf_next_disk(conf, &at)) != NULL; i++)
		if (i < 64 &&
		    admin_disk_path(a, zone_conf_get(conf, "zonepath"),
			zone_res_disk_path(r), path, sizeof(path), NULL) == 0 &&
		    access(path, F_OK) == 0)
			there |= UINT64_C(1) << i;
	return there;
}

/* With its last volume a zone's place in a pool goes, and its snapshots. */
static int
remove_volume(struct admin *a, const char *conf_path,
    const struct volume_id *id, struct error *err)
{
	struct volume_pools *pools = NULL;
	struct volume_list left = { NULL };
	int rc = admin_pools(a, &pools, err);

	if (rc == 0)
		rc = volume_remove(pools, conf_path, err);
	if (rc == 0 || rc == -ENOENT)
		rc = volume_list(pools, id->pool, id->zone, &left, err);
	if (rc == 0 && left.n == 0)
		rc = volume_zone_remove(pools, id->pool, id->zone, err);
	volume_list_free(&left);
	return rc == -ENOENT ? 0 : rc;
}

int
admin_remove_disks(struct admin *a, const struct zone_conf *conf, uint64_t keep,
    struct error *err)
{
	const struct zone_res *r;
	size_t at = ZONE_NEW;
	struct volume_id id;
	int rc = 0;

	for (size_t i = 0;
	     rc == 0 && (r = zone_conf_next_disk(conf, &at)) != NULL; i++)
		if (is_own(conf, r, &id) &&
		    (i >= 64 ? keep == 0 : (keep >> i & 1) == 0))
			rc = remove_volume(a, zone_res_disk_path(r), &id, err);
	return rc;
}
