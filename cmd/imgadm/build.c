/*
 * build: a script makes disk.raw and manifest.json in a folder of its own, then
 * that is imported as any other.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "base/tree.h"
#include "imgadm.h"

#define PATH_SIZE 4096

/* What can be built, by its script's name. */
static const char *const builders[] = { "busybox", "debian-12" };

static volatile sig_atomic_t child;

/* The script ends and takes away what it made; then we do. */
static void
pass_on(int sig)
{
	if (child > 0)
		(void)kill(child, SIGTERM);
}

static void
on_signals(void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static int
run(const char *name, const char *dir, const char *size, struct error *err)
{
	const char *folder = getenv("ZHYVE_BUILDERS");
	char path[PATH_SIZE];
	int status;
	pid_t pid;

	if (str_format(path, sizeof(path), "%s/%s",
		folder != NULL ? folder : IMAGE_BUILDERS, name) < 0)
		return error_set(err, ENAMETOOLONG, "%s", folder);
	on_signals(pass_on);
	pid = fork();
	if (pid == 0) {
		/* a group of its own: a terminal's ^C comes through us */
		setpgid(0, 0);
		on_signals(SIG_DFL);
		execl(path, path, dir, size, (char *)NULL);
		fprintf(stderr, "imgadm: %s: %s\n", path, strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		return error_sys(err, errno, "cannot run %s", path);
	child = pid;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_sys(err, errno, "%s", path);
	child = 0;
	on_signals(SIG_DFL);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
	    ? 0
	    : error_set(err, ECHILD, "build: %s has failed", name);
}

static int
build_in(struct command *c, const char *name, const char *size, const char *dir,
    bool quiet)
{
	char disk[PATH_SIZE], manifest[PATH_SIZE];
	struct image_import im = { .source = disk, .manifest = manifest };
	struct error err = ERROR_INIT;

	if (run(name, dir, size, &err) < 0)
		return failed(&err);
	if (str_format(disk, sizeof(disk), "%s/disk.raw", dir) < 0 ||
	    str_format(manifest, sizeof(manifest), "%s/manifest.json", dir) < 0)
		return usage(c, "TMPDIR is too long");
	return bring_in(c, &im, quiet);
}

static bool
is_builder(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(builders); i++)
		if (strcmp(builders[i], name) == 0)
			return true;
	return false;
}

int
cmd_build(struct command *c)
{
	const char *tmp = getenv("TMPDIR"), *size = NULL;
	struct error err = ERROR_INIT;
	char dir[PATH_SIZE - 32];
	bool quiet = false;
	uint64_t mib;
	int opt, status;

	while ((opt = getopt(c->argc, c->argv, "+qs:")) != -1) {
		if (opt == 'q')
			quiet = true;
		else if (opt == 's')
			size = optarg;
		else
			return usage(c, NULL);
	}
	if (c->argc - optind != 1 || !is_builder(c->argv[optind]))
		return usage(c, "takes busybox or debian-12");
	if (size != NULL && str_to_u64(size, 64, 1U << 20, &mib) < 0)
		return usage(c, "-s: the disk's size is 64 to 1048576, in MiB");
	if (str_format(dir, sizeof(dir), "%s/imgadm.XXXXXX",
		tmp != NULL ? tmp : "/var/tmp") < 0)
		return usage(c, "TMPDIR is too long");
	if (mkdtemp(dir) == NULL) {
		error_sys(&err, errno, "%s", dir);
		return failed(&err);
	}
	status = build_in(c, c->argv[optind], size, dir, quiet);
	if (tree_remove(dir, &err) < 0 && status == EXIT_OK)
		status = failed(&err);
	return status;
}
