/*
 * Images go out: a disk, packed if wanted, and its manifest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "store/copy.h"
#include "store/half.h"
#include "store/image_impl.h"

#define CHUNK (1U << 20)

struct export
{
	int in, out;
	const struct codec *codec;
	void *state;
	struct hash *hash;
	uint8_t *from, *to; /* CHUNK bytes each */
	uint64_t written;
	image_progress_fn progress;
	void *arg;
	struct image_progress now;
};

static int
put(struct export *x, size_t n)
{
	int rc = fd_write_all(x->out, x->to, n);

	hash_add(x->hash, x->to, n);
	x->written += n;
	return rc;
}

static int
pack_chunk(struct export *x, size_t n)
{
	struct codec_io io = { .in = x->from, .in_n = n };
	const char *why = NULL;
	bool last = n == 0;
	int done, rc = 0;

	do {
		io.out = x->to;
		io.out_n = CHUNK;
		done = x->codec->run(x->state, &io, last, &why);
		if (done < 0)
			return -EINVAL;
		rc = put(x, CHUNK - io.out_n);
	} while (rc == 0 && (last ? done == 0 : io.in_n > 0 || io.out_n == 0));
	return rc;
}

static int
pack(struct export *x)
{
	ssize_t n = 1;
	int rc = 0;

	while (rc == 0 && n > 0) {
		n = fd_read_full(x->in, x->from, CHUNK);
		rc = n < 0 ? (int)n : pack_chunk(x, (size_t)n);
		x->now.done += n > 0 ? (uint64_t)n : 0;
		if (x->progress != NULL)
			x->progress(x->arg, &x->now);
	}
	if (rc == 0 && fsync(x->out) != 0)
		rc = -errno;
	return rc;
}

/* As it is: blocks are shared, or holes stay. */
static int
copy_plain(struct export *x, char hash[static HASH_TEXT])
{
	int rc = copy_disk(x->in, x->out);

	x->written = x->now.total;
	if (rc == 0 && fsync(x->out) != 0)
		rc = -errno;
	return rc < 0 ? rc
		      : image_hash(x->in, "sha256", x->now.total, x->progress,
			    x->arg, hash);
}

static int
pack_all(struct export *x, char hash[static HASH_TEXT])
{
	int rc;

	x->hash = hash_new("sha256");
	x->state = x->codec->encode();
	x->from = alloc_bytes(CHUNK);
	x->to = alloc_bytes(CHUNK);
	rc = x->hash == NULL || x->state == NULL || x->from == NULL ||
		x->to == NULL
	    ? -ENOMEM
	    : pack(x);
	if (rc == 0)
		rc = hash_text(x->hash, hash);
	if (x->state != NULL)
		x->codec->end(x->state);
	hash_free(x->hash);
	free(x->from);
	free(x->to);
	return rc;
}

static int
pack_to(struct export *x, const char *path, const char *half,
    char hash[static HASH_TEXT], struct error *err)
{
	int rc;

	rc = x->codec->magic_n == 0 ? copy_plain(x, hash) : pack_all(x, hash);
	if (rc == 0 &&
	    renameat2(AT_FDCWD, half, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
		rc = -errno;
	return rc < 0 ? error_sys(err, -rc, "%s", path) : 0;
}

static int
write_manifest(const struct image_info *i, const struct export *x,
    const char *hash, const char *path, struct error *err)
{
	json_t *m = NULL;
	char *text = NULL;
	int rc;

	rc = manifest_parse(i->manifest, strlen(i->manifest), &m, err);
	if (rc == 0 &&
	    (manifest_set_file(m, "sha256", hash, x->written, x->codec->name) <
		    0 ||
		(text = manifest_text(m)) == NULL))
		rc = error_sys(err, ENOMEM, "manifest");
	if (rc == 0)
		rc = fd_write_file_atomic(
		    AT_FDCWD, path, text, strlen(text), 0644, err);
	free(text);
	json_decref(m);
	return rc;
}

struct names {
	char raw[STORE_PATH], half[STORE_PATH], json[STORE_PATH];
};

static int
name_files(struct names *n, const char *prefix, const struct codec *c,
    struct error *err)
{
	const char *const paths[] = { n->json, n->raw };

	if (str_format(n->raw, sizeof(n->raw), "%s.raw%s", prefix, c->suffix) <
		0 ||
	    str_format(n->half, sizeof(n->half), "%s" HALF, n->raw) < 0 ||
	    str_format(n->json, sizeof(n->json), "%s.json", prefix) < 0)
		return error_set(err, ENAMETOOLONG, "%.160s", prefix);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (access(paths[i], F_OK) == 0)
			return error_set(
			    err, EEXIST, "%s is there already", paths[i]);
	return 0;
}

static int export(const char *root, const struct image_info *i,
    struct export *x, const struct names *n, struct error *err)
{
	char path[STORE_PATH], hash[HASH_TEXT];
	int rc;

	rc = image_path(root, i->uuid, path, sizeof(path), err);
	if (rc < 0)
		return rc;
	x->in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (x->in < 0)
		return error_sys(err, errno, "%s", path);
	rc = x->out = half_open(n->half, err);
	if (rc < 0)
		return rc;
	rc = pack_to(x, n->raw, n->half, hash, err);
	if (rc < 0)
		unlink(n->half);
	if (rc == 0) {
		rc = write_manifest(i, x, hash, n->json, err);
		if (rc < 0)
			unlink(n->raw);
	}
	return rc;
}

int
image_export(const char *root, const char *uuid, const char *prefix,
    const char *compression, image_progress_fn progress, void *arg,
    struct error *err)
{
	struct export x = {
		.in = -1, .out = -1, .progress = progress, .arg = arg
	};
	struct image_info i;
	struct names n;
	int rc;

	x.codec = codec_find(compression);
	if (x.codec == NULL)
		return error_set(err, EINVAL,
		    "there is no compression '%.64s': none, gzip, xz or zstd",
		    compression);
	rc = image_find(root, uuid, &i, err);
	if (rc < 0)
		return rc;
	x.now.total = i.size;
	rc = name_files(&n, prefix, x.codec, err);
	if (rc == 0)
		rc = export(root, &i, &x, &n, err);
	fd_close(&x.in);
	fd_close(&x.out);
	image_info_fini(&i);
	return rc;
}
