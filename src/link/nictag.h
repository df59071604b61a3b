/*
 * NIC tags: names that an operator gives to the places where links can be
 * attached. File and kinds: docs/network.md.
 */
#ifndef LINK_NICTAG_H
#define LINK_NICTAG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define NICTAG_NAME_MAX 31 /* letters, digits, . _ */
#define NICTAGS_MAX 256

#define NICTAG_KINDS(X)     \
	X(BRIDGE, "bridge") \
	X(LINK, "link")     \
	X(STUB, "stub")

enum nictag_kind {
#define X(id, name) NICTAG_##id,
	NICTAG_KINDS(X)
#undef X
};

struct nictag {
	char name[NICTAG_NAME_MAX + 1];
	enum nictag_kind kind;
	char target[16]; /* the host's interface; "-" for a stub */
	unsigned mtu; /* 576..9216; 0: the target's */
};
struct nictags {
	struct nictag *v;
	size_t n;
};

const char *nictag_kind_name(enum nictag_kind kind);
bool nictag_name_ok(const char *name);
int nictag_check(const struct nictag *tag, struct error *err);
/* Name of the bridge that zones are attached to. */
void nictag_bridge(const struct nictag *tag, char ret[16]);

/* A file's text; path: what errors call it. */
int nictags_parse(
    const char *text, const char *path, struct nictags *ret, struct error *err);
/* root: as of the zones' store. An absent file is an empty one. */
int nictags_read(const char *root, struct nictags *ret, struct error *err);
void nictags_free(struct nictags *tags);
const struct nictag *nictags_find(const struct nictags *tags, const char *name);
/* add -EEXIST, delete -ENOENT, update; under the lock, replaced at once. */
int nictag_add(const char *root, const struct nictag *tag, struct error *err);
int
nictag_update(const char *root, const struct nictag *tag, struct error *err);
int nictag_delete(const char *root, const char *name, struct error *err);

/*
 * Hold until closed: the file and the bridges that belong to tags are changed
 * by one at a time. A descriptor; -EBUSY after some seconds.
 */
int nictags_lock(const char *root, struct error *err);

#endif
