#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

int outside_pid;

static int
result(long r)
{
	return r == -1 ? errno : 0;
}

/* ---- files ---- */

static const char *const paths[] = { "/etc/shadow", "/../../../etc/passwd",
	"/proc/1/environ", "/proc/self/fd/3", "/sys/kernel", "/run", "/home",
	"/dev/kvm", "/dev/mem", "/dev/vda", "/dev/zero", "/usr/bin/sh" };

static int
open_path(long i)
{
	return result(open(paths[i], O_RDONLY));
}

static int
open_usr_write(long arg)
{
	return result(open("/usr/zhyve-attempt", O_WRONLY | O_CREAT, 0600));
}

static int
make_dir(long arg)
{
	return result(mkdir("/zhyve-attempt", 0700));
}

static int
make_node(long arg)
{
	return result(mknod("/var/run/node", S_IFBLK | 0600, 0xfe00));
}

static int
make_link(long arg)
{
	return result(link("/usr/bin/su", "/var/run/su"));
}

static int
read_only_write(long arg)
{
	return result(write(FD_READ_ONLY, "x", 1));
}

static int
file_owner(long arg)
{
	return result(fchown(FD_READ_ONLY, 1, 1));
}

static int
file_mode(long arg)
{
	return result(fchmod(FD_READ_ONLY, 06777));
}

static int
by_handle(long arg)
{
	struct {
		struct file_handle h;
		char bytes[64];
	} fh = { .h = { .handle_bytes = 8, .handle_type = 1 } };

	return result(open_by_handle_at(FD_READ_ONLY, &fh.h, O_RDONLY));
}

/* A folder of the host among the descriptors would be a way out. */
static int
folder_descriptors(long arg)
{
	struct stat st;

	for (int fd = 0; fd < 4096; fd++)
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			return 0;
	return ENOENT;
}

static int
more_descriptors(long arg)
{
	for (int fd = FD_SOCKET + 1; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			return 0;
	return EBADF;
}

/* ---- programs and processes ---- */

static int
do_fork(long arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int
fork_bomb(long arg)
{
	for (unsigned i = 0; i < 10000; i++) {
		pid_t pid = fork();

		if (pid == 0)
			pause();
		if (pid == -1)
			return i < ZONE_TASKS ? errno : ERANGE;
	}
	return 0;
}

static void *
sleeper(void *arg)
{
	for (;;)
		poll(NULL, 0, 1000000);
	return NULL;
}

static int
thread_bomb(long arg)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (unsigned i = 0; i < 10000; i++) {
		int r = pthread_create(&t, &attr, sleeper, NULL);

		if (r != 0)
			return i < ZONE_TASKS ? r : ERANGE;
	}
	return 0;
}

static int
do_exec(long arg)
{
	char *argv[] = { (char *)"true", NULL };

	execve("/usr/bin/true", argv, argv + 1);
	return errno;
}

static int
do_ptrace(long arg)
{
	return result(ptrace(PTRACE_ATTACH, outside_pid, NULL, NULL));
}

static int
read_memory(long arg)
{
	char buf[8];
	struct iovec l = { buf, 8 }, r = { (void *)0x1000, 8 };

	return result(process_vm_readv(outside_pid, &l, 1, &r, 1, 0));
}

static int
open_pidfd(long arg)
{
	return result(syscall(SYS_pidfd_open, outside_pid, 0));
}

static int
do_kill(long arg)
{
	return result(kill(arg == 0 ? outside_pid : (pid_t)arg, 0));
}

static int
thread_kill(long arg)
{
	return result(syscall(SYS_tgkill, outside_pid, outside_pid, 0));
}

static int
priority(long arg)
{
	return result(setpriority(PRIO_PROCESS, 0, -20));
}

static int
real_time(long arg)
{
	struct sched_param p = { .sched_priority = 1 };

	return result(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p));
}

static int
raise_limit(long arg)
{
	struct rlimit lim = { 1 << 20, 1 << 20 };

	return result(syscall(SYS_prlimit64, 0, (int)arg, &lim, NULL));
}

/* ---- capabilities, users, namespaces ---- */

static int
become_root(long arg)
{
	return result(syscall(SYS_setresuid, 0, 0, 0));
}

static int
all_caps(long arg)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct all[2] = { { ~0U, ~0U, ~0U },
		{ ~0U, ~0U, ~0U } };

	return result(syscall(SYS_capset, &head, all));
}

static int
do_unshare(long flags)
{
	return result(unshare((int)flags));
}

static int
clone_user(long arg)
{
	long r = syscall(
	    SYS_clone, (unsigned long)CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (r == 0)
		_exit(0);
	return result(r);
}

static int
join(long arg)
{
	return result(setns(FD_READ_ONLY, 0));
}

/* ---- mounts ---- */

static int
do_mount(long arg)
{
	return result(mount("x", "/var/run", "tmpfs", 0, NULL));
}

static int
remount(long i)
{
	static const char *const what[] = { "/", "/usr" };

	return result(mount(NULL, what[i], NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int
do_umount(long arg)
{
	return result(umount2("/usr", MNT_DETACH));
}

static int
do_chroot(long arg)
{
	return result(chroot("/usr"));
}

static int
do_pivot(long arg)
{
	return result(syscall(SYS_pivot_root, "/usr", "/usr"));
}

static int
do_open_tree(long arg)
{
	return result(
	    syscall(SYS_open_tree, AT_FDCWD, "/usr", OPEN_TREE_CLONE));
}

static int
do_fsopen(long arg)
{
	return result(syscall(SYS_fsopen, "tmpfs", 0));
}

static int
mount_rw(long arg)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };

	return result(syscall(
	    SYS_mount_setattr, AT_FDCWD, "/usr", 0, &attr, sizeof(attr)));
}

/* ---- the network ---- */

static int
do_connect(long arg)
{
	struct sockaddr_in peer = { .sin_family = AF_INET,
		.sin_port = htons(80),
		.sin_addr.s_addr = htonl((uint32_t)arg) };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (s == -1)
		return errno;
	return result(connect(s, (struct sockaddr *)&peer, sizeof(peer)));
}

static int
raw_socket(long family)
{
	return result(socket((int)family, SOCK_RAW, 1));
}

/* ---- the host's controls ---- */

static int
set_host_name(long arg)
{
	return result(sethostname("x", 1));
}

static int
do_reboot(long arg)
{
	/* a wrong magic: it could never work */
	return result(syscall(SYS_reboot, 0, 0, 0, NULL));
}

static int
set_time(long arg)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return result(syscall(SYS_clock_settime, CLOCK_REALTIME, &now));
}

static int
ports(long arg)
{
	return result(syscall(SYS_iopl, 3));
}

static int
module(long arg)
{
	return result(syscall(SYS_init_module, "", 0UL, ""));
}

static int
kernel_log(long arg)
{
	return result(syscall(SYS_syslog, 5, NULL, 0)); /* clear */
}

static int
do_bpf(long arg)
{
	char attr[128] = { 5 };

	return result(syscall(SYS_bpf, 5, attr, sizeof(attr)));
}

static int
perf(long arg)
{
	char attr[128] = { 0 };

	attr[4] = sizeof(attr);
	return result(syscall(SYS_perf_event_open, attr, -1, 0, -1, 0));
}

static int
swap(long arg)
{
	return result(syscall(SYS_swapoff, "/usr"));
}

static int
accounting(long arg)
{
	return result(syscall(SYS_acct, "/usr/x"));
}

static int
uring(long arg)
{
	char par[120] = { 0 };

	return result(syscall(SYS_io_uring_setup, 1, par));
}

static int
fault_handler(long arg)
{
	return result(syscall(SYS_userfaultfd, 0));
}

static int
shared_memory(long arg)
{
	return result(syscall(SYS_shmget, 0x1234, 4096UL, 01600));
}

static int
keys(long arg)
{
	return result(syscall(SYS_add_key, "user", "x", "y", 1UL, -3));
}

static int
foreign_ioctl(long request)
{
	int v = 0x10; /* immutable, of FS_IOC_SETFLAGS */

	return result(
	    syscall(SYS_ioctl, FD_READ_ONLY, (unsigned long)request, &v));
}

static int
socket_ioctl(long request)
{
	char ifr[64] = "lo";

	return result(
	    syscall(SYS_ioctl, FD_SOCKET, (unsigned long)request, ifr));
}

/* ---- memory ---- */

static int
exec_memory(long arg)
{
	return result((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int
gain_exec(long arg)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int
fill_memory(long arg)
{
	size_t size = (size_t)ZONE_MEMORY_MIB << 22; /* four times as much */
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return errno;
	for (size_t i = 0; i < size; i += 4096)
		((volatile char *)p)[i] = 1;
	return 0;
}

static int
lock_memory(long arg)
{
	void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(mlock(p, 1 << 20));
}

/* ---- disks ---- */

static int big = -1;

static int
make_file(void)
{
	big = open("/var/run/big", O_WRONLY | O_CREAT, 0600);
	return result(big);
}

static int
fill_disk(long arg)
{
	static char page[65536];

	for (unsigned i = 0; i < 1000000; i++)
		if (write(big, page, sizeof(page)) == -1)
			return errno;
	return 0;
}

static int
fill_names(long arg)
{
	char name[40];

	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(name, sizeof(name), "/var/run/%u", i);
		if (mkdir(name, 0700) == -1)
			return errno;
	}
	return 0;
}

/* clang-format off */
#define LO INADDR_LOOPBACK
const struct attempt attempts[] = {
	{ "open /etc/shadow", ENOENT, EPERM, open_path, 0, NULL },
	{ "open by .. above the root", ENOENT, EPERM, open_path, 1, NULL },
	{ "open another's /proc", ENOENT, EPERM, open_path, 2, NULL },
	{ "reopen a descriptor", ENOENT, EPERM, open_path, 3, NULL },
	{ "open /sys", ENOENT, EPERM, open_path, 4, NULL },
	{ "open /run", ENOENT, EPERM, open_path, 5, NULL },
	{ "open /home", ENOENT, EPERM, open_path, 6, NULL },
	{ "open /dev/kvm by its node", REFUSED, EPERM, open_path, 7, NULL },
	{ "open /dev/mem", ENOENT, EPERM, open_path, 8, NULL },
	{ "open the host's disk", ENOENT, EPERM, open_path, 9, NULL },
	{ "open /dev/zero", 0, EPERM, open_path, 10, NULL },
	{ "open a program", 0, EPERM, open_path, 11, NULL },
	{ "create in /usr", EROFS, EPERM, open_usr_write, 0, NULL },
	{ "create in the root", EROFS, BY_SIGSYS, make_dir, 0, NULL },
	{ "make a device", EPERM, BY_SIGSYS, make_node, 0, NULL },
	{ "link a setuid program", EXDEV, BY_SIGSYS, make_link, 0, NULL },
	{ "write to what is passed read-only", EBADF, EBADF, read_only_write, 0, NULL },
	{ "take a passed file", EPERM, BY_SIGSYS, file_owner, 0, NULL },
	{ "make a passed file setuid", EPERM, BY_SIGSYS, file_mode, 0, NULL },
	{ "open by handle", EPERM, BY_SIGSYS, by_handle, 0, NULL },
	{ "find a folder among descriptors", ENOENT, ENOENT, folder_descriptors, 0, NULL },
	{ "find more descriptors than passed", EBADF, EBADF, more_descriptors, 0, NULL },

	{ "fork", 0, BY_SIGSYS, do_fork, 0, NULL },
	{ "fork bomb", EAGAIN, BY_SIGSYS, fork_bomb, 0, NULL },
	{ "thread bomb", EAGAIN, EAGAIN, thread_bomb, 0, NULL },
	{ "exec", 0, BY_SIGSYS, do_exec, 0, NULL },
	{ "ptrace outside", ESRCH, BY_SIGSYS, do_ptrace, 0, NULL },
	{ "read memory outside", ESRCH, BY_SIGSYS, read_memory, 0, NULL },
	{ "pidfd of outside", REFUSED, BY_SIGSYS, open_pidfd, 0, NULL },
	{ "kill outside", ESRCH, BY_SIGSYS, do_kill, 0, NULL },
	{ "kill all", ESRCH, BY_SIGSYS, do_kill, -1, NULL },
	{ "signal a thread outside", ESRCH, BY_SIGSYS, thread_kill, 0, NULL },
	{ "priority", EACCES, BY_SIGSYS, priority, 0, NULL },
	{ "real-time class", EPERM, BY_SIGSYS, real_time, 0, NULL },
	{ "more descriptors", EPERM, BY_SIGSYS, raise_limit, RLIMIT_NOFILE, NULL },
	{ "core dumps", EPERM, BY_SIGSYS, raise_limit, RLIMIT_CORE, NULL },

	{ "become root of the zone", EPERM, BY_SIGSYS, become_root, 0, NULL },
	{ "capabilities", EPERM, BY_SIGSYS, all_caps, 0, NULL },
	{ "a user namespace", ENOSPC, BY_SIGSYS, do_unshare, CLONE_NEWUSER, NULL },
	{ "a user namespace by clone", ENOSPC, BY_SIGSYS, clone_user, 0, NULL },
	{ "a mount namespace", EPERM, BY_SIGSYS, do_unshare, CLONE_NEWNS, NULL },
	{ "a network namespace", EPERM, BY_SIGSYS, do_unshare, CLONE_NEWNET, NULL },
	{ "a pid namespace", EPERM, BY_SIGSYS, do_unshare, CLONE_NEWPID, NULL },
	{ "a cgroup namespace", EPERM, BY_SIGSYS, do_unshare, CLONE_NEWCGROUP, NULL },
	{ "join a namespace", EINVAL, BY_SIGSYS, join, 0, NULL },

	{ "mount", EPERM, BY_SIGSYS, do_mount, 0, NULL },
	{ "remount the root for writing", EPERM, BY_SIGSYS, remount, 0, NULL },
	{ "remount /usr for writing", EPERM, BY_SIGSYS, remount, 1, NULL },
	{ "make /usr writable by attributes", EPERM, BY_SIGSYS, mount_rw, 0, NULL },
	{ "unmount /usr", EPERM, BY_SIGSYS, do_umount, 0, NULL },
	{ "chroot", EPERM, BY_SIGSYS, do_chroot, 0, NULL },
	{ "pivot_root", EPERM, BY_SIGSYS, do_pivot, 0, NULL },
	{ "clone a tree of mounts", EPERM, BY_SIGSYS, do_open_tree, 0, NULL },
	{ "make a file system", EPERM, BY_SIGSYS, do_fsopen, 0, NULL },

	{ "connect to the host", ENETUNREACH, BY_SIGSYS, do_connect, LO, NULL },
	{ "connect to the world", ENETUNREACH, BY_SIGSYS, do_connect, 0x01010101, NULL },
	{ "raw IP", EPERM, BY_SIGSYS, raw_socket, AF_INET, NULL },
	{ "packets", EPERM, BY_SIGSYS, raw_socket, AF_PACKET, NULL },
	{ "links of a passed socket", EPERM, BY_SIGSYS, socket_ioctl, 0x8914, NULL },

	{ "host name", EPERM, BY_SIGSYS, set_host_name, 0, NULL },
	{ "reboot", REFUSED, BY_SIGSYS, do_reboot, 0, NULL },
	{ "set the clock", EPERM, BY_SIGSYS, set_time, 0, NULL },
	{ "I/O ports", REFUSED, BY_SIGSYS, ports, 0, NULL },
	{ "kernel module", REFUSED, BY_SIGSYS, module, 0, NULL },
	{ "clear the kernel's log", EPERM, BY_SIGSYS, kernel_log, 0, NULL },
	{ "BPF", EPERM, BY_SIGSYS, do_bpf, 0, NULL },
	{ "performance counters", REFUSED, BY_SIGSYS, perf, 0, NULL },
	{ "swap", EPERM, BY_SIGSYS, swap, 0, NULL },
	{ "process accounting", EPERM, BY_SIGSYS, accounting, 0, NULL },
	{ "a ring of io_uring", UNTRIED, BY_SIGSYS, uring, 0, NULL },
	{ "a handler of page faults", UNTRIED, BY_SIGSYS, fault_handler, 0, NULL },
	{ "shared memory (of its own namespace)", 0, BY_SIGSYS, shared_memory, 0, NULL },
	{ "keys", UNTRIED, BY_SIGSYS, keys, 0, NULL },
	{ "immutable flag of a passed file", REFUSED, BY_SIGSYS, foreign_ioctl, 0x40086602, NULL },
	{ "freeze the file system of a passed file", EPERM, BY_SIGSYS, foreign_ioctl, 0xc0045877, NULL },
	{ "make a VM of a passed file", ENOTTY, BY_SIGSYS, foreign_ioctl, 0xae01, NULL },
	{ "type into a terminal", ENOTTY, BY_SIGSYS, foreign_ioctl, 0x5412, NULL },

	{ "memory to write and execute", EACCES, BY_SIGSYS, exec_memory, 0, NULL },
	{ "make memory executable", EACCES, BY_SIGSYS, gain_exec, 0, NULL },
	{ "fill memory", BY_SIGKILL, BY_SIGKILL, fill_memory, 0, NULL },
	{ "lock memory", REFUSED, EPERM, lock_memory, 0, NULL },
	{ "fill the disk", ENOSPC, ENOSPC, fill_disk, 0, make_file },
	{ "fill the disk with names", ENOSPC, BY_SIGSYS, fill_names, 0, NULL },
};
/* clang-format on */
const size_t nattempts = sizeof(attempts) / sizeof(attempts[0]);
