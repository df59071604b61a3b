/*
 * What is different between two configurations of a zone, in words: of one that
 * runs, and the one that it will have after its next boot.
 */
#ifndef ZONE_DIFF_H
#define ZONE_DIFF_H

#include "zone/conf.h"

/*
 * A resource that came, went or has other values. was, is: NULL when it is not
 * there. prop: what is another, NULL for the whole resource. Both are the
 * global scope for its properties. Aliases of resource controls are left to
 * their rctl.
 */
struct zone_diff {
	const struct zone_res *was, *is;
	const struct zone_prop *prop;
};
typedef void (*zone_diff_fn)(void *arg, const struct zone_diff *diff);
/* In the order of the table of resources. */
void zone_conf_diff(const struct zone_conf *was, const struct zone_conf *is,
    zone_diff_fn fn, void *arg);

/* "net net0: maxbw", "disk /d: added", "global cpu-shares"; cut to size */
void zone_diff_text(const struct zone_diff *diff, char *buf, size_t size);

#endif
