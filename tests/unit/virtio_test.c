/*
 * virtio over PCI, as a guest sees it: identity, registers, negotiation, the
 * life of queues, interrupts, doorbells, both interfaces. The device is a disk,
 * because requests to it can be looked at; its own tests are virtio_blk_test.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev/virtio/virtio.h"
#include "tap.h"
#include "virtio_rig.h"

#define V1 VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define COMMON(name) (r.common + VIRTIO_PCI_COMMON_##name)
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define SETTLE 20000 /* us; for what must not come */

static struct rig r;

static void
start(const char *opts)
{
	struct error err = ERROR_INIT;
	char text[600];
	int fd;

	str_format(text, sizeof(text), "%s/disk.img", tap_tmpdir());
	fd = open(text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	tap_check(fd >= 0 && ftruncate(fd, 1 * MiB) == 0);
	close(fd);
	str_format(text, sizeof(text), "%s/disk.img%s", tap_tmpdir(), opts);
	if (rig_open(&r, "virtio-blk", text, true, &err) != 0)
		tap_fail("%s", err.text);
	tap_check(r.bar != 0 && r.notify != 0 && r.window != 0);
}

/* A read of the first sector on queue q: header, data, status. */
static void
offer_read(unsigned q, uint16_t head, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN,
		.sector = sector };
	uint64_t at = RIG_DATA + q * 0x10000 + head * 0x800;
	struct vring_desc *d = &r.q[q].desc[head];

	memcpy(rig_ram(&r, at), &h, sizeof(h));
	*rig_ram(&r, at + 0x7ff) = 0xee;
	d[0] = (struct vring_desc){ at, 16, VRING_DESC_F_NEXT, head + 1 };
	d[1] = (struct vring_desc){ at + 0x100, 512,
		VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, head + 2 };
	d[2] = (struct vring_desc){ at + 0x7ff, 1, VRING_DESC_F_WRITE, 0 };
	rig_offer(&r, q, head);
}

static uint8_t
read_status(unsigned q, uint16_t head)
{
	return *rig_ram(&r, RIG_DATA + q * 0x10000 + head * 0x800 + 0x7ff);
}

static void
read_works(unsigned q)
{
	struct vring_used_elem u;

	offer_read(q, 0, 0);
	rig_kick(&r, q);
	tap_check(rig_wait(&r, q, RIG_PATIENCE, &u));
	tap_check_u64(u.id, 0);
	tap_check_u64(u.len, 513);
	tap_check_int(read_status(q, 0), VIRTIO_BLK_S_OK);
}

/* ---- identity ---- */

static void
modern_identity(void)
{
	start("");
	tap_check_u64(rig_cfg_read(&r, 0, 4), 0x10421af4);
	tap_check_u64(rig_cfg_read(&r, 8, 1), 1);
	tap_check_u64(rig_cfg_read(&r, 0x0a, 2), 0x0100);
	tap_check_u64(rig_cfg_read(&r, 0x2c, 4), 0x11001af4);
	tap_check_u64(r.notify_mult, 4);
	tap_check_u64(rig_cfg_read(&r, r.msix + 2, 2), 1); /* two vectors */
	tap_check_u64(r.io, 0);
	tap_check_u64(rig_read(&r, COMMON(NUMQ), 2), 1);
	rig_close(&r);
}

static void
transitional_identity(void)
{
	start(",legacy=true");
	tap_check_u64(rig_cfg_read(&r, 0, 4), 0x10011af4);
	tap_check_u64(rig_cfg_read(&r, 8, 1), 0);
	tap_check_u64(rig_cfg_read(&r, 0x2c, 4), 0x00021af4);
	tap_check(r.io != 0);
	tap_check(rig_drive(&r, 0, 1, 16)); /* the modern way works too */
	read_works(0);
	rig_close(&r);
}

/* ---- registers ---- */

static void
registers_take_their_width_only(void)
{
	start("");
	for (unsigned off = 0; off < 0x40; off++)
		for (unsigned w = 1; w <= 8; w *= 2) {
			rig_write(&r, r.common + off, w, 0);
			(void)rig_read(&r, r.common + off, w);
		}
	rig_write(&r, COMMON(Q_SELECT), 2, 0);
	tap_check_u64(rig_read(&r, COMMON(STATUS), 4), 0xffffffff);
	tap_check_u64(rig_read(&r, COMMON(NUMQ), 4), 0xffffffff);
	tap_check_u64(rig_read(&r, COMMON(Q_SIZE) + 1, 1), 0xff);
	tap_check_u64(rig_read(&r, COMMON(Q_SIZE), 2), 256);
	rig_write(&r, COMMON(STATUS), 4, 1);
	tap_check_int(rig_status(&r), 0);
	rig_write(&r, COMMON(Q_DESCLO), 8, UINT64_C(0x123456789abcdef0));
	tap_check_u64(rig_read(&r, COMMON(Q_DESCHI), 4), 0x12345678);
	tap_check_u64(
	    rig_read(&r, COMMON(Q_DESCLO), 8), UINT64_C(0x123456789abcdef0));
	rig_write(&r, COMMON(Q_DESCLO), 4, 1);
	tap_check_u64(
	    rig_read(&r, COMMON(Q_DESCLO), 8), UINT64_C(0x1234567800000001));
	/* beyond the structures */
	tap_check_u64(rig_read(&r, r.common + 0x40, 4), 0xffffffff);
	tap_check_u64(rig_read(&r, r.device + 0x1000 - 4, 4), 0xffffffff);
	tap_check_u64(rig_read(&r, r.device + 57, 4), 0xffffffff);
	rig_write(&r, r.notify + 4 * 63, 2, 63); /* no such queue */
	rig_close(&r);
}

static void
queue_registers(void)
{
	start("");
	rig_write(&r, COMMON(Q_SELECT), 2, 1); /* no such queue */
	tap_check_u64(rig_read(&r, COMMON(Q_SIZE), 2), 0);
	rig_write(&r, COMMON(Q_ENABLE), 2, 1);
	tap_check_u64(rig_read(&r, COMMON(Q_ENABLE), 2), 0);
	rig_write(&r, COMMON(Q_SELECT), 2, 0);
	rig_write(&r, COMMON(Q_SIZE), 2, 100);
	rig_write(&r, COMMON(Q_SIZE), 2, 512);
	rig_write(&r, COMMON(Q_SIZE), 2, 0);
	tap_check_u64(rig_read(&r, COMMON(Q_SIZE), 2), 256);
	rig_write(&r, COMMON(Q_SIZE), 2, 64);
	tap_check_u64(rig_read(&r, COMMON(Q_SIZE), 2), 64);
	rig_write(&r, COMMON(Q_MSIX), 2, 1);
	tap_check_u64(rig_read(&r, COMMON(Q_MSIX), 2), 1);
	rig_write(&r, COMMON(Q_MSIX), 2, 2); /* no such vector */
	tap_check_u64(rig_read(&r, COMMON(Q_MSIX), 2), 0xffff);
	rig_write(&r, COMMON(MSIX), 2, 7);
	tap_check_u64(rig_read(&r, COMMON(MSIX), 2), 0xffff);
	rig_write(&r, COMMON(Q_NOFF), 2, 9);
	tap_check_u64(rig_read(&r, COMMON(Q_NOFF), 2), 0);
	rig_set_status(&r, 0);
	tap_check_u64(rig_read(&r, COMMON(Q_SIZE), 2), 256);
	rig_close(&r);
}

/* ---- negotiation ---- */

static void
negotiate(uint64_t features, bool ok)
{
	rig_set_status(&r, 0);
	rig_set_status(&r, 1);
	rig_set_status(&r, 3);
	rig_set_features(&r, features);
	rig_set_status(&r, 11);
	tap_check_int(rig_status(&r), ok ? 11 : 3);
}

static void
features(void)
{
	uint64_t all;

	start("");
	all = rig_features(&r);
	tap_check((all & V1) != 0);
	tap_check((all & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) != 0);
	tap_check((all & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)) != 0);
	tap_check((all & VIRTIO_BIT(VIRTIO_F_RING_RESET)) != 0);
	rig_write(&r, COMMON(DFSELECT), 4, 2);
	tap_check_u64(rig_read(&r, COMMON(DF), 4), 0);
	negotiate(all, true);
	negotiate(V1, true);
	negotiate(0, false); /* a modern driver takes VERSION_1 */
	negotiate(all & ~V1, false);
	for (unsigned i = 0; i < 64; i++)
		if ((all & VIRTIO_BIT(i)) == 0)
			negotiate(V1 | VIRTIO_BIT(i), false);
	/* bits beyond 63 */
	rig_set_status(&r, 0);
	rig_set_features(&r, V1);
	rig_write(&r, COMMON(GFSELECT), 4, 2);
	rig_write(&r, COMMON(GF), 4, 1);
	rig_set_status(&r, 11);
	tap_check_int(rig_status(&r), 3);
	/* sealed by FEATURES_OK */
	negotiate(V1, true);
	rig_set_features(&r, all);
	rig_write(&r, COMMON(GFSELECT), 4, 0);
	tap_check_u64(rig_read(&r, COMMON(GF), 4), 0);
	rig_close(&r);
}

static void
status_machine(void)
{
	start("");
	rig_set_status(&r, 4); /* DRIVER_OK without FEATURES_OK */
	tap_check_int(rig_status(&r), 0);
	rig_set_status(&r, 7);
	tap_check_int(rig_status(&r), 3);
	rig_set_status(&r, 1); /* nothing is taken away */
	tap_check_int(rig_status(&r), 3);
	rig_set_status(&r, 0x40 | 0x10 | 3); /* not the driver's bits */
	tap_check_int(rig_status(&r), 3);
	rig_set_status(&r, 0x80);
	tap_check_int(rig_status(&r), 0x83);
	rig_set_status(&r, 0);
	tap_check_int(rig_status(&r), 0);
	/* a device without queues runs */
	tap_check(rig_drive(&r, 0, 0, 0));
	rig_kick(&r, 0);
	rig_set_status(&r, 0);
	rig_close(&r);
}

/* ---- queues in use ---- */

static void
requests_and_resets(void)
{
	start("");
	for (unsigned i = 0; i < 5; i++) {
		tap_check(rig_drive(&r, 0, 1, 16));
		read_works(0);
		read_works(0);
	}
	rig_close(&r);
}

static void
registers_are_frozen(void)
{
	start("");
	tap_check(rig_drive(&r, 0, 1, 16));
	read_works(0);
	rig_write(&r, COMMON(Q_SELECT), 2, 0);
	rig_write(&r, COMMON(Q_SIZE), 2, 8);
	rig_write(&r, COMMON(Q_DESCLO), 8, UINT64_C(0xffffffff00000000));
	rig_write(&r, COMMON(Q_AVAILLO), 8, 0x180000);
	rig_write(&r, COMMON(Q_USEDLO), 8, 0x190000);
	rig_write(&r, COMMON(Q_ENABLE), 2, 0);
	rig_write(&r, COMMON(Q_RESET), 2, 1); /* not negotiated */
	tap_check_u64(rig_read(&r, COMMON(Q_SIZE), 2), 16);
	tap_check_u64(rig_read(&r, COMMON(Q_DESCLO), 8), RIG_QUEUE(0));
	tap_check_u64(rig_read(&r, COMMON(Q_ENABLE), 2), 1);
	read_works(0);
	tap_check_int(*rig_ram(&r, 0x190002), 0);
	rig_close(&r);
}

static void
enabled_too_late(void)
{
	struct vring_used_elem u;

	start(",queues=2");
	tap_check(rig_drive(&r, 0, 1, 16));
	rig_queue(&r, 1, 16); /* ignored */
	offer_read(1, 0, 0);
	rig_kick(&r, 1);
	read_works(0);
	tap_check(!rig_wait(&r, 1, 1, &u));
	rig_close(&r);
}

static void
rings_outside_memory(void)
{
	static const uint64_t bad[] = { RIG_RAM, RIG_RAM - 16,
		UINT64_C(0xfffffffffffff000), 0xc0000000, 0x10001 };

	start("");
	rig_msix(&r);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		unsigned before = rig_msis(0);

		rig_set_status(&r, 0);
		rig_set_features(&r, V1);
		rig_set_status(&r, 11);
		rig_write(&r, COMMON(MSIX), 2, 0);
		rig_write(&r, COMMON(Q_DESCLO), 8, bad[i]);
		rig_write(&r, COMMON(Q_AVAILLO), 8, 0x20000);
		rig_write(&r, COMMON(Q_USEDLO), 8, 0x30000);
		rig_write(&r, COMMON(Q_ENABLE), 2, 1);
		rig_set_status(&r, 15);
		tap_check_int(rig_status(&r), 15 | NEEDS_RESET);
		tap_check_int(rig_msis(0), before + 1);
		rig_kick(&r, 0);
		tap_check(rig_drive(&r, 0, 1, 16));
		read_works(0);
	}
	rig_close(&r);
}

static void
broken_chain(void)
{
	struct vring_used_elem u;

	start("");
	rig_msix(&r);
	tap_check(rig_drive(&r, 0, 1, 16));
	r.q[0].desc[0] = (struct vring_desc){ RIG_RAM, 16, 0, 0 };
	rig_offer(&r, 0, 0);
	rig_kick(&r, 0);
	tap_check_int(rig_status_reach(&r, 15 | NEEDS_RESET), 15 | NEEDS_RESET);
	/* configuration change */
	tap_check_int(rig_msis_reach(0, 1), 1);
	tap_check(!rig_wait(&r, 0, 0, &u));
	offer_read(0, 3, 0);
	rig_kick(&r, 0);
	tap_check(!rig_wait(&r, 0, 50, &u));
	tap_check(rig_drive(&r, 0, 1, 16));
	read_works(0);
	rig_close(&r);
}

static void
not_without_bus_master(void)
{
	struct vring_used_elem u;

	start("");
	tap_check(rig_drive(&r, 0, 1, 16));
	rig_cfg_write(&r, 4, 2, 3);
	offer_read(0, 0, 0);
	rig_kick(&r, 0);
	tap_check(!rig_wait(&r, 0, 50, &u));
	rig_cfg_write(&r, 4, 2, 7);
	rig_kick(&r, 0);
	tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	rig_close(&r);
}

/* After the write of 0 has returned the device writes no memory any more. */
static void
reset_in_flight(const char *opts)
{
	uint8_t *before = malloc(RIG_RAM);

	start(opts);
	for (unsigned i = 0; i < 60; i++) {
		tap_check(rig_drive(&r, 0, 1, 256));
		for (uint16_t h = 0; h < 60; h += 3)
			offer_read(0, h, h);
		rig_kick(&r, 0);
		if (i % 3 != 0)
			usleep(i * 5);
		rig_set_status(&r, 0);
		tap_check_int(rig_status(&r), 0);
		memcpy(before, rig_ram(&r, 0), RIG_RAM);
		if (i % 8 == 0)
			usleep(2000);
		tap_check(memcmp(before, rig_ram(&r, 0), RIG_RAM) == 0);
	}
	rig_close(&r);
	free(before);
}

static void
reset_in_flight_io_uring(void)
{
	reset_in_flight(",nocache,sectorsize=512/4096");
}

static void
reset_in_flight_threads(void)
{
	reset_in_flight(",aio=threads");
}

static void
closed_in_flight(void)
{
	start(",nocache");
	tap_check(rig_drive(&r, 0, 1, 256));
	for (uint16_t h = 0; h < 60; h += 3)
		offer_read(0, h, h);
	rig_kick(&r, 0);
	rig_close(&r);
}

static void
one_queue_is_reset(void)
{
	start(",queues=2");
	tap_check(rig_drive(&r,
	    VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(VIRTIO_BLK_F_MQ), 2,
	    256));
	for (unsigned i = 0; i < 20; i++) {
		struct vring_used_elem u;

		for (uint16_t h = 0; h < 60; h += 3) {
			offer_read(0, h, h);
			offer_read(1, h, h);
		}
		rig_kick(&r, 0);
		rig_kick(&r, 1);
		rig_write(&r, COMMON(Q_SELECT), 2, 0);
		rig_write(&r, COMMON(Q_RESET), 2, 1);
		tap_check_u64(rig_read(&r, COMMON(Q_RESET), 2), 0);
		tap_check_u64(rig_read(&r, COMMON(Q_ENABLE), 2), 0);
		/* the other one has lost nothing */
		for (unsigned n = 0; n < 20; n++) {
			tap_check(rig_wait(&r, 1, RIG_PATIENCE, &u));
			tap_check_int(
			    read_status(1, (uint16_t)u.id), VIRTIO_BLK_S_OK);
		}
		rig_queue(&r, 0, 256);
		tap_check_u64(rig_read(&r, COMMON(Q_ENABLE), 2), 1);
		read_works(0);
	}
	rig_close(&r);
}

/* ---- interrupts ---- */

static void
msix_vectors(void)
{
	unsigned table, pending;

	start(",queues=2");
	rig_msix(&r);
	tap_check(rig_drive(&r, VIRTIO_BIT(VIRTIO_BLK_F_MQ), 2, 16));
	read_works(0);
	tap_check_int(rig_msis_reach(1, 1), 1);
	read_works(1);
	tap_check_int(rig_msis_reach(2, 1), 1);
	usleep(SETTLE);
	tap_check_int(rig_msis(1), 1);
	tap_check_int(rig_msis(2), 1);
	/* masked: pending, sent when unmasked */
	table = rig_cfg_read(&r, r.msix + 4, 4) & ~7u;
	pending = rig_cfg_read(&r, r.msix + 8, 4) & ~7u;
	rig_write(&r, table + 16 + 12, 4, 1);
	read_works(0);
	for (unsigned i = 0; i < RIG_PATIENCE; i++) {
		if ((rig_read(&r, pending, 4) & 2) != 0)
			break;
		usleep(1000);
	}
	tap_check_u64(rig_read(&r, pending, 4), 2);
	tap_check_int(rig_msis(1), 1);
	rig_write(&r, table + 16 + 12, 4, 0);
	tap_check_int(rig_msis(1), 2);
	/* no vector, no interrupt */
	rig_write(&r, COMMON(Q_SELECT), 2, 0);
	rig_write(&r, COMMON(Q_MSIX), 2, 0xffff);
	read_works(0);
	usleep(SETTLE);
	tap_check_int(rig_msis(1), 2);
	tap_check_u64(rig_read(&r, r.isr, 1), 0);
	rig_close(&r);
}

static void
msi_for_all_causes(void)
{
	unsigned cap;

	start(",msix=false");
	tap_check_int(r.msix, 0);
	for (cap = rig_cfg_read(&r, 0x34, 1); cap != 0;
	     cap = rig_cfg_read(&r, cap + 1, 1))
		if (rig_cfg_read(&r, cap, 1) == 0x05)
			break;
	tap_check(cap != 0);
	rig_cfg_write(&r, cap + 4, 4, RIG_MSI_ADDR);
	rig_cfg_write(&r, cap + 8, 4, 0);
	rig_cfg_write(&r, cap + 12, 2, RIG_MSI_DATA(9));
	rig_cfg_write(&r, cap + 2, 2, 1);
	tap_check(rig_drive(&r, 0, 1, 16));
	read_works(0);
	tap_check_int(rig_msis_reach(9, 1), 1);
	tap_check_u64(rig_read(&r, r.isr, 1), 1);
	rig_close(&r);
}

static void
intx_and_isr(void)
{
	start("");
	tap_check(rig_drive(&r, 0, 1, 16));
	tap_check_u64(rig_cfg_read(&r, 6, 2) & 8, 0);
	read_works(0);
	tap_check(rig_intx_reach(&r));
	tap_check_u64(rig_read(&r, r.isr, 1), 1);
	tap_check_u64(rig_cfg_read(&r, 6, 2) & 8, 0);
	tap_check_u64(rig_read(&r, r.isr, 1), 0);
	r.q[0].desc[0] = (struct vring_desc){ RIG_RAM, 16, 0, 0 };
	rig_offer(&r, 0, 0);
	rig_kick(&r, 0);
	tap_check(rig_intx_reach(&r));
	tap_check_u64(rig_read(&r, r.isr, 1), 2);
	rig_close(&r);
}

/* ---- doorbells ---- */

static void
doorbells_follow_the_bar(void)
{
	struct rig_bell b[RIG_BELLS];
	uint64_t one = 1;
	struct vring_used_elem u;

	start(",queues=2");
	rig_offer_bells(true);
	tap_check_int(rig_bells(b), 0);
	tap_check(rig_drive(&r, VIRTIO_BIT(VIRTIO_BLK_F_MQ), 2, 16));
	tap_check_int(rig_bells(b), 2);
	tap_check_u64(b[0].addr, r.bar + r.notify);
	tap_check_u64(b[1].addr, r.bar + r.notify + r.notify_mult);
	tap_check_int(b[0].flags, 0);
	offer_read(1, 0, 0);
	tap_check_int(write(b[1].fd, &one, 8), 8);
	tap_check(rig_wait(&r, 1, RIG_PATIENCE, &u));
	/* decoding off and on elsewhere */
	rig_cfg_write(&r, 4, 2, 4);
	tap_check_int(rig_bells(b), 0);
	rig_cfg_write(&r, 0x20, 4, 0xd0000000);
	rig_cfg_write(&r, 0x24, 4, 0);
	rig_cfg_write(&r, 4, 2, 7);
	tap_check_int(rig_bells(b), 2);
	r.bar = 0xd0000000;
	tap_check_u64(b[0].addr, r.bar + r.notify);
	read_works(0);
	rig_set_status(&r, 0);
	tap_check_int(rig_bells(b), 0);
	rig_close(&r);
}

static void
legacy_doorbells(void)
{
	struct rig_bell b[RIG_BELLS];

	start(",legacy");
	rig_offer_bells(true);
	tap_check(rig_drive(&r, 0, 1, 16));
	tap_check_int(rig_bells(b), 2);
	for (unsigned i = 0; i < 2; i++)
		if ((b[i].flags & ENGINE_IOEVENT_PIO) != 0) {
			tap_check_u64(b[i].addr, r.io + 16);
			tap_check_int(b[i].len, 2);
			tap_check_u64(b[i].value, 0);
			tap_check(b[i].flags & ENGINE_IOEVENT_MATCH);
		}
	rig_close(&r);
	tap_check_int(rig_bells(b), 0);
}

/* ---- through configuration space ---- */

static uint32_t
window(unsigned off, unsigned len, bool write, uint32_t value)
{
	rig_cfg_write(&r, r.window + 4, 1, 4);
	rig_cfg_write(&r, r.window + 8, 4, off);
	rig_cfg_write(&r, r.window + 12, 4, len);
	if (!write)
		return rig_cfg_read(&r, r.window + 16, len);
	rig_cfg_write(&r, r.window + 16, len, value);
	return 0;
}

static void
configuration_window(void)
{
	struct vring_used_elem u;

	start("");
	tap_check_u64(window(COMMON(NUMQ), 2, false, 0), 1);
	tap_check_u64(window(r.device, 4, false, 0), 2048);
	tap_check(rig_drive(&r, 0, 1, 16));
	offer_read(0, 0, 0);
	window(r.notify, 2, true, 0);
	tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	window(COMMON(STATUS), 1, true, 0);
	tap_check_int(rig_status(&r), 0);
	/* what makes no sense does nothing */
	(void)window(COMMON(STATUS), 3, false, 0);
	(void)window(COMMON(STATUS) + 1, 4, false, 0);
	(void)window(0xfffffffc, 4, false, 0);
	window(0x4000, 4, true, 0xffffffff);
	rig_cfg_write(&r, r.window + 4, 1, 0xff);
	(void)rig_cfg_read(&r, r.window + 16, 4);
	rig_close(&r);
}

/* ---- the interface before 1.0 ---- */

static void
legacy_queue(void)
{
	uint64_t at = RIG_QUEUE(0);

	rig_out(&r, VIRTIO_PCI_QUEUE_SEL, 2, 0);
	tap_check_u64(rig_in(&r, VIRTIO_PCI_QUEUE_NUM, 2), 256);
	memset(rig_ram(&r, at), 0, 0x8000);
	r.q[0] = (struct rig_queue){ .size = 256,
		.desc = (void *)rig_ram(&r, at),
		.avail = (void *)rig_ram(&r, at + 0x1000),
		.used = (void *)rig_ram(&r, at + 0x2000) };
	rig_out(&r, VIRTIO_PCI_QUEUE_PFN, 4, (uint32_t)(at >> 12));
	tap_check_u64(rig_in(&r, VIRTIO_PCI_QUEUE_PFN, 4), at >> 12);
}

static void
legacy_interface(void)
{
	struct vring_used_elem u;
	uint8_t capacity[8];
	unsigned cfg;

	start(",legacy");
	rig_out(&r, VIRTIO_PCI_STATUS, 1, 0);
	rig_out(&r, VIRTIO_PCI_STATUS, 1, 3);
	tap_check((rig_in(&r, VIRTIO_PCI_HOST_FEATURES, 4) &
		      VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT)) != 0);
	rig_out(&r, VIRTIO_PCI_GUEST_FEATURES, 4, 0);
	/* device configuration, byte by byte, at both places */
	for (unsigned msix = 0; msix < 2; msix++) {
		if (msix)
			rig_msix(&r);
		cfg = VIRTIO_PCI_CONFIG_OFF(msix);
		for (unsigned i = 0; i < 8; i++)
			capacity[i] = (uint8_t)rig_in(&r, cfg + i, 1);
		tap_check_u64(capacity[0] | capacity[1] << 8, 2048);
		tap_check_u64(rig_in(&r, cfg, 4), 2048);
	}
	rig_out(&r, VIRTIO_MSI_CONFIG_VECTOR, 2, 0);
	tap_check_u64(rig_in(&r, VIRTIO_MSI_CONFIG_VECTOR, 2), 0);
	legacy_queue();
	rig_out(&r, VIRTIO_MSI_QUEUE_VECTOR, 2, 1);
	tap_check_u64(rig_in(&r, VIRTIO_MSI_QUEUE_VECTOR, 2), 1);
	rig_out(&r, VIRTIO_PCI_STATUS, 1, 7);
	tap_check_u64(rig_in(&r, VIRTIO_PCI_STATUS, 1), 7);
	offer_read(0, 0, 5);
	rig_out(&r, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	tap_check_int(read_status(0, 0), VIRTIO_BLK_S_OK);
	tap_check_int(rig_msis_reach(1, 1), 1);
	/* frozen, then reset */
	rig_out(&r, VIRTIO_PCI_QUEUE_PFN, 4, 1);
	tap_check_u64(rig_in(&r, VIRTIO_PCI_QUEUE_PFN, 4), RIG_QUEUE(0) >> 12);
	rig_out(&r, VIRTIO_PCI_STATUS, 1, 0);
	tap_check_u64(rig_in(&r, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	rig_close(&r);
}

/* Old drivers read the disk's first sectors while they probe. */
static void
legacy_kick_before_driver_ok(void)
{
	struct vring_used_elem u;

	start(",legacy");
	rig_out(&r, VIRTIO_PCI_STATUS, 1, 3);
	legacy_queue();
	offer_read(0, 0, 0);
	rig_out(&r, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	rig_out(&r, VIRTIO_PCI_STATUS, 1, 7);
	offer_read(0, 0, 0);
	rig_out(&r, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	tap_check(rig_intx_reach(&r));
	tap_check_u64(rig_in(&r, VIRTIO_PCI_ISR, 1), 1);
	rig_close(&r);
}

static void
legacy_registers_of_every_width(void)
{
	start(",legacy");
	for (unsigned msix = 0; msix < 2; msix++) {
		if (msix)
			rig_msix(&r);
		for (unsigned off = 0; off < 0x80; off++)
			for (unsigned w = 1; w <= 4; w *= 2) {
				(void)rig_in(&r, off, w);
				rig_out(&r, off, w, 0xffffffff);
			}
	}
	tap_check_u64(rig_in(&r, VIRTIO_MSI_QUEUE_VECTOR + 1, 1), 0xff);
	rig_out(&r, VIRTIO_PCI_STATUS, 1, 0);
	tap_check_u64(rig_in(&r, VIRTIO_PCI_STATUS, 1), 0);
	rig_close(&r);
}

static const struct tap_test tests[] = {
	TAP_TEST(modern_identity),
	TAP_TEST(transitional_identity),
	TAP_TEST(registers_take_their_width_only),
	TAP_TEST(queue_registers),
	TAP_TEST(features),
	TAP_TEST(status_machine),
	TAP_TEST(requests_and_resets),
	TAP_TEST(registers_are_frozen),
	TAP_TEST(enabled_too_late),
	TAP_TEST(rings_outside_memory),
	TAP_TEST(broken_chain),
	TAP_TEST(not_without_bus_master),
	TAP_TEST(reset_in_flight_io_uring),
	TAP_TEST(reset_in_flight_threads),
	TAP_TEST(closed_in_flight),
	TAP_TEST(one_queue_is_reset),
	TAP_TEST(msix_vectors),
	TAP_TEST(msi_for_all_causes),
	TAP_TEST(intx_and_isr),
	TAP_TEST(doorbells_follow_the_bar),
	TAP_TEST(legacy_doorbells),
	TAP_TEST(configuration_window),
	TAP_TEST(legacy_interface),
	TAP_TEST(legacy_kick_before_driver_ok),
	TAP_TEST(legacy_registers_of_every_width),
};
TAP_MAIN(tests)
