/*
 * Files that are being made beside their place: "NAME.new", locked by its
 * maker, so that others know work from a leftover.
 */
#ifndef STORE_HALF_H
#define STORE_HALF_H

#include "base/error.h"

#define HALF ".new" /* what is being made */

/*
 * Open it for reading and writing: empty, and ours as long as it is open.
 * -EBUSY: another has it.
 */
int half_open(const char *path, struct error *err);

#endif
