/*
 * What lies beside a VM's configuration: metadata.json, tags.json, routes.json.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "admin/vm_impl.h"
#include "base/fd.h"
#include "base/str.h"
#include "mdata/config.h"
#include "mdata/data.h"

int
vm_config_dir(
    struct admin *a, const struct zone_conf *conf, bool make, struct error *err)
{
	const char *zonepath = zone_conf_get(conf, "zonepath");
	cleanup_close int place = -1;
	char path[ADMIN_PATH];
	int rc;

	if (zonepath == NULL)
		return error_set(err, EINVAL, "the zone has no zonepath");
	rc = admin_path(a, zonepath, zonepath, path, sizeof(path), err);
	if (rc < 0)
		return rc;
	place = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0)
		return error_sys(err, errno, "%s", path);
	return mdata_config_open(place, make, err);
}

/* ---- metadata ---- */

struct metadata {
	enum mdata_map map;
	const json_t *set, *remove;
	json_t *out;
	int rc;
};

static bool
map_of(const char *which, enum mdata_map *ret)
{
	if (strcmp(which, "customer_metadata") == 0)
		*ret = MDATA_CUSTOMER;
	else if (strcmp(which, "internal_metadata") == 0)
		*ret = MDATA_INTERNAL;
	else
		return false;
	return true;
}

static int
collect(void *arg, const char *key, const char *value, size_t n)
{
	struct metadata *m = arg;

	/* what is no text of JSON's is left out rather than changed */
	if (json_object_set_new(m->out, key, json_stringn(value, n)) != 0)
		m->rc = -EILSEQ;
	return 0;
}

static int
set_member(struct mdata_data *d, const struct metadata *m, const char *key,
    const json_t *v, struct error *err)
{
	char *number;
	int rc;

	if (json_is_string(v))
		return mdata_data_set(d, m->map, key, json_string_value(v),
		    json_string_length(v), err);
	number = json_dumps(v, JSON_ENCODE_ANY);
	if (number == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = mdata_data_set(d, m->map, key, number, strlen(number), err);
	str_cleanup_free(&number);
	return rc;
}

static int
change_metadata(void *arg, struct mdata_data *d, struct error *err)
{
	const struct metadata *m = arg;
	const char *key;
	json_t *v;
	size_t i;
	int rc = 0;

	json_object_foreach((json_t *)(uintptr_t)m->set, key, v)
	{
		if (rc == 0)
			rc = set_member(d, m, key, v, err);
	}
	json_array_foreach(m->remove, i, v)
	{
		if (rc == 0)
			rc = mdata_data_set(
			    d, m->map, json_string_value(v), NULL, 0, err);
	}
	return rc;
}

/* ---- tags, routes ---- */

static int
read_object(int dir, const char *file, json_t **ret, struct error *err)
{
	json_t *o = NULL;
	struct buf b;
	int rc;

	buf_init(&b, MANIFEST_MAX);
	rc = fd_read_file(dir, file, &b);
	if (rc == -ENOENT)
		rc = (o = json_object()) != NULL
		    ? 0
		    : error_set(err, ENOMEM, "out of memory");
	else if (rc < 0)
		rc = error_sys(err, -rc, "%s", file);
	else if ((rc = manifest_load(b.data, b.len, &o, err)) < 0)
		rc = error_prefix(err, "%s", file);
	else if (!json_is_object(o))
		rc = error_set(err, EINVAL, "%s: it is no object", file);
	buf_fini(&b);
	if (rc < 0)
		json_decref(o);
	else
		*ret = o;
	return rc < 0 ? rc : 0;
}

static int
write_object(int dir, const char *file, const json_t *o, struct error *err)
{
	char *dump = json_dumps(o, JSON_INDENT(2));
	int rc;

	if (dump == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = fd_write_file_atomic(dir, file, dump, strlen(dump), 0600, err);
	str_cleanup_free(&dump);
	return rc;
}

static int
change_object(int dir, const char *file, const json_t *set,
    const json_t *remove, struct error *err)
{
	json_t *o = NULL, *was, *v;
	size_t i;
	int rc = read_object(dir, file, &o, err);

	if (rc < 0)
		return rc;
	was = json_deep_copy(o);
	if (set != NULL && json_object_update(o, (json_t *)(uintptr_t)set) != 0)
		rc = error_set(err, ENOMEM, "out of memory");
	json_array_foreach(remove, i, v)
	{
		(void)json_object_del(o, json_string_value(v));
	}

	if (rc == 0 && (was == NULL || !json_equal(was, o)))
		rc = write_object(dir, file, o, err);
	json_decref(was);
	json_decref(o);
	return rc;
}

/* ---- both ---- */

int
vm_file_get(int dir, const char *which, json_t **ret, struct error *err)
{
	struct metadata m = { .rc = 0 };
	struct mdata_data *d = NULL;
	char file[32];
	int rc;

	if (!map_of(which, &m.map)) {
		str_format(file, sizeof(file), "%s.json", which);
		return read_object(dir, file, ret, err);
	}
	rc = mdata_data_load(dir, &d, err);
	if (rc < 0)
		return rc;
	m.out = json_object();
	rc = m.out == NULL ? error_set(err, ENOMEM, "out of memory")
			   : mdata_data_each(d, m.map, collect, &m);
	mdata_data_free(d);
	if (rc < 0)
		json_decref(m.out);
	else
		*ret = m.out;
	return rc;
}

int
vm_file_change(int dir, const char *which, const json_t *set,
    const json_t *remove, struct error *err)
{
	struct metadata m = { .set = set, .remove = remove };
	char file[32];

	if (json_object_size(set) == 0 && json_array_size(remove) == 0)
		return 0;
	if (map_of(which, &m.map))
		return mdata_data_update(dir, true, change_metadata, &m, err);
	str_format(file, sizeof(file), "%s.json", which);
	return change_object(dir, file, set, remove, err);
}
