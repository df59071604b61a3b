/*
 * Commands that change what is on disk.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "zoneadm.h"

int
cmd_verify(struct command *c)
{
	struct error err = ERROR_INIT;

	if (c->argc != 1)
		return usage(c, "takes no argument");
	return admin_verify(c->admin, c->zone, &err) < 0 ? failed(c, &err)
							 : EXIT_OK;
}

int
cmd_install(struct command *c)
{
	struct admin_install in = { NULL };
	struct error err = ERROR_INIT;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+i:x:")) != -1) {
		if (opt == 'i' && strncmp(optarg, "raw,", 4) == 0)
			in.image = optarg + 4;
		else if (opt == 'i')
			return usage(c, "-i takes raw,FILE");
		else if (opt != 'x' || strcmp(optarg, "nodataset") != 0)
			return usage(
			    c, opt == 'x' ? "-x knows 'nodataset' only" : NULL);
	}
	in.args = (const char *const *)c->argv + optind;
	in.nargs = (size_t)(c->argc - optind);
	return admin_install(c->admin, c->zone, &in, &err) < 0 ? failed(c, &err)
							       : EXIT_OK;
}

int
cmd_uninstall(struct command *c)
{
	struct error err = ERROR_INIT;
	bool force = false;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+F")) != -1) {
		if (opt != 'F')
			return usage(c, NULL);
		force = true;
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	if (consent(c, force, "everything in its folder would be removed") !=
	    EXIT_OK)
		return EXIT_FAILED;
	return admin_uninstall(c->admin, c->zone, &err) < 0 ? failed(c, &err)
							    : EXIT_OK;
}

int
cmd_mark(struct command *c)
{
	struct error err = ERROR_INIT;

	if (c->argc != 2 || strcmp(c->argv[1], "incomplete") != 0)
		return usage(c, NULL);
	return admin_mark_incomplete(c->admin, c->zone, &err) < 0
	    ? failed(c, &err)
	    : EXIT_OK;
}
