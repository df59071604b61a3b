/*
 * The monitor's system calls after the lock, found by tracing guests on both
 * engines with disks by io_uring and by threads, consoles, links, resets and
 * power-off. What is not here ends the process. The filters of threads are
 * for what only they do; a thread that enters no role has the process's.
 */
#include "jail/lock_rules.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/str.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define NUMBER UINT32_MAX /* commands are 32 bits wide, arguments 64 */
#define VCPU ROLE_VCPU
#define IO ROLE_IO
#define YES ANSWER_YES

/* clang-format off */
const struct lock_rule lock_rules[] = {
	/* threads, locks, time */
	{ "futex", VCPU | IO, YES },
	{ "rt_sigprocmask", VCPU | IO, YES },
	{ "rt_sigreturn", VCPU | IO, YES },
	{ "exit", VCPU | IO, YES },
	{ "exit_group", VCPU | IO, YES },
	{ "munmap", VCPU | IO, YES },
	{ "gettid", VCPU | IO, YES },
	{ "getpid", VCPU | IO, YES },
	{ "sched_yield", VCPU | IO, YES },
	{ "clock_nanosleep", VCPU | IO, YES },
	{ "nanosleep", VCPU | IO, YES },
	{ "rt_sigpending", VCPU | IO, YES },
	{ "rt_sigtimedwait", VCPU | IO, YES },
	{ "restart_syscall", VCPU | IO, YES },
	{ "sigaltstack", VCPU | IO, YES },
	{ "brk", VCPU | IO, YES },
	{ "rseq", VCPU | IO, YES },
	{ "set_robust_list", VCPU | IO, YES },
	{ "clock_gettime", VCPU | IO, YES },
	{ "getcpu", VCPU | IO, YES },
	{ "sched_getaffinity", VCPU | IO, YES },
	{ "tgkill", VCPU | IO, YES, { 0, NUMBER, 0 }, "own process", .own_pid = true },
	{ "rt_sigaction", 0, YES },
	{ "clone", VCPU | IO, YES, { 0, UINT64_MAX, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID }, "a thread" },
	{ "clone3", VCPU | IO, ANSWER_ENOSYS },
	{ "prctl", VCPU | IO, YES, { 0, NUMBER, PR_SET_NAME }, "PR_SET_NAME" },
	/* a thread's own filter, on top of the process's */
	{ "seccomp", VCPU | IO, YES, { 0, NUMBER, SECCOMP_SET_MODE_FILTER }, "a filter more" },
	/* memory, never to execute */
	{ "mmap", VCPU | IO, YES, { 2, PROT_EXEC, 0 }, "no PROT_EXEC" },
	{ "mprotect", VCPU | IO, YES, { 2, PROT_EXEC, 0 }, "no PROT_EXEC" },
	{ "mremap", VCPU | IO, YES },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_NORMAL }, "MADV_NORMAL" },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_WILLNEED }, "MADV_WILLNEED" },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_DONTNEED }, "MADV_DONTNEED" },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_FREE }, "MADV_FREE" },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_REMOVE }, "MADV_REMOVE" },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_HUGEPAGE }, "MADV_HUGEPAGE" },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_NOHUGEPAGE }, "MADV_NOHUGEPAGE" },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_DONTDUMP }, "MADV_DONTDUMP" },
	{ "madvise", VCPU | IO, YES, { 2, NUMBER, MADV_POPULATE_WRITE }, "MADV_POPULATE_WRITE" },
	/* events and descriptors that are there already */
	{ "read", VCPU | IO, YES },
	{ "write", VCPU | IO, YES },
	{ "readv", VCPU | IO, YES },
	{ "writev", VCPU | IO, YES },
	{ "close", VCPU | IO, YES },
	{ "epoll_wait", VCPU, YES },
	{ "epoll_pwait", VCPU, YES },
	{ "epoll_ctl", VCPU, YES },
	{ "poll", VCPU, YES },
	{ "ppoll", VCPU, YES },
	{ "timerfd_settime", VCPU, YES },
	{ "timerfd_gettime", VCPU, YES },
	{ "lseek", 0, YES },
	{ "shutdown", 0, YES },
	{ "recvmsg", 0, YES },
	{ "sendmsg", 0, YES },
	{ "getsockname", 0, YES },
	{ "dup", 0, YES },
	{ "newfstatat", 0, YES, { 3, AT_EMPTY_PATH, AT_EMPTY_PATH }, "of a descriptor" },
	{ "fstat", 0, YES },
	{ "accept4", 0, YES },
	{ "getsockopt", 0, YES, { 1, NUMBER, SOL_SOCKET }, "SOL_SOCKET" },
	{ "sendto", VCPU, YES, { 4, UINT64_MAX, 0 }, "without an address" },
	{ "recvfrom", VCPU, YES, { 4, UINT64_MAX, 0 }, "without an address" },
	{ "getrandom", VCPU, YES },
	{ "fcntl", 0, YES, { 1, NUMBER, F_GETFL }, "F_GETFL" },
	{ "fcntl", 0, YES, { 1, NUMBER, F_SETFL }, "F_SETFL" },
	{ "fcntl", 0, YES, { 1, NUMBER, F_GETFD }, "F_GETFD" },
	{ "fcntl", 0, YES, { 1, NUMBER, F_SETFD }, "F_SETFD" },
	{ "fcntl", 0, YES, { 1, NUMBER, F_DUPFD_CLOEXEC }, "F_DUPFD_CLOEXEC" },
	/* disks; what a privilege is for is in priv_table.c */
	{ "pread64", VCPU | IO, YES },
	{ "preadv", VCPU | IO, YES },
	{ "preadv2", VCPU | IO, YES },
	{ "pwrite64", VCPU | IO, YES },
	{ "pwritev", VCPU | IO, YES },
	{ "pwritev2", VCPU | IO, YES },
	{ "fsync", VCPU | IO, YES },
	{ "fdatasync", VCPU | IO, YES },
	{ "ftruncate", 0, YES },
	{ "fallocate", VCPU | IO, YES, { 1, NUMBER, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE }, "punch a hole" },
	{ "fallocate", VCPU | IO, YES, { 1, NUMBER, FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE }, "write zeroes" },
	{ "fallocate", VCPU | IO, YES, { 1, NUMBER, FALLOC_FL_ZERO_RANGE }, "write zeroes at the end" },
	{ "io_uring_enter", VCPU, YES, .priv = "file_write" },
	{ "ioctl", VCPU | IO, YES, { 1, NUMBER, BLKDISCARD }, "BLKDISCARD", .priv = "file_write" },
	{ "ioctl", VCPU | IO, YES, { 1, NUMBER, BLKZEROOUT }, "BLKZEROOUT", .priv = "file_write" },
	/* links */
	{ "ioctl", VCPU, YES, { 1, NUMBER, TUNSETOFFLOAD }, "TUNSETOFFLOAD", .priv = "net_rawaccess" },
	{ "ioctl", VCPU, YES, { 1, NUMBER, TUNSETVNETHDRSZ }, "TUNSETVNETHDRSZ", .priv = "net_rawaccess" },
	{ "ioctl", VCPU, YES, { 1, NUMBER, TUNSETQUEUE }, "TUNSETQUEUE", .priv = "net_rawaccess" },
	/* KVM: a VM that is there; none can be made */
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_RUN }, "KVM_RUN", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_REGS }, "KVM_GET_REGS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_REGS }, "KVM_SET_REGS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_SREGS }, "KVM_GET_SREGS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_SREGS }, "KVM_SET_SREGS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_INTERRUPT }, "KVM_INTERRUPT", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_NMI }, "KVM_NMI", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_MP_STATE }, "KVM_GET_MP_STATE", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_MP_STATE }, "KVM_SET_MP_STATE", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_VCPU_EVENTS }, "KVM_GET_VCPU_EVENTS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_VCPU_EVENTS }, "KVM_SET_VCPU_EVENTS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_MSRS }, "KVM_GET_MSRS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_MSRS }, "KVM_SET_MSRS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_LAPIC }, "KVM_GET_LAPIC", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_LAPIC }, "KVM_SET_LAPIC", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_XCRS }, "KVM_GET_XCRS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_XCRS }, "KVM_SET_XCRS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_XSAVE }, "KVM_GET_XSAVE", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_XSAVE }, "KVM_SET_XSAVE", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_DEBUGREGS }, "KVM_GET_DEBUGREGS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_DEBUGREGS }, "KVM_SET_DEBUGREGS", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_GUEST_DEBUG }, "KVM_SET_GUEST_DEBUG", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_TRANSLATE }, "KVM_TRANSLATE", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_SIGNAL_MASK }, "KVM_SET_SIGNAL_MASK", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SIGNAL_MSI }, "KVM_SIGNAL_MSI", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_IRQFD }, "KVM_IRQFD", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_IOEVENTFD }, "KVM_IOEVENTFD", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_GSI_ROUTING }, "KVM_SET_GSI_ROUTING", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_SET_USER_MEMORY_REGION }, "KVM_SET_USER_MEMORY_REGION", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_GET_DIRTY_LOG }, "KVM_GET_DIRTY_LOG", .kvm = true },
	{ "ioctl", VCPU, YES, { 1, NUMBER, KVM_CLEAR_DIRTY_LOG }, "KVM_CLEAR_DIRTY_LOG", .kvm = true },
	/* what libraries ask in passing: refused, not punished */
	{ "ioctl", 0, ANSWER_ENOTTY, { 1, NUMBER, TCGETS }, "TCGETS" },
	{ "newfstatat", 0, ANSWER_EPERM, { 3, AT_EMPTY_PATH, 0 }, "of a path" },
	{ "open", VCPU | IO, ANSWER_EPERM },
	{ "openat", VCPU | IO, ANSWER_EPERM },
	{ "access", VCPU | IO, ANSWER_EPERM },
	{ "faccessat", VCPU | IO, ANSWER_EPERM },
	{ "faccessat2", VCPU | IO, ANSWER_EPERM },
	{ "stat", VCPU | IO, ANSWER_EPERM },
	{ "lstat", VCPU | IO, ANSWER_EPERM },
	{ "statx", VCPU | IO, ANSWER_EPERM },
	{ "readlink", VCPU | IO, ANSWER_EPERM },
	{ "unlink", VCPU | IO, ANSWER_EPERM },
	{ "unlinkat", VCPU | IO, ANSWER_EPERM },
	{ "mlock", 0, YES },
	{ "mlock2", 0, YES },
	{ "munlock", 0, YES },
};
/* clang-format on */
const size_t lock_nrules = ARRAY_LEN(lock_rules);
