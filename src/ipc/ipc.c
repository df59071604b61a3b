/*
 * Messages over UNIX sockets of type SOCK_SEQPACKET: see the header.
 */
#include "ipc/ipc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#define IPC_BACKLOG 16

struct nvlist *
ipc_message(const char *type)
{
	struct nvlist *msg = nvlist_create();

	if (msg == NULL)
		return NULL;
	if (nvlist_add_u64(msg, "version", IPC_VERSION) == 0 &&
	    nvlist_add_str(msg, "type", type) == 0)
		return msg;
	nvlist_free(msg);
	return NULL;
}

int
ipc_send(int sock, const struct nvlist *msg, const int *fds, size_t nfds)
{
	struct buf b;
	int rc;

	buf_init(&b, IPC_MAX);
	rc = nvlist_pack(msg, &b);
	if (rc == -ENOSPC)
		rc = -EMSGSIZE;
	if (rc == 0)
		rc = fd_send(sock, b.data, b.len, fds, nfds);
	buf_fini(&b);
	return rc;
}

/* Bytes to a list that begins as every message does. */
static int
parse(const void *data, size_t n, struct nvlist **ret, const char **ret_type,
    struct error *err)
{
	struct nvlist *msg = NULL;
	uint64_t version;
	int rc = nvlist_unpack(data, n, &msg, err);

	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		return error_set(
		    err, EPROTO, "message of %zu bytes: no list", n);
	if (nvlist_get_u64(msg, "version", &version) < 0 ||
	    nvlist_get_str(msg, "type", ret_type) < 0)
		rc = error_set(err, EPROTO,
		    "message of %zu bytes: no version or no type", n);
	else if (version != IPC_VERSION)
		rc = error_set(err, EPROTO,
		    "message of version %ju, this program speaks %d: both "
		    "sides must be of one release",
		    (uintmax_t)version, IPC_VERSION);
	if (rc < 0) {
		nvlist_free(msg);
		return rc;
	}
	*ret = msg;
	return 1;
}

int
ipc_recv(int sock, struct nvlist **ret, const char **ret_type, int *fds,
    size_t max, size_t *ret_nfds, struct error *err)
{
	cleanup_free uint8_t *data = malloc(IPC_MAX);
	size_t nfds = 0;
	ssize_t n;
	int rc;

	if (data == NULL)
		return error_sys(err, ENOMEM, "message");
	n = fd_recv(sock, data, IPC_MAX, fds, max, &nfds);
	if (n == -EMSGSIZE)
		return error_set(err, EPROTO,
		    "message of more than %d bytes or %zu descriptors", IPC_MAX,
		    max);
	if (n == -ECONNRESET)
		return 0;
	if (n <= 0)
		return n == 0 || n == -EAGAIN
		    ? (int)n
		    : error_sys(err, (int)-n, "message");
	rc = parse(data, (size_t)n, ret, ret_type, err);
	if (rc < 0)
		while (nfds > 0)
			fd_close(&fds[--nfds]);
	if (rc == 1 && ret_nfds != NULL)
		*ret_nfds = nfds;
	return rc;
}

/* sun_path holds 108 bytes; a descriptor's name makes any folder near. */
static int
address(int dirfd, const char *path, struct sockaddr_un *ret)
{
	ssize_t n;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (path[0] == '/')
		n = str_format(
		    ret->sun_path, sizeof(ret->sun_path), "%s", path);
	else
		n = str_format(ret->sun_path, sizeof(ret->sun_path),
		    "/proc/self/fd/%d/%s", dirfd, path);
	return n < 0 ? -ENAMETOOLONG : 0;
}

int
ipc_listen(int dirfd, const char *path, int type, struct error *err)
{
	struct sockaddr_un sun;
	mode_t mask;
	int fd, rc = address(dirfd, path, &sun);

	if (rc < 0)
		return error_sys(err, -rc, "socket %s", path);
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return error_sys(err, errno, "socket %s", path);
	if (unlinkat(dirfd, path, 0) == -1 && errno != ENOENT)
		rc = -errno;
	/* The mode holds from the start: no moment for others. */
	mask = umask(0177);
	if (rc == 0 && bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		rc = -errno;
	umask(mask);
	if (rc == 0 && listen(fd, IPC_BACKLOG) == -1)
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return error_sys(err, -rc, "socket %s", path);
}

int
ipc_connect(int dirfd, const char *path, int type)
{
	struct sockaddr_un sun;
	int fd, rc = address(dirfd, path, &sun);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int
ipc_peer(int sock, uid_t *ret_uid, pid_t *ret_pid)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) == -1)
		return -errno;
	*ret_uid = cred.uid;
	*ret_pid = cred.pid;
	return 0;
}
