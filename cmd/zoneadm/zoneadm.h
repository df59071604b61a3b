/*
 * The commands of zoneadm, a row each.
 */
#ifndef ZONEADM_H
#define ZONEADM_H

#include <stdbool.h>

#include "admin/admin.h"
#include "base/error.h"
#include "command.h"

struct command {
	const char *zone; /* -z; NULL where none is needed */
	struct admin *admin;
	int argc; /* behind the command's name: argv[0] is it */
	char **argv;
	const struct command_row *row;
};

/* name, function, needs a zone, usage, help */
#define ZONEADM_COMMANDS(X)                                                    \
	X("apply", apply, true, "apply [-n]",                                  \
	    "put the links' stored protection in force; say what needs a "     \
	    "reboot. -n: only say")                                            \
	X("attach", attach, true, "attach [-F] [-n path]",                     \
	    "take a detached zone in: configured becomes installed")           \
	X("boot", boot, false, "boot [-X] [-- argument ...] | boot -a",        \
	    "start the zone; returns when the guest runs. -a: all autoboot "   \
	    "zones")                                                           \
	X("clone", clone, true, "clone [-m copy] source",                      \
	    "install as a copy of another zone")                               \
	X("detach", detach, true, "detach [-n]",                               \
	    "let a zone go, to attach it elsewhere")                           \
	X("events", events, false, "events [-a | -n]",                         \
	    "follow what happens to zones, a JSON object a line")              \
	X("halt", halt, true, "halt", "stop the zone at once")                 \
	X("help", help, false, "help [command]", "explain")                    \
	X("install", install, true,                                            \
	    "install [-i raw,file] [-x nodataset] [argument ...]",             \
	    "make the zone's folder and disks")                                \
	X("links", links, true, "links [-p] [net]",                            \
	    "links of a zone that runs, what went through and what was "       \
	    "dropped")                                                         \
	X("list", list, false, "list [-c | -i] [-n] [-p | -v | -j]",           \
	    "list zones; those that run, unless told otherwise")               \
	X("mark", mark, true, "mark incomplete",                               \
	    "have the zone be incomplete: only uninstall helps then")          \
	X("move", move, true, "move zonepath",                                 \
	    "give a halted zone another folder")                               \
	X("nmi", nmi, true, "nmi", "send the guest a non-maskable interrupt")  \
	X("ready", ready, true, "ready",                                       \
	    "have the machine built, but not started")                         \
	X("reboot", reboot, true, "reboot [-- argument ...]", "halt and boot") \
	X("shutdown", shutdown, false,                                         \
	    "shutdown [-r] [-t seconds] | shutdown -a [-t seconds]",           \
	    "press the power button, wait until the guest is down. -a: all "   \
	    "zones, halting those that do not listen")                         \
	X("stat", stat, false, "stat [-j]",                                    \
	    "what running zones use: CPU, memory, disk")                       \
	X("uninstall", uninstall, true, "uninstall [-F]",                      \
	    "remove everything below the zone's folder")                       \
	X("verify", verify, true, "verify",                                    \
	    "could the zone be installed and booted?")

#define X(name, fn, zone, usage, help) int cmd_##fn(struct command *c);
ZONEADM_COMMANDS(X)
#undef X

/* Print an error, or the command's usage; return the exit status. */
int failed(const struct command *c, const struct error *err);
int usage(const struct command *c, const char *why);
/* 0 when forced or agreed; else an exit status, and it is told. */
int consent(const struct command *c, bool force, const char *what);
/* Write to standard output. */
int print(const struct command *c, struct buf *b);

/* A connection to the metadata server, or a negative errno: there is none. */
int metadata_dial(struct command *c);
/*
 * Its counters of a zone; NULL: it does not serve it. A server that does not
 * answer is not asked again: *sock is -1 then.
 */
struct nvlist *metadata_stat(int *sock, const char *zone);

/* For each zone that is wanted, in a process of its own: fn with its name. */
typedef int (*one_zone_fn)(struct command *c, void *arg);
int all_zones(struct command *c, bool (*wanted)(const struct admin_zone *z),
    bool backwards, one_zone_fn fn, void *arg);

#endif
