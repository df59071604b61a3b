/*
 * Every attempt is made in a zone of its own: this program, started again by
 * jail_spawn() in place of zhyve, with the mounts of the brand, and locked (or
 * not yet) by the same calls. TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempts.h"
#include "base/str.h"
#include "jail/jail.h"
#include "jail/lock.h"

#define UID_BASE 0x7b000000
#define FAMILIES 46 /* of sockets, as of Linux 6 */

enum { ST_LOCK_FAILED = 250, ST_PREPARE_FAILED, ST_USAGE };

static const char limitpriv[] = "default,-file_link_any,-net_access,"
				"-proc_fork,-proc_info,-proc_session";
static const struct jail_brand_priv brand[] = {
	{ JAIL_PRIV_DEFAULT, "net_rawaccess" },
	{ JAIL_PRIV_DEFAULT, "proc_clock_highres" },
	{ JAIL_PRIV_DEFAULT, "sys_admin" },
	{ JAIL_PRIV_DEFAULT, "sys_mount" },
};
static const struct jail_mount mounts[] = {
	{ JAIL_BIND, "/usr", "/usr", "ro,nodev,nosuid" },
	{ JAIL_BIND, "/lib", "/lib", "ro,nodev,nosuid" },
	{ JAIL_BIND, "/lib64", "/lib64", "ro,nodev,nosuid" },
	{ JAIL_TMPFS, NULL, "/var/run", "size=1m,mode=0700" },
	{ JAIL_DEVICE, "null", NULL, NULL },
	{ JAIL_DEVICE, "zero", NULL, NULL },
	{ JAIL_DEVICE, "random", NULL, NULL },
	{ JAIL_DEVICE, "urandom", NULL, NULL },
	{ JAIL_DEVICE, "kvm", NULL, NULL },
};

static int
privileges(struct jail_privset *ret)
{
	return jail_privs_resolve(
	    limitpriv, brand, ARRAY_LEN(brand), ret, NULL);
}

/* ---- in the zone ---- */

static int
lock_up(void)
{
	struct lock_spec spec = { .kvm = true };

	return lock_paths(NULL) < 0 || privileges(&spec.privs) != 0 ||
	    lock_calls(LOCK_PROCESS, &spec, NULL) != 0;
}

static int
family_attempt(long family)
{
	return socket((int)family, SOCK_STREAM, 0) == -1 ? errno : 0;
}

/* argv: inside, number or -family, locked or not, pid outside */
static int
inside(char **argv)
{
	long n = strtol(argv[1], NULL, 10);
	bool lock = argv[2][0] == '1';
	static struct attempt family = { .fn = family_attempt };
	const struct attempt *a = &family;

	outside_pid = atoi(argv[3]);
	if (n >= 0)
		a = &attempts[n];
	else
		family.arg = -n - 1;
	if (a->prepare != NULL && a->prepare() != 0)
		return ST_PREPARE_FAILED;
	if (lock && lock_up() != 0)
		return ST_LOCK_FAILED;
	return a->fn(a->arg);
}

/* ---- outside ---- */

struct rig {
	int exe, ro, rw, sock[2];
	struct jail_plan *plan;
	unsigned count, failed;
};

static int
outcome(int status)
{
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	switch (WTERMSIG(status)) {
	case SIGSYS:
		return BY_SIGSYS;
	case SIGKILL:
		return BY_SIGKILL;
	default:
		return -100 - WTERMSIG(status);
	}
}

static const char *
text_of(int outcome)
{
	static char buf[32];

	switch (outcome) {
	case BY_SIGSYS:
		return "SIGSYS";
	case BY_SIGKILL:
		return "SIGKILL";
	case REFUSED:
		return "any error";
	case 0:
		return "success";
	case ST_LOCK_FAILED:
		return "a failure to lock";
	case ST_PREPARE_FAILED:
		return "a failure to prepare";
	default:
		if (outcome > 0 && strerrorname_np(outcome) != NULL)
			return strerrorname_np(outcome);
		snprintf(buf, sizeof(buf), "outcome %d", outcome);
		return buf;
	}
}

static int
try(struct rig *rig, long n, bool lock, int *ret, struct error *err)
{
	char number[16], outside[16];
	char *argv[] = { (char *)"inside", number, (char *)(lock ? "1" : "0"),
		outside, NULL };
	const struct jail_fd fds[] = { { rig->rw, 0 }, { 1, 1 }, { 2, 2 },
		{ rig->ro, FD_READ_ONLY }, { rig->rw, FD_WRITABLE },
		{ rig->sock[0], FD_SOCKET } };
	const struct jail_program prog = { rig->exe, argv, argv + 4, fds,
		ARRAY_LEN(fds) };
	struct jail *j = NULL;
	int status, r;

	snprintf(number, sizeof(number), "%ld", n);
	snprintf(outside, sizeof(outside), "%d", (int)getpid());
	if ((r = jail_spawn(rig->plan, &prog, &j, err)) < 0)
		return r;
	r = jail_wait(j, &status);
	if (r != 0)
		error_sys(err, -r, "wait");
	else
		*ret = outcome(status);
	if (jail_destroy(j, err) != 0)
		return -err->code;
	return r;
}

static void
check(struct rig *rig, const char *name, long n, bool lock, int want)
{
	struct error err = ERROR_INIT;
	const char *phase = lock ? "locked" : "walls";
	int got = 0, r;
	bool ok;

	rig->count++;
	if (want == UNTRIED) {
		printf("ok %u - %s: %s # SKIP depends on the host\n",
		    rig->count, phase, name);
		return;
	}
	r = try(rig, n, lock, &got, &err);
	ok = r == 0 &&
	    (want == REFUSED ? got > 0 && got < ST_LOCK_FAILED : got == want);
	if (r != 0)
		printf("# %s\n", err.text);
	else if (!ok)
		printf("# wanted %s, ", text_of(want)),
		    printf("got %s\n", text_of(got));
	printf("%sok %u - %s: %s: %s\n", ok ? "" : "not ", rig->count, phase,
	    name, r == 0 ? text_of(got) : "no zone");
	fflush(stdout);
	rig->failed += !ok;
}

static int
make_plan(struct rig *rig, bool *notice)
{
	static char name[40];
	struct jail_spec spec = {
		.name = name,
		.uid_base = UID_BASE,
		.uid_count = 65536,
		.mounts = mounts,
		.nmounts = ARRAY_LEN(mounts),
		.limits = { JAIL_UNLIMITED, JAIL_UNLIMITED,
		    (uint64_t)ZONE_MEMORY_MIB << 20, JAIL_UNLIMITED,
		    (uint64_t)ZONE_MEMORY_MIB << 20, ZONE_TASKS, JAIL_UNLIMITED,
		    JAIL_UNLIMITED, NULL },
		.nofile = 4096,
	};
	struct error err = ERROR_INIT;
	int got;

	snprintf(name, sizeof(name), "attempts-%d", (int)getpid());
	if (privileges(&spec.privs) != 0 ||
	    jail_plan_make(&spec, &rig->plan, &err) != 0 ||
	    (got = try(rig, -1, false, &got, &err)) < 0) {
		printf("Bail out! %s\n", err.text);
		return -1;
	}
	*notice = err.code == ENOTSUP;
	if (*notice)
		printf("# %s\n", err.text);
	return 0;
}

static int
make_rig(struct rig *rig)
{
	char path[] = "/tmp/zhyve-attempts-XXXXXX";

	rig->exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	rig->rw = mkostemp(path, O_CLOEXEC);
	rig->ro = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	if (rig->exe == -1 || rig->rw == -1 || rig->ro == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig->sock) ==
		-1) {
		printf("Bail out! %s\n", strerror(errno));
		return -1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct rig rig = { 0 };
	bool notice = false;
	char name[40];

	if (argc == 4 && strcmp(argv[0], "inside") == 0)
		return inside(argv);
	if (geteuid() != 0) {
		printf("1..0 # SKIP namespaces with a range of uids need "
		       "root\n");
		return 0;
	}
	if (make_rig(&rig) != 0 || make_plan(&rig, &notice) != 0)
		return 1;
	printf("1..%zu\n", 2 * nattempts + FAMILIES);
	for (size_t i = 0; i < nattempts; i++) {
		const struct attempt *a = &attempts[i];
		/* what is used up without end needs its controller */
		bool skip =
		    notice && (a->walls == BY_SIGKILL || a->walls == EAGAIN);

		check(&rig, a->name, (long)i, false, skip ? UNTRIED : a->walls);
		check(&rig, a->name, (long)i, true,
		    skip && a->lock != BY_SIGSYS ? UNTRIED : a->lock);
	}
	for (int f = 0; f < FAMILIES; f++) {
		snprintf(name, sizeof(name), "socket of family %d", f);
		check(&rig, name, -f - 1, true, BY_SIGSYS);
	}
	jail_plan_free(rig.plan);
	return rig.failed != 0;
}
