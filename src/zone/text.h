/*
 * A configuration as text: the statements that make it, and what 'info' shows.
 */
#ifndef ZONE_TEXT_H
#define ZONE_TEXT_H

#include "base/buf.h"
#include "zone/conf.h"

#define ZONE_TEXT_MAX (64U << 20) /* a limit for the buffers of these */

/*
 * Append the statements that make this configuration, "create -b" first. Read
 * back they make an equal one. Errors stick to the buffer.
 */
void zone_export(const struct zone_conf *conf, struct buf *b);

/* Append what 'info' shows: all, one resource, one global property. */
void zone_info(const struct zone_conf *conf, struct buf *b);
void zone_info_res(const struct zone_res *res, struct buf *b);
void zone_info_prop(
    const struct zone_conf *conf, const struct zone_prop *p, struct buf *b);

#endif
