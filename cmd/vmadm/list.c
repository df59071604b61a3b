/*
 * vmadm list, lookup, get: only the fields that are asked for are looked at.
 */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "vmadm.h"

#define FIELDS_MAX 64
#define OUTPUT_MAX (64U << 20)

/* "nics.*.ip": below a property, members by name, number or all of them. */
struct field {
	char *path, *top;
};

struct fields {
	struct field v[FIELDS_MAX];
	size_t n;
};

struct filter {
	struct field field;
	const char *value; /* NULL: re */
	regex_t re;
};

struct view {
	struct command *c;
	struct fields show, sort;
	bool down[FIELDS_MAX]; /* of sort: the largest first */
	struct filter filters[FIELDS_MAX];
	size_t nfilters;
	const char *tops[3 * FIELDS_MAX]; /* all of them, for vm_facts() */
	size_t ntops;
	bool everything;
	bool head, parse, json, one;
	json_t **vms;
	size_t n;
};

/* ---- fields ---- */

static int
bad_field(const struct command *c, const char *path)
{
	struct error err = ERROR_INIT;
	const struct manifest_prop *p = NULL;
	const char *names[128];
	char top[64];
	size_t n = 0;

	while ((p = manifest_next(p)) != NULL && n < ARRAY_LEN(names))
		if (p->scope[0] == '\0')
			names[n++] = p->name;
	str_format(top, sizeof(top), "%.*s", (int)strcspn(path, "."), path);
	error_set(&err, EINVAL, "there is no field '%.64s'", path);
	error_add_hint(&err, str_nearest(top, names, n));
	fprintf(stderr, "vmadm: %s: %s\n", c->row->name, err.text);
	return EXIT_USAGE;
}

static int
make_field(
    const struct command *c, const char *path, size_t len, struct field *ret)
{
	struct field f = { .path = alloc_strndup(path, len) };

	if (f.path != NULL)
		f.top = alloc_strndup(f.path, strcspn(f.path, "."));
	if (f.top == NULL || manifest_find("", f.top) == NULL) {
		bad_field(c, f.path != NULL ? f.path : "");
		free(f.path);
		free(f.top);
		return EXIT_USAGE;
	}
	*ret = f;
	return EXIT_OK;
}

static void
want(struct view *v, const struct field *f)
{
	v->tops[v->ntops++] = f->top;
}

/* down (may be NULL): fields may begin with '-' or '+' */
static int
make_fields(struct view *v, const char *list, struct fields *fs, bool *down)
{
	size_t n;
	int status;

	for (const char *p = list; *p != '\0'; p += n + (p[n] == ',')) {
		if (fs->n == FIELDS_MAX)
			return usage(v->c, "more than 64 fields");
		if (down != NULL && (*p == '-' || *p == '+'))
			down[fs->n] = *p++ == '-';
		n = strcspn(p, ",");
		status = make_field(v->c, p, n, &fs->v[fs->n]);
		if (status != EXIT_OK)
			return status;
		want(v, &fs->v[fs->n++]);
	}
	return EXIT_OK;
}

/* ---- values ---- */

static json_t *
child(const json_t *v, const char *name, size_t n)
{
	char key[128];
	uint64_t i;

	if (str_format(key, sizeof(key), "%.*s", (int)n, name) < 0)
		return NULL;
	if (json_is_array(v) && str_to_u64(key, 0, 1 << 20, &i) == 0)
		return json_array_get(v, (size_t)i);
	return json_object_get(v, key);
}

/* What a key of a map is called may have dots: the whole rest goes first. */
static void
walk(json_t *v, const char *path, void (*fn)(void *arg, const json_t *v),
    void *arg)
{
	size_t n = strcspn(path, ".");
	json_t *e;
	size_t i;

	if (v == NULL || *path == '\0') {
		if (v != NULL)
			fn(arg, v);
		return;
	}
	if (json_is_object(v) && (e = json_object_get(v, path)) != NULL) {
		fn(arg, e);
		return;
	}
	if (json_is_array(v) && n == 1 && *path == '*') {
		json_array_foreach(v, i, e)
		{
			walk(e, path + n + (path[n] == '.'), fn, arg);
		}

		return;
	}
	walk(child(v, path, n), path + n + (path[n] == '.'), fn, arg);
}

static void
each_value(const json_t *vm, const struct field *f,
    void (*fn)(void *arg, const json_t *v), void *arg)
{
	size_t n = strlen(f->top);

	walk(json_object_get(vm, f->top), f->path + n + (f->path[n] == '.'), fn,
	    arg);
}

/* As people read it; freed by the caller. */
static char *
value_text(const json_t *v)
{
	if (json_is_string(v))
		return alloc_strdup(json_string_value(v));
	return json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
}

static void
add_text(void *arg, const json_t *v)
{
	cleanup_free char *text = value_text(v);
	struct buf *b = arg;

	if (b->len > 0)
		buf_put_u8(b, ',');
	buf_append_str(b, text != NULL ? text : "?");
}

static char *
field_text(const json_t *vm, const struct field *f)
{
	char *text;
	struct buf b;

	buf_init(&b, OUTPUT_MAX);
	each_value(vm, f, add_text, &b);
	text = b.len > 0 && buf_str(&b) != NULL ? alloc_strdup((char *)b.data)
						: alloc_strdup("-");
	buf_fini(&b);
	/* a guest writes its metadata */
	if (text != NULL)
		str_harmless(text);
	return text;
}

/* ---- filters ---- */

static int
make_filter(struct view *v, const char *text)
{
	struct filter *f = &v->filters[v->nfilters];
	const char *eq = strchr(text, '=');
	char why[256];
	int rc, status;

	if (eq == NULL)
		return usage(v->c, "filters are field=value or field=~re");
	if (v->nfilters == FIELDS_MAX)
		return usage(v->c, "more than 64 filters");
	status = make_field(v->c, text, (size_t)(eq - text), &f->field);
	if (status != EXIT_OK)
		return status;
	if (eq[1] == '~') {
		rc = regcomp(&f->re, eq + 2, REG_EXTENDED | REG_NOSUB);
		if (rc != 0) {
			regerror(rc, &f->re, why, sizeof(why));
			return usage(v->c, why);
		}
	} else {
		f->value = eq + 1;
	}
	v->nfilters++;
	want(v, &f->field);
	return EXIT_OK;
}

struct matching {
	const struct filter *f;
	bool found;
};

static void
match(void *arg, const json_t *v)
{
	cleanup_free char *text = value_text(v);
	struct matching *m = arg;

	if (text == NULL || m->found)
		return;
	m->found = m->f->value != NULL
	    ? strcmp(text, m->f->value) == 0
	    : regexec(&m->f->re, text, 0, NULL, 0) == 0;
}

static bool
wanted(const struct view *v, const json_t *vm)
{
	for (size_t i = 0; i < v->nfilters; i++) {
		struct matching m = { .f = &v->filters[i] };

		each_value(vm, &m.f->field, match, &m);
		if (!m.found)
			return false;
	}
	return true;
}

/* ---- order ---- */

static void
take_first(void *arg, const json_t *v)
{
	const json_t **first = arg;

	if (*first == NULL)
		*first = v;
}

/* Numbers by value, the rest by text, what is unset first. */
static int
compare_field(const json_t *a, const json_t *b, const struct field *f)
{
	const json_t *x = NULL, *y = NULL;
	cleanup_free char *s = NULL, *t = NULL;

	each_value(a, f, take_first, &x);
	each_value(b, f, take_first, &y);
	if (x == NULL || y == NULL)
		return (x != NULL) - (y != NULL);
	if (json_is_number(x) && json_is_number(y)) {
		double p = json_number_value(x), q = json_number_value(y);

		return (p > q) - (p < q);
	}
	s = value_text(x);
	t = value_text(y);
	return s != NULL && t != NULL ? strcmp(s, t) : 0;
}

static int
compare(const void *a, const void *b, void *arg)
{
	const struct view *v = arg;
	json_t *const *x = a, *const *y = b;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < v->sort.n; i++) {
		rc = compare_field(*x, *y, &v->sort.v[i]);
		if (v->down[i])
			rc = -rc;
	}
	return rc;
}

/* ---- collect ---- */

static int
collect_one(struct view *v, const struct zone_entry *e, struct error *err)
{
	const struct vm_fields fields = { v->tops, v->ntops };
	json_t *vm = NULL;
	int rc;

	rc = vm_facts(v->c->admin, e, v->everything ? NULL : &fields, &vm, err);
	if (rc < 0)
		return rc;
	if (wanted(v, vm))
		v->vms[v->n++] = vm;
	else
		json_decref(vm);
	return 0;
}

static int
collect(struct view *v, struct error *err)
{
	struct zone_index *ix = NULL;
	const struct zone_entry *e;
	int rc = zone_store_index(v->c->admin->store, &ix, err);

	if (rc < 0)
		return rc;
	v->vms = alloc_zero(zone_index_count(ix) + 1, sizeof(*v->vms));
	if (v->vms == NULL)
		rc = error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; rc == 0 && (e = zone_index_at(ix, i)) != NULL; i++)
		if (strcmp(e->name, "global") != 0)
			rc = collect_one(v, e, err);
	zone_index_free(ix);
	if (rc == 0 && v->n > 1)
		qsort_r(v->vms, v->n, sizeof(*v->vms), compare, v);
	return rc;
}

static void
view_fini(struct view *v)
{
	struct fields *const lists[] = { &v->show, &v->sort };

	for (size_t i = 0; i < v->n; i++)
		json_decref(v->vms[i]);
	free(v->vms);
	for (size_t k = 0; k < ARRAY_LEN(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++) {
			free(lists[k]->v[i].path);
			free(lists[k]->v[i].top);
		}
	for (size_t i = 0; i < v->nfilters; i++) {
		free(v->filters[i].field.path);
		free(v->filters[i].field.top);
		if (v->filters[i].value == NULL)
			regfree(&v->filters[i].re);
	}
}

/* ---- show ---- */

static int
width_of(const char *path)
{
	static const struct {
		const char *path;
		int width;
	} widths[] = { { "uuid", 36 }, { "type", 4 }, { "ram", 7 },
		{ "state", 16 }, { "vcpus", 5 }, { "brand", 6 },
		{ "zonename", 36 }, { "owner_uuid", 36 }, { "alias", 32 } };

	for (size_t i = 0; i < ARRAY_LEN(widths); i++)
		if (strcmp(widths[i].path, path) == 0)
			return widths[i].width;
	return MAX((int)strlen(path), 16);
}

/* Columns but for the last one; a colon in a value would end it. */
static void
put_cell(const struct view *v, struct buf *b, const char *text, size_t i)
{
	bool last = i + 1 == v->show.n;

	if (!v->parse && !last)
		buf_printf(b, "%-*s  ", width_of(v->show.v[i].path), text);
	else if (!v->parse)
		buf_printf(b, "%s\n", text);
	else
		for (const char *p = text;; p++) {
			if (*p == '\0') {
				buf_put_u8(b, last ? '\n' : ':');
				break;
			}
			if (*p == ':' || *p == '\\')
				buf_put_u8(b, '\\');
			buf_put_u8(b, (uint8_t)*p);
		}
}

static void
put_head(const struct view *v, struct buf *b)
{
	char name[80];

	for (size_t i = 0; i < v->show.n; i++) {
		str_format(name, sizeof(name), "%.64s", v->show.v[i].path);
		for (char *p = name; *p != '\0'; p++)
			if (*p >= 'a' && *p <= 'z')
				*p = (char)(*p - 'a' + 'A');
		put_cell(v, b, name, i);
	}
}

static int
show(const struct view *v)
{
	struct buf b;
	int status = EXIT_OK;

	buf_init(&b, OUTPUT_MAX);
	if (v->head)
		put_head(v, &b);
	for (size_t k = 0; k < v->n; k++)
		for (size_t i = 0; i < v->show.n; i++) {
			cleanup_free char *text =
			    field_text(v->vms[k], &v->show.v[i]);

			put_cell(v, &b, text != NULL ? text : "?", i);
		}
	if (buf_print(&b, stdout) != 0) {
		perror("vmadm: standard output");
		status = EXIT_FAILED;
	}
	buf_fini(&b);
	return status;
}

/* Without what was only looked at for a filter or the order. */
static json_t *
shown(const struct view *v, json_t *vm)
{
	json_t *o, *value;

	if (v->everything)
		return json_incref(vm);
	o = json_object();
	for (size_t i = 0; i < v->show.n; i++) {
		value = json_object_get(vm, v->show.v[i].top);
		if (value != NULL)
			json_object_set(o, v->show.v[i].top, value);
	}
	return o;
}

static int
show_json(const struct view *v)
{
	json_t *list = json_array();
	int status;

	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(list, shown(v, v->vms[i]));
	status = print_json(v->one ? json_array_get(list, 0) : list);
	json_decref(list);
	return status;
}

/* ---- commands ---- */

static int
run(struct view *v, const char *show_list, const char *sort)
{
	struct error err = ERROR_INIT;
	int status = make_fields(v, show_list, &v->show, NULL);

	if (status == EXIT_OK)
		status = make_fields(v, sort, &v->sort, v->down);
	for (int i = optind; status == EXIT_OK && i < v->c->argc; i++)
		status = make_filter(v, v->c->argv[i]);
	if (status == EXIT_OK && collect(v, &err) < 0)
		status = failed(v->c, &err);
	if (status == EXIT_OK && v->one && v->n != 1) {
		fprintf(stderr,
		    "vmadm: %s: Requested unique lookup but found %zu "
		    "results.\n",
		    v->c->row->name, v->n);
		status = EXIT_FAILED;
	}
	if (status == EXIT_OK)
		status = v->json ? show_json(v) : show(v);
	view_fini(v);
	return status;
}

int
cmd_list(struct command *c)
{
	const char *fields = "uuid,type,ram,state,alias", *sort = "ram,uuid";
	static struct view v;
	int opt;

	v = (struct view){ .c = c, .head = true };
	while ((opt = getopt(c->argc, c->argv, "+Hpo:s:")) != -1) {
		if (opt == '?')
			return usage(c, NULL);
		if (opt == 'o')
			fields = optarg;
		else if (opt == 's')
			sort = optarg;
		else
			v.head = false;
		v.parse = v.parse || opt == 'p';
	}
	return run(&v, fields, sort);
}

int
cmd_lookup(struct command *c)
{
	const char *fields = NULL;
	static struct view v;
	int opt;

	v = (struct view){ .c = c };
	while ((opt = getopt(c->argc, c->argv, "+1jo:")) != -1) {
		if (opt == '?')
			return usage(c, NULL);
		if (opt == 'o')
			fields = optarg;
		v.one = v.one || opt == '1';
		v.json = v.json || opt == 'j';
	}
	if (fields != NULL && !v.json)
		return usage(c, "-o is for -j");
	v.everything = v.json && fields == NULL;
	return run(&v, fields != NULL ? fields : "uuid", "uuid");
}

int
cmd_get(struct command *c)
{
	struct error err = ERROR_INIT;
	json_t *vm = NULL;
	int status;

	if (c->argc != 1)
		return usage(c, "takes one VM");
	if (vm_get(c->admin, &c->vm, &vm, &err) < 0)
		return failed(c, &err);
	status = print_json(vm);
	json_decref(vm);
	return status;
}
