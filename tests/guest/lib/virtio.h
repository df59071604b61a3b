/*
 * A small modern virtio-pci driver for the test guests (virtio 1.2, 4.1).
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "guest.h"

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
struct vring_used_elem {
	uint32_t id, len;
};
#define DESC_NEXT 1
#define DESC_WRITE 2
#define DESC_INDIRECT 4

struct vq {
	unsigned index, size;
	volatile struct vring_desc *desc;
	volatile uint16_t *avail; /* flags, idx, ring[], used_event */
	volatile uint16_t *used; /* flags, idx, then elements */
	uint16_t next, last_used;
	uint64_t notify;
};
#define VQ_USED(q, i)                                     \
	(((volatile struct vring_used_elem *)((q)->used + \
	    2))[(i) & ((q)->size - 1)])

struct vdev {
	struct pci_fn fn;
	uint64_t common, notify_base, isr, cfg;
	uint32_t notify_mult;
	uint64_t features;
};

/* Common configuration structure offsets (4.1.4.3) */
enum {
	C_DFSEL = 0,
	C_DF = 4,
	C_GFSEL = 8,
	C_GF = 12,
	C_MSIX = 16,
	C_NQ = 18,
	C_STATUS = 20,
	C_GEN = 21,
	C_QSEL = 22,
	C_QSIZE = 24,
	C_QMSIX = 26,
	C_QENABLE = 28,
	C_QNOFF = 30,
	C_QDESC = 32,
	C_QAVAIL = 40,
	C_QUSED = 48,
};

/* Find the n-th device of a virtio type, reset it, read its capabilities. */
bool vdev_open(struct vdev *d, unsigned type, unsigned n);
/* ACKNOWLEDGE, DRIVER, features & want, FEATURES_OK. */
bool vdev_negotiate(struct vdev *d, uint64_t want);
/* Set up a queue; vector >= 0: MSI-X entry index = queue index + 1. */
bool vdev_queue(
    struct vdev *d, unsigned index, unsigned size, int vector, struct vq *ret);
void vdev_ready(struct vdev *d); /* DRIVER_OK */
void vdev_reset(struct vdev *d);
uint8_t vdev_status(struct vdev *d);
/* Make head available, without notifying. */
void vq_add(struct vq *q, uint16_t head);
void vq_kick(struct vq *q);
/* Next used element, or false after ms milliseconds. */
bool vq_wait(struct vq *q, unsigned ms, struct vring_used_elem *ret);
void vq_desc(struct vq *q, unsigned i, const volatile void *p, uint32_t len,
    uint16_t flags, uint16_t next);

#endif
