/*
 * The statements of zonecfg: one grammar for files, command lines, people and
 * the exports that are read back.
 *
 *	line	= [ stmt ] { ";" [ stmt ] }          a '#' begins a comment
 *	stmt	= verb { option } { argument }
 *	argument = WORD | WORD "=" value | value
 *	value	= WORD | "(" field { "," field } ")" | "[" [ value { "," value }
 *] "]" field	= WORD "=" WORD
 *
 * A WORD is a run without blanks, '"', ';', '=', brackets and parentheses (and
 * ',' inside those), or anything but '"' and a newline between double quotes.
 */
#ifndef ZONE_STMT_H
#define ZONE_STMT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "zone/conf.h"

#define ZONE_LINE_MAX (256U << 10) /* bytes of a line */
#define ZONE_ARGS_MAX 64 /* arguments of a statement */

/* where a verb may stand */
#define ZV_GLOBAL 0x1
#define ZV_RES 0x2
#define ZV_NOZONE 0x4 /* needs no zone */

/* name, where, options (a ':' behind those with an argument), usage, help */
#define ZONE_VERBS(X)                                                       \
	X(ADD, "add", ZV_GLOBAL | ZV_RES, "",                               \
	    "add resource | add property value",                            \
	    "begin a new resource; in one, add a value to a list")          \
	X(CANCEL, "cancel", ZV_RES, "", "cancel",                           \
	    "leave the resource, and forget what was done to it")           \
	X(CLEAR, "clear", ZV_GLOBAL | ZV_RES, "", "clear property",         \
	    "unset a property")                                             \
	X(COMMIT, "commit", ZV_GLOBAL, "", "commit",                        \
	    "verify the configuration and write it to disk")                \
	X(CREATE, "create", ZV_GLOBAL | ZV_NOZONE, "Fba:t:X",               \
	    "create [-F] [-a path | -b | -t template] [-X]",                \
	    "begin a new configuration: blank, like another, or that of a " \
	    "detached zone")                                                \
	X(DELETE, "delete", ZV_GLOBAL, "F", "delete [-F]",                  \
	    "remove the configuration from disk, at once")                  \
	X(END, "end", ZV_RES, "", "end",                                    \
	    "finish the resource, and go back to the zone")                 \
	X(EXIT, "exit", ZV_GLOBAL | ZV_RES | ZV_NOZONE, "F", "exit [-F]",   \
	    "commit and leave; with -F leave without")                      \
	X(EXPORT, "export", ZV_GLOBAL, "f:", "export [-f file]",            \
	    "print the statements that make this zone")                     \
	X(HELP, "help", ZV_GLOBAL | ZV_RES | ZV_NOZONE, "",                 \
	    "help [command | resource | property]", "explain")              \
	X(INFO, "info", ZV_GLOBAL | ZV_RES, "",                             \
	    "info [property | resource [property=value]...]",               \
	    "show the configuration")                                       \
	X(REMOVE, "remove", ZV_GLOBAL | ZV_RES, "F",                        \
	    "remove [-F] resource [property=value]... | remove property "   \
	    "value",                                                        \
	    "remove resources; in one, a value of a list")                  \
	X(REVERT, "revert", ZV_GLOBAL, "F", "revert [-F]",                  \
	    "go back to what is on disk")                                   \
	X(SELECT, "select", ZV_GLOBAL, "",                                  \
	    "select resource property=value...",                            \
	    "edit the resource that has these values")                      \
	X(SET, "set", ZV_GLOBAL | ZV_RES, "", "set property=value",         \
	    "give a property a value")                                      \
	X(VERIFY, "verify", ZV_GLOBAL, "", "verify", "check the configuration")

enum zone_verb {
#define X(id, name, where, opts, usage, help) ZONE_VERB_##id,
	ZONE_VERBS(X)
#undef X
	    ZONE_NVERBS
};

struct zone_verb_row {
	const char *name;
	unsigned where;
	const char *opts;
	const char *usage;
	const char *help;
};
extern const struct zone_verb_row zone_verbs[ZONE_NVERBS];

struct zone_arg {
	const char *name; /* word before '=', or the only word; else NULL */
	bool assigned; /* there was a '=', or a value alone */
	bool list; /* the value was in brackets */
	struct zone_raw *values;
	size_t nvalues;
};

struct zone_stmt {
	enum zone_verb verb;
	const char *opt_arg; /* of the one option that has an argument */
	unsigned opts; /* bit number: index of the letter in the row */
	struct zone_arg *args;
	size_t nargs;
};
/* Was the option given? */
bool zone_stmt_opt(const struct zone_stmt *stmt, char letter);

/*
 * Take one statement from *text, which is a line or a command line of several,
 * and step over it. 1: *ret is filled and freed with zone_stmt_free(); 0: there
 * is none left. -EINVAL: *text is behind the bad statement.
 *
 * All texts of a statement live in one block that *ret owns.
 */
int
zone_stmt_parse(const char **text, struct zone_stmt **ret, struct error *err);
void zone_stmt_free(struct zone_stmt *stmt); /* NULL is allowed */

/*
 * Append a value as export writes it: in quotes if it would not be read back as
 * one word, or if an older lexer would take it for a keyword.
 */
void zone_stmt_quote(struct buf *b, const char *text, bool always);
/* Append one value of a property: plain, or (name=value,...). */
void zone_stmt_value(
    struct buf *b, const struct zone_prop *p, const struct zone_val *v);

#endif
