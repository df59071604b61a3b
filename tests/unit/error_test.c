#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "tap.h"

static void
set_fills_and_returns(void)
{
	struct error err = ERROR_INIT;

	errno = EPERM;
	tap_check_int(
	    error_set(&err, ENOENT, "no disk '%s'", "a.img"), -ENOENT);
	tap_check_int(errno, EPERM);
	tap_check_int(err.code, ENOENT);
	tap_check_str(err.text, "no disk 'a.img'");
}

static void
code_is_normalised(void)
{
	struct error err = ERROR_INIT;

	tap_check_int(error_set(&err, 0, "x"), -EIO);
	tap_check_int(err.code, EIO);
	tap_check_int(error_set(&err, -EBUSY, "x"), -EBUSY);
	tap_check_int(err.code, EBUSY);
}

static void
null_error_is_allowed(void)
{
	tap_check_int(error_set(NULL, EINVAL, "%d", 1), -EINVAL);
	tap_check_int(error_sys(NULL, EINVAL, "%d", 1), -EINVAL);
	tap_check_int(error_prefix(NULL, "x"), -EIO);
	error_add_hint(NULL, "x");
}

static void
sys_appends_the_reason(void)
{
	struct error err = ERROR_INIT;

	tap_check_int(error_sys(&err, EACCES, "cannot open %s", "f"), -EACCES);
	tap_check_str(err.text, "cannot open f: Permission denied");
	error_sys(&err, 9999, "odd");
	tap_check_str(err.text, "odd: error 9999");
}

static void
sys_keeps_the_reason_of_a_long_text(void)
{
	struct error err = ERROR_INIT;
	char longer[2000];

	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	error_sys(&err, ENOENT, "%s", longer);
	tap_check_u64(strlen(err.text), sizeof(err.text) - 1);
	tap_check_has(err.text, "aaa: No such file or directory");
}

static void
prefix_puts_context_in_front(void)
{
	struct error err = ERROR_INIT;

	error_set(&err, EINVAL, "bad size");
	tap_check_int(error_prefix(&err, "-s %s", "4,virtio-blk"), -EINVAL);
	tap_check_str(err.text, "-s 4,virtio-blk: bad size");
	tap_check_int(err.code, EINVAL);
}

static void
arguments_may_be_the_text_itself(void)
{
	struct error err = ERROR_INIT;

	error_set(&err, EINVAL, "inner");
	error_set(&err, EINVAL, "outer (%s)", err.text);
	tap_check_str(err.text, "outer (inner)");
	error_prefix(&err, "%s", err.text);
	tap_check_str(err.text, "outer (inner): outer (inner)");
}

/* Shift a row of 2-, 3- and 4-byte characters over the cut. */
static void
cut_falls_between_characters(void)
{
	static const char *const chars[] = { "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80" };
	struct error err = ERROR_INIT;
	char text[1200];
	size_t n, len;

	for (size_t c = 0; c < ARRAY_LEN(chars); c++) {
		len = strlen(chars[c]);
		for (size_t shift = 0; shift < len; shift++) {
			memset(text, 'x', shift);
			for (n = shift; n + len < sizeof(text); n += len)
				memcpy(text + n, chars[c], len);
			text[n] = '\0';
			error_set(&err, EINVAL, "%s", text);
			n = strlen(err.text);
			tap_check(n < sizeof(err.text));
			tap_check(n > sizeof(err.text) - 1 - len);
			tap_check_u64((n - shift) % len, 0);
			error_prefix(&err, "p");
			n = strlen(err.text);
			tap_check(n < sizeof(err.text));
			tap_check_u64((n - shift - 3) % len, 0);
		}
	}
}

static void
cut_of_garbage_keeps_most(void)
{
	struct error err = ERROR_INIT;
	char text[1000];

	memset(text, 0x80, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, EINVAL, "%s", text);
	tap_check(strlen(err.text) >= sizeof(err.text) - 5);
}

static void
longest_text_fits(void)
{
	struct error err = ERROR_INIT;
	char text[sizeof(err.text)];

	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, EINVAL, "%s", text);
	tap_check_str(err.text, text);
}

static void
hint_is_appended(void)
{
	struct error err = ERROR_INIT;

	error_set(&err, ENOENT, "pth: no such setting");
	error_add_hint(&err, NULL);
	tap_check_str(err.text, "pth: no such setting");
	error_add_hint(&err, "path");
	tap_check_str(err.text, "pth: no such setting; did you mean 'path'?");
	tap_check_int(err.code, ENOENT);
}

static const struct tap_test tests[] = {
	TAP_TEST(set_fills_and_returns),
	TAP_TEST(code_is_normalised),
	TAP_TEST(null_error_is_allowed),
	TAP_TEST(sys_appends_the_reason),
	TAP_TEST(sys_keeps_the_reason_of_a_long_text),
	TAP_TEST(prefix_puts_context_in_front),
	TAP_TEST(arguments_may_be_the_text_itself),
	TAP_TEST(cut_falls_between_characters),
	TAP_TEST(cut_of_garbage_keeps_most),
	TAP_TEST(longest_text_fits),
	TAP_TEST(hint_is_appended),
};
TAP_MAIN(tests)
