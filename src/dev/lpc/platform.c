/*
 * The fixed part of the PC, put together. See dev/platform.h.
 */
#include "dev/platform.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/lpc/bootrom.h"
#include "dev/lpc/kbc.h"
#include "dev/lpc/pit.h"
#include "dev/lpc/pm.h"
#include "dev/lpc/ports.h"
#include "dev/lpc/rtc.h"
#include "dev/lpc/uart.h"

#define NCOMS ARRAY_LEN(lpc_com_ports)

static const char *const com_names[NCOMS] = { "com1", "com2", "com3", "com4" };

struct platform {
	const struct config_node *root;
	struct pit *pit;
	struct rtc *rtc;
	struct pm *pm;
	struct kbc *kbc;
	struct ports *ports;
	struct fw_cfg *fw_cfg;
	struct bootrom *bootrom;
	struct uart *com[NCOMS];
};

static int
coms_create(struct platform *pf, struct vm *vm, const struct config_node *root,
    struct error *err)
{
	for (unsigned i = 0; root != NULL && i < NCOMS; i++) {
		cleanup_free char *spec = NULL;
		int rc = lpc_com_path(root, i, &spec, err);

		if (rc == -ENOENT)
			continue;
		if (rc == 0)
			rc =
			    uart_create(vm, com_names[i], lpc_com_ports[i].port,
				lpc_com_ports[i].gsi, spec, &pf->com[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
platform_create(struct vm *vm, const struct platform_config *conf,
    struct platform **ret, struct error *err)
{
	struct platform *pf = alloc_zero(1, sizeof(*pf));
	int rc;

	if (pf == NULL)
		return error_set(err, ENOMEM, "platform: out of memory");
	pf->root = conf->root;
	rc = pit_create(vm, &pf->pit, err);
	if (rc == 0)
		rc = rtc_create(vm, conf->rtc_localtime, &pf->rtc, err);
	if (rc == 0)
		rc = pm_create(vm, &pf->pm, err);
	if (rc == 0)
		rc = kbc_create(vm, &pf->kbc, err);
	if (rc == 0)
		rc = ports_create(vm, &pf->ports, err);
	if (rc == 0 && conf->fw_cfg)
		rc = fw_cfg_create(vm, &pf->fw_cfg, err);
	if (rc == 0)
		rc = bootrom_create(vm, conf->root, &pf->bootrom, err);
	if (rc == 0)
		rc = coms_create(pf, vm, conf->root, err);
	if (rc < 0) {
		platform_destroy(pf);
		return rc;
	}
	*ret = pf;
	return 0;
}

static void
on_pmbase(void *arg, uint16_t base, bool enabled)
{
	struct platform *pf = arg;

	pm_move(pf->pm, base, enabled);
}

void
platform_attach_pci(struct platform *pf, struct pci_bus *pb)
{
	pci_bus_on_pmbase(pb, on_pmbase, pf);
	if (pf->root != NULL)
		pci_bus_set_lpc_conf(pb, config_find_node(pf->root, "lpc"));
}

int
platform_wait_clients(struct platform *pf, struct error *err)
{
	for (unsigned i = 0; i < NCOMS; i++) {
		int rc =
		    pf->com[i] != NULL ? uart_wait_client(pf->com[i], err) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

void
platform_destroy(struct platform *pf)
{
	if (pf == NULL)
		return;
	for (unsigned i = 0; i < NCOMS; i++)
		uart_destroy(pf->com[i]);
	bootrom_destroy(pf->bootrom);
	fw_cfg_destroy(pf->fw_cfg);
	ports_destroy(pf->ports);
	kbc_destroy(pf->kbc);
	pm_destroy(pf->pm);
	rtc_destroy(pf->rtc);
	pit_destroy(pf->pit);
	free(pf);
}

struct fw_cfg *
platform_fw_cfg(struct platform *pf)
{
	return pf->fw_cfg;
}

void
platform_power_button(struct platform *pf)
{
	pm_power_button(pf->pm);
}

bool
platform_acpi_enabled(struct platform *pf)
{
	return pm_acpi_enabled(pf->pm);
}
