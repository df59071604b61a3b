/*
 * Variables that stand for others: names accepted for those that count, and
 * values given once for all devices of a kind.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "machine/schema.h"
#include "machine/settings.h"

/* illumos' names and old ones. */
const struct schema_alias schema_aliases[] = {
	{ "bootrom", "lpc.bootrom" },
	{ "bootvars", "lpc.bootvars" },
	{ "smbios.family", "system.family_name" },
	{ "smbios.manufacturer", "system.manufacturer" },
	{ "smbios.product", "system.product_name" },
	{ "smbios.serial", "system.serial_number" },
	{ "smbios.sku", "system.sku" },
	{ "smbios.version", "system.version" },
	{ "virtio.msix", "virtio_msix" },
	{ NULL, NULL },
};

static int
move_aliases(struct config_node *root, struct error *err)
{
	for (const struct schema_alias *a = schema_aliases; a->from; a++) {
		const char *value = config_get_raw(root, a->from);
		int rc;

		if (value == NULL)
			continue;
		rc = config_set(root, a->to, value, err);
		if (rc == 0)
			rc = config_unset(root, a->from);
		if (rc < 0)
			return error_prefix(err, "%s", a->from);
	}
	return 0;
}

/* Given once, meant for a key of every device whose model's name begins so. */
static const struct {
	const char *from, *model, *key;
} spread[] = {
	{ "virtio.legacy", "virtio-", "legacy" },
	{ "virtio_msix", "virtio-", "msix" },
	{ "lpc.pcireg.vendor", "lpc", "pcireg.vendor" },
	{ "lpc.pcireg.device", "lpc", "pcireg.device" },
	{ "lpc.pcireg.revid", "lpc", "pcireg.revid" },
	{ "lpc.pcireg.subvendor", "lpc", "pcireg.subvendor" },
	{ "lpc.pcireg.subdevice", "lpc", "pcireg.subdevice" },
};

static bool
has_key(const struct pci_model *model, const char *name)
{
	for (const struct config_key *k = model->keys; k->name != NULL; k++)
		if (strcmp(k->name, name) == 0)
			return true;
	return false;
}

static int
spread_to(void *arg, struct pci_addr addr, const struct config_node *node,
    struct error *err)
{
	const char *name = config_get_raw(node, "device");
	const struct pci_model *model =
	    name != NULL ? pci_model_find(name) : NULL;
	struct config_node *root = arg;
	char path[64];
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(spread) && model != NULL; i++) {
		const char *value = config_get_raw(root, spread[i].from);

		if (value == NULL || !has_key(model, spread[i].key) ||
		    strncmp(model->name, spread[i].model,
			strlen(spread[i].model)) != 0 ||
		    config_get_raw(node, spread[i].key) != NULL)
			continue;
		snprintf(path, sizeof(path), "pci.%u.%u.%u.%s", addr.bus,
		    addr.slot, addr.func, spread[i].key);
		rc = config_set(root, path, value, err);
		if (rc < 0)
			break;
	}
	return rc;
}

int
schema_canonical(struct config_node *root, struct error *err)
{
	int rc = move_aliases(root, err);

	return rc == 0 ? settings_each_pci(root, spread_to, root, err) : rc;
}
