/* The driver of virtio.h. */
#include "virtio.h"

bool
vdev_open(struct vdev *d, unsigned type, unsigned n)
{
	static const uint16_t legacy[] = { 0, 0x1000, 0x1001, 0x1003, 0x1005 };
	unsigned cap = 0, kind;
	uint64_t at;

	memset(d, 0, sizeof(*d));
	if (!pci_find(0x1af4, (uint16_t)(0x1040 + type), n, &d->fn) &&
	    !(type <= 4 && pci_find(0x1af4, legacy[type], n, &d->fn)))
		return false;
	pci_enable(&d->fn);
	while ((cap = pci_find_cap(&d->fn, 9, cap)) != 0) {
		kind = pci_read(&d->fn, cap + 3, 1);
		if (kind < 1 || kind > 4)
			continue;
		at = pci_bar(&d->fn, pci_read(&d->fn, cap + 4, 1)) +
		    pci_read(&d->fn, cap + 8, 4);
		switch (kind) {
		case 1:
			d->common = at;
			break;
		case 2:
			d->notify_base = at;
			d->notify_mult = pci_read(&d->fn, cap + 16, 4);
			break;
		case 3:
			d->isr = at;
			break;
		case 4:
			d->cfg = at;
			break;
		}
	}
	pci_enable(&d->fn);
	if (d->common == 0 || d->notify_base == 0)
		return false;
	vdev_reset(d);
	return true;
}

uint8_t
vdev_status(struct vdev *d)
{
	return mmio_read8(d->common + C_STATUS);
}

void
vdev_reset(struct vdev *d)
{
	unsigned i;

	mmio_write8(d->common + C_STATUS, 0);
	for (i = 0; i < 100000 && vdev_status(d) != 0; i++)
		cpu_pause();
}

bool
vdev_negotiate(struct vdev *d, uint64_t want)
{
	uint64_t f;

	mmio_write8(d->common + C_STATUS, 1);
	mmio_write8(d->common + C_STATUS, 3);
	mmio_write32(d->common + C_DFSEL, 0);
	f = mmio_read32(d->common + C_DF);
	mmio_write32(d->common + C_DFSEL, 1);
	f |= (uint64_t)mmio_read32(d->common + C_DF) << 32;
	d->features = f & (want | UINT64_C(1) << 32);
	mmio_write32(d->common + C_GFSEL, 0);
	mmio_write32(d->common + C_GF, (uint32_t)d->features);
	mmio_write32(d->common + C_GFSEL, 1);
	mmio_write32(d->common + C_GF, (uint32_t)(d->features >> 32));
	mmio_write8(d->common + C_STATUS, 11);
	return (vdev_status(d) & 8) != 0;
}

bool
vdev_queue(
    struct vdev *d, unsigned index, unsigned size, int vector, struct vq *q)
{
	unsigned max;

	memset(q, 0, sizeof(*q));
	mmio_write16(d->common + C_QSEL, (uint16_t)index);
	max = mmio_read16(d->common + C_QSIZE);
	if (max == 0)
		return false;
	if (size == 0 || size > max)
		size = max;
	q->index = index;
	q->size = size;
	mmio_write16(d->common + C_QSIZE, (uint16_t)size);
	q->desc = balloc(16 * size, 16);
	q->avail = balloc(6 + 2 * size, 2);
	q->used = balloc(6 + 8 * size, 4);
	mmio_write32(d->common + C_QDESC, (uint32_t)(uint64_t)q->desc);
	mmio_write32(d->common + C_QDESC + 4, 0);
	mmio_write32(d->common + C_QAVAIL, (uint32_t)(uint64_t)q->avail);
	mmio_write32(d->common + C_QAVAIL + 4, 0);
	mmio_write32(d->common + C_QUSED, (uint32_t)(uint64_t)q->used);
	mmio_write32(d->common + C_QUSED + 4, 0);
	q->notify = d->notify_base +
	    (uint64_t)mmio_read16(d->common + C_QNOFF) * d->notify_mult;
	if (vector >= 0) {
		pci_msix_set(&d->fn, index + 1, (uint8_t)vector);
		mmio_write16(d->common + C_QMSIX, (uint16_t)(index + 1));
		if (mmio_read16(d->common + C_QMSIX) != index + 1)
			return false;
	} else {
		q->avail[0] = 1; /* no interrupts */
	}
	mmio_write16(d->common + C_QENABLE, 1);
	return true;
}

void
vdev_ready(struct vdev *d)
{
	mmio_write8(d->common + C_STATUS, 15);
}

void
vq_desc(struct vq *q, unsigned i, const volatile void *p, uint32_t len,
    uint16_t flags, uint16_t next)
{
	q->desc[i].addr = (uint64_t)p;
	q->desc[i].len = len;
	q->desc[i].flags = flags;
	q->desc[i].next = next;
}

void
vq_add(struct vq *q, uint16_t head)
{
	q->avail[2 + (q->next & (q->size - 1))] = head;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->next++;
	q->avail[1] = q->next;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
vq_kick(struct vq *q)
{
	mmio_write16(q->notify, (uint16_t)q->index);
}

static bool
vq_has_used(void *arg)
{
	struct vq *q = arg;

	return q->used[1] != q->last_used;
}

bool
vq_wait(struct vq *q, unsigned ms, struct vring_used_elem *ret)
{
	if (!wait_until(vq_has_used, q, ms))
		return false;
	ret->id = VQ_USED(q, q->last_used).id;
	ret->len = VQ_USED(q, q->last_used).len;
	q->last_used++;
	return true;
}
