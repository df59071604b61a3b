/*
 * A zone's metadata.json (docs/metadata.md): read whole, changed whole,
 * replaced at once and synced. Used by the server, for guests, and by vmadm.
 * Keys: 1..MDATA_KEY_MAX bytes of UTF-8 without control characters; at most
 * MDATA_KEYS_MAX keys and MDATA_TOTAL_MAX bytes together.
 */
#ifndef MDATA_DATA_H
#define MDATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"

#define MDATA_KEYS_MAX 1024
#define MDATA_TOTAL_MAX (1024 * 1024)

enum mdata_map { MDATA_CUSTOMER, MDATA_INTERNAL };

struct mdata_data;

/* dir: ZONEPATH/config. An absent file is an empty one. -EINVAL: damaged. */
int mdata_data_load(int dir, struct mdata_data **ret, struct error *err);
void mdata_data_free(struct mdata_data *d); /* NULL is allowed */
/* NULL: not there. Borrowed until the next change. */
const char *mdata_data_get(const struct mdata_data *d, enum mdata_map map,
    const char *key, size_t *ret_n);
/* value NULL removes. -E2BIG, -EINVAL. */
int mdata_data_set(struct mdata_data *d, enum mdata_map map, const char *key,
    const char *value, size_t n, struct error *err);
/* Each key in its order. */
int mdata_data_each(const struct mdata_data *d, enum mdata_map map,
    int (*fn)(void *arg, const char *key, const char *value, size_t n),
    void *arg);
/*
 * Lock, load, change, save: change returns 0 to save, 1 to leave things as they
 * are, or a negative errno. -EBUSY when another writer holds the lock and wait
 * is false. The file keeps mode 0600 and belongs to the owner of the directory.
 */
int mdata_data_update(int dir, bool wait,
    int (*change)(void *arg, struct mdata_data *d, struct error *err),
    void *arg, struct error *err);

#endif
