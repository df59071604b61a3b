/*
 * Filling struct error. Texts are built aside and then copied, since the
 * arguments often point into the very error that is being rewritten.
 */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE sizeof(((struct error *)NULL)->text)

static int
error_code(int code)
{
	if (code == 0)
		return EIO;
	return code < 0 ? -code : code;
}

/*
 * Shorten s to at most max bytes without splitting a UTF-8 sequence; returns
 * the new length.
 */
static size_t
error_cut(char *s, size_t max)
{
	size_t n = strlen(s);

	if (n > max) {
		n = max;
		/* A sequence has at most three bytes after its first. */
		while (n > 0 && n + 3 > max &&
		    ((unsigned char)s[n] & 0xc0) == 0x80)
			n--;
		s[n] = '\0';
	}
	return n;
}

/* Format, then keep at most max bytes; returns the length. */
static size_t __attribute__((format(printf, 3, 0))) error_format(
    char text[static TEXT_SIZE + 1], size_t max, const char *fmt, va_list ap)
{
	/* One byte more than the text can hold shows where a cut falls. */
	if (vsnprintf(text, TEXT_SIZE + 1, fmt, ap) < 0)
		text[0] = '\0';
	return error_cut(text, max);
}

int
error_vset(struct error *err, int code, const char *fmt, va_list ap)
{
	int saved = errno;
	char text[TEXT_SIZE + 1];
	size_t n;

	code = error_code(code);
	if (err != NULL) {
		n = error_format(text, TEXT_SIZE - 1, fmt, ap);
		memcpy(err->text, text, n + 1);
		err->code = code;
	}
	errno = saved;
	return -code;
}

int
error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = error_vset(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int
error_sys(struct error *err, int code, const char *fmt, ...)
{
	int saved = errno;
	char text[TEXT_SIZE + 1], tail[128];
	const char *desc;
	size_t n, tail_len;
	va_list ap;

	code = error_code(code);
	if (err != NULL) {
		/* strerror() is not thread-safe and may load a locale. */
		desc = strerrordesc_np(code);
		if (desc != NULL)
			snprintf(tail, sizeof(tail), ": %s", desc);
		else
			snprintf(tail, sizeof(tail), ": error %d", code);
		tail_len = strlen(tail);
		va_start(ap, fmt);
		n = error_format(text, TEXT_SIZE - 1 - tail_len, fmt, ap);
		va_end(ap);
		memcpy(err->text, text, n);
		memcpy(err->text + n, tail, tail_len + 1);
		err->code = code;
	}
	errno = saved;
	return -code;
}

int
error_prefix(struct error *err, const char *fmt, ...)
{
	int saved = errno;
	char text[TEXT_SIZE + 1], both[2 * TEXT_SIZE + 4];
	va_list ap;

	if (err == NULL)
		return -EIO;
	va_start(ap, fmt);
	error_format(text, TEXT_SIZE - 1, fmt, ap);
	va_end(ap);
	snprintf(both, sizeof(both), "%s: %s", text, err->text);
	memcpy(err->text, both, error_cut(both, TEXT_SIZE - 1) + 1);
	err->code = error_code(err->code);
	errno = saved;
	return -err->code;
}
