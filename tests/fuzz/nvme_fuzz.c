/*
 * NVMe with a hostile guest: register writes, doorbells, and commands, lists
 * and queues anywhere in its memory. Each input begins and ends with a reset.
 */
#include <string.h>

#include "../unit/virtio_rig.c"

#include "../unit/nvme_rig.c"
#include "base/buf.h"
#include "input.h"

#define QUEUES 3 /* pairs of I/O queues */

static struct nrig n;

/* Operations; the numbers are part of the corpus. */
enum op {
	OP_ENABLE,
	OP_QUEUE, /* a pair, properly */
	OP_REG_READ,
	OP_REG_WRITE,
	OP_CC,
	OP_DOORBELL,
	OP_ADMIN, /* a command that may be well-formed */
	OP_IO,
	OP_RAW, /* 64 bytes into a submission queue */
	OP_MEMORY,
	OP_LIST, /* entries of a PRP list, ranges */
	OP_CONSUME, /* completions are read */
	OP_CFG_WRITE,
	OP_PAUSE,
	OP_SHADOW, /* doorbells in memory */
	OP_WORD, /* one of them */
	OP_COUNT
};

/* An address: mostly a page of the rig's, sometimes anything. */
static uint64_t
take_gpa(struct input *in)
{
	uint64_t v = take(in, 2);

	if (v >= 0xff00)
		return take(in, 8);
	return (v & 0x3ff) * 4096 % RIG_RAM + (v >> 10) * 4;
}

static void
submit(struct input *in, unsigned q, struct nvme_sqe *c)
{
	c->cid = (uint16_t)take(in, 1);
	c->prp1 = take_gpa(in);
	c->prp2 = take_gpa(in);
	if (n.q[q].sq_size == 0)
		return;
	nrig_put(&n, q, c);
	nrig_ring(&n, q);
}

static void
op_admin(struct input *in)
{
	struct nvme_sqe c = { .opcode = (uint8_t)take(in, 1) & 0xf };

	c.nsid = (uint32_t)take(in, 1) & 3;
	c.cdw10 = (uint32_t)take(in, 4);
	c.cdw11 = (uint32_t)take(in, 4);
	if ((c.nsid & 2) != 0)
		c.cdw12 = (uint32_t)take(in, 4);
	submit(in, 0, &c);
}

static void
op_io(struct input *in)
{
	unsigned q = (unsigned)take(in, 1) % (QUEUES + 1);
	struct nvme_sqe c = { .opcode = (uint8_t)take(in, 1) & 0xf, .nsid = 1 };

	c.cdw10 = (uint32_t)take(in, 2);
	c.cdw11 = (uint32_t)take(in, 1) & 4;
	c.cdw12 = (uint32_t)take(in, 2) << 24 | (uint32_t)take(in, 2);
	submit(in, q, &c);
}

static void
op_raw(struct input *in)
{
	unsigned q = (unsigned)take(in, 1) % (QUEUES + 1);
	struct nvme_sqe c;

	for (unsigned i = 0; i < sizeof(c); i += 8)
		store_le64((uint8_t *)&c + i, take(in, 8));
	if (n.q[q].sq_size == 0)
		return;
	nrig_put(&n, q, &c);
	nrig_ring(&n, q);
}

static void
op_list(struct input *in)
{
	uint64_t at = take_gpa(in) % (RIG_RAM - 1024) & ~UINT64_C(7);
	unsigned count = (unsigned)take(in, 1) & 0x7f;

	for (unsigned i = 0; i < count && in->p < in->end; i++)
		store_le64(rig_ram(&n.r, at + i * 8), take_gpa(in));
}

static void
op_consume(struct input *in)
{
	unsigned q = (unsigned)take(in, 1) % (QUEUES + 1);

	if (n.q[q].cq_size != 0)
		(void)nrig_wait(&n, q, 0);
}

static void
op_queue(struct input *in)
{
	unsigned q = 1 + (unsigned)take(in, 1) % QUEUES;
	uint32_t size = 2 + (uint32_t)take(in, 1) % 63;

	/* Without waiting as the rig's does: the admin queue may be broken. */
	if (n.q[0].sq_size == 0)
		return;
	queue_reset(&n, q, size);
	nrig_put(&n, 0,
	    &(struct nvme_sqe){ .opcode = NVME_ADMIN_CREATE_CQ,
		.prp1 = NRIG_CQ(q),
		.cdw10 = (size - 1) << 16 | q,
		.cdw11 = q << 16 | 3 });
	nrig_put(&n, 0,
	    &(struct nvme_sqe){ .opcode = NVME_ADMIN_CREATE_SQ,
		.prp1 = NRIG_SQ(q),
		.cdw10 = (size - 1) << 16 | q,
		.cdw11 = q << 16 | 1 });
	nrig_ring(&n, 0);
	(void)nrig_wait(&n, 0, 1);
	(void)nrig_wait(&n, 0, 1);
}

#define VALUES 0xe0000
#define EVENTS 0xe1000

/* Without waiting, as op_queue(). */
static void
op_shadow(struct input *in)
{
	struct nvme_sqe c = {
		.opcode = NVME_ADMIN_DOORBELLS, .prp1 = VALUES, .prp2 = EVENTS
	};

	if (n.q[0].sq_size == 0)
		return;
	if ((take(in, 1) & 7) == 0) {
		c.prp1 = take_gpa(in);
		c.prp2 = take_gpa(in);
	} else {
		n.values = c.prp1;
		n.events = c.prp2;
	}
	nrig_put(&n, 0, &c);
	nrig_ring(&n, 0);
	(void)nrig_wait(&n, 0, 1);
}

static void
op_word(struct input *in)
{
	unsigned at = (unsigned)take(in, 1);
	uint32_t v = (uint32_t)take(in, 1);

	if (v >= 0xf0)
		v = (uint32_t)take(in, 4);
	store_le32(rig_ram(&n.r, VALUES + (at & 0xf) * 4), v);
	if ((at & 0x80) != 0)
		nrig_set(&n, NVME_DOORBELLS + (at & 0xf) * 4, v);
}

static void
run_op(struct input *in)
{
	unsigned off, width;
	uint64_t at;

	switch ((enum op)(take(in, 1) % OP_COUNT)) {
	case OP_ENABLE:
		if ((nrig_reg(&n, NVME_CC) & NVME_CC_EN) == 0)
			(void)nrig_enable(&n);
		break;
	case OP_QUEUE:
		op_queue(in);
		break;
	case OP_REG_READ:
		off = (unsigned)take(in, 2);
		(void)rig_read(&n.r, off, 1u << (take(in, 1) & 3));
		break;
	case OP_REG_WRITE:
		off = (unsigned)take(in, 2) & 0x3fff;
		width = 1u << (take(in, 1) & 3);
		rig_write(&n.r, off, width, take(in, width));
		break;
	case OP_CC:
		nrig_set(&n, NVME_CC, (uint32_t)take(in, 3));
		break;
	case OP_DOORBELL:
		off = (unsigned)take(in, 1) & 0xf;
		nrig_set(&n, NVME_DOORBELLS + off * 4, (uint32_t)take(in, 1));
		break;
	case OP_ADMIN:
		op_admin(in);
		break;
	case OP_IO:
		op_io(in);
		break;
	case OP_RAW:
		op_raw(in);
		break;
	case OP_MEMORY:
		at = take(in, 3) % (RIG_RAM - 8);
		store_le64(rig_ram(&n.r, at), take(in, 8));
		break;
	case OP_LIST:
		op_list(in);
		break;
	case OP_CONSUME:
		op_consume(in);
		break;
	case OP_CFG_WRITE:
		off = (unsigned)take(in, 1) & 0xfc;
		rig_cfg_write(&n.r, off, 4, (uint32_t)take(in, 4));
		break;
	case OP_PAUSE:
		usleep(30);
		break;
	case OP_SHADOW:
		op_shadow(in);
		break;
	case OP_WORD:
		op_word(in);
		break;
	case OP_COUNT:
		break;
	}
}

static void
fuzz_open(void)
{
	struct error err = ERROR_INIT;

	if (n.r.vm != NULL)
		return;
	fuzz_built(nrig_open(&n, "ram=1,maxq=3,qsz=64,ioslots=4", &err), &err);
}

/* Back to where every input starts. */
static void
fuzz_reset(void)
{
	rig_cfg_write(&n.r, 0x04, 2, 0);
	rig_cfg_write(&n.r, 0x10, 4, (uint32_t)n.r.bar);
	rig_cfg_write(&n.r, 0x14, 4, (uint32_t)(n.r.bar >> 32));
	rig_cfg_write(&n.r, n.r.msix + 2, 2, 0);
	rig_cfg_write(&n.r, 0x04, 2, 7);
	/* Twice: CC may hold 0 with the reset still to come. */
	nrig_set(&n, NVME_CC, NVME_CC_EN);
	if (!nrig_disable(&n))
		abort();
	memset(rig_ram(&n.r, 0), 0, RIG_RAM);
	memset(n.q, 0, sizeof(n.q));
	n.values = n.events = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	fuzz_open();
	fuzz_reset();
	while (in.p < in.end)
		run_op(&in);
	fuzz_reset();
	return 0;
}
