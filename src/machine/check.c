/*
 * Everything that can be said about a configuration before anything is opened
 * or allocated.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "dev/platform.h"
#include "machine/machine.h"
#include "machine/schema.h"
#include "machine/settings.h"

/* Names and values of everything that is not a PCI device's. */
static int
check_tables(const struct config_node *root, struct error *err)
{
	static const char *const skip_pci[] = { "pci", NULL };
	const struct config_key *at_root[SCHEMA_MAX_TABLES + 1] = { NULL };
	const char *skip[SCHEMA_MAX_TABLES + 2] = { skip_pci[0] };
	size_t n = 0, nskip = 1;
	int rc;

	for (const struct schema_table *t = schema_tables; t->section; t++) {
		const struct config_key *own[] = { t->keys, NULL };
		const struct config_node *node;

		if (t->node[0] == '\0') {
			at_root[n++] = t->keys;
			continue;
		}
		skip[nskip++] = t->node;
		node = config_find_node(root, t->node);
		rc = node != NULL ? config_check(node, own, NULL, err) : 0;
		if (rc < 0)
			return rc;
	}
	return config_check(root, at_root, skip, err);
}

struct pci_check {
	unsigned lpc; /* bridges so far */
	struct pci_addr first; /* the last function 0 */
	bool any; /* first is one */
};

/* A guest does not look at a slot that has no function 0. */
static int
check_function(struct pci_check *chk, struct pci_addr addr, struct error *err)
{
	if (addr.func == 0) {
		chk->first = addr;
		chk->any = true;
	}
	if (chk->any && chk->first.bus == addr.bus &&
	    chk->first.slot == addr.slot)
		return 0;
	return error_set(err, EINVAL,
	    "slot %u has no function 0, so the guest would not look at its "
	    "other functions; add a device at %u:%u:0",
	    addr.slot, addr.bus, addr.slot);
}

static int
check_pci_node(void *arg, struct pci_addr addr, const struct config_node *node,
    struct error *err)
{
	const char *name = config_get_raw(node, "device");
	struct pci_check *chk = arg;
	const struct pci_model *model = NULL;
	char path[64];
	int rc;

	if (name == NULL)
		return error_set(err, EINVAL,
		    "%s.device is missing; it names the device model",
		    config_path(node, path, sizeof(path)));
	rc = schema_find_model(name, &model, err);
	if (rc == 0)
		rc = pci_conf_check(node, &model, err);
	if (rc == 0 && strcmp(model->name, "lpc") == 0) {
		if (addr.bus != 0)
			rc = error_set(
			    err, EINVAL, "the LPC bridge must be on bus 0");
		else if (chk->lpc++ > 0)
			rc = error_set(
			    err, EEXIST, "there is an LPC bridge already");
	}
	if (rc == 0)
		rc = check_function(chk, addr, err);
	return rc < 0 ? settings_pci_error(err, addr, node) : 0;
}

/* A serial port without the bridge it hangs on would not be there. */
static int
check_lpc(const struct config_node *root, bool has_lpc, struct error *err)
{
	char path[32];

	for (unsigned i = 0; i < 4 && !has_lpc; i++) {
		if (!lpc_com_present(root, i))
			continue;
		snprintf(path, sizeof(path), "lpc.com%u.path", i + 1);
		return error_set(err, EINVAL,
		    "-l com%u,%s: serial ports need the LPC bridge; add -s "
		    "31,lpc",
		    i + 1, config_get_raw(root, path));
	}
	return 0;
}

/* A kernel or a firmware: exactly one of them runs first. */
static int
check_boot(const struct config_node *root, bool has_lpc, struct error *err)
{
	const char *kernel = config_get_raw(root, "boot.kernel");
	const char *rom = config_get_raw(root, "lpc.bootrom");
	const char *vars = config_get_raw(root, "lpc.bootvars");

	if (rom == NULL && vars != NULL)
		return error_set(err, EINVAL,
		    "lpc.bootvars=%s: variables without a firmware; add -l "
		    "bootrom,file",
		    vars);
	if (kernel == NULL && rom == NULL)
		return error_set(err, EINVAL,
		    "nothing to boot; give a kernel with -o boot.kernel=path "
		    "or a firmware with -l bootrom,path");
	if (rom != NULL && kernel != NULL)
		return error_set(err, EINVAL,
		    "-l bootrom,%s: the firmware would not look at "
		    "boot.kernel=%s; leave one of them out",
		    rom, kernel);
	if (rom != NULL && !has_lpc)
		return error_set(err, EINVAL,
		    "-l bootrom,%s: firmware needs the LPC bridge; add -s "
		    "31,lpc",
		    rom);
	return 0;
}

/* "vcpu.N.cpuset" of CPUs that do not exist. */
static int
check_pins(const struct config_node *root, unsigned cpus, struct error *err)
{
	const struct config_node *vcpu = config_find_node(root, "vcpu");
	const struct config_node *child = NULL;
	uint64_t n;

	while (vcpu != NULL && (child = config_next(vcpu, child)) != NULL)
		if (str_to_u64(config_name(child), 0, cpus - 1, &n) < 0)
			return error_set(err, EINVAL,
			    "-p %s:%s: there are virtual CPUs 0 to %u",
			    config_name(child), config_get_raw(child, "cpuset"),
			    cpus - 1);
	return 0;
}

/* Each file has a name and one source. */
static int
check_fw_cfg(const struct config_node *root, struct error *err)
{
	const struct config_node *files = config_find_node(root, "fw_cfg");
	const struct config_node *f = NULL;

	while (files != NULL && (f = config_next(files, f)) != NULL) {
		const char *name = config_get_raw(f, "name");
		bool text = config_get_raw(f, "string") != NULL;
		bool file = config_get_raw(f, "file") != NULL;

		if (name == NULL || text == file)
			return error_set(err, EINVAL,
			    "fw_cfg.%s needs a name and either string or file",
			    config_name(f));
		if (strlen(name) > 55)
			return error_set(err, ENAMETOOLONG,
			    "-f %s: at most 55 characters", name);
	}
	return 0;
}

int
machine_check(const struct config_node *root, struct error *err)
{
	struct pci_check chk = { 0 };
	struct vm_mem_config mem;
	struct cpu_topology topo;
	uint8_t uuid[16];
	int rc;

	rc = check_tables(root, err);
	if (rc == 0)
		rc = schema_check_unbuilt(root, err);
	if (rc == 0)
		rc = settings_each_pci(root, check_pci_node, &chk, err);
	if (rc == 0)
		rc = check_lpc(root, chk.lpc > 0, err);
	if (rc == 0)
		rc = settings_topology(root, &topo, err);
	if (rc == 0)
		rc = settings_memory(root, &mem, err);
	if (rc == 0)
		rc = settings_uuid(root, uuid, err);
	if (rc == 0)
		rc = check_pins(root, topo.cpus, err);
	if (rc == 0)
		rc = check_fw_cfg(root, err);
	return rc == 0 ? check_boot(root, chk.lpc > 0, err) : rc;
}
