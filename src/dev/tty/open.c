/*
 * From the text of a tty specification to descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/passed.h"
#include "base/str.h"
#include "dev/tty/tty_internal.h"

#define FORMS                                                          \
	"stdio, /dev/PATH, tcp=[HOST:]PORT, socket,PATH[,wait], fd=N " \
	"or none"

/*
 * An open file description of our own: O_NONBLOCK on an inherited one would
 * change it for the shell, too. Sockets need none, files never block.
 */
static int
stdio_reopen(struct tty *tty, int fd, int flags, struct error *err)
{
	char path[32];
	struct stat st;
	int own;

	if (fstat(fd, &st) == -1)
		return error_sys(err, errno, "descriptor %d", fd);
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
		str_format(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (own != -1)
			return own;
		tty->may_block |= flags == O_WRONLY;
	}
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return own != -1 ? own : error_sys(err, errno, "descriptor %d", fd);
}

static int
open_stdio(struct tty *tty, const char *spec, struct error *err)
{
	int rc;

	rc = tty_stdio_take(tty, err);
	if (rc < 0)
		return rc;
	tty->kind = TTY_STREAM;
	rc = stdio_reopen(tty, STDIN_FILENO, O_RDONLY, err);
	if (rc < 0)
		return rc;
	tty->in_fd = rc;
	rc = stdio_reopen(tty, STDOUT_FILENO, O_WRONLY, err);
	if (rc < 0)
		return rc;
	tty->out_fd = rc;
	return 0;
}

static int
open_none(struct tty *tty, const char *spec, struct error *err)
{
	tty->kind = TTY_NONE;
	return 0;
}

static int
open_path(struct tty *tty, const char *path, struct error *err)
{
	struct stat st;
	int fd = passed_open(path, O_RDWR | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return error_sys(err, -fd, "cannot open '%s'", path);
	tty->socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	if (tty->socket) {
		tty->kind = TTY_STREAM;
		tty->in_fd = tty->out_fd = fd;
		return 0;
	}
	if (!(S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))) {
		close(fd);
		return error_set(err, EINVAL,
		    "'%s' is not a terminal or character device", path);
	}
	tty->kind = TTY_STREAM;
	tty->in_fd = tty->out_fd = fd;
	return tty_make_raw(tty, fd, err);
}

static int
open_fd(struct tty *tty, const char *text, struct error *err)
{
	uint64_t n;
	struct stat st;
	int fd, rc;

	if (str_to_u64(text, 0, INT32_MAX, &n) < 0)
		return error_set(err, EINVAL,
		    "'fd=%s': a descriptor's number is wanted", text);
	fd = (int)n;
	if (fstat(fd, &st) == -1)
		return error_sys(err, errno, "descriptor %d", fd);
	/* The caller's descriptor stays the caller's. */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd == -1)
		return error_sys(err, errno, "descriptor %s", text);
	tty->kind = TTY_STREAM;
	tty->in_fd = tty->out_fd = fd;
	tty->socket = S_ISSOCK(st.st_mode);
	if (!tty->socket && !S_ISREG(st.st_mode)) {
		rc = fd_set_nonblock(fd, true);
		if (rc < 0)
			return error_sys(err, -rc, "descriptor %s", text);
	}
	return tty_make_raw(tty, fd, err);
}

/* ---- TCP ---- */

/* "[v6]:port", "host:port" or "port". */
static int
tcp_split(const char *text, char *host, size_t size, const char **ret_port,
    struct error *err)
{
	const char *colon = strrchr(text, ':'), *end;

	*ret_port = colon == NULL ? text : colon + 1;
	if (colon == NULL) {
		str_format(host, size, "127.0.0.1");
		return 0;
	}
	end = colon;
	if (*text == '[' && end > text + 1 && end[-1] == ']') {
		text++;
		end--;
	}
	if (end == text)
		return str_format(host, size, "0.0.0.0");
	if (str_format(host, size, "%.*s", (int)(end - text), text) < 0)
		return error_set(err, EINVAL, "'tcp=%s': name too long", text);
	return 0;
}

static int
tcp_listen(struct tty *tty, const struct addrinfo *ai)
{
	int one = 1, rc,
	    fd = socket(ai->ai_family,
		ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Accepted sockets inherit it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == -1 ||
	    listen(fd, 1) == -1) {
		rc = -errno;
		close(fd);
		return rc;
	}
	tty->listen_fd = fd;
	return 0;
}

static int
open_tcp(struct tty *tty, const char *text, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV },
			*list = NULL;
	char host[256];
	const char *port;
	uint64_t n;
	int rc;

	rc = tcp_split(text, host, sizeof(host), &port, err);
	if (rc < 0)
		return rc;
	if (str_to_u64(port, 1, 65535, &n) < 0)
		return error_set(err, EINVAL,
		    "'tcp=%s': '%s' is not a port; write tcp=HOST:PORT, e.g. "
		    "tcp=127.0.0.1:5556",
		    text, port);
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return error_set(
		    err, EINVAL, "'tcp=%s': %s", text, gai_strerror(rc));
	tty->kind = TTY_LISTEN;
	tty->socket = true;
	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		rc = tcp_listen(tty, ai);
		if (rc == 0)
			break;
	}
	freeaddrinfo(list);
	return rc < 0
	    ? error_sys(err, -rc, "cannot listen on %s port %s", host, port)
	    : 0;
}

/* ---- UNIX sockets ---- */

/*
 * Does nobody listen? Whoever is between bind(2) and listen(2) just now gets a
 * moment to finish.
 */
static bool
is_abandoned(int fd, const struct sockaddr_un *sun)
{
	const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };

	for (unsigned try = 0; try < 4; try++) {
		if (try > 0)
			nanosleep(&moment, NULL);
		if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) !=
		    -1)
			return false;
		if (errno == ENOENT)
			return true;
		if (errno != ECONNREFUSED)
			return false;
	}
	return true;
}

/* Remove a socket that nobody listens on any more, and nothing else. */
static int
remove_stale(const struct sockaddr_un *sun, struct error *err)
{
	cleanup_close int fd = -1;
	struct stat st;

	if (lstat(sun->sun_path, &st) == -1)
		return errno == ENOENT
		    ? 0
		    : error_sys(err, errno, "'%s'", sun->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, EEXIST,
		    "'%s' exists and is not a socket; remove it or choose "
		    "another path",
		    sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return error_sys(err, errno, "socket");
	if (!is_abandoned(fd, sun))
		return error_set(err, EADDRINUSE,
		    "'%s' is in use by another process", sun->sun_path);
	if (unlink(sun->sun_path) == -1 && errno != ENOENT)
		return error_sys(
		    err, errno, "cannot remove '%s'", sun->sun_path);
	return 0;
}

/* A socket that listens already; its name is its maker's. */
static int
passed_listen(struct tty *tty, const char *path, struct error *err)
{
	int fd = passed_open(path, O_RDWR), on = 0;
	socklen_t n = sizeof(on);

	if (fd < 0)
		return error_sys(err, -fd, "'%s'", path);
	tty->listen_fd = fd;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == -1 || !on)
		return error_set(err, EINVAL,
		    "'%s': what was passed is no listening socket", path);
	return fd_set_nonblock(fd, true);
}

static int
unix_listen(struct tty *tty, const char *path, struct error *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	int rc;

	if (passed_has(path))
		return passed_listen(tty, path, err);
	if (str_format(sun.sun_path, sizeof(sun.sun_path), "%s", path) < 0 ||
	    path[0] == '\0')
		return error_set(err, ENAMETOOLONG,
		    "socket path '%s' must have 1 to %zu bytes", path,
		    sizeof(sun.sun_path) - 1);
	rc = remove_stale(&sun, err);
	if (rc < 0)
		return rc;
	tty->listen_fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (tty->listen_fd == -1)
		return error_sys(err, errno, "socket");
	/* The name in the file system gets the mode of the unbound socket. */
	(void)fchmod(tty->listen_fd, 0600);
	/* Before there is something to remove; it counts with its inode. */
	tty->unlink_path = alloc_strdup(path);
	if (tty->unlink_path == NULL)
		return error_set(err, ENOMEM, "out of memory");
	if (bind(tty->listen_fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return error_sys(
		    err, errno, "cannot make the socket '%s'", path);
	if (lstat(path, &st) == 0) {
		tty->unlink_dev = st.st_dev;
		tty->unlink_ino = st.st_ino;
	}
	if (listen(tty->listen_fd, 1) == -1)
		return error_sys(err, errno, "cannot listen on '%s'", path);
	return 0;
}

static int
open_unix(struct tty *tty, const char *text, struct error *err)
{
	cleanup_free char *path = alloc_strdup(text);
	char *comma;

	if (path == NULL)
		return error_set(err, ENOMEM, "out of memory");
	comma = strrchr(path, ',');
	if (comma != NULL) {
		if (strcmp(comma, ",wait") != 0)
			return error_set(err, EINVAL,
			    "'socket,%s': after the path only ',wait' may "
			    "follow",
			    text);
		*comma = '\0';
		tty->wait = true;
	}
	tty->kind = TTY_LISTEN;
	tty->socket = true;
	return unix_listen(tty, path, err);
}

/* ---- the forms ---- */

static const struct {
	const char *text;
	bool prefix; /* 'open' gets what follows */
	int (*open)(struct tty *tty, const char *rest, struct error *err);
} forms[] = {
	{ "stdio", false, open_stdio },
	{ "none", false, open_none },
	{ "tcp=", true, open_tcp },
	{ "socket,", true, open_unix },
	{ "fd=", true, open_fd },
};

int
tty_open_spec(struct tty *tty, const char *spec, struct error *err)
{
	if (spec[0] == '/')
		return open_path(tty, spec, err);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		size_t n = strlen(forms[i].text);

		if (forms[i].prefix ? strncmp(spec, forms[i].text, n) == 0
				    : strcmp(spec, forms[i].text) == 0)
			return forms[i].open(tty, spec + n, err);
	}
	return error_set(
	    err, EINVAL, "unknown back end '%s'; possible are " FORMS, spec);
}

void
tty_close_fds(struct tty *tty)
{
	struct stat st;
	int in = tty->in_fd;

	if (tty->raw)
		(void)tcsetattr(in, TCSANOW, &tty->saved);
	tty_stdio_give_back(tty);
	if (tty->out_fd != in)
		fd_close(&tty->out_fd);
	fd_close(&tty->in_fd);
	fd_close(&tty->listen_fd);
	/* Not if somebody has put another one in its place. */
	if (tty->unlink_path != NULL && lstat(tty->unlink_path, &st) == 0 &&
	    st.st_dev == tty->unlink_dev && st.st_ino == tty->unlink_ino)
		(void)unlink(tty->unlink_path);
	free(tty->unlink_path);
}
