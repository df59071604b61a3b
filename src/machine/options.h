/*
 * Between options.c (the table of options) and optargs.c (arguments that have a
 * syntax of their own). Each function turns the argument of one option into
 * values of the tree; errors do not name the option, the caller does.
 */
#ifndef MACHINE_OPTIONS_H
#define MACHINE_OPTIONS_H

#include "base/buf.h"
#include "base/config.h"
#include "base/error.h"

typedef int (*options_arg_fn)(
    struct config_node *root, const char *arg, struct error *err);

int optarg_smbios(
    struct config_node *root, const char *arg, struct error *err); /* -B */
int optarg_cpus(
    struct config_node *root, const char *arg, struct error *err); /* -c */
int optarg_fw_cfg(
    struct config_node *root, const char *arg, struct error *err); /* -f */
int optarg_gdb(
    struct config_node *root, const char *arg, struct error *err); /* -G */
int optarg_lpc(
    struct config_node *root, const char *arg, struct error *err); /* -l */
int optarg_numa(
    struct config_node *root, const char *arg, struct error *err); /* -n */
int optarg_pin(
    struct config_node *root, const char *arg, struct error *err); /* -p */
int optarg_pci(
    struct config_node *root, const char *arg, struct error *err); /* -s */

/* One line a device of -l, for "-l help". */
void optarg_lpc_help(struct buf *b);

#endif
