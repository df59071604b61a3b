/*
 * The key tables. A row here is all it takes for a key to be parsed, checked,
 * defaulted and documented.
 */
#include "machine/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "boot/boot.h"
#include "dev/platform.h"

/* clang-format off */
const struct config_key schema_top_keys[] = {
	{ "name", CONFIG_STRING, NULL, NULL, 0,
	    "name of the virtual machine" },
	{ "cpus", CONFIG_UINT, "1", "1..254", 0,
	    "number of virtual CPUs; computed from the topology when absent" },
	{ "sockets", CONFIG_UINT, NULL, "1..254", 0,
	    "virtual sockets; computed from cpus when absent" },
	{ "cores", CONFIG_UINT, "1", "1..254", 0,
	    "virtual cores in a socket" },
	{ "threads", CONFIG_UINT, "1", "1..254", 0,
	    "virtual CPUs in a core" },
	{ "vcpu.*.cpuset", CONFIG_STRING, NULL, NULL, 0,
	    "host CPUs that a virtual CPU may run on, as 0-1,3" },
	{ "engine", CONFIG_ENUM, "auto", "auto|kvm|soft", 0,
	    "what runs guest code; auto takes KVM where it is fast" },
	{ "soft.lockstep", CONFIG_BOOL, "false", NULL, 0,
	    "the software engine compares itself with the host CPU; slow, one "
	    "CPU" },
	{ "kvm.step", CONFIG_BOOL, "true", NULL, 0,
	    "execute in software what KVM cannot emulate" },
	{ "uuid", CONFIG_UUID, NULL, NULL, 0,
	    "UUID told to the guest; made from host and VM name when absent" },
	{ "acpi_tables", CONFIG_BOOL, "true", NULL, 0,
	    "make ACPI tables" },
	{ "acpi_tables_in_memory", CONFIG_BOOL, "true", NULL, 0,
	    "accepted; ACPI tables always lie in guest memory" },
	{ "destroy_on_poweroff", CONFIG_BOOL, "false", NULL, 0,
	    "accepted; nothing of a virtual machine outlives its process" },
	{ "suspend_at_boot", CONFIG_BOOL, "false", NULL, 0,
	    "hold the virtual CPUs before the first instruction" },
	{ "rtc.use_localtime", CONFIG_BOOL, "true", NULL, 0,
	    "the real-time clock shows local time, else UTC" },
	{ "virtio_msix", CONFIG_BOOL, "true", NULL, 0,
	    "default of every virtio device's msix" },
	{ "virtio.legacy", CONFIG_BOOL, "false", NULL, 0,
	    "default of every virtio device's legacy" },
	{ "virtio.modern", CONFIG_BOOL, "true", NULL, 0,
	    "virtio devices offer the interface of virtio 1.0" },
	{ "pci.enable_bars", CONFIG_BOOL, "true", NULL, 0,
	    "decode of assigned BARs is on when the guest starts" },
	{ "keyboard.layout", CONFIG_STRING, NULL, NULL, 0,
	    "keyboard layout of the VNC console" },
	{ "config.dump", CONFIG_BOOL, "false", NULL, 0,
	    "print the configuration and exit" },
	{ "log.format", CONFIG_ENUM, "human", "human|json", 0,
	    "form of the log on standard error" },
	{ "log.level", CONFIG_ENUM, "info", "error|warn|info|debug", 0,
	    "least important message that is logged" },
	{ "fw_cfg.*.name", CONFIG_STRING, NULL, NULL, 0,
	    "name of a firmware configuration file" },
	{ "fw_cfg.*.string", CONFIG_STRING, NULL, NULL, 0,
	    "its content as text" },
	{ "fw_cfg.*.file", CONFIG_PATH, NULL, NULL, 0,
	    "host file that holds its content" },
	{ "vars.*", CONFIG_STRING, NULL, NULL, 0,
	    "free for use in references" },
	{ "restore.path", CONFIG_PATH, NULL, NULL, 0,
	    "saved machine to resume from" },
	{ NULL }
};

const struct config_key schema_memory_keys[] = {
	{ "memory.size", CONFIG_SIZE, "256M", "1M..16T", MiB,
	    "guest memory; a bare number counts MiB" },
	{ "memory.wired", CONFIG_BOOL, "false", NULL, 0,
	    "lock guest memory" },
	{ "memory.guest_in_core", CONFIG_BOOL, "false", NULL, 0,
	    "include guest memory in core dumps" },
	{ "memory.hugepages", CONFIG_ENUM, "false", "false|2M|1G", 0,
	    "back guest memory with huge pages of this size" },
	{ "memory.overcommit", CONFIG_BOOL, "false", NULL, 0,
	    "do not compare the size with what the host has" },
	{ "memory.use_reservoir", CONFIG_BOOL, "false", NULL, 0,
	    "accepted; Linux has no memory reservoir" },
	{ NULL }
};

static const struct config_key domain_keys[] = {
	{ "domains.*.size", CONFIG_SIZE, NULL, NULL, MiB,
	    "memory of a guest NUMA domain" },
	{ "domains.*.cpus", CONFIG_STRING, NULL, NULL, 0,
	    "virtual CPUs of a guest NUMA domain" },
	{ "domains.*.domain_policy", CONFIG_STRING, NULL, NULL, 0,
	    "host memory policy of a guest NUMA domain" },
	{ NULL }
};

static const struct config_key gdb_keys[] = {
	{ "gdb.address", CONFIG_STRING, "localhost", NULL, 0,
	    "address of the debug server" },
	{ "gdb.port", CONFIG_UINT, "0", "0..65535", 0,
	    "TCP port of the debug server; 0 = none" },
	{ "gdb.wait", CONFIG_BOOL, "false", NULL, 0,
	    "wait for a debugger before the first instruction" },
	{ NULL }
};

const struct config_key schema_x86_keys[] = {
	{ "x86.mptable", CONFIG_BOOL, "true", NULL, 0,
	    "make an MP table" },
	{ "x86.x2apic", CONFIG_BOOL, "false", NULL, 0,
	    "local APICs start in x2APIC mode" },
	{ "x86.strictio", CONFIG_BOOL, "false", NULL, 0,
	    "stop on an access to an I/O port that nothing answers" },
	{ "x86.strictmsr", CONFIG_BOOL, "true", NULL, 0,
	    "fault on unknown MSRs; else they read 0 and ignore writes" },
	{ "x86.vmexit_on_hlt", CONFIG_BOOL, "false", NULL, 0,
	    "accepted; an idle virtual CPU always yields" },
	{ "x86.vmexit_on_pause", CONFIG_BOOL, "false", NULL, 0,
	    "leave the guest on PAUSE" },
	{ NULL }
};

static const struct config_key tpm_keys[] = {
	{ "tpm.type", CONFIG_ENUM, NULL, "passthru|swtpm", 0,
	    "kind of TPM back end" },
	{ "tpm.path", CONFIG_PATH, NULL, NULL, 0,
	    "host device or socket of the TPM" },
	{ "tpm.version", CONFIG_STRING, "2.0", NULL, 0,
	    "TPM version" },
	{ NULL }
};

static const struct config_key debug_keys[] = {
	{ "privileges.debug", CONFIG_BOOL, "false", NULL, 0,
	    "accepted for illumos; see log.level" },
	{ "rfb.debug", CONFIG_BOOL, "false", NULL, 0,
	    "accepted for illumos; see log.level" },
	{ "viona.debug", CONFIG_BOOL, "false", NULL, 0,
	    "accepted for illumos; see log.level" },
	{ "virtio.net.debug", CONFIG_BOOL, "false", NULL, 0,
	    "accepted for illumos; see log.level" },
	{ "xhci.debug", CONFIG_BOOL, "false", NULL, 0,
	    "accepted for illumos; see log.level" },
	{ NULL }
};
/* clang-format on */

const struct schema_table schema_tables[] = {
	{ "global", "", schema_top_keys },
	{ "memory", "", schema_memory_keys },
	{ "boot", "", boot_keys },
	{ "x86", "", schema_x86_keys },
	{ "lpc", "lpc", lpc_keys },
	{ "smbios", "", smbios_keys },
	{ "gdb", "", gdb_keys },
	{ "domains", "", domain_keys },
	{ "tpm", "", tpm_keys },
	{ "debug", "", debug_keys },
	{ NULL },
};

/* "port.*.name" against "port.3.name": '*' stands for one component. */
static bool
name_matches(const char *pattern, const char *name)
{
	while (*pattern != '\0' && *name != '\0') {
		if (*pattern == '*') {
			size_t n = strcspn(name, ".");

			if (n == 0)
				return false;
			name += n;
			pattern++;
			continue;
		}
		if (*pattern++ != *name++)
			return false;
	}
	return *pattern == '\0' && *name == '\0';
}

const struct config_key *
schema_find(const char *path, const struct schema_table **ret_table)
{
	for (const struct schema_table *t = schema_tables; t->section; t++) {
		size_t n = strlen(t->node);
		const char *rel = path;

		if (n > 0) {
			if (strncmp(path, t->node, n) != 0 || path[n] != '.')
				continue;
			rel = path + n + 1;
		}
		for (const struct config_key *k = t->keys; k->name; k++) {
			if (!name_matches(k->name, rel))
				continue;
			if (ret_table != NULL)
				*ret_table = t;
			return k;
		}
	}
	return NULL;
}

int
schema_check_value(
    const struct config_node *root, const char *path, struct error *err)
{
	const struct schema_table *t;
	const struct config_key *key = schema_find(path, &t);
	const char *raw = config_get_raw(root, path);
	const struct config_node *node = root;
	cleanup_free char *text = NULL;
	uint64_t num;
	bool flag;

	if (key == NULL || raw == NULL || strchr(raw, '%') != NULL)
		return 0;
	if (t->node[0] != '\0') {
		node = config_find_node(root, t->node);
		path += strlen(t->node) + 1;
	}
	if (key->type == CONFIG_BOOL)
		return config_get_bool(node, t->keys, path, &flag, err);
	if (key->type == CONFIG_UINT || key->type == CONFIG_SIZE ||
	    key->type == CONFIG_ENUM)
		return config_get_uint(node, t->keys, path, &num, err);
	return config_get_str(node, t->keys, path, &text, err);
}
