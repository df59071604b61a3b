/*
 * What the files of the tty back ends share.
 *
 * Locks: 'lock' guards the output queue and the descriptors; it is never held
 * while a callback of the owner runs. 'in_lock' guards the input; it is held
 * while the owner's input callback runs, and taken before 'lock'.
 */
#ifndef DEV_TTY_TTY_INTERNAL_H
#define DEV_TTY_TTY_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>
#include <termios.h>

#include "dev/tty/tty.h"

#define TTY_OUT_MAX 16384u
#define TTY_IN_MAX 512u

enum tty_kind {
	TTY_NONE,
	TTY_STREAM, /* there from start to end */
	TTY_LISTEN, /* clients come and go */
};

struct tty {
	struct mevent_loop *loop;
	const struct tty_ops *ops;
	void *arg;
	char what[32];
	enum tty_kind kind;
	bool wait; /* hold the boot for a client */

	/* what is to be undone at the end */
	bool stdio;
	bool raw; /* 'saved' is to be restored on in_fd */
	struct termios saved;
	int listen_fd;
	char *unlink_path;
	dev_t unlink_dev;
	ino_t unlink_ino;

	struct mevent *listen_ev;
	struct mevent *notifier; /* resume, or trouble seen by a writer */
	struct mevent *timer; /* flush of a small output */

	pthread_mutex_t lock;
	int in_fd, out_fd; /* -1 = no client; equal except for stdio */
	bool socket; /* send(2) and recv(2) take flags */
	bool may_block; /* out_fd could not be made non-blocking */
	struct mevent *in_ev, *out_ev; /* out_ev only when out_fd differs */
	bool in_paused; /* the owner did not take all */
	bool in_eof;
	bool hung_up; /* a terminal without its other side; may come back */
	bool out_dead; /* nobody will ever read it */
	bool out_blocked; /* waiting for MEVENT_WRITE */
	bool timer_armed;
	bool owner_waits; /* tty_write() was short */
	bool broken; /* the client is to be dropped */
	size_t out_at, out_len;
	uint8_t out[TTY_OUT_MAX]; /* ring */

	pthread_mutex_t in_lock;
	size_t in_at, in_len;
	uint8_t in[TTY_IN_MAX];
};

/* open.c: fill the descriptors from the specification. */
int tty_open_spec(struct tty *tty, const char *spec, struct error *err);
void tty_close_fds(struct tty *tty);
/* tty.c: start watching in_fd and out_fd (a client, or the stream). */
int tty_watch(struct tty *tty, struct error *err);

/* term.c: the process's terminal and others. */
int tty_stdio_take(struct tty *tty, struct error *err); /* one owner */
void tty_stdio_give_back(struct tty *tty);
/* Raw mode when fd is a terminal; keeps the old mode in tty->saved. */
int tty_make_raw(struct tty *tty, int fd, struct error *err);

#endif
