/*
 * JSON and texts: a document read, a value written as the configuration keeps
 * it and back, a word of a command line as what its property takes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "manifest/impl.h"
#include "zone/type.h"

int
manifest_load(const void *text, size_t n, json_t **ret, struct error *err)
{
	json_error_t e;
	json_t *v;

	if (n > MANIFEST_MAX)
		return error_set(
		    err, EFBIG, "JSON of more than %u MiB", MANIFEST_MAX >> 20);
	v = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
	if (v == NULL)
		return error_set(err, EINVAL, "line %d, column %d: %s", e.line,
		    e.column, e.text);
	*ret = v;
	return 0;
}

/* ---- to the configuration ---- */

static char *
number_text(const struct row *r, json_int_t n)
{
	char text[40];

	/* a plain number from 1 Mi on would count bytes */
	if (r->unit == UNIT_MIB || (r->unit == UNIT_RAM && n >= (1 << 20)))
		snprintf(text, sizeof(text), "%lldM", (long long)n);
	else if (r->unit == UNIT_CENTI && n == 0)
		text[0] = '\0'; /* no limit */
	else if (r->unit == UNIT_CENTI)
		snprintf(text, sizeof(text), "%lld.%02lld",
		    (long long)(n / 100), (long long)(n % 100));
	else
		snprintf(text, sizeof(text), "%lld", (long long)n);
	return alloc_strdup(text);
}

static char *
joined(const json_t *list)
{
	const json_t *v;
	char *text = NULL;
	struct buf b;
	size_t i;

	buf_init(&b, ZONE_VALUE_MAX + 1);
	json_array_foreach(list, i, v)
	{
		buf_printf(&b, "%s%s", i > 0 ? "," : "", json_string_value(v));
	}

	if (buf_str(&b) != NULL)
		text = alloc_strdup((char *)b.data);
	buf_fini(&b);
	return text;
}

char *
row_text(const struct row *r, const json_t *v)
{
	if (json_is_boolean(v))
		return alloc_strdup(json_is_true(v) ? "true" : "false");
	if (json_is_integer(v))
		return number_text(r, json_integer_value(v));
	if (json_is_array(v))
		return joined(v);
	return alloc_strdup(json_is_string(v) ? json_string_value(v) : "");
}

/* ---- and back ---- */

static json_t *
split(const char *text)
{
	json_t *list = json_array();
	size_t n;

	for (; *text != '\0'; text += n + (text[n] == ',')) {
		text += strspn(text, " ");
		n = strcspn(text, ",");
		if (n > 0)
			json_array_append_new(list, json_stringn(text, n));
	}
	return list;
}

static json_t *
number_json(const struct row *r, const char *text)
{
	struct zone_topology t;
	uint64_t n = 0;
	int rc;

	switch (r->unit) {
	case UNIT_MIB:
	case UNIT_RAM:
		rc = zone_type_number(
		    r->unit == UNIT_RAM ? ZONE_RAM : ZONE_SIZE, 1, text, &n);
		n = (n + MiB - 1) / MiB;
		break;
	case UNIT_CENTI:
		rc = zone_type_number(ZONE_CPUS, 100, text, &n);
		break;
	case UNIT_CPUS:
		rc = zone_topology_parse(text, &t, NULL);
		n = rc == 0 ? t.cpus : 0;
		break;
	case UNIT_PLAIN:
	default:
		if (text[0] == '-' && text[1] != '-')
			return str_to_u64(text + 1, 0, INT64_MAX, &n) == 0
			    ? json_integer(-(json_int_t)n)
			    : NULL;
		rc = str_to_u64(text, 0, INT64_MAX, &n);
		break;
	}
	return rc == 0 && n <= INT64_MAX ? json_integer((json_int_t)n) : NULL;
}

json_t *
row_json(const struct row *r, const char *text)
{
	bool on = false;

	switch (r->p.type) {
	case MANIFEST_BOOL:
		return str_to_bool(text, &on) == 0 ? json_boolean(on) : NULL;
	case MANIFEST_INT:
		return number_json(r, text);
	case MANIFEST_LIST:
		return split(text);
	case MANIFEST_MAP:
		return json_loads(text, 0, NULL);
	case MANIFEST_STRING:
	case MANIFEST_UUID:
	case MANIFEST_ITEMS:
		break;
	}
	return json_string(text);
}

/* ---- words of a command line ---- */

static int
bad(struct error *err, const char *prop, const char *value, const struct row *r)
{
	return error_set(err, EINVAL, "%s: '%.128s' is no %s", prop, value,
	    manifest_type_name(r->p.type));
}

int
manifest_add_text(
    json_t *payload, const char *prop, const char *value, struct error *err)
{
	const struct row *r = row_find("", prop);
	json_t *v = NULL;

	/* objects and arrays are JSON; what is unknown is told by the check */
	if (value[0] == '{' || value[0] == '[')
		v = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
	else if (r == NULL || r->p.type == MANIFEST_STRING ||
	    r->p.type == MANIFEST_UUID)
		v = json_string(value);
	else if (r->p.type == MANIFEST_LIST)
		v = split(value);
	else if (r->p.type == MANIFEST_BOOL && strcmp(value, "true") == 0)
		v = json_true();
	else if (r->p.type == MANIFEST_BOOL && strcmp(value, "false") == 0)
		v = json_false();
	else if (r->p.type == MANIFEST_INT)
		v = number_json(&(struct row){ .unit = UNIT_PLAIN }, value);
	if (v == NULL && r != NULL)
		return bad(err, prop, value, r);
	if (v == NULL)
		return error_set(
		    err, EINVAL, "%s: '%.128s' is no JSON", prop, value);
	if (json_object_set_new(payload, prop, v) != 0)
		return error_set(err, EINVAL, "'%.64s' is no name", prop);
	return 0;
}
