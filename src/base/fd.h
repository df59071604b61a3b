/*
 * File descriptor helpers: closed on leaving a scope, whole reads and writes,
 * atomic replacement of files, locks, passing over UNIX sockets.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

#define cleanup_close __attribute__((cleanup(fd_cleanup_close)))
void fd_cleanup_close(int *fd);
/* close(2) if *fd >= 0, set it to -1, keep errno. */
void fd_close(int *fd);

int fd_set_nonblock(int fd, bool on); /* 0 or -errno */
/* All n bytes or a negative errno; EINTR is retried. -EPIPE never signals. */
int fd_write_all(int fd, const void *data, size_t n);
/* One write(2) without SIGPIPE: bytes written or a negative errno. */
ssize_t fd_write_nosig(int fd, const void *data, size_t n);
/* Until n bytes or end of file: count read, or negative errno. */
ssize_t fd_read_full(int fd, void *data, size_t n);
ssize_t fd_pread_full(int fd, void *data, size_t n, off_t off);
/*
 * Whole file into b (appended), at most b->max bytes in all: -EFBIG beyond. On
 * failure b's length is unchanged.
 */
int fd_read_file(int dirfd, const char *path, struct buf *b);
/*
 * Write path atomically and durably: temporary file in the same folder, fsync,
 * rename, fsync of the folder. On failure the old file is untouched and no
 * temporary file stays behind. (If only the last step fails, syncing the
 * folder, the new file is in place and the error says so.) mode is exact,
 * whatever the umask.
 */
int fd_write_file_atomic(int dirfd, const char *path, const void *data,
    size_t n, mode_t mode, struct error *err);
/*
 * Open-file-description lock on the whole file (fcntl F_OFD_SETLK); -EAGAIN
 * when somebody else holds a conflicting one.
 */
int fd_lock_ofd(int fd, bool exclusive);
/* memfd with close-on-exec, of the given size. */
int fd_memfd(const char *name, size_t size, unsigned flags);
/*
 * Pass or take up to 16 descriptors beside one message (SCM_RIGHTS). fd_send()
 * needs at least one byte of data; 0 or negative errno. fd_recv() returns the
 * bytes taken, its descriptors are close-on-exec; a message that was cut, or
 * more than 'max' descriptors, is -EMSGSIZE and closes what came with it.
 */
int fd_send(int sock, const void *data, size_t n, const int *fds, size_t nfds);
ssize_t
fd_recv(int sock, void *data, size_t n, int *fds, size_t max, size_t *ret_nfds);

#endif
