/*
 * imgadm: images to make zones of.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "imgadm.h"

static const struct command_row rows[] = {
#define X(name, usage, help) { #name, cmd_##name, false, usage, help },
	IMGADM_COMMANDS(X)
#undef X
};
static const struct command_table table = { "imgadm", "[-R root]", "", rows,
	ARRAY_LEN(rows) };

int
failed(const struct error *err)
{
	fprintf(stderr, "imgadm: %s\n", err->text);
	return EXIT_FAILED;
}

int
usage(const struct command *c, const char *why)
{
	return command_usage(&table, c->row, why);
}

int
print(struct buf *b)
{
	return command_print(&table, b);
}

int
cmd_help(struct command *c)
{
	return command_help(&table, c->argc, c->argv);
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' }, { NULL }
	};
	struct command c = { .root = "" };
	int opt;

	while ((opt = getopt_long(argc, argv, "+R:h", longs, NULL)) != -1) {
		if (opt == 'R') {
			c.root = strcmp(optarg, "/") == 0 ? "" : optarg;
		} else if (opt == 'h') {
			command_synopsis(&table, stdout);
			return EXIT_OK;
		} else {
			return command_refuse(&table, NULL);
		}
	}
	c.argc = argc;
	c.argv = argv;
	c.row = command_take(&table, &c.argc, &c.argv);
	if (c.row == NULL)
		return EXIT_USAGE;
	return c.row->fn(&c);
}
