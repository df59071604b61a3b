/*
 * Taps, by the ioctls of tun and bridge (Linux: Documentation/networking/
 * tuntap.rst, bridge.rst).
 */
#include "link/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/sockios.h>

#include "base/fd.h"
#include "base/str.h"

static void
request_for(struct ifreq *ifr, const char *name)
{
	*ifr = (struct ifreq){ 0 };
	str_format(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
}

/* first: the interface must not be there (another's queues could be joined) */
static int
open_queue(
    const char *name, bool multi, bool first, int *ret, struct error *err)
{
	cleanup_close int fd =
	    open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr;

	if (fd == -1)
		return error_sys(err, errno, "/dev/net/tun");
	request_for(&ifr, name);
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
	    (multi ? IFF_MULTI_QUEUE : 0) | (first ? IFF_TUN_EXCL : 0));
	if (ioctl(fd, TUNSETIFF, &ifr) == -1) {
		if (errno == EBUSY || errno == EEXIST)
			return error_set(err, EEXIST,
			    "interface %s is there already: another zone's, or "
			    "left over; remove it with 'ip link delete %s'",
			    name, name);
		return error_sys(err, errno, "cannot make tap %s", name);
	}
	*ret = fd;
	fd = -1;
	return 0;
}

static int
attach(int sock, const struct link_tap *tap, struct error *err)
{
	struct ifreq ifr;

	if (tap->bridge == NULL)
		return 0;
	request_for(&ifr, tap->bridge);
	ifr.ifr_ifindex = (int)if_nametoindex(tap->name);
	if (ioctl(sock, SIOCBRADDIF, &ifr) == 0)
		return 0;
	if (errno == ENODEV)
		return error_set(err, ENODEV,
		    "global-nic: there is no bridge '%s'; make it with 'ip "
		    "link add %s type bridge'",
		    tap->bridge, tap->bridge);
	if (errno == EOPNOTSUPP || errno == EINVAL)
		return error_set(
		    err, EINVAL, "global-nic: '%s' is no bridge", tap->bridge);
	return error_sys(err, errno, "cannot attach %s to bridge %s", tap->name,
	    tap->bridge);
}

static int
set_up(int sock, const struct link_tap *tap, struct error *err)
{
	struct ifreq ifr;

	request_for(&ifr, tap->name);
	ifr.ifr_mtu = (int)tap->mtu;
	if (tap->mtu != 0 && ioctl(sock, SIOCSIFMTU, &ifr) == -1)
		return error_sys(
		    err, errno, "%s: cannot set MTU %u", tap->name, tap->mtu);
	request_for(&ifr, tap->name);
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) == -1)
		return error_sys(err, errno, "%s", tap->name);
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) == -1)
		return error_sys(err, errno, "%s: cannot set up", tap->name);
	return 0;
}

int
link_tap_queues(const char *name, unsigned queues, int *fds, struct error *err)
{
	unsigned n = 0;
	int rc = 0;

	if (name[0] == '\0' || strlen(name) > LINK_NAME_MAX)
		return error_set(err, EINVAL,
		    "'%s' is no interface name: 1 to %d characters", name,
		    LINK_NAME_MAX);
	if (queues == 0 || queues > LINK_QUEUES_MAX)
		return error_set(err, EINVAL, "%s: %u queues, 1 to %d can be",
		    name, queues, LINK_QUEUES_MAX);
	while (rc == 0 && n < queues) {
		rc = open_queue(name, queues > 1, n == 0, &fds[n], err);
		n += rc == 0;
	}
	while (rc < 0 && n > 0)
		fd_close(&fds[--n]);
	return rc;
}

static int
join(const struct link_tap *tap, struct error *err)
{
	cleanup_close int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (sock == -1)
		return error_sys(err, errno, "%s: socket", tap->name);
	rc = attach(sock, tap, err);
	return rc == 0 ? set_up(sock, tap, err) : rc;
}

int
link_tap_create(const struct link_tap *tap, int *fds, struct error *err)
{
	int rc = link_tap_queues(tap->name, tap->queues, fds, err);

	if (rc < 0)
		return rc;
	rc = join(tap, err);
	for (unsigned i = 0; rc < 0 && i < tap->queues; i++)
		fd_close(&fds[i]);
	return rc;
}
