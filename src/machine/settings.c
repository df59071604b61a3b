#include "machine/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "machine/schema.h"

/* ---- CPUs ---- */

int
settings_topology(
    const struct config_node *root, struct cpu_topology *ret, struct error *err)
{
	bool has_cpus = config_get_raw(root, "cpus") != NULL;
	bool has_sockets = config_get_raw(root, "sockets") != NULL;
	uint64_t cpus, sockets = 1, cores, threads;
	int rc;

	rc = config_get_uint(root, schema_top_keys, "cpus", &cpus, err);
	if (rc == 0 && has_sockets)
		rc = config_get_uint(
		    root, schema_top_keys, "sockets", &sockets, err);
	if (rc == 0)
		rc = config_get_uint(
		    root, schema_top_keys, "cores", &cores, err);
	if (rc == 0)
		rc = config_get_uint(
		    root, schema_top_keys, "threads", &threads, err);
	if (rc < 0)
		return rc;
	if (has_cpus && !has_sockets && cpus % (cores * threads) == 0)
		sockets = cpus / (cores * threads);
	if (!has_cpus)
		cpus = sockets * cores * threads;
	if (cpus != sockets * cores * threads)
		return error_set(err, EINVAL,
		    "-c cpus=%ju,sockets=%ju,cores=%ju,threads=%ju: %ju CPUs "
		    "are not sockets x cores x threads",
		    (uintmax_t)cpus, (uintmax_t)sockets, (uintmax_t)cores,
		    (uintmax_t)threads, (uintmax_t)cpus);
	if (cpus > MACHINE_MAX_VCPUS)
		return error_set(err, ERANGE, "-c cpus=%ju: at most %u CPUs",
		    (uintmax_t)cpus, MACHINE_MAX_VCPUS);
	*ret = (struct cpu_topology){ (unsigned)cpus, (unsigned)sockets,
		(unsigned)cores, (unsigned)threads };
	return 0;
}

/* ---- memory ---- */

int
settings_memory(const struct config_node *root, struct vm_mem_config *ret,
    struct error *err)
{
	/* in the order of the alternatives of memory.hugepages */
	static const uint64_t page_sizes[] = { 0, 2 * MiB, GiB };
	const struct config_key *keys = schema_memory_keys;
	struct vm_mem_config conf = { 0 };
	uint64_t page;
	int rc;

	rc = config_get_uint(root, keys, "memory.size", &conf.size, err);
	if (rc == 0)
		rc =
		    config_get_uint(root, keys, "memory.hugepages", &page, err);
	if (rc == 0)
		rc = config_get_bool(
		    root, keys, "memory.wired", &conf.wired, err);
	if (rc == 0)
		rc = config_get_bool(
		    root, keys, "memory.guest_in_core", &conf.in_core, err);
	if (rc == 0)
		rc = config_get_bool(
		    root, keys, "memory.overcommit", &conf.overcommit, err);
	if (rc < 0)
		return rc;
	conf.page_size = page_sizes[page];
	if (conf.size == 0 || conf.size % MiB != 0)
		return error_set(err, EINVAL,
		    "-m: %ju bytes of memory; a multiple of 1M, at least 1M, "
		    "is needed",
		    (uintmax_t)conf.size);
	*ret = conf;
	return 0;
}

/* ---- UUID ---- */

/* FNV-1a, 64 bits: stable across hosts and releases, nothing secret in it. */
static uint64_t
fnv1a(uint64_t hash, const char *text)
{
	do {
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	} while (*text++ != '\0');
	return hash;
}

/* RFC 9562 version 8: a UUID by a rule of our own. */
static void
make_uuid(const char *vmname, uint8_t ret[16])
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	for (unsigned half = 0; half < 2; half++) {
		uint64_t h = fnv1a(UINT64_C(0xcbf29ce484222325) + half, host);

		store_be64(ret + 8 * half, fnv1a(h, vmname));
	}
	ret[6] = (uint8_t)(0x80 | (ret[6] & 0x0f));
	ret[8] = (uint8_t)(0x80 | (ret[8] & 0x3f));
}

int
settings_uuid(
    const struct config_node *root, uint8_t ret[16], struct error *err)
{
	cleanup_free char *text = NULL;
	int rc = config_get_str(root, schema_top_keys, "uuid", &text, err);

	if (rc == 0) {
		rc = str_to_uuid(text, ret);
		return rc < 0 ? error_set(err, -rc, "-U %s: not a UUID", text)
			      : 0;
	}
	if (rc != -ENOENT)
		return rc;
	rc = config_get_str(root, schema_top_keys, "name", &text, err);
	if (rc == 0)
		make_uuid(text, ret);
	return rc;
}

/* ---- PCI nodes ---- */

struct pci_entry {
	struct pci_addr addr;
	const struct config_node *node;
};

struct pci_list {
	struct pci_entry *entry;
	size_t n;
};

/* A child's name as a number without leading zeros, or an error. */
static int
node_number(const struct config_node *node, unsigned max, uint8_t *ret,
    struct error *err)
{
	const char *name = config_name(node);
	char path[128];
	uint64_t v;

	if (config_is_value(node))
		return error_set(err, EINVAL,
		    "unknown configuration key '%s'; PCI devices are "
		    "pci.bus.slot.function",
		    config_path(node, path, sizeof(path)));
	if (str_to_u64(name, 0, max, &v) < 0 ||
	    (name[0] == '0' && name[1] != '\0'))
		return error_set(err, EINVAL, "%s: '%s' is not 0 to %u",
		    config_path(node, path, sizeof(path)), name, max);
	*ret = (uint8_t)v;
	return 0;
}

static int
list_add(struct pci_list *list, struct pci_addr addr,
    const struct config_node *node, struct error *err)
{
	struct pci_entry *p =
	    alloc_resize(list->entry, list->n + 1, sizeof(*p));

	if (p == NULL)
		return error_sys(err, ENOMEM, "PCI devices");
	list->entry = p;
	p[list->n++] = (struct pci_entry){ addr, node };
	return 0;
}

static int
list_slot(struct pci_list *list, struct pci_addr addr,
    const struct config_node *slot, struct error *err)
{
	const struct config_node *func = NULL;
	int rc;

	while ((func = config_next(slot, func)) != NULL) {
		rc = node_number(func, 7, &addr.func, err);
		if (rc == 0)
			rc = list_add(list, addr, func, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
list_buses(
    struct pci_list *list, const struct config_node *pci, struct error *err)
{
	const struct config_node *bus = NULL, *slot;
	struct pci_addr addr;
	int rc;

	while ((bus = config_next(pci, bus)) != NULL) {
		if (config_is_value(bus) &&
		    strcmp(config_name(bus), "enable_bars") == 0)
			continue;
		rc = node_number(bus, 255, &addr.bus, err);
		if (rc < 0)
			return rc;
		slot = NULL;
		while ((slot = config_next(bus, slot)) != NULL) {
			rc = node_number(slot, 31, &addr.slot, err);
			if (rc == 0)
				rc = list_slot(list, addr, slot, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int
compare_entries(const void *a, const void *b)
{
	return memcmp(&((const struct pci_entry *)a)->addr,
	    &((const struct pci_entry *)b)->addr, sizeof(struct pci_addr));
}

int
settings_each_pci(const struct config_node *root, settings_pci_fn fn, void *arg,
    struct error *err)
{
	const struct config_node *pci = config_find_node(root, "pci");
	struct pci_list list = { 0 };
	int rc = 0;

	if (pci != NULL)
		rc = list_buses(&list, pci, err);
	if (list.n > 0)
		qsort(list.entry, list.n, sizeof(*list.entry), compare_entries);
	for (size_t i = 0; i < list.n && rc == 0; i++)
		rc = fn(arg, list.entry[i].addr, list.entry[i].node, err);
	free(list.entry);
	return rc;
}

void
settings_option_error(struct error *err, const char *what, const char *option)
{
	size_t n = strlen(what);
	char text[sizeof(err->text)];

	if (strncmp(err->text, what, n) != 0)
		return;
	snprintf(text, sizeof(text), "%s", err->text + n);
	error_set(err, err->code, "%s%s", option, text);
}

/* "virtio-rnd 0:4:0: ", as the bus names a device in its errors. */
static void
pci_device_name(struct pci_addr addr, const struct config_node *node, char *buf,
    size_t size)
{
	const char *device = config_get_raw(node, "device");

	snprintf(buf, size, "%s %u:%u:%u: ", device != NULL ? device : "?",
	    addr.bus, addr.slot, addr.func);
}

bool
settings_is_about(const struct error *err, struct pci_addr addr,
    const struct config_node *node)
{
	char name[96];

	pci_device_name(addr, node, name, sizeof(name));
	return strncmp(err->text, name, strlen(name)) == 0;
}

int
settings_pci_error(
    struct error *err, struct pci_addr addr, const struct config_node *node)
{
	static const char *const main_keys[] = { "path", "backend" };
	const char *device = config_get_raw(node, "device"), *main = NULL;
	char slot[16], name[512];

	if (addr.bus != 0)
		snprintf(slot, sizeof(slot), "%u:%u:%u", addr.bus, addr.slot,
		    addr.func);
	else if (addr.func != 0)
		snprintf(slot, sizeof(slot), "%u:%u", addr.slot, addr.func);
	else
		snprintf(slot, sizeof(slot), "%u", addr.slot);
	for (size_t i = 0; i < ARRAY_LEN(main_keys) && main == NULL; i++)
		main = config_get_raw(node, main_keys[i]);
	pci_device_name(addr, node, name, sizeof(name));
	settings_option_error(err, name, "");
	if (main != NULL && str_format(name, sizeof(name), "%s: ", main) == 0)
		settings_option_error(err, name, "");
	return error_prefix(err, "-s %s,%s%s%s", slot,
	    device != NULL ? device : "?", main != NULL ? "," : "",
	    main != NULL ? main : "");
}
