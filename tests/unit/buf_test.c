#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>

#include "alloc_util.h"
#include "base/alloc.h"
#include "base/str.h"
#include "tap.h"

static void
appends_in_all_forms(void)
{
	struct buf b;

	buf_init(&b, 1000);
	buf_append(&b, "ab", 2);
	buf_append(&b, NULL, 0);
	buf_append_str(&b, "cd");
	buf_append_zero(&b, 2);
	buf_put_u8(&b, 0x11);
	buf_put_le16(&b, 0x2233);
	buf_put_le32(&b, 0x44556677);
	buf_put_le64(&b, 0x8899aabbccddeeff);
	buf_put_be32(&b, 0x01020304);
	buf_put_be64(&b, 0x05060708090a0b0c);
	buf_printf(&b, "%s-%d", "x", 7);
	tap_check_int(buf_error(&b), 0);
	tap_check_u64(b.len, 36);
	tap_check_mem(b.data,
	    "abcd\0\0\x11\x33\x22\x77\x66\x55\x44"
	    "\xff\xee\xdd\xcc\xbb\xaa\x99\x88\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c"
	    "x-7",
	    36);
	tap_check_str(buf_str(&b) + 33, "x-7");
	tap_check_u64(b.len, 36);
	buf_fini(&b);
	tap_check(b.data == NULL && b.len == 0);
	buf_fini(NULL);
}

static void
prints_all_or_says_why(void)
{
	struct buf b;
	FILE *f = tmpfile(), *full = fopen("/dev/full", "w");
	char got[8];

	buf_init(&b, 4);
	/* nothing at all is no failure, and no call with a null pointer */
	tap_check_int(buf_print(&b, f), 0);
	buf_append_str(&b, "abcd");
	tap_check_int(buf_print(&b, f), 0);
	rewind(f);
	tap_check_u64(fread(got, 1, sizeof(got), f), 4);
	tap_check_mem(got, "abcd", 4);
	tap_check_int(buf_print(&b, full), -ENOSPC);
	tap_check_int(errno, ENOSPC);
	buf_append_str(&b, "e");
	tap_check_int(buf_print(&b, f), -ENOSPC);
	buf_fini(&b);
	fclose(f);
	fclose(full);
}

static void
aligns(void)
{
	struct buf b;

	buf_init(&b, 100);
	tap_check_int(buf_align(&b, 16), 0);
	tap_check_u64(b.len, 0);
	buf_put_u8(&b, 1);
	buf_align(&b, 8);
	tap_check_u64(b.len, 8);
	buf_align(&b, 8);
	tap_check_u64(b.len, 8);
	buf_align(&b, 1);
	tap_check_u64(b.len, 8);
	buf_fini(&b);
}

static void
limit_is_exact_and_failure_sticky(void)
{
	struct buf b;

	buf_init(&b, 10);
	tap_check_int(buf_append(&b, "0123456789", 10), 0);
	tap_check_str(buf_str(&b), "0123456789");
	tap_check_int(buf_append(&b, "x", 1), -ENOSPC);
	tap_check_u64(b.len, 10);
	tap_check_mem(b.data, "0123456789", 10);
	/* Even nothing fails from now on. */
	tap_check_int(buf_append(&b, "", 0), -ENOSPC);
	tap_check(buf_str(&b) == NULL);
	tap_check(buf_reserve(&b, 0) == NULL);
	tap_check_int(buf_error(&b), -ENOSPC);
	buf_reset(&b);
	tap_check_int(buf_error(&b), 0);
	tap_check_int(buf_append_str(&b, "again"), 0);
	tap_check_str(buf_str(&b), "again");
	buf_fini(&b);
}

static void
limit_zero_and_printf_at_the_limit(void)
{
	struct buf b;

	buf_init(&b, 0);
	tap_check(buf_reserve(&b, 0) != NULL);
	tap_check_str(buf_str(&b), "");
	tap_check_int(buf_put_u8(&b, 1), -ENOSPC);
	buf_fini(&b);
	buf_init(&b, 5);
	tap_check_int(buf_printf(&b, "%05d", 42), 0);
	tap_check_u64(b.len, 5);
	tap_check_str(buf_str(&b), "00042");
	tap_check_int(buf_printf(&b, "%d", 1), -ENOSPC);
	tap_check_u64(b.len, 5);
	buf_fini(&b);
}

static void
sizes_do_not_wrap(void)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_append_str(&b, "abc");
	tap_check(buf_reserve(&b, SIZE_MAX) == NULL);
	tap_check_int(buf_error(&b), -ENOSPC);
	buf_reset(&b);
	/* Fits the limit, but no memory has it. */
	tap_check(buf_reserve(&b, SIZE_MAX / 2 + 2) == NULL);
	tap_check_int(buf_error(&b), -ENOMEM);
	buf_fini(&b);
}

static void
reserve_counts_nothing(void)
{
	struct buf b;
	char *p;

	buf_init(&b, 1 << 20);
	p = buf_reserve(&b, 70000);
	tap_check(p != NULL);
	memset(p, 'x', 70000);
	tap_check_u64(b.len, 0);
	b.len = 70000;
	buf_put_u8(&b, 'y');
	tap_check_u64(b.data[69999], 'x');
	tap_check_u64(b.data[70000], 'y');
	buf_fini(&b);
}

static void
reader_is_bounded(void)
{
	struct rd r = rd_make("abcdef", 6);

	tap_check_mem(rd_bytes(&r, 2), "ab", 2);
	tap_check(rd_bytes(&r, 5) == NULL);
	tap_check(rd_bytes(&r, SIZE_MAX) == NULL);
	tap_check_u64(rd_left(&r), 4);
	tap_check_mem(rd_bytes(&r, 4), "cdef", 4);
	tap_check(rd_bytes(&r, 0) != NULL);
	tap_check(rd_bytes(&r, 1) == NULL);
}

static void
loads_and_stores_are_unaligned(void)
{
	uint8_t raw[16] = { 0 };

	store_be16(raw + 1, 0x0102);
	tap_check_u64(load_le16(raw + 1), 0x0201);
	store_be32(raw + 3, 0x01020304);
	tap_check_u64(load_le32(raw + 3), 0x04030201);
	store_le64(raw + 7, 0x0102030405060708);
	tap_check_u64(load_be64(raw + 7), 0x0807060504030201);
}

static int
build(void)
{
	struct buf b;
	int rc;

	buf_init(&b, 100000);
	for (int i = 0; i < 100; i++) {
		buf_append_str(&b, "some words ");
		buf_printf(&b, "%d", i);
		buf_append_zero(&b, 100);
	}
	rc = buf_error(&b);
	if (rc == 0 && buf_str(&b) == NULL)
		rc = buf_error(&b);
	buf_fini(&b);
	return rc;
}

static void
every_allocation_may_fail(void)
{
	alloc_each_fails(build, 5, 98);
}

static void
allocation_helpers(void)
{
	char *s = alloc_strndup("abcdef", 3);
	void *p = alloc_zero(0, 8);

	tap_check_str(s, "abc");
	tap_check(p != NULL);
	tap_check(alloc_zero(SIZE_MAX, 2) == NULL);
	tap_check(alloc_resize(p, SIZE_MAX, 2) == NULL);
	p = alloc_resize(p, 0, 0);
	tap_check(p != NULL);
	free(p);
	free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(appends_in_all_forms),
	TAP_TEST(prints_all_or_says_why),
	TAP_TEST(aligns),
	TAP_TEST(limit_is_exact_and_failure_sticky),
	TAP_TEST(limit_zero_and_printf_at_the_limit),
	TAP_TEST(sizes_do_not_wrap),
	TAP_TEST(reserve_counts_nothing),
	TAP_TEST(reader_is_bounded),
	TAP_TEST(loads_and_stores_are_unaligned),
	TAP_TEST(every_allocation_may_fail),
	TAP_TEST(allocation_helpers),
};
TAP_MAIN(tests)
