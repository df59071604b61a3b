/*
 * ROOT/run/zhyve/events: what happened to the zones of a host, a JSON object a
 * line:
 *
 *   {"time":"2026-11-22T17:14:29.123456Z","zone":"web","uuid":"...",
 *    "event":"state","from":"ready","to":"running","cause":"boot"}
 *   {..., "event":"exit","cause":"guest power-off","status":"1"}
 *   {..., "event":"link","net":"net0","cause":"mac 3, arp 1"}  frames dropped
 *
 * Lines are whole, whoever writes at the same time. At 1 MiB the file becomes
 * events.0 and a new one begins.
 */
#ifndef ZONE_EVENT_H
#define ZONE_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define ZONE_EVENT_MAX (1U << 20) /* bytes of a file */

/* Texts; NULL: left out. */
struct zone_event {
	const char *zone, *uuid, *event, *net, *from, *to, *cause, *status;
};
int zone_event_write(
    const char *root, const struct zone_event *ev, struct error *err);

/* ".../events", and the file that it was before. */
int zone_event_path(const char *root, bool old, char *buf, size_t size);

/* Append "text" as JSON, with the quotes. */
void zone_json_str(struct buf *b, const char *text);
/* Append the time now, "2026-11-22T17:14:29.123456Z". */
void zone_time_str(struct buf *b);

#endif
