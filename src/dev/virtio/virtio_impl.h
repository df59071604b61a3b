/*
 * Inside of the virtio core; device models include virtio.h only.
 *
 *   virtqueue.c      split rings and the descriptor walker
 *   virtio.c         life of a device: status, features, start, reset,
 * interrupts virtio_pci.c     the modern register interface (virtio 1.2, 4.1)
 *   virtio_legacy.c  the interface before 1.0 (4.1.4.10)
 *
 * Locks. 'lock' guards the registers that vCPUs write. A vCPU keeps it while it
 * waits for the data thread to start or stop the device, hence the data thread
 * never takes it: what both sides touch is atomic, or under irq_lock, which is
 * a leaf. bell_lock guards the ioeventfd bindings and is taken inside 'lock' or
 * inside the PCI function's lock, never around either.
 */
#ifndef DEV_VIRTIO_VIRTIO_IMPL_H
#define DEV_VIRTIO_VIRTIO_IMPL_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <pthread.h>

#include "dev/virtio/virtio.h"

#define VIRTIO_NO_VECTOR 0xffff
/* Legacy queues are laid out in pages, 2.7.2. */
#define VIRTIO_LEGACY_ALIGN 4096

/* What the guest said about a queue; 4.1.4.3. */
struct vq_regs {
	uint16_t size;
	bool enable;
	uint64_t desc, avail, used;
};

struct virtqueue {
	struct virtio_dev *vd;
	uint16_t index;
	uint16_t max_size;
	uint16_t vector; /* atomic */
	struct mevent *bell; /* notifier on the device's loop */
	struct vq_regs regs; /* under vd->lock */
	bool was_reset; /* under vd->lock: by queue_reset */

	/* The rest belongs to the data thread. */
	bool live;
	bool event_idx;
	bool indirect;
	bool want_notify;
	bool told_notify; /* what used->flags says */
	bool can_unpop;
	bool pushed; /* since the last flush */
	uint16_t size;
	uint16_t next_avail; /* index of the next entry to pop */
	uint16_t seen_avail; /* the guest's index when last looked at */
	uint16_t next_used;
	uint16_t signalled; /* next_used at the last flush */
	uint16_t held; /* next_used at the last vq_hold() */
	uint16_t inuse; /* popped, not pushed */
	/* Checked host addresses of whole rings. */
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
};

/* Where the guest's notify writes of a kind arrive, or nowhere. */
struct virtio_bell_base {
	uint64_t addr;
	bool mapped; /* the BAR is at addr */
	bool bound; /* ioeventfds are at addr */
};

struct virtio_dev {
	struct pci_dev *pd;
	struct vm *vm;
	struct vm_mem *mem;
	const struct virtio_model *model;
	void *dev;
	struct mevent_loop *loop;
	unsigned nqueues;
	unsigned cfg_size;
	uint64_t offered;
	bool transitional;
	bool msi;
	unsigned pci_cfg_cap; /* offset of the configuration access window */

	pthread_mutex_t lock;
	uint32_t device_feature_sel, driver_feature_sel;
	uint64_t driver_features;
	bool alien_features; /* the driver took a bit above 63 */
	uint16_t queue_sel;
	bool quiet; /* nobody runs the loop any more: do not wait for it */

	pthread_mutex_t irq_lock;
	uint8_t isr;

	pthread_mutex_t bell_lock;
	struct virtio_bell_base mem_bell, io_bell;
	bool bells_on; /* between DRIVER_OK and reset */

	/* atomic */
	uint8_t status;
	uint8_t generation;
	uint16_t config_vector;
	bool broken;
	uint64_t features; /* negotiated */

	bool started; /* written on the data thread, read under lock too */
	struct virtqueue vqs[];
};

/* ---- virtqueue.c, on the data thread ---- */
/* Take the queue as its registers say. -EINVAL: not wholly in RAM, crooked. */
int vq_start(struct virtqueue *vq, uint64_t features);
void vq_stop(struct virtqueue *vq);

/* ---- what virtqueue.c needs of virtio.c ---- */
bool virtio_may_dma(const struct virtio_dev *vd);
void virtio_queue_interrupt(struct virtqueue *vq);
/* Text as log_msg(); guests cause it, so it is rate-limited. */
void virtio_vbroken(struct virtio_dev *vd, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- virtio.c, on vCPU threads with vd->lock held ---- */
uint8_t virtio_get_status(const struct virtio_dev *vd);
/* 'legacy': written through the interface that knows no FEATURES_OK. */
void
virtio_set_status_locked(struct virtio_dev *vd, uint8_t value, bool legacy);
void virtio_start_locked(struct virtio_dev *vd);
void virtio_reset_locked(struct virtio_dev *vd);
void virtio_queue_enable_locked(struct virtqueue *vq);
void virtio_queue_reset_locked(struct virtqueue *vq);
/* May the guest still change this queue's registers? */
bool virtio_queue_open_locked(const struct virtqueue *vq);
/* The queue that queue_select names, or NULL. */
struct virtqueue *virtio_queue_selected_locked(struct virtio_dev *vd);
uint64_t
virtio_devcfg_read_locked(struct virtio_dev *vd, uint64_t off, unsigned width);
void virtio_devcfg_write_locked(
    struct virtio_dev *vd, uint64_t off, unsigned width, uint64_t value);
/* ---- virtio.c, any thread, no lock needed ---- */
void virtio_kick(struct virtio_dev *vd, uint64_t q);
/* A vector as the device keeps it: an impossible one becomes "none". */
uint16_t virtio_vector_check(const struct virtio_dev *vd, uint64_t vector);
/* Read and clear the ISR status; lowers INTx. */
uint8_t virtio_isr_take(struct virtio_dev *vd);

/* ---- virtio.c, at init: the queues' notifiers ---- */
int virtio_add_bells(struct virtio_dev *vd, struct error *err);

/* ---- virtio_bell.c: notify registers as ioeventfds ---- */
void virtio_bells_set(struct virtio_dev *vd, bool on);
void
virtio_bar_moved(struct pci_dev *pd, unsigned idx, uint64_t addr, bool enabled);

/* ---- virtio_pci.c, virtio_legacy.c ---- */
#define VIRTIO_BAR_LEGACY 0
#define VIRTIO_BAR_MODERN 4
/* Layout of the modern BAR: a page each, then MSI-X. */
#define VIRTIO_OFF_COMMON 0x0000
#define VIRTIO_OFF_ISR 0x1000
#define VIRTIO_OFF_DEVICE 0x2000
#define VIRTIO_OFF_NOTIFY 0x3000
#define VIRTIO_OFF_MSIX 0x4000
#define VIRTIO_NOTIFY_MULTIPLIER 4
#define VIRTIO_LEGACY_NOTIFY 16

uint64_t
virtio_legacy_read_locked(struct virtio_dev *vd, uint64_t off, unsigned width);
void virtio_legacy_write_locked(
    struct virtio_dev *vd, uint64_t off, unsigned width, uint64_t value);

#define ATOMIC_GET(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ATOMIC_SET(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

#endif
