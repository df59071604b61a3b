/*
 * vmadm receive: a VM of what send wrote. The configuration is taken as a
 * text that anybody may have written; the VM is incomplete until the stream's
 * end has come.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/vm_impl.h"
#include "admin/vm_stream.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/assign.h"
#include "zone/xml.h"

struct receive {
	struct admin *a;
	struct stream s;
	struct buf b; /* the payload of the last record */
	enum stream_type type;
	struct volume_pools *pools;
	struct zone_conf *conf;
	char name[ZONE_NAME_MAX + 1], uuid[ZONE_UUID_LEN + 1];
	char path[ADMIN_PATH]; /* ZONEPATH on this host */
	int disk; /* that DATA goes to; -1: none */
	uint64_t size; /* of it */
	bool trust; /* it may name paths of this host */
	struct error *err;
};

static int
next(struct receive *r)
{
	return stream_get(&r->s, &r->type, &r->b, r->err);
}

static int
unexpected(const struct receive *r)
{
	return error_set(r->err, EPROTO,
	    "the stream is damaged: record %ju is none of those that may be "
	    "there",
	    (uintmax_t)r->s.records);
}

/* ---- what of this host it would reach ---- */

static int
reaches(struct receive *r, const char *what, const char *path)
{
	return error_set(r->err, EPERM,
	    "%s: '%.160s' is something of this host: a stream could say "
	    "anything; receive it with -F if you trust the sender",
	    what, path);
}

/* Files and devices that are not of the VM's own making. */
static int
check_resources(struct receive *r)
{
	static const char *const types[] = { "fs", "dataset", "device",
		"disk" };
	struct volume_id id;
	const char *path;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < zone_conf_count(r->conf); i++) {
		const struct zone_res *res = zone_conf_at(r->conf, i);
		const struct zone_rtype *t = zone_res_type(res);

		for (size_t k = 0; rc == 0 && k < ARRAY_LEN(types); k++) {
			if (strcmp(t->name, types[k]) != 0)
				continue;
			path = zone_res_value(res, t->props, 0)->text[0];
			if (k < 2 || volume_parse(path, &id) < 0 ||
			    strcmp(id.zone, r->uuid) != 0)
				rc = reaches(r, t->name, path);
		}
	}
	return rc;
}

static int
check_paths(struct receive *r)
{
	static const char *const rows[][2] = { { "guest", "kernel" },
		{ "guest", "initrd" }, { "lpc", "bootrom" }, { "lpc", "com1" },
		{ "lpc", "com2" }, { "lpc", "com3" }, { "lpc", "com4" },
		{ "cloud-init", "source" }, { "cloud-init", "password" },
		{ "cloud-init", "sshkey" } };
	const char *v;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		v = zone_conf_lookup(r->conf, rows[i][0], rows[i][1]);
		if (v != NULL && v[0] == '/' && strcmp(v, "/dev/zconsole") != 0)
			return reaches(r, rows[i][1], v);
	}
	return 0;
}

/* ---- the configuration ---- */

/* Its place is this host's, and so is its number. */
static int
adopt(struct receive *r)
{
	const char *uuid = zone_conf_get(r->conf, "uuid");
	cleanup_free char *pool = vm_pool(r->conf);
	char zonepath[ADMIN_PATH];
	int rc;

	if (pool == NULL)
		return error_set(r->err, ENOMEM, "out of memory");
	if (uuid == NULL || zone_conf_get(r->conf, "zonename") == NULL)
		return error_set(r->err, EPROTO,
		    "the stream's configuration has no uuid or no name");
	str_format(r->uuid, sizeof(r->uuid), "%s", uuid);
	str_format(
	    r->name, sizeof(r->name), "%s", zone_conf_get(r->conf, "zonename"));
	rc = volume_zone_path(
	    r->pools, pool, r->uuid, zonepath, sizeof(zonepath), r->err);
	if (rc == 0)
		rc = zone_conf_set_text(r->conf, "zonepath", zonepath, r->err);
	if (rc == 0)
		rc = zone_conf_clear(
		    r->conf, zone_prop_find(ZONE_GLOBAL, "debugid"), r->err);
	if (rc == 0)
		rc = admin_path(
		    r->a, zonepath, zonepath, r->path, sizeof(r->path), r->err);
	if (rc == 0)
		rc = vm_verify(r->a, r->conf, r->err);
	if (rc == 0 && !r->trust)
		rc = check_resources(r);
	if (rc == 0 && !r->trust)
		rc = check_paths(r);
	if (rc == 0)
		rc = zone_store_conflict(r->a->store, r->name, r->conf, r->err);
	return rc;
}

static int
take_conf(struct receive *r)
{
	int rc = next(r);

	if (rc < 0)
		return rc;
	if (r->type != STREAM_CONF || r->b.len > ZONE_XML_MAX)
		return unexpected(r);
	rc = zone_xml_read("the stream", r->b.data, r->b.len, &r->conf, r->err);
	if (rc == 0)
		rc = adopt(r);
	return rc < 0
	    ? rc
	    : zone_store_save(r->a->store, NULL, r->conf, NULL, r->err);
}

/* ---- files ---- */

static int
take_files(struct receive *r)
{
	static const char *const files[] = { "customer_metadata",
		"internal_metadata", "tags", "routes" };
	cleanup_close int dir = -1;
	json_t *all = NULL, *o;
	int rc = next(r);

	if (rc < 0)
		return rc;
	if (r->type != STREAM_FILES)
		return unexpected(r);
	dir = vm_config_dir(r->a, r->conf, true, r->err);
	rc = dir < 0 ? dir : manifest_load(r->b.data, r->b.len, &all, r->err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(files); i++) {
		o = json_object_get(all, files[i]);
		rc = o != NULL && !json_is_object(o)
		    ? unexpected(r)
		    : vm_file_change(dir, files[i], o, NULL, r->err);
	}
	json_decref(all);
	return rc;
}

static int
take_vars(struct receive *r)
{
	char path[ADMIN_PATH + 16];

	str_format(path, sizeof(path), "%s/uefivars", r->path);
	return fd_write_file_atomic(
	    AT_FDCWD, path, r->b.data, r->b.len, 0600, r->err);
}

/* ---- volumes ---- */

static int
end_volume(struct receive *r)
{
	int rc = 0;

	if (r->disk >= 0 && fsync(r->disk) != 0)
		rc = error_sys(r->err, errno, "cannot sync a disk");
	fd_close(&r->disk);
	return rc;
}

/* One of the configuration's disks, and of this VM. */
static int
make_volume(struct receive *r, const char *path, uint64_t size)
{
	struct volume_spec spec = { .size = size };
	struct volume_id id;
	int rc;

	if (volume_parse(path, &id) < 0 || strcmp(id.zone, r->uuid) != 0 ||
	    manifest_find_item(r->conf, "disks", path) == ZONE_NEW)
		return error_set(r->err, EPROTO,
		    "the stream has a disk %.100s, which the VM has not", path);
	spec.pool = id.pool;
	spec.zone = id.zone;
	spec.name = id.name;
	rc = volume_create(r->pools, &spec, r->err);
	return rc;
}

static int
take_volume(struct receive *r)
{
	const char *conf_path;
	char path[ADMIN_PATH];
	json_t *head = NULL;
	json_int_t size;
	int rc = end_volume(r);

	if (rc == 0)
		rc = manifest_load(r->b.data, r->b.len, &head, r->err);
	if (rc < 0)
		return rc;
	conf_path = json_string_value(json_object_get(head, "path"));
	size = json_integer_value(json_object_get(head, "size"));
	if (conf_path == NULL || size <= 0)
		rc = unexpected(r);
	if (rc == 0)
		rc = make_volume(r, conf_path, (uint64_t)size);
	if (rc == 0)
		rc = volume_path(
		    r->pools, conf_path, path, sizeof(path), r->err);
	json_decref(head);
	if (rc < 0)
		return rc;
	r->size = (uint64_t)size;
	r->disk = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return r->disk < 0 ? error_sys(r->err, errno, "%s", path) : 0;
}

static int
take_data(struct receive *r)
{
	uint64_t at;
	size_t n, done = 0;
	ssize_t w;

	if (r->disk < 0 || r->b.len <= 8)
		return unexpected(r);
	at = load_be64(r->b.data);
	n = r->b.len - 8;
	if (at > r->size || n > r->size - at)
		return unexpected(r);
	while (done < n) {
		w = pwrite(r->disk, r->b.data + 8 + done, n - done,
		    (off_t)(at + done));
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return error_sys(
			    r->err, w < 0 ? errno : EIO, "cannot write a disk");
		done += (size_t)w;
	}
	return 0;
}

/* ---- the whole ---- */

static int
take_end(struct receive *r)
{
	char more;

	if (r->b.len != 8 || load_be64(r->b.data) != r->s.records - 1 ||
	    stream_read(&r->s, &more, 1) != 0)
		return unexpected(r);
	return end_volume(r);
}

static int
take_rest(struct receive *r)
{
	int rc = take_files(r);

	while (rc == 0) {
		rc = next(r);
		if (rc < 0)
			break;
		if (r->type == STREAM_END)
			return take_end(r);
		if (r->type == STREAM_VARS)
			rc = take_vars(r);
		else if (r->type == STREAM_VOLUME)
			rc = take_volume(r);
		else if (r->type == STREAM_DATA)
			rc = take_data(r);
		else
			rc = unexpected(r);
	}
	return rc;
}

static int
fill(struct receive *r)
{
	cleanup_close int lock = admin_lock(r->a, r->name, r->err);
	cleanup_free char *pool = vm_pool(r->conf);
	int rc = lock < 0 ? lock : 0;

	if (pool == NULL)
		rc = error_set(r->err, ENOMEM, "out of memory");
	if (rc == 0)
		rc = zone_store_set_state(
		    r->a->store, r->name, ZONE_STATE_INCOMPLETE, r->err);
	if (rc == 0)
		rc = volume_zone_create(r->pools, pool, r->uuid, r->err);
	if (rc == 0)
		rc = admin_make_zonepath(r->path, r->err);
	if (rc == 0)
		rc = take_rest(r);
	if (rc == 0)
		rc = vm_quota(r->pools, r->uuid, r->conf, false, NULL, r->err);
	if (rc == 0)
		rc = zone_store_set_state(
		    r->a->store, r->name, ZONE_STATE_INSTALLED, r->err);
	fd_close(&r->disk);
	return rc;
}

static int
receive(struct receive *r)
{
	struct error late = ERROR_INIT;
	int rc = take_conf(r);

	if (rc < 0)
		return rc;
	rc = fill(r);
	if (rc < 0 && vm_remove(r->a, r->name, r->uuid, &late) < 0)
		error_prefix(r->err,
		    "VM %s could not be taken back (%.160s), delete it",
		    r->name, late.text);
	return rc;
}

int
vm_receive(struct admin *a, int fd, bool trust,
    char ret_uuid[ZONE_UUID_LEN + 1], struct error *err)
{
	struct receive r = { .a = a, .disk = -1, .trust = trust, .err = err };
	int rc;

	buf_init(&r.b, STREAM_RECORD_MAX + 1);
	rc = stream_open(&r.s, fd, err);
	if (rc == 0)
		rc = volume_pools_open(a->root, &r.pools, err);
	if (rc == 0)
		rc = receive(&r);
	if (rc == 0)
		strcpy(ret_uuid, r.uuid);
	volume_pools_close(r.pools);
	zone_conf_free(r.conf);
	buf_fini(&r.b);
	return rc;
}
