/*
 * The index: lines of name:state:zonepath:uuid. A line that is not understood
 * is somebody else's, and stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/store.h"
#include "zone/type.h"

#define LINE_MAX_BYTES 8192

struct line {
	char *raw; /* without the newline; NULL for an entry */
	struct zone_entry entry;
};

struct zone_index {
	struct line *lines;
	size_t n;
};

static const char *const state_names[] = {
#define X(id, name) [ZONE_STATE_##id] = name,
	ZONE_STATES(X)
#undef X
};

const char *
zone_state_name(enum zone_state state)
{
	return state_names[state];
}

int
zone_state_parse(const char *name, enum zone_state *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
		if (strcmp(state_names[i], name) == 0) {
			*ret = (enum zone_state)i;
			return 0;
		}
	return -EINVAL;
}

void
zone_index_free(struct zone_index *ix)
{
	if (ix == NULL)
		return;
	for (size_t i = 0; i < ix->n; i++) {
		free(ix->lines[i].raw);
		free(ix->lines[i].entry.path);
	}
	free(ix->lines);
	free(ix);
}

/* Cut the next field off *s; a path with colons is in double quotes. */
static char *
take_field(char **s)
{
	char *start = *s, *end;

	if (start == NULL)
		return NULL;
	if (*start == '"') {
		end = strchr(++start, '"');
		if (end == NULL || (end[1] != ':' && end[1] != '\0'))
			return NULL;
		*end++ = '\0';
	} else {
		end = strchrnul(start, ':');
	}
	*s = *end == ':' ? end + 1 : NULL;
	*end = '\0';
	return start;
}

/* false: no entry */
static bool
parse_entry(char *text, struct zone_entry *e)
{
	const char *name = take_field(&text), *state, *path, *uuid;
	uint8_t bytes[16];

	state = take_field(&text);
	path = take_field(&text);
	uuid = take_field(&text);
	if (name == NULL || state == NULL || path == NULL ||
	    (strcmp(name, "global") != 0 && zone_name_check(name, NULL) != 0) ||
	    zone_state_parse(state, &e->state) != 0 ||
	    e->state > ZONE_STATE_INSTALLED || zone_text_check(path, NULL) != 0)
		return false;
	if (uuid != NULL && str_to_uuid(uuid, bytes) == 0)
		strcpy(e->uuid, uuid);
	strcpy(e->name, name);
	e->path = alloc_strdup(path);
	return e->path != NULL;
}

static int
add_line(struct zone_index *ix, const char *s, size_t n)
{
	struct line *grown, l = { .raw = alloc_strndup(s, n) };
	cleanup_free char *copy = alloc_strndup(s, n);

	if (l.raw == NULL || copy == NULL)
		goto failed;
	if (n > 0 && n <= LINE_MAX_BYTES && *s != '#' &&
	    parse_entry(copy, &l.entry)) {
		free(l.raw);
		l.raw = NULL;
	}
	grown = alloc_resize(ix->lines, ix->n + 1, sizeof(*grown));
	if (grown == NULL)
		goto failed;
	ix->lines = grown;
	grown[ix->n++] = l;
	return 0;
failed:
	free(l.raw);
	free(l.entry.path);
	return -ENOMEM;
}

struct zone_index *
zone_index_parse(const char *text, size_t len)
{
	struct zone_index *ix = alloc_zero(1, sizeof(*ix));
	size_t n, at = 0;

	while (ix != NULL && at < len) {
		n = strcspn(text + at, "\n");
		if (add_line(ix, text + at, n) != 0) {
			zone_index_free(ix);
			return NULL;
		}
		/* a NUL byte ends what is a text */
		if (text[at + n] != '\n')
			break;
		at += n + 1;
	}
	return ix;
}

size_t
zone_index_count(const struct zone_index *ix)
{
	size_t n = 0;

	for (size_t i = 0; i < ix->n; i++)
		n += ix->lines[i].raw == NULL;
	return n;
}

const struct zone_entry *
zone_index_at(const struct zone_index *ix, size_t i)
{
	for (size_t k = 0; k < ix->n; k++)
		if (ix->lines[k].raw == NULL && i-- == 0)
			return &ix->lines[k].entry;
	return NULL;
}

static size_t
line_of(const struct zone_index *ix, const char *name)
{
	size_t i = 0;

	while (i < ix->n &&
	    (ix->lines[i].raw != NULL ||
		strcmp(ix->lines[i].entry.name, name) != 0))
		i++;
	return i;
}

const struct zone_entry *
zone_index_find(const struct zone_index *ix, const char *name)
{
	size_t i = line_of(ix, name);

	return i < ix->n ? &ix->lines[i].entry : NULL;
}

const struct zone_entry *
zone_index_find_uuid(const struct zone_index *ix, const char *uuid)
{
	uint8_t want[16], have[16];

	if (str_to_uuid(uuid, want) != 0)
		return NULL;
	for (size_t i = 0; i < ix->n; i++)
		if (ix->lines[i].raw == NULL &&
		    str_to_uuid(ix->lines[i].entry.uuid, have) == 0 &&
		    memcmp(want, have, sizeof(want)) == 0)
			return &ix->lines[i].entry;
	return NULL;
}

int
zone_index_put(
    struct zone_index *ix, const char *old_name, const struct zone_entry *entry)
{
	size_t i = old_name != NULL ? line_of(ix, old_name) : ix->n;
	struct line *grown, l = { .entry = *entry };

	if (strcmp(entry->name, "global") == 0 ||
	    (old_name != NULL && strcmp(old_name, "global") == 0))
		return -EPERM;
	l.entry.path = alloc_strdup(entry->path);
	if (l.entry.path == NULL)
		return -ENOMEM;
	if (i < ix->n) {
		free(ix->lines[i].entry.path);
		ix->lines[i] = l;
		return 0;
	}
	grown = alloc_resize(ix->lines, ix->n + 1, sizeof(*grown));
	if (grown == NULL) {
		free(l.entry.path);
		return -ENOMEM;
	}
	ix->lines = grown;
	grown[ix->n++] = l;
	return 0;
}

int
zone_index_remove(struct zone_index *ix, const char *name)
{
	size_t i = line_of(ix, name);

	if (strcmp(name, "global") == 0)
		return -EPERM;
	if (i == ix->n)
		return -ENOENT;
	free(ix->lines[i].entry.path);
	memmove(&ix->lines[i], &ix->lines[i + 1],
	    (ix->n - i - 1) * sizeof(*ix->lines));
	ix->n--;
	return 0;
}

void
zone_index_write(const struct zone_index *ix, struct buf *b)
{
	const struct zone_entry *e;
	const char *quote;

	for (size_t i = 0; i < ix->n; i++) {
		if (ix->lines[i].raw != NULL) {
			buf_printf(b, "%s\n", ix->lines[i].raw);
			continue;
		}
		e = &ix->lines[i].entry;
		quote = strchr(e->path, ':') != NULL ? "\"" : "";
		buf_printf(b, "%s:%s:%s%s%s:%s\n", e->name,
		    zone_state_name(e->state), quote, e->path, quote, e->uuid);
	}
}
