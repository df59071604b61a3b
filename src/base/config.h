/*
 * bhyve's configuration tree, bhyve_config(5): names separated by dots, each
 * either a node or a text value ("pci.0.4.0.device" = "virtio-blk"). Options
 * write it, then it is checked against the key tables and frozen, and the
 * machine is built from it alone.
 *
 * Values may refer to others: %(name) expands, name counted from the root; %%
 * is a per cent sign, and so is a % before anything else. A reference to a name
 * that is not set is an error; defaults of key tables do not count as set.
 *
 * Limits: 16 words and 1023 characters a name, 4096 children a node, 64 KiB a
 * value (expanded as well). Values hold no control characters but tabs.
 *
 * Not thread-safe; used before the guest starts.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/nvlist.h"

struct config_node;

enum config_type {
	CONFIG_STRING,
	CONFIG_BOOL,
	CONFIG_UINT, /* 'range' is "min..max" or NULL */
	CONFIG_SIZE, /* bytes, with K M G T suffixes; see 'unit' */
	CONFIG_ENUM, /* 'range' is "a|b|c" */
	CONFIG_MAC,
	CONFIG_UUID,
	CONFIG_PATH,
};

/*
 * One row of a key table. The table gives checking, defaults, the -h text and
 * the manual's list. name is relative to the table's node; '*' stands for one
 * decimal number or identifier ("port.*.name").
 */
struct config_key {
	const char *name;
	enum config_type type;
	const char *dflt; /* as text; NULL = none */
	const char *range;
	uint64_t unit; /* CONFIG_SIZE: bytes a bare number counts; 0 = 1 */
	const char *help; /* one line, no full stop */
};

struct config_node *config_create(void); /* root; NULL when out of memory */
void config_free(struct config_node *root);

/* Set a value; makes the nodes on the way. Refuses a name that is a node. */
int config_set(struct config_node *node, const char *path, const char *value,
    struct error *err);
/* "name=value", as -o and a line of a -k file give it. */
int config_set_assignment(
    struct config_node *node, const char *text, struct error *err);
/*
 * Lines of name=value; blanks around either are cut off, empty lines and lines
 * that begin with '#' are skipped. Errors begin with "file:line: ". What was
 * read before the bad line stays set.
 */
int
config_load_file(struct config_node *node, const char *file, struct error *err);
/* Remove a value, or a node with all below it; -ENOENT. */
int config_unset(struct config_node *node, const char *path);
/* Find or make a node. NULL: out of memory, or the name is a value. */
struct config_node *
config_make_node(struct config_node *node, const char *path);
struct config_node *
config_find_node(const struct config_node *node, const char *path);

/* The text as set, unexpanded; NULL when absent. Borrowed. */
const char *config_get_raw(const struct config_node *node, const char *path);

/*
 * Typed reads. The key must be in the table given; an absent value yields the
 * row's default. Expansion is done here. -ENOENT: absent and no default.
 * Errors name the full path and the value.
 */
int
config_get_str(const struct config_node *node, const struct config_key *keys,
    const char *path, char **ret, struct error *err); /* caller frees */
int
config_get_bool(const struct config_node *node, const struct config_key *keys,
    const char *path, bool *ret, struct error *err);
/* CONFIG_UINT and CONFIG_SIZE; CONFIG_ENUM yields the alternative's index. */
int
config_get_uint(const struct config_node *node, const struct config_key *keys,
    const char *path, uint64_t *ret, struct error *err);

/* Children in order of creation: pass NULL first. */
const struct config_node *
config_next(const struct config_node *parent, const struct config_node *child);
const char *config_name(const struct config_node *node);
bool config_is_value(const struct config_node *node);
/* Full dotted name into buf; returns buf. */
const char *config_path(const struct config_node *node, char *buf, size_t size);

/*
 * Check every value below node against the tables (a NULL-terminated array of
 * tables, each ended by a row without a name): unknown names are refused with
 * the nearest known one, values with their type and range. Subtrees named in
 * 'skip' (NULL-terminated, may be NULL, '*' as in key names) are left to their
 * owner's check.
 */
int config_check(const struct config_node *node,
    const struct config_key *const *tables, const char *const *skip,
    struct error *err);

/*
 * "name=value" lines of all values below node, with full names, sorted by byte
 * values (as LC_ALL=C sort), expanded. -ENOENT, -ELOOP and so on when a value
 * does not expand (config_check() has the message); b's length is then
 * unchanged.
 */
int config_dump(const struct config_node *node, struct buf *b);
/*
 * The tree as a list, values unexpanded, and back: from_nvlist adds to what
 * node has. Empty nodes survive.
 */
int config_to_nvlist(const struct config_node *node, struct nvlist **ret);
int config_from_nvlist(
    struct config_node *node, const struct nvlist *nvl, struct error *err);

#endif
