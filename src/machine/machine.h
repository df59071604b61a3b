/*
 * The PC, assembled from a configuration tree: the one place that knows all
 * parts. The bhyve program and zhyve (pid 1 of a zone) are thin mains over it.
 *
 *   options_parse()    argv -> tree          (bhyve(8), both dialects)
 *   machine_check()    unknown keys, types, ranges, conflicts
 *   machine_build()    tree -> a machine ready to run; nothing half made
 *   machine_run()      run it; the value is bhyve's exit status
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"
#include "vmm/vm.h"

struct machine;

/* What the command line asked for besides building a machine. */
enum options_action {
	OPTIONS_RUN,
	OPTIONS_HELP, /* -h */
	OPTIONS_HELP_PCI, /* -s help */
	OPTIONS_HELP_LPC, /* -l help */
	OPTIONS_DUMP, /* config.dump=true */
};

/*
 * Parse argv into the tree, in order, later wins. All options of bhyve(8) on
 * amd64 in FreeBSD's and illumos' forms. Errors name the option.
 */
int options_parse(int argc, char **argv, struct config_node *root,
    enum options_action *ret, struct error *err);
/* The texts of -h, -s help, -l help; made from the option and key tables. */
int options_usage(struct buf *b);
int options_help_pci(struct buf *b);
int options_help_lpc(struct buf *b);

/*
 * The tree from a packed nvlist, as zones hand it over. Options may be parsed
 * into the same tree before or after.
 */
int machine_config_unpack(
    struct config_node *root, const void *data, size_t n, struct error *err);

/*
 * All that can be said before anything is opened or allocated; errors name the
 * option. The tree must be checked before machine_build().
 */
int machine_check(const struct config_node *root, struct error *err);
/* root is borrowed and must outlive the machine. */
int machine_build(
    const struct config_node *root, struct machine **ret, struct error *err);
enum vm_stop machine_run(struct machine *m);
/* The main loop, to hang events on before machine_run(). */
struct mevent_loop *machine_loop(struct machine *m);
/* What the operator can do, on the loop's thread. who: for the log. */
/* Press the power button; a guest that does not listen is powered off. */
void machine_power_button(struct machine *m, const char *who);
void machine_stop(struct machine *m, enum vm_stop reason, const char *cause);
int machine_nmi(struct machine *m); /* to the first vCPU */
/*
 * No vCPU runs until machine_resume(); the devices end what the guest has asked
 * them for.
 */
int machine_pause(struct machine *m);
void machine_resume(struct machine *m);
/* For those who want to know what was built. */
const char *machine_engine(const struct machine *m);
unsigned machine_cpus(const struct machine *m);
uint64_t machine_memory(const struct machine *m); /* bytes */
const char *machine_stop_cause(const struct machine *m);
void machine_destroy(struct machine *m); /* NULL is allowed */

#endif
