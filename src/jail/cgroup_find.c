/*
 * Where this host has its control groups: mountinfo says which hierarchy is
 * mounted where and what part of it, /proc/self/cgroup in which group of each
 * we are (cgroups(7), proc(5)).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "jail/cgroup_impl.h"

#define FILE_MAX (8 * MiB) /* hosts with thousands of mounts */

const char *cgroup_prefix = "";

static const struct {
	const char *v1, *v2;
} names[CTL_COUNT] = {
	[CTL_CPU] = { "cpu", "cpu" },
	[CTL_CPUACCT] = { "cpuacct", NULL },
	[CTL_CPUSET] = { "cpuset", "cpuset" },
	[CTL_MEMORY] = { "memory", "memory" },
	[CTL_PIDS] = { "pids", "pids" },
	[CTL_IO] = { "blkio", "io" },
	[CTL_FREEZER] = { "freezer", NULL },
};

static bool
same(const char *name, const char *p, size_t n)
{
	return name != NULL && strlen(name) == n && memcmp(name, p, n) == 0;
}

unsigned
cgroup_ctl_parse(const char *s, size_t n)
{
	const char *end = s + n;
	unsigned bits = 0;

	while (s < end) {
		size_t k = strcspn(s, ", \n");

		k = MIN(k, (size_t)(end - s));
		for (unsigned i = 0; i < CTL_COUNT; i++)
			if (same(names[i].v1, s, k) || same(names[i].v2, s, k))
				bits |= 1U << i;
		s += k + 1;
	}
	return bits;
}

void
cgroup_ctl_print(unsigned ctl, bool v2, char *buf, size_t size)
{
	size_t at = 0;

	*buf = '\0';
	for (unsigned i = 0; i < CTL_COUNT; i++) {
		const char *name = v2 ? names[i].v2 : names[i].v1;
		int k;

		if ((ctl & 1U << i) == 0 || name == NULL)
			continue;
		k = snprintf(
		    buf + at, size - at, "%s%s", at != 0 ? "," : "", name);
		if (k < 0 || (size_t)k >= size - at)
			return;
		at += (size_t)k;
	}
}

void
cgroup_dirs_fini(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		free(cg->dirs[i].path);
	cg->n = 0;
}

/* mountinfo writes blanks and backslashes as octal numbers. */
static void
unescape(char *s)
{
	char *to = s;

	for (; *s != '\0'; to++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 +
			    (s[3] - '0'));
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = '\0';
}

struct mount_line {
	char *root, *point;
	const char *type, *options; /* of the file system */
};

static bool
split_mount(char *line, struct mount_line *m)
{
	char *save = NULL, *word = strtok_r(line, " ", &save);
	unsigned i;

	for (i = 0; word != NULL && strcmp(word, "-") != 0; i++) {
		if (i == 3)
			m->root = word;
		else if (i == 4)
			m->point = word;
		word = strtok_r(NULL, " ", &save);
	}
	m->type = strtok_r(NULL, " ", &save);
	strtok_r(NULL, " ", &save);
	m->options = strtok_r(NULL, " ", &save);
	if (i < 5 || m->type == NULL || m->options == NULL)
		return false;
	unescape(m->root);
	unescape(m->point);
	return true;
}

/*
 * Our own group in a hierarchy, by the lines of /proc/self/cgroup
 * ("4:memory:/path", "0::/path"); NULL: not in there.
 */
static char *
own_group(const char *text, bool v2, unsigned ctl)
{
	for (const char *p = text; *p != '\0';) {
		const char *end = strchrnul(p, '\n');
		const char *c1 = memchr(p, ':', (size_t)(end - p));
		const char *c2 = c1 == NULL
		    ? NULL
		    : memchr(c1 + 1, ':', (size_t)(end - c1 - 1));

		if (c2 != NULL) {
			size_t n = (size_t)(c2 - c1 - 1);

			if (v2 ? n == 0 && *p == '0'
			       : (cgroup_ctl_parse(c1 + 1, n) & ctl) != 0)
				return alloc_strndup(
				    c2 + 1, (size_t)(end - c2 - 1));
		}
		p = *end == '\0' ? end : end + 1;
	}
	return NULL;
}

/* A path of the hierarchy as one below its mount point. */
static int
below(const struct mount_line *m, const char *group, char *buf, size_t size)
{
	size_t n = strlen(m->root);

	if (strcmp(m->root, "/") == 0)
		n = 0;
	/* another part of the tree is mounted: its top must do */
	if (strncmp(group, m->root, n) != 0 ||
	    (group[n] != '/' && group[n] != '\0'))
		group = "";
	else
		group += n;
	if (strcmp(group, "/") == 0)
		group = "";
	return str_format(buf, size, "%s%s%s", cgroup_prefix, m->point, group);
}

static int
add_hierarchy(
    struct cgroup *ret, const struct mount_line *m, const char *groups)
{
	bool v2 = strcmp(m->type, "cgroup2") == 0;
	struct cgroup_dir *d = &ret->dirs[ret->n];
	cleanup_free char *own = NULL;
	char path[PATH_MAX];
	unsigned ctl = 0;

	if (!v2) {
		ctl = strcmp(m->type, "cgroup") == 0
		    ? cgroup_ctl_parse(m->options, strlen(m->options))
		    : 0;
		if (ctl == 0)
			return 0;
	}
	for (size_t i = 0; i < ret->n; i++)
		if (v2 ? ret->dirs[i].v2 : (ret->dirs[i].ctl & ctl) != 0)
			return 0; /* mounted twice */
	if (ret->n == CGROUP_DIRS ||
	    (own = own_group(groups, v2, ctl)) == NULL ||
	    below(m, own, path, sizeof(path)) != 0 || access(path, W_OK) != 0)
		return 0;
	if ((d->path = alloc_strdup(path)) == NULL)
		return -ENOMEM;
	d->v2 = v2;
	d->ctl = ctl;
	ret->n++;
	return 0;
}

static int
read_proc(const char *name, struct buf *b, struct error *err)
{
	char path[PATH_MAX];
	int r = str_format(
	    path, sizeof(path), "%s/proc/self/%s", cgroup_prefix, name);

	if (r == 0)
		r = fd_read_file(AT_FDCWD, path, b);
	if (r == 0 && buf_str(b) == NULL)
		r = -ENOMEM;
	return r == 0 ? 0 : error_sys(err, -r, "/proc/self/%s", name);
}

static int
scan(struct cgroup *ret, char *mounts, const char *groups)
{
	char *save = NULL;
	int r = 0;

	for (char *line = strtok_r(mounts, "\n", &save); line != NULL && r == 0;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mount_line m = { 0 };

		if (split_mount(line, &m))
			r = add_hierarchy(ret, &m, groups);
	}
	return r;
}

int
cgroup_find(struct cgroup *ret, struct error *err)
{
	struct buf mounts, groups;
	int r;

	buf_init(&mounts, FILE_MAX);
	buf_init(&groups, FILE_MAX);
	ret->n = 0;
	if ((r = read_proc("mountinfo", &mounts, err)) == 0 &&
	    (r = read_proc("cgroup", &groups, err)) == 0) {
		r = scan(ret, (char *)mounts.data, (const char *)groups.data);
		if (r != 0) {
			cgroup_dirs_fini(ret);
			r = error_set(err, -r, "out of memory");
		}
	}
	buf_fini(&mounts);
	buf_fini(&groups);
	return r;
}
