/*
 * The escape of a terminal line: at a line's start the escape character and a
 * '.' end the session, the escape character twice is sent once, and before
 * anything else it is an ordinary character.
 */
#ifndef ZLOGIN_ESCAPE_H
#define ZLOGIN_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

struct escape {
	int c; /* the character; -1: there is none */
	bool start; /* at a line's start */
	bool held; /* the character was typed there, and waits */
};
void escape_init(struct escape *e, int c);
/*
 * Pass n bytes typed; out has room for n + 1. *ret_n: how many are to be sent.
 * true: the session ends behind them.
 */
bool escape_feed(
    struct escape *e, const char *in, size_t n, char *out, size_t *ret_n);
/* "~", "^]": one character, or one with a caret before it; -1: neither. */
int escape_parse(const char *text);

#endif
