/*
 * What could stand at the end of an unfinished line.
 */
#ifndef ZONE_COMPLETE_H
#define ZONE_COMPLETE_H

#include <stddef.h>

#include "zone/brand.h"
#include "zone/conf.h"

struct zone_complete {
	const struct zone_conf *conf; /* NULL: none yet */
	const struct zone_brand *brand; /* NULL: everything is allowed */
	const struct zone_res *res; /* the open resource, or NULL */
	/* Called with each word that fits; more is to follow after '='. */
	void (*found)(void *arg, const char *word);
	void *arg;
};

/* Returns the length of the word at the end of the line. */
size_t zone_complete(const struct zone_complete *c, const char *line);

#endif
