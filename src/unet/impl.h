/*
 * What the files of unet/ share: the library, found at run time.
 */
#ifndef UNET_IMPL_H
#define UNET_IMPL_H

#include <slirp/libslirp.h>
#include <stddef.h>
#include <stdint.h>

#include "unet/unet.h"

struct unet_lib {
	void *handle;
	__typeof__(slirp_new) *create;
	__typeof__(slirp_cleanup) *cleanup;
	__typeof__(slirp_input) *input;
	__typeof__(slirp_pollfds_fill) *fill;
	__typeof__(slirp_pollfds_poll) *poll;
	__typeof__(slirp_add_hostfwd) *add_hostfwd;
};

int unet_lib_open(struct unet_lib *lib, struct error *err);
void unet_lib_close(struct unet_lib *lib);
/* Listen for each of "proto:addr:port-guestaddr:port;...". */
int unet_forward(const struct unet_lib *lib, Slirp *slirp, const char *list,
    struct in_addr guest, struct error *err);
/*
 * May a frame of the guest go to the library? Not one to an address that means
 * this host itself (127.0.0.0/8, 0.0.0.0/8, ::1, ::, IPv4 in IPv6), nor to any
 * port of the name server but its own.
 */
bool
unet_may_pass(const struct unet_conf *conf, const uint8_t *frame, size_t len);

#endif
