/*
 * Inside of virtio-blk.
 *
 *   virtio_blk.c      the function: options, configuration space, building
 *   virtio_blk_req.c  requests, on the device's thread
 */
#ifndef DEV_VIRTIO_VIRTIO_BLK_IMPL_H
#define DEV_VIRTIO_VIRTIO_BLK_IMPL_H

#include <linux/virtio_blk.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dev/block/block.h"
#include "dev/block/poll.h"
#include "dev/virtio/virtio.h"

#define BLK_SEG_MAX 126
#define BLK_IOV (BLK_SEG_MAX + 2) /* header and status */
#define BLK_MAX_QUEUES 16
#define BLK_RANGES 16
#define BLK_RANGE_SECTORS (1u << 21) /* 1 GiB */
#define BLK_SECTOR 512

struct blk;

struct blk_queue {
	struct blk *b;
	struct virtqueue *vq; /* NULL until the first start */
	struct blk_req *free;
	unsigned made, max; /* requests */
	bool starved; /* stopped for want of a request */
};

struct blk_req {
	struct block_req br;
	struct blk_queue *q;
	struct blk_req *next; /* free, or waiting to be submitted again */
	struct virtio_blk_outhdr hdr; /* our copy */
	struct vq_chain ch;
	uint8_t *status; /* in guest memory */
	struct iovec *data;
	unsigned ndata;
	uint64_t data_len;
	bool synced; /* the flush of a write-through request is on its way */
	unsigned range, nranges;
	union {
		struct iovec iov[BLK_IOV];
		struct virtio_blk_discard_write_zeroes ranges[BLK_RANGES];
	};
};

struct blk {
	struct virtio_dev *vd;
	struct iothread *thr;
	struct block_dev *bd;
	struct virtio_blk_config cfg;
	char serial[VIRTIO_BLK_ID_BYTES + 1];
	bool writeback; /* atomic */
	uint64_t features; /* negotiated */
	/* while a reset waits */
	bool draining;
	const struct blk_queue *drain_queue; /* NULL: all */
	struct blk_req *again; /* cancelled, but of another queue */
	struct block_poll poll; /* with one queue */
	unsigned nqueues;
	struct blk_queue q[BLK_MAX_QUEUES];
};

/* Requests for n queues; the pool is freed when no queue uses it any more. */
int blk_queues_init(struct blk *b, unsigned n, struct error *err);
void blk_queues_fini(struct blk *b);

/* struct virtio_model's functions, on the device's thread */
void blk_start(void *dev, uint64_t features);
void blk_reset(void *dev);
void blk_notify(void *dev, struct virtqueue *vq);
void blk_queue_reset(void *dev, struct virtqueue *vq);
/* block_on_batch()'s: the back end has completed some. */
void blk_batch(void *dev);

#endif
