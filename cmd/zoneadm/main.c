/*
 * zoneadm: say which zone, say what to do with it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "zone/type.h"
#include "zoneadm.h"

static const struct command_row rows[] = {
#define X(name, fn, zone, usage, help) { name, cmd_##fn, zone, usage, help },
	ZONEADM_COMMANDS(X)
#undef X
};
static const struct command_table table = { "zoneadm",
	"[-R root] [-z zone | -u uuid]", "-z zone ", rows, ARRAY_LEN(rows) };

struct options {
	const char *zone, *uuid, *root;
};

int
failed(const struct command *c, const struct error *err)
{
	char name[ZONE_NAME_MAX + 3];

	/* say which zone, once */
	str_format(name, sizeof(name), "'%s'", c->zone != NULL ? c->zone : "");
	if (c->zone != NULL && strstr(err->text, name) == NULL)
		fprintf(stderr, "zoneadm: zone %s: %s\n", name, err->text);
	else
		fprintf(stderr, "zoneadm: %s\n", err->text);
	return EXIT_FAILED;
}

int
usage(const struct command *c, const char *why)
{
	return command_usage(&table, c->row, why);
}

int
consent(const struct command *c, bool force, const char *what)
{
	char answer[64];

	if (force)
		return EXIT_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fprintf(stderr,
		    "zoneadm: zone '%s': %s; there is nobody to ask: use '%s "
		    "-F'\n",
		    c->zone, what, c->row->name);
		return EXIT_FAILED;
	}
	printf("%s; do it (y/[n])? ", what);
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) != NULL &&
	    (answer[0] == 'y' || answer[0] == 'Y'))
		return EXIT_OK;
	fprintf(stderr, "zoneadm: %s: not done\n", c->row->name);
	return EXIT_FAILED;
}

int
print(const struct command *c, struct buf *b)
{
	return command_print(&table, b);
}

int
cmd_help(struct command *c)
{
	return command_help(&table, c->argc, c->argv);
}

/* -u wins over -z if there is such a zone. */
static int
find_zone(
    struct admin *a, const struct options *o, char *name, struct error *err)
{
	struct zone_index *ix = NULL;
	const struct zone_entry *e = NULL;
	int rc;

	rc = zone_store_index(a->store, &ix, err);
	if (rc < 0)
		return rc;
	if (o->uuid != NULL)
		e = zone_index_find_uuid(ix, o->uuid);
	if (e == NULL && o->zone != NULL)
		e = zone_index_find(ix, o->zone);
	if (e != NULL)
		str_format(name, ZONE_NAME_MAX + 1, "%s", e->name);
	else if (o->zone != NULL)
		rc = error_set(err, ENOENT, "there is no zone '%s'", o->zone);
	else
		rc = error_set(
		    err, ENOENT, "there is no zone with UUID '%s'", o->uuid);
	zone_index_free(ix);
	return rc;
}

static int
run(struct command *c, const struct options *o)
{
	char name[ZONE_NAME_MAX + 1];
	struct error err = ERROR_INIT;
	static struct admin a;
	int status;

	if (c->row->on_one && o->zone == NULL && o->uuid == NULL)
		return usage(c, "no zone is named; use -z or -u");
	if (admin_open(o->root, &a, &err) < 0)
		return failed(c, &err);
	c->admin = &a;
	if (o->zone != NULL && strcmp(o->zone, "global") == 0 &&
	    c->row->on_one) {
		error_set(&err, EPERM,
		    "the global zone is the host: this is not for it");
		status = failed(c, &err);
	} else if ((o->zone != NULL || o->uuid != NULL) &&
	    (c->row->on_one || o->zone == NULL ||
		strcmp(o->zone, "global") != 0) &&
	    find_zone(&a, o, name, &err) < 0) {
		status = failed(c, &err);
	} else {
		if (o->zone != NULL || o->uuid != NULL)
			c->zone =
			    o->zone != NULL && strcmp(o->zone, "global") == 0
			    ? "global"
			    : name;
		status = c->row->fn(c);
	}
	admin_close(&a);
	return status;
}

int
main(int argc, char **argv)
{
	struct options o = { NULL };
	struct command c = { NULL };
	int opt;

	while ((opt = getopt(argc, argv, "+z:u:R:h")) != -1) {
		if (opt == 'z')
			o.zone = optarg;
		else if (opt == 'u')
			o.uuid = optarg;
		else if (opt == 'R')
			o.root = optarg;
		else
			return command_refuse(&table, NULL);
	}
	c.argc = argc;
	c.argv = argv;
	c.row = command_take(&table, &c.argc, &c.argv);
	if (c.row == NULL)
		return EXIT_USAGE;
	return run(&c, &o);
}
