/*
 * Strict parsing of the texts that people write in options and files, and the
 * nearest name for the error message when they get one wrong.
 */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Names longer than this are no typing errors of anything. */
#define NEAREST_MAX 64

void
str_cleanup_free(void *pp)
{
	void *p;
	int saved = errno;

	memcpy(&p, pp, sizeof(p));
	free(p);
	errno = saved;
}

static int
str_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/*
 * Take the number that starts at *s and step over it. -EINVAL: none there;
 * -ERANGE: too big (stepped over all the same).
 */
static int
str_take_u64(const char **s, uint64_t *ret)
{
	const char *p = *s, *first;
	unsigned base = 10;
	uint64_t v = 0;
	bool over = false;
	int d;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	} else if (p[0] == '0') {
		base = 8;
	}
	for (first = p; (d = str_digit(*p)) < (int)base; p++) {
		over |= __builtin_mul_overflow(v, base, &v);
		over |= __builtin_add_overflow(v, (unsigned)d, &v);
	}
	if (p == first)
		return -EINVAL;
	*s = p;
	*ret = v;
	return over ? -ERANGE : 0;
}

int
str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	int rc;

	rc = str_take_u64(&s, &v);
	if (rc == -EINVAL || *s != '\0')
		return -EINVAL;
	if (rc != 0 || v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int
str_to_size(const char *s, uint64_t unit, uint64_t *ret)
{
	static const char suffixes[] = "kmgt";
	const char *suffix;
	uint64_t v;
	int rc;

	rc = str_take_u64(&s, &v);
	if (rc == -EINVAL)
		return rc;
	if (unit == 0)
		unit = 1;
	if (*s != '\0') {
		suffix = strchr(suffixes, tolower((unsigned char)*s));
		if (suffix == NULL)
			return -EINVAL;
		unit = KiB << (10 * (suffix - suffixes));
		s++;
		if (*s == 'i' && (s[1] == 'B' || s[1] == 'b'))
			s++;
		if (*s == 'B' || *s == 'b')
			s++;
		if (*s != '\0')
			return -EINVAL;
	}
	if (rc != 0 || __builtin_mul_overflow(v, unit, &v))
		return -ERANGE;
	*ret = v;
	return 0;
}

int
str_to_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "true", "on", "yes", "1" };
	static const char *const no[] = { "false", "off", "no", "0" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcasecmp(s, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

int
str_to_mac(const char *s, uint8_t ret[6])
{
	uint8_t mac[6];
	int hi, lo;

	for (size_t i = 0; i < sizeof(mac); i++) {
		if (i > 0 && *s++ != ':')
			return -EINVAL;
		lo = str_digit(*s);
		if (lo > 15)
			return -EINVAL;
		s++;
		hi = 0;
		if (str_digit(*s) <= 15) {
			hi = lo;
			lo = str_digit(*s++);
		}
		mac[i] = (uint8_t)(hi << 4 | lo);
	}
	if (*s != '\0')
		return -EINVAL;
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

int
str_to_uuid(const char *s, uint8_t ret[16])
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	uint8_t uuid[16] = { 0 };
	size_t nibble = 0;

	for (const char *p = shape; *p != '\0'; p++, s++) {
		if (*p == '-') {
			if (*s != '-')
				return -EINVAL;
			continue;
		}
		if (str_digit(*s) > 15)
			return -EINVAL;
		uuid[nibble / 2] =
		    (uint8_t)(uuid[nibble / 2] << 4 | str_digit(*s));
		nibble++;
	}
	if (*s != '\0')
		return -EINVAL;
	memcpy(ret, uuid, sizeof(uuid));
	return 0;
}

/*
 * Edit distance with swaps of neighbours (optimal string alignment): the number
 * of letters to insert, drop, change or swap. Three rows are all it needs.
 */
static unsigned
str_distance(const char *a, size_t an, const char *b, size_t bn)
{
	unsigned rows[3][NEAREST_MAX + 1], best;
	unsigned *two = rows[0], *one = rows[1], *cur = rows[2], *spare;
	int ca, cb;

	for (size_t j = 0; j <= bn; j++)
		one[j] = (unsigned)j;
	for (size_t i = 1; i <= an; i++) {
		cur[0] = (unsigned)i;
		ca = tolower((unsigned char)a[i - 1]);
		for (size_t j = 1; j <= bn; j++) {
			cb = tolower((unsigned char)b[j - 1]);
			best = one[j - 1] + (ca != cb);
			best = MIN(best, one[j] + 1);
			best = MIN(best, cur[j - 1] + 1);
			if (i > 1 && j > 1 &&
			    ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]))
				best = MIN(best, two[j - 2] + 1);
			cur[j] = best;
		}
		spare = two;
		two = one;
		one = cur;
		cur = spare;
	}
	return one[bn];
}

const char *
str_nearest(const char *name, const char *const *candidates, size_t n)
{
	size_t len = strnlen(name, NEAREST_MAX + 1), cand_len;
	unsigned limit = MAX(1U, (unsigned)len / 3), best = limit + 1, d;
	const char *nearest = NULL;

	if (len == 0 || len > NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		cand_len = strnlen(candidates[i], NEAREST_MAX + 1);
		if (cand_len > NEAREST_MAX)
			continue;
		d = str_distance(name, len, candidates[i], cand_len);
		/* A shortened name ("dev" for "device") is near as well. */
		if (d > limit && len >= 3 &&
		    strncasecmp(name, candidates[i], len) == 0)
			d = limit;
		/* All letters changed: that is another name. */
		if (d >= MAX(len, cand_len))
			continue;
		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}

void
error_add_hint(struct error *err, const char *near)
{
	if (err == NULL || near == NULL)
		return;
	error_set(err, err->code, "%s; did you mean '%s'?", err->text, near);
}

int
str_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < size)
		return 0;
	if (size > 0)
		buf[0] = '\0';
	return -ENAMETOOLONG;
}

void
str_harmless(char *text)
{
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if ((unsigned char)p[0] == 0xc2 &&
		    (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xa0)
			p[0] = p[1] = '?';
}
