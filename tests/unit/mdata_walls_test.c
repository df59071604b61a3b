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
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
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
result(long rc)
{
	return rc < 0 ? errno : 0;
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
	return result(openat(config, "/etc/passwd", O_RDONLY));
}

static int
root_dir(void)
{
	return result(openat(config, "/new", O_WRONLY | O_CREAT, 0600));
}

static int
zones_file(void)
{
	return result(openat(zones, "shadow", O_RDONLY));
}

static int
up(void)
{
	return result(openat(config, "../secret", O_RDONLY));
}

static int
further_up(void)
{
	return result(openat(config, "../../../etc/passwd", O_RDONLY));
}

static int
list(void)
{
	return result(openat(config, ".", O_RDONLY | O_DIRECTORY));
}

static int
sockets(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int
unix_sockets(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int
processes(void)
{
	return result(fork());
}

static int
programs(void)
{
	char *const argv[] = { top, NULL };

	return result(execve("/bin/true", argv, argv));
}

static int
code(void)
{
	return result(mmap(NULL, 4096, PROT_READ | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		? -1
		: 0);
}

static int
folders(void)
{
	return result(mkdirat(config, "folder", 0700));
}

static int
links(void)
{
	return result(symlinkat("/etc/passwd", config, "new"));
}

static int
owners(void)
{
	return result(fchown(config, 0, 0));
}

static int
root_again(void)
{
	return result(setresuid(0, 0, 0));
}

static int
others(void)
{
	return result(kill(getppid(), SIGTERM));
}

static int
traces(void)
{
	return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int
spaces(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static const struct attempt {
	const char *what;
	int (*fn)(void);
	int want; /* errno; 0: it works; negative: a signal */
} attempts[] = {
	{ "what it is for", its_work, 0 },
	{ "the same in a thread", in_a_thread, 0 },
	{ "a file of the host", host_file, ENOENT },
	{ "a file in its root", root_dir, EROFS },
	{ "a file beside the configurations", zones_file, EACCES },
	{ "the zonepath", up, EACCES },
	{ "further up", further_up, EACCES },
	{ "a list of the folder", list, EACCES },
	{ "a socket", sockets, -SIGSYS },
	{ "a local socket", unix_sockets, -SIGSYS },
	{ "a process", processes, -SIGSYS },
	{ "a program", programs, -SIGSYS },
	{ "code", code, -SIGSYS },
	{ "a folder", folders, -SIGSYS },
	{ "a link", links, -SIGSYS },
	{ "an owner", owners, -SIGSYS },
	{ "root again", root_again, -SIGSYS },
	{ "a signal", others, -SIGSYS },
	{ "a trace", traces, -SIGSYS },
	{ "a namespace", spaces, -SIGSYS },
};

static void
behind_walls(void)
{
	if (geteuid() != 0)
		return;
	begin();
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		const struct attempt *a = &attempts[i];
		struct error err = ERROR_INIT;
		int status = 0;
		pid_t pid = fork();

		tap_context("%s", a->what);
		if (pid == 0)
			_exit(mdata_walls_enter(&err) < 0 ? 99 : a->fn());
		tap_check_int(waitpid(pid, &status, 0), pid);
		if (a->want < 0)
			tap_check_int(
			    WIFSIGNALED(status) ? -WTERMSIG(status) : status,
			    a->want);
		else
			tap_check_int(WIFEXITED(status) ? WEXITSTATUS(status)
							: -WTERMSIG(status),
			    a->want);
	}
	end();
}

static const struct tap_test tests[] = { TAP_TEST(behind_walls) };
TAP_MAIN(tests)
