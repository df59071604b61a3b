/*
 * virtio-blk (virtio 1.2, 5.2) on a block back end, with a thread of its own:
 * options, configuration space, building.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/pci/models.h"
#include "dev/virtio/virtio_blk_impl.h"

#define BLK_QUEUE_SIZE 256

static const struct config_key blk_keys[] = {
	BLOCK_CONFIG_KEYS,
	VIRTIO_CONFIG_KEYS,
	{ "queues", CONFIG_UINT, "1", "1..16", 0, "request queues" },
	BLOCK_POLL_KEY,
	{ NULL },
};

/* ---- configuration ---- */

static void
blk_cfg_read(void *dev, unsigned off, void *data, unsigned len)
{
	const struct blk *b = dev;
	struct virtio_blk_config cfg = b->cfg;

	cfg.wce = __atomic_load_n(&b->writeback, __ATOMIC_ACQUIRE);
	memcpy(data, (const uint8_t *)&cfg + off, len);
}

static void
blk_cfg_write(void *dev, unsigned off, const void *data, unsigned len)
{
	struct blk *b = dev;
	const uint8_t *p = data;

	if (off == offsetof(struct virtio_blk_config, wce) && len == 1)
		__atomic_store_n(&b->writeback, p[0] != 0, __ATOMIC_RELEASE);
}

static const struct virtio_model blk_model = {
	.name = "virtio-blk",
	.id = 2,
	.pci_class = 0x01, /* mass storage */
	.pci_subclass = 0x00,
	.features = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
	    VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
	    VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH),
	.cfg_read = blk_cfg_read,
	.cfg_write = blk_cfg_write,
	.start = blk_start,
	.reset = blk_reset,
	.notify = blk_notify,
	.queue_reset = blk_queue_reset,
};

static uint64_t
blk_features(const struct blk *b)
{
	const struct block_info *in = block_info(b->bd);
	uint64_t f = 0;

	if (b->nqueues > 1)
		f |= VIRTIO_BIT(VIRTIO_BLK_F_MQ);
	if (in->readonly)
		return f | VIRTIO_BIT(VIRTIO_BLK_F_RO);
	f |= VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) |
	    VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (in->can_discard)
		f |= VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
	return f;
}

static void
blk_fill_config(struct blk *b)
{
	const struct block_info *in = block_info(b->bd);
	struct virtio_blk_config *c = &b->cfg;
	uint32_t ratio = in->physical_size / in->sector_size;

	c->capacity = in->size / BLK_SECTOR;
	c->seg_max = BLK_SEG_MAX;
	c->blk_size = in->sector_size;
	c->physical_block_exp = (uint8_t)__builtin_ctz(ratio);
	c->min_io_size = (uint16_t)MIN(ratio, (uint32_t)UINT16_MAX);
	c->num_queues = (uint16_t)b->nqueues;
	if (in->can_discard) {
		c->max_discard_sectors = BLK_RANGE_SECTORS;
		c->max_discard_seg = BLK_RANGES;
		c->discard_sector_alignment = in->physical_size / BLK_SECTOR;
	}
	if (!in->readonly) {
		c->max_write_zeroes_sectors = BLK_RANGE_SECTORS;
		c->max_write_zeroes_seg = BLK_RANGES;
		c->write_zeroes_may_unmap = in->can_discard;
	}
}

static int
blk_read_serial(
    struct blk *b, const struct config_node *conf, struct error *err)
{
	cleanup_free char *ser = NULL;
	cleanup_free char *path = NULL;
	int rc;

	rc = config_get_str(conf, blk_keys, "ser", &ser, err);
	if (rc == 0 && strlen(ser) > VIRTIO_BLK_ID_BYTES)
		return error_set(err, EINVAL,
		    "ser=%s: a serial number has at most %u characters", ser,
		    VIRTIO_BLK_ID_BYTES);
	if (rc == 0) {
		memcpy(b->serial, ser, strlen(ser));
		return 0;
	}
	if (rc != -ENOENT)
		return rc;
	rc = config_get_str(conf, blk_keys, "path", &path, err);
	if (rc == 0)
		block_default_serial(path, b->serial, sizeof(b->serial));
	return rc;
}

/* ---- building ---- */

static void
blk_close_on_loop(void *arg)
{
	struct blk *b = arg;

	block_close(b->bd);
	b->bd = NULL;
}

static void
blk_free(struct blk *b)
{
	virtio_fini(b->vd);
	if (b->bd != NULL)
		(void)mevent_call_wait(
		    iothread_loop(b->thr), blk_close_on_loop, b);
	iothread_destroy(b->thr);
	blk_queues_fini(b);
	free(b);
}

static int
blk_open(struct blk *b, struct pci_dev *pd, const struct config_node *conf,
    struct error *err)
{
	struct pci_addr a = pci_dev_addr(pd);
	char name[16];
	int rc;

	(void)str_format(
	    name, sizeof(name), "blk %u:%u:%u", a.bus, a.slot, a.func);
	rc = iothread_create(name, &b->thr, err);
	if (rc == 0)
		rc = block_open(
		    iothread_loop(b->thr), conf, blk_keys, &b->bd, err);
	if (rc == 0)
		block_on_batch(b->bd, blk_batch, b);
	return rc;
}

static int
blk_build(struct blk *b, struct pci_dev *pd, const struct config_node *conf,
    struct error *err)
{
	struct virtio_config vc = {
		.model = &blk_model,
		.dev = b,
		.queue_size = BLK_QUEUE_SIZE,
		.cfg_size = offsetof(
		    struct virtio_blk_config, max_secure_erase_sectors),
	};
	uint64_t n = 1;
	int rc;

	rc = config_get_uint(conf, blk_keys, "queues", &n, err);
	if (rc == 0)
		rc = block_poll_init(&b->poll, conf, blk_keys, err);
	if (n > 1)
		b->poll.max = 0; /* the others of this thread must not wait */
	if (rc == 0)
		rc = virtio_read_config(conf, blk_keys, &vc, err);
	if (rc == 0)
		rc = blk_queues_init(b, (unsigned)n, err);
	if (rc == 0)
		rc = blk_read_serial(b, conf, err);
	if (rc == 0)
		rc = blk_open(b, pd, conf, err);
	if (rc != 0)
		return rc;
	b->writeback = true;
	blk_fill_config(b);
	vc.nqueues = b->nqueues;
	vc.features = blk_features(b);
	vc.loop = iothread_loop(b->thr);
	return virtio_init(pd, &vc, &b->vd, err);
}

static int
blk_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	struct blk *b;
	int rc;

	b = alloc_zero(1, sizeof(*b));
	if (b == NULL)
		return error_sys(err, ENOMEM, "virtio-blk");
	rc = blk_build(b, pd, conf, err);
	if (rc != 0)
		blk_free(b);
	return rc;
}

static void
blk_fini(struct pci_dev *pd)
{
	blk_free(virtio_priv(pd));
}

const struct pci_model pci_model_virtio_blk = {
	.name = "virtio-blk",
	.help = "virtio disk on a raw image or block device",
	.keys = blk_keys,
	.parse = block_parse,
	.init = blk_init,
	.fini = blk_fini,
	.bar_read = virtio_bar_read,
	.bar_write = virtio_bar_write,
	.cfg_read = virtio_cfg_read,
	.cfg_write = virtio_cfg_write,
};
