/*
 * Copies of disks: blocks are shared where the file system can, holes stay
 * holes.
 */
#ifndef STORE_COPY_H
#define STORE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Nothing but zeros, which a hole reads as? */
bool copy_is_zero(const void *bytes, size_t n);
/* Bytes of a file or block device; negative errno. */
int copy_size(int fd, uint64_t *ret);
/*
 * All of a file or block device to the beginning of another, whose bytes are
 * zeros so far if it is a file; a block device's are overwritten. 0 or negative
 * errno: -EFBIG, the device is too small; -EIO, the source became shorter.
 */
int copy_disk(int from, int to);
/* As that, to a device or a file of nothing but zeros, which are not written.
 */
int copy_to_zeros(int from, int to);
/*
 * A regular file to a new one of that mode, synced; nothing stays behind when
 * it fails. The folder is the caller's to sync.
 */
int
copy_file(const char *from, const char *to, unsigned mode, struct error *err);
/*
 * Regular files and folders below 'from', to a new folder 'to': with modes and
 * owners, synced. Anything else there is left out. What was made stays when it
 * fails.
 */
int copy_tree(const char *from, const char *to, struct error *err);

/*
 * The same in as little time as can be, for disks that are kept still
 * meanwhile: blocks are shared or it fails, nothing is synced. A file that goes
 * while it is looked at is no file of the tree.
 */
int copy_tree_shared(const char *from, const char *to, struct error *err);
/* What that left to do. */
int copy_tree_sync(const char *path, struct error *err);
/* Can files of one folder be shared in the other? 0, -EOPNOTSUPP, ... */
int copy_can_share(const char *from, const char *to);

#endif
