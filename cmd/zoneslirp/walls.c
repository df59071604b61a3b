/*
 * What is left to a libslirp that a guest has taken over: connections out, as a
 * user that owns nothing. No file but the resolver's, no listening socket that
 * was not there before, no other family of sockets, no other process.
 *
 * The calls, besides those of any service, are those that the library (4.7),
 * glib and the loop make; found by reading and tracing.
 */
#include "walls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/sanitize.h"
#include "base/str.h"
#include "jail/service.h"

#define NUMBER UINT32_MAX
#define YES ANSWER_YES
#define NOFILE 1024 /* connections of one guest, more or less */
#define DATA (HAS_ASAN ? 0 : 256 * MiB)
#define RESOLVER "/etc/resolv.conf"

/* clang-format off */
static const struct lock_rule rules[] = {
	{ "poll", 0, YES },
	{ "ppoll", 0, YES },
	{ "recvfrom", 0, YES },
	{ "sendto", 0, YES },
	{ "readv", 0, YES },
	{ "writev", 0, YES },
	/* connections */
	{ "socket", 0, YES, { 0, NUMBER, AF_INET }, "AF_INET" },
	{ "socket", 0, YES, { 0, NUMBER, AF_INET6 }, "AF_INET6" },
	{ "connect", 0, YES },
	{ "accept", 0, YES },
	{ "shutdown", 0, YES },
	{ "getsockname", 0, YES },
	{ "getpeername", 0, YES },
	{ "getsockopt", 0, YES },
	{ "setsockopt", 0, YES, { 1, NUMBER, SOL_SOCKET }, "SOL_SOCKET" },
	{ "setsockopt", 0, YES, { 1, NUMBER, IPPROTO_TCP }, "IPPROTO_TCP" },
	{ "setsockopt", 0, YES, { 1, NUMBER, IPPROTO_IP }, "IPPROTO_IP" },
	{ "setsockopt", 0, YES, { 1, NUMBER, IPPROTO_IPV6 }, "IPPROTO_IPV6" },
	{ "fcntl", 0, YES, { 1, NUMBER, F_GETFD }, "F_GETFD" },
	{ "fcntl", 0, YES, { 1, NUMBER, F_SETFD }, "F_SETFD" },
	{ "ioctl", 0, YES, { 1, NUMBER, FIONREAD }, "FIONREAD" },
	{ "ioctl", 0, YES, { 1, NUMBER, FIONBIO }, "FIONBIO" },
	/* what libraries try in passing */
	{ "socket", 0, ANSWER_EPERM, { 0, NUMBER, AF_UNIX }, "AF_UNIX" },
	{ "ioctl", 0, ANSWER_ENOTTY, { 1, NUMBER, TCGETS }, "TCGETS" },
	{ "bind", 0, ANSWER_EPERM },
	{ "listen", 0, ANSWER_EPERM },
	/* the resolver's file; Landlock says which */
	{ "openat", 0, YES, { 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY }, "to read" },
	{ "stat", 0, YES },
	{ "lseek", 0, YES },
	/* time, memory, the C library */
	{ "gettimeofday", 0, YES },
	{ "madvise", 0, YES, { 2, NUMBER, MADV_FREE }, "MADV_FREE" },
	{ "madvise", 0, YES, { 2, NUMBER, MADV_HUGEPAGE }, "MADV_HUGEPAGE" },
	{ "madvise", 0, YES, { 2, NUMBER, MADV_NOHUGEPAGE }, "MADV_NOHUGEPAGE" },
};
/* clang-format on */

/*
 * The resolver's file is often a link to one that a daemon of the host replaces
 * as the network changes, in a folder that holds nothing else. Not /etc: if it
 * lies there, it is that one file, as it is now.
 */
static void
find_resolver(char buf[PATH_MAX])
{
	char *slash;

	if (realpath(RESOLVER, buf) == NULL) {
		strcpy(buf, RESOLVER);
		return;
	}
	slash = strrchr(buf, '/');
	if (strncmp(buf, "/run/", 5) == 0 && slash > buf + 4)
		*slash = '\0';
}

int
slirp_confine(uid_t uid, struct error *err)
{
	char resolver[PATH_MAX];
	const char *const readable[] = { resolver, NULL };
	const struct jail_service walls = {
		.uid = uid,
		.nofile = NOFILE,
		.fsize = 64 * KiB, /* the filter, on its way to the kernel */
		.data = DATA,
		.host = true,
		.keep = { .readable = readable, .connect = true },
		.calls = rules,
		.ncalls = ARRAY_LEN(rules),
	};

	find_resolver(resolver);
	return jail_service_enter(&walls, err);
}
