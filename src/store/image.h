/*
 * Images: disks to make zones' disks of. ROOT/var/lib/zhyve/images holds
 * UUID.json, the manifest (as imgadm's of SmartOS: v, uuid, name, version, os,
 * type zvol, published_at, description, files [{sha256, size, compression}],
 * image_size in MiB, requirements), and UUID.raw, the disk, sparse. Both appear
 * at once and synced, or not at all: "UUID.part" is what an import that was
 * interrupted left, resumed by the next import of the same source.
 */
#ifndef STORE_IMAGE_H
#define STORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct image_info {
	char uuid[37];
	char *name, *version, *os, *description, *published_at;
	uint64_t size; /* of the disk, bytes */
	uint64_t used; /* what it takes on the host */
	char *manifest; /* JSON, as it lies there */
};
struct image_list {
	struct image_info *v;
	size_t n;
};
int image_list(const char *root, struct image_list *ret, struct error *err);
void image_list_free(struct image_list *l);
/* uuid, or a prefix or name that is one image's. -ENOENT; -EEXIST: several */
int image_find(const char *root, const char *what, struct image_info *ret,
    struct error *err);
void image_info_fini(struct image_info *i);
/* Where its disk is, to read. */
int image_path(const char *root, const char *uuid, char *buf, size_t size,
    struct error *err);

struct image_progress {
	uint64_t done, total; /* bytes of the source; total 0: unknown */
};
struct image_import {
	const char *source; /* raw, .gz, .xz, .zst: path or URL */
	const char *manifest; /* path or URL; NULL: made from what follows */
	const char *uuid, *name, *version, *os, *sha256; /* NULL: made; none */
	void (*progress)(void *arg, const struct image_progress *p);
	void *arg;
};
/* uuid: 37 bytes. Errors: truncated, wrong hash, disk full, too small, ... */
int image_import(const char *root, const struct image_import *im,
    char *ret_uuid, struct error *err);
int image_delete(const char *root, const char *uuid, struct error *err);
/* Does the disk still have the hash that it had? */
int image_verify(const char *root, const char *uuid, struct error *err);
/* compression: none, gzip, xz, zstd. Two files: PREFIX.json, PREFIX.raw[.x] */
int image_export(const char *root, const char *uuid, const char *prefix,
    const char *compression, struct error *err);

#endif
