/*
 * Inside src/machine only: the machine and its signals.
 */
#ifndef MACHINE_INTERNAL_H
#define MACHINE_INTERNAL_H

#include "base/config.h"
#include "base/error.h"
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

#endif
