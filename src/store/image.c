/*
 * The images that are there: listed, found, removed, checked.
 */
#include "store/image.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "store/half.h"
#include "store/image_impl.h"

#define CHUNK (1U << 20)

bool
image_uuid_ok(const char *uuid)
{
	uint8_t u[16];

	return strlen(uuid) == IMAGE_UUID_LEN && str_to_uuid(uuid, u) == 0;
}

int
image_file(const char *root, const char *uuid, const char *suffix, char *buf,
    struct error *err)
{
	if (str_format(buf, STORE_PATH, "%s" IMAGE_FOLDER "/%s%s",
		root != NULL ? root : "", uuid, suffix) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", root);
	return 0;
}

/* ---- one image ---- */

void
image_info_fini(struct image_info *i)
{
	free(i->name);
	free(i->version);
	free(i->os);
	free(i->description);
	free(i->published_at);
	free(i->manifest);
	*i = (struct image_info){ .size = 0 };
}

static int
missing(const char *what, struct error *err)
{
	return error_set(err, ENOENT,
	    "there is no image '%.80s'; 'imgadm list' shows all", what);
}

/* The manifest of an image that is there. */
static int
load(const char *root, const char *uuid, json_t **ret, struct error *err)
{
	char path[STORE_PATH];
	struct buf b;
	json_t *m = NULL;
	const char *said;
	int rc;

	rc = image_file(root, uuid, ".json", path, err);
	if (rc < 0)
		return rc;
	buf_init(&b, MANIFEST_MAX);
	rc = fd_read_file(AT_FDCWD, path, &b);
	if (rc == -ENOENT)
		rc = missing(uuid, err);
	else if (rc < 0)
		rc = error_sys(err, -rc, "%s", path);
	else if (manifest_parse((const char *)b.data, b.len, &m, err) < 0)
		rc = error_prefix(err, "%s", path);
	buf_fini(&b);
	if (rc < 0)
		return rc;
	said = json_string_value(json_object_get(m, "uuid"));
	if (strcasecmp(said, uuid) != 0) {
		rc = error_set(err, EINVAL,
		    "%s: is of image %s, not of the one that its name says",
		    path, said);
		json_decref(m);
		return rc;
	}
	*ret = m;
	return 0;
}

static int
info(const char *root, const char *uuid, struct image_info *ret,
    struct error *err)
{
	struct image_info i;
	char path[STORE_PATH];
	json_t *m = NULL;
	struct stat st;
	int rc;

	rc = image_file(root, uuid, ".raw", path, err);
	if (rc == 0)
		rc = load(root, uuid, &m, err);
	if (rc < 0)
		return rc;
	rc = manifest_info(m, &i);
	json_decref(m);
	if (rc < 0)
		return error_sys(err, -rc, "image %s", uuid);
	if (stat(path, &st) != 0) {
		rc = errno != ENOENT
		    ? error_sys(err, errno, "image %s: %s", uuid, path)
		    : error_set(err, EINVAL,
			  "image %s has no disk: there is no %s; delete it and "
			  "import it again",
			  uuid, path);
		image_info_fini(&i);
		return rc;
	}
	i.size = (uint64_t)st.st_size;
	i.used = (uint64_t)st.st_blocks * 512;
	*ret = i;
	return 0;
}

int
image_path(const char *root, const char *uuid, char *buf, size_t size,
    struct error *err)
{
	struct image_info i;
	char path[STORE_PATH];
	int rc = image_uuid_ok(uuid) ? 0 : missing(uuid, err);

	if (rc == 0)
		rc = info(root, uuid, &i, err);
	if (rc < 0)
		return rc;
	rc = image_file(root, i.uuid, ".raw", path, err);
	image_info_fini(&i);
	if (rc == 0 && str_format(buf, size, "%s", path) < 0)
		rc = error_set(err, ENAMETOOLONG, "%s", path);
	return rc;
}

/* ---- all of them ---- */

/* NAME of UUID + suffix: the UUID into buf. */
static bool
is_file_of(const char *name, const char *suffix, char *uuid)
{
	if (strlen(name) != IMAGE_UUID_LEN + strlen(suffix) ||
	    strcmp(name + IMAGE_UUID_LEN, suffix) != 0)
		return false;
	str_format(uuid, IMAGE_UUID_LEN + 1, "%.*s", IMAGE_UUID_LEN, name);
	return image_uuid_ok(uuid);
}

static DIR *
open_folder(const char *root)
{
	char dir[STORE_PATH];

	if (str_format(dir, sizeof(dir), "%s" IMAGE_FOLDER,
		root != NULL ? root : "") < 0)
		return NULL;
	return opendir(dir);
}

static int
list_add(
    const char *root, const char *uuid, struct image_list *l, struct error *err)
{
	struct image_info i = { .damaged = true }, *more;
	int rc = info(root, uuid, &i, err);

	if (rc == -ENOENT)
		return 0; /* deleted meanwhile */
	if (rc < 0 && rc != -ENOMEM) {
		str_format(i.uuid, sizeof(i.uuid), "%s", uuid);
		i.damaged = true;
		i.name = alloc_strdup("");
		i.version = alloc_strdup("");
		i.os = alloc_strdup("");
		i.description = alloc_strdup("");
		i.published_at = alloc_strdup("");
		i.manifest = alloc_strdup("");
	}
	more = alloc_resize(l->v, l->n + 1, sizeof(*l->v));
	if (more != NULL)
		l->v = more;
	if (more == NULL || rc == -ENOMEM || i.name == NULL ||
	    i.version == NULL || i.os == NULL || i.description == NULL ||
	    i.published_at == NULL || i.manifest == NULL) {
		image_info_fini(&i);
		return error_sys(err, ENOMEM, "images");
	}
	l->v[l->n++] = i;
	return 0;
}

static int
by_age(const void *a, const void *b)
{
	const struct image_info *x = a, *y = b;
	int rc = strcmp(x->published_at, y->published_at);

	if (rc == 0)
		rc = strcmp(x->name, y->name);
	return rc != 0 ? rc : strcmp(x->uuid, y->uuid);
}

void
image_list_free(struct image_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		image_info_fini(&l->v[i]);
	free(l->v);
	*l = (struct image_list){ NULL };
}

int
image_list(const char *root, struct image_list *ret, struct error *err)
{
	struct image_list l = { NULL };
	char uuid[IMAGE_UUID_LEN + 1];
	DIR *d = open_folder(root);
	struct dirent *e;
	int rc = 0;

	if (d == NULL && errno != ENOENT)
		return error_sys(
		    err, errno, "%s" IMAGE_FOLDER, root != NULL ? root : "");
	while (rc == 0 && d != NULL && (e = readdir(d)) != NULL)
		if (is_file_of(e->d_name, ".json", uuid))
			rc = list_add(root, uuid, &l, err);
	if (d != NULL)
		closedir(d);
	if (rc < 0) {
		image_list_free(&l);
		return rc;
	}
	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), by_age);
	*ret = l;
	return 0;
}

/* The beginning of its UUID, its name, NAME@VERSION? */
static bool
matches(const struct image_info *i, const char *what)
{
	size_t n = strlen(i->name);

	if (strncasecmp(i->uuid, what, strlen(what)) == 0 ||
	    (!i->damaged && strcmp(i->name, what) == 0))
		return true;
	return !i->damaged && strncmp(i->name, what, n) == 0 &&
	    what[n] == '@' && strcmp(i->version, what + n + 1) == 0;
}

static int
find_one(const struct image_list *l, const char *what, size_t *ret,
    struct error *err)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < l->n; i++)
		if (matches(&l->v[i], what)) {
			if (n++ == 0)
				at = i;
			else
				(void)error_set(err, EEXIST,
				    "'%.80s' could be image %s or %s: say "
				    "which",
				    what, l->v[at].uuid, l->v[i].uuid);
		}
	if (n == 0)
		return missing(what, err);
	*ret = at;
	return n == 1 ? 0 : -EEXIST;
}

int
image_find(const char *root, const char *what, struct image_info *ret,
    struct error *err)
{
	char uuid[IMAGE_UUID_LEN + 1];
	struct image_list l;
	size_t at = 0;
	int rc;

	if (what[0] == '\0')
		return missing(what, err);
	if (image_uuid_ok(what)) {
		for (size_t i = 0; i < sizeof(uuid); i++)
			uuid[i] = (char)tolower((unsigned char)what[i]);
		return info(root, uuid, ret, err);
	}
	rc = image_list(root, &l, err);
	if (rc < 0)
		return rc;
	rc = find_one(&l, what, &at, err);
	if (rc == 0)
		rc = info(root, l.v[at].uuid, ret, err);
	image_list_free(&l);
	return rc;
}

/* ---- removing ---- */

/* A file that nobody holds. */
static bool
is_free(const char *path)
{
	cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && fd_lock_ofd(fd, true) == 0;
}

int
image_delete(const char *root, const char *uuid, struct error *err)
{
	static const char *const suffixes[] = { ".json", ".raw", ".part.json",
		".part", HALF };
	cleanup_close int fd = -1;
	char path[STORE_PATH];
	bool found = false;
	int rc;

	if (!image_uuid_ok(uuid))
		return missing(uuid, err);
	for (size_t i = 0; i < ARRAY_LEN(suffixes) && !found; i++)
		found = image_file(root, uuid, suffixes[i], path, NULL) == 0 &&
		    access(path, F_OK) == 0;
	if (!found)
		return missing(uuid, err);
	rc = image_file(root, uuid, HALF, path, err);
	if (rc == 0)
		rc = fd = half_open(path, err);
	if (rc == -EBUSY)
		return error_set(
		    err, EBUSY, "image %s is being imported", uuid);
	rc = rc < 0 ? rc : 0;
	/* the manifest first: without it there is no image */
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(suffixes); i++) {
		rc = image_file(root, uuid, suffixes[i], path, err);
		if (rc == 0 && unlink(path) != 0 && errno != ENOENT)
			rc = error_sys(err, errno, "%s", path);
	}
	return rc;
}

/* A file and what it is worth nothing without. */
static const struct {
	const char *suffix, *needs;
	bool locked; /* by its maker */
} leftovers[] = {
	{ HALF, NULL, true },
	{ ".raw", ".json", true },
	{ ".part", ".part.json", false },
};

static void
sweep(const char *root, const char *name)
{
	char uuid[IMAGE_UUID_LEN + 1], path[STORE_PATH], other[STORE_PATH];

	for (size_t i = 0; i < ARRAY_LEN(leftovers); i++) {
		if (!is_file_of(name, leftovers[i].suffix, uuid) ||
		    image_file(root, uuid, leftovers[i].suffix, path, NULL) < 0)
			continue;
		/* a part is its maker's who holds the disk beside it */
		if (!leftovers[i].locked &&
		    (image_file(root, uuid, HALF, other, NULL) < 0 ||
			access(other, F_OK) == 0))
			continue;
		if (leftovers[i].locked && !is_free(path))
			continue;
		/* after the look at the lock: its last word is said by then */
		if (leftovers[i].needs != NULL &&
		    (image_file(root, uuid, leftovers[i].needs, other, NULL) <
			    0 ||
			access(other, F_OK) == 0))
			continue;
		unlink(path);
	}
}

void
image_sweep(const char *root)
{
	DIR *d = open_folder(root);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		sweep(root, e->d_name);
	if (d != NULL)
		closedir(d);
}

/* ---- checking ---- */

int
image_hash(int fd, const char *algorithm, uint64_t size,
    image_progress_fn progress, void *arg, char *text)
{
	struct image_progress now = { .total = size };
	struct hash *h = hash_new(algorithm);
	uint8_t *chunk = alloc_bytes(CHUNK);
	ssize_t n = 1;
	int rc = h == NULL || chunk == NULL ? -ENOMEM : 0;

	while (rc == 0 && n > 0) {
		n = fd_pread_full(fd, chunk, CHUNK, (off_t)now.done);
		if (n < 0)
			rc = (int)n;
		if (n > 0)
			hash_add(h, chunk, (size_t)n);
		now.done += n > 0 ? (uint64_t)n : 0;
		if (progress != NULL)
			progress(arg, &now);
	}
	if (rc == 0)
		rc = hash_text(h, text);
	hash_free(h);
	free(chunk);
	return rc;
}

int
image_verify(const char *root, const char *uuid, image_progress_fn progress,
    void *arg, struct error *err)
{
	cleanup_close int fd = -1;
	char path[STORE_PATH], text[HASH_TEXT], want[HASH_TEXT];
	uint64_t size = 0;
	json_t *m = NULL;
	struct stat st;
	int rc;

	rc = image_path(root, uuid, path, sizeof(path), err);
	if (rc == 0)
		rc = load(root, uuid, &m, err);
	if (rc < 0)
		return rc;
	rc = manifest_disk(m, want, &size);
	json_decref(m);
	if (rc < 0)
		return error_set(err, EINVAL,
		    "image %s: its manifest has no hash of the disk", uuid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) != 0)
		return error_sys(err, errno, "%s", path);
	if ((uint64_t)st.st_size != size)
		return error_set(err, EINVAL,
		    "image %s: its disk has %ju bytes, it should have %ju",
		    uuid, (uintmax_t)st.st_size, (uintmax_t)size);
	rc = image_hash(fd, "xxh128", size, progress, arg, text);
	if (rc < 0)
		return error_sys(err, -rc, "%s", path);
	if (strcmp(text, want) != 0)
		return error_set(err, EINVAL,
		    "image %s: the xxh128 of its disk is %s, it should be %s: "
		    "delete it and import it again",
		    uuid, text, want);
	return 0;
}
