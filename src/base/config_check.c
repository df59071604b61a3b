/*
 * The key tables at work: which names exist, what their values may be, and what
 * to tell somebody who got one wrong. Expansion of references is here as well,
 * since every typed read goes through it.
 */
#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/config_impl.h"
#include "base/str.h"

/* A reference that leads this deep is a loop in practice. */
#define EXPAND_MAX_DEPTH 16
/* References in all; values that double each other run into this. */
#define EXPAND_MAX_REFERENCES 256
/* Candidates for the nearest name; tables are shorter. */
#define NEAREST_MAX_ROWS 256

/* What does not change while one value is expanded. */
struct expansion {
	const struct config_node *root;
	const char *name; /* the setting that is read */
	struct buf *out;
	struct error *err;
	unsigned references;
};

static int expand_text(struct expansion *ex, const char *text, unsigned depth);

/* *text is behind "%("; step over the reference. */
static int
expand_reference(struct expansion *ex, const char **text, unsigned depth)
{
	const char *end = strchr(*text, ')');
	char name[CONFIG_MAX_NAME];
	const char *value;

	if (end == NULL || (size_t)(end - *text) >= sizeof(name))
		return error_set(ex->err, EINVAL,
		    "%s: '%%(' without a name and ')' after it (write %%%% for "
		    "a per cent sign)",
		    ex->name);
	memcpy(name, *text, (size_t)(end - *text));
	name[end - *text] = '\0';
	*text = end + 1;
	if (depth >= EXPAND_MAX_DEPTH ||
	    ++ex->references > EXPAND_MAX_REFERENCES)
		return error_set(ex->err, ELOOP,
		    "%s: too many references, or a circle of them, at %%(%s)",
		    ex->name, name);
	value = config_get_raw(ex->root, name);
	if (value == NULL)
		return error_set(ex->err, ENOENT,
		    "%s: refers to '%s', which is not set", ex->name, name);
	return expand_text(ex, value, depth + 1);
}

static int
expand_text(struct expansion *ex, const char *text, unsigned depth)
{
	const char *percent;
	int rc = 0;

	while (rc == 0 && (percent = strchr(text, '%')) != NULL) {
		buf_append(ex->out, text, (size_t)(percent - text));
		text = percent + 1;
		if (*text == '(') {
			text++;
			rc = expand_reference(ex, &text, depth);
		} else {
			/* "%%", or a per cent sign that means itself. */
			buf_put_u8(ex->out, '%');
			text += *text == '%';
		}
	}
	if (rc != 0)
		return rc;
	buf_append_str(ex->out, text);
	rc = buf_error(ex->out);
	if (rc == 0)
		return 0;
	return error_sys(ex->err, rc, "%s: cannot expand the value", ex->name);
}

int
config_expand(const struct config_node *node, const char *name,
    const char *text, struct buf *b, struct error *err)
{
	struct expansion ex = { config_root(node), name, b, err, 0 };

	return expand_text(&ex, text, 0);
}

/*
 * Does the component match the pattern's? Both end at a dot or the end. '*' is
 * one number or identifier.
 */
static bool
component_match(const char *pattern, const char *name)
{
	size_t plen = strcspn(pattern, "."), len = strcspn(name, ".");

	if (plen == 1 && *pattern == '*') {
		for (size_t i = 0; i < len; i++)
			if (!isalnum((unsigned char)name[i]) &&
			    name[i] != '_' && name[i] != '-')
				return false;
		return len > 0;
	}
	return plen == len && memcmp(pattern, name, len) == 0;
}

/*
 * How far the path follows the pattern, component by component; where each
 * stands then ("" at its end).
 */
static unsigned
path_follow(const char **pattern, const char **path)
{
	unsigned n = 0;

	while (**pattern != '\0' && **path != '\0' &&
	    component_match(*pattern, *path)) {
		*pattern += strcspn(*pattern, ".");
		*pattern += **pattern == '.';
		*path += strcspn(*path, ".");
		*path += **path == '.';
		n++;
	}
	return n;
}

static bool
path_match(const char *pattern, const char *path)
{
	path_follow(&pattern, &path);
	return *pattern == '\0' && *path == '\0';
}

static const struct config_key *
key_find(const struct config_key *keys, const char *path)
{
	for (; keys->name != NULL; keys++)
		if (path_match(keys->name, path))
			return keys;
	return NULL;
}

/* The index of the alternative, or -1. */
static int
enum_index(const char *range, const char *value)
{
	size_t len = strlen(value), alt;

	for (int i = 0; range != NULL; i++) {
		alt = strcspn(range, "|");
		if (alt == len && memcmp(range, value, len) == 0)
			return i;
		if (range[alt] == '\0')
			break;
		range += alt + 1;
	}
	return -1;
}

static int
enum_error(const struct config_key *key, const char *name, const char *value,
    struct error *err)
{
	const char *alts[32];
	size_t n = 0;
	char *text, *save = NULL;
	int rc;

	rc = error_set(err, EINVAL, "%s: '%s' is not one of %s", name, value,
	    key->range != NULL ? key->range : "(nothing)");
	text = key->range != NULL ? alloc_strdup(key->range) : NULL;
	if (text != NULL) {
		for (char *p = strtok_r(text, "|", &save);
		     p != NULL && n < ARRAY_LEN(alts);
		     p = strtok_r(NULL, "|", &save))
			alts[n++] = p;
		error_add_hint(err, str_nearest(value, alts, n));
		free(text);
	}
	return rc;
}

/* Split "min..max"; each in the syntax of the key's own values. */
static int
key_range(const struct config_key *key, uint64_t *ret_min, uint64_t *ret_max)
{
	const char *dots;
	char low[32];
	int rc;

	*ret_min = 0;
	*ret_max = UINT64_MAX;
	if (key->range == NULL)
		return 0;
	dots = strstr(key->range, "..");
	if (dots == NULL)
		return -EINVAL;
	rc = str_format(
	    low, sizeof(low), "%.*s", (int)(dots - key->range), key->range);
	if (rc == 0)
		rc = str_to_size(low, 1, ret_min);
	if (rc == 0)
		rc = str_to_size(dots + 2, 1, ret_max);
	return rc;
}

static int
number_check(const struct config_key *key, const char *name, const char *value,
    uint64_t *ret, struct error *err)
{
	bool size = key->type == CONFIG_SIZE;
	uint64_t min, max, v = 0;
	int rc;

	rc = key_range(key, &min, &max);
	if (rc != 0)
		return error_set(err, rc,
		    "%s: the key table's range '%s' is malformed", name,
		    key->range);
	if (size)
		rc = str_to_size(value, key->unit, &v);
	else
		rc = str_to_u64(value, 0, UINT64_MAX, &v);
	if (rc == -EINVAL)
		return error_set(err, EINVAL, "%s: '%s' is not a %s", name,
		    value,
		    size ? "size (a number, with K, M, G or T after it)"
			 : "number");
	if (rc != 0 || v < min || v > max) {
		if (key->range == NULL)
			return error_set(
			    err, ERANGE, "%s: %s is too big", name, value);
		return error_set(err, ERANGE, "%s: %s is not in %s", name,
		    value, key->range);
	}
	*ret = v;
	return 0;
}

/*
 * Check an expanded value against its row. *ret: the number, truth value or
 * index, where the type has one.
 */
static int
value_check(const struct config_key *key, const char *name, const char *value,
    uint64_t *ret, struct error *err)
{
	uint8_t raw[16];
	bool flag = false;
	int index;

	switch (key->type) {
	case CONFIG_STRING:
		return 0;
	case CONFIG_PATH:
		if (*value != '\0')
			return 0;
		return error_set(err, EINVAL, "%s: a path is needed", name);
	case CONFIG_BOOL:
		if (str_to_bool(value, &flag) != 0)
			return error_set(err, EINVAL,
			    "%s: '%s' is neither true, on, yes, 1 nor false, "
			    "off, no, 0",
			    name, value);
		*ret = flag;
		return 0;
	case CONFIG_UINT:
	case CONFIG_SIZE:
		return number_check(key, name, value, ret, err);
	case CONFIG_ENUM:
		index = enum_index(key->range, value);
		if (index < 0)
			return enum_error(key, name, value, err);
		*ret = (uint64_t)index;
		return 0;
	case CONFIG_MAC:
		if (str_to_mac(value, raw) == 0)
			return 0;
		return error_set(err, EINVAL,
		    "%s: '%s' is not a MAC address such as 58:9c:fc:00:11:22",
		    name, value);
	case CONFIG_UUID:
		if (str_to_uuid(value, raw) == 0)
			return 0;
		return error_set(err, EINVAL,
		    "%s: '%s' is not a UUID of 8-4-4-4-12 hex digits", name,
		    value);
	}
	return error_set(
	    err, EINVAL, "%s: the key table's type is malformed", name);
}

/* The common part of the typed reads; *ret_text is the caller's. */
static int
config_read(const struct config_node *node, const struct config_key *keys,
    const char *path, const struct config_key **ret_key, char **ret_text,
    uint64_t *ret, struct error *err)
{
	const struct config_key *key = key_find(keys, path);
	const char *raw = config_get_raw(node, path);
	char name[CONFIG_MAX_NAME];
	struct buf b;
	int rc;

	config_join(node, path, name, sizeof(name));
	if (key == NULL)
		return error_set(
		    err, EINVAL, "%s: the setting is in no key table", name);
	if (raw == NULL)
		raw = key->dflt;
	if (raw == NULL)
		return error_set(err, ENOENT, "%s: is not set", name);
	buf_init(&b, CONFIG_MAX_VALUE);
	rc = config_expand(node, name, raw, &b, err);
	if (rc == 0 && buf_str(&b) == NULL)
		rc = error_sys(err, buf_error(&b), "%s", name);
	if (rc == 0)
		rc = value_check(key, name, (char *)b.data, ret, err);
	if (rc != 0) {
		buf_fini(&b);
		return rc;
	}
	*ret_key = key;
	*ret_text = (char *)b.data;
	return 0;
}

static int
config_type_error(
    const struct config_node *node, const char *path, struct error *err)
{
	char name[CONFIG_MAX_NAME];

	return error_set(err, EINVAL,
	    "%s: read as another type than its key table says",
	    config_join(node, path, name, sizeof(name)));
}

int
config_get_str(const struct config_node *node, const struct config_key *keys,
    const char *path, char **ret, struct error *err)
{
	const struct config_key *key;
	uint64_t v;

	return config_read(node, keys, path, &key, ret, &v, err);
}

int
config_get_bool(const struct config_node *node, const struct config_key *keys,
    const char *path, bool *ret, struct error *err)
{
	cleanup_free char *text = NULL;
	const struct config_key *key = NULL;
	uint64_t v = 0;
	int rc;

	rc = config_read(node, keys, path, &key, &text, &v, err);
	if (rc != 0)
		return rc;
	if (key->type != CONFIG_BOOL)
		return config_type_error(node, path, err);
	*ret = v != 0;
	return 0;
}

int
config_get_uint(const struct config_node *node, const struct config_key *keys,
    const char *path, uint64_t *ret, struct error *err)
{
	cleanup_free char *text = NULL;
	const struct config_key *key = NULL;
	uint64_t v = 0;
	int rc;

	rc = config_read(node, keys, path, &key, &text, &v, err);
	if (rc != 0)
		return rc;
	if (key->type != CONFIG_UINT && key->type != CONFIG_SIZE &&
	    key->type != CONFIG_ENUM)
		return config_type_error(node, path, err);
	*ret = v;
	return 0;
}

/* One check of a subtree. */
struct check {
	const struct config_node *top;
	const struct config_key *const *tables;
	const char *const *skip;
	struct error *err;
};

/* Write the row's name with the wildcards that the path fills filled. */
static void
key_instantiate(const char *pattern, const char *path, char *buf, size_t size)
{
	size_t plen, len;
	struct buf b;

	buf_init(&b, size - 1);
	for (; *pattern != '\0';) {
		plen = strcspn(pattern, ".");
		len = strcspn(path, ".");
		if (len > 0 && component_match(pattern, path))
			buf_append(&b, path, len);
		else
			buf_append(&b, pattern, plen);
		path += len + (path[len] == '.');
		pattern += plen;
		if (*pattern == '.') {
			buf_put_u8(&b, '.');
			pattern++;
		}
	}
	if (buf_str(&b) != NULL)
		memcpy(buf, b.data, b.len + 1);
	else
		buf[0] = '\0';
	buf_fini(&b);
}

/* Names to choose the nearest from; 'texts' holds those made up. */
struct candidates {
	const char *names[NEAREST_MAX_ROWS];
	char texts[NEAREST_MAX_ROWS][64];
	size_t n;
};

/* The last words of rows whose other words the path has. */
static void
candidates_add_last(
    struct candidates *c, const struct config_key *keys, const char *path)
{
	const char *pattern, *rest;

	for (; keys->name != NULL && c->n < NEAREST_MAX_ROWS; keys++) {
		pattern = keys->name;
		rest = path;
		path_follow(&pattern, &rest);
		if (*pattern != '\0' && *pattern != '*' &&
		    strchr(pattern, '.') == NULL && strchr(rest, '.') == NULL)
			c->names[c->n++] = pattern;
	}
}

static void
candidates_add_whole(
    struct candidates *c, const struct config_key *keys, const char *path)
{
	for (; keys->name != NULL && c->n < NEAREST_MAX_ROWS; keys++) {
		key_instantiate(
		    keys->name, path, c->texts[c->n], sizeof(c->texts[0]));
		c->names[c->n] = c->texts[c->n];
		c->n++;
	}
}

/*
 * Name what was probably meant: a name of the same group, else the nearest
 * whole name.
 */
static void
check_hint(const struct check *ck, const char *path)
{
	const char *dot = strrchr(path, '.'), *near;
	struct candidates c;

	c.n = 0;
	for (size_t t = 0; ck->tables[t] != NULL; t++)
		candidates_add_last(&c, ck->tables[t], path);
	near = str_nearest(dot != NULL ? dot + 1 : path, c.names, c.n);
	if (near == NULL) {
		c.n = 0;
		for (size_t t = 0; ck->tables[t] != NULL; t++)
			candidates_add_whole(&c, ck->tables[t], path);
		near = str_nearest(path, c.names, c.n);
	}
	error_add_hint(ck->err, near);
}

/* Is the path the beginning of some row's name? */
static bool
check_is_group(const struct check *ck, const char *path)
{
	const char *pattern, *rest;

	for (size_t t = 0; ck->tables[t] != NULL; t++) {
		for (const struct config_key *key = ck->tables[t];
		     key->name != NULL; key++) {
			pattern = key->name;
			rest = path;
			if (path_follow(&pattern, &rest) > 0 && *rest == '\0')
				return true;
		}
	}
	return false;
}

static int
check_unknown(const struct check *ck, const char *path, const char *name)
{
	int rc;

	if (check_is_group(ck, path))
		return error_set(ck->err, EINVAL,
		    "%s: a group of settings, not a value", name);
	rc = error_set(ck->err, EINVAL, "%s: no such setting", name);
	if (ck->err != NULL)
		check_hint(ck, path);
	return rc;
}

/* path: the value's name relative to the checked node. */
static int
check_value(
    const struct check *ck, const struct config_node *node, const char *path)
{
	const struct config_key *key = NULL;
	char name[CONFIG_MAX_NAME];
	struct buf b;
	uint64_t v;
	int rc;

	config_path(node, name, sizeof(name));
	for (size_t t = 0; key == NULL && ck->tables[t] != NULL; t++)
		key = key_find(ck->tables[t], path);
	if (key == NULL)
		return check_unknown(ck, path, name);
	buf_init(&b, CONFIG_MAX_VALUE);
	rc = config_expand(node, name, node->value, &b, ck->err);
	if (rc == 0 && buf_str(&b) == NULL)
		rc = error_sys(ck->err, buf_error(&b), "%s", name);
	if (rc == 0)
		rc = value_check(key, name, (char *)b.data, &v, ck->err);
	buf_fini(&b);
	return rc;
}

static bool
check_skipped(const struct check *ck, const char *path)
{
	for (size_t i = 0; ck->skip != NULL && ck->skip[i] != NULL; i++)
		if (path_match(ck->skip[i], path))
			return true;
	return false;
}

static int
check_children(const struct check *ck, const struct config_node *node)
{
	const struct config_node *child;
	char name[CONFIG_MAX_NAME], *path;
	size_t prefix;
	int rc = 0;

	config_path(ck->top, name, sizeof(name));
	prefix = strlen(name) + (ck->top->parent != NULL);
	for (child = node->first; rc == 0 && child != NULL;
	     child = child->next) {
		config_path(child, name, sizeof(name));
		path = name + prefix;
		if (check_skipped(ck, path))
			continue;
		if (child->value != NULL)
			rc = check_value(ck, child, path);
		else
			rc = check_children(ck, child);
	}
	return rc;
}

int
config_check(const struct config_node *node,
    const struct config_key *const *tables, const char *const *skip,
    struct error *err)
{
	struct check ck = { node, tables, skip, err };

	return check_children(&ck, node);
}
