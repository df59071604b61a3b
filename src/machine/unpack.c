/*
 * The configuration as zones hand it over: a packed nvlist.
 */
#include "base/nvlist.h"
#include "machine/machine.h"
#include "machine/schema.h"

int
machine_config_unpack(
    struct config_node *root, const void *data, size_t n, struct error *err)
{
	struct nvlist *nvl = NULL;
	int rc = nvlist_unpack(data, n, &nvl, err);

	if (rc < 0)
		return rc;
	rc = config_from_nvlist(root, nvl, err);
	nvlist_free(nvl);
	return rc == 0 ? schema_canonical(root, err) : rc;
}
