/*
 * What a zone's supervisor needs to know for one boot: configuration, brand and
 * platform, as one list. It is made by a program of its own (zonesnap), so
 * that the supervisor, which stays, reads no XML.
 *
 *   name, uuid, brand, ip_type, zonepath, initname, bootargs   string
 *   did          uint64      the zone's number, for life
 *   hooks        nvlist      element: template (zone/hook.h)
 *   mounts       nvlist[]    kind ("bind", "tmpfs", "device", "symlink"),
 *                            what, where, opt: string, %z and %R filled in
 *   limits       nvlist      cpu_shares, cpu_cap, physical, locked, swap,
 *                            lwps, processes, io_weight: uint64; absent: none
 *   limitpriv    string      absent: the default
 *   privs        nvlist[]    set uint64 (enum zone_priv_set), name string
 */
#ifndef ZONE_SNAP_H
#define ZONE_SNAP_H

#include "base/buf.h"
#include "base/error.h"
#include "base/nvlist.h"
#include "zone/conf.h"
#include "zone/store.h"

#define ZONE_SNAP_MAX (1U << 20) /* bytes of a packed one */

/*
 * Choose what nobody chose (zone/assign.h) and save it; read and verify the
 * zone's configuration and make the list; xml receives the configuration as
 * text.
 */
int zone_snap_make(struct zone_store *store, const char *brands,
    const char *name, struct nvlist **ret, struct buf *xml, struct error *err);

/* The "limits" of a configuration alone; the caller frees them. */
int zone_snap_limits(const struct zone_conf *conf, struct nvlist **ret);

#endif
