/*
 * The zones of a host: ROOT/etc/zones/index and ROOT/etc/zones/NAME.xml.
 *
 * Files are replaced whole and at once, so reading needs no lock and a crash
 * leaves the old or the new. Everything that changes the index holds an open
 * file description lock on ROOT/etc/zones/.lock meanwhile.
 */
#ifndef ZONE_STORE_H
#define ZONE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "zone/conf.h"

/* number, name; the first three are kept in the index, the others are live */
#define ZONE_STATES(X)                    \
	X(CONFIGURED, "configured")       \
	X(INCOMPLETE, "incomplete")       \
	X(INSTALLED, "installed")         \
	X(READY, "ready")                 \
	X(RUNNING, "running")             \
	X(SHUTTING_DOWN, "shutting_down") \
	X(DOWN, "down")                   \
	X(MOUNTED, "mounted")

enum zone_state {
#define X(id, name) ZONE_STATE_##id,
	ZONE_STATES(X)
#undef X
};
const char *zone_state_name(enum zone_state state);
int zone_state_parse(const char *name, enum zone_state *ret); /* -EINVAL */

/* ---- the index ---- */

#define ZONE_UUID_LEN 36

struct zone_entry {
	char name[ZONE_NAME_MAX + 1];
	enum zone_state state;
	char uuid[ZONE_UUID_LEN + 1]; /* "" when there is none */
	char *path; /* zonepath */
};
struct zone_index;

/*
 * Read a text. Lines that are comments, too long, or of an unknown state are
 * passed over, and kept when the index is written.
 */
struct zone_index *zone_index_parse(const char *text, size_t len);
void zone_index_free(struct zone_index *ix); /* NULL is allowed */
size_t zone_index_count(const struct zone_index *ix);
const struct zone_entry *zone_index_at(const struct zone_index *ix, size_t i);
const struct zone_entry *
zone_index_find(const struct zone_index *ix, const char *name);
const struct zone_entry *
zone_index_find_uuid(const struct zone_index *ix, const char *uuid);
/*
 * Add an entry, or replace that of old_name (NULL: none). 'global' is never
 * touched: -EPERM.
 */
int zone_index_put(struct zone_index *ix, const char *old_name,
    const struct zone_entry *entry);
int zone_index_remove(struct zone_index *ix, const char *name);
void zone_index_write(const struct zone_index *ix, struct buf *b);

/* ---- the store ---- */

struct zone_store;

/* root: NULL or "" for the host itself. Nothing is opened or made yet. */
int
zone_store_open(const char *root, struct zone_store **ret, struct error *err);
void zone_store_close(struct zone_store *store); /* NULL is allowed */
const char *zone_store_root(const struct zone_store *store);

/* The index as it is now; an absent file is an empty one. */
int zone_store_index(
    const struct zone_store *store, struct zone_index **ret, struct error *err);
/*
 * Read NAME.xml. -ENOENT: there is none. text (may be NULL) receives the file's
 * bytes, for zone_store_save(). A template may call itself anything.
 */
int zone_store_load(const struct zone_store *store, const char *name,
    bool template, struct zone_conf **ret, struct buf *text, struct error *err);
/*
 * A further file of ROOT/etc/zones, as it is: 0, -ENOENT, ... At most b->max
 * bytes.
 */
int zone_store_read(
    const struct zone_store *store, const char *file, struct buf *b);
/* Read a configuration from any file. */
int zone_conf_load_file(const char *path, struct zone_conf **ret,
    struct buf *text, struct error *err);

/*
 * Write a configuration, which the caller has verified, and its index entry.
 * old_name: the zone that it was read as (its name may have changed since);
 * NULL for a new one, whose name must be free (-EEXIST). base: the bytes that
 * it was read from; -EBUSY when the file has changed since (NULL: replace
 * whatever is there). A zone that is not just configured keeps brand and
 * zonepath (-EPERM). The zone's number (debugid) is given here, and set in
 * conf.
 */
int zone_store_save(struct zone_store *store, const char *old_name,
    struct zone_conf *conf, const struct buf *base, struct error *err);
/*
 * The same for a zone whose data its caller has moved: the zonepath may be
 * another, whatever the state.
 */
int zone_store_move(struct zone_store *store, struct zone_conf *conf,
    const struct buf *base, struct error *err);
/*
 * Does another zone than 'name' have this zonepath or UUID? -EEXIST: the error
 * says which. Configurations may (one is often made of another); installing may
 * not.
 */
int zone_store_conflict(const struct zone_store *store, const char *name,
    const struct zone_conf *conf, struct error *err);
/*
 * Does a zone that is installed, other than 'name', have the Ethernet address
 * of one of conf's nets? -EEXIST: the error says which zone and net.
 */
int zone_store_macs(const struct zone_store *store, const char *name,
    const struct zone_conf *conf, struct error *err);
/* Register a NAME.xml that is there already. */
int zone_store_register(
    struct zone_store *store, const char *name, struct error *err);
/* -EBUSY unless the zone is in state configured. */
int zone_store_delete(
    struct zone_store *store, const char *name, struct error *err);
/*
 * Change a state in the index (one of the first three). Leaving 'configured'
 * gives the zone a UUID unless its configuration pins one; below 'installed' a
 * UUID that is not pinned is forgotten.
 */
int zone_store_set_state(struct zone_store *store, const char *name,
    enum zone_state state, struct error *err);

#endif
