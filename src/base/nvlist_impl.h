/*
 * Inside of nvlist*.c only.
 */
#ifndef BASE_NVLIST_IMPL_H
#define BASE_NVLIST_IMPL_H

#include "base/nvlist.h"

/* nvl_nvflag */
#define NVFLAG_UNIQUE_NAME 1U
#define NVFLAG_UNIQUE_NAME_TYPE 2U

/* libnvpair counts a name and its NUL in 16 signed bits. */
#define NVNAME_MAX 32766

struct nvpair {
	struct nvpair *next;
	enum nv_type type;
	size_t n; /* elements of an array, bytes of NV_BYTE_ARRAY */
	union {
		uint64_t num; /* all integers (sign-extended) and booleans */
		char *str;
		uint8_t *bytes;
		uint64_t *u64s;
		char **strs; /* pointers and texts in one allocation */
		struct nvlist *list;
		struct nvlist **lists;
	} v;
	char name[];
};

struct nvlist {
	struct nvpair *first;
	struct nvpair **last;
	uint32_t flags;
	unsigned depth; /* 1 + the deepest list ever added */
};

/* A pair with the name of len bytes, no value yet; NULL when out of memory. */
struct nvpair *nvpair_create(const char *name, size_t len, enum nv_type type);
void nvpair_free(struct nvpair *pair); /* NULL is allowed */
/* Put at the end; no look for the name. */
void nvlist_append(struct nvlist *nvl, struct nvpair *pair);

#endif
