/*
 * Inside src/machine only: the machine and its signals.
 */
#ifndef MACHINE_INTERNAL_H
#define MACHINE_INTERNAL_H

#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mevent.h"
#include "dev/pci/pci.h"
#include "dev/platform.h"
#include "vmm/vm.h"

#define MACHINE_SIGNALS 3

struct machine {
	const struct config_node *root; /* borrowed, outlives the machine */
	char *name;
	struct vm *vm;
	struct mevent *signal[MACHINE_SIGNALS];
	unsigned interrupts; /* SIGINTs so far */
	struct platform *platform;
	struct pci_bus *pci;
};

/*
 * SIGTERM, SIGHUP and SIGINT press the ACPI power button; a guest that does not
 * listen to ACPI is powered off at once, and so is any guest at the second
 * SIGINT. A signal that the process was started to ignore stays ignored.
 */
int machine_signals_take(struct machine *m, struct error *err);
void machine_signals_drop(struct machine *m);

/*
 * Log as configured. While the machine is built the lines are held back: a
 * configuration that is refused says so in one line, and what the parts told on
 * the way comes out only when the machine is ready. Nothing is held when the
 * configuration names a level.
 */
struct log_config {
	enum log_format format;
	enum log_level level;
	int held; /* memfd with the lines, or -1 */
};
int machine_log_hold(
    const struct config_node *root, struct log_config *ret, struct error *err);
void machine_log_release(struct log_config *log, bool show);

#endif
