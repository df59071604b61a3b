/*
 * Manifests: what comes from elsewhere is checked before anything believes it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/str.h"
#include "store/image_impl.h"

#define DISK_MAX_MIB (INT64_C(1) << 24)

static bool
text_ok(const char *s, size_t n, size_t max)
{
	if (n == 0 || n > max || strlen(s) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

static bool
is_hex(const char *s, size_t n)
{
	if (s == NULL || strlen(s) != n)
		return false;
	while (*s != '\0' && isxdigit((unsigned char)*s))
		s++;
	return *s == '\0';
}

/* ---- rows: properties that are checked ---- */

struct row {
	const char *name;
	size_t max; /* bytes of text; 0: a number */
	bool needed;
	const char *dflt, *rule;
};

static const struct row rows[] = {
	{ "uuid", 36, true, NULL, "a UUID" },
	{ "name", 512, true, NULL, "a text of 1 to 512 bytes" },
	{ "version", 128, true, NULL, "a text of 1 to 128 bytes" },
	{ "os", 64, false, "other", "a text of 1 to 64 bytes" },
	{ "type", 16, false, "zvol", "\"zvol\", a disk" },
	{ "published_at", 64, false, NULL, "a time as 2026-11-22T10:00:00Z" },
	{ "description", 4096, false, NULL, "a text of 1 to 4096 bytes" },
	{ "image_size", 0, false, NULL, "a number of MiB, 1 to 16777216" },
};

static bool
row_ok(const struct row *r, const json_t *v)
{
	if (r->max == 0)
		return json_is_integer(v) && json_integer_value(v) > 0 &&
		    json_integer_value(v) <= DISK_MAX_MIB;
	if (!json_is_string(v) ||
	    !text_ok(json_string_value(v), json_string_length(v), r->max))
		return false;
	if (strcmp(r->name, "uuid") == 0)
		return image_uuid_ok(json_string_value(v));
	return strcmp(r->name, "type") != 0 ||
	    strcmp(json_string_value(v), "zvol") == 0;
}

static int
check_row(json_t *m, const struct row *r, struct error *err)
{
	json_t *v = json_object_get(m, r->name);

	if (v == NULL && r->needed)
		return error_set(
		    err, EINVAL, "'%s' is missing: %s", r->name, r->rule);
	if (v == NULL && r->dflt != NULL &&
	    json_object_set_new(m, r->name, json_string(r->dflt)) != 0)
		return error_sys(err, ENOMEM, "manifest");
	if (v != NULL && !row_ok(r, v))
		return error_set(
		    err, EINVAL, "'%s' must be %s", r->name, r->rule);
	return 0;
}

static int
check_files(const json_t *m, struct error *err)
{
	const json_t *files = json_object_get(m, "files"), *f, *size;
	const char *sha256, *sha1;

	if (files == NULL)
		return 0;
	f = json_array_get(files, 0);
	if (json_array_size(files) != 1 || !json_is_object(f))
		return error_set(
		    err, EINVAL, "'files' must be a list of one file");
	size = json_object_get(f, "size");
	if (size != NULL &&
	    (!json_is_integer(size) || json_integer_value(size) <= 0))
		return error_set(
		    err, EINVAL, "'files.0.size' must be a number of bytes");
	sha256 = json_string_value(json_object_get(f, "sha256"));
	sha1 = json_string_value(json_object_get(f, "sha1"));
	if (json_object_get(f, "sha256") != NULL && !is_hex(sha256, 64))
		return error_set(err, EINVAL,
		    "'files.0.sha256' must be 64 hexadecimal digits");
	if (json_object_get(f, "sha1") != NULL && !is_hex(sha1, 40))
		return error_set(err, EINVAL,
		    "'files.0.sha1' must be 40 hexadecimal digits");
	return 0;
}

/* UUIDs are file names: one spelling. */
static int
lower_uuid(json_t *m)
{
	char uuid[IMAGE_UUID_LEN + 1];
	const char *was = json_string_value(json_object_get(m, "uuid"));

	for (size_t i = 0; i <= IMAGE_UUID_LEN; i++)
		uuid[i] = (char)tolower((unsigned char)was[i]);
	return json_object_set_new(m, "uuid", json_string(uuid));
}

int
manifest_parse(const char *text, size_t n, json_t **ret, struct error *err)
{
	json_error_t je;
	json_t *m = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
	int rc = 0;

	if (m == NULL)
		return error_set(
		    err, EINVAL, "no manifest: line %d: %s", je.line, je.text);
	if (!json_is_object(m))
		rc = error_set(err, EINVAL, "no manifest: not an object");
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rows); i++)
		rc = check_row(m, &rows[i], err);
	if (rc == 0)
		rc = check_files(m, err);
	if (rc == 0 && lower_uuid(m) != 0)
		rc = error_sys(err, ENOMEM, "manifest");
	if (rc < 0)
		json_decref(m);
	else
		*ret = m;
	return rc;
}

void
manifest_claim(const json_t *m, struct image_claim *ret)
{
	static const char *const names[] = { "sha256", "sha1" };
	const json_t *f = json_array_get(json_object_get(m, "files"), 0);
	json_int_t size = json_integer_value(json_object_get(f, "size"));

	*ret = (struct image_claim){
		.size = (uint64_t)size,
		.disk = (uint64_t)json_integer_value(
			    json_object_get(m, "image_size")) *
		    MiB,
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *h = json_string_value(json_object_get(f, names[i]));

		if (h == NULL || ret->algorithm != NULL)
			continue;
		ret->algorithm = names[i];
		for (size_t k = 0; k < HASH_TEXT - 1 && h[k] != '\0'; k++)
			ret->hash[k] = (char)tolower((unsigned char)h[k]);
	}
}

/* debian-12 of https://host/dir/debian-12.raw.zst?x */
static void
name_of(const char *source, char *buf, size_t size)
{
	static const char *const ends[] = { ".gz", ".xz", ".zst", ".raw",
		".img" };
	size_t n = strcspn(source, "?#");
	const char *from = source;

	for (size_t i = 0; i < n; i++)
		if (source[i] == '/' && i + 1 < n)
			from = source + i + 1;
	if (str_format(buf, size, "%.*s", (int)(n - (size_t)(from - source)),
		from) < 0)
		str_format(buf, size, "image");
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t have = strlen(buf), end = strlen(ends[i]);

		if (have > end && strcmp(buf + have - end, ends[i]) == 0)
			buf[have - end] = '\0';
	}
}

static int
check_given(const struct image_import *im, struct error *err)
{
	const struct {
		const char *name, *text;
		size_t max;
	} given[] = { { "name", im->name, 512 },
		{ "version", im->version, 128 }, { "os", im->os, 64 },
		{ "description", im->description, 4096 } };

	for (size_t i = 0; i < ARRAY_LEN(given); i++)
		if (given[i].text != NULL &&
		    !text_ok(
			given[i].text, strlen(given[i].text), given[i].max))
			return error_set(err, EINVAL,
			    "%s must be a text of 1 to %zu bytes",
			    given[i].name, given[i].max);
	if (im->sha256 != NULL && !is_hex(im->sha256, 64))
		return error_set(err, EINVAL,
		    "sha256 '%.80s' is not 64 hexadecimal digits", im->sha256);
	return 0;
}

int
manifest_make(const struct image_import *im, const char *uuid, json_t **ret,
    struct error *err)
{
	char name[256], now[32];
	time_t t = time(NULL);
	struct tm tm;
	json_t *m;
	int rc = check_given(im, err);

	if (rc < 0)
		return rc;
	name_of(im->source, name, sizeof(name));
	gmtime_r(&t, &tm);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &tm);
	m = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s}}", "v", 2,
	    "uuid", uuid, "name", im->name != NULL ? im->name : name, "version",
	    im->version != NULL ? im->version : "1", "os",
	    im->os != NULL ? im->os : "other", "type", "zvol", "published_at",
	    now, "requirements", "brand", "bhyve");
	if (m == NULL)
		return error_set(
		    err, EINVAL, "name, version, os must be texts in UTF-8");
	if (im->description != NULL &&
	    json_object_set_new(
		m, "description", json_string(im->description)) != 0)
		rc = error_set(
		    err, EINVAL, "description must be a text in UTF-8");
	if (rc == 0 && im->sha256 != NULL)
		rc = json_object_set_new(m, "files",
			 json_pack("[{s:s}]", "sha256", im->sha256)) == 0
		    ? 0
		    : error_sys(err, ENOMEM, "manifest");
	if (rc == 0)
		rc =
		    lower_uuid(m) == 0 ? 0 : error_sys(err, ENOMEM, "manifest");
	if (rc < 0)
		json_decref(m);
	else
		*ret = m;
	return rc;
}

int
manifest_set_file(json_t *m, const char *algorithm, const char *hash,
    uint64_t size, const char *compression)
{
	json_t *f = json_pack(
	    "{s:I, s:s}", "size", (json_int_t)size, "compression", compression);
	json_t *files = json_pack("[o]", f);

	if (files == NULL || json_object_set_new(m, "files", files) != 0)
		return -ENOMEM;
	if (algorithm != NULL &&
	    json_object_set_new(f, algorithm, json_string(hash)) != 0)
		return -ENOMEM;
	return 0;
}

int
manifest_set_disk(json_t *m, const char *hash, uint64_t size)
{
	json_t *disk =
	    json_pack("{s:s, s:I}", "xxh128", hash, "size", (json_int_t)size);

	if (disk == NULL || json_object_set_new(m, "disk", disk) != 0 ||
	    json_object_set_new(m, "image_size",
		json_integer((json_int_t)((size + MiB - 1) / MiB))) != 0)
		return -ENOMEM;
	return 0;
}

int
manifest_disk(const json_t *m, char hash[static HASH_TEXT], uint64_t *ret_size)
{
	const json_t *disk = json_object_get(m, "disk");
	const char *h = json_string_value(json_object_get(disk, "xxh128"));
	json_int_t size = json_integer_value(json_object_get(disk, "size"));

	if (!is_hex(h, 32) || size <= 0)
		return -ENOENT;
	*ret_size = (uint64_t)size;
	return str_format(hash, HASH_TEXT, "%s", h);
}

char *
manifest_text(const json_t *m)
{
	char *text = json_dumps(m, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	size_t n = text != NULL ? strlen(text) : 0;
	char *more = text != NULL ? realloc(text, n + 2) : NULL;

	if (more == NULL) {
		free(text);
		return NULL;
	}
	more[n] = '\n';
	more[n + 1] = '\0';
	return more;
}

int
manifest_info(const json_t *m, struct image_info *ret)
{
	struct image_info i = { .size = 0 };
	char **const to[] = { &i.name, &i.version, &i.os, &i.description,
		&i.published_at };
	static const char *const from[] = { "name", "version", "os",
		"description", "published_at" };
	bool good = true;

	str_format(i.uuid, sizeof(i.uuid), "%s",
	    json_string_value(json_object_get(m, "uuid")));
	for (size_t k = 0; k < ARRAY_LEN(to); k++) {
		const char *v = json_string_value(json_object_get(m, from[k]));

		*to[k] = alloc_strdup(v != NULL ? v : "");
		good = good && *to[k] != NULL;
	}
	i.manifest = manifest_text(m);
	if (!good || i.manifest == NULL) {
		image_info_fini(&i);
		return -ENOMEM;
	}
	*ret = i;
	return 0;
}
