/*
 * virtio-rnd: random numbers from the host's kernel (virtio 1.2, 5.4).
 *
 * It lives on the main loop, so what one call hands out is bounded: a guest
 * that asks for more is served again after everybody else.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/pci/models.h"
#include "dev/virtio/virtio.h"

#define RND_QUEUE_SIZE 64
#define RND_IOV RND_QUEUE_SIZE
#define RND_SLICE (64u << 10)

struct rnd {
	struct virtio_dev *vd;
};

static const struct config_key rnd_keys[] = {
	VIRTIO_CONFIG_KEYS,
	{ NULL },
};

/* Fill at most 'max' bytes of the segments; how many were filled. */
static uint32_t
rnd_fill(const struct iovec *iov, unsigned cnt, uint32_t max)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < cnt && n < max; i++) {
		size_t want = MIN(iov[i].iov_len, (size_t)(max - n));
		ssize_t got = getrandom(iov[i].iov_base, want, 0);

		if (got > 0)
			n += (uint32_t)got;
		/* Less is allowed (5.4.6.1); the guest asks again. */
		if (got != (ssize_t)want)
			break;
	}
	return n;
}

static void
rnd_notify(void *dev, struct virtqueue *vq)
{
	struct iovec iov[RND_IOV];
	struct vq_chain ch;
	uint32_t left = RND_SLICE, n;

	/* One request may take the whole slice, none more than what is left. */
	while (left > 0 && vq_pop(vq, &ch, iov, RND_IOV) == 1) {
		n = rnd_fill(iov + ch.nread, ch.nwrite, left);
		vq_dirty(vq, iov + ch.nread, ch.nwrite);
		vq_push(vq, ch.head, n);
		/* An empty request costs something too. */
		left -= MIN(left, MAX(n, 64u));
	}
	if (left == 0)
		vq_again(vq);
	vq_flush(vq);
}

static void
rnd_start(void *dev, uint64_t features)
{
}

/* Nothing is ever in flight. */
static void
rnd_reset(void *dev)
{
}

static void
rnd_queue_reset(void *dev, struct virtqueue *vq)
{
}

static const struct virtio_model rnd_model = {
	.name = "virtio-rnd",
	.id = 4,
	.pci_class = 0x10, /* encryption */
	.pci_subclass = 0x80, /* other */
	.start = rnd_start,
	.reset = rnd_reset,
	.notify = rnd_notify,
	.queue_reset = rnd_queue_reset,
};

static int
rnd_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	struct rnd *r;
	struct virtio_config vc = {
		.model = &rnd_model,
		.nqueues = 1,
		.queue_size = RND_QUEUE_SIZE,
		.loop = vm_loop(pci_dev_vm(pd)),
	};
	int rc;

	rc = virtio_read_config(conf, rnd_keys, &vc, err);
	if (rc != 0)
		return rc;
	r = alloc_zero(1, sizeof(*r));
	if (r == NULL)
		return error_sys(err, ENOMEM, "virtio-rnd");
	vc.dev = r;
	rc = virtio_init(pd, &vc, &r->vd, err);
	if (rc != 0)
		free(r);
	return rc;
}

static void
rnd_fini(struct pci_dev *pd)
{
	struct rnd *r = virtio_priv(pd);

	virtio_fini(r->vd);
	free(r);
}

const struct pci_model pci_model_virtio_rnd = {
	.name = "virtio-rnd",
	.help = "virtio entropy device",
	.keys = rnd_keys,
	.init = rnd_init,
	.fini = rnd_fini,
	.bar_read = virtio_bar_read,
	.bar_write = virtio_bar_write,
	.cfg_read = virtio_cfg_read,
	.cfg_write = virtio_cfg_write,
};
