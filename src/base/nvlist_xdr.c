/*
 * The packed form of name-value lists, NV_ENCODE_XDR of libnvpair(3LIB):
 *
 *	header   encoding = 1, endianness of the writer, 0, 0    (one byte each)
 *	list     version = 0, flags, pair..., 0, 0
 *	pair     encoded size, decoded size, name, type, count, value
 *
 * All numbers are 32-bit big-endian unless the type is of 64 bits; texts and
 * byte arrays are padded to a multiple of four. The encoded size counts the
 * pair from its own first byte. The decoded size is what libnvpair allocates
 * for the pair, so it must be what libnvpair would have written.
 */
#include "base/nvlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/nvlist_impl.h"
#include "base/str.h"

#define XDR_ENCODING 1
#define XDR_LITTLE_ENDIAN 1

/* The least that a pair, a list, a text take; they bound counts. */
#define PAIR_MIN 24U
#define LIST_MIN 16U
#define TEXT_MIN 4U

/* Sizes of libnvpair's own structures: nvpair_t and nvlist_t. */
#define NVPAIR_SIZE 16U
#define NVLIST_SIZE 24U

/* ---- writing ---- */

/* Bytes of the value in libnvpair's memory. */
static uint64_t
decoded_value_size(const struct nvpair *pair)
{
	uint64_t n = pair->n, size;

	switch (pair->type) {
	case NV_BOOLEAN:
		return 0;
	case NV_BYTE:
		return 1;
	case NV_INT16:
	case NV_UINT16:
		return 2;
	case NV_BOOLEAN_VALUE:
	case NV_INT32:
	case NV_UINT32:
		return 4;
	case NV_INT64:
	case NV_UINT64:
		return 8;
	case NV_STRING:
		return strlen(pair->v.str) + 1;
	case NV_BYTE_ARRAY:
		return n;
	case NV_UINT64_ARRAY:
		return n * 8;
	case NV_STRING_ARRAY:
		size = n * 8;
		for (size_t i = 0; i < n; i++)
			size += strlen(pair->v.strs[i]) + 1;
		return size;
	case NV_NVLIST:
		return NVLIST_SIZE;
	case NV_NVLIST_ARRAY:
		return n * (8 + NVLIST_SIZE);
	}
	return 0;
}

static uint64_t
decoded_size(const struct nvpair *pair)
{
	uint64_t head = NVPAIR_SIZE + strlen(pair->name) + 1;

	return ROUND_UP(head, 8) + ROUND_UP(decoded_value_size(pair), 8);
}

static void
put_opaque(struct buf *b, const void *p, size_t n)
{
	buf_append(b, p, n);
	buf_append_zero(b, -n & 3);
}

static int
put_str(struct buf *b, const char *s)
{
	size_t n = strlen(s);

	if (n > INT32_MAX)
		return -E2BIG;
	buf_put_be32(b, (uint32_t)n);
	put_opaque(b, s, n);
	return 0;
}

/* How many elements a pair of this type has: 0 without value, 1, or n. */
static size_t
pair_count(const struct nvpair *pair)
{
	switch (pair->type) {
	case NV_BOOLEAN:
		return 0;
	case NV_BYTE_ARRAY:
	case NV_UINT64_ARRAY:
	case NV_STRING_ARRAY:
	case NV_NVLIST_ARRAY:
		return pair->n;
	case NV_BYTE:
	case NV_INT16:
	case NV_UINT16:
	case NV_INT32:
	case NV_UINT32:
	case NV_INT64:
	case NV_UINT64:
	case NV_STRING:
	case NV_NVLIST:
	case NV_BOOLEAN_VALUE:
		return 1;
	}
	return 1;
}

static int put_list(const struct nvlist *nvl, struct buf *b);

static int
put_value(const struct nvpair *pair, struct buf *b)
{
	int rc = 0;

	switch (pair->type) {
	case NV_BOOLEAN:
		break;
	case NV_BYTE:
		/* A signed character to libnvpair. */
		buf_put_be32(b, (uint32_t)(int8_t)pair->v.num);
		break;
	case NV_INT16:
	case NV_UINT16:
	case NV_INT32:
	case NV_UINT32:
	case NV_BOOLEAN_VALUE:
		buf_put_be32(b, (uint32_t)pair->v.num);
		break;
	case NV_INT64:
	case NV_UINT64:
		buf_put_be64(b, pair->v.num);
		break;
	case NV_STRING:
		rc = put_str(b, pair->v.str);
		break;
	case NV_BYTE_ARRAY:
		put_opaque(b, pair->v.bytes, pair->n);
		break;
	case NV_UINT64_ARRAY:
		/* An XDR array, hence counted once more. */
		buf_put_be32(b, (uint32_t)pair->n);
		for (size_t i = 0; i < pair->n; i++)
			buf_put_be64(b, pair->v.u64s[i]);
		break;
	case NV_STRING_ARRAY:
		for (size_t i = 0; rc == 0 && i < pair->n; i++)
			rc = put_str(b, pair->v.strs[i]);
		break;
	case NV_NVLIST:
		rc = put_list(pair->v.list, b);
		break;
	case NV_NVLIST_ARRAY:
		for (size_t i = 0; rc == 0 && i < pair->n; i++)
			rc = put_list(pair->v.lists[i], b);
		break;
	}
	return rc;
}

static int
put_pair(const struct nvpair *pair, struct buf *b)
{
	uint64_t decoded = decoded_size(pair);
	size_t start = b->len, count = pair_count(pair);
	int rc;

	if (decoded > INT32_MAX || count > INT32_MAX)
		return -E2BIG;
	buf_put_be32(b, 0); /* the encoded size, when it is known */
	buf_put_be32(b, (uint32_t)decoded);
	rc = put_str(b, pair->name);
	buf_put_be32(b, pair->type);
	buf_put_be32(b, (uint32_t)count);
	if (rc == 0)
		rc = put_value(pair, b);
	if (rc == 0)
		rc = buf_error(b);
	if (rc != 0)
		return rc;
	if (b->len - start > INT32_MAX)
		return -E2BIG;
	store_be32(b->data + start, (uint32_t)(b->len - start));
	return 0;
}

static int
put_list(const struct nvlist *nvl, struct buf *b)
{
	int rc = 0;

	buf_put_be32(b, 0); /* version */
	buf_put_be32(b, nvl->flags);
	for (const struct nvpair *pair = nvl->first; rc == 0 && pair != NULL;
	     pair = pair->next)
		rc = put_pair(pair, b);
	if (rc != 0)
		return rc;
	return buf_put_be64(b, 0);
}

int
nvlist_pack(const struct nvlist *nvl, struct buf *b)
{
	static const uint8_t header[4] = { XDR_ENCODING, XDR_LITTLE_ENDIAN };
	size_t before = b->len;
	int rc;

	buf_append(b, header, sizeof(header));
	rc = put_list(nvl, b);
	if (rc != 0)
		b->len = before;
	return rc;
}

/* ---- reading ---- */

struct reader {
	struct rd rd;
	const uint8_t *start;
	struct error *err;
};

static int
bad(const struct reader *r, const char *what)
{
	return error_set(r->err, EINVAL,
	    "malformed name-value list: %s at byte %zu", what,
	    (size_t)(r->rd.p - r->start));
}

static int
no_memory(const struct reader *r)
{
	return error_sys(r->err, ENOMEM, "cannot read a name-value list");
}

static int
take_u32(struct reader *r, uint32_t *ret)
{
	const uint8_t *p = rd_bytes(&r->rd, 4);

	if (p == NULL)
		return bad(r, "it ends too early");
	*ret = load_be32(p);
	return 0;
}

static int
take_u64(struct reader *r, uint64_t *ret)
{
	const uint8_t *p = rd_bytes(&r->rd, 8);

	if (p == NULL)
		return bad(r, "it ends too early");
	*ret = load_be64(p);
	return 0;
}

/* n bytes and their padding, which must be zero. */
static int
take_opaque(struct reader *r, size_t n, const uint8_t **ret)
{
	const uint8_t *p, *pad;
	size_t npad = -n & 3;

	if (n > rd_left(&r->rd) || npad > rd_left(&r->rd) - n)
		return bad(r, "a length goes beyond the end");
	p = rd_bytes(&r->rd, n);
	pad = rd_bytes(&r->rd, npad);
	for (size_t i = 0; i < npad; i++)
		if (pad[i] != 0)
			return bad(r, "padding is not zero");
	*ret = p;
	return 0;
}

/* A text, not NUL-terminated, but free of NUL bytes. */
static int
take_str(struct reader *r, const uint8_t **ret, size_t *ret_n)
{
	uint32_t n = 0;
	int rc;

	rc = take_u32(r, &n);
	if (rc == 0)
		rc = take_opaque(r, n, ret);
	if (rc != 0)
		return rc;
	if (n > 0 && memchr(*ret, 0, n) != NULL)
		return bad(r, "a text holds a zero byte");
	*ret_n = n;
	return 0;
}

static int
take_bytes(struct reader *r, struct nvpair *pair, size_t count)
{
	const uint8_t *p = NULL;
	int rc;

	rc = take_opaque(r, count, &p);
	if (rc != 0)
		return rc;
	pair->v.bytes = alloc_bytes(count);
	if (pair->v.bytes == NULL)
		return no_memory(r);
	if (count > 0)
		memcpy(pair->v.bytes, p, count);
	pair->n = count;
	return 0;
}

static int
take_u64s(struct reader *r, struct nvpair *pair, size_t count)
{
	uint32_t again = 0;
	int rc;

	rc = take_u32(r, &again);
	if (rc != 0)
		return rc;
	if (again != count || count > rd_left(&r->rd) / 8)
		return bad(r, "an array's count is wrong");
	pair->v.u64s = alloc_zero(count, sizeof(uint64_t));
	if (pair->v.u64s == NULL)
		return no_memory(r);
	pair->n = count;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = take_u64(r, &pair->v.u64s[i]);
	return rc;
}

/* Two passes: the first finds the size of the single allocation. */
static int
take_strs(struct reader *r, struct nvpair *pair, size_t count)
{
	struct reader probe = *r;
	const uint8_t *p = NULL;
	size_t size, n = 0;
	char *text;
	int rc = 0;

	if (count > rd_left(&r->rd) / TEXT_MIN)
		return bad(r, "an array's count is wrong");
	size = count * sizeof(char *);
	for (size_t i = 0; i < count; i++) {
		rc = take_str(&probe, &p, &n);
		if (rc != 0)
			return rc;
		size += n + 1;
	}
	pair->v.strs = alloc_bytes(size);
	if (pair->v.strs == NULL)
		return no_memory(r);
	text = (char *)(pair->v.strs + count);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = take_str(r, &p, &n);
		if (rc != 0)
			break;
		pair->v.strs[i] = text;
		if (n > 0)
			memcpy(text, p, n);
		text[n] = '\0';
		text += n + 1;
	}
	pair->n = count;
	return rc;
}

static int take_list(struct reader *r, unsigned depth, struct nvlist **ret);

static int
take_lists(struct reader *r, unsigned depth, struct nvpair *pair, size_t count)
{
	int rc = 0;

	if (count > rd_left(&r->rd) / LIST_MIN)
		return bad(r, "an array's count is wrong");
	pair->v.lists = alloc_zero(count, sizeof(struct nvlist *));
	if (pair->v.lists == NULL)
		return no_memory(r);
	pair->n = count;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = take_list(r, depth, &pair->v.lists[i]);
	return rc;
}

/* A number of up to 32 bits that must lie within its type. */
static int
take_small(struct reader *r, struct nvpair *pair, int64_t min, int64_t max)
{
	uint32_t raw = 0;
	int64_t v;
	int rc;

	rc = take_u32(r, &raw);
	if (rc != 0)
		return rc;
	v = min < 0 ? (int32_t)raw : (int64_t)raw;
	if (v < min || v > max)
		return bad(r, "a number is out of its type's range");
	pair->v.num = (uint64_t)v;
	return 0;
}

/* libnvpair sends a byte as a signed character. */
static int
take_byte(struct reader *r, struct nvpair *pair)
{
	int rc;

	rc = take_small(r, pair, INT8_MIN, UINT8_MAX);
	if (rc == 0)
		pair->v.num = (uint8_t)pair->v.num;
	return rc;
}

static int
take_text(struct reader *r, struct nvpair *pair)
{
	const uint8_t *p = NULL;
	size_t n = 0;
	int rc;

	rc = take_str(r, &p, &n);
	if (rc != 0)
		return rc;
	pair->v.str = alloc_bytes(n + 1);
	if (pair->v.str == NULL)
		return no_memory(r);
	if (n > 0)
		memcpy(pair->v.str, p, n);
	pair->v.str[n] = '\0';
	return 0;
}

/* depth: that of the list the pair is in. */
static int
take_value(struct reader *r, unsigned depth, struct nvpair *pair, size_t count)
{
	switch (pair->type) {
	case NV_BOOLEAN:
		pair->v.num = 1;
		return 0;
	case NV_BYTE:
		return take_byte(r, pair);
	case NV_INT16:
		return take_small(r, pair, INT16_MIN, INT16_MAX);
	case NV_UINT16:
		return take_small(r, pair, 0, UINT16_MAX);
	case NV_INT32:
		return take_small(r, pair, INT32_MIN, INT32_MAX);
	case NV_UINT32:
		return take_small(r, pair, 0, UINT32_MAX);
	case NV_BOOLEAN_VALUE:
		return take_small(r, pair, 0, 1);
	case NV_INT64:
	case NV_UINT64:
		return take_u64(r, &pair->v.num);
	case NV_STRING:
		return take_text(r, pair);
	case NV_BYTE_ARRAY:
		return take_bytes(r, pair, count);
	case NV_UINT64_ARRAY:
		return take_u64s(r, pair, count);
	case NV_STRING_ARRAY:
		return take_strs(r, pair, count);
	case NV_NVLIST:
		return take_list(r, depth + 1, &pair->v.list);
	case NV_NVLIST_ARRAY:
		return take_lists(r, depth + 1, pair, count);
	}
	return bad(r, "a type is not known");
}

static bool
type_known(uint32_t type)
{
	return (type >= NV_BOOLEAN && type <= NV_BYTE_ARRAY) ||
	    type == NV_UINT64_ARRAY || type == NV_STRING_ARRAY ||
	    type == NV_NVLIST || type == NV_NVLIST_ARRAY ||
	    type == NV_BOOLEAN_VALUE;
}

/* How deep lists are nested in a pair's value. */
static unsigned
pair_depth(const struct nvpair *pair)
{
	unsigned depth = 0;

	if (pair->type == NV_NVLIST)
		return pair->v.list->depth;
	if (pair->type == NV_NVLIST_ARRAY)
		for (size_t i = 0; i < pair->n; i++)
			depth = MAX(depth, pair->v.lists[i]->depth);
	return depth;
}

/* Name, type, count and value of a pair. */
static int
take_pair_rest(struct reader *r, unsigned depth, struct nvlist *nvl)
{
	const uint8_t *name = NULL;
	uint32_t type = 0, count = 0;
	struct nvpair *pair;
	size_t n = 0;
	int rc;

	rc = take_str(r, &name, &n);
	if (rc == 0 && (n == 0 || n > NVNAME_MAX))
		rc = bad(r, "a name is empty or too long");
	if (rc == 0)
		rc = take_u32(r, &type);
	if (rc == 0 && !type_known(type))
		rc = bad(r, "a type is not known");
	if (rc == 0)
		rc = take_u32(r, &count);
	if (rc != 0)
		return rc;
	pair = nvpair_create((const char *)name, n, type);
	if (pair == NULL)
		return no_memory(r);
	/* Where the type fixes the count, nothing else is accepted. */
	pair->n = count;
	if (pair_count(pair) != count)
		rc = bad(r, "a count does not fit the type");
	pair->n = 0;
	if (rc == 0)
		rc = take_value(r, depth, pair, count);
	if (rc != 0) {
		nvpair_free(pair);
		return rc;
	}
	nvl->depth = MAX(nvl->depth, 1 + pair_depth(pair));
	nvlist_append(nvl, pair);
	return 0;
}

/* 1: a pair was read; 0: the end of the list; negative errno. */
static int
take_pair(struct reader *r, unsigned depth, struct nvlist *nvl)
{
	const uint8_t *start = r->rd.p, *end = r->rd.end;
	uint32_t encoded = 0, decoded = 0;
	int rc;

	rc = take_u32(r, &encoded);
	if (rc == 0)
		rc = take_u32(r, &decoded);
	if (rc != 0)
		return rc;
	if (encoded == 0 && decoded == 0)
		return 0;
	if (encoded < PAIR_MIN || encoded > (size_t)(end - start) ||
	    decoded < NVPAIR_SIZE || decoded > INT32_MAX)
		return bad(r, "a pair's size is wrong");
	/* Within its own size, so that no pair reads into the next. */
	r->rd.end = start + encoded;
	rc = take_pair_rest(r, depth, nvl);
	if (rc == 0 && r->rd.p != r->rd.end)
		rc = bad(r, "a pair is shorter than its size");
	r->rd.end = end;
	return rc != 0 ? rc : 1;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, since a quadratic search is what a hostile writer hopes for. */
static int
check_unique(const struct reader *r, const struct nvlist *nvl, size_t n)
{
	const char **names;
	size_t i = 0;
	int rc = 0;

	if ((nvl->flags & NVFLAG_UNIQUE_NAME) == 0 || n < 2)
		return 0;
	names = alloc_zero(n, sizeof(*names));
	if (names == NULL)
		return no_memory(r);
	for (const struct nvpair *p = nvl->first; p != NULL; p = p->next)
		names[i++] = p->name;
	qsort(names, n, sizeof(*names), compare_names);
	for (i = 1; rc == 0 && i < n; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			rc = bad(r, "a name is repeated in the list that ends");
	free(names);
	return rc;
}

static int
take_list(struct reader *r, unsigned depth, struct nvlist **ret)
{
	uint32_t version = 0;
	struct nvlist *nvl;
	size_t n = 0;
	int rc;

	if (depth > NVLIST_MAX_DEPTH)
		return bad(r, "lists are nested too deep");
	nvl = nvlist_create();
	if (nvl == NULL)
		return no_memory(r);
	rc = take_u32(r, &version);
	if (rc == 0)
		rc = take_u32(r, &nvl->flags);
	if (rc == 0 && version != 0)
		rc = bad(r, "the version is not 0");
	if (rc == 0 &&
	    (nvl->flags & ~(NVFLAG_UNIQUE_NAME | NVFLAG_UNIQUE_NAME_TYPE)) != 0)
		rc = bad(r, "a flag is not known");
	while (rc == 0 && (rc = take_pair(r, depth, nvl)) == 1) {
		n++;
		rc = 0;
	}
	if (rc == 0)
		rc = check_unique(r, nvl, n);
	if (rc != 0) {
		nvlist_free(nvl);
		return rc;
	}
	*ret = nvl;
	return 0;
}

int
nvlist_unpack(
    const void *data, size_t n, struct nvlist **ret, struct error *err)
{
	struct reader r = { rd_make(data, n), data, err };
	struct nvlist *nvl = NULL;
	const uint8_t *header;
	int rc;

	header = rd_bytes(&r.rd, 4);
	if (header == NULL || header[0] != XDR_ENCODING ||
	    header[1] > XDR_LITTLE_ENDIAN || header[2] != 0 || header[3] != 0)
		return error_set(err, EINVAL,
		    "not a name-value list packed with NV_ENCODE_XDR");
	rc = take_list(&r, 1, &nvl);
	if (rc == 0 && rd_left(&r.rd) != 0)
		rc = bad(&r, "something follows the list");
	if (rc != 0) {
		nvlist_free(nvl);
		return rc;
	}
	*ret = nvl;
	return 0;
}
