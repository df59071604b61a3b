/*
 * The store's ZFS back end on a pool: one of ZFS, named by ZHYVE_ZPOOL, whose
 * dataset z (all of it) is the test's. Runs as root, with udev.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "tap.h"
#include "volume_util.h"

static char zpool[64];

/* Its output, blanks for ends of lines. */
static const char *
said(const char *command)
{
	static char text[4][4096];
	static unsigned n;
	char *to = text[++n % 4];
	FILE *f = popen(command, "r");
	size_t got;

	tap_check(f != NULL);
	got = fread(to, 1, sizeof(text[0]) - 1, f);
	pclose(f);
	to[got] = '\0';
	for (char *c = to; (c = strpbrk(c, "\n\t")) != NULL;)
		*c = ' ';
	return to;
}

/* zfs FORMAT... with $z for POOL/z */
static const char *
zfs(const char *words)
{
	char command[1024];

	snprintf(command, sizeof(command), "z=%s/z; zfs %s 2>&1", zpool, words);
	return said(command);
}

static void
nothing_left(void)
{
	char want[512];

	snprintf(want, sizeof(want), "%s/z ", zpool);
	tap_check_str(zfs("list -H -o name -t all -r $z"), want);
	tap_check_str(
	    said("udevadm settle; ls -A /dev/zvol/*/z 2>/dev/null"), "");
	snprintf(want, sizeof(want), "find %s/%s -mindepth 2 2>&1",
	    tap_tmpdir(), zpool);
	tap_check_str(said(want), "");
}

static struct volume_pools *
world(void)
{
	struct volume_pools *pools = NULL;
	char command[1024], text[128];

	if (getenv("ZHYVE_ZPOOL") == NULL)
		tap_skip("ZHYVE_ZPOOL names no pool of ZFS to test with");
	snprintf(zpool, sizeof(zpool), "%s", getenv("ZHYVE_ZPOOL"));
	snprintf(command, sizeof(command),
	    "mkdir -p %s/%s/z && zfs create -o mountpoint=none %s/z",
	    tap_tmpdir(), zpool, zpool);
	(void)zfs("destroy -r $z");
	tap_check_int(system(command), 0);
	snprintf(text, sizeof(text), "zones zfs %s/z\n", zpool);
	tap_check_int(vol_open(text, &pools), 0);
	return pools;
}

static void
end(struct volume_pools *p)
{
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_int(volume_zone_remove(p, "zones", Y, &err), 0);
	nothing_left();
	volume_pools_close(p);
}

static uint64_t
device_size(const char *path)
{
	uint64_t size = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	tap_check(fd >= 0);
	tap_check(ioctl(fd, BLKGETSIZE64, &size) == 0);
	close(fd);
	return size;
}

/* Do the first n bytes of both say the same? */
static bool
same(const char *a, const char *b, size_t n)
{
	char command[1200];

	snprintf(command, sizeof(command), "cmp -n %zu %s %s", n, a, b);
	return system(command) == 0;
}

/* A byte at the beginning; what was written is on the device at the end. */
static void
mark(const char *path, char c)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	tap_check(fd >= 0);
	tap_check(pwrite(fd, &c, 1, 0) == 1);
	tap_check(fsync(fd) == 0);
	close(fd);
}

static char
marked(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = '?';

	tap_check(fd >= 0);
	tap_check(pread(fd, &c, 1, 0) == 1);
	close(fd);
	return c;
}

/* ---- volumes ---- */

static void
life(void)
{
	struct volume_pools *p = world();
	struct volume_info info;
	char path[512];
	struct stat st;

	tap_check_int(vol_make(p, Z, "disk0", 1 << 20, NULL), 0);
	/* its device is there at once, by a path that is no link */
	tap_check_u64(device_size(vol_host(p, V("disk0"))), 1 << 20);
	tap_check_int(vol_make(p, Z, "disk0", 1 << 20, NULL), -EEXIST);
	tap_check_int(vol_make(p, Z, "disk1", 512, NULL), 0);
	tap_check_str(vol_listed(p, Z), "disk0 1048576; disk1 8192; ");
	tap_check_int(volume_resize(p, V("disk0"), 2 << 20, false, &err), 0);
	tap_check_u64(device_size(vol_host(p, V("disk0"))), 2 << 20);
	tap_check_int(
	    volume_resize(p, V("disk0"), 1 << 20, false, &err), -EPERM);
	/* zfs takes multiples of 8 KiB */
	tap_check_int(volume_resize(p, V("disk1"), 10240, false, &err), 0);
	tap_check_str(vol_listed(p, Z), "disk0 2097152; disk1 16384; ");
	tap_check_int(volume_resize(p, V("disk0"), 1 << 20, true, &err), 0);
	tap_check_int(volume_stat(p, V("disk0"), &info, &err), 0);
	tap_check_u64(info.size, 1 << 20);
	snprintf(path, sizeof(path), "%s/%s/z/" Z, tap_tmpdir(), zpool);
	tap_check(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);
	tap_check_int(volume_remove(p, V("disk0"), &err), 0);
	tap_check_int(volume_remove(p, V("disk0"), &err), -ENOENT);
	tap_check_str(vol_listed(p, Z), "disk1 16384; ");
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_str(vol_listed(p, Z), "");
	end(p);
}

static void
properties(void)
{
	struct volume_pools *p = world();
	struct volume_spec s = { "zones", Z, "d", 4 << 20, .block_size = 4096,
		.refreservation = 2 << 20, .compression = "gzip-9" };

	tap_check_int(volume_create(p, &s, &err), 0);
	tap_check_str(
	    zfs("get -H -p -o value "
		"volsize,volblocksize,refreservation,compression $z/" Z "/d"),
	    "4194304 4096 2097152 gzip-9 ");
	/* no more is kept free than there is */
	tap_check_int(volume_resize(p, V("d"), 1 << 20, true, &err), 0);
	tap_check_str(
	    zfs("get -H -p -o value volsize,refreservation $z/" Z "/d"),
	    "1048576 1048576 ");
	s = (struct volume_spec){ "zones", Y, "c", 8 << 20, .origin = V("d"),
		.refreservation = 1 << 20, .compression = "off" };
	tap_check_int(volume_create(p, &s, &err), 0);
	tap_check_str(
	    zfs("get -H -p -o value "
		"volsize,volblocksize,refreservation,compression $z/" Y "/c"),
	    "8388608 4096 1048576 off ");
	s.compression = "nonsense";
	s.name = "e";
	tap_check(volume_create(p, &s, &err) < 0);
	tap_check_has(err.text, "compression");
	tap_check_str(vol_listed(p, Y), "c 8388608; ");
	end(p);
}

static void
copies(void)
{
	struct volume_pools *p = world();
	struct volume_info info;

	store_fill(store_at("image"), 0, 70000, 1);
	store_fill(store_at("image"), 9 << 20, 70000, 2);
	tap_check(truncate(store_at("image"), 12 << 20) == 0);
	tap_check_int(vol_make(p, Z, "disk0", 0, store_at("image")), 0);
	tap_check(same(store_at("image"), vol_host(p, V("disk0")), 12 << 20));
	tap_check_int(volume_stat(p, V("disk0"), &info, &err), 0);
	tap_check_u64(info.size, 12 << 20);
	tap_check(info.used < 2 << 20);
	tap_check_int(vol_make(p, Y, "disk1", 16 << 20, V("disk0")), 0);
	tap_check_u64(device_size(vol_host(p, W("disk1"))), 16 << 20);
	tap_check(same(store_at("image"), vol_host(p, W("disk1")), 12 << 20));
	tap_check_str(
	    zfs("get -H -o value origin $z/" Y "/disk1 | sed 's/.*@//'"),
	    "zhyve-" Y "-disk1 ");
	tap_check_int(
	    vol_make(p, Y, "disk2", 1 << 20, store_at("image")), -EFBIG);
	tap_check_int(vol_make(p, Y, "disk2", 1 << 20, V("disk0")), -EFBIG);
	tap_check_has(err.text,
	    "disk0 has 12582912 bytes, the volume is to have 1048576");
	mark(vol_host(p, V("disk0")), '!');
	tap_check(same(store_at("image"), vol_host(p, W("disk1")), 12 << 20));
	tap_check_str(vol_listed(p, Y), "disk1 16777216; ");
	end(p);
}

/* Clones outlive what they are of, and what was kept of it goes with it. */
static void
clones(void)
{
	struct volume_pools *p = world();

	store_fill(store_at("image"), 0, 1 << 20, 1);
	tap_check_int(vol_make(p, Z, "a", 0, store_at("image")), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), 0);
	tap_check_int(vol_make(p, Y, "b", 0, V("a")), 0);
	tap_check_int(snapshot_create(p, "zones", Y, "s1", &err), 0);
	tap_check_int(vol_make(p, Y, "c", 0, V("a")), 0);
	tap_check_int(vol_make(p, Z, "own", 0, V("a")), 0);
	tap_check_int(vol_make(p, Y, "d", 0, W("b")), 0);
	tap_check_int(volume_remove(p, V("a"), &err), 0);
	tap_check_int(volume_zone_remove(p, "zones", Z, &err), 0);
	tap_check_str(vol_listed(p, Y), "b 1048576; c 1048576; d 1048576; ");
	tap_check(same(store_at("image"), vol_host(p, W("b")), 1 << 20));
	tap_check(same(store_at("image"), vol_host(p, W("c")), 1 << 20));
	tap_check(same(store_at("image"), vol_host(p, W("d")), 1 << 20));
	tap_check_str(vol_snapshots(p, Y), "s1 ");
	tap_check_int(volume_remove(p, W("b"), &err), 0);
	tap_check_int(volume_remove(p, W("d"), &err), 0);
	tap_check(same(store_at("image"), vol_host(p, W("c")), 1 << 20));
	tap_check_str(zfs("list -H -o name -t snapshot -r $z/" Y "/c"), "");
	end(p);
}

static void
full(void)
{
	struct volume_pools *p = world();
	struct volume_spec s = { "zones", Z, "d", INT64_C(1) << 40,
		.refreservation = INT64_C(1) << 40 };

	tap_check_int(volume_create(p, &s, &err), -ENOSPC);
	tap_check_str(vol_listed(p, Z), "");
	s.refreservation = 0;
	tap_check_int(volume_create(p, &s, &err), 0);
	end(p);
}

/* Somebody has it open: udev for a moment, a VM for long. */
static void
busy(void)
{
	struct volume_pools *p = world();
	const char *device;
	pid_t pid;

	tap_check_int(vol_make(p, Z, "a", 1 << 20, NULL), 0);
	device = vol_host(p, V("a"));
	pid = fork();
	tap_check(pid >= 0);
	if (pid == 0) {
		(void)open(device, O_RDONLY | O_CLOEXEC);
		sleep(2);
		_exit(0);
	}
	usleep(200000);
	tap_check_int(volume_remove(p, V("a"), &err), 0);
	tap_check(waitpid(pid, NULL, 0) == pid);
	tap_check_int(vol_make(p, Z, "a", 1 << 20, NULL), 0);
	device = vol_host(p, V("a"));
	pid = open(device, O_RDONLY | O_CLOEXEC);
	tap_check(pid >= 0);
	tap_check_int(volume_remove(p, V("a"), &err), -EBUSY);
	tap_check_has(err.text, "dataset is busy");
	close(pid);
	tap_check_str(vol_listed(p, Z), "a 1048576; ");
	/* written to, and gone at once, over and over */
	for (int i = 0; i < 8; i++) {
		mark(vol_host(p, V("a")), 'x');
		tap_check_int(volume_remove(p, V("a"), &err), 0);
		tap_check_int(vol_make(p, Z, "a", 1 << 20, NULL), 0);
		tap_check_int(marked(vol_host(p, V("a"))), 0);
	}
	end(p);
}

/* Numbers of devices go from one to the other, their contents do not. */
static void
many_at_once(void)
{
	struct volume_pools *p = world();
	pid_t pid[4];
	char name[16], conf[VOLUME_CONF_PATH_MAX];
	int status;

	tap_check_int(volume_zone_create(p, "zones", Z, &err), 0);
	for (int k = 0; k < 4; k++) {
		pid[k] = fork();
		tap_check(pid[k] >= 0);
		if (pid[k] != 0)
			continue;
		snprintf(name, sizeof(name), "d%d", k);
		volume_conf_path("zones", Z, name, conf, sizeof(conf));
		store_fill(store_at(name), 0, 1 << 20, (unsigned)k + 1);
		for (int i = 0; i < 3; i++) {
			tap_check_int(
			    vol_make(p, Z, name, 0, store_at(name)), 0);
			tap_check(
			    same(store_at(name), vol_host(p, conf), 1 << 20));
			if (i < 2)
				tap_check_int(volume_remove(p, conf, &err), 0);
		}
		_exit(0);
	}
	for (int k = 0; k < 4; k++) {
		tap_check(waitpid(pid[k], &status, 0) == pid[k]);
		tap_check_int(status, 0);
	}
	tap_check_str(vol_listed(p, Z),
	    "d0 1048576; d1 1048576; d2 1048576; d3 1048576; ");
	end(p);
}

/* Killed anywhere: a whole volume or a half one, and the next try works. */
static void
killed(void)
{
	struct volume_pools *p = world();
	char text[128];
	pid_t pid;

	/* what zfs was doing goes on, and is waited for here */
	tap_check(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	store_fill(store_at("image"), 0, 4 << 20, 1);
	for (int i = 0; i < 6; i++) {
		struct timespec wait = { 0, i * 60000000 };

		pid = fork();
		tap_check(pid >= 0);
		if (pid == 0)
			_exit(vol_make(p, Z, "d", 0, store_at("image")) == 0
				? 0
				: 1);
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		while (waitpid(-1, NULL, 0) > 0)
			continue;
		snprintf(text, sizeof(text), "%s", vol_listed(p, Z));
		if (strcmp(text, "d 4194304; ") == 0)
			tap_check_int(volume_remove(p, V("d"), &err), 0);
		else
			tap_check(text[0] == '\0' ||
			    strcmp(text, "d 4194304 half; ") == 0);
	}
	tap_check_int(vol_make(p, Z, "d", 0, store_at("image")), 0);
	tap_check(same(store_at("image"), vol_host(p, V("d")), 4 << 20));
	tap_check_str(vol_listed(p, Z), "d 4194304; ");
	end(p);
}

/* ---- snapshots ---- */

static const char *
place(const char *rest)
{
	static char path[4][700];
	static unsigned n;

	n++;
	snprintf(path[n % 4], sizeof(path[0]), "%s/%s/z/" Z "/%s", tap_tmpdir(),
	    zpool, rest);
	return path[n % 4];
}

static void
history(void)
{
	struct volume_pools *p = world();
	struct snapshot_list l;

	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), -ENOENT);
	tap_check_int(vol_make(p, Z, "disk0", 1 << 20, NULL), 0);
	tap_check(mkdir(place("config"), 0700) == 0);
	tap_check(mkdir(place("logs"), 0700) == 0);
	store_write(place("config/metadata.json"), "one");
	store_write(place("logs/platform.log"), "then");
	mark(vol_host(p, V("disk0")), '1');
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), -EEXIST);
	tap_check_int(vol_make(p, Z, "disk1", 8192, NULL), 0);
	store_write(place("config/metadata.json"), "two");
	store_write(place("logs/platform.log"), "later");
	mark(vol_host(p, V("disk0")), '2');
	tap_check_int(snapshot_create(p, "zones", Z, "100%", &err), 0);
	mark(vol_host(p, V("disk0")), '3');
	tap_check_int(snapshot_create(p, "zones", Z, "s0", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "s1 100% s0 ");
	tap_check_int(
	    snapshot_rollback(p, "zones", Z, "nothing", &err), -ENOENT);
	tap_check_str(
	    err.text, "zone " Z " has no snapshot 'nothing' in pool 'zones'");
	tap_check_str(vol_listed(p, Z), "disk0 1048576; disk1 8192; ");
	tap_check_int(snapshot_rollback(p, "zones", Z, "100%", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "s1 100% ");
	tap_check_int(marked(vol_host(p, V("disk0"))), '2');
	tap_check_int(snapshot_rollback(p, "zones", Z, "s1", &err), 0);
	tap_check_str(vol_snapshots(p, Z), "s1 ");
	/* it came after the snapshot */
	tap_check_str(vol_listed(p, Z), "disk0 1048576; ");
	tap_check_int(marked(vol_host(p, V("disk0"))), '1');
	tap_check_str(store_text(place("config/metadata.json")), "one");
	tap_check_str(store_text(place("logs/platform.log")), "later");
	tap_check_int(snapshot_list(p, "zones", Z, &l, &err), 0);
	tap_check(l.n == 1 && l.v[0].created > 1700000000);
	snapshot_list_free(&l);
	mark(vol_host(p, V("disk0")), '4');
	tap_check_int(snapshot_rollback(p, "zones", Z, "s1", &err), 0);
	tap_check_int(marked(vol_host(p, V("disk0"))), '1');
	tap_check_int(snapshot_delete(p, "zones", Z, "s1", &err), 0);
	tap_check_int(snapshot_delete(p, "zones", Z, "s1", &err), -ENOENT);
	tap_check_str(
	    err.text, "zone " Z " has no snapshot 's1' in pool 'zones'");
	tap_check_str(vol_snapshots(p, Z), "");
	tap_check_int(snapshot_create(p, "zones", Z, "s1", &err), 0);
	end(p);
}

/* A part of a snapshot that somebody has removed: nothing is thrown away. */
static void
missing_part(void)
{
	struct volume_pools *p = world();

	tap_check_int(vol_make(p, Z, "a", 1 << 20, NULL), 0);
	tap_check_int(vol_make(p, Z, "b", 1 << 20, NULL), 0);
	tap_check_int(snapshot_create(p, "zones", Z, "s", &err), 0);
	tap_check_str(zfs("destroy $z/" Z "/b@vmsnap-s"), "");
	tap_check(snapshot_rollback(p, "zones", Z, "s", &err) < 0);
	tap_check_has(err.text, "is older than snapshot 's', and not in it");
	tap_check_str(vol_listed(p, Z), "a 1048576; b 1048576; ");
	end(p);
}

static const struct tap_test tests[] = {
	TAP_TEST_TIMEOUT(life, 120),
	TAP_TEST_TIMEOUT(properties, 120),
	TAP_TEST_TIMEOUT(copies, 120),
	TAP_TEST_TIMEOUT(clones, 120),
	TAP_TEST_TIMEOUT(full, 120),
	TAP_TEST_TIMEOUT(busy, 240),
	TAP_TEST_TIMEOUT(many_at_once, 240),
	TAP_TEST_TIMEOUT(killed, 240),
	TAP_TEST_TIMEOUT(history, 240),
	TAP_TEST_TIMEOUT(missing_part, 120),
};
TAP_MAIN(tests)
