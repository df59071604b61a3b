/*
 * Option arguments that have a syntax of their own. The texts are the users'
 * own, so an error may quote them whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "machine/options.h"
#include "machine/schema.h"

/* Decimal only: in slots and CPU numbers "010" is ten, as in bhyve. */
static int
parse_decimal(const char *text, unsigned max, unsigned *ret)
{
	size_t n = strspn(text, "0123456789");
	unsigned long v;

	if (n == 0 || n > 9 || text[n] != '\0')
		return -EINVAL;
	v = strtoul(text, NULL, 10);
	if (v > max)
		return -ERANGE;
	*ret = (unsigned)v;
	return 0;
}

/* Set a value and check it at once. */
static int
set_checked(struct config_node *root, const char *var, const char *value,
    struct error *err)
{
	int rc = config_set(root, var, value, err);

	return rc < 0 ? rc : schema_check_value(root, var, err);
}

/* "key=value": cuts at the '='; NULL when there is none. */
static char *
cut_value(char *text)
{
	char *eq = strchr(text, '=');

	if (eq == NULL)
		return NULL;
	*eq = '\0';
	return eq + 1;
}

static int
no_memory(struct error *err)
{
	return error_sys(err, ENOMEM, "option");
}

/* ---- -B ---- */

static const struct {
	char type;
	const char *key, *var;
} smbios_fields[] = {
	{ '0', "vendor", "bios.vendor" },
	{ '0', "version", "bios.version" },
	{ '0', "release_date", "bios.release_date" },
	{ '1', "manufacturer", "system.manufacturer" },
	{ '1', "product_name", "system.product_name" },
	{ '1', "product", "system.product_name" },
	{ '1', "version", "system.version" },
	{ '1', "serial_number", "system.serial_number" },
	{ '1', "serial", "system.serial_number" },
	{ '1', "sku", "system.sku" },
	{ '1', "family_name", "system.family_name" },
	{ '1', "family", "system.family_name" },
	{ '1', "uuid", "uuid" },
	{ '2', "manufacturer", "board.manufacturer" },
	{ '2', "product_name", "board.product_name" },
	{ '2', "product", "board.product_name" },
	{ '2', "version", "board.version" },
	{ '2', "serial_number", "board.serial_number" },
	{ '2', "serial", "board.serial_number" },
	{ '2', "asset_tag", "board.asset_tag" },
	{ '2', "asset", "board.asset_tag" },
	{ '2', "location", "board.location" },
	{ '3', "manufacturer", "chassis.manufacturer" },
	{ '3', "version", "chassis.version" },
	{ '3', "serial_number", "chassis.serial_number" },
	{ '3', "serial", "chassis.serial_number" },
	{ '3', "asset_tag", "chassis.asset_tag" },
	{ '3', "asset", "chassis.asset_tag" },
	{ '3', "sku", "chassis.sku" },
};

static int
set_smbios_field(
    struct config_node *root, char type, char *text, struct error *err)
{
	const char *known[ARRAY_LEN(smbios_fields)];
	char *value = cut_value(text);
	size_t n = 0;

	if (value == NULL)
		return error_set(err, EINVAL, "'%s' is not key=value", text);
	for (size_t i = 0; i < ARRAY_LEN(smbios_fields); i++) {
		if (smbios_fields[i].type != type)
			continue;
		if (strcmp(smbios_fields[i].key, text) == 0)
			return set_checked(
			    root, smbios_fields[i].var, value, err);
		known[n++] = smbios_fields[i].key;
	}
	error_set(err, EINVAL, "SMBIOS type %c has no field '%s'", type, text);
	error_add_hint(err, str_nearest(text, known, n));
	return -EINVAL;
}

int
optarg_smbios(struct config_node *root, const char *arg, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(arg);
	char *next = copy, *type, *field;
	int rc;

	if (copy == NULL)
		return no_memory(err);
	type = strsep(&next, ",");
	if (strlen(type) != 1 || strchr("0123", type[0]) == NULL)
		return error_set(err, EINVAL,
		    "SMBIOS type '%s'; 0 is BIOS, 1 system, 2 board, 3 chassis",
		    type);
	if (next == NULL)
		return error_set(err, EINVAL, "no field=value after the type");
	while ((field = strsep(&next, ",")) != NULL) {
		rc = set_smbios_field(root, type[0], field, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- -c ---- */

int
optarg_cpus(struct config_node *root, const char *arg, struct error *err)
{
	static const char *const keys[] = { "cpus", "sockets", "cores",
		"threads" };
	cleanup_free char *copy = alloc_strdup(arg);
	char *next = copy, *word;
	int rc;

	if (copy == NULL)
		return no_memory(err);
	while ((word = strsep(&next, ",")) != NULL) {
		const char *value = cut_value(word);
		const char *key = value != NULL ? word : "cpus";
		size_t i = 0;

		if (value == NULL)
			value = word;
		while (i < ARRAY_LEN(keys) && strcmp(keys[i], key) != 0)
			i++;
		if (i == ARRAY_LEN(keys)) {
			error_set(err, EINVAL,
			    "'%s' is none of cpus, sockets, cores, threads",
			    key);
			error_add_hint(
			    err, str_nearest(key, keys, ARRAY_LEN(keys)));
			return -EINVAL;
		}
		rc = set_checked(root, key, value, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- -f ---- */

static unsigned
count_children(const struct config_node *node)
{
	const struct config_node *child = NULL;
	unsigned n = 0;

	while (node != NULL && (child = config_next(node, child)) != NULL)
		n++;
	return n;
}

int
optarg_fw_cfg(struct config_node *root, const char *arg, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(arg);
	unsigned i = count_children(config_find_node(root, "fw_cfg"));
	char *data, *name, *value, path[64];
	int rc;

	if (copy == NULL)
		return no_memory(err);
	name = strncmp(copy, "name=", 5) == 0 ? copy + 5 : copy;
	data = strchr(name, ',');
	if (data == NULL || data == name)
		return error_set(err, EINVAL,
		    "not of the form [name=]name,(string|file)=data");
	*data++ = '\0';
	value = cut_value(data);
	if (value == NULL ||
	    (strcmp(data, "string") != 0 && strcmp(data, "file") != 0))
		return error_set(err, EINVAL,
		    "after the name comes string=text or file=path");
	snprintf(path, sizeof(path), "fw_cfg.%u.name", i);
	rc = config_set(root, path, name, err);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "fw_cfg.%u.%s", i, data);
	return config_set(root, path, value, err);
}

/* ---- -G ---- */

int
optarg_gdb(struct config_node *root, const char *arg, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(arg);
	char *text = copy, *colon;
	int rc;

	if (copy == NULL)
		return no_memory(err);
	if (*text == 'w') {
		rc = config_set(root, "gdb.wait", "true", err);
		if (rc < 0)
			return rc;
		text++;
	}
	colon = strrchr(text, ':');
	if (colon != NULL) {
		*colon = '\0';
		rc = config_set(root, "gdb.address", text, err);
		if (rc < 0)
			return rc;
		text = colon + 1;
	}
	return set_checked(root, "gdb.port", text, err);
}

/* ---- -n ---- */

/* Fields in this order, each also as key=value. */
int
optarg_numa(struct config_node *root, const char *arg, struct error *err)
{
	static const char *const keys[] = { "id", "size", "cpus",
		"domain_policy" };
	cleanup_free char *copy = alloc_strdup(arg);
	const char *fields[ARRAY_LEN(keys)] = { NULL };
	char *next = copy, *word, path[64];
	unsigned id;
	int rc;

	if (copy == NULL)
		return no_memory(err);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		size_t n = strlen(keys[i]);

		word = strsep(&next, ",");
		if (word == NULL)
			break;
		if (strncmp(word, keys[i], n) == 0 && word[n] == '=')
			word += n + 1;
		fields[i] = word;
	}
	if (next != NULL || fields[2] == NULL)
		return error_set(err, EINVAL,
		    "not of the form id,size,cpus[,domain_policy]");
	if (parse_decimal(fields[0], 7, &id) < 0)
		return error_set(
		    err, EINVAL, "domain id '%s'; 0 to 7", fields[0]);
	for (size_t i = 1; i < ARRAY_LEN(keys) && fields[i] != NULL; i++) {
		snprintf(path, sizeof(path), "domains.%u.%s", id, keys[i]);
		rc = set_checked(root, path, fields[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- -p ---- */

int
optarg_pin(struct config_node *root, const char *arg, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(arg);
	const char *old;
	char *host, path[64];
	unsigned vcpu, cpu;
	struct buf list;
	int rc;

	if (copy == NULL)
		return no_memory(err);
	host = strchr(copy, ':');
	if (host != NULL)
		*host++ = '\0';
	if (host == NULL ||
	    parse_decimal(copy, MACHINE_MAX_VCPUS - 1, &vcpu) < 0 ||
	    parse_decimal(host, 1023, &cpu) < 0)
		return error_set(
		    err, EINVAL, "not of the form vcpu:hostcpu, two numbers");
	snprintf(path, sizeof(path), "vcpu.%u.cpuset", vcpu);
	old = config_get_raw(root, path);
	buf_init(&list, 8192);
	if (old != NULL)
		buf_printf(&list, "%s,", old);
	buf_printf(&list, "%u", cpu);
	rc = buf_str(&list) != NULL
	    ? config_set(root, path, buf_str(&list), err)
	    : error_set(err, ENOMEM, "the list of CPUs is too long");
	buf_fini(&list);
	return rc;
}

/* ---- -s ---- */

/* "slot", "slot:func" or "bus:slot:func". */
static int
parse_slot(char *text, struct pci_addr *ret, struct error *err)
{
	static const struct {
		const char *name;
		unsigned max;
	} part[] = { { "bus", 255 }, { "slot", 31 }, { "function", 7 } };
	unsigned v[3] = { 0, 0, 0 };
	char *field[3], *next = text;
	size_t n = 0, first;

	while (next != NULL && n < ARRAY_LEN(field))
		field[n++] = strsep(&next, ":");
	if (next != NULL)
		return error_set(err, EINVAL,
		    "address is slot, slot:function or bus:slot:function");
	first = n == 3 ? 0 : 1;
	for (size_t i = 0; i < n; i++) {
		if (parse_decimal(
			field[i], part[first + i].max, &v[first + i]) == 0)
			continue;
		return error_set(err, EINVAL, "%s '%s' is not 0 to %u",
		    part[first + i].name, field[i], part[first + i].max);
	}
	*ret = (struct pci_addr){ (uint8_t)v[0], (uint8_t)v[1], (uint8_t)v[2] };
	return 0;
}

/* "key=value,word,...": a word alone is word=true. */
static int
parse_pairs(struct config_node *node, char *text, struct error *err)
{
	char *word;
	int rc;

	while ((word = strsep(&text, ",")) != NULL) {
		const char *value = cut_value(word);

		if (word[0] == '\0')
			return error_set(err, EINVAL, "empty option");
		rc =
		    config_set(node, word, value != NULL ? value : "true", err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The node of a device that was not there before. */
static int
make_device(struct config_node *root, struct pci_addr addr, const char *model,
    struct config_node **ret, struct error *err)
{
	struct config_node *node;
	const char *other;
	char path[64];

	snprintf(
	    path, sizeof(path), "pci.%u.%u.%u", addr.bus, addr.slot, addr.func);
	node = config_make_node(root, path);
	if (node == NULL)
		return error_set(err, EINVAL, "'%s' cannot be made", path);
	other = config_get_raw(node, "device");
	if (other != NULL)
		return error_set(err, EEXIST,
		    "two devices in one slot: %u:%u:%u holds '%s' already",
		    addr.bus, addr.slot, addr.func, other);
	*ret = node;
	return config_set(node, "device", model, err);
}

int
optarg_pci(struct config_node *root, const char *arg, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(arg);
	char *next = copy, *slot, *name;
	const struct pci_model *model = NULL;
	struct config_node *node = NULL;
	struct pci_addr addr = { 0 };
	int rc;

	if (copy == NULL)
		return no_memory(err);
	slot = strsep(&next, ",");
	name = strsep(&next, ",");
	if (name == NULL)
		return error_set(err, EINVAL, "no device after the slot");
	rc = parse_slot(slot, &addr, err);
	if (rc == 0)
		rc = schema_find_model(name, &model, err);
	if (rc == 0)
		rc = make_device(root, addr, model->name, &node, err);
	if (rc < 0 || next == NULL)
		return rc;
	if (model->parse != NULL)
		return model->parse(node, next, err);
	return parse_pairs(node, next, err);
}
