/*
 * File systems and files for tests of the store.
 */
#include "store_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "tap.h"

const struct store_fs store_tmpfs = { "tmpfs", NULL, "size=64m", 0 };
const struct store_fs store_tmpfs_small = { "tmpfs", NULL, "size=4m", 0 };
const struct store_fs store_btrfs = { "btrfs", "mkfs.btrfs -q %s", "loop",
	160 };
const struct store_fs store_xfs = { "xfs", "mkfs.xfs -q -m reflink=1 %s",
	"loop", 320 };

static int
run(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void
store_mount(const struct store_fs *fs, const char *dir)
{
	char file[512], command[2048], make[1024];
	int fd;

	if (geteuid() != 0)
		tap_skip("mounting a %s needs root", fs->name);
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		tap_skip("no mount namespace here: %s", strerror(errno));
	tap_check(mkdir(dir, 0755) == 0 || errno == EEXIST);
	snprintf(file, sizeof(file), "%s", fs->name);
	if (fs->make != NULL) {
		snprintf(file, sizeof(file), "%s.img", dir);
		fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		tap_check(fd >= 0);
		tap_check(ftruncate(fd, (off_t)fs->mib << 20) == 0);
		close(fd);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(make, sizeof(make), fs->make, file);
#pragma GCC diagnostic pop
		snprintf(command, sizeof(command), "%s >/dev/null 2>&1", make);
		if (run(command) != 0)
			tap_skip("cannot be made here: %s", make);
	}
	snprintf(command, sizeof(command),
	    "mount -t %s -o %s %s %s >/dev/null 2>&1", fs->name, fs->mount,
	    file, dir);
	if (run(command) != 0)
		tap_skip("this kernel does not mount %s here", fs->name);
}

const char *
store_at(const char *rest)
{
	static char path[8][512];
	static unsigned n;
	char *to = path[n++ % 8];

	tap_check(
	    str_format(to, sizeof(path[0]), "%s/%s", tap_tmpdir(), rest) == 0);
	return to;
}

void
store_put(const char *path, uint64_t at, const void *data, size_t n)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	tap_check(fd >= 0);
	tap_check(pwrite(fd, data, n, (off_t)at) == (ssize_t)n);
	close(fd);
}

void
store_write(const char *path, const char *text)
{
	unlink(path);
	store_put(path, 0, text, strlen(text));
}

void
store_fill(const char *path, uint64_t at, size_t n, unsigned seed)
{
	unsigned char *p = malloc(n);

	tap_check(p != NULL);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		p[i] = (unsigned char)(seed >> 16) | 1;
	}
	store_put(path, at, p, n);
	free(p);
}

int
store_same(const char *a, const char *b)
{
	static char x[1 << 16], y[1 << 16];
	int f = open(a, O_RDONLY | O_CLOEXEC),
	    g = open(b, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1, m = -1;
	int same = 1;

	while (same && f >= 0 && g >= 0 && n != 0) {
		n = fd_read_full(f, x, sizeof(x));
		m = fd_read_full(g, y, sizeof(y));
		same = n >= 0 && n == m && memcmp(x, y, (size_t)n) == 0;
	}
	fd_close(&f);
	fd_close(&g);
	return same && n == 0;
}

const char *
store_text(const char *path)
{
	static char text[8][4096];
	static unsigned at;
	char *to = text[at++ % 8];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? fd_read_full(fd, to, 4095) : 0;

	fd_close(&fd);
	to[n > 0 ? n : 0] = '\0';
	return to;
}

static char names[64][256];
static size_t nnames, prefix;

static int
name(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_F && nnames < 64)
		snprintf(names[nnames++], 256, "%s", path + prefix);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

const char *
store_names(const char *dir)
{
	static char all[64 * 256];
	size_t n = 0;

	nnames = 0;
	prefix = strlen(dir) + 1;
	nftw(dir, name, 16, FTW_PHYS);
	qsort(names, nnames, sizeof(names[0]), by_name);
	all[0] = '\0';
	for (size_t i = 0; i < nnames; i++)
		n += (size_t)snprintf(
		    all + n, sizeof(all) - n, "%.250s ", names[i]);
	return all;
}

uint64_t
store_blocks(const char *path)
{
	struct stat st;

	tap_check(stat(path, &st) == 0);
	return (uint64_t)st.st_blocks * 512;
}
