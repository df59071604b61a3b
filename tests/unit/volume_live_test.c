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
#include "store/volume.h"
#include "store_util.h"
#include "tap.h"

#define Z "1d5b8e7c-c004-4f69-bf0c-c98918e35bd5"
#define V(name) "/dev/zvol/rdsk/zones/" Z "/" name

static char root[256], buf[4096];
static struct error err;

static const char *
at(const char *rest)
{
	static char path[8][512];
	static unsigned n;

	n++;
	return store_path(path[n % 8], sizeof(path[0]), rest);
}

/* ROOT/etc/zones/pools, ROOT/fs/pool; kind: of pool */
static struct volume_pools *
world(const struct store_fs *fs, const char *kind)
{
	struct volume_pools *p = NULL;
	char text[64];

	if (fs != NULL)
		store_mount(fs, at("fs"));
	snprintf(root, sizeof(root), "%s", tap_tmpdir());
	tap_check(mkdir(at("etc"), 0755) == 0);
	tap_check(mkdir(at("etc/zones"), 0755) == 0);
	snprintf(text, sizeof(text), "zones %s /fs/pool\n", kind);
	store_put(at("etc/zones/pools"), 0, text, strlen(text));
	tap_check_int(volume_pools_open(root, &p, &err), 0);
	return p;
}

static int
make(struct volume_pools *p, const char *name, uint64_t size)
{
	const struct volume_spec s = {
		.pool = "zones", .zone = Z, .name = name, .size = size
	};

	return volume_create(p, &s, &err);
}

static const char *
host(struct volume_pools *p, const char *name)
{
	static char path[8][512];
	static unsigned n;
	char conf[VOLUME_CONF_PATH_MAX];

	n++;
	volume_conf_path("zones", Z, name, conf, sizeof(conf));
	tap_check_int(
	    volume_path(p, conf, path[n % 8], sizeof(path[0]), &err), 0);
	return path[n % 8];
}

static const char *
snapshots(struct volume_pools *p)
{
	static char text[1024];
	struct snapshot_list l;
	size_t n = 0;

	text[0] = '\0';
	tap_check_int(snapshot_list(p, "zones", Z, &l, &err), 0);
	for (size_t i = 0; i < l.n; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "%s ", l.v[i].name);
	snapshot_list_free(&l);
	return text;
}

/* ---- snapshots ---- */

/* By steps, of a zone that runs: the moment, and nothing of what is given up.
 */
static void
moment(const struct store_fs *fs)
{
	struct volume_pools *p =
	    world(fs, fs == &store_btrfs ? "btrfs" : "file");
	struct snapshot *s = NULL;

	tap_check_int(make(p, "d", 1 << 20), 0);
	store_fill(host(p, "d"), 0, 5000, 1);
	if (fs == &store_tmpfs_small) {
		tap_check_int(
		    snapshot_begin(p, "zones", Z, "a", &s, &err), -EOPNOTSUPP);
		snprintf(buf, sizeof(buf),
		    "files of pool 'zones' in %s/fs/pool cannot share blocks "
		    "(Operation not supported)",
		    root);
		tap_check_str(err.text, buf);
		tap_check(access(at("fs/pool/.snapshots/" Z), F_OK) != 0);
		volume_pools_close(p);
		return;
	}
	tap_check_int(snapshot_begin(p, "zones", Z, "a", &s, &err), 0);
	tap_check_str(snapshots(p), "");
	tap_check_int(snapshot_take(s, &err), 0);
	tap_check_str(snapshots(p), "");
	store_fill(host(p, "d"), 0, 5000, 2);
	tap_check_int(snapshot_end(s, true, &err), 0);
	tap_check_str(snapshots(p), "a ");
	tap_check_int(snapshot_begin(p, "zones", Z, "a", &s, &err), -EEXIST);
	tap_check_int(snapshot_begin(p, "zones", Z, "b", &s, &err), 0);
	tap_check_int(snapshot_take(s, &err), 0);
	tap_check_int(snapshot_end(s, false, &err), 0);
	tap_check_int(snapshot_begin(p, "zones", Z, "c", &s, &err), 0);
	tap_check_int(snapshot_end(s, false, &err), 0);
	tap_check_str(snapshots(p), "a ");
	tap_check_int(snapshot_rollback(p, "zones", Z, "a", &err), 0);
	store_fill(at("want"), 0, 5000, 1);
	tap_check(truncate(at("want"), 1 << 20) == 0);
	tap_check(store_same(at("want"), host(p, "d")));
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_str(store_names(at("fs/pool")), "");
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
	ssize_t n =
	    getxattr(host(p, "d"), "btrfs.compression", kind, sizeof(kind) - 1);

	kind[n < 0 ? 0 : n] = '\0';
	return kind;
}

static void
compress(void)
{
	struct volume_pools *p = world(&store_btrfs, "btrfs");

	tap_check_int(make(p, "d", 1 << 20), 0);
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
	struct volume_pools *p = world(&store_tmpfs_small, "file");

	tap_check_int(make(p, "d", 1 << 20), 0);
	tap_check_int(
	    volume_set_compression(p, V("d"), "lz4", &err), -EOPNOTSUPP);
	snprintf(buf, sizeof(buf),
	    "pool 'zones' does not compress: %s/fs/pool is not on btrfs", root);
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
	struct volume_pools *p =
	    world(fs, fs == &store_btrfs ? "btrfs" : "file");

	tap_check_int(make(p, "d", 3 << 20), 0);
	store_fill(host(p, "d"), 100 << 10, 5000, 1);
	store_fill(host(p, "d"), 2 << 20, 5000, 2);
	store_fill(at("want"), 100 << 10, 5000, 1);
	store_fill(at("want"), 2 << 20, 5000, 2);
	tap_check(truncate(at("want"), 3 << 20) == 0);
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 2 << 20, false, &err), 0);
	tap_check(store_blocks(host(p, "d")) >= 2 << 20);
	/* what is kept free and not less stays */
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 1 << 20, false, &err), 0);
	tap_check(store_blocks(host(p, "d")) >= 2 << 20);
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 1 << 20, true, &err), 0);
	tap_check(store_blocks(host(p, "d")) >= 1 << 20);
	tap_check(store_blocks(host(p, "d")) < 3 << 19);
	tap_check(store_same(at("want"), host(p, "d")));
	tap_check_int(volume_set_refreservation(p, V("d"), 0, true, &err), 0);
	/* a tmpfs takes what was read for written */
	tap_check(store_blocks(host(p, "d")) <
	    (fs->make != NULL ? 1 << 19 : 3 << 19));
	tap_check(store_same(at("want"), host(p, "d")));
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
	struct volume_pools *p = world(&store_tmpfs_small, "file");

	tap_check_int(make(p, "d", 64 << 20), 0);
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 64 << 20, false, &err),
	    -ENOSPC);
	snprintf(buf, sizeof(buf),
	    "%s/fs/pool/" Z "/disks/d: cannot keep 64 MiB free for it "
	    "(refreservation): No space left on device",
	    root);
	tap_check_str(err.text, buf);
	tap_check(store_blocks(host(p, "d")) < 1 << 20);
	volume_pools_close(p);
}

/* What is beside the volumes has its limit; those have their sizes. */
static void
quota_btrfs(void)
{
	struct volume_pools *p = world(&store_btrfs, "btrfs");
	char block[4096] = "x", log[512];
	int fd, rc = 0;

	tap_check_int(make(p, "d", 4 << 20), 0);
	tap_check_int(volume_zone_quota(p, "zones", Z, 0, &err), 0);
	tap_check_int(
	    volume_zone_quota(p, "zones", Z, 2 << 20, &err), -EOPNOTSUPP);
	snprintf(buf, sizeof(buf),
	    "quotas of btrfs are off in pool 'zones'; 'btrfs quota enable "
	    "%s/fs/pool' turns them on",
	    root);
	tap_check_str(err.text, buf);
	snprintf(buf, sizeof(buf),
	    "btrfs quota enable %s && btrfs quota rescan -w %s >/dev/null",
	    at("fs/pool"), at("fs/pool"));
	if (system(buf) != 0)
		tap_skip("no quotas here");
	tap_check_int(volume_zone_quota(p, "zones", Z, 2 << 20, &err), 0);
	snprintf(log, sizeof(log), "%s/fs/pool/" Z "/log", root);
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
	struct volume_pools *p = world(NULL, "file");

	tap_check_int(make(p, "d", 512), 0);
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
