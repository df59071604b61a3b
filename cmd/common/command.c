/*
 * What commands have in common to say.
 */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

#define COMMANDS_MAX 64

static const struct command_row *
find(const struct command_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->rows[i].name, name) == 0)
			return &t->rows[i];
	return NULL;
}

const struct command_row *
command_find(const struct command_table *t, const char *name)
{
	const struct command_row *row = find(t, name);
	const char *names[COMMANDS_MAX];
	struct error err = ERROR_INIT;
	size_t n = MIN(t->n, COMMANDS_MAX);

	if (row != NULL)
		return row;
	for (size_t i = 0; i < n; i++)
		names[i] = t->rows[i].name;
	error_set(&err, EINVAL, "there is no command '%.64s'", name);
	error_add_hint(&err, str_nearest(name, names, n));
	(void)command_refuse(t, err.text);
	return NULL;
}

const struct command_row *
command_take(const struct command_table *t, int *argc, char ***argv)
{
	if (optind == *argc) {
		(void)command_refuse(t, "no command");
		return NULL;
	}
	*argc -= optind;
	*argv += optind;
	optind = 0; /* glibc starts anew */
	return command_find(t, (*argv)[0]);
}

void
command_synopsis(const struct command_table *t, FILE *f)
{
	fprintf(f,
	    "usage: %s %s command [argument ...]\n"
	    "       '%s help' lists the commands\n",
	    t->program, t->options, t->program);
}

int
command_refuse(const struct command_table *t, const char *why)
{
	if (why != NULL)
		fprintf(stderr, "%s: %s\n", t->program, why);
	command_synopsis(t, stderr);
	return EXIT_USAGE;
}

static void
print_usage(
    const struct command_table *t, const struct command_row *row, FILE *f)
{
	fprintf(f, "usage: %s %s%s\n", t->program, row->on_one ? t->named : "",
	    row->usage);
}

int
command_usage(const struct command_table *t, const struct command_row *row,
    const char *why)
{
	if (why != NULL)
		fprintf(stderr, "%s: %s: %s\n", t->program, row->name, why);
	print_usage(t, row, stderr);
	return EXIT_USAGE;
}

int
command_help(const struct command_table *t, int argc, char **argv)
{
	const struct command_row *row;
	size_t width = 0;

	if (argc > 2)
		return command_usage(t, find(t, argv[0]), "takes one command");
	if (argc == 2) {
		row = command_find(t, argv[1]);
		if (row == NULL)
			return EXIT_USAGE;
		print_usage(t, row, stdout);
		printf("%s\n", row->help);
		return EXIT_OK;
	}
	for (size_t i = 0; i < t->n; i++)
		width = MAX(width, strlen(t->rows[i].name));
	for (size_t i = 0; i < t->n; i++)
		printf(
		    "%-*s %s\n", (int)width, t->rows[i].name, t->rows[i].help);
	return EXIT_OK;
}

int
command_print(const struct command_table *t, struct buf *b)
{
	if (buf_print(b, stdout) == 0)
		return EXIT_OK;
	fprintf(stderr, "%s: ", t->program);
	perror("standard output");
	return EXIT_FAILED;
}
