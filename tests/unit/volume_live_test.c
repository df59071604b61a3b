/*
 * What is done to volumes of a zone that lives: snapshots at a moment,
 * compression, room, quotas.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/str.h"
#include "tap.h"
#include "volume_util.h"

static char buf[4096];

/* ---- snapshots ---- */

/* By steps, of a zone that runs: the moment, and nothing of what is given up.
 */
static void
moment(const struct store_fs *fs)
{
	struct volume_pools *p = vol_world(fs);
	struct snapshot *s = NULL;

	tap_check_int(vol_make(p, Z, "d", 1 << 20, NULL), 0);
	store_fill(vol_host(p, V("d")), 0, 5000, 1);
	if (fs == &store_tmpfs_small) {
		tap_check_int(
		    snapshot_begin(p, "zones", Z, "a", &s, &err), -EOPNOTSUPP);
		snprintf(buf, sizeof(buf),
		    "files of pool 'zones' in %s/fs/pool cannot share blocks "
		    "(Operation not supported)",
		    tap_tmpdir());
		tap_check_str(err.text, buf);
		tap_check(access(store_at("fs/pool/.snapshots/" Z), F_OK) != 0);
		volume_pools_close(p);
		return;
	}
	tap_check_int(snapshot_begin(p, "zones", Z, "a", &s, &err), 0);
	tap_check_str(vol_snapshots(p, Z), "");
	tap_check_int(snapshot_take(s, &err), 0);
	tap_check_str(vol_snapshots(p, Z), "");
	store_fill(vol_host(p, V("d")), 0, 5000, 2);
	tap_check_int(snapshot_end(s, true, &err), 0);
	tap_check_str(vol_snapshots(p, Z), "a ");
	tap_check_int(snapshot_begin(p, "zones", Z, "a", &s, &err), -EEXIST);
	tap_check_int(snapshot_begin(p, "zones", Z, "b", &s, &err), 0);
	tap_check_int(snapshot_take(s, &err), 0);
	tap_check_int(snapshot_end(s, false, &err), 0);
	tap_check_int(snapshot_begin(p, "zones", Z, "c", &s, &err), 0);
	tap_check_int(snapshot_end(s, false, &err), 0);
	tap_check_str(vol_snapshots(p, Z), "a ");
	tap_check_int(snapshot_rollback(p, "zones", Z, "a", &err), 0);
	store_fill(store_at("want"), 0, 5000, 1);
	tap_check(truncate(store_at("want"), 1 << 20) == 0);
	tap_check(store_same(store_at("want"), vol_host(p, V("d"))));
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_str(store_names(store_at("fs/pool")), "");
	volume_pools_close(p);
}

static void
moment_tmpfs(void)
{
	moment(&store_tmpfs_small);
}

static void
moment_btrfs(void)
{
	moment(&store_btrfs);
}

static void
moment_xfs(void)
{
	moment(&store_xfs);
}

/* ---- what is set ---- */

static const char *
compression(struct volume_pools *p)
{
	static char kind[32];
	ssize_t n = getxattr(
	    vol_host(p, V("d")), "btrfs.compression", kind, sizeof(kind) - 1);

	kind[n < 0 ? 0 : n] = '\0';
	return kind;
}

static void
compress(void)
{
	struct volume_pools *p = vol_world(&store_btrfs);

	tap_check_int(vol_make(p, Z, "d", 1 << 20, NULL), 0);
	tap_check_str(compression(p), "");
	tap_check_int(volume_set_compression(p, V("d"), "lz4", &err), 0);
	tap_check_str(compression(p), "zstd");
	tap_check_int(volume_set_compression(p, V("d"), "gzip-9", &err), 0);
	tap_check_str(compression(p), "zlib");
	tap_check_int(volume_set_compression(p, V("d"), "off", &err), 0);
	tap_check(strcmp(compression(p), "zlib") != 0);
	tap_check_int(volume_set_compression(p, V("e"), "lz4", &err), -ENOENT);
	volume_pools_close(p);
}

static void
cannot_compress(void)
{
	struct volume_pools *p = vol_world(&store_tmpfs_small);

	tap_check_int(vol_make(p, Z, "d", 1 << 20, NULL), 0);
	tap_check_int(
	    volume_set_compression(p, V("d"), "lz4", &err), -EOPNOTSUPP);
	snprintf(buf, sizeof(buf),
	    "pool 'zones' does not compress: %s/fs/pool is not on btrfs",
	    tap_tmpdir());
	tap_check_str(err.text, buf);
	tap_check_int(volume_set_compression(p, V("d"), NULL, &err), 0);
	tap_check_int(
	    volume_set_compression(p, "/dev/sda", "lz4", &err), -EINVAL);
	volume_pools_close(p);
}

/* More, less: blocks come and go, bytes stay. */
static void
reserve(const struct store_fs *fs)
{
	struct volume_pools *p = vol_world(fs);

	tap_check_int(vol_make(p, Z, "d", 3 << 20, NULL), 0);
	store_fill(vol_host(p, V("d")), 100 << 10, 5000, 1);
	store_fill(vol_host(p, V("d")), 2 << 20, 5000, 2);
	store_fill(store_at("want"), 100 << 10, 5000, 1);
	store_fill(store_at("want"), 2 << 20, 5000, 2);
	tap_check(truncate(store_at("want"), 3 << 20) == 0);
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 2 << 20, false, &err), 0);
	tap_check(store_blocks(vol_host(p, V("d"))) >= 2 << 20);
	/* what is kept free and not less stays */
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 1 << 20, false, &err), 0);
	tap_check(store_blocks(vol_host(p, V("d"))) >= 2 << 20);
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 1 << 20, true, &err), 0);
	tap_check(store_blocks(vol_host(p, V("d"))) >= 1 << 20);
	tap_check(store_blocks(vol_host(p, V("d"))) < 3 << 19);
	tap_check(store_same(store_at("want"), vol_host(p, V("d"))));
	tap_check_int(volume_set_refreservation(p, V("d"), 0, true, &err), 0);
	/* a tmpfs takes what was read for written */
	tap_check(store_blocks(vol_host(p, V("d"))) <
	    (fs->make != NULL ? 1 << 19 : 3 << 19));
	tap_check(store_same(store_at("want"), vol_host(p, V("d"))));
	tap_check_int(volume_set_refreservation(
			  p, V("d"), UINT64_C(1) << 40, false, &err),
	    -EINVAL);
	tap_check_str(err.text,
	    "refreservation of 1099511627776 bytes: the volume has 3145728");
	volume_pools_close(p);
}

static void
reserve_tmpfs(void)
{
	reserve(&store_tmpfs_small);
}

static void
reserve_btrfs(void)
{
	reserve(&store_btrfs);
}

static void
reserve_xfs(void)
{
	reserve(&store_xfs);
}

/* No room: told, and the volume is as it was. */
static void
reserve_full(void)
{
	struct volume_pools *p = vol_world(&store_tmpfs_small);

	tap_check_int(vol_make(p, Z, "d", 64 << 20, NULL), 0);
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 64 << 20, false, &err),
	    -ENOSPC);
	snprintf(buf, sizeof(buf),
	    "%s/fs/pool/" Z "/disks/d: cannot keep 64 MiB free for it "
	    "(refreservation): No space left on device",
	    tap_tmpdir());
	tap_check_str(err.text, buf);
	tap_check(store_blocks(vol_host(p, V("d"))) < 1 << 20);
	volume_pools_close(p);
}

/* What is beside the volumes has its limit; those have their sizes. */
static void
quota_btrfs(void)
{
	struct volume_pools *p = vol_world(&store_btrfs);
	char block[4096] = "x";
	const char *log;
	int fd, rc = 0;

	tap_check_int(vol_make(p, Z, "d", 4 << 20, NULL), 0);
	tap_check_int(volume_zone_quota(p, "zones", Z, 0, &err), 0);
	tap_check_int(
	    volume_zone_quota(p, "zones", Z, 2 << 20, &err), -EOPNOTSUPP);
	snprintf(buf, sizeof(buf),
	    "quotas of btrfs are off in pool 'zones'; 'btrfs quota enable "
	    "%s/fs/pool' turns them on",
	    tap_tmpdir());
	tap_check_str(err.text, buf);
	snprintf(buf, sizeof(buf),
	    "btrfs quota enable %s && btrfs quota rescan -w %s >/dev/null",
	    store_at("fs/pool"), store_at("fs/pool"));
	if (system(buf) != 0)
		tap_skip("no quotas here");
	tap_check_int(volume_zone_quota(p, "zones", Z, 2 << 20, &err), 0);
	log = store_at("fs/pool/" Z "/log");
	fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	tap_check(fd >= 0);
	for (int i = 0; rc == 0 && i < 10 << 8; i++)
		if (pwrite(fd, block, sizeof(block), (off_t)i * 4096) < 0 ||
		    (i % 64 == 63 && fsync(fd) != 0))
			rc = errno;
	tap_check_int(rc, EDQUOT);
	tap_check(unlink(log) == 0);
	close(fd);
	tap_check_int(volume_zone_quota(p, "zones", Z, 0, &err), 0);
	store_fill(log, 0, 10 << 20, 3);
	volume_pools_close(p);
}

static void
quota_file(void)
{
	struct volume_pools *p = vol_world(NULL);

	tap_check_int(vol_make(p, Z, "d", 512, NULL), 0);
	tap_check_int(volume_zone_quota(p, "zones", Z, 0, &err), 0);
	tap_check_int(
	    volume_zone_quota(p, "zones", Z, 2 << 20, &err), -EOPNOTSUPP);
	tap_check_str(
	    err.text, "pool 'zones' is of plain files and limits no zone");
	volume_pools_close(p);
}

static const struct tap_test tests[] = {
	TAP_TEST(quota_btrfs),
	TAP_TEST(quota_file),
	TAP_TEST(compress),
	TAP_TEST(cannot_compress),
	TAP_TEST(reserve_tmpfs),
	TAP_TEST(reserve_btrfs),
	TAP_TEST(reserve_xfs),
	TAP_TEST(reserve_full),
	TAP_TEST(moment_tmpfs),
	TAP_TEST(moment_btrfs),
	TAP_TEST(moment_xfs),
};
TAP_MAIN(tests)
