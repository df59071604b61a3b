/*
 * The way into the background.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

int
daemon_root(const char *root, char ret[PATH_MAX], struct error *err)
{
	size_t n;

	if (realpath(root, ret) == NULL)
		return error_sys(err, errno, "root %s", root);
	n = strlen(ret);
	if (n > 0 && ret[n - 1] == '/')
		ret[n - 1] = '\0';
	return 0;
}

static void
let_go(void)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	if (chdir("/") != 0 || null < 0)
		_exit(1);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (null > 2)
		close(null);
}

void
daemon_report(int report, const struct error *failed)
{
	const char *text = failed != NULL ? failed->text : "";

	if (report < 0)
		return;
	(void)fd_write_all(report, text, strlen(text) + 1);
	close(report);
}

int
daemon_start(int (*serve)(void *arg, int report), void *arg, struct error *err)
{
	char text[sizeof(err->text)] = "";
	int pair[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return error_sys(err, errno, "cannot go into the background");
	if (pid == 0) {
		close(pair[0]);
		let_go();
		_exit(serve(arg, pair[1]));
	}
	close(pair[1]);
	n = fd_read_full(pair[0], text, sizeof(text) - 1);
	close(pair[0]);
	if (n == 1)
		return 0;
	return error_set(err, EIO, "%s", n > 0 ? text : "it ended early");
}
