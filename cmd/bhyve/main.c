/*
 * bhyve: parse the command line, build the machine, run it, say how it ended.
 * As zhyve it is the program of a zone instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/error.h"
#include "bhyve.h"
#include "machine/machine.h"

/* bhyve's own status of config.dump */
#define EXIT_DUMPED 1

static int
fail(const struct error *err)
{
	fprintf(stderr, "bhyve: %s\n", err->text);
	return VM_STOP_ERROR;
}

/* Print what a function wrote into a buffer, and exit with that status. */
static int
print(int rc, struct buf *text, int status)
{
	if (rc == 0 && buf_print(text, stdout) == 0)
		return status;
	perror("bhyve: standard output");
	return VM_STOP_ERROR;
}

static int
run(const struct config_node *root, struct error *err)
{
	struct machine *m = NULL;
	enum vm_stop why;

	if (machine_check(root, err) < 0 || machine_build(root, &m, err) < 0)
		return fail(err);
	why = machine_run(m);
	machine_destroy(m);
	return (int)why;
}

static int
act(enum options_action action, const struct config_node *root,
    struct error *err)
{
	struct buf text;
	int status = VM_STOP_ERROR;

	buf_init(&text, 1 << 20);
	switch (action) {
	case OPTIONS_RUN:
		status = run(root, err);
		break;
	case OPTIONS_HELP:
		status = print(options_usage(&text), &text, 0);
		break;
	case OPTIONS_HELP_PCI:
		status = print(options_help_pci(&text), &text, 0);
		break;
	case OPTIONS_HELP_LPC:
		status = print(options_help_lpc(&text), &text, 0);
		break;
	case OPTIONS_DUMP:
		status = print(config_dump(root, &text), &text, EXIT_DUMPED);
		break;
	}
	buf_fini(&text);
	return status;
}

int
main(int argc, char **argv)
{
	enum options_action action = OPTIONS_RUN;
	struct error err = ERROR_INIT;
	struct config_node *root;
	int status;

	if (argc > 0 && strcmp(basename(argv[0]), "zhyve") == 0)
		return zhyve_main();
	root = config_create();
	if (root == NULL) {
		perror("bhyve");
		return VM_STOP_ERROR;
	}
	if (options_parse(argc, argv, root, &action, &err) < 0)
		status = fail(&err);
	else
		status = act(action, root, &err);
	config_free(root);
	return status;
}
