/*
 * The configuration tree itself: making, finding and removing names. What the
 * values mean is config_check.c's matter, how the tree is read and written
 * config_load.c's.
 */
#include "base/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/config_impl.h"
#include "base/str.h"

struct config_node *
config_create(void)
{
	return alloc_zero(1, sizeof(struct config_node) + 1);
}

/* Depth is bounded by CONFIG_MAX_DEPTH, so recursion is as well. */
void
config_free(struct config_node *root)
{
	struct config_node *child, *next;

	if (root == NULL)
		return;
	for (child = root->first; child != NULL; child = next) {
		next = child->next;
		config_free(child);
	}
	free(root->value);
	free(root);
}

const struct config_node *
config_root(const struct config_node *node)
{
	while (node->parent != NULL)
		node = node->parent;
	return node;
}

const char *
config_name(const struct config_node *node)
{
	return node->name;
}

bool
config_is_value(const struct config_node *node)
{
	return node->value != NULL;
}

const struct config_node *
config_next(const struct config_node *parent, const struct config_node *child)
{
	return child == NULL ? parent->first : child->next;
}

/* Add as much of s as fits. */
static void
config_join_add(char *buf, size_t size, size_t *len, const char *s)
{
	size_t n = MIN(strlen(s), size - 1 - *len);

	memcpy(buf + *len, s, n);
	*len += n;
}

const char *
config_join(
    const struct config_node *node, const char *path, char *buf, size_t size)
{
	const struct config_node *chain[CONFIG_MAX_DEPTH + 1];
	size_t n = 0, len = 0;

	if (size == 0)
		return buf;
	for (; node->parent != NULL && n < ARRAY_LEN(chain);
	     node = node->parent)
		chain[n++] = node;
	while (n > 0) {
		config_join_add(buf, size, &len, chain[--n]->name);
		if (n > 0 || path != NULL)
			config_join_add(buf, size, &len, ".");
	}
	if (path != NULL)
		config_join_add(buf, size, &len, path);
	buf[len] = '\0';
	return buf;
}

const char *
config_path(const struct config_node *node, char *buf, size_t size)
{
	return config_join(node, NULL, buf, size);
}

struct config_node *
config_child(const struct config_node *node, const char *name, size_t len)
{
	struct config_node *child;

	for (child = node->first; child != NULL; child = child->next)
		if (strncmp(child->name, name, len) == 0 &&
		    child->name[len] == '\0')
			return child;
	return NULL;
}

struct config_node *
config_lookup(const struct config_node *node, const char *path)
{
	struct config_node *child = NULL;
	size_t len;

	for (;; path += len + 1) {
		len = strcspn(path, ".");
		child = config_child(node, path, len);
		if (child == NULL || path[len] == '\0')
			return child;
		node = child;
	}
}

struct config_node *
config_find_node(const struct config_node *node, const char *path)
{
	struct config_node *found = config_lookup(node, path);

	return found != NULL && found->value == NULL ? found : NULL;
}

const char *
config_get_raw(const struct config_node *node, const char *path)
{
	const struct config_node *found = config_lookup(node, path);

	return found != NULL ? found->value : NULL;
}

/*
 * Names go into references, files and paths of their own, so blanks, controls
 * and what those forms use for themselves stay out.
 */
static bool
config_name_ok(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f ||
		    strchr("=%()#", name[i]) != NULL)
			return false;
	return len > 0;
}

/* Check a path before anything is made of it. */
static int
config_path_ok(const struct config_node *node, const char *path)
{
	size_t len = strnlen(path, CONFIG_MAX_NAME);
	unsigned depth = 0;

	for (; node->parent != NULL; node = node->parent) {
		depth++;
		len += strlen(node->name) + 1;
	}
	if (len >= CONFIG_MAX_NAME)
		return -ENAMETOOLONG;
	for (;; path += len + 1) {
		len = strcspn(path, ".");
		if (!config_name_ok(path, len))
			return -EINVAL;
		if (++depth > CONFIG_MAX_DEPTH)
			return -ENAMETOOLONG;
		if (path[len] == '\0')
			return 0;
	}
}

static void
config_unlink(struct config_node *child)
{
	struct config_node *parent = child->parent;
	struct config_node **link = &parent->first, *prev = NULL;

	while (*link != child) {
		prev = *link;
		link = &prev->next;
	}
	*link = child->next;
	if (parent->last == child)
		parent->last = prev;
	parent->nchildren--;
}

static int
config_add_child(struct config_node *node, const char *name, size_t len,
    struct config_node **ret)
{
	struct config_node *child;

	if (node->nchildren >= CONFIG_MAX_CHILDREN)
		return -E2BIG;
	child = alloc_zero(1, sizeof(*child) + len + 1);
	if (child == NULL)
		return -ENOMEM;
	memcpy(child->name, name, len);
	child->parent = node;
	if (node->last != NULL)
		node->last->next = child;
	else
		node->first = child;
	node->last = child;
	node->nchildren++;
	*ret = child;
	return 0;
}

/*
 * Find or make what the path names. On failure nothing that was made on the
 * way stays. -ENOTDIR: the path leads through a value.
 */
static int
config_make(
    struct config_node *node, const char *path, struct config_node **ret)
{
	struct config_node *made = NULL, *child = NULL;
	size_t len;
	int rc;

	rc = config_path_ok(node, path);
	for (; rc == 0; path += len + 1) {
		len = strcspn(path, ".");
		if (node->value != NULL) {
			rc = -ENOTDIR;
			break;
		}
		child = config_child(node, path, len);
		if (child == NULL) {
			rc = config_add_child(node, path, len, &child);
			if (rc != 0)
				break;
			if (made == NULL)
				made = child;
		}
		if (path[len] == '\0')
			break;
		node = child;
	}
	if (rc == 0) {
		*ret = child;
	} else if (made != NULL) {
		config_unlink(made);
		config_free(made);
	}
	return rc;
}

struct config_node *
config_make_node(struct config_node *node, const char *path)
{
	struct config_node *found = NULL;

	if (config_make(node, path, &found) != 0 || found->value != NULL)
		return NULL;
	return found;
}

int
config_unset(struct config_node *node, const char *path)
{
	struct config_node *found = config_lookup(node, path);

	if (found == NULL)
		return -ENOENT;
	config_unlink(found);
	config_free(found);
	return 0;
}

static int
config_set_error(const struct config_node *node, const char *path, int code,
    struct error *err)
{
	char name[CONFIG_MAX_NAME];

	config_join(node, path, name, sizeof(name));
	switch (code) {
	case -EINVAL:
		return error_set(err, EINVAL,
		    "'%s' is no name of a setting: words joined by dots, "
		    "without blanks and =%%()#, are needed",
		    name);
	case -ENAMETOOLONG:
		return error_set(err, ENAMETOOLONG,
		    "'%.64s...': the name is longer than %d characters or "
		    "%d words",
		    name, CONFIG_MAX_NAME - 1, CONFIG_MAX_DEPTH);
	case -ENOTDIR:
		return error_set(err, EINVAL,
		    "%s: the name continues one that has a value", name);
	case -EISDIR:
		return error_set(
		    err, EINVAL, "%s: a group of settings, not a value", name);
	case -E2BIG:
		return error_set(err, E2BIG,
		    "%s: more than %d settings in one group", name,
		    CONFIG_MAX_CHILDREN);
	default:
		return error_sys(err, code, "cannot set %s", name);
	}
}

/* A value is one line of a dump. */
static bool
config_value_ok(const char *value)
{
	for (; *value != '\0'; value++)
		if (((unsigned char)*value < ' ' && *value != '\t') ||
		    *value == 0x7f)
			return false;
	return true;
}

int
config_set(struct config_node *node, const char *path, const char *value,
    struct error *err)
{
	struct config_node *found = NULL;
	char name[CONFIG_MAX_NAME], *copy;
	int rc;

	if (strnlen(value, CONFIG_MAX_VALUE) >= CONFIG_MAX_VALUE ||
	    !config_value_ok(value))
		return error_set(err, EINVAL,
		    "%s: the value holds control characters or is longer than "
		    "%d bytes",
		    config_join(node, path, name, sizeof(name)),
		    CONFIG_MAX_VALUE - 1);
	copy = alloc_strdup(value);
	if (copy == NULL)
		return config_set_error(node, path, -ENOMEM, err);
	found = config_lookup(node, path);
	if (found == NULL)
		rc = config_make(node, path, &found);
	else
		rc = found->value != NULL ? 0 : -EISDIR;
	if (rc != 0) {
		free(copy);
		return config_set_error(node, path, rc, err);
	}
	free(found->value);
	found->value = copy;
	return 0;
}

int
config_set_assignment(
    struct config_node *node, const char *text, struct error *err)
{
	const char *equals = strchr(text, '=');
	cleanup_free char *name = NULL;

	if (equals == NULL)
		return error_set(
		    err, EINVAL, "'%s': name=value is needed", text);
	name = alloc_strndup(text, (size_t)(equals - text));
	if (name == NULL)
		return error_sys(err, ENOMEM, "cannot set %s", text);
	return config_set(node, name, equals + 1, err);
}
