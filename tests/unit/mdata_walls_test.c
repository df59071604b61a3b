/*
 * What somebody finds who has taken over the metadata server: each attempt is
 * made behind the walls that the program builds (cmd/mdata/walls.h), in a
 * process of its own, and names the errno or the signal that it must get.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/work.h"
#include "mdata/config.h"
#include "mdata/data.h"
#include "tap.h"
#include "walls.h"

static char top[64]; /* ZONEPATH */
static int zonepath, config, zones;
static struct mevent_loop *loop;
static struct work_pool *pool;

static void
begin(void)
{
	int fd;

	strcpy(top, "/tmp/mdata_walls.XXXXXX");
	tap_check(mkdtemp(top) != NULL);
	zonepath = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tap_check(zonepath >= 0);
	config = mdata_config_open(zonepath, true, NULL);
	tap_check(config >= 0);
	fd = openat(zonepath, "secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	tap_check(fd >= 0);
	close(fd);
	zones = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	tap_check_int(mevent_loop_create(&loop, NULL), 0);
	tap_check_int(work_pool_create(loop, 4, &pool, NULL), 0);
}

static void
end(void)
{
	static const char *const files[] = { "config/metadata.json",
		"config/.lock", "config/new", "secret" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(zonepath, files[i], 0);
	work_pool_free(pool);
	mevent_loop_destroy(loop);
	unlinkat(zonepath, "config", AT_REMOVEDIR);
	tap_check_int(rmdir(top), 0);
	close(zonepath);
	close(config);
	close(zones);
}

static int
change(void *arg, struct mdata_data *d, struct error *err)
{
	return mdata_data_set(d, MDATA_CUSTOMER, "a", "b", 1, err);
}

static int
its_work(void)
{
	struct mdata_data *d = NULL;
	struct stat st;

	if (mdata_data_update(config, false, change, NULL, NULL) != 0)
		return 1;
	if (mdata_data_load(config, &d, NULL) != 0)
		return 2;
	mdata_data_free(d);
	return fstatat(zones, "passwd", &st, 0) != 0 ? 3 : 0;
}

static void
work_run(void *arg)
{
	*(int *)arg = its_work();
}

static void
work_done(void *arg)
{
	mevent_loop_stop(loop);
}

static int
in_a_thread(void)
{
	int rc = 99;
	struct work w = {
		.run = work_run, .done = work_done, .arg = &rc, .key = "z"
	};

	work_submit(pool, &w);
	return mevent_loop_run(loop) == 0 ? rc : 98;
}

static int
host_file(void)
{
	return attempt_result(openat(config, "/etc/passwd", O_RDONLY));
}

static int
root_dir(void)
{
	return attempt_result(openat(config, "/new", O_WRONLY | O_CREAT, 0600));
}

static int
zones_file(void)
{
	return attempt_result(openat(zones, "shadow", O_RDONLY));
}

static int
up(void)
{
	return attempt_result(openat(config, "../secret", O_RDONLY));
}

static int
further_up(void)
{
	return attempt_result(openat(config, "../../../etc/passwd", O_RDONLY));
}

static int
list(void)
{
	return attempt_result(openat(config, ".", O_RDONLY | O_DIRECTORY));
}

static int
folders(void)
{
	return attempt_result(mkdirat(config, "folder", 0700));
}

static int
links(void)
{
	return attempt_result(symlinkat("/etc/passwd", config, "new"));
}

static int
owners(void)
{
	return attempt_result(fchown(config, 0, 0));
}

static int
others(void)
{
	return attempt_result(kill(getppid(), SIGTERM));
}

static int
spaces(void)
{
	return attempt_result(unshare(CLONE_NEWUSER));
}

static const struct {
	const char *what;
	int (*fn)(void);
	int want;
} attempts[] = {
	{ "what it is for", its_work, 0 },
	{ "the same in a thread", in_a_thread, 0 },
	{ "a file of the host", host_file, ENOENT },
	{ "a file in its root", root_dir, EROFS },
	{ "a file beside the configurations", zones_file, EACCES },
	{ "the zonepath", up, EACCES },
	{ "further up", further_up, EACCES },
	{ "a list of the folder", list, EACCES },
	{ "a socket", attempt_inet, KILLED },
	{ "a local socket", attempt_unix, KILLED },
	{ "a process", attempt_fork, KILLED },
	{ "a program", attempt_exec, KILLED },
	{ "code", attempt_exec_memory, KILLED },
	{ "a folder", folders, KILLED },
	{ "a link", links, KILLED },
	{ "an owner", owners, KILLED },
	{ "root again", attempt_setuid, KILLED },
	{ "a signal", others, KILLED },
	{ "a trace", attempt_ptrace, KILLED },
	{ "a namespace", spaces, KILLED },
};

static int
enter(const void *arg)
{
	struct error err = ERROR_INIT;

	if (mdata_walls_enter(&err) >= 0)
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return 99;
}

static void
behind_walls(void)
{
	if (geteuid() != 0)
		tap_skip("only root builds these walls");
	begin();
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		tap_context("%s", attempts[i].what);
		tap_check_int(attempt_made(enter, NULL, attempts[i].fn),
		    attempts[i].want);
	}
	end();
}

static const struct tap_test tests[] = { TAP_TEST(behind_walls) };
TAP_MAIN(tests)
