/*
 * From a checked tree to a running PC. Parts are made in the order of the
 * fields of struct machine and unmade in reverse, whatever came to be.
 */
#include "machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "boot/boot.h"
#include "dev/pci/pci.h"
#include "dev/platform.h"
#include "machine/internal.h"
#include "machine/schema.h"
#include "machine/settings.h"

/* ---- the frame ---- */

static int
get_flags(
    const struct config_node *root, struct vm_config *conf, struct error *err)
{
	const struct config_key *keys = schema_x86_keys;
	int rc;

	rc = config_get_bool(root, keys, "x86.x2apic", &conf->x2apic, err);
	if (rc == 0)
		rc = config_get_bool(
		    root, keys, "x86.strictmsr", &conf->strict_msr, err);
	if (rc == 0)
		rc = config_get_bool(
		    root, keys, "x86.strictio", &conf->strict_io, err);
	if (rc == 0)
		rc = config_get_bool(root, keys, "x86.vmexit_on_pause",
		    &conf->exit_on_pause, err);
	return rc;
}

static int
choose_engine(const struct config_node *root, const struct engine_ops **ret,
    struct error *err)
{
	cleanup_free char *name = NULL;
	int rc = config_get_str(root, schema_top_keys, "engine", &name, err);

	if (rc == 0)
		rc = engine_choose(name, ret, err);
	return rc < 0 && name != NULL ? error_prefix(err, "engine=%s", name)
				      : rc;
}

static int
get_lockstep(
    const struct config_node *root, struct vm_config *conf, struct error *err)
{
	int rc = config_get_bool(
	    root, schema_top_keys, "soft.lockstep", &conf->lockstep, err);

	if (rc == 0 && conf->lockstep &&
	    strcmp(conf->engine->name, "soft") != 0)
		return error_set(err, EINVAL,
		    "soft.lockstep=true: the engine is %s; give engine=soft",
		    conf->engine->name);
	return rc;
}

static int
get_step(
    const struct config_node *root, struct vm_config *conf, struct error *err)
{
	bool step = true;
	int rc = config_get_bool(root, schema_top_keys, "kvm.step", &step, err);

	conf->no_step = !step;
	return rc;
}

static int
build_frame(struct machine *m, struct error *err)
{
	const char *size = config_get_raw(m->root, "memory.size");
	struct vm_config conf = { 0 };
	int rc;

	rc = config_get_str(m->root, schema_top_keys, "name", &m->name, err);
	if (rc == 0)
		rc = settings_topology(m->root, &conf.topo, err);
	if (rc == 0)
		rc = settings_memory(m->root, &conf.mem, err);
	if (rc == 0)
		rc = get_flags(m->root, &conf, err);
	if (rc == 0)
		rc = get_step(m->root, &conf, err);
	if (rc == 0)
		rc = choose_engine(m->root, &conf.engine, err);
	if (rc == 0)
		rc = get_lockstep(m->root, &conf, err);
	if (rc < 0)
		return rc;
	conf.name = m->name;
	rc = vm_create(&conf, &m->vm, err);
	return rc < 0 ? error_prefix(err, "-m %s", size != NULL ? size : "256M")
		      : 0;
}

/* ---- devices ---- */

/* One "-f": the content is the text, or the file as it is now. */
static int
add_fw_cfg_file(struct fw_cfg *fw, const struct config_node *root,
    const char *index, struct error *err)
{
	cleanup_free char *name = NULL, *value = NULL;
	char path[64];
	struct buf data;
	bool file;
	int rc;

	snprintf(path, sizeof(path), "fw_cfg.%s.name", index);
	rc = config_get_str(root, schema_top_keys, path, &name, err);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "fw_cfg.%s.file", index);
	file = config_get_raw(root, path) != NULL;
	if (!file)
		snprintf(path, sizeof(path), "fw_cfg.%s.string", index);
	rc = config_get_str(root, schema_top_keys, path, &value, err);
	if (rc < 0)
		return rc;
	buf_init(&data, 16 * MiB);
	rc = file ? fd_read_file(AT_FDCWD, value, &data)
		  : buf_append_str(&data, value);
	if (rc == 0)
		rc = fw_cfg_add_file(fw, name, data.data, data.len);
	buf_fini(&data);
	if (rc < 0)
		return error_sys(err, -rc, "-f %s,%s=%s", name,
		    file ? "file" : "string", value);
	return 0;
}

static int
add_fw_cfg_files(struct machine *m, struct error *err)
{
	const struct config_node *files = config_find_node(m->root, "fw_cfg");
	const struct config_node *f = NULL;
	struct fw_cfg *fw = platform_fw_cfg(m->platform);
	int rc = 0;

	while (rc == 0 && files != NULL && (f = config_next(files, f)) != NULL)
		rc = add_fw_cfg_file(fw, m->root, config_name(f), err);
	return rc;
}

/* "com1: ..." becomes "-l com1,stdio: ...". */
static void
name_com_option(const struct config_node *root, struct error *err)
{
	char what[16], option[128], path[32];

	for (unsigned i = 1; i <= ARRAY_LEN(lpc_com_ports); i++) {
		const char *spec;

		snprintf(path, sizeof(path), "lpc.com%u.path", i);
		spec = config_get_raw(root, path);
		if (spec == NULL)
			continue;
		snprintf(what, sizeof(what), "com%u: ", i);
		snprintf(option, sizeof(option), "-l com%u,%.90s: ", i, spec);
		settings_option_error(err, what, option);
	}
}

/* Its files then come through fw_cfg, whichever kind lpc.fwcfg asks for. */
static bool
has_firmware(const struct machine *m)
{
	return config_get_raw(m->root, "lpc.bootrom") != NULL;
}

static int
build_platform(struct machine *m, struct error *err)
{
	const char *fwcfg = config_get_raw(m->root, "lpc.fwcfg");
	struct platform_config conf = {
		.root = m->root,
		.fw_cfg = config_find_node(m->root, "fw_cfg") != NULL ||
		    has_firmware(m) ||
		    (fwcfg != NULL && strcmp(fwcfg, "qemu") == 0),
	};
	int rc;

	rc = config_get_bool(m->root, schema_top_keys, "rtc.use_localtime",
	    &conf.rtc_localtime, err);
	if (rc < 0)
		return rc;
	rc = platform_create(m->vm, &conf, &m->platform, err);
	if (rc < 0) {
		name_com_option(m->root, err);
		return rc;
	}
	return add_fw_cfg_files(m, err);
}

static int
add_pci_device(void *arg, struct pci_addr addr, const struct config_node *node,
    struct error *err)
{
	struct machine *m = arg;
	int rc = pci_bus_add(m->pci, addr, node, err);

	return rc < 0 ? settings_pci_error(err, addr, node) : 0;
}

static int
name_pci_option(void *arg, struct pci_addr addr, const struct config_node *node,
    struct error *err)
{
	struct error *what = arg;

	if (settings_is_about(what, addr, node))
		settings_pci_error(what, addr, node);
	return 0;
}

static int
build_pci(struct machine *m, struct error *err)
{
	int rc = pci_bus_create(m->vm, &m->pci, err);

	if (rc < 0)
		return rc;
	platform_attach_pci(m->platform, m->pci);
	rc = settings_each_pci(m->root, add_pci_device, m, err);
	if (rc < 0)
		return rc;
	rc = pci_bus_assign(m->pci, err);
	if (rc < 0)
		settings_each_pci(m->root, name_pci_option, err, NULL);
	return rc;
}

/* ---- what the guest finds ---- */

/* NULL when the key is not set. */
static int
get_optional(const struct config_node *root, const char *key, char **ret,
    struct error *err)
{
	if (config_get_raw(root, key) == NULL)
		return 0;
	return config_get_str(root, boot_keys, key, ret, err);
}

static int
load_kernel(struct machine *m, const struct boot_machine *bm,
    const struct boot_acpi *acpi, struct error *err)
{
	cleanup_free char *kernel = NULL, *initrd = NULL, *cmdline = NULL;
	struct vcpu_state *state;
	struct e820_map e820;
	int rc;

	rc = get_optional(m->root, "boot.kernel", &kernel, err);
	if (rc == 0)
		rc = get_optional(m->root, "boot.initrd", &initrd, err);
	if (rc == 0)
		rc = get_optional(m->root, "boot.cmdline", &cmdline, err);
	if (rc < 0)
		return rc;
	state = alloc_zero(1, sizeof(*state));
	if (state == NULL)
		return error_sys(err, ENOMEM, "kernel");
	e820_make(vm_mem(m->vm), acpi != NULL ? acpi->base : 0,
	    acpi != NULL ? acpi->size : 0, pci_bus_ecam_base(m->pci), &e820);
	rc = boot_load(bm, &(struct boot_image){ kernel, initrd, cmdline },
	    acpi, &e820, state, err);
	if (rc == 0) {
		rc = vm_set_vcpu_state(m->vm, 0, state);
		if (rc < 0)
			error_sys(err, -rc, "start state");
	}
	free(state);
	if (rc == 0)
		return 0;
	settings_option_error(err, "kernel ", "-o boot.kernel=");
	settings_option_error(err, "initrd ", "-o boot.initrd=");
	settings_option_error(err, "boot.cmdline: ", "-o boot.cmdline: ");
	return rc;
}

/* For a kernel: tables in memory, and the kernel. */
static int
build_kernel(struct machine *m, const struct boot_machine *bm, bool want_acpi,
    struct error *err)
{
	struct boot_acpi acpi = { 0 };
	int rc = want_acpi ? boot_acpi_write(bm, &acpi, err) : 0;

	if (rc == 0)
		rc = boot_smbios_write(bm, err);
	if (rc == 0 && bm->mptable)
		rc = boot_mptable_write(bm, err);
	if (rc == 0)
		rc = load_kernel(m, bm, want_acpi ? &acpi : NULL, err);
	return rc;
}

static int
build_boot(struct machine *m, struct error *err)
{
	struct boot_machine bm = {
		.vm = m->vm,
		.pci = m->pci,
		.config = m->root,
		.topo = vm_topology(m->vm),
		.fw_cfg = platform_fw_cfg(m->platform),
	};
	bool want_acpi;
	int rc;

	rc = settings_uuid(m->root, bm.uuid, err);
	if (rc == 0)
		rc = config_get_bool(
		    m->root, schema_x86_keys, "x86.mptable", &bm.mptable, err);
	if (rc == 0)
		rc = config_get_bool(
		    m->root, schema_top_keys, "acpi_tables", &want_acpi, err);
	if (rc < 0)
		return rc;
	return has_firmware(m) ? boot_fw_cfg_export(&bm, want_acpi, err)
			       : build_kernel(m, &bm, want_acpi, err);
}

static int
pin_vcpus(struct machine *m, struct error *err)
{
	const struct config_node *list = config_find_node(m->root, "vcpu");
	const struct config_node *vcpu = NULL;
	int rc = 0;

	while (rc == 0 && list != NULL &&
	    (vcpu = config_next(list, vcpu)) != NULL) {
		cleanup_free char *cpus = NULL;
		const char *name = config_name(vcpu);
		char path[64];

		snprintf(path, sizeof(path), "vcpu.%s.cpuset", name);
		rc = config_get_str(m->root, schema_top_keys, path, &cpus, err);
		if (rc < 0)
			break;
		rc =
		    vm_pin(m->vm, (unsigned)strtoul(name, NULL, 10), cpus, err);
		if (rc < 0)
			error_prefix(err, "-p %s:%s", name, cpus);
	}
	return rc;
}

/* ---- life ---- */

static int
build(struct machine *m, struct error *err)
{
	int rc = build_frame(m, err);

	/* Before any thread is there, so that none takes our signals. */
	if (rc == 0)
		rc = machine_signals_take(m, err);
	if (rc == 0)
		rc = build_platform(m, err);
	if (rc == 0)
		rc = build_pci(m, err);
	if (rc == 0)
		rc = build_boot(m, err);
	if (rc == 0)
		rc = pin_vcpus(m, err);
	if (rc == 0)
		rc = vm_prepare(m->vm, err);
	return rc;
}

int
machine_build(
    const struct config_node *root, struct machine **ret, struct error *err)
{
	struct machine *m = alloc_zero(1, sizeof(*m));
	struct log_config log = { 0 };
	int rc;

	if (m == NULL)
		return error_sys(err, ENOMEM, "machine");
	m->root = root;
	rc = machine_log_hold(root, &log, err);
	if (rc == 0) {
		rc = build(m, err);
		machine_log_release(&log, rc == 0);
	}
	if (rc < 0) {
		machine_destroy(m);
		return rc;
	}
	*ret = m;
	return 0;
}

enum vm_stop
machine_run(struct machine *m)
{
	const struct cpu_topology *topo = vm_topology(m->vm);
	struct error err = ERROR_INIT;
	char cpus[16], memory[24];

	snprintf(cpus, sizeof(cpus), "%u", topo->cpus);
	snprintf(memory, sizeof(memory), "%juM",
	    (uintmax_t)(vm_mem_size(vm_mem(m->vm)) / MiB));
	log_event(LOG_INFO, "machine", "ready",
	    (struct log_field[]){ { "vm", m->name },
		{ "engine", vm_engine_ops(m->vm)->name }, { "cpus", cpus },
		{ "memory", memory }, { NULL, NULL } });
	/* A signal may end the wait: then its reason came first and wins. */
	if (platform_wait_clients(m->platform, &err) < 0)
		vm_stop(m->vm, VM_STOP_ERROR, err.text);
	return vm_run(m->vm);
}

struct mevent_loop *
machine_loop(struct machine *m)
{
	return vm_loop(m->vm);
}

void
machine_stop(struct machine *m, enum vm_stop reason, const char *cause)
{
	vm_stop(m->vm, reason, cause);
}

int
machine_nmi(struct machine *m)
{
	return vm_nmi(m->vm, 0);
}

int
machine_pause(struct machine *m)
{
	return vm_pause(m->vm);
}

void
machine_resume(struct machine *m)
{
	vm_resume(m->vm);
}

const char *
machine_engine(const struct machine *m)
{
	return vm_engine_ops(m->vm)->name;
}

unsigned
machine_cpus(const struct machine *m)
{
	return vm_topology(m->vm)->cpus;
}

uint64_t
machine_memory(const struct machine *m)
{
	return vm_mem_size(vm_mem(m->vm));
}

const char *
machine_stop_cause(const struct machine *m)
{
	return vm_stop_cause(m->vm);
}

void
machine_destroy(struct machine *m)
{
	if (m == NULL)
		return;
	machine_signals_drop(m);
	/* The platform follows registers of the bridge: it goes first. */
	platform_destroy(m->platform);
	if (m->pci != NULL)
		pci_bus_destroy(m->pci);
	vm_destroy(m->vm);
	free(m->name);
	free(m);
}
