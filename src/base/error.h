/*
 * One convention for failures; docs/errors.md is the page about it.
 *
 * Inside a library a function that can fail returns 0 (or a count) or a
 * negative errno value. At a library's edge it also takes a struct error as
 * its last argument and fills it with one sentence for a person: what is
 * wrong, with which value, and what to do. Only programs in cmd/ print it.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>

struct error {
	int code; /* errno value, > 0; 0 = no error */
	char text[496]; /* NUL-terminated, cut at a character's end */
};

#define ERROR_INIT        \
	{                 \
		.code = 0 \
	}

/*
 * Fill err (NULL is allowed: the text is dropped) and return -code, so that a
 * failing function ends in one statement. A code of 0 counts as EIO, a negative
 * one as its magnitude. errno is preserved. The arguments may point into err.
 */
int error_set(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/*
 * As error_set(), and append ": " and strerror(code), which is kept whole when
 * the text must be cut.
 */
int error_sys(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int error_vset(struct error *err, int code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
/*
 * Put context in front of an error that a callee set ("-s 4,virtio-blk: ...");
 * ": " is put between. Returns -err->code (-EIO when err is NULL).
 */
int error_prefix(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
