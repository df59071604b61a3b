/*
 * metadata.json, in a folder that belongs to the server and is written by it
 * and by root: whoever reads it takes nothing for granted, and whoever writes
 * leaves the old file or the new one, whatever happens.
 */
#include "mdata/data.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "mdata/data_impl.h"
#include "mdata/session.h"

#define FILE_NAME "metadata.json"
#define TEMP_NAME ".metadata.json.new"
#define LOCK_NAME ".lock"
/* A byte takes up to six in JSON. */
#define FILE_MAX (MDATA_TOTAL_MAX * 6 + 256 * KiB)
#define LOCK_WAIT_US 1000

static const char *const map_names[] = {
	[MDATA_CUSTOMER] = "customer_metadata",
	[MDATA_INTERNAL] = "internal_metadata",
};

struct mdata_data {
	json_t *root; /* members that we do not know stay */
	json_t *maps[2]; /* within it */
	json_t *texts[2]; /* of what is no string in there, by key */
	size_t keys, total; /* both maps: how many, bytes */
};

void
mdata_data_free(struct mdata_data *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(d->texts); i++)
		json_decref(d->texts[i]);
	json_decref(d->root);
	free(d);
}

/* ---- what is a key, and what a value ---- */

static bool
is_key(const char *key)
{
	size_t n = strlen(key);

	if (n == 0 || n > MDATA_KEY_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)key[i] < 0x20 || key[i] == 0x7f)
			return false;
	return true;
}

static int
add_one(struct mdata_data *d, enum mdata_map map, const char *key, json_t *v,
    struct error *err)
{
	json_t *text = v;

	if (!is_key(key))
		return error_set(err, EINVAL,
		    "%s: a key must have 1 to %d bytes and no control "
		    "characters",
		    map_names[map], MDATA_KEY_MAX);
	if (json_is_boolean(v) || json_is_number(v)) {
		text = mdata_json_text(v);
		if (text == NULL ||
		    json_object_set_new(d->texts[map], key, text) < 0)
			return error_set(err, ENOMEM, "out of memory");
	} else if (!json_is_string(v)) {
		return error_set(err, EINVAL,
		    "%s: '%.64s' must be a string, a number or a boolean",
		    map_names[map], key);
	}
	d->keys++;
	d->total += strlen(key) + json_string_length(text);
	return 0;
}

static int
check_size(const struct mdata_data *d, struct error *err)
{
	if (d->keys > MDATA_KEYS_MAX)
		return error_set(err, E2BIG,
		    "%zu keys, and %d are the most; remove some", d->keys,
		    MDATA_KEYS_MAX);
	if (d->total > MDATA_TOTAL_MAX)
		return error_set(err, E2BIG,
		    "%zu bytes of keys and values, and %d are the most; remove "
		    "some",
		    d->total, MDATA_TOTAL_MAX);
	return 0;
}

/* ---- load ---- */

static int
take_map(struct mdata_data *d, enum mdata_map map, struct error *err)
{
	json_t *o = json_object_get(d->root, map_names[map]), *v;
	const char *key;
	int rc = 0;

	if (o == NULL) {
		o = json_object();
		if (json_object_set_new(d->root, map_names[map], o) < 0)
			return error_set(err, ENOMEM, "out of memory");
	}
	if (!json_is_object(o))
		return error_set(
		    err, EINVAL, "%s must be an object", map_names[map]);
	d->maps[map] = o;
	d->texts[map] = json_object();
	if (d->texts[map] == NULL)
		return error_set(err, ENOMEM, "out of memory");
	json_object_foreach(o, key, v)
	{
		if (rc == 0)
			rc = add_one(d, map, key, v, err);
	}
	return rc;
}

int
mdata_data_load(int dir, struct mdata_data **ret, struct error *err)
{
	struct mdata_data *d = alloc_zero(1, sizeof(*d));
	int rc;

	if (d == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = mdata_json_read(dir, FILE_NAME, FILE_MAX, &d->root, err);
	if (rc == 0 &&
	    ((rc = take_map(d, MDATA_CUSTOMER, err)) < 0 ||
		(rc = take_map(d, MDATA_INTERNAL, err)) < 0 ||
		(rc = check_size(d, err)) < 0))
		error_prefix(err, FILE_NAME);
	if (rc < 0)
		mdata_data_free(d);
	else
		*ret = d;
	return rc;
}

/* ---- what is in it ---- */

static const json_t *
find(const struct mdata_data *d, enum mdata_map map, const char *key)
{
	const json_t *v = json_object_get(d->maps[map], key);

	return v == NULL || json_is_string(v)
	    ? v
	    : json_object_get(d->texts[map], key);
}

const char *
mdata_data_get(const struct mdata_data *d, enum mdata_map map, const char *key,
    size_t *ret_n)
{
	const json_t *v = find(d, map, key);

	if (v == NULL)
		return NULL;
	*ret_n = json_string_length(v);
	return json_string_value(v);
}

int
mdata_data_each(const struct mdata_data *d, enum mdata_map map,
    int (*fn)(void *arg, const char *key, const char *value, size_t n),
    void *arg)
{
	const char *key;
	json_t *v;
	int rc;

	json_object_foreach(d->maps[map], key, v)
	{
		const json_t *text = find(d, map, key);

		rc = fn(arg, key, json_string_value(text),
		    json_string_length(text));
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Take away, if it is there. */
static void
drop(struct mdata_data *d, enum mdata_map map, const char *key)
{
	const json_t *v = find(d, map, key);

	if (v == NULL)
		return;
	d->keys--;
	d->total -= strlen(key) + json_string_length(v);
	(void)json_object_del(d->texts[map], key);
	(void)json_object_del(d->maps[map], key);
}

int
mdata_data_set(struct mdata_data *d, enum mdata_map map, const char *key,
    const char *value, size_t n, struct error *err)
{
	struct mdata_data then = *d;
	const json_t *old = find(d, map, key);
	json_t *v;
	int rc;

	if (!is_key(key))
		return error_set(err, EINVAL,
		    "a key must have 1 to %d bytes and no control characters",
		    MDATA_KEY_MAX);
	if (value == NULL) {
		drop(d, map, key);
		return 0;
	}
	if (n > MDATA_VALUE_MAX)
		return error_set(err, E2BIG,
		    "%.64s: %zu bytes, and a value may have %d", key, n,
		    MDATA_VALUE_MAX);
	then.keys += old == NULL;
	then.total += n + (old == NULL ? strlen(key) : 0) -
	    (old != NULL ? json_string_length(old) : 0);
	rc = check_size(&then, err);
	if (rc < 0)
		return rc;
	v = json_stringn(value, n);
	/* a key that is there keeps its place */
	if (v == NULL || json_object_set_new(d->maps[map], key, v) < 0)
		return error_set(
		    err, EINVAL, "%.64s: key and value must be UTF-8", key);
	(void)json_object_del(d->texts[map], key);
	d->keys = then.keys;
	d->total = then.total;
	return 0;
}

/* ---- change ---- */

/*
 * What root makes belongs to the server as well; what the server put there
 * under that name, a link to somebody's file, does not.
 */
static int
give_to_owner(int dir, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return -EINVAL;
	if (fstat(dir, &st) != 0)
		return -errno;
	if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) != 0)
		return -errno;
	return 0;
}

static int
take_lock(int dir, bool wait, int *ret, struct error *err)
{
	int fd, rc;

	fd = openat(dir, LOCK_NAME,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return error_sys(err, errno, LOCK_NAME);
	rc = give_to_owner(dir, fd);
	while (rc == 0 && (rc = fd_lock_ofd(fd, true)) == -EAGAIN) {
		rc = wait ? 0 : -EBUSY;
		usleep(LOCK_WAIT_US);
	}
	if (rc == 0) {
		*ret = fd;
		return 0;
	}
	close(fd);
	return rc == -EBUSY
	    ? error_set(err, EBUSY, "another program is changing " FILE_NAME)
	    : error_sys(err, -rc, LOCK_NAME);
}

/* One that was left by a writer that was killed is in nobody's way. */
static int
write_temp(int dir, const char *text)
{
	cleanup_close int fd = -1;
	int rc;

	if (unlinkat(dir, TEMP_NAME, 0) != 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir, TEMP_NAME,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = give_to_owner(dir, fd);
	if (rc == 0 && fchmod(fd, 0600) != 0)
		rc = -errno;
	if (rc == 0)
		rc = fd_write_all(fd, text, strlen(text));
	if (rc == 0)
		rc = fd_write_all(fd, "\n", 1);
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	return rc;
}

static int
save(int dir, const struct mdata_data *d, struct error *err)
{
	char *text = json_dumps(d->root, JSON_INDENT(2));
	int rc;

	if (text == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = write_temp(dir, text);
	if (rc == 0 && renameat(dir, TEMP_NAME, dir, FILE_NAME) != 0)
		rc = -errno;
	free(text);
	if (rc < 0) {
		(void)unlinkat(dir, TEMP_NAME, 0);
		return error_sys(err, -rc, "cannot write " FILE_NAME);
	}
	/* Some file systems cannot sync a folder and say EINVAL. */
	if (fsync(dir) != 0 && errno != EINVAL)
		return error_sys(err, errno,
		    FILE_NAME " is written, but its folder cannot be synced");
	return 0;
}

int
mdata_data_update(int dir, bool wait,
    int (*change)(void *arg, struct mdata_data *d, struct error *err),
    void *arg, struct error *err)
{
	struct mdata_data *d = NULL;
	cleanup_close int lock = -1;
	int rc;

	rc = take_lock(dir, wait, &lock, err);
	if (rc == 0)
		rc = mdata_data_load(dir, &d, err);
	if (rc == 0)
		rc = change(arg, d, err);
	if (rc == 0)
		rc = save(dir, d, err);
	mdata_data_free(d);
	return rc < 0 ? rc : 0;
}
