#include "attempt.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

int
attempt_made(int (*walls)(const void *), const void *arg, int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int rc = walls(arg);

		_exit(rc != 0 ? rc : fn());
	}
	tap_check_int(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int
attempt_result(long rc)
{
	return rc == -1 ? errno : 0;
}

int
attempt_exec(void)
{
	char *argv[] = { (char *)"true", NULL };

	return attempt_result(execv("/bin/true", argv));
}

int
attempt_exec_memory(void)
{
	return attempt_result((long)mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int
attempt_fork(void)
{
	return attempt_result(syscall(SYS_fork));
}

int
attempt_inet(void)
{
	return attempt_result(socket(AF_INET, SOCK_STREAM, 0));
}

int
attempt_ptrace(void)
{
	return attempt_result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

int
attempt_setuid(void)
{
	return attempt_result(setresuid(0, 0, 0));
}

int
attempt_unix(void)
{
	return attempt_result(socket(AF_UNIX, SOCK_STREAM, 0));
}
