/*
 * Guest metadata, the supervisor's part (docs/metadata.md): it dials the port
 * before there is a guest, keeps the connection and the backlog, hands both to
 * the server, starts one when there is none, and has the facts of the zone made
 * when they are asked for. All of it in the background: no boot, no request and
 * no console waits for a server.
 */
#ifndef ZONEADMD_MDATA_H
#define ZONEADMD_MDATA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mevent.h"
#include "base/nvlist.h"

struct sup;

/* A program that runs in the background: the server's start, or the facts. */
struct mdata_program {
	pid_t pid; /* 0: none */
	int pidfd, output, errors;
	struct mevent *ev;
	void (*done)(struct sup *sup, int output, const char *failed);
};

struct metadata {
	bool wanted; /* the machine that is being made has the port */
	int port, backlog; /* -1: none */
	int server; /* the connection to the server */
	struct mevent *server_ev, *timer;
	struct mdata_program program;
	unsigned tries; /* in a row that came to nothing, or soon ended */
	uint64_t since_ns; /* when it was handed over */
	bool started; /* a server, for this try */
	char *stamp; /* of the facts that are asked for; NULL: none are */
};

void mdata_init(struct metadata *m);
/* Does the machine have the port? */
void mdata_plan(struct sup *sup, const struct nvlist *cmd);
/* A listening socket was made: name in the folder dir is zone's path. */
int mdata_dial(struct sup *sup, int dir, const char *path, struct error *err);
/* Taken back from the zone's process; both are its own from now on. */
void mdata_take(struct sup *sup, int port, int backlog);
/* There is a process: begin to hand over. */
void mdata_begin(struct sup *sup);
/* The machine is gone, or we go. */
void mdata_end(struct sup *sup);

#endif
