/*
 * The port of one zone, served: bytes of the guest's through its session
 * (mdata/session.h) over its keys (mdata/keys.h), and back. Nothing here
 * blocks: an answer that the guest does not read, facts that are not there,
 * changes beyond what a guest may make in a time, and a disk that hangs stop
 * this port, no other.
 *
 * The port's socket is shared with the zone's process, flags included: it is
 * used with MSG_DONTWAIT alone.
 *
 * All functions are the loop's thread's. What looks at files, for the end of a
 * line, runs on one of the pool's; meanwhile session and keys are that thread's
 * and nothing else is taken from the port. Memory of a quiet port: some hundred
 * bytes and its facts.
 */
#ifndef MDATA_PORT_H
#define MDATA_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mevent.h"
#include "base/work.h"
#include "mdata/session.h"

struct mdata_port;

#define MDATA_PORT_TICK_NS UINT64_C(125000000)
#define MDATA_PORT_LONG_NS UINT64_C(10000000)

struct mdata_port_conf {
	struct mevent_loop *loop;
	/* Of the same loop, freed after the ports; NULL: on this thread. */
	struct work_pool *pool;
	const char *zone, *uuid; /* copied */
	int port; /* the connection; taken over, as are the others */
	int config; /* ZONEPATH/config */
	int zones; /* ROOT/etc/zones */
	int backlog; /* a memfd (mdata/backlog.h) */
	/*
	 * A line that takes longer costs its port four times as long, so that
	 * no guest takes all of the server's time; 0: never.
	 */
	uint64_t long_ns;
	/* The facts are to be made anew: answer with mdata_port_facts(). */
	void (*ask)(void *arg, const char *stamp);
	/* For the operator: a sentence. */
	void (*note)(void *arg, const char *text);
	/* From now on mdata_port_tick() is to be called, until it says no. */
	void (*wake)(void *arg);
	void *arg;
};
/* On failure the descriptors stay the caller's. */
int mdata_port_create(const struct mdata_port_conf *conf,
    struct mdata_port **ret, struct error *err);
/*
 * NULL is allowed. A port whose disk hangs keeps its memory and its folder
 * until that goes on; the zone's next port waits for that, too.
 */
void mdata_port_free(struct mdata_port *p);
/* stamp: that of the question; "" when nobody asked. */
void mdata_port_facts(struct mdata_port *p, const char *stamp,
    const char *const *names, const char *const *values, size_t n);
/* They cannot be made: the former ones are given, if there are any. */
void mdata_port_no_facts(struct mdata_port *p);
/* The guest was reset. */
void mdata_port_reset(struct mdata_port *p);
/* Every MDATA_PORT_TICK_NS. true: go on with it. */
bool mdata_port_tick(struct mdata_port *p, uint64_t now);

const char *mdata_port_zone(const struct mdata_port *p);
/* It cannot go on: hand it over again. */
bool mdata_port_broken(const struct mdata_port *p);

struct mdata_port_counters {
	uint64_t in, out; /* bytes */
	uint64_t facts; /* asked for */
	uint64_t limited; /* times it had to wait for changes */
	uint64_t full; /* times the guest did not read */
};
const struct mdata_port_counters *
mdata_port_counters(const struct mdata_port *p);
const struct mdata_counters *
mdata_port_session_counters(const struct mdata_port *p);

#endif
