/*
 * The lock on system calls: filters made by libseccomp from the rows of
 * lock_rules.c, one for the process and one for each role of threads. All are
 * made at once, before the first is in force; a thread that enters a role later
 * only loads its own.
 */
#include "jail/lock.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "jail/lock_rules.h"
#include "jail/priv_impl.h"

#define ROLES 3
#define PROGRAM_MAX 4096 /* instructions, the kernel's limit */

static struct sock_fprog programs[ROLES];

static const unsigned role_bits[ROLES] = {
	[LOCK_PROCESS] = 0,
	[LOCK_VCPU] = ROLE_VCPU,
	[LOCK_IO] = ROLE_IO,
};

static bool
has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = words; p != NULL; p = strchr(p, ' ')) {
		p += *p == ' ';
		if (strncmp(p, word, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
			return true;
	}
	return false;
}

/* The privilege that a row is about; NULL: none. */
static const char *
priv_of(const struct lock_rule *rule)
{
	if (rule->priv != NULL)
		return rule->priv;
	for (size_t i = 0; i < jail_nprivs; i++)
		if (has_word(jail_privs[i].calls, rule->call))
			return jail_privs[i].name;
	return NULL;
}

static bool
applies(const struct lock_rule *rule, enum lock_role role,
    const struct lock_spec *spec)
{
	if (rule->kvm && !spec->kvm)
		return false;
	return role == LOCK_PROCESS || (rule->roles & role_bits[role]) != 0;
}

/* Without its privilege a row is refused. */
static enum lock_answer
answer_of(const struct lock_rule *rule, const struct lock_spec *spec)
{
	const char *priv = priv_of(rule);

	if (priv != NULL && !jail_priv_has(&spec->privs, priv))
		return ANSWER_EPERM;
	return rule->answer;
}

static const struct {
	const char *name;
	uint32_t action;
} answers[] = {
	[ANSWER_YES] = { "", SCMP_ACT_ALLOW },
	[ANSWER_EPERM] = { "EPERM", SCMP_ACT_ERRNO(EPERM) },
	[ANSWER_ENOSYS] = { "ENOSYS", SCMP_ACT_ERRNO(ENOSYS) },
	[ANSWER_ENOTTY] = { "ENOTTY", SCMP_ACT_ERRNO(ENOTTY) },
};

static int
add_rule(scmp_filter_ctx ctx, const struct lock_rule *rule,
    enum lock_answer answer, struct error *err)
{
	int nr = seccomp_syscall_resolve_name(rule->call), r;
	uint64_t value = rule->own_pid ? (uint64_t)getpid() : rule->arg.value;
	struct scmp_arg_cmp cmp = {
		.arg = rule->arg.n,
		.op = SCMP_CMP_MASKED_EQ,
		.datum_a = rule->arg.mask,
		.datum_b = value,
	};

	if (nr == __NR_SCMP_ERROR)
		return 0; /* a call that this library is too old for */
	r = seccomp_rule_add_array(
	    ctx, answers[answer].action, nr, rule->arg.mask != 0, &cmp);
	return r == 0
	    ? 0
	    : error_sys(err, -r, "filter of system calls: %s", rule->call);
}

static int
add_rules(scmp_filter_ctx ctx, enum lock_role role,
    const struct lock_spec *spec, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < lock_nrules && r == 0; i++)
		if (applies(&lock_rules[i], role, spec))
			r = add_rule(ctx, &lock_rules[i],
			    answer_of(&lock_rules[i], spec), err);
	return r;
}

/* What libseccomp made, as the kernel takes it. */
static int export(
    scmp_filter_ctx ctx, struct sock_fprog *ret, struct error *err)
{
	cleanup_close int fd = fd_memfd("filter", 0, 0);
	struct sock_filter *code;
	off_t size;
	int r = fd < 0 ? fd : seccomp_export_bpf(ctx, fd);

	if (r != 0)
		return error_sys(err, -r, "filter of system calls");
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || (size_t)size > PROGRAM_MAX * sizeof(*code))
		return error_set(err, E2BIG,
		    "filter of system calls: %lld bytes", (long long)size);
	if ((code = alloc_bytes((size_t)size)) == NULL)
		return error_set(err, ENOMEM, "out of memory");
	if (fd_pread_full(fd, code, (size_t)size, 0) != size) {
		free(code);
		return error_set(err, EIO, "filter of system calls");
	}
	ret->filter = code;
	ret->len = (unsigned short)((size_t)size / sizeof(*code));
	return 0;
}

/* Rows are added by 'add'. */
static int
make_program(int (*add)(scmp_filter_ctx ctx, void *arg, struct error *err),
    void *arg, struct sock_fprog *ret, struct error *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (ctx == NULL)
		return error_set(err, ENOMEM, "filter of system calls");
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_syscall_priority(ctx, SCMP_SYS(ioctl), 255);
	seccomp_syscall_priority(ctx, SCMP_SYS(futex), 200);
	if ((r = add(ctx, arg, err)) == 0)
		r = export(ctx, ret, err);
	seccomp_release(ctx);
	return r;
}

struct role_rules {
	enum lock_role role;
	const struct lock_spec *spec;
};

static int
add_role(scmp_filter_ctx ctx, void *arg, struct error *err)
{
	const struct role_rules *rules = arg;

	return add_rules(ctx, rules->role, rules->spec, err);
}

static int
make_programs(const struct lock_spec *spec, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; i < ROLES && r == 0; i++) {
		free(programs[i].filter);
		programs[i] = (struct sock_fprog){ 0 };
		r = make_program(add_role, &(struct role_rules){ i, spec },
		    &programs[i], err);
	}
	return r;
}

/* In force for the process, or for the calling thread. */
static int
load(const struct sock_fprog *program, bool process, struct error *err)
{
	unsigned flags = process ? SECCOMP_FILTER_FLAG_TSYNC : 0;
	long r;

	if (process && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return error_sys(err, errno, "no_new_privs");
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
	if (r == -1)
		return error_sys(err, errno, "cannot lock system calls");
	if (r != 0)
		return error_set(err, EBUSY,
		    "cannot lock system calls: thread %ld has filters of its "
		    "own",
		    r);
	return 0;
}

int
lock_calls(enum lock_role role, const struct lock_spec *spec, struct error *err)
{
	if (role == LOCK_PROCESS) {
		int made = make_programs(spec, err);

		if (made != 0)
			return made;
	}
	if (programs[role].filter == NULL)
		return error_set(
		    err, EINVAL, "lock the process before its threads");
	return load(&programs[role], role == LOCK_PROCESS, err);
}

struct own_rules {
	const struct lock_rule *v;
	size_t n;
};

static int
add_own(scmp_filter_ctx ctx, void *arg, struct error *err)
{
	const struct own_rules *rules = arg;
	int r = 0;

	for (size_t i = 0; i < lock_nservice_rules && r == 0; i++)
		r = add_rule(ctx, &lock_service_rules[i],
		    lock_service_rules[i].answer, err);
	for (size_t i = 0; i < rules->n && r == 0; i++)
		r = add_rule(ctx, &rules->v[i], rules->v[i].answer, err);
	return r;
}

int
lock_calls_of(const struct lock_rule *rules, size_t n, struct error *err)
{
	struct own_rules own = { rules, n };
	struct sock_fprog program = { 0 };
	int r = make_program(add_own, &own, &program, err);

	if (r == 0)
		r = load(&program, true, err);
	free(program.filter);
	return r;
}

int
lock_print(enum lock_role role, const struct lock_spec *spec, struct buf *b)
{
	for (size_t i = 0; i < lock_nrules; i++) {
		const struct lock_rule *rule = &lock_rules[i];
		enum lock_answer answer = answer_of(rule, spec);

		if (!applies(rule, role, spec))
			continue;
		buf_append_str(b, rule->call);
		if (rule->arg.mask != 0)
			buf_printf(b, " (%s)", rule->what);
		if (answer != ANSWER_YES)
			buf_printf(b, ": %s", answers[answer].name);
		buf_put_u8(b, '\n');
	}
	return buf_error(b);
}
