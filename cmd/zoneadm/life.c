/*
 * Commands that a supervisor carries out.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "zoneadm.h"

#define SECONDS_MOST 86400

static int
ask(struct command *c, struct admin_request *rq)
{
	struct error err = ERROR_INIT;
	struct buf notes;
	const char *text;
	int rc;

	buf_init(&notes, 1 << 16);
	rc = admin_request(c->admin, c->zone, rq, &notes, &err);
	text = buf_str(&notes);
	if (rc == 0 && text != NULL && text[0] != '\0')
		fprintf(stderr, "zoneadm: %s\n", text);
	buf_fini(&notes);
	return rc < 0 ? failed(c, &err) : EXIT_OK;
}

static int
ask_plain(struct command *c, const char *command)
{
	struct admin_request rq = { .command = command };

	if (c->argc != 1)
		return usage(c, "takes no argument");
	return ask(c, &rq);
}

int
cmd_ready(struct command *c)
{
	return ask_plain(c, "ready");
}

int
cmd_halt(struct command *c)
{
	return ask_plain(c, "halt");
}

int
cmd_nmi(struct command *c)
{
	return ask_plain(c, "nmi");
}

static void
boot_args(struct command *c, struct admin_request *rq)
{
	rq->args = (const char *const *)c->argv + optind;
	rq->nargs = (size_t)(c->argc - optind);
}

int
cmd_boot(struct command *c)
{
	struct admin_request rq = { .command = "boot" };
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+X")) != -1) {
		if (opt != 'X')
			return usage(c, NULL);
		rq.debug = true;
	}
	boot_args(c, &rq);
	return ask(c, &rq);
}

int
cmd_reboot(struct command *c)
{
	struct admin_request rq = { .command = "reboot" };

	if (getopt(c->argc, c->argv, "+") != -1)
		return usage(c, NULL);
	boot_args(c, &rq);
	return ask(c, &rq);
}

int
cmd_shutdown(struct command *c)
{
	struct admin_request rq = { .command = "shutdown" };
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+rt:")) != -1) {
		if (opt == 'r')
			rq.reboot = true;
		else if (opt != 't' ||
		    str_to_u64(optarg, 1, SECONDS_MOST, &rq.timeout) < 0)
			return usage(c,
			    opt == 't' ? "-t takes seconds, 1 to 86400" : NULL);
	}
	boot_args(c, &rq);
	if (rq.nargs > 0 && !rq.reboot)
		return usage(c, "arguments are for the boot of -r");
	return ask(c, &rq);
}
