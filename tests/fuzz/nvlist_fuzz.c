/*
 * The reader of packed lists. What it accepts must pack, read and pack again to
 * the same bytes, and must be refused or taken by the configuration tree
 * without harm.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/nvlist.h"

#define LIMIT (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk(const struct nvlist *nvl)
{
	const struct nvlist *const *lists, *list;
	const struct nvpair *pair = NULL;
	const char *const *strs, *str;
	size_t sum = 0;
	const uint64_t *u64s;
	const void *bytes;
	uint64_t v;
	size_t n;

	while ((pair = nvlist_next(nvl, pair)) != NULL) {
		sum += strlen(nvpair_name(pair));
		if (nvpair_get_u64(pair, &v) == 0)
			sum += v;
		else if (nvpair_get_str(pair, &str) == 0)
			sum += strlen(str);
		else if (nvpair_get_bytes(pair, &bytes, &n) == 0)
			sum += n > 0 ? ((const uint8_t *)bytes)[n - 1] : 0;
		else if (nvpair_get_u64s(pair, &u64s, &n) == 0)
			sum += n > 0 ? u64s[n - 1] : 0;
		else if (nvpair_get_strs(pair, &strs, &n) == 0)
			sum += n > 0 ? strlen(strs[n - 1]) : 0;
		else if (nvpair_get_list(pair, &list) == 0)
			walk(list);
		else if (nvpair_get_lists(pair, &lists, &n) == 0)
			while (n > 0)
				walk(lists[--n]);
	}
	/* the reads above are the test: they must happen */
	__asm__ volatile("" ::"r"(sum));
}

static void
configure(const struct nvlist *nvl)
{
	struct config_node *root = config_create();

	if (root != NULL)
		(void)config_from_nvlist(root, nvl, NULL);
	config_free(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nvlist *nvl = NULL, *again = NULL;
	struct error err = ERROR_INIT;
	struct buf a, b;

	if (nvlist_unpack(data, size, &nvl, &err) != 0) {
		if (nvl != NULL || err.code == 0 || err.text[0] == '\0')
			abort();
		return 0;
	}
	walk(nvl);
	configure(nvl);
	buf_init(&a, LIMIT);
	buf_init(&b, LIMIT);
	if (nvlist_pack(nvl, &a) == 0) {
		/* One form a list: sizes and padding leave no choice. */
		if (a.len != size ||
		    nvlist_unpack(a.data, a.len, &again, NULL) != 0 ||
		    nvlist_pack(again, &b) != 0 || a.len != b.len ||
		    memcmp(a.data, b.data, a.len) != 0)
			abort();
	}
	buf_fini(&a);
	buf_fini(&b);
	nvlist_free(nvl);
	nvlist_free(again);
	return 0;
}
