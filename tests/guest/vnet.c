/*
 * virtio-net: the configuration space, a conversation with the other side
 * ("peer=slirp": ARP and ICMP echo with 10.0.2.2; "peer=echo": frames come
 * back as they went), the control queue, and hostile rings.
 */
#include "virtio.h"

#define V_RX 0x62
#define BIT(n) (UINT64_C(1) << (n))
#define RXN 16

static struct vdev d;
static struct vq rx, tx, ctl;
static uint8_t rxbuf[RXN][2048] __attribute__((aligned(2048)));
static uint8_t out[70000] __attribute__((aligned(4096)));
static uint8_t mac[6];
static volatile uint8_t ack;
static bool slirp;

static bool
open_dev(uint64_t want, int vector)
{
	unsigned i;

	if (!vdev_open(&d, 1, 0) || !vdev_negotiate(&d, want) ||
	    !vdev_queue(&d, 0, 64, vector, &rx) ||
	    !vdev_queue(&d, 1, 64, -1, &tx))
		return false;
	if (want & BIT(17))
		vdev_queue(&d, 2, 16, -1, &ctl);
	vdev_ready(&d);
	for (i = 0; i < RXN; i++) {
		vq_desc(&rx, i, rxbuf[i], sizeof(rxbuf[i]), DESC_WRITE, 0);
		vq_add(&rx, (uint16_t)i);
	}
	vq_kick(&rx);
	for (i = 0; i < 6; i++)
		mac[i] = mmio_read8(d.cfg + i);
	return true;
}

static bool
send(uint32_t len)
{
	struct vring_used_elem u;

	vq_desc(&tx, 0, out, 12 + len, 0, 0);
	vq_add(&tx, 0);
	vq_kick(&tx);
	return vq_wait(&tx, PATIENCE, &u);
}

/* Wait for a frame of this Ethernet type; NULL after ms. */
static uint8_t *
expect(uint16_t type, unsigned ms, uint32_t *len)
{
	struct vring_used_elem u;
	uint8_t *p;
	unsigned tries;

	for (tries = 0; tries < 20; tries++) {
		if (!vq_wait(&rx, ms, &u))
			return NULL;
		p = rxbuf[u.id % RXN] + 12;
		vq_add(&rx, (uint16_t)(u.id % RXN));
		vq_kick(&rx);
		*len = u.len - 12;
		if (p[12] == type >> 8 && p[13] == (type & 0xff))
			return p;
	}
	return NULL;
}

static const uint8_t me[4] = { 10, 0, 2, 15 }, gw[4] = { 10, 0, 2, 2 };

static void
ether(uint16_t type)
{
	memset(out, 0, 12 + 128);
	memset(out + 12, 0xff, 6);
	memcpy(out + 12 + 6, mac, 6);
	out[12 + 12] = (uint8_t)(type >> 8);
	out[12 + 13] = (uint8_t)type;
}

static void
test_arp(uint8_t gwmac[6])
{
	uint8_t *p = out + 12 + 14, *a;
	uint32_t len;

	ether(0x0806);
	p[1] = 1;
	p[2] = 8;
	p[4] = 6;
	p[5] = 4;
	p[7] = 1;
	memcpy(p + 8, mac, 6);
	memcpy(p + 14, me, 4);
	memcpy(p + 24, gw, 4);
	ok(send(42), "ARP request is taken");
	a = expect(0x0806, PATIENCE, &len);
	ok(a != NULL && a[14 + 7] == 2 && memcmp(a + 14 + 14, gw, 4) == 0,
	    "the gateway answers");
	if (a != NULL)
		memcpy(gwmac, a + 14 + 8, 6);
}

static uint16_t
cksum(const uint8_t *p, unsigned n)
{
	uint32_t s = 0;

	for (; n > 1; n -= 2, p += 2)
		s += (uint32_t)p[0] << 8 | p[1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void
test_ping(const uint8_t gwmac[6])
{
	uint8_t *ip = out + 12 + 14, *ic = ip + 20, *a;
	uint16_t c;
	uint32_t len;

	ether(0x0800);
	memcpy(out + 12, gwmac, 6);
	ip[0] = 0x45;
	ip[3] = 20 + 8 + 32;
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, me, 4);
	memcpy(ip + 16, gw, 4);
	c = cksum(ip, 20);
	ip[10] = (uint8_t)(c >> 8);
	ip[11] = (uint8_t)c;
	ic[0] = 8;
	ic[5] = 77;
	memcpy(ic + 8, "zhyve test guest, thirty-two byt", 32);
	c = cksum(ic, 40);
	ic[2] = (uint8_t)(c >> 8);
	ic[3] = (uint8_t)c;
	ok(send(14 + 60), "ICMP echo request is taken");
	a = expect(0x0800, PATIENCE, &len);
	ok(a != NULL && a[14 + 9] == 1 && a[14 + 20] == 0 &&
		memcmp(a + 14 + 28, ic + 8, 32) == 0,
	    "echo reply with the same payload");
}

static unsigned
control(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	static uint8_t hdr[64];
	struct vring_used_elem u;

	hdr[0] = class;
	hdr[1] = cmd;
	memcpy(hdr + 2, data, len);
	ack = 0xee;
	vq_desc(&ctl, 0, hdr, 2 + len, DESC_NEXT, 1);
	vq_desc(&ctl, 1, &ack, 1, DESC_WRITE, 0);
	vq_add(&ctl, 0);
	vq_kick(&ctl);
	return vq_wait(&ctl, PATIENCE, &u) ? ack : 0xff;
}

static void
test_control(void)
{
	static const uint8_t on = 1, m[6] = { 2, 1, 2, 3, 4, 5 };

	if (!ok(open_dev(BIT(5) | BIT(16) | BIT(17) | BIT(18) | BIT(23), -1),
		"with a control queue"))
		return;
	ok(mmio_read16(d.cfg + 6) == 1, "link is up");
	ok(control(0, 0, &on, 1) == 0, "promiscuous mode");
	ok(control(1, 1, m, 6) == 0 && mmio_read8(d.cfg + 5) == 5,
	    "address set");
	ok(control(99, 0, &on, 1) == 1, "an unknown class is refused");
	ok(control(4, 0, "\xff\xff", 2) == 1, "65535 queue pairs are refused");
}

static void
hostile(const char *what, const volatile void *txp, uint32_t txlen,
    uint16_t txflags, const volatile void *rxp, uint32_t rxlen,
    uint16_t rxflags)
{
	struct vring_used_elem u;

	open_dev(0, -1);
	vq_desc(&tx, 0, txp, txlen, txflags, 0);
	vq_desc(&rx, 0, rxp, rxlen, rxflags, 0);
	vq_add(&tx, 0);
	vq_kick(&tx);
	vq_add(&rx, 0);
	vq_kick(&rx);
	vq_wait(&tx, 20, &u);
	ether(0x88b5);
	ok(open_dev(BIT(5), -1) && send(60), "%s: works after reset", what);
}

void
user_main(void)
{
	uint8_t gwmac[6] = { 0 };
	const char *s = cmdline();
	unsigned i;

	for (; *s != '\0'; s++) {
		if (memcmp(s, "peer=slirp", 10) == 0)
			slirp = true;
	}
	lapic_enable();
	sti();
	if (!ok(open_dev(BIT(5), V_RX), "device comes up"))
		tap_done();
	print("# features %lx mac %x:%x:%x:%x:%x:%x\n", d.features, mac[0],
	    mac[1], mac[2], mac[3], mac[4], mac[5]);
	ok(!(mac[0] & 1) && (mac[0] | mac[1] | mac[2]) != 0, "MAC is unicast");
	if (slirp) {
		test_arp(gwmac);
		test_ping(gwmac);
		ok(irq_count[V_RX] > 0, "MSI-X for received packets");
		for (i = 0; i < 20; i++)
			test_ping(gwmac);
		ok(open_dev(BIT(5) | BIT(15), V_RX), "mergeable buffers");
		test_arp(gwmac);
		test_ping(gwmac);
	}
	test_control();
	hostile("empty packet", out, 3, 0, rxbuf[0], 2048, DESC_WRITE);
	hostile("huge packet", out, 0xffffffff, 0, rxbuf[0], 2048, DESC_WRITE);
	hostile("64 KiB of junk", out, 66000, 0, rxbuf[0], 2048, DESC_WRITE);
	hostile("packet in MMIO", (void *)UINT64_C(0xfec00000), 64, 0, rxbuf[0],
	    2048, DESC_WRITE);
	hostile("receive into MMIO", out, 72, 0, (void *)UINT64_C(0xfee00000),
	    2048, DESC_WRITE);
	hostile(
	    "receive buffer of one byte", out, 72, 0, rxbuf[0], 1, DESC_WRITE);
	hostile("readable receive buffer", out, 72, 0, rxbuf[0], 2048, 0);
	hostile("writable send buffer", out, 72, DESC_WRITE, rxbuf[0], 2048,
	    DESC_WRITE);
	tap_done();
}
