/*
 * What the files of store/image* share.
 */
#ifndef STORE_IMAGE_IMPL_H
#define STORE_IMAGE_IMPL_H

#include <jansson.h>

#include "base/buf.h"
#include "store/hash.h"
#include "store/image.h"

#define STORE_PATH 4096
#define MANIFEST_MAX (1U << 20)

/* ---- places ---- */

/* ROOT/var/lib/zhyve/images, "/UUID" and a suffix */
int image_file(const char *root, const char *uuid, const char *suffix,
    char *buf, struct error *err);
bool image_uuid_ok(const char *uuid);
/* Remove what killed imports left that nobody could ever use. */
void image_sweep(const char *root);

/* Of all of a file; text: HASH_TEXT bytes. */
int image_hash(int fd, const char *algorithm, uint64_t size,
    image_progress_fn progress, void *arg, char *text);

/* ---- manifests (image_manifest.c) ---- */

/* What a manifest says of the file that is imported. */
struct image_claim {
	const char *algorithm; /* "sha256", "sha1"; NULL: no hash */
	char hash[HASH_TEXT];
	uint64_t size; /* of the file; 0: not said */
	uint64_t disk; /* of the disk, bytes, rounded to MiB; 0: not said */
};
int manifest_parse(const char *text, size_t n, json_t **ret, struct error *err);
void manifest_claim(const json_t *m, struct image_claim *ret);
int manifest_make(const struct image_import *im, const char *uuid, json_t **ret,
    struct error *err);
/* Its file is of that hash (algorithm NULL: unknown), size and compression. */
int manifest_set_file(json_t *m, const char *algorithm, const char *hash,
    uint64_t size, const char *compression);
/* Its disk has that xxh128 and size; and what is said of it. -ENOENT */
int manifest_set_disk(json_t *m, const char *hash, uint64_t size);
int
manifest_disk(const json_t *m, char hash[static HASH_TEXT], uint64_t *ret_size);
int manifest_info(const json_t *m, struct image_info *ret);
/* The caller frees; NULL: out of memory. With a newline at the end. */
char *manifest_text(const json_t *m);

/* ---- sources (image_fetch.c) ---- */

bool fetch_is_url(const char *source);
/* The path of a file: URL or of a path, on the heap; NULL: no file's. */
char *fetch_local(const char *source);
/* A small text, whole. */
int fetch_text(const char *source, struct buf *b, struct error *err);

/* A transfer of a URL that goes on where the last one was cut. */
struct fetch {
	const char *url;
	char part[STORE_PATH], state[STORE_PATH]; /* UUID.part, .part.json */
	bool trusted; /* the whole is checked by a hash in the end */
	/* Bytes in their order; not 0: stop. */
	int (*give)(void *arg, const void *data, size_t n);
	void (*total)(void *arg, uint64_t bytes); /* of the whole, once known */
	void *arg;
};
/* Errors leave the part if it can be of use. */
int fetch_url(struct fetch *f, struct error *err);
/* The image whose part is of that URL. -ENOENT */
int fetch_find_part(const char *root, const char *url, char *ret_uuid);

/* ---- formats (image_codec.c) ---- */

struct codec_io {
	const uint8_t *in;
	uint8_t *out;
	size_t in_n, out_n;
};
struct codec {
	const char *name, *suffix;
	uint8_t magic[6];
	size_t magic_n;
	/* NULL: out of memory */
	void *(*decode)(void);
	void *(*encode)(void);
	/*
	 * Take and give what can be, advancing io; last: nothing follows what
	 * io has. 1: all is said, and nothing of it is missing; 0: there may be
	 * more; -EINVAL and why.
	 */
	int (*run)(
	    void *state, struct codec_io *io, bool last, const char **why);
	void (*end)(void *state);
};
/* By first bytes: never NULL, "none" if no other. */
const struct codec *codec_detect(const uint8_t *data, size_t n);
const struct codec *codec_find(const char *name); /* NULL: no such */

/* ---- the pump (image_pump.c) ---- */

/*
 * Source to disk: one thread fetches, the caller's takes apart, one hashes, one
 * writes.
 */
struct pump {
	/* a file's descriptor, or a URL */
	int fd;
	struct fetch *fetch;
	const char *name; /* of the source, for errors */
	uint64_t total; /* bytes of the source, if known */
	int out; /* the disk: empty, to read and write */
	const struct image_claim *claim;
	image_progress_fn progress;
	void *arg;
	/* results */
	char hash[HASH_TEXT]; /* of the disk, xxh128 */
	uint64_t size; /* of the disk */
	uint64_t fetched; /* bytes of the source */
	const char *compression; /* of the source */
};
int pump_run(struct pump *p, struct error *err);

#endif
