/*
 * virtio-net (virtio 1.2, 5.1): receive and transmit queue pairs and a control
 * queue, over any network back end.
 *
 * Receiving. A packet's size is known only after it was read, and the guest may
 * offer many small buffers for one big packet (VIRTIO_NET_F_MRG_RXBUF). So
 * buffers are popped ahead into 'held', a packet is read into all of them at
 * once, and those it did not need stay held for the next: no copy, one system
 * call a packet. What does not fit in the held ones goes to 'spill', from where
 * it is copied into buffers popped for it.
 *
 * Threads: everything but the configuration space on the device's loop.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "dev/net/net.h"
#include "dev/pci/models.h"
#include "dev/virtio/virtio.h"

/* Feature bits, 5.1.3 */
#define F_CSUM 0
#define F_GUEST_CSUM 1
#define F_MTU 3
#define F_MAC 5
#define F_GUEST_TSO4 7
#define F_GUEST_TSO6 8
#define F_GUEST_ECN 9
#define F_HOST_TSO4 11
#define F_HOST_TSO6 12
#define F_HOST_ECN 13
#define F_MRG_RXBUF 15
#define F_STATUS 16
#define F_CTRL_VQ 17
#define F_CTRL_RX 18
#define F_MQ 22
#define F_CTRL_MAC_ADDR 23

/* Control classes, 5.1.6.5 */
#define CTRL_RX 0
#define CTRL_MAC 1
#define CTRL_MAC_ADDR_SET 1
#define CTRL_MQ 4
#define CTRL_MQ_PAIRS_SET 0
#define CTRL_OK 0
#define CTRL_ERR 1

#define QUEUE_SIZE 256
#define RX_HELD 48 /* 64 KiB in 1.5 KiB buffers */
#define RX_IOV 24 /* segments of one receive buffer */
#define TX_IOV 256
#define BUDGET 256 /* packets before other events get their turn */
#define TX_HOLD_NS 200000 /* an interrupt for what was sent waits: 1 or 2 x */
#define TX_HELD 16 /* packets at most whose interrupt waits */
#define HDR_NUM_BUFFERS 10 /* offset in struct virtio_net_hdr_v1 */

/* Device configuration, 5.1.4 */
struct net_cfg {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_pairs;
	uint16_t mtu;
} __attribute__((packed));
#define NET_S_LINK_UP 1

struct rx_buf {
	uint16_t head;
	uint16_t niov;
	uint32_t len;
	struct iovec iov[RX_IOV];
};

struct rx_queue {
	struct virtqueue *vq; /* NULL while the device is not started */
	unsigned ahead; /* buffers that the last packet needed */
	unsigned nheld;
	struct rx_buf held[RX_HELD]; /* in the order in which they were given */
};

/*
 * Drivers free what was sent whenever they take packets, and ask for an
 * interrupt all the same. So it waits for a while: of a stream's interrupts
 * half were these, and none of them told the driver anything that mattered.
 */
struct tx_queue {
	struct vnet *vn;
	unsigned index;
	struct mevent *timer;
	bool waits; /* the timer is armed */
	unsigned held; /* packets since it was armed */
};

struct vnet {
	struct virtio_dev *vd;
	struct net_backend *nb;
	struct iothread *thr;
	struct net_cfg cfg;
	unsigned pairs; /* built */
	unsigned active; /* in use, by VIRTIO_NET_CTRL_MQ */
	unsigned ctrl; /* index of the control queue */
	unsigned hdr_len;
	bool mergeable;
	struct rx_queue *rx; /* [pairs] */
	struct tx_queue *tx; /* [pairs] */
	uint8_t spill[NET_HDR_LEN + NET_MAX_FRAME];
};

/* ---- small helpers over segments ---- */
static size_t
iov_copy_in(const struct iovec *iov, unsigned n, size_t off, const void *data,
    size_t len)
{
	const uint8_t *p = data;
	size_t done = 0, k;
	unsigned i;

	for (i = 0; i < n && done < len; i++) {
		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		k = MIN(iov[i].iov_len - off, len - done);
		memcpy((uint8_t *)iov[i].iov_base + off, p + done, k);
		done += k;
		off = 0;
	}
	return done;
}

/* ---- receiving ---- */
static bool
rx_hold_one(struct vnet *vn, struct rx_queue *rx)
{
	struct rx_buf *b;
	struct vq_chain ch;

	if (rx->nheld == RX_HELD)
		return false;
	b = &rx->held[rx->nheld];
	if (vq_pop(rx->vq, &ch, b->iov, RX_IOV) != 1)
		return false;
	if (ch.nread != 0 || ch.write_len < vn->hdr_len) {
		virtio_broken(vn->vd,
		    "a receive buffer that is readable, or smaller than the "
		    "header");
		return false;
	}
	b->head = ch.head;
	b->niov = ch.nwrite;
	b->len = ch.write_len;
	rx->nheld++;
	return true;
}

/* The first n held buffers carry a packet of 'len' bytes: give them back. */
static void
rx_give(struct vnet *vn, struct rx_queue *rx, unsigned n, size_t len)
{
	struct rx_buf *b = rx->held;
	uint8_t num[2];
	unsigned i;
	size_t part;

	if (vn->mergeable || vn->hdr_len == NET_HDR_LEN) {
		store_le16(num, (uint16_t)n);
		iov_copy_in(b->iov, b->niov, HDR_NUM_BUFFERS, num, 2);
	}
	for (i = 0; i < n; i++) {
		part = MIN(len, b[i].len);
		vq_dirty(rx->vq, b[i].iov, b[i].niov);
		vq_push(rx->vq, b[i].head, (uint32_t)part);
		len -= part;
	}
	rx->nheld -= n;
	memmove(rx->held, rx->held + n, rx->nheld * sizeof(rx->held[0]));
}

/*
 * A packet of len bytes was read into the held buffers and, past them, into
 * spill. Returns false when it had to be dropped.
 */
static bool
rx_deliver(struct vnet *vn, struct rx_queue *rx, size_t room, size_t len)
{
	size_t have = 0, off = 0;
	unsigned n = 0;

	while (len > room + off && vn->mergeable) {
		if (!rx_hold_one(vn, rx))
			return false; /* no room: dropped, buffers stay held */
		off += iov_copy_in(rx->held[rx->nheld - 1].iov,
		    rx->held[rx->nheld - 1].niov, 0, vn->spill + off,
		    len - room - off);
	}
	if (len > room + off)
		return false;
	while (have < len)
		have += rx->held[n++].len;
	rx->ahead = n;
	rx_give(vn, rx, n, len);
	return true;
}

/* Read one packet. 1: got or dropped one; 0: nothing there, or no buffer. */
static int
rx_packet(struct vnet *vn, struct rx_queue *rx, unsigned q)
{
	struct iovec iov[RX_HELD + RX_IOV + 1];
	size_t room = 0;
	unsigned i, k, n = 0;
	ssize_t r;

	while (rx->nheld == 0 || rx->nheld < rx->ahead) {
		if (!rx_hold_one(vn, rx))
			break;
	}
	if (rx->nheld == 0)
		return 0;
	for (i = 0; i < rx->nheld && n + rx->held[i].niov < RX_HELD + RX_IOV;
	     i++) {
		for (k = 0; k < rx->held[i].niov; k++)
			iov[n++] = rx->held[i].iov[k];
		room += rx->held[i].len;
		if (!vn->mergeable)
			break;
	}
	iov[n].iov_base = vn->spill;
	iov[n++].iov_len = sizeof(vn->spill);
	r = net_recv(vn->nb, q, iov, (int)n);
	if (r < (ssize_t)vn->hdr_len) {
		if (r >= 0)
			return 1;
		return 0;
	}
	rx_deliver(vn, rx, room, (size_t)r);
	return 1;
}

static void
rx_run(struct vnet *vn, unsigned q)
{
	struct rx_queue *rx = &vn->rx[q];
	unsigned n;

	if (rx->vq == NULL || q >= vn->active || !vq_enabled(rx->vq)) {
		net_want_recv(vn->nb, q, false);
		return;
	}
	vq_want_notify(rx->vq, false);
	for (n = 0; n < BUDGET; n++) {
		if (rx_packet(vn, rx, q) == 0)
			break;
	}
	vq_flush(rx->vq);
	/* Out of buffers: sleep until the guest gives some. */
	if (rx->nheld == 0 && !rx_hold_one(vn, rx)) {
		if (vq_want_notify(rx->vq, true)) {
			vq_again(rx->vq);
			return;
		}
		net_want_recv(vn->nb, q, false);
		return;
	}
	net_want_recv(vn->nb, q, true);
}

static void
on_readable(void *arg, unsigned q)
{
	rx_run(arg, q);
}

/* ---- sending ---- */
static void
tx_arm(struct tx_queue *tx, bool wait)
{
	tx->held = 0;
	if (wait || tx->waits)
		mevent_timer_set(tx->timer, wait ? TX_HOLD_NS : 0, 0);
	tx->waits = wait;
}

/* n packets were sent: the interrupt for them waits, but not for too many. */
static void
tx_flush(struct tx_queue *tx, struct virtqueue *vq, unsigned n)
{
	tx->held += n;
	if (tx->held >= TX_HELD) {
		vq_flush(vq);
		tx->held = 0; /* the timer finds nothing, or less */
	} else if (!tx->waits && n != 0 && vq_hold(vq))
		tx_arm(tx, true);
}

static void
tx_timer(void *arg, uint64_t expirations)
{
	struct tx_queue *tx = arg;
	struct virtqueue *vq = virtio_queue(tx->vn->vd, 2 * tx->index + 1);

	tx->waits = false;
	tx_arm(tx, vq != NULL && vq_release(vq));
}

static void
tx_run(struct vnet *vn, struct virtqueue *vq, unsigned q)
{
	struct iovec iov[TX_IOV];
	struct vq_chain ch;
	unsigned n = 0;
	ssize_t r;

	do {
		vq_want_notify(vq, false);
		while (vq_pop(vq, &ch, iov, TX_IOV) == 1) {
			r = 0;
			/* shorter or longer than any packet: dropped */
			if (ch.read_len >= vn->hdr_len + 14 &&
			    ch.read_len <= NET_HDR_LEN + NET_MAX_FRAME)
				r = net_send(vn->nb, q, iov, ch.nread);
			if (r == -EAGAIN) {
				vq_unpop(vq);
				net_want_send(vn->nb, q, true);
				tx_flush(&vn->tx[q], vq, n);
				return;
			}
			vq_push(vq, ch.head, 0);
			if (++n == BUDGET) {
				vq_flush(vq);
				vq_again(vq);
				return;
			}
		}
	} while (vq_want_notify(vq, true));
	tx_flush(&vn->tx[q], vq, n);
}

static void
on_writable(void *arg, unsigned q)
{
	struct vnet *vn = arg;
	struct virtqueue *vq = virtio_queue(vn->vd, 2 * q + 1);

	net_want_send(vn->nb, q, false);
	if (vq != NULL && vq_enabled(vq) && vn->rx[q].vq != NULL)
		tx_run(vn, vq, q);
}

/* 5.1.4.2: vCPUs may be reading the status. */
static void
on_link(void *arg, bool up)
{
	struct vnet *vn = arg;

	__atomic_store_n(
	    &vn->cfg.status, up ? NET_S_LINK_UP : 0, __ATOMIC_RELAXED);
	virtio_config_changed(vn->vd);
}

static const struct net_ops net_callbacks = {
	.readable = on_readable,
	.writable = on_writable,
	.link = on_link,
};

/* ---- the control queue ---- */
static size_t
iov_copy_out(const struct iovec *iov, unsigned n, void *data, size_t len)
{
	size_t done = 0, k;
	unsigned i;

	for (i = 0; i < n && done < len; i++) {
		k = MIN(iov[i].iov_len, len - done);
		memcpy((uint8_t *)data + done, iov[i].iov_base, k);
		done += k;
	}
	return done;
}

static uint8_t
ctrl_command(struct vnet *vn, const uint8_t *cmd, size_t len)
{
	unsigned pairs;

	if (len < 2)
		return CTRL_ERR;
	/*
	 * Receive filters are advice: everything is delivered, the host's link
	 * protection decides what may arrive at all.
	 */
	if (cmd[0] == CTRL_RX)
		return CTRL_OK;
	if (cmd[0] == CTRL_MAC) {
		if (cmd[1] == CTRL_MAC_ADDR_SET && len >= 8)
			memcpy(vn->cfg.mac, cmd + 2, 6);
		return CTRL_OK;
	}
	if (cmd[0] == CTRL_MQ && cmd[1] == CTRL_MQ_PAIRS_SET && len >= 4) {
		pairs = load_le16(cmd + 2);
		if (pairs < 1 || pairs > vn->pairs)
			return CTRL_ERR;
		vn->active = pairs;
		for (pairs = 0; pairs < vn->active; pairs++)
			rx_run(vn, pairs);
		return CTRL_OK;
	}
	return CTRL_ERR;
}

static void
ctrl_run(struct vnet *vn, struct virtqueue *vq)
{
	struct iovec iov[16];
	struct vq_chain ch;
	uint8_t cmd[64], ack;
	size_t n;

	do {
		vq_want_notify(vq, false);
		while (vq_pop(vq, &ch, iov, ARRAY_LEN(iov)) == 1) {
			n = iov_copy_out(iov, ch.nread, cmd, sizeof(cmd));
			ack = ctrl_command(vn, cmd, n);
			n = iov_copy_in(iov + ch.nread, ch.nwrite, 0, &ack, 1);
			vq_dirty(vq, iov + ch.nread, ch.nwrite);
			vq_push(vq, ch.head, (uint32_t)n);
		}
	} while (vq_want_notify(vq, true));
	vq_flush(vq);
}

/* ---- virtio's callbacks ---- */
static void
vnet_cfg_read(void *dev, unsigned off, void *data, unsigned len)
{
	struct vnet *vn = dev;

	memcpy(data, (uint8_t *)&vn->cfg + off, len);
}

/* Only a legacy driver may write the address here (5.1.4). */
static void
vnet_cfg_write(void *dev, unsigned off, const void *data, unsigned len)
{
	struct vnet *vn = dev;

	if (off + len <= sizeof(vn->cfg.mac) &&
	    !(virtio_features(vn->vd) & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
		memcpy(vn->cfg.mac + off, data, len);
}

static unsigned
wanted_offloads(uint64_t f)
{
	static const struct {
		unsigned bit, off;
	} map[] = {
		{ F_GUEST_CSUM, NET_OFF_CSUM },
		{ F_GUEST_TSO4, NET_OFF_TSO4 },
		{ F_GUEST_TSO6, NET_OFF_TSO6 },
		{ F_GUEST_ECN, NET_OFF_ECN },
	};
	unsigned off = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(map); i++) {
		if (f & VIRTIO_BIT(map[i].bit))
			off |= map[i].off;
	}
	/* segmentation needs checksums, ECN needs segmentation (5.1.3.1) */
	if (!(off & NET_OFF_CSUM))
		return 0;
	if (!(off & (NET_OFF_TSO4 | NET_OFF_TSO6)))
		off &= ~(unsigned)NET_OFF_ECN;
	return off;
}

static void
vnet_start(void *dev, uint64_t features)
{
	struct vnet *vn = dev;
	unsigned i;

	vn->mergeable = (features & VIRTIO_BIT(F_MRG_RXBUF)) != 0;
	vn->hdr_len =
	    vn->mergeable || (features & VIRTIO_BIT(VIRTIO_F_VERSION_1))
	    ? NET_HDR_LEN
	    : HDR_NUM_BUFFERS;
	vn->active = 1;
	if (net_set_hdr_len(vn->nb, vn->hdr_len) != 0 ||
	    net_set_offloads(vn->nb, wanted_offloads(features)) != 0)
		log_warn("virtio-net", "the back end refused offloads");
	for (i = 0; i < vn->pairs; i++) {
		vn->rx[i].vq = virtio_queue(vn->vd, 2 * i);
		vn->rx[i].nheld = 0;
		vn->rx[i].ahead = 0;
	}
	/* 5.1.2: behind the pairs that the driver knows of */
	vn->ctrl = (features & VIRTIO_BIT(F_MQ)) ? 2 * vn->pairs : 2;
	rx_run(vn, 0);
}

static void
vnet_reset(void *dev)
{
	struct vnet *vn = dev;
	unsigned i;

	for (i = 0; i < vn->pairs; i++) {
		net_want_recv(vn->nb, i, false);
		net_want_send(vn->nb, i, false);
		vn->rx[i].vq = NULL;
		vn->rx[i].nheld = 0;
		tx_arm(&vn->tx[i], false);
	}
}

static void
vnet_notify(void *dev, struct virtqueue *vq)
{
	struct vnet *vn = dev;
	unsigned i = vq_index(vq);

	if (i == vn->ctrl)
		ctrl_run(vn, vq);
	else if (i % 2 == 1)
		tx_run(vn, vq, i / 2);
	else
		rx_run(vn, i / 2);
}

static const struct virtio_model vnet_model = {
	.name = "virtio-net",
	.id = 1,
	.pci_class = 0x02, /* network */
	.pci_subclass = 0x00, /* Ethernet */
	.features = VIRTIO_BIT(F_MAC) | VIRTIO_BIT(F_STATUS) |
	    VIRTIO_BIT(F_MRG_RXBUF) | VIRTIO_BIT(F_CTRL_VQ) |
	    VIRTIO_BIT(F_CTRL_RX) | VIRTIO_BIT(F_CTRL_MAC_ADDR),
	.cfg_read = vnet_cfg_read,
	.cfg_write = vnet_cfg_write,
	.start = vnet_start,
	.reset = vnet_reset,
	.notify = vnet_notify,
};

/* ---- building ---- */
static const struct config_key vnet_keys[] = { NET_CONFIG_KEYS,
	VIRTIO_CONFIG_KEYS, { NULL } };

static uint64_t
offload_features(unsigned off)
{
	uint64_t f = 0;

	if (off & NET_OFF_CSUM)
		f |= VIRTIO_BIT(F_CSUM) | VIRTIO_BIT(F_GUEST_CSUM);
	if (off & NET_OFF_TSO4)
		f |= VIRTIO_BIT(F_GUEST_TSO4) | VIRTIO_BIT(F_HOST_TSO4);
	if (off & NET_OFF_TSO6)
		f |= VIRTIO_BIT(F_GUEST_TSO6) | VIRTIO_BIT(F_HOST_TSO6);
	if (off & NET_OFF_ECN)
		f |= VIRTIO_BIT(F_GUEST_ECN) | VIRTIO_BIT(F_HOST_ECN);
	return f;
}

static void
vnet_free(struct vnet *vn)
{
	unsigned i;

	if (vn == NULL)
		return;
	virtio_fini(vn->vd);
	for (i = 0; i < vn->pairs && vn->nb != NULL; i++)
		net_detach(vn->nb, i);
	for (i = 0; i < vn->pairs && vn->tx != NULL; i++)
		mevent_delete(vn->tx[i].timer);
	iothread_destroy(vn->thr);
	net_close(vn->nb);
	free(vn->rx);
	free(vn->tx);
	free(vn);
}

static int
vnet_build(struct vnet *vn, struct pci_dev *pd, const struct config_node *conf,
    struct error *err)
{
	struct pci_addr at = pci_dev_addr(pd);
	struct virtio_config vc = { .model = &vnet_model,
		.dev = vn,
		.queue_size = QUEUE_SIZE,
		.cfg_size = sizeof(struct net_cfg) };
	char name[16];
	uint64_t mtu = 0;
	unsigned i;
	int r;

	r = net_mac(conf, vnet_keys, vm_name(pci_dev_vm(pd)), at.slot, at.func,
	    vn->cfg.mac, err);
	if (r == 0)
		r = net_open(conf, vnet_keys, &vn->nb, err);
	if (r != 0)
		return r;
	vn->pairs = net_queues(vn->nb);
	vn->rx = calloc(vn->pairs, sizeof(*vn->rx));
	vn->tx = calloc(vn->pairs, sizeof(*vn->tx));
	if (vn->rx == NULL || vn->tx == NULL)
		return error_set(err, ENOMEM, "out of memory");
	r = config_get_uint(conf, vnet_keys, "mtu", &mtu, err);
	if (r != 0 && r != -ENOENT)
		return r;
	r = virtio_read_config(conf, vnet_keys, &vc, err);
	if (r != 0)
		return r;
	vn->cfg.status = NET_S_LINK_UP;
	vn->cfg.max_pairs = (uint16_t)vn->pairs;
	vn->cfg.mtu = (uint16_t)mtu;
	snprintf(name, sizeof(name), "net %u.%u", at.slot, at.func);
	r = iothread_create(name, &vn->thr, err);
	if (r != 0)
		return r;
	vc.loop = iothread_loop(vn->thr);
	vc.nqueues = 2 * vn->pairs + 1;
	vc.features = offload_features(net_offloads(vn->nb)) |
	    (mtu != 0 ? VIRTIO_BIT(F_MTU) : 0) |
	    (vn->pairs > 1 ? VIRTIO_BIT(F_MQ) : 0);
	for (i = 0; i < vn->pairs && r == 0; i++) {
		vn->tx[i].vn = vn;
		vn->tx[i].index = i;
		r = mevent_add_timer(
		    vc.loop, tx_timer, &vn->tx[i], &vn->tx[i].timer, err);
	}
	if (r != 0)
		return r;
	/* attached last: a back end may call at once */
	r = virtio_init(pd, &vc, &vn->vd, err);
	for (i = 0; i < vn->pairs && r == 0; i++)
		r = net_attach(vn->nb, i, vc.loop, &net_callbacks, vn, err);
	return r;
}

static int
vnet_init(struct pci_dev *pd, const struct config_node *conf, struct error *err)
{
	struct vnet *vn = calloc(1, sizeof(*vn));
	int r;

	if (vn == NULL)
		return error_set(err, ENOMEM, "out of memory");
	r = vnet_build(vn, pd, conf, err);
	if (r != 0)
		vnet_free(vn);
	return r;
}

static void
vnet_fini(struct pci_dev *pd)
{
	vnet_free(virtio_priv(pd));
}

const struct pci_model pci_model_virtio_net = {
	.name = "virtio-net",
	.help = "virtio network interface (tap, slirp)",
	.keys = vnet_keys,
	.parse = net_parse,
	.init = vnet_init,
	.fini = vnet_fini,
	.bar_read = virtio_bar_read,
	.bar_write = virtio_bar_write,
	.cfg_read = virtio_cfg_read,
	.cfg_write = virtio_cfg_write,
};
