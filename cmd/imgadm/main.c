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

static const struct command_row commands[] = {
#define X(name, usage, help) { #name, cmd_##name, usage, help },
	IMGADM_COMMANDS(X)
#undef X
};

static void
print_commands(FILE *f)
{
	fprintf(f, "usage: imgadm [-R root] command [argument ...]\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].help);
}

int
failed(const struct error *err)
{
	fprintf(stderr, "imgadm: %s\n", err->text);
	return EXIT_FAILED;
}

int
usage(const struct command *c, const char *why)
{
	if (why != NULL)
		fprintf(stderr, "imgadm: %s: %s\n", c->row->name, why);
	fprintf(stderr, "usage: imgadm %s %s\n", c->row->name, c->row->usage);
	return EXIT_USAGE;
}

int
print(struct buf *b)
{
	if (buf_error(b) == 0 && fwrite(b->data, 1, b->len, stdout) == b->len &&
	    fflush(stdout) == 0)
		return EXIT_OK;
	perror("imgadm: standard output");
	return EXIT_FAILED;
}

static const struct command_row *
find_row(const char *name)
{
	const char *names[ARRAY_LEN(commands)];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		names[i] = commands[i].name;
		if (strcmp(names[i], name) == 0)
			return &commands[i];
	}
	error_set(&err, EINVAL, "there is no command '%.64s'", name);
	error_add_hint(&err, str_nearest(name, names, ARRAY_LEN(names)));
	(void)failed(&err);
	return NULL;
}

int
cmd_help(struct command *c)
{
	const struct command_row *row;

	if (c->argc > 2)
		return usage(c, "takes one command");
	if (c->argc == 1) {
		print_commands(stdout);
		return EXIT_OK;
	}
	row = find_row(c->argv[1]);
	if (row == NULL)
		return EXIT_USAGE;
	printf("usage: imgadm %s %s\n%s\n", row->name, row->usage, row->help);
	return EXIT_OK;
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
		} else {
			print_commands(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? EXIT_OK : EXIT_USAGE;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "imgadm: no command\n");
		print_commands(stderr);
		return EXIT_USAGE;
	}
	c.argc = argc - optind;
	c.argv = argv + optind;
	c.row = find_row(c.argv[0]);
	if (c.row == NULL)
		return EXIT_USAGE;
	optind = 0; /* for the command's own options: glibc starts anew */
	return c.row->fn(&c);
}
