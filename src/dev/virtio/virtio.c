/*
 * The life of a virtio device: status and features (virtio 1.2, 2.1, 2.2, 3.1),
 * its start and reset on the data thread, its interrupts.
 */
#include "dev/virtio/virtio.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "dev/virtio/virtio_impl.h"

#define ISR_QUEUE 1
#define ISR_CONFIG 2

uint64_t
virtio_features(const struct virtio_dev *vd)
{
	return ATOMIC_GET(&vd->features);
}

struct virtqueue *
virtio_queue(struct virtio_dev *vd, unsigned index)
{
	return index < vd->nqueues ? &vd->vqs[index] : NULL;
}

bool
virtio_may_dma(const struct virtio_dev *vd)
{
	return pci_bus_master(vd->pd);
}

/* ---- interrupts ---- */

uint16_t
virtio_vector_check(const struct virtio_dev *vd, uint64_t vector)
{
	return vector <= vd->nqueues ? (uint16_t)vector : VIRTIO_NO_VECTOR;
}

/*
 * With MSI-X each cause has a vector, or none; else all share one interrupt and
 * the ISR status tells them apart (4.1.4.5).
 */
static void
virtio_interrupt(struct virtio_dev *vd, uint16_t vector, uint8_t isr)
{
	if (pci_msix_enabled(vd->pd)) {
		if (vector != VIRTIO_NO_VECTOR)
			pci_msix_send(vd->pd, vector);
		return;
	}
	pthread_mutex_lock(&vd->irq_lock);
	vd->isr |= isr;
	if (pci_msi_enabled(vd->pd))
		pci_msi_send(vd->pd);
	else
		pci_intx_set(vd->pd, true);
	pthread_mutex_unlock(&vd->irq_lock);
}

uint8_t
virtio_isr_take(struct virtio_dev *vd)
{
	uint8_t isr;

	pthread_mutex_lock(&vd->irq_lock);
	isr = vd->isr;
	vd->isr = 0;
	if (isr != 0)
		pci_intx_set(vd->pd, false);
	pthread_mutex_unlock(&vd->irq_lock);
	return isr;
}

void
virtio_queue_interrupt(struct virtqueue *vq)
{
	virtio_interrupt(vq->vd, ATOMIC_GET(&vq->vector), ISR_QUEUE);
}

static void
virtio_config_interrupt(struct virtio_dev *vd)
{
	if ((virtio_get_status(vd) & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		virtio_interrupt(
		    vd, ATOMIC_GET(&vd->config_vector), ISR_CONFIG);
}

void
virtio_config_changed(struct virtio_dev *vd)
{
	__atomic_add_fetch(&vd->generation, 1, __ATOMIC_ACQ_REL);
	virtio_config_interrupt(vd);
}

void
virtio_vbroken(struct virtio_dev *vd, const char *fmt, ...)
{
	static struct log_limit limit;
	char why[160];
	va_list ap;

	if (__atomic_exchange_n(&vd->broken, true, __ATOMIC_ACQ_REL))
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_ratelimited(&limit, LOG_WARN, pci_dev_name(vd->pd),
	    "the guest broke the virtio protocol: %s; "
	    "the device waits for a reset",
	    why);
	__atomic_or_fetch(
	    &vd->status, VIRTIO_CONFIG_S_NEEDS_RESET, __ATOMIC_ACQ_REL);
	virtio_config_interrupt(vd);
}

void
virtio_broken(struct virtio_dev *vd, const char *why)
{
	virtio_vbroken(vd, "%s", why);
}

/* ---- notifications ---- */

/* A queue's bell was rung; on the data thread. */
static void
virtio_rung(void *arg)
{
	struct virtqueue *vq = arg;

	/* A bell may still echo after a reset. */
	if (vq->live && !ATOMIC_GET(&vq->vd->broken))
		vq->vd->model->notify(vq->vd->dev, vq);
}

void
virtio_kick(struct virtio_dev *vd, uint64_t q)
{
	if (q < vd->nqueues)
		mevent_notify(vd->vqs[q].bell);
}

void
vq_again(struct virtqueue *vq)
{
	mevent_notify(vq->bell);
}

int
virtio_add_bells(struct virtio_dev *vd, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < vd->nqueues; i++)
		rc = mevent_add_notifier(
		    vd->loop, virtio_rung, &vd->vqs[i], &vd->vqs[i].bell, err);
	return rc;
}

/* ---- status ---- */

uint8_t
virtio_get_status(const struct virtio_dev *vd)
{
	return ATOMIC_GET(&vd->status);
}

/* The data thread's half of the start. */
static void
virtio_start_on_loop(void *arg)
{
	struct virtio_dev *vd = arg;

	for (unsigned i = 0; i < vd->nqueues; i++) {
		if (!vd->vqs[i].regs.enable)
			continue;
		if (vq_start(&vd->vqs[i], vd->features) != 0)
			virtio_vbroken(vd,
			    "queue %u is not aligned or not in guest memory",
			    i);
	}
	if (ATOMIC_GET(&vd->broken))
		return;
	vd->started = true;
	vd->model->start(vd->dev, vd->features);
	/* What was made available before counts too. */
	for (unsigned i = 0; i < vd->nqueues; i++)
		if (vd->vqs[i].live)
			mevent_notify(vd->vqs[i].bell);
}

void
virtio_start_locked(struct virtio_dev *vd)
{
	if (vd->started || ATOMIC_GET(&vd->broken))
		return;
	ATOMIC_SET(&vd->features, vd->driver_features & vd->offered);
	if (mevent_call_wait(vd->loop, virtio_start_on_loop, vd) == 0)
		virtio_bells_set(vd, true);
}

static void
virtio_reset_on_loop(void *arg)
{
	struct virtio_dev *vd = arg;

	if (vd->started)
		vd->model->reset(vd->dev);
	vd->started = false;
	for (unsigned i = 0; i < vd->nqueues; i++)
		vq_stop(&vd->vqs[i]);
}

static void
virtio_reset_queue_regs(struct virtqueue *vq)
{
	vq->regs = (struct vq_regs){ .size = vq->max_size };
	ATOMIC_SET(&vq->vector, VIRTIO_NO_VECTOR);
	vq->was_reset = false;
}

/* Back to the state after power-on; 2.4. Returns with no request in flight. */
void
virtio_reset_locked(struct virtio_dev *vd)
{
	virtio_bells_set(vd, false);
	if (vd->quiet ||
	    mevent_call_wait(vd->loop, virtio_reset_on_loop, vd) != 0)
		virtio_reset_on_loop(vd);
	for (unsigned i = 0; i < vd->nqueues; i++)
		virtio_reset_queue_regs(&vd->vqs[i]);
	vd->device_feature_sel = vd->driver_feature_sel = 0;
	vd->driver_features = 0;
	vd->alien_features = false;
	vd->queue_sel = 0;
	ATOMIC_SET(&vd->config_vector, VIRTIO_NO_VECTOR);
	ATOMIC_SET(&vd->features, 0);
	(void)virtio_isr_take(vd);
	ATOMIC_SET(&vd->broken, false);
	ATOMIC_SET(&vd->status, 0);
}

/* May the driver have what it asked for? (3.1.1, step 5; 6.2) */
static bool
virtio_features_ok(const struct virtio_dev *vd)
{
	return !vd->alien_features &&
	    (vd->driver_features & ~vd->offered) == 0 &&
	    (vd->driver_features & VIRTIO_BIT(VIRTIO_F_VERSION_1)) != 0;
}

void
virtio_set_status_locked(struct virtio_dev *vd, uint8_t value, bool legacy)
{
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE |
	    VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |
	    VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED;
	uint8_t old = virtio_get_status(vd);
	uint8_t add = value & known & (uint8_t)~old;

	if (value == 0) {
		virtio_reset_locked(vd);
		return;
	}
	/* Bits are only ever added (2.1.1); what would clear one is ignored. */
	if ((add & VIRTIO_CONFIG_S_FEATURES_OK) != 0 &&
	    (legacy || !virtio_features_ok(vd)))
		add &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!legacy && ((old | add) & VIRTIO_CONFIG_S_FEATURES_OK) == 0)
		add &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	__atomic_or_fetch(&vd->status, add, __ATOMIC_ACQ_REL);
	if ((add & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		virtio_start_locked(vd);
}

/* ---- queue registers ---- */

struct virtqueue *
virtio_queue_selected_locked(struct virtio_dev *vd)
{
	return virtio_queue(vd, vd->queue_sel);
}

bool
virtio_queue_open_locked(const struct virtqueue *vq)
{
	bool running = vq->vd->started ||
	    (virtio_get_status(vq->vd) & VIRTIO_CONFIG_S_DRIVER_OK) != 0;

	return !vq->regs.enable && (!running || vq->was_reset);
}

static void
virtio_queue_start_on_loop(void *arg)
{
	struct virtqueue *vq = arg;

	if (vq_start(vq, vq->vd->features) != 0)
		virtio_vbroken(vq->vd,
		    "queue %u is not aligned or not in guest memory",
		    vq->index);
	else
		mevent_notify(vq->bell);
}

void
virtio_queue_enable_locked(struct virtqueue *vq)
{
	if (!virtio_queue_open_locked(vq))
		return;
	vq->regs.enable = true;
	if (vq->vd->started)
		(void)mevent_call_wait(
		    vq->vd->loop, virtio_queue_start_on_loop, vq);
}

static void
virtio_queue_reset_on_loop(void *arg)
{
	struct virtqueue *vq = arg;

	if (vq->live)
		vq->vd->model->queue_reset(vq->vd->dev, vq);
	vq_stop(vq);
}

/* One queue back to its beginnings, the others go on; 2.6.1. */
void
virtio_queue_reset_locked(struct virtqueue *vq)
{
	struct virtio_dev *vd = vq->vd;

	if (!vd->started || !vq->regs.enable ||
	    (vd->features & VIRTIO_BIT(VIRTIO_F_RING_RESET)) == 0)
		return;
	if (mevent_call_wait(vd->loop, virtio_queue_reset_on_loop, vq) != 0)
		return;
	virtio_reset_queue_regs(vq);
	vq->was_reset = true;
}

/* ---- device configuration ---- */

uint64_t
virtio_devcfg_read_locked(struct virtio_dev *vd, uint64_t off, unsigned width)
{
	uint64_t value = 0;

	if (off > vd->cfg_size || width > vd->cfg_size - off ||
	    vd->model->cfg_read == NULL)
		return UINT64_MAX;
	vd->model->cfg_read(vd->dev, (unsigned)off, &value, width);
	return value;
}

void
virtio_devcfg_write_locked(
    struct virtio_dev *vd, uint64_t off, unsigned width, uint64_t value)
{
	if (off > vd->cfg_size || width > vd->cfg_size - off ||
	    vd->model->cfg_write == NULL)
		return;
	vd->model->cfg_write(vd->dev, (unsigned)off, &value, width);
}
