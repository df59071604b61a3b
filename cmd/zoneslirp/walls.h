/*
 * The walls of zoneslirp.
 */
#ifndef ZONESLIRP_WALLS_H
#define ZONESLIRP_WALLS_H

#include <sys/types.h>

#include "base/error.h"

/* As user uid (0: as it is) from now on. As jail_service_enter(). */
int slirp_confine(uid_t uid, struct error *err);

#endif
