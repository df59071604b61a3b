/*
 * Is a manifest right? Everything that is wrong is said in one answer, so that
 * nobody has to try again for each mistake.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "manifest/impl.h"
#include "zone/type.h"

#define FAULTS_MAX 1000 /* of each kind; more help nobody */
#define MAP_MAX 4096 /* members */

int
manifest_faults_init(struct manifest_faults *f)
{
	*f = (struct manifest_faults){
		.bad_properties = json_array(),
		.bad_values = json_array(),
		.missing_properties = json_array(),
		.why = json_array(),
	};
	if (f->bad_properties != NULL && f->bad_values != NULL &&
	    f->missing_properties != NULL && f->why != NULL)
		return 0;
	manifest_faults_fini(f);
	return -ENOMEM;
}

void
manifest_faults_fini(struct manifest_faults *f)
{
	json_decref(f->bad_properties);
	json_decref(f->bad_values);
	json_decref(f->missing_properties);
	json_decref(f->why);
	*f = (struct manifest_faults){ NULL };
}

bool
manifest_faults_any(const struct manifest_faults *f)
{
	return json_array_size(f->why) > 0;
}

json_t *
manifest_faults_json(const struct manifest_faults *f)
{
	const struct {
		const char *name;
		json_t *list;
	} lists[] = {
		{ "bad_properties", f->bad_properties },
		{ "bad_values", f->bad_values },
		{ "missing_properties", f->missing_properties },
		{ "why", f->why },
	};
	json_t *out = json_object();

	if (f->bad_brand[0] != '\0')
		json_object_set_new(
		    out, "bad_brand", json_string(f->bad_brand));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (json_array_size(lists[i].list) > 0)
			json_object_set(out, lists[i].name, lists[i].list);
	return out;
}

/* ---- telling ---- */

/* Any text, made harmless, cut at a character's end. */
static json_t *
json_text(const char *text)
{
	cleanup_free char *copy = alloc_strdup(text);
	json_t *v = NULL;

	if (copy != NULL)
		str_harmless(copy);
	for (size_t n = copy != NULL ? strlen(copy) : 0; copy != NULL; n--) {
		copy[n] = '\0';
		v = json_string(copy);
		if (v != NULL || n == 0)
			break;
	}
	return v;
}

static bool
listed(const json_t *list, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		if (strcmp(json_string_value(v), name) == 0)
			return true;
	}

	return false;
}

void
fault(struct check *c, enum fault_kind kind, const char *name, const char *fmt,
    ...)
{
	json_t *const lists[] = {
		[FAULT_PROPERTY] = c->f->bad_properties,
		[FAULT_VALUE] = c->f->bad_values,
		[FAULT_MISSING] = c->f->missing_properties,
		[FAULT_BRAND] = NULL,
	};
	char full[192], why[512];
	size_t n;
	va_list ap;

	snprintf(full, sizeof(full), "%s%.100s", c->where, name);
	n = (size_t)snprintf(why, sizeof(why), "%s: ", full);
	va_start(ap, fmt);
	vsnprintf(why + n, sizeof(why) - n, fmt, ap);
	va_end(ap);
	if (json_array_size(c->f->why) >= FAULTS_MAX)
		return;
	if (json_array_append_new(c->f->why, json_text(why)) != 0 ||
	    (lists[kind] != NULL && !listed(lists[kind], full) &&
		json_array_append_new(lists[kind], json_text(full)) != 0))
		c->no_memory = true;
}

/* ---- single values ---- */

/* A number's form as people would write it, cut. */
static void
shown(const json_t *v, char text[72])
{
	char *dump = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

	snprintf(text, 72, "%.64s", dump != NULL ? dump : "?");
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	free(dump);
}

static bool
wrong(struct check *c, const struct row *r, const json_t *v, const char *want)
{
	char text[72];

	shown(v, text);
	fault(c, FAULT_VALUE, r->p.name, "%s is not %s", text, want);
	return false;
}

static bool
check_int(struct check *c, const struct row *r, const json_t *v)
{
	json_int_t min = INT64_MIN, max = INT64_MAX, n;
	char want[96];

	row_range(r->p.range, &min, &max);
	if (!json_is_integer(v))
		return wrong(c, r, v, "a whole number");
	n = json_integer_value(v);
	if (n >= min && n <= max)
		return true;
	snprintf(want, sizeof(want), "in %s", r->p.range);
	return wrong(c, r, v, want);
}

/* Whatever goes into a configuration must be able to stand there. */
static bool
check_text(struct check *c, const struct row *r, const json_t *v)
{
	const char *text = json_string_value(v);
	struct error err = ERROR_INIT;
	char want[96];

	if (text == NULL)
		return wrong(c, r, v, "a string");
	if (strlen(text) != json_string_length(v))
		return wrong(c, r, v, "a text: it holds a NUL byte");
	if (zone_text_check(text, &err) < 0) {
		fault(c, FAULT_VALUE, r->p.name, "%s", err.text);
		return false;
	}
	if (r->p.range != NULL && !zone_list_has(r->p.range, '|', text)) {
		snprintf(want, sizeof(want), "%s", r->p.range);
		return wrong(c, r, v, want);
	}
	if (r->ok != NULL && text[0] != '\0' && !r->ok(text))
		return wrong(c, r, v, r->what);
	return true;
}

static bool
check_uuid(struct check *c, const struct row *r, json_t *v)
{
	const char *text = json_string_value(v);
	char low[40];
	uint8_t bytes[16];

	if (text == NULL || strlen(text) != 36 || str_to_uuid(text, bytes) != 0)
		return wrong(c, r, v, "a UUID");
	for (size_t i = 0; i <= 36; i++)
		low[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] | 32
								 : text[i]);
	if (strcmp(low, text) != 0 && json_string_set(v, low) != 0)
		c->no_memory = true;
	return true;
}

/* Ports and the like may come as numbers; they are kept as texts. */
static bool
check_list(struct check *c, const struct row *r, json_t *v)
{
	size_t i, total = 0,
		  most = strncmp(r->p.name, "ips", 4) == 0 ||
		strcmp(r->p.name, "allowed_dhcp_cids") == 0
	    ? 20
	    : MANIFEST_ITEMS_MAX;
	char text[24];
	json_t *e;

	if (!json_is_array(v))
		return wrong(c, r, v, "an array");
	if (json_array_size(v) > most) {
		fault(
		    c, FAULT_VALUE, r->p.name, "more than %zu elements", most);
		return false;
	}
	json_array_foreach(v, i, e)
	{
		if (json_is_integer(e)) {
			snprintf(text, sizeof(text), "%lld",
			    (long long)json_integer_value(e));
			if (json_array_set_new(v, i, json_string(text)) != 0)
				c->no_memory = true;
			e = json_array_get(v, i);
		}
		if (!check_text(c, r, e))
			return false;
		if (strchr(json_string_value(e), ',') != NULL ||
		    json_string_length(e) == 0)
			return wrong(c, r, e, r->what ? r->what : "a word");
		total += json_string_length(e) + 1;
	}
	if (total <= ZONE_VALUE_MAX)
		return true;
	fault(c, FAULT_VALUE, r->p.name, "more than %d bytes", ZONE_VALUE_MAX);
	return false;
}

/* Members are texts; numbers and booleans are as good. */
static bool
check_map(struct check *c, const struct row *r, json_t *v)
{
	const char *key;
	json_t *e;

	if (!json_is_object(v))
		return wrong(c, r, v, "an object");
	if (json_object_size(v) > MAP_MAX) {
		fault(
		    c, FAULT_VALUE, r->p.name, "more than %d members", MAP_MAX);
		return false;
	}
	json_object_foreach(v, key, e)
	{
		if (json_is_array(e) || json_is_object(e) || json_is_null(e)) {
			fault(c, FAULT_VALUE, r->p.name,
			    "'%.64s' is neither a string, a number nor a "
			    "boolean",
			    key);
			return false;
		}
		if (key[0] == '\0') {
			fault(c, FAULT_VALUE, r->p.name, "a key is empty");
			return false;
		}
	}
	return true;
}

bool
check_value(struct check *c, const struct row *r, json_t *v)
{
	switch (r->p.type) {
	case MANIFEST_BOOL:
		return json_is_boolean(v) || wrong(c, r, v, "true or false");
	case MANIFEST_INT:
		return check_int(c, r, v);
	case MANIFEST_STRING:
		return check_text(c, r, v);
	case MANIFEST_UUID:
		return check_uuid(c, r, v);
	case MANIFEST_LIST:
		return check_list(c, r, v);
	case MANIFEST_MAP:
		return check_map(c, r, v);
	case MANIFEST_ITEMS:
		return json_is_array(v) || wrong(c, r, v, "an array");
	}
	return false;
}

/* ---- the whole ---- */

static void
unknown(struct check *c, const char *name)
{
	const char *near = row_nearest("", name);

	if (near != NULL)
		fault(c, FAULT_PROPERTY, name,
		    "there is no such property; did you mean '%s'?", near);
	else
		fault(c, FAULT_PROPERTY, name, "there is no such property");
}

/* "set_tags": SET, tags */
struct action {
	const char *verb;
	enum manifest_type of; /* MAP, ITEMS */
	enum { KEYS, MEMBERS, NEW, CHANGED } takes;
};
static const struct action actions[] = {
	{ "set_", MANIFEST_MAP, MEMBERS },
	{ "remove_", MANIFEST_MAP, KEYS },
	{ "add_", MANIFEST_ITEMS, NEW },
	{ "update_", MANIFEST_ITEMS, CHANGED },
	{ "remove_", MANIFEST_ITEMS, KEYS },
};

static const struct action *
find_action(const char *name, const struct row **ret)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		size_t n = strlen(actions[i].verb);
		const struct row *r;

		if (strncmp(name, actions[i].verb, n) != 0)
			continue;
		r = row_find("", name + n);
		if (r == NULL || r->p.type != actions[i].of ||
		    r->p.update == MANIFEST_UPDATE_FACT)
			continue;
		*ret = r;
		return &actions[i];
	}
	return NULL;
}

static void
check_keys(struct check *c, const char *name, const json_t *v)
{
	const json_t *e;
	size_t i;

	if (!json_is_array(v)) {
		fault(c, FAULT_VALUE, name, "it takes an array of names");
		return;
	}
	json_array_foreach(v, i, e)
	{
		if (!json_is_string(e) || json_string_length(e) == 0) {
			fault(c, FAULT_VALUE, name, "element %zu is not a name",
			    i);
			return;
		}
	}
}

/* The row's name in what is told is the action's. */
static void
check_action(struct check *c, const char *name, const struct action *a,
    const struct row *r, json_t *v)
{
	struct row as = *r;

	as.p.name = name;
	if (a->takes == KEYS)
		check_keys(c, name, v);
	else if (a->takes == MEMBERS)
		check_value(c, &as, v);
	else
		check_items(c, r->p.name, name, v, a->takes == NEW);
}

static void
check_known(struct check *c, const struct row *r, json_t *v)
{
	bool update = c->use == MANIFEST_UPDATE;

	if (r->p.update == MANIFEST_UPDATE_FACT) {
		fault(c, FAULT_PROPERTY, r->p.name,
		    "it is found out, and cannot be set");
	} else if (update && r->p.update == MANIFEST_UPDATE_NEVER) {
		fault(c, FAULT_PROPERTY, r->p.name, "it cannot be changed");
	} else if (update && r->p.type == MANIFEST_MAP) {
		fault(c, FAULT_PROPERTY, r->p.name,
		    "use set_%s and remove_%s to change it", r->p.name,
		    r->p.name);
	} else if (update && r->p.type == MANIFEST_ITEMS) {
		fault(c, FAULT_PROPERTY, r->p.name,
		    "use add_%s, update_%s and remove_%s to change it",
		    r->p.name, r->p.name, r->p.name);
	} else if (json_is_null(v)) {
		if (update && (r->flags & ROW_FILL) != 0)
			fault(c, FAULT_VALUE, r->p.name,
			    "it cannot be unset; it is %s by default",
			    r->p.dflt);
	} else if (check_value(c, r, v) && r->p.type == MANIFEST_ITEMS) {
		check_items(c, r->p.name, r->p.name, v, true);
	}
}

static void
check_members(struct check *c, json_t *m)
{
	const struct action *a;
	const struct row *r;
	const char *key;
	json_t *v;

	json_object_foreach(m, key, v)
	{
		r = row_find("", key);
		a = r == NULL ? find_action(key, &r) : NULL;
		if (r == NULL)
			unknown(c, key);
		else if (a == NULL && strcmp(key, "brand") != 0)
			check_known(c, r, v);
		else if (a != NULL && c->use == MANIFEST_CREATE)
			fault(c, FAULT_PROPERTY, key,
			    "it is for update; give %s", r->p.name);
		else if (a != NULL)
			check_action(c, key, a, r, v);
	}
}

static void
check_brand(struct check *c, json_t *m, const char *brand)
{
	json_t *said = json_object_get(m, "brand");

	if (c->use == MANIFEST_UPDATE) {
		if (said != NULL)
			fault(
			    c, FAULT_PROPERTY, "brand", "it cannot be changed");
	} else if (said == NULL) {
		fault(c, FAULT_MISSING, "brand", "it is needed: 'bhyve'");
	} else {
		brand = json_string_value(said);
	}
	if (brand == NULL && said != NULL)
		brand = "?";
	if (brand == NULL || strcmp(brand, "bhyve") == 0)
		return;
	str_format(c->f->bad_brand, sizeof(c->f->bad_brand), "%.40s", brand);
	if (c->f->bad_brand[0] == '\0')
		strcpy(c->f->bad_brand, "?");
	fault(c, FAULT_BRAND, "brand",
	    "'%.40s' is no brand for VMs; 'bhyve' is", brand);
}

/* null says the same as nothing. */
static void
drop_nulls(json_t *m)
{
	const char *key;
	json_t *v;
	void *next;

	json_object_foreach_safe(m, next, key, v)
	{
		if (json_is_null(v))
			json_object_del(m, key);
	}
}

static void
fill(struct check *c, json_t *m, const char *name, json_t *v)
{
	if (json_object_get(m, name) != NULL)
		json_decref(v);
	else if (json_object_set_new(m, name, v) != 0)
		c->no_memory = true;
}

static void
fill_defaults(struct check *c, json_t *m)
{
	json_int_t ram, physical;

	EACH_ROW(r, "")
	if ((r->flags & ROW_FILL) != 0)
		fill(c, m, r->p.name, row_json(r, r->p.dflt));
	ram = json_integer_value(json_object_get(m, "ram"));
	fill(c, m, "max_physical_memory", json_integer(ram + 1024));
	physical =
	    json_integer_value(json_object_get(m, "max_physical_memory"));
	fill(c, m, "max_swap", json_integer(MAX(physical, 256)));
}

static json_int_t
number(const json_t *m, const char *name)
{
	return json_integer_value(json_object_get(m, name));
}

/* What properties must agree on. */
static void
check_sums(struct check *c, const json_t *m)
{
	json_int_t sum = 0;
	const json_t *d;
	size_t i;

	if (number(m, "max_physical_memory") < number(m, "ram"))
		fault(c, FAULT_VALUE, "max_physical_memory",
		    "%lld is less than ram, %lld",
		    (long long)number(m, "max_physical_memory"),
		    (long long)number(m, "ram"));
	if (number(m, "max_locked_memory") > number(m, "max_physical_memory"))
		fault(c, FAULT_VALUE, "max_locked_memory",
		    "it is more than max_physical_memory, %lld",
		    (long long)number(m, "max_physical_memory"));
	json_array_foreach(json_object_get(m, "disks"), i, d)
	{
		sum += number(d, "size");
		if (json_object_get(d, "size") == NULL)
			sum += number(d, "image_size");
	}
	if (json_object_get(m, "flexible_disk_size") != NULL &&
	    number(m, "flexible_disk_size") < sum)
		fault(c, FAULT_VALUE, "flexible_disk_size",
		    "it is less than the disks together, %lld", (long long)sum);
}

int
manifest_check(json_t *m, enum manifest_use use, const char *brand,
    struct manifest_faults *f)
{
	struct check c = { .f = f, .use = use };

	if (!json_is_object(m)) {
		fault(&c, FAULT_VALUE, "manifest", "it is not a JSON object");
		return -EINVAL;
	}
	if (use == MANIFEST_CREATE)
		drop_nulls(m);
	check_brand(&c, m, brand);
	check_members(&c, m);
	if (use == MANIFEST_CREATE && !manifest_faults_any(f)) {
		fill_defaults(&c, m);
		check_sums(&c, m);
	}
	if (use == MANIFEST_CREATE && !manifest_faults_any(f))
		check_whole(&c, m);
	if (c.no_memory)
		return -ENOMEM;
	return manifest_faults_any(f) ? -EINVAL : 0;
}
