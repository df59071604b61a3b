/*
 * Commands that only look.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "imgadm.h"

#define OUTPUT_MAX (64U << 20)

/* ---- fields of a list ---- */

static void
put_uuid(const struct image_info *i, char *buf, size_t size)
{
	str_format(buf, size, "%s", i->uuid);
}

#define TEXT_FIELD(name, member)                                \
	static void put_##name(                                 \
	    const struct image_info *i, char *buf, size_t size) \
	{                                                       \
		snprintf(buf, size, "%s",                       \
		    i->damaged                 ? "-"            \
			: i->member[0] != '\0' ? i->member      \
					       : "-");          \
	}
TEXT_FIELD(name, name)
TEXT_FIELD(version, version)
TEXT_FIELD(os, os)
TEXT_FIELD(description, description)

static void
put_published(const struct image_info *i, char *buf, size_t size)
{
	snprintf(buf, size, "%.10s",
	    i->damaged                       ? "damaged"
		: i->published_at[0] != '\0' ? i->published_at
					     : "-");
}

static void
put_size(const struct image_info *i, char *buf, size_t size)
{
	snprintf(buf, size, "%ju", (uintmax_t)(i->size / MiB));
}

static void
put_used(const struct image_info *i, char *buf, size_t size)
{
	snprintf(buf, size, "%ju", (uintmax_t)((i->used + MiB - 1) / MiB));
}

static const struct field {
	const char *name;
	void (*put)(const struct image_info *i, char *buf, size_t size);
	int width; /* negative: to the left */
	bool dflt;
} fields[] = {
	{ "uuid", put_uuid, -36, true },
	{ "name", put_name, -16, true },
	{ "version", put_version, -10, true },
	{ "os", put_os, -8, true },
	{ "published", put_published, -10, true },
	{ "size", put_size, 8, true },
	{ "used", put_used, 8, false },
	{ "description", put_description, -1, false },
};

struct columns {
	const struct field *v[ARRAY_LEN(fields) * 2];
	size_t n;
};

static int
add_column(struct columns *c, const char *name, struct error *err)
{
	const char *names[ARRAY_LEN(fields)];

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		names[i] = fields[i].name;
		if (strcmp(names[i], name) != 0)
			continue;
		if (c->n == ARRAY_LEN(c->v))
			return error_set(err, E2BIG, "too many fields");
		c->v[c->n++] = &fields[i];
		return 0;
	}
	error_set(err, EINVAL,
	    "there is no field '%.64s': uuid, name, version, os, published, "
	    "size, used, description",
	    name);
	error_add_hint(err, str_nearest(name, names, ARRAY_LEN(names)));
	return -EINVAL;
}

static int
choose_columns(char *text, struct columns *c, struct error *err)
{
	char *save = NULL;
	int rc = 0;

	for (char *w = strtok_r(text, ",", &save); rc == 0 && w != NULL;
	     w = strtok_r(NULL, ",", &save))
		rc = add_column(c, w, err);
	if (rc == 0 && c->n == 0)
		rc = error_set(err, EINVAL, "-o: no field is named");
	return rc;
}

static void
add_cell(struct buf *b, const struct field *f, const char *text, bool last)
{
	int width = last && f->width < 0 ? 0 : f->width;

	buf_printf(b, "%*s%s", width, text, last ? "\n" : "  ");
}

static void
add_line(struct buf *b, const struct columns *c, const struct image_info *i)
{
	char text[512];

	for (size_t k = 0; k < c->n; k++) {
		const struct field *f = c->v[k];

		if (i != NULL)
			f->put(i, text, sizeof(text));
		else
			str_format(text, sizeof(text), "%s", f->name);
		for (char *p = text; i == NULL && *p != '\0'; p++)
			*p = (char)(*p - 'a' + 'A');
		add_cell(b, f, text, k + 1 == c->n);
	}
}

/* ---- JSON ---- */

/* As SmartOS's: the manifest, and what there is to say beside it. */
static json_t *
to_json(const struct image_info *i)
{
	json_t *m = json_loads(i->manifest, 0, NULL);

	if (m == NULL) /* damaged */
		m = json_pack("{s:s}", "uuid", i->uuid);
	return json_pack("{s:o, s:I, s:I, s:b}", "manifest", m, "size",
	    (json_int_t)i->size, "used", (json_int_t)i->used, "damaged",
	    i->damaged);
}

static int
print_json(json_t *j)
{
	char *text = json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	struct buf b;
	int status;

	buf_init(&b, OUTPUT_MAX);
	if (text != NULL)
		buf_printf(&b, "%s\n", text);
	else
		b.failed = -ENOMEM;
	status = print(&b);
	buf_fini(&b);
	free(text);
	json_decref(j);
	return status;
}

static int
list_json(const struct image_list *l)
{
	json_t *all = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(all, to_json(&l->v[i]));
	return print_json(all);
}

/* ---- commands ---- */

int
cmd_list(struct command *c)
{
	struct columns columns = { .n = 0 };
	struct error err = ERROR_INIT;
	bool header = true, json = false, chosen = false;
	struct image_list l;
	struct buf b;
	int opt, status;

	while ((opt = getopt(c->argc, c->argv, "+Hjo:")) != -1) {
		if (opt == 'H')
			header = false;
		else if (opt == 'j')
			json = true;
		else if (opt != 'o')
			return usage(c, NULL);
		else if (choose_columns(optarg, &columns, &err) < 0)
			return usage(c, err.text);
		chosen = chosen || opt == 'o';
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	for (size_t i = 0; !chosen && i < ARRAY_LEN(fields); i++)
		if (fields[i].dflt)
			(void)add_column(&columns, fields[i].name, NULL);
	if (image_list(c->root, &l, &err) < 0)
		return failed(&err);
	buf_init(&b, OUTPUT_MAX);
	if (header)
		add_line(&b, &columns, NULL);
	for (size_t i = 0; i < l.n; i++)
		add_line(&b, &columns, &l.v[i]);
	status = json ? list_json(&l) : print(&b);
	buf_fini(&b);
	image_list_free(&l);
	return status;
}

static int
find(struct command *c, struct image_info *ret)
{
	struct error err = ERROR_INIT;

	while (getopt(c->argc, c->argv, "+") != -1)
		return usage(c, NULL);
	if (c->argc - optind != 1)
		return usage(c,
		    "takes one image: a UUID, the beginning of "
		    "one, or a name");
	return image_find(c->root, c->argv[optind], ret, &err) < 0
	    ? failed(&err)
	    : EXIT_OK;
}

int
cmd_get(struct command *c)
{
	struct image_info i;
	int status = find(c, &i);

	if (status != EXIT_OK)
		return status;
	status = print_json(to_json(&i));
	image_info_fini(&i);
	return status;
}

int
cmd_info(struct command *c)
{
	struct error err = ERROR_INIT;
	struct image_info i;
	char size[32], used[32], path[4096];
	struct buf b;
	int status = find(c, &i);

	if (status != EXIT_OK)
		return status;
	human_size(i.size, size, sizeof(size));
	human_size(i.used, used, sizeof(used));
	buf_init(&b, OUTPUT_MAX);
	if (image_path(c->root, i.uuid, path, sizeof(path), &err) < 0) {
		status = failed(&err);
	} else {
		buf_printf(&b,
		    "uuid         %s\nname         %s\nversion      %s\n"
		    "os           %s\npublished    %s\nsize         %s "
		    "(%ju bytes)\nused         %s\ndisk         %s\n",
		    i.uuid, i.name, i.version, i.os,
		    i.published_at[0] != '\0' ? i.published_at : "-", size,
		    (uintmax_t)i.size, used, path);
		if (i.description[0] != '\0')
			buf_printf(&b, "description  %s\n", i.description);
		status = print(&b);
	}
	buf_fini(&b);
	image_info_fini(&i);
	return status;
}
