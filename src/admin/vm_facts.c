/*
 * What is known of a VM. Each kind of fact has one source, which is opened when
 * the first of its properties is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin/vm_impl.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/facts.h"
#include "zone/live.h"

struct view {
	struct admin *a;
	const struct zone_entry *e;
	struct zone_conf *conf; /* NULL: damaged */
	struct zone_live live;
	bool conf_read, live_read, is_live;
	enum zone_state state;
	struct error err; /* why there is no conf */
};

static const struct zone_conf *
conf_of(struct view *v)
{
	if (!v->conf_read)
		(void)zone_store_load(
		    v->a->store, v->e->name, false, &v->conf, NULL, &v->err);
	v->conf_read = true;
	return v->conf;
}

static const struct zone_live *
live_of(struct view *v)
{
	if (!v->live_read) {
		v->live_read = true;
		v->state = v->e->state;
		v->is_live =
		    zone_live_read(v->a->root, v->e->name, &v->live) == 0;
		if (v->is_live && v->live.alive &&
		    v->live.state > ZONE_STATE_INSTALLED)
			v->state = v->live.state;
	}
	return v->is_live && v->live.alive ? &v->live : NULL;
}

/* ---- states ---- */

/* Somebody holds the lock of whoever makes or changes a zone. */
static bool
at_work(struct admin *a, const char *zone)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	cleanup_close int dir = zone_live_open(a->root, zone, false, NULL);
	cleanup_close int fd = -1;

	if (dir < 0)
		return false;
	fd = openat(dir, "admin.lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &f) == 0 &&
	    f.l_type != F_UNLCK;
}

const char *
vm_state_name(struct admin *a, const char *zone, enum zone_state state)
{
	if (state == ZONE_STATE_INSTALLED)
		return "stopped";
	if (state == ZONE_STATE_SHUTTING_DOWN)
		return "stopping";
	if (state == ZONE_STATE_INCOMPLETE && at_work(a, zone))
		return "provisioning";
	return zone_state_name(state);
}

static json_t *
fact_state(struct view *v)
{
	(void)live_of(v);
	return json_string(vm_state_name(v->a, v->e->name, v->state));
}

static json_t *
fact_zone_state(struct view *v)
{
	(void)live_of(v);
	return json_string(zone_state_name(v->state));
}

static json_t *
fact_transition_to(struct view *v)
{
	(void)live_of(v);
	return v->state == ZONE_STATE_SHUTTING_DOWN ? json_string("stopped")
						    : NULL;
}

/* To a file, no terminal, nothing back into the zone. */
static json_t *
fact_zlog_mode(struct view *v)
{
	return json_string("g--");
}

/* ---- the process ---- */

static json_t *
time_json(time_t t, long ms)
{
	char text[40], all[64];
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return NULL;
	str_format(all, sizeof(all), "%s.%03ldZ", text, ms);
	return json_string(all);
}

static json_t *
fact_pid(struct view *v)
{
	const struct zone_live *l = live_of(v);

	return l != NULL && l->pid > 0 ? json_integer(l->pid) : NULL;
}

static json_t *
fact_zoneid(struct view *v)
{
	const struct zone_live *l = live_of(v);

	return l != NULL ? json_integer((json_int_t)l->instance) : NULL;
}

static json_t *
fact_boot(struct view *v)
{
	const struct zone_live *l = live_of(v);
	struct timespec now, up;
	int64_t ms;
	uint64_t ticks;

	if (l == NULL || l->pid <= 0 ||
	    zone_live_start_time(l->pid, &ticks) < 0)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	ms = ((int64_t)now.tv_sec - up.tv_sec) * 1000 +
	    (now.tv_nsec - up.tv_nsec) / 1000000 +
	    (int64_t)(ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
	return time_json(ms / 1000, (long)(ms % 1000));
}

/* ZONEPATH/lastexited: SECONDS.MICROSECONDS STATUS CAUSE */
static bool
last_exit(struct view *v, long long *s, long *us, int *status)
{
	char path[ADMIN_PATH], line[128] = "";
	cleanup_close int fd = -1;

	if (admin_path(v->a, v->e->path, v->e->path, path, sizeof(path) - 16,
		NULL) < 0)
		return false;
	strcat(path, "/lastexited");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fd_read_full(fd, line, sizeof(line) - 1) <= 0)
		return false;
	return sscanf(line, "%lld.%6ld %d", s, us, status) == 3;
}

static json_t *
fact_exit_status(struct view *v)
{
	long long s;
	long us;
	int status;

	return last_exit(v, &s, &us, &status) ? json_integer(status) : NULL;
}

static json_t *
fact_exit_time(struct view *v)
{
	long long s;
	long us;
	int status;

	return last_exit(v, &s, &us, &status) ? time_json(s, us / 1000) : NULL;
}

/* ---- the rest ---- */

static json_t *
fact_type(struct view *v)
{
	const struct zone_conf *conf = conf_of(v);
	const char *brand = conf != NULL ? zone_conf_get(conf, "brand") : NULL;

	if (brand == NULL || strcmp(brand, "bhyve") == 0)
		return json_string("BHYVE");
	return json_string("OS");
}

static json_t *
fact_hvm(struct view *v)
{
	(void)v;
	return json_true();
}

static json_t *
fact_did(struct view *v)
{
	const struct zone_conf *conf = conf_of(v);
	const char *text = conf != NULL ? zone_conf_get(conf, "debugid") : NULL;

	return text != NULL ? json_integer(strtoll(text, NULL, 10)) : NULL;
}

/*
 * What guests are told, too, if the operator says it; else machine-id(5), which
 * is a UUID without its dashes, and no guest's to know.
 */
static json_t *
fact_server(struct view *v)
{
	char id[40] = "", uuid[40];
	cleanup_close int fd = -1;

	if (zone_host_get(v->a->store, "server_uuid", uuid, sizeof(uuid)) == 0)
		return json_string(uuid);
	fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_full(fd, id, 32) != 32 ||
	    strspn(id, "0123456789abcdef") != 32)
		return NULL;
	str_format(uuid, sizeof(uuid), "%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8,
	    id + 12, id + 16, id + 20);
	return json_string(uuid);
}

static json_t *
fact_modified(struct view *v)
{
	char path[ADMIN_PATH];
	struct stat st;

	if (str_format(path, sizeof(path), "%s/etc/zones/%s.xml", v->a->root,
		v->e->name) < 0 ||
	    stat(path, &st) != 0)
		return NULL;
	return time_json(st.st_mtim.tv_sec, st.st_mtim.tv_nsec / 1000000);
}

static json_t *
fact_uuid(struct view *v)
{
	return v->e->uuid[0] != '\0' ? json_string(v->e->uuid) : NULL;
}

static json_t *
fact_name(struct view *v)
{
	return json_string(v->e->name);
}

static json_t *
fact_path(struct view *v)
{
	return json_string(v->e->path);
}

static json_t *
fact_file(struct view *v, const char *which)
{
	cleanup_close int dir = -1;
	json_t *o = NULL;

	if (conf_of(v) == NULL)
		return NULL;
	dir = vm_config_dir(v->a, v->conf, false, NULL);
	if (dir < 0 || vm_file_get(dir, which, &o, NULL) < 0)
		return json_object();
	return o;
}

/* ---- volumes ---- */

static json_t *
fact_snapshots(struct view *v)
{
	struct volume_pools *pools = NULL;
	struct snapshot_list l = { NULL };
	cleanup_free char *pool = NULL;
	json_t *list = json_array();
	char uuid[ZONE_UUID_LEN + 1];

	if (conf_of(v) == NULL || v->e->uuid[0] == '\0')
		return list;
	pool = vm_pool(v->conf);
	str_format(uuid, sizeof(uuid), "%s", v->e->uuid);
	if (pool != NULL && volume_pools_open(v->a->root, &pools, NULL) == 0 &&
	    snapshot_list(pools, pool, uuid, &l, NULL) == 0)
		for (size_t i = 0; i < l.n; i++)
			json_array_append_new(list,
			    json_pack("{s:s, s:o}", "name", l.v[i].name,
				"created_at", time_json(l.v[i].created, 0)));
	snapshot_list_free(&l);
	volume_pools_close(pools);
	return list;
}

/* SmartOS's configurations do not say how big a disk is. */
static void
add_size(struct volume_pools *pools, json_t *disk)
{
	const char *path = json_string_value(json_object_get(disk, "path"));
	struct volume_info info;

	if (json_object_get(disk, "size") != NULL || path == NULL ||
	    volume_stat(pools, path, &info, NULL) < 0)
		return;
	json_object_set_new(
	    disk, "size", json_integer((json_int_t)(info.size / MiB)));
}

static json_t *
fact_disks(struct view *v)
{
	struct volume_pools *pools = NULL;
	json_t *disks, *disk;
	size_t i;

	if (conf_of(v) == NULL)
		return NULL;
	disks = manifest_get(v->conf, "disks");
	if (volume_pools_open(v->a->root, &pools, NULL) == 0)
		json_array_foreach(disks, i, disk)
		{
			add_size(pools, disk);
		}

	volume_pools_close(pools);
	return disks;
}

static json_t *
fact_free_space(struct view *v)
{
	json_t *disks, *disk, *all;
	json_int_t left;
	size_t i;

	if (conf_of(v) == NULL)
		return NULL;
	all = manifest_get(v->conf, "flexible_disk_size");
	if (all == NULL)
		return NULL;
	left = json_integer_value(all);
	json_decref(all);
	disks = fact_disks(v);
	json_array_foreach(disks, i, disk)
	{
		left -= json_integer_value(json_object_get(disk, "size"));
	}

	json_decref(disks);
	return json_integer(left);
}

/* ---- all ---- */

static const struct {
	const char *name;
	json_t *(*fn)(struct view *v);
} facts[] = {
	{ "boot_timestamp", fact_boot },
	{ "disks", fact_disks },
	{ "exit_status", fact_exit_status },
	{ "exit_timestamp", fact_exit_time },
	{ "free_space", fact_free_space },
	{ "hvm", fact_hvm },
	{ "last_modified", fact_modified },
	{ "pid", fact_pid },
	{ "server_uuid", fact_server },
	{ "snapshots", fact_snapshots },
	{ "state", fact_state },
	{ "transition_to", fact_transition_to },
	{ "type", fact_type },
	{ "uuid", fact_uuid },
	{ "zlog_mode", fact_zlog_mode },
	{ "zone_state", fact_zone_state },
	{ "zonedid", fact_did },
	{ "zoneid", fact_zoneid },
	{ "zonename", fact_name },
	{ "zonepath", fact_path },
};

static json_t *
fact(struct view *v, const char *name)
{
	const struct manifest_prop *p = manifest_find("", name);

	if (p == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		if (strcmp(facts[i].name, name) == 0)
			return facts[i].fn(v);
	if (p->type == MANIFEST_MAP)
		return fact_file(v, name);
	return conf_of(v) != NULL ? manifest_get(v->conf, name) : NULL;
}

static int
collect(struct view *v, const struct vm_fields *fields, json_t *out)
{
	const struct manifest_prop *p = NULL;
	json_t *value;

	for (size_t i = 0; fields != NULL && i < fields->n; i++) {
		if (json_object_get(out, fields->v[i]) != NULL)
			continue;
		value = fact(v, fields->v[i]);
		if (value != NULL &&
		    json_object_set_new(out, fields->v[i], value) != 0)
			return -ENOMEM;
	}
	while (fields == NULL && (p = manifest_next(p)) != NULL) {
		value = p->scope[0] == '\0' ? fact(v, p->name) : NULL;
		if (value != NULL &&
		    json_object_set_new(out, p->name, value) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int
all_facts(struct view *v, const struct vm_fields *fields, json_t **ret,
    struct error *err)
{
	json_t *out = json_object();
	int rc = out != NULL ? collect(v, fields, out) : -ENOMEM;

	zone_conf_free(v->conf);
	if (v->is_live)
		zone_live_fini(&v->live);
	if (rc < 0) {
		json_decref(out);
		return error_set(err, ENOMEM, "out of memory");
	}
	*ret = out;
	return 0;
}

int
vm_facts(struct admin *a, const struct zone_entry *e,
    const struct vm_fields *fields, json_t **ret, struct error *err)
{
	struct view v = { .a = a, .e = e };

	return all_facts(&v, fields, ret, err);
}

int
vm_get(struct admin *a, const struct vm *vm, json_t **ret, struct error *err)
{
	struct zone_index *ix = NULL;
	const struct zone_entry *e;
	struct view v = { .a = a };
	int rc = zone_store_index(a->store, &ix, err);

	if (rc < 0)
		return rc;
	e = v.e = zone_index_find(ix, vm->name);
	if (e == NULL)
		rc = error_set(err, ENOENT, "there is no VM '%s'", vm->name);
	else if (conf_of(&v) == NULL)
		rc = error_set(err, v.err.code, "%s", v.err.text);
	else
		rc = all_facts(&v, NULL, ret, err);
	zone_index_free(ix);
	return rc;
}
