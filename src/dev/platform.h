/*
 * The fixed part of the PC: what sits on the LPC bridge and in the chipset,
 * whatever was configured. PIC and I/O APIC belong to the machine (vmm/).
 */
#ifndef DEV_PLATFORM_H
#define DEV_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"
#include "dev/fw_cfg.h"
#include "dev/pci/pci.h"
#include "vmm/vm.h"

struct platform;

struct platform_config {
	/*
	 * The whole tree, for com1-com4, the boot ROM and the lpc node; NULL =
	 * none of them. It must outlive the platform.
	 */
	const struct config_node *root;
	bool rtc_localtime; /* RTC holds local time, else UTC */
	bool fw_cfg; /* lpc.fwcfg=qemu, or needed by the boot path */
};

/*
 * PIT (40h-43h, 61h), RTC and CMOS (70h-71h; memory sizes at 30h-35h and
 * 5bh-5dh, CPU count at 5fh), ACPI PM block (PMBASE: PM1 event and control, PM
 * timer, GPE0), SMI command port b2h, reset ports cf9h and 92h, keyboard
 * controller 60h/64h (reset and A20 only), debug port 402h, POST port 80h,
 * fw_cfg when asked for; the firmware of lpc.bootrom and lpc.bootvars.
 */
int platform_create(struct vm *vm, const struct platform_config *conf,
    struct platform **ret, struct error *err);
/*
 * The PM block follows the LPC bridge's PMBASE, and the bridge has the identity
 * that the lpc node's pcireg.* keys give. Call it before the bridge is
 * added. pb must outlive pf's use, pf the guest's run.
 */
void platform_attach_pci(struct platform *pf, struct pci_bus *pb);
/* Serial ports with "wait": block until their clients are there. */
int platform_wait_clients(struct platform *pf, struct error *err);
void platform_destroy(struct platform *pf); /* NULL is allowed */
struct fw_cfg *platform_fw_cfg(struct platform *pf); /* NULL when absent */

/* The ACPI power button (SIGTERM): fixed event, SCI. Any thread. */
void platform_power_button(struct platform *pf);
/* Did the guest enable ACPI and the power button, so that it will see it? */
bool platform_acpi_enabled(struct platform *pf);

/* Fixed ACPI numbers that the FADT repeats */
#define PM1A_EVT_OFF 0x00
#define PM1A_CNT_OFF 0x04
#define PM_TMR_OFF 0x08
#define PM_GPE0_OFF 0x20
#define PM_GPE0_LEN 0x10
#define PM_SMI_EN_OFF 0x30
#define PM_S5_TYP 5 /* SLP_TYPa of \_S5 */
#define PORT_SMI_CMD 0xb2
#define PM_ACPI_ENABLE 0x02 /* QEMU's and FreeBSD's numbers */
#define PM_ACPI_DISABLE 0x03
#define PORT_RESET 0xcf9
#define PORT_RESET_VALUE 0x06

/* com1-com4: "lpc.comN.path" = a tty specification (dev/tty/tty.h). */
struct uart_ports {
	uint16_t port;
	unsigned gsi;
};
extern const struct uart_ports lpc_com_ports[4];
extern const struct config_key lpc_keys[];
/* Is comN (0-3) configured? For ACPI tables. */
bool lpc_com_present(const struct config_node *root, unsigned n);
/* Its tty specification (caller frees); -ENOENT when it is not configured. */
int lpc_com_path(
    const struct config_node *root, unsigned n, char **ret, struct error *err);
/* "-l comN,conf": name is "comN", conf a tty specification. */
int lpc_com_parse(struct config_node *root, const char *name, const char *conf,
    struct error *err);

#endif
