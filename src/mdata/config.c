/*
 * A folder in root's, mode 0700, ZONEPATH: nobody but root and the server comes
 * near it.
 */
#include "mdata/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"

#define NAME "config"
#define PATH_BYTES 4096

/* A file of its own, with no other name, and of somebody else. */
static void
give(int dir, const char *name)
{
	cleanup_close int fd = openat(dir, name,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_nlink == 1 && st.st_uid != MDATA_UID)
		(void)!fchown(fd, MDATA_UID, MDATA_UID);
}

int
mdata_config_open(int zonepath, bool make, struct error *err)
{
	static const char *const files[] = { "metadata.json", "tags.json",
		"routes.json", ".lock" };
	struct stat st;
	int fd;

	if (make && mkdirat(zonepath, NAME, 0700) != 0 && errno != EEXIST)
		return error_sys(err, errno, NAME);
	fd = openat(
	    zonepath, NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_sys(err, errno, NAME);
	if (!make)
		return fd;
	if (fstat(fd, &st) != 0 ||
	    (st.st_uid != MDATA_UID && fchown(fd, MDATA_UID, MDATA_UID) != 0) ||
	    ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700) != 0)) {
		error_sys(err, errno, NAME);
		close(fd);
		return -EIO;
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		give(fd, files[i]);
	return fd;
}

int
mdata_server_dial(const char *root)
{
	cleanup_close int dir = -1;
	char path[PATH_BYTES];

	if (str_format(path, sizeof(path), "%s/run/zhyve/" MDATA_FOLDER, root) <
	    0)
		return -ENAMETOOLONG;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return -errno;
	return ipc_connect(dir, MDATA_SOCKET, SOCK_SEQPACKET | SOCK_NONBLOCK);
}
