/*
 * The zone's groups: made, found again, entered, emptied, removed. Everything
 * that is made has the zone's name in it, so that whoever comes after a crash
 * can find and remove it.
 */
#include "jail/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "jail/cgroup_impl.h"

#define GROUP "/zhyve-"
#define PROCS_MAX (256 * KiB)
#define REMOVE_MS 10000

void (*cgroup_made_hook)(const char *dir);

int
cgroup_put(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX];
	cleanup_close int fd = -1;
	size_t n = strlen(text);

	if (str_format(path, sizeof(path), "%s/%s", dir, file) != 0)
		return -ENAMETOOLONG;
	if ((fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)) == -1)
		return -errno;
	return write(fd, text, n) == (ssize_t)n ? 0 : -errno;
}

int
cgroup_get(const char *dir, const char *file, char *buf, size_t size)
{
	char path[PATH_MAX];
	cleanup_close int fd = -1;
	ssize_t n;

	if (str_format(path, sizeof(path), "%s/%s", dir, file) != 0)
		return -ENAMETOOLONG;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -errno;
	if ((n = fd_read_full(fd, buf, size - 1)) < 0)
		return (int)n;
	buf[n] = '\0';
	return 0;
}

/* 1: a process is in there; 0: none, or no such group. */
static int
populated(const char *dir)
{
	char text[32];
	int r = cgroup_get(dir, "cgroup.procs", text, sizeof(text));

	return r == -ENOENT ? 0 : r < 0 ? r : text[0] != '\0';
}

/*
 * v2: a group above that hands controllers to its children. One with processes
 * of its own cannot (EBUSY), the root can; what is enabled already will do.
 */
static void
climb(char *base, size_t top)
{
	for (;;) {
		char have[256], name[16], want[32];
		unsigned on;
		char *slash;
		bool ok = true;

		if (cgroup_get(
			base, "cgroup.controllers", have, sizeof(have)) != 0)
			return;
		on = cgroup_ctl_parse(have, strlen(have));
		for (unsigned i = 0; i < CTL_COUNT; i++) {
			if ((on & 1U << i) == 0)
				continue;
			cgroup_ctl_print(1U << i, true, name, sizeof(name));
			snprintf(want, sizeof(want), "+%s", name);
			ok &= cgroup_put(
				  base, "cgroup.subtree_control", want) == 0;
		}
		slash = strrchr(base, '/');
		if (ok || slash == NULL || (size_t)(slash - base) < top)
			return;
		*slash = '\0';
	}
}

/* Length of the mount point in a v2 path: the topmost folder with the file. */
static size_t
top_of(const char *path)
{
	char up[PATH_MAX], text[16];
	size_t top = strlen(path);

	if (str_format(up, sizeof(up), "%s", path) != 0)
		return top;
	for (char *p = strrchr(up, '/'); p != NULL && p != up;
	     p = strrchr(up, '/')) {
		*p = '\0';
		if (cgroup_get(up, "cgroup.controllers", text, sizeof(text)) !=
		    0)
			break;
		top = strlen(up);
	}
	return top;
}

/* The folders that a zone's groups are to be, none made. */
static int
choose(const char *name, struct cgroup *cg, struct error *err)
{
	int r = cgroup_find(cg, err);

	if (r != 0)
		return r;
	for (size_t i = 0; i < cg->n; i++) {
		struct cgroup_dir *d = &cg->dirs[i];
		char path[PATH_MAX], *copy;

		r = str_format(path, sizeof(path), "%s", d->path);
		if (r == 0 && d->v2)
			climb(path, top_of(path));
		if (r == 0)
			r = strlen(path) + strlen(GROUP) + strlen(name) <
				sizeof(path)
			    ? 0
			    : -ENAMETOOLONG;
		if (r == 0) {
			strcat(path, GROUP);
			strcat(path, name);
			r = (copy = alloc_strdup(path)) == NULL ? -ENOMEM : 0;
		}
		if (r != 0) {
			cgroup_dirs_fini(cg);
			return error_sys(err, -r, "control groups");
		}
		free(d->path);
		d->path = copy;
	}
	return 0;
}

/* A leftover of that name is made anew, so that no old limit stays. */
static int
make_dir(struct cgroup_dir *d, struct error *err)
{
	char have[256];
	int r;

	if (mkdir(d->path, 0755) == -1 && errno == EEXIST) {
		if ((r = populated(d->path)) != 0)
			return error_set(err, EBUSY,
			    "%s: there are processes in this control group; "
			    "halt the zone first",
			    d->path);
		if (rmdir(d->path) == -1 || mkdir(d->path, 0755) == -1)
			return error_sys(err, errno, "%s", d->path);
	} else if (access(d->path, F_OK) != 0) {
		return error_sys(err, errno, "%s", d->path);
	}
	if (cgroup_made_hook != NULL)
		cgroup_made_hook(d->path);
	if (d->v2 &&
	    cgroup_get(d->path, "cgroup.controllers", have, sizeof(have)) == 0)
		d->ctl = cgroup_ctl_parse(have, strlen(have));
	if (!d->v2 && (d->ctl & CTL(CPUSET)) != 0 &&
	    (r = cgroup_cpuset_inherit(d->path)) != 0)
		return error_sys(err, -r, "%s", d->path);
	return 0;
}

int
cgroup_create(const char *name, const struct jail_limits *limits,
    struct cgroup **ret, struct error *err)
{
	struct cgroup *cg = alloc_zero(1, sizeof(*cg));
	int r;

	if (cg == NULL)
		return error_set(err, ENOMEM, "out of memory");
	if ((r = choose(name, cg, err)) != 0) {
		free(cg);
		return r;
	}
	for (size_t i = 0; i < cg->n && r == 0; i++)
		r = make_dir(&cg->dirs[i], err);
	if (r == 0)
		r = cgroup_apply(cg, limits, false, err);
	if (r < 0) {
		for (size_t i = 0; i < cg->n; i++)
			if (populated(cg->dirs[i].path) == 0)
				rmdir(cg->dirs[i].path);
		cgroup_free(cg);
		return r;
	}
	*ret = cg;
	return r;
}

int
cgroup_limit(
    struct cgroup *cg, const struct jail_limits *limits, struct error *err)
{
	return cgroup_apply(cg, limits, true, err);
}

int
cgroup_foresee(const char *name, struct nvlist **ret, struct error *err)
{
	struct cgroup cg = { .n = 0 };
	int r = choose(name, &cg, err);

	if (r == 0)
		r = cgroup_save(&cg, ret);
	cgroup_dirs_fini(&cg);
	return r;
}

/* One text for a group: "2 cpu,memory /path", "1 cpu /path". */
int
cgroup_save(const struct cgroup *cg, struct nvlist **ret)
{
	char *texts[CGROUP_DIRS] = { NULL };
	struct nvlist *nvl = nvlist_create();
	int r = nvl == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < cg->n && r == 0; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];
		char text[PATH_MAX + 128], ctl[100];

		cgroup_ctl_print(d->ctl, d->v2, ctl, sizeof(ctl));
		snprintf(text, sizeof(text), "%d %s %s", d->v2 ? 2 : 1, ctl,
		    d->path);
		if ((texts[i] = alloc_strdup(text)) == NULL)
			r = -ENOMEM;
	}
	if (r == 0)
		r = nvlist_add_strs(
		    nvl, "groups", (const char *const *)texts, cg->n);
	for (size_t i = 0; i < cg->n; i++)
		free(texts[i]);
	if (r != 0) {
		nvlist_free(nvl);
		return r;
	}
	*ret = nvl;
	return 0;
}

/* Only what this file can have made: its name is our own. */
static int
restore(const char *text, struct cgroup_dir *d)
{
	const char *ctl = text + 2, *path, *last;

	if (strlen(text) < 4 || (text[0] != '1' && text[0] != '2') ||
	    text[1] != ' ' || (path = strchr(ctl, ' ')) == NULL ||
	    *++path != '/' || (last = strrchr(path, '/')) == NULL ||
	    strncmp(last, GROUP, strlen(GROUP)) != 0 ||
	    strstr(path, "/../") != NULL)
		return -EINVAL;
	d->v2 = text[0] == '2';
	d->ctl = cgroup_ctl_parse(ctl, (size_t)(path - 1 - ctl));
	d->path = alloc_strdup(path);
	return d->path == NULL ? -ENOMEM : 0;
}

int
cgroup_attach(
    const struct nvlist *saved, struct cgroup **ret, struct error *err)
{
	struct cgroup *cg = alloc_zero(1, sizeof(*cg));
	const struct nvpair *p = NULL;
	const char *const *texts;
	size_t n = 0;
	int r = 0;

	if (cg == NULL)
		return error_set(err, ENOMEM, "out of memory");
	while ((p = nvlist_next(saved, p)) != NULL)
		if (strcmp(nvpair_name(p), "groups") == 0)
			break;
	if (p == NULL || nvpair_get_strs(p, &texts, &n) != 0 || n > CGROUP_DIRS)
		r = -EINVAL;
	for (size_t i = 0; i < n && r == 0; i++)
		if ((r = restore(texts[i], &cg->dirs[i])) == 0)
			cg->n++;
	if (r != 0) {
		cgroup_free(cg);
		return error_sys(
		    err, -r, "the saved list of control groups is no use");
	}
	*ret = cg;
	return 0;
}

int
cgroup_enter(struct cgroup *cg, pid_t pid, struct error *err)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < cg->n; i++)
		if ((r = cgroup_put(cg->dirs[i].path, "cgroup.procs", text)) !=
		    0)
			return error_sys(err, -r, "%s: cannot take process %d",
			    cg->dirs[i].path, (int)pid);
	return 0;
}

int
cgroup_entries(struct cgroup *cg, int *ret_group, int *fds, size_t max,
    size_t *ret_n, struct error *err)
{
	*ret_n = 0;
	for (size_t i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];
		char path[PATH_MAX + 8];
		int fd;

		snprintf(
		    path, sizeof(path), "%s%s", d->path, d->v2 ? "" : "/tasks");
		fd = open(path, O_CLOEXEC | (d->v2 ? O_PATH : O_WRONLY));
		if (fd == -1)
			return error_sys(err, errno, "%s", path);
		if (d->v2) {
			*ret_group = fd;
		} else if (*ret_n < max) {
			fds[(*ret_n)++] = fd;
		} else {
			close(fd);
			return error_set(err, E2BIG, "too many control groups");
		}
	}
	return 0;
}

void
cgroup_thaw(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->dirs[i].v2)
			cgroup_put(cg->dirs[i].path, "cgroup.freeze", "0");
		else if ((cg->dirs[i].ctl & CTL(FREEZER)) != 0)
			cgroup_put(cg->dirs[i].path, "freezer.state", "THAWED");
}

/* The number may have become another's: held first, then looked at again. */
static void
kill_member(const char *dir, pid_t pid)
{
	char path[64], text[8192];
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	const char *last = strrchr(dir, '/');

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (fd == -1 || cgroup_get(path, "cgroup", text, sizeof(text)) != 0 ||
	    strstr(text, last) == NULL)
		return;
	syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static int
kill_all(const struct cgroup_dir *d)
{
	char path[PATH_MAX + 16], *save = NULL;
	struct buf b;
	int r;

	if (d->v2 && cgroup_put(d->path, "cgroup.kill", "1") == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.procs", d->path);
	buf_init(&b, PROCS_MAX);
	r = fd_read_file(AT_FDCWD, path, &b);
	if (r == 0 && buf_str(&b) == NULL)
		r = -ENOMEM;
	if (r == 0)
		for (char *s = strtok_r((char *)b.data, "\n", &save); s != NULL;
		     s = strtok_r(NULL, "\n", &save))
			kill_member(d->path, (pid_t)strtol(s, NULL, 10));
	buf_fini(&b);
	return r == -ENOENT ? 0 : r;
}

/* A group is busy until its last process is gone, which takes a moment. */
static int
remove_dir(const struct cgroup_dir *d, struct error *err)
{
	struct timespec pause = { .tv_nsec = 200000 };

	for (unsigned ms = 0;; ms += (unsigned)(pause.tv_nsec / 1000000)) {
		if (rmdir(d->path) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY || ms > REMOVE_MS)
			return error_sys(err, errno,
			    "cannot remove the control group %s", d->path);
		kill_all(d);
		nanosleep(&pause, NULL);
		pause.tv_nsec = MIN(pause.tv_nsec * 2, 20000000);
	}
}

int
cgroup_remove(struct cgroup *cg, struct error *err)
{
	int r = 0, one;

	cgroup_thaw(cg);
	for (size_t i = 0; i < cg->n; i++)
		if ((one = remove_dir(&cg->dirs[i], r == 0 ? err : NULL)) != 0)
			r = one;
	return r;
}

void
cgroup_free(struct cgroup *cg)
{
	if (cg == NULL)
		return;
	cgroup_dirs_fini(cg);
	free(cg);
}
