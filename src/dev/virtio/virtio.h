/*
 * virtio devices over PCI: the transport (virtio 1.2, 4.1), split virtqueues
 * (2.7) and the checked descriptor walker.
 *
 * A device is a constant struct virtio_model. The transport owns configuration
 * registers, feature negotiation, queue registers, notification and interrupts.
 *
 * Threads. Each device has one loop (its "data thread"): an iothread or the
 * machine's main loop. notify(), start() and reset() of the model run there and
 * only there, never two at once; config-space reads and writes of the model run
 * on vCPU threads with the device lock held. The vCPU that writes device_status
 * = 0 waits until reset() has run: after it, no request of the guest touches
 * its memory again.
 *
 * Hostile guests: queue registers are copied at DRIVER_OK and later writes to
 * them are ignored until reset. A descriptor chain is read once, into a
 * vq_chain, and checked: indexes, loops (no more descriptors than the queue has
 * entries), lengths (their sum fits 32 bits), every segment in guest RAM,
 * readable segments before writable ones, one level of indirect tables. A
 * violation marks the device broken (DEVICE_NEEDS_RESET, 2.1.2) and nothing of
 * the chain is used.
 */
#ifndef DEV_VIRTIO_VIRTIO_H
#define DEV_VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/config.h"
#include "base/error.h"
#include "base/mevent.h"
#include "dev/pci/pci.h"

/* Feature bits of the transport and rings (virtio 1.2, 6). */
#define VIRTIO_F_NOTIFY_ON_EMPTY 24 /* legacy only */
#define VIRTIO_F_ANY_LAYOUT 27 /* legacy only */
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX 29
#define VIRTIO_F_VERSION_1 32
#define VIRTIO_F_RING_RESET 40
#define VIRTIO_BIT(n) (UINT64_C(1) << (n))

#define VIRTQ_MAX_SIZE 1024
#define VIRTIO_MAX_QUEUES 64

struct virtio_dev;
struct virtqueue;

/*
 * One request. iov[0..nread) are what the device reads, iov[nread..nread+
 * nwrite) what it writes; host addresses, all checked.
 */
struct vq_chain {
	uint16_t head;
	uint16_t nread, nwrite;
	uint32_t read_len, write_len; /* bytes */
	struct iovec *iov; /* the caller's array */
};

struct virtio_model {
	const char *name; /* for the log */
	uint16_t id; /* device id: 1 net, 2 block, 3 console, 4 entropy */
	uint8_t pci_class, pci_subclass;
	uint64_t features; /* offered besides the ring features */
	/* The device's configuration structure; off+len is in range. */
	void (*cfg_read)(void *dev, unsigned off, void *data, unsigned len);
	void (*cfg_write)(
	    void *dev, unsigned off, const void *data, unsigned len);
	/* DRIVER_OK was set, with these features; queues are usable now. */
	void (*start)(void *dev, uint64_t features);
	/*
	 * Stop: return when no request is in flight. Chains not yet pushed are
	 * forgotten. Also called before destruction.
	 */
	void (*reset)(void *dev);
	/* The guest has put something on the queue; may come for nothing. */
	void (*notify)(void *dev, struct virtqueue *vq);
	/*
	 * As reset(), for one queue (2.6.1). NULL: VIRTIO_F_RING_RESET is not
	 * offered. The queue may come to life again; notify() tells.
	 */
	void (*queue_reset)(void *dev, struct virtqueue *vq);
};

struct virtio_config {
	const struct virtio_model *model;
	void *dev; /* first argument of the model's functions */
	unsigned nqueues;
	uint16_t queue_size; /* offered maximum, power of two */
	unsigned cfg_size; /* bytes of the device configuration structure */
	uint64_t features; /* added to model->features */
	struct mevent_loop *loop; /* the data thread's */
	bool transitional; /* legacy interface too (pci.*.legacy=true) */
	bool msi; /* MSI instead of MSI-X (pci.*.msix=false) */
};

/* Rows for every virtio model's key table. */
#define VIRTIO_CONFIG_KEYS                                                \
	{ "legacy", CONFIG_BOOL, "false", NULL, 0,                        \
		"transitional device: offer the pre-1.0 interface too" }, \
	{                                                                 \
		"msix", CONFIG_BOOL, "true", NULL, 0,                     \
		    "interrupts by MSI-X, else by MSI"                    \
	}
/* Read them into conf; keys is a table with these rows. */
int virtio_read_config(const struct config_node *node,
    const struct config_key *keys, struct virtio_config *conf,
    struct error *err);

/*
 * Give pd its identity, BARs, capabilities; call from a pci_model's init. Takes
 * pd's priv for itself: virtio_priv() yields conf->dev.
 */
int virtio_init(struct pci_dev *pd, const struct virtio_config *conf,
    struct virtio_dev **ret, struct error *err);
void virtio_fini(struct virtio_dev *vd); /* resets first; NULL is allowed */
void *virtio_priv(struct pci_dev *pd); /* NULL before virtio_init */
struct virtio_dev *virtio_of(struct pci_dev *pd);
/* The pci_model hooks of every virtio device. */
uint64_t virtio_bar_read(
    struct pci_dev *pd, unsigned idx, uint64_t offset, unsigned width);
void virtio_bar_write(struct pci_dev *pd, unsigned idx, uint64_t offset,
    unsigned width, uint64_t value);
bool virtio_cfg_read(
    struct pci_dev *pd, unsigned off, unsigned width, uint32_t *ret);
bool virtio_cfg_write(
    struct pci_dev *pd, unsigned off, unsigned width, uint32_t value);

uint64_t virtio_features(const struct virtio_dev *vd); /* negotiated */
struct virtqueue *virtio_queue(struct virtio_dev *vd, unsigned index);
/* The device configuration changed: bump its generation, interrupt. */
void virtio_config_changed(struct virtio_dev *vd);
/* The guest broke the protocol: log once, set DEVICE_NEEDS_RESET. */
void virtio_broken(struct virtio_dev *vd, const char *why);

/* ---- virtqueues; on the data thread, between start and reset ---- */
/*
 * A notify() that answers all it finds:
 *
 *	do {
 *		vq_want_notify(vq, false);
 *		while (vq_pop(vq, &ch, iov, n) == 1)
 *			... vq_push(vq, ch.head, written);
 *	} while (vq_want_notify(vq, true));
 *	vq_flush(vq);
 */
unsigned vq_index(const struct virtqueue *vq);
unsigned vq_size(const struct virtqueue *vq);
bool vq_enabled(const struct virtqueue *vq);
/*
 * Next request into ch, with at most max_iov segments. 1: got one; 0: none;
 * -EPROTO: broken, see above (the device is marked; stop using the queue).
 */
int vq_pop(struct virtqueue *vq, struct vq_chain *ch, struct iovec *iov,
    unsigned max_iov);
/* Put back what vq_pop gave last (net: no room for the packet). */
void vq_unpop(struct virtqueue *vq);
/* Done with the request; written: bytes the device wrote. Any order. */
void vq_push(struct virtqueue *vq, uint16_t head, uint32_t written);
/*
 * What the device wrote into these segments of a request; before vq_push, for
 * the dirty log of a migration. One load each while that is off.
 */
void vq_dirty(struct virtqueue *vq, const struct iovec *iov, unsigned n);
/* Call notify() for the queue again, after other events had their turn. */
void vq_again(struct virtqueue *vq);
/* With notifications off: is a request there? */
bool vq_peek(struct virtqueue *vq);
/* Interrupt the guest if it wants to know of pushes since the last flush. */
void vq_flush(struct virtqueue *vq);
/*
 * In place of vq_flush(), for a device whose driver looks at the queue by
 * itself every now and then (interrupt moderation; 2.7.7.2 says whether the
 * driver is told, not when). vq_hold(): the interrupt may wait. True: there is
 * one to wait, call vq_release() some time later. vq_release(): of what was
 * pushed before the last call of either, has the driver seen all? Then the rest
 * waits: true, call it again. Else, or without event indexes, this is
 * vq_flush().
 */
bool vq_hold(struct virtqueue *vq);
bool vq_release(struct virtqueue *vq);
/*
 * Ask for (true) or do without (false) notifications. After asking, look again
 * with vq_pop: returns true when something is there already.
 */
bool vq_want_notify(struct virtqueue *vq, bool want);

#endif
