/*
 * Commands that give a zone another place.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "zone/xmldoc.h"
#include "zoneadm.h"

int
cmd_clone(struct command *c)
{
	struct error err = ERROR_INIT;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+m:")) != -1)
		if (opt != 'm' || strcmp(optarg, "copy") != 0)
			return usage(
			    c, opt == 'm' ? "-m knows 'copy' only" : NULL);
	if (optind + 1 != c->argc)
		return usage(c, "takes the zone to copy");
	return admin_clone(c->admin, c->zone, c->argv[optind], &err) < 0
	    ? failed(c, &err)
	    : EXIT_OK;
}

int
cmd_move(struct command *c)
{
	struct error err = ERROR_INIT;

	if (c->argc != 2)
		return usage(c, "takes the new zonepath");
	return admin_move(c->admin, c->zone, c->argv[1], &err) < 0
	    ? failed(c, &err)
	    : EXIT_OK;
}

int
cmd_detach(struct command *c)
{
	struct error err = ERROR_INIT;
	bool show = false;
	struct buf b;
	int opt, status;

	while ((opt = getopt(c->argc, c->argv, "+n")) != -1) {
		if (opt != 'n')
			return usage(c, NULL);
		show = true;
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	buf_init(&b, ZONE_XML_MAX);
	if (admin_detach(c->admin, c->zone, show, &b, &err) < 0)
		status = failed(c, &err);
	else
		status = show ? print(c, &b) : EXIT_OK;
	buf_fini(&b);
	return status;
}

int
cmd_attach(struct command *c)
{
	struct error err = ERROR_INIT;
	const char *manifest = NULL;
	bool force = false;
	int opt, rc;

	while ((opt = getopt(c->argc, c->argv, "+Fn:")) != -1) {
		if (opt == 'F')
			force = true;
		else if (opt == 'n')
			manifest = optarg;
		else
			return usage(c, NULL);
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	if (manifest != NULL)
		rc = admin_check_manifest(c->admin, manifest, &err);
	else
		rc = admin_attach(c->admin, c->zone, force, &err);
	return rc < 0 ? failed(c, &err) : EXIT_OK;
}
