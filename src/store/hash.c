/*
 * Digests, by libcrypto: it knows the processor's own instructions for them.
 */
#include "store/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

struct hash {
	EVP_MD_CTX *ctx;
	bool failed;
};

struct hash *
hash_new(const char *name)
{
	struct hash *h = alloc_zero(1, sizeof(*h));
	const EVP_MD *md = EVP_get_digestbyname(name);

	if (h == NULL || md == NULL || (h->ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(h->ctx, md, NULL) != 1) {
		hash_free(h);
		return NULL;
	}
	return h;
}

void
hash_free(struct hash *h)
{
	if (h != NULL)
		EVP_MD_CTX_free(h->ctx);
	free(h);
}

void
hash_add(struct hash *h, const void *data, size_t n)
{
	if (EVP_DigestUpdate(h->ctx, data, n) != 1)
		h->failed = true;
}

int
hash_text(struct hash *h, char text[static HASH_TEXT])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (h->failed || EVP_DigestFinal_ex(h->ctx, sum, &n) != 1 ||
	    2 * n >= HASH_TEXT)
		return -EIO;
	for (unsigned i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", sum[i]);
	return 0;
}
