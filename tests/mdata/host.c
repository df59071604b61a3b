/*
 * A metadata server of one guest for tests: the real session and the real keys
 * on a descriptor. FOLDER has metadata.json, as ZONEPATH/config, and in facts/
 * what a supervisor would tell of the zone, a file a key.
 *
 *	mdata_host FOLDER fd=N		a socket or terminal that was inherited
 *	mdata_host FOLDER dial=PATH	a UNIX socket that a VM listens on
 *	mdata_host FOLDER listen=PATH	one client after the other
 *
 * Ends with the connection (fd=, dial=).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "mdata/keys.h"

#define FACTS_MAX 64
#define UUID "5a1c1e0e-6e3f-4f0a-9d1b-0c5d7a1b2c3d"

/* What a supervisor would say: files of FOLDER/facts, named "sdc:...". */
static int
load_facts(struct mdata_keys *k, int folder)
{
	const char *names[FACTS_MAX], *values[FACTS_MAX];
	int fd = openat(folder, "facts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *de;
	size_t n = 0;
	int rc;

	while (d != NULL && n < FACTS_MAX && (de = readdir(d)) != NULL) {
		char *value = calloc(1, MDATA_VALUE_MAX);
		int f;

		if (de->d_name[0] == '.' || value == NULL) {
			free(value);
			continue;
		}
		f = openat(fd, de->d_name, O_RDONLY | O_CLOEXEC);
		if (read(f, value, MDATA_VALUE_MAX - 1) < 0)
			perror(de->d_name);
		close(f);
		names[n] = strdup(de->d_name);
		values[n++] = value;
	}
	rc = mdata_keys_facts(k, names, values, n);
	while (n-- > 0) {
		free((void *)names[n]);
		free((void *)values[n]);
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool
flush(struct mdata_session *s, int fd)
{
	const uint8_t *p;
	size_t n;

	while ((p = mdata_session_output(s, &n)) != NULL) {
		ssize_t rc = write(fd, p, n);

		if (rc <= 0)
			return false;
		mdata_session_sent(s, (size_t)rc);
	}
	return true;
}

static void
converse(struct mdata_session *s, int fd)
{
	uint8_t chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		size_t at = 0;

		while (at < (size_t)n) {
			at += mdata_session_input(
			    s, chunk + at, (size_t)n - at, now_ns());
			if (!flush(s, fd))
				return;
		}
	}
}

static void
serve(int folder, int fd)
{
	struct mdata_keys *k = mdata_keys_create(UUID, folder);
	struct mdata_session *s =
	    k != NULL ? mdata_session_create(&mdata_keys_ops, k) : NULL;

	if (s != NULL && load_facts(k, folder) == 0)
		converse(s, fd);
	mdata_session_free(s);
	mdata_keys_free(k);
	close(fd);
}

static int
unix_socket(const char *path, bool listening)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (str_format(sa.sun_path, sizeof(sa.sun_path), "%s", path) < 0)
		return -1;
	if (listening)
		return bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
			listen(fd, 8) == 0
		    ? fd
		    : -1;
	/* the VM is on its way */
	for (unsigned i = 0; i < 600; i++) {
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
			return fd;
		usleep(100000);
	}
	return -1;
}

int
main(int argc, char **argv)
{
	const char *how = argc == 3 ? argv[2] : "";
	int folder, fd = -1, one;

	folder =
	    argc == 3 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (strncmp(how, "fd=", 3) == 0)
		fd = atoi(how + 3);
	else if (strncmp(how, "dial=", 5) == 0)
		fd = unix_socket(how + 5, false);
	else if (strncmp(how, "listen=", 7) == 0)
		fd = unix_socket(how + 7, true);
	if (folder == -1 || fd == -1) {
		perror("mdata_host");
		return 2;
	}
	if (strncmp(how, "listen=", 7) != 0) {
		serve(folder, fd);
		return 0;
	}
	while ((one = accept(fd, NULL, NULL)) != -1)
		serve(folder, one);
	return 1;
}
