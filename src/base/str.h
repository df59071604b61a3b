/*
 * Texts: strict number parsing, the nearest name for an error message.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ROUND_UP(v, a) (((v) + ((a)-1)) & ~((__typeof__(v))(a)-1))
#define ROUND_DOWN(v, a) ((v) & ~((__typeof__(v))(a)-1))
#define container_of(p, type, member) \
	((type *)((char *)(p)-offsetof(type, member)))

#define KiB UINT64_C(1024)
#define MiB (1024 * KiB)
#define GiB (1024 * MiB)

/* free() the variable when it goes out of scope */
#define cleanup_free __attribute__((cleanup(str_cleanup_free)))
void str_cleanup_free(void *pp);

/*
 * Whole text must be a number: decimal, 0x hex, or 0 octal; no sign, no blanks.
 * -EINVAL or -ERANGE, *ret untouched.
 */
int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
/*
 * Size with optional suffix K, M, G, T (either case, powers of 1024; a trailing
 * B or iB is allowed); without a suffix it counts 'unit' bytes.
 */
int str_to_size(const char *s, uint64_t unit, uint64_t *ret);
/* true/on/yes/1 and false/off/no/0, either case (bhyve_config(5)). */
int str_to_bool(const char *s, bool *ret);
/*
 * "58:9c:fc:00:11:22" -> 6 bytes; -EINVAL on anything else. One digit for a
 * byte below 16 is allowed, as illumos prints them ("2:8:20:0:11:22").
 */
int str_to_mac(const char *s, uint8_t ret[6]);
int str_to_uuid(const char *s, uint8_t ret[16]); /* RFC 4122 byte order */

/*
 * The candidate nearest to 'name' (Damerau-Levenshtein, either case), or NULL
 * when none is near enough to be what was meant.
 */
const char *
str_nearest(const char *name, const char *const *candidates, size_t n);

/*
 * For one line of a terminal: control characters (also those of two bytes, C1)
 * become '?'.
 */
void str_harmless(char *text);

/* Append "; did you mean 'x'?" to an error when near != NULL. */
void error_add_hint(struct error *err, const char *near);

/* As snprintf, but -ENAMETOOLONG when it does not fit (buffer then empty). */
int str_format(char *buf, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
