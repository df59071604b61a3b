/*
 * An NVMe controller with one namespace on a block back end: NVM Express 1.4,
 * NVM command set, PRPs, pages of 4 KiB. This file is the PCI function.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "dev/nvme/nvme_impl.h"
#include "dev/pci/models.h"
#include "vmm/vm.h"

#define NVME_BAR 0
#define NVME_BAR_MSIX 0x2000
#define NVME_VENDOR 0xfb5d /* bhyve's */
#define NVME_DEVICE 0x0a0a
#define READY_HALF_SECONDS 60 /* a reset waits for requests in flight */
#define RAM_MAX_MIB "1048576"

static const struct config_key nvme_keys[] = {
	BLOCK_CONFIG_KEYS,
	{ "maxq", CONFIG_UINT, "16", "1..64", 0, "pairs of I/O queues" },
	{ "qsz", CONFIG_UINT, "2058", "2..65536", 0,
	    "most entries of an I/O queue" },
	{ "ioslots", CONFIG_UINT, "128", "1..1024", 0,
	    "requests in work, each queue" },
	{ "sectsz", CONFIG_ENUM, NULL, "512|4096|8192", 0,
	    "size of a logical block in bytes" },
	{ "eui64", CONFIG_UINT, "0", NULL, 0,
	    "identifier of the namespace (EUI-64); 0: a UUID instead" },
	{ "dsm", CONFIG_ENUM, "auto", "auto|enable|disable", 0,
	    "offer deallocation (TRIM)" },
	{ "dbcs", CONFIG_BOOL, "true", NULL, 0,
	    "offer doorbells in memory (Doorbell Buffer Config)" },
	BLOCK_POLL_KEY,
	{ "ram", CONFIG_UINT, NULL, "1.." RAM_MAX_MIB, 0,
	    "a disk of so many MiB of memory, instead of path" },
	{ NULL },
};
enum { DSM_AUTO, DSM_ENABLE, DSM_DISABLE };
static const uint8_t sectsz_shift[] = { 9, 12, 13 };

/* ---- registers, 3.1 ---- */

static uint64_t
nvme_cap(const struct nvme *n)
{
	return (n->max_entries - 1) | NVME_CAP_CQR |
	    NVME_CAP_TO(READY_HALF_SECONDS) | NVME_CAP_CSS_NVM;
}

static uint32_t
reg_read_locked(const struct nvme *n, uint64_t off)
{
	switch (off) {
	case NVME_CAP:
		return (uint32_t)nvme_cap(n);
	case NVME_CAP + 4:
		return (uint32_t)(nvme_cap(n) >> 32);
	case NVME_VS:
		return NVME_VERSION;
	case NVME_INTMS:
	case NVME_INTMC:
		return ATOMIC_GET(&n->intms);
	case NVME_CC:
		return ATOMIC_GET(&n->cc);
	case NVME_CSTS:
		return ATOMIC_GET(&n->csts);
	case NVME_AQA:
		return n->aqa;
	case NVME_ASQ:
		return (uint32_t)n->asq;
	case NVME_ASQ + 4:
		return (uint32_t)(n->asq >> 32);
	case NVME_ACQ:
		return (uint32_t)n->acq;
	case NVME_ACQ + 4:
		return (uint32_t)(n->acq >> 32);
	default:
		return 0;
	}
}

static void
store_half(uint64_t *reg, bool high, uint32_t v)
{
	if (high)
		*reg = (*reg & UINT32_MAX) | (uint64_t)v << 32;
	else
		*reg = (*reg & ~(uint64_t)UINT32_MAX) | (v & ~(NVME_PAGE - 1));
}

static void
cc_write_locked(struct nvme *n, uint32_t v)
{
	uint32_t old = n->cc;

	ATOMIC_SET(&n->cc, v & NVME_CC_WRITABLE);
	if ((old & NVME_CC_EN) != 0 && (v & NVME_CC_EN) == 0)
		ATOMIC_SET(&n->reset_wanted, true);
	mevent_notify(n->settle);
}

static void
reg_write_locked(struct nvme *n, uint64_t off, uint32_t v)
{
	switch (off) {
	case NVME_INTMS:
		__atomic_or_fetch(&n->intms, v, __ATOMIC_ACQ_REL);
		break;
	case NVME_INTMC:
		__atomic_and_fetch(&n->intms, ~v, __ATOMIC_ACQ_REL);
		break;
	case NVME_CC:
		cc_write_locked(n, v);
		break;
	case NVME_AQA:
		n->aqa = v & NVME_AQA_WRITABLE;
		break;
	case NVME_ASQ:
	case NVME_ASQ + 4:
		store_half(&n->asq, off != NVME_ASQ, v);
		break;
	case NVME_ACQ:
	case NVME_ACQ + 4:
		store_half(&n->acq, off != NVME_ACQ, v);
		break;
	default:
		break;
	}
}

static uint64_t
nvme_bar_read(struct pci_dev *pd, unsigned idx, uint64_t off, unsigned width)
{
	struct nvme *n = pci_dev_priv(pd);
	uint64_t word, at = ROUND_DOWN(off, UINT64_C(4));
	unsigned shift = (unsigned)(off - at) * 8;

	if (at >= NVME_DOORBELLS)
		return 0; /* doorbells are for writing, 3.1.24 */
	pthread_mutex_lock(&n->lock);
	word = reg_read_locked(n, at);
	if (off - at + width > 4)
		word |= (uint64_t)reg_read_locked(n, at + 4) << 32;
	pthread_mutex_unlock(&n->lock);
	return word >> shift;
}

static void
nvme_bar_write(struct pci_dev *pd, unsigned idx, uint64_t off, unsigned width,
    uint64_t value)
{
	struct nvme *n = pci_dev_priv(pd);

	/* Registers are written whole, or in halves (3.1). */
	if (width < 4 || off % 4 != 0)
		return;
	if (off >= NVME_DOORBELLS) {
		if (width == 4)
			nvme_doorbell_write(
			    n, off - NVME_DOORBELLS, (uint32_t)value);
		return;
	}
	pthread_mutex_lock(&n->lock);
	reg_write_locked(n, off, (uint32_t)value);
	if (width == 8)
		reg_write_locked(n, off + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&n->lock);
	if (off == NVME_INTMS || off == NVME_INTMC)
		nvme_intx_update(n);
}

/* ---- options ---- */

/* "path[,options]", or "ram=MiB[,options]". */
static int
nvme_parse(struct config_node *node, const char *opts, struct error *err)
{
	const char *path;
	int rc;

	rc = block_parse(node, opts, err);
	path = config_get_raw(node, "path");
	if (rc != 0 || strncmp(path, "ram=", 4) != 0)
		return rc;
	rc = config_set(node, "ram", path + 4, err);
	if (rc == 0)
		rc = config_unset(node, "path");
	return rc;
}

static int
read_serial(struct nvme *n, const struct config_node *conf, struct error *err)
{
	cleanup_free char *ser = NULL;
	int rc;

	rc = config_get_str(conf, nvme_keys, "ser", &ser, err);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0 && strlen(ser) > BLOCK_SERIAL_LEN)
		return error_set(err, EINVAL,
		    "ser=%s: a serial number has at most %u characters", ser,
		    BLOCK_SERIAL_LEN);
	if (rc == 0)
		(void)str_format(n->serial, sizeof(n->serial), "%s", ser);
	return rc;
}

/*
 * A UUID that stays the same as long as the serial number does: FNV-1a, in the
 * form for those of one's own making (version 8). OVMF's boot order knows a
 * namespace without EUI-64 only, so that is for who asks for it.
 */
static void
default_uuid(struct nvme *n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (unsigned i = 0; i < 2; i++) {
		for (const char *p = n->serial; *p != '\0'; p++)
			h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
		store_be64(n->uuid + i * 8, h);
	}
	n->uuid[6] = 0x80 | (n->uuid[6] & 0x0f);
	n->uuid[8] = 0x80 | (n->uuid[8] & 0x3f);
}

static int
read_names(struct nvme *n, const struct config_node *conf, struct error *err)
{
	cleanup_free char *path = NULL;
	int rc;

	rc = config_get_str(conf, nvme_keys, "path", &path, err);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	block_default_serial(
	    path != NULL ? path : "ram", n->serial, sizeof(n->serial));
	rc = config_get_uint(conf, nvme_keys, "eui64", &n->eui64, err);
	if (rc != 0)
		return rc;
	rc = read_serial(n, conf, err);
	default_uuid(n);
	return rc;
}

static int
read_sizes(struct nvme *n, const struct config_node *conf, struct error *err)
{
	uint64_t maxq = 0, qsz = 0, slots = 0;
	int rc;

	rc = config_get_uint(conf, nvme_keys, "maxq", &maxq, err);
	if (rc == 0)
		rc = config_get_uint(conf, nvme_keys, "qsz", &qsz, err);
	if (rc == 0)
		rc = config_get_uint(conf, nvme_keys, "ioslots", &slots, err);
	n->nqueues = (unsigned)maxq;
	n->max_entries = (uint32_t)qsz;
	n->slots = (unsigned)slots;
	if (rc == 0)
		rc = config_get_bool(conf, nvme_keys, "dbcs", &n->shadows, err);
	return rc == 0 ? block_poll_init(&n->poll, conf, nvme_keys, err) : rc;
}

/* What follows from the medium. */
static int
read_medium(struct nvme *n, const struct config_node *conf, struct error *err)
{
	const struct block_info *in = block_info(n->bd);
	uint64_t size = 0, dsm = DSM_AUTO;
	int rc;

	n->lba_shift = (unsigned)__builtin_ctz(in->sector_size);
	rc = config_get_uint(conf, nvme_keys, "sectsz", &size, err);
	if (rc == 0)
		n->lba_shift = sectsz_shift[size];
	else if (rc != -ENOENT)
		return rc;
	if (UINT32_C(1) << n->lba_shift < in->sector_size)
		return error_set(err, EINVAL,
		    "sectsz=%u: the medium has sectors of %u bytes; use that",
		    1u << n->lba_shift, in->sector_size);
	n->lbas = in->size >> n->lba_shift;
	if (n->lbas == 0)
		return error_set(err, EINVAL,
		    "a disk of %llu bytes is too small for blocks of %u",
		    (unsigned long long)in->size, 1u << n->lba_shift);
	n->readonly = in->readonly;
	rc = config_get_uint(conf, nvme_keys, "dsm", &dsm, err);
	n->dsm = !n->readonly &&
	    (dsm == DSM_ENABLE || (dsm == DSM_AUTO && in->can_discard));
	return rc;
}

/* ---- building ---- */

/* The node of a disk in memory: as the given one, with a path. */
static int
ram_conf(int fd, const struct config_node *conf, struct config_node *ret,
    struct error *err)
{
	static const char *const names[] = { "ro", "nodelete", "sectorsize",
		"aio" };
	char path[32];
	int rc;

	(void)str_format(path, sizeof(path), "/dev/fd/%d", fd);
	rc = config_set(ret, "path", path, err);
	for (unsigned i = 0; rc == 0 && i < ARRAY_LEN(names); i++) {
		const char *v = config_get_raw(conf, names[i]);

		if (v != NULL)
			rc = config_set(ret, names[i], v, err);
	}
	return rc;
}

static int
open_ram(struct nvme *n, const struct config_node *conf, uint64_t mib,
    struct error *err)
{
	struct config_node *node = config_create();
	int rc;

	if (node == NULL)
		return error_sys(err, ENOMEM, "ram");
	n->ram_fd = fd_memfd("nvme", mib * MiB, 0);
	if (n->ram_fd < 0)
		rc = error_sys(
		    err, -n->ram_fd, "ram=%llu", (unsigned long long)mib);
	else
		rc = ram_conf(n->ram_fd, conf, node, err);
	if (rc == 0)
		rc = block_open(
		    iothread_loop(n->thr), node, nvme_keys, &n->bd, err);
	config_free(node);
	return rc;
}

static void
nvme_batch(void *arg)
{
	struct nvme *n = arg;

	if (n->draining || !n->enabled)
		return;
	nvme_queues_run(n);
	nvme_interrupt(n);
}

static int
nvme_open(struct nvme *n, const struct config_node *conf, struct error *err)
{
	struct pci_addr a = pci_dev_addr(n->pd);
	uint64_t mib = 0;
	char name[16];
	int rc;

	(void)str_format(
	    name, sizeof(name), "nvme %u:%u:%u", a.bus, a.slot, a.func);
	rc = iothread_create(name, &n->thr, err);
	if (rc != 0)
		return rc;
	rc = config_get_uint(conf, nvme_keys, "ram", &mib, err);
	if (rc == 0 && config_get_raw(conf, "path") != NULL)
		rc = error_set(
		    err, EINVAL, "a disk has either a path or ram=, not both");
	else if (rc == 0)
		rc = open_ram(n, conf, mib, err);
	else if (rc == -ENOENT)
		rc = block_open(
		    iothread_loop(n->thr), conf, nvme_keys, &n->bd, err);
	if (rc == 0)
		block_on_batch(n->bd, nvme_batch, n);
	return rc;
}

static int
nvme_add_pci(struct nvme *n, struct error *err)
{
	unsigned nvec = n->nqueues + 1;
	int rc;

	pci_set_id(
	    n->pd, NVME_VENDOR, NVME_DEVICE, NVME_VENDOR, NVME_DEVICE, 0);
	pci_set_class(n->pd, 0x01, 0x08, 0x02);
	rc = pci_add_bar(n->pd, NVME_BAR, PCI_BAR_MEM64,
	    NVME_BAR_MSIX + pci_msix_bar_size(nvec), err);
	if (rc == 0)
		rc = pci_add_msix(n->pd, nvec, NVME_BAR, NVME_BAR_MSIX, err);
	if (rc == 0 && pci_add_pcie(n->pd) < 0)
		rc = error_set(err, ENOSPC, "no room for PCI capabilities");
	if (rc == 0)
		pci_add_intx(n->pd);
	return rc;
}

static void
close_on_loop(void *arg)
{
	struct nvme *n = arg;

	n->closing = true;
	if (n->bd == NULL)
		return;
	nvme_stop(n);
	block_close(n->bd);
	n->bd = NULL;
}

static void
nvme_free(struct nvme *n)
{
	if (n->thr != NULL)
		(void)mevent_call_wait(iothread_loop(n->thr), close_on_loop, n);
	nvme_queues_fini(n);
	mevent_delete(n->bell);
	mevent_delete(n->settle);
	iothread_destroy(n->thr);
	fd_close(&n->ram_fd);
	pthread_mutex_destroy(&n->irq_lock);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static int
nvme_build(struct nvme *n, const struct config_node *conf, struct error *err)
{
	int rc = read_sizes(n, conf, err);

	nvme_queues_init(n);
	if (rc == 0)
		rc = read_names(n, conf, err);
	if (rc == 0)
		rc = nvme_open(n, conf, err);
	if (rc == 0)
		rc = read_medium(n, conf, err);
	if (rc == 0)
		rc = nvme_doorbells_init(n, err);
	if (rc == 0)
		rc = mevent_add_notifier(
		    iothread_loop(n->thr), nvme_settle, n, &n->settle, err);
	return rc == 0 ? nvme_add_pci(n, err) : rc;
}

static int
nvme_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	struct nvme *n = alloc_zero(1, sizeof(*n));
	int rc;

	if (n == NULL)
		return error_sys(err, ENOMEM, "nvme");
	n->pd = pd;
	n->mem = vm_mem(pci_dev_vm(pd));
	n->ram_fd = -1;
	n->smart.born = mevent_now_ns();
	pthread_mutex_init(&n->lock, NULL);
	pthread_mutex_init(&n->irq_lock, NULL);
	rc = nvme_build(n, conf, err);
	if (rc != 0) {
		nvme_free(n);
		return rc;
	}
	pci_dev_set_priv(pd, n);
	return 0;
}

static void
nvme_fini(struct pci_dev *pd)
{
	struct nvme *n = pci_dev_priv(pd);

	pci_dev_set_priv(pd, NULL);
	nvme_free(n);
}

const struct pci_model pci_model_nvme = {
	.name = "nvme",
	.help = "NVMe disk on a raw image, a block device or memory",
	.keys = nvme_keys,
	.parse = nvme_parse,
	.init = nvme_init,
	.fini = nvme_fini,
	.bar_read = nvme_bar_read,
	.bar_write = nvme_bar_write,
};
