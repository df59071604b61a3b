/*
 * The server's walls: jail/service.h with what it needs left.
 */
#ifndef MDATA_WALLS_H
#define MDATA_WALLS_H

#include "base/error.h"

/* As jail_service_enter(). */
int mdata_walls_enter(struct error *err);

#endif
