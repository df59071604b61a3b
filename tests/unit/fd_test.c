#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "tap.h"

static int
tmp_dir(void)
{
	int fd = open(tap_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	tap_check(fd != -1);
	return fd;
}

/* How many files the folder holds. */
static unsigned
count_files(int dir)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_CLOEXEC));
	struct dirent *de;
	unsigned n = 0;

	tap_check(d != NULL);
	while ((de = readdir(d)) != NULL)
		n += strcmp(de->d_name, ".") != 0 &&
		    strcmp(de->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void
check_content(int dir, const char *path, const char *want)
{
	struct buf b;

	buf_init(&b, 1000);
	tap_check_int(fd_read_file(dir, path, &b), 0);
	tap_check_str(buf_str(&b), want);
	buf_fini(&b);
}

static void
closing(void)
{
	cleanup_close int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int other = dup(fd);

	errno = EPERM;
	fd_close(&other);
	tap_check_int(other, -1);
	fd_close(&other);
	tap_check_int(errno, EPERM);
	/* fd itself is the leak check's matter */
}

static void
nonblocking(void)
{
	int fds[2];
	char c;

	tap_check_int(pipe2(fds, O_CLOEXEC), 0);
	tap_check_int(fd_set_nonblock(fds[0], true), 0);
	tap_check_int(fd_read_full(fds[0], &c, 1), -EAGAIN);
	tap_check_int(fd_set_nonblock(fds[0], true), 0);
	tap_check_int(fd_set_nonblock(fds[0], false), 0);
	tap_check_int(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	tap_check_int(fd_set_nonblock(-1, true), -EBADF);
	close(fds[0]);
	close(fds[1]);
}

struct transfer {
	int fd;
	uint8_t *data;
	size_t n;
	int rc;
};

static void *
write_thread(void *arg)
{
	struct transfer *t = arg;

	t->rc = fd_write_all(t->fd, t->data, t->n);
	return NULL;
}

static void
on_signal(int signo)
{
}

static void
whole_transfers_survive_interruptions(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct transfer t = { .n = MiB };
	uint8_t *copy = malloc(MiB);
	pthread_t thread;
	int fds[2];

	t.data = malloc(MiB);
	for (size_t i = 0; i < t.n; i++)
		t.data[i] = (uint8_t)(i * 7);
	sigaction(SIGUSR1, &sa, NULL);
	tap_check_int(pipe2(fds, O_CLOEXEC), 0);
	t.fd = fds[1];
	tap_check_int(pthread_create(&thread, NULL, write_thread, &t), 0);
	for (size_t n = 0; n < MiB; n += MiB / 16) {
		pthread_kill(thread, SIGUSR1);
		tap_check_int(
		    fd_read_full(fds[0], copy + n, MiB / 16), MiB / 16);
	}
	pthread_join(thread, NULL);
	tap_check_int(t.rc, 0);
	tap_check_mem(copy, t.data, MiB);
	tap_check_int(fd_write_all(fds[1], "abc", 3), 0);
	close(fds[1]);
	tap_check_int(fd_read_full(fds[0], copy, 10), 3);
	tap_check_int(fd_read_full(fds[0], copy, 10), 0);
	close(fds[0]);
	free(copy);
	free(t.data);
}

static void
broken_pipe_is_an_error_only(void)
{
	sigset_t pending, block;
	int fds[2];

	/* The default action would end this process. */
	tap_check_int(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	tap_check_int(fd_write_all(fds[1], "x", 1), -EPIPE);
	sigpending(&pending);
	tap_check_int(sigismember(&pending, SIGPIPE), 0);
	/* A SIGPIPE that somebody else waits for stays. */
	sigemptyset(&block);
	sigaddset(&block, SIGPIPE);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGPIPE);
	tap_check_int(fd_write_all(fds[1], "x", 1), -EPIPE);
	sigpending(&pending);
	tap_check_int(sigismember(&pending, SIGPIPE), 1);
	close(fds[1]);
	tap_check_int(fd_write_all(-1, "x", 1), -EBADF);
	tap_check_int(fd_write_all(-1, "", 0), 0);
}

static void
reading_at_offsets(void)
{
	int fd = fd_memfd("test", 10, 0);
	char text[8] = "";

	tap_check(fd >= 0);
	tap_check((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	tap_check_int(pwrite(fd, "abcdefghij", 10, 0), 10);
	tap_check_int(fd_pread_full(fd, text, 4, 2), 4);
	tap_check_mem(text, "cdef", 4);
	tap_check_int(fd_pread_full(fd, text, 8, 7), 3);
	tap_check_int(fd_pread_full(fd, text, 8, 100), 0);
	tap_check_int(fd_pread_full(-1, text, 8, 0), -EBADF);
	close(fd);
	tap_check_int(fd_memfd("test", SIZE_MAX, 0), -EFBIG);
	fd = fd_memfd("test", MiB, MFD_ALLOW_SEALING);
	tap_check_int(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	close(fd);
}

static void
files_are_read_up_to_the_limit(void)
{
	cleanup_close int dir = tmp_dir();
	struct buf b;

	tap_check_int(
	    fd_write_file_atomic(dir, "f", "0123456789", 10, 0600, NULL), 0);
	buf_init(&b, 12);
	buf_append_str(&b, "ab");
	tap_check_int(fd_read_file(dir, "f", &b), 0);
	tap_check_str(buf_str(&b), "ab0123456789");
	buf_fini(&b);
	buf_init(&b, 11);
	buf_append_str(&b, "ab");
	tap_check_int(fd_read_file(dir, "f", &b), -EFBIG);
	tap_check_str(buf_str(&b), "ab");
	tap_check_int(fd_read_file(dir, "none", &b), -ENOENT);
	tap_check_int(fd_read_file(dir, ".", &b), -EISDIR);
	tap_check_str(buf_str(&b), "ab");
	buf_fini(&b);
	/* A size of 0 in stat() does not mislead. */
	buf_init(&b, 100000);
	tap_check_int(fd_read_file(AT_FDCWD, "/proc/self/status", &b), 0);
	tap_check_has(buf_str(&b), "Pid:");
	buf_fini(&b);
}

static void
files_are_replaced_whole(void)
{
	cleanup_close int dir = tmp_dir();
	char path[256];
	struct stat st;

	umask(077);
	tap_check_int(fd_write_file_atomic(dir, "f", "one", 3, 0644, NULL), 0);
	tap_check_int(fstatat(dir, "f", &st, 0), 0);
	tap_check_u64(st.st_mode & 07777, 0644);
	tap_check_int(fd_write_file_atomic(dir, "f", "two", 3, 0600, NULL), 0);
	check_content(dir, "f", "two");
	tap_check_int(mkdirat(dir, "sub", 0700), 0);
	tap_check_int(
	    fd_write_file_atomic(dir, "sub/g", "x", 1, 0600, NULL), 0);
	check_content(dir, "sub/g", "x");
	str_format(path, sizeof(path), "%s/h", tap_tmpdir());
	tap_check_int(
	    fd_write_file_atomic(AT_FDCWD, path, "", 0, 0600, NULL), 0);
	check_content(dir, "h", "");
	tap_check_u64(count_files(dir), 3);
	/* A link is replaced, not followed. */
	tap_check_int(symlinkat("f", dir, "link"), 0);
	tap_check_int(
	    fd_write_file_atomic(dir, "link", "new", 3, 0600, NULL), 0);
	check_content(dir, "f", "two");
	check_content(dir, "link", "new");
}

static void
failed_replacement_leaves_nothing(void)
{
	cleanup_close int dir = tmp_dir();
	struct error err = ERROR_INIT;
	struct rlimit rl, old;
	char name[300];

	signal(SIGXFSZ, SIG_IGN);
	tap_check_int(fd_write_file_atomic(dir, "f", "old", 3, 0600, NULL), 0);
	/* The disk is full. */
	getrlimit(RLIMIT_FSIZE, &old);
	rl = (struct rlimit){ 4, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &rl);
	tap_check_int(
	    fd_write_file_atomic(dir, "f", "too long", 8, 0600, &err), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	tap_check_str(err.text, "cannot write f: File too large");
	check_content(dir, "f", "old");
	tap_check_u64(count_files(dir), 1);
	/* The name is that of a folder, or none. */
	tap_check_int(mkdirat(dir, "d", 0700), 0);
	tap_check_int(
	    fd_write_file_atomic(dir, "d", "x", 1, 0600, &err), -EISDIR);
	tap_check_int(
	    fd_write_file_atomic(dir, "d/", "x", 1, 0600, &err), -EISDIR);
	tap_check_int(
	    fd_write_file_atomic(dir, "..", "x", 1, 0600, &err), -EISDIR);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	tap_check_int(
	    fd_write_file_atomic(dir, name, "x", 1, 0600, &err), -ENAMETOOLONG);
	tap_check_int(
	    fd_write_file_atomic(dir, "no/f", "x", 1, 0600, &err), -ENOENT);
	tap_check_has(err.text, "cannot open the folder of no/f");
	tap_check_u64(count_files(dir), 2);
}

static void
locks_conflict(void)
{
	cleanup_close int dir = tmp_dir();
	int a, b, copy;

	tap_check_int(fd_write_file_atomic(dir, "f", "", 0, 0600, NULL), 0);
	a = openat(dir, "f", O_RDWR | O_CLOEXEC);
	b = openat(dir, "f", O_RDWR | O_CLOEXEC);
	tap_check_int(fd_lock_ofd(a, false), 0);
	tap_check_int(fd_lock_ofd(b, false), 0);
	tap_check_int(fd_lock_ofd(a, true), -EAGAIN);
	close(b);
	tap_check_int(fd_lock_ofd(a, true), 0);
	tap_check_int(fd_lock_ofd(a, true), 0);
	b = openat(dir, "f", O_RDWR | O_CLOEXEC);
	/* Within one process as well, and until the last copy is closed. */
	tap_check_int(fd_lock_ofd(b, false), -EAGAIN);
	copy = dup(a);
	close(a);
	tap_check_int(fd_lock_ofd(b, false), -EAGAIN);
	close(copy);
	tap_check_int(fd_lock_ofd(b, true), 0);
	close(b);
	tap_check_int(fd_lock_ofd(-1, true), -EBADF);
}

/* ---- passing descriptors ---- */

static void
make_pair(int type, int socks[2])
{
	tap_check_int(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, socks), 0);
}

static void
descriptors_are_passed(void)
{
	int socks[2], fds[16], got[16];
	char text[16] = "";
	size_t n = 99;

	make_pair(SOCK_STREAM, socks);
	for (int i = 0; i < 16; i++)
		fds[i] = fd_memfd("passed", (size_t)i + 1, 0);
	tap_check_int(fd_send(socks[0], "hello", 5, fds, 16), 0);
	tap_check_int(fd_recv(socks[1], text, sizeof(text), got, 16, &n), 5);
	tap_check_str(text, "hello");
	tap_check_u64(n, 16);
	for (int i = 0; i < 16; i++) {
		tap_check((fcntl(got[i], F_GETFD) & FD_CLOEXEC) != 0);
		tap_check_int(lseek(got[i], 0, SEEK_END), i + 1);
		close(got[i]);
		close(fds[i]);
	}
	/* A message without descriptors, and the end. */
	tap_check_int(fd_send(socks[0], "x", 1, NULL, 0), 0);
	tap_check_int(fd_recv(socks[1], text, sizeof(text), NULL, 0, &n), 1);
	tap_check_u64(n, 0);
	close(socks[0]);
	tap_check_int(fd_recv(socks[1], text, sizeof(text), NULL, 0, &n), 0);
	close(socks[1]);
}

static void
bad_sends_are_refused(void)
{
	int socks[2], fds[17];

	make_pair(SOCK_STREAM, socks);
	for (int i = 0; i < 17; i++)
		fds[i] = socks[0];
	tap_check_int(fd_send(socks[0], "x", 1, fds, 17), -EINVAL);
	tap_check_int(fd_send(socks[0], "", 0, fds, 1), -EINVAL);
	fds[0] = 9999;
	tap_check_int(fd_send(socks[0], "x", 1, fds, 1), -EBADF);
	close(socks[1]);
	tap_check_int(fd_send(socks[0], "x", 1, NULL, 0), -EPIPE);
	close(socks[0]);
	tap_check_int(fd_send(-1, "x", 1, NULL, 0), -EBADF);
}

/* The leak check sees whether the descriptors are closed. */
static void
too_many_descriptors_are_closed(void)
{
	int socks[2], fds[3], got[3] = { -5, -5, -5 };
	size_t n = 99;
	char c;

	make_pair(SOCK_STREAM, socks);
	for (int i = 0; i < 3; i++)
		fds[i] = socks[0];
	tap_check_int(fd_send(socks[0], "x", 1, fds, 3), 0);
	tap_check_int(fd_recv(socks[1], &c, 1, got, 2, &n), -EMSGSIZE);
	tap_check_u64(n, 99);
	tap_check_int(got[0], -5);
	close(socks[0]);
	close(socks[1]);
}

/* More than any room for them: the kernel cuts the control message. */
static void
cut_control_message_is_refused(void)
{
	union {
		char raw[CMSG_SPACE(40 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (char[]){ 'x' }, 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int socks[2], got[16], *fds = (int *)CMSG_DATA(cmsg);
	size_t n = 99;
	char c;

	make_pair(SOCK_STREAM, socks);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(40 * sizeof(int));
	for (int i = 0; i < 40; i++)
		fds[i] = socks[0];
	tap_check_int(sendmsg(socks[0], &msg, 0), 1);
	tap_check_int(fd_recv(socks[1], &c, 1, got, 16, &n), -EMSGSIZE);
	tap_check_u64(n, 99);
	close(socks[0]);
	close(socks[1]);
}

static void
cut_message_is_refused(void)
{
	int socks[2], got[1];
	size_t n = 99;
	char text[4];

	make_pair(SOCK_SEQPACKET, socks);
	tap_check_int(fd_send(socks[0], "hello", 5, &socks[0], 1), 0);
	tap_check_int(fd_recv(socks[1], text, 4, got, 1, &n), -EMSGSIZE);
	tap_check_u64(n, 99);
	close(socks[0]);
	close(socks[1]);
}

static void *
send_thread(void *arg)
{
	struct transfer *t = arg;

	t->rc = fd_send(t->fd, t->data, t->n, &t->fd, 1);
	return NULL;
}

/* A stream socket takes a long message in parts. */
static void
long_messages_go_whole(void)
{
	struct transfer t = { .n = MiB };
	size_t n = 0, done;
	pthread_t thread;
	int socks[2], got[1];
	ssize_t rc;
	char *copy = malloc(MiB);

	make_pair(SOCK_STREAM, socks);
	t.fd = socks[0];
	t.data = malloc(MiB);
	memset(t.data, 'a', MiB);
	tap_check_int(pthread_create(&thread, NULL, send_thread, &t), 0);
	rc = fd_recv(socks[1], copy, MiB, got, 1, &n);
	tap_check(rc > 0);
	tap_check_u64(n, 1);
	done = (size_t)rc;
	tap_check_int(
	    fd_read_full(socks[1], copy + done, MiB - done), MiB - done);
	pthread_join(thread, NULL);
	tap_check_int(t.rc, 0);
	tap_check_mem(copy, t.data, MiB);
	free(copy);
	free(t.data);
	close(got[0]);
	close(socks[0]);
	close(socks[1]);
}

static const struct tap_test tests[] = {
	TAP_TEST(closing),
	TAP_TEST(nonblocking),
	TAP_TEST(whole_transfers_survive_interruptions),
	TAP_TEST(broken_pipe_is_an_error_only),
	TAP_TEST(reading_at_offsets),
	TAP_TEST(files_are_read_up_to_the_limit),
	TAP_TEST(files_are_replaced_whole),
	TAP_TEST(failed_replacement_leaves_nothing),
	TAP_TEST(locks_conflict),
	TAP_TEST(descriptors_are_passed),
	TAP_TEST(bad_sends_are_refused),
	TAP_TEST(too_many_descriptors_are_closed),
	TAP_TEST(cut_control_message_is_refused),
	TAP_TEST(cut_message_is_refused),
	TAP_TEST(long_messages_go_whole),
};
TAP_MAIN(tests)
