/*
 * Pools of ZFS, by a zfs(8) that answers as the real one does (zfs.py). That it
 * does so is for tests/guest/zfs.bats to show.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "store/volume_impl.h"
#include "tap.h"
#include "volume_util.h"

static struct volume_pools *
world(void)
{
	struct volume_pools *p = NULL;
	char path[600];

	tap_check(symlink(FAKE_ZFS, store_at("zfs")) == 0);
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", tap_tmpdir());
	setenv("PATH", path, 1);
	zvol_dir = strdup(store_at("dev"));
	tap_check_int(vol_open("zones zfs tank/z\n", &p), 0);
	return p;
}

/* Was zfs asked that? */
static bool
asked(const char *want)
{
	return strstr(store_text(store_at("asked")), want) != NULL;
}

/* ---- volumes ---- */

static void
volumes(void)
{
	struct volume_pools *p = world();
	struct volume_spec s = { "zones", Z, "disk0", 1000 << 20,
		.block_size = 4096, .refreservation = 500 << 20,
		.compression = "lz4" };

	tap_check_int(volume_create(p, &s, &err), 0);
	tap_check(asked("create -s -V 1048576000 -b 4096 -o "
			"refreservation=524288000 -o compression=lz4 tank/z/" Z
			"/disk0.new\n"));
	tap_check_int(volume_create(p, &s, &err), -EEXIST);
	/* zfs makes it a multiple of its blocks, but takes only those later */
	tap_check_int(vol_make(p, Z, "disk1", 512, NULL), 0);
	tap_check_int(volume_resize(p, V("disk1"), 9216, false, &err), 0);
	tap_check_str(vol_listed(p, Z), "disk0 1048576000; disk1 16384; ");
	/* no more is kept free than there is */
	tap_check_int(volume_resize(p, V("disk0"), 4 << 20, true, &err), 0);
	tap_check(asked("set refreservation=4194304 tank/z/" Z "/disk0\n"));
	tap_check_int(volume_set_compression(p, V("disk0"), NULL, &err), 0);
	tap_check(asked("set compression=off tank/z/" Z "/disk0\n"));
	tap_check_int(
	    volume_set_refreservation(p, V("disk0"), 1 << 20, true, &err), 0);
	tap_check(asked("set refreservation=1048576 tank/z/" Z "/disk0\n"));
	tap_check_int(
	    volume_set_refreservation(p, V("disk0"), 0, true, &err), 0);
	tap_check(asked("set refreservation=none tank/z/" Z "/disk0\n"));
	tap_check_int(volume_zone_quota(p, "zones", Z, 3 << 20, &err), 0);
	tap_check(asked("set refquota=3145728 tank/z/" Z "\n"));
	tap_check_int(volume_zone_quota(p, "zones", Z, 0, &err), 0);
	tap_check(asked("set refquota=none tank/z/" Z "\n"));
	tap_check_int(volume_remove(p, V("disk0"), &err), 0);
	tap_check_int(volume_remove(p, V("disk0"), &err), -ENOENT);
	s.refreservation = UINT64_C(2) << 30;
	s.size = UINT64_C(4) << 30;
	tap_check_int(volume_create(p, &s, &err), -ENOSPC);
	tap_check_str(err.text,
	    "zfs create: cannot create 'tank/z/" Z "/disk0.new': out of space");
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	/* zfs leaves the folder of a mountpoint that was set */
	tap_check(access(store_at("tank/z/" Z), F_OK) != 0);
	volume_pools_close(p);
}

/* udev's link comes when zfs has long ended, and what it leads to is opened. */
static void
device(void)
{
	struct volume_pools *p = world();
	char path[512], want[512];
	struct stat st;

	/* who makes the links is waited for */
	tap_check(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	store_write(store_at("late"), "5");
	store_fill(store_at("image"), 300000, 70000, 1);
	tap_check(truncate(store_at("image"), 1 << 20) == 0);
	tap_check_int(vol_make(p, Z, "a", 0, store_at("image")), 0);
	tap_check_int(volume_path(p, V("a"), path, sizeof(path), &err), 0);
	tap_check(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
	/* half it was on the one, whole on the other: both are its device */
	snprintf(want, sizeof(want), "%s/zd", tap_tmpdir());
	tap_check(strncmp(path, want, strlen(want)) == 0);
	tap_check(store_same(path, store_at("image")));
	/* zeros are no data */
	tap_check(store_blocks(path) < 300000);
	store_write(store_at("late"), "-1");
	zvol_patience = 1;
	tap_check_int(vol_make(p, Z, "b", 1 << 20, NULL), -ENODEV);
	snprintf(want, sizeof(want),
	    "%s/dev/tank/z/" Z "/b: the zvol is there, its device did not come "
	    "within 1 s; does udev run, and is its volmode not none?",
	    tap_tmpdir());
	tap_check_str(err.text, want);
	tap_check_str(vol_listed(p, Z), "a 1048576; ");
	while (wait(NULL) > 0)
		continue;
	volume_pools_close(p);
}

/* udev looks at what was written to, and nothing can be removed meanwhile. */
static void
busy(void)
{
	struct volume_pools *p = world();

	tap_check_int(vol_make(p, Z, "a", 1 << 20, NULL), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s", &err), 0);
	store_write(store_at("busy"), "2");
	tap_check_int(snapshot_rollback(p, "zones", Z, "s", &err), 0);
	store_write(store_at("busy"), "2");
	tap_check_int(volume_remove(p, V("a"), &err), 0);
	store_write(store_at("busy"), "2");
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_int(vol_make(p, Z, "a", 1 << 20, NULL), 0);
	store_write(store_at("busy"), "1000");
	tap_check_int(volume_remove(p, V("a"), &err), -EBUSY);
	tap_check_str(err.text,
	    "zfs destroy: cannot destroy 'tank/z/" Z "/a': dataset is busy");
	volume_pools_close(p);
}

/* Clones share blocks, and outlive what they are of. */
static void
clones(void)
{
	struct volume_pools *p = world();
	struct volume_spec s = { "zones", Y, "b", 2 << 20, .origin = V("a"),
		.refreservation = 1 << 20, .compression = "off" };

	tap_check_int(vol_make(p, Z, "a", 1 << 20, NULL), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s", &err), 0);
	tap_check_int(volume_create(p, &s, &err), 0);
	tap_check(asked("clone -o refreservation=1048576 -o compression=off "
			"tank/z/" Z "/a@zhyve-" Y "-b tank/z/" Y "/b.new\n"));
	tap_check_int(vol_make(p, Y, "c", 0, V("a")), 0);
	tap_check_int(vol_make(p, Y, "d", 0, W("b")), 0);
	tap_check_int(vol_make(p, Y, "e", 512, V("a")), -EFBIG);
	tap_check_str(err.text,
	    "tank/z/" Z "/a has 1048576 bytes, the volume is to have 512");
	tap_check_str(vol_listed(p, Y), "b 2097152; c 1048576; d 2097152; ");
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_int(volume_remove(p, W("b"), &err), 0);
	tap_check_int(volume_remove(p, W("c"), &err), 0);
	tap_check_str(vol_listed(p, Y), "d 2097152; ");
	tap_check(strstr(store_text(store_at("sets.json")), "@") == NULL);
	tap_check_int(volume_zone_remove(p, "zones", Y, &err), 0);
	tap_check_str(store_text(store_at("sets.json")),
	    "{\"tank/z\": {\"type\": "
	    "\"filesystem\", \"txg\": 1}}");
	volume_pools_close(p);
}

/* What a maker that was killed leaves: half a volume, a snapshot of a clone. */
static void
leftovers(void)
{
	struct volume_pools *p = world();

	store_write(store_at("sets.json"),
	    "{\"tank/z\": {\"type\": \"filesystem\", \"txg\": 1},"
	    "\"tank/z/" Z "\": {\"type\": \"filesystem\", \"txg\": 2},"
	    "\"tank/z/" Z "/a\": {\"type\": \"volume\", \"txg\": 3, "
	    "\"volsize\": 8192, \"volblocksize\": 8192},"
	    "\"tank/z/" Z "/a@zhyve-" Z
	    "-b\": {\"type\": \"snapshot\", \"txg\": 4},"
	    "\"tank/z/" Z "/b.new\": {\"type\": \"volume\", \"txg\": 5, "
	    "\"volsize\": 8192, \"volblocksize\": 8192, \"origin\": \"tank/z/" Z
	    "/a@zhyve-" Z "-b\"}}");
	tap_check_str(vol_listed(p, Z), "a 8192; b 8192 half; ");
	tap_check_int(vol_make(p, Z, "b", 0, V("a")), 0);
	tap_check_str(vol_listed(p, Z), "a 8192; b 8192; ");
	volume_pools_close(p);
}

/* ---- snapshots ---- */

static void
history(void)
{
	struct volume_pools *p = world();
	struct snapshot *s = NULL;
	struct snapshot_list l;

	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), -ENOENT);
	tap_check_int(vol_make(p, Z, "a", 1 << 20, NULL), 0);
	tap_check(mkdir(store_at("tank/z/" Z "/config"), 0700) == 0);
	tap_check(mkdir(store_at("tank/z/" Z "/logs"), 0700) == 0);
	store_write(store_at("tank/z/" Z "/config/m"), "one");
	store_write(store_at("tank/z/" Z "/logs/l"), "then");
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), -EEXIST);
	tap_check_int(vol_make(p, Z, "b", 8192, NULL), 0);
	store_write(store_at("tank/z/" Z "/config/m"), "two");
	store_write(store_at("tank/z/" Z "/logs/l"), "later");
	/* zfs knows no '%' in names */
	tap_check_int(snapshot_create(p, "zones", Z, "a:%.-_", &err), 0);
	tap_check_int(snapshot_begin(p, "zones", Z, "not", &s, &err), 0);
	tap_check_int(snapshot_take(s, &err), 0);
	tap_check_int(snapshot_end(s, false, &err), 0);
	tap_check_str(vol_snapshots(p, Z), "s1 a:%.-_ ");
	tap_check_int(snapshot_list(p, "zones", Z, &l, &err), 0);
	/* each as big as its parts together */
	tap_check_u64(l.v[0].used, 154);
	tap_check_u64(l.v[1].used, 231);
	snapshot_list_free(&l);
	tap_check_int(
	    snapshot_rollback(p, "zones", Z, "nothing", &err), -ENOENT);
	tap_check_str(
	    err.text, "zone " Z " has no snapshot 'nothing' in pool 'zones'");
	tap_check_str(vol_listed(p, Z), "a 1048576; b 8192; ");
	tap_check_int(snapshot_rollback(p, "zones", Z, "s1", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "s1 ");
	/* it came after the snapshot */
	tap_check_str(vol_listed(p, Z), "a 1048576; ");
	tap_check_str(store_text(store_at("tank/z/" Z "/config/m")), "one");
	tap_check_str(store_text(store_at("tank/z/" Z "/logs/l")), "later");
	tap_check(access(store_at("tank/z/" Z ".new"), F_OK) != 0);
	tap_check_int(snapshot_delete(p, "zones", Z, "s1", &err), 0);
	tap_check_int(snapshot_delete(p, "zones", Z, "s1", &err), -ENOENT);
	tap_check_str(
	    err.text, "zone " Z " has no snapshot 's1' in pool 'zones'");
	setenv("PATH", "/nowhere", 1);
	tap_check(snapshot_create(p, "zones", Z, "a", &err) < 0);
	tap_check_str(err.text, "cannot run zfs: No such file or directory");
	volume_pools_close(p);
}

/* A part of a snapshot that somebody has removed: nothing is thrown away. */
static void
missing_part(void)
{
	struct volume_pools *p = world();

	tap_check_int(vol_make(p, Z, "a", 8192, NULL), 0);
	tap_check_int(vol_make(p, Z, "b", 8192, NULL), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s", &err), 0);
	tap_check(system("zfs destroy tank/z/" Z "/b@vmsnap-s") == 0);
	tap_check_int(snapshot_rollback(p, "zones", Z, "s", &err), -EIO);
	tap_check_str(err.text,
	    "zvol tank/z/" Z "/b is older than snapshot 's', and not in it");
	tap_check_str(vol_listed(p, Z), "a 8192; b 8192; ");
	volume_pools_close(p);
}

static const struct tap_test tests[] = {
	TAP_TEST(volumes),
	TAP_TEST(device),
	TAP_TEST(busy),
	TAP_TEST(clones),
	TAP_TEST(leftovers),
	TAP_TEST(history),
	TAP_TEST(missing_part),
};
TAP_MAIN(tests)
