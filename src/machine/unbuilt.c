/*
 * What bhyve(8) knows and this build does not have: asked for, it is refused in
 * one line, never dropped silently. A row leaves when its feature arrives.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "machine/schema.h"

/* When does a variable ask for the feature? */
enum asks { WHEN_SET, WHEN_NONZERO, WHEN_TRUE, WHEN_FALSE };

static const struct {
	const char *var;
	enum asks asks;
	const char *option; /* as the user wrote it; a value follows */
	const char *what;
} features[] = {
	{ "gdb.port", WHEN_NONZERO, "-G ", "the GDB debug server" },
	{ "keyboard.layout", WHEN_SET, "-K ",
	    "the keyboard layout of a VNC console" },
	{ "domains", WHEN_SET, "-n", "guest NUMA" },
	{ "restore.path", WHEN_SET, "-r ", "resuming from a snapshot" },
	{ "suspend_at_boot", WHEN_TRUE, "-d",
	    "holding the virtual CPUs at boot" },
	{ "lpc.pc-testdev", WHEN_TRUE, "-l pc-testdev", "the PC test device" },
	{ "tpm", WHEN_SET, "-l tpm", "a TPM" },
	{ "virtio.modern", WHEN_FALSE, "virtio.modern=false",
	    "virtio without the interface of virtio 1.0" },
	{ "pci.enable_bars", WHEN_FALSE, "pci.enable_bars=false",
	    "a start without assigned BARs" },
};

const char *const schema_unbuilt_models[] = {
	"e1000",
	"fbuf",
	"hda",
	"net-viona",
	"passthru",
	"uart",
	"virtio-9p",
	"virtio-blk",
	"virtio-console",
	"virtio-input",
	"virtio-net",
	"virtio-net-viona",
	"virtio-rnd",
	"virtio-scsi",
	"xhci",
	NULL,
};

static bool
asked_for(const struct config_node *root, size_t i)
{
	const char *raw = config_get_raw(root, features[i].var);
	bool on = false;

	if (raw == NULL)
		return config_find_node(root, features[i].var) != NULL;
	if (features[i].asks == WHEN_TRUE || features[i].asks == WHEN_FALSE)
		return str_to_bool(raw, &on) < 0 ||
		    on == (features[i].asks == WHEN_TRUE);
	return features[i].asks == WHEN_SET || strcmp(raw, "0") != 0;
}

int
schema_check_unbuilt(const struct config_node *root, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		const char *raw = config_get_raw(root, features[i].var);

		if (!asked_for(root, i))
			continue;
		if (raw == NULL || features[i].asks == WHEN_TRUE ||
		    features[i].asks == WHEN_FALSE)
			raw = "";
		return error_set(err, ENOTSUP,
		    "%s%s: %s is not built into this zhyve yet",
		    features[i].option, raw, features[i].what);
	}
	return 0;
}

/* "hostbridge, lpc, ..." */
static const char *
model_list(struct buf *b)
{
	const char *text;

	for (size_t i = 0; pci_models[i] != NULL; i++)
		buf_printf(b, "%s%s", i > 0 ? ", " : "", pci_models[i]->name);
	text = buf_str(b);
	return text != NULL ? text : "?";
}

static const char *
nearest_model(const char *name)
{
	const char *names[64];
	size_t n = 0;

	for (size_t i = 0; pci_models[i] != NULL && n < 32; i++)
		names[n++] = pci_models[i]->name;
	for (size_t i = 0; schema_unbuilt_models[i] != NULL && n < 64; i++)
		names[n++] = schema_unbuilt_models[i];
	return str_nearest(name, names, n);
}

int
schema_find_model(
    const char *name, const struct pci_model **ret, struct error *err)
{
	const struct pci_model *model = pci_model_find(name);
	struct buf list;

	if (model != NULL) {
		*ret = model;
		return 0;
	}
	buf_init(&list, 4096);
	for (size_t i = 0; schema_unbuilt_models[i] != NULL; i++) {
		if (strcmp(schema_unbuilt_models[i], name) != 0)
			continue;
		error_set(err, ENOTSUP,
		    "device '%s' is not built into this zhyve yet; "
		    "devices: %s",
		    name, model_list(&list));
		buf_fini(&list);
		return -ENOTSUP;
	}
	if (nearest_model(name) != NULL) {
		error_set(err, EINVAL, "unknown device '%s'", name);
		error_add_hint(err, nearest_model(name));
	} else {
		error_set(err, EINVAL, "unknown device '%s'; devices: %s", name,
		    model_list(&list));
	}
	buf_fini(&list);
	return -EINVAL;
}
