/*
 * VMs made and removed.
 *
 * The configuration comes first, then the mark 'incomplete', then everything
 * else; it goes last. So whatever a crash leaves has a name, and vm_remove()
 * removes it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/vm_impl.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/assign.h"

static int
put_text(json_t *m, const char *name, const char *value, struct error *err)
{
	if (json_object_set_new(m, name, json_string(value)) != 0)
		return error_set(err, ENOMEM, "out of memory");
	return 0;
}

/* ---- remove ---- */

/* Each pool that a disk is in, and the VM's own. */
static int
remove_volumes(const struct volume_pools *pools, const struct zone_conf *conf,
    const char *uuid, struct error *err)
{
	const struct zone_res *res;
	cleanup_free char *own = vm_pool(conf);
	struct volume_id id;
	size_t at = ZONE_NEW;
	int rc;

	if (own == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = volume_zone_remove(pools, own, uuid, err);
	while (rc == 0 && (res = zone_conf_next_disk(conf, &at)) != NULL) {
		if (volume_parse(zone_res_disk_path(res), &id) != 0 ||
		    strcmp(id.zone, uuid) != 0 || strcmp(id.pool, own) == 0)
			continue;
		rc = volume_zone_remove(pools, id.pool, uuid, err);
		/* a pool that is not there has nothing of it */
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc;
}

int
vm_remove(
    struct admin *a, const char *name, const char *uuid, struct error *err)
{
	struct volume_pools *pools = NULL;
	struct zone_conf *conf = NULL;
	struct admin_zone z;
	int rc;

	rc = admin_find(a, name, &z, err);
	if (rc < 0)
		return rc;
	/* a damaged configuration names no volumes: those of its UUID go */
	(void)zone_store_load(a->store, name, false, &conf, NULL, NULL);
	if (z.state != ZONE_STATE_CONFIGURED)
		rc = admin_uninstall(a, name, err);
	if (rc == 0)
		rc = volume_pools_open(a->root, &pools, err);
	if (rc == 0 && conf != NULL && uuid[0] != '\0')
		rc = remove_volumes(pools, conf, uuid, err);
	if (rc == 0)
		rc = zone_store_delete(a->store, name, err);
	volume_pools_close(pools);
	zone_conf_free(conf);
	admin_zone_fini(&z);
	return rc;
}

static int
check_destructible(const struct zone_conf *conf, struct error *err)
{
	static const char *const flags[] = { "indestructible_zoneroot",
		"indestructible_delegated" };
	bool set;
	json_t *v;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		v = manifest_get(conf, flags[i]);
		set = json_is_true(v);
		json_decref(v);
		if (set)
			return error_set(err, EPERM,
			    "%s is set: the VM is not to be deleted; update it "
			    "first",
			    flags[i]);
	}
	return 0;
}

int
vm_delete(struct admin *a, const struct vm *vm, bool force, struct error *err)
{
	const struct admin_request halt = { .command = "halt" };
	struct zone_conf *conf = NULL;
	int rc = 0;

	if (zone_store_load(a->store, vm->name, false, &conf, NULL, NULL) == 0)
		rc = check_destructible(conf, err);
	if (rc == 0 && vm->state > ZONE_STATE_INSTALLED && !force)
		rc = error_set(err, EBUSY,
		    "VM %s is %s; stop it first, or delete it with -F",
		    vm->name, vm_state_name(a, vm->name, vm->state));
	else if (rc == 0 && vm->state > ZONE_STATE_INSTALLED)
		rc = admin_request(a, vm->name, &halt, NULL, err);
	if (rc == 0)
		rc = vm_remove(a, vm->name, vm->uuid, err);
	zone_conf_free(conf);
	return rc;
}

/* ---- create ---- */

static int
choose_names(struct admin *a, json_t *m, struct error *err)
{
	struct zone_index *ix = NULL;
	const struct zone_entry *e;
	char uuid[ZONE_UUID_LEN + 1], now[32];
	const char *name;
	struct tm tm;
	time_t t = time(NULL);
	int rc = 0;

	if (vm_text(m, "uuid") == NULL) {
		rc = vm_uuid(uuid, err);
		if (rc == 0)
			rc = put_text(m, "uuid", uuid, err);
	}
	if (rc == 0 && vm_text(m, "create_timestamp") == NULL &&
	    strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%S.000Z",
		gmtime_r(&t, &tm)) > 0)
		rc = put_text(m, "create_timestamp", now, err);
	if (rc == 0)
		rc = zone_store_index(a->store, &ix, err);
	if (rc < 0)
		return rc;
	name = vm_text(m, "zonename") != NULL ? vm_text(m, "zonename")
					      : vm_text(m, "uuid");
	e = zone_index_find_uuid(ix, vm_text(m, "uuid"));
	if (e == NULL)
		e = zone_index_find(ix, name);
	if (e != NULL)
		rc = error_set(err, EEXIST, "there is a VM %s already",
		    e->uuid[0] != '\0' ? e->uuid : e->name);
	zone_index_free(ix);
	return rc;
}

/* Is each disk's pool there? */
static int
check_pools(const struct volume_pools *pools, const json_t *disks,
    const char *uuid, struct error *err)
{
	char path[ADMIN_PATH];
	struct volume_id id;
	const json_t *disk;
	size_t i;

	json_array_foreach(disks, i, disk)
	{
		if (volume_parse(vm_text(disk, "path"), &id) == 0 &&
		    volume_zone_path(
			pools, id.pool, uuid, path, sizeof(path), err) < 0)
			return error_prefix(err, "disks.%zu", i);
	}
	return 0;
}

/* Everything that can be known to fail before anything is made. */
static int
make_conf(struct admin *a, json_t *m, const struct volume_pools *pools,
    struct zone_conf **ret, struct error *err)
{
	const char *pool =
	    vm_text(m, "zpool") != NULL ? vm_text(m, "zpool") : "zones";
	char zonepath[ADMIN_PATH];
	struct zone_conf *conf = NULL;
	bool changed;
	int rc;

	rc = vm_disks_complete(a, json_object_get(m, "disks"),
	    vm_text(m, "uuid"), pool, NULL, err);
	if (rc == 0)
		rc = check_pools(pools, json_object_get(m, "disks"),
		    vm_text(m, "uuid"), err);
	if (rc == 0)
		rc = volume_zone_path(pools, pool, vm_text(m, "uuid"), zonepath,
		    sizeof(zonepath), err);
	if (rc == 0)
		rc = manifest_to_conf(m, zonepath, &conf, err);
	if (rc == 0)
		rc = zone_assign(conf, &changed, err);
	if (rc == 0)
		rc = vm_verify(a, conf, err);
	if (rc == 0)
		rc = zone_store_conflict(
		    a->store, zone_conf_get(conf, "zonename"), conf, err);
	if (rc < 0)
		zone_conf_free(conf);
	else
		*ret = conf;
	return rc;
}

static int
make_files(struct admin *a, const json_t *m, const struct zone_conf *conf,
    struct error *err)
{
	static const char *const files[] = { "customer_metadata",
		"internal_metadata", "tags", "routes" };
	cleanup_close int dir = vm_config_dir(a, conf, true, err);
	int rc = dir < 0 ? dir : 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(files); i++)
		rc = vm_file_change(
		    dir, files[i], json_object_get(m, files[i]), NULL, err);
	return rc;
}

/* The zone is incomplete, and locked. */
static int
furnish(struct admin *a, const json_t *m, const struct volume_pools *pools,
    const struct zone_conf *conf, struct error *err)
{
	const char *zonepath = zone_conf_get(conf, "zonepath");
	const char *pool =
	    vm_text(m, "zpool") != NULL ? vm_text(m, "zpool") : "zones";
	char path[ADMIN_PATH];
	const json_t *disk;
	size_t i;
	int rc;

	rc = volume_zone_create(pools, pool, vm_text(m, "uuid"), err);
	if (rc == 0)
		rc = admin_path(a, zonepath, zonepath, path, sizeof(path), err);
	if (rc == 0)
		rc = admin_make_zonepath(path, err);
	json_array_foreach(json_object_get(m, "disks"), i, disk)
	{
		if (rc == 0 && (rc = vm_disk_make(a, pools, disk, err)) < 0)
			error_prefix(err, "disks.%zu", i);
	}
	if (rc == 0)
		rc =
		    vm_quota(pools, vm_text(m, "uuid"), conf, false, NULL, err);
	if (rc == 0)
		rc = make_files(a, m, conf, err);
	if (rc == 0)
		rc = admin_hook(a, conf, "install", NULL, err);
	return rc;
}

static int
install(struct admin *a, const json_t *m, const struct volume_pools *pools,
    struct zone_conf *conf, struct error *err)
{
	const char *name = zone_conf_get(conf, "zonename");
	cleanup_close int lock = admin_lock(a, name, err);
	int rc = lock < 0 ? lock : 0;

	if (rc == 0)
		rc = zone_store_set_state(
		    a->store, name, ZONE_STATE_INCOMPLETE, err);
	if (rc == 0)
		rc = furnish(a, m, pools, conf, err);
	if (rc == 0)
		rc = zone_store_set_state(
		    a->store, name, ZONE_STATE_INSTALLED, err);
	if (rc == 0)
		rc = admin_hook(a, conf, "postinstall", NULL, err);
	return rc;
}

static int
create(struct admin *a, json_t *m, const struct volume_pools *pools,
    struct error *err)
{
	const struct admin_request boot = { .command = "boot" };
	struct zone_conf *conf = NULL;
	struct error late = ERROR_INIT;
	const char *name;
	int rc;

	rc = make_conf(a, m, pools, &conf, err);
	if (rc == 0)
		rc = zone_store_save(a->store, NULL, conf, NULL, err);
	if (rc < 0) {
		zone_conf_free(conf);
		return rc;
	}
	name = zone_conf_get(conf, "zonename");
	rc = install(a, m, pools, conf, err);
	if (rc == 0 && json_is_true(json_object_get(m, "autoboot"))) {
		rc = admin_request(a, name, &boot, NULL, err);
		if (rc < 0)
			error_prefix(err, "boot");
	}
	if (rc < 0 && vm_remove(a, name, vm_text(m, "uuid"), &late) < 0)
		error_prefix(err,
		    "VM %s could not be taken back (%.160s), delete it", name,
		    late.text);
	zone_conf_free(conf);
	return rc;
}

int
vm_create(struct admin *a, json_t *m, struct manifest_faults *faults,
    char ret_uuid[ZONE_UUID_LEN + 1], struct error *err)
{
	struct volume_pools *pools = NULL;
	int rc;

	rc = manifest_check(m, MANIFEST_CREATE, NULL, faults);
	if (rc < 0)
		return error_set(err, -rc, "the manifest is not right");
	rc = choose_names(a, m, err);
	if (rc == 0)
		rc = volume_pools_open(a->root, &pools, err);
	if (rc == 0)
		rc = create(a, m, pools, err);
	if (rc == 0)
		str_format(
		    ret_uuid, ZONE_UUID_LEN + 1, "%s", vm_text(m, "uuid"));
	volume_pools_close(pools);
	return rc;
}
