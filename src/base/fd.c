/*
 * Descriptor helpers. Everything here is close-on-exec: descriptors cross into
 * a zone only by being passed on purpose.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define FD_PASS_MAX 16
#define READ_CHUNK (64 * KiB)
#define TMP_TRIES 16

void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	errno = saved;
}

void
fd_cleanup_close(int *fd)
{
	fd_close(fd);
}

int
fd_set_nonblock(int fd, bool on)
{
	int flags, want;

	flags = fcntl(fd, F_GETFL);
	if (flags == -1)
		return -errno;
	want = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (want != flags && fcntl(fd, F_SETFL, want) == -1)
		return -errno;
	return 0;
}

/*
 * SIGPIPE of a write is sent to the writing thread, so blocking it there and
 * taking it back leaves the process's other threads and handlers alone.
 */
ssize_t
fd_write_nosig(int fd, const void *data, size_t n)
{
	static const struct timespec now = { 0, 0 };
	sigset_t pipe_set, old, pending;
	bool had = false;
	ssize_t rc;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	if (sigismember(&old, SIGPIPE) == 1 && sigpending(&pending) == 0)
		had = sigismember(&pending, SIGPIPE) == 1;
	do {
		rc = write(fd, data, n);
	} while (rc == -1 && errno == EINTR);
	if (rc == -1)
		rc = -errno;
	if (rc == -EPIPE && !had)
		while (
		    sigtimedwait(&pipe_set, NULL, &now) == -1 && errno == EINTR)
			continue;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int
fd_write_all(int fd, const void *data, size_t n)
{
	const char *p = data;
	ssize_t rc;

	while (n > 0) {
		rc = fd_write_nosig(fd, p, n);
		if (rc < 0)
			return (int)rc;
		p += rc;
		n -= (size_t)rc;
	}
	return 0;
}

ssize_t
fd_read_full(int fd, void *data, size_t n)
{
	size_t done = 0;
	ssize_t rc;

	while (done < n) {
		rc = read(fd, (char *)data + done, n - done);
		if (rc == -1 && errno == EINTR)
			continue;
		if (rc == -1)
			return -errno;
		if (rc == 0)
			break;
		done += (size_t)rc;
	}
	return (ssize_t)done;
}

ssize_t
fd_pread_full(int fd, void *data, size_t n, off_t off)
{
	size_t done = 0;
	ssize_t rc;

	while (done < n) {
		rc =
		    pread(fd, (char *)data + done, n - done, off + (off_t)done);
		if (rc == -1 && errno == EINTR)
			continue;
		if (rc == -1)
			return -errno;
		if (rc == 0)
			break;
		done += (size_t)rc;
	}
	return (ssize_t)done;
}

/* Append what is left of fd to b. */
static int
fd_read_rest(int fd, struct buf *b)
{
	uint8_t probe;
	ssize_t rc;
	size_t room;
	void *p;

	for (;;) {
		room = MIN(b->max - b->len, READ_CHUNK);
		if (room == 0) {
			/* Full: one byte more means too big. */
			rc = fd_read_full(fd, &probe, 1);
			return rc > 0 ? -EFBIG : (int)rc;
		}
		p = buf_reserve(b, room);
		if (p == NULL)
			return buf_error(b);
		rc = fd_read_full(fd, p, room);
		if (rc < 0)
			return (int)rc;
		b->len += (size_t)rc;
		if ((size_t)rc < room)
			return 0;
	}
}

int
fd_read_file(int dirfd, const char *path, struct buf *b)
{
	cleanup_close int fd = -1;
	size_t before = b->len;
	int rc;

	if (b->failed != 0)
		return b->failed;
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd == -1)
		return -errno;
	rc = fd_read_rest(fd, b);
	if (rc != 0)
		b->len = before;
	return rc;
}

/* Make a new file with a name of its own in dir. */
static int
fd_make_temp(int dir, char *name, size_t size)
{
	uint64_t tag;
	int fd, rc;

	for (int i = 0; i < TMP_TRIES; i++) {
		if (getrandom(&tag, sizeof(tag), 0) != sizeof(tag))
			return -EIO;
		rc = str_format(name, size, ".zhyve-%016jx", (uintmax_t)tag);
		if (rc != 0)
			return rc;
		fd = openat(dir, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd != -1 || errno != EEXIST)
			return fd != -1 ? fd : -errno;
	}
	return -EEXIST;
}

/* Fill the temporary file and move it into place. */
static int
fd_commit_temp(int fd, int dir, const char *temp, const char *name,
    const void *data, size_t n, mode_t mode)
{
	int rc;

	rc = fd_write_all(fd, data, n);
	if (rc != 0)
		return rc;
	if (fchmod(fd, mode) == -1 || fsync(fd) == -1)
		return -errno;
	if (renameat(dir, temp, dir, name) == -1)
		return -errno;
	return 0;
}

/* Open the folder that path lies in; *ret_name is the last component. */
static int
fd_open_parent(int dirfd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	char parent[4096] = ".";
	int fd, rc;

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EISDIR;
	if (slash != NULL) {
		/* "/name" lies in "/", which the slash itself names. */
		rc = str_format(parent, sizeof(parent), "%.*s",
		    slash == path ? 1 : (int)MIN(slash - path, 4096), path);
		if (rc != 0)
			return rc;
	}
	fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	*ret_name = name;
	return fd;
}

int
fd_write_file_atomic(int dirfd, const char *path, const void *data, size_t n,
    mode_t mode, struct error *err)
{
	cleanup_close int dir = -1;
	cleanup_close int fd = -1;
	const char *name = NULL;
	char temp[32];
	int rc;

	dir = fd_open_parent(dirfd, path, &name);
	if (dir < 0)
		return error_sys(
		    err, dir, "cannot open the folder of %s", path);
	fd = fd_make_temp(dir, temp, sizeof(temp));
	if (fd < 0)
		return error_sys(err, fd, "cannot make a file beside %s", path);
	rc = fd_commit_temp(fd, dir, temp, name, data, n, mode);
	if (rc != 0) {
		unlinkat(dir, temp, 0);
		return error_sys(err, rc, "cannot write %s", path);
	}
	/* Some file systems cannot sync a folder and say EINVAL. */
	if (fsync(dir) == -1 && errno != EINVAL)
		return error_sys(err, errno,
		    "%s is written, but its folder cannot be synced", path);
	return 0;
}

int
fd_lock_ofd(int fd, bool exclusive)
{
	struct flock fl = {
		.l_type = exclusive ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
	};

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

int
fd_memfd(const char *name, size_t size, unsigned flags)
{
	int fd, rc;

	fd = memfd_create(name, flags | MFD_CLOEXEC);
	if (fd == -1)
		return -errno;
	if (size > INT64_MAX || ftruncate(fd, (off_t)size) == -1) {
		rc = size > INT64_MAX ? -EFBIG : -errno;
		close(fd);
		return rc;
	}
	return fd;
}

union fd_control {
	char raw[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int
fd_send(int sock, const void *data, size_t n, const int *fds, size_t nfds)
{
	union fd_control control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t rc;

	/* Descriptors without a byte would be lost on a stream socket. */
	if (nfds > FD_PASS_MAX || (nfds > 0 && n == 0))
		return -EINVAL;
	if (nfds > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	do {
		rc = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (rc == -1 && errno == EINTR);
	if (rc == -1)
		return -errno;
	/* A stream socket may take a part; the descriptors went with it. */
	return fd_write_all(sock, (const char *)data + rc, n - (size_t)rc);
}

/* Collect the descriptors of a message; all of them, so that none leaks. */
static size_t
fd_take_rights(struct msghdr *msg, int fds[static FD_PASS_MAX])
{
	struct cmsghdr *cmsg;
	size_t got = 0, n;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		n = MIN(n, FD_PASS_MAX - got);
		memcpy(fds + got, CMSG_DATA(cmsg), n * sizeof(int));
		got += n;
	}
	return got;
}

ssize_t
fd_recv(int sock, void *data, size_t n, int *fds, size_t max, size_t *ret_nfds)
{
	union fd_control control;
	struct iovec iov = { data, n };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int taken[FD_PASS_MAX];
	size_t got;
	ssize_t rc;

	do {
		rc = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (rc == -1 && errno == EINTR);
	if (rc == -1)
		return -errno;
	got = fd_take_rights(&msg, taken);
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || got > max) {
		while (got > 0)
			fd_close(&taken[--got]);
		return -EMSGSIZE;
	}
	if (got > 0)
		memcpy(fds, taken, got * sizeof(int));
	*ret_nfds = got;
	return rc;
}
