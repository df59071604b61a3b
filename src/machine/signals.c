/*
 * What the operator's signals do. The power button is a request; whoever sends
 * SIGTERM again and again (scripts do) repeats the request and does not turn it
 * into pulling the plug. A person at the terminal who presses ^C twice means
 * the plug.
 */
#include <errno.h>
#include <signal.h>

#include "base/log.h"
#include "base/str.h"
#include "machine/internal.h"
#include "machine/machine.h"

static const int signals[MACHINE_SIGNALS] = { SIGTERM, SIGHUP, SIGINT };
static const char *const names[MACHINE_SIGNALS] = { "SIGTERM", "SIGHUP",
	"SIGINT" };

void
machine_power_button(struct machine *m, const char *who)
{
	if (m->platform == NULL || !platform_acpi_enabled(m->platform)) {
		vm_stop(m->vm, VM_STOP_POWEROFF, who);
		return;
	}
	log_info("machine", "%s: power button pressed", who);
	platform_power_button(m->platform);
}

static void
on_signal(void *arg, int signo)
{
	struct machine *m = arg;
	const char *name = "signal";
	bool twice;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (signals[i] == signo)
			name = names[i];
	twice = signo == SIGINT && m->interrupts++ > 0;
	if (twice)
		vm_stop(m->vm, VM_STOP_POWEROFF, name);
	else
		machine_power_button(m, name);
}

static bool
is_ignored(int signo)
{
	struct sigaction old;

	return sigaction(signo, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

int
machine_signals_take(struct machine *m, struct error *err)
{
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		if (is_ignored(signals[i]))
			continue;
		rc = mevent_add_signal(vm_loop(m->vm), signals[i], on_signal, m,
		    &m->signal[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void
machine_signals_drop(struct machine *m)
{
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		mevent_delete(m->signal[i]);
}
