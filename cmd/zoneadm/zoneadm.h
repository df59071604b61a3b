/*
 * The commands of zoneadm, a row each.
 */
#ifndef ZONEADM_H
#define ZONEADM_H

#include <stdbool.h>

#include "admin/admin.h"
#include "base/error.h"

#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

struct command {
	const char *zone; /* -z; NULL where none is needed */
	struct admin *admin;
	int argc; /* behind the command's name: argv[0] is it */
	char **argv;
	const struct command_row *row;
};

/* name, function, needs a zone, usage, help */
#define ZONEADM_COMMANDS(X)                                                    \
	X("boot", boot, true, "boot [-X] [-- argument ...]",                   \
	    "start the zone; returns when the guest runs")                     \
	X("halt", halt, true, "halt", "stop the zone at once")                 \
	X("help", help, false, "help [command]", "explain")                    \
	X("install", install, true, "install [-i format,file] [-x nodataset]", \
	    "make the zone's folder and disks")                                \
	X("list", list, false, "list [-c | -i] [-n] [-p | -v | -j]",           \
	    "list zones; those that run, unless told otherwise")               \
	X("mark", mark, true, "mark incomplete",                               \
	    "have the zone be incomplete: only uninstall helps then")          \
	X("nmi", nmi, true, "nmi", "send the guest a non-maskable interrupt")  \
	X("ready", ready, true, "ready",                                       \
	    "have the machine built, but not started")                         \
	X("reboot", reboot, true, "reboot [-- argument ...]", "halt and boot") \
	X("shutdown", shutdown, true,                                          \
	    "shutdown [-r] [-t seconds] [-- argument ...]",                    \
	    "press the power button, wait until the guest is down")            \
	X("uninstall", uninstall, true, "uninstall [-F]",                      \
	    "remove everything below the zone's folder")                       \
	X("verify", verify, true, "verify",                                    \
	    "could the zone be installed and booted?")

#define X(name, fn, zone, usage, help) int cmd_##fn(struct command *c);
ZONEADM_COMMANDS(X)
#undef X

struct command_row {
	const char *name;
	int (*fn)(struct command *c);
	bool zone;
	const char *usage, *help;
};
extern const struct command_row commands[];

/* Print an error, or the command's usage; return the exit status. */
int failed(const struct command *c, const struct error *err);
int usage(const struct command *c, const char *why);
/* 0 when forced or agreed; else an exit status, and it is told. */
int consent(const struct command *c, bool force, const char *what);
/* Write to standard output. */
int print(const struct command *c, struct buf *b);

#endif
