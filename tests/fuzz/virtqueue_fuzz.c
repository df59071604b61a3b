/*
 * The descriptor walker over a memory of two regions and a hole, driven by an
 * operation stream: ring contents, register values, what the device does. Every
 * byte of every segment that the walker hands out is touched.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/virtio/virtio_impl.h"
#include "input.h"

#define RAM_SIZE 0xc000
#define RAM2_BASE 0x10000
#define RAM2_SIZE 0x1000

struct vm_mem {
	uint8_t *ram, *ram2; /* exact, so that ASan sees the ends */
};

static struct vm_mem mem;
static unsigned touched;

void *
vm_mem_ram(const struct vm_mem *m, gpa_t gpa, uint64_t len)
{
	if (len == 0)
		return NULL;
	if (gpa.v < RAM_SIZE && len <= RAM_SIZE - gpa.v)
		return m->ram + gpa.v;
	if (gpa.v >= RAM2_BASE && gpa.v - RAM2_BASE < RAM2_SIZE &&
	    len <= RAM2_SIZE - (gpa.v - RAM2_BASE))
		return m->ram2 + (gpa.v - RAM2_BASE);
	return NULL;
}

void
vm_mem_dirty(struct vm_mem *m, const void *host, uint64_t len)
{
	const uint8_t *p = host;

	touched += p[0] + p[len - 1];
}

bool
virtio_may_dma(const struct virtio_dev *vd)
{
	return true;
}

void
virtio_queue_interrupt(struct virtqueue *vq)
{
	touched++;
}

void
virtio_vbroken(struct virtio_dev *vd, const char *fmt, ...)
{
	vd->broken = true;
}

static void
use_chain(struct vq_chain *ch, unsigned max)
{
	uint64_t sum[2] = { 0, 0 };

	if ((unsigned)ch->nread + ch->nwrite > max)
		abort();
	for (unsigned i = 0; i < (unsigned)ch->nread + ch->nwrite; i++) {
		bool write = i >= ch->nread;
		uint8_t *p = ch->iov[i].iov_base;

		sum[write] += ch->iov[i].iov_len;
		for (size_t k = 0; k < ch->iov[i].iov_len; k++) {
			touched += p[k];
			/* not over the rings too often */
			if (write && k % 64 == 0)
				p[k] ^= 1;
		}
	}
	if (sum[0] != ch->read_len || sum[1] != ch->write_len)
		abort();
}

/* Operations; the numbers are part of the corpus. */
enum op {
	OP_BYTES,
	OP_DESC,
	OP_AVAIL,
	OP_POP,
	OP_PUSH,
	OP_UNPOP,
	OP_FLUSH,
	OP_NOTIFY,
	OP_RESTART,
	OP_COUNT
};

static void
op_restart(struct virtqueue *vq, struct input *in)
{
	uint8_t features = (uint8_t)take(in, 1);

	vq_stop(vq);
	vq->vd->broken = false;
	vq->regs.size = (uint16_t)(1u << take(in, 1) % 5);
	vq->regs.desc = take(in, 2) & ~UINT64_C(15);
	vq->regs.avail = take(in, 2) & ~UINT64_C(1);
	vq->regs.used = take(in, 3) & ~UINT64_C(3);
	(void)vq_start(vq,
	    (features & 1 ? VIRTIO_BIT(VIRTIO_F_EVENT_IDX) : 0) |
		(features & 2 ? VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) : 0));
}

static void
op_desc(struct virtqueue *vq, struct input *in)
{
	uint64_t at = vq->regs.desc + take(in, 1) % 16 * 16;
	struct vring_desc d = { .addr = take(in, 3) };
	uint8_t *p = vm_mem_ram(&mem, GPA(at), sizeof(d));

	d.len = (uint32_t)take(in, 2);
	d.flags = (uint16_t)take(in, 1);
	d.next = (uint16_t)take(in, 1);
	if ((d.flags & 0x80) != 0) {
		d.addr = ~d.addr;
		d.len = ~d.len;
	}
	if (p != NULL)
		memcpy(p, &d, sizeof(d));
}

static void
op_avail(struct virtqueue *vq, struct input *in)
{
	uint64_t at = vq->regs.avail;
	uint8_t *p = vm_mem_ram(&mem, GPA(at), 4 + vq->regs.size * 2u);
	uint16_t idx;

	if (p == NULL)
		return;
	idx = load_le16(p + 2);
	store_le16(p + 4 + idx % vq->regs.size * 2u, (uint16_t)take(in, 1));
	store_le16(p + 2, (uint16_t)(idx + 1));
}

static void
run_op(struct virtqueue *vq, struct input *in)
{
	struct iovec iov[12];
	struct vq_chain ch;
	uint64_t at;
	uint8_t *p;

	switch ((enum op)(take(in, 1) % OP_COUNT)) {
	case OP_BYTES:
		at = take(in, 2);
		p = vm_mem_ram(&mem, GPA(at), 8);
		if (p != NULL)
			store_le64(p, take(in, 8));
		break;
	case OP_DESC:
		op_desc(vq, in);
		break;
	case OP_AVAIL:
		op_avail(vq, in);
		break;
	case OP_POP:
		if (vq_pop(vq, &ch, iov, ARRAY_LEN(iov)) == 1)
			use_chain(&ch, ARRAY_LEN(iov));
		break;
	case OP_PUSH:
		vq_push(vq, (uint16_t)take(in, 1), 1);
		break;
	case OP_UNPOP:
		vq_unpop(vq);
		break;
	case OP_FLUSH:
		vq_flush(vq);
		break;
	case OP_NOTIFY:
		(void)vq_want_notify(vq, take(in, 1) & 1);
		break;
	case OP_RESTART:
		op_restart(vq, in);
		break;
	case OP_COUNT:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct virtio_dev *vd =
	    calloc(1, sizeof(*vd) + sizeof(struct virtqueue));
	struct virtqueue *vq;

	mem.ram = calloc(1, RAM_SIZE);
	mem.ram2 = calloc(1, RAM2_SIZE);
	if (vd == NULL || mem.ram == NULL || mem.ram2 == NULL)
		abort();
	vd->mem = &mem;
	vq = &vd->vqs[0];
	vq->vd = vd;
	vq->max_size = 16;
	op_restart(vq, &in);
	while (in.p < in.end)
		run_op(vq, &in);
	free(mem.ram);
	free(mem.ram2);
	free(vd);
	return 0;
}
