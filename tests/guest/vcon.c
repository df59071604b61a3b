/*
 * virtio-console: the multiport handshake and an echo. The host's side of port
 * 1 sends a line; the guest sends it back in capitals (tests/cli checks).
 * "solo" on the command line: no host side, only the handshake and breaches.
 */
#include "virtio.h"

#define BIT(n) (UINT64_C(1) << (n))

struct ctl {
	uint32_t id;
	uint16_t event, value;
};

static struct vdev d;
static struct vq q[8];
static struct ctl ctl_out;
static uint8_t ctl_in[16][96], buf[256];
static bool opened;

static void
ctl_send(uint32_t id, uint16_t event, uint16_t value)
{
	struct vring_used_elem u;

	ctl_out = (struct ctl){ id, event, value };
	vq_desc(&q[3], 0, &ctl_out, sizeof(ctl_out), 0, 0);
	vq_add(&q[3], 0);
	vq_kick(&q[3]);
	vq_wait(&q[3], PATIENCE, &u);
}

/* Handle control messages; true when port 1's name was seen. */
static bool
handshake(void)
{
	struct vring_used_elem u;
	struct ctl *m;
	bool named = false;

	while (vq_wait(&q[2], named ? 300 : PATIENCE, &u)) {
		m = (struct ctl *)ctl_in[u.id % 16];
		print("# control: port %u event %u value %u\n", m->id, m->event,
		    m->value);
		if (m->event == 1)
			ctl_send(m->id, 3, 1);
		if (m->event == 7 && m->id == 1) {
			named = memcmp(m + 1, "org.zhyve.1", 11) == 0;
			ctl_send(1, 6, 1);
		}
		if (m->event == 6 && m->id == 1)
			opened = m->value;
		vq_add(&q[2], (uint16_t)(u.id % 16));
		vq_kick(&q[2]);
	}
	return named;
}

static bool
bring_up(void)
{
	unsigned i;

	if (!vdev_open(&d, 3, 0) || !vdev_negotiate(&d, BIT(1)))
		return false;
	for (i = 0; i < 6; i++) {
		if (!vdev_queue(&d, i, 16, -1, &q[i]))
			return false;
	}
	vdev_ready(&d);
	for (i = 0; i < 16; i++) {
		vq_desc(&q[2], i, ctl_in[i], 96, DESC_WRITE, 0);
		vq_add(&q[2], (uint16_t)i);
	}
	vq_kick(&q[2]);
	ctl_send(0xffffffff, 0, 1);
	return true;
}

static void
echo(void)
{
	struct vring_used_elem u;
	uint32_t i;

	vq_desc(&q[4], 0, buf, sizeof(buf), DESC_WRITE, 0);
	vq_add(&q[4], 0);
	vq_kick(&q[4]);
	if (!ok(vq_wait(&q[4], 20000, &u), "a line came from the host"))
		return;
	for (i = 0; i < u.len; i++) {
		if (buf[i] >= 'a' && buf[i] <= 'z')
			buf[i] = (uint8_t)(buf[i] - 32);
	}
	vq_desc(&q[5], 0, buf, u.len, 0, 0);
	vq_add(&q[5], 0);
	vq_kick(&q[5]);
	ok(vq_wait(&q[5], PATIENCE, &u), "and went back");
	delay_us(200000);
}

void
user_main(void)
{
	const char *s = cmdline();
	bool solo = false;
	unsigned i;

	for (; *s != '\0'; s++) {
		if (memcmp(s, "solo", 4) == 0)
			solo = true;
	}
	if (!ok(bring_up(), "device comes up with multiport"))
		tap_done();
	ok(mmio_read32(d.cfg + 4) >= 2, "max_nr_ports");
	ok(handshake(), "port 1 has its name");
	if (!solo)
		echo();
	/* junk on the control queue */
	for (i = 0; i < 300; i++)
		ctl_send(i * 7919, (uint16_t)i, (uint16_t)(i * 3));
	vq_desc(&q[3], 0, buf, 1, 0, 0);
	vq_add(&q[3], 0);
	vq_kick(&q[3]);
	delay_us(1000);
	ok(bring_up() && handshake(), "works after junk and a reset");
	tap_done();
}
