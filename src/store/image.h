/*
 * Images: disks to make zones' disks of. ROOT/var/lib/zhyve/images holds
 * UUID.json, the manifest (as imgadm's of SmartOS: v, uuid, name, version, os,
 * type zvol, published_at, description, files [{sha256, size, compression}],
 * image_size in MiB, requirements; of our own: disk {xxh128, size}), and
 * UUID.raw, the disk, sparse. 'files' is about the file that was imported, its
 * hash if that was checked. An image is there when its manifest is, which comes
 * last: both synced, or nothing.
 *
 * What an import leaves that was killed: UUID.new, the disk as far as it came
 * (never used again), and of a URL UUID.part, the bytes as they came, with
 * UUID.part.json, whose they are: the next import of that URL goes on there,
 * if the server says that it still is the same file. image_delete() removes
 * them too.
 */
#ifndef STORE_IMAGE_H
#define STORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define IMAGE_UUID_LEN 36
#define IMAGE_FOLDER "/var/lib/zhyve/images"

struct image_info {
	char uuid[IMAGE_UUID_LEN + 1];
	char *name, *version, *os, *description, *published_at; /* never NULL */
	uint64_t size; /* of the disk, bytes */
	uint64_t used; /* what it takes on the host */
	char *manifest; /* JSON, as it lies there */
	bool damaged; /* in a list: it cannot be read; names are "" */
};
struct image_list {
	struct image_info *v;
	size_t n;
};
/* By time of publication, then by name. */
int image_list(const char *root, struct image_list *ret, struct error *err);
void image_list_free(struct image_list *l);
/*
 * uuid, or the beginning of one, or a name, or NAME@VERSION. -ENOENT; -EEXIST:
 * several; -EINVAL: its manifest is damaged.
 */
int image_find(const char *root, const char *what, struct image_info *ret,
    struct error *err);
void image_info_fini(struct image_info *i);
/* Where its disk is, to read: an image that is there. -ENOENT */
int image_path(const char *root, const char *uuid, char *buf, size_t size,
    struct error *err);

struct image_progress {
	uint64_t done, total; /* bytes of the source; total 0: unknown */
};
/* Called from the thread that called, many times a second. */
typedef void (*image_progress_fn)(void *arg, const struct image_progress *p);

struct image_import {
	const char *source; /* raw, gzip, xz, zstd: path or URL */
	const char *manifest; /* path or URL; NULL: made from what follows */
	/* NULL: made; sha256: of the source, NULL: not checked */
	const char *uuid, *name, *version, *os, *description, *sha256;
	image_progress_fn progress; /* NULL: none */
	void *arg;
};
/*
 * ret_uuid: IMAGE_UUID_LEN + 1 bytes. The format is found by the source's first
 * bytes. -EEXIST: an image of that UUID is there; -EBUSY: another command
 * imports it; -EINVAL: no disk, damaged, truncated, not the size or hash that
 * it should have; -ENOSPC; -ENOENT; -EIO, -ETIMEDOUT: of a server.
 */
int image_import(const char *root, const struct image_import *im,
    char *ret_uuid, struct error *err);
/*
 * Always possible: a volume that was made from it is a copy, or shares blocks
 * that stay as long as one has them. -ENOENT; -EBUSY: it is being imported.
 */
int image_delete(const char *root, const char *uuid, struct error *err);
/* Does the disk still have the hash that it had? -EINVAL: no. */
int image_verify(const char *root, const char *uuid, image_progress_fn progress,
    void *arg, struct error *err);
/*
 * compression: none, gzip, xz, zstd. Two new files, PREFIX.json and
 * PREFIX.raw[.gz|.xz|.zst], which image_import() takes. -EEXIST
 */
int image_export(const char *root, const char *uuid, const char *prefix,
    const char *compression, image_progress_fn progress, void *arg,
    struct error *err);

#endif
