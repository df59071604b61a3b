/*
 * A bridge with three taps in a network namespace of the test's own: the
 * guarded one, a peer that hears and answers, and a third whose frames say
 * that what was sent before them has arrived.
 */
#ifndef LINK_WIRE_H
#define LINK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/guard.h"

#define WIRE_LIMIT_S 60 /* for what must happen */

struct wire {
	int guarded, peer, third; /* queues of the taps */
	unsigned marks;
};

/* Namespace, bridge, peer and third; skips the test where that cannot be. */
void wire_open(struct wire *w);
/* The guarded tap, called 'name': down and without a bridge. */
int wire_tap(const char *name);
int wire_queue(const char *name); /* one more of them */
void wire_up(const char *name);
void wire_join(const char *name); /* the bridge */
/* False: the interface is down. */
bool wire_send(int tap, const uint8_t *frame, size_t n);
/* The host sends by the bridge; a tag stays among the bytes. */
void wire_host(const uint8_t *frame, size_t n);
/* 0: nothing waits. */
size_t wire_receive(int tap, uint8_t *buf, size_t max);
/* Sends a mark by the third and hears the peer until it is there. */
void wire_peer(struct wire *w,
    void (*fn)(void *arg, const uint8_t *frame, size_t n), void *arg);
/* The bridge forwards between all of them. */
void wire_settle(struct wire *w);
void wire_close(struct wire *w);
/* Guarded, up, in the bridge; made, unless w->guarded is open. */
void wire_guard(
    struct wire *w, const struct link_spec *spec, enum link_guard_kind kind);

#endif
