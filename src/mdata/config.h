/*
 * ZONEPATH/config: where a zone's metadata lies, and whose it is.
 */
#ifndef MDATA_CONFIG_H
#define MDATA_CONFIG_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * The server's user and group: the first above the ranges of the zones
 * (1000000 and 65000 times 65536; zoneadmd/plan.c). It needs no name.
 */
#define MDATA_UID ((uid_t)4260840000U)

/*
 * Open ZONEPATH/config for reading and syncing; zonepath is a descriptor of
 * ZONEPATH. 'make' makes it: mode 0700, the server's, and gives the server back
 * what is in there and somebody has made his own (an editor does). Root only.
 */
int mdata_config_open(int zonepath, bool make, struct error *err);

/* Below ROOT/run/zhyve; names of zones begin with a letter or a digit. */
#define MDATA_FOLDER ".mdata"
#define MDATA_SOCKET "sock"
/*
 * A connection to the server, that does not block. -ENOENT, -ECONNREFUSED:
 * nobody serves; -EAGAIN: it is busy.
 */
int mdata_server_dial(const char *root);

#endif
