/*
 * com1 to com4: ports, lines and the configuration keys of the lpc node.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "dev/platform.h"
#include "vmm/memmap.h"

/* As every PC has had them since the AT. */
const struct uart_ports lpc_com_ports[4] = {
	{ 0x3f8, GSI_COM1 },
	{ 0x2f8, GSI_COM2 },
	{ 0x3e8, GSI_COM1 },
	{ 0x2e8, GSI_COM2 },
};

#define TTY_HELP \
	"stdio, /dev/PATH, tcp=[HOST:]PORT, socket,PATH[,wait], fd=N or none"

const struct config_key lpc_keys[] = {
	{ "com1.path", CONFIG_STRING, NULL, NULL, 0,
	    "back end of com1: " TTY_HELP },
	{ "com2.path", CONFIG_STRING, NULL, NULL, 0, "back end of com2" },
	{ "com3.path", CONFIG_STRING, NULL, NULL, 0, "back end of com3" },
	{ "com4.path", CONFIG_STRING, NULL, NULL, 0, "back end of com4" },
	{ "bootrom", CONFIG_PATH, NULL, NULL, 0, "firmware image" },
	{ "bootvars", CONFIG_PATH, NULL, NULL, 0,
	    "firmware variables, mapped below the image" },
	{ "fwcfg", CONFIG_ENUM, "bhyve", "bhyve|qemu", 0,
	    "which firmware configuration device" },
	{ "pc-testdev", CONFIG_BOOL, "false", NULL, 0,
	    "device of kvm-unit-tests" },
	{ "pcireg.vendor", CONFIG_UINT, NULL, "0..0xffff", 0,
	    "PCI vendor id of the LPC bridge" },
	{ "pcireg.device", CONFIG_UINT, NULL, "0..0xffff", 0,
	    "PCI device id of the LPC bridge" },
	{ "pcireg.revid", CONFIG_UINT, NULL, "0..0xff", 0,
	    "PCI revision of the LPC bridge" },
	{ "pcireg.subvendor", CONFIG_UINT, NULL, "0..0xffff", 0,
	    "PCI subsystem vendor id of the LPC bridge" },
	{ "pcireg.subdevice", CONFIG_UINT, NULL, "0..0xffff", 0,
	    "PCI subsystem id of the LPC bridge" },
	{ NULL },
};

int
lpc_com_path(
    const struct config_node *root, unsigned n, char **ret, struct error *err)
{
	const struct config_node *lpc = config_find_node(root, "lpc");
	char key[16];

	if (lpc == NULL || n >= ARRAY_LEN(lpc_com_ports))
		return -ENOENT;
	str_format(key, sizeof(key), "com%u.path", n + 1);
	return config_get_str(lpc, lpc_keys, key, ret, err);
}

bool
lpc_com_present(const struct config_node *root, unsigned n)
{
	cleanup_free char *path = NULL;

	return lpc_com_path(root, n, &path, NULL) == 0;
}

int
lpc_com_parse(struct config_node *root, const char *name, const char *conf,
    struct error *err)
{
	char key[24];

	if (strncmp(name, "com", 3) != 0 || name[3] < '1' || name[3] > '4' ||
	    name[4] != '\0')
		return error_set(err, EINVAL,
		    "'%s' is not a serial port; there are com1 to com4", name);
	if (conf == NULL || conf[0] == '\0')
		return error_set(
		    err, EINVAL, "%s needs a back end: " TTY_HELP, name);
	str_format(key, sizeof(key), "lpc.%s.path", name);
	return config_set(root, key, conf, err);
}
