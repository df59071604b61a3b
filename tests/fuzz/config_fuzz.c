/*
 * Configuration files: reading, checking against a table with every type,
 * expanding, dumping, and the way through a packed list and back.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/fd.h"

#define LIMIT (64U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_key keys[] = {
	{ "name", CONFIG_STRING, "vm", NULL, 0, "" },
	{ "cpus", CONFIG_UINT, "1", "1..128", 0, "" },
	{ "memory.size", CONFIG_SIZE, "256M", "1M..1T", 1 << 20, "" },
	{ "acpi", CONFIG_BOOL, "true", NULL, 0, "" },
	{ "aio", CONFIG_ENUM, "auto", "auto|threads", 0, "" },
	{ "mac", CONFIG_MAC, NULL, NULL, 0, "" },
	{ "uuid", CONFIG_UUID, NULL, NULL, 0, "" },
	{ "pci.0.*.*.path", CONFIG_PATH, "/%(name)", NULL, 0, "" },
	{ NULL },
};
static const struct config_key *const tables[] = { keys, NULL };
static const char *const skip[] = { "skip.*", NULL };

static int
load(struct config_node *root, const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	char path[64];
	int fd, rc;

	fd = fd_memfd("config", 0, 0);
	if (fd < 0 || fd_write_all(fd, data, size) != 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = config_load_file(root, path, &err);
	close(fd);
	if (rc != -err.code || (rc != 0 && err.text[0] == '\0'))
		abort();
	return rc;
}

static void
read_all(const struct config_node *root)
{
	struct error err = ERROR_INIT;
	char *text = NULL;
	bool flag;
	uint64_t v;

	if (config_get_str(root, keys, "name", &text, &err) == 0)
		free(text);
	if (config_get_str(root, keys, "pci.0.1.2.path", &text, &err) == 0)
		free(text);
	if (config_get_uint(root, keys, "cpus", &v, &err) == 0 &&
	    (v < 1 || v > 128))
		abort();
	(void)config_get_uint(root, keys, "memory.size", &v, &err);
	(void)config_get_bool(root, keys, "acpi", &flag, &err);
	if (config_get_uint(root, keys, "aio", &v, &err) == 0 && v > 1)
		abort();
}

/* What a list carries over is the same tree. */
static void
through_a_list(const struct config_node *root)
{
	struct config_node *copy = config_create();
	struct nvlist *nvl = NULL, *again = NULL;
	struct buf a, b;

	buf_init(&a, LIMIT);
	buf_init(&b, LIMIT);
	if (copy == NULL || config_to_nvlist(root, &nvl) != 0 ||
	    nvlist_pack(nvl, &a) != 0 ||
	    nvlist_unpack(a.data, a.len, &again, NULL) != 0 ||
	    config_from_nvlist(copy, again, NULL) != 0)
		abort();
	nvlist_free(nvl);
	if (config_to_nvlist(copy, &nvl) != 0 || nvlist_pack(nvl, &b) != 0 ||
	    a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
		abort();
	nvlist_free(nvl);
	nvlist_free(again);
	config_free(copy);
	buf_fini(&a);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_node *root = config_create();
	struct error err = ERROR_INIT;
	struct buf b;

	if (root == NULL)
		return 0;
	/* A refused file leaves the lines before the bad one. */
	(void)load(root, data, size);
	(void)config_check(root, tables, skip, &err);
	read_all(root);
	buf_init(&b, LIMIT);
	(void)config_dump(root, &b);
	buf_fini(&b);
	through_a_list(root);
	config_free(root);
	return 0;
}
