/*
 * ROOT/etc/zones/nictags. The file is an operator's: it is changed by lines,
 * and comments stay where they are.
 */
#include "link/nictag.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#define PATH_BYTES 4096
#define FILE_MAX (256U << 10)
#define LOCK_SECONDS 10
#define MTU_LEAST 576
#define MTU_MOST 9216

static const char *const kind_names[] = {
#define X(id, name) [NICTAG_##id] = name,
	NICTAG_KINDS(X)
#undef X
};

const char *
nictag_kind_name(enum nictag_kind kind)
{
	return kind_names[kind];
}

/* ---- one tag ---- */

bool
nictag_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > NICTAG_NAME_MAX)
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) &&
		    strchr("._", *name) == NULL)
			return false;
	return true;
}

/* As the kernel has them (dev_valid_name), and nothing that needs quoting. */
static bool
ifname_ok(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 15 || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return false;
	for (; *name != '\0'; name++)
		if (!isgraph((unsigned char)*name) ||
		    strchr("/:#", *name) != NULL)
			return false;
	return true;
}

int
nictag_check(const struct nictag *tag, struct error *err)
{
	if (!nictag_name_ok(tag->name))
		return error_set(err, EINVAL,
		    "NIC tag '%.64s': 1 to %d letters, digits, '.' and '_'",
		    tag->name, NICTAG_NAME_MAX);
	if (strcmp(tag->name, "slirp") == 0)
		return error_set(err, EINVAL,
		    "NIC tag slirp: global-nic slirp is a user-mode network; "
		    "choose another name");
	if (tag->kind == NICTAG_STUB ? strcmp(tag->target, "-") != 0
				     : !ifname_ok(tag->target))
		return error_set(err, EINVAL,
		    "NIC tag %s: '%.20s' is no name of an interface", tag->name,
		    tag->target);
	if (tag->mtu != 0 && (tag->mtu < MTU_LEAST || tag->mtu > MTU_MOST))
		return error_set(err, EINVAL,
		    "NIC tag %s: mtu %u: %d to %d can be", tag->name, tag->mtu,
		    MTU_LEAST, MTU_MOST);
	if (tag->kind != NICTAG_BRIDGE && strlen(tag->name) > 12)
		return error_set(err, EINVAL,
		    "NIC tag %s: its bridge would be nt_%s, longer than 15 "
		    "characters; choose a name of at most 12",
		    tag->name, tag->name);
	return 0;
}

void
nictag_bridge(const struct nictag *tag, char ret[16])
{
	if (tag->kind == NICTAG_BRIDGE)
		(void)str_format(ret, 16, "%s", tag->target);
	else
		(void)str_format(ret, 16, "nt_%s", tag->name);
}

/* ---- lines ---- */

/* The line's words, at most max; a line may be cut by '#'. */
static size_t
split(char *line, char **words, size_t max)
{
	char *save = NULL;
	size_t n = 0;

	line[strcspn(line, "#")] = '\0';
	for (char *w = strtok_r(line, " \t\r", &save); w != NULL;
	     w = strtok_r(NULL, " \t\r", &save)) {
		if (n == max)
			return max + 1;
		words[n++] = w;
	}
	return n;
}

/* 1: a tag; 0: nothing but a comment */
static int
parse_line(char *line, struct nictag *ret, struct error *err)
{
	char *words[4];
	size_t n = split(line, words, ARRAY_LEN(words)), k;
	uint64_t mtu = 0;

	if (n == 0)
		return 0;
	if (n < 3 || n > 4)
		return error_set(err, EINVAL, "TAG KIND TARGET MTU is a line");
	for (k = 0; k < ARRAY_LEN(kind_names); k++)
		if (strcmp(kind_names[k], words[1]) == 0)
			break;
	if (k == ARRAY_LEN(kind_names))
		return error_set(err, EINVAL,
		    "kind '%.32s': bridge, link and stub can be", words[1]);
	*ret = (struct nictag){ .kind = (enum nictag_kind)k };
	if (str_format(ret->name, sizeof(ret->name), "%s", words[0]) < 0 ||
	    str_format(ret->target, sizeof(ret->target), "%s", words[2]) < 0)
		return error_set(err, EINVAL, "'%.40s %.40s': a name too long",
		    words[0], words[2]);
	if (n == 4 && str_to_u64(words[3], 0, MTU_MOST, &mtu) < 0)
		return error_set(err, EINVAL, "mtu '%.20s': 0 to %d can be",
		    words[3], MTU_MOST);
	ret->mtu = (unsigned)mtu;
	return nictag_check(ret, err) < 0 ? -EINVAL : 1;
}

static int
add_parsed(struct nictags *tags, const struct nictag *tag, struct error *err)
{
	struct nictag *v;

	if (nictags_find(tags, tag->name) != NULL)
		return error_set(
		    err, EINVAL, "NIC tag %s is there twice", tag->name);
	if (tags->n == NICTAGS_MAX)
		return error_set(
		    err, E2BIG, "more than %d NIC tags", NICTAGS_MAX);
	v = alloc_resize(tags->v, tags->n + 1, sizeof(*v));
	if (v == NULL)
		return error_set(err, ENOMEM, "out of memory");
	tags->v = v;
	v[tags->n++] = *tag;
	return 0;
}

/* Call fn for each line, with the number; the text is taken apart. */
static int
parse(char *text, const char *path, struct nictags *ret, struct error *err)
{
	char *rest = text, *line;
	struct nictag tag;
	unsigned number = 0;
	int rc = 0;

	while (rc >= 0 && (line = strsep(&rest, "\n")) != NULL) {
		number++;
		rc = parse_line(line, &tag, err);
		if (rc == 1)
			rc = add_parsed(ret, &tag, err);
	}
	return rc < 0 ? error_prefix(err, "%s:%u", path, number) : 0;
}

/* ---- the file ---- */

static int
path_of(const char *root, const char *name, char *buf, struct error *err)
{
	return str_format(buf, PATH_BYTES, "%s/etc/zones/%s", root, name) < 0
	    ? error_set(err, ENAMETOOLONG, "root: path too long")
	    : 0;
}

static int
read_text(const char *path, struct buf *b, struct error *err)
{
	int rc = fd_read_file(AT_FDCWD, path, b);

	if (rc < 0 && rc != -ENOENT)
		return error_sys(err, -rc, "%s", path);
	if (buf_str(b) == NULL)
		return error_set(err, ENOMEM, "out of memory");
	return memchr(b->data, '\0', b->len) == NULL
	    ? 0
	    : error_set(err, EINVAL, "%s: it has NUL bytes", path);
}

int
nictags_parse(
    const char *text, const char *path, struct nictags *ret, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(text);
	struct nictags tags = { NULL };
	int rc;

	if (copy == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = parse(copy, path, &tags, err);
	if (rc < 0)
		nictags_free(&tags);
	else
		*ret = tags;
	return rc;
}

int
nictags_read(const char *root, struct nictags *ret, struct error *err)
{
	char path[PATH_BYTES];
	struct buf b;
	int rc;

	rc = path_of(root, "nictags", path, err);
	if (rc < 0)
		return rc;
	buf_init(&b, FILE_MAX);
	rc = read_text(path, &b, err);
	if (rc == 0)
		rc = nictags_parse((const char *)b.data, path, ret, err);
	buf_fini(&b);
	return rc;
}

void
nictags_free(struct nictags *tags)
{
	free(tags->v);
	*tags = (struct nictags){ NULL };
}

const struct nictag *
nictags_find(const struct nictags *tags, const char *name)
{
	for (size_t i = 0; i < tags->n; i++)
		if (strcmp(tags->v[i].name, name) == 0)
			return &tags->v[i];
	return NULL;
}

/* ---- changes ---- */

enum change { ADD, UPDATE, DELETE };

int
nictags_lock(const char *root, struct error *err)
{
	static const struct timespec nap = { .tv_nsec = 10000000 };
	char path[PATH_BYTES];
	int fd, rc;

	rc = path_of(root, "", path, err);
	if (rc < 0)
		return rc;
	for (char *p = path + strlen(root) + 1; *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			(void)mkdir(path, 0755);
			*p = '/';
		}
	rc = path_of(root, ".nictags.lock", path, err);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	for (int i = 0; (rc = fd_lock_ofd(fd, true)) == -EAGAIN; i++) {
		if (i == LOCK_SECONDS * 100)
			break;
		nanosleep(&nap, NULL);
	}
	if (rc == 0)
		return fd;
	close(fd);
	return rc == -EAGAIN
	    ? error_set(err, EBUSY,
		  "%s: another command holds the lock; try again", path)
	    : error_sys(err, -rc, "%s", path);
}

static bool
is_line_of(const char *line, size_t n, const char *name)
{
	char copy[512], *words[1];

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, line, n);
	copy[n] = '\0';
	return split(copy, words, 1) >= 1 && strcmp(words[0], name) == 0;
}

static void
put_line(struct buf *b, const struct nictag *tag)
{
	buf_printf(b, "%s %s %s %u\n", tag->name, kind_names[tag->kind],
	    tag->target, tag->mtu);
}

/* The old text with the tag's line replaced, added or left out. */
static void
rewrite(const struct buf *old, enum change what, const struct nictag *tag,
    struct buf *b)
{
	const char *line = (const char *)old->data, *next;
	size_t n;

	for (; *line != '\0'; line = next) {
		n = strcspn(line, "\n");
		next = line + n + (line[n] == '\n');
		if (!is_line_of(line, n, tag->name)) {
			buf_append(b, line, n);
			buf_put_u8(b, '\n');
		} else if (what == UPDATE) {
			put_line(b, tag);
		}
	}
	if (what == ADD)
		put_line(b, tag);
}

static int
change_text(const char *path, const struct buf *old, enum change what,
    const struct nictag *tag, struct error *err)
{
	struct nictags tags = { NULL };
	struct buf b;
	bool there;
	int rc;

	rc = nictags_parse((const char *)old->data, path, &tags, err);
	if (rc < 0)
		return rc;
	there = nictags_find(&tags, tag->name) != NULL;
	rc = tags.n == NICTAGS_MAX && what == ADD
	    ? error_set(err, E2BIG, "there are %d NIC tags, no more can be",
		  NICTAGS_MAX)
	    : 0;
	nictags_free(&tags);
	if (there && what == ADD)
		return error_set(
		    err, EEXIST, "NIC tag %s is there already", tag->name);
	if (!there && what != ADD)
		return error_set(
		    err, ENOENT, "there is no NIC tag '%.64s'", tag->name);
	if (rc < 0)
		return rc;
	buf_init(&b, FILE_MAX + 512);
	rewrite(old, what, tag, &b);
	rc = buf_error(&b);
	rc = rc < 0
	    ? error_sys(err, -rc, "%s", path)
	    : fd_write_file_atomic(AT_FDCWD, path, b.data, b.len, 0644, err);
	buf_fini(&b);
	return rc;
}

static int
change(const char *root, enum change what, const struct nictag *tag,
    struct error *err)
{
	cleanup_close int lock = -1;
	char path[PATH_BYTES];
	struct buf old;
	int rc;

	rc = what != DELETE ? nictag_check(tag, err) : 0;
	if (rc == 0)
		rc = path_of(root, "nictags", path, err);
	if (rc < 0)
		return rc;
	lock = nictags_lock(root, err);
	if (lock < 0)
		return lock;
	buf_init(&old, FILE_MAX);
	rc = read_text(path, &old, err);
	if (rc == 0)
		rc = change_text(path, &old, what, tag, err);
	buf_fini(&old);
	return rc;
}

int
nictag_add(const char *root, const struct nictag *tag, struct error *err)
{
	return change(root, ADD, tag, err);
}

int
nictag_update(const char *root, const struct nictag *tag, struct error *err)
{
	return change(root, UPDATE, tag, err);
}

int
nictag_delete(const char *root, const char *name, struct error *err)
{
	struct nictag tag = { .kind = NICTAG_STUB };

	if (!nictag_name_ok(name))
		return error_set(
		    err, ENOENT, "there is no NIC tag '%.64s'", name);
	(void)str_format(tag.name, sizeof(tag.name), "%s", name);
	return change(root, DELETE, &tag, err);
}
