/*
 * What a NIC or disk that went leaves behind: a guest without a primary NIC,
 * a device without its function 0. Others take their place.
 */
#include <errno.h>
#include <string.h>

#include "manifest/impl.h"
#include "zone/assign.h"
#include "zone/type.h"

static const struct row slot = {
	.p = { .name = "pci_slot" }, .prop = "pci-slot", .pair = "pci_slot"
};

static bool
is_net(const struct zone_res *res)
{
	return strcmp(zone_res_type(res)->name, "net") == 0;
}

/* The first NIC, if none is primary. */
static int
settle_primary(struct zone_conf *conf, struct error *err)
{
	size_t first = ZONE_NEW;
	json_t *yes = json_true();

	for (size_t i = 0; i < zone_conf_count(conf); i++) {
		const struct zone_res *res = zone_conf_at(conf, i);

		if (is_net(res) && zone_res_flag(res, "primary"))
			return 0;
		if (is_net(res) && first == ZONE_NEW)
			first = i;
	}
	return first == ZONE_NEW
	    ? 0
	    : row_set_at(conf, first, row_find("nics", "primary"), yes, err);
}

/*
 * Of a device that functions are chosen of: the number of the lowest one that
 * is there, and which that is.
 */
static size_t
lowest(const struct zone_conf *conf, unsigned dev, unsigned *ret_func)
{
	struct zone_slot s;
	size_t at = ZONE_NEW;

	*ret_func = UINT32_MAX;
	for (size_t i = 0; i < zone_conf_count(conf); i++) {
		const struct zone_res *res = zone_conf_at(conf, i);

		if ((!is_net(res) && !zone_res_is_disk(res)) ||
		    zone_res_slot(res, &s) < 0 || s.bus != 0 || s.dev != dev ||
		    s.func >= *ret_func)
			continue;
		*ret_func = s.func;
		at = i;
	}
	return at;
}

int
manifest_settle(struct zone_conf *conf, struct error *err)
{
	static const unsigned devs[] = { ZONE_PCI_CDROM, ZONE_PCI_BOOTDISK,
		ZONE_PCI_DISK, ZONE_PCI_NET };
	int rc = settle_primary(conf, err);
	unsigned func;
	size_t at;

	for (size_t i = 0; rc == 0 && i < sizeof(devs) / sizeof(devs[0]); i++) {
		at = lowest(conf, devs[i], &func);
		if (at != ZONE_NEW && func != 0)
			rc = row_set_at(conf, at, &slot, json_null(), err);
	}
	return rc;
}
