/*
 * Folders made and removed. Nothing here follows a link that a zone may have
 * left.
 */
#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define DEPTH_MAX 64
#define PATH_SIZE 4096

int
tree_make_dirs(const char *path, mode_t mode, struct error *err)
{
	char part[PATH_SIZE];
	bool last;

	for (const char *p = strchr(path + 1, '/');; p = strchr(p + 1, '/')) {
		last = p == NULL;
		if (str_format(part, sizeof(part), "%.*s",
			last ? (int)strlen(path) : (int)(p - path), path) < 0)
			return error_set(err, ENAMETOOLONG, "%s", path);
		if (mkdir(part, last ? mode : 0755) != 0 && errno != EEXIST)
			return error_sys(err, errno, "%s", part);
		if (last)
			return 0;
	}
}

struct tree {
	dev_t dev;
	int depth;
	struct error *err;
};

static int remove_at(struct tree *t, int dir, const char *name);

static int
remove_all(struct tree *t, int dir)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;
	int rc = 0;

	if (d == NULL) {
		close(dir);
		return error_sys(t->err, errno, "cannot read a folder");
	}
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = remove_at(t, dirfd(d), e->d_name);
	closedir(d);
	return rc;
}

static int
remove_at(struct tree *t, int dir, const char *name)
{
	struct stat st;
	int fd, rc;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_sys(t->err, errno, "%s", name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_sys(t->err, errno, "%s", name);
	if (fstat(fd, &st) != 0 || st.st_dev != t->dev) {
		close(fd);
		return error_set(t->err, EBUSY,
		    "%s: something is mounted there; unmount it first", name);
	}
	if (t->depth == DEPTH_MAX) {
		close(fd);
		return error_set(t->err, ELOOP, "%s: folders too deep", name);
	}
	t->depth++;
	rc = remove_all(t, fd);
	t->depth--;
	if (rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) != 0)
		rc = error_sys(t->err, errno, "%s", name);
	return rc;
}

int
tree_remove(const char *path, struct error *err)
{
	struct tree t = { .err = err };
	struct stat st;
	int fd, rc;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = error_sys(err, errno, "%s", path);
		fd_close(&fd);
		return rc;
	}
	t.dev = st.st_dev;
	rc = remove_all(&t, fd);
	if (rc == 0 && rmdir(path) != 0 && errno != EBUSY)
		rc = error_sys(err, errno, "%s", path);
	return rc < 0 ? error_prefix(err, "cannot remove %s", path) : 0;
}

bool
tree_is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool empty = true;

	if (d == NULL)
		return errno == ENOENT;
	while (empty && (e = readdir(d)) != NULL)
		empty =
		    strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(d);
	return empty;
}
