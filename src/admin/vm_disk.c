/*
 * Disks of VMs: names, sizes, volumes.
 */
#include <errno.h>
#include <string.h>

#include "admin/vm_impl.h"
#include "base/alloc.h"
#include "base/str.h"
#include "store/image.h"

static int
put(json_t *o, const char *name, json_t *v, struct error *err)
{
	if (json_object_set_new(o, name, v) != 0)
		return error_set(err, ENOMEM, "out of memory");
	return 0;
}

/* ---- images ---- */

int
vm_image(struct admin *a, const char *uuid, uint64_t *ret_size,
    char path[ADMIN_PATH], struct error *err)
{
	struct image_info info;
	int rc = image_find(a->root, uuid, &info, err);

	if (rc == -ENOENT)
		return error_set(err, ENOENT,
		    "image %s is not here; 'imgadm list' shows those that are",
		    uuid);
	if (rc < 0)
		return rc;
	if (path != NULL)
		rc = image_path(a->root, info.uuid, path, ADMIN_PATH, err);
	if (rc == 0 && ret_size != NULL)
		*ret_size = info.size;
	image_info_fini(&info);
	return rc;
}

/* The image's own size, or a bigger one that is asked for. */
static int
image_size(struct admin *a, json_t *disk, struct error *err)
{
	const char *uuid = vm_text(disk, "image_uuid");
	uint64_t want = vm_mib(disk, "image_size"), size = 0;
	int rc;

	if (uuid == NULL || json_object_get(disk, "size") != NULL)
		return 0;
	rc = vm_image(a, uuid, &size, NULL, err);
	if (rc < 0)
		return rc;
	if (want != 0 && size > want)
		return error_set(err, EINVAL,
		    "image_size: image %s has %ju MiB, more than %ju; give at "
		    "least that, or leave it out",
		    uuid, (uintmax_t)((size + MiB - 1) / MiB),
		    (uintmax_t)(want / MiB));
	size = (MAX(size, want) + MiB - 1) / MiB;
	return put(disk, "size", json_integer((json_int_t)size), err);
}

/* ---- names ---- */

static bool
path_taken(const json_t *disks, const struct zone_conf *conf, const char *path)
{
	const json_t *d;
	size_t i;

	json_array_foreach(disks, i, d)
	{
		if (vm_text(d, "path") != NULL &&
		    strcmp(vm_text(d, "path"), path) == 0)
			return true;
	}

	return conf != NULL &&
	    manifest_find_item(conf, "disks", path) != ZONE_NEW;
}

/* disk0, disk1, ...: the first that is free. */
static int
choose_path(json_t *disks, json_t *disk, const char *uuid, const char *pool,
    const struct zone_conf *conf, struct error *err)
{
	char name[16], path[VOLUME_CONF_PATH_MAX];
	int rc;

	if (vm_text(disk, "zpool") != NULL)
		pool = vm_text(disk, "zpool");
	for (unsigned n = 0; n < 1000; n++) {
		str_format(name, sizeof(name), "disk%u", n);
		rc = volume_conf_path(pool, uuid, name, path, sizeof(path));
		if (rc < 0)
			return error_set(
			    err, -rc, "zpool: '%.64s' is no pool", pool);
		if (!path_taken(disks, conf, path))
			return put(disk, "path", json_string(path), err);
	}
	return error_set(err, E2BIG, "more than 1000 disks");
}

int
vm_disks_complete(struct admin *a, json_t *disks, const char *uuid,
    const char *pool, const struct zone_conf *taken, struct error *err)
{
	char id[ZONE_UUID_LEN + 1];
	json_t *disk;
	size_t i;
	int rc = 0;

	json_array_foreach(disks, i, disk)
	{
		rc = image_size(a, disk, err);
		if (rc == 0 && json_object_get(disk, "uuid") == NULL) {
			rc = vm_uuid(id, err);
			if (rc == 0)
				rc = put(disk, "uuid", json_string(id), err);
		}
		if (rc == 0 && vm_text(disk, "path") == NULL)
			rc = choose_path(disks, disk, uuid, pool, taken, err);
		if (rc < 0)
			return error_prefix(err, "disks.%zu", i);
	}
	return 0;
}

/* ---- volumes ---- */

int
vm_disk_make(struct admin *a, const struct volume_pools *pools,
    const json_t *disk, struct error *err)
{
	struct volume_spec spec = { .size = vm_mib(disk, "size"),
		.compression = vm_text(disk, "compression"),
		.refreservation = vm_mib(disk, "refreservation") };
	const char *path = vm_text(disk, "path"), *image;
	char origin[ADMIN_PATH];
	struct volume_id id;
	int rc;

	if (json_is_true(json_object_get(disk, "nocreate")) ||
	    strcmp(vm_text(disk, "media"), "cdrom") == 0)
		return 0;
	if (volume_parse(path, &id) < 0)
		return error_set(err, EINVAL,
		    "path: '%.160s' is no volume of a pool; say nocreate for "
		    "one that is there, or leave it out",
		    path);
	spec.pool = id.pool;
	spec.zone = id.zone;
	spec.name = id.name;
	spec.block_size =
	    (uint64_t)json_integer_value(json_object_get(disk, "block_size"));
	image = vm_text(disk, "image_uuid");
	if (image != NULL) {
		rc = vm_image(a, image, NULL, origin, err);
		if (rc < 0)
			return rc;
		spec.origin = origin;
	}
	return volume_create(pools, &spec, err);
}

int
vm_disk_remove(const struct volume_pools *pools, const char *uuid,
    const char *path, struct error *err)
{
	struct volume_id id;
	int rc;

	if (volume_parse(path, &id) < 0 || strcmp(id.zone, uuid) != 0)
		return 0;
	rc = volume_remove(pools, path, err);
	return rc == -ENOENT ? 0 : rc;
}
