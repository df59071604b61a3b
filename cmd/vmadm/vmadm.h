/*
 * The commands of vmadm, a row each.
 */
#ifndef VMADM_H
#define VMADM_H

#include <jansson.h>
#include <stdbool.h>

#include "admin/vm.h"
#include "base/buf.h"
#include "base/error.h"
#include "command.h"

struct command {
	struct admin *admin;
	struct vm vm; /* where the row needs one */
	int argc; /* behind the command's name and the VM: argv[0] is it */
	char **argv;
	const struct command_row *row;
};

/* name, function, needs a VM, usage, help */
#define VMADM_COMMANDS(X)                                                     \
	X("console", console, true, "console uuid",                           \
	    "be on the VM's console; ~. leaves")                              \
	X("create", create, false, "create [-f file]",                        \
	    "make a VM of a JSON manifest")                                   \
	X("create-snapshot", create_snapshot, true,                           \
	    "create-snapshot uuid name", "keep the disks as they are now")    \
	X("delete", delete, true, "delete [-F] uuid",                         \
	    "remove a VM and all its data; -F stops it first")                \
	X("delete-snapshot", delete_snapshot, true,                           \
	    "delete-snapshot uuid name", "remove a snapshot")                 \
	X("events", events, false, "events [-a | -n] [uuid]",                 \
	    "follow what happens to VMs, a JSON object a line")               \
	X("get", get, true, "get uuid", "show a VM as JSON")                  \
	X("help", help, false, "help [command]", "explain")                   \
	X("info", info, true, "info uuid [type ...]",                         \
	    "show what a VM uses, and its sockets, as JSON")                  \
	X("install", install, true, "install uuid",                           \
	    "install a zone that zonecfg(8) configured")                      \
	X("list", list, false,                                                \
	    "list [-H] [-p] [-o field,...] [-s field,...] [field=value ...]", \
	    "list VMs")                                                       \
	X("lookup", lookup, false,                                            \
	    "lookup [-1] [-j [-o field,...]] [field=value ...]",              \
	    "find VMs by their properties")                                   \
	X("reboot", reboot, true, "reboot [-F] [-t seconds] uuid",            \
	    "shut down and start again; -F does not ask the guest")           \
	X("receive", receive, false, "receive [-F] [-f file]",                \
	    "make a VM of what send wrote")                                   \
	X("reprovision", reprovision, true, "reprovision uuid [-f file]",     \
	    "give a VM another boot disk, of an image")                       \
	X("rollback-snapshot", rollback_snapshot, true,                       \
	    "rollback-snapshot uuid name",                                    \
	    "bring the disks back to a snapshot; newer ones go")              \
	X("send", send, true, "send uuid",                                    \
	    "write a stopped VM to standard output")                          \
	X("start", start, true,                                               \
	    "start uuid [order=list] [cdrom=path,model] [disk=path,model]",   \
	    "start a VM; what is given holds for this boot only")             \
	X("stop", stop, true, "stop [-F] [-t seconds] uuid",                  \
	    "press the power button, halt if nothing comes of it; -F halts "  \
	    "at once")                                                        \
	X("sysrq", sysrq, true, "sysrq uuid nmi",                             \
	    "send the guest a non-maskable interrupt")                        \
	X("update", update, true,                                             \
	    "update uuid [-f file | property=value ...]", "change a VM")      \
	X("validate", validate, false,                                        \
	    "validate create [-f file] | validate update brand [-f file]",    \
	    "say what is wrong with JSON, and do nothing")

#define X(name, fn, vm, usage, help) int cmd_##fn(struct command *c);
VMADM_COMMANDS(X)
#undef X

/* Print an error, or the command's usage; return the exit status. */
int failed(const struct command *c, const struct error *err);
int usage(const struct command *c, const char *why);
/* "Successfully ...", on standard error as SmartOS does. */
int done(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Print JSON to standard output, indented, or in one line. */
int print_json(const json_t *v);

/*
 * "-f FILE" of the command's arguments, behind which *ret_at stands; NULL: none
 * is given. *status tells an error.
 */
const char *file_option(struct command *c, int *status);
/* JSON of a file or of standard input, which may be no terminal. */
int read_json(struct command *c, const char *file, json_t **ret, int *status);
/* Replace this process by another program of ours. */
int become(struct command *c, const char *program, const char *const *argv);

#endif
