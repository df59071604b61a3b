/*
 * Digests: by libcrypto, which knows the processor's own instructions for them,
 * and XXH3 by libxxhash.
 */
#include "store/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"

struct hash {
	EVP_MD_CTX *ctx; /* one of the two */
	XXH3_state_t *xxh;
	bool failed;
};

static bool
start(struct hash *h, const char *name)
{
	const EVP_MD *md;

	if (strcmp(name, "xxh128") == 0) {
		h->xxh = XXH3_createState();
		return h->xxh != NULL && XXH3_128bits_reset(h->xxh) == XXH_OK;
	}
	md = EVP_get_digestbyname(name);
	h->ctx = md != NULL ? EVP_MD_CTX_new() : NULL;
	return h->ctx != NULL && EVP_DigestInit_ex(h->ctx, md, NULL) == 1;
}

struct hash *
hash_new(const char *name)
{
	struct hash *h = alloc_zero(1, sizeof(*h));

	if (h != NULL && !start(h, name)) {
		hash_free(h);
		return NULL;
	}
	return h;
}

void
hash_free(struct hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	XXH3_freeState(h->xxh);
	free(h);
}

void
hash_add(struct hash *h, const void *data, size_t n)
{
	bool good = h->xxh != NULL
	    ? XXH3_128bits_update(h->xxh, data, n) == XXH_OK
	    : EVP_DigestUpdate(h->ctx, data, n) == 1;

	if (!good)
		h->failed = true;
}

int
hash_text(struct hash *h, char text[static HASH_TEXT])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	XXH128_canonical_t canon;
	unsigned n = 0;

	if (h->xxh != NULL) {
		XXH128_canonicalFromHash(&canon, XXH3_128bits_digest(h->xxh));
		n = sizeof(canon.digest);
		memcpy(sum, canon.digest, n);
	} else if (EVP_DigestFinal_ex(h->ctx, sum, &n) != 1) {
		return -EIO;
	}
	if (h->failed || 2 * n >= HASH_TEXT)
		return -EIO;
	for (unsigned i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", sum[i]);
	return 0;
}
