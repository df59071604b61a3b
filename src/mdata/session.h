/*
 * One guest's side of the conversation, without any input or output: bytes of
 * its port go in, bytes for its port come out. Versions 1 (text) and 2 (frames)
 * of the guest metadata protocol, as Triton's specification and its clients
 * have it; the guest asks, and nothing is said unasked.
 *
 * What keeps conversations alive:
 *  - lines that are no frame, or a wrong one, get no answer;
 *  - a run of empty lines gets one "invalid command", and further ones within
 *    200 ms none: clients that were kept waiting have sent several;
 *  - our own vocabulary gets no answer: a terminal in echo mode sends it back;
 *  - lines that we do not know get at most 10 answers a second;
 *  - an unfinished line is forgotten after MDATA_LINE_IDLE_NS;
 *  - no line is taken while an answer has not been written, and a line longer
 *    than MDATA_LINE_MAX is dropped whole.
 *
 * Not thread-safe. Memory: at most MDATA_LINE_MAX + MDATA_OUT_MAX a session,
 * and nothing but the session itself while it is quiet.
 */
#ifndef MDATA_SESSION_H
#define MDATA_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "mdata/frame.h"

#define MDATA_GUEST_VALUE_MAX (64 * 1024) /* what a guest may put */
#define MDATA_VALUE_MAX (256 * 1024) /* what it may be given */
/* a value that is encoded twice, its key, and the frame around it */
#define MDATA_LINE_MAX (MDATA_GUEST_VALUE_MAX * 16 / 9 + 2048)
#define MDATA_OUT_MAX (MDATA_VALUE_MAX * 4 / 3 + 1024)
#define MDATA_LINE_IDLE_NS UINT64_C(2000000000)

/*
 * What the answers come from. Keys and values are checked as to form before:
 * key 1..MDATA_KEY_MAX bytes without control characters, values at most
 * MDATA_GUEST_VALUE_MAX. 0, -ENOENT, or another negative errno with a text for
 * the guest in why (at most 100 bytes; no host path, no secret).
 */
struct mdata_ops {
	int (*get)(
	    void *arg, const char *key, struct buf *value, struct buf *why);
	int (*keys)(
	    void *arg, struct buf *names, struct buf *why); /* LF between */
	int (*put)(void *arg, const char *key, const void *value, size_t n,
	    struct buf *why);
	int (*del)(void *arg, const char *key, struct buf *why);
};

struct mdata_session;

struct mdata_session *
mdata_session_create(const struct mdata_ops *ops, void *arg);
void mdata_session_free(struct mdata_session *s); /* NULL is allowed */
/* The guest was reset: forget what is unfinished, either way. */
void mdata_session_reset(struct mdata_session *s);

/*
 * Bytes from the guest, at the time now (ns, any steady clock). How many were
 * taken: fewer than n while an answer waits; offer the rest again after
 * mdata_session_sent().
 */
size_t mdata_session_input(
    struct mdata_session *s, const uint8_t *data, size_t n, uint64_t now);
/* What is to be written to the guest; NULL when there is nothing. */
const uint8_t *
mdata_session_output(const struct mdata_session *s, size_t *ret_n);
void mdata_session_sent(struct mdata_session *s, size_t n);

struct mdata_counters {
	uint64_t requests, answers; /* lines taken, answers given */
	uint64_t bad_frames, echoes, unknown, overlong;
	uint64_t puts, deletes;
};
const struct mdata_counters *
mdata_session_counters(const struct mdata_session *s);

#endif
