/*
 * Commands that a supervisor carries out.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "zoneadm.h"

#define SECONDS_MOST 86400

static const char no_zone[] = "no zone is named; use -z or -u";

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

/* ---- boot ---- */

static bool
boots_by_itself(const struct admin_zone *z)
{
	return z->autoboot &&
	    (z->state == ZONE_STATE_INSTALLED || z->state == ZONE_STATE_READY);
}

static int
ask_one(struct command *c, void *arg)
{
	return ask(c, arg);
}

int
cmd_boot(struct command *c)
{
	struct admin_request rq = { .command = "boot" };
	bool all = false;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+Xa")) != -1) {
		if (opt == '?')
			return usage(c, NULL);
		if (opt == 'X')
			rq.debug = true;
		else
			all = true;
	}
	boot_args(c, &rq);
	if (all)
		return all_zones(c, boots_by_itself, false, ask_one, &rq);
	return c->zone == NULL ? usage(c, no_zone) : ask(c, &rq);
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

/* ---- shutdown ---- */

static bool
is_up(const struct admin_zone *z)
{
	return z->state > ZONE_STATE_INSTALLED;
}

/* The host goes down: who does not listen is halted. */
static int
down_one(struct command *c, void *arg)
{
	struct admin_request halt = { .command = "halt" }, *rq = arg;
	struct error err = ERROR_INIT;

	if (admin_request(c->admin, c->zone, rq, NULL, &err) == 0)
		return EXIT_OK;
	failed(c, &err);
	return ask(c, &halt);
}

int
cmd_shutdown(struct command *c)
{
	struct admin_request rq = { .command = "shutdown" };
	bool all = false;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+art:")) != -1) {
		if (opt == 'r')
			rq.reboot = true;
		else if (opt == 'a')
			all = true;
		else if (opt != 't' ||
		    str_to_u64(optarg, 1, SECONDS_MOST, &rq.timeout) < 0)
			return usage(c,
			    opt == 't' ? "-t takes seconds, 1 to 86400" : NULL);
	}
	if (optind != c->argc || (all && rq.reboot))
		return usage(c, NULL);
	if (all)
		return all_zones(c, is_up, true, down_one, &rq);
	return c->zone == NULL ? usage(c, no_zone) : ask(c, &rq);
}
