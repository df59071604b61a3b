/*
 * Boot arguments that are about the machine and hold for one boot:
 *
 *   zhyve.cdrom=PATH[,MODEL]   one more CD, tried first by the firmware
 *   zhyve.disk=PATH[,MODEL]    one more disk
 *   zhyve.order=LIST           what the firmware tries: disk, cdrom, with
 *                              commas between, or the letters c and d
 */
#ifndef BHYVE_ONCE_H
#define BHYVE_ONCE_H

#include "base/error.h"
#include "zone/conf.h"

/*
 * Take those words out of args (NULL-terminated) and put what they say into
 * *conf, which becomes another one: the old one is freed.
 */
int once_apply(struct zone_conf **conf, char **args, struct error *err);

#endif
