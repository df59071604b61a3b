/*
 * Between configured and installed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/impl.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tree.h"
#include "ipc/ipc.h"
#include "zone/assign.h"
#include "zone/brand.h"
#include "zone/hook.h"
#include "zone/verify.h"

/* ---- lock ---- */

int
admin_lock(struct admin *a, const char *zone, struct error *err)
{
	struct stat mine, now;
	int dir, fd, rc;

	for (;;) {
		dir = zone_live_open(a->root, zone, true, err);
		if (dir < 0)
			return dir;
		fd = openat(dir, "admin.lock",
		    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		rc = fd < 0 ? -errno : fd_lock_ofd(fd, true);
		if (rc == 0 && fstat(fd, &mine) == 0 &&
		    fstatat(dir, "admin.lock", &now, AT_SYMLINK_NOFOLLOW) ==
			0 &&
		    mine.st_ino == now.st_ino) {
			close(dir);
			return fd;
		}
		fd_close(&fd);
		close(dir);
		if (rc == -EAGAIN)
			return error_set(err, EBUSY,
			    "another command works on zone '%s'; try again "
			    "when it is done",
			    zone);
		if (rc < 0)
			return error_sys(err, -rc, "admin.lock");
		/* an uninstall has just taken the file away: once more */
	}
}

/* ---- parts ---- */

int
admin_hook(struct admin *a, const struct zone_conf *conf, const char *hook,
    const char *const *args, struct error *err)
{
	const char *name = zone_conf_get(conf, "brand");
	const char *zonepath = zone_conf_get(conf, "zonepath");
	struct zone_brand *brand = NULL;
	char path[ADMIN_PATH];
	char **argv = NULL;
	int rc;

	rc = zone_brand_load(a->brands, name != NULL ? name : "", &brand, err);
	if (rc == 0)
		rc = admin_path(a, zonepath, zonepath, path, sizeof(path), err);
	if (rc == 0)
		rc = zone_hook_argv(zone_brand_text(brand, hook),
		    zone_conf_get(conf, "zonename"), path, args, &argv, err);
	if (rc == 0) {
		rc = zone_hook_run(argv, -1, err);
		if (rc != 0)
			rc = error_prefix(err, "hook %s", hook);
	} else if (rc == -ENOENT && brand != NULL) {
		rc = 0;
	}
	zone_hook_free(argv);
	zone_brand_free(brand);
	return rc;
}

static int
check_parent(const char *zonepath, struct error *err)
{
	const char *slash = strrchr(zonepath, '/');
	char parent[ADMIN_PATH];
	struct stat st;

	str_format(parent, sizeof(parent), "%.*s",
	    slash == zonepath ? 1 : (int)(slash - zonepath), zonepath);
	if (stat(parent, &st) != 0)
		return errno == ENOENT ? 0
				       : error_sys(err, errno, "%s", parent);
	if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return error_set(err, EPERM,
		    "%s, the folder of the zonepath, must be root's and not "
		    "writable by others",
		    parent);
	return 0;
}

static int
check_path(const char *zonepath, struct error *err)
{
	struct stat st;
	int rc = check_parent(zonepath, err);

	if (rc < 0)
		return rc;
	if (lstat(zonepath, &st) != 0)
		return errno == ENOENT ? 0
				       : error_sys(err, errno, "%s", zonepath);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return error_set(err, EPERM,
		    "zonepath %s: must be a folder of root's, mode 0700",
		    zonepath);
	return 0;
}

/* Load and check; path: where the zonepath is on this host. */
int
admin_load(struct admin *a, const char *zone, struct zone_conf **ret,
    char *path, struct error *err)
{
	struct zone_brand *brand = NULL;
	struct zone_conf *conf = NULL;
	const char *name, *zonepath;
	int rc;

	rc = zone_store_load(a->store, zone, false, &conf, NULL, err);
	if (rc < 0)
		return rc;
	name = zone_conf_get(conf, "brand");
	zonepath = zone_conf_get(conf, "zonepath");
	rc = zone_brand_load(a->brands, name != NULL ? name : "", &brand, err);
	if (rc == 0)
		rc = zone_verify(conf, brand, err);
	if (rc == 0)
		rc = admin_path(a, zonepath, zonepath, path, ADMIN_PATH, err);
	if (rc == 0)
		rc = check_path(path, err);
	if (rc == 0)
		rc = zone_store_conflict(a->store, zone, conf, err);
	if (rc == 0)
		rc = zone_store_macs(a->store, zone, conf, err);
	if (rc == 0)
		rc = admin_check_nets(a, conf, err);
	if (rc == 0)
		rc = admin_hook(a, conf, "verify_adm", NULL, err);
	zone_brand_free(brand);
	if (rc < 0)
		zone_conf_free(conf);
	else
		*ret = conf;
	return rc;
}

/* In one of these states? The lock is held. */
static int
check_state(struct admin *a, const char *zone, unsigned states,
    const char *what, struct error *err)
{
	struct admin_zone z;
	int rc = admin_find(a, zone, &z, err);

	if (rc < 0)
		return rc;
	if ((states & 1U << z.state) == 0)
		rc = error_set(err,
		    z.state > ZONE_STATE_INSTALLED ? EBUSY : EINVAL,
		    "zone '%s' is %s: %s is not possible", zone,
		    zone_state_name(z.state), what);
	admin_zone_fini(&z);
	return rc;
}

int
admin_lock_in(struct admin *a, const char *zone, unsigned states,
    const char *what, struct error *err)
{
	int rc, lock;

	/* once before: who may not gets no folder for the lock */
	rc = check_state(a, zone, states, what, err);
	if (rc < 0)
		return rc;
	lock = admin_lock(a, zone, err);
	if (lock < 0)
		return lock;
	rc = check_state(a, zone, states, what, err);
	if (rc < 0)
		fd_close(&lock);
	return rc < 0 ? rc : lock;
}

int
admin_verify(struct admin *a, const char *zone, struct error *err)
{
	struct zone_conf *conf = NULL;
	struct admin_zone z;
	char path[ADMIN_PATH];
	bool changed;
	int rc;

	rc = admin_find(a, zone, &z, err);
	if (rc < 0)
		return rc;
	rc = admin_load(a, zone, &conf, path, err);
	/* what a boot would choose; it is not kept */
	if (rc == 0)
		rc = zone_assign(conf, &changed, err);
	zone_conf_free(conf);
	admin_zone_fini(&z);
	return rc;
}

/* ---- install ---- */

int
admin_make_zonepath(const char *path, struct error *err)
{
	char sub[ADMIN_PATH];
	int rc;

	rc = tree_make_dirs(path, 0700, err);
	if (rc == 0 && chmod(path, 0700) != 0)
		rc = error_sys(err, errno, "%s", path);
	if (rc == 0 && str_format(sub, sizeof(sub), "%s/root", path) == 0 &&
	    mkdir(sub, 0755) != 0 && errno != EEXIST)
		rc = error_sys(err, errno, "%s", sub);
	if (rc == 0 && str_format(sub, sizeof(sub), "%s/logs", path) == 0 &&
	    mkdir(sub, 0700) != 0 && errno != EEXIST)
		rc = error_sys(err, errno, "%s", sub);
	return rc;
}

void
admin_undo_install(struct admin *a, const struct zone_conf *conf,
    const char *path, uint64_t keep)
{
	struct error late = ERROR_INIT;

	(void)admin_remove_disks(a, conf, keep, &late);
	if (path != NULL)
		(void)tree_remove(path, &late);
	(void)zone_store_set_state(a->store, zone_conf_get(conf, "zonename"),
	    ZONE_STATE_CONFIGURED, &late);
}

static int
install(struct admin *a, const char *zone, const struct zone_conf *conf,
    const char *path, const struct admin_install *in, struct error *err)
{
	bool empty = tree_is_empty(path);
	uint64_t there = admin_disks_there(a, conf);
	int rc;

	rc = zone_store_set_state(a->store, zone, ZONE_STATE_INCOMPLETE, err);
	if (rc == 0)
		rc = admin_make_place(a, conf, path, err);
	if (rc == 0)
		rc = admin_make_disks(a, conf, in->image, err);
	if (rc == 0)
		rc = admin_hook(a, conf, "install", in->args, err);
	if (rc == 0)
		rc = zone_store_set_state(
		    a->store, zone, ZONE_STATE_INSTALLED, err);
	if (rc == 0)
		rc = admin_hook(a, conf, "postinstall", in->args, err);
	if (rc == 0)
		return 0;
	admin_undo_install(a, conf, empty ? path : NULL, there);
	return rc;
}

int
admin_install(struct admin *a, const char *zone, const struct admin_install *in,
    struct error *err)
{
	cleanup_close int lock =
	    admin_lock_in(a, zone, ADMIN_IN(CONFIGURED), "install", err);
	struct zone_conf *conf = NULL;
	char path[ADMIN_PATH];
	int rc = lock;

	if (rc >= 0)
		rc = admin_load(a, zone, &conf, path, err);
	if (rc == 0)
		rc = install(a, zone, conf, path, in, err);
	zone_conf_free(conf);
	return rc < 0 ? rc : 0;
}

/* ---- uninstall ---- */

/* Only if there is one: it need not be started for that. */
static void
dismiss(struct admin *a, const char *zone)
{
	const struct admin_request rq = { .command = "note_uninstalling" };
	int dir = zone_live_open(a->root, zone, false, NULL);
	int fd = dir >= 0 ? ipc_connect(dir, "zoneadmd.sock", SOCK_SEQPACKET)
			  : -ENOENT;

	fd_close(&dir);
	if (fd < 0)
		return;
	close(fd);
	(void)admin_request(a, zone, &rq, NULL, NULL);
}

/* Its folder below /run; the lock's file last. */
static void
forget_live(struct admin *a, const char *zone)
{
	static const char *const names[] = { "zoneadmd.lock", "zoneadmd.sock",
		"console.sock", "snapshot.xml", "zhyve.cmd", "state", "exit",
		"admin.lock" };
	cleanup_close int dir = zone_live_open(a->root, zone, false, NULL);
	char path[ZONE_LIVE_PATH];

	for (size_t i = 0; dir >= 0 && i < ARRAY_LEN(names); i++)
		(void)unlinkat(dir, names[i], 0);
	if (zone_live_path(a->root, zone, path, sizeof(path)) == 0)
		(void)rmdir(path);
}

static int
uninstall(struct admin *a, const char *zone, struct error *err)
{
	struct zone_conf *conf = NULL;
	struct admin_zone z;
	char path[ADMIN_PATH];
	int rc;

	rc = admin_find(a, zone, &z, err);
	if (rc < 0)
		return rc;
	rc = admin_path(a, z.path, z.path, path, sizeof(path), err);
	(void)zone_store_load(a->store, zone, false, &conf, NULL, NULL);
	dismiss(a, zone);
	if (rc == 0 && conf != NULL && z.state == ZONE_STATE_INSTALLED)
		rc = admin_hook(a, conf, "preuninstall", NULL, err);
	if (rc == 0)
		rc = zone_store_set_state(
		    a->store, zone, ZONE_STATE_INCOMPLETE, err);
	if (rc == 0 && conf != NULL)
		rc = admin_hook(a, conf, "uninstall", NULL, err);
	if (rc == 0 && conf != NULL)
		rc = admin_remove_disks(a, conf, 0, err);
	if (rc == 0)
		rc = tree_remove(path, err);
	if (rc == 0)
		rc = zone_store_set_state(
		    a->store, zone, ZONE_STATE_CONFIGURED, err);
	if (rc == 0)
		forget_live(a, zone);
	zone_conf_free(conf);
	admin_zone_fini(&z);
	return rc;
}

int
admin_uninstall(struct admin *a, const char *zone, struct error *err)
{
	static const unsigned states =
	    ADMIN_IN(INSTALLED) | ADMIN_IN(INCOMPLETE);
	cleanup_close int lock =
	    admin_lock_in(a, zone, states, "uninstall", err);

	return lock < 0 ? lock : uninstall(a, zone, err);
}

int
admin_mark_incomplete(struct admin *a, const char *zone, struct error *err)
{
	cleanup_close int lock =
	    admin_lock_in(a, zone, ADMIN_IN(INSTALLED), "mark", err);

	return lock < 0
	    ? lock
	    : zone_store_set_state(a->store, zone, ZONE_STATE_INCOMPLETE, err);
}
