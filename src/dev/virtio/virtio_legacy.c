/*
 * The interface before virtio 1.0, offered by transitional devices (virtio 1.2,
 * 4.1.4.10): one I/O BAR, rings given as a page number and laid out by rule
 * (2.7.2), no FEATURES_OK.
 */
#include <linux/virtio_pci.h>

#include "base/str.h"
#include "dev/virtio/virtio_impl.h"

/* Width of each register; they are accessed by that width alone. */
static const uint8_t legacy_width[VIRTIO_PCI_CONFIG_OFF(1)] = {
	[VIRTIO_PCI_HOST_FEATURES] = 4,
	[VIRTIO_PCI_GUEST_FEATURES] = 4,
	[VIRTIO_PCI_QUEUE_PFN] = 4,
	[VIRTIO_PCI_QUEUE_NUM] = 2,
	[VIRTIO_PCI_QUEUE_SEL] = 2,
	[VIRTIO_PCI_QUEUE_NOTIFY] = 2,
	[VIRTIO_PCI_STATUS] = 1,
	[VIRTIO_PCI_ISR] = 1,
	/* these two only while MSI-X is on */
	[VIRTIO_MSI_CONFIG_VECTOR] = 2,
	[VIRTIO_MSI_QUEUE_VECTOR] = 2,
};

/* Features of version 1 do not exist here, older ones do. */
static uint32_t
legacy_features(const struct virtio_dev *vd)
{
	return (uint32_t)vd->offered |
	    (uint32_t)VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
}

static uint32_t
legacy_read_register_locked(struct virtio_dev *vd, unsigned off)
{
	const struct virtqueue *vq = virtio_queue_selected_locked(vd);

	switch (off) {
	case VIRTIO_PCI_HOST_FEATURES:
		return legacy_features(vd);
	case VIRTIO_PCI_GUEST_FEATURES:
		return (uint32_t)vd->driver_features;
	case VIRTIO_PCI_QUEUE_PFN:
		return vq != NULL && vq->regs.enable
		    ? (uint32_t)(vq->regs.desc / VIRTIO_LEGACY_ALIGN)
		    : 0;
	case VIRTIO_PCI_QUEUE_NUM:
		return vq != NULL ? vq->max_size : 0;
	case VIRTIO_PCI_QUEUE_SEL:
		return vd->queue_sel;
	case VIRTIO_PCI_STATUS:
		return virtio_get_status(vd);
	case VIRTIO_PCI_ISR:
		return virtio_isr_take(vd);
	case VIRTIO_MSI_CONFIG_VECTOR:
		return ATOMIC_GET(&vd->config_vector);
	case VIRTIO_MSI_QUEUE_VECTOR:
		return vq != NULL ? ATOMIC_GET(&vq->vector) : VIRTIO_NO_VECTOR;
	default:
		return 0;
	}
}

static void
legacy_set_pfn_locked(struct virtqueue *vq, uint32_t pfn)
{
	struct vq_regs *r = &vq->regs;
	uint64_t n = vq->max_size;

	if (vq->vd->started)
		return;
	r->size = vq->max_size;
	r->enable = pfn != 0;
	r->desc = (uint64_t)pfn * VIRTIO_LEGACY_ALIGN;
	r->avail = r->desc + n * sizeof(struct vring_desc);
	r->used = ROUND_UP(
	    r->avail + (3 + n) * sizeof(uint16_t), VIRTIO_LEGACY_ALIGN);
}

static void
legacy_notify_locked(struct virtio_dev *vd, uint32_t q)
{
	/* Some drivers use the queues while they probe, before DRIVER_OK. */
	if ((virtio_get_status(vd) & VIRTIO_CONFIG_S_DRIVER) != 0)
		virtio_start_locked(vd);
	virtio_kick(vd, q);
}

static void
legacy_write_register_locked(
    struct virtio_dev *vd, unsigned off, uint32_t value)
{
	struct virtqueue *vq = virtio_queue_selected_locked(vd);

	switch (off) {
	case VIRTIO_PCI_GUEST_FEATURES:
		if (!vd->started)
			vd->driver_features = value & legacy_features(vd);
		break;
	case VIRTIO_PCI_QUEUE_PFN:
		if (vq != NULL)
			legacy_set_pfn_locked(vq, value);
		break;
	case VIRTIO_PCI_QUEUE_SEL:
		vd->queue_sel = (uint16_t)value;
		break;
	case VIRTIO_PCI_QUEUE_NOTIFY:
		legacy_notify_locked(vd, value);
		break;
	case VIRTIO_PCI_STATUS:
		virtio_set_status_locked(vd, (uint8_t)value, true);
		break;
	case VIRTIO_MSI_CONFIG_VECTOR:
		ATOMIC_SET(&vd->config_vector, virtio_vector_check(vd, value));
		break;
	case VIRTIO_MSI_QUEUE_VECTOR:
		if (vq != NULL)
			ATOMIC_SET(&vq->vector, virtio_vector_check(vd, value));
		break;
	default: /* read-only */
		break;
	}
}

uint64_t
virtio_legacy_read_locked(struct virtio_dev *vd, uint64_t off, unsigned width)
{
	unsigned cfg = VIRTIO_PCI_CONFIG_OFF(pci_msix_enabled(vd->pd));

	if (off >= cfg)
		return virtio_devcfg_read_locked(vd, off - cfg, width);
	if (legacy_width[off] != width)
		return UINT64_MAX;
	return legacy_read_register_locked(vd, (unsigned)off);
}

void
virtio_legacy_write_locked(
    struct virtio_dev *vd, uint64_t off, unsigned width, uint64_t value)
{
	unsigned cfg = VIRTIO_PCI_CONFIG_OFF(pci_msix_enabled(vd->pd));

	if (off >= cfg)
		virtio_devcfg_write_locked(vd, off - cfg, width, value);
	else if (legacy_width[off] == width)
		legacy_write_register_locked(
		    vd, (unsigned)off, (uint32_t)value);
}
