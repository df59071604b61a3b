/*
 * A VM changed. What can be known to fail comes first; what can be undone is
 * done before the configuration is written, what cannot (disks that go or
 * shrink) after it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/vm_impl.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/assign.h"

static const char *const files[] = { "customer_metadata", "internal_metadata",
	"tags", "routes" };
#define NFILES ARRAY_LEN(files)

struct update {
	struct vm_work w;
	json_t *payload;
	struct zone_conf *conf; /* what it becomes */
	int dir; /* ZONEPATH/config */
	json_t *was[NFILES]; /* of those that were changed */
	size_t nmade; /* of add_disks */
	bool boot; /* something waits for the next boot */
	struct buf *note; /* for people; may be NULL */
	struct error *err;
};

static const json_t *
of(const struct update *u, const char *name)
{
	return json_object_get(u->payload, name);
}

/* ---- disks ---- */

static uint64_t
old_size(const struct update *u, const char *path)
{
	struct volume_info info;

	if (volume_stat(u->w.pools, path, &info, NULL) < 0)
		return 0;
	return info.size;
}

static uint64_t
new_size(const json_t *disk)
{
	return (uint64_t)json_integer_value(json_object_get(disk, "size")) *
	    MiB;
}

static bool
may_shrink(const json_t *disk)
{
	return json_is_true(json_object_get(disk, "dangerous_allow_shrink"));
}

static int
check_size(const struct update *u, const json_t *disk, size_t i)
{
	uint64_t was = old_size(u, vm_text(disk, "path"));

	if (json_object_get(disk, "size") == NULL || was <= new_size(disk) ||
	    may_shrink(disk))
		return 0;
	return error_set(u->err, EPERM,
	    "update_disks.%zu: size: %ju is less than %ju: what is behind it "
	    "would be lost; say dangerous_allow_shrink",
	    i, (uintmax_t)(new_size(disk) / MiB), (uintmax_t)(was / MiB));
}

/* What a running guest's disks cannot stand. */
static int
check_disks(const struct update *u)
{
	bool touches = json_array_size(of(u, "remove_disks")) > 0;
	const json_t *disk;
	size_t i;
	int rc = 0;

	json_array_foreach(of(u, "update_disks"), i, disk)
	{
		touches = touches || json_object_get(disk, "size") != NULL;
		if (rc == 0)
			rc = check_size(u, disk, i);
	}
	if (rc == 0 && touches && u->w.state > ZONE_STATE_INSTALLED)
		rc = error_set(u->err, EBUSY,
		    "VM %s is running: stop it before disks are resized or "
		    "removed",
		    u->w.vm->name);
	return rc;
}

static int
make_disks(struct update *u)
{
	const json_t *disk;
	size_t i;
	int rc;

	json_array_foreach(of(u, "add_disks"), i, disk)
	{
		rc = vm_disk_make(u->w.a, u->w.pools, disk, u->err);
		if (rc < 0)
			return error_prefix(u->err, "add_disks.%zu", i);
		u->nmade = i + 1;
	}
	return 0;
}

/* grow: only what becomes bigger, else only what becomes smaller */
static int
resize(struct update *u, bool grow)
{
	const json_t *disk;
	uint64_t was;
	size_t i;
	int rc = 0;

	json_array_foreach(of(u, "update_disks"), i, disk)
	{
		was = old_size(u, vm_text(disk, "path"));
		if (json_object_get(disk, "size") == NULL || was == 0 ||
		    was == new_size(disk) || (was < new_size(disk)) != grow)
			continue;
		rc = volume_resize(u->w.pools, vm_text(disk, "path"),
		    new_size(disk), may_shrink(disk), u->err);
		if (rc < 0)
			return error_prefix(u->err, "update_disks.%zu", i);
	}
	return 0;
}

static int
remove_disks(struct update *u)
{
	const json_t *path;
	size_t i;
	int rc = 0;

	json_array_foreach(of(u, "remove_disks"), i, path)
	{
		if (rc == 0)
			rc = vm_disk_remove(u->w.pools, u->w.vm->uuid,
			    json_string_value(path), u->err);
	}
	return rc;
}

/* Volumes that were made for nothing. */
static void
unmake_disks(struct update *u)
{
	struct error late = ERROR_INIT;
	const json_t *disk;

	for (size_t i = 0; i < u->nmade; i++) {
		disk = json_array_get(of(u, "add_disks"), i);
		if (!json_is_true(json_object_get(disk, "nocreate")) &&
		    strcmp(vm_text(disk, "media"), "cdrom") != 0)
			(void)vm_disk_remove(u->w.pools, u->w.vm->uuid,
			    vm_text(disk, "path"), &late);
	}
}

/* ---- metadata, tags, routes ---- */

static int
change_file(struct update *u, size_t i)
{
	char set[40], remove[40];
	int rc;

	str_format(set, sizeof(set), "set_%s", files[i]);
	str_format(remove, sizeof(remove), "remove_%s", files[i]);
	if (of(u, set) == NULL && of(u, remove) == NULL)
		return 0;
	if (u->dir < 0) {
		u->dir = vm_config_dir(u->w.a, u->w.conf, true, u->err);
		if (u->dir < 0)
			return u->dir;
	}
	rc = vm_file_get(u->dir, files[i], &u->was[i], u->err);
	return rc < 0 ? rc
		      : vm_file_change(u->dir, files[i], of(u, set),
			    of(u, remove), u->err);
}

/* What was, and nothing else. */
static void
restore_file(struct update *u, size_t i)
{
	json_t *now = NULL, *gone = json_array(), *v;
	struct error late = ERROR_INIT;
	const char *key;

	if (vm_file_get(u->dir, files[i], &now, &late) == 0) {
		json_object_foreach(now, key, v)
		{
			if (json_object_get(u->was[i], key) == NULL)
				json_array_append_new(gone, json_string(key));
		}
		(void)vm_file_change(u->dir, files[i], u->was[i], gone, &late);
	}
	json_decref(now);
	json_decref(gone);
}

/* ---- all ---- */

static int
prepare(struct update *u)
{
	cleanup_free char *pool = vm_pool(u->w.conf);
	bool changed;
	int rc = pool != NULL ? 0 : error_set(u->err, ENOMEM, "out of memory");

	if (rc == 0)
		rc = vm_disks_complete(u->w.a,
		    json_object_get(u->payload, "add_disks"), u->w.vm->uuid,
		    pool, u->w.conf, u->err);
	if (rc == 0)
		rc = check_disks(u);
	if (rc == 0)
		rc = vm_room_check(&u->w, u->payload, u->err);
	if (rc == 0)
		rc = manifest_update_conf(
		    u->payload, u->w.conf, &u->conf, &u->boot, u->err);
	if (rc == 0)
		rc = vm_flexible(&u->w, u->conf, false, u->err);
	if (rc == 0)
		rc = zone_assign(u->conf, &changed, u->err);
	return rc < 0 ? rc : vm_verify(u->w.a, u->conf, u->err);
}

/* A limit that is said holds at once; one that follows ram waits for it. */
static bool
says_memory(const struct update *u)
{
	return of(u, "max_physical_memory") != NULL ||
	    of(u, "max_swap") != NULL;
}

static bool
changes_disks(const struct update *u)
{
	return of(u, "add_disks") != NULL || of(u, "update_disks") != NULL ||
	    of(u, "remove_disks") != NULL;
}

/* lift: while disks change, whose room a pool may count. */
static int
quota(const struct update *u, const struct zone_conf *conf, bool lift,
    struct error *err)
{
	bool said = of(u, "quota") != NULL;
	json_t *now = manifest_get(conf, "quota");
	bool has = json_integer_value(now) > 0;

	json_decref(now);
	if (u->w.state < ZONE_STATE_INSTALLED || (!said && !has) ||
	    (!said && !changes_disks(u)))
		return 0;
	return vm_quota(u->w.pools, u->w.vm->uuid, conf, lift || !has,
	    said && !lift ? u->note : NULL, err);
}

static int
carry_out(struct update *u)
{
	struct error late = ERROR_INIT;
	int rc = 0;

	if (changes_disks(u))
		rc = quota(u, u->w.conf, true, u->err);
	if (rc == 0)
		rc = make_disks(u);
	if (rc == 0)
		rc = resize(u, true);
	if (rc == 0)
		rc = vm_room_grow(&u->w, u->payload, u->note, u->err);
	for (size_t i = 0; rc == 0 && i < NFILES; i++)
		rc = change_file(u, i);
	if (rc == 0 && !zone_conf_equal(u->conf, u->w.conf))
		rc = vm_work_save(&u->w, u->conf, u->err);
	if (rc < 0) {
		for (size_t i = 0; i < NFILES; i++)
			if (u->was[i] != NULL)
				restore_file(u, i);
		vm_room_undo(&u->w, u->payload);
		unmake_disks(u);
		(void)quota(u, u->w.conf, false, &late);
		return rc;
	}
	rc = resize(u, false);
	if (rc == 0)
		rc = vm_room_give_back(&u->w, u->payload, u->err);
	if (rc == 0)
		rc = remove_disks(u);
	if (rc == 0)
		rc = quota(u, u->conf, false, u->err);
	if (rc == 0)
		rc = vm_apply(u->w.a, u->w.vm->name, u->conf,
		    says_memory(u) ? NULL : u->w.conf, u->err);
	return rc;
}

static void
finish(struct update *u)
{
	for (size_t i = 0; i < NFILES; i++)
		json_decref(u->was[i]);
	zone_conf_free(u->conf);
	fd_close(&u->dir);
	vm_work_end(&u->w);
}

int
vm_update(struct admin *a, const struct vm *vm, json_t *payload,
    struct manifest_faults *faults, struct buf *note, struct error *err)
{
	static const unsigned states = ADMIN_IN(CONFIGURED) |
	    ADMIN_IN(INSTALLED) | ADMIN_IN(READY) | ADMIN_IN(RUNNING);
	struct update u = {
		.payload = payload, .dir = -1, .note = note, .err = err
	};
	int rc;

	rc = manifest_check(payload, MANIFEST_UPDATE, "bhyve", faults);
	if (rc < 0)
		return error_set(err, -rc, "the update is not right");
	rc = vm_work_begin(&u.w, a, vm, states, "update", err);
	if (rc < 0)
		return rc;
	rc = prepare(&u);
	if (rc == 0)
		rc = carry_out(&u);
	if (rc == 0 && u.boot && u.w.state > ZONE_STATE_INSTALLED)
		vm_note(note,
		    "what cannot change while the VM runs takes effect at its "
		    "next boot");
	finish(&u);
	return rc;
}

/* ---- reprovision ---- */

/* Another boot disk where the old one was. */
static int
exchange(struct admin *a, const json_t *old, const char *image, json_t **ret,
    struct error *err)
{
	static const char *const keep[] = { "model", "media", "pci_slot",
		"notrim", "guest_block_size", "serial", "zpool", "compression",
		"refreservation" };
	json_t *disk = json_pack("{s:b, s:s}", "boot", 1, "image_uuid", image);
	const char *path = vm_text(old, "path");
	uint64_t size = 0;
	json_t *v;
	int rc = vm_image(a, image, &size, NULL, err);

	if (rc < 0) {
		json_decref(disk);
		return rc;
	}
	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		if ((v = json_object_get(old, keep[i])) != NULL)
			json_object_set(disk, keep[i], v);
	/* as big as it was, or bigger */
	size = MAX((size + MiB - 1) / MiB,
	    (uint64_t)json_integer_value(json_object_get(old, "size")));
	json_object_set_new(disk, "image_size", json_integer((json_int_t)size));
	*ret = json_pack(
	    "{s:[s], s:[o]}", "remove_disks", path, "add_disks", disk);
	return *ret != NULL ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int
find_boot(struct admin *a, const struct vm *vm, json_t **ret, struct error *err)
{
	json_t *all = NULL, *disks, *disk, *first = NULL;
	size_t i;
	int rc = vm_get(a, vm, &all, err);

	if (rc < 0)
		return rc;
	disks = json_object_get(all, "disks");
	json_array_foreach(disks, i, disk)
	{
		if (strcmp(vm_text(disk, "media"), "cdrom") == 0)
			continue;
		if (first == NULL ||
		    json_is_true(json_object_get(disk, "boot")))
			first = disk;
	}
	if (json_is_true(json_object_get(all, "indestructible_zoneroot")))
		rc = error_set(err, EPERM,
		    "indestructible_zoneroot is set: update it first");
	else if (json_array_size(json_object_get(all, "snapshots")) > 0)
		rc = error_set(err, EBUSY,
		    "VM %s has snapshots, of the disk that would go: delete "
		    "them first",
		    vm->name);
	else if (first == NULL)
		rc = error_set(err, EINVAL, "VM %s has no disk", vm->name);
	else
		*ret = json_incref(first);
	json_decref(all);
	return rc;
}

int
vm_reprovision(struct admin *a, const struct vm *vm, const char *image_uuid,
    struct manifest_faults *faults, struct error *err)
{
	json_t *old = NULL, *payload = NULL;
	int rc = find_boot(a, vm, &old, err);

	if (rc == 0)
		rc = exchange(a, old, image_uuid, &payload, err);
	if (rc == 0)
		rc = vm_update(a, vm, payload, faults, NULL, err);
	json_decref(old);
	json_decref(payload);
	return rc;
}
