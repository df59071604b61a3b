/*
 * Opening. See port.h.
 */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define LOCK_STEP_MS 20

uint64_t
port_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int
port_find(struct port *port, const char *path, struct error *err)
{
	static const char *const places[] = {
		"/.zonecontrol/metadata.sock",
		"/native/.zonecontrol/metadata.sock",
		"/dev/ttyS1",
	};
	struct stat st;

	for (size_t i = 0; path == NULL && i < ARRAY_LEN(places); i++)
		if (stat(places[i], &st) == 0)
			path = places[i];
	if (path == NULL)
		path = places[ARRAY_LEN(places) - 1];
	if (stat(path, &st) == -1)
		return error_sys(err, errno, "%s", path);
	if (!S_ISSOCK(st.st_mode) && !S_ISCHR(st.st_mode))
		return error_set(err, ENOTTY,
		    "%s: neither a serial port nor a socket", path);
	port->path = path;
	port->serial = S_ISCHR(st.st_mode);
	port->fd = -1;
	return 0;
}

static int
dial(struct port *port, struct error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(port->path) >= sizeof(sa.sun_path))
		return error_set(err, ENAMETOOLONG,
		    "%s: longer than a socket's path may be", port->path);
	strcpy(sa.sun_path, port->path);
	port->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (port->fd == -1 ||
	    connect(port->fd, (struct sockaddr *)&sa, sizeof(sa)) == -1)
		return error_sys(err, errno, "%s", port->path);
	fcntl(port->fd, F_SETFL, O_NONBLOCK);
	return 0;
}

/* A POSIX lock, which cloud-init and others take as well. */
static int
lock(struct port *port, uint64_t until, struct error *err)
{
	struct flock fl = { .l_type = F_WRLCK };

	while (fcntl(port->fd, F_SETLK, &fl) == -1) {
		if (errno != EAGAIN && errno != EACCES)
			return error_sys(err, errno, "%s: lock", port->path);
		if (port_now() >= until)
			return error_set(err, ETIMEDOUT,
			    "%s: another program has it locked", port->path);
		poll(NULL, 0, LOCK_STEP_MS);
	}
	return 0;
}

int
port_make_raw(struct port *port, struct error *err)
{
	struct termios t;

	if (!port->serial)
		return 0;
	if (tcgetattr(port->fd, &t) == -1)
		return error_sys(
		    err, errno, "%s: no serial port is there", port->path);
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL | CREAD;
	t.c_cflag &= ~(tcflag_t)(HUPCL | CRTSCTS | CSTOPB);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (tcsetattr(port->fd, TCSANOW, &t) == -1)
		return error_sys(err, errno, "%s: raw mode", port->path);
	return 0;
}

int
port_open(struct port *port, uint64_t until, struct error *err)
{
	int rc;

	if (!port->serial) {
		rc = dial(port, err);
	} else {
		port->fd = open(
		    port->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		rc = port->fd == -1 ? error_sys(err, errno, "%s", port->path)
				    : lock(port, until, err);
		if (rc == 0)
			rc = port_make_raw(port, err);
	}
	if (rc < 0)
		port_close(port);
	return rc;
}

void
port_close(struct port *port)
{
	if (port->fd != -1)
		close(port->fd);
	port->fd = -1;
}
