/*
 * The steps, in their order: what needs root comes before it is given up.
 */
#include "jail/service.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "jail/jail_impl.h"
#include "jail/lock.h"

#define EMPTY_OPTIONS "size=4k,nr_inodes=4,mode=0555"

static int
set_limits(const struct jail_service *spec)
{
	const struct {
		int what;
		rlim_t value;
	} rows[] = {
		{ RLIMIT_NOFILE, spec->nofile },
		{ RLIMIT_FSIZE, spec->fsize },
		{ RLIMIT_DATA, spec->data != 0 ? spec->data : RLIM_INFINITY },
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_NPROC, 1 + spec->threads },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rlimit now;

		if (getrlimit((__rlimit_resource_t)rows[i].what, &now) != 0)
			return -errno;
		now.rlim_max = MIN(now.rlim_max, rows[i].value);
		now.rlim_cur = now.rlim_max;
		if (setrlimit((__rlimit_resource_t)rows[i].what, &now) != 0)
			return -errno;
	}
	return 0;
}

/* An empty root; what was passed is reached without it. */
static int
leave_files(const struct jail_service *spec)
{
	if (spec->host)
		return unshare(CLONE_NEWIPC | CLONE_NEWUTS) == 0 ? 0 : -errno;
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) !=
		0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/proc", "tmpfs",
		MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		EMPTY_OPTIONS) != 0 ||
	    chdir("/proc") != 0)
		return -errno;
	return jail_do_pivot(NULL, NULL);
}

static int
drop_groups(const struct jail_service *spec)
{
	if (setgroups(0, NULL) != 0 ||
	    setresgid(spec->uid, spec->uid, spec->uid) != 0)
		return -errno;
	return 0;
}

static int
drop_bounding(const struct jail_service *spec)
{
	for (unsigned long cap = 0; cap <= 63; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == -1)
			return 0;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return -errno;
	}
	return 0;
}

/* Leaving root by setresuid(2) clears the capabilities; then nothing more. */
static int
drop_user(const struct jail_service *spec)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (prctl(PR_SET_SECUREBITS,
		SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
		    SECBIT_NO_CAP_AMBIENT_RAISE |
		    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		0, 0, 0) != 0 ||
	    setresuid(spec->uid, spec->uid, spec->uid) != 0 ||
	    syscall(SYS_capset, &head, none) != 0)
		return -errno;
	return 0;
}

int
jail_service_enter(const struct jail_service *spec, struct error *err)
{
	static const struct {
		int (*fn)(const struct jail_service *spec);
		const char *what;
		bool root;
	} steps[] = {
		{ set_limits, "limits", false },
		{ leave_files, "namespaces", true },
		{ drop_groups, "its group", true },
		{ drop_bounding, "capabilities", true },
		{ drop_user, "its user", true },
	};
	struct error late = ERROR_INIT;
	int rc, landlock;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (steps[i].root && spec->uid == 0)
			continue;
		rc = steps[i].fn(spec);
		if (rc < 0)
			return error_sys(
			    err, -rc, "confinement: %s", steps[i].what);
	}
	landlock = lock_paths_but(&spec->keep, &late);
	rc = landlock < 0 ? landlock
			  : lock_calls_of(spec->calls, spec->ncalls, &late);
	if (rc < 0 || landlock > 0)
		error_set(err, late.code, "%s", late.text);
	return rc < 0 ? rc : landlock;
}
