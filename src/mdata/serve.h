/*
 * The server: supervisors hand over their zones (docs/metadata.md has the
 * messages), each on a connection of its own, and each is served until that
 * connection ends. What one zone, its guest or its supervisor does is no other
 * zone's matter.
 *
 * All functions are the loop's thread's; files of zones are looked at by
 * threads of its own (base/work.h), so that a disk that hangs stops the zones
 * on it and no other. Opens nothing: all it has was handed over.
 */
#ifndef MDATA_SERVE_H
#define MDATA_SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mevent.h"

#define MDATA_SERVE_MAX 8192 /* connections */
#define MDATA_SERVE_THREADS 1024 /* zones that may hang, and others go on */

struct mdata_server;

struct mdata_server_conf {
	struct mevent_loop *loop;
	int listen; /* SOCK_SEQPACKET, listening; borrowed */
	uid_t uid; /* who may connect */
	unsigned threads; /* at most, besides the loop's; 0: none */
	/* End the loop this long after the last connection; 0: never. */
	uint64_t linger_ns;
};

int mdata_server_create(const struct mdata_server_conf *conf,
    struct mdata_server **ret, struct error *err);
void mdata_server_free(struct mdata_server *s); /* NULL is allowed */

#endif
