/*
 * Name-value lists as illumos packs them: encoding NV_ENCODE_XDR (RFC 4506
 * beneath it), readable by libnvpair(3LIB) and writable for it. zonecfg's world
 * and the machine meet in this form.
 *
 * The reader takes hostile input: every length is checked against what is
 * left, nesting is at most NVLIST_MAX_DEPTH, an nvlist with NV_UNIQUE_NAME and
 * a repeated name is refused, total memory is bounded by the input's length.
 */
#ifndef BASE_NVLIST_H
#define BASE_NVLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define NVLIST_MAX_DEPTH 16

/* Values of data_type_t in sys/nvpair.h. */
enum nv_type {
	NV_BOOLEAN = 1, /* present or absent, no value */
	NV_BYTE = 2,
	NV_INT16 = 3,
	NV_UINT16 = 4,
	NV_INT32 = 5,
	NV_UINT32 = 6,
	NV_INT64 = 7,
	NV_UINT64 = 8,
	NV_STRING = 9,
	NV_BYTE_ARRAY = 10,
	NV_UINT64_ARRAY = 16,
	NV_STRING_ARRAY = 17,
	NV_NVLIST = 19,
	NV_NVLIST_ARRAY = 20,
	NV_BOOLEAN_VALUE = 21,
};

struct nvlist; /* owns its pairs */
struct nvpair; /* borrowed from its list, valid until it changes */

struct nvlist *nvlist_create(void); /* unique names; NULL when out of memory */
void nvlist_free(struct nvlist *nvl); /* NULL is allowed */

/*
 * Add or replace (a replaced pair moves to the end, as in libnvpair); values
 * are copied. 0, -ENOMEM, -EINVAL: an empty or overlong name, a NULL element,
 * nesting beyond NVLIST_MAX_DEPTH.
 */
int nvlist_add_boolean(struct nvlist *nvl, const char *name);
int nvlist_add_bool(struct nvlist *nvl, const char *name, bool v);
int nvlist_add_i64(struct nvlist *nvl, const char *name, int64_t v);
int nvlist_add_u64(struct nvlist *nvl, const char *name, uint64_t v);
int nvlist_add_u32(struct nvlist *nvl, const char *name, uint32_t v);
int nvlist_add_str(struct nvlist *nvl, const char *name, const char *v);
int
nvlist_add_bytes(struct nvlist *nvl, const char *name, const void *v, size_t n);
int nvlist_add_u64s(
    struct nvlist *nvl, const char *name, const uint64_t *v, size_t n);
int nvlist_add_strs(
    struct nvlist *nvl, const char *name, const char *const *v, size_t n);
int
nvlist_add_list(struct nvlist *nvl, const char *name, const struct nvlist *v);
int nvlist_add_lists(struct nvlist *nvl, const char *name,
    const struct nvlist *const *v, size_t n);
int nvlist_remove(struct nvlist *nvl, const char *name); /* -ENOENT */

/*
 * Look up by name and exact type: -ENOENT, -EINVAL (other type). An NV_BOOLEAN
 * that is there reads as true.
 */
int nvlist_get_bool(const struct nvlist *nvl, const char *name, bool *ret);
int nvlist_get_u64(const struct nvlist *nvl, const char *name, uint64_t *ret);
int nvlist_get_i64(const struct nvlist *nvl, const char *name, int64_t *ret);
int
nvlist_get_str(const struct nvlist *nvl, const char *name, const char **ret);
int nvlist_get_list(
    const struct nvlist *nvl, const char *name, const struct nvlist **ret);

/* Arrays, borrowed from the list. */
int nvlist_get_strs(const struct nvlist *nvl, const char *name,
    const char *const **ret, size_t *ret_n);
int nvlist_get_u64s(const struct nvlist *nvl, const char *name,
    const uint64_t **ret, size_t *ret_n);
int nvlist_get_lists(const struct nvlist *nvl, const char *name,
    const struct nvlist *const **ret, size_t *ret_n);
/* Iterate in order of addition: pass NULL first; NULL at the end. */
const struct nvpair *
nvlist_next(const struct nvlist *nvl, const struct nvpair *pair);
const char *nvpair_name(const struct nvpair *pair);
enum nv_type nvpair_type(const struct nvpair *pair);
/* Any integer type; -ERANGE when it is negative. */
int nvpair_get_u64(const struct nvpair *pair, uint64_t *ret);
int nvpair_get_str(const struct nvpair *pair, const char **ret);
int nvpair_get_list(const struct nvpair *pair, const struct nvlist **ret);
int
nvpair_get_bytes(const struct nvpair *pair, const void **ret, size_t *ret_n);
int
nvpair_get_u64s(const struct nvpair *pair, const uint64_t **ret, size_t *ret_n);
int nvpair_get_strs(
    const struct nvpair *pair, const char *const **ret, size_t *ret_n);
int nvpair_get_lists(
    const struct nvpair *pair, const struct nvlist *const **ret, size_t *ret_n);

/*
 * Append the packed form (4-byte header, then XDR) to b. On failure b's length
 * is unchanged.
 */
int nvlist_pack(const struct nvlist *nvl, struct buf *b);
/*
 * The whole of data must be one packed list. Types that enum nv_type lacks are
 * refused.
 */
int nvlist_unpack(
    const void *data, size_t n, struct nvlist **ret, struct error *err);

#endif
