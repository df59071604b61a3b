/*
 * File systems for tests of the store: made for one test, in a mount namespace
 * of its own, gone with its process.
 */
#ifndef UNIT_STORE_UTIL_H
#define UNIT_STORE_UTIL_H

#include <stddef.h>
#include <stdint.h>

/* What a file system of the test is to be. */
struct store_fs {
	const char *name; /* "tmpfs", "btrfs", "xfs" */
	const char *make; /* with %s for its file; NULL: none is needed */
	const char *mount; /* options */
	unsigned mib; /* of its file */
};
extern const struct store_fs store_tmpfs, store_tmpfs_small, store_btrfs,
    store_xfs;

/* Mount one at DIR (made); skips the test where that cannot be. */
void store_mount(const struct store_fs *fs, const char *dir);
/* A path in the test's folder; it stands until the eighth next call. */
const char *store_at(const char *rest);
/* Write n bytes at an offset of a file, made if need be. */
void store_put(const char *path, uint64_t at, const void *data, size_t n);
void store_fill(const char *path, uint64_t at, size_t n, unsigned seed);
/* A new file with this text, in place of one that is there. */
void store_write(const char *path, const char *text);
/* Do two files have the same bytes? */
int store_same(const char *a, const char *b);
/* The whole file's text; "" if there is none. */
const char *store_text(const char *path);
/* Names below a folder that are not folders, sorted, a blank behind each. */
const char *store_names(const char *dir);
uint64_t store_blocks(const char *path); /* bytes it takes */

#endif
