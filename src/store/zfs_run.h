/*
 * The program zfs: found in PATH, run without a shell, its sentence kept as the
 * error. Of any thread.
 */
#ifndef STORE_ZFS_RUN_H
#define STORE_ZFS_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define ZFS_WORDS_MAX 24
#define ZFS_WORD 512
#define ZFS_SNAP "vmsnap-" /* our snapshots are @vmsnap-NAME, as SmartOS's */

/* What it is asked: what is too long or too much makes zfs_run() fail. */
struct zfs {
	char word[ZFS_WORDS_MAX][ZFS_WORD];
	size_t n;
	bool cut;
};

void zfs_add(struct zfs *z, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void zfs_words(struct zfs *z, const char *const *words);
#define ZFS_WORDS(z, ...) \
	zfs_words(z, (const char *const[]){ __VA_ARGS__, NULL })

/*
 * out: what it prints, may be NULL. -ENOENT, -EEXIST, -EBUSY, -ENOSPC, -EPERM
 * by what it says (zfs(8) has one exit status for all), else -EIO.
 */
int zfs_run(const struct zfs *z, struct buf *out, struct error *err);
int zfs_do(struct error *err, const char *const *words);
#define ZFS(err, ...) zfs_do(err, (const char *const[]){ __VA_ARGS__, NULL })

/*
 * As ZFS(); what is busy is tried again, for ten seconds: whenever a device was
 * written to, udev opens it to look what is on it now.
 */
int zfs_patient(struct error *err, const char *const *words);
#define ZFS_PATIENT(err, ...) \
	zfs_patient(err, (const char *const[]){ __VA_ARGS__, NULL })

/* A property of a dataset or snapshot; 0 for none. -ENOENT: there is no such.
 */
int
zfs_number(const char *set, const char *prop, uint64_t *ret, struct error *err);
/*
 * fn of each line that it prints, which fn may cut up; 0 if the dataset is not
 * there. fn fails with -ENOMEM only.
 */
int zfs_each_line(const struct zfs *z, int (*fn)(void *arg, char *line),
    void *arg, struct error *err);

#endif
