/*
 * The guest's side of one request, without any input or output: bytes of the
 * port go in, bytes for the port come out, and a clock decides when to try
 * again. The order of a round:
 *
 *	be quiet until the line is; LF, "invalid command" (2 s);
 *	NEGOTIATE V2, V2_OK (6 s), or FAILURE: version 1, which only reads;
 *	the request, its answer (45 s after the last byte; version 1: 6 s).
 *
 * A round that times out is followed by another, a second later, with another
 * request id, until the caller has enough: a host that is not there yet is no
 * error. Lines that are not what is waited for are skipped: answers of earlier
 * rounds, noise, whatever the terminal echoed.
 *
 * A UNIX socket is one's own: there the round begins with NEGOTIATE.
 *
 * Times: ns of any steady clock. Not thread-safe. (Source: Triton's protocol
 * specification; the limits are those of its mdata-client.)
 */
#ifndef MDATA_CLIENT_H
#define MDATA_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* What a host may answer: hosts other than ours have no limit of their own. */
#define MDATA_CLIENT_LINE_MAX (8 * 1024 * 1024)

enum mdata_verb { MDATA_GET, MDATA_PUT, MDATA_DELETE, MDATA_KEYS };
enum mdata_result {
	MDATA_PENDING,
	MDATA_SUCCESS,
	MDATA_NOTFOUND,
	MDATA_FAILURE, /* the host says no; value: why */
	MDATA_READONLY, /* the host has version 1 only */
	MDATA_BROKEN, /* an answer that is too long, or no base64 */
};

struct mdata_client;

/*
 * -EINVAL: key is not 1..MDATA_KEY_MAX bytes without control characters and
 * without a blank at its ends; -E2BIG: value longer than
 * MDATA_GUEST_VALUE_MAX; -ENOMEM. key: NULL for MDATA_KEYS. Nothing is
 * borrowed.
 */
int mdata_client_create(enum mdata_verb verb, const char *key,
    const void *value, size_t n, bool serial, struct mdata_client **ret);
void mdata_client_free(struct mdata_client *c); /* NULL is allowed */

/* The port was (re-)opened: begin a round. */
void mdata_client_start(struct mdata_client *c, uint64_t now);
void mdata_client_input(
    struct mdata_client *c, const uint8_t *data, size_t n, uint64_t now);
/* What is to be written; NULL when there is nothing. */
const uint8_t *mdata_client_output(const struct mdata_client *c, size_t *ret_n);
void mdata_client_sent(struct mdata_client *c, size_t n, uint64_t now);
/* When mdata_client_tick() is wanted; UINT64_MAX: it is over. */
uint64_t mdata_client_deadline(const struct mdata_client *c);
void mdata_client_tick(struct mdata_client *c, uint64_t now);

enum mdata_result mdata_client_result(const struct mdata_client *c);
/* The answer, or the host's reason. Borrowed. */
const struct buf *mdata_client_value(const struct mdata_client *c);
unsigned mdata_client_rounds(const struct mdata_client *c); /* begun so far */

#endif
