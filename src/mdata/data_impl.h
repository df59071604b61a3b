/*
 * A JSON file in the zone's config folder, read with the care that a folder of
 * somebody else's needs.
 */
#ifndef MDATA_DATA_IMPL_H
#define MDATA_DATA_IMPL_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

/*
 * Read name whole: a regular file of at most max bytes that holds an object. An
 * absent or empty file is an empty one. -EINVAL: damaged.
 */
int mdata_json_read(
    int dir, const char *name, size_t max, json_t **ret, struct error *err);
/* Numbers and booleans as a guest gets them; a new string. NULL: neither. */
json_t *mdata_json_text(const json_t *v);

#endif
