/*
 * zoneslirp: the user-mode network of one NIC of a zone, outside of the zone's
 * process, which may have no sockets. Its supervisor starts it with one end of
 * a socket pair as descriptor 3; the zone's process has the other one. When
 * that is closed, in whatever way the zone ended, this ends.
 *
 * It says "ready" on standard output once the forwards are listened for and the
 * walls are up, or on standard error why not.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "base/str.h"
#include "unet/unet.h"
#include "walls.h"

#define FRAMES 3

static bool confined;
#if HAS_ASAN
int
__lsan_is_turned_off(void)
{
	return confined;
}
#endif

struct options {
	struct unet_conf conf;
	uid_t uid;
};

static int
usage(void)
{
	fprintf(stderr,
	    "usage: zoneslirp [-l] [-a address/prefix]... [-f forwards]\n"
	    "           [-g gateway]... [-m mtu] [-u uid] zone net\n");
	return 2;
}

static int
fail(const struct error *err)
{
	fprintf(stderr, "%s\n", err->text);
	return 1;
}

static int
set_number(const char *what, uint64_t max, uint64_t *ret, struct error *err)
{
	if (str_to_u64(optarg, 0, max, ret) == 0)
		return 0;
	return error_set(err, EINVAL, "%s '%.32s': not a number below %ju",
	    what, optarg, (uintmax_t)max + 1);
}

static int
set_option(struct options *o, int c, struct error *err)
{
	uint64_t n;
	int rc = 0;

	switch (c) {
	case 'a':
		return unet_conf_address(&o->conf, optarg, err);
	case 'g':
		return unet_conf_gateway(&o->conf, optarg, err);
	case 'f':
		o->conf.hostfwd = optarg;
		return 0;
	case 'l':
		o->conf.loopback = true;
		return 0;
	case 'm':
		if ((rc = set_number("mtu", UNET_MTU_MAX, &n, err)) == 0)
			o->conf.mtu = (unsigned)n;
		return rc;
	default:
		if ((rc = set_number("uid", UINT32_MAX - 1, &n, err)) == 0)
			o->uid = (uid_t)n;
		return rc;
	}
}

static int
check_frames(struct error *err)
{
	int type = 0;
	socklen_t n = sizeof(type);

	if (getsockopt(FRAMES, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	    type == SOCK_SEQPACKET)
		return 0;
	return error_set(err, EINVAL,
	    "descriptor %d: no socket of frames; zoneadmd starts this program",
	    FRAMES);
}

static int
serve(const struct options *o)
{
	struct error err = ERROR_INIT;
	struct unet *un = NULL;
	int rc = check_frames(&err);

	if (rc == 0)
		rc = unet_open(&o->conf, &un, &err);
	if (rc == 0)
		rc = slirp_confine(o->uid, &err);
	if (rc < 0) {
		unet_close(un);
		return fail(&err);
	}
	confined = true;
	if (rc > 0)
		log_warn("slirp", "%s", err.text);
	(void)!write(STDOUT_FILENO, "ready\n", 6);
	rc = unet_serve(un, FRAMES);
	unet_close(un);
	if (rc == 0)
		return 0;
	log_err("slirp", "the network stopped: error %d", -rc);
	return 1;
}

int
main(int argc, char **argv)
{
	struct options o = { .uid = 0 };
	struct error err = ERROR_INIT;
	int c;

	close_range(FRAMES + 1, ~0U, 0);
	/* a supervisor that is gone reads no log, and takes nobody with it */
	signal(SIGPIPE, SIG_IGN);
	(void)setsid();
	unet_conf_init(&o.conf);
	while ((c = getopt(argc, argv, "a:f:g:lm:u:")) != -1) {
		if (c == '?')
			return usage();
		if (set_option(&o, c, &err) < 0)
			return fail(&err);
	}
	if (argc - optind != 2)
		return usage();
	if (unet_conf_settle(&o.conf, &err) < 0)
		return fail(&err);
	return serve(&o);
}
