/*
 * The configuration tree from and to other forms: files, dumps, name-value
 * lists.
 */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/config_impl.h"
#include "base/fd.h"
#include "base/str.h"

#define FILE_MAX_BYTES MiB

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cut blanks off both ends, in place. */
static char *
trim(char *s)
{
	size_t n;

	while (is_blank(*s))
		s++;
	for (n = strlen(s); n > 0 && is_blank(s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

static int
config_load_line(struct config_node *node, char *line, struct error *err)
{
	char *equals;

	line = trim(line);
	if (*line == '\0' || *line == '#')
		return 0;
	equals = strchr(line, '=');
	if (equals == NULL)
		return error_set(
		    err, EINVAL, "'%s': name=value is needed", line);
	*equals = '\0';
	return config_set(node, trim(line), trim(equals + 1), err);
}

/* text: NUL-terminated, n bytes before the NUL; changed on the way. */
static int
config_load_text(struct config_node *node, const char *file, char *text,
    size_t n, struct error *err)
{
	unsigned number = 1;
	char *next;

	if (strlen(text) != n)
		return error_set(err, EINVAL, "%s: is not a text file", file);
	for (; text != NULL; text = next, number++) {
		next = strchr(text, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (config_load_line(node, text, err) != 0)
			return error_prefix(err, "%s:%u", file, number);
	}
	return 0;
}

int
config_load_file(struct config_node *node, const char *file, struct error *err)
{
	/* error_prefix() needs an error to work on. */
	struct error own = ERROR_INIT;
	struct buf b;
	int rc;

	if (err == NULL)
		err = &own;
	buf_init(&b, FILE_MAX_BYTES);
	rc = fd_read_file(AT_FDCWD, file, &b);
	if (rc == 0 && buf_str(&b) == NULL)
		rc = buf_error(&b);
	if (rc != 0)
		rc = error_sys(err, rc, "cannot read %s", file);
	else
		rc = config_load_text(node, file, (char *)b.data, b.len, err);
	buf_fini(&b);
	return rc;
}

/* The lines of a dump before they are sorted. */
struct dump {
	char **lines;
	size_t n;
	size_t cap;
};

static int
dump_add(struct dump *d, const struct config_node *node)
{
	char name[CONFIG_MAX_NAME];
	struct buf b;
	char **lines;
	int rc;

	if (d->n == d->cap) {
		lines = alloc_resize(d->lines, d->cap * 2 + 16, sizeof(*lines));
		if (lines == NULL)
			return -ENOMEM;
		d->lines = lines;
		d->cap = d->cap * 2 + 16;
	}
	buf_init(&b, CONFIG_MAX_NAME + CONFIG_MAX_VALUE);
	config_path(node, name, sizeof(name));
	buf_printf(&b, "%s=", name);
	rc = config_expand(node, name, node->value, &b, NULL);
	if (rc == 0 && buf_str(&b) == NULL)
		rc = buf_error(&b);
	if (rc != 0)
		buf_fini(&b);
	else
		d->lines[d->n++] = (char *)b.data;
	return rc;
}

static int
dump_walk(struct dump *d, const struct config_node *node)
{
	int rc = 0;

	for (const struct config_node *child = node->first;
	     rc == 0 && child != NULL; child = child->next) {
		if (child->value != NULL)
			rc = dump_add(d, child);
		else
			rc = dump_walk(d, child);
	}
	return rc;
}

static int
dump_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
config_dump(const struct config_node *node, struct buf *b)
{
	struct dump d = { NULL, 0, 0 };
	size_t before = b->len;
	int rc;

	rc = dump_walk(&d, node);
	if (rc == 0 && d.n > 0)
		qsort(d.lines, d.n, sizeof(*d.lines), dump_compare);
	for (size_t i = 0; i < d.n; i++) {
		if (rc == 0) {
			buf_append_str(b, d.lines[i]);
			rc = buf_put_u8(b, '\n');
		}
		free(d.lines[i]);
	}
	free(d.lines);
	if (rc != 0)
		b->len = before;
	return rc;
}

int
config_to_nvlist(const struct config_node *node, struct nvlist **ret)
{
	struct nvlist *nvl, *sub = NULL;
	int rc = 0;

	nvl = nvlist_create();
	if (nvl == NULL)
		return -ENOMEM;
	for (const struct config_node *child = node->first;
	     rc == 0 && child != NULL; child = child->next) {
		if (child->value != NULL) {
			rc = nvlist_add_str(nvl, child->name, child->value);
			continue;
		}
		rc = config_to_nvlist(child, &sub);
		if (rc == 0) {
			rc = nvlist_add_list(nvl, child->name, sub);
			nvlist_free(sub);
		}
	}
	if (rc != 0) {
		nvlist_free(nvl);
		return rc;
	}
	*ret = nvl;
	return 0;
}

static int
config_from_pair(
    struct config_node *node, const struct nvpair *pair, struct error *err)
{
	const char *name = nvpair_name(pair), *value = NULL;
	const struct nvlist *sub = NULL;
	char full[CONFIG_MAX_NAME];
	struct config_node *child;

	config_join(node, name, full, sizeof(full));
	/* A dot would let one list write into another's names. */
	if (strchr(name, '.') != NULL)
		return error_set(err, EINVAL,
		    "'%s': a name in a list cannot hold a dot", full);
	if (nvpair_get_str(pair, &value) == 0)
		return config_set(node, name, value, err);
	if (nvpair_get_list(pair, &sub) != 0)
		return error_set(
		    err, EINVAL, "%s: is neither a text nor a list", full);
	child = config_make_node(node, name);
	if (child == NULL)
		return error_set(err, EINVAL,
		    "%s: cannot be made a group of settings", full);
	return config_from_nvlist(child, sub, err);
}

int
config_from_nvlist(
    struct config_node *node, const struct nvlist *nvl, struct error *err)
{
	const struct nvpair *pair = NULL;
	int rc = 0;

	while (rc == 0 && (pair = nvlist_next(nvl, pair)) != NULL)
		rc = config_from_pair(node, pair, err);
	return rc;
}
