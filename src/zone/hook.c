/*
 * argv, not a command line: a zonepath with blanks or semicolons is one
 * argument.
 */
#include "zone/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "zone/table.h"

void
zone_hook_free(char **argv)
{
	for (size_t i = 0; argv != NULL && argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

static int
expand(const char *word, size_t n, const char *zone, const char *zonepath,
    char **ret, struct error *err)
{
	struct buf b;
	int rc = 0;

	buf_init(&b, 2 * ZONE_VALUE_MAX);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (word[i] != '%') {
			buf_put_u8(&b, (uint8_t)word[i]);
			continue;
		}
		i++;
		if (i < n && word[i] == 'z')
			buf_append_str(&b, zone);
		else if (i < n && word[i] == 'R')
			buf_append_str(&b, zonepath);
		else if (i < n && word[i] == '%')
			buf_put_u8(&b, '%');
		else
			rc = error_set(err, EINVAL,
			    "'%.*s': after %% comes z, R or %%", (int)n, word);
	}
	if (rc == 0 &&
	    (buf_str(&b) == NULL ||
		(*ret = alloc_strdup((char *)b.data)) == NULL))
		rc = error_set(err, ENOMEM, "out of memory");
	buf_fini(&b);
	return rc;
}

static int
words(const char *template, const char *zone, const char *zonepath, char **argv,
    size_t *count, struct error *err)
{
	static const char blanks[] = " \t\r\n";
	const char *p = template + strspn(template, blanks);
	size_t n;
	int rc = 0;

	for (; *p != '\0' && rc == 0; p += n + strspn(p + n, blanks)) {
		n = strcspn(p, blanks);
		if (*count == ZONE_HOOK_WORDS)
			return error_set(
			    err, E2BIG, "more than %d words", ZONE_HOOK_WORDS);
		rc = expand(p, n, zone, zonepath, &argv[*count], err);
		if (rc == 0)
			++*count;
	}
	return rc;
}

int
zone_hook_argv(const char *template, const char *zone, const char *zonepath,
    const char *const *extra, char ***ret, struct error *err)
{
	char **argv = alloc_zero(ZONE_HOOK_WORDS + 1, sizeof(*argv));
	size_t n = 0;
	int rc;

	if (argv == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = words(template, zone, zonepath, argv, &n, err);
	if (rc == 0 && n == 0)
		rc = error_set(err, ENOENT, "nothing to run");
	for (; rc == 0 && extra != NULL && *extra != NULL; extra++, n++) {
		if (n == ZONE_HOOK_WORDS)
			rc = error_set(
			    err, E2BIG, "more than %d words", ZONE_HOOK_WORDS);
		else if ((argv[n] = alloc_strdup(*extra)) == NULL)
			rc = error_set(err, ENOMEM, "out of memory");
		if (rc < 0)
			break;
	}
	if (rc < 0) {
		zone_hook_free(argv);
		return rc;
	}
	*ret = argv;
	return 0;
}

int
zone_hook_expand(const char *word, const char *zone, const char *zonepath,
    char **ret, struct error *err)
{
	return expand(word, strlen(word), zone, zonepath, ret, err);
}

static int
start(char *const *argv, const struct zone_hook_io *io, pid_t *ret)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static char locale[] = "LC_ALL=C";
	static char *const env[] = { path, locale, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	rc = posix_spawn_file_actions_init(&fa);
	if (rc != 0)
		return -rc;
	rc = posix_spawnattr_init(&attr);
	if (rc != 0) {
		posix_spawn_file_actions_destroy(&fa);
		return -rc;
	}
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0 && io->output >= 0)
		rc = posix_spawn_file_actions_adddup2(&fa, io->output, 1);
	if (rc == 0 && io->errors >= 0)
		rc = posix_spawn_file_actions_adddup2(&fa, io->errors, 2);
	if (rc == 0 && io->input >= 0)
		rc = posix_spawn_file_actions_adddup2(
		    &fa, io->input, ZONE_HOOK_FD);
	if (rc == 0)
		rc = posix_spawn(ret, argv[0], &fa, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return -rc;
}

int
zone_hook_start(char *const *argv, const struct zone_hook_io *io, pid_t *ret,
    struct error *err)
{
	int rc = start(argv, io, ret);

	return rc < 0 ? error_sys(err, -rc, "%s", argv[0]) : 0;
}

int
zone_hook_status(const char *program, int status, struct error *err)
{
	int rc;

	if (WIFSIGNALED(status))
		return error_set(err, EINTR, "%s: killed by signal %d", program,
		    WTERMSIG(status));
	rc = WEXITSTATUS(status);
	if (rc != 0)
		error_set(err, EIO, "%s: exit status %d", program, rc);
	return rc;
}

int
zone_hook_run(char *const *argv, int input, struct error *err)
{
	const struct zone_hook_io io = { input, -1, -1 };
	int rc, status;
	pid_t pid;

	rc = zone_hook_start(argv, &io, &pid, err);
	if (rc < 0)
		return rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_sys(err, errno, "%s", argv[0]);
	return zone_hook_status(argv[0], status, err);
}
