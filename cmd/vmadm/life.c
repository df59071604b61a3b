/*
 * Commands for VMs that run, and those that other programs carry out.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "vmadm.h"

#define SECONDS_MOST 86400
#define ONCE_MAX 8

/* "cdrom=path,model" and the like, of which there may be several. */
int
cmd_start(struct command *c)
{
	const char *cdroms[ONCE_MAX], *disks[ONCE_MAX];
	struct vm_start how = { .cdroms = cdroms, .disks = disks };
	struct error err = ERROR_INIT;

	for (int i = 1; i < c->argc; i++) {
		const char *a = c->argv[i];

		if (strncmp(a, "cdrom=", 6) == 0 && how.ncdroms < ONCE_MAX)
			cdroms[how.ncdroms++] = a + 6;
		else if (strncmp(a, "disk=", 5) == 0 && how.ndisks < ONCE_MAX)
			disks[how.ndisks++] = a + 5;
		else if (strncmp(a, "order=", 6) == 0)
			how.order = a + 6;
		else
			return usage(c, "knows order=, cdrom= and disk=");
	}
	if (vm_start(c->admin, &c->vm, &how, &err) < 0)
		return failed(c, &err);
	return done("started VM %s", c->vm.uuid);
}

static int
end(struct command *c,
    int (*fn)(struct admin *a, const struct vm *vm, bool force,
	uint64_t seconds, struct error *err),
    const char *what)
{
	struct error err = ERROR_INIT;
	uint64_t seconds = 0;
	bool force = false;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+Ft:")) != -1) {
		if (opt == 'F')
			force = true;
		else if (opt != 't' ||
		    str_to_u64(optarg, 1, SECONDS_MOST, &seconds) < 0)
			return usage(c,
			    opt == 't' ? "-t takes seconds, 1 to 86400" : NULL);
	}
	if (optind != c->argc)
		return usage(c, "takes one VM");
	if (fn(c->admin, &c->vm, force, seconds, &err) < 0)
		return failed(c, &err);
	return done("completed %s for VM %s", what, c->vm.uuid);
}

int
cmd_stop(struct command *c)
{
	return end(c, vm_stop, "stop");
}

int
cmd_reboot(struct command *c)
{
	return end(c, vm_reboot, "reboot");
}

int
cmd_sysrq(struct command *c)
{
	struct error err = ERROR_INIT;

	if (c->argc != 2 || strcmp(c->argv[1], "nmi") != 0)
		return usage(c, "knows 'nmi'");
	if (vm_nmi(c->admin, &c->vm, &err) < 0)
		return failed(c, &err);
	return done("sent NMI to VM %s", c->vm.uuid);
}

int
cmd_console(struct command *c)
{
	const char *const argv[] = { "zlogin", "-C", "-R", c->admin->root,
		c->vm.name, NULL };

	if (c->argc != 1)
		return usage(c, "takes one VM");
	return become(c, "zlogin", argv);
}

int
cmd_events(struct command *c)
{
	const char *argv[8] = { "zoneadm", "-R", c->admin->root };
	struct error err = ERROR_INIT;
	const char *option = NULL;
	struct vm vm;
	int n = 3, opt;

	while ((opt = getopt(c->argc, c->argv, "+an")) != -1) {
		if (opt == '?')
			return usage(c, NULL);
		option = opt == 'a' ? "-a" : "-n";
	}
	if (optind + 1 < c->argc)
		return usage(c, "takes one VM");
	if (optind < c->argc) {
		if (vm_find(c->admin, c->argv[optind], &vm, &err) < 0)
			return failed(c, &err);
		argv[n++] = "-z";
		argv[n++] = vm.name;
	}
	argv[n++] = "events";
	argv[n] = option;
	return become(c, "zoneadm", argv);
}
