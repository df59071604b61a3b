/*
 * The console of a zone: one stream to the guest's first serial port, one
 * person at most on the other side (console.sock), a log beside. It is there
 * before the zone boots and stays over reboots.
 *
 * console.sock, SOCK_STREAM: the supervisor says one line first, "ok\n" or
 * "busy PID UID\n" (who has it; the connection ends). From then on bytes are
 * the terminal's, both ways, with notices in between.
 *
 * Nothing here waits for anybody: a person who does not read loses output (and
 * is told how much), a guest that does not read stops the person's typing.
 */
#ifndef ZONEADMD_CONSOLE_H
#define ZONEADMD_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mevent.h"
#include "zoneadmd/logfile.h"

#define CONSOLE_OUT (64U << 10) /* bytes that wait for the person */
#define CONSOLE_IN 4096 /* bytes that wait for the guest */

struct console {
	struct mevent_loop *loop;
	struct logfile *log;
	int listen;
	struct mevent *listen_ev;
	int guest; /* our end of the pair, -1 without a machine */
	struct mevent *guest_ev;
	int person;
	struct mevent *person_ev;
	pid_t person_pid;
	uid_t person_uid;
	char *out; /* CONSOLE_OUT bytes, while there is a person */
	size_t out_at, out_len;
	uint64_t out_lost;
	char in[CONSOLE_IN];
	size_t in_at, in_len;
};

void
console_init(struct console *c, struct mevent_loop *loop, struct logfile *log);
/* Serve console.sock in the folder dir. */
int console_serve(struct console *c, int dir, struct error *err);
void console_fini(struct console *c);
/* fd belongs to the console from now on; it must not block. */
int console_attach(struct console *c, int fd, struct error *err);
/* Take what is still there, and let go of the guest's side. */
void console_detach(struct console *c);
/* Tell the person: "[NOTICE: text]". */
void console_notice(struct console *c, const char *text);
bool console_in_use(const struct console *c);

#endif
