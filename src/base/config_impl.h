/*
 * Inside of config*.c only: the node and what the three files share.
 */
#ifndef BASE_CONFIG_IMPL_H
#define BASE_CONFIG_IMPL_H

#include "base/config.h"

/* The root is a list, so a packed tree stays within the nvlist's limit. */
#define CONFIG_MAX_DEPTH NVLIST_MAX_DEPTH
#define CONFIG_MAX_NAME 1024 /* full dotted name, NUL included */
#define CONFIG_MAX_CHILDREN 4096 /* keeps linear look-ups cheap */
#define CONFIG_MAX_VALUE 65536 /* after expansion */

struct config_node {
	struct config_node *parent; /* NULL: the root */
	struct config_node *next;
	struct config_node *first;
	struct config_node *last;
	unsigned nchildren;
	char *value; /* NULL: a node */
	char name[];
};

const struct config_node *config_root(const struct config_node *node);
/* The child itself, value or node. */
struct config_node *
config_child(const struct config_node *node, const char *name, size_t len);
/* The value or node at a path; NULL when absent. */
struct config_node *
config_lookup(const struct config_node *node, const char *path);
/* Full name of "path" below node into buf. */
const char *config_join(
    const struct config_node *node, const char *path, char *buf, size_t size);

/*
 * Append the expansion of text to b. name: full name of the setting, for the
 * error.
 */
int config_expand(const struct config_node *node, const char *name,
    const char *text, struct buf *b, struct error *err);

#endif
