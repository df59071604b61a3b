/*
 * The unit test runner: every test is a function that runs in a process and a
 * process group of its own, under a time limit, and must end without leaving
 * descriptors or processes behind. The program speaks TAP 12 on stdout.
 *
 *	static void
 *	adds_up(void)
 *	{
 *		tap_check_int(1 + 1, 2);
 *	}
 *	static const struct tap_test tests[] = { TAP_TEST(adds_up) };
 *	TAP_MAIN(tests)
 *
 * Run it without arguments for all tests, with names for those, with -l for
 * the list. The first failed check ends its test. Checks may be made from any
 * thread of the test's process.
 */
#ifndef UNIT_TAP_H
#define UNIT_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tap_test {
	const char *name;
	void (*fn)(void);
	unsigned timeout_s; /* against hangs, not for speed; 0 = 120 */
};

#define TAP_TEST(fn)    \
	{               \
#fn, fn \
	}
#define TAP_TEST_TIMEOUT(fn, seconds) \
	{                             \
#fn, fn, (seconds)    \
	}
#define TAP_MAIN(tests)                                                     \
	int main(int argc, char **argv)                                     \
	{                                                                   \
		return tap_main(                                            \
		    argc, argv, tests, sizeof(tests) / sizeof((tests)[0])); \
	}

int
tap_main(int argc, char **argv, const struct tap_test *tests, size_t ntests);

/* An empty folder of this test, removed after it. */
const char *tap_tmpdir(void);
/* A "# ..." line of output. */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What is being tried: printed when a check of this thread fails. */
void tap_context(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* End this test: it cannot run here, and why. */
_Noreturn void
tap_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define tap_fail(...) tap_fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define tap_check(cond)   \
	((cond) ? (void)0 \
		: tap_fail_at(__FILE__, __LINE__, "is false: %s", #cond))
#define tap_check_u64(got, want) \
	tap_check_u64_at(__FILE__, __LINE__, #got, (got), (want))
/* For signed numbers and result codes. */
#define tap_check_int(got, want) \
	tap_check_int_at(__FILE__, __LINE__, #got, (got), (want))
/* NULL equals only NULL. */
#define tap_check_str(got, want) \
	tap_check_str_at(__FILE__, __LINE__, #got, (got), (want))
/* 'got' contains 'part'. */
#define tap_check_has(got, part) \
	tap_check_has_at(__FILE__, __LINE__, #got, (got), (part))
#define tap_check_mem(got, want, n) \
	tap_check_mem_at(__FILE__, __LINE__, #got, (got), (want), (n))

_Noreturn void tap_fail_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void tap_check_u64_at(
    const char *file, int line, const char *what, uint64_t got, uint64_t want);
void tap_check_int_at(
    const char *file, int line, const char *what, int64_t got, int64_t want);
void tap_check_str_at(const char *file, int line, const char *what,
    const char *got, const char *want);
void tap_check_has_at(const char *file, int line, const char *what,
    const char *got, const char *part);
void tap_check_mem_at(const char *file, int line, const char *what,
    const void *got, const void *want, size_t n);

#endif
