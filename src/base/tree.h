/*
 * Folders, with what is in them.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* Every folder of the path, 0755 where it is made; the last with mode. */
int tree_make_dirs(const char *path, mode_t mode, struct error *err);
/*
 * Remove a folder and everything in it, without leaving it or its device; 0 if
 * there is none.
 */
int tree_remove(const char *path, struct error *err);

/* Is nothing in the folder, or is it not there at all? */
bool tree_is_empty(const char *path);

#endif
