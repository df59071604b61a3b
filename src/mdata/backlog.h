/*
 * What is unfinished of a conversation, in a memfd that the zone's supervisor
 * and its process hold as well: the guest's bytes since the last line that was
 * done with, and the rest of an answer. A server that takes over goes on from
 * there. The zone's process may write into it whatever it likes: it is read
 * once, when it is taken over, and checked.
 *
 * Not thread-safe.
 */
#ifndef MDATA_BACKLOG_H
#define MDATA_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mdata/session.h"

/* Bytes of the guest's: a line, and what may be read together with its end. */
#define MDATA_BACKLOG_IN (128 * 1024)
#define MDATA_BACKLOG_MAX (4096 + MDATA_BACKLOG_IN + MDATA_OUT_MAX)

struct mdata_backlog {
	int fd; /* borrowed */
	uint32_t in_off, in_len; /* bytes that are kept, in a ring */
	uint32_t out_len, out_sent; /* the rest of an answer */
	bool overlong; /* a line that is too long has begun: nothing is kept */
	bool grown; /* there are pages to give back */
	uint64_t last_ns; /* when the last byte came, CLOCK_MONOTONIC */
};

/* Take over what is in it; what cannot be is nothing. */
void mdata_backlog_open(struct mdata_backlog *b, int fd);
/* Keep bytes. -ENOSPC: the line is too long; nothing is kept from now on. */
int mdata_backlog_add(
    struct mdata_backlog *b, const void *data, size_t n, uint64_t now);
/* Kept bytes from the at-th on: how many, at most n, or a negative errno. */
ssize_t mdata_backlog_peek(
    const struct mdata_backlog *b, size_t at, void *data, size_t n);
/*
 * The first n bytes are done with, and of the answer to them this rest is not
 * written yet (rest may be 0).
 */
int mdata_backlog_done(
    struct mdata_backlog *b, size_t n, const void *answer, size_t rest);
/* The answer's bytes that are not written: as peek. */
ssize_t
mdata_backlog_answer(const struct mdata_backlog *b, void *data, size_t n);
int mdata_backlog_sent(struct mdata_backlog *b, size_t n);
/* Nothing is kept; memory is given back. */
void mdata_backlog_clear(struct mdata_backlog *b);

#endif
