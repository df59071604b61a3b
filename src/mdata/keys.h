/*
 * Which key is what, and what a guest gets for it: the facts of its zone
 * ("sdc:" keys, from the supervisor) and its metadata.json (mdata/data.h).
 * Source: the data dictionary of Triton's mdata-docs, and what its agent does
 * (docs/metadata.md has the table). "sdc:" names are given by an explicit list;
 * nothing of internal_metadata but what is listed here can be asked for.
 *
 * One thread, but for mdata_keys_busy(). Notes name keys, never values. Memory:
 * what was read of a file is kept for further requests; of files above 64 KiB,
 * those of 16 zones at most.
 */
#ifndef MDATA_KEYS_H
#define MDATA_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdata/session.h"

enum mdata_class {
	MDATA_KEY_SDC, /* of the host; never listed, never changed */
	MDATA_KEY_CUSTOMER,
	MDATA_KEY_OPERATOR, /* customer's to read; guests may not change it */
	MDATA_KEY_PW, /* ends with _pw: internal, the guest's own */
	MDATA_KEY_NAMESPACE, /* internal by its prefix; guests may not change it
			      */
};
/* namespaces: prefixes that are internal, without their colon. */
enum mdata_class
mdata_key_class(const char *key, const char *const *namespaces, size_t n);

struct mdata_keys;

/*
 * dir: ZONEPATH/config, borrowed. uuid is given for sdc:uuid until there are
 * facts. NULL: out of memory.
 */
struct mdata_keys *mdata_keys_create(const char *uuid, int dir);
void mdata_keys_free(struct mdata_keys *k); /* NULL is allowed */
/*
 * Take facts in place of the former ones: "sdc:NAME" and their values, both
 * copied. Names that are not in our list are kept back. A value that is an
 * array or an object is JSON. sdc:internal_metadata_namespaces is for us. 0 or
 * -ENOMEM.
 */
int mdata_keys_facts(struct mdata_keys *k, const char *const *names,
    const char *const *values, size_t n);
/*
 * For the operator: which key a guest changed, what could not be read. At most
 * 10 at once, then one in ten seconds. text: borrowed, no value is in it.
 */
void mdata_keys_on_note(
    struct mdata_keys *k, void (*note)(void *arg, const char *text), void *arg);
/* Look for a changed file with the next request; forget what was read. */
void mdata_keys_forget(struct mdata_keys *k);
/*
 * Between true and false a request may be made on one other thread, and nothing
 * else is called; notes are made at the end.
 */
void mdata_keys_busy(struct mdata_keys *k, bool busy);
/* How often the guest has asked for a change, whatever came of it. */
uint64_t mdata_keys_writes(const struct mdata_keys *k);

/* For mdata_session_create(), with a struct mdata_keys. */
extern const struct mdata_ops mdata_keys_ops;

#endif
