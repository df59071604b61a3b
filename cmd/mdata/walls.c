/*
 * What is left to the server: what an event loop needs, files below folders
 * that were passed, and nothing that makes a socket, a process or a mapping to
 * execute. jail/service_rules.c has what any service calls.
 */
#include "walls.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/sanitize.h"
#include "base/str.h"
#include "jail/service.h"
#include "mdata/config.h"
#include "mdata/serve.h"

#define DESCRIPTORS 65536 /* four a zone, as far as the hard limit goes */
#define FILE_BYTES (16 * MiB)

#define NUMBER UINT32_MAX /* commands are 32 bits wide, arguments 64 */
#define YES ANSWER_YES
/* what pthread_create(3) asks for */
#define THREAD                                                              \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
	    CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |            \
	    CLONE_CHILD_CLEARTID)

/* clang-format off */
static const struct lock_rule calls[] = {
	/* the loop */
	{ "epoll_wait", 0, YES },
	{ "epoll_pwait", 0, YES },
	{ "epoll_ctl", 0, YES },
	{ "timerfd_settime", 0, YES },
	/* supervisors and ports */
	{ "sendto", 0, YES, { 4, UINT64_MAX, 0 }, "without an address" },
	{ "recvfrom", 0, YES, { 4, UINT64_MAX, 0 }, "without an address" },
	{ "getsockopt", 0, YES, { 1, NUMBER, SOL_SOCKET }, "SOL_SOCKET" },
	/* files of passed folders, and backlogs */
	{ "openat", 0, YES },
	{ "pread64", 0, YES },
	{ "pwrite64", 0, YES },
	{ "ftruncate", 0, YES },
	{ "fsync", 0, YES },
	{ "fchmod", 0, YES },
	{ "unlinkat", 0, YES },
	{ "renameat", 0, YES },
	{ "renameat2", 0, YES },
	{ "fcntl", 0, YES, { 1, NUMBER, F_OFD_SETLK }, "F_OFD_SETLK" },
	{ "fcntl", 0, YES, { 1, NUMBER, F_GET_SEALS }, "F_GET_SEALS" },
	/* threads, for disks that hang; no process */
	{ "clone", 0, YES, { 0, UINT64_MAX, THREAD }, "a thread" },
	{ "clone3", 0, ANSWER_ENOSYS },
	{ "set_robust_list", 0, YES },
	{ "rseq", 0, YES },
#if HAS_ASAN /* each thread has shadows */
	{ "sched_getaffinity", 0, YES },
	{ "madvise", 0, YES, { 2, NUMBER, MADV_NOHUGEPAGE }, "MADV_NOHUGEPAGE" },
#endif
	/* the C library's */
	{ "clock_nanosleep", 0, YES },
	{ "rt_sigaction", 0, YES },
	{ "geteuid", 0, YES },
	/* what libraries ask in passing: refused, not punished */
	{ "ioctl", 0, ANSWER_ENOTTY },
	{ "readlink", 0, ANSWER_EPERM },
	{ "open", 0, ANSWER_EPERM },
};
/* clang-format on */

int
mdata_walls_enter(struct error *err)
{
	/* it may read what was passed, and write, make, remove files there */
	const struct jail_service spec = { .uid = MDATA_UID,
		.nofile = DESCRIPTORS,
		.fsize = FILE_BYTES,
		.threads = MDATA_SERVE_THREADS,
		.keep.rights = LANDLOCK_ACCESS_FS_READ_FILE |
		    LANDLOCK_ACCESS_FS_WRITE_FILE |
		    LANDLOCK_ACCESS_FS_MAKE_REG |
		    LANDLOCK_ACCESS_FS_REMOVE_FILE |
		    UINT64_C(1) << 14 /* truncate; some headers lack it */,
		.calls = calls,
		.ncalls = ARRAY_LEN(calls) };

	return jail_service_enter(&spec, err);
}
