/*
 * virtio over PCI, the modern interface (virtio 1.2, 4.1): identity,
 * capabilities, and the register windows in one memory BAR.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/virtio/virtio_impl.h"

#define VENDOR_VIRTIO 0x1af4
#define SUBSYSTEM_MODERN 0x1100
#define ALL_ONES UINT64_MAX

/* ---- common configuration, 4.1.4.3 ---- */

/* Width of the register at each offset; it is accessed by that width alone. */
static const uint8_t common_width[] = {
	[VIRTIO_PCI_COMMON_DFSELECT] = 4,
	[VIRTIO_PCI_COMMON_DF] = 4,
	[VIRTIO_PCI_COMMON_GFSELECT] = 4,
	[VIRTIO_PCI_COMMON_GF] = 4,
	[VIRTIO_PCI_COMMON_MSIX] = 2,
	[VIRTIO_PCI_COMMON_NUMQ] = 2,
	[VIRTIO_PCI_COMMON_STATUS] = 1,
	[VIRTIO_PCI_COMMON_CFGGENERATION] = 1,
	[VIRTIO_PCI_COMMON_Q_SELECT] = 2,
	[VIRTIO_PCI_COMMON_Q_SIZE] = 2,
	[VIRTIO_PCI_COMMON_Q_MSIX] = 2,
	[VIRTIO_PCI_COMMON_Q_ENABLE] = 2,
	[VIRTIO_PCI_COMMON_Q_NOFF] = 2,
	[VIRTIO_PCI_COMMON_Q_DESCLO] = 4,
	[VIRTIO_PCI_COMMON_Q_DESCHI] = 4,
	[VIRTIO_PCI_COMMON_Q_AVAILLO] = 4,
	[VIRTIO_PCI_COMMON_Q_AVAILHI] = 4,
	[VIRTIO_PCI_COMMON_Q_USEDLO] = 4,
	[VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
	[VIRTIO_PCI_COMMON_Q_NDATA] = 2,
	[VIRTIO_PCI_COMMON_Q_RESET] = 2,
};
#define COMMON_SIZE (VIRTIO_PCI_COMMON_Q_RESET + 2)

static uint32_t
common_read_queue_locked(const struct virtqueue *vq, unsigned off)
{
	const struct vq_regs *r = &vq->regs;

	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return r->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return ATOMIC_GET(&vq->vector);
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return r->enable;
	case VIRTIO_PCI_COMMON_Q_NOFF:
	case VIRTIO_PCI_COMMON_Q_NDATA:
		return vq->index;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return (uint32_t)r->desc;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return (uint32_t)(r->desc >> 32);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return (uint32_t)r->avail;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return (uint32_t)(r->avail >> 32);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return (uint32_t)r->used;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return (uint32_t)(r->used >> 32);
	default: /* queue_reset: it is over before anybody can look */
		return 0;
	}
}

static uint32_t
common_read_locked(struct virtio_dev *vd, unsigned off)
{
	const struct virtqueue *vq;

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return vd->device_feature_sel;
	case VIRTIO_PCI_COMMON_DF:
		return vd->device_feature_sel > 1
		    ? 0
		    : (uint32_t)(vd->offered >> 32 * vd->device_feature_sel);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return vd->driver_feature_sel;
	case VIRTIO_PCI_COMMON_GF:
		return vd->driver_feature_sel > 1
		    ? 0
		    : (uint32_t)(vd->driver_features >>
			  32 * vd->driver_feature_sel);
	case VIRTIO_PCI_COMMON_MSIX:
		return ATOMIC_GET(&vd->config_vector);
	case VIRTIO_PCI_COMMON_NUMQ:
		return vd->nqueues;
	case VIRTIO_PCI_COMMON_STATUS:
		return virtio_get_status(vd);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return ATOMIC_GET(&vd->generation);
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return vd->queue_sel;
	default:
		vq = virtio_queue_selected_locked(vd);
		return vq != NULL ? common_read_queue_locked(vq, off) : 0;
	}
}

static void
common_set_features_locked(struct virtio_dev *vd, uint32_t value)
{
	unsigned shift = 32 * (vd->driver_feature_sel & 1);
	uint64_t mask = UINT64_C(0xffffffff) << shift;

	if ((virtio_get_status(vd) & VIRTIO_CONFIG_S_FEATURES_OK) != 0)
		return;
	if (vd->driver_feature_sel > 1) {
		vd->alien_features = vd->alien_features || value != 0;
		return;
	}
	vd->driver_features =
	    (vd->driver_features & ~mask) | (uint64_t)value << shift;
}

static void
common_set_size_locked(struct virtqueue *vq, uint32_t value)
{
	if (value != 0 && value <= vq->max_size && (value & (value - 1)) == 0)
		vq->regs.size = (uint16_t)value;
}

static void
set_low(uint64_t *reg, uint32_t value)
{
	*reg = (*reg & ~UINT64_C(0xffffffff)) | value;
}

static void
set_high(uint64_t *reg, uint32_t value)
{
	*reg = (*reg & UINT64_C(0xffffffff)) | (uint64_t)value << 32;
}

/* Registers that keep still while the queue is in use. */
static void
common_write_ring_locked(struct virtqueue *vq, unsigned off, uint32_t value)
{
	struct vq_regs *r = &vq->regs;

	if (!virtio_queue_open_locked(vq))
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		common_set_size_locked(vq, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_low(&r->desc, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_high(&r->desc, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_low(&r->avail, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_high(&r->avail, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_low(&r->used, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_high(&r->used, value);
		break;
	default: /* read-only */
		break;
	}
}

static void
common_write_queue_locked(struct virtio_dev *vd, unsigned off, uint32_t value)
{
	struct virtqueue *vq = virtio_queue_selected_locked(vd);

	if (vq == NULL)
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_MSIX:
		ATOMIC_SET(&vq->vector, virtio_vector_check(vd, value));
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (value == 1)
			virtio_queue_enable_locked(vq);
		break;
	case VIRTIO_PCI_COMMON_Q_RESET:
		if (value == 1)
			virtio_queue_reset_locked(vq);
		break;
	default:
		common_write_ring_locked(vq, off, value);
		break;
	}
}

static void
common_write_locked(struct virtio_dev *vd, unsigned off, uint32_t value)
{
	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vd->device_feature_sel = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vd->driver_feature_sel = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		common_set_features_locked(vd, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		ATOMIC_SET(&vd->config_vector, virtio_vector_check(vd, value));
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_set_status_locked(vd, (uint8_t)value, false);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vd->queue_sel = (uint16_t)value;
		break;
	default:
		common_write_queue_locked(vd, off, value);
		break;
	}
}

/* Ring addresses may be written whole or in halves (4.1.3.1). */
static bool
common_is_pair(uint64_t off, unsigned width)
{
	return width == 8 && off % 8 == 0 &&
	    off >= VIRTIO_PCI_COMMON_Q_DESCLO &&
	    off <= VIRTIO_PCI_COMMON_Q_USEDLO;
}

static bool
common_is_register(uint64_t off, unsigned width)
{
	return off < ARRAY_LEN(common_width) && common_width[off] == width;
}

/* ---- the windows of the BAR ---- */

static uint64_t
modern_read_locked(struct virtio_dev *vd, uint64_t offset, unsigned width)
{
	uint64_t off = offset & 0xfff;

	switch (offset & ~UINT64_C(0xfff)) {
	case VIRTIO_OFF_COMMON:
		if (common_is_register(off, width))
			return common_read_locked(vd, (unsigned)off);
		if (common_is_pair(off, width))
			return common_read_locked(vd, (unsigned)off) |
			    (uint64_t)common_read_locked(vd, (unsigned)off + 4)
			    << 32;
		return ALL_ONES;
	case VIRTIO_OFF_ISR:
		return off == 0 ? virtio_isr_take(vd) : ALL_ONES;
	case VIRTIO_OFF_DEVICE:
		return virtio_devcfg_read_locked(vd, off, width);
	default:
		return ALL_ONES;
	}
}

static void
modern_write_locked(
    struct virtio_dev *vd, uint64_t offset, unsigned width, uint64_t value)
{
	uint64_t off = offset & 0xfff;

	switch (offset & ~UINT64_C(0xfff)) {
	case VIRTIO_OFF_COMMON:
		if (common_is_register(off, width)) {
			common_write_locked(vd, (unsigned)off, (uint32_t)value);
		} else if (common_is_pair(off, width)) {
			common_write_locked(vd, (unsigned)off, (uint32_t)value);
			common_write_locked(
			    vd, (unsigned)off + 4, (uint32_t)(value >> 32));
		}
		break;
	case VIRTIO_OFF_DEVICE:
		virtio_devcfg_write_locked(vd, off, width, value);
		break;
	default:
		break;
	}
}

static bool
modern_is_notify(uint64_t offset)
{
	return (offset & ~UINT64_C(0xfff)) == VIRTIO_OFF_NOTIFY;
}

uint64_t
virtio_bar_read(
    struct pci_dev *pd, unsigned idx, uint64_t offset, unsigned width)
{
	struct virtio_dev *vd = pci_dev_priv(pd);
	uint64_t value = ALL_ONES;

	pthread_mutex_lock(&vd->lock);
	if (idx == VIRTIO_BAR_MODERN)
		value = modern_read_locked(vd, offset, width);
	else if (idx == VIRTIO_BAR_LEGACY && vd->transitional)
		value = virtio_legacy_read_locked(vd, offset, width);
	pthread_mutex_unlock(&vd->lock);
	return value;
}

void
virtio_bar_write(struct pci_dev *pd, unsigned idx, uint64_t offset,
    unsigned width, uint64_t value)
{
	struct virtio_dev *vd = pci_dev_priv(pd);

	/* The busiest register goes without the lock. */
	if (idx == VIRTIO_BAR_MODERN && modern_is_notify(offset)) {
		virtio_kick(vd, (offset & 0xfff) / VIRTIO_NOTIFY_MULTIPLIER);
		return;
	}
	pthread_mutex_lock(&vd->lock);
	if (idx == VIRTIO_BAR_MODERN)
		modern_write_locked(vd, offset, width, value);
	else if (idx == VIRTIO_BAR_LEGACY && vd->transitional)
		virtio_legacy_write_locked(vd, offset, width, value);
	pthread_mutex_unlock(&vd->lock);
}

/* ---- access to the BAR through configuration space, 4.1.4.9 ---- */

#define WINDOW_DATA sizeof(struct virtio_pci_cap)

/* The BAR access that the window is set to; false: none that makes sense. */
static bool
window_target(const struct virtio_dev *vd, uint32_t *ret_off, uint32_t *ret_len)
{
	unsigned cap = vd->pci_cfg_cap;
	uint32_t bar, off, len;

	bar = pci_cfg_get(vd->pd, cap + VIRTIO_PCI_CAP_BAR, 1);
	off = pci_cfg_get(vd->pd, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	len = pci_cfg_get(vd->pd, cap + VIRTIO_PCI_CAP_LENGTH, 4);
	if (bar != VIRTIO_BAR_MODERN || off >= VIRTIO_OFF_MSIX ||
	    (len != 1 && len != 2 && len != 4) || off % len != 0)
		return false;
	*ret_off = off;
	*ret_len = len;
	return true;
}

bool
virtio_cfg_read(struct pci_dev *pd, unsigned off, unsigned width, uint32_t *ret)
{
	struct virtio_dev *vd = pci_dev_priv(pd);
	uint32_t bar_off, len;

	if (vd == NULL || off != vd->pci_cfg_cap + WINDOW_DATA ||
	    !window_target(vd, &bar_off, &len))
		return false;
	*ret = (uint32_t)virtio_bar_read(pd, VIRTIO_BAR_MODERN, bar_off, len);
	return true;
}

bool
virtio_cfg_write(
    struct pci_dev *pd, unsigned off, unsigned width, uint32_t value)
{
	struct virtio_dev *vd = pci_dev_priv(pd);
	uint32_t bar_off, len;

	if (vd == NULL || off != vd->pci_cfg_cap + WINDOW_DATA ||
	    !window_target(vd, &bar_off, &len))
		return false;
	virtio_bar_write(pd, VIRTIO_BAR_MODERN, bar_off, len, value);
	return true;
}

/* ---- building ---- */

/* Device ids below 0x1040, for drivers that know no others (4.1.2.1). */
static uint16_t
transitional_id(uint16_t id)
{
	static const uint16_t ids[] = {
		[1] = 0x1000, /* network */
		[2] = 0x1001, /* block */
		[3] = 0x1003, /* console */
		[4] = 0x1005, /* entropy */
		[5] = 0x1002, /* balloon */
		[8] = 0x1004, /* SCSI */
		[9] = 0x1009, /* 9P */
	};

	return id < ARRAY_LEN(ids) ? ids[id] : 0;
}

static int
virtio_add_identity(struct virtio_dev *vd, struct error *err)
{
	const struct virtio_model *m = vd->model;
	uint16_t old = transitional_id(m->id);

	if (vd->transitional && old == 0)
		return error_set(err, EINVAL,
		    "%s has no transitional form; use legacy=false", m->name);
	if (vd->transitional)
		pci_set_id(vd->pd, VENDOR_VIRTIO, old, VENDOR_VIRTIO, m->id, 0);
	else
		pci_set_id(vd->pd, VENDOR_VIRTIO, (uint16_t)(0x1040 + m->id),
		    VENDOR_VIRTIO, SUBSYSTEM_MODERN, 1);
	pci_set_class(vd->pd, m->pci_class, m->pci_subclass, 0);
	return 0;
}

struct window {
	uint8_t type;
	uint32_t off, len;
};

/* The longest capability; the shorter ones are its beginning. */
struct full_cap {
	struct virtio_pci_cap cap;
	uint32_t extra; /* notify multiplier, or the window's data */
};

static int
virtio_add_cap(struct virtio_dev *vd, const struct window *w)
{
	bool extra = w->type == VIRTIO_PCI_CAP_NOTIFY_CFG ||
	    w->type == VIRTIO_PCI_CAP_PCI_CFG;
	uint8_t len =
	    extra ? sizeof(struct full_cap) : sizeof(struct virtio_pci_cap);
	struct full_cap c = {
		.cap = {
			.cap_vndr = PCI_CAP_ID_VNDR,
			.cap_len = len,
			.cfg_type = w->type,
			.bar = w->len != 0 ? VIRTIO_BAR_MODERN : 0,
			.offset = w->off,
			.length = w->len,
		},
		.extra = w->type == VIRTIO_PCI_CAP_NOTIFY_CFG
		    ? VIRTIO_NOTIFY_MULTIPLIER
		    : 0,
	};

	return pci_add_cap(vd->pd, PCI_CAP_ID_VNDR, &c, len);
}

static int
virtio_add_caps(struct virtio_dev *vd, struct error *err)
{
	const struct window windows[] = {
		{ VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_OFF_COMMON, COMMON_SIZE },
		{ VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_OFF_NOTIFY,
		    vd->nqueues * VIRTIO_NOTIFY_MULTIPLIER },
		{ VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_OFF_ISR, 1 },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_OFF_DEVICE, vd->cfg_size },
		{ VIRTIO_PCI_CAP_PCI_CFG, 0, 0 },
	};
	int cap = 0;

	for (unsigned i = 0; i < ARRAY_LEN(windows); i++) {
		/* A device without configuration has no window for it. */
		if (windows[i].type == VIRTIO_PCI_CAP_DEVICE_CFG &&
		    vd->cfg_size == 0)
			continue;
		cap = virtio_add_cap(vd, &windows[i]);
		if (cap < 0)
			return error_set(err, -cap,
			    "%s: no room for PCI capabilities",
			    vd->model->name);
	}
	/* The last one is the window. */
	vd->pci_cfg_cap = (unsigned)cap;
	pci_cfg_set_wmask(
	    vd->pd, vd->pci_cfg_cap + VIRTIO_PCI_CAP_BAR, 1, 0xff);
	pci_cfg_set_wmask(
	    vd->pd, vd->pci_cfg_cap + VIRTIO_PCI_CAP_OFFSET, 4, UINT32_MAX);
	pci_cfg_set_wmask(
	    vd->pd, vd->pci_cfg_cap + VIRTIO_PCI_CAP_LENGTH, 4, UINT32_MAX);
	return 0;
}

static int
virtio_add_bars(struct virtio_dev *vd, struct error *err)
{
	unsigned nvec = vd->nqueues + 1;
	uint64_t size = VIRTIO_OFF_MSIX + pci_msix_bar_size(nvec);
	int rc = 0;

	if (vd->transitional)
		rc = pci_add_bar(vd->pd, VIRTIO_BAR_LEGACY, PCI_BAR_IO,
		    VIRTIO_PCI_CONFIG_OFF(1) + vd->cfg_size, err);
	if (rc == 0)
		rc = pci_add_bar(
		    vd->pd, VIRTIO_BAR_MODERN, PCI_BAR_MEM64, size, err);
	if (rc == 0 && vd->msi)
		rc = pci_add_msi(vd->pd, err);
	else if (rc == 0)
		rc = pci_add_msix(
		    vd->pd, nvec, VIRTIO_BAR_MODERN, VIRTIO_OFF_MSIX, err);
	return rc;
}

int
virtio_read_config(const struct config_node *node,
    const struct config_key *keys, struct virtio_config *conf,
    struct error *err)
{
	bool msix = true;
	int rc;

	rc = config_get_bool(node, keys, "legacy", &conf->transitional, err);
	if (rc == 0)
		rc = config_get_bool(node, keys, "msix", &msix, err);
	if (rc == 0)
		conf->msi = !msix;
	return rc;
}

static struct virtio_dev *
virtio_alloc(struct pci_dev *pd, const struct virtio_config *conf)
{
	struct virtio_dev *vd;

	vd = alloc_zero(
	    1, sizeof(*vd) + conf->nqueues * sizeof(struct virtqueue));
	if (vd == NULL)
		return NULL;
	vd->pd = pd;
	vd->vm = pci_dev_vm(pd);
	vd->mem = vm_mem(vd->vm);
	vd->model = conf->model;
	vd->dev = conf->dev;
	vd->loop = conf->loop;
	vd->nqueues = conf->nqueues;
	vd->cfg_size = conf->cfg_size;
	vd->transitional = conf->transitional;
	vd->msi = conf->msi;
	vd->offered = conf->model->features | conf->features |
	    VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
	    VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
	if (conf->model->queue_reset != NULL)
		vd->offered |= VIRTIO_BIT(VIRTIO_F_RING_RESET);
	vd->config_vector = VIRTIO_NO_VECTOR;
	for (unsigned i = 0; i < conf->nqueues; i++)
		vd->vqs[i] = (struct virtqueue){ .vd = vd,
			.index = (uint16_t)i,
			.max_size = conf->queue_size,
			.vector = VIRTIO_NO_VECTOR,
			.regs.size = conf->queue_size };
	pthread_mutex_init(&vd->lock, NULL);
	pthread_mutex_init(&vd->irq_lock, NULL);
	pthread_mutex_init(&vd->bell_lock, NULL);
	return vd;
}

static void
virtio_free(struct virtio_dev *vd)
{
	for (unsigned i = 0; i < vd->nqueues; i++)
		mevent_delete(vd->vqs[i].bell);
	pthread_mutex_destroy(&vd->bell_lock);
	pthread_mutex_destroy(&vd->irq_lock);
	pthread_mutex_destroy(&vd->lock);
	free(vd);
}

static bool
virtio_config_valid(const struct virtio_config *conf)
{
	unsigned n = conf->queue_size;

	return conf->nqueues != 0 && conf->nqueues <= VIRTIO_MAX_QUEUES &&
	    n != 0 && n <= VIRTQ_MAX_SIZE && (n & (n - 1)) == 0 &&
	    conf->cfg_size <= 0x1000;
}

int
virtio_init(struct pci_dev *pd, const struct virtio_config *conf,
    struct virtio_dev **ret, struct error *err)
{
	struct virtio_dev *vd;
	int rc;

	if (!virtio_config_valid(conf))
		return error_set(err, EINVAL,
		    "%s: cannot have %u queues of %u entries",
		    conf->model->name, conf->nqueues, conf->queue_size);
	vd = virtio_alloc(pd, conf);
	if (vd == NULL)
		return error_sys(err, ENOMEM, "%s", conf->model->name);
	rc = virtio_add_bells(vd, err);
	if (rc == 0)
		rc = virtio_add_identity(vd, err);
	if (rc == 0)
		rc = virtio_add_bars(vd, err);
	if (rc == 0)
		rc = virtio_add_caps(vd, err);
	if (rc != 0) {
		virtio_free(vd);
		return rc;
	}
	pci_add_intx(pd);
	pci_dev_set_priv(pd, vd);
	pci_set_bar_moved(pd, virtio_bar_moved);
	*ret = vd;
	return 0;
}

void
virtio_fini(struct virtio_dev *vd)
{
	if (vd == NULL)
		return;
	pci_set_bar_moved(vd->pd, NULL);
	pci_dev_set_priv(vd->pd, NULL);
	pthread_mutex_lock(&vd->lock);
	/* The machine is taken down by the thread that ran its main loop. */
	vd->quiet = vd->loop == vm_loop(vd->vm);
	virtio_reset_locked(vd);
	pthread_mutex_unlock(&vd->lock);
	virtio_free(vd);
}

struct virtio_dev *
virtio_of(struct pci_dev *pd)
{
	return pci_dev_priv(pd);
}

void *
virtio_priv(struct pci_dev *pd)
{
	const struct virtio_dev *vd = pci_dev_priv(pd);

	return vd != NULL ? vd->dev : NULL;
}
