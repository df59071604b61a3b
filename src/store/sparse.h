/*
 * A new file that gets a disk's bytes. Pages of zeros stay holes. Long runs go
 * past the page cache (O_DIRECT) where the file takes that, so that the sync at
 * the end has nothing of them left to wait for.
 */
#ifndef STORE_SPARSE_H
#define STORE_SPARSE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SPARSE_PAGE 4096U

struct sparse {
	int fd; /* the caller's */
	int direct; /* the same file; -1: it takes none of that */
	off_t length;
};

/* fd: a file without data, open for writing. */
void sparse_begin(struct sparse *s, int fd);
void sparse_end(struct sparse *s);
/*
 * Data up to 'end' follow. The file is longer from then on: to give it its
 * length is the caller's, and so is the sync. One thread.
 */
void sparse_grow(struct sparse *s, off_t end);
/*
 * n bytes at the start of a page of memory and of the file; only what is the
 * file's end may have a part of a page. 0 or -errno. Any thread.
 */
int sparse_write(const struct sparse *s, const uint8_t *p, size_t n, off_t at);

#endif
