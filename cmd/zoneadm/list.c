/*
 * zoneadm list: for people, for scripts, for programs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "zone/event.h"
#include "zoneadm.h"

#define LIST_MAX (64U << 20)

struct view {
	bool all, installed, no_global;
	char form; /* 'p', 'v', 'j' or 0 */
	const char *zone; /* only this one */
};

static const struct admin_zone global = { .name = "global",
	.state = ZONE_STATE_RUNNING,
	.path = (char *)(uintptr_t) "/",
	.brand = (char *)(uintptr_t) "linux",
	.ip_type = (char *)(uintptr_t) "shared" };

static bool
is_up(const struct admin_zone *z)
{
	return z->state > ZONE_STATE_INSTALLED;
}

/* The number of a zone that is up; "-" of others. */
static const char *
id_of(const struct admin_zone *z, char text[24])
{
	if (z == &global || is_up(z))
		str_format(text, 24, "%ju", (uintmax_t)z->did);
	else
		strcpy(text, "-");
	return text;
}

static void
put_person(const struct admin_zone *z, struct buf *b)
{
	char id[24];

	buf_printf(b, "%4s ", id_of(z, id));
	buf_printf(b, "%-16s %-10s %-30s %-8s %-6s\n", z->name,
	    zone_state_name(z->state), z->path, z->brand,
	    strcmp(z->ip_type, "exclusive") == 0 ? "excl" : z->ip_type);
}

/* A colon in the path would end the field. */
static void
put_script(const struct admin_zone *z, struct buf *b)
{
	char id[24];

	buf_printf(
	    b, "%s:%s:%s:", id_of(z, id), z->name, zone_state_name(z->state));
	for (const char *p = z->path; *p != '\0'; p++)
		buf_printf(b, "%s%c", *p == ':' ? "\\" : "", *p);
	buf_printf(b, ":%s:%s:%s\n", z->uuid, z->brand,
	    strcmp(z->ip_type, "exclusive") == 0 ? "excl" : z->ip_type);
}

static void
put_json(const struct admin_zone *z, struct buf *b, bool first)
{
	const struct {
		const char *key, *value;
	} fields[] = {
		{ "name", z->name },
		{ "state", zone_state_name(z->state) },
		{ "zonepath", z->path },
		{ "uuid", z->uuid },
		{ "brand", z->brand },
		{ "ip-type", z->ip_type },
	};

	buf_append_str(b, first ? "  {" : ",\n  {");
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		buf_printf(b, "\"%s\": ", fields[i].key);
		zone_json_str(b, fields[i].value);
		buf_append_str(b, ", ");
	}
	buf_printf(b, "\"id\": %ju, \"autoboot\": %s}", (uintmax_t)z->did,
	    z->autoboot ? "true" : "false");
}

static void
put(const struct view *v, const struct admin_zone *z, struct buf *b)
{
	if (v->form == 'v')
		put_person(z, b);
	else if (v->form == 'p')
		put_script(z, b);
	else if (v->form == 'j')
		put_json(z, b, b->len <= 2);
	else
		buf_printf(b, "%s\n", z->name);
}

static bool
wanted(const struct view *v, const struct admin_zone *z)
{
	if (v->zone != NULL)
		return strcmp(v->zone, z->name) == 0;
	if (z == &global)
		return !v->no_global;
	return v->all || (v->installed && z->state >= ZONE_STATE_INSTALLED) ||
	    z->state == ZONE_STATE_RUNNING ||
	    z->state == ZONE_STATE_SHUTTING_DOWN;
}

static void
put_all(const struct view *v, const struct admin_list *l, struct buf *b)
{
	if (v->form == 'v')
		buf_printf(b, "%4s %-16s %-10s %-30s %-8s %-6s\n", "ID", "NAME",
		    "STATUS", "PATH", "BRAND", "IP");
	if (v->form == 'j')
		buf_append_str(b, "[\n");
	if (wanted(v, &global))
		put(v, &global, b);
	for (size_t i = 0; i < l->n; i++)
		if (wanted(v, &l->v[i]))
			put(v, &l->v[i], b);
	if (v->form == 'j')
		buf_append_str(b, b->len <= 2 ? "]\n" : "\n]\n");
}

static int
parse(struct command *c, struct view *v)
{
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+cinpvj")) != -1) {
		if (opt == '?')
			return usage(c, NULL);
		if (opt == 'c')
			v->all = true;
		else if (opt == 'i')
			v->installed = true;
		else if (opt == 'n')
			v->no_global = true;
		else if (v->form != 0 && v->form != opt)
			return usage(c, "-p, -v and -j exclude each other");
		else
			v->form = (char)opt;
	}
	return optind == c->argc ? EXIT_OK : usage(c, "takes no argument");
}

int
cmd_list(struct command *c)
{
	struct view v = { .zone = c->zone };
	struct error err = ERROR_INIT;
	struct admin_list l;
	struct buf b;
	int status;

	status = parse(c, &v);
	if (status != EXIT_OK)
		return status;
	if (admin_list(c->admin, v.form != 0, &l, &err) < 0)
		return failed(c, &err);
	buf_init(&b, LIST_MAX);
	put_all(&v, &l, &b);
	status = print(c, &b);
	buf_fini(&b);
	admin_list_free(&l);
	return status;
}
