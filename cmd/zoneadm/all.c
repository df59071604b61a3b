/*
 * All zones at once, when the host starts or stops: a process each, a few at a
 * time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "zoneadm.h"

#define AT_ONCE 8

/* One has ended: did it work? */
static int
reap(void)
{
	int status = 0;

	while (wait(&status) < 0)
		if (errno != EINTR)
			return EXIT_FAILED;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_OK
							     : EXIT_FAILED;
}

static int
start(struct command *c, const struct admin_zone *z, one_zone_fn fn, void *arg)
{
	struct error err = ERROR_INIT;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		c->zone = z->name;
		_exit(fn(c, arg));
	}
	if (pid > 0)
		return EXIT_OK;
	error_sys(&err, errno, "zone '%s'", z->name);
	return failed(c, &err);
}

int
all_zones(struct command *c, bool (*wanted)(const struct admin_zone *z),
    bool backwards, one_zone_fn fn, void *arg)
{
	struct error err = ERROR_INIT;
	int status = EXIT_OK, busy = 0;
	const struct admin_zone *z;
	struct admin_list l;

	if (c->zone != NULL)
		return usage(c, "-a is all zones: no -z with it");
	if (admin_list(c->admin, true, &l, &err) < 0)
		return failed(c, &err);
	for (size_t i = 0; i < l.n; i++) {
		z = &l.v[backwards ? l.n - 1 - i : i];
		if (!wanted(z))
			continue;
		if (busy == AT_ONCE) {
			status |= reap();
			busy--;
		}
		if (start(c, z, fn, arg) == EXIT_OK)
			busy++;
		else
			status = EXIT_FAILED;
	}
	while (busy-- > 0)
		status |= reap();
	admin_list_free(&l);
	return status;
}
