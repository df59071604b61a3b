/*
 * See the header.
 */
#include "escape.h"

#include <string.h>

void
escape_init(struct escape *e, int c)
{
	*e = (struct escape){ .c = c, .start = true };
}

bool
escape_feed(
    struct escape *e, const char *in, size_t n, char *out, size_t *ret_n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)in[i];

		if (e->held && c == '.') {
			*ret_n = k;
			return true;
		}
		if (e->held && c != e->c)
			out[k++] = (char)e->c;
		else if (!e->held && e->start && c == e->c) {
			e->held = true;
			continue;
		}
		e->held = false;
		out[k++] = (char)c;
		e->start = c == '\r' || c == '\n';
	}
	*ret_n = k;
	return false;
}

int
escape_parse(const char *text)
{
	if (strlen(text) == 1)
		return (unsigned char)text[0];
	if (text[0] == '^' && strlen(text) == 2 && text[1] >= '?' &&
	    text[1] <= 'z')
		return text[1] == '?' ? 0x7f : text[1] & 0x1f;
	return -1;
}
