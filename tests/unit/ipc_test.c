/*
 * Messages: there and back, with descriptors; and everything that is not one.
 */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static void
pair(int sv[2])
{
	tap_check_int(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
}

static int
take(int sock, struct nvlist **ret, const char **type, int *fds, size_t max,
    size_t *nfds)
{
	struct error err = ERROR_INIT;

	return ipc_recv(sock, ret, type, fds, max, nfds, &err);
}

static void
there_and_back(void)
{
	static const char *const args[] = { "bhyve", "-c", "2", "" };
	struct nvlist *msg = ipc_message("build"), *got = NULL;
	const char *const *strs = NULL;
	const char *type = NULL;
	size_t n = 0, nfds = 0;
	int sv[2], fds[IPC_FDS], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	pair(sv);
	tap_check(msg != NULL);
	tap_check_int(nvlist_add_strs(msg, "args", args, 4), 0);
	tap_check_int(ipc_send(sv[0], msg, &null, 1), 0);
	tap_check_int(take(sv[1], &got, &type, fds, IPC_FDS, &nfds), 1);
	tap_check_str(type, "build");
	tap_check_int(nfds, 1);
	tap_check_int(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	tap_check_int(nvlist_get_strs(got, "args", &strs, &n), 0);
	tap_check_int(n, 4);
	tap_check_str(strs[2], "2");
	nvlist_free(got);
	nvlist_free(msg);
	close(fds[0]);
	close(null);
	close(sv[0]);
	tap_check_int(take(sv[1], &got, &type, NULL, 0, NULL), 0);
	close(sv[1]);
}

static void
not_messages(void)
{
	static char big[IPC_MAX + 1];
	struct nvlist *no_type = nvlist_create(), *old = nvlist_create(),
		      *got = NULL;
	const char *type = NULL;
	int sv[2], fd;
	struct nvlist *msg = ipc_message("run");

	pair(sv);
	tap_check_int(send(sv[0], "garbage", 7, 0), 7);
	tap_check_int(take(sv[1], &got, &type, NULL, 0, NULL), -EPROTO);
	tap_check_int(send(sv[0], big, sizeof(big), 0), sizeof(big));
	tap_check_int(take(sv[1], &got, &type, NULL, 0, NULL), -EPROTO);
	tap_check_int(nvlist_add_u64(no_type, "version", IPC_VERSION), 0);
	tap_check_int(ipc_send(sv[0], no_type, NULL, 0), 0);
	tap_check_int(take(sv[1], &got, &type, NULL, 0, NULL), -EPROTO);
	tap_check_int(nvlist_add_u64(old, "version", IPC_VERSION + 1), 0);
	tap_check_int(nvlist_add_str(old, "type", "run"), 0);
	tap_check_int(ipc_send(sv[0], old, NULL, 0), 0);
	tap_check_int(take(sv[1], &got, &type, NULL, 0, NULL), -EPROTO);
	/* a descriptor that nobody asked for is closed, the message refused */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	tap_check_int(ipc_send(sv[0], msg, &fd, 1), 0);
	tap_check_int(take(sv[1], &got, &type, NULL, 0, NULL), -EPROTO);
	close(fd);
	tap_check(got == NULL);
	nvlist_free(msg);
	nvlist_free(no_type);
	nvlist_free(old);
	close(sv[0]);
	close(sv[1]);
}

static void
too_large_is_not_sent(void)
{
	struct nvlist *msg = ipc_message("build");
	char *text = calloc(1, IPC_MAX + 1);
	int sv[2];

	pair(sv);
	memset(text, 'x', IPC_MAX);
	tap_check_int(nvlist_add_str(msg, "text", text), 0);
	tap_check_int(ipc_send(sv[0], msg, NULL, 0), -EMSGSIZE);
	free(text);
	nvlist_free(msg);
	close(sv[1]);
	msg = ipc_message("run");
	tap_check_int(ipc_send(sv[0], msg, NULL, 0), -EPIPE);
	nvlist_free(msg);
	close(sv[0]);
}

static void
never_blocks(void)
{
	struct nvlist *msg = ipc_message("run"), *got = NULL;
	const char *type = NULL;
	int sv[2], rc;

	tap_check_int(socketpair(AF_UNIX,
			  SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv),
	    0);
	tap_check_int(take(sv[1], &got, &type, NULL, 0, NULL), -EAGAIN);
	do {
		rc = ipc_send(sv[0], msg, NULL, 0);
	} while (rc == 0);
	tap_check_int(rc, -EAGAIN);
	nvlist_free(msg);
	close(sv[0]);
	close(sv[1]);
}

static void
listens_at_long_paths(void)
{
	char dir[256], name[130];
	struct error err = ERROR_INIT;
	struct stat st;
	pid_t pid = 0;
	uid_t uid = 1;
	int dirfd, ls, cs, as;

	memset(name, 'd', 120);
	name[120] = '\0';
	snprintf(dir, sizeof(dir), "%s/%s", tap_tmpdir(), name);
	tap_check_int(mkdir(dir, 0700), 0);
	dirfd = open(dir, O_DIRECTORY | O_PATH | O_CLOEXEC);
	tap_check_int(ipc_connect(dirfd, "s", SOCK_SEQPACKET), -ENOENT);
	ls = ipc_listen(dirfd, "s", SOCK_SEQPACKET, &err);
	tap_check(ls >= 0);
	tap_check_int(fstatat(dirfd, "s", &st, 0), 0);
	tap_check_int(st.st_mode & 0777, 0600);
	cs = ipc_connect(dirfd, "s", SOCK_SEQPACKET);
	tap_check(cs >= 0);
	as = accept4(ls, NULL, NULL, SOCK_CLOEXEC);
	tap_check(as >= 0);
	tap_check_int(ipc_peer(as, &uid, &pid), 0);
	tap_check_int(pid, getpid());
	tap_check_int(uid, getuid());
	close(as);
	close(cs);
	close(ls);
	/* nobody serves it, and it does not stand in the way */
	tap_check_int(ipc_connect(dirfd, "s", SOCK_SEQPACKET), -ECONNREFUSED);
	ls = ipc_listen(dirfd, "s", SOCK_SEQPACKET, &err);
	tap_check(ls >= 0);
	close(ls);
	close(dirfd);
}

static const struct tap_test tests[] = { TAP_TEST(there_and_back),
	TAP_TEST(not_messages), TAP_TEST(too_large_is_not_sent),
	TAP_TEST(never_blocks), TAP_TEST(listens_at_long_paths) };
TAP_MAIN(tests)
