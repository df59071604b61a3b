/*
 * Byte-stream back ends of serial ports and consoles:
 *
 *   stdio                     the process's terminal (raw, restored at exit)
 *   /dev/...                  a device path, opened raw when it is a terminal
 *   tcp=[host:]port           listening socket, one client at a time
 *   socket,PATH[,wait]        listening UNIX socket; wait: hold the boot for a
 *                             client (illumos)
 *   fd=N                      an inherited descriptor (zones)
 *   none                      nothing attached
 *
 * Threads: the callbacks run on the loop's thread; tty_write() and the other
 * functions may be called from any thread and never block.
 */
#ifndef DEV_TTY_TTY_H
#define DEV_TTY_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mevent.h"

struct tty;

struct tty_ops {
	/*
	 * Input arrived. Returns how many bytes were taken; fewer than n stops
	 * reading (back-pressure) until tty_resume().
	 */
	size_t (*input)(void *arg, const uint8_t *data, size_t n);
	/* After a short tty_write(): there is room again. May be NULL. */
	void (*writable)(void *arg);
	/* A client came or went (sockets). May be NULL. */
	void (*connected)(void *arg, bool present);
};

/* spec as above; what: for error texts ("com1"). */
int tty_open(struct mevent_loop *loop, const char *spec, const char *what,
    const struct tty_ops *ops, void *arg, struct tty **ret, struct error *err);
void tty_close(struct tty *tty); /* NULL is allowed; restores the terminal */
/*
 * Queue output: number of bytes taken, 0..n. When a socket has no client,
 * everything is taken and dropped.
 */
size_t tty_write(struct tty *tty, const uint8_t *data, size_t n);
void tty_resume(struct tty *tty); /* read input again */
/*
 * Throw away input that the other side has sent and nobody has taken: of
 * sockets only (returns false for others: a script on standard input stays).
 * From any thread, but without a lock that the input callback takes.
 */
bool tty_discard(struct tty *tty);
/* Block until a client is there, for "wait"; at once otherwise. */
int tty_wait_client(struct tty *tty, struct error *err);

#endif
