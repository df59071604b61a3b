/*
 * Volumes and their snapshots. Each body runs on plain files, and where the
 * machine can on btrfs and on an xfs that shares blocks.
 */
#include "store/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "tap.h"
#include "volume_util.h"

static char buf[4096];

/* ---- names ---- */

static void
pools_file(void)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "a file\n",
		    "/etc/zones/pools:1: a pool is 'NAME KIND WHERE', as in "
		    "'zones file /var/lib/zhyve/zones'" },
		{ "# x\n\na files /x\n",
		    "/etc/zones/pools:3: there is no kind 'files' of pool: "
		    "file, btrfs or zfs; did you mean 'file'?" },
		{ "a file x\n",
		    "/etc/zones/pools:1: 'x' is no folder, as in "
		    "'/var/lib/zhyve/zones'" },
		{ "a zfs /x\n",
		    "/etc/zones/pools:1: '/x' is no dataset, as in "
		    "'tank/zones'" },
		{ "a file /x\na file /y\n",
		    "/etc/zones/pools:2: pool 'a' is there already" },
		{ "a/b file /x\n",
		    "/etc/zones/pools:1: 'a/b' cannot be a pool's name: "
		    "letters, digits, -_.: and at most 63 of them" },
		{ "#\n",
		    "/etc/zones/pools: names no pool; without the file there "
		    "is one" },
	};
	struct volume_pools *p = NULL;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("row %zu", i);
		tap_check(vol_open(rows[i].text, &p) < 0);
		tap_check_str(err.text + strlen(tap_tmpdir()), rows[i].says);
		tap_check(p == NULL);
	}
	tap_check_int(
	    vol_open(" fast\tbtrfs /b \n#c\nzones file /z\nt zfs a/b", &p), 0);
	tap_check_str(volume_pool_name(p, 0), "fast");
	tap_check_str(volume_pool_name(p, 2), "t");
	tap_check(volume_pool_name(p, 3) == NULL);
	tap_check(volume_pool_atomic(p, "fast") && volume_pool_atomic(p, "t"));
	tap_check(!volume_pool_atomic(p, "zones"));
	volume_pools_close(p);
	tap_check_int(vol_open(NULL, &p), 0);
	tap_check_int(
	    volume_zone_path(p, "zones", Z, buf, sizeof(buf), &err), 0);
	tap_check_str(buf, "/var/lib/zhyve/zones/" Z);
	volume_pools_close(p);
}

static void
paths(void)
{
	static const char *const same[] = { "/dev/zvol/rdsk/zones/" Z "/disk0",
		"/dev/zvol/dsk/zones/" Z "/disk0",
		"/dev/zvol/zones/" Z "/disk0",
		"/dev/zvol/rdsk/zones/" Z "-disk0" };
	static const char *const wrong[] = { "/dev/zvol/rdsk/zones/" Z,
		"/dev/zvol/rdsk/zones/" Z "/",
		"/dev/zvol/rdsk/zones/" Z "/../x",
		"/dev/zvol/rdsk/zones/" Z "/a/b", "/dev/zvol/rdsk/zones",
		"/dev/zvol/rdsk/zones/" Z "/d.new",
		"/dev/zvol/rdsk/zones/x/y" };
	struct volume_pools *p = NULL;
	char want[512];

	tap_check_int(vol_open("zones file /z\ntank zfs data/zones\n", &p), 0);
	snprintf(want, sizeof(want), "%s/z/" Z "/disks/disk0", tap_tmpdir());
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		tap_check_int(
		    volume_path(p, same[i], buf, sizeof(buf), &err), 0);
		tap_check_str(buf, want);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		tap_context("%s", wrong[i]);
		tap_check_int(
		    volume_path(p, wrong[i], buf, sizeof(buf), &err), -EINVAL);
	}
	tap_check_int(volume_path(p, "/dev/zvol/dsk/tank/" Z "/d", buf,
			  sizeof(buf), &err),
	    0);
	tap_check_str(buf, "/dev/zvol/data/zones/" Z "/d");
	tap_check_int(volume_path(p, "/dev/zvol/dsk/nine/" Z "/d", buf,
			  sizeof(buf), &err),
	    -ENOENT);
	snprintf(want, sizeof(want),
	    "there is no pool 'nine'; %s/etc/zones/pools names them",
	    tap_tmpdir());
	tap_check_str(err.text, want);
	tap_check_int(volume_path(p, "/dev/sda", buf, sizeof(buf), &err), 0);
	tap_check_str(buf, "/dev/sda");
	tap_check_int(volume_path(p, "/dev/sda", buf, 4, &err), -ENAMETOOLONG);
	volume_pools_close(p);
}

/* ---- volumes ---- */

static void
life(const struct store_fs *fs)
{
	struct volume_pools *p = vol_world(fs);
	struct volume_info info;

	tap_check_int(vol_make(p, Z, "disk0", 1 << 20, NULL), 0);
	tap_check_int(vol_make(p, Z, "disk0", 1 << 20, NULL), -EEXIST);
	tap_check_str(err.text, "there is a volume " V("disk0") " already");
	tap_check_int(vol_make(p, Z, "disk1", 512, NULL), 0);
	tap_check_str(vol_listed(p, Z), "disk0 1048576; disk1 512; ");
	tap_check_int(volume_stat(p, V("disk1"), &info, &err), 0);
	tap_check_u64(info.size, 512);
	tap_check_int(volume_stat(p, V("disk2"), &info, &err), -ENOENT);
	tap_check_int(volume_resize(p, V("disk0"), 2 << 20, false, &err), 0);
	tap_check_int(
	    volume_resize(p, V("disk0"), 1 << 20, false, &err), -EPERM);
	tap_check_int(volume_resize(p, V("disk0"), 1000, true, &err), -EINVAL);
	tap_check_int(volume_resize(p, V("disk1"), 1024, false, &err), 0);
	tap_check_str(vol_listed(p, Z), "disk0 2097152; disk1 1024; ");
	tap_check_int(volume_resize(p, V("disk0"), 1 << 20, true, &err), 0);
	tap_check_int(volume_remove(p, V("disk0"), &err), 0);
	tap_check_int(volume_remove(p, V("disk0"), &err), -ENOENT);
	tap_check_str(vol_listed(p, Z), "disk1 1024; ");
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_str(vol_listed(p, Z), "");
	tap_check_str(store_names(store_at("fs/pool")), "");
	tap_check(rmdir(store_at("fs/pool")) == 0);
	volume_pools_close(p);
}

static void
wrong_specs(void)
{
	static const struct {
		struct volume_spec s;
		const char *says;
	} rows[] = {
		{ { "zones", Z, "a/b", 512 },
		    "'a/b' cannot be a volume's name: letters, digits, -_.: "
		    "and at most 64 of them" },
		{ { "zones", Z, "..", 512 },
		    "'..' cannot be a volume's name: letters, digits, -_.: and "
		    "at most 64 of them" },
		{ { "zones", Z, "d.new", 512 },
		    "'d.new' cannot be a volume's name: letters, digits, -_.: "
		    "and at most 64 of them" },
		{ { "zones", "../x", "d", 512 },
		    "'../x' is no zone's UUID: volumes are kept by it" },
		{ { "zones", Z, "d", 513 },
		    "a size of 513 bytes: it must be a multiple of 512" },
		{ { "zones", Z, "d", 0 }, "volume 'd' has no size" },
		{ { "zones", Z, "d", 512, .refreservation = 1024 },
		    "refreservation of 1024 bytes: the volume has 512" },
		{ { "zones", Z, "d", 512, .origin = "/nowhere/x" },
		    "/nowhere/x: No such file or directory" },
	};
	struct volume_pools *p = vol_world(NULL);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("row %zu", i);
		tap_check(volume_create(p, &rows[i].s, &err) < 0);
		tap_check_str(err.text, rows[i].says);
		tap_check_str(vol_listed(p, Z), "");
	}
	volume_pools_close(p);
}

static void
copies(const struct store_fs *fs)
{
	struct volume_pools *p = vol_world(fs);
	const char *image = store_at(fs != NULL ? "fs/image" : "image");

	store_fill(image, 0, 70000, 1);
	store_fill(image, 9 << 20, 70000, 2);
	tap_check(truncate(image, 12 << 20) == 0);
	tap_check_int(vol_make(p, Z, "disk0", 0, image), 0);
	tap_check(store_same(image, vol_host(p, V("disk0"))));
	tap_check(store_blocks(vol_host(p, V("disk0"))) < 1 << 20);
	tap_check_int(vol_make(p, Z, "disk1", 16 << 20, V("disk0")), 0);
	tap_check_str(vol_listed(p, Z), "disk0 12582912; disk1 16777216; ");
	tap_check(truncate(vol_host(p, V("disk1")), 12 << 20) == 0);
	tap_check(store_same(image, vol_host(p, V("disk1"))));
	tap_check_int(vol_make(p, Z, "disk2", 1 << 20, image), -EFBIG);
	snprintf(buf, sizeof(buf),
	    "%s has 12582912 bytes, the volume is to have 1048576", image);
	tap_check_str(err.text, buf);
	/* what is written to the copy is not in the image */
	store_fill(vol_host(p, V("disk0")), 0, 4096, 3);
	tap_check(store_same(image, vol_host(p, V("disk1"))));
	tap_check_str(vol_listed(p, Z), "disk0 12582912; disk1 12582912; ");
	volume_pools_close(p);
}

/* Set aside twice, partly written, given back. */
static void
keeps_room_on(const struct store_fs *fs)
{
	struct volume_pools *p = vol_world(fs);
	struct volume_spec s = { "zones", Z, "d", 3 << 20,
		.refreservation = 1 << 20 };
	const char *d;

	tap_check_int(volume_create(p, &s, &err), 0);
	tap_check_str(vol_listed(p, Z), "d 3145728; ");
	d = vol_host(p, V("d"));
	tap_check(store_blocks(d) >= 1 << 20);
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 2 << 20, false, &err), 0);
	tap_check(store_blocks(d) >= 2 << 20);
	store_fill(d, 3 << 19, 8192, 7);
	tap_check_int(
	    volume_set_refreservation(p, V("d"), 64 << 10, true, &err), 0);
	tap_check(store_blocks(d) >= (64 << 10) + 8192);
	tap_check(store_blocks(d) <= 256 << 10);
	tap_check_str(vol_listed(p, Z), "d 3145728; ");
	volume_pools_close(p);
}

static void
keeps_room(void)
{
	keeps_room_on(NULL);
}

static void
keeps_room_on_tmpfs(void)
{
	keeps_room_on(&store_tmpfs_small);
}

static void
compressed(void)
{
	struct volume_pools *p = vol_world(&store_btrfs);
	struct volume_spec s = { "zones", Z, "d", 4 << 20,
		.compression = "lz4" };
	char kind[16];
	ssize_t n;

	tap_check_int(volume_create(p, &s, &err), 0);
	n = getxattr(
	    vol_host(p, V("d")), "btrfs.compression", kind, sizeof(kind));
	tap_check_int(n, 4);
	tap_check_mem(kind, "zstd", 4);
	s.name = "e";
	s.compression = "off";
	tap_check_int(volume_create(p, &s, &err), 0);
	tap_check(getxattr(vol_host(p, V("e")), "btrfs.compression", kind,
		      sizeof(kind)) < 0);
	volume_pools_close(p);
}

static void
full(void)
{
	struct volume_pools *p = vol_world(&store_tmpfs_small);
	struct volume_spec s = { "zones", Z, "d", 64 << 20,
		.refreservation = 64 << 20 };
	char want[512];

	store_fill(store_at("image"), 0, 6 << 20, 1);
	tap_check_int(vol_make(p, Z, "d", 0, store_at("image")), -ENOSPC);
	snprintf(want, sizeof(want), "cannot copy %s: No space left on device",
	    store_at("image"));
	tap_check_str(err.text, want);
	tap_check_str(vol_listed(p, Z), "");
	tap_check_int(volume_create(p, &s, &err), -ENOSPC);
	snprintf(want, sizeof(want),
	    "%s/fs/pool/" Z "/disks/d: cannot keep 64 MiB free for it "
	    "(refreservation): No space left on device",
	    tap_tmpdir());
	tap_check_str(err.text, want);
	tap_check_str(store_names(store_at("fs")), "");
	s.refreservation = 0;
	tap_check_int(volume_create(p, &s, &err), 0);
	volume_pools_close(p);
}

static void
leftovers(void)
{
	struct volume_pools *p = vol_world(NULL);
	const char *half;
	int fd;

	tap_check_int(vol_make(p, Z, "a", 512, NULL), 0);
	half = store_at("fs/pool/" Z "/disks/b.new");
	store_fill(half, 0, 5000, 1);
	tap_check_str(vol_listed(p, Z), "a 512; b 5000 half; ");
	tap_check_int(vol_make(p, Z, "b", 1024, NULL), 0);
	tap_check_str(vol_listed(p, Z), "a 512; b 1024; ");
	tap_check_str(store_text(vol_host(p, V("b"))), "");
	half = store_at("fs/pool/" Z "/disks/c.new");
	store_fill(half, 0, 5000, 1);
	fd = open(half, O_RDWR | O_CLOEXEC);
	tap_check_int(fd_lock_ofd(fd, true), 0);
	tap_check_int(vol_make(p, Z, "c", 1024, NULL), -EBUSY);
	close(fd);
	tap_check_int(volume_remove(p, V("c"), &err), 0);
	tap_check_str(vol_listed(p, Z), "a 512; b 1024; ");
	volume_pools_close(p);
}

/* Killed anywhere: a whole volume or a half one, and the next try works. */
static void
killed(void)
{
	struct volume_pools *p = vol_world(NULL);
	bool whole = false;
	pid_t pid;

	store_fill(store_at("image"), 0, 8 << 20, 1);
	for (int i = 0; i < 40 && !whole; i++) {
		struct timespec wait = { 0, i * 300000 };

		pid = fork();
		tap_check(pid >= 0);
		if (pid == 0)
			_exit(vol_make(p, Z, "d", 0, store_at("image")) == 0
				? 0
				: 1);
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		tap_check(waitpid(pid, NULL, 0) == pid);
		whole = access(vol_host(p, V("d")), F_OK) == 0;
		if (whole)
			tap_check(
			    store_same(store_at("image"), vol_host(p, V("d"))));
	}
	if (!whole)
		tap_check_int(vol_make(p, Z, "d", 0, store_at("image")), 0);
	tap_check(store_same(store_at("image"), vol_host(p, V("d"))));
	tap_check_str(vol_listed(p, Z), "d 8388608; ");
	volume_pools_close(p);
}

/* ---- snapshots ---- */

static void
history(const struct store_fs *fs)
{
	struct volume_pools *p = vol_world(fs);

	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), -ENOENT);
	tap_check_int(vol_make(p, Z, "disk0", 1 << 20, NULL), 0);
	tap_check(mkdir(store_at("fs/pool/" Z "/config"), 0700) == 0);
	tap_check(mkdir(store_at("fs/pool/" Z "/logs"), 0700) == 0);
	store_write(store_at("fs/pool/" Z "/config/metadata.json"), "one");
	store_write(store_at("fs/pool/" Z "/logs/platform.log"), "then");
	store_fill(vol_host(p, V("disk0")), 4096, 100, 1);
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), -EEXIST);
	tap_check_int(vol_make(p, Z, "disk1", 512, NULL), 0);
	store_write(store_at("fs/pool/" Z "/config/metadata.json"), "two");
	store_write(store_at("fs/pool/" Z "/logs/platform.log"), "later");
	store_fill(vol_host(p, V("disk0")), 0, 100, 2);
	tap_check_int(snapshot_create(p, "zones", Z, "a:%.-_", &err), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s0", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "s1 a:%.-_ s0 ");
	tap_check_int(
	    snapshot_rollback(p, "zones", Z, "nothing", &err), -ENOENT);
	tap_check_str(
	    err.text, "zone " Z " has no snapshot 'nothing' in pool 'zones'");
	tap_check_int(snapshot_rollback(p, "zones", Z, "a:%.-_", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "s1 a:%.-_ ");
	tap_check_str(vol_listed(p, Z), "disk0 1048576; disk1 512; ");
	tap_check_int(snapshot_rollback(p, "zones", Z, "s1", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "s1 ");
	tap_check_str(vol_listed(p, Z), "disk0 1048576; ");
	tap_check_str(
	    store_text(store_at("fs/pool/" Z "/config/metadata.json")), "one");
	tap_check_str(
	    store_text(store_at("fs/pool/" Z "/logs/platform.log")), "later");
	tap_check_str(store_text(vol_host(p, V("disk0"))), "");
	/* the snapshot stays as it is, whatever becomes of the disk */
	store_fill(vol_host(p, V("disk0")), 0, 100, 3);
	tap_check_int(snapshot_rollback(p, "zones", Z, "s1", &err), 0);
	tap_check_str(store_text(vol_host(p, V("disk0"))), "");
	tap_check_int(snapshot_delete(p, "zones", Z, "s1", &err), 0);
	tap_check_int(snapshot_delete(p, "zones", Z, "s1", &err), -ENOENT);
	tap_check_str(vol_snapshots(p, Z), "");
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), 0);
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_str(store_names(store_at("fs/pool")), "");
	volume_pools_close(p);
}

static void
snapshot_names(void)
{
	static const char *const wrong[] = { "", ".", "..", "a/b", "a b", "é",
		"x.new",
		("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaa") };
	struct volume_pools *p = vol_world(NULL);

	tap_check_int(vol_make(p, Z, "disk0", 512, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		tap_context("%s", wrong[i]);
		tap_check_int(
		    snapshot_create(p, "zones", Z, wrong[i], &err), -EINVAL);
	}
	tap_check_str(vol_snapshots(p, Z), "");
	volume_pools_close(p);
}

/* A clock that goes back leaves the order as it was. */
static void
snapshot_order(void)
{
	struct timespec future[2] = { { .tv_sec = 1 << 30 },
		{ .tv_sec = INT64_C(1) << 33 } };
	struct volume_pools *p = vol_world(NULL);

	tap_check_int(vol_make(p, Z, "disk0", 512, NULL), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "b", &err), 0);
	tap_check(utimensat(AT_FDCWD, store_at("fs/pool/.snapshots/" Z "/b"),
		      future, 0) == 0);
	tap_check_int(snapshot_create(p, "zones", Z, "a", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "b a ");
	tap_check_int(snapshot_rollback(p, "zones", Z, "b", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "b ");
	volume_pools_close(p);
}

/* What a snapshot or rollback that was killed leaves is gone with the next. */
static void
snapshot_leftovers(void)
{
	struct volume_pools *p = vol_world(NULL);

	tap_check_int(vol_make(p, Z, "disk0", 512, NULL), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "a", &err), 0);
	tap_check(mkdir(store_at("fs/pool/.snapshots/" Z "/b.new"), 0700) == 0);
	tap_check(
	    mkdir(store_at("fs/pool/.snapshots/" Z "/b.new/data"), 0700) == 0);
	tap_check(mkdir(store_at("fs/pool/" Z ".new"), 0700) == 0);
	store_fill(store_at("fs/pool/" Z ".new/x"), 0, 10, 1);
	tap_check_str(vol_snapshots(p, Z), "a ");
	tap_check_int(snapshot_rollback(p, "zones", Z, "a", &err), 0);
	tap_check(
	    access(store_at("fs/pool/.snapshots/" Z "/b.new"), F_OK) != 0);
	tap_check(access(store_at("fs/pool/" Z ".new"), F_OK) != 0);
	tap_check_int(snapshot_create(p, "zones", Z, "b", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "a b ");
	volume_pools_close(p);
}

/* Half a rollback is none: killed anywhere, the disk is old or new, whole. */
static void
rollback_killed(void)
{
	struct volume_pools *p = vol_world(NULL);
	pid_t pid;

	store_fill(store_at("old"), 0, 4 << 20, 1);
	store_fill(store_at("new"), 0, 4 << 20, 2);
	tap_check_int(vol_make(p, Z, "d", 0, store_at("old")), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s", &err), 0);
	tap_check_int(volume_remove(p, V("d"), &err), 0);
	tap_check_int(vol_make(p, Z, "d", 0, store_at("new")), 0);
	for (int i = 0; i < 12; i++) {
		struct timespec wait = { 0, i * 500000 };

		pid = fork();
		tap_check(pid >= 0);
		if (pid == 0)
			_exit(snapshot_rollback(p, "zones", Z, "s", &err) != 0);
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		tap_check(waitpid(pid, NULL, 0) == pid);
		tap_check(store_same(store_at("old"), vol_host(p, V("d"))) ||
		    store_same(store_at("new"), vol_host(p, V("d"))));
		tap_check_str(vol_snapshots(p, Z), "s ");
	}
	tap_check_int(snapshot_rollback(p, "zones", Z, "s", &err), 0);
	tap_check(store_same(store_at("old"), vol_host(p, V("d"))));
	tap_check_str(vol_listed(p, Z), "d 4194304; ");
	volume_pools_close(p);
}

static void
life_file(void)
{
	life(NULL);
}
static void
life_btrfs(void)
{
	life(&store_btrfs);
}
static void
copies_file(void)
{
	copies(NULL);
}
static void
copies_btrfs(void)
{
	copies(&store_btrfs);
}
static void
copies_xfs(void)
{
	copies(&store_xfs);
}
static void
history_file(void)
{
	history(NULL);
}
static void
history_btrfs(void)
{
	history(&store_btrfs);
}
static void
history_xfs(void)
{
	history(&store_xfs);
}

/* ---- devices ---- */

/* By loop: a device of 2 MiB, old bytes on it. */
static void
on_a_device(struct volume_pools *p, const char *device)
{
	struct volume_spec s = { .name = device, .origin = store_at("image") };
	struct volume_info v;
	char want[256];

	tap_check_int(volume_stat(p, device, &v, &err), 0);
	tap_check_u64(v.size, 2 << 20);
	tap_check_int(volume_create(p, &s, &err), 0);
	s.size = 3 << 20;
	tap_check_int(volume_create(p, &s, &err), -EFBIG);
	snprintf(want, sizeof(want),
	    "%s has 2097152 bytes, the disk is to have 3145728", device);
	tap_check_str(err.text, want);
	s.name = "/dev/null";
	tap_check_int(volume_create(p, &s, &err), -EINVAL);
	tap_check_str(err.text, "/dev/null is no block device");
	tap_check_int(volume_resize(p, device, 2 << 20, false, &err), 0);
	tap_check_int(
	    volume_resize(p, device, 1 << 20, true, &err), -EOPNOTSUPP);
	tap_check_int(volume_remove(p, device, &err), 0);
}

static void
devices(void)
{
	struct volume_pools *p = vol_world(NULL);
	char device[64] = "", command[600];
	FILE *f;
	pid_t pid;
	int status = -1;

	if (geteuid() != 0)
		tap_skip("loop devices need tap_tmpdir()");
	store_fill(store_at("image"), 0, 5000, 1);
	tap_check(truncate(store_at("image"), 1 << 20) == 0);
	store_fill(store_at("disk"), 0, 2 << 20, 2);
	snprintf(command, sizeof(command), "losetup -f --show %s 2>/dev/null",
	    store_at("disk"));
	f = popen(command, "r");
	tap_check(f != NULL);
	if (fgets(device, sizeof(device), f) == NULL)
		device[0] = '\0';
	device[strcspn(device, "\n")] = '\0';
	if (pclose(f) != 0 || device[0] == '\0')
		tap_skip("no loop device here");
	/* whatever fails in there, the device is given back */
	pid = fork();
	tap_check(pid >= 0);
	if (pid == 0) {
		on_a_device(p, device);
		_exit(0);
	}
	tap_check(waitpid(pid, &status, 0) == pid);
	snprintf(command, sizeof(command), "losetup -d %s", device);
	tap_check(system(command) == 0);
	tap_check_int(status, 0);
	/* holes too: what was on the device is not in the copy */
	tap_check(truncate(store_at("disk"), 1 << 20) == 0);
	tap_check(store_same(store_at("image"), store_at("disk")));
	volume_pools_close(p);
}

static const struct tap_test tests[] = {
	TAP_TEST(pools_file),
	TAP_TEST(paths),
	TAP_TEST(life_file),
	TAP_TEST(life_btrfs),
	TAP_TEST(wrong_specs),
	TAP_TEST(copies_file),
	TAP_TEST(copies_btrfs),
	TAP_TEST(copies_xfs),
	TAP_TEST(keeps_room),
	TAP_TEST(keeps_room_on_tmpfs),
	TAP_TEST(compressed),
	TAP_TEST(full),
	TAP_TEST(leftovers),
	TAP_TEST(killed),
	TAP_TEST(history_file),
	TAP_TEST(history_btrfs),
	TAP_TEST(history_xfs),
	TAP_TEST(snapshot_names),
	TAP_TEST(snapshot_order),
	TAP_TEST(snapshot_leftovers),
	TAP_TEST(rollback_killed),
	TAP_TEST(devices),
};
TAP_MAIN(tests)
