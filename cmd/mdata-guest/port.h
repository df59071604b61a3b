/*
 * The port that the metadata service is on: a serial line, or a UNIX socket in
 * a container.
 */
#ifndef MDATA_GUEST_PORT_H
#define MDATA_GUEST_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct port {
	const char *path;
	bool serial;
	int fd; /* -1: closed */
};

/* path NULL: the socket of a container, if there is one, or /dev/ttyS1. */
int port_find(struct port *port, const char *path, struct error *err);
/*
 * Open, without blocking. A serial line is locked (one program at a time;
 * waited for until the time 'until', -ETIMEDOUT then) and made raw. It stays
 * raw: in another mode it would send the host's own words back to it.
 */
int port_open(struct port *port, uint64_t until, struct error *err);
/* Again: another program may have changed it. */
int port_make_raw(struct port *port, struct error *err);
void port_close(struct port *port);
uint64_t port_now(void); /* ns */

#endif
