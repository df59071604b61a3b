/*
 * A table of passed descriptors, searched by path. A handful of entries.
 */
#include "base/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"

struct passed {
	struct passed *next;
	int fd;
	char *path;
};
static struct passed *table;

static struct passed *
find(const char *path)
{
	for (struct passed *p = table; p != NULL; p = p->next)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

int
passed_add(const char *path, int fd)
{
	struct passed *p;

	if (find(path) != NULL)
		return -EEXIST;
	p = alloc_zero(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->path = alloc_strdup(path);
	if (p->path == NULL) {
		free(p);
		return -ENOMEM;
	}
	p->fd = fd;
	p->next = table;
	table = p;
	return 0;
}

/* Does the descriptor's access mode allow what is asked for? */
static bool
allows(int fd, int flags)
{
	int have = fcntl(fd, F_GETFL);
	int want = flags & O_ACCMODE;

	if (have == -1)
		return false;
	have &= O_ACCMODE;
	return have == O_RDWR || have == want;
}

int
passed_open(const char *path, int flags)
{
	const struct passed *p = find(path);
	int fd;

	if (p == NULL)
		fd = open(path, flags | O_CLOEXEC);
	else if (!allows(p->fd, flags))
		return -EACCES;
	else
		fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 3);
	return fd != -1 ? fd : -errno;
}

bool
passed_has(const char *path)
{
	return find(path) != NULL;
}

void
passed_clear(void)
{
	while (table != NULL) {
		struct passed *p = table;

		table = p->next;
		fd_close(&p->fd);
		free(p->path);
		free(p);
	}
}
