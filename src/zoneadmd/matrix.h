/*
 * What a supervisor does with a command, by the state of the zone when it
 * arrives. A request for what is already so succeeds, so that two operators who
 * ask for the same both get it.
 */
#ifndef ZONEADMD_MATRIX_H
#define ZONEADMD_MATRIX_H

#include "base/buf.h"
#include "zone/store.h"

#define SUP_COMMANDS(X)                      \
	X(READY, "ready")                    \
	X(BOOT, "boot")                      \
	X(HALT, "halt")                      \
	X(SHUTDOWN, "shutdown")              \
	X(REBOOT, "reboot")                  \
	X(UNINSTALLING, "note_uninstalling") \
	X(STATUS, "status")                  \
	X(NMI, "nmi")                        \
	X(PAUSE, "pause")                    \
	X(RESUME, "resume")

enum sup_command {
#define X(id, name) SUP_##id,
	SUP_COMMANDS(X)
#undef X
	    SUP_NCOMMANDS
};

/* what is done, in the words of the printed table */
#define SUP_ACTS(X)                  \
	X(REFUSE, "-")               \
	X(ALREADY, "already so")     \
	X(READY, "ready")            \
	X(READY_BOOT, "ready+boot")  \
	X(BOOT, "boot")              \
	X(READY_AGAIN, "halt+ready") \
	X(HALT, "halt")              \
	X(SHUTDOWN, "power button")  \
	X(REBOOT, "halt+ready+boot") \
	X(LEAVE, "leave")            \
	X(STATUS, "tell")            \
	X(NMI, "nmi")                \
	X(PAUSE, "pause")            \
	X(RESUME, "resume")

enum sup_act {
#define X(id, text) ACT_##id,
	SUP_ACTS(X)
#undef X
};

extern const char *const sup_command_names[SUP_NCOMMANDS];
/* -EINVAL: there is no such command. */
int sup_command_parse(const char *name, enum sup_command *ret);
enum sup_act sup_act_of(enum zone_state state, enum sup_command command);
/* The table, a row a state. */
void sup_matrix_print(struct buf *b);

#endif
