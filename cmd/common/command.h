/*
 * Programs whose first word is a command: a table of them, and the usage, help
 * and nearest name that come of it. All here print.
 */
#ifndef COMMON_COMMAND_H
#define COMMON_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

/* Exit statuses. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command; /* a program's own: what its functions take */
struct command_row {
	const char *name;
	int (*fn)(struct command *c);
	bool on_one; /* works on one zone or VM, which must be named */
	const char *usage; /* from its name on */
	const char *help; /* one line */
};
struct command_table {
	const char *program;
	const char *options; /* of the program, before a command: "[-R root]" */
	const char *named; /* "-z zone ", before the usage of on_one's; or "" */
	const struct command_row *rows;
	size_t n;
};

/* NULL: there is none, and that is told with the nearest one. */
const struct command_row *
command_find(const struct command_table *t, const char *name);
/*
 * The command behind the program's own options, which getopt has read: its
 * row, *argc and *argv from its name on, and getopt ready for its options.
 * NULL: there is none, and that is told.
 */
const struct command_row *
command_take(const struct command_table *t, int *argc, char ***argv);
/* How the program is called. */
void command_synopsis(const struct command_table *t, FILE *f);
/* The same after "PROGRAM: why", or alone if why is NULL; EXIT_USAGE. */
int command_refuse(const struct command_table *t, const char *why);
/* A command's usage, after "PROGRAM: COMMAND: why"; EXIT_USAGE. */
int command_usage(const struct command_table *t, const struct command_row *row,
    const char *why);
/* The command "help [command]", argv[0] being "help"; an exit status. */
int command_help(const struct command_table *t, int argc, char **argv);
/* A text, to standard output; an exit status. */
int command_print(const struct command_table *t, struct buf *b);

#endif
