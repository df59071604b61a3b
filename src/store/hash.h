/*
 * Digests of streams, as their hexadecimal text.
 */
#ifndef STORE_HASH_H
#define STORE_HASH_H

#include <stddef.h>

#define HASH_TEXT 65 /* of sha256, with its NUL */

struct hash;
/*
 * "sha256", "sha1", "xxh128". The last finds damage, ten times as fast, but no
 * ill will. NULL: out of memory, or no such digest.
 */
struct hash *hash_new(const char *name);
void hash_free(struct hash *h); /* NULL is allowed */
void hash_add(struct hash *h, const void *data, size_t n);
/* Once, at the end. 0 or -EIO. */
int hash_text(struct hash *h, char text[static HASH_TEXT]);

#endif
