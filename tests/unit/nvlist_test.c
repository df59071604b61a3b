/*
 * Lists in memory, the packed form byte by byte, and the reader against
 * everything that is not a packed list.
 */
#include "base/nvlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_util.h"
#include "base/alloc.h"
#include "base/str.h"
#include "tap.h"

static struct nvlist *
must_create(void)
{
	struct nvlist *nvl = nvlist_create();

	tap_check(nvl != NULL);
	return nvl;
}

/* A list with each type that can be added. */
static int
fill(struct nvlist *nvl)
{
	static const char *const strs[] = { "", "one", "three" };
	static const uint64_t u64s[] = { 0, UINT64_MAX };
	const struct nvlist *subs[2];
	struct nvlist *sub;
	int rc;

	sub = nvlist_create();
	if (sub == NULL)
		return -ENOMEM;
	rc = nvlist_add_str(sub, "inner", "value");
	subs[0] = subs[1] = sub;
	if (rc == 0)
		rc = nvlist_add_boolean(nvl, "boolean");
	if (rc == 0)
		rc = nvlist_add_bool(nvl, "yes", true);
	if (rc == 0)
		rc = nvlist_add_bool(nvl, "no", false);
	if (rc == 0)
		rc = nvlist_add_i64(nvl, "i64", INT64_MIN);
	if (rc == 0)
		rc = nvlist_add_u64(nvl, "u64", UINT64_MAX);
	if (rc == 0)
		rc = nvlist_add_u32(nvl, "u32", UINT32_MAX);
	if (rc == 0)
		rc = nvlist_add_str(nvl, "str", "text");
	if (rc == 0)
		rc = nvlist_add_bytes(nvl, "bytes", "\0\1\2\3\4", 5);
	if (rc == 0)
		rc = nvlist_add_bytes(nvl, "nobytes", NULL, 0);
	if (rc == 0)
		rc = nvlist_add_u64s(nvl, "u64s", u64s, 2);
	if (rc == 0)
		rc = nvlist_add_strs(nvl, "strs", strs, 3);
	if (rc == 0)
		rc = nvlist_add_list(nvl, "list", sub);
	if (rc == 0)
		rc = nvlist_add_lists(nvl, "lists", subs, 2);
	nvlist_free(sub);
	return rc;
}

static void
check_pair_values(const struct nvlist *nvl)
{
	const struct nvlist *const *lists = NULL, *list = NULL;
	const struct nvpair *pair = NULL;
	const char *const *strs = NULL, *str = NULL;
	const uint64_t *u64s = NULL;
	const void *bytes = NULL;
	uint64_t v = 0;
	size_t n = 0;

	for (int i = 0; i < 7; i++)
		pair = nvlist_next(nvl, pair);
	tap_check_str(nvpair_name(pair), "str");
	tap_check_int(nvpair_get_str(pair, &str), 0);
	tap_check_str(str, "text");
	tap_check_int(nvpair_get_u64(pair, &v), -EINVAL);
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_bytes(pair, &bytes, &n), 0);
	tap_check_u64(n, 5);
	tap_check_mem(bytes, "\0\1\2\3\4", 5);
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_bytes(pair, &bytes, &n), 0);
	tap_check_u64(n, 0);
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_u64s(pair, &u64s, &n), 0);
	tap_check_u64(n, 2);
	tap_check_u64(u64s[1], UINT64_MAX);
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_strs(pair, &strs, &n), 0);
	tap_check_u64(n, 3);
	tap_check_str(strs[0], "");
	tap_check_str(strs[2], "three");
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_list(pair, &list), 0);
	tap_check_int(nvlist_get_str(list, "inner", &str), 0);
	tap_check_str(str, "value");
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_lists(pair, &lists, &n), 0);
	tap_check_u64(n, 2);
	tap_check_int(nvlist_get_str(lists[1], "inner", &str), 0);
	tap_check(nvlist_next(nvl, pair) == NULL);
}

static void
check_filled(const struct nvlist *nvl)
{
	const struct nvlist *list = NULL;
	const char *str = NULL;
	uint64_t u = 0;
	int64_t i = 0;
	bool b = false;

	tap_check_int(nvlist_get_bool(nvl, "boolean", &b), 0);
	tap_check(b);
	tap_check_int(nvlist_get_bool(nvl, "no", &b), 0);
	tap_check(!b);
	tap_check_int(nvlist_get_i64(nvl, "i64", &i), 0);
	tap_check_int(i, INT64_MIN);
	tap_check_int(nvlist_get_u64(nvl, "u64", &u), 0);
	tap_check_u64(u, UINT64_MAX);
	tap_check_int(nvlist_get_str(nvl, "str", &str), 0);
	tap_check_str(str, "text");
	tap_check_int(nvlist_get_list(nvl, "list", &list), 0);
	check_pair_values(nvl);
}

static void
pack(const struct nvlist *nvl, struct buf *b)
{
	buf_init(b, MiB);
	tap_check_int(nvlist_pack(nvl, b), 0);
}

static void
every_type_is_stored(void)
{
	struct nvlist *nvl = must_create();

	tap_check_int(fill(nvl), 0);
	check_filled(nvl);
	nvlist_free(nvl);
	nvlist_free(NULL);
}

static void
every_type_survives_packing(void)
{
	struct nvlist *nvl = must_create(), *back = NULL;
	struct error err = ERROR_INIT;
	struct buf b, again;

	tap_check_int(fill(nvl), 0);
	pack(nvl, &b);
	if (nvlist_unpack(b.data, b.len, &back, &err) != 0)
		tap_fail("%s", err.text);
	check_filled(back);
	pack(back, &again);
	tap_check_u64(again.len, b.len);
	tap_check_mem(again.data, b.data, b.len);
	buf_fini(&b);
	buf_fini(&again);
	nvlist_free(nvl);
	nvlist_free(back);
}

/* Adding a list copies it, all that it holds. */
static void
every_type_is_copied(void)
{
	struct nvlist *nvl = must_create(), *outer = must_create();
	const struct nvlist *copy = NULL;

	tap_check_int(fill(nvl), 0);
	tap_check_int(nvlist_add_list(outer, "copy", nvl), 0);
	nvlist_free(nvl);
	tap_check_int(nvlist_get_list(outer, "copy", &copy), 0);
	check_filled(copy);
	nvlist_free(outer);
}

static void
values_have_one_type(void)
{
	const struct nvlist *const *lists = NULL, *list = NULL;
	const char *const *strs = NULL, *str = NULL;
	struct nvlist *nvl = must_create();
	const struct nvpair *pair;
	const uint64_t *u64s;
	const void *bytes;
	size_t n;

	tap_check_int(nvlist_add_bool(nvl, "b", true), 0);
	pair = nvlist_next(nvl, NULL);
	tap_check_int(nvpair_get_str(pair, &str), -EINVAL);
	tap_check_int(nvpair_get_list(pair, &list), -EINVAL);
	tap_check_int(nvpair_get_bytes(pair, &bytes, &n), -EINVAL);
	tap_check_int(nvpair_get_u64s(pair, &u64s, &n), -EINVAL);
	tap_check_int(nvpair_get_strs(pair, &strs, &n), -EINVAL);
	tap_check_int(nvpair_get_lists(pair, &lists, &n), -EINVAL);
	nvlist_free(nvl);
}

static void
look_up_minds_names_and_types(void)
{
	struct nvlist *nvl = must_create();
	const char *str = "kept";
	uint64_t u = 7;
	int64_t i = 7;

	tap_check_int(nvlist_add_u64(nvl, "n", 1), 0);
	tap_check_int(nvlist_get_str(nvl, "n", &str), -EINVAL);
	tap_check_str(str, "kept");
	tap_check_int(nvlist_get_i64(nvl, "n", &i), -EINVAL);
	tap_check_int(nvlist_get_u64(nvl, "m", &u), -ENOENT);
	tap_check_u64(u, 7);
	tap_check_int(nvlist_add_i64(nvl, "neg", -1), 0);
	tap_check_int(
	    nvpair_get_u64(nvlist_next(nvl, nvlist_next(nvl, NULL)), &u),
	    -ERANGE);
	nvlist_free(nvl);
}

static void
adding_again_replaces_and_moves(void)
{
	struct nvlist *nvl = must_create();
	const struct nvpair *pair;
	uint64_t v = 0;

	tap_check_int(nvlist_add_u64(nvl, "a", 1), 0);
	tap_check_int(nvlist_add_u64(nvl, "b", 2), 0);
	tap_check_int(nvlist_add_str(nvl, "a", "now a text"), 0);
	pair = nvlist_next(nvl, NULL);
	tap_check_str(nvpair_name(pair), "b");
	pair = nvlist_next(nvl, pair);
	tap_check_str(nvpair_name(pair), "a");
	tap_check_int((int)nvpair_type(pair), NV_STRING);
	tap_check(nvlist_next(nvl, pair) == NULL);
	tap_check_int(nvlist_remove(nvl, "a"), 0);
	tap_check_int(nvlist_remove(nvl, "a"), -ENOENT);
	tap_check_int(nvlist_add_u64(nvl, "c", 3), 0);
	tap_check_int(nvlist_get_u64(nvl, "c", &v), 0);
	nvlist_free(nvl);
}

static void
bad_additions_are_refused(void)
{
	const char *const strs[] = { "a", NULL };
	const struct nvlist *const lists[] = { NULL };
	struct nvlist *nvl = must_create();
	char *name;

	name = malloc(40000);
	memset(name, 'x', 39999);
	name[39999] = '\0';
	tap_check_int(nvlist_add_u64(nvl, "", 1), -EINVAL);
	tap_check_int(nvlist_add_u64(nvl, name, 1), -EINVAL);
	tap_check_int(nvlist_add_strs(nvl, "s", strs, 2), -EINVAL);
	tap_check_int(nvlist_add_lists(nvl, "l", lists, 1), -EINVAL);
	tap_check(nvlist_next(nvl, NULL) == NULL);
	free(name);
	nvlist_free(nvl);
}

static void
nesting_is_limited(void)
{
	struct nvlist *nvl = must_create(), *outer;
	const struct nvlist *array[1];
	struct nvlist *back = NULL;
	struct buf b;

	for (int i = 1; i < NVLIST_MAX_DEPTH; i++) {
		outer = must_create();
		tap_check_int(nvlist_add_list(outer, "l", nvl), 0);
		nvlist_free(nvl);
		nvl = outer;
	}
	outer = must_create();
	array[0] = nvl;
	tap_check_int(nvlist_add_list(outer, "l", nvl), -EINVAL);
	tap_check_int(nvlist_add_lists(outer, "l", array, 1), -EINVAL);
	pack(nvl, &b);
	tap_check_int(nvlist_unpack(b.data, b.len, &back, NULL), 0);
	/* What was read counts its depth as well. */
	tap_check_int(nvlist_add_list(outer, "l", back), -EINVAL);
	nvlist_free(back);
	nvlist_free(outer);
	nvlist_free(nvl);
	buf_fini(&b);
}

/* ---- golden bytes, put together from libnvpair's documentation ---- */

#define HEADER "\1\1\0\0"
#define LIST "\0\0\0\0\0\0\0\1"
#define END "\0\0\0\0\0\0\0\0"
#define BYTES(s) (s), sizeof(s) - 1

static void
check_golden(struct nvlist *nvl, const char *want, size_t n)
{
	struct nvlist *back = NULL;
	struct buf b;

	pack(nvl, &b);
	tap_check_u64(b.len, n);
	tap_check_mem(b.data, want, n);
	tap_check_int(nvlist_unpack(want, n, &back, NULL), 0);
	nvlist_free(back);
	nvlist_free(nvl);
	buf_fini(&b);
}

static void
golden_empty(void)
{
	check_golden(must_create(), BYTES(HEADER LIST END));
}

static void
golden_numbers(void)
{
	struct nvlist *nvl = must_create();

	nvlist_add_u64(nvl, "abc", 0x1122334455667788);
	nvlist_add_u32(nvl, "abcd", 7);
	nvlist_add_bool(nvl, "b", true);
	nvlist_add_boolean(nvl, "there");
	nvlist_add_i64(nvl, "i", -2);
	check_golden(nvl,
	    BYTES(HEADER LIST
		/* 8 + 8 + 8 + 8; 16 + 4 -> 24, + 8 */
		"\0\0\0\x20\0\0\0\x20\0\0\0\3"
		"abc\0\0\0\0\x08\0\0\0\1\x11\x22\x33\x44\x55\x66\x77\x88"
		"\0\0\0\x1c\0\0\0\x20\0\0\0\4"
		"abcd\0\0\0\6\0\0\0\1\0\0\0\7"
		"\0\0\0\x1c\0\0\0\x20\0\0\0\1"
		"b\0\0\0\0\0\0\x15\0\0\0\1\0\0\0\1"
		"\0\0\0\x1c\0\0\0\x18\0\0\0\5"
		"there\0\0\0\0\0\0\1\0\0\0\0"
		"\0\0\0\x20\0\0\0\x20\0\0\0\1"
		"i\0\0\0\0\0\0\7\0\0\0\1"
		"\xff\xff\xff\xff\xff\xff\xff\xfe" END));
}

static void
golden_text_and_bytes(void)
{
	static const char *const strs[] = { "a", "bcde" };
	static const uint64_t u64s[] = { 1, 2 };
	struct nvlist *nvl = must_create();

	nvlist_add_str(nvl, "s", "hello");
	nvlist_add_bytes(nvl, "b", "\1\2\3", 3);
	nvlist_add_strs(nvl, "ss", strs, 2);
	nvlist_add_u64s(nvl, "u", u64s, 2);
	check_golden(nvl,
	    BYTES(HEADER LIST
		"\0\0\0\x24\0\0\0\x20\0\0\0\1"
		"s\0\0\0\0\0\0\x09\0\0\0\1\0\0\0\5hello\0\0\0"
		"\0\0\0\x1c\0\0\0\x20\0\0\0\1"
		"b\0\0\0\0\0\0\x0a\0\0\0\3\1\2\3\0"
		/* 24 + 2 * 8 + 2 + 5 -> 24 */
		"\0\0\0\x28\0\0\0\x30\0\0\0\2"
		"ss\0\0\0\0\0\x11\0\0\0\2\0\0\0\1a\0\0\0\0\0\0\4bcde"
		"\0\0\0\x2c\0\0\0\x28\0\0\0\1"
		"u\0\0\0\0\0\0\x10\0\0\0\2\0\0\0\2"
		"\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2" END));
}

static void
golden_nested(void)
{
	struct nvlist *nvl = must_create(), *sub = must_create();
	const struct nvlist *subs[2] = { sub, sub };

	nvlist_add_boolean(sub, "x");
	nvlist_add_list(nvl, "l", sub);
	nvlist_add_lists(nvl, "ll", subs, 2);
	nvlist_free(sub);
#define SUB LIST "\0\0\0\x18\0\0\0\x18\0\0\0\1x\0\0\0\0\0\0\1\0\0\0\0" END
	check_golden(nvl,
	    BYTES(HEADER LIST
		"\0\0\0\x40\0\0\0\x30\0\0\0\1l\0\0\0\0\0\0\x13\0\0\0\1" SUB
		"\0\0\0\x68\0\0\0\x58\0\0\0\2ll\0\0\0\0\0\x14\0\0\0\2" SUB SUB
		    END));
}

/* Types that only a reader meets. */
static void
small_numbers_are_read(void)
{
	static const char packed[] = HEADER LIST
	    "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0\0\0\0\2\0\0\0\1\xff\xff\xff"
	    "\xc8"
	    "\0\0\0\x1c\0\0\0\x20\0\0\0\1b\0\0\0\0\0\0\3\0\0\0\1\xff\xff\xff"
	    "\xfe"
	    "\0\0\0\x1c\0\0\0\x20\0\0\0\1c\0\0\0\0\0\0\4\0\0\0\1\0\0\xff\xff"
	    "\0\0\0\x1c\0\0\0\x20\0\0\0\1d\0\0\0\0\0\0\5\0\0\0\1\x7f\0\0\0" END;
	const struct nvpair *pair;
	struct nvlist *nvl = NULL;
	struct buf b;
	uint64_t v = 0;

	tap_check_int(nvlist_unpack(BYTES(packed), &nvl, NULL), 0);
	pair = nvlist_next(nvl, NULL);
	tap_check_int(nvpair_get_u64(pair, &v), 0);
	tap_check_u64(v, 200);
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_u64(pair, &v), -ERANGE);
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_u64(pair, &v), 0);
	tap_check_u64(v, 0xffff);
	pair = nvlist_next(nvl, pair);
	tap_check_int(nvpair_get_u64(pair, &v), 0);
	tap_check_u64(v, 0x7f000000);
	pack(nvl, &b);
	tap_check_u64(b.len, sizeof(packed) - 1);
	tap_check_mem(b.data, packed, b.len);
	buf_fini(&b);
	nvlist_free(nvl);
}

/* ---- hostile input ---- */

static void
check_refused(const char *data, size_t n, const char *why)
{
	struct nvlist *nvl = (struct nvlist *)&nvl;
	struct error err = ERROR_INIT;
	char *exact;

	/* Its own allocation, so that the sanitizer sees the end. */
	exact = malloc(n != 0 ? n : 1);
	memcpy(exact, data, n);
	tap_check_int(nvlist_unpack(exact, n, &nvl, &err), -EINVAL);
	tap_check(nvl == (struct nvlist *)&nvl);
	tap_check_has(err.text, why);
	free(exact);
}

static void
truncation_at_every_offset_is_refused(void)
{
	struct nvlist *nvl = must_create();
	struct buf b;

	tap_check_int(fill(nvl), 0);
	pack(nvl, &b);
	for (size_t n = 0; n < b.len; n++)
		check_refused((char *)b.data, n, "");
	nvlist_free(nvl);
	buf_fini(&b);
}

/* Every byte, several values: no crash, and what is accepted packs again. */
static void
mutations_do_no_harm(void)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct nvlist *nvl = must_create(), *back;
	uint8_t old, *copy;
	struct buf b, again;

	tap_check_int(fill(nvl), 0);
	pack(nvl, &b);
	copy = malloc(b.len);
	memcpy(copy, b.data, b.len);
	for (size_t i = 0; i < b.len; i++) {
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			old = copy[i];
			copy[i] = values[v];
			if (nvlist_unpack(copy, b.len, &back, NULL) == 0) {
				pack(back, &again);
				tap_check_u64(again.len, b.len);
				buf_fini(&again);
				nvlist_free(back);
			}
			copy[i] = old;
		}
	}
	free(copy);
	nvlist_free(nvl);
	buf_fini(&b);
}

static void
headers_are_checked(void)
{
	static const char why[] = "NV_ENCODE_XDR";

	check_refused(BYTES("\0\1\0\0" LIST END), why);
	check_refused(BYTES("\1\2\0\0" LIST END), why);
	check_refused(BYTES("\1\1\1\0" LIST END), why);
	check_refused(BYTES("\1\1\0\1" LIST END), why);
	check_refused(BYTES(HEADER "\0\0\0\1\0\0\0\1" END), "version");
	check_refused(BYTES(HEADER "\0\0\0\0\0\0\0\4" END), "flag");
	check_refused(BYTES(HEADER LIST END "\0"), "follows");
}

static void
pairs_are_checked(void)
{
	check_refused(
	    BYTES(HEADER LIST "\0\0\0\x10\0\0\0\x20\0\0\0\0" END), "size");
	check_refused(
	    BYTES(HEADER LIST "\xff\xff\xff\xf0\0\0\0\x20\0\0\0\1a\0\0\0" END),
	    "size");
	/* an empty name */
	check_refused(BYTES(HEADER LIST "\0\0\0\x18\0\0\0\x20\0\0\0\0"
					"\0\0\0\1\0\0\0\0\0\0\0\0" END),
	    "name");
	/* a zero byte in the name, then in the padding's place something */
	check_refused(BYTES(HEADER LIST "\0\0\0\x18\0\0\0\x18\0\0\0\2a\0\0\0"
					"\0\0\0\1\0\0\0\0" END),
	    "zero byte");
	check_refused(BYTES(HEADER LIST "\0\0\0\x18\0\0\0\x18\0\0\0\1a\0\1\0"
					"\0\0\0\1\0\0\0\0" END),
	    "padding");
	/* type 11, int16[] */
	check_refused(BYTES(HEADER LIST "\0\0\0\x18\0\0\0\x18\0\0\0\1a\0\0\0"
					"\0\0\0\x0b\0\0\0\0" END),
	    "type");
	/* a boolean with an element, a number with two */
	check_refused(BYTES(HEADER LIST "\0\0\0\x18\0\0\0\x18\0\0\0\1a\0\0\0"
					"\0\0\0\1\0\0\0\1" END),
	    "count");
	check_refused(BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0"
					"\0\0\0\6\0\0\0\2\0\0\0\1" END),
	    "count");
	/* a pair that ends before its size says */
	check_refused(BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x18\0\0\0\1a\0\0\0"
					"\0\0\0\1\0\0\0\0\0\0\0\0" END),
	    "shorter");
	/* a truth value of 2, an int16 of 65536 */
	check_refused(BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0"
					"\0\0\0\x15\0\0\0\1\0\0\0\2" END),
	    "range");
	check_refused(BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0"
					"\0\0\0\3\0\0\0\1\0\1\0\0" END),
	    "range");
}

/* Counts that would need gigabytes, in each array type. */
static void
huge_counts_are_refused(void)
{
	check_refused(
	    BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0"
			      "\0\0\0\x0a\xff\xff\xff\xff\0\0\0\0" END),
	    "length");
	check_refused(BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0"
					"\0\0\0\x10\x7f\xff\xff\xff\x7f\xff\xff"
					"\xff" END),
	    "count");
	check_refused(
	    BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0"
			      "\0\0\0\x11\x7f\xff\xff\xff\0\0\0\0" END),
	    "count");
	check_refused(
	    BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0"
			      "\0\0\0\x14\x7f\xff\xff\xff\0\0\0\0" END),
	    "count");
	/* a text of four gigabytes */
	check_refused(
	    BYTES(HEADER LIST "\0\0\0\x1c\0\0\0\x20\0\0\0\1a\0\0\0"
			      "\0\0\0\x09\0\0\0\1\xff\xff\xff\xff" END),
	    "length");
}

static void
repeated_names_are_refused(void)
{
#define PAIR_A "\0\0\0\x18\0\0\0\x18\0\0\0\1a\0\0\0\0\0\0\1\0\0\0\0"
#define PAIR_B "\0\0\0\x18\0\0\0\x18\0\0\0\1b\0\0\0\0\0\0\1\0\0\0\0"
	struct nvlist *nvl = NULL;

	check_refused(BYTES(HEADER LIST PAIR_A PAIR_B PAIR_A END), "repeated");
	/* Without NV_UNIQUE_NAME it may be. */
	tap_check_int(
	    nvlist_unpack(
		BYTES(HEADER "\0\0\0\0\0\0\0\0" PAIR_A PAIR_B PAIR_A END), &nvl,
		NULL),
	    0);
	tap_check_int(nvlist_remove(nvl, "a"), 0);
	tap_check_int(nvlist_remove(nvl, "a"), 0);
	tap_check_int(nvlist_remove(nvl, "a"), -ENOENT);
	nvlist_free(nvl);
}

/* Lists in lists, as deep as a megabyte allows. */
static void
depth_bomb_is_refused(void)
{
	const size_t levels = 30000;
	struct error err = ERROR_INIT;
	struct nvlist *nvl = NULL;
	struct buf b;

	buf_init(&b, 4 * MiB);
	buf_append(&b, BYTES(HEADER LIST));
	for (size_t i = 0; i < levels; i++) {
		buf_put_be32(&b, (uint32_t)((levels - i) * 40));
		buf_append(&b,
		    BYTES("\0\0\0\x30\0\0\0\1l\0\0\0\0\0\0\x13\0\0\0\1" LIST));
	}
	for (size_t i = 0; i <= levels; i++)
		buf_append(&b, BYTES(END));
	tap_check_int(buf_error(&b), 0);
	tap_check_int(nvlist_unpack(b.data, b.len, &nvl, &err), -EINVAL);
	tap_check_has(err.text, "nested too deep");
	buf_fini(&b);
}

static void
many_names_are_quick(void)
{
	struct nvlist *nvl = NULL;
	struct buf b;

	buf_init(&b, 4 * MiB);
	buf_append(&b, BYTES(HEADER LIST));
	for (unsigned i = 0; i < 40000; i++) {
		buf_append(&b, BYTES("\0\0\0\x1c\0\0\0\x18\0\0\0\5"));
		buf_printf(&b, "%05u", i);
		buf_append(&b, BYTES("\0\0\0\0\0\0\1\0\0\0\0"));
	}
	buf_append(&b, BYTES(END));
	tap_check_int(nvlist_unpack(b.data, b.len, &nvl, NULL), 0);
	nvlist_free(nvl);
	buf_fini(&b);
}

static void
pack_failure_leaves_the_buffer(void)
{
	struct nvlist *nvl = must_create();
	struct buf b;

	tap_check_int(fill(nvl), 0);
	for (size_t max = 4; max < 100; max += 7) {
		buf_init(&b, max);
		buf_append_str(&b, "abc");
		tap_check_int(nvlist_pack(nvl, &b), -ENOSPC);
		tap_check_u64(b.len, 3);
		buf_fini(&b);
	}
	nvlist_free(nvl);
}

/* ---- the Nth allocation fails, for every N ---- */

static int
build_pack_unpack(void)
{
	struct nvlist *nvl, *back = NULL;
	struct buf b;
	int rc;

	nvl = nvlist_create();
	if (nvl == NULL)
		return -ENOMEM;
	buf_init(&b, MiB);
	rc = fill(nvl);
	if (rc == 0)
		rc = nvlist_pack(nvl, &b);
	if (rc == 0)
		rc = nvlist_unpack(b.data, b.len, &back, NULL);
	if (rc == 0)
		check_filled(back);
	if (rc == 0)
		rc = nvlist_add_list(nvl, "copy", back);
	nvlist_free(back);
	nvlist_free(nvl);
	buf_fini(&b);
	return rc;
}

static void
every_allocation_may_fail(void)
{
	alloc_each_fails(build_pack_unpack, 30, 998);
}

static const struct tap_test tests[] = {
	TAP_TEST(every_type_is_stored),
	TAP_TEST(every_type_survives_packing),
	TAP_TEST(every_type_is_copied),
	TAP_TEST(values_have_one_type),
	TAP_TEST(look_up_minds_names_and_types),
	TAP_TEST(adding_again_replaces_and_moves),
	TAP_TEST(bad_additions_are_refused),
	TAP_TEST(nesting_is_limited),
	TAP_TEST(golden_empty),
	TAP_TEST(golden_numbers),
	TAP_TEST(golden_text_and_bytes),
	TAP_TEST(golden_nested),
	TAP_TEST(small_numbers_are_read),
	TAP_TEST(truncation_at_every_offset_is_refused),
	TAP_TEST(mutations_do_no_harm),
	TAP_TEST(headers_are_checked),
	TAP_TEST(pairs_are_checked),
	TAP_TEST(huge_counts_are_refused),
	TAP_TEST(repeated_names_are_refused),
	TAP_TEST(depth_bomb_is_refused),
	TAP_TEST(many_names_are_quick),
	TAP_TEST(pack_failure_leaves_the_buffer),
	TAP_TEST(every_allocation_may_fail),
};
TAP_MAIN(tests)
