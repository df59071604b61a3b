/*
 * A guest made of fuzz input, for any virtio function: an operation stream of
 * memory writes, register accesses of every width, descriptors, notifications.
 * The machine is built once; each input ends with a reset of the device.
 */
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/virtio_rig.c"
#include "base/buf.h"
#include "input.h"

/* How many queues the stream reaches; a target may set it before. */
#ifndef FUZZ_QUEUES
#define FUZZ_QUEUES 2
#endif

static struct rig rig;

/* Operations; the numbers are part of the corpus. */
enum op {
	OP_DRIVE, /* bring it up properly */
	OP_BAR_READ,
	OP_BAR_WRITE,
	OP_COMMON_WRITE,
	OP_IO_READ,
	OP_IO_WRITE,
	OP_CFG_READ,
	OP_CFG_WRITE,
	OP_MEMORY,
	OP_DESC,
	OP_OFFER,
	OP_KICK,
	OP_REQUEST, /* a block request that may be well-formed */
	OP_PAUSE,
	OP_COUNT
};

static void
op_drive(struct input *in)
{
	uint64_t f = take(in, 1);

	if ((f & 0x20) != 0)
		rig_msix(&rig);
	(void)rig_drive(&rig,
	    rig_features(&rig) & (f & 1 ? UINT64_MAX : take(in, 5)),
	    1 + (f >> 4 & 1) * (FUZZ_QUEUES - 1), 1u << (f >> 1 & 7));
}

static void
op_memory(struct input *in)
{
	uint64_t at = take(in, 3) % (RIG_RAM - 16);

	store_le64(rig_ram(&rig, at), take(in, 8));
}

static void
op_desc(struct input *in)
{
	unsigned q = (unsigned)take(in, 1) % FUZZ_QUEUES,
		 i = (unsigned)take(in, 1) & 15;
	struct vring_desc d = { .addr = RIG_DATA + take(in, 2) };

	d.len = (uint32_t)take(in, 2);
	d.flags = (uint16_t)take(in, 1);
	d.next = (uint16_t)take(in, 1);
	if ((d.flags & 0x80) != 0)
		d.addr = take(in, 8);
	if ((d.flags & 0x40) != 0)
		d.len = (uint32_t)take(in, 4);
	memcpy(rig_ram(&rig, RIG_QUEUE(q) + i * 16), &d, sizeof(d));
}

static void
op_offer(struct input *in)
{
	unsigned q = (unsigned)take(in, 1) % FUZZ_QUEUES;

	if (rig.q[q].avail != NULL)
		rig_offer(&rig, q, (uint16_t)take(in, 1));
}

static void
op_request(struct input *in)
{
	const uint64_t at = RIG_DATA + 0x80000;
	struct virtio_blk_outhdr h = { .type = (uint32_t)take(in, 1) };
	uint16_t head = (uint16_t)take(in, 1) & 7;
	uint16_t mid = take(in, 1) & 1 ? 3 : 1; /* WRITE and NEXT, or NEXT */
	struct vring_desc d[3] = {
		{ at, 16, 1, head + 1 },
		{ at + 0x1000, (uint32_t)take(in, 2), mid, head + 2 },
		{ at + 0x20, 1, 2, 0 },
	};

	h.sector = take(in, 8);
	memcpy(rig_ram(&rig, at), &h, sizeof(h));
	memcpy(rig_ram(&rig, RIG_QUEUE(0) + head * 16), d, sizeof(d));
	if (rig.q[0].avail == NULL)
		return;
	rig_offer(&rig, 0, head);
	rig_kick(&rig, 0);
}

static unsigned
take_width(struct input *in)
{
	return 1u << (take(in, 1) & 3);
}

/* Ports and configuration space know no 8 bytes. */
static unsigned
take_narrow(struct input *in)
{
	unsigned width = take_width(in);

	return MIN(width, 4u);
}

static void
run_op(struct input *in)
{
	unsigned off, width;

	switch ((enum op)(take(in, 1) % OP_COUNT)) {
	case OP_DRIVE:
		op_drive(in);
		break;
	case OP_BAR_READ:
		off = (unsigned)take(in, 2);
		(void)rig_read(&rig, off, take_width(in));
		break;
	case OP_BAR_WRITE:
		off = (unsigned)take(in, 2);
		width = take_width(in);
		rig_write(&rig, off, width, take(in, width));
		break;
	case OP_COMMON_WRITE:
		off = (unsigned)take(in, 1) & 0x3f;
		width = take_width(in);
		rig_write(&rig, rig.common + off, width, take(in, width));
		break;
	case OP_IO_READ:
		off = (unsigned)take(in, 1) & 0x7f;
		(void)rig_in(&rig, off, take_narrow(in));
		break;
	case OP_IO_WRITE:
		off = (unsigned)take(in, 1) & 0x7f;
		width = take_narrow(in);
		rig_out(&rig, off, width, (uint32_t)take(in, width));
		break;
	case OP_CFG_READ:
		off = (unsigned)take(in, 1) & 0xfc;
		(void)rig_cfg_read(&rig, off, 4);
		break;
	case OP_CFG_WRITE:
		off = (unsigned)take(in, 1);
		width = take_narrow(in);
		rig_cfg_write(
		    &rig, off & ~(width - 1), width, (uint32_t)take(in, width));
		break;
	case OP_MEMORY:
		op_memory(in);
		break;
	case OP_DESC:
		op_desc(in);
		break;
	case OP_OFFER:
		op_offer(in);
		break;
	case OP_KICK:
		rig_kick(&rig, (unsigned)take(in, 1) & 3);
		break;
	case OP_REQUEST:
		op_request(in);
		break;
	case OP_PAUSE:
		usleep(30);
		break;
	case OP_COUNT:
		break;
	}
}

static void
fuzz_open(const char *model, const char *opts)
{
	struct error err = ERROR_INIT;

	if (rig.vm != NULL)
		return;
	fuzz_built(rig_open(&rig, model, opts, true, &err), &err);
}

/* Back to where every input starts. */
static void
fuzz_reset(void)
{
	rig_cfg_write(&rig, 0x04, 2, 0);
	rig_cfg_write(&rig, 0x20, 4, (uint32_t)rig.bar);
	rig_cfg_write(&rig, 0x24, 4, (uint32_t)(rig.bar >> 32));
	rig_cfg_write(&rig, 0x10, 4, rig.io);
	rig_cfg_write(&rig, rig.msix + 2, 2, 0);
	rig_cfg_write(&rig, 0x04, 2, 7);
	rig_set_status(&rig, 0);
	if (rig_status(&rig) != 0)
		abort();
	memset(rig_ram(&rig, RIG_QUEUE(0)), 0, 0x20000);
	memset(rig_ram(&rig, RIG_DATA), 0, 0x1000);
	memset(rig.q, 0, sizeof(rig.q));
}

static void
fuzz_run(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	fuzz_reset();
	while (in.p < in.end)
		run_op(&in);
	fuzz_reset();
}
