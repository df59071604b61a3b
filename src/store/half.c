/*
 * Files that are being made.
 */
#include "store/half.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

int
half_open(const char *path, struct error *err)
{
	struct stat mine, now;
	int fd, rc;

	for (;;) {
		fd =
		    open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return error_sys(err, errno, "%s", path);
		rc = fd_lock_ofd(fd, true);
		if (rc == 0 && fstat(fd, &mine) == 0 &&
		    lstat(path, &now) == 0 && mine.st_ino == now.st_ino)
			break;
		close(fd);
		if (rc == -EAGAIN)
			return error_set(err, EBUSY,
			    "%s: another command is making it", path);
		if (rc < 0)
			return error_sys(err, -rc, "%s", path);
		/* it was finished or taken away meanwhile: once more */
	}
	if (ftruncate(fd, 0) == 0)
		return fd;
	rc = error_sys(err, errno, "%s", path);
	close(fd);
	return rc;
}
