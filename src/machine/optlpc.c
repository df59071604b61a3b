/*
 * -l: what hangs on the LPC bridge.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "machine/options.h"
#include "machine/schema.h"

struct lpc_option {
	const char *name;
	const char *form; /* of what follows the comma */
	bool optional; /* nothing needs to follow */
	int (*parse)(struct config_node *root, const struct lpc_option *dev,
	    char *conf, struct error *err);
	const char *help;
	bool built;
};

static int
parse_com(struct config_node *root, const struct lpc_option *dev, char *conf,
    struct error *err)
{
	char path[32];

	snprintf(path, sizeof(path), "lpc.%s.path", dev->name);
	return config_set(root, path, conf, err);
}

/* romfile[,varfile][,key=value...]: the keys are the LPC node's. */
static int
parse_bootrom(struct config_node *root, const struct lpc_option *dev,
    char *conf, struct error *err)
{
	static const char *const vars[] = { "lpc.bootrom", "lpc.bootvars" };
	char *word, *value, path[64];
	size_t n = 0;
	int rc;

	while ((word = strsep(&conf, ",")) != NULL) {
		value = strchr(word, '=');
		if (n > 0 && value != NULL) {
			*value++ = '\0';
			rc = str_format(path, sizeof(path), "lpc.%s", word);
			if (rc < 0)
				return error_set(
				    err, EINVAL, "unknown key '%s'", word);
			rc = config_set(root, path, value, err);
		} else if (n < ARRAY_LEN(vars)) {
			rc = config_set(root, vars[n++], word, err);
		} else {
			return error_set(err, EINVAL,
			    "'%s' is one too many; the form is %s,%s", word,
			    dev->name, dev->form);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
parse_fwcfg(struct config_node *root, const struct lpc_option *dev, char *conf,
    struct error *err)
{
	int rc = config_set(root, "lpc.fwcfg", conf, err);

	return rc < 0 ? rc : schema_check_value(root, "lpc.fwcfg", err);
}

static int
parse_testdev(struct config_node *root, const struct lpc_option *dev,
    char *conf, struct error *err)
{
	return config_set(root, "lpc.pc-testdev", "true", err);
}

static int
parse_tpm(struct config_node *root, const struct lpc_option *dev, char *conf,
    struct error *err)
{
	char *type = strsep(&conf, ","), *path = strsep(&conf, ",");
	int rc;

	if (path == NULL)
		return error_set(
		    err, EINVAL, "the form is %s,%s", dev->name, dev->form);
	rc = config_set(root, "tpm.type", type, err);
	if (rc == 0)
		rc = schema_check_value(root, "tpm.type", err);
	if (rc == 0)
		rc = config_set(root, "tpm.path", path, err);
	if (rc < 0 || conf == NULL)
		return rc;
	if (strncmp(conf, "version=", 8) != 0)
		return error_set(err, EINVAL, "unknown option '%s'", conf);
	return config_set(root, "tpm.version", conf + 8, err);
}

#define COM_FORM \
	"stdio|/dev/name|tcp=[address:]port|socket,path[,wait]|fd=n|none"

static const struct lpc_option devices[] = {
	{ "com1", COM_FORM, false, parse_com, "first serial port", true },
	{ "com2", COM_FORM, false, parse_com, "second serial port", true },
	{ "com3", COM_FORM, false, parse_com, "third serial port", true },
	{ "com4", COM_FORM, false, parse_com, "fourth serial port", true },
	{ "bootrom", "romfile[,varfile][,fwcfg=bhyve|qemu]", false,
	    parse_bootrom, "firmware, and the file with its variables", true },
	{ "fwcfg", "bhyve|qemu", false, parse_fwcfg,
	    "kind of firmware configuration device", true },
	{ "pc-testdev", NULL, true, parse_testdev, "PC test device", false },
	{ "tpm", "passthru|swtpm,path[,version=2.0]", false, parse_tpm,
	    "trusted platform module", false },
};

int
optarg_lpc(struct config_node *root, const char *arg, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(arg);
	const char *names[ARRAY_LEN(devices)];
	char *conf = copy, *name;

	if (copy == NULL)
		return error_sys(err, ENOMEM, "option");
	name = strsep(&conf, ",");
	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		const struct lpc_option *dev = &devices[i];

		names[i] = dev->name;
		if (strcmp(dev->name, name) != 0)
			continue;
		if (conf == NULL && !dev->optional)
			return error_set(err, EINVAL, "the form is %s,%s",
			    dev->name, dev->form);
		if (conf != NULL && dev->form == NULL)
			return error_set(
			    err, EINVAL, "%s takes nothing behind it", name);
		return dev->parse(root, dev, conf, err);
	}
	error_set(
	    err, EINVAL, "unknown LPC device '%s'; -l help lists them", name);
	error_add_hint(err, str_nearest(name, names, ARRAY_LEN(devices)));
	return -EINVAL;
}

void
optarg_lpc_help(struct buf *b)
{
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		buf_printf(b, "%-20s%s%s\n", devices[i].name, devices[i].help,
		    devices[i].built ? "" : " (not built yet)");
}
