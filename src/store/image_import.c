/*
 * Images come in: all of one, or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tree.h"
#include "store/copy.h"
#include "store/half.h"
#include "store/image_impl.h"

struct import {
	const struct image_import *im;
	const char *root;
	char uuid[IMAGE_UUID_LEN + 1];
	json_t *manifest;
	struct image_claim claim;
	struct fetch fetch;
	char dir[STORE_PATH], half[STORE_PATH], raw[STORE_PATH];
	char json[STORE_PATH];
};

/* A random one, RFC 9562, 5.4. */
static int
make_uuid(char *buf, size_t size, struct error *err)
{
	uint8_t u[16];

	if (getrandom(u, sizeof(u), 0) != sizeof(u))
		return error_sys(err, errno, "UUID");
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	return str_format(buf, size,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10],
	    u[11], u[12], u[13], u[14], u[15]);
}

/* ---- the manifest ---- */

static int
read_manifest(struct import *i, struct error *err)
{
	struct buf b;
	int rc;

	buf_init(&b, MANIFEST_MAX);
	rc = fetch_text(i->im->manifest, &b, err);
	if (rc == 0) {
		rc = manifest_parse(
		    (const char *)b.data, b.len, &i->manifest, err);
		if (rc < 0)
			rc = error_prefix(err, "%s", i->im->manifest);
	}
	buf_fini(&b);
	return rc;
}

static int
make_manifest(struct import *i, struct error *err)
{
	char uuid[IMAGE_UUID_LEN + 1];
	int rc = 0;

	if (i->im->uuid != NULL && !image_uuid_ok(i->im->uuid))
		return error_set(
		    err, EINVAL, "'%.80s' is no UUID", i->im->uuid);
	if (i->im->uuid != NULL)
		str_format(uuid, sizeof(uuid), "%s", i->im->uuid);
	else if (!fetch_is_url(i->im->source) ||
	    fetch_find_part(i->root, i->im->source, uuid) < 0)
		rc = make_uuid(uuid, sizeof(uuid), err);
	return rc < 0 ? rc : manifest_make(i->im, uuid, &i->manifest, err);
}

static int
prepare(struct import *i, struct error *err)
{
	int rc;

	rc = i->im->manifest != NULL ? read_manifest(i, err)
				     : make_manifest(i, err);
	if (rc < 0)
		return rc;
	manifest_claim(i->manifest, &i->claim);
	str_format(i->uuid, sizeof(i->uuid), "%s",
	    json_string_value(json_object_get(i->manifest, "uuid")));
	if (str_format(i->dir, sizeof(i->dir), "%s" IMAGE_FOLDER, i->root) < 0)
		return error_set(err, ENAMETOOLONG, "%s", i->root);
	rc = image_file(i->root, i->uuid, HALF, i->half, err);
	if (rc == 0)
		rc = image_file(i->root, i->uuid, ".raw", i->raw, err);
	if (rc == 0)
		rc = image_file(i->root, i->uuid, ".json", i->json, err);
	if (rc == 0)
		rc = image_file(i->root, i->uuid, ".part", i->fetch.part, err);
	if (rc == 0)
		rc = image_file(
		    i->root, i->uuid, ".part.json", i->fetch.state, err);
	if (rc == 0)
		rc = tree_make_dirs(i->dir, 0700, err);
	return rc;
}

/* ---- the disk ---- */

static int
open_source(
    const char *source, uint64_t *size, char **ret_path, struct error *err)
{
	char *path = fetch_local(source);
	int fd, rc;

	if (path == NULL)
		return error_set(err, EINVAL,
		    "%s: a source is a path, or an http, https or file URL",
		    source);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	rc = fd < 0 ? -errno : copy_size(fd, size);
	if (rc == -EINVAL)
		rc = error_set(
		    err, EINVAL, "%s: neither a file nor a block device", path);
	else if (rc < 0)
		rc = error_sys(err, -rc, "%s", path);
	if (rc == 0)
		rc = fd_set_nonblock(fd, false);
	if (rc < 0) {
		fd_close(&fd);
		free(path);
		return rc;
	}
	*ret_path = path;
	return fd;
}

static int
fill(struct import *i, int out, struct pump *p, struct error *err)
{
	cleanup_close int fd = -1;
	cleanup_free char *path = NULL;
	uint64_t size = 0;

	*p = (struct pump){ .fd = -1,
		.name = i->im->source,
		.out = out,
		.claim = &i->claim,
		.progress = i->im->progress,
		.arg = i->im->arg };
	if (fetch_is_url(i->im->source)) {
		i->fetch.url = i->im->source;
		i->fetch.trusted = i->claim.algorithm != NULL;
		p->fetch = &i->fetch;
	} else {
		fd = open_source(i->im->source, &size, &path, err);
		if (fd < 0)
			return fd;
		if (i->claim.size != 0 && size != i->claim.size)
			return error_set(err, EINVAL,
			    "%s has %ju bytes, its manifest says %ju",
			    i->im->source, (uintmax_t)size,
			    (uintmax_t)i->claim.size);
		p->fd = fd;
		p->total = size;
	}
	return pump_run(p, err);
}

/* The disk first, its manifest last: then the image is there. */
static int
publish(struct import *i, const struct pump *p, struct error *err)
{
	char *text = NULL;
	int rc;

	if (manifest_set_file(i->manifest, i->claim.algorithm, i->claim.hash,
		p->fetched, p->compression) < 0 ||
	    manifest_set_disk(i->manifest, p->hash, p->size) < 0 ||
	    (text = manifest_text(i->manifest)) == NULL)
		return error_sys(err, ENOMEM, "manifest");
	rc = rename(i->half, i->raw) == 0 ? 0
					  : error_sys(err, errno, "%s", i->raw);
	if (rc == 0) {
		rc = fd_write_file_atomic(
		    AT_FDCWD, i->json, text, strlen(text), 0600, err);
		if (rc < 0)
			unlink(i->raw);
	}
	free(text);
	if (rc == 0) {
		unlink(i->fetch.state);
		unlink(i->fetch.part);
	}
	return rc;
}

/* A server that went away may come back; all else will not be better then. */
static bool
is_worth_keeping(int rc)
{
	return rc == -EIO || rc == -ETIMEDOUT || rc == -ECONNREFUSED ||
	    rc == -EHOSTUNREACH;
}

static void
clean(struct import *i, int rc, struct error *err)
{
	struct stat st;

	unlink(i->half);
	if (!is_worth_keeping(rc)) {
		unlink(i->fetch.state);
		unlink(i->fetch.part);
	} else if (stat(i->fetch.part, &st) == 0 && err != NULL) {
		(void)error_set(err, -rc,
		    "%s; %ju bytes are kept: import it again to go on, or "
		    "delete %s",
		    err->text, (uintmax_t)st.st_size, i->uuid);
	}
}

static int
import(struct import *i, struct error *err)
{
	cleanup_close int out = -1;
	struct pump p;
	int rc;

	rc = out = half_open(i->half, err);
	if (rc == -EBUSY)
		return error_set(
		    err, EBUSY, "another command imports image %s", i->uuid);
	if (rc < 0)
		return rc;
	if (access(i->json, F_OK) == 0)
		rc = error_set(
		    err, EEXIST, "image %s is there already", i->uuid);
	else
		rc = fill(i, out, &p, err);
	if (rc >= 0)
		rc = publish(i, &p, err);
	if (rc < 0)
		clean(i, rc, err);
	return rc;
}

int
image_import(const char *root, const struct image_import *im, char *ret_uuid,
    struct error *err)
{
	struct import *i = alloc_zero(1, sizeof(*i));
	int rc;

	if (i == NULL)
		return error_sys(err, ENOMEM, "%s", im->source);
	i->im = im;
	i->root = root != NULL ? root : "";
	image_sweep(i->root);
	rc = prepare(i, err);
	if (rc == 0)
		rc = import(i, err);
	if (rc == 0)
		memcpy(ret_uuid, i->uuid, sizeof(i->uuid));
	json_decref(i->manifest);
	free(i);
	return rc;
}
