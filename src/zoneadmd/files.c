/*
 * The zone opens nothing: what its machine needs is opened here, as the boot
 * hook's list says, and handed over by descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "link/tap.h"
#include "store/volume.h"
#include "zoneadmd/impl.h"

#define FILES_MAX 64
#define TEMPLATE_MAX (64U << 20)

struct want {
	struct sup *sup;
	const struct nvlist *row; /* all of it */
	const char *path, *template, *bridge; /* NULL: not said */
	bool readonly;
	int console;
};

/* What lies in the zonepath lies below the root; all else is the host's. */
static int
host_path(const struct want *w, char *buf, size_t size, struct error *err)
{
	const char *conf = w->sup->zonepath + strlen(w->sup->conf.root);
	size_t n = strlen(conf);
	bool below = strncmp(w->path, conf, n) == 0 && w->path[n] == '/';

	if (w->path[0] != '/')
		return error_set(
		    err, EINVAL, "%s: not an absolute path", w->path);
	if (str_format(
		buf, size, "%s%s", below ? w->sup->conf.root : "", w->path) < 0)
		return error_set(err, ENAMETOOLONG, "%.100s...", w->path);
	return 0;
}

/* A disk may be a volume of a pool. */
static int
disk_path(const struct want *w, char *buf, size_t size, struct error *err)
{
	struct volume_pools *pools = NULL;
	struct volume_id id;
	int rc;

	if (volume_parse(w->path, &id) == -ENOENT)
		return host_path(w, buf, size, err);
	rc = volume_pools_open(w->sup->conf.root, &pools, err);
	if (rc == 0)
		rc = volume_path(pools, w->path, buf, size, err);
	volume_pools_close(pools);
	return rc;
}

/* O_NONBLOCK: a FIFO must be refused, not waited for. */
static int
open_plain(const struct want *w, int flags, bool devices, struct error *err)
{
	char path[SUP_PATH];
	struct stat st;
	int fd, rc;

	rc = devices ? disk_path(w, path, sizeof(path), err)
		     : host_path(w, path, sizeof(path), err);
	if (rc < 0)
		return rc;
	if (devices && (flags & O_ACCMODE) == O_RDWR && stat(path, &st) == 0 &&
	    S_ISBLK(st.st_mode))
		flags |= O_EXCL; /* not while it is mounted */
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0 && strstr(path, w->path) == NULL)
		return error_sys(err, errno, "%s: %s", w->path, path);
	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	if (fstat(fd, &st) != 0 ||
	    !(S_ISREG(st.st_mode) || (devices && S_ISBLK(st.st_mode)))) {
		close(fd);
		return error_set(err, EINVAL, "%s: neither a file%s", path,
		    devices ? " nor a block device" : "");
	}
	rc = fd_set_nonblock(fd, false);
	if (rc == 0)
		return fd;
	close(fd);
	return error_sys(err, -rc, "%s", path);
}

static int
open_disk(const struct want *w, struct error *err)
{
	return open_plain(w, w->readonly ? O_RDONLY : O_RDWR, true, err);
}

static int
open_file(const struct want *w, struct error *err)
{
	return open_plain(w, O_RDONLY, false, err);
}

/* A new one begins as a copy of the template. */
static int
make_state(const struct want *w, const char *path, struct error *err)
{
	struct buf b;
	int rc = 0;

	buf_init(&b, TEMPLATE_MAX);
	if (w->template != NULL)
		rc = fd_read_file(AT_FDCWD, w->template, &b);
	rc = rc < 0
	    ? error_sys(err, -rc, "%s", w->template)
	    : fd_write_file_atomic(AT_FDCWD, path, b.data, b.len, 0600, err);
	buf_fini(&b);
	return rc;
}

static int
open_state(const struct want *w, struct error *err)
{
	char path[SUP_PATH];
	int rc;

	rc = host_path(w, path, sizeof(path), err);
	if (rc == 0 && access(path, F_OK) != 0)
		rc = make_state(w, path, err);
	return rc < 0 ? rc : open_plain(w, O_RDWR, false, err);
}

static int
open_device(const struct want *w, struct error *err)
{
	struct stat st;
	int fd = open(w->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return error_sys(err, errno, "%s", w->path);
	if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode))
		return fd;
	close(fd);
	return error_set(err, EINVAL, "%s: no character device", w->path);
}

static int
open_console(const struct want *w, struct error *err)
{
	int fd = fcntl(w->console, F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? error_sys(err, errno, "console") : fd;
}

static int
open_kvm(const struct want *w, struct error *err)
{
	/* without it the machine takes the other engine */
	return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

/*
 * It lives as long as the machine has it. Every zone may have a net0: on the
 * host it is z5_net0, by the zone's number.
 */
static int
open_tap(const struct want *w, struct error *err)
{
	char name[LINK_NAME_MAX + 1];
	struct link_tap tap = {
		.name = name, .queues = 1, .bridge = w->bridge
	};
	uint64_t did = 0;
	int fd = -1, rc;

	(void)nvlist_get_u64(w->sup->snap, "did", &did);
	if (str_format(name, sizeof(name), "z%ju_%s", (uintmax_t)did, w->path) <
	    0)
		return error_set(err, ENAMETOOLONG,
		    "net %s: 'z%ju_%s' would be its name on this host, and "
		    "%d characters are the most; choose a shorter physical",
		    w->path, (uintmax_t)did, w->path, LINK_NAME_MAX);
	rc = link_tap_create(&tap, &fd, err);
	return rc < 0 ? rc : fd;
}

static int
open_slirp(const struct want *w, struct error *err)
{
	return sup_slirp_open(w->sup, w->row, w->path, err);
}

/* ---- sockets in the zone's root ---- */

static int
open_in_root(int root, const char *path)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* The folder that path lies in, made if need be, inside the zone's root. */
static int
open_parent(int root, const char *path)
{
	char part[SUP_PATH];
	int fd = -1;

	for (const char *p = path; p != NULL; p = strchr(p + 1, '/')) {
		if (str_format(part, sizeof(part), "./%.*s", (int)(p - path),
			path) < 0)
			return -ENAMETOOLONG;
		fd_close(&fd);
		fd = open_in_root(root, part);
		if (fd < 0 && errno == ENOENT && mkdirat(root, part, 0755) == 0)
			fd = open_in_root(root, part);
		if (fd < 0)
			return -errno;
	}
	return fd;
}

static int
open_listen(const struct want *w, struct error *err)
{
	cleanup_close int path = -1, root = -1, dir = -1;
	struct sup *sup = w->sup;
	char *full;
	int fd, rc = 0;

	if (w->path[0] != '/' || w->path[1] == '\0')
		return error_set(
		    err, EINVAL, "socket '%s': not a path", w->path);
	if (sup->nsockets == SUP_SOCKETS)
		return error_set(
		    err, E2BIG, "more than %d sockets", SUP_SOCKETS);
	path = open(sup->zonepath, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (path >= 0) {
		(void)mkdirat(path, "root", 0755);
		root = openat(path, "root",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (root < 0)
		return error_sys(err, errno, "%s/root", sup->zonepath);
	dir = open_parent(root, w->path);
	if (dir < 0)
		return error_sys(err, -dir, "socket %s", w->path);
	full = alloc_zero(1, SUP_PATH);
	if (full == NULL ||
	    str_format(full, SUP_PATH, "%s/root%s", sup->zonepath, w->path) <
		0) {
		free(full);
		return error_set(err, ENOMEM, "socket %s", w->path);
	}
	fd = ipc_listen(dir, strrchr(w->path, '/') + 1, SOCK_STREAM, err);
	if (fd < 0)
		free(full);
	else
		sup->sockets[sup->nsockets++] = full;
	/* before the machine is there: nobody else can be first */
	if (fd >= 0 && (rc = mdata_dial(sup, dir, w->path, err)) < 0)
		fd_close(&fd);
	return fd >= 0 || rc == 0 ? fd : rc;
}

/* ---- all of them ---- */

static const struct {
	const char *kind;
	int (*open)(const struct want *w, struct error *err);
	bool optional;
	const char *suffix; /* of the name that it is passed by */
} kinds[] = {
	{ "disk", open_disk },
	{ "file", open_file },
	{ "state", open_state },
	{ "console", open_console },
	{ "listen", open_listen },
	{ "kvm", open_kvm, .optional = true },
	{ "device", open_device },
	{ "tap", open_tap, .suffix = ":0" },
	{ "slirp", open_slirp },
};

int
sup_files_add(
    struct sup_files *files, const char *path, const char *kind, int fd)
{
	struct sup_file *v;
	char *copy;

	if (files->n == files->room) {
		v = alloc_resize(files->v, files->room + 16, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		files->v = v;
		files->room += 16;
	}
	copy = alloc_strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	files->v[files->n++] = (struct sup_file){ copy, kind, fd };
	return 0;
}

static int
add_opened(struct sup_files *files, const struct want *w, const char *kind,
    const char *suffix, int fd)
{
	char name[SUP_PATH];
	int rc;

	rc = str_format(
	    name, sizeof(name), "%s%s", w->path, suffix != NULL ? suffix : "");
	return rc == 0 ? sup_files_add(files, name, kind, fd) : rc;
}

static int
open_one(struct want *w, const struct nvlist *row, struct sup_files *files,
    struct error *err)
{
	const char *kind;
	int fd, rc;

	if (sup_links_row(row) != NULL)
		return 0;
	w->row = row;
	w->readonly = false;
	w->template = w->bridge = NULL;
	if (nvlist_get_str(row, "path", &w->path) < 0 ||
	    nvlist_get_str(row, "kind", &kind) < 0)
		return error_set(err, EINVAL, "file without path or kind");
	(void)nvlist_get_bool(row, "readonly", &w->readonly);
	(void)nvlist_get_str(row, "template", &w->template);
	(void)nvlist_get_str(row, "bridge", &w->bridge);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) != 0)
			continue;
		fd = kinds[i].open(w, err);
		if (fd < 0 && !kinds[i].optional)
			return fd;
		rc = add_opened(files, w, kind, kinds[i].suffix, fd);
		if (rc < 0) {
			fd_close(&fd);
			return error_sys(err, -rc, "%s", w->path);
		}
		return 0;
	}
	return error_set(
	    err, EINVAL, "%s: of a kind '%s' that nobody knows", w->path, kind);
}

int
sup_files_open(struct sup *sup, const struct nvlist *cmd, int console,
    struct sup_files *ret, struct error *err)
{
	struct want w = { .sup = sup, .console = console };
	const struct nvlist *const *rows = NULL;
	struct sup_files files = { NULL };
	size_t n = 0;
	int rc;

	rc = nvlist_get_lists(cmd, "files", &rows, &n);
	if ((rc < 0 && rc != -ENOENT) || n > FILES_MAX)
		return error_set(err, EINVAL,
		    "the list of files is none, or longer than %d", FILES_MAX);
	rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = open_one(&w, rows[i], &files, err);
	if (rc == 0)
		rc = sup_links_make(sup, rows, n, &files, err);
	if (rc < 0)
		sup_files_close(&files);
	else
		*ret = files;
	return rc;
}

void
sup_files_close(struct sup_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		fd_close(&files->v[i].fd);
		free(files->v[i].path);
	}
	free(files->v);
	*files = (struct sup_files){ NULL };
}
