/*
 * ACPI power management: the register block at PMBASE and the SMI command
 * port.
 *
 * Sources: ACPI 6.5, 4.8.3 (PM1 event, PM1 control, PM timer, GPE blocks);
 * Intel ICH9 datasheet (316972), 13.8.3 (where they are in the block, SMI_EN),
 * 13.8.2 (APM_CNT b2h, APM_STS b3h).
 *
 * There is no SMM. SMI_EN reads with APMC_EN set, which tells SeaBIOS that
 * somebody has taken care of it already.
 *
 * Threads: any; one lock.
 */
#ifndef DEV_LPC_PM_H
#define DEV_LPC_PM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/vm.h"

#define PM_TIMER_HZ 3579545u

struct pm;

int pm_create(struct vm *vm, struct pm **ret, struct error *err);
void pm_destroy(struct pm *pm); /* NULL is allowed */
/* Where the block decodes; base 0 or !enabled: nowhere. */
void pm_move(struct pm *pm, uint16_t base, bool enabled);
void pm_power_button(struct pm *pm);
/* ACPI mode is on and the power button's event is enabled. */
bool pm_acpi_enabled(struct pm *pm);

#endif
