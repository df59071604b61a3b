/*
 * Finding rows of the table.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "zone/table.h"

#define MAX_NAMES 64

const struct zone_rtype *
zone_rtype_find(const char *name)
{
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

const struct zone_prop *
zone_prop_find(const struct zone_rtype *t, const char *name)
{
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

int
zone_rtype_get(
    const char *name, const struct zone_rtype **ret, struct error *err)
{
	const struct zone_rtype *t = zone_rtype_find(name);
	const char *names[MAX_NAMES];
	size_t n = 0;

	if (t != NULL) {
		*ret = t;
		return 0;
	}
	for (t = zone_rtypes + 1; t->name != NULL && n < MAX_NAMES; t++)
		names[n++] = t->name;
	error_set(err, ENOENT, "'%.64s' is no resource", name);
	error_add_hint(err, str_nearest(name, names, n));
	return -ENOENT;
}

int
zone_prop_get(const struct zone_rtype *t, const char *name,
    const struct zone_prop **ret, struct error *err)
{
	const struct zone_prop *p = zone_prop_find(t, name);
	const char *names[MAX_NAMES];
	size_t n = 0;

	if (p != NULL && (p->flags & ZP_HIDDEN) == 0) {
		*ret = p;
		return 0;
	}
	for (p = t->props; p->name != NULL && n < MAX_NAMES; p++)
		if ((p->flags & ZP_HIDDEN) == 0)
			names[n++] = p->name;
	error_set(err, ENOENT, "'%.64s' is no property of %s%s", name,
	    t == ZONE_GLOBAL ? "the zone" : "resource ",
	    t == ZONE_GLOBAL ? "" : t->name);
	error_add_hint(err, str_nearest(name, names, n));
	return -ENOENT;
}

size_t
zone_prop_index(const struct zone_rtype *t, const struct zone_prop *p)
{
	return (size_t)(p - t->props);
}

size_t
zone_prop_count(const struct zone_rtype *t)
{
	size_t n = 0;

	while (t->props[n].name != NULL)
		n++;
	return n;
}

size_t
zone_field_count(const struct zone_prop *p)
{
	size_t n = 0;

	if (p->fields == NULL)
		return 1;
	while (p->fields[n].name != NULL)
		n++;
	return n;
}

int
zone_field_find(const struct zone_prop *p, const char *name)
{
	for (int i = 0; p->fields != NULL && p->fields[i].name != NULL; i++)
		if (strcmp(p->fields[i].name, name) == 0)
			return i;
	return -1;
}

bool
zone_list_has(const char *list, char sep, const char *name)
{
	size_t n = strlen(name), len;

	for (const char *p = list; p != NULL; p += len + 1) {
		len = (size_t)(strchrnul(p, sep) - p);
		if (len == n && memcmp(p, name, n) == 0)
			return true;
		if (p[len] == '\0')
			break;
	}
	return false;
}

/*
 * OmniOS numbers some attributes; the plain name is the row's. A name that is
 * also a row of a resource that may appear many times is not an attr's.
 */
const struct zone_prop *
zone_attr_row(const char *attr, const struct zone_rtype **ret_type)
{
	for (const struct zone_rtype *t = zone_rtypes; t->name != NULL; t++) {
		if ((t->flags & ZR_SINGLE) == 0)
			continue;
		for (const struct zone_prop *p = t->props; p->name; p++)
			if (zone_list_has(p->aliases, ',', attr)) {
				*ret_type = t;
				return p;
			}
	}
	return NULL;
}

const struct zone_prop *
zone_pair_row(const struct zone_rtype *t, const char *name)
{
	if (strcmp(t->name, "device") == 0)
		t = zone_rtype_find("disk");
	if ((t->flags & ZR_SINGLE) != 0)
		return NULL;
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if (zone_list_has(p->aliases, ',', name))
			return p;
	return NULL;
}

/* The branded rows are ours: no old lexer knows them. */
bool
zone_is_keyword(const char *word)
{
	for (const struct zone_rtype *t = zone_rtypes; t->name != NULL; t++) {
		if ((t->flags & ZR_BRANDED) != 0)
			continue;
		if (strcmp(t->name, word) == 0)
			return true;
		for (const struct zone_prop *p = t->props; p->name; p++)
			if ((p->flags & (ZP_BRANDED | ZP_HIDDEN)) == 0 &&
			    strcmp(p->name, word) == 0)
				return true;
	}
	return false;
}

const char *
zone_type_name(enum zone_type type)
{
	static const char *const names[] = {
#define X(id, word, what) [ZONE_##id] = word,
		ZONE_TYPES(X)
#undef X
	};

	return names[type];
}

const char *
zone_type_what(enum zone_type type)
{
	static const char *const whats[] = {
#define X(id, word, what) [ZONE_##id] = what,
		ZONE_TYPES(X)
#undef X
	};

	return whats[type];
}
