/*
 * Programs that are run and waited for while the console is served: hooks of
 * the brand and the maker of snapshots.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "zone/hook.h"
#include "zone/snap.h"
#include "zoneadmd/impl.h"

#define PROGRAM_SECONDS 60
#define ERRORS_MAX 400

struct running {
	struct sup *sup;
	bool ended;
};
static struct running *current;

static void
on_end(void *arg, int fd, unsigned what)
{
	struct running *r = arg;

	r->ended = true;
}

static bool
has_ended(struct sup *sup)
{
	return current->ended;
}

/* Wait for its end, or make an end of it. */
static int
await(struct sup *sup, pid_t pid, const char *name, int *ret_status,
    struct error *err)
{
	cleanup_close int pidfd = pidfd_open(pid, 0);
	struct running run = { .sup = sup }, *before = current;
	struct mevent *ev = NULL;
	int rc;

	rc = pidfd < 0 ? error_sys(err, errno, "%s", name)
		       : mevent_add_fd(sup->loop, pidfd, MEVENT_READ, on_end,
			     &run, &ev, err);
	current = &run;
	if (rc == 0)
		rc = sup_wait(sup, has_ended,
		    mevent_now_ns() + PROGRAM_SECONDS * NS_PER_S, err);
	current = before;
	mevent_delete(ev);
	if (rc < 0) {
		kill(pid, SIGKILL);
		error_prefix(err, "%s", name);
	}
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return error_sys(err, errno, "%s", name);
	return rc;
}

/* What it said on standard error, in one line, behind what is known. */
static void
add_errors(int fd, struct error *err)
{
	char text[ERRORS_MAX + 1], first[160];
	ssize_t n = fd_pread_full(fd, text, ERRORS_MAX, 0);

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	if (n <= 0)
		return;
	text[n] = '\0';
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
	str_format(first, sizeof(first), "%.150s", err->text);
	error_set(err, err->code, "%s: %s", first, text);
}

static int
read_output(int fd, struct buf *output, const char *name, struct error *err)
{
	ssize_t n;
	void *p;

	for (;;) {
		p = buf_reserve(output, 4096);
		if (p == NULL)
			return error_set(err, EFBIG, "%s: says too much", name);
		n = fd_pread_full(fd, p, 4096, (off_t)output->len);
		if (n <= 0)
			return n < 0 ? error_sys(err, (int)-n, "%s", name) : 0;
		output->len += (size_t)n;
	}
}

int
sup_program(struct sup *sup, char *const *argv, int input, struct buf *output,
    struct error *err)
{
	cleanup_close int out = fd_memfd("output", 0, 0);
	cleanup_close int errors = fd_memfd("errors", 0, 0);
	const struct zone_hook_io io = { input, out, errors };
	int rc, status = 0;
	pid_t pid;

	if (out < 0 || errors < 0)
		return error_set(err, ENOMEM, "out of memory");
	rc = zone_hook_start(argv, &io, &pid, err);
	if (rc == 0)
		rc = await(sup, pid, argv[0], &status, err);
	if (rc == 0)
		rc = zone_hook_status(argv[0], status, err);
	if (rc != 0) {
		if (err != NULL)
			add_errors(errors, err);
		return -EIO;
	}
	return output != NULL ? read_output(out, output, argv[0], err) : 0;
}

int
sup_hook(struct sup *sup, const char *hook, const char *const *extra,
    struct buf *output, struct error *err)
{
	const struct nvlist *hooks = NULL;
	const char *template = "";
	cleanup_close int input = -1;
	char **argv = NULL;
	int rc;

	if (sup->snap != NULL &&
	    nvlist_get_list(sup->snap, "hooks", &hooks) == 0)
		(void)nvlist_get_str(hooks, hook, &template);
	rc = zone_hook_argv(
	    template, sup->conf.zone, sup->zonepath, extra, &argv, err);
	if (rc == -ENOENT)
		return output == NULL ? 0 : -ENOENT;
	if (rc == 0) {
		input = openat(sup->dir, "snapshot.xml", O_RDONLY | O_CLOEXEC);
		rc = sup_program(sup, argv, input, output, err);
	}
	zone_hook_free(argv);
	return rc < 0 ? error_prefix(err, "hook %s", hook) : 0;
}

int
sup_statechange(struct sup *sup, bool post, enum zone_state state, int cmd,
    struct error *err)
{
	char number[16], command[16];
	const char *const extra[] = { number, command, sup->conf.root, NULL };

	str_format(number, sizeof(number), "%d", (int)state);
	str_format(command, sizeof(command), "%d", cmd);
	return sup_hook(
	    sup, post ? "poststatechange" : "prestatechange", extra, NULL, err);
}

int
sup_snapshot(struct sup *sup, struct error *err)
{
	const struct sup_conf *c = &sup->conf;
	const char *const argv[] = { c->snap, "-z", c->zone, "-R", c->root,
		c->brands != NULL ? "-B" : NULL, c->brands, NULL };
	struct nvlist *snap = NULL;
	struct buf b;
	int rc;

	buf_init(&b, ZONE_SNAP_MAX);
	rc = sup_program(sup, (char *const *)(uintptr_t)argv, -1, &b, err);
	if (rc == 0)
		rc = nvlist_unpack(b.data, b.len, &snap, err);
	buf_fini(&b);
	if (rc < 0)
		return error_prefix(err, "configuration");
	nvlist_free(sup->snap);
	sup->snap = snap;
	return 0;
}
