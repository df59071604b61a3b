/*
 * bhyve(8)'s command line: one table of options from which the getopt string,
 * the parser and the text of -h come. FreeBSD's and illumos' options are
 * accepted side by side; nothing in them contradicts.
 */
#include "machine/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "machine/machine.h"
#include "machine/schema.h"

struct option {
	char letter;
	const char *arg; /* form of the argument; NULL: takes none */
	const char *var; /* variable that it sets... */
	const char *value; /* ...to this, or to the argument */
	options_arg_fn parse; /* an argument with a syntax of its own */
	enum options_action help; /* for the argument "help" */
	const char *text;
};

/* clang-format off */
static const struct option options[] = {
	{ 'A', NULL, "acpi_tables", "true", NULL, 0,
	    "make ACPI tables (default)" },
	{ 'a', NULL, "x86.x2apic", "false", NULL, 0,
	    "local APICs start in xAPIC mode (default)" },
	{ 'B', "type,key=value[,key=value...]", NULL, NULL, optarg_smbios, 0,
	    "SMBIOS fields; type 0 BIOS, 1 system, 2 board, 3 chassis" },
	{ 'C', NULL, "memory.guest_in_core", "true", NULL, 0,
	    "include guest memory in core dumps" },
	{ 'c', "[[cpus=]n][,sockets=n][,cores=n][,threads=n]", NULL, NULL,
	    optarg_cpus, 0,
	    "virtual CPUs and their topology" },
	{ 'D', NULL, "destroy_on_poweroff", "true", NULL, 0,
	    "accepted; nothing outlives the process" },
	{ 'd', NULL, "suspend_at_boot", "true", NULL, 0,
	    "hold the virtual CPUs at boot" },
	{ 'e', NULL, "x86.strictio", "true", NULL, 0,
	    "stop on an access to an I/O port that nothing answers" },
	{ 'f', "[name=]name,(string|file)=data", NULL, NULL, optarg_fw_cfg, 0,
	    "firmware configuration file" },
	{ 'G', "[w][address:]port", NULL, NULL, optarg_gdb, 0,
	    "GDB debug server; w waits for a debugger" },
	{ 'H', NULL, "x86.vmexit_on_hlt", "true", NULL, 0,
	    "accepted; an idle virtual CPU always yields" },
	{ 'h', NULL, NULL, NULL, NULL, OPTIONS_HELP,
	    "print this text" },
	{ 'I', NULL, NULL, NULL, NULL, 0,
	    "accepted; there always is an I/O APIC" },
	{ 'K', "layout", "keyboard.layout", NULL, NULL, 0,
	    "keyboard layout of the VNC console" },
	{ 'k', "file", NULL, NULL, config_load_file, 0,
	    "read variables from a file of name=value lines" },
	{ 'l', "help|device[,conf]", NULL, NULL, optarg_lpc, OPTIONS_HELP_LPC,
	    "device of the LPC bridge" },
	{ 'm', "size[K|M|G|T]", "memory.size", NULL, NULL, 0,
	    "guest memory; a bare number counts MiB" },
	{ 'n', "id,size,cpus[,domain_policy]", NULL, NULL, optarg_numa, 0,
	    "guest NUMA domain" },
	{ 'o', "variable=value", NULL, NULL, config_set_assignment, 0,
	    "set a variable of bhyve_config(5)" },
	{ 'P', NULL, "x86.vmexit_on_pause", "true", NULL, 0,
	    "leave the guest on PAUSE" },
	{ 'p', "vcpu:hostcpu", NULL, NULL, optarg_pin, 0,
	    "pin a virtual CPU to a host CPU; may be repeated" },
	{ 'r', "file", "restore.path", NULL, NULL, 0,
	    "resume from a snapshot" },
	{ 'S', NULL, "memory.wired", "true", NULL, 0,
	    "lock guest memory" },
	{ 's', "help|[bus:]slot[:function],device[,conf]", NULL, NULL,
	    optarg_pci, OPTIONS_HELP_PCI,
	    "PCI device; slot, slot:function or bus:slot:function" },
	{ 'U', "uuid", "uuid", NULL, NULL, 0,
	    "UUID told to the guest" },
	{ 'u', NULL, "rtc.use_localtime", "false", NULL, 0,
	    "the real-time clock shows UTC" },
	{ 'W', NULL, "virtio_msix", "false", NULL, 0,
	    "virtio devices use MSI instead of MSI-X" },
	{ 'w', NULL, "x86.strictmsr", "false", NULL, 0,
	    "unknown MSRs read 0 and ignore writes" },
	{ 'x', NULL, "x86.x2apic", "true", NULL, 0,
	    "local APICs start in x2APIC mode" },
	{ 'Y', NULL, "x86.mptable", "false", NULL, 0,
	    "make no MP table" },
};
/* clang-format on */

#define HELP_COLUMN 20
#define QUOTE_MAX 160 /* of an argument, before the reason it is refused */

/*
 * "+": stop at the first operand, as BSD's getopt does; ":": report a missing
 * argument as such.
 */
static void
make_getopt_string(char *s)
{
	*s++ = '+';
	*s++ = ':';
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		*s++ = options[i].letter;
		if (options[i].arg != NULL)
			*s++ = ':';
	}
	*s = '\0';
}

static const struct option *
find_option(int letter)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i].letter == letter)
			return &options[i];
	return NULL;
}

static int
apply_option(const struct option *opt, struct config_node *root,
    const char *arg, struct error *err)
{
	int rc = 0;

	if (opt->parse != NULL)
		rc = opt->parse(root, arg, err);
	else if (opt->var != NULL)
		rc = config_set(
		    root, opt->var, opt->value != NULL ? opt->value : arg, err);
	if (rc == 0 && opt->var != NULL)
		rc = schema_check_value(root, opt->var, err);
	if (rc == 0)
		return 0;
	if (arg == NULL)
		return error_prefix(err, "-%c", opt->letter);
	return error_prefix(err, "-%c %.*s%s", opt->letter, QUOTE_MAX, arg,
	    strlen(arg) > QUOTE_MAX ? "..." : "");
}

/* Returns true when the option is a request for help: *ret says which. */
static bool
is_help(const struct option *opt, const char *arg, enum options_action *ret)
{
	if (opt->help == OPTIONS_RUN)
		return false;
	if (opt->arg != NULL && strcmp(arg, "help") != 0)
		return false;
	*ret = opt->help;
	return true;
}

static int
parse_operands(int argc, char **argv, struct config_node *root,
    enum options_action *ret, struct error *err)
{
	const char *dump;
	bool on;
	int rc;

	if (argc > 1)
		return error_set(err, EINVAL,
		    "'%s' is one operand too many; options come before the "
		    "name of the virtual machine",
		    argv[1]);
	if (argc == 1) {
		rc = config_set(root, "name", argv[0], err);
		if (rc < 0)
			return rc;
	}
	if (config_get_raw(root, "name") == NULL)
		return error_set(err, EINVAL,
		    "the name of the virtual machine is missing; bhyve -h "
		    "shows the usage");
	rc = schema_canonical(root, err);
	if (rc < 0)
		return rc;
	dump = config_get_raw(root, "config.dump");
	*ret = dump != NULL && str_to_bool(dump, &on) == 0 && on ? OPTIONS_DUMP
								 : OPTIONS_RUN;
	return 0;
}

int
options_parse(int argc, char **argv, struct config_node *root,
    enum options_action *ret, struct error *err)
{
	char letters[2 * ARRAY_LEN(options) + 3];
	const struct option *opt;
	int c, rc;

	make_getopt_string(letters);
	optind = 0; /* glibc: start afresh */
	opterr = 0;
	while ((c = getopt(argc, argv, letters)) != -1) {
		opt = find_option(c == ':' ? optopt : c);
		if (c == '?' || opt == NULL)
			return error_set(err, EINVAL,
			    "unknown option -%c; bhyve -h lists the options",
			    optopt);
		if (c == ':')
			return error_set(err, EINVAL,
			    "-%c needs an argument: %s", opt->letter, opt->arg);
		if (is_help(opt, optarg, ret))
			return 0;
		rc = apply_option(opt, root, optarg, err);
		if (rc < 0)
			return rc;
	}
	return parse_operands(argc - optind, argv + optind, root, ret, err);
}

/* ---- texts ---- */

/* Append "text" at the column, on a line of its own when it is passed. */
static void
help_line(struct buf *b, size_t start, size_t column, const char *text)
{
	size_t used = b->len - start;

	if (used >= column) {
		buf_append_str(b, "\n");
		used = 0;
	}
	buf_printf(b, "%*s%s\n", (int)(column - used), "", text);
}

int
options_usage(struct buf *b)
{
	buf_append_str(b, "Usage: bhyve [-");
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i].arg == NULL)
			buf_put_u8(b, (uint8_t)options[i].letter);
	buf_append_str(b, "] [option argument]... vmname\n");
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		size_t start = b->len;

		buf_printf(b, "  -%c", options[i].letter);
		if (options[i].arg != NULL)
			buf_printf(b, " %s", options[i].arg);
		help_line(b, start, HELP_COLUMN, options[i].text);
	}
	return buf_error(b);
}

int
options_help_pci(struct buf *b)
{
	for (size_t i = 0; pci_models[i] != NULL; i++) {
		size_t start = b->len;

		buf_append_str(b, pci_models[i]->name);
		help_line(b, start, HELP_COLUMN, pci_models[i]->help);
	}
	return buf_error(b);
}

int
options_help_lpc(struct buf *b)
{
	optarg_lpc_help(b);
	return buf_error(b);
}
