/*
 * Terminals in raw mode, and their way back. The process's own terminal is
 * restored whichever way the process ends: tty_close(), exit(3), or a signal
 * that nobody else has taken.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "dev/tty/tty_internal.h"

static const int fatal_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT,
	SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };

static struct {
	_Atomic(struct tty *) owner;
	struct termios saved;
	volatile sig_atomic_t raw;
	pid_t pid; /* a forked child must not touch the terminal */
	bool hooked;
} term;

/* Async-signal-safe. A background process must not be stopped by SIGTTOU. */
static void
term_restore(void)
{
	sigset_t ttou, old;

	if (!term.raw || term.pid != getpid())
		return;
	term.raw = 0;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &term.saved);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void
on_fatal(int signo)
{
	term_restore();
	/* SA_RESETHAND: the default action now follows. */
	raise(signo);
}

static void
term_hook(void)
{
	struct sigaction sa, old;

	if (term.hooked)
		return;
	term.hooked = true;
	atexit(term_restore);
	sa = (struct sigaction){ .sa_handler = on_fatal,
		.sa_flags = (int)SA_RESETHAND | SA_NODEFER };
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++)
		if (sigaction(fatal_signals[i], NULL, &old) == 0 &&
		    (old.sa_flags & SA_SIGINFO) == 0 &&
		    old.sa_handler == SIG_DFL)
			sigaction(fatal_signals[i], &sa, NULL);
}

int
tty_make_raw(struct tty *tty, int fd, struct error *err)
{
	struct termios t;

	if (!isatty(fd))
		return 0;
	if (tcgetattr(fd, &tty->saved) == -1)
		return error_sys(err, errno, "cannot read the terminal's mode");
	t = tty->saved;
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL;
	if (tcsetattr(fd, TCSANOW, &t) == -1)
		return error_sys(err, errno, "cannot set the terminal's mode");
	tty->raw = true;
	return 0;
}

int
tty_stdio_take(struct tty *tty, struct error *err)
{
	struct tty *none = NULL;
	int rc;

	if (!atomic_compare_exchange_strong(&term.owner, &none, tty))
		return error_set(err, EBUSY,
		    "stdio is taken by %s already; use another back end",
		    none->what);
	tty->stdio = true;
	/* In the background the terminal belongs to somebody else. */
	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp())
		return 0;
	if (tcgetattr(STDIN_FILENO, &term.saved) == -1)
		return error_sys(err, errno, "cannot read the terminal's mode");
	term.pid = getpid();
	term_hook();
	term.raw = 1;
	rc = tty_make_raw(tty, STDIN_FILENO, err);
	tty->raw = false; /* ours to restore, not tty_close_fds()'s */
	return rc;
}

void
tty_stdio_give_back(struct tty *tty)
{
	if (!tty->stdio)
		return;
	term_restore();
	tty->stdio = false;
	term.owner = NULL;
}
