/*
 * The root complex: which function is where. Functions are added while the
 * machine is built and stay until it is torn down, so lookups need no lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/pci/pci_internal.h"
#include "vmm/memmap.h"

static const struct config_key common_keys[] = {
	{ "device", CONFIG_STRING, NULL, NULL, 0,
	    "the device model (bhyve -s help lists them)" },
	{ NULL },
};

const struct pci_model *
pci_model_find(const char *name)
{
	for (size_t i = 0; pci_models[i] != NULL; i++) {
		const struct pci_model *m = pci_models[i];

		if (strcmp(m->name, name) == 0 ||
		    (m->alias != NULL && strcmp(m->alias, name) == 0))
			return m;
	}
	return NULL;
}

static int
model_unknown(const char *name, struct error *err)
{
	const char *names[64];
	size_t n = 0;

	for (size_t i = 0; pci_models[i] != NULL && n < ARRAY_LEN(names); i++)
		names[n++] = pci_models[i]->name;
	error_set(err, ENOENT, "unknown PCI device model '%s'", name);
	error_add_hint(err, str_nearest(name, names, n));
	return -ENOENT;
}

int
pci_conf_check(const struct config_node *conf, const struct pci_model **ret,
    struct error *err)
{
	cleanup_free char *name = NULL;
	const struct config_key *tables[3] = { common_keys, NULL, NULL };
	const struct pci_model *model;
	char path[64];
	int rc;

	rc = config_get_str(conf, common_keys, "device", &name, err);
	if (rc == -ENOENT)
		return error_set(err, EINVAL, "%s: no device model is given",
		    config_path(conf, path, sizeof(path)));
	if (rc < 0)
		return rc;
	model = pci_model_find(name);
	if (model == NULL)
		return model_unknown(name, err);
	tables[1] = model->keys;
	rc = config_check(conf, tables, NULL, err);
	if (rc < 0)
		return rc;
	*ret = model;
	return 0;
}

int
pci_bus_create(struct vm *vm, struct pci_bus **ret, struct error *err)
{
	struct pci_bus *pb = alloc_zero(1, sizeof(*pb));
	int rc;

	if (pb == NULL)
		return error_set(err, ENOMEM, "PCI: out of memory");
	pb->vm = vm;
	pthread_mutex_init(&pb->ecam_lock, NULL);
	rc = pci_cfg_windows_add(pb, err);
	if (rc < 0) {
		pthread_mutex_destroy(&pb->ecam_lock);
		free(pb);
		return rc;
	}
	*ret = pb;
	return 0;
}

static void
dev_free(struct pci_dev *pd)
{
	pthread_mutex_lock(&pd->lock);
	pci_bar_unmap_all_locked(pd);
	pthread_mutex_unlock(&pd->lock);
	pci_intr_fini(pd);
	pthread_mutex_destroy(&pd->lock);
	pthread_mutex_destroy(&pd->intr_lock);
	free(pd);
}

void
pci_bus_destroy(struct pci_bus *pb)
{
	struct pci_dev *pd;

	if (pb == NULL)
		return;
	pci_cfg_windows_remove(pb);
	while ((pd = pb->devs) != NULL) {
		pb->devs = pd->next;
		if (pd->model->fini != NULL)
			pd->model->fini(pd);
		dev_free(pd);
	}
	for (size_t i = 0; i < PCI_BUSES; i++)
		free(pb->slot[i]);
	pthread_mutex_destroy(&pb->ecam_lock);
	free(pb);
}

struct pci_dev *
pci_lookup(const struct pci_bus *pb, unsigned bus, unsigned slot, unsigned func)
{
	if (bus >= PCI_BUSES || slot >= PCI_SLOTS || func >= PCI_FUNCS ||
	    pb->slot[bus] == NULL)
		return NULL;
	return pb->slot[bus][slot * PCI_FUNCS + func];
}

struct pci_dev *
pci_bus_find(struct pci_bus *pb, struct pci_addr addr)
{
	return pci_lookup(pb, addr.bus, addr.slot, addr.func);
}

struct pci_dev *
pci_bus_next(struct pci_bus *pb, struct pci_dev *pd)
{
	return pd == NULL ? pb->devs : pd->next;
}

static unsigned
addr_key(struct pci_addr a)
{
	return (unsigned)a.bus << 8 | (unsigned)a.slot << 3 | a.func;
}

static void
dev_link(struct pci_bus *pb, struct pci_dev *pd)
{
	struct pci_dev **pp = &pb->devs;

	while (*pp != NULL && addr_key((*pp)->addr) < addr_key(pd->addr))
		pp = &(*pp)->next;
	pd->next = *pp;
	*pp = pd;
	pb->slot[pd->addr.bus][pd->addr.slot * PCI_FUNCS + pd->addr.func] = pd;
}

static int
addr_check(
    struct pci_bus *pb, struct pci_addr a, const char *model, struct error *err)
{
	const struct pci_dev *other;

	if (a.slot >= PCI_SLOTS)
		return error_set(err, EINVAL,
		    "PCI address %u:%u:%u: slot %u does not exist; a bus has "
		    "slots 0 to 31",
		    a.bus, a.slot, a.func, a.slot);
	if (a.func >= PCI_FUNCS)
		return error_set(err, EINVAL,
		    "PCI address %u:%u:%u: function %u does not exist; a slot "
		    "has functions 0 to 7",
		    a.bus, a.slot, a.func, a.func);
	other = pci_bus_find(pb, a);
	if (other != NULL)
		return error_set(err, EEXIST,
		    "PCI address %u:%u:%u: two devices in one slot: %s and %s; "
		    "give one of them another slot or function",
		    a.bus, a.slot, a.func, other->model->name, model);
	return 0;
}

static struct pci_dev *
dev_new(struct pci_bus *pb, struct pci_addr addr, const struct pci_model *model)
{
	struct pci_dev *pd = alloc_zero(1, sizeof(*pd));

	if (pd == NULL)
		return NULL;
	pd->pb = pb;
	pd->addr = addr;
	pd->model = model;
	pd->cap_next = PCI_HEADER_END;
	snprintf(pd->name, sizeof(pd->name), "%.28s %u:%u:%u", model->name,
	    addr.bus, addr.slot, addr.func);
	pthread_mutex_init(&pd->lock, NULL);
	pthread_mutex_init(&pd->intr_lock, NULL);
	for (unsigned i = 0; i < PCI_NBARS; i++) {
		pd->bar[i].pd = pd;
		pd->bar[i].idx = i;
	}
	/*
	 * Parity and SERR# do nothing here, but drivers expect to be able to
	 * set them.
	 */
	pci_cfg_set_wmask(pd, PCI_COMMAND, 2,
	    PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR);
	pci_cfg_set_wmask(pd, PCI_INTR_LINE, 1, 0xff);
	return pd;
}

int
pci_bus_add(struct pci_bus *pb, struct pci_addr addr,
    const struct config_node *conf, struct error *err)
{
	const struct pci_model *model;
	struct pci_dev *pd;
	int rc;

	rc = pci_conf_check(conf, &model, err);
	if (rc < 0)
		return error_prefix(
		    err, "pci.%u.%u.%u", addr.bus, addr.slot, addr.func);
	rc = addr_check(pb, addr, model->name, err);
	if (rc < 0)
		return rc;
	if (pb->slot[addr.bus] == NULL)
		pb->slot[addr.bus] =
		    alloc_zero(PCI_SLOTS * PCI_FUNCS, sizeof(struct pci_dev *));
	pd = dev_new(pb, addr, model);
	if (pb->slot[addr.bus] == NULL || pd == NULL) {
		if (pd != NULL)
			dev_free(pd);
		return error_set(err, ENOMEM, "PCI: out of memory");
	}
	rc = model->init(pd, conf, err);
	if (rc < 0) {
		error_prefix(err, "%s", pd->name);
		dev_free(pd);
		return rc;
	}
	dev_link(pb, pd);
	return 0;
}

uint64_t
pci_bus_ecam_base(struct pci_bus *pb)
{
	return pb->ecam_base;
}

void
pci_bus_on_pmbase(struct pci_bus *pb, pci_pmbase_fn fn, void *arg)
{
	pb->pmbase_fn = fn;
	pb->pmbase_arg = arg;
}

void
pci_bus_set_lpc_conf(struct pci_bus *pb, const struct config_node *lpc)
{
	pb->lpc_conf = lpc;
}

/* ---- identity ---- */

struct vm *
pci_dev_vm(struct pci_dev *pd)
{
	return pd->pb->vm;
}

struct pci_bus *
pci_dev_bus(struct pci_dev *pd)
{
	return pd->pb;
}

struct pci_addr
pci_dev_addr(const struct pci_dev *pd)
{
	return pd->addr;
}

const char *
pci_dev_name(const struct pci_dev *pd)
{
	return pd->name;
}

const struct pci_model *
pci_dev_model(const struct pci_dev *pd)
{
	return pd->model;
}

void *
pci_dev_priv(struct pci_dev *pd)
{
	return pd->priv;
}

void
pci_dev_set_priv(struct pci_dev *pd, void *priv)
{
	pd->priv = priv;
}
