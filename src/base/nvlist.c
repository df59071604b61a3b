/*
 * Name-value lists in memory. Lists are short and looked up by name a few times
 * each, so they are plain chains in order of addition.
 */
#include "base/nvlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/nvlist_impl.h"
#include "base/str.h"

struct nvlist *
nvlist_create(void)
{
	struct nvlist *nvl;

	nvl = alloc_zero(1, sizeof(*nvl));
	if (nvl == NULL)
		return NULL;
	nvl->last = &nvl->first;
	nvl->flags = NVFLAG_UNIQUE_NAME;
	nvl->depth = 1;
	return nvl;
}

struct nvpair *
nvpair_create(const char *name, size_t len, enum nv_type type)
{
	struct nvpair *pair;

	pair = alloc_zero(1, sizeof(*pair) + len + 1);
	if (pair == NULL)
		return NULL;
	memcpy(pair->name, name, len);
	pair->type = type;
	return pair;
}

void
nvpair_free(struct nvpair *pair)
{
	if (pair == NULL)
		return;
	switch (pair->type) {
	case NV_STRING:
		free(pair->v.str);
		break;
	case NV_BYTE_ARRAY:
		free(pair->v.bytes);
		break;
	case NV_UINT64_ARRAY:
		free(pair->v.u64s);
		break;
	case NV_STRING_ARRAY:
		free(pair->v.strs);
		break;
	case NV_NVLIST:
		nvlist_free(pair->v.list);
		break;
	case NV_NVLIST_ARRAY:
		for (size_t i = 0; pair->v.lists != NULL && i < pair->n; i++)
			nvlist_free(pair->v.lists[i]);
		free(pair->v.lists);
		break;
	case NV_BOOLEAN:
	case NV_BYTE:
	case NV_INT16:
	case NV_UINT16:
	case NV_INT32:
	case NV_UINT32:
	case NV_INT64:
	case NV_UINT64:
	case NV_BOOLEAN_VALUE:
		break;
	}
	free(pair);
}

/* Nesting is bounded by NVLIST_MAX_DEPTH, so recursion is as well. */
void
nvlist_free(struct nvlist *nvl)
{
	struct nvpair *pair, *next;

	if (nvl == NULL)
		return;
	for (pair = nvl->first; pair != NULL; pair = next) {
		next = pair->next;
		nvpair_free(pair);
	}
	free(nvl);
}

void
nvlist_append(struct nvlist *nvl, struct nvpair *pair)
{
	pair->next = NULL;
	*nvl->last = pair;
	nvl->last = &pair->next;
}

static struct nvpair *
nvlist_find(const struct nvlist *nvl, const char *name)
{
	struct nvpair *pair;

	for (pair = nvl->first; pair != NULL; pair = pair->next)
		if (strcmp(pair->name, name) == 0)
			return pair;
	return NULL;
}

int
nvlist_remove(struct nvlist *nvl, const char *name)
{
	struct nvpair **link = &nvl->first, *pair;

	while ((pair = *link) != NULL && strcmp(pair->name, name) != 0)
		link = &pair->next;
	if (pair == NULL)
		return -ENOENT;
	*link = pair->next;
	if (nvl->last == &pair->next)
		nvl->last = link;
	nvpair_free(pair);
	return 0;
}

/* The checks and the allocation that all additions begin with. */
static int
nvlist_begin(const char *name, enum nv_type type, struct nvpair **ret)
{
	size_t len = strnlen(name, NVNAME_MAX + 1);

	if (len == 0 || len > NVNAME_MAX)
		return -EINVAL;
	*ret = nvpair_create(name, len, type);
	return *ret != NULL ? 0 : -ENOMEM;
}

static void
nvlist_commit(struct nvlist *nvl, struct nvpair *pair)
{
	while (nvlist_remove(nvl, pair->name) == 0)
		continue;
	nvlist_append(nvl, pair);
}

static int
nvlist_add_num(
    struct nvlist *nvl, const char *name, enum nv_type type, uint64_t v)
{
	struct nvpair *pair = NULL;
	int rc;

	rc = nvlist_begin(name, type, &pair);
	if (rc != 0)
		return rc;
	pair->v.num = v;
	nvlist_commit(nvl, pair);
	return 0;
}

int
nvlist_add_boolean(struct nvlist *nvl, const char *name)
{
	return nvlist_add_num(nvl, name, NV_BOOLEAN, 1);
}

int
nvlist_add_bool(struct nvlist *nvl, const char *name, bool v)
{
	return nvlist_add_num(nvl, name, NV_BOOLEAN_VALUE, v);
}

int
nvlist_add_i64(struct nvlist *nvl, const char *name, int64_t v)
{
	return nvlist_add_num(nvl, name, NV_INT64, (uint64_t)v);
}

int
nvlist_add_u64(struct nvlist *nvl, const char *name, uint64_t v)
{
	return nvlist_add_num(nvl, name, NV_UINT64, v);
}

int
nvlist_add_u32(struct nvlist *nvl, const char *name, uint32_t v)
{
	return nvlist_add_num(nvl, name, NV_UINT32, v);
}

int
nvlist_add_str(struct nvlist *nvl, const char *name, const char *v)
{
	struct nvpair *pair = NULL;
	int rc;

	rc = nvlist_begin(name, NV_STRING, &pair);
	if (rc != 0)
		return rc;
	pair->v.str = alloc_strdup(v);
	if (pair->v.str == NULL) {
		nvpair_free(pair);
		return -ENOMEM;
	}
	nvlist_commit(nvl, pair);
	return 0;
}

int
nvlist_add_bytes(struct nvlist *nvl, const char *name, const void *v, size_t n)
{
	struct nvpair *pair = NULL;
	int rc;

	rc = nvlist_begin(name, NV_BYTE_ARRAY, &pair);
	if (rc != 0)
		return rc;
	pair->v.bytes = alloc_bytes(n);
	if (pair->v.bytes == NULL) {
		nvpair_free(pair);
		return -ENOMEM;
	}
	if (n > 0)
		memcpy(pair->v.bytes, v, n);
	pair->n = n;
	nvlist_commit(nvl, pair);
	return 0;
}

int
nvlist_add_u64s(
    struct nvlist *nvl, const char *name, const uint64_t *v, size_t n)
{
	struct nvpair *pair = NULL;
	int rc;

	rc = nvlist_begin(name, NV_UINT64_ARRAY, &pair);
	if (rc != 0)
		return rc;
	pair->v.u64s = alloc_zero(n, sizeof(*v));
	if (pair->v.u64s == NULL) {
		nvpair_free(pair);
		return -ENOMEM;
	}
	if (n > 0)
		memcpy(pair->v.u64s, v, n * sizeof(*v));
	pair->n = n;
	nvlist_commit(nvl, pair);
	return 0;
}

/* Copy n texts into one allocation that begins with their pointers. */
static int
strs_copy(const char *const *v, size_t n, char ***ret)
{
	size_t size, len;
	char **strs, *p;

	if (__builtin_mul_overflow(n, sizeof(*strs), &size))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (v[i] == NULL)
			return -EINVAL;
		if (__builtin_add_overflow(size, strlen(v[i]) + 1, &size))
			return -ENOMEM;
	}
	strs = alloc_bytes(size);
	if (strs == NULL)
		return -ENOMEM;
	p = (char *)(strs + n);
	for (size_t i = 0; i < n; i++) {
		len = strlen(v[i]) + 1;
		strs[i] = memcpy(p, v[i], len);
		p += len;
	}
	*ret = strs;
	return 0;
}

int
nvlist_add_strs(
    struct nvlist *nvl, const char *name, const char *const *v, size_t n)
{
	struct nvpair *pair = NULL;
	int rc;

	rc = nvlist_begin(name, NV_STRING_ARRAY, &pair);
	if (rc != 0)
		return rc;
	rc = strs_copy(v, n, &pair->v.strs);
	if (rc != 0) {
		nvpair_free(pair);
		return rc;
	}
	pair->n = n;
	nvlist_commit(nvl, pair);
	return 0;
}

static int nvlist_copy_pair(struct nvlist *nvl, const struct nvpair *pair);

static int
nvlist_copy(const struct nvlist *from, struct nvlist **ret)
{
	const struct nvpair *pair;
	struct nvlist *nvl;
	int rc = 0;

	nvl = nvlist_create();
	if (nvl == NULL)
		return -ENOMEM;
	nvl->flags = from->flags;
	for (pair = from->first; rc == 0 && pair != NULL; pair = pair->next)
		rc = nvlist_copy_pair(nvl, pair);
	if (rc != 0) {
		nvlist_free(nvl);
		return rc;
	}
	nvl->depth = from->depth;
	*ret = nvl;
	return 0;
}

static int
lists_copy(const struct nvlist *const *v, size_t n, struct nvlist ***ret)
{
	struct nvlist **lists;
	size_t done;
	int rc = 0;

	lists = alloc_zero(n, sizeof(*lists));
	if (lists == NULL)
		return -ENOMEM;
	for (done = 0; rc == 0 && done < n; done++)
		rc = nvlist_copy(v[done], &lists[done]);
	if (rc != 0) {
		for (size_t i = 0; i < done; i++)
			nvlist_free(lists[i]);
		free(lists);
		return rc;
	}
	*ret = lists;
	return 0;
}

/* Append a copy of a pair, whatever its name: the copied list has its rules. */
static int
nvlist_copy_pair(struct nvlist *nvl, const struct nvpair *from)
{
	struct nvpair *pair;
	int rc = 0;

	pair = nvpair_create(from->name, strlen(from->name), from->type);
	if (pair == NULL)
		return -ENOMEM;
	switch (from->type) {
	case NV_STRING:
		pair->v.str = alloc_strdup(from->v.str);
		rc = pair->v.str != NULL ? 0 : -ENOMEM;
		break;
	case NV_BYTE_ARRAY:
		pair->v.bytes = alloc_bytes(from->n);
		if (pair->v.bytes == NULL)
			rc = -ENOMEM;
		else if (from->n > 0)
			memcpy(pair->v.bytes, from->v.bytes, from->n);
		break;
	case NV_UINT64_ARRAY:
		pair->v.u64s = alloc_zero(from->n, sizeof(uint64_t));
		if (pair->v.u64s == NULL)
			rc = -ENOMEM;
		else if (from->n > 0)
			memcpy(pair->v.u64s, from->v.u64s,
			    from->n * sizeof(uint64_t));
		break;
	case NV_STRING_ARRAY:
		rc = strs_copy(
		    (const char *const *)from->v.strs, from->n, &pair->v.strs);
		break;
	case NV_NVLIST:
		rc = nvlist_copy(from->v.list, &pair->v.list);
		break;
	case NV_NVLIST_ARRAY:
		rc = lists_copy((const struct nvlist *const *)from->v.lists,
		    from->n, &pair->v.lists);
		break;
	case NV_BOOLEAN:
	case NV_BYTE:
	case NV_INT16:
	case NV_UINT16:
	case NV_INT32:
	case NV_UINT32:
	case NV_INT64:
	case NV_UINT64:
	case NV_BOOLEAN_VALUE:
		pair->v.num = from->v.num;
		break;
	}
	if (rc != 0) {
		/* n is still 0: nothing of a failed array is freed twice. */
		nvpair_free(pair);
		return rc;
	}
	pair->n = from->n;
	nvlist_append(nvl, pair);
	return 0;
}

int
nvlist_add_list(struct nvlist *nvl, const char *name, const struct nvlist *v)
{
	struct nvpair *pair = NULL;
	unsigned depth = v->depth + 1;
	int rc;

	if (depth > NVLIST_MAX_DEPTH)
		return -EINVAL;
	rc = nvlist_begin(name, NV_NVLIST, &pair);
	if (rc != 0)
		return rc;
	rc = nvlist_copy(v, &pair->v.list);
	if (rc != 0) {
		nvpair_free(pair);
		return rc;
	}
	nvlist_commit(nvl, pair);
	nvl->depth = MAX(nvl->depth, depth);
	return 0;
}

int
nvlist_add_lists(struct nvlist *nvl, const char *name,
    const struct nvlist *const *v, size_t n)
{
	struct nvpair *pair = NULL;
	unsigned depth = 1;
	int rc;

	for (size_t i = 0; i < n; i++) {
		if (v[i] == NULL)
			return -EINVAL;
		depth = MAX(depth, v[i]->depth + 1);
	}
	if (depth > NVLIST_MAX_DEPTH)
		return -EINVAL;
	rc = nvlist_begin(name, NV_NVLIST_ARRAY, &pair);
	if (rc != 0)
		return rc;
	rc = lists_copy(v, n, &pair->v.lists);
	if (rc != 0) {
		nvpair_free(pair);
		return rc;
	}
	pair->n = n;
	nvlist_commit(nvl, pair);
	nvl->depth = MAX(nvl->depth, depth);
	return 0;
}

/* The pair of that name and type. */
static int
nvlist_get(const struct nvlist *nvl, const char *name, enum nv_type type,
    const struct nvpair **ret)
{
	const struct nvpair *pair = nvlist_find(nvl, name);

	if (pair == NULL)
		return -ENOENT;
	if (pair->type != type)
		return -EINVAL;
	*ret = pair;
	return 0;
}

int
nvlist_get_bool(const struct nvlist *nvl, const char *name, bool *ret)
{
	const struct nvpair *pair = NULL;
	int rc;

	rc = nvlist_get(nvl, name, NV_BOOLEAN_VALUE, &pair);
	if (rc == -EINVAL)
		rc = nvlist_get(nvl, name, NV_BOOLEAN, &pair);
	if (rc == 0)
		*ret = pair->v.num != 0;
	return rc;
}

#define NVLIST_GET(name, type, ctype, member)                      \
	int nvlist_get_##name(                                     \
	    const struct nvlist *nvl, const char *key, ctype *ret) \
	{                                                          \
		const struct nvpair *pair = NULL;                  \
		int rc = nvlist_get(nvl, key, type, &pair);        \
                                                                   \
		if (rc == 0)                                       \
			*ret = (ctype)pair->v.member;              \
		return rc;                                         \
	}
NVLIST_GET(u64, NV_UINT64, uint64_t, num)
NVLIST_GET(i64, NV_INT64, int64_t, num)
NVLIST_GET(str, NV_STRING, const char *, str)
NVLIST_GET(list, NV_NVLIST, const struct nvlist *, list)

#define NVLIST_GET_ARRAY(name, type, ctype)                                \
	int nvlist_get_##name(const struct nvlist *nvl, const char *key,   \
	    ctype **ret, size_t *ret_n)                                    \
	{                                                                  \
		const struct nvpair *pair = NULL;                          \
		int rc = nvlist_get(nvl, key, type, &pair);                \
                                                                           \
		return rc == 0 ? nvpair_get_##name(pair, ret, ret_n) : rc; \
	}
NVLIST_GET_ARRAY(strs, NV_STRING_ARRAY, const char *const)
NVLIST_GET_ARRAY(u64s, NV_UINT64_ARRAY, const uint64_t)
NVLIST_GET_ARRAY(lists, NV_NVLIST_ARRAY, const struct nvlist *const)

const struct nvpair *
nvlist_next(const struct nvlist *nvl, const struct nvpair *pair)
{
	return pair == NULL ? nvl->first : pair->next;
}

const char *
nvpair_name(const struct nvpair *pair)
{
	return pair->name;
}

enum nv_type
nvpair_type(const struct nvpair *pair)
{
	return pair->type;
}

int
nvpair_get_u64(const struct nvpair *pair, uint64_t *ret)
{
	bool is_signed = pair->type == NV_INT16 || pair->type == NV_INT32 ||
	    pair->type == NV_INT64;

	if (!is_signed && pair->type != NV_BYTE && pair->type != NV_UINT16 &&
	    pair->type != NV_UINT32 && pair->type != NV_UINT64)
		return -EINVAL;
	if (is_signed && (int64_t)pair->v.num < 0)
		return -ERANGE;
	*ret = pair->v.num;
	return 0;
}

int
nvpair_get_str(const struct nvpair *pair, const char **ret)
{
	if (pair->type != NV_STRING)
		return -EINVAL;
	*ret = pair->v.str;
	return 0;
}

int
nvpair_get_list(const struct nvpair *pair, const struct nvlist **ret)
{
	if (pair->type != NV_NVLIST)
		return -EINVAL;
	*ret = pair->v.list;
	return 0;
}

int
nvpair_get_bytes(const struct nvpair *pair, const void **ret, size_t *ret_n)
{
	if (pair->type != NV_BYTE_ARRAY)
		return -EINVAL;
	*ret = pair->v.bytes;
	*ret_n = pair->n;
	return 0;
}

int
nvpair_get_u64s(const struct nvpair *pair, const uint64_t **ret, size_t *ret_n)
{
	if (pair->type != NV_UINT64_ARRAY)
		return -EINVAL;
	*ret = pair->v.u64s;
	*ret_n = pair->n;
	return 0;
}

int
nvpair_get_strs(
    const struct nvpair *pair, const char *const **ret, size_t *ret_n)
{
	if (pair->type != NV_STRING_ARRAY)
		return -EINVAL;
	*ret = (const char *const *)pair->v.strs;
	*ret_n = pair->n;
	return 0;
}

int
nvpair_get_lists(
    const struct nvpair *pair, const struct nvlist *const **ret, size_t *ret_n)
{
	if (pair->type != NV_NVLIST_ARRAY)
		return -EINVAL;
	*ret = (const struct nvlist *const *)pair->v.lists;
	*ret_n = pair->n;
	return 0;
}
