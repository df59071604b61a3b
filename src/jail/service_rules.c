/*
 * The system calls of any service: what an event loop over descriptors and the
 * C library make, and nothing that makes a process, a path or code.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/str.h"
#include "jail/lock_rules.h"

#define NUMBER UINT32_MAX /* commands are 32 bits wide, arguments 64 */
#define YES ANSWER_YES

/* clang-format off */
const struct lock_rule lock_service_rules[] = {
	/* descriptors */
	{ "read", 0, YES },
	{ "write", 0, YES },
	{ "recvmsg", 0, YES },
	{ "sendmsg", 0, YES },
	{ "accept4", 0, YES },
	{ "close", 0, YES },
	{ "fstat", 0, YES },
	{ "newfstatat", 0, YES },
	{ "fcntl", 0, YES, { 1, NUMBER, F_GETFL }, "F_GETFL" },
	{ "fcntl", 0, YES, { 1, NUMBER, F_SETFL }, "F_SETFL" },
	/* memory, never to execute */
	{ "mmap", 0, YES, { 2, PROT_EXEC, 0 }, "no PROT_EXEC" },
	{ "mprotect", 0, YES, { 2, PROT_EXEC, 0 }, "no PROT_EXEC" },
	{ "mremap", 0, YES },
	{ "munmap", 0, YES },
	{ "brk", 0, YES },
	{ "madvise", 0, YES, { 2, NUMBER, MADV_DONTNEED }, "MADV_DONTNEED" },
	{ "madvise", 0, YES, { 2, NUMBER, MADV_DONTDUMP }, "MADV_DONTDUMP" },
	/* the C library's */
	{ "futex", 0, YES },
	{ "clock_gettime", 0, YES },
	{ "getrandom", 0, YES },
	{ "rt_sigprocmask", 0, YES },
	{ "rt_sigreturn", 0, YES },
	{ "restart_syscall", 0, YES },
	{ "sigaltstack", 0, YES },
	{ "getpid", 0, YES },
	{ "gettid", 0, YES },
	{ "sched_yield", 0, YES },
	{ "tgkill", 0, YES, { 0, NUMBER, 0 }, "own process", .own_pid = true },
	{ "exit", 0, YES },
	{ "exit_group", 0, YES },
};
/* clang-format on */
const size_t lock_nservice_rules = ARRAY_LEN(lock_service_rules);
